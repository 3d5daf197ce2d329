/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain-place.h"

#include <libxml/xpath.h>
#include <string.h>

#include "autoptr.h"
#include "error.h"

#define OWN_FDS "/proc/self/fd/"
#define BOOTED                                                                           \
    "/domain/os/kernel | /domain/os/initrd | /domain/devices/disk//source/@file"
#define PREFIX "hostbed-"
#define DISK_PREFIX PREFIX "disk-"
#define DIGEST_LENGTH 64
/* A kernel and an initramfs each of that many kinds of hosts, and images, but no more of
 * them than were in use of late. */
#define FILES_MAX 16
#define BYTES_MAX ((guint64)16 << 30)
#define NEW_S 3600.0
#define OLD_S (30 * 86400.0)

gboolean
domain_place_is_own(const char *address)
{
    g_autoptr(GUri) uri = g_uri_parse(address, G_URI_FLAGS_NONE, NULL);
    if (!uri || !g_str_equal(g_uri_get_path(uri), "/session"))
        return FALSE;
    const char *scheme = g_uri_get_scheme(uri);
    const char *host = g_uri_get_host(uri);
    const char *query = g_uri_get_query(uri);
    /* A socket elsewhere can lead anywhere. */
    return (g_str_equal(scheme, "qemu") || g_str_equal(scheme, "qemu+unix")) &&
           (!host || !*host) && !(query && strstr(query, "socket="));
}

static xmlDoc *
parse(const char *xml, GError **error)
{
    xmlDoc *document =
        xmlReadMemory(xml, (int)strlen(xml), NULL, NULL,
                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (!document)
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "the domain is no XML");
    return document;
}

static char *
text_at(xmlDoc *document, const char *path)
{
    g_autoptr(xmlXPathContext) context = xmlXPathNewContext(document);
    g_autoptr(xmlXPathObject) found =
        context ? xmlXPathEvalExpression(BAD_CAST path, context) : NULL;
    if (!found || !found->nodesetval || found->nodesetval->nodeNr < 1)
        return NULL;
    g_autoptr(xmlChar) text = xmlNodeGetContent(found->nodesetval->nodeTab[0]);
    return g_strdup((const char *)text);
}

static char *
text_of(xmlDoc *document)
{
    g_autoptr(xmlBuffer) buffer = xmlBufferCreate();
    xmlNodeDump(buffer, document, xmlDocGetRootElement(document), 0, 0);
    return g_strndup((const char *)xmlBufferContent(buffer),
                     (gsize)xmlBufferLength(buffer));
}

/* ---- what it boots from */

/* SOURCE, of a disk or of what that is based on. */
static gboolean
is_top(const xmlNode *source)
{
    return xmlStrEqual(source->parent->name, BAD_CAST "disk");
}

static gboolean
place_file(xmlNode *node, DomainPut put, gpointer user_data, GError **error)
{
    g_autoptr(xmlChar) file = xmlNodeGetContent(node);
    gboolean is_written = node->type == XML_ATTRIBUTE_NODE && is_top(node->parent);
    g_autofree char *path = put((const char *)file, is_written, user_data, error);
    if (!path)
        return FALSE;
    if (node->type == XML_ATTRIBUTE_NODE) {
        xmlSetProp(node->parent, node->name, BAD_CAST path);
        return TRUE;
    }
    xmlNodeSetContent(node, BAD_CAST ""); /* which would be taken for markup */
    xmlNodeAddContent(node, BAD_CAST path);
    return TRUE;
}

int
domain_place_fd(const char *file)
{
    guint64 fd;
    return g_str_has_prefix(file, OWN_FDS) &&
                   g_ascii_string_to_unsigned(file + strlen(OWN_FDS), 10, 0, INT_MAX, &fd,
                                              NULL)
               ? (int)fd
               : -1;
}

char *
domain_place_files(const char *xml, DomainPut put, gpointer user_data, GError **error)
{
    g_autoptr(xmlDoc) document = parse(xml, error);
    g_autoptr(xmlXPathContext) context = document ? xmlXPathNewContext(document) : NULL;
    if (!context)
        return NULL;
    g_autoptr(xmlXPathObject) found = xmlXPathEvalExpression(BAD_CAST BOOTED, context);
    for (int i = 0; found && found->nodesetval && i < found->nodesetval->nodeNr; i++)
        if (!place_file(found->nodesetval->nodeTab[i], put, user_data, error))
            return NULL;
    return text_of(document);
}

/* ---- what it is there
 */

char *
domain_place_uuid(const char *xml, const char *uuid)
{
    g_autoptr(xmlDoc) document = parse(xml, NULL);
    if (!document)
        return g_strdup(xml);
    xmlNewTextChild(xmlDocGetRootElement(document), NULL, BAD_CAST "uuid", BAD_CAST uuid);
    return text_of(document);
}

/* ---- what it needs */

DomainNeeds *
domain_needs_new(const char *xml, GError **error)
{
    g_autoptr(xmlDoc) document = parse(xml, error);
    if (!document)
        return NULL;
    DomainNeeds *needs = g_new0(DomainNeeds, 1);
    needs->name = text_at(document, "/domain/name");
    needs->type = text_at(document, "/domain/@type");
    needs->emulator = text_at(document, "/domain/devices/emulator");
    needs->machine = text_at(document, "/domain/os/type/@machine");
    needs->firmware = text_at(document, "/domain/os/@firmware");
    needs->nvram = text_at(document, "/domain/os/nvram");
    return needs;
}

void
domain_needs_free(DomainNeeds *needs)
{
    if (!needs)
        return;
    g_free(needs->name);
    g_free(needs->firmware);
    g_free(needs->nvram);
    g_free(needs->type);
    g_free(needs->emulator);
    g_free(needs->machine);
    g_free(needs);
}

