/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * TAP as guests print it, from the correct to the hostile. A test feeds bytes and
 * compares the whole result, a line for each case, so that nothing can slip in beside
 * what is looked for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tap.h"

static char *
describe(const GPtrArray *results)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < results->len; i++) {
        const CaseResult *result = results->pdata[i];
        g_string_append_printf(text, "%s %s", outcome_name(result->outcome),
                               result->name);
        if (result->message)
            g_string_append_printf(text, ": %s", result->message);
        g_string_append_c(text, '\n');
    }
    return g_string_free(text, FALSE);
}

static GPtrArray *
read_bytes(const char *bytes, gsize length, int status, int signal_number)
{
    g_autoptr(TapReader) reader = tap_reader_new("l1", "suite");
    tap_reader_feed(reader, (const guint8 *)bytes, length);
    return tap_reader_finish(reader, status, signal_number);
}

/* The same, each result taken as soon as it is there. */
static char *
take_one_by_one(const char *tap, int status, int signal_number)
{
    g_autoptr(TapReader) reader = tap_reader_new("l1", "suite");
    g_autoptr(GPtrArray) all = case_results_new();
    for (const char *p = tap; *p; p++) {
        tap_reader_feed(reader, (const guint8 *)p, 1);
        g_ptr_array_extend_and_steal(all, tap_reader_take(reader, G_MAXUINT));
    }
    g_ptr_array_extend_and_steal(all, tap_reader_finish(reader, status, signal_number));
    return describe(all);
}

/* Feeds TAP whole and byte by byte: where reads cut must not matter, nor when results are
 * taken. */
static void
expect_end(const char *tap, int status, int signal_number, const char *expected)
{
    g_autoptr(GPtrArray) results = read_bytes(tap, strlen(tap), status, signal_number);
    g_autofree char *whole = describe(results);
    assert_string_equal(whole, expected);

    g_autoptr(TapReader) reader = tap_reader_new("l1", "suite");
    for (const char *p = tap; *p; p++)
        tap_reader_feed(reader, (const guint8 *)p, 1);
    g_autoptr(GPtrArray) again = tap_reader_finish(reader, status, signal_number);
    g_autofree char *pieces = describe(again);
    assert_string_equal(pieces, expected);
    g_autofree char *taken = take_one_by_one(tap, status, signal_number);
    assert_string_equal(taken, expected);
}

static void
expect(const char *tap, const char *expected)
{
    expect_end(tap, 0, 0, expected);
}

static void
reads_plain_tap(void **state)
{
    expect("1..3\nok 1 - first\nok 2 second\nok 3\n",
           "pass first\npass second\npass 3\n");
    expect("TAP version 13\nok - first\nnot ok - second\n1..2\n",
           "pass first\nfail second\n");
    expect("TAP version 14\npragma +strict\n1..1\nok 1 - last line without end",
           "pass last line without end\n");
    expect("1..1\r\nok 1 - carriage return\r\n", "pass carriage return\n");
    expect("1..1\nokay this is prose\nok 1 - a\nok, fine\n", "pass a\n");
}

/* Up to a number, each once; what is said afterwards of one that was taken is lost. */
static void
gives_what_it_has(void **state)
{
    static const char tap[] = "1..3\nok 1 - a\n# of a\nnot ok 2 - b\n# of b\n";
    g_autoptr(TapReader) reader = tap_reader_new("l1", "suite");
    tap_reader_feed(reader, (const guint8 *)tap, strlen(tap));
    g_autoptr(GPtrArray) none = tap_reader_take(reader, 0);
    g_autoptr(GPtrArray) first = tap_reader_take(reader, 1);
    g_autoptr(GPtrArray) again = tap_reader_take(reader, 1);
    g_autoptr(GPtrArray) second = tap_reader_take(reader, 2);
    assert_int_equal(none->len + again->len, 0);
    assert_int_equal(first->len, 1);
    assert_string_equal(((CaseResult *)first->pdata[0])->output, "# of a\n");
    assert_int_equal(second->len, 1);
    assert_int_equal(tap_reader_count(reader), 2);
    assert_string_equal(((CaseResult *)second->pdata[0])->output, "# of b\n");
    tap_reader_feed(reader, (const guint8 *)"# late\n", 7);
    g_autoptr(GPtrArray) nothing = tap_reader_take(reader, 2);
    assert_int_equal(nothing->len, 0);
    tap_reader_feed(reader, (const guint8 *)"# last", 6);
    /* What was told of the last result says, too, where the program is. */
    g_autofree char *words = tap_reader_last_words(reader);
    assert_string_equal(words, "# of b\n# late\n# last");
    g_autoptr(GPtrArray) rest = tap_reader_finish(reader, 1, 0);
    g_autofree char *text = describe(rest);
    assert_string_equal(text, "fail [test protocol]: 1 of the 3 results announced never "
                              "came, number 3 first\n");
}

