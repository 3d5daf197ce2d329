/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Plan → domain XML for libvirt. Every element that libvirt has a word for is said in
 * that word; properties that it has none for go through <qemu:override>, devices through
 * <qemu:commandline>. What cannot be said at all is refused by emit_libvirt_check().
 *
 * The tree is built with libxml2, which does all escaping. Measured with libvirt 9.0.
 */
#include <string.h>

#include "emit-libvirt.h"
#include "emit-parts.h"

#define QEMU_NAMESPACE "http://libvirt.org/schemas/domain/qemu/1.0"
#define OSINFO_NAMESPACE "http://libosinfo.org/xmlns/libvirt/domain/1.0"

gboolean
libvirt_is_emulation(const LibvirtWriter *writer)
{
    return !g_str_equal(writer->accel, "kvm");
}

/* ---- XML
 * ----------------------------------------------------------------------------------- */

xmlNode *
libvirt_element(xmlNode *parent, const char *name)
{
    return xmlNewChild(parent, NULL, BAD_CAST name, NULL);
}

xmlNode *
libvirt_element_text(xmlNode *parent, const char *name, const char *text)
{
    return xmlNewTextChild(parent, NULL, BAD_CAST name, BAD_CAST text);
}

void
libvirt_attribute(xmlNode *node, const char *name, const char *value)
{
    xmlNewProp(node, BAD_CAST name, BAD_CAST value);
}

void
libvirt_attribute_int(xmlNode *node, const char *name, gint64 value)
{
    char text[24];
    g_snprintf(text, sizeof text, "%" G_GINT64_FORMAT, value);
    libvirt_attribute(node, name, text);
}

xmlNode *
libvirt_element_int(xmlNode *parent, const char *name, gint64 value)
{
    char text[24];
    g_snprintf(text, sizeof text, "%" G_GINT64_FORMAT, value);
    return libvirt_element_text(parent, name, text);
}

void
libvirt_attribute_size(xmlNode *node, const char *name, gint64 bytes)
{
    gboolean whole = bytes % 1024 == 0;
    libvirt_attribute_int(node, name, whole ? bytes / 1024 : bytes);
    libvirt_attribute(node, "unit", whole ? "KiB" : "b");
}

/* ---- the domain
 * ---------------------------------------------------------------------------- */

