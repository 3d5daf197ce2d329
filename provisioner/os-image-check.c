/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Whether what an image is made from is there, before anything is done for it: the lab's
 * line says which of it is not.
 */
#include "os-image.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "os-recipe.h"

static void
check_file(const char *file, FilePos pos, FindingLevel level, Findings *findings)
{
    if (access(file, R_OK) == 0)
        return;
    const int reason = errno;
    g_autofree char *path = g_canonicalize_filename(file, NULL);
    findings_add(findings, level, pos, "image-source", "%s cannot be read: %s", path,
                 g_strerror(reason));
}

static void
check_recipe(const LabImage *image, FindingLevel level, Findings *findings)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(OsRecipe) recipe = os_recipe_load(image->from, &error);
    if (!recipe)
        findings_add(findings, level, image->pos, "image-source", "%s", error->message);
}

void
os_image_check(const LabImage *image, FindingLevel level, Findings *findings)
{
    if (image->from && strchr(image->from, '/'))
        check_file(image->from, image->pos, level, findings);
    else if (image->from)
        check_recipe(image, level, findings);
    if (image->ssh_key)
        check_file(image->ssh_key, image->pos, level, findings);
    for (guint i = 0; i < image->steps->len; i++) {
        const LabStep *step = image->steps->pdata[i];
        if (step->kind == LAB_STEP_COPY)
            check_file(step->from, step->pos, level, findings);
    }
}
