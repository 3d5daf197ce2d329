/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite libvirt: what the libvirt of the host's distribution says of the host is what was
 * asked for, and a guest that it starts gets a function and gives it back. It is asked as
 * a person asks it: by virsh and virt-host-validate.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cases.h"
#include "command.h"
#include "inner.h"
#include "suite.h"
#include "vfio-device.h"

#define DEVICES "/sys/bus/pci/devices"
#define E1000E_ID "8086:10d3"
#define DRIVER "e1000e"
#define NODE_NAME 40 /* room for libvirt's name of a device */
#define LIST_MAX 1024
#define DEPTH_MAX 32
#define GUEST "hostbed-guest"
/* Where libvirt's own processes may look. */
#define GUEST_FOLDER "/run/hostbed-guest"
#define GUEST_ROM_PATH GUEST_FOLDER "/rom"
#define GUEST_SERIAL GUEST_FOLDER "/serial"

static const char *
virsh(const char *command, const char *word, const char *input)
{
    const char *const argv[] = {"virsh", "--quiet", "--connect", "qemu:///system",
                                command, word,      NULL};
    return command_output(argv, input);
}

static void
needs_libvirt(void)
{
    static const char *const programs[] = {"virsh", "xmllint"};
    suite_needs_live();
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        if (!command_exists(programs[i])) {
            print_message("the host has no %s\n", programs[i]);
            skip();
        }
    }
}

/* "0000:df:00.0" is pci_0000_df_00_0. */
static const char *
node_device(const char *address, char name[NODE_NAME])
{
    snprintf(name, NODE_NAME, "pci_%s", address);
    for (char *at = name; (at = strpbrk(at, ":."));)
        *at = '_';
    return name;
}

/* ---- the tree
 * -------------------------------------------------------------------------------------
 */

typedef struct {
    char name[NODE_NAME], parent[NODE_NAME];
} Branch;

static Branch branches[LIST_MAX];
static int branch_count;

/* "  |   +- pci_0000_b5_00_0": each level is four columns deeper. */
static void
take_line(const char *line, char above[DEPTH_MAX][NODE_NAME])
{
    const char *mark = strstr(line, "+- ");
    if (mark > line + strcspn(line, "\n"))
        mark = NULL;
    size_t depth = mark ? (size_t)(mark - line + 2) / 4 : 0;
    if (!mark || depth == 0 || depth >= DEPTH_MAX || branch_count == LIST_MAX)
        return;
    snprintf(above[depth], NODE_NAME, "%.*s", (int)strcspn(mark + 3, "\n"), mark + 3);
    if (strncmp(above[depth], "pci_", 4) != 0)
        return;
    Branch *branch = &branches[branch_count++];
    snprintf(branch->name, NODE_NAME, "%s", above[depth]);
    snprintf(branch->parent, NODE_NAME, "%s", above[depth - 1]);
}

