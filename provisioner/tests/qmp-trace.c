/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib/gstdio.h>
#include <string.h>

#include "error.h"
#include "json-line.h"
#include "qmp-trace.h"

static JsonObject *
parsed(const char *line)
{
    JsonObject *object = json_line_parse_object(line, strlen(line));
    assert_non_null(object);
    return object;
}

static void
a_line_says_when_who_and_which(void **state)
{
    g_autofree char *line = qmp_trace_line(1795348156000042, "pa\"ir/l1", 4711, TRUE,
                                           "{\"execute\":\"stop\",\"id\":7}");
    assert_string_equal(line, "{\"time\":1795348156.000042,\"host\":\"pa\\\"ir/l1\","
                              "\"emulator\":4711,\"direction\":\"to\",\"id\":7,"
                              "\"message\":{\"execute\":\"stop\",\"id\":7}}\n");
    g_autoptr(JsonObject) object = parsed(line);
    assert_int_equal(json_line_int(object, "id", 0), 7);
    g_autofree char *event =
        qmp_trace_line(1, "pair/l1", 0, FALSE, "{\"event\": \"STOP\"}");
    assert_non_null(strstr(event, "\"time\":0.000001,"));
    assert_non_null(
        strstr(event, "\"emulator\":null,\"direction\":\"from\",\"id\":null,"));
}

static void
secrets_are_hidden(void **state)
{
    static const char *const with[] = {
        "{\"execute\":\"object-add\",\"arguments\":{\"qom-type\":\"secret\",\"id\":\"s\","
        "\"data\":\"XYZZY\"},\"id\":1}",
        "{\"execute\":\"set_password\",\"arguments\":{\"protocol\":\"vnc\","
        "\"password\":\"XYZZY\"}}",
        "{\"execute\":\"qom-set\",\"arguments\":{\"path\":\"/objects/s\",\"property\":"
        "\"data\",\"value\":\"XYZZY\"}}",
        "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":"
        "\"set_password vnc XYZZY\"}}",
        "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":"
        "\"object_add secret,id=s,data=XYZZY\"}}",
        "{\"execute\":\"blockdev-add\",\"arguments\":{\"driver\":\"https\","
        "\"cookie\":\"XYZZY\",\"list\":[{\"password\":\"XYZZY\"}]}}",
    };
    for (gsize i = 0; i < G_N_ELEMENTS(with); i++) {
        g_autofree char *shown = qmp_trace_without_secrets(with[i]);
        assert_null(strstr(shown, "XYZZY"));
        assert_non_null(strstr(shown, "(secret)"));
        json_object_unref(parsed(shown));
    }
}

/* Names of secrets are none, and what has none stays as it came. */
static void
all_else_is_shown(void **state)
{
    static const char *const without[] = {
        "{\"return\": {\"password-secret\": \"sec0\"}, \"id\": 3}",
        "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/\",\"property\":\"type\"}}",
        "{\"event\": \"STOP\", \"data\": {}}",
        "no JSON, of which a secret password is no part",
    };
    static const char *const part[] = {"sec0", "\"type\"",
                                       "{\"event\": \"STOP\", \"data\": {}}",
                                       "no JSON, of which a secret password is no part"};
    for (gsize i = 0; i < G_N_ELEMENTS(without); i++) {
        g_autofree char *shown = qmp_trace_without_secrets(without[i]);
        assert_null(strstr(shown, "(secret)"));
        assert_non_null(strstr(shown, part[i]));
    }
}

static void
on_line(const char *line, gpointer user_data)
{
    g_string_append(user_data, line);
}

static void
it_goes_to_a_file_and_to_who_listens(void **state)
{
    g_autofree char *dir = g_dir_make_tmp("hostbed-test-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "trace", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GString) heard = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    assert_true(g_file_set_contents(path, "of old\n", -1, NULL));
    assert_false(qmp_trace_to_file("/nonexistent/file", TRUE, &error));
    assert_int_equal(error->code, HB_INFRASTRUCTURE);
    qmp_trace("pair", "l1", 1, TRUE, "{\"execute\":\"nobody-wants-this\"}");
    assert_true(qmp_trace_to_file(path, TRUE, NULL));
    qmp_trace_to(on_line, heard);
    qmp_trace("pair", "l1", 1, TRUE, "{\"execute\":\"stop\",\"id\":1}");
    qmp_trace_to(NULL, NULL);
    qmp_trace_call_lab("mine");
    qmp_trace("pair", "l1", 1, FALSE, "{\"return\":{},\"id\":1}");
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    assert_int_equal(g_strv_length(lines), 3);
    assert_non_null(strstr(lines[0], "\"host\":\"pair/l1\""));
    assert_non_null(strstr(lines[1], "\"host\":\"mine/l1\""));
    assert_non_null(strstr(heard->str, lines[0]));
    assert_null(strstr(heard->str, "mine"));
    g_unlink(path);
    g_rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_says_when_who_and_which),
        cmocka_unit_test(secrets_are_hidden),
        cmocka_unit_test(all_else_is_shown),
        cmocka_unit_test(it_goes_to_a_file_and_to_who_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
