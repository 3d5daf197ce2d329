/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * bare LOG-DIR [--kernel FILE] [--run SCRIPT]: the emulator alone. Starts it with the
 * arguments that hostbed left in the log directory of a run, waits for the agent, has it
 * run `true` or what is in the file SCRIPT, and prints the milliseconds from spawn to the
 * command's exit as seen outside. No hostbed code is in the way: this is what the
 * benchmark compares hostbed with.
 */
#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire.h"

typedef struct {
    int ours, theirs, number;
    gboolean is_qmp, is_agent, is_console;
} Channel;

/* What the guest said last: tells why a boot failed. */
static GString *console;
#define CONSOLE_KEPT 2000

static G_NORETURN void
die(const char *what)
{
    fprintf(stderr, "bare: %s\n", what);
    if (console && console->len > 0)
        fprintf(stderr, "the end of its console:\n%s\n", console->str);
    exit(1);
}

static void
keep_console(const guint8 *bytes, gsize length)
{
    g_string_append_len(console, (const char *)bytes, (gssize)length);
    if (console->len > CONSOLE_KEPT)
        g_string_erase(console, 0, (gssize)(console->len - CONSOLE_KEPT));
}

/* Before the line of LOG-DIR/command that has the words as the emulator got them, with
 * the numbers of its descriptors. */
#define BEFORE_WORDS "# as it was, with descriptors that it inherited:\n# "

static GStrv
read_command(const char *log_dir)
{
    g_autofree char *path = g_build_filename(log_dir, "command", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    if (!g_file_get_contents(path, &text, NULL, &error))
        die(error->message);
    GStrv argv = NULL;
    char *words = strstr(text, BEFORE_WORDS);
    if (!words)
        die("the log directory's command is of another form");
    words += strlen(BEFORE_WORDS);
    words[strcspn(words, "\n")] = '\0';
    if (!g_shell_parse_argv(words, NULL, &argv, &error))
        die(error->message);
    return argv;
}

/* A connected pair for every descriptor that the arguments name. */
static GArray *
open_channels(char **argv)
{
    GArray *channels = g_array_new(FALSE, TRUE, sizeof(Channel));
    for (char **arg = argv; *arg; arg++) {
        const char *fd = g_str_has_prefix(*arg, "socket,") ? strstr(*arg, ",fd=") : NULL;
        if (!fd)
            continue;
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
            die(g_strerror(errno));
        Channel channel = {pair[0],
                           pair[1],
                           atoi(fd + 4),
                           strstr(*arg, "qmp") != NULL,
                           strstr(*arg, "agent") != NULL,
                           strstr(*arg, "console") != NULL};
        g_array_append_val(channels, channel);
    }
    return channels;
}

static pid_t
start(char **argv, GArray *channels)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* First out of the way of the numbers that are wanted, then to them. */
    for (guint i = 0; i < channels->len; i++) {
        Channel *channel = &g_array_index(channels, Channel, i);
        channel->theirs = dup(channel->theirs) + 0;
        while (channel->theirs < 100)
            channel->theirs = dup(channel->theirs);
    }
    for (guint i = 0; i < channels->len; i++) {
        Channel *channel = &g_array_index(channels, Channel, i);
        dup2(channel->theirs, channel->number);
    }
    for (int fd = 100; fd < 400; fd++)
        close(fd);
    execvp(argv[0], argv);
    _exit(127);
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
        die("the agent's channel is closed");
}

/* What the shell of the host is to do. */
static char *script;

static void
run_script(int fd)
{
    static const char begin[] = "\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                "/\0sh\0-c";
    static const char run_true[] = "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                   "/\0true";
    g_autoptr(GByteArray) payload = g_byte_array_new();
    g_byte_array_append(payload, (const guint8 *)(script ? begin : run_true),
                        script ? sizeof begin : sizeof run_true);
    if (script)
        g_byte_array_append(payload, (const guint8 *)script, strlen(script) + 1);
    send_frame(fd, HB_FRAME_RUN, 1, payload->data, payload->len);
    send_frame(fd, HB_FRAME_STDIN, 1, "", 0);
}

