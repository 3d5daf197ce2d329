/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The first cluster: header, extensions, the name of the backing file.
 */
#include "disk-qcow2.h"

#include <string.h>

#include "error.h"
#include "printable.h"

/* Lengths of the header: of version 2, and what version 3 has at least. */
#define HEADER_2 72
#define HEADER_3 104
#define L1_MOST ((guint64)32 << 20)
#define REFCOUNT_TABLE_MOST ((guint64)8 << 20)
#define SNAPSHOTS_MOST 65536
#define BITMAPS_MOST 65535
#define BITMAP_DIRECTORY_MOST ((guint64)64 << 20)
#define BACKING_MOST 1023
#define LUKS_MOST ((guint64)256 << 20)
#define NAME_SHOWN 1024

void
qcow2_clear(Qcow2 *qcow2)
{
    g_clear_pointer(&qcow2->backing, g_free);
    g_clear_pointer(&qcow2->backing_format, g_free);
    g_clear_pointer(&qcow2->data_file, g_free);
}

/* ---- the header itself
 * ---------------------------------------------------------------------------- */

static gboolean
read_version_3(const guint8 *header, Qcow2 *qcow2, guint32 *header_bytes, GError **error)
{
    qcow2->incompatible = disk_u64(header + 72);
    qcow2->compatible = disk_u64(header + 80);
    qcow2->autoclear = disk_u64(header + 88);
    qcow2->refcount_order = disk_u32(header + 96);
    *header_bytes = disk_u32(header + 100);
    if (*header_bytes < HEADER_3 || *header_bytes % 8 != 0 ||
        *header_bytes > qcow2_cluster_bytes(qcow2))
        return disk_damaged(error, "its header says that it has %u bytes, which none has",
                            *header_bytes);
    if (qcow2->refcount_order > 6)
        return disk_damaged(error, "its refcounts have 2^%u bits; there are at most 64",
                            qcow2->refcount_order);
    if (qcow2->incompatible & ~QCOW2_KNOWN) {
        g_set_error(
            error, HB_ERROR, HB_UNSUPPORTED,
            "needs features of qcow2 that are not known here (bits 0x%" G_GINT64_MODIFIER
            "x); a newer QEMU has made it",
            qcow2->incompatible & ~QCOW2_KNOWN);
        return FALSE;
    }
    return TRUE;
}

static gboolean
check_compression(Qcow2 *qcow2, const guint8 *header, guint32 header_bytes,
                  GError **error)
{
    qcow2->compression = header_bytes > HEADER_3 ? header[HEADER_3] : 0;
    gboolean is_told = (qcow2->incompatible & QCOW2_COMPRESSION) != 0;
    if (is_told != (qcow2->compression != 0))
        return disk_damaged(error, "the type of its compression and the feature bit for "
                                   "that contradict each other");
    if (qcow2->compression > 1) {
        g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                    "is compressed in a way that is not known here (%u); there are zlib "
                    "and zstd",
                    qcow2->compression);
        return FALSE;
    }
    return TRUE;
}

/* A table of BYTES at OFFSET: in the file, and at a cluster's beginning. */
static gboolean
check_table(const DiskBytes *bytes, const Qcow2 *qcow2, const char *what, guint64 offset,
            guint64 size, GError **error)
{
    if (offset & (qcow2_cluster_bytes(qcow2) - 1))
        return disk_damaged(error,
                            "its %s is at %" G_GUINT64_FORMAT
                            ", which is not where a cluster begins",
                            what, offset);
    if (!disk_has(bytes, offset, size) || (size > 0 && offset == 0))
        return disk_damaged(error,
                            "its %s (%" G_GUINT64_FORMAT " bytes at %" G_GUINT64_FORMAT
                            ") is not in the file, which has %" G_GUINT64_FORMAT
                            " bytes; perhaps it was cut",
                            what, size, offset, bytes->length);
    return TRUE;
}

static gboolean
check_capacity(const Qcow2 *qcow2, GError **error)
{
    if (qcow2->l1_entries * 8 > L1_MOST)
        return disk_damaged(error,
                            "its L1 table has %" G_GUINT64_FORMAT
                            " entries; none has more than 4194304",
                            qcow2->l1_entries);
    guint64 of_an_l2 = qcow2_l2_entries(qcow2) << qcow2->cluster_bits;
    guint64 needed = qcow2->capacity / of_an_l2 + (qcow2->capacity % of_an_l2 != 0);
    if (needed > qcow2->l1_entries)
        return disk_damaged(error,
                            "its capacity (%" G_GUINT64_FORMAT
                            " bytes) needs %" G_GUINT64_FORMAT
                            " entries of its L1 table, which has %" G_GUINT64_FORMAT,
                            qcow2->capacity, needed, qcow2->l1_entries);
    return TRUE;
}

