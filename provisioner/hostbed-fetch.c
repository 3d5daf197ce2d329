/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The servant that fetches: an order of fetch.c's → the file in the cache. Its flow: what
 * the file must be → is it there already → the part that is there → each address in turn
 * → is it what it must be → the cache.
 */
#include <errno.h>
#include <string.h>

#include "checksums.h"
#include "error.h"
#include "fetch-part.h"
#include "fetch-store.h"
#include "fetch-transfer.h"
#include "fetch.h"
#include "json-line.h"
#include "pace.h"
#include "servant-side.h"

#define MOST_BYTES ((gint64)64 << 30)
#define LIST_MOST_BYTES ((gint64)4 << 20)
#define STALL_S 60
#define TELL_US (G_USEC_PER_SEC / 5)
/* Times that a server is asked for the rest: as long as something comes, and if nothing
 * does. */
#define TRIES 50
#define TRIES_WITHOUT 2

typedef struct {
    const ServantSide *side;
    JsonObject *order;
    GStrv urls;
    gint64 most_bytes;
    guint stall_s;
    char *digest; /* what it must be, or NULL */
    GChecksumType type;
    char *what; /* is being done, for people */
    FetchPart *part;
    Pace pace;
    gint64 told_us;
    gboolean waited; /* for another who fetched the same */
} Job;

static void
job_clear(Job *job)
{
    g_strfreev(job->urls);
    g_free(job->digest);
    g_free(job->what);
    fetch_part_free(job->part);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Job, job_clear)

/* ---- what is told
 * -------------------------------------------------------------------------------------
 */

static void
set_what(Job *job, const char *verb, const char *url)
{
    g_autofree char *name = fetch_file_name(url);
    g_free(job->what);
    job->what = g_strdup_printf("%s %s", verb, name);
}

static void
on_progress(gpointer user_data, gint64 done, gint64 total)
{
    Job *job = user_data;
    gint64 now = g_get_monotonic_time();
    pace_add(&job->pace, now, done);
    if (now - job->told_us < TELL_US)
        return;
    job->told_us = now;
    JsonObject *event = json_object_new();
    json_object_set_string_member(event, "what", job->what);
    json_object_set_int_member(event, "done", done);
    if (total >= 0)
        json_object_set_int_member(event, "total", total);
    json_object_set_string_member(event, "unit", "bytes");
    json_object_set_int_member(event, "rate", (gint64)pace_rate(&job->pace));
    gint64 left_s = total >= 0 ? pace_left_s(&job->pace, total) : -1;
    if (left_s >= 0)
        json_object_set_int_member(event, "left_s", left_s);
    servant_side_tell(job->side, "progress", event);
}

static void
on_waiting(gpointer user_data)
{
    Job *job = user_data;
    job->waited = TRUE;
    servant_side_progress(job->side,
                          "waiting for another hostbed, which fetches the same", 0, 0);
}

/* ---- the vendor's list of checksums
 * ------------------------------------------------------------------- */

static gboolean
take_list(gpointer user_data, const void *bytes, gsize size, GError **error)
{
    g_byte_array_append(user_data, bytes, (guint)size);
    return TRUE;
}

static gboolean
restart_list(gpointer user_data, GError **error)
{
    g_byte_array_set_size(user_data, 0);
    return TRUE;
}

static void
ignore_progress(gpointer user_data, gint64 done, gint64 total)
{
}

static gboolean
read_list(Job *job, const char *url, GError **error)
{
    const TransferWatch watch = {take_list, restart_list, ignore_progress};
    const TransferRequest request = {.url = url,
                                     .cacert = json_line_string(job->order, "cacert"),
                                     .most_bytes = LIST_MOST_BYTES,
                                     .stall_s = job->stall_s};
    g_autoptr(GByteArray) text = g_byte_array_new();
    g_autofree char *name = fetch_file_name(job->urls[0]);
    g_auto(TransferEnd) end = {0};
    servant_side_progress(job->side, "reading the list of checksums", 0, 0);
    if (!transfer_run(&request, &watch, text, &end, error))
        return FALSE;
    job->digest = checksums_find((char *)text->data, text->len, name, &job->type, error);
    if (!job->digest) {
        g_autofree char *shown = transfer_shown(url);
        g_prefix_error(error, "%s ", shown);
    }
    return job->digest != NULL;
}

static gboolean
find_digest(Job *job, GError **error)
{
    const char *list = json_line_string(job->order, "checksums");
    const char *sha256 = json_line_string(job->order, "sha256");
    const char *sha512 = json_line_string(job->order, "sha512");
    job->type = sha256 ? G_CHECKSUM_SHA256 : G_CHECKSUM_SHA512;
    job->digest = g_strdup(sha256 ? sha256 : sha512);
    return job->digest || !list || read_list(job, list, error);
}

