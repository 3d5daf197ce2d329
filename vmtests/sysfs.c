/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sysfs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Formats PATH; what does not fit becomes a path that does not exist. */
#define FORMAT_PATH(path, format)                                                        \
    char path[PATH_MAX];                                                                 \
    do {                                                                                 \
        va_list arguments;                                                               \
        va_start(arguments, format);                                                     \
        format_path(path, format, arguments);                                            \
        va_end(arguments);                                                               \
    } while (0)

__attribute__((format(printf, 2, 0))) static void
format_path(char *path, const char *format, va_list arguments)
{
    int length = vsnprintf(path, PATH_MAX, format, arguments);
    if (length < 0 || length >= PATH_MAX)
        path[0] = '\0';
}

int
sysfs_open(const char *root)
{
    return open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* A regular file only: a FIFO in a hostile tree would block us. */
static int
open_file(int root, const char *path)
{
    struct stat status;
    int fd = openat(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))) {
        close(fd);
        return -1;
    }
    return fd;
}

static uint8_t *
read_whole(int fd, size_t maximum, size_t *length)
{
    size_t size = 0, room = 0;
    uint8_t *data = NULL;
    for (;;) {
        if (size == room) {
            room = room ? room * 2 : 512;
            uint8_t *grown = room > 2 * maximum + 512 ? NULL : realloc(data, room);
            if (!grown)
                break;
            data = grown;
        }
        ssize_t count = read(fd, data + size, room - size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 || size + (size_t)count > maximum)
            break;
        if (count == 0) {
            *length = size;
            return data;
        }
        size += (size_t)count;
    }
    free(data);
    return NULL;
}

static uint8_t *
read_path(int root, const char *path, size_t maximum, size_t *length)
{
    int fd = open_file(root, path);
    if (fd < 0)
        return NULL;
    uint8_t *data = read_whole(fd, maximum, length);
    close(fd);
    return data;
}

static char *
read_text(int root, const char *path)
{
    size_t length;
    char *text = (char *)read_path(root, path, SYSFS_TEXT_MAX, &length);
    char *ended = text && !memchr(text, 0, length) ? realloc(text, length + 1) : NULL;
    if (!ended) {
        free(text);
        return NULL;
    }
    if (length > 0 && ended[length - 1] == '\n')
        length--;
    ended[length] = '\0';
    return ended;
}

char *
sysfs_read(int root, const char *format, ...)
{
    FORMAT_PATH(path, format);
    return read_text(root, path);
}

uint8_t *
sysfs_read_bytes(int root, size_t maximum, size_t *length, const char *format, ...)
{
    FORMAT_PATH(path, format);
    return read_path(root, path, maximum, length);
}

bool
sysfs_number(int root, uint64_t *number, const char *format, ...)
{
    FORMAT_PATH(path, format);
    char *text = read_text(root, path);
    char *end = text;
    errno = 0;
    if (text && isdigit((unsigned char)*text))
        *number = strtoull(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
    bool ok = text && end != text && *end == '\0' && errno == 0;
    free(text);
    return ok;
}

static char *
read_link(int root, const char *path)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(root, path, target, sizeof target - 1);
    if (length <= 0)
        return NULL;
    target[length] = '\0';
    return strdup(target);
}

char *
sysfs_link(int root, const char *format, ...)
{
    FORMAT_PATH(path, format);
    return read_link(root, path);
}

char *
sysfs_link_name(int root, const char *format, ...)
{
    FORMAT_PATH(path, format);
    char *target = read_link(root, path);
    char *slash = target ? strrchr(target, '/') : NULL;
    if (slash)
        memmove(target, slash + 1, strlen(slash));
    return target;
}

bool
sysfs_exists(int root, const char *format, ...)
{
    FORMAT_PATH(path, format);
    return faccessat(root, path, F_OK, 0) == 0;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool
names_add(SysfsNames *names, const char *name)
{
    if (names->count == SYSFS_NAMES_MAX)
        return false;
    if ((names->count & (names->count - 1)) == 0) { /* a power of two: full */
        size_t room = names->count ? names->count * 2 : 1;
        char **grown = realloc(names->names, room * sizeof *grown);
        if (!grown)
            return false;
        names->names = grown;
    }
    char *copy = strdup(name);
    if (!copy)
        return false;
    names->names[names->count++] = copy;
    return true;
}

SysfsNames
sysfs_names(int root, const char *format, ...)
{
    FORMAT_PATH(path, format);
    SysfsNames names = {NULL, 0};
    int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            !names_add(&names, entry->d_name))
            break;
    if (folder)
        closedir(folder);
    else if (fd >= 0)
        close(fd);
    if (names.count > 0)
        qsort(names.names, names.count, sizeof *names.names, compare_names);
    return names;
}

void
sysfs_names_clear(SysfsNames *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->names[i]);
    free(names->names);
    *names = (SysfsNames){NULL, 0};
}

static bool
parse_number(const char **text, unsigned *number)
{
    unsigned long value = 0;
    if (!isdigit((unsigned char)**text))
        return false;
    for (; isdigit((unsigned char)**text); (*text)++) {
        value = value * 10 + (unsigned long)(**text - '0');
        if (value >= SYSFS_LIST_MAX)
            return false;
    }
    *number = (unsigned)value;
    return true;
}

/* One range; it must begin above what the list has, so the list is bounded by its largest
 * number. */
static bool
parse_range(const char **text, SysfsList *list)
{
    unsigned first, last;
    if (!parse_number(text, &first))
        return false;
    last = first;
    if (**text == '-') {
        (*text)++;
        if (!parse_number(text, &last))
            return false;
    }
    if (last < first || (list->count > 0 && first <= list->numbers[list->count - 1]))
        return false;
    unsigned *grown =
        realloc(list->numbers, (list->count + last - first + 1) * sizeof *grown);
    if (!grown)
        return false;
    list->numbers = grown;
    for (unsigned number = first; number <= last; number++)
        list->numbers[list->count++] = number;
    return true;
}

bool
sysfs_list_parse(const char *text, SysfsList *list)
{
    *list = (SysfsList){NULL, 0};
    if (!text)
        return false;
    while (*text) {
        if (!parse_range(&text, list) || (*text && *text++ != ',')) {
            sysfs_list_clear(list);
            return false;
        }
    }
    return true;
}

SysfsList
sysfs_list(int root, const char *format, ...)
{
    FORMAT_PATH(path, format);
    SysfsList list;
    char *text = read_text(root, path);
    sysfs_list_parse(text, &list);
    free(text);
    return list;
}

void
sysfs_list_clear(SysfsList *list)
{
    free(list->numbers);
    *list = (SysfsList){NULL, 0};
}

char *
sysfs_list_format(const bool *members)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    const char *comma = "";
    for (unsigned first = 0; out && first < SYSFS_LIST_MAX; first++) {
        unsigned last = first;
        if (!members[first])
            continue;
        while (last + 1 < SYSFS_LIST_MAX && members[last + 1])
            last++;
        fprintf(out, last > first ? "%s%u-%u" : "%s%u", comma, first, last);
        comma = ",";
        first = last;
    }
    if (!out || fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

bool
sysfs_numbered(const char *name, const char *prefix, unsigned *number)
{
    size_t length = strlen(prefix);
    if (strncmp(name, prefix, length) != 0)
        return false;
    name += length;
    return parse_number(&name, number) && *name == '\0';
}
