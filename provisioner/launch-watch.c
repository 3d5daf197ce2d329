/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is seen of a machine from outside: events, console, standard error, the end of the
 * process; and what follows from it.
 */
#include "launch-private.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emit.h"
#include "error.h"
#include "qmp-trace.h"
#include "launch-child.h"
#include "overlay.h"
#include "probes.h"

/* After the first sign of the end: the rest of what was said is already on its way. */
#define SETTLE_MS 500
#define REAP_MS 1000
/* A console that printed within the last turn tells enough. */
#define SAMPLE_MS 1000
/* What libvirt's names of disks begin with; it knows of no others than an image's. */
#define LIBVIRT_NODE "libvirt-"

/* ---- why
 * -----------------------------------------------------------------------------------------
 */

static char *
describe_status(int status)
{
    if (WIFSIGNALED(status))
        return g_strdup_printf("ended by signal %d (%s)", WTERMSIG(status),
                               g_strsignal(WTERMSIG(status)));
    return g_strdup_printf("ended with status %d", WEXITSTATUS(status));
}

/* What its end itself tells, where it says nothing. */
static const char *
reason_of(int status)
{
    if (!WIFSIGNALED(status))
        return "it gave no reason";
    switch (WTERMSIG(status)) {
    case SIGBUS: /* of what it has mapped */
        return "there was no room left for the host's memory, on the machine or where "
               "its "
               "template is kept, or that was cut";
    case SIGKILL:
        return "it gave no reason; somebody ended it, or the kernel, short of memory";
    default:
        return "it gave no reason";
    }
}

/* How it ended and the last lines of its standard error; reaps it. *CODE is changed where
 * it says itself what went wrong. */
static char *
describe_end(Machine *machine, HbStatus *code)
{
    int status = 0;
    const GError *qmp = qmp_ended(machine->qmp);
    g_autofree char *how = NULL;
    if (machine->pid == 0) {
        how = g_strdup("ended");
    } else if (launch_child_reap(machine->pid, REAP_MS, &status)) {
        how = describe_status(status);
        machine->pid = 0;
    } else {
        how = g_strdup_printf("lives and is out of control (%s)",
                              qmp ? qmp->message : "it closed its channels");
    }
    g_autofree char *said = console_tail(machine->errors, 4);
    if (machine->is_told && machine->pid == 0 && WIFEXITED(status) &&
        WEXITSTATUS(status) != 0 && *said) {
        *code = (HbStatus)WEXITSTATUS(status);
        return g_steal_pointer(&said);
    }
    return g_strdup_printf("the emulator %s %s: %s", machine->emulator, how,
                           *said ? said : reason_of(status));
}

static HbStatus
cause_status(Cause cause)
{
    switch (cause) {
    case CAUSE_PANIC:
    case CAUSE_RESET:
    case CAUSE_POWER_OFF:
        return HB_GUEST_PANIC;
    case CAUSE_IO_ERROR:
        return HB_INFRASTRUCTURE;
    case CAUSE_WATCHDOG:
        return HB_GUEST_HANG;
    case CAUSE_QMP:
    case CAUSE_ENDED:
    case CAUSE_NONE:
        break;
    }
    return HB_EMULATOR_DIED;
}

static char *
describe_cause(Machine *machine, HbStatus *code)
{
    const char *panic = console_panic(machine->console);
    switch (machine->cause) {
    case CAUSE_PANIC:
        return g_strdup_printf("the host's kernel panicked%s%s", panic ? ": " : "",
                               panic ? panic : "");
    case CAUSE_RESET:
        if (panic)
            return g_strdup_printf("the host's kernel panicked: %s", panic);
        return g_strdup("the host reset itself");
    case CAUSE_POWER_OFF:
        return g_strdup("the host powered itself off");
    case CAUSE_IO_ERROR:
        return g_strdup(machine->cause_detail);
    case CAUSE_WATCHDOG:
        return g_strdup("the host's watchdog expired");
    case CAUSE_QMP:
    case CAUSE_ENDED:
    case CAUSE_NONE:
        break;
    }
    return describe_end(machine, code);
}

static GError *
make_failure(Machine *machine)
{
    HbStatus code = cause_status(machine->cause);
    g_autofree char *why = describe_cause(machine, &code);
    const char *last = console_last_line(machine->console);
    GString *text = g_string_new(why);
    if (last && !console_panic(machine->console))
        g_string_append_printf(text, "; the console said last: %s", last);
    g_string_append_printf(text, "; logs: %s", machine->log_dir);
    GError *failure = g_error_new_literal(HB_ERROR, (int)code, text->str);
    g_string_free(text, TRUE);
    return failure;
}

