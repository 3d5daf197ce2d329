/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the emit-libvirt*.c files share, and nobody else includes: the domain that is
 * being written, and a few words for writing XML.
 */
#pragma once

#include "autoptr.h"
#include "emit.h"

typedef struct {
    const Plan *plan;
    const char *accel;
    const EmitDomain *start; /* NULL: it is only written */
    xmlNode *domain;
    xmlNode *devices;
    xmlNode *overrides;   /* made when the first one is needed */
    xmlNode *commandline; /* the same */
    xmlNs *qemu;
    gboolean links_by_arg; /* some memory attributes go through the command line */
    GHashTable *indexes;   /* id of a bridge or expander → index of its controller */
} LibvirtWriter;

/* ---- emit-libvirt.c */

gboolean libvirt_is_emulation(const LibvirtWriter *writer);
/* The property of the machine, or NULL. */
const PlanProperty *libvirt_irqchip(const Plan *plan);
xmlNode *libvirt_element(xmlNode *parent, const char *name);
xmlNode *libvirt_element_text(xmlNode *parent, const char *name, const char *text);
xmlNode *libvirt_element_int(xmlNode *parent, const char *name, gint64 value);
void libvirt_attribute(xmlNode *node, const char *name, const char *value);
void libvirt_attribute_int(xmlNode *node, const char *name, gint64 value);
/* Bytes as libvirt takes them: KiB where that is exact. */
void libvirt_attribute_size(xmlNode *node, const char *name, gint64 bytes);

/* ---- emit-libvirt-devices.c */

void libvirt_write_devices(LibvirtWriter *writer);
/* Of the models whose PCI nature libvirt 9.0 knows; it would put others (NULL) on a
 * conventional bus. */
const char *libvirt_interface_model(const PlanFunction *function);
/* One word of <qemu:commandline>. */
void libvirt_write_arg(LibvirtWriter *writer, const char *value);
/* Two: OPTION, and OBJECT, which it takes. */
void
libvirt_write_json_arg(LibvirtWriter *writer, const char *option, JsonObject *object);
/* A property of the device with this id that libvirt has no word for, by <qemu:override>.
 * TYPE is libvirt's word; VALUE is NULL with "remove". *FRONTEND is one device's, and
 * NULL before its first. */
void libvirt_write_override(LibvirtWriter *writer, xmlNode **frontend, const char *id,
                            const char *name, const char *type, const char *value);
/* The same of one whose alias is no id's. */
void
libvirt_write_alias_override(LibvirtWriter *writer, xmlNode **frontend, const char *alias,
                             const char *name, const char *type, const char *value);
/* NULL: the host has none. */
const PlanFunction *libvirt_virtio_iommu(const Plan *plan);

/* ---- emit-libvirt-networks.c, where it is started */

/* The network's end of a NIC. Its id, owned by the caller. */
char *libvirt_write_netdev(LibvirtWriter *writer, const PlanFunction *function);
/* What leads from the NICs on networks that join hosts to hostbed, and what captures the
 * others' frames. */
void libvirt_write_networks(LibvirtWriter *writer);

/* ---- emit-libvirt-cells.c */

/* libvirt calls the way back of a link "already defined" (virDomainNumaDefValidate), so
 * the emulator is told of it; and of the caches too then, since they come after all
 * links. */
gboolean libvirt_has_way_back(const Plan *plan);
void libvirt_write_cpu(LibvirtWriter *writer);
/* The memory attributes that go through the command line. */
void libvirt_write_numa_args(LibvirtWriter *writer);
