/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "job-line.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES (64 * 1024 * 1024)

char *
job_line(JsonObject *object)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    json_node_take_object(node, object);
    g_autofree char *text = json_to_string(node, FALSE);
    return g_strconcat(text, "\n", NULL);
}

JobInput
job_read_lines(int fd, GByteArray *input,
               void (*take)(const char *line, gpointer user_data), gpointer user_data)
{
    guint8 buffer[65536];
    gsize start = 0;
    guint8 *newline;
    ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got < 0)
        return errno == EINTR || errno == EAGAIN ? JOB_INPUT_GOES_ON : JOB_INPUT_ENDED;
    if (got == 0)
        return JOB_INPUT_ENDED;
    g_byte_array_append(input, buffer, (guint)got);
    if (!memchr(buffer, '\n', (gsize)got))
        return input->len > LINE_MAX_BYTES ? JOB_INPUT_TOO_LONG : JOB_INPUT_GOES_ON;
    while ((newline = memchr(input->data + start, '\n', input->len - start))) {
        *newline = '\0';
        take((const char *)input->data + start, user_data);
        start = (gsize)(newline - input->data) + 1;
    }
    g_byte_array_remove_range(input, 0, (guint)start);
    return JOB_INPUT_GOES_ON;
}
