/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite dma: memory that a device must not reach. Each time a control comes first: the
 * same transfer, while it is allowed, does arrive.
 */
#include "dma-bench.h"

#include <string.h>

#define ROUNDS 4      /* where nothing is to be logged */
#define TOLD_ROUNDS 2 /* where faults have to be waited for */

/* Copies of what a page had. */
typedef struct {
    unsigned char bytes[PAGE];
} Page;

static void
fill_page(Bench *bench, unsigned char *at, Page *page)
{
    random_fill(&bench->random, page->bytes, sizeof page->bytes);
    memcpy(at, page->bytes, sizeof page->bytes);
}

static void
expect_untouched(const Nic *nic, const Mapping *mapping, const Page *page,
                 const char *what)
{
    for (size_t i = 0; i < PAGE; i++)
        if (mapping->at[i] != page->bytes[i])
            fail_msg("%s changed byte %zu of %s, at %#llx", nic->address, i, what,
                     (unsigned long long)mapping->iova);
}

/* No eight bytes of the frame are in TO, wherever. */
static void
expect_unread(const Nic *nic, const Frame *frame, Spot from, Spot to, const char *what)
{
    for (size_t i = 0; i + 8 <= frame->length; i += 8)
        if (memmem(to.at, E1000E_BUFFER_BYTES, frame->bytes + i, 8))
            fail_msg("%s read byte %zu of %s, at %#llx", nic->address, i, what,
                     (unsigned long long)from.iova);
}

/* Two pages, one to be sent from and one to be received to; and the control. */
typedef struct {
    Mapping from, to;
    Spot source, target;
    Frame frame;
} Transfer;

static void
make_transfer(Bench *bench, Nic *nic, Transfer *transfer)
{
    transfer->from = map_page(bench, nic, VFIO_READ);
    transfer->to = map_page(bench, nic, VFIO_WRITE);
    transfer->source = any_spot(bench, &transfer->from);
    transfer->target = any_spot(bench, &transfer->to);
    write_frame(&bench->random, transfer->source, &transfer->frame);
    expect_arrival(bench, nic, &transfer->frame, transfer->source, transfer->target,
                   "while it is mapped");
}

/* ---- after unmapping
 * ----------------------------------------------------------------------------- */

void
unmapped_memory_is_not_written(void **state)
{
    Bench *bench = *state;
    Nic *nic = open_nic(bench, 0);
    for (int i = 0; i < ROUNDS; i++) {
        Transfer transfer;
        Page page;
        make_transfer(bench, nic, &transfer);
        if (!suite_has_fault(__func__))
            unmap(nic, &transfer.to);
        fill_page(bench, transfer.to.at, &page);
        try_to_move(nic, &transfer.frame, transfer.source, transfer.target);
        expect_untouched(nic, &transfer.to, &page, "memory that was unmapped");
    }
}

void
unmapped_memory_is_not_read(void **state)
{
    Bench *bench = *state;
    Nic *nic = open_nic(bench, 0);
    for (int i = 0; i < ROUNDS; i++) {
        Transfer transfer;
        Page page;
        make_transfer(bench, nic, &transfer);
        if (!suite_has_fault(__func__))
            unmap(nic, &transfer.from);
        fill_page(bench, transfer.to.at, &page);
        try_to_move(nic, &transfer.frame, transfer.source, transfer.target);
        expect_unread(nic, &transfer.frame, transfer.source, transfer.target,
                      "memory that was unmapped");
    }
}

/* The fault of the case NAME: the page stays mapped. */
static void
blocked_access_is_reported(Bench *bench, bool is_write, const char *name)
{
    Nic *nic = open_nic(bench, 0);
    for (int i = 0; i < TOLD_ROUNDS; i++) {
        Transfer transfer;
        make_transfer(bench, nic, &transfer);
        const Mapping *page = is_write ? &transfer.to : &transfer.from;
        if (!suite_has_fault(name))
            unmap(nic, page);
        expect_fault(nic, &transfer.frame, transfer.source, transfer.target, is_write,
                     page->iova);
    }
}

void
blocked_writes_are_reported(void **state)
{
    blocked_access_is_reported(*state, true, __func__);
}

void
blocked_reads_are_reported(void **state)
{
    blocked_access_is_reported(*state, false, __func__);
}

/* ---- allowed one way only
 * ------------------------------------------------------------------------ */

/* At an address that was never used, or the IOTLB would know it. The other way round
 * there is nothing to prove: for Linux 6.1 a mapping that the device may only write is
 * readable too (docs/facts.rst). */
void
read_only_memory_is_not_written(void **state)
{
    Bench *bench = *state;
    Nic *nic = open_nic(bench, 0);
    Transfer transfer;
    Page page;
    make_transfer(bench, nic, &transfer);
    uint32_t access = VFIO_READ | (suite_has_fault(__func__) ? VFIO_WRITE : 0);
    Mapping guarded = map_memory(bench, nic, transfer.to.at, PAGE, access);
    Spot target = {transfer.target.at,
                   guarded.iova + (uint64_t)(transfer.target.at - guarded.at)};
    fill_page(bench, guarded.at, &page);
    try_to_move(nic, &transfer.frame, transfer.source, target);
    expect_untouched(nic, &guarded, &page, "memory that it may only read");
    Mapping other = map_page(bench, nic, VFIO_WRITE);
    expect_moved(bench, nic, target, any_spot(bench, &other), "memory that it may read");
}

/* ---- another one's memory
 * ------------------------------------------------------------------------ */

/* The same address means other memory to another container. */
static void
expect_own_memory(Bench *bench, Nic *one, Nic *other)
{
    uint64_t iova = fresh_iova(bench, one, PAGE);
    Nic *nics[] = {one, other};
    Mapping to[2];
    Page page;
    for (int i = 0; i < 2; i++) {
        to[i] = (Mapping){new_memory(PAGE), PAGE, iova};
        map_at(nics[i], to[i].at, PAGE, iova, VFIO_WRITE);
    }
    for (int i = 0; i < 2; i++) {
        Mapping from = map_page(bench, nics[i], VFIO_READ);
        fill_page(bench, to[1 - i].at, &page);
        expect_moved(bench, nics[i], any_spot(bench, &from), any_spot(bench, &to[i]),
                     "an address that another container has too");
        expect_untouched(nics[i], &to[1 - i], &page, "memory of another container");
    }
}

void
containers_do_not_share_memory(void **state)
{
    Bench *bench = *state;
    Nic *owner = open_nic(bench, 0), *stranger = open_nic(bench, 1);
    expect_own_memory(bench, owner, stranger);
    for (int i = 0; i < ROUNDS; i++) {
        Transfer transfer;
        Page page;
        make_transfer(bench, owner, &transfer);
        if (suite_has_fault(__func__))
            map_at(stranger, transfer.to.at, PAGE, transfer.to.iova, VFIO_WRITE);
        Mapping from = map_page(bench, stranger, VFIO_READ);
        Spot source = any_spot(bench, &from);
        Frame frame;
        write_frame(&bench->random, source, &frame);
        fill_page(bench, transfer.to.at, &page);
        try_to_move(stranger, &frame, source, transfer.target);
        expect_untouched(stranger, &transfer.to, &page, "memory of another container");
    }
}
