/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One request to one server, by libcurl: bytes from some offset on, given to who asked.
 * The server is hostile: how much it sends, in headers too, how slowly, where it leads
 * and how it encodes are bounded. Only hostbed-fetch's files include it.
 */
#pragma once

#include <curl/curl.h>
#include <glib.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(CURL, curl_easy_cleanup)

typedef struct {
    /* A piece; FALSE and an error end the transfer. */
    gboolean (*take)(gpointer user_data, const void *bytes, gsize size, GError **error);
    /* What came does not begin at the offset asked for, but at 0: the file has changed,
     * or the server knows no ranges. Called before the first piece. */
    gboolean (*restart)(gpointer user_data, GError **error);
    /* Now and then, also when nothing comes. TOTAL: -1 is unknown; both with the offset.
     */
    void (*progress)(gpointer user_data, gint64 done, gint64 total);
} TransferWatch;

typedef struct {
    const char *url, *cacert; /* CACERT may be NULL */
    gint64 offset;            /* where to begin */
    const char *validator;    /* ETag or date of what the bytes before are of, or NULL */
    gint64 most_bytes;        /* of the whole file */
    guint stall_s;
} TransferRequest;

typedef struct {
    char *validator;     /* of what came, if it can be asked for by that later */
    char *encoding;      /* it came encoded, though nobody asked for that; or NULL */
    gint64 reached;      /* bytes of the file that are there, with those before */
    gboolean may_resume; /* it failed on the way, or for a while: ask again */
    gboolean past_end;   /* there is nothing from that offset on */
    gboolean changed;    /* it is another file than what came before is of */
} TransferEnd;

/* FALSE: one sentence, with the URL, without its password. END is filled in both cases.
 */
gboolean transfer_run(const TransferRequest *request, const TransferWatch *watch,
                      gpointer user_data, TransferEnd *end, GError **error);
void transfer_end_clear(TransferEnd *end);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TransferEnd, transfer_end_clear)

/* URL as it may be shown: printable, without user and password. Owned by the caller. */
char *transfer_shown(const char *url);
