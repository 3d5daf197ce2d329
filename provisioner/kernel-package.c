/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autoptr.h"
#include "cache.h"
#include "error.h"
#include "kernel-package.h"
#include "unpack.h"

#define KIND "packages"
#define BLOCK (256 * 1024)
/* Twice what the largest kernel packages hold; a bomb stops here. */
#define MAXIMUM_BYTES ((goffset)2 << 30)
#define MAXIMUM_FILES 50000
#define MAXIMUM_CACHE ((goffset)4 << 30)

typedef struct {
    const char *package;
    const char *root;
    goffset bytes_left;
    guint files_left;
    guint files;
} Unpacking;

gboolean
kernel_package_is(const char *path)
{
    return g_str_has_suffix(path, ".deb") || g_str_has_suffix(path, ".rpm");
}

static gboolean
fail(const Unpacking *job, GError **error, const char *why)
{
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot unpack %s: %s", job->package,
                why ? why : "it is damaged");
    return FALSE;
}

/* Where a file of the package goes below the root; NULL: it is not needed, or its name
 * would lead elsewhere. */
static char *
destination(const char *name)
{
    while (g_str_has_prefix(name, "./") || *name == '/')
        name += *name == '/' ? 1 : 2;
    if (g_str_has_prefix(name, "usr/lib/modules/"))
        name += strlen("usr/");
    if (!g_str_has_prefix(name, "lib/modules/") &&
        !g_str_has_prefix(name, "boot/vmlinuz-") &&
        !g_str_has_prefix(name, "boot/config-"))
        return NULL;
    g_auto(GStrv) parts = g_strsplit(name, "/", -1);
    for (char **part = parts; *part; part++)
        if (**part == '\0' || strcmp(*part, "..") == 0 || strcmp(*part, ".") == 0)
            return NULL;
    return g_strdup(name);
}

static gboolean
write_file(Unpacking *job, struct archive *archive, const char *path, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_mkdir_with_parents(folder, 0700);
    /* Links are never made, so no part of the path can lead out of the root. */
    g_auto(AutoFd) fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(job, error, g_strerror(errno));
    g_autofree char *block = g_malloc(BLOCK);
    la_ssize_t got;
    while ((got = archive_read_data(archive, block, BLOCK)) > 0) {
        job->bytes_left -= got;
        if (job->bytes_left < 0)
            return fail(job, error, "it holds more than 2 GiB");
        if (!unpack_write_all(fd, block, got, path, error) ||
            !unpack_go_on(job->package, error))
            return FALSE;
    }
    return got == 0 || fail(job, error, archive_error_string(archive));
}

/* The members of a tar or cpio archive. */
static gboolean
unpack_members(Unpacking *job, struct archive *archive, GError **error)
{
    struct archive_entry *entry;
    int status;
    while ((status = archive_read_next_header(archive, &entry)) == ARCHIVE_OK ||
           status == ARCHIVE_WARN) {
        if (job->files_left-- == 0)
            return fail(job, error, "it holds more than 50000 files");
        if (!unpack_go_on(job->package, error))
            return FALSE;
        const char *name = archive_entry_pathname(entry);
        g_autofree char *wanted = name ? destination(name) : NULL;
        if (!wanted || archive_entry_filetype(entry) != AE_IFREG ||
            archive_entry_hardlink(entry))
            continue;
        g_autofree char *path = g_build_filename(job->root, wanted, NULL);
        if (!write_file(job, archive, path, error))
            return FALSE;
        job->files++;
    }
    return status == ARCHIVE_EOF || fail(job, error, archive_error_string(archive));
}

typedef struct {
    struct archive *outer;
    char block[BLOCK];
} Inner;

static la_ssize_t
read_inner(struct archive *archive, void *data, const void **block)
{
    Inner *inner = data;
    la_ssize_t got = archive_read_data(inner->outer, inner->block, BLOCK);
    if (got < 0)
        archive_set_error(archive, EIO, "%s", archive_error_string(inner->outer));
    *block = inner->block;
    return got;
}

