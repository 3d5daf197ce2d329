/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the emulator is told for faults of a disk, and what leads back. The emulator
 * asserts that it is not told what holds already.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "disk-faults.h"
#include "error.h"
#include "json-line.h"

#define BASE "disk-nvme0"
#define BYTES (64 * 1024 * 1024)

static PlanFunction nvme = {.id = (char *)"nvme0",
                            .driver = (char *)"nvme",
                            .size_bytes = BYTES,
                            .role = PLAN_ENDPOINT,
                            .address = {.bus = 0x21}};

/* The nodes that the emulator would have, and the one that the disk is. */
typedef struct {
    GHashTable *nodes;
    GString *drive;
    GString *human; /* its lines, with ';' */
} Played;

static Played
played_new(void)
{
    return (Played){g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
                    g_string_new(BASE), g_string_new(NULL)};
}

static void
played_clear(Played *emulator)
{
    g_hash_table_unref(emulator->nodes);
    g_string_free(emulator->drive, TRUE);
    g_string_free(emulator->human, TRUE);
}

static void
add_node(Played *emulator, JsonObject *node)
{
    const char *name = json_line_string(node, "node-name");
    const char *below = json_line_string(node, "image");
    assert_true(strlen(name) <= 31);
    if (!below)
        assert_true(
            g_hash_table_contains(emulator->nodes, json_line_string(node, "file")));
    else
        assert_string_equal(below, BASE);
    if (json_object_has_member(node, "inject-error"))
        assert_true(json_array_get_length(json_line_array(node, "inject-error")) > 0);
    assert_true(g_hash_table_add(emulator->nodes, g_strdup(name)));
}

static void
switch_drive(Played *emulator, JsonObject *arguments)
{
    const char *value = json_line_string(arguments, "value");
    assert_string_equal(json_line_string(arguments, "path"), "/machine/peripheral/nvme0");
    assert_string_not_equal(value, emulator->drive->str);
    assert_true(g_str_equal(value, BASE) ||
                g_hash_table_contains(emulator->nodes, value));
    g_string_assign(emulator->drive, value);
}

static void
obey(Played *emulator, const EmitCommand *command)
{
    if (g_str_equal(command->name, "blockdev-add")) {
        add_node(emulator, command->arguments);
    } else if (g_str_equal(command->name, "blockdev-del")) {
        const char *name = json_line_string(command->arguments, "node-name");
        assert_string_not_equal(name, emulator->drive->str);
        g_hash_table_remove(emulator->nodes, name);
    } else if (g_str_equal(command->name, "qom-set")) {
        switch_drive(emulator, command->arguments);
    } else {
        assert_string_equal(command->name, "human-monitor-command");
        g_string_append_printf(emulator->human, "%s;",
                               json_line_string(command->arguments, "command-line"));
    }
}

/* The first COUNT of the commands, or all. */
static void
obey_some(Played *emulator, const GPtrArray *commands, guint count)
{
    for (guint i = 0; i < MIN(count, commands->len); i++)
        obey(emulator, commands->pdata[i]);
}

static DiskFaults *
faults_new(DiskRequest on, gint64 sector, guint points)
{
    DiskFaults *faults = disk_faults_new();
    const DiskError error = {.on = on, .sector = sector};
    disk_faults_add(faults, &error);
    faults->points = points;
    return faults;
}

/* One after the other the disk has none, an error, another, a halt, none. */
static void
nodes_come_and_go(void **state)
{
    Played emulator = played_new();
    DiskFaults *stages[] = {disk_faults_new(),
                            faults_new(DISK_REQUEST_READ, 8, 0),
                            faults_new(DISK_REQUEST_ALL, -1, 0),
                            faults_new(DISK_REQUEST_ALL, -1, 1u << DISK_POINT_WRITE),
                            faults_new(DISK_REQUEST_ALL, -1, 0),
                            disk_faults_new()};
    static const guint nodes[] = {0, 2, 2, 2, 2, 0};
    for (gsize i = 1; i < G_N_ELEMENTS(stages); i++) {
        g_autoptr(GPtrArray) commands =
            disk_faults_commands(&nvme, BASE, stages[i - 1], stages[i]);
        obey_some(&emulator, commands, G_MAXUINT);
        assert_int_equal(g_hash_table_size(emulator.nodes), nodes[i]);
        assert_int_equal(g_str_equal(emulator.drive->str, BASE), nodes[i] == 0);
    }
    assert_string_equal(
        emulator.human->str,
        "qemu-io -d /machine/peripheral/nvme0 \"break pwritev hostbed-write\";"
        "qemu-io -d /machine/peripheral/nvme0 \"break pwritev_zero hostbed-write\";"
        "qemu-io -d /machine/peripheral/nvme0 \"remove_break hostbed-write\";");
    for (gsize i = 0; i < G_N_ELEMENTS(stages); i++)
        disk_faults_free(stages[i]);
    played_clear(&emulator);
}

