/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Disks of a host that is up fail at will, or have requests stand still
 * (disk-faults.h). While one does so whatever waits for all requests would have the
 * emulator wait for ever, and is not done: nobody could have it go on.
 */
#include "disk-faults.h"
#include "error.h"
#include "json-line.h"
#include "live-private.h"

/* ---- the emulator
 * ------------------------------------------------------------------------------------------
 */

/* All that the host has of FUNCTION's disk; made when it is asked for first. */
static DiskFaults *
faults_of(const Host *host, const PlanFunction *function)
{
    DiskFaults *faults = g_hash_table_lookup(host->disk_faults, function->id);
    if (!faults) {
        faults = disk_faults_new();
        g_hash_table_insert(host->disk_faults, g_strdup(function->id), faults);
    }
    return faults;
}

/* What the human monitor has to say is an error: what it is asked here has no answer. */
static gboolean
command(Host *host, const EmitCommand *command, GError **error)
{
    g_autoptr(JsonNode) result = live_emulator_ask(
        host, command->name, json_object_ref(command->arguments), error);
    const char *said =
        result && JSON_NODE_HOLDS_VALUE(result) ? json_node_get_string(result) : NULL;
    if (result && (!said || !*said))
        return TRUE;
    if (result)
        g_set_error(error, HB_ERROR, HB_UNSUPPORTED, "the emulator says: %s", said);
    return FALSE;
}

/* Whether all of COMMANDS was done, and else how many. */
static gboolean
command_all(Host *host, const GPtrArray *commands, guint *done, GError **error)
{
    for (*done = 0; *done < commands->len; (*done)++)
        if (!command(host, commands->pdata[*done], error))
            return FALSE;
    return TRUE;
}

/* FUNCTION's disk has the faults TO (taken) from now on. */
static gboolean
change(Host *host, const PlanFunction *function, DiskFaults *to, GError **error)
{
    g_autoptr(DiskFaults) wanted = to;
    const DiskFaults *from = faults_of(host, function);
    const GArray *files = host->boot->disk_fds;
    g_autofree char *base = emit_qemu_disk_node(function, files ? files->len : 0);
    g_autoptr(GPtrArray) commands = disk_faults_commands(function, base, from, wanted);
    guint done;
    if (!command_all(host, commands, &done, error)) {
        g_autoptr(GPtrArray) back =
            disk_faults_undo(function, base, from, wanted, commands, done);
        for (guint i = 0; i < back->len; i++)
            command(host, back->pdata[i], NULL);
        return FALSE;
    }
    g_hash_table_insert(host->disk_faults, g_strdup(function->id),
                        g_steal_pointer(&wanted));
    return TRUE;
}

/* ---- what else is asked of the host
 * ------------------------------------------------------------------------------------------
 */

gboolean
live_disk_flows(const Host *host, const char *id, GError **error)
{
    GHashTableIter iter;
    gpointer key, value;
    g_hash_table_iter_init(&iter, host->disk_faults);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        const DiskFaults *faults = value;
        if (faults->points == 0 || (id && !g_str_equal(id, key)))
            continue;
        g_set_error(
            error, HB_ERROR, HB_FAIL,
            "a request of the disk %s stands still, or the next one will, and the "
            "emulator would wait for it; 'hostbed disk %s %s resume' has it go on",
            (const char *)key, host->plan->host_id, (const char *)key);
        return FALSE;
    }
    return TRUE;
}

gboolean
live_disk_mend(Host *host, const char *id, GError **error)
{
    const PlanFunction *function = plan_function(host->plan, id);
    return !function || !g_hash_table_contains(host->disk_faults, id) ||
           (live_disk_flows(host, id, error) &&
            change(host, function, disk_faults_new(), error));
}

/* ---- what is told
 * ------------------------------------------------------------------------------------------
 */

static JsonArray *
describe_errors(const DiskFaults *faults)
{
    JsonArray *errors = json_array_new();
    for (guint i = 0; i < faults->errors->len; i++) {
        const DiskError *error = &g_array_index(faults->errors, DiskError, i);
        JsonObject *object = json_object_new();
        json_object_set_string_member(object, "on", disk_request_name(error->on));
        if (error->sector >= 0)
            json_object_set_int_member(object, "sector", error->sector);
        json_object_set_boolean_member(object, "once", error->once);
        json_array_add_object_element(errors, object);
    }
    return errors;
}

