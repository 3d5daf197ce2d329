/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "os-recipe.h"

#include <string.h>

#include "cache.h"
#include "error.h"
#include "install-paths.h"
#include "nearest.h"
#include "units.h"

#define KIND "bases"
#define MAXIMUM_CACHE ((goffset)8 << 30)
#define GROUP "recipe"
#define SUFFIX ".recipe"
#define MAXIMUM_DEPTH 8
#define DEFAULT_SIZE ((gint64)8 << 30)

void
os_recipe_free(OsRecipe *recipe)
{
    if (!recipe)
        return;
    g_free(recipe->id);
    g_free(recipe->name);
    g_free(recipe->debian);
    g_free(recipe->os);
    g_clear_pointer(&recipe->packages, g_ptr_array_unref);
    g_clear_pointer(&recipe->exclude, g_ptr_array_unref);
    g_clear_pointer(&recipe->modules, g_ptr_array_unref);
    g_free(recipe);
}

/* ---- where they are
 * -------------------------------------------------------------------------------- */

/* The user's own, then those that ship; owned by the caller. */
static GStrv
folders(void)
{
    const char *shipped = g_getenv("HOSTBED_RECIPES_DIR");
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_autofree char *own =
        g_build_filename(g_get_user_data_dir(), "hostbed", "recipes", NULL);
    g_strv_builder_add_many(builder, own,
                            shipped && *shipped ? shipped : PKGDATADIR "/recipes", NULL);
    return g_strv_builder_end(builder);
}

static void
list_folder(const char *path, GTree *names)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir)))
        if (g_str_has_suffix(name, SUFFIX))
            g_tree_replace(names, g_strndup(name, strlen(name) - strlen(SUFFIX)), NULL);
}

static gint
compare_names(gconstpointer a, gconstpointer b, gpointer user_data)
{
    return strcmp(a, b);
}

static gboolean
add_name(gpointer name, gpointer value, gpointer builder)
{
    g_strv_builder_add(builder, name);
    return FALSE;
}

GStrv
os_recipe_names(void)
{
    g_autoptr(GTree) names = g_tree_new_full(compare_names, NULL, g_free, NULL);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_auto(GStrv) places = folders();
    for (char **place = places; *place; place++)
        list_folder(*place, names);
    g_tree_foreach(names, add_name, builder);
    return g_strv_builder_end(builder);
}

static char *
find_file(const char *id)
{
    g_auto(GStrv) places = folders();
    g_autofree char *name = g_strconcat(id, SUFFIX, NULL);
    for (char **place = places; *place; place++) {
        g_autofree char *path = g_build_filename(*place, name, NULL);
        if (g_file_test(path, G_FILE_TEST_IS_REGULAR))
            return g_steal_pointer(&path);
    }
    return NULL;
}

/* ---- what they say
 * --------------------------------------------------------------------------------- */

static gboolean
refuse_unknown(const char *id, GError **error)
{
    g_auto(GStrv) names = os_recipe_names();
    g_autofree char *known = g_strjoinv(", ", names);
    g_autofree char *otherwise =
        g_strdup_printf("there are %s; a path has a '/' in it", *known ? known : "none");
    g_autofree char *hint =
        nearest_hint(nearest_name(id, (const char *const *)names), otherwise);
    g_set_error(error, HB_ERROR, HB_USAGE, "there is no recipe '%s'; %s", id, hint);
    return FALSE;
}

/* Words of KEY, behind those of the recipe that it comes from. */
static void
add_words(GPtrArray *words, GKeyFile *file, const char *key)
{
    g_autofree char *text = g_key_file_get_string(file, GROUP, key, NULL);
    g_auto(GStrv) parts = g_strsplit_set(text ? text : "", "; \t", -1);
    for (char **part = parts; *part; part++)
        if (**part && !g_ptr_array_find_with_equal_func(words, *part, g_str_equal, NULL))
            g_ptr_array_add(words, g_strdup(*part));
}

static gboolean
check_keys(GKeyFile *file, const char *path, GError **error)
{
    static const char *const known[] = {"name",    "from",    "debian", "os", "packages",
                                        "exclude", "modules", "size",   NULL};
    g_auto(GStrv) keys = g_key_file_get_keys(file, GROUP, NULL, NULL);
    for (char **key = keys; key && *key; key++) {
        g_autoptr(GError) failure = NULL;
        g_autofree char *value = g_key_file_get_string(file, GROUP, *key, &failure);
        if (!value || failure) { /* GLib leaves out what it cannot read */
            g_set_error(error, HB_ERROR, HB_USAGE, "%s: %s", path, failure->message);
            return FALSE;
        }
        if (g_strv_contains(known, *key))
            continue;
        g_autofree char *hint =
            nearest_hint(nearest_name(*key, known),
                         "docs/operating-systems.rst has what a recipe may say");
        g_set_error(error, HB_ERROR, HB_USAGE, "%s: there is no key '%s'; %s", path, *key,
                    hint);
        return FALSE;
    }
    return TRUE;
}

static gboolean
take_size(OsRecipe *recipe, GKeyFile *file, const char *path, GError **error)
{
    g_autofree char *text = g_key_file_get_string(file, GROUP, "size", NULL);
    if (!text || units_parse_size(text, &recipe->size_bytes, error))
        return TRUE;
    g_prefix_error(error, "%s: size '%s' ", path, text);
    return FALSE;
}

