/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plug.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "net.h"
#include "plug-wire.h"

#define SLOTS "/sys/bus/pci/slots"
#define TURN_MS 20

static struct {
    bool is_read;
    int count;
    char *address[PLUGS_MAX];
    char answer[PLUGS_MAX][ASK_LINE_MAX]; /* empty: none has come yet */
    bool there[PLUGS_MAX];                /* as the harness said last */
    bool is_to_go[PLUGS_MAX];             /* when the case ends */
    char line[ASK_LINE_MAX];              /* of the input, so far */
    size_t used;
} plugs;

int
plug_count(void)
{
    const char *list = getenv(PLUG_ENVIRONMENT);
    char *rest = NULL;
    suite_needs_live();
    if (!plugs.is_read && list) {
        char *copy = strdup(list);
        for (char *word = strtok_r(copy, " ", &rest); word && plugs.count < PLUGS_MAX;
             word = strtok_r(NULL, " ", &rest))
            plugs.address[plugs.count++] = word;
    }
    plugs.is_read = true;
    if (plugs.count == 0) {
        print_message("nobody is there who plugs: %s names no function\n",
                      PLUG_ENVIRONMENT);
        skip();
    }
    return plugs.count;
}

const char *
plug_address(int number)
{
    return plugs.address[number];
}

/* ---- the harness
 * ------------------------------------------------------------------------------- */

void
plug_ask(const char *word, int number)
{
    plugs.answer[number][0] = '\0';
    ask_harness(word, plugs.address[number]);
}

static void
take_answer(const char *about, const char *answer)
{
    for (int i = 0; i < plugs.count; i++) {
        if (strcmp(about, plugs.address[i]) != 0)
            continue;
        snprintf(plugs.answer[i], ASK_LINE_MAX, "%s", answer);
        if (strcmp(answer, "there") == 0)
            plugs.there[i] = true;
        if (strcmp(answer, "gone") == 0)
            plugs.there[i] = false;
    }
}

/* NULL: none came, not even by now. */
static const char *
answer_within(int number, int limit_ms)
{
    int64_t end = now_ms() + limit_ms;
    while (!plugs.answer[number][0]) {
        int64_t left = end - now_ms();
        const char *about, *answer;
        if (!ask_answer(left > 0 ? (int)left : 0, &about, &answer))
            return NULL;
        take_answer(about, answer);
    }
    return plugs.answer[number];
}

const char *
plug_answer(int number)
{
    const char *text = answer_within(number, suite_ms(PLUG_LIMIT_MS));
    if (!text)
        fail_msg("the harness does not answer about %s within %d s", plug_address(number),
                 suite_ms(PLUG_LIMIT_MS) / 1000);
    return text;
}

void
plug_expect(int number, const char *word)
{
    const char *text = plug_answer(number);
    if (strcmp(text, word) != 0)
        fail_msg("%s was to be %s, and the harness says: %s", plug_address(number), word,
                 text);
}

/* ---- the kernel
 * -------------------------------------------------------------------------------- */

bool
plug_is_there(int number)
{
    return suite_read("/sys/bus/pci/devices/%s/vendor", plug_address(number)) != NULL;
}

/* FALSE: it did not come. */
static bool
waits(bool (*is)(int number), bool wanted, int number)
{
    for (int64_t end = now_ms() + suite_ms(PLUG_LIMIT_MS); is(number) != wanted;) {
        if (now_ms() > end)
            return false;
        usleep(TURN_MS * 1000);
    }
    return true;
}

void
plug_wait_there(int number)
{
    if (!waits(plug_is_there, true, number))
        fail_msg("nothing comes at %s within %d s", plug_address(number),
                 suite_ms(PLUG_LIMIT_MS) / 1000);
}

void
plug_wait_gone(int number)
{
    if (!waits(plug_is_there, false, number))
        fail_msg("%s is still there after %d s", plug_address(number),
                 suite_ms(PLUG_LIMIT_MS) / 1000);
}

typedef struct {
    const char *of; /* address of a function */
    char name[64];  /* of the slot that leads to it, or "" */
} Slot;

/* "0000:22:00" is the address that a slot tells of its functions. */
static void
find_slot(const char *name, void *data)
{
    const char *address = suite_read(SLOTS "/%s/address", name);
    Slot *found = data;
    if (address && strncmp(address, found->of, strlen(address)) == 0)
        snprintf(found->name, sizeof found->name, "%s", name);
}

/* The kernel's name of the slot, or "". */
static const char *
slot_name(int number)
{
    static Slot found;
    found = (Slot){.of = plug_address(number)};
    suite_list(find_slot, &found, SLOTS);
    return found.name;
}

long
plug_slot(int number, const char *file)
{
    const char *text = suite_read(SLOTS "/%s/%s", slot_name(number), file);
    return text ? strtol(text, NULL, 10) : -1;
}

/* While it is still being powered on the kernel refuses (ENODEV), although the function
 * is there already; it does so, too, when there is none. */
int
plug_power_off(int number)
{
    int64_t end = now_ms() + suite_ms(PLUG_LIMIT_MS);
    while (suite_write("0", SLOTS "/%s/power", slot_name(number)) != 0) {
        int result = -errno;
        if (result != -ENODEV || now_ms() > end || plug_slot(number, "adapter") != 1)
            return result;
        usleep(TURN_MS * 1000);
    }
    return 0;
}

/* ---- all of them
 * ------------------------------------------------------------------------------- */

/* What was asked and not answered yet is waited for, so that its answer is not taken for
 * another's. */
static void
take_out(long number)
{
    int n = (int)number;
    plugs.is_to_go[n] = false;
    answer_within(n, plugs.there[n] ? 0 : suite_ms(PLUG_LIMIT_MS));
    if (!plugs.there[n])
        return;
    bool is_asked = !plugs.answer[n][0];
    int result = plug_power_off(n);
    if (!is_asked)
        plug_ask("await", n);
    if (!answer_within(n, suite_ms(PLUG_LIMIT_MS)) || plugs.there[n])
        print_message("%s does not go: %s\n", plug_address(n), strerror(-result));
}

static bool
has_interface(int number)
{
    NetInterface interface;
    return net_of_function(plug_address(number), &interface);
}

void
plug_all(void)
{
    int count = plug_count();
    for (int i = 0; i < count; i++) {
        if (!plugs.is_to_go[i])
            suite_at_end(take_out, i);
        plugs.is_to_go[i] = true;
        plug_ask("plug", i);
    }
    for (int i = 0; i < count; i++)
        plug_expect(i, "there");
    for (int i = 0; i < count; i++) {
        plug_wait_there(i);
        if (!waits(has_interface, true, i))
            fail_msg("no driver makes %s an interface within %d s", plug_address(i),
                     suite_ms(PLUG_LIMIT_MS) / 1000);
    }
}

static void
expect_all_gone(void)
{
    for (int i = 0; i < plugs.count; i++) {
        plug_expect(i, "gone");
        plug_wait_gone(i);
    }
}

void
plug_power_all_off(void)
{
    for (int i = 0; i < plugs.count; i++) {
        int result = plug_power_off(i);
        if (result < 0)
            fail_msg("the slot of %s is not powered off: %s", plug_address(i),
                     strerror(-result));
        plug_ask("await", i);
    }
    expect_all_gone();
}

void
plug_unplug_all(void)
{
    for (int i = 0; i < plugs.count; i++)
        plug_ask("unplug", i);
    expect_all_gone();
}
