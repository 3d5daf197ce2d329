/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wrap.h"

#include <string.h>

#include "error.h"
#include "image.h"
#include "printable.h"
#include "wire.h"

/* The agent, as a command of its host. */
#define AGENT IMAGE_AGENT_PATH
#define ANSWER_MAX (256 * 1024)
#define REASON_MAX 300
/* A driver lets go in less than a second; this is for emulation on a busy machine. */
#define BIND_MS 120000
/* A full box at ten megabytes a second, which emulation exceeds. */
#define COLLECT_MS 120000

typedef struct {
    GString *streams[2];
} Answer;

static void
answer_clear(Answer *answer)
{
    for (int i = 0; i < 2; i++)
        if (answer->streams[i])
            g_string_free(answer->streams[i], TRUE);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Answer, answer_clear)

static void
on_output(int stream, const guint8 *data, gsize length, gpointer user_data)
{
    GString *text = ((Answer *)user_data)->streams[stream - 1];
    g_string_append_len(text, (const char *)data,
                        (gssize)MIN(length, ANSWER_MAX - text->len));
}

/* Runs the agent with ARGUMENTS, which must end well. Its standard output, owned by the
 * caller. */
static char *
ask_agent(const SessionDriver *driver, void *host, const char *const *argv,
          GError **error)
{
    g_auto(Answer) answer = {{g_string_new(NULL), g_string_new(NULL)}};
    GuestExit end;
    const GuestCommand command = {
        .argv = argv,
        .stdin_fd = -1,
        .stdout_fd = -1,
        .stderr_fd = -1,
        .output = on_output,
        .user_data = &answer,
        .timeout_ms = BIND_MS,
    };
    if (!driver->run(host, &command, &end, error))
        return NULL;
    if (end.status == 0 && end.signal == 0 && !end.timed_out)
        return g_string_free(g_steal_pointer(&answer.streams[0]), FALSE);
    g_strchomp(answer.streams[1]->str);
    const char *said = answer.streams[1]->str;
    g_autofree char *reason = printable(said, strlen(said), REASON_MAX);
    if (end.timed_out)
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "no answer within %d s",
                    BIND_MS / 1000);
    else
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "%s",
                    *reason ? reason : "the agent gave no reason");
    return NULL;
}

gboolean
wrap_bind(const SessionDriver *driver, void *host, Bindings *bindings, GError **error)
{
    if (bindings->asked == 0)
        return TRUE;
    g_auto(GStrv) addresses = bindings_addresses(bindings);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_strv_builder_add_many(builder, AGENT, "--bind", NULL);
    g_strv_builder_addv(builder, (const char **)addresses);
    g_auto(GStrv) argv = g_strv_builder_end(builder);
    g_autoptr(GError) reason = NULL;
    g_autofree char *groups = ask_agent(driver, host, (const char *const *)argv, &reason);
    if (!groups || !bindings_take_groups(bindings, groups, &reason)) {
        if (reason->code == HB_INFRASTRUCTURE)
            g_prefix_error(&reason, "functions cannot be bound to vfio-pci: ");
        g_propagate_error(error, g_steal_pointer(&reason));
        return FALSE;
    }
    g_autofree char *list = bindings_list(bindings);
    g_autoptr(GBytes) bytes = g_bytes_new(list, strlen(list));
    return driver->put(host, WRAP_FUNCTIONS_PATH, 0444, bytes, error);
}

/* ---- results
 * ------------------------------------------------------------------------------------------
 */

gboolean
wrap_prepare_out(const SessionDriver *driver, void *host, GError **error)
{
    const char *const argv[] = {AGENT, "--out", HB_OUT_FOLDER_PATH, NULL};
    g_autofree char *answer = ask_agent(driver, host, argv, error);
    if (!answer)
        g_prefix_error(error, "the host has no folder for results: ");
    return answer != NULL;
}

static void
on_record(int stream, const guint8 *data, gsize length, gpointer user_data)
{
    if (stream == 1)
        outbox_feed(user_data, data, length);
}

gboolean
wrap_collect_out(const SessionDriver *driver, void *host, Outbox *outbox, GError **error)
{
    const char *const argv[] = {AGENT, "--pack", HB_OUT_FOLDER_PATH, NULL};
    GuestExit end;
    const GuestCommand command = {
        .argv = argv,
        .stdin_fd = -1,
        .stdout_fd = -1,
        .stderr_fd = -1,
        .output = on_record,
        .user_data = outbox,
        .timeout_ms = COLLECT_MS,
    };
    if (!driver->run(host, &command, &end, error)) {
        g_prefix_error(error, "the results are lost: ");
        return FALSE;
    }
    return outbox_finish(outbox, error);
}

GStrv
wrap_environment(const Bindings *bindings, gboolean has_out, const char *const *extra)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_auto(GStrv) own = bindings_environment(bindings);
    g_strv_builder_addv(builder, (const char **)own);
    if (bindings->asked > 0)
        g_strv_builder_add(builder, "HOSTBED_FUNCTIONS=" WRAP_FUNCTIONS_PATH);
    if (has_out)
        g_strv_builder_add(builder, "HOSTBED_OUT=" HB_OUT_FOLDER_PATH);
    if (extra)
        g_strv_builder_addv(builder, (const char **)extra);
    return g_strv_builder_end(builder);
}
