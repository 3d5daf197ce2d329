/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The examination: what the machine has, item by item.
 */
#include <unistd.h>

#include "accel.h"
#include "child.h"
#include "doctor.h"
#include "emulator.h"
#include "error.h"
#include "image.h"
#include "json-line.h"
#include "os-image.h"
#include "os-lookup.h"
#include "resources.h"
#include "servant.h"

#define MIB ((gint64)1024 * 1024)
#define VERSION_TIMEOUT_MS 5000
/* The smallest lab that ships takes about this much. */
#define MEMORY_NEEDED_MIB 512

static JsonObject *
fact(JsonObject *facts, const char *name, const char *value)
{
    if (!facts)
        facts = json_object_new();
    json_object_set_string_member(facts, name, value);
    return facts;
}

static char *
install(const char *debian, const char *fedora, const char *what_for)
{
    return g_strdup_printf("install %s (Debian) or %s (Fedora) for %s", debian, fedora,
                           what_for);
}

/* ---- emulators
 * ------------------------------------------------------------------------------- */

/* What labs may ask for and not every emulator has. */
static const struct {
    const char *name;
    gboolean is_object;
} optional_parts[] = {
    {"e1000e", FALSE},         {"igb", FALSE},
    {"nvme", FALSE},           {"intel-iommu", FALSE},
    {"amd-iommu", FALSE},      {"virtio-iommu-pci", FALSE},
    {"x3130-upstream", FALSE}, {"ioh3420", FALSE},
    {"vmgenid", FALSE},        {"acpi-generic-initiator", TRUE},
};

/* Without one of these no lab can be built. */
static const char *const needed_devices[] = {"pxb-pcie", "pcie-root-port",
                                             "virtio-serial-pci", NULL};

static gboolean
has_part(const Emulator *emulator, guint i)
{
    return optional_parts[i].is_object
               ? emulator_has_object(emulator, optional_parts[i].name)
               : emulator_device(emulator, optional_parts[i].name) != NULL;
}

static char *
parts_text(const Emulator *emulator, gboolean present)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < G_N_ELEMENTS(optional_parts); i++)
        if (has_part(emulator, i) == present)
            g_string_append_printf(text, "%s%s", text->len ? ", " : "",
                                   optional_parts[i].name);
    return g_string_free(text, FALSE);
}

static const char *
lacking_device(const Emulator *emulator)
{
    for (guint i = 0; needed_devices[i]; i++)
        if (!emulator_device(emulator, needed_devices[i]))
            return needed_devices[i];
    return NULL;
}

static JsonObject *
emulator_facts(const char *path, const Emulator *emulator)
{
    JsonObject *facts = fact(NULL, "path", path);
    fact(facts, "version", emulator->version);
    fact(facts, "machine", emulator->default_machine);
    json_object_set_int_member(facts, "max-cpus", emulator->max_cpus);
    JsonObject *parts = json_object_new();
    for (guint i = 0; i < G_N_ELEMENTS(optional_parts); i++)
        json_object_set_boolean_member(parts, optional_parts[i].name,
                                       has_part(emulator, i));
    json_object_set_object_member(facts, "optional", parts);
    return facts;
}

static char *
another_emulator(void)
{
    return install("qemu-system-x86", "qemu-system-x86-core",
                   "an emulator, or name one with --emulator");
}

/* What nothing lacks needs no remedy: NULL. */
static char *
newer_emulator(const char *lacking)
{
    return *lacking ? g_strdup("a newer QEMU has more (Debian 13, backports of Debian "
                               "12, Fedora 41); name it with --emulator")
                    : NULL;
}

/* An emulator that is not the one to be used is only told, under another name: where the
 * one that was asked for is missing, no other is well in its place. */
