/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite hotplug: NICs that leave without anybody's being asked, while their drivers have
 * them. The host's agent does that as for `hostbed unplug --surprise` (agent-slot.c).
 */
#include "hotplug-suite.h"

#include <stdio.h>
#include <string.h>

#include "command.h"

#define AGENT "/usr/lib/hostbed/hostbed-agent"

static const char *
port_of(int number)
{
    const Fact *parent = suite_fact("pci %s parent", plug_address(number));
    if (!parent)
        fail_msg("the manifest has no port of %s", plug_address(number));
    return parent->word[3];
}

static void
tear_out(int number)
{
    const char *const argv[] = {AGENT, "--tear-out", port_of(number), NULL};
    command_output(argv, NULL);
}

/* Until the kernel has done with its slot, too, which takes what comes by then for what
 * was there. */
static void
wait_given_up(int number)
{
    const char *const argv[] = {AGENT, "--await-gone", port_of(number),
                                plug_address(number), NULL};
    const char *said = command_output(argv, NULL);
    if (strcmp(said, "gone\n") != 0)
        fail_msg("%s was torn out, and the kernel keeps it", plug_address(number));
}

void
a_torn_out_function_is_gone(void **state)
{
    HotplugHad had[PLUGS_MAX];
    plug_all();
    hotplug_note_all(had);
    for (int i = 0; i < plug_count(); i++)
        tear_out(i);
    for (int i = 0; i < plug_count(); i++) {
        plug_ask("await", i);
        plug_expect(i, "gone");
        wait_given_up(i);
    }
    hotplug_all_are_gone("a_torn_out_function_is_gone", had);
    plug_all();
}
