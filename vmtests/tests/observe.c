/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Observations of recorded trees, and of trees that nobody should believe.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "observe.h"
#include "tree.h"

/* ---- trees
 * --------------------------------------------------------------------------------------
 */

static int
make_folder(void **state)
{
    *state = g_dir_make_tmp("hostbed-observe-XXXXXX", NULL);
    return *state ? 0 : -1;
}

static int
remove_folder(void **state)
{
    g_autofree char *folder = *state;
    const char *argv[] = {"rm", "-rf", folder, NULL};
    return g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL,
                        NULL, NULL, NULL)
               ? 0
               : -1;
}

static int
unpack(const char *folder, const char *text)
{
    FILE *in = fmemopen((char *)text, strlen(text), "r");
    int line = tree_unpack(in, folder);
    fclose(in);
    return line;
}

static char *
observation(const char *folder)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    int failed = observe(folder, out);
    fclose(out);
    assert_int_equal(failed, 0);
    return text;
}

static char *
recorded(const char *name, const char *extension)
{
    g_autofree char *file = g_strconcat(name, extension, NULL);
    g_autofree char *path =
        g_build_filename(g_getenv("HOSTBED_SOURCE_DIR"), "vmtests/recorded", file, NULL);
    char *text;
    g_autoptr(GError) error = NULL;
    if (!g_file_get_contents(path, &text, NULL, &error))
        fail_msg("%s", error->message);
    return text;
}

/* ---- recorded hosts
 * ------------------------------------------------------------------------------- */

static void
sees_what_the_host_saw(const char *folder, const char *name)
{
    g_autofree char *tree = recorded(name, ".tree");
    g_autofree char *expected = recorded(name, ".observation");
    assert_int_equal(unpack(folder, tree), 0);
    g_autofree char *seen = observation(folder);
    assert_string_equal(seen, expected);
}

static void
virtual_functions(void **state)
{
    sees_what_the_host_saw(*state, "igb-vfs");
    g_autofree char *seen = observation(*state);
    assert_non_null(strstr(seen, "\npci 0000:21:11.4 id 8086:10ca\n"));
    assert_non_null(
        strstr(seen, "\ngroup 0000:40:00.0 0000:41:00.0 0000:41:10.0 0000:41:10.2\n"));
}

static void
the_article(void **state)
{
    sees_what_the_host_saw(*state, "berrange-2017");
    g_autofree char *seen = observation(*state);
    assert_non_null(strstr(seen, "\nnode 0 memory 4000 MiB\n"));
    assert_non_null(strstr(seen, "\nnode 2 memory 2000 MiB\n"));
    assert_non_null(strstr(seen, "\nnode 2 hugepages 1048576kB 1\n"));
    assert_non_null(strstr(seen, "\npci 0000:df:00.0 parent 0000:dc:02.0\n"));
    assert_non_null(strstr(seen, "\ngroup 0000:dc:02.0 0000:df:00.0\n"));
    assert_non_null(strstr(seen, "\niommu intremap\n"));
}

static void
memory_attributes(void **state)
{
    sees_what_the_host_saw(*state, "hmat");
    g_autofree char *seen = observation(*state);
    assert_non_null(strstr(seen, "\nnode 3 access0 read-latency 45\n"));
    assert_non_null(strstr(seen, "\nnode 2 memory-cache 1 size 65536 line 64 "));
    assert_non_null(strstr(seen, " bar rom mem32 262144\n"));
}

static void
tiny_nodes_behind_the_hole(void **state)
{
    sees_what_the_host_saw(*state, "tiny-nodes");
    g_autofree char *seen = observation(*state);
    assert_non_null(strstr(seen, "\nnode 0 memory 3072 MiB\n"));
    assert_non_null(strstr(seen, "\nnode 3 memory 16 MiB\n"));
    assert_null(strstr(seen, "iommu"));
}

static void
one_node_without_a_table(void **state)
{
    sees_what_the_host_saw(*state, "amd");
    g_autofree char *seen = observation(*state);
    assert_non_null(strstr(seen, "\nnode 0 memory 512 MiB\n"));
    assert_non_null(strstr(seen, "\niommu model amd\n"));
}

static void
bars_without_room(void **state)
{
    sees_what_the_host_saw(*state, "no-room");
    g_autofree char *seen = observation(*state);
    assert_non_null(strstr(seen, " bar 0 mem32 131072 unassigned\n"));
    assert_non_null(strstr(seen, " bar 2 io 32 unassigned\n"));
    assert_null(strstr(seen, " driver e1000e\n"));
    assert_non_null(
        strstr(seen, "\nnode 0 memory 1000 MiB\n")); /* whatever this firmware keeps */
}

