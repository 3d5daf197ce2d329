/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The pictures say what the tree says.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "emit-words.h"
#include "emit.h"
#include "plan-fixture.h"

static const char *const pictures[] = {"svg", "dot"};

static void
assert_says(const char *form, const char *text, const char *words)
{
    if (!strstr(text, words))
        fail_msg("the form %s does not say '%s'", form, words);
}

/* The words of the tree's LINE, which two blanks or branches part. */
static void
assert_says_line(const char *form, const char *text, const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, "  ", -1);
    for (char **word = words; *word; word++) {
        const char *start = *word;
        while (*start && !g_ascii_isalnum(*start) && *start != '(')
            start++; /* what is drawn */
        g_autofree char *plain = g_strchomp(g_strdup(start));
        if (*plain)
            assert_says(form, text, plain);
    }
}

/* The rows of the tree: behind the empty line below its title. */
static void
assert_says_tree(const Plan *plan)
{
    g_autofree char *tree = fixture_text(plan, "tree");
    g_auto(GStrv) lines = g_strsplit(strstr(tree, "\n\n") + 2, "\n", -1);
    for (guint i = 0; i < G_N_ELEMENTS(pictures); i++) {
        g_autofree char *text = fixture_text(plan, pictures[i]);
        g_autofree char *title = emit_host_title(plan);
        assert_says(pictures[i], text, title);
        for (char **line = lines; *line && **line; line++)
            if (!strstr(*line, "root bus 00"))
                assert_says_line(pictures[i], text, *line);
    }
}

static void
pictures_say_what_the_tree_says(void **state)
{
    g_autoptr(Lab) lab = fixture_article();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    assert_says_tree(plan);
}

/* An id that somebody gave, beside a MAC that fills a line of its own. */
static void
pictures_name_what_has_a_name(void **state)
{
    g_autoptr(Lab) lab = fixture_lab();
    LabHost *host = fixture_host(lab);
    LabCell *cell = fixture_cell(host, 0, 1, 512 << 20);
    LabNode *expander = fixture_root(cell->nodes, LAB_EXPANDER, "riser");
    fixture_node(fixture_node(expander, LAB_PORT, "slot"), LAB_NIC, "uplink");
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    assert_says_tree(plan);
    for (guint i = 0; i < G_N_ELEMENTS(pictures); i++) {
        g_autofree char *text = fixture_text(plan, pictures[i]);
        assert_says(pictures[i], text, "riser");
        assert_says(pictures[i], text, "uplink");
    }
}

static void
pictures_show_distances(void **state)
{
    g_autoptr(Lab) lab = fixture_article();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    PlanCell *cell = g_ptr_array_index(plan->cells, 1);
    plan->distances_given = TRUE;
    g_array_index(cell->distances, int, 2) = 123;
    for (guint i = 0; i < G_N_ELEMENTS(pictures); i++) {
        g_autofree char *text = fixture_text(plan, pictures[i]);
        assert_says(pictures[i], text, "Distances from the cell on the left to");
        assert_says(pictures[i], text, "     1  20  10 123");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_say_what_the_tree_says),
        cmocka_unit_test(pictures_name_what_has_a_name),
        cmocka_unit_test(pictures_show_distances),
    };
    return cmocka_run_group_tests_name("pictures", tests, fixture_emulator_setup,
                                       fixture_emulator_teardown);
}
