#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each case of suite sriov passes on the lab that it is for. docs/suites.rst has the table, and vm-sriov-faults.sh makes
# them fail.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
emulator=$(emulator_of "$source_dir/topologies/igb-vfs.xml")
[ -n "$emulator" ] || skip_all "no emulator here has igb (QEMU 8.0 and later)"
make_wrapper "$emulator"

passes sriov igb-vfs functions_are_as_many_as_asked functions_are_at_their_addresses functions_are_on_their_node \
    functions_are_in_their_groups impossible_numbers_are_refused functions_go_and_come_back \
    address_set_through_the_physical_function drivers_take_functions_side_by_side frames_pass_between_functions
# Of a shared group vfio takes none whose virtual functions would go with it.
hostbed test --accel tcg --emulator "$emulator" "$source_dir/topologies/igb-vfs.xml" \
    vfio/group_with_a_function_of_the_host_is_refused sriov/functions_are_as_many_as_asked >"$out" 2>"$err"
is "the suite vfio leaves virtual functions where they are" "$? $(grep -c '^not ok' "$out")" "0 0"
done_testing
