/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain-describe.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdlib.h>

#include "error.h"
#include "json-line.h"

JsonObject *
domain_describe(const ServantSide *side, JsonObject *order, GError **error)
{
    const char *uri = json_line_string(order, "connect");
    const char *name = json_line_string(order, "domain");
    virConnectPtr connection = uri ? virConnectOpenReadOnly(uri) : NULL;
    virDomainPtr domain =
        connection && name ? virDomainLookupByName(connection, name) : NULL;
    char *xml = domain ? virDomainGetXMLDesc(domain, 0) : NULL;
    JsonObject *answer = NULL;
    if (xml) {
        answer = json_object_new();
        json_object_set_string_member(answer, "xml", xml);
    } else if (!connection) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "libvirt at %s cannot be reached: %s", uri, virGetLastErrorMessage());
    } else {
        g_set_error(error, HB_ERROR, HB_USAGE, "libvirt at %s: %s", uri,
                    virGetLastErrorMessage());
    }
    free(xml);
    if (domain)
        virDomainFree(domain);
    if (connection)
        virConnectClose(connection);
    return answer;
}
