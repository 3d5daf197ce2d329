/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Where root runs it, libguestfs puts its sockets below /tmp, whatever it is told, and
 * only who ends in order removes them. So root gets a /tmp of its own, which goes with us
 * however we end, with what the order needs of the real one in its place. An order that
 * needs all of it is carried out in the real one.
 */
#include "prepare.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* As many as Linux follows. */
#define LINKS_MAX 40

typedef struct {
    char *path;
    int fd;
} Kept;

static void
keep_place(GArray *kept, const char *place)
{
    Kept one = {NULL, -1};
    if (g_str_has_prefix(place, "/tmp/"))
        one.fd = open(place, O_PATH | O_CLOEXEC);
    if (one.fd < 0)
        return;
    one.path = g_strdup(place);
    g_array_append_val(kept, one);
}

/* With all that it leads through, if it is a link, and with what it comes to. */
static void
keep(GArray *kept, const char *path)
{
    g_autofree char *place = path ? g_canonicalize_filename(path, NULL) : NULL;
    g_autofree char *end = place ? realpath(place, NULL) : NULL;
    if (end)
        keep_place(kept, end);
    for (guint i = 0; end && place && i < LINKS_MAX; i++) {
        g_autofree char *before = g_steal_pointer(&place);
        g_autofree char *above = g_path_get_dirname(before);
        g_autofree char *target = g_file_read_link(before, NULL);
        keep_place(kept, before);
        place = target ? g_canonicalize_filename(target, above) : NULL;
    }
}

/* Whether PATH (or NULL) leads to /tmp, or to the folder above it. */
static gboolean
holds_tmp(const char *path)
{
    g_autofree char *end = path ? realpath(path, NULL) : NULL;
    return end && (g_str_equal(end, "/tmp") || g_str_equal(end, "/"));
}

static gboolean
needs_real_tmp(JsonObject *order)
{
    JsonArray *steps = json_object_get_array_member(order, "steps");
    if (holds_tmp(json_object_get_string_member_with_default(order, "path", NULL)))
        return TRUE;
    for (guint i = 0; i < json_array_get_length(steps); i++) {
        JsonObject *step = json_array_get_object_element(steps, i);
        if (holds_tmp(json_object_get_string_member_with_default(step, "from", NULL)))
            return TRUE;
    }
    return FALSE;
}

static void
keep_all(GArray *kept, JsonObject *order)
{
    static const char *const names[] = {"folder",   "path",   "cache",
                                        "emulator", "kernel", "kernel_modules"};
    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        keep(kept, json_object_get_string_member_with_default(order, names[i], NULL));
    keep(kept, g_getenv("LIBGUESTFS_HV"));
    JsonArray *steps = json_object_get_array_member(order, "steps");
    for (guint i = 0; i < json_array_get_length(steps); i++) {
        JsonObject *step = json_array_get_object_element(steps, i);
        keep(kept, json_object_get_string_member_with_default(step, "from", NULL));
    }
}

static void
put_back(const Kept *one)
{
    struct stat st;
    g_autofree char *source = g_strdup_printf("/proc/self/fd/%d", one->fd);
    g_autofree char *above = g_path_get_dirname(one->path);
    g_mkdir_with_parents(above, 0755);
    if (fstat(one->fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        g_mkdir_with_parents(one->path, 0755);
    } else {
        int fd = open(one->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd >= 0)
            close(fd);
    }
    if (mount(source, one->path, NULL, MS_BIND, NULL) != 0)
        g_warning("%s cannot be used: %m", one->path);
}

void
prepare_own_tmp(JsonObject *order)
{
    if (geteuid() != 0 || needs_real_tmp(order) || unshare(CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return;
    g_autoptr(GArray) kept = g_array_new(FALSE, FALSE, sizeof(Kept));
    keep_all(kept, order);
    gboolean is_ours = mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777") == 0;
    /* Of a user's own folder, as pam_tmpdir makes one, supermin makes use. */
    const char *folder = g_getenv("TMPDIR");
    if (is_ours && folder && g_str_has_prefix(folder, "/tmp/"))
        g_mkdir_with_parents(folder, 0700);
    for (guint i = 0; i < kept->len; i++) {
        Kept *one = &g_array_index(kept, Kept, i);
        if (is_ours)
            put_back(one);
        close(one->fd);
        g_free(one->path);
    }
}
