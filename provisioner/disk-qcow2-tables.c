/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the tables lead to. Each is read in pieces of a fixed size, and all of them
 * together may have so many bytes only: tables may be shared, and a hostile file shares
 * them without end.
 */
#include "disk-qcow2.h"

#include <string.h>

#include "error.h"

#define TABLES_MOST ((guint64)1 << 30)   /* bytes of tables that are read */
#define CLUSTERS_MOST ((guint64)1 << 29) /* that are told apart: 64 MiB of bits */
#define PIECE 65536

#define OFFSET_MASK G_GUINT64_CONSTANT(0x00fffffffffffe00)
#define COMPRESSED ((guint64)1 << 62)
#define SECTOR 512

#define SNAPSHOT_HEAD 40
#define SNAPSHOT_EXTRA_MOST 1024
#define BITMAP_HEAD 24
#define BITMAP_TABLE_MOST 0x8000000
#define BITMAP_NAME_MOST 1023

/* A bit for each cluster of the file, made when the first is set. */
typedef struct {
    guint8 *bits;
} Clusters;

typedef struct {
    const DiskBytes *bytes;
    const Qcow2 *qcow2;
    Qcow2Count *count;
    guint64 read;          /* bytes of tables */
    gboolean of_snapshot;  /* whose tables are being read */
    Clusters held, packed; /* by snapshots; by compressed clusters of the guest */
    GError **error;
} Walk;

