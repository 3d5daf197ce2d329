/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "bind.h"
#include "error.h"
#include "plan-fixture.h"

#define GIB ((gint64)1024 * 1024 * 1024)

typedef struct {
    Emulator *emulator;
    Plan *plan;
} Lab1;

/* A case with the plan of LAB, which is taken. */
static int
start_with(void **state, Lab *lab)
{
    Lab1 *self = g_new0(Lab1, 1);
    self->emulator = fixture_emulator(TRUE);
    self->plan = fixture_plan(lab, self->emulator);
    lab_free(lab);
    *state = self;
    return 0;
}

/* The article's nine NICs: x0.n0 … x2.n2 on cells 0-2. */
static int
setup(void **state)
{
    return start_with(state, fixture_article());
}

/* Cell 0: two e1000e in one group; a virtio NIC and an NVMe in groups of their own. Cell
 * 1: an igb with two virtual functions in groups of their own, and one whose port does
 * not isolate. On no cell: an e1000e. */
static Lab *
mixed(gboolean iommu)
{
    Lab *lab = fixture_lab();
    LabHost *host = fixture_host(lab);
    host->iommu.model = iommu ? LAB_IOMMU_INTEL : LAB_IOMMU_NONE;
    LabNode *first =
        fixture_root(fixture_cell(host, 0, 1, GIB)->nodes, LAB_EXPANDER, "first");
    for (int i = 0; i < 2; i++) {
        LabNode *port = fixture_node(first, LAB_PORT, i ? "pb" : "pa");
        port->slot = 2;
        port->function = i;
        port->multifunction = LAB_ON;
        port->acs = LAB_OFF;
        fixture_node(port, LAB_NIC, i ? "b" : "a");
    }
    fixture_node(fixture_node(first, LAB_PORT, "pv"), LAB_NIC, "v")->model =
        g_strdup("virtio");
    fixture_node(fixture_node(first, LAB_PORT, "pd"), LAB_NVME, "d")->serial =
        g_strdup("1");
    LabNode *second =
        fixture_root(fixture_cell(host, 1, 1, GIB)->nodes, LAB_EXPANDER, "second");
    for (int i = 0; i < 2; i++) {
        LabNode *port = fixture_node(second, LAB_PORT, i ? "pj" : "pi");
        port->acs = i ? LAB_OFF : LAB_UNSET;
        port->bus_reserve = 2;
        LabNode *nic = fixture_node(port, LAB_NIC, i ? "j" : "i");
        nic->model = g_strdup("igb");
        nic->vfs = 2;
    }
    fixture_node(fixture_root(host->nodes, LAB_PORT, "pn"), LAB_NIC, "n");
    return lab;
}

static int
setup_mixed(void **state)
{
    return start_with(state, mixed(TRUE));
}

static int
setup_no_iommu(void **state)
{
    return start_with(state, mixed(FALSE));
}

static int
teardown(void **state)
{
    Lab1 *self = *state;
    plan_free(self->plan);
    fixture_emulator_free(self->emulator);
    g_free(self);
    return 0;
}

static Bindings *
bound(const Lab1 *self, const char *selectors)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) each = g_strsplit(selectors, " ", -1);
    Bindings *bindings = bindings_new(self->plan, (const char *const *)each, &error);
    if (error)
        print_error("%s\n", error->message);
    assert_non_null(bindings);
    return bindings;
}

/* "id id + id": those that SELECTORS ask for, then those that go with them. */
static void
assert_bound(void **state, const char *selectors, const char *expected)
{
    g_autoptr(Bindings) bindings = bound(*state, selectors);
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < bindings->all->len; i++) {
        const Binding *binding = bindings->all->pdata[i];
        assert_int_equal(binding->asked, i < bindings->asked);
        g_string_append_printf(text, "%s%s%s", i > 0 ? " " : "",
                               i == bindings->asked ? "+ " : "", binding->function->id);
    }
    assert_string_equal(text->str, expected);
}

