#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each case of the suite nested fails where something is wrong. docs/suites.rst has the table.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
emulator=$(command -v qemu-system-x86_64)
[ -n "$emulator" ] || skip_all "qemu-system-x86_64 is not there"
make_wrapper "$emulator"

fault nested/kvm_runs_guest_code nested 'the guest left its CPU for the reason 8 before it was done'
fault nested/guest_drives_its_function nested 'has the address 52:54:00:aa:00:02; 0000:21:00.0 was assigned'
fault nested/function_of_a_killed_guest_is_the_hosts_again nested 'is driven by vfio-pci after its guest was killed'
fault nested/guest_memory_is_huge_pages_of_the_nics_node nested 'uses 0 huge pages of node 0, asked were 16'
fault nested/frames_pass_between_guests nested 'the other one has 52:54:00:aa:00:01'
fault nested/function_is_plugged_into_a_running_guest nested 'the guest does not answer'

# From the state of the host that these cases share.
# shellcheck disable=SC2034 # for altered.sh
run_options=(--isolate case)
fault nested/linux_drives_its_function nested-linux 'asked was "e1000e 52:54:00:aa:00:01"'
fault nested/frames_pass_between_linux_and_the_host nested-linux 'received a frame from 52:54:00:bb:00:00, it was sent by 52:54:00:bb:00:01'
fault nested/linux_takes_a_plugged_function nested-linux 'asked was "e1000e 52:54:00:aa:00:02"'
run_options=()
for emulator in $(emulators); do
    may_be "$emulator" "$source_dir/topologies/nested-igb.xml" || continue
    make_wrapper "$emulator"
    fault nested/linux_drives_a_virtual_function nested-igb 'asked was "igbvf 02:00:00:00:02:01"'
done
done_testing
