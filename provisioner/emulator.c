/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "emulator.h"

#include <string.h>

static GHashTable *
set_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

EmulatorDevice *
emulator_device_new(const char *name)
{
    EmulatorDevice *device = g_new0(EmulatorDevice, 1);
    device->name = g_strdup(name);
    device->bars = g_array_new(FALSE, TRUE, sizeof(EmulatorBar));
    device->properties = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return device;
}

void
emulator_device_free(EmulatorDevice *device)
{
    if (!device)
        return;
    g_free(device->name);
    g_array_unref(device->bars);
    g_hash_table_unref(device->properties);
    g_free(device);
}

EmulatorBuiltin *
emulator_builtin_new(int slot, int function, EmulatorDevice *device)
{
    EmulatorBuiltin *builtin = g_new0(EmulatorBuiltin, 1);
    *builtin = (EmulatorBuiltin){slot, function, device};
    return builtin;
}

static void
builtin_free(EmulatorBuiltin *builtin)
{
    emulator_device_free(builtin->device);
    g_free(builtin);
}

Emulator *
emulator_new(void)
{
    Emulator *emulator = g_new0(Emulator, 1);
    emulator->devices = g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
                                              (GDestroyNotify)emulator_device_free);
    emulator->objects = set_new();
    emulator->machine_properties = set_new();
    emulator->machines = set_new();
    emulator->cpu_models = set_new();
    emulator->cpu_features = set_new();
    emulator->builtin = g_ptr_array_new_with_free_func((GDestroyNotify)builtin_free);
    return emulator;
}

void
emulator_free(Emulator *emulator)
{
    if (!emulator)
        return;
    g_free(emulator->binary);
    g_free(emulator->version);
    g_free(emulator->identity);
    g_free(emulator->default_machine);
    g_hash_table_unref(emulator->devices);
    g_hash_table_unref(emulator->objects);
    g_hash_table_unref(emulator->machine_properties);
    g_hash_table_unref(emulator->machines);
    g_hash_table_unref(emulator->cpu_models);
    g_hash_table_unref(emulator->cpu_features);
    g_ptr_array_unref(emulator->builtin);
    g_free(emulator);
}

void
emulator_add_device(Emulator *emulator, EmulatorDevice *device)
{
    g_hash_table_replace(emulator->devices, device->name, device);
}

const EmulatorDevice *
emulator_device(const Emulator *emulator, const char *name)
{
    return g_hash_table_lookup(emulator->devices, name);
}

gboolean
emulator_device_has_property(const Emulator *emulator, const char *device,
                             const char *property)
{
    const EmulatorDevice *found = emulator_device(emulator, device);
    return found && g_hash_table_contains(found->properties, property);
}

gboolean
emulator_has_object(const Emulator *emulator, const char *type)
{
    return g_hash_table_contains(emulator->objects, type);
}
