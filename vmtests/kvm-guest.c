/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kvm-guest.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "accel-guest.h"
#include "modprobe.h"

#define GUEST_BYTES (2 << 20) /* what its page tables map */
#define GUEST_BASE 0x100000
/* Where a Multiboot header says at which address the kernel is entered. */
#define MULTIBOOT_ENTRY 28
#define DONE_PORT 0xf4
#define TSS_ADDRESS 0xfffbd000
#define CPUID_EXTENDED 0x80000001
#define CPUID_LONG_MODE (1U << 29)
#define CPUID_ENTRIES 128
/* It takes a fraction of a second, and a guest that never ends is ended. */
#define GUEST_SECONDS 120

typedef struct {
    int kvm, vm, cpu;
    uint8_t *memory;
    struct kvm_run *run;
    size_t run_bytes;
    char why[300];
} Guest;

bool
kvm_load(void)
{
    /* Only one of them takes to the CPU. */
    static const char *const modules[] = {"kvm_amd", "kvm_intel"};
    bool is_there = access("/dev/kvm", R_OK | W_OK) == 0;
    for (unsigned i = 0; !is_there && i < sizeof modules / sizeof modules[0]; i++) {
        modprobe(modules[i]);
        is_there = access("/dev/kvm", R_OK | W_OK) == 0;
    }
    return is_there;
}

bool
kvm_is_emulated(void)
{
    unsigned eax, name[3];
    __cpuid(0x40000000, eax, name[0], name[1], name[2]);
    return memcmp(name, "TCGTCGTCGTCG", sizeof name) == 0;
}

/* ---- the machine
 * -------------------------------------------------------------------------------------
 */

static bool
cannot(Guest *guest, const char *what)
{
    snprintf(guest->why, sizeof guest->why, "%s: %s", what, strerror(errno));
    return false;
}

static bool
make_machine(Guest *guest)
{
    guest->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (guest->kvm < 0)
        return cannot(guest, "/dev/kvm cannot be opened");
    guest->vm = ioctl(guest->kvm, KVM_CREATE_VM, 0);
    if (guest->vm < 0 || ioctl(guest->vm, KVM_SET_TSS_ADDR, TSS_ADDRESS) != 0)
        return cannot(guest, "KVM makes no machine");
    /* The guest waits for the timer of its local APIC. */
    if (ioctl(guest->vm, KVM_CREATE_IRQCHIP, 0) != 0)
        return cannot(guest, "KVM makes no interrupt controller");
    guest->memory = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct kvm_userspace_memory_region region = {
        .memory_size = GUEST_BYTES, .userspace_addr = (uintptr_t)guest->memory};
    if (guest->memory == MAP_FAILED ||
        ioctl(guest->vm, KVM_SET_USER_MEMORY_REGION, &region) != 0)
        return cannot(guest, "KVM takes no memory");
    return true;
}