/* Everything that will be known is known. */
static void
conclude(Machine *machine)
{
    g_clear_handle_id(&machine->settling, g_source_remove);
    if (machine->failure)
        return;
    machine->failure = make_failure(machine);
    log_file_line(machine->events, "gone: %s", machine->failure->message);
    g_cancellable_cancel(machine->gone);
}

static gboolean
on_settled(gpointer user_data)
{
    Machine *machine = user_data;
    machine->settling = 0;
    conclude(machine);
    return G_SOURCE_REMOVE;
}

/* CAUSE was seen. What the others have to say arrives first, then the host is gone. */
static void
note_cause(Machine *machine, Cause cause)
{
    if (machine->failure)
        return;
    if (machine->cause == CAUSE_NONE)
        machine->cause = cause;
    if (machine->qmp_ended && console_ended(machine->console) &&
        console_ended(machine->errors))
        conclude(machine);
    else if (!machine->settling)
        machine->settling = g_timeout_add(SETTLE_MS, on_settled, machine);
}

/* ---- events
 * ----------------------------------------------------------------------------------------
 */

static const char *
string_member(JsonObject *object, const char *name)
{
    JsonNode *node = object ? json_object_get_member(object, name) : NULL;
    return node && json_node_get_value_type(node) == G_TYPE_STRING
               ? json_node_get_string(node)
               : "";
}

static void
on_shutdown(Machine *machine, JsonObject *data)
{
    const char *reason = string_member(data, "reason");
    if (strcmp(reason, "guest-reset") == 0)
        note_cause(machine, CAUSE_RESET);
    else if (strcmp(reason, "guest-shutdown") == 0)
        note_cause(machine, CAUSE_POWER_OFF);
    else if (strcmp(reason, "guest-panic") == 0)
        note_cause(machine, CAUSE_PANIC);
    else
        note_cause(machine, CAUSE_ENDED);
}

static gboolean
is_of_image(JsonObject *data)
{
    const char *node = string_member(data, "node-name");
    return g_str_has_prefix(node, EMIT_IMAGE_NODE) ||
           g_str_has_prefix(node, LIBVIRT_NODE);
}

/* What a host writes to the disk of its image goes to a file of ours. */
static char *
describe_io_error(const Machine *machine, JsonObject *data)
{
    const char *device = string_member(data, "device");
    const char *node = string_member(data, "node-name");
    gboolean is_ours =
        data && is_of_image(data) &&
        json_object_get_boolean_member_with_default(data, "nospace", FALSE);
    if (is_ours && machine->has_disk_elsewhere)
        return g_strdup("the host was stopped because there is no space left in "
                        "libvirt's pool for what it writes to its disk");
    g_autofree char *folder = is_ours ? overlay_folder(NULL) : NULL;
    if (folder)
        return g_strdup_printf(
            "the host was stopped because there is no space left in %s "
            "for what it writes to its disk; make some, or set "
            "XDG_CACHE_HOME to a folder that has more",
            folder);
    return g_strdup_printf("the host was stopped by an I/O error on %s: %s",
                           *device ? device : node, string_member(data, "reason"));
}

/* Those that were asked for (disk-faults.h) come from a node above the image's. */
static void
on_io_error(Machine *machine, JsonObject *data)
{
    if (strcmp(string_member(data, "action"), "stop") != 0 && !is_of_image(data))
        return;
    if (machine->cause == CAUSE_NONE)
        machine->cause_detail = describe_io_error(machine, data);
    note_cause(machine, CAUSE_IO_ERROR);
}

static void
on_event(const char *event, JsonObject *data, gpointer user_data)
{
    Machine *machine = user_data;
    if (!event) {
        machine->qmp_ended = TRUE;
        note_cause(machine, CAUSE_QMP);
        return;
    }
    machine->events_seen++;
    log_file_line(machine->events, "event %.64s %s", event,
                  string_member(data, "reason"));
    if (strcmp(event, "GUEST_PANICKED") == 0)
        note_cause(machine, CAUSE_PANIC);
    else if (strcmp(event, "SHUTDOWN") == 0)
        on_shutdown(machine, data);
    else if (strcmp(event, "BLOCK_IO_ERROR") == 0)
        on_io_error(machine, data);
    else if (strcmp(event, "WATCHDOG") == 0)
        note_cause(machine, CAUSE_WATCHDOG);
    else if (strcmp(event, "MIGRATION") == 0)
        machine_migration_came(machine, string_member(data, "status"));
    if (machine->listener)
        machine->listener(event, data, machine->listener_data);
}