static gint64
size_of(const Host *host, const PlanFunction *function)
{
    return function->size_bytes > 0 ? function->size_bytes : boot_disk_bytes(host->boot);
}

static JsonObject *
describe(const Host *host, const PlanFunction *function)
{
    char address[PCI_ADDRESS_SIZE];
    const DiskFaults *faults = faults_of(host, function);
    JsonObject *object = json_object_new();
    JsonArray *suspends = json_array_new();
    for (DiskPoint point = 0; point < DISK_POINTS; point++)
        if (faults->points & 1u << point)
            json_array_add_string_element(suspends, disk_point_name(point));
    pci_address_text(function->address, address);
    json_object_set_string_member(object, "device", function->id);
    json_object_set_string_member(object, "address", address);
    json_object_set_int_member(object, "bytes", size_of(host, function));
    json_object_set_array_member(object, "errors", describe_errors(faults));
    json_object_set_array_member(object, "suspends", suspends);
    return object;
}

static JsonObject *
list(const Host *host)
{
    JsonArray *array = json_array_new();
    for (guint i = 0; i < host->plan->functions->len; i++) {
        const PlanFunction *function = host->plan->functions->pdata[i];
        if (function->id && disk_is_there(function))
            json_array_add_object_element(array, describe(host, function));
    }
    JsonObject *answer = json_object_new();
    json_object_set_array_member(answer, "disks", array);
    return answer;
}

/* ---- the request
 * ------------------------------------------------------------------------------------------
 */

static gboolean
set_error(Host *host, const PlanFunction *function, JsonObject *request, DiskFaults *to,
          GError **error)
{
    const char *on = json_line_string(request, "error");
    DiskError asked = {
        .sector = json_line_int(request, "sector", -1),
        .once = json_object_get_boolean_member_with_default(request, "once", FALSE)};
    if (g_str_equal(on, "off")) {
        g_array_set_size(to->errors, 0);
        return TRUE;
    }
    if (!disk_request_parse(on, &asked.on)) {
        g_set_error(error, HB_ERROR, HB_USAGE, "'%s' is no kind of request", on);
        return FALSE;
    }
    disk_faults_add(to, &asked);
    return disk_error_check(function, &asked, size_of(host, function), error);
}

/* TO: as FUNCTION's disk is; what it is to be. */
static gboolean
read_request(Host *host, const PlanFunction *function, JsonObject *request,
             DiskFaults *to, GError **error)
{
    DiskPoint point;
    const char *suspend = json_line_string(request, "suspend");
    if (json_line_string(request, "error"))
        return set_error(host, function, request, to, error);
    if (!suspend) {
        to->points = 0;
        return TRUE;
    }
    if (!disk_point_parse(suspend, &point)) {
        g_set_error(error, HB_ERROR, HB_USAGE, "requests do not stand still at '%s'",
                    suspend);
        return FALSE;
    }
    to->points |= 1u << point;
    return TRUE;
}

static gboolean
is_same(const DiskFaults *one, const DiskFaults *other)
{
    return one->points == other->points && disk_faults_same_errors(one, other);
}

/* The disk of an image is libvirt's where that starts the host, and called by its names.
 */
static gboolean
is_within_reach(const Host *host, const PlanFunction *function, GError **error)
{
    if (function->size_bytes > 0 || !host->server->options->connect)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                "%s is the disk of an image, which is libvirt's own where that starts "
                "%s (--connect); the lab's other disks can fail there",
                function->id, host->plan->host_id);
    return FALSE;
}

JsonObject *
live_disk(Host *host, JsonObject *request, GError **error)
{
    const char *name = json_line_string(request, "device");
    const PlanFunction *function = name ? disk_find(host->plan, name, error) : NULL;
    if (!name)
        return list(host);
    if (!function || !is_within_reach(host, function, error))
        return NULL;
    if (json_object_has_member(request, "look"))
        return describe(host, function);
    const DiskFaults *now = faults_of(host, function);
    g_autoptr(DiskFaults) to = disk_faults_copy(now);
    if (!read_request(host, function, request, to, error))
        return NULL;
    const gboolean already = is_same(now, to);
    if (!already && !disk_faults_same_errors(now, to) &&
        !live_disk_flows(host, function->id, error))
        return NULL;
    if (!already && !change(host, function, g_steal_pointer(&to), error))
        return NULL;
    JsonObject *answer = describe(host, function);
    json_object_set_boolean_member(answer, "already", already);
    return answer;
}
