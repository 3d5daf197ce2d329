/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed-guestfs: one order (servant.h), one prepared image. The program ends with
 * hostbed, and the appliance with the program.
 */
#include <glib/gstdio.h>
#include <signal.h>
#include <stdarg.h>

#include "error.h"
#include "cache.h"
#include "os-image-parts.h"
#include "prepare.h"

typedef gboolean (*Step)(Prepare *prepare, GError **error);

static const Step steps[] = {
    prepare_disk,   prepare_launch, prepare_unpack,   prepare_inspect, prepare_grow,
    prepare_system, prepare_loader, prepare_packages, prepare_kernel,  prepare_end,
};

const char *
prepare_text(const Prepare *prepare, const char *name)
{
    return json_object_get_string_member_with_default(prepare->order, name, NULL);
}

gboolean
prepare_refuse(const Prepare *prepare, int status, GError **error, const char *format,
               ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *what = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, HB_ERROR, status, "%s %s", prepare->base, what);
    return FALSE;
}

void
prepare_step(Prepare *prepare, const char *what)
{
    prepare->doing = what;
    servant_side_progress(prepare->side, what, 0, 0);
}

static char *
complaint_of(const char *program, const char *text)
{
    g_autofree char *copy = g_strdup(text ? text : "");
    g_strstrip(copy);
    return *copy ? g_strdup(copy) : g_strdup_printf("%s gives no reason", program);
}

gboolean
prepare_run(const char *const *argv, GError **error)
{
    g_autofree char *complaint = NULL;
    g_autoptr(GError) failure = NULL;
    int status = 0;
    if (!g_spawn_sync(NULL, (char **)argv, NULL,
                      G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL,
                      &complaint, &status, &failure)) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "%s; './quickstart images' "
                    "installs what images are made with",
                    failure->message);
        return FALSE;
    }
    if (g_spawn_check_wait_status(status, NULL))
        return TRUE;
    g_autofree char *words = complaint_of(argv[0], complaint);
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "%s", words);
    return FALSE;
}

static JsonObject *
answer(const Prepare *prepare)
{
    JsonObject *about = json_object_new();
    json_object_set_string_member(about, "os", prepare->os);
    json_object_set_string_member(about, "name", prepare->name);
    json_object_set_string_member(about, "release", prepare->release);
    json_object_set_string_member(about, "root", prepare->root_words);
    json_object_set_boolean_member(about, "initrd", prepare->has_initrd);
    json_object_set_boolean_member(about, "loader", prepare->has_loader);
    json_object_set_int_member(about, "capacity", prepare->capacity);
    return about;
}

static void
prepare_clear(Prepare *prepare)
{
    prepare_end_watch(prepare);
    if (prepare->g)
        guestfs_close(prepare->g);
    cache_remove_tree(prepare->work);
    if (prepare->heard)
        g_string_free(prepare->heard, TRUE);
    g_free(prepare->work);
    g_free(prepare->disk);
    g_free(prepare->root);
    g_free(prepare->os);
    g_free(prepare->name);
    g_free(prepare->root_words);
    g_free(prepare->release);
    g_hash_table_unref(prepare->links);
    g_mutex_clear(&prepare->lock);
    g_cond_clear(&prepare->ended_changed);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Prepare, prepare_clear)

static JsonObject *
work(const ServantSide *side, JsonObject *order, GError **error)
{
    const char *folder =
        json_object_get_string_member_with_default(order, "folder", NULL);
    const char *base = json_object_get_string_member_with_default(order, "base", NULL);
    if (!folder || !base) {
        g_set_error_literal(error, HB_ERROR, HB_USAGE,
                            "the order names no folder, or no base");
        return NULL;
    }
    g_auto(Prepare) prepare = {
        .side = side,
        .order = order,
        .base = base,
        .folder = folder,
        .work = g_build_filename(folder, "work", NULL),
        .disk = g_build_filename(folder, OS_IMAGE_DISK_FILE, NULL),
        .links = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
    };
    g_mutex_init(&prepare.lock);
    g_cond_init(&prepare.ended_changed);
    prepare_own_tmp(order);
    signal(SIGPIPE, SIG_IGN); /* tar in the appliance may end before what we give it */
    g_mkdir(prepare.work, 0700);
    for (guint i = 0; i < G_N_ELEMENTS(steps); i++)
        if (!steps[i](&prepare, error))
            return NULL;
    return answer(&prepare);
}

int
main(void)
{
    return servant_side_run(work);
}
