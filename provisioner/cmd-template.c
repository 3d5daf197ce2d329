/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed template: what is kept for `test --keep` and `run --warm`. Each of its commands
 * is a row here and a function.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "autoptr.h"
#include "cli-json.h"
#include "cli.h"
#include "emit.h"
#include "nearest.h"
#include "printable.h"
#include "replace-file.h"
#include "session.h"
#include "template-archive.h"
#include "template-key.h"
#include "template-store.h"
#include "units.h"

typedef struct {
    CliMachine machine;
    gboolean json, all, inputs;
    char *output, *maximum;
} Options;

static void
options_clear(Options *options)
{
    cli_machine_clear(&options->machine);
    g_free(options->output);
    g_free(options->maximum);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

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
    json_object_set_string_member(object, "accelerator", accelerator(about));
    json_object_set_string_member(object, "emulator", about->emulator);
    json_object_set_string_member(object, "kernel", about->kernel);
    json_object_set_string_member(object, "made", about->made);
    json_object_set_string_member(object, "used", used);
    json_object_set_int_member(object, "bytes", stored->bytes);
    return object;
}

/* "LAB/HOST  ACCELERATOR  KERNEL  with HOST, HOST" */
static char *
host_of(const TemplateAbout *about)
{
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "%s/%s  %s  %s", about->lab, about->host,
                           accelerator(about), about->kernel);
    for (guint i = 0; i < about->peers->len; i++)
        g_string_append_printf(text, "%s%s", i == 0 ? "  with " : ", ",
                               ((const TemplatePeer *)about->peers->pdata[i])->host);
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

static int
list(const Options *options, int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    const gint64 maximum = template_store_maximum(&error);
    if (maximum < 0)
        return cli_fail(error);
    g_autoptr(GPtrArray) entries = template_store_list();
    if (options->json)
        cli_print_kept("templates", entries, to_json, maximum);
    for (guint i = 0; !options->json && i < entries->len; i++)
        print_entry(entries->pdata[i]);
    return HB_OK;
}

/* ---- rm, prune
 * ------------------------------------------------------------------------------------ */

/* Fewer digits are a slip of the finger. */
#define KEY_LEAST 4

/* The key that WORD is or begins, NULL: *STATUS is set. */
static char *
find_key(const char *word, int *status)
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
        char *key = find_key(words[i], status);
        if (!key)
            return NULL;
        if (g_ptr_array_find_with_equal_func(keys, key, g_str_equal, NULL))
            g_free(key);
        else
            g_ptr_array_add(keys, key);
    }
    return g_steal_pointer(&keys);
}

static void
remove_one(const char *key, int *status)
{
    if (!template_store_remove(key))
        *status =
            cli_fail_with(HB_INFRASTRUCTURE,
                          "the template %.12s cannot be removed, or has just gone", key);
}

static int
rm(const Options *options, int argc, char **argv)
{
    int status = HB_OK;
    if (options->all == (argc > 0))
        return cli_fail_with(HB_USAGE,
                             "name templates by the beginning of their keys, or "
                             "say --all");
    g_autoptr(GPtrArray) keys =
        options->all ? template_store_keys() : find_keys(argc, argv, &status);
    for (guint i = 0; keys && i < keys->len; i++)
        remove_one(keys->pdata[i], &status);
    return status;
}

static int
prune(const Options *options, int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    gint64 maximum = 0;
    if (!options->maximum) {
        maximum = template_store_maximum(&error);
    } else if (!units_parse_size(options->maximum, &maximum, &error)) {
        g_prefix_error(&error, "--max '%s' ", options->maximum);
    }
    if (error)
        return cli_fail(error);
    guint removed = template_store_prune(maximum, NULL);
    printf("%u removed\n", removed);
    return HB_OK;
}

/* ---- key
 * ------------------------------------------------------------------------------------------
 */

static void
print_inputs(const GPtrArray *inputs)
{
    for (guint i = 0; i < inputs->len; i++) {
        const TemplateInput *input = inputs->pdata[i];
        printf("    %s: %s\n", input->name, input->value);
    }
}

static gboolean
print_key(const Options *options, const Plan *plan, const GPtrArray *plans,
          const Emulator *emulator, GError **error)
{
    g_autoptr(GPtrArray) peers = plan_peers(plan, plans);
    g_autoptr(GString) manifest = g_string_new(NULL);
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    g_autoptr(GPtrArray) inputs = NULL;
    emit_manifest(plan, manifest);
    const SessionOptions session = {
        .plan = plan,
        .peers = peers,
        .manifest = manifest->str,
        .emulator = emulator->binary,
        .accel = cli_accel(&options->machine),
        .kernel = options->machine.kernel,
        .suites = none,
        .keep = TRUE,
    };
    g_autofree char *key = session_template_key(&session, &inputs, error);
    if (key)
        printf("%s  %s/%s\n", key, plan->lab_name, plan->host_id);
    if (key && options->inputs)
        print_inputs(inputs);
    return key != NULL;
}