void
machine_set_listener(Machine *machine, QmpEvent handler, gpointer user_data)
{
    machine->listener = handler;
    machine->listener_data = user_data;
}

static void
on_trace(gboolean to_emulator, const char *line, gpointer user_data)
{
    Machine *machine = user_data;
    g_autofree char *shown = qmp_trace_without_secrets(line);
    log_file_line(machine->qmp_log, "%s %s", to_emulator ? "->" : "<-", shown);
    qmp_trace(machine->lab_name, machine->host_id, machine->pid, to_emulator, shown);
    PROBE4(qmp_message, machine->host_id, (int)machine->pid, (int)to_emulator, shown);
}

void
machine_console_came(gsize bytes, gpointer user_data)
{
    Machine *machine = user_data;
    if (bytes > 0 && console_bytes(machine->console) == bytes)
        PROBE3(console_spoke, machine->lab_name, machine->host_id, (int)machine->pid);
    if (bytes == 0 && machine->cause != CAUSE_NONE)
        note_cause(machine, CAUSE_ENDED);
}

void
machine_errors_came(gsize bytes, gpointer user_data)
{
    Machine *machine = user_data;
    if (bytes == 0)
        note_cause(machine, CAUSE_ENDED);
}

static void
on_interrupt(GCancellable *interrupt, gpointer user_data)
{
    Machine *machine = user_data;
    if (machine->failure)
        return;
    machine->failure = g_error_new(HB_ERROR, HB_INTERRUPTED, "interrupted");
    log_file_line(machine->events, "interrupted");
    /* Whoever waits for the emulator, for its greeting perhaps, waits for nothing. */
    if (machine->pid != 0)
        kill(machine->pid, machine->is_told ? SIGTERM : SIGKILL);
    g_cancellable_cancel(machine->gone);
}

/* ---- questions
 * ---------------------------------------------------------------------------------------
 */

GCancellable *
machine_gone(Machine *machine)
{
    return machine->gone;
}

const GError *
machine_failure(const Machine *machine)
{
    return machine->failure;
}

static gboolean
on_tick(gpointer user_data)
{
    gboolean *passed = user_data;
    *passed = TRUE;
    return G_SOURCE_REMOVE;
}

const GError *
machine_settle(Machine *machine)
{
    gboolean passed = FALSE;
    guint timer = g_timeout_add(2 * SETTLE_MS, on_tick, &passed);
    while (!machine->failure && !passed)
        g_main_context_iteration(NULL, TRUE);
    if (!passed)
        g_source_remove(timer);
    return machine->failure;
}

const char *
machine_last_words(const Machine *machine)
{
    return console_last_line(machine->console);
}

/* ---- progress
 * ------------------------------------------------------------------------------------------
 */

guint64
machine_progress(const Machine *machine)
{
    return console_bytes(machine->console) + machine->events_seen +
           g_hash_table_size(machine->pages);
}

/* The number after NAME= in the registers' dump. */
static gboolean
read_register(const char *text, const char *name, guint64 *value)
{
    const char *at = strstr(text, name);
    if (!at)
        return FALSE;
    *value = g_ascii_strtoull(at + strlen(name), NULL, 16);
    return TRUE;
}

static void
on_registers(JsonNode *result, const GError *error, gpointer user_data)
{
    Machine *machine = user_data;
    machine->sample_pending = FALSE;
    if (!result || json_node_get_value_type(result) != G_TYPE_STRING)
        return;
    const char *text = json_node_get_string(result);
    guint64 instruction;
    if (!read_register(text, "RIP=", &instruction) &&
        !read_register(text, "EIP=", &instruction))
        return;
    machine->instruction = instruction;
    machine->instruction_known = TRUE;
    guint64 page = instruction >> 12;
    g_hash_table_add(machine->pages, g_memdup2(&page, sizeof page));
}

