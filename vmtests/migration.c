/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite migration: a guest inside moves from this host to another one of the lab, while
 * it works, by QEMU in both.
 */
#include "migration-suite.h"

#include <string.h>

#include "link-wire.h"
#include "suite-state.h"

/* So many are written all the time: what is sent anew before the guest stands still. */
#define FEW_PAGES 64

static void
open_both(Side **from, Side **to)
{
    needs_two_hosts();
    *from = side_open(HERE);
    *to = side_open(THERE);
}

static void
start_both(Side *from, Side *to)
{
    side_start(from, false);
    side_start(to, true);
}

/* ---- cases
 * -------------------------------------------------------------------------------------
 */

void
a_guest_goes_on_in_the_other_host(void **state)
{
    Side *from, *to;
    Move move;
    open_both(&from, &to);
    start_both(from, to);
    guest_works(from, FEW_PAGES);
    move_guest(from, to, &move);
    if (suite_has_fault("a_guest_goes_on_in_the_other_host"))
        side_say(to, "!");
    guest_has_all(to, &move);
    move_tell(&move, "pre-copy");
}

void
a_guest_that_moved_is_gone_where_it_was(void **state)
{
    Side *from, *to;
    Move move;
    open_both(&from, &to);
    start_both(from, to);
    guest_works(from, FEW_PAGES);
    move_guest(from, to, &move);
    const long before = from->ticks;
    if (suite_has_fault("a_guest_that_moved_is_gone_where_it_was"))
        side_ask(from, "{\"execute\": \"cont\"}");
    side_await_ticks(to, 10);
    if (from->ticks != before)
        fail_msg("the guest runs in both hosts");
    side_ask(from, "{\"execute\": \"query-status\"}");
    if (strcmp(side_text(from, "status"), "postmigrate") != 0)
        fail_msg("the emulator that had the guest says %s", from->answer);
}

int
main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--serve") == 0)
        return migration_serve(argv[2]);
    const struct CMUnitTest tests[] = {MIGRATION_CASES(SUITE_CASE)};
    return suite_run("migration", tests);
}
