/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the files of the suite dma share: NICs driven from here, memory mapped for them at
 * random addresses, a frame sent from one place and received to another. All fail the
 * case themselves where they cannot, but for what returns a sentence.
 */
#pragma once

#include "cases.h"
#include "e1000e-user.h"
#include "iova.h"
#include "suite.h"
#include "vfio-device.h"

#define PAGE 4096
#define NICS 2
#define RANGES_USED_MAX 2048

/* A NIC in a container of its own. */
typedef struct {
    const char *address;
    VfioContainer container;
    VfioDevice device;
    VfioInfo info;
    volatile uint32_t *registers;
    size_t registers_size;
    E1000e driver;
} Nic;

typedef struct {
    Random random;
    Nic nic[NICS];
    struct {
        uint64_t first, size;
    } used[RANGES_USED_MAX]; /* addresses that were given out */
    unsigned used_count;
} Bench;

/* Memory, and where a device sees it. */
typedef struct {
    unsigned char *at;
    size_t size;
    uint64_t iova;
} Mapping;

/* A place in it. */
typedef struct {
    unsigned char *at;
    uint64_t iova;
} Spot;

/* The address of NIC number WHICH of those that are alone in their group and that the
 * IOMMU translates for; NULL: there are no more. */
const char *dma_choose(unsigned which);
/* This NIC, taken from its driver and started; skips the case if there is none. */
Nic *open_nic(Bench *bench, unsigned which);
/* The same with the function at ADDRESS, as number NUMBER of the bench. */
Nic *open_nic_at(Bench *bench, unsigned number, const char *address);

/* Zeroed memory of its own pages; drop_memory() gives it back. */
unsigned char *new_memory(size_t size);
/* The same of one huge page of SIZE; skips the case if the lab has none so large. */
unsigned char *new_huge_page(size_t size);
void drop_memory(void *memory, size_t size);

/* Where no mapping of this case was before, within FIRST..LAST. */
uint64_t fresh_iova_within(Bench *bench, const Nic *nic, uint64_t size, uint64_t first,
                           uint64_t last);
/* The same anywhere, below 4 GiB as often as above. Aligned to SIZE if that is a size of
 * pages, and to PAGE else. */
uint64_t fresh_iova(Bench *bench, const Nic *nic, uint64_t size);

/* Maps it for the NIC, and no other, at a fresh address. ACCESS: VFIO_READ, VFIO_WRITE.
 */
Mapping
map_memory(Bench *bench, const Nic *nic, void *memory, size_t size, uint32_t access);
/* New memory of a page, mapped so. */
Mapping map_page(Bench *bench, const Nic *nic, uint32_t access);
void map_at(const Nic *nic, void *memory, size_t size, uint64_t iova, uint32_t access);
void unmap(const Nic *nic, const Mapping *mapping);
/* The fault of the cases that look where frames arrive: at the mapping's addresses the
 * NIC now has other memory of that size. */
void map_other_memory(const Nic *nic, const Mapping *mapping);

/* Room for a frame at an offset, or at a random one so that it is in one page. */
Spot spot_at(const Mapping *mapping, size_t offset);
Spot any_spot(Bench *bench, const Mapping *mapping);

typedef struct {
    unsigned char bytes[E1000E_BUFFER_BYTES]; /* the frame, and random bytes after it */
    size_t length;
} Frame;

/* Puts a new random frame where it will be sent from. */
void write_frame(Random *random, Spot from, Frame *frame);

/* Sends what write_frame() put into FROM, and receives it to TO, which had random bytes.
 * NULL: then TO has the frame, and after it, up to E1000E_BUFFER_BYTES, what it had. Else
 * a sentence, in WHY. */
#define WHY_BYTES 256
const char *move_frame(Random *random, Nic *nic, const Frame *frame, Spot from, Spot to,
                       char why[WHY_BYTES]);
/* The same; fails with WHAT ("memory on node 1") and the sentence if it did not arrive.
 */
void expect_arrival(Bench *bench, Nic *nic, const Frame *frame, Spot from, Spot to,
                    const char *what);
/* The same with a frame of its own. */
void expect_moved(Bench *bench, Nic *nic, Spot from, Spot to, const char *what);

/* Starts the same transfer where it should not succeed, and waits until it is over in
 * whatever way; the NIC is then restarted. */
void try_to_move(Nic *nic, const Frame *frame, Spot from, Spot to);

/* ---- faults
 * -------------------------------------------------------------------------------- */

/* As try_to_move(), and fails unless the IOMMU then logs that the NIC wanted to write (or
 * read) the page of IOVA. Waits beforehand for as long as the kernel would keep silent
 * because of faults before. */
void expect_fault(Nic *nic, const Frame *frame, Spot from, Spot to, bool is_write,
                  uint64_t iova);

/* Before a case, whose name is its state; and after it. */
int dma_prepare(void **state);
int dma_give_back(void **state);

#define DECLARE_CASE(name) void name(void **state);
DMA_CASES(DECLARE_CASE)
#undef DECLARE_CASE
