/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "accel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "accel-guest.h"
#include "child.h"
#include "error.h"

#define PROOF_TIMEOUT_MS 2000

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
    int fd = guest ? memfd_create("accel-guest", MFD_CLOEXEC) : -1;
    if (fd >= 0 && write(fd, guest, length) != (ssize_t)length) {
        close(fd);
        return -1;
    }
    return fd;
}

static gboolean
judge(Child *child, const char *accel, gint64 started, char **reason)
{
    int code;
    if (!child_wait(child, PROOF_TIMEOUT_MS, &code)) {
        *reason = g_strdup_printf("guest code did not run to its end within %d seconds",
                                  PROOF_TIMEOUT_MS / 1000);
        return FALSE;
    }
    if (code == 2 * ACCEL_GUEST_DONE + 1) {
        *reason = g_strdup_printf("64-bit guest code ran to its end in %d ms",
                                  (int)((g_get_monotonic_time() - started) / 1000));
        return TRUE;
    }
    g_autofree char *words = child_complaint(child);
    if (code == 2 * ACCEL_GUEST_WRONG + 1)
        *reason = g_strdup("guest code ran but computed something wrong");
    else
        *reason = g_strdup_printf("the emulator with accel=%s ended with %s %d%s%s",
                                  accel, code < 0 ? "signal" : "status", ABS(code),
                                  *words ? ", saying: " : "", words);
    return FALSE;
}

gboolean
accel_prove(Accel accel, const char *emulator, char **reason)
{
    g_autoptr(GError) error = NULL;
    gint64 started = g_get_monotonic_time();
    g_autofree char *machine =
        g_strdup_printf("q35,accel=%s,kernel-irqchip=split", accel_name(accel));
    int fd = guest_file();
    if (fd < 0) {
        *reason = g_strdup("the guest code for the proof is not there on this machine");
        return FALSE;
    }
    g_autoptr(Child) child = child_start(
        (const char *const[]){
            emulator, "-nodefaults", "-no-user-config", "-display", "none", "-machine",
            accel == ACCEL_KVM ? machine : "q35,accel=tcg", "-cpu", "max", "-m", "32",
            "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel",
            "/proc/self/fd/3", NULL},
        fd, FALSE, &error);
    if (!child) {
        *reason = g_strdup(error->message);
        return FALSE;
    }
    return judge(child, accel_name(accel), started, reason);
}

/* ---- the decision
 * ---------------------------------------------------------------------------- */

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

gboolean
accel_kvm_works(const char *emulator, char **reason)
{
    g_autofree char *absent = kvm_is_absent("/dev/kvm");
    g_autofree char *proof = NULL;
    if (absent) {
        *reason = g_steal_pointer(&absent);
        return FALSE;
    }
    gboolean works = accel_prove(ACCEL_KVM, emulator, &proof);
    *reason = g_strdup_printf(
        works ? "KVM works: %s" : "/dev/kvm opens but does not work: %s", proof);
    return works;
}

static AccelVerdict *
verdict_new(Accel accel, char *reason)
{
    AccelVerdict *verdict = g_new0(AccelVerdict, 1);
    *verdict = (AccelVerdict){accel, reason};
    return verdict;
}

AccelVerdict *
accel_decide(Accel asked, const char *emulator, GError **error)
{
    if (asked == ACCEL_TCG)
        return verdict_new(ACCEL_TCG, g_strdup("emulation was asked for"));
    g_autofree char *reason = NULL;
    if (accel_kvm_works(emulator, &reason))
        return verdict_new(ACCEL_KVM, g_steal_pointer(&reason));
    if (asked == ACCEL_AUTO)
        return verdict_new(ACCEL_TCG, g_steal_pointer(&reason));
    g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                "KVM was asked for and cannot be had: %s; --accel auto would emulate",
                reason);
    return NULL;
}