static gboolean
check_tables(const DiskBytes *bytes, const Qcow2 *qcow2, GError **error)
{
    if (qcow2->refcount_clusters == 0 ||
        qcow2->refcount_clusters > REFCOUNT_TABLE_MOST >> qcow2->cluster_bits)
        return disk_damaged(error,
                            "its refcount table has %" G_GUINT64_FORMAT
                            " clusters; there are from 1 to %" G_GUINT64_FORMAT,
                            qcow2->refcount_clusters,
                            REFCOUNT_TABLE_MOST >> qcow2->cluster_bits);
    if (qcow2->snapshots > SNAPSHOTS_MOST)
        return disk_damaged(error, "it has %u snapshots; no more than %d can be",
                            qcow2->snapshots, SNAPSHOTS_MOST);
    return check_capacity(qcow2, error) &&
           check_table(bytes, qcow2, "L1 table", qcow2->l1_offset, qcow2->l1_entries * 8,
                       error) &&
           check_table(bytes, qcow2, "refcount table", qcow2->refcount_offset,
                       qcow2->refcount_clusters << qcow2->cluster_bits, error) &&
           check_table(bytes, qcow2, "table of snapshots",
                       qcow2->snapshots ? qcow2->snapshots_offset : 0,
                       qcow2->snapshots ? 40 : 0, error);
}

static gboolean
read_fields(const guint8 *header, Qcow2 *qcow2, GError **error)
{
    qcow2->version = disk_u32(header + 4);
    qcow2->cluster_bits = disk_u32(header + 20);
    qcow2->capacity = disk_u64(header + 24);
    qcow2->encryption = disk_u32(header + 32);
    qcow2->l1_entries = disk_u32(header + 36);
    qcow2->l1_offset = disk_u64(header + 40);
    qcow2->refcount_offset = disk_u64(header + 48);
    qcow2->refcount_clusters = disk_u32(header + 56);
    qcow2->snapshots = disk_u32(header + 60);
    qcow2->snapshots_offset = disk_u64(header + 64);
    qcow2->refcount_order = 4;
    if (qcow2->version != 2 && qcow2->version != 3) {
        g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                    "is of version %u of QEMU's format; versions 2 and 3 are known, to "
                    "which 'qemu-img convert -O qcow2' brings it",
                    qcow2->version);
        return FALSE;
    }
    if (qcow2->cluster_bits < 9 || qcow2->cluster_bits > 21)
        return disk_damaged(error,
                            "its clusters have 2^%u bytes; there are from 2^9 to 2^21",
                            qcow2->cluster_bits);
    if (qcow2->encryption > 2)
        return disk_damaged(error, "its encryption is of the type %u, which none is",
                            qcow2->encryption);
    return TRUE;
}

/* ---- names and extensions, all in the first cluster
 * ---------------------------------------------- */

static gboolean
read_name(const DiskBytes *bytes, guint64 offset, gsize length, char **name,
          GError **error)
{
    char buffer[BACKING_MOST];
    if (!disk_read(bytes, buffer, length, offset, error))
        return FALSE;
    g_free(*name);
    *name = printable(buffer, length, NAME_SHOWN);
    return TRUE;
}

static gboolean
read_backing(const DiskBytes *bytes, const guint8 *header, Qcow2 *qcow2, GError **error)
{
    guint64 offset = disk_u64(header + 8);
    guint32 length = disk_u32(header + 16);
    if (offset == 0)
        return TRUE;
    if (length > BACKING_MOST || offset > qcow2_cluster_bytes(qcow2) ||
        length > qcow2_cluster_bytes(qcow2) - offset)
        return disk_damaged(error, "the name of its backing file is not where it can be");
    return read_name(bytes, offset, length, &qcow2->backing, error);
}

static gboolean
take_bitmaps(const DiskBytes *bytes, const guint8 *data, guint32 length, Qcow2 *qcow2,
             GError **error)
{
    if (!(qcow2->autoclear & QCOW2_BITMAPS))
        return TRUE; /* whoever wrote last did not know of them: they hold no more */
    if (length != 24)
        return disk_damaged(error, "what it says of bitmaps has %u bytes instead of 24",
                            length);
    qcow2->bitmaps = disk_u32(data);
    qcow2->bitmap_directory.bytes = disk_u64(data + 8);
    qcow2->bitmap_directory.offset = disk_u64(data + 16);
    if (qcow2->bitmaps == 0 || qcow2->bitmaps > BITMAPS_MOST ||
        qcow2->bitmap_directory.bytes > BITMAP_DIRECTORY_MOST)
        return disk_damaged(error,
                            "it has %u bitmaps in a directory of %" G_GUINT64_FORMAT
                            " bytes, which cannot be",
                            qcow2->bitmaps, qcow2->bitmap_directory.bytes);
    return check_table(bytes, qcow2, "directory of bitmaps",
                       qcow2->bitmap_directory.offset, qcow2->bitmap_directory.bytes,
                       error);
}

