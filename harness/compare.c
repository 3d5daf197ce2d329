/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Both texts become lists of facts. A fact is a line; its key is what it is about, the
 * rest is the value. Lines that are the same on both sides hold. What is left is paired
 * by key, so that a difference can be told as one: asked for this, found that. Groups are
 * sets: they have no key, and are paired by their members.
 */
#include "compare.h"

#include <string.h>

#include "probes.h"

#define LINE_MAX_BYTES 65536
#define LINES_MAX 65536 /* of an observation; 128 cells have some 17000 */
#define SUBJECTS_MAX 4096
#define SHOWN_MAX 2000 /* bytes of a line in a message */
#define TOLD_MAX 200   /* differences of one subject that are told one by one */

/* How many words of a line are its key; a line of fewer words is its own key. */
static const struct {
    const char *kind;
    const char *attribute; /* the third word, or NULL: any */
    guint key_words;
} kinds[] = {
    {"cpus", NULL, 1},     {"cpu", NULL, 3},  {"node", "cpus", 3},
    {"node", "memory", 3}, {"node", NULL, 4}, /* distance M, hugepages SIZE, access0 WHAT,
                                                 memory-cache LEVEL */
    {"pci", "bar", 4},     {"pci", NULL, 3},  {"iommu", NULL, 2},
};

typedef struct {
    guint number; /* of the line, from 1 */
    char *line;
    char *key;
    char *subject;
    gboolean held;  /* the same line is on the other side */
    gboolean named; /* a difference tells of it */
} Fact;

static void
fact_free(gpointer data)
{
    Fact *fact = data;
    g_free(fact->line);
    g_free(fact->key);
    g_free(fact->subject);
    g_free(fact);
}

static char *
first_words(char **words, guint count)
{
    GString *text = g_string_new(words[0]);
    for (guint i = 1; i < count && words[i]; i++) {
        g_string_append_c(text, ' ');
        g_string_append(text, words[i]);
    }
    return g_string_free(text, FALSE);
}

static gboolean
is_group(const Fact *fact)
{
    return g_str_equal(fact->subject, "groups");
}

static char *
subject_of(char **words)
{
    if (g_str_equal(words[0], "cpu") || g_str_equal(words[0], "cpus"))
        return g_strdup("cpus");
    if (g_str_equal(words[0], "group"))
        return g_strdup("groups");
    if (g_str_equal(words[0], "node") || g_str_equal(words[0], "pci"))
        return first_words(words, 2);
    return g_strdup(words[0]);
}

static guint
key_words_of(char **words)
{
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (!g_str_equal(words[0], kinds[i].kind))
            continue;
        if (!kinds[i].attribute ||
            (g_strv_length(words) > 2 && g_str_equal(words[2], kinds[i].attribute)))
            return kinds[i].key_words;
    }
    return g_strv_length(words);
}

static Fact *
fact_new(const char *line, guint number)
{
    Fact *fact = g_new0(Fact, 1);
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    fact->number = number;
    fact->line = g_strdup(line);
    fact->key = words[0] ? first_words(words, key_words_of(words)) : g_strdup("");
    fact->subject = words[0] ? subject_of(words) : g_strdup("");
    return fact;
}

/* ---- reading
 * ------------------------------------------------------------------------------- */

/* What is wrong with a line of an observation, or NULL. */
static const char *
line_fault(const char *line, const char *previous)
{
    if (strlen(line) > LINE_MAX_BYTES)
        return "is too long";
    if (!g_utf8_validate(line, -1, NULL))
        return "is not UTF-8";
    for (const char *p = line; *p; p++) {
        if (g_ascii_iscntrl(*p))
            return "has a control character";
    }
    if (!*line)
        return "is empty";
    if (previous && strcmp(previous, line) == 0)
        return "is there twice";
    if (previous && strcmp(previous, line) > 0)
        return "is not in order";
    return NULL;
}

