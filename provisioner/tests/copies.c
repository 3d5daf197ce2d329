/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copies.h"
#include "error.h"
#include "image-fixture.h"

typedef struct {
    Initramfs *image;
    Programs *programs;
} Target;

static void
target_clear(Target *target)
{
    programs_free(target->programs);
    initramfs_free(target->image);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Target, target_clear)

static Target
target_new(void)
{
    Initramfs *image = initramfs_new();
    return (Target){image, programs_new(image)};
}

static gboolean
copy(Target *target, const char *argument, GError **error)
{
    const char *const arguments[] = {argument, NULL};
    return copies_add(target->image, target->programs, arguments, error);
}

static void
assert_refused(const char *argument, const char *words)
{
    g_auto(Target) target = target_new();
    g_autoptr(GError) error = NULL;
    assert_false(copy(&target, argument, &error));
    assert_int_equal(error->code, HB_USAGE);
    if (!strstr(error->message, words))
        fail_msg("'%s' is not in: %s", words, error->message);
}

static void
a_file_keeps_its_place_or_gets_another(void **state)
{
    g_autofree char *file = fake_write_text(*state, "one/data.txt", "x");
    g_autofree char *moved = g_strconcat(file, ":/srv/there", NULL);
    g_auto(Target) target = target_new();
    assert_true(copy(&target, file, NULL));
    assert_true(initramfs_has(target.image, file));
    assert_true(copy(&target, moved, NULL));
    assert_true(initramfs_has(target.image, "/srv/there"));
}

