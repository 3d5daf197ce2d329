/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * --connect URI: hosts that libvirt starts. Only cmd-*.c include it.
 */
#pragma once

#include "plan.h"

#define CLI_CONNECT_ENTRY(connect)                                                       \
    {                                                                                    \
        "connect", 0, 0, G_OPTION_ARG_STRING, (connect),                                 \
            "Have libvirt at URI start the host (qemu:///session)", "URI"                \
    }

/* For whom to plan; CONNECT may be NULL: not for libvirt. */
PlanBackend cli_connect_backend(const char *connect);

/* FALSE, and *STATUS and what is wrong on standard error: CONNECT, which may be NULL, is
 * empty, and so libvirt's own choice, of which nobody else would know what it is. */
gboolean cli_connect_is_address(const char *connect, int *status);

/* FALSE, and *STATUS and what is wrong on standard error: with CONNECT there is no
 * --warm.
 */
gboolean cli_connect_is_cold(const char *connect, int *status);

/* FALSE, and *STATUS and what is wrong on standard error: libvirt has no words for PLAN.
 */
gboolean cli_connect_check(const char *connect, const Plan *plan, int *status);
