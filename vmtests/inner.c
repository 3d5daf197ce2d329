/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-rom.h"
#include "net.h"
#include "suite-state.h"

#define EMULATOR "/usr/bin/qemu-system-x86_64"
#define LINUX_PATH "/usr/lib/hostbed/inner"
#define ROM_PATH "/tmp/hostbed-guest.rom"
#define ERRORS_PATH "/tmp/hostbed-guest%ld.errors"
#define CHANNEL_PATH "/tmp/hostbed-guest%ld.%s"
#define SERIAL_FD 3
#define MONITOR_FD 4
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
/* Stopped, as a state of the host; or NULL. */
static Inner *left;

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

/* ---- channels
 * ----------------------------------------------------------------------------------- */

static struct sockaddr_un
address_of(const char *channel, const Inner *inner)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s",
             suite_path(CHANNEL_PATH, (long)(inner - inners), channel));
    return address;
}

/* Who comes later finds it by its path. */
static int
listen_on(const char *channel, const Inner *inner)
{
    struct sockaddr_un address = address_of(channel, inner);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(address.sun_path);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1) != 0)
        fail_msg("%s cannot be made: %s", address.sun_path, strerror(errno));
    return fd;
}

static int
connect_by(struct sockaddr_un address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail_msg("%s has nobody: %s", address.sun_path, strerror(errno));
    return fd;
}

static void
connect_to(Inner *inner)
{
    inner->serial = connect_by(address_of("serial", inner));
    inner->monitor = connect_by(address_of("monitor", inner));
}

/* ---- the emulator
 * ---------------------------------------------------------------------------------- */

void
inner_write_rom(const char *path)
{
    if (!guest_rom_write(path))
        fail_msg("%s cannot be written: %s", path, strerror(errno));
}

/* What the emulator says of itself goes where fail_silent() reads it. */
static void
become_emulator(const Inner *inner, int serial, int monitor, const char *const *arguments)
{
    int errors = open(suite_path(ERRORS_PATH, (long)(inner - inners)),
                      O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int nothing = open("/dev/null", O_RDONLY);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(nothing, STDIN_FILENO) < 0 || dup2(errors, STDOUT_FILENO) < 0 ||
        dup2(errors, STDERR_FILENO) < 0 || dup2(serial, SERIAL_FD) < 0 ||
        dup2(monitor, MONITOR_FD) < 0)
        _exit(126);
    execv(EMULATOR, (char *const *)(uintptr_t)arguments);
    _exit(127);
}

static void
run_emulator(Inner *inner, const char *const *arguments)
{
    int serial = listen_on("serial", inner), monitor = listen_on("monitor", inner);
    connect_to(inner);
    inner->emulator = fork();
    if (inner->emulator == 0) {
        /* None may be where another goes to. */
        int high = fcntl(monitor, F_DUPFD, 10);
        become_emulator(inner, fcntl(serial, F_DUPFD, 10), high, arguments);
    }
    close(serial);
    close(monitor);
    if (inner->emulator < 0)
        fail_msg("no process can be made: %s", strerror(errno));
}

