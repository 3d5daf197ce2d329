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
/* Of which a good part is still to come when the guest runs in the other host. */
#define MANY_PAGES 512
#define SLOWLY 200000 /* bytes a second */
#define QUICKLY 100000000
#define POSTCOPY_BYTES_PER_SECOND 2000000
#define NIC_SLOT "1d"
#define NIC_SLOT_DECIMAL "29"

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
    move_tell(&move);
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

/* The guest that is there already takes no notice. */
void
a_guest_moves_to_a_host_that_has_one(void **state)
{
    Side *from, *to, *other;
    Move move, none;
    open_both(&from, &to);
    other = side_open(BESIDE);
    start_both(from, to);
    side_start(other, false);
    guest_works(other, FEW_PAGES);
    guest_works(from, FEW_PAGES);
    move_guest(from, to, &move);
    side_await_ticks(other, 10);
    if (suite_has_fault("a_guest_moves_to_a_host_that_has_one"))
        side_say(other, "!");
    guest_has_all(other, &none);
    guest_has_all(to, &move);
    move_tell(&move);
}

/* ---- moves that come to nothing
 * --------------------------------------------------------------------- */

/* Of the network; what is written meanwhile is more than is sent, so that no move ends by
 * itself. */
static void
set_speed(Side *side, long bytes_per_second)
{
    side_ask(side,
             "{\"execute\": \"migrate-set-parameters\", \"arguments\": "
             "{\"max-bandwidth\": %ld, \"downtime-limit\": %d}}",
             bytes_per_second, bytes_per_second == SLOWLY ? 1 : 300);
}

/* A guest that works is on its way, and will not come there. */
static void
begin_slowly(Side **from, Side **to)
{
    open_both(from, to);
    start_both(*from, *to);
    guest_works(*from, FEW_PAGES);
    set_speed(*from, SLOWLY);
    move_begin(*from, *to);
    move_await(*from, "active");
}

static void
is_where_it_was(Side *from)
{
    Move none;
    side_await_ticks(from, 10);
    side_ask(from, "{\"execute\": \"query-status\"}");
    if (strcmp(side_text(from, "status"), "running") != 0)
        fail_msg("the emulator that has the guest says %s", from->answer);
    guest_has_all(from, &none);
}

void
a_cancelled_move_leaves_the_guest(void **state)
{
    Side *from, *to;
    begin_slowly(&from, &to);
    if (suite_has_fault("a_cancelled_move_leaves_the_guest"))
        set_speed(from, QUICKLY);
    else
        side_ask(from, "{\"execute\": \"migrate_cancel\"}");
    move_await(from, "cancelled");
    is_where_it_was(from);
}

void
a_destination_that_dies_leaves_the_guest(void **state)
{
    Side *from, *to;
    begin_slowly(&from, &to);
    if (suite_has_fault("a_destination_that_dies_leaves_the_guest"))
        set_speed(from, QUICKLY);
    else
        side_end(to);
    move_await(from, "failed");
    is_where_it_was(from);
}

/* ---- post-copy
 * -------------------------------------------------------------------------------------
 */

static void
allow_postcopy(Side *side)
{
    side_ask(side, "{\"execute\": \"migrate-set-capabilities\", \"arguments\": "
                   "{\"capabilities\": [{\"capability\": \"postcopy-ram\", "
                   "\"state\": true}]}}");
    side_ask(side,
             "{\"execute\": \"migrate-set-parameters\", \"arguments\": "
             "{\"max-postcopy-bandwidth\": %d}}",
             POSTCOPY_BYTES_PER_SECOND);
}

void
memory_follows_a_guest_that_went_ahead(void **state)
{
    Side *from, *to;
    Move move;
    open_both(&from, &to);
    start_both(from, to);
    allow_postcopy(from);
    allow_postcopy(to);
    guest_works(from, MANY_PAGES);
    set_speed(from, SLOWLY);
    move_begin(from, to);
    move_await(from, "active");
    if (suite_has_fault("memory_follows_a_guest_that_went_ahead"))
        set_speed(from, QUICKLY);
    else
        side_ask(from, "{\"execute\": \"migrate-start-postcopy\"}");
    move_await(from, "completed");
    move_measure(from, to, &move);
    if (!to->has_come_first || move.requests <= 0)
        fail_msg("the guest asked for %lld pages after it had gone ahead: that was no "
                 "post-copy",
                 move.requests);
    guest_has_all(to, &move);
    move_tell(&move);
}

/* ---- TLS
 * -------------------------------------------------------------------------------------
 */

static void
give_key(Side *side, const char *role, const char *key)
{
    side_key(side, key);
    side_option(side, "-object");
    side_option(side, "tls-creds-psk,id=tls,dir=" MIGRATION_KEYS ",endpoint=%s", role);
}

