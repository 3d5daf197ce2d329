/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A small qcow2 as bytes in memory, and what is wrong with it when some of them change.
 * What real ones take is compared with qemu-img by disk-sizes.sh.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "disk.h"
#include "error.h"
#include "units.h"

#define CLUSTER 65536
#define CLUSTERS 8
/* Where things are in the image, in clusters. */
#define REFCOUNT_TABLE 1
#define REFCOUNT_BLOCK 2
#define L1 3
#define L2 4
#define DATA 5
#define SNAPSHOTS 6
#define BITMAPS 7

typedef struct {
    guint8 bytes[CLUSTERS * CLUSTER];
    guint64 length;
    guint reads;
} Image;

static void
put(Image *image, gsize at, guint64 value, gsize size)
{
    for (gsize i = 0; i < size; i++)
        image->bytes[at + i] = (guint8)(value >> (8 * (size - 1 - i)));
}

static void
put_cluster(Image *image, gsize at, guint64 cluster)
{
    put(image, at, cluster * CLUSTER, 8);
}

/* 1 GiB, one cluster of it written. */
static Image *
new_image(void)
{
    Image *image = g_new0(Image, 1);
    image->length = sizeof image->bytes;
    memcpy(image->bytes, "QFI\xfb", 4);
    put(image, 4, 3, 4);
    put(image, 20, 16, 4);
    put(image, 24, (guint64)1 << 30, 8);
    put(image, 36, 2, 4);
    put_cluster(image, 40, L1);
    put_cluster(image, 48, REFCOUNT_TABLE);
    put(image, 56, 1, 4);
    put(image, 96, 4, 4);
    put(image, 100, 112, 4);
    put(image, L1 * CLUSTER, ((guint64)1 << 63) | L2 * CLUSTER, 8);
    put(image, L2 * CLUSTER, ((guint64)1 << 63) | DATA * CLUSTER, 8);
    return image;
}

static gssize
read_image(gpointer user_data, void *buffer, gsize size, guint64 offset)
{
    Image *image = user_data;
    guint64 there = MIN(image->length, sizeof image->bytes);
    image->reads++;
    if (offset >= image->length)
        return 0;
    gsize left = (gsize)MIN(size, image->length - offset);
    memset(buffer, 0, left); /* a hole */
    if (offset < there)
        memcpy(buffer, image->bytes + offset, MIN(left, (gsize)(there - offset)));
    return (gssize)left;
}

static DiskInfo *
look_at(Image *image, GError **error)
{
    const DiskBytes bytes = {read_image, image, image->length};
    return disk_info_read(&bytes, 4096, NULL, error);
}

static guint64
commitment_of(Image *image)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(DiskInfo) info = look_at(image, &error);
    if (!info)
        fail_msg("%s", error->message);
    assert_null(info->unbounded);
    return info->commitment;
}

/* 16384 clusters of data, two L2 tables; header, L1, refcount table and block. */
#define PLAIN ((guint64)(16384 + 2 + 4) * CLUSTER)

static void
a_plain_one_is_understood(void **state)
{
    g_autofree Image *image = new_image();
    g_autoptr(GError) error = NULL;
    g_autoptr(DiskInfo) info = look_at(image, &error);
    assert_null(error);
    assert_int_equal(info->format, DISK_QCOW2);
    assert_int_equal(info->capacity, 1 << 30);
    assert_int_equal(info->length, CLUSTERS * CLUSTER);
    assert_int_equal(info->allocation, 4096);
    assert_int_equal(info->commitment, PLAIN);
    assert_int_equal(info->cluster_bytes, CLUSTER);
    assert_int_equal(info->refcount_bits, 16);
    assert_null(info->backing);
    assert_false(info->dirty || info->corrupt || info->behind_end);
}

/* One snapshot, which shares the L2 table and the cluster of data. */
static void
add_snapshot(Image *image)
{
    put(image, 60, 1, 4);
    put_cluster(image, 64, SNAPSHOTS);
    put_cluster(image, SNAPSHOTS * CLUSTER, L1);
    put(image, SNAPSHOTS * CLUSTER + 8, 2, 4);
    put(image, SNAPSHOTS * CLUSTER + 14, 4, 2);
    memcpy(image->bytes + SNAPSHOTS * CLUSTER + 40, "name", 4);
}

