/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "plan-fixture.h"

#include "emit.h"

static void
device_free(gpointer data)
{
    EmulatorDevice *device = data;
    g_free(device->name);
    g_array_unref(device->bars);
    g_hash_table_unref(device->properties);
    g_free(device);
}

static EmulatorDevice *
device_new(const char *name, guint16 vendor, guint16 id, guint32 class_code)
{
    EmulatorDevice *device = g_new0(EmulatorDevice, 1);
    device->name = g_strdup(name);
    device->is_pci = device->is_probed = TRUE;
    device->vendor = vendor;
    device->device = id;
    device->class_code = class_code;
    device->bars = g_array_new(FALSE, TRUE, sizeof(EmulatorBar));
    device->properties = g_hash_table_new(g_str_hash, g_str_equal);
    return device;
}

static void
add_device(Emulator *emulator, const char *name, guint16 vendor, guint16 id,
           guint32 class_code, gint64 io_bar, const char *properties)
{
    EmulatorDevice *device = device_new(name, vendor, id, class_code);
    g_auto(GStrv) words = g_strsplit(properties, " ", -1);
    const EmulatorBar memory = {.index = 0, .size_bytes = 0x20000};
    const EmulatorBar io = {.index = 2, .is_io = TRUE, .size_bytes = (guint64)io_bar};
    const EmulatorBar rom = {.index = 6, .size_bytes = 0x40000};

    for (guint i = 0; words[i] != NULL && words[i][0] != '\0'; i++) {
        g_auto(GStrv) pair = g_strsplit(words[i], ":", 2);
        g_hash_table_insert(device->properties, (gpointer)g_intern_string(pair[0]),
                            (gpointer)g_intern_string(pair[1]));
    }
    g_array_append_val(device->bars, memory);
    if (io_bar > 0)
        g_array_append_val(device->bars, io);
    if (g_hash_table_contains(device->properties, "romfile"))
        g_array_append_val(device->bars, rom);
    g_hash_table_insert(emulator->devices, device->name, device);
}

static void
add_builtin(Emulator *emulator, int slot, int function, guint16 id, guint32 class_code)
{
    EmulatorBuiltin *builtin = g_new0(EmulatorBuiltin, 1);
    builtin->slot = slot;
    builtin->function = function;
    builtin->device = device_new("builtin", 0x8086, id, class_code);
    g_ptr_array_add(emulator->builtin, builtin);
}

static void
builtin_free(gpointer data)
{
    EmulatorBuiltin *builtin = data;
    device_free(builtin->device);
    g_free(builtin);
}

#define PORT "chassis:uint8 slot:uint16 hotplug:bool multifunction:bool "
#define NIC "mac:str netdev:str romfile:str multifunction:bool x-test:uint32 "
#define VIRTIO "disable-legacy:OnOffAuto iommu_platform:bool romfile:str "

static void
add_newer(Emulator *emulator)
{
    add_device(emulator, "igb", 0x8086, 0x10c9, 0x020000, 32, NIC);
    add_device(emulator, "virtio-iommu-pci", 0x1af4, 0x1057, 0x088000, 0, VIRTIO);
    add_device(emulator, "amd-iommu", 0, 0, 0, 0,
               "intremap:OnOffAuto device-iotlb:bool pt:bool xtsup:bool");
    g_hash_table_add(emulator->objects, (gpointer) "acpi-generic-initiator");
}

static GHashTable *
names(const char *words)
{
    GHashTable *set = g_hash_table_new(g_str_hash, g_str_equal);
    g_auto(GStrv) each = g_strsplit(words, " ", -1);
    for (guint i = 0; each[i] != NULL; i++)
        g_hash_table_add(set, (gpointer)g_intern_string(each[i]));
    return set;
}

