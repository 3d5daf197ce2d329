/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite memory: memory that comes into slots while the host runs, one module for each
 * node, and leaves again. The harness plugs it (memory-wire.h); docs/suites.rst says what
 * each case proves and how it was seen to fail.
 */
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ask.h"
#include "cases.h"
#include "memory-wire.h"
#include "suite.h"

#define NODES "/sys/devices/system/node"
#define BLOCKS "/sys/devices/system/memory"
#define ANSWER_MS 120000
#define TURN_MS 20
#define PAGE_BYTES 4096
/* What is written into each module. */
#define DATA_BYTES ((size_t)8 << 20)
#define PRESENT (UINT64_C(1) << 63) /* of an entry of pagemap, as Linux documents it */
#define FRAME ((UINT64_C(1) << 55) - 1)
/* What cannot be moved at one time may be at another. */
#define TRIES 3

typedef struct {
    char name[MEMORY_NAME_MAX];
    int node;
    long mib;
    bool there;      /* as the harness said last */
    long before_mib; /* what its node had without it */
    char *data;      /* DATA_BYTES, or NULL */
} Module;

static struct {
    int count;
    Module list[MEMORY_MODULES_MAX];
} modules;

/* ---- what there is
 * ------------------------------------------------------------------------------------ */

static long
node_mib(int node)
{
    return (long)(node_meminfo_kib(node, "MemTotal") / 1024);
}

static void
read_modules(void)
{
    const char *word = getenv(MEMORY_ENVIRONMENT);
    int length = 0;
    while (word && modules.count < MEMORY_MODULES_MAX) {
        Module *module = &modules.list[modules.count];
        if (sscanf(word, " %31[^= ]=%d:%ld%n", module->name, &module->node, &module->mib,
                   &length) != 3)
            return;
        modules.count++;
        word += length;
    }
}

/* Skips the case where there is none, or the kernel does not put into use what comes. */
static void
need_modules(void)
{
    suite_needs_live();
    if (modules.count == 0)
        read_modules();
    skip_unless_tried(modules.count, "slot that the harness plugs memory into");
    const char *online = suite_read(BLOCKS "/auto_online_blocks");
    skip_unless_tried(online && strncmp(online, "online", 6) == 0,
                      "kernel that puts into use what comes");
}

/* ---- the harness
 * ------------------------------------------------------------------------------------ */

/* What the harness says. */
static const char *
ask(const char *word, const Module *module)
{
    const char *about, *answer;
    ask_harness(word, module->name);
    if (!ask_answer(suite_ms(ANSWER_MS), &about, &answer) ||
        strcmp(about, module->name) != 0)
        fail_msg("the harness does not answer to '%s %s'", word, module->name);
    return answer;
}

static void
unplug(Module *module)
{
    const char *answer = "";
    for (int i = 0; i < TRIES && strcmp(answer, "gone") != 0; i++)
        answer = ask("unplug", module);
    if (strcmp(answer, "gone") != 0)
        fail_msg("%s was to be gone, and the harness says: %s", module->name, answer);
    module->there = false;
}

static void
take_out(long number)
{
    Module *module = &modules.list[number];
    if (module->data)
        munmap(module->data, DATA_BYTES);
    module->data = NULL;
    if (module->there)
        ask("unplug", module);
    module->there = false;
}

/* FALSE: it has not within the limit. */
static bool
node_becomes(int node, long mib)
{
    for (int64_t end = now_ms() + suite_ms(ANSWER_MS); node_mib(node) != mib;) {
        if (now_ms() > end)
            return false;
        usleep(TURN_MS * 1000);
    }
    return true;
}

/* All modules, until the case ends; the kernel has them then. */
static void
plug_all(void)
{
    need_modules();
    for (int i = 0; i < modules.count; i++)
        modules.list[i].before_mib = node_mib(modules.list[i].node);
    for (int i = 0; i < modules.count; i++) {
        Module *module = &modules.list[i];
        const char *answer = ask("plug", module);
        if (strcmp(answer, "there") != 0)
            fail_msg("%s was to be there, and the harness says: %s", module->name,
                     answer);
        module->there = true;
        suite_at_end(take_out, i);
    }
    for (int i = 0; i < modules.count; i++) {
        const Module *module = &modules.list[i];
        if (!node_becomes(module->node, module->before_mib + module->mib))
            fail_msg("node %d has %ld MiB, and %ld were plugged into its %ld MiB",
                     module->node, node_mib(module->node), module->mib,
                     module->before_mib);
    }
}

