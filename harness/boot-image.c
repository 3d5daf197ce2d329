/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Hosts that boot the image of an operating system: the image prepared, its kernel as the
 * emulator starts it best, its disk shared by all who start from it, and what each host
 * writes kept apart.
 */
#include "boot-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autoptr.h"
#include "error.h"
#include "libexec.h"
#include "os-image-system.h"
#include "os-image.h"
#include "overlay.h"
#include "printable.h"

/* Loading is quick; under emulation each driver takes its time to find its devices. */
#define MODPROBE_MS 120000
#define REASON_MAX 300

/* What would be put into the micro image, and the way to have it here. */
static gboolean
check_options(const BootOptions *options, GError **error)
{
    const struct {
        gboolean given;
        const char *what;
    } parts[] = {
        {options->kernel != NULL,
         "--kernel names a kernel for the micro image; this host "
         "boots the one in its <image>, so leave it out"},
        {options->programs && *options->programs,
         "--with puts programs of this machine into the micro image; a host with an "
         "<image> gets them by <package> or <copy> in it"},
        {options->copies && *options->copies,
         "--copy puts files into the micro image; a host with an <image> gets them by "
         "<copy> in it"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(parts); i++)
        if (parts[i].given) {
            g_set_error_literal(error, HB_ERROR, HB_USAGE, parts[i].what);
            return FALSE;
        }
    return TRUE;
}

typedef struct {
    const BootOptions *options;
    const char *said; /* last; static */
} Progress;

/* The step's name stays as long as we do, and there are few of them. */
static void
on_event(JsonObject *event, gpointer user_data)
{
    Progress *progress = user_data;
    const char *what = json_object_get_string_member_with_default(event, "what", NULL);
    if (!what)
        return;
    g_autofree char *text = printable(what, strlen(what), 60);
    g_autofree char *line = g_strdup_printf("preparing the image: %s", text);
    if (g_strcmp0(line, progress->said) == 0)
        return;
    progress->said = g_intern_string(line);
    boot_step_before(progress->options, progress->said);
}

static OsImage *
prepare_image(const BootRecipe *recipe, const BootOptions *options, GError **error)
{
    const LabImage *image = options->plan->image;
    Progress progress = {options, NULL};
    g_autofree char *agent = libexec_path("hostbed-agent");
    g_autofree char *suites = libexec_path("suites");
    OsImageRequest request = {
        .cmdline = image->loader ? options->plan->cmdline : NULL,
        .agent = agent,
        .suites_dir = suites,
        .emulator = options->emulator,
        .force_tcg = recipe->accel->accel != ACCEL_KVM,
    };
    os_image_request_take(&request, image);
    g_autofree char *from =
        image->from ? NULL
                    : os_image_of_system(options->plan->os, on_event, &progress,
                                         options->interrupt, error);
    if (!image->from && !from)
        return NULL;
    request.from = from ? from : request.from;
    return os_image_prepare(&request, on_event, &progress, options->interrupt, error);
}

/* The kernel for messages, and unless the boot loader starts one, as a file. */
static gboolean
take_kernel(BootRecipe *recipe, const OsImage *image, GError **error)
{
    const Plan *plan = recipe->plan;
    recipe->kernel = kernel_find(image->kernel, error);
    if (!recipe->kernel)
        return FALSE;
    g_free(recipe->kernel->origin);
    recipe->kernel->origin = g_strdup_printf("%s, image %.12s", image->name, image->key);
    if (plan->image->loader)
        return TRUE;
    recipe->kernel_file = plan->firmware == LAB_FIRMWARE_EFI
                              ? kernel_efi_file(recipe->kernel, error)
                              : kernel_boot_file(recipe->kernel, error);
    recipe->initrd_file = g_strdup(image->initrd);
    return recipe->kernel_file != NULL;
}

/* Whoever has the disk, the recipe and its starts, uses the image. */
static gboolean
take_disk(BootRecipe *recipe, OsImage *image, GError **error)
{
    recipe->disk_fds = boot_fds_new();
    g_array_append_val(recipe->disk_fds, image->disk_fd);
    image->disk_fd = -1;
    recipe->disk_bytes = image->capacity;
    recipe->root_words = g_strdup(image->root);
    recipe->image_file = g_strdup(image->disk);
    if (strlen(image->root) < PLAN_ROOT_MAX)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                "the image %s needs more than %d bytes of the kernel's command line to "
                "say where its root is",
                image->path, PLAN_ROOT_MAX - 1);
    return FALSE;
}

