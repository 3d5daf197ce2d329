/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The other side of servant.h: how a program of ours takes its one order, tells what
 * happens, and answers. Its main() is a call of servant_side_run().
 */
#pragma once

#include <json-glib/json-glib.h>

/* Who gave the order. */
typedef struct ServantSide ServantSide;

/* Does what ORDER (borrowed) asks for. The answer, to be released by the caller, or NULL
 * and an error, whose domain should be HB_ERROR. */
typedef JsonObject *(*ServantWork)(const ServantSide *side, JsonObject *order,
                                   GError **error);

/* Reads the order, does WORK, answers. From then on standard output is standard error,
 * since libraries print there. Returns the status to exit with. */
int servant_side_run(ServantWork work);

/* Tells of an event of this KIND; takes EVENT. */
void servant_side_tell(const ServantSide *side, const char *kind, JsonObject *event);
/* A "progress" without a rate; TOTAL is 0 where it is not known. */
void servant_side_progress(const ServantSide *side, const char *what, gint64 done,
                           gint64 total);
