/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The loop: frames from the harness, output of commands, children that end.
 */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* The port, the signals, and three descriptors for each channel. */
#define POLL_PORT 0
#define POLL_SIGNALS 1
#define POLL_CHANNELS 2
#define POLL_PER_CHANNEL 3
#define POLL_COUNT (POLL_CHANNELS + POLL_PER_CHANNEL * HB_WIRE_CHANNELS)

/* ---- channels
 * ---------------------------------------------------------------------------------- */

Channel *
channel_find(Agent *agent, uint16_t id)
{
    for (int i = 0; i < HB_WIRE_CHANNELS; i++) {
        Channel *channel = &agent->channels[i];
        if (channel->kind != CHANNEL_FREE && channel->kind != CHANNEL_WAITING &&
            channel->id == id)
            return channel;
    }
    return NULL;
}

Channel *
channel_new(Agent *agent, uint16_t id, ChannelKind kind)
{
    if (channel_find(agent, id)) {
        serve_violation(agent, "channel %u is in use", id);
        return NULL;
    }
    for (int i = 0; i < HB_WIRE_CHANNELS; i++) {
        Channel *channel = &agent->channels[i];
        if (channel->kind != CHANNEL_FREE)
            continue;
        *channel = (Channel){.kind = kind, .id = id, .stdin_fd = -1, .file_fd = -1};
        channel->streams[0].fd = channel->streams[1].fd = -1;
        return channel;
    }
    channel_failed(agent, id, "all %d channels are in use", HB_WIRE_CHANNELS);
    return NULL;
}

static void
close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void
channel_free(Channel *channel)
{
    if (channel->pid > 0 && !channel->exited)
        command_signal(channel, SIGKILL);
    close_fd(channel->streams[0].fd);
    close_fd(channel->streams[1].fd);
    close_fd(channel->stdin_fd);
    close_fd(channel->file_fd);
    if (channel->part)
        unlink(channel->part);
    free(channel->stdin_data);
    free(channel->path);
    free(channel->part);
    *channel = (Channel){.kind = CHANNEL_FREE};
}

void
channel_failed(Agent *agent, uint16_t id, const char *format, ...)
{
    char reason[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    wire_send(&agent->wire, HB_FRAME_FAILED, id, reason, strlen(reason) + 1);
}

void
channel_credit(Agent *agent, const Channel *channel, HbFrame type, size_t count)
{
    uint8_t payload[8] = {0};
    wire_put_u16(payload, (uint16_t)type);
    wire_put_u32(payload + 4, (uint32_t)count);
    wire_send(&agent->wire, HB_FRAME_CREDIT, channel->id, payload, sizeof payload);
}

/* ---- conversation
 * ------------------------------------------------------------------------------ */

static size_t
read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, text, size - 1);
    close_fd(fd);
    if (length < 0)
        length = 0;
    text[length] = '\0';
    return strcspn(text, "\n");
}

static size_t
add_word(char *payload, size_t length, const char *key, const char *value,
         size_t value_length)
{
    length += (size_t)sprintf(payload + length, "%s=", key);
    memcpy(payload + length, value, value_length);
    payload[length + value_length] = '\0';
    return length + value_length + 1;
}

/* What stays as it is, and is open. */
static void
learn(Agent *agent)
{
    if (*agent->cmdline)
        return;
    agent->cmdline[read_text("/proc/cmdline", agent->cmdline, sizeof agent->cmdline)] =
        '\0';
    if (agent->has_host)
        agent->random_fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
}

static void
say_hello(Agent *agent)
{
    char payload[16 * 1024], text[32];
    struct utsname name = {0};
    struct timespec up = {0};
    learn(agent);
    uname(&name);
    clock_gettime(CLOCK_BOOTTIME, &up);
    wire_put_u32((uint8_t *)payload, HB_WIRE_VERSION);
    size_t length = 4;
    length = add_word(payload, length, "kernel", name.release, strlen(name.release));
    length = add_word(payload, length, "nonce", agent->nonce, strlen(agent->nonce));
    length = add_word(payload, length, "cmdline", agent->cmdline, strlen(agent->cmdline));
    size_t digits =
        (size_t)sprintf(text, "%lld.%02ld", (long long)up.tv_sec, up.tv_nsec / 10000000);
    length = add_word(payload, length, "uptime", text, digits);
    memcpy(payload + length, agent->trouble, agent->trouble_length);
    length += agent->trouble_length;
    wire_send(&agent->wire, HB_FRAME_HELLO, 0, payload, length);
}

void
serve_end(Agent *agent)
{
    for (int i = 0; i < HB_WIRE_CHANNELS; i++)
        if (agent->channels[i].kind != CHANNEL_FREE &&
            agent->channels[i].kind != CHANNEL_WAITING)
            channel_free(&agent->channels[i]);
}

