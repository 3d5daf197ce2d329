#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each case of suite sriov fails, and no other, when something is wrong. docs/suites.rst has the table.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
emulator=$(emulator_of "$source_dir/topologies/igb-vfs.xml")
[ -n "$emulator" ] || skip_all "no emulator here has igb (QEMU 8.0 and later)"
make_wrapper "$emulator"

fails one_vf_less sriov/functions_are_as_many_as_asked igb-vfs '0000:21:00.0 has 6 virtual functions and shows 6, asked were 7'
fault sriov/functions_are_at_their_addresses igb-vfs 'virtual function 0 of 0000:21:00.0 is at 0000:21:10.0, by offset'
fails nodes_swapped sriov/functions_are_on_their_node igb-vfs '0000:21:10.0 is on node 1, asked was 0'
fails no_acs sriov/functions_are_in_their_groups igb-vfs 'the group of 0000:21:10.0 has [0-9]* members, asked were 1'
fault sriov/impossible_numbers_are_refused igb-vfs '0000:21:00.0 makes 8 virtual functions, and can have 7'
fault sriov/functions_go_and_come_back igb-vfs 'virtual function 6 of 0000:21:00.0 came back not, asked was 0000:21:11.4'
fault sriov/address_set_through_the_physical_function igb-vfs '0000:21:10.0 has the address 02:00:00:00:01:63'
fault sriov/drivers_take_functions_side_by_side igb-vfs '0000:21:10.2 is driven by none, while 0000:21:10.0 is VFIO.s'
fault sriov/frames_pass_between_functions igb-vfs 'no frame of eth[0-9]* came to eth[0-9]*'
done_testing
