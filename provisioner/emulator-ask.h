/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the files of the probe share (emulator-probe.c asks for lists and properties,
 * emulator-plug.c has each model in a machine, emulator-functions.c reads a function as
 * firmware does): one emulator process that may die at any question, and its answers.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "child.h"
#include "emulator.h"
#include "qmp.h"

/* How many deaths of the emulator we accept before the rest stays unknown. */
#define PROBE_DEATHS_MAX 24

typedef struct {
    const char *binary;
    const char *const *data_dirs;
    guint answer_ms;
    Child *child;
    Qmp *qmp; /* NULL: it has died */
    guint deaths;
} Probe;

/* ---- emulator-ask.c: the process, and JSON that we did not write
 * ------------------------------------------------------------------------------- */

/* A stopped q35 with DEVICES (char *, values of -device; NULL: none). */
gboolean probe_start(Probe *probe, GPtrArray *devices, GError **error);
void probe_stop(Probe *probe);
/* Starts a new emulator after a death. FALSE: it has died too often. */
gboolean probe_revive(Probe *probe, GPtrArray *devices);
/* The answer, owned by the caller. Takes ARGUMENTS. NULL also when the emulator has died;
 * then later calls fail too. */
JsonNode *
probe_ask(Probe *probe, const char *command, JsonObject *arguments, GError **error);
/* One argument; more can be added. */
JsonObject *probe_argument(const char *name, const char *value);

/* All take NULL, and give NULL or 0 for what is not there or of another type. */
guint reply_length(JsonArray *array);
JsonArray *reply_array(JsonObject *object, const char *name);
JsonObject *reply_object(JsonObject *object, const char *name);
const char *reply_string(JsonObject *object, const char *name);
gint64 reply_int(JsonObject *object, const char *name);
gboolean reply_bool(JsonObject *object, const char *name);
/* A name that can stand in our files, where spaces and '=' separate. */
gboolean reply_is_name(const char *text);

/* ---- emulator-functions.c
 * ------------------------------------------------------------------------------- */

/* The last number that the human monitor prints; G_MAXUINT32 if it prints none, which is
 * also what an absent function reads as. */
guint32 probe_monitor(Probe *probe, const char *format, ...) G_GNUC_PRINTF(2, 3);
void probe_config_write(Probe *probe, guint bus, guint slot, guint function, guint offset,
                        guint32 value);
/* Makes SECONDARY the bus below a bridge, as firmware would. */
void probe_number_bridge(Probe *probe, guint bus, guint slot, guint function,
                         guint secondary, guint subordinate);
/* FUNCTION is an element of query-pci's answer. The interface byte of the class is not in
 * it. */
void probe_read_function(JsonObject *function, EmulatorDevice *device);
void probe_read_class_interface(Probe *probe, guint bus, guint slot, guint function,
                                EmulatorDevice *device);
/* The functions on bus 0 in query-pci's answer; an expander's bus may come first. */
JsonArray *probe_root_functions(JsonNode *result);
/* What an empty machine has. */
gboolean probe_ask_builtin(Probe *probe, Emulator *emulator, GError **error);

/* ---- emulator-plug.c
 * ------------------------------------------------------------------------------- */

/* Reads each model that can be plugged; those that cannot are read from machines of their
 * own. What one device does wrong only costs that device. */
void probe_plug_all(Probe *probe, Emulator *emulator);
void probe_start_cold(Probe *probe, Emulator *emulator);

/* Keys of NAMES (char *, still theirs), by their alphabet. */
GPtrArray *probe_sorted(GHashTable *names);
