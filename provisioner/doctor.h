/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What this machine can do for hostbed, as a list of items: doctor.c writes it for people
 * and as JSON, doctor-items.c looks at the machine. Nothing is changed and nothing is
 * fixed.
 */
#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

#include "accel.h"

typedef enum {
    DOCTOR_OK,
    DOCTOR_LIMITED, /* hosts run, something cannot be had */
    DOCTOR_MISSING, /* no host can be run */
} DoctorState;

const char *doctor_state_name(DoctorState state); /* "ok", "limited", "missing" */

typedef struct {
    DoctorState state;
    int status;        /* HbStatus that a missing item means */
    const char *name;  /* static: "kvm", "emulator", … */
    char *text;        /* what is, or what is not, in one line */
    char *remedy;      /* what brings it, or NULL */
    JsonObject *facts; /* numbers and names for programs, or NULL */
} DoctorItem;

/* A list of DoctorItem. */
GPtrArray *doctor_items_new(void);
/* Takes TEXT, REMEDY and FACTS. */
DoctorItem *doctor_add(GPtrArray *items, DoctorState state, const char *name, char *text,
                       char *remedy, JsonObject *facts);

/* Looks at the machine; EMULATOR and KERNEL as the user gave them, or NULL. Where KVM is
 * asked for, no host can be run without it; where emulation is, KVM is not tried. */
GPtrArray *doctor_examine(const char *emulator, const char *kernel, Accel asked);

/* 0 if a host can be run, else the status of the first item that is missing. */
int doctor_status(GPtrArray *items);
/* One line each, with a second line for a remedy. The results are owned by the caller. */
char *doctor_to_text(GPtrArray *items, gboolean colour);
char *doctor_to_json(GPtrArray *items);
