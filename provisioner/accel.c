/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "accel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "accel-guest.h"
#include "accel-memory.h"
#include "child.h"
#include "error.h"
#include "memory-file.h"

#define DEVICE "/dev/kvm"
#define PROOF_TIMEOUT_MS 2000
/* The guest takes KVM some 100 ms, most of it the emulator's start and the firmware;
 * emulation takes it about as long, because there is little to compute. */
#define PROOF_LEAST_MS 600
#define SLOWER_THAN_EMULATION 6
#define PROOF_SLICE_MS 10

static const char *const names[] = {
    [ACCEL_AUTO] = "auto",
    [ACCEL_KVM] = "kvm",
    [ACCEL_TCG] = "tcg",
};

gboolean
accel_from_name(const char *name, Accel *accel)
{
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        if (g_strcmp0(name, names[i]) == 0) {
            *accel = (Accel)i;
            return TRUE;
        }
    }
    return FALSE;
}

const char *
accel_name(Accel accel)
{
    return names[accel];
}

void
accel_verdict_free(AccelVerdict *verdict)
{
    if (!verdict)
        return;
    g_free(verdict->reason);
    g_free(verdict);
}

/* ---- the proof
 * ------------------------------------------------------------------------------ */

/* The guest in a file without a name, or -1. */
static int
guest_file(void)
{
    gsize length;
    const void *guest = accel_guest(&length);
    return guest ? memory_file_new("accel-guest", guest, length, NULL) : -1;
}

static Child *
start_guest(Accel accel, const char *emulator, GError **error)
{
    int fd = guest_file();
    if (fd < 0) {
        g_set_error_literal(error, HB_ERROR, HB_UNSUPPORTED,
                            "there is no guest code for the proof on this machine");
        return NULL;
    }
    const char *machine =
        accel == ACCEL_KVM ? "q35,accel=kvm,kernel-irqchip=split" : "q35,accel=tcg";
    return child_start(
        (const char *const[]){
            emulator, "-nodefaults", "-no-user-config", "-display", "none", "-machine",
            machine, "-cpu", "max", "-m", "32", "-no-reboot", "-device",
            "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", "/proc/self/fd/3", NULL},
        fd, FALSE, error);
}

static int
elapsed_ms(gint64 started)
{
    return (int)((g_get_monotonic_time() - started) / 1000);
}

/* CODE is how the emulator ended. */
static gboolean
judge(Child *child, int code, Accel accel, int ms, char **reason)
{
    if (code == 2 * ACCEL_GUEST_DONE + 1) {
        *reason = g_strdup_printf("64-bit guest code ran to its end in %d ms", ms);
        return TRUE;
    }
    if (code == 2 * ACCEL_GUEST_WRONG + 1) {
        *reason = g_strdup("guest code ran but computed something wrong");
        return FALSE;
    }
    g_autofree char *words = child_complaint(child);
    *reason = g_strdup_printf("the emulator with accel=%s ended with %s %d%s%s",
                              accel_name(accel), code < 0 ? "signal" : "status",
                              ABS(code), *words ? ", saying: " : "", words);
    return FALSE;
}

gboolean
accel_prove(Accel accel, const char *emulator, char **reason)
{
    g_autoptr(GError) error = NULL;
    gint64 started = g_get_monotonic_time();
    g_autoptr(Child) child = start_guest(accel, emulator, &error);
    int code;
    if (!child) {
        *reason = g_strdup(error->message);
        return FALSE;
    }
    if (child_wait(child, PROOF_TIMEOUT_MS, &code))
        return judge(child, code, accel, elapsed_ms(started), reason);
    *reason = g_strdup_printf("guest code did not run to its end within %d seconds",
                              PROOF_TIMEOUT_MS / 1000);
    return FALSE;
}

/* ---- the decision
 * ---------------------------------------------------------------------------- */

struct AccelProof {
    Accel asked;
    char *emulator;
    gint64 started;
    Child *kvm;       /* NULL: could not even be tried, or emulation was asked for */
    Child *tcg;       /* the measure; NULL: none */
    GThread *watcher; /* of tcg */
    int tcg_ms;    /* written by the watcher, once: how long emulation took; 0: not yet */
    char *refused; /* why KVM was not tried, or NULL */
};

/* Why KVM is not even worth a proof, or NULL. */
static char *
kvm_is_absent(const char *device)
{
    int fd = open(device, O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        return NULL;
    }
    if (errno == ENOENT)
        return g_strdup_printf(
            "there is no %s (no hardware virtualization, or kvm_intel or "
            "kvm_amd is not loaded)",
            device);
    if (errno == EACCES)
        return g_strdup_printf("%s may not be opened; the user must be in the group that "
                               "owns it, usually kvm",
                               device);
    return g_strdup_printf("%s does not open: %s", device, g_strerror(errno));
}