static void
assert_measures(const CaseResult *result, const char *expected)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; result->measures && i < result->measures->len; i++) {
        g_autofree char *one = measure_text(result->measures->pdata[i]);
        g_string_append_printf(text, "%s\n", one);
    }
    assert_string_equal(text->str, expected);
}

/* They come before their result; what is not quite one is a comment on the last. */
static void
reads_measures(void **state)
{
    static const char tap[] =
        "1..3\n# measure downtime 33 ms\n# measure sent -1.25 MiB/s\n"
        "ok 1 - a\n# measure twice\n# measure x nan ms\n"
        "# measure x 1e9 ms\n# measure X 1 ms\n# measure x 1 <b>\n"
        "# measure x 1234567890123456 ms\n# measure x 1 ms \n"
        "ok 2 - b\n#measure load 99.5 %\nnot ok 3 - c\n";
    g_autoptr(GPtrArray) results = read_bytes(tap, strlen(tap), 1, 0);
    const CaseResult *first = results->pdata[0];
    assert_measures(first, "measure downtime 33 ms\nmeasure sent -1.25 MiB/s\n");
    assert_string_equal(first->output,
                        "# measure twice\n# measure x nan ms\n# measure x 1e9 ms\n"
                        "# measure X 1 ms\n# measure x 1 <b>\n"
                        "# measure x 1234567890123456 ms\n# measure x 1 ms \n");
    assert_null(((CaseResult *)results->pdata[1])->measures);
    assert_measures(results->pdata[2], "measure load 99.5 %\n");
    g_autoptr(CaseResult) copy = case_result_copy(results->pdata[2]);
    assert_measures(copy, "measure load 99.5 %\n");
}

static void
bounds_measures(void **state)
{
    g_autoptr(GString) tap = g_string_new("1..1\nok 1 - a\n");
    for (int i = 0; i < MEASURES_MAX + 1; i++)
        g_string_insert(tap, 5, "# measure x 1 ms\n");
    g_autoptr(GPtrArray) results = read_bytes(tap->str, tap->len, 0, 0);
    assert_int_equal(((CaseResult *)results->pdata[0])->measures->len, MEASURES_MAX);
}

static void
reads_directives(void **state)
{
    expect("1..4\nok 1 - a # SKIP no kvm\nok 2 - b # skipped: why\nnot ok 3 - c # TODO "
           "later\n"
           "ok 4 - d # TODO done\n",
           "skip a: no kvm\nskip b: why\nskip c: known to fail: later\npass d\n");
    expect(
        "1..3\nok 1 - issue \\# skip me\nok 2 - channel#skip\nok 3 - a \\\\ b # note\n",
        "pass issue # skip me\npass channel#skip\npass a \\ b # note\n");
}

static void
reads_cmocka(void **state)
{
    expect_end("1..3\nok 1 - a\nnot ok 2 # SKIP b\nnot ok 3 - c\n# 0x1 != 0x2\n# not ok "
               "- group\n",
               1, 0, "pass a\nskip b: the suite gives no reason\nfail c\n");
    expect("1..2\n# SKIP one node only\nnot ok 1 # SKIP b\nok 2 - c\n",
           "skip b: one node only\npass c\n");
    expect("1..1\nsetting up\nno IOMMU\n\nnot ok 1 # SKIP b\n", "skip b: no IOMMU\n");
    expect("1..2\nno IOMMU\nok 1 # SKIP b_is_there\nok 2 # SKIP it is cold_here\n",
           "skip b_is_there: no IOMMU\nskip 2: it is cold_here\n");
    expect("1..1\n# skipped 3 of 7\nnot ok 1 # SKIP b\n",
           "skip b: the suite gives no reason\n");
}

