/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A number that a case measured, with its name and unit: a comment of TAP before the
 * result that it belongs to,
 *
 *     # measure NAME VALUE UNIT
 *
 * NAME of small letters, digits and "-", at most 40; VALUE decimal, at most 15 digits
 * before the point and 6 behind it, so that no reader has to round it; UNIT of letters,
 * "/" and "%", at most 10. What is not of this form is a comment like others: programs
 * that print it are not ours alone.
 */
#pragma once

#include <glib.h>

#define MEASURES_MAX 32 /* of a case; what comes after them is a comment */

typedef struct {
    char *name, *value, *unit;
} Measure;

/* Of the TEXT behind "#" and its blanks, or of the same from a report; NULL: it is none.
 */
Measure *measure_parse(const char *text);
void measure_free(Measure *measure);
/* "measure NAME VALUE UNIT", for measure_parse(). Owned by the caller. */
char *measure_text(const Measure *measure);
/* An owning, empty list of them. */
GPtrArray *measures_new(void);
