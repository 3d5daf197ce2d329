/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Freezing and thawing with an emulator that does what a real one does seldom: it
 * refuses, fails half-way, or dies of it. This very program plays it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"
#include "launch.h"
#include "played-emulator.h"

/* ---- the emulator's side
 * ------------------------------------------------------------------------ */

/* The command that is asked next, and its id. */
static char *
hear_command(int qmp, int *id)
{
    g_autoptr(GString) line = g_string_new(NULL);
    char c = 0;
    while (c != '\n') {
        if (read(qmp, &c, 1) != 1)
            exit(0);
        g_string_append_c(line, c);
    }
    g_autoptr(JsonNode) node = json_from_string(line->str, NULL);
    JsonObject *object = json_node_get_object(node);
    *id = (int)json_object_get_int_member(object, "id");
    return g_strdup(json_object_get_string_member(object, "execute"));
}

static void
answer(int qmp, int id, const char *result)
{
    g_autofree char *line = g_strdup_printf("{\"return\": %s, \"id\": %d}\n", result, id);
    played_say(qmp, line);
}

static void
tell_migration(int qmp, const char *status)
{
    g_autofree char *data = g_strdup_printf("\"status\": \"%s\"", status);
    played_say_event(qmp, "MIGRATION", data);
}

static void
migrate(const char *scene, int qmp, int id)
{
    if (g_str_equal(scene, "refuses")) {
        g_autofree char *line = g_strdup_printf(
            "{\"error\": {\"class\": \"GenericError\", \"desc\": \"State blocked by "
            "nvme\"}, \"id\": %d}\n",
            id);
        played_say(qmp, line);
        return;
    }
    tell_migration(qmp, "setup");
    answer(qmp, id, "{}");
    tell_migration(qmp, "active");
    if (g_str_equal(scene, "fails")) {
        tell_migration(qmp, "failed");
    } else if (g_str_equal(scene, "cannot-read")) {
        fputs("qemu: Unknown savevm section 'x'\n", stderr);
        tell_migration(qmp, "failed");
        exit(1);
    } else if (g_str_equal(scene, "dies")) {
        fputs("qemu: out of memory\n", stderr);
        abort();
    } else {
        tell_migration(qmp, "completed");
    }
}

static G_NORETURN void
play(const char *scene, char **argv)
{
    int qmp = played_find_fd(argv, "hostbed-qmp"), id;
    setvbuf(stderr, NULL, _IOLBF, 0);
    played_say(qmp, PLAYED_GREETING);
    for (;;) {
        g_autofree char *command = hear_command(qmp, &id);
        if (g_str_equal(command, "migrate") || g_str_equal(command, "migrate-incoming"))
            migrate(scene, qmp, id);
        else if (g_str_equal(command, "query-migrate"))
            answer(qmp, id,
                   g_str_equal(scene, "blocked")
                       ? "{\"blocked-reasons\": [\"State blocked by non-migratable "
                         "device '0000:00:01.0/00.0/nvme'\", \"State blocked by "
                         "non-migratable device: 0000:20:02.0:03.0:00.0/nvme\", \"nor "
                         "igb\"]}"
                       : "{\"status\": \"failed\", \"error-desc\": \"No space left\"}");
        else
            answer(qmp, id, "{}");
    }
}

/* ---- our side
 * ---------------------------------------------------------------------------------------
 */

typedef struct {
    Plan *plan;
    char *dir;
    Machine *machine;
    int state_fd;
} World;

static int
set_up(void **state)
{
    World *world = g_new0(World, 1);
    world->plan = played_plan();
    world->dir = g_dir_make_tmp("hostbed-test-XXXXXX", NULL);
    world->state_fd = memfd_create("state", MFD_CLOEXEC);
    *state = world;
    return world->state_fd < 0;
}

static int
tear_down(void **state)
{
    World *world = *state;
    machine_free(world->machine);
    int left = played_remove_logs(world->dir);
    close(world->state_fd);
    plan_free(world->plan);
    g_free(world->dir);
    g_free(world);
    return left;
}

static void
start(World *world, const char *scene)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *play_scene = g_strconcat("--play=", scene, NULL);
    const char *extra[] = {play_scene, NULL};
    const MachineOptions options = {
        .plan = world->plan,
        .emulator = self,
        .accel = "tcg",
        .kernel = "/boot/kernel",
        .log_dir = world->dir,
        .extra_args = extra,
    };
    g_clear_pointer(&world->machine, machine_free);
    world->machine = machine_start(&options, &error);
    if (!world->machine)
        fail_msg("%s", error->message);
}

static void
assert_says(const GError *error, int code, const char *word)
{
    assert_non_null(error);
    if (!strstr(error->message, word))
        fail_msg("'%s' is not in: %s", word, error->message);
    assert_int_equal(error->code, code);
}

static void
states_are_written_and_read(void **state)
{
    World *world = *state;
    g_autoptr(GError) error = NULL;
    start(world, "works");
    assert_true(machine_freeze(world->machine, world->state_fd, &error));
    assert_true(machine_thaw(world->machine, world->state_fd, &error));
    assert_null(machine_failure(world->machine));
}

static void
obstacles_are_known_beforehand(void **state)
{
    World *world = *state;
    start(world, "blocked");
    g_autofree char *obstacle = machine_freeze_obstacle(world->machine);
    assert_string_equal(
        obstacle, "it has a device (nvme) of which this emulator cannot write down the "
                  "state; it has a device (nvme) of which this emulator cannot write "
                  "down the state; nor igb");
    start(world, "works");
    assert_null(machine_freeze_obstacle(world->machine));
}

static void
refusals_leave_it_whole(void **state)
{
    static const struct {
        const char *scene, *word;
    } refusals[] = {{"refuses", "State blocked by nvme"},
                    {"fails", "cannot write the host's state: No space left"}};
    World *world = *state;
    for (gsize i = 0; i < G_N_ELEMENTS(refusals); i++) {
        g_autoptr(GError) error = NULL;
        start(world, refusals[i].scene);
        assert_false(machine_freeze(world->machine, world->state_fd, &error));
        assert_says(error, HB_UNSUPPORTED, refusals[i].word);
        machine_resume(world->machine, NULL);
        assert_null(machine_failure(world->machine));
    }
}

static void
its_end_is_the_reason(void **state)
{
    World *world = *state;
    g_autoptr(GError) error = NULL;
    start(world, "dies");
    assert_false(machine_freeze(world->machine, world->state_fd, &error));
    assert_says(error, HB_EMULATOR_DIED, "qemu: out of memory");
    g_clear_error(&error);
    start(world, "cannot-read");
    assert_false(machine_thaw(world->machine, world->state_fd, &error));
    assert_says(error, HB_EMULATOR_DIED, "Unknown savevm section 'x'");
}

int
main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (g_str_has_prefix(argv[i], "--play="))
            play(argv[i] + strlen("--play="), argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(states_are_written_and_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(obstacles_are_known_beforehand, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(refusals_leave_it_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(its_end_is_the_reason, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
