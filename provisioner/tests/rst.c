/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rst.h"

static const char document[] = ".. a comment\n   of two lines\n"
                               "\n"
                               "=====\nThe top\n=====\n"
                               "\n"
                               "First words.\n"
                               "\n"
                               "One\n===\n"
                               "\n"
                               "of one\n"
                               "\n"
                               "``<inner>``\n-----------\n"
                               "\n"
                               "of the inner\n"
                               "\n"
                               "Two\n===\n"
                               "of two\n";

static void
assert_text(const char *rst, const char *expected)
{
    g_autofree char *text = rst_to_text(rst, 40, FALSE);
    assert_string_equal(text, expected);
}

static void
words_lose_their_marks(void **state)
{
    static const struct {
        const char *rst, *text;
    } cases[] = {
        {"``as is``, **strong** and *slanted*", "as is, strong and slanted"},
        {"``a *b* c`` 2 * 3 * 4", "a *b* c 2 * 3 * 4"},
        {"see `limits.rst <limits.rst>`_ and `Recipes`_", "see limits.rst and Recipes"},
        {"`the page <https://example.org/>`_", "the page (https://example.org/)"},
        {"*LAB*...\\ \\|\\ **--all**", "LAB...|--all"},
        {"NAME\\ =\\ *VALUE*", "NAME=VALUE"},
        {"a*b*c, an unclosed ``one", "a*b*c, an unclosed ``one"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = rst_words(cases[i].rst, FALSE);
        assert_string_equal(text, cases[i].text);
    }
    g_autofree char *styled = rst_words("**a**", TRUE);
    assert_string_equal(styled, "\033[1ma\033[0m");
}

static void
sections_end_where_the_next_begins(void **state)
{
    g_autofree char *one = rst_section(document, "one");
    g_autofree char *inner = rst_section(document, "inner");
    assert_string_equal(one, "One\n===\n\nof one\n\n``<inner>``\n-----------\n\n"
                             "of the inner\n\n");
    assert_string_equal(inner, "``<inner>``\n-----------\n\nof the inner\n\n");
    assert_null(rst_section(document, "three"));
    g_autoptr(GPtrArray) titles = rst_titles(document);
    assert_int_equal(titles->len, 4);
    assert_string_equal(titles->pdata[0], "The top");
    assert_string_equal(titles->pdata[2], "inner");
}

static void
paragraphs_are_filled(void **state)
{
    assert_text(document, "The top\n\nFirst words.\n\nOne\n\nof one\n\n<inner>\n\n"
                          "of the inner\n\nTwo\nof two\n");
    assert_text("one two three four five six seven eight\nnine ten\n",
                "one two three four five six seven eight\nnine ten\n");
    assert_text("one two three four five six seven eight nine\nten\n",
                "one two three four five six seven eight\nnine ten\n");
    assert_text("* one two three four five six seven eight nine\n  ten\n* eleven\n",
                "* one two three four five six seven\n  eight nine ten\n* eleven\n");
    assert_text("-f, --follow=NAME\n    Go on, with ``a`` and\n    more.\n",
                "-f, --follow=NAME\n    Go on, with a and more.\n");
}

static void
what_stands_as_it_is_stays(void **state)
{
    assert_text("So::\n\n    two  **blanks**\n\n      and more\n\nBehind.\n",
                "So:\n\n    two  **blanks**\n\n      and more\n\nBehind.\n");
    assert_text(".. code-block:: xml\n   :linenos:\n\n    <a/>\n\nBehind.\n",
                "    <a/>\n\nBehind.\n");
    assert_text("=====  ====\n``a``  ``b``\nc      d  e\n=====  ====\n",
                "=====  ====\na      b\nc      d  e\n=====  ====\n");
    assert_text(".. list-table::\n   :widths: 1 2\n\n   * - ``a``\n     - b\n",
                "   * - a\n     - b\n");
    assert_text(".. contents::\n   :depth: 2\n\nBehind.\n", "Behind.\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_lose_their_marks),
        cmocka_unit_test(sections_end_where_the_next_begins),
        cmocka_unit_test(paragraphs_are_filled),
        cmocka_unit_test(what_stands_as_it_is_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
