/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fetch-transfer.h"

#include <string.h>

#include "error.h"
#include "printable.h"
#include "config.h"

#define HEADERS_MOST (64 * 1024)
#define REDIRECTS_MOST 8L
#define CONNECT_S 30L
#define VALIDATOR_MOST 512

typedef struct {
    const TransferRequest *request;
    const TransferWatch *watch;
    gpointer user_data;
    TransferEnd *end;
    CURL *curl;
    GError **error;
    gsize header_bytes; /* of all answers, redirections too */
    gint64 first;       /* where the server's answer begins, if it said so; else -1 */
    gint64 total;       /* of the whole file, or -1 */
    gboolean began;     /* the first piece has come */
} Transfer;

void
transfer_end_clear(TransferEnd *end)
{
    g_clear_pointer(&end->validator, g_free);
    g_clear_pointer(&end->encoding, g_free);
}

char *
transfer_shown(const char *url)
{
    const char *place = strstr(url, "://");
    place = place ? place + 3 : url;
    gsize host = strcspn(place, "/?#");
    const char *at = memchr(place, '@', host);
    for (const char *next = at; next;
         next = memchr(at + 1, '@', host - (gsize)(at + 1 - place)))
        at = next;
    g_autofree char *whole =
        at ? g_strdup_printf("%.*s%s", (int)(place - url), url, at + 1) : g_strdup(url);
    return printable(whole, strlen(whole), 300);
}

static void
    G_GNUC_PRINTF(3, 4) fail(Transfer *transfer, HbStatus status, const char *format, ...)
{
    if (*transfer->error)
        return;
    va_list args;
    va_start(args, format);
    g_autofree char *what = g_strdup_vprintf(format, args);
    va_end(args);
    g_autofree char *url = transfer_shown(transfer->request->url);
    g_set_error(transfer->error, HB_ERROR, (int)status, "%s %s", url, what);
}

/* ---- headers
 * ---------------------------------------------------------------------------------------
 */

/* The value of header NAME if LINE is that; owned by the caller. */
static char *
header_value(const char *line, gsize length, const char *name)
{
    gsize name_length = strlen(name);
    if (length <= name_length || line[name_length] != ':' ||
        g_ascii_strncasecmp(line, name, name_length) != 0)
        return NULL;
    return printable(line + name_length + 1, length - name_length - 1, VALIDATOR_MOST);
}

static void
take_validator(Transfer *transfer, char *value)
{
    /* A weak one does not promise the same bytes. */
    gboolean is_weak = g_str_has_prefix(value, "W/");
    if (!is_weak && strlen(value) <= VALIDATOR_MOST) {
        g_free(transfer->end->validator);
        transfer->end->validator = value;
    } else {
        g_free(value);
    }
}

/* "bytes 100-199/200", or "bytes * / 200" where there is nothing. */
static void
take_range(Transfer *transfer, const char *value)
{
    gint64 total = -1;
    const char *slash = strchr(value, '/');
    if (!g_str_has_prefix(value, "bytes "))
        return;
    if (g_ascii_isdigit(value[6]))
        transfer->first = g_ascii_strtoll(value + 6, NULL, 10);
    if (slash && g_ascii_isdigit(slash[1]))
        total = g_ascii_strtoll(slash + 1, NULL, 10);
    transfer->total = total;
}

static void
take_header(Transfer *transfer, const char *line, gsize length)
{
    char *etag = header_value(line, length, "ETag");
    char *date = header_value(line, length, "Last-Modified");
    g_autofree char *range = header_value(line, length, "Content-Range");
    g_autofree char *encoding = header_value(line, length, "Content-Encoding");
    if (etag)
        take_validator(transfer, etag);
    if (date && !transfer->end->validator)
        take_validator(transfer, date);
    else
        g_free(date);
    if (range)
        take_range(transfer, range);
    if (encoding && *encoding && g_ascii_strcasecmp(encoding, "identity") != 0) {
        g_free(transfer->end->encoding);
        transfer->end->encoding = g_steal_pointer(&encoding);
    }
}

static size_t
on_header(char *bytes, size_t size, size_t count, void *user_data)
{
    Transfer *transfer = user_data;
    transfer->header_bytes += size * count;
    if (transfer->header_bytes > HEADERS_MOST) {
        fail(transfer, HB_INFRASTRUCTURE, "sends headers without end");
        return 0;
    }
    if (size * count > 5 && memcmp(bytes, "HTTP/", 5) == 0) { /* the next answer */
        transfer_end_clear(transfer->end);
        transfer->first = transfer->total = -1;
    } else {
        take_header(transfer, bytes, size * count);
    }
    return size * count;
}

