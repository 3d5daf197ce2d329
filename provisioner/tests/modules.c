/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "error.h"
#include "image-fixture.h"
#include "modules.h"

static void
add_module(const char *root, const char *path, const char *modinfo)
{
    g_autoptr(GBytes) module = fake_elf(&(FakeElf){.modinfo = modinfo});
    if (!g_str_has_suffix(path, ".gz")) {
        g_free(fake_write(root, path, module));
        return;
    }
    gsize size;
    const void *data = g_bytes_get_data(module, &size);
    g_autoptr(GBytes) packed = fake_gzip(data, size);
    g_free(fake_write(root, path, packed));
}

/* "a b c": the names in load order, or the error's message. */
static char *
resolve(const Kernel *kernel, const char *wanted, int *code)
{
    g_auto(GStrv) words = g_strsplit(wanted, " ", -1);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (char **word = words; *word; word++)
        g_ptr_array_add(names, *word);
    g_autoptr(GError) error = NULL;
    const ModuleNames asked = {.wanted = names};
    g_autoptr(GPtrArray) modules = modules_resolve(kernel, &asked, &error);
    if (code)
        *code = error ? error->code : HB_OK;
    if (!modules)
        return g_strdup(error->message);
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < modules->len; i++)
        g_string_append_printf(text, "%s%s", i ? " " : "",
                               ((KernelModule *)modules->pdata[i])->name);
    return g_strdup(text->str);
}

static void
check(const Kernel *kernel, const char *wanted, const char *expected)
{
    g_autofree char *got = resolve(kernel, wanted, NULL);
    assert_string_equal(got, expected);
}

static void
check_refused(const Kernel *kernel, const char *wanted, int expected_code,
              const char *words)
{
    int code;
    g_autofree char *message = resolve(kernel, wanted, &code);
    assert_int_equal(code, expected_code);
    if (!strstr(message, words))
        fail_msg("'%s' is not in: %s", words, message);
}

static void
needs_come_first(void **state)
{
    g_autofree char *dir = g_build_filename(*state, "installed", NULL);
    Kernel kernel = {
        .release = (char *)"6.1", .origin = (char *)"test", .modules_dir = dir};
    add_module(dir, "kernel/a.ko", "license=GPL\ndepends=b-one,c\n");
    add_module(dir, "kernel/deep/down/b-one.ko", "depends=c\nsoftdep=pre: soft nosuch\n");
    add_module(dir, "kernel/c.ko.gz", "depends=\n");
    add_module(dir, "kernel/soft.ko", "depends=\nsoftdep=post: la-ter nosuch\n");
    add_module(dir, "kernel/la-ter.ko", "depends=soft\n");
    add_module(dir, "kernel/hollow.ko", "depends=gone\n");
    add_module(dir, "kernel/round.ko", "depends=about\n");
    add_module(dir, "kernel/about.ko", "depends=round\n");
    g_free(fake_write_text(dir, "modules.builtin",
                           "kernel/drivers/virtio/virtio-ring.ko\n"));
    check(&kernel, "a", "c soft la_ter b_one a");
    check(&kernel, "c b_one a", "c soft la_ter b_one a");
    check(&kernel, "virtio_ring", "");
    check(&kernel, "virtio-ring b-one", "c soft la_ter b_one");
    check(&kernel, "round", "about round");
    check_refused(&kernel, "nosuch", HB_UNSUPPORTED, "has no module nosuch");
    check_refused(&kernel, "hollow", HB_UNSUPPORTED, "has no module gone");
}

