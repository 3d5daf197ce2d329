/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Slots for memory: what a lab says of them, what is plugged into them, and what follows
 * from that.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "emit.h"
#include "error.h"
#include "lab-change.h"
#include "plan-change.h"
#include "plan-fixture.h"

#define MIB ((gint64)1024 * 1024)
#define GIB (1024 * MIB)

/* A cell with CPU and memory, one with a CPU only; two slots, up to 2 GiB. */
static int
setup(void **state)
{
    fixture_setup(state);
    Fixture *fixture = *state;
    fixture->host->memory_slots = 2;
    fixture->host->max_memory_bytes = 2 * GIB;
    fixture_cell(fixture->host, 0, 1, 512 * MIB);
    fixture_cell(fixture->host, 1, 1, 0);
    return 0;
}

static Plan *
plan_of(const Fixture *fixture)
{
    return fixture_plan(fixture->lab, fixture->emulator);
}

static LabMemory *
ask(const Fixture *fixture, const char *line, GError **error)
{
    g_auto(GStrv) words = g_strsplit(line, "|", -1);
    return lab_change_memory(fixture->host, (const char *const *)words, error);
}

static void
plug(const Fixture *fixture, const char *line)
{
    LabMemory *memory = ask(fixture, line, NULL);
    assert_non_null(memory);
    g_ptr_array_add(fixture->host->memory, memory);
}

static void
assert_not_asked(const Fixture *fixture, const char *line, const char *message)
{
    g_autoptr(GError) error = NULL;
    assert_null(ask(fixture, line, &error));
    assert_int_equal(error->code, HB_USAGE);
    assert_string_equal(error->message, message);
}

/* ---- slots
 * ------------------------------------------------------------------------------------ */

static void
slots_are_the_emulators_and_the_kernels(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(Plan) plan = plan_of(fixture);
    assert_int_equal(plan->memory_slots, 2);
    assert_true(plan->memory_bytes == 512 * MIB);
    assert_non_null(strstr(plan->cmdline, " memhp_default_state=online_movable"));
    g_autofree char *qemu = fixture_text(plan, "qemu");
    assert_non_null(strstr(qemu, "-m size=524288k,slots=2,maxmem=2097152k \\\n"));
    g_autofree char *libvirt = fixture_text(plan, "libvirt");
    assert_non_null(
        strstr(libvirt, "<maxMemory slots=\"2\" unit=\"KiB\">2097152</maxMemory>"));
    g_autofree char *tree = fixture_text(plan, "tree");
    assert_non_null(
        strstr(tree, "memory    512 MiB in 2 cells, up to 2 GiB by 2 slots\n"));
}

static void
a_host_without_slots_says_nothing_of_them(void **state)
{
    const Fixture *fixture = *state;
    fixture->host->memory_slots = 0;
    g_autoptr(Plan) plan = plan_of(fixture);
    assert_null(strstr(plan->cmdline, "memhp"));
    g_autofree char *qemu = fixture_text(plan, "qemu");
    assert_non_null(strstr(qemu, "-m size=524288k \\\n"));
    g_autofree char *libvirt = fixture_text(plan, "libvirt");
    assert_null(strstr(libvirt, "maxMemory"));
    plug(fixture, "memory|size=128MiB");
    fixture_assert_refused(fixture, "the host has no slots for memory; its lab says");
}

static void
emulated_addresses_end(void **state)
{
    const Fixture *fixture = *state;
    fixture->host->max_memory_bytes = 974 * GIB;
    g_autoptr(Plan) plan = plan_of(fixture);
    assert_null(plan->needs_kvm);
    fixture->host->max_memory_bytes += MIB;
    g_autoptr(Plan) larger = plan_of(fixture);
    assert_non_null(strstr(larger->needs_kvm, "may grow to 974 GiB of memory"));
}

/* ---- what is asked for
 * ------------------------------------------------------------------------------------ */

