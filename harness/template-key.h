/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The key of a template that is kept: a SHA-256 of everything that decides what the host
 * is. Under emulation equal inputs give the same key on every machine; under KVM the
 * machine is one of the inputs.
 */
#pragma once

#include "boot-private.h"

typedef struct {
    char *name, *value; /* one line each */
} TemplateInput;

/* GPtrArray of TemplateInput, in the order in which they count. */
GPtrArray *template_inputs_new(void);
void template_inputs_add(GPtrArray *inputs, const char *name, const char *value);
/* NULL if there is none. */
const char *template_inputs_find(const GPtrArray *inputs, const char *name);
/* 64 hexadecimal digits, owned by the caller. */
char *template_inputs_key(const GPtrArray *inputs);
/* What was done in the host since, each with a number behind this. */
#define TEMPLATE_STEP_PREFIX "prepare "
/* How many such there are. */
guint template_inputs_steps(const GPtrArray *inputs);
/* The command that made it: "test" compares its hosts with a manifest, "run" with none.
 */
const char *template_inputs_command(const GPtrArray *inputs);

/* Whether they name LAB and HOST, which is a peer of the one that is meant or not. What
 * has no arguments is no host's, and is nowhere looked for. */
gboolean template_inputs_are_of(const GPtrArray *inputs, const char *lab,
                                const char *host, gboolean is_peer);

/* The inputs of the host that RECIPE starts; MANIFEST is what it is compared with, or
 * NULL. HB_UNSUPPORTED: it depends on something else, a file that its arguments name. */
GPtrArray *
template_key_inputs(const BootRecipe *recipe, const char *manifest, GError **error);

/* What of this machine a host under KVM depends on. CPUINFO: as in /proc/cpuinfo. */
void template_inputs_add_machine(GPtrArray *inputs, const char *cpuinfo,
                                 const char *host_kernel);
/* And how its KVM is set. MODULES: as /sys/module. */
void template_inputs_add_kvm(GPtrArray *inputs, const char *modules);
/* All that of the machine that we are on. */
void template_inputs_add_this_machine(GPtrArray *inputs);
/* Why what was made by INPUTS cannot live where MACHINE (as above) is true, one sentence,
 * owned by the caller; NULL: it can. */
char *template_inputs_obstacle(const GPtrArray *inputs, const GPtrArray *machine);
