/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "image.h"

static gboolean
is_indexed(const Kernel *kernel)
{
    g_autofree char *list = g_build_filename(kernel->modules_dir, "modules.dep", NULL);
    return g_file_test(list, G_FILE_TEST_IS_REGULAR);
}

/* What lib/modules/RELEASE lies in, owned by the caller; NULL: it is laid out otherwise.
 */
static char *
root_of(const Kernel *kernel)
{
    g_autofree char *end = g_strconcat("/lib/modules/", kernel->release, NULL);
    return g_str_has_suffix(kernel->modules_dir, end)
               ? g_strndup(kernel->modules_dir, strlen(kernel->modules_dir) - strlen(end))
               : NULL;
}

gboolean
kernel_index_modules(const Kernel *kernel)
{
    if (!kernel->modules_dir || is_indexed(kernel))
        return kernel->modules_dir != NULL;
    g_autofree char *root = root_of(kernel);
    const char *const argv[] = {"depmod", "-b", root, kernel->release, NULL};
    g_auto(GStrv) environment = g_get_environ();
    const char *path = g_environ_getenv(environment, "PATH");
    g_autofree char *paths = g_strdup_printf("%s:/usr/sbin:/sbin", path ? path : "");
    environment = g_environ_setenv(environment, "PATH", paths, TRUE);
    return root &&
           g_spawn_sync(NULL, (char **)argv, environment,
                        G_SPAWN_SEARCH_PATH_FROM_ENVP | G_SPAWN_STDOUT_TO_DEV_NULL |
                            G_SPAWN_STDERR_TO_DEV_NULL,
                        NULL, NULL, NULL, NULL, NULL, NULL) &&
           is_indexed(kernel);
}
