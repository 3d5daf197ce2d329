/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The hosts of a lab that networks join, as one: started together, with the segments
 * between them; frozen at one instant, and cloned together. One of them is meant (the
 * first); the others, its peers, are there for it. A host that no network joins with
 * others is a lab of one, without segments.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "template.h"
#include "uplink.h"

typedef struct {
    GPtrArray *boots;   /* Boot; the one that is meant first */
    Segments *segments; /* or NULL */
    Uplinks *uplinks;   /* or NULL: nothing leads out of them */
    char *obstacle;     /* why they cannot be frozen, or NULL: not known */
} LabBoot;

/* OPTIONS are of the host that is meant; those of its PEERS (Plan) are the same, but for
 * what only suites need. Their logs are in folders of OPTIONS' that are called by their
 * ids. All are up when this returns, and have addresses and names. ERROR names the host
 * that is not. */
LabBoot *lab_boot(const BootOptions *options, const GPtrArray *peers, GError **error);
void lab_boot_free(LabBoot *lab);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LabBoot, lab_boot_free)

/* The host that is meant. */
Boot *lab_boot_own(const LabBoot *lab);
/* The peer with this id, which there is. */
Boot *lab_boot_peer(const LabBoot *lab, const char *host);
/* What was seen of any of them from outside that none may do; NULL: nothing. Owned by the
 * caller. */
GError *lab_boot_failure(const LabBoot *lab);
/* Runs the program ARGV, which must end well, in each peer. */
gboolean lab_boot_run_in_peers(LabBoot *lab, const char *const *argv, GError **error);

/* ---- frozen */

typedef struct LabTemplate LabTemplate;

/* As template_freeze() does it, of all hosts, and of what is on the networks: *LAB is
 * freed then. */
LabTemplate *lab_boot_freeze(LabBoot **lab, GError **error);
void lab_template_free(LabTemplate *template);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LabTemplate, lab_template_free)
/* That of a single host, which it takes; and the other way round: borrowed, NULL where
 * there are several. */
LabTemplate *lab_template_of(Template *template);
Template *lab_template_single(const LabTemplate *template);
gint64 lab_template_used_bytes(const LabTemplate *template);

/* As template_clone() and (BRANCH) template_branch(): all go on at the same time. */
LabBoot *lab_template_clone(const LabTemplate *template, gboolean branch,
                            const char *log_dir, GCancellable *interrupt, GError **error);

/* ---- kept between runs (template-store.h) */

/* The template that is kept of the hosts that lab_boot() starts with OPTIONS and PEERS
 * (or NULL), the first of which is compared with MANIFEST (or NULL). NULL: there is none.
 * Then *TROUBLE, owned by the caller, says what was wrong with one that was there, which
 * is thrown away; or it is NULL. */
LabTemplate *lab_template_kept(const BootOptions *options, const GPtrArray *peers,
                               const char *manifest, char **trouble);
/* Keeps TEMPLATE, of hosts that were started with `keep`, as one; it is used as before.
 * FALSE: it is not kept. */
gboolean lab_template_keep(LabTemplate *template, const char *manifest, GError **error);
/* Its key, or NULL: it is not kept; and when it was made, if it was found in the store.
 */
const char *lab_template_key(const LabTemplate *template);
const char *lab_template_kept_since(const LabTemplate *template);
/* Throws away what is kept of it. */
void lab_template_forget(const LabTemplate *template);
/* FALSE, HB_UNSUPPORTED: the emulator says beforehand that such hosts cannot be frozen,
 * or raw arguments do. Their emulators are started, with logs in OPTIONS', but no guest.
 */
gboolean
lab_template_possible(const BootOptions *options, const GPtrArray *peers, GError **error);
/* What is done in a clone of a template and frozen again is kept by all that came before,
 * and by STEPS, the lines that say what was done (NULL at the end). The template of what
 * comes of STEPS on BELOW, as lab_template_kept(), where BELOW is kept, too. */
LabTemplate *lab_template_kept_above(const LabTemplate *below, const char *const *steps,
                                     char **trouble);
/* Keeps TEMPLATE as that, as lab_template_keep(). */
gboolean lab_template_keep_above(LabTemplate *template, const LabTemplate *below,
                                 const char *const *steps, GError **error);
/* INPUTS, of what is kept, and STEPS that are done on top of it. GPtrArray, owned by the
 * caller. */
GPtrArray *lab_template_inputs_above(const GPtrArray *inputs, const char *const *steps);
/* The key that the template of such hosts has, owned by the caller; *INPUTS (GPtrArray,
 * template-key.h), too, is what it is made of. */
char *lab_template_key_of(const BootOptions *options, const GPtrArray *peers,
                          const char *manifest, GPtrArray **inputs, GError **error);

/* ---- handed over */

/* In the hands of another process, as in template-hand.h. */
JsonObject *lab_template_hand(const LabTemplate *template, GArray *fds);
LabTemplate *lab_template_take(JsonObject *object, const Plan *plan,
                               const GPtrArray *peers, int first_fd, GError **error);
