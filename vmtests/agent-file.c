/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * PUT and GET: whole files, a piece at a time.
 */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void
file_put(Agent *agent, const Frame *frame)
{
    Cursor cursor = {frame->payload, frame->length, false};
    uint32_t mode = cursor_u32(&cursor);
    const char *path = cursor_string(&cursor);
    if (cursor.bad || cursor.left > 0) {
        serve_violation(agent, "a PUT frame is not a mode and a path");
        return;
    }
    Channel *channel = channel_new(agent, frame->channel, CHANNEL_PUT);
    if (!channel)
        return;
    channel->mode = mode & 07777;
    channel->path = strdup(path);
    if (!channel->path ||
        asprintf(&channel->part, "%s.part-%u", path, frame->channel) < 0)
        channel->part = NULL;
    if (channel->part) {
        unlink(channel->part);
        channel->file_fd = open(
            channel->part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    }
    if (channel->file_fd < 0) {
        channel_failed(agent, frame->channel, "cannot write %s: %s", path,
                       strerror(errno));
        channel_free(channel);
    }
}

static bool
write_all(int fd, const uint8_t *data, size_t length)
{
    while (length > 0) {
        ssize_t count = write(fd, data, length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return false;
        data += count;
        length -= (size_t)count;
    }
    return true;
}

static bool
put_whole(Channel *channel)
{
    return fchmod(channel->file_fd, channel->mode) == 0 &&
           rename(channel->part, channel->path) == 0;
}

void
file_data(Agent *agent, Channel *channel, const Frame *frame)
{
    bool done = frame->length == 0;
    if (!(done ? put_whole(channel)
               : write_all(channel->file_fd, frame->payload, frame->length))) {
        channel_failed(agent, channel->id, "cannot write %s: %s", channel->path,
                       strerror(errno));
        channel_free(channel);
    } else if (done) {
        free(channel->part);
        channel->part = NULL;
        wire_send(&agent->wire, HB_FRAME_DONE, channel->id, NULL, 0);
        channel_free(channel);
    } else {
        channel_credit(agent, channel, HB_FRAME_DATA, frame->length);
    }
}

void
file_get(Agent *agent, const Frame *frame)
{
    Cursor cursor = {frame->payload, frame->length, false};
    const char *path = cursor_string(&cursor);
    if (cursor.bad || cursor.left > 0) {
        serve_violation(agent, "a GET frame is not a path");
        return;
    }
    Channel *channel = channel_new(agent, frame->channel, CHANNEL_GET);
    if (!channel)
        return;
    struct stat status;
    channel->credit = HB_WIRE_WINDOW;
    channel->path = strdup(path);
    channel->file_fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (channel->file_fd < 0 || fstat(channel->file_fd, &status) < 0 || !channel->path) {
        channel_failed(agent, frame->channel, "cannot read %s: %s", path,
                       strerror(errno));
        channel_free(channel);
    } else if (!S_ISREG(status.st_mode)) {
        channel_failed(agent, frame->channel, "cannot read %s: it is not a regular file",
                       path);
        channel_free(channel);
    }
}

void
file_pump(Agent *agent, Channel *channel)
{
    uint8_t data[HB_WIRE_MAX];
    if (channel->credit == 0 || wire_room(&agent->wire) < WIRE_PUMP_ROOM)
        return;
    size_t want = channel->credit < sizeof data ? channel->credit : sizeof data;
    ssize_t count = read(channel->file_fd, data, want);
    if (count > 0) {
        channel->credit -= (uint32_t)count;
        wire_send(&agent->wire, HB_FRAME_DATA, channel->id, data, (size_t)count);
        return;
    }
    if (count < 0)
        channel_failed(agent, channel->id, "cannot read %s: %s", channel->path,
                       strerror(errno));
    else
        wire_send(&agent->wire, HB_FRAME_DONE, channel->id, NULL, 0);
    channel_free(channel);
}