Emulator *
fixture_emulator(gboolean newer)
{
    Emulator *emulator = g_new0(Emulator, 1);

    emulator->version = g_strdup(newer ? "10.0.2" : "7.2.22");
    emulator->default_machine = g_strdup(newer ? "pc-q35-10.0" : "pc-q35-7.2");
    emulator->max_cpus = newer ? 4096 : 288;
    emulator->devices = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, device_free);
    emulator->objects = g_hash_table_new(g_str_hash, g_str_equal);
    emulator->machines = names("pc-q35-6.2 pc-q35-7.2");
    if (newer)
        g_hash_table_add(emulator->machines, (gpointer) "pc-q35-10.0");
    emulator->cpu_models = names("max host EPYC Skylake-Server");
    emulator->cpu_features = names("svm avx2 vmx lahf-lm sse4.2");
    emulator->builtin = g_ptr_array_new_with_free_func(builtin_free);
    add_device(emulator, "pxb-pcie", 0x1b36, 0x000b, 0x060000, 0,
               "bus_nr:uint8 numa_node:uint16 bypass_iommu:bool multifunction:bool");
    add_device(emulator, "pcie-root-port", 0x1b36, 0x000c, 0x060400, 0,
               PORT "bus-reserve:uint32 disable-acs:bool");
    add_device(emulator, "ioh3420", 0x8086, 0x3420, 0x060400, 0, PORT "disable-acs:bool");
    add_device(emulator, "x3130-upstream", 0x104c, 0x8232, 0x060400, 0,
               "multifunction:bool");
    add_device(emulator, "xio3130-downstream", 0x104c, 0x8233, 0x060400, 0, PORT);
    add_device(emulator, "e1000e", 0x8086, 0x10d3, 0x020000, 32, NIC);
    add_device(emulator, "nvme", 0x1b36, 0x0010, 0x010802, 0,
               "serial:str multifunction:bool");
    add_device(emulator, "virtio-net-pci", 0x1af4, 0x1000, 0x020000, 32, NIC VIRTIO);
    add_device(emulator, "virtio-serial-pci", 0x1af4, 0x1003, 0x078000, 64, VIRTIO);
    add_device(emulator, "intel-iommu", 0, 0, 0, 0,
               "intremap:OnOffAuto eim:OnOffAuto caching-mode:bool aw-bits:uint8 "
               "device-iotlb:bool "
               "x-scalable-mode:bool snoop-control:bool dma-drain:bool pt:bool");
    ((EmulatorDevice *)g_hash_table_lookup(emulator->devices, "intel-iommu"))->is_pci =
        FALSE;
    if (newer)
        add_newer(emulator);
    add_builtin(emulator, 0, 0, 0x29c0, 0x060000);
    add_builtin(emulator, 0x1f, 0, 0x2918, 0x060100);
    add_builtin(emulator, 0x1f, 2, 0x2922, 0x010601);
    add_builtin(emulator, 0x1f, 3, 0x2930, 0x0c0500);
    return emulator;
}

void
fixture_add_image_disk(Emulator *emulator)
{
    add_device(emulator, "virtio-blk-pci", 0x1af4, 0x1001, 0x010000, 64,
               "werror:BlockdevOnError rerror:BlockdevOnError bootindex:int32 " VIRTIO);
}

void
fixture_emulator_free(Emulator *emulator)
{
    g_free(emulator->version);
    g_free(emulator->default_machine);
    g_hash_table_unref(emulator->devices);
    g_hash_table_unref(emulator->objects);
    g_hash_table_unref(emulator->machines);
    g_hash_table_unref(emulator->cpu_models);
    g_hash_table_unref(emulator->cpu_features);
    g_ptr_array_unref(emulator->builtin);
    g_free(emulator);
}

Lab *
fixture_lab(void)
{
    Lab *lab = lab_new("test");
    LabHost *host = lab_host_new("l1");
    host->pos = (FilePos){"test.xml", 1};
    g_ptr_array_add(lab->hosts, host);
    return lab;
}

LabHost *
fixture_host(const Lab *lab)
{
    return g_ptr_array_index(lab->hosts, 0);
}

LabCell *
fixture_cell(LabHost *host, guint first, guint count, gint64 memory_bytes)
{
    g_autofree char *id = g_strdup_printf("cell%u", host->cells->len);
    LabCell *cell = lab_cell_new(id);
    for (guint cpu = first; cpu < first + count; cpu++)
        g_array_append_val(cell->cpus, cpu);
    cell->memory_bytes = memory_bytes;
    cell->pos = (FilePos){"test.xml", 10 + (int)host->cells->len};
    g_ptr_array_add(host->cells, cell);
    return cell;
}

LabNode *
fixture_root(GPtrArray *nodes, LabKind kind, const char *id)
{
    LabNode *node = lab_node_new(kind, id);
    node->pos = (FilePos){"test.xml", 100 + (int)nodes->len};
    g_ptr_array_add(nodes, node);
    return node;
}

LabNode *
fixture_node(LabNode *parent, LabKind kind, const char *id)
{
    LabNode *node = fixture_root(parent->children, kind, id);
    node->parent = parent;
    return node;
}

