/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What of this machine hosts may use now: memory and CPUs, as much as the machine has
 * free and as the control groups (v1, v2, mixed) up the tree leave. For the scheduler and
 * doctor. ROOT is "" for the machine, else a folder that holds a recorded proc and sys.
 */
#pragma once

#include <glib.h>

typedef struct {
    gint64 page_bytes, total, free;
} ResourcesHugepages;

typedef struct {
    gint64 machine_bytes;   /* MemTotal */
    gint64 available_bytes; /* MemAvailable */
    gint64 group_bytes;     /* what the tightest control group leaves, or -1: no limit */
    gint64 usable_bytes;    /* the smaller of the two, or what HOSTBED_MEMORY says */
    gboolean is_wish;       /* it says so */
    guint cpus;             /* at least 1 */
    GArray *hugepages;      /* ResourcesHugepages, by size */
} Resources;

/* Whether HOSTBED_MEMORY, if it is there, is a size (units.h); HB_USAGE if not. */
gboolean resources_check_wish(GError **error);
/* Never fails: what cannot be read is 0, and no limit. */
Resources *resources_read(const char *root);
void resources_free(Resources *resources);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Resources, resources_free)
