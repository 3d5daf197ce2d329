/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The hosts of a lab at one instant. Nothing more is delivered on the networks; what was
 * delivered the emulators take; all hosts stand still; then what waits on the networks is
 * frozen, and one host after the other. A clone of the lab goes the same way back: all
 * hosts have their states before the first goes on, and the networks come last.
 */
#include "lab-boot-private.h"

#include <string.h>

#include "error.h"
#include "template-hand.h"
#include "template-private.h"

/* What an emulator has not taken by then its guest has no room for, and loses, as it
 * would on any wire. */
#define SETTLE_MS 500

LabTemplate *
lab_template_new(void)
{
    LabTemplate *template = g_new0(LabTemplate, 1);
    template->templates = g_ptr_array_new_with_free_func((GDestroyNotify)template_free);
    return template;
}

void
lab_template_free(LabTemplate *template)
{
    if (!template)
        return;
    g_ptr_array_unref(template->templates);
    g_clear_pointer(&template->networks, g_bytes_unref);
    g_free(template->key);
    g_free(template->made);
    g_clear_pointer(&template->inputs, g_ptr_array_unref);
    g_free(template);
}

LabTemplate *
lab_template_of(Template *template)
{
    LabTemplate *lab = lab_template_new();
    g_ptr_array_add(lab->templates, template);
    return lab;
}

Template *
lab_template_single(const LabTemplate *template)
{
    return template->networks ? NULL : template->templates->pdata[0];
}

gint64
lab_template_used_bytes(const LabTemplate *template)
{
    gint64 bytes = 0;
    for (guint i = 0; i < template->templates->len; i++)
        bytes += template_used_bytes(template->templates->pdata[i]);
    return bytes;
}

/* ---- freezing
 * ------------------------------------------------------------------------------------ */

static gboolean
begin_all(const LabBoot *lab, const LabTemplate *template, GError **error)
{
    for (guint i = 0; i < lab->boots->len; i++) {
        Boot *boot = lab->boots->pdata[i];
        Template *one = template_begin(boot, error);
        if (!one) {
            lab_boot_name_error(lab, boot->recipe->plan, error);
            return FALSE;
        }
        g_ptr_array_add(template->templates, one);
    }
    return TRUE;
}

static gboolean
pause_all(const LabBoot *lab, GError **error)
{
    segments_hold(lab->segments);
    segments_settle(lab->segments, SETTLE_MS);
    for (guint i = 0; i < lab->boots->len; i++) {
        Boot *boot = lab->boots->pdata[i];
        g_autoptr(GError) reason = NULL;
        if (machine_pause(boot->machine, &reason))
            continue;
        boot_explain(boot, &reason);
        g_propagate_error(error, g_steal_pointer(&reason));
        lab_boot_name_error(lab, boot->recipe->plan, error);
        return FALSE;
    }
    return TRUE;
}

static void
resume_all(const LabBoot *lab)
{
    for (guint i = 0; i < lab->boots->len; i++)
        machine_resume(((Boot *)lab->boots->pdata[i])->machine, NULL);
    segments_release(lab->segments);
}

/* Ends one emulator after the other. FALSE: *LAB is freed, unless it was the first that
 * could not be frozen. */
static gboolean
finish_all(LabBoot **lab, const LabTemplate *template, GError **error)
{
    GPtrArray *boots = (*lab)->boots;
    for (guint i = 0; i < boots->len; i++) {
        const Plan *plan = ((Boot *)boots->pdata[i])->recipe->plan;
        if (template_finish(template->templates->pdata[i], (Boot **)&boots->pdata[i],
                            error))
            continue;
        lab_boot_name_error(*lab, plan, error);
        if (i > 0 || !boots->pdata[0])
            g_clear_pointer(lab, lab_boot_free);
        return FALSE;
    }
    g_clear_pointer(lab, lab_boot_free);
    return TRUE;
}

static LabTemplate *
freeze_single(LabBoot **lab, GError **error)
{
    GPtrArray *boots = (*lab)->boots;
    Template *template = template_freeze((Boot **)&boots->pdata[0], error);
    if (!boots->pdata[0])
        g_clear_pointer(lab, lab_boot_free);
    return template ? lab_template_of(template) : NULL;
}

LabTemplate *
lab_boot_freeze(LabBoot **lab, GError **error)
{
    if (!(*lab)->segments)
        return freeze_single(lab, error);
    if ((*lab)->uplinks) {
        g_set_error_literal(error, HB_ERROR, HB_UNSUPPORTED, LAB_BOOT_LED_OUT);
        return NULL;
    }
    g_autoptr(LabTemplate) template = lab_template_new();
    if (!begin_all(*lab, template, error))
        return NULL;
    if (pause_all(*lab, error)) {
        template->networks = segments_state((*lab)->segments);
        if (finish_all(lab, template, error))
            return g_steal_pointer(&template);
    }
    if (*lab)
        resume_all(*lab);
    return NULL;
}

