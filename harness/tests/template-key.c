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
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"
#include "image-fixture.h"
#include "lab-boot-private.h"
#include "plan-fixture.h"
#include "plan-steps.h"
#include "template-key.h"
#include "template-private.h"

/* A host that nobody starts, of files in a folder of its own. */
typedef struct {
    const char *root; /* borrowed */
    char *folder;
    BootRecipe *recipe;
    Emulator *emulator;
    Lab *lab;
    Plan *plan;
} Bench;

/* A program that runs and says nothing, with a TAIL that does not matter to it. */
static char *
write_emulator(const char *root, const char *name, const char *tail)
{
    g_autofree char *content = NULL;
    gsize length = 0;
    assert_true(g_file_get_contents("/bin/true", &content, &length, NULL));
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_byte_array_append(bytes, (const guint8 *)content, (guint)length);
    g_byte_array_append(bytes, (const guint8 *)tail, (guint)strlen(tail));
    g_autoptr(GBytes) all = g_byte_array_free_to_bytes(g_byte_array_ref(bytes));
    char *path = fake_write(root, name, all);
    assert_int_equal(g_chmod(path, 0755), 0);
    return path;
}

static BootRecipe *
recipe_new(const char *folder, const Plan *plan)
{
    BootRecipe *recipe = g_rc_box_new0(BootRecipe);
    recipe->plan = plan;
    recipe->emulator = write_emulator(folder, "emulator", "");
    recipe->kernel_file = fake_write_text(folder, "kernel", "kernel");
    recipe->initrd_file = fake_write_text(folder, "initrd", "initrd");
    recipe->cmdline = g_strdup("");
    recipe->accel = g_new0(AccelVerdict, 1);
    recipe->accel->accel = ACCEL_TCG;
    return recipe;
}

static Bench *
bench_new(const char *root, gint64 memory_bytes)
{
    static int counter;
    Bench *bench = g_new0(Bench, 1);
    bench->root = root;
    bench->folder = g_strdup_printf("%s/bench-%d", root, counter++);
    bench->emulator = fixture_emulator(TRUE);
    bench->lab = fixture_lab();
    fixture_cell(fixture_host(bench->lab), 0, 2, memory_bytes);
    bench->plan = fixture_plan(bench->lab, bench->emulator);
    bench->recipe = recipe_new(bench->folder, bench->plan);
    return bench;
}

static void
bench_free(Bench *bench)
{
    boot_recipe_unref(bench->recipe);
    plan_free(bench->plan);
    lab_free(bench->lab);
    fixture_emulator_free(bench->emulator);
    g_free(bench->folder);
    g_free(bench);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Bench, bench_free)

static char *
key_of(const Bench *bench, const char *manifest)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) inputs = template_key_inputs(bench->recipe, manifest, &error);
    if (!inputs)
        fail_msg("%s", error->message);
    return template_inputs_key(inputs);
}

#define MIB ((gint64)1 << 20)

static void
the_same_files_elsewhere_give_the_same_key(void **state)
{
    g_autoptr(Bench) one = bench_new(*state, 512 * MIB);
    g_autoptr(Bench) other = bench_new(*state, 512 * MIB);
    g_autofree char *first = key_of(one, "m");
    g_autofree char *again = key_of(one, "m");
    g_autofree char *second = key_of(other, "m");
    assert_string_equal(first, again);
    assert_string_equal(first, second);
}

typedef void (*Change)(Bench *bench);

static void
change_emulator(Bench *bench)
{
    g_free(write_emulator(bench->folder, "emulator", "x"));
}

static void
change_kernel(Bench *bench)
{
    g_free(fake_write_text(bench->folder, "kernel", "kernel, patched"));
}

static void
change_initrd(Bench *bench)
{
    g_free(fake_write_text(bench->folder, "initrd", "initrd, larger"));
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
    static const Change changes[] = {change_emulator,  change_kernel,
                                     change_initrd,    change_cmdline,
                                     change_arguments, change_accelerator};
    g_autoptr(Bench) plain = bench_new(*state, 512 * MIB);
    g_autoptr(GHashTable) keys =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_hash_table_add(keys, key_of(plain, "m"));
    for (gsize i = 0; i < G_N_ELEMENTS(changes); i++) {
        g_autoptr(Bench) bench = bench_new(*state, 512 * MIB);
        g_free(key_of(bench, "m")); /* so that something is remembered */
        changes[i](bench);
        g_hash_table_add(keys, key_of(bench, "m"));
    }
    g_autoptr(Bench) larger = bench_new(*state, 1024 * MIB);
    g_hash_table_add(keys, key_of(larger, "m"));
    g_hash_table_add(keys, key_of(plain, "another manifest"));
    g_hash_table_add(keys, key_of(plain, NULL));
    assert_int_equal(g_hash_table_size(keys), 1 + G_N_ELEMENTS(changes) + 3);
}

