/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Operating systems are looked up once, and again when a database changed. The program
 * that asks libosinfo is played by a script, which counts how often it is started.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <glib/gstdio.h>
#include <stdlib.h>

#include "cache.h"
#include "error.h"
#include "os-database.h"
#include "os-lookup.h"

typedef struct {
    char *dir, *database, *program;
} Played;

static const char *top;

static void
write_file(const char *path, const char *text)
{
    assert_true(g_file_set_contents(path, text, -1, NULL));
}

static int
setup(void **state)
{
    Played *played = g_new0(Played, 1);
    played->dir = g_strdup_printf("%s/XXXXXX", top);
    assert_non_null(g_mkdtemp(played->dir));
    played->database = g_build_filename(played->dir, "db", NULL);
    played->program = g_build_filename(played->dir, "hostbed-osinfo", NULL);
    g_autofree char *folder = g_build_filename(played->database, "os", NULL);
    g_autofree char *file = g_build_filename(folder, "one.xml", NULL);
    g_mkdir_with_parents(folder, 0700);
    write_file(file, "<libosinfo/>");
    g_setenv("HOSTBED_LIBEXEC_DIR", played->dir, TRUE);
    *state = played;
    return 0;
}

static int
teardown(void **state)
{
    Played *played = *state;
    cache_remove_tree(played->dir);
    g_free(played->dir);
    g_free(played->database);
    g_free(played->program);
    g_free(played);
    return 0;
}

/* The program leaves a mark each time, then does what SCRIPT says. */
static void
play(const Played *played, const char *script)
{
    g_autofree char *text = g_strdup_printf(
        "#!/bin/sh\necho >>%s/started\nread -r order\n%s\n", played->dir, script);
    write_file(played->program, text);
    g_chmod(played->program, 0700);
}

/* It answers with SYSTEMS (JSON), from the database as it is now. */
static void
play_answer(const Played *played, const char *systems)
{
    g_autofree char *digest = os_database_digest(played->database);
    g_autofree char *script = g_strdup_printf(
        "cat <<'END'\n{\"answer\":{\"databases\":[{\"what\":\"own\",\"path\":\"%s\","
        "\"digest\":\"%s\"},{\"what\":\"user\",\"path\":\"%s/none\"}],\"systems\":[%s]}}"
        "\nEND",
        played->database, digest, played->dir, systems);
    play(played, script);
}

static guint
starts(const Played *played)
{
    g_autofree char *path = g_build_filename(played->dir, "started", NULL);
    g_autofree char *text = NULL;
    gsize length = 0;
    g_file_get_contents(path, &text, &length, NULL);
    return (guint)length;
}

#define FACTS(word, name)                                                                \
    "{\"asked\":\"" word "\",\"facts\":{\"id\":\"http://a.example/" word                 \
    "/1\",\"short-id\":\"" word "\",\"name\":\"" name "\"}}"

static void
assert_name(const char *word, const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(OsFacts) facts = os_lookup(word, &error);
    if (!facts)
        fail_msg("%s", error->message);
    assert_string_equal(facts->name, name);
}

static void
it_is_asked_once(void **state)
{
    const Played *played = *state;
    play_answer(played, FACTS("deb", "Deb 1"));
    assert_name("deb", "Deb 1");
    assert_name("deb", "Deb 1");
    assert_int_equal(starts(played), 1);
}

static void
a_changed_database_is_asked_again(void **state)
{
    const Played *played = *state;
    play_answer(played, FACTS("deb", "Deb 1"));
    assert_name("deb", "Deb 1");
    g_autofree char *file = g_build_filename(played->database, "os/two.xml", NULL);
    write_file(file, "<libosinfo/>");
    /* The same program, for it would be looked at, too. */
    assert_name("deb", "Deb 1");
    assert_int_equal(starts(played), 2);
}

static void
a_database_that_comes_is_asked(void **state)
{
    const Played *played = *state;
    play_answer(played, FACTS("deb", "Deb 1"));
    assert_name("deb", "Deb 1");
    g_autofree char *folder = g_build_filename(played->dir, "none", NULL);
    g_mkdir(folder, 0700);
    assert_name("deb", "Deb 1");
    assert_int_equal(starts(played), 2);
}

