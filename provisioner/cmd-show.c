/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed show: a lab's host in one of the forms of emit.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli-connect.h"
#include "cli.h"
#include "domain-lab.h"
#include "emit.h"

typedef struct {
    char *format, *host, *output, *connect;
    Accel accel; /* as asked */
} Options;

static void
options_clear(Options *options)
{
    g_free(options->format);
    g_free(options->host);
    g_free(options->output);
    g_free(options->connect);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

static char *
format_names(const char *separator)
{
    GString *names = g_string_new(emit_formats[0].name);
    for (const EmitFormat *format = emit_formats + 1; format->name; format++)
        g_string_append_printf(names, "%s%s", separator, format->name);
    return g_string_free(names, FALSE);
}

static char *
host_ids(const GPtrArray *plans)
{
    GString *ids = g_string_new(NULL);
    for (guint i = 0; i < plans->len; i++)
        g_string_append_printf(ids, "%s%s", i ? ", " : "",
                               ((const Plan *)g_ptr_array_index(plans, i))->host_id);
    return g_string_free(ids, FALSE);
}

/* The plans to show: all of the lab, or the host that was named. What programs read is
 * about one host; only a person can tell several apart. NULL: *STATUS is set. */
static GPtrArray *
select_hosts(const GPtrArray *plans, const EmitFormat *format, const char *host,
             int *status)
{
    g_autoptr(GPtrArray) selected = g_ptr_array_new();
    for (guint i = 0; i < plans->len; i++) {
        Plan *plan = g_ptr_array_index(plans, i);
        if (!host || g_str_equal(plan->host_id, host))
            g_ptr_array_add(selected, plan);
    }
    g_autofree char *ids = host_ids(plans);
    if (selected->len == 0) {
        *status =
            cli_fail_with(HB_USAGE, "the lab has no host '%s'; it has %s", host, ids);
        return NULL;
    }
    if (selected->len > 1 && format != &emit_formats[0]) {
        *status = cli_fail_with(
            HB_USAGE, "the form '%s' is about one host; choose one of %s with --host",
            format->name, ids);
        return NULL;
    }
    return g_steal_pointer(&selected);
}

/* In place: FILENAME may be a device, a FIFO or a link, which a rename would put away. */
static int
write_out(const char *text, gsize length, const char *filename)
{
    FILE *out = filename ? fopen(filename, "we") : stdout;
    gboolean is_whole = out && fwrite(text, 1, length, out) == length;
    if (out && (filename ? fclose(out) : fflush(out)) == 0 && is_whole)
        return HB_OK;
    int reason = errno;
    clearerr(stdout); /* it is told here, with the reason */
    return cli_fail_with(HB_INFRASTRUCTURE, "%s cannot be written: %s",
                         filename ? filename : "standard output", g_strerror(reason));
}

/* Who names an accelerator may mean another machine than this, so only the automatic
 * choice is a proof; and what needs KVM cannot mean this machine unless it has it. */
static gboolean
choose_accel(const Plan *plan, const char *emulator, Accel asked, Accel *accel,
             GError **error)
{
    *accel = plan->needs_kvm ? ACCEL_KVM : asked;
    if (*accel != ACCEL_AUTO)
        return TRUE;
    g_autoptr(CliInterrupt) interrupt = cli_interrupt_new();
    g_autoptr(AccelProof) proof = accel_begin(asked, emulator);
    g_autoptr(AccelVerdict) verdict = accel_end(proof, error);
    *accel = verdict ? verdict->accel : ACCEL_AUTO;
    return verdict != NULL;
}

static void
refuse_emulation(const Plan *plan, Findings *findings)
{
    if (plan->needs_kvm)
        findings_add(findings, FINDING_UNSUPPORTED, plan->needs_kvm_pos, "needs-kvm",
                     "host %s cannot be emulated: %s", plan->host_id, plan->needs_kvm);
}

static int
show_plans(const GPtrArray *plans, const EmitFormat *format, const Emulator *emulator,
           const Options *options)
{
    int status = HB_OK;
    g_autoptr(GPtrArray) selected = select_hosts(plans, format, options->host, &status);
    if (!selected)
        return status;
    g_autoptr(Findings) findings = findings_new();
    for (guint i = 0; format->check && i < selected->len; i++)
        format->check(g_ptr_array_index(selected, i), findings);
    for (guint i = 0; options->accel == ACCEL_TCG && i < selected->len; i++)
        refuse_emulation(g_ptr_array_index(selected, i), findings);
    if (!findings_ok(findings))
        return cli_findings(findings);

    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < selected->len; i++) {
        if (i > 0)
            g_string_append_c(text, '\n');
        const Plan *plan = g_ptr_array_index(selected, i);
        Accel accel;
        g_autoptr(GError) error = NULL;
        if (!format->write_for)
            format->write(plan, text);
        else if (choose_accel(plan, emulator->binary, options->accel, &accel, &error))
            format->write_for(plan, accel_name(accel), text);
        else
            return cli_fail(error);
    }
    return write_out(text->str, text->len, options->output);
}

