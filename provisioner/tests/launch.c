/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The emulator is played by this very program: with --play=SCENE among its arguments it
 * finds the descriptors that a real one would and behaves, or does not.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache.h"
#include "error.h"
#include "launch.h"
#include "log-dir.h"
#include "played-emulator.h"

/* ---- the emulator's side
 * ------------------------------------------------------------------------ */

static void
live(void)
{
    for (;;)
        pause();
}

static void
play_before_greeting(const char *scene, int qmp)
{
    if (g_str_equal(scene, "die")) {
        fputs("qemu: could not load PC BIOS 'bios.bin'\n", stderr);
        exit(1);
    } else if (g_str_equal(scene, "pages")) {
        g_autofree char *status = NULL;
        g_file_get_contents("/proc/self/status", &status, NULL, NULL);
        const char *line = status ? strstr(status, "THP_enabled:") : NULL;
        fprintf(stderr, "%.*s\n", (int)strcspn(line ? line : "", "\n"), line ? line : "");
        exit(1);
    } else if (g_str_equal(scene, "mute")) {
        live();
    } else if (g_str_equal(scene, "nonsense")) {
        played_say(qmp, "Hello, this is no QMP\n");
        live();
    } else if (g_str_equal(scene, "count")) {
        int open_fds = 0;
        g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
        while (g_dir_read_name(dir))
            open_fds++;
        struct rlimit core = {1, 1};
        getrlimit(RLIMIT_CORE, &core);
        g_clear_pointer(&dir, g_dir_close);
        fprintf(stderr, "open: %d, core: %d%s\n",
                open_fds - 1, /* but the folder itself */
                (int)core.rlim_cur, core.rlim_max > 0 ? " of more" : "");
        exit(3);
    }
}

static void
play_after_greeting(const char *scene, int qmp, int console)
{
    if (g_str_equal(scene, "panic")) {
        played_say(
            console,
            "all was well\nKernel panic - not syncing: no \033[31minit\n---[ end ]---\n");
        played_say_event(qmp, "GUEST_PANICKED", "\"action\": \"pause\"");
        played_say_event(qmp, "SHUTDOWN", "\"guest\": true, \"reason\": \"guest-panic\"");
    } else if (g_str_equal(scene, "reset")) {
        played_say(console, "rebooting");
        played_say_event(qmp, "SHUTDOWN", "\"guest\": true, \"reason\": \"guest-reset\"");
    } else if (g_str_equal(scene, "power-off")) {
        played_say_event(qmp, "SHUTDOWN",
                         "\"guest\": true, \"reason\": \"guest-shutdown\"");
    } else if (g_str_equal(scene, "io-error")) {
        played_say_event(qmp, "BLOCK_IO_ERROR",
                         "\"device\": \"disk\", \"action\": \"report\"");
        played_say_event(
            qmp, "BLOCK_IO_ERROR",
            "\"device\": \"disk\", \"action\": \"stop\", \"reason\": \"No space\"");
        live();
    } else if (g_str_equal(scene, "full")) {
        played_say_event(qmp, "BLOCK_IO_ERROR",
                         "\"device\": \"\", \"node-name\": \"hostbed-disk-1\", "
                         "\"nospace\": true, \"action\": \"stop\", \"reason\": \"full\"");
        live();
    } else if (g_str_equal(scene, "full-by-libvirt")) {
        played_say_event(qmp, "BLOCK_IO_ERROR",
                         "\"device\": \"\", \"node-name\": \"libvirt-1-format\", "
                         "\"nospace\": true, \"action\": \"stop\", \"reason\": \"full\"");
        live();
    } else if (g_str_equal(scene, "bad-disk")) {
        played_say_event(qmp, "BLOCK_IO_ERROR",
                         "\"device\": \"\", \"node-name\": \"faulty-1-4a\", "
                         "\"nospace\": false, \"action\": \"report\", "
                         "\"reason\": \"asked for\"");
        played_say_event(qmp, "BLOCK_IO_ERROR",
                         "\"device\": \"\", \"node-name\": \"hostbed-disk-1\", "
                         "\"nospace\": false, \"action\": \"report\", "
                         "\"reason\": \"worn out\"");
        live();
    } else if (g_str_equal(scene, "no-room")) {
        signal(SIGBUS, SIG_DFL); /* a sanitizer would take it */
        raise(SIGBUS);
    } else if (g_str_equal(scene, "abort")) {
        played_say(console, "[    0.1] booting\n");
        fputs("error: failed to set MSR 0x10a\n", stderr);
        for (int i = 0; i < 6; i++) /* what is harmless does not push the cause out */
            fprintf(stderr, "qemu: warning: nic virtio-net-pci.%d has no peer\n", i);
        raise(SIGABRT);
    } else if (g_str_equal(scene, "refuse")) {
        fputs("qemu: -device x: 'x' is not a valid device model name\n", stderr);
        exit(1);
    } else if (g_str_equal(scene, "flood")) {
        g_autofree char *line = g_strnfill(3000000, 'x');
        played_say(console, line);
        played_say(console, "\nlast\n");
        live();
    } else {
        live();
    }
}

