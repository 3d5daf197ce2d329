/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One line at a time: tap_reader_feed() cuts lines, read_line() tells what each is, and
 * the add_ functions below it keep what is needed. Problems of the stream itself are
 * collected and become one failed case of their own at the end.
 */
#include "tap.h"

#include <string.h>

#define PROBLEMS_MAX 20
#define EXIT_SKIP 77

/* A subtest that is being read. */
typedef struct {
    guint indent;
    gint64 planned; /* -1: no plan yet */
    guint count, failed;
    gboolean broken; /* a second plan, or a number that was there before */
} Level;

struct TapReader {
    char *host, *suite;
    GString *line;    /* the line that has no end yet */
    GPtrArray *cases; /* CaseResult */
    GString *pending; /* output since the last result: it belongs to the next one */
    GString *after;   /* comments since the last result: they belong to it */
    gsize total_output;
    char *skip_reason; /* of a "# SKIP" comment, for the next skipped result */
    char *last_comment;
    GArray *levels;          /* Level, by depth */
    gboolean subtest_failed; /* one that ended since the last result at the top */
    gboolean in_yaml;
    guint yaml_indent;

    gint64 planned; /* -1: no plan yet */
    char *skip_all; /* reason of a plan 1..0, or NULL */
    char *bailed;
    guint8 *seen; /* by number */
    guint last_number, dropped;
    GPtrArray *problems; /* char * */
    gint64 clock_us, last_result_us;
};

TapReader *
tap_reader_new(const char *host, const char *suite)
{
    TapReader *reader = g_new0(TapReader, 1);
    reader->host = g_strdup(host);
    reader->suite = g_strdup(suite);
    reader->line = g_string_new(NULL);
    reader->cases = case_results_new();
    reader->pending = g_string_new(NULL);
    reader->after = g_string_new(NULL);
    reader->levels = g_array_new(FALSE, TRUE, sizeof(Level));
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
    g_string_free(reader->pending, TRUE);
    g_string_free(reader->after, TRUE);
    g_array_unref(reader->levels);
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
    return reader->cases->len;
}

static void G_GNUC_PRINTF(2, 3) add_problem(TapReader *reader, const char *format, ...)
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

/* Gives the comments that followed the last result to it, once. */
static void
settle_comments(TapReader *reader)
{
    if (reader->after->len > 0 && reader->cases->len > 0 && reader->dropped == 0) {
        CaseResult *last = reader->cases->pdata[reader->cases->len - 1];
        g_string_prepend(reader->after, last->output ? last->output : "");
        case_result_set_output(last, reader->after->str, (gssize)reader->after->len);
    }
    g_string_truncate(reader->after, 0);
}

/* ---- the pieces of a line
 * ------------------------------------------------------------------- */

static gboolean
skip_word(const char **p, const char *word)
{
    if (!g_str_has_prefix(*p, word))
        return FALSE;
    *p += strlen(word);
    return TRUE;
}

static void
skip_blanks(const char **p)
{
    while (**p == ' ' || **p == '\t')
        (*p)++;
}

/* A number that ends at a blank, '#' or the end; at most G_MAXINT32, which no plan
 * reaches. */
static gboolean
read_number(const char **p, gint64 *number)
{
    const char *start = *p;
    gint64 value = 0;
    while (g_ascii_isdigit(**p)) {
        value = MIN(value * 10 + (**p - '0'), G_MAXINT32);
        (*p)++;
    }
    if (*p == start || (**p && !strchr(" \t#", **p))) {
        *p = start;
        return FALSE;
    }
    *number = value;
    return TRUE;
}

typedef enum {
    DIRECTIVE_NONE,
    DIRECTIVE_SKIP,
    DIRECTIVE_TODO,
} Directive;

/* The '#' that starts a directive: not escaped, at the start or behind a blank, and
 * followed by one of the two words. Any other '#' is part of the description. */
