/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite iommu: DMA remapping is on, by the sign that means it, and every function is in
 * the group that it was planned for.
 */
#include "cases.h"
#include "suite.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROUPS "/sys/kernel/iommu_groups"
#define DEVICES "/sys/bus/pci/devices"

static const char *
model(void)
{
    const Fact *fact = suite_fact("iommu model");
    if (!fact) {
        print_message("the lab asks for no IOMMU\n");
        skip();
    }
    return fact->word[2];
}

/* "IOMMU enabled" only repeats the command line; these lines come from a unit that
 * translates. */
static void
remapping_is_active(void **state)
{
    static const struct {
        const char *model, *line, *newer; /* newer: what Linux 6.12 says instead */
    } signs[] = {
        {"intel", "DMAR: Intel(R) Virtualization Technology for Directed I/O", NULL},
        {"amd", "AMD-Vi: Found IOMMU", "AMD-Vi: Extended features"},
        {"virtio", ": input address: ", NULL}, /* "probe failed" has the driver's name */
    };
    const char *asked = model();
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
        if (strcmp(signs[i].model, asked) == 0) {
            if (!suite_log_has(signs[i].line) &&
                (!signs[i].newer || !suite_log_has(signs[i].newer)))
                fail_msg("the kernel's log has no line with: %s", signs[i].line);
            return;
        }
    fail_msg("no sign is known for the model %s", asked);
}

static void
interrupts_are_remapped_as_asked(void **state)
{
    if (strcmp(model(), "intel") != 0) {
        print_message("only the Intel IOMMU says so in the log\n");
        skip();
    }
    bool found = suite_log_has("DMAR-IR: Enabled IRQ remapping");
    bool asked = suite_fact("iommu intremap") != NULL;
    if (found != asked)
        differs_msg("interrupt remapping is %s, asked was %s", found ? "on" : "off",
                    asked ? "on" : "off");
}

static bool
reads(const char *address, const char *attribute, const char *beginning)
{
    const char *value = suite_read(DEVICES "/%s/%s", address, attribute);
    return value && strncmp(value, beginning, strlen(beginning)) == 0;
}

/* The units of AMD's and virtio's kind are functions themselves, and translate for others
 * only. */
static bool
is_an_iommu(const char *address)
{
    return reads(address, "class", "0x0806") ||
           (reads(address, "vendor", "0x1af4") && reads(address, "device", "0x1057"));
}

/* The virtio IOMMU may leave a function alone that no driver takes. */
static bool
may_have_no_group(const char *address)
{
    return is_an_iommu(address) ||
           (strcmp(model(), "virtio") == 0 && !suite_link(DEVICES "/%s/driver", address));
}

static void
function_has_a_group(const char *address, void *data)
{
    if (may_have_no_group(address))
        return;
    if (!suite_link(DEVICES "/%s/iommu_group", address))
        fail_msg("%s is in no IOMMU group", address);
    ++*(int *)data;
}

static void
every_function_is_in_a_group(void **state)
{
    model();
    int seen = 0;
    suite_list(function_has_a_group, &seen, DEVICES);
    if (seen == 0)
        fail_msg("the host has no PCI function that could be in a group");
}

static void
count_one(const char *name, void *data)
{
    ++*(int *)data;
}

/* The members of the group of a fact's first function are exactly the fact's. */
static void
group_is_as_asked(const Fact *fact)
{
    const char *link = suite_link(DEVICES "/%s/iommu_group", fact->word[1]);
    if (!link)
        fail_msg("%s is in no IOMMU group", fact->word[1]);
    for (int i = 1; i < fact->count; i++)
        if (access(suite_path(GROUPS "/%s/devices/%s", link, fact->word[i]), F_OK) != 0)
            differs_msg("%s is not in the group of %s", fact->word[i], fact->word[1]);
    int members = 0;
    suite_list(count_one, &members, GROUPS "/%s/devices", link);
    if (members != fact->count - 1)
        differs_msg("the group of %s has %d members, asked were %d", fact->word[1],
                    members, fact->count - 1);
}

