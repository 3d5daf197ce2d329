/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite pci: every function that was planned is there, where it was planned, near to the
 * CPUs and the node it was planned for, driven by its driver; and no other.
 */
#include "cases.h"
#include "suite.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEVICES "/sys/bus/pci/devices"

typedef void (*Look)(const char *address, const Fact *fact);

static bool
is_present(const char *address)
{
    return access(suite_path(DEVICES "/%s/vendor", address), R_OK) == 0;
}

/* Calls EACH for every fact "pci ADDRESS KIND …"; fails if there is none. */
static void
for_each_asked(const char *kind, Look each)
{
    int seen = 0;
    for (const Fact *fact = suite_facts(); fact->count > 0; fact++)
        if (fact->count >= 4 && fact_is(fact, "pci") &&
            strcmp(fact->word[2], kind) == 0) {
            each(fact->word[1], fact);
            seen++;
        }
    if (seen == 0)
        fail_msg("the manifest says of no function what its %s is", kind);
}

/* The same of those that are there: that one is not is one case's to tell, but if none
 * is, nothing was looked at. */
static Look look_at_present;
static int looked_at;

static void
look_if_present(const char *address, const Fact *fact)
{
    if (!is_present(address))
        return;
    look_at_present(address, fact);
    looked_at++;
}

static void
for_each_fact(const char *kind, Look each)
{
    look_at_present = each;
    looked_at = 0;
    for_each_asked(kind, look_if_present);
    if (looked_at == 0)
        fail_msg("none of the functions is there of which the manifest has the %s", kind);
}

static void
is_there(const char *address, const Fact *fact)
{
    if (!is_present(address))
        differs_msg("%s is not there", address);
}

static void
every_function_is_there(void **state)
{
    for_each_asked("id", is_there);
}

static void
was_asked_for(const char *address, void *data)
{
    if (!suite_fact("pci %s id", address))
        differs_msg("%s is there and nobody asked for it", address);
}

static void
no_other_function_is_there(void **state)
{
    if (suite_list(was_asked_for, NULL, DEVICES) <= 0)
        fail_msg("the host has no PCI function");
}

static long
hex(const char *address, const char *attribute)
{
    const char *text = suite_read(DEVICES "/%s/%s", address, attribute);
    return text ? strtol(text, NULL, 16) : -1;
}

static void
has_id(const char *address, const Fact *fact)
{
    char found[32];
    snprintf(found, sizeof found, "%04lx:%04lx", hex(address, "vendor"),
             hex(address, "device"));
    if (strcmp(found, fact->word[3]) != 0)
        differs_msg("%s is %s, asked was %s", address, found, fact->word[3]);
}

static void
functions_are_of_their_kind(void **state)
{
    for_each_fact("id", has_id);
}

/* The kernel's own hierarchy: the link of a function leads through its parent. */
static void
is_below(const char *address, const Fact *fact)
{
    char target[1024];
    ssize_t length =
        readlink(suite_path(DEVICES "/%s", address), target, sizeof target - 1);
    if (length <= 0)
        differs_msg("%s is not there", address);
    target[length] = '\0';
    char *slash = strrchr(target, '/');
    if (!slash)
        fail_msg("the link of %s leads to %s, which is no path", address, target);
    *slash = '\0';
    slash = strrchr(target, '/');
    const char *parent = slash ? slash + 1 : target;
    if (strncmp(parent, "pci", 3) == 0)
        parent = "root";
    if (strcmp(parent, fact->word[3]) != 0)
        differs_msg("%s is below %s, asked was %s", address, parent, fact->word[3]);
}

static void
functions_are_below_their_port(void **state)
{
    for_each_fact("parent", is_below);
}

static void
is_on_node(const char *address, const Fact *fact)
{
    const char *found = suite_read(DEVICES "/%s/numa_node", address);
    if (!found)
        fail_msg("the node of %s cannot be read", address);
    if (strcmp(found, fact->word[3]) != 0)
        differs_msg("%s is on node %s, asked was %s", address, found, fact->word[3]);
}

