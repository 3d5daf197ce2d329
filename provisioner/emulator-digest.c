/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What of an emulator decides what a host becomes: the content of its program, of a
 * script also that of the one behind it, and of the firmware that it brings. Where these
 * are is asked of it once and remembered, of a script each time, since it may start
 * another one meanwhile; their content is remembered, too (digest.h).
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autoptr.h"
#include "cache.h"
#include "child.h"
#include "digest.h"
#include "emulator-probe.h"
#include "error.h"
#include "qmp.h"
#include "unpack.h"

#define KIND "emulators"
#define MAXIMUM_CACHE ((goffset)16 << 20)

/* What a q35 that is given a kernel loads, where the emulator has it. */
static const char *const firmware[] = {"bios-256k.bin", "kvmvapic.bin", "pvh.bin",
                                       "linuxboot_dma.bin", "multiboot_dma.bin"};

/* The program's path, then folders of firmware. */
static GStrv
recall(const char *name)
{
    g_autofree char *path = cache_lookup(KIND, name);
    g_autofree char *text = NULL;
    if (!path || !g_file_get_contents(path, &text, NULL, NULL))
        return NULL;
    g_auto(GStrv) lines = g_strsplit(g_strchomp(text), "\n", -1);
    return lines[0] && access(lines[0], X_OK) == 0 ? g_steal_pointer(&lines) : NULL;
}

static void
remember(const char *name, GStrv lines)
{
    g_autoptr(CacheWriter) writer = cache_writer_new(KIND, name, NULL);
    g_autofree char *text = g_strjoinv("\n", lines);
    if (!writer || !unpack_write_all(writer->fd, text, strlen(text), name, NULL))
        return;
    g_autofree char *path = cache_writer_commit(writer, NULL);
    if (path)
        cache_prune(KIND, MAXIMUM_CACHE);
}

static gboolean
is_shell(const char *program)
{
    g_autofree char *name = g_path_get_basename(program);
    static const char *const shells[] = {"sh",      "bash",   "dash", "busybox",
                                         "python3", "python", "perl", NULL};
    return g_strv_contains(shells, name) || g_str_has_prefix(name, "python3.");
}

/* What a process runs; a script that waits for what it has started runs that. */
static char *
program_of(GPid pid)
{
    g_autofree char *link = g_strdup_printf("/proc/%d/exe", pid);
    g_autofree char *program = g_file_read_link(link, NULL);
    g_autofree char *list = g_strdup_printf("/proc/%d/task/%d/children", pid, pid);
    g_autofree char *children = NULL;
    if (!program || !is_shell(program) ||
        !g_file_get_contents(list, &children, NULL, NULL))
        return g_steal_pointer(&program);
    int child = atoi(children);
    return child > 0 ? program_of(child) : g_steal_pointer(&program);
}

static gboolean
is_script(const char *path)
{
    char magic[2] = "";
    g_auto(AutoFd) fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd >= 0 && read(fd, magic, 2) == 2 && memcmp(magic, "#!", 2) == 0;
}

/* Whoever greets is the emulator itself, whatever started it. */
static char *
ask_for_program(const char *binary, GError **error)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        g_set_error_literal(error, HB_ERROR, HB_INFRASTRUCTURE,
                            "cannot make a pair of sockets");
        return NULL;
    }
    const char *const argv[] = {binary,
                                "-nodefaults",
                                "-no-user-config",
                                "-display",
                                "none",
                                "-machine",
                                "none",
                                "-S",
                                "-chardev",
                                "socket,id=qmp,fd=3",
                                "-mon",
                                "chardev=qmp,mode=control",
                                NULL};
    g_autoptr(Qmp) qmp = qmp_new(pair[0]);
    g_autoptr(Child) child = child_start(argv, pair[1], FALSE, error);
    if (!child || !qmp_connect(qmp, EMULATOR_ANSWER_MS, error))
        return NULL;
    char *program = program_of(child_pid(child));
    if (!program)
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "the program behind %s cannot be found", binary);
    return program;
}

static char *
ask_for_folders(const char *binary)
{
    int code;
    const char *const argv[] = {binary, "-L", "help", NULL};
    g_autoptr(Child) child = child_start(argv, -1, TRUE, NULL);
    if (!child || !child_wait(child, EMULATOR_ANSWER_MS, &code) || code != 0)
        return g_strdup("");
    return child_output(child);
}

static GStrv
ask_for_parts(const char *binary, gboolean script, GError **error)
{
    g_autofree char *program =
        script ? ask_for_program(binary, error) : realpath(binary, NULL);
    if (!program)
        return NULL;
    g_autofree char *folders = ask_for_folders(binary);
    g_autofree char *all = g_strconcat(program, "\n", folders, NULL);
    return g_strsplit(g_strchomp(all), "\n", -1);
}

static GStrv
find_parts(const char *binary, gboolean script, GError **error)
{
    struct stat st;
    if (stat(binary, &st) != 0) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "there is no emulator %s",
                    binary);
        return NULL;
    }
    g_autofree char *text =
        g_strdup_printf("parts %s %ju:%ju %ju %jd.%09ld", binary, (uintmax_t)st.st_dev,
                        (uintmax_t)st.st_ino, (uintmax_t)st.st_size,
                        (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    g_autofree char *name = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
    GStrv lines = script ? NULL : recall(name);
    if (lines)
        return lines;
    lines = ask_for_parts(binary, script, error);
    if (lines && !script)
        remember(name, lines);
    return lines;
}

static gboolean
add_firmware(GString *text, GStrv folders, const char *name, GError **error)
{
    for (guint i = 0; folders[i]; i++) {
        g_autofree char *path = g_build_filename(folders[i], name, NULL);
        if (access(path, R_OK) != 0)
            continue;
        g_autofree char *digest = digest_file(path, error);
        if (digest)
            g_string_append_printf(text, "%s %s\n", name, digest);
        return digest != NULL;
    }
    return TRUE;
}

gboolean
emulator_digests(const char *binary, char **program, char **its_firmware, GError **error)
{
    gboolean script = is_script(binary);
    g_auto(GStrv) lines = find_parts(binary, script, error);
    g_autofree char *digest = lines ? digest_file(lines[0], error) : NULL;
    g_autofree char *its_own = digest && script ? digest_file(binary, error) : NULL;
    if (!digest || (script && !its_own))
        return FALSE;
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < G_N_ELEMENTS(firmware); i++)
        if (!add_firmware(text, lines + 1, firmware[i], error))
            return FALSE;
    *program = script ? g_strjoin(" ", its_own, digest, NULL) : g_steal_pointer(&digest);
    *its_firmware = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text->str, -1);
    return TRUE;
}