void
serve_begin(Agent *agent)
{
    serve_end(agent);
    agent->broken = false;
    say_hello(agent);
}

void
serve_violation(Agent *agent, const char *format, ...)
{
    char reason[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    agent_log(agent, 3, "the harness broke the protocol: %s", reason);
    channel_failed(agent, 0, "%s", reason);
    serve_end(agent);
    agent->broken = true;
}

/* ---- frames
 * ------------------------------------------------------------------------------------ */

static void
take_credit(Agent *agent, Channel *channel, Cursor *cursor)
{
    uint16_t type = cursor_u16(cursor);
    cursor_u16(cursor);
    uint32_t count = cursor_u32(cursor);
    uint32_t *credit = NULL;
    for (int i = 0; i < 2 && channel && channel->kind == CHANNEL_COMMAND; i++)
        if (channel->streams[i].type == type)
            credit = &channel->streams[i].credit;
    if (channel && channel->kind == CHANNEL_GET && type == HB_FRAME_DATA)
        credit = &channel->credit;
    if (credit) /* more than the window is never lent, whatever the harness says */
        *credit = count > HB_WIRE_WINDOW - *credit ? HB_WIRE_WINDOW : *credit + count;
}

/* Frames about a request that is under way, or that has just ended. */
static void
handle_running(Agent *agent, Channel *channel, const Frame *frame)
{
    Cursor cursor = {frame->payload, frame->length, false};
    bool is_command = channel && channel->kind == CHANNEL_COMMAND;
    switch (frame->type) {
    case HB_FRAME_CREDIT:
        take_credit(agent, channel, &cursor);
        break;
    case HB_FRAME_SIGNAL: {
        uint32_t number = cursor_u32(&cursor);
        if (is_command && !cursor.bad && number > 0 && number < NSIG)
            command_signal(channel, (int)number);
        break;
    }
    case HB_FRAME_RESIZE: {
        uint16_t rows = cursor_u16(&cursor);
        uint16_t columns = cursor_u16(&cursor);
        if (is_command && !cursor.bad)
            command_resize(channel, rows, columns);
        break;
    }
    }
    if (cursor.bad)
        serve_violation(agent, "a frame of type %u is too short", frame->type);
}

static void
handle(Agent *agent, const Frame *frame)
{
    Channel *channel = channel_find(agent, frame->channel);
    switch (frame->type) {
    case HB_FRAME_HELLO:
        if (agent->has_host)
            init_resume(agent, frame);
        serve_begin(agent);
        break;
    case HB_FRAME_PING:
        if (frame->length == 8)
            wire_send(&agent->wire, HB_FRAME_PONG, frame->channel, frame->payload, 8);
        else
            serve_violation(agent, "a PING frame has %u bytes instead of 8",
                            frame->length);
        break;
    case HB_FRAME_RUN:
        command_run(agent, frame);
        break;
    case HB_FRAME_OBSERVE:
        command_observe(agent, frame);
        break;
    case HB_FRAME_PUT:
        file_put(agent, frame);
        break;
    case HB_FRAME_GET:
        file_get(agent, frame);
        break;
    case HB_FRAME_STDIN:
        if (channel && channel->kind == CHANNEL_COMMAND)
            command_stdin(agent, channel, frame);
        break;
    case HB_FRAME_DATA:
        if (channel && channel->kind == CHANNEL_PUT)
            file_data(agent, channel, frame);
        break;
    case HB_FRAME_CREDIT:
    case HB_FRAME_SIGNAL:
    case HB_FRAME_RESIZE:
        handle_running(agent, channel, frame);
        break;
    default:
        serve_violation(agent, "a frame has the unknown type %u", frame->type);
    }
}

static bool
is_roomy(const Agent *agent)
{
    return wire_room(&agent->wire) >= WIRE_RESERVE;
}

static void
handle_frames(Agent *agent)
{
    Frame frame;
    int found = 0;
    while (!agent->broken && is_roomy(agent) &&
           (found = wire_next(&agent->wire, &frame)) > 0)
        handle(agent, &frame);
    if (!agent->broken && found < 0)
        serve_violation(agent, "a frame is longer than %d bytes", HB_WIRE_MAX);
    if (agent->broken)
        agent->wire.in_length = 0;
}

/* ---- children and signals
 * ----------------------------------------------------------------------- */

static void
reap(Agent *agent)
{
    int wait_status;
    pid_t pid;
    while ((pid = waitpid(-1, &wait_status, WNOHANG | WUNTRACED)) > 0)
        for (int i = 0; i < HB_WIRE_CHANNELS; i++)
            if (agent->channels[i].pid == pid && WIFSTOPPED(wait_status))
                command_stopped(agent, &agent->channels[i]);
            else if (agent->channels[i].pid == pid)
                command_exited(&agent->channels[i], wait_status);
}

int
serve_signals(Agent *agent)
{
    struct signalfd_siginfo info;
    int other = 0;
    while (read(agent->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo != SIGCHLD)
            other = (int)info.ssi_signo;
    reap(agent);
    return other;
}

/* ---- the loop
 * -------------------------------------------------------------------------------------
 */

static bool
stream_wants(const Stream *stream)
{
    return stream->fd >= 0 && stream->credit > 0;
}

/* A channel that can go on without any descriptor becoming ready. */
static bool
channel_is_ready(const Channel *channel)
{
    if (channel->kind == CHANNEL_GET)
        return channel->credit > 0;
    if (!channel->exited)
        return false;
    const Stream *streams = channel->streams;
    bool ended = streams[0].fd < 0 && streams[1].fd < 0;
    return ended || stream_wants(&streams[0]) || stream_wants(&streams[1]) ||
           (streams[0].fd >= 0 && streams[0].last == 0) ||
           (streams[1].fd >= 0 && streams[1].last == 0);
}

static void
fill_channel(const Channel *channel, bool can_pump, struct pollfd *polls)
{
    for (int i = 0; i < 2; i++) {
        const Stream *stream = &channel->streams[i];
        bool wanted = channel->kind != CHANNEL_FREE && can_pump && stream_wants(stream);
        polls[i] = (struct pollfd){.fd = wanted ? stream->fd : -1, .events = POLLIN};
    }
    bool feeding = channel->kind == CHANNEL_COMMAND &&
                   (channel->stdin_length > 0 || command_closes_stdin(channel));
    polls[2] = (struct pollfd){.fd = feeding ? channel->stdin_fd : -1, .events = POLLOUT};
}

/* Returns how long poll() may wait. */
static int
fill_polls(const Agent *agent, struct pollfd *polls)
{
    bool can_pump = wire_room(&agent->wire) >= WIRE_PUMP_ROOM;
    int timeout_ms = -1;
    short events = is_roomy(agent) ? POLLIN : 0;
    if (agent->wire.out_length > 0)
        events |= POLLOUT;
    polls[POLL_PORT] = (struct pollfd){.fd = agent->wire.fd, .events = events};
    polls[POLL_SIGNALS] = (struct pollfd){.fd = agent->signal_fd, .events = POLLIN};
    for (int i = 0; i < HB_WIRE_CHANNELS; i++) {
        const Channel *channel = &agent->channels[i];
        fill_channel(channel, can_pump, polls + POLL_CHANNELS + POLL_PER_CHANNEL * i);
        if (can_pump && channel->kind != CHANNEL_FREE && channel_is_ready(channel))
            timeout_ms = 0;
    }
    return timeout_ms;
}

static void
pump_channel(Agent *agent, Channel *channel, const struct pollfd *polls)
{
    if (channel->kind == CHANNEL_GET)
        file_pump(agent, channel);
    if (channel->kind != CHANNEL_COMMAND && channel->kind != CHANNEL_OBSERVE)
        return;
    if (polls[2].revents)
        command_pump_stdin(agent, channel);
    for (int i = 0; i < 2; i++)
        if (polls[i].revents || channel->exited)
            command_pump_output(agent, channel, &channel->streams[i]);
    command_wait(agent, channel);
    command_finish(agent, channel);
}

static void
pump_channels(Agent *agent, const struct pollfd *polls)
{
    for (int i = 0; i < HB_WIRE_CHANNELS; i++) {
        Channel *channel = &agent->channels[i];
        if (channel->kind != CHANNEL_FREE && is_roomy(agent))
            pump_channel(agent, channel, polls + POLL_CHANNELS + POLL_PER_CHANNEL * i);
    }
}

int
serve(Agent *agent)
{
    struct pollfd polls[POLL_COUNT];
    for (;;) {
        if (wire_flush(&agent->wire) < 0)
            return 0;
        if (poll(polls, POLL_COUNT, fill_polls(agent, polls)) < 0)
            continue;
        /* A frame may start or end a channel, so what poll() said about channels is used
         * first. */
        pump_channels(agent, polls);
        int number = serve_signals(agent);
        if (number)
            return number;
        /* Who has left without reading makes no room, and so would never be found out by
         * reading. */
        if (polls[POLL_PORT].revents & (POLLHUP | POLLERR) && !is_roomy(agent))
            return 0;
        if (polls[POLL_PORT].revents & (POLLIN | POLLHUP | POLLERR) && is_roomy(agent) &&
            wire_read(&agent->wire) < 0)
            return 0;
        handle_frames(agent);
    }
}
