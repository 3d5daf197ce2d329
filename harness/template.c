/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "template.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "probes.h"
#include "resources.h"
#include "template-private.h"

/* ---- freezing
 * ------------------------------------------------------------------------------------ */

gint64
template_file_bytes(int fd)
{
    struct stat file;
    return fstat(fd, &file) == 0 ? (gint64)file.st_blocks * 512 : 0;
}

gint64
template_memory_bytes(const BootRecipe *recipe)
{
    gint64 bytes = 0;
    for (guint i = 0; i < recipe->memory_fds->len; i++)
        bytes += template_file_bytes(g_array_index(recipe->memory_fds, int, i));
    return bytes;
}

/* A clone that writes to all of its memory has it beside the template's; BRANCH: and
 * beside that of the template that is made from it. */
static char *
no_room(const BootRecipe *recipe, gboolean branch)
{
    g_autoptr(Resources) resources = resources_read("");
    gint64 used = template_memory_bytes(recipe);
    gint64 needed = plan_memory_needed(recipe->plan) * (branch ? 2 : 1);
    if (resources->usable_bytes == 0 || needed <= resources->usable_bytes)
        return NULL;
    return g_strdup_printf("%s beside it (%" G_GINT64_FORMAT
                           " MiB are in use) may need %" G_GINT64_FORMAT
                           " MiB, and %" G_GINT64_FORMAT " MiB are left",
                           branch ? "a template and a clone" : "a clone", used >> 20,
                           needed >> 20, resources->usable_bytes >> 20);
}

/* Raw arguments that make the same of a clone as of the host that it is a clone of: the
 * guest was told at its start, or the emulator's state has it. */
static const char *const shared_arguments[] = {"-rtc", "-smbios", "-fw_cfg", "-uuid",
                                               NULL};
#define SHARED_ARGUMENTS "-rtc, -smbios, -fw_cfg and -uuid"

/* The first of the lab's raw arguments that is none of those, or NULL. */
static const char *
unshared_argument(const Plan *plan)
{
    const GPtrArray *words = plan->raw_args;
    for (guint i = 0; i < words->len; i += 2) {
        const char *value = i + 1 < words->len ? words->pdata[i + 1] : NULL;
        if (!value || strstr(value, "file=") ||
            !g_strv_contains(shared_arguments, words->pdata[i]))
            return words->pdata[i];
    }
    return NULL;
}

char *
template_argument_obstacle(const Plan *plan)
{
    const char *argument = unshared_argument(plan);
    return argument
               ? g_strdup_printf("clones may not share what the raw argument '%s' of "
                                 "its lab makes; " SHARED_ARGUMENTS
                                 " that name no file are no obstacle",
                                 argument)
               : NULL;
}

char *
template_obstacle(Boot *boot)
{
    char *obstacle = template_argument_obstacle(boot->recipe->plan);
    if (!obstacle && !boot->recipe->memory_fds)
        obstacle = g_strdup("its memory is the emulator's own");
    return obstacle ? obstacle : machine_freeze_obstacle(boot->machine);
}

static char *
obstacle_of(Boot *boot)
{
    if (boot->retried)
        return g_strdup("it was started with other arguments, because it hung at first");
    if (boot->shares_memory)
        return g_strdup("it shares its memory with the template that it is a clone of");
    char *lasting = template_obstacle(boot);
    return lasting ? lasting : no_room(boot->recipe, FALSE);
}

/* From here on nobody changes what clones are made of. */
static gboolean
seal(int fd, GError **error)
{
    if (fcntl(fd, F_ADD_SEALS,
              F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "a template cannot be sealed: %s",
                g_strerror(errno));
    return FALSE;
}

static gboolean
seal_all(const Template *template, GError **error)
{
    const GArray *fds = template->recipe->memory_fds;
    for (guint i = 0; i < fds->len; i++)
        if (!seal(g_array_index(fds, int, i), error))
            return FALSE;
    return seal(template->state_fd, error);
}

/* The agent's last word is read and it waits for ours, so that nothing is on the way when
 * the host stops. */
static gboolean
greet(Boot *boot, Template *template, GError **error)
{
    if (!guest_greet(boot->guest, FALSE, boot_cancellable(boot), error))
        return FALSE;
    template->nonce = g_strdup(guest_hello(boot->guest, "nonce"));
    template->recipe->maps_readonly = machine_maps_readonly(boot->machine);
    return TRUE;
}

/* What the host has written is what the disks of its clones are based on: the emulator
 * has written all of it down before it gave its state, and nobody changes it any more. */
static void
take_disk(Boot *boot)
{
    BootRecipe *recipe = boot->recipe;
    if (!boot->disk_fds)
        return;
    g_clear_pointer(&recipe->disk_fds, g_array_unref);
    recipe->disk_fds = g_steal_pointer(&boot->disk_fds);
}

Template *
template_begin(Boot *boot, GError **error)
{
    g_autofree char *obstacle = obstacle_of(boot);
    if (obstacle) {
        g_set_error_literal(error, HB_ERROR, HB_UNSUPPORTED, obstacle);
        return NULL;
    }
    g_autoptr(Template) template = g_new0(Template, 1);
    template->recipe = g_rc_box_acquire(boot->recipe);
    template->state_fd = memfd_create("hostbed-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (template->state_fd < 0) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "no file for a template: %s",
                    g_strerror(errno));
        return NULL;
    }
    g_autoptr(GError) reason = NULL;
    if (greet(boot, template, &reason))
        return g_steal_pointer(&template);
    boot_explain(boot, &reason);
    g_propagate_error(error, g_steal_pointer(&reason));
    return NULL;
}

