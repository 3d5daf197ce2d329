/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Hosts that hang. The emulator is played by this very program, with --play=SCENE among
 * its arguments; that it is the second start it knows by the firmware's debug port, which
 * only that has.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boot.h"
#include "error.h"
#include "image-fixture.h"
#include "wire.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
#define STALL_MS 2000

/* ---- the emulator's side
 * ------------------------------------------------------------------------ */

/* What follows PREFIX in the argument that has it, or NULL. */
static const char *
find_argument(char **argv, const char *prefix)
{
    for (; *argv; argv++)
        if (g_str_has_prefix(*argv, prefix))
            return *argv + strlen(prefix);
    return NULL;
}

static int
find_fd(char **argv, const char *id)
{
    g_autofree char *prefix = g_strdup_printf("socket,id=%s,fd=", id);
    const char *number = find_argument(argv, prefix);
    return number ? atoi(number) : -1;
}

static void
say(int fd, const void *data, gsize length)
{
    if (write(fd, data, length) != (ssize_t)length)
        _exit(91);
}

static void
say_text(int fd, const char *text)
{
    say(fd, text, strlen(text));
}

static void
say_hello(int agent)
{
    static const char hello[] = "\1\0\0\0kernel=6.1.0\0nonce=abcd";
    const struct {
        guint32 length;
        guint16 type, channel;
    } header = {sizeof hello, HB_FRAME_HELLO, 0};
    say(agent, &header, sizeof header);
    say(agent, hello, sizeof hello);
}

/* What is the scene's own, and comes once. */
static void
act(const char *scene, char **argv)
{
    int console = find_fd(argv, "hostbed-console"),
        agent = find_fd(argv, "hostbed-agent");
    int qmp = find_fd(argv, "hostbed-qmp");
    const char *firmware = find_argument(argv, "file,id=hostbed-firmware,path=");
    if (g_str_equal(scene, "slow")) {
        for (int i = 0; i < 6; i++, g_usleep(500 * 1000))
            say_text(console, "still at it\n");
        say_hello(agent);
    } else if (firmware && g_str_equal(scene, "late")) {
        say_hello(agent);
    } else if (firmware && g_str_equal(scene, "never")) {
        g_file_set_contents(firmware, "SeaBIOS\nBooting from ROM...\n", -1, NULL);
    } else if (firmware && g_str_equal(scene, "panic")) {
        say_text(console, "Kernel panic - not syncing: no init\n");
        say_text(qmp, "{\"event\": \"GUEST_PANICKED\", \"data\": {}}\n");
    } else {
        say_text(console, "Freeing unused memory\n");
    }
}

/* Answers everything with where its only processor stands; ends with its peer. */
static int
play(const char *scene, char **argv)
{
    int qmp = find_fd(argv, "hostbed-qmp");
    char c;
    say_text(qmp, GREETING);
    for (int id = 0; read(qmp, &c, 1) == 1;) {
        if (c != '\n')
            continue;
        id++;
        g_autofree char *answer =
            g_strdup_printf("{\"return\": %s, \"id\": %d}\n",
                            id == 1 ? "{}" : "\"RAX=0 RIP=ffffffff81234567 RFL=2\"", id);
        say_text(qmp, answer);
        if (id == 1)
            act(scene, argv);
    }
    return 0;
}

/* ---- our side
 * ---------------------------------------------------------------------------------------
 */

typedef struct {
    Plan plan;
    char *self, *kernel, *log_dir;
} World;

static void
make_plan(Plan *plan)
{
    static char *const words[] = {(char *)"boot", (char *)"l1", (char *)"pc-q35-7.2",
                                  (char *)"max", (char *)"console=ttyS0"};
    *plan = (Plan){.lab_name = words[0],
                   .memory_bytes = 64 << 20,
                   .host_id = words[1],
                   .machine = words[2],
                   .cpu_model = words[3],
                   .cmdline = words[4]};
    GPtrArray **lists[] = {&plan->machine_properties, &plan->cpu_features, &plan->cells,
                           &plan->iommu.properties,   &plan->functions,    &plan->roots,
                           &plan->interconnects,      &plan->groups,       &plan->modules,
                           &plan->optional_modules,   &plan->raw_args};
    for (gsize i = 0; i < G_N_ELEMENTS(lists); i++)
        *lists[i] = g_ptr_array_new();
}

static void
clear_world(World *world)
{
    GPtrArray *lists[] = {
        world->plan.machine_properties, world->plan.cpu_features, world->plan.cells,
        world->plan.iommu.properties,   world->plan.functions,    world->plan.roots,
        world->plan.interconnects,      world->plan.groups,       world->plan.modules,
        world->plan.optional_modules,   world->plan.raw_args};
    for (gsize i = 0; i < G_N_ELEMENTS(lists); i++)
        g_ptr_array_unref(lists[i]);
    g_free(world->self);
    g_free(world->kernel);
    g_free(world->log_dir);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, clear_world)

/* A forged kernel and agent, which nobody runs, in FOLDER, and NAME in it for the logs.
 */
