/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autoptr.h"
#include "error.h"
#include "image-fixture.h"
#include "image.h"
#include "initramfs.h"

static GBytes *
written(const Initramfs *image, const char *root)
{
    g_autofree char *path = fake_write_text(root, "out.cpio", "");
    int fd = open(path, O_WRONLY | O_TRUNC);
    assert_true(initramfs_write(image, fd, path, NULL));
    close(fd);
    char *data;
    gsize length;
    assert_true(g_file_get_contents(path, &data, &length, NULL));
    return g_bytes_new_take(data, length);
}

static void
a_full_disk_is_told_with_its_place(void **state)
{
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        skip();
    g_autofree char *text = g_strnfill(1 << 20, 'x');
    g_autoptr(Initramfs) image = initramfs_new();
    g_autoptr(GError) error = NULL;
    initramfs_add_text(image, "/etc/large", text, 0644);
    assert_false(initramfs_write(image, fd, "/the/cache", &error));
    assert_non_null(strstr(error->message, "/the/cache: No space left on device"));
    close(fd);
}

static void
the_same_tree_is_the_same_bytes(void **state)
{
    g_autofree char *source = fake_write_text(*state, "same", "content");
    g_autoptr(Initramfs) one = initramfs_new();
    initramfs_add_text(one, "/etc/a", "a", 0644);
    initramfs_add_file(one, "/sbin/tool", source, 0755);
    initramfs_add_device(one, "/dev/null", 1, 3, 0666);
    g_autoptr(Initramfs) other = initramfs_new();
    initramfs_add_device(other, "/dev/null", 1, 3, 0666);
    initramfs_add_file(other, "/usr/bin/tool", source, 0755);
    initramfs_add_text(other, "/etc/a", "wrong", 0600);
    initramfs_add_text(other, "/etc/a", "a", 0644);
    g_autoptr(GBytes) one_bytes = written(one, *state);
    g_autoptr(GBytes) other_bytes = written(other, *state);
    assert_true(g_bytes_equal(one_bytes, other_bytes));
    g_autofree char *one_key = initramfs_key(one, NULL);
    g_autofree char *other_key = initramfs_key(other, NULL);
    assert_string_equal(one_key, other_key);
}

static void
the_key_follows_what_goes_in(void **state)
{
    g_autofree char *source = fake_write_text(*state, "followed", "content");
    g_autoptr(Initramfs) image = initramfs_new();
    initramfs_add_file(image, "/a", source, 0755);
    g_autofree char *first = initramfs_key(image, NULL);
    g_free(fake_write_text(*state, "followed", "CONTENT"));
    g_autofree char *second = initramfs_key(image, NULL);
    initramfs_add_text(image, "/b", "text", 0644);
    g_autofree char *third = initramfs_key(image, NULL);
    assert_string_not_equal(first, second);
    assert_string_not_equal(second, third);
    assert_int_equal(unlink(source), 0);
    g_autoptr(GError) error = NULL;
    assert_null(initramfs_key(image, &error));
    assert_non_null(strstr(error->message, source));
}

/* Path → "MODE uid:gid mtime", a link's target or a text, as an archiver reads it. */
static char *
member(GBytes *cpio, const char *wanted)
{
    g_autoptr(ArchiveReader) archive = archive_read_new();
    archive_read_support_format_cpio(archive);
    gsize size;
    const void *data = g_bytes_get_data(cpio, &size);
    assert_int_equal(archive_read_open_memory(archive, data, size), ARCHIVE_OK);
    struct archive_entry *entry;
    while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
        if (strcmp(archive_entry_pathname(entry), wanted) != 0)
            continue;
        char text[256] = "";
        archive_read_data(archive, text, sizeof text - 1);
        const char *link = archive_entry_symlink(entry);
        return g_strdup_printf("%o %d:%d %ld %s", archive_entry_mode(entry),
                               (int)archive_entry_uid(entry),
                               (int)archive_entry_gid(entry),
                               (long)archive_entry_mtime(entry), link ? link : text);
    }
    return NULL;
}

static void
check_member(GBytes *cpio, const char *path, const char *expected)
{
    g_autofree char *got = member(cpio, path);
    assert_non_null(got);
    assert_string_equal(got, expected);
}