/* A .deb is an ar archive whose member data.tar.* holds the files. */
static gboolean
unpack_deb(Unpacking *job, struct archive *outer, GError **error)
{
    struct archive_entry *entry;
    while (archive_read_next_header(outer, &entry) == ARCHIVE_OK) {
        const char *name = archive_entry_pathname(entry);
        if (!name || !g_str_has_prefix(name, "data.tar"))
            continue;
        g_autofree Inner *inner = g_new0(Inner, 1);
        inner->outer = outer;
        g_autoptr(ArchiveReader) archive = archive_read_new();
        unpack_support_filters(archive);
        archive_read_support_format_tar(archive);
        if (archive_read_open(archive, inner, NULL, read_inner, NULL) != ARCHIVE_OK)
            return fail(job, error, archive_error_string(archive));
        return unpack_members(job, archive, error);
    }
    return fail(job, error, "it has no member data.tar");
}

static gboolean
unpack_package(Unpacking *job, GError **error)
{
    gboolean is_deb = g_str_has_suffix(job->package, ".deb");
    g_autoptr(ArchiveReader) archive = archive_read_new();
    if (is_deb) {
        archive_read_support_format_ar(archive);
    } else {
        archive_read_support_filter_rpm(archive);
        unpack_support_filters(archive);
        archive_read_support_format_cpio(archive);
    }
    g_auto(AutoFd) fd = open(job->package, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail(job, error, g_strerror(errno));
    if (archive_read_open_fd(archive, fd, BLOCK) != ARCHIVE_OK)
        return fail(job, error, archive_error_string(archive));
    return is_deb ? unpack_deb(job, archive, error) : unpack_members(job, archive, error);
}

static gboolean
unpack_all(const char *const *packages, const char *root, GError **error)
{
    Unpacking job = {
        .root = root, .bytes_left = MAXIMUM_BYTES, .files_left = MAXIMUM_FILES};
    for (; *packages; packages++) {
        guint before = job.files;
        job.package = *packages;
        if (!unpack_package(&job, error))
            return FALSE;
        if (job.files == before)
            return fail(&job, error,
                        "it holds neither a kernel nor modules (a package that only "
                        "depends on the kernel's names the right one)");
    }
    return TRUE;
}

/* The same files make the same key; a package that was replaced makes another. */
static char *
packages_key(const char *const *packages, GError **error)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    for (; *packages; packages++) {
        struct stat st;
        if (stat(*packages, &st) != 0) {
            g_set_error(error, HB_ERROR, HB_USAGE,
                        "cannot read the kernel package %s: %s", *packages,
                        g_strerror(errno));
            return NULL;
        }
        g_autofree char *name = g_path_get_basename(*packages);
        g_autofree char *identity =
            g_strdup_printf("%s\n%lld %lld.%09ld\n", name, (long long)st.st_size,
                            (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
        g_checksum_update(sum, (const guchar *)identity, -1);
    }
    return g_strndup(g_checksum_get_string(sum), 16);
}

char *
kernel_package_unpack(const char *const *packages, GError **error)
{
    g_autofree char *key = packages_key(packages, error);
    g_autofree char *dir = key ? cache_dir(KIND, error) : NULL;
    if (!dir)
        return NULL;
    g_autofree char *folder = g_build_filename(dir, key, NULL);
    if (g_file_test(folder, G_FILE_TEST_IS_DIR)) {
        utimensat(AT_FDCWD, folder, NULL, 0); /* used now: pruned last */
        return g_steal_pointer(&folder);
    }
    cache_prune(KIND, MAXIMUM_CACHE);
    g_autoptr(CacheFolder) filled = cache_folder_new(KIND, error);
    if (!filled || !unpack_all(packages, filled->path, error) ||
        !cache_folder_commit(filled, folder, error))
        return NULL;
    return g_steal_pointer(&folder);
}

static gint
by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

GPtrArray *
kernel_package_list(void)
{
    GPtrArray *folders = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *dir = cache_path(KIND, NULL);
    g_autoptr(GDir) entries = g_dir_open(dir, 0, NULL);
    const char *name;
    while (entries && (name = g_dir_read_name(entries)))
        if (name[0] != '.')
            g_ptr_array_add(folders, g_build_filename(dir, name, NULL));
    g_ptr_array_sort(folders, by_name);
    return folders;
}
