/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What makes a distribution a host: the agent as a service, settings, and the user's own
 * files. All of it goes in at once, as one archive.
 */
#include "prepare.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "autoptr.h"
#include "error.h"
#include "lab.h"
#include "os-image.h"

#define FIRST_BOOT_PATH "/usr/lib/hostbed/first-boot"

typedef struct {
    const char *path, *text;
    guint mode;
} Text;

/* ---- services
 * --------------------------------------------------------------------------------------
 */

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
                                     "ExecStart=" FIRST_BOOT_PATH "\n"
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

static const Text openrc_agent = {"/etc/init.d/hostbed-agent",
                                  "#!/sbin/openrc-run\n"
                                  "description=\"hostbed's agent\"\n"
                                  "command=" OS_IMAGE_AGENT_PATH "\n"
                                  "command_args=--service\n"
                                  "command_background=yes\n"
                                  "pidfile=/run/hostbed-agent.pid\n"
                                  "depend() { after *; }\n",
                                  0755};

static const Text sysvinit_agent = {"/etc/init.d/hostbed-agent",
                                    "#!/bin/sh\n"
                                    "### BEGIN INIT INFO\n"
                                    "# Provides: hostbed-agent\n"
                                    "# Required-Start: $all\n"
                                    "# Required-Stop:\n"
                                    "# Default-Start: 2 3 4 5\n"
                                    "# Default-Stop:\n"
                                    "# Short-Description: hostbed's agent\n"
                                    "### END INIT INFO\n"
                                    "[ \"$1\" != start ] || " OS_IMAGE_AGENT_PATH
                                    " --service </dev/null >/dev/null 2>&1 &\n",
                                    0755};

/* ---- settings
 * --------------------------------------------------------------------------------------
 */

static const Text settings[] = {
    {"/etc/cloud/cloud-init.disabled", "", 0644},
    {"/etc/dracut.conf.d/hostbed.conf",
     "add_drivers+=\" vfio vfio_iommu_type1 vfio_pci virtio_pci virtio_blk \"\n", 0644},
    {"/usr/share/initramfs-tools/modules.d/hostbed",
     "vfio\nvfio_iommu_type1\nvfio_pci\nvirtio_pci\nvirtio_blk\next4\n", 0644},
    {"/etc/apt/apt.conf.d/99hostbed", "APT::Periodic::Enable \"0\";\n", 0644},
};

static void
add_texts(Prepare *prepare, Layer *layer, const Text *texts, guint count)
{
    for (guint i = 0; i < count; i++) {
        g_autofree char *place = prepare_place(prepare, texts[i].path);
        layer_add_text(layer, place, texts[i].text, texts[i].mode);
    }
}

static void
add_link(Prepare *prepare, Layer *layer, const char *path, const char *target)
{
    g_autofree char *place = prepare_place(prepare, path);
    layer_add_link(layer, place, target);
}

static void
add_systemd(Prepare *prepare, Layer *layer)
{
    add_texts(prepare, layer, systemd_texts, G_N_ELEMENTS(systemd_texts));
    add_link(prepare, layer,
             "/etc/systemd/system/multi-user.target.wants/hostbed-agent.service",
             "../hostbed-agent.service");
    for (guint i = 0; i < G_N_ELEMENTS(masked); i++) {
        g_autofree char *path = g_build_filename("/etc/systemd/system", masked[i], NULL);
        add_link(prepare, layer, path, "/dev/null");
    }
}

static void
add_service(Prepare *prepare, Layer *layer)
{
    switch (prepare->init) {
    case PREPARE_SYSTEMD:
        add_systemd(prepare, layer);
        break;
    case PREPARE_OPENRC:
        add_texts(prepare, layer, &openrc_agent, 1);
        add_link(prepare, layer, "/etc/runlevels/default/hostbed-agent",
                 "/etc/init.d/hostbed-agent");
        break;
    case PREPARE_SYSVINIT:
        add_texts(prepare, layer, &sysvinit_agent, 1);
        for (char level = '2'; level <= '5'; level++) {
            g_autofree char *path =
                g_strdup_printf("/etc/rc%c.d/S99hostbed-agent", level);
            add_link(prepare, layer, path, "../init.d/hostbed-agent");
        }
        break;
    }
}

static void
add_ssh_key(Prepare *prepare, Layer *layer)
{
    const char *key = prepare_text(prepare, "ssh_key");
    if (!key)
        return;
    g_autofree char *folder = prepare_place(prepare, "/root/.ssh");
    g_autofree char *place = prepare_place(prepare, "/root/.ssh/authorized_keys");
    g_autofree char *before = prepare_read(prepare, "/root/.ssh/authorized_keys");
    g_autofree char *text = g_strdup_printf(
        "%s%s%s\n", before ? before : "",
        before && *before && !g_str_has_suffix(before, "\n") ? "\n" : "", key);
    layer_add_folder(layer, folder, 0700);
    layer_add_text(layer, place, text, 0600);
}