/* Takes the frames out of BUFFER; TRUE once the command's EXIT has come. */
static gboolean
take_frames(int fd, GByteArray *buffer)
{
    gboolean done = FALSE;
    while (!done && buffer->len >= 8) {
        uint32_t length;
        uint16_t type;
        memcpy(&length, buffer->data, 4);
        memcpy(&type, buffer->data + 4, 2);
        length = GUINT32_FROM_LE(length);
        if (length > HB_WIRE_MAX)
            die("the agent speaks another protocol");
        if (buffer->len < 8 + length)
            break;
        if (GUINT16_FROM_LE(type) == HB_FRAME_HELLO)
            run_script(fd);
        if (GUINT16_FROM_LE(type) == HB_FRAME_FAILED)
            die("the agent could not run the command");
        done = GUINT16_FROM_LE(type) == HB_FRAME_EXIT;
        static const guint8 well[8]; /* status and signal */
        if (done && (length != 8 || memcmp(buffer->data + 8, well, 8) != 0))
            die("the command failed");
        g_byte_array_remove_range(buffer, 0, 8 + length);
    }
    return done;
}

static void
talk(GArray *channels)
{
    static const char hello[] =
        "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"cont\"}";
    g_autoptr(GByteArray) buffer = g_byte_array_new();
    struct pollfd polls[16];
    guint count = MIN(channels->len, G_N_ELEMENTS(polls));
    for (guint i = 0; i < count; i++) {
        Channel *channel = &g_array_index(channels, Channel, i);
        polls[i] = (struct pollfd){.fd = channel->ours, .events = POLLIN};
        if (channel->is_qmp && write(channel->ours, hello, sizeof hello - 1) < 0)
            die("the emulator closed its monitor");
    }
    for (;;) {
        if (poll(polls, count, script ? 300000 : 30000) <= 0)
            die("nothing happens");
        for (guint i = 0; i < count; i++) {
            guint8 bytes[4096];
            if (!polls[i].revents)
                continue;
            ssize_t got = read(polls[i].fd, bytes, sizeof bytes);
            if (got <= 0)
                die("the emulator ended");
            if (g_array_index(channels, Channel, i).is_console)
                keep_console(bytes, (gsize)got);
            if (!g_array_index(channels, Channel, i).is_agent)
                continue;
            g_byte_array_append(buffer, bytes, (guint)got);
            if (take_frames(polls[i].fd, buffer))
                return;
        }
    }
}

static void
replace_kernel(char **command, const char *path)
{
    for (char **arg = command; *arg; arg++)
        if (strcmp(*arg, "-kernel") == 0 && arg[1]) {
            g_free(arg[1]);
            arg[1] = g_strdup(path);
        }
}

int
main(int argc, char **argv)
{
    if (argc < 2 || argc % 2 != 0)
        die("usage: bare LOG-DIR [--kernel FILE] [--run SCRIPT]");
    g_auto(GStrv) command = read_command(argv[1]);
    for (char **option = argv + 2; *option; option += 2) {
        g_autoptr(GError) error = NULL;
        if (strcmp(*option, "--kernel") == 0)
            replace_kernel(command, option[1]);
        else if (!g_file_get_contents(option[1], &script, NULL, &error))
            die(error->message);
    }
    g_autoptr(GArray) channels = open_channels(command);
    console = g_string_new(NULL);
    gint64 started = g_get_monotonic_time();
    pid_t pid = start(command, channels);
    for (guint i = 0; i < channels->len; i++)
        close(g_array_index(channels, Channel, i).theirs);
    talk(channels);
    printf("%" G_GINT64_FORMAT "\n", (g_get_monotonic_time() - started) / 1000);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return 0;
}