/* ---- the cache
 * ----------------------------------------------------------------------------------------
 */

/* By what is the file remembered, besides its SHA-256; owned by the caller. */
static char *
name_of(const Job *job)
{
    return job->digest && job->type == G_CHECKSUM_SHA512
               ? g_strconcat("sha512:", job->digest, NULL)
               : NULL;
}

/* SHA-256 of what is there, or NULL. */
static char *
find_there(const Job *job)
{
    g_autofree char *name = name_of(job);
    if (job->digest && job->type == G_CHECKSUM_SHA256)
        return g_strdup(job->digest);
    if (name)
        return fetch_store_recall(name);
    /* Whom we waited for has fetched it a moment ago. */
    return job->waited ? fetch_store_recall(job->urls[0]) : NULL;
}

/* The answer, if it is there already. */
static JsonObject *
answer_there(const Job *job)
{
    gint64 bytes = 0;
    g_autofree char *sha256 = find_there(job);
    g_autofree char *path = sha256 ? fetch_store_find(sha256, &bytes) : NULL;
    if (!path)
        return NULL;
    JsonObject *answer = json_object_new();
    json_object_set_string_member(answer, "path", path);
    json_object_set_string_member(answer, "sha256", sha256);
    json_object_set_int_member(answer, "bytes", bytes);
    fetch_store_remember(job->urls[0], sha256);
    return answer;
}

/* Makes the part, which is whole, the download. */
static JsonObject *
answer_new(Job *job, const char *url, GError **error)
{
    FetchPart *part = job->part;
    g_autofree char *sha256 = fetch_part_digest(part, G_CHECKSUM_SHA256);
    g_autofree char *sha512 = fetch_part_digest(part, G_CHECKSUM_SHA512);
    g_autofree char *path = fetch_store_take(part->fd, part->path, sha256, error);
    if (!path)
        return NULL;
    g_autofree char *name = g_strconcat("sha512:", sha512, NULL);
    fetch_store_remember(name, sha256);
    fetch_store_remember(job->urls[0], sha256);
    fetch_part_forget(part);
    JsonObject *answer = json_object_new();
    json_object_set_string_member(answer, "path", path);
    json_object_set_string_member(answer, "sha256", sha256);
    json_object_set_string_member(answer, "url", url);
    json_object_set_int_member(answer, "bytes", part->bytes);
    return answer;
}

static gboolean
open_part(Job *job, GError **error)
{
    const char *list = json_line_string(job->order, "checksums");
    g_autofree char *whole =
        g_strdup_printf("%s %s", job->digest ? job->digest : job->urls[0],
                        !job->digest && list ? list : "");
    g_autofree char *key = g_compute_checksum_for_string(G_CHECKSUM_SHA256, whole, -1);
    job->part = fetch_part_open(key, on_waiting, job, error);
    return job->part != NULL;
}

/* ---- one address
 * --------------------------------------------------------------------------------------
 */

static gboolean
take_bytes(gpointer user_data, const void *bytes, gsize size, GError **error)
{
    Job *job = user_data;
    return fetch_part_append(job->part, bytes, size, error);
}

static gboolean
restart(gpointer user_data, GError **error)
{
    Job *job = user_data;
    return fetch_part_reset(job->part, error);
}

/* Whether what is there may be the beginning of what URL has. If that is not so although
 * it seemed, its checksum tells; where there is none the server must know the bytes. */
static gboolean
may_go_on(const Job *job, const char *url)
{
    const FetchPart *part = job->part;
    gboolean is_same = g_strcmp0(part->url, url) == 0;
    return job->digest || (is_same && part->validator);
}

static gboolean
ask_once(Job *job, const char *url, TransferEnd *end, GError **error)
{
    const TransferWatch watch = {take_bytes, restart, on_progress};
    FetchPart *part = job->part;
    if (part->bytes > 0 && !may_go_on(job, url) && !fetch_part_reset(part, error))
        return FALSE;
    g_autofree char *validator =
        g_strcmp0(part->url, url) == 0 ? g_strdup(part->validator) : NULL;
    const TransferRequest request = {.url = url,
                                     .cacert = json_line_string(job->order, "cacert"),
                                     .offset = part->bytes,
                                     .validator = part->bytes > 0 ? validator : NULL,
                                     .most_bytes = job->most_bytes,
                                     .stall_s = job->stall_s};
    gboolean is_well = transfer_run(&request, &watch, job, end, error);
    if (part->bytes > 0)
        fetch_part_describe(part, url, end->validator ? end->validator : validator);
    return is_well;
}

