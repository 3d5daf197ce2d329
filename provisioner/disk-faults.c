/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk-faults.h"

#include <errno.h>

#include "error.h"
#include "nearest.h"
#include "plan-change.h"

static const char *const request_names[] = {
    [DISK_REQUEST_READ] = "read",   [DISK_REQUEST_WRITE] = "write",
    [DISK_REQUEST_FLUSH] = "flush", [DISK_REQUEST_ALL] = "all",
    [DISK_REQUEST_ALL + 1] = NULL,
};

static const char *const point_names[] = {
    [DISK_POINT_READ] = "read",
    [DISK_POINT_WRITE] = "write",
    [DISK_POINT_WRITTEN] = "written",
    [DISK_POINT_FLUSH] = "flush",
    [DISK_POINTS] = NULL,
};

/* Of the emulator's BlkdebugEvent, those that come to a node between raw and a disk. What
 * is written is written with data or as zeroes. */
static const char *const point_events[][2] = {
    [DISK_POINT_READ] = {"read_aio"},
    [DISK_POINT_WRITE] = {"pwritev", "pwritev_zero"},
    [DISK_POINT_WRITTEN] = {"pwritev_done"},
    [DISK_POINT_FLUSH] = {"flush_to_disk"},
};

/* ---- words
 * ------------------------------------------------------------------------------------------
 */

static gboolean
parse(const char *const *names, const char *name, guint *value)
{
    for (guint i = 0; names[i]; i++) {
        if (g_strcmp0(names[i], name) != 0)
            continue;
        *value = i;
        return TRUE;
    }
    return FALSE;
}

const char *
disk_request_name(DiskRequest request)
{
    return request_names[request];
}

gboolean
disk_request_parse(const char *name, DiskRequest *request)
{
    guint value;
    if (!parse(request_names, name, &value))
        return FALSE;
    *request = (DiskRequest)value;
    return TRUE;
}

const char *
disk_point_name(DiskPoint point)
{
    return point_names[point];
}

gboolean
disk_point_parse(const char *name, DiskPoint *point)
{
    guint value;
    if (!parse(point_names, name, &value))
        return FALSE;
    *point = (DiskPoint)value;
    return TRUE;
}

const char *const *
disk_request_names(void)
{
    return request_names;
}

const char *const *
disk_point_names(void)
{
    return point_names;
}

/* ---- values
 * ------------------------------------------------------------------------------------------
 */

DiskFaults *
disk_faults_new(void)
{
    DiskFaults *faults = g_new0(DiskFaults, 1);
    faults->errors = g_array_new(FALSE, TRUE, sizeof(DiskError));
    return faults;
}

DiskFaults *
disk_faults_copy(const DiskFaults *faults)
{
    DiskFaults *copy = g_new(DiskFaults, 1);
    *copy = *faults;
    copy->errors = g_array_copy(faults->errors);
    return copy;
}

void
disk_faults_free(DiskFaults *faults)
{
    if (!faults)
        return;
    g_array_unref(faults->errors);
    g_free(faults);
}

static gboolean
is_same_error(const DiskError *one, const DiskError *other)
{
    return one->on == other->on && one->sector == other->sector &&
           one->once == other->once;
}

gboolean
disk_faults_add(DiskFaults *faults, const DiskError *error)
{
    for (guint i = 0; i < faults->errors->len; i++)
        if (is_same_error(&g_array_index(faults->errors, DiskError, i), error))
            return FALSE;
    g_array_append_val(faults->errors, *error);
    return TRUE;
}

gboolean
disk_faults_same_errors(const DiskFaults *one, const DiskFaults *other)
{
    gboolean same = one->errors->len == other->errors->len;
    for (guint i = 0; same && i < one->errors->len; i++)
        same = is_same_error(&g_array_index(one->errors, DiskError, i),
                             &g_array_index(other->errors, DiskError, i));
    return same;
}

/* ---- disks
 * ------------------------------------------------------------------------------------------
 */

gboolean
disk_is_there(const PlanFunction *function)
{
    return function->size_bytes > 0 || emit_qemu_is_image(function);
}

