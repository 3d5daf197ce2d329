/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli-connect.h"

#include "cli.h"
#include "emit.h"

PlanBackend
cli_connect_backend(const char *connect)
{
    return connect ? PLAN_FOR_LIBVIRT : PLAN_FOR_QEMU;
}

gboolean
cli_connect_is_address(const char *connect, int *status)
{
    gboolean is_empty = connect && !*connect;
    if (is_empty)
        *status =
            cli_fail_with(HB_USAGE, "--connect takes the address of a libvirt, such "
                                    "as qemu:///session");
    return !is_empty;
}

gboolean
cli_connect_is_cold(const char *connect, int *status)
{
    if (connect)
        *status = cli_fail_with(HB_USAGE, "--warm needs a template, and none can be made "
                                          "of a host that libvirt starts (--connect)");
    return !connect;
}

gboolean
cli_connect_check(const char *connect, const Plan *plan, int *status)
{
    g_autoptr(Findings) findings = findings_new();
    if (connect)
        emit_libvirt_check_domain(plan, findings);
    if (findings_ok(findings))
        return TRUE;
    *status = cli_findings(findings);
    return FALSE;
}
