/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "image-fixture.h"
#include "image.h"
#include "unpack.h"

static GBytes *
pvh_elf(const char *words)
{
    return fake_elf(&(FakeElf){.note_owner = "Xen", .note_type = 18, .tail = words});
}

static GBytes *
pvh_bzimage(const char *release)
{
    g_autoptr(GBytes) payload = pvh_elf(release);
    return fake_bzimage(release, payload);
}

static void
refused(const char *path, int code, const char *words)
{
    g_autoptr(GError) error = NULL;
    assert_null(kernel_find(path, &error));
    assert_int_equal(error->code, code);
    if (!strstr(error->message, words))
        fail_msg("'%s' is not in: %s", words, error->message);
}

static void
a_bzimage_is_unpacked_once(void **state)
{
    g_autoptr(GBytes) payload = pvh_elf("unpacked");
    g_autoptr(GBytes) image = fake_bzimage("6.1.0-fake", payload);
    g_autofree char *path = fake_write(*state, "one/bzImage", image);
    g_autoptr(Kernel) kernel = kernel_find(path, NULL);
    assert_string_equal(kernel->release, "6.1.0-fake");
    assert_null(kernel->modules_dir);

    g_autofree char *boot = kernel_boot_file(kernel, NULL);
    g_autofree char *data = NULL;
    gsize length;
    assert_true(g_file_get_contents(boot, &data, &length, NULL));
    assert_memory_equal(data, g_bytes_get_data(payload, NULL), length);
    g_autofree char *again = kernel_boot_file(kernel, NULL);
    assert_string_equal(boot, again);
    g_autofree char *efi = kernel_efi_file(kernel, NULL);
    assert_string_equal(efi, path);
    assert_int_equal(truncate(boot, 100), 0);
    g_autofree char *repaired = kernel_boot_file(kernel, NULL);
    g_autofree char *whole = NULL;
    assert_true(g_file_get_contents(repaired, &whole, &length, NULL));
    assert_int_equal(length, g_bytes_get_size(payload));
}

static void
another_build_of_a_release_is_another_file(void **state)
{
    g_autoptr(GBytes) one = pvh_elf("one"), other = pvh_elf("two");
    g_autoptr(GBytes) image_one = fake_bzimage("6.1.0-twice", one);
    g_autoptr(GBytes) image_other = fake_bzimage("6.1.0-twice", other);
    g_autofree char *path = fake_write(*state, "twice/bzImage", image_one);
    g_autoptr(Kernel) kernel = kernel_find(path, NULL);
    g_autofree char *first = kernel_boot_file(kernel, NULL);
    g_free(fake_write(*state, "twice/bzImage", image_other));
    g_autofree char *second = kernel_boot_file(kernel, NULL);
    assert_string_not_equal(first, second);
}

static void
without_the_note_the_bzimage_is_booted(void **state)
{
    g_autoptr(GBytes) payload =
        fake_elf(&(FakeElf){.note_owner = "GNU", .note_type = 18});
    g_autoptr(GBytes) image = fake_bzimage("6.1.0", payload);
    g_autofree char *path = fake_write(*state, "plain/bzImage", image);
    g_autoptr(Kernel) kernel = kernel_find(path, NULL);
    g_autofree char *boot = kernel_boot_file(kernel, NULL);
    assert_string_equal(boot, path);
}

static void
a_damaged_payload_boots_the_bzimage(void **state)
{
    g_autoptr(GBytes) image = pvh_bzimage("6.1.0-damaged");
    gsize size;
    g_autofree char *data =
        g_memdup2(g_bytes_get_data(image, &size), g_bytes_get_size(image));
    memset(data + 2048 + 16 + 12, 0xff, 40);
    g_autoptr(GBytes) damaged = g_bytes_new(data, g_bytes_get_size(image));
    g_autofree char *path = fake_write(*state, "damaged/bzImage", damaged);
    g_autoptr(Kernel) kernel = kernel_find(path, NULL);
    g_autofree char *boot = kernel_boot_file(kernel, NULL);
    assert_string_equal(boot, path);
}

