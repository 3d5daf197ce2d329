/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The parser, lab.rng and the language's reference say the same: on labs that ship, on
 * labs that are refused, on the reference's examples, and on thousands of labs made from
 * these by mutation. The last is also the bounded form of the fuzz test;
 * build-aux/fuzz-lab.c is the endless one.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "autoptr.h"
#include "lab.h"
#include "plan-fixture.h"

#define MUTATIONS 4000

static char *
source_path(const char *relative)
{
    return g_build_filename(g_getenv("HOSTBED_SOURCE_DIR"), relative, NULL);
}

static char *
read_file(const char *filename, gsize *length)
{
    char *text = NULL;
    g_autoptr(GError) error = NULL;
    if (!g_file_get_contents(filename, &text, length, &error))
        fail_msg("%s", error->message);
    return text;
}

static gint
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of FOLDER's files that end in SUFFIX, sorted. */
static GPtrArray *
files_of(const char *folder, const char *suffix)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    assert_non_null(dir);
    for (const char *name; (name = g_dir_read_name(dir));)
        if (g_str_has_suffix(name, suffix))
            g_ptr_array_add(names, g_strdup(name));
    g_ptr_array_sort(names, compare_names);
    assert_true(names->len > 0);
    return names;
}

/* ---- the schema ----------------------------------------------------------------- */

static void
ignore_error(void *data, xmlError *error)
{
}

static xmlRelaxNG *
load_schema(void)
{
    g_autofree char *filename = source_path("topologies/lab.rng");
    g_autoptr(xmlRelaxNGParserCtxt) parser = xmlRelaxNGNewParserCtxt(filename);
    xmlRelaxNG *schema = xmlRelaxNGParse(parser);
    assert_non_null(schema);
    return schema;
}

/* -1: it is no XML. */
static int
schema_accepts(xmlRelaxNG *schema, const char *text, gsize length)
{
    g_autoptr(xmlDoc) document =
        xmlReadMemory(text, (int)length, "lab.xml", NULL,
                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (!document)
        return -1;
    g_autoptr(xmlRelaxNGValidCtxt) context = xmlRelaxNGNewValidCtxt(schema);
    xmlRelaxNGSetValidStructuredErrors(context, ignore_error, NULL);
    return xmlRelaxNGValidateDoc(context, document) == 0;
}

static gboolean
has_check(const Findings *findings, const char *name)
{
    for (guint i = 0; i < findings_total(findings); i++)
        if (strcmp(findings_get(findings, i)->check, name) == 0)
            return TRUE;
    return FALSE;
}

/* What is no XML for us is not the schema's matter, and when a budget ends the reading we
 * have not seen all. Else "schema" findings are there exactly when the schema refuses. */
static void
must_agree(xmlRelaxNG *schema, const char *name, const char *text, gsize length,
           const Findings *findings)
{
    int accepted = schema_accepts(schema, text, length);
    if (accepted < 0 || has_check(findings, "xml") || has_check(findings, "count"))
        return;
    if (accepted == has_check(findings, "schema")) {
        g_autofree char *said = findings_to_text(findings);
        fail_msg("%s: lab.rng %s it; the parser says:\n%s\nabout:\n%.*s", name,
                 accepted ? "accepts" : "refuses", said, (int)length, text);
    }
}

/* Parses and checks; the findings, owned by the caller. */
static Findings *
look_at(const char *text, gsize length, const char *name)
{
    Findings *findings = findings_new();
    g_autofree char *exact =
        g_memdup2(text, length); /* a sanitizer sees a byte too far */
    g_autoptr(Lab) lab = lab_parse_text(exact, length, name, findings);
    if (lab)
        lab_check(lab, findings);
    else
        assert_true(findings_count(findings, FINDING_ERROR) > 0);
    return findings;
}

/* ---- files ---------------------------------------------------------------------- */

/* Schema and parser agree about each lab in FOLDER; ACCEPTED: and nothing is said. */
static void
look_at_folder(const char *relative, gboolean accepted)
{
    g_autoptr(xmlRelaxNG) schema = load_schema();
    g_autofree char *folder = source_path(relative);
    g_autoptr(GPtrArray) names = files_of(folder, ".xml");
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *filename = g_build_filename(folder, name, NULL);
        gsize length = 0;
        g_autofree char *text = read_file(filename, &length);
        g_autoptr(Findings) findings = look_at(text, length, name);
        g_autofree char *said = findings_to_text(findings);
        if (accepted)
            assert_string_equal(said, "");
        must_agree(schema, name, text, length, findings);
    }
}