/* The reason is the message, and cmocka's last line is about no case. */
static void
what_is_told_already_is_no_output(void **state)
{
    static const char tap[] = "1..3\nnot ok 1 - a\n# 0x1 != 0x2\n# SKIP no node\n"
                              "not ok 2 # SKIP b\nsetting up\n  no IOMMU \n\n"
                              "not ok 3 # SKIP c\n# not ok - group\n";
    g_autoptr(GPtrArray) results = read_bytes(tap, strlen(tap), 1, 0);
    const CaseResult *failed = results->pdata[0], *second = results->pdata[1],
                     *third = results->pdata[2];
    assert_int_equal(results->len, 3);
    assert_string_equal(failed->output, "# 0x1 != 0x2\n");
    assert_string_equal(second->message, "no node");
    assert_null(second->output);
    assert_string_equal(third->message, "no IOMMU");
    assert_string_equal(third->output, "setting up\n");
}

static void
silence_is_a_failure(void **state)
{
    expect("", "fail [test protocol]: no plan (1..N) was printed\n");
    expect("hello\n", "fail [test protocol]: no plan (1..N) was printed\n");
    expect("ok 1 - a\n", "pass a\nfail [test protocol]: no plan (1..N) was printed\n");
    expect("1..0\n", "skip [suite]: the suite gives no reason\n");
    expect("1..2\n", "fail [test protocol]: 2 of the 2 results announced never came, "
                     "number 1 first\n");
}

static void
counts_what_was_announced(void **state)
{
    expect("1..3\nok 1 - a\nok 3 - c\n", "pass a\npass c\n"
                                         "fail [test protocol]: 1 of the 3 results "
                                         "announced never came, number 2 first\n");
    expect(
        "1..1\nok 1 - a\nok 2 - b\n",
        "pass a\npass b\nfail [test protocol]: 1 results came beyond the 1 announced\n");
    expect("1..2\nok 1 - a\nok 1 - b\n",
           "pass a\npass b\nfail [test protocol]: result 1 came twice\n");
    expect("1..2\nnot ok 1 - a\nok 1 - a\nok 2 - b\n",
           "fail a\npass a (2)\npass b\nfail [test protocol]: result 1 came twice\n");
    expect("1..2\nok 1 - a\n1..1\n",
           "pass a\nfail [test protocol]: a second plan came: 1..1\n");
    expect("1..1\nok 0 - a\n", "pass a\nfail [test protocol]: a result has number 0\n");
    expect("1..99999999999999999999\nok 1 - a\n",
           "pass a\nfail [test protocol]: 2147483647 results were announced; at most "
           "10000 are read\n");
    expect("1..-1\nok 1\n", "pass 1\nfail [test protocol]: no plan (1..N) was printed\n");
}

static void
believes_the_exit_status(void **state)
{
    expect_end("1..1\nok 1 - a\n", 1, 0,
               "pass a\nfail [program]: exit status 1 although no result failed\n");
    expect_end("1..1\nnot ok 1 - a\n", 1, 0, "fail a\n");
    expect_end(
        "1..2\nok 1 - a\n", 0, 11,
        "pass a\n"
        "fail [test protocol]: 1 of the 2 results announced never came, number 2 first\n"
        "fail [program]: was ended by signal 11 (Segmentation fault)\n");
    expect_end("# no huge pages\n", 77, 0, "skip [suite]: no huge pages\n");
    expect_end("1..0 # SKIP no nodes\n", 77, 0, "skip [suite]: no nodes\n");
    expect_end("1..0 # SKIP no nodes\n", 0, 0, "skip [suite]: no nodes\n");
    expect_end("1..1\nok 1 - a\n", 77, 0,
               "pass a\nfail [program]: exit status 77 although no result failed\n");
    expect_end("1..1\n", 77, 0,
               "fail [test protocol]: 1 of the 1 results announced never came, number 1 "
               "first\n");
    expect_end("1..0 # SKIP x\nok 1 - a\n", 0, 0,
               "pass a\nfail [test protocol]: 1 results came beyond the 0 announced\n");
}

static void
bails_out(void **state)
{
    expect("1..3\nok 1 - a\nBail out! no memory\nok 2 - b\nok 3 - c\n",
           "pass a\nfail [program]: bailed out: no memory\n");
    expect_end("Bail out!\n", 77, 0, "fail [program]: bailed out: for no reason given\n");
}

