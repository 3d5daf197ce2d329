/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Whether what a command writes would destroy what it reads, or something else it writes.
 */
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static gboolean
is_stream(const CliFile *file)
{
    return strcmp(file->name, "-") == 0;
}

/* Of a stream only the input can be a file with a name. */
static gboolean
find_file(const CliFile *file, struct stat *st)
{
    return is_stream(file) ? fstat(STDIN_FILENO, st) == 0 : stat(file->name, st) == 0;
}

/* NAME of a file that need not be there, in a folder without links. */
static char *
canonical(const char *name)
{
    g_autofree char *whole = g_canonicalize_filename(name, NULL);
    g_autofree char *folder = g_path_get_dirname(whole);
    g_autofree char *base = g_path_get_basename(whole);
    char *real = realpath(folder, NULL);
    char *result = g_build_filename(real ? real : folder, base, NULL);
    free(real);
    return result;
}

/* Devices and FIFOs take what they get from several, and keep it. */
static gboolean
is_same(const CliFile *one, const CliFile *other)
{
    struct stat st, other_st;
    gboolean exists = find_file(one, &st);
    if (exists != find_file(other, &other_st))
        return FALSE;
    if (exists)
        return S_ISREG(st.st_mode) && st.st_dev == other_st.st_dev &&
               st.st_ino == other_st.st_ino;
    if (is_stream(one) || is_stream(other))
        return FALSE;
    g_autofree char *name = canonical(one->name);
    g_autofree char *other_name = canonical(other->name);
    return strcmp(name, other_name) == 0;
}

static int
refuse(const CliFile *output, const CliFile *other)
{
    if (other->is_output)
        return cli_fail_with(HB_USAGE,
                             "%s and %s would both write %s; give each a file of its own",
                             other->what, output->what, output->name);
    return cli_fail_with(HB_USAGE, "%s %s would overwrite %s %s; name another file",
                         output->what, output->name, other->what, other->name);
}

gboolean
cli_check_files(const CliFile *files, guint count, int *status)
{
    for (guint i = 0; i < count; i++) {
        const CliFile *output = &files[i];
        if (!output->is_output || !output->name || is_stream(output))
            continue;
        for (guint j = 0; j < count; j++) {
            const CliFile *other = &files[j];
            gboolean is_checked = j == i || !other->name ||
                                  (other->is_output && (j > i || is_stream(other)));
            if (is_checked || !is_same(output, other))
                continue;
            *status = refuse(output, other);
            return FALSE;
        }
    }
    return TRUE;
}
