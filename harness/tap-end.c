/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a program's end adds to its results: what was announced and never came, how it
 * ended, and whether all of it was a skip.
 */
#include "outcome.h"
#include "tap-levels.h"
#include "tap-private.h"

#define EXIT_SKIP 77

static void
note_missing(TapReader *reader)
{
    if (reader->planned < 0) {
        tap_reader_problem(reader, "no plan (1..N) was printed");
        return;
    }
    if (reader->planned > TAP_CASES_MAX)
        return; /* said when it was announced */
    guint missing = 0, first = 0, beyond = 0;
    for (guint i = 1; i <= TAP_CASES_MAX; i++) {
        if (i <= reader->planned && !reader->seen[i]) {
            missing++;
            first = first ? first : i;
        }
        beyond += i > reader->planned && reader->seen[i];
    }
    if (missing)
        tap_reader_problem(reader,
                           "%u of the %" G_GINT64_FORMAT
                           " results announced never came, number %u first",
                           missing, reader->planned, first);
    if (beyond)
        tap_reader_problem(reader,
                           "%u results came beyond the %" G_GINT64_FORMAT " announced",
                           beyond, reader->planned);
}

static CaseResult *
add_case(TapReader *reader, const char *name, Outcome outcome)
{
    CaseResult *result = case_result_new(reader->host, reader->suite, name, outcome);
    g_ptr_array_add(reader->cases, result);
    return result;
}

static void
report_problems(TapReader *reader)
{
    if (reader->problems->len == 0)
        return;
    CaseResult *result = add_case(reader, "[test protocol]", OUTCOME_FAIL);
    case_result_set_message(result, "%s", (const char *)reader->problems->pdata[0]);
    g_ptr_array_add(reader->problems, NULL);
    g_autofree char *all = g_strjoinv("\n", (char **)reader->problems->pdata);
    g_ptr_array_remove_index(reader->problems, reader->problems->len - 1);
    case_result_set_output(result, all, -1);
}

static gboolean
any_bad(const GPtrArray *cases)
{
    for (guint i = 0; i < cases->len; i++) {
        if (outcome_is_bad(((CaseResult *)cases->pdata[i])->outcome))
            return TRUE;
    }
    return FALSE;
}

static gboolean
has_failure(const TapReader *reader)
{
    return reader->taken_failed || any_bad(reader->cases);
}

/* The program's own end, where it says more than its results. */
static void
report_exit(TapReader *reader, int status, int signal_number)
{
    if (signal_number != 0) {
        CaseResult *result = add_case(reader, "[program]", OUTCOME_FAIL);
        case_result_set_message(result, "was ended by signal %d (%s)", signal_number,
                                g_strsignal(signal_number));
    } else if (status != 0 && !has_failure(reader)) {
        CaseResult *result = add_case(reader, "[program]", OUTCOME_FAIL);
        case_result_set_message(result, "exit status %d although no result failed",
                                status);
    } else {
        return;
    }
    CaseResult *result = reader->cases->pdata[reader->cases->len - 1];
    if (reader->pending->len > 0)
        case_result_set_output(result, reader->pending->str, -1);
}

/* The whole suite was skipped: by its plan, or by exit status 77 before the first result.
 */
static gboolean
report_skip(TapReader *reader, int status, int signal_number)
{
    gboolean by_status = status == EXIT_SKIP && reader->planned <= 0;
    gboolean by_plan = reader->skip_all && status == 0;
    if (signal_number != 0 || tap_reader_count(reader) > 0 || !(by_status || by_plan) ||
        reader->bailed || reader->problems->len > 0)
        return FALSE;
    const char *reason = reader->skip_reason ? reader->skip_reason : reader->last_comment;
    if (reader->skip_all && *reader->skip_all)
        reason = reader->skip_all;
    case_result_set_message(add_case(reader, "[suite]", OUTCOME_SKIP), "%s",
                            reason ? reason : "the suite gives no reason");
    return TRUE;
}

