/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The check, without a machine: a manifest, an observation in which one thing is altered,
 * and the exact lines that must fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "compare.h"

static const char manifest[] = "cpu 0 package-siblings 0-1\n"
                               "cpu 0 thread-siblings 0\n"
                               "cpus 0-1\n"
                               "group 0000:00:00.0\n"
                               "group 0000:b4:00.0 0000:b5:00.0\n"
                               "iommu aw-bits 39\n"
                               "iommu intremap\n"
                               "iommu model intel\n"
                               "node 0 cpus 0-1\n"
                               "node 0 distance 0 10\n"
                               "node 0 distance 1 21\n"
                               "node 0 hugepages 2048kB 64\n"
                               "node 0 memory 4000 MiB\n"
                               "pci 0000:00:00.0 id 8086:29c0\n"
                               "pci 0000:00:00.0 parent root\n"
                               "pci 0000:b5:00.0 bar 0 mem32 131072\n"
                               "pci 0000:b5:00.0 id 8086:10d3\n"
                               "pci 0000:b5:00.0 mac 52:54:00:7e:6e:c6\n"
                               "pci 0000:b5:00.0 node 0\n";

/* The bad results, each with its output. */
static char *
describe(const GPtrArray *results, Outcome outcome)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < results->len; i++) {
        const CaseResult *result = results->pdata[i];
        if (result->outcome != OUTCOME_PASS) {
            assert_int_equal(result->outcome, outcome);
            g_string_append_printf(text, "%s: %s\n%s", result->name, result->message,
                                   result->output ? result->output : "");
        }
    }
    return g_string_free(text, FALSE);
}

static void
expect(const char *asked, const char *found, const char *expected)
{
    g_autoptr(GPtrArray) results = compare_manifest("l1", asked, found, 0);
    g_autofree char *text = describe(results, OUTCOME_FAIL);
    assert_string_equal(text, expected);
}

/* The observation is the manifest with OLD replaced. */
static void
expect_altered(const char *old, const char *now, const char *expected)
{
    assert_non_null(strstr(manifest, old));
    g_autoptr(GString) observation = g_string_new(manifest);
    g_string_replace(observation, old, now, 1);
    expect(manifest, observation->str, expected);
}

static void
passes_what_is_the_same(void **state)
{
    g_autoptr(GPtrArray) results = compare_manifest("l1", manifest, manifest, 0);
    static const char *const names[] = {
        "cpus", "groups", "iommu", "node 0", "pci 0000:00:00.0", "pci 0000:b5:00.0",
    };
    assert_int_equal(results->len, G_N_ELEMENTS(names));
    for (guint i = 0; i < results->len; i++) {
        const CaseResult *result = results->pdata[i];
        assert_string_equal(result->name, names[i]);
        assert_string_equal(result->suite, "manifest");
        assert_string_equal(result->host, "l1");
        assert_int_equal(result->outcome, OUTCOME_PASS);
        assert_null(result->message);
    }
}

static void
names_the_line_that_differs(void **state)
{
    expect_altered(
        "node 0 distance 1 21", "node 0 distance 1 20",
        "node 0: manifest:11: asked 'node 0 distance 1 21', found 'node 0 distance 1 "
        "20'\n"
        "manifest:11: asked 'node 0 distance 1 21', found 'node 0 distance 1 20'\n");
    expect_altered(
        "mac 52:54:00:7e:6e:c6", "mac 52:54:00:7e:6e:c7",
        "pci 0000:b5:00.0: manifest:18: asked 'pci 0000:b5:00.0 mac 52:54:00:7e:6e:c6', "
        "found 'pci 0000:b5:00.0 mac 52:54:00:7e:6e:c7'\n"
        "manifest:18: asked 'pci 0000:b5:00.0 mac 52:54:00:7e:6e:c6', found 'pci "
        "0000:b5:00.0 mac 52:54:00:7e:6e:c7'\n");
    expect_altered("bar 0 mem32 131072", "bar 0 mem32 131072 unassigned",
                   "pci 0000:b5:00.0: manifest:16: asked 'pci 0000:b5:00.0 bar 0 mem32 "
                   "131072', found "
                   "'pci 0000:b5:00.0 bar 0 mem32 131072 unassigned'\n"
                   "manifest:16: asked 'pci 0000:b5:00.0 bar 0 mem32 131072', found 'pci "
                   "0000:b5:00.0 "
                   "bar 0 mem32 131072 unassigned'\n");
}

