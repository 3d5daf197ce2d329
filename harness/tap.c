/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One line at a time: tap_reader_feed() cuts lines, tap-line.c tells what each is, and
 * the add_ functions below keep what is needed; tap-levels.c follows subtests. Problems
 * of the stream itself are collected; tap-end.c makes them one failed case of their own.
 */
#include "tap.h"

#include <string.h>

#include "tail.h"
#include "tap-levels.h"
#include "tap-line.h"
#include "tap-private.h"

#define PROBLEMS_MAX 20

TapReader *
tap_reader_new(const char *host, const char *suite)
{
    TapReader *reader = g_new0(TapReader, 1);
    reader->host = g_strdup(host);
    reader->suite = g_strdup(suite);
    reader->line = g_string_new(NULL);
    reader->cases = case_results_new();
    reader->names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    reader->pending = g_string_new(NULL);
    reader->after = g_string_new(NULL);
    reader->words = g_string_new(NULL);
    reader->levels = tap_levels_new();
    reader->planned = -1;
    reader->seen = g_new0(guint8, TAP_CASES_MAX + 1);
    reader->problems = g_ptr_array_new_with_free_func(g_free);
    reader->clock_us = reader->last_result_us = -1;
    return reader;
}

void
tap_reader_free(TapReader *reader)
{
    if (!reader)
        return;
    g_free(reader->host);
    g_free(reader->suite);
    g_string_free(reader->line, TRUE);
    g_ptr_array_unref(reader->cases);
    g_hash_table_unref(reader->names);
    g_string_free(reader->pending, TRUE);
    g_string_free(reader->after, TRUE);
    g_string_free(reader->words, TRUE);
    g_array_unref(reader->levels);
    g_clear_pointer(&reader->measures, g_ptr_array_unref);
    g_free(reader->skip_reason);
    g_free(reader->last_comment);
    g_free(reader->skip_all);
    g_free(reader->bailed);
    g_free(reader->seen);
    g_ptr_array_unref(reader->problems);
    g_free(reader);
}

void
tap_reader_clock(TapReader *reader, gint64 now_us)
{
    if (reader->clock_us < 0)
        reader->last_result_us = now_us;
    reader->clock_us = now_us;
}

guint
tap_reader_count(const TapReader *reader)
{
    return reader->taken + reader->cases->len;
}

char *
tap_reader_last_words(const TapReader *reader)
{
    g_autofree char *all = g_strconcat(reader->words->str, reader->after->str,
                                       reader->pending->str, reader->line->str, NULL);
    gsize length = strlen(all);
    if (length <= TAP_LAST_WORDS)
        return length > 0 ? g_steal_pointer(&all) : NULL;
    const char *end = all + length - TAP_LAST_WORDS;
    const char *newline = strchr(end, '\n');
    return g_strdup(newline && newline[1] ? newline + 1 : end);
}

void
tap_reader_problem(TapReader *reader, const char *format, ...)
{
    if (reader->problems->len >= PROBLEMS_MAX)
        return;
    va_list arguments;
    va_start(arguments, format);
    g_ptr_array_add(reader->problems, g_strdup_vprintf(format, arguments));
    va_end(arguments);
}

/* ---- output
 * --------------------------------------------------------------------------------- */

static void
keep_output(TapReader *reader, GString *where, const char *line)
{
    gsize length = strlen(line) + 1;
    if (where->len + length > TAP_OUTPUT_MAX ||
        reader->total_output + length > TAP_TOTAL_MAX) {
        static const char cut[] = "[more was printed]\n";
        if (!g_str_has_suffix(where->str, cut) && where->len < 2 * TAP_OUTPUT_MAX)
            g_string_append(where, cut);
        return;
    }
    reader->total_output += length;
    g_string_append(where, line);
    g_string_append_c(where, '\n');
}

void
tap_reader_settle_comments(TapReader *reader)
{
    tail_add(reader->words, reader->after->str, reader->after->len, TAP_LAST_WORDS);
    if (reader->after->len > 0 && reader->cases->len > 0 && reader->dropped == 0) {
        CaseResult *last = reader->cases->pdata[reader->cases->len - 1];
        g_string_prepend(reader->after, last->output ? last->output : "");
        case_result_set_output(last, reader->after->str, (gssize)reader->after->len);
    }
    g_string_truncate(reader->after, 0);
}

/* ---- results at the top
 * ----------------------------------------------------------------------- */

static void
check_number(TapReader *reader, gint64 number)
{
    if (number < 1 || number > TAP_CASES_MAX) {
        tap_reader_problem(reader, "a result has number %" G_GINT64_FORMAT, number);
        return;
    }
    if (reader->seen[number])
        tap_reader_problem(reader, "result %" G_GINT64_FORMAT " came twice", number);
    reader->seen[number] = 1;
    reader->last_number = (guint)number;
}