/* Reports are keyed by name, and some readers drop the second of two that are the same.
 */
static void
tell_names_apart(TapReader *reader, GPtrArray *cases)
{
    for (guint i = 0; i < cases->len; i++) {
        CaseResult *result = cases->pdata[i];
        g_autofree char *base = g_strdup(result->name);
        /* The number is that of the result, so that ten thousand namesakes cost no
         * square. */
        for (guint n = reader->taken + i + 1;
             g_hash_table_contains(reader->names, result->name); n++) {
            g_free(result->name);
            result->name = g_strdup_printf("%s (%u)", base, n);
        }
        g_hash_table_add(reader->names, g_strdup(result->name));
    }
}

static void
end_input(TapReader *reader)
{
    if (reader->line->len > 0)
        tap_reader_end_line(reader);
    tap_reader_settle_comments(reader);
    if (tap_levels_close(reader->levels, 0) || reader->subtest_failed)
        tap_reader_problem(
            reader, "a subtest failed, or is not complete, and no result follows it");
    if (reader->dropped)
        tap_reader_problem(reader, "%u results more than the %d that are read",
                           reader->dropped, TAP_CASES_MAX);
}

GPtrArray *
tap_reader_take(TapReader *reader, guint upto)
{
    if (upto >= tap_reader_count(reader))
        tap_reader_settle_comments(reader);
    g_autoptr(GPtrArray) all = g_steal_pointer(&reader->cases);
    GPtrArray *taken = case_results_new();
    reader->cases = case_results_new();
    for (guint i = 0; i < all->len; i++)
        g_ptr_array_add(reader->taken + i < upto ? taken : reader->cases, all->pdata[i]);
    g_ptr_array_set_free_func(all, NULL); /* they are others' now */
    tell_names_apart(reader, taken);
    reader->taken += taken->len;
    reader->taken_failed |= any_bad(taken);
    return taken;
}

static GPtrArray *
take_cases(TapReader *reader)
{
    return tap_reader_take(reader, G_MAXUINT);
}

void
tap_reader_allow_plain(TapReader *reader)
{
    reader->plain_allowed = TRUE;
}

/* A program that knows nothing of TAP. */
static void
report_plain(TapReader *reader, int status, int signal_number)
{
    gboolean ok = status == 0 && signal_number == 0;
    gboolean skipped = status == EXIT_SKIP && signal_number == 0;
    CaseResult *result = add_case(reader, "[program]",
                                  ok        ? OUTCOME_PASS
                                  : skipped ? OUTCOME_SKIP
                                            : OUTCOME_FAIL);
    if (signal_number != 0)
        case_result_set_message(result, "was ended by signal %d (%s)", signal_number,
                                g_strsignal(signal_number));
    else if (skipped)
        case_result_set_message(result, "the suite gives no reason");
    else if (!ok)
        case_result_set_message(result, "exit status %d", status);
    if (reader->pending->len > 0)
        case_result_set_output(result, reader->pending->str, -1);
    result->duration_us = reader->clock_us - reader->last_result_us;
}

GPtrArray *
tap_reader_finish(TapReader *reader, int status, int signal_number)
{
    end_input(reader);
    if (report_skip(reader, status, signal_number))
        return take_cases(reader);
    if (reader->plain_allowed && !reader->is_tap) {
        report_plain(reader, status, signal_number);
        return take_cases(reader);
    }
    if (reader->bailed)
        case_result_set_message(add_case(reader, "[program]", OUTCOME_FAIL),
                                "bailed out: %s",
                                *reader->bailed ? reader->bailed : "for no reason given");
    else
        note_missing(reader);
    if (tap_reader_count(reader) == 0 && !reader->bailed)
        tap_reader_problem(reader, "no result was printed");
    report_problems(reader);
    report_exit(reader, status, signal_number);
    return take_cases(reader);
}

GPtrArray *
tap_reader_abandon(TapReader *reader)
{
    end_input(reader);
    return take_cases(reader);
}
