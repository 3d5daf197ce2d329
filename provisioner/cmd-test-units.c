/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Units of a host that run at the same time: the processes for them, as the host's own
 * starts them, and as they are. They inherit the template, and what there is to know of
 * it in a file without a name.
 */
#include "cmd-test-worker.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "memory-file.h"
#include "lab-boot.h"

/* ---- in the host's process
 * ---------------------------------------------------------------------------- */

static void
tell_places(const TestWorker *worker)
{
    job_tell_places(worker->options->worker_fd, &worker->places);
}

/* Answered also where nothing changes: what is taken from us is free only then. */
void
test_hear_places(JsonObject *order, gpointer user_data)
{
    TestWorker *worker = user_data;
    if (!order)
        return;
    worker->places.may =
        (guint)json_object_get_int_member_with_default(order, "places", 1);
    tell_places(worker);
}

static guint
may(gpointer user_data)
{
    return ((const TestWorker *)user_data)->places.may;
}

static void
uses(const JobPlaces *places, gpointer user_data)
{
    TestWorker *worker = user_data;
    JobPlaces *last = &worker->places;
    if (last->runs == places->runs && last->could == places->could &&
        last->template_bytes == places->template_bytes)
        return;
    last->runs = places->runs;
    last->could = places->could;
    last->template_bytes = places->template_bytes;
    tell_places(worker);
}

static int
write_about(const TestWorker *worker, const SessionOrigin *origin, GArray *fds,
            GError **error)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    JsonObject *object = json_object_new();
    json_object_set_object_member(object, "template",
                                  lab_template_hand(origin->template, fds));
    json_object_set_string_member(object, "log_dir", worker->log_dir);
    json_object_set_int_member(object, "boot_us", origin->boot_us);
    if (origin->observation)
        json_object_set_string_member(object, "observation", origin->observation);
    json_node_take_object(node, object);
    g_autofree char *text = json_to_string(node, FALSE);
    return memory_file_new("template", text, strlen(text), error);
}

static Job *
start(const SessionOrigin *origin, Report *report, const JobWatch *watch,
      gpointer watcher, gpointer user_data, GError **error)
{
    TestWorker *worker = user_data;
    g_autoptr(GArray) fds = g_array_new(FALSE, FALSE, sizeof(int));
    int about = -1;
    g_array_append_val(fds, about);
    g_array_append_val(fds, worker->lab_fd);
    about = write_about(worker, origin, fds, error);
    g_auto(GStrv) argv = about >= 0 ? test_unit_command(error) : NULL;
    g_array_index(fds, int, 0) = about;
    Job *job = argv ? job_start((const char *const *)argv, fds, report, TRUE, watch,
                                watcher, error)
                    : NULL;
    if (about >= 0)
        close(about);
    return job;
}

const SessionJobs test_jobs = {.may = may, .uses = uses, .start = start};

/* ---- in theirs
 * --------------------------------------------------------------------------------------
 */

typedef struct {
    GQueue units; /* JsonObject */
    gboolean ended;
} Orders;

static void
hear_unit(JsonObject *order, gpointer user_data)
{
    Orders *orders = user_data;
    if (order)
        g_queue_push_tail(&orders->units, json_object_ref(order));
    else
        orders->ended = TRUE;
}

static HbStatus
run_unit(const SessionOptions *of_host, JsonObject *order, int fd)
{
    SessionOptions session = *of_host;
    const char *name = json_object_get_string_member_with_default(order, "suite", "");
    const SessionUnit unit = {
        .suite = suite_find_in(of_host->suites, name),
        .only = (char *)json_object_get_string_member_with_default(order, "case", NULL),
        .number = (guint)json_object_get_int_member_with_default(order, "number", 1),
        .order = (guint)json_object_get_int_member_with_default(order, "order", 0),
    };
    g_autoptr(GPtrArray) list = g_ptr_array_new();
    if (unit.suite)
        g_ptr_array_add(list, (gpointer)unit.suite);
    session.suites = list;
    session.unit = &unit;
    HbStatus status = session_run(&session);
    /* What was ended from outside is not done. */
    if (status != HB_INTERRUPTED)
        job_tell_done(fd);
    return status;
}

static HbStatus
run_orders(const SessionOptions *session, int fd)
{
    Orders orders = {.units = G_QUEUE_INIT};
    HbStatus worst = HB_OK;
    g_autoptr(JobOrders) channel = job_orders_new(fd, hear_unit, &orders);
    while (worst != HB_INTERRUPTED) {
        g_autoptr(JsonObject) order = g_queue_pop_head(&orders.units);
        if (order)
            worst = outcome_worst_status(worst, run_unit(session, order, fd));
        else if (orders.ended)
            break;
        else if (g_cancellable_is_cancelled(session->interrupt))
            worst = HB_INTERRUPTED;
        else
            g_main_context_iteration(NULL, TRUE);
    }
    g_queue_clear_full(&orders.units, (GDestroyNotify)json_object_unref);
    return worst;
}

HbStatus
test_run_units(TestWorker *worker, SessionOptions *session, GError **error)
{
    g_autofree char *path =
        g_strdup_printf("/proc/self/fd/%d", worker->options->worker_template);
    g_autofree char *text = NULL;
    g_autoptr(JsonNode) node = g_file_get_contents(path, &text, NULL, error)
                                   ? json_from_string(text, error)
                                   : NULL;
    fcntl(UNIT_ABOUT_FD, F_SETFD, FD_CLOEXEC);
    fcntl(UNIT_LAB_FD, F_SETFD, FD_CLOEXEC);
    JsonObject *about = node ? json_node_get_object(node) : NULL;
    g_autoptr(LabTemplate) template =
        about ? lab_template_take(json_object_get_object_member(about, "template"),
                                  session->plan, session->peers, UNIT_TEMPLATE_FD, error)
              : NULL;
    if (!template)
        return HB_INFRASTRUCTURE;
    const SessionOrigin origin = {
        .template = template,
        .observation =
            json_object_get_string_member_with_default(about, "observation", NULL),
        .boot_us = json_object_get_int_member(about, "boot_us"),
    };
    session->origin = &origin;
    session->log_dir = worker->log_dir = json_object_get_string_member(about, "log_dir");
    HbStatus status = run_orders(session, worker->options->worker_fd);
    session->origin = NULL;
    return status;
}
