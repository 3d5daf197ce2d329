/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Templates into the store and out of it, all hosts of a lab as one: by what they are
 * found, and what is told of them.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "autoptr.h"
#include "error.h"
#include "lab-boot-private.h"
#include "memory-file.h"
#include "printable.h"
#include "sparse.h"
#include "template-key.h"
#include "template-private.h"

/* Of what waits on all networks; more is not kept. */
#define NETWORKS_MAX ((gsize)256 << 20)

/* ---- the key
 * ------------------------------------------------------------------------------------------
 */

GPtrArray *
lab_boot_recipes(const BootOptions *options, const GPtrArray *peers, GError **error)
{
    g_autoptr(GPtrArray) recipes =
        g_ptr_array_new_with_free_func((GDestroyNotify)boot_recipe_unref);
    for (guint i = 0; i <= (peers ? peers->len : 0); i++) {
        BootOptions its =
            i == 0 ? *options : lab_boot_peer_options(options, peers->pdata[i - 1]);
        BootRecipe *recipe = boot_recipe_new(&its, error);
        if (!recipe)
            return NULL;
        g_ptr_array_add(recipes, recipe);
    }
    return g_steal_pointer(&recipes);
}

static GPtrArray *
recipes_of(const LabTemplate *template)
{
    GPtrArray *recipes =
        g_ptr_array_new_with_free_func((GDestroyNotify)boot_recipe_unref);
    for (guint i = 0; i < template->templates->len; i++) {
        const Template *one = template->templates->pdata[i];
        g_ptr_array_add(recipes, g_rc_box_acquire(one->recipe));
    }
    return recipes;
}

/* Where networks join PLAN's host with others, and whom it knows there; one line. */
static char *
joints_of(const Plan *plan)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = plan->functions->pdata[i];
        if (function->ipv4)
            g_string_append_printf(text, "%s on %s: %s %s; ", function->id,
                                   function->network ? function->network : "nothing",
                                   function->ipv4, function->ipv6);
    }
    for (guint i = 0; i < plan->names->len; i++) {
        const PlanName *name = plan->names->pdata[i];
        g_string_append_printf(text, "%s: %s; ", name->address, name->names);
    }
    if (plan->image && plan->names->len > 0)
        g_string_append(text, "let in by ssh");
    return g_string_free(text, FALSE);
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

/* Those of a peer are called by its id. */
static void
add_of_host(GPtrArray *inputs, const GPtrArray *own, const char *peer)
{
    for (guint i = 0; i < own->len; i++) {
        const TemplateInput *input = own->pdata[i];
        g_autofree char *name =
            peer ? g_strconcat(peer, ": ", input->name, NULL) : g_strdup(input->name);
        template_inputs_add(inputs, name, input->value);
    }
}

/* Of the hosts of RECIPES, of which the one that is meant is the first; only that one is
 * compared with MANIFEST. STARTED: they were, and have what they were started from. */
static GPtrArray *
inputs_of(const GPtrArray *recipes, const char *manifest, gboolean started,
          GError **error)
{
    g_autoptr(GPtrArray) inputs = template_inputs_new();
    for (guint i = 0; i < recipes->len; i++) {
        const BootRecipe *recipe = recipes->pdata[i];
        const char *peer = i == 0 ? NULL : recipe->plan->host_id;
        g_autoptr(GPtrArray) own =
            template_key_inputs(recipe, peer ? NULL : manifest, error);
        if (!own || (started && !check_unchanged(recipe, own, error))) {
            if (peer)
                g_prefix_error(error, "host '%s': ", peer);
            return NULL;
        }
        g_autofree char *joints = joints_of(recipe->plan);
        if (recipes->len > 1)
            template_inputs_add(own, "networks", joints);
        add_of_host(inputs, own, peer);
    }
    return g_steal_pointer(&inputs);
}

char *
lab_template_key_of(const BootOptions *options, const GPtrArray *peers,
                    const char *manifest, GPtrArray **inputs, GError **error)
{
    g_autoptr(GPtrArray) recipes = lab_boot_recipes(options, peers, error);
    *inputs = recipes ? inputs_of(recipes, manifest, FALSE, error) : NULL;
    return *inputs ? template_inputs_key(*inputs) : NULL;
}