/* Cuts from TEXT the last line that says something, with what follows; returns it without
 * blanks around it. */
static char *
take_last_line(GString *text)
{
    g_autofree char *plain = g_strchomp(g_strdup(text->str));
    const char *newline = strrchr(plain, '\n');
    gsize start = newline ? (gsize)(newline + 1 - plain) : 0;
    char *line = g_strstrip(g_strdup(plain + start));
    g_string_truncate(text, start);
    return line;
}

/* Why a case was skipped. What is told as the reason is no output any more. */
static char *
take_reason(TapReader *reader, const TapPoint *point, const char *cmocka_name)
{
    if (!cmocka_name && *point->reason)
        return g_strdup(point->reason);
    g_autofree char *reason = reader->skip_reason ? g_strdup(reader->skip_reason)
                                                  : take_last_line(reader->pending);
    return *reason ? g_steal_pointer(&reason) : g_strdup("the suite gives no reason");
}

static void
judge(TapReader *reader, CaseResult *result, const TapPoint *point,
      const char *cmocka_name)
{
    if (point->directive == TAP_DIRECTIVE_SKIP) {
        g_autofree char *reason = take_reason(reader, point, cmocka_name);
        result->outcome = OUTCOME_SKIP;
        case_result_set_message(result, "%s", reason);
    } else if (point->directive == TAP_DIRECTIVE_TODO && !point->ok) {
        result->outcome = OUTCOME_SKIP;
        case_result_set_message(result, "known to fail: %s", point->reason);
    } else if (!point->ok) {
        result->outcome = OUTCOME_FAIL;
    }
    if (point->ok && reader->subtest_failed) {
        result->outcome = OUTCOME_FAIL;
        case_result_set_message(result,
                                "says ok, but a subtest of it failed or is not complete");
    }
}

static gboolean
is_c_name(const char *text)
{
    gsize length = strspn(text, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "_");
    return text[length] == '\0' && strchr(text, '_') != NULL;
}

/* "not ok 2 # SKIP name", of later versions "ok 2 # SKIP name", which others say with a
 * reason: there the name of a function of more than one word is taken for it. */
static gboolean
is_cmockas_skip(const TapPoint *point)
{
    return point->directive == TAP_DIRECTIVE_SKIP && !*point->name && *point->reason &&
           (!point->ok || is_c_name(point->reason));
}

static void
add_point(TapReader *reader, const TapPoint *point)
{
    tap_reader_settle_comments(reader);
    g_string_truncate(reader->words, 0);
    reader->subtest_failed |= tap_levels_close(reader->levels, 0);
    if (tap_reader_count(reader) == TAP_CASES_MAX) {
        reader->dropped++;
        return;
    }
    gint64 number = point->number >= 0 ? point->number : (gint64)reader->last_number + 1;
    check_number(reader, number);

    const char *cmocka_name = is_cmockas_skip(point) ? point->reason : NULL;
    const char *name = cmocka_name ? cmocka_name : point->name;
    g_autofree char *nameless = g_strdup_printf("%" G_GINT64_FORMAT, number);
    CaseResult *result = case_result_new(reader->host, reader->suite,
                                         *name ? name : nameless, OUTCOME_PASS);
    judge(reader, result, point, cmocka_name);
    if (reader->pending->len > 0)
        case_result_set_output(result, reader->pending->str, -1);
    result->measures = g_steal_pointer(&reader->measures);
    result->duration_us = reader->clock_us - reader->last_result_us;
    reader->last_result_us = reader->clock_us;
    g_ptr_array_add(reader->cases, result);

    g_string_truncate(reader->pending, 0);
    g_clear_pointer(&reader->skip_reason, g_free);
    reader->subtest_failed = FALSE;
}

static void
add_plan(TapReader *reader, gint64 count, const char *skip_reason)
{
    if (reader->planned >= 0) {
        tap_reader_problem(reader, "a second plan came: 1..%" G_GINT64_FORMAT, count);
        return;
    }
    reader->planned = count;
    if (count > TAP_CASES_MAX)
        tap_reader_problem(
            reader, "%" G_GINT64_FORMAT " results were announced; at most %d are read",
            count, TAP_CASES_MAX);
    if (count == 0)
        reader->skip_all = g_strdup(skip_reason ? skip_reason : "");
}

/* The reason in a comment "skip: no KVM", or NULL: "skipped 3 of 7" is prose. */
static const char *
reason_in(const char *text)
{
    if (g_ascii_strncasecmp(text, "skip", 4) != 0)
        return NULL;
    text += text[4] == ':' ? 5 : 4;
    return *text == ' ' ? text : NULL;
}