static void
a_folder_comes_with_all_that_is_plain(void **state)
{
    g_autofree char *file = fake_write_text(*state, "tree/a/b/data", "x");
    g_autofree char *folder = g_build_filename(*state, "tree", NULL);
    g_autofree char *link = g_build_filename(folder, "link", NULL);
    g_autofree char *fifo = g_build_filename(folder, "fifo", NULL);
    g_autofree char *argument = g_strconcat(folder, ":/w", NULL);
    assert_int_equal(symlink("/nowhere", link), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    g_auto(Target) target = target_new();
    assert_true(copy(&target, argument, NULL));
    assert_true(initramfs_has(target.image, "/w/a/b/data"));
    assert_true(initramfs_has(target.image, "/w/link"));
    assert_false(initramfs_has(target.image, "/w/fifo"));
    assert_refused(fifo, "neither a file nor a folder");
}

static void
programs_of_a_tree_bring_their_libraries(void **state)
{
    static const char *const nothing[] = {NULL};
    static const char *const needs[] = {"libcopied.so", NULL};
    static const char *const lacks[] = {"libnowhere.so", NULL};
    g_autoptr(GBytes) library = fake_elf(&(FakeElf){.needed = nothing});
    g_autofree char *at = fake_write(*state, "lib/libcopied.so", library);
    g_autoptr(GBytes) elf =
        fake_elf(&(FakeElf){.needed = needs, .runpath = "$ORIGIN/../lib"});
    g_autofree char *program = fake_write(*state, "build/test", elf);
    g_autoptr(GBytes) other_elf = fake_elf(&(FakeElf){.needed = lacks});
    g_autofree char *other = fake_write(*state, "build/other", other_elf);
    g_autofree char *folder = g_path_get_dirname(program);
    g_auto(Target) target = target_new();
    assert_true(copy(&target, folder, NULL));
    assert_true(initramfs_has(target.image, program));
    assert_true(initramfs_has(target.image, at));
    /* Whoever starts it will be told by the linker inside. */
    assert_true(initramfs_has(target.image, other));
}

/* As DPDK's plug-ins are: ROOT/dpdk/pmds/librte_net.so -> ../../librte_net.so. */
static void
links_bring_the_file_that_they_lead_to(void **state)
{
    static const char *const nothing[] = {NULL};
    static const char *const needs[] = {"libdeep.so", NULL};
    g_autoptr(GBytes) library = fake_elf(&(FakeElf){.needed = nothing});
    g_autofree char *deep = fake_write(*state, "link/deep/libdeep.so", library);
    g_autoptr(GBytes) elf =
        fake_elf(&(FakeElf){.needed = needs, .runpath = "$ORIGIN/deep"});
    g_autofree char *plug_in = fake_write(*state, "link/librte_net.so", elf);
    g_autofree char *inner = fake_write_text(*state, "link/dpdk/pmds/inner", "x");
    g_autofree char *pmds = g_path_get_dirname(inner);
    g_autofree char *link = g_build_filename(pmds, "librte_net.so", NULL);
    g_autofree char *folder_link = g_build_filename(pmds, "folder", NULL);
    g_autofree char *device_link = g_build_filename(pmds, "device", NULL);
    assert_int_equal(symlink("../../librte_net.so", link), 0);
    assert_int_equal(symlink("/etc", folder_link), 0);
    assert_int_equal(symlink("/dev/null", device_link), 0);

    g_auto(Target) target = target_new();
    assert_true(copy(&target, pmds, NULL));
    assert_true(initramfs_has(target.image, link));
    assert_true(initramfs_has(target.image, plug_in));
    assert_true(initramfs_has(target.image, deep));
    assert_true(initramfs_has(target.image, folder_link));
    assert_false(initramfs_has(target.image, "/etc/passwd"));
    assert_false(initramfs_has(target.image, "/dev/null"));
    /* Where the link leads to in the host, which is another place there. */
    g_autofree char *moved = g_strconcat(pmds, ":/opt/x/pmds", NULL);
    assert_true(copy(&target, moved, NULL));
    assert_true(initramfs_has(target.image, "/opt/librte_net.so"));
}

static void
what_cannot_be_copied_is_told(void **state)
{
    assert_refused("/no/such/file", "cannot copy /no/such/file into the host: No such");
    assert_refused("/etc/passwd:relative", "/etc/passwd:relative into the host");
    assert_refused("", "names nothing");
    assert_refused(":/x", "names nothing");
}

static void
what_the_host_needs_is_not_replaced(void **state)
{
    g_autofree char *file = fake_write_text(*state, "file", "x");
    const char *const targets[] = {
        "/init",       "/dev/null", "/proc", "/sys/x/y", "/etc/hostbed/modules",
        "/tmp/../init"};
    for (guint i = 0; i < G_N_ELEMENTS(targets); i++) {
        g_autofree char *argument = g_strconcat(file, ":", targets[i], NULL);
        assert_refused(argument, "in the host is its own");
    }
    assert_refused("/", "'/' cannot be replaced");
    g_autofree char *fine = g_strconcat(file, ":/initial", NULL);
    g_auto(Target) target = target_new();
    assert_true(copy(&target, fine, NULL));
}

/* /lib is a link in the image; what a folder of that name holds goes where it leads. */
static void
links_of_the_image_stay(void **state)
{
    g_autofree char *file = fake_write_text(*state, "lib2/data", "x");
    g_autofree char *folder = g_path_get_dirname(file);
    g_autofree char *argument = g_strconcat(folder, ":/lib", NULL);
    g_auto(Target) target = target_new();
    assert_true(copy(&target, argument, NULL));
    assert_true(initramfs_has(target.image, "/usr/lib/data"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_keeps_its_place_or_gets_another),
        cmocka_unit_test(a_folder_comes_with_all_that_is_plain),
        cmocka_unit_test(programs_of_a_tree_bring_their_libraries),
        cmocka_unit_test(links_bring_the_file_that_they_lead_to),
        cmocka_unit_test(what_cannot_be_copied_is_told),
        cmocka_unit_test(what_the_host_needs_is_not_replaced),
        cmocka_unit_test(links_of_the_image_stay),
    };
    return cmocka_run_group_tests(tests, fake_root_setup, fake_root_teardown);
}
