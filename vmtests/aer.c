/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite aer: the host's kernel hears of errors of PCIe functions, counts them, and
 * recovers (PCI Express Base Specification, Advanced Error Reporting). QEMU's own
 * injection reaches nobody, so they come from the kernel's module aer_inject, which lets
 * a function and its root port report what they are told to, and raises the port's
 * interrupt.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cases.h"
#include "clock.h"
#include "e1000e.h"
#include "modprobe.h"
#include "net.h"
#include "suite.h"
#include "vfio-use.h"

#define DEVICES "/sys/bus/pci/devices"
#define INJECTOR "/dev/aer_inject"
#define CORRECTED "aer_dev_correctable"
#define RECOVERY_MS 60000
#define TURN_MS 10
#define FUNCTIONS_MAX 64
#define RELINKING "such function behind a port that tells when its link is active"

/* What aer_inject reads (drivers/pci/pcie/aer_inject.c); statuses as in the registers of
 * the capability. */
typedef struct {
    uint8_t bus, device, function;
    uint32_t uncorrectable, correctable;
    uint32_t header[4];
    uint32_t domain;
} Injection;

static const Injection bad_tlp = {.correctable = PCI_ERR_COR_BAD_TLP};
static const Injection bad_dllp = {.correctable = PCI_ERR_COR_BAD_DLLP};
/* By the reset value of the severity register the first is not fatal, the second is. */
static const Injection completion_timeout = {.uncorrectable = PCI_ERR_UNC_COMP_TIME};
static const Injection link_protocol = {.uncorrectable = PCI_ERR_UNC_DLP};

/* ---- functions
 * ----------------------------------------------------------------------------------- */

typedef struct {
    const char *address;
    char port[16]; /* the root port that it reports to */
    bool relinks;  /* whose link can be seen to come up again */
} Reporter;

static struct {
    Reporter all[FUNCTIONS_MAX];
    int count;
} reporters;

/* The root port above ADDRESS; false: it is on a root bus, or the port reports no errors.
 */
static bool
find_port(const char *address, char port[16])
{
    char *path = realpath(suite_path(DEVICES "/%s", address), NULL);
    char *root = path ? strstr(path, "/pci0") : NULL;
    char *first = root ? strchr(root + 1, '/') : NULL;
    snprintf(port, 16, "%.12s", first ? first + 1 : "");
    free(path);
    return *port && strcmp(port, address) != 0 &&
           suite_read(DEVICES "/%s/aer_rootport_total_err_cor", port);
}

/* Whether the link status register (PCI Express Base Specification 7.5.3.8) of PORT says
 * that the link is active. An emulated root port on a root complex' first bus never says
 * so, for which Linux waits after a reset in vain. */
static bool
link_is_active(const char *port)
{
    uint8_t space[256];
    int fd = open(suite_path(DEVICES "/%s/config", port), O_RDONLY | O_CLOEXEC);
    bool whole = fd >= 0 && read(fd, space, sizeof space) == sizeof space;
    if (fd >= 0)
        close(fd);
    uint8_t at = whole ? space[PCI_CAPABILITY_LIST] & 0xfc : 0;
    for (int turns = 0; at && space[at] != PCI_CAP_ID_EXP && turns < 48; turns++)
        at = space[at + 1] & 0xfc;
    if (!at || space[at] != PCI_CAP_ID_EXP || at + PCI_EXP_LNKSTA + 1 >= 256)
        return false;
    uint16_t status =
        (uint16_t)(space[at + PCI_EXP_LNKSTA] | space[at + PCI_EXP_LNKSTA + 1] << 8);
    return status & PCI_EXP_LNKSTA_DLLLA;
}

/* Those whose drivers take part in a recovery. */
static bool
recovers(const char *address)
{
    const char *driver = suite_link(DEVICES "/%s/driver", address);
    return driver && (strcmp(driver, "e1000e") == 0 || strcmp(driver, "igb") == 0);
}

static void
find_reporters(void)
{
    for (const Fact *fact = suite_facts(); fact->count > 0; fact++) {
        Reporter *next = &reporters.all[reporters.count];
        if (reporters.count == FUNCTIONS_MAX || !fact_is(fact, "pci") ||
            fact->count < 3 || strcmp(fact->word[2], "class") != 0)
            continue;
        next->address = fact->word[1];
        if (recovers(next->address) &&
            suite_read(DEVICES "/%s/aer_dev_correctable", next->address) &&
            find_port(next->address, next->port)) {
            next->relinks = link_is_active(next->port);
            reporters.count++;
        }
    }
}

static void
needs_reporters(void)
{
    suite_needs_live();
    modprobe("aer_inject");
    if (access(INJECTOR, F_OK) != 0) {
        print_message("the host's kernel has no aer_inject\n");
        skip();
    }
    if (reporters.count == 0)
        find_reporters();
    skip_unless_tried(reporters.count,
                      "function behind a root port that reports errors, with a driver "
                      "that recovers from them");
}

static bool
is_reporter(const char *address)
{
    for (int i = 0; i < reporters.count; i++)
        if (strcmp(reporters.all[i].address, address) == 0)
            return true;
    return false;
}

