/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * `hostbed-agent --out FOLDER`: makes the folder for a command's results, where core
 * dumps go, too. `hostbed-agent --pack FOLDER`: writes what is there to standard output
 * as the records of wire.h.
 */
#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Deeper than any sane tree; whoever makes one that is deeper does not stop us. */
#define DEPTH_MAX 60

typedef struct {
    FILE *out;
    char path[PATH_MAX]; /* of what is being packed, below the folder */
    size_t length;
    unsigned depth;
} Pack;

/* ---- before the command
 * ------------------------------------------------------------------------------- */

static int
remove_entry(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status;
    (void)type;
    if (at->level > 0)
        remove(path);
    return 0;
}

int
out_main(const char *root_path, char **words)
{
    char path[PATH_MAX], pattern[PATH_MAX];
    snprintf(path, sizeof path, "%s/proc/sys/kernel/core_pattern", root_path);
    int length = snprintf(pattern, sizeof pattern, "%s/core.%%e.%%p\n", words[0]);
    if (mkdir(words[0], 0777) < 0 && errno != EEXIST) {
        fprintf(stderr, "cannot make %s: %s\n", words[0], strerror(errno));
        return 1;
    }
    /* What an earlier command left was brought already. */
    nftw(words[0], remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    chmod(words[0], 01777);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, pattern, (size_t)length) == length;
    if (!ok)
        fprintf(stderr, "cannot say where core dumps go: %s\n", strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok ? 0 : 1;
}

/* ---- after it
 * -----------------------------------------------------------------------------------------
 */

static void
put_record(Pack *pack, char type, mode_t mode, uint64_t size)
{
    uint8_t head[HB_OUT_HEADER] = {(uint8_t)type};
    wire_put_u16(head + 2, (uint16_t)pack->length);
    wire_put_u32(head + 4, mode & 07777);
    wire_put_u32(head + 8, (uint32_t)size);
    wire_put_u32(head + 12, (uint32_t)(size >> 32));
    fwrite(head, 1, sizeof head, pack->out);
    fwrite(pack->path, 1, pack->length, pack->out);
}

/* As much as was announced, whatever happens to the file meanwhile. */
static void
put_content(Pack *pack, int fd, uint64_t size)
{
    char data[64 * 1024];
    while (size > 0) {
        size_t want = size < sizeof data ? (size_t)size : sizeof data;
        ssize_t count = read(fd, data, want);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            memset(data, 0, want);
            count = (ssize_t)want;
        }
        fwrite(data, 1, (size_t)count, pack->out);
        size -= (uint64_t)count;
    }
}

static void pack_folder(Pack *pack, int fd);

/* Takes FD. */
static void
pack_opened(Pack *pack, int fd)
{
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
        put_record(pack, HB_OUT_FILE, status.st_mode, (uint64_t)status.st_size);
        put_content(pack, fd, (uint64_t)status.st_size);
        close(fd);
    } else if (S_ISDIR(status.st_mode) && pack->depth < DEPTH_MAX) {
        put_record(pack, HB_OUT_FOLDER, status.st_mode, 0);
        pack_folder(pack, fd);
    } else {
        put_record(pack, HB_OUT_LEFT, 0, 0);
        close(fd);
    }
}

static void
pack_entry(Pack *pack, int folder, const char *name)
{
    struct stat status;
    size_t before = pack->length;
    int length = snprintf(pack->path + before, sizeof pack->path - before, "%s%s",
                          before > 0 ? "/" : "", name);
    if (before + (size_t)length >= sizeof pack->path)
        return;
    pack->length = before + (size_t)length;
    /* Devices and pipes are not even opened. */
    bool is_plain = fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                    (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
    int fd = is_plain ? openat(folder, name,
                               O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
                      : -1;
    if (fd >= 0)
        pack_opened(pack, fd);
    else
        put_record(pack, HB_OUT_LEFT, 0, 0);
    pack->length = before;
}

/* Takes FD. */
static void
pack_folder(Pack *pack, int fd)
{
    DIR *folder = fdopendir(fd);
    if (!folder) {
        close(fd);
        return;
    }
    pack->depth++;
    for (struct dirent *entry; (entry = readdir(folder));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            pack_entry(pack, dirfd(folder), entry->d_name);
    pack->depth--;
    closedir(folder);
}

int
pack_main(const char *root_path, char **words)
{
    static Pack pack; /* too large for a stack */
    (void)root_path;
    int fd = open(words[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        fprintf(stderr, "cannot read %s: %s\n", words[0], strerror(errno));
        return 1;
    }
    pack = (Pack){.out = stdout};
    pack_folder(&pack, fd);
    pack.length = 0;
    put_record(&pack, HB_OUT_END, 0, 0);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
