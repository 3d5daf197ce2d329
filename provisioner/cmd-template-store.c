/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed template list, rm, prune: what is in the store.
 */
#include <stdio.h>
#include <string.h>

#include "cli-json.h"
#include "cmd-template.h"
#include "printable.h"
#include "template-key.h"
#include "template-store.h"
#include "units.h"

/* ---- list
 * -----------------------------------------------------------------------------------------
 */

static const char *
accelerator(const TemplateAbout *about)
{
    const char *name = template_inputs_find(about->inputs, "accelerator");
    return name ? name : "?";
}

static JsonObject *
to_json(gconstpointer item)
{
    const StoredTemplate *stored = item;
    const TemplateAbout *about = stored->about;
    g_autofree char *used = cli_time_text(stored->used);
    JsonObject *object = json_object_new();
    JsonArray *peers = json_array_new();
    for (guint i = 0; i < about->peers->len; i++)
        json_array_add_string_element(
            peers, ((const TemplatePeer *)about->peers->pdata[i])->host);
    json_object_set_string_member(object, "key", about->key);
    json_object_set_string_member(object, "lab", about->lab);
    json_object_set_string_member(object, "host", about->host);
    json_object_set_array_member(object, "peers", peers);
    json_object_set_string_member(object, "command",
                                  template_inputs_command(about->inputs));
    json_object_set_int_member(object, "prepared", template_inputs_steps(about->inputs));
    json_object_set_string_member(object, "accelerator", accelerator(about));
    json_object_set_string_member(object, "emulator", about->emulator);
    json_object_set_string_member(object, "kernel", about->kernel);
    json_object_set_string_member(object, "made", about->made);
    json_object_set_string_member(object, "used", used);
    json_object_set_int_member(object, "bytes", stored->bytes);
    return object;
}

/* "LAB/HOST  ACCELERATOR  KERNEL  with HOST, HOST  prepared 2" */
static char *
host_of(const TemplateAbout *about)
{
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "%s/%s  %s  %s", about->lab, about->host,
                           accelerator(about), about->kernel);
    for (guint i = 0; i < about->peers->len; i++)
        g_string_append_printf(text, "%s%s", i == 0 ? "  with " : ", ",
                               ((const TemplatePeer *)about->peers->pdata[i])->host);
    guint steps = template_inputs_steps(about->inputs);
    if (steps > 0)
        g_string_append_printf(text, "  prepared %u", steps);
    return g_string_free(text, FALSE);
}

/* What came with an archive is somebody else's text. */
static void
print_entry(const StoredTemplate *stored)
{
    const TemplateAbout *about = stored->about;
    g_autofree char *text = host_of(about);
    g_autofree char *what = printable(text, strlen(text), 200);
    g_autofree char *made = printable(about->made, strlen(about->made), 30);
    printf("%.12s  %6" G_GINT64_FORMAT " MiB  %s  %-4s  %s\n", about->key,
           (stored->bytes + (1 << 19)) >> 20, made,
           template_inputs_command(about->inputs), what);
}

/* What is wrong with it may be somebody else's text, too. */
static void
print_damaged(const DamagedTemplate *damaged)
{
    g_autofree char *what = printable(damaged->trouble, strlen(damaged->trouble), 200);
    printf("%.12s  %6" G_GINT64_FORMAT " MiB  damaged: %s\n", damaged->key,
           (damaged->bytes + (1 << 19)) >> 20, what);
}

static void
print_list(void)
{
    g_autoptr(GPtrArray) entries = template_store_list();
    g_autoptr(GPtrArray) damaged = template_store_damaged();
    for (guint i = 0; i < entries->len; i++)
        print_entry(entries->pdata[i]);
    for (guint i = 0; i < damaged->len; i++)
        print_damaged(damaged->pdata[i]);
}

static void
print_json(gint64 maximum)
{
    g_autoptr(GPtrArray) entries = template_store_list();
    g_autoptr(GPtrArray) list = template_store_damaged();
    JsonObject *object = cli_kept_json("templates", entries, to_json, maximum);
    JsonArray *damaged = json_array_new();
    for (guint i = 0; i < list->len; i++) {
        const DamagedTemplate *one = list->pdata[i];
        JsonObject *its = json_object_new();
        json_object_set_string_member(its, "key", one->key);
        json_object_set_string_member(its, "trouble", one->trouble);
        json_object_set_int_member(its, "bytes", one->bytes);
        json_array_add_object_element(damaged, its);
    }
    json_object_set_array_member(object, "damaged", damaged);
    cli_print_json(object);
}

int
cmd_template_list(int argc, char **argv)
{
    int status;
    gboolean json = FALSE;
    const GOptionEntry entries[] = {
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "As JSON", NULL}, {NULL}};
    if (!cli_parse("template list", &argc, &argv, entries, NULL, &status))
        return status;
    if (argc > 1)
        return cli_fail_with(HB_USAGE, "'hostbed template list' takes no '%s'", argv[1]);
    g_autoptr(GError) error = NULL;
    const gint64 maximum = template_store_maximum(&error);
    if (maximum < 0 || !template_store_check(&error))
        return cli_fail(error);
    if (json)
        print_json(maximum);
    else
        print_list();
    return HB_OK;
}

