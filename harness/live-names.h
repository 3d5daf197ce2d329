/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How a person calls what is up: a lab by its name; a host by its own, by that of its lab
 * if it is the only one there, or by both, "LAB/HOST". Pure.
 */
#pragma once

#include "live-state.h"

typedef struct {
    const LiveLab *lab;
    const LiveHost *host;
} LiveName;

/* The host of LABS (LiveLab) that TEXT names. HB_USAGE: none, or several, with those that
 * may be meant. */
gboolean
live_name_host(const GPtrArray *labs, const char *text, LiveName *found, GError **error);
/* The lab, or NULL: none is called so. */
const LiveLab *live_name_lab(const GPtrArray *labs, const char *text);
/* Why it is none, with one that may be meant; *IS_MISTAKE: there is such a one. Owned by
 * the caller. */
char *live_name_no_lab(const GPtrArray *labs, const char *text, gboolean *is_mistake);
/* The shortest name of HOST of LAB that is its alone; owned by the caller. */
char *live_name_of(const GPtrArray *labs, const LiveLab *lab, const LiveHost *host);
