/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The same inputs give the same key, and each of them changes it.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib/gstdio.h>
#include <string.h>

#include "digest.h"
#include "error.h"
#include "image-fixture.h"
#include "launch-firmware.h"
#include "plan-steps.h"
#include "template-bench.h"

static void
the_same_files_elsewhere_give_the_same_key(void **state)
{
    g_autoptr(Bench) one = bench_new(*state, 512 * MIB);
    g_autoptr(Bench) other = bench_new(*state, 512 * MIB);
    g_autofree char *first = bench_key(one, "m");
    g_autofree char *again = bench_key(one, "m");
    g_autofree char *second = bench_key(other, "m");
    assert_string_equal(first, again);
    assert_string_equal(first, second);
}

static void
change_cmdline(Bench *bench)
{
    g_free(bench->recipe->cmdline);
    bench->recipe->cmdline = g_strdup("iommu=pt");
}

static void
change_arguments(Bench *bench)
{
    static const char *const args[] = {"-device", "e1000e", NULL};
    bench->recipe->extra_args = g_strdupv((GStrv)args);
}

static void
change_accelerator(Bench *bench)
{
    bench->recipe->accel->accel = ACCEL_KVM;
}

static void
each_input_changes_it(void **state)
{
    static const BenchChange changes[] = {bench_change_emulator, bench_change_kernel,
                                          bench_change_initrd,   change_cmdline,
                                          change_arguments,      change_accelerator};
    g_autoptr(Bench) plain = bench_new(*state, 512 * MIB);
    g_autoptr(GHashTable) keys =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_hash_table_add(keys, bench_key(plain, "m"));
    for (gsize i = 0; i < G_N_ELEMENTS(changes); i++) {
        g_autoptr(Bench) bench = bench_new(*state, 512 * MIB);
        g_free(bench_key(bench, "m")); /* so that something is remembered */
        changes[i](bench);
        g_hash_table_add(keys, bench_key(bench, "m"));
    }
    g_autoptr(Bench) larger = bench_new(*state, 1024 * MIB);
    g_hash_table_add(keys, bench_key(larger, "m"));
    g_hash_table_add(keys, bench_key(plain, "another manifest"));
    g_hash_table_add(keys, bench_key(plain, NULL));
    assert_int_equal(g_hash_table_size(keys), 1 + G_N_ELEMENTS(changes) + 3);
}

/* An emulator that greets, and is a script, with firmware in FOLDER; COMMENT does not
 * matter to it. */
static void
write_script(const char *folder, const char *comment)
{
    g_autofree char *text = g_strdup_printf(
        "#!/bin/sh\n# %s\n"
        "[ \"$1\" != -L ] || { echo '%s'; exit 0; }\n"
        "echo '{\"QMP\": {\"version\": {}, \"capabilities\": []}}' >&3\n"
        "read -r line <&3\n"
        "id=${line##*\\\"id\\\":}\n"
        "echo \"{\\\"return\\\": {}, \\\"id\\\": ${id%%%%[!0-9]*}}\" >&3\n"
        "read -r line <&3\n",
        comment, folder);
    g_autofree char *path = fake_write_text(folder, "emulator", text);
    assert_int_equal(g_chmod(path, 0755), 0);
}

static void
of_a_script_its_own_content_counts(void **state)
{
    g_autoptr(Bench) bench = bench_new(*state, 512 * MIB);
    write_script(bench->folder, "one");
    g_autofree char *first = bench_key(bench, NULL);
    g_autofree char *again = bench_key(bench, NULL);
    write_script(bench->folder, "another");
    g_autofree char *second = bench_key(bench, NULL);
    assert_string_equal(first, again);
    assert_string_not_equal(first, second);
}

static void
the_emulators_firmware_counts(void **state)
{
    static const char *const names[] = {"bios-256k.bin", "kvmvapic.bin", "pvh.bin",
                                        "linuxboot_dma.bin", "multiboot_dma.bin"};
    g_autoptr(Bench) bench = bench_new(*state, 512 * MIB);
    write_script(bench->folder, "one");
    g_autofree char *last = bench_key(bench, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        for (gsize version = 1; version <= 2; version++) {
            g_autofree char *text = g_strnfill(version, 'v');
            g_free(fake_write_text(bench->folder, names[i], text));
            char *key = bench_key(bench, NULL);
            assert_string_not_equal(key, last);
            g_free(last);
            last = key;
        }
    }
}

