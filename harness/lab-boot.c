/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab-boot-private.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "boot-private.h"
#include "emit.h"
#include "error.h"
#include "printable.h"
#include "wire.h"

/* Links come up within seconds; this is for emulation on a busy machine. */
#define RUN_MS 180000
#define REASON_MAX 300

/* ---- parts
 * ---------------------------------------------------------------------------------------
 */

LabBoot *
lab_boot_new(void)
{
    LabBoot *lab = g_new0(LabBoot, 1);
    lab->boots = g_ptr_array_new_with_free_func((GDestroyNotify)boot_free);
    return lab;
}

/* The emulators go first, so that none sends to nobody. */
void
lab_boot_free(LabBoot *lab)
{
    if (!lab)
        return;
    g_ptr_array_unref(lab->boots);
    uplinks_free(lab->uplinks);
    segments_free(lab->segments);
    g_free(lab->obstacle);
    g_free(lab);
}

Boot *
lab_boot_own(const LabBoot *lab)
{
    return lab->boots->pdata[0];
}

Boot *
lab_boot_peer(const LabBoot *lab, const char *host)
{
    for (guint i = 1; i < lab->boots->len; i++) {
        Boot *boot = lab->boots->pdata[i];
        if (g_str_equal(boot->recipe->plan->host_id, host))
            return boot;
    }
    g_assert_not_reached();
}

Segments *
lab_boot_segments(const GPtrArray *plans)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();
    for (guint i = 0; i < plans->len; i++) {
        g_autoptr(GPtrArray) nics = plan_joined(plans->pdata[i]);
        for (guint j = 0; j < nics->len; j++) {
            const PlanFunction *nic = nics->pdata[j];
            if (g_hash_table_add(seen, nic->network))
                g_strv_builder_add(names, nic->network);
        }
    }
    g_auto(GStrv) list = g_strv_builder_end(names);
    return *list ? segments_new((const char *const *)list) : NULL;
}

char *
lab_boot_log_dir(const char *log_dir, const Plan *plan, gboolean first, GError **error)
{
    if (first)
        return g_strdup(log_dir);
    g_autofree char *path = g_build_filename(log_dir, plan->host_id, NULL);
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return g_steal_pointer(&path);
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot make %s: %s", path,
                g_strerror(errno));
    return NULL;
}

gboolean
lab_boot_capture(LabBoot *lab, gboolean capture, const char *log_dir, GError **error)
{
    g_autoptr(GPtrArray) networks = plan_networks(lab_boot_own(lab)->recipe->plan);
    for (guint i = 0; capture && lab->segments && i < networks->len; i++) {
        const char *network = networks->pdata[i];
        g_autofree char *file = emit_capture_file(log_dir, network);
        if (plan_joins_hosts(lab_boot_own(lab)->recipe->plan, network) &&
            !segments_capture(lab->segments, network, file, error))
            return FALSE;
    }
    return TRUE;
}

void
lab_boot_name_error(const LabBoot *lab, const Plan *plan, GError **error)
{
    if (lab->segments && error)
        g_prefix_error(error, "host '%s': ", plan->host_id);
}

/* ---- commands
 * ------------------------------------------------------------------------------------ */

/* What a command says on its standard output and its standard error. */
typedef struct {
    GString *output, *errors;
} Said;

static void
on_output(int stream, const guint8 *data, gsize length, gpointer user_data)
{
    const Said *said = user_data;
    GString *text = stream == 2 ? said->errors : said->output;
    if (text->len < (stream == 2 ? REASON_MAX : LAB_BOOT_OUTPUT_MAX))
        g_string_append_len(text, (const char *)data, (gssize)length);
}

