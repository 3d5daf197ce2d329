/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed check: parse, validate and plan labs; say what they would need.
 */
#include <stdio.h>

#include "cli-json.h"
#include "cli.h"
#include "resources.h"
#include "schedule.h"
#include "units.h"

/* One lab, looked at. */
typedef struct {
    const char *filename; /* borrowed */
    Findings *findings;
    GPtrArray *plans; /* NULL: it could not be planned */
    int status;
} Checked;

static void
checked_free(gpointer data)
{
    Checked *checked = data;
    findings_free(checked->findings);
    g_clear_pointer(&checked->plans, g_ptr_array_unref);
    g_free(checked);
}

/* ---- what there is to find --------------------------------------------------------- */

/* A host that plain emulation cannot have: what would start it is tried only for that.
 * FALSE: it could not be tried. */
static gboolean
check_accel(Checked *checked, const Emulator *emulator, Accel asked, GError **error)
{
    g_autoptr(AccelVerdict) verdict = NULL;
    for (guint i = 0; asked != ACCEL_KVM && i < checked->plans->len; i++) {
        const Plan *plan = g_ptr_array_index(checked->plans, i);
        if (!plan->needs_kvm)
            continue;
        if (!verdict) {
            g_autoptr(CliInterrupt) interrupt = cli_interrupt_new();
            g_autoptr(AccelProof) proof = accel_begin(asked, emulator->binary);
            verdict = accel_end(proof, error);
        }
        if (!verdict)
            return FALSE;
        if (verdict->accel == ACCEL_TCG)
            findings_add(
                checked->findings, FINDING_UNSUPPORTED, plan->needs_kvm_pos, "needs-kvm",
                "host %s cannot be emulated: %s; here there is only emulation: %s",
                plan->host_id, plan->needs_kvm, verdict->reason);
    }
    return TRUE;
}

/* Hosts run one at a time. A lab that is sound stays so on a machine too small for it. */
static void
check_room(Checked *checked)
{
    g_autoptr(Resources) resources = resources_read("");
    const Schedule schedule = {.memory_bytes = resources->usable_bytes};
    for (guint i = 0; i < checked->plans->len; i++) {
        const Plan *plan = g_ptr_array_index(checked->plans, i);
        g_autoptr(GError) error = NULL;
        if (!schedule_admit(&schedule, plan->lab_name, plan_memory_needed(plan), &error))
            findings_add(checked->findings, FINDING_WARNING, plan->pos, "room",
                         "host %s cannot run here now: %s", plan->host_id,
                         error->message);
    }
}

static Checked *
check_lab(const char *filename, const Emulator *emulator, Accel asked)
{
    Checked *checked = g_new0(Checked, 1);
    g_autoptr(GError) error = NULL;
    checked->filename = filename;
    checked->findings = findings_new();
    checked->plans = cli_plan_with(filename, emulator, PLAN_FOR_QEMU, checked->findings,
                                   &checked->status);
    if (!checked->plans)
        return checked;
    if (!check_accel(checked, emulator, asked, &error)) {
        checked->status = cli_fail(error);
        return checked;
    }
    /* They may be on the machine that this lab is for. */
    cli_check_images(checked->plans, FINDING_WARNING, checked->findings);
    checked->status = cli_findings_status(checked->findings);
    if (checked->status == HB_OK)
        check_room(checked);
    return checked;
}

/* ---- and how it is told --------------------------------------------------------------
 */

/* Memory that may be plugged into them while they are up. */
static guint64
more_bytes(const GPtrArray *plans)
{
    guint64 more = 0;
    for (guint i = 0; i < plans->len; i++) {
        const Plan *plan = g_ptr_array_index(plans, i);
        if (plan->memory_slots > 0)
            more += (guint64)(plan->max_memory_bytes - plan->memory_bytes);
    }
    return more;
}

/* Memory that all hosts take together, and their CPUs. That of 4096 hosts of the largest
 * kind still fits. */
static guint64
needs(const GPtrArray *plans, guint *cpus)
{
    guint64 needed = 0;
    *cpus = 0;
    for (guint i = 0; i < plans->len; i++) {
        const Plan *plan = g_ptr_array_index(plans, i);
        needed += (guint64)plan_memory_needed(plan);
        *cpus += plan->cpu_count;
    }
    return needed;
}