/* ---- rm, prune
 * ------------------------------------------------------------------------------------ */

/* Fewer digits are a slip of the finger. */
#define KEY_LEAST 4

/* The key that WORD is or begins, NULL: *STATUS is set. */
char *
template_find_key(const char *word, int *status)
{
    g_autoptr(GPtrArray) keys = template_store_keys();
    const char *found = NULL;
    guint count = 0;
    if (strlen(word) < KEY_LEAST) {
        *status = cli_fail_with(
            HB_USAGE, "'%s' is too short for a key; give at least its first %d digits",
            word, KEY_LEAST);
        return NULL;
    }
    for (guint i = 0; i < keys->len; i++) {
        if (!g_str_has_prefix(keys->pdata[i], word))
            continue;
        found = keys->pdata[i];
        count++;
    }
    if (count == 1)
        return g_strdup(found);
    *status = count > 1
                  ? cli_fail_with(HB_USAGE,
                                  "the keys of %u templates begin with '%s'; give more "
                                  "of its digits",
                                  count, word)
                  : cli_fail_with(HB_USAGE,
                                  "there is no template '%s'; 'hostbed template list' "
                                  "names those that there are",
                                  word);
    return NULL;
}

/* The keys that WORDS mean, all of them, or NULL: *STATUS is set. */
static GPtrArray *
find_keys(int count, char **words, int *status)
{
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
    for (int i = 0; i < count; i++) {
        char *key = template_find_key(words[i], status);
        if (!key)
            return NULL;
        if (g_ptr_array_find_with_equal_func(keys, key, g_str_equal, NULL))
            g_free(key);
        else
            g_ptr_array_add(keys, key);
    }
    return g_steal_pointer(&keys);
}

/* "KEY  LAB/HOST", or the key alone of one that is damaged; owned by the caller. */
static char *
name_of(const GPtrArray *list, const char *key)
{
    for (guint i = 0; i < list->len; i++) {
        const StoredTemplate *stored = list->pdata[i];
        if (g_str_equal(stored->about->key, key))
            return template_store_name(stored);
    }
    return g_strdup_printf("%.12s", key);
}

static int
remove_all(const GPtrArray *keys)
{
    int status = HB_OK;
    g_autoptr(GPtrArray) list = template_store_list();
    for (guint i = 0; i < keys->len; i++) {
        g_autofree char *name = name_of(list, keys->pdata[i]);
        if (template_store_remove(keys->pdata[i]))
            printf("removed %s\n", name);
        else
            status = cli_fail_with(HB_INFRASTRUCTURE,
                                   "the template %s cannot be removed, or has just gone",
                                   name);
    }
    return status;
}

int
cmd_template_rm(int argc, char **argv)
{
    int status;
    gboolean all = FALSE;
    const GOptionEntry entries[] = {
        {"all", 0, 0, G_OPTION_ARG_NONE, &all, "All of them", NULL}, {NULL}};
    if (!cli_parse("template rm", &argc, &argv, entries, NULL, &status))
        return status;
    if (all && argc > 1)
        return cli_fail_with(HB_USAGE, "--all and '%s': one of them", argv[1]);
    if (!all && argc == 1)
        return cli_fail_with(HB_USAGE,
                             "name templates by the beginning of their keys, or "
                             "say --all");
    g_autoptr(GError) error = NULL;
    if (!template_store_check(&error))
        return cli_fail(error);
    g_autoptr(GPtrArray) keys =
        all ? template_store_keys() : find_keys(argc - 1, argv + 1, &status);
    return keys ? remove_all(keys) : status;
}

int
cmd_template_prune(int argc, char **argv)
{
    int status;
    gint64 maximum = 0;
    g_autofree char *asked = NULL;
    const GOptionEntry entries[] = {
        {"max", 0, 0, G_OPTION_ARG_STRING, &asked,
         "What may stay (default: HOSTBED_TEMPLATES_MAX, 8 GiB)", "SIZE"},
        {NULL}};
    if (!cli_parse("template prune", &argc, &argv, entries, NULL, &status))
        return status;
    if (argc > 1)
        return cli_fail_with(HB_USAGE,
                             "'hostbed template prune' takes no '%s'; 'hostbed "
                             "template rm' removes single ones",
                             argv[1]);
    g_autoptr(GError) error = NULL;
    if (!asked)
        maximum = template_store_maximum(&error);
    else if (!units_parse_size(asked, &maximum, &error))
        g_prefix_error(&error, "--max '%s' ", asked);
    if (error || !template_store_check(&error))
        return cli_fail(error);
    g_autoptr(GPtrArray) removed = template_store_prune(maximum, NULL);
    for (guint i = 0; i < removed->len; i++)
        printf("removed %s\n", (char *)removed->pdata[i]);
    printf("%u removed\n", removed->len);
    return HB_OK;
}
