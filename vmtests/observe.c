/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "observe.h"
#include "observer.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool
make_room(Observer *observer)
{
    if (observer->count < observer->room)
        return true;
    size_t room = observer->room ? observer->room * 2 : 256;
    char **lines = realloc(observer->lines, room * sizeof *lines);
    if (!lines)
        return false;
    observer->lines = lines;
    observer->room = room;
    return true;
}

void
observer_add(Observer *observer, const char *format, ...)
{
    char *line = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&line, format, arguments);
    va_end(arguments);
    if (length < 0 || !make_room(observer)) {
        if (length >= 0)
            free(line);
        observer->failed = true;
        return;
    }
    /* A file of a hostile tree could hold a newline and so make up facts. */
    line[strcspn(line, "\n")] = '\0';
    observer->lines[observer->count++] = line;
}

const char *
observer_list(const char *text)
{
    return *text ? text : "none";
}

static int
compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
write_lines(Observer *observer, FILE *out)
{
    if (observer->count > 0)
        qsort(observer->lines, observer->count, sizeof *observer->lines, compare_lines);
    for (size_t i = 0; i < observer->count; i++) {
        fprintf(out, "%s\n", observer->lines[i]);
        free(observer->lines[i]);
    }
    free(observer->lines);
}

int
observe(const char *root, FILE *out)
{
    Observer observer = {.root = sysfs_open(root), .is_live = strcmp(root, "/") == 0};
    if (observer.root < 0)
        return -1;
    bool is_tree = sysfs_exists(observer.root, "sys/devices/system/cpu/online");
    observe_cpus(&observer);
    observe_nodes(&observer);
    observe_memory(&observer);
    observe_pci(&observer);
    observe_iommu(&observer);
    write_lines(&observer, out);
    close(observer.root);
    return is_tree && !observer.failed && !ferror(out) ? 0 : -1;
}