static void
snapshots_hold_what_they_have(void **state)
{
    g_autofree Image *image = new_image();
    add_snapshot(image);
    /* Its L1 table, the L2 table, the data; and the table of snapshots. */
    assert_int_equal(commitment_of(image), PLAIN + 4 * CLUSTER);
}

#define EXTENSION 112

static void
add_bitmap(Image *image, guint granularity_bits)
{
    put(image, 88, 1, 8);
    put(image, EXTENSION, 0x23852875, 4);
    put(image, EXTENSION + 4, 24, 4);
    put(image, EXTENSION + 8, 1, 4);
    put(image, EXTENSION + 16, 32, 8);
    put_cluster(image, EXTENSION + 24, BITMAPS);
    put(image, BITMAPS * CLUSTER + 8, 1, 4);
    image->bytes[BITMAPS * CLUSTER + 16] = 1;
    image->bytes[BITMAPS * CLUSTER + 17] = (guint8)granularity_bits;
    put(image, BITMAPS * CLUSTER + 18, 2, 2);
}

static void
bitmaps_count_as_if_written(void **state)
{
    g_autofree Image *image = new_image();
    add_bitmap(image, 9); /* 2^21 bits, which are four clusters */
    assert_int_equal(commitment_of(image), PLAIN + (1 + 1 + 4) * CLUSTER);
    put(image, 88, 0, 8); /* written by who did not know of them */
    assert_int_equal(commitment_of(image), PLAIN);
}

static void
luks_and_data_files_count(void **state)
{
    g_autofree Image *image = new_image();
    put(image, 32, 2, 4);
    put(image, EXTENSION, 0x0537be77, 4);
    put(image, EXTENSION + 4, 16, 4);
    put_cluster(image, EXTENSION + 8, DATA);
    put(image, EXTENSION + 16, CLUSTER + 1, 8);
    assert_int_equal(commitment_of(image), PLAIN + 2 * CLUSTER);

    g_autofree Image *apart = new_image();
    put(apart, 72, 4, 8);
    assert_int_equal(commitment_of(apart), PLAIN - (guint64)16384 * CLUSTER);
}

static void
names_are_printable(void **state)
{
    g_autofree Image *image = new_image();
    g_autoptr(GError) error = NULL;
    put(image, 8, 1000, 8);
    put(image, 16, 9, 4);
    memcpy(image->bytes + 1000, "a\033[31m\nb", 9);
    put(image, EXTENSION, 0xe2792aca, 4);
    put(image, EXTENSION + 4, 3, 4);
    memcpy(image->bytes + EXTENSION + 8, "r\aw", 3);
    g_autoptr(DiskInfo) info = look_at(image, &error);
    assert_null(error);
    assert_string_equal(info->backing, "a?[31m?b");
    assert_string_equal(info->backing_format, "r?w");
}

/* Half of what holds compressed data may be left when the rest is written again. */
static void
compressed_clusters_count(void **state)
{
    g_autofree Image *image = new_image();
    g_autoptr(GError) error = NULL;
    for (guint i = 0; i < 4; i++) /* each 3 sectors, behind one another */
        put(image, L2 * CLUSTER + i * 8,
            ((guint64)1 << 62) | ((guint64)2 << 54) | (DATA * CLUSTER + i * 1536), 8);
    g_autoptr(DiskInfo) info = look_at(image, &error);
    assert_null(error);
    assert_int_equal(info->compressed, 4);
    assert_int_equal(info->commitment, PLAIN + CLUSTER);
}

typedef struct {
    const char *name;
    gsize at;
    guint64 value;
    gsize size;
    const char *sentence; /* a pattern */
    int code;
} Damage;

