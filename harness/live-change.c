/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Devices that are plugged into a host that is up, and taken out (memory: live-memory.c).
 * The lab that it was made of is changed and planned anew; what that plan says of the
 * device is done to the host, and from then on it is the plan that the host is compared
 * with.
 */
#include <string.h>

#include "emit.h"
#include "error.h"
#include "json-line.h"
#include "lab-boot-private.h"
#include "lab-change.h"
#include "live-private.h"
#include "plan-change.h"

/* A guest that was asked to give a device back waits five seconds for a second thought;
 * a busy machine is slow. */
#define DELETED_MS 60000
/* The namespace comes half a second after its controller; a busy machine is slow. */
#define DISK_S 30

/* ---- the plan
 * ------------------------------------------------------------------------------------------
 */

LabHost *
live_change_lab(const Host *host)
{
    const Lab *lab = host->server->options->lab;
    for (guint i = 0; i < lab->hosts->len; i++) {
        LabHost *found = lab->hosts->pdata[i];
        if (g_str_equal(found->id, host->plan->host_id))
            return found;
    }
    g_assert_not_reached();
}

static Plan *
steal_plan(GPtrArray *plans, const char *host)
{
    for (guint i = 0; i < plans->len; i++) {
        const Plan *plan = plans->pdata[i];
        if (g_str_equal(plan->host_id, host))
            return g_ptr_array_steal_index(plans, i);
    }
    return NULL;
}

Plan *
live_change_plan(const Host *host, const char *id, GError **error)
{
    const LiveServeOptions *options = host->server->options;
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(GPtrArray) plans =
        options->plan_again(options->lab, findings, options->plan_data);
    for (guint i = 0; !plans && i < findings_total(findings); i++) {
        const Finding *finding = findings_get(findings, i);
        if (finding->level > FINDING_UNSUPPORTED)
            continue;
        g_set_error_literal(error, HB_ERROR,
                            finding->level == FINDING_ERROR ? HB_USAGE : HB_UNSUPPORTED,
                            finding->message);
        return NULL;
    }
    g_autoptr(Plan) plan = plans ? steal_plan(plans, host->plan->host_id) : NULL;
    if (plan && plan_change_check(host->plan, plan, id, error)) {
        plan_change_carry(host->plan, plan, id);
        return g_steal_pointer(&plan);
    }
    if (!plan)
        g_set_error(error, HB_ERROR, HB_USAGE, "the lab cannot be planned with that");
    return NULL;
}

void
live_change_set_plan(Host *host, Plan *plan)
{
    g_clear_pointer(&host->changed, plan_free);
    host->changed = plan;
    host->plan = plan;
}

void
live_change_forget(Host *host)
{
    LabHost *now = live_change_lab(host);
    const Lab *lab = host->server->options->lab;
    host->plugged = FALSE;
    g_hash_table_remove_all(host->deleted);
    g_hash_table_remove_all(host->leaving);
    g_hash_table_remove_all(host->out);
    g_hash_table_remove_all(host->accepted);
    g_hash_table_remove_all(host->refused);
    g_hash_table_remove_all(host->torn);
    g_hash_table_remove_all(host->unlinked);
    g_hash_table_remove_all(host->disk_faults);
    if (!host->changed)
        return;
    live_network_forget(host);
    /* The lab as it was written, of which the host's part replaces what it became. */
    gsize length;
    guint index;
    g_autoptr(Findings) findings = findings_new();
    const char *text = g_bytes_get_data(lab->source, &length);
    g_autoptr(Lab) written =
        lab_parse_text(text, length, host->server->options->file, findings);
    if (written && g_ptr_array_find(lab->hosts, now, &index)) {
        gpointer fresh = written->hosts->pdata[index];
        written->hosts->pdata[index] = now;
        lab->hosts->pdata[index] = fresh;
    }
    host->plan = host->start;
    g_clear_pointer(&host->changed, plan_free);
}

