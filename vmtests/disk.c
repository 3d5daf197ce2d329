/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite disk: what the host's kernel makes of a disk that fails, or does not answer. The
 * harness has the emulator do that to one request or another (disk-wire.h). All requests
 * are direct, so that each is one of the disk's, and read or written from or to where the
 * case can look.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_DIRECT */
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ask.h"
#include "cases.h"
#include "clock.h"
#include "disk-wire.h"
#include "suite.h"

#define SECTOR 512
#define BAD 4096 /* a sector in the middle of somewhere */
#define PASSING 16
#define ANSWER_MS 30000
#define REQUEST_MS 30000
#define UNTOUCHED 0xa5

static struct {
    char address[16];
    char controller[16]; /* "nvme0" */
    int fd;
    unsigned char *buffer; /* of a sector, shared with children */
} disk = {.fd = -1};

/* ---- the harness
 * ------------------------------------------------------------------------------------------
 */

static void
ask(const char *word, const char *more)
{
    char text[64];
    const char *about, *answer;
    snprintf(text, sizeof text, "%s%s%s", disk.address, more ? " " : "",
             more ? more : "");
    ask_harness(word, text);
    if (!ask_answer(suite_ms(ANSWER_MS), &about, &answer))
        fail_msg("the harness does not answer to '%s %s'", word, text);
    if (strcmp(answer, "done") != 0)
        fail_msg("the harness says to '%s %s': %s", word, text, answer);
}

static void
mend(long unused)
{
    ask("mend", NULL);
}

/* Until the case ends. */
static void
disturb(const char *word, const char *more)
{
    suite_at_end(mend, 0);
    ask(word, more);
}

/* ---- the disk
 * ------------------------------------------------------------------------------------------
 */

static void
take_name(const char *name, void *data)
{
    snprintf(data, 32, "%s", name);
}

/* "/dev/nvme0n1" of the controller's "nvme0n1", or of its path "nvme0c0n1" to that. */
static const char *
device_of(const char *name)
{
    static char path[48];
    int subsystem, controller, namespace;
    if (sscanf(name, "nvme%dc%dn%d", &subsystem, &controller, &namespace) == 3)
        snprintf(path, sizeof path, "/dev/nvme%dn%d", subsystem, namespace);
    else
        snprintf(path, sizeof path, "/dev/%s", name);
    return path;
}

static void
take_namespace(const char *name, void *data)
{
    if (strncmp(name, disk.controller, strcspn(disk.controller, "0123456789")) == 0 &&
        strchr(name + 4, 'n'))
        take_name(name, data);
}

static void
open_disk(void)
{
    char name[32] = "";
    const char *list = getenv(DISK_ENVIRONMENT);
    suite_needs_live();
    skip_unless_tried(list && *list, "disk that the harness can have fail");
    snprintf(disk.address, sizeof disk.address, "%.12s", list);
    suite_list(take_name, name, "/sys/bus/pci/devices/%s/nvme", disk.address);
    snprintf(disk.controller, sizeof disk.controller, "%.15s", name);
    name[0] = '\0';
    if (*disk.controller)
        suite_list(take_namespace, name, "/sys/class/nvme/%s", disk.controller);
    if (disk.fd < 0)
        disk.fd = *name ? open(device_of(name), O_RDWR | O_DIRECT | O_CLOEXEC) : -1;
    if (disk.fd < 0)
        fail_msg("%s has no disk that can be opened: %s", disk.address,
                 *name ? strerror(errno) : "its driver made none");
    if (!disk.buffer)
        disk.buffer =
            mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (disk.buffer == MAP_FAILED)
        fail_msg("no memory for a sector: %s", strerror(errno));
}

/* 0, or the error. What was not read stays UNTOUCHED. */
static int
read_sector(long sector)
{
    memset(disk.buffer, UNTOUCHED, SECTOR);
    ssize_t got = pread(disk.fd, disk.buffer, SECTOR, sector * SECTOR);
    return got == SECTOR ? 0 : got < 0 ? errno : EIO;
}