/* Whether it is the first one on its node whose link can be reset: each recovery takes
 * the time in which a link comes up twice. */
static bool
is_to_recover(int number)
{
    const char *node = suite_asked(reporters.all[number].address, "node");
    for (int i = 0; i < number; i++)
        if (reporters.all[i].relinks &&
            strcmp(suite_asked(reporters.all[i].address, "node"), node) == 0)
            return false;
    return reporters.all[number].relinks;
}

/* ---- errors
 * --------------------------------------------------------------------------------------
 */

static void
inject(const char *address, const Injection *error)
{
    Injection injection = *error;
    unsigned domain, bus, device, function;
    if (sscanf(address, "%x:%x:%x.%x", &domain, &bus, &device, &function) != 4)
        fail_msg("'%s' is no address", address);
    injection.domain = domain;
    injection.bus = (uint8_t)bus;
    injection.device = (uint8_t)device;
    injection.function = (uint8_t)function;
    int fd = open(INJECTOR, O_WRONLY | O_CLOEXEC);
    ssize_t written = fd < 0 ? -1 : write(fd, &injection, sizeof injection);
    int reason = errno;
    if (fd >= 0)
        close(fd);
    if (written != sizeof injection)
        fail_msg("the kernel injects no error into %s: %s", address, strerror(reason));
}

/* The number behind NAME ("BadTLP") in a file of lines "NAME NUMBER"; NULL: it has a
 * number only. */
static long
count_in(const char *address, const char *file, const char *name)
{
    const char *text = suite_read(DEVICES "/%s/%s", address, file);
    const char *at = text && name ? strstr(text, name) : text;
    if (!at)
        fail_msg("%s has no count of %s in %s", address, name ? name : "errors", file);
    return strtol(at + (name ? strlen(name) : 0), NULL, 10);
}

/* Fails unless a count is one more than BEFORE. */
static void
expect_one_more(const char *address, const char *file, const char *name, long before)
{
    const long now = count_in(address, file, name);
    if (now != before + 1)
        fail_msg("%s has counted %ld errors (%s) in %s, asked was %ld", address, now,
                 name ? name : "all", file, before + 1);
}

/* ---- recovery, of which the kernel tells in its log
 * ---------------------------------------------- */

static int
log_from_now(void)
{
    int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || lseek(fd, 0, SEEK_END) < 0)
        fail_msg("the kernel's log cannot be read: %s", strerror(errno));
    return fd;
}

/* Reads the log until a recovery has ended, or the time. */
static bool
reads_end(int log, bool *reset)
{
    char record[8192];
    for (;;) {
        ssize_t got = read(log, record, sizeof record - 1);
        if (got <= 0 && errno != EPIPE)
            return false;
        record[got > 0 ? got : 0] = '\0';
        *reset = *reset || strstr(record, "link has been reset");
        if (strstr(record, "device recovery failed"))
            fail_msg("the kernel says: %s", strchr(record, ';') + 1);
        if (strstr(record, "device recovery successful"))
            return true;
    }
}

/* Whether a link was reset on the way. */
static bool
await_recovery(int log, const char *address)
{
    const int64_t end = now_ms() + suite_ms(RECOVERY_MS);
    bool reset = false;
    while (!reads_end(log, &reset)) {
        struct pollfd more = {.fd = log, .events = POLLIN};
        const int64_t left = end - now_ms();
        if (left <= 0)
            fail_msg("the kernel has not recovered %s within %d s", address,
                     suite_ms(RECOVERY_MS) / 1000);
        poll(&more, 1, (int)left);
    }
    return reset;
}

/* Those that recover, and what they are to be afterwards. */
static struct {
    struct {
        const Reporter *reporter;
        NetInterface interface;
        char *resources;
    } all[FUNCTIONS_MAX];
    int count;
} recovering;

/* Their interfaces come up side by side: each carrier takes seconds. */
static void
bring_up_recovering(void)
{
    needs_reporters();
    recovering.count = 0;
    for (int i = 0; i < reporters.count; i++) {
        const char *address = reporters.all[i].address;
        NetInterface *interface = &recovering.all[recovering.count].interface;
        if (!is_to_recover(i))
            continue;
        const char *resources = suite_read(DEVICES "/%s/resource", address);
        if (!net_of_function(address, interface))
            fail_msg("%s has no interface", address);
        net_start(interface);
        recovering.all[recovering.count].reporter = &reporters.all[i];
        recovering.all[recovering.count++].resources = strdup(resources ? resources : "");
    }
    for (int i = 0; i < recovering.count; i++)
        net_up(&recovering.all[i].interface);
}

/* Injects the error and waits until the kernel has recovered the function. Whether its
 * link was reset. */
static bool
recover(const char *address, const Injection *error)
{
    int log = log_from_now();
    inject(address, error);
    const bool reset = await_recovery(log, address);
    close(log);
    return reset;
}

