/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Templates that are kept between runs, below the cache: a folder for each, by its key,
 * with a file `state`, one for each cell's memory, those that were written above an image
 * and `template.json`, which says what it is. One of several hosts has these files of
 * each of them, and `networks`, and is found as a whole or not at all. Any number of
 * processes may use, make and remove them at once: one appears whole or not at all, and
 * who has it open keeps it. Nobody writes to one; whoever does breaks its mark (the
 * files' modification times, as in cache.h), and it is no entry any more.
 *
 * This is about files. What a template is, and whether it lives, template.h knows.
 */
#pragma once

#include <gio/gio.h>

#include "cache.h"

#define TEMPLATE_STORE_KIND "templates"
#define TEMPLATE_ABOUT_FILE "template.json"
#define TEMPLATE_ABOUT_MAX (1024 * 1024) /* bytes of template.json */

typedef struct {
    char *name;
    goffset size;   /* with holes */
    char *checksum; /* as sparse_copy() makes them */
} TemplateFile;

/* What template.json says. */
typedef struct {
    char *key;
    GPtrArray *inputs; /* TemplateInput (template-key.h), of which the key is made */
    char *lab, *host, *emulator, *kernel, *nonce;
    char *made;               /* "2026-11-21T18:15:38Z" */
    gboolean memory_readonly; /* see machine_maps_readonly() */
    GPtrArray *peers;         /* TemplatePeer: the hosts beside HOST; or none */
    GPtrArray *files;         /* TemplateFile, as TemplateOrder has them */
} TemplateAbout;

/* A host that was frozen together with the one that is meant. */
typedef struct {
    char *host, *nonce;
} TemplatePeer;

void template_about_add_peer(TemplateAbout *about, const char *host, const char *nonce);
GPtrArray *template_files_new(void);
TemplateAbout *template_about_new(void);
void template_about_free(TemplateAbout *about);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TemplateAbout, template_about_free)
/* Owned by the caller. */
char *template_about_to_json(const TemplateAbout *about);
/* TEXT is hostile. NULL: it is no such file, names others, or the key is not that of the
 * inputs. */
TemplateAbout *template_about_from_json(const char *text, gsize length, GError **error);

/* ---- files */

typedef enum {
    TEMPLATE_STATE,
    TEMPLATE_MEMORY,   /* of the INDEXth cell that has some */
    TEMPLATE_DISK,     /* what was written to the image's, the INDEXth layer above it */
    TEMPLATE_NETWORKS, /* what is on those that join the hosts */
} TemplatePart;

/* HOST: 0 is the one that is meant, then its peers. Owned by the caller. */
char *template_file_name(guint host, TemplatePart part, guint index);
/* Of a name that is one of these. */
TemplatePart template_file_part(const char *name);

/* The files that were seen, in the order in which they come: of each host its state,
 * memory and disks; of several hosts, the networks at last. Zeroes at first. */
typedef struct {
    guint hosts, memories, disks; /* the last two are of the last host */
    gboolean networks;
} TemplateOrder;

/* FALSE: NAME is no file that may come next of a host with so many PEERS. */
gboolean template_order_take(TemplateOrder *order, guint peers, const char *name);
gboolean template_order_is_whole(const TemplateOrder *order, guint peers);
/* How many files HOST has, from *FIRST on, the state first. */
guint template_about_files_of(const TemplateAbout *about, guint host, guint *first);

/* ---- entries */

typedef struct {
    TemplateAbout *about;
    GArray *fds;   /* int, of about->files; closed with it */
    gint64 used;   /* seconds since 1970 */
    goffset bytes; /* on the disk */
} StoredTemplate;

void stored_template_free(StoredTemplate *stored);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StoredTemplate, stored_template_free)

/* Whether the folder of all of them is this user's alone, or not there yet: whoever else
 * may write to it could hand us a host of his. */
gboolean template_store_check(GError **error);

/* The entry, open and checked; its last use is now. NULL: there is none or, with ERROR,
 * it is damaged, or cannot be opened for a reason that passes. */
StoredTemplate *template_store_open(const char *key, GError **error);
/* TROUBLE says nothing of the template: the machine is short of something, or somebody
 * interrupted. Nobody throws away one for that. */
gboolean template_store_is_passing(const GError *trouble);
/* All that are whole, which is no use of them; their files are not open. GPtrArray of
 * StoredTemplate, that used last first. */
GPtrArray *template_store_list(void);
/* A folder that is no template any more, though it takes some of the disk. */
typedef struct {
    char *key, *trouble;
    goffset bytes;
} DamagedTemplate;

/* GPtrArray of DamagedTemplate. */
GPtrArray *template_store_damaged(void);
/* The keys of all folders, also damaged ones: GPtrArray of char *. */
GPtrArray *template_store_keys(void);
/* FALSE: there is none. */
gboolean template_store_remove(const char *key);

/* HOSTBED_TEMPLATES_MAX, or the default, in bytes; -1: it is no size. */
gint64 template_store_maximum(GError **error);
/* Removes leftovers, what is damaged, and the entries used longest ago, until the rest is
 * at most MAXIMUM bytes: a line (char *) for each that is gone, owned by the caller.
 * KEEP, or NULL, stays. */
GPtrArray *template_store_prune(gint64 maximum, const char *keep);
/* "KEY  LAB/HOST" of one that is whole, for people; owned by the caller. */
char *template_store_name(const StoredTemplate *stored);

/* ---- making one */

typedef struct {
    CacheFolder *folder;
    TemplateAbout *about;
    gint64 bytes, maximum; /* written so far; at most */
} TemplateWriter;

/* Takes ABOUT, whose files are added as they are written. */
TemplateWriter *template_writer_new(TemplateAbout *about, GError **error);
/* A new file, open for reading and writing; -1: ERROR. */
int template_writer_open(TemplateWriter *writer, const char *name, GError **error);
/* Its content is all there, SIZE bytes of which BYTES are no holes. */
gboolean template_writer_close(TemplateWriter *writer, const char *name, int fd,
                               goffset size, const char *checksum, GError **error);
/* The first SIZE bytes of FROM_FD, without its holes, as a file. */
gboolean template_writer_copy(TemplateWriter *writer, const char *name, int from_fd,
                              goffset size, GError **error);
/* More than the store may hold is an error. */
gboolean template_writer_count(TemplateWriter *writer, goffset bytes, GError **error);
/* Makes it an entry, unless there is one that is whole. */
gboolean template_writer_commit(TemplateWriter *writer, GError **error);
/* What was not committed is gone. */
void template_writer_free(TemplateWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TemplateWriter, template_writer_free)