/* ---- the emulator
 * ------------------------------------------------------------------------------------------
 */

static gboolean
command(Host *host, const EmitCommand *command, GError **error)
{
    return live_emulator_command(host, command->name, json_object_ref(command->arguments),
                                 error);
}

/* What stood behind FUNCTION; what is not there need not be taken away. */
static void
clear_behind(Host *host, const PlanFunction *function)
{
    g_autoptr(GPtrArray) commands =
        emit_qemu_clear(function, live_network_stays(host, function));
    for (guint i = 0; i < commands->len; i++)
        command(host, commands->pdata[i], NULL);
    live_network_close(host, function);
}

static gboolean
plug_in(Host *host, const PlanFunction *function, GError **error)
{
    JsonObject *netdev;
    if (!live_network_open(host, function, &netdev, error))
        return FALSE;
    g_autoptr(GPtrArray) commands = emit_qemu_plug(function, netdev);
    g_hash_table_remove(host->deleted, function->id);
    for (guint i = 0; i < commands->len; i++) {
        if (command(host, commands->pdata[i], error))
            continue;
        if (i > 0)
            clear_behind(host, function);
        else
            live_network_abandon(host, function);
        return FALSE;
    }
    return TRUE;
}

static gboolean
is_deleted(const Host *host, const char *id)
{
    return g_hash_table_contains(host->deleted, id);
}

/* Until the guest has given ID back. */
static gboolean
wait_deleted(Host *host, const char *id, GError **error)
{
    const LiveWait end = live_emulator_wait(host, DELETED_MS, is_deleted, id);
    if (end == LIVE_WAIT_MET)
        return TRUE;
    if (end == LIVE_WAIT_LATE)
        g_set_error(
            error, HB_ERROR, HB_TIMEOUT,
            "the host was asked to give %s back and has not for %d s; who uses it "
            "there, by VFIO perhaps, has to release it",
            id, DELETED_MS / 1000);
    else
        g_set_error_literal(error, HB_ERROR, HB_EMULATOR_DIED, "the host has ended");
    boot_explain(host->boot, error);
    return FALSE;
}

/* How a device leaves. */
typedef enum {
    LEAVES_ASKED,
    LEAVES_TORN_OUT,
    LEAVES_UNTOLD, /* the same, and the host is not told */
} Leaves;

/* A second press of the button while the guest makes up its mind would take the first
 * back, so that one that was asked is only waited for. */
static gboolean
ask_back(Host *host, const char *id, GError **error)
{
    if (!g_hash_table_contains(host->leaving, id)) {
        const EmitCommand ask = {"device_del", json_object_new()};
        json_object_set_string_member(ask.arguments, "id", id);
        gboolean asked = command(host, &ask, error);
        json_object_unref(ask.arguments);
        if (!asked)
            return FALSE;
        g_hash_table_add(host->leaving, g_strdup(id));
    }
    return wait_deleted(host, id, error);
}

static gboolean
take_out(Host *host, const char *id, Leaves how, GError **error)
{
    if (!live_emulator_has(host, id))
        return TRUE;
    if (!live_disk_mend(host, id, error))
        return FALSE;
    if (how == LEAVES_ASKED)
        return ask_back(host, id, error);
    return live_surprise_tear_out(host, plan_function(host->plan, id),
                                  how == LEAVES_UNTOLD, error) &&
           wait_deleted(host, id, error);
}

/* ---- plug
 * ------------------------------------------------------------------------------------------
 */

/* The new member of the lab is there; does what follows from it. */
static gboolean
follow_plug(Host *host, const char *id, GError **error)
{
    g_autoptr(Plan) plan = live_change_plan(host, id, error);
    const PlanFunction *function = plan ? plan_function(plan, id) : NULL;
    if (!function || !live_network_find(host, plan, id, error) ||
        !live_emulator_is_free(host, id, error) ||
        !live_modules_load(host, plan, error) || !plug_in(host, function, error))
        return FALSE;
    g_hash_table_remove(host->out, id);
    host->plugged = TRUE;
    live_change_set_plan(host, g_steal_pointer(&plan));
    return TRUE;
}

