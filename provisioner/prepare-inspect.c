/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which system is in the image, and where its file systems belong; the root and what it
 * lies on grow to the disk's size.
 */
#include "prepare.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "printable.h"

/* ---- which
 * -----------------------------------------------------------------------------------------
 */

/* Of the image, so somebody else's text; NULL: libguestfs does not know. */
static char *
inspected(char *text /* taken */)
{
    g_autofree char *own = text;
    char *safe = own ? printable(own, strlen(own), 200) : NULL;
    if (safe && (!*safe || g_str_equal(safe, "unknown")))
        g_clear_pointer(&safe, g_free);
    return safe;
}

static gboolean
choose_root(Prepare *prepare, GError **error)
{
    g_auto(GStrv) roots = guestfs_inspect_os(prepare->g);
    if (!roots)
        return prepare_failed(prepare, error, "it cannot be inspected");
    guint count = g_strv_length(roots);
    if (count == 0)
        return prepare_refuse(
            prepare, HB_USAGE, error,
            "has no operating system that libguestfs finds; it should be "
            "the disk or the root file system of a Linux distribution");
    if (count > 1)
        return prepare_refuse(prepare, HB_USAGE, error,
                              "has %u operating systems (on %s and %s%s); it should have "
                              "one",
                              count, roots[0], roots[1], count > 2 ? " and others" : "");
    prepare->root = g_strdup(roots[0]);
    return TRUE;
}

/* What inspection knows of it; os-release(5) may know better later. */
static gboolean
ask_inspection(Prepare *prepare, GError **error)
{
    guestfs_h *g = prepare->g;
    if (!choose_root(prepare, error))
        return FALSE;
    g_autofree char *type = inspected(guestfs_inspect_get_type(g, prepare->root));
    prepare->os = inspected(guestfs_inspect_get_osinfo(g, prepare->root));
    prepare->name = inspected(guestfs_inspect_get_product_name(g, prepare->root));
    return g_strcmp0(type, "linux") == 0 ||
           prepare_refuse(prepare, HB_UNSUPPORTED, error,
                          "has a system that hostbed cannot prepare (%s): it should be a "
                          "Linux distribution",
                          prepare->name ? prepare->name : "it does not say which");
}

/* ---- by what it says itself
 * ------------------------------------------------------------------------ */

typedef struct {
    const char *id;     /* os-release(5)'s */
    const char *prefix; /* of libosinfo's short id */
    guint parts;        /* of the version that are in it */
} System;

static const System systems[] = {
    {"debian", "debian", 1},
    {"ubuntu", "ubuntu", 2},
    {"fedora", "fedora", 1},
    {"centos", "centos-stream", 1},
    {"rhel", "rhel", 2},
    {"rocky", "rocky", 1},
    {"almalinux", "almalinux", 1},
    {"alpine", "alpinelinux", 2},
    {"opensuse-leap", "opensuse", 2},
    {"opensuse-tumbleweed", "opensusetumbleweed", 0},
    {"arch", "archlinux", 0},
};

/* The value of KEY; NULL: there is none. */
static char *
value_of(GStrv lines, const char *key)
{
    gsize length = strlen(key);
    for (char **line = lines; *line; line++) {
        g_autofree char *value =
            strncmp(*line, key, length) == 0 && (*line)[length] == '='
                ? g_shell_unquote(*line + length + 1, NULL)
                : NULL;
        char *safe = value ? printable(value, strlen(value), 200) : NULL;
        if (safe && *safe)
            return safe;
        g_free(safe);
    }
    return NULL;
}

/* "12" of "12", "3.19" of "3.19.1"; a rolling release has none. */
static char *
version_of(const char *version, guint parts)
{
    g_auto(GStrv) words = g_strsplit(version ? version : "", ".", -1);
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < parts && words[i]; i++)
        g_string_append_printf(text, "%s%s", i > 0 ? "." : "", words[i]);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void
take_own_words(Prepare *prepare)
{
    g_autofree char *text = prepare_read(prepare, "/etc/os-release");
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
    g_autofree char *id = value_of(lines, "ID");
    g_autofree char *number = value_of(lines, "VERSION_ID");
    char *name = value_of(lines, "PRETTY_NAME");
    if (name) {
        g_free(prepare->name);
        prepare->name = name;
    }
    for (guint i = 0; id && i < G_N_ELEMENTS(systems); i++) {
        if (!g_str_equal(systems[i].id, id) || (systems[i].parts > 0 && !number))
            continue;
        g_autofree char *version = version_of(number, systems[i].parts);
        g_free(prepare->os);
        prepare->os = g_strconcat(systems[i].prefix, version, NULL);
    }
}

