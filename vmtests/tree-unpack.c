/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tree.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    int folder;
    FILE *file; /* that the next lines belong to, or NULL */
    bool is_hexadecimal;
} Unpacker;

/* Below the folder, whatever the text says. */
static bool
is_tame(const char *path)
{
    return *path && *path != '/' && strncmp(path, "../", 3) != 0 && !strstr(path, "/../");
}

static bool
make_folders(int folder, char *path)
{
    for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int failed = mkdirat(folder, path, 0755) < 0 && errno != EEXIST;
        *slash = '/';
        if (failed)
            return false;
    }
    return true;
}

static bool
make_file(Unpacker *unpacker, char *path, bool is_hexadecimal)
{
    if (!is_tame(path) || !make_folders(unpacker->folder, path))
        return false;
    int fd =
        openat(unpacker->folder, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    unpacker->file = fd < 0 ? NULL : fdopen(fd, "w");
    unpacker->is_hexadecimal = is_hexadecimal;
    return unpacker->file;
}

static bool
make_link(const Unpacker *unpacker, char *path)
{
    char *target = strchr(path, ' ');
    if (!target)
        return false;
    *target++ = '\0';
    return is_tame(path) && make_folders(unpacker->folder, path) &&
           symlinkat(target, unpacker->folder, path) == 0;
}

static bool
write_content(const Unpacker *unpacker, const char *line)
{
    unsigned byte;
    int used;
    if (!unpacker->file)
        return false;
    if (!unpacker->is_hexadecimal)
        return fprintf(unpacker->file, "%s\n", line) >= 0;
    for (; sscanf(line, "%2x%n", &byte, &used) == 1; line += used)
        fputc((int)byte, unpacker->file);
    return *line == '\0';
}

static bool
close_file(Unpacker *unpacker)
{
    bool ok = !unpacker->file || fclose(unpacker->file) == 0;
    unpacker->file = NULL;
    return ok;
}

static bool
unpack_line(Unpacker *unpacker, char *line)
{
    if (*line == ' ')
        return write_content(unpacker, line + 1);
    if (!close_file(unpacker))
        return false;
    if (*line == '\0' || *line == '#')
        return true;
    if (line[1] != ' ')
        return false;
    switch (*line) {
    case 'f':
    case 'b':
        return make_file(unpacker, line + 2, *line == 'b');
    case 'l':
        return make_link(unpacker, line + 2);
    default:
        return false;
    }
}

int
tree_unpack(FILE *in, const char *folder)
{
    Unpacker unpacker = {.folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    char *line = NULL;
    size_t size = 0;
    int number = 1;
    bool ok = unpacker.folder >= 0;
    for (errno = 0; ok && getline(&line, &size, in) >= 0; number += ok) {
        line[strcspn(line, "\n")] = '\0';
        ok = unpack_line(&unpacker, line);
    }
    ok = close_file(&unpacker) && ok;
    free(line);
    if (unpacker.folder >= 0)
        close(unpacker.folder);
    return ok ? 0 : number;
}
