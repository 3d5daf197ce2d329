/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libexec.h"

#include <unistd.h>

#include "install-paths.h"

char *
libexec_path(const char *name)
{
    const char *set = g_getenv("HOSTBED_LIBEXEC_DIR");
    g_auto(GStrv) folders = g_strsplit(set && *set ? set : PKGLIBEXECDIR, ":", -1);
    for (char **folder = folders;; folder++) {
        g_autofree char *path = g_build_filename(*folder, name, NULL);
        if (!folder[1] || access(path, F_OK) == 0)
            return g_steal_pointer(&path);
    }
}