/* ---- clones
 * ---------------------------------------------------------------------------------------
 */

static gboolean
start_all(LabBoot *lab, const LabTemplate *template, gboolean branch, const char *log_dir,
          GCancellable *interrupt, GError **error)
{
    for (guint i = 0; i < template->templates->len; i++) {
        const Template *one = template->templates->pdata[i];
        const Plan *plan = one->recipe->plan;
        g_autofree char *own_dir = lab_boot_log_dir(log_dir, plan, i == 0, error);
        const TemplateStart start = {.log_dir = own_dir,
                                     .interrupt = interrupt,
                                     .segments = lab->segments,
                                     .branch = branch};
        Boot *boot = own_dir ? template_start(one, &start, error) : NULL;
        if (!boot) {
            lab_boot_name_error(lab, plan, error);
            return FALSE;
        }
        g_ptr_array_add(lab->boots, boot);
    }
    return TRUE;
}

static gboolean
go_all(const LabBoot *lab, GError **error)
{
    for (guint i = 0; i < lab->boots->len; i++) {
        Boot *boot = lab->boots->pdata[i];
        g_autoptr(GError) reason = NULL;
        if (machine_go(boot->machine, &reason))
            continue;
        boot_explain(boot, &reason);
        g_propagate_error(error, g_steal_pointer(&reason));
        return FALSE;
    }
    if (lab->segments)
        segments_release(lab->segments);
    return TRUE;
}

static gboolean
wake_all(const LabBoot *lab, const LabTemplate *template, GError **error)
{
    for (guint i = 0; i < lab->boots->len; i++) {
        const Template *one = template->templates->pdata[i];
        if (!template_wake(one, lab->boots->pdata[i], error)) {
            lab_boot_name_error(lab, one->recipe->plan, error);
            return FALSE;
        }
    }
    return TRUE;
}

static Segments *
new_segments(const LabTemplate *template)
{
    g_autoptr(GPtrArray) plans = g_ptr_array_new();
    for (guint i = 0; i < template->templates->len; i++)
        g_ptr_array_add(
            plans, (gpointer)((Template *)template->templates->pdata[i])->recipe->plan);
    return lab_boot_segments(plans);
}

LabBoot *
lab_template_clone(const LabTemplate *template, gboolean branch, const char *log_dir,
                   GCancellable *interrupt, GError **error)
{
    g_autoptr(LabBoot) lab = lab_boot_new();
    const Template *own = template->templates->pdata[0];
    if (template->networks)
        lab->segments = new_segments(template);
    if (start_all(lab, template, branch, log_dir, interrupt, error) &&
        lab_boot_capture(lab, own->recipe->capture, log_dir, error) &&
        (!lab->segments || segments_restore(lab->segments, template->networks, error)) &&
        go_all(lab, error) && wake_all(lab, template, error))
        return g_steal_pointer(&lab);
    return NULL;
}

/* ---- in the hands of another process
 * ---------------------------------------------------------------- */

JsonObject *
lab_template_hand(const LabTemplate *template, GArray *fds)
{
    JsonObject *object = json_object_new();
    JsonArray *list = json_array_new();
    for (guint i = 0; i < template->templates->len; i++)
        json_array_add_object_element(list,
                                      template_hand(template->templates->pdata[i], fds));
    json_object_set_array_member(object, "hosts", list);
    if (template->networks) {
        gsize length;
        const guchar *bytes = g_bytes_get_data(template->networks, &length);
        g_autofree char *text = g_base64_encode(bytes, length);
        json_object_set_string_member(object, "networks", text);
    }
    return object;
}

LabTemplate *
lab_template_take(JsonObject *object, const Plan *plan, const GPtrArray *peers,
                  int first_fd, GError **error)
{
    g_autoptr(LabTemplate) template = lab_template_new();
    JsonArray *list = json_object_get_array_member(object, "hosts");
    int fd = first_fd;
    for (guint i = 0; i < json_array_get_length(list); i++) {
        JsonObject *about = json_array_get_object_element(list, i);
        const Plan *its = i == 0 ? plan : peers->pdata[i - 1];
        Template *one = template_take(about, its, fd, error);
        if (!one)
            return NULL;
        g_ptr_array_add(template->templates, one);
        fd += template_hand_count(about);
    }
    const char *text =
        json_object_get_string_member_with_default(object, "networks", NULL);
    if (text) {
        gsize length;
        guchar *bytes = g_base64_decode(text, &length);
        template->networks = g_bytes_new_take(bytes, length);
    }
    return g_steal_pointer(&template);
}