/* ---- blocks
 * ------------------------------------------------------------------------------------ */

static void
take_last(const char *name, void *data)
{
    long number, *last = data;
    if (sscanf(name, "memory%ld", &number) == 1 && number > *last)
        *last = number;
}

/* The kernel numbers blocks of memory by address, and what is plugged has addresses above
 * all that was there. NODE -1: of all nodes. */
static long
last_block(int node)
{
    long last = -1;
    if (node < 0)
        suite_list(take_last, &last, BLOCKS);
    else
        suite_list(take_last, &last, NODES "/node%d", node);
    return last;
}

/* ---- where pages lie
 * ------------------------------------------------------------------------------------ */

/* How many of the pages of DATA are in blocks after BLOCK, of whatever node. */
static int
count_beyond(const char *data, long block)
{
    int count = 0, fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    const char *size = suite_read(BLOCKS "/block_size_bytes");
    uint64_t bytes = size ? strtoull(size, NULL, 16) : 0;
    if (fd < 0 || bytes == 0)
        fail_msg("where memory lies cannot be read");
    for (size_t at = 0; at < DATA_BYTES; at += PAGE_BYTES) {
        uint64_t entry = 0;
        off_t offset = (off_t)((uintptr_t)(data + at) / PAGE_BYTES * sizeof entry);
        if (pread(fd, &entry, sizeof entry, offset) != sizeof entry)
            fail_msg("where a page lies cannot be read");
        count +=
            (entry & PRESENT) && (long)((entry & FRAME) * PAGE_BYTES / bytes) > block;
    }
    close(fd);
    return count;
}

static unsigned char
byte_of(size_t at)
{
    return (unsigned char)(at / PAGE_BYTES * 31 + at % 251);
}

/* Memory of the module's node, written. */
static void
fill(Module *module)
{
    char *data = mmap(NULL, DATA_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED)
        fail_msg("no memory to write to");
    module->data = data;
    if (bind_range(data, DATA_BYTES, MPOL_PREFERRED, module->node) < 0)
        fail_msg("no memory of node %d can be preferred", module->node);
    for (size_t at = 0; at < DATA_BYTES; at++)
        data[at] = (char)byte_of(at);
}

static void
is_as_written(const Module *module)
{
    for (size_t at = 0; at < DATA_BYTES; at++)
        if ((unsigned char)module->data[at] != byte_of(at))
            fail_msg("byte %zu of what lay in %s is another", at, module->name);
}

/* ---- the cases
 * ------------------------------------------------------------------------------------ */

static void
plugged_memory_joins_its_node(void **state)
{
    plug_all();
    if (suite_has_fault("plugged_memory_joins_its_node"))
        suite_write("offline", BLOCKS "/memory%ld/state",
                    last_block(modules.list[0].node));
    for (int i = 0; i < modules.count; i++) {
        const Module *module = &modules.list[i];
        long found = node_mib(module->node) - module->before_mib;
        if (found != module->mib)
            fail_msg("node %d has %ld MiB more, and %ld were plugged into it",
                     module->node, found, module->mib);
    }
}

static void
what_lies_in_unplugged_memory_moves(void **state)
{
    need_modules();
    const long last = last_block(-1);
    plug_all();
    for (int i = 0; i < modules.count; i++) {
        fill(&modules.list[i]);
        if (count_beyond(modules.list[i].data, last) == 0)
            fail_msg("of what is written on node %d nothing lies in what was plugged",
                     modules.list[i].node);
    }
    for (int i = 0; i < modules.count; i++)
        unplug(&modules.list[i]);
    if (suite_has_fault("what_lies_in_unplugged_memory_moves"))
        modules.list[0].data[PAGE_BYTES]++;
    for (int i = 0; i < modules.count; i++) {
        const Module *module = &modules.list[i];
        if (!node_becomes(module->node, module->before_mib))
            fail_msg("node %d has %ld MiB, and had %ld before something was plugged",
                     module->node, node_mib(module->node), module->before_mib);
        if (count_beyond(module->data, last) > 0)
            fail_msg("%s is gone, and something lies in it", module->name);
        is_as_written(module);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {MEMORY_CASES(SUITE_CASE)};
    return suite_run("memory", tests);
}
