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

/* The descriptors FDS (or NULL) from FIRST on, as HOST's PARTs. */
static gboolean
copy_files(TemplateWriter *writer, guint host, TemplatePart part, const GArray *fds,
           guint first, GError **error)
{
    for (guint i = first; fds && i < fds->len; i++) {
        g_autofree char *name = template_file_name(host, part, i - first);
        if (!copy_file(writer, name, g_array_index(fds, int, i), error))
            return FALSE;
    }
    return TRUE;
}

/* The first of its disks is the image, which is found by the key. */
gboolean
template_write(const Template *template, TemplateWriter *writer, guint host,
               GError **error)
{
    const BootRecipe *recipe = template->recipe;
    g_autofree char *state = template_file_name(host, TEMPLATE_STATE, 0);
    return copy_file(writer, state, template->state_fd, error) &&
           copy_files(writer, host, TEMPLATE_MEMORY, recipe->memory_fds, 0, error) &&
           copy_files(writer, host, TEMPLATE_DISK, recipe->disk_fds, 1, error);
}

/* ---- out of it
 * --------------------------------------------------------------------------------------
 */

static const TemplateFile *
file_at(const StoredTemplate *stored, guint index)
{
    return stored->about->files->pdata[index];
}

/* Memory of other sizes than the plan's would be another host's, and without what was
 * written to its disk it would be none. */
gboolean
template_fits(const StoredTemplate *stored, guint host, const Plan *plan)
{
    guint first, count = template_about_files_of(stored->about, host, &first);
    guint next = first + 1, end = first + count;
    for (guint i = 0; i < plan->cells->len; i++) {
        const PlanCell *cell = plan->cells->pdata[i];
        if (!cell->backend)
            continue;
        if (next >= end || file_at(stored, next)->size != cell->memory_bytes)
            return FALSE;
        next++;
    }
    for (guint i = next; i < end; i++)
        if (template_file_part(file_at(stored, i)->name) != TEMPLATE_DISK)
            return FALSE;
    return plan->image ? next < end : next == end;
}

Template *
template_from_store(BootRecipe *recipe, StoredTemplate *stored, guint host)
{
    const TemplateAbout *about = stored->about;
    guint first, count = template_about_files_of(about, host, &first);
    Template *template = g_new0(Template, 1);
    template->recipe = g_rc_box_acquire(recipe);
    template->nonce = g_strdup(
        host == 0 ? about->nonce
                  : ((const TemplatePeer *)about->peers->pdata[host - 1])->nonce);
    template->state_fd = g_steal_fd(&g_array_index(stored->fds, int, first));
    recipe->memory_readonly = about->memory_readonly;
    recipe->memory_fds = boot_fds_new();
    for (guint i = first + 1; i < first + count; i++) {
        TemplatePart part = template_file_part(file_at(stored, i)->name);
        GArray *fds = part == TEMPLATE_DISK ? recipe->disk_fds : recipe->memory_fds;
        int fd = g_steal_fd(&g_array_index(stored->fds, int, i));
        g_array_append_val(fds, fd);
    }
    return template;
}