static int
write_sector(long sector)
{
    memset(disk.buffer, UNTOUCHED, SECTOR);
    ssize_t put = pwrite(disk.fd, disk.buffer, SECTOR, sector * SECTOR);
    return put == SECTOR ? 0 : put < 0 ? errno : EIO;
}

/* An error of the medium is ENODATA to who reads directly, others are EIO. */
static void
expect_failed(int error, const char *what)
{
    if (error == 0)
        fail_msg("a %s of %s that is to fail has succeeded", what, disk.address);
    if (error != EIO && error != ENODATA && error != ENOSPC)
        fail_msg("a %s of %s that is to fail says: %s", what, disk.address,
                 strerror(error));
}

static void
expect_done(int error, const char *what)
{
    if (error != 0)
        fail_msg("a %s of %s that has nothing to do with it fails: %s", what,
                 disk.address, strerror(error));
}

/* ---- the kernel's log
 * ------------------------------------------------------------------------------------------
 */

static int
log_from_now(void)
{
    int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || lseek(fd, 0, SEEK_END) < 0)
        fail_msg("the kernel's log cannot be read: %s", strerror(errno));
    return fd;
}

/* Whether it has told of an error of a disk at SECTOR, since. */
static bool
log_tells_of(int log, long sector)
{
    char record[8192], words[32];
    bool told = false;
    ssize_t got;
    snprintf(words, sizeof words, "sector %ld ", sector);
    while ((got = read(log, record, sizeof record - 1)) > 0 ||
           (got < 0 && errno == EPIPE)) {
        record[got > 0 ? got : 0] = '\0';
        told = told || (strstr(record, "error, dev nvme") && strstr(record, words));
    }
    close(log);
    return told;
}

/* ---- cases: errors
 * ------------------------------------------------------------------------------------------
 */

static void
reads_of_a_bad_sector_fail(void **state)
{
    open_disk();
    int log = log_from_now();
    if (!suite_has_fault("reads_of_a_bad_sector_fail"))
        disturb("fail", "read 4096");
    expect_failed(read_sector(BAD), "read");
    if (!log_tells_of(log, BAD))
        fail_msg("the kernel has not told of the error of sector %d", BAD);
    expect_done(read_sector(BAD - 1), "read of the sector before");
    expect_done(read_sector(BAD + 1), "read of the sector behind");
    expect_done(write_sector(BAD), "write");
}

static void
writes_fail_and_reads_do_not(void **state)
{
    open_disk();
    disturb("fail", suite_has_fault("writes_fail_and_reads_do_not") ? "all" : "write");
    expect_failed(write_sector(BAD), "write");
    expect_failed(write_sector(0), "write");
    expect_done(read_sector(BAD), "read");
}

/* Who writes is told of nothing, and who wants it to last is. */
static void
flushes_that_fail_are_told(void **state)
{
    open_disk();
    if (!suite_has_fault("flushes_that_fail_are_told"))
        disturb("fail", "flush");
    expect_done(write_sector(BAD), "write");
    expect_failed(fsync(disk.fd) == 0 ? 0 : errno, "flush");
}

static void
a_disk_that_is_mended_works(void **state)
{
    open_disk();
    disturb("fail", "all");
    expect_failed(read_sector(BAD), "read");
    expect_failed(write_sector(BAD), "write");
    if (!suite_has_fault("a_disk_that_is_mended_works"))
        mend(0);
    expect_done(write_sector(BAD), "write afterwards");
    expect_done(read_sector(BAD), "read afterwards");
    expect_done(fsync(disk.fd) == 0 ? 0 : errno, "flush afterwards");
}

/* ---- cases: requests that stand still
 * ------------------------------------------------------------------------------------------
 */

static pid_t waiting;