static void
assert_all_refused(const Lab1 *self, const char *const *selectors, const char *sentence)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Bindings) bindings = bindings_new(self->plan, selectors, &error);
    assert_null(bindings);
    assert_int_equal(error->code, HB_USAGE);
    if (!strstr(error->message, sentence))
        print_error("%s\n", error->message);
    assert_non_null(strstr(error->message, sentence));
    assert_null(strchr(error->message, '\n'));
}

static void
assert_refused(void **state, const char *selectors, const char *sentence)
{
    g_auto(GStrv) each = g_strsplit(selectors, " ", -1);
    assert_all_refused(*state, (const char *const *)each, sentence);
}

/* ---- the grammar
 * ------------------------------------------------------------------------------------ */

static void
what_is_no_selector_is_told(void **state)
{
    const char *const wrong[] = {"",       ":2",     "nic:",     "nic:0",  "nic:-1",
                                 "nic:x",  "nic@",   "nic@:2",   "@1",     "nic:65537",
                                 "nic: 1", "nic:1x", "nic@1:al", "nic:ALL"};
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree char *sentence = g_strdup_printf("--bind '%s' is no", wrong[i]);
        const char *const selectors[] = {wrong[i], NULL};
        assert_all_refused(*state, selectors, sentence);
    }
}

static void
no_selector_binds_nothing(void **state)
{
    const Lab1 *self = *state;
    g_autoptr(Bindings) bindings = bindings_new(self->plan, NULL, NULL);
    assert_int_equal(bindings->all->len, 0);
    g_auto(GStrv) environment = bindings_environment(bindings);
    assert_null(environment[0]);
}

static void
a_class_takes_the_first_by_address(void **state)
{
    assert_bound(state, "nic", "x0.n0");
    assert_bound(state, "nic:4", "x0.n0 x0.n1 x0.n2 x1.n0");
    assert_bound(state, "any:all",
                 "x0.n0 x0.n1 x0.n2 x1.n0 x1.n1 x1.n2 x2.n0 x2.n1 "
                 "x2.n2");
}

static void
a_cell_is_a_number_or_an_id(void **state)
{
    assert_bound(state, "nic@1:2", "x1.n0 x1.n1");
    assert_bound(state, "nic@cell2", "x2.n0");
    assert_bound(state, "e1000e@2:all", "x2.n0 x2.n1 x2.n2");
    assert_refused(state, "nic@3",
                   "--bind nic@3: there is no cell '3', but cell0, cell1, "
                   "cell2");
}

static void
an_element_is_named_by_id_or_address(void **state)
{
    assert_bound(state, "x1.n2", "x1.n2");
    assert_bound(state, "0000:b5:00.0", "x0.n0");
    assert_bound(state, "b5:00.0", "x0.n0");
    assert_bound(state, "DF:00.0", "x2.n2");
    assert_refused(state, "00:1f.2", "no function that '0000:00:1f.2' means");
    assert_refused(state, "b4:00.0", "no function that '0000:b4:00.0' means");
    assert_refused(state, "b5:00.00", "is no WHAT");
}

static void
each_function_is_taken_once(void **state)
{
    assert_bound(state, "nic@1 nic@1 nic", "x1.n0 x1.n1 x0.n0");
    assert_bound(state, "b5:00.0 nic:2", "x0.n0 x0.n1 x0.n2");
    assert_refused(state, "b5:00.0 x0.n0",
                   "--bind x0.n0: there is 1: 0000:b5:00.0 (x0.n0), of which an earlier "
                   "--bind takes 1; 1 is asked for");
    assert_refused(state, "nic:all nic:all", "so that none is left");
}

static void
too_few_are_counted_and_named(void **state)
{
    assert_refused(state, "nic@2:4",
                   "--bind nic@2:4: there are 3: 0000:dd:00.0 (x2.n0), 0000:de:00.0 "
                   "(x2.n1), 0000:df:00.0 (x2.n2); 4 are asked for");
    assert_refused(state, "nvme", "--bind nvme: there is none that can be bound");
}

static void
an_unknown_word_is_told_with_those_known(void **state)
{
    assert_refused(state, "gpu:2",
                   "the classes nic, nvme, device, vf, any, the models "
                   "e1000e, whole ids");
    assert_refused(state, "n0", "means (perhaps x0.n0, or x1.n0, or x2.n0); there");
}

