/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "outcome.h"

#include <string.h>

/* By Outcome. */
static const struct {
    const char *name;
    HbStatus status;
} outcomes[OUTCOME_COUNT] = {
    [OUTCOME_PASS] = {"pass", HB_OK},
    [OUTCOME_UNSUPPORTED] = {"unsupported", HB_UNSUPPORTED},
    [OUTCOME_FAIL] = {"fail", HB_FAIL},
    [OUTCOME_SKIP] = {"skip", HB_OK},
    [OUTCOME_TIMEOUT] = {"timeout", HB_TIMEOUT},
    [OUTCOME_GUEST_PANIC] = {"guest-panic", HB_GUEST_PANIC},
    [OUTCOME_GUEST_HANG] = {"guest-hang", HB_GUEST_HANG},
    [OUTCOME_EMULATOR_DIED] = {"emulator-died", HB_EMULATOR_DIED},
    [OUTCOME_INFRASTRUCTURE] = {"infrastructure", HB_INFRASTRUCTURE},
};

const char *
outcome_name(Outcome outcome)
{
    return outcomes[outcome].name;
}

gboolean
outcome_from_name(const char *name, Outcome *outcome)
{
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        if (g_str_equal(outcomes[i].name, name)) {
            *outcome = (Outcome)i;
            return TRUE;
        }
    }
    return FALSE;
}

HbStatus
outcome_status(Outcome outcome)
{
    return outcomes[outcome].status;
}

Outcome
outcome_from_error(const GError *error)
{
    HbStatus status = hb_error_status(error);
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        if (outcomes[i].status == status && status != HB_OK)
            return (Outcome)i;
    }
    return OUTCOME_INFRASTRUCTURE;
}

gboolean
outcome_is_bad(Outcome outcome)
{
    return outcome != OUTCOME_PASS && outcome != OUTCOME_SKIP;
}

Outcome
outcome_worst(Outcome a, Outcome b)
{
    if (outcome_is_bad(a) && outcome_is_bad(b))
        return MAX(a, b);
    if (outcome_is_bad(a) || outcome_is_bad(b))
        return outcome_is_bad(a) ? a : b;
    return a == OUTCOME_PASS ? a : b;
}

static int
status_rank(HbStatus status)
{
    static const HbStatus by_rank[] = {
        HB_OK,         HB_UNSUPPORTED,   HB_FAIL,           HB_TIMEOUT, HB_GUEST_PANIC,
        HB_GUEST_HANG, HB_EMULATOR_DIED, HB_INFRASTRUCTURE, HB_USAGE,   HB_INTERRUPTED};
    for (guint i = 0; i < G_N_ELEMENTS(by_rank); i++) {
        if (by_rank[i] == status)
            return (int)i;
    }
    return G_N_ELEMENTS(by_rank);
}

HbStatus
outcome_worst_status(HbStatus a, HbStatus b)
{
    return status_rank(a) >= status_rank(b) ? a : b;
}

static gboolean
is_fit(gunichar c, gboolean lines)
{
    if (c == '\n')
        return lines;
    if (c == '\t')
        return TRUE;
    /* C0, DEL, C1: a terminal may obey them. Surrogates are not valid UTF-8 anyway. */
    if (c < 0x20 || (c >= 0x7f && c <= 0x9f))
        return FALSE;
    return c != 0xfffe && c != 0xffff;
}

char *
outcome_text(const char *bytes, gssize length, gboolean lines)
{
    gsize size = length < 0 ? strlen(bytes) : (gsize)length;
    g_autofree char *valid = g_utf8_make_valid(bytes, (gssize)size);
    GString *text = g_string_sized_new(size);
    /* g_utf8_make_valid() turns a NUL within the length into U+FFFD as well. */
    for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        g_string_append_unichar(text, is_fit(c, lines) ? c : 0xfffd);
    }
    return g_string_free(text, FALSE);
}

CaseResult *
case_result_new(const char *host, const char *suite, const char *name, Outcome outcome)
{
    CaseResult *result = g_new0(CaseResult, 1);
    result->host = outcome_text(host, -1, FALSE);
    result->suite = outcome_text(suite, -1, FALSE);
    result->name = outcome_text(name, -1, FALSE);
    result->outcome = outcome;
    return result;
}

CaseResult *
case_result_copy(const CaseResult *result)
{
    CaseResult *copy = g_memdup2(result, sizeof(*result));
    copy->host = g_strdup(result->host);
    copy->suite = g_strdup(result->suite);
    copy->name = g_strdup(result->name);
    copy->message = g_strdup(result->message);
    copy->output = g_strdup(result->output);
    if (result->measures)
        g_ptr_array_ref(result->measures);
    return copy;
}

void
case_result_free(CaseResult *result)
{
    if (!result)
        return;
    g_free(result->host);
    g_free(result->suite);
    g_free(result->name);
    g_free(result->message);
    g_free(result->output);
    g_clear_pointer(&result->measures, g_ptr_array_unref);
    g_free(result);
}

static void
free_element(gpointer result)
{
    case_result_free(result);
}

GPtrArray *
case_results_new(void)
{
    return g_ptr_array_new_with_free_func(free_element);
}

void
case_result_set_message(CaseResult *result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_free(result->message);
    result->message = outcome_text(g_strdelimit(message, "\n", ' '), -1, FALSE);
}

void
case_result_set_output(CaseResult *result, const char *text, gssize length)
{
    g_free(result->output);
    result->output = text ? outcome_text(text, length, TRUE) : NULL;
}
