/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The newest kernel of the image with its initramfs, where distributions have them, and
 * kmod's lists of its modules: out of the image, for a host that starts directly.
 */
#include "prepare.h"

#include <glib/gstdio.h>
#include <string.h>

#include "error.h"
#include "os-image-parts.h"

#define FILE_MAX ((int64_t)1 << 30)

/* %s: the release. */
static const char *const kernels[] = {"/boot/vmlinuz-%s", "/lib/modules/%s/vmlinuz"};
static const char *const initrds[] = {"/boot/initrd.img-%s", "/boot/initramfs-%s.img",
                                      "/boot/initrd-%s", "/lib/modules/%s/initrd"};

static gint
newest_first(gconstpointer a, gconstpointer b)
{
    return strverscmp(*(char *const *)b, *(char *const *)a);
}

static gboolean
is_file(Prepare *prepare, const char *path)
{
    return guestfs_is_file_opts(prepare->g, path, GUESTFS_IS_FILE_OPTS_FOLLOWSYMLINKS, 1,
                                -1) == 1;
}

/* Whether NAME can be a kernel's: it comes to terminals and into command lines. */
static gboolean
is_release(const char *name)
{
    for (; *name; name++)
        if (!g_ascii_isalnum(*name) && !strchr("._+~-", *name))
            return FALSE;
    return TRUE;
}

/* Of PATTERNS with RELEASE in them the first that the image has; NULL: none. */
static char *
find_file(Prepare *prepare, const char *const *patterns, guint count, const char *release)
{
    for (guint i = 0; i < count; i++) {
        g_auto(GStrv) parts = g_strsplit(patterns[i], "%s", 2);
        g_autofree char *path = g_strconcat(parts[0], release, parts[1], NULL);
        if (is_file(prepare, path))
            return g_steal_pointer(&path);
    }
    return NULL;
}

/* Alpine's files have the flavour's name alone: "lts" of "6.6.31-0-lts". */
static const char *
flavour_of(const char *release)
{
    const char *dash = strrchr(release, '-');
    return dash ? dash + 1 : release;
}

static char *
find_either(Prepare *prepare, const char *const *patterns, guint count,
            const char *release)
{
    char *path = find_file(prepare, patterns, count, release);
    return path ? path : find_file(prepare, patterns, count, flavour_of(release));
}

/* The one to boot; its path, and prepare->release. */
static char *
find_kernel(Prepare *prepare)
{
    g_auto(GStrv) names = guestfs_ls(prepare->g, "/lib/modules");
    g_autoptr(GPtrArray) releases = g_ptr_array_new();
    for (char **name = names; name && *name; name++)
        if (is_release(*name))
            g_ptr_array_add(releases, *name);
    g_ptr_array_sort(releases, newest_first);
    for (guint i = 0; i < releases->len; i++) {
        char *path =
            find_either(prepare, kernels, G_N_ELEMENTS(kernels), releases->pdata[i]);
        if (!path)
            continue;
        prepare->release = g_strdup(releases->pdata[i]);
        return path;
    }
    return NULL;
}

/* What is no file was left out before: a pipe or a device may never end. A file with
 * holes may be larger than all disks. */
static gboolean
take_out(Prepare *prepare, const char *path, const char *name, GError **error)
{
    int64_t size = guestfs_filesize(prepare->g, path);
    if (size > FILE_MAX)
        return prepare_refuse(prepare, HB_USAGE, error,
                              "has in %s %" G_GINT64_FORMAT
                              " bytes, and no kernel or initramfs has more than 1 GiB",
                              path, (gint64)size);
    g_autofree char *target = g_build_filename(prepare->folder, name, NULL);
    return guestfs_download(prepare->g, path, target) == 0 ||
           prepare_failed(prepare, error, "%s cannot be read", path);
}

/* The initramfs of Alpine is called so, too. */
static char *
find_initrd(Prepare *prepare)
{
    static const char *const plain[] = {"/boot/initramfs-%s"};
    char *path = find_either(prepare, initrds, G_N_ELEMENTS(initrds), prepare->release);
    return path ? path
                : find_either(prepare, plain, G_N_ELEMENTS(plain), prepare->release);
}

static gboolean
take_lists(Prepare *prepare, GError **error)
{
    static const char *const lists[] = {"modules.dep", "modules.builtin"};
    g_autofree char *folder =
        g_build_filename(prepare->folder, OS_IMAGE_MODULES_FOLDER, NULL);
    g_mkdir(folder, 0700);
    for (guint i = 0; i < G_N_ELEMENTS(lists); i++) {
        g_autofree char *path =
            g_build_filename("/lib/modules", prepare->release, lists[i], NULL);
        g_autofree char *name = g_build_filename(OS_IMAGE_MODULES_FOLDER, lists[i], NULL);
        if (is_file(prepare, path) && !take_out(prepare, path, name, error))
            return FALSE;
    }
    return TRUE;
}

gboolean
prepare_kernel(Prepare *prepare, GError **error)
{
    prepare_step(prepare, "taking the kernel out");
    g_autofree char *kernel = find_kernel(prepare);
    if (!kernel)
        return prepare_refuse(
            prepare, HB_USAGE, error,
            "has no kernel in /boot with its modules in /lib/modules; on "
            "Debian the package linux-image-amd64 has them");
    g_autofree char *initrd = find_initrd(prepare);
    prepare->has_initrd = initrd != NULL;
    return take_out(prepare, kernel, OS_IMAGE_KERNEL_FILE, error) &&
           (!initrd || take_out(prepare, initrd, OS_IMAGE_INITRD_FILE, error)) &&
           take_lists(prepare, error);
}
