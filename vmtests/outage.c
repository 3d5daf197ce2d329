/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite outage: what becomes of a neighbour that hangs, panics or loses its power, as a
 * host sees it. The harness does that to the other host (outage-wire.h);
 * docs/suites.rst says what each case proves and how it was seen to fail.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ask.h"
#include "cases.h"
#include "link-wire.h"
#include "network-suite.h"
#include "outage-wire.h"
#include "suite.h"

#define ANSWER_MS 60000
/* A host that lives answers long before. */
#define SILENCE_MS 2000
#define PANIC_ON_NMI "/proc/sys/kernel/unknown_nmi_panic"

static const Joined *neighbour;

/* ---- the neighbour
 * -------------------------------------------------------------------------------------
 */

static void
find_neighbour(const Joined *peer)
{
    neighbour = neighbour ? neighbour : peer;
}

/* Which gives back what it gets. */
static int
connect_neighbour(void)
{
    suite_needs_live();
    each_peer(find_neighbour);
    int fd = connect_to(neighbour->name, AF_INET, ANSWER_PORT);
    if (fd < 0 || send(fd, "e", 1, MSG_NOSIGNAL) != 1 ||
        !echo(fd, (const unsigned char *)"before", strlen("before")))
        fail_msg("%s does not answer: %s", neighbour->name, strerror(errno));
    return fd;
}

static void
say(int fd)
{
    if (send(fd, "after", strlen("after"), MSG_NOSIGNAL) != (ssize_t)strlen("after"))
        fail_msg("nothing can be sent to %s: %s", neighbour->name, strerror(errno));
}

/* That something came of the connection, be it its end. */
static bool
hears(int fd, int ms)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    return poll(&wait, 1, suite_ms(ms)) > 0;
}

static void
is_silent(int fd)
{
    char byte;
    if (!hears(fd, SILENCE_MS))
        return;
    ssize_t count = recv(fd, &byte, 1, MSG_DONTWAIT);
    fail_msg("%s was to be silent, and %s", neighbour->name,
             count > 0    ? "answers"
             : count == 0 ? "takes leave"
                          : strerror(errno));
}

/* ---- the harness
 * -------------------------------------------------------------------------------------
 */

static void
ask(const char *word, const char *expected)
{
    const char *about, *answer;
    ask_harness(word, neighbour->host);
    if (!ask_answer(suite_ms(ANSWER_MS), &about, &answer))
        fail_msg("the harness does not answer to '%s %s'", word, neighbour->host);
    if (strcmp(about, neighbour->host) != 0 || strcmp(answer, expected) != 0)
        fail_msg("'%s %s' was answered: %s %s", word, neighbour->host, about, answer);
}

/* ---- the cases
 * ------------------------------------------------------------------------------------ */

static void
a_host_that_hangs_answers_when_it_goes_on(void **state)
{
    int fd = connect_neighbour();
    if (!suite_has_fault("a_host_that_hangs_answers_when_it_goes_on"))
        ask("hang", "hangs");
    say(fd);
    is_silent(fd);
    ask("wake", "wakes");
    char bytes[5];
    for (size_t had = 0; had < sizeof bytes;) {
        ssize_t count =
            hears(fd, ANSWER_MS) ? recv(fd, bytes + had, sizeof bytes - had, 0) : -1;
        if (count <= 0)
            fail_msg("%s goes on, and does not answer", neighbour->name);
        had += (size_t)count;
    }
    if (memcmp(bytes, "after", sizeof bytes) != 0)
        fail_msg("%s gives back something else", neighbour->name);
    close(fd);
}

static void
is_gone(int fd)
{
    say(fd);
    is_silent(fd);
    if (ping(neighbour, AF_INET, suite_ms(SILENCE_MS)))
        fail_msg("%s was to be gone, and answers", neighbour->name);
    close(fd);
}

static void
a_host_that_panics_falls_silent(void **state)
{
    int fd = connect_neighbour();
    if (!suite_has_fault("a_host_that_panics_falls_silent"))
        ask("panic", "panicked");
    is_gone(fd);
}

static void
a_host_that_loses_power_takes_no_leave(void **state)
{
    int fd = connect_neighbour();
    if (!suite_has_fault("a_host_that_loses_power_takes_no_leave"))
        ask("cut", "off");
    is_gone(fd);
}

/* ---- who answers
 * ----------------------------------------------------------------------------------- */

int
main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--serve") == 0) {
        suite_write("1", PANIC_ON_NMI);
        return serve_start(argv[2]);
    }
    const struct CMUnitTest tests[] = {OUTAGE_CASES(SUITE_CASE)};
    return suite_run("outage", tests);
}