gboolean
lab_boot_run(Boot *boot, const char *const *argv, char **output, GError **error)
{
    g_autoptr(GString) words = g_string_new(NULL);
    g_autoptr(GString) errors = g_string_new(NULL);
    Said streams = {words, errors};
    g_autoptr(GError) reason = NULL;
    GuestExit end = {0};
    const GuestCommand command = {
        .argv = argv,
        .stdin_fd = -1,
        .stdout_fd = -1,
        .stderr_fd = -1,
        .output = on_output,
        .user_data = &streams,
        .timeout_ms = RUN_MS,
    };
    if (!guest_run(boot->guest, &command, &end, boot_cancellable(boot), &reason)) {
        boot_explain(boot, &reason);
        g_propagate_error(error, g_steal_pointer(&reason));
        return FALSE;
    }
    if (end.status == 0 && end.signal == 0 && !end.timed_out) {
        if (output)
            *output = g_string_free(g_steal_pointer(&words), FALSE);
        return TRUE;
    }
    g_strchomp(errors->str);
    g_autofree char *said = printable(errors->str, strlen(errors->str), REASON_MAX);
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "%s %s: %s; logs: %s", argv[0],
                end.timed_out ? "did not end" : "failed", *said ? said : "without a word",
                boot->log_dir);
    return FALSE;
}

gboolean
lab_boot_run_in_peers(LabBoot *lab, const char *const *argv, GError **error)
{
    for (guint i = 1; i < lab->boots->len; i++) {
        Boot *boot = lab->boots->pdata[i];
        if (!lab_boot_run(boot, argv, NULL, error)) {
            lab_boot_name_error(lab, boot->recipe->plan, error);
            return FALSE;
        }
    }
    return TRUE;
}

/* ---- addresses and names
 * ------------------------------------------------------------------------- */

static void
append_uplink(GString *text, const PlanUplink *uplink)
{
    if (uplink->services->len > 0)
        g_string_append_printf(text, "name %s " PLAN_UPLINK_NAME ".%s%s\n", uplink->door,
                               uplink->network,
                               uplink->is_first ? " " PLAN_UPLINK_NAME : "");
    if (uplink->is_default)
        g_string_append_printf(
            text, "route %.*s %.*s\ndns %s\n", (int)strcspn(uplink->ipv4, "/"),
            uplink->ipv4, (int)strcspn(uplink->ipv6, "/"), uplink->ipv6, uplink->dns);
}

/* As HB_JOIN_PATH has it. */
static GBytes *
joined_text(const Plan *plan)
{
    GString *text = g_string_new(NULL);
    char address[PCI_ADDRESS_SIZE];
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = plan->functions->pdata[i];
        if (function->ipv4)
            g_string_append_printf(text, "nic %s %s %s\n",
                                   pci_address_text(function->address, address),
                                   function->ipv4, function->ipv6);
    }
    for (guint i = 0; i < plan->names->len; i++) {
        const PlanName *name = plan->names->pdata[i];
        g_string_append_printf(text, "name %s %s\n", name->address, name->names);
    }
    for (guint i = 0; i < plan->uplinks->len; i++)
        append_uplink(text, plan->uplinks->pdata[i]);
    return g_string_free_to_bytes(text);
}

gboolean
lab_boot_join(Boot *boot, GError **error)
{
    static const char *const argv[] = {IMAGE_AGENT_PATH, "--join", HB_JOIN_PATH, NULL};
    g_autoptr(GBytes) text = joined_text(boot->recipe->plan);
    g_autoptr(GError) reason = NULL;
    if (guest_put(boot->guest, HB_JOIN_PATH, 0444, text, boot_cancellable(boot), &reason))
        return lab_boot_run(boot, argv, NULL, error);
    boot_explain(boot, &reason);
    g_propagate_error(error, g_steal_pointer(&reason));
    return FALSE;
}

/* ---- the start
 * ----------------------------------------------------------------------------------- */

/* What a peer needs, unless it is like the others: the programs that answer suites, and
 * none that suites use. */
BootOptions
lab_boot_peer_options(const BootOptions *own, const Plan *plan)
{
    BootOptions options = *own;
    options.plan = plan;
    if (own->peers_alike)
        return options;
    options.programs = options.copies = options.commands = options.modules = NULL;
    options.later = NULL;
    options.folder = NULL;
    options.tools = options.inner = FALSE;
    options.vfio &= own->peers_guests;
    options.kvm &= own->peers_guests;
    options.capture = FALSE;
    options.extra_args = NULL;
    return options;
}

static GPtrArray *
all_plans(const Plan *own, const GPtrArray *peers)
{
    GPtrArray *plans = g_ptr_array_new();
    g_ptr_array_add(plans, (gpointer)own);
    for (guint i = 0; peers && i < peers->len; i++)
        g_ptr_array_add(plans, peers->pdata[i]);
    return plans;
}

