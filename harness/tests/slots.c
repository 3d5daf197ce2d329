/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A suite that asks for memory, and an emulator that the test plays: what is asked of the
 * one and answered to the other.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "memory-wire.h"
#include "plan-fixture.h"
#include "slots.h"

#define MIB ((gint64)1024 * 1024)

/* The emulator keeps what it is asked until the test answers. */
typedef struct {
    Fixture *fixture;
    Plan *plan;
    Requests *requests;
    GString *asked; /* since the last look: "COMMAND ID\n" … */
    QmpReply reply;
    gpointer reply_data;
    QmpEvent handler;
    gpointer handler_data;
} Scene;

static void
ask(void *host, const char *command, JsonObject *arguments, QmpReply reply,
    gpointer user_data)
{
    Scene *scene = host;
    g_string_append_printf(scene->asked, "%s %s\n", command,
                           json_object_get_string_member(arguments, "id"));
    scene->reply = reply;
    scene->reply_data = user_data;
    json_object_unref(arguments);
}

static void
listen(void *host, QmpEvent handler, gpointer user_data)
{
    Scene *scene = host;
    scene->handler = handler;
    scene->handler_data = user_data;
}

static const SessionDriver driver = {.ask = ask, .listen = listen};

/* Two cells, and slots for both. */
static int
setup(void **state)
{
    Scene *scene = g_new0(Scene, 1);
    void *fixture = NULL;
    fixture_setup(&fixture);
    scene->fixture = fixture;
    scene->asked = g_string_new(NULL);
    LabHost *host = scene->fixture->host;
    fixture_cell(host, 0, 1, 512 * MIB);
    fixture_cell(host, 1, 1, 0);
    host->memory_slots = 3;
    host->max_memory_bytes = 2048 * MIB;
    scene->plan = fixture_plan(scene->fixture->lab, scene->fixture->emulator);
    scene->requests = slots_requests(scene->plan, &driver, scene);
    *state = scene;
    return 0;
}

static int
teardown(void **state)
{
    Scene *scene = *state;
    void *fixture = scene->fixture;
    requests_free(scene->requests);
    plan_free(scene->plan);
    fixture_teardown(&fixture);
    g_string_free(scene->asked, TRUE);
    g_free(scene);
    return 0;
}

static void
say(const Scene *scene, const char *text)
{
    requests_hear(scene->requests, (const guint8 *)text, strlen(text));
}

static void
asked(Scene *scene, const char *commands)
{
    assert_string_equal(scene->asked->str, commands);
    g_string_truncate(scene->asked, 0);
}

static void
reply(const Scene *scene, const char *refusal)
{
    g_autoptr(GError) error =
        refusal ? g_error_new_literal(HB_ERROR, HB_UNSUPPORTED, refusal) : NULL;
    scene->reply(NULL, error, scene->reply_data);
}

static void
happens(const Scene *scene, const char *event, const char *data)
{
    g_autoptr(JsonNode) node = json_from_string(data, NULL);
    scene->handler(event, json_node_get_object(node), scene->handler_data);
}

/* What the suite is told, "" for nothing. */
static void
answered(const Scene *scene, const char *text)
{
    char buffer[ASK_LINE_MAX] = "";
    if (*text)
        assert_int_equal(read(requests_fd(scene->requests), buffer, sizeof buffer - 1),
                         strlen(text));
    assert_string_equal(buffer, text);
}

#define PLUG "# hostbed: plug hostbed-plugged-0\n"
#define UNPLUG "# hostbed: unplug hostbed-plugged-0\n"
#define COMES                                                                            \
    "object-add hostbed-memory-hostbed-plugged-0\ndevice_add hostbed-plugged-0\n"
#define CLEARS "object-del hostbed-memory-hostbed-plugged-0\n"

static void
put_in(Scene *scene)
{
    say(scene, PLUG);
    asked(scene, COMES);
    reply(scene, NULL);
    answered(scene, "");
    reply(scene, NULL);
    answered(scene, "hostbed-plugged-0 there\n");
}

static void
is_deleted(const Scene *scene)
{
    happens(scene, "DEVICE_DELETED", "{\"device\": \"hostbed-plugged-0\"}");
}

