/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Logging in by ssh to hosts of a lab that is up, without a network: ssh starts its
 * server in the host by way of the agent (ProxyCommand; sshd -i). The keys of both sides
 * are made for the lab, live in its folder (live-dir.h), and are gone with it. Nothing is
 * asked about host keys, for who has the folder has made them.
 */
#pragma once

#include "live-state.h"

typedef struct {
    char *identity;  /* file: the private key of who logs in, its public one beside it */
    char *known;     /* file: the key that each host of the lab has */
    char *host_key;  /* text: the private key of the hosts */
    char *users_key; /* text: the public key of who may log in */
} SshAccess;

/* The keys of LAB, made by ssh-keygen(1) if it has none; safe when others do the same.
 * NULL: ERROR, one sentence. */
SshAccess *ssh_access_of(const LiveLab *lab, GError **error);
void ssh_access_free(SshAccess *access);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SshAccess, ssh_access_free)

/* What ssh_config(5) needs to reach the hosts of LAB as LAB/HOST, and as HOST where
 * ALIASES (of as many; live_name_of()) has another name. PROGRAM is our own executable.
 * Pure; owned by the caller. */
char *ssh_access_config(const SshAccess *access, const LiveLab *lab,
                        const char *const *aliases, const char *program);

/* What is run in a host to be its ssh server for one connection, on standard input and
 * output; HOSTBED_SSH_HOST_KEY and HOSTBED_SSH_USERS_KEY are in its environment. */
extern const char ssh_access_server[];
