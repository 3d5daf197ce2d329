/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * PCI functions in user space: which function of the manifest to take, its driver, its
 * group and container (or iommufd), memory mapped for it, its regions and interrupts. It
 * knows VFIO, and no device; it fails no case. libc only, but for vfio_choose().
 *
 * What returns an int gives 0 or more, or an error as a negative errno: some cases want
 * the refusal. Addresses are as in the manifest and in /sys: "0000:b5:00.0". All
 * structures are the caller's; after a call that failed there is nothing to close.
 *
 * The usual way:
 *
 *   VfioContainer container;
 *   VfioDevice device;
 *   pci_bind(address, "vfio-pci");
 *   vfio_container_open(&container);
 *   vfio_device_open(&device, &container, address);
 *   vfio_map(&container, memory, iova, size, VFIO_READ | VFIO_WRITE);
 *   … vfio_region_map(), vfio_irq_enable() …
 *   vfio_device_close(&device);
 *   vfio_container_close(&container);
 *   pci_bind(address, NULL);
 */
#pragma once

#include <errno.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* VALUE of a system call, or the error. */
static inline int
vfio_result(int value)
{
    return value < 0 ? -errno : value;
}

/* ---- which function
 * ------------------------------------------------------------------------------------ */

/* Of the manifest's functions with this id ("8086:10d3") that share their IOMMU group
 * with nothing but bridges, number WHICH, from 0, in the manifest's order; NULL: there
 * are not so many. The address is the manifest's. */
const char *vfio_choose(const char *id, unsigned which);

/* ---- drivers
 * -------------------------------------------------------------------------------------------
 */

/* Loads vfio-pci and the IOMMU's part of VFIO, if they are modules and not loaded. 0, or
 * -ENOENT: this kernel or image has no VFIO. */
int vfio_load(void);
/* Gives the function to DRIVER ("vfio-pci") alone, or (NULL) back to the host, so that
 * the driver that matches best takes it. Whoever has it now is asked to leave, which
 * takes until the last user of its VFIO device closes it. 0 when the driver (NULL: any)
 * has it; -ENODEV when none took it. */
int pci_bind(const char *address, const char *driver);
/* The same with NULL where vfio-pci has it; nothing where it is not so. */
int pci_return(const char *address);
/* Takes the function from its driver; 0 too if it has none. */
int pci_unbind(const char *address);
/* Its driver, or NULL; in one of a few static buffers. */
const char *pci_driver(const char *address);
/* The number of its IOMMU group, which is another one on another boot; -ENOENT: none. */
int pci_group(const char *address);

/* ---- containers, which have the mappings
 * --------------------------------------------------------------- */

typedef struct {
    int fd;          /* of /dev/vfio/vfio, or of /dev/iommu */
    int type;        /* VFIO_TYPE1v2_IOMMU once a group is in; 0: no group yet */
    bool is_iommufd; /* mappings are those of an IOAS */
    uint32_t ioas;   /* its id */
} VfioContainer;

/* Access that a device gets to memory. */
#define VFIO_READ VFIO_DMA_MAP_FLAG_READ /* the device may read it: it sends from it */
#define VFIO_WRITE                                                                       \
    VFIO_DMA_MAP_FLAG_WRITE /* the device may write it: it receives to it */

#define VFIO_RANGES_MAX 32

typedef struct {
    uint64_t page_sizes; /* a bit for each; 0: not told */
    unsigned range_count;
    struct {
        uint64_t first, last; /* addresses within which the IOMMU takes mappings */
    } ranges[VFIO_RANGES_MAX];
    int64_t mappings_left; /* how many more mappings it takes; -1: not told */
} VfioInfo;

/* A container of VFIO's own kind, still without a group. */
int vfio_container_open(VfioContainer *container);
/* The same by iommufd, with an IOAS of its own; -ENOENT where the kernel has no
 * /dev/iommu. Functions may have no devices for it all the same: /dev/vfio/devices is
 * there as soon as one that has is bound to vfio-pci. */
int vfio_iommufd_open(VfioContainer *container);
void vfio_container_close(VfioContainer *container);

/* Lets devices of the container reach SIZE bytes at MEMORY as IOVA; ACCESS as above. The
 * pages are pinned until they are unmapped or the container is closed. */
int vfio_map(const VfioContainer *container, void *memory, uint64_t iova, uint64_t size,
             uint32_t access);
/* Takes away the mappings within the range. *UNMAPPED (or NULL): bytes that were mapped.
 */
int vfio_unmap(const VfioContainer *container, uint64_t iova, uint64_t size,
               uint64_t *unmapped);
