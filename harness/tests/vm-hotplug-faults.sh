#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each case of suite hotplug fails, and no other, when something is wrong. docs/suites.rst has the table.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
for emulator in $(emulators); do
    make_wrapper "$emulator"
    fault hotplug/a_plugged_function_is_at_its_address hotplug 'nothing is at 0000:21:00.0, asked was 8086:10d3'
    fails nodes_swapped hotplug/a_plugged_function_is_on_its_node hotplug '0000:21:00.0 is on node 1, asked was 0'
    fails no_acs hotplug/a_plugged_function_is_in_its_group hotplug \
        '0000:20:00.0 is in the group of 0000:21:00.0, and was not asked to'
    fault hotplug/a_plugged_function_is_used_through_vfio hotplug 'no interrupt of 0000:21:00.0 arrives within'
    fault hotplug/a_function_is_asked_back hotplug 'no function is asked back within'
    fault hotplug/an_unplugged_function_is_gone hotplug '0000:21:00.0 is there, and should be gone'
    fault hotplug/the_host_powers_the_slot_off hotplug '0000:21:00.0 is there, and should be gone'
    fault hotplug/a_torn_out_function_is_gone hotplug '0000:21:00.0 is there, and should be gone'
    fault hotplug/cycles_leave_nothing_behind hotplug 'there are [0-9]* PCI functions, before there were'
    fails fault=kernel_memory_grows hotplug/cycles_leave_nothing_behind hotplug \
        'the kernel has taken [0-9]* KiB in [0-9]* cycles and kept them'
done
done_testing
