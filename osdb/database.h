/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * libosinfo's databases, read: the machine's (system, local, user, as libosinfo finds
 * them) and the project's own laid over them, so that it has the last word where both
 * speak. Finds systems by what people call them. The files are other people's, and
 * libosinfo reads them: this is for a process that may die of it (hostbed-osinfo).
 */
#pragma once

#include <osinfo/osinfo.h>

typedef struct {
    OsinfoDb *all; /* what is known together */
    OsinfoDb *own; /* of that, what the project's own database says */
    GPtrArray *folders; /* DatabaseFolder */

    OsinfoLoader *all_loader, *own_loader; /* they own the two */
} Database;

typedef struct {
    const char *what; /* static: "system", "local", "user", "own" */
    char *path;
    char *digest; /* os_database_digest(), from before it was read; NULL: not there */
} DatabaseFolder;

void database_free(Database *database);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Database, database_free)

/* Reads all that is there. An own database that is missing is an error: it is installed
 * with the program. */
Database *database_open(GError **error);

/* Its short ids, each once: char *. */
GPtrArray *database_short_ids(OsinfoOs *os);

/* The system that WORD means, a short id or an id; of several with the short id that of
 * the own database. Borrowed; NULL if there is none. */
OsinfoOs *database_find(const Database *database, const char *word);
/* The same system in the own database alone; borrowed, or NULL. */
OsinfoOs *database_find_own(const Database *database, OsinfoOs *os);

/* Short ids (ids for a WORD that is a URI) that WORD may be meant to be: those that go
 * on after it, the newest first; then the nearest. char *, at most three. */
GPtrArray *database_nearest(const Database *database, const char *word);

/* All systems (OsinfoOs, borrowed), by short id; names that end in numbers by these. */
GPtrArray *database_systems(const Database *database);
