/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "os-database.h"

#include <fts.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

/* Databases have some two thousand files; what has more is changed often enough. */
#define FILES_MAX 100000

static int
compare_entries(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

char *
os_database_digest(const char *path)
{
    char *const paths[] = {(char *)path, NULL};
    FTS *walk = fts_open(paths, FTS_LOGICAL | FTS_NOCHDIR, compare_entries);
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    guint files = 0;
    for (FTSENT *entry; walk && files < FILES_MAX && (entry = fts_read(walk));) {
        if (entry->fts_info != FTS_F && entry->fts_info != FTS_D)
            continue;
        const struct stat *about = entry->fts_statp;
        g_autofree char *line =
            g_strdup_printf("%s %jd %jd.%09ld\n", entry->fts_path,
                            (intmax_t)(entry->fts_info == FTS_F ? about->st_size : 0),
                            (intmax_t)about->st_mtim.tv_sec, about->st_mtim.tv_nsec);
        g_checksum_update(sum, (const guchar *)line, -1);
        files++;
    }
    if (walk)
        fts_close(walk);
    return files > 0 ? g_strdup(g_checksum_get_string(sum)) : NULL;
}
