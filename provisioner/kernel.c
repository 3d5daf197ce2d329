/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Where kernels are found, and what belongs to each.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "autoptr.h"
#include "error.h"
#include "image.h"
#include "kernel-image.h"
#include "kernel-package.h"

void
kernel_free(Kernel *kernel)
{
    if (!kernel)
        return;
    g_free(kernel->release);
    g_free(kernel->image);
    g_free(kernel->modules_dir);
    g_free(kernel->config);
    g_free(kernel->origin);
    g_free(kernel);
}

/* The first of the paths, each "ROOT/PATH" with RELEASE for its %s, that is there. */
static char *
first_existing(const char *root, const char *const *patterns, const char *release,
               GFileTest test)
{
    for (; *patterns; patterns++) {
        g_auto(GStrv) halves = g_strsplit(*patterns, "%s", 2);
        g_autofree char *below = halves[1]
                                     ? g_strconcat(halves[0], release, halves[1], NULL)
                                     : g_strdup(halves[0]);
        g_autofree char *path = g_build_filename(root, below, NULL);
        if (g_file_test(path, test) && access(path, R_OK) == 0)
            return g_steal_pointer(&path);
    }
    return NULL;
}

/* What belongs to a kernel of RELEASE in a tree laid out like a root file system. */
static void
complete_from_root(Kernel *kernel, const char *root)
{
    static const char *const modules[] = {"lib/modules/%s", "usr/lib/modules/%s", NULL};
    static const char *const configs[] = {"boot/config-%s", "lib/modules/%s/config",
                                          "usr/lib/modules/%s/config", NULL};
    if (!kernel->modules_dir)
        kernel->modules_dir =
            first_existing(root, modules, kernel->release, G_FILE_TEST_IS_DIR);
    if (!kernel->config)
        kernel->config =
            first_existing(root, configs, kernel->release, G_FILE_TEST_IS_REGULAR);
}

static Kernel *
kernel_from_image(const char *path, const char *origin, GError **error)
{
    g_auto(AutoFd) fd = kernel_image_open(path, error);
    if (fd < 0)
        return NULL;
    g_autoptr(KernelImage) image = kernel_image_read(fd, path, error);
    if (!image)
        return NULL;
    Kernel *kernel = g_new0(Kernel, 1);
    kernel->image = g_canonicalize_filename(path, NULL);
    kernel->release = g_strdup(image->release);
    kernel->origin = g_strdup(origin);
    return kernel;
}

static gint
best_first(gconstpointer a, gconstpointer b)
{
    const Kernel *left = *(Kernel *const *)a, *right = *(Kernel *const *)b;
    gboolean left_whole = left->modules_dir != NULL,
             right_whole = right->modules_dir != NULL;
    if (left_whole != right_whole)
        return left_whole ? -1 : 1;
    int newer = strverscmp(right->release, left->release);
    return newer ? newer : strcmp(left->image, right->image);
}

static void
add_if_kernel(GPtrArray *kernels, const char *root, const char *path, const char *origin)
{
    Kernel *kernel = kernel_from_image(path, origin, NULL);
    if (!kernel)
        return;
    complete_from_root(kernel, root);
    g_ptr_array_add(kernels, kernel);
}

/* The kernels of a tree laid out like a root file system: boot/vmlinuz-RELEASE and
 * lib/modules/RELEASE/vmlinuz. */