void
fixture_ports(LabNode *parent, const char *model, int count, const char *prefix)
{
    for (int i = 0; i < count; i++) {
        g_autofree char *port_id = g_strdup_printf("%s.p%d", prefix, i);
        g_autofree char *nic_id = g_strdup_printf("%s.n%d", prefix, i);
        LabNode *port = fixture_node(parent, LAB_PORT, port_id);
        port->model = g_strdup(model);
        fixture_node(port, LAB_NIC, nic_id);
    }
}

Lab *
fixture_article(void)
{
    Lab *lab = fixture_lab();
    LabHost *host = fixture_host(lab);
    const int buses[] = {180, 200, 220};
    const guint first[] = {0, 4, 6}, count[] = {4, 2, 2};

    host->iommu.model = LAB_IOMMU_INTEL;
    for (int i = 0; i < 3; i++) {
        g_autofree char *id = g_strdup_printf("x%d", i);
        LabCell *cell = fixture_cell(host, first[i], count[i],
                                     (i == 0 ? 4096000 : 2048000) * (gint64)1024);
        LabNode *expander = fixture_root(cell->nodes, LAB_EXPANDER, id);
        expander->bus = buses[i];
        fixture_ports(expander, "ioh3420", 3, id);
    }
    return lab;
}

Plan *
fixture_plan(const Lab *lab, const Emulator *emulator)
{
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(GPtrArray) plans = plan_lab(lab, emulator, NULL, PLAN_FOR_QEMU, findings);
    g_autofree char *text = findings_to_text(findings);

    if (plans == NULL)
        print_error("%s", text);
    assert_non_null(plans);
    return g_ptr_array_steal_index(plans, 0);
}

char *
fixture_refused(const Lab *lab, const Emulator *emulator)
{
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(GPtrArray) plans = plan_lab(lab, emulator, NULL, PLAN_FOR_QEMU, findings);
    assert_null(plans);
    return findings_to_text(findings);
}

char *
fixture_address(const Plan *plan, const char *id)
{
    char buffer[PCI_ADDRESS_SIZE];
    const PlanFunction *function = plan_function(plan, id);
    assert_non_null(function);
    return g_strdup(pci_address_text(function->address, buffer));
}

char *
fixture_group(const Plan *plan, const char *id)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const PlanFunction *function = plan_function(plan, id);
    assert_non_null(function);
    assert_int_not_equal(function->group, PLAN_NONE);
    const PlanGroup *group = g_ptr_array_index(plan->groups, (guint)function->group);
    for (guint i = 0; i < group->members->len; i++) {
        char buffer[PCI_ADDRESS_SIZE];
        const PlanFunction *member = g_ptr_array_index(group->members, i);
        g_string_append_printf(text, "%s%s", i > 0 ? " " : "",
                               pci_address_text(member->address, buffer) + 5);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

int
fixture_setup(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    fixture->emulator = fixture_emulator(TRUE);
    fixture->lab = fixture_lab();
    fixture->host = fixture_host(fixture->lab);
    *state = fixture;
    return 0;
}

int
fixture_teardown(void **state)
{
    Fixture *fixture = *state;
    fixture_emulator_free(fixture->emulator);
    lab_free(fixture->lab);
    g_free(fixture);
    return 0;
}

void
fixture_assert_refused(const Fixture *fixture, const char *words)
{
    g_autofree char *text = fixture_refused(fixture->lab, fixture->emulator);
    if (strstr(text, words) == NULL)
        print_error("%s", text);
    assert_non_null(strstr(text, words));
}

int
fixture_emulator_setup(void **state)
{
    *state = fixture_emulator(FALSE);
    return 0;
}

int
fixture_emulator_teardown(void **state)
{
    fixture_emulator_free(*state);
    return 0;
}

void
fixture_assert_address(const Plan *plan, const char *id, const char *address)
{
    g_autofree char *text = fixture_address(plan, id);
    assert_string_equal(text, address);
}

void
fixture_assert_group(const Plan *plan, const char *id, const char *members)
{
    g_autofree char *text = fixture_group(plan, id);
    assert_string_equal(text, members);
}

char *
fixture_text(const Plan *plan, const char *name)
{
    GString *text = g_string_new(NULL);
    emit_format(name)->write(plan, text);
    return g_string_free(text, FALSE);
}

char *
fixture_commands(GPtrArray *commands)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < commands->len; i++) {
        const EmitCommand *command = commands->pdata[i];
        g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
        json_node_set_object(node, command->arguments);
        g_autofree char *arguments = json_to_string(node, FALSE);
        g_string_append_printf(text, "%s %s\n", command->name, arguments);
    }
    g_ptr_array_unref(commands);
    return g_string_free(text, FALSE);
}
