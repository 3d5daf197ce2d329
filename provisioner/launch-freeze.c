/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A host frozen, and a clone brought to life: the emulator's migration to and from a
 * file, without memory where that stays in descriptors that it was given to share
 * (capability x-ignore-shared). Both ends are inherited descriptors, since a sandboxed
 * emulator may run no program and open no file (QEMU docs/devel/migration).
 */
#include "launch-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "json-line.h"

#define STATE_NAME "hostbed-state"
#define CALL_MS 60000
#define RESUME_MS 10000
#define TURN_MS 5
/* A state of which nothing is written or read for so long is not moving. */
#define STATE_MS 120000
/* QEMU holds back at 128 MiB/s what it takes for a network. */
#define BYTES_PER_SECOND ((gint64)1 << 40)

void
machine_migration_came(Machine *machine, const char *status)
{
    machine->migration_failed =
        strcmp(status, "failed") == 0 || strcmp(status, "cancelled") == 0;
    machine->migration_ended =
        machine->migration_failed || strcmp(status, "completed") == 0;
}

/* Takes ARGUMENTS. */
static gboolean
call(Machine *machine, const char *command, JsonObject *arguments, int fd, GError **error)
{
    g_autoptr(JsonNode) result =
        qmp_call(machine->qmp, command, arguments, fd, CALL_MS, error);
    return result != NULL;
}

static JsonObject *
capabilities(const Machine *machine)
{
    const struct {
        const char *name;
        gboolean state;
    } all[] = {{"events", TRUE}, {"x-ignore-shared", !machine->carries_memory}};
    JsonArray *list = json_array_new();
    for (gsize i = 0; i < G_N_ELEMENTS(all); i++) {
        JsonObject *capability = json_object_new();
        json_object_set_string_member(capability, "capability", all[i].name);
        json_object_set_boolean_member(capability, "state", all[i].state);
        json_array_add_object_element(list, capability);
    }
    JsonObject *arguments = json_object_new();
    json_object_set_array_member(arguments, "capabilities", list);
    return arguments;
}

static JsonObject *
number(const char *name, gint64 value)
{
    JsonObject *arguments = json_object_new();
    json_object_set_int_member(arguments, name, value);
    return arguments;
}

static JsonObject *
one_argument(const char *name, const char *value)
{
    JsonObject *arguments = json_object_new();
    json_object_set_string_member(arguments, name, value);
    return arguments;
}

/* The emulator's own words, or NULL. */
static char *
why_failed(Machine *machine)
{
    g_autoptr(JsonNode) result =
        qmp_call(machine->qmp, "query-migrate", NULL, -1, CALL_MS, NULL);
    JsonObject *object = json_line_as_object(result);
    return object && json_object_has_member(object, "error-desc")
               ? g_strdup(json_object_get_string_member(object, "error-desc"))
               : NULL;
}

static JsonArray *
blocked_reasons(JsonNode *status)
{
    JsonObject *object = json_line_as_object(status);
    return object ? json_line_array(object, "blocked-reasons") : NULL;
}

/* What kind of device QEMU says is in the way, in "non-migratable device:
 * 0000:20:02.0:03.0:00.0/nvme" (savevm.c; later versions put it into quotes); else NULL.
 * Owned by the caller. */
static char *
stateless_device(const char *reason)
{
    static const char *const words = "non-migratable device";
    const char *path = strstr(reason, words);
    const char *slash = path ? strrchr(path, '/') : NULL;
    const char *name = slash                       ? slash + 1
                       : path && strchr(path, ' ') ? strrchr(path, ' ') + 1
                                                   : NULL;
    return name ? g_strndup(name, strcspn(name, "'")) : NULL;
}

static void
add_reason(GString *text, const char *reason)
{
    g_autofree char *device = stateless_device(reason);
    g_string_append(text, text->len > 0 ? "; " : "");
    if (device)
        g_string_append_printf(text,
                               "it has a device (%s) of which this emulator cannot "
                               "write down the state",
                               device);
    else
        g_string_append(text, reason);
}

char *
machine_freeze_obstacle(Machine *machine)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) status =
        qmp_call(machine->qmp, "query-migrate", NULL, -1, CALL_MS, &error);
    if (!status)
        return g_strdup(error->message);
    JsonArray *reasons = blocked_reasons(status);
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; reasons && i < json_array_get_length(reasons); i++) {
        const char *reason = json_array_get_string_element(reasons, i);
        add_reason(text, reason ? reason : "?");
    }
    return text->len > 0 ? g_string_free(g_steal_pointer(&text), FALSE) : NULL;
}

/* The emulator's descriptor of the state's file is ours, and so is its place in it. */
typedef struct {
    int fd;
    off_t at;
    gboolean late;
} Watch;

