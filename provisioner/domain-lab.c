/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain-lab.h"

#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <string.h>

#include "autoptr.h"
#include "emit.h"
#include "error.h"
#include "json-line.h"
#include "servant.h"

#define PROGRAM "hostbed-domain"
#define SOURCE_PATH                                                                      \
    "/domain/metadata/hostbed:host/hostbed:source[@encoding='base64']/text()"

/* NULL: there is none. */
static char *
find_text(const char *xml)
{
    g_autoptr(xmlDoc) document =
        xmlReadMemory(xml, (int)strlen(xml), NULL, NULL,
                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    g_autoptr(xmlXPathContext) context = document ? xmlXPathNewContext(document) : NULL;
    if (!context)
        return NULL;
    xmlXPathRegisterNs(context, BAD_CAST "hostbed", BAD_CAST EMIT_HOST_NAMESPACE);
    g_autoptr(xmlXPathObject) found =
        xmlXPathEvalExpression(BAD_CAST SOURCE_PATH, context);
    if (!found || !found->nodesetval || found->nodesetval->nodeNr != 1)
        return NULL;
    g_autoptr(xmlChar) text = xmlXPathCastToString(found);
    return g_strdup((const char *)text);
}

GBytes *
domain_lab_source(const char *xml, const char *name, GError **error)
{
    g_autofree char *text = find_text(xml);
    gsize length = 0;
    g_autofree guchar *bytes = text ? g_base64_decode(text, &length) : NULL;
    if (bytes && length > 0)
        return g_bytes_new_take(g_steal_pointer(&bytes), length);
    g_set_error(error, HB_ERROR, HB_USAGE,
                "domain %s has no lab in its metadata: it was not started by hostbed "
                "(--connect)",
                name);
    return NULL;
}

GBytes *
domain_lab_ask(const char *uri, const char *name, GError **error)
{
    JsonObject *order = json_object_new();
    json_object_set_string_member(order, "connect", uri);
    json_object_set_string_member(order, "domain", name);
    g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), order);
    json_object_unref(order);
    g_autoptr(JsonObject) answer =
        servant_ask(PROGRAM, node, NULL, NULL, g_cancellable_get_current(), error);
    if (!answer)
        return NULL;
    const char *xml = json_line_string(answer, "xml");
    return domain_lab_source(xml ? xml : "", name, error);
}
