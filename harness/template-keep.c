/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Templates into the store and out of it.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "printable.h"
#include "template-key.h"
#include "template-private.h"
#include "template-store.h"

/* ---- into it
 * ---------------------------------------------------------------------------------------
 */

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

static gboolean
copy_file(TemplateWriter *writer, const char *name, int fd, GError **error)
{
    struct stat st;
    return fstat(fd, &st) == 0 &&
           template_writer_copy(writer, name, fd, st.st_size, error);
}

/* DISKS may be NULL; the first is the image, which is found by the key. */
static gboolean
copy_disks(TemplateWriter *writer, const GArray *disks, GError **error)
{
    for (guint i = 1; disks && i < disks->len; i++) {
        g_autofree char *name = template_disk_file(i - 1);
        if (!copy_file(writer, name, g_array_index(disks, int, i), error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
copy_files(TemplateWriter *writer, const Template *template, GError **error)
{
    const GArray *fds = template->recipe->memory_fds;
    if (!copy_file(writer, TEMPLATE_STATE_FILE, template->state_fd, error))
        return FALSE;
    for (guint i = 0; i < fds->len; i++) {
        g_autofree char *name = template_memory_file(i);
        if (!copy_file(writer, name, g_array_index(fds, int, i), error))
            return FALSE;
    }
    return copy_disks(writer, template->recipe->disk_fds, error);
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
template_keep(Template *template, const char *manifest, GError **error)
{
    g_autoptr(GPtrArray) inputs = template_key_inputs(template->recipe, manifest, error);
    if (!inputs || !check_unchanged(template->recipe, inputs, error))
        return FALSE;
    g_autoptr(TemplateWriter) writer =
        template_writer_new(describe(template, g_steal_pointer(&inputs)), error);
    if (!writer || !copy_files(writer, template, error) ||
        !template_writer_commit(writer, error))
        return FALSE;
    template->key = g_strdup(writer->about->key);
    template_store_prune(writer->maximum, template->key);
    return TRUE;
}

/* ---- out of it
 * --------------------------------------------------------------------------------------
 */

/* Memory of other sizes than the plan's would be another host's, and without what was
 * written to its disk it would be none. */
static gboolean
fits(const StoredTemplate *stored, const Plan *plan)
{
    const GPtrArray *files = stored->about->files;
    guint next = 1;
    for (guint i = 0; i < plan->cells->len; i++) {
        const PlanCell *cell = plan->cells->pdata[i];
        if (!cell->backend)
            continue;
        if (next >= files->len ||
            ((const TemplateFile *)files->pdata[next])->size != cell->memory_bytes)
            return FALSE;
        next++;
    }
    for (guint i = next; i < files->len; i++)
        if (!template_is_disk(((const TemplateFile *)files->pdata[i])->name))
            return FALSE;
    return plan->image ? next < files->len : next == files->len;
}

/* The disks of STORED, which are the last of its files, to those of RECIPE. */
static void
take_disks(BootRecipe *recipe, StoredTemplate *stored)
{
    const GPtrArray *files = stored->about->files;
    guint first = files->len;
    while (first > 0 &&
           template_is_disk(((const TemplateFile *)files->pdata[first - 1])->name))
        first--;
    for (guint i = first; i < files->len; i++) {
        int fd = fcntl(g_array_index(stored->fds, int, i), F_DUPFD_CLOEXEC, 3);
        g_array_append_val(recipe->disk_fds, fd);
    }
    g_array_set_size(stored->fds, first);
}

static Template *
template_from_store(BootRecipe *recipe, StoredTemplate *stored)
{
    Template *template = g_new0(Template, 1);
    template->recipe = g_rc_box_acquire(recipe);
    template->nonce = g_strdup(stored->about->nonce);
    template->key = g_strdup(stored->about->key);
    template->made = printable(stored->about->made, strlen(stored->about->made), 30);
    template->state_fd = fcntl(g_array_index(stored->fds, int, 0), F_DUPFD_CLOEXEC, 3);
    if (recipe->disk_fds)
        take_disks(recipe, stored);
    g_array_remove_index(stored->fds, 0);
    recipe->memory_readonly = stored->about->memory_readonly;
    recipe->memory_fds = g_steal_pointer(&stored->fds);
    return template;
}

static char *
recipe_key(const BootRecipe *recipe, const char *manifest, GPtrArray **inputs,
           GError **error)
{
    *inputs = template_key_inputs(recipe, manifest, error);
    return *inputs ? template_inputs_key(*inputs) : NULL;
}

char *
template_key_of(const BootOptions *options, const char *manifest, GPtrArray **inputs,
                GError **error)
{
    g_autoptr(BootRecipe) recipe = boot_recipe_new(options, error);
    return recipe ? recipe_key(recipe, manifest, inputs, error) : NULL;
}

/* What is wrong with one that is there goes with it; the caller makes another. One that
 * cannot be opened now stays. */
Template *
template_kept(const BootOptions *options, const char *manifest, char **trouble)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) inputs = NULL;
    g_autoptr(BootRecipe) recipe = boot_recipe_new(options, NULL);
    g_autofree char *key = recipe ? recipe_key(recipe, manifest, &inputs, NULL) : NULL;
    g_autoptr(StoredTemplate) stored = key ? template_store_open(key, &error) : NULL;
    *trouble = NULL;
    if (stored && fits(stored, options->plan))
        return template_from_store(recipe, stored);
    if ((!stored && !error) || (error && template_store_is_passing(error)))
        return NULL;
    *trouble = g_strdup(error ? error->message : "its memory is of other sizes");
    template_store_remove(key);
    return NULL;
}

const char *
template_kept_since(const Template *template)
{
    return template->made;
}

const char *
template_key(const Template *template)
{
    return template->key;
}

void
template_forget(const Template *template)
{
    if (template->key)
        template_store_remove(template->key);
}
