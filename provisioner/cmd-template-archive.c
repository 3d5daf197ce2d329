/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed template export, import: templates between machines.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli-wait.h"
#include "autoptr.h"
#include "cmd-template.h"
#include "replace-file.h"
#include "template-archive.h"
#include "template-store.h"

static int
export_to(const StoredTemplate *stored, int fd, const char *name)
{
    g_autoptr(GError) error = NULL;
    if (isatty(fd))
        return cli_fail_with(HB_USAGE, "an archive is nothing for a terminal; name a "
                                       "file with --output");
    g_autoptr(CliWait) wait = cli_wait_new("writing the template");
    if (template_export(stored, fd, &error))
        return HB_OK;
    g_prefix_error(&error, "%s: ", name);
    return cli_fail(error);
}

/* An archive that was there stays until this one is whole. */
static int
export_to_file(const StoredTemplate *stored, const char *filename)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ReplaceFile) file = replace_file_new(filename, &error);
    if (!file)
        return cli_fail(error);
    int status = export_to(stored, file->fd, filename);
    if (status == HB_OK && !replace_file_commit(file, &error))
        return cli_fail(error);
    return status;
}

/* What is damaged is as wrong as an archive that is; a machine that is short of something
 * is another matter. */
static int
fail_to_open(const char *key, const GError *error)
{
    HbStatus status =
        error && template_store_is_passing(error) ? hb_error_status(error) : HB_USAGE;
    return cli_fail_with(status, "the template %.12s cannot be used: %s", key,
                         error ? error->message : "it is gone");
}

int
cmd_template_export(int argc, char **argv)
{
    int status;
    g_autofree char *output = NULL;
    const GOptionEntry entries[] = {{"output", 'o', 0, G_OPTION_ARG_FILENAME, &output,
                                     "Write to FILE (default: standard output)", "FILE"},
                                    {NULL}};
    if (!cli_parse("template export", &argc, &argv, entries, NULL, &status))
        return status;
    if (argc != 2)
        return cli_fail_with(HB_USAGE, "'hostbed template export' takes one KEY");
    g_autoptr(GError) error = NULL;
    if (!template_store_check(&error))
        return cli_fail(error);
    g_autofree char *key = template_find_key(argv[1], &status);
    if (!key)
        return status;
    g_autoptr(StoredTemplate) stored = template_store_open(key, &error);
    if (!stored)
        return fail_to_open(key, error);
    gboolean is_stdout = !output || strcmp(output, "-") == 0;
    return is_stdout ? export_to(stored, STDOUT_FILENO, "standard output")
                     : export_to_file(stored, output);
}

static int
import_from(int fd, const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(CliWait) wait = cli_wait_new("reading the template");
    g_autofree char *key = template_import(fd, &error);
    if (!key) {
        g_prefix_error(&error, "%s is not imported: ", name);
        return cli_fail(error);
    }
    printf("%s\n", key);
    g_ptr_array_unref(template_store_prune(template_store_maximum(NULL), key));
    return HB_OK;
}

int
cmd_template_import(int argc, char **argv)
{
    int status;
    struct stat st;
    g_autoptr(GError) error = NULL;
    if (!cli_parse("template import", &argc, &argv, NULL, NULL, &status))
        return status;
    if (argc > 2)
        return cli_fail_with(HB_USAGE,
                             "'hostbed template import' takes one FILE, or none "
                             "for standard input");
    if (!template_store_check(&error))
        return cli_fail(error);
    gboolean is_stdin = argc == 1 || strcmp(argv[1], "-") == 0;
    const char *name = is_stdin ? "standard input" : argv[1];
    g_auto(AutoFd) fd =
        is_stdin ? dup(STDIN_FILENO) : open(argv[1], O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return cli_fail_with(HB_INFRASTRUCTURE, "cannot read %s: %s", name,
                             g_strerror(errno));
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        return cli_fail_with(HB_USAGE, "%s is a folder, and no archive", name);
    return import_from(fd, name);
}
