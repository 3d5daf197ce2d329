/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed image info: the four sizes of a disk image, as numbers, as JSON, and on a
 * terminal as bars.
 */
#include <langinfo.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli-json.h"
#include "cmd-image.h"
#include "disk.h"
#include "printable.h"
#include "units.h"

typedef struct {
    gboolean json;
    char *format;
} Options;

static void
options_clear(Options *options)
{
    g_free(options->format);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

#define SIZES 4

typedef struct {
    const char *name;
    guint64 bytes;
    gboolean is_known;
} Size;

static void
get_sizes(const DiskInfo *info, Size sizes[SIZES])
{
    sizes[0] = (Size){"capacity", info->capacity, TRUE};
    sizes[1] = (Size){"length", info->length, TRUE};
    sizes[2] = (Size){"allocation", info->allocation, TRUE};
    sizes[3] = (Size){"commitment", info->commitment, !info->unbounded};
}

/* ---- JSON
 * -----------------------------------------------------------------------------------------
 */

static void
set_text(JsonObject *object, const char *member, const char *text)
{
    if (text)
        json_object_set_string_member(object, member, text);
    else
        json_object_set_null_member(object, member);
}

static void
describe_qcow2(const DiskInfo *info, JsonObject *object)
{
    json_object_set_int_member(object, "version", info->version);
    json_object_set_int_member(object, "cluster_bytes", (gint64)info->cluster_bytes);
    json_object_set_int_member(object, "refcount_bits", info->refcount_bits);
    json_object_set_boolean_member(object, "extended_l2", info->extended_l2);
    json_object_set_boolean_member(object, "lazy_refcounts", info->lazy_refcounts);
    json_object_set_boolean_member(object, "dirty", info->dirty);
    json_object_set_boolean_member(object, "corrupt", info->corrupt);
    json_object_set_string_member(object, "compression", info->compression);
    json_object_set_int_member(object, "compressed_clusters", (gint64)info->compressed);
    json_object_set_int_member(object, "clusters_behind_end", (gint64)info->behind_end);
    set_text(object, "encryption", info->encryption);
    set_text(object, "backing", info->backing);
    set_text(object, "backing_format", info->backing_format);
    set_text(object, "data_file", info->data_file);
    json_object_set_int_member(object, "snapshots", info->snapshots);
    json_object_set_int_member(object, "bitmaps", info->bitmaps);
}

static void
print_json(const DiskInfo *info, const char *filename)
{
    Size sizes[SIZES];
    g_autofree char *file = g_filename_display_name(filename);
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "file", file);
    json_object_set_string_member(object, "format", disk_format_name(info->format));
    get_sizes(info, sizes);
    for (gsize i = 0; i < SIZES; i++) {
        if (sizes[i].is_known)
            json_object_set_int_member(object, sizes[i].name, (gint64)sizes[i].bytes);
        else
            json_object_set_null_member(object, sizes[i].name);
    }
    if (info->unbounded)
        json_object_set_string_member(object, "unbounded", info->unbounded);
    if (info->format == DISK_QCOW2)
        describe_qcow2(info, object);
    cli_print_json(object);
}

/* ---- for people
 * ----------------------------------------------------------------------------------- */

#define BAR_CELLS 40

/* How many of CELLS are full: something is never none, and not all is never all. */
static guint
bar_length(guint64 bytes, guint64 most)
{
    if (bytes == 0 || most == 0)
        return 0;
    if (bytes >= most)
        return BAR_CELLS;
    guint length = (guint)((double)bytes / (double)most * BAR_CELLS + 0.5);
    return CLAMP(length, 1, BAR_CELLS - 1);
}

static void
print_bar(const Size *size, guint64 most, gboolean colour)
{
    gboolean is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    guint length = size->is_known ? bar_length(size->bytes, most) : 0;
    fputs(colour ? "\033[36m" : "", stdout);
    for (guint i = 0; i < BAR_CELLS; i++)
        fputs(i < length ? (is_utf8 ? "█" : "#") : (is_utf8 ? "·" : "."), stdout);
    fputs(colour ? "\033[0m  " : "  ", stdout);
}

