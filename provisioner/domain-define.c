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

gboolean
domain_is_kept(virDomainPtr domain)
{
    return virDomainIsPersistent(domain) == 1 && virDomainIsActive(domain) == 0 &&
           is_ours(domain);
}

/* The UUID of the definition that an earlier start left under NAME, by which libvirt
 * takes both for the same domain. FALSE: there is none, or whatever else has the name is
 * in the way, and libvirt says so. */
static gboolean
find_own(virConnectPtr connection, const char *name, char *uuid)
{
    virDomainPtr there = virDomainLookupByName(connection, name);
    gboolean is_own =
        there && domain_is_kept(there) && virDomainGetUUIDString(there, uuid) == 0;
    if (there)
        virDomainFree(there);
    return is_own;
}

virDomainPtr
domain_start(virConnectPtr connection, const char *xml, gboolean persistent,
             unsigned int flags)
{
    char uuid[VIR_UUID_STRING_BUFLEN];
    g_autoptr(DomainNeeds) needs = domain_needs_new(xml, NULL);
    if (!needs || !needs->name)
        return NULL;
    gboolean adopts =
        (persistent || !needs->firmware) && find_own(connection, needs->name, uuid);
    g_autofree char *own = adopts ? domain_place_uuid(xml, uuid) : g_strdup(xml);
    /* libvirt would take what was written by the firmware of a host that is gone. */
    if (needs->firmware && !adopts)
        flags |= VIR_DOMAIN_START_RESET_NVRAM;
    return virDomainCreateXML(connection, own, flags);
}

gboolean
domain_keep(virDomainPtr domain, const char *xml)
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

void
domain_forget_nvram(virDomainPtr domain)
{
    char *xml = virDomainGetXMLDesc(domain, 0);
    g_autoptr(DomainNeeds) needs = xml ? domain_needs_new(xml, NULL) : NULL;
    if (needs && needs->nvram)
        unlink(needs->nvram);
    free(xml);
}
