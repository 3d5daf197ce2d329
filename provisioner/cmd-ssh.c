/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed ssh and hostbed ssh-config: ssh to hosts that are up (ssh-access.h).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd-live.h"
#include "ssh-access.h"

/* Our own executable. ssh would look for "hostbed" on its PATH otherwise. */
static char *
own_program(void)
{
    char *path = g_file_read_link("/proc/self/exe", NULL);
    return path ? path : g_strdup("hostbed");
}

/* The configuration for all hosts of LAB, owned by the caller. */
static char *
config_of(const GPtrArray *labs, const LiveLab *lab, GError **error)
{
    g_autoptr(SshAccess) access = ssh_access_of(lab, error);
    if (!access)
        return NULL;
    g_autofree char *program = own_program();
    g_autoptr(GPtrArray) aliases = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < lab->hosts->len; i++)
        g_ptr_array_add(aliases, live_name_of(labs, lab, lab->hosts->pdata[i]));
    return ssh_access_config(access, lab, (const char *const *)aliases->pdata, program);
}

/* ---- hostbed ssh
 * ----------------------------------------------------------------------------------- */

/* Is the server of one connection, at our standard input and output. */
static int
serve(const LiveName *name)
{
    static const char *const argv[] = {"sh", "-c", ssh_access_server, NULL};
    g_autoptr(GError) error = NULL;
    g_autoptr(SshAccess) access = ssh_access_of(name->lab, &error);
    if (!access)
        return cli_fail(error);
    g_auto(RunOptions) options = {0};
    options.program.env = g_new0(char *, 3);
    options.program.env[0] = g_strconcat("HOSTBED_SSH_HOST_KEY=", access->host_key, NULL);
    options.program.env[1] =
        g_strconcat("HOSTBED_SSH_USERS_KEY=", access->users_key, NULL);
    options.ends_silently = TRUE; /* ssh ends us by SIGHUP, which is no news */
    return cmd_exec_in(name, &options, argv);
}

/* Becomes ssh. */
static int
log_in(const GPtrArray *labs, const LiveName *name, const char *user, char **command)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = config_of(labs, name->lab, &error);
    g_autoptr(SshAccess) access = text ? ssh_access_of(name->lab, &error) : NULL;
    if (!access)
        return cli_fail(error);
    g_autofree char *folder = g_path_get_dirname(access->identity);
    g_autofree char *config = g_build_filename(folder, "config", NULL);
    if (!g_file_set_contents(config, text, -1, &error))
        return cli_fail(error);
    g_autofree char *full = g_strdup_printf("%s/%s", name->lab->name, name->host->name);
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_ptr_array_add(argv, "ssh");
    g_ptr_array_add(argv, "-F");
    g_ptr_array_add(argv, config);
    if (user) {
        g_ptr_array_add(argv, "-l");
        g_ptr_array_add(argv, (gpointer)user);
    }
    g_ptr_array_add(argv, "--");
    g_ptr_array_add(argv, full);
    for (; *command; command++)
        g_ptr_array_add(argv, *command);
    g_ptr_array_add(argv, NULL);
    execvp("ssh", (char **)argv->pdata);
    return cli_fail_with(HB_INFRASTRUCTURE,
                         "ssh cannot be started: %s; it is OpenSSH's (package "
                         "openssh-client)",
                         g_strerror(errno));
}

int
cmd_ssh(int argc, char **argv)
{
    int status, before = 0;
    g_autofree char *user = NULL;
    gboolean proxy = FALSE;
    const GOptionEntry entries[] = {
        {"user", 'l', 0, G_OPTION_ARG_STRING, &user, "Log in as (default: root)", "NAME"},
        {"proxy", 0, 0, G_OPTION_ARG_NONE, &proxy,
         "Be the host's ssh server at standard input and output (for ProxyCommand)",
         NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!cli_parse_divided("ssh", &argc, argv, entries, NULL, &before, &status))
        return status;
    if (argc < 2 || (argc > 2 && (before != 1 || proxy)))
        return cli_fail_with(HB_USAGE,
                             "name a host that is up, and a command if you like: "
                             "hostbed ssh HOST [-- COMMAND [ARGUMENT…]]");
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) labs = NULL;
    LiveName name;
    if (!cmd_live_find(argv[1], &labs, &name, &error))
        return cli_fail(error);
    return proxy ? serve(&name) : log_in(labs, &name, user, argv + 2);
}

/* ---- hostbed ssh-config
 * ----------------------------------------------------------------------------- */

/* Labs that NAMES say; without names all that live. NULL: a sentence was printed. */
static GPtrArray *
find_labs(const GPtrArray *labs, char **names, int *status)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    for (guint i = 0; !*names && i < labs->len; i++) {
        LiveLab *lab = labs->pdata[i];
        if (!lab->dead)
            g_ptr_array_add(found, lab);
    }
    for (; *names; names++) {
        const LiveLab *lab = live_name_lab(labs, *names);
        LiveName host;
        if (!lab || lab->dead) {
            *status =
                lab ? cli_fail_with(HB_FAIL, "the lab '%s' is dead: %s", lab->name,
                                    lab->dead)
                : live_name_host(labs, *names, &host, NULL)
                    ? cli_fail_with(HB_USAGE,
                                    "'%s' is a host, and this takes labs: hostbed "
                                    "ssh-config %s",
                                    *names, host.lab->name)
                    : cli_fail_with(HB_USAGE,
                                    "no lab '%s' is up; 'hostbed list' tells which are",
                                    *names);
            return NULL;
        }
        g_ptr_array_add(found, (gpointer)lab);
    }
    return g_steal_pointer(&found);
}

int
cmd_ssh_config(int argc, char **argv)
{
    int status;
    g_autoptr(GError) error = NULL;
    if (!cli_parse("ssh-config", &argc, &argv, NULL, NULL, &status))
        return status;
    g_autoptr(GPtrArray) labs = live_lab_read_all(&error);
    if (!labs)
        return cli_fail(error);
    g_autoptr(GPtrArray) found = find_labs(labs, argv + 1, &status);
    for (guint i = 0; found && i < found->len; i++) {
        g_autofree char *text = config_of(labs, found->pdata[i], &error);
        if (!text)
            return cli_fail(error);
        fputs(text, stdout);
    }
    return found ? HB_OK : status;
}