static void
a_vmlinux_needs_the_note(void **state)
{
    g_autoptr(GBytes) good = pvh_elf("Linux version 6.9.0-elf (a@b) #1");
    g_autofree char *path = fake_write(*state, "elf/vmlinux", good);
    g_autoptr(Kernel) kernel = kernel_find(path, NULL);
    assert_string_equal(kernel->release, "6.9.0-elf");
    g_autofree char *boot = kernel_boot_file(kernel, NULL);
    assert_string_equal(boot, path);
    g_autoptr(GError) no_program = NULL;
    assert_null(kernel_efi_file(kernel, &no_program));
    assert_int_equal(no_program->code, HB_UNSUPPORTED);
    assert_non_null(strstr(no_program->message, "bzImage"));

    g_autoptr(GBytes) bad = fake_elf(&(FakeElf){.tail = "Linux version 6.9.0 (a@b)"});
    g_autofree char *bad_path = fake_write(*state, "elf/bad", bad);
    g_autoptr(Kernel) without = kernel_find(bad_path, NULL);
    g_autoptr(GError) error = NULL;
    assert_null(kernel_boot_file(without, &error));
    assert_int_equal(error->code, HB_UNSUPPORTED);
    assert_non_null(strstr(error->message, "CONFIG_PVH"));
}

static void
what_is_no_kernel_is_refused(void **state)
{
    g_autoptr(GBytes) image = pvh_bzimage("6.1.0");
    g_autoptr(GBytes) cut = g_bytes_new_from_bytes(image, 0, g_bytes_get_size(image) - 1);
    g_autoptr(GBytes) header = g_bytes_new_from_bytes(image, 0, 0x210);
    g_autoptr(GBytes) climbing = pvh_bzimage("../../../etc");
    g_autoptr(GBytes) stranger = fake_elf(&(FakeElf){.tail = "hello"});
    g_autofree char *cut_path = fake_write(*state, "bad/cut", cut);
    g_autofree char *header_path = fake_write(*state, "bad/header", header);
    g_autofree char *climbing_path = fake_write(*state, "bad/climbing", climbing);
    g_autofree char *stranger_path = fake_write(*state, "bad/stranger", stranger);
    g_autofree char *text_path = fake_write_text(*state, "bad/text", "hello");
    g_autofree char *empty_path = fake_write_text(*state, "bad/empty", "");
    refused(cut_path, HB_USAGE, "cut short");
    refused(header_path, HB_USAGE, "neither a bzImage nor a vmlinux");
    refused(climbing_path, HB_USAGE, "tells no release");
    refused(stranger_path, HB_USAGE, "banner");
    refused(text_path, HB_USAGE, "neither a bzImage nor a vmlinux");
    refused(empty_path, HB_USAGE, "neither a bzImage nor a vmlinux");
    refused("/nowhere/at/all", HB_INFRASTRUCTURE, "there is no kernel");
    refused("/dev/zero", HB_USAGE, "not a file");
}

static void
a_folder_has_its_newest_whole_kernel(void **state)
{
    g_autoptr(GBytes) old = pvh_bzimage("6.1.0-9"), newer = pvh_bzimage("6.1.0-10");
    g_autoptr(GBytes) bare = pvh_bzimage("6.1.0-11");
    g_free(fake_write(*state, "root/boot/vmlinuz-6.1.0-9", old));
    g_free(fake_write(*state, "root/boot/vmlinuz-6.1.0-10", newer));
    g_free(fake_write(*state, "root/boot/vmlinuz-6.1.0-11", bare));
    g_free(fake_write_text(*state, "root/lib/modules/6.1.0-9/modules.order", ""));
    g_free(fake_write_text(*state, "root/usr/lib/modules/6.1.0-10/modules.order", ""));
    g_free(fake_write_text(*state, "root/boot/config-6.1.0-10", "CONFIG_PVH=y\n"));
    g_autofree char *root = g_build_filename(*state, "root", NULL);
    g_autoptr(Kernel) kernel = kernel_find(root, NULL);
    assert_string_equal(kernel->release, "6.1.0-10");
    assert_true(g_str_has_suffix(kernel->modules_dir, "/usr/lib/modules/6.1.0-10"));
    assert_true(g_str_has_suffix(kernel->config, "/boot/config-6.1.0-10"));
    g_autofree char *empty = g_build_filename(*state, "root", "boot", "nothing", NULL);
    g_free(fake_write_text(empty, "here", ""));
    refused(empty, HB_USAGE, "there is no kernel");
}