static void
print_needs(const char *lab, const GPtrArray *plans)
{
    guint cpus;
    g_autofree char *memory =
        g_format_size_full(needs(plans, &cpus), G_FORMAT_SIZE_IEC_UNITS);
    g_auto(GStrv) words = g_strsplit(memory, "\302\240", -1); /* no-break spaces */
    g_autofree char *plain = g_strjoinv(" ", words);
    printf("%s: ok, %u host%s with %u CPU%s, needs %s of memory", lab, plans->len,
           plans->len == 1 ? "" : "s", cpus, cpus == 1 ? "" : "s", plain);
    g_autofree char *more = units_about_text(more_bytes(plans));
    if (more_bytes(plans) > 0)
        printf(", and for its slots up to %s more", more);
    putchar('\n');
}

static void
print_text(const Checked *checked)
{
    if (checked->status != HB_INTERRUPTED)
        cli_findings(checked->findings);
    if (checked->status == HB_OK)
        print_needs(checked->filename, checked->plans);
}

/* JSON is UTF-8; names of files need not be. */
static void
set_text(JsonObject *object, const char *name, const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    json_object_set_string_member(object, name, valid);
}

static JsonObject *
finding_to_json(const Finding *finding)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "level", finding_level_name(finding->level));
    json_object_set_string_member(object, "check", finding->check);
    set_text(object, "message", finding->message);
    if (finding->pos.file)
        set_text(object, "file", finding->pos.file);
    if (finding->pos.line > 0)
        json_object_set_int_member(object, "line", finding->pos.line);
    if (finding->more > 0)
        json_object_set_int_member(object, "more", finding->more);
    return object;
}

static JsonObject *
checked_to_json(const Checked *checked)
{
    JsonObject *object = json_object_new();
    JsonArray *findings = json_array_new();
    for (guint i = 0; i < findings_total(checked->findings); i++)
        json_array_add_object_element(
            findings, finding_to_json(findings_get(checked->findings, i)));
    set_text(object, "file", checked->filename);
    json_object_set_int_member(object, "status", checked->status);
    if (checked->status == HB_OK) {
        guint cpus;
        guint64 memory = needs(checked->plans, &cpus);
        json_object_set_int_member(object, "hosts", checked->plans->len);
        json_object_set_int_member(object, "cpus", cpus);
        json_object_set_int_member(object, "memory_bytes", (gint64)memory);
        if (more_bytes(checked->plans) > 0)
            json_object_set_int_member(object, "slots_bytes",
                                       (gint64)more_bytes(checked->plans));
    }
    json_object_set_array_member(object, "findings", findings);
    return object;
}

static void
print_json(const GPtrArray *labs)
{
    JsonArray *array = json_array_new();
    for (guint i = 0; i < labs->len; i++)
        json_array_add_object_element(array, checked_to_json(labs->pdata[i]));
    JsonObject *object = json_object_new();
    json_object_set_array_member(object, "labs", array);
    cli_print_json(object);
}

int
cmd_check(int argc, char **argv)
{
    g_auto(CliMachine) machine = {NULL};
    gboolean json = FALSE;
    const GOptionEntry entries[] = {
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "Write the findings as JSON", NULL},
        G_OPTION_ENTRY_NULL,
    };
    int status = HB_OK;
    if (!cli_parse("check", &argc, &argv, entries, &machine, &status))
        return status;
    if (argc < 2)
        return cli_fail_with(HB_USAGE, "check takes labs; see 'hostbed check --help'");

    g_autoptr(GError) error = NULL;
    g_autoptr(Emulator) emulator = cli_emulator(&machine, &error);
    if (!emulator)
        return cli_fail(error);
    g_autoptr(GPtrArray) labs = g_ptr_array_new_with_free_func(checked_free);
    for (int i = 1; i < argc; i++) {
        Checked *checked = check_lab(argv[i], emulator, cli_accel(&machine));
        g_ptr_array_add(labs, checked);
        if (!json)
            print_text(checked);
        /* A lab that is wrong outweighs one that this emulator cannot do. */
        if (status == HB_OK || checked->status == HB_USAGE)
            status = checked->status;
    }
    if (json)
        print_json(labs);
    return status;
}