/* The first that is free of "prepare 1", "prepare 2", …. */
static void
add_step(GPtrArray *inputs, const char *step)
{
    for (guint number = 1;; number++) {
        g_autofree char *name = g_strdup_printf(TEMPLATE_STEP_PREFIX "%u", number);
        if (template_inputs_find(inputs, name))
            continue;
        template_inputs_add(inputs, name, step);
        return;
    }
}

GPtrArray *
lab_template_inputs_above(const GPtrArray *inputs, const char *const *steps)
{
    GPtrArray *above = template_inputs_new();
    add_of_host(above, inputs, NULL);
    for (; *steps; steps++)
        add_step(above, *steps);
    return above;
}

const char *
lab_template_key(const LabTemplate *template)
{
    return template->key;
}

/* ---- into the store
 * ----------------------------------------------------------------------------------- */

static void
describe_peers(TemplateAbout *about, const LabTemplate *template)
{
    for (guint i = 1; i < template->templates->len; i++) {
        const Template *one = template->templates->pdata[i];
        about->memory_readonly &= one->recipe->maps_readonly;
        template_about_add_peer(about, one->recipe->plan->host_id,
                                one->nonce ? one->nonce : "");
    }
}

static TemplateAbout *
describe(const LabTemplate *template, GPtrArray *inputs)
{
    const Template *own = template->templates->pdata[0];
    const BootRecipe *recipe = own->recipe;
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    TemplateAbout *about = template_about_new();
    g_ptr_array_unref(about->inputs);
    about->inputs = inputs;
    about->key = template_inputs_key(inputs);
    about->lab = g_strdup(recipe->plan->lab_name);
    about->host = g_strdup(recipe->plan->host_id);
    about->emulator = g_strdup(recipe->emulator);
    about->kernel = g_strdup(recipe->kernel->release);
    about->nonce = g_strdup(own->nonce ? own->nonce : "");
    about->made = g_date_time_format(now, "%Y-%m-%dT%H:%M:%SZ");
    about->memory_readonly = recipe->maps_readonly;
    describe_peers(about, template);
    return about;
}

static gboolean
write_networks(const LabTemplate *template, TemplateWriter *writer, GError **error)
{
    if (!template->networks)
        return TRUE;
    gsize length;
    const void *bytes = g_bytes_get_data(template->networks, &length);
    if (length > NETWORKS_MAX) {
        g_set_error_literal(error, HB_ERROR, HB_UNSUPPORTED,
                            "too much waits on its networks");
        return FALSE;
    }
    g_autofree char *name = template_file_name(0, TEMPLATE_NETWORKS, 0);
    g_auto(AutoFd) fd = memory_file_new(name, bytes, length, error);
    return fd >= 0 && template_writer_copy(writer, name, fd, (goffset)length, error);
}

static gboolean
write_all(const LabTemplate *template, TemplateWriter *writer, GError **error)
{
    for (guint i = 0; i < template->templates->len; i++)
        if (!template_write(template->templates->pdata[i], writer, i, error))
            return FALSE;
    return write_networks(template, writer, error);
}

/* By INPUTS. */
static gboolean
keep(LabTemplate *template, GPtrArray *inputs, GError **error)
{
    g_autoptr(TemplateWriter) writer =
        template_writer_new(describe(template, g_ptr_array_ref(inputs)), error);
    if (!writer || !write_all(template, writer, error) ||
        !template_writer_commit(writer, error))
        return FALSE;
    g_free(template->key);
    template->key = g_strdup(writer->about->key);
    g_clear_pointer(&template->inputs, g_ptr_array_unref);
    template->inputs = g_ptr_array_ref(inputs);
    g_ptr_array_unref(template_store_prune(writer->maximum, template->key));
    return TRUE;
}

gboolean
lab_template_keep(LabTemplate *template, const char *manifest, GError **error)
{
    g_autoptr(GPtrArray) recipes = recipes_of(template);
    g_autoptr(GPtrArray) inputs = inputs_of(recipes, manifest, TRUE, error);
    return inputs && keep(template, inputs, error);
}

