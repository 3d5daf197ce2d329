/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Containers, VFIO's own and those of iommufd: mappings, and what the IOMMU can do.
 */
#include "vfio-device.h"

#include "vfio-iommufd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* More than the kernel says of one container: a few ranges and a number. */
#define INFO_MAX_BYTES 4096

int
vfio_container_open(VfioContainer *container)
{
    *container = (VfioContainer){.fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC)};
    return container->fd < 0 ? -errno : 0;
}

int
vfio_iommufd_open(VfioContainer *container)
{
    *container =
        (VfioContainer){.fd = open("/dev/iommu", O_RDWR | O_CLOEXEC), .is_iommufd = true};
    if (container->fd < 0)
        return -errno;
    IommuIoasAlloc alloc = {.size = sizeof alloc};
    int result = vfio_result(ioctl(container->fd, IOMMU_IOAS_ALLOC, &alloc));
    if (result < 0)
        vfio_container_close(container);
    container->ioas = alloc.out_ioas_id;
    return result;
}

int
vfio_iommufd_attach(int device_fd, const VfioContainer *container)
{
    VfioBindIommufd bind = {.argsz = sizeof bind, .iommufd = container->fd};
    int result = vfio_result(ioctl(device_fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
    if (result < 0)
        return result;
    VfioAttachPt attach = {.argsz = sizeof attach, .pt_id = container->ioas};
    return vfio_result(ioctl(device_fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
}

void
vfio_container_close(VfioContainer *container)
{
    close(container->fd);
    container->fd = -1;
}

/* ---- mappings
 * ------------------------------------------------------------------------------------------
 */

static int
iommufd_map(const VfioContainer *container, void *memory, uint64_t iova, uint64_t size,
            uint32_t access)
{
    IommuIoasMap map = {
        .size = sizeof map,
        .flags = IOMMU_IOAS_MAP_FIXED_IOVA |
                 (access & VFIO_READ ? IOMMU_IOAS_MAP_READABLE : 0) |
                 (access & VFIO_WRITE ? IOMMU_IOAS_MAP_WRITEABLE : 0),
        .ioas_id = container->ioas,
        .user_va = (uintptr_t)memory,
        .length = size,
        .iova = iova,
    };
    return vfio_result(ioctl(container->fd, IOMMU_IOAS_MAP, &map));
}

int
vfio_map(const VfioContainer *container, void *memory, uint64_t iova, uint64_t size,
         uint32_t access)
{
    if (container->is_iommufd)
        return iommufd_map(container, memory, iova, size, access);
    struct vfio_iommu_type1_dma_map map = {
        .argsz = sizeof map,
        .flags = access,
        .vaddr = (uintptr_t)memory,
        .iova = iova,
        .size = size,
    };
    return vfio_result(ioctl(container->fd, VFIO_IOMMU_MAP_DMA, &map));
}

static int
iommufd_unmap(const VfioContainer *container, uint64_t iova, uint64_t size,
              uint64_t *unmapped)
{
    IommuIoasUnmap unmap = {
        .size = sizeof unmap, .ioas_id = container->ioas, .iova = iova, .length = size};
    int result = vfio_result(ioctl(container->fd, IOMMU_IOAS_UNMAP, &unmap));
    if (result == 0 && unmapped)
        *unmapped = unmap.length;
    return result;
}

int
vfio_unmap(const VfioContainer *container, uint64_t iova, uint64_t size,
           uint64_t *unmapped)
{
    if (container->is_iommufd)
        return iommufd_unmap(container, iova, size, unmapped);
    struct vfio_iommu_type1_dma_unmap unmap = {
        .argsz = sizeof unmap, .iova = iova, .size = size};
    int result = vfio_result(ioctl(container->fd, VFIO_IOMMU_UNMAP_DMA, &unmap));
    if (result == 0 && unmapped)
        *unmapped = unmap.size;
    return result;
}

/* ---- what it can do
 * ------------------------------------------------------------------------------------ */

static void
add_range(VfioInfo *info, uint64_t first, uint64_t last)
{
    if (info->range_count == VFIO_RANGES_MAX)
        return;
    info->ranges[info->range_count].first = first;
    info->ranges[info->range_count++].last = last;
}

static void
read_capability(VfioInfo *info, const struct vfio_info_cap_header *header)
{
    if (header->id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE) {
        const struct vfio_iommu_type1_info_cap_iova_range *ranges = (const void *)header;
        for (uint32_t i = 0; i < ranges->nr_iovas; i++)
            add_range(info, ranges->iova_ranges[i].start, ranges->iova_ranges[i].end);
    } else if (header->id == VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL) {
        info->mappings_left =
            ((const struct vfio_iommu_type1_info_dma_avail *)(const void *)header)->avail;
    }
}

static int
type1_info(const VfioContainer *container, VfioInfo *info)
{
    _Alignas(8) char bytes[INFO_MAX_BYTES] = {0};
    struct vfio_iommu_type1_info *raw = (void *)bytes;
    raw->argsz = sizeof bytes;
    int result = vfio_result(ioctl(container->fd, VFIO_IOMMU_GET_INFO, raw));
    if (result < 0)
        return result;
    if (raw->flags & VFIO_IOMMU_INFO_PGSIZES)
        info->page_sizes = raw->iova_pgsizes;
    if (!(raw->flags & VFIO_IOMMU_INFO_CAPS))
        return 0;
    for (uint32_t at = raw->cap_offset;
         at != 0 && at < sizeof bytes - sizeof(struct vfio_info_cap_header);
         at = ((struct vfio_info_cap_header *)(void *)(bytes + at))->next)
        read_capability(info, (const void *)(bytes + at));
    return 0;
}

static int
iommufd_info(const VfioContainer *container, VfioInfo *info)
{
    IommuIovaRange ranges[VFIO_RANGES_MAX];
    IommuIoasIovaRanges ask = {
        .size = sizeof ask,
        .ioas_id = container->ioas,
        .num_iovas = VFIO_RANGES_MAX,
        .allowed_iovas = (uintptr_t)ranges,
    };
    int result = vfio_result(ioctl(container->fd, IOMMU_IOAS_IOVA_RANGES, &ask));
    for (uint32_t i = 0; result == 0 && i < ask.num_iovas; i++)
        add_range(info, ranges[i].start, ranges[i].last);
    return result;
}

int
vfio_info(const VfioContainer *container, VfioInfo *info)
{
    *info = (VfioInfo){.mappings_left = -1};
    return container->is_iommufd ? iommufd_info(container, info)
                                 : type1_info(container, info);
}

bool
vfio_info_allows(const VfioInfo *info, uint64_t first, uint64_t last)
{
    for (unsigned i = 0; i < info->range_count; i++)
        if (first >= info->ranges[i].first && last <= info->ranges[i].last)
            return true;
    return false;
}
