/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A suite that asks for links and losses, and an emulator that the test plays.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "error.h"
#include "link-wire.h"
#include "links.h"
#include "played-suite.h"

/* The emulator keeps the last command until the test answers it. */
typedef struct {
    PlanFunction functions[2];
    PlanName names[2];
    Plan plan;
    Segments *segments;
    Requests *requests;
    char *asked; /* "NAME up"; or NULL */
    QmpReply reply;
    gpointer reply_data;
} Scene;

static void
ask(void *host, const char *command, JsonObject *arguments, QmpReply reply,
    gpointer user_data)
{
    Scene *scene = host;
    assert_string_equal(command, "set_link");
    g_free(scene->asked);
    scene->asked =
        g_strdup_printf("%s %s", json_object_get_string_member(arguments, "name"),
                        json_object_get_boolean_member(arguments, "up") ? "up" : "down");
    scene->reply = reply;
    scene->reply_data = user_data;
    json_object_unref(arguments);
}

static Segments *
segments(void *host)
{
    return ((Scene *)host)->segments;
}

static const SessionDriver driver = {.ask = ask, .segments = segments};

/* A NIC on the network "fabric", which joins, and one on "wire", which does not. */
static int
setup(void **state)
{
    static const char *const networks[] = {"fabric", NULL};
    Scene *scene = g_new0(Scene, 1);
    scene->functions[0] = (PlanFunction){.id = (char *)"nic0",
                                         .network = (char *)"fabric",
                                         .joined = TRUE,
                                         .address = {.bus = 0x21}};
    scene->functions[1] = (PlanFunction){
        .id = (char *)"nic1", .network = (char *)"wire", .address = {.bus = 0x22}};
    scene->plan.functions = g_ptr_array_new();
    scene->plan.names = g_ptr_array_new();
    for (guint i = 0; i < 2; i++) {
        g_ptr_array_add(scene->plan.functions, &scene->functions[i]);
        scene->names[i] =
            (PlanName){.address = (char *)(i == 0 ? "10.100.0.1" : "fd00::1"),
                       .host = (char *)"a",
                       .network = (char *)"fabric"};
        g_ptr_array_add(scene->plan.names, &scene->names[i]);
    }
    scene->segments = segments_new(networks);
    scene->requests = links_requests(&scene->plan, &driver, scene);
    *state = scene;
    return 0;
}

static int
teardown(void **state)
{
    Scene *scene = *state;
    requests_free(scene->requests);
    segments_free(scene->segments);
    g_ptr_array_unref(scene->plan.functions);
    g_ptr_array_unref(scene->plan.names);
    g_free(scene->asked);
    g_free(scene);
    return 0;
}

static void
say(const Scene *scene, const char *request)
{
    played_say(scene->requests, request);
}

static void
assert_answer(const Scene *scene, const char *expected)
{
    played_assert_answer(scene->requests, expected);
}

static void
links_go_down_and_up(void **state)
{
    Scene *scene = *state;
    say(scene, "down 0000:21:00.0");
    assert_string_equal(scene->asked, "nic0 down");
    assert_false(requests_settle(scene->requests)); /* it may still answer */
    scene->reply(NULL, NULL, scene->reply_data);
    assert_answer(scene, "0000:21:00.0 is down");
    assert_false(requests_settle(scene->requests));
    say(scene, "up 0000:21:00.0");
    scene->reply(NULL, NULL, scene->reply_data);
    assert_answer(scene, "0000:21:00.0 is up");
    assert_true(requests_settle(scene->requests));
}

static void
the_emulators_refusal_is_told(void **state)
{
    Scene *scene = *state;
    g_autoptr(GError) error =
        g_error_new_literal(HB_ERROR, HB_INFRASTRUCTURE, "there is no such NIC");
    say(scene, "down 0000:21:00.0");
    scene->reply(NULL, error, scene->reply_data);
    assert_answer(scene, "0000:21:00.0 refused there is no such NIC");
    assert_true(requests_settle(scene->requests));
}

static void
losses_end_with_the_suite(void **state)
{
    const Scene *scene = *state;
    say(scene, "lose fabric 300 7");
    assert_answer(scene, "fabric loses");
    assert_false(requests_settle(scene->requests));
    say(scene, "lose fabric 0 0");
    assert_answer(scene, "fabric loses");
    assert_true(requests_settle(scene->requests));
    say(scene, "tally fabric");
    assert_answer(scene, "fabric tallied 0 0 0 0 0");
}

static void
only_what_joins_can_be_had(void **state)
{
    static const char *const requests[] = {"down 0000:22:00.0",
                                           "down",
                                           "up ",
                                           "lose wire 1 1",
                                           "lose fabric 1001 1",
                                           "lose fabric 1",
                                           "tally wire",
                                           "lose fabric -1 1",
                                           "explode fabric",
                                           "tally",
                                           ""};
    Scene *scene = *state;
    for (gsize i = 0; i < G_N_ELEMENTS(requests); i++) {
        say(scene, requests[i]);
        g_autofree char *said = played_answer(scene->requests);
        assert_true(g_str_has_prefix(said, "? refused "));
    }
    assert_null(scene->asked);
    assert_true(requests_settle(scene->requests));
}

static void
hosts_are_told(void **state)
{
    const Scene *scene = *state;
    g_autofree char *text = links_environment(&scene->plan);
    assert_string_equal(text, LINK_JOINED "=a/fabric/10.100.0.1/fd00::1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(links_go_down_and_up),
        TEST(the_emulators_refusal_is_told),
        TEST(losses_end_with_the_suite),
        TEST(only_what_joins_can_be_had),
        TEST(hosts_are_told),
    };
    return cmocka_run_group_tests_name("links", tests, NULL, NULL);
}