/* Whichever command the emulator refuses, it is afterwards as it was. */
static void
every_failure_is_undone(void **state)
{
    const guint points = 1u << DISK_POINT_READ | 1u << DISK_POINT_FLUSH;
    for (guint done = 0; done < 5; done++) {
        Played emulator = played_new();
        g_autoptr(DiskFaults) none = disk_faults_new();
        g_autoptr(DiskFaults) some = faults_new(DISK_REQUEST_READ, 8, points);
        g_autoptr(GPtrArray) commands = disk_faults_commands(&nvme, BASE, none, some);
        assert_int_equal(commands->len, 5);
        obey_some(&emulator, commands, done);
        g_autoptr(GPtrArray) back =
            disk_faults_undo(&nvme, BASE, none, some, commands, done);
        obey_some(&emulator, back, G_MAXUINT);
        assert_int_equal(g_hash_table_size(emulator.nodes), 0);
        assert_string_equal(emulator.drive->str, BASE);
        assert_non_null(strstr(emulator.human->str, "remove_break hostbed-flush"));
        played_clear(&emulator);
    }
}

/* "read 8 0, …" of the rules that the emulator gets. */
static char *
rules_text(const DiskFaults *faults)
{
    g_autoptr(DiskFaults) none = disk_faults_new();
    g_autoptr(DiskFaults) to = disk_faults_copy(faults);
    g_autoptr(GPtrArray) commands = disk_faults_commands(&nvme, BASE, none, to);
    const EmitCommand *first = commands->pdata[0];
    JsonArray *rules = json_line_array(first->arguments, "inject-error");
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < json_array_get_length(rules); i++) {
        JsonObject *rule = json_line_element(rules, i);
        g_string_append_printf(text, "%s%s %d %d", i > 0 ? ", " : "",
                               json_line_string(rule, "iotype"),
                               (int)json_line_int(rule, "sector", -1),
                               json_object_get_boolean_member(rule, "once"));
    }
    return g_string_free(text, FALSE);
}

static void
errors_become_rules(void **state)
{
    static const struct {
        DiskError error;
        const char *rules;
    } cases[] = {
        {{DISK_REQUEST_READ, 8, FALSE}, "read 8 0"},
        {{DISK_REQUEST_WRITE, -1, TRUE}, "write -1 1, write-zeroes -1 1"},
        {{DISK_REQUEST_FLUSH, -1, FALSE}, "flush -1 0"},
        {{DISK_REQUEST_ALL, 7, FALSE}, "read 7 0, write 7 0, write-zeroes 7 0"},
        {{DISK_REQUEST_ALL, -1, FALSE},
         "read -1 0, write -1 0, write-zeroes -1 0, flush -1 0"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(DiskFaults) faults = disk_faults_new();
        assert_true(disk_faults_add(faults, &cases[i].error));
        assert_false(disk_faults_add(faults, &cases[i].error));
        g_autofree char *text = rules_text(faults);
        assert_string_equal(text, cases[i].rules);
    }
}

static void
assert_refused(const PlanFunction *function, DiskError disk_error, int status,
               const char *words)
{
    g_autoptr(GError) error = NULL;
    assert_false(disk_error_check(function, &disk_error, BYTES, &error));
    assert_int_equal(error->code, status);
    assert_non_null(strstr(error->message, words));
}

static void
what_no_disk_can_have_is_refused(void **state)
{
    g_autoptr(GError) error = NULL;
    const DiskError last = {.on = DISK_REQUEST_WRITE, .sector = 131071};
    assert_true(disk_error_check(&nvme, &last, BYTES, &error));
    assert_refused(&nvme, (DiskError){.on = DISK_REQUEST_READ, .sector = 131072},
                   HB_USAGE, "its last one is 131071");
    assert_refused(&nvme, (DiskError){.on = DISK_REQUEST_FLUSH, .sector = 0}, HB_USAGE,
                   "leave sector out");
}

static void
disks_are_found(void **state)
{
    PlanFunction nic = {.id = (char *)"nic0", .driver = (char *)"e1000e"};
    Plan plan = {.host_id = (char *)"l1", .functions = g_ptr_array_new()};
    g_autoptr(GError) none = NULL, unknown = NULL;
    g_ptr_array_add(plan.functions, &nic);
    assert_null(disk_find(&plan, "nic0", &none));
    assert_non_null(strstr(none->message, "it has none; a lab gives it one by <nvme>"));
    g_ptr_array_add(plan.functions, &nvme);
    static const char *const names[] = {"nvme0", "0000:21:00.0", "21:00.0"};
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        assert_ptr_equal(disk_find(&plan, names[i], NULL), &nvme);
    assert_null(disk_find(&plan, "nvme1", &unknown));
    assert_int_equal(unknown->code, HB_USAGE);
    assert_non_null(strstr(unknown->message, "nvme0"));
    g_ptr_array_unref(plan.functions);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_come_and_go),
        cmocka_unit_test(every_failure_is_undone),
        cmocka_unit_test(errors_become_rules),
        cmocka_unit_test(what_no_disk_can_have_is_refused),
        cmocka_unit_test(disks_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