gboolean
lab_template_keep_above(LabTemplate *template, const LabTemplate *below,
                        const char *const *steps, GError **error)
{
    if (!below->inputs) {
        g_set_error_literal(error, HB_ERROR, HB_UNSUPPORTED, "what is below it is not");
        return FALSE;
    }
    g_autoptr(GPtrArray) inputs = lab_template_inputs_above(below->inputs, steps);
    return keep(template, inputs, error);
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

static GBytes *
fail_networks(HbStatus status, const char *what, GError **error)
{
    g_set_error(error, HB_ERROR, status, "its file networks %s", what);
    return NULL;
}

/* Unlike memory it is small enough to be read as a whole, and so compared. */
static GBytes *
read_networks(const StoredTemplate *stored, GError **error)
{
    guint last = stored->about->files->len - 1;
    const TemplateFile *file = stored->about->files->pdata[last];
    int fd = g_array_index(stored->fds, int, last);
    gsize length = (gsize)file->size;
    if (length > NETWORKS_MAX)
        return fail_networks(HB_FAIL, "is too large", error);
    g_autofree char *checksum = sparse_copy(fd, -1, file->size, NULL, error);
    if (!checksum)
        return NULL;
    if (!g_str_equal(checksum, file->checksum))
        return fail_networks(HB_FAIL, "is damaged: its checksum is another", error);
    g_autofree guint8 *bytes = g_malloc(length);
    if (pread(fd, bytes, length, 0) != (ssize_t)length)
        return fail_networks(HB_INFRASTRUCTURE, "cannot be read", error);
    return g_bytes_new_take(g_steal_pointer(&bytes), length);
}

static gboolean
fits(const StoredTemplate *stored, const GPtrArray *recipes)
{
    if (stored->about->peers->len + 1 != recipes->len)
        return FALSE;
    for (guint i = 0; i < recipes->len; i++)
        if (!template_fits(stored, i, ((const BootRecipe *)recipes->pdata[i])->plan))
            return FALSE;
    return TRUE;
}

static LabTemplate *
from_store(const GPtrArray *recipes, StoredTemplate *stored, GPtrArray *inputs,
           GError **error)
{
    const TemplateAbout *about = stored->about;
    g_autoptr(LabTemplate) template = lab_template_new();
    if (!fits(stored, recipes)) {
        g_set_error_literal(error, HB_ERROR, HB_FAIL, "its memory is of other sizes");
        return NULL;
    }
    if (about->peers->len > 0 && !(template->networks = read_networks(stored, error)))
        return NULL;
    for (guint i = 0; i < recipes->len; i++)
        g_ptr_array_add(template->templates,
                        template_from_store(recipes->pdata[i], stored, i));
    template->key = g_strdup(about->key);
    template->inputs = g_ptr_array_ref(inputs);
    template->made = printable(about->made, strlen(about->made), 30);
    return g_steal_pointer(&template);
}

/* That of the hosts of RECIPES by INPUTS (or NULL: there is none). What is wrong with one
 * that is there goes with it; the caller makes another. One that cannot be opened now
 * stays. */
static LabTemplate *
find(const GPtrArray *recipes, GPtrArray *inputs, char **trouble)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *key = inputs ? template_inputs_key(inputs) : NULL;
    g_autoptr(StoredTemplate) stored = key ? template_store_open(key, &error) : NULL;
    LabTemplate *template = stored ? from_store(recipes, stored, inputs, &error) : NULL;
    *trouble = NULL;
    if (template || !error || template_store_is_passing(error))
        return template;
    *trouble = g_strdup(error->message);
    template_store_remove(key);
    return NULL;
}

LabTemplate *
lab_template_kept(const BootOptions *options, const GPtrArray *peers,
                  const char *manifest, char **trouble)
{
    g_autoptr(GPtrArray) recipes = lab_boot_recipes(options, peers, NULL);
    g_autoptr(GPtrArray) inputs =
        recipes ? inputs_of(recipes, manifest, FALSE, NULL) : NULL;
    return find(recipes, inputs, trouble);
}

LabTemplate *
lab_template_kept_above(const LabTemplate *below, const char *const *steps,
                        char **trouble)
{
    g_autoptr(GPtrArray) recipes =
        g_ptr_array_new_with_free_func((GDestroyNotify)boot_recipe_unref);
    *trouble = NULL;
    for (guint i = 0; i < below->templates->len; i++) {
        const Template *one = below->templates->pdata[i];
        BootRecipe *recipe = boot_recipe_bare(one->recipe, NULL);
        if (!recipe)
            return NULL;
        g_ptr_array_add(recipes, recipe);
    }
    g_autoptr(GPtrArray) inputs =
        below->inputs ? lab_template_inputs_above(below->inputs, steps) : NULL;
    return find(recipes, inputs, trouble);
}

const char *
lab_template_kept_since(const LabTemplate *template)
{
    return template->made;
}
