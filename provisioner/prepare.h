/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How hostbed-guestfs makes one prepared image, in one start of libguestfs's appliance:
 * disk, inspection, growth, files, boot loader, packages, kernel. What is in the image is
 * hostile: it is looked at in the appliance only, and paths in it are followed there.
 */
#pragma once

#include <guestfs.h>

#include "layer.h"
#include "servant-side.h"

typedef enum {
    PREPARE_SYSTEMD,
    PREPARE_OPENRC,
    PREPARE_SYSVINIT,
} PrepareInit;

typedef struct {
    const ServantSide *side;
    JsonObject *order;  /* borrowed; its members are in prepare-order.h */
    const char *base;   /* what it is made from, for messages */
    const char *folder; /* of the image that is made */
    char *work;         /* a folder in it for what is not needed afterwards */
    char *disk;         /* path of the image's disk */
    guestfs_h *g;       /* NULL: before prepare_launch() */
    const char *doing;  /* for progress */
    pid_t emulator;     /* of the appliance */
    GThread *watch;     /* that there is room on this machine's disk; NULL: not yet */
    GMutex lock;        /* of the next two */
    GCond ended_changed;
    gboolean ended, is_full; /* the watch shall end; it found no room */
    gint64 tar_left;         /* bytes */
    GString *heard;          /* until it is up: the end of what was said on the way */

    gboolean is_ours;   /* the file system was made here */
    gboolean is_larger; /* the disk is, than the base */
    gboolean is_mounted;
    char *root;       /* the root's mountable, as libguestfs names it */
    char *os, *name;  /* libosinfo's short id; for people */
    char *root_words; /* for the kernel: "root=UUID=…" */
    char *release;    /* of the kernel */
    gboolean has_initrd, has_loader;
    PrepareInit init;
    gint64 capacity;
    GHashTable *links; /* char * → char *: places that were looked at, or written to →
                          where a link leads, "": no link, NULL: nothing is there */
} Prepare;

/* Of the order; NULL: none. Borrowed. */
const char *prepare_text(const Prepare *prepare, const char *name);

/* FALSE, and an error: what was being done, and what libguestfs says of it, whole. */
gboolean prepare_failed(Prepare *prepare, GError **error, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* FALSE, and a sentence about the base. */
gboolean prepare_refuse(const Prepare *prepare, int status, GError **error,
                        const char *format, ...) G_GNUC_PRINTF(4, 5);
/* What is done now, until the next call; static. */
void prepare_step(Prepare *prepare, const char *what);
/* Runs a program of this machine to its end; its complaint is the error's. */
gboolean prepare_run(const char *const *argv, GError **error);

/* ---- the steps, in order */

/* Before all: nothing that libguestfs leaves in /tmp stays there. Where that cannot be
 * had, it is done without. */
void prepare_own_tmp(JsonObject *order);

/* The image's disk, before the appliance sees it. */
gboolean prepare_disk(Prepare *prepare, GError **error);
gboolean prepare_launch(Prepare *prepare, GError **error);
/* A tarball into the file system that was made for it. */
gboolean prepare_unpack(Prepare *prepare, GError **error);
/* Which system it is; its file systems are mounted, grown to the disk's size. */
gboolean prepare_inspect(Prepare *prepare, GError **error);
gboolean prepare_grow(Prepare *prepare, GError **error);
/* Files, services, settings; the user's steps. */
gboolean prepare_system(Prepare *prepare, GError **error);
gboolean prepare_loader(Prepare *prepare, GError **error);
gboolean prepare_packages(Prepare *prepare, GError **error);
/* Kernel, initramfs, lists of modules: out of it. */
gboolean prepare_kernel(Prepare *prepare, GError **error);
/* All is on the disk. */
gboolean prepare_end(Prepare *prepare, GError **error);
void prepare_end_watch(Prepare *prepare);

/* ---- services, of prepare_system() */

/* Which of them starts the system's services. */
gboolean prepare_find_init(Prepare *prepare, GError **error);
/* The agent as one of them; others that a host is better without are turned off. */
void prepare_add_service(Prepare *prepare, Layer *layer);
/* SCRIPT is run once a boot, before the agent answers. */
void prepare_add_first_boot(Prepare *prepare, Layer *layer, const char *script);

/* ---- what steps share */

/* Where PATH is in the image once links on the way to it are followed, those that were
 * put in meanwhile, too; the last part stays as it is, and what is not there yet. Owned
 * by the caller; NULL: too many links. */
char *prepare_place(Prepare *prepare, const char *path);
/* The same of a folder, for which a link that is the last part is followed. */
char *prepare_folder(Prepare *prepare, const char *path);
/* What is added to LAYER from now on is placed so; links that are, are known then. */
void prepare_place_all(Prepare *prepare, Layer *layer);
/* The content of a file of the image, at most a MiB; NULL: there is none. Owned by the
 * caller. */
char *prepare_read(Prepare *prepare, const char *path);
gboolean
prepare_write(Prepare *prepare, const char *path, const char *text, GError **error);
gboolean prepare_exists(Prepare *prepare, const char *path);
/* Unpacks FD, an archive, over the folder PATH of the image. */
gboolean prepare_tar_in(Prepare *prepare, int fd, const char *path, GError **error);
