/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab-ssh.h"

#include <string.h>

#define BEGIN "# hostbed: hosts of the lab\n"
#define END "# hostbed: end\n"
#define IDENTITY "hostbed" /* in root's .ssh */

const char lab_ssh_ask[] =
    "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; umask 077\n"
    "command -v ssh-keygen >/dev/null || exit 0\n"
    "mkdir -p ~root/.ssh && cd ~root/.ssh || exit\n"
    "[ -s " IDENTITY ".pub ] ||\n"
    "    ssh-keygen -q -t ed25519 -N '' -C hostbed -f " IDENTITY " </dev/null || exit\n"
    "sed 's/^/user /' " IDENTITY ".pub\n"
    "command -v sshd >/dev/null || exit 0\n"
    "ssh-keygen -A >/dev/null\n"
    "sed 's/^/host /' /etc/ssh/ssh_host_*_key.pub\n";

/* What a file has of somebody else comes first: ssh_config's first words are for all
 * hosts. sed shows a last line without an end with one. */
const char lab_ssh_tell[] =
    "umask 022; mkdir -p /etc/ssh || exit\n"
    "put() {\n"
    "    touch \"$2\" && chmod \"$3\" \"$2\" || exit\n"
    "    { sed -e '/^# hostbed: hosts of the lab$/,/^# hostbed: end$/d' -e '$a\\' "
    "\"$2\"\n"
    "      cat \"$1\"; } >\"$2.hostbed\" && cat \"$2.hostbed\" >\"$2\" &&\n"
    "        rm \"$2.hostbed\" || exit\n"
    "}\n"
    "put " LAB_SSH_KNOWN_PATH " /etc/ssh/ssh_known_hosts 644\n"
    "umask 077; mkdir -p ~root/.ssh || exit\n"
    "put " LAB_SSH_USERS_PATH " ~root/.ssh/authorized_keys 600\n"
    "put " LAB_SSH_CONFIG_PATH " ~root/.ssh/config 600\n";

/* ---- keys
 * -----------------------------------------------------------------------------------
 */

void
lab_ssh_keys_free(LabSshKeys *keys)
{
    g_free(keys->host);
    g_ptr_array_unref(keys->host_keys);
    g_ptr_array_unref(keys->user_keys);
    g_free(keys);
}

LabSshKeys *
lab_ssh_keys(const char *host, const char *text)
{
    LabSshKeys *keys = g_new0(LabSshKeys, 1);
    keys->host = g_strdup(host);
    keys->host_keys = g_ptr_array_new_with_free_func(g_free);
    keys->user_keys = g_ptr_array_new_with_free_func(g_free);
    /* A comment behind a key is nobody's business. */
    g_autoptr(GRegex) line = g_regex_new(
        "^(host|user) ((?:ssh|ecdsa|sk)-[a-z0-9@.-]{1,60} [A-Za-z0-9+/]{20,4000}={0,2})"
        "(?: .*)?$",
        G_REGEX_MULTILINE | G_REGEX_RAW, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    for (g_regex_match(line, text, 0, &match); g_match_info_matches(match);
         g_match_info_next(match, NULL)) {
        g_autofree char *whose = g_match_info_fetch(match, 1);
        g_ptr_array_add(g_str_equal(whose, "host") ? keys->host_keys : keys->user_keys,
                        g_match_info_fetch(match, 2));
    }
    return keys;
}

/* ---- what a host is told
 * --------------------------------------------------------------------------------
 */

static const LabSshKeys *
keys_of(const GPtrArray *all, const char *host)
{
    for (guint i = 0; i < all->len; i++) {
        const LabSshKeys *keys = all->pdata[i];
        if (g_str_equal(keys->host, host))
            return keys;
    }
    return NULL;
}

char *
lab_ssh_known(const Plan *plan, const GPtrArray *all)
{
    GString *text = g_string_new(BEGIN);
    for (guint i = 0; i < plan->names->len; i++) {
        const PlanName *name = plan->names->pdata[i];
        const LabSshKeys *keys = keys_of(all, name->host);
        g_autofree char *names = g_strdelimit(g_strdup(name->names), " ", ',');
        for (guint j = 0; keys && j < keys->host_keys->len; j++)
            g_string_append_printf(text, "%s,%s %s\n", names, name->address,
                                   (const char *)keys->host_keys->pdata[j]);
    }
    return g_string_free(g_string_append(text, END), FALSE);
}

static gboolean
is_known(const Plan *plan, const char *host)
{
    for (guint i = 0; i < plan->names->len; i++)
        if (g_str_equal(((const PlanName *)plan->names->pdata[i])->host, host))
            return TRUE;
    return FALSE;
}

char *
lab_ssh_users(const Plan *plan, const GPtrArray *all)
{
    GString *text = g_string_new(BEGIN);
    for (guint i = 0; i < all->len; i++) {
        const LabSshKeys *keys = all->pdata[i];
        for (guint j = 0; is_known(plan, keys->host) && j < keys->user_keys->len; j++)
            g_string_append_printf(text, "%s root@%s\n",
                                   (const char *)keys->user_keys->pdata[j], keys->host);
    }
    return g_string_free(g_string_append(text, END), FALSE);
}

char *
lab_ssh_config(const Plan *plan, const GPtrArray *all)
{
    GString *text = g_string_new(BEGIN);
    g_autoptr(GString) names = g_string_new(NULL);
    for (guint i = 0; i < plan->names->len; i++) {
        const PlanName *name = plan->names->pdata[i];
        if (keys_of(all, name->host))
            g_string_append_printf(names, " %s %s", name->names, name->address);
    }
    if (names->len > 0)
        g_string_append_printf(text, "Host%s\n    IdentityFile ~/.ssh/" IDENTITY "\n",
                               names->str);
    return g_string_free(g_string_append(text, END), FALSE);
}
