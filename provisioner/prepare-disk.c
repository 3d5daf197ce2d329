/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The disk of the image: a copy of the base, or an empty file system for what is in a
 * tarball or a folder.
 */
#include "prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autoptr.h"
#include "error.h"
#include "sparse.h"
#include "unpack.h"

#define UNPACKED_MAX ((goffset)64 << 30)

/* ---- a base that is a disk
 * ------------------------------------------------------------------------- */

static gboolean
fail_file(const char *path, GError **error)
{
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot copy %s: %s", path,
                g_strerror(errno));
    return FALSE;
}

/* The whole file, by reference where the file system can; so the base may change or go
 * later. */
static gboolean
duplicate(const char *from, const char *to, GError **error)
{
    struct stat st;
    g_auto(AutoFd) in = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (in < 0 || fstat(in, &st) != 0)
        return fail_file(from, error);
    g_auto(AutoFd) out = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0)
        return fail_file(to, error);
    return ioctl(out, FICLONE, in) == 0 || sparse_duplicate(in, out, st.st_size, error);
}

/* qemu-img(1) reads of the file what the appliance's emulator will read, without a guest
 * and to its end. */
static gboolean
check(Prepare *prepare, GError **error)
{
    g_autoptr(GError) failure = NULL;
    const char *const argv[] = {"qemu-img", "check",       "-q", "-f",
                                "qcow2",    prepare->disk, NULL};
    if (prepare_run(argv, &failure))
        return TRUE;
    return prepare_refuse(prepare, HB_USAGE, error, "is damaged: %s", failure->message);
}

static gboolean
convert(const char *from, const char *to, GError **error)
{
    const char *const argv[] = {"qemu-img", "convert", "-f", "raw", "-O",
                                "qcow2",    from,      to,   NULL};
    return prepare_run(argv, error);
}

static gboolean
resize(const Prepare *prepare, gint64 bytes, GError **error)
{
    g_autofree char *text = g_strdup_printf("%" G_GINT64_FORMAT, bytes);
    const char *const argv[] = {"qemu-img", "resize",      "-q", "-f",
                                "qcow2",    prepare->disk, text, NULL};
    return prepare_run(argv, error);
}

/* The virtual size that a qcow2 header states; see QEMU's docs/interop/qcow2. */
static gboolean
read_capacity(Prepare *prepare, GError **error)
{
    guint64 size = 0;
    g_auto(AutoFd) fd = open(prepare->disk, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || pread(fd, &size, sizeof size, 24) != sizeof size)
        return fail_file(prepare->disk, error);
    prepare->capacity = (gint64)GUINT64_FROM_BE(size);
    return TRUE;
}

/* ---- a base that is files
 * -------------------------------------------------------------------------- */

/* Nobody needs a journal of what is thrown away, and tables that are zero already must
 * not be zeroed by each host that starts. */
static gboolean
make_file_system(const char *path, gint64 bytes, GError **error)
{
    g_autofree char *kib = g_strdup_printf("%" G_GINT64_FORMAT "k", bytes >> 10);
    const char *const argv[] = {"mke2fs",
                                "-q",
                                "-F",
                                "-t",
                                "ext4",
                                "-O",
                                "^has_journal,^metadata_csum",
                                "-m",
                                "0",
                                "-E",
                                "assume_storage_prezeroed=1,root_owner=0:0",
                                path,
                                kib,
                                NULL};
    g_auto(AutoFd) fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, bytes) != 0)
        return fail_file(path, error);
    return prepare_run(argv, error);
}

static gboolean
make_empty(Prepare *prepare, gint64 bytes, GError **error)
{
    g_autofree char *raw = g_build_filename(prepare->work, "disk.raw", NULL);
    prepare->is_ours = TRUE;
    return make_file_system(raw, bytes, error) && convert(raw, prepare->disk, error);
}

gboolean
prepare_disk(Prepare *prepare, GError **error)
{
    const char *kind = prepare_text(prepare, "kind");
    gint64 size = json_object_get_int_member_with_default(prepare->order, "size", 0);
    prepare_step(prepare, "copying the base");
    gboolean is_made =
        g_str_equal(kind, "qcow2")
            ? duplicate(prepare_text(prepare, "path"), prepare->disk, error) &&
                  check(prepare, error)
        : g_str_equal(kind, "raw")
            ? convert(prepare_text(prepare, "path"), prepare->disk, error)
            : make_empty(prepare, size, error);
    if (!is_made || !read_capacity(prepare, error))
        return FALSE;
    if (size <= prepare->capacity)
        return TRUE;
    prepare->capacity = size;
    prepare->is_larger = TRUE;
    return resize(prepare, size, error);
}

