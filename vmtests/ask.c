/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ask.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"

static struct {
    char line[ASK_LINE_MAX]; /* of the input, so far */
    size_t used;
    char answer[ASK_LINE_MAX]; /* the last one */
} input;

void
ask_harness(const char *word, const char *about)
{
    printf("%s%s %s\n", ASK_PREFIX, word, about);
    fflush(stdout);
}

/* A line comes as a whole, and few at a time: byte by byte is quick enough, and nothing
 * of the next one has to be kept. FALSE: it is not at its end yet, or the harness is gone
 * (*GONE). */
static bool
read_line(bool *gone)
{
    char byte;
    ssize_t got = read(STDIN_FILENO, &byte, 1);
    *gone = got == 0 || (got < 0 && errno != EINTR);
    if (got != 1)
        return false;
    bool ends = byte == '\n' || input.used == sizeof input.line - 1;
    input.line[input.used] = ends ? '\0' : byte;
    input.used = ends ? 0 : input.used + 1;
    return ends;
}

/* FALSE: none comes until END. */
static bool
has_input_by(int64_t end)
{
    struct pollfd standard = {.fd = STDIN_FILENO, .events = POLLIN};
    int ready;
    do {
        int64_t left = end - now_ms();
        ready = poll(&standard, 1, left > 0 ? (int)left : 0);
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

bool
ask_answer(int limit_ms, const char **about, const char **answer)
{
    int64_t end = now_ms() + limit_ms;
    bool gone = false;
    do {
        if (gone || !has_input_by(end))
            return false;
    } while (!read_line(&gone));
    memcpy(input.answer, input.line, sizeof input.answer);
    char *blank = strchr(input.answer, ' ');
    if (!blank)
        fail_msg("the harness said '%s', which is no answer", input.answer);
    *blank = '\0';
    *about = input.answer;
    *answer = blank + 1;
    return true;
}
