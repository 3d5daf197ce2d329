/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How the process of a host is called: with all that was asked of us that concerns it.
 */
#include "cmd-test-worker.h"

#include <string.h>

static void
add_option(GStrvBuilder *argv, const char *name, const char *value)
{
    if (!value)
        return;
    g_autofree char *option = g_strdup_printf("--%s=%s", name, value);
    g_strv_builder_add(argv, option);
}

static void
add_options(GStrvBuilder *argv, const char *name, char *const *values)
{
    for (guint i = 0; values && values[i]; i++)
        add_option(argv, name, values[i]);
}

GStrv
test_worker_command(const TestOptions *o, const TestLab *lab, const TestHost *host)
{
    g_autoptr(GStrvBuilder) argv = g_strv_builder_new();
    g_auto(GStrv) program = cli_program_words(&o->program);
    /* The end of the options cannot be said: more of them are to come. */
    gboolean like_option = lab->filename[0] == '-' && lab->filename[1] != '\0';
    g_autofree char *filename = g_strconcat(like_option ? "./" : "", lab->filename, NULL);
    g_strv_builder_add_many(argv, "/proc/self/exe", "test", filename, NULL);
    add_option(argv, "emulator", o->machine.emulator);
    add_option(argv, "connect", o->connect);
    add_option(argv, "accel", o->machine.accel);
    add_option(argv, "kernel", o->machine.kernel);
    add_option(argv, "log-dir", o->log_dir);
    add_option(argv, "manifest", o->manifest);
    add_option(argv, "started-as", o->started_as);
    add_options(argv, "module", o->modules);
    add_options(argv, "extra-arg", o->extra_args);
    add_options(argv, "suite", o->suites);
    add_options(argv, "prepare", o->prepare_commands);
    g_strv_builder_addv(argv, (const char **)program);
    g_autofree char *suite_timeout = g_strdup_printf("%.3f", o->suite_timeout);
    add_option(argv, "suite-timeout", suite_timeout);
    if (o->case_timeout >= 0) {
        g_autofree char *case_timeout = g_strdup_printf("%.3f", o->case_timeout);
        add_option(argv, "case-timeout", case_timeout);
    }
    add_options(argv, "select", o->patterns);
    add_option(argv, "worker-name", lab->name);
    add_option(argv, "worker-lab", lab->path);
    for (guint i = 0; i < lab->units->len; i++) {
        const Unit *unit = lab->units->pdata[i];
        if (!g_str_equal(unit->host, host->id))
            continue;
        g_autofree char *name = g_strdup_printf("%s/%s", unit->host, unit->suite->name);
        add_option(argv, "worker-unit", name);
    }
    g_autofree char *retry = g_strdup_printf("%d", o->retry);
    add_option(argv, "retry", retry);
    g_autofree char *deadline = g_strdup_printf("%" G_GINT64_FORMAT, o->deadline_us);
    add_option(argv, "worker-deadline", deadline);
    if (o->jobs != 1)
        g_strv_builder_add(argv, "--worker-jobs");
    if (o->no_retry)
        g_strv_builder_add(argv, "--no-retry");
    if (o->capture)
        g_strv_builder_add(argv, "--capture");
    g_autofree char *trace = cli_trace_word(&o->trace);
    if (trace)
        g_strv_builder_add(argv, trace);
    add_option(argv, "isolate", o->isolate_text);
    if (o->cold)
        g_strv_builder_add(argv, "--cold");
    if (o->keep)
        g_strv_builder_add(argv, "--keep");
    if (o->check_clones)
        g_strv_builder_add(argv, "--check-clones");
    if (o->no_skip)
        g_strv_builder_add(argv, "--no-skip");
    if (o->even_if_different)
        g_strv_builder_add(argv, "--even-if-different");
    return g_strv_builder_end(argv);
}

/* What concerns that process alone. */
static gboolean
is_ours_alone(const char *word)
{
    return g_str_has_prefix(word, "--worker-fd=") || g_str_equal(word, "--worker-jobs") ||
           g_str_has_prefix(word, "--worker-lab=");
}

GStrv
test_unit_command(GError **error)
{
    g_autofree char *text = NULL;
    gsize length;
    if (!g_file_get_contents("/proc/self/cmdline", &text, &length, error))
        return NULL;
    g_autoptr(GStrvBuilder) argv = g_strv_builder_new();
    g_strv_builder_add(argv, "/proc/self/exe");
    for (gsize at = strlen(text) + 1; at < length; at += strlen(text + at) + 1)
        if (!is_ours_alone(text + at))
            g_strv_builder_add(argv, text + at);
    g_autofree char *template = g_strdup_printf("%d", UNIT_ABOUT_FD);
    g_autofree char *lab = g_strdup_printf("/proc/self/fd/%d", UNIT_LAB_FD);
    add_option(argv, "worker-template", template);
    add_option(argv, "worker-lab", lab);
    return g_strv_builder_end(argv);
}
