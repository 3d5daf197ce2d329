/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed image build: the prepared image of a base, or those of a lab's hosts, before a
 * host needs them.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "autoptr.h"
#include "cli-progress.h"
#include "cmd-image.h"
#include "lab.h"
#include "libexec.h"
#include "os-image-system.h"
#include "os-image.h"
#include "replace-file.h"
#include "sparse.h"
#include "units.h"

typedef struct {
    CliMachine machine;
    char *size, *ssh_key, *mirror, *proxy, *output;
    gint64 size_bytes;
    char *agent, *suites, *emulator;
    gboolean force_tcg;
} Options;

static void
options_clear(Options *options)
{
    cli_machine_clear(&options->machine);
    g_free(options->size);
    g_free(options->ssh_key);
    g_free(options->mirror);
    g_free(options->proxy);
    g_free(options->output);
    g_free(options->agent);
    g_free(options->suites);
    g_free(options->emulator);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

/* What is read stays as it is: NAME, which is WHAT, if it is no recipe's. */
static gboolean
check_files(const Options *options, const char *what, const char *name, int *status)
{
    const CliFile files[] = {{what, os_image_is_recipe(name) ? NULL : name, FALSE},
                             {"--ssh-key", options->ssh_key, FALSE},
                             {"--output", options->output, TRUE}};
    return cli_check_files(files, G_N_ELEMENTS(files), status);
}

/* ---- one image
 * -------------------------------------------------------------------------------------
 */

/* What was being done is no line of its own any more. */
static int
fail(CliProgress *progress, const GError *error)
{
    cli_progress_end(progress, FALSE);
    return cli_fail(error);
}

static int
copy_disk(const OsImage *image, const char *filename)
{
    g_autoptr(GError) error = NULL;
    g_auto(AutoFd) fd = open(image->disk, O_RDONLY | O_CLOEXEC);
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    if (size < 0)
        return cli_fail_with(HB_INFRASTRUCTURE, "cannot read %s", image->disk);
    g_autoptr(CliProgress) progress = cli_progress_new();
    g_autofree char *name = g_filename_display_basename(filename);
    g_autofree char *what = g_strdup_printf("copying the disk to %s", name);
    cli_progress_step(progress, what);
    g_autoptr(ReplaceFile) file = replace_file_new(filename, &error);
    gboolean is_copied = file && sparse_duplicate(fd, file->fd, size, &error);
    if (file && !is_copied)
        g_prefix_error(&error, "%s: ", filename);
    if (!is_copied || !replace_file_commit(file, &error))
        return fail(progress, error);
    cli_progress_end(progress, TRUE);
    return HB_OK;
}

static int
build(const Options *options, const OsImageRequest *request)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(CliProgress) progress = cli_progress_new();
    cli_progress_step(progress, "reading what the image is made from");
    g_autoptr(OsImage) image = os_image_prepare(request, cli_progress_event, progress,
                                                g_cancellable_get_current(), &error);
    if (!image)
        return fail(progress, error);
    cli_progress_end(progress, TRUE);
    printf("%.12s  %s  %s  %s\n", image->key, image->from, image->name, image->release);
    return options->output ? copy_disk(image, options->output) : HB_OK;
}

static OsImageRequest
new_request(const Options *options)
{
    return (OsImageRequest){
        .size_bytes = options->size ? options->size_bytes : LAB_AUTO,
        .ssh_key = options->ssh_key,
        .mirror = options->mirror,
        .proxy = options->proxy,
        .agent = options->agent,
        .suites_dir = options->suites,
        .emulator = options->emulator,
        .force_tcg = options->force_tcg,
    };
}

/* What an image is made from whose lab says only the system; NULL: *STATUS is set. */
static char *
base_of_system(const char *os, int *status)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(CliProgress) progress = cli_progress_new();
    char *from = os_image_of_system(os, cli_progress_event, progress,
                                    g_cancellable_get_current(), &error);
    cli_progress_end(progress, from != NULL);
    if (!from)
        *status = cli_fail(error);
    return from;
}

/* What the command line says besides goes before what the lab says. */
static int
build_of_host(const Options *options, const LabHost *host)
{
    int status = HB_OK;
    g_autofree char *from = NULL;
    OsImageRequest request = new_request(options);
    os_image_request_take(&request, host->image);
    if (request.from && !check_files(options, "the base", request.from, &status))
        return status;
    if (!request.from) {
        from = base_of_system(host->os, &status);
        request.from = from;
    }
    if (options->size)
        request.size_bytes = options->size_bytes;
    request.ssh_key = options->ssh_key ? options->ssh_key : request.ssh_key;
    request.mirror = options->mirror ? options->mirror : request.mirror;
    request.proxy = options->proxy ? options->proxy : request.proxy;
    return request.from ? build(options, &request) : status;
}

