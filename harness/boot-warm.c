/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boot-warm.h"

#include <sys/stat.h>

#include "boot-private.h"
#include "lab-boot.h"
#include "template-store.h"

typedef struct {
    const BootOptions *options;
    const GPtrArray *peers; /* or NULL */
    BootWarmTell tell;
} Warm;

static void
tell(const Warm *warm, BootWarmKind kind, const char *format, ...) G_GNUC_PRINTF(3, 4);

static void
tell(const Warm *warm, BootWarmKind kind, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    warm->tell(kind, text, warm->options->user_data);
}

/* SINCE: NULL if it was made now. */
static void
tell_template(const Warm *warm, const LabTemplate *template, const char *since)
{
    const Plan *plan = warm->options->plan;
    tell(warm, BOOT_WARM_NOTE, "template of %s/%s: %s%s as %.12s", plan->lab_name,
         plan->host_id, since ? "kept since " : "made now, and kept", since ? since : "",
         lab_template_key(template));
}

/* Says what became of TEMPLATE (NULL: it is gone), and forgets it unless the TROUBLE,
 * which REASON says, passes. */
static void
give_up_kept(const Warm *warm, const LabTemplate *template, const char *trouble,
             const GError *reason)
{
    gboolean stays = template && template_store_is_passing(reason);
    tell(warm, BOOT_WARM_WARNING, "the template that was kept %s: %s",
         stays ? "is not used this time" : "is thrown away, and made anew",
         trouble ? trouble : reason->message);
    if (template && !stays)
        lab_template_forget(template);
}

/* Clones of the template that is kept. NULL: there is none that lives; without ERROR one
 * is to be made. */
static LabBoot *
clone_kept(const Warm *warm, GError **error)
{
    const BootOptions *options = warm->options;
    g_autofree char *trouble = NULL;
    g_autoptr(GError) reason = NULL;
    g_autoptr(LabTemplate) template =
        lab_template_kept(options, warm->peers, NULL, &trouble);
    LabBoot *lab = template ? lab_template_clone(template, FALSE, options->log_dir,
                                                 options->interrupt, &reason)
                            : NULL;
    if (lab)
        tell_template(warm, template, lab_template_kept_since(template));
    if (lab || (!template && !trouble))
        return lab;
    if (reason && g_cancellable_is_cancelled(options->interrupt)) {
        g_propagate_error(error, g_steal_pointer(&reason));
        return NULL;
    }
    give_up_kept(warm, template, trouble, reason);
    return NULL;
}

/* Makes a template of *LAB and keeps it; *LAB is then a clone of it. What cannot be
 * frozen or kept serves all the same. */
static void
freeze_and_keep(const Warm *warm, LabBoot **lab, GError **error)
{
    g_autoptr(GError) reason = NULL;
    g_autofree char *log_dir =
        g_build_filename(lab_boot_own(*lab)->log_dir, "clone", NULL);
    boot_step(warm->options, "keeping the template");
    g_autoptr(LabTemplate) template = lab_boot_freeze(lab, &reason);
    if (!template && !*lab) {
        g_propagate_error(error, g_steal_pointer(&reason));
        return;
    }
    if (!template || !lab_template_keep(template, NULL, &reason))
        tell(warm, BOOT_WARM_WARNING, "the host is not kept: %s", reason->message);
    else
        tell_template(warm, template, NULL);
    if (!template)
        return;
    mkdir(log_dir, 0700);
    *lab = lab_template_clone(template, FALSE, log_dir, warm->options->interrupt, error);
}

/* For any command, so that more of them find the same template. */
static BootOptions
as_warm(const BootOptions *options)
{
    BootOptions warm = *options;
    warm.tools = warm.freezable = warm.keep = TRUE;
    return warm;
}

char *
boot_warm_key(const BootOptions *options, GPtrArray **inputs, GError **error)
{
    const BootOptions warm = as_warm(options);
    return lab_template_key_of(&warm, NULL, NULL, inputs, error);
}

gboolean
boot_warm_possible(const BootOptions *options, GError **error)
{
    const BootOptions warm = as_warm(options);
    return lab_template_possible(&warm, NULL, error);
}

static void
on_obstacle(const char *why, gpointer warm)
{
    tell(warm, BOOT_WARM_WARNING, "the host is not kept: it cannot be frozen: %s", why);
}

LabBoot *
lab_warm(const BootOptions *options, const GPtrArray *peers, BootWarmTell tell_it,
         GError **error)
{
    BootOptions warm_options = as_warm(options);
    Warm warm = {&warm_options, peers, tell_it};
    g_autoptr(GError) failure = NULL;
    warm_options.obstacle = on_obstacle;
    warm_options.obstacle_data = &warm;
    boot_step(options, "looking for a template");
    LabBoot *lab = clone_kept(&warm, &failure);
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
    if (lab)
        return lab;
    warm_options.prepared = TRUE;
    lab = lab_boot(&warm_options, peers, error);
    if (lab && !lab->obstacle)
        freeze_and_keep(&warm, &lab, error);
    return lab;
}

Boot *
boot_warm(const BootOptions *options, BootWarmTell tell_it, GError **error)
{
    LabBoot *lab = lab_warm(options, NULL, tell_it, error);
    if (!lab)
        return NULL;
    Boot *boot = g_ptr_array_steal_index(lab->boots, 0);
    lab_boot_free(lab);
    return boot;
}
