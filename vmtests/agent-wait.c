/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A command that stops itself, to go on for somebody who comes later: in a copy of the
 * host, maybe, which then need not start it, and has its memory as it was.
 */
#include "agent.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

/* What it said before it stopped is in its pipes. */
static void
pump_all(Agent *agent, Channel *channel)
{
    for (int i = 0; i < 2; i++) {
        int waiting = 0, before = 0;
        while (channel->streams[i].fd >= 0 &&
               ioctl(channel->streams[i].fd, FIONREAD, &waiting) == 0 && waiting > 0 &&
               waiting != before) {
            before = waiting;
            command_pump_output(agent, channel, &channel->streams[i]);
        }
    }
}

static Channel *
find_waiting(Agent *agent)
{
    for (int i = 0; i < HB_WIRE_CHANNELS; i++)
        if (agent->channels[i].kind == CHANNEL_WAITING)
            return &agent->channels[i];
    return NULL;
}

void
command_stopped(Agent *agent, Channel *channel)
{
    static const uint8_t well[8] = {0};
    if (channel->kind != CHANNEL_COMMAND || !channel->may_wait)
        return;
    pump_all(agent, channel);
    wire_send(&agent->wire, HB_FRAME_EXIT, channel->id, well, sizeof well);
    Channel *former = find_waiting(agent);
    if (former)
        channel_free(former);
    channel->kind = CHANNEL_WAITING;
    channel->streams[0].credit = channel->streams[1].credit = 0;
}

Channel *
command_waiting(Agent *agent, const char *name)
{
    Channel *channel = find_waiting(agent);
    return channel && strcmp(channel->path, name) == 0 ? channel : NULL;
}

bool
command_go_on(Channel *channel, char *const *env)
{
    uint8_t length[4];
    size_t size = 0;
    for (char *const *each = env; *each; each++)
        size += strlen(*each) + 1;
    wire_put_u32(length, (uint32_t)size);
    /* They came as one piece. */
    struct iovec pieces[] = {{length, sizeof length}, {*env, size}};
    if (writev(channel->stdin_fd, pieces, size > 0 ? 2 : 1) !=
        (ssize_t)(sizeof length + size))
        return false;
    channel->kind = CHANNEL_COMMAND;
    channel->stdin_ended = false;
    channel->streams[0].credit = channel->streams[1].credit = HB_WIRE_WINDOW;
    command_signal(channel, SIGCONT);
    return true;
}
