/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Asks for operating systems by the words that labs have for them: in the user's cache,
 * else hostbed-osinfo, which asks libosinfo. What is kept is valid as long as no file of
 * a database changed. A lab without a system starts nothing.
 */
#pragma once

#include <gio/gio.h>

#include "lab.h"
#include "os-facts.h"

/* How libosinfo names this machine's hosts. */
#define OS_ARCH "x86_64"

/* char * → OsAnswer for the systems of LAB's hosts, the first 256; NULL if it names none.
 * Where a host says only which recipe its image is built of, the answer for the system
 * that the recipe names is found by the recipe's name.
 * What cannot be asked is an answer too: a lab can be planned all the same. The micro
 * image's own system is not missed where libosinfo is. NULL and ERROR: the thread's
 * current GCancellable was cancelled (HB_INTERRUPTED). */
GHashTable *os_lookup_lab(const Lab *lab, GError **error);

/* The facts about the system that WORD means, or an error that says why there are none,
 * with the nearest names. */
OsFacts *os_lookup(const char *word, GError **error);

/* The same as the JSON object that os-facts.h reads; for those who show it whole. */
JsonObject *os_lookup_json(const char *word, GError **error);

/* All systems there are: an array of objects with "id", "short-id", "name", "images". */
JsonArray *os_lookup_all(GError **error);

/* The databases there are: an array of objects with "what", "path" and, if the folder is
 * there, "digest". */
JsonArray *os_lookup_databases(GError **error);