static void
add_from_root(GPtrArray *kernels, const char *root, const char *origin)
{
    static const char *const boot[] = {"boot", NULL};
    static const char *const modules[] = {"lib/modules", "usr/lib/modules", NULL};
    g_autofree char *boot_path = first_existing(root, boot, "", G_FILE_TEST_IS_DIR);
    g_autofree char *modules_path = first_existing(root, modules, "", G_FILE_TEST_IS_DIR);
    g_autoptr(GDir) boot_dir = boot_path ? g_dir_open(boot_path, 0, NULL) : NULL;
    const char *name;
    while (boot_dir && (name = g_dir_read_name(boot_dir))) {
        g_autofree char *path = g_build_filename(boot_path, name, NULL);
        if (g_str_has_prefix(name, "vmlinuz-"))
            add_if_kernel(kernels, root, path, origin);
    }
    g_autoptr(GDir) modules_dir = modules_path ? g_dir_open(modules_path, 0, NULL) : NULL;
    while (modules_dir && (name = g_dir_read_name(modules_dir))) {
        g_autofree char *path = g_build_filename(modules_path, name, "vmlinuz", NULL);
        if (g_file_test(path, G_FILE_TEST_IS_REGULAR))
            add_if_kernel(kernels, root, path, origin);
    }
}

/* Distributions that keep the kernel beside its modules often copy it to /boot. */
static void
drop_repeated(GPtrArray *kernels)
{
    for (guint i = 1; i < kernels->len;) {
        const Kernel *before = kernels->pdata[i - 1], *here = kernels->pdata[i];
        if (strcmp(before->release, here->release) == 0 &&
            g_strcmp0(before->modules_dir, here->modules_dir) == 0)
            g_ptr_array_remove_index(kernels, i);
        else
            i++;
    }
}

static GPtrArray *
kernels_of_root(const char *root, const char *origin)
{
    GPtrArray *kernels = g_ptr_array_new_with_free_func((GDestroyNotify)kernel_free);
    add_from_root(kernels, root, origin);
    g_ptr_array_sort(kernels, best_first);
    drop_repeated(kernels);
    return kernels;
}

GPtrArray *
kernel_list(void)
{
    g_autoptr(GPtrArray) packages =
        g_ptr_array_new_with_free_func((GDestroyNotify)kernel_free);
    g_autoptr(GPtrArray) folders = kernel_package_list();
    for (guint i = 0; i < folders->len; i++)
        add_from_root(packages, folders->pdata[i], "unpacked package");
    g_ptr_array_sort(packages, best_first);

    GPtrArray *kernels = kernels_of_root("/", "this machine");
    g_ptr_array_extend_and_steal(kernels, g_steal_pointer(&packages));
    return kernels;
}

/* The first of KERNELS, which is consumed. */
static Kernel *
take_first(GPtrArray *kernels)
{
    g_autoptr(GPtrArray) owned = kernels;
    return owned->len > 0 ? g_ptr_array_steal_index(owned, 0) : NULL;
}

static gboolean
is_build_tree(const char *path)
{
    g_autofree char *release =
        g_build_filename(path, "include", "config", "kernel.release", NULL);
    return g_file_test(release, G_FILE_TEST_IS_REGULAR);
}

/* Modules of a build tree lie all over it; modules.c knows by modules.order. */
static void
complete_from_build_tree(Kernel *kernel, const char *tree)
{
    static const char *const order[] = {"modules.order", NULL};
    static const char *const config[] = {".config", NULL};
    g_autofree char *modules = first_existing(tree, order, "", G_FILE_TEST_IS_REGULAR);
    if (modules)
        kernel->modules_dir = g_strdup(tree);
    kernel->config = first_existing(tree, config, "", G_FILE_TEST_IS_REGULAR);
}

static Kernel *
kernel_from_build_tree(const char *path, GError **error)
{
    static const char *const images[] = {"arch/x86/boot/bzImage", "vmlinux", NULL};
    g_autofree char *tree = g_canonicalize_filename(path, NULL);
    g_autofree char *image = first_existing(tree, images, "", G_FILE_TEST_IS_REGULAR);
    if (!image) {
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "the build tree %s has neither arch/x86/boot/bzImage nor vmlinux; "
                    "'make bzImage modules' makes what is needed",
                    path);
        return NULL;
    }
    g_autofree char *origin = g_strdup_printf("build tree %s", tree);
    Kernel *kernel = kernel_from_image(image, origin, error);
    if (kernel)
        complete_from_build_tree(kernel, tree);
    return kernel;
}

