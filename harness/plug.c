/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plug.h"

#include "emit.h"
#include "plug-wire.h"

typedef struct Plugs Plugs;

typedef struct {
    Plugs *plugs;
    const PlanFunction *function;
    gboolean there;   /* the emulator has it */
    gboolean busy;    /* the emulator has not yet answered to a command about it */
    gboolean awaited; /* the suite is to be told when it is gone */
    gboolean asked;   /* the host was asked to give it back, and has not yet */
} Place;

struct Plugs {
    const SessionDriver *driver;
    void *host;
    GArray *places;
    gboolean changed;   /* something came, or what was there from the start has left */
    Requests *requests; /* which own it */
};

/* ---- answers
 * ----------------------------------------------------------------------------------- */

static void
answer_about(const Place *place, const char *word, const char *reason)
{
    char address[PCI_ADDRESS_SIZE];
    requests_answer(place->plugs->requests,
                    pci_address_text(place->function->address, address), word, reason);
}

/* ---- the emulator
 * ------------------------------------------------------------------------------ */

static void
on_plugged(JsonNode *result, const GError *error, gpointer user_data)
{
    Place *place = user_data;
    place->busy = FALSE;
    place->there = error == NULL;
    place->awaited = place->awaited && place->there;
    place->plugs->changed |= place->there;
    answer_about(place, error ? "refused" : "there", error ? error->message : NULL);
}

/* That it was asked is no answer yet; that comes with the event. */
static void
on_asked(JsonNode *result, const GError *error, gpointer user_data)
{
    Place *place = user_data;
    place->busy = FALSE;
    if (!error || !place->there)
        return;
    place->awaited = place->asked = FALSE;
    answer_about(place, "refused", error->message);
}

static void
on_event(const char *event, JsonObject *data, gpointer user_data)
{
    Plugs *plugs = user_data;
    if (g_strcmp0(event, "DEVICE_DELETED") != 0 || !data)
        return;
    const char *id = json_object_get_string_member_with_default(data, "device", NULL);
    for (guint i = 0; id && i < plugs->places->len; i++) {
        Place *place = &g_array_index(plugs->places, Place, i);
        if (!place->there || g_strcmp0(id, place->function->id) != 0)
            continue;
        place->there = place->asked = FALSE;
        if (place->awaited)
            answer_about(place, "gone", NULL);
        place->awaited = FALSE;
        return;
    }
    plugs->changed |= id != NULL;
}

static void
ask_to_plug(Place *place)
{
    const Plugs *plugs = place->plugs;
    place->busy = TRUE;
    plugs->driver->ask(plugs->host, "device_add", emit_qemu_device(place->function),
                       on_plugged, place);
}

static void
ask_to_unplug(Place *place)
{
    const Plugs *plugs = place->plugs;
    JsonObject *arguments = json_object_new();
    json_object_set_string_member(arguments, "id", place->function->id);
    place->busy = place->asked = place->awaited = TRUE;
    plugs->driver->ask(plugs->host, "device_del", arguments, on_asked, place);
}

/* ---- requests
 * ---------------------------------------------------------------------------------- */

static Place *
find(const Plugs *plugs, const char *text)
{
    char address[PCI_ADDRESS_SIZE];
    for (guint i = 0; i < plugs->places->len; i++) {
        Place *place = &g_array_index(plugs->places, Place, i);
        if (g_str_equal(pci_address_text(place->function->address, address), text))
            return place;
    }
    return NULL;
}

static void
plug(Place *place)
{
    if (place->there || place->busy)
        answer_about(place, "refused", "its port is not empty");
    else
        ask_to_plug(place);
}

static void
unplug(Place *place)
{
    if (!place->there || place->busy || place->asked)
        answer_about(place, "refused", "it is not there, or asked for already");
    else
        ask_to_unplug(place);
}

static void
await(Place *place)
{
    if (place->there || place->busy)
        place->awaited = TRUE;
    else
        answer_about(place, "gone", NULL);
}

static void
obey(const char *request, gpointer user_data)
{
    Plugs *plugs = user_data;
    static const struct {
        const char *word;
        void (*act)(Place *place);
    } requests[] = {{"plug", plug}, {"unplug", unplug}, {"await", await}};
    g_auto(GStrv) words = g_strsplit(request, " ", 3);
    Place *place = g_strv_length(words) == 2 ? find(plugs, words[1]) : NULL;
    if (!place) {
        requests_answer(plugs->requests, "?", "refused", "no NIC of the plan was named");
        return;
    }
    if (!plugs->driver->ask) {
        answer_about(place, "refused", "nothing can be plugged into this kind of host");
        return;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(requests); i++) {
        if (g_str_equal(words[0], requests[i].word)) {
            requests[i].act(place);
            return;
        }
    }
    answer_about(place, "refused", "one can plug, unplug and await it");
}

/* ---- its life
 * ----------------------------------------------------------------------------------- */

static gboolean
settle(gpointer state)
{
    Plugs *plugs = state;
    gboolean settled = !plugs->changed;
    if (plugs->driver->listen)
        plugs->driver->listen(plugs->host, NULL, NULL);
    for (guint i = 0; i < plugs->places->len; i++) {
        const Place *place = &g_array_index(plugs->places, Place, i);
        settled = settled && !place->busy;
    }
    return settled;
}

static void
free_state(gpointer state)
{
    Plugs *plugs = state;
    g_array_unref(plugs->places);
    g_free(plugs);
}

static const RequestsKind kind = {.obey = obey, .settle = settle, .free = free_state};

Requests *
plugs_requests(const Plan *plan, const SessionDriver *driver, void *host)
{
    Plugs *plugs = g_new0(Plugs, 1);
    g_autoptr(GPtrArray) functions = plan_pluggable(plan);
    plugs->driver = driver;
    plugs->host = host;
    plugs->places = g_array_new(FALSE, TRUE, sizeof(Place));
    for (guint i = 0; i < functions->len; i++) {
        const Place place = {.plugs = plugs, .function = functions->pdata[i]};
        g_array_append_val(plugs->places, place);
    }
    plugs->requests = requests_new(&kind, plugs);
    if (driver->listen)
        driver->listen(host, on_event, plugs);
    return plugs->requests;
}

char *
plugs_environment(const Plan *plan)
{
    g_autoptr(GPtrArray) functions = plan_pluggable(plan);
    GString *text = g_string_new(PLUG_ENVIRONMENT "=");
    for (guint i = 0; i < functions->len; i++) {
        const PlanFunction *function = functions->pdata[i];
        char address[PCI_ADDRESS_SIZE];
        g_string_append_printf(text, "%s%s", i > 0 ? " " : "",
                               pci_address_text(function->address, address));
    }
    return g_string_free(text, FALSE);
}
