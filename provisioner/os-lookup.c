/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Kept is the answer to one order with the databases that it is from, as hostbed-osinfo
 * gives it. So a word is looked up without knowing where libosinfo has its databases.
 */
#include "os-lookup.h"

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "error.h"
#include "json-line.h"
#include "libexec.h"
#include "os-database.h"
#include "os-recipe.h"
#include "servant.h"

#define PROGRAM "hostbed-osinfo"
#define CACHE_KIND "osinfo"
#define CACHE_MAX_BYTES (16 * 1024 * 1024)
/* Counts up when what is asked or answered changes its form. */
#define REVISION 1
/* It reads some thousand small files; a machine that is busy takes long. */
#define SILENCE_MS (120 * 1000)
/* Of a lab; each that is not known is compared with all names there are. */
#define WORDS_MAX 256
/* All that a database knows is some 200 kB. */
#define FILE_MAX_BYTES (16 * 1024 * 1024)

static gboolean
is_cancelled(void)
{
    return g_cancellable_is_cancelled(g_cancellable_get_current());
}

/* ---- what is kept ----------------------------------------------------------------- */

/* What decides where libosinfo looks, and who asks it. */
static char *
surroundings(void)
{
    static const char *const variables[] = {
        "OSINFO_SYSTEM_DIR", "OSINFO_LOCAL_DIR", "OSINFO_USER_DIR",
        "OSINFO_DATA_DIR",   "HOSTBED_OSDB_DIR", NULL,
    };
    GString *text = g_string_new(g_get_user_config_dir());
    for (guint i = 0; variables[i]; i++)
        g_string_append_printf(text, "\n%s", g_getenv(variables[i]));
    struct stat about;
    g_autofree char *program = libexec_path(PROGRAM);
    if (stat(program, &about) == 0)
        g_string_append_printf(text, "\n%s %jd %jd.%09ld", program,
                               (intmax_t)about.st_size, (intmax_t)about.st_mtim.tv_sec,
                               about.st_mtim.tv_nsec);
    return g_string_free(text, FALSE);
}

static char *
entry_name(const char *question)
{
    g_autofree char *around = surroundings();
    g_autofree char *all =
        g_strdup_printf("%d %s\n%s\n%s", REVISION, OS_ARCH, around, question);
    g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, all, -1);
    return g_strconcat(sum, ".json", NULL);
}

/* One folder of "databases", as it is now; DIGESTS has those that were looked at. */
static gboolean
is_unchanged(JsonObject *folder, GHashTable *digests)
{
    const char *path = json_line_string(folder, "path");
    if (!path)
        return FALSE;
    if (!g_hash_table_contains(digests, path))
        g_hash_table_insert(digests, g_strdup(path), os_database_digest(path));
    return g_strcmp0(json_line_string(folder, "digest"),
                     g_hash_table_lookup(digests, path)) == 0;
}

static gboolean
is_current(JsonObject *kept, GHashTable *digests)
{
    JsonArray *folders = json_line_array(kept, "databases");
    guint count = folders ? json_array_get_length(folders) : 0;
    for (guint i = 0; i < count; i++) {
        JsonObject *folder = json_line_element(folders, i);
        if (!folder || !is_unchanged(folder, digests))
            return FALSE;
    }
    return count > 0;
}

/* The answer to QUESTION that was kept, if it still holds; released by the caller. */
static JsonObject *
read_kept(const char *question, GHashTable *digests)
{
    g_autofree char *name = entry_name(question);
    g_autofree char *path = cache_lookup(CACHE_KIND, name);
    g_autofree char *text = NULL;
    gsize length;
    if (!path || !g_file_get_contents(path, &text, &length, NULL) ||
        length > FILE_MAX_BYTES)
        return NULL;
    g_autoptr(JsonObject) kept = json_line_parse_object(text, length);
    return kept && is_current(kept, digests) ? g_steal_pointer(&kept) : NULL;
}

/* A cache that cannot be written only costs time. */
static void
keep(const char *question, JsonObject *answer)
{
    g_autofree char *name = entry_name(question);
    g_autoptr(CacheWriter) writer = cache_writer_new(CACHE_KIND, name, NULL);
    if (!writer || !json_line_write(writer->fd, json_object_ref(answer)))
        return;
    g_autofree char *path = cache_writer_commit(writer, NULL);
    if (path)
        cache_prune(CACHE_KIND, CACHE_MAX_BYTES);
}

static GHashTable *
digests_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

/* ---- what is asked ---------------------------------------------------------------- */

/* Takes ORDER. The program that is not there is one of those that ./quickstart images
 * builds. */
