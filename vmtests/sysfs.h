/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Reading the small files, links and folders of /sys and /proc below a root that may be a
 * recorded tree. Nothing that is read is trusted: sizes and counts are bounded, numbers
 * checked. It knows no particular file. libc only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SYSFS_TEXT_MAX (64 * 1024)
#define SYSFS_NAMES_MAX 65536
/* CPUs and nodes have smaller numbers than this (the kernel's own limit for x86 is 8192
 * CPUs). */
#define SYSFS_LIST_MAX 8192

/* A folder to read below; -1: there is none. Closed by close(). */
int sysfs_open(const char *root);

/* The content of a file without its last newline, owned by the caller; NULL when it
 * cannot be read, is larger than SYSFS_TEXT_MAX or holds a NUL. */
char *sysfs_read(int root, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for any bytes up to MAXIMUM. */
uint8_t *sysfs_read_bytes(int root, size_t maximum, size_t *length, const char *format,
                          ...) __attribute__((format(printf, 4, 5)));
/* The number in a file, decimal, or hexadecimal after 0x; FALSE when it is not one. */
bool sysfs_number(int root, uint64_t *number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Where a link points to, or its last component; owned by the caller; NULL when there is
 * none. */
char *sysfs_link(int root, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *
sysfs_link_name(int root, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool
sysfs_exists(int root, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The names in a folder, sorted, without . and ..; none when it cannot be read. */
typedef struct {
    char **names;
    size_t count;
} SysfsNames;

SysfsNames
sysfs_names(int root, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sysfs_names_clear(SysfsNames *names);

/* A kernel list ("0-3,8") as numbers in ascending order. */
typedef struct {
    unsigned *numbers;
    size_t count;
} SysfsList;

/* FALSE, and an empty list, when TEXT is NULL or no such list. */
bool sysfs_list_parse(const char *text, SysfsList *list);
SysfsList
sysfs_list(int root, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sysfs_list_clear(SysfsList *list);
/* The numbers below SYSFS_LIST_MAX whose MEMBERS are set, as the kernel writes them;
 * owned by the caller; NULL when memory is short. */
char *sysfs_list_format(const bool *members);
/* The number behind PREFIX in NAME, which has nothing else ("node12"): FALSE when it is
 * not so. */
bool sysfs_numbered(const char *name, const char *prefix, unsigned *number);