static gboolean
on_sample(gpointer user_data)
{
    Machine *machine = user_data;
    guint64 bytes = console_bytes(machine->console);
    gboolean quiet = bytes == machine->sampled_bytes;
    machine->sampled_bytes = bytes;
    if (!quiet || machine->sample_pending || machine->qmp_ended)
        return G_SOURCE_CONTINUE;
    machine->sample_pending = TRUE;
    JsonObject *arguments = json_object_new();
    json_object_set_string_member(arguments, "command-line", "info registers");
    qmp_send(machine->qmp, "human-monitor-command", arguments, on_registers, machine);
    return G_SOURCE_CONTINUE;
}

void
machine_sample(Machine *machine, gboolean on)
{
    g_clear_handle_id(&machine->sampler, g_source_remove);
    if (on)
        machine->sampler = g_timeout_add(SAMPLE_MS, on_sample, machine);
}

/* Fields 14 and 15 of proc(5)'s stat, after the name, which may have spaces and brackets.
 */
gint64
machine_cpu_time_us(const Machine *machine)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", machine->pid);
    g_autofree char *text = NULL;
    unsigned long user = 0, kernel = 0;
    if (machine->pid == 0 || !g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    const char *after_name = strrchr(text, ')');
    if (!after_name ||
        sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
               &user, &kernel) != 2)
        return 0;
    return (gint64)(user + kernel) * G_USEC_PER_SEC / sysconf(_SC_CLK_TCK);
}

/* The second number of a thread's schedstat: nanoseconds that it was ready and did not
 * run. */
static gint64
thread_waited_ns(GPid pid, const char *thread)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task/%s/schedstat", pid, thread);
    g_autofree char *text = NULL;
    gint64 waited_ns = 0;
    if (!g_file_get_contents(path, &text, NULL, NULL) ||
        sscanf(text, "%*u %" G_GINT64_FORMAT, &waited_ns) != 1)
        return 0;
    return waited_ns;
}

/* Since the last time; a thread that was not there then has waited for no one. */
static gint64
thread_waited_more(Machine *machine, const char *thread)
{
    gint64 now = thread_waited_ns(machine->pid, thread);
    gint64 *before = g_hash_table_lookup(machine->waits, thread);
    gint64 more = before ? now - *before : 0;
    if (before)
        *before = now;
    else
        g_hash_table_insert(machine->waits, g_strdup(thread),
                            g_memdup2(&now, sizeof now));
    return more;
}

gint64
machine_starved_us(Machine *machine)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task", machine->pid);
    g_autoptr(GDir) threads = machine->pid ? g_dir_open(path, 0, NULL) : NULL;
    if (!machine->waits)
        machine->waits = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    const char *thread;
    gint64 most_ns = 0;
    while (threads && (thread = g_dir_read_name(threads))) {
        gint64 more_ns = thread_waited_more(machine, thread);
        most_ns = MAX(most_ns, more_ns);
    }
    return most_ns / 1000;
}

char *
machine_whereabouts(const Machine *machine)
{
    if (!machine->instruction_known)
        return NULL;
    guint64 at = machine->instruction;
    const char *where = "in the firmware or a boot loader";
    if (at >= G_GUINT64_CONSTANT(0xffff800000000000))
        where = "in the kernel";
    else if (console_bytes(machine->console) > 0)
        where = "outside of the kernel";
    return g_strdup_printf("%s, at 0x%" G_GINT64_MODIFIER "x", where, at);
}

/* ---- begin and end
 * --------------------------------------------------------------------------------------
 */

GError *
machine_start_error(Machine *machine, const GError *reason)
{
    const GError *failure = machine_settle(machine);
    if (failure)
        return g_error_copy(failure);
    g_autofree char *said = console_tail(machine->errors, 4);
    return g_error_new(HB_ERROR, reason->code, "the emulator %s: %s%s%s; logs: %s",
                       machine->emulator, reason->message, *said ? "; it said: " : "",
                       said, machine->log_dir);
}

void
machine_watch(Machine *machine)
{
    machine->pages = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    qmp_set_event_handler(machine->qmp, on_event, machine);
    qmp_set_trace(machine->qmp, on_trace, machine);
    if (machine->interrupt)
        machine->interrupt_id = g_cancellable_connect(
            machine->interrupt, G_CALLBACK(on_interrupt), machine, NULL);
}

void
machine_unwatch(Machine *machine)
{
    g_clear_handle_id(&machine->sampler, g_source_remove);
    g_clear_handle_id(&machine->settling, g_source_remove);
    if (machine->interrupt)
        g_cancellable_disconnect(machine->interrupt, machine->interrupt_id);
    g_clear_object(&machine->interrupt);
    g_clear_pointer(&machine->pages, g_hash_table_unref);
}