static void
read_tree(void)
{
    static char above[DEPTH_MAX][NODE_NAME] = {"computer"};
    branch_count = 0;
    for (const char *line = virsh("nodedev-list", "--tree", NULL); line;) {
        take_line(line, above);
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
}

static const Branch *
branch_of(const char *name)
{
    for (int i = 0; i < branch_count; i++)
        if (strcmp(branches[i].name, name) == 0)
            return &branches[i];
    return NULL;
}

static void
hangs_as_asked(const char *address, const char *asked)
{
    char name[NODE_NAME], parent[NODE_NAME] = "computer";
    const Branch *branch = branch_of(node_device(address, name));
    if (strcmp(asked, "root") != 0)
        node_device(asked, parent);
    if (suite_has_fault("devices_hang_as_asked"))
        node_device(address, parent);
    if (!branch)
        differs_msg("libvirt does not know %s", name);
    else if (strcmp(branch->parent, parent) != 0)
        differs_msg("libvirt has %s below %s, asked was %s", name, branch->parent,
                    parent);
}

static void
devices_hang_as_asked(void **state)
{
    int asked = 0;
    needs_libvirt();
    read_tree();
    for (const Fact *fact = suite_facts(); fact->count > 0; fact++)
        if (fact->count == 4 && fact_is(fact, "pci") &&
            strcmp(fact->word[2], "parent") == 0) {
            hangs_as_asked(fact->word[1], fact->word[3]);
            asked++;
        }
    if (branch_count != asked)
        differs_msg("libvirt knows %d PCI functions, asked were %d", branch_count, asked);
}

/* ---- functions
 * --------------------------------------------------------------------------------------
 */

/* Parent, vendor, product, node, driver. */
static void
describes_function(const char *xml, const char *address)
{
    char name[NODE_NAME], asked[200], node[16] = "";
    const char *parent = suite_asked(address, "parent"), *id = suite_asked(address, "id");
    if (strcmp(suite_asked(address, "node"), "-1") != 0)
        snprintf(node, sizeof node, "%s", suite_asked(address, "node"));
    if (suite_has_fault("nics_are_described"))
        snprintf(node, sizeof node, "7");
    snprintf(asked, sizeof asked, "%s 0x%.4s 0x%.4s '%s' %s",
             strcmp(parent, "root") == 0 ? "computer" : node_device(parent, name), id,
             id + 5, node, suite_asked(address, "driver"));
    const char *found = xml_find(xml, "concat(/device/parent, ' ', //vendor/@id, ' ', "
                                      "//product/@id, \" '\", //numa/@node, \"' \", "
                                      "/device/driver/name)");
    if (strncmp(found, asked, strlen(asked)) != 0 || found[strlen(asked)] != '\n')
        differs_msg("libvirt says of %s \"%.*s\", asked was \"%s\" (parent, vendor, "
                    "product, node, driver)",
                    address, (int)strcspn(found, "\n"), found, asked);
}

/* As sets: the order is libvirt's own. */
static void
describes_group(const char *xml, const char *address)
{
    long numbers[4 * 64];
    const Fact *group = suite_group_of(address);
    const int members = xml_numbers(numbers, 4 * 64, xml, "//iommuGroup/address/@*") / 4;
    const int asked = group ? group->count - 1 : 0;
    if (members != asked)
        differs_msg("libvirt's group of %s has %d members, asked were %d", address,
                    members, asked);
    for (int i = 0; i < members; i++) {
        char member[20];
        const long *at = numbers + 4 * i;
        snprintf(member, sizeof member, "%04lx:%02lx:%02lx.%lx", at[0], at[1], at[2],
                 at[3]);
        if (suite_group_of(member) != group)
            differs_msg("libvirt has %s in the group of %s, where nobody asked for it",
                        member, address);
    }
}

/* The speed and width that the link has now, as the kernel says them: "2.5 GT/s PCIe". */
static void
describes_link(const char *xml, const char *address)
{
    char asked[60];
    const char *speed = suite_read(DEVICES "/%s/current_link_speed", address);
    const char *width = suite_read(DEVICES "/%s/current_link_width", address);
    if (!speed || !width)
        return;
    snprintf(asked, sizeof asked, "%g %s", strtod(speed, NULL), width);
    const char *found = xml_find(
        xml,
        "concat(//link[@validity='sta']/@speed, ' ', //link[@validity='sta']/@width)");
    if (strncmp(found, asked, strlen(asked)) != 0)
        fail_msg(
            "libvirt says of the link of %s \"%.*s\", the kernel \"%s\" (speed, width)",
            address, (int)strcspn(found, "\n"), found, asked);
}

static void
nics_are_described(void **state)
{
    char name[NODE_NAME];
    int tried = 0;
    needs_libvirt();
    for (const Fact *fact = suite_facts(); fact->count > 0; fact++) {
        if (fact->count != 4 || !fact_is(fact, "pci") ||
            strcmp(fact->word[2], "mac") != 0)
            continue;
        const char *address = fact->word[1];
        char *xml = strdup(virsh("nodedev-dumpxml", node_device(address, name), NULL));
        describes_function(xml, address);
        describes_group(xml, address);
        describes_link(xml, address);
        free(xml);
        tried++;
    }
    skip_unless_tried(tried, "NIC");
}

/* ---- nodes
 * -----------------------------------------------------------------------------------------
 */

static long
pages_asked(const char *node, const char *size)
{
    const Fact *fact = suite_fact("node %s hugepages %s", node, size);
    return fact ? strtol(fact->word[4], NULL, 10) : 0;
}

/* Memory in KiB and pages. */
static void
has_memory(const char *xml, const char *node)
{
    char asked[100];
    snprintf(asked, sizeof asked, "%lld %ld %ld",
             (long long)node_meminfo_kib(atoi(node), "MemTotal"),
             pages_asked(node, "2048kB"), pages_asked(node, "1048576kB"));
    const char *found =
        xml_find(xml,
                 "concat(//cell[@id=%s]/memory, ' ', number(sum(//cell[@id=%s]/"
                 "pages[@size=2048])), ' ', sum(//cell[@id=%s]/pages[@size=1048576]))",
                 node, node, node);
    if (strncmp(found, asked, strlen(asked)) != 0)
        differs_msg("libvirt says of node %s \"%.*s\", asked was \"%s\" (KiB, pages of 2 "
                    "MiB, of 1 GiB)",
                    node, (int)strcspn(found, "\n"), found, asked);
}

static void
has_cpus(const char *xml, const char *node, const char *list)
{
    long cpus[LIST_MAX];
    int asked = 0;
    const int count =
        xml_numbers(cpus, LIST_MAX, xml, "//cell[@id=%s]/cpus/cpu/@id", node);
    for (int cpu = list_next(list, -1); cpu >= 0; cpu = list_next(list, cpu))
        asked++;
    for (int i = 0; i < count; i++)
        if (!list_has(list, (int)cpus[i]))
            differs_msg("libvirt has CPU %ld on node %s, asked was %s", cpus[i], node,
                        list);
    if (count != asked)
        differs_msg("libvirt has %d CPUs on node %s, asked was %s", count, node, list);
}

static void
has_distances(const char *xml, const char *node)
{
    long pairs[LIST_MAX];
    const int count =
        xml_numbers(pairs, LIST_MAX, xml, "//cell[@id=%s]/distances/sibling/@*", node) /
        2;
    for (int i = 0; i < count; i++) {
        const Fact *fact = suite_fact("node %s distance %ld", node, pairs[2 * i]);
        const long asked = fact ? strtol(fact->word[4], NULL, 10) : -1;
        if (pairs[2 * i + 1] != asked)
            differs_msg("libvirt has node %ld at %ld from node %s, asked was %ld",
                        pairs[2 * i], pairs[2 * i + 1], node, asked);
    }
    if (count == 0)
        differs_msg("libvirt says no distance of node %s", node);
}

static void
capabilities_have_every_node(void **state)
{
    int nodes = 0;
    long count = 0;
    needs_libvirt();
    char *xml = strdup(virsh("capabilities", NULL, NULL));
    for (const Fact *fact = suite_facts(); fact->count > 0; fact++) {
        if (fact->count != 4 || !fact_is(fact, "node") ||
            strcmp(fact->word[2], "cpus") != 0)
            continue;
        has_memory(xml, fact->word[1]);
        has_cpus(xml, fact->word[1], fact->word[3]);
        has_distances(xml, fact->word[1]);
        nodes++;
    }
    xml_numbers(&count, 1, xml, "//topology/cells/@num");
    if (suite_has_fault("capabilities_have_every_node"))
        nodes++;
    if (count != nodes)
        differs_msg("libvirt has %ld nodes, asked were %d", count, nodes);
    free(xml);
}

/* ---- the host as a whole
 * --------------------------------------------------------------------------- */

/* Warnings are no failures: it looks for the IOMMU that goes with the CPU, and plain
 * emulation has AMD's CPU beside Intel's IOMMU. */
static void
the_host_validates(void **state)
{
    static const char *const argv[] = {"virt-host-validate", "qemu", NULL};
    int status, passed = 0;
    needs_libvirt();
    const char *wrong = suite_has_fault("the_host_validates") ? ": PASS" : ": FAIL";
    for (const char *line = command_run(argv, NULL, &status); line && *line;) {
        const int length = (int)strcspn(line, "\n");
        const char *verdict = strrchr(line, ':');
        char text[300];
        snprintf(text, sizeof text, "%.*s", length, line);
        if (strstr(text, wrong))
            fail_msg("virt-host-validate: %s", text);
        passed += strstr(text, ": PASS") != NULL;
        line = verdict ? strchr(line, '\n') : NULL;
        line = line ? line + 1 : NULL;
    }
    if (passed == 0)
        fail_msg("virt-host-validate has passed nothing; it ended with status %d",
                 status);
}

/* ---- a guest
 * --------------------------------------------------------------------------------------
 */

/* Numbers only are filled in. */
#define GUEST_XML                                                                        \
    "<domain type='kvm'><name>" GUEST "</name><memory unit='MiB'>32</memory>"            \
    "<vcpu>1</vcpu><os><type arch='x86_64' machine='pc'>hvm</type>"                      \
    "<loader readonly='yes' type='rom'>" GUEST_ROM_PATH "</loader></os>"                 \
    "<features><acpi/><apic/></features><cpu mode='host-passthrough' check='none'/>"     \
    "<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>"                          \
    "<controller type='usb' model='none'/>"                                              \
    "<serial type='unix'><source mode='bind' path='" GUEST_SERIAL "'/></serial>"         \
    "<hostdev mode='subsystem' type='pci' managed='yes'><source>"                        \
    "<address domain='0x%04lx' bus='0x%02lx' slot='0x%02lx' function='0x%lx'/>"          \
    "</source><rom bar='off'/></hostdev><memballoon model='none'/></devices></domain>"

static void
end_guest(long number)
{
    int status;
    static const char *const argv[] = {"virsh", "--quiet", "destroy", GUEST, NULL};
    command_run(argv, NULL, &status);
}

/* Stopped at first, so that we are there when it speaks. */
static void
create_guest(const char *address)
{
    static const char *const argv[] = {"virsh",      "--quiet",  "create",
                                       "/dev/stdin", "--paused", NULL};
    char xml[sizeof GUEST_XML + 40], *at;
    long numbers[4];
    numbers[0] = strtol(address, &at, 16);
    for (int i = 1; i < 4; i++)
        numbers[i] = strtol(at + 1, &at, 16);
    snprintf(xml, sizeof xml, GUEST_XML, numbers[0], numbers[1], numbers[2], numbers[3]);
    mkdir(GUEST_FOLDER, 0755);
    inner_write_rom(GUEST_ROM_PATH);
    suite_at_end(end_guest, 0);
    command_output(argv, xml);
}

static void
expect_driver(const char *address, const char *driver)
{
    const char *found = pci_driver(address);
    if (!found || strcmp(found, driver) != 0)
        fail_msg("%s is driven by %s, asked was %s", address, found ? found : "none",
                 driver);
}

/* The last, as in the article. */
static const char *
last_nic(void)
{
    const char *last = NULL, *address;
    for (unsigned i = 0; (address = vfio_choose(E1000E_ID, i)); i++)
        last = address;
    if (!last) {
        print_message("no e1000e of the lab shares its IOMMU group with bridges only\n");
        skip();
    }
    return last;
}

static void
a_guest_gets_a_function_and_gives_it_back(void **state)
{
    needs_libvirt();
    const char *address = last_nic(), *mac = suite_asked(address, "mac");
    if (access("/dev/kvm", F_OK) != 0) {
        print_message("the host has no /dev/kvm\n");
        skip();
    }
    expect_driver(address, DRIVER);
    create_guest(address);
    expect_driver(address, "vfio-pci");
    Inner *inner = inner_meet(address, GUEST_SERIAL);
    virsh("resume", GUEST, NULL);
    inner_hear(inner);
    const char *answer = inner_ask(inner, "l");
    if (!strstr(answer, suite_has_fault("a_guest_gets_a_function_and_gives_it_back")
                            ? "no such address"
                            : mac))
        fail_msg("the guest has \"%s\"; %s was assigned, which has %s", answer, address,
                 mac);
    virsh("destroy", GUEST, NULL);
    expect_driver(address, DRIVER);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {LIBVIRT_CASES(SUITE_CASE)};
    return suite_run("libvirt", tests);
}