static gboolean
take_luks(const DiskBytes *bytes, const guint8 *data, guint32 length, Qcow2 *qcow2,
          GError **error)
{
    if (length != 16)
        return disk_damaged(error, "what it says of LUKS has %u bytes instead of 16",
                            length);
    qcow2->luks.offset = disk_u64(data);
    qcow2->luks.bytes = disk_u64(data + 8);
    if (qcow2->luks.bytes > LUKS_MOST)
        return disk_damaged(
            error, "its LUKS header has %" G_GUINT64_FORMAT " bytes, which none has",
            qcow2->luks.bytes);
    return check_table(bytes, qcow2, "LUKS header", qcow2->luks.offset, qcow2->luks.bytes,
                       error);
}

#define EXTENSION_END 0x00000000
#define EXTENSION_BACKING_FORMAT 0xe2792aca
#define EXTENSION_BITMAPS 0x23852875
#define EXTENSION_LUKS 0x0537be77
#define EXTENSION_DATA_FILE 0x44415441

static gboolean
take_extension(const DiskBytes *bytes, guint32 type, guint64 offset, guint32 length,
               Qcow2 *qcow2, GError **error)
{
    guint8 data[24];
    gsize read = MIN(length, sizeof data);
    switch (type) {
    case EXTENSION_BACKING_FORMAT:
    case EXTENSION_DATA_FILE:
        if (length > BACKING_MOST)
            return disk_damaged(error,
                                "a name in its header has %u bytes; none has more "
                                "than %d",
                                length, BACKING_MOST);
        return read_name(bytes, offset, length,
                         type == EXTENSION_DATA_FILE ? &qcow2->data_file
                                                     : &qcow2->backing_format,
                         error);
    case EXTENSION_BITMAPS:
        return disk_read(bytes, data, read, offset, error) &&
               take_bitmaps(bytes, data, length, qcow2, error);
    case EXTENSION_LUKS:
        return disk_read(bytes, data, read, offset, error) &&
               take_luks(bytes, data, length, qcow2, error);
    default:
        return TRUE; /* may be ignored, says the format */
    }
}

static gboolean
read_extensions(const DiskBytes *bytes, guint64 offset, guint64 backing_offset,
                Qcow2 *qcow2, GError **error)
{
    guint64 end = backing_offset ? backing_offset : qcow2_cluster_bytes(qcow2);
    guint8 head[8];
    while (offset + sizeof head <= end && disk_has(bytes, offset, sizeof head)) {
        if (!disk_read(bytes, head, sizeof head, offset, error))
            return FALSE;
        guint32 type = disk_u32(head), length = disk_u32(head + 4);
        offset += sizeof head;
        if (type == EXTENSION_END)
            return TRUE;
        if (length > end - offset)
            return disk_damaged(error,
                                "an extension of its header (0x%08x) reaches "
                                "behind the header's cluster",
                                type);
        if (!take_extension(bytes, type, offset, length, qcow2, error))
            return FALSE;
        offset += (length + (guint64)7) & ~(guint64)7;
    }
    return TRUE;
}

static gboolean
check_features(Qcow2 *qcow2, GError **error)
{
    if (qcow2->incompatible & QCOW2_EXTENDED_L2 && qcow2->cluster_bits < 14)
        return disk_damaged(error,
                            "it has subclusters, for which its clusters, of %d "
                            "bytes, are too small",
                            1 << qcow2->cluster_bits);
    if (qcow2->encryption == 2 && qcow2->luks.bytes == 0)
        return disk_damaged(error, "it is encrypted by LUKS and has no LUKS header");
    if (!(qcow2->incompatible & QCOW2_DATA_FILE))
        g_clear_pointer(&qcow2->data_file, g_free);
    else if (!qcow2->data_file)
        qcow2->data_file = g_strdup("");
    return TRUE;
}

gboolean
qcow2_read_header(const DiskBytes *bytes, Qcow2 *qcow2, GError **error)
{
    guint8 header[HEADER_3 + 8] = {0};
    guint32 header_bytes = HEADER_2;
    if (!disk_has(bytes, 0, HEADER_2))
        return disk_damaged(
            error, "it has %" G_GUINT64_FORMAT " bytes, and qcow2's header alone has 72",
            bytes->length);
    if (!disk_read(bytes, header, MIN(bytes->length, sizeof header), 0, error) ||
        !read_fields(header, qcow2, error))
        return FALSE;
    if (qcow2->version == 3 && !disk_has(bytes, 0, HEADER_3))
        return disk_damaged(error, "it ends in its header");
    return (qcow2->version == 2 || read_version_3(header, qcow2, &header_bytes, error)) &&
           check_compression(qcow2, header, header_bytes, error) &&
           check_tables(bytes, qcow2, error) &&
           read_backing(bytes, header, qcow2, error) &&
           read_extensions(bytes, header_bytes, disk_u64(header + 8), qcow2, error) &&
           check_features(qcow2, error);
}
