/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boot-warm.h"

#include <sys/stat.h>

#include "boot-private.h"
#include "lab-boot.h"
#include "template-store.h"

typedef struct {
    const BootOptions *options;
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

/* A clone of the template that is kept. NULL: there is none that lives; without ERROR one
 * is to be made. */
static Boot *
clone_kept(const Warm *warm, GError **error)
{
    const BootOptions *options = warm->options;
    g_autofree char *trouble = NULL;
    g_autoptr(GError) reason = NULL;
    g_autoptr(LabTemplate) template = lab_template_kept(options, NULL, NULL, &trouble);
    Boot *boot = template ? template_clone(lab_template_single(template),
                                           options->log_dir, options->interrupt, &reason)
                          : NULL;
    if (boot)
        tell_template(warm, template, lab_template_kept_since(template));
    if (boot || (!template && !trouble))
        return boot;
    if (reason && g_cancellable_is_cancelled(options->interrupt)) {
        g_propagate_error(error, g_steal_pointer(&reason));
        return NULL;
    }
    give_up_kept(warm, template, trouble, reason);
    return NULL;
}

/* Makes a template of *BOOT and keeps it; *BOOT is then a clone of it. What cannot be
 * frozen or kept serves all the same. */
static void
freeze_and_keep(const Warm *warm, Boot **boot, GError **error)
{
    g_autoptr(GError) reason = NULL;
    g_autofree char *log_dir = g_build_filename((*boot)->log_dir, "clone", NULL);
    boot_step(warm->options, "keeping the template");
    Template *frozen = template_freeze(boot, &reason);
    if (!frozen && !*boot) {
        g_propagate_error(error, g_steal_pointer(&reason));
        return;
    }
    g_autoptr(LabTemplate) template = frozen ? lab_template_of(frozen) : NULL;
    if (!template || !lab_template_keep(template, NULL, &reason))
        tell(warm, BOOT_WARM_WARNING, "the host is not kept: %s", reason->message);
    else
        tell_template(warm, template, NULL);
    if (!template)
        return;
    mkdir(log_dir, 0700);
    *boot = template_clone(frozen, log_dir, warm->options->interrupt, error);
}

Boot *
boot_warm(const BootOptions *options, BootWarmTell tell_it, GError **error)
{
    /* For any command, so that more of them find the same template. */
    BootOptions warm_options = *options;
    warm_options.tools = warm_options.freezable = warm_options.keep = TRUE;
    const Warm warm = {&warm_options, tell_it};
    g_autoptr(GError) failure = NULL;
    boot_step(options, "looking for a template");
    Boot *boot = clone_kept(&warm, &failure);
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
    if (boot)
        return boot;
    boot = boot_host(&warm_options, error);
    if (boot)
        freeze_and_keep(&warm, &boot, error);
    return boot;
}
