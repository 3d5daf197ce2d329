/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf-file.h"
#include "error.h"
#include "kernel-image.h"

/* Offsets in the setup header. */
#define SETUP_SECTS 0x1f1
#define BOOT_FLAG 0x1fe
#define HEADER_MAGIC 0x202
#define PROTOCOL_VERSION 0x206
#define KERNEL_VERSION 0x20e
#define XLOADFLAGS 0x236
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c
#define HEADER_SIZE 0x268

#define PROTOCOL_WITH_PAYLOAD 0x0208
#define PROTOCOL_WITH_XLOADFLAGS 0x020c
#define XLF_KERNEL_64 1

#define RELEASE_SIZE 64 /* as uname(2) has it, with the NUL */

void
kernel_image_free(KernelImage *image)
{
    if (!image)
        return;
    g_free(image->release);
    g_free(image);
}

gboolean
kernel_release_is_sane(const char *text)
{
    gsize length = strspn(text, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "._+~-");
    return length > 0 && length < RELEASE_SIZE && text[length] == '\0' &&
           g_ascii_isdigit(text[0]);
}

/* The first word of TEXT if it is sane, else NULL. */
static char *
release_from(const char *text)
{
    g_autofree char *word = g_strndup(text, strcspn(text, " \n"));
    return kernel_release_is_sane(word) ? g_steal_pointer(&word) : NULL;
}

static guint16
get_u16(const guint8 *at)
{
    return at[0] | at[1] << 8;
}

static guint32
get_u32(const guint8 *at)
{
    return get_u16(at) | (guint32)get_u16(at + 2) << 16;
}

/* Not a kernel at all, or cut: what to say of it. */
static KernelImage *
refuse(GError **error, const char *what, const char *why)
{
    g_set_error(error, HB_ERROR, HB_USAGE, "%s is not a kernel for x86-64: %s", what,
                why);
    return NULL;
}

static gboolean
find_payload(KernelImage *image, const guint8 *header)
{
    if (get_u16(header + PROTOCOL_VERSION) < PROTOCOL_WITH_PAYLOAD)
        return TRUE;
    goffset sectors = header[SETUP_SECTS] ? header[SETUP_SECTS] : 4;
    image->payload_offset = (sectors + 1) * 512 + get_u32(header + PAYLOAD_OFFSET);
    image->payload_length = get_u32(header + PAYLOAD_LENGTH);
    return image->payload_offset + image->payload_length <= image->size;
}

static KernelImage *
read_bzimage(int fd, goffset size, const char *what, GError **error)
{
    guint8 header[HEADER_SIZE];
    if (pread(fd, header, sizeof header, 0) != sizeof header ||
        get_u16(header + BOOT_FLAG) != 0xaa55 ||
        memcmp(header + HEADER_MAGIC, "HdrS", 4) != 0)
        return refuse(error, what, "it is neither a bzImage nor a vmlinux");
    if (get_u16(header + PROTOCOL_VERSION) < PROTOCOL_WITH_XLOADFLAGS ||
        !(get_u16(header + XLOADFLAGS) & XLF_KERNEL_64))
        return refuse(error, what, "it has no 64-bit entry");

    g_autoptr(KernelImage) image = g_new0(KernelImage, 1);
    image->size = size;
    if (!find_payload(image, header))
        return refuse(error, what, "it is cut short");
    char version[RELEASE_SIZE + 1] = "";
    goffset version_at = 0x200 + get_u16(header + KERNEL_VERSION);
    if (version_at == 0x200 || pread(fd, version, RELEASE_SIZE, version_at) <= 0 ||
        !(image->release = release_from(version)))
        return refuse(error, what, "its header tells no release");
    return g_steal_pointer(&image);
}

/* "Linux version RELEASE (…" stands in the read-only data of every kernel. */
static char *
find_banner(int fd, goffset size)
{
    static const char banner[] = "Linux version ";
    const gsize block = 1 << 20, overlap = sizeof banner + RELEASE_SIZE;
    g_autofree char *data = g_malloc(block + overlap + 1);
    for (goffset at = 0; at < size; at += block) {
        ssize_t got = pread(fd, data, block + overlap, at);
        if (got <= 0)
            return NULL;
        data[got] = '\0';
        const char *end = data + got, *hit = data;
        while ((hit = memmem(hit, end - hit, banner, sizeof banner - 1))) {
            hit += sizeof banner - 1;
            char *release = release_from(hit);
            if (release)
                return release;
        }
    }
    return NULL;
}

static KernelImage *
read_vmlinux(int fd, goffset size, const char *what, GError **error)
{
    g_autoptr(ElfLinkage) linkage = elf_file_linkage(fd, what, error);
    if (!linkage)
        return NULL;
    if (!linkage->is_64bit || linkage->machine != 62 /* EM_X86_64 */)
        return refuse(error, what, "it is an ELF file for another machine");
    g_autoptr(KernelImage) image = g_new0(KernelImage, 1);
    image->is_elf = TRUE;
    image->size = size;
    image->release = find_banner(fd, size);
    if (!image->release)
        return refuse(error, what, "it is an ELF file without Linux's banner");
    return g_steal_pointer(&image);
}

int
kernel_image_open(const char *path, GError **error)
{
    /* A FIFO would make us wait for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot read the kernel %s: %s%s",
                    path, g_strerror(errno),
                    errno == EACCES ? "; 'hostbed image kernel PACKAGE' makes one from a "
                                      "kernel package without root"
                                    : "");
    return fd;
}

KernelImage *
kernel_image_read(int fd, const char *what, GError **error)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return refuse(error, what, "it is not a file");
    return elf_file_is_elf(fd) ? read_vmlinux(fd, st.st_size, what, error)
                               : read_bzimage(fd, st.st_size, what, error);
}