static gboolean
name_system(Prepare *prepare, GError **error)
{
    take_own_words(prepare);
    if (!prepare->os)
        return prepare_refuse(
            prepare, HB_UNSUPPORTED, error,
            "has a system that hostbed does not know (%s); it should be a Linux "
            "distribution that libosinfo knows, and say so in /etc/os-release",
            prepare->name ? prepare->name : "it does not say which");
    if (!prepare->name)
        prepare->name = g_strdup(prepare->os);
    return TRUE;
}

/* ---- mounted
 * ---------------------------------------------------------------------------------------
 */

static gint
by_length(gconstpointer a, gconstpointer b)
{
    return (gint)strlen(*(char *const *)a) - (gint)strlen(*(char *const *)b);
}

/* What is not the root may be missing, as a boot loader's partition is in a copy. */
static gboolean
mount_all(Prepare *prepare, GError **error)
{
    g_auto(GStrv) pairs = guestfs_inspect_get_mountpoints(prepare->g, prepare->root);
    g_autoptr(GPtrArray) places = g_ptr_array_new();
    g_autoptr(GHashTable) devices = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; pairs && pairs[i] && pairs[i + 1]; i += 2) {
        g_ptr_array_add(places, pairs[i]);
        g_hash_table_insert(devices, pairs[i], pairs[i + 1]);
    }
    g_ptr_array_sort(places, by_length);
    for (guint i = 0; i < places->len; i++) {
        const char *place = places->pdata[i];
        if (guestfs_mount(prepare->g, g_hash_table_lookup(devices, place), place) != 0 &&
            g_str_equal(place, "/"))
            return prepare_failed(prepare, error, "its root cannot be mounted");
    }
    if (g_hash_table_lookup(devices, "/"))
        return TRUE;
    return guestfs_mount(prepare->g, prepare->root, "/") == 0 ||
           prepare_failed(prepare, error, "its root cannot be mounted");
}

/* The device without what libguestfs puts around a subvolume's. */
static char *
device_of(const char *mountable, char **subvolume)
{
    *subvolume = NULL;
    if (!g_str_has_prefix(mountable, "btrfsvol:"))
        return g_strdup(mountable);
    char *device = g_strdup(mountable + strlen("btrfsvol:"));
    char *slash = strchr(device + strlen("/dev/"), '/');
    if (slash) {
        *subvolume = g_strdup(slash + 1);
        *slash = '\0';
    }
    return device;
}

static gboolean
find_root_words(Prepare *prepare, GError **error)
{
    g_autofree char *subvolume = NULL;
    g_autofree char *device = device_of(prepare->root, &subvolume);
    g_autofree char *uuid = guestfs_vfs_uuid(prepare->g, device);
    if (!uuid)
        return prepare_failed(prepare, error, "its root's file system has no name");
    prepare->root_words = g_strdup_printf("root=UUID=%s rw%s%s", uuid,
                                          subvolume ? " rootflags=subvol=" : "",
                                          subvolume ? subvolume : "");
    return TRUE;
}

/* A file system that was made here is all of the disk, and needs no looking for. */
static gboolean
use_plain(Prepare *prepare, GError **error)
{
    prepare->root = g_strdup("/dev/sda");
    return prepare->is_ours || guestfs_mount(prepare->g, prepare->root, "/") == 0 ||
           prepare_failed(prepare, error, "its root cannot be mounted");
}

gboolean
prepare_inspect(Prepare *prepare, GError **error)
{
    gboolean is_plain = prepare->is_ours || json_object_get_boolean_member_with_default(
                                                prepare->order, "plain", FALSE);
    prepare_step(prepare, "inspecting the system");
    if (is_plain ? !use_plain(prepare, error)
                 : !ask_inspection(prepare, error) || !mount_all(prepare, error))
        return FALSE;
    return name_system(prepare, error) && find_root_words(prepare, error);
}

/* ---- grown
 * -----------------------------------------------------------------------------------------
 */

