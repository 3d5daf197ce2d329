/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * CPUs and nodes: who is near to whom.
 */
#include "observer.h"

#include <stdlib.h>
#include <string.h>

#define CPUS "sys/devices/system/cpu"
#define NODES "sys/devices/system/node"

static void
observe_siblings(Observer *observer, unsigned cpu, const char *file, const char *fact)
{
    char *siblings = sysfs_read(observer->root, CPUS "/cpu%u/topology/%s", cpu, file);
    if (siblings)
        observer_add(observer, "cpu %u %s %s", cpu, fact, observer_list(siblings));
    free(siblings);
}

void
observe_cpus(Observer *observer)
{
    char *online = sysfs_read(observer->root, CPUS "/online");
    SysfsList list;
    if (online)
        observer_add(observer, "cpus %s", observer_list(online));
    sysfs_list_parse(online, &list);
    for (size_t i = 0; i < list.count; i++) {
        observe_siblings(observer, list.numbers[i], "thread_siblings_list",
                         "thread-siblings");
        observe_siblings(observer, list.numbers[i], "core_siblings_list",
                         "package-siblings");
    }
    sysfs_list_clear(&list);
    free(online);
}

/* The kernel writes one distance for each online node, in their order. */
static void
observe_distances(Observer *observer, unsigned node, const SysfsList *online)
{
    char *text = sysfs_read(observer->root, NODES "/node%u/distance", node);
    char *rest = text, *word;
    for (size_t i = 0; text && i < online->count && (word = strtok_r(rest, " ", &rest));
         i++)
        observer_add(observer, "node %u distance %u %s", node, online->numbers[i], word);
    free(text);
}

static void
observe_hugepages(Observer *observer, unsigned node)
{
    static const char prefix[] = "hugepages-";
    SysfsNames sizes = sysfs_names(observer->root, NODES "/node%u/hugepages", node);
    for (size_t i = 0; i < sizes.count; i++) {
        const char *name = sizes.names[i];
        uint64_t count;
        if (strncmp(name, prefix, strlen(prefix)) == 0 &&
            sysfs_number(observer->root, &count,
                         NODES "/node%u/hugepages/%s/nr_hugepages", node, name) &&
            count > 0)
            observer_add(observer, "node %u hugepages %s %llu", node,
                         name + strlen(prefix), (unsigned long long)count);
    }
    sysfs_names_clear(&sizes);
}

/* The folder holds a link for each initiator, beside the values. */
static void
observe_initiators(Observer *observer, unsigned node)
{
    SysfsNames names =
        sysfs_names(observer->root, NODES "/node%u/access0/initiators", node);
    bool *is_initiator = calloc(SYSFS_LIST_MAX, sizeof *is_initiator);
    unsigned number;
    for (size_t i = 0; is_initiator && i < names.count; i++)
        if (sysfs_numbered(names.names[i], "node", &number))
            is_initiator[number] = true;
    char *list = is_initiator ? sysfs_list_format(is_initiator) : NULL;
    if (list && *list)
        observer_add(observer, "node %u access0 initiators %s", node, list);
    free(list);
    free(is_initiator);
    sysfs_names_clear(&names);
}

static void
observe_attributes(Observer *observer, unsigned node)
{
    static const char *const attributes[][2] = {
        {"read_latency", "read-latency"},
        {"write_latency", "write-latency"},
        {"read_bandwidth", "read-bandwidth"},
        {"write_bandwidth", "write-bandwidth"},
    };
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
        uint64_t value; /* 0: the firmware did not say */
        if (sysfs_number(observer->root, &value, NODES "/node%u/access0/initiators/%s",
                         node, attributes[i][0]) &&
            value > 0)
            observer_add(observer, "node %u access0 %s %llu", node, attributes[i][1],
                         (unsigned long long)value);
    }
}

static void
observe_cache(Observer *observer, unsigned node, const char *index)
{
    static const char *const files[] = {"size", "line_size", "indexing", "write_policy"};
    uint64_t values[4];
    unsigned level;
    if (!sysfs_numbered(index, "index", &level))
        return;
    for (size_t i = 0; i < 4; i++)
        if (!sysfs_number(observer->root, &values[i],
                          NODES "/node%u/memory_side_cache/%s/%s", node, index, files[i]))
            return;
    observer_add(
        observer, "node %u memory-cache %u size %llu line %llu indexing %llu policy %llu",
        node, level, (unsigned long long)values[0], (unsigned long long)values[1],
        (unsigned long long)values[2], (unsigned long long)values[3]);
}

static void
observe_caches(Observer *observer, unsigned node)
{
    SysfsNames names =
        sysfs_names(observer->root, NODES "/node%u/memory_side_cache", node);
    for (size_t i = 0; i < names.count; i++)
        observe_cache(observer, node, names.names[i]);
    sysfs_names_clear(&names);
}

void
observe_nodes(Observer *observer)
{
    SysfsList online = sysfs_list(observer->root, NODES "/online");
    for (size_t i = 0; i < online.count; i++) {
        unsigned node = online.numbers[i];
        char *cpus = sysfs_read(observer->root, NODES "/node%u/cpulist", node);
        if (cpus)
            observer_add(observer, "node %u cpus %s", node, observer_list(cpus));
        free(cpus);
        observe_distances(observer, node, &online);
        observe_hugepages(observer, node);
        observe_initiators(observer, node);
        observe_attributes(observer, node);
        observe_caches(observer, node);
    }
    sysfs_list_clear(&online);
}