static void
add_emulator(GPtrArray *items, const char *path, gboolean is_chosen)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Emulator) emulator = emulator_probe(path, NULL, &error);
    DoctorState bad = is_chosen ? DOCTOR_MISSING : DOCTOR_LIMITED;
    const char *name = is_chosen ? "emulator" : "alternative";
    if (!emulator) {
        doctor_add(items, bad, name, g_strdup(error->message), another_emulator(),
                   fact(NULL, "path", path))
            ->status = (int)hb_error_status(error);
        return;
    }
    const char *lacking = lacking_device(emulator);
    g_autofree char *has = parts_text(emulator, TRUE);
    g_autofree char *has_not = parts_text(emulator, FALSE);
    if (lacking)
        doctor_add(items, bad, name,
                   g_strdup_printf("%s is QEMU %s, which has no %s", path,
                                   emulator->version, lacking),
                   another_emulator(), emulator_facts(path, emulator))
            ->status = HB_UNSUPPORTED;
    else
        doctor_add(items, DOCTOR_OK, name,
                   g_strdup_printf("%s is QEMU %s, with %s%s%s", path, emulator->version,
                                   has, *has_not ? "; without " : "", has_not),
                   newer_emulator(has_not), emulator_facts(path, emulator));
}

/* The emulator that would be used, or NULL; the others are told after it. */
static char *
add_emulators(GPtrArray *items, const char *given)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) found = emulator_list();
    char *chosen = emulator_find(given, &error);
    if (chosen)
        add_emulator(items, chosen, TRUE);
    else
        doctor_add(items, DOCTOR_MISSING, "emulator", g_strdup(error->message),
                   found->len == 0
                       ? another_emulator()
                       : g_strdup("without --emulator and HOSTBED_EMULATOR the first "
                                  "alternative would be used"),
                   NULL);
    for (guint i = 0; i < found->len; i++)
        if (g_strcmp0(g_ptr_array_index(found, i), chosen) != 0)
            add_emulator(items, g_ptr_array_index(found, i), FALSE);
    return chosen;
}

static char *
way_to_kvm(const char *meanwhile)
{
    return g_strdup_printf("%sKVM needs VT-x or AMD-V (in a virtual machine its nested "
                           "form) and /dev/kvm for this user, as by the group kvm",
                           meanwhile);
}

static void
add_kvm(GPtrArray *items, const char *emulator, Accel asked)
{
    if (!emulator) {
        doctor_add(items, DOCTOR_LIMITED, "kvm",
                   g_strdup("not tried: there is no emulator to try it with"),
                   another_emulator(), NULL);
        return;
    }
    if (asked == ACCEL_TCG) {
        doctor_add(items, DOCTOR_OK, "kvm",
                   g_strdup("not tried: emulation was asked for"), NULL, NULL);
        return;
    }
    g_autoptr(GError) error = NULL;
    g_autoptr(AccelVerdict) verdict = accel_decide(asked, emulator, &error);
    if (g_error_matches(error, HB_ERROR, HB_UNSUPPORTED)) {
        JsonObject *unusable = json_object_new();
        json_object_set_boolean_member(unusable, "usable", FALSE);
        doctor_add(items, DOCTOR_MISSING, "kvm", g_strdup(error->message), way_to_kvm(""),
                   unusable)
            ->status = HB_UNSUPPORTED;
        return;
    }
    if (!verdict) /* interrupted */
        return;
    gboolean works = verdict->accel == ACCEL_KVM;
    JsonObject *facts = json_object_new();
    json_object_set_boolean_member(facts, "usable", works);
    doctor_add(items, works ? DOCTOR_OK : DOCTOR_LIMITED, "kvm",
               g_strdup(verdict->reason),
               works ? NULL : way_to_kvm("hosts run under emulation, ten times slower; "),
               facts);
}

/* ---- kernels
 * --------------------------------------------------------------------------------- */

static void
add_kernel(GPtrArray *items, const Kernel *kernel)
{
    JsonObject *facts = fact(NULL, "image", kernel->image);
    fact(facts, "release", kernel->release);
    fact(facts, "origin", kernel->origin);
    doctor_add(
        items, kernel->modules_dir ? DOCTOR_OK : DOCTOR_LIMITED, "kernel",
        g_strdup_printf("%s at %s (%s)%s", kernel->release, kernel->image, kernel->origin,
                        kernel->modules_dir ? "" : ", without its modules"),
        kernel->modules_dir
            ? NULL
            : g_strdup("install its modules, or name a kernel package with --kernel"),
        facts);
}

