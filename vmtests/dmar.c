/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Linux 6.1 writes
 *
 *   DMAR: [DMA Write NO_PASID] Request device [b5:00.0] fault addr 0x7b2a4000 [fault
 *   reason 0x05] PTE Write access is not set
 *
 * as one line; 5.10 "[DMA Write] Request device [b5:00.0] PASID ffffffff fault addr
 * 7b2a4000 [fault reason 05]". Of virtio's unit Linux 6.12 tells
 *
 *   virtio_iommu virtio0: page fault from EP 8448 at 0x44b649e132 [W]
 *
 * with bus, slot and function as one number, and R, W or nothing in brackets.
 */
#include "dmar.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORD_MAX_BYTES 8192
#define PAGE_MASK (~UINT64_C(0xfff))

/* What follows WORD in TEXT, or NULL. */
static const char *
after(const char *text, const char *word)
{
    const char *at = text ? strstr(text, word) : NULL;
    return at ? at + strlen(word) : NULL;
}

static bool
parse_virtio(const char *line, DmarFault *fault)
{
    unsigned endpoint;
    unsigned long long address;
    char access[8] = "";
    const char *text = after(line, " fault from EP ");
    if (!text || sscanf(text, "%u at %llx [%7[RWX]", &endpoint, &address, access) < 2 ||
        endpoint > 0xffff)
        return false;
    *fault = (DmarFault){
        .is_write = strchr(access, 'W') != NULL,
        .is_read = strchr(access, 'R') != NULL,
        .page = address & PAGE_MASK,
    };
    snprintf(fault->function, sizeof fault->function, "%02x:%02x.%x",
             endpoint >> 8 & 0xff, endpoint >> 3 & 0x1f, endpoint & 7);
    return true;
}

static bool
parse_intel(const char *line, DmarFault *fault)
{
    const char *direction = after(line, "DMAR: [DMA ");
    const char *function = after(direction, "Request device [");
    const char *address = after(function, "fault addr ");
    const char *reason = after(address, "[fault reason ");
    if (!reason || strcspn(function, "]") != 7)
        return false;
    bool is_write = strncmp(direction, "Write", 5) == 0;
    if (!is_write && strncmp(direction, "Read", 4) != 0)
        return false;
    *fault = (DmarFault){
        .is_write = is_write,
        .is_read = !is_write,
        .page = strtoull(address, NULL, 16) & PAGE_MASK,
        .reason = (unsigned)strtoul(reason, NULL, 16),
    };
    memcpy(fault->function, function, 7);
    return true;
}

bool
dmar_parse(const char *line, DmarFault *fault)
{
    return parse_intel(line, fault) || parse_virtio(line, fault);
}

int
dmar_watch(void)
{
    int watch = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (watch < 0 || lseek(watch, 0, SEEK_END) < 0)
        return -errno;
    return watch;
}

bool
dmar_next(int watch, int timeout_ms, DmarFault *fault)
{
    int64_t end_ms = now_ms() + timeout_ms;
    char record[RECORD_MAX_BYTES];
    for (;;) {
        ssize_t got = read(watch, record, sizeof record - 1);
        int64_t left_ms = end_ms - now_ms();
        if (got > 0) {
            record[got] = '\0';
            if (dmar_parse(record, fault))
                return true;
        } else if (errno != EPIPE) { /* EPIPE: some records were overwritten; go on */
            struct pollfd wait = {.fd = watch, .events = POLLIN};
            if (left_ms <= 0 || poll(&wait, 1, (int)left_ms) < 0)
                return false;
        }
    }
}
