/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Labs that ship against what they become: topologies/NAME.xml, planned for each recorded
 * emulator (provisioner/tests/emulators/EMULATOR.json), must give the bytes of
 * topologies/expected/EMULATOR/NAME.EXTENSION in each form. What is refused gives
 * NAME.err, and NAME.EXTENSION.err where only one form refuses it. A lab with several
 * hosts has files NAME.HOST.EXTENSION. A file there that nothing reads is a failure.
 *
 * What is known of operating systems is recorded, too: provisioner/tests/oses/ID.json is
 * what 'hostbed os --json ID' wrote.
 *
 * A lab in topologies/refused is refused by reading, checks or planner, for every
 * recorded emulator in the words of the .err beside it.
 *
 * With HOSTBED_REGENERATE set the files are written instead (make regenerate).
 */
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>

#include "emit.h"

typedef struct {
    char *labs, *refused, *emulators, *expected, *oses; /* folders */
    gboolean regenerate;
    GHashTable *known; /* set of char *: paths below expected/ */
    guint count, failed;
} Golden;

static void
report(Golden *golden, gboolean ok, const char *name, const char *why)
{
    printf("%s %u - %s\n", ok ? "ok" : "not ok", ++golden->count, name);
    if (!ok)
        printf("# %s\n", why);
    golden->failed += !ok;
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of the files in DIRECTORY that end in SUFFIX, without it, sorted. */
static GPtrArray *
names_in(const char *directory, const char *suffix)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir)))
        if (g_str_has_suffix(name, suffix))
            g_ptr_array_add(names, g_strndup(name, strlen(name) - strlen(suffix)));
    g_ptr_array_sort(names, compare_names);
    return names;
}

/* "line 7: expected '…', found '…'" */
static char *
first_difference(const char *expected, const char *found)
{
    g_auto(GStrv) a = g_strsplit(expected, "\n", -1), b = g_strsplit(found, "\n", -1);
    guint i = 0;
    while (a[i] && b[i] && strcmp(a[i], b[i]) == 0)
        i++;
    return g_strdup_printf("line %u: expected '%.300s', found '%.300s'", i + 1,
                           a[i] ? a[i] : "", b[i] ? b[i] : "");
}

/* FOUND against the file at PATH, which is called NAME in the report. */
static void
compare_file(Golden *golden, const char *path, const char *name, const char *found)
{
    if (golden->regenerate) {
        g_autofree char *folder = g_path_get_dirname(path);
        g_autoptr(GError) error = NULL;
        g_mkdir_with_parents(folder, 0777);
        gboolean written = g_file_set_contents(path, found, -1, &error);
        report(golden, written, name, error ? error->message : "");
        return;
    }
    g_autofree char *expected = NULL;
    if (!g_file_get_contents(path, &expected, NULL, NULL)) {
        report(golden, FALSE, name, "there is no such file; see 'make regenerate'");
        return;
    }
    g_autofree char *difference = first_difference(expected, found);
    report(golden, strcmp(expected, found) == 0, name, difference);
}

static void
compare(Golden *golden, const char *file, const char *found)
{
    g_autofree char *path = g_build_filename(golden->expected, file, NULL);
    g_hash_table_add(golden->known, g_strdup(file));
    compare_file(golden, path, file, found);
}

static void
compare_form(Golden *golden, const char *stem, const EmitFormat *format, const Plan *plan)
{
    g_autofree char *file = g_strdup_printf("%s.%s", stem, format->extension);
    g_autoptr(Findings) findings = findings_new();
    if (format->check)
        format->check(plan, findings);
    if (!findings_ok(findings)) {
        g_autofree char *refused = g_strconcat(file, ".err", NULL);
        g_autofree char *text = findings_to_text(findings);
        compare(golden, refused, text);
        return;
    }
    g_autoptr(GString) text = g_string_new(NULL);
    format->write(plan, text);
    compare(golden, file, text->str);
}

static Lab *
load_lab(const char *folder, const char *name, Findings *findings)
{
    /* The place of a finding must not depend on where the sources are. */
    g_autofree char *file = g_strconcat(name, ".xml", NULL);
    g_autofree char *path = g_build_filename(folder, file, NULL);
    g_autofree char *text = NULL;
    gsize length;
    if (!g_file_get_contents(path, &text, &length, NULL))
        return NULL;
    return lab_parse_text(text, length, g_intern_string(file), findings);
}

/* What is recorded of the systems of LAB, which may be NULL. */
static GHashTable *
load_oses(const Golden *golden, const Lab *lab)
{
    GHashTable *oses = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                             (GDestroyNotify)os_answer_free);
    for (guint i = 0; lab && i < lab->hosts->len; i++) {
        const LabHost *host = g_ptr_array_index(lab->hosts, i);
        g_autofree char *path =
            host->os ? g_strdup_printf("%s/%s.json", golden->oses, host->os) : NULL;
        OsFacts *facts = path ? os_facts_load(path, NULL) : NULL;
        if (!facts)
            continue;
        OsAnswer *answer = g_new0(OsAnswer, 1);
        answer->facts = facts;
        g_hash_table_replace(oses, g_strdup(host->os), answer);
    }
    return oses;
}

static void
compare_plans(Golden *golden, const char *stem, const EmitFormat *format,
              const GPtrArray *plans)
{
    for (guint i = 0; i < plans->len; i++) {
        const Plan *plan = g_ptr_array_index(plans, i);
        g_autofree char *host_stem = plans->len > 1
                                         ? g_strdup_printf("%s.%s", stem, plan->host_id)
                                         : g_strdup(stem);
        compare_form(golden, host_stem, format, plan);
    }
}

