/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-memory.h"

#include <stdbool.h>
#include <stddef.h>

#include "guest-talk.h"

#define MEMORY 0x800000u /* from here on nothing else is */
#define PAGE_WORDS (4096 / sizeof(uint64_t))
#define NONE UINT64_MAX

typedef struct {
    uint64_t pages, passes;
    uint64_t tick_cycles, last_tick; /* of the CPU's counter */
    uint64_t last_page, longest;     /* the same */
    uint64_t lost;                   /* the first page, or NONE */
    bool ticked;                     /* in this pass */
} Work;

static volatile uint64_t *
page_at(uint64_t page)
{
    return (volatile uint64_t *)(uintptr_t)(MEMORY + page * 4096);
}

/* Differs by page, word and pass. */
static uint64_t
content(uint64_t pass, uint64_t page, size_t word)
{
    return (pass << 32 ^ page << 12 ^ word) * 0x9e3779b97f4a7c15u;
}

static void
write_page(uint64_t pass, uint64_t page)
{
    volatile uint64_t *at = page_at(page);
    for (size_t i = 0; i < PAGE_WORDS; i++)
        at[i] = content(pass, page, i);
}

static void
check_page(Work *work, uint64_t page)
{
    volatile uint64_t *at = page_at(page);
    for (size_t i = 0; i < PAGE_WORDS && work->lost == NONE; i++)
        if (at[i] != content(work->passes, page, i))
            work->lost = page;
}

/* What stands between two looks at the clock is one page's work, unless nobody runs. */
static void
look_at_clock(Work *work)
{
    const uint64_t now = __builtin_ia32_rdtsc();
    if (now - work->last_page > work->longest)
        work->longest = now - work->last_page;
    work->last_page = now;
    if (now - work->last_tick < work->tick_cycles)
        return;
    work->last_tick = now;
    work->ticked = true;
    say_tick();
}

static bool
is_to_end(void)
{
    if (!is_spoken_to())
        return false;
    if (hear() != '!')
        return true;
    page_at(0)[0] = ~page_at(0)[0];
    return false;
}

static void
write_anew(Work *work)
{
    work->ticked = false;
    for (uint64_t page = 0; page < work->pages; page++) {
        check_page(work, page);
        write_page(work->passes + 1, page);
        look_at_clock(work);
    }
    work->passes++;
}

static void
tell(const Work *work)
{
    say(work->lost == NONE ? "kept " : "lost ");
    say_number(work->passes);
    say(" ");
    say_number(work->lost == NONE ? work->longest : work->lost);
    say("\n.\n");
}

void
keep_memory(void)
{
    Work work = {.lost = NONE};
    work.pages = hear_number();
    work.tick_cycles = hear_number();
    for (uint64_t page = 0; page < work.pages; page++)
        write_page(0, page);
    work.last_page = __builtin_ia32_rdtsc();
    /* A look at the line takes as long as many pages. */
    do
        write_anew(&work);
    while (!work.ticked || !is_to_end());
    for (uint64_t page = 0; page < work.pages; page++)
        check_page(&work, page);
    tell(&work);
}