/* Facts by line; what is no fact is told in FAULTS. */
static GPtrArray *
read_facts(const char *text, GString *faults)
{
    GPtrArray *facts = g_ptr_array_new_with_free_func(fact_free);
    gsize length = strnlen(text, COMPARE_MAX + 1);
    if (length > COMPARE_MAX) {
        g_string_append_printf(faults, "more than %d bytes\n", COMPARE_MAX);
        length = COMPARE_MAX;
    } else if (length > 0 && text[length - 1] != '\n') {
        g_string_append(faults, "the last line has no end\n");
    }
    g_autofree char *previous = NULL;
    const char *end = text + length;
    for (guint number = 1; text < end; number++) {
        if (number > LINES_MAX) {
            g_string_append_printf(faults, "more than %d lines\n", LINES_MAX);
            break;
        }
        const char *newline = memchr(text, '\n', (gsize)(end - text));
        const char *stop = newline ? newline : end;
        g_autofree char *line = g_strndup(text, (gsize)(stop - text));
        text = newline ? newline + 1 : end;
        const char *fault = line_fault(line, previous);
        if (fault) {
            g_autofree char *shown =
                outcome_text(line, (gssize)strnlen(line, SHOWN_MAX), FALSE);
            if (faults->len < 4096)
                g_string_append_printf(faults, "line %u %s: %s\n", number, fault, shown);
            continue;
        }
        g_ptr_array_add(facts, fact_new(line, number));
        g_free(previous);
        previous = g_steal_pointer(&line);
    }
    return facts;
}

static void
mark_held(GPtrArray *asked, GPtrArray *found)
{
    g_autoptr(GHashTable) by_line = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < found->len; i++) {
        Fact *fact = found->pdata[i];
        g_hash_table_insert(by_line, fact->line, fact);
    }
    for (guint i = 0; i < asked->len; i++) {
        Fact *fact = asked->pdata[i], *other = g_hash_table_lookup(by_line, fact->line);
        if (other)
            fact->held = other->held = TRUE;
    }
}

/* ---- pairing
 * -------------------------------------------------------------------------------- */

/* Whether WORD, with the blank before it, stands in LINE as a whole. */
static gboolean
has_word(const char *line, const char *word, gsize length)
{
    const char *end = line + strlen(line);
    for (const char *at = line; (at = memmem(at, (gsize)(end - at), word, length)); at++)
        if (at[length] == ' ' || at[length] == '\0')
            return TRUE;
    return FALSE;
}

/* Nothing is copied: a hostile host has millions of members, and each of ours asks. */
static gboolean
groups_meet(const Fact *asked, const Fact *found)
{
    const char *next;
    for (const char *word = strchr(asked->line, ' '); word; word = next) {
        next = strchr(word + 1, ' ');
        gsize length = next ? (gsize)(next - word) : strlen(word);
        if (length > 1 && has_word(found->line, word, length))
            return TRUE;
    }
    return FALSE;
}

static gboolean
meets_any_group(const GPtrArray *asked, const Fact *found)
{
    for (guint i = 0; i < asked->len; i++) {
        const Fact *fact = asked->pdata[i];
        if (is_group(fact) && groups_meet(fact, found))
            return TRUE;
    }
    return FALSE;
}

/* Under the virtio IOMMU the manifest says nothing of functions that no driver takes;
 * whether they have groups is the kernel's choice. */
static void
excuse_groups(const GPtrArray *asked, const GPtrArray *found)
{
    gboolean is_virtio = FALSE;
    for (guint i = 0; i < asked->len; i++)
        if (g_str_equal(((const Fact *)asked->pdata[i])->line, "iommu model virtio"))
            is_virtio = TRUE;
    for (guint i = 0; is_virtio && i < found->len; i++) {
        Fact *fact = found->pdata[i];
        if (is_group(fact) && !fact->held && !meets_any_group(asked, fact))
            fact->held = TRUE;
    }
}

static gboolean
is_driver(const Fact *fact)
{
    return g_str_has_prefix(fact->key, "pci ") && g_str_has_suffix(fact->key, " driver");
}

/* A function nobody asked for stays one. */
static void
excuse_drivers(const GPtrArray *asked, const GPtrArray *found)
{
    g_autoptr(GHashTable) known = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < asked->len; i++) {
        const Fact *fact = asked->pdata[i];
        if (is_driver(fact))
            g_hash_table_add(known, fact->key);
    }
    for (guint i = 0; i < found->len; i++) {
        Fact *fact = found->pdata[i];
        if (is_driver(fact) && !g_hash_table_contains(known, fact->key))
            fact->held = TRUE;
    }
}

static gboolean
is_without_room(const Fact *asked, const Fact *found)
{
    gsize length = strlen(asked->line);
    return strncmp(asked->line, found->line, length) == 0 &&
           g_str_equal(found->line + length, " unassigned");
}

/* For a device that comes Linux takes its neighbours' I/O windows away, so that one of
 * them has no room. */
