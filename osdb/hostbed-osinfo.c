/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Asks libosinfo about operating systems, on hostbed's order (servant-side.h):
 *
 *   {"os": ["debian12", …], "arch": "x86_64"}   facts of each, or the nearest names
 *   {"list": true, "arch": "x86_64"}            all systems, briefly
 *
 * The answer has "databases", the folders that were read and what they were like, so that
 * hostbed knows when it has to ask again; and "systems", in the order asked: {"asked": …,
 * "facts": {…}} or {"asked": …, "nearest": […]}.
 */
#include <string.h>

#include "database.h"
#include "describe.h"
#include "error.h"
#include "json-line.h"
#include "servant-side.h"

/* A lab names a few. */
#define WORDS_MAX 4096

static JsonArray *
tell_folders(const Database *database)
{
    JsonArray *array = json_array_new();
    for (guint i = 0; i < database->folders->len; i++) {
        const DatabaseFolder *folder = g_ptr_array_index(database->folders, i);
        JsonObject *object = json_object_new();
        json_object_set_string_member(object, "what", folder->what);
        json_object_set_string_member(object, "path", folder->path);
        if (folder->digest)
            json_object_set_string_member(object, "digest", folder->digest);
        json_array_add_object_element(array, object);
    }
    return array;
}

static JsonObject *
tell_system(const Database *database, const char *word, const char *arch)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "asked", word);
    OsinfoOs *os = database_find(database, word);
    if (os) {
        json_object_set_object_member(object, "facts", describe_os(database, os, arch));
        return object;
    }
    JsonArray *array = json_array_new();
    g_autoptr(GPtrArray) nearest = database_nearest(database, word);
    for (guint i = 0; i < nearest->len; i++)
        json_array_add_string_element(array, nearest->pdata[i]);
    json_object_set_array_member(object, "nearest", array);
    return object;
}

static JsonArray *
tell_asked(const Database *database, JsonArray *words, const char *arch)
{
    JsonArray *systems = json_array_new();
    for (guint i = 0; i < json_array_get_length(words); i++) {
        JsonNode *node = json_array_get_element(words, i);
        const char *word =
            JSON_NODE_HOLDS_VALUE(node) ? json_node_get_string(node) : NULL;
        if (word)
            json_array_add_object_element(systems, tell_system(database, word, arch));
    }
    return systems;
}

static JsonArray *
tell_all(const Database *database, const char *arch)
{
    JsonArray *systems = json_array_new();
    g_autoptr(GPtrArray) all = database_systems(database);
    for (guint i = 0; i < all->len; i++)
        json_array_add_object_element(systems, describe_briefly(all->pdata[i], arch));
    return systems;
}

static JsonObject *
work(const ServantSide *side, JsonObject *order, GError **error)
{
    JsonArray *words = json_line_array(order, "os");
    const char *arch = json_line_string(order, "arch");
    gboolean list = json_object_has_member(order, "list");
    if (!arch || (!words && !list) ||
        (words && json_array_get_length(words) > WORDS_MAX)) {
        g_set_error_literal(error, HB_ERROR, HB_USAGE,
                            "the order names no system; it is {\"os\": [\"ID\"], "
                            "\"arch\": \"x86_64\"} or {\"list\": true, \"arch\": …}");
        return NULL;
    }
    g_autoptr(Database) database = database_open(error);
    if (!database)
        return NULL;
    JsonObject *answer = json_object_new();
    json_object_set_array_member(answer, "databases", tell_folders(database));
    json_object_set_array_member(answer, "systems",
                                 list ? tell_all(database, arch)
                                      : tell_asked(database, words, arch));
    return answer;
}

#ifdef __SANITIZE_ADDRESS__
/* libosinfo 1.10 keeps some words of each file that it has loaded; its stack is only seen
 * by the slow way. */
const char *__asan_default_options(void);
const char *__lsan_default_suppressions(void);

const char *
__asan_default_options(void)
{
    return "fast_unwind_on_malloc=0:print_suppressions=0";
}

const char *
__lsan_default_suppressions(void)
{
    return "leak:osinfo_loader_process_*\n";
}
#endif

int
main(void)
{
    return servant_side_run(work);
}
