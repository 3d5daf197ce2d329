/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tree.h"
#include "sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (64 * 1024 * 1024)
#define FUNCTION "/sys/bus/pci/devices/*"
#define NODE "/sys/devices/system/node"
#define CPU "/sys/devices/system/cpu"

/* In the order of the recorded text. Links are recorded as links, and what is reached
 * through one under its own path. */
static const char *const patterns[] = {
    "/proc/cmdline",
    "/proc/zoneinfo",
    CPU "/online",
    CPU "/cpu[0-9]*/node[0-9]*",
    CPU "/cpu[0-9]*/topology/{thread_siblings_list,core_siblings_list}",
    NODE "/{online,has_cpu,has_memory}",
    NODE "/node[0-9]*/{cpulist,distance}",
    NODE "/node[0-9]*/meminfo",
    NODE "/node[0-9]*/hugepages/*/{nr_hugepages,free_hugepages}",
    NODE "/node[0-9]*/access0/initiators/*",
    NODE "/node[0-9]*/memory_side_cache/*/{size,line_size,indexing,write_policy}",
    FUNCTION,
    FUNCTION "/{vendor,device,class,numa_node,local_cpulist,resource}",
    FUNCTION "/{current_link_width,max_link_width,current_link_speed}",
    FUNCTION "/{driver,physfn,virtfn*,iommu_group}",
    FUNCTION "/sriov_{totalvfs,numvfs,offset,stride}",
    FUNCTION "/{net,virtio[0-9]*/net}/*/address",
    "/sys/kernel/iommu_groups/*/{type,reserved_regions}",
    "/sys/kernel/iommu_groups/*/devices/*",
    "/sys/class/iommu/*",
    "/sys/class/iommu/*/intel-iommu/{cap,ecap}",
    "/sys/kernel/irq/*/chip_name",
    "/sys/firmware/memmap/*/{start,end,type}",
    "/sys/firmware/acpi/tables/{SRAT,SLIT,HMAT}",
};

static bool
is_text(const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((data[i] < ' ' && data[i] != '\n' && data[i] != '\t') || data[i] > '~')
            return false;
    return length == 0 || data[length - 1] == '\n';
}

static void
write_hexadecimal(FILE *out, const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++)
        fprintf(out, "%s%02x", i % 32 ? "" : i ? "\n " : " ", data[i]);
    fputc('\n', out);
}

/* Whether a line, or its beginning when it is long, is worth recording. */
typedef bool (*Filter)(const char *line);

static void
write_lines(FILE *out, const char *text, size_t length, Filter filter)
{
    while (length > 0) {
        char line[512];
        const char *end = memchr(text, '\n', length);
        size_t size = end ? (size_t)(end - text) : length;
        snprintf(line, sizeof line, "%.*s", (int)size, text);
        if (!filter || filter(line))
            fprintf(out, " %.*s\n", (int)size, text);
        length -= end ? size + 1 : size;
        text += size + 1;
    }
}

/* Most of zoneinfo are counters, and it is long. */
static bool
says_where_memory_is(const char *line)
{
    static const char *const words[] = {"Node ", "        spanned ", "        present ",
                                        "  start_pfn:"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strncmp(line, words[i], strlen(words[i])) == 0)
            return strncmp(line, "Node ", 5) != 0 || strstr(line, ", zone ") != NULL;
    return false;
}

static bool
says_how_much_memory(const char *line)
{
    return strstr(line, " MemTotal:") || strstr(line, " MemFree:");
}

static Filter
filter_for(const char *path)
{
    const char *name = strrchr(path, '/');
    if (strcmp(path, "proc/zoneinfo") == 0)
        return says_where_memory_is;
    return name && strcmp(name, "/meminfo") == 0 ? says_how_much_memory : NULL;
}

static void
gather_file(const char *root, const char *path, FILE *out)
{
    size_t length;
    int fd = sysfs_open(root);
    uint8_t *data = sysfs_read_bytes(fd, FILE_MAX, &length, "%s", path);
    close(fd);
    if (!data)
        return; /* some files of /sys cannot be read in some states */
    bool text = is_text(data, length);
    fprintf(out, "%c %s\n", text ? 'f' : 'b', path);
    if (text)
        write_lines(out, (char *)data, length, filter_for(path));
    else
        write_hexadecimal(out, data, length);
    free(data);
}

/* PATH as glob() found it; its folder may be reached through links. */
static void
gather_path(const char *root, const char *path, FILE *out)
{
    char folder[PATH_MAX], real[PATH_MAX], target[PATH_MAX], whole[2 * PATH_MAX];
    struct stat status;
    const char *name = strrchr(path, '/') + 1;
    size_t skip = strcmp(root, "/") == 0 ? 0 : strlen(root);
    snprintf(folder, sizeof folder, "%.*s", (int)(name - path), path);
    if (!realpath(folder, real) || lstat(path, &status) < 0)
        return;
    snprintf(whole, sizeof whole, "%s/%s", real, name);
    if (S_ISREG(status.st_mode)) {
        gather_file(root, whole + skip + 1, out);
    } else if (S_ISLNK(status.st_mode)) {
        ssize_t length = readlink(path, target, sizeof target - 1);
        if (length > 0)
            fprintf(out, "l %s %.*s\n", whole + skip + 1, (int)length, target);
    }
}

/* The lines of the kernel's log that say what /sys does not: BARs without room, and the
 * lines of the IOMMU. */
static bool
log_line_matters(const char *line)
{
    return strstr(line, "failed to assign") || strstr(line, "DMAR") ||
           strstr(line, "AMD-Vi") || strstr(line, "iommu: ");
}

static void
gather_log(const char *root, FILE *out)
{
    enum {
        READ_ALL = 3,
        BUFFER_SIZE = 10
    };
    int size = strcmp(root, "/") == 0 ? klogctl(BUFFER_SIZE, NULL, 0) : 0;
    char *text = size > 0 ? calloc(1, (size_t)size + 1) : NULL;
    int length = text ? klogctl(READ_ALL, text, size) : -1;
    if (length > 0) {
        fputs("f proc/kmsg.txt\n", out);
        write_lines(out, text, (size_t)length, log_line_matters);
    }
    free(text);
}

int
tree_gather(const char *root, FILE *out)
{
    char real[PATH_MAX], pattern[2 * PATH_MAX];
    if (!realpath(root, real))
        return -1;
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        glob_t found = {0};
        snprintf(pattern, sizeof pattern, "%s%s", strcmp(real, "/") == 0 ? "" : real,
                 patterns[i]);
        if (glob(pattern, GLOB_BRACE, NULL, &found) == 0)
            for (size_t j = 0; j < found.gl_pathc; j++)
                gather_path(real, found.gl_pathv[j], out);
        globfree(&found);
    }
    gather_log(real, out);
    return ferror(out) ? -1 : 0;
}
