/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Finds emulators, and keeps what was learnt about each under the user's cache directory,
 * by the identity of its binary. A file that is damaged or of another form is made anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "child.h"
#include "emulator-probe.h"
#include "error.h"

#define CACHE_KIND "emulators"
#define CACHE_MAX_BYTES (16 * 1024 * 1024)
/* Counts up when the probe learns to ask more. */
#define PROBE_REVISION 2

/* ---- which emulators there are
 * ------------------------------------------------------------- */

/* Names looked for in PATH, and the places where distributions hide theirs (RHEL, CentOS,
 * Fedora; SUSE; Arch; old Debian). */
static const char *const usual_places[] = {
    "qemu-system-x86_64",
    "qemu-kvm",
    "/usr/libexec/qemu-kvm",
    "/usr/bin/qemu-kvm",
    "/usr/lib/qemu/qemu-kvm",
    "/usr/lib/qemu/bin/qemu-system-x86_64",
    "/usr/local/bin/qemu-system-x86_64",
    NULL,
};

GPtrArray *
emulator_list(void)
{
    GPtrArray *found = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; usual_places[i]; i++) {
        g_autofree char *path = g_find_program_in_path(usual_places[i]);
        g_autofree char *real = path ? realpath(path, NULL) : NULL;
        gboolean known = FALSE;
        for (guint j = 0; real && j < found->len; j++) {
            g_autofree char *other = realpath(g_ptr_array_index(found, j), NULL);
            known = known || g_strcmp0(real, other) == 0;
        }
        if (real && !known)
            g_ptr_array_add(found, g_steal_pointer(&path));
    }
    return found;
}

static char *
find_given(const char *path, GError **error)
{
    char *found = g_find_program_in_path(path);
    if (found)
        return found;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "the emulator %s %s", path,
                g_file_test(path, G_FILE_TEST_EXISTS) ? "is not a program that can be run"
                                                      : "does not exist");
    return NULL;
}

char *
emulator_find(const char *path, GError **error)
{
    if (!path)
        path = g_getenv("HOSTBED_EMULATOR");
    if (path && *path)
        return find_given(path, error);
    g_autoptr(GPtrArray) found = emulator_list();
    if (found->len > 0)
        return g_strdup(g_ptr_array_index(found, 0));
    g_set_error_literal(
        error, HB_ERROR, HB_INFRASTRUCTURE,
        "no emulator was found in PATH or qemu-kvm's usual places; install "
        "qemu-system-x86 (Debian) or qemu-system-x86-core (Fedora), or name "
        "one with --emulator");
    return NULL;
}

/* ---- identity
 * -------------------------------------------------------------------------------- */

static void
add_stat(GString *identity, const char *path)
{
    struct stat about;
    if (stat(path, &about) != 0)
        return;
    g_string_append_printf(
        identity, "%s %ju:%ju %ju %jd.%09ld %jd.%09ld\n", path, (uintmax_t)about.st_dev,
        (uintmax_t)about.st_ino, (uintmax_t)about.st_size, (intmax_t)about.st_mtim.tv_sec,
        about.st_mtim.tv_nsec, (intmax_t)about.st_ctim.tv_sec, about.st_ctim.tv_nsec);
}

static gboolean
is_script(const char *path)
{
    char magic[2] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd >= 0 ? read(fd, magic, sizeof magic) : 0;
    if (fd >= 0)
        close(fd);
    return n == 2 && memcmp(magic, "#!", 2) == 0;
}

/* The folders from which QEMU loads device models as modules: installing one more package
 * changes what the same binary can do. */
static void
add_modules(GString *identity)
{
    static const char *const folders[] = {"/usr/lib/x86_64-linux-gnu/qemu",
                                          "/usr/lib64/qemu-kvm", "/usr/lib64/qemu",
                                          "/usr/lib/qemu", NULL};
    for (guint i = 0; folders[i]; i++)
        add_stat(identity, folders[i]);
    const char *folder = g_getenv("QEMU_MODULE_DIR");
    if (folder)
        add_stat(identity, folder);
}

/* What the program behind a wrapper script says of itself. A rebuilt emulator of the same
 * version behind the same script goes unnoticed; touching the script helps. One that says
 * nothing in the time for a greeting will not greet either. */
static gboolean
add_version(GString *identity, const char *binary)
{
    int code;
    g_autoptr(Child) child =
        child_start((const char *const[]){binary, "--version", NULL}, -1, TRUE, NULL);
    if (!child || !child_wait(child, EMULATOR_ANSWER_MS, &code))
        return !child;
    g_autofree char *line = child_first_line(child);
    g_string_append_printf(identity, "%s\n", line);
    return TRUE;
}

/* *MUTE: it did not come to an end when it was asked for its version. */
static char *
identify(const char *binary, const char *const *data_dirs, gboolean *mute)
{
    *mute = FALSE;
    GString *identity = g_string_new(NULL);
    g_autofree char *real = realpath(binary, NULL);
    g_string_append_printf(identity, "probe %d\n", PROBE_REVISION);
    add_stat(identity, real ? real : binary);
    add_modules(identity);
    for (guint i = 0; data_dirs && data_dirs[i]; i++)
        add_stat(identity, data_dirs[i]);
    if (is_script(real ? real : binary))
        *mute = !add_version(identity, binary);
    char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, identity->str, -1);
    g_string_free(identity, TRUE);
    return digest;
}

char *
emulator_identity(const char *binary, const char *const *data_dirs)
{
    gboolean mute;
    return identify(binary, data_dirs, &mute);
}

/* ---- the cache
 * ------------------------------------------------------------------------------- */

static Emulator *
read_cached(const char *name)
{
    g_autofree char *path = cache_lookup(CACHE_KIND, name);
    return path ? emulator_load(path, NULL) : NULL;
}

/* A cache that cannot be written only costs time. */
static void
write_cached(const char *name, const Emulator *emulator)
{
    g_autoptr(CacheWriter) writer = cache_writer_new(CACHE_KIND, name, NULL);
    g_autofree char *json = emulator_to_json(emulator);
    gsize left = strlen(json);
    const char *next = json;
    while (writer && left > 0) {
        ssize_t n = write(writer->fd, next, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        next += n;
        left -= (gsize)n;
    }
    g_autofree char *path = writer ? cache_writer_commit(writer, NULL) : NULL;
    if (path)
        cache_prune(CACHE_KIND, CACHE_MAX_BYTES);
}

Emulator *
emulator_probe(const char *binary, const char *const *data_dirs, GError **error)
{
    gboolean mute;
    g_autofree char *identity = identify(binary, data_dirs, &mute);
    if (mute && g_cancellable_is_cancelled(g_cancellable_get_current())) {
        g_set_error(error, HB_ERROR, HB_INTERRUPTED,
                    "interrupted while %s was asked for its version", binary);
        return NULL;
    }
    if (mute) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "%s did not answer as QEMU does: %s --version did not end in %d s",
                    binary, binary, EMULATOR_ANSWER_MS / 1000);
        return NULL;
    }
    g_autofree char *name = g_strconcat(identity, ".json", NULL);
    Emulator *emulator = read_cached(name);
    if (!emulator) {
        emulator = emulator_ask(binary, data_dirs, EMULATOR_ANSWER_MS, error);
        if (!emulator)
            return NULL;
        write_cached(name, emulator);
    }
    g_free(emulator->binary);
    emulator->binary = g_strdup(binary);
    emulator->identity = g_steal_pointer(&identity);
    return emulator;
}