static JsonObject *
describe(const Host *host, const char *id, GPtrArray *results)
{
    char address[PCI_ADDRESS_SIZE];
    const PlanFunction *function = plan_function(host->plan, id);
    JsonObject *answer = live_check_answer(results);
    json_object_set_string_member(answer, "device", id);
    if (!function)
        return answer;
    pci_address_text(function->address, address);
    json_object_set_string_member(answer, "address", address);
    json_object_set_string_member(answer, "port", function->bus);
    json_object_set_int_member(answer, "node", function->node);
    return answer;
}

/* Compares, and says so of the device ID. ALREADY: nothing was to be done. */
static JsonObject *
conclude(Host *host, const char *id, gboolean already, GError **error)
{
    g_autoptr(GPtrArray) results = live_check_until_same(host, error);
    if (!results)
        return NULL;
    JsonObject *answer = describe(host, id, results);
    json_object_set_boolean_member(answer, "already", already);
    return answer;
}

/* Whether the host has what NODE asks for: the same by name, kind and model. FALSE with
 * ERROR: it has another of that name. */
static gboolean
is_there(const Host *host, const LabNode *node, GError **error)
{
    const LabHost *lab = live_change_lab(host);
    const PlanFunction *function = node->id ? plan_function(host->plan, node->id) : NULL;
    if (node->id && lab_change_find_memory(lab, node->id)) {
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "the host has memory of that name already: %s", node->id);
        return FALSE;
    }
    if (!function)
        return FALSE;
    LabNode *there = lab_change_find(lab, node->id);
    if (there && there->kind == node->kind && g_strcmp0(there->model, node->model) == 0)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_USAGE, "the host has a %s of that name already: %s",
                there ? lab_kind_name(there->kind) : "device", node->id);
    return FALSE;
}

/* A controller that Linux's driver has gets a disk as soon as that has asked for its
 * namespace. "nvme0c1n1" is a way to the disk nvme0n1. */
static gboolean
await_disk(Host *host, const PlanFunction *function, GError **error)
{
    static const char look[] =
        "cd /sys/bus/pci/devices/\"$1\" || exit 0\n"
        "read -r now rest </proc/uptime\n"
        "end=$((${now%.*} + $2))\n"
        "while [ ${now%.*} -lt $end ]; do\n"
        "    case $(readlink driver) in */nvme) ;; *) exit 0 ;; esac\n"
        "    for way in nvme/nvme*/nvme*n*; do\n"
        "        way=${way##*/}\n"
        "        disk=${way%%c*}\n"
        "        [ \"$disk\" = \"$way\" ] || disk=${disk}n${way##*n}\n"
        "        [ ! -e \"/dev/$disk\" ] || exit 0\n"
        "    done\n"
        "    sleep 0.1\n"
        "    read -r now rest </proc/uptime\n"
        "done\n"
        "echo none\n";
    char address[PCI_ADDRESS_SIZE];
    g_autofree char *said = NULL;
    pci_address_text(function->address, address);
    const char *const argv[] = {"sh", "-c", look, "sh", address, G_STRINGIFY(DISK_S),
                                NULL};
    if (function->size_bytes <= 0)
        return TRUE;
    if (!lab_boot_run(host->boot, argv, &said, error))
        return FALSE;
    if (!*said)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_TIMEOUT,
                "%s is in, and its driver has made no disk of it in %d s", function->id,
                DISK_S);
    return FALSE;
}

static JsonObject *
conclude_plug(Host *host, const char *id, gboolean already, GError **error)
{
    g_autoptr(JsonObject) answer = conclude(host, id, already, error);
    return answer && await_disk(host, plan_function(host->plan, id), error)
               ? g_steal_pointer(&answer)
               : NULL;
}