static void
excuse_io(const GPtrArray *asked, const GPtrArray *found)
{
    for (guint i = 0; i < asked->len; i++) {
        Fact *fact = asked->pdata[i];
        if (fact->held || !strstr(fact->line, " bar ") || !strstr(fact->line, " io "))
            continue;
        for (guint j = 0; j < found->len; j++) {
            Fact *other = found->pdata[j];
            if (is_without_room(fact, other))
                fact->held = other->held = TRUE;
        }
    }
}

static gboolean
belongs(const Fact *asked, const Fact *found)
{
    if (is_group(asked) && is_group(found))
        return groups_meet(asked, found);
    return g_str_equal(asked->key, found->key);
}

/* What was found instead of ASKED, or "nothing". Marks it as told. */
static char *
found_instead(const Fact *asked, const GPtrArray *differing)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < differing->len; i++) {
        Fact *found = differing->pdata[i];
        if (!belongs(asked, found))
            continue;
        found->named = TRUE;
        if (text->len < SHOWN_MAX)
            g_string_append_printf(text, "%s'%.*s'", text->len ? " and " : "", SHOWN_MAX,
                                   found->line);
    }
    if (text->len == 0)
        g_string_append(text, "nothing");
    return g_string_free(text, FALSE);
}

/* ---- subjects
 * -------------------------------------------------------------------------------- */

typedef struct {
    GPtrArray *asked, *found; /* Fact, borrowed: those that differ */
    guint asked_total, found_total;
} Subject;

static void
subject_free(gpointer data)
{
    Subject *subject = data;
    g_ptr_array_unref(subject->asked);
    g_ptr_array_unref(subject->found);
    g_free(subject);
}

/* ORDER gets the names as they appear, borrowed. */
static Subject *
subject_at(GHashTable *subjects, GPtrArray *order, const char *name)
{
    Subject *subject = g_hash_table_lookup(subjects, name);
    if (subject)
        return subject;
    subject = g_new0(Subject, 1);
    subject->asked = g_ptr_array_new();
    subject->found = g_ptr_array_new();
    g_hash_table_insert(subjects, (char *)name, subject);
    g_ptr_array_add(order, (char *)name);
    return subject;
}

static void
collect(GHashTable *subjects, GPtrArray *order, GPtrArray *facts, gboolean is_asked)
{
    for (guint i = 0; i < facts->len; i++) {
        Fact *fact = facts->pdata[i];
        Subject *subject = subject_at(subjects, order, fact->subject);
        *(is_asked ? &subject->asked_total : &subject->found_total) += 1;
        if (!fact->held)
            g_ptr_array_add(is_asked ? subject->asked : subject->found, fact);
    }
}

static void
set_message(CaseResult *result, const Subject *subject, guint count, const char *first)
{
    if (subject->found_total == 0)
        case_result_set_message(result, "not there: nothing was found of it");
    else if (subject->asked_total == 0)
        case_result_set_message(result, "nobody asked for it");
    else if (count == 1)
        case_result_set_message(result, "%s", first);
    else
        case_result_set_message(result, "%s (and %u more)", first, count - 1);
}

/* A line for each difference, char *. */
static GPtrArray *
tell_differences(const Subject *subject)
{
    GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < subject->asked->len; i++) {
        const Fact *fact = subject->asked->pdata[i];
        g_autofree char *instead = found_instead(fact, subject->found);
        g_ptr_array_add(lines, g_strdup_printf("manifest:%u: asked '%s', found %s",
                                               fact->number, fact->line, instead));
    }
    for (guint i = 0; i < subject->found->len; i++) {
        const Fact *fact = subject->found->pdata[i];
        if (!fact->named)
            g_ptr_array_add(
                lines, g_strdup_printf("not asked, found '%.*s'", SHOWN_MAX, fact->line));
    }
    return lines;
}

static void
set_output(CaseResult *result, const GPtrArray *lines)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < MIN(lines->len, TOLD_MAX); i++)
        g_string_append_printf(text, "%s\n", (const char *)lines->pdata[i]);
    if (lines->len > TOLD_MAX)
        g_string_append_printf(text, "and %u more\n", lines->len - TOLD_MAX);
    case_result_set_output(result, text->str, (gssize)text->len);
}