static void
memory_is_asked_for_by_size(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(LabMemory) plain = ask(fixture, "memory|size=256 MiB", NULL);
    assert_string_equal(plain->id, "memory0");
    assert_int_equal(plain->cell, 0);
    assert_true(plain->size_bytes == 256 * MIB);
    plug(fixture, "memory|size=128MiB|cell=1");
    const char *second = ((LabCell *)fixture->host->cells->pdata[1])->id;
    g_autofree char *line = g_strdup_printf("memory|id=m|cell=%s|size=1GiB", second);
    g_autoptr(LabMemory) named = ask(fixture, line, NULL);
    assert_string_equal(named->id, "m");
    assert_int_equal(named->cell, 1);
    g_autoptr(LabMemory) next = ask(fixture, "memory|size=128MiB", NULL);
    assert_string_equal(next->id, "memory1");
    g_autoptr(LabMemory) same = ask(fixture, "memory|size=128MiB|id=memory0", NULL);
    assert_int_equal(same->cell, 1);
}

static guint
count_pluggable(const Fixture *fixture, guint maximum)
{
    g_autoptr(Plan) plan = plan_of(fixture);
    g_autoptr(GPtrArray) list = plan_pluggable_memory(plan, maximum);
    return list->len;
}

static void
suites_may_have_a_block_for_each_cell(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(Plan) plan = plan_of(fixture);
    g_autoptr(GPtrArray) list = plan_pluggable_memory(plan, 8);
    assert_int_equal(list->len, 2);
    const PlanMemory *second = list->pdata[1];
    assert_string_equal(second->id, "hostbed-plugged-1");
    assert_int_equal(second->cell, 1);
    assert_int_equal(second->node, 1);
    assert_true(second->size_bytes == 128 * MIB);
    assert_int_equal(count_pluggable(fixture, 1), 1);
    fixture->host->max_memory_bytes = (512 + 255) * MIB;
    assert_int_equal(count_pluggable(fixture, 8), 1);
    fixture->host->memory_slots = 1;
    fixture->host->max_memory_bytes = 2 * GIB;
    assert_int_equal(count_pluggable(fixture, 8), 1);
    fixture->host->memory_slots = 0;
    assert_int_equal(count_pluggable(fixture, 8), 0);
}

static void
names_of_the_machine_are_its_own(void **state)
{
    assert_not_asked(*state, "memory|size=128MiB|id=hostbed-agent",
                     "the id 'hostbed-agent' is taken by the machine itself; choose "
                     "another");
    assert_not_asked(*state, "memory|size=128MiB|id=pcie.0",
                     "the id 'pcie.0' is taken by the machine itself; choose another");
}

static void
what_is_no_memory_is_refused(void **state)
{
    const Fixture *fixture = *state;
    LabCell *first = fixture->host->cells->pdata[0];
    LabNode *expander = fixture_root(first->nodes, LAB_EXPANDER, "x");
    fixture_ports(expander, NULL, 1, "p");
    assert_not_asked(fixture, "memory", "say how much memory: size=256MiB");
    assert_not_asked(fixture, "memory|256MiB",
                     "'256MiB' is no attribute with its value, as in size=256MiB");
    assert_not_asked(fixture, "memory|sise=1GiB",
                     "memory has no sise; did you mean size?");
    assert_not_asked(fixture, "memory|size=1GiB|size=2GiB", "size is there twice");
    assert_not_asked(fixture, "memory|size=1GiB|id=0",
                     "'0' is no name: a letter, then letters, digits, '.', '_' and '-', "
                     "at most 64 in all");
    assert_not_asked(fixture, "memory|size=1GiB|id=p.n0",
                     "the host has a nic of that name already: p.n0");
    g_autofree char *cell = g_strdup_printf("memory|size=1GiB|id=%s", first->id);
    g_autofree char *taken =
        g_strdup_printf("the host has a cell of that name already: %s", first->id);
    assert_not_asked(fixture, cell, taken);
    g_autoptr(GError) error = NULL;
    assert_null(ask(fixture, "memory|size=1GiB|cell=2", &error));
    assert_true(g_str_has_prefix(error->message, "the host has no cell '2'; it has "));
    g_clear_error(&error);
    assert_null(ask(fixture, "memory|size=256", &error));
    assert_true(g_str_has_prefix(error->message, "size='256' has no unit"));
}

/* ---- what is plugged
 * ------------------------------------------------------------------------------------ */

static void
assert_refused_with(const Fixture *fixture, const char *line, const char *words)
{
    plug(fixture, line);
    fixture_assert_refused(fixture, words);
    g_ptr_array_remove_index(fixture->host->memory, fixture->host->memory->len - 1);
}