static void
tells_what_is_not_there(void **state)
{
    expect_altered("iommu intremap\n", "",
                   "iommu: manifest:7: asked 'iommu intremap', found nothing\n"
                   "manifest:7: asked 'iommu intremap', found nothing\n");
    expect_altered("pci 0000:00:00.0 id 8086:29c0\npci 0000:00:00.0 parent root\n", "",
                   "pci 0000:00:00.0: not there: nothing was found of it\n"
                   "manifest:14: asked 'pci 0000:00:00.0 id 8086:29c0', found nothing\n"
                   "manifest:15: asked 'pci 0000:00:00.0 parent root', found nothing\n");
}

static void
refuses_what_nobody_asked_for(void **state)
{
    expect_altered("pci 0000:b5:00.0 bar 0",
                   "pci 0000:a0:00.0 node 1\npci 0000:b5:00.0 bar 0",
                   "pci 0000:a0:00.0: nobody asked for it\n"
                   "not asked, found 'pci 0000:a0:00.0 node 1'\n");
    expect_altered("iommu intremap", "iommu caching-mode\niommu intremap",
                   "iommu: not asked, found 'iommu caching-mode'\n"
                   "not asked, found 'iommu caching-mode'\n");
    expect_altered("cpus 0-1\n", "cpus 0-1\ncuckoo\n",
                   "cuckoo: nobody asked for it\nnot asked, found 'cuckoo'\n");
}

static void
compares_groups_as_sets(void **state)
{
    expect_altered(
        "group 0000:b4:00.0 0000:b5:00.0", "group 0000:b4:00.0\ngroup 0000:b5:00.0",
        "groups: manifest:5: asked 'group 0000:b4:00.0 0000:b5:00.0', found 'group "
        "0000:b4:00.0' and 'group 0000:b5:00.0'\n"
        "manifest:5: asked 'group 0000:b4:00.0 0000:b5:00.0', found 'group 0000:b4:00.0' "
        "and 'group 0000:b5:00.0'\n");
    expect_altered("group 0000:00:00.0\n", "group 0000:00:00.0\ngroup 0000:00:02.0\n",
                   "groups: not asked, found 'group 0000:00:02.0'\n"
                   "not asked, found 'group 0000:00:02.0'\n");
}

static void
counts_further_differences(void **state)
{
    expect_altered(
        "node 0 distance 0 10\nnode 0 distance 1 21\n", "",
        "node 0: manifest:10: asked 'node 0 distance 0 10', found nothing (and 1 more)\n"
        "manifest:10: asked 'node 0 distance 0 10', found nothing\n"
        "manifest:11: asked 'node 0 distance 1 21', found nothing\n");
}

static void
taint_makes_differences_unchecked(void **state)
{
    g_autoptr(GPtrArray) results = compare_manifest(
        "l1", "cpus 0-1\nnode 0 cpus 0\n", "cpus 0-2\nnode 0 cpus 0\n", COMPARE_TAINTED);
    assert_int_equal(results->len, 2);
    g_autofree char *text = describe(results, OUTCOME_SKIP);
    assert_string_equal(
        text, "cpus: unchecked, raw emulator arguments may disturb it: manifest:1: "
              "asked 'cpus 0-1', found 'cpus 0-2'\n"
              "manifest:1: asked 'cpus 0-1', found 'cpus 0-2'\n");
}

/* Not so where nothing was plugged, nor of other BARs and sizes. */
static void
where_something_was_plugged_io_may_have_no_room(void **state)
{
    static const char asked[] = "cpus 0\npci a bar 0 mem32 32\npci a bar 2 io 32\n";
    static const char found[] =
        "cpus 0\npci a bar 0 mem32 32\npci a bar 2 io 32 unassigned\n";
    static const char other[] =
        "cpus 0\npci a bar 0 mem32 32 unassigned\npci a bar 2 io 64 unassigned\n";
    g_autoptr(GPtrArray) results = compare_manifest("l1", asked, found, COMPARE_PLUGGED);
    g_autofree char *text = describe(results, OUTCOME_FAIL);
    assert_string_equal(text, "");
    g_autoptr(GPtrArray) strict = compare_manifest("l1", asked, found, 0);
    assert_int_equal(((CaseResult *)strict->pdata[1])->outcome, OUTCOME_FAIL);
    g_autoptr(GPtrArray) bad = compare_manifest("l1", asked, other, COMPARE_PLUGGED);
    assert_non_null(strstr(((CaseResult *)bad->pdata[1])->output, "asked 'pci a bar 0"));
    assert_non_null(strstr(((CaseResult *)bad->pdata[1])->output, "asked 'pci a bar 2"));
}

