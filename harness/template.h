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

/* Freezes the host of *BOOT, which was started with `freezable` and where no command
 * runs; *BOOT is freed then. NULL: it could not be frozen, and goes on, unless it died of
 * it (machine_failure()) or *BOOT is NULL: then what was frozen is of no use. */
Template *template_freeze(Boot **boot, GError **error);
void template_free(Template *template);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Template, template_free)

/* A clone that answers, with logs in LOG_DIR (as in BootOptions). It may outlive the
 * template. */
Boot *template_clone(const Template *template, const char *log_dir,
                     GCancellable *interrupt, GError **error);
