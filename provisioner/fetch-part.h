/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A file that is being fetched: it survives who fetches it, so that the next one goes on
 * where it stopped, and it has one writer at a time. Only hostbed-fetch's files include
 * it.
 */
#pragma once

#include <glib.h>

typedef struct {
    int fd;
    char *path, *about; /* the file, and the one with the next two */
    char *url;          /* where its bytes are from, or NULL */
    char *validator;    /* what the server called them, or NULL */
    gint64 bytes;
    GChecksum *sha256, *sha512; /* of its bytes */
} FetchPart;

/* The part that is called KEY, now ours alone. Whoever has it is waited for; WAITING is
 * called first, and every few seconds. */
FetchPart *fetch_part_open(const char *key, void (*waiting)(gpointer user_data),
                           gpointer user_data, GError **error);
/* What is there stays for the next one. */
void fetch_part_free(FetchPart *part);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FetchPart, fetch_part_free)

gboolean
fetch_part_append(FetchPart *part, const void *bytes, gsize size, GError **error);
/* Nothing is there any more. */
gboolean fetch_part_reset(FetchPart *part, GError **error);
/* It is a part no more: the file has another name now. */
void fetch_part_forget(FetchPart *part);
/* From where what is added next comes. */
void fetch_part_describe(FetchPart *part, const char *url, const char *validator);
/* The digest of all of it; owned by the caller. */
char *fetch_part_digest(const FetchPart *part, GChecksumType type);
