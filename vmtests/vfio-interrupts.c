/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite vfio: interrupts of the device itself, which its register ICS makes it raise, as
 * they arrive at eventfds.
 */
#include "vfio-suite.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#define CAUSES UINT32_MAX
#define MSIX_VECTORS 5
#define DRAIN_MS 20

/* ---- raising
 * -------------------------------------------------------------------------------------------
 */

/* No cause is pending or may interrupt, and an interrupt is put off as little as can be.
 */
static void
quiet(const VfioDevice *device)
{
    write_register(device, E1000E_IMC, CAUSES);
    write_register(device, E1000E_ICR, CAUSES);
    write_register(device, E1000E_ITR, 0);
    for (unsigned i = 0; i < MSIX_VECTORS; i++)
        write_register(device, E1000E_EITR + 4 * i, 0);
    read_register(device, E1000E_ICR);
}

/* The same, and what was on its way is gone. The emulator puts a second interrupt off by
 * 128 us at least and may send it although the first one was for the same cause. */
static void
quiet_for(const VfioDevice *device, int event)
{
    quiet(device);
    while (vfio_eventfd_wait(event, DRAIN_MS) != 0)
        ;
}

static void
raise_cause(const VfioDevice *device, uint32_t cause)
{
    write_register(device, E1000E_IMS, cause);
    write_register(device, E1000E_ICS, cause);
}

static void
arrives(int event, const char *what)
{
    uint64_t signals = vfio_eventfd_wait(event, suite_ms(ARRIVAL_MS));
    if (signals == 0)
        fail_msg("%s does not arrive within %d s", what, suite_ms(ARRIVAL_MS) / 1000);
}

static void
stays_out(int event, const char *what)
{
    if (vfio_eventfd_wait(event, SILENCE_MS) != 0)
        fail_msg("%s arrives", what);
}

/* Enables COUNT interrupts of the index, whose flags are as FLAGS. */
static void
enable(Bench *bench, unsigned index, int *events, unsigned count, uint32_t flags)
{
    struct vfio_irq_info info;
    must(vfio_irq_info(&bench->device, index, &info), "interrupts of index %u", index);
    if (info.count < count)
        fail_msg("index %u has %u interrupts, needed are %u", index, info.count, count);
    if ((info.flags & flags) != flags)
        fail_msg("index %u has the flags %#x; %#x must be among them", index, info.flags,
                 flags);
    for (unsigned i = 0; i < count; i++)
        events[i] = keep(bench, vfio_eventfd(), "there is no eventfd");
    quiet(&bench->device);
    must(vfio_irq_enable(&bench->device, index, events, count),
         "interrupts of index %u cannot be enabled", index);
}

/* ---- INTx
 * ----------------------------------------------------------------------------------------------
 */

#define INTX_FLAGS                                                                       \
    (VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED)

/* Seen with QEMU 7.2 and 10.0 on a q35 machine: docs/facts.rst. */
static void
no_intx(void)
{
    print_message("INTx from behind an expander does not arrive with this emulator\n");
    skip();
}

/* QEMU's amd-iommu, 10.0: an INTx that was remapped comes again for ever, and the host
 * does nothing else (docs/facts.rst). */
static bool
intx_never_ends(void)
{
    const Fact *model = suite_fact("iommu model");
    return suite_fact("iommu intremap") && strcmp(model->word[2], "amd") == 0;
}

static const char *
nic_without_expander(void)
{
    if (intx_never_ends()) {
        print_message("INTx that the emulated AMD IOMMU remaps never ends\n");
        skip();
    }
    const char *address = nic();
    for (unsigned i = 0; address && is_behind_expander(address); i++)
        address = vfio_choose(E1000E_ID, i);
    if (!address)
        no_intx();
    return address;
}

static void
enable_intx(Bench *bench, int *event)
{
    if (vfio_config16(&bench->device, PCI_INTERRUPT_PIN) >> 8 == 0xff)
        fail_msg("configuration space cannot be read");
    enable(bench, VFIO_PCI_INTX_IRQ_INDEX, event, 1, INTX_FLAGS);
}

static void
intx_arrives(Bench *bench, const char *fault)
{
    int event;
    enable_intx(bench, &event);
    if (suite_has_fault(fault))
        vfio_irq_mask(&bench->device, VFIO_PCI_INTX_IRQ_INDEX, 0);
    raise_cause(&bench->device, E1000E_CAUSE_LSC);
    arrives(event, "INTx");
    quiet(&bench->device);
    must(vfio_irq_unmask(&bench->device, VFIO_PCI_INTX_IRQ_INDEX, 0), "unmasking INTx");
    stays_out(event, "an INTx that was acknowledged");
    raise_cause(&bench->device, E1000E_CAUSE_LSC);
    arrives(event, "a second INTx");
}