static gboolean
is_what_it_must_be(const Job *job)
{
    g_autofree char *digest = fetch_part_digest(job->part, job->type);
    return !job->digest || strcmp(digest, job->digest) == 0;
}

/* Until all is there, or URL has no more. */
static gboolean
ask(Job *job, const char *url, TransferEnd *end, GError **error)
{
    guint in_vain = 0;
    for (guint i = 0; i < TRIES; i++) {
        g_autoptr(GError) failure = NULL;
        gint64 before = job->part->bytes;
        transfer_end_clear(end);
        *end = (TransferEnd){0};
        if (ask_once(job, url, end, &failure))
            return TRUE;
        /* A part that is whole: whoever fetched it was ended before it could say so. */
        if (end->past_end && job->digest && is_what_it_must_be(job))
            return TRUE;
        gboolean is_wrong_part = before > 0 && (end->past_end || end->changed);
        if (is_wrong_part && !fetch_part_reset(job->part, error))
            return FALSE;
        in_vain += job->part->bytes <= before;
        if ((!end->may_resume && !is_wrong_part) || in_vain > TRIES_WITHOUT ||
            i + 1 == TRIES) {
            g_propagate_error(error, g_steal_pointer(&failure));
            return FALSE;
        }
    }
    return FALSE;
}

static void
explain_difference(const Job *job, const char *url, const TransferEnd *end,
                   GError **error)
{
    g_autofree char *shown = transfer_shown(url);
    g_autofree char *digest = fetch_part_digest(job->part, job->type);
    g_autofree char *encoded =
        end->encoding ? g_strdup_printf(" (it came encoded by %s)", end->encoding) : NULL;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                "%s is not what it must be: its %s is %s and not %s%s", shown,
                checksums_type_name(job->type), digest, job->digest,
                encoded ? encoded : "");
}

/* All of the file from URL, checked. */
static gboolean
fetch_from(Job *job, const char *url, GError **error)
{
    g_auto(TransferEnd) end = {0};
    gboolean had_part = job->part->bytes > 0;
    set_what(job, "fetching", url);
    if (!ask(job, url, &end, error))
        return FALSE;
    if (!is_what_it_must_be(job) && had_part) { /* the part was of something else */
        if (!fetch_part_reset(job->part, error) || !ask(job, url, &end, error))
            return FALSE;
    }
    if (!is_what_it_must_be(job)) {
        explain_difference(job, url, &end, error);
        fetch_part_reset(job->part, NULL);
        return FALSE;
    }
    if (end.encoding && !job->digest) {
        g_autofree char *shown = transfer_shown(url);
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "%s came encoded by %s, which nobody asked for; say what it must be "
                    "by a checksum",
                    shown, end.encoding);
        fetch_part_reset(job->part, NULL);
        return FALSE;
    }
    return TRUE;
}

static JsonObject *
fetch_from_any(Job *job, GError **error)
{
    for (char **url = job->urls; *url; url++) {
        g_autoptr(GError) failure = NULL;
        if (fetch_from(job, *url, &failure))
            return answer_new(job, *url, error);
        if (!url[1]) {
            g_propagate_error(error, g_steal_pointer(&failure));
            if (url > job->urls)
                g_prefix_error(error, "none of %u places has it; the last: ",
                               g_strv_length(job->urls));
            return NULL;
        }
        g_autofree char *told = g_strdup_printf("%s; trying the next", failure->message);
        servant_side_progress(job->side, told, 0, 0);
    }
    return NULL;
}

/* ---- the order
 * ----------------------------------------------------------------------------------------
 */

static gboolean
take_order(Job *job, GError **error)
{
    JsonArray *urls = json_line_array(job->order, "urls");
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    for (guint i = 0; urls && i < json_array_get_length(urls); i++)
        g_strv_builder_add(builder, json_array_get_string_element(urls, i));
    job->urls = g_strv_builder_end(builder);
    job->most_bytes = json_line_int(job->order, "most_bytes", MOST_BYTES);
    job->stall_s = (guint)json_line_int(job->order, "stall_s", STALL_S);
    if (*job->urls)
        return TRUE;
    g_set_error_literal(error, HB_ERROR, HB_USAGE, "there is nothing to fetch");
    return FALSE;
}

static JsonObject *
work(const ServantSide *side, JsonObject *order, GError **error)
{
    g_auto(Job) job = {.side = side, .order = order};
    if (!take_order(&job, error) || !find_digest(&job, error))
        return NULL;
    JsonObject *answer = job.digest ? answer_there(&job) : NULL;
    if (answer)
        return answer;
    if (!open_part(&job, error))
        return NULL;
    answer = job.waited ? answer_there(&job) : NULL;
    return answer ? answer : fetch_from_any(&job, error);
}

int
main(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    return servant_side_run(work);
}
