/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Base address registers: what a function wants and whether it got it. When a BAR finds
 * no room the kernel forgets it: its line in /sys is the same as that of a BAR that does
 * not exist. Then only the kernel's log still knows.
 */
#include "observer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>

#define DEVICES "sys/bus/pci/devices"
#define LOG_MAX (4 * 1024 * 1024)

/* include/linux/ioport.h, part of what /sys shows */
#define RESOURCE_IO UINT64_C(0x100)
#define RESOURCE_MEMORY UINT64_C(0x200)
#define RESOURCE_PREFETCH UINT64_C(0x2000)
#define RESOURCE_64BIT UINT64_C(0x100000)
#define RESOURCE_UNSET UINT64_C(0x20000000)

#define ROM_INDEX 6

static void
add_bar(Observer *observer, const char *function, int index, uint64_t flags,
        uint64_t size, bool unassigned)
{
    char name[12] = "rom";
    if (index < ROM_INDEX)
        snprintf(name, sizeof name, "%d", index);
    const char *kind = flags & RESOURCE_IO      ? "io"
                       : flags & RESOURCE_64BIT ? "mem64"
                                                : "mem32";
    /* The kernel sets the bit for every expansion ROM, whose register has none. */
    bool prefetch = flags & RESOURCE_PREFETCH && index < ROM_INDEX;
    observer_add(observer, "pci %s bar %s %s%s %" PRIu64 "%s", function, name, kind,
                 prefetch ? "-pref" : "", size, unassigned ? " unassigned" : "");
}

/* ---- the kernel's log
 * ---------------------------------------------------------------------------- */

/* In a recorded tree it is a file beside the rest of /proc. Owned by the caller; may be
 * NULL. */
static char *
read_log(const Observer *observer)
{
    enum {
        READ_ALL = 3,
        BUFFER_SIZE = 10
    };
    size_t length = 0;
    if (!observer->is_live) {
        char *text =
            (char *)sysfs_read_bytes(observer->root, LOG_MAX, &length, "proc/kmsg.txt");
        char *ended = text ? realloc(text, length + 1) : NULL;
        if (!ended) {
            free(text);
            return NULL;
        }
        ended[length] = '\0';
        return ended;
    }
    int size = klogctl(BUFFER_SIZE, NULL, 0);
    char *text = size > 0 ? malloc((size_t)size + 1) : NULL;
    int got = text ? klogctl(READ_ALL, text, size) : -1;
    if (text)
        text[got > 0 ? got : 0] = '\0';
    return text;
}

static bool
has_word(const char *text, const char *end, const char *word)
{
    return memmem(text, (size_t)(end - text), word, strlen(word)) != NULL;
}

/* "[mem size 0x00020000 64bit pref]", or where the firmware had put it: "[io
 * 0xc000-0xc01f]". */
static bool
parse_wish(const char *line, const char *end, HomelessBar *bar)
{
    const char *wish = memchr(line, '[', (size_t)(end - line));
    char kind[4];
    uint64_t first, last;
    if (!wish || !memchr(wish, ']', (size_t)(end - wish)))
        return false;
    if (sscanf(wish, "[%3s size %" SCNx64, kind, &bar->size) < 2) {
        if (sscanf(wish, "[%3s %" SCNx64 "-%" SCNx64, kind, &first, &last) < 3 ||
            last < first)
            return false;
        bar->size = last - first + 1;
    }
    bar->flags = (strcmp(kind, "io") == 0 ? RESOURCE_IO : RESOURCE_MEMORY) |
                 (has_word(wish, end, " 64bit") ? RESOURCE_64BIT : 0) |
                 (has_word(wish, end, " pref") ? RESOURCE_PREFETCH : 0);
    return true;
}

/* "pci 0000:dd:00.0: BAR 0 [mem size 0x00020000 64bit pref]: failed to assign"; older
 * kernels: "… BAR 0: failed to assign [mem size 0x00020000]", and BAR 6 for the ROM. */
static bool
parse_failure(const char *line, const char *end, HomelessBar *bar)
{
    const char *pci = memmem(line, (size_t)(end - line), "pci ", 4);
    char word[4];
    if (!pci || !has_word(line, end, "failed to assign") ||
        sscanf(pci, "pci %12[0-9a-f:.]: %3s %d", bar->function, word, &bar->index) < 2)
        return false;
    if (strcmp(word, "ROM") == 0)
        bar->index = ROM_INDEX;
    else if (strcmp(word, "BAR") != 0 || bar->index < 0 || bar->index > ROM_INDEX)
        return false;
    return parse_wish(pci, end, bar);
}

/* "pci 0000:dd:00.0: [1af4:1041] type 00 class 0x020000": a function was found there, and
 * what was said before was said of another one. */
static bool
parse_arrival(const char *line, const char *end, char function[13])
{
    const char *pci = memmem(line, (size_t)(end - line), "pci ", 4);
    unsigned vendor, device;
    return pci && has_word(pci, end, "] type ") &&
           sscanf(pci, "pci %12[0-9a-f:.]: [%4x:%4x]", function, &vendor, &device) == 3;
}

static void
forget_function(HomelessBars *homeless, const char *function)
{
    size_t kept = 0;
    for (size_t i = 0; i < homeless->count; i++)
        if (strcmp(homeless->bars[i].function, function) != 0)
            homeless->bars[kept++] = homeless->bars[i];
    homeless->count = kept;
}

HomelessBars
bars_without_home(const Observer *observer)
{
    HomelessBars homeless = {NULL, 0};
    char *log = read_log(observer);
    for (char *line = log, *end; line && (end = strchr(line, '\n')); line = end + 1) {
        HomelessBar bar = {.index = -1};
        char found[sizeof bar.function];
        if (parse_arrival(line, end, found))
            forget_function(&homeless, found);
        if (!parse_failure(line, end, &bar))
            continue;
        HomelessBar *grown =
            reallocarray(homeless.bars, homeless.count + 1, sizeof *grown);
        if (!grown)
            break;
        homeless.bars = grown;
        homeless.bars[homeless.count++] = bar;
    }
    free(log);
    return homeless;
}

/* ---- /sys
 * --------------------------------------------------------------------------------------------
 */

static void
observe_forgotten(Observer *observer, const char *function, int index,
                  const HomelessBars *homeless)
{
    for (size_t i = 0; i < homeless->count; i++) {
        const HomelessBar *bar = &homeless->bars[i];
        if (bar->index != index || strcmp(bar->function, function) != 0)
            continue;
        add_bar(observer, function, index, bar->flags, bar->size, true);
        return; /* the kernel may have tried more than once */
    }
}

static void
observe_bar(Observer *observer, const char *function, int index, const char *line,
            const HomelessBars *homeless)
{
    uint64_t start, end, flags;
    if (sscanf(line, "%" SCNx64 " %" SCNx64 " %" SCNx64, &start, &end, &flags) != 3)
        return;
    if (flags & (RESOURCE_IO | RESOURCE_MEMORY) && end > start)
        add_bar(observer, function, index, flags, end - start + 1,
                flags & RESOURCE_UNSET || start == 0);
    else
        observe_forgotten(observer, function, index, homeless);
}

void
observe_bars(Observer *observer, const char *function, const HomelessBars *homeless)
{
    char *text = sysfs_read(observer->root, DEVICES "/%s/resource", function);
    char *rest = text, *line;
    for (int i = 0; text && i <= ROM_INDEX && (line = strtok_r(rest, "\n", &rest)); i++)
        observe_bar(observer, function, i, line, homeless);
    free(text);
}
