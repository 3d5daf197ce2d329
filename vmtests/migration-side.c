/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migration-suite.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kvm-guest.h"
#include "link-wire.h"

#define EMULATOR "/usr/bin/qemu-system-x86_64"
/* An emulator starts in seconds, inside; on a machine that does much else, in many. */
#define PATIENCE_MS 60000

#define NO_SIDE(place)                                                                   \
    {                                                                                    \
        .where = (place), .control = -1, .serial = -1, .qmp = -1                         \
    }
static Side sides[] = {NO_SIDE(HERE), NO_SIDE(THERE), NO_SIDE(BESIDE)};
#define STREAMS                                                                          \
    (2 * (int)(sizeof sides / sizeof sides[0])) /* a serial line and QMP each */
static pid_t helper;                            /* of the side that is here */
static const Joined *other_host;

static void
find_other(const Joined *peer)
{
    other_host = other_host ? other_host : peer;
}

void
needs_two_hosts(void)
{
    suite_needs_live();
    if (!kvm_load()) {
        print_message("the host has no /dev/kvm: its CPUs have neither SVM nor VMX, or "
                      "its kernel has no KVM\n");
        skip();
    }
    if (access(EMULATOR, X_OK) != 0) {
        print_message("this machine has no qemu-system-x86_64 to put into the host\n");
        skip();
    }
    each_peer(find_other);
}

const char *
side_host(const Side *side)
{
    return side->where == HERE ? joined_self(other_host->network)->ipv4
                               : other_host->ipv4;
}

/* ---- failing
 * ---------------------------------------------------------------------------------------
 */

static const char *
name_of(const Side *side)
{
    return side->where == HERE ? "this host" : other_host->host;
}

/* With what the emulator itself said. */
__attribute__((noreturn)) static void
fail_side(const Side *side, const char *what)
{
    char errors[500] = "";
    ssize_t got = recv(side->control, errors, sizeof errors - 1, MSG_DONTWAIT);
    errors[got > 0 ? got : 0] = '\0';
    fail_msg("in %s %s; the guest said \"%s\", QMP \"%s%s\", the emulator \"%s\"",
             name_of(side), what, side->heard, side->answer, side->said, errors);
}

/* ---- hearing
 * ---------------------------------------------------------------------------------------
 */

static void
hear_tick(Side *side)
{
    const int64_t now = now_ms();
    if (side->ticks++ == 0)
        side->first_tick_ms = now;
    side->last_tick_ms = now;
}

static void
hear_guest(Side *side, const char *bytes, ssize_t count)
{
    for (ssize_t i = 0; i < count; i++) {
        if (bytes[i] == GUEST_TICK)
            hear_tick(side);
        else if (side->heard_length < sizeof side->heard - 1)
            side->heard[side->heard_length++] = bytes[i];
    }
    side->heard[side->heard_length] = '\0';
}

/* One line of JSON. */
static void
take_line(Side *side, const char *line)
{
    if (strstr(line, "\"event\": \"MIGRATION\"")) {
        const char *status = strstr(line, "\"status\": \"");
        sscanf(status ? status : "", "\"status\": \"%39[^\"]", side->status);
        side->has_come_first |= strcmp(side->status, "postcopy-active") == 0;
    }
    side->has_device_gone |=
        strstr(line, "\"event\": \"DEVICE_DELETED\"") && strstr(line, "\"device\": ");
    if (!strstr(line, "\"event\": "))
        snprintf(side->answer, sizeof side->answer, "%s", line);
}

static void
hear_qmp(Side *side, const char *bytes, ssize_t count)
{
    char *end;
    if (side->said_length + (size_t)count >= sizeof side->said)
        fail_side(side, "the emulator says too much");
    memcpy(side->said + side->said_length, bytes, (size_t)count);
    side->said_length += (size_t)count;
    side->said[side->said_length] = '\0';
    while ((end = strstr(side->said, "\r\n"))) {
        *end = '\0';
        take_line(side, side->said);
        side->said_length -= (size_t)(end + 2 - side->said);
        memmove(side->said, end + 2, side->said_length + 1);
    }
}

