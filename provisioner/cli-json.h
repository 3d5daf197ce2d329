/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What commands say to programs, with --json. Only cmd-*.c include it.
 */
#pragma once

#include <json-glib/json-glib.h>

/* OBJECT, which is taken, on standard output. */
void cli_print_json(JsonObject *object);
/* NODE, which stays the caller's. */
void cli_print_json_node(JsonNode *node);
/* A list of what is kept: the items of LIST as TO_JSON describes each, as the member
 * NAME, the sum of their "bytes", and how many there may be. */
void cli_print_kept(const char *name, const GPtrArray *list,
                    JsonObject *(*to_json)(gconstpointer item), gint64 maximum_bytes);
/* The same, to be added to; owned by the caller. */
JsonObject *
cli_kept_json(const char *name, const GPtrArray *list,
              JsonObject *(*to_json)(gconstpointer item), gint64 maximum_bytes);
/* "2026-11-21T18:15:38Z"; SECONDS since 1970. Owned by the caller. */
char *cli_time_text(gint64 seconds);