static void
the_machines_efi_firmware_counts(void **state)
{
    const char *code, *vars;
    if (!firmware_efi_paths(&code, &vars, NULL))
        skip();
    g_autoptr(Bench) bench = bench_new(*state, 512 * MIB);
    bench->plan->firmware = LAB_FIRMWARE_EFI;
    g_autoptr(GPtrArray) inputs = template_key_inputs(bench->recipe, NULL, NULL);
    g_autofree char *its_code = digest_file(code, NULL);
    g_autofree char *its_vars = digest_file(vars, NULL);
    assert_string_equal(template_inputs_find(inputs, "efi"), its_code);
    assert_string_equal(template_inputs_find(inputs, "efi variables"), its_vars);
}

static void
an_image_counts(void **state)
{
    LabImage image = {.loader = TRUE};
    g_autoptr(Bench) bench = bench_new(*state, 512 * MIB);
    g_autofree char *without = bench_key(bench, NULL);
    bench->plan->image = &image;
    bench->recipe->image_file = fake_write_text(bench->folder, "disk", "disk");
    g_autofree char *first = bench_key(bench, NULL);
    g_free(fake_write_text(bench->folder, "disk", "another"));
    g_autofree char *second = bench_key(bench, NULL);
    bench->plan->image = NULL;
    assert_string_not_equal(without, first);
    assert_string_not_equal(first, second);
}

static void
the_command_that_made_it_is_known(void **state)
{
    g_autoptr(Bench) bench = bench_new(*state, 512 * MIB);
    g_autoptr(GPtrArray) of_run = template_key_inputs(bench->recipe, NULL, NULL);
    g_autoptr(GPtrArray) of_test = template_key_inputs(bench->recipe, "m", NULL);
    assert_string_equal(template_inputs_command(of_run), "run");
    assert_string_equal(template_inputs_command(of_test), "test");
}

static void
under_kvm_the_machine_is_an_input(void **state)
{
    g_autoptr(Bench) bench = bench_new(*state, 512 * MIB);
    g_autoptr(GPtrArray) emulated = template_key_inputs(bench->recipe, NULL, NULL);
    assert_null(template_inputs_find(emulated, "machine flags"));
    change_accelerator(bench);
    g_autoptr(GPtrArray) inputs = template_key_inputs(bench->recipe, NULL, NULL);
    assert_non_null(template_inputs_find(inputs, "machine flags"));
    assert_non_null(template_inputs_find(inputs, "machine kernel"));
}

static void
files_in_arguments_make_it_impossible(void **state)
{
    g_autoptr(Bench) bench = bench_new(*state, 512 * MIB);
    static const char *const patterns[] = {
        "%s", "file=%s,if=virtio", "{\"filename\":\"%s\"}", "fat:rw:%s", "file:%s"};
    g_autofree char *disk = fake_write_text(bench->folder, "disk.img", "disk");
    for (gsize i = 0; i < G_N_ELEMENTS(patterns); i++) {
        g_auto(GStrv) halves = g_strsplit(patterns[i], "%s", 2);
        g_autofree char *word = g_strjoin(disk, halves[0], halves[1], NULL);
        const char *const args[] = {"-drive", word, NULL};
        g_clear_pointer(&bench->recipe->extra_args, g_strfreev);
        bench->recipe->extra_args = g_strdupv((GStrv)args);
        g_autoptr(GError) error = NULL;
        assert_null(template_key_inputs(bench->recipe, NULL, &error));
        assert_true(g_error_matches(error, HB_ERROR, HB_UNSUPPORTED));
        assert_non_null(strstr(error->message, "disk.img"));
    }
}

