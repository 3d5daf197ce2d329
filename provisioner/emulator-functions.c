/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "emulator-ask.h"
#include "json-line.h"

static void
read_bars(JsonArray *regions, GArray *bars)
{
    for (guint i = 0; i < reply_length(regions); i++) {
        JsonObject *region = json_line_element(regions, i);
        EmulatorBar bar = {
            .index = (int)CLAMP(reply_int(region, "bar"), 0, 6),
            .is_io = g_strcmp0(reply_string(region, "type"), "io") == 0,
            .is_64bit = reply_bool(region, "mem_type_64"),
            .is_prefetchable = reply_bool(region, "prefetch"),
            .size_bytes = (guint64)reply_int(region, "size"),
        };
        g_array_append_val(bars, bar);
    }
}

void
probe_read_function(JsonObject *function, EmulatorDevice *device)
{
    JsonObject *id = reply_object(function, "id");
    JsonObject *class_info = reply_object(function, "class_info");
    device->vendor = (guint16)reply_int(id, "vendor");
    device->device = (guint16)reply_int(id, "device");
    device->subsystem_vendor = (guint16)reply_int(id, "subsystem-vendor");
    device->subsystem = (guint16)reply_int(id, "subsystem");
    device->class_code = (guint32)(reply_int(class_info, "class") & 0xffff) << 8;
    g_array_set_size(device->bars, 0);
    read_bars(reply_array(function, "regions"), device->bars);
    device->is_probed = TRUE;
}

guint32
probe_monitor(Probe *probe, const char *format, ...)
{
    va_list words;
    va_start(words, format);
    g_autofree char *line = g_strdup_vprintf(format, words);
    va_end(words);
    if (!probe->qmp)
        return G_MAXUINT32;
    g_autoptr(JsonNode) result = probe_ask(probe, "human-monitor-command",
                                           probe_argument("command-line", line), NULL);
    const char *text = result && json_node_get_value_type(result) == G_TYPE_STRING
                           ? json_node_get_string(result)
                           : "";
    const char *number = g_strrstr(text, "0x");
    return number ? (guint32)g_ascii_strtoull(number, NULL, 16) : G_MAXUINT32;
}

/* PCI configuration mechanism #1 (PCI Local Bus 3.0, 3.2.2.3.2). */
static guint32
select_register(guint bus, guint slot, guint function, guint offset)
{
    return 0x80000000u | bus << 16 | slot << 11 | function << 8 | offset;
}

static guint32
config_read(Probe *probe, guint bus, guint slot, guint function, guint offset)
{
    probe_monitor(probe, "o /4 0xcf8 0x%x", select_register(bus, slot, function, offset));
    return probe_monitor(probe, "i /4x 0xcfc");
}

void
probe_config_write(Probe *probe, guint bus, guint slot, guint function, guint offset,
                   guint32 value)
{
    probe_monitor(probe, "o /4 0xcf8 0x%x", select_register(bus, slot, function, offset));
    probe_monitor(probe, "o /4 0xcfc 0x%x", value);
}

void
probe_number_bridge(Probe *probe, guint bus, guint slot, guint function, guint secondary,
                    guint subordinate)
{
    probe_config_write(probe, bus, slot, function, 0x18,
                       bus | secondary << 8 | subordinate << 16);
}

void
probe_read_class_interface(Probe *probe, guint bus, guint slot, guint function,
                           EmulatorDevice *device)
{
    guint32 class_revision = config_read(probe, bus, slot, function, 8);
    if (class_revision != G_MAXUINT32)
        device->class_code |= class_revision >> 8 & 0xff;
}

JsonArray *
probe_root_functions(JsonNode *result)
{
    JsonArray *buses = json_line_as_array(result);
    for (guint i = 0; i < reply_length(buses); i++)
        if (reply_int(json_line_element(buses, i), "bus") == 0)
            return reply_array(json_line_element(buses, i), "devices");
    return NULL;
}

gboolean
probe_ask_builtin(Probe *probe, Emulator *emulator, GError **error)
{
    g_autoptr(JsonNode) result = probe_ask(probe, "query-pci", NULL, error);
    if (!result)
        return FALSE;
    JsonArray *functions = probe_root_functions(result);
    for (guint i = 0; i < reply_length(functions); i++) {
        JsonObject *function = json_line_element(functions, i);
        guint slot = reply_int(function, "slot") & 31;
        guint number = reply_int(function, "function") & 7;
        EmulatorDevice *device = emulator_device_new(NULL);
        device->is_pci = TRUE;
        probe_read_function(function, device);
        probe_read_class_interface(probe, 0, slot, number, device);
        g_ptr_array_add(emulator->builtin,
                        emulator_builtin_new((int)slot, (int)number, device));
    }
    return TRUE;
}
