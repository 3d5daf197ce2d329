/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bare-host.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire.h"

#define CONSOLE_KEPT 2000
#define SILENCE_MS 300000
/* Above the numbers that the emulator's words name. */
#define ASIDE 100

typedef enum {
    QMP,
    AGENT,
    CONSOLE,
    ROLES
} Role;

struct BareHost {
    pid_t pid;
    int ours[ROLES];
    GString *monitor;  /* what it said after what was waited for */
    GByteArray *agent; /* frames that are not whole */
    gboolean hello, ended;
};

/* What the guest said last: tells why a boot failed. */
static GString *console;

void
bare_die(const char *what)
{
    fprintf(stderr, "bare: %s\n", what);
    if (console && console->len > 0)
        fprintf(stderr, "the end of its console:\n%s\n", console->str);
    exit(1);
}

/* ---- its start
 * ------------------------------------------------------------------------------------ */

/* Before the line of LOG-DIR/command that has the words as the emulator got them, with
 * the numbers of its descriptors. */
#define BEFORE_WORDS "# as it was, with descriptors that it inherited:\n# "

GStrv
bare_command(const char *log_dir)
{
    g_autofree char *path = g_build_filename(log_dir, "command", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    if (!g_file_get_contents(path, &text, NULL, &error))
        bare_die(error->message);
    GStrv argv = NULL;
    char *words = strstr(text, BEFORE_WORDS);
    if (!words)
        bare_die("the log directory's command is of another form");
    words += strlen(BEFORE_WORDS);
    words[strcspn(words, "\n")] = '\0';
    if (!g_shell_parse_argv(words, NULL, &argv, &error))
        bare_die(error->message);
    return argv;
}

/* The number after NAME in WORD, or -1. */
static gint64
number_after(const char *word, const char *name)
{
    const char *place = strstr(word, name);
    return place ? g_ascii_strtoll(place + strlen(name), NULL, 10) : -1;
}

#define MEMORY "\"mem-path\":\"/proc/self/fd/"

GArray *
bare_memory(char *const *command)
{
    GArray *files = g_array_new(FALSE, FALSE, sizeof(int));
    for (; *command; command++) {
        if (!strstr(*command, MEMORY))
            continue;
        int fd = memfd_create("bare-memory", MFD_CLOEXEC);
        if (fd < 0 || ftruncate(fd, number_after(*command, "\"size\":")) != 0)
            bare_die(g_strerror(errno));
        g_array_append_val(files, fd);
    }
    return files;
}

static Role
role_of(const char *word)
{
    return strstr(word, "qmp") ? QMP : strstr(word, "agent") ? AGENT : CONSOLE;
}

typedef struct {
    int fd, number;
} Given;

/* What the words name by number: one end of a pair for each channel, and the memory. */
static GArray *
give(BareHost *host, char **command, const GArray *memory)
{
    GArray *given = g_array_new(FALSE, FALSE, sizeof(Given));
    guint files = 0;
    for (char **word = command; *word; word++) {
        Given one = {-1, (int)number_after(*word, MEMORY)};
        int pair[2];
        if (one.number >= 0 && memory && files < memory->len) {
            one.fd = dup(g_array_index(memory, int, files++));
        } else if (g_str_has_prefix(*word, "socket,") && strstr(*word, ",fd=")) {
            if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
                bare_die(g_strerror(errno));
            one = (Given){pair[1], (int)number_after(*word, ",fd=")};
            host->ours[role_of(*word)] = pair[0];
        }
        if (one.fd >= 0)
            g_array_append_val(given, one);
    }
    return given;
}

static G_NORETURN void
become(char **command, GArray *given)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* First out of the way of the numbers that are wanted, then to them. */
    for (guint i = 0; i < given->len; i++) {
        Given *one = &g_array_index(given, Given, i);
        while (one->fd < ASIDE)
            one->fd = dup(one->fd);
    }
    for (guint i = 0; i < given->len; i++) {
        const Given *one = &g_array_index(given, Given, i);
        dup2(one->fd, one->number);
    }
    for (int fd = ASIDE; fd < 4 * ASIDE; fd++)
        close(fd);
    execvp(command[0], command);
    _exit(127);
}

BareHost *
bare_host_new(char **command, const GArray *memory)
{
    BareHost *host = g_new0(BareHost, 1);
    host->monitor = g_string_new(NULL);
    host->agent = g_byte_array_new();
    if (!console)
        console = g_string_new(NULL);
    for (int i = 0; i < ROLES; i++)
        host->ours[i] = -1;
    g_autoptr(GArray) given = give(host, command, memory);
    host->pid = fork();
    if (host->pid == 0)
        become(command, given);
    for (guint i = 0; i < given->len; i++)
        close(g_array_index(given, Given, i).fd);
    bare_tell(host, "{\"execute\":\"qmp_capabilities\"}", -1);
    return host;
}

