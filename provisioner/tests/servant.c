/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "json-line.h"
#include "libexec.h"
#include "servant.h"

#define PROGRAM "played-servant"

static const ServantLimits limits = {.line_bytes = 1 << 20,
                                     .total_bytes = 1 << 20,
                                     .silence_ms = 60 * 1000,
                                     .end_ms = 60 * 1000};

typedef struct {
    GString *told; /* what events said */
    GCancellable *cancellable;
    pid_t group; /* of the servant that stays */
} Listener;

static void
on_event(JsonObject *event, gpointer user_data)
{
    Listener *listener = user_data;
    const char *kind = json_line_string(event, "event");
    if (!listener)
        return;
    g_string_append_printf(
        listener->told, "%s %" G_GINT64_FORMAT "/%" G_GINT64_FORMAT ";", kind,
        json_line_int(event, "done", 0), json_line_int(event, "total", 0));
    listener->group = (pid_t)json_line_int(event, "group", 0);
    if (listener->group)
        g_cancellable_cancel(listener->cancellable);
}

static JsonNode *
new_order(const char *what)
{
    JsonObject *order = json_object_new();
    json_object_set_string_member(order, "do", what);
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);
    json_node_take_object(node, order);
    return node;
}

static JsonObject *
ask(const char *what, const ServantLimits *within, Listener *listener, GError **error)
{
    g_autoptr(JsonNode) order = new_order(what);
    return servant_ask_within(within, PROGRAM, order, on_event, listener,
                              listener ? listener->cancellable : NULL, error);
}

static void
events_come_and_then_the_answer(void **state)
{
    g_autoptr(GError) error = NULL;
    Listener listener = {.told = g_string_new(NULL)};
    g_autoptr(JsonObject) answer = ask("steps", &limits, &listener, &error);
    assert_null(error);
    assert_non_null(answer);
    assert_string_equal(listener.told->str, "progress 1/3;progress 2/3;progress 3/3;");
    g_string_free(listener.told, TRUE);
}

static void
large_orders_arrive_whole(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_strnfill(5 << 20, 'a');
    g_autoptr(JsonNode) order = new_order("steps");
    json_object_set_string_member(json_node_get_object(order), "text", text);
    g_autoptr(JsonObject) answer = servant_ask(PROGRAM, order, NULL, NULL, NULL, &error);
    assert_null(error);
    assert_int_equal(json_line_int(answer, "length", 0), 5 << 20);
}

static void
orders_that_are_no_utf_8_are_told(void **state)
{
    g_autoptr(GError) error = NULL;
    assert_null(ask("caf\xe9", &limits, NULL, &error));
    assert_int_equal(hb_error_status(error), HB_USAGE);
    if (!strstr(error->message, "UTF-8"))
        fail_msg("%s", error->message);
}

static void
its_error_is_ours(void **state)
{
    static const struct {
        int said, ours;
    } statuses[] = {{HB_USAGE, HB_USAGE},
                    {HB_UNSUPPORTED, HB_UNSUPPORTED},
                    {HB_FAIL, HB_INFRASTRUCTURE},
                    {77, HB_INFRASTRUCTURE}};
    for (gsize i = 0; i < G_N_ELEMENTS(statuses); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(JsonNode) order = new_order("refuse");
        json_object_set_int_member(json_node_get_object(order), "status",
                                   statuses[i].said);
        assert_null(servant_ask(PROGRAM, order, NULL, NULL, NULL, &error));
        assert_string_equal(error->message, "it is refused ?]0;x?");
        assert_true(error->domain == HB_ERROR);
        assert_int_equal(error->code, statuses[i].ours);
    }
}

static void
what_its_libraries_say_is_told_too(void **state)
{
    g_autoptr(GError) error = NULL;
    assert_null(ask("moan", &limits, NULL, &error));
    assert_string_equal(error->message, "it is refused ?]0;x? (it was heard saying: "
                                        "a library's last words?[31m)");
}

static void
who_misbehaves_is_told_in_a_sentence(void **state)
{
    static const struct {
        const char *what, *sentence;
    } cases[] = {
        {"garbage", PROGRAM " said what is no answer: 'garbage ?[31m'"},
        {"array", PROGRAM " said what is no answer: '[1, 2]'"},
        {"nest", PROGRAM " said what is no answer: '[[[[*"},
        {"endless line", PROGRAM " said a line of more than 1048576 bytes"},
        {"endless events", PROGRAM " does not stop talking"},
        {"crash", PROGRAM " was ended by signal 9 (*)"},
        {"fail", PROGRAM " failed with status 5: the reason"},
        {"leave", PROGRAM " ended without an answer"},
        {"answer and crash", PROGRAM " was ended by signal 6 (*)"},
        {"answer twice", PROGRAM " says more after its answer"},
    };
    /* A line of the nested one is longer than the others may be. */
    ServantLimits wide = limits;
    wide.total_bytes = wide.line_bytes = 4 << 20;
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        gboolean is_long = strcmp(cases[i].what, "nest") == 0;
        assert_null(ask(cases[i].what, is_long ? &wide : &limits, NULL, &error));
        if (!g_pattern_match_simple(cases[i].sentence, error->message))
            fail_msg("%s: %s", cases[i].what, error->message);
        assert_int_equal(error->code, HB_INFRASTRUCTURE);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    }
}