static void
make_world(World *world, const char *folder, const char *name)
{
    g_autoptr(GBytes) elf = fake_elf(&(FakeElf){
        .note_owner = "Xen", .note_type = 18, .tail = "Linux version 6.1.0-fake (a@b)"});
    g_free(fake_write(folder, "hostbed-agent", elf));
    g_setenv("HOSTBED_LIBEXEC_DIR", folder, TRUE);
    make_plan(&world->plan);
    world->kernel = fake_write(folder, "vmlinux", elf);
    world->self = g_file_read_link("/proc/self/exe", NULL);
    world->log_dir = g_build_filename(folder, name, NULL);
    assert_int_equal(g_mkdir(world->log_dir, 0700), 0);
}

static Boot *
boot_so_often(const World *world, const char *scene, gboolean once, GError **error)
{
    g_autofree char *play_scene = g_strconcat("--play=", scene, NULL);
    const char *extra[] = {play_scene, NULL};
    const BootOptions options = {
        .plan = &world->plan,
        .emulator = world->self,
        .accel = ACCEL_TCG,
        .kernel = world->kernel,
        .log_dir = world->log_dir,
        .extra_args = extra,
        .once = once,
        .stall_ms = STALL_MS,
    };
    return boot_host(&options, error);
}

static Boot *
boot(const World *world, const char *scene, GError **error)
{
    return boot_so_often(world, scene, FALSE, error);
}

static void
need_busybox(void)
{
    g_autofree char *busybox = g_find_program_in_path("busybox");
    if (busybox)
        return;
    print_message("busybox is not on this machine\n");
    skip();
}

static void
assert_words(const char *text, const char *word)
{
    if (!strstr(text, word))
        fail_msg("'%s' is not in: %s", word, text);
}

static void
what_moves_is_waited_for(void **state)
{
    need_busybox();
    g_auto(World) world = {0};
    make_world(&world, *state, "slow");
    g_autoptr(GError) error = NULL;
    g_autoptr(Boot) slow = boot(&world, "slow", &error);
    if (!slow)
        fail_msg("%s", error->message);
    assert_null(slow->retried);
    assert_true(slow->boot_us > STALL_MS * 1000);
}

static void
a_hang_is_followed_by_a_second_start(void **state)
{
    need_busybox();
    g_auto(World) world = {0};
    make_world(&world, *state, "late");
    g_autoptr(GError) error = NULL;
    g_autoptr(Boot) late = boot(&world, "late", &error);
    if (!late)
        fail_msg("%s", error->message);
    assert_words(late->retried, "stood still for 2 s before its agent spoke");
    assert_words(late->retried, "in the kernel, at 0xffffffff81234567");
    assert_words(late->retried, "its console said last: Freeing unused memory");
    assert_words(late->retried, world.log_dir);
    g_autofree char *again = g_build_filename(world.log_dir, "retry", NULL);
    assert_string_equal(late->log_dir, again);
    assert_string_equal(guest_hello(late->guest, "kernel"), "6.1.0");
    assert_true(late->boot_us < STALL_MS * 1000); /* of the start that lives */
}

/* The same host, where nobody wants it so. */
static void
a_hang_can_be_the_end(void **state)
{
    need_busybox();
    g_auto(World) world = {0};
    make_world(&world, *state, "once");
    g_autoptr(GError) error = NULL;
    assert_null(boot_so_often(&world, "late", TRUE, &error));
    assert_int_equal(hb_error_status(error), HB_GUEST_HANG);
    assert_words(error->message, "stood still for 2 s before its agent spoke");
    g_autofree char *again = g_build_filename(world.log_dir, "retry", NULL);
    assert_false(g_file_test(again, G_FILE_TEST_EXISTS));
}

static void
a_second_hang_is_the_end(void **state)
{
    need_busybox();
    g_auto(World) world = {0};
    make_world(&world, *state, "never");
    g_autoptr(GError) error = NULL;
    assert_null(boot(&world, "never", &error));
    assert_int_equal(hb_error_status(error), HB_GUEST_HANG);
    assert_null(strchr(error->message, '\n'));
    assert_words(error->message,
                 "its kernel said nothing, its firmware last: Booting from");
    assert_words(error->message, "second start, and at the first the host stood still");
    assert_words(error->message, "Freeing unused memory; logs: ");
    g_autofree char *logs = g_strdup_printf("logs: %s/retry; ", world.log_dir);
    assert_words(error->message, logs);
    g_autofree char *third = g_build_filename(world.log_dir, "retry", "retry", NULL);
    assert_false(g_file_test(third, G_FILE_TEST_EXISTS));
}

/* What the second start dies of is its own. */
static void
a_second_start_has_its_own_outcome(void **state)
{
    need_busybox();
    g_auto(World) world = {0};
    make_world(&world, *state, "panic");
    g_autoptr(GError) error = NULL;
    assert_null(boot(&world, "panic", &error));
    assert_int_equal(hb_error_status(error), HB_GUEST_PANIC);
    assert_words(error->message, "the host's kernel panicked: Kernel panic");
    assert_words(error->message, "second start, and at the first the host stood still");
}

int
main(int argc, char **argv)
{
    const char *scene = find_argument(argv, "--play=");
    if (argc > 1 && scene)
        return play(scene, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_moves_is_waited_for),
        cmocka_unit_test(a_hang_is_followed_by_a_second_start),
        cmocka_unit_test(a_hang_can_be_the_end),
        cmocka_unit_test(a_second_hang_is_the_end),
        cmocka_unit_test(a_second_start_has_its_own_outcome),
    };
    return cmocka_run_group_tests_name("boot", tests, fake_root_setup,
                                       fake_root_teardown);
}