/* ---- the file
 * --------------------------------------------------------------------------------------
 */

static long
status_of(Transfer *transfer)
{
    long status = 0;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static gboolean
is_local(const Transfer *transfer)
{
    return g_ascii_strncasecmp(transfer->request->url, "file:", 5) == 0;
}

/* Whether what is a part of the file is the one that was asked for. */
static gboolean
is_right_part(Transfer *transfer)
{
    const TransferRequest *request = transfer->request;
    if (transfer->first >= 0 && transfer->first != request->offset) {
        fail(transfer, HB_INFRASTRUCTURE,
             "was asked for what follows byte %" G_GINT64_FORMAT
             ", and sends what follows byte %" G_GINT64_FORMAT,
             request->offset, transfer->first);
        return FALSE;
    }
    transfer->end->changed = request->validator && transfer->end->validator &&
                             strcmp(request->validator, transfer->end->validator) != 0;
    if (transfer->end->changed)
        fail(transfer, HB_INFRASTRUCTURE, "has changed while it was fetched");
    return !transfer->end->changed;
}

/* How large the whole file is, as far as that is known; and whether it begins where it
 * should. */
static gboolean
begin(Transfer *transfer)
{
    curl_off_t length = -1;
    gint64 offset = transfer->request->offset;
    gboolean is_part = status_of(transfer) == 206 || is_local(transfer);
    curl_easy_getinfo(transfer->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    transfer->began = TRUE;
    if (!is_part && status_of(transfer) != 200) {
        fail(transfer, HB_INFRASTRUCTURE, "cannot be had: the server answers %ld",
             status_of(transfer));
        return FALSE;
    }
    if (is_part && (offset > 0 || transfer->first > 0) && !is_right_part(transfer))
        return FALSE;
    if (!is_part && offset > 0 &&
        !transfer->watch->restart(transfer->user_data, transfer->error))
        return FALSE;
    if (transfer->total < 0 && length >= 0 && length <= G_MAXINT64 - offset)
        transfer->total = length + (is_part ? offset : 0);
    if (transfer->total > transfer->request->most_bytes) {
        fail(transfer, HB_INFRASTRUCTURE,
             "is larger (%" G_GINT64_FORMAT " bytes) than it may be (%" G_GINT64_FORMAT
             ")",
             transfer->total, transfer->request->most_bytes);
        return FALSE;
    }
    transfer->end->reached = is_part ? offset : 0;
    return TRUE;
}

static gboolean
has_room(Transfer *transfer, gsize size)
{
    if (transfer->end->reached + (gint64)size <= transfer->request->most_bytes)
        return TRUE;
    fail(transfer, HB_INFRASTRUCTURE,
         "does not end: it may have %" G_GINT64_FORMAT " bytes at most",
         transfer->request->most_bytes);
    return FALSE;
}

static size_t
on_bytes(char *bytes, size_t size, size_t count, void *user_data)
{
    Transfer *transfer = user_data;
    gsize all = size * count;
    if ((!transfer->began && !begin(transfer)) || !has_room(transfer, all) ||
        !transfer->watch->take(transfer->user_data, bytes, all, transfer->error))
        return all == 0 ? 1 : 0;
    transfer->end->reached += (gint64)all;
    return all;
}

static int
on_progress(void *user_data, curl_off_t total, curl_off_t now, curl_off_t up_total,
            curl_off_t up_now)
{
    Transfer *transfer = user_data;
    transfer->watch->progress(transfer->user_data, transfer->end->reached,
                              transfer->began ? transfer->total : -1);
    return 0;
}

/* ---- the request
 * ----------------------------------------------------------------------------------- */

/* What the user's own address has, and redirections: never from https to less. */
static void
allow_protocols(Transfer *transfer)
{
    g_autofree char *scheme = g_uri_parse_scheme(transfer->request->url);
    gboolean is_http = g_strcmp0(scheme, "http") == 0;
    curl_easy_setopt(transfer->curl, CURLOPT_PROTOCOLS_STR, scheme ? scheme : "https");
    curl_easy_setopt(transfer->curl, CURLOPT_REDIR_PROTOCOLS_STR,
                     is_http ? "https,http" : "https");
    /* From a file nothing leads away. */
    curl_easy_setopt(transfer->curl, CURLOPT_FOLLOWLOCATION,
                     is_local(transfer) ? 0L : 1L);
    curl_easy_setopt(transfer->curl, CURLOPT_MAXREDIRS, REDIRECTS_MOST);
}

static void
bound(Transfer *transfer)
{
    curl_easy_setopt(transfer->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(transfer->curl, CURLOPT_CONNECTTIMEOUT,
                     MIN(CONNECT_S, (long)transfer->request->stall_s));
    curl_easy_setopt(transfer->curl, CURLOPT_LOW_SPEED_LIMIT, 64L);
    curl_easy_setopt(transfer->curl, CURLOPT_LOW_SPEED_TIME,
                     (long)transfer->request->stall_s);
    curl_easy_setopt(transfer->curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(transfer->curl, CURLOPT_HTTP09_ALLOWED, 0L);
}

/* The offset, and of which file: libcurl's own resuming takes what comes for what was
 * asked for. Owned by the caller. */
static struct curl_slist *
ask_for_rest(Transfer *transfer)
{
    const TransferRequest *request = transfer->request;
    if (request->offset == 0)
        return NULL;
    g_autofree char *range = g_strdup_printf("%" G_GINT64_FORMAT "-", request->offset);
    curl_easy_setopt(transfer->curl, CURLOPT_RANGE, range);
    g_autofree char *if_range = g_strdup_printf("If-Range: %s", request->validator);
    return request->validator && !is_local(transfer) ? curl_slist_append(NULL, if_range)
                                                     : NULL;
}

static CURLcode
perform(Transfer *transfer, char *words)
{
    CURL *curl = transfer->curl;
    curl_easy_setopt(curl, CURLOPT_URL, transfer->request->url);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "hostbed/" PACKAGE_VERSION);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, transfer);
    if (transfer->request->cacert)
        curl_easy_setopt(curl, CURLOPT_CAINFO, transfer->request->cacert);
    allow_protocols(transfer);
    bound(transfer);
    struct curl_slist *headers = ask_for_rest(transfer);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    CURLcode code = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    return code;
}

/* What may be well in a moment, or with what came already. */
static gboolean
is_passing(CURLcode code, long status)
{
    return code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR ||
           code == CURLE_SEND_ERROR || code == CURLE_GOT_NOTHING ||
           code == CURLE_HTTP2_STREAM ||
           (code == CURLE_HTTP_RETURNED_ERROR && status >= 500);
}

static void
explain(Transfer *transfer, CURLcode code, const char *words)
{
    long status = status_of(transfer);
    g_autofree char *told = printable(words, strlen(words), 300);
    const char *why = *told ? told : curl_easy_strerror(code);
    transfer->end->may_resume = is_passing(code, status) && !*transfer->error;
    transfer->end->past_end = status == 416;
    if (code == CURLE_HTTP_RETURNED_ERROR)
        fail(transfer, HB_INFRASTRUCTURE, "cannot be had: the server answers %ld",
             status);
    else if (code == CURLE_OPERATION_TIMEDOUT && transfer->header_bytes > 0)
        fail(transfer, HB_INFRASTRUCTURE, "has sent next to nothing for %u s",
             transfer->request->stall_s);
    else if (code == CURLE_PARTIAL_FILE)
        fail(transfer, HB_INFRASTRUCTURE, "was cut after %" G_GINT64_FORMAT " bytes",
             transfer->end->reached);
    else if (code == CURLE_UNSUPPORTED_PROTOCOL && status / 100 == 3)
        fail(transfer, HB_INFRASTRUCTURE, "leads to where nobody asked to go: %s", why);
    else
        fail(transfer, HB_INFRASTRUCTURE, "cannot be fetched: %s", why);
}

gboolean
transfer_run(const TransferRequest *request, const TransferWatch *watch,
             gpointer user_data, TransferEnd *end, GError **error)
{
    char words[CURL_ERROR_SIZE] = "";
    g_autoptr(CURL) curl = curl_easy_init();
    Transfer transfer = {.request = request,
                         .watch = watch,
                         .user_data = user_data,
                         .end = end,
                         .curl = curl,
                         .error = error,
                         .first = -1,
                         .total = -1};
    if (!curl) {
        g_set_error_literal(error, HB_ERROR, HB_INFRASTRUCTURE, "libcurl cannot start");
        return FALSE;
    }
    end->reached = request->offset;
    CURLcode code = perform(&transfer, words);
    /* An empty file comes without a piece. */
    if (code == CURLE_OK && !transfer.began && !begin(&transfer))
        return FALSE;
    if (code != CURLE_OK)
        explain(&transfer, code, words);
    return code == CURLE_OK;
}
