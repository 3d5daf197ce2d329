/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli-trace.h"

#include <unistd.h>

#include "qmp-trace.h"

void
cli_trace_clear(CliTrace *trace)
{
    g_clear_pointer(&trace->file, g_free);
}

gboolean
cli_trace_is_asked(const CliTrace *trace)
{
    return trace->on || trace->file;
}

gboolean
cli_trace_open(const CliTrace *trace, gboolean begin, int *status)
{
    g_autoptr(GError) error = NULL;
    if (trace->file && *trace->file == '\0') {
        *status = cli_fail_with(HB_USAGE, "--trace-qmp= takes a file; without '=', what "
                                          "it prints goes to standard error");
        return FALSE;
    }
    if (!cli_trace_is_asked(trace) || qmp_trace_to_file(trace->file, begin, &error))
        return TRUE;
    *status = cli_fail(error);
    return FALSE;
}

char *
cli_trace_word(const CliTrace *trace)
{
    if (trace->file)
        return g_strconcat("--trace-qmp=", trace->file, NULL);
    return trace->on ? g_strdup("--trace-qmp") : NULL;
}

gboolean
cli_trace_is_on_terminal(const CliTrace *trace)
{
    return trace->on && !trace->file && isatty(STDERR_FILENO);
}
