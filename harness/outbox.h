/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A command's results, as a host sends them (HbOutRecord of wire.h), written into a
 * folder of this machine. All of it is hostile: no name leads out of the folder or
 * through a link, nothing but plain files and folders is made, and there is a limit to
 * all sizes.
 */
#pragma once

#include <glib.h>

#define OUTBOX_BYTES_MAX ((guint64)1 << 30)
#define OUTBOX_ENTRIES_MAX 100000

typedef struct Outbox Outbox;

/* PATH is made where it is not there yet. */
Outbox *outbox_open(const char *path, GError **error);
void outbox_free(Outbox *outbox);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Outbox, outbox_free)

/* Other limits, for tests. */
void outbox_set_limits(Outbox *outbox, guint64 bytes, guint entries);

/* The next bytes of the records; after something went wrong they mean nothing. */
void outbox_feed(Outbox *outbox, const guint8 *data, gsize length);
/* When all has come. FALSE: it is not whole. */
gboolean outbox_finish(Outbox *outbox, GError **error);
/* Files and folders that were written. */
guint outbox_count(const Outbox *outbox);
/* What was left out for what it is or is called, one sentence, fit for a terminal; NULL:
 * nothing. Owned by the caller. */
char *outbox_left(const Outbox *outbox);
/* char *: core dumps among the files, as paths; borrowed. */
const GPtrArray *outbox_cores(const Outbox *outbox);
