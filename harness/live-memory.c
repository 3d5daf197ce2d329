/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Memory that is plugged into a host that is up, and taken out. As with devices the lab
 * is changed and planned anew. The host's kernel tells the emulator what becomes of it,
 * by ACPI's _OST.
 */
#include "emit.h"
#include "error.h"
#include "json-line.h"
#include "lab-change.h"
#include "live-private.h"
#include "ost.h"
#include "schedule.h"

/* A second for a GiB under plain emulation, and what lies in it has to be moved away; a
 * busy machine is slow. */
#define TAKEN_MS 60000
#define GIVEN_MS 60000

/* ---- what the host's kernel says
 * ------------------------------------------------------------------------------------ */

void
live_memory_event(Host *host, const char *event, JsonObject *data)
{
    const char *id;
    char *reason;
    const OstAnswer answer = ost_read(event, data, &id, &reason);
    if (answer == OST_USED)
        g_hash_table_add(host->accepted, g_strdup(id));
    else if (answer == OST_REFUSED)
        g_hash_table_insert(host->refused, g_strdup(id), reason);
}

static const char *
why_refused(const Host *host, const char *id)
{
    return g_hash_table_lookup(host->refused, id);
}

static gboolean
is_taken(const Host *host, const char *id)
{
    return why_refused(host, id) || g_hash_table_contains(host->accepted, id);
}

static gboolean
is_given(const Host *host, const char *id)
{
    return why_refused(host, id) || g_hash_table_contains(host->deleted, id);
}

/* Nothing that was said of it before counts. */
static void
forget_said(Host *host, const char *id)
{
    g_hash_table_remove(host->accepted, id);
    g_hash_table_remove(host->refused, id);
    g_hash_table_remove(host->deleted, id);
}

/* ---- the answer
 * ------------------------------------------------------------------------------------ */

static JsonObject *
conclude(Host *host, const char *id, gboolean already, GError **error)
{
    g_autoptr(GPtrArray) results = live_check_until_same(host, error);
    if (!results)
        return NULL;
    const PlanMemory *memory = plan_memory(host->plan, id);
    JsonObject *answer = live_check_answer(results);
    json_object_set_string_member(answer, "device", id);
    json_object_set_boolean_member(answer, "already", already);
    if (!memory)
        return answer;
    const PlanCell *cell = host->plan->cells->pdata[memory->cell];
    json_object_set_int_member(answer, "memory_bytes", memory->size_bytes);
    json_object_set_string_member(answer, "cell", cell->id);
    json_object_set_int_member(answer, "node", memory->node);
    return answer;
}

/* ---- plug
 * ------------------------------------------------------------------------------------ */

static gboolean
do_all(Host *host, GPtrArray *commands, GError **error)
{
    for (guint i = 0; i < commands->len; i++) {
        const EmitCommand *command = commands->pdata[i];
        if (!live_emulator_command(host, command->name,
                                   json_object_ref(command->arguments), error))
            return FALSE;
    }
    return TRUE;
}

/* What is left when the module is gone, or has not come. */
static void
clear(Host *host, const PlanMemory *memory)
{
    g_autoptr(GPtrArray) commands = emit_qemu_clear_memory(memory);
    do_all(host, commands, NULL);
}

static gboolean
wait_taken(Host *host, const char *id, GError **error)
{
    const LiveWait end = live_emulator_wait(host, TAKEN_MS, is_taken, id);
    if (end == LIVE_WAIT_MET && !why_refused(host, id))
        return TRUE;
    if (end == LIVE_WAIT_MET)
        g_set_error(error, HB_ERROR, HB_FAIL,
                    "%s is in, and the host's kernel does not use it: %s", id,
                    why_refused(host, id));
    else if (end == LIVE_WAIT_LATE)
        g_set_error(error, HB_ERROR, HB_TIMEOUT,
                    "%s is in, and the host's kernel has not said for %d s that it uses "
                    "it",
                    id, TAKEN_MS / 1000);
    else
        g_set_error_literal(error, HB_ERROR, HB_EMULATOR_DIED, "the host has ended");
    boot_explain(host->boot, error);
    return FALSE;
}

/* It is part of the lab already; *IS_IN: whether it stays that. */
static gboolean
plug_in(Host *host, const LabMemory *memory, gboolean *is_in, GError **error)
{
    g_autoptr(Plan) plan = live_change_plan(host, memory->id, error);
    const PlanMemory *planned = plan ? plan_memory(plan, memory->id) : NULL;
    if (!planned || !live_host_check_room(planned->id, planned->size_bytes, error))
        return FALSE;
    g_autoptr(GPtrArray) commands = emit_qemu_plug_memory(planned);
    forget_said(host, memory->id);
    if (!do_all(host, commands, error)) {
        clear(host, planned);
        return FALSE;
    }
    *is_in = TRUE;
    g_hash_table_remove(host->out, memory->id);
    live_change_set_plan(host, g_steal_pointer(&plan));
    return wait_taken(host, memory->id, error);
}

