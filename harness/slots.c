/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "slots.h"

#include "emit.h"
#include "json-line.h"
#include "memory-wire.h"
#include "ost.h"

typedef struct Slots Slots;

typedef struct {
    Slots *slots;
    PlanMemory *memory;
    gboolean there; /* the emulator has it */
    gboolean asked; /* the host was asked to give it back, and has not yet */
    gboolean told;  /* who asked was told how that ended, or nobody did */
    guint busy;     /* commands about it that the emulator has not answered */
    char *refused;  /* what it said to the first that it did not do; NULL: nothing */
} Module;

struct Slots {
    const SessionDriver *driver;
    void *host;
    GPtrArray *modules; /* Module */
    gboolean changed;   /* something came */
    Requests *requests; /* which own it */
};

static void
module_free(gpointer data)
{
    Module *module = data;
    plan_memory_free(module->memory);
    g_free(module->refused);
    g_free(module);
}

static void
answer_about(const Module *module, const char *word, const char *reason)
{
    requests_answer(module->slots->requests, module->memory->id, word, reason);
}

/* ---- the emulator
 * ------------------------------------------------------------------------------ */

/* All commands are sent at once: the emulator does them in turn. Takes COMMANDS. */
static void
ask(Module *module, GPtrArray *commands, QmpReply on_reply)
{
    const Slots *slots = module->slots;
    module->busy += commands->len;
    for (guint i = 0; i < commands->len; i++) {
        const EmitCommand *command = commands->pdata[i];
        slots->driver->ask(slots->host, command->name,
                           json_object_ref(command->arguments), on_reply, module);
    }
    g_ptr_array_unref(commands);
}

/* What was behind the module is gone, too, or never was. */
static void
on_cleared(JsonNode *result, const GError *error, gpointer user_data)
{
    Module *module = user_data;
    if (--module->busy > 0)
        return;
    if (!module->told)
        answer_about(module, module->refused ? "refused" : "gone", module->refused);
    g_clear_pointer(&module->refused, g_free);
}

static void
on_plugged(JsonNode *result, const GError *error, gpointer user_data)
{
    Module *module = user_data;
    if (error && !module->refused)
        module->refused = g_strdup(error->message);
    if (--module->busy > 0)
        return;
    if (module->refused) {
        ask(module, emit_qemu_clear_memory(module->memory), on_cleared);
        return;
    }
    module->there = module->slots->changed = TRUE;
    answer_about(module, "there", NULL);
}

/* That it was asked is no answer yet; that comes with the event. */
static void
on_asked(JsonNode *result, const GError *error, gpointer user_data)
{
    Module *module = user_data;
    module->busy--;
    if (!error || !module->asked)
        return;
    module->asked = FALSE;
    answer_about(module, "refused", error->message);
}

static Module *
find(const Slots *slots, const char *name)
{
    for (guint i = 0; name && i < slots->modules->len; i++) {
        Module *module = slots->modules->pdata[i];
        if (g_str_equal(module->memory->id, name))
            return module;
    }
    return NULL;
}

static void
on_deleted(Module *module)
{
    if (!module->there)
        return;
    module->told = !module->asked;
    module->there = module->asked = FALSE;
    ask(module, emit_qemu_clear_memory(module->memory), on_cleared);
}

static void
on_event(const char *event, JsonObject *data, gpointer user_data)
{
    const char *id;
    g_autofree char *reason = NULL;
    const Slots *slots = user_data;
    if (data && g_strcmp0(event, "DEVICE_DELETED") == 0) {
        Module *deleted = find(slots, json_line_string(data, "device"));
        if (deleted)
            on_deleted(deleted);
        return;
    }
    const OstAnswer answer = ost_read(event, data, &id, &reason);
    Module *module = answer == OST_REFUSED ? find(slots, id) : NULL;
    if (!module || !module->asked)
        return;
    module->asked = FALSE;
    answer_about(module, "refused", reason);
}

