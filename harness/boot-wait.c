/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The wait for a host's first word: it follows what the host does, not the clock, and
 * tells a hang with what was seen last.
 */
#include "boot-private.h"

#include <stdio.h>
#include <string.h>

#include "error.h"
#include "printable.h"

/* A host that shows no progress for so long stands still. A loop computes, so its time is
 * up early; a host that waits for a processor on a busy machine does not compute, so it
 * gets more. */
#define STALL_BUSY_MS 20000
/* … and for each function more: an emulator that maps the BARs of a hundred NICs takes
 * half a minute (QEMU 10.0, emulation, two cores) in which the kernel stands at one
 * instruction. */
#define STALL_FUNCTION_MS 300
#define STALL_IDLE_MS 60000
/* … and a distribution more: it unpacks its initramfs at one place of the kernel, and its
 * first processor may wait for a service that works on another. */
#define STALL_IMAGE_MS 100000
#define TICK_MS 500

typedef struct {
    Machine *machine;
    GCancellable *end; /* of the wait: the host is gone, or it stands still */
    guint stall_ms;    /* or 0 */
    guint64 progress;  /* at the last turn that saw some */
    guint still_ms;    /* since then, in turns: we may have been stopped ourselves */
    gint64 cpu_us;     /* the emulator's time then */
    guint busy_ms;     /* so long may it compute at one place */
    gboolean stalled;
} Watch;

static gboolean
stands_still(const Watch *watch)
{
    if (watch->stall_ms > 0)
        return watch->still_ms >= watch->stall_ms;
    gint64 computed_us = machine_cpu_time_us(watch->machine) - watch->cpu_us;
    return watch->still_ms >= MAX(STALL_IDLE_MS, 2 * watch->busy_ms) ||
           (watch->still_ms >= watch->busy_ms && computed_us >= watch->busy_ms * 1000LL);
}

static gboolean
on_tick(gpointer user_data)
{
    Watch *watch = user_data;
    guint64 progress = machine_progress(watch->machine);
    watch->still_ms += TICK_MS;
    if (progress != watch->progress) {
        watch->progress = progress;
        watch->still_ms = 0;
        watch->cpu_us = machine_cpu_time_us(watch->machine);
    } else if (stands_still(watch)) {
        watch->stalled = TRUE;
        g_cancellable_cancel(watch->end);
    }
    return G_SOURCE_CONTINUE;
}

static void
on_gone(GCancellable *gone, gpointer user_data)
{
    g_cancellable_cancel(user_data);
}

/* The end of a file, as much as fits; the host can write there without end. */
static gboolean
read_tail(const char *path, char *text, gsize size)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return FALSE;
    if (fseek(file, -(long)(size - 1), SEEK_END) != 0)
        rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
    return TRUE;
}

/* The last line that the firmware wrote to its debug port, or NULL. */
static char *
firmware_words(const char *log_dir)
{
    g_autofree char *path = g_build_filename(log_dir, BOOT_FIRMWARE_LOG, NULL);
    char text[4096];
    if (!read_tail(path, text, sizeof text))
        return NULL;
    g_strchomp(text);
    const char *newline = strrchr(text, '\n');
    const char *line = newline ? newline + 1 : text;
    return *line ? printable(line, strlen(line), 200) : NULL;
}

static void
set_hang(Boot *boot, const Watch *watch, GError **error)
{
    const char *words = machine_last_words(boot->machine);
    g_autofree char *where = machine_whereabouts(boot->machine);
    g_autofree char *firmware = words ? NULL : firmware_words(boot->log_dir);
    g_autoptr(GString) text = g_string_new(NULL);
    g_string_printf(text, "the host stood still for %u s before its agent spoke",
                    watch->still_ms / 1000);
    if (where)
        g_string_append_printf(text, ", %s", where);
    if (words)
        g_string_append_printf(text, "; its console said last: %s", words);
    else
        g_string_append_printf(text, "; its kernel said nothing%s%s",
                               firmware ? ", its firmware last: " : "",
                               firmware ? firmware : "");
    g_string_append_printf(text, "; logs: %s", boot->log_dir);
    g_set_error_literal(error, HB_ERROR, HB_GUEST_HANG, text->str);
}

gboolean
boot_wait_hello(Boot *boot, guint stall_ms, GError **error)
{
    g_autoptr(GCancellable) end = g_cancellable_new();
    GCancellable *gone = machine_gone(boot->machine);
    Watch watch = {.machine = boot->machine,
                   .end = end,
                   .stall_ms = stall_ms,
                   .busy_ms = STALL_BUSY_MS +
                              STALL_FUNCTION_MS * boot->recipe->plan->functions->len +
                              (boot->recipe->disk_fds ? STALL_IMAGE_MS : 0)};
    gulong id = g_cancellable_connect(gone, G_CALLBACK(on_gone), end, NULL);
    guint ticker = g_timeout_add(TICK_MS, on_tick, &watch);
    machine_sample(boot->machine, TRUE);
    g_autoptr(GError) reason = NULL;
    gboolean met = guest_wait_hello(boot->guest, end, &reason);
    machine_sample(boot->machine, FALSE);
    g_source_remove(ticker);
    g_cancellable_disconnect(gone, id);
    if (met)
        return TRUE;
    if (watch.stalled) {
        set_hang(boot, &watch, error);
        machine_note(boot->machine, "%s", (*error)->message);
        return FALSE;
    }
    boot_explain(boot, &reason);
    g_propagate_error(error, g_steal_pointer(&reason));
    return FALSE;
}