static void
functions_are_on_their_node(void **state)
{
    for_each_fact("node", is_on_node);
}

static void
has_local_cpus(const char *address, const Fact *fact)
{
    const char *found = suite_read(DEVICES "/%s/local_cpulist", address);
    if (!found)
        fail_msg("the CPUs near to %s cannot be read", address);
    if (strcmp(*found ? found : "none", fact->word[3]) != 0)
        differs_msg("CPUs %s are near to %s, asked were %s", found, address,
                    fact->word[3]);
}

static void
functions_are_near_to_their_cpus(void **state)
{
    for_each_fact("local-cpus", has_local_cpus);
}

static void
has_driver(const char *address, const Fact *fact)
{
    const char *asked = suite_fact("pci %s driver", address)
                            ? suite_fact("pci %s driver", address)->word[3]
                            : NULL;
    const char *found = suite_link(DEVICES "/%s/driver", address);
    if (!asked && found && !getenv("HOSTBED_SYSTEM"))
        differs_msg("%s is driven by %s, asked was none", address, found);
    if (asked && (!found || strcmp(asked, found) != 0))
        differs_msg("%s is driven by %s, asked was %s", address, found ? found : "none",
                    asked);
}

static void
functions_have_their_driver(void **state)
{
    for_each_fact("id", has_driver);
}

static int links;

/* A function on a link has both ends at a speed and a width within what they can do.
 * Integrated ones have none, and the kernel then shows no speed or an unknown one. */
static void
has_sound_link(const char *address, const Fact *fact)
{
    const char *width = suite_read(DEVICES "/%s/current_link_width", address);
    const char *most = suite_read(DEVICES "/%s/max_link_width", address);
    const char *speed = suite_read(DEVICES "/%s/current_link_speed", address);
    if (!width || !most || !speed || strcmp(fact->word[3], "root") == 0)
        return;
    links++;
    /* The emulator's xio3130 tells no width that it can do: 0 is not told. */
    bool too_wide = atoi(most) > 0 && atoi(width) > atoi(most);
    if (strncmp(speed, "Unknown", 7) == 0 || atoi(width) < 1 || too_wide)
        fail_msg("the link of %s runs at %s, x%s of x%s", address, speed, width, most);
}

static void
links_are_up(void **state)
{
    links = 0;
    for_each_fact("parent", has_sound_link);
    skip_unless_tried(links, "function on a link");
}

/* What the configuration space itself says, read through the hardware and not from the
 * kernel's memory. */
static void
config_agrees(const char *address, const Fact *fact)
{
    unsigned char bytes[4];
    int fd = open(suite_path(DEVICES "/%s/config", address), O_RDONLY | O_CLOEXEC);
    off_t offset = suite_has_fault("configuration_space_is_readable") ? 4 : 0;
    ssize_t got = fd < 0 ? -1 : pread(fd, bytes, sizeof bytes, offset);
    if (fd >= 0)
        close(fd);
    if (got != 4)
        fail_msg("the configuration space of %s cannot be read", address);
    /* A virtual function says nothing itself, its physical one says it (SR-IOV 1.1,
     * 3.4.1.1). */
    bool is_virtual = suite_link(DEVICES "/%s/physfn", address) != NULL;
    const char *asked = is_virtual ? "ffff:ffff" : fact->word[3];
    char found[32];
    snprintf(found, sizeof found, "%02x%02x:%02x%02x", bytes[1], bytes[0], bytes[3],
             bytes[2]);
    if (strcmp(found, asked) != 0)
        differs_msg("the configuration space of %s says %s, asked was %s", address, found,
                    asked);
}

static void
configuration_space_is_readable(void **state)
{
    suite_needs_live();
    for_each_fact("id", config_agrees);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {PCI_CASES(SUITE_CASE)};
    return suite_run("pci", tests);
}
