/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * ssh from host to host within a lab, as root and without a password: what is run in the
 * hosts, and what each is told of the others. Private keys stay in the hosts that made
 * them; what goes round are the public ones, which are as hostile as all that guests say.
 * Pure; lab-boot-ssh.c has it done.
 */
#pragma once

#include "plan.h"

/* Where a host is told of the others. */
#define LAB_SSH_KNOWN_PATH "/run/hostbed/ssh-known-hosts"
#define LAB_SSH_USERS_PATH "/run/hostbed/ssh-authorized-keys"
#define LAB_SSH_CONFIG_PATH "/run/hostbed/ssh-config"

/* For sh: makes the keys that are missing and says the public ones, a line each, "host
 * TYPE KEY" of its server and "user TYPE KEY" of root; nothing where ssh is not there.
 * And: puts what was told into ssh's own files, in the place of what was told before. */
extern const char lab_ssh_ask[], lab_ssh_tell[];

/* The keys of one host. */
typedef struct {
    char *host;
    GPtrArray *host_keys, *user_keys; /* char *: "TYPE KEY" */
} LabSshKeys;

/* Those that HOST said in TEXT; lines that are none are left out. */
LabSshKeys *lab_ssh_keys(const char *host, const char *text);
void lab_ssh_keys_free(LabSshKeys *keys);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LabSshKeys, lab_ssh_keys_free)

/* What PLAN's host is told of those whose keys are in ALL (LabSshKeys): for
 * ssh_known_hosts, authorized_keys and ssh_config. All are owned by the caller. */
char *lab_ssh_known(const Plan *plan, const GPtrArray *all);
char *lab_ssh_users(const Plan *plan, const GPtrArray *all);
char *lab_ssh_config(const Plan *plan, const GPtrArray *all);
