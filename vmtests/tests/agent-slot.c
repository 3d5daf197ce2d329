/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the agent does to the slot of a port, whose registers are a file here: nobody
 * empties it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib.h>
#include <glib/gstdio.h>
#include <linux/pci_regs.h>
#include <sys/wait.h>

#include "agent.h"

#define PORT "0000:20:00.0"
#define CAPABILITY 0x54
#define CONTROL (CAPABILITY + PCI_EXP_SLTCTL)
#define STATUS (CAPABILITY + PCI_EXP_SLTSTA)

typedef struct {
    char *folder, *devices, *slot, *config;
    guint8 registers[256];
} Tree;

static void
write_config(const Tree *tree)
{
    assert_true(g_file_set_contents(tree->config, (const char *)tree->registers,
                                    sizeof tree->registers, NULL));
}

static guint
read_config(const Tree *tree, gsize at)
{
    gsize length;
    g_autofree char *text = NULL;
    assert_true(g_file_get_contents(tree->config, &text, &length, NULL));
    assert_int_equal(length, sizeof tree->registers);
    return (guint8)text[at] | (guint)(guint8)text[at + 1] << 8;
}

static void
set(Tree *tree, gsize at, guint value)
{
    tree->registers[at] = value & 0xff;
    tree->registers[at + 1] = value >> 8;
    write_config(tree);
}

/* A port with a slot: power and indicator are on, and something is in it. */
static int
make_tree(void **state)
{
    Tree *tree = g_new0(Tree, 1);
    tree->folder = g_dir_make_tmp("hostbed-slot-XXXXXX", NULL);
    tree->devices = g_build_filename(tree->folder, "sys/bus/pci/devices/" PORT, NULL);
    tree->slot = g_build_filename(tree->folder, "sys/bus/pci/slots/2", NULL);
    tree->config = g_build_filename(tree->devices, "config", NULL);
    g_mkdir_with_parents(tree->devices, 0700);
    g_mkdir_with_parents(tree->slot, 0700);
    tree->registers[PCI_CAPABILITY_LIST] = 0x40;
    tree->registers[0x40] = PCI_CAP_ID_MSI;
    tree->registers[0x41] = CAPABILITY;
    tree->registers[CAPABILITY] = PCI_CAP_ID_EXP;
    set(tree, CAPABILITY + PCI_EXP_FLAGS, PCI_EXP_FLAGS_SLOT | 2);
    set(tree, CONTROL, 0x01f1);
    set(tree, STATUS, PCI_EXP_SLTSTA_PDS);
    *state = tree;
    return 0;
}

static int
remove_tree(void **state)
{
    Tree *tree = *state;
    const char *argv[] = {"rm", "-rf", tree->folder, NULL};
    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL,
                 NULL, NULL);
    g_free(tree->folder);
    g_free(tree->devices);
    g_free(tree->slot);
    g_free(tree->config);
    g_free(tree);
    return 0;
}

static int
tear_out(const Tree *tree, const char *port)
{
    char *words[] = {(char *)port, NULL};
    return tear_out_main(tree->folder, words);
}

static void
what_stays_is_told_and_the_slot_is_as_it_was(void **state)
{
    const Tree *tree = *state;
    assert_int_equal(tear_out(tree, PORT), 1);
    assert_int_equal(read_config(tree, CONTROL), 0x01f1);
    assert_int_equal(read_config(tree, STATUS), PCI_EXP_SLTSTA_PDS);
}

static void
what_is_no_slot_is_refused(void **state)
{
    Tree *tree = *state;
    assert_int_equal(tear_out(tree, "0000:20:01.0"), 1);
    assert_int_equal(tear_out(tree, "../devices/" PORT), 1);
    set(tree, CAPABILITY + PCI_EXP_FLAGS, 2);
    assert_int_equal(tear_out(tree, PORT), 1);
    tree->registers[0x41] = 0x40; /* a list without an end */
    write_config(tree);
    assert_int_equal(tear_out(tree, PORT), 1);
    assert_int_equal(read_config(tree, CONTROL), 0x01f1);
}

static void
power_is_on_again_and_the_indicator_too(void **state)
{
    Tree *tree = *state;
    set(tree, STATUS, PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_CC);
    assert_int_equal(tear_out(tree, PORT), 0);
    assert_int_equal(read_config(tree, CONTROL), 0x01f1);
    set(tree, CONTROL, 0x03f1);
    assert_int_equal(tear_out(tree, PORT), 0);
    assert_int_equal(read_config(tree, CONTROL), 0x01f1);
}

static void
only_events_that_are_there_are_cleared(void **state)
{
    Tree *tree = *state;
    char *words[] = {(char *)PORT, (char *)"untold", NULL};
    set(tree, STATUS, PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_MRLSS);
    assert_int_equal(tear_out_main(tree->folder, words), 0);
    assert_int_equal(read_config(tree, STATUS), PCI_EXP_SLTSTA_PDC);
}

static void
what_is_not_there_is_gone(void **state)
{
    Tree *tree = *state;
    char *words[] = {(char *)PORT, (char *)"0000:21:00.0", NULL};
    set(tree, CONTROL, 0x07f1);
    assert_int_equal(await_gone_main(tree->folder, words), 0);
    words[0] = (char *)"0000:20:01.0";
    assert_int_equal(await_gone_main(tree->folder, words), 1);
}

static void
the_slot_is_found_by_its_address(void **state)
{
    const Tree *tree = *state;
    char *words[] = {(char *)"0000:21:00.0", NULL}, *others[] = {(char *)"0000:2", NULL};
    g_autofree char *address = g_build_filename(tree->slot, "address", NULL);
    g_autofree char *power = g_build_filename(tree->slot, "power", NULL);
    assert_int_equal(tell_main(tree->folder, words), 1);
    assert_true(g_file_set_contents(address, "0000:21:00\n", -1, NULL));
    assert_int_equal(tell_main(tree->folder, words), 1);
    assert_int_equal(tell_main(tree->folder, others), 1);
    assert_true(g_file_set_contents(power, "1", -1, NULL));
    assert_int_equal(tell_main(tree->folder, words), 0);
    int status;
    assert_true(wait(&status) > 0);
    g_autofree char *text = NULL;
    assert_true(g_file_get_contents(power, &text, NULL, NULL));
    assert_string_equal(text, "0");
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, make_tree, remove_tree)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_stays_is_told_and_the_slot_is_as_it_was),
        CASE(what_is_no_slot_is_refused),
        CASE(power_is_on_again_and_the_indicator_too),
        CASE(only_events_that_are_there_are_cleared),
        CASE(what_is_not_there_is_gone),
        CASE(the_slot_is_found_by_its_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
