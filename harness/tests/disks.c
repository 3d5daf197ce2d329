/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A suite that asks for disks to fail, and an emulator that the test plays.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "disk-wire.h"
#include "disks.h"
#include "played-suite.h"
#include "error.h"

#define ASKED_MAX 16

/* The emulator keeps commands until the test answers them. */
typedef struct {
    PlanFunction functions[2];
    Plan plan;
    Requests *requests;
    char *asked[ASKED_MAX];
    QmpReply reply[ASKED_MAX];
    gpointer reply_data[ASKED_MAX];
    guint count, answered;
} Scene;

static void
ask(void *host, const char *command, JsonObject *arguments, QmpReply reply,
    gpointer user_data)
{
    Scene *scene = host;
    assert_true(scene->count < ASKED_MAX);
    scene->asked[scene->count] = g_strdup(command);
    scene->reply[scene->count] = reply;
    scene->reply_data[scene->count++] = user_data;
    json_object_unref(arguments);
}

static const SessionDriver driver = {.ask = ask};

/* A disk at 21:00.0, and a NIC at 22:00.0. */
static int
setup(void **state)
{
    Scene *scene = g_new0(Scene, 1);
    scene->functions[0] = (PlanFunction){.id = (char *)"nvme0",
                                         .driver = (char *)"nvme",
                                         .size_bytes = 64 * 1024 * 1024,
                                         .address = {.bus = 0x21}};
    scene->functions[1] = (PlanFunction){
        .id = (char *)"nic0", .driver = (char *)"e1000e", .address = {.bus = 0x22}};
    scene->plan.functions = g_ptr_array_new();
    for (guint i = 0; i < 2; i++)
        g_ptr_array_add(scene->plan.functions, &scene->functions[i]);
    scene->requests = disks_requests(&scene->plan, &driver, scene);
    int fd = requests_fd(scene->requests);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    *state = scene;
    return 0;
}

static int
teardown(void **state)
{
    Scene *scene = *state;
    for (guint i = 0; i < scene->count; i++)
        g_free(scene->asked[i]);
    requests_free(scene->requests);
    g_ptr_array_unref(scene->plan.functions);
    g_free(scene);
    return 0;
}

static void
say(Scene *scene, const char *request)
{
    played_say(scene->requests, request);
}

/* The emulator answers all that it was asked; to the one called FAILS with an error. */
static void
answer(Scene *scene, const char *fails)
{
    g_autoptr(JsonNode) nothing = json_node_new(JSON_NODE_OBJECT);
    g_autoptr(JsonObject) object = json_object_new();
    g_autoptr(GError) error = g_error_new(HB_ERROR, HB_UNSUPPORTED, "no %s", fails);
    json_node_set_object(nothing, object);
    for (; scene->answered < scene->count; scene->answered++) {
        const guint i = scene->answered;
        const gboolean is_one = fails && g_str_equal(fails, scene->asked[i]);
        scene->reply[i](is_one ? NULL : nothing, is_one ? error : NULL,
                        scene->reply_data[i]);
    }
}

static void
assert_told(const Scene *scene, const char *text)
{
    char line[4 * ASK_LINE_MAX] = "";
    ssize_t got = read(requests_fd(scene->requests), line, sizeof line - 1);
    line[got > 0 ? got : 0] = '\0';
    if (text)
        assert_non_null(strstr(line, text));
    else
        assert_string_equal(line, "");
}

static void
what_is_asked_is_done(void **state)
{
    Scene *scene = *state;
    say(scene, "fail 0000:21:00.0 read 8");
    assert_int_equal(scene->count, 3);
    assert_told(scene, NULL);
    assert_false(requests_settle(scene->requests));
    answer(scene, NULL);
    assert_told(scene, "0000:21:00.0 done\n");
    assert_false(requests_settle(scene->requests));
    say(scene, "mend 0000:21:00.0");
    assert_false(requests_settle(scene->requests));
    answer(scene, NULL);
    assert_told(scene, "0000:21:00.0 done\n");
    assert_true(requests_settle(scene->requests));
    say(scene, "mend 0000:21:00.0");
    assert_told(scene, "0000:21:00.0 done\n");
    assert_int_equal(scene->count, scene->answered);
}

/* What the emulator has done in part is not undone: the host has to go. */
static void
what_the_emulator_refuses_is_told(void **state)
{
    Scene *scene = *state;
    say(scene, "suspend 0000:21:00.0 write");
    answer(scene, "qom-set");
    assert_told(scene, "0000:21:00.0 refused no qom-set\n");
    assert_false(requests_settle(scene->requests));
    say(scene, "mend 0000:21:00.0");
    assert_told(scene, "refused nothing can be done");
    assert_false(requests_settle(scene->requests));
}

/* Nodes are not taken away from below a request that stands still. */
static void
nothing_changes_while_a_request_stands_still(void **state)
{
    Scene *scene = *state;
    say(scene, "suspend 0000:21:00.0 write");
    say(scene, "mend 0000:21:00.0");
    assert_told(scene, "refused nothing can be done to it now\n");
    answer(scene, NULL);
    assert_told(scene, "0000:21:00.0 done\n");
    const guint asked = scene->count;
    say(scene, "fail 0000:21:00.0 read");
    assert_told(scene, "refused a request of it stands still");
    assert_int_equal(scene->count, asked);
    say(scene, "mend 0000:21:00.0");
    answer(scene, NULL);
    assert_true(requests_settle(scene->requests));
}

static void
hostile_requests_are_refused(void **state)
{
    static const char *const requests[] = {
        "fail 0000:22:00.0 read",
        "fail nvme0 read",
        "fail",
        "fail 0000:21:00.0",
        "fail 0000:21:00.0 some",
        "fail 0000:21:00.0 read -1",
        "fail 0000:21:00.0 read 131072",
        "fail 0000:21:00.0 read 99999999999999999999999",
        "fail 0000:21:00.0 flush 1",
        "fail 0000:21:00.0 read 1 2",
        "suspend 0000:21:00.0",
        "suspend 0000:21:00.0 pwritev\" A",
        "quit 0000:21:00.0",
        "",
    };
    Scene *scene = *state;
    for (gsize i = 0; i < G_N_ELEMENTS(requests); i++) {
        say(scene, requests[i]);
        assert_told(scene, " refused ");
        assert_int_equal(scene->count, 0);
    }
    assert_true(requests_settle(scene->requests));
}

static void
only_disks_are_offered(void **state)
{
    Scene *scene = *state;
    g_autofree char *one = disks_environment(&scene->plan);
    assert_string_equal(one, DISK_ENVIRONMENT "=0000:21:00.0");
    g_ptr_array_remove_index(scene->plan.functions, 0);
    assert_null(disks_environment(&scene->plan));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_asked_is_done),
        TEST(what_the_emulator_refuses_is_told),
        TEST(nothing_changes_while_a_request_stands_still),
        TEST(hostile_requests_are_refused),
        TEST(only_disks_are_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