static int
play(const char *scene, char **argv)
{
    int qmp = played_find_fd(argv, "hostbed-qmp"),
        console = played_find_fd(argv, "hostbed-console");
    played_find_fd(argv, "hostbed-agent");
    setvbuf(stderr, NULL, _IOLBF, 0);
    play_before_greeting(scene, qmp);
    played_say(qmp, PLAYED_GREETING);
    if (g_str_equal(scene, "refuse"))
        play_after_greeting(scene, qmp, console);
    played_hear_line(qmp);
    played_say(qmp, "{\"return\": {}, \"id\": 1}\n");
    play_after_greeting(scene, qmp, console);
    return 0;
}

/* ---- our side
 * ---------------------------------------------------------------------------------------
 */

typedef struct {
    Plan *plan;
    char *dir, *self;
    char **arguments; /* three of -blockdev; or NULL */
} World;

static int
set_up(void **state)
{
    World *world = g_new0(World, 1);
    world->plan = played_plan();
    world->dir = g_dir_make_tmp("hostbed-test-XXXXXX", NULL);
    world->self = g_file_read_link("/proc/self/exe", NULL);
    *state = world;
    return 0;
}

static int
tear_down(void **state)
{
    World *world = *state;
    int left = played_remove_logs(world->dir); /* nothing else was written */
    plan_free(world->plan);
    g_free(world->dir);
    g_free(world->self);
    g_free(world);
    return left;
}

static Machine *
start_by(const char *accel, const World *world, const char *scene,
         GCancellable *interrupt, GError **error)
{
    g_autofree char *play_scene = g_strconcat("--play=", scene, NULL);
    const char *extra[] = {play_scene,
                           world->arguments ? "-blockdev" : NULL,
                           world->arguments ? world->arguments[0] : NULL,
                           "-blockdev",
                           world->arguments ? world->arguments[1] : NULL,
                           "-blockdev",
                           world->arguments ? world->arguments[2] : NULL,
                           NULL};
    const MachineOptions options = {
        .plan = world->plan,
        .emulator = world->self,
        .accel = accel,
        .kernel = "/boot/it's a kernel",
        .log_dir = world->dir,
        .extra_args = extra,
        .interrupt = interrupt,
    };
    return machine_start(&options, error);
}

static Machine *
start(const World *world, const char *scene, GCancellable *interrupt, GError **error)
{
    return start_by("tcg", world, scene, interrupt, error);
}

