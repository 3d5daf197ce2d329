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

/* What it said before it stopped is in its pipes until the harness takes it; later it
 * would be taken for the words of the next one. */
static bool
was_heard(const Channel *channel)
{
    bool heard = true;
    for (int i = 0; i < 2; i++) {
        int waiting = 0;
        if (channel->streams[i].fd >= 0 &&
            ioctl(channel->streams[i].fd, FIONREAD, &waiting) == 0 && waiting > 0)
            heard = false;
    }
    return heard;
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
command_end_waiting(Agent *agent)
{
    Channel *channel = find_waiting(agent);
    if (channel)
        channel_free(channel);
}

void
command_stopped(Agent *agent, Channel *channel)
{
    if (channel->kind != CHANNEL_COMMAND || !channel->may_wait)
        return;
    channel->stopped = true;
    command_wait(agent, channel);
}

void
command_wait(Agent *agent, Channel *channel)
{
    static const uint8_t well[8] = {0};
    if (!channel->stopped || channel->exited || !was_heard(channel))
        return;
    wire_send(&agent->wire, HB_FRAME_EXIT, channel->id, well, sizeof well);
    command_end_waiting(agent);
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