static const char *
find_directive(const char *text, Directive *directive, const char **reason)
{
    for (const char *p = text; *p; p++) {
        if (*p == '\\' && p[1]) {
            p++;
            continue;
        }
        if (*p != '#' || (p != text && p[-1] != ' ' && p[-1] != '\t'))
            continue;
        const char *word = p + 1;
        skip_blanks(&word);
        if (g_ascii_strncasecmp(word, "skip", 4) != 0 &&
            g_ascii_strncasecmp(word, "todo", 4) != 0)
            continue;
        *directive = g_ascii_tolower(*word) == 's' ? DIRECTIVE_SKIP : DIRECTIVE_TODO;
        while (*word && *word != ' ' && *word != '\t')
            word++; /* "SKIPPED", "skip:" */
        skip_blanks(&word);
        *reason = word;
        return p;
    }
    return NULL;
}

static char *
unescape(const char *text, gsize length)
{
    GString *plain = g_string_sized_new(length);
    for (gsize i = 0; i < length; i++) {
        if (text[i] == '\\' && i + 1 < length &&
            (text[i + 1] == '#' || text[i + 1] == '\\'))
            i++;
        g_string_append_c(plain, text[i]);
    }
    return g_strstrip(g_string_free(plain, FALSE));
}

typedef struct {
    gboolean ok;
    gint64 number; /* -1: none was written */
    char *name;    /* may be empty */
    Directive directive;
    char *reason;
} Point;

static void
point_clear(Point *point)
{
    g_free(point->name);
    g_free(point->reason);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Point, point_clear)

static gboolean
read_point(const char *line, Point *point)
{
    const char *p = line;
    point->ok = !skip_word(&p, "not ok");
    if (point->ok && !skip_word(&p, "ok"))
        return FALSE;
    if (*p && *p != ' ' && *p != '\t')
        return FALSE;
    skip_blanks(&p);
    point->number = -1;
    if (read_number(&p, &point->number))
        skip_blanks(&p);
    if (*p == '-' && (p[1] == ' ' || p[1] == '\0'))
        p++;
    skip_blanks(&p);

    const char *reason = "", *hash = find_directive(p, &point->directive, &reason);
    point->name = unescape(p, hash ? (gsize)(hash - p) : strlen(p));
    point->reason = g_strdup(reason);
    return TRUE;
}

static gboolean
read_plan(const char *line, gint64 *count, char **skip_reason)
{
    const char *p = line;
    if (!skip_word(&p, "1.."))
        return FALSE;
    if (!read_number(&p, count))
        return FALSE;
    skip_blanks(&p);
    Directive directive = DIRECTIVE_NONE;
    const char *reason = "";
    if (find_directive(p, &directive, &reason) && directive == DIRECTIVE_SKIP)
        *skip_reason = g_strdup(reason);
    return TRUE;
}

/* ---- subtests
 * ------------------------------------------------------------------------------- */

/* Ends all levels from DEPTH on. TRUE if one of them failed or is not complete. */
static gboolean
close_levels(TapReader *reader, guint depth)
{
    gboolean wrong = FALSE;
    while (reader->levels->len > depth) {
        Level level = g_array_index(reader->levels, Level, reader->levels->len - 1);
        g_array_set_size(reader->levels, reader->levels->len - 1);
        wrong |= level.failed || level.broken || level.planned != (gint64)level.count;
    }
    return wrong;
}

/* The level that a line indented by INDENT belongs to; what is deeper ends before it. */
static Level *
level_at(TapReader *reader, guint indent)
{
    guint depth = 0;
    while (depth < reader->levels->len &&
           g_array_index(reader->levels, Level, depth).indent < indent)
        depth++;
    depth = MIN(depth, TAP_DEPTH_MAX - 1);
    gboolean known = depth < reader->levels->len &&
                     g_array_index(reader->levels, Level, depth).indent <= indent;
    gboolean wrong = close_levels(reader, known ? depth + 1 : depth);
    if (!known) {
        Level level = {.indent = indent, .planned = -1};
        g_array_append_val(reader->levels, level);
    }
    Level *level = &g_array_index(reader->levels, Level, depth);
    level->broken |= wrong;
    return level;
}

