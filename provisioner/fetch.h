/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Files from the network, by the servant hostbed-fetch: each is fetched once and kept in
 * the cache by its content. What is there already needs neither a network nor that
 * program.
 */
#pragma once

#include "servant.h"

typedef struct {
    const char *const *urls; /* the same file at several places, tried in order */
    const char *sha256;      /* what it must be, in small letters; or NULL */
    const char *sha512;
    const char *checksums; /* URL of the vendor's list of checksums, or NULL */
    const char *cacert;    /* a file of CAs instead of the machine's, or NULL */
    gboolean offline;      /* only what is there already */
    gint64 most_bytes;     /* 0: 64 GiB */
    guint stall_s;         /* how long a server may send nothing; 0: 60 s */
} FetchRequest;

typedef struct {
    char *
        path; /* in the cache; read it soon, or take it: old downloads go by themselves */
    char *sha256;
    char *url; /* where it came from: one of the request's; NULL: it was there */
    gint64 bytes;
} Fetched;

/* Errors are one sentence, that of the last place that was tried. HB_USAGE: the request
 * cannot be. */
Fetched *fetch_file(const FetchRequest *request, ServantEvent event, gpointer user_data,
                    GCancellable *cancellable, GError **error);
void fetched_free(Fetched *fetched);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Fetched, fetched_free)

/* Where the vendor of the image at URL lists its checksums, as far as that is known of
 * vendors; else NULL. Owned by the caller. */
char *fetch_vendor_list(const char *url);

/* The file's name in URL: behind the last slash, without query. Owned by the caller. */
char *fetch_file_name(const char *url);
