/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-rom.h"

/* GUEST_ROM is the path of the file, given by the Makefile. */
__asm__(".pushsection .rodata.guest_rom, \"a\", @progbits\n"
        ".globl guest_rom, guest_rom_end\n"
        "guest_rom: .incbin \"" GUEST_ROM "\"\n"
        "guest_rom_end:\n"
        ".popsection\n");