const PlanFunction *
disk_find(const Plan *plan, const char *name, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = plan->functions->pdata[i];
        if (!function->id || !disk_is_there(function))
            continue;
        if (plan_change_is_called(function, name))
            return function;
        g_ptr_array_add(names, function->id);
    }
    g_ptr_array_add(names, NULL);
    g_autofree char *hint = nearest_or_all(
        name, names, "it has none; a lab gives it one by <nvme> or <image>");
    g_set_error(error, HB_ERROR, HB_USAGE, "no disk of %s is called '%s'; %s",
                plan->host_id, name, hint);
    return NULL;
}

gboolean
disk_error_check(const PlanFunction *function, const DiskError *disk_error, gint64 bytes,
                 GError **error)
{
    const gint64 sectors = bytes / DISK_SECTOR_BYTES;
    if (disk_error->on == DISK_REQUEST_FLUSH && disk_error->sector >= 0)
        g_set_error_literal(error, HB_ERROR, HB_USAGE,
                            "a flush is of no sector; leave sector out");
    else if (bytes > 0 && disk_error->sector >= sectors)
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "%s has no sector %" G_GINT64_FORMAT
                    "; its last one is %" G_GINT64_FORMAT,
                    function->id, disk_error->sector, sectors - 1);
    else
        return TRUE;
    return FALSE;
}

/* ---- the emulator
 * ------------------------------------------------------------------------------------------
 */

static void
add_command(GPtrArray *commands, const char *name, JsonObject *arguments)
{
    EmitCommand *command = g_new(EmitCommand, 1);
    *command = (EmitCommand){name, arguments};
    g_ptr_array_add(commands, command);
}

/* Such names have 31 characters at most. */
static char *
node_name(const PlanFunction *function, const char *kind, guint nodes)
{
    g_autofree char *digest =
        g_compute_checksum_for_string(G_CHECKSUM_SHA256, function->id, -1);
    return g_strdup_printf("%s-%u-%.16s", kind, nodes, digest);
}

static JsonObject *
node_new(const char *driver, char *name, const char *above, const char *below)
{
    JsonObject *node = json_object_new();
    json_object_set_string_member(node, "driver", driver);
    json_object_set_string_member(node, "node-name", name);
    json_object_set_string_member(node, "discard", "unmap");
    json_object_set_string_member(node, above, below);
    g_free(name);
    return node;
}

static void
add_rule(JsonArray *rules, const DiskError *error, const char *type)
{
    JsonObject *rule = json_object_new();
    json_object_set_string_member(rule, "event", "none");
    json_object_set_string_member(rule, "iotype", type);
    json_object_set_int_member(rule, "errno", EIO);
    json_object_set_boolean_member(rule, "once", error->once);
    if (error->sector >= 0)
        json_object_set_int_member(rule, "sector", error->sector);
    json_array_add_object_element(rules, rule);
}

/* A rule has one kind of request. */
static JsonArray *
rules_of(const DiskFaults *faults)
{
    static const struct {
        DiskRequest on;
        const char *type;
    } types[] = {
        {DISK_REQUEST_READ, "read"},
        {DISK_REQUEST_WRITE, "write"},
        {DISK_REQUEST_WRITE, "write-zeroes"},
        {DISK_REQUEST_FLUSH, "flush"},
    };
    JsonArray *rules = json_array_new();
    for (guint i = 0; i < faults->errors->len; i++) {
        const DiskError *error = &g_array_index(faults->errors, DiskError, i);
        for (gsize j = 0; j < G_N_ELEMENTS(types); j++) {
            const gboolean has_sector = types[j].on != DISK_REQUEST_FLUSH;
            if (error->on == types[j].on ||
                (error->on == DISK_REQUEST_ALL && (error->sector < 0 || has_sector)))
                add_rule(rules, error, types[j].type);
        }
    }
    return rules;
}

static void
add_nodes(GPtrArray *commands, const PlanFunction *function, const char *base,
          const DiskFaults *to)
{
    g_autofree char *debug = node_name(function, "faults", to->nodes);
    JsonObject *node = node_new("blkdebug", g_strdup(debug), "image", base);
    if (to->errors->len > 0)
        json_object_set_array_member(node, "inject-error", rules_of(to));
    add_command(commands, "blockdev-add", node);
    add_command(commands, "blockdev-add",
                node_new("raw", node_name(function, "faulty", to->nodes), "file", debug));
}

