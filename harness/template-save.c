/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The state of a host that goes on. What template.c freezes ends, since clones share its
 * memory; here memory is written with the state, to a file on disk, and what was written
 * to the disk is copied, so that a host need not have been started for it.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "error.h"
#include "resources.h"
#include "sparse.h"
#include "template-private.h"

#define KIND "states"
/* A command that does nothing. */
#define SYNC_MS 60000

/* A file that is gone when nobody has it open; -1: ERROR. */
static int
open_file(GError **error)
{
    g_autofree char *folder = cache_dir(KIND, error);
    int fd = folder ? cache_open_nameless(folder) : -1;
    if (folder && fd < 0)
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot make a file in %s: %s",
                    folder, g_strerror(errno));
    return fd;
}

/* Whatever we sent before the agent has read then, and nothing of its own is on the way:
 * whoever meets it again begins with whole frames. */
static gboolean
fall_silent(Boot *boot, GError **error)
{
    const char *const argv[] = {"true", NULL};
    const GuestCommand command = {.argv = argv,
                                  .stdin_fd = -1,
                                  .stdout_fd = -1,
                                  .stderr_fd = -1,
                                  .timeout_ms = SYNC_MS};
    GuestExit end;
    if (guest_run(boot->guest, &command, &end, boot_cancellable(boot), error))
        return TRUE;
    boot_explain(boot, error);
    return FALSE;
}

static gboolean
is_idle(const Boot *boot, GError **error)
{
    if (!guest_is_shared(boot->guest))
        return TRUE;
    g_set_error_literal(
        error, HB_ERROR, HB_FAIL,
        "a command of 'hostbed exec' or a login by 'hostbed ssh' is under "
        "way in it, and would be torn; save it when that has ended");
    return FALSE;
}

typedef struct {
    int from, to;
    gint done; /* atomic */
    gboolean ok;
    GError *error;
} Copy;

static gpointer
copy_file(gpointer user_data)
{
    Copy *copy = user_data;
    struct stat file = {0};
    fstat(copy->from, &file);
    copy->ok = sparse_duplicate(copy->from, copy->to, file.st_size, &copy->error);
    g_atomic_int_set(&copy->done, 1);
    g_main_context_wakeup(NULL);
    return NULL;
}

/* It may be gigabytes, and those who wait hear that we live. */
static gboolean
copy_aside(int from, int to, GError **error)
{
    Copy copy = {.from = from, .to = to};
    GThread *thread = g_thread_new("copy", copy_file, &copy);
    while (!g_atomic_int_get(&copy.done))
        g_main_context_iteration(NULL, TRUE);
    g_thread_join(thread);
    if (copy.error)
        g_propagate_error(error, copy.error);
    return copy.ok;
}

/* The host stands still. Its disk is what it has written so far. */
static gboolean
copy_disk(const Boot *boot, BootRecipe *recipe, GError **error)
{
    if (!boot->disk_fds)
        return TRUE;
    recipe->disk_fds = boot_copy_fds(boot->disk_fds, error);
    if (!recipe->disk_fds)
        return FALSE;
    const guint last = recipe->disk_fds->len - 1;
    const int from = g_array_index(boot->disk_fds, int, last);
    const int to = open_file(error);
    if (to < 0)
        return FALSE;
    close(g_array_index(recipe->disk_fds, int, last));
    g_array_index(recipe->disk_fds, int, last) = to;
    return copy_aside(from, to, error);
}

/* The emulator does not know where the file is that it cannot write to. */
static gboolean
write_memory(Boot *boot, const Template *template, GError **error)
{
    g_autoptr(GError) reason = NULL;
    machine_carry_memory(boot->machine);
    if (machine_freeze(boot->machine, template->state_fd, &reason))
        return TRUE;
    g_autofree char *folder = cache_dir(KIND, NULL);
    if (folder && reason->code == HB_UNSUPPORTED)
        g_prefix_error(&reason, "to %s ", folder);
    g_propagate_error(error, g_steal_pointer(&reason));
    return FALSE;
}

static gboolean
write_state(Boot *boot, Template *template, GError **error)
{
    return write_memory(boot, template, error) &&
           copy_disk(boot, template->recipe, error) && is_idle(boot, error);
}

/* The emulator reads all memory to see what there is in it; where that is a file's, its
 * holes become memory by that. */
static char *
no_room(const BootRecipe *recipe)
{
    g_autoptr(Resources) resources = resources_read("");
    if (!recipe->memory_fds || resources->usable_bytes == 0)
        return NULL;
    gint64 holes = recipe->plan->memory_bytes - template_memory_bytes(recipe);
    if (holes <= resources->usable_bytes)
        return NULL;
    return g_strdup_printf("to write down the memory of a host that 'up --warm' started "
                           "takes %" G_GINT64_FORMAT
                           " MiB more of this machine's, and %" G_GINT64_FORMAT
                           " MiB are left; one that 'up' started takes none",
                           holes >> 20, resources->usable_bytes >> 20);
}

static char *
obstacle_of(Boot *boot)
{
    char *lasting = template_argument_obstacle(boot->recipe->plan);
    if (!lasting)
        lasting = machine_freeze_obstacle(boot->machine);
    return lasting ? lasting : no_room(boot->recipe);
}

Template *
template_save(Boot *boot, GError **error)
{
    g_autofree char *obstacle = obstacle_of(boot);
    if (obstacle) {
        g_set_error(error, HB_ERROR, HB_UNSUPPORTED, "%s cannot be saved: %s",
                    boot->recipe->plan->host_id, obstacle);
        return NULL;
    }
    if (!is_idle(boot, error) || !fall_silent(boot, error))
        return NULL;
    g_autoptr(Template) template = g_new0(Template, 1);
    template->recipe = boot_recipe_again(boot->recipe);
    template->nonce = g_strdup(guest_hello(boot->guest, "nonce"));
    template->state_fd = open_file(error);
    if (template->state_fd < 0)
        return NULL;
    const gboolean ok = write_state(boot, template, error);
    const gboolean goes_on = machine_resume(boot->machine, ok ? error : NULL);
    return ok && goes_on ? g_steal_pointer(&template) : NULL;
}

gint64
template_saved_bytes(const Template *template)
{
    const GArray *disk = template->recipe->disk_fds;
    return template_file_bytes(template->state_fd) +
           (disk ? template_file_bytes(g_array_index(disk, int, disk->len - 1)) : 0);
}
