/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prepare-layer.h"

#include <string.h>

#include "error.h"

gboolean
prepare_brings(const Plan *plan, const Suite *suite)
{
    const char *path = suite->command[0];
    return !plan->image && g_path_is_absolute(path) &&
           g_file_test(path, G_FILE_TEST_IS_REGULAR);
}

/* NAME and the WORDS behind it, in quotes. */
static void
add_words(GString *text, const char *name, const char *const *words)
{
    g_string_append_printf(text, "%s%s", text->len > 0 ? "; " : "", name);
    for (; *words; words++) {
        g_autofree char *escaped = g_strescape(*words, NULL);
        g_string_append_printf(text, " \"%s\"", escaped);
    }
}

/* Of variables only a digest is written down: they may have what nobody else is to read.
 */
static char *
environment_of(const SessionOptions *options)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_auto(GStrv) ours = suite_environment(options->plan);
    add_words(text, "", (const char *const *)ours);
    if (options->env)
        add_words(text, "", options->env);
    if (options->out)
        g_string_append(text, "; results are wanted");
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text->str, -1);
}

static char *
step_of(const SessionOptions *options, const PrepareLayer *layer)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *environment = environment_of(options);
    g_auto(GStrv) bound =
        options->bindings ? bindings_addresses(options->bindings) : NULL;
    add_words(text, "command", (const char *const *)layer->suite->command);
    if (layer->program) {
        g_autofree char *digest =
            g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, layer->program);
        g_string_append_printf(text, "; program %s", digest);
    }
    if (bound && *bound)
        add_words(text, "bound", (const char *const *)bound);
    if (options->folder)
        add_words(text, "in", (const char *const[]){options->folder, NULL});
    g_string_append_printf(text, "; environment %s", environment);
    return g_strdup(text->str);
}

static void
layer_free(gpointer data)
{
    PrepareLayer *layer = data;
    g_clear_pointer(&layer->program, g_bytes_unref);
    g_free(layer->step);
    g_free(layer);
}

GPtrArray *
prepare_layers_new(const SessionOptions *options, GError **error)
{
    g_autoptr(GPtrArray) layers = g_ptr_array_new_with_free_func(layer_free);
    for (guint i = 0; options->prepare && i < options->prepare->len; i++) {
        PrepareLayer *layer = g_new0(PrepareLayer, 1);
        g_autoptr(GError) reason = NULL;
        char *content;
        gsize length;
        layer->suite = options->prepare->pdata[i];
        g_ptr_array_add(layers, layer);
        if (prepare_brings(options->plan, layer->suite)) {
            if (!g_file_get_contents(layer->suite->command[0], &content, &length,
                                     &reason)) {
                g_set_error(error, HB_ERROR, HB_USAGE, "--prepare: %s", reason->message);
                return NULL;
            }
            layer->program = g_bytes_new_take(content, length);
        }
        layer->step = step_of(options, layer);
    }
    return g_steal_pointer(&layers);
}

GStrv
prepare_layers_steps(const GPtrArray *layers, guint first, guint end)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    for (guint i = first; i < end; i++)
        g_strv_builder_add(builder, ((const PrepareLayer *)layers->pdata[i])->step);
    return g_strv_builder_end(builder);
}
