/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Interrupts of a device, delivered to eventfds.
 */
#include "vfio-device.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

int
vfio_irq_info(const VfioDevice *device, unsigned index, struct vfio_irq_info *info)
{
    *info = (struct vfio_irq_info){.argsz = sizeof *info, .index = index};
    return vfio_result(ioctl(device->fd, VFIO_DEVICE_GET_IRQ_INFO, info));
}

int
vfio_eventfd(void)
{
    return vfio_result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

/* SIZE bytes of DATA follow the structure. */
static int
set_irqs(const VfioDevice *device, const struct vfio_irq_set *what, const void *data,
         size_t size)
{
    struct vfio_irq_set *set = malloc(sizeof *set + size);
    if (!set)
        return -ENOMEM;
    *set = *what;
    set->argsz = (uint32_t)(sizeof *set + size);
    if (size > 0)
        memcpy(set->data, data, size);
    int result = vfio_result(ioctl(device->fd, VFIO_DEVICE_SET_IRQS, set));
    free(set);
    return result;
}

int
vfio_irq_enable(const VfioDevice *device, unsigned index, const int *eventfds,
                unsigned count)
{
    const struct vfio_irq_set set = {
        .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
        .index = index,
        .count = count,
    };
    return set_irqs(device, &set, eventfds, count * sizeof eventfds[0]);
}

int
vfio_irq_disable(const VfioDevice *device, unsigned index)
{
    const struct vfio_irq_set set = {
        .flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, .index = index};
    return set_irqs(device, &set, NULL, 0);
}

static int
act(const VfioDevice *device, unsigned index, unsigned number, uint32_t action)
{
    const struct vfio_irq_set set = {
        .flags = VFIO_IRQ_SET_DATA_NONE | action,
        .index = index,
        .start = number,
        .count = 1,
    };
    return set_irqs(device, &set, NULL, 0);
}

int
vfio_irq_mask(const VfioDevice *device, unsigned index, unsigned number)
{
    return act(device, index, number, VFIO_IRQ_SET_ACTION_MASK);
}

int
vfio_irq_unmask(const VfioDevice *device, unsigned index, unsigned number)
{
    return act(device, index, number, VFIO_IRQ_SET_ACTION_UNMASK);
}

uint64_t
vfio_eventfd_wait(int eventfd, int timeout_ms)
{
    struct pollfd wait = {.fd = eventfd, .events = POLLIN};
    uint64_t signals = 0;
    if (poll(&wait, 1, timeout_ms) <= 0 ||
        read(eventfd, &signals, sizeof signals) != sizeof signals)
        return 0;
    return signals;
}

/* /proc/interrupts names them by kind and function, as in "vfio-msix[1](0000:b5:00.0)";
 * INTx has no number there. */
int
vfio_irq_number(const VfioDevice *device, unsigned index, unsigned number)
{
    char name[64], *line = NULL;
    size_t size = 0;
    int irq = -ENOENT;
    if (index == VFIO_PCI_INTX_IRQ_INDEX)
        snprintf(name, sizeof name, "vfio-intx(%s)", device->address);
    else
        snprintf(name, sizeof name, "vfio-%s[%u](%s)",
                 index == VFIO_PCI_MSIX_IRQ_INDEX ? "msix" : "msi", number,
                 device->address);
    FILE *interrupts = fopen("/proc/interrupts", "re");
    while (interrupts && irq < 0 && getline(&line, &size, interrupts) > 0)
        if (strstr(line, name))
            irq = atoi(line);
    free(line);
    if (interrupts)
        fclose(interrupts);
    return irq;
}