/* Whether the host has MEMORY. FALSE with ERROR: it has other memory of that name. */
static gboolean
is_there(const LabHost *lab, const LabMemory *memory, GError **error)
{
    const LabMemory *there = lab_change_find_memory(lab, memory->id);
    if (!there)
        return FALSE;
    if (there->size_bytes == memory->size_bytes && there->cell == memory->cell)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_USAGE,
                "the host has memory of that name already, of another size or in another "
                "cell: %s",
                there->id);
    return FALSE;
}

/* What the host has given back without being asked leaves its name and slot. */
static void
settle(Host *host)
{
    const LabHost *lab = live_change_lab(host);
    for (guint i = lab->memory->len; i-- > 0;) {
        g_autofree char *id = g_strdup(((const LabMemory *)lab->memory->pdata[i])->id);
        if (g_hash_table_contains(host->deleted, id))
            live_memory_out(host, id, NULL);
    }
}

JsonObject *
live_memory_plug(Host *host, const char *const *words, JsonObject *request,
                 GError **error)
{
    gboolean is_in = FALSE;
    g_autoptr(GError) failure = NULL;
    LabHost *lab = live_change_lab(host);
    if (json_line_string(request, "expander") || json_line_string(request, "port")) {
        g_set_error_literal(error, HB_ERROR, HB_USAGE,
                            "memory is in a cell and behind no port: say cell=1");
        return NULL;
    }
    settle(host);
    g_autoptr(LabMemory) memory = lab_change_memory(lab, words, error);
    if (!memory)
        return NULL;
    g_autofree char *id = g_strdup(memory->id);
    if (is_there(lab, memory, &failure))
        return conclude(host, id, TRUE, error);
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
    if (!live_surprise_name_is_free(host, id, error) ||
        !live_emulator_is_free(host, id, error))
        return NULL;
    g_ptr_array_add(lab->memory, g_steal_pointer(&memory));
    if (plug_in(host, lab_change_find_memory(lab, id), &is_in, error))
        return conclude(host, id, FALSE, error);
    if (!is_in)
        lab_memory_free(lab_change_unplug_memory(lab, id));
    return NULL;
}

/* ---- unplug
 * ------------------------------------------------------------------------------------ */

static gboolean
wait_given(Host *host, const char *id, GError **error)
{
    const LiveWait end = live_emulator_wait(host, GIVEN_MS, is_given, id);
    if (g_hash_table_contains(host->deleted, id))
        return TRUE;
    if (end == LIVE_WAIT_MET)
        g_set_error(error, HB_ERROR, HB_TIMEOUT,
                    "the host keeps %s: %s; it may be given back when what uses it has "
                    "ended, and 'hostbed log' has what the kernel says",
                    id, why_refused(host, id));
    else if (end == LIVE_WAIT_LATE)
        g_set_error(error, HB_ERROR, HB_TIMEOUT,
                    "the host was asked to give %s back and has not for %d s; what lies "
                    "in it has no room elsewhere perhaps",
                    id, GIVEN_MS / 1000);
    else
        g_set_error_literal(error, HB_ERROR, HB_EMULATOR_DIED, "the host has ended");
    boot_explain(host->boot, error);
    return FALSE;
}

/* One that was asked for is only waited for, unless the host has refused. */
static gboolean
take_out(Host *host, const char *id, GError **error)
{
    if (g_hash_table_contains(host->deleted, id))
        return TRUE;
    if (why_refused(host, id))
        g_hash_table_remove(host->leaving, id);
    if (!g_hash_table_contains(host->leaving, id)) {
        JsonObject *arguments = json_object_new();
        json_object_set_string_member(arguments, "id", id);
        forget_said(host, id);
        if (!live_emulator_command(host, "device_del", arguments, error))
            return FALSE;
        g_hash_table_add(host->leaving, g_strdup(id));
    }
    return wait_given(host, id, error);
}

gboolean
live_memory_out(Host *host, const char *id, GError **error)
{
    LabHost *lab = live_change_lab(host);
    g_autoptr(LabMemory) memory = lab_change_unplug_memory(lab, id);
    g_autoptr(Plan) plan = live_change_plan(host, id, error);
    if (!plan || !take_out(host, id, error)) {
        g_ptr_array_add(lab->memory, g_steal_pointer(&memory));
        return FALSE;
    }
    clear(host, plan_memory(host->plan, id));
    g_hash_table_remove(host->leaving, id);
    g_hash_table_add(host->out, g_strdup(id));
    live_change_set_plan(host, g_steal_pointer(&plan));
    return TRUE;
}

JsonObject *
live_memory_unplug(Host *host, const char *name, GError **error)
{
    g_autofree char *id = g_strdup(name);
    return live_memory_out(host, id, error) ? conclude(host, id, FALSE, error) : NULL;
}
