/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "domain-qmp.h"
#include "error.h"
#include "qmp.h"

/* Commands go without the id and come back with it, whatever it is. */
static void
ids_are_kept_from_libvirt(void **state)
{
    static const char *const ids[] = {"7", "\"seven\"", "{\"a\":[1]}"};
    for (gsize i = 0; i < G_N_ELEMENTS(ids); i++) {
        g_autoptr(JsonNode) id = NULL;
        g_autofree char *reply = NULL;
        g_autofree char *line = g_strdup_printf(
            "{\"execute\":\"stop\",\"arguments\":{\"x\":1},\"id\":%s}", ids[i]);
        g_autofree char *command = domain_qmp_command(line, &id, &reply);
        assert_null(reply);
        assert_string_equal(command, "{\"execute\":\"stop\",\"arguments\":{\"x\":1}}\n");
        g_autofree char *answer =
            domain_qmp_reply("{\"return\":{},\"id\":\"libvirt-19\"}", id);
        g_autofree char *asked = g_strdup_printf("{\"return\":{},\"id\":%s}\n", ids[i]);
        assert_string_equal(answer, asked);
    }
}

static void
what_has_no_id_gets_none(void **state)
{
    g_autoptr(JsonNode) id = NULL;
    g_autofree char *reply = NULL;
    g_autofree char *command = domain_qmp_command("{\"execute\":\"stop\"}", &id, &reply);
    assert_non_null(command);
    assert_null(id);
    g_autofree char *answer = domain_qmp_reply("{\"return\":1,\"id\":\"libvirt-2\"}", id);
    assert_string_equal(answer, "{\"return\":1}\n");
}

static void
refusals_keep_their_words(void **state)
{
    g_autoptr(JsonNode) id = json_node_init_int(json_node_alloc(), 3);
    g_autofree char *passed = domain_qmp_reply(
        "{\"id\":\"libvirt-1\",\"error\":{\"class\":\"C\",\"desc\":\"no \\\"x\\\"\"}}",
        id);
    assert_string_equal(
        passed, "{\"error\":{\"class\":\"C\",\"desc\":\"no \\\"x\\\"\"},\"id\":3}\n");
    g_autofree char *own = domain_qmp_refusal("not \"there\"", id);
    assert_string_equal(own, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"not "
                             "\\\"there\\\"\"},\"id\":3}\n");
}

static void
nonsense_is_refused(void **state)
{
    static const char *const lines[] = {"", "stop", "[]", "{\"execute\":", "\"stop\""};
    for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autoptr(JsonNode) id = NULL;
        g_autofree char *reply = NULL;
        assert_null(domain_qmp_command(lines[i], &id, &reply));
        assert_non_null(strstr(reply, "no JSON object"));
        g_autofree char *answer = domain_qmp_reply(lines[i], NULL);
        assert_non_null(strstr(answer, "\"error\""));
    }
}

static void
write_line(int fd, const char *line)
{
    assert_int_equal(write(fd, line, strlen(line)), (ssize_t)strlen(line));
}

static void
take_event(const char *event, JsonObject *data, gpointer user_data)
{
    if (event)
        g_string_append_printf(user_data, "%s %s;", event,
                               data ? json_object_get_string_member(data, "reason") : "");
}

static void
devices_have_libvirts_names(void **state)
{
    static const char *const lines[][2] = {
        {"{\"execute\":\"device_add\",\"arguments\":{\"id\":\"a.b_c-d\",\"bus\":\"x.y\"}"
         "}",
         "{\"execute\":\"device_add\",\"arguments\":{\"id\":\"ua-a_b-uc--d\",\"bus\":"
         "\"ua-x_"
         "y\"}}\n"},
        {"{\"execute\":\"device_add\",\"arguments\":{\"bus\":\"pcie.0\"}}",
         "{\"execute\":\"device_add\",\"arguments\":{\"bus\":\"pcie.0\"}}\n"},
        {"{\"execute\":\"device_del\",\"arguments\":{\"id\":\"n.0\"}}",
         "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"ua-n_0\"}}\n"},
        {"{\"execute\":\"qom-list\",\"arguments\":{\"path\":\"/machine/peripheral/n.0/"
         "x.y\"}}",
         "{\"execute\":\"qom-list\",\"arguments\":{\"path\":\"/machine/peripheral/ua-n_0/"
         "x.y\"}}\n"},
        {"{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":"
         "\"qemu-io -d /machine/peripheral/n.0/x \\\"break read n.0\\\"\"}}",
         "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":"
         "\"qemu-io -d /machine/peripheral/ua-n_0/x \\\"break read n.0\\\"\"}}\n"},
        {"{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine/n.0\"}}",
         "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine/n.0\"}}\n"},
        {"{\"execute\":\"qom-list\",\"arguments\":{\"path\":\"/machine/peripheral/\"}}",
         "{\"execute\":\"qom-list\",\"arguments\":{\"path\":\"/machine/peripheral/"
         "\"}}\n"},
        {"{\"execute\":\"netdev_del\",\"arguments\":{\"id\":\"n.0\"}}",
         "{\"execute\":\"netdev_del\",\"arguments\":{\"id\":\"n.0\"}}\n"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autoptr(JsonNode) id = NULL;
        g_autofree char *reply = NULL;
        g_autofree char *command = domain_qmp_command(lines[i][0], &id, &reply);
        assert_string_equal(command, lines[i][1]);
    }
    g_autofree char *ours =
        domain_qmp_event("DEVICE_DELETED", 1, 2, "{\"device\":\"ua-a_b-uc--d\"}");
    assert_non_null(strstr(ours, "\"device\":\"a.b_c-d\""));
    g_autofree char *inner = domain_qmp_event(
        "ACPI_DEVICE_OST", 1, 2, "{\"info\":{\"device\":\"ua-a_b\",\"status\":0}}");
    assert_non_null(strstr(inner, "\"device\":\"a.b\""));
    g_autofree char *other = domain_qmp_event("X", 1, 2, "{\"device\":\"net0\"}");
    assert_non_null(strstr(other, "\"device\":\"net0\""));
}

static gboolean
answer(int fd, GIOCondition condition, gpointer user_data)
{
    char asked[256] = "";
    g_autoptr(JsonNode) id = NULL;
    g_autofree char *reply = NULL;
    assert_true(read(fd, asked, sizeof asked - 1) > 0);
    assert_null(domain_qmp_command(asked, &id, &reply));
    write_line(fd, reply);
    return G_SOURCE_REMOVE;
}

/* hostbed's own client meets what stands for an emulator. */
static void
a_client_takes_it_for_an_emulator(void **state)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    g_autoptr(Qmp) qmp = qmp_new(pair[0]);
    g_autoptr(GString) events = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    qmp_set_event_handler(qmp, take_event, events);
    g_autofree char *greeting = domain_qmp_greeting();
    g_autofree char *with = domain_qmp_event("SHUTDOWN", 12, 34, "{\"reason\":\"x\"}");
    g_autofree char *without = domain_qmp_event("STOP", 12, 34, NULL);
    write_line(pair[1], greeting);
    write_line(pair[1], with);
    write_line(pair[1], without);
    g_unix_fd_add(pair[1], G_IO_IN, answer, NULL);
    assert_true(qmp_connect(qmp, 10000, &error));
    assert_string_equal(events->str, "SHUTDOWN x;STOP ;");
    close(pair[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_kept_from_libvirt),
        cmocka_unit_test(what_has_no_id_gets_none),
        cmocka_unit_test(refusals_keep_their_words),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(devices_have_libvirts_names),
        cmocka_unit_test(a_client_takes_it_for_an_emulator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