/* Gathering what was unpacked gives the same text again, but for comments and the log. */
static void
gathers_what_was_unpacked(void **state)
{
    g_autofree char *tree = recorded("hmat", ".tree");
    g_autofree char *again = NULL;
    size_t size;
    assert_int_equal(unpack(*state, tree), 0);
    FILE *out = open_memstream(&again, &size);
    assert_int_equal(tree_gather(*state, out), 0);
    fclose(out);
    char *begin = strchr(tree, '\n') + 1;
    char *log = strstr(begin, "f proc/kmsg.txt\n");
    if (log)
        *log = '\0';
    assert_string_equal(again, begin);
}

/* ---- made-up trees
 * --------------------------------------------------------------------------------- */

#define CPU "f sys/devices/system/cpu/online\n 0\n"
#define FUNCTION "sys/devices/pci0000:00/0000:00:01.0"
#define LINK                                                                             \
    "l sys/bus/pci/devices/0000:00:01.0 ../../../devices/pci0000:00/0000:00:01.0\n"

static void
refuses_what_is_no_tree(void **state)
{
    g_autofree char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_int_equal(observe(*state, out), -1);
    assert_int_equal(observe("/no/such/folder", out), -1);
    fclose(out);
}

static void
a_file_cannot_make_up_facts(void **state)
{
    assert_int_equal(
        unpack(*state,
               CPU "f sys/devices/system/node/online\n 0\n"
                   "f sys/devices/system/node/node0/cpulist\n 0\n node 7 cpus 9\n"),
        0);
    g_autofree char *seen = observation(*state);
    assert_null(strstr(seen, "\nnode 7"));
}

static void
numbers_that_are_none_have_no_line(void **state)
{
    assert_int_equal(unpack(*state, CPU LINK
                            "f " FUNCTION "/vendor\n 0xzz\n"
                            "f " FUNCTION "/device\n -1\n"
                            "f " FUNCTION "/class\n 99999999999999999999999999999\n"
                            "f " FUNCTION "/resource\n nonsense\n 0x10 0x1 0x200\n"
                            "f sys/devices/system/node/online\n 0-99999999\n"),
                     0);
    g_autofree char *seen = observation(*state);
    assert_string_equal(seen, "cpus 0\npci 0000:00:01.0 parent root\n");
}

/* Where the firmware put a BAR that its bridge has no window for: so says the kernel's
 * log, in the words of newer and of older kernels. */
static void
bars_that_the_firmware_misplaced(void **state)
{
    assert_int_equal(
        unpack(*state, CPU LINK
               "f " FUNCTION "/resource\n 0x0 0x0 0x0\n 0x0 0x0 0x0\n 0x0 0x0 0x0\n"
               "f proc/kmsg.txt\n"
               " <6>[    1.0] pci 0000:00:01.0: BAR 0 [io  0xc000-0xc01f]: failed to "
               "assign\n"
               " <6>[    1.0] pci 0000:00:01.0: BAR 1: failed to assign [mem "
               "0x1000000000-0x1000003fff 64bit pref]\n"
               " <6>[    1.0] pci 0000:00:01.0: BAR 2 [mem 0x2-0x1]: failed to assign\n"),
        0);
    g_autofree char *seen = observation(*state);
    assert_string_equal(seen, "cpus 0\n"
                              "pci 0000:00:01.0 bar 0 io 32 unassigned\n"
                              "pci 0000:00:01.0 bar 1 mem64-pref 16384 unassigned\n"
                              "pci 0000:00:01.0 parent root\n");
}

/* One function after the other at one address: of each only what is said after it came.
 */
static void
bars_of_a_function_that_has_left(void **state)
{
    assert_int_equal(
        unpack(*state, CPU LINK
               "f " FUNCTION "/resource\n 0x0 0x0 0x0\n 0x0 0x0 0x0\n 0x0 0x0 0x0\n"
               "f proc/kmsg.txt\n"
               " <6>[    1.0] pci 0000:00:01.0: [8086:10d3] type 00 class 0x020000\n"
               " <6>[    1.0] pci 0000:00:01.0: BAR 2: failed to assign [io  size "
               "0x0020]\n"
               " <6>[    9.0] pci 0000:00:02.0: [1af4:1041] type 00 class 0x020000\n"
               " <6>[    9.0] pci 0000:00:01.0: [1af4:1041] type 00 class 0x020000 PCIe "
               "Endpoint\n"
               " <6>[    9.0] pci 0000:00:01.0: BAR 1 [mem size 0x1000]: failed to "
               "assign\n"),
        0);
    g_autofree char *seen = observation(*state);
    assert_string_equal(seen, "cpus 0\n"
                              "pci 0000:00:01.0 bar 1 mem32 4096 unassigned\n"
                              "pci 0000:00:01.0 parent root\n");
}

