/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autoptr.h"
#include "disk-qcow2.h"
#include "error.h"

/* ---- bytes
 * ----------------------------------------------------------------------------------------
 */

guint16
disk_u16(const guint8 *at)
{
    return (guint16)(at[0] << 8 | at[1]);
}

guint32
disk_u32(const guint8 *at)
{
    return (guint32)disk_u16(at) << 16 | disk_u16(at + 2);
}

guint64
disk_u64(const guint8 *at)
{
    return (guint64)disk_u32(at) << 32 | disk_u32(at + 4);
}

gboolean
disk_damaged(GError **error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *what = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, HB_ERROR, HB_USAGE, "is damaged: %s", what);
    return FALSE;
}

gboolean
disk_read(const DiskBytes *bytes, void *buffer, gsize size, guint64 offset,
          GError **error)
{
    for (gsize done = 0; done < size;) {
        gssize got = bytes->read(bytes->user_data, (guint8 *)buffer + done, size - done,
                                 offset + done);
        if (got < 0) {
            g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot be read: %s",
                        g_strerror(errno));
            return FALSE;
        }
        if (got == 0)
            return disk_damaged(error,
                                "it ends at %" G_GUINT64_FORMAT
                                ", where something should be; perhaps it was cut",
                                offset + done);
        done += (gsize)got;
    }
    return TRUE;
}

/* ---- formats
 * --------------------------------------------------------------------------------------
 */

const char *
disk_format_name(DiskFormat format)
{
    return format == DISK_QCOW2 ? "qcow2" : "raw";
}

#define MAGIC_QCOW2 "QFI\xfb"

#define CONVERT "'qemu-img convert -O qcow2' makes a qcow2 of it"

/* What would be taken for raw and is none. */
static const struct {
    gsize offset;
    const char *bytes, *name, *advice;
} others[] = {
    {0, "KDMV", "a VMDK image", CONVERT},
    {0, "COWD", "a VMDK image", CONVERT},
    {0, "# Disk DescriptorFile", "a VMDK image", CONVERT},
    {64, "\x7f\x10\xda\xbe", "a VDI image", CONVERT},
    {0, "vhdxfile", "a VHDX image", CONVERT},
    {0, "conectix", "a VPC image", CONVERT},
    {0, "QED", "a QED image", CONVERT},
    {0, "LUKS\xba\xbe", "encrypted by LUKS",
     "with --format=raw its sizes are those of the file"},
    {0, "\x1f\x8b", "compressed by gzip", "unpack it first"},
    {0,
     "\xfd"
     "7zXZ",
     "compressed by xz", "unpack it first"},
    {0, "\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it first"},
    {0, "BZh", "compressed by bzip2", "unpack it first"},
};

static gboolean
refuse_others(const guint8 *start, gsize size, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(others); i++) {
        gsize length = strlen(others[i].bytes);
        if (others[i].offset + length > size ||
            memcmp(start + others[i].offset, others[i].bytes, length) != 0)
            continue;
        g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                    "is %s, and raw and qcow2 are known here; %s", others[i].name,
                    others[i].advice);
        return FALSE;
    }
    return TRUE;
}

/* Sets *FORMAT to what the file is, or NAME says that it is. */
static gboolean
find_format(const DiskBytes *bytes, const char *name, DiskFormat *format, GError **error)
{
    guint8 start[128] = {0};
    gsize size = (gsize)MIN(bytes->length, sizeof start);
    if (!disk_read(bytes, start, size, 0, error))
        return FALSE;
    gboolean is_qcow2 = size >= 4 && memcmp(start, MAGIC_QCOW2, 4) == 0;
    if (g_strcmp0(name, "qcow2") == 0 && !is_qcow2) {
        g_set_error_literal(error, HB_ERROR, HB_USAGE,
                            "is no qcow2: it does not begin with \"QFI\\xfb\"");
        return FALSE;
    }
    *format = is_qcow2 && g_strcmp0(name, "raw") != 0 ? DISK_QCOW2 : DISK_RAW;
    return name || is_qcow2 || refuse_others(start, size, error);
}