static bool
make_cpu(Guest *guest)
{
    int bytes = ioctl(guest->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    guest->cpu = ioctl(guest->vm, KVM_CREATE_VCPU, 0);
    if (guest->cpu < 0 || bytes < (int)sizeof *guest->run)
        return cannot(guest, "KVM makes no CPU");
    guest->run_bytes = (size_t)bytes;
    guest->run =
        mmap(NULL, guest->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, guest->cpu, 0);
    return guest->run != MAP_FAILED || cannot(guest, "KVM's CPU cannot be mapped");
}

/* All that KVM can show, but for long mode where it is not wanted. */
static bool
set_cpuid(Guest *guest, bool long_mode)
{
    struct kvm_cpuid2 *cpuid =
        calloc(1, sizeof *cpuid + CPUID_ENTRIES * sizeof cpuid->entries[0]);
    cpuid->nent = CPUID_ENTRIES;
    bool done = ioctl(guest->kvm, KVM_GET_SUPPORTED_CPUID, cpuid) == 0;
    for (unsigned i = 0; done && i < cpuid->nent; i++)
        if (cpuid->entries[i].function == CPUID_EXTENDED && !long_mode)
            cpuid->entries[i].edx &= ~CPUID_LONG_MODE;
    done = done && ioctl(guest->cpu, KVM_SET_CPUID2, cpuid) == 0;
    if (!done)
        cannot(guest, "KVM takes no CPUID");
    free(cpuid);
    return done;
}

/* As a Multiboot kernel is entered: 32 bits, flat segments, no paging. */
static bool
enter(Guest *guest)
{
    struct kvm_sregs special;
    struct kvm_regs registers = {.rflags = 2};
    size_t length;
    const void *program = accel_guest(&length);
    uint32_t entry;
    memcpy(guest->memory + GUEST_BASE, program, length);
    memcpy(&entry, guest->memory + GUEST_BASE + MULTIBOOT_ENTRY, sizeof entry);
    registers.rip = entry;
    if (ioctl(guest->cpu, KVM_GET_SREGS, &special) != 0)
        return cannot(guest, "KVM tells no registers");
    struct kvm_segment flat = {.limit = 0xffffffff,
                               .selector = 16,
                               .type = 3, /* data, written, accessed */
                               .present = 1,
                               .db = 1,
                               .s = 1,
                               .g = 1};
    special.ds = special.es = special.fs = special.gs = special.ss = flat;
    flat.selector = 8;
    flat.type = 11; /* code, read, accessed */
    special.cs = flat;
    special.cr0 |= 1; /* protected mode */
    if (ioctl(guest->cpu, KVM_SET_SREGS, &special) != 0 ||
        ioctl(guest->cpu, KVM_SET_REGS, &registers) != 0)
        return cannot(guest, "KVM takes no registers");
    return true;
}

/* ---- running
 * ------------------------------------------------------------------------------------------
 */

static struct kvm_run *running;

static void
on_alarm(int signal_number)
{
    running->immediate_exit = 1;
}

static bool
is_done(Guest *guest)
{
    const struct kvm_run *run = guest->run;
    uint32_t value;
    if (run->exit_reason != KVM_EXIT_IO || run->io.direction != KVM_EXIT_IO_OUT ||
        run->io.port != DONE_PORT) {
        snprintf(guest->why, sizeof guest->why,
                 "the guest left its CPU for the reason %u before it was done",
                 run->exit_reason);
        return false;
    }
    memcpy(&value, (const uint8_t *)run + run->io.data_offset, sizeof value);
    if (value == ACCEL_GUEST_DONE)
        return true;
    snprintf(guest->why, sizeof guest->why, "the guest's CPU is not right, as it says");
    return false;
}

/* The guest masks the 8259's interrupts by two ports, which is the chip's own affair. */
static bool
run(Guest *guest)
{
    struct sigaction action = {.sa_handler = on_alarm};
    running = guest->run;
    sigaction(SIGALRM, &action, NULL);
    alarm(GUEST_SECONDS);
    int result;
    do
        result = ioctl(guest->cpu, KVM_RUN, 0);
    while (result != 0 && errno == EINTR && !guest->run->immediate_exit);
    alarm(0);
    if (result == 0)
        return is_done(guest);
    if (errno != EINTR)
        return cannot(guest, "KVM does not run the guest");
    snprintf(guest->why, sizeof guest->why, "the guest is not done within %d s",
             GUEST_SECONDS);
    return false;
}

static void
drop(Guest *guest)
{
    const int fds[] = {guest->cpu, guest->vm, guest->kvm};
    if (guest->run && guest->run != MAP_FAILED)
        munmap(guest->run, guest->run_bytes);
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (guest->memory && guest->memory != MAP_FAILED)
        munmap(guest->memory, GUEST_BYTES);
}

const char *
kvm_run_guest(bool long_mode)
{
    static Guest guest;
    guest = (Guest){.kvm = -1, .vm = -1, .cpu = -1};
    bool good = make_machine(&guest) && make_cpu(&guest) &&
                set_cpuid(&guest, long_mode) && enter(&guest) && run(&guest);
    drop(&guest);
    return good ? NULL : guest.why;
}
