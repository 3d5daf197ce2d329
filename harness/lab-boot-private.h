/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What lab-boot.c, which starts the hosts of a lab, lab-template.c, which freezes
 * them, lab-template-keep.c, which keeps what is frozen, and live-*.c, which starts them
 * one by one and keeps them up, share.
 */
#pragma once

#include "lab-boot.h"

struct LabTemplate {
    GPtrArray *templates; /* Template; that of the host that is meant first */
    GBytes *networks;     /* segments_state(); NULL: there are none */
    char *key;            /* in the store, or NULL */
    char *made;           /* of one that was found there: when */
    GPtrArray *inputs;    /* of which KEY is made, or NULL */
};

/* Why hosts cannot be frozen whose networks lead somewhere. */
#define LAB_BOOT_LED_OUT "what leads out of its networks cannot be frozen"

LabTemplate *lab_template_new(void);
/* What a peer of OWN's host is started with; borrowed from OWN. */
BootOptions lab_boot_peer_options(const BootOptions *own, const Plan *plan);
LabBoot *lab_boot_new(void);
/* For the networks that join PLANS (Plan); NULL: there is none. */
Segments *lab_boot_segments(const GPtrArray *plans);
/* The folder for the logs of PLAN's host, which is one of several: of the FIRST LOG_DIR
 * itself. NULL: it cannot be made. */
char *
lab_boot_log_dir(const char *log_dir, const Plan *plan, gboolean first, GError **error);
/* BootRecipe, as the hosts of OPTIONS and PEERS (or NULL) would be started. */
GPtrArray *
lab_boot_recipes(const BootOptions *options, const GPtrArray *peers, GError **error);
/* What is on the networks of the first host is kept in LOG_DIR, if it is to CAPTURE. */
gboolean
lab_boot_capture(LabBoot *lab, gboolean capture, const char *log_dir, GError **error);
/* What a command may say, more or less. */
#define LAB_BOOT_OUTPUT_MAX 16384
/* Runs ARGV in BOOT's host, where it must end well; *OUTPUT, owned by the caller, or NULL
 * gets what it says on its standard output. */
gboolean lab_boot_run(Boot *boot, const char *const *argv, char **output, GError **error);
/* Gives a host its addresses on the networks that join it, and the names of the others.
 */
gboolean lab_boot_join(Boot *boot, GError **error);
/* Has those of BOOTS (Boot) that networks join and that have ssh let each other in. ERROR
 * names the host. */
gboolean lab_boot_let_in(const GPtrArray *boots, GError **error);
/* Puts the host's name before *ERROR, where there are several. */
void lab_boot_name_error(const LabBoot *lab, const Plan *plan, GError **error);