static void
end_waiting(long unused)
{
    if (waiting > 0 && kill(waiting, SIGKILL) == 0)
        waitpid(waiting, NULL, 0);
    waiting = 0;
}

/* A child makes a request, to whose end its exit status is the error. */
static void
begin(int (*request)(long sector))
{
    memset(disk.buffer, UNTOUCHED, SECTOR);
    waiting = fork();
    if (waiting == 0)
        _exit(request(BAD));
    if (waiting < 0)
        fail_msg("no process for a request: %s", strerror(errno));
    suite_at_end(end_waiting, 0);
}

static bool
has_ended(int *status)
{
    bool ended = waitpid(waiting, status, WNOHANG) == waiting;
    if (ended)
        waiting = 0;
    return ended;
}

/* How many requests the driver has handed to the disk that did not come back. */
static int
under_way(void)
{
    char name[32] = "";
    int reads = 0, writes = 0;
    suite_list(take_namespace, name, "/sys/class/nvme/%s", disk.controller);
    const char *text =
        suite_read("/sys/class/nvme/%s/%s/inflight", disk.controller, name);
    if (!text || sscanf(text, "%d %d", &reads, &writes) != 2)
        fail_msg("the kernel does not tell what requests of %s there are", disk.address);
    return reads + writes;
}

/* Until the disk has the child's request, which is not to end. */
static void
await_halt(const char *what)
{
    const int64_t end = now_ms() + suite_ms(REQUEST_MS);
    int status;
    while (under_way() == 0) {
        if (has_ended(&status))
            fail_msg("a %s of %s that is to stand still has ended", what, disk.address);
        if (now_ms() >= end)
            fail_msg("no %s came to %s", what, disk.address);
        poll(NULL, 0, 1);
    }
}

/* Those that were begun later end. */
static void
others_pass(const char *what)
{
    int status;
    unsigned char *own = disk.buffer;
    disk.buffer += SECTOR; /* the first is the child's */
    for (int i = 0; i < PASSING; i++) {
        int error = write_sector(i) || read_sector(i);
        if (error != 0)
            fail_msg("while a %s stands still another request fails", what);
    }
    disk.buffer = own;
    if (has_ended(&status))
        fail_msg("a %s of %s that is to stand still has ended", what, disk.address);
}

static void
await_end(const char *what)
{
    const int64_t end = now_ms() + suite_ms(REQUEST_MS);
    int status;
    while (!has_ended(&status)) {
        if (now_ms() >= end)
            fail_msg("a %s of %s that is to go on has not ended", what, disk.address);
        poll(NULL, 0, 1);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("a %s of %s that stood still fails: %s", what, disk.address,
                 strerror(WEXITSTATUS(status)));
}

static void
a_suspended_write_ends_when_resumed(void **state)
{
    open_disk();
    if (!suite_has_fault("a_suspended_write_ends_when_resumed"))
        disturb("suspend", "write");
    begin(write_sector);
    await_halt("write");
    others_pass("write");
    mend(0);
    await_end("write");
}

/* An emulated disk reads as zeroes. */
static void
a_suspended_read_brings_its_data_later(void **state)
{
    static const unsigned char zeroes[SECTOR];
    const bool fault = suite_has_fault("a_suspended_read_brings_its_data_later");
    open_disk();
    disturb("suspend", "read");
    begin(read_sector);
    await_halt("read");
    for (int i = 0; i < SECTOR; i++)
        if (disk.buffer[i] != UNTOUCHED)
            fail_msg("a read of %s that stands still has brought data", disk.address);
    mend(0);
    await_end("read");
    if (fault)
        disk.buffer[SECTOR - 1] = UNTOUCHED;
    if (memcmp(disk.buffer, zeroes, SECTOR) != 0)
        fail_msg("a read of %s that stood still has not brought all its data",
                 disk.address);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {DISK_CASES(SUITE_CASE)};
    return suite_run("disk", tests);
}
