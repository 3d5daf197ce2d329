/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Drivers for what is plugged. The micro image has only those of what was there at its
 * start, so the others are carried into it; a distribution has its own, and loads them
 * when it sees the device.
 */
#include <string.h>

#include "error.h"
#include "live-private.h"
#include "modules.h"
#include "printable.h"

#define FOLDER "/tmp"
#define LOAD_MS 60000
#define REASON_MAX 500

static void
on_output(int stream, const guint8 *data, gsize length, gpointer user_data)
{
    GString *said = user_data;
    g_string_append_len(said, (const char *)data, (gssize)length);
}

static gboolean
put(Host *host, const KernelModule *module, GError **error)
{
    char *text;
    gsize length;
    g_autofree char *path = g_strdup_printf(FOLDER "/%s.ko", module->name);
    if (!g_file_get_contents(module->file, &text, &length, error))
        return FALSE;
    g_autoptr(GBytes) content = g_bytes_new_take(text, length);
    return guest_put(host->boot->guest, path, 0600, content, boot_cancellable(host->boot),
                     error);
}

/* Those that are there already are left alone. The files go again. */
static gboolean
insert(Host *host, const GPtrArray *modules, GError **error)
{
    static const char script[] =
        "for name; do [ -e /sys/module/$name ] || insmod " FOLDER "/$name.ko || exit 1; "
        "rm " FOLDER "/$name.ko; done";
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autoptr(GString) said = g_string_new(NULL);
    GuestExit end = {0};
    const char *const words[] = {"sh", "-c", script, "sh"};
    for (gsize i = 0; i < G_N_ELEMENTS(words); i++)
        g_ptr_array_add(argv, (gpointer)words[i]);
    for (guint i = 0; i < modules->len; i++)
        g_ptr_array_add(argv, ((KernelModule *)modules->pdata[i])->name);
    g_ptr_array_add(argv, NULL);
    const GuestCommand command = {.argv = (const char *const *)argv->pdata,
                                  .stdin_fd = -1,
                                  .stdout_fd = -1,
                                  .stderr_fd = -1,
                                  .output = on_output,
                                  .user_data = said,
                                  .timeout_ms = LOAD_MS};
    if (!guest_run(host->boot->guest, &command, &end, boot_cancellable(host->boot),
                   error)) {
        boot_explain(host->boot, error);
        return FALSE;
    }
    if (end.status == 0 && end.signal == 0 && !end.timed_out)
        return TRUE;
    g_strchomp(said->str);
    g_autofree char *reason = printable(said->str, strlen(said->str), REASON_MAX);
    g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                "the host cannot load the driver of what is to be plugged: %s",
                *reason ? reason : "insmod gave no reason");
    return FALSE;
}

gboolean
live_modules_load(Host *host, const Plan *plan, GError **error)
{
    g_autoptr(GPtrArray) more = g_ptr_array_new();
    for (guint i = 0; i < plan->modules->len; i++)
        if (!g_ptr_array_find_with_equal_func(host->plan->modules,
                                              plan->modules->pdata[i], g_str_equal, NULL))
            g_ptr_array_add(more, plan->modules->pdata[i]);
    if (more->len == 0 || plan->image)
        return TRUE;
    const ModuleNames names = {.wanted = more};
    g_autoptr(GPtrArray) modules = modules_resolve(host->boot->kernel, &names, error);
    for (guint i = 0; modules && i < modules->len; i++)
        if (!put(host, modules->pdata[i], error))
            return FALSE;
    return modules && (modules->len == 0 || insert(host, modules, error));
}
