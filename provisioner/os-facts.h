/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is known of an operating system, as a value: the planner compares a host with it
 * and never asks a database. It is asked of libosinfo (os-lookup.h) or read from a
 * recorded file, which is the same JSON.
 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>

/* What a system needs; a number that is not known is OS_UNKNOWN. */
#define OS_UNKNOWN (-1)
typedef struct {
    gint64 memory_bytes, storage_bytes;
    int cpus;
} OsResources;

typedef struct {
    guint16 vendor, product;
    char *name;       /* the database's: "e1000e", "virtio1.0-net" */
    char *class_name; /* "net", "block", …; "" if none is known */
} OsDevice;

/* Where an image of the system is to be had. */
typedef struct {
    char *url, *format; /* "qcow2", "raw", "vmdk", "containerdisk", … */
    char *variant;      /* "generic", "genericcloud"; "" if there is but one */
    gboolean cloud_init;
} OsImageSource;

/* An installation tree; KERNEL and INITRD are paths below URL, or "". */
typedef struct {
    char *url, *kernel, *initrd;
} OsTree;

/* Kinds of firmware, as bits. */
typedef enum {
    OS_FIRMWARE_BIOS = 1 << 0,
    OS_FIRMWARE_EFI = 1 << 1,
} OsFirmware;

typedef struct {
    char *id;             /* URI, as libvirt's metadata have it */
    char *short_id;       /* "debian12" */
    GPtrArray *short_ids; /* char *: all of them */
    char *name;           /* "Debian 12" */
    /* "" if not known: */
    char *version, *family, *distro, *codename, *release_date, *eol_date;
    OsResources minimum, recommended;
    guint firmware;         /* OsFirmware that it boots by */
    guint firmware_lacking; /* those that it is known not to; the rest is not known */
    GPtrArray *devices;     /* OsDevice that it has drivers for, inherited ones too */
    GPtrArray *lacking;     /* OsDevice that it is not known to have drivers for, although
                             * others of its class are */
    GPtrArray *images;      /* OsImageSource, best first */
    GPtrArray *trees;       /* OsTree */
} OsFacts;

void os_facts_free(OsFacts *facts);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OsFacts, os_facts_free)

/* OBJECT is hostile: what is missing is unknown, what is malformed is an error. */
OsFacts *os_facts_from_json(JsonObject *object, GError **error);
/* A recorded file. */
OsFacts *os_facts_load(const char *filename, GError **error);

/* "debian12", or the URI where it has no short id; borrowed. */
const char *os_facts_word(const OsFacts *facts);
/* The first of DEVICES (OsDevice) with these ids, or NULL. */
const OsDevice *os_find_device(const GPtrArray *devices, guint16 vendor, guint16 product);

/* What a lab's word led to: exactly one of these is set. */
typedef struct {
    OsFacts *facts;
    GPtrArray *nearest; /* char *: no system is called so, but these are; may be empty */
    char *reason;       /* it could not be looked up, one sentence */
} OsAnswer;

/* What to do where there are no facts: "did you mean debian12?". Owned by the caller. */
char *os_answer_hint(const OsAnswer *answer);

void os_answer_free(OsAnswer *answer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OsAnswer, os_answer_free)