/* Each node has one, of the least that Linux takes. */
static void
nodes_get_a_module_each(void **state)
{
    const Scene *scene = *state;
    g_autofree char *text = slots_environment(scene->plan);
    assert_string_equal(text,
                        "HOSTBED_MEMORY=hostbed-plugged-0=0:128 hostbed-plugged-1=1:128");
}

static void
a_host_that_was_not_touched_is_as_it_was(void **state)
{
    const Scene *scene = *state;
    say(scene, UNPLUG);
    assert_true(requests_settle(scene->requests));
}

static void
in_and_out(void **state)
{
    Scene *scene = *state;
    put_in(scene);
    say(scene, UNPLUG);
    asked(scene, "device_del hostbed-plugged-0\n");
    reply(scene, NULL);
    happens(scene, "ACPI_DEVICE_OST",
            "{\"info\": {\"device\": \"hostbed-plugged-0\", \"source\": 3, \"status\": "
            "132}}");
    asked(scene, "");
    is_deleted(scene);
    asked(scene, CLEARS);
    reply(scene, NULL);
    answered(scene, "hostbed-plugged-0 gone\n");
    put_in(scene);
    assert_false(requests_settle(scene->requests));
}

static void
the_event_may_come_before_its_answer(void **state)
{
    Scene *scene = *state;
    put_in(scene);
    say(scene, UNPLUG);
    is_deleted(scene);
    reply(scene, NULL);
    reply(scene, NULL);
    answered(scene, "hostbed-plugged-0 gone\n");
}

/* What the host gives back by itself is no answer, and it can be plugged again. */
static void
nobody_asked_for_it(void **state)
{
    Scene *scene = *state;
    put_in(scene);
    g_string_truncate(scene->asked, 0);
    is_deleted(scene);
    asked(scene, CLEARS);
    reply(scene, NULL);
    put_in(scene);
}

static void
what_the_emulator_or_the_host_refuses_is_told(void **state)
{
    Scene *scene = *state;
    say(scene, PLUG);
    asked(scene, COMES);
    reply(scene, NULL);
    reply(scene, "no room");
    asked(scene, CLEARS);
    answered(scene, "");
    reply(scene, NULL);
    answered(scene, "hostbed-plugged-0 refused no room\n");
    put_in(scene);
    say(scene, UNPLUG);
    reply(scene, NULL);
    happens(scene, "ACPI_DEVICE_OST",
            "{\"info\": {\"device\": \"hostbed-plugged-0\", \"source\": 3, \"status\": "
            "130}}");
    answered(scene, "hostbed-plugged-0 refused something in it cannot be moved away\n");
    say(scene, UNPLUG);
    reply(scene, "not now");
    answered(scene, "hostbed-plugged-0 refused not now\n");
    say(scene, UNPLUG);
    is_deleted(scene);
    reply(scene, NULL);
    reply(scene, NULL);
    answered(scene, "hostbed-plugged-0 gone\n");
}

static void
nothing_else_can_be_asked(void **state)
{
    Scene *scene = *state;
    say(scene, "# hostbed: plug memory0\n# hostbed: plug\n# hostbed: eject "
               "hostbed-plugged-1\n" UNPLUG);
    asked(scene, "");
    answered(scene, "? refused no memory of ours was named\n"
                    "? refused no memory of ours was named\n"
                    "hostbed-plugged-1 refused one can plug and unplug it\n"
                    "hostbed-plugged-0 refused it is not there, or asked for already\n");
    say(scene, PLUG PLUG);
    asked(scene, COMES);
    answered(scene, "hostbed-plugged-0 refused it is there already\n");
    happens(scene, "DEVICE_DELETED", "{\"device\": 1}");
    happens(scene, "DEVICE_DELETED", "{\"device\": \"nic\"}");
    happens(scene, "ACPI_DEVICE_OST", "{}");
    asked(scene, "");
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(nodes_get_a_module_each),
        CASE(a_host_that_was_not_touched_is_as_it_was),
        CASE(in_and_out),
        CASE(the_event_may_come_before_its_answer),
        CASE(nobody_asked_for_it),
        CASE(what_the_emulator_or_the_host_refuses_is_told),
        CASE(nothing_else_can_be_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
