/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed's agent and the lab's own script as services of what starts the system:
 * systemd, OpenRC or sysvinit; and services that a host is better without.
 */
#include "prepare.h"

#include <string.h>

#include "error.h"
#include "os-image.h"
#include "wire.h"

#define FIRST_BOOT_PATH "/usr/lib/hostbed/first-boot"
#define AGENT_SERVICE "hostbed-agent"

typedef struct {
    const char *path, *text;
    guint mode;
} Text;

/* ---- systemd
 * ---------------------------------------------------------------------------------------
 */

/* The agent tells of a status that is left. */
#define RUN_FIRST_BOOT                                                                   \
    FIRST_BOOT_PATH " || { s=$?; echo $s >" HB_FIRST_BOOT_FAILED_PATH "; exit $s; }"

/* libvirt's daemon looks for KVM once, and remembers that there was none. Only it waits
 * for the modules, since under emulation they take seconds. */
#define LOAD_KVM                                                                         \
    "[Service]\nExecStartPre=-/sbin/modprobe -q kvm_amd\n"                               \
    "ExecStartPre=-/sbin/modprobe -q kvm_intel\n"

static const Text systemd_texts[] = {
    {"/etc/systemd/system/libvirtd.service.d/hostbed.conf", LOAD_KVM, 0644},
    {"/etc/systemd/system/virtqemud.service.d/hostbed.conf", LOAD_KVM, 0644},
    {"/etc/systemd/system/hostbed-agent.service",
     "[Unit]\n"
     "Description=hostbed's agent\n"
     "After=multi-user.target hostbed-first-boot.service\n"
     "[Service]\n"
     "ExecStart=" OS_IMAGE_AGENT_PATH " --service\n"
     "Restart=on-failure\n"
     "OOMPolicy=continue\n"
     "KillMode=process\n"
     "TasksMax=infinity\n"
     "LimitNOFILE=524288\n"
     "LimitMEMLOCK=infinity\n"
     "LimitCORE=infinity\n"
     "[Install]\n"
     "WantedBy=multi-user.target\n",
     0644},
    /* Cloud images make these when cloud-init first runs. */
    {"/etc/systemd/system/ssh.service.d/hostbed.conf",
     "[Service]\nExecStartPre=\nExecStartPre=-/usr/bin/ssh-keygen -A\n", 0644},
    {"/etc/systemd/system/sshd.service.d/hostbed.conf",
     "[Service]\nExecStartPre=-/usr/bin/ssh-keygen -A\n", 0644},
};

static const Text first_boot_unit = {"/etc/systemd/system/hostbed-first-boot.service",
                                     "[Unit]\n"
                                     "Description=first-boot steps of hostbed's lab\n"
                                     "[Service]\n"
                                     "Type=oneshot\n"
                                     "RemainAfterExit=yes\n"
                                     "ExecStart=/bin/sh -c '" RUN_FIRST_BOOT "'\n"
                                     "StandardOutput=journal+console\n"
                                     "[Install]\n"
                                     "WantedBy=multi-user.target\n",
                                     0644};

/* What waits for a network that hosts have not, fetches updates, or offers a login on the
 * console that is read by others. */
static const char *const masked[] = {
    "systemd-networkd-wait-online.service",
    "NetworkManager-wait-online.service",
    "ifupdown-wait-online.service",
    "serial-getty@ttyS0.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "unattended-upgrades.service",
    "dnf-makecache.timer",
    "dnf-automatic.timer",
    "man-db.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "motd-news.timer",
    "update-notifier-download.timer",
    "snapd.service",
    "snapd.socket",
    "snapd.seeded.service",
    "snapd.apparmor.service",
    "systemd-firstboot.service",
    "cloud-init-hotplugd.socket",
};

static void
add_text(Layer *layer, const Text *text)
{
    layer_add_text(layer, text->path, text->text, text->mode);
}

static void
add_systemd(Layer *layer)
{
    for (guint i = 0; i < G_N_ELEMENTS(systemd_texts); i++)
        add_text(layer, &systemd_texts[i]);
    layer_add_link(layer,
                   "/etc/systemd/system/multi-user.target.wants/hostbed-agent.service",
                   "../hostbed-agent.service");
    for (guint i = 0; i < G_N_ELEMENTS(masked); i++) {
        g_autofree char *path = g_build_filename("/etc/systemd/system", masked[i], NULL);
        layer_add_link(layer, path, "/dev/null");
    }
}

/* ---- scripts
 * ---------------------------------------------------------------------------------------
 */

/* Before the agent, and so after all else: the lab's script, once a boot, whoever starts
 * the service again. The agent has the limits that it has under systemd. */
#define BEFORE_THE_AGENT                                                                 \
    "ulimit -n 524288; ulimit -l unlimited; ulimit -c unlimited\n"                       \
    "if [ -x " FIRST_BOOT_PATH                                                           \
    " ] && mkdir /run/hostbed-first-boot 2>/dev/null; then\n(" RUN_FIRST_BOOT            \
    ") </dev/null >/dev/console 2>&1\n"                                                  \
    "fi\n"

#define START_THE_AGENT                                                                  \
    BEFORE_THE_AGENT OS_IMAGE_AGENT_PATH                                                 \
        " --service </dev/null >/dev/null 2>/dev/kmsg &\n"

/* Its start-stop-daemon(8) is OpenRC's own on Alpine and dpkg's on Debian, which have
 * few options in common. */
static const Text openrc_agent = {"/etc/init.d/" AGENT_SERVICE,
                                  "#!/sbin/openrc-run\n"
                                  "description=\"hostbed's agent\"\n"
                                  "depend() { after *; }\n"
                                  "start() {\n" START_THE_AGENT "}\n"
                                  "stop() { :; }\n",
                                  0755};

