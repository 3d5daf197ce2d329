/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What ssh is told of hosts that are up, and the keys of a lab. (vm-libvirt.sh logs in.)
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib/gstdio.h>
#include <string.h>

#include "cache.h"
#include "ssh-access.h"

static LiveLab *
two_hosts(void)
{
    LiveLab *lab = live_lab_new("pair");
    g_ptr_array_add(lab->hosts, live_host_new("left"));
    g_ptr_array_add(lab->hosts, live_host_new("right"));
    return lab;
}

/* A folder for what is up, with that of the lab in it; owned by the caller. */
static char *
runtime_dir(char **folder)
{
    char *runtime = g_dir_make_tmp("hostbed-ssh-access.XXXXXX", NULL);
    assert_non_null(runtime);
    *folder = g_build_filename(runtime, "hostbed", "pair", NULL);
    assert_int_equal(g_mkdir_with_parents(*folder, 0700), 0);
    g_setenv("XDG_RUNTIME_DIR", runtime, TRUE);
    return runtime;
}

static void
words_are_quoted(void **state)
{
    g_autoptr(LiveLab) lab = two_hosts();
    const char *const aliases[] = {"left", "pair/right"};
    SshAccess access = {.identity = "/run/a b/50%/key", .known = "/k"};
    g_autofree char *text =
        ssh_access_config(&access, lab, aliases, "/opt/it's 100%/hostbed");
    assert_string_equal(
        text, "Host pair/left left\n    HostName left\n    HostKeyAlias pair/left\n"
              "    User root\n"
              "    ProxyCommand '/opt/it'\\''s 100%%/hostbed' ssh --proxy pair/left\n"
              "    IdentityFile \"/run/a b/50%%/key\"\n"
              "    UserKnownHostsFile \"/k\"\n"
              "    GlobalKnownHostsFile none\n    IdentitiesOnly yes\n"
              "    StrictHostKeyChecking yes\n"
              "Host pair/right\n    HostName right\n    HostKeyAlias pair/right\n"
              "    User root\n"
              "    ProxyCommand '/opt/it'\\''s 100%%/hostbed' ssh --proxy pair/right\n"
              "    IdentityFile \"/run/a b/50%%/key\"\n"
              "    UserKnownHostsFile \"/k\"\n"
              "    GlobalKnownHostsFile none\n    IdentitiesOnly yes\n"
              "    StrictHostKeyChecking yes\n");
}

static void
keys_are_made_once(void **state)
{
    g_autofree char *folder = NULL;
    g_autofree char *runtime = runtime_dir(&folder);
    g_autofree char *program = g_find_program_in_path("ssh-keygen");
    g_autoptr(GError) error = NULL;
    g_autoptr(LiveLab) lab = two_hosts();
    if (!program) {
        print_message("this machine has no ssh-keygen\n");
        cache_remove_tree(runtime);
        skip();
    }
    g_autoptr(SshAccess) first = ssh_access_of(lab, &error);
    assert_null(error);
    g_autoptr(SshAccess) second = ssh_access_of(lab, &error);
    assert_null(error);
    assert_string_equal(first->host_key, second->host_key);
    assert_string_equal(first->users_key, second->users_key);
    g_autofree char *known = NULL;
    assert_true(g_file_get_contents(first->known, &known, NULL, NULL));
    assert_true(g_str_has_prefix(known, "pair/left ssh-ed25519 "));
    assert_non_null(strstr(known, "\npair/right ssh-ed25519 "));
    GStatBuf file;
    assert_int_equal(g_stat(first->identity, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
    cache_remove_tree(runtime);
}

static void
without_ssh_keygen_it_is_said(void **state)
{
    g_autofree char *folder = NULL;
    g_autofree char *runtime = runtime_dir(&folder);
    g_autofree char *path = g_strdup(g_getenv("PATH"));
    g_autoptr(GError) error = NULL;
    g_autoptr(LiveLab) lab = two_hosts();
    g_setenv("PATH", "/nowhere", TRUE);
    assert_null(ssh_access_of(lab, &error));
    g_setenv("PATH", path, TRUE);
    assert_non_null(strstr(error->message, "openssh-client"));
    g_autoptr(GDir) left = g_dir_open(folder, 0, NULL);
    assert_null(g_dir_read_name(left));
    cache_remove_tree(runtime);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_quoted),
        cmocka_unit_test(keys_are_made_once),
        cmocka_unit_test(without_ssh_keygen_it_is_said),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