static int
build_of_lab(const Options *options, const char *filename)
{
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(Lab) lab = lab_parse_file(filename, findings);
    int status = cli_findings(findings);
    if (!lab || !findings_ok(findings))
        return status;
    guint count = 0;
    g_autoptr(Findings) sources = findings_new();
    for (guint i = 0; i < lab->hosts->len; i++) {
        const LabHost *host = lab->hosts->pdata[i];
        count += host->image != NULL;
        if (host->image)
            os_image_check(host->image, FINDING_ERROR, sources);
    }
    if (!findings_ok(sources))
        return cli_findings(sources);
    if (options->output && count > 1)
        return cli_fail_with(HB_USAGE,
                             "-o names one file, and %u hosts of %s have an <image>",
                             count, filename);
    for (guint i = 0; i < lab->hosts->len && status == HB_OK; i++) {
        const LabHost *host = lab->hosts->pdata[i];
        if (host->image)
            status = build_of_host(options, host);
    }
    return status == HB_OK && count == 0
               ? cli_fail_with(HB_USAGE, "no host of %s has an <image>", filename)
               : status;
}

/* A name is a recipe's, unless there is only a file of that name. */
static int
build_of_base(const Options *options, const char *from)
{
    gboolean is_file = !strchr(from, '/') && !os_image_is_recipe(from) &&
                       g_file_test(from, G_FILE_TEST_EXISTS);
    g_autofree char *path = is_file ? g_build_filename(".", from, NULL) : g_strdup(from);
    OsImageRequest request = new_request(options);
    request.from = path;
    return build(options, &request);
}

/* ---- the command
 * ----------------------------------------------------------------------------------- */

static gboolean
find_machine(Options *options, GError **error)
{
    g_autoptr(CliProgress) progress = cli_progress_new();
    options->emulator = emulator_find(options->machine.emulator, error);
    if (!options->emulator)
        return FALSE;
    cli_progress_step(progress, "trying whether KVM works");
    g_autoptr(AccelVerdict) verdict =
        accel_decide(cli_accel(&options->machine), options->emulator, error);
    if (!verdict)
        return FALSE;
    cli_progress_end(progress, TRUE);
    options->force_tcg = verdict->accel == ACCEL_TCG;
    options->agent = libexec_path("hostbed-agent");
    options->suites = libexec_path("suites");
    return TRUE;
}

static int
check(Options *options, int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    if (argc < 2)
        return cli_fail_with(HB_USAGE,
                             "'hostbed image build' needs to know what an image "
                             "is made from: a recipe, a disk, a tarball, a "
                             "folder, or labs");
    if (options->size && !units_parse_size(options->size, &options->size_bytes, &error))
        return cli_fail_with(HB_USAGE, "--size '%s' %s", options->size, error->message);
    if (options->size && !lab_image_is_size(options->size_bytes))
        return cli_fail_with(HB_USAGE,
                             "--size '%s' is not of whole MiB, from 64 MiB to 64 TiB",
                             options->size);
    if (options->output && argc > 2)
        return cli_fail_with(HB_USAGE, "-o names one file; build one image");
    int status = HB_OK;
    const char *what = g_str_has_suffix(argv[1], ".xml") ? "the lab" : "the base";
    if (!check_files(options, what, argv[1], &status))
        return status;
    /* Not minutes later. */
    g_autoptr(ReplaceFile) file =
        options->output ? replace_file_new(options->output, &error) : NULL;
    if (error)
        return cli_fail(error);
    return find_machine(options, &error) ? HB_OK : cli_fail(error);
}

int
cmd_image_build(int argc, char **argv)
{
    g_auto(Options) options = {.size_bytes = LAB_AUTO};
    const GOptionEntry entries[] = {
        {"size", 0, 0, G_OPTION_ARG_STRING, &options.size,
         "Of the disk, at least: '16 GiB'", "SIZE"},
        {"ssh-key", 0, 0, G_OPTION_ARG_FILENAME, &options.ssh_key,
         "A public key that may log in as root", "FILE"},
        {"mirror", 0, 0, G_OPTION_ARG_STRING, &options.mirror, "Where packages come from",
         "URL"},
        {"proxy", 0, 0, G_OPTION_ARG_STRING, &options.proxy, "The proxy for packages",
         "URL"},
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &options.output,
         "Copy the disk to FILE, too", "FILE"},
        {NULL},
    };
    int status;
    if (!cli_parse("image build", &argc, &argv, entries, &options.machine, &status))
        return status;
    g_autoptr(CliInterrupt) interrupt = cli_interrupt_new();
    status = check(&options, argc, argv);
    for (int i = 1; i < argc && status == HB_OK; i++)
        status = g_str_has_suffix(argv[i], ".xml") ? build_of_lab(&options, argv[i])
                                                   : build_of_base(&options, argv[i]);
    return status;
}