static const PlanFunction *
with_mac(const Plan *plan, const char *mac)
{
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = plan->functions->pdata[i];
        if (g_strcmp0(function->mac, mac) == 0)
            return function;
    }
    return NULL;
}

/* As in a lab, each is there once; but those that nobody wrote are of hosts that run. */
static gboolean
check_mac(const Host *host, const LabNode *node, GError **error)
{
    const GPtrArray *hosts = host->server->hosts;
    for (guint i = 0; node->mac && i < hosts->len; i++) {
        const Host *other = hosts->pdata[i];
        const PlanFunction *there = with_mac(other->plan, node->mac);
        if (!there)
            continue;
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "%s is the MAC of %s of %s already; choose another, or leave it out",
                    node->mac, there->id ? there->id : "a virtual function",
                    other->plan->host_id);
        return FALSE;
    }
    return TRUE;
}

JsonObject *
live_change_plug(Host *host, JsonObject *request, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_auto(GStrv) words = live_request_strings(request, "device");
    if (lab_change_is_memory((const char *const *)words))
        return live_memory_plug(host, (const char *const *)words, request, error);
    g_autoptr(LabNode) node = lab_change_device((const char *const *)words, error);
    if (!node)
        return NULL;
    const char *expander = json_line_string(request, "expander");
    const char *port_id = json_line_string(request, "port");
    if (is_there(host, node, &failure))
        return plan_change_is_at(host->plan, plan_function(host->plan, node->id),
                                 expander, port_id, error)
                   ? conclude_plug(host, node->id, TRUE, error)
                   : NULL;
    g_auto(GStrv) kept = live_surprise_kept_ports(host);
    if (!failure)
        check_mac(host, node, &failure);
    const PlanFunction *port =
        failure ? NULL
                : plan_change_port(host->plan, expander, port_id,
                                   (const char *const *)kept, &failure);
    if (!port || !live_surprise_port_is_empty(host, port, node->id, &failure)) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
    const LabNode *plugged = node;
    lab_change_plug(live_change_lab(host), port->id, g_steal_pointer(&node));
    g_autofree char *id = g_strdup(plugged->id);
    if (follow_plug(host, id, error))
        return conclude_plug(host, id, FALSE, error);
    lab_node_free(lab_change_unplug(live_change_lab(host), id, NULL));
    return NULL;
}

/* ---- unplug
 * ------------------------------------------------------------------------------------------
 */

/* The device is out of the emulator; the plan follows. */
static gboolean
follow_unplug(Host *host, const char *id, Plan *plan)
{
    clear_behind(host, plan_function(host->plan, id));
    g_hash_table_remove(host->leaving, id);
    g_hash_table_remove(host->unlinked, id);
    g_hash_table_remove(host->disk_faults, id);
    g_hash_table_add(host->out, g_strdup(id));
    live_change_set_plan(host, plan);
    return TRUE;
}

/* "10.100.0.1/24" and "10.100.0.1" */
static gboolean
has_address(const PlanFunction *nic, const char *address)
{
    const gsize length = strlen(address);
    return nic->ipv4 && strncmp(nic->ipv4, address, length) == 0 &&
           nic->ipv4[length] == '/';
}

/* What comes to a port of the machine would find nobody. */
static gboolean
check_forwards(const Host *host, const PlanFunction *function, GError **error)
{
    const PlanUplink *uplink =
        function->network ? plan_uplink(host->plan, function->network) : NULL;
    for (guint i = 0; uplink && i < uplink->forwards->len; i++) {
        const PlanPassage *forward = uplink->forwards->pdata[i];
        if (!has_address(function, forward->guest))
            continue;
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "%s cannot be taken out: %s of this machine is forwarded to %s by "
                    "it; 'hostbed link %s %s down' pulls its cable",
                    function->id, forward->to, host->plan->host_id, host->plan->host_id,
                    function->id);
        return FALSE;
    }
    return TRUE;
}