static void
compare_lab(Golden *golden, const char *emulator_name, const Emulator *emulator,
            const char *name)
{
    g_autofree char *stem = g_strdup_printf("%s/%s", emulator_name, name);
    for (const EmitFormat *format = emit_formats; format->name; format++) {
        g_autoptr(Findings) findings = findings_new();
        g_autoptr(Lab) lab = load_lab(golden->labs, name, findings);
        g_autoptr(GHashTable) oses = load_oses(golden, lab);
        g_autoptr(GPtrArray) plans =
            lab ? plan_checked_lab(lab, emulator, oses, format->backend, findings) : NULL;
        if (plans) {
            compare_plans(golden, stem, format, plans);
            continue;
        }
        g_autofree char *file = g_strconcat(stem, ".err", NULL);
        g_autofree char *text = findings_to_text(findings);
        compare(golden, file, text);
        return;
    }
}

static void
compare_refused_lab(Golden *golden, const char *emulator_name, const Emulator *emulator,
                    const char *name)
{
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(Lab) lab = load_lab(golden->refused, name, findings);
    g_autoptr(GHashTable) oses = load_oses(golden, lab);
    g_autoptr(GPtrArray) plans =
        lab ? plan_checked_lab(lab, emulator, oses, PLAN_FOR_QEMU, findings) : NULL;
    g_autofree char *text = findings_to_text(findings);
    g_autofree char *file = g_strconcat(name, ".err", NULL);
    g_autofree char *path = g_build_filename(golden->refused, file, NULL);
    g_autofree char *title = g_strdup_printf("refused/%s with %s", file, emulator_name);
    if (plans)
        report(golden, FALSE, title, "it is not refused");
    else
        compare_file(golden, path, title, text);
}

static void
compare_emulator(Golden *golden, const char *name, const GPtrArray *labs,
                 const GPtrArray *refused)
{
    g_autofree char *path = g_strdup_printf("%s/%s.json", golden->emulators, name);
    g_autoptr(GError) error = NULL;
    g_autoptr(Emulator) emulator = emulator_load(path, &error);
    if (!emulator) {
        report(golden, FALSE, name, error->message);
        return;
    }
    for (guint i = 0; i < labs->len; i++)
        compare_lab(golden, name, emulator, g_ptr_array_index(labs, i));
    for (guint i = 0; i < refused->len; i++)
        compare_refused_lab(golden, name, emulator, g_ptr_array_index(refused, i));
}

/* An .err without a lab says nothing. */
static void
check_refused_leftovers(Golden *golden, GPtrArray *refused)
{
    g_autoptr(GPtrArray) errors = names_in(golden->refused, ".err");
    for (guint i = 0; i < errors->len; i++) {
        const char *name = g_ptr_array_index(errors, i);
        if (!g_ptr_array_find_with_equal_func(refused, name, g_str_equal, NULL))
            report(golden, FALSE, name, "this .err has no lab beside it; remove it");
    }
}

/* What nothing read: a failure, or removed when all is written anew. */
static void
check_leftovers(Golden *golden, const char *folder)
{
    g_autofree char *path = g_build_filename(golden->expected, folder, NULL);
    g_autoptr(GPtrArray) files = names_in(path, "");
    for (guint i = 0; i < files->len; i++) {
        g_autofree char *file =
            g_build_filename(folder, g_ptr_array_index(files, i), NULL);
        g_autofree char *whole = g_build_filename(golden->expected, file, NULL);
        if (g_hash_table_contains(golden->known, file))
            continue;
        if (golden->regenerate)
            g_unlink(whole);
        else
            report(golden, FALSE, file, "no lab becomes this; remove it");
    }
}

static void
check_all_leftovers(Golden *golden)
{
    g_autoptr(GPtrArray) folders = names_in(golden->expected, "");
    g_autoptr(GPtrArray) emulators = names_in(golden->emulators, ".json");
    for (guint i = 0; i < folders->len; i++) {
        const char *folder = g_ptr_array_index(folders, i);
        if (g_ptr_array_find_with_equal_func(emulators, folder, g_str_equal, NULL))
            check_leftovers(golden, folder);
        else
            report(golden, FALSE, folder,
                   "no recorded emulator has this name; remove it");
    }
}

int
main(void)
{
    const char *source = g_getenv("HOSTBED_SOURCE_DIR");
    if (!source) {
        puts("1..0 # SKIP run this by 'make check'");
        return 77;
    }
    Golden golden = {
        .labs = g_build_filename(source, "topologies", NULL),
        .refused = g_build_filename(source, "topologies/refused", NULL),
        .emulators = g_build_filename(source, "provisioner/tests/emulators", NULL),
        .oses = g_build_filename(source, "provisioner/tests/oses", NULL),
        .expected = g_build_filename(source, "topologies/expected", NULL),
        .regenerate = g_getenv("HOSTBED_REGENERATE") != NULL,
        .known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
    };
    g_autoptr(GPtrArray) labs = names_in(golden.labs, ".xml");
    g_autoptr(GPtrArray) refused = names_in(golden.refused, ".xml");
    g_autoptr(GPtrArray) emulators = names_in(golden.emulators, ".json");
    for (guint i = 0; i < emulators->len; i++)
        compare_emulator(&golden, g_ptr_array_index(emulators, i), labs, refused);
    check_all_leftovers(&golden);
    check_refused_leftovers(&golden, refused);
    report(&golden, labs->len > 0 && refused->len > 50 && emulators->len > 0,
           "there are labs and emulators", "nothing was compared");
    printf("1..%u\n", golden.count);
    g_hash_table_unref(golden.known);
    g_free(golden.labs);
    g_free(golden.refused);
    g_free(golden.emulators);
    g_free(golden.expected);
    g_free(golden.oses);
    return golden.failed > 0;
}