gboolean
template_finish(Template *template, Boot **boot, GError **error)
{
    g_autoptr(GError) reason = NULL;
    if (!machine_freeze((*boot)->machine, template->state_fd, &reason)) {
        machine_resume((*boot)->machine, NULL);
        boot_explain(*boot, &reason);
        g_propagate_error(error, g_steal_pointer(&reason));
        return FALSE;
    }
    take_disk(*boot);
    g_clear_pointer(boot, boot_free);
    return seal_all(template, error);
}

Template *
template_freeze(Boot **boot, GError **error)
{
    g_autoptr(Template) template = template_begin(*boot, error);
    return template && template_finish(template, boot, error) ? g_steal_pointer(&template)
                                                              : NULL;
}

void
template_free(Template *template)
{
    if (!template)
        return;
    if (template->state_fd >= 0)
        close(template->state_fd);
    boot_recipe_unref(template->recipe);
    g_free(template->nonce);
    g_free(template);
}

gint64
template_used_bytes(const Template *template)
{
    return template_memory_bytes(template->recipe);
}

/* ---- clones
 * --------------------------------------------------------------------------------------
 */

static gboolean
is_the_one(const Template *template, const Boot *clone, GError **error)
{
    const char *nonce = guest_hello(clone->guest, "nonce");
    if (nonce && template->nonce && strcmp(nonce, template->nonce) == 0)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_FAIL,
                "the clone is not the host that was frozen; logs: %s", clone->log_dir);
    return FALSE;
}

gboolean
template_wake(const Template *template, Boot *clone, GError **error)
{
    g_autoptr(GError) reason = NULL;
    if (guest_greet(clone->guest, TRUE, boot_cancellable(clone), &reason) &&
        is_the_one(template, clone, &reason)) {
        clone->boot_us = g_get_monotonic_time() - clone->start_us;
        machine_note(clone->machine, "the clone's agent said HELLO after %.3f s",
                     (double)clone->boot_us / G_USEC_PER_SEC);
        PROBE4(clone_answered, clone->recipe->plan->lab_name,
               clone->recipe->plan->host_id, (int)machine_pid(clone->machine),
               clone->boot_us);
        return TRUE;
    }
    boot_explain(clone, &reason);
    g_propagate_error(error, g_steal_pointer(&reason));
    return FALSE;
}

/* Takes RECIPE. */
static Boot *
start_clone(const Template *template, BootRecipe *recipe, const TemplateStart *start,
            GError **error)
{
    g_autoptr(Boot) clone = g_new0(Boot, 1);
    g_autoptr(GError) reason = NULL;
    clone->recipe = recipe;
    clone->segments = start->segments;
    clone->shares_memory = recipe == template->recipe;
    clone->accel = clone->recipe->accel;
    clone->kernel = clone->recipe->kernel;
    if (!boot_take_disk(clone, NULL, error) ||
        !boot_start(clone, start->log_dir, TRUE, start->interrupt, error))
        return NULL;
    PROBE3(clone_spawned, recipe->plan->lab_name, recipe->plan->host_id,
           (int)machine_pid(clone->machine));
    if (!recipe->memory_fds)
        machine_carry_memory(clone->machine);
    if (machine_take_state(clone->machine, template->state_fd, &reason))
        return g_steal_pointer(&clone);
    boot_explain(clone, &reason);
    g_propagate_error(error, g_steal_pointer(&reason));
    return NULL;
}

Boot *
template_start(const Template *template, const TemplateStart *start, GError **error)
{
    if (!start->branch)
        return start_clone(template, g_rc_box_acquire(template->recipe), start, error);
    g_autofree char *obstacle = no_room(template->recipe, TRUE);
    if (obstacle) {
        g_set_error_literal(error, HB_ERROR, HB_UNSUPPORTED, obstacle);
        return NULL;
    }
    BootRecipe *recipe = boot_recipe_copy(template->recipe, error);
    return recipe ? start_clone(template, recipe, start, error) : NULL;
}

Boot *
template_restore(const Template *template, const TemplateStart *start, GError **error)
{
    g_autoptr(Boot) clone = template_start(template, start, error);
    g_autoptr(GError) reason = NULL;
    if (!clone)
        return NULL;
    if (!machine_go(clone->machine, &reason)) {
        boot_explain(clone, &reason);
        g_propagate_error(error, g_steal_pointer(&reason));
        return NULL;
    }
    return template_wake(template, clone, error) ? g_steal_pointer(&clone) : NULL;
}

Boot *
template_clone(const Template *template, const char *log_dir, GCancellable *interrupt,
               GError **error)
{
    const TemplateStart start = {.log_dir = log_dir, .interrupt = interrupt};
    return template_restore(template, &start, error);
}

Boot *
template_branch(const Template *template, const char *log_dir, GCancellable *interrupt,
                GError **error)
{
    const TemplateStart start = {
        .log_dir = log_dir, .interrupt = interrupt, .branch = TRUE};
    return template_restore(template, &start, error);
}
