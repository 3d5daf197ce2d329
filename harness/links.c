/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "links.h"

#include <string.h>

#include "link-wire.h"

typedef struct Links Links;

typedef struct {
    Links *links;
    const PlanFunction *nic;
    gboolean asked_up; /* as the emulator was asked last */
    gboolean is_up;
    guint busy; /* commands that it has not answered */
} Link;

struct Links {
    const Plan *plan;
    const SessionDriver *driver;
    void *host;
    GArray *list;       /* Link */
    GHashTable *lossy;  /* set of names (of the plan): networks that lose */
    Requests *requests; /* which own it */
};

static void
on_set(JsonNode *result G_GNUC_UNUSED, const GError *error, gpointer user_data)
{
    Link *link = user_data;
    char address[PCI_ADDRESS_SIZE];
    pci_address_text(link->nic->address, address);
    link->busy--;
    if (!error)
        link->is_up = link->asked_up;
    requests_answer(link->links->requests, address, error ? "refused" : "is",
                    error         ? error->message
                    : link->is_up ? "up"
                                  : "down");
}

static void
set_link(Links *links, const char *where, gboolean up)
{
    char address[PCI_ADDRESS_SIZE];
    for (guint i = 0; i < links->list->len; i++) {
        Link *link = &g_array_index(links->list, Link, i);
        if (strcmp(where, pci_address_text(link->nic->address, address)) != 0)
            continue;
        JsonObject *arguments = json_object_new();
        json_object_set_string_member(arguments, "name", link->nic->id);
        json_object_set_boolean_member(arguments, "up", up);
        link->asked_up = up;
        link->busy++;
        links->driver->ask(links->host, "set_link", arguments, on_set, link);
        return;
    }
    requests_answer(links->requests, "?", "refused",
                    "one can have NICs of the host on networks that join it with others");
}

/* The plan's own word for it, or NULL. */
static const char *
find_network(const Links *links, const char *name)
{
    for (guint i = 0; i < links->list->len; i++) {
        const Link *link = &g_array_index(links->list, Link, i);
        if (strcmp(link->nic->network, name) == 0)
            return link->nic->network;
    }
    return NULL;
}

static gboolean
set_loss(Links *links, const char *name, const char *per_mille, const char *seed)
{
    const char *network = find_network(links, name);
    guint64 losses, number;
    if (!network || !g_ascii_string_to_unsigned(per_mille, 10, 0, 1000, &losses, NULL) ||
        !g_ascii_string_to_unsigned(seed, 10, 0, G_MAXUINT32, &number, NULL))
        return FALSE;
    segments_set_loss(links->driver->segments(links->host), network, (guint)losses,
                      number);
    if (losses > 0)
        g_hash_table_add(links->lossy, (gpointer)network);
    else
        g_hash_table_remove(links->lossy, network);
    requests_answer(links->requests, network, "loses", NULL);
    return TRUE;
}

static gboolean
tally(Links *links, const char *name)
{
    const char *network = find_network(links, name);
    SegmentCounts counts;
    if (!network ||
        !segments_count(links->driver->segments(links->host), network, &counts))
        return FALSE;
    g_autofree char *answer = g_strdup_printf(
        "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
        " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT,
        counts.frames, counts.delivered, counts.lost, counts.dropped, counts.refused);
    requests_answer(links->requests, network, "tallied", answer);
    return TRUE;
}

static void
obey(const char *request, gpointer user_data)
{
    Links *links = user_data;
    g_auto(GStrv) words = g_strsplit(request, " ", 5);
    guint count = g_strv_length(words);
    if (count == 2 && g_str_equal(words[0], "down"))
        set_link(links, words[1], FALSE);
    else if (count == 2 && g_str_equal(words[0], "up"))
        set_link(links, words[1], TRUE);
    else if (!(count == 4 && g_str_equal(words[0], "lose") &&
               set_loss(links, words[1], words[2], words[3])) &&
             !(count == 2 && g_str_equal(words[0], "tally") && tally(links, words[1])))
        requests_answer(links->requests, "?", "refused",
                        "one can say: down ADDRESS, up ADDRESS, lose NETWORK PER_MILLE "
                        "SEED, tally NETWORK, of what joins the host with others");
}

static gboolean
settle(gpointer state)
{
    const Links *links = state;
    for (guint i = 0; i < links->list->len; i++) {
        const Link *link = &g_array_index(links->list, Link, i);
        if (!link->is_up || link->busy > 0)
            return FALSE;
    }
    return g_hash_table_size(links->lossy) == 0;
}

static void
free_state(gpointer state)
{
    Links *links = state;
    g_array_unref(links->list);
    g_hash_table_unref(links->lossy);
    g_free(links);
}

static const RequestsKind kind = {.obey = obey, .settle = settle, .free = free_state};

Requests *
links_requests(const Plan *plan, const SessionDriver *driver, void *host)
{
    Links *links = g_new0(Links, 1);
    g_autoptr(GPtrArray) nics = plan_joined(plan);
    links->plan = plan;
    links->driver = driver;
    links->host = host;
    links->list = g_array_new(FALSE, TRUE, sizeof(Link));
    links->lossy = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < nics->len; i++) {
        const Link link = {.links = links, .nic = nics->pdata[i], .is_up = TRUE};
        g_array_append_val(links->list, link);
    }
    links->requests = requests_new(&kind, links);
    return links->requests;
}

/* A host's two addresses on a network follow each other. */
char *
links_environment(const Plan *plan)
{
    GString *text = g_string_new(LINK_JOINED "=");
    for (guint i = 0; i + 1 < plan->names->len; i += 2) {
        const PlanName *ipv4 = plan->names->pdata[i], *ipv6 = plan->names->pdata[i + 1];
        g_string_append_printf(text, "%s%s/%s/%s/%s", i > 0 ? " " : "", ipv4->host,
                               ipv4->network, ipv4->address, ipv6->address);
    }
    return g_string_free(text, FALSE);
}
