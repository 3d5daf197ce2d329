/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the files of the suite vfio share: the function that a case works with, and giving
 * it back to the host whatever the case's end.
 */
#pragma once

#include "cases.h"
#include "e1000e.h"
#include "suite.h"
#include "suite-state.h"
#include "vfio-device.h"
#include "vfio-use.h"

#define DEVICES "/sys/bus/pci/devices"
#define TAKEN_MAX 16
#define PAGE 4096

/* How long an interrupt may take under emulation on a busy machine, and how long none
 * must come when none may. */
#define ARRIVAL_MS 20000
#define SILENCE_MS 300

/* What a case has taken; the teardown gives it back. */
typedef struct {
    const char *taken[TAKEN_MAX];
    unsigned taken_count;
    int fds[TAKEN_MAX]; /* to close after the device */
    unsigned fd_count;
    void *region; /* mapped; it would hold the device */
    size_t region_size;
    VfioContainer container;
    VfioDevice device;
} Bench;

/* The first e1000e that shares its group with bridges at most, behind an expander if
 * there is one; skips without any. */
const char *nic(void);
/* The NICs, no bridges, of the first group of the manifest that has two or more, and none
 * with virtual functions; returns how many, or 0. */
#define MEMBERS_MAX TAKEN_MAX
int shared_group(const char *members[MEMBERS_MAX]);
/* Not below bus 0's own ports, nor on it. */
bool is_behind_expander(const char *address);
/* Has the host's driver have the function, where a state of the host has bound it. */
void leave_to_the_host(const char *address);
/* Binds the function to vfio-pci for the case. */
void take(Bench *bench, const char *address);
/* FD is closed at the end of the case; a negative one is an error: it fails with SENTENCE
 * and the reason. Returns FD. */
int keep(Bench *bench, int fd, const char *sentence);
/* Fails with SENTENCE and the reason if RESULT is an error. */
#define must(result, ...) must_at(__FILE__, __LINE__, result, __VA_ARGS__)
void must_at(const char *file, int line, int result, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Fails unless RESULT is the error WANTED (a positive errno). */
#define must_refuse(result, wanted, ...)                                                 \
    must_refuse_at(__FILE__, __LINE__, result, wanted, __VA_ARGS__)
void must_refuse_at(const char *file, int line, int result, int wanted,
                    const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The function, taken and opened in a container of VFIO's or of iommufd's kind; skips
 * where the kernel has not the latter. */
const VfioDevice *open_function(Bench *bench, const char *address);
const VfioDevice *open_function_by_iommufd(Bench *bench, const char *address);
/* The same of nic(). */
const VfioDevice *open_nic(Bench *bench);
const VfioDevice *open_nic_by_iommufd(Bench *bench);

/* The region of the device in our memory until the end of the case; one only. */
void *map_region(Bench *bench, unsigned index);

/* Anonymous memory that is there, of whole pages; unmapped with the process. */
void *pages(size_t size);

/* Registers of BAR 0, through the device's file. */
uint32_t read_register(const VfioDevice *device, unsigned offset);
void write_register(const VfioDevice *device, unsigned offset, uint32_t value);

#define DECLARE_CASE(name) void name(void **state);
VFIO_CASES(DECLARE_CASE)
#undef DECLARE_CASE