static const Damage damages[] = {
    {"version", 4, 1, 4, "is of version 1 *", HB_UNSUPPORTED},
    {"small clusters", 20, 8, 4, "*clusters have 2^8 bytes*", HB_USAGE},
    {"large clusters", 20, 22, 4, "*clusters have 2^22 bytes*", HB_USAGE},
    {"huge clusters", 20, G_MAXUINT32, 4, "*clusters have 2^4294967295 bytes*", HB_USAGE},
    {"encryption", 32, 3, 4, "*encryption is of the type 3*", HB_USAGE},
    {"capacity", 24, G_MAXUINT64, 8, "*capacity (18446744073709551615 bytes) needs*",
     HB_USAGE},
    {"capacity by one", 24, ((guint64)1 << 30) + 1, 8, "*needs 3 entries*", HB_USAGE},
    {"L1 entries", 36, G_MAXUINT32, 4, "*L1 table has 4294967295 entries*", HB_USAGE},
    {"no L1", 40, 0, 8, "*L1 table (16 bytes at 0) is not in the file*", HB_USAGE},
    {"L1 askew", 40, 512, 8, "*L1 table is at 512*", HB_USAGE},
    {"L1 outside", 40, (guint64)1 << 62, 8, "*L1 table*not in the file*", HB_USAGE},
    {"refcounts outside", 48, G_MAXUINT64 << 16, 8, "*refcount table*not in the file*",
     HB_USAGE},
    {"no refcounts", 56, 0, 4, "*refcount table has 0 clusters*", HB_USAGE},
    {"many refcounts", 56, 1000, 4, "*refcount table has 1000 clusters*", HB_USAGE},
    {"snapshots", 60, 65537, 4, "*65537 snapshots*", HB_USAGE},
    {"unknown features", 72, 0x20, 8, "needs features*0x20*", HB_UNSUPPORTED},
    {"refcount bits", 96, 7, 4, "*refcounts have 2^7 bits*", HB_USAGE},
    {"short header", 100, 96, 4, "*header says that it has 96 bytes*", HB_USAGE},
    {"long header", 100, G_MAXUINT32 - 7, 4, "*header says*", HB_USAGE},
    {"compression untold", 104, 1, 1, "*contradict*", HB_USAGE},
    {"backing name", 8, CLUSTER, 8, NULL, 0},
    {"backing outside", 8, CLUSTER + 1, 8, "*backing file is not where*", HB_USAGE},
    {"extension", EXTENSION, 0xe2792aca0000ffff, 8, "*extension of its header*",
     HB_USAGE},
    {"long name", EXTENSION, 0xe2792aca00000400, 8, "*name in its header has 1024*",
     HB_USAGE},
    {"L2 askew", L1 *CLUSTER, 512, 8, "*entry 0 of an L1 table*", HB_USAGE},
    {"L2 outside", L1 *CLUSTER + 8, (guint64)1 << 40, 8, "*entry 1 of an L1 table*",
     HB_USAGE},
    {"data askew", L2 *CLUSTER + 8, 512, 8, "*guest's cluster 1 is said to be at 512*",
     HB_USAGE},
};

static void
damage_is_named(void **state)
{
    for (gsize i = 0; i < G_N_ELEMENTS(damages); i++) {
        const Damage *damage = &damages[i];
        g_autofree Image *image = new_image();
        g_autoptr(GError) error = NULL;
        put(image, damage->at, damage->value, damage->size);
        g_autoptr(DiskInfo) info = look_at(image, &error);
        if (!damage->sentence && info)
            continue;
        if (info || !damage->sentence ||
            !g_pattern_match_simple(damage->sentence, error->message) ||
            error->code != damage->code)
            fail_msg("%s: %s", damage->name, info ? "accepted" : error->message);
    }
}

/* A prefix is told to be damaged, or cut; never more than that. */
static void
what_was_cut_is_told(void **state)
{
    g_autofree Image *image = new_image();
    for (guint64 length = 4; length < CLUSTERS * CLUSTER; length += length / 8 + 1) {
        g_autoptr(GError) error = NULL;
        image->length = length;
        g_autoptr(DiskInfo) info = look_at(image, &error);
        if (length <= DATA * CLUSTER)
            assert_true(info ? info->behind_end == 1
                             : g_str_has_prefix(error->message, "is damaged: "));
    }
}

static void
tables_without_end_are_not_followed(void **state)
{
    g_autofree Image *image = new_image();
    g_autoptr(GError) error = NULL;
    /* A file of 2^61 bytes with an L1 table of 32 MiB, each entry an L2 table of 2 MiB.
     */
    image->length = (guint64)1 << 61;
    put(image, 20, 21, 4);
    put(image, 36, 4 << 20, 4);
    put(image, 40, (guint64)1 << 50, 8);
    put(image, 48, (guint64)1 << 51, 8);
    g_autoptr(DiskInfo) hole = look_at(image, &error);
    assert_null(error);
    assert_non_null(hole);

    /* Snapshots without end, each with all of it. */
    g_autofree Image *many = new_image();
    many->length = (guint64)1 << 61;
    put(many, 60, 65536, 4);
    put(many, 64, (guint64)1 << 50, 8);
    g_autoptr(DiskInfo) snapshots = look_at(many, &error);
    assert_null(error);
    assert_non_null(snapshots);
    assert_non_null(snapshots->unbounded);
    assert_int_equal(snapshots->commitment, 0);
    assert_true(many->reads < 100000);
}