/* "# ok - NAME", with which cmocka ends a group: it is about no case. */
static gboolean
ends_group(const char *text)
{
    return g_str_has_prefix(text, "ok - ") || g_str_has_prefix(text, "not ok - ");
}

/* FALSE: it is none, or there are too many. */
static gboolean
add_measure(TapReader *reader, const char *text)
{
    Measure *measure = measure_parse(text);
    gboolean has_room = (!reader->measures || reader->measures->len < MEASURES_MAX) &&
                        reader->total_output + strlen(text) <= TAP_TOTAL_MAX;
    if (!measure || !has_room) {
        measure_free(measure);
        return FALSE;
    }
    reader->total_output += strlen(text);
    if (!reader->measures)
        reader->measures = measures_new();
    g_ptr_array_add(reader->measures, measure);
    return TRUE;
}

static void
add_comment(TapReader *reader, const char *line)
{
    const char *text = line + 1;
    tap_line_skip_blanks(&text);
    if (add_measure(reader, text))
        return;
    const char *reason = reason_in(text);
    if (!reason && !ends_group(text))
        keep_output(reader, reader->after, line);
    if (!*text)
        return;
    g_free(reader->last_comment);
    reader->last_comment = g_strdup(text);
    if (!reason)
        return;
    g_free(reader->skip_reason);
    reader->skip_reason = g_strstrip(g_strdup(reason));
}

/* ---- lines
 * ------------------------------------------------------------------------------------ */

/* YAML blocks are indented; what is not ends one, closed or not, so that none swallows
 * results. */
static gboolean
read_yaml(TapReader *reader, const char *line, guint indent, const char *text)
{
    if (!reader->in_yaml) {
        if (indent == 0 || !g_str_equal(text, "---"))
            return FALSE;
        reader->in_yaml = TRUE;
        reader->yaml_indent = indent;
    } else if (indent < reader->yaml_indent && *text) {
        reader->in_yaml = FALSE;
        return FALSE;
    } else if (indent == reader->yaml_indent && g_str_equal(text, "...")) {
        reader->in_yaml = FALSE;
    }
    keep_output(reader, reader->levels->len ? reader->pending : reader->after, line);
    return TRUE;
}

/* What any program may print. */
static void
read_other(TapReader *reader, const char *line)
{
    if (*line == '#')
        add_comment(reader, line);
    else if (*line && !g_str_has_prefix(line, "pragma "))
        keep_output(reader, reader->pending, line);
}

static void
read_line(TapReader *reader, const char *line)
{
    const char *text = line;
    tap_line_skip_blanks(&text);
    guint indent = (guint)(text - line);
    if (read_yaml(reader, line, indent, text))
        return;
    if (indent > 0) {
        tap_levels_read(reader->levels, text, indent);
        keep_output(reader, reader->pending, line);
        return;
    }

    g_auto(TapPoint) point = {0};
    g_autofree char *skip_reason = NULL;
    gint64 count;
    const gboolean was_tap = reader->is_tap;
    reader->is_tap = TRUE;
    if (tap_line_point(line, &point))
        add_point(reader, &point);
    else if (tap_line_plan(line, &count, &skip_reason))
        add_plan(reader, count, skip_reason);
    else if (g_str_has_prefix(line, "Bail out!"))
        reader->bailed = g_strstrip(g_strdup(line + strlen("Bail out!")));
    else if (g_str_has_prefix(line, "TAP version ") ||
             g_str_has_prefix(line, "KTAP version "))
        return;
    else {
        reader->is_tap = was_tap;
        read_other(reader, line);
    }
}

void
tap_reader_end_line(TapReader *reader)
{
    if (!reader->bailed) {
        if (reader->line->len > 0 && reader->line->str[reader->line->len - 1] == '\r')
            g_string_truncate(reader->line, reader->line->len - 1);
        g_autofree char *line =
            outcome_text(reader->line->str, (gssize)reader->line->len, FALSE);
        read_line(reader, line);
    }
    g_string_truncate(reader->line, 0);
}

void
tap_reader_feed(TapReader *reader, const guint8 *data, gsize length)
{
    while (length > 0) {
        const guint8 *newline = memchr(data, '\n', length);
        gsize piece = newline ? (gsize)(newline - data) : length;
        gsize room = TAP_LINE_MAX - reader->line->len;
        g_string_append_len(reader->line, (const char *)data, (gssize)MIN(piece, room));
        if (!newline)
            return;
        tap_reader_end_line(reader);
        data = newline + 1;
        length -= piece + 1;
    }
}