static void
groups_have_their_members(void **state)
{
    model();
    int asked = 0, found = 0;
    for (const Fact *fact = suite_facts(); fact->count > 0; fact++)
        if (fact_is(fact, "group")) {
            group_is_as_asked(fact);
            asked++;
        }
    suite_list(count_one, &found, GROUPS);
    if (asked == 0)
        fail_msg("the manifest has an IOMMU and no group");
    if (found < asked || (found > asked && strcmp(model(), "virtio") != 0))
        differs_msg("the host has %d IOMMU groups, asked were %d", found, asked);
}

/* ---- domains
 * ------------------------------------------------------------------------------- */

static bool
command_line_has(const char *word)
{
    const char *line = suite_read("/proc/cmdline");
    for (const char *at = line; at && (at = strstr(at, word)); at++)
        if ((at == line || at[-1] == ' ') && strchr(" \n", at[strlen(word)]))
            return true;
    return false;
}

static bool
asks_for_pass_through(void)
{
    return command_line_has("iommu=pt") || command_line_has("iommu.passthrough=1");
}

static void
group_translates(const char *group, void *data)
{
    const char *type = suite_read(GROUPS "/%s/type", group);
    if (type && strncmp(type, "DMA", 3) != 0 && strcmp(type, "identity") != 0)
        fail_msg("group %s has the domain type %s", group, type);
    *(int *)data += type && strncmp(type, "DMA", 3) == 0;
}

static void
groups_are_translated(void **state)
{
    model();
    if (asks_for_pass_through()) {
        print_message("the kernel's command line asks for no translation\n");
        skip();
    }
    int translated = 0;
    suite_list(group_translates, &translated, GROUPS);
    if (translated == 0)
        fail_msg("no IOMMU group has a domain of a DMA type, so nothing is translated");
}

/* What the command line asks the kernel to give each group (Linux, kernel-parameters,
 * iommu.passthrough and iommu.strict), or NULL. A unit in caching mode has the kernel
 * invalidate at once, whatever was asked. */
static const char *
domain_asked(void)
{
    if (asks_for_pass_through())
        return "identity";
    if (command_line_has("iommu.strict=1"))
        return "DMA";
    if (command_line_has("iommu.strict=0"))
        return suite_fact("iommu caching-mode") ? "DMA" : "DMA-FQ";
    return NULL;
}

static void
group_is_of_the_kind(const char *group, void *data)
{
    const char *type = suite_read(GROUPS "/%s/type", group);
    if (!type || strcmp(type, data) != 0)
        fail_msg("group %s has the domain type %s, asked was %s", group,
                 type ? type : "(none)", (const char *)data);
}

static void
domains_are_of_the_kind_asked_for(void **state)
{
    const char *asked = strcmp(model(), "virtio") != 0 ? domain_asked() : NULL;
    if (!asked) {
        print_message("the kernel's command line asks for no kind of domain\n");
        skip();
    }
    if (suite_list(group_is_of_the_kind, (void *)asked, GROUPS) <= 0)
        fail_msg("the host has no IOMMU group");
}

/* Without this window a device's interrupts would be remapped as memory. */
static void
group_reserves_interrupts(const char *group, void *data)
{
    const char *regions = suite_read(GROUPS "/%s/reserved_regions", group);
    if (!regions)
        fail_msg("the reserved regions of group %s cannot be read", group);
    if (!strstr(regions, "0x00000000fee00000"))
        fail_msg("group %s does not reserve the interrupt window at fee00000", group);
}

static void
the_interrupt_window_is_reserved(void **state)
{
    model();
    if (suite_list(group_reserves_interrupts, NULL, GROUPS) <= 0)
        fail_msg("the host has no IOMMU group");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {IOMMU_CASES(SUITE_CASE)};
    return suite_run("iommu", tests);
}
