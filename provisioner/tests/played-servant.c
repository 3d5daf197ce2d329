/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A servant as the test of servant.c orders it: {"do": …} says how it behaves.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "json-line.h"
#include "servant-side.h"

/* Past servant-side.c: what a broken one may write. */
#define REAL_OUTPUT 3

static void
say(const char *text)
{
    if (write(REAL_OUTPUT, text, strlen(text)) < 0)
        _exit(1);
}

static void
flood(const char *text)
{
    for (;;)
        say(text);
}

static void
tell_steps(const ServantSide *side)
{
    for (int i = 1; i <= 3; i++)
        servant_side_progress(side, "a step", i, 3);
    puts("what a library prints");
    fflush(stdout);
}

static void
misbehave(const ServantSide *side, const char *what)
{
    if (strcmp(what, "garbage") == 0)
        say("garbage \033[31m\n");
    else if (strcmp(what, "array") == 0)
        say("[1, 2]\n");
    else if (strcmp(what, "endless line") == 0)
        flood("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    else if (strcmp(what, "endless events") == 0)
        flood("{\"event\":\"nothing\"}\n");
    else if (strcmp(what, "crash") == 0)
        raise(SIGKILL);
    else if (strcmp(what, "fail") == 0)
        fputs("the reason\n", stderr), exit(5);
    else if (strcmp(what, "leave") == 0)
        exit(0);
    else if (strcmp(what, "hang") == 0)
        pause();
    else if (strcmp(what, "close and hang") == 0)
        close(REAL_OUTPUT), pause();
    else if (strcmp(what, "answer and crash") == 0)
        say("{\"answer\":{}}\n"), raise(SIGABRT);
    else if (strcmp(what, "answer twice") == 0)
        say("{\"answer\":{}}\n{\"answer\":{}}\n");
    else if (strcmp(what, "flood of errors") == 0)
        for (int i = 0; i < 100000; i++)
            fputs("a line of complaint\n", stderr);
}

/* It does not end when it is told to, and neither does what it started. */
static void
stay(const ServantSide *side)
{
    signal(SIGTERM, SIG_IGN);
    if (fork() == 0)
        signal(SIGTERM, SIG_IGN);
    JsonObject *event = json_object_new();
    json_object_set_int_member(event, "group", getpgrp());
    servant_side_tell(side, "stays", event);
    for (;;)
        pause();
}

static void
nest(void)
{
    for (int i = 0; i < 100000; i++)
        say("[[[[[[[[[[");
    say("\n");
}

static JsonObject *
work(const ServantSide *side, JsonObject *order, GError **error)
{
    const char *what = json_line_string(order, "do");
    JsonObject *answer = json_object_new();
    if (strcmp(what, "moan") == 0)
        g_printerr("a library's last words\033[31m\n");
    if (strcmp(what, "refuse") == 0 || strcmp(what, "moan") == 0) {
        json_object_unref(answer);
        g_set_error(error, HB_ERROR, (int)json_line_int(order, "status", HB_USAGE),
                    "it is refused \033]0;x\a");
        return NULL;
    }
    if (strcmp(what, "steps") == 0)
        tell_steps(side);
    else if (strcmp(what, "stay") == 0)
        stay(side);
    else if (strcmp(what, "nest") == 0)
        nest();
    else
        misbehave(side, what);
    const char *text = json_line_string(order, "text");
    json_object_set_int_member(answer, "length", text ? (gint64)strlen(text) : 0);
    return answer;
}

int
main(void)
{
    return servant_side_run(work);
}