static void
an_archiver_reads_what_was_added(void **state)
{
    g_autoptr(Initramfs) image = initramfs_new();
    initramfs_add_text(image, "/lib/deep/down/file", "text", 0640);
    initramfs_add_folder(image, "/tmp", 01777);
    g_autoptr(GBytes) cpio = written(image, *state);
    check_member(cpio, "usr/lib/deep/down/file", "100640 0:0 0 text");
    check_member(cpio, "usr/lib/deep", "40755 0:0 0 ");
    check_member(cpio, "tmp", "41777 0:0 0 ");
    check_member(cpio, "lib", "120777 0:0 0 usr/lib");
    g_autofree char *inside_link = member(cpio, "lib/deep");
    assert_null(inside_link);
    /* Linux takes nothing after the trailer's block; no padding to whole records either.
     */
    assert_int_equal(g_bytes_get_size(cpio) % 4, 0);
    assert_true(g_bytes_get_size(cpio) < 4096);
}

/* One file under several names: its content is there once, and all names show it. */
static void
a_file_with_several_names_is_there_once(void **state)
{
    g_autofree char *text = g_strnfill(200000, 'x');
    g_autofree char *source = fake_write_text(*state, "original", text);
    g_autofree char *second = g_build_filename(*state, "second", NULL);
    assert_int_equal(symlink("original", second), 0);
    g_autoptr(Initramfs) image = initramfs_new();
    initramfs_add_file(image, "/lib64/ld.so", source, 0755);
    initramfs_add_file(image, "/lib/x/ld.so", second, 0755);
    initramfs_add_file(image, "/etc/other-mode/ld.so", source, 0644);
    g_autoptr(GBytes) cpio = written(image, *state);
    assert_in_range(g_bytes_get_size(cpio), 200000, 204000);

    g_autoptr(ArchiveReader) archive = archive_read_new();
    archive_read_support_format_cpio(archive);
    gsize size;
    const void *data = g_bytes_get_data(cpio, &size);
    assert_int_equal(archive_read_open_memory(archive, data, size), ARCHIVE_OK);
    struct archive_entry *entry;
    gint64 inodes[3] = {0};
    guint names = 0;
    while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
        if (!g_str_has_suffix(archive_entry_pathname(entry), "/ld.so"))
            continue;
        assert_in_range(names, 0, 2);
        assert_int_equal(archive_entry_nlink(entry), 3);
        assert_int_equal(archive_entry_perm(entry), 0755);
        inodes[names++] = archive_entry_ino64(entry);
    }
    assert_int_equal(names, 3);
    assert_int_equal(inodes[0], inodes[1]);
    assert_int_equal(inodes[0], inodes[2]);
}

static void
only_commands_that_may_start_tools_get_them(void **state)
{
    static const char *const with[][4] = {
        {"lspci", "-t"},          {"numactl", "--hardware"},
        {"sh", "-c", "lspci -t"}, {"sh"},
        {"env", "true"},          {"/bin/true"},
        {"my-program"},           {"ls", "/usr/bin"},
        {"ls", "usr/bin"},        {"cat", "/sys/../etc"}};
    static const char *const without[][4] = {{"true"},
                                             {"cat", "/proc/cmdline"},
                                             {"ls", "-l", "/sys/class/net"},
                                             {"echo", "lspci"}};
    for (guint i = 0; i < G_N_ELEMENTS(with); i++)
        if (!image_command_wants_tools(with[i]))
            fail_msg("%s would not have the tools", with[i][0]);
    for (guint i = 0; i < G_N_ELEMENTS(without); i++)
        if (image_command_wants_tools(without[i]))
            fail_msg("%s would have the tools for nothing", without[i][0]);
}

static void
check_there(GBytes *cpio, const char *path)
{
    g_autofree char *got = member(cpio, path);
    if (!got)
        fail_msg("there is no %s in the image", path);
}

typedef struct {
    char *agent, *suites;
    Kernel kernel;
    GPtrArray *modules;
} World;

