/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ssh-access.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

#include "cache.h"
#include "error.h"
#include "live-dir.h"

#define FOLDER "ssh"
#define IDENTITY "id_ed25519"
#define HOST_KEY "host_ed25519"
#define KNOWN "known_hosts"

/* The server's own configuration holds but for what makes it ours. Keys are put anew each
 * time, since a host may have been restarted; who reads them finds them whole. */
const char ssh_access_server[] =
    "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; dir=/run/hostbed-ssh; umask 022\n"
    "sshd=$(command -v sshd) || {\n"
    "    echo \"hostbed: $(hostname) has no ssh server (sshd);\" \\\n"
    "        \"'hostbed exec' gets in without one\" >&2; exit 127; }\n"
    "mkdir -p $dir /run/sshd || exit\n"
    "(umask 077; printf %s \"$HOSTBED_SSH_HOST_KEY\" >$dir/key.$$) &&\n"
    "    mv $dir/key.$$ $dir/key || exit\n"
    "printf %s \"$HOSTBED_SSH_USERS_KEY\" >$dir/users.$$ &&\n"
    "    mv $dir/users.$$ $dir/users || exit\n"
    "unset HOSTBED_SSH_HOST_KEY HOSTBED_SSH_USERS_KEY\n"
    "exec \"$sshd\" -i -e -o LogLevel=ERROR -o HostKey=$dir/key \\\n"
    "    -o \"AuthorizedKeysFile $dir/users .ssh/authorized_keys\" \\\n"
    "    -o PubkeyAuthentication=yes -o PermitRootLogin=prohibit-password\n";

void
ssh_access_free(SshAccess *access)
{
    if (!access)
        return;
    g_free(access->identity);
    g_free(access->known);
    g_free(access->host_key);
    g_free(access->users_key);
    g_free(access);
}

/* ---- keys
 * -------------------------------------------------------------------------------------
 */

static gboolean
make_key(const char *folder, const char *name, GError **error)
{
    g_autofree char *file = g_build_filename(folder, name, NULL);
    const char *const argv[] = {"ssh-keygen", "-q",      "-t", "ed25519", "-N", "",
                                "-C",         "hostbed", "-f", file,      NULL};
    g_autoptr(GError) reason = NULL;
    g_autofree char *said = NULL;
    int status;
    if (!g_spawn_sync(NULL, (char **)argv, NULL,
                      G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL,
                      &said, &status, &reason)) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "no key for ssh can be made: %s; ssh and ssh-keygen are OpenSSH's "
                    "(package openssh-client)",
                    reason->message);
        return FALSE;
    }
    if (g_spawn_check_wait_status(status, NULL))
        return TRUE;
    g_strchomp(said);
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "no key for ssh can be made: %s",
                *said ? said : "ssh-keygen gave no reason");
    return FALSE;
}

/* The public half of the hosts' key, for every host of the lab. */
static gboolean
write_known(const LiveLab *lab, const char *folder, GError **error)
{
    g_autofree char *public = g_build_filename(folder, HOST_KEY ".pub", NULL);
    g_autofree char *known = g_build_filename(folder, KNOWN, NULL);
    g_autofree char *key = NULL;
    g_autoptr(GString) text = g_string_new(NULL);
    if (!g_file_get_contents(public, &key, NULL, error))
        return FALSE;
    for (guint i = 0; i < lab->hosts->len; i++) {
        const LiveHost *host = lab->hosts->pdata[i];
        g_string_append_printf(text, "%s/%s %s", lab->name, host->name, key);
    }
    return g_file_set_contents(known, text->str, -1, error);
}

/* All keys at once, or those that another has made meanwhile. */
static gboolean
make_folder(const LiveLab *lab, const char *folder, GError **error)
{
    g_autofree char *made = g_strconcat(folder, ".XXXXXX", NULL);
    gboolean ok = FALSE;
    if (!g_mkdtemp(made))
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot make %s: %s", made,
                    g_strerror(errno));
    else
        ok = make_key(made, IDENTITY, error) && make_key(made, HOST_KEY, error) &&
             write_known(lab, made, error);
    if (ok && g_rename(made, folder) == 0)
        return TRUE;
    cache_remove_tree(made);
    return ok && g_file_test(folder, G_FILE_TEST_IS_DIR);
}

static char *
read_key(const char *folder, const char *name, GError **error)
{
    g_autofree char *file = g_build_filename(folder, name, NULL);
    char *text = NULL;
    g_file_get_contents(file, &text, NULL, error);
    return text;
}

SshAccess *
ssh_access_of(const LiveLab *lab, GError **error)
{
    g_autofree char *dir = live_dir(FALSE, error);
    if (!dir)
        return NULL;
    g_autofree char *folder = g_build_filename(dir, lab->name, FOLDER, NULL);
    if (!g_file_test(folder, G_FILE_TEST_IS_DIR) && !make_folder(lab, folder, error))
        return NULL;
    g_autoptr(SshAccess) access = g_new0(SshAccess, 1);
    access->identity = g_build_filename(folder, IDENTITY, NULL);
    access->known = g_build_filename(folder, KNOWN, NULL);
    access->host_key = read_key(folder, HOST_KEY, error);
    access->users_key =
        access->host_key ? read_key(folder, IDENTITY ".pub", error) : NULL;
    return access->users_key ? g_steal_pointer(&access) : NULL;
}

/* ---- configuration
 * ----------------------------------------------------------------------------
 */

/* A word of ssh_config(5), in which "%" begins what ssh puts in. */
static void
add_quoted(GString *text, const char *keyword, const char *word)
{
    g_autoptr(GString) escaped = g_string_new(word);
    g_string_replace(escaped, "%", "%%", 0);
    g_string_append_printf(text, "    %s \"%s\"\n", keyword, escaped->str);
}

static void
add_host(GString *text, const SshAccess *access, const LiveLab *lab, const LiveHost *host,
         const char *alias, const char *program)
{
    g_autofree char *full = g_strdup_printf("%s/%s", lab->name, host->name);
    g_autofree char *quoted = g_shell_quote(program);
    g_autoptr(GString) command = g_string_new(quoted);
    g_string_replace(command, "%", "%%", 0);
    g_string_append_printf(text, "Host %s", full);
    if (!g_str_equal(alias, full))
        g_string_append_printf(text, " %s", alias);
    g_string_append_printf(text,
                           "\n    HostName %s\n    HostKeyAlias %s\n    User root\n"
                           "    ProxyCommand %s ssh --proxy %s\n",
                           host->name, full, command->str, full);
    add_quoted(text, "IdentityFile", access->identity);
    add_quoted(text, "UserKnownHostsFile", access->known);
    g_string_append(text, "    GlobalKnownHostsFile none\n    IdentitiesOnly yes\n"
                          "    StrictHostKeyChecking yes\n");
}

char *
ssh_access_config(const SshAccess *access, const LiveLab *lab, const char *const *aliases,
                  const char *program)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < lab->hosts->len; i++)
        add_host(text, access, lab, lab->hosts->pdata[i], aliases[i], program);
    return g_string_free(text, FALSE);
}
