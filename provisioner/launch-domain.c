/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A machine that libvirt starts: hostbed-domain takes the emulator's place, with the
 * emulator's descriptors and the domain in one more.
 */
#include "launch-private.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "domain-place.h"
#include "error.h"
#include "libexec.h"

#define PROGRAM "hostbed-domain"

static gboolean
refuse(const MachineOptions *options, const char *what, GError **error)
{
    g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                "%s:%d: libvirt cannot start this host: %s; leave --connect out",
                options->plan->pos.file, options->plan->pos.line, what);
    return FALSE;
}

/* Frames that do not leave the emulator are written by it, which cannot write to the
 * user's files where it is another's. */
static gboolean
check_capture(const MachineOptions *options, GError **error)
{
    g_autoptr(GPtrArray) networks = options->port_fds ? plan_own_networks(options->plan)
                                                      : plan_networks(options->plan);
    if (!options->capture || networks->len == 0 || domain_place_is_own(options->connect))
        return TRUE;
    g_autofree char *what = g_strdup_printf(
        "what passes on network '%s', which does not leave it, can be captured by your "
        "own libvirt only, qemu:///session",
        (const char *)networks->pdata[0]);
    return refuse(options, what, error);
}

/* What the emulator gets from hostbed as descriptors does not go through libvirt. */
static gboolean
check(const MachineOptions *options, GError **error)
{
    if (options->disk_fds && options->persistent)
        return refuse(
            options,
            "the disk of its image ends with it, and --persistent would have it stay",
            error);
    if (!check_capture(options, error))
        return FALSE;
    if (options->memory_fds || options->clone)
        return refuse(options, "no template can be made of a host of libvirt's", error);
    return TRUE;
}

static int
put_in_memory(const GString *text, GError **error)
{
    int fd = memfd_create("domain", MFD_CLOEXEC);
    if (fd >= 0 && write(fd, text->str, text->len) == (ssize_t)text->len)
        return fd;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot hold the domain: %s",
                g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static char *
option_fd(const char *name, int fd)
{
    return g_strdup_printf("--%s=%d", name, fd);
}

static GString *
describe(const MachineOptions *options, const char *const *disk_files)
{
    const EmitDomain start = {
        .accel = options->accel,
        .emulator = options->emulator,
        .kernel = options->kernel,
        .initrd = options->initrd,
        .root_words = options->root_words,
        .cmdline_extra = options->cmdline_extra,
        .disk_files = disk_files,
        .more_args = options->extra_args,
        .has_ports = options->port_fds != NULL,
        .capture_dir = options->capture ? options->log_dir : NULL,
    };
    GString *xml = g_string_new(NULL);
    emit_libvirt_domain(options->plan, &start, xml);
    return xml;
}

/* ---- the same by hand
 * --------------------------------------------------------------------------- */

/* The files of an image's disk as they have names: what the host writes gets one. NULL:
 * there is no image. */
static GStrv
files_by_hand(const MachineOptions *options)
{
    if (!options->disk_fds)
        return NULL;
    g_autofree char *link =
        g_strdup_printf("/proc/self/fd/%d", g_array_index(options->disk_fds, int, 0));
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_autofree char *image = g_file_read_link(link, NULL);
    g_autofree char *own = g_build_filename(options->log_dir, MACHINE_DISK_BY_HAND, NULL);
    g_strv_builder_add_many(builder, image ? image : link, own, NULL);
    return g_strv_builder_end(builder);
}

static void
log_domain(const MachineOptions *options)
{
    g_auto(GStrv) files = files_by_hand(options);
    g_autoptr(GString) xml = describe(options, (const char *const *)files);
    log_dir_put(options->log_dir, "domain.xml", xml->str, 0600);
}

void
machine_write_domain_command(const MachineOptions *options)
{
    g_auto(GStrv) files = files_by_hand(options);
    g_autofree char *uri = g_shell_quote(options->connect);
    g_autofree char *file = g_build_filename(options->log_dir, "domain.xml", NULL);
    g_autofree char *quoted = g_shell_quote(file);
    g_autoptr(GString) text =
        g_string_new("#!/bin/sh\n# the same machine by hand, without an agent's peer\n");
    if (files)
        machine_append_disk(text, files[0], files[1]);
    g_string_append_printf(text, "exec virsh -c %s create %s --console --autodestroy\n",
                           uri, quoted);
    log_dir_put(options->log_dir, "command", text->str, 0700);
}

/* ---- the start
 * ----------------------------------------------------------------------------------- */

GStrv
machine_domain_argv(const MachineOptions *options, const EmitRuntime *channels,
                    int *xml_fd, GError **error)
{
    g_autofree char *program = libexec_path(PROGRAM);
    if (!check(options, error))
        return NULL;
    if (access(program, X_OK) != 0) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "%s is not there, without which nothing is started by libvirt: "
                    "hostbed was built without libvirt (Debian: libvirt-dev; Fedora: "
                    "libvirt-devel)",
                    program);
        return NULL;
    }
    g_autoptr(GString) xml = describe(options, channels->disk_files);
    log_domain(options);
    *xml_fd = put_in_memory(xml, error);
    if (*xml_fd < 0)
        return NULL;
    const char *words[] = {program, "--connect", options->connect, NULL};
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_strv_builder_addv(builder, words);
    if (options->persistent)
        g_strv_builder_add(builder, "--persistent");
    const struct {
        const char *name;
        int fd;
    } fds[] = {{"xml-fd", *xml_fd},
               {"qmp-fd", channels->qmp_fd},
               {"agent-fd", channels->agent_fd},
               {"console-fd", channels->console_fd}};
    for (gsize i = 0; i < G_N_ELEMENTS(fds); i++) {
        g_autofree char *word = option_fd(fds[i].name, fds[i].fd);
        g_strv_builder_add(builder, word);
    }
    for (guint i = 0; options->port_fds && i < options->port_fds->len; i++) {
        g_autofree char *word =
            option_fd("port-fd", g_array_index(options->port_fds, int, i));
        g_strv_builder_add(builder, word);
    }
    return g_strv_builder_end(builder);
}

/* What libvirt's library asks for. */
const char *const machine_domain_environment[] = {
    "USER",
    "LOGNAME",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "SSH_AUTH_SOCK",
    "KRB5CCNAME",
    "LIBVIRT_DEBUG",
    "LIBVIRT_LOG_OUTPUTS",
    NULL,
};