static void
what_is_optional_may_be_nowhere(void **state)
{
    g_autofree char *dir = g_build_filename(*state, "optional", NULL);
    Kernel kernel = {
        .release = (char *)"6.1", .origin = (char *)"test", .modules_dir = dir};
    add_module(dir, "kernel/a.ko", "depends=\n");
    add_module(dir, "kernel/tells-more.ko", "depends=\n");
    g_autoptr(GPtrArray) names = g_ptr_array_new(), optional = g_ptr_array_new();
    g_ptr_array_add(names, (char *)"a");
    g_ptr_array_add(optional, (char *)"nosuch");
    g_ptr_array_add(optional, (char *)"tells_more");
    const ModuleNames asked = {.wanted = names, .optional = optional};
    g_autoptr(GPtrArray) modules = modules_resolve(&kernel, &asked, NULL);
    assert_int_equal(modules->len, 2);
    assert_string_equal(((KernelModule *)modules->pdata[0])->name, "tells_more");
    assert_string_equal(((KernelModule *)modules->pdata[1])->name, "a");

    const Kernel bare = {.release = (char *)"6.1", .origin = (char *)"test"};
    g_autoptr(GPtrArray) nothing = g_ptr_array_new();
    const ModuleNames little = {.wanted = nothing, .optional = optional};
    g_autoptr(GPtrArray) none = modules_resolve(&bare, &little, NULL);
    assert_int_equal(none->len, 0);
}

/* "order: what to load first, as modprobe reads it" of each module, with '!' where it is
 * loaded at boot. */
static char *
dependencies(const GPtrArray *modules)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < modules->len; i++) {
        const KernelModule *module = modules->pdata[i];
        g_autoptr(GPtrArray) before = modules_before(modules, i);
        g_string_append_printf(text, "%s%s:", module->name, module->at_boot ? "!" : "");
        for (guint j = 0; j < before->len; j++)
            g_string_append_printf(text, " %s", ((KernelModule *)before->pdata[j])->name);
        g_string_append_c(text, '\n');
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* As VFIO's modules need each other. */
static void
what_is_at_hand_is_not_loaded(void **state)
{
    g_autofree char *dir = g_build_filename(*state, "at-hand", NULL);
    Kernel kernel = {
        .release = (char *)"6.1", .origin = (char *)"test", .modules_dir = dir};
    add_module(dir, "kernel/vfio.ko", "depends=\nsoftdep=post: type1\n");
    add_module(dir, "kernel/type1.ko", "depends=vfio\n");
    add_module(dir, "kernel/virqfd.ko", "depends=\n");
    add_module(dir, "kernel/core.ko", "depends=vfio,virqfd\n");
    add_module(dir, "kernel/pci.ko", "depends=core\n");
    add_module(dir, "kernel/hollow.ko", "depends=gone\n");
    g_autoptr(GPtrArray) wanted = g_ptr_array_new();
    g_ptr_array_add(wanted, (char *)"virqfd");
    const char *const at_hand[] = {"hollow", "nosuch", "pci", NULL};
    const ModuleNames names = {.wanted = wanted, .at_hand = at_hand};
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) modules = modules_resolve(&kernel, &names, &error);
    assert_null(error);
    g_autofree char *text = dependencies(modules);
    assert_string_equal(text, "virqfd!:\n"
                              "vfio:\n"
                              "type1: vfio\n"
                              "core: type1 vfio virqfd\n"
                              "pci: core type1 vfio virqfd\n");
}

static void
updates_win(void **state)
{
    g_autofree char *dir = g_build_filename(*state, "updated", NULL);
    Kernel kernel = {
        .release = (char *)"6.1", .origin = (char *)"test", .modules_dir = dir};
    add_module(dir, "kernel/a.ko", "depends=\n");
    add_module(dir, "updates/dkms/a.ko", "depends=\n");
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_ptr_array_add(names, (char *)"a");
    const ModuleNames asked = {.wanted = names};
    g_autoptr(GPtrArray) modules = modules_resolve(&kernel, &asked, NULL);
    assert_int_equal(modules->len, 1);
    assert_string_equal(((KernelModule *)modules->pdata[0])->path, "updates/dkms/a.ko");
}

static void
compressed_modules_are_unpacked_to_the_cache(void **state)
{
    g_autofree char *dir = g_build_filename(*state, "packed", NULL);
    Kernel kernel = {
        .release = (char *)"6.1", .origin = (char *)"test", .modules_dir = dir};
    add_module(dir, "kernel/z.ko.gz", "depends=\nname=z\n");
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_ptr_array_add(names, (char *)"z");
    for (int i = 0; i < 2; i++) {
        const ModuleNames asked = {.wanted = names};
        g_autoptr(GPtrArray) modules = modules_resolve(&kernel, &asked, NULL);
        const KernelModule *module = modules->pdata[0];
        assert_string_equal(module->path, "kernel/z.ko");
        assert_non_null(strstr(module->file, "/cache/hostbed/modules/z-"));
        g_autofree char *data = NULL;
        assert_true(g_file_get_contents(module->file, &data, NULL, NULL));
        assert_memory_equal(data, "\177ELF", 4);
        assert_int_equal(truncate(module->file, 10), 0); /* the second time repairs it */
    }
}