/* ---- requests
 * ---------------------------------------------------------------------------------- */

static const char *
plug(Module *module)
{
    if (module->there || module->busy > 0)
        return "it is there already";
    module->told = FALSE;
    ask(module, emit_qemu_plug_memory(module->memory), on_plugged);
    return NULL;
}

static const char *
unplug(Module *module)
{
    if (!module->there || module->busy > 0 || module->asked)
        return "it is not there, or asked for already";
    JsonObject *arguments = json_object_new();
    json_object_set_string_member(arguments, "id", module->memory->id);
    module->asked = TRUE;
    module->busy++;
    module->slots->driver->ask(module->slots->host, "device_del", arguments, on_asked,
                               module);
    return NULL;
}

/* Why MODULE cannot have what REQUEST says; NULL: it gets it. */
static const char *
obey_for(Module *module, const char *request)
{
    static const struct {
        const char *word;
        const char *(*act)(Module *module);
    } requests[] = {{"plug", plug}, {"unplug", unplug}};
    if (!module->slots->driver->ask)
        return "nothing can be plugged into this kind of host";
    for (gsize i = 0; i < G_N_ELEMENTS(requests); i++)
        if (g_str_equal(requests[i].word, request))
            return requests[i].act(module);
    return "one can plug and unplug it";
}

static void
obey(const char *request, gpointer user_data)
{
    const Slots *slots = user_data;
    g_auto(GStrv) words = g_strsplit(request, " ", 3);
    Module *module = g_strv_length(words) == 2 ? find(slots, words[1]) : NULL;
    const char *reason = module ? obey_for(module, words[0]) : NULL;
    if (!module)
        requests_answer(slots->requests, "?", "refused", "no memory of ours was named");
    else if (reason)
        answer_about(module, "refused", reason);
}

/* ---- its life
 * ----------------------------------------------------------------------------------- */

static gboolean
settle(gpointer state)
{
    Slots *slots = state;
    gboolean settled = !slots->changed;
    if (slots->driver->listen)
        slots->driver->listen(slots->host, NULL, NULL);
    for (guint i = 0; i < slots->modules->len; i++)
        settled = settled && ((const Module *)slots->modules->pdata[i])->busy == 0;
    return settled;
}

static void
free_state(gpointer state)
{
    Slots *slots = state;
    g_ptr_array_unref(slots->modules);
    g_free(slots);
}

static const RequestsKind kind = {.obey = obey, .settle = settle, .free = free_state};

Requests *
slots_requests(const Plan *plan, const SessionDriver *driver, void *host)
{
    Slots *slots = g_new0(Slots, 1);
    g_autoptr(GPtrArray) offered = plan_pluggable_memory(plan, MEMORY_MODULES_MAX);
    slots->driver = driver;
    slots->host = host;
    slots->modules = g_ptr_array_new_with_free_func(module_free);
    while (offered->len > 0) {
        Module *module = g_new0(Module, 1);
        *module = (Module){.slots = slots, .memory = g_ptr_array_steal_index(offered, 0)};
        g_ptr_array_add(slots->modules, module);
    }
    slots->requests = requests_new(&kind, slots);
    if (driver->listen)
        driver->listen(host, on_event, slots);
    return slots->requests;
}

char *
slots_environment(const Plan *plan)
{
    g_autoptr(GPtrArray) offered = plan_pluggable_memory(plan, MEMORY_MODULES_MAX);
    GString *text = g_string_new(MEMORY_ENVIRONMENT "=");
    for (guint i = 0; i < offered->len; i++) {
        const PlanMemory *memory = offered->pdata[i];
        g_string_append_printf(text, "%s%s=%d:%" G_GINT64_FORMAT, i > 0 ? " " : "",
                               memory->id, memory->node, memory->size_bytes >> 20);
    }
    return g_string_free(text, FALSE);
}
