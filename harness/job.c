/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "job.h"

#include <errno.h>
#include <gio/gunixinputstream.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "json-line.h"
#include "tail.h"

#define STDERR_TAIL 2048

struct Job {
    Report *report;
    const JobWatch *watch;
    gpointer user_data;
    GSubprocess *process;
    int fd;
    guint source, stderr_source;
    GByteArray *input;
    GString *errors; /* the end of its standard error */
    gboolean pass_stderr, told_end, broken;
};

static void
replace_string(char **where, JsonObject *object, const char *member)
{
    const char *value = json_line_string(object, member);
    if (!value)
        return;
    g_free(*where);
    *where = *value ? g_strdup(value) : NULL;
}

static void
take_results(Job *job, JsonObject *object)
{
    JsonArray *array = json_line_array(object, "results");
    guint first = job->report->results->len;
    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonObject *element = json_line_element(array, i);
        CaseResult *result = element ? report_case_from_json(element, NULL) : NULL;
        if (!result) {
            job->broken = TRUE;
            continue;
        }
        result->order = (guint)json_line_int(element, "order", 0);
        g_ptr_array_add(job->report->results, result);
    }
    job->watch->results(job, first, job->user_data);
}

static void
take_places(Job *job, JsonObject *object)
{
    const JobPlaces places = {
        .runs = (guint)json_object_get_int_member_with_default(object, "runs", 0),
        .may = (guint)json_object_get_int_member_with_default(object, "may", 0),
        .could = (guint)json_object_get_int_member_with_default(object, "could", 0),
        .template_bytes =
            json_object_get_int_member_with_default(object, "template_bytes", 0),
    };
    if (job->watch->places)
        job->watch->places(job, &places, job->user_data);
}

static void
take_line(const char *line, gpointer user_data)
{
    Job *job = user_data;
    g_autoptr(JsonNode) node = json_from_string(line, NULL);
    JsonObject *object = json_line_as_object(node);
    const char *type = object ? json_line_string(object, "type") : NULL;
    if (g_strcmp0(type, "results") == 0) {
        take_results(job, object);
    } else if (g_strcmp0(type, "step") == 0) {
        const char *what = json_line_string(object, "what");
        job->watch->step(job, what ? what : "", job->user_data);
    } else if (g_strcmp0(type, "facts") == 0) {
        replace_string(&job->report->emulator, object, "emulator");
        replace_string(&job->report->accel, object, "accel");
        replace_string(&job->report->kernel, object, "kernel");
        replace_string(&job->report->log_dir, object, "log_dir");
        replace_string(&job->report->cold, object, "cold");
        replace_string(&job->report->template, object, "template");
        if (job->watch->facts)
            job->watch->facts(job, job->user_data);
    } else if (g_strcmp0(type, "places") == 0) {
        take_places(job, object);
    } else if (g_strcmp0(type, "done") == 0) {
        if (job->watch->done)
            job->watch->done(job, job->user_data);
    } else if (g_strcmp0(type, "end") == 0) {
        job->told_end = TRUE;
        job->report->status = (HbStatus)json_object_get_int_member_with_default(
            object, "status", HB_INFRASTRUCTURE);
    } else {
        job->broken = TRUE;
    }
}

static gboolean
on_readable(int fd, GIOCondition condition, gpointer user_data)
{
    Job *job = user_data;
    JsonLines input = json_line_read(fd, job->input, JOB_LINE_MAX, take_line, job);
    if (input == JSON_LINES_TOO_LONG) {
        job->broken = TRUE;
        g_byte_array_set_size(job->input, 0);
    }
    if (input != JSON_LINES_ENDED)
        return G_SOURCE_CONTINUE;
    job->source = 0;
    return G_SOURCE_REMOVE;
}

static gboolean
read_stderr(Job *job, int fd)
{
    char buffer[4096];
    ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got <= 0)
        return got < 0 && (errno == EINTR || errno == EAGAIN);
    if (job->pass_stderr && write(STDERR_FILENO, buffer, (gsize)got) < 0)
        job->pass_stderr = FALSE;
    tail_add(job->errors, buffer, (gsize)got, STDERR_TAIL);
    return TRUE;
}

static gboolean
on_stderr(int fd, GIOCondition condition, gpointer user_data)
{
    Job *job = user_data;
    if (read_stderr(job, fd))
        return G_SOURCE_CONTINUE;
    job->stderr_source = 0;
    return G_SOURCE_REMOVE;
}

/* The process ended without its last line, or wrote what is no line: a result says so. */
static void
tell_crash(Job *job)
{
    CaseResult *result = case_result_new("-", "host", "worker", OUTCOME_INFRASTRUCTURE);
    if (g_subprocess_get_if_signaled(job->process))
        case_result_set_message(
            result, "the process that ran this host was ended by signal %d (%s)",
            g_subprocess_get_term_sig(job->process),
            g_strsignal(g_subprocess_get_term_sig(job->process)));
    else
        case_result_set_message(
            result,
            "the process that ran this host ended with status %d before "
            "it was done",
            g_subprocess_get_exit_status(job->process));
    if (job->errors->len > 0)
        case_result_set_output(result, job->errors->str, (gssize)job->errors->len);
    guint first = job->report->results->len;
    g_ptr_array_add(job->report->results, result);
    job->watch->results(job, first, job->user_data);
}