/* A thread, because the caller looks only when it has nothing else to do. */
static gpointer
watch_emulation(gpointer user_data)
{
    AccelProof *proof = user_data;
    int code;
    if (child_wait(proof->tcg, PROOF_TIMEOUT_MS, &code) &&
        code == 2 * ACCEL_GUEST_DONE + 1)
        g_atomic_int_set(&proof->tcg_ms, MAX(elapsed_ms(proof->started), 1));
    return NULL;
}

static void
start_proof(AccelProof *proof)
{
    g_autoptr(GError) error = NULL;
    proof->kvm = start_guest(ACCEL_KVM, proof->emulator, &error);
    if (proof->kvm)
        proof->tcg = start_guest(ACCEL_TCG, proof->emulator, NULL);
    else
        proof->refused = g_strdup(error->message);
    if (proof->tcg)
        proof->watcher = g_thread_new("emulation", watch_emulation, proof);
}

static AccelProof *
begin(Accel asked, const char *emulator, gboolean afresh)
{
    AccelProof *proof = g_new0(AccelProof, 1);
    proof->asked = asked;
    proof->emulator = g_strdup(emulator);
    proof->started = g_get_monotonic_time();
    if (asked == ACCEL_TCG)
        return proof;
    proof->refused = kvm_is_absent(DEVICE);
    if (!proof->refused && !afresh)
        proof->refused = accel_recall(emulator, DEVICE, accel_memory_clock());
    if (!proof->refused)
        start_proof(proof);
    return proof;
}

AccelProof *
accel_begin(Accel asked, const char *emulator)
{
    return begin(asked, emulator, asked != ACCEL_AUTO);
}

void
accel_proof_free(AccelProof *proof)
{
    if (!proof)
        return;
    if (proof->watcher) {
        child_kill(proof->tcg);
        g_thread_join(proof->watcher);
    }
    child_free(proof->kvm);
    child_free(proof->tcg);
    g_free(proof->refused);
    g_free(proof->emulator);
    g_free(proof);
}

/* Waits for the guest under KVM as long as it may take: that follows from when the guest
 * under emulation comes to its end. The time that the caller spent elsewhere counts. */
static gboolean
wait_for_kvm(AccelProof *proof, int *code, int *limit_ms)
{
    *limit_ms = PROOF_TIMEOUT_MS;
    while (!child_wait(proof->kvm, PROOF_SLICE_MS, code)) {
        int tcg_ms = g_atomic_int_get(&proof->tcg_ms);
        if (tcg_ms > 0)
            *limit_ms = (int)CLAMP((gint64)tcg_ms * SLOWER_THAN_EMULATION, PROOF_LEAST_MS,
                                   PROOF_TIMEOUT_MS);
        if (elapsed_ms(proof->started) >= *limit_ms ||
            g_cancellable_is_cancelled(g_cancellable_get_current()))
            return FALSE;
    }
    return TRUE;
}

static gboolean
kvm_passes(AccelProof *proof, char **reason)
{
    int code, limit_ms;
    g_autofree char *words = NULL;
    gboolean passed = FALSE;
    if (proof->refused) {
        *reason = g_strdup(proof->refused);
        return FALSE;
    }
    gboolean ended = wait_for_kvm(proof, &code, &limit_ms);
    if (g_cancellable_is_cancelled(g_cancellable_get_current()))
        return FALSE; /* and nothing was learnt */
    if (ended)
        passed = judge(proof->kvm, code, ACCEL_KVM, elapsed_ms(proof->started), &words);
    else
        words =
            g_strdup_printf("guest code did not run to its end within %d ms", limit_ms);
    *reason = g_strdup_printf(
        passed ? "KVM works: %s" : DEVICE " opens but does not work: %s", words);
    if (passed)
        accel_forget(proof->emulator, DEVICE);
    else
        accel_remember(proof->emulator, DEVICE, accel_memory_clock(), *reason);
    return passed;
}

static AccelVerdict *
verdict_new(Accel accel, char *reason)
{
    AccelVerdict *verdict = g_new0(AccelVerdict, 1);
    *verdict = (AccelVerdict){accel, reason};
    return verdict;
}

AccelVerdict *
accel_end(AccelProof *proof, GError **error)
{
    if (proof->asked == ACCEL_TCG)
        return verdict_new(ACCEL_TCG, g_strdup("emulation was asked for"));
    g_autofree char *reason = NULL;
    if (kvm_passes(proof, &reason))
        return verdict_new(ACCEL_KVM, g_steal_pointer(&reason));
    if (g_cancellable_is_cancelled(g_cancellable_get_current())) {
        g_set_error_literal(error, HB_ERROR, HB_INTERRUPTED,
                            "interrupted while it was tried whether KVM works");
        return NULL;
    }
    if (proof->asked == ACCEL_AUTO)
        return verdict_new(ACCEL_TCG, g_steal_pointer(&reason));
    g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                "KVM was asked for and cannot be had: %s; --accel auto would emulate",
                reason);
    return NULL;
}

AccelVerdict *
accel_decide(Accel asked, const char *emulator, GError **error)
{
    g_autoptr(AccelProof) proof = begin(asked, emulator, TRUE);
    return accel_end(proof, error);
}
