/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The smallest qcow2 file of version 3 (QEMU docs/interop/qcow2.txt): header, reference
 * counts of the clusters that are there, and an empty table of what is to come. Written
 * here since a sandboxed emulator may start no program for it, and machines that have an
 * emulator may have no qemu-img.
 */
#include "overlay.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "autoptr.h"
#include "cache.h"
#include "error.h"

#define KIND "overlays"
#define CLUSTER_BITS 16
#define CLUSTER ((gint64)1 << CLUSTER_BITS)
/* A cluster of the second table has 8-byte entries for clusters, one of the first for
 * clusters of the second. */
#define PER_L1_ENTRY (CLUSTER / 8 * CLUSTER)
#define CAPACITY_MAX ((gint64)64 << 40)
#define HEADER_LENGTH 104
#define REFCOUNT_ORDER 4 /* 16 bits */

/* In clusters from the beginning of the file. */
enum {
    REFCOUNT_TABLE = 1,
    REFCOUNT_BLOCK = 2,
    L1_TABLE = 3,
};

static void
put32(guint8 *at, guint32 value)
{
    value = GUINT32_TO_BE(value);
    memcpy(at, &value, sizeof value);
}

static void
put64(guint8 *at, guint64 value)
{
    value = GUINT64_TO_BE(value);
    memcpy(at, &value, sizeof value);
}

static void
fill_header(guint8 *header, gint64 capacity, gint64 l1_entries)
{
    memcpy(header, "QFI\xfb", 4);
    put32(header + 4, 3);
    put32(header + 20, CLUSTER_BITS);
    put64(header + 24, (guint64)capacity);
    put32(header + 36, (guint32)l1_entries);
    put64(header + 40, L1_TABLE * CLUSTER);
    put64(header + 48, REFCOUNT_TABLE * CLUSTER);
    put32(header + 56, 1);
    put32(header + 96, REFCOUNT_ORDER);
    put32(header + 100, HEADER_LENGTH);
}

static gboolean
write_all(int fd, gint64 capacity)
{
    const gint64 l1_entries = (capacity + PER_L1_ENTRY - 1) / PER_L1_ENTRY;
    const gint64 clusters = L1_TABLE + (l1_entries * 8 + CLUSTER - 1) / CLUSTER;
    /* With the end of its extensions: the zeros behind it. */
    guint8 header[HEADER_LENGTH + 8] = {0}, block[8] = {0}, counts[2 * 32] = {0};
    fill_header(header, capacity, l1_entries);
    put64(block, REFCOUNT_BLOCK * CLUSTER);
    for (gint64 i = 0; i < clusters; i++)
        counts[2 * i + 1] = 1;
    return ftruncate(fd, clusters * CLUSTER) == 0 &&
           pwrite(fd, header, sizeof header, 0) == sizeof header &&
           pwrite(fd, block, sizeof block, REFCOUNT_TABLE * CLUSTER) == sizeof block &&
           pwrite(fd, counts, sizeof counts, REFCOUNT_BLOCK * CLUSTER) == sizeof counts;
}

char *
overlay_folder(GError **error)
{
    return cache_dir(KIND, error);
}

int
overlay_new(gint64 capacity_bytes, GError **error)
{
    g_autofree char *folder = overlay_folder(error);
    if (!folder)
        return -1;
    if (capacity_bytes < 512 || capacity_bytes > CAPACITY_MAX) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "a disk of %" G_GINT64_FORMAT
                    " bytes is none that a host can have; 64 TiB are the most",
                    capacity_bytes);
        return -1;
    }
    g_auto(AutoFd) fd = cache_open_nameless(folder);
    if (fd < 0 || !write_all(fd, (capacity_bytes + 511) / 512 * 512)) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "cannot make a file in %s for what the host writes to its disk: %s",
                    folder, g_strerror(errno));
        return -1;
    }
    int taken = fd;
    fd = -1;
    return taken;
}