static void
add_kernels(GPtrArray *items, const char *given)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Kernel) chosen = kernel_find(given, &error);
    if (!chosen) {
        doctor_add(items, DOCTOR_MISSING, "kernel", g_strdup(error->message),
                   install("linux-image-amd64", "kernel-core", "a kernel to boot"), NULL);
        return;
    }
    add_kernel(items, chosen);
    g_autoptr(GPtrArray) kernels = kernel_list();
    for (guint i = 0; i < kernels->len; i++) {
        const Kernel *kernel = g_ptr_array_index(kernels, i);
        if (g_strcmp0(kernel->image, chosen->image) != 0)
            add_kernel(items, kernel);
    }
}

/* ---- programs
 * ----------------------------------------------------------------------------------- */

/* What the machine may have beside the emulator; a version line proves that it starts. */
static const struct {
    const char *name;
    const char *programs[3]; /* any of them */
    const char *version_option;
    gboolean needed;
    const char *debian, *fedora, *what_for;
} programs[] = {
    {"busybox",
     {"busybox"},
     NULL,
     TRUE,
     "busybox-static",
     "busybox",
     "the host's commands"},
    {"numactl", {"numactl"}, NULL, FALSE, "numactl", "numactl", "numactl inside hosts"},
    {"lspci",
     {"lspci"},
     "--version",
     FALSE,
     "pciutils",
     "pciutils",
     "lspci inside hosts"},
    {"libvirt",
     {"virsh"},
     "--version",
     FALSE,
     "libvirt-clients, libvirt-daemon-system",
     "libvirt-client, libvirt-daemon-driver-qemu",
     "starting a lab's domain XML with libvirt"},
};

static char *
version_of(const char *path, const char *option)
{
    int code;
    g_autoptr(Child) child =
        option ? child_start((const char *const[]){path, option, NULL}, -1, TRUE, NULL)
               : NULL;
    if (!child || !child_wait(child, VERSION_TIMEOUT_MS, &code) || code != 0)
        return g_strdup("");
    return child_first_line(child);
}

static void
add_program(GPtrArray *items, guint i)
{
    g_autofree char *path = NULL;
    for (guint j = 0; !path && j < G_N_ELEMENTS(programs[i].programs); j++)
        if (programs[i].programs[j])
            path = g_find_program_in_path(programs[i].programs[j]);
    if (!path) {
        doctor_add(items, programs[i].needed ? DOCTOR_MISSING : DOCTOR_LIMITED,
                   programs[i].name, g_strdup("is not installed"),
                   install(programs[i].debian, programs[i].fedora, programs[i].what_for),
                   NULL);
        return;
    }
    g_autofree char *version = version_of(path, programs[i].version_option);
    JsonObject *facts = fact(NULL, "path", path);
    if (*version)
        fact(facts, "version", version);
    doctor_add(items, DOCTOR_OK, programs[i].name,
               g_strdup_printf(*version ? "%s (%s)" : "%s", path, version), NULL, facts);
}

/* ---- programs of ours that were built if a library was there
 * ---------------------------------------------------------------- */

static void
add_servant(GPtrArray *items, const char *library, const char *program, const char *what,
            gboolean (*can)(GError **error))
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = servant_path(program, &error);
    if (!path || (can && !can(&error)))
        doctor_add(items, DOCTOR_LIMITED, library, g_strdup_printf("no %s", what),
                   g_strdup(error->message), NULL);
    else
        doctor_add(items, DOCTOR_OK, library,
                   g_strdup_printf("%s is done by %s", what, program), NULL,
                   fact(NULL, "path", path));
}

/* ---- operating systems
 * ---------------------------------------------------------------------------- */

/* The folders that are there: "/usr/share/osinfo, …". Owned by the caller. */
static char *
database_folders(JsonArray *databases)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < json_array_get_length(databases); i++) {
        JsonObject *folder = json_line_element(databases, i);
        if (folder && json_object_has_member(folder, "digest"))
            g_string_append_printf(text, "%s%s", text->len ? ", " : "",
                                   json_object_get_string_member(folder, "path"));
    }
    return g_string_free(text, FALSE);
}

static void
add_libosinfo(GPtrArray *items)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonArray) systems = os_lookup_all(&error);
    g_autoptr(JsonArray) databases = systems ? os_lookup_databases(&error) : NULL;
    if (!databases) {
        doctor_add(items, DOCTOR_LIMITED, "libosinfo", g_strdup(error->message),
                   install("libosinfo-1.0-dev, osinfo-db", "libosinfo-devel, osinfo-db",
                           "what operating systems need, and build hostbed anew"),
                   NULL);
        return;
    }
    guint count = json_array_get_length(systems);
    g_autofree char *folders = database_folders(databases);
    JsonObject *facts = json_object_new();
    json_object_set_int_member(facts, "systems", count);
    json_object_set_array_member(facts, "databases", json_array_ref(databases));
    doctor_add(items, DOCTOR_OK, "libosinfo",
               g_strdup_printf("%u operating systems, of %s", count, folders), NULL,
               facts);
}