void
intx_is_delivered(void **state)
{
    open_function(*state, nic_without_expander());
    intx_arrives(*state, "intx_is_delivered");
}

void
intx_is_masked(void **state)
{
    Bench *bench = *state;
    int event;
    open_function(bench, nic_without_expander());
    enable_intx(bench, &event);
    if (!suite_has_fault("intx_is_masked"))
        must(vfio_irq_mask(&bench->device, VFIO_PCI_INTX_IRQ_INDEX, 0), "masking INTx");
    raise_cause(&bench->device, E1000E_CAUSE_LSC);
    stays_out(event, "an INTx that is masked");
    must(vfio_irq_unmask(&bench->device, VFIO_PCI_INTX_IRQ_INDEX, 0), "unmasking INTx");
    arrives(event, "an INTx that was masked");
}

/* ---- MSI and MSI-X
 * -------------------------------------------------------------------------------------
 */

void
msi_is_delivered(void **state)
{
    Bench *bench = *state;
    int event;
    open_nic(bench);
    enable(bench, VFIO_PCI_MSI_IRQ_INDEX, &event, 1, VFIO_IRQ_INFO_EVENTFD);
    if (suite_has_fault("msi_is_delivered")) /* an MSI is a write of the device's */
        vfio_config16_write(&bench->device, PCI_COMMAND, PCI_COMMAND_MEMORY);
    raise_cause(&bench->device, E1000E_CAUSE_LSC);
    arrives(event, "MSI");
    quiet_for(&bench->device, event);
    stays_out(event, "an MSI that nobody sent");
    must_refuse(vfio_irq_mask(&bench->device, VFIO_PCI_MSI_IRQ_INDEX, 0), ENOTTY,
                "masking MSI by VFIO, which needs the device for that,");
}

/* Causes and the vectors that IVAR gives them. */
static const struct {
    uint32_t cause;
    unsigned entry; /* of IVAR */
} vectors[] = {
    {E1000E_CAUSE_RXQ0, 0},
    {E1000E_CAUSE_TXQ0, 2},
    {E1000E_CAUSE_OTHER, 4},
};
#define VECTORS (sizeof vectors / sizeof vectors[0])

static void
enable_msix(Bench *bench, int *events, unsigned count)
{
    uint32_t assigned = 0;
    enable(bench, VFIO_PCI_MSIX_IRQ_INDEX, events, count, VFIO_IRQ_INFO_EVENTFD);
    for (unsigned i = 0; i < count; i++)
        assigned |= E1000E_IVAR_VECTOR(vectors[i].entry, i);
    write_register(&bench->device, E1000E_IVAR, assigned);
}

static void
msix_arrives(Bench *bench, const char *fault)
{
    int events[VECTORS];
    enable_msix(bench, events, VECTORS);
    if (suite_has_fault(fault))
        write_register(&bench->device, E1000E_IVAR,
                       E1000E_IVAR_VECTOR(vectors[0].entry, 1) |
                           E1000E_IVAR_VECTOR(vectors[1].entry, 0));
    for (unsigned i = 0; i < VECTORS; i++) {
        raise_cause(&bench->device, vectors[i].cause);
        arrives(events[i], "an MSI-X");
        for (unsigned j = 0; j < VECTORS; j++)
            if (j != i && vfio_eventfd_wait(events[j], 0) != 0)
                fail_msg("vector %u was raised and vector %u arrives", i, j);
        quiet_for(&bench->device, events[i]);
    }
}

void
msix_is_delivered_by_vector(void **state)
{
    open_nic(*state);
    msix_arrives(*state, "msix_is_delivered_by_vector");
}

/* ---- a masked vector
 * ----------------------------------------------------------------------------------- */

/* The word of the first vector's entry in the table that masks it, in the device. */
static volatile uint32_t *
vector_control(Bench *bench)
{
    const VfioDevice *device = &bench->device;
    unsigned at = vfio_config16(device, PCI_CAPABILITY_LIST) & 0xff;
    for (int left = 48; left > 0 && at >= 0x40; left--) {
        uint16_t header = vfio_config16(device, at);
        if ((header & 0xff) == PCI_CAP_ID_MSIX)
            break;
        at = header >> 8;
    }
    if (at < 0x40)
        fail_msg("%s has no MSI-X", device->address);
    uint16_t table = vfio_config16(device, at + PCI_MSIX_TABLE);
    char *region = map_region(bench, table & PCI_MSIX_TABLE_BIR);
    region += table & (uint16_t)~PCI_MSIX_TABLE_BIR;
    return (volatile uint32_t *)(void *)(region + PCI_MSIX_ENTRY_VECTOR_CTRL);
}