/* Also where its name has what else separates words. */
static void
whole_texts_are_looked_at(void **state)
{
    static const char *const patterns[] = {"%s", "{\"a\":[{\"filename\":\"%s\"}]}"};
    g_autoptr(Bench) bench = bench_new(*state, 512 * MIB);
    g_autofree char *disk = fake_write_text(bench->folder, "a, b:c=d", "disk");
    for (gsize i = 0; i < G_N_ELEMENTS(patterns); i++) {
        g_auto(GStrv) halves = g_strsplit(patterns[i], "%s", 2);
        g_autofree char *word = g_strjoin(disk, halves[0], halves[1], NULL);
        const char *const args[] = {"-blockdev", word, NULL};
        g_clear_pointer(&bench->recipe->extra_args, g_strfreev);
        bench->recipe->extra_args = g_strdupv((GStrv)args);
        g_autoptr(GError) error = NULL;
        assert_null(template_key_inputs(bench->recipe, NULL, &error));
        assert_non_null(strstr(error->message, "a, b:c=d"));
    }
}

static void
devices_are_no_files(void **state)
{
    g_autoptr(Bench) bench = bench_new(*state, 512 * MIB);
    static const char *const args[] = {"-drive", "file=/dev/null", NULL};
    bench->recipe->extra_args = g_strdupv((GStrv)args);
    g_free(bench_key(bench, NULL));
    static const char *const folder[] = {"-drive", "file=fat:/dev/shm", NULL};
    g_strfreev(bench->recipe->extra_args);
    bench->recipe->extra_args = g_strdupv((GStrv)folder);
    assert_null(template_key_inputs(bench->recipe, NULL, NULL));
}

/* The emulator looks for them in its own folders. */
static void
properties_that_name_files_make_it_impossible(void **state)
{
    g_autoptr(Bench) bench = bench_new(*state, 512 * MIB);
    PlanFunction *function = bench->plan->functions->pdata[0];
    plan_property_string(function->properties, "romfile", "");
    g_free(bench_key(bench, NULL));
    plan_property_string(function->properties, "romfile", "efi-e1000e.rom");
    g_autoptr(GError) error = NULL;
    assert_null(template_key_inputs(bench->recipe, NULL, &error));
    assert_true(g_error_matches(error, HB_ERROR, HB_UNSUPPORTED));
    assert_non_null(strstr(error->message, "efi-e1000e.rom"));
}

static void
a_balloon_makes_it_impossible(void **state)
{
    g_autoptr(Bench) bench = bench_new(*state, 512 * MIB);
    PlanFunction *function = bench->plan->functions->pdata[0];
    g_free(function->driver);
    function->driver = g_strdup("virtio-balloon-pci");
    g_autoptr(GError) error = NULL;
    assert_null(template_key_inputs(bench->recipe, NULL, &error));
    assert_true(g_error_matches(error, HB_ERROR, HB_UNSUPPORTED));
    assert_non_null(strstr(error->message, "gives memory back"));
}

static void
what_cannot_be_read_is_no_input(void **state)
{
    g_autoptr(Bench) bench = bench_new(*state, 512 * MIB);
    g_autoptr(GError) error = NULL;
    assert_int_equal(g_unlink(bench->recipe->kernel_file), 0);
    assert_null(template_key_inputs(bench->recipe, NULL, &error));
    assert_non_null(strstr(error->message, "kernel"));
}

static void
names_and_values_do_not_run_into_each_other(void **state)
{
    g_autoptr(GPtrArray) one = template_inputs_new();
    g_autoptr(GPtrArray) other = template_inputs_new();
    template_inputs_add(one, "a", "bc");
    template_inputs_add(other, "ab", "c");
    g_autofree char *key = template_inputs_key(one);
    g_autofree char *another = template_inputs_key(other);
    assert_string_not_equal(key, another);
}

static const char cpuinfo[] = "processor\t: 0\nvendor_id\t: GenuineIntel\n"
                              "cpu family\t: 6\nmodel\t\t: 85\nmodel name\t: A CPU\n"
                              "stepping\t: 7\nmicrocode\t: 0x1\nflags\t\t: fpu vme\n\n"
                              "processor\t: 1\nmicrocode\t: 0x2\n";

