/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-rom.h"
#include "net.h"

#define EMULATOR "/usr/bin/qemu-system-x86_64"
#define LINUX_PATH "/usr/lib/hostbed/inner"
#define ROM_PATH "/tmp/hostbed-guest.rom"
#define ERRORS_PATH "/tmp/hostbed-guest%ld.errors"
#define MONITOR_FD 3
#define ARGUMENTS_MAX 60
/* An answer takes milliseconds; on a machine that does much else, a thousand times that.
 */
#define ANSWER_MS 60000
/* Linux computes for seconds before it says a word, and its drivers sleep. */
#define LINUX_ANSWER_MS 300000
/* pci=noearly: Linux on an AMD CPU looks for a northbridge at each of 65536 addresses,
 * each an exit or two, else (15 s under emulation within emulation). loglevel,
 * earlyprintk: a panic is said, and nothing else. noxsave: sizes that an emulated CPU
 * tells do not agree. */
#define LINUX_WORDS                                                                      \
    "loglevel=1 earlyprintk=ttyS0,115200,keep 8250.nr_uarts=0 panic=-1 pci=noearly "     \
    "no_timer_check mitigations=off cryptomgr.notests noxsave"

static Inner inners[INNER_GUESTS];

bool
inner_is_possible(void)
{
    return access(EMULATOR, X_OK) == 0;
}

bool
inner_has_linux(void)
{
    return access(LINUX_PATH "/kernel", R_OK) == 0;
}

/* ---- the emulator
 * ---------------------------------------------------------------------------------- */

static void
write_rom(void)
{
    const size_t length = (size_t)(guest_rom_end - guest_rom);
    int fd = open(ROM_PATH, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t written = fd < 0 ? -1 : write(fd, guest_rom, length);
    if (fd >= 0)
        close(fd);
    if (written != (ssize_t)length)
        fail_msg(ROM_PATH " cannot be written: %s", strerror(errno));
}

/* What the emulator says of itself goes where fail_silent() reads it. */
static void
become_emulator(const Inner *inner, int serial, int monitor, const char *const *arguments)
{
    int errors = open(suite_path(ERRORS_PATH, (long)(inner - inners)),
                      O_WRONLY | O_CREAT | O_TRUNC, 0600);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(serial, STDIN_FILENO) < 0 || dup2(serial, STDOUT_FILENO) < 0 ||
        dup2(errors, STDERR_FILENO) < 0 || dup2(monitor, MONITOR_FD) < 0)
        _exit(126);
    execv(EMULATOR, (char *const *)(uintptr_t)arguments);
    _exit(127);
}

static void
run_emulator(Inner *inner, const char *const *arguments)
{
    int serial[2], monitor[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, serial) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, monitor) != 0)
        fail_msg("no pair of sockets can be made: %s", strerror(errno));
    inner->serial = serial[0];
    inner->monitor = monitor[0];
    inner->emulator = fork();
    if (inner->emulator == 0) {
        /* Neither may be where the other goes to. */
        int high = fcntl(monitor[1], F_DUPFD, 10);
        become_emulator(inner, fcntl(serial[1], F_DUPFD, 10), high, arguments);
    }
    close(serial[1]);
    close(monitor[1]);
    if (inner->emulator < 0)
        fail_msg("no process can be made: %s", strerror(errno));
}

void
inner_kill(Inner *inner)
{
    if (inner->emulator <= 0)
        return;
    kill(inner->emulator, SIGKILL);
    waitpid(inner->emulator, NULL, 0);
    close(inner->serial);
    close(inner->monitor);
    *inner = (Inner){0};
}

static void
end_inner(long number)
{
    inner_kill(&inners[number]);
}

static Inner *
unused_inner(void)
{
    for (long i = 0; i < INNER_GUESTS; i++) {
        if (inners[i].emulator == 0) {
            suite_at_end(end_inner, i);
            return &inners[i];
        }
    }
    fail_msg("a case has %d guests at most", INNER_GUESTS);
}

static void
append(const char **arguments, const char *const *words)
{
    int count = 0;
    while (arguments[count])
        count++;
    while (words && *words && count < ARGUMENTS_MAX - 1)
        arguments[count++] = *words++;
}