static void
lists_are_bounded(void **state)
{
    assert_int_equal(
        unpack(*state, "f sys/devices/system/cpu/online\n 0-4294967295,7,7,7\n"), 0);
    g_autofree char *seen = observation(*state);
    assert_string_equal(seen, "cpus 0-4294967295,7,7,7\n");
}

/* Tables and maps with wild lengths and ranges: no line goes wrong for it, and no byte is
 * read behind the end. */
static void
wild_tables_do_no_harm(void **state)
{
    GString *tree = g_string_new(CPU "b sys/firmware/acpi/tables/SRAT\n ");
    for (int i = 0; i < 48; i++)
        g_string_append(tree, "00");
    g_string_append(
        tree, "0128"
              "00000000"
              "0000"
              "ffffffffffffffff"
              "ffffffffffffffff"
              "00000000"
              "01000000"
              "0000000000000000"
              "01ff"
              "0000\n"
              "f sys/firmware/memmap/0/start\n 0x0\n"
              "f sys/firmware/memmap/0/end\n 0xffffffffffffffff\n"
              "f sys/firmware/memmap/0/type\n Reserved\n"
              "f proc/zoneinfo\n"
              " Node 4294967295, zone DMA\n         present  18446744073709551615\n"
              " Node 5, zone Normal\n         present  256\n   start_pfn: 4294967296\n");
    assert_int_equal(unpack(*state, tree->str), 0);
    g_string_free(tree, TRUE);
    g_autofree char *seen = observation(*state);
    assert_string_equal(seen, "cpus 0\nnode 5 memory 1 MiB\n");
}

static void
folders_and_pipes_are_no_files(void **state)
{
    assert_int_equal(unpack(*state, CPU LINK "f " FUNCTION "/vendor/x\n 1\n"
                                             "f " FUNCTION "/class\n 0x020000\n"),
                     0);
    g_autofree char *pipe = g_build_filename(*state, FUNCTION "/device", NULL);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    g_autofree char *seen = observation(*state);
    assert_string_equal(seen, "cpus 0\npci 0000:00:01.0 class 020000\n"
                              "pci 0000:00:01.0 parent root\n");
}

static void
remapping_shows_in_the_interrupts(void **state)
{
    assert_int_equal(unpack(*state, CPU "f sys/kernel/irq/0/chip_name\n IO-APIC\n"), 0);
    g_autofree char *without = observation(*state);
    assert_string_equal(without, "cpus 0\n");
    assert_int_equal(unpack(*state, "f sys/kernel/irq/9/chip_name\n IR-IO-APIC\n"), 0);
    g_autofree char *with = observation(*state);
    assert_string_equal(with, "cpus 0\niommu intremap\n");
}

static void
virtio_names_its_unit_by_address(void **state)
{
    assert_int_equal(
        unpack(*state, CPU "l sys/class/iommu/0000:00:01.0 ../../devices/virtual/x\n"),
        0);
    g_autofree char *seen = observation(*state);
    assert_string_equal(seen, "cpus 0\niommu model virtio\n");
}

static void
says_which_line_of_a_tree_is_wrong(void **state)
{
    assert_int_equal(unpack(*state, "# fine\nf a/b\n c\nx y\n"), 4);
    assert_int_equal(unpack(*state, " content of nothing\n"), 1);
    assert_int_equal(unpack(*state, "f ../outside\n"), 1);
    assert_int_equal(unpack(*state, "f /outside\n"), 1);
    assert_int_equal(unpack(*state, "f a/../../outside\n"), 1);
    assert_int_equal(unpack(*state, "l a/link\n"), 1);
    assert_int_equal(unpack(*state, "b a/bytes\n 00zz\n"), 2);
}

#define CASE(function)                                                                   \
    cmocka_unit_test_setup_teardown(function, make_folder, remove_folder)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_article),
        CASE(virtual_functions),
        CASE(memory_attributes),
        CASE(tiny_nodes_behind_the_hole),
        CASE(one_node_without_a_table),
        CASE(bars_without_room),
        CASE(gathers_what_was_unpacked),
        CASE(refuses_what_is_no_tree),
        CASE(a_file_cannot_make_up_facts),
        CASE(numbers_that_are_none_have_no_line),
        CASE(bars_that_the_firmware_misplaced),
        CASE(bars_of_a_function_that_has_left),
        CASE(lists_are_bounded),
        CASE(wild_tables_do_no_harm),
        CASE(folders_and_pipes_are_no_files),
        CASE(remapping_shows_in_the_interrupts),
        CASE(virtio_names_its_unit_by_address),
        CASE(says_which_line_of_a_tree_is_wrong),
    };
    return cmocka_run_group_tests_name("observe", tests, NULL, NULL);
}
