/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What makes a distribution a host: services, settings, and the user's own files. All of
 * it goes in at once, as one archive.
 */
#include "prepare.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "autoptr.h"
#include "error.h"
#include "lab.h"

/* ---- settings
 * --------------------------------------------------------------------------------------
 */

static const struct {
    const char *path, *text;
} settings[] = {
    {"/etc/cloud/cloud-init.disabled", ""},
    {"/etc/dracut.conf.d/hostbed.conf",
     "add_drivers+=\" vfio vfio_iommu_type1 vfio_pci virtio_pci virtio_blk \"\n"},
    {"/usr/share/initramfs-tools/modules.d/hostbed",
     "vfio\nvfio_iommu_type1\nvfio_pci\nvirtio_pci\nvirtio_blk\next4\n"},
    {"/etc/apt/apt.conf.d/99hostbed", "APT::Periodic::Enable \"0\";\n"},
};

static void
add_ssh_key(Prepare *prepare, Layer *layer)
{
    const char *key = prepare_text(prepare, "ssh_key");
    if (!key)
        return;
    g_autofree char *before = prepare_read(prepare, "/root/.ssh/authorized_keys");
    g_autofree char *text = g_strdup_printf(
        "%s%s%s\n", before ? before : "",
        before && *before && !g_str_has_suffix(before, "\n") ? "\n" : "", key);
    layer_add_folder(layer, "/root/.ssh", 0700);
    layer_add_text(layer, "/root/.ssh/authorized_keys", text, 0600);
}

static void
add_settings(Prepare *prepare, Layer *layer)
{
    const char *hostname = prepare_text(prepare, "hostname");
    layer_add_text(layer, "/etc/hostname", hostname ? hostname : "hostbed\n", 0644);
    for (guint i = 0; i < G_N_ELEMENTS(settings); i++)
        layer_add_text(layer, settings[i].path, settings[i].text, 0644);
    add_ssh_key(prepare, layer);
}

/* ---- steps of the order
 * ---------------------------------------------------------------------------- */

static void
add_step(Prepare *prepare, Layer *layer, JsonObject *step)
{
    const char *what = json_object_get_string_member(step, "do");
    const char *path = json_object_get_string_member_with_default(step, "path", "/");
    const char *text = json_object_get_string_member_with_default(step, "text", "");
    const char *from = json_object_get_string_member_with_default(step, "from", NULL);
    gint64 mode = json_object_get_int_member_with_default(step, "mode", LAB_AUTO);
    if (g_str_equal(what, "copy"))
        layer_add_copy(layer, path, from, (int)mode);
    else if (g_str_equal(what, "write"))
        layer_add_text(layer, path, text, mode < 0 ? 0644 : (guint)mode);
    else if (g_str_equal(what, "link"))
        layer_add_link(layer, path, text);
    else if (g_str_equal(what, "first-boot"))
        prepare_add_first_boot(prepare, layer, text);
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

/* What is there and must not be: the network that the article has off by "virsh
 * net-autostart --disable default", and a login on the console that is read by others. */
static gboolean
remove_things(Prepare *prepare, GError **error)
{
    static const char *const paths[] = {
        "/etc/libvirt/qemu/networks/autostart/default.xml",
        "/etc/runlevels/default/agetty.ttyS0",
    };
    for (guint i = 0; i < G_N_ELEMENTS(paths); i++)
        if (guestfs_rm_f(prepare->g, paths[i]) != 0)
            return prepare_failed(prepare, error, "%s cannot be removed", paths[i]);
    return TRUE;
}

/* In the form that systemd and libselinux read. */
static gboolean
only_warn(Prepare *prepare, GError **error)
{
    static const char path[] = "/etc/selinux/config";
    g_autofree char *text = prepare_read(prepare, path);
    g_autoptr(GRegex) enforcing =
        g_regex_new("^[ \\t]*SELINUX=[ \\t]*enforcing",
                    G_REGEX_MULTILINE | G_REGEX_CASELESS | G_REGEX_RAW, 0, NULL);
    g_autofree char *changed =
        text ? g_regex_replace_literal(enforcing, text, -1, 0, "SELINUX=permissive", 0,
                                       NULL)
             : NULL;
    return !changed || g_str_equal(changed, text) ||
           prepare_write(prepare, path, changed, error);
}

static gboolean
put_in(Prepare *prepare, int fd, GError **error)
{
    g_autoptr(Layer) layer = layer_new(fd, "what goes into the image", FALSE, error);
    if (!layer)
        return FALSE;
    prepare_place_all(prepare, layer);
    add_settings(prepare, layer);
    prepare_add_service(prepare, layer);
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
    return prepare_find_init(prepare, error) && remove_things(prepare, error) &&
           only_warn(prepare, error) && put_in(prepare, fd, error);
}