static void
refuses_what_has_not_the_form(void **state)
{
    static const char good[] = "cpus 0\n";
    expect(good, "cpus 0",
           "form of the observation: not in the form of a manifest: the last line has no "
           "end\n"
           "the last line has no end\n");
    expect(good, "cpus 0\ncpus 0\n",
           "form of the observation: not in the form of a manifest: line 2 is there "
           "twice: cpus 0\n"
           "line 2 is there twice: cpus 0\n");
    expect("a 1\nb 1\n", "b 1\na 1\n",
           "form of the observation: not in the form of a manifest: line 2 is not in "
           "order: a 1\n"
           "line 2 is not in order: a 1\n"
           "a: not there: nothing was found of it\nmanifest:1: asked 'a 1', found "
           "nothing\n");
    expect(good, "cpus 0\n\ncpus\t1\n\xff\n",
           "form of the observation: not in the form of a manifest: line 2 is empty: \n"
           "line 2 is empty: \nline 3 has a control character: cpus\t1\n"
           "line 4 is not UTF-8: \xef\xbf\xbd\n");
    g_autoptr(GPtrArray) nothing = compare_manifest("l1", good, "", COMPARE_TAINTED);
    assert_int_equal(((CaseResult *)nothing->pdata[0])->outcome, OUTCOME_FAIL);
    /* nor does an empty manifest pass by itself */
    expect("", "",
           "form of the manifest: there is no fact in it\n"
           "form of the observation: there is no fact in it\n");
}

static void
bounds_a_flood(void **state)
{
    g_autoptr(GString) flood = g_string_new("cpus 0\n");
    for (int i = 0; i < 100000; i++)
        g_string_append_printf(flood, "pci %06x id 8086:10d3\n", i);
    g_autoptr(GPtrArray) results = compare_manifest("l1", "cpus 0\n", flood->str, 0);
    assert_true(results->len < 5000);
    g_autofree char *text = describe(results, OUTCOME_FAIL);
    assert_non_null(strstr(text, "more than 65536 lines"));

    g_string_assign(flood, "");
    for (int i = 0; i < 60000; i++)
        g_string_append_printf(flood, "node 0 distance %05d 10\n", i);
    g_autoptr(GPtrArray) one = compare_manifest("l1", "node 0 cpus 0\n", flood->str, 0);
    assert_int_equal(one->len, 1);
    assert_true(strlen(((CaseResult *)one->pdata[0])->output) < 100000);
}

#ifdef __SANITIZE_ADDRESS__ /* its memmem() is a hundred times slower */
#define FLOOD_LINES 2
#else
#define FLOOD_LINES 120
#endif

static void
a_distribution_may_have_further_drivers(void **state)
{
    const char *asked = "pci 0000:00:1f.2 id 8086:2922\npci 0000:01:00.0 driver e1000e\n";
    const char *found = "pci 0000:00:1f.2 driver ahci\npci 0000:00:1f.2 id 8086:2922\n"
                        "pci 0000:01:00.0 driver e1000e\n";
    const char *other = "pci 0000:00:1f.2 id 8086:2922\n"
                        "pci 0000:01:00.0 driver vfio-pci\n";
    g_autoptr(GPtrArray) further = compare_manifest("l1", asked, found, COMPARE_SYSTEM);
    g_autoptr(GPtrArray) micro = compare_manifest("l1", asked, found, 0);
    g_autoptr(GPtrArray) wrong = compare_manifest("l1", asked, other, COMPARE_SYSTEM);
    assert_int_equal(((CaseResult *)further->pdata[0])->outcome, OUTCOME_PASS);
    assert_int_equal(((CaseResult *)micro->pdata[0])->outcome, OUTCOME_FAIL);
    assert_int_equal(((CaseResult *)wrong->pdata[1])->outcome, OUTCOME_FAIL);
}

/* Of functions that no driver takes the manifest says nothing then. */
static void
the_virtio_iommu_may_have_further_groups(void **state)
{
    const char *asked = "group 0000:00:01.0\niommu model virtio\n";
    g_autoptr(GPtrArray) further = compare_manifest(
        "l1", asked, "group 0000:00:00.0\ngroup 0000:00:01.0\niommu model virtio\n", 0);
    g_autoptr(GPtrArray) joined = compare_manifest(
        "l1", asked, "group 0000:00:00.0 0000:00:01.0\niommu model virtio\n", 0);
    g_autoptr(GPtrArray) intel = compare_manifest(
        "l1", "group 0000:00:01.0\niommu model intel\n",
        "group 0000:00:00.0\ngroup 0000:00:01.0\niommu model intel\n", 0);
    assert_int_equal(((CaseResult *)further->pdata[0])->outcome, OUTCOME_PASS);
    assert_int_equal(((CaseResult *)joined->pdata[0])->outcome, OUTCOME_FAIL);
    assert_int_equal(((CaseResult *)intel->pdata[0])->outcome, OUTCOME_FAIL);
}

/* Two hundred groups were asked, and the host has millions of members that are none of
 * theirs: seconds at worst, where splitting each line for each group took a minute. */