static char *
read_log(const World *world, const char *name)
{
    char *text = NULL;
    g_autofree char *path = g_build_filename(world->dir, name, NULL);
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

static void
assert_words(const char *text, const char *word)
{
    if (!strstr(text, word))
        fail_msg("'%s' is not in: %s", word, text);
}

static void
assert_start_fails(const World *world, const char *scene, const char *word)
{
    g_autoptr(GError) error = NULL;
    assert_null(start(world, scene, NULL, &error));
    assert_int_equal(error->code, HB_EMULATOR_DIED);
    assert_words(error->message, word);
    assert_words(error->message, world->dir);
}

/* Linux tells it since 5.0. */
static void
only_emulation_has_small_pages(void **state)
{
    g_autofree char *status = NULL;
    g_file_get_contents("/proc/self/status", &status, NULL, NULL);
    if (!status || !strstr(status, "THP_enabled:\t1"))
        skip();
    assert_start_fails(*state, "pages", "THP_enabled: 0");
    g_autoptr(GError) error = NULL;
    assert_null(start_by("kvm", *state, "pages", NULL, &error));
    assert_words(error->message, "THP_enabled: 1");
}

static void
assert_goes(const World *world, const char *scene, int code, const char *word)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Machine) machine = start(world, scene, NULL, &error);
    assert_non_null(machine);
    while (!g_cancellable_is_cancelled(machine_gone(machine)))
        g_main_context_iteration(NULL, TRUE);
    const GError *failure = machine_failure(machine);
    assert_non_null(failure);
    assert_words(failure->message, word);
    assert_int_equal(failure->code, code);
    assert_words(failure->message, world->dir);
}

/* As a person would start it again: on the image, with a file of its own. */
static void
a_disk_has_names_by_hand(void **state)
{
    World world = *(World *)*state;
    g_autofree char *image = g_build_filename(world.dir, "an image", NULL);
    assert_true(g_file_set_contents(image, "image", -1, NULL));
    int fd = open(image, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    g_autofree char *bottom =
        g_strdup_printf("{\"node-name\":\"hostbed-disk-0\",\"read-only\":true,\"file\":{"
                        "\"filename\":\"/proc/self/fd/%d\"},\"backing\":null}",
                        fd);
    char *arguments[] = {
        bottom,
        (char *)"{\"node-name\":\"hostbed-disk-1\",\"read-only\":true,\"file\":{"
                "\"filename\":\"/proc/self/fd/901\"},\"backing\":\"hostbed-disk-0\"}",
        (char *)"{\"node-name\":\"hostbed-disk-2\",\"read-only\":false,\"file\":{"
                "\"filename\":\"/proc/self/fd/902\"},\"backing\":\"hostbed-disk-1\"}",
    };
    world.arguments = arguments;
    g_autoptr(GError) error = NULL;
    g_autoptr(Machine) machine = start(&world, "live", NULL, &error);
    assert_non_null(machine);
    g_autofree char *text = read_log(&world, "command");
    const char *by_hand = strstr(text, "the same machine by hand");
    assert_non_null(by_hand);
    assert_words(by_hand, "qemu-img create -q -f qcow2 -F qcow2 -b '");
    assert_words(by_hand, "/an image' ");
    assert_words(by_hand, "/an image\"},\"backing\":null");
    assert_words(by_hand, "/by-hand.qcow2\"},\"backing\":\"hostbed-disk-0\"");
    assert_null(strstr(by_hand, "fd/901"));
    close(fd);
    g_unlink(image);
}

static void
a_full_disk_is_told(void **state)
{
    assert_goes(*state, "full", HB_INFRASTRUCTURE, "for what it writes to its disk");
}

static void
so_is_one_that_libvirt_has_named(void **state)
{
    assert_goes(*state, "full-by-libvirt", HB_INFRASTRUCTURE,
                "for what it writes to its disk");
}

static void
a_machine_lives_until_it_is_freed(void **state)
{
    const World *world = *state;
    g_autoptr(GError) error = NULL;
    Machine *machine = start(world, "live", NULL, &error);
    assert_non_null(machine);
    assert_null(machine_failure(machine));
    GPid pid = machine_pid(machine);
    assert_int_equal(kill(pid, 0), 0);
    int agent = machine_take_agent_fd(machine);
    assert_true(agent >= 0);
    close(agent);
    assert_int_equal(machine_take_agent_fd(machine), -1);
    machine_free(machine);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);

    g_autofree char *command = read_log(world, "command");
    assert_words(command, "'/boot/it'\\''s a kernel'");
    assert_words(command, "null,id=hostbed-agent");
    assert_words(command, "LC_ALL=C");
    g_autofree char *qmp = read_log(world, "qmp.log");
    assert_words(qmp, "-> {\"execute\":\"qmp_capabilities\"");
}