static void
open_with_keys(Side **from, Side **to, bool is_same)
{
    char first[TOKEN_BYTES], second[TOKEN_BYTES], key[2 * TOKEN_BYTES];
    token_new(first);
    token_new(second);
    open_both(from, to);
    snprintf(key, sizeof key, "%s%s", first, second);
    give_key(*from, "client,username=" MIGRATION_USER, key);
    snprintf(key, sizeof key, "%s%s", first, is_same ? second : first);
    give_key(*to, "server", key);
}

static void
speak_tls(Side *side, bool wanted)
{
    side_ask(side,
             "{\"execute\": \"migrate-set-parameters\", \"arguments\": "
             "{\"tls-creds\": \"%s\"}}",
             wanted ? "tls" : "");
}

void
a_guest_moves_by_tls(void **state)
{
    Side *from, *to;
    Move move;
    open_with_keys(&from, &to, !suite_has_fault("a_guest_moves_by_tls"));
    start_both(from, to);
    speak_tls(from, true);
    speak_tls(to, true);
    guest_works(from, FEW_PAGES);
    move_guest(from, to, &move);
    guest_has_all(to, &move);
    move_tell(&move);
}

/* Only one of the two speaks it. */
static void
misunderstand(bool source_does)
{
    Side *from, *to;
    bool both = suite_has_fault("tls_and_no_tls_are_not_joined");
    open_with_keys(&from, &to, true);
    start_both(from, to);
    speak_tls(from, source_does || both);
    speak_tls(to, !source_does || both);
    guest_works(from, FEW_PAGES);
    move_begin(from, to);
    move_await(from, "failed");
    is_where_it_was(from);
}

void
tls_and_no_tls_are_not_joined(void **state)
{
    const int before = suite_to_undo();
    misunderstand(true);
    suite_undo_after(before);
    misunderstand(false);
}

/* ---- NICs
 * -------------------------------------------------------------------------------------
 */

/* What the guest says of its NICs, "nic SLOT MAC". */
static void
has_nic(Side *side, const char *mac)
{
    char expected[40];
    snprintf(expected, sizeof expected, *mac ? "nic " NIC_SLOT " %s\n" : "", mac);
    side_say(side, "l");
    const char *answer = side_hear(side);
    if (strcmp(answer, expected) != 0)
        fail_msg("the guest sees \"%s\", asked was \"%s\"", answer, expected);
}

static void
give_nic(Side *side, char mac[20])
{
    char address[32];
    side_take_nic(side, address, mac);
    side_option(side, "-device");
    side_option(side, "vfio-pci,host=%s,id=assigned,rombar=0,addr=" NIC_SLOT, address);
}

void
a_guest_with_a_nic_is_not_moved(void **state)
{
    Side *from, *to;
    char mac[20];
    const bool without = suite_has_fault("a_guest_with_a_nic_is_not_moved");
    open_both(&from, &to);
    if (!without)
        give_nic(from, mac);
    start_both(from, to);
    if (!without)
        has_nic(from, mac);
    guest_works(from, FEW_PAGES);
    const char *why = side_ask_in_vain(from, MOVE_COMMAND, move_address(to));
    if (!why || !strstr(why, "VFIO"))
        fail_msg("the move is refused, and not because of VFIO: %s", why ? why : "");
    is_where_it_was(from);
    has_nic(from, mac);
}

static bool
has_let_go(const Side *side)
{
    return side->has_device_gone;
}

static void
take_away_nic(Side *side)
{
    side_ask(side, "{\"execute\": \"device_del\", \"arguments\": {\"id\": "
                   "\"assigned\"}}");
    side_say(side, "e" NIC_SLOT_DECIMAL ";");
    side_hear(side);
    side_await(side, has_let_go, "the NIC stays");
    has_nic(side, "");
}

void
a_guest_changes_its_nic_for_the_other_hosts(void **state)
{
    Side *from, *to;
    Move move;
    char first[20], second[20], address[32];
    open_both(&from, &to);
    give_nic(from, first);
    side_take_nic(to, address, second);
    start_both(from, to);
    has_nic(from, first);
    if (!suite_has_fault("a_guest_changes_its_nic_for_the_other_hosts"))
        take_away_nic(from);
    guest_works(from, FEW_PAGES);
    move_guest(from, to, &move);
    guest_has_all(to, &move);
    side_ask(
        to,
        "{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"vfio-pci\", "
        "\"host\": \"%s\", \"id\": \"assigned\", \"rombar\": 0, \"addr\": \"" NIC_SLOT
        "\"}}",
        address);
    has_nic(to, second);
    move_tell(&move);
}

int
main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--serve") == 0)
        return migration_serve(argv[2]);
    const struct CMUnitTest tests[] = {MIGRATION_CASES(SUITE_CASE)};
    return suite_run("migration", tests);
}