static void
a_flood_of_members_is_no_hang(void **state)
{
    g_autoptr(GString) asked = g_string_new(NULL), found = g_string_new(NULL);
    for (guint i = 0; i < 200; i++)
        g_string_append_printf(asked, "group 0000:%02x:00.0\n", i);
    for (guint i = 0; i < FLOOD_LINES; i++) {
        g_string_append_printf(found, "group %03u", i);
        for (guint j = 0; j < 32000; j++)
            g_string_append(found, " a");
        g_string_append(found, "\n");
    }
    gint64 before = g_get_monotonic_time();
    g_autoptr(GPtrArray) results = compare_manifest("l1", asked->str, found->str, 0);
    assert_true(g_get_monotonic_time() - before < 20 * G_USEC_PER_SEC);
    assert_int_equal(((CaseResult *)results->pdata[0])->outcome, OUTCOME_FAIL);
}

/* A member is a word, not a part of one. */
static void
groups_meet_by_whole_members(void **state)
{
    g_autoptr(GPtrArray) results =
        compare_manifest("l1", "group 0000:00:01.0 0000:00:02.0\n",
                         "group 0000:00:01.01 0000:00:02.00 10000:00:01.0\n", 0);
    assert_non_null(strstr(((CaseResult *)results->pdata[0])->output, "found nothing"));
    g_autoptr(GPtrArray) met = compare_manifest("l1", "group 0000:00:01.0 0000:00:02.0\n",
                                                "group 0000:00:02.0 0000:00:03.0\n", 0);
    assert_non_null(strstr(((CaseResult *)met->pdata[0])->output,
                           "found 'group 0000:00:02.0 0000:00:03.0'"));
}

static void
forget(const char *observation, const char *rest)
{
    static const char *const ports[] = {"0000:20:00.0", "0000:40:00.0", NULL};
    g_autofree char *found = compare_forget_behind(observation, ports);
    assert_string_equal(found, rest);
}

/* Functions behind a port that isolates, and behind one that does not. */
static void
what_has_left_untold_is_forgotten(void **state)
{
    forget("group 0000:00:00.0\n"
           "group 0000:20:00.0\n"
           "group 0000:21:00.0 0000:21:10.0\n"
           "group 0000:40:00.0 0000:41:00.0\n"
           "iommu intremap\n"
           "pci 0000:20:00.0 parent root\n"
           "pci 0000:21:00.0 id 8086:10c9\n"
           "pci 0000:21:00.0 parent 0000:20:00.0\n"
           "pci 0000:21:10.0 parent 0000:20:00.0\n"
           "pci 0000:22:00.0 parent 0000:20:01.0\n"
           "pci 0000:41:00.0 driver nvme\n"
           "pci 0000:41:00.0 parent 0000:40:00.0\n",
           "group 0000:00:00.0\n"
           "group 0000:20:00.0\n"
           "group 0000:40:00.0\n"
           "iommu intremap\n"
           "pci 0000:20:00.0 parent root\n"
           "pci 0000:22:00.0 parent 0000:20:01.0\n");
    /* The rest of a group has its place by its first member. */
    forget("group 0000:21:00.0 0000:50:00.0\n"
           "group 0000:30:00.0\n"
           "pci 0000:21:00.0 parent 0000:20:00.0\n",
           "group 0000:30:00.0\n"
           "group 0000:50:00.0\n");
    forget(manifest, manifest);
}

/* What has not the form is still there to be refused. */
static void
what_has_not_the_form_is_not_forgotten(void **state)
{
    static const char text[] =
        "pci\npci 0000:21:00.0\n\ngroup\nb\na\npci x parent 0000:20:00.0 more\nend";
    forget(text, text);
    forget("", "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_what_is_the_same),
        cmocka_unit_test(names_the_line_that_differs),
        cmocka_unit_test(tells_what_is_not_there),
        cmocka_unit_test(refuses_what_nobody_asked_for),
        cmocka_unit_test(compares_groups_as_sets),
        cmocka_unit_test(a_distribution_may_have_further_drivers),
        cmocka_unit_test(the_virtio_iommu_may_have_further_groups),
        cmocka_unit_test(counts_further_differences),
        cmocka_unit_test(taint_makes_differences_unchecked),
        cmocka_unit_test(where_something_was_plugged_io_may_have_no_room),
        cmocka_unit_test(refuses_what_has_not_the_form),
        cmocka_unit_test(bounds_a_flood),
        cmocka_unit_test(a_flood_of_members_is_no_hang),
        cmocka_unit_test(groups_meet_by_whole_members),
        cmocka_unit_test(what_has_left_untold_is_forgotten),
        cmocka_unit_test(what_has_not_the_form_is_not_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