gboolean
boot_take_image(BootRecipe *recipe, const BootOptions *options, GError **error)
{
    if (!check_options(options, error))
        return FALSE;
    boot_step_before(options, "preparing the image");
    g_autoptr(OsImage) image = prepare_image(recipe, options, error);
    return image && take_kernel(recipe, image, error) && take_disk(recipe, image, error);
}

gint64
boot_disk_bytes(const Boot *boot)
{
    return boot->recipe->disk_fds ? boot->recipe->disk_bytes : 0;
}

/* ---- the disk of one start
 * ------------------------------------------------------------------------------ */

GArray *
boot_copy_fds(const GArray *from, GError **error)
{
    g_autoptr(GArray) fds = boot_fds_new();
    for (guint i = 0; i < from->len; i++) {
        int fd = fcntl(g_array_index(from, int, i), F_DUPFD_CLOEXEC, 3);
        if (fd < 0) {
            g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot share a disk: %s",
                        g_strerror(errno));
            return NULL;
        }
        g_array_append_val(fds, fd);
    }
    return g_steal_pointer(&fds);
}

static GArray *
make_disk(const BootRecipe *recipe, GError **error)
{
    g_autoptr(GArray) fds = boot_copy_fds(recipe->disk_fds, error);
    int fd = fds ? overlay_new(recipe->disk_bytes, error) : -1;
    if (fd < 0)
        return NULL;
    g_array_append_val(fds, fd);
    return g_steal_pointer(&fds);
}

/* Whether A and B begin with the same file. */
static gboolean
is_same_base(const GArray *a, const GArray *b)
{
    struct stat x, y;
    return fstat(g_array_index(a, int, 0), &x) == 0 &&
           fstat(g_array_index(b, int, 0), &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

gboolean
boot_take_disk(Boot *boot, const GArray *before, GError **error)
{
    const GArray *base = boot->recipe->disk_fds;
    if (before && base && is_same_base(before, base))
        boot->disk_fds = boot_copy_fds(before, error);
    else if (base)
        boot->disk_fds = make_disk(boot->recipe, error);
    return !base || boot->disk_fds;
}

/* ---- modules
 * ------------------------------------------------------------------------------------------
 */

static void
on_output(int stream, const guint8 *data, gsize length, gpointer user_data)
{
    GString *said = user_data;
    g_string_append_len(said, (const char *)data,
                        (gssize)MIN(length, REASON_MAX - said->len));
}

gboolean
boot_load_modules(Boot *boot, const char *const *modules, GError **error)
{
    if (!boot->recipe->disk_fds || !modules || !*modules)
        return TRUE;
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_strv_builder_add_many(builder, "modprobe", "-a", "--", NULL);
    g_strv_builder_addv(builder, (const char **)modules);
    g_auto(GStrv) argv = g_strv_builder_end(builder);
    g_autoptr(GString) said = g_string_new(NULL);
    GuestExit end = {0};
    const GuestCommand command = {
        .argv = (const char *const *)argv,
        .stdin_fd = -1,
        .stdout_fd = -1,
        .stderr_fd = -1,
        .output = on_output,
        .user_data = said,
        .timeout_ms = MODPROBE_MS,
    };
    if (!guest_run(boot->guest, &command, &end, boot_cancellable(boot), error)) {
        boot_explain(boot, error);
        return FALSE;
    }
    if (end.status == 0 && end.signal == 0 && !end.timed_out)
        return TRUE;
    g_strchomp(said->str);
    g_autofree char *reason = printable(said->str, strlen(said->str), REASON_MAX);
    g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                "the image cannot load what the host is to have: %s",
                *reason ? reason : "modprobe gave no reason");
    return FALSE;
}