static CaseResult *
judge_subject(const char *host, const char *name, const Subject *subject,
              gboolean tainted)
{
    g_autoptr(GPtrArray) lines = tell_differences(subject);
    CaseResult *result = case_result_new(host, COMPARE_SUITE, name, OUTCOME_PASS);
    if (lines->len == 0)
        return result;

    result->outcome = OUTCOME_FAIL;
    set_message(result, subject, lines->len, lines->pdata[0]);
    if (tainted) {
        result->outcome = OUTCOME_SKIP;
        g_autofree char *why = g_steal_pointer(&result->message);
        case_result_set_message(
            result, "unchecked, raw emulator arguments may disturb it: %s", why);
    }
    set_output(result, lines);
    return result;
}

/* Never excused by raw arguments: what has not the form proves nothing. */
static void
add_faults(GPtrArray *results, const char *host, const char *what, const GString *faults,
           guint facts)
{
    if (faults->len == 0 && facts > 0)
        return;
    CaseResult *result = case_result_new(host, COMPARE_SUITE, what, OUTCOME_FAIL);
    if (facts == 0)
        case_result_set_message(result, "there is no fact in it");
    else
        case_result_set_message(result, "not in the form of a manifest: %.*s",
                                (int)strcspn(faults->str, "\n"), faults->str);
    case_result_set_output(result, faults->str, -1);
    g_ptr_array_add(results, result);
}

static int
count_bad(const GPtrArray *results)
{
    int bad = 0;
    for (guint i = 0; i < results->len; i++)
        bad += ((const CaseResult *)results->pdata[i])->outcome != OUTCOME_PASS;
    return bad;
}

GPtrArray *
compare_manifest(const char *host, const char *manifest, const char *observation,
                 CompareFlags flags)
{
    g_autoptr(GString) own_faults = g_string_new(NULL), faults = g_string_new(NULL);
    g_autoptr(GPtrArray) asked = read_facts(manifest, own_faults);
    g_autoptr(GPtrArray) found = read_facts(observation, faults);
    mark_held(asked, found);
    excuse_groups(asked, found);
    if (flags & COMPARE_SYSTEM)
        excuse_drivers(asked, found);
    if (flags & COMPARE_PLUGGED)
        excuse_io(asked, found);

    g_autoptr(GHashTable) subjects =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, subject_free);
    g_autoptr(GPtrArray) order = g_ptr_array_new();
    collect(subjects, order, asked, TRUE);
    collect(subjects, order, found, FALSE);

    GPtrArray *results = case_results_new();
    add_faults(results, host, "form of the manifest", own_faults, asked->len);
    add_faults(results, host, "form of the observation", faults, found->len);
    for (guint i = 0; i < MIN(order->len, SUBJECTS_MAX); i++) {
        const char *name = order->pdata[i];
        g_ptr_array_add(results,
                        judge_subject(host, name, g_hash_table_lookup(subjects, name),
                                      flags & COMPARE_TAINTED));
    }
    if (order->len > SUBJECTS_MAX) {
        CaseResult *rest =
            case_result_new(host, COMPARE_SUITE, "further subjects", OUTCOME_FAIL);
        case_result_set_message(rest, "%u of them, not compared one by one",
                                order->len - SUBJECTS_MAX);
        g_ptr_array_add(results, rest);
    }
    PROBE3(manifest_observed, host, (int)results->len, count_bad(results));
    return results;
}

GStrv
compare_subjects(const char *manifest)
{
    g_autoptr(GString) ignored = g_string_new(NULL);
    g_autoptr(GPtrArray) facts = read_facts(manifest, ignored);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();
    for (guint i = 0; i < facts->len; i++) {
        const char *name = ((const Fact *)facts->pdata[i])->subject;
        if (g_hash_table_add(seen, (char *)name))
            g_strv_builder_add(names, name);
    }
    return g_strv_builder_end(names);
}

char *
compare_diff(const char *manifest, const char *observation)
{
    g_autoptr(GString) ignored = g_string_new(NULL);
    g_autoptr(GPtrArray) asked = read_facts(manifest, ignored);
    g_autoptr(GPtrArray) found = read_facts(observation, ignored);
    GString *text = g_string_new(NULL);
    guint i = 0, j = 0;
    while (i < asked->len || j < found->len) {
        const char *a = i < asked->len ? ((Fact *)asked->pdata[i])->line : NULL;
        const char *f = j < found->len ? ((Fact *)found->pdata[j])->line : NULL;
        int order = !a ? 1 : !f ? -1 : strcmp(a, f);
        if (order < 0)
            g_string_append_printf(text, "-%s\n", a);
        else if (order > 0)
            g_string_append_printf(text, "+%s\n", f);
        i += order <= 0;
        j += order >= 0;
    }
    return g_string_free(text, FALSE);
}