static void
accepts_labs_that_ship(void **state)
{
    look_at_folder("topologies", TRUE);
}

/* What is said of them is the golden test's, which has the planner too. */
static void
agrees_about_refused_labs(void **state)
{
    look_at_folder("topologies/refused", FALSE);
}

/* ---- the reference -------------------------------------------------------------- */

/* The indented block that follows AT, with its indentation; AT moves behind it. */
static char *
next_example(const char **at)
{
    static const char directive[] = ".. code-block:: xml\n";
    const char *start = strstr(*at, directive);
    if (!start)
        return NULL;
    GString *block = g_string_new(NULL);
    for (start += strlen(directive); *start == '\n' || *start == ' ';) {
        const char *end = strchr(start, '\n');
        end = end ? end + 1 : start + strlen(start);
        g_string_append_len(block, start, end - start);
        start = end;
    }
    *at = start;
    return g_string_free(block, FALSE);
}

/* An example that is no whole lab is a part of a host. */
static char *
complete(const char *example)
{
    if (strstr(example, "<lab "))
        return g_strdup(g_strchug((char *)example));
    return g_strdup_printf(
        "<lab xmlns='urn:hostbed:lab:1' name='example'><host>%s%s</host></lab>",
        strstr(example, "<cell") ? "" : "<cell cpus='0-3' memory='4 GiB'/>", example);
}

static void
parses_the_references_examples(void **state)
{
    g_autoptr(xmlRelaxNG) schema = load_schema();
    g_autofree char *filename = source_path("docs/lab-language.rst");
    g_autofree char *text = read_file(filename, NULL);
    const char *at = text;
    guint count = 0;
    for (char *example; (example = next_example(&at)); count++) {
        g_autofree char *owned = example;
        g_autofree char *lab = complete(example);
        g_autoptr(Findings) findings = look_at(lab, strlen(lab), "example");
        g_autofree char *said = findings_to_text(findings);
        if (*said)
            fail_msg("%s\nabout the example:\n%s", said, example);
        must_agree(schema, "example", lab, strlen(lab), findings);
    }
    assert_true(count > 15);
}

/* Whether WORD stands in some example as an element or as an attribute. */
static gboolean
is_in_an_example(const char *text, const char *word, gboolean is_element)
{
    g_autofree char *needle =
        is_element ? g_strdup_printf("<%s", word) : g_strdup_printf(" %s=\"", word);
    gsize length = strlen(needle);
    for (const char *example; (example = next_example(&text));) {
        g_autofree const char *owned = example;
        for (const char *found = example; (found = strstr(found, needle)); found++)
            if (!is_element || strchr(" >/", found[length]))
                return TRUE;
    }
    return FALSE;
}

static void
shows_every_word_of_the_schema(void **state)
{
    g_autofree char *schema_name = source_path("topologies/lab.rng");
    g_autofree char *filename = source_path("docs/lab-language.rst");
    g_autofree char *text = read_file(filename, NULL);
    g_autoptr(xmlDoc) schema = xmlReadFile(schema_name, NULL, XML_PARSE_NONET);
    g_autoptr(xmlXPathContext) context = xmlXPathNewContext(schema);
    g_autoptr(xmlXPathObject) found = xmlXPathEvalExpression(
        BAD_CAST "//*[local-name()='element' or local-name()='attribute'][@name]",
        context);
    assert_true(found->nodesetval->nodeNr > 60);
    for (int i = 0; i < found->nodesetval->nodeNr; i++) {
        xmlNode *node = found->nodesetval->nodeTab[i];
        g_autoptr(xmlChar) name = xmlGetProp(node, BAD_CAST "name");
        gboolean is_element = strcmp((const char *)node->name, "element") == 0;
        if (!is_in_an_example(text, (const char *)name, is_element))
            fail_msg("docs/lab-language.rst has no example with the %s %s", node->name,
                     name);
    }
}

/* ---- mutations ------------------------------------------------------------------ */

