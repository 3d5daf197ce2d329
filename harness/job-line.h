/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What goes between hostbed's processes in either direction: objects of JSON, a line
 * each.
 */
#pragma once

#include <json-glib/json-glib.h>

typedef enum {
    JOB_INPUT_ENDED,
    JOB_INPUT_GOES_ON,
    JOB_INPUT_TOO_LONG
} JobInput;

/* OBJECT (taken) as a line, owned by the caller. */
char *job_line(JsonObject *object);
/* Reads once from FD. Gives each line that is whole to TAKE, and keeps the rest in INPUT.
 */
JobInput
job_read_lines(int fd, GByteArray *input,
               void (*take)(const char *line, gpointer user_data), gpointer user_data);
