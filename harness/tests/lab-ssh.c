/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What hosts of a lab are told of each other's keys. (vm-ssh.sh has them log in.)
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "lab-ssh.h"

#define KEY "AAAAC3NzaC1lZDI1NTE5AAAAIJ"

static void
free_name(gpointer data)
{
    PlanName *name = data;
    g_free(name->host);
    g_free(name->names);
    g_free(name->address);
    g_free(name);
}

static void
add_name(const Plan *plan, const char *host, const char *names, const char *address)
{
    PlanName *name = g_new0(PlanName, 1);
    name->host = g_strdup(host);
    name->names = g_strdup(names);
    name->address = g_strdup(address);
    g_ptr_array_add(plan->names, name);
}

static GPtrArray *
keys_of_two(void)
{
    GPtrArray *all = g_ptr_array_new_with_free_func((GDestroyNotify)lab_ssh_keys_free);
    g_ptr_array_add(all, lab_ssh_keys("a", "user ssh-ed25519 " KEY
                                           "u me\nhost ssh-ed25519 " KEY
                                           "h\nhost ecdsa-sha2-nistp256 " KEY "==\n"));
    g_ptr_array_add(all, lab_ssh_keys("b", "user ssh-ed25519 " KEY "v\n"));
    return all;
}

static void
what_is_no_key_is_left_out(void **state)
{
    g_autoptr(LabSshKeys) keys = lab_ssh_keys(
        "a", "user ssh-ed25519 " KEY " somebody at home\n"
             "user command=\"x\" ssh-ed25519 " KEY "\n"
             "user ssh-ed25519 short\nhost ssh-rsa " KEY "\n host ssh-rsa " KEY "\n"
             "host ssh-rsa " KEY "!\nhost ssh-rsa " KEY " x\ny\nother ssh-rsa " KEY "\n"
             "host * ssh-rsa " KEY "\nhost @ca ssh-rsa " KEY "\n"
             "user cert-authority ssh-rsa " KEY "\n\xff\xfe");
    assert_int_equal(keys->user_keys->len, 1);
    assert_string_equal(keys->user_keys->pdata[0], "ssh-ed25519 " KEY);
    assert_int_equal(keys->host_keys->len, 2);
}

static void
each_is_told_by_its_own_names(void **state)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(free_name);
    const Plan plan = {.names = names};
    g_autoptr(GPtrArray) all = keys_of_two();
    add_name(&plan, "a", "a.net a", "10.0.0.1");
    add_name(&plan, "b", "b.net b", "10.0.0.2");
    add_name(&plan, "micro", "micro.net micro", "10.0.0.3");
    g_autofree char *known = lab_ssh_known(&plan, all);
    g_autofree char *config = lab_ssh_config(&plan, all);
    assert_string_equal(known, "# hostbed: hosts of the lab\n"
                               "a.net,a,10.0.0.1 ssh-ed25519 " KEY "h\n"
                               "a.net,a,10.0.0.1 ecdsa-sha2-nistp256 " KEY "==\n"
                               "# hostbed: end\n");
    assert_string_equal(config, "# hostbed: hosts of the lab\n"
                                "Host a.net a 10.0.0.1 b.net b 10.0.0.2\n"
                                "    IdentityFile ~/.ssh/hostbed\n# hostbed: end\n");
}

/* A host lets in those that it shares a network with, and no others of the lab. */
static void
who_is_on_no_network_of_it_is_not_let_in(void **state)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(free_name);
    const Plan plan = {.names = names};
    g_autoptr(GPtrArray) all = keys_of_two();
    add_name(&plan, "b", "b.net b", "10.0.0.2");
    g_autofree char *users = lab_ssh_users(&plan, all);
    assert_string_equal(users, "# hostbed: hosts of the lab\nssh-ed25519 " KEY
                               "v root@b\n# hostbed: end\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_key_is_left_out),
        cmocka_unit_test(each_is_told_by_its_own_names),
        cmocka_unit_test(who_is_on_no_network_of_it_is_not_let_in),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
