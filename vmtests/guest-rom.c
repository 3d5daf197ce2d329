/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-rom.h"

#include <fcntl.h>
#include <unistd.h>

/* GUEST_ROM is the path of the file, given by the Makefile. */
__asm__(".pushsection .rodata.guest_rom, \"a\", @progbits\n"
        ".globl guest_rom, guest_rom_end\n"
        "guest_rom: .incbin \"" GUEST_ROM "\"\n"
        "guest_rom_end:\n"
        ".popsection\n");

bool
guest_rom_write(const char *path)
{
    const size_t length = (size_t)(guest_rom_end - guest_rom);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ssize_t written = fd < 0 ? -1 : write(fd, guest_rom, length);
    if (fd >= 0)
        close(fd);
    return written == (ssize_t)length;
}