static void
a_bad_start_tells_why(void **state)
{
    assert_start_fails(*state, "die",
                       "ended with status 1: qemu: could not load PC BIOS");
    assert_start_fails(*state, "refuse", "not a valid device model name");
    assert_start_fails(*state, "nonsense", "no JSON");
}

/* Whatever we inherited and whatever our own limits are. */
static void
it_gets_what_it_needs_only(void **state)
{
    struct rlimit core, all;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(getrlimit(RLIMIT_CORE, &core), 0);
    all = (struct rlimit){core.rlim_max, core.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_CORE, &all), 0);
    /* its three, QMP, agent, console */
    assert_start_fails(*state, "count",
                       core.rlim_max > 0 ? "open: 6, core: 0 of more"
                                         : "open: 6, core: 0");
    assert_int_equal(setrlimit(RLIMIT_CORE, &core), 0);
    close(fds[0]);
    close(fds[1]);
}

static void
a_missing_emulator_is_named(void **state)
{
    const World *world = *state;
    const MachineOptions options = {.plan = world->plan,
                                    .emulator = "/nonexistent/qemu",
                                    .accel = "tcg",
                                    .log_dir = world->dir};
    g_autoptr(GError) error = NULL;
    assert_null(machine_start(&options, &error));
    assert_int_equal(error->code, HB_INFRASTRUCTURE);
    assert_words(error->message, "cannot run /nonexistent/qemu: No such file");
}

static void
each_end_has_its_cause(void **state)
{
    assert_goes(*state, "panic", HB_GUEST_PANIC,
                "panicked: Kernel panic - not syncing: no ?[31minit");
    assert_goes(*state, "reset", HB_GUEST_PANIC,
                "reset itself; the console said last: rebooting");
    assert_goes(*state, "power-off", HB_GUEST_PANIC, "powered itself off");
    assert_goes(*state, "io-error", HB_INFRASTRUCTURE, "I/O error on disk: No space");
    assert_goes(*state, "bad-disk", HB_INFRASTRUCTURE,
                "I/O error on hostbed-disk-1: worn out");
    assert_goes(*state, "no-room", HB_EMULATOR_DIED,
                "no room left for the host's memory");
    assert_goes(*state, "abort", HB_EMULATOR_DIED, "signal 6");
    assert_goes(*state, "abort", HB_EMULATOR_DIED, "failed to set MSR 0x10a");
}

static void
a_flooded_console_keeps_its_bounds(void **state)
{
    const World *world = *state;
    g_autoptr(GError) error = NULL;
    g_autoptr(Machine) machine = start(world, "flood", NULL, &error);
    assert_non_null(machine);
    while (g_strcmp0(machine_last_words(machine), "last") != 0)
        g_main_context_iteration(NULL, TRUE);
    assert_true(machine_progress(machine) >= 3000000);
}

static gboolean
on_time(gpointer user_data)
{
    g_cancellable_cancel(user_data);
    return G_SOURCE_REMOVE;
}

static void
an_interrupt_ends_even_a_start(void **state)
{
    g_autoptr(GCancellable) interrupt = g_cancellable_new();
    g_autoptr(GError) error = NULL;
    g_timeout_add(50, on_time, interrupt);
    assert_null(start(*state, "mute", interrupt, &error));
    assert_int_equal(error->code, HB_INTERRUPTED);
}

static void
raw_arguments_cannot_leave_it_behind(void **state)
{
    World *world = *state;
    g_autoptr(GError) error = NULL;
    g_ptr_array_add(world->plan->raw_args, g_strdup("-daemonize"));
    assert_null(start(world, "live", NULL, &error));
    assert_int_equal(error->code, HB_USAGE);
}

/* Gone, or a zombie that init has not fetched yet. */
static void
assert_ends(GPid pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", pid);
    for (int i = 0; i < 500; i++) {
        g_autofree char *stat_text = NULL;
        if (!g_file_get_contents(path, &stat_text, NULL, NULL) ||
            strstr(stat_text, ") Z "))
            return;
        g_usleep(10000);
    }
    kill(pid, SIGKILL);
    fail_msg("the emulator still lives");
}

