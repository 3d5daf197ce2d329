/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "suite-state.h"

#include <stdlib.h>
#include <string.h>

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

int
suite_reach(const SuiteState *states)
{
    const char *name = getenv("HOSTBED_STATE");
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