/* ---- memory and CPUs
 * ----------------------------------------------------------------------------- */

static void
add_memory(GPtrArray *items, const Resources *resources)
{
    gint64 usable = resources->usable_bytes / MIB;
    gboolean is_group = resources->group_bytes >= 0 &&
                        resources->group_bytes < resources->available_bytes;
    JsonObject *facts = json_object_new();
    json_object_set_int_member(facts, "machine-bytes", resources->machine_bytes);
    json_object_set_int_member(facts, "available-bytes", resources->available_bytes);
    if (resources->group_bytes >= 0)
        json_object_set_int_member(facts, "group-bytes", resources->group_bytes);
    json_object_set_int_member(facts, "usable-bytes", resources->usable_bytes);
    gboolean is_enough = usable >= MEMORY_NEEDED_MIB;
    doctor_add(items, is_enough ? DOCTOR_OK : DOCTOR_LIMITED, "memory",
               g_strdup_printf("%" G_GINT64_FORMAT " MiB may be used of %" G_GINT64_FORMAT
                               " MiB, %s",
                               usable, resources->machine_bytes / MIB,
                               resources->is_wish ? "as HOSTBED_MEMORY says"
                               : is_group         ? "which a control group limits"
                                                  : "as much as is available"),
               is_enough ? NULL
                         : g_strdup_printf("end other programs, or raise the limit: the "
                                           "smallest lab takes some %d MiB",
                                           MEMORY_NEEDED_MIB),
               facts);
}

static void
add_cpus(GPtrArray *items, const Resources *resources)
{
    JsonObject *facts = json_object_new();
    json_object_set_int_member(facts, "usable", resources->cpus);
    doctor_add(items, DOCTOR_OK, "cpus",
               g_strdup_printf("%u may be used", resources->cpus), NULL, facts);
}

static void
add_hugepages(GPtrArray *items, const Resources *resources)
{
    GString *text = g_string_new(NULL);
    JsonArray *sizes = json_array_new();
    for (guint i = 0; i < resources->hugepages->len; i++) {
        const ResourcesHugepages *pages =
            &g_array_index(resources->hugepages, ResourcesHugepages, i);
        JsonObject *size = json_object_new();
        json_object_set_int_member(size, "page-bytes", pages->page_bytes);
        json_object_set_int_member(size, "total", pages->total);
        json_object_set_int_member(size, "free", pages->free);
        json_array_add_object_element(sizes, size);
        g_string_append_printf(text,
                               "%s%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT
                               " free of %" G_GINT64_FORMAT " MiB",
                               i ? ", " : "", pages->free, pages->total,
                               pages->page_bytes / MIB);
    }
    JsonObject *facts = json_object_new();
    json_object_set_array_member(facts, "sizes", sizes);
    if (text->len == 0)
        g_string_append(text, "this machine's kernel has none");
    g_string_append(text, " (hosts have their own and need none of these)");
    doctor_add(items, DOCTOR_OK, "hugepages", g_string_free(text, FALSE), NULL, facts);
}

GPtrArray *
doctor_examine(const char *emulator, const char *kernel, Accel asked)
{
    GPtrArray *items = doctor_items_new();
    g_autofree char *chosen = add_emulators(items, emulator);
    add_kvm(items, chosen, asked);
    add_kernels(items, kernel);
    for (guint i = 0; i < G_N_ELEMENTS(programs); i++)
        add_program(items, i);
    add_servant(items, "libcurl", "hostbed-fetch", "fetching of images", NULL);
    add_servant(items, "libguestfs", "hostbed-guestfs",
                "preparing of images of distributions", os_image_can_prepare);
    add_libosinfo(items);
    g_autoptr(Resources) resources = resources_read("");
    add_memory(items, resources);
    add_cpus(items, resources);
    add_hugepages(items, resources);
    return items;
}
