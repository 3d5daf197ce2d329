/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Packages that the user's lab asks for, installed in the appliance by the system's own
 * tool from the mirror or through the proxy that the lab names. Only then has the
 * appliance a network.
 */
#include "prepare.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

typedef struct {
    const char *program; /* a system that has it installs by it */
    /* %1$s: packages, quoted; %2$s: the mirror, quoted, or '' */
    const char *script;
} Manager;

static const Manager managers[] = {
    {"/usr/bin/apt-get",
     "set -e; export DEBIAN_FRONTEND=noninteractive; mirror=%2$s; set -- %1$s\n"
     "if [ -n \"$mirror\" ]; then . /etc/os-release\n"
     "  echo \"deb $mirror $VERSION_CODENAME main\" >/tmp/hostbed.list\n"
     "  sources='-o Dir::Etc::SourceList=/tmp/hostbed.list -o "
     "Dir::Etc::SourceParts=/dev/null'\n"
     "fi\n"
     "apt-get $sources -q update >&2\n"
     "apt-get $sources -q -y --no-install-recommends install \"$@\" >&2\n"
     "apt-get clean; rm -f /tmp/hostbed.list\n"},
    {"/usr/bin/dnf",
     "set -e; mirror=%2$s; set -- %1$s\n"
     "if [ -n \"$mirror\" ]; then\n"
     "  set -- --repofrompath=\"hostbed,$mirror\" --repo=hostbed --nogpgcheck \"$@\"\n"
     "fi\n"
     "dnf -q -y --setopt=install_weak_deps=False install \"$@\" >&2; dnf -q clean all\n"},
    {"/sbin/apk",
     "set -e; mirror=%2$s; set -- %1$s\n"
     "if [ -n \"$mirror\" ]; then set -- --repository \"$mirror\" \"$@\"; fi\n"
     "apk add --no-cache \"$@\" >&2\n"},
};

/* libguestfs knows it only of what it has inspected, which is not done where the root is
 * known. */
static const Manager *
find_manager(Prepare *prepare)
{
    for (guint i = 0; i < G_N_ELEMENTS(managers); i++)
        if (prepare_exists(prepare, managers[i].program))
            return &managers[i];
    return NULL;
}

static char *
quoted_packages(JsonArray *packages)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < json_array_get_length(packages); i++) {
        g_autofree char *word = g_shell_quote(json_array_get_string_element(packages, i));
        g_string_append_printf(text, " %s", word);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static char *
script_of(Prepare *prepare, const Manager *manager, JsonArray *packages)
{
    const char *mirror = prepare_text(prepare, "mirror");
    const char *proxy = prepare_text(prepare, "proxy");
    g_autofree char *words = quoted_packages(packages);
    g_autofree char *place = g_shell_quote(mirror ? mirror : "");
    g_autofree char *through = g_shell_quote(proxy ? proxy : "");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    g_autofree char *script = g_strdup_printf(manager->script, words, place);
#pragma GCC diagnostic pop
    return proxy ? g_strdup_printf("export http_proxy=%s https_proxy=%s\n%s", through,
                                   through, script)
                 : g_steal_pointer(&script);
}

gboolean
prepare_packages(Prepare *prepare, GError **error)
{
    if (!json_object_has_member(prepare->order, "packages"))
        return TRUE;
    JsonArray *packages = json_object_get_array_member(prepare->order, "packages");
    const Manager *manager = find_manager(prepare);
    if (!manager)
        return prepare_refuse(
            prepare, HB_UNSUPPORTED, error,
            "has packages that hostbed cannot install; it should have apt, "
            "dnf or apk");
    prepare_step(prepare, "installing packages");
    g_autofree char *script = script_of(prepare, manager, packages);
    g_autofree char *output = guestfs_sh(prepare->g, script);
    return output || prepare_failed(prepare, error, "packages cannot be installed");
}
