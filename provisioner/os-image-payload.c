/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed's own part of an image: the agent, which is static, and the suites with this
 * machine's dynamic linker and libraries, so that they run whatever the image has of
 * them.
 */
#include "os-image-parts.h"

#include <string.h>

#include "image-parts.h"

#define HOME "/usr/lib/hostbed"
#define PROGRAMS_PATH HOME "/suites"
#define LIBRARIES_PATH HOME "/lib"

typedef struct {
    GPtrArray *steps;
    char *linker; /* its name in LIBRARIES_PATH; NULL: not met yet */
} Payload;

static void
add_copy(GPtrArray *steps, const char *path, const char *source)
{
    LabStep *step = lab_step_new(LAB_STEP_COPY);
    step->from = g_strdup(source);
    step->path = g_strdup(path);
    step->mode = 0755;
    g_ptr_array_add(steps, step);
}

static void
add_start(GPtrArray *steps, const char *name, const char *linker)
{
    LabStep *step = lab_step_new(LAB_STEP_WRITE);
    step->path = g_build_filename(OS_IMAGE_SUITES_PATH, name, NULL);
    step->text =
        g_strdup_printf("#!/bin/sh\n"
                        "exec " LIBRARIES_PATH "/%s --library-path " LIBRARIES_PATH
                        " " PROGRAMS_PATH "/%s \"$@\"\n",
                        linker, name);
    step->mode = 0755;
    g_ptr_array_add(steps, step);
}

/* Suites keep their place, what they need goes beside them. */
static void
add_file(const char *path, const char *source, gpointer user_data)
{
    Payload *payload = user_data;
    g_autofree char *name = g_path_get_basename(path);
    g_autofree char *place = g_build_filename(LIBRARIES_PATH, name, NULL);
    gboolean is_suite = g_str_has_prefix(path, PROGRAMS_PATH "/");
    if (!is_suite && g_str_has_prefix(name, "ld-") && !payload->linker)
        payload->linker = g_strdup(name);
    add_copy(payload->steps, is_suite ? path : place, source);
}

static gboolean
add_suites(GPtrArray *steps, const char *suites_dir, GError **error)
{
    g_autoptr(Initramfs) tree = initramfs_new();
    g_autoptr(Programs) programs = programs_new(tree);
    if (!image_add_suites(programs, suites_dir, PROGRAMS_PATH, error))
        return FALSE;
    Payload payload = {steps, NULL};
    initramfs_foreach_file(tree, add_file, &payload);
    g_autofree char *linker = payload.linker;
    for (guint i = 0, count = steps->len; linker && i < count; i++) {
        const LabStep *step = steps->pdata[i];
        g_autofree char *name = g_path_get_basename(step->path);
        if (g_str_has_prefix(step->path, PROGRAMS_PATH "/"))
            add_start(steps, name, linker);
    }
    return TRUE;
}

GPtrArray *
os_image_payload(const char *agent, const char *suites_dir, GError **error)
{
    g_autoptr(GPtrArray) steps =
        g_ptr_array_new_with_free_func((GDestroyNotify)lab_step_free);
    add_copy(steps, OS_IMAGE_AGENT_PATH, agent);
    if (suites_dir && !add_suites(steps, suites_dir, error))
        return NULL;
    return g_steal_pointer(&steps);
}
