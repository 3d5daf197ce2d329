/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The process's end of a job: what it tells, and the orders that it hears.
 */
#include <glib-unix.h>

#include "json-line.h"
#include "job.h"

/* ---- what it tells
 * -------------------------------------------------------------------------------- */

/* Takes OBJECT. Whoever reads may be gone; then we are to end as well, and get a signal.
 */
static void
tell(int fd, const char *type, JsonObject *object)
{
    json_object_set_string_member(object, "type", type);
    json_line_write(fd, object);
}

static void
set_string(JsonObject *object, const char *member, const char *value)
{
    g_autofree char *text = value ? outcome_text(value, -1, FALSE) : NULL;
    if (text)
        json_object_set_string_member(object, member, text);
}

void
job_tell_facts(int fd, const JobFacts *facts)
{
    JsonObject *object = json_object_new();
    set_string(object, "emulator", facts->emulator);
    set_string(object, "accel", facts->accel);
    set_string(object, "kernel", facts->kernel);
    set_string(object, "log_dir", facts->log_dir);
    set_string(object, "cold", facts->cold);
    set_string(object, "template", facts->template);
    tell(fd, "facts", object);
}

void
job_tell_step(int fd, const char *what)
{
    JsonObject *object = json_object_new();
    set_string(object, "what", what);
    tell(fd, "step", object);
}

void
job_tell_results(int fd, const GPtrArray *results)
{
    JsonArray *array = json_array_new();
    for (guint i = 0; i < results->len; i++) {
        const CaseResult *result = results->pdata[i];
        JsonObject *element = report_case_to_json(result);
        json_object_set_int_member(element, "order", result->order);
        json_array_add_object_element(array, element);
    }
    JsonObject *object = json_object_new();
    json_object_set_array_member(object, "results", array);
    tell(fd, "results", object);
}

void
job_tell_done(int fd)
{
    tell(fd, "done", json_object_new());
}

void
job_tell_places(int fd, const JobPlaces *places)
{
    JsonObject *object = json_object_new();
    json_object_set_int_member(object, "runs", places->runs);
    json_object_set_int_member(object, "may", places->may);
    json_object_set_int_member(object, "could", places->could);
    json_object_set_int_member(object, "template_bytes", places->template_bytes);
    tell(fd, "places", object);
}

void
job_tell_end(int fd, HbStatus status)
{
    JsonObject *object = json_object_new();
    json_object_set_int_member(object, "status", status);
    tell(fd, "end", object);
}

/* ---- what it hears
 * -------------------------------------------------------------------------------- */

struct JobOrders {
    JobHear hear;
    gpointer user_data;
    GByteArray *input;
    guint source;
};

static void
hear_line(const char *line, gpointer user_data)
{
    JobOrders *orders = user_data;
    g_autoptr(JsonNode) node = json_from_string(line, NULL);
    if (node && JSON_NODE_HOLDS_OBJECT(node))
        orders->hear(json_node_get_object(node), orders->user_data);
}

static gboolean
on_order(int fd, GIOCondition condition, gpointer user_data)
{
    JobOrders *orders = user_data;
    if (json_line_read(fd, orders->input, JOB_LINE_MAX, hear_line, orders) ==
        JSON_LINES_GO_ON)
        return G_SOURCE_CONTINUE;
    orders->source = 0;
    orders->hear(NULL, orders->user_data);
    return G_SOURCE_REMOVE;
}

JobOrders *
job_orders_new(int fd, JobHear hear, gpointer user_data)
{
    JobOrders *orders = g_new0(JobOrders, 1);
    orders->hear = hear;
    orders->user_data = user_data;
    orders->input = g_byte_array_new();
    orders->source = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_order, orders);
    return orders;
}

void
job_orders_free(JobOrders *orders)
{
    if (!orders)
        return;
    g_clear_handle_id(&orders->source, g_source_remove);
    g_byte_array_unref(orders->input);
    g_free(orders);
}
