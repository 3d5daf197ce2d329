/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The appliance: how it is started, what is heard of it, and what is done when this
 * machine's disk is full, which the emulator answers by standing still.
 */
#include "prepare.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "error.h"
#include "tail.h"

/* Packages are unpacked in it; more does not make it quicker. */
#define MEMORY_MIB 1024
/* Of what is heard while it starts; of which so many lines are told. */
#define HEARD_MOST 4096
#define LINES_MOST 6
/* When so little is left, the emulator will find none within a second. */
#define ROOM_LEAST ((guint64)16 << 20)

static gboolean
is_full(Prepare *prepare)
{
    g_mutex_lock(&prepare->lock);
    gboolean full = prepare->is_full;
    g_mutex_unlock(&prepare->lock);
    return full;
}

/* Its words in one line, without the advice to turn on its debugging, which is for who
 * called it by hand. */
static char *
words_of(guestfs_h *g)
{
    const char *words = guestfs_last_error(g);
    if (!words)
        return g_strdup("nothing");
    const char *advice = strstr(words, "\nTo see full error messages");
    g_autofree char *text =
        advice ? g_strndup(words, (gsize)(advice - words)) : g_strdup(words);
    g_strchomp(text);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    return g_strjoinv("; ", lines);
}

gboolean
prepare_failed(Prepare *prepare, GError **error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *what = g_strdup_vprintf(format, args);
    va_end(args);
    g_autofree char *words = words_of(prepare->g);
    if (is_full(prepare))
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "there is no room left for the image in %s; free some, or name "
                    "another folder by XDG_CACHE_HOME",
                    prepare->folder);
    else
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "%s: %s: libguestfs says: %s",
                    prepare->base, what, words);
    return FALSE;
}

static void
on_progress(guestfs_h *g, void *user_data, uint64_t event, int handle, int flags,
            const char *text, size_t length, const uint64_t *numbers, size_t count)
{
    Prepare *prepare = user_data;
    if (count >= 4 && numbers[3] > 0)
        servant_side_progress(prepare->side, prepare->doing, (gint64)numbers[2],
                              (gint64)numbers[3]);
}

/* What supermin and the emulator write to their standard error, and the appliance to its
 * console. */
static void
on_words(guestfs_h *g, void *user_data, uint64_t event, int handle, int flags,
         const char *text, size_t length, const uint64_t *numbers, size_t count)
{
    Prepare *prepare = user_data;
    tail_add(prepare->heard, text, length, HEARD_MOST);
}

/* ---- room on this machine
 * ---------------------------------------------------------------------------- */

static gboolean
has_room(const Prepare *prepare)
{
    struct statvfs st;
    return statvfs(prepare->folder, &st) != 0 ||
           (guint64)st.f_bavail * st.f_frsize >= ROOM_LEAST;
}

/* An emulator whose disk is full stops the guest until somebody makes room, and who
 * called libguestfs would wait as long. */
static gpointer
watch(gpointer user_data)
{
    Prepare *prepare = user_data;
    g_mutex_lock(&prepare->lock);
    while (!prepare->ended && !prepare->is_full) {
        g_cond_wait_until(&prepare->ended_changed, &prepare->lock,
                          g_get_monotonic_time() + G_USEC_PER_SEC / 4);
        prepare->is_full = !has_room(prepare);
    }
    if (!prepare->ended && prepare->emulator > 0)
        kill(prepare->emulator, SIGKILL);
    g_mutex_unlock(&prepare->lock);
    return NULL;
}

void
prepare_end_watch(Prepare *prepare)
{
    if (!prepare->watch)
        return;
    g_mutex_lock(&prepare->lock);
    prepare->ended = TRUE;
    g_cond_signal(&prepare->ended_changed);
    g_mutex_unlock(&prepare->lock);
    g_thread_join(g_steal_pointer(&prepare->watch));
}

/* ---- start and end
 * --------------------------------------------------------------------------------- */

static gboolean
needs_network(const Prepare *prepare)
{
    return json_object_has_member(prepare->order, "packages");
}

/* A kernel of ours for the appliance, which supermin takes as it is: unpacked, it starts
 * in two thirds of the time under emulation. */