void
msix_vector_is_masked(void **state)
{
    Bench *bench = *state;
    int event;
    open_nic(bench);
    enable_msix(bench, &event, 1);
    volatile uint32_t *control = vector_control(bench);
    if (suite_has_fault("msix_vector_is_masked"))
        control += PCI_MSIX_ENTRY_SIZE / sizeof *control; /* another vector's */
    *control |= PCI_MSIX_ENTRY_CTRL_MASKBIT;
    raise_cause(&bench->device, vectors[0].cause);
    stays_out(event, "an MSI-X that is masked");
    *control &= ~(uint32_t)PCI_MSIX_ENTRY_CTRL_MASKBIT;
    arrives(event, "an MSI-X that was masked");
}

/* ---- CPUs
 * ----------------------------------------------------------------------------------------------
 */

/* How often the interrupt came to the CPU: columns of /proc/interrupts, CPUs that are
 * online in their order. */
static long
count_of(int irq, int cpu)
{
    char prefix[16], *line = NULL;
    size_t size = 0;
    long count = -1;
    snprintf(prefix, sizeof prefix, "%d:", irq);
    FILE *interrupts = fopen("/proc/interrupts", "re");
    while (interrupts && count < 0 && getline(&line, &size, interrupts) > 0) {
        char *at = line + strspn(line, " ");
        if (strncmp(at, prefix, strlen(prefix)) != 0)
            continue;
        at += strlen(prefix);
        for (int i = 0; i <= cpu; i++)
            count = strtol(at, &at, 10);
    }
    free(line);
    if (interrupts)
        fclose(interrupts);
    return count;
}

static void
move_to(int irq, int cpu)
{
    char text[16];
    snprintf(text, sizeof text, "%d", cpu);
    if (suite_write(text, "/proc/irq/%d/smp_affinity_list", irq) != 0)
        fail_msg("interrupt %d cannot be moved to CPU %d: %s", irq, cpu, strerror(errno));
}

/* An interrupt that is moved goes where it went until it comes once more, if the unit
 * does not remap it; so the second one counts. */
static void
comes_to(Bench *bench, int event, int irq, const int cpus[2])
{
    bool stays = suite_has_fault("interrupt_moves_to_another_cpu");
    long before[2], after[2];
    move_to(irq, cpus[stays ? 1 : 0]);
    raise_cause(&bench->device, vectors[0].cause);
    arrives(event, "an interrupt that was moved");
    quiet_for(&bench->device, event);
    for (int i = 0; i < 2; i++)
        before[i] = count_of(irq, cpus[i]);
    raise_cause(&bench->device, vectors[0].cause);
    arrives(event, "an interrupt that was moved");
    quiet_for(&bench->device, event);
    for (int i = 0; i < 2; i++)
        after[i] = count_of(irq, cpus[i]);
    if (after[0] <= before[0] || after[1] != before[1])
        fail_msg("interrupt %d was moved to CPU %d, and came there %ld times, to CPU %d "
                 "%ld times",
                 irq, cpus[0], after[0] - before[0], cpus[1], after[1] - before[1]);
}

void
interrupt_moves_to_another_cpu(void **state)
{
    Bench *bench = *state;
    int event;
    nic();
    const char *cpus = suite_read("/sys/devices/system/cpu/online");
    int first = cpus ? list_next(cpus, -1) : -1;
    int second = cpus ? list_next(cpus, first) : -1;
    if (second < 0) {
        print_message("the host has one CPU only\n");
        skip();
    }
    open_nic(bench);
    enable_msix(bench, &event, 1);
    int irq = vfio_irq_number(&bench->device, VFIO_PCI_MSIX_IRQ_INDEX, 0);
    must(irq, "the interrupt is not among the host's");
    comes_to(bench, event, irq, (int[]){second, first});
    comes_to(bench, event, irq, (int[]){first, second});
}

/* ---- the same by iommufd
 * ------------------------------------------------------------------------------- */

void
iommufd_delivers_intx(void **state)
{
    open_function_by_iommufd(*state, nic_without_expander());
    intx_arrives(*state, "iommufd_delivers_intx");
}

void
iommufd_delivers_msix(void **state)
{
    open_nic_by_iommufd(*state);
    msix_arrives(*state, "iommufd_delivers_msix");
}
