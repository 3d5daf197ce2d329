/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A suite that asks, and an emulator that the test plays: what is asked of the one and
 * answered to the other.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "plan-fixture.h"
#include "plug-wire.h"
#include "plug.h"

/* The emulator keeps the last command until the test answers it. */
typedef struct {
    Fixture *fixture;
    Plan *plan;
    Requests *requests;
    char *command, *id; /* of the last command, or NULL */
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
    g_free(scene->command);
    g_free(scene->id);
    scene->command = g_strdup(command);
    scene->id = g_strdup(json_object_get_string_member(arguments, "id"));
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
static const SessionDriver no_driver = {0};

/* Two empty ports, which lead to 0000:41:00.0 and 0000:42:00.0. */
static int
setup(void **state)
{
    Scene *scene = g_new0(Scene, 1);
    void *fixture = NULL;
    fixture_setup(&fixture);
    scene->fixture = fixture;
    LabCell *cell = fixture_cell(scene->fixture->host, 0, 1, (gint64)1024 * 1024 * 1024);
    LabNode *expander = fixture_root(cell->nodes, LAB_EXPANDER, "x");
    expander->bus = 0x40;
    fixture_node(expander, LAB_PORT, "a");
    fixture_node(expander, LAB_PORT, "b");
    scene->plan = fixture_plan(scene->fixture->lab, scene->fixture->emulator);
    scene->requests = plugs_requests(scene->plan, &driver, scene);
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
    g_free(scene->command);
    g_free(scene->id);
    g_free(scene);
    return 0;
}

static void
say(const Scene *scene, const char *text)
{
    requests_hear(scene->requests, (const guint8 *)text, strlen(text));
}

/* What the emulator was asked since the last look; "" for nothing. */
static void
asked(Scene *scene, const char *command, const char *id)
{
    assert_string_equal(scene->command ? scene->command : "", command);
    assert_string_equal(scene->id ? scene->id : "", id);
    g_clear_pointer(&scene->command, g_free);
    g_clear_pointer(&scene->id, g_free);
}

static void
reply(const Scene *scene, const char *refusal)
{
    g_autoptr(GError) error =
        refusal ? g_error_new_literal(HB_ERROR, HB_UNSUPPORTED, refusal) : NULL;
    scene->reply(NULL, error, scene->reply_data);
}

static void
leaves(const Scene *scene, const char *id)
{
    g_autoptr(JsonObject) data = json_object_new();
    json_object_set_string_member(data, "device", id);
    scene->handler("DEVICE_DELETED", data, scene->handler_data);
}

/* All that has been answered. */
static void
answered(const Scene *scene, const char *text)
{
    char buffer[4096];
    gsize used = 0;
    while (used < strlen(text)) {
        gssize got =
            read(requests_fd(scene->requests), buffer + used, sizeof buffer - 1 - used);
        assert_true(got > 0);
        used += (gsize)got;
    }
    buffer[used] = '\0';
    assert_string_equal(buffer, text);
}

#define A "0000:41:00.0"
#define B "0000:42:00.0"

static void
put_in(Scene *scene)
{
    say(scene, "# hostbed: plug " A "\n");
    asked(scene, "device_add", "a.nic0");
    reply(scene, NULL);
    answered(scene, A " there\n");
}

/* A, once asked for: the emulator is asked, agrees, and tells when it is out. */
static void
comes_out(Scene *scene)
{
    asked(scene, "device_del", "a.nic0");
    reply(scene, NULL);
    leaves(scene, "a.nic0");
    answered(scene, A " gone\n");
}

static void
in_and_out(void **state)
{
    Scene *scene = *state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(requests_settle(scene->requests), i == 0);
        requests_free(scene->requests);
        scene->requests = plugs_requests(scene->plan, &driver, scene);
        put_in(scene);
        say(scene, "# hostbed: unplug " A "\n");
        comes_out(scene);
    }
}

static void
the_host_gives_it_back(void **state)
{
    Scene *scene = *state;
    put_in(scene);
    say(scene, "# hostbed: await " A "\n");
    leaves(scene, "b.nic0");
    leaves(scene, "a.nic0");
    say(scene, "# hostbed: await " A "\n");
    answered(scene, A " gone\n" A " gone\n");
    put_in(scene);
    leaves(scene, "a.nic0");
    put_in(scene);
    asked(scene, "", "");
}

/* The event may come before the answer to the command. */
static void
an_event_before_its_answer(void **state)
{
    Scene *scene = *state;
    put_in(scene);
    say(scene, "# hostbed: unplug " A "\n");
    leaves(scene, "a.nic0");
    answered(scene, A " gone\n");
    assert_false(requests_settle(scene->requests));
    reply(scene, NULL);
    assert_false(requests_settle(scene->requests));
}

