/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Is KVM real here? /dev/kvm can open, make virtual CPUs and still not run a guest, so
 * the only proof is 64-bit guest code that runs to its end (FACTS.md, "/dev/kvm can
 * lie").
 */
#pragma once

#include <gio/gio.h>

typedef enum {
    ACCEL_AUTO,
    ACCEL_KVM,
    ACCEL_TCG,
} Accel;

gboolean accel_from_name(const char *name, Accel *accel);
const char *accel_name(Accel accel); /* "auto", "kvm", "tcg" */

/* What was decided and why; the reason is a sentence for people. */
typedef struct {
    Accel accel; /* KVM or TCG */
    char *reason;
} AccelVerdict;

void accel_verdict_free(AccelVerdict *verdict);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AccelVerdict, accel_verdict_free)

/* Decides for ASKED; with ACCEL_KVM and no usable KVM an error (HB_UNSUPPORTED) with the
 * reason. EMULATOR runs the proof, within a limit of two seconds. */
AccelVerdict *accel_decide(Accel asked, const char *emulator, GError **error);

/* Runs the proof with ACCEL (KVM or TCG), which need not be there. *REASON, owned by the
 * caller, is set in either case. Nothing is remembered: what worked a minute ago is tried
 * again. */
gboolean accel_prove(Accel accel, const char *emulator, char **reason);
/* Whether KVM is there and passes the proof; *REASON as above. */
gboolean accel_kvm_works(const char *emulator, char **reason);