static void
other_formats_are_refused_by_name(void **state)
{
    static const struct {
        const char *start, *sentence;
    } cases[] = {{"KDMV", "is a VMDK image*"},
                 {"vhdxfile", "is a VHDX image*"},
                 {"\xfd"
                  "7zXZ",
                  "is compressed by xz*unpack*"}};
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree Image *image = g_new0(Image, 1);
        g_autoptr(GError) error = NULL;
        image->length = 1 << 20;
        memcpy(image->bytes, cases[i].start, strlen(cases[i].start));
        assert_null(look_at(image, &error));
        assert_true(g_pattern_match_simple(cases[i].sentence, error->message));
        assert_int_equal(error->code, HB_UNSUPPORTED);
        const DiskBytes bytes = {read_image, image, image->length};
        g_autoptr(DiskInfo) raw = disk_info_read(&bytes, 0, "raw", NULL);
        assert_int_equal(raw->commitment, 1 << 20);
    }
}

/* A guest writes what it likes to its raw disk: a header, too. */
static void
the_user_knows_better_than_the_file(void **state)
{
    g_autofree Image *image = new_image();
    g_autoptr(GError) error = NULL;
    const DiskBytes bytes = {read_image, image, image->length};
    g_autoptr(DiskInfo) raw = disk_info_read(&bytes, 0, "raw", &error);
    assert_int_equal(raw->format, DISK_RAW);
    assert_int_equal(raw->capacity, CLUSTERS * CLUSTER);
    image->bytes[0] = 'q';
    assert_null(disk_info_read(&bytes, 0, "qcow2", &error));
    assert_int_equal(error->code, HB_USAGE);
}

/* The bounded form of the fuzz test; fuzz-disk.c is the endless one. */
static void
mutations_are_survived(void **state)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(2017);
    guint understood = 0, refused = 0;
    for (guint i = 0; i < 20000; i++) {
        g_autofree Image *image = new_image();
        g_autoptr(GError) error = NULL;
        if (i % 3 == 1)
            add_snapshot(image);
        else if (i % 3 == 2)
            add_bitmap(image, 16);
        for (guint n = (guint)g_rand_int_range(random, 1, 6); n > 0; n--) {
            gsize at = (gsize)g_rand_int_range(random, 4, 256) +
                       (gsize)g_rand_int_range(random, 0, 3) / 2 *
                           (gsize)g_rand_int_range(random, 0, CLUSTERS) * CLUSTER;
            put(image, at, g_rand_boolean(random) ? g_rand_int(random) : 0xff,
                (gsize)g_rand_int_range(random, 1, 9));
        }
        if (g_rand_int_range(random, 0, 8) == 0)
            image->length = (guint64)1 << g_rand_int_range(random, 3, 62);
        g_autoptr(DiskInfo) info = look_at(image, &error);
        understood += info != NULL;
        refused += info == NULL;
        assert_true((info == NULL) == (error != NULL));
    }
    assert_true(understood > 100 && refused > 100);
}

static void
sizes_are_rounded_for_people(void **state)
{
    static const struct {
        guint64 bytes;
        const char *text;
    } cases[] = {{0, "0 B"},
                 {1023, "1023 B"},
                 {1024, "1 KiB"},
                 {197248, "193 KiB"},
                 {6758400, "6.4 MiB"},
                 {(guint64)40 << 30, "40 GiB"},
                 {G_MAXUINT64, "16777216 TiB"}};
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = units_about_text(cases[i].bytes);
        assert_string_equal(text, cases[i].text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_one_is_understood),
        cmocka_unit_test(snapshots_hold_what_they_have),
        cmocka_unit_test(bitmaps_count_as_if_written),
        cmocka_unit_test(luks_and_data_files_count),
        cmocka_unit_test(names_are_printable),
        cmocka_unit_test(compressed_clusters_count),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(what_was_cut_is_told),
        cmocka_unit_test(tables_without_end_are_not_followed),
        cmocka_unit_test(other_formats_are_refused_by_name),
        cmocka_unit_test(the_user_knows_better_than_the_file),
        cmocka_unit_test(mutations_are_survived),
        cmocka_unit_test(sizes_are_rounded_for_people),
    };
    return cmocka_run_group_tests_name("disk", tests, NULL, NULL);
}