/* An emulator that greets, and is a script; COMMENT does not matter to it. */
static void
write_script(const char *folder, const char *comment)
{
    g_autofree char *text = g_strdup_printf(
        "#!/bin/sh\n# %s\n"
        "[ \"$1\" != -L ] || exit 0\n"
        "echo '{\"QMP\": {\"version\": {}, \"capabilities\": []}}' >&3\n"
        "read -r line <&3\n"
        "id=${line##*\\\"id\\\":}\n"
        "echo \"{\\\"return\\\": {}, \\\"id\\\": ${id%%%%[!0-9]*}}\" >&3\n"
        "read -r line <&3\n",
        comment);
    g_autofree char *path = fake_write_text(folder, "emulator", text);
    assert_int_equal(g_chmod(path, 0755), 0);
}

static void
of_a_script_its_own_content_counts(void **state)
{
    g_autoptr(Bench) bench = bench_new(*state, 512 * MIB);
    write_script(bench->folder, "one");
    g_autofree char *first = key_of(bench, NULL);
    g_autofree char *again = key_of(bench, NULL);
    write_script(bench->folder, "another");
    g_autofree char *second = key_of(bench, NULL);
    assert_string_equal(first, again);
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

/* What a recipe has once its host was started. */
static void
give_parts(BootRecipe *recipe)
{
    int memory = memfd_create("memory", MFD_CLOEXEC);
    assert_int_equal(ftruncate(memory, 512 * MIB), 0);
    recipe->memory_fds = boot_fds_new();
    g_array_append_val(recipe->memory_fds, memory);
    recipe->kernel = g_new0(Kernel, 1);
    recipe->kernel->release = g_strdup("6.1");
    recipe->inputs = template_key_inputs(recipe, NULL, NULL);
}

/* A template of the host that nobody started. */
static LabTemplate *
frozen(Bench *bench)
{
    Template *template = g_new0(Template, 1);
    template->recipe = g_rc_box_acquire(bench->recipe);
    template->state_fd = memfd_create("state", MFD_CLOEXEC);
    assert_int_equal(ftruncate(template->state_fd, 5), 0);
    if (!bench->recipe->inputs)
        give_parts(bench->recipe);
    return lab_template_of(template);
}

static void
what_was_replaced_meanwhile_is_not_kept(void **state)
{
    static const struct {
        Change change;
        const char *words;
    } changes[] = {{change_emulator, "emulator"},
                   {change_kernel, "kernel"},
                   {change_initrd, "initramfs"}};
    g_autoptr(Bench) plain = bench_new(*state, 512 * MIB);
    g_autoptr(LabTemplate) kept = frozen(plain);
    g_autoptr(GError) none = NULL;
    if (!lab_template_keep(kept, "m", &none))
        fail_msg("%s", none->message);
    g_autofree char *key = key_of(plain, "m");
    assert_string_equal(lab_template_key(kept), key);
    for (gsize i = 0; i < G_N_ELEMENTS(changes); i++) {
        g_autoptr(Bench) bench = bench_new(*state, 512 * MIB);
        g_autoptr(LabTemplate) template = frozen(bench);
        g_autoptr(GError) error = NULL;
        changes[i].change(bench);
        assert_false(lab_template_keep(template, "m", &error));
        assert_non_null(strstr(error->message, "changed meanwhile"));
        assert_non_null(strstr(error->message, changes[i].words));
    }
}

/* Both hosts, with something on their networks. */
static LabTemplate *
frozen_lab(Bench *first, Bench *second)
{
    LabTemplate *lab = frozen(first);
    g_autoptr(LabTemplate) other = frozen(second);
    g_ptr_array_add(lab->templates, g_ptr_array_steal_index(other->templates, 0));
    lab->networks = g_bytes_new_static("frames", 6);
    return lab;
}

static Bench *
bench_called(const char *root, const char *id)
{
    Bench *bench = bench_new(root, 512 * MIB);
    g_free(bench->plan->host_id);
    bench->plan->host_id = g_strdup(id);
    return bench;
}

static char *
kept_key(LabTemplate *template)
{
    g_autoptr(GError) error = NULL;
    if (!lab_template_keep(template, "m", &error))
        fail_msg("%s", error->message);
    return g_strdup(lab_template_key(template));
}

static void
give_address(Bench *bench, const char *address)
{
    PlanFunction *function = bench->plan->functions->pdata[0];
    g_free(function->ipv4);
    g_free(function->ipv6);
    function->ipv4 = g_strdup(address);
    function->ipv6 = g_strdup("fd00::1/64");
}

static void
several_hosts_are_kept_as_one(void **state)
{
    g_autoptr(Bench) first = bench_called(*state, "a");
    g_autoptr(Bench) second = bench_called(*state, "b");
    g_autoptr(LabTemplate) lab = frozen_lab(first, second);
    g_autofree char *key = kept_key(lab);
    g_autoptr(StoredTemplate) stored = template_store_open(key, NULL);
    assert_non_null(stored);
    assert_int_equal(stored->about->files->len, 5);
    assert_string_equal(((TemplatePeer *)stored->about->peers->pdata[0])->host, "b");
    const GPtrArray *inputs = stored->about->inputs;
    assert_string_equal(template_inputs_command(inputs), "test");
    assert_non_null(template_inputs_find(inputs, "b: kernel"));
    assert_true(template_fits(stored, 0, first->plan));
    assert_true(template_fits(stored, 1, second->plan));
    assert_false(template_fits(stored, 2, second->plan));
}

static void
each_host_and_how_it_is_joined_count(void **state)
{
    g_autoptr(Bench) first = bench_called(*state, "a");
    g_autoptr(Bench) second = bench_called(*state, "b");
    g_autoptr(Bench) third = bench_called(*state, "c");
    g_autoptr(LabTemplate) lab = frozen_lab(first, second);
    g_autoptr(LabTemplate) reversed = frozen_lab(second, first);
    g_autoptr(LabTemplate) other = frozen_lab(first, third);
    g_autoptr(LabTemplate) single = frozen(first);
    g_autoptr(GHashTable) keys =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    assert_true(g_hash_table_add(keys, kept_key(lab)));
    assert_true(g_hash_table_add(keys, kept_key(reversed)));
    assert_true(g_hash_table_add(keys, kept_key(other)));
    assert_true(g_hash_table_add(keys, kept_key(single)));
    assert_false(g_hash_table_add(keys, kept_key(lab)));
    give_address(second, "10.0.0.1/24");
    assert_true(g_hash_table_add(keys, kept_key(lab)));
    give_address(second, "10.0.0.2/24");
    assert_true(g_hash_table_add(keys, kept_key(lab)));
}

static void
what_was_replaced_of_a_peer_is_told(void **state)
{
    g_autoptr(Bench) first = bench_called(*state, "a");
    g_autoptr(Bench) second = bench_called(*state, "b");
    g_autoptr(LabTemplate) lab = frozen_lab(first, second);
    g_autoptr(GError) error = NULL;
    change_initrd(second);
    assert_false(lab_template_keep(lab, "m", &error));
    assert_non_null(strstr(error->message, "host 'b': "));
    assert_non_null(strstr(error->message, "changed meanwhile: initramfs"));
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
    g_free(key_of(bench, NULL));
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
    g_free(key_of(bench, NULL));
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
        cmocka_unit_test(the_command_that_made_it_is_known),
        cmocka_unit_test(under_kvm_the_machine_is_an_input),
        cmocka_unit_test(files_in_arguments_make_it_impossible),
        cmocka_unit_test(whole_texts_are_looked_at),
        cmocka_unit_test(devices_are_no_files),
        cmocka_unit_test(properties_that_name_files_make_it_impossible),
        cmocka_unit_test(a_balloon_makes_it_impossible),
        cmocka_unit_test(what_was_replaced_meanwhile_is_not_kept),
        cmocka_unit_test(several_hosts_are_kept_as_one),
        cmocka_unit_test(each_host_and_how_it_is_joined_count),
        cmocka_unit_test(what_was_replaced_of_a_peer_is_told),
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
