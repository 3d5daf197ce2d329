/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite nested: what the host is for. It runs guests of its own, and gives them its
 * functions.
 */
#include "cases.h"
#include "kvm-guest.h"
#include "suite.h"

static void
needs_kvm(void)
{
    suite_needs_live();
    if (kvm_load())
        return;
    print_message("the host has no /dev/kvm: its CPUs have neither SVM nor VMX, or its "
                  "kernel has no KVM\n");
    skip();
}

static void
kvm_runs_guest_code(void **state)
{
    needs_kvm();
    const char *why = kvm_run_guest(!suite_has_fault("kvm_runs_guest_code"));
    if (why)
        fail_msg("%s", why);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {NESTED_CASES(SUITE_CASE)};
    return suite_run("nested", tests);
}
