/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The links of a host's NICs go down and come up, as when somebody pulls a cable. The
 * emulator stops passing frames at once; whether the host has noticed is asked there,
 * since not every emulator tells its driver (QEMU 7.2 has an e1000e that does not).
 */
#include <string.h>

#include "error.h"
#include "json-line.h"
#include "live-private.h"
#include "plan-change.h"

/* The host's driver looks every two seconds at most. */
#define NOTICE_TURNS "50" /* of 100 ms */
#define NOTICE_MS 60000

/* ---- whether the host has noticed
 * ------------------------------------------------------------------------------ */

/* Of the exit statuses of the script. */
typedef enum {
    NOTICED = 0,
    NOT_NOTICED = 10,
    NOBODY_LOOKS = 11, /* no interface of it is up: VFIO has it, or nobody */
} Notice;

/* Of an interface that is not up the carrier cannot be read. */
static const char look[] = "cd /sys/bus/pci/devices/\"$1\" || exit 11\n"
                           "turn=0\n"
                           "while :; do\n"
                           "    seen=\n"
                           "    for folder in net/* virtio*/net/*; do\n"
                           "        seen=$seen$(cat \"$folder/carrier\" 2>/dev/null)\n"
                           "    done\n"
                           "    [ -n \"$seen\" ] || exit 11\n"
                           "    [ \"$seen\" != \"$2\" ] || exit 0\n"
                           "    turn=$((turn + 1))\n"
                           "    [ $turn -lt " NOTICE_TURNS " ] || exit 10\n"
                           "    sleep 0.1\n"
                           "done\n";

static Notice
ask_host(Host *host, const PlanFunction *nic, gboolean up)
{
    char address[PCI_ADDRESS_SIZE];
    GuestExit end = {0};
    pci_address_text(nic->address, address);
    const char *const argv[] = {"sh", "-c", look, "sh", address, up ? "1" : "0", NULL};
    const GuestCommand command = {
        .argv = argv,
        .stdin_fd = -1,
        .stdout_fd = -1,
        .stderr_fd = -1,
        .timeout_ms = NOTICE_MS,
    };
    if (!guest_run(host->boot->guest, &command, &end, boot_cancellable(host->boot), NULL))
        return NOBODY_LOOKS;
    return end.status == NOTICED || end.status == NOT_NOTICED ? (Notice)end.status
                                                              : NOBODY_LOOKS;
}

/* ---- the emulator
 * ------------------------------------------------------------------------------------------
 */

gboolean
live_link_set(Host *host, const char *id, gboolean up, GError **error)
{
    JsonObject *arguments = json_object_new();
    json_object_set_string_member(arguments, "name", id);
    json_object_set_boolean_member(arguments, "up", up);
    if (!live_emulator_command(host, "set_link", arguments, error))
        return FALSE;
    if (up)
        g_hash_table_remove(host->unlinked, id);
    else
        g_hash_table_add(host->unlinked, g_strdup(id));
    return TRUE;
}

/* ---- what it loses
 * ------------------------------------------------------------------------------------------
 */

static guint
loss_of(const Host *host, const PlanFunction *nic)
{
    g_autofree char *port = boot_port_name(host->plan, nic);
    return host->server->segments && nic->network
               ? segments_port_loss(host->server->segments, nic->network, port)
               : 0;
}

/* Frames between the NICs of one host never leave its emulator. */
static gboolean
set_loss(const Host *host, const PlanFunction *nic, gint64 per_mille, GError **error)
{
    g_autofree char *port = boot_port_name(host->plan, nic);
    if (per_mille < 0 || per_mille > 1000) {
        g_set_error(error, HB_ERROR, HB_USAGE, "a link loses 0 to 1000 of 1000 frames");
        return FALSE;
    }
    if (host->server->segments && nic->network &&
        segments_set_port_loss(host->server->segments, nic->network, port,
                               (guint)per_mille, g_random_int()))
        return TRUE;
    g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                "%s is on no network that joins hosts, and only those lose frames",
                nic->id);
    return FALSE;
}

/* ---- the request
 * ------------------------------------------------------------------------------------------
 */

static JsonObject *
describe(const Host *host, const PlanFunction *nic)
{
    char address[PCI_ADDRESS_SIZE];
    JsonObject *object = json_object_new();
    pci_address_text(nic->address, address);
    json_object_set_string_member(object, "device", nic->id);
    json_object_set_string_member(object, "address", address);
    json_object_set_boolean_member(object, "up",
                                   !g_hash_table_contains(host->unlinked, nic->id));
    if (nic->network)
        json_object_set_string_member(object, "network", nic->network);
    json_object_set_int_member(object, "loss", loss_of(host, nic));
    return object;
}

static JsonObject *
lose(const Host *host, const PlanFunction *nic, gint64 per_mille, GError **error)
{
    const guint before = loss_of(host, nic);
    if (!set_loss(host, nic, per_mille, error))
        return NULL;
    JsonObject *answer = describe(host, nic);
    json_object_set_boolean_member(answer, "already", before == per_mille);
    return answer;
}

static JsonObject *
list(const Host *host)
{
    JsonArray *array = json_array_new();
    for (guint i = 0; i < host->plan->functions->len; i++) {
        const PlanFunction *function = host->plan->functions->pdata[i];
        if (function->kind == LAB_NIC)
            json_array_add_object_element(array, describe(host, function));
    }
    JsonObject *answer = json_object_new();
    json_object_set_array_member(answer, "nics", array);
    return answer;
}

JsonObject *
live_link(Host *host, JsonObject *request, GError **error)
{
    const char *name = json_line_string(request, "device");
    const gboolean up = json_object_get_boolean_member_with_default(request, "up", TRUE);
    const PlanFunction *nic = name ? plan_change_nic(host->plan, name, error) : NULL;
    if (!name)
        return list(host);
    if (!nic)
        return NULL;
    if (json_object_has_member(request, "loss"))
        return lose(host, nic, json_line_int(request, "loss", -1), error);
    const gboolean was_up = !g_hash_table_contains(host->unlinked, nic->id);
    if (!live_link_set(host, nic->id, up, error))
        return NULL;
    const Notice notice = ask_host(host, nic, up);
    JsonObject *answer = describe(host, nic);
    json_object_set_boolean_member(answer, "already", was_up == up);
    json_object_set_boolean_member(answer, "unnoticed", notice == NOT_NOTICED);
    return answer;
}