static int
show_lab(const char *lab, const CliMachine *machine, const Options *options)
{
    const EmitFormat *format =
        options->format ? emit_format(options->format) : &emit_formats[0];
    if (!format) {
        g_autofree char *names = format_names(", ");
        return cli_fail_with(HB_USAGE, "there is no form '%s'; there are %s",
                             options->format, names);
    }
    g_autoptr(GError) error = NULL;
    g_autoptr(Emulator) emulator = cli_emulator(machine, &error);
    if (!emulator)
        return cli_fail(error);
    int status = HB_OK;
    g_autoptr(GPtrArray) plans = cli_plan(lab, emulator, format->backend, &status);
    return plans ? show_plans(plans, format, emulator, options) : status;
}

/* The lab of a domain, as it was read when that was started. */
static int
show_domain(const char *name, const Options *options)
{
    if (options->format || options->host)
        return cli_fail_with(HB_USAGE,
                             "--connect shows the lab of a domain as it was written; its "
                             "forms are shown of that: hostbed show --connect URI DOMAIN "
                             "| hostbed show -f FORM -");
    if (strchr(name, '/') || g_str_has_suffix(name, ".xml"))
        return cli_fail_with(HB_USAGE,
                             "--connect shows the lab of a domain, by the domain's name; "
                             "'%s' is a file",
                             name);
    g_autoptr(GError) error = NULL;
    g_autoptr(CliInterrupt) interrupt = cli_interrupt_new();
    g_autoptr(GBytes) lab = domain_lab_ask(options->connect, name, &error);
    if (!lab)
        return cli_fail(error);
    gsize length;
    const char *text = g_bytes_get_data(lab, &length);
    return write_out(text, length, options->output);
}

int
cmd_show(int argc, char **argv)
{
    g_auto(Options) options = {NULL};
    g_auto(CliMachine) machine = {NULL};
    g_autofree char *names = format_names("|");
    g_autofree char *help = g_strdup_printf("What to write: %s", names);
    const GOptionEntry entries[] = {
        {"format", 'f', 0, G_OPTION_ARG_STRING, &options.format, help, "FORM"},
        {"host", 0, 0, G_OPTION_ARG_STRING, &options.host,
         "The host to show, where the lab has several", "ID"},
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &options.output,
         "Write to FILE instead of standard output", "FILE"},
        {"connect", 0, 0, G_OPTION_ARG_STRING, &options.connect,
         "Show the lab of a domain of the libvirt at URI, named in place of LAB", "URI"},
        G_OPTION_ENTRY_NULL,
    };
    int status = HB_OK;
    if (!cli_parse("show", &argc, &argv, entries, &machine, &status))
        return status;
    if (argc != 2)
        return cli_fail_with(HB_USAGE, "show takes one lab; see 'hostbed show --help'");
    options.accel = cli_accel(&machine);
    const CliFile files[] = {
        {"the lab", argv[1], FALSE},
        {"--emulator", machine.emulator, FALSE},
        {"--kernel", machine.kernel, FALSE},
        {"--output", options.output, TRUE},
    };
    if (!cli_check_files(files, G_N_ELEMENTS(files), &status))
        return status;
    if (!cli_connect_is_address(options.connect, &status))
        return status;
    return options.connect ? show_domain(argv[1], &options)
                           : show_lab(argv[1], &machine, &options);
}
