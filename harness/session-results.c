/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which results a session tells, and what a second try makes of those of the first.
 */
#include <string.h>

#include "compare.h"
#include "session-private.h"

CaseResult *
session_case(const Session *session, const char *suite, const char *name, Outcome outcome)
{
    return case_result_new(session->options->plan->host_id, suite, name, outcome);
}

static gboolean
is_about_the_run(const CaseResult *result)
{
    return *result->name == '[' || g_str_equal(result->suite, COMPARE_SUITE) ||
           g_str_equal(result->suite, SESSION_HOST_SUITE);
}

#define TRIED_AGAIN " (tried again)"

/* The case that RESULT is of, which a selection knows; owned by the caller. */
static char *
name_of_case(const CaseResult *result)
{
    gboolean again = result->flaky && g_str_has_suffix(result->name, TRIED_AGAIN);
    return g_strndup(result->name,
                     strlen(result->name) - (again ? strlen(TRIED_AGAIN) : 0));
}

/* What was not asked for is still told when it says that the rest means nothing. */
static gboolean
is_wanted(const Session *session, const CaseResult *result)
{
    const SessionOptions *options = session->options;
    g_autofree char *name = name_of_case(result);
    if (selection_has_case(options->selection, options->lab, result->host, result->suite,
                           name))
        return TRUE;
    if (*result->name == '[' && selection_has_suite(options->selection, options->lab,
                                                    result->host, result->suite))
        return TRUE;
    return is_about_the_run(result) && (outcome_is_bad(result->outcome) || result->flaky);
}

static void
refuse_skip(CaseResult *result)
{
    g_autofree char *reason = g_steal_pointer(&result->message);
    result->outcome = OUTCOME_FAIL;
    case_result_set_message(result, "skipped, which --no-skip forbids: %s",
                            reason ? reason : "");
}

void
session_deliver(Session *session, GPtrArray *results)
{
    for (guint i = 0; i < results->len;) {
        CaseResult *result = results->pdata[i];
        if (!is_wanted(session, result)) {
            g_ptr_array_remove_index(results, i);
            continue;
        }
        if (session->options->no_skip && result->outcome == OUTCOME_SKIP)
            refuse_skip(result);
        if (session->options->unit)
            result->order = session->options->unit->order;
        i++;
    }
    if (results->len > 0)
        session->options->results(results, session->options->user_data);
    g_ptr_array_unref(results);
}

void
session_deliver_one(Session *session, CaseResult *result)
{
    GPtrArray *results = case_results_new();
    g_ptr_array_add(results, result);
    session_deliver(session, results);
}

void
session_set_verdict(const Session *session, CaseResult *result, const GError *error)
{
    if (session->late) {
        result->outcome = OUTCOME_TIMEOUT;
        case_result_set_message(result, "the deadline of the run passed");
    } else {
        result->outcome = outcome_from_error(error);
        case_result_set_message(result, "%s", error->message);
    }
}

/* Of the element of the lab that asks for SUBJECT; file NULL: none does. */
static FilePos
place_of(const Plan *plan, const char *subject)
{
    static const char *const of_the_host[] = {"cpus", "groups", "iommu", NULL};
    for (guint i = 0; i < plan->cells->len; i++) {
        const PlanCell *cell = plan->cells->pdata[i];
        g_autofree char *name = g_strdup_printf("node %d", cell->node);
        if (g_str_equal(name, subject))
            return cell->pos;
    }
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = plan->functions->pdata[i];
        char address[PCI_ADDRESS_SIZE];
        g_autofree char *name =
            g_strdup_printf("pci %s", pci_address_text(function->address, address));
        if (g_str_equal(name, subject))
            return function->pos;
    }
    return g_strv_contains(of_the_host, subject) ? plan->pos : (FilePos){NULL, 0};
}

void
session_tell_places(const Session *session, GPtrArray *differences)
{
    for (guint i = 0; i < differences->len; i++) {
        CaseResult *result = differences->pdata[i];
        FilePos pos = {NULL, 0};
        if (result->outcome == OUTCOME_FAIL)
            pos = place_of(session->options->plan, result->name);
        if (!pos.file)
            continue;
        g_autofree char *message = g_steal_pointer(&result->message);
        case_result_set_message(result, "%s; %s:%d asks for it", message, pos.file,
                                pos.line);
    }
}

static CaseResult *
find_case(const GPtrArray *results, const CaseResult *like)
{
    for (guint i = 0; i < results->len; i++) {
        CaseResult *result = results->pdata[i];
        if (g_str_equal(result->name, like->name) &&
            g_str_equal(result->suite, like->suite))
            return result;
    }
    return NULL;
}

void
session_make_flaky(CaseResult *result, const char *how, const char *why)
{
    g_autofree char *reason = g_strdup(why);
    result->outcome = OUTCOME_PASS;
    result->flaky = TRUE;
    case_result_set_message(result, "%s%s%s", how, reason ? ": " : "",
                            reason ? reason : "");
}

#define FAILED_LATER "passed, but failed when the suite was tried again"

void
session_settle_told(const GPtrArray *told, GPtrArray *again)
{
    for (guint i = 0; i < again->len;) {
        CaseResult *result = again->pdata[i];
        const CaseResult *before = find_case(told, result);
        if (before &&
            !(before->outcome == OUTCOME_PASS && outcome_is_bad(result->outcome))) {
            g_ptr_array_remove_index(again, i);
            continue;
        }
        if (before) {
            g_autofree char *name = g_steal_pointer(&result->name);
            result->name = g_strconcat(name, TRIED_AGAIN, NULL);
            session_make_flaky(result, FAILED_LATER, result->message);
        }
        i++;
    }
}

/* "[program]", and what the check found and nobody asked for. */
static gboolean
is_there_when_wrong(const CaseResult *result)
{
    return *result->name == '[' || g_str_equal(result->suite, COMPARE_SUITE);
}

void
session_merge_retry(GPtrArray *results, const GPtrArray *again)
{
    guint first_count = results->len;
    for (guint i = 0; i < first_count; i++) {
        CaseResult *result = results->pdata[i];
        const CaseResult *other = find_case(again, result);
        gboolean passes =
            other ? other->outcome == OUTCOME_PASS : is_there_when_wrong(result);
        if (outcome_is_bad(result->outcome) && passes)
            session_make_flaky(result, "passed only when tried again; first it failed",
                               result->message);
        else if (result->outcome == OUTCOME_PASS && other &&
                 outcome_is_bad(other->outcome))
            session_make_flaky(result, FAILED_LATER, other->message);
    }
    for (guint i = 0; i < again->len; i++) {
        const CaseResult *other = again->pdata[i];
        if (!find_case(results, other))
            g_ptr_array_add(results, case_result_copy(other));
    }
}

gboolean
session_any_bad(const GPtrArray *results)
{
    for (guint i = 0; i < results->len; i++) {
        if (outcome_is_bad(((CaseResult *)results->pdata[i])->outcome))
            return TRUE;
    }
    return FALSE;
}