/* What the IOMMU behind the container can do; it must have a group or device. */
int vfio_info(const VfioContainer *container, VfioInfo *info);
/* Whether all of FIRST..LAST is in one of the ranges. */
bool vfio_info_allows(const VfioInfo *info, uint64_t first, uint64_t last);

/* ---- groups
 * --------------------------------------------------------------------------------------------
 */

/* The group's file; only one process at a time has it, and only once (-EBUSY). */
int vfio_group_open(int group);
/* VFIO_GROUP_FLAGS_*, or a negative errno. */
int vfio_group_flags(int group_fd);
/* Puts the group into a container (-EPERM if it is not viable); the first one decides
 * about the container's type. */
int vfio_group_attach(int group_fd, VfioContainer *container);
/* The file of a device of the group, which is in a container; the function is reset. */
int vfio_group_device(int group_fd, const char *address);

/* ---- devices
 * -------------------------------------------------------------------------------------------
 */

typedef struct {
    char address[16];
    int fd;
    int group; /* its file; -1: by iommufd, or the caller has it */
} VfioDevice;

/* Opens the function, which vfio-pci must have, within the container: the only one of its
 * group that is used so (for more see vfio_group_open()). The open resets the function.
 * It answers to memory and I/O, and may do DMA (bus master), as interrupts need. */
int vfio_device_open(VfioDevice *device, VfioContainer *container, const char *address);
/* Takes over a device's file that vfio_group_device() gave. */
void vfio_device_adopt(VfioDevice *device, int fd, const char *address);
void vfio_device_close(VfioDevice *device);

int vfio_device_info(const VfioDevice *device, struct vfio_device_info *info);
/* Resets the function as VFIO_DEVICE_RESET does, and lets it answer and be master again.
 */
int vfio_device_reset(const VfioDevice *device);
/* Sets memory, I/O and bus master in the command register. */
int vfio_device_enable(const VfioDevice *device);

/* What a hot reset would reset: up to MAXIMUM functions; returns how many there are. */
int vfio_hot_reset_info(const VfioDevice *device,
                        struct vfio_pci_dependent_device *functions, unsigned maximum);
/* Resets slot or bus; GROUPS are files of all groups that are touched; with an iommufd
 * device, COUNT 0. */
int vfio_hot_reset(const VfioDevice *device, const int *groups, unsigned count);

/* ---- regions; INDEX is VFIO_PCI_BAR0_REGION_INDEX … VFIO_PCI_CONFIG_REGION_INDEX
 * ------------------- */

int
vfio_region_info(const VfioDevice *device, unsigned index, struct vfio_region_info *info);
/* The whole region in our memory, or NULL with errno. It holds the device: whoever closes
 * the device and does not munmap() it first waits for ever when the driver is changed. */
void *vfio_region_map(const VfioDevice *device, unsigned index, size_t *size);
/* Through the file of the device; 0 when all SIZE bytes (1, 2 or 4 for a register) were
 * moved. */
int vfio_region_read(const VfioDevice *device, unsigned index, uint64_t offset,
                     void *bytes, size_t size);
int vfio_region_write(const VfioDevice *device, unsigned index, uint64_t offset,
                      const void *bytes, size_t size);
/* Configuration space, as VFIO shows it; all bits set when it cannot be read. */
uint16_t vfio_config16(const VfioDevice *device, unsigned offset);
int vfio_config16_write(const VfioDevice *device, unsigned offset, uint16_t value);

/* ---- interrupts; INDEX is VFIO_PCI_INTX_IRQ_INDEX, …MSI…, …MSIX…, …ERR…, …REQ…
 * --------------------- */

int vfio_irq_info(const VfioDevice *device, unsigned index, struct vfio_irq_info *info);
/* An eventfd that does not block, for vfio_irq_enable(). */
int vfio_eventfd(void);
/* Delivers the first COUNT interrupts to EVENTFDS (-1: not that one). One index at a time
 * is in use on a device, but for ERR and REQ. */
int vfio_irq_enable(const VfioDevice *device, unsigned index, const int *eventfds,
                    unsigned count);
int vfio_irq_disable(const VfioDevice *device, unsigned index);
/* Interrupt NUMBER of the index. -ENOTTY: that kind cannot be masked by VFIO. After each
 * INTx it is masked and must be unmasked. */
int vfio_irq_mask(const VfioDevice *device, unsigned index, unsigned number);
int vfio_irq_unmask(const VfioDevice *device, unsigned index, unsigned number);
/* Signals since the last call; waits for the first one up to TIMEOUT_MS; 0: none came. */
uint64_t vfio_eventfd_wait(int eventfd, int timeout_ms);
/* The host's number of that interrupt (/proc/irq/N), while it is enabled; -ENOENT. */
int vfio_irq_number(const VfioDevice *device, unsigned index, unsigned number);