static void
follows_subtests(void **state)
{
    expect("TAP version 14\n1..2\n# Subtest: one\n    ok 1 - x\n    ok 2 - y # SKIP z\n  "
           "  1..2\n"
           "ok 1 - one\n    1..1\n    not ok 1 - x\nnot ok 2 - two\n",
           "pass one\nfail two\n");
    expect(
        "KTAP version 1\n1..1\n  KTAP version 1\n  1..1\n    KTAP version 1\n    1..1\n"
        "    ok 1 deep\n  ok 1 mid\nok 1 top\n",
        "pass top\n");
    static const char lie[] = "says ok, but a subtest of it failed or is not complete\n";
    g_autofree char *expected = g_strconcat("fail one: ", lie, NULL);
    expect("1..1\n    not ok 1 - x\n    1..1\nok 1 - one\n", expected);
    expect("1..1\n    ok 1 - x\n    1..2\nok 1 - one\n", expected);
    expect("1..1\n    ok 1 - x\nok 1 - one\n", expected);
    expect("1..1\n    ok 1 - x\n    ok 1 - y\n    1..2\nok 1 - one\n", expected);
    expect("1..1\n        not ok 1 - deep\n        1..1\n    ok 1 - mid\n    1..1\nok 1 "
           "- one\n",
           expected);
    expect("1..1\n    Bail out! x\nok 1 - one\n", expected);
    expect("1..1\nok 1 - one\n    1..1\n    not ok 1 - x\n",
           "pass one\nfail [test protocol]: a subtest failed, or is not complete, and no "
           "result "
           "follows it\n");
    expect("1..1\n    ok then, let us see\nok 1 - one\n", "pass one\n");
}

static void
survives_deep_nesting(void **state)
{
    g_autoptr(GString) tap = g_string_new("1..1\n");
    for (int i = 1; i < 200; i++)
        g_string_append_printf(tap, "%*sok 1 - x\n", i, "");
    g_string_append(tap, "ok 1 - one\n");
    expect(tap->str,
           "fail one: says ok, but a subtest of it failed or is not complete\n");
}

static void
keeps_diagnostics_with_their_result(void **state)
{
    static const char tap[] =
        "1..2\nprinted by a\nnot ok 1 - a\n# why\n  ---\n  got: 1\n  ...\n"
        "  ---\n  never: closed\nok 2 - b\n# about b\n";
    g_autoptr(GPtrArray) results = read_bytes(tap, strlen(tap), 1, 0);
    assert_int_equal(results->len, 2);
    const CaseResult *a = results->pdata[0], *b = results->pdata[1];
    assert_string_equal(
        a->output,
        "printed by a\n# why\n  ---\n  got: 1\n  ...\n  ---\n  never: closed\n");
    assert_string_equal(b->output, "# about b\n");
}

static void
cleans_hostile_bytes(void **state)
{
    static const char tap[] =
        "1..3\nok 1 - a\0b\nok 2 - \033[2J\xff\nnot ok 3 - c\n# \x9b \xc2\x9b\n";
    g_autoptr(GPtrArray) results = read_bytes(tap, sizeof(tap) - 1, 1, 0);
    g_autofree char *text = describe(results);
    assert_string_equal(text, "pass a\xef\xbf\xbd"
                              "b\npass \xef\xbf\xbd[2J\xef\xbf\xbd\nfail c\n");
    const CaseResult *c = results->pdata[2];
    assert_string_equal(c->output, "# \xef\xbf\xbd \xef\xbf\xbd\n");
}

static void
bounds_a_megabyte_line(void **state)
{
    g_autoptr(GString) tap = g_string_new("1..2\nok 1 - ");
    for (int i = 0; i < 1024 * 1024; i++)
        g_string_append_c(tap, 'x');
    g_string_append(tap, "\nok 2 - b\n");
    g_autoptr(GPtrArray) results = read_bytes(tap->str, tap->len, 0, 0);
    assert_int_equal(results->len, 2);
    assert_true(strlen(((CaseResult *)results->pdata[0])->name) <= TAP_LINE_MAX);
    assert_string_equal(((CaseResult *)results->pdata[1])->name, "b");
}

static void
bounds_a_flood(void **state)
{
    g_autoptr(TapReader) reader = tap_reader_new("l1", "suite");
    static const char line[] =
        "ok - same\n# all work and no play makes a guest a dull machine\nblah\n";
    for (int i = 0; i < 3 * TAP_CASES_MAX; i++)
        tap_reader_feed(reader, (const guint8 *)line, strlen(line));
    g_autoptr(GPtrArray) results = tap_reader_finish(reader, 0, 0);
    assert_int_equal(results->len, TAP_CASES_MAX + 1);
    const CaseResult *last = results->pdata[TAP_CASES_MAX];
    assert_string_equal(last->name, "[test protocol]");
    assert_int_equal(last->outcome, OUTCOME_FAIL);

    gsize kept = 0;
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < results->len; i++) {
        const CaseResult *result = results->pdata[i];
        kept += result->output ? strlen(result->output) : 0;
        assert_true(g_hash_table_add(names, result->name));
    }
    assert_true(kept < 3 * TAP_TOTAL_MAX);
}

