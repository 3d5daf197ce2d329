/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "template-hand.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "error.h"
#include "template-private.h"

/* The texts about it; what is NULL is not there. */
static void
set_text(JsonObject *object, const char *name, const char *text)
{
    if (text)
        json_object_set_string_member(object, name, text);
}

static char *
get_text(JsonObject *object, const char *name)
{
    return g_strdup(json_object_get_string_member_with_default(object, name, NULL));
}

JsonObject *
template_hand(const Template *template, GArray *fds)
{
    const BootRecipe *recipe = template->recipe;
    JsonObject *object = json_object_new();
    JsonArray *arguments = json_array_new();
    for (char **word = recipe->extra_args; word && *word; word++)
        json_array_add_string_element(arguments, *word);
    json_object_set_array_member(object, "arguments", arguments);
    set_text(object, "emulator", recipe->emulator);
    set_text(object, "kernel_file", recipe->kernel_file);
    set_text(object, "initrd_file", recipe->initrd_file);
    set_text(object, "cmdline", recipe->cmdline);
    set_text(object, "root_words", recipe->root_words);
    set_text(object, "image_file", recipe->image_file);
    set_text(object, "nonce", template->nonce);
    set_text(object, "accel", accel_name(recipe->accel->accel));
    set_text(object, "accel_reason", recipe->accel->reason);
    set_text(object, "release", recipe->kernel->release);
    json_object_set_boolean_member(object, "capture", recipe->capture);
    json_object_set_boolean_member(object, "readonly", recipe->memory_readonly);
    json_object_set_int_member(object, "memories", recipe->memory_fds->len);
    g_array_append_val(fds, template->state_fd);
    g_array_append_vals(fds, recipe->memory_fds->data, recipe->memory_fds->len);
    json_object_set_int_member(object, "disks",
                               recipe->disk_fds ? recipe->disk_fds->len : 0);
    json_object_set_int_member(object, "disk_bytes", recipe->disk_bytes);
    if (recipe->disk_fds)
        g_array_append_vals(fds, recipe->disk_fds->data, recipe->disk_fds->len);
    return object;
}

static GStrv
take_arguments(JsonObject *object)
{
    JsonArray *array = json_object_get_array_member(object, "arguments");
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    for (guint i = 0; i < json_array_get_length(array); i++)
        g_strv_builder_add(builder, json_array_get_string_element(array, i));
    return g_strv_builder_end(builder);
}

static BootRecipe *
take_recipe(JsonObject *object, const Plan *plan)
{
    BootRecipe *recipe = g_rc_box_new0(BootRecipe);
    recipe->plan = plan;
    recipe->extra_args = take_arguments(object);
    recipe->emulator = get_text(object, "emulator");
    recipe->kernel_file = get_text(object, "kernel_file");
    recipe->initrd_file = get_text(object, "initrd_file");
    recipe->cmdline = get_text(object, "cmdline");
    recipe->root_words = get_text(object, "root_words");
    recipe->image_file = get_text(object, "image_file");
    recipe->disk_bytes = json_object_get_int_member(object, "disk_bytes");
    recipe->capture = json_object_get_boolean_member(object, "capture");
    recipe->memory_readonly = json_object_get_boolean_member(object, "readonly");
    recipe->accel = g_new0(AccelVerdict, 1);
    recipe->accel->reason = get_text(object, "accel_reason");
    recipe->kernel = g_new0(Kernel, 1);
    recipe->kernel->release = get_text(object, "release");
    return recipe;
}

/* COUNT descriptors from *FD on, which is then behind them. NULL: none. */
static GArray *
take_fds(int *fd, gint64 count)
{
    GArray *fds = count > 0 ? boot_fds_new() : NULL;
    for (gint64 i = 0; i < count; i++, (*fd)++) {
        fcntl(*fd, F_SETFD, FD_CLOEXEC);
        g_array_append_val(fds, *fd);
    }
    return fds;
}

int
template_hand_count(JsonObject *object)
{
    return (int)(1 + json_object_get_int_member(object, "memories") +
                 json_object_get_int_member(object, "disks"));
}

Template *
template_take(JsonObject *object, const Plan *plan, int first_fd, GError **error)
{
    g_autoptr(Template) template = g_new0(Template, 1);
    template->state_fd = -1;
    template->recipe = take_recipe(object, plan);
    template->nonce = get_text(object, "nonce");
    const char *accel = json_object_get_string_member_with_default(object, "accel", "");
    if (!accel_from_name(accel, &template->recipe->accel->accel)) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "a template was handed over without all that is known of it");
        return NULL;
    }
    int fd = first_fd;
    template->state_fd = fd;
    fcntl(fd++, F_SETFD, FD_CLOEXEC);
    template->recipe->memory_fds =
        take_fds(&fd, json_object_get_int_member(object, "memories"));
    template->recipe->disk_fds =
        take_fds(&fd, json_object_get_int_member(object, "disks"));
    return g_steal_pointer(&template);
}