/* The emulators of all run when this returns; LOG_DIRS (char *) gets their folders. */
static gboolean
begin_all(LabBoot *lab, const BootOptions *own, const GPtrArray *plans,
          GPtrArray *log_dirs, GError **error)
{
    for (guint i = 0; i < plans->len; i++) {
        const Plan *plan = plans->pdata[i];
        BootOptions options = i == 0 ? *own : lab_boot_peer_options(own, plan);
        options.segments = lab->segments;
        options.log_dir = lab_boot_log_dir(own->log_dir, plan, i == 0, error);
        if (!options.log_dir)
            return FALSE;
        g_ptr_array_add(log_dirs, (char *)options.log_dir);
        Boot *boot = boot_begin(&options, error);
        if (!boot) {
            lab_boot_name_error(lab, plan, error);
            return FALSE;
        }
        g_ptr_array_add(lab->boots, boot);
    }
    return TRUE;
}

/* What will keep the hosts from being frozen is told before they have started. */
static void
find_obstacle(LabBoot *lab, const BootOptions *options)
{
    if (options->freezable && lab->uplinks)
        lab->obstacle = g_strdup(LAB_BOOT_LED_OUT);
    for (guint i = 0; options->freezable && !lab->obstacle && i < lab->boots->len; i++) {
        Boot *boot = lab->boots->pdata[i];
        g_autofree char *why = template_obstacle(boot);
        if (why)
            lab->obstacle =
                lab->segments
                    ? g_strdup_printf("host '%s': %s", boot->recipe->plan->host_id, why)
                    : g_steal_pointer(&why);
    }
    if (lab->obstacle && options->obstacle)
        options->obstacle(lab->obstacle, options->obstacle_data);
}

static gboolean
meet_all(const LabBoot *lab, const BootOptions *own, const GPtrArray *log_dirs,
         GError **error)
{
    for (guint i = 0; i < lab->boots->len; i++) {
        Boot *boot = lab->boots->pdata[i];
        const Plan *plan = boot->recipe->plan;
        BootOptions options = i == 0 ? *own : lab_boot_peer_options(own, plan);
        options.log_dir = log_dirs->pdata[i];
        if (!boot_meet(boot, &options, error)) {
            lab_boot_name_error(lab, plan, error);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
join_all(const LabBoot *lab, GError **error)
{
    for (guint i = 0; lab->segments && i < lab->boots->len; i++) {
        Boot *boot = lab->boots->pdata[i];
        if (!lab_boot_join(boot, error)) {
            lab_boot_name_error(lab, boot->recipe->plan, error);
            return FALSE;
        }
    }
    return !lab->segments || lab_boot_let_in(lab->boots, error);
}

/* Copies of the lab, of which there may be several, forward no ports of the machine. */
static gboolean
lead_out(LabBoot *lab, const GPtrArray *plans, GError **error)
{
    if (uplinks_are_asked(plans))
        lab->uplinks = uplinks_start(lab->segments, plans, FALSE, error);
    return lab->uplinks || !uplinks_are_asked(plans);
}

LabBoot *
lab_boot(const BootOptions *options, const GPtrArray *peers, GError **error)
{
    g_autoptr(LabBoot) lab = lab_boot_new();
    g_autoptr(GPtrArray) plans = all_plans(options->plan, peers);
    g_autoptr(GPtrArray) log_dirs = g_ptr_array_new_with_free_func(g_free);
    if (plans->len > 1 || uplinks_are_asked(plans))
        lab->segments = lab_boot_segments(plans);
    if (!lead_out(lab, plans, error) || !begin_all(lab, options, plans, log_dirs, error))
        return NULL;
    find_obstacle(lab, options);
    if (lab_boot_capture(lab, options->capture, options->log_dir, error) &&
        meet_all(lab, options, log_dirs, error) && join_all(lab, error))
        return g_steal_pointer(&lab);
    return NULL;
}

GError *
lab_boot_failure(const LabBoot *lab)
{
    for (guint i = 0; i < lab->boots->len; i++) {
        const Boot *boot = lab->boots->pdata[i];
        const GError *failure = machine_failure(boot->machine);
        if (!failure || boot->given_up)
            continue;
        GError *copy = g_error_copy(failure);
        lab_boot_name_error(lab, boot->recipe->plan, &copy);
        return copy;
    }
    return NULL;
}
