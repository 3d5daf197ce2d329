/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Init of a host (see agent.h): makes the machine usable, then answers the harness for
 * ever.
 */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void
log_line(const Agent *agent, int level, const char *text)
{
    char line[640];
    if (!agent->is_init) {
        fprintf(stderr, "hostbed-agent: %s\n", text);
        return;
    }
    int length = snprintf(line, sizeof line, "<%d>hostbed-agent: %s\n", level, text);
    int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, line, (size_t)length) < 0)
        close(fd); /* a full log is no reason to stop */
    else if (fd >= 0)
        close(fd);
}

void
agent_log(const Agent *agent, int level, const char *format, ...)
{
    char text[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log_line(agent, level, text);
}

void
agent_trouble(Agent *agent, const char *format, ...)
{
    char text[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log_line(agent, 3, text);
    size_t room = sizeof agent->trouble - agent->trouble_length;
    int length =
        snprintf(agent->trouble + agent->trouble_length, room, "trouble=%s", text);
    if (length > 0 && (size_t)length < room)
        agent->trouble_length += (size_t)length + 1;
}

static void
draw_nonce(Agent *agent)
{
    uint8_t bytes[16] = {0};
    /* Early in a boot the pool may not be ready; waiting for it would cost seconds, and a
     * nonce only has to differ from the last boot's. */
    if (getrandom(bytes, sizeof bytes, GRND_INSECURE) < 0)
        getrandom(bytes, sizeof bytes, GRND_NONBLOCK);
    for (size_t i = 0; i < sizeof bytes; i++)
        sprintf(agent->nonce + 2 * i, "%02x", bytes[i]);
}

/* As init: what busybox's reboot, poweroff and halt send, Ctrl-Alt-Del, and the power
 * button. */
static void
take_signals(Agent *agent)
{
    static const int taken[] = {SIGCHLD, SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGPWR};
    sigemptyset(&agent->signals);
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        sigaddset(&agent->signals, taken[i]);
    sigprocmask(SIG_BLOCK, &agent->signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    agent->signal_fd = signalfd(-1, &agent->signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* Descriptors 0-2 must be something, or a pipe for a command would get their numbers. */
static void
open_standard_streams(const char *path)
{
    int fd;
    do
        fd = open(path, O_RDWR | O_NOCTTY);
    while (fd >= 0 && fd < 3);
    if (fd >= 3)
        close(fd);
}

static int
serve_socket(Agent *agent, int fd)
{
    open_standard_streams("/dev/null");
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        fprintf(stderr, "hostbed-agent: descriptor %d: %s\n", fd, strerror(errno));
        return 2;
    }
    take_signals(agent);
    wire_init(&agent->wire, fd);
    serve_begin(agent);
    serve(agent);
    serve_end(agent);
    command_end_waiting(agent);
    return agent->broken ? 1 : 0;
}

/* Serves one harness after the other, until a signal says what else to do: its number. */
static int
serve_harnesses(Agent *agent, int port)
{
    for (;;) {
        int number = init_wait_harness(agent, port);
        if (!number) {
            wire_init(&agent->wire, port);
            serve_begin(agent);
            number = serve(agent);
            wire_flush(&agent->wire);
            serve_end(agent);
        }
        if (number)
            return number;
        agent_log(agent, 6, "the harness has left");
    }
}

__attribute__((noreturn)) static void
be_init(Agent *agent)
{
    agent->is_init = agent->has_host = true;
    clearenv(); /* the kernel hands unknown words of its command line to init this way */
    take_signals(agent);
    init_machine(agent);
    open_standard_streams("/dev/null");
    init_shutdown(agent, serve_harnesses(agent, init_open_port(agent)));
}

/* The end of the machine is the system's business; a signal is about us alone. One
 * without our port, where somebody else has started the image, is left as it is. */
static int
be_service(Agent *agent)
{
    agent->has_host = true;
    clearenv(); /* commands get the environment that they have in any host */
    open_standard_streams("/dev/null");
    int port = init_open_port(agent);
    service_machine(agent);
    take_signals(agent);
    serve_harnesses(agent, port);
    command_end_waiting(agent);
    close(port);
    close(agent->signal_fd);
    free(agent);
    return 0;
}

static int
usage(void)
{
    fputs("usage: hostbed-agent --service\n"
          "       hostbed-agent [--root DIR] --fd N\n"
          "       hostbed-agent [--root DIR] --bind ADDRESS...\n"
          "       hostbed-agent [--root DIR] --tear-out PORT [untold]\n"
          "       hostbed-agent [--root DIR] --await-gone PORT FUNCTION\n"
          "       hostbed-agent [--root DIR] --tell FUNCTION\n"
          "       hostbed-agent [--root DIR] --join FILE\n"
          "       hostbed-agent [--root DIR] --out FOLDER\n"
          "       hostbed-agent --pack FOLDER\n"
          "Without these it is the init of a host and nothing else.\n",
          stderr);
    return 2;
}

/* As a command of the host. */
static int
run_and_free(Agent *agent, int (*command)(const char *root, char **words), char **words)
{
    int status = command(agent->root, words);
    free(agent);
    return status;
}

int
main(int argc, char **argv)
{
    /* Too large for some stacks, and there is only one. */
    Agent *agent = calloc(1, sizeof *agent);
    if (!agent)
        return 2;
    agent->root = "/";
    draw_nonce(agent);
    if (getpid() == 1)
        be_init(agent);

    if (argc == 2 && strcmp(argv[1], "--service") == 0)
        return be_service(agent);
    int fd = -1;
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--root") == 0)
            agent->root = argv[i + 1];
        else if (i + 1 < argc && strcmp(argv[i], "--bind") == 0)
            return run_and_free(agent, bind_main, argv + i + 1);
        else if (i + 1 < argc && strcmp(argv[i], "--tear-out") == 0)
            return run_and_free(agent, tear_out_main, argv + i + 1);
        else if (i + 1 < argc && strcmp(argv[i], "--tell") == 0)
            return run_and_free(agent, tell_main, argv + i + 1);
        else if (i + 2 < argc && strcmp(argv[i], "--await-gone") == 0)
            return run_and_free(agent, await_gone_main, argv + i + 1);
        else if (i + 1 < argc && strcmp(argv[i], "--join") == 0)
            return run_and_free(agent, join_main, argv + i + 1);
        else if (i + 1 < argc && strcmp(argv[i], "--out") == 0)
            return run_and_free(agent, out_main, argv + i + 1);
        else if (i + 1 < argc && strcmp(argv[i], "--pack") == 0)
            return run_and_free(agent, pack_main, argv + i + 1);
        else if (i + 1 < argc && strcmp(argv[i], "--fd") == 0)
            fd = atoi(argv[i + 1]);
        else
            return usage();
    }
    if (fd < 0)
        return usage();
    int status = serve_socket(agent, fd);
    close(agent->signal_fd);
    close(fd);
    free(agent);
    return status;
}