static void
choose_kernel(const Prepare *prepare)
{
    const char *kernel = prepare_text(prepare, "kernel");
    if (!kernel)
        return;
    g_setenv("SUPERMIN_KERNEL", kernel, TRUE);
    g_setenv("SUPERMIN_KERNEL_VERSION", prepare_text(prepare, "kernel_release"), TRUE);
    g_setenv("SUPERMIN_MODULES", prepare_text(prepare, "kernel_modules"), TRUE);
}

/* The one that this machine's libguestfs is made for and tried with, whichever hosts are
 * started by; that of the order where there is none. */
static gboolean
choose_emulator(Prepare *prepare)
{
    g_autofree char *own = guestfs_get_hv(prepare->g);
    return (own && g_file_test(own, G_FILE_TEST_IS_EXECUTABLE)) ||
           guestfs_set_hv(prepare->g, prepare_text(prepare, "emulator")) == 0;
}

static gboolean
set_up(Prepare *prepare)
{
    guestfs_h *g = prepare->g;
    char *const tcg[] = {(char *)"force_tcg", NULL};
    char *const none[] = {NULL};
    gboolean force_tcg = json_object_get_boolean_member(prepare->order, "force_tcg");
    gint64 cpus = json_object_get_int_member_with_default(prepare->order, "cpus", 1);
    guestfs_set_error_handler(g, NULL, NULL);
    return guestfs_set_event_callback(g, on_progress, GUESTFS_EVENT_PROGRESS, 0,
                                      prepare) >= 0 &&
           guestfs_set_event_callback(g, on_words,
                                      GUESTFS_EVENT_LIBRARY | GUESTFS_EVENT_APPLIANCE, 0,
                                      prepare) >= 0 &&
           guestfs_set_program(g, "hostbed") == 0 &&
           guestfs_set_backend(g, "direct") == 0 &&
           guestfs_set_backend_settings(g, force_tcg ? tcg : none) == 0 &&
           choose_emulator(prepare) &&
           guestfs_set_cachedir(g, prepare_text(prepare, "cache")) == 0 &&
           guestfs_set_tmpdir(g, prepare->work) == 0 &&
           guestfs_set_memsize(g, MEMORY_MIB) == 0 &&
           guestfs_set_smp(g, (int)cpus) == 0 &&
           guestfs_set_network(g, needs_network(prepare)) == 0 &&
           guestfs_add_drive_opts(g, prepare->disk, GUESTFS_ADD_DRIVE_OPTS_FORMAT,
                                  "qcow2", GUESTFS_ADD_DRIVE_OPTS_CACHEMODE, "unsafe",
                                  -1) == 0;
}

static char *
last_lines(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GPtrArray) full = g_ptr_array_new();
    for (char **line = lines; *line; line++)
        if (*g_strstrip(*line))
            g_ptr_array_add(full, *line);
    guint first = full->len > LINES_MOST ? full->len - LINES_MOST : 0;
    g_ptr_array_add(full, NULL);
    return g_strjoinv(" / ", (char **)full->pdata + first);
}

gboolean
prepare_launch(Prepare *prepare, GError **error)
{
    prepare_step(prepare, "starting the appliance");
    choose_kernel(prepare);
    prepare->g = guestfs_create();
    if (!prepare->g) {
        g_set_error_literal(error, HB_ERROR, HB_INFRASTRUCTURE,
                            "libguestfs cannot be used: it has no memory");
        return FALSE;
    }
    if (!set_up(prepare))
        return prepare_failed(prepare, error, "the appliance cannot be set up");
    prepare->heard = g_string_new(NULL);
    if (guestfs_launch(prepare->g) != 0) {
        g_autofree char *heard = last_lines(prepare->heard->str);
        return prepare_failed(prepare, error, "the appliance does not start%s%s%s",
                              *heard ? " (last was heard: " : "", heard,
                              *heard ? ")" : "");
    }
    prepare->emulator = guestfs_get_pid(prepare->g);
    prepare->watch = g_thread_new("watch", watch, prepare);
    return TRUE;
}

gboolean
prepare_end(Prepare *prepare, GError **error)
{
    prepare_step(prepare, "ending the appliance");
    gboolean is_out = guestfs_umount_all(prepare->g) == 0;
    prepare_end_watch(prepare);
    if (!is_out || guestfs_shutdown(prepare->g) != 0 || prepare->is_full)
        return prepare_failed(prepare, error, "the image cannot be finished");
    return TRUE;
}
