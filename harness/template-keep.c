/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a template consists of, into the store and out of it.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "template-private.h"

/* ---- into it
 * ---------------------------------------------------------------------------------------
 */

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

gboolean
template_write(const Template *template, TemplateWriter *writer, GError **error)
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

/* ---- out of it
 * --------------------------------------------------------------------------------------
 */

/* Memory of other sizes than the plan's would be another host's, and without what was
 * written to its disk it would be none. */
gboolean
template_fits(const StoredTemplate *stored, const Plan *plan)
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

Template *
template_from_store(BootRecipe *recipe, StoredTemplate *stored)
{
    const GPtrArray *files = stored->about->files;
    Template *template = g_new0(Template, 1);
    template->recipe = g_rc_box_acquire(recipe);
    template->nonce = g_strdup(stored->about->nonce);
    template->state_fd = g_steal_fd(&g_array_index(stored->fds, int, 0));
    recipe->memory_readonly = stored->about->memory_readonly;
    recipe->memory_fds = boot_fds_new();
    for (guint i = 1; i < files->len; i++) {
        const TemplateFile *file = files->pdata[i];
        GArray *fds =
            template_is_disk(file->name) ? recipe->disk_fds : recipe->memory_fds;
        int fd = g_steal_fd(&g_array_index(stored->fds, int, i));
        g_array_append_val(fds, fd);
    }
    return template;
}