/* ---- files that are kept there */

void
domain_file_free(DomainFile *file)
{
    g_free(file->name);
    g_free(file);
}

char *
domain_file_name(const char *digest)
{
    return g_strconcat(PREFIX, digest, NULL);
}

char *
domain_file_disk_name(const char *uuid)
{
    return g_strconcat(DISK_PREFIX, uuid, NULL);
}

static gboolean
is_disk(const char *name)
{
    return g_str_has_prefix(name, DISK_PREFIX) &&
           g_uuid_string_is_valid(name + strlen(DISK_PREFIX));
}

static gboolean
is_ours(const char *name)
{
    if (!g_str_has_prefix(name, PREFIX))
        return FALSE;
    const char *digest = name + strlen(PREFIX);
    return strlen(digest) == DIGEST_LENGTH &&
           strspn(digest, "0123456789abcdef") == DIGEST_LENGTH;
}

static xmlDoc *
new_document(const char *root, const char *name)
{
    xmlDoc *document = xmlNewDoc(BAD_CAST "1.0");
    xmlDocSetRootElement(document, xmlNewNode(NULL, BAD_CAST root));
    xmlNewTextChild(xmlDocGetRootElement(document), NULL, BAD_CAST "name", BAD_CAST name);
    return document;
}

char *
domain_volume_xml(const char *name, gsize bytes)
{
    g_autoptr(xmlDoc) document = new_document("volume", name);
    xmlNode *volume = xmlDocGetRootElement(document);
    g_autofree char *length = g_strdup_printf("%" G_GSIZE_FORMAT, bytes);
    xmlNode *capacity =
        xmlNewTextChild(volume, NULL, BAD_CAST "capacity", BAD_CAST length);
    xmlNewProp(capacity, BAD_CAST "unit", BAD_CAST "bytes");
    xmlNewTextChild(volume, NULL, BAD_CAST "allocation", BAD_CAST "0");
    xmlNode *target = xmlNewChild(volume, NULL, BAD_CAST "target", NULL);
    xmlNode *format = xmlNewChild(target, NULL, BAD_CAST "format", NULL);
    xmlNewProp(format, BAD_CAST "type", BAD_CAST "raw");
    return text_of(document);
}

char *
domain_pool_xml(const char *name, const char *folder)
{
    g_autoptr(xmlDoc) document = new_document("pool", name);
    xmlNode *pool = xmlDocGetRootElement(document);
    xmlNewProp(pool, BAD_CAST "type", BAD_CAST "dir");
    xmlNode *target = xmlNewChild(pool, NULL, BAD_CAST "target", NULL);
    xmlNewTextChild(target, NULL, BAD_CAST "path", BAD_CAST folder);
    xmlNode *permissions = xmlNewChild(target, NULL, BAD_CAST "permissions", NULL);
    xmlNewTextChild(permissions, NULL, BAD_CAST "mode", BAD_CAST "0711");
    return text_of(document);
}

gboolean
domain_pool_has_files(const char *xml)
{
    static const char *const kinds[] = {"dir", "fs", "netfs", NULL};
    g_autoptr(xmlDoc) document = parse(xml, NULL);
    g_autofree char *kind = document ? text_at(document, "/pool/@type") : NULL;
    return kind && g_strv_contains(kinds, kind);
}

DomainFile *
domain_file_of_volume(const char *xml)
{
    g_autoptr(xmlDoc) document = parse(xml, NULL);
    if (!document)
        return NULL;
    g_autofree char *name = text_at(document, "/volume/name");
    g_autofree char *used = text_at(document, "/volume/target/timestamps/mtime");
    g_autofree char *bytes = text_at(document, "/volume/allocation[@unit='bytes']");
    if (!name || !used || !(is_ours(name) || is_disk(name)))
        return NULL;
    DomainFile *file = g_new0(DomainFile, 1);
    file->is_disk = is_disk(name);
    file->bytes = bytes ? g_ascii_strtoull(bytes, NULL, 10) : 0;
    file->name = g_steal_pointer(&name);
    file->used_s = g_ascii_strtod(used, NULL);
    return file;
}

static int
newest_first(gconstpointer a, gconstpointer b)
{
    const DomainFile *one = *(const DomainFile *const *)a;
    const DomainFile *other = *(const DomainFile *const *)b;
    return (other->used_s > one->used_s) - (other->used_s < one->used_s);
}

/* Whether FILE, used AGE_S before the last, goes, where COUNT files of BYTES stay that
 * were used later. */
static gboolean
is_to_go(const DomainFile *file, double age_s, guint count, guint64 bytes)
{
    if (age_s <= NEW_S)
        return FALSE;
    return file->is_disk || age_s > OLD_S || count >= FILES_MAX ||
           bytes + file->bytes > BYTES_MAX;
}

guint
domain_files_to_keep(GPtrArray *files)
{
    g_autoptr(GPtrArray) going = g_ptr_array_new();
    guint count = 0;
    guint64 bytes = 0;
    g_ptr_array_sort(files, newest_first);
    const DomainFile *newest = files->len > 0 ? files->pdata[0] : NULL;
    for (guint i = 0; i < files->len; i++) {
        DomainFile *file = files->pdata[i];
        if (is_to_go(file, newest->used_s - file->used_s, count, bytes)) {
            g_ptr_array_add(going, file);
            continue;
        }
        bytes += file->bytes;
        files->pdata[count++] = file;
    }
    for (guint i = 0; i < going->len; i++)
        files->pdata[count + i] = going->pdata[i];
    return count;
}
