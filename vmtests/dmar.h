/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Faults that an IOMMU of Intel's or of virtio's kind reports, as Linux writes them into
 * its log. libc only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    bool is_write;    /* the device wanted to write memory */
    bool is_read;     /* it wanted to read; neither: virtio's unit may not tell */
    char function[8]; /* "b5:00.0" */
    uint64_t page;    /* I/O address, of a whole page of 4 KiB */
    unsigned reason; /* Intel's fault reason: 5 no write access, 6 no read; 0: virtio's */
} DmarFault;

/* Reads LINE, a record of /dev/kmsg or a line of dmesg's; FALSE: it tells of no such
 * fault. */
bool dmar_parse(const char *line, DmarFault *fault);

/* A view of the log from now on, a file to be closed; or a negative errno. */
int dmar_watch(void);
/* The next fault that is logged, within TIMEOUT_MS; FALSE: none was. */
bool dmar_next(int watch, int timeout_ms, DmarFault *fault);
