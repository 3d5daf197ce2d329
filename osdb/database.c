/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "database.h"

#include <string.h>

#include "error.h"
#include "install-paths.h"
#include "nearest.h"
#include "os-database.h"

#define NEAREST_MAX 3

static void
folder_free(gpointer data)
{
    DatabaseFolder *folder = data;
    g_free(folder->path);
    g_free(folder->digest);
    g_free(folder);
}

void
database_free(Database *database)
{
    if (!database)
        return;
    g_clear_pointer(&database->folders, g_ptr_array_unref);
    g_clear_object(&database->all_loader);
    g_clear_object(&database->own_loader);
    g_free(database);
}

/* ---- reading ---------------------------------------------------------------------- */

/* Takes PATH. */
static DatabaseFolder *
add_folder(Database *database, const char *what, char *path)
{
    DatabaseFolder *folder = g_new0(DatabaseFolder, 1);
    folder->what = what;
    folder->path = path;
    folder->digest = os_database_digest(path);
    g_ptr_array_add(database->folders, folder);
    return folder;
}

static char *
folder_or(const char *variable, const char *otherwise)
{
    const char *given = g_getenv(variable);
    return g_strdup(given ? given : otherwise);
}

/* Where libosinfo will look, which it tells nobody (its pkg-config file names folders of
 * old): as its loader decides it (osinfo_loader.c of 1.8 and later). */
static void
add_folders_of_libosinfo(Database *database)
{
    g_autofree char *user =
        g_build_filename(g_get_user_config_dir(), "osinfo", NULL);
    add_folder(database, "system", folder_or("OSINFO_SYSTEM_DIR", "/usr/share/osinfo"));
    add_folder(database, "local", folder_or("OSINFO_LOCAL_DIR", "/etc/osinfo"));
    add_folder(database, "user", folder_or("OSINFO_USER_DIR", user));
}

static gboolean
read_own(OsinfoLoader *loader, const char *path, GError **error)
{
    g_autoptr(GError) failure = NULL;
    osinfo_loader_process_path(loader, path, &failure);
    if (!failure)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                "the database %s cannot be read: %s; it is installed with hostbed, or "
                "named by HOSTBED_OSDB_DIR",
                path, failure->message);
    return FALSE;
}

/* What refers to what nobody defines, which libosinfo warns of, is as good as not there.
 */
static GLogWriterOutput
write_no_warnings(GLogLevelFlags level, const GLogField *fields, gsize count,
                  gpointer user_data)
{
    return level & (G_LOG_FLAG_FATAL | G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL)
               ? g_log_writer_default(level, fields, count, user_data)
               : G_LOG_WRITER_HANDLED;
}

Database *
database_open(GError **error)
{
    g_log_set_writer_func(write_no_warnings, NULL, NULL);
    g_autoptr(Database) database = g_new0(Database, 1);
    database->folders = g_ptr_array_new_with_free_func(folder_free);
    add_folders_of_libosinfo(database);
    DatabaseFolder *own = add_folder(
        database, "own", folder_or("HOSTBED_OSDB_DIR", PKGDATADIR "/osdb/data"));

    database->all_loader = osinfo_loader_new();
    database->own_loader = osinfo_loader_new();
    g_autoptr(GError) failure = NULL;
    osinfo_loader_process_default_path(database->all_loader, &failure);
    if (failure) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "libosinfo's database cannot be read: %s; packages osinfo-db and "
                    "pci.ids (hwdata on Fedora) have it",
                    failure->message);
        return NULL;
    }
    if (!read_own(database->all_loader, own->path, error) ||
        !read_own(database->own_loader, own->path, error))
        return NULL;
    database->all = osinfo_loader_get_db(database->all_loader);
    database->own = osinfo_loader_get_db(database->own_loader);
    return g_steal_pointer(&database);
}

/* ---- finding ---------------------------------------------------------------------- */

GPtrArray *
database_short_ids(OsinfoOs *os)
{
    GPtrArray *ids = g_ptr_array_new_with_free_func(g_free);
    GList *list = osinfo_product_get_short_id_list(OSINFO_PRODUCT(os));
    /* What two databases tell of is there twice. */
    for (GList *id = list; id; id = id->next)
        if (!g_ptr_array_find_with_equal_func(ids, id->data, g_str_equal, NULL))
            g_ptr_array_add(ids, g_strdup(id->data));
    g_list_free(list);
    return ids;
}

/* What others refer to only has no name. */
static gboolean
is_described(OsinfoOs *os)
{
    return osinfo_product_get_short_id(OSINFO_PRODUCT(os)) != NULL;
}

static gboolean
is_called(OsinfoOs *os, const char *word)
{
    g_autoptr(GPtrArray) ids = database_short_ids(os);
    return g_ptr_array_find_with_equal_func(ids, word, g_str_equal, NULL);
}

