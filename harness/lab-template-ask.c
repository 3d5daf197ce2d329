/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Whether hosts can be frozen, asked of their emulators, which wait for a state that
 * never comes: no guest runs.
 */
#include "lab-boot-private.h"

#include "boot-private.h"
#include "error.h"

static gboolean
ask(BootRecipe *recipe, Segments *segments, const char *log_dir, GCancellable *interrupt,
    GError **error)
{
    g_autoptr(Boot) boot = g_new0(Boot, 1);
    boot->recipe = g_rc_box_acquire(recipe);
    boot->segments = segments;
    if (!boot_open_memory(recipe, error) || !boot_take_disk(boot, NULL, error) ||
        !boot_start(boot, log_dir, TRUE, interrupt, error))
        return FALSE;
    g_autofree char *obstacle = template_obstacle(boot);
    if (obstacle)
        g_set_error(error, HB_ERROR, HB_UNSUPPORTED, "it cannot be frozen: %s", obstacle);
    return obstacle == NULL;
}

static GPtrArray *
plans_of(const GPtrArray *recipes)
{
    GPtrArray *plans = g_ptr_array_new();
    for (guint i = 0; i < recipes->len; i++)
        g_ptr_array_add(plans, (gpointer)((const BootRecipe *)recipes->pdata[i])->plan);
    return plans;
}

static gboolean
refuse_led_out(const GPtrArray *plans, GError **error)
{
    if (!uplinks_are_asked(plans))
        return TRUE;
    g_set_error_literal(error, HB_ERROR, HB_UNSUPPORTED,
                        "it cannot be frozen: " LAB_BOOT_LED_OUT);
    return FALSE;
}

gboolean
lab_template_possible(const BootOptions *options, const GPtrArray *peers, GError **error)
{
    g_autoptr(GPtrArray) recipes = lab_boot_recipes(options, peers, error);
    g_autoptr(LabBoot) lab = lab_boot_new();
    g_autoptr(GPtrArray) plans = recipes ? plans_of(recipes) : NULL;
    if (!recipes || !refuse_led_out(plans, error))
        return FALSE;
    if (plans->len > 1)
        lab->segments = lab_boot_segments(plans);
    for (guint i = 0; i < recipes->len; i++) {
        BootRecipe *recipe = recipes->pdata[i];
        g_autofree char *log_dir =
            lab_boot_log_dir(options->log_dir, recipe->plan, i == 0, error);
        if (!log_dir || !ask(recipe, lab->segments, log_dir, options->interrupt, error)) {
            lab_boot_name_error(lab, recipe->plan, error);
            return FALSE;
        }
    }
    return TRUE;
}