static void
describe_qcow2(DiskInfo *info, Qcow2 *qcow2, const Qcow2Count *count)
{
    static const char *const encryptions[] = {NULL, "aes", "luks"};
    info->capacity = qcow2->capacity;
    info->version = qcow2->version;
    info->refcount_bits = 1U << qcow2->refcount_order;
    info->cluster_bytes = qcow2_cluster_bytes(qcow2);
    info->extended_l2 = (qcow2->incompatible & QCOW2_EXTENDED_L2) != 0;
    info->lazy_refcounts = (qcow2->compatible & QCOW2_LAZY_REFCOUNTS) != 0;
    info->dirty = (qcow2->incompatible & QCOW2_DIRTY) != 0;
    info->corrupt = (qcow2->incompatible & QCOW2_CORRUPT) != 0;
    info->compression = qcow2->compression ? "zstd" : "zlib";
    info->encryption = encryptions[qcow2->encryption];
    info->backing = g_steal_pointer(&qcow2->backing);
    info->backing_format = g_steal_pointer(&qcow2->backing_format);
    info->data_file = g_steal_pointer(&qcow2->data_file);
    info->snapshots = qcow2->snapshots;
    info->bitmaps = qcow2->bitmaps;
    info->compressed = count->compressed;
    info->behind_end = count->behind_end;
    info->unbounded = count->uncounted;
}

static gboolean
read_qcow2(const DiskBytes *bytes, DiskInfo *info, GError **error)
{
    g_auto(Qcow2) qcow2 = {0};
    Qcow2Count count = {0};
    if (!qcow2_read_header(bytes, &qcow2, error) ||
        !qcow2_count(bytes, &qcow2, &count, error))
        return FALSE;
    describe_qcow2(info, &qcow2, &count);
    info->commitment =
        count.uncounted ? 0 : MAX(qcow2_commitment(&qcow2, &count), info->allocation);
    return TRUE;
}

DiskInfo *
disk_info_read(const DiskBytes *bytes, guint64 allocation, const char *format,
               GError **error)
{
    g_autoptr(DiskInfo) info = g_new0(DiskInfo, 1);
    info->length = info->capacity = bytes->length;
    info->allocation = allocation;
    info->commitment = MAX(bytes->length, allocation);
    if (!find_format(bytes, format, &info->format, error) ||
        (info->format == DISK_QCOW2 && !read_qcow2(bytes, info, error)))
        return NULL;
    return g_steal_pointer(&info);
}

void
disk_info_free(DiskInfo *info)
{
    if (!info)
        return;
    g_free(info->backing);
    g_free(info->backing_format);
    g_free(info->data_file);
    g_free(info);
}

/* ---- files
 * ----------------------------------------------------------------------------------------
 */

static gssize
read_file(gpointer user_data, void *buffer, gsize size, guint64 offset)
{
    const int *fd = user_data;
    ssize_t got;
    do
        got = pread(*fd, buffer, size, (off_t)offset);
    while (got < 0 && errno == EINTR);
    return got;
}

static DiskInfo *
cannot_read(const char *filename, GError **error)
{
    g_set_error(error, HB_ERROR, HB_USAGE, "%s cannot be read: %s", filename,
                g_strerror(errno));
    return NULL;
}

DiskInfo *
disk_info_of_file(const char *filename, const char *format, GError **error)
{
    struct stat st;
    /* Not to wait for who writes to a FIFO. */
    g_auto(AutoFd) fd = open(filename, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0)
        return cannot_read(filename, error);
    gboolean is_device = S_ISBLK(st.st_mode);
    if (!S_ISREG(st.st_mode) && !is_device) {
        g_set_error(error, HB_ERROR, HB_USAGE, "%s is neither a file nor a block device",
                    filename);
        return NULL;
    }
    /* A block device says no size but this way. A folder would have one, or not, by its
     * file system. */
    off_t end = lseek(fd, 0, SEEK_END);
    if (end < 0)
        return cannot_read(filename, error);
    const DiskBytes bytes = {read_file, &fd, (guint64)end};
    guint64 allocation = is_device ? (guint64)end : (guint64)st.st_blocks * 512;
    DiskInfo *info = disk_info_read(&bytes, allocation, format, error);
    if (!info)
        g_prefix_error(error, "%s ", filename);
    return info;
}
