/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disks.h"

#include <string.h>

#include "disk-faults.h"
#include "disk-wire.h"

typedef struct Disks Disks;

typedef struct {
    Disks *disks;
    const PlanFunction *function;
    DiskFaults *faults; /* as the emulator was told */
    guint busy;         /* commands that it has not answered */
    char *refused;      /* what it said to the first that it did not do; NULL: nothing */
    gboolean broken;    /* it did some of what it was told */
} Disk;

struct Disks {
    const SessionDriver *driver;
    void *host;
    GPtrArray *list;    /* Disk */
    Requests *requests; /* which own it */
};

static void
disk_free(gpointer data)
{
    Disk *disk = data;
    disk_faults_free(disk->faults);
    g_free(disk->refused);
    g_free(disk);
}

/* ---- the emulator
 * ------------------------------------------------------------------------------------------
 */

static void
answer_about(const Disk *disk, const char *word, const char *reason)
{
    char address[PCI_ADDRESS_SIZE];
    requests_answer(disk->disks->requests,
                    pci_address_text(disk->function->address, address), word, reason);
}

/* What the human monitor has to say is an error. */
static void
on_reply(JsonNode *result, const GError *error, gpointer user_data)
{
    Disk *disk = user_data;
    const char *said = error ? error->message
                       : result && JSON_NODE_HOLDS_VALUE(result)
                           ? json_node_get_string(result)
                           : NULL;
    disk->busy--;
    if (said && *said && !disk->refused)
        disk->refused = g_strdup(said);
    if (disk->busy > 0)
        return;
    disk->broken |= disk->refused != NULL;
    answer_about(disk, disk->refused ? "refused" : "done", disk->refused);
    g_clear_pointer(&disk->refused, g_free);
}

/* The disk has the faults TO (taken) from now on. All commands are sent at once: the
 * emulator does them in turn. */
static void
change(Disk *disk, DiskFaults *to)
{
    const Disks *disks = disk->disks;
    g_autofree char *base = emit_qemu_disk_node(disk->function, 0);
    g_autoptr(GPtrArray) commands =
        disk_faults_commands(disk->function, base, disk->faults, to);
    disk_faults_free(disk->faults);
    disk->faults = to;
    disk->busy = commands->len;
    if (commands->len == 0)
        answer_about(disk, "done", NULL);
    for (guint i = 0; i < commands->len; i++) {
        const EmitCommand *command = commands->pdata[i];
        disks->driver->ask(disks->host, command->name,
                           json_object_ref(command->arguments), on_reply, disk);
    }
}

/* ---- requests
 * ------------------------------------------------------------------------------------------
 */

static const char *
fail(const Disk *disk, char **words, DiskFaults *to)
{
    DiskError error = {.sector = -1};
    guint64 sector;
    if (!disk_request_parse(words[0], &error.on))
        return "requests that fail are read, write, flush or all";
    if (words[0] && words[1]) {
        if (!g_ascii_string_to_unsigned(words[1], 10, 0, G_MAXINT64 / DISK_SECTOR_BYTES,
                                        &sector, NULL))
            return "that is no sector";
        error.sector = (gint64)sector;
    }
    if (!disk_error_check(disk->function, &error, disk->function->size_bytes, NULL))
        return "the disk has no such sector";
    disk_faults_add(to, &error);
    return NULL;
}

static const char *
suspend(const Disk *disk, char **words, DiskFaults *to)
{
    DiskPoint point;
    if (!disk_point_parse(words[0], &point))
        return "requests stand still at read, write, written or flush";
    to->points |= 1u << point;
    return NULL;
}

static const char *
mend(const Disk *disk, char **words, DiskFaults *to)
{
    g_array_set_size(to->errors, 0);
    to->points = 0;
    return NULL;
}

/* Why DISK cannot have what WORDS, behind its address, say; NULL: it gets it. */
static const char *
obey_for(Disk *disk, const char *request, char **words)
{
    static const struct {
        const char *word;
        const char *(*read)(const Disk *disk, char **words, DiskFaults *to);
    } requests[] = {{"fail", fail}, {"suspend", suspend}, {"mend", mend}};
    if (!disk->disks->driver->ask || disk->busy > 0 || disk->broken)
        return "nothing can be done to it now";
    for (gsize i = 0; i < G_N_ELEMENTS(requests); i++) {
        if (!g_str_equal(requests[i].word, request))
            continue;
        g_autoptr(DiskFaults) to = disk_faults_copy(disk->faults);
        const char *reason = requests[i].read(disk, words, to);
        if (!reason && disk->faults->points && to->points)
            reason = "a request of it stands still, or the next one will";
        if (!reason)
            change(disk, g_steal_pointer(&to));
        return reason;
    }
    return "one can say: fail, suspend, mend";
}

static Disk *
find(const Disks *disks, const char *text)
{
    char address[PCI_ADDRESS_SIZE];
    for (guint i = 0; i < disks->list->len; i++) {
        Disk *disk = disks->list->pdata[i];
        if (g_str_equal(pci_address_text(disk->function->address, address), text))
            return disk;
    }
    return NULL;
}

static void
obey(const char *request, gpointer user_data)
{
    const Disks *disks = user_data;
    g_auto(GStrv) words = g_strsplit(request, " ", 5);
    const guint count = g_strv_length(words);
    Disk *disk = count >= 2 && count <= 4 ? find(disks, words[1]) : NULL;
    const char *reason = disk ? obey_for(disk, words[0], words + 2) : NULL;
    if (!disk)
        requests_answer(disks->requests, "?", "refused", "no disk of the plan was named");
    else if (reason)
        answer_about(disk, "refused", reason);
}

/* ---- its life
 * ------------------------------------------------------------------------------------------
 */

/* That of an image is not the suite's to disturb. */
static gboolean
is_offered(const PlanFunction *function)
{
    return function->size_bytes > 0 && disk_is_there(function);
}

static gboolean
settle(gpointer state)
{
    const Disks *disks = state;
    for (guint i = 0; i < disks->list->len; i++) {
        const Disk *disk = disks->list->pdata[i];
        if (disk->faults->nodes != 0 || disk->busy > 0 || disk->broken)
            return FALSE;
    }
    return TRUE;
}

static void
free_state(gpointer state)
{
    Disks *disks = state;
    g_ptr_array_unref(disks->list);
    g_free(disks);
}

static const RequestsKind kind = {.obey = obey, .settle = settle, .free = free_state};

Requests *
disks_requests(const Plan *plan, const SessionDriver *driver, void *host)
{
    Disks *disks = g_new0(Disks, 1);
    disks->driver = driver;
    disks->host = host;
    disks->list = g_ptr_array_new_with_free_func(disk_free);
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = plan->functions->pdata[i];
        if (!is_offered(function))
            continue;
        Disk *disk = g_new0(Disk, 1);
        *disk = (Disk){.disks = disks, .function = function, .faults = disk_faults_new()};
        g_ptr_array_add(disks->list, disk);
    }
    disks->requests = requests_new(&kind, disks);
    return disks->requests;
}

char *
disks_environment(const Plan *plan)
{
    char address[PCI_ADDRESS_SIZE];
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = plan->functions->pdata[i];
        if (is_offered(function))
            g_string_append_printf(text, "%s%s", text->len > 0 ? " " : "",
                                   pci_address_text(function->address, address));
    }
    return text->len > 0 ? g_strconcat(DISK_ENVIRONMENT "=", text->str, NULL) : NULL;
}
