/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The part of the kernel's interface to iommufd (Linux 6.2, devices 6.6) that
 * vfio-device.h uses, so that it is built with older headers too. The kernel's names and
 * numbers: <linux/iommufd.h>, <linux/vfio.h>.
 */
#pragma once

#include "vfio-device.h"

/* The device is to use the container's IOAS. */
int vfio_iommufd_attach(int device_fd, const VfioContainer *container);

#ifndef VFIO_DEVICE_BIND_IOMMUFD
#define VFIO_DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 19)
#endif

typedef struct {
    uint32_t argsz, flags;
    int32_t iommufd;
    uint32_t out_devid;
} VfioBindIommufd;

typedef struct {
    uint32_t argsz, flags, pt_id;
} VfioAttachPt;

#define IOMMU_IOAS_ALLOC _IO(';', 0x81)
#define IOMMU_IOAS_IOVA_RANGES _IO(';', 0x84)
#define IOMMU_IOAS_MAP _IO(';', 0x85)
#define IOMMU_IOAS_UNMAP _IO(';', 0x86)

typedef struct {
    uint32_t size, flags, out_ioas_id;
} IommuIoasAlloc;

typedef struct {
    uint64_t start, last;
} IommuIovaRange;

typedef struct {
    uint32_t size, ioas_id, num_iovas, reserved;
    uint64_t allowed_iovas, out_iova_alignment;
} IommuIoasIovaRanges;

#define IOMMU_IOAS_MAP_FIXED_IOVA 1
#define IOMMU_IOAS_MAP_WRITEABLE 2
#define IOMMU_IOAS_MAP_READABLE 4

typedef struct {
    uint32_t size, flags, ioas_id, reserved;
    uint64_t user_va, length, iova;
} IommuIoasMap;

typedef struct {
    uint32_t size, ioas_id;
    uint64_t iova, length;
} IommuIoasUnmap;
