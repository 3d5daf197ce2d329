/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "suite-state.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire.h"

static const SuiteState *asked;
static bool is_reached;

bool
suite_is_asked_for_state(void)
{
    return getenv("HOSTBED_STATE") != NULL;
}

static void
reach(void **state)
{
    asked->reach();
    is_reached = true;
}

static int
reach_asked(const SuiteState *states)
{
    const char *name = getenv("HOSTBED_STATE");
    is_reached = false;
    for (asked = states; asked->name && strcmp(asked->name, name) != 0;)
        asked++;
    if (!asked->name) {
        printf("1..0 # SKIP this suite knows no state '%s'\n", name);
        return 77;
    }
    const struct CMUnitTest tests[] = {{asked->name, reach, NULL, NULL, NULL}};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    int failed = _cmocka_run_group_tests(asked->name, tests, 1, NULL, NULL);
    return is_reached ? 0 : failed ? 1 : 77;
}

/* ---- waiting in it
 * ----------------------------------------------------------------------------------- */

static bool
read_whole(void *data, size_t size)
{
    ssize_t got = 1;
    for (char *at = data; size > 0 && got > 0; at += got, size -= (size_t)got)
        got = read(STDIN_FILENO, at, size);
    return got > 0;
}

static void
forget_environment(void)
{
    static const char ours[] = "HOSTBED_";
    char **kept = environ;
    for (char **each = environ; *each; each++)
        if (strncmp(*each, ours, sizeof ours - 1) != 0)
            *kept++ = *each;
    *kept = NULL;
}

/* What the next one is asked for, as wire.h has it (HB_RUN_GOES_ON). */
static bool
take_environment(void)
{
    uint32_t length;
    if (!read_whole(&length, sizeof length) || length > HB_WIRE_MAX)
        return false;
    char *strings = calloc(1, length + 1);
    if (!strings || !read_whole(strings, length)) {
        free(strings);
        return false;
    }
    forget_environment();
    for (char *each = strings, *next; each < strings + length; each = next) {
        char *value = strchr(each, '=');
        next = strchr(each, '\0') + 1;
        if (value) {
            *value = '\0';
            setenv(each, value + 1, 1);
        }
    }
    free(strings);
    return true;
}

bool
suite_reaches(const SuiteState *states, int *status)
{
    *status = 0;
    while (suite_is_asked_for_state()) {
        *status = reach_asked(states);
        if (*status != 0)
            return false;
        suite_forget_undo();
        fflush(NULL);
        raise(SIGSTOP);
        if (!take_environment()) {
            *status = 1;
            return false;
        }
    }
    return true;
}