/* Words that a mutation puts into a lab: each of the language, and values near its
 * limits. */
static const char *const words[] = {
    "lab",
    "host",
    "cell",
    "expander",
    "port",
    "switch",
    "downstream",
    "nic",
    "nvme",
    "device",
    "property",
    "iommu",
    "cpu",
    "feature",
    "hugepages",
    "distances",
    "sibling",
    "cache",
    "interconnects",
    "latency",
    "bandwidth",
    "kernel",
    "firmware",
    "machine",
    "qemu",
    "arg",
    "network",
    "description",
    "name",
    "count",
    "id",
    "cpus",
    "memory",
    "unit",
    "model",
    "slot",
    "function",
    "bus",
    "acs",
    "mac",
    "vfs",
    "size",
    "value",
    "0",
    "1",
    "7",
    "8",
    "31",
    "32",
    "255",
    "256",
    "0x1f",
    "0x20",
    "-1",
    "+",
    "^1",
    "0-3",
    "3-0",
    "on",
    "off",
    "",
    " ",
    "MiB",
    "1 GiB",
    "2 MiB",
    "2048 KiB",
    "999999999999999999999",
    "&amp;",
    "&#9;",
    "&#10;",
    "é",
    "a.b",
    "e1000e",
    "igb",
    "virtio",
    "ioh3420",
    "intel",
    "amd",
    "00012",
    "4096",
    "1024",
    "1025",
    "52:54:00:ff:ff:ff+",
    "access",
    "direct",
    "none",
    "<!--x-->",
    "<x/>",
    "text",
};

static const char *
any_word(GRand *random)
{
    return words[g_rand_int_range(random, 0, G_N_ELEMENTS(words))];
}

/* The next attribute value from a random place on; FALSE if there is none. */
static gboolean
find_value(GRand *random, const GString *text, gsize *start, gsize *end)
{
    gsize from = (gsize)g_rand_int_range(random, 0, (gint32)text->len);
    const char *open = strstr(text->str + from, "=\"");
    const char *close = open ? strchr(open + 2, '"') : NULL;
    if (!close)
        return FALSE;
    *start = (gsize)(open + 2 - text->str);
    *end = (gsize)(close - text->str);
    return TRUE;
}

/* Another name for an element or attribute, so that the file stays XML as often as can
 * be. */
static void
rename_something(GRand *random, GString *text)
{
    gsize start = 0, end = 0;
    if (!find_value(random, text, &start, &end))
        return;
    gsize name = start - 2;
    while (name > 0 && g_ascii_isalnum(text->str[name - 1]))
        name--;
    g_string_erase(text, (gssize)name, (gssize)(start - 2 - name));
    g_string_insert(text, (gssize)name, any_word(random));
}

static void
change_value(GRand *random, GString *text)
{
    gsize start = 0, end = 0;
    if (!find_value(random, text, &start, &end))
        return;
    if (g_rand_boolean(random))
        g_string_erase(text, (gssize)start, (gssize)(end - start));
    g_string_insert(text, (gssize)start, any_word(random));
}

static void
drop_attribute(GRand *random, GString *text)
{
    gsize start = 0, end = 0;
    if (!find_value(random, text, &start, &end))
        return;
    gsize name = start;
    while (name > 0 && text->str[name - 1] != ' ')
        name--;
    g_string_erase(text, (gssize)name, (gssize)(end + 1 - name));
}

static void
insert_element(GRand *random, GString *text)
{
    gsize from = (gsize)g_rand_int_range(random, 0, (gint32)text->len);
    const char *close = strstr(text->str + from, ">\n");
    if (!close)
        return;
    g_autofree char *element = g_strdup_printf("<%s %s=\"%s\"/>", any_word(random),
                                               any_word(random), any_word(random));
    g_string_insert(text, close + 1 - text->str, element);
}

static void
change_bytes(GRand *random, GString *text)
{
    for (int i = g_rand_int_range(random, 1, 4); i > 0; i--)
        text->str[g_rand_int_range(random, 0, (gint32)text->len)] =
            (char)g_rand_int_range(random, 0, 256);
}

static void
mutate(GRand *random, GString *text)
{
    static void (*const ways[])(GRand * random, GString * text) = {
        rename_something, change_value,   change_value,
        drop_attribute,   insert_element, change_bytes};
    for (int i = g_rand_int_range(random, 1, 4); i > 0 && text->len > 0; i--)
        ways[g_rand_int_range(random, 0, G_N_ELEMENTS(ways))](random, text);
}

