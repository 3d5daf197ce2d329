/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Faults of a disk of a host that runs: requests that fail, and such that stand still.
 * What the emulator is to be told for them. Pure.
 *
 * A disk with faults has two block nodes in front of its own: blkdebug, which has the
 * faults, and raw above it, since only what stands above blkdebug tells it that it reads.
 * A disk without has neither, and is as it was planned.
 */
#pragma once

#include "emit.h"

#define DISK_SECTOR_BYTES 512

typedef enum {
    DISK_REQUEST_READ,
    DISK_REQUEST_WRITE,
    DISK_REQUEST_FLUSH,
    DISK_REQUEST_ALL,
} DiskRequest;

/* Where a request can stand still; a set of them is a sum of powers of two. */
typedef enum {
    DISK_POINT_READ,
    DISK_POINT_WRITE,
    DISK_POINT_WRITTEN, /* the data is there, and nobody was told */
    DISK_POINT_FLUSH,
    DISK_POINTS,
} DiskPoint;

typedef struct {
    DiskRequest on;
    gint64 sector; /* -1: any */
    gboolean once;
} DiskError;

typedef struct {
    GArray *errors; /* DiskError */
    guint points;   /* that a request stands still at, or the next one will */
    guint nodes;    /* which pair of nodes is in front of the disk, 1 or 2; 0: none */
} DiskFaults;

DiskFaults *disk_faults_new(void);
DiskFaults *disk_faults_copy(const DiskFaults *faults);
void disk_faults_free(DiskFaults *faults);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DiskFaults, disk_faults_free)

/* "read" …; FALSE, and the value stays: NAME is none. */
const char *disk_request_name(DiskRequest request);
gboolean disk_request_parse(const char *name, DiskRequest *request);
const char *disk_point_name(DiskPoint point);
gboolean disk_point_parse(const char *name, DiskPoint *point);
/* All of them, NULL-terminated. */
const char *const *disk_request_names(void);
const char *const *disk_point_names(void);

/* Whether the function has a disk: an NVMe controller's, or that of an image. */
gboolean disk_is_there(const PlanFunction *function);
/* The one with a disk whose id or address NAME is, borrowed. HB_USAGE: there is none. */
const PlanFunction *disk_find(const Plan *plan, const char *name, GError **error);
/* Whether FUNCTION's disk, of BYTES (0: not known), can have it. */
gboolean disk_error_check(const PlanFunction *function, const DiskError *disk_error,
                          gint64 bytes, GError **error);

/* Adds ERROR; FALSE: it is there already. */
gboolean disk_faults_add(DiskFaults *faults, const DiskError *error);

gboolean disk_faults_same_errors(const DiskFaults *one, const DiskFaults *other);

/* What leads from FROM to TO, in this order, for FUNCTION's disk, whose own block node is
 * BASE; and which nodes TO has then. Nothing stands still in nodes that go. GPtrArray of
 * EmitCommand, owned by the caller. */
GPtrArray *disk_faults_commands(const PlanFunction *function, const char *base,
                                const DiskFaults *from, DiskFaults *to);
/* What leads back when only the first DONE of those, COMMANDS, were done; what of it
 * fails need not be done. The emulator dies of being told what holds already. */
GPtrArray *
disk_faults_undo(const PlanFunction *function, const char *base, const DiskFaults *from,
                 const DiskFaults *to, const GPtrArray *commands, guint done);
