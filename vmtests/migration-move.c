/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migration-suite.h"

#include <string.h>

#define TICK_MS 20
/* So the guest is seen to run. */
#define TICKS 3

/* ---- the guest's work
 * -------------------------------------------------------------------------------------
 */

/* How many cycles the CPU's counter makes in a millisecond, of this host and so of its
 * guests. */
static unsigned long long
cycles_per_ms(void)
{
    static unsigned long long known;
    if (known > 0)
        return known;
    const int64_t begin = now_ms();
    int64_t now;
    const unsigned long long first = __builtin_ia32_rdtsc();
    while ((now = now_ms()) < begin + 50)
        ;
    known = (__builtin_ia32_rdtsc() - first) / (unsigned long long)(now - begin);
    return known;
}

void
guest_works(Side *side, int pages)
{
    char command[60];
    snprintf(command, sizeof command, "m%d,%llu;", pages, TICK_MS * cycles_per_ms());
    side_say(side, command);
    side_await_ticks(side, TICKS);
}

void
guest_has_all(Side *side, Move *move)
{
    unsigned long long passes, number;
    side_say(side, ".");
    const char *answer = side_hear(side);
    if (sscanf(answer, "lost %llu %llu", &passes, &number) == 2)
        fail_msg("page %llu of the guest's memory is not what it wrote in turn %llu",
                 number, passes);
    if (sscanf(answer, "kept %llu %llu", &passes, &number) != 2)
        fail_msg("the guest says \"%s\"", answer);
    move->guest_gap_us = (long long)(number * 1000 / cycles_per_ms());
}

/* ---- moving
 * --------------------------------------------------------------------------------------
 */

const char *
move_address(Side *to)
{
    static char address[100];
    *to->status = '\0';
    side_ask(to, "{\"execute\": \"migrate-incoming\", \"arguments\": "
                 "{\"uri\": \"tcp:0.0.0.0:0\"}}");
    side_ask(to, "{\"execute\": \"query-migrate\"}");
    const char *port = side_text(to, "port");
    if (!port)
        fail_msg("the destination listens nowhere: %s", to->answer);
    snprintf(address, sizeof address, "tcp:%s:%s", side_host(to), port);
    return address;
}

void
move_begin(Side *from, Side *to)
{
    const char *address = move_address(to);
    *from->status = '\0';
    side_ask(from, MOVE_COMMAND, address);
}

static const char *status_wanted;

static bool
is_at_end(const Side *from)
{
    static const char *const ends[] = {"completed", "failed", "cancelled"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (strcmp(from->status, ends[i]) == 0)
            return true;
    return strcmp(from->status, status_wanted) == 0;
}

void
move_await(Side *from, const char *status)
{
    status_wanted = status;
    side_await(from, is_at_end, "the migration comes to no end");
    if (strcmp(from->status, status) == 0)
        return;
    side_ask(from, "{\"execute\": \"query-migrate\"}");
    const char *why = side_text(from, "error-desc");
    fail_msg("the migration is %s%s%s, asked was %s", from->status, why ? ": " : "",
             why ? why : "", status);
}

void
move_measure(Side *from, Side *to, Move *move)
{
    const int64_t last = from->last_tick_ms;
    const long before = to->ticks;
    side_await_ticks(to, before > 0 ? 0 : 1);
    move->gap_ms = to->first_tick_ms - last;
    side_await_ticks(to, TICKS);
    side_ask(from, "{\"execute\": \"query-migrate\"}");
    move->total_ms = side_number(from, "total-time");
    move->downtime_ms = side_number(from, "downtime");
    move->bytes = side_number(from, "transferred");
    move->requests = side_number(from, "postcopy-requests");
    if (move->total_ms < 0 || move->downtime_ms < 0 || move->bytes <= 0)
        fail_msg("the emulator does not say what the migration took: %s", from->answer);
}

void
move_guest(Side *from, Side *to, Move *move)
{
    move_begin(from, to);
    move_await(from, "completed");
    move_measure(from, to, move);
}

void
move_tell(const Move *move)
{
    printf("# measure total %lld ms\n", move->total_ms);
    printf("# measure downtime %lld ms\n", move->downtime_ms);
    printf("# measure silence-outside %lld ms\n", move->gap_ms);
    printf("# measure silence-by-guest %lld.%03lld ms\n", move->guest_gap_us / 1000,
           move->guest_gap_us % 1000);
    printf("# measure sent %lld.%03lld MiB\n", move->bytes >> 20,
           (move->bytes & 0xfffff) * 1000 >> 20);
    printf("# measure pages-asked-for %lld pages\n", move->requests);
}
