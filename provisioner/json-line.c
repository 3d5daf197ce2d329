/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json-line.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define DEPTH_MAX 256

char *
json_line(JsonObject *object)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    json_node_take_object(node, object);
    g_autofree char *text = json_to_string(node, FALSE);
    return g_strconcat(text, "\n", NULL);
}

gboolean
json_line_write(int fd, JsonObject *object)
{
    g_autofree char *line = json_line(object);
    return json_line_send(fd, line);
}

gboolean
json_line_send(int fd, const char *line)
{
    for (gsize done = 0, length = strlen(line); done < length;) {
        ssize_t written = write(fd, line + done, length - done);
        if (written < 0 && errno != EINTR)
            return FALSE;
        done += written > 0 ? (gsize)written : 0;
    }
    return TRUE;
}

JsonLines
json_line_read(int fd, GByteArray *input, gsize most,
               void (*take)(const char *line, gpointer user_data), gpointer user_data)
{
    guint8 buffer[65536];
    gsize start = 0;
    guint8 *newline;
    ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got < 0)
        return errno == EINTR || errno == EAGAIN ? JSON_LINES_GO_ON : JSON_LINES_ENDED;
    if (got == 0)
        return JSON_LINES_ENDED;
    g_byte_array_append(input, buffer, (guint)got);
    if (!memchr(buffer, '\n', (gsize)got))
        return input->len > most ? JSON_LINES_TOO_LONG : JSON_LINES_GO_ON;
    while ((newline = memchr(input->data + start, '\n', input->len - start))) {
        *newline = '\0';
        take((const char *)input->data + start, user_data);
        start = (gsize)(newline - input->data) + 1;
    }
    g_byte_array_remove_range(input, 0, (guint)start);
    return JSON_LINES_GO_ON;
}

/* Brackets in texts do not count; and since the parser knows of comments and other
 * quotes, too, nothing may be there that JSON does not have: what is a text must be the
 * same to both. */
static gboolean
is_shallow(const char *text, gsize length)
{
    int depth = 0;
    gboolean in_text = FALSE;
    for (gsize i = 0; i < length && depth >= 0 && depth <= DEPTH_MAX; i++) {
        char byte = text[i];
        if (byte == '"')
            in_text = !in_text;
        else if (in_text)
            i += byte == '\\';
        else if (byte == '[' || byte == '{')
            depth++;
        else if (byte == ']' || byte == '}')
            depth--;
        else if (!g_ascii_isalnum(byte) && !g_ascii_isspace(byte) &&
                 (byte == '\0' || !strchr(":,+-.", byte)))
            return FALSE;
    }
    return depth == 0;
}

JsonNode *
json_line_parse(const char *text, gsize length)
{
    g_autoptr(JsonParser) parser = json_parser_new_immutable();
    if (!is_shallow(text, length) || !g_utf8_validate_len(text, length, NULL) ||
        !json_parser_load_from_data(parser, text, (gssize)length, NULL))
        return NULL;
    return json_parser_steal_root(parser);
}

JsonObject *
json_line_parse_object(const char *text, gsize length)
{
    g_autoptr(JsonNode) node = json_line_parse(text, length);
    return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_dup_object(node) : NULL;
}

/* ---- what is in them -------------------------------------------------------------- */

const char *
json_line_string(JsonObject *object, const char *member)
{
    JsonNode *node = json_object_get_member(object, member);
    return node && json_node_get_value_type(node) == G_TYPE_STRING
               ? json_node_get_string(node)
               : NULL;
}

gint64
json_line_int(JsonObject *object, const char *member, gint64 value)
{
    JsonNode *node = json_object_get_member(object, member);
    return node && json_node_get_value_type(node) == G_TYPE_INT64
               ? json_node_get_int(node)
               : value;
}

JsonArray *
json_line_as_array(JsonNode *node)
{
    return node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
}

JsonObject *
json_line_as_object(JsonNode *node)
{
    return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

JsonArray *
json_line_array(JsonObject *object, const char *member)
{
    return json_line_as_array(json_object_get_member(object, member));
}

JsonObject *
json_line_object(JsonObject *object, const char *member)
{
    return json_line_as_object(json_object_get_member(object, member));
}

JsonObject *
json_line_element(JsonArray *array, guint index)
{
    return json_line_as_object(json_array_get_element(array, index));
}

char *
json_line_quoted(const char *text)
{
    g_autoptr(JsonNode) node = json_node_init_string(json_node_alloc(), text);
    return json_to_string(node, FALSE);
}