static void
refusals_are_handed_on(void **state)
{
    Scene *scene = *state;
    say(scene, "# hostbed: plug " A "\n");
    reply(scene, "no\nroom");
    answered(scene, A " refused no room\n");
    assert_true(requests_settle(scene->requests));
    put_in(scene);
    say(scene, "# hostbed: unplug " A "\n");
    reply(scene, "the guest is busy");
    answered(scene, A " refused the guest is busy\n");
    say(scene, "# hostbed: unplug " A "\n");
    asked(scene, "device_del", "a.nic0");
}

/* What was awaited of a NIC that never came is forgotten with it. */
static void
a_refusal_ends_the_waiting(void **state)
{
    Scene *scene = *state;
    say(scene, "# hostbed: plug " A "\n# hostbed: await " A "\n");
    reply(scene, "no room");
    answered(scene, A " refused no room\n");
    put_in(scene);
    leaves(scene, "a.nic0");
    say(scene, "# hostbed: explode " A "\n");
    answered(scene, A " refused one can plug, unplug and await it\n");
}

static void
what_is_awaited_can_be_asked_for(void **state)
{
    Scene *scene = *state;
    put_in(scene);
    say(scene, "# hostbed: await " A "\n# hostbed: unplug " A "\n");
    comes_out(scene);
}

/* What was there from the start and has gone is missing for the next suite. */
static void
a_host_that_lost_something_is_changed(void **state)
{
    Scene *scene = *state;
    leaves(scene, "nic0");
    assert_false(requests_settle(scene->requests));
}

static void
only_what_the_plan_has(void **state)
{
    Scene *scene = *state;
    static const char *const wrong[] = {
        "plug", "plug 0000:40:00.0",  "plug a.nic0",  "plug " A " " B, "plug  " A,
        "",     "explode everything", "plug " A "\r",
    };
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree char *line = g_strdup_printf("# hostbed: %s\n", wrong[i]);
        say(scene, line);
        answered(scene, "? refused no NIC of the plan was named\n");
    }
    static const char with_nul[] = "# hostbed: plug " A "\0 or so\n";
    requests_hear(scene->requests, (const guint8 *)with_nul, sizeof with_nul - 1);
    say(scene, "# hostbed: explode " A "\n");
    answered(scene, A " refused one can plug, unplug and await it\n");
    asked(scene, "", "");
}

static void
one_after_the_other(void **state)
{
    Scene *scene = *state;
    say(scene, "# hostbed: unplug " A "\n");
    answered(scene, A " refused it is not there, or asked for already\n");
    say(scene, "# hostbed: plug " A "\n# hostbed: plug " A "\n");
    answered(scene, A " refused its port is not empty\n");
    reply(scene, NULL);
    answered(scene, A " there\n");
    say(scene, "# hostbed: unplug " A "\n# hostbed: unplug " A "\n");
    answered(scene, A " refused it is not there, or asked for already\n");
}

/* Other lines, lines that come in pieces, lines without an end. */
static void
lines_are_taken_as_they_come(void **state)
{
    Scene *scene = *state;
    g_autofree char *flood = g_strnfill(3 * ASK_LINE_MAX, 'x');
    say(scene, "ok 1 - plug " A "\n # hostbed: plug " A "\n# hostbed:plug " A "\n");
    say(scene, "# hostbed: plug " A);
    say(scene, flood);
    say(scene, "\n");
    say(scene, flood);
    say(scene, "# hostbed: plug " A "\n");
    asked(scene, "", "");
    say(scene, "# host");
    say(scene, "bed: plug ");
    say(scene, B "\n");
    asked(scene, "device_add", "b.nic0");
}

/* Nobody reads the answers: they are lost, and we are not held up. */
static void
answers_do_not_hold_us_up(void **state)
{
    Scene *scene = *state;
    for (int i = 0; i < 20000; i++)
        say(scene, "# hostbed: nonsense\n");
    say(scene, "# hostbed: plug " A "\n");
    asked(scene, "device_add", "a.nic0");
}

static void
a_host_that_cannot(void **state)
{
    Scene *scene = *state;
    requests_free(scene->requests);
    scene->requests = plugs_requests(scene->plan, &no_driver, scene);
    say(scene, "# hostbed: plug " A "\n");
    answered(scene, A " refused nothing can be plugged into this kind of host\n");
    assert_true(requests_settle(scene->requests));
}

static void
what_is_left_in_is_known(void **state)
{
    Scene *scene = *state;
    put_in(scene);
    assert_false(requests_settle(scene->requests));
    assert_null(scene->handler);
    g_autofree char *text = plugs_environment(scene->plan);
    assert_string_equal(text, "HOSTBED_PLUGGABLE=" A " " B);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(in_and_out),
        TEST(the_host_gives_it_back),
        TEST(an_event_before_its_answer),
        TEST(refusals_are_handed_on),
        TEST(a_refusal_ends_the_waiting),
        TEST(what_is_awaited_can_be_asked_for),
        TEST(a_host_that_lost_something_is_changed),
        TEST(only_what_the_plan_has),
        TEST(one_after_the_other),
        TEST(lines_are_taken_as_they_come),
        TEST(answers_do_not_hold_us_up),
        TEST(a_host_that_cannot),
        TEST(what_is_left_in_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