static void
under_kvm_the_machine_counts(void **state)
{
    g_autoptr(GPtrArray) here = template_inputs_new();
    g_autoptr(GPtrArray) inputs = template_inputs_new();
    template_inputs_add_machine(here, cpuinfo, "6.1");
    assert_string_equal(template_inputs_find(here, "machine microcode"), "0x1");
    template_inputs_add(inputs, "accelerator", "kvm");
    template_inputs_add_machine(inputs, cpuinfo, "6.1");
    assert_null(template_inputs_obstacle(inputs, here));
    static const struct {
        const char *from, *to, *words;
    } others[] = {
        {"0x1", "0x9", "microcode is '0x1'; here it is '0x9'"},
        {"A CPU", "Another", "model name is 'A CPU'; here it is 'Another'"},
        {"fpu vme", "fpu", "flags is 'fpu vme'; here it is 'fpu'"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(others); i++) {
        g_auto(GStrv) parts = g_strsplit(cpuinfo, others[i].from, 2);
        g_autofree char *text = g_strjoinv(others[i].to, parts);
        g_autoptr(GPtrArray) there = template_inputs_new();
        template_inputs_add_machine(there, text, "6.1");
        g_autofree char *obstacle = template_inputs_obstacle(inputs, there);
        assert_non_null(strstr(obstacle, others[i].words));
    }
    g_autoptr(GPtrArray) newer = template_inputs_new();
    template_inputs_add_machine(newer, cpuinfo, "6.2");
    g_autofree char *obstacle = template_inputs_obstacle(inputs, newer);
    assert_non_null(strstr(obstacle, "kernel is '6.1'; here it is '6.2'"));
}

static void
how_kvm_is_set_counts(void **state)
{
    static const char *const files[][2] = {{"kvm_intel/parameters/nested", "Y\n"},
                                           {"kvm_intel/parameters/ept", "N\n"},
                                           {"kvm/parameters/tdp_mmu", "Y\n"},
                                           {"other/parameters/nested", "Y\n"}};
    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *name = g_build_filename("modules", files[i][0], NULL);
        g_free(fake_write_text(*state, name, files[i][1]));
    }
    g_autofree char *modules = g_build_filename(*state, "modules", NULL);
    g_autoptr(GPtrArray) inputs = template_inputs_new();
    template_inputs_add_kvm(inputs, modules);
    assert_string_equal(template_inputs_find(inputs, "machine KVM"),
                        "kvm/tdp_mmu=Y kvm_intel/ept=N kvm_intel/nested=Y");
}

/* Not even in an error message. */
static void
an_archives_words_are_made_fit_to_print(void **state)
{
    g_autoptr(GPtrArray) here = template_inputs_new();
    g_autoptr(GPtrArray) inputs = template_inputs_new();
    template_inputs_add(inputs, "accelerator", "kvm");
    template_inputs_add(inputs, "machine model", "\033[2Jx");
    template_inputs_add(here, "machine model", "85");
    g_autofree char *obstacle = template_inputs_obstacle(inputs, here);
    assert_non_null(strstr(obstacle, "'?[2Jx'; here it is '85'"));
}

static void
under_emulation_it_does_not(void **state)
{
    g_autoptr(GPtrArray) here = template_inputs_new();
    g_autoptr(GPtrArray) inputs = template_inputs_new();
    template_inputs_add_machine(here, cpuinfo, "6.1");
    template_inputs_add(inputs, "accelerator", "tcg");
    assert_null(template_inputs_obstacle(inputs, here));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_files_elsewhere_give_the_same_key),
        cmocka_unit_test(each_input_changes_it),
        cmocka_unit_test(of_a_script_its_own_content_counts),
        cmocka_unit_test(the_emulators_firmware_counts),
        cmocka_unit_test(the_machines_efi_firmware_counts),
        cmocka_unit_test(an_image_counts),
        cmocka_unit_test(the_command_that_made_it_is_known),
        cmocka_unit_test(under_kvm_the_machine_is_an_input),
        cmocka_unit_test(files_in_arguments_make_it_impossible),
        cmocka_unit_test(whole_texts_are_looked_at),
        cmocka_unit_test(devices_are_no_files),
        cmocka_unit_test(properties_that_name_files_make_it_impossible),
        cmocka_unit_test(a_balloon_makes_it_impossible),
        cmocka_unit_test(what_cannot_be_read_is_no_input),
        cmocka_unit_test(names_and_values_do_not_run_into_each_other),
        cmocka_unit_test(under_kvm_the_machine_counts),
        cmocka_unit_test(how_kvm_is_set_counts),
        cmocka_unit_test(an_archives_words_are_made_fit_to_print),
        cmocka_unit_test(under_emulation_it_does_not),
    };
    return cmocka_run_group_tests_name("template-key", tests, fake_root_setup,
                                       fake_root_teardown);
}