static void
a_build_tree_brings_its_modules(void **state)
{
    g_autoptr(GBytes) image = pvh_bzimage("6.12.0-mine");
    g_autofree char *path = fake_write(*state, "tree/arch/x86/boot/bzImage", image);
    g_free(
        fake_write_text(*state, "tree/include/config/kernel.release", "6.12.0-mine\n"));
    g_free(fake_write_text(*state, "tree/modules.order", ""));
    g_free(fake_write_text(*state, "tree/.config", ""));
    g_autofree char *tree = g_build_filename(*state, "tree", NULL);
    g_autoptr(Kernel) by_tree = kernel_find(tree, NULL);
    g_autoptr(Kernel) by_image = kernel_find(path, NULL);
    assert_string_equal(by_tree->image, path);
    assert_string_equal(by_tree->modules_dir, tree);
    assert_string_equal(by_image->modules_dir, tree);
    assert_true(g_str_has_suffix(by_tree->config, "/tree/.config"));
    assert_int_equal(unlink(path), 0);
    refused(tree, HB_USAGE, "make bzImage modules");
}

static void
the_environment_names_a_kernel(void **state)
{
    g_autoptr(GBytes) image = pvh_bzimage("6.6.6-env");
    g_autofree char *path = fake_write(*state, "env/bzImage", image);
    g_setenv("HOSTBED_KERNEL", path, TRUE);
    g_autoptr(Kernel) kernel = kernel_find(NULL, NULL);
    g_setenv("HOSTBED_KERNEL", "/nowhere", TRUE);
    refused(NULL, HB_INFRASTRUCTURE, "HOSTBED_KERNEL: ");
    g_unsetenv("HOSTBED_KERNEL");
    assert_string_equal(kernel->release, "6.6.6-env");
}

static gboolean
listed(const char *release)
{
    g_autoptr(GPtrArray) kernels = kernel_list();
    for (guint i = 0; i < kernels->len; i++)
        if (strcmp(((Kernel *)kernels->pdata[i])->release, release) == 0)
            return TRUE;
    return FALSE;
}

static void
a_package_is_unpacked_and_found_from_then_on(void **state)
{
    g_autoptr(GBytes) image = pvh_bzimage("6.12.0-deb");
    g_autoptr(GBytes) text = g_bytes_new("evil\n", 5);
    const FakeFile files[] = {
        {"./boot/vmlinuz-6.12.0-deb", image},
        {"./usr/lib/modules/6.12.0-deb/modules.order", text},
        {"./usr/lib/modules/6.12.0-deb/../../../../evil", text},
        {"./usr/lib/modules/6.12.0-deb/out", NULL},
        {"./usr/lib/modules/6.12.0-deb/out/evil", text},
        {"/boot/vmlinuz-", text},
        {"./usr/share/doc/copyright", text},
        {NULL, NULL},
    };
    g_autoptr(GBytes) deb = fake_deb(files);
    g_autofree char *path = fake_write(*state, "linux.deb", deb);
    assert_false(listed("6.12.0-deb"));
    g_autoptr(Kernel) kernel = kernel_find(path, NULL);
    assert_string_equal(kernel->release, "6.12.0-deb");
    assert_true(g_str_has_suffix(kernel->modules_dir, "/lib/modules/6.12.0-deb"));
    assert_true(listed("6.12.0-deb"));

    g_autofree char *evil =
        g_build_filename(kernel->modules_dir, "../../../../evil", NULL);
    assert_false(g_file_test(evil, G_FILE_TEST_EXISTS));
    g_autofree char *link = g_build_filename(kernel->modules_dir, "out", NULL);
    assert_false(g_file_test(link, G_FILE_TEST_IS_SYMLINK));
    g_autofree char *doc = g_build_filename(kernel->modules_dir, "../../../usr", NULL);
    assert_false(g_file_test(doc, G_FILE_TEST_EXISTS));
    const char *const packages[] = {path, NULL};
    g_autoptr(Kernel) again = kernel_add(packages, NULL);
    assert_string_equal(again->image, kernel->image);
}