static OsinfoOs *
find_by_short_id(OsinfoDb *db, const char *word)
{
    g_autoptr(OsinfoOsList) list = osinfo_db_get_os_list(db);
    for (int i = 0; i < osinfo_list_get_length(OSINFO_LIST(list)); i++) {
        OsinfoEntity *os = osinfo_list_get_nth(OSINFO_LIST(list), i);
        if (is_called(OSINFO_OS(os), word))
            return OSINFO_OS(os);
    }
    return NULL;
}

OsinfoOs *
database_find(const Database *database, const char *word)
{
    OsinfoOs *os = osinfo_db_get_os(database->all, word);
    if (os && is_described(os))
        return os;
    OsinfoOs *own = find_by_short_id(database->own, word);
    return own ? osinfo_db_get_os(database->all, osinfo_entity_get_id(OSINFO_ENTITY(own)))
               : find_by_short_id(database->all, word);
}

OsinfoOs *
database_find_own(const Database *database, OsinfoOs *os)
{
    return osinfo_db_get_os(database->own, osinfo_entity_get_id(OSINFO_ENTITY(os)));
}

/* ---- all of them ------------------------------------------------------------------ */

static gint
compare_systems(gconstpointer a, gconstpointer b)
{
    OsinfoProduct *const *x = a, *const *y = b;
    return strverscmp(osinfo_product_get_short_id(*x), osinfo_product_get_short_id(*y));
}

GPtrArray *
database_systems(const Database *database)
{
    GPtrArray *systems = g_ptr_array_new();
    g_autoptr(OsinfoOsList) list = osinfo_db_get_os_list(database->all);
    for (int i = 0; i < osinfo_list_get_length(OSINFO_LIST(list)); i++) {
        OsinfoEntity *os = osinfo_list_get_nth(OSINFO_LIST(list), i);
        if (is_described(OSINFO_OS(os)))
            g_ptr_array_add(systems, os);
    }
    g_ptr_array_sort(systems, compare_systems);
    return systems;
}

static gsize
common_length(const char *a, const char *b)
{
    gsize length = 0;
    while (a[length] && a[length] == b[length])
        length++;
    return length;
}

/* Those that begin as WORD does first, of these those that go on with a number, and of
 * these the newest: equally near are many. */
static gint
compare_likely(gconstpointer a, gconstpointer b, gpointer word)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    gsize m = common_length(word, x), n = common_length(word, y);
    if (m == n && !g_ascii_isdigit(x[m]) != !g_ascii_isdigit(y[n]))
        return g_ascii_isdigit(x[m]) ? -1 : 1;
    return m != n ? (m > n ? -1 : 1) : strverscmp(y, x);
}

/* Names of the kind that WORD is of; each owned by the result, which ends with NULL. */
static GPtrArray *
names_like(const Database *database, const char *word)
{
    gboolean is_uri = strstr(word, "://") != NULL;
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) systems = database_systems(database);
    for (guint i = 0; i < systems->len; i++) {
        OsinfoOs *os = g_ptr_array_index(systems, i);
        if (is_uri) {
            g_ptr_array_add(names, g_strdup(osinfo_entity_get_id(OSINFO_ENTITY(os))));
            continue;
        }
        g_autoptr(GPtrArray) ids = database_short_ids(os);
        for (guint j = 0; j < ids->len; j++)
            g_ptr_array_add(names, g_strdup(ids->pdata[j]));
    }
    g_ptr_array_sort_with_data(names, compare_likely, (gpointer)word);
    g_ptr_array_add(names, NULL);
    return names;
}

/* Two letters begin many names. */
#define BEGINNING_MIN 3

/* Moves those of NAMES that begin with WORD, the newest first, to NEAREST. */
static void
take_longer(GPtrArray *nearest, GPtrArray *names, const char *word)
{
    const gsize length = strlen(word);
    while (length >= BEGINNING_MIN && nearest->len < NEAREST_MAX && names->len > 1 &&
           g_ascii_strncasecmp(names->pdata[0], word, length) == 0)
        g_ptr_array_add(nearest, g_ptr_array_steal_index(names, 0));
}

GPtrArray *
database_nearest(const Database *database, const char *word)
{
    GPtrArray *nearest = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) names = names_like(database, word);
    take_longer(nearest, names, word);
    while (nearest->len < NEAREST_MAX) {
        const char *name = nearest_name(word, (const char *const *)names->pdata);
        guint index;
        if (!name || !g_ptr_array_find(names, name, &index))
            break;
        g_ptr_array_add(nearest, g_strdup(name));
        g_ptr_array_remove_index(names, index);
    }
    return nearest;
}
