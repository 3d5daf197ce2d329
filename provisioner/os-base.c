/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "os-base.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autoptr.h"
#include "digest.h"
#include "disk.h"
#include "error.h"

const char *
os_base_kind_name(OsBaseKind kind)
{
    static const char *const names[] = {"recipe", "qcow2", "raw", "tar", "folder"};
    return names[kind];
}

void
os_base_free(OsBase *base)
{
    if (!base)
        return;
    g_free(base->path);
    g_free(base->name);
    g_free(base);
}

static gboolean G_GNUC_PRINTF(3, 4)
    refuse(const OsBase *base, GError **error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *what = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, HB_ERROR, HB_USAGE, "%s %s", base->name, what);
    return FALSE;
}

/* ---- qcow2
 * ----------------------------------------------------------------------------------------
 */

static gboolean
check_qcow2(const OsBase *base, GError **error)
{
    g_autoptr(DiskInfo) info = disk_info_of_file(base->path, "qcow2", error);
    if (!info)
        return FALSE;
    if (info->backing)
        return refuse(
            base, error,
            "has another file behind it (%s); 'qemu-img convert -O qcow2' makes "
            "one of the two",
            info->backing);
    if (info->data_file)
        return refuse(
            base, error,
            "has its data in another file; 'qemu-img convert -O qcow2' makes one "
            "of the two");
    if (info->encryption)
        return refuse(base, error, "is encrypted (%s); hostbed can use plain disks only",
                      info->encryption);
    if (info->corrupt || info->behind_end > 0)
        return refuse(base, error, "is damaged: %s",
                      info->corrupt
                          ? "it says so itself, and 'qemu-img check -r all' may "
                            "repair a copy of it"
                          : "it ends before what it holds, as if it was cut");
    return TRUE;
}

/* ---- which kind
 * ------------------------------------------------------------------------------------ */

typedef struct {
    const char *bytes;
    gsize length, offset;
    const char *what; /* NULL: a tarball */
} Magic;

static const Magic magics[] = {
    {"\x1f\x8b", 2, 0, NULL},
    {"\xfd"
     "7zXZ",
     5, 0, NULL},
    {"\x28\xb5\x2f\xfd", 4, 0, NULL},
    {"BZh", 3, 0, NULL},
    {"\x04\x22\x4d\x18", 4, 0, NULL},
    {"ustar", 5, 257, NULL},
    {"KDMV", 4, 0, "a VMDK disk"},
    {"# Disk DescriptorFile", 21, 0, "a VMDK disk"},
    {"<<< ", 4, 0, "a VDI disk"},
    {"vhdxfile", 8, 0, "a VHDX disk"},
    {"conectix", 8, 0, "a VHD disk"},
    {"CD001", 5, 32769, "an installation medium"},
};

static const Magic *
magic_of(const guint8 *header, gsize length)
{
    for (guint i = 0; i < G_N_ELEMENTS(magics); i++)
        if (magics[i].offset + magics[i].length <= length &&
            memcmp(header + magics[i].offset, magics[i].bytes, magics[i].length) == 0)
            return &magics[i];
    return NULL;
}

static gboolean
find_kind(OsBase *base, const guint8 *header, gsize length, GError **error)
{
    const Magic *magic = magic_of(header, length);
    if (length >= 4 && memcmp(header, "QFI\xfb", 4) == 0) {
        base->kind = OS_BASE_QCOW2;
        return check_qcow2(base, error);
    }
    if (magic && magic->what)
        return refuse(base, error,
                      "is %s, which hostbed does not read; it takes qcow2 and raw disks, "
                      "tarballs and folders (qemu-img converts disks)",
                      magic->what);
    if (!magic && length < 1 << 15)
        return refuse(
            base, error,
            "is too small for a disk, and no tarball; it should be a qcow2 or raw "
            "disk, a tarball or a folder");
    base->kind = magic ? OS_BASE_TAR : OS_BASE_RAW;
    return TRUE;
}

static gboolean
look_at(OsBase *base, GError **error)
{
    struct stat st;
    g_autofree guint8 *header = g_malloc(1 << 16);
    g_auto(AutoFd) fd = open(base->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0)
        return refuse(base, error, "cannot be read: %s", g_strerror(errno));
    if (S_ISDIR(st.st_mode)) {
        base->kind = OS_BASE_FOLDER;
        return TRUE;
    }
    if (!S_ISREG(st.st_mode))
        return refuse(base, error, "is neither a file nor a folder");
    ssize_t got = pread(fd, header, 1 << 16, 0);
    return got < 0 ? refuse(base, error, "cannot be read: %s", g_strerror(errno))
                   : find_kind(base, header, (gsize)got, error);
}

OsBase *
os_base_find(const char *from, GError **error)
{
    g_autoptr(OsBase) base = g_new0(OsBase, 1);
    base->name = g_strdup(from);
    if (!strchr(from, '/'))
        return g_steal_pointer(&base);
    base->path = g_canonicalize_filename(from, NULL);
    return look_at(base, error) ? g_steal_pointer(&base) : NULL;
}

/* ---- its digest
 * ------------------------------------------------------------------------------------ */

static int
by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static char *
folder_digest(const char *path, GError **error)
{
    char *const roots[] = {(char *)path, NULL};
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_COMFOLLOW, by_name);
    FTSENT *entry;
    while (fts && (entry = fts_read(fts))) {
        const struct stat *st = entry->fts_statp;
        if (entry->fts_info == FTS_DP || entry->fts_info == FTS_NS)
            continue;
        g_autofree char *target =
            S_ISLNK(st->st_mode) ? g_file_read_link(entry->fts_path, NULL) : NULL;
        g_autofree char *line = g_strdup_printf(
            "%s %o %u:%u %" G_GINT64_FORMAT " %" G_GINT64_FORMAT ".%09ld %s\n",
            entry->fts_path + strlen(path), st->st_mode, st->st_uid, st->st_gid,
            S_ISDIR(st->st_mode) ? 0 : (gint64)st->st_size,
            S_ISDIR(st->st_mode) ? 0 : (gint64)st->st_mtim.tv_sec,
            S_ISDIR(st->st_mode) ? 0 : st->st_mtim.tv_nsec, target ? target : "");
        g_checksum_update(sum, (guchar *)line, -1);
    }
    if (fts)
        fts_close(fts);
    return g_strdup(g_checksum_get_string(sum));
}

char *
os_base_digest(const char *path, GError **error)
{
    return g_file_test(path, G_FILE_TEST_IS_DIR) ? folder_digest(path, error)
                                                 : digest_file(path, error);
}
