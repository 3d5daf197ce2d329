/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The guide's table of limits is the planner's: docs/limits.rst has each row, and no
 * other.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "plan.h"

/* A row is the name in double back quotes: "   * - ``cells``", then "     - at most 128
 * cells", then the reason. */
static char *
row_of(const PlanLimit *limit)
{
    return g_strdup_printf("* - ``%s``\n     - %s %" G_GINT64_FORMAT " %s\n     - %s\n",
                           limit->name, plan_limit_bound(limit), limit->maximum,
                           limit->unit, limit->reason);
}

static void
the_guide_has_each_limit(void **state)
{
    const char *source = g_getenv("HOSTBED_SOURCE_DIR");
    g_autofree char *path =
        g_build_filename(source ? source : ".", "docs", "limits.rst", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    if (!g_file_get_contents(path, &text, NULL, &error))
        fail_msg("%s", error->message);
    guint rows = 0, found = 0;
    for (const PlanLimit *limit = plan_limits; limit->name; limit++, rows++) {
        g_autofree char *row = row_of(limit);
        if (!strstr(text, row))
            fail_msg("docs/limits.rst has no row\n%s", row);
    }
    for (const char *at = text; (at = strstr(at, "* - ``")); at++)
        found++;
    assert_int_equal(found, rows);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_guide_has_each_limit)};
    return cmocka_run_group_tests_name("plan-limits", tests, NULL, NULL);
}
