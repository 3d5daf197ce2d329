/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is frozen is kept with the host that it was made from, and of several hosts as
 * one.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"
#include "image-fixture.h"
#include "lab-boot-private.h"
#include "template-bench.h"
#include "template-private.h"

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
        BenchChange change;
        const char *words;
    } changes[] = {{bench_change_emulator, "emulator"},
                   {bench_change_kernel, "kernel"},
                   {bench_change_initrd, "initramfs"}};
    g_autoptr(Bench) plain = bench_new(*state, 512 * MIB);
    g_autoptr(LabTemplate) kept = frozen(plain);
    g_autoptr(GError) none = NULL;
    if (!lab_template_keep(kept, "m", &none))
        fail_msg("%s", none->message);
    g_autofree char *key = bench_key(plain, "m");
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
    function->joined = function->network != NULL;
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
    bench_change_initrd(second);
    assert_false(lab_template_keep(lab, "m", &error));
    assert_non_null(strstr(error->message, "host 'b': "));
    assert_non_null(strstr(error->message, "changed meanwhile: initramfs"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_replaced_meanwhile_is_not_kept),
        cmocka_unit_test(several_hosts_are_kept_as_one),
        cmocka_unit_test(each_host_and_how_it_is_joined_count),
        cmocka_unit_test(what_was_replaced_of_a_peer_is_told),
    };
    return cmocka_run_group_tests_name("lab-template-keep", tests, fake_root_setup,
                                       fake_root_teardown);
}
