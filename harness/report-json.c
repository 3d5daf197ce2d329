/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report.h"

#include <string.h>

static void
set_string(JsonObject *object, const char *member, const char *value)
{
    if (value)
        json_object_set_string_member(object, member, value);
}

/* As numbers, for who computes with them; they have no more digits than a double has. */
static JsonArray *
measures_to_json(const GPtrArray *measures)
{
    JsonArray *array = json_array_new();
    for (guint i = 0; i < measures->len; i++) {
        const Measure *measure = measures->pdata[i];
        JsonObject *object = json_object_new();
        set_string(object, "name", measure->name);
        json_object_set_double_member(object, "value",
                                      g_ascii_strtod(measure->value, NULL));
        set_string(object, "unit", measure->unit);
        set_string(object, "text", measure->value);
        json_array_add_object_element(array, object);
    }
    return array;
}

JsonObject *
report_case_to_json(const CaseResult *result)
{
    JsonObject *object = json_object_new();
    set_string(object, "host", result->host);
    set_string(object, "suite", result->suite);
    set_string(object, "case", result->name);
    set_string(object, "outcome", outcome_name(result->outcome));
    json_object_set_boolean_member(object, "flaky", result->flaky);
    json_object_set_int_member(object, "duration_us", result->duration_us);
    set_string(object, "message", result->message);
    set_string(object, "output", result->output);
    if (result->measures)
        json_object_set_array_member(object, "measures",
                                     measures_to_json(result->measures));
    return object;
}

static const char *
get_string(JsonObject *object, const char *member)
{
    JsonNode *node = json_object_get_member(object, member);
    return node && json_node_get_value_type(node) == G_TYPE_STRING
               ? json_node_get_string(node)
               : NULL;
}

/* What is none is left out. */
static GPtrArray *
measures_from_json(JsonObject *object)
{
    JsonNode *node = json_object_get_member(object, "measures");
    if (!node || !JSON_NODE_HOLDS_ARRAY(node))
        return NULL;
    JsonArray *array = json_node_get_array(node);
    GPtrArray *measures = measures_new();
    for (guint i = 0; i < MIN(json_array_get_length(array), MEASURES_MAX); i++) {
        JsonNode *element = json_array_get_element(array, i);
        JsonObject *one =
            JSON_NODE_HOLDS_OBJECT(element) ? json_node_get_object(element) : NULL;
        const char *name = one ? get_string(one, "name") : NULL;
        const char *value = one ? get_string(one, "text") : NULL;
        const char *unit = one ? get_string(one, "unit") : NULL;
        g_autofree char *text = g_strdup_printf("measure %s %s %s", name ? name : "",
                                                value ? value : "", unit ? unit : "");
        Measure *measure = measure_parse(text);
        if (measure)
            g_ptr_array_add(measures, measure);
    }
    return measures;
}

CaseResult *
report_case_from_json(JsonObject *object, GError **error)
{
    const char *host = get_string(object, "host"), *suite = get_string(object, "suite");
    const char *name = get_string(object, "case"), *word = get_string(object, "outcome");
    Outcome outcome;
    if (!host || !suite || !name || !word || !outcome_from_name(word, &outcome)) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "a result must have host, suite, case and one of the outcomes");
        return NULL;
    }
    CaseResult *result = case_result_new(host, suite, name, outcome);
    result->flaky = json_object_get_boolean_member_with_default(object, "flaky", FALSE);
    result->duration_us =
        json_object_get_int_member_with_default(object, "duration_us", 0);
    if (get_string(object, "message"))
        case_result_set_message(result, "%s", get_string(object, "message"));
    case_result_set_output(result, get_string(object, "output"), -1);
    result->measures = measures_from_json(object);
    return result;
}

static JsonNode *
report_to_json(const Report *report)
{
    JsonObject *object = json_object_new();
    set_string(object, "lab", report->lab);
    set_string(object, "emulator", report->emulator);
    set_string(object, "accel", report->accel);
    set_string(object, "kernel", report->kernel);
    set_string(object, "template", report->template);
    set_string(object, "cold", report->cold);
    set_string(object, "log_dir", report->log_dir);
    json_object_set_int_member(object, "started_us", report->started_us);
    json_object_set_int_member(object, "duration_us", report->duration_us);
    json_object_set_boolean_member(object, "complete", report->complete);
    json_object_set_boolean_member(object, "tainted", report->tainted);
    set_string(object, "outcome",
               report->complete ? outcome_name(report_outcome(report)) : NULL);

    JsonArray *results = json_array_new();
    for (guint i = 0; i < report->results->len; i++)
        json_array_add_object_element(results,
                                      report_case_to_json(report->results->pdata[i]));
    json_object_set_array_member(object, "results", results);
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);
    json_node_take_object(node, object);
    return node;
}

void
report_write_json(const GPtrArray *reports, GString *out)
{
    JsonArray *labs = json_array_new();
    gboolean complete = TRUE;
    for (guint i = 0; i < reports->len; i++) {
        json_array_add_element(labs, report_to_json(reports->pdata[i]));
        complete &= ((Report *)reports->pdata[i])->complete;
    }
    JsonObject *object = json_object_new();
    json_object_set_int_member(object, "version", 1);
    json_object_set_boolean_member(object, "complete", complete);
    json_object_set_array_member(object, "labs", labs);

    g_autoptr(JsonNode) root = json_node_new(JSON_NODE_OBJECT);
    json_node_take_object(root, object);
    g_autofree char *text = json_to_string(root, TRUE);
    g_string_append_printf(out, "%s\n", text);
}
