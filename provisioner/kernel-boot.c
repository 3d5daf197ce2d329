/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Kernel → the file that the emulator boots fastest. A bzImage unpacks itself in the
 * guest, which is the largest part of a boot under emulation; what it would unpack is an
 * ELF file that the emulator can enter directly if it has the PVH entry note.
 */
#include <unistd.h>

#include "autoptr.h"
#include "cache.h"
#include "elf-file.h"
#include "error.h"
#include "image.h"
#include "kernel-image.h"
#include "unpack.h"

#define KIND "kernels"
#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define MAXIMUM_VMLINUX ((goffset)512 << 20) /* Debian's are about 60 MiB */
#define MAXIMUM_CACHE ((goffset)1 << 30)
#define SAMPLE (64 * 1024)

/* Samples of a file that change with any change of what is packed: the setup code, with
 * the version and date of the build, and both ends of the packed stream, the latter with
 * checksums of all of it. Reading the whole file would take longer than the start of an
 * emulator. */
static char *
fingerprint(int fd, const KernelImage *image)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autofree guint8 *sample = g_malloc(SAMPLE);
    goffset end = image->payload_offset + image->payload_length;
    const goffset places[] = {0, image->payload_offset,
                              MAX(end - SAMPLE, image->payload_offset)};
    for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
        ssize_t got = pread(fd, sample, SAMPLE, places[i]);
        if (got > 0)
            g_checksum_update(sum, sample, got);
    }
    g_autofree char *sizes = g_strdup_printf("%" G_GOFFSET_FORMAT " %" G_GOFFSET_FORMAT,
                                             image->size, image->payload_length);
    g_checksum_update(sum, (const guchar *)sizes, -1);
    return g_strndup(g_checksum_get_string(sum), 16);
}

/* gzip ends with the unpacked size itself; behind every other stream Linux's build puts
 * it as four bytes that are no part of the stream. */
static goffset
stream_length(int fd, const KernelImage *image)
{
    guint8 magic[2] = {0};
    if (pread(fd, magic, sizeof magic, image->payload_offset) == sizeof magic &&
        magic[0] == 0x1f && magic[1] == 0x8b)
        return image->payload_length;
    return image->payload_length - 4;
}

/* FALSE: this bzImage has to be booted as it is, but not if there is an ERROR. */
static gboolean
unpack_payload(int fd, const KernelImage *image, int out_fd, const char *what,
               GError **error)
{
    if (image->payload_length <= 4)
        return FALSE;
    g_autoptr(GError) local = NULL;
    if (unpack_range(fd, image->payload_offset, stream_length(fd, image), out_fd,
                     MAXIMUM_VMLINUX, what, &local))
        return elf_file_has_note(out_fd, "Xen", XEN_ELFNOTE_PHYS32_ENTRY);
    if (g_error_matches(local, HB_ERROR, HB_INTERRUPTED))
        g_propagate_error(error, g_steal_pointer(&local));
    else
        g_debug("booting it as it is: %s", local->message);
    return FALSE;
}

static char *
boot_bzimage(const Kernel *kernel, int fd, const KernelImage *image, GError **error)
{
    g_autofree char *key = fingerprint(fd, image);
    g_autofree char *name = g_strdup_printf("%s-%s.vmlinux", image->release, key);
    char *cached = cache_lookup(KIND, name);
    if (cached)
        return cached;
    g_autoptr(CacheWriter) writer = cache_writer_new(KIND, name, error);
    if (!writer)
        return NULL;
    g_autoptr(GError) interrupted = NULL;
    if (!unpack_payload(fd, image, writer->fd, kernel->image, &interrupted)) {
        if (!interrupted)
            return g_strdup(kernel->image);
        g_propagate_error(error, g_steal_pointer(&interrupted));
        return NULL;
    }
    char *path = cache_writer_commit(writer, error);
    cache_prune(KIND, MAXIMUM_CACHE);
    return path;
}

char *
kernel_boot_file(const Kernel *kernel, GError **error)
{
    g_auto(AutoFd) fd = kernel_image_open(kernel->image, error);
    if (fd < 0)
        return NULL;
    g_autoptr(KernelImage) image = kernel_image_read(fd, kernel->image, error);
    if (!image)
        return NULL;
    if (!image->is_elf)
        return boot_bzimage(kernel, fd, image, error);
    if (elf_file_has_note(fd, "Xen", XEN_ELFNOTE_PHYS32_ENTRY))
        return g_strdup(kernel->image);
    g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                "%s has no PVH entry note, so no emulator boots it; build it with "
                "CONFIG_PVH=y or give its bzImage",
                kernel->image);
    return NULL;
}

char *
kernel_efi_file(const Kernel *kernel, GError **error)
{
    g_auto(AutoFd) fd = kernel_image_open(kernel->image, error);
    if (fd < 0)
        return NULL;
    g_autoptr(KernelImage) image = kernel_image_read(fd, kernel->image, error);
    if (!image)
        return NULL;
    if (!image->is_elf)
        return g_strdup(kernel->image);
    g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                "%s is a vmlinux, which EFI firmware cannot start; give its bzImage",
                kernel->image);
    return NULL;
}