/* What the checks refuse goes through the planner, too, as it does in every command. */
static void
plan_whatever(const Emulator *emulator, const GString *text)
{
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(Lab) lab = lab_parse_text(text->str, text->len, "mutation", findings);
    g_autoptr(GPtrArray) plans =
        lab ? plan_checked_lab(lab, emulator, NULL, PLAN_FOR_QEMU, findings) : NULL;
    assert_true(plans || !findings_ok(findings));
}

/* Every file and example once as a seed, then mutations of them; the same ones in each
 * run. */
static GPtrArray *
load_seeds(void)
{
    GPtrArray *seeds = g_ptr_array_new_with_free_func(g_free);
    static const char *const folders[] = {"topologies", "topologies/refused"};
    for (gsize f = 0; f < G_N_ELEMENTS(folders); f++) {
        g_autofree char *folder = source_path(folders[f]);
        g_autoptr(GPtrArray) names = files_of(folder, ".xml");
        for (guint i = 0; i < names->len; i++) {
            g_autofree char *filename =
                g_build_filename(folder, g_ptr_array_index(names, i), NULL);
            g_ptr_array_add(seeds, read_file(filename, NULL));
        }
    }
    g_autofree char *filename = source_path("docs/lab-language.rst");
    g_autofree char *text = read_file(filename, NULL);
    const char *at = text;
    for (char *example; (example = next_example(&at));) {
        g_autofree char *owned = example;
        g_ptr_array_add(seeds, complete(example));
    }
    return seeds;
}

static void
agrees_with_the_schema_about_mutations(void **state)
{
    g_autoptr(xmlRelaxNG) schema = load_schema();
    g_autoptr(GPtrArray) seeds = load_seeds();
    g_autoptr(GRand) random = g_rand_new_with_seed(2017);
    const char *more = g_getenv("HOSTBED_MUTATIONS");
    int count = more ? atoi(more) : MUTATIONS;
    int compared = 0;
    Emulator *emulator = fixture_emulator(TRUE);
    for (int i = 0; i < count; i++) {
        const char *seed = g_ptr_array_index(seeds, (guint)i % seeds->len);
        g_autoptr(GString) text = g_string_new(seed);
        mutate(random, text);
        g_autoptr(Findings) findings = look_at(text->str, text->len, "mutation");
        compared += !has_check(findings, "xml");
        must_agree(schema, "mutation", text->str, text->len, findings);
        plan_whatever(emulator, text);
    }
    fixture_emulator_free(emulator);
    assert_true(compared > count / 3);
}

/* ---- faults and what follows from them ------------------------------------------ */

/* Whether the parser may have said this; what lab_check finds in a sound lab of which one
 * word was spoilt would only follow from that word. */
static gboolean
is_the_parsers(const Finding *finding)
{
    static const char *const names[] = {"schema",      "count", "cell-reference",
                                        "cell-number", "size",  NULL};
    if (g_strv_contains(names, finding->check))
        return TRUE;
    return strcmp(finding->check, "cpus") == 0 && finding->message[0] == '<';
}

static void
must_say_no_more(const char *name, const char *text, gsize length, guint *count)
{
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(Lab) lab = lab_parse_text(text, length, name, findings);
    if (lab)
        return;
    for (guint i = 0; i < findings_total(findings); i++) {
        const Finding *finding = findings_get(findings, i);
        if (strcmp(finding->check, "xml") == 0)
            return;
        if (is_the_parsers(finding))
            continue;
        g_autofree char *said = findings_to_text(findings);
        fail_msg("%s: this follows from another fault: %s\namong:\n%s\nabout:\n%.*s",
                 name, finding->message, said, (int)length, text);
    }
    ++*count;
}

/* Puts an X behind the first letter of what begins at AT. */
static void
spoil(const char *name, const char *text, gsize at, guint *count)
{
    g_autoptr(GString) spoilt = g_string_new(text);
    g_string_insert(spoilt, (gssize)at + 1, "X");
    must_say_no_more(name, spoilt->str, spoilt->len, count);
}

