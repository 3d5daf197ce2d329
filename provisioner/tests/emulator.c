/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib/gstdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache.h"
#include "emulator-probe.h"
#include "error.h"

/* ---- recorded facts
 * ------------------------------------------------------------------------ */

static char *
recorded(const char *name)
{
    return g_build_filename(g_getenv("HOSTBED_SOURCE_DIR"), "provisioner/tests/emulators",
                            name, NULL);
}

static Emulator *
load(const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = recorded(name);
    Emulator *emulator = emulator_load(path, &error);
    if (!emulator)
        fail_msg("%s", error->message);
    return emulator;
}

static void
knows_what_a_nic_is(void **state)
{
    g_autoptr(Emulator) emulator = load("qemu-7.2.json");
    const EmulatorDevice *nic = emulator_device(emulator, "e1000e");
    assert_non_null(nic);
    assert_true(nic->is_pci && nic->is_probed);
    assert_int_equal(nic->vendor, 0x8086);
    assert_int_equal(nic->device, 0x10d3);
    assert_int_equal(nic->class_code, 0x020000);
    assert_int_equal(nic->bars->len, 5);
    const EmulatorBar *io = &g_array_index(nic->bars, EmulatorBar, 2);
    assert_int_equal(io->index, 2);
    assert_true(io->is_io);
    assert_int_equal(io->size_bytes, 32);
    assert_true(emulator_device_has_property(emulator, "e1000e", "mac"));
    assert_false(emulator_device_has_property(emulator, "e1000e", "macaroni"));
    assert_string_equal(g_hash_table_lookup(nic->properties, "multifunction"), "bool");
}

static void
versions_differ_by_what_they_have(void **state)
{
    g_autoptr(Emulator) old = load("qemu-7.2.json");
    g_autoptr(Emulator) new = load("qemu-10.0.json");
    assert_null(emulator_device(old, "igb"));
    assert_non_null(emulator_device(new, "igb"));
    assert_int_equal(emulator_device(new, "igbvf")->device, 0x10ca);
    assert_false(emulator_has_object(old, "acpi-generic-initiator"));
    assert_true(emulator_has_object(new, "acpi-generic-initiator"));
    assert_int_equal(old->max_cpus, 255);
    assert_true(new->max_cpus > 255);
    assert_string_equal(old->default_machine, "pc-q35-7.2");
    assert_string_equal(new->default_machine, "pc-q35-10.0");
    assert_int_equal(old->builtin->len, 4);
    assert_true(g_hash_table_contains(old->machine_properties, "hmat"));
    assert_true(g_hash_table_contains(old->cpu_models, "max"));
    assert_true(g_hash_table_contains(old->machines, "pc-q35-6.2"));
    assert_false(g_hash_table_contains(old->machines, "pc-q35-10.0"));
    assert_true(g_hash_table_contains(new->machines, "pc-q35-10.0"));
    assert_true(g_hash_table_contains(old->cpu_features, "svm"));
    assert_false(g_hash_table_contains(old->cpu_features, "vendor"));
}

static void
same_bytes_after_a_round(void **state)
{
    static const char *const names[] = {"qemu-7.2.json", "qemu-10.0.json"};
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = recorded(names[i]);
        g_autofree char *text = NULL;
        assert_true(g_file_get_contents(path, &text, NULL, NULL));
        g_autoptr(Emulator) emulator = emulator_from_json(text, -1, NULL);
        assert_non_null(emulator);
        g_autofree char *again = emulator_to_json(emulator);
        assert_string_equal(again, text);
    }
}

static void
refuses_what_is_no_facts(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"format\":2}",
        "{\"format\":2,\"version\":3}",
        "{\"format\":2,\"version\":\"1\",\"default-machine\":\"q\",\"max-cpus\":-1}",
        "{\"format\":2,\"version\":\"1\",\"default-machine\":\"q\",\"max-cpus\":1,"
        "\"objects\":\"\",\"machine-properties\":\"\",\"machines\":\"\",\"cpu-models\":"
        "\"\",\"cpu-features\":\"\","
        "\"builtin\":[{\"slot\":99}],\"devices\":{}}",
        "{\"format\":2,\"version\":\"1\",\"default-machine\":\"q\",\"max-cpus\":1,"
        "\"objects\":\"\",\"machine-properties\":\"\",\"machines\":\"\",\"cpu-models\":"
        "\"\",\"cpu-features\":\"\","
        "\"builtin\":[],\"devices\":{\"a\":{\"pci\":true,\"properties\":\"\","
        "\"id\":\"8086:10d3\",\"subsystem\":\"0:0\",\"class\":\"1\","
        "\"bars\":[\"9 io 2\"]}}}",
        "\xff\xfe",
    };
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        assert_null(emulator_from_json(bad[i], -1, &error));
        assert_non_null(error);
        assert_non_null(strstr(error->message, "these are not emulator facts"));
    }
}

