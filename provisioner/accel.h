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

/* The proof while it runs: the guest under KVM and, to know what this machine takes for
 * it at its present load, the same guest under emulation beside it. KVM that is six times
 * slower than emulation (or than two seconds) does not work. */
typedef struct AccelProof AccelProof;

/* Begins what accel_end() needs, so that other work can be done meanwhile. EMULATOR is a
 * path. With ACCEL_AUTO a KVM that did not work within the last hour is not tried again
 * (accel-memory.h). Never fails; use it from one thread that lives as long. */
AccelProof *accel_begin(Accel asked, const char *emulator);
/* Waits for the proof and decides; with ACCEL_KVM and no usable KVM an error
 * (HB_UNSUPPORTED) with the reason. The thread's current GCancellable ends the wait
 * (HB_INTERRUPTED). */
AccelVerdict *accel_end(AccelProof *proof, GError **error);
void accel_proof_free(AccelProof *proof);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AccelProof, accel_proof_free)

/* Both at once, within two seconds, and always by a proof, which replaces what was
 * remembered. */
AccelVerdict *accel_decide(Accel asked, const char *emulator, GError **error);

/* Runs the guest with ACCEL (KVM or TCG), which need not be there, within two seconds.
 * *REASON, owned by the caller, is set in either case. */
gboolean accel_prove(Accel accel, const char *emulator, char **reason);