static void
make_world(World *world, const char *root)
{
    g_autoptr(GBytes) program = fake_elf(&(FakeElf){.tail = "agent"});
    g_autoptr(GBytes) module = fake_elf(&(FakeElf){.modinfo = "depends=below\n"});
    g_autoptr(GBytes) below = fake_elf(&(FakeElf){.modinfo = "depends=built_in\n"});
    world->agent = fake_write(root, "vmtests/hostbed-agent", program);
    g_free(fake_write(root, "vmtests/numa", program));
    g_free(fake_write_text(root, "vmtests/.libs/ignored", "x"));
    g_autofree char *object = fake_write_text(root, "vmtests/numa.o", "x");
    g_chmod(object, 0644);
    world->suites = g_build_filename(root, "vmtests", NULL);
    g_free(fake_write(root, "modules/kernel/above.ko", module));
    g_free(fake_write(root, "modules/kernel/below.ko", below));
    g_free(fake_write_text(root, "modules/modules.builtin", "kernel/built-in.ko\n"));
    world->kernel.release = g_strdup("6.1.0-world");
    world->kernel.modules_dir = g_build_filename(root, "modules", NULL);
    world->kernel.origin = g_strdup("test");
    world->modules = g_ptr_array_new();
    g_ptr_array_add(world->modules, (char *)"above");
}

static void
clear_world(World *world)
{
    g_free(world->agent);
    g_free(world->suites);
    g_free(world->kernel.release);
    g_free(world->kernel.modules_dir);
    g_free(world->kernel.origin);
    g_ptr_array_unref(world->modules);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, clear_world)

static ImageOptions
options_in(const World *world)
{
    return (ImageOptions){
        .kernel = &world->kernel, .modules = world->modules, .agent = world->agent};
}

/* The image of OPTIONS, which must be built; PATH: where it is. */
static GBytes *
built(const ImageOptions *options, char **path)
{
    g_autoptr(GError) error = NULL;
    char *data;
    gsize length;
    *path = image_build(options, &error);
    if (!*path)
        fail_msg("%s", error->message);
    assert_true(g_file_get_contents(*path, &data, &length, NULL));
    return g_bytes_new_take(data, length);
}

static void
an_image_has_all_a_host_needs(void **state)
{
    g_autofree char *busybox = g_find_program_in_path("busybox");
    if (!busybox) {
        print_message("busybox is not on this machine\n");
        skip();
    }
    g_auto(World) world = {0};
    make_world(&world, *state);
    ImageOptions options = options_in(&world);
    options.suites_dir = world.suites;
    options.folder = "/srv/work";
    g_autofree char *path = NULL;
    g_autoptr(GBytes) cpio = built(&options, &path);
    check_member(cpio, "etc/hostbed/modules",
                 "100644 0:0 0 /lib/modules/6.1.0-world/kernel/below.ko\n"
                 "/lib/modules/6.1.0-world/kernel/above.ko\n");
    check_member(cpio, "usr/lib/modules/6.1.0-world/modules.dep",
                 "100644 0:0 0 kernel/below.ko:\nkernel/above.ko: kernel/below.ko\n");
    check_member(cpio, "usr/bin/sh", "120777 0:0 0 busybox");
    check_member(cpio, "var/run", "120777 0:0 0 ../run");
    check_member(cpio, "var/tmp", "41777 0:0 0 ");
    check_member(cpio, "tmp", "41777 0:0 0 ");
    check_member(cpio, "root", "40700 0:0 0 ");
    check_member(cpio, "srv/work", "40777 0:0 0 ");
    static const char *const there[] = {"init",
                                        "usr/bin/busybox",
                                        "dev/console",
                                        "dev/null",
                                        "etc/passwd",
                                        "etc/group",
                                        "etc/hosts",
                                        "mnt",
                                        "proc",
                                        "run",
                                        "sys",
                                        "usr/lib/modules/6.1.0-world/modules.dep.bin",
                                        "usr/lib/hostbed/vmtests/numa"};
    for (guint i = 0; i < G_N_ELEMENTS(there); i++)
        check_there(cpio, there[i]);
    static const char *const absent[] = {"usr/lib/hostbed/vmtests/hostbed-agent",
                                         "usr/lib/hostbed/vmtests/numa.o",
                                         "usr/lib/hostbed/vmtests/ignored"};
    for (guint i = 0; i < G_N_ELEMENTS(absent); i++)
        assert_null(member(cpio, absent[i]));

    g_autofree char *again = image_build(&options, NULL);
    assert_string_equal(again, path);
    assert_int_equal(truncate(path, 1000), 0);
    g_autofree char *repaired = image_build(&options, NULL);
    struct stat st;
    assert_int_equal(stat(repaired, &st), 0);
    assert_int_equal(st.st_size, g_bytes_get_size(cpio));
}