static gboolean
on_time(gpointer user_data)
{
    Watch *watch = user_data;
    off_t at = lseek(watch->fd, 0, SEEK_CUR);
    watch->late = at == watch->at;
    watch->at = at;
    return G_SOURCE_CONTINUE;
}

/* An emulator that cannot read a state ends; then its last words say why. */
static GError *
state_error(Machine *machine, const char *what)
{
    g_autofree char *why = machine->failure ? NULL : why_failed(machine);
    const GError *failure = why ? NULL : machine_settle(machine);
    if (failure)
        return g_error_copy(failure);
    return g_error_new(HB_ERROR, HB_UNSUPPORTED, "the emulator cannot %s: %s", what,
                       why ? why : "it does not say why");
}

static gboolean
wait_for_state(Machine *machine, int fd, const char *what, GError **error)
{
    Watch watch = {fd, -1, FALSE};
    guint timer = g_timeout_add(STATE_MS, on_time, &watch);
    while (!machine->migration_ended && !machine->failure && !watch.late)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(timer);
    if (machine->migration_ended && !machine->migration_failed)
        return TRUE;
    if (watch.late)
        g_set_error(error, HB_ERROR, HB_EMULATOR_DIED,
                    "the emulator did not %s: nothing moved for %d s; logs: %s", what,
                    STATE_MS / 1000, machine->log_dir);
    else
        g_propagate_error(error, state_error(machine, what));
    return FALSE;
}

/* Each direction has its commands; the rest is the same. */
static gboolean
move_state(Machine *machine, int fd, const char *command, const char *what,
           GError **error)
{
    machine->migration_ended = machine->migration_failed = FALSE;
    return call(machine, "migrate-set-capabilities", capabilities(machine), -1, error) &&
           call(machine, "getfd", one_argument("fdname", STATE_NAME), fd, error) &&
           call(machine, command, one_argument("uri", "fd:" STATE_NAME), -1, error) &&
           wait_for_state(machine, fd, what, error);
}

void
machine_carry_memory(Machine *machine)
{
    machine->carries_memory = TRUE;
}

gboolean
machine_pause(Machine *machine, GError **error)
{
    return call(machine, "stop", NULL, -1, error);
}

gboolean
machine_freeze(Machine *machine, int state_fd, GError **error)
{
    return machine_pause(machine, error) &&
           call(machine, "migrate-set-parameters",
                number("max-bandwidth", BYTES_PER_SECOND), -1, error) &&
           move_state(machine, state_fd, "migrate", "write the host's state", error);
}

static gboolean
on_turn(gpointer user_data)
{
    return G_SOURCE_CONTINUE;
}

/* Right after the event that tells the end of a migration the machine may not go on yet
 * ("Migration is not finalized yet"), and no event tells when it may. */
gboolean
machine_resume(Machine *machine, GError **error)
{
    GError *reason = NULL;
    const gint64 end_us = g_get_monotonic_time() + RESUME_MS * 1000LL;
    guint timer = g_timeout_add(TURN_MS, on_turn, NULL);
    while (!call(machine, "cont", NULL, -1, &reason) && !machine->failure &&
           g_get_monotonic_time() < end_us) {
        g_clear_error(&reason);
        g_main_context_iteration(NULL, TRUE);
    }
    g_source_remove(timer);
    if (reason)
        g_propagate_error(error, reason);
    return reason == NULL;
}

/* QEMU before 8.2 opens the file for writing, whatever it makes of it. */
gboolean
machine_maps_readonly(Machine *machine)
{
    g_autoptr(JsonNode) result =
        qmp_call(machine->qmp, "qom-list-properties",
                 one_argument("typename", "memory-backend-file"), -1, CALL_MS, NULL);
    JsonArray *properties = json_line_as_array(result);
    for (guint i = 0; properties && i < json_array_get_length(properties); i++) {
        JsonObject *property = json_line_element(properties, i);
        if (property && g_strcmp0(json_line_string(property, "name"), "rom") == 0)
            return TRUE;
    }
    return FALSE;
}

/* A descriptor of its own, since the place where it is read from goes with it. */
static int
open_again(int fd)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

gboolean
machine_take_state(Machine *machine, int state_fd, GError **error)
{
    int fd = open_again(state_fd);
    if (fd < 0) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "the state of the template cannot be opened: %s", g_strerror(errno));
        return FALSE;
    }
    /* An emulator that takes a guest over tells the switches where its NICs are, by
     * frames that no guest sent. */
    gboolean moved =
        call(machine, "migrate-set-parameters", number("announce-rounds", 0), -1,
             error) &&
        move_state(machine, fd, "migrate-incoming", "read the host's state", error);
    close(fd);
    return moved;
}

gboolean
machine_go(Machine *machine, GError **error)
{
    return call(machine, "cont", NULL, -1, error);
}

gboolean
machine_thaw(Machine *machine, int state_fd, GError **error)
{
    return machine_take_state(machine, state_fd, error) && machine_go(machine, error);
}