/* A process that is us, with a machine; *EMULATOR is its number. */
static pid_t
fork_with_machine(const World *world, GPid *emulator)
{
    int pids[2];
    assert_int_equal(pipe2(pids, O_CLOEXEC), 0);
    pid_t us = fork();
    if (us == 0) {
        Machine *machine = start(world, "live", NULL, NULL);
        GPid pid = machine ? machine_pid(machine) : 0;
        if (write(pids[1], &pid, sizeof pid) != sizeof pid)
            _exit(1);
        pause();
        _exit(2);
    }
    close(pids[1]);
    assert_int_equal(read(pids[0], emulator, sizeof *emulator), sizeof *emulator);
    close(pids[0]);
    assert_true(*emulator > 0);
    assert_int_equal(kill(*emulator, 0), 0);
    return us;
}

/* The first child in the list of PID's that is not OTHER, or 0. */
static GPid
child_of(pid_t pid, GPid other)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task/%d/children", pid, pid);
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    for (char **word = words; *word; word++) {
        GPid found = (GPid)g_ascii_strtoll(*word, NULL, 10);
        if (found > 0 && found != other)
            return found;
    }
    return 0;
}

/* What kill -9 leaves of us, also where nobody guards the emulator. */
static void
nothing_outlives_us(void **state)
{
    for (int unguarded = 0; unguarded < 2; unguarded++) {
        GPid emulator = 0, guardian;
        pid_t us = fork_with_machine(*state, &emulator);
        guardian = child_of(us, emulator);
        if (unguarded && guardian > 0) {
            kill(guardian, SIGKILL);
            assert_ends(guardian);
        }
        kill(us, SIGKILL);
        assert_int_equal(waitpid(us, NULL, 0), us);
        assert_ends(emulator);
        if (!unguarded && guardian > 0)
            assert_ends(guardian);
    }
}

/* A script that starts the emulator and does not become it. */
static void
nothing_outlives_us_behind_a_wrapper(void **state)
{
    World *world = *state;
    g_autofree char *self = world->self;
    g_autofree char *wrapper = g_build_filename(world->dir, "wrapper", NULL);
    g_autofree char *script = g_strdup_printf("#!/bin/sh\n'%s' \"$@\"\n:\n", self);
    assert_true(g_file_set_contents_full(wrapper, script, -1, G_FILE_SET_CONTENTS_NONE,
                                         0755, NULL));
    world->self = g_strdup(wrapper);
    GPid shell = 0;
    pid_t us = fork_with_machine(world, &shell);
    GPid emulator = child_of(shell, 0);
    kill(us, SIGKILL);
    assert_int_equal(waitpid(us, NULL, 0), us);
    assert_ends(shell);
    if (emulator > 0) /* this kernel lists children */
        assert_ends(emulator);

    /* And where we end it. */
    Machine *machine = start(world, "live", NULL, NULL);
    assert_non_null(machine);
    emulator = child_of(machine_pid(machine), 0);
    machine_free(machine);
    if (emulator > 0)
        assert_ends(emulator);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    g_unlink(wrapper);
}

/* GLib asks once where it is. */
static int
set_up_cache(void **state)
{
    *state = g_dir_make_tmp("hostbed-test-XXXXXX", NULL);
    return g_setenv("XDG_CACHE_HOME", *state, TRUE) ? 0 : -1;
}

static int
tear_down_cache(void **state)
{
    cache_remove_tree(*state);
    g_free(*state);
    return 0;
}

int
main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (g_str_has_prefix(argv[i], "--play="))
            return play(argv[i] + strlen("--play="), argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_machine_lives_until_it_is_freed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_disk_has_names_by_hand, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(so_is_one_that_libvirt_has_named, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_bad_start_tells_why, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_emulation_has_small_pages, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(it_gets_what_it_needs_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_emulator_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_end_has_its_cause, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flooded_console_keeps_its_bounds, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_interrupt_ends_even_a_start, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(raw_arguments_cannot_leave_it_behind, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nothing_outlives_us, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_outlives_us_behind_a_wrapper, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("launch", tests, set_up_cache, tear_down_cache);
}
