/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void
wire_put_u16(uint8_t *at, uint16_t value)
{
    at[0] = value & 0xff;
    at[1] = value >> 8;
}

void
wire_put_u32(uint8_t *at, uint32_t value)
{
    wire_put_u16(at, value & 0xffff);
    wire_put_u16(at + 2, value >> 16);
}

static const uint8_t *
cursor_take(Cursor *cursor, size_t count)
{
    if (cursor->bad || cursor->left < count) {
        cursor->bad = true;
        return NULL;
    }
    const uint8_t *at = cursor->at;
    cursor->at += count;
    cursor->left -= count;
    return at;
}

uint16_t
cursor_u16(Cursor *cursor)
{
    const uint8_t *at = cursor_take(cursor, 2);
    return at ? (uint16_t)(at[0] | at[1] << 8) : 0;
}

uint32_t
cursor_u32(Cursor *cursor)
{
    uint32_t low = cursor_u16(cursor);
    uint32_t high = cursor_u16(cursor);
    return low | high << 16;
}

const char *
cursor_string(Cursor *cursor)
{
    const void *end = cursor->bad ? NULL : memchr(cursor->at, 0, cursor->left);
    if (!end) {
        cursor->bad = true;
        return "";
    }
    return (const char *)cursor_take(cursor,
                                     (size_t)((const uint8_t *)end - cursor->at) + 1);
}

void
wire_init(Wire *wire, int fd)
{
    wire->fd = fd;
    wire->in_start = wire->in_length = 0;
    wire->out_start = wire->out_length = 0;
}

int
wire_read(Wire *wire)
{
    if (wire->in_start > 0) {
        memmove(wire->in, wire->in + wire->in_start, wire->in_length);
        wire->in_start = 0;
    }
    size_t room = sizeof wire->in - wire->in_length;
    if (room == 0)
        return 1;
    ssize_t count = read(wire->fd, wire->in + wire->in_length, room);
    if (count < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (count == 0)
        return -1;
    wire->in_length += (size_t)count;
    return 1;
}

int
wire_next(Wire *wire, Frame *frame)
{
    Cursor header = {wire->in + wire->in_start, wire->in_length, false};
    uint32_t length = cursor_u32(&header);
    uint16_t type = cursor_u16(&header);
    uint16_t channel = cursor_u16(&header);
    if (header.bad)
        return 0;
    if (length > HB_WIRE_MAX)
        return -1;
    if (header.left < length)
        return 0;
    *frame = (Frame){type, channel, header.at, length};
    wire->in_start += HB_WIRE_HEADER + length;
    wire->in_length -= HB_WIRE_HEADER + length;
    return 1;
}

size_t
wire_room(const Wire *wire)
{
    return sizeof wire->out - wire->out_length;
}

static void
append(Wire *wire, const void *data, size_t length)
{
    if (length == 0)
        return;
    memcpy(wire->out + wire->out_start + wire->out_length, data, length);
    wire->out_length += length;
}

bool
wire_send(Wire *wire, HbFrame type, uint16_t channel, const void *payload, size_t length)
{
    size_t whole = HB_WIRE_HEADER + length;
    if (length > HB_WIRE_MAX || whole > wire_room(wire))
        return false;
    if (whole > sizeof wire->out - wire->out_start - wire->out_length) {
        memmove(wire->out, wire->out + wire->out_start, wire->out_length);
        wire->out_start = 0;
    }
    uint8_t header[HB_WIRE_HEADER];
    wire_put_u32(header, (uint32_t)length);
    wire_put_u16(header + 4, (uint16_t)type);
    wire_put_u16(header + 6, channel);
    append(wire, header, sizeof header);
    append(wire, payload, length);
    return true;
}

int
wire_flush(Wire *wire)
{
    while (wire->out_length > 0) {
        ssize_t count = write(wire->fd, wire->out + wire->out_start, wire->out_length);
        if (count < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        wire->out_start += (size_t)count;
        wire->out_length -= (size_t)count;
    }
    wire->out_start = 0;
    return 0;
}