static void
add_settings(Prepare *prepare, Layer *layer)
{
    g_autofree char *place = prepare_place(prepare, "/etc/hostname");
    const char *hostname = prepare_text(prepare, "hostname");
    layer_add_text(layer, place, hostname ? hostname : "hostbed\n", 0644);
    add_texts(prepare, layer, settings, G_N_ELEMENTS(settings));
    add_ssh_key(prepare, layer);
}

/* ---- steps of the order
 * ---------------------------------------------------------------------------- */

static void
add_first_boot(Prepare *prepare, Layer *layer, const char *scripts)
{
    /* A script of the user's may begin with a line of its own. */
    g_autofree char *text = g_str_has_prefix(scripts, "#!")
                                ? g_strdup(scripts)
                                : g_strconcat("#!/bin/sh\nset -e\n", scripts, NULL);
    const Text script = {FIRST_BOOT_PATH, text, 0755};
    add_texts(prepare, layer, &script, 1);
    if (prepare->init == PREPARE_SYSTEMD) {
        add_texts(prepare, layer, &first_boot_unit, 1);
        add_link(prepare, layer,
                 "/etc/systemd/system/multi-user.target.wants/hostbed-first-boot.service",
                 "../hostbed-first-boot.service");
    } else {
        const Text local = {"/etc/local.d/hostbed.start", text, 0755};
        add_texts(prepare, layer, &local, 1);
    }
}

static void
add_step(Prepare *prepare, Layer *layer, JsonObject *step)
{
    const char *what = json_object_get_string_member(step, "do");
    const char *path = json_object_get_string_member_with_default(step, "path", "/");
    const char *text = json_object_get_string_member_with_default(step, "text", "");
    const char *from = json_object_get_string_member_with_default(step, "from", NULL);
    gint64 mode = json_object_get_int_member_with_default(step, "mode", LAB_AUTO);
    g_autofree char *place = prepare_place(prepare, path);
    if (g_str_equal(what, "copy"))
        layer_add_copy(layer, place, from, (int)mode);
    else if (g_str_equal(what, "write"))
        layer_add_text(layer, place, text, mode < 0 ? 0644 : (guint)mode);
    else if (g_str_equal(what, "link"))
        layer_add_link(layer, place, text);
    else if (g_str_equal(what, "first-boot"))
        add_first_boot(prepare, layer, text);
}

static void
add_steps(Prepare *prepare, Layer *layer)
{
    JsonArray *steps = json_object_get_array_member(prepare->order, "steps");
    for (guint i = 0; i < json_array_get_length(steps); i++)
        add_step(prepare, layer, json_array_get_object_element(steps, i));
}

/* ---- all of it
 * -------------------------------------------------------------------------------------
 */

static gboolean
find_init(Prepare *prepare, GError **error)
{
    static const struct {
        const char *path;
        PrepareInit init;
    } known[] = {
        {"/lib/systemd/systemd", PREPARE_SYSTEMD},
        {"/usr/lib/systemd/systemd", PREPARE_SYSTEMD},
        {"/sbin/openrc-run", PREPARE_OPENRC},
        {"/etc/rc2.d", PREPARE_SYSVINIT},
    };
    for (guint i = 0; i < G_N_ELEMENTS(known); i++)
        if (prepare_exists(prepare, known[i].path)) {
            prepare->init = known[i].init;
            return TRUE;
        }
    return prepare_refuse(
        prepare, HB_UNSUPPORTED, error,
        "starts its services by something that hostbed does not know; it "
        "should have systemd, OpenRC or sysvinit");
}

/* What is there and must not be. */
static gboolean
remove_things(Prepare *prepare, GError **error)
{
    /* As in the article: "virsh net-autostart --disable default". */
    static const char network[] = "/etc/libvirt/qemu/networks/autostart/default.xml";
    return guestfs_rm_f(prepare->g, network) == 0 ||
           prepare_failed(prepare, error, "%s cannot be removed", network);
}

static gboolean
only_warn(Prepare *prepare, GError **error)
{
    static const char path[] = "/etc/selinux/config";
    g_autofree char *text = prepare_read(prepare, path);
    if (!text || !strstr(text, "SELINUX=enforcing"))
        return TRUE;
    g_autoptr(GString) changed = g_string_new(text);
    g_string_replace(changed, "\nSELINUX=enforcing", "\nSELINUX=permissive", 0);
    return prepare_write(prepare, path, changed->str, error);
}

static gboolean
put_in(Prepare *prepare, int fd, GError **error)
{
    g_autoptr(Layer) layer = layer_new(fd, "what goes into the image", FALSE, error);
    if (!layer)
        return FALSE;
    add_settings(prepare, layer);
    add_service(prepare, layer);
    add_steps(prepare, layer);
    return layer_close(layer, error) && prepare_tar_in(prepare, fd, "/", error);
}

gboolean
prepare_system(Prepare *prepare, GError **error)
{
    prepare_step(prepare, "putting files in");
    g_autofree char *path = g_build_filename(prepare->work, "layer.tar", NULL);
    g_auto(AutoFd) fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot make %s", path);
        return FALSE;
    }
    return find_init(prepare, error) && remove_things(prepare, error) &&
           only_warn(prepare, error) && put_in(prepare, fd, error);
}
