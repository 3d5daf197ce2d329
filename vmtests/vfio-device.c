/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Groups, devices, regions and resets.
 */
#include "vfio-device.h"

#include "vfio-iommufd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- groups
 * --------------------------------------------------------------------------------------------
 */

int
vfio_group_open(int group)
{
    char path[40];
    snprintf(path, sizeof path, "/dev/vfio/%d", group);
    return vfio_result(open(path, O_RDWR | O_CLOEXEC));
}

int
vfio_group_flags(int group_fd)
{
    struct vfio_group_status status = {.argsz = sizeof status};
    int result = vfio_result(ioctl(group_fd, VFIO_GROUP_GET_STATUS, &status));
    return result < 0 ? result : (int)status.flags;
}

int
vfio_group_attach(int group_fd, VfioContainer *container)
{
    int result = vfio_result(ioctl(group_fd, VFIO_GROUP_SET_CONTAINER, &container->fd));
    if (result < 0 || container->type != 0)
        return result;
    result = vfio_result(ioctl(container->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
    if (result < 0)
        ioctl(group_fd, VFIO_GROUP_UNSET_CONTAINER);
    else
        container->type = VFIO_TYPE1v2_IOMMU;
    return result;
}

int
vfio_group_device(int group_fd, const char *address)
{
    return vfio_result(ioctl(group_fd, VFIO_GROUP_GET_DEVICE_FD, address));
}

/* ---- opening
 * -------------------------------------------------------------------------------------------
 */

void
vfio_device_adopt(VfioDevice *device, int fd, const char *address)
{
    *device = (VfioDevice){.fd = fd, .group = -1};
    snprintf(device->address, sizeof device->address, "%s", address);
}

static int
open_in_group(VfioDevice *device, VfioContainer *container, const char *address)
{
    int number = pci_group(address);
    int group = number < 0 ? number : vfio_group_open(number);
    if (group < 0)
        return group;
    int result = vfio_group_attach(group, container);
    if (result == 0)
        result = vfio_group_device(group, address);
    if (result < 0) {
        close(group);
        return result;
    }
    vfio_device_adopt(device, result, address);
    device->group = group;
    return 0;
}

/* The character device of a function: /dev/vfio/devices/vfioN, with N as its /sys says.
 */
static int
open_character_device(const char *address)
{
    char path[300];
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/vfio-dev", address);
    DIR *folder = opendir(path);
    int fd = -ENOENT;
    for (struct dirent *entry; fd < 0 && folder && (entry = readdir(folder));) {
        if (strncmp(entry->d_name, "vfio", 4) != 0)
            continue;
        snprintf(path, sizeof path, "/dev/vfio/devices/%s", entry->d_name);
        fd = vfio_result(open(path, O_RDWR | O_CLOEXEC));
    }
    if (folder)
        closedir(folder);
    return fd;
}

static int
open_by_iommufd(VfioDevice *device, VfioContainer *container, const char *address)
{
    int fd = open_character_device(address);
    if (fd < 0)
        return fd;
    int result = vfio_iommufd_attach(fd, container);
    if (result < 0) {
        close(fd);
        return result;
    }
    vfio_device_adopt(device, fd, address);
    return 0;
}

int
vfio_device_open(VfioDevice *device, VfioContainer *container, const char *address)
{
    int result = container->is_iommufd ? open_by_iommufd(device, container, address)
                                       : open_in_group(device, container, address);
    if (result < 0)
        return result;
    result = vfio_device_enable(device);
    if (result < 0)
        vfio_device_close(device);
    return result;
}

void
vfio_device_close(VfioDevice *device)
{
    close(device->fd);
    if (device->group >= 0)
        close(device->group);
    device->fd = device->group = -1;
}

/* ---- regions
 * -------------------------------------------------------------------------------------------
 */

int
vfio_device_info(const VfioDevice *device, struct vfio_device_info *info)
{
    *info = (struct vfio_device_info){.argsz = sizeof *info};
    return vfio_result(ioctl(device->fd, VFIO_DEVICE_GET_INFO, info));
}

int
vfio_region_info(const VfioDevice *device, unsigned index, struct vfio_region_info *info)
{
    *info = (struct vfio_region_info){.argsz = sizeof *info, .index = index};
    return vfio_result(ioctl(device->fd, VFIO_DEVICE_GET_REGION_INFO, info));
}

void *
vfio_region_map(const VfioDevice *device, unsigned index, size_t *size)
{
    struct vfio_region_info info;
    int result = vfio_region_info(device, index, &info);
    if (result < 0 || !(info.flags & VFIO_REGION_INFO_FLAG_MMAP)) {
        errno = result < 0 ? -result : ENOTSUP;
        return NULL;
    }
    void *region = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, device->fd,
                        (off_t)info.offset);
    if (region == MAP_FAILED)
        return NULL;
    *size = info.size;
    return region;
}

int
vfio_region_read(const VfioDevice *device, unsigned index, uint64_t offset, void *bytes,
                 size_t size)
{
    struct vfio_region_info info;
    int result = vfio_region_info(device, index, &info);
    if (result < 0)
        return result;
    ssize_t got = pread(device->fd, bytes, size, (off_t)(info.offset + offset));
    return got < 0 ? -errno : (size_t)got == size ? 0 : -EIO;
}

int
vfio_region_write(const VfioDevice *device, unsigned index, uint64_t offset,
                  const void *bytes, size_t size)
{
    struct vfio_region_info info;
    int result = vfio_region_info(device, index, &info);
    if (result < 0)
        return result;
    ssize_t put = pwrite(device->fd, bytes, size, (off_t)(info.offset + offset));
    return put < 0 ? -errno : (size_t)put == size ? 0 : -EIO;
}

uint16_t
vfio_config16(const VfioDevice *device, unsigned offset)
{
    uint16_t value;
    if (vfio_region_read(device, VFIO_PCI_CONFIG_REGION_INDEX, offset, &value, 2) < 0)
        return 0xffff;
    return value;
}

int
vfio_config16_write(const VfioDevice *device, unsigned offset, uint16_t value)
{
    return vfio_region_write(device, VFIO_PCI_CONFIG_REGION_INDEX, offset, &value, 2);
}

/* ---- resets
 * --------------------------------------------------------------------------------------------
 */

int
vfio_device_enable(const VfioDevice *device)
{
    uint16_t command = vfio_config16(device, PCI_COMMAND);
    command |= PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
    return vfio_config16_write(device, PCI_COMMAND, command);
}

int
vfio_device_reset(const VfioDevice *device)
{
    int result = vfio_result(ioctl(device->fd, VFIO_DEVICE_RESET));
    return result < 0 ? result : vfio_device_enable(device);
}

int
vfio_hot_reset_info(const VfioDevice *device, struct vfio_pci_dependent_device *functions,
                    unsigned maximum)
{
    size_t size = sizeof(struct vfio_pci_hot_reset_info) + maximum * sizeof functions[0];
    struct vfio_pci_hot_reset_info *info = calloc(1, size);
    if (!info)
        return -ENOMEM;
    info->argsz = (uint32_t)size;
    int result = vfio_result(ioctl(device->fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info));
    if (result == 0) {
        memcpy(functions, info->devices, info->count * sizeof functions[0]);
        result = (int)info->count;
    }
    free(info);
    return result;
}

int
vfio_hot_reset(const VfioDevice *device, const int *groups, unsigned count)
{
    size_t size = sizeof(struct vfio_pci_hot_reset) + count * sizeof groups[0];
    struct vfio_pci_hot_reset *reset = calloc(1, size);
    if (!reset)
        return -ENOMEM;
    reset->argsz = (uint32_t)size;
    reset->count = count;
    for (unsigned i = 0; i < count; i++)
        reset->group_fds[i] = groups[i];
    int result = vfio_result(ioctl(device->fd, VFIO_DEVICE_PCI_HOT_RESET, reset));
    free(reset);
    return result;
}
