/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Hosts in a fraction of a second: clones of the template that is kept of such hosts.
 * Where there is none, they are started, frozen, and kept for the next time.
 */
#pragma once

#include "lab-boot.h"

typedef enum {
    BOOT_WARM_NOTE,    /* for a person, or who asks for all there is to know */
    BOOT_WARM_WARNING, /* for everybody */
} BootWarmKind;

/* One sentence, without an end. */
typedef void (*BootWarmTell)(BootWarmKind kind, const char *text, gpointer user_data);

/* The key that the template of such a host has, as lab_template_key_of(). */
char *boot_warm_key(const BootOptions *options, GPtrArray **inputs, GError **error);
/* FALSE, HB_UNSUPPORTED: it has none, as lab_template_possible(). */
gboolean boot_warm_possible(const BootOptions *options, GError **error);

/* As boot_host(); TELL gets the USER_DATA of OPTIONS. */
Boot *boot_warm(const BootOptions *options, BootWarmTell tell, GError **error);
/* As lab_boot(), of hosts that networks join. */
LabBoot *lab_warm(const BootOptions *options, const GPtrArray *peers, BootWarmTell tell,
                  GError **error);