/* The end of the last partition has to move, and a GPT's second table with it. */
static gboolean
grow_partition(Prepare *prepare, const char *partition, GError **error)
{
    guestfs_h *g = prepare->g;
    g_autofree char *disk = guestfs_part_to_dev(g, partition);
    int number = disk ? guestfs_part_to_partnum(g, partition) : -1;
    g_autofree char *type = disk ? guestfs_part_get_parttype(g, disk) : NULL;
    struct guestfs_partition_list *list = disk ? guestfs_part_list(g, disk) : NULL;
    if (number < 0 || !type || !list) {
        guestfs_free_partition_list(list);
        return prepare_failed(prepare, error, "its partitions cannot be read");
    }
    uint64_t start = 0, last = 0;
    for (guint i = 0; i < list->len; i++) {
        last = MAX(last, list->val[i].part_start);
        if (list->val[i].part_num == number)
            start = list->val[i].part_start;
    }
    guestfs_free_partition_list(list);
    if (start < last)
        return prepare_refuse(
            prepare, HB_USAGE, error,
            "cannot be grown: another partition lies behind that of the "
            "root; leave its size as it is");
    gboolean is_gpt = g_str_equal(type, "gpt");
    if (is_gpt && guestfs_part_expand_gpt(g, disk) != 0)
        return prepare_failed(prepare, error, "its table of partitions cannot grow");
    /* Behind it a GPT has its second table, which starts at a whole MiB. */
    return guestfs_part_resize(g, disk, number, is_gpt ? -2048 : -1) == 0 ||
           prepare_failed(prepare, error, "its root's partition cannot grow");
}

static gboolean
is_partition(Prepare *prepare, const char *device)
{
    return g_ascii_isdigit(device[strlen(device) - 1]) &&
           guestfs_part_to_partnum(prepare->g, device) > 0;
}

/* Of a logical volume the physical one, if there is one only. */
static char *
below_volume(Prepare *prepare, GError **error)
{
    g_auto(GStrv) volumes = guestfs_pvs(prepare->g);
    if (volumes && g_strv_length(volumes) == 1)
        return g_strdup(volumes[0]);
    prepare_refuse(
        prepare, HB_USAGE, error,
        "cannot be grown: its root lies on several physical volumes; leave its "
        "size as it is");
    return NULL;
}

static gboolean
grow_file_system(Prepare *prepare, const char *device, GError **error)
{
    guestfs_h *g = prepare->g;
    g_autofree char *type = guestfs_vfs_type(g, device);
    int status = -1;
    if (!type)
        return prepare_failed(prepare, error, "its root's file system is unknown");
    if (g_str_has_prefix(type, "ext"))
        status = guestfs_resize2fs(g, device);
    else if (g_str_equal(type, "xfs"))
        status = guestfs_xfs_growfs(g, "/", GUESTFS_XFS_GROWFS_DATASEC, 1, -1);
    else if (g_str_equal(type, "btrfs"))
        status = guestfs_btrfs_filesystem_resize(g, "/", -1);
    else
        return prepare_refuse(
            prepare, HB_UNSUPPORTED, error,
            "cannot be grown: its root's file system is %s, and hostbed "
            "can grow ext2 to ext4, xfs and btrfs",
            type);
    return status == 0 ||
           prepare_failed(prepare, error, "its root's file system cannot grow");
}

/* A partition can only be changed while nothing on it is in use. */
static gboolean
grow_below(Prepare *prepare, const char *device, gboolean is_volume, GError **error)
{
    guestfs_h *g = prepare->g;
    g_autofree char *below = is_volume ? below_volume(prepare, error) : g_strdup(device);
    if (!below)
        return FALSE;
    if (!is_partition(prepare, below))
        return TRUE;
    if (guestfs_umount_all(g) != 0 || (is_volume && guestfs_vg_activate_all(g, 0) != 0))
        return prepare_failed(prepare, error, "its file systems are in use");
    if (!grow_partition(prepare, below, error))
        return FALSE;
    if (is_volume &&
        (guestfs_pvresize(g, below) != 0 || guestfs_vg_activate_all(g, 1) != 0 ||
         guestfs_lvresize_free(g, device, 100) != 0))
        return prepare_failed(prepare, error, "its root's volume cannot grow");
    return mount_all(prepare, error);
}

gboolean
prepare_grow(Prepare *prepare, GError **error)
{
    if (!prepare->is_larger)
        return TRUE;
    prepare_step(prepare, "growing the file system");
    g_autofree char *subvolume = NULL;
    g_autofree char *device = device_of(prepare->root, &subvolume);
    int is_volume = guestfs_is_lv(prepare->g, device);
    return grow_below(prepare, device, is_volume > 0, error) &&
           grow_file_system(prepare, device, error);
}
