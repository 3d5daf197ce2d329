/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A template is a booted host frozen in memory, a clone a host restored from it in a
 * fraction of a second. All clones share the template's memory copy-on-write, so that one
 * costs what it changes; none can change the template, which is sealed. They are the same
 * host and yet their own: each has its channels and logs, is told what time it is and
 * gets random numbers of its own.
 */
#pragma once

#include "boot.h"

typedef struct Template Template;

/* Why the host of BOOT, whose emulator runs, can never be frozen, one sentence, as far as
 * that is known before it is; NULL: nothing is in the way. Owned by the caller. */
char *template_obstacle(Boot *boot);
/* Freezes the host of *BOOT, which was started with `freezable` and where no command
 * runs; *BOOT is freed then. NULL: it could not be frozen, and goes on, unless it died of
 * it (machine_failure()) or *BOOT is NULL: then what was frozen is of no use. */
Template *template_freeze(Boot **boot, GError **error);
void template_free(Template *template);
/* Bytes of memory that it takes, whatever its clones do. */
gint64 template_used_bytes(const Template *template);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Template, template_free)

/* A clone that answers, with logs in LOG_DIR (as in BootOptions). It may outlive the
 * template. */
Boot *template_clone(const Template *template, const char *log_dir,
                     GCancellable *interrupt, GError **error);
/* A clone that can be frozen itself, once what is to be done in it is done: it has a copy
 * of the template's memory, which costs what is in use of that, and time (a GiB/s). */
Boot *template_branch(const Template *template, const char *log_dir,
                      GCancellable *interrupt, GError **error);

/* ---- in steps, for several hosts at one instant */

/* The host of BOOT can be frozen, and waits for nothing of ours. */
Template *template_begin(Boot *boot, GError **error);
/* The rest of template_freeze(). */
gboolean template_finish(Template *template, Boot **boot, GError **error);

typedef struct {
    const char *log_dir; /* this and the next are as in BootOptions */
    GCancellable *interrupt;
    Segments *segments; /* or NULL */
    gboolean branch;    /* as template_branch() makes one */
} TemplateStart;

/* A clone that has its state and stands still; then machine_go(), and it is met. */
Boot *
template_start(const Template *template, const TemplateStart *start, GError **error);
gboolean template_wake(const Template *template, Boot *clone, GError **error);
/* All three of them: a clone that answers. */
Boot *
template_restore(const Template *template, const TemplateStart *start, GError **error);

/* ---- of a host that goes on (template-save.c) */

/* What the host of BOOT is at this moment, whatever it was started for; it stands still
 * meanwhile. One clone of that may live at a time. HB_FAIL: somebody's command is under
 * way in it. */
Template *template_save(Boot *boot, GError **error);
/* Bytes of disk that what was saved takes. */
gint64 template_saved_bytes(const Template *template);