/* ---- emulators that are none
 * ----------------------------------------------------------------- */

static char *
script(const char *text)
{
    g_autofree char *folder = g_dir_make_tmp("hostbed-emulator-XXXXXX", NULL);
    char *path = g_build_filename(folder, "emulator", NULL);
    assert_true(
        g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
    return path;
}

static void
remove_script(const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_unlink(path);
    g_rmdir(folder);
}

/* Whoever the probe leaves behind becomes our child (see main); the dead may be reaped,
 * the living are a failure. */
static void
assert_nobody_left(void)
{
    pid_t pid = 1;
    for (int i = 0; i < 100 && (pid = waitpid(-1, NULL, WNOHANG)) >= 0; i++)
        if (pid == 0)
            g_usleep(10 * 1000);
    assert_int_equal(pid, -1);
}

static void
assert_refused_within(const char *binary, guint answer_ms, const char *words)
{
    g_autoptr(GError) error = NULL;
    gint64 started = g_get_monotonic_time();
    assert_null(emulator_ask(binary, NULL, answer_ms, &error));
    assert_non_null(error);
    if (!strstr(error->message, words))
        fail_msg("'%s' does not say '%s'", error->message, words);
    assert_null(strchr(error->message, '\n'));
    assert_true(g_get_monotonic_time() - started < 30 * G_USEC_PER_SEC);
    assert_nobody_left();
}

static void
assert_refused(const char *binary, const char *words)
{
    assert_refused_within(binary, EMULATOR_ANSWER_MS, words);
}

static void
quotes_the_complaint(void **state)
{
    g_autofree char *path = script("#!/bin/sh\necho 'no room here' >&2\nexit 3\n");
    assert_refused(path, "status 3");
    assert_refused(path, "no room here");
    remove_script(path);
}

static void
other_programs_are_no_emulators(void **state)
{
    assert_refused("/bin/true", "did not answer as QEMU does");
    assert_refused("/bin/cat", "did not answer as QEMU does");
    assert_refused("/nonexistent/qemu", "cannot start /nonexistent/qemu");
}

static void
a_flood_ends(void **state)
{
    g_autofree char *path = script("#!/bin/sh\nyes flood >&2\nyes flood\n");
    assert_refused(path, "flood");
    remove_script(path);
}

static void
silence_ends_with_its_children(void **state)
{
    g_autofree char *path = script("#!/bin/sh\nsleep 300 &\nsleep 300\n");
    assert_refused_within(path, 500, "did not answer as QEMU does");
    assert_refused_within(path, 500, "in 0.5 s");
    remove_script(path);
}

/* It answers as QEMU does until its configuration space is looked into. */
static void
a_death_in_the_middle_is_told(void **state)
{
    g_autofree char *path = script(
        "#!/bin/bash\n"
        "say() { printf '%s\\r\\n' \"$1\" >&3; }\n"
        "version='{\"qemu\":{\"major\":7,\"minor\":2,\"micro\":0},\"package\":\"\"}'\n"
        "say '{\"QMP\":{\"version\":'\"$version\"',\"capabilities\":[]}}'\n"
        "while read -r line <&3; do\n"
        "  [[ $line =~ \\\"id\\\":\\ *[0-9]+ ]]; id=${BASH_REMATCH[0]}\n"
        "  case $line in\n"
        "  *human-monitor*) exit 3 ;;\n"
        "  *query-target*) answer='{\"arch\":\"x86_64\"}' ;;\n"
        "  *query-version*) answer=$version ;;\n"
        "  *query-pci*) answer='[{\"bus\":0,\"devices\":[{\"bus\":0,\"slot\":0,"
        "\"function\":0,\"class_info\":{\"class\":1536},\"id\":{\"device\":1,"
        "\"vendor\":2},\"regions\":[],\"qdev_id\":\"\"}]}]' ;;\n"
        "  *query-machines*) answer='[{\"name\":\"pc-q35-7.2\",\"alias\":\"q35\","
        "\"cpu-max\":288}]' ;;\n"
        "  *capabilities*|*expansion*) answer='{}' ;;\n"
        "  *) answer='[]' ;;\n"
        "  esac\n"
        "  say \"{\\\"return\\\":$answer,$id}\"\n"
        "done\n");
    assert_refused(path, "it ended while it was asked");
    remove_script(path);
}

static void
a_lie_is_refused(void **state)
{
    g_autofree char *path =
        script("#!/bin/sh\nprintf '{\"QMP\":7}\\n[[[[\\n' >&3\nsleep 9\n");
    assert_refused(path, "did not answer");
    remove_script(path);
}

static void
finds_what_is_named(void **state)
{
    g_autoptr(GError) missing = NULL, unusable = NULL;
    assert_null(emulator_find("/nonexistent/qemu", &missing));
    assert_string_equal(missing->message,
                        "the emulator /nonexistent/qemu does not exist");
    assert_int_equal(hb_error_status(missing), HB_INFRASTRUCTURE);
    assert_null(emulator_find("/etc/passwd", &unusable));
    assert_non_null(strstr(unusable->message, "can be run"));
    g_autofree char *found = emulator_find("/bin/true", NULL);
    assert_string_equal(found, "/bin/true");
}

/* ---- the cache, with an emulator that is here
 * ---------------------------------------------------- */

static void
learns_once(void **state)
{
    g_autofree char *binary = emulator_find(NULL, NULL);
    if (!binary)
        skip();
    g_autofree char *folder = g_dir_make_tmp("hostbed-cache-XXXXXX", NULL);
    g_setenv("XDG_CACHE_HOME", folder, TRUE);
    g_autoptr(GError) error = NULL;
    g_autoptr(Emulator) first = emulator_probe(binary, NULL, &error);
    if (!first)
        fail_msg("%s", error->message);
    assert_true(emulator_device(first, "pcie-root-port")->is_probed);

    g_autofree char *entry =
        g_strdup_printf("%s/hostbed/emulators/%s.json", folder, first->identity);
    assert_true(g_file_test(entry, G_FILE_TEST_EXISTS));
    gint64 started = g_get_monotonic_time();
    g_autoptr(Emulator) second = emulator_probe(binary, NULL, NULL);
    assert_true(g_get_monotonic_time() - started < G_USEC_PER_SEC / 2);
    g_autofree char *a = emulator_to_json(first), *b = emulator_to_json(second);
    assert_string_equal(a, b);

    assert_true(g_file_set_contents(entry, "{\"format\":2}", -1, NULL));
    g_autoptr(Emulator) third = emulator_probe(binary, NULL, NULL);
    g_autofree char *c = emulator_to_json(third);
    assert_string_equal(a, c);
    assert_nobody_left();
    cache_remove_tree(folder);
}

static void
identity_follows_the_file(void **state)
{
    g_autofree char *path = script("#!/bin/sh\necho one\n");
    g_autofree char *one = emulator_identity(path, NULL);
    g_autofree char *same = emulator_identity(path, NULL);
    assert_string_equal(one, same);
    assert_true(g_file_set_contents_full(path, "#!/bin/sh\necho two\n", -1,
                                         G_FILE_SET_CONTENTS_NONE, 0755, NULL));
    g_autofree char *two = emulator_identity(path, NULL);
    assert_string_not_equal(one, two);
    remove_script(path);
}

int
main(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_what_a_nic_is),
        cmocka_unit_test(versions_differ_by_what_they_have),
        cmocka_unit_test(same_bytes_after_a_round),
        cmocka_unit_test(refuses_what_is_no_facts),
        cmocka_unit_test(quotes_the_complaint),
        cmocka_unit_test(other_programs_are_no_emulators),
        cmocka_unit_test(a_flood_ends),
        cmocka_unit_test(silence_ends_with_its_children),
        cmocka_unit_test(a_lie_is_refused),
        cmocka_unit_test(a_death_in_the_middle_is_told),
        cmocka_unit_test(finds_what_is_named),
        cmocka_unit_test(learns_once),
        cmocka_unit_test(identity_follows_the_file),
    };
    return cmocka_run_group_tests_name("emulator", tests, NULL, NULL);
}