static int
key_of(const Options *options, int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(CliInterrupt) interrupt = cli_interrupt_new();
    g_autoptr(Emulator) emulator = cli_emulator(&options->machine, &error);
    if (!emulator)
        return cli_fail(error);
    for (int i = 0; i < argc; i++) {
        int status = HB_OK;
        g_autoptr(GPtrArray) plans = cli_plan(argv[i], emulator, PLAN_FOR_QEMU, &status);
        if (!plans)
            return status;
        for (guint j = 0; j < plans->len; j++)
            if (!print_key(options, plans->pdata[j], plans, emulator, &error))
                return cli_fail(error);
    }
    return HB_OK;
}

/* ---- export, import
 * ------------------------------------------------------------------------------- */

static int
export_to(const StoredTemplate *stored, int fd)
{
    g_autoptr(GError) error = NULL;
    if (isatty(fd))
        return cli_fail_with(HB_USAGE, "an archive is nothing for a terminal; name a "
                                       "file with --output");
    return template_export(stored, fd, &error) ? HB_OK : cli_fail(error);
}

/* An archive that was there stays until this one is whole. */
static int
export_to_file(const StoredTemplate *stored, const char *filename)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ReplaceFile) file = replace_file_new(filename, &error);
    if (!file)
        return cli_fail(error);
    int status = export_to(stored, file->fd);
    if (status == HB_OK && !replace_file_commit(file, &error))
        return cli_fail(error);
    return status;
}

static int
export_one(const Options *options, int argc, char **argv)
{
    int status = HB_OK;
    g_autoptr(GError) error = NULL;
    g_autofree char *key = find_key(argv[0], &status);
    if (!key)
        return status;
    g_autoptr(StoredTemplate) stored = template_store_open(key, &error);
    if (!stored)
        return cli_fail_with(HB_FAIL, "the template %.12s cannot be used: %s", key,
                             error ? error->message : "it is gone");
    gboolean is_stdout = !options->output || strcmp(options->output, "-") == 0;
    return is_stdout ? export_to(stored, STDOUT_FILENO)
                     : export_to_file(stored, options->output);
}

static int
import_one(const Options *options, int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    gboolean is_stdin = argc == 0 || strcmp(argv[0], "-") == 0;
    const char *name = is_stdin ? "standard input" : argv[0];
    g_auto(AutoFd) fd =
        is_stdin ? dup(STDIN_FILENO) : open(argv[0], O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return cli_fail_with(HB_INFRASTRUCTURE, "cannot read %s: %s", name,
                             g_strerror(errno));
    g_autofree char *key = template_import(fd, &error);
    if (key) {
        printf("%s\n", key);
        template_store_prune(template_store_maximum(NULL), key);
        return HB_OK;
    }
    g_prefix_error(&error, "%s is not imported: ", name);
    return cli_fail(error);
}

/* ---- the command
 * ---------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int least, most; /* arguments */
    int (*run)(const Options *options, int argc, char **argv);
    const char *wants;
} verbs[] = {
    {"list", 0, 0, list, "nothing"},
    {"rm", 0, G_MAXINT, rm, "KEY… or --all"},
    {"prune", 0, 0, prune, "nothing"},
    {"key", 1, G_MAXINT, key_of, "LAB…"},
    {"export", 1, 1, export_one, "one KEY"},
    {"import", 0, 1, import_one, "one FILE, or none for standard input"},
};

#define VERBS "list, rm, prune, key, export or import"

static int
unknown_verb(const char *name)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (gsize i = 0; i < G_N_ELEMENTS(verbs); i++)
        g_ptr_array_add(names, (gpointer)verbs[i].name);
    g_ptr_array_add(names, NULL);
    const char *meant = nearest_name(name, (const char *const *)names->pdata);
    g_autofree char *hint = nearest_hint(meant, "it has " VERBS);
    return cli_fail_with(HB_USAGE, "there is no 'hostbed template %s'; %s", name, hint);
}

int
cmd_template(int argc, char **argv)
{
    int status;
    g_auto(Options) options = {0};
    const GOptionEntry entries[] = {
        {"json", 0, 0, G_OPTION_ARG_NONE, &options.json, "list: as JSON", NULL},
        {"all", 0, 0, G_OPTION_ARG_NONE, &options.all, "rm: all of them", NULL},
        {"max", 0, 0, G_OPTION_ARG_STRING, &options.maximum,
         "prune: what may stay (default: HOSTBED_TEMPLATES_MAX, 8 GiB)", "SIZE"},
        {"inputs", 0, 0, G_OPTION_ARG_NONE, &options.inputs,
         "key: also what it is made of", NULL},
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &options.output,
         "export: write to FILE", "FILE"},
        G_OPTION_ENTRY_NULL,
    };
    if (!cli_parse("template", &argc, &argv, entries, &options.machine, &status))
        return status;
    for (gsize i = 0; argc >= 2 && i < G_N_ELEMENTS(verbs); i++) {
        if (strcmp(argv[1], verbs[i].name) != 0)
            continue;
        if (argc - 2 < verbs[i].least || argc - 2 > verbs[i].most)
            return cli_fail_with(HB_USAGE, "'hostbed template %s' takes %s",
                                 verbs[i].name, verbs[i].wants);
        return verbs[i].run(&options, argc - 2, argv + 2);
    }
    return argc >= 2 ? unknown_verb(argv[1])
                     : cli_fail_with(HB_USAGE, "'hostbed template' needs to know what to "
                                               "do: " VERBS);
}