/* The same in every element called ELEMENT, in both its tags. */
static void
misname(const char *name, const char *text, const char *element, guint *count)
{
    g_autofree char *opening = g_strdup_printf("<%s", element);
    g_autofree char *closing = g_strdup_printf("</%s>", element);
    g_autofree char *other_opening = g_strdup_printf("<X%s", element);
    g_autofree char *other_closing = g_strdup_printf("</X%s>", element);
    g_autoptr(GString) spoilt = g_string_new(text);
    g_string_replace(spoilt, closing, other_closing, 0);
    if (*element && g_string_replace(spoilt, opening, other_opening, 0) > 0)
        must_say_no_more(name, spoilt->str, spoilt->len, count);
}

/* Each element, attribute and value of a sound lab is spoilt in turn. */
static void
faults_have_no_followers(void **state)
{
    g_autofree char *folder = source_path("topologies");
    g_autoptr(GPtrArray) names = files_of(folder, ".xml");
    guint count = 0;
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *filename = g_build_filename(folder, name, NULL);
        g_autofree char *text = read_file(filename, NULL);
        for (const char *at = text; (at = strstr(at, "=\"")); at++) {
            gsize value = (gsize)(at + 2 - text), start = (gsize)(at - text);
            while (start > 0 && text[start - 1] != ' ')
                start--;
            spoil(name, text, start, &count);
            spoil(name, text, value, &count);
        }
        for (gsize word = 0; word < G_N_ELEMENTS(words); word++)
            misname(name, text, words[word], &count);
    }
    assert_true(count > 300);
}

/* FINDINGS has a finding of the check NAME in line LINE. */
static void
must_have(const Findings *findings, const char *name, int line)
{
    for (guint i = 0; i < findings_total(findings); i++) {
        const Finding *finding = findings_get(findings, i);
        if (strcmp(finding->check, name) == 0 && finding->pos.line == line)
            return;
    }
    g_autofree char *said = findings_to_text(findings);
    fail_msg("no [%s] in line %d among:\n%s", name, line, said);
}

/* Reading and checks tell together what they find in different parts, and checks and
 * planner do. */
static void
faults_of_different_parts_are_told_together(void **state)
{
    static const char unread[] = "<lab xmlns='urn:hostbed:lab:1' name='t'><host>\n"
                                 "<cpu sockets='two'/>\n"
                                 "<cell cpus='0-1' memory='1 MiB'/>\n"
                                 "<cell cpus='1' memory='1 GiB'>\n"
                                 "<expander><port><nic mac='53:00:00:00:00:00'/></port>\n"
                                 "<port acs='perhaps'/></expander></cell></host></lab>";
    g_autoptr(Findings) first = look_at(unread, strlen(unread), "t.xml");
    must_have(first, "schema", 2);
    must_have(first, "memory", 3);
    must_have(first, "cpus", 4);
    must_have(first, "mac", 5);
    must_have(first, "schema", 6);
    assert_int_equal(findings_total(first), 5);

    static const char unsound[] = "<lab xmlns='urn:hostbed:lab:1' name='t'><host>\n"
                                  "<cell cpus='0,2' memory='1 GiB'/>\n"
                                  "<expander bus='9'><port count='3'/></expander>\n"
                                  "<expander bus='11'/>\n"
                                  "</host></lab>";
    g_autoptr(Findings) second = findings_new();
    g_autoptr(Lab) lab = lab_parse_text(unsound, strlen(unsound), "t.xml", second);
    Emulator *emulator = fixture_emulator(FALSE);
    assert_null(plan_checked_lab(lab, emulator, NULL, PLAN_FOR_QEMU, second));
    fixture_emulator_free(emulator);
    must_have(second, "cpus", 1);
    must_have(second, "bus-range", 4);
    assert_int_equal(findings_total(second), 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_labs_that_ship),
        cmocka_unit_test(agrees_about_refused_labs),
        cmocka_unit_test(parses_the_references_examples),
        cmocka_unit_test(shows_every_word_of_the_schema),
        cmocka_unit_test(agrees_with_the_schema_about_mutations),
        cmocka_unit_test(faults_have_no_followers),
        cmocka_unit_test(faults_of_different_parts_are_told_together),
    };
    return cmocka_run_group_tests_name("lab-language", tests, NULL, NULL);
}