/* As programs of others need them; in a build tree there are none to be had. */
static void
modules_of_a_package_get_lists(void **state)
{
    g_autofree char *tool = g_find_program_in_path("depmod");
    if (!tool && access("/sbin/depmod", X_OK) != 0)
        skip();
    g_autoptr(GBytes) image = pvh_bzimage("6.12.1-lists");
    g_autoptr(GBytes) order = g_bytes_new("", 0);
    const FakeFile files[] = {
        {"./boot/vmlinuz-6.12.1-lists", image},
        {"./usr/lib/modules/6.12.1-lists/modules.order", order},
        {NULL, NULL},
    };
    g_autoptr(GBytes) deb = fake_deb(files);
    g_autofree char *path = fake_write(*state, "lists.deb", deb);
    g_autoptr(Kernel) kernel = kernel_find(path, NULL);
    assert_true(kernel_index_modules(kernel));
    g_autofree char *list =
        g_build_filename(kernel->modules_dir, "modules.dep.bin", NULL);
    assert_true(g_file_test(list, G_FILE_TEST_IS_REGULAR));
    assert_true(kernel_index_modules(kernel));

    g_free(kernel->modules_dir);
    kernel->modules_dir = g_strdup(*state);
    assert_false(kernel_index_modules(kernel));
    g_clear_pointer(&kernel->modules_dir, g_free);
    assert_false(kernel_index_modules(kernel));
}