/* The lab as its author wrote it: libvirt keeps one element of each foreign namespace. */
static void
write_lab(LibvirtWriter *writer, xmlNode *metadata)
{
    if (!writer->plan->lab_source)
        return;
    gsize length;
    const char *text = g_bytes_get_data(writer->plan->lab_source, &length);
    g_autoptr(xmlDoc) source =
        xmlReadMemory(text, (int)length, NULL, NULL,
                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    xmlNode *lab = source ? xmlDocGetRootElement(source) : NULL;
    if (lab && lab->ns)
        xmlAddChild(metadata, xmlDocCopyNode(lab, writer->domain->doc, 1));
}

/* Which of the lab's hosts this is, and the words that its kernel needs, however it is
 * booted. */
static char *
kernel_command_line(const LibvirtWriter *writer)
{
    const Plan *plan = writer->plan;
    return libvirt_is_emulation(writer)
               ? g_strconcat(plan->tcg_cmdline, " ", plan->cmdline, NULL)
               : g_strdup(plan->cmdline);
}

/* libvirt keeps an element's content, but not how it was written. */
static void
write_source(LibvirtWriter *writer, xmlNode *host)
{
    if (!writer->start || !writer->plan->lab_source)
        return;
    gsize length;
    const guchar *bytes = g_bytes_get_data(writer->plan->lab_source, &length);
    g_autofree char *text = g_base64_encode(bytes, length);
    xmlNode *source = xmlNewTextChild(host, host->ns, BAD_CAST "source", BAD_CAST text);
    libvirt_attribute(source, "encoding", "base64");
}

/* As virt-manager and its kin write and read it. */
static void
write_osinfo(LibvirtWriter *writer, xmlNode *metadata)
{
    if (!writer->plan->os_id)
        return;
    xmlNode *outer = xmlNewChild(metadata, NULL, BAD_CAST "libosinfo", NULL);
    xmlNs *namespace = xmlNewNs(outer, BAD_CAST OSINFO_NAMESPACE, BAD_CAST "libosinfo");
    xmlSetNs(outer, namespace);
    xmlNode *os = xmlNewChild(outer, namespace, BAD_CAST "os", NULL);
    libvirt_attribute(os, "id", writer->plan->os_id);
}

static void
write_metadata(LibvirtWriter *writer)
{
    xmlNode *metadata = libvirt_element(writer->domain, "metadata");
    xmlNode *host = xmlNewChild(metadata, NULL, BAD_CAST "host", NULL);
    xmlNs *namespace = xmlNewNs(host, BAD_CAST EMIT_HOST_NAMESPACE, BAD_CAST "hostbed");
    xmlSetNs(host, namespace);
    libvirt_attribute(host, "id", writer->plan->host_id);
    g_autofree char *cmdline = kernel_command_line(writer);
    xmlNewTextChild(host, namespace, BAD_CAST "cmdline", BAD_CAST cmdline);
    write_source(writer, host);
    write_osinfo(writer, metadata);
    write_lab(writer, metadata);
}

/* What no boot loader starts. */
static void
write_start(LibvirtWriter *writer, xmlNode *os)
{
    const EmitDomain *start = writer->start;
    if (!start->kernel)
        return;
    g_autofree char *own = kernel_command_line(writer);
    g_autoptr(GString) cmdline = g_string_new(own);
    g_string_append_printf(cmdline, " %s", writer->plan->direct_cmdline);
    if (start->root_words && *start->root_words)
        g_string_append_printf(cmdline, " %s", start->root_words);
    if (start->cmdline_extra && *start->cmdline_extra)
        g_string_append_printf(cmdline, " %s", start->cmdline_extra);
    libvirt_element_text(os, "kernel", start->kernel);
    libvirt_element_text(os, "initrd", start->initrd);
    libvirt_element_text(os, "cmdline", cmdline->str);
}

static void
write_os(LibvirtWriter *writer)
{
    const Plan *plan = writer->plan;
    xmlNode *os = libvirt_element(writer->domain, "os");
    if (plan->firmware == LAB_FIRMWARE_EFI)
        libvirt_attribute(os, "firmware", "efi");
    xmlNode *type = libvirt_element_text(os, "type", "hvm");
    libvirt_attribute(type, "arch", "x86_64");
    libvirt_attribute(type, "machine", plan->machine);
    if (writer->start) {
        write_start(writer, os);
    } else if (plan->kernel) {
        libvirt_element_text(os, "kernel", plan->kernel);
        g_autofree char *cmdline = kernel_command_line(writer);
        libvirt_element_text(os, "cmdline", cmdline);
    }
}

const PlanProperty *
libvirt_irqchip(const Plan *plan)
{
    const PlanProperty *property =
        emit_property(plan->machine_properties, "kernel-irqchip");
    return property ? property
                    : emit_property(plan->machine_properties, "kernel_irqchip");
}

static void
write_features(LibvirtWriter *writer)
{
    xmlNode *features = libvirt_element(writer->domain, "features");
    libvirt_element(features, "acpi");
    libvirt_element(features, "apic");
    g_autofree char *value = libvirt_irqchip(writer->plan)
                                 ? emit_property_text(libvirt_irqchip(writer->plan))
                                 : NULL;
    if (g_strcmp0(value, "split") == 0)
        libvirt_attribute(libvirt_element(features, "ioapic"), "driver", "qemu");
    if (libvirt_is_emulation(writer) && writer->plan->tcg_without_smm)
        libvirt_attribute(libvirt_element(features, "smm"), "state", "off");
}

static void
write_domain(LibvirtWriter *writer)
{
    const Plan *plan = writer->plan;
    g_autofree char *name = g_strdup_printf("%s-%s", plan->lab_name, plan->host_id);
    libvirt_attribute(writer->domain, "type",
                      libvirt_is_emulation(writer) ? "qemu" : "kvm");
    libvirt_element_text(writer->domain, "name", name);
    write_metadata(writer);
    if (plan->memory_slots > 0) {
        xmlNode *maximum = libvirt_element_int(writer->domain, "maxMemory",
                                               plan->max_memory_bytes / 1024);
        libvirt_attribute_int(maximum, "slots", plan->memory_slots);
        libvirt_attribute(maximum, "unit", "KiB");
    }
    xmlNode *memory =
        libvirt_element_int(writer->domain, "memory", (plan->memory_bytes + 1023) / 1024);
    libvirt_attribute(memory, "unit", "KiB");
    libvirt_element_int(writer->domain, "vcpu", plan->cpu_count);
    write_os(writer);
    write_features(writer);
    libvirt_write_cpu(writer);
    libvirt_element_text(writer->domain, "on_poweroff", "destroy");
    libvirt_element_text(writer->domain, "on_reboot", "destroy");
    libvirt_element_text(writer->domain, "on_crash", "destroy");
    libvirt_write_devices(writer);
    for (guint i = 0; i < plan->raw_args->len; i++)
        libvirt_write_arg(writer, g_ptr_array_index(plan->raw_args, i));
    const char *const *more = writer->start ? writer->start->more_args : NULL;
    for (; more && *more; more++)
        libvirt_write_arg(writer, *more);
}

static void
emit(LibvirtWriter *writer, GString *out)
{
    g_autoptr(xmlDoc) document = xmlNewDoc(BAD_CAST "1.0");
    g_autoptr(GHashTable) indexes = g_hash_table_new(g_str_hash, g_str_equal);
    writer->indexes = indexes;
    writer->links_by_arg = libvirt_has_way_back(writer->plan);
    writer->domain = xmlNewDocNode(document, NULL, BAD_CAST "domain", NULL);
    xmlDocSetRootElement(document, writer->domain);
    writer->qemu = xmlNewNs(writer->domain, BAD_CAST QEMU_NAMESPACE, BAD_CAST "qemu");
    write_domain(writer);

    g_autoptr(xmlBuffer) buffer = xmlBufferCreate();
    xmlNodeDump(buffer, document, writer->domain, 0, 1);
    g_string_append_len(out, (const char *)xmlBufferContent(buffer),
                        xmlBufferLength(buffer));
    g_string_append_c(out, '\n');
}

void
emit_libvirt(const Plan *plan, GString *out)
{
    emit_libvirt_for(plan, "kvm", out);
}

void
emit_libvirt_for(const Plan *plan, const char *accel, GString *out)
{
    LibvirtWriter writer = {.plan = plan, .accel = accel};
    emit(&writer, out);
}

void
emit_libvirt_domain(const Plan *plan, const EmitDomain *start, GString *out)
{
    LibvirtWriter writer = {.plan = plan, .accel = start->accel, .start = start};
    emit(&writer, out);
}