static void
check_refused(const ImageOptions *options, int code, const char *words)
{
    g_autoptr(GError) error = NULL;
    assert_null(image_build(options, &error));
    assert_int_equal(error->code, code);
    if (!strstr(error->message, words))
        fail_msg("'%s' is not in: %s", words, error->message);
}

static void
what_is_missing_is_named(void **state)
{
    g_autofree char *path = g_strdup(g_getenv("PATH"));
    g_auto(World) world = {0};
    make_world(&world, *state);
    const char *const programs[] = {"no-such-program", NULL};
    ImageOptions options = options_in(&world);
    options.programs = programs;
    g_autofree char *folder = g_build_filename(*state, "vmtests", NULL);
    g_autoptr(GBytes) fake = fake_elf(&(FakeElf){.interpreter = "/lib64/ld.so"});
    g_autofree char *dynamic = fake_write(*state, "vmtests/busybox", fake);
    g_setenv("PATH", folder, TRUE);
    check_refused(&options, HB_INFRASTRUCTURE, "busybox-static");
    assert_int_equal(unlink(dynamic), 0);
    g_setenv("PATH", path, TRUE);
    g_autofree char *busybox = g_find_program_in_path("busybox");
    if (busybox) {
        check_refused(&options, HB_USAGE, "no program 'no-such-program'");
        options.agent = "/no/agent";
        check_refused(&options, HB_INFRASTRUCTURE, "the agent /no/agent");
    }
}

static void
a_command_goes_in_unless_the_image_has_it(void **state)
{
    g_autofree char *busybox = g_find_program_in_path("busybox");
    if (!busybox)
        skip();
    g_auto(World) world = {0};
    make_world(&world, *state);
    g_autofree char *script = fake_write_text(*state, "bin/check", "#!/bin/sh\n");
    g_autofree char *place = g_canonicalize_filename(script, NULL);
    const char *const commands[] = {place, "sh", "/bin/ls", "no-such-program", NULL};
    ImageOptions options = options_in(&world);
    options.commands = commands;
    options.folder = "/made/here";
    g_autofree char *path = NULL;
    g_autoptr(GBytes) cpio = built(&options, &path);
    check_there(cpio, place + 1);
    check_there(cpio, "made/here");
    check_member(cpio, "usr/bin/sh", "120777 0:0 0 busybox");
    check_member(cpio, "var/run", "120777 0:0 0 ../run");
    check_member(cpio, "var/tmp", "41777 0:0 0 ");
    check_member(cpio, "usr/bin/ls", "120777 0:0 0 busybox");
}

static void
what_does_not_fit_the_hosts_memory_is_refused(void **state)
{
    g_autofree char *busybox = g_find_program_in_path("busybox");
    if (!busybox)
        skip();
    g_auto(World) world = {0};
    make_world(&world, *state);
    g_autofree char *large = fake_write_text(*state, "large", "");
    g_autofree char *twice = g_strconcat(large, ":/twice", NULL);
    const char *const copies[] = {large, twice, NULL};
    ImageOptions options = options_in(&world);
    options.copies = copies;
    options.memory_bytes = 200 << 20;
    /* Neither is written: there are holes only. Two names are one file. */
    assert_int_equal(truncate(large, 100 << 20), 0);
    check_refused(&options, HB_USAGE, "MiB, and its memory has room for 90: copy less");
    assert_int_equal(truncate(large, 60 << 20), 0);
    g_autofree char *path = image_build(&options, NULL);
    assert_non_null(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_is_told_with_its_place),
        cmocka_unit_test(the_same_tree_is_the_same_bytes),
        cmocka_unit_test(the_key_follows_what_goes_in),
        cmocka_unit_test(an_archiver_reads_what_was_added),
        cmocka_unit_test(a_file_with_several_names_is_there_once),
        cmocka_unit_test(only_commands_that_may_start_tools_get_them),
        cmocka_unit_test(a_command_goes_in_unless_the_image_has_it),
        cmocka_unit_test(what_does_not_fit_the_hosts_memory_is_refused),
        cmocka_unit_test(an_image_has_all_a_host_needs),
        cmocka_unit_test(what_is_missing_is_named),
    };
    return cmocka_run_group_tests_name("image", tests, fake_root_setup,
                                       fake_root_teardown);
}
