/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain-define.h"

#include <libvirt/virterror.h>
#include <stdlib.h>
#include <unistd.h>

#include "domain-place.h"
#include "emit.h"

/* What hostbed writes into each of its domains. */
static gboolean
is_ours(virDomainPtr domain)
{
    char *metadata = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT,
                                          EMIT_HOST_NAMESPACE, VIR_DOMAIN_AFFECT_CONFIG);
    gboolean has_it = metadata != NULL;
    free(metadata);
    return has_it;
}

/* XML with the UUID of the definition that an earlier start left, by which libvirt takes
 * both for the same domain; owned by the caller. Whatever else has the name is in the
 * way, and libvirt says so. */
static char *
adopt(virConnectPtr connection, const char *xml, const char *name)
{
    char uuid[VIR_UUID_STRING_BUFLEN];
    virDomainPtr there = virDomainLookupByName(connection, name);
    gboolean is_defined = there && virDomainIsPersistent(there) == 1 &&
                          virDomainIsActive(there) == 0 && is_ours(there) &&
                          virDomainGetUUIDString(there, uuid) == 0;
    if (there)
        virDomainFree(there);
    return is_defined ? domain_place_uuid(xml, uuid) : g_strdup(xml);
}

/* Who defines what is running makes it stay. */
static gboolean
define(virDomainPtr domain, const char *xml)
{
    char uuid[VIR_UUID_STRING_BUFLEN];
    if (virDomainGetUUIDString(domain, uuid) != 0)
        return FALSE;
    g_autofree char *same = domain_place_uuid(xml, uuid);
    virDomainPtr defined = virDomainDefineXML(virDomainGetConnect(domain), same);
    if (defined)
        virDomainFree(defined);
    return defined != NULL;
}

gboolean
domain_start(virConnectPtr connection, const char *xml, gboolean persistent,
             unsigned int flags, virDomainPtr *domain)
{
    g_autoptr(DomainNeeds) needs = domain_needs_new(xml, NULL);
    if (!needs || !needs->name)
        return FALSE;
    /* libvirt would take what the firmware of a host of this name has written. */
    if (needs->firmware)
        flags |= VIR_DOMAIN_START_RESET_NVRAM;
    g_autofree char *adopted = adopt(connection, xml, needs->name);
    *domain = virDomainCreateXML(connection, adopted, flags);
    return *domain && (!persistent || define(*domain, xml));
}

void
domain_forget_nvram(virDomainPtr domain)
{
    char *xml = virDomainGetXMLDesc(domain, 0);
    g_autoptr(DomainNeeds) needs = xml ? domain_needs_new(xml, NULL) : NULL;
    if (needs && needs->nvram)
        unlink(needs->nvram);
    free(xml);
}
