/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The one error domain of hostbed. The codes are the exit statuses of hostbed(1), so an
 * error that reaches main() says by itself how the process ends. Words for people are in
 * the GError's message; this header only classifies.
 */
#pragma once

#include <glib.h>

#define HB_ERROR (hb_error_quark())

typedef enum {
    HB_OK = 0,
    HB_FAIL = 1,        /* a test failed, or the host is not the one asked for */
    HB_USAGE = 2,       /* wrong command line, or a lab with findings */
    HB_UNSUPPORTED = 3, /* this emulator, kernel or machine cannot do what the lab asks */
    HB_TIMEOUT = 4,     /* a deadline passed while the guest was still making progress */
    HB_GUEST_PANIC = 5, /* the host's kernel panicked, or the host reset itself */
    HB_GUEST_HANG = 6,  /* the host stopped making progress */
    HB_EMULATOR_DIED = 7,  /* the emulator ended by itself, or broke its protocol */
    HB_INFRASTRUCTURE = 8, /* no kernel, no space, no memory, a missing program */
    HB_INTERRUPTED = 130,  /* SIGINT or SIGTERM */
} HbStatus;

GQuark hb_error_quark(void);

/* The status to exit with for ERROR: its code if it is in our domain, else
 * HB_INFRASTRUCTURE. NULL means HB_OK. */
HbStatus hb_error_status(const GError *error);
