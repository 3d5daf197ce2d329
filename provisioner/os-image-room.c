/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Whether there is room for an image, before minutes go by: of some bases it is known how
 * much comes of them at least.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "autoptr.h"
#include "error.h"
#include "os-image-parts.h"
#include "units.h"

/* Bytes that a copy in FOLDER of the file PATH takes: none where it is one by reference.
 */
static goffset
copy_bytes(const char *path, const char *folder)
{
    struct stat st;
    g_auto(AutoFd) from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    g_auto(AutoFd) to = cache_open_nameless(folder);
    if (from < 0 || fstat(from, &st) != 0)
        return 0;
    gboolean by_reference = to >= 0 && ioctl(to, FICLONE, from) == 0;
    return by_reference ? 0 : (goffset)st.st_blocks * 512;
}

/* Of a raw disk zeroes are left out, and only who reads it knows how many there are. What
 * is packed does not get smaller. */
static goffset
base_bytes(OsBaseKind kind, const char *path, const char *folder)
{
    switch (kind) {
    case OS_BASE_QCOW2:
    case OS_BASE_RECIPE:
        return copy_bytes(path, folder);
    case OS_BASE_TAR:
    case OS_BASE_FOLDER:
        return cache_tree_bytes(path);
    case OS_BASE_RAW:
        break;
    }
    return 0;
}

static goffset
steps_bytes(const GPtrArray *steps)
{
    goffset bytes = 0;
    for (guint i = 0; steps && i < steps->len; i++) {
        const LabStep *step = steps->pdata[i];
        bytes += step->from ? cache_tree_bytes(step->from) : 0;
    }
    return bytes;
}

gboolean
os_image_check_room(OsBaseKind kind, const char *path, const GPtrArray *steps,
                    const char *folder, GError **error)
{
    struct statvfs st;
    goffset needed = base_bytes(kind, path, folder) + steps_bytes(steps);
    if (statvfs(folder, &st) != 0)
        return TRUE;
    guint64 is_free = (guint64)st.f_bavail * st.f_frsize;
    if (is_free >= (guint64)needed)
        return TRUE;
    g_autofree char *of_needed = units_about_text((guint64)needed);
    g_autofree char *of_free = units_about_text(is_free);
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                "there is no room for the image in %s: it takes %s at least, and %s are "
                "free; free some, or name another folder by XDG_CACHE_HOME",
                folder, of_needed, of_free);
    return FALSE;
}