static Kernel *
kernel_from_folder(const char *path, const char *origin, GError **error)
{
    if (is_build_tree(path))
        return kernel_from_build_tree(path, error);
    g_autofree char *root = g_canonicalize_filename(path, NULL);
    Kernel *kernel = take_first(kernels_of_root(root, origin));
    if (!kernel)
        g_set_error(
            error, HB_ERROR, HB_USAGE,
            "there is no kernel for x86-64 in %s: neither boot/vmlinuz-RELEASE nor "
            "lib/modules/RELEASE/vmlinuz, and it is no build tree",
            path);
    return kernel;
}

Kernel *
kernel_add(const char *const *packages, GError **error)
{
    for (guint i = 0; packages[i]; i++) {
        if (!kernel_package_is(packages[i])) {
            g_set_error(error, HB_ERROR, HB_USAGE,
                        "%s is not named like a kernel package (.deb, .rpm)",
                        packages[i]);
            return NULL;
        }
    }
    g_autofree char *folder = kernel_package_unpack(packages, error);
    if (!folder)
        return NULL;
    g_autofree char *names = g_strjoinv(" ", (char **)packages);
    g_autofree char *origin = g_strdup_printf("package %s", names);
    Kernel *kernel = take_first(kernels_of_root(folder, origin));
    if (!kernel)
        g_set_error(
            error, HB_ERROR, HB_USAGE,
            "there is no kernel for x86-64 in %s; if the kernel and its modules are "
            "packed apart, 'hostbed image kernel PACKAGE…' takes both",
            names);
    return kernel;
}

static Kernel *
kernel_from_package(const char *path, GError **error)
{
    const char *const packages[] = {path, NULL};
    return kernel_add(packages, error);
}

/* A file: the tree that it is part of says where its modules are; else this machine's. */
static Kernel *
kernel_from_file(const char *path, GError **error)
{
    Kernel *kernel = kernel_from_image(path, path, error);
    if (!kernel)
        return NULL;
    g_autofree char *folder = g_path_get_dirname(kernel->image);
    g_autofree char *above = g_path_get_dirname(folder);
    g_autofree char *above2 = g_path_get_dirname(above);
    g_autofree char *above3 = g_path_get_dirname(above2);
    const char *const trees[] = {folder, above, above2, above3};
    for (guint i = 0; i < G_N_ELEMENTS(trees); i++) {
        if (is_build_tree(trees[i])) {
            complete_from_build_tree(kernel, trees[i]);
            return kernel;
        }
    }
    for (guint i = 0; i < G_N_ELEMENTS(trees); i++)
        complete_from_root(kernel, trees[i]);
    complete_from_root(kernel, "/");
    return kernel;
}

static Kernel *
kernel_from_path(const char *path, GError **error)
{
    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "there is no kernel %s", path);
        return NULL;
    }
    if (g_file_test(path, G_FILE_TEST_IS_DIR))
        return kernel_from_folder(path, path, error);
    if (kernel_package_is(path))
        return kernel_from_package(path, error);
    return kernel_from_file(path, error);
}

Kernel *
kernel_find(const char *path, GError **error)
{
    const char *from_environment = g_getenv("HOSTBED_KERNEL");
    if (path)
        return kernel_from_path(path, error);
    if (from_environment && *from_environment) {
        Kernel *kernel = kernel_from_path(from_environment, error);
        if (!kernel)
            g_prefix_error(error, "HOSTBED_KERNEL: ");
        return kernel;
    }
    Kernel *kernel = take_first(kernel_list());
    if (!kernel)
        g_set_error(
            error, HB_ERROR, HB_INFRASTRUCTURE,
            "no kernel that can be read is in /boot, /lib/modules or the cache; any "
            "user can download a kernel's package (Debian: apt-get download "
            "linux-image-…) and hand it to 'hostbed image kernel PACKAGE'");
    return kernel;
}
