/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A suite that asks for the ends of its neighbours, and emulators that the test plays.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "error.h"
#include "outage-wire.h"
#include "outages.h"
#include "played-suite.h"

/* The emulator keeps the last command until the test answers it. */
typedef struct {
    Plan plan;
    Requests *requests;
    char *asked; /* "HOST COMMAND"; or NULL */
    QmpReply reply;
    gpointer reply_data;
    GCancellable *gone;
    GError *failure;
} Scene;

static void
ask_peer(void *host, const char *peer, const char *command, QmpReply reply,
         gpointer user_data)
{
    Scene *scene = host;
    g_free(scene->asked);
    scene->asked = g_strdup_printf("%s %s", peer, command);
    scene->reply = reply;
    scene->reply_data = user_data;
}

static GCancellable *
give_up_peer(void *host, const char *peer)
{
    assert_string_equal(peer, "b");
    return ((Scene *)host)->gone;
}

static const GError *
peer_failure(void *host, const char *peer)
{
    assert_string_equal(peer, "b");
    return ((Scene *)host)->failure;
}

static const SessionDriver driver = {
    .ask_peer = ask_peer, .give_up_peer = give_up_peer, .peer_failure = peer_failure};

static int
setup(void **state)
{
    Scene *scene = g_new0(Scene, 1);
    scene->gone = g_cancellable_new();
    scene->plan.peers = g_ptr_array_new();
    g_ptr_array_add(scene->plan.peers, (gpointer) "b");
    g_ptr_array_add(scene->plan.peers, (gpointer) "c");
    scene->requests = outages_requests(&scene->plan, &driver, scene);
    *state = scene;
    return 0;
}

static int
teardown(void **state)
{
    Scene *scene = *state;
    requests_free(scene->requests);
    g_ptr_array_unref(scene->plan.peers);
    g_clear_error(&scene->failure);
    g_object_unref(scene->gone);
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
a_host_stands_still_and_goes_on(void **state)
{
    Scene *scene = *state;
    say(scene, "hang c");
    assert_string_equal(scene->asked, "c stop");
    assert_false(requests_settle(scene->requests)); /* it may still answer */
    say(scene, "wake c");
    assert_answer(scene, "c refused it has ended, or does not answer yet");
    scene->reply(NULL, NULL, scene->reply_data);
    assert_answer(scene, "c hangs");
    assert_false(requests_settle(scene->requests));
    say(scene, "wake c");
    assert_string_equal(scene->asked, "c cont");
    scene->reply(NULL, NULL, scene->reply_data);
    assert_answer(scene, "c wakes");
    assert_true(requests_settle(scene->requests));
}

static void
the_emulators_refusal_is_told(void **state)
{
    Scene *scene = *state;
    g_autoptr(GError) error = g_error_new_literal(HB_ERROR, HB_UNSUPPORTED, "not now");
    say(scene, "hang b");
    scene->reply(NULL, error, scene->reply_data);
    assert_answer(scene, "b refused not now");
    assert_true(requests_settle(scene->requests));
}

static void
power_is_lost_when_the_emulator_is_gone(void **state)
{
    Scene *scene = *state;
    say(scene, "cut b");
    assert_string_equal(scene->asked, "b quit");
    scene->reply(NULL, NULL, scene->reply_data);
    scene->failure = g_error_new_literal(HB_ERROR, HB_EMULATOR_DIED, "it has ended");
    g_cancellable_cancel(scene->gone);
    assert_answer(scene, "b off");
    assert_false(requests_settle(scene->requests));
    say(scene, "wake b");
    assert_answer(scene, "b refused it has ended, or does not answer yet");
}

static void
only_a_panic_is_one(void **state)
{
    Scene *scene = *state;
    say(scene, "panic b");
    assert_string_equal(scene->asked, "b inject-nmi");
    scene->reply(NULL, NULL, scene->reply_data);
    g_set_error_literal(&scene->failure, HB_ERROR, HB_EMULATOR_DIED, "it was killed");
    g_cancellable_cancel(scene->gone);
    assert_answer(scene, "b refused it was killed");
    assert_false(requests_settle(scene->requests));
}

static void
a_panic_is_told(void **state)
{
    Scene *scene = *state;
    say(scene, "panic b");
    scene->reply(NULL, NULL, scene->reply_data);
    g_set_error_literal(&scene->failure, HB_ERROR, HB_GUEST_PANIC, "it panicked");
    g_cancellable_cancel(scene->gone);
    assert_answer(scene, "b panicked");
}

static void
only_peers_can_be_had(void **state)
{
    static const char *const requests[] = {"hang a",  "hang", "cut ",    "explode b",
                                           "cut b b", "",     "hang b c"};
    Scene *scene = *state;
    for (gsize i = 0; i < G_N_ELEMENTS(requests); i++) {
        say(scene, requests[i]);
        assert_answer(scene, "? refused one can say: hang HOST, wake HOST, panic HOST, "
                             "cut HOST, of the hosts that networks join with this one");
    }
    assert_null(scene->asked);
    assert_true(requests_settle(scene->requests));
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_host_stands_still_and_goes_on),
        CASE(the_emulators_refusal_is_told),
        CASE(power_is_lost_when_the_emulator_is_gone),
        CASE(only_a_panic_is_one),
        CASE(a_panic_is_told),
        CASE(only_peers_can_be_had),
    };
    return cmocka_run_group_tests_name("outages", tests, NULL, NULL);
}