static JsonObject *
ask(JsonObject *order, GError **error)
{
    g_autofree char *program = libexec_path(PROGRAM);
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    json_object_set_string_member(order, "arch", OS_ARCH);
    json_node_take_object(node, order);
    if (access(program, X_OK) != 0) {
        g_set_error_literal(error, HB_ERROR, HB_UNSUPPORTED,
                            "this hostbed was built without libosinfo; './quickstart "
                            "images' installs what is needed and builds it again");
        return NULL;
    }
    ServantLimits limits = SERVANT_LIMITS;
    limits.silence_ms = SILENCE_MS;
    return servant_ask_within(&limits, PROGRAM, node, NULL, NULL,
                              g_cancellable_get_current(), error);
}

static void
ask_words(GPtrArray *words, JsonObject **answer, GError **error)
{
    JsonArray *array = json_array_new();
    for (guint i = 0; i < words->len; i++)
        json_array_add_string_element(array, words->pdata[i]);
    JsonObject *order = json_object_new();
    json_object_set_array_member(order, "os", array);
    *answer = ask(order, error);
}

/* SYSTEM of ANSWER for itself, to be kept. */
static JsonObject *
single(JsonObject *answer, JsonObject *system)
{
    JsonObject *alone = json_object_new();
    JsonArray *systems = json_array_new();
    json_array_add_object_element(systems, json_object_ref(system));
    json_object_set_array_member(alone, "databases",
                                 json_array_ref(json_line_array(answer, "databases")));
    json_object_set_array_member(alone, "systems", systems);
    return alone;
}

/* Adds those of ANSWER that are about a word asked (char * → JsonObject), and keeps what
 * is known: names that nobody has would fill the cache. */
static void
take_systems(JsonObject *answer, GHashTable *found, gboolean is_new)
{
    JsonArray *systems = json_line_array(answer, "systems");
    for (guint i = 0; systems && i < json_array_get_length(systems); i++) {
        JsonObject *system = json_line_element(systems, i);
        const char *asked = system ? json_line_string(system, "asked") : NULL;
        if (!asked)
            continue;
        g_hash_table_insert(found, g_strdup(asked), json_object_ref(system));
        if (!is_new || !json_object_has_member(system, "facts") ||
            !json_line_array(answer, "databases"))
            continue;
        g_autoptr(JsonObject) alone = single(answer, system);
        keep(asked, alone);
    }
}

/* char * → JsonObject as hostbed-osinfo tells of each of WORDS. NULL: what is not kept
 * could not be asked. */
static GHashTable *
find_systems(const GPtrArray *words, GError **error)
{
    g_autoptr(GHashTable) found = g_hash_table_new_full(
        g_str_hash, g_str_equal, g_free, (GDestroyNotify)json_object_unref);
    g_autoptr(GHashTable) digests = digests_new();
    g_autoptr(GPtrArray) missing = g_ptr_array_new();
    for (guint i = 0; i < words->len; i++) {
        g_autoptr(JsonObject) kept = read_kept(words->pdata[i], digests);
        if (kept)
            take_systems(kept, found, FALSE);
        if (!g_hash_table_contains(found, words->pdata[i]))
            g_ptr_array_add(missing, words->pdata[i]);
    }
    if (missing->len > 0) {
        g_autoptr(JsonObject) answer = NULL;
        ask_words(missing, &answer, error);
        if (!answer)
            return NULL;
        take_systems(answer, found, TRUE);
    }
    return g_steal_pointer(&found);
}

/* ---- answers ---------------------------------------------------------------------- */

static GPtrArray *
nearest_of(JsonObject *system)
{
    GPtrArray *nearest = g_ptr_array_new_with_free_func(g_free);
    JsonArray *array = json_line_array(system, "nearest");
    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonNode *node = json_array_get_element(array, i);
        const char *name =
            JSON_NODE_HOLDS_VALUE(node) ? json_node_get_string(node) : NULL;
        if (name)
            g_ptr_array_add(nearest, g_strdup(name));
    }
    return nearest;
}

/* SYSTEM may be NULL: it was not told of. */
static OsAnswer *
answer_of(JsonObject *system)
{
    g_autoptr(GError) error = NULL;
    OsAnswer *answer = g_new0(OsAnswer, 1);
    JsonObject *facts = system ? json_line_object(system, "facts") : NULL;
    if (facts)
        answer->facts = os_facts_from_json(facts, &error);
    else if (system && json_line_array(system, "nearest"))
        answer->nearest = nearest_of(system);
    if (!answer->facts && !answer->nearest)
        answer->reason = g_strdup(error ? error->message : PROGRAM " said nothing of it");
    return answer;
}

/* The system that the image of HOST, which names none, is built of; NULL: that is not
 * known. Owned by the caller. */
static char *
system_of_image(const LabHost *host)
{
    const char *from = host->image ? host->image->from : NULL;
    g_autoptr(OsRecipe) recipe =
        from && !strchr(from, '/') ? os_recipe_load(from, NULL) : NULL;
    return recipe ? g_steal_pointer(&recipe->os) : NULL;
}

