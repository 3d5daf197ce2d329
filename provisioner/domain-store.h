/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Files for a libvirt whose emulators cannot read the user's: volumes in a pool there,
 * sent through the connection. A volume is named by the digest of what is in it, so that
 * each is sent once; those that were not used for long go. The disk that a host writes to
 * is a volume only until its emulator has opened it: what has no name is gone with who
 * has it, also where nobody of ours is left to end it. Private to hostbed-domain.
 *
 * No lock is needed. The first bytes are written last: who finds them finds a whole
 * volume, and who does not writes all of it, as others may do at the same time, the same
 * bytes to the same places.
 */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>

typedef struct DomainStore DomainStore;

/* The pool of CONNECTION (borrowed) that is used: "hostbed", or "default" if it has
 * files, or else a new "hostbed", where it is known which folder it may have. */
DomainStore *domain_store_open(virConnectPtr connection, GError **error);
/* Ends its disks' names, too. */
void domain_store_free(DomainStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DomainStore, domain_store_free)

/* The path there of what is in FILE; owned by the caller. */
char *domain_store_put(DomainStore *store, const char *file, GError **error);

/* The same of a copy of FILE, the disk of a host, for as long as STORE is there. */
char *domain_store_put_disk(DomainStore *store, const char *file, GError **error);

/* Ends volumes of hostbed's that were not used for long. */
void domain_store_tidy(DomainStore *store);