static guint
count_folder(const char *root, const char *kind)
{
    g_autofree char *path = g_build_filename(root, "cache/hostbed", kind, NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    guint count = 0;
    while (dir && g_dir_read_name(dir))
        count++;
    return count;
}

static void
a_bad_package_is_refused_and_leaves_nothing(void **state)
{
    guint before = count_folder(*state, "packages");
    g_autoptr(GBytes) text = g_bytes_new("text\n", 5);
    const FakeFile files[] = {{"./usr/share/doc/readme", text}, {NULL, NULL}};
    g_autoptr(GBytes) deb = fake_deb(files);
    g_autoptr(GBytes) cut = g_bytes_new_from_bytes(deb, 0, g_bytes_get_size(deb) - 64);
    g_autofree char *other_path = fake_write(*state, "other.deb", deb);
    g_autofree char *cut_path = fake_write(*state, "cut.deb", cut);
    g_autofree char *text_path = fake_write_text(*state, "text.deb", "no archive at all");
    g_autofree char *rpm_path = fake_write_text(*state, "text.rpm", "no archive at all");
    refused(other_path, HB_INFRASTRUCTURE, "neither a kernel nor modules");
    refused(cut_path, HB_INFRASTRUCTURE, "cannot unpack");
    refused(text_path, HB_INFRASTRUCTURE, "cannot unpack");
    refused(rpm_path, HB_INFRASTRUCTURE, "cannot unpack");
    assert_int_equal(count_folder(*state, "packages"), before);
    const char *const wrong[] = {"/etc/passwd", NULL};
    assert_null(kernel_add(wrong, NULL));
}

static gboolean
on_signal(gpointer interrupt)
{
    g_cancellable_cancel(interrupt);
    return G_SOURCE_REMOVE;
}

/* A signal is heard of when the main context turns. */
static void
interrupted_unpacking_leaves_nothing(void **state)
{
    g_autoptr(GBytes) image = pvh_bzimage("6.13.0-late");
    const FakeFile files[] = {{"./boot/vmlinuz-6.13.0-late", image}, {NULL, NULL}};
    g_autoptr(GBytes) deb = fake_deb(files);
    g_autofree char *image_path = fake_write(*state, "late/bzImage", image);
    g_autofree char *deb_path = fake_write(*state, "late.deb", deb);
    g_autoptr(Kernel) kernel = kernel_find(image_path, NULL);
    guint before = count_folder(*state, "packages"),
          files_before = count_folder(*state, "kernels");
    g_autoptr(GCancellable) interrupt = g_cancellable_new();
    g_cancellable_push_current(interrupt);
    g_autoptr(GError) error = NULL;

    g_idle_add(on_signal, interrupt);
    assert_null(kernel_boot_file(kernel, &error));
    assert_int_equal(error->code, HB_INTERRUPTED);
    assert_int_equal(count_folder(*state, "kernels"), files_before);
    g_cancellable_reset(interrupt);
    g_idle_add(on_signal, interrupt);
    refused(deb_path, HB_INTERRUPTED, "interrupted while");
    assert_int_equal(count_folder(*state, "packages"), before);

    g_cancellable_pop_current(interrupt);
    g_autofree char *boot = kernel_boot_file(kernel, NULL);
    assert_string_not_equal(boot, image_path);
}

/* Cancels when the main context turns the LEFTth time. */
typedef struct {
    GSource source;
    guint left;
    GCancellable *interrupt;
} LateSignal;

static gboolean
prepare_late(GSource *source, gint *timeout)
{
    LateSignal *late = (LateSignal *)source;
    *timeout = -1;
    return late->left > 0 && --late->left == 0;
}

static gboolean
never_ready(GSource *source)
{
    return FALSE;
}

static gboolean
dispatch_late(GSource *source, GSourceFunc callback, gpointer user_data)
{
    g_cancellable_cancel(((LateSignal *)source)->interrupt);
    return G_SOURCE_REMOVE;
}

/* The package is refused as interrupted by a signal that comes in the middle of it. */
static void
assert_heeds_signals(const char *root, const FakeFile *files)
{
    static GSourceFuncs functions = {
        .prepare = prepare_late, .check = never_ready, .dispatch = dispatch_late};
    g_autoptr(GBytes) deb = fake_deb(files);
    g_autofree char *path = fake_write(root, "middle.deb", deb);
    guint before = count_folder(root, "packages");
    g_autoptr(GCancellable) interrupt = g_cancellable_new();
    GSource *source = g_source_new(&functions, sizeof(LateSignal));
    ((LateSignal *)source)->left = 10;
    ((LateSignal *)source)->interrupt = interrupt;
    g_source_attach(source, NULL);
    g_cancellable_push_current(interrupt);
    refused(path, HB_INTERRUPTED, "middle.deb was unpacked");
    g_cancellable_pop_current(interrupt);
    assert_int_equal(count_folder(root, "packages"), before);
    g_source_destroy(source);
    g_source_unref(source);
}

static void
signals_are_heeded_within_a_file(void **state)
{
    gsize length = 4 << 20;
    g_autoptr(GBytes) large = g_bytes_new_take(g_malloc0(length), length);
    const FakeFile files[] = {{"./boot/vmlinuz-6.13.0-middle", large}, {NULL, NULL}};
    assert_heeds_signals(*state, files);
}

static void
signals_are_heeded_between_files(void **state)
{
    g_autoptr(GBytes) text = g_bytes_new("text\n", 5);
    FakeFile files[21] = {{NULL, NULL}};
    for (guint i = 0; i + 1 < G_N_ELEMENTS(files); i++)
        files[i] = (FakeFile){"./usr/share/doc/readme", text};
    assert_heeds_signals(*state, files);
}

static void
a_bomb_stops_at_its_limit(void **state)
{
    gsize length = 4 << 20;
    g_autofree char *zeros = g_malloc0(length);
    g_autoptr(GBytes) bomb = fake_gzip(zeros, length);
    g_autofree char *path = fake_write(*state, "bomb.gz", bomb);
    g_autofree char *out_path = fake_write_text(*state, "bomb", "");
    int in = open(path, O_RDONLY), out = open(out_path, O_WRONLY);
    g_autoptr(GError) error = NULL;
    assert_false(
        unpack_range(in, 0, g_bytes_get_size(bomb), out, 1 << 20, "bomb", &error));
    assert_non_null(strstr(error->message, "beyond 1 MiB"));
    assert_true(lseek(out, 0, SEEK_END) <= 1 << 20);
    close(in);
    close(out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bzimage_is_unpacked_once),
        cmocka_unit_test(another_build_of_a_release_is_another_file),
        cmocka_unit_test(without_the_note_the_bzimage_is_booted),
        cmocka_unit_test(a_damaged_payload_boots_the_bzimage),
        cmocka_unit_test(a_vmlinux_needs_the_note),
        cmocka_unit_test(what_is_no_kernel_is_refused),
        cmocka_unit_test(a_folder_has_its_newest_whole_kernel),
        cmocka_unit_test(a_build_tree_brings_its_modules),
        cmocka_unit_test(the_environment_names_a_kernel),
        cmocka_unit_test(a_package_is_unpacked_and_found_from_then_on),
        cmocka_unit_test(modules_of_a_package_get_lists),
        cmocka_unit_test(a_bad_package_is_refused_and_leaves_nothing),
        cmocka_unit_test(interrupted_unpacking_leaves_nothing),
        cmocka_unit_test(signals_are_heeded_within_a_file),
        cmocka_unit_test(signals_are_heeded_between_files),
        cmocka_unit_test(a_bomb_stops_at_its_limit),
    };
    return cmocka_run_group_tests_name("kernel", tests, fake_root_setup,
                                       fake_root_teardown);
}