/* A line of a subtest, if it is one: its results are numbered, so that prose is not taken
 * for it. */
static void
read_indented(TapReader *reader, const char *text, guint indent)
{
    g_auto(Point) point = {0};
    g_autofree char *skip_reason = NULL;
    gint64 count;
    if (read_plan(text, &count, &skip_reason)) {
        Level *level = level_at(reader, indent);
        level->broken |= level->planned >= 0;
        level->planned = count;
    } else if (read_point(text, &point) && point.number >= 0) {
        Level *level = level_at(reader, indent);
        level->count++;
        level->broken |= point.number != (gint64)level->count;
        level->failed += !point.ok && point.directive == DIRECTIVE_NONE;
    } else if (g_str_has_prefix(text, "Bail out!")) {
        level_at(reader, indent)->broken = TRUE;
    }
}

/* ---- results at the top
 * ----------------------------------------------------------------------- */

static void
check_number(TapReader *reader, gint64 number)
{
    if (number < 1 || number > TAP_CASES_MAX) {
        add_problem(reader, "a result has number %" G_GINT64_FORMAT, number);
        return;
    }
    if (reader->seen[number])
        add_problem(reader, "result %" G_GINT64_FORMAT " came twice", number);
    reader->seen[number] = 1;
    reader->last_number = (guint)number;
}

/* The last line of TEXT that says something, without blanks around it. */
static char *
last_line(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = g_strv_length(lines); i > 0; i--) {
        if (*g_strstrip(lines[i - 1]))
            return g_strdup(lines[i - 1]);
    }
    return g_strdup("");
}

static void
judge(TapReader *reader, CaseResult *result, const Point *point, const char *cmocka_name)
{
    g_autofree char *said = last_line(reader->pending->str);
    const char *reason = cmocka_name ? "" : point->reason;
    if (!*reason)
        reason = reader->skip_reason ? reader->skip_reason : said;
    if (point->directive == DIRECTIVE_SKIP) {
        result->outcome = OUTCOME_SKIP;
        case_result_set_message(result, "%s",
                                *reason ? reason : "the suite gives no reason");
    } else if (point->directive == DIRECTIVE_TODO && !point->ok) {
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

static void
add_point(TapReader *reader, const Point *point)
{
    settle_comments(reader);
    reader->subtest_failed |= close_levels(reader, 0);
    if (reader->cases->len == TAP_CASES_MAX) {
        reader->dropped++;
        return;
    }
    gint64 number = point->number >= 0 ? point->number : (gint64)reader->last_number + 1;
    check_number(reader, number);

    /* "not ok 2 # SKIP name" */
    const char *cmocka_name = NULL;
    if (!point->ok && point->directive == DIRECTIVE_SKIP && !*point->name &&
        *point->reason)
        cmocka_name = point->reason;
    const char *name = cmocka_name ? cmocka_name : point->name;
    g_autofree char *nameless = g_strdup_printf("%" G_GINT64_FORMAT, number);
    CaseResult *result = case_result_new(reader->host, reader->suite,
                                         *name ? name : nameless, OUTCOME_PASS);
    judge(reader, result, point, cmocka_name);
    if (reader->pending->len > 0)
        case_result_set_output(result, reader->pending->str, -1);
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
        add_problem(reader, "a second plan came: 1..%" G_GINT64_FORMAT, count);
        return;
    }
    reader->planned = count;
    if (count > TAP_CASES_MAX)
        add_problem(reader,
                    "%" G_GINT64_FORMAT " results were announced; at most %d are read",
                    count, TAP_CASES_MAX);
    if (count == 0)
        reader->skip_all = g_strdup(skip_reason ? skip_reason : "");
}

static void
add_comment(TapReader *reader, const char *line)
{
    keep_output(reader, reader->after, line);
    const char *text = line + 1;
    skip_blanks(&text);
    if (!*text)
        return;
    g_free(reader->last_comment);
    reader->last_comment = g_strdup(text);
    if (g_ascii_strncasecmp(text, "skip", 4) != 0)
        return;
    text += 4;
    if (*text == ':')
        text++;
    if (*text != ' ')
        return; /* "skipped 3 of 7" is prose */
    g_free(reader->skip_reason);
    reader->skip_reason = g_strstrip(g_strdup(text));
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

static void
read_line(TapReader *reader, const char *line)
{
    const char *text = line;
    skip_blanks(&text);
    guint indent = (guint)(text - line);
    if (read_yaml(reader, line, indent, text))
        return;
    if (indent > 0) {
        read_indented(reader, text, indent);
        keep_output(reader, reader->pending, line);
        return;
    }

    g_auto(Point) point = {0};
    g_autofree char *skip_reason = NULL;
    gint64 count;
    if (read_point(line, &point))
        add_point(reader, &point);
    else if (read_plan(line, &count, &skip_reason))
        add_plan(reader, count, skip_reason);
    else if (*line == '#')
        add_comment(reader, line);
    else if (g_str_has_prefix(line, "Bail out!"))
        reader->bailed = g_strstrip(g_strdup(line + strlen("Bail out!")));
    else if (*line && !g_str_has_prefix(line, "TAP version ") &&
             !g_str_has_prefix(line, "KTAP version ") &&
             !g_str_has_prefix(line, "pragma "))
        keep_output(reader, reader->pending, line);
}

static void
end_line(TapReader *reader)
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
        end_line(reader);
        data = newline + 1;
        length -= piece + 1;
    }
}

