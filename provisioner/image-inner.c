/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What guests inside a host start with: the host's own kernel, an initramfs of one
 * program and the drivers of NICs, and the firmware that starts a kernel.
 */
#include "image-parts.h"

static char *
find_firmware(const char *name)
{
    static const char *const folders[] = {"/usr/share/qemu", "/usr/share/seabios",
                                          "/usr/share/qemu-kvm"};
    for (guint i = 0; i < G_N_ELEMENTS(folders); i++) {
        g_autofree char *path = g_build_filename(folders[i], name, NULL);
        if (g_file_test(path, G_FILE_TEST_IS_REGULAR))
            return g_steal_pointer(&path);
    }
    return NULL;
}

/* FALSE: this machine has not all of it. */
static gboolean
add_firmware(Initramfs *image)
{
    /* The first entry of a kernel is one of the others, by what its file is. */
    static const char *const names[] = {"bios-256k.bin", "pvh.bin", "linuxboot_dma.bin"};
    gboolean is_whole = TRUE;
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *source = find_firmware(names[i]);
        g_autofree char *path = g_build_filename(IMAGE_INNER_PATH, names[i], NULL);
        if (source)
            initramfs_add_file(image, path, source, 0644);
        is_whole = is_whole && source;
    }
    return is_whole;
}

static char *
build_initramfs(const ImageOptions *options, GError **error)
{
    static const char *const drivers[] = {"e1000e", "igbvf"};
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    g_autoptr(GPtrArray) optional = g_ptr_array_new();
    for (guint i = 0; i < G_N_ELEMENTS(drivers); i++)
        g_ptr_array_add(optional, (char *)drivers[i]);
    const ImageOptions inner = {
        .kernel = options->kernel, .modules = none, .optional_modules = optional};
    g_autoptr(Initramfs) image = initramfs_new();
    initramfs_add_device(image, "/dev/console", 5, 1, 0600);
    initramfs_add_file(image, "/init", options->inner_init, 0755);
    if (!image_add_modules(image, &inner, error))
        return NULL;
    return image_store(image, options->kernel, error);
}

gboolean
image_add_inner(Initramfs *image, const ImageOptions *options, GError **error)
{
    if (!add_firmware(image)) {
        g_debug("guests inside have no firmware on this machine");
        return TRUE;
    }
    g_autofree char *kernel = kernel_boot_file(options->kernel, error);
    g_autofree char *initramfs = kernel ? build_initramfs(options, error) : NULL;
    if (!initramfs)
        return FALSE;
    initramfs_add_file(image, IMAGE_INNER_PATH "/kernel", kernel, 0644);
    initramfs_add_file(image, IMAGE_INNER_PATH "/initramfs", initramfs, 0644);
    return TRUE;
}
