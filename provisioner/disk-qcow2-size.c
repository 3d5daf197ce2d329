/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How large a qcow2 file becomes when the guest has written all of its disk. Without
 * snapshots, bitmaps and compressed clusters it is what `qemu-img measure` calls "fully
 * allocated".
 */
#include "disk-qcow2.h"

static guint64
divide_up(guint64 number, guint64 by)
{
    return number / by + (number % by != 0);
}

/* Clusters of CLUSTERS and of what counts references to them, to itself, too. */
static guint64
with_refcounts(const Qcow2 *qcow2, guint64 clusters)
{
    guint64 of_a_block = (qcow2_cluster_bytes(qcow2) * 8) >> qcow2->refcount_order;
    guint64 of_a_table_cluster = qcow2_cluster_bytes(qcow2) / 8;
    guint64 blocks = 0, table = 0, all = clusters, last;
    do {
        last = all;
        blocks = divide_up(clusters + table + blocks, of_a_block);
        table = divide_up(blocks, of_a_table_cluster);
        all = clusters + blocks + table;
    } while (all != last);
    /* One that has grown does not shrink. */
    return clusters + blocks + MAX(table, qcow2->refcount_clusters);
}

/* A compressed cluster of the guest that is written again gets a cluster of its own,
 * while what is compressed beside it holds the old ones; each touches two at most. So
 * half of those that hold compressed data can be left when the rest is written. */
static guint64
left_of_packed(const Qcow2Count *count)
{
    return divide_up(count->packed, 2);
}

guint64
qcow2_commitment(const Qcow2 *qcow2, const Qcow2Count *count)
{
    gboolean elsewhere = (qcow2->incompatible & QCOW2_DATA_FILE) != 0;
    guint64 data = qcow2_clusters(qcow2, qcow2->capacity);
    guint64 l2_tables = divide_up(data, qcow2_l2_entries(qcow2));
    guint64 l1_bytes = MAX(l2_tables, qcow2->l1_entries) * 8;
    guint64 all = 1 + qcow2_clusters(qcow2, l1_bytes) + l2_tables +
                  (elsewhere ? 0 : data) + qcow2_clusters(qcow2, qcow2->luks.bytes) +
                  count->held + count->bitmaps + count->beyond + left_of_packed(count);
    return with_refcounts(qcow2, all) << qcow2->cluster_bits;
}