/* KIND: the machine and what it starts; MORE: or NULL. */
static Inner *
start(const char *function, const char *const *kind, const char *const *more)
{
    char device[100];
    const char *arguments[ARGUMENTS_MAX] = {
        EMULATOR,
        /* Nothing that is not named. */
        "-nodefaults", "-no-user-config", "-display", "none", "-global",
        "kvm-apic.vapic=off", "-accel", "kvm", "-cpu", "host", "-chardev",
        "stdio,id=serial,signal=off", "-serial", "chardev:serial", "-chardev",
        "socket,id=monitor,fd=3", "-mon", "chardev=monitor,mode=readline"};
    snprintf(device, sizeof device, "vfio-pci,host=%s,id=assigned,rombar=0", function);
    append(arguments, kind);
    append(arguments, (const char *const[]){"-device", device, NULL});
    append(arguments, more);
    Inner *inner = unused_inner();
    inner->patience_ms = suite_ms(ANSWER_MS);
    run_emulator(inner, arguments);
    return inner;
}

Inner *
inner_start(const char *function, const char *const *memory)
{
    static const char *const kind[] = {"-machine", "pc",     "-m", "32",
                                       "-bios",    ROM_PATH, NULL};
    write_rom();
    Inner *inner = start(function, kind, memory);
    inner_hear(inner);
    return inner;
}

Inner *
inner_start_linux(const char *function, const char *const *memory)
{
    static const char *const kind[] = {"-machine",
                                       "pc,hpet=off",
                                       "-m",
                                       "128",
                                       "-no-reboot",
                                       "-L",
                                       LINUX_PATH,
                                       "-kernel",
                                       LINUX_PATH "/kernel",
                                       "-initrd",
                                       LINUX_PATH "/initramfs",
                                       "-append",
                                       LINUX_WORDS,
                                       NULL};
    Inner *inner = start(function, kind, memory);
    inner->patience_ms = suite_ms(LINUX_ANSWER_MS);
    inner_await(inner, "linux");
    return inner;
}

/* ---- talking
 * ---------------------------------------------------------------------------------- */

static void
fail_silent(const Inner *inner, const char *what)
{
    const char *errors = suite_read(ERRORS_PATH, (long)(inner - inners));
    fail_msg("the guest %s; it said \"%s\", its emulator: %s", what, inner->answer,
             errors && *errors ? errors : "nothing");
}

void
inner_say(Inner *inner, const char *command)
{
    if (write(inner->serial, command, strlen(command)) != (ssize_t)strlen(command))
        fail_silent(inner, "takes no command");
}

static bool
is_whole(const char *answer, size_t length)
{
    return length >= 2 && strcmp(answer + length - 2, ".\n") == 0 &&
           (length == 2 || answer[length - 3] == '\n');
}

const char *
inner_hear(Inner *inner)
{
    const int64_t end_ms = now_ms() + inner->patience_ms;
    size_t length = 0;
    inner->answer[0] = '\0';
    while (!is_whole(inner->answer, length)) {
        struct pollfd poller = {.fd = inner->serial, .events = POLLIN};
        int64_t left_ms = end_ms - now_ms();
        if (left_ms <= 0 || poll(&poller, 1, (int)left_ms) == 0)
            fail_silent(inner, "does not answer");
        ssize_t got = read(inner->serial, inner->answer + length,
                           sizeof inner->answer - 1 - length);
        if (got <= 0)
            fail_silent(inner, "is gone");
        length += (size_t)got;
        inner->answer[length] = '\0';
    }
    inner->answer[length - 2] = '\0';
    return inner->answer;
}

/* The last line of the answer: words of the kernel itself may stand before it. */
const char *
inner_await(Inner *inner, const char *word)
{
    const size_t length = strlen(word);
    for (;;) {
        inner_hear(inner);
        char *line = inner->answer, *end = strchr(line, '\0');
        if (end > line)
            end[-1] = '\0';
        line = strrchr(line, '\n') ? strrchr(line, '\n') + 1 : line;
        if (strncmp(line, word, length) == 0 && line[length] == ' ')
            return line + length + 1;
    }
}

const char *
inner_ask(Inner *inner, const char *command)
{
    inner_say(inner, command);
    return inner_hear(inner);
}

void
inner_monitor(Inner *inner, const char *format, ...)
{
    char line[300];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (write(inner->monitor, line, (size_t)length) != length)
        fail_silent(inner, "has no monitor");
}