static void
another_program_is_asked(void **state)
{
    const Played *played = *state;
    play_answer(played, FACTS("deb", "Deb 1"));
    assert_name("deb", "Deb 1");
    play_answer(played, FACTS("deb", "Deb 1, of another program"));
    assert_name("deb", "Deb 1, of another program");
}

static void
unknown_names_are_not_kept(void **state)
{
    const Played *played = *state;
    play_answer(played, "{\"asked\":\"dab\",\"nearest\":[\"deb\"]}");
    for (guint i = 1; i <= 2; i++) {
        g_autoptr(GError) error = NULL;
        assert_null(os_lookup("dab", &error));
        assert_int_equal(error->code, HB_USAGE);
        assert_string_equal(error->message,
                            "no operating system is called dab; did you mean deb?");
        assert_int_equal(starts(played), i);
    }
}

/* ---- labs ------------------------------------------------------------------------- */

static Lab *
lab_with(const char *const *words)
{
    Lab *lab = lab_new("lab");
    for (; *words; words++) {
        LabHost *host = lab_host_new("host");
        host->os = **words ? g_strdup(*words) : NULL;
        g_ptr_array_add(lab->hosts, host);
    }
    return lab;
}

static void
a_lab_without_systems_starts_nothing(void **state)
{
    const Played *played = *state;
    g_autoptr(GError) error = NULL;
    g_autoptr(Lab) lab = lab_with((const char *const[]){"", "", NULL});
    play(played, "exit 1");
    assert_null(os_lookup_lab(lab, &error));
    assert_null(error);
    assert_int_equal(starts(played), 0);
}

static void
a_lab_asks_once_for_all(void **state)
{
    const Played *played = *state;
    g_autoptr(GError) error = NULL;
    g_autoptr(Lab) lab =
        lab_with((const char *const[]){"deb", "fed", "", "deb", "nix", NULL});
    play_answer(played, FACTS("deb", "Deb 1") "," FACTS(
                            "fed", "Fed 2") ","
                                            "{\"asked\":\"nix\",\"nearest\":[]}");
    g_autoptr(GHashTable) oses = os_lookup_lab(lab, &error);
    assert_int_equal(g_hash_table_size(oses), 3);
    const OsAnswer *fed = g_hash_table_lookup(oses, "fed");
    const OsAnswer *nix = g_hash_table_lookup(oses, "nix");
    assert_string_equal(fed->facts->name, "Fed 2");
    assert_int_equal(nix->nearest->len, 0);
    assert_int_equal(starts(played), 1);
    assert_name("deb", "Deb 1"); /* kept apart */
    assert_int_equal(starts(played), 1);
}

/* Where a lab names no system, the recipe of the host's image may. */
static void
a_recipe_names_a_system(void **state)
{
    const Played *played = *state;
    static const char *const froms[] = {"one", "two", "silent", "none", "./one", NULL};
    g_autoptr(Lab) lab = lab_with((const char *const[]){"", "", "", "", "", "fed", NULL});
    g_autofree char *one = g_build_filename(played->dir, "one.recipe", NULL);
    g_autofree char *two = g_build_filename(played->dir, "two.recipe", NULL);
    g_autofree char *silent = g_build_filename(played->dir, "silent.recipe", NULL);
    g_setenv("HOSTBED_RECIPES_DIR", played->dir, TRUE);
    write_file(one, "[recipe]\ndebian=x\nos=deb\n");
    write_file(two, "[recipe]\nfrom=one\n");
    write_file(silent, "[recipe]\ndebian=x\n");
    for (guint i = 0; i < lab->hosts->len; i++) {
        LabHost *host = lab->hosts->pdata[i];
        host->image = lab_image_new();
        host->image->from = g_strdup(froms[i]);
    }
    play_answer(played, FACTS("deb", "Deb 1") "," FACTS("fed", "Fed 2"));
    g_autoptr(GHashTable) oses = os_lookup_lab(lab, NULL);
    g_unsetenv("HOSTBED_RECIPES_DIR");
    assert_int_equal(g_hash_table_size(oses), 3);
    for (guint i = 0; i < 2; i++) {
        const OsAnswer *answer = g_hash_table_lookup(oses, froms[i]);
        assert_string_equal(answer->facts->name, "Deb 1");
    }
    assert_non_null(g_hash_table_lookup(oses, "fed"));
    assert_int_equal(starts(played), 1);
}