static void
take_text(char **target, GKeyFile *file, const char *key)
{
    char *text = g_key_file_get_string(file, GROUP, key, NULL);
    if (!text)
        return;
    g_free(*target);
    *target = text;
}

static gboolean
read_recipe(OsRecipe *recipe, const char *id, guint depth, GError **error)
{
    g_autofree char *path = strchr(id, '/') ? NULL : find_file(id);
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GError) failure = NULL;
    if (!path)
        return refuse_unknown(id, error);
    if (!g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, &failure) ||
        !g_key_file_has_group(file, GROUP) || depth > MAXIMUM_DEPTH) {
        g_set_error(error, HB_ERROR, HB_USAGE, "%s is no recipe: %s", path,
                    failure                 ? failure->message
                    : depth > MAXIMUM_DEPTH ? "it comes from itself, or from too many"
                                            : "it has no group [recipe]");
        return FALSE;
    }
    g_autofree char *from = g_key_file_get_string(file, GROUP, "from", NULL);
    if (!check_keys(file, path, error) ||
        (from && !read_recipe(recipe, from, depth + 1, error)) ||
        !take_size(recipe, file, path, error))
        return FALSE;
    take_text(&recipe->name, file, "name");
    take_text(&recipe->debian, file, "debian");
    take_text(&recipe->os, file, "os");
    add_words(recipe->packages, file, "packages");
    add_words(recipe->exclude, file, "exclude");
    add_words(recipe->modules, file, "modules");
    return TRUE;
}

OsRecipe *
os_recipe_load(const char *id, GError **error)
{
    g_autoptr(OsRecipe) recipe = g_new0(OsRecipe, 1);
    recipe->id = g_strdup(id);
    recipe->packages = g_ptr_array_new_with_free_func(g_free);
    recipe->exclude = g_ptr_array_new_with_free_func(g_free);
    recipe->modules = g_ptr_array_new_with_free_func(g_free);
    recipe->size_bytes = DEFAULT_SIZE;
    if (!read_recipe(recipe, id, 0, error))
        return NULL;
    if (!recipe->debian) {
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "the recipe '%s' does not say what to build; 'debian=bookworm' would",
                    id);
        return NULL;
    }
    if (!recipe->name)
        recipe->name = g_strdup(id);
    return g_steal_pointer(&recipe);
}

/* ---- the base
 * -------------------------------------------------------------------------------------
 */

static void
add_list(GString *text, const char *what, const GPtrArray *words)
{
    g_string_append(text, what);
    for (guint i = 0; i < words->len; i++)
        g_string_append_printf(text, " %s", (char *)words->pdata[i]);
    g_string_append_c(text, '\n');
}

char *
os_recipe_digest(const OsRecipe *recipe, const char *mirror)
{
    g_autoptr(GString) text = g_string_new("recipe 1\n");
    g_string_append_printf(text, "%s\n%s\n%" G_GINT64_FORMAT "\n", recipe->debian,
                           mirror ? mirror : "", recipe->size_bytes);
    add_list(text, "packages", recipe->packages);
    add_list(text, "exclude", recipe->exclude);
    add_list(text, "modules", recipe->modules);
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text->str, -1);
}

static JsonArray *
json_words(const GPtrArray *words)
{
    JsonArray *array = json_array_new();
    for (guint i = 0; i < words->len; i++)
        json_array_add_string_element(array, words->pdata[i]);
    return array;
}

static JsonNode *
order_of(const OsRecipe *recipe, const OsRecipeBuild *build, const char *output,
         const char *work)
{
    g_autoptr(JsonObject) order = json_object_new();
    json_object_set_string_member(order, "name", recipe->id);
    json_object_set_string_member(order, "debian", recipe->debian);
    json_object_set_array_member(order, "packages", json_words(recipe->packages));
    json_object_set_array_member(order, "exclude", json_words(recipe->exclude));
    json_object_set_array_member(order, "modules", json_words(recipe->modules));
    json_object_set_int_member(order, "size", recipe->size_bytes);
    if (build->mirror)
        json_object_set_string_member(order, "mirror", build->mirror);
    if (build->proxy)
        json_object_set_string_member(order, "proxy", build->proxy);
    json_object_set_string_member(order, "output", output);
    json_object_set_string_member(order, "work", work);
    return json_node_init_object(json_node_alloc(), order);
}

char *
os_recipe_base(const OsRecipe *recipe, const OsRecipeBuild *build, GError **error)
{
    g_autofree char *digest = os_recipe_digest(recipe, build->mirror);
    g_autofree char *name = g_strdup_printf("%s-%.16s.qcow2", recipe->id, digest);
    char *cached = cache_lookup(KIND, name);
    if (cached)
        return cached;
    g_autoptr(CacheWriter) writer = cache_writer_new(KIND, name, error);
    g_autoptr(CacheFolder) work = writer ? cache_folder_new(KIND, error) : NULL;
    if (!work)
        return NULL;
    g_autoptr(JsonNode) order = order_of(recipe, build, writer->temporary, work->path);
    g_autoptr(JsonObject) answer =
        servant_ask("hostbed-bootstrap", order, build->event, build->user_data,
                    build->cancellable, error);
    if (!answer)
        return NULL;
    char *path = cache_writer_commit(writer, error);
    cache_prune(KIND, MAXIMUM_CACHE);
    return path;
}
