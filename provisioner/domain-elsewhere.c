/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain-elsewhere.h"

#include <libvirt/virterror.h>
#include <stdlib.h>

#include "domain-place.h"
#include "error.h"

/* The host was planned with what is known of this machine's emulator. */
static gboolean
check_emulator(virConnectPtr connection, const char *xml, GError **error)
{
    g_autoptr(DomainNeeds) needs = domain_needs_new(xml, error);
    if (!needs)
        return FALSE;
    char *there = virConnectGetDomainCapabilities(connection, needs->emulator, "x86_64",
                                                  needs->machine, needs->type, 0);
    gboolean can = there != NULL;
    free(there);
    if (!can)
        g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                    "no emulator %s there makes a %s (%s); --emulator names one "
                    "that both machines have",
                    needs->emulator, needs->machine, virGetLastErrorMessage());
    return can;
}

static char *
put(const char *file, gboolean is_written, gpointer store, GError **error)
{
    return is_written ? domain_store_put_disk(store, file, error)
                      : domain_store_put(store, file, error);
}

char *
domain_elsewhere(virConnectPtr connection, const char *xml, DomainStore **used,
                 GError **error)
{
    if (!check_emulator(connection, xml, error))
        return NULL;
    g_autoptr(DomainStore) store = domain_store_open(connection, error);
    g_autofree char *placed = store ? domain_place_files(xml, put, store, error) : NULL;
    if (!placed)
        return NULL;
    domain_store_tidy(store);
    *used = g_steal_pointer(&store);
    return g_steal_pointer(&placed);
}
