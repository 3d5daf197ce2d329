/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed image: the kernels that hosts can boot. `hostbed image kernel` lists them, best
 * first; with packages it unpacks these, so that they are found from then on.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"
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
    g_autoptr(Kernel) kernel = kernel_add(packages, &error);
    if (!kernel)
        return cli_fail(error);
    print_kernel(kernel);
    return HB_OK;
}

int
cmd_image(int argc, char **argv)
{
    int status;
    if (!cli_parse("image", &argc, &argv, NULL, NULL, &status))
        return status;
    if (argc < 2 || strcmp(argv[1], "kernel") != 0)
        return cli_fail_with(HB_USAGE,
                             "'hostbed image' needs to know what to do: 'kernel' "
                             "lists kernels, 'kernel PACKAGE…' unpacks one");
    return argc == 2 ? list_kernels() : add_kernel((const char *const *)argv + 2);
}
