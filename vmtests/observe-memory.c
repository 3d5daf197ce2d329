/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How large the memory of a node is: the pages that the kernel found present
 * (/proc/zoneinfo) and what the firmware kept of the node's ranges, which the kernel
 * never counts. Whose it is comes from the SRAT's ranges; the firmware's map
 * (/sys/firmware/memmap) says what it kept. Without a SRAT there is one node, and what
 * the firmware kept is what touches memory in that map: device windows lie apart.
 *
 * Some KiB that the kernel drops itself (page 0, the ends of ranges that are no whole
 * page) are covered by rounding up to MiB.
 */
#include "observer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX 1024
#define RANGES_MAX 4096
#define ZONEINFO_MAX (64 * 1024 * 1024)
#define SRAT_MAX (1024 * 1024)
#define PAGE_BYTES 4096
#define MIB (1024 * 1024)
#define HOLE_START 0xa0000 /* up to 1 MiB: memory that a PC never shows */
#define HOLE_BYTES (MIB - HOLE_START)

/* What zoneinfo says of a node. */
typedef struct {
    uint64_t present_pages;
    uint64_t first_page; /* lowest of all zones that have any */
} NodePages;

typedef struct {
    uint64_t start, end; /* end is behind it */
    uint32_t domain;     /* of the SRAT */
    bool is_ram;         /* of the memory map */
} Range;

typedef struct {
    Range *ranges;
    size_t count;
} Ranges;

static bool
ranges_add(Ranges *ranges, Range range)
{
    if (ranges->count == RANGES_MAX || range.end <= range.start)
        return false;
    if (!ranges->ranges)
        ranges->ranges = calloc(RANGES_MAX, sizeof *ranges->ranges);
    if (!ranges->ranges)
        return false;
    ranges->ranges[ranges->count++] = range;
    return true;
}

/* ---- what the kernel has
 * ---------------------------------------------------------------------- */

typedef struct {
    NodePages *nodes;
    unsigned node;    /* of the zone that is being read */
    uint64_t present; /* of this zone */
} ZoneReader;

static void
read_zone_line(ZoneReader *reader, const char *line)
{
    unsigned node;
    uint64_t value;
    char rest[2];
    if (sscanf(line, "Node %u, zone %1s", &node, rest) == 2) {
        reader->node = node;
        reader->present = 0;
    } else if (reader->node >= NODES_MAX) {
        return;
    } else if (sscanf(line, " present %" SCNu64, &value) == 1 &&
               value < UINT64_MAX >> 20) {
        reader->present = value;
        reader->nodes[reader->node].present_pages += value;
    } else if (sscanf(line, " start_pfn: %" SCNu64, &value) == 1 && reader->present > 0) {
        if (value < reader->nodes[reader->node].first_page)
            reader->nodes[reader->node].first_page = value;
    }
}

/* NODES_MAX entries, owned by the caller. */
static NodePages *
read_zoneinfo(int root)
{
    size_t length;
    char *text = (char *)sysfs_read_bytes(root, ZONEINFO_MAX, &length, "proc/zoneinfo");
    NodePages *nodes = text ? calloc(NODES_MAX, sizeof *nodes) : NULL;
    ZoneReader reader = {.nodes = nodes, .node = NODES_MAX};
    for (unsigned i = 0; nodes && i < NODES_MAX; i++)
        nodes[i].first_page = UINT64_MAX;
    for (char *line = text, *end; nodes && (end = memchr(line, '\n', length));
         line = end + 1) {
        length -= (size_t)(end + 1 - line);
        *end = '\0';
        read_zone_line(&reader, line);
    }
    free(text);
    return nodes;
}

/* ---- what the firmware says
 * --------------------------------------------------------------------- */

static Range
read_memmap_entry(int root, const char *name)
{
    Range range = {0};
    uint64_t last = 0;
    char *type = sysfs_read(root, "sys/firmware/memmap/%s/type", name);
    if (type && sysfs_number(root, &range.start, "sys/firmware/memmap/%s/start", name) &&
        sysfs_number(root, &last, "sys/firmware/memmap/%s/end", name) &&
        last < UINT64_MAX)
        range.end = last + 1;
    range.is_ram = type && strcmp(type, "System RAM") == 0;
    free(type);
    return range;
}

static int
compare_ranges(const void *a, const void *b)
{
    const Range *left = a, *right = b;
    return (left->start > right->start) - (left->start < right->start);
}

static Ranges
read_memmap(int root)
{
    Ranges map = {NULL, 0};
    SysfsNames names = sysfs_names(root, "sys/firmware/memmap");
    for (size_t i = 0; i < names.count; i++)
        ranges_add(&map, read_memmap_entry(root, names.names[i]));
    sysfs_names_clear(&names);
    if (map.count > 0)
        qsort(map.ranges, map.count, sizeof *map.ranges, compare_ranges);
    return map;
}

