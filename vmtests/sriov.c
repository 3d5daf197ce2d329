/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite sriov: virtual functions are where the manifest says, and are made and removed.
 * What passes through them: sriov-traffic.c.
 */
#include "sriov-suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- what the manifest says
 * ------------------------------------------------------------------ */

static void
count_is_as_asked(const char *pf)
{
    int found = 0;
    while (found_vf(pf, found))
        found++;
    if (number_of(pf, "sriov_numvfs") != asked_vfs(pf) || found != asked_vfs(pf))
        differs_msg("%s has %ld virtual functions and shows %d, asked were %d", pf,
                    number_of(pf, "sriov_numvfs"), found, asked_vfs(pf));
}

void
functions_are_as_many_as_asked(void **state)
{
    for_each_pf(count_is_as_asked);
}

/* By the standard: the physical function's number on its bus, the first offset, and a
 * stride for each further one. */
static void
addresses_are_as_foretold(const char *pf)
{
    unsigned domain, bus, slot, function;
    long offset = number_of(pf, "sriov_offset"), stride = number_of(pf, "sriov_stride");
    if (sscanf(pf, "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4 || offset < 0 ||
        stride < 0)
        fail_msg("%s does not say where its virtual functions are", pf);
    if (suite_has_fault("functions_are_at_their_addresses"))
        offset += stride;
    for (int i = 0; found_vf(pf, i); i++) {
        long number = (long)(bus << 8 | slot << 3 | function) + offset + i * stride;
        char address[32];
        snprintf(address, sizeof address, "%04x:%02lx:%02lx.%lx", domain, number >> 8,
                 number >> 3 & 0x1f, number & 7);
        if (strcmp(found_vf(pf, i), address) != 0)
            fail_msg("virtual function %d of %s is at %s, by offset and stride at %s", i,
                     pf, found_vf(pf, i), address);
        const char *physical = suite_link(DEVICES "/%s/physfn", address);
        if (!physical || strcmp(physical, pf) != 0)
            fail_msg("%s is of %s, not of %s", address, physical ? physical : "none", pf);
        if (asked_vf(pf, i) && strcmp(asked_vf(pf, i), address) != 0)
            differs_msg("virtual function %d of %s is at %s, asked was %s", i, pf,
                        address, asked_vf(pf, i));
    }
}

void
functions_are_at_their_addresses(void **state)
{
    for_each_pf(addresses_are_as_foretold);
}

/* Functions that a case has looked at. That one is not there is another's to tell. */
static int looked_at;

static bool
is_there(const char *vf)
{
    return access(suite_path(DEVICES "/%s", vf), F_OK) == 0;
}

static void
nodes_are_as_asked(const char *pf)
{
    for (int i = 0; asked_vf(pf, i); i++) {
        const char *vf = asked_vf(pf, i);
        if (!is_there(vf))
            continue;
        const char *node = suite_read(DEVICES "/%s/numa_node", vf);
        if (!node)
            fail_msg("the node of %s cannot be read", vf);
        if (strcmp(node, suite_asked(vf, "node")) != 0)
            differs_msg("%s is on node %s, asked was %s", vf, node,
                        suite_asked(vf, "node"));
        looked_at++;
    }
}

void
functions_are_on_their_node(void **state)
{
    looked_at = 0;
    for_each_pf(nodes_are_as_asked);
    skip_unless_tried(looked_at, "virtual function that was asked for");
}

/* The fact of the group that has ADDRESS in it, or NULL. */
static const Fact *
asked_group(const char *address)
{
    for (const Fact *fact = suite_facts(); fact->count > 0; fact++)
        for (int i = 1; fact_is(fact, "group") && i < fact->count; i++)
            if (strcmp(fact->word[i], address) == 0)
                return fact;
    return NULL;
}

static void
group_is_as_asked(const char *vf, const Fact *group)
{
    for (int i = 1; i < group->count; i++)
        if (access(suite_path(DEVICES "/%s/iommu_group/devices/%s", vf, group->word[i]),
                   F_OK) != 0)
            differs_msg("%s is not in the group of %s", group->word[i], vf);
    if (group_size(vf) != group->count - 1)
        differs_msg("the group of %s has %d members, asked were %d", vf, group_size(vf),
                    group->count - 1);
}

static void
groups_are_as_asked(const char *pf)
{
    for (int i = 0; asked_vf(pf, i); i++) {
        const char *vf = asked_vf(pf, i);
        const Fact *group = asked_group(vf);
        if (!group || !is_there(vf))
            continue;
        if (!suite_link(DEVICES "/%s/iommu_group", vf))
            differs_msg("%s is in no IOMMU group", vf);
        group_is_as_asked(vf, group);
        looked_at++;
    }
}

void
functions_are_in_their_groups(void **state)
{
    looked_at = 0;
    for_each_pf(groups_are_as_asked);
    skip_unless_tried(looked_at, "virtual function that was asked for in a group");
}

/* ---- made and removed
 * -------------------------------------------------------------------------- */

static int
ask_for(const char *pf, long count)
{
    char text[32];
    snprintf(text, sizeof text, "%ld", count);
    return suite_write(text, DEVICES "/%s/sriov_numvfs", pf);
}

static void
make_again(long pf)
{
    const char *address = (const char *)(intptr_t)pf;
    if (number_of(address, "sriov_numvfs") == asked_vfs(address))
        return;
    ask_for(address, 0);
    ask_for(address, asked_vfs(address));
}

static void
too_many_are_refused(const char *pf)
{
    long total = number_of(pf, "sriov_totalvfs"), present = number_of(pf, "sriov_numvfs");
    bool faulty = suite_has_fault("impossible_numbers_are_refused");
    suite_at_end(make_again, (long)(intptr_t)pf);
    if (ask_for(pf, faulty ? present : total + 1) == 0)
        fail_msg("%s makes %ld virtual functions, and can have %ld", pf, total + 1,
                 total);
    if (errno != ERANGE)
        fail_msg("%s refuses %ld virtual functions, but so: %s", pf, total + 1,
                 strerror(errno));
    if (ask_for(pf, present + 1 > total ? present - 1 : present + 1) == 0)
        fail_msg("%s makes another number of virtual functions while there are %ld", pf,
                 present);
    if (errno != EBUSY && errno != ERANGE)
        fail_msg("%s refuses another number of virtual functions, but so: %s", pf,
                 strerror(errno));
    if (number_of(pf, "sriov_numvfs") != present)
        fail_msg("%s has %ld virtual functions after refusals, before were %ld", pf,
                 number_of(pf, "sriov_numvfs"), present);
}

void
impossible_numbers_are_refused(void **state)
{
    suite_needs_live();
    for_each_pf(too_many_are_refused);
}

static void
expect_none(const char *pf)
{
    if (found_vf(pf, 0))
        fail_msg("%s still shows %s, and was to have none", pf, found_vf(pf, 0));
    for (int i = 0; asked_vf(pf, i); i++)
        if (access(suite_path(DEVICES "/%s", asked_vf(pf, i)), F_OK) == 0)
            fail_msg("%s is still there, and %s was to have none", asked_vf(pf, i), pf);
}

static void
functions_go_and_come(const char *pf)
{
    NetInterface interface;
    long count = asked_vfs(pf);
    suite_at_end(make_again, (long)(intptr_t)pf);
    if (ask_for(pf, 0) != 0)
        fail_msg("%s does not remove its virtual functions: %s", pf, strerror(errno));
    expect_none(pf);
    if (suite_has_fault("functions_go_and_come_back"))
        count--;
    if (ask_for(pf, count) != 0)
        fail_msg("%s does not make %ld virtual functions: %s", pf, count,
                 strerror(errno));
    for (int i = 0; asked_vf(pf, i); i++) {
        if (!found_vf(pf, i) || strcmp(found_vf(pf, i), asked_vf(pf, i)) != 0)
            fail_msg("virtual function %d of %s came back %s%s, asked was %s", i, pf,
                     found_vf(pf, i) ? "at " : "not", found_vf(pf, i) ?: "",
                     asked_vf(pf, i));
        wait_for_interface(asked_vf(pf, i), &interface);
    }
}

void
functions_go_and_come_back(void **state)
{
    suite_needs_live();
    for_each_pf(functions_go_and_come);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {SRIOV_CASES(SUITE_CASE)};
    return suite_run("sriov", tests);
}