static void
keeps_time(void **state)
{
    g_autoptr(TapReader) reader = tap_reader_new("l1", "suite");
    tap_reader_clock(reader, 1000);
    tap_reader_feed(reader, (const guint8 *)"1..2\n", 5);
    tap_reader_clock(reader, 1500);
    tap_reader_feed(reader, (const guint8 *)"ok 1\n", 5);
    tap_reader_clock(reader, 4500);
    tap_reader_feed(reader, (const guint8 *)"ok 2\n", 5);
    g_autoptr(GPtrArray) results = tap_reader_finish(reader, 0, 0);
    assert_int_equal(((CaseResult *)results->pdata[0])->duration_us, 500);
    assert_int_equal(((CaseResult *)results->pdata[1])->duration_us, 3000);
}

static void
abandons_without_a_verdict(void **state)
{
    static const char tap[] = "1..3\nok 1 - a\nok 2 - b\n    ok 1 - half\n";
    g_autoptr(TapReader) reader = tap_reader_new("l1", "suite");
    tap_reader_feed(reader, (const guint8 *)tap, strlen(tap));
    g_autoptr(GPtrArray) results = tap_reader_abandon(reader);
    g_autofree char *text = describe(results);
    assert_string_equal(text, "pass a\npass b\n");
}

static void
expect_plain(const char *output, int status, int signal_number, const char *expected)
{
    g_autoptr(TapReader) reader = tap_reader_new("l1", "suite");
    tap_reader_allow_plain(reader);
    tap_reader_feed(reader, (const guint8 *)output, strlen(output));
    g_autoptr(GPtrArray) results = tap_reader_finish(reader, status, signal_number);
    g_autofree char *text = describe(results);
    assert_string_equal(text, expected);
}

static void
a_plain_program_is_its_status(void **state)
{
    expect_plain("", 0, 0, "pass [program]\n");
    expect_plain("okay\n# a comment\n  1..3\n  not ok 1 - prose\n", 0, 0,
                 "pass [program]\n");
    expect_plain("words", 3, 0, "fail [program]: exit status 3\n");
    expect_plain("words", 139, 11,
                 "fail [program]: was ended by signal 11 (Segmentation fault)\n");
    expect_plain("# no device\n", 77, 0, "skip [suite]: no device\n");
    expect_plain("    not ok 1 - prose\n", 77, 0,
                 "skip [program]: the suite gives no reason\n");
}

/* Whoever speaks TAP is held to it. */
static void
a_program_that_may_be_plain_and_is_not(void **state)
{
    expect_plain("1..2\nok 1 - a\n", 0, 0,
                 "pass a\nfail [test protocol]: 1 of the 2 results announced never came, "
                 "number 2 first\n");
    expect_plain("ok 1 - a\n", 0, 0,
                 "pass a\nfail [test protocol]: no plan (1..N) was printed\n");
    expect_plain("not ok 1 - a\n1..1\n", 0, 0, "fail a\n");
    expect_plain("TAP version 13\n", 0, 0,
                 "fail [test protocol]: no plan (1..N) was printed\n");
    expect_plain("KTAP version 1\n", 0, 0,
                 "fail [test protocol]: no plan (1..N) was printed\n");
    expect_plain("Bail out! no disk\n", 0, 0, "fail [program]: bailed out: no disk\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_plain_tap),
        cmocka_unit_test(a_plain_program_is_its_status),
        cmocka_unit_test(a_program_that_may_be_plain_and_is_not),
        cmocka_unit_test(reads_measures),
        cmocka_unit_test(bounds_measures),
        cmocka_unit_test(reads_directives),
        cmocka_unit_test(reads_cmocka),
        cmocka_unit_test(what_is_told_already_is_no_output),
        cmocka_unit_test(silence_is_a_failure),
        cmocka_unit_test(counts_what_was_announced),
        cmocka_unit_test(believes_the_exit_status),
        cmocka_unit_test(bails_out),
        cmocka_unit_test(follows_subtests),
        cmocka_unit_test(survives_deep_nesting),
        cmocka_unit_test(keeps_diagnostics_with_their_result),
        cmocka_unit_test(cleans_hostile_bytes),
        cmocka_unit_test(bounds_a_megabyte_line),
        cmocka_unit_test(bounds_a_flood),
        cmocka_unit_test(keeps_time),
        cmocka_unit_test(gives_what_it_has),
        cmocka_unit_test(abandons_without_a_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