static gboolean
unplug(Host *host, const char *id, Leaves how, GError **error)
{
    const char *port;
    LabNode *node = lab_change_unplug(live_change_lab(host), id, &port);
    g_autofree char *back = g_strdup(node ? port : NULL);
    Plan *plan = node ? live_change_plan(host, id, error) : NULL;
    if (plan && take_out(host, id, how, error)) {
        lab_node_free(node);
        return follow_unplug(host, id, plan);
    }
    plan_free(plan);
    if (node)
        lab_change_plug(live_change_lab(host), back, node);
    else
        g_set_error(error, HB_ERROR, HB_USAGE, "no port of the lab has %s", id);
    return FALSE;
}

/* What was asked back in vain, and went later. */
static void
settle(Host *host)
{
    guint count;
    g_autofree gpointer *ids = g_hash_table_get_keys_as_array(host->leaving, &count);
    for (guint i = 0; i < count; i++) {
        g_autofree char *id = g_strdup(ids[i]);
        if (!g_hash_table_contains(host->deleted, id))
            continue;
        if (lab_change_find_memory(live_change_lab(host), id))
            live_memory_out(host, id, NULL);
        else
            unplug(host, id, LEAVES_ASKED, NULL);
    }
}

void
live_change_settle(Host *host)
{
    if (g_hash_table_size(host->leaving) > 0)
        settle(host);
}

static Leaves
read_leaves(JsonObject *request)
{
    const char *how = json_line_string(request, "surprise");
    if (!how)
        return LEAVES_ASKED;
    return g_str_equal(how, "untold") ? LEAVES_UNTOLD : LEAVES_TORN_OUT;
}

/* The host cannot be as its manifest says while it knows nothing. */
static JsonObject *
conclude_untold(const Host *host, const char *id)
{
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    JsonObject *answer = describe(host, id, none);
    json_object_set_boolean_member(answer, "untold", TRUE);
    return answer;
}

/* It left before, and the host may not have noticed. */
static JsonObject *
conclude_out(Host *host, const char *id, Leaves how, GError **error)
{
    const gboolean already = !g_hash_table_contains(host->torn, id);
    if (!already && how == LEAVES_UNTOLD)
        return conclude_untold(host, id);
    return live_surprise_await(host, id, error) ? conclude(host, id, already, error)
                                                : NULL;
}

static JsonObject *
refuse_memory(const char *name, GError **error)
{
    g_set_error(error, HB_ERROR, HB_USAGE,
                "%s is memory, which leaves only when the host gives it back; leave "
                "--surprise and --untold out",
                name);
    return NULL;
}

JsonObject *
live_change_unplug(Host *host, JsonObject *request, GError **error)
{
    const Leaves how = read_leaves(request);
    const char *name = json_line_string(request, "device");
    if (name && lab_change_find_memory(live_change_lab(host), name))
        return how == LEAVES_ASKED ? live_memory_unplug(host, name, error)
                                   : refuse_memory(name, error);
    if (name && g_hash_table_contains(host->out, name) &&
        !plan_function(host->plan, name))
        return conclude_out(host, name, how, error);
    const PlanFunction *function =
        plan_change_device(host->plan, name ? name : "", error);
    if (!function || !check_forwards(host, function, error))
        return NULL;
    g_autofree char *id = g_strdup(function->id);
    if (!unplug(host, id, how, error))
        return NULL;
    if (how == LEAVES_UNTOLD)
        return conclude_untold(host, id);
    return live_surprise_await(host, id, error) ? conclude(host, id, FALSE, error) : NULL;
}

/* ---- events
 * ------------------------------------------------------------------------------------------
 */

void
live_change_event(Host *host, const char *event, JsonObject *data)
{
    const char *id = data ? json_line_string(data, "device") : NULL;
    if (id && g_str_equal(event, "DEVICE_DELETED"))
        g_hash_table_add(host->deleted, g_strdup(id));
}