/* ---- models, cells, groups
 * -------------------------------------------------------------------------- */

static void
models_are_the_labs_or_the_emulators(void **state)
{
    assert_bound(state, "virtio", "v");
    assert_bound(state, "virtio-net-pci", "v");
    assert_bound(state, "nvme", "d");
    assert_bound(state, "e1000e@none", "n");
}

static void
a_group_goes_as_a_whole(void **state)
{
    assert_bound(state, "a", "a + b");
    assert_bound(state, "b nvme", "b d + a");
    assert_bound(state, "a b", "a b");
}

static void
virtual_functions_are_a_class_of_their_own(void **state)
{
    assert_bound(state, "vf:2", "i-vf0 i-vf1");
    assert_bound(state, "i-vf1", "i-vf1");
    assert_bound(state, "nic@0:all", "v a b");
}

static void
a_function_with_virtual_ones_stays(void **state)
{
    assert_refused(state, "i",
                   "(i) has virtual functions, which would go with its driver");
    assert_refused(state, "igb", "--bind igb: there is none that can be bound");
    assert_refused(state, "j-vf0", "VFIO takes whole IOMMU groups, and 0000:");
    assert_refused(state, "j-vf0", "(j-vf0) shares its own with 0000:");
    assert_refused(state, "j-vf0", "(j), which has virtual functions");
}

static void
without_an_iommu_nothing_is_bound(void **state)
{
    assert_refused(state, "nic",
                   "has no IOMMU group, which VFIO needs; the lab has no "
                   "IOMMU (<iommu>)");
}

/* ---- what the command is told
 * ----------------------------------------------------------------------- */

static void
groups_are_the_hosts_to_say(void **state)
{
    g_autoptr(Bindings) bindings = bound(*state, "nic:2");
    const char *const wrong[] = {"",
                                 "0000:b5:00.0 7\n",
                                 "0000:b5:00.0 7\n0000:b6:00.0 8",
                                 "0000:b6:00.0 7\n0000:b5:00.0 8\n",
                                 "0000:b5:00.0 7\n0000:b6:00.0 -8\n",
                                 "0000:b5:00.0 7\n0000:b6:00.0 ../8\n",
                                 "0000:b5:00.0 7\n0000:b6:00.0 8\n9\n",
                                 "0000:b5:00.0\n0000:b6:00.0\n"};
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        assert_false(bindings_take_groups(bindings, wrong[i], &error));
        assert_int_equal(error->code, HB_INFRASTRUCTURE);
    }
    assert_true(
        bindings_take_groups(bindings, "0000:b5:00.0 7\n0000:b6:00.0 18\n", NULL));
    assert_int_equal(((Binding *)bindings->all->pdata[1])->group, 18);
}

static void
place_holders_are_filled_in(void **state)
{
    g_autoptr(Bindings) bindings = bound(*state, "nic@1:2");
    const char *const words[] = {"prog",
                                 "-a{bind:1.address}-{bind:2.group}-",
                                 "{bind:addresses}",
                                 "{} {x} {",
                                 "{bind:2.interface}@{bind:2.node}{bind:2.cell}",
                                 "{bind:1.id} {bind:1.model}",
                                 NULL};
    const char *const expected[] = {
        "prog",     "-a0000:c9:00.0-18-", "0000:c9:00.0,0000:ca:00.0",
        "{} {x} {", "eth4@1cell1",        "x1.n0 e1000e",
        NULL};
    assert_true(
        bindings_take_groups(bindings, "0000:c9:00.0 7\n0000:ca:00.0 18\n", NULL));
    g_auto(GStrv) filled = bindings_fill(bindings, words, NULL);
    for (guint i = 0; expected[i]; i++)
        assert_string_equal(filled[i], expected[i]);
    assert_null(filled[G_N_ELEMENTS(expected) - 1]);
}

static void
assert_no_place_holder(const Bindings *bindings, const char *word, const char *sentence)
{
    const char *const words[] = {"prog", word, NULL};
    g_autoptr(GError) error = NULL;
    assert_null(bindings_fill(bindings, words, &error));
    assert_int_equal(error->code, HB_USAGE);
    assert_non_null(strstr(error->message, sentence));
}

