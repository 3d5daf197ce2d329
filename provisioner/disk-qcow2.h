/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How the reader of qcow2 is divided: the header with its extensions, then the tables
 * that it leads to, then arithmetic. The format is described in QEMU's
 * docs/interop/qcow2.rst; limits are QEMU's own. Only disk*.c include it.
 */
#pragma once

#include "disk.h"

typedef struct {
    guint64 offset;
    guint64 bytes;
} Qcow2Range;

typedef struct {
    guint version;
    guint cluster_bits;
    guint refcount_order; /* a refcount has 1 << it bits */
    guint64 capacity;
    guint64 incompatible, compatible, autoclear; /* features */
    guint encryption;                            /* 0, 1: AES, 2: LUKS */
    guint compression;                           /* 0: zlib, 1: zstd */
    guint64 l1_entries, l1_offset;
    guint64 refcount_offset, refcount_clusters; /* the refcount table */
    guint snapshots;
    guint64 snapshots_offset;
    guint bitmaps;
    Qcow2Range bitmap_directory;
    Qcow2Range luks; /* the encryption's header */
    char *backing, *backing_format, *data_file;
} Qcow2;

/* Incompatible features. */
#define QCOW2_DIRTY ((guint64)1 << 0)
#define QCOW2_CORRUPT ((guint64)1 << 1)
#define QCOW2_DATA_FILE ((guint64)1 << 2)
#define QCOW2_COMPRESSION ((guint64)1 << 3)
#define QCOW2_EXTENDED_L2 ((guint64)1 << 4)
#define QCOW2_KNOWN ((guint64)0x1f)
/* Compatible ones. */
#define QCOW2_LAZY_REFCOUNTS ((guint64)1 << 0)
/* Those that who does not know them clears. */
#define QCOW2_BITMAPS ((guint64)1 << 0)

void qcow2_clear(Qcow2 *qcow2);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Qcow2, qcow2_clear)

/* Fills QCOW2 (zeroed) with what the file's first cluster says, checked. */
gboolean qcow2_read_header(const DiskBytes *bytes, Qcow2 *qcow2, GError **error);

/* What qcow2's tables lead to, in clusters of the file. */
typedef struct {
    guint64 held;          /* by snapshots, their own tables with them */
    guint64 bitmaps;       /* that bitmaps take when all of their bits are written */
    guint64 beyond;        /* mapped behind the end of the guest's disk */
    guint64 compressed;    /* clusters of the guest that are compressed */
    guint64 packed;        /* clusters of the file that hold those */
    guint64 behind_end;    /* entries that lead to where the file has ended */
    const char *uncounted; /* why not all of it was counted, or NULL */
} Qcow2Count;

gboolean qcow2_count(const DiskBytes *bytes, const Qcow2 *qcow2, Qcow2Count *count,
                     GError **error);

/* Bytes of the file when the guest has written all of its disk. */
guint64 qcow2_commitment(const Qcow2 *qcow2, const Qcow2Count *count);

static inline guint64
qcow2_cluster_bytes(const Qcow2 *qcow2)
{
    return (guint64)1 << qcow2->cluster_bits;
}

/* Clusters that BYTES take. */
static inline guint64
qcow2_clusters(const Qcow2 *qcow2, guint64 bytes)
{
    return (bytes >> qcow2->cluster_bits) +
           ((bytes & (qcow2_cluster_bytes(qcow2) - 1)) != 0);
}

/* Entries of an L2 table. */
static inline guint64
qcow2_l2_entries(const Qcow2 *qcow2)
{
    return qcow2_cluster_bytes(qcow2) >>
           (qcow2->incompatible & QCOW2_EXTENDED_L2 ? 4 : 3);
}

/* Whether the BYTES from OFFSET on are in the file. */
static inline gboolean
disk_has(const DiskBytes *bytes, guint64 offset, guint64 size)
{
    return offset <= bytes->length && size <= bytes->length - offset;
}

/* Reads all of SIZE bytes. */
gboolean disk_read(const DiskBytes *bytes, void *buffer, gsize size, guint64 offset,
                   GError **error);
/* "is damaged: …"; returns FALSE. */
gboolean disk_damaged(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
guint16 disk_u16(const guint8 *at);
guint32 disk_u32(const guint8 *at);
guint64 disk_u64(const guint8 *at);
