/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What libguestfs's appliance needs of this machine: a folder, and a kernel with modules
 * as supermin takes them.
 */
#include "error.h"
#include "image.h"
#include "os-image-parts.h"
#include "servant.h"

/* supermin gives the appliance's folder the owner and mode of this one, whatever modules
 * it is told to take. A machine without a kernel of its own, as a container is, has none.
 */
#define MODULES_FOLDER "/lib/modules"

gboolean
os_image_can_prepare(GError **error)
{
    g_autofree char *program = servant_path(OS_IMAGE_SERVANT, error);
    if (!program)
        return FALSE;
    if (g_file_test(MODULES_FOLDER, G_FILE_TEST_IS_DIR))
        return TRUE;
    g_set_error_literal(
        error, HB_ERROR, HB_INFRASTRUCTURE,
        "libguestfs cannot make its appliance where there is no folder " MODULES_FOLDER
        "; './quickstart images' makes it, or, as root, "
        "'mkdir " MODULES_FOLDER "'");
    return FALSE;
}

gboolean
os_image_has_kernel(const char *appliance, GError **error)
{
    g_autoptr(GDir) made = g_dir_open(appliance, 0, NULL);
    if (made && g_dir_read_name(made))
        return TRUE;
    g_autoptr(Kernel) kernel = kernel_find(NULL, error);
    if (!kernel)
        g_prefix_error(error, "libguestfs's appliance needs a kernel: ");
    return kernel != NULL;
}

void
os_image_add_kernel(JsonObject *order)
{
    g_autoptr(Kernel) kernel = kernel_find(NULL, NULL);
    g_autofree char *file =
        kernel && kernel_index_modules(kernel) ? kernel_boot_file(kernel, NULL) : NULL;
    if (!file)
        return;
    json_object_set_string_member(order, "kernel", file);
    json_object_set_string_member(order, "kernel_release", kernel->release);
    json_object_set_string_member(order, "kernel_modules", kernel->modules_dir);
}
