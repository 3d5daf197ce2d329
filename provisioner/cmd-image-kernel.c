/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed image kernel: the kernels that hosts can boot, best first; with packages it
 * unpacks these, so that they are found from then on.
 */
#include <stdio.h>

#include "cli-progress.h"
#include "cmd-image.h"
#include "image.h"

static void
print_kernel(const Kernel *kernel)
{
    printf("%s  %s  (%s%s)\n", kernel->release, kernel->image, kernel->origin,
           kernel->modules_dir ? "" : "; without its modules");
}

static int
list_kernels(void)
{
    g_autoptr(GPtrArray) kernels = kernel_list();
    if (kernels->len == 0) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Kernel) kernel = kernel_find(NULL, &error);
        return kernel ? HB_OK : cli_fail(error);
    }
    for (guint i = 0; i < kernels->len; i++)
        print_kernel(kernels->pdata[i]);
    return HB_OK;
}

static int
add_kernel(const char *const *packages)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(CliInterrupt) interrupt = cli_interrupt_new();
    g_autoptr(CliProgress) progress = cli_progress_new();
    cli_progress_step(progress, "unpacking the kernel");
    g_autoptr(Kernel) kernel = kernel_add(packages, &error);
    cli_progress_end(progress, kernel != NULL);
    if (!kernel)
        return cli_fail(error);
    print_kernel(kernel);
    return HB_OK;
}

int
cmd_image_kernel(int argc, char **argv)
{
    int status;
    if (!cli_parse("image kernel", &argc, &argv, NULL, NULL, &status))
        return status;
    return argc == 1 ? list_kernels() : add_kernel((const char *const *)argv + 1);
}
