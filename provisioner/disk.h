/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a disk image takes of its file system, now and at most: its four sizes, for raw
 * files and qcow2, and what its header says of the chain that it stands in. Reads what is
 * there and starts nothing. The file is hostile: whatever it says is checked against what
 * can be, memory and time that it may cost are bounded, and no file that it names is
 * opened.
 */
#pragma once

#include <glib.h>

typedef enum {
    DISK_RAW,
    DISK_QCOW2
} DiskFormat;

typedef struct {
    DiskFormat format;
    guint64 capacity;   /* bytes that a guest sees */
    guint64 length;     /* of the file */
    guint64 allocation; /* what the file takes now */
    /* What the file may take when a guest has written all of its disk, as long as no
     * further snapshot, bitmap or compressed cluster is made; never less than allocation.
     * 0, and the reason, where that cannot be said. */
    guint64 commitment;
    const char *unbounded; /* NULL: commitment is right */

    /* The rest is of qcow2 only. Texts are printable. */
    guint version, refcount_bits;
    guint64 cluster_bytes;
    gboolean extended_l2, lazy_refcounts, dirty, corrupt;
    const char *compression, *encryption; /* "zlib", "zstd"; "aes", "luks", or NULL */
    char *backing, *backing_format;       /* or NULL */
    char *data_file; /* holds what the guest writes, or NULL; "" where it has no name */
    guint snapshots, bitmaps;
    guint64 compressed; /* clusters of the guest that are */
    guint64 behind_end; /* clusters that lie where the file has ended: it may be cut */
} DiskInfo;

/* A file's bytes: READ puts up to SIZE of them, from OFFSET on, into BUFFER, and returns
 * how many, 0 at the end, or -1 and errno. */
typedef struct {
    gssize (*read)(gpointer user_data, void *buffer, gsize size, guint64 offset);
    gpointer user_data;
    guint64 length;
} DiskBytes;

/* FORMAT: "raw", "qcow2", or NULL to look. An error's message is what is wrong with the
 * file, to be put behind its name: "is damaged: …". HB_USAGE: damaged, or no disk;
 * HB_UNSUPPORTED: of a format, or with features, that are not known here. */
DiskInfo *disk_info_read(const DiskBytes *bytes, guint64 allocation, const char *format,
                         GError **error);
/* The same for the file, or block device, FILENAME, which is in the message. */
DiskInfo *disk_info_of_file(const char *filename, const char *format, GError **error);
void disk_info_free(DiskInfo *info);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DiskInfo, disk_info_free)

/* "raw", "qcow2". */
const char *disk_format_name(DiskFormat format);