static void
what_does_not_fit_is_refused(void **state)
{
    const Fixture *fixture = *state;
    assert_refused_with(fixture, "memory|size=100MiB",
                        "100 MiB is no multiple of 128 MiB, the blocks");
    assert_refused_with(fixture, "memory|size=0B", "0 B is no multiple of 128 MiB");
    plug(fixture, "memory|size=1GiB");
    assert_refused_with(fixture, "memory|size=640MiB",
                        "640 MiB more is too much: the host grows to 2 GiB, of which 512 "
                        "MiB are left");
    plug(fixture, "memory|size=512MiB");
    plan_free(plan_of(fixture));
    assert_refused_with(fixture, "memory|size=128MiB",
                        "no slot for memory is free: all that the host has (2)");
}

static void
large_hosts_have_large_blocks(void **state)
{
    const Fixture *fixture = *state;
    ((LabCell *)fixture->host->cells->pdata[0])->memory_bytes = 64 * GIB;
    fixture->host->max_memory_bytes = 80 * GIB;
    assert_refused_with(fixture, "memory|size=1GiB", "1 GiB is no multiple of 2 GiB");
    plug(fixture, "memory|size=4GiB");
    plan_free(plan_of(fixture));
}

/* Linux takes a node away that has neither. */
static void
a_cell_of_devices_gets_none(void **state)
{
    Fixture *fixture = *state;
    fixture_root(fixture_cell(fixture->host, 0, 0, 0)->nodes, LAB_EXPANDER, "x");
    assert_refused_with(fixture, "memory|size=128MiB|cell=2",
                        "has neither CPUs nor memory of its own");
}

static void
the_node_has_so_much_more(void **state)
{
    const Fixture *fixture = *state;
    plug(fixture, "memory|size=256MiB");
    plug(fixture, "memory|size=128MiB|cell=1|id=more");
    g_autoptr(Plan) plan = plan_of(fixture);
    g_autofree char *manifest = fixture_text(plan, "manifest");
    assert_non_null(strstr(manifest, "node 0 memory 768 MiB\n"));
    assert_non_null(strstr(manifest, "node 1 memory 128 MiB\n"));
    assert_int_equal(plan_memory(plan, "more")->node, 1);
    assert_null(plan_memory(plan, "less"));
    g_autoptr(GError) error = NULL;
    assert_null(plan_change_device(plan, "mere", &error));
    assert_string_equal(error->message,
                        "the host has no device 'mere'; did you mean more?");
    lab_memory_free(lab_change_unplug_memory(fixture->host, "more"));
    assert_null(lab_change_find_memory(fixture->host, "more"));
    g_autoptr(Plan) less = plan_of(fixture);
    g_autofree char *now = fixture_text(less, "manifest");
    assert_null(strstr(now, "node 1 memory"));
    assert_true(plan_memory_needed(plan) - plan_memory_needed(less) == 128 * MIB);
}

static void
the_backend_comes_first_and_goes_last(void **state)
{
    const Fixture *fixture = *state;
    plug(fixture, "memory|size=128MiB|cell=1");
    g_autoptr(Plan) plan = plan_of(fixture);
    const PlanMemory *memory = plan_memory(plan, "memory0");
    g_autofree char *in = fixture_commands(emit_qemu_plug_memory(memory));
    g_autofree char *out = fixture_commands(emit_qemu_clear_memory(memory));
    assert_string_equal(in,
                        "object-add {\"qom-type\":\"memory-backend-ram\",\"id\":"
                        "\"hostbed-memory-memory0\",\"size\":134217728}\n"
                        "device_add {\"driver\":\"pc-dimm\",\"id\":\"memory0\",\"memdev\""
                        ":\"hostbed-memory-memory0\",\"node\":1}\n");
    assert_string_equal(out, "object-del {\"id\":\"hostbed-memory-memory0\"}\n");
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(slots_are_the_emulators_and_the_kernels),
        CASE(a_host_without_slots_says_nothing_of_them),
        CASE(emulated_addresses_end),
        CASE(memory_is_asked_for_by_size),
        CASE(suites_may_have_a_block_for_each_cell),
        CASE(names_of_the_machine_are_its_own),
        CASE(what_is_no_memory_is_refused),
        CASE(what_does_not_fit_is_refused),
        CASE(large_hosts_have_large_blocks),
        CASE(a_cell_of_devices_gets_none),
        CASE(the_node_has_so_much_more),
        CASE(the_backend_comes_first_and_goes_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
