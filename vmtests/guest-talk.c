/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-talk.h"

#include <sys/io.h>

#define SERIAL 0x3f8
#define SERIAL_FIFO (SERIAL + 2)
#define SERIAL_STATUS (SERIAL + 5)
#define SERIAL_HAS_BYTE 0x01
#define SERIAL_TAKES_BYTE 0x20

void
begin_talk(void)
{
    outb(1, SERIAL_FIFO);
}

bool
is_spoken_to(void)
{
    return inb(SERIAL_STATUS) & SERIAL_HAS_BYTE;
}

char
hear(void)
{
    while (!is_spoken_to())
        __builtin_ia32_pause();
    return (char)inb(SERIAL);
}

void
say(const char *text)
{
    for (; *text; text++) {
        while (!(inb(SERIAL_STATUS) & SERIAL_TAKES_BYTE))
            __builtin_ia32_pause();
        outb((uint8_t)*text, SERIAL);
    }
}

void
say_hex(unsigned byte)
{
    const char digits[] = {"0123456789abcdef"[byte >> 4 & 15],
                           "0123456789abcdef"[byte & 15], '\0'};
    say(digits);
}

void
say_number(uint64_t number)
{
    char digits[21], *at = digits + sizeof digits;
    *--at = '\0';
    do
        *--at = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    say(at);
}

uint64_t
hear_number(void)
{
    uint64_t number = 0;
    for (char digit = hear(); digit >= '0' && digit <= '9'; digit = hear())
        number = number * 10 + (uint64_t)(digit - '0');
    return number;
}

void
say_tick(void)
{
    if (inb(SERIAL_STATUS) & SERIAL_TAKES_BYTE)
        outb(GUEST_TICK, SERIAL);
}