static const Text sysvinit_agent = {"/etc/init.d/" AGENT_SERVICE,
                                    "#!/bin/sh\n"
                                    "### BEGIN INIT INFO\n"
                                    "# Provides: hostbed-agent\n"
                                    "# Required-Start: $all\n"
                                    "# Required-Stop:\n"
                                    "# Default-Start: 2 3 4 5\n"
                                    "# Default-Stop:\n"
                                    "# Short-Description: hostbed's agent\n"
                                    "### END INIT INFO\n"
                                    "[ \"$1\" = start ] || exit 0\n" START_THE_AGENT,
                                    0755};

/* insserv(8)'s list by which startpar(8) starts scripts, each when those that it needs
 * are done, and none that is not in it. TEXT with the agent after all others; NULL: it is
 * there, or there is no such list. */
static char *
with_agent_last(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
    char *first = lines[0];
    if (!first || !g_str_has_prefix(first, "TARGETS = ") || strstr(first, AGENT_SERVICE))
        return NULL;
    const char *others = first + strlen("TARGETS = ");
    g_autofree char *rest = g_strjoinv("\n", lines + 1);
    return g_strdup_printf("%s " AGENT_SERVICE "\n%s%s" AGENT_SERVICE ": %s\n", first,
                           rest, *rest && !g_str_has_suffix(rest, "\n") ? "\n" : "",
                           others);
}

static void
add_sysvinit(Prepare *prepare, Layer *layer)
{
    static const char list[] = "/etc/init.d/.depend.start";
    g_autofree char *before = prepare_read(prepare, list);
    g_autofree char *after = with_agent_last(before);
    add_text(layer, &sysvinit_agent);
    if (after)
        layer_add_text(layer, list, after, 0644);
    for (char level = '2'; level <= '5'; level++) {
        g_autofree char *path = g_strdup_printf("/etc/rc%c.d/S99" AGENT_SERVICE, level);
        layer_add_link(layer, path, "../init.d/" AGENT_SERVICE);
    }
}

static void
add_openrc(Layer *layer)
{
    add_text(layer, &openrc_agent);
    layer_add_link(layer, "/etc/runlevels/default/" AGENT_SERVICE,
                   "/etc/init.d/" AGENT_SERVICE);
}

/* In inittab(5) of sysvinit and busybox: no login where the kernel speaks. */
static void
mute_console(Prepare *prepare, Layer *layer)
{
    g_autofree char *text = prepare_read(prepare, "/etc/inittab");
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
    gboolean is_changed = FALSE;
    for (char **line = lines; *line; line++) {
        if (**line == '#' || !strstr(*line, "getty") || !strstr(*line, "ttyS0"))
            continue;
        char *comment = g_strconcat("#", *line, NULL);
        g_free(*line);
        *line = comment;
        is_changed = TRUE;
    }
    g_autofree char *joined = g_strjoinv("\n", lines);
    if (is_changed)
        layer_add_text(layer, "/etc/inittab", joined, 0644);
}

/* ---- which
 * -----------------------------------------------------------------------------------------
 */

/* By what the kernel starts, where that says it: several may be installed. */
static gboolean
is_started(Prepare *prepare, PrepareInit init)
{
    g_autofree char *program = prepare_folder(prepare, "/sbin/init");
    gboolean is_there = program && prepare_exists(prepare, program);
    gboolean is_systemd = is_there && g_str_has_suffix(program, "/systemd");
    switch (init) {
    case PREPARE_SYSTEMD:
        return is_there ? is_systemd
                        : prepare_exists(prepare, "/lib/systemd/systemd") ||
                              prepare_exists(prepare, "/usr/lib/systemd/systemd");
    case PREPARE_OPENRC:
        return prepare_exists(prepare, "/sbin/openrc-run");
    case PREPARE_SYSVINIT:
        return prepare_exists(prepare, "/etc/rc2.d");
    }
    return FALSE;
}

gboolean
prepare_find_init(Prepare *prepare, GError **error)
{
    static const PrepareInit known[] = {PREPARE_SYSTEMD, PREPARE_OPENRC,
                                        PREPARE_SYSVINIT};
    for (guint i = 0; i < G_N_ELEMENTS(known); i++)
        if (is_started(prepare, known[i])) {
            prepare->init = known[i];
            return TRUE;
        }
    return prepare_refuse(
        prepare, HB_UNSUPPORTED, error,
        "starts its services by something that hostbed does not know; it "
        "should have systemd, OpenRC or sysvinit");
}

void
prepare_add_service(Prepare *prepare, Layer *layer)
{
    switch (prepare->init) {
    case PREPARE_SYSTEMD:
        add_systemd(layer);
        return;
    case PREPARE_OPENRC:
        add_openrc(layer);
        break;
    case PREPARE_SYSVINIT:
        add_sysvinit(prepare, layer);
        break;
    }
    mute_console(prepare, layer);
}

void
prepare_add_first_boot(Prepare *prepare, Layer *layer, const char *script)
{
    /* A script of the user's may begin with a line of its own. */
    g_autofree char *text = g_str_has_prefix(script, "#!")
                                ? g_strdup(script)
                                : g_strconcat("#!/bin/sh\nset -e\n", script, NULL);
    layer_add_text(layer, FIRST_BOOT_PATH, text, 0755);
    if (prepare->init != PREPARE_SYSTEMD)
        return; /* the agent's own script runs it */
    add_text(layer, &first_boot_unit);
    layer_add_link(
        layer, "/etc/systemd/system/multi-user.target.wants/hostbed-first-boot.service",
        "../hostbed-first-boot.service");
}