void
inner_kill(Inner *inner)
{
    if (inner->emulator <= 0) {
        if (inner->patience_ms > 0)
            close(inner->serial);
        *inner = (Inner){0};
        return;
    }
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
        if (inners[i].patience_ms == 0) {
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

/* OPTIONS: the machine and what it starts; MORE: or NULL. */
static void
start(Inner *inner, const char *const *options, const char *const *more)
{
    char device[100];
    const char *arguments[ARGUMENTS_MAX] = {
        EMULATOR,
        /* Nothing that is not named. */
        "-nodefaults", "-no-user-config", "-display", "none", "-global",
        "kvm-apic.vapic=off", "-accel", "kvm", "-cpu", "host",
        /* It starts when we are connected, so that no word is lost. */
        "-chardev", "socket,id=serial,fd=3,server=on,wait=on", "-serial",
        "chardev:serial", "-chardev", "socket,id=monitor,fd=4,server=on,wait=on", "-mon",
        "chardev=monitor,mode=readline"};
    snprintf(device, sizeof device, "vfio-pci,host=%s,id=assigned,rombar=0",
             inner->function);
    append(arguments, options);
    append(arguments, (const char *const[]){"-device", device, NULL});
    append(arguments, more);
    run_emulator(inner, arguments);
}

static void
fail_silent(const Inner *inner, const char *what)
{
    const char *errors = suite_read(ERRORS_PATH, (long)(inner - inners));
    fail_msg("the guest %s; it said \"%s\", its emulator: %s", what, inner->answer,
             errors && *errors ? errors : "nothing");
}

/* ---- one that was left
 * ------------------------------------------------------------------------------ */

/* It stands still until it is taken: QEMU does not read the state of a CPU that plain
 * emulation had within a guest (docs/facts.rst). */
void
inner_leave(Inner *inner)
{
    int status = 0;
    if (kill(inner->emulator, SIGSTOP) != 0 ||
        waitpid(inner->emulator, &status, WUNTRACED) < 0 || !WIFSTOPPED(status))
        fail_silent(inner, "cannot be stopped");
    left = inner;
}

/* The one that was left, if it is what is wanted; it is nothing to wait for else. */
static Inner *
take_left(const char *kind, const char *function, bool is_usual)
{
    Inner *inner = left;
    left = NULL;
    if (!inner)
        return NULL;
    if (!is_usual || strcmp(inner->kind, kind) != 0 ||
        strcmp(inner->function, function) != 0) {
        inner_kill(inner);
        return NULL;
    }
    suite_at_end(end_inner, inner - inners);
    inner->taken = 0;
    kill(inner->emulator, SIGCONT);
    return inner;
}

/* ---- starting
 * -------------------------------------------------------------------------------- */

static Inner *
inner_new(const char *kind, const char *function, int patience_ms)
{
    Inner *inner = unused_inner();
    inner->kind = kind;
    inner->function = function;
    inner->serial = -1;
    inner->patience_ms = suite_ms(patience_ms);
    return inner;
}

Inner *
inner_start(const char *function, const char *const *memory)
{
    static const char *const options[] = {"-machine", "pc",     "-m", "32",
                                          "-bios",    ROM_PATH, NULL};
    Inner *inner = take_left("rom", function, !memory);
    if (!inner) {
        inner = inner_new("rom", function, ANSWER_MS);
        inner_write_rom(ROM_PATH);
        start(inner, options, memory);
    }
    inner_hear(inner);
    return inner;
}

Inner *
inner_meet(const char *function, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    Inner *inner = inner_new("rom", function, ANSWER_MS);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    inner->serial = connect_by(address);
    return inner;
}

Inner *
inner_start_linux(const char *function, const char *const *memory)
{
    static const char *const options[] = {"-machine",
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
    Inner *inner = take_left("linux", function, !memory);
    if (!inner) {
        inner = inner_new("linux", function, LINUX_ANSWER_MS);
        start(inner, options, memory);
    }
    inner_await(inner, "linux");
    return inner;
}

/* ---- talking
 * ---------------------------------------------------------------------------------- */

void
inner_say(Inner *inner, const char *command)
{
    if (write(inner->serial, command, strlen(command)) != (ssize_t)strlen(command))
        fail_silent(inner, "takes no command");
}

/* Where the first answer of TEXT ends, before its last line; NULL: it is not whole. */
static char *
end_of_answer(char *text)
{
    char *line = text;
    while (line && strncmp(line, ".\n", 2) != 0) {
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    return line;
}

static void
hear_more(Inner *inner, int64_t end_ms)
{
    struct pollfd poller = {.fd = inner->serial, .events = POLLIN};
    int64_t left_ms = end_ms - now_ms();
    snprintf(inner->answer, sizeof inner->answer, "%.*s",
             (int)(inner->length - inner->taken), inner->heard + inner->taken);
    if (left_ms <= 0 || poll(&poller, 1, (int)left_ms) == 0)
        fail_silent(inner, "does not answer");
    ssize_t got = read(inner->serial, inner->heard + inner->length,
                       sizeof inner->heard - 1 - inner->length);
    if (got <= 0)
        fail_silent(inner, "is gone, or says too much");
    inner->length += (size_t)got;
}

const char *
inner_hear(Inner *inner)
{
    const int64_t end_ms = now_ms() + inner->patience_ms;
    char *end;
    /* All that was said is to be left with one that is. */
    if (!suite_is_asked_for_state()) {
        inner->length -= inner->taken;
        memmove(inner->heard, inner->heard + inner->taken, inner->length);
        inner->taken = 0;
    }
    for (;;) {
        inner->heard[inner->length] = '\0';
        end = end_of_answer(inner->heard + inner->taken);
        if (end)
            break;
        hear_more(inner, end_ms);
    }
    snprintf(inner->answer, sizeof inner->answer, "%.*s",
             (int)(end - inner->heard - (ptrdiff_t)inner->taken),
             inner->heard + inner->taken);
    inner->taken = (size_t)(end + 2 - inner->heard);
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
