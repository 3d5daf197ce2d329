/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fetch.h"

#include <string.h>

#include "checksums.h"
#include "error.h"
#include "fetch-store.h"
#include "json-line.h"

void
fetched_free(Fetched *fetched)
{
    if (!fetched)
        return;
    g_free(fetched->path);
    g_free(fetched->sha256);
    g_free(fetched->url);
    g_free(fetched);
}

char *
fetch_file_name(const char *url)
{
    gsize length = strcspn(url, "?#");
    g_autofree char *place = g_strndup(url, length);
    const char *slash = strrchr(place, '/');
    g_autofree char *name = g_uri_unescape_string(slash ? slash + 1 : place, "/");
    return g_strdup(name ? name : slash ? slash + 1 : place);
}

static gboolean
has_scheme(const char *url, const char *scheme)
{
    gsize length = strlen(scheme);
    return g_ascii_strncasecmp(url, scheme, length) == 0 &&
           strncmp(url + length, "://", 3) == 0;
}

static gboolean
refuse(GError **error, const char *url, const char *why)
{
    g_set_error(error, HB_ERROR, HB_USAGE, "'%s' %s", url, why);
    return FALSE;
}

static gboolean
check_url(const char *url, gboolean has_checksum, GError **error)
{
    if (!has_scheme(url, "https") && !has_scheme(url, "http") && !has_scheme(url, "file"))
        return refuse(
            error, url,
            "is no address that can be fetched; there are https://, http:// and "
            "file://");
    if (has_scheme(url, "http") && !has_checksum)
        return refuse(
            error, url,
            "can be changed by whoever is on the way; use https, or say what it "
            "must be by --sha256 or --sha512");
    for (const char *at = url; *at; at++)
        if ((guchar)*at <= ' ' || *at == 127)
            return refuse(error, url, "has a blank or control character in it");
    return TRUE;
}

static gboolean
check_request(const FetchRequest *request, GError **error)
{
    gboolean has_checksum =
        request->sha256 || request->sha512 ||
        (request->checksums && !has_scheme(request->checksums, "http"));
    for (const char *const *url = request->urls; *url; url++)
        if (!check_url(*url, has_checksum, error))
            return FALSE;
    return !request->checksums || check_url(request->checksums, FALSE, error);
}

/* What is there of what the request pins, or of its first address when offline. */
static char *
recall(const FetchRequest *request)
{
    if (request->sha256)
        return g_strdup(request->sha256);
    if (request->sha512) {
        g_autofree char *name = g_strconcat("sha512:", request->sha512, NULL);
        return fetch_store_recall(name);
    }
    return request->offline ? fetch_store_recall(request->urls[0]) : NULL;
}

static Fetched *
find_cached(const FetchRequest *request)
{
    gint64 bytes = 0;
    g_autofree char *sha256 = recall(request);
    g_autofree char *path = sha256 ? fetch_store_find(sha256, &bytes) : NULL;
    if (!path)
        return NULL;
    Fetched *fetched = g_new0(Fetched, 1);
    fetched->path = g_steal_pointer(&path);
    fetched->sha256 = g_steal_pointer(&sha256);
    fetched->bytes = bytes;
    return fetched;
}

static void
set_text(JsonObject *object, const char *member, const char *text)
{
    if (text)
        json_object_set_string_member(object, member, text);
}

static JsonNode *
make_order(const FetchRequest *request)
{
    JsonArray *urls = json_array_new();
    for (const char *const *url = request->urls; *url; url++)
        json_array_add_string_element(urls, *url);
    JsonObject *order = json_object_new();
    json_object_set_array_member(order, "urls", urls);
    set_text(order, "sha256", request->sha256);
    set_text(order, "sha512", request->sha512);
    set_text(order, "checksums", request->checksums);
    set_text(order, "cacert", request->cacert);
    if (request->most_bytes > 0)
        json_object_set_int_member(order, "most_bytes", request->most_bytes);
    if (request->stall_s > 0)
        json_object_set_int_member(order, "stall_s", request->stall_s);
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);
    json_node_take_object(node, order);
    return node;
}

static Fetched *
take_answer(JsonObject *answer, GError **error)
{
    const char *path = json_line_string(answer, "path");
    const char *sha256 = json_line_string(answer, "sha256");
    if (!path || !sha256) {
        g_set_error_literal(error, HB_ERROR, HB_INFRASTRUCTURE,
                            "hostbed-fetch does not say what it has fetched");
        return NULL;
    }
    Fetched *fetched = g_new0(Fetched, 1);
    fetched->path = g_strdup(path);
    fetched->sha256 = g_strdup(sha256);
    fetched->url = g_strdup(json_line_string(answer, "url"));
    fetched->bytes = json_line_int(answer, "bytes", 0);
    return fetched;
}

Fetched *
fetch_file(const FetchRequest *request, ServantEvent event, gpointer user_data,
           GCancellable *cancellable, GError **error)
{
    if (!check_request(request, error))
        return NULL;
    Fetched *fetched = find_cached(request);
    if (fetched)
        return fetched;
    if (request->offline) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "'%s' is not in the cache, and nothing may be fetched",
                    request->urls[0]);
        return NULL;
    }
    g_autoptr(JsonNode) order = make_order(request);
    g_autoptr(JsonObject) answer =
        servant_ask("hostbed-fetch", order, event, user_data, cancellable, error);
    return answer ? take_answer(answer, error) : NULL;
}