/* ---- the end
 * ---------------------------------------------------------------------------------- */

static void
note_missing(TapReader *reader)
{
    if (reader->planned < 0) {
        add_problem(reader, "no plan (1..N) was printed");
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
        add_problem(reader,
                    "%u of the %" G_GINT64_FORMAT
                    " results announced never came, number %u first",
                    missing, reader->planned, first);
    if (beyond)
        add_problem(reader, "%u results came beyond the %" G_GINT64_FORMAT " announced",
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
has_failure(const TapReader *reader)
{
    for (guint i = 0; i < reader->cases->len; i++) {
        if (outcome_is_bad(((CaseResult *)reader->cases->pdata[i])->outcome))
            return TRUE;
    }
    return FALSE;
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
    if (signal_number != 0 || reader->cases->len > 0 || !(by_status || by_plan) ||
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
tell_names_apart(GPtrArray *cases)
{
    g_autoptr(GHashTable) used = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < cases->len; i++) {
        CaseResult *result = cases->pdata[i];
        g_autofree char *base = g_strdup(result->name);
        /* The number is that of the result, so that ten thousand namesakes cost no
         * square. */
        for (guint n = i + 1; g_hash_table_contains(used, result->name); n++) {
            g_free(result->name);
            result->name = g_strdup_printf("%s (%u)", base, n);
        }
        g_hash_table_add(used, result->name);
    }
}

static void
end_input(TapReader *reader)
{
    if (reader->line->len > 0)
        end_line(reader);
    settle_comments(reader);
    if (close_levels(reader, 0) || reader->subtest_failed)
        add_problem(reader,
                    "a subtest failed, or is not complete, and no result follows it");
    if (reader->dropped)
        add_problem(reader, "%u results more than the %d that are read", reader->dropped,
                    TAP_CASES_MAX);
}

static GPtrArray *
take_cases(TapReader *reader)
{
    GPtrArray *cases = reader->cases;
    reader->cases = case_results_new();
    tell_names_apart(cases);
    return cases;
}

GPtrArray *
tap_reader_finish(TapReader *reader, int status, int signal_number)
{
    end_input(reader);
    if (report_skip(reader, status, signal_number))
        return take_cases(reader);
    if (reader->bailed)
        case_result_set_message(add_case(reader, "[program]", OUTCOME_FAIL),
                                "bailed out: %s",
                                *reader->bailed ? reader->bailed : "for no reason given");
    else
        note_missing(reader);
    if (reader->cases->len == 0 && !reader->bailed)
        add_problem(reader, "no result was printed");
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