static void
walk_clear(Walk *walk)
{
    g_clear_pointer(&walk->held.bits, g_free);
    g_clear_pointer(&walk->packed.bits, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Walk, walk_clear)

/* ---- clusters and pieces of tables
 * --------------------------------------------------------------- */

/* Counts the cluster of the file at OFFSET in *COUNT, once. FALSE: it was counted before,
 * or cannot be. */
static gboolean
mark(Walk *walk, Clusters *clusters, guint64 offset, guint64 *count)
{
    guint64 number = offset >> walk->qcow2->cluster_bits;
    guint64 all = qcow2_clusters(walk->qcow2, walk->bytes->length);
    if (all > CLUSTERS_MOST) {
        walk->count->uncounted = "it has more clusters than are told apart here";
        return FALSE;
    }
    if (number >= all)
        return FALSE;
    if (!clusters->bits)
        clusters->bits = g_malloc0(all / 8 + 1);
    guint8 bit = (guint8)(1 << (number % 8));
    if (clusters->bits[number / 8] & bit)
        return FALSE;
    clusters->bits[number / 8] |= bit;
    (*count)++;
    return TRUE;
}

static void
mark_range(Walk *walk, Clusters *clusters, guint64 offset, guint64 size, guint64 *count)
{
    guint64 step = qcow2_cluster_bytes(walk->qcow2);
    guint64 first = offset & ~(step - 1);
    for (guint64 at = first; at < offset + size && !walk->count->uncounted; at += step)
        mark(walk, clusters, at, count);
}

typedef gboolean (*TakePiece)(Walk *walk, const guint8 *piece, gsize size, guint64 first);

/* Gives the table of SIZE bytes at OFFSET to TAKE, which is told where in the table its
 * piece begins. */
static gboolean
each_piece(Walk *walk, guint64 offset, guint64 size, guint8 *buffer, TakePiece take,
           guint64 first)
{
    for (guint64 done = 0; done < size && !walk->count->uncounted;) {
        gsize piece = (gsize)MIN(size - done, PIECE);
        walk->read += piece;
        if (walk->read > TABLES_MOST) {
            walk->count->uncounted = "its tables have more than 1 GiB";
            return TRUE;
        }
        if (!disk_read(walk->bytes, buffer, piece, offset + done, walk->error) ||
            !take(walk, buffer, piece, first + done))
            return FALSE;
        done += piece;
    }
    return TRUE;
}

/* ---- the guest's clusters
 * --------------------------------------------------------------------------- */

static void
take_compressed(Walk *walk, guint64 entry)
{
    guint bits = 62 - (walk->qcow2->cluster_bits - 8);
    guint64 offset = entry & (((guint64)1 << bits) - 1);
    guint64 sectors = ((entry & (COMPRESSED - 1)) >> bits) + 1;
    guint64 size = sectors * SECTOR - (offset & (SECTOR - 1));
    walk->count->compressed += !walk->of_snapshot;
    if (offset >= walk->bytes->length) {
        walk->count->behind_end++;
        return;
    }
    if (walk->of_snapshot)
        mark_range(walk, &walk->held, offset, size, &walk->count->held);
    else
        mark_range(walk, &walk->packed, offset, size, &walk->count->packed);
}

/* The cluster NUMBER of what the guest sees, by its ENTRY. */
static gboolean
take_entry(Walk *walk, guint64 entry, guint64 number)
{
    if (entry & COMPRESSED) {
        take_compressed(walk, entry);
        return TRUE;
    }
    guint64 offset = entry & OFFSET_MASK;
    gboolean elsewhere = (walk->qcow2->incompatible & QCOW2_DATA_FILE) != 0;
    if (offset == 0 || elsewhere)
        return TRUE;
    if (offset & (qcow2_cluster_bytes(walk->qcow2) - 1))
        return disk_damaged(walk->error,
                            "the guest's cluster %" G_GUINT64_FORMAT
                            " is said to be at %" G_GUINT64_FORMAT
                            ", which is not where a cluster begins",
                            number, offset);
    if (offset >= walk->bytes->length)
        walk->count->behind_end++;
    else if (walk->of_snapshot)
        mark(walk, &walk->held, offset, &walk->count->held);
    else if (number >= qcow2_clusters(walk->qcow2, walk->qcow2->capacity))
        walk->count->beyond++;
    return TRUE;
}

/* FIRST counts bytes of L2 tables, as if they were all there, one behind the other. */
static gboolean
take_l2_piece(Walk *walk, const guint8 *piece, gsize size, guint64 first)
{
    gsize step = walk->qcow2->incompatible & QCOW2_EXTENDED_L2 ? 16 : 8;
    for (gsize at = 0; at < size; at += step)
        if (!take_entry(walk, disk_u64(piece + at), (first + at) / step))
            return FALSE;
    return TRUE;
}

static gboolean
take_l2(Walk *walk, guint64 offset, guint64 number)
{
    guint8 buffer[PIECE];
    const guint64 size = qcow2_cluster_bytes(walk->qcow2);
    if (offset & (size - 1) || !disk_has(walk->bytes, offset, size))
        return disk_damaged(
            walk->error,
            "entry %" G_GUINT64_FORMAT " of an L1 table leads to %" G_GUINT64_FORMAT
            ", where no L2 table can be: the file has %" G_GUINT64_FORMAT " bytes",
            number, offset, walk->bytes->length);
    /* What several snapshots share holds nothing new. */
    if (walk->of_snapshot && !mark(walk, &walk->held, offset, &walk->count->held))
        return TRUE;
    return each_piece(walk, offset, size, buffer, take_l2_piece, number * size);
}

static gboolean
take_l1_piece(Walk *walk, const guint8 *piece, gsize size, guint64 first)
{
    for (gsize at = 0; at < size && !walk->count->uncounted; at += 8) {
        guint64 offset = disk_u64(piece + at) & OFFSET_MASK;
        if (offset && !take_l2(walk, offset, (first + at) / 8))
            return FALSE;
    }
    return TRUE;
}

static gboolean
take_l1(Walk *walk, guint64 offset, guint64 entries)
{
    guint8 buffer[PIECE];
    return each_piece(walk, offset, entries * 8, buffer, take_l1_piece, 0);
}

/* ---- snapshots
 * ------------------------------------------------------------------------------------ */

static gboolean
take_snapshot(Walk *walk, const guint8 *head, guint number)
{
    guint64 l1_offset = disk_u64(head);
    guint64 l1_bytes = (guint64)disk_u32(head + 8) * 8;
    if (l1_offset & (qcow2_cluster_bytes(walk->qcow2) - 1) || l1_bytes > (32 << 20) ||
        !disk_has(walk->bytes, l1_offset, l1_bytes))
        return disk_damaged(walk->error,
                            "the L1 table of snapshot %u (%" G_GUINT64_FORMAT
                            " bytes at %" G_GUINT64_FORMAT ") is not where one can be",
                            number + 1, l1_bytes, l1_offset);
    mark_range(walk, &walk->held, l1_offset, l1_bytes, &walk->count->held);
    return take_l1(walk, l1_offset, l1_bytes / 8);
}

static gboolean
take_snapshots(Walk *walk)
{
    const Qcow2 *qcow2 = walk->qcow2;
    guint8 head[SNAPSHOT_HEAD];
    guint64 at = qcow2->snapshots_offset;
    walk->of_snapshot = TRUE;
    for (guint i = 0; i < qcow2->snapshots && !walk->count->uncounted; i++) {
        if (!disk_has(walk->bytes, at, SNAPSHOT_HEAD))
            return disk_damaged(walk->error,
                                "its table of snapshots is not whole: %u of %u are in "
                                "the file",
                                i, qcow2->snapshots);
        if (!disk_read(walk->bytes, head, sizeof head, at, walk->error))
            return FALSE;
        guint32 extra = disk_u32(head + 36);
        if (extra > SNAPSHOT_EXTRA_MOST)
            return disk_damaged(walk->error,
                                "snapshot %u has %u bytes of extra data; none has more "
                                "than %d",
                                i + 1, extra, SNAPSHOT_EXTRA_MOST);
        if (!take_snapshot(walk, head, i))
            return FALSE;
        guint64 size = SNAPSHOT_HEAD + extra + disk_u16(head + 12) + disk_u16(head + 14);
        at += (size + 7) & ~(guint64)7;
    }
    mark_range(walk, &walk->held, qcow2->snapshots_offset, at - qcow2->snapshots_offset,
               &walk->count->held);
    return TRUE;
}

/* ---- bitmaps
 * --------------------------------------------------------------------------------------
 */

static gboolean
take_bitmap(Walk *walk, const guint8 *head, guint number)
{
    const Qcow2 *qcow2 = walk->qcow2;
    guint64 entries = disk_u32(head + 8);
    guint granularity_bits = head[17];
    if (entries > BITMAP_TABLE_MOST || granularity_bits < 9 || granularity_bits > 31)
        return disk_damaged(walk->error,
                            "bitmap %u has a table of %" G_GUINT64_FORMAT
                            " entries and a bit for 2^%u bytes, which cannot be",
                            number + 1, entries, granularity_bits);
    guint64 rest = qcow2->capacity & (((guint64)1 << granularity_bits) - 1);
    guint64 bits = (qcow2->capacity >> granularity_bits) + (rest != 0);
    guint64 data = qcow2_clusters(qcow2, (bits + 7) / 8);
    entries = MAX(entries, data);
    walk->count->bitmaps += data + qcow2_clusters(qcow2, entries * 8);
    return TRUE;
}

static gboolean
take_bitmaps(Walk *walk)
{
    const Qcow2 *qcow2 = walk->qcow2;
    guint8 head[BITMAP_HEAD];
    guint64 at = qcow2->bitmap_directory.offset;
    guint64 end = at + qcow2->bitmap_directory.bytes;
    for (guint i = 0; i < qcow2->bitmaps; i++) {
        if (end - at < BITMAP_HEAD)
            return disk_damaged(
                walk->error, "its directory of bitmaps is not whole: %u of %u are in it",
                i, qcow2->bitmaps);
        if (!disk_read(walk->bytes, head, sizeof head, at, walk->error))
            return FALSE;
        guint64 name = disk_u16(head + 18), extra = disk_u32(head + 20);
        guint64 size = (BITMAP_HEAD + name + extra + 7) & ~(guint64)7;
        if (name > BITMAP_NAME_MOST || size > end - at)
            return disk_damaged(walk->error,
                                "bitmap %u does not fit into the directory of bitmaps",
                                i + 1);
        if (!take_bitmap(walk, head, i))
            return FALSE;
        at += size;
    }
    walk->count->bitmaps += qcow2_clusters(qcow2, qcow2->bitmap_directory.bytes);
    return TRUE;
}

gboolean
qcow2_count(const DiskBytes *bytes, const Qcow2 *qcow2, Qcow2Count *count, GError **error)
{
    g_auto(Walk) walk = {.bytes = bytes, .qcow2 = qcow2, .count = count, .error = error};
    return take_l1(&walk, qcow2->l1_offset, qcow2->l1_entries) &&
           (qcow2->snapshots == 0 || take_snapshots(&walk)) &&
           (qcow2->bitmaps == 0 || take_bitmaps(&walk));
}
