/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed test --list: what would be run, a case a line as reports and selections write
 * it, or as JSON; nothing is started for it.
 */
#include <stdio.h>

#include "cmd-test.h"

/* A pattern: cases there are, which the lab or the program decides. */
#define UNKNOWN_CASES "*"

typedef struct {
    const TestOptions *options;
    const Selection *selection;
    GString *text;
    JsonArray *cases;
} List;

static void
add_case(List *list, const Unit *unit, const char *name)
{
    if (!selection_has_case(list->selection, unit->lab, unit->host, unit->suite->name,
                            name))
        return;
    g_string_append_printf(list->text, "%s/%s/%s/%s\n", unit->lab, unit->host,
                           unit->suite->name, name);
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "lab", unit->lab);
    json_object_set_string_member(object, "host", unit->host);
    json_object_set_string_member(object, "suite", unit->suite->name);
    json_object_set_string_member(object, "case", name);
    if (unit->unmet)
        json_object_set_string_member(object, "skip", unit->unmet);
    json_array_add_object_element(list->cases, object);
}

/* What a program of --suite has is known when it ran. */
static void
add_unit(List *list, const Unit *unit)
{
    for (char **name = unit->cases; *name; name++)
        add_case(list, unit, *name);
    if (unit->suite->command)
        add_case(list, unit, UNKNOWN_CASES);
}

/* Without a lab: what suites have on every host. */
static void
add_suite(List *list, const Suite *suite)
{
    static const char *const unknown[] = {UNKNOWN_CASES, NULL};
    const char *const *name = suite->is_check || suite->command ? unknown : suite->cases;
    for (; *name; name++) {
        if (!selection_has_case(list->selection, "", "", suite->name, *name))
            continue;
        g_string_append_printf(list->text, "%s/%s\n", suite->name, *name);
        JsonObject *object = json_object_new();
        json_object_set_string_member(object, "suite", suite->name);
        json_object_set_string_member(object, "case", *name);
        json_array_add_object_element(list->cases, object);
    }
}

static char *
to_json(const List *list)
{
    JsonObject *object = json_object_new();
    json_object_set_int_member(object, "total", json_array_get_length(list->cases));
    json_object_set_array_member(object, "cases", json_array_ref(list->cases));
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    json_node_take_object(node, object);
    g_autofree char *text = json_to_string(node, TRUE);
    return g_strconcat(text, "\n", NULL);
}

static int
print_list(const List *list)
{
    const char *filename = list->options->json;
    g_autofree char *json = to_json(list);
    g_autoptr(GError) error = NULL;
    if (g_strcmp0(filename, "-") == 0)
        fputs(json, stdout);
    else
        fputs(list->text->str, stdout);
    if (filename && !g_str_equal(filename, "-") &&
        !g_file_set_contents(filename, json, -1, &error)) {
        g_autoptr(GError) failure =
            g_error_new(HB_ERROR, HB_INFRASTRUCTURE, "%s", error->message);
        return cli_fail(failure);
    }
    return HB_OK;
}

int
test_list(const TestOptions *options, const GPtrArray *labs, const Selection *selection)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(JsonArray) cases = json_array_new();
    List list = {options, selection, text, cases};
    HbStatus status = HB_OK;
    const GPtrArray *foreign = options->foreign;
    for (const Suite *suite = suites; !labs && suite->name; suite++)
        if (suite->is_check || foreign->len == 0)
            add_suite(&list, suite);
    for (guint i = 0; !labs && i < foreign->len; i++)
        add_suite(&list, foreign->pdata[i]);
    for (guint i = 0; labs && i < labs->len; i++) {
        const TestLab *lab = labs->pdata[i];
        status = outcome_worst_status(status, lab->report->status); /* not planned */
        for (guint j = 0; j < lab->units->len; j++)
            add_unit(&list, lab->units->pdata[j]);
    }
    return (int)outcome_worst_status(status, (HbStatus)print_list(&list));
}
