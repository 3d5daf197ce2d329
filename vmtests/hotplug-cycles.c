/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite hotplug: again and again. Each time a function is plugged, used through VFIO and
 * let go, in turn asked back by the harness and powered off by the host; then the kernel
 * has neither more nor less than before.
 */
#include "hotplug-suite.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Unless the kernel's command line has hostbed.cycles=N. */
#define CYCLES 12
/* What the kernel's own books may grow by for each cycle and CPU: half a page. (With 24
 * CPUs 1.5 KiB each were seen; caches are a CPU's own.) And once: caches of each CPU. So
 * twelve cycles on two CPUs show what loses 25 KiB each time, a hundred 7 KiB, which is
 * the structures of a function and its interface; a single small one is not seen. */
#define GROWTH_BYTES 2048
#define GROWTH_BASE_KIB 256

/* A table of pages, and what memory it is for. */
#define TABLE_BYTES 4096
#define TABLE_SPAN (2 << 20)

typedef struct {
    int functions, groups, interfaces, files, interrupts;
    int64_t kernel_kib;
} Count;

static void
nothing(const char *name, void *data)
{
}

static int
lines(const char *text)
{
    int count = 0;
    for (; text && *text; text++)
        count += *text == '\n';
    return count;
}

static int64_t
field_kib(const char *name)
{
    const char *text = suite_read("/proc/meminfo");
    const char *at = text ? strstr(text, name) : NULL;
    return at ? strtoll(at + strlen(name), NULL, 10) : 0;
}

static Count
take_count(void)
{
    return (Count){
        .functions = suite_list(nothing, NULL, DEVICES),
        .groups = suite_list(nothing, NULL, "/sys/kernel/iommu_groups"),
        .interfaces = suite_list(nothing, NULL, "/sys/class/net"),
        .files = suite_list(nothing, NULL, "/proc/self/fd"),
        .interrupts = lines(suite_read("/proc/interrupts")),
        .kernel_kib = field_kib("SUnreclaim:") + field_kib("PageTables:") +
                      field_kib("KernelStack:") + field_kib("VmallocUsed:"),
    };
}

static void
is_as_before(const char *what, int before, int now)
{
    if (now != before)
        fail_msg("there are %d %s, before there were %d", now, what, before);
}

static long
asked_cycles(void)
{
    static const char word[] = "hostbed.cycles=";
    const char *line = suite_read("/proc/cmdline");
    const char *at = line ? strstr(line, word) : NULL;
    return at ? strtol(at + strlen(word), NULL, 10) : CYCLES;
}

static VfioHeld in_use = VFIO_HELD_NOTHING;

static void
release(long number)
{
    vfio_release(&in_use);
}

static void
cycle(long round)
{
    plug_all();
    for (int i = 0; i < plug_count(); i++) {
        vfio_hold(&in_use, plug_address(i));
        hotplug_has_its_mac(&in_use);
        vfio_release(&in_use);
    }
    if (round % 2 == 0)
        plug_unplug_all();
    else
        plug_power_all_off();
}

/* Of the fault: twice the room in tables of pages, each for a page of memory. */
static void
lose_kernel_memory(int64_t room_kib)
{
    size_t tables = (size_t)room_kib * 1024 / TABLE_BYTES * 2;
    char *memory = mmap(NULL, tables * TABLE_SPAN, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || madvise(memory, tables * TABLE_SPAN, MADV_NOHUGEPAGE) < 0)
        fail_msg("no tables of pages can be made: %s", strerror(errno));
    for (size_t i = 0; i < tables; i++)
        memory[i * TABLE_SPAN] = 1;
}

void
cycles_leave_nothing_behind(void **state)
{
    long cycles = asked_cycles(), count = plug_count();
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    suite_at_end(release, 0);
    /* What is made once and kept is made in the first two. */
    cycle(0);
    cycle(1);
    Count before = take_count();
    long rounds = (cycles + count - 1) / count;
    for (long round = 0; round < rounds; round++)
        cycle(round);
    if (suite_has_fault("cycles_leave_nothing_behind"))
        plug_all();
    int64_t room_kib = GROWTH_BASE_KIB + rounds * count * cpus * GROWTH_BYTES / 1024;
    if (suite_has_fault("kernel_memory_grows"))
        lose_kernel_memory(room_kib);
    Count now = take_count();
    int64_t grown = now.kernel_kib - before.kernel_kib;
    print_message("# %ld cycles of %ld functions at a time: the kernel has %" PRId64
                  " KiB more\n",
                  rounds * count, count, grown);
    is_as_before("PCI functions", before.functions, now.functions);
    is_as_before("IOMMU groups", before.groups, now.groups);
    is_as_before("network interfaces", before.interfaces, now.interfaces);
    is_as_before("open files", before.files, now.files);
    is_as_before("interrupts", before.interrupts, now.interrupts);
    if (grown > room_kib)
        fail_msg("the kernel has taken %" PRId64 " KiB in %ld cycles and kept them",
                 grown, rounds * count);
}
