/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "accel-memory.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cache.h"
#include "emulator.h"

#define KIND "kvm"
#define MAXIMUM_CACHE ((goffset)256 << 10)
#define REMEMBERED_S 3600
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

gint64
accel_memory_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec;
}

/* NULL: this machine cannot be told from itself after its next boot. */
static char *
entry_name(const char *emulator, const char *device)
{
    g_autofree char *boot_id = NULL;
    struct stat about;
    if (!g_file_get_contents(BOOT_ID, &boot_id, NULL, NULL) || stat(device, &about) != 0)
        return NULL;
    g_autofree char *identity = emulator_identity(emulator, NULL);
    g_autofree char *key = g_strdup_printf(
        "%s %s %s %ju:%ju %ju %jd.%09ld", boot_id, identity, device,
        (uintmax_t)about.st_dev, (uintmax_t)about.st_ino, (uintmax_t)about.st_rdev,
        (intmax_t)about.st_ctim.tv_sec, about.st_ctim.tv_nsec);
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, key, -1);
}

/* An entry is a line: when it was seen, a space, the reason. */
char *
accel_recall(const char *emulator, const char *device, gint64 now_s)
{
    g_autofree char *name = entry_name(emulator, device);
    g_autofree char *path = name ? cache_lookup(KIND, name) : NULL;
    g_autofree char *text = NULL;
    char *reason = NULL;
    if (!path || !g_file_get_contents(path, &text, NULL, NULL))
        return NULL;
    gint64 seen_s = g_ascii_strtoll(text, &reason, 10);
    gint64 age_s = now_s - seen_s;
    if (*reason != ' ' || age_s < 0 || age_s >= REMEMBERED_S)
        return NULL;
    return g_strdup_printf("%s (seen %d min ago; hostbed doctor tries again)",
                           g_strstrip(reason), (int)(age_s / 60));
}

static gboolean
write_all(int fd, const char *text)
{
    gsize left = strlen(text);
    while (left > 0) {
        ssize_t n = write(fd, text, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return FALSE;
        text += n;
        left -= (gsize)n;
    }
    return TRUE;
}

void
accel_remember(const char *emulator, const char *device, gint64 now_s, const char *reason)
{
    g_autofree char *name = entry_name(emulator, device);
    g_autoptr(CacheWriter) writer = name ? cache_writer_new(KIND, name, NULL) : NULL;
    g_autofree char *text = g_strdup_printf("%" G_GINT64_FORMAT " %s\n", now_s, reason);
    if (!writer || !write_all(writer->fd, text))
        return;
    g_autofree char *path = cache_writer_commit(writer, NULL);
    cache_prune(KIND, MAXIMUM_CACHE);
}

void
accel_forget(const char *emulator, const char *device)
{
    g_autofree char *name = entry_name(emulator, device);
    g_autofree char *path = name ? cache_lookup(KIND, name) : NULL;
    if (path)
        unlink(path);
}
