/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What one emulator can do, as a value: the planner reads it and never asks a process.
 * It is probed from a binary (emulator-probe.c) or read from a recorded file (JSON),
 * which is the same form as the cache. Versions are shown to people and never compared:
 * whoever needs a device, a property or an object asks for it by name.
 */
#pragma once

#include <glib.h>

/* One base address register of a device as the emulator makes it. */
typedef struct {
    int index;      /* 0-5; 6: expansion ROM */
    gboolean is_io; /* else memory */
    gboolean is_64bit;
    gboolean is_prefetchable;
    guint64 size_bytes;
} EmulatorBar;

/* A device model, with what the guest will read from it when it is plugged into a PCIe
 * port (on pcie.0 a virtio device is another: a transitional one with an I/O BAR, unless
 * its property disable-legacy is "on"). Bridges have no subsystem here: 0. "igbvf" stands
 * for what an igb's virtual functions are, "AMDVI-PCI" for the function that comes with
 * amd-iommu. */
typedef struct {
    char *name; /* "e1000e"; NULL: built in */
    gboolean is_pci;
    gboolean is_probed; /* the fields below were read from a real one */
    guint16 vendor, device, subsystem_vendor, subsystem;
    guint32 class_code; /* 24 bits, class << 16 | subclass << 8 | interface */
    GArray *bars;       /* EmulatorBar, by index */
    /* char * → char *: what -device takes → its type as the emulator names it ("bool",
     * "OnOffAuto", "uint32", "size", "str", …) */
    GHashTable *properties;
} EmulatorDevice;

typedef struct {
    char *binary;                   /* path that was probed; NULL in a recorded file */
    char *version;                  /* "7.2.22", for people */
    char *identity;                 /* of the binary: what the cache is keyed by */
    char *default_machine;          /* versioned name behind "q35", e.g. "pc-q35-7.2" */
    int max_cpus;                   /* of that machine, under this emulator */
    GHashTable *devices;            /* char * → EmulatorDevice */
    GHashTable *objects;            /* set of char *: -object types */
    GHashTable *machine_properties; /* set of char *: what -machine takes */
    GHashTable *machines;           /* set of char *: its q35, "pc-q35-7.2" */
    GHashTable *cpu_models;         /* set of char * */
    GHashTable *cpu_features;       /* set of char *: what -cpu switches on and off */
    GPtrArray *builtin; /* EmulatorBuiltin: functions of an empty q35 on bus 0 */
} Emulator;

/* A function that the machine has although nobody asked (host bridge, LPC, SATA, SMBus).
 */
typedef struct {
    int slot, function;
    EmulatorDevice *device;
} EmulatorBuiltin;

void emulator_free(Emulator *emulator);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Emulator, emulator_free)

/* NULL if there is no such device model. */
const EmulatorDevice *emulator_device(const Emulator *emulator, const char *name);
gboolean emulator_device_has_property(const Emulator *emulator, const char *device,
                                      const char *property);
gboolean emulator_has_object(const Emulator *emulator, const char *type);

/* Constructors, for the probe and for tests. They copy their strings. */
Emulator *emulator_new(void);
EmulatorDevice *emulator_device_new(const char *name);
void emulator_device_free(EmulatorDevice *device);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmulatorDevice, emulator_device_free)
void emulator_add_device(Emulator *emulator, EmulatorDevice *device /* taken */);
EmulatorBuiltin *
emulator_builtin_new(int slot, int function, EmulatorDevice *device /* taken */);

/* The JSON form, sorted, the same on every machine for the same emulator. */
char *emulator_to_json(const Emulator *emulator);
Emulator *emulator_from_json(const char *json, gssize length, GError **error);
Emulator *emulator_load(const char *filename, GError **error);

/* ---- emulator-probe.c, emulator-cache.c: the parts that start a process ---------------
 */

/* The emulator to use: PATH as given (--emulator, HOSTBED_EMULATOR), else the first that
 * exists of qemu-system-x86_64 in PATH and qemu-kvm's usual places. The result is owned
 * by the caller. */
char *emulator_find(const char *path, GError **error);

/* Facts about BINARY: from the cache if its identity is known, else by asking it (about a
 * second, no guest code is run). DATA_DIRS are extra -L folders, or NULL. */
Emulator *
emulator_probe(const char *binary, const char *const *data_dirs, GError **error);

/* All that emulator_find(NULL) would consider, best first: GPtrArray of char *. For
 * doctor. */
GPtrArray *emulator_list(void);

/* A digest that changes when BINARY, the modules it loads or DATA_DIRS change. Owned by
 * the caller. */
char *emulator_identity(const char *binary, const char *const *data_dirs);

/* SHA-256 of the program that BINARY is (of a script, and after a blank of the program
 * that it starts), and of the firmware that it brings. Remembered, so that it costs
 * nothing the second time; but a script is started each time. Both are owned by the
 * caller. */
gboolean
emulator_digests(const char *binary, char **program, char **firmware, GError **error);
