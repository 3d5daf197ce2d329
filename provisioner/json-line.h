/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What goes between hostbed and its processes, in either direction: objects of JSON, a
 * line each. What comes may be hostile: lines are bounded, and so is their depth, since
 * json-glib's parser calls itself for what is nested.
 */
#pragma once

#include <json-glib/json-glib.h>

typedef enum {
    JSON_LINES_ENDED,
    JSON_LINES_GO_ON,
    JSON_LINES_TOO_LONG
} JsonLines;

/* OBJECT (taken) as a line, owned by the caller. */
char *json_line(JsonObject *object);
/* Writes OBJECT (taken) as a line to FD, all of it. FALSE: whoever reads is gone. */
gboolean json_line_write(int fd, JsonObject *object);
/* The same of LINE, of json_line(). */
gboolean json_line_send(int fd, const char *line);

/* Reads once from FD. Gives each line that is whole to TAKE, and keeps the rest in INPUT,
 * which is too long when it has more than MOST bytes. */
JsonLines
json_line_read(int fd, GByteArray *input, gsize most,
               void (*take)(const char *line, gpointer user_data), gpointer user_data);

/* TEXT as a string of JSON, with its quotes; owned by the caller. */
char *json_line_quoted(const char *text);

/* TEXT, UTF-8 of LENGTH bytes, as a value; NULL: it is no JSON, or nested deeper than any
 * that we know. */
JsonNode *json_line_parse(const char *text, gsize length);
/* The same, if it is an object. */
JsonObject *json_line_parse_object(const char *text, gsize length);

/* A member of the type that is asked for; NULL or DEFAULT where there is none. The string
 * is borrowed. */
const char *json_line_string(JsonObject *object, const char *member);
gint64 json_line_int(JsonObject *object, const char *member, gint64 value);

/* What is in NODE (or NULL), in OBJECT's member, or in ARRAY, at INDEX, which is there;
 * borrowed. NULL: it is not there, or is of another type. */
JsonArray *json_line_as_array(JsonNode *node);
JsonObject *json_line_as_object(JsonNode *node);
JsonArray *json_line_array(JsonObject *object, const char *member);
JsonObject *json_line_object(JsonObject *object, const char *member);
JsonObject *json_line_element(JsonArray *array, guint index);