static void
on_process_end(GObject *process, GAsyncResult *result, gpointer user_data)
{
    Job *job = user_data;
    g_subprocess_wait_finish(G_SUBPROCESS(process), result, NULL);
    /* What it wrote last is still in the pipes; both are non-blocking, and a child of it
     * that holds one open does not hold us. */
    while ((job->source || job->stderr_source) && g_main_context_iteration(NULL, FALSE))
        ;
    if (!job->told_end || job->broken)
        tell_crash(job);
    g_clear_handle_id(&job->source, g_source_remove);
    g_clear_handle_id(&job->stderr_source, g_source_remove);
    job->report->complete = job->report->status != HB_INTERRUPTED;
    job->watch->ended(job, job->user_data);
}

typedef struct {
    pid_t parent;
    int signal_number;
} Tie;

/* In the child, before exec: our end is its end. */
static void
tie_to_parent(gpointer user_data)
{
    const Tie *tie = user_data;
    /* A group of its own: Ctrl-C at the terminal is ours to hand on, once. */
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, tie->signal_number);
    if (getppid() != tie->parent)
        _exit(HB_INTERRUPTED);
}

/* Takes FD. */
static GSubprocess *
spawn(const char *const *argv, int fd, const GArray *fds, GError **error)
{
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDERR_PIPE);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_strv_builder_addv(builder, (const char **)argv);
    g_strv_builder_add(builder, "--worker-fd=3");
    g_auto(GStrv) all = g_strv_builder_end(builder);
    g_subprocess_launcher_take_fd(launcher, fd, 3);
    for (guint i = 0; fds && i < fds->len; i++)
        g_subprocess_launcher_take_fd(
            launcher, fcntl(g_array_index(fds, int, i), F_DUPFD_CLOEXEC, 3),
            JOB_FIRST_FD + (int)i);
    g_subprocess_launcher_set_stdin_file_path(launcher, "/dev/null");
    g_subprocess_launcher_set_stdout_file_path(launcher, "/dev/null");
    /* Nobody but us would end one that hangs in a unit. */
    Tie tie = {.parent = getpid(), .signal_number = fds ? SIGKILL : SIGTERM};
    g_subprocess_launcher_set_child_setup(launcher, tie_to_parent, &tie, NULL);
    return g_subprocess_launcher_spawnv(launcher, (const char *const *)all, error);
}

Job *
job_start(const char *const *argv, const GArray *fds, Report *report,
          gboolean pass_stderr, const JobWatch *watch, gpointer user_data, GError **error)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot make a channel: %s",
                    g_strerror(errno));
        return NULL;
    }
    GSubprocess *process = spawn(argv, ends[1], fds, error);
    if (!process) {
        close(ends[0]);
        return NULL;
    }
    Job *job = g_new0(Job, 1);
    job->report = report;
    job->watch = watch;
    job->user_data = user_data;
    job->process = process;
    job->pass_stderr = pass_stderr;
    job->input = g_byte_array_new();
    job->errors = g_string_new(NULL);
    job->fd = ends[0];
    g_unix_set_fd_nonblocking(job->fd, TRUE, NULL);
    job->source = g_unix_fd_add(job->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, job);
    int errors = g_unix_input_stream_get_fd(
        G_UNIX_INPUT_STREAM(g_subprocess_get_stderr_pipe(process)));
    g_unix_set_fd_nonblocking(errors, TRUE, NULL);
    job->stderr_source =
        g_unix_fd_add(errors, G_IO_IN | G_IO_HUP | G_IO_ERR, on_stderr, job);
    g_subprocess_wait_async(process, NULL, on_process_end, job);
    return job;
}

void
job_free(Job *job)
{
    if (!job)
        return;
    close(job->fd);
    g_object_unref(job->process);
    g_byte_array_unref(job->input);
    g_string_free(job->errors, TRUE);
    g_free(job);
}

Report *
job_report(const Job *job)
{
    return job->report;
}

gboolean
job_is_broken(const Job *job)
{
    return job->broken;
}

void
job_order(Job *job, JsonObject *order)
{
    g_autofree char *line = json_line(order);
    if (send(job->fd, line, strlen(line), MSG_NOSIGNAL) < 0)
        g_debug("a process does not hear: %s", g_strerror(errno));
}

void
job_dismiss(Job *job)
{
    shutdown(job->fd, SHUT_WR);
}

void
job_signal(Job *job, int signal_number)
{
    g_subprocess_send_signal(job->process, signal_number);
}