static uint64_t
little_endian(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    while (bytes-- > 0)
        value = value << 8 | at[bytes];
    return value;
}

/* ACPI 6.5, 5.2.16.2: memory affinity structures that are enabled and neither for
 * hot-plug nor persistent. */
static Ranges
read_srat(int root)
{
    enum {
        TABLE_HEADER = 48,
        MEMORY_AFFINITY = 1,
        MEMORY_LENGTH = 40,
        FLAGS = 7,
        ENABLED = 1
    };
    Ranges srat = {NULL, 0};
    size_t length = 0;
    uint8_t *table =
        sysfs_read_bytes(root, SRAT_MAX, &length, "sys/firmware/acpi/tables/SRAT");
    size_t at = TABLE_HEADER;
    while (table && at + 2 <= length && table[at + 1] >= 2 &&
           table[at + 1] <= length - at) {
        const uint8_t *entry = table + at;
        at += entry[1];
        if (entry[0] != MEMORY_AFFINITY || entry[1] < MEMORY_LENGTH ||
            (little_endian(entry + 28, 4) & FLAGS) != ENABLED)
            continue;
        uint64_t start = little_endian(entry + 8, 8),
                 bytes = little_endian(entry + 16, 8);
        if (bytes <= UINT64_MAX - start)
            ranges_add(&srat, (Range){start, start + bytes,
                                      (uint32_t)little_endian(entry + 2, 4), true});
    }
    free(table);
    return srat;
}

/* ---- both together
 * -------------------------------------------------------------------------------- */

static uint64_t
overlap(const Range *a, const Range *b)
{
    uint64_t start = a->start > b->start ? a->start : b->start;
    uint64_t end = a->end < b->end ? a->end : b->end;
    return end > start ? end - start : 0;
}

static uint64_t
kept_in_range(const Range *range, const Ranges *map)
{
    uint64_t kept = range->end == HOLE_START ? HOLE_BYTES : 0;
    for (size_t i = 0; i < map->count; i++)
        if (!map->ranges[i].is_ram)
            kept += overlap(range, &map->ranges[i]);
    return kept;
}

/* The kernel's numbers are not the SRAT's: a node is the domain that its first page lies
 * in. */
static uint64_t
kept_of_node(const NodePages *node, const Ranges *srat, const Ranges *map)
{
    uint64_t first = node->first_page < UINT64_MAX / PAGE_BYTES
                         ? node->first_page * PAGE_BYTES
                         : UINT64_MAX;
    uint64_t kept = 0;
    const Range *home = NULL;
    for (size_t i = 0; i < srat->count; i++)
        if (first >= srat->ranges[i].start && first < srat->ranges[i].end)
            home = &srat->ranges[i];
    for (size_t i = 0; home && i < srat->count; i++)
        if (srat->ranges[i].domain == home->domain)
            kept += kept_in_range(&srat->ranges[i], map);
    return kept;
}

/* Entries that touch memory on either side, directly or through others. MAP is sorted. */
static uint64_t
kept_beside_memory(const Ranges *map)
{
    uint64_t kept = 0, run = 0, end = 0;
    bool has_ram = false;
    for (size_t i = 0; i < map->count; i++) {
        const Range *range = &map->ranges[i];
        if (range->start != end) { /* a gap ends a run of neighbours */
            kept += has_ram ? run : 0;
            run = 0;
            has_ram = false;
        }
        has_ram = has_ram || range->is_ram;
        run += range->is_ram ? 0 : range->end - range->start;
        end = range->end;
    }
    return kept + (has_ram ? run : 0);
}

/* The same below 1 MiB is all memory. */
static uint64_t
kept_of_only_node(const Ranges *map)
{
    const Range low = {.start = HOLE_START, .end = MIB};
    uint64_t kept = kept_beside_memory(map);
    uint64_t shown = 0;
    for (size_t i = 0; i < map->count; i++)
        shown += overlap(&low, &map->ranges[i]);
    return map->count > 0 ? kept + HOLE_BYTES - shown : 0;
}

void
observe_memory(Observer *observer)
{
    NodePages *nodes = read_zoneinfo(observer->root);
    Ranges map = read_memmap(observer->root);
    Ranges srat = read_srat(observer->root);
    for (unsigned i = 0; nodes && i < NODES_MAX; i++) {
        if (nodes[i].present_pages == 0)
            continue;
        uint64_t kept = srat.count > 0 ? kept_of_node(&nodes[i], &srat, &map)
                                       : kept_of_only_node(&map);
        uint64_t bytes = nodes[i].present_pages * PAGE_BYTES + kept;
        observer_add(observer, "node %u memory %" PRIu64 " MiB", i,
                     (bytes + MIB - 1) / MIB);
    }
    free(srat.ranges);
    free(map.ranges);
    free(nodes);
}