/* Each is as it was: driver, registers of its configuration, interface with a carrier. */
static void
expect_recovered(void)
{
    for (int i = 0; i < recovering.count; i++) {
        const char *address = recovering.all[i].reporter->address;
        const char *resources = suite_read(DEVICES "/%s/resource", address);
        if (!resources || strcmp(resources, recovering.all[i].resources) != 0)
            fail_msg("%s has other resources after its recovery", address);
        if (!recovers(address))
            fail_msg("%s has lost its driver over an error", address);
        net_up(&recovering.all[i].interface);
        free(recovering.all[i].resources);
    }
    skip_unless_tried(recovering.count, RELINKING);
}

/* ---- cases
 * ---------------------------------------------------------------------------------------
 */

static void
await_corrected(const char *address, long before)
{
    const int64_t end = now_ms() + suite_ms(RECOVERY_MS);
    while (count_in(address, CORRECTED, "TOTAL_ERR_COR") == before && now_ms() < end)
        usleep(TURN_MS * 1000);
    expect_one_more(address, CORRECTED, "TOTAL_ERR_COR", before);
}

/* Each at its own function and root port, nowhere else. */
static void
corrected_errors_are_counted(void **state)
{
    static const char all_of_port[] = "aer_rootport_total_err_cor";
    long before[FUNCTIONS_MAX];
    needs_reporters();
    const bool fault = suite_has_fault("corrected_errors_are_counted");
    for (int i = 0; i < reporters.count; i++)
        before[i] = count_in(reporters.all[i].address, CORRECTED, "TOTAL_ERR_COR");
    for (int i = 0; i < reporters.count; i++) {
        const Reporter *reporter = &reporters.all[i];
        const long of_kind = count_in(reporter->address, CORRECTED, "BadTLP");
        const long of_port = count_in(reporter->port, all_of_port, NULL);
        inject(reporter->address, fault ? &bad_dllp : &bad_tlp);
        await_corrected(reporter->address, before[i]);
        expect_one_more(reporter->address, CORRECTED, "BadTLP", of_kind);
        expect_one_more(reporter->port, all_of_port, NULL, of_port);
    }
    for (int i = 0; i < reporters.count; i++)
        expect_one_more(reporters.all[i].address, CORRECTED, "TOTAL_ERR_COR", before[i]);
}

static void
drivers_recover_from_nonfatal_errors(void **state)
{
    static const char own[] = "aer_dev_nonfatal",
                      total[] = "aer_rootport_total_err_nonfatal";
    const bool fault = suite_has_fault("drivers_recover_from_nonfatal_errors");
    bring_up_recovering();
    for (int i = 0; i < recovering.count; i++) {
        const Reporter *reporter = recovering.all[i].reporter;
        const long before = count_in(reporter->address, own, "CmpltTO");
        const long all = count_in(reporter->port, total, NULL);
        recover(reporter->address, fault ? &link_protocol : &completion_timeout);
        expect_one_more(reporter->address, own, "CmpltTO", before);
        expect_one_more(reporter->port, total, NULL, all);
    }
    expect_recovered();
}

static void
fatal_errors_reset_the_link(void **state)
{
    static const char total[] = "aer_rootport_total_err_fatal";
    const bool fault = suite_has_fault("fatal_errors_reset_the_link");
    bring_up_recovering();
    for (int i = 0; i < recovering.count; i++) {
        const Reporter *reporter = recovering.all[i].reporter;
        const long all = count_in(reporter->port, total, NULL);
        if (!recover(reporter->address, fault ? &completion_timeout : &link_protocol))
            fail_msg("the link of %s was not reset", reporter->address);
        expect_one_more(reporter->port, total, NULL, all);
    }
    expect_recovered();
}

/* ---- VFIO
 * --------------------------------------------------------------------------------------
 */

static VfioHeld held = VFIO_HELD_NOTHING;
static const char *held_address;

static void
give_back(long unused)
{
    vfio_release(&held);
    pci_return(held_address);
}

static void
hold_first(void)
{
    needs_reporters();
    if (vfio_load() < 0) {
        print_message("the kernel or the image has no VFIO\n");
        skip();
    }
    held_address = vfio_choose(E1000E_ID, 0);
    if (!held_address || !is_reporter(held_address)) {
        print_message("no e1000e that reports errors can be given away alone\n");
        skip();
    }
    suite_at_end(give_back, 0);
    vfio_hold(&held, held_address);
}

static void
users_of_vfio_are_told(void **state)
{
    hold_first();
    int result = vfio_irq_enable(&held.device, VFIO_PCI_ERR_IRQ_INDEX, &held.event, 1);
    if (result < 0)
        fail_msg("%s tells of no errors by VFIO: %s", held_address, strerror(-result));
    if (suite_has_fault("users_of_vfio_are_told"))
        vfio_irq_disable(&held.device, VFIO_PCI_ERR_IRQ_INDEX);
    recover(held_address, &completion_timeout);
    if (vfio_eventfd_wait(held.event, 0) == 0)
        fail_msg("who holds %s by VFIO is not told of its error", held_address);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {AER_CASES(SUITE_CASE)};
    return suite_run("aer", tests);
}