static void
hear_from(Side *side, int *fd, void (*hear)(Side *side, const char *bytes, ssize_t count))
{
    char bytes[4096];
    ssize_t count = recv(*fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (count > 0) {
        hear(side, bytes, count);
    } else if (count == 0 || errno != EAGAIN) {
        close(*fd);
        *fd = -1;
    }
}

/* Whatever is said by anyone until END. */
static void
hear_all(int64_t end)
{
    struct pollfd wait[STREAMS];
    const int64_t left = end - now_ms();
    for (int i = 0; i < STREAMS; i++)
        wait[i] = (struct pollfd){.fd = i % 2 ? sides[i / 2].qmp : sides[i / 2].serial,
                                  .events = POLLIN};
    poll(wait, STREAMS, left > 0 ? (int)left : 0);
    for (int i = 0; i < STREAMS; i++) {
        Side *side = &sides[i / 2];
        if (wait[i].fd >= 0 && wait[i].revents)
            hear_from(side, i % 2 ? &side->qmp : &side->serial,
                      i % 2 ? hear_qmp : hear_guest);
    }
}

void
side_await(Side *side, bool (*come)(const Side *side), const char *what)
{
    const int64_t end = now_ms() + suite_ms(PATIENCE_MS);
    while (!come(side)) {
        if (now_ms() > end || (side->qmp < 0 && side->serial < 0))
            fail_side(side, what);
        hear_all(end);
    }
}

/* ---- the emulator
 * ---------------------------------------------------------------------------------- */

static bool
has_answer(const Side *side)
{
    return *side->answer || side->qmp < 0;
}

static const char *
ask(Side *side, const char *format, va_list args)
{
    char command[600];
    int length = vsnprintf(command, sizeof command, format, args);
    *side->answer = '\0';
    if (send(side->qmp, command, (size_t)length, MSG_NOSIGNAL) != length)
        fail_side(side, "the emulator takes no command");
    side_await(side, has_answer, "the emulator does not answer");
    return side->answer;
}

const char *
side_ask(Side *side, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *answer = ask(side, format, args);
    va_end(args);
    if (strncmp(answer, "{\"return\"", 9) != 0)
        fail_side(side, "the emulator refuses");
    return answer;
}

const char *
side_ask_in_vain(Side *side, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *answer = ask(side, format, args);
    va_end(args);
    if (strncmp(answer, "{\"error\"", 8) != 0)
        fail_side(side, "the emulator does what it was to refuse");
    return side_text(side, "desc");
}

static const char *
behind(const Side *side, const char *name)
{
    char word[60];
    snprintf(word, sizeof word, "\"%s\": ", name);
    const char *at = strstr(side->answer, word);
    return at ? at + strlen(word) : NULL;
}

long long
side_number(const Side *side, const char *name)
{
    const char *at = behind(side, name);
    return at ? strtoll(at, NULL, 10) : -1;
}

const char *
side_text(const Side *side, const char *name)
{
    static char text[400];
    const char *at = behind(side, name);
    *text = '\0';
    sscanf(at ? at : "", "\"%399[^\"]", text);
    return at ? text : NULL;
}

/* ---- the guest
 * --------------------------------------------------------------------------------------
 */

static long ticks_wanted;

static bool
has_ticked(const Side *side)
{
    return side->ticks >= ticks_wanted;
}

void
side_await_ticks(Side *side, long count)
{
    ticks_wanted = side->ticks + count;
    side_await(side, has_ticked, "the guest does not go on");
}

void
side_say(Side *side, const char *text)
{
    if (send(side->serial, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
        fail_side(side, "the guest takes no command");
}

/* An answer ends with a line that is ".". */
static bool
has_spoken(const Side *side)
{
    return strncmp(side->heard, ".\n", 2) == 0 || strstr(side->heard, "\n.\n");
}

const char *
side_hear(Side *side)
{
    static char answer[sizeof side->heard];
    side_await(side, has_spoken, "the guest does not answer");
    snprintf(answer, sizeof answer, "%s", side->heard);
    char *end = strncmp(answer, ".\n", 2) == 0 ? answer : strstr(answer, "\n.\n") + 1;
    const size_t taken = (size_t)(end - answer) + 2;
    side->heard_length -= taken;
    memmove(side->heard, side->heard + taken, side->heard_length + 1);
    *end = '\0';
    return answer;
}

/* ---- from start to end
 * -------------------------------------------------------------------------------------
 */

static void
forget_connection(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void
side_end(Side *side)
{
    char rest[500];
    if (side->control < 0)
        return;
    forget_connection(&side->serial);
    forget_connection(&side->qmp);
    /* What the emulator had is its host's again when the other end is closed. */
    struct pollfd wait = {.fd = side->control, .events = POLLIN};
    shutdown(side->control, SHUT_WR);
    while (poll(&wait, 1, suite_ms(PATIENCE_MS)) > 0 &&
           recv(side->control, rest, sizeof rest, 0) > 0)
        ;
    forget_connection(&side->control);
    if (side->where == HERE)
        waitpid(helper, NULL, 0);
}

static void
end_side(long number)
{
    side_end(&sides[number]);
}

static int
start_helper(void)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return -1;
    fflush(NULL);
    helper = fork();
    if (helper == 0) {
        close(ends[0]);
        migration_serve_one(ends[1], getenv(LINK_JOINED));
        _exit(0);
    }
    close(ends[1]);
    return ends[0];
}

Side *
side_open(Where where)
{
    Side *side = &sides[where];
    *side = (Side)NO_SIDE(where);
    side->control = where == HERE ? start_helper()
                                  : connect_to(other_host->name, AF_INET, MIGRATION_PORT);
    if (side->control < 0)
        fail_msg("nobody runs an emulator in %s: %s", name_of(side), strerror(errno));
    suite_at_end(end_side, where);
    return side;
}

static void
request(Side *side, const char *line)
{
    char text[520];
    int length = snprintf(text, sizeof text, "%s\n", line);
    if (send(side->control, text, (size_t)length, MSG_NOSIGNAL) != length)
        fail_side(side, "nobody takes a request");
}

void
side_option(Side *side, const char *format, ...)
{
    char line[500] = "option ";
    va_list args;
    va_start(args, format);
    vsnprintf(line + 7, sizeof line - 7, format, args);
    va_end(args);
    request(side, line);
}

void
side_key(Side *side, const char *digits)
{
    char line[200];
    snprintf(line, sizeof line, "key %s", digits);
    request(side, line);
}

/* The line that answers a request. */
static void
read_reply(Side *side, char *line, size_t size)
{
    struct pollfd wait = {.fd = side->control, .events = POLLIN};
    const int64_t end = now_ms() + suite_ms(PATIENCE_MS);
    size_t length = 0;
    do {
        const int64_t left = end - now_ms();
        if (left <= 0 || poll(&wait, 1, (int)left) <= 0 ||
            recv(side->control, line + length, 1, 0) != 1)
            fail_side(side, "a request is not answered");
    } while (line[length] != '\n' && ++length < size - 1);
    line[length] = '\0';
}

void
side_take_nic(Side *side, char address[32], char mac[20])
{
    char line[300];
    request(side, "nic");
    read_reply(side, line, sizeof line);
    if (strncmp(line, "none", 4) == 0) {
        print_message("%s has no e1000e to give away: none, or all are on networks that "
                      "join hosts\n",
                      name_of(side));
        skip();
    }
    if (sscanf(line, "nic %31s %19s", address, mac) != 2)
        fail_msg("%s has no NIC to give away: %s", name_of(side), line);
}

/* Two of them, each of which says first what it is for: who accepts them may see them in
 * another order than they were made. */
static int
connect_emulator(Side *side, int port, char purpose)
{
    int fd =
        connect_to(side->where == HERE ? "127.0.0.1" : other_host->name, AF_INET, port);
    if (fd < 0 || send(fd, &purpose, 1, MSG_NOSIGNAL) != 1)
        fail_side(side, "no emulator is to be reached");
    return fd;
}

void
side_start(Side *side, bool is_waited_for)
{
    char line[300];
    int port = 0;
    if (is_waited_for) {
        side_option(side, "-incoming");
        side_option(side, "defer");
    }
    request(side, "start");
    read_reply(side, line, sizeof line);
    if (sscanf(line, "port %d", &port) != 1)
        fail_msg("%s has no emulator: %s", name_of(side), line);
    side->serial = connect_emulator(side, port, MIGRATION_SERIAL);
    side->qmp = connect_emulator(side, port, MIGRATION_MONITOR);
    side_await(side, has_answer, "the emulator does not greet");
    side_ask(side, "{\"execute\": \"qmp_capabilities\"}");
    side_ask(side,
             "{\"execute\": \"migrate-set-capabilities\", \"arguments\": "
             "{\"capabilities\": [{\"capability\": \"events\", \"state\": true}]}}");
    if (!is_waited_for)
        side_hear(side);
}