/* ---- a stream of files
 * ----------------------------------------------------------------------------- */

typedef struct {
    const Prepare *prepare;
    const char *path; /* of the tarball or folder */
    int in, out;      /* of the tarball, or -1; of the pipe */
    gboolean is_plain;
    GError *error;
} Stream;

static gboolean
copy_plain(int in, int out, const char *what, GError **error)
{
    g_autofree char *block = g_malloc(1 << 20);
    ssize_t got;
    while ((got = read(in, block, 1 << 20)) > 0)
        if (!unpack_write_all(out, block, (gsize)got, what, error))
            return FALSE;
    if (got < 0)
        return fail_file(what, error);
    return TRUE;
}

static gboolean
pack_folder(const char *path, int out, GError **error)
{
    /* A user's own folder is a root file system of which all is root's. */
    g_autoptr(Layer) layer = layer_new(out, "a pipe", geteuid() == 0, error);
    if (!layer)
        return FALSE;
    layer_add_copy(layer, "/", path, -1);
    return layer_close(layer, error);
}

static gpointer
stream(gpointer user_data)
{
    Stream *job = user_data;
    struct stat st;
    if (job->in < 0)
        pack_folder(job->path, job->out, &job->error);
    else if (job->is_plain)
        copy_plain(job->in, job->out, job->path, &job->error);
    else if (fstat(job->in, &st) == 0)
        unpack_range(job->in, 0, st.st_size, job->out, UNPACKED_MAX, job->path,
                     &job->error);
    close(job->out);
    return NULL;
}

/* Whether FD begins as a tar archive does that is not compressed: POSIX's and GNU's have
 * this in the header of each member. */
static gboolean
is_plain_tar(int fd)
{
    char magic[5];
    return pread(fd, magic, sizeof magic, 257) == sizeof magic &&
           memcmp(magic, "ustar", sizeof magic) == 0;
}

static gboolean
unpack_stream(Prepare *prepare, Stream *job, GError **error)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return fail_file("a pipe", error);
    job->out = ends[1];
    GThread *thread = g_thread_new("stream", stream, job);
    g_autoptr(GError) failure = NULL;
    gboolean done = prepare_tar_in(prepare, ends[0], "/", &failure);
    close(ends[0]);
    g_thread_join(thread);
    /* Whose end is the other's reason: a pipe that breaks is the reader's. */
    gboolean is_broken =
        job->error && !done && strstr(job->error->message, g_strerror(EPIPE));
    if (job->error && !is_broken)
        g_propagate_error(error, g_steal_pointer(&job->error));
    else if (failure)
        g_propagate_error(error, g_steal_pointer(&failure));
    else
        return TRUE;
    return FALSE;
}

/* By which the inspection knows a root, too. */
static gboolean
write_fstab(Prepare *prepare, GError **error)
{
    g_autofree char *uuid = guestfs_vfs_uuid(prepare->g, "/dev/sda");
    if (!uuid)
        return prepare_failed(prepare, error, "the new file system has no name");
    g_autofree char *text = g_strdup_printf("UUID=%s / ext4 rw,noatime 0 0\n", uuid);
    if (!guestfs_is_dir(prepare->g, "/etc"))
        return prepare_refuse(prepare, HB_USAGE, error,
                              "is no root file system: it has no folder /etc");
    /* Whatever it is now: a link may lead nowhere, and who opens a pipe waits for ever.
     */
    if (guestfs_rm_f(prepare->g, "/etc/fstab") != 0)
        return prepare_failed(prepare, error, "/etc/fstab cannot be replaced");
    return prepare_write(prepare, "/etc/fstab", text, error);
}

gboolean
prepare_unpack(Prepare *prepare, GError **error)
{
    if (!prepare->is_ours)
        return TRUE;
    prepare_step(prepare, "unpacking the base");
    if (guestfs_mount(prepare->g, "/dev/sda", "/") != 0)
        return prepare_failed(prepare, error, "the new file system cannot be mounted");
    gboolean is_folder = g_str_equal(prepare_text(prepare, "kind"), "folder");
    const char *path = prepare_text(prepare, "path");
    g_auto(AutoFd) in = is_folder ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (!is_folder && in < 0)
        return fail_file(path, error);
    Stream job = {prepare, path, in, -1, in >= 0 && is_plain_tar(in), NULL};
    gboolean done = unpack_stream(prepare, &job, error);
    g_clear_error(&job.error);
    return done && write_fstab(prepare, error);
}