static void
many_complaints_hold_nobody_up(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) answer = ask("flood of errors", &limits, NULL, &error);
    assert_null(error);
    assert_non_null(answer);
}

static void
who_hangs_is_ended(void **state)
{
    ServantLimits hasty = limits;
    g_autoptr(GError) silent = NULL;
    hasty.silence_ms = 300;
    assert_null(ask("hang", &hasty, NULL, &silent));
    assert_true(g_str_has_prefix(silent->message, PROGRAM " has said nothing for "));

    g_autoptr(GError) endless = NULL;
    hasty = limits;
    hasty.end_ms = 300;
    assert_null(ask("close and hang", &hasty, NULL, &endless));
    assert_string_equal(endless->message, PROGRAM " does not end");
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void
assert_gone(pid_t group)
{
    for (int i = 0; i < 6000 && kill(-group, 0) == 0; i++)
        g_usleep(10000);
    assert_int_not_equal(kill(-group, 0), 0);
}

static void
who_is_not_wanted_any_more_is_ended_with_all_that_it_started(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    Listener listener = {.told = g_string_new(NULL), .cancellable = cancellable};
    ServantLimits hasty = limits;
    hasty.end_ms = 300; /* it does not care for SIGTERM */
    assert_null(ask("stay", &hasty, &listener, &error));
    assert_int_equal(error->code, HB_INTERRUPTED);
    assert_string_equal(error->message, PROGRAM " was interrupted");
    assert_true(listener.group > 0);
    assert_gone(listener.group);
    g_string_free(listener.told, TRUE);
}

static void
sigterm_is_enough_for_most(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    Listener listener = {.told = g_string_new(NULL), .cancellable = cancellable};
    g_cancellable_cancel(cancellable);
    assert_null(ask("hang", &limits, &listener, &error)); /* or it takes a minute */
    assert_int_equal(error->code, HB_INTERRUPTED);
    g_string_free(listener.told, TRUE);
}

static void
pass_on_group(JsonObject *event, gpointer user_data)
{
    pid_t group = (pid_t)json_line_int(event, "group", 0);
    int *fd = user_data;
    if (write(*fd, &group, sizeof group) != sizeof group)
        _exit(1);
}

static void
it_ends_with_us(void **state)
{
    int fds[2];
    pid_t group = 0;
    assert_int_equal(pipe(fds), 0);
    pid_t us = fork();
    if (us == 0) {
        g_autoptr(JsonNode) order = new_order("stay");
        servant_ask(PROGRAM, order, pass_on_group, &fds[1], NULL, NULL);
        _exit(0);
    }
    assert_int_equal(read(fds[0], &group, sizeof group), sizeof group);
    kill(us, SIGKILL);
    assert_int_equal(waitpid(us, NULL, 0), us);
    assert_gone(group);
    close(fds[0]);
    close(fds[1]);
}

static void
what_is_not_there_is_said_how_to_get(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) order = new_order("steps");
    assert_null(servant_ask("hostbed-nothing", order, NULL, NULL, NULL, &error));
    assert_int_equal(error->code, HB_INFRASTRUCTURE);
    assert_non_null(strstr(error->message, "hostbed-nothing"));
    assert_non_null(strstr(error->message, "./quickstart images"));
}

static void
programs_are_found_in_the_first_folder_that_has_them(void **state)
{
    const char *build_dir = g_getenv("HOSTBED_BUILD_DIR");
    g_autofree char *both =
        g_strdup_printf("/nonexistent:%s/provisioner/tests", build_dir);
    g_setenv("HOSTBED_LIBEXEC_DIR", both, TRUE);
    g_autofree char *found = libexec_path(PROGRAM), *absent = libexec_path("absent");
    g_autofree char *expected =
        g_build_filename(build_dir, "provisioner/tests", PROGRAM, NULL);
    assert_string_equal(found, expected);
    assert_true(g_str_has_prefix(absent, build_dir));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_are_found_in_the_first_folder_that_has_them),
        cmocka_unit_test(events_come_and_then_the_answer),
        cmocka_unit_test(large_orders_arrive_whole),
        cmocka_unit_test(orders_that_are_no_utf_8_are_told),
        cmocka_unit_test(its_error_is_ours),
        cmocka_unit_test(what_its_libraries_say_is_told_too),
        cmocka_unit_test(who_misbehaves_is_told_in_a_sentence),
        cmocka_unit_test(many_complaints_hold_nobody_up),
        cmocka_unit_test(who_hangs_is_ended),
        cmocka_unit_test(who_is_not_wanted_any_more_is_ended_with_all_that_it_started),
        cmocka_unit_test(sigterm_is_enough_for_most),
        cmocka_unit_test(it_ends_with_us),
        cmocka_unit_test(what_is_not_there_is_said_how_to_get),
    };
    return cmocka_run_group_tests_name("servant", tests, NULL, NULL);
}
