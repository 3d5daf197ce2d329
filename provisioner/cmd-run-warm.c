/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd-run.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "template-store.h"
#include "template.h"

/* For a person, or who asks for all there is to know. SINCE: NULL if it was made now. */
static void
tell(RunSession *session, const Plan *plan, const Template *template, const char *since)
{
    if (!session->options->verbose && !isatty(STDERR_FILENO))
        return;
    run_clear_progress(session);
    fprintf(stderr, "hostbed: template of %s/%s: %s%s as %.12s\n", plan->lab_name,
            plan->host_id, since ? "kept since " : "made now, and kept",
            since ? since : "", template_key(template));
}

/* Says what became of TEMPLATE (NULL: it is gone), and forgets it unless the TROUBLE,
 * which REASON says, passes. */
static void
give_up_kept(const Template *template, const char *trouble, const GError *reason)
{
    gboolean stays = template && template_store_is_passing(reason);
    fprintf(stderr, "hostbed: warning: the template that was kept %s: %s\n",
            stays ? "is not used this time" : "is thrown away, and made anew",
            trouble ? trouble : reason->message);
    if (template && !stays)
        template_forget(template);
}

/* A clone of the template that is kept. NULL: there is none that lives; without ERROR one
 * is to be made. */
static Boot *
clone_kept(RunSession *session, const BootOptions *options, GError **error)
{
    g_autofree char *trouble = NULL;
    g_autoptr(GError) reason = NULL;
    g_autoptr(Template) template = template_kept(options, NULL, &trouble);
    Boot *boot =
        template ? template_clone(template, options->log_dir, session->interrupt, &reason)
                 : NULL;
    if (boot)
        tell(session, options->plan, template, template_kept_since(template));
    if (boot || (!template && !trouble))
        return boot;
    if (reason && g_cancellable_is_cancelled(session->interrupt)) {
        g_propagate_error(error, g_steal_pointer(&reason));
        return NULL;
    }
    run_clear_progress(session);
    give_up_kept(template, trouble, reason);
    return NULL;
}

/* Makes a template of *BOOT and keeps it; *BOOT is then a clone of it. What cannot be
 * frozen or kept serves the command all the same. */
static void
freeze_and_keep(RunSession *session, const Plan *plan, Boot **boot, GError **error)
{
    g_autoptr(GError) reason = NULL;
    g_autofree char *log_dir = g_build_filename((*boot)->log_dir, "clone", NULL);
    run_step("keeping the template", session);
    g_autoptr(Template) template = template_freeze(boot, &reason);
    if (!template && !*boot) {
        g_propagate_error(error, g_steal_pointer(&reason));
        return;
    }
    if (!template || !template_keep(template, NULL, &reason)) {
        run_clear_progress(session);
        fprintf(stderr, "hostbed: warning: the host is not kept: %s\n", reason->message);
    } else {
        tell(session, plan, template, NULL);
    }
    if (!template)
        return;
    mkdir(log_dir, 0700);
    *boot = template_clone(template, log_dir, session->interrupt, error);
}

Boot *
run_boot_warm(RunSession *session, const BootOptions *options, GError **error)
{
    /* For any command, so that more of them find the same template. */
    BootOptions warm = *options;
    warm.tools = warm.freezable = warm.keep = TRUE;
    g_autoptr(GError) failure = NULL;
    run_step("looking for a template", session);
    Boot *boot = clone_kept(session, &warm, &failure);
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
    if (boot)
        return boot;
    boot = boot_host(&warm, error);
    if (boot)
        freeze_and_keep(session, options->plan, &boot, error);
    return boot;
}