/* char * → char *: names by which answers are found → words to ask for; the first
 * WORDS_MAX. */
static GHashTable *
names_of(const Lab *lab)
{
    GHashTable *names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (guint i = 0; i < lab->hosts->len && g_hash_table_size(names) < WORDS_MAX; i++) {
        const LabHost *host = g_ptr_array_index(lab->hosts, i);
        const char *name = host->os ? host->os : host->image ? host->image->from : NULL;
        if (!name || g_hash_table_contains(names, name))
            continue;
        char *word = host->os ? g_strdup(host->os) : system_of_image(host);
        if (word)
            g_hash_table_insert(names, g_strdup(name), word);
    }
    return names;
}

static gint
compare_words(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Each once, by the alphabet; borrowed. */
static GPtrArray *
words_of(GHashTable *names)
{
    GPtrArray *words = g_ptr_array_new();
    GHashTableIter iter;
    gpointer word;
    g_hash_table_iter_init(&iter, names);
    while (g_hash_table_iter_next(&iter, NULL, &word))
        if (!g_ptr_array_find_with_equal_func(words, word, g_str_equal, NULL))
            g_ptr_array_add(words, word);
    g_ptr_array_sort(words, compare_words);
    return words;
}

/* SYSTEMS is NULL where nothing could be asked, as FAILURE says. */
static OsAnswer *
answer_for(const char *word, GHashTable *systems, const GError *failure)
{
    if (systems)
        return answer_of(g_hash_table_lookup(systems, word));
    OsAnswer *answer = g_new0(OsAnswer, 1);
    answer->reason = g_strdup(failure->message);
    return answer;
}

GHashTable *
os_lookup_lab(const Lab *lab, GError **error)
{
    g_autoptr(GHashTable) names = names_of(lab);
    g_autoptr(GPtrArray) words = words_of(names);
    if (words->len == 0)
        return NULL;
    g_autoptr(GError) failure = NULL;
    g_autoptr(GHashTable) systems = find_systems(words, &failure);
    if (is_cancelled()) {
        g_set_error_literal(error, HB_ERROR, HB_INTERRUPTED,
                            "interrupted while operating systems were looked up");
        return NULL;
    }
    GHashTable *answers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                                (GDestroyNotify)os_answer_free);
    GHashTableIter iter;
    gpointer name, word;
    g_hash_table_iter_init(&iter, names);
    while (g_hash_table_iter_next(&iter, &name, &word))
        if (systems || strcmp(word, OS_HOSTBED) != 0)
            g_hash_table_insert(answers, g_strdup(name),
                                answer_for(word, systems, failure));
    return answers;
}

static void
refuse(const char *word, JsonObject *system, GError **error)
{
    g_autoptr(OsAnswer) answer = answer_of(system);
    if (answer->reason) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "%s: %s", word, answer->reason);
        return;
    }
    g_autofree char *hint = os_answer_hint(answer);
    g_set_error(error, HB_ERROR, HB_USAGE, "no operating system is called %s; %s", word,
                hint);
}

JsonObject *
os_lookup_json(const char *word, GError **error)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    g_ptr_array_add(words, (gpointer)word);
    g_autoptr(GHashTable) systems = find_systems(words, error);
    if (!systems)
        return NULL;
    JsonObject *system = g_hash_table_lookup(systems, word);
    JsonObject *facts = system ? json_line_object(system, "facts") : NULL;
    if (facts)
        return json_object_ref(facts);
    refuse(word, system, error);
    return NULL;
}

OsFacts *
os_lookup(const char *word, GError **error)
{
    g_autoptr(JsonObject) facts = os_lookup_json(word, error);
    return facts ? os_facts_from_json(facts, error) : NULL;
}

/* ---- all there is ----------------------------------------------------------------- */

/* A question that no word of a lab is. */
#define QUESTION_ALL "*"

static JsonArray *
all(const char *member, GError **error)
{
    g_autoptr(GHashTable) digests = digests_new();
    g_autoptr(JsonObject) answer = read_kept(QUESTION_ALL, digests);
    if (!answer) {
        JsonObject *order = json_object_new();
        json_object_set_boolean_member(order, "list", TRUE);
        answer = ask(order, error);
        if (!answer)
            return NULL;
        keep(QUESTION_ALL, answer);
    }
    JsonArray *array = json_line_array(answer, member);
    if (array)
        return json_array_ref(array);
    g_set_error_literal(error, HB_ERROR, HB_INFRASTRUCTURE,
                        PROGRAM " did not say which systems there are");
    return NULL;
}

JsonArray *
os_lookup_all(GError **error)
{
    return all("systems", error);
}

JsonArray *
os_lookup_databases(GError **error)
{
    return all("databases", error);
}
