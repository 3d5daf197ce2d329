/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sriov-suite.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRIVER_MS 20000

/* ---- the manifest's
 * -------------------------------------------------------------------------- */

static bool
is_vf(const Fact *fact)
{
    return fact->count == 4 && fact_is(fact, "pci") && strcmp(fact->word[2], "id") == 0 &&
           strcmp(fact->word[3], VF_ID) == 0;
}

/* Both are behind one port. */
const char *
asked_vf(const char *pf, int number)
{
    for (const Fact *fact = suite_facts(); fact->count > 0; fact++)
        if (is_vf(fact) &&
            strcmp(suite_asked(fact->word[1], "parent"), suite_asked(pf, "parent")) ==
                0 &&
            number-- == 0)
            return fact->word[1];
    return NULL;
}

int
asked_vfs(const char *pf)
{
    int count = 0;
    while (asked_vf(pf, count))
        count++;
    return count;
}

void
for_each_pf(void (*each)(const char *pf))
{
    int seen = 0;
    for (const Fact *fact = suite_facts(); fact->count > 0; fact++)
        if (fact->count == 4 && fact_is(fact, "pci") &&
            strcmp(fact->word[2], "id") == 0 && !is_vf(fact) &&
            strcmp(suite_asked(fact->word[1], "class"), "020000") == 0 &&
            asked_vfs(fact->word[1]) > 0) {
            each(fact->word[1]);
            seen++;
        }
    if (seen == 0) {
        print_message("the lab asks for no virtual functions\n");
        skip();
    }
}

/* ---- the host's
 * -------------------------------------------------------------------------- */

long
number_of(const char *address, const char *file)
{
    const char *text = suite_read(DEVICES "/%s/%s", address, file);
    return text ? strtol(text, NULL, 10) : -1;
}

const char *
found_vf(const char *pf, int number)
{
    return suite_link(DEVICES "/%s/virtfn%d", pf, number);
}

static void
count_one(const char *name, void *data)
{
    ++*(int *)data;
}

int
group_size(const char *address)
{
    int size = 0;
    suite_list(count_one, &size, DEVICES "/%s/iommu_group/devices", address);
    return size;
}

void
wait_for_interface(const char *vf, NetInterface *interface)
{
    for (int64_t end = now_ms() + suite_ms(DRIVER_MS); !net_of_function(vf, interface);
         usleep(10000))
        if (now_ms() > end)
            fail_msg("%s has no interface %d s after its driver was to take it", vf,
                     suite_ms(DRIVER_MS) / 1000);
}