static void
what_a_hostile_lab_asks_is_bounded(void **state)
{
    const Played *played = *state;
    g_autoptr(Lab) lab = lab_new("lab");
    for (guint i = 0; i < 2000; i++) {
        LabHost *host = lab_host_new("host");
        host->os = g_strdup_printf("os%u", i);
        g_ptr_array_add(lab->hosts, host);
    }
    play_answer(played, "");
    g_autoptr(GHashTable) oses = os_lookup_lab(lab, NULL);
    assert_int_equal(g_hash_table_size(oses), 256);
    assert_non_null(g_hash_table_lookup(oses, "os255"));
    assert_int_equal(starts(played), 1);
}

/* The reason why "deb" is not known; owned by the caller. */
static char *
reason_of(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Lab) lab = lab_with((const char *const[]){"hostbed", "deb", NULL});
    g_autoptr(GHashTable) oses = os_lookup_lab(lab, &error);
    assert_null(error);
    assert_null(g_hash_table_lookup(oses, "hostbed")); /* is not missed */
    const OsAnswer *answer = g_hash_table_lookup(oses, "deb");
    assert_null(answer->facts);
    assert_null(answer->nearest);
    return g_strdup(answer->reason);
}

static void
a_lab_is_planned_without_the_program(void **state)
{
    g_autofree char *reason = reason_of();
    assert_string_equal(reason,
                        "this hostbed was built without libosinfo; './quickstart images' "
                        "installs what is needed and builds it again");
}

static void
a_lab_is_planned_where_the_program_dies(void **state)
{
    play(*state, "kill -SEGV $$");
    g_autofree char *reason = reason_of();
    assert_non_null(strstr(reason, "hostbed-osinfo"));
}

static void
what_the_program_refuses_is_said(void **state)
{
    play(*state, "echo '{\"error\":\"the database burns\",\"status\":8}'; exit 8");
    g_autofree char *reason = reason_of();
    assert_string_equal(reason, "the database burns");
}

static void
malformed_facts_are_told(void **state)
{
    const Played *played = *state;
    g_autoptr(Lab) lab = lab_with((const char *const[]){"deb", "fed", NULL});
    play_answer(played, "{\"asked\":\"deb\",\"facts\":{\"id\":7}},7,"
                        "{\"asked\":[],\"facts\":{}}");
    g_autoptr(GHashTable) oses = os_lookup_lab(lab, NULL);
    const OsAnswer *deb = g_hash_table_lookup(oses, "deb");
    const OsAnswer *fed = g_hash_table_lookup(oses, "fed");
    assert_non_null(strstr(deb->reason, "id is missing or malformed"));
    assert_string_equal(fed->reason, "hostbed-osinfo said nothing of it");
}

/* ---- all of them ------------------------------------------------------------------ */

static void
the_list_is_kept(void **state)
{
    const Played *played = *state;
    play_answer(played,
                "{\"id\":\"http://a.example/a/1\"},{\"id\":\"http://b.example\"}");
    for (guint i = 0; i < 2; i++) {
        g_autoptr(JsonArray) all = os_lookup_all(NULL);
        g_autoptr(JsonArray) databases = os_lookup_databases(NULL);
        assert_int_equal(json_array_get_length(all), 2);
        assert_int_equal(json_array_get_length(databases), 2);
    }
    assert_int_equal(starts(played), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    g_autofree char *dir = g_dir_make_tmp("hostbed-os-XXXXXX", NULL);
    top = dir;
    g_setenv("XDG_CACHE_HOME", dir, TRUE);
    const struct CMUnitTest tests[] = {
        TEST(it_is_asked_once),
        TEST(a_changed_database_is_asked_again),
        TEST(a_database_that_comes_is_asked),
        TEST(another_program_is_asked),
        TEST(unknown_names_are_not_kept),
        TEST(a_lab_without_systems_starts_nothing),
        TEST(a_lab_asks_once_for_all),
        TEST(a_recipe_names_a_system),
        TEST(what_a_hostile_lab_asks_is_bounded),
        TEST(a_lab_is_planned_without_the_program),
        TEST(a_lab_is_planned_where_the_program_dies),
        TEST(what_the_program_refuses_is_said),
        TEST(malformed_facts_are_told),
        TEST(the_list_is_kept),
    };
    int failed = cmocka_run_group_tests_name("os-lookup", tests, NULL, NULL);
    cache_remove_tree(dir);
    return failed;
}