void
bare_host_free(BareHost *host)
{
    kill(host->pid, SIGKILL);
    waitpid(host->pid, NULL, 0);
    for (int i = 0; i < ROLES; i++)
        if (host->ours[i] >= 0)
            close(host->ours[i]);
    g_string_free(host->monitor, TRUE);
    g_byte_array_unref(host->agent);
    g_free(host);
}

/* ---- what it says
 * --------------------------------------------------------------------------------- */

static void
keep_console(const guint8 *bytes, gsize length)
{
    g_string_append_len(console, (const char *)bytes, (gssize)length);
    if (console->len > CONSOLE_KEPT)
        g_string_erase(console, 0, (gssize)(console->len - CONSOLE_KEPT));
}

/* Takes the frames out of what the agent said. */
static void
take_frames(BareHost *host)
{
    while (host->agent->len >= 8) {
        uint32_t length;
        uint16_t type;
        memcpy(&length, host->agent->data, 4);
        memcpy(&type, host->agent->data + 4, 2);
        length = GUINT32_FROM_LE(length);
        type = GUINT16_FROM_LE(type);
        if (length > HB_WIRE_MAX)
            bare_die("the agent speaks another protocol");
        if (host->agent->len < 8 + length)
            return;
        if (type == HB_FRAME_FAILED)
            bare_die("the agent could not run the command");
        static const guint8 well[8]; /* status and signal */
        if (type == HB_FRAME_EXIT &&
            (length != 8 || memcmp(host->agent->data + 8, well, 8) != 0))
            bare_die("the command failed");
        host->hello |= type == HB_FRAME_HELLO;
        host->ended |= type == HB_FRAME_EXIT;
        g_byte_array_remove_range(host->agent, 0, 8 + length);
    }
}

/* Waits for something to be said, by whomever, and takes it. */
static void
hear(BareHost *host)
{
    struct pollfd polls[ROLES];
    for (int i = 0; i < ROLES; i++)
        polls[i] = (struct pollfd){.fd = host->ours[i], .events = POLLIN};
    if (poll(polls, ROLES, SILENCE_MS) <= 0)
        bare_die("nothing happens");
    for (int i = 0; i < ROLES; i++) {
        guint8 bytes[4096];
        if (!polls[i].revents)
            continue;
        ssize_t got = read(polls[i].fd, bytes, sizeof bytes);
        if (got <= 0)
            bare_die("the emulator ended");
        if (i == QMP)
            g_string_append_len(host->monitor, (const char *)bytes, got);
        else if (i == AGENT)
            g_byte_array_append(host->agent, bytes, (guint)got);
        else
            keep_console(bytes, (gsize)got);
    }
    take_frames(host);
}

void
bare_wait_monitor(BareHost *host, const char *words)
{
    const char *place;
    while (!(place = strstr(host->monitor->str, words)))
        hear(host);
    g_string_erase(host->monitor, 0, place + (gssize)strlen(words) - host->monitor->str);
}

void
bare_wait_hello(BareHost *host)
{
    while (!host->hello)
        hear(host);
}

/* ---- what it is told
 * ------------------------------------------------------------------------------ */

void
bare_tell(BareHost *host, const char *line, int fd)
{
    struct iovec text = {(void *)line, strlen(line)};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr header;
    } control = {0};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
    if (fd >= 0) {
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
    }
    if (sendmsg(host->ours[QMP], &message, MSG_NOSIGNAL) != (ssize_t)strlen(line))
        bare_die("the emulator closed its monitor");
}

static void
send_frame(int fd, uint16_t type, uint16_t channel, const void *payload, uint32_t length)
{
    guint8 header[8];
    uint32_t le_length = GUINT32_TO_LE(length);
    uint16_t le_type = GUINT16_TO_LE(type), le_channel = GUINT16_TO_LE(channel);
    memcpy(header, &le_length, 4);
    memcpy(header + 4, &le_type, 2);
    memcpy(header + 6, &le_channel, 2);
    if (write(fd, header, 8) != 8 || write(fd, payload, length) != (ssize_t)length)
        bare_die("the agent's channel is closed");
}

void
bare_greet(BareHost *host)
{
    uint32_t version_le = GUINT32_TO_LE(HB_WIRE_VERSION);
    host->hello = FALSE;
    send_frame(host->ours[AGENT], HB_FRAME_HELLO, 0, &version_le, sizeof version_le);
    bare_wait_hello(host);
}

void
bare_run(BareHost *host, const char *script)
{
    static const char begin[] = "\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                "/\0sh\0-c";
    static const char run_true[] = "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                   "/\0true";
    g_autoptr(GByteArray) payload = g_byte_array_new();
    g_byte_array_append(payload, (const guint8 *)(script ? begin : run_true),
                        script ? sizeof begin : sizeof run_true);
    if (script)
        g_byte_array_append(payload, (const guint8 *)script, (guint)strlen(script) + 1);
    send_frame(host->ours[AGENT], HB_FRAME_RUN, 1, payload->data, payload->len);
    send_frame(host->ours[AGENT], HB_FRAME_STDIN, 1, "", 0);
    while (!host->ended)
        hear(host);
    host->ended = FALSE;
}
