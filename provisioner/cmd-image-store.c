/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed image list, hostbed image rm: the prepared images of this user.
 */
#include <stdio.h>
#include <string.h>

#include "cli-json.h"
#include "cmd-image.h"
#include "os-image.h"
#include "printable.h"

/* Fewer digits are a slip of the finger. */
#define KEY_LEAST 4

static JsonObject *
to_json(gconstpointer item)
{
    const OsImage *image = item;
    JsonObject *object = json_object_new();
    g_autofree char *used = cli_time_text(image->used);
    json_object_set_string_member(object, "key", image->key);
    json_object_set_string_member(object, "from", image->from);
    json_object_set_string_member(object, "os", image->os);
    json_object_set_string_member(object, "name", image->name);
    json_object_set_string_member(object, "kernel", image->release);
    json_object_set_boolean_member(object, "loader", image->has_loader);
    json_object_set_string_member(object, "created", image->created);
    json_object_set_string_member(object, "used", used);
    json_object_set_int_member(object, "capacity", image->capacity);
    json_object_set_int_member(object, "bytes", image->bytes);
    json_object_set_string_member(object, "folder", image->path);
    return object;
}

/* Names in it are somebody else's text. */
static void
print_image(const OsImage *image)
{
    g_autofree char *text =
        g_strdup_printf("%s  %s  %s", image->from, image->name, image->release);
    g_autofree char *what = printable(text, strlen(text), 200);
    g_autofree char *used = cli_time_text(image->used);
    printf("%.12s  %6" G_GINT64_FORMAT " MiB  %s  %s\n", image->key,
           (image->bytes + (1 << 19)) >> 20, used, what);
}

int
cmd_image_list(int argc, char **argv)
{
    gboolean json = FALSE;
    const GOptionEntry entries[] = {
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "As JSON", NULL}, {NULL}};
    int status;
    if (!cli_parse("image list", &argc, &argv, entries, NULL, &status))
        return status;
    if (argc > 1)
        return cli_fail_with(HB_USAGE, "'hostbed image list' takes no '%s'", argv[1]);
    g_autoptr(GError) error = NULL;
    const gint64 maximum = os_image_maximum(&error);
    if (maximum < 0)
        return cli_fail(error);
    g_autoptr(GPtrArray) list = os_image_list();
    if (json)
        cli_print_kept("images", list, to_json, maximum);
    for (guint i = 0; !json && i < list->len; i++)
        print_image(list->pdata[i]);
    return HB_OK;
}

/* ---- rm
 * --------------------------------------------------------------------------------------------
 */

/* By the first digits of its key, or by what it was made from, of which there may be
 * several. FALSE: WORD means none. */
static gboolean
choose(const GPtrArray *list, const char *word, GHashTable *chosen)
{
    gboolean is_key =
        strlen(word) >= KEY_LEAST && strspn(word, "0123456789abcdef") == strlen(word);
    guint before = g_hash_table_size(chosen);
    g_autofree char *path =
        strchr(word, '/') ? g_canonicalize_filename(word, NULL) : NULL;
    gboolean found = FALSE;
    for (guint i = 0; i < list->len; i++) {
        const OsImage *image = list->pdata[i];
        if (!g_str_equal(image->from, path ? path : word) &&
            !(is_key && g_str_has_prefix(image->key, word)))
            continue;
        g_hash_table_add(chosen, image->key);
        found = TRUE;
    }
    return found || g_hash_table_size(chosen) > before;
}

/* Says which, since a name may have meant several. */
static int
remove_chosen(const GPtrArray *list, GHashTable *chosen)
{
    int status = HB_OK;
    for (guint i = 0; i < list->len; i++) {
        const OsImage *image = list->pdata[i];
        g_autoptr(GError) error = NULL;
        if (!g_hash_table_contains(chosen, image->key))
            continue;
        if (os_image_remove(image->key, &error)) {
            g_autofree char *from = printable(image->from, strlen(image->from), 200);
            printf("removed %.12s  %s\n", image->key, from);
        } else if (hb_error_status(error) != HB_USAGE) {
            /* One that has just gone needs no removal. */
            status = cli_fail(error);
        }
    }
    return status;
}

int
cmd_image_rm(int argc, char **argv)
{
    gboolean all = FALSE;
    const GOptionEntry entries[] = {
        {"all", 0, 0, G_OPTION_ARG_NONE, &all, "All of them", NULL}, {NULL}};
    int status;
    if (!cli_parse("image rm", &argc, &argv, entries, NULL, &status))
        return status;
    if (all == (argc > 1))
        return cli_fail_with(HB_USAGE,
                             "'hostbed image rm' takes the first digits of keys, "
                             "or what images were made from, or --all; 'hostbed "
                             "image list' has them");
    os_image_prune(G_MAXINT64, NULL); /* what is damaged is none that could be named */
    g_autoptr(GPtrArray) list = os_image_list();
    g_autoptr(GHashTable) chosen = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; all && i < list->len; i++)
        g_hash_table_add(chosen, ((OsImage *)list->pdata[i])->key);
    for (int i = 1; i < argc; i++)
        if (!choose(list, argv[i], chosen))
            return cli_fail_with(HB_USAGE,
                                 "there is no image '%s'; 'hostbed image list' has them",
                                 argv[i]);
    return remove_chosen(list, chosen);
}