static void
a_build_tree_is_read_by_its_order(void **state)
{
    g_autofree char *dir = g_build_filename(*state, "tree", NULL);
    Kernel kernel = {
        .release = (char *)"6.1", .origin = (char *)"test", .modules_dir = dir};
    g_free(fake_write_text(dir, "include/config/kernel.release", "6.1\n"));
    g_free(fake_write_text(dir, "modules.order",
                           "drivers/new.o\ndrivers/mid.ko\nkernel/drivers/old.ko\n"));
    add_module(dir, "drivers/new.ko", "depends=mid\n");
    add_module(dir, "drivers/mid.ko", "depends=old\n");
    add_module(dir, "drivers/old.ko", "depends=\n");
    add_module(dir, "drivers/unbuilt.ko", "depends=\n");
    check(&kernel, "new", "old mid new");
    check_refused(&kernel, "unbuilt", HB_UNSUPPORTED, "has no module unbuilt");
}

static void
without_modules_the_configuration_decides(void **state)
{
    g_autofree char *config =
        fake_write_text(*state, "config",
                        "#\nCONFIG_E1000E=y\nCONFIG_BLK_DEV_NVME=y\n"
                        "CONFIG_IGB=m\n");
    Kernel kernel = {.release = (char *)"6.1-bare",
                     .image = (char *)"/x/bzImage",
                     .origin = (char *)"test",
                     .config = config};
    check(&kernel, "e1000e nvme", "");
    check_refused(&kernel, "e1000e igb", HB_INFRASTRUCTURE, "needs the module igb");
    kernel.config = NULL;
    check_refused(&kernel, "e1000e", HB_INFRASTRUCTURE, "/lib/modules/6.1-bare");
    Kernel none = {.release = (char *)"6.1-bare", .origin = (char *)"test"};
    g_autoptr(GPtrArray) nothing = g_ptr_array_new();
    const ModuleNames asked = {.wanted = nothing};
    g_autoptr(GPtrArray) modules = modules_resolve(&none, &asked, NULL);
    assert_int_equal(modules->len, 0);
}

static void
damaged_modules_are_named(void **state)
{
    g_autofree char *dir = g_build_filename(*state, "damaged", NULL);
    Kernel kernel = {
        .release = (char *)"6.1", .origin = (char *)"test", .modules_dir = dir};
    g_free(fake_write_text(dir, "kernel/text.ko", "no module"));
    g_free(fake_write_text(dir, "kernel/packed.ko.xz", "no stream"));
    g_free(fake_write_text(dir, "kernel/empty.ko.zst", ""));
    g_free(fake_write_text(dir, "kernel/cut.ko", "\177ELF\2\1\1"));
    check_refused(&kernel, "text", HB_INFRASTRUCTURE, "kernel/text.ko is not a whole");
    check_refused(&kernel, "packed", HB_INFRASTRUCTURE, "kernel/packed.ko.xz");
    check_refused(&kernel, "empty", HB_INFRASTRUCTURE, "kernel/empty.ko.zst");
    check_refused(&kernel, "cut", HB_INFRASTRUCTURE, "kernel/cut.ko is not a whole");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(needs_come_first),
        cmocka_unit_test(what_is_optional_may_be_nowhere),
        cmocka_unit_test(what_is_at_hand_is_not_loaded),
        cmocka_unit_test(updates_win),
        cmocka_unit_test(compressed_modules_are_unpacked_to_the_cache),
        cmocka_unit_test(a_build_tree_is_read_by_its_order),
        cmocka_unit_test(without_modules_the_configuration_decides),
        cmocka_unit_test(damaged_modules_are_named),
    };
    return cmocka_run_group_tests_name("modules", tests, fake_root_setup,
                                       fake_root_teardown);
}
