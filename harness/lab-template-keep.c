/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Templates into the store and out of it: by what they are found, and what is told of
 * them.
 */
#include <string.h>

#include "error.h"
#include "lab-boot-private.h"
#include "printable.h"
#include "template-key.h"
#include "template-private.h"

/* ---- the key
 * ------------------------------------------------------------------------------------------
 */

char *
lab_template_key_of(const BootOptions *options, const char *manifest, GPtrArray **inputs,
                    GError **error)
{
    g_autoptr(BootRecipe) recipe = boot_recipe_new(options, error);
    *inputs = recipe ? template_key_inputs(recipe, manifest, error) : NULL;
    return *inputs ? template_inputs_key(*inputs) : NULL;
}

const char *
lab_template_key(const LabTemplate *template)
{
    return template->key;
}

/* ---- into the store
 * ----------------------------------------------------------------------------------- */

static TemplateAbout *
describe(const Template *template, GPtrArray *inputs)
{
    const BootRecipe *recipe = template->recipe;
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    TemplateAbout *about = template_about_new();
    g_ptr_array_unref(about->inputs);
    about->inputs = inputs;
    about->key = template_inputs_key(inputs);
    about->lab = g_strdup(recipe->plan->lab_name);
    about->host = g_strdup(recipe->plan->host_id);
    about->emulator = g_strdup(recipe->emulator);
    about->kernel = g_strdup(recipe->kernel->release);
    about->nonce = g_strdup(template->nonce ? template->nonce : "");
    about->made = g_date_time_format(now, "%Y-%m-%dT%H:%M:%SZ");
    about->memory_readonly = recipe->maps_readonly;
    return about;
}

/* What the host was started from must still be what there is, INPUTS: else what another
 * program or kernel made would be kept as theirs. */
static gboolean
check_unchanged(const BootRecipe *recipe, const GPtrArray *inputs, GError **error)
{
    for (guint i = 0; i < inputs->len; i++) {
        const TemplateInput *input = inputs->pdata[i];
        const char *before =
            recipe->inputs ? template_inputs_find(recipe->inputs, input->name) : NULL;
        /* What the host is compared with was asked for meanwhile. */
        if (g_str_equal(input->name, "manifest") || g_strcmp0(before, input->value) == 0)
            continue;
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "what it was started from changed meanwhile: %s", input->name);
        return FALSE;
    }
    return TRUE;
}

gboolean
lab_template_keep(LabTemplate *template, const char *manifest, GError **error)
{
    const Template *single = lab_template_single(template);
    if (!single) {
        g_set_error_literal(error, HB_ERROR, HB_UNSUPPORTED,
                            "templates of several hosts are not kept");
        return FALSE;
    }
    g_autoptr(GPtrArray) inputs = template_key_inputs(single->recipe, manifest, error);
    if (!inputs || !check_unchanged(single->recipe, inputs, error))
        return FALSE;
    g_autoptr(TemplateWriter) writer =
        template_writer_new(describe(single, g_steal_pointer(&inputs)), error);
    if (!writer || !template_write(single, writer, error) ||
        !template_writer_commit(writer, error))
        return FALSE;
    template->key = g_strdup(writer->about->key);
    template_store_prune(writer->maximum, template->key);
    return TRUE;
}

void
lab_template_forget(const LabTemplate *template)
{
    if (template->key)
        template_store_remove(template->key);
}

/* ---- out of it
 * --------------------------------------------------------------------------------------
 */

static LabTemplate *
from_store(BootRecipe *recipe, StoredTemplate *stored)
{
    const TemplateAbout *about = stored->about;
    LabTemplate *template = lab_template_of(template_from_store(recipe, stored));
    template->key = g_strdup(about->key);
    template->made = printable(about->made, strlen(about->made), 30);
    return template;
}

/* What is wrong with one that is there goes with it; the caller makes another. One that
 * cannot be opened now stays. */
LabTemplate *
lab_template_kept(const BootOptions *options, const char *manifest, char **trouble)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BootRecipe) recipe = boot_recipe_new(options, NULL);
    g_autoptr(GPtrArray) inputs =
        recipe ? template_key_inputs(recipe, manifest, NULL) : NULL;
    g_autofree char *key = inputs ? template_inputs_key(inputs) : NULL;
    g_autoptr(StoredTemplate) stored = key ? template_store_open(key, &error) : NULL;
    *trouble = NULL;
    if (stored && template_fits(stored, options->plan))
        return from_store(recipe, stored);
    if ((!stored && !error) || (error && template_store_is_passing(error)))
        return NULL;
    *trouble = g_strdup(error ? error->message : "its memory is of other sizes");
    template_store_remove(key);
    return NULL;
}

const char *
lab_template_kept_since(const LabTemplate *template)
{
    return template->made;
}
