/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A system of libosinfo's database as the JSON that os-facts.h reads: what it says itself
 * and what it inherits from those that it derives from or clones.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "database.h"

/* The facts about OS for ARCH ("x86_64"); released by the caller. */
JsonObject *describe_os(const Database *database, OsinfoOs *os, const char *arch);

/* What a list tells of it: id, short id, name, and whether there is an image to fetch. */
JsonObject *describe_briefly(OsinfoOs *os, const char *arch);
