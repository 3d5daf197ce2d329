/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "servant-side.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "error.h"
#include "json-line.h"

#define ORDER_MAX_BYTES ((guint)256 << 20)

struct ServantSide {
    int fd; /* where standard output was */
};

static JsonObject *
read_order(GError **error)
{
    g_autoptr(GByteArray) text = g_byte_array_new();
    guint8 buffer[65536];
    ssize_t got;
    while ((got = read(STDIN_FILENO, buffer, sizeof(buffer))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 || text->len > ORDER_MAX_BYTES)
            break;
        g_byte_array_append(text, buffer, (guint)got);
    }
    JsonObject *order =
        got == 0 ? json_line_parse_object((char *)text->data, text->len) : NULL;
    if (!order)
        g_set_error_literal(error, HB_ERROR, HB_USAGE,
                            "this program is started by hostbed, which writes an order "
                            "in JSON to its standard input");
    return order;
}

static void
tell_error(const ServantSide *side, const GError *error)
{
    JsonObject *message = json_object_new();
    g_autofree char *sentence =
        g_utf8_make_valid(error ? error->message : "there is no answer", -1);
    json_object_set_string_member(message, "error", sentence);
    json_object_set_int_member(message, "status",
                               error ? hb_error_status(error) : HB_INFRASTRUCTURE);
    json_line_write(side->fd, message);
}

int
servant_side_run(ServantWork work)
{
    g_autoptr(GError) error = NULL;
    ServantSide side = {fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)};
    dup2(STDERR_FILENO, STDOUT_FILENO);
    g_autoptr(JsonObject) order = read_order(&error);
    JsonObject *answer = order ? work(&side, order, &error) : NULL;
    if (!answer) {
        tell_error(&side, error);
        return error ? (int)hb_error_status(error) : HB_INFRASTRUCTURE;
    }
    JsonObject *message = json_object_new();
    json_object_set_object_member(message, "answer", answer);
    return json_line_write(side.fd, message) ? HB_OK : HB_INFRASTRUCTURE;
}

void
servant_side_tell(const ServantSide *side, const char *kind, JsonObject *event)
{
    json_object_set_string_member(event, "event", kind);
    json_line_write(side->fd, event);
}

void
servant_side_progress(const ServantSide *side, const char *what, gint64 done,
                      gint64 total)
{
    JsonObject *event = json_object_new();
    json_object_set_string_member(event, "what", what);
    json_object_set_int_member(event, "done", done);
    if (total > 0)
        json_object_set_int_member(event, "total", total);
    servant_side_tell(side, "progress", event);
}
