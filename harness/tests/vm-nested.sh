#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The suite nested passes on the labs that are made for it, on every emulator here. vm-nested-faults.sh makes
# its cases fail; docs/suites.rst has the table.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
[ -n "$(emulators)" ] || skip_all "qemu-system-x86_64 is not there"
inside=''
linux=''
if command -v qemu-system-x86_64 >/dev/null; then
    inside="guest_drives_its_function function_of_a_killed_guest_is_the_hosts_again
        guest_memory_is_huge_pages_of_the_nics_node frames_pass_between_guests
        function_is_plugged_into_a_running_guest"
    linux="linux_drives_its_function frames_pass_between_linux_and_the_host linux_takes_a_plugged_function"
fi
for emulator in $(emulators); do
    make_wrapper "$emulator"
    # shellcheck disable=SC2086 # words
    passes nested nested kvm_runs_guest_code $inside
    # shellcheck disable=SC2086 # words
    [ -z "$linux" ] || passes nested nested-linux $linux
    [ -z "$linux" ] || ! hostbed check --emulator "$emulator" "$source_dir/topologies/nested-igb.xml" >"$out" 2>&1 ||
        passes nested nested-igb linux_drives_a_virtual_function
done
# Without interrupt remapping, too; the last emulator will do.
[ -z "$inside" ] || passes nested iommu-amd kvm_runs_guest_code guest_drives_its_function \
    function_of_a_killed_guest_is_the_hosts_again function_is_plugged_into_a_running_guest
done_testing