static void
place_holders_for_nothing_are_told(void **state)
{
    g_autoptr(Bindings) bindings = bound(*state, "nic");
    const char *const wrong[] = {"{bind:2.address}", "{bind:0.address}", "{bind:1.mac}",
                                 "{bind:1}",         "{bind:address}",   "{bind:}",
                                 "{bind:1.address",  "{bind:-1.address}"};
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++)
        assert_no_place_holder(bindings, wrong[i], "is no place-holder: there are");
    g_autoptr(Bindings) none = bindings_new(((Lab1 *)*state)->plan, NULL, NULL);
    assert_no_place_holder(none, "{bind:1.address}", "no --bind was given");
    assert_no_place_holder(none, "{bind:addresses}", "no --bind was given");
}

static void
the_environment_has_all_of_each(void **state)
{
    g_autoptr(Bindings) bindings = bound(*state, "nic@2 nic@0");
    static const char *const expected[] = {
        "HOSTBED_BIND_COUNT=2",
        "HOSTBED_BIND_ADDRESSES=0000:dd:00.0 0000:b5:00.0",
        "HOSTBED_BIND_1_ADDRESS=0000:dd:00.0",
        "HOSTBED_BIND_1_GROUP=5",
        "HOSTBED_BIND_1_NODE=2",
        "HOSTBED_BIND_1_INTERFACE=eth6",
        "HOSTBED_BIND_1_ID=x2.n0",
        "HOSTBED_BIND_1_CELL=cell2",
        "HOSTBED_BIND_1_MODEL=e1000e",
        "HOSTBED_BIND_2_ADDRESS=0000:b5:00.0",
    };
    assert_true(bindings_take_groups(bindings, "0000:dd:00.0 5\n0000:b5:00.0 6\n", NULL));
    g_auto(GStrv) environment = bindings_environment(bindings);
    for (guint i = 0; i < G_N_ELEMENTS(expected); i++)
        assert_true(g_strv_contains((const char *const *)environment, expected[i]));
}

static void
companions_are_not_told(void **state)
{
    g_autoptr(Bindings) bindings = bound(*state, "a");
    g_auto(GStrv) environment = bindings_environment(bindings);
    g_auto(GStrv) addresses = bindings_addresses(bindings);
    assert_int_equal(g_strv_length(addresses), 2);
    assert_string_equal(environment[0], "HOSTBED_BIND_COUNT=1");
}

static void
interfaces_of_virtual_functions_come_last(void **state)
{
    g_autoptr(Bindings) bindings = bound(*state, "vf n");
    g_autofree char *list = bindings_list(bindings);
    const Binding *vf = bindings->all->pdata[0], *nic = bindings->all->pdata[1];
    /* a, b, v, i, j and n are physical; the NVMe has none. */
    assert_string_equal(vf->interface, "eth6");
    assert_null(strstr(nic->interface, "eth6"));
    assert_non_null(strstr(list, " id=d "));
    assert_null(strstr(list, "hostbed-agent"));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define M(name) cmocka_unit_test_setup_teardown(name, setup_mixed, teardown)
    const struct CMUnitTest tests[] = {
        T(what_is_no_selector_is_told),
        T(no_selector_binds_nothing),
        T(a_class_takes_the_first_by_address),
        T(a_cell_is_a_number_or_an_id),
        T(an_element_is_named_by_id_or_address),
        T(each_function_is_taken_once),
        T(too_few_are_counted_and_named),
        T(an_unknown_word_is_told_with_those_known),
        M(models_are_the_labs_or_the_emulators),
        M(a_group_goes_as_a_whole),
        M(virtual_functions_are_a_class_of_their_own),
        M(a_function_with_virtual_ones_stays),
        cmocka_unit_test_setup_teardown(without_an_iommu_nothing_is_bound, setup_no_iommu,
                                        teardown),
        T(groups_are_the_hosts_to_say),
        T(place_holders_are_filled_in),
        T(place_holders_for_nothing_are_told),
        T(the_environment_has_all_of_each),
        M(companions_are_not_told),
        M(interfaces_of_virtual_functions_come_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