static void
print_sizes(const DiskInfo *info)
{
    Size sizes[SIZES];
    guint64 most = 0;
    gboolean has_bars = cli_rewrites_lines(STDOUT_FILENO);
    gboolean colour = cli_colour(STDOUT_FILENO);
    get_sizes(info, sizes);
    for (gsize i = 0; i < SIZES; i++)
        most = MAX(most, sizes[i].bytes);
    for (gsize i = 0; i < SIZES; i++) {
        g_autofree char *about = units_about_text(sizes[i].bytes);
        printf("  %-11s ", sizes[i].name);
        if (has_bars)
            print_bar(&sizes[i], most, colour);
        if (sizes[i].is_known)
            printf("%9s  %" G_GUINT64_FORMAT " bytes\n", about, sizes[i].bytes);
        else
            printf("unknown: %s\n", info->unbounded);
    }
}

static void
print_qcow2(const DiskInfo *info)
{
    g_autofree char *cluster = units_size_text((gint64)info->cluster_bytes);
    printf("qcow2, version %u, clusters of %s%s, refcounts of %u bits%s\n", info->version,
           cluster, info->extended_l2 ? " with subclusters" : "", info->refcount_bits,
           info->lazy_refcounts ? ", written lazily" : "");
}

/* A line each of what there is. */
static void
print_rest(const DiskInfo *info)
{
    if (info->backing)
        printf("  backing file: %s (%s)\n", info->backing,
               info->backing_format ? info->backing_format : "format not said");
    if (info->data_file)
        printf("  what the guest writes is in: %s\n",
               *info->data_file ? info->data_file : "a file that is not named here");
    if (info->encryption)
        printf("  encrypted: %s\n", info->encryption);
    if (info->compressed)
        printf("  compressed clusters: %" G_GUINT64_FORMAT " (%s)\n", info->compressed,
               info->compression);
    if (info->snapshots)
        printf("  snapshots inside: %u; each further one raises the commitment\n",
               info->snapshots);
    if (info->bitmaps)
        printf("  bitmaps: %u\n", info->bitmaps);
    if (info->dirty)
        puts("  dirty: it was not closed, and 'qemu-img check -r all' is needed");
    if (info->corrupt)
        puts("  corrupt: QEMU has found damage in it, and writes to it no more");
    if (info->behind_end)
        printf("  perhaps cut: %" G_GUINT64_FORMAT
               " clusters lie behind the end of the file\n",
               info->behind_end);
}

static void
print_text(const DiskInfo *info, const char *filename)
{
    g_autofree char *name = printable(filename, strlen(filename), 1024);
    printf("%s: ", name);
    if (info->format == DISK_QCOW2)
        print_qcow2(info);
    else
        puts("raw");
    print_sizes(info);
    print_rest(info);
}

int
cmd_image_info(int argc, char **argv)
{
    int status;
    g_autoptr(GError) error = NULL;
    g_auto(Options) options = {0};
    const GOptionEntry entries[] = {
        {"json", 0, 0, G_OPTION_ARG_NONE, &options.json, "The same for programs", NULL},
        {"format", 'f', 0, G_OPTION_ARG_STRING, &options.format,
         "raw or qcow2, whatever the file looks like", "NAME"},
        G_OPTION_ENTRY_NULL,
    };
    if (!cli_parse("image info", &argc, &argv, entries, NULL, &status))
        return status;
    if (argc != 2)
        return cli_fail_with(HB_USAGE, "'hostbed image info' takes one FILE");
    if (options.format && strcmp(options.format, "raw") != 0 &&
        strcmp(options.format, "qcow2") != 0)
        return cli_fail_with(HB_USAGE, "--format %s: there are raw and qcow2",
                             options.format);
    g_autoptr(DiskInfo) info = disk_info_of_file(argv[1], options.format, &error);
    if (!info)
        return cli_fail(error);
    if (options.json)
        print_json(info, argv[1]);
    else
        print_text(info, argv[1]);
    return HB_OK;
}
