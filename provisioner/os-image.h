/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Prepared images of real operating systems (docs/operating-systems.rst): a folder each
 * in the user's cache, by the digest of all that it was made from. In it are
 * `disk.qcow2`, which nobody writes to once the folder is there (whoever does breaks its
 * mark), the `kernel` and the `initrd` of the system, `modules/` with kmod's lists of
 * what its kernel has, and `image.json`, which says what it is. The micro image is
 * image.h's.
 */
#pragma once

#include <gio/gio.h>

#include "lab.h"
#include "servant.h"

#define OS_IMAGE_KIND "images"
/* Where the agent and the suites are in it. */
#define OS_IMAGE_AGENT_PATH "/usr/lib/hostbed/hostbed-agent"
#define OS_IMAGE_SUITES_PATH "/usr/lib/hostbed/vmtests"

typedef struct {
    char *path;                        /* the folder */
    char *key;                         /* its name: 64 digits */
    char *disk, *kernel, *modules_dir; /* paths in it */
    int disk_fd;         /* open for reading, if it was opened to be used; else -1 */
    char *initrd;        /* the same, or NULL: the kernel needs none */
    char *root;          /* words for the kernel: "root=UUID=…" */
    char *os;            /* libosinfo's short id, as inspected: "debian12" */
    char *name;          /* for people: "Debian GNU/Linux 12 (bookworm)" */
    char *from;          /* for people: a recipe's name, or the base's path */
    char *release;       /* of the kernel: "6.1.0-40-amd64" */
    char *created;       /* "2026-11-21T18:15:38Z" */
    gboolean has_loader; /* it can be started by a boot loader of its own */
    gint64 capacity;     /* bytes of the virtual disk */
    gint64 bytes;        /* that the folder takes of this machine's disk */
    gint64 used;         /* last, seconds since 1970 */
} OsImage;

void os_image_free(OsImage *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OsImage, os_image_free)

/* The image in FOLDER, checked; its last use is now. HB_INFRASTRUCTURE: it is not there,
 * or not whole any more.
 *
 * Nobody removes it as long as disk_fd, or a copy of that descriptor, is open anywhere: a
 * host takes kernel and initrd by their paths. Emulators have such copies, and those who
 * start clones; other children do not get them. */
OsImage *os_image_open(const char *folder, GError **error);

/* All that are whole, which is no use of them: GPtrArray of OsImage, that used last
 * first. */
GPtrArray *os_image_list(void);
/* HB_USAGE: there is none of this KEY; HB_INFRASTRUCTURE: it is in use. */
gboolean os_image_remove(const char *key, GError **error);
/* Removes leftovers of makers that were killed, what is damaged, and the images used
 * longest ago, until the rest takes at most MAXIMUM_BYTES; KEEP (a key, or NULL) stays,
 * and so do those in use. How many images. */
guint os_image_prune(gint64 maximum_bytes, const char *keep);
/* What images may take of the disk: HOSTBED_IMAGES_MAX, or 16 GiB; -1: it is no size. */
gint64 os_image_maximum(GError **error);

/* ---- making one */

typedef struct {
    const char *from;       /* a recipe's name, or the path of a qcow2 or raw disk, a
                               tarball or a folder */
    gint64 size_bytes;      /* of the disk, at least; LAB_AUTO: as it is */
    const GPtrArray *steps; /* LabStep, in order; or NULL */
    const char *mirror;     /* URL of packages; or NULL: this machine's sources */
    const char *proxy;      /* URL; or NULL */
    const char *ssh_key;    /* path of a public key that may log in as root; or NULL */
    const char *cmdline; /* further words for the boot loader's command line, which only
                            who starts it needs (has_loader); or NULL */
    gboolean loader;     /* an image without a boot loader is an error */
    const char *agent;   /* path of the built agent */
    const char *suites_dir; /* folder of vmtest programs; or NULL */
    const char *emulator;   /* path, for libguestfs's appliance if it has none */
    gboolean force_tcg;     /* KVM is not real here (accel.h) */
} OsImageRequest;

/* What an <image> of a lab asks for; the rest of REQUEST stays as it is. All is borrowed.
 */
void os_image_request_take(OsImageRequest *request, const LabImage *image);

/* The image for REQUEST: from the store, or made, which takes seconds to minutes and one
 * start of an appliance. EVENT, or NULL, hears of the progress (servant.h). */
OsImage *os_image_prepare(const OsImageRequest *request, ServantEvent event,
                          gpointer user_data, GCancellable *cancellable, GError **error);
/* Whether one can be made here; else ERROR says what is missing, and the remedy. */
gboolean os_image_can_prepare(GError **error);
/* What it is kept by: 64 digits, owned by the caller. Nothing is made. */
char *os_image_key(const OsImageRequest *request, GError **error);

/* Finds what IMAGE is to be made from and is not there, at the lines that name it; LEVEL
 * is how bad that is. Nothing is read but recipes. */
void os_image_check(const LabImage *image, FindingLevel level, Findings *findings);

/* ---- recipes */

/* Names of all recipes, ends with NULL, by the alphabet. */
GStrv os_image_recipes(void);
/* Whether there is one of this name; a path is none. */
gboolean os_image_is_recipe(const char *name);
