/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The process behind a lab that is up. It is started by hostbed up, takes its order from
 * the descriptor that it finds open, and from then on belongs to nobody.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli-connect.h"
#include "cmd-live.h"
#include "json-line.h"
#include "live-dir.h"
#include "live-serve.h"
#include "live-wire.h"
#include "log-dir.h"
#include "qmp-trace.h"

#define LOG "supervisor.log"

/* The first line of SUPERVISOR_FD. */
static JsonObject *
read_order(void)
{
    g_autoptr(GString) line = g_string_new(NULL);
    char byte;
    while (line->len < LIVE_LINE_MAX && read(SUPERVISOR_FD, &byte, 1) == 1) {
        if (byte == '\n')
            return json_line_parse_object(line->str, line->len);
        g_string_append_c(line, byte);
    }
    return NULL;
}

static GStrv
strings_of(JsonObject *order, const char *member)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    JsonArray *array = json_object_get_array_member(order, member);
    for (guint i = 0; i < json_array_get_length(array); i++)
        g_strv_builder_add(builder, json_array_get_string_element(array, i));
    return g_strv_builder_end(builder);
}

/* Tells who started us, and ends. */
static int
give_up(const char *message, HbStatus status)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "error", message);
    json_object_set_int_member(object, "status", status);
    json_line_write(SUPERVISOR_FD, object);
    return (int)status;
}

/* What is said from now on, by libraries too, is in the log. */
static void
write_to_log(const char *dir)
{
    g_autofree char *path = g_build_filename(dir, LOG, NULL);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    close(fd);
}

/* Whether a host of LAB failed, which somebody may want to understand. */
static gboolean
is_of_interest(const char *logs)
{
    g_autoptr(GDir) dir = g_dir_open(logs, 0, NULL);
    g_autofree char *path = g_build_filename(logs, LOG, NULL);
    g_autofree char *text = NULL;
    return dir && g_file_get_contents(path, &text, NULL, NULL) &&
           strstr(text, "not up: ") != NULL;
}

/* The lab of the order. */
typedef struct {
    Lab *lab;
    Emulator *emulator;
    const char *connect, *name; /* as in LiveServeOptions */
    GPtrArray *plans;
} Served;

static void
served_clear(Served *served)
{
    g_clear_pointer(&served->plans, g_ptr_array_unref);
    g_clear_pointer(&served->lab, lab_free);
    g_clear_pointer(&served->emulator, emulator_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Served, served_clear)

static GPtrArray *
plan_again(const Lab *lab, Findings *findings, gpointer plan_data)
{
    const Served *served = plan_data;
    GPtrArray *plans = cli_plan_lab(lab, served->emulator,
                                    cli_connect_backend(served->connect), findings);
    /* libvirt tells domains apart by their names, and a lab can be up under several. */
    for (guint i = 0; served->connect && plans && i < plans->len; i++) {
        Plan *plan = plans->pdata[i];
        g_free(plan->lab_name);
        plan->lab_name = g_strdup(served->name);
    }
    return plans;
}

static int
serve(JsonObject *order, Served *served, const char *dir, LogDir *logs)
{
    g_auto(GStrv) hosts = strings_of(order, "hosts");
    g_auto(GStrv) with = strings_of(order, "with");
    g_auto(GStrv) copies = strings_of(order, "copies");
    g_auto(GStrv) modules = strings_of(order, "modules");
    const char *accel = json_line_string(order, "accel");
    const CliMachine machine = {.accel = (char *)accel};
    const LiveServeOptions options = {
        .name = json_line_string(order, "name"),
        .file = json_line_string(order, "file"),
        .digest = json_line_string(order, "digest"),
        .plans = served->plans,
        .lab = served->lab,
        .plan_again = plan_again,
        .plan_data = served,
        .dir = dir,
        .logs = log_dir_path(logs),
        .emulator = json_line_string(order, "emulator"),
        .connect = served->connect,
        .accel = cli_accel(&machine),
        .kernel = json_line_string(order, "kernel"),
        .programs = (const char *const *)with,
        .copies = (const char *const *)copies,
        .modules = (const char *const *)modules,
        .persistent = json_object_get_boolean_member(order, "persistent"),
        .warm = json_object_get_boolean_member(order, "warm"),
        .even_if_different = json_object_get_boolean_member(order, "even-if-different"),
        .trace = json_object_get_boolean_member(order, "trace"),
        .first_fd = SUPERVISOR_FD,
        .hosts = (const char *const *)hosts,
    };
    g_autoptr(GError) error = NULL;
    const char *trace = json_line_string(order, "trace-file");
    if (trace && !qmp_trace_to_file(trace, FALSE, &error))
        g_message("%s", error->message);
    g_clear_error(&error);
    if (live_serve(&options, &error))
        return HB_OK;
    g_message("%s", error->message);
    return (int)hb_error_status(error);
}

/* What the file says now must be what the one who started us has read. */
static char *
read_lab(JsonObject *order, gsize *length, int *status)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    const char *file = json_line_string(order, "file");
    if (!g_file_get_contents(file, &text, length, &error)) {
        *status = give_up(error->message, HB_USAGE);
        return NULL;
    }
    g_autofree char *digest =
        g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)text, *length);
    if (g_strcmp0(digest, json_line_string(order, "digest")) == 0)
        return g_steal_pointer(&text);
    *status = give_up("the lab was changed while it was read", HB_USAGE);
    return NULL;
}

static gboolean
plan(JsonObject *order, Served *served, int *status)
{
    gsize length = 0;
    g_autoptr(GError) error = NULL;
    g_autoptr(Findings) findings = findings_new();
    g_autofree char *text = read_lab(order, &length, status);
    const CliMachine machine = {.emulator = (char *)json_line_string(order, "emulator")};
    if (!text)
        return FALSE;
    served->emulator = cli_emulator(&machine, &error);
    if (!served->emulator) {
        *status = give_up(error->message, hb_error_status(error));
        return FALSE;
    }
    served->lab = lab_parse_text(text, length, json_line_string(order, "file"), findings);
    served->connect = json_line_string(order, "connect");
    served->name = json_line_string(order, "name");
    if (served->lab)
        served->plans = plan_again(served->lab, findings, served);
    cli_findings(findings);
    if (served->plans)
        return TRUE;
    *status = give_up("the lab cannot be planned any more",
                      (HbStatus)cli_findings_status(findings));
    return FALSE;
}

int
cmd_up_serve(void)
{
    int status;
    g_autoptr(GError) error = NULL;
    prctl(PR_SET_NAME, SUPERVISOR_NAME);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    fcntl(SUPERVISOR_FD, F_SETFD, FD_CLOEXEC);
    g_autoptr(JsonObject) order = read_order();
    if (!order)
        return HB_INFRASTRUCTURE;
    g_autofree char *dir = live_dir(TRUE, &error);
    LogDir *logs = dir ? log_dir_open(json_line_string(order, "log-dir"),
                                      json_line_string(order, "name"), &error)
                       : NULL;
    if (!logs)
        return give_up(error->message, hb_error_status(error));
    write_to_log(log_dir_path(logs));
    g_auto(Served) served = {0};
    /* The folder from which it was started is not ours to hold. */
    if (plan(order, &served, &status) && chdir("/") == 0)
        status = serve(order, &served, dir, logs);
    log_dir_close(logs, is_of_interest(log_dir_path(logs)));
    return status;
}