/* The disk of FUNCTION is read and written there. The emulator waits for all requests
 * that are under way. */
static void
add_switch(GPtrArray *commands, const PlanFunction *function, const char *base,
           guint nodes)
{
    JsonObject *arguments = json_object_new();
    g_autofree char *path = g_strconcat("/machine/peripheral/", function->id, NULL);
    g_autofree char *node = node_name(function, "faulty", nodes);
    json_object_set_string_member(arguments, "path", path);
    json_object_set_string_member(arguments, "property", "drive");
    json_object_set_string_member(arguments, "value", nodes > 0 ? node : base);
    add_command(commands, "qom-set", arguments);
}

static void
add_removal(GPtrArray *commands, const PlanFunction *function, guint nodes)
{
    static const char *const kinds[] = {"faulty", "faults"};
    for (gsize i = 0; nodes > 0 && i < G_N_ELEMENTS(kinds); i++) {
        JsonObject *arguments = json_object_new();
        g_autofree char *name = node_name(function, kinds[i], nodes);
        json_object_set_string_member(arguments, "node-name", name);
        add_command(commands, "blockdev-del", arguments);
    }
}

/* QMP has no word for it. The device is named and not the node, as the emulator would
 * attach itself to that, and wait for what stands still when it leaves. */
static void
add_break(GPtrArray *commands, const PlanFunction *function, const char *what,
          const char *event, DiskPoint point)
{
    JsonObject *arguments = json_object_new();
    g_autofree char *line = g_strdup_printf(
        "qemu-io -d /machine/peripheral/%s%s \"%s%s%s hostbed-%s\"", function->id,
        emit_qemu_is_image(function) ? "/virtio-backend" : "", what, event ? " " : "",
        event ? event : "", point_names[point]);
    json_object_set_string_member(arguments, "command-line", line);
    add_command(commands, "human-monitor-command", arguments);
}

static void
add_breaks(GPtrArray *commands, const PlanFunction *function, guint points)
{
    for (DiskPoint point = 0; point < DISK_POINTS; point++)
        for (gsize i = 0; i < G_N_ELEMENTS(point_events[point]); i++)
            if ((points & 1u << point) && point_events[point][i])
                add_break(commands, function, "break", point_events[point][i], point);
}

/* What stands still there goes on. */
static void
add_resumes(GPtrArray *commands, const PlanFunction *function, guint points)
{
    for (DiskPoint point = 0; point < DISK_POINTS; point++)
        if (points & 1u << point)
            add_break(commands, function, "remove_break", NULL, point);
}

static void
command_free(gpointer data)
{
    EmitCommand *command = data;
    json_object_unref(command->arguments);
    g_free(command);
}

GPtrArray *
disk_faults_commands(const PlanFunction *function, const char *base,
                     const DiskFaults *from, DiskFaults *to)
{
    GPtrArray *commands = g_ptr_array_new_with_free_func(command_free);
    const gboolean needed = to->errors->len > 0 || to->points != 0;
    const gboolean same = from->nodes > 0 && disk_faults_same_errors(from, to);
    to->nodes = !needed ? 0 : same ? from->nodes : from->nodes == 1 ? 2 : 1;
    add_resumes(commands, function, from->points & ~to->points);
    if (to->nodes != from->nodes) {
        if (needed)
            add_nodes(commands, function, base, to);
        add_switch(commands, function, base, to->nodes);
        add_removal(commands, function, from->nodes);
    }
    add_breaks(commands, function, to->points & ~from->points);
    return commands;
}

static gboolean
has_switched(const GPtrArray *commands, guint done)
{
    for (guint i = 0; i < done; i++) {
        const EmitCommand *command = commands->pdata[i];
        if (g_str_equal(command->name, "qom-set"))
            return TRUE;
    }
    return FALSE;
}

GPtrArray *
disk_faults_undo(const PlanFunction *function, const char *base, const DiskFaults *from,
                 const DiskFaults *to, const GPtrArray *commands, guint done)
{
    GPtrArray *back = g_ptr_array_new_with_free_func(command_free);
    add_resumes(back, function, to->points & ~from->points);
    if (to->nodes != from->nodes) {
        if (has_switched(commands, done))
            add_switch(back, function, base, from->nodes);
        add_removal(back, function, to->nodes);
    }
    return back;
}
