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
# How often the states were reached in the last run, and which were not and why.
reached() { find "$tap_dir/logs" -name 'state-*' -printf "%f\n" 2>/dev/null | LC_ALL=C sort | paste -sd" "; }
for emulator in $(emulators); do
    make_wrapper "$emulator"
    # shellcheck disable=SC2034 # for altered.sh
    run_options=(--isolate case --log-dir "$tap_dir/logs" --json "$tap_dir/json")
    rm -rf "$tap_dir/logs"
    # shellcheck disable=SC2086 # words
    passes nested nested kvm_runs_guest_code $inside
    [ -z "$inside" ] || {
        is "states are reached once" "$(reached)" "state-bound state-guest state-linux-guest"
        has "but for one that the host cannot have" "$tap_dir/json" \
            "the state .linux-guest. is not used: .*no guest with Linux lives long in a host with several CPUs"
    }
    rm -rf "$tap_dir/logs"
    # shellcheck disable=SC2086 # words
    [ -z "$linux" ] || {
        passes nested nested-linux $linux
        is "their clones live" "$(grep -c 'is not used' "$tap_dir/json")" 0
        is "states are reached once for Linux, too" "$(reached)" "state-bound state-guest state-linux-guest"
        has "and each stands on another" "$tap_dir/json" \
            ".bound. was reached in [0-9.]+ s; the state .guest. was reached in [0-9.]+ s; the state .linux-guest. was reached"
    }
    run_options=()
    [ -z "$linux" ] || ! hostbed check --emulator "$emulator" "$source_dir/topologies/nested-igb.xml" >"$out" 2>&1 ||
        passes nested nested-igb linux_drives_a_virtual_function
done
# Without interrupt remapping, too; the last emulator will do.
[ -z "$inside" ] || passes nested iommu-amd kvm_runs_guest_code guest_drives_its_function \
    function_of_a_killed_guest_is_the_hosts_again function_is_plugged_into_a_running_guest
done_testing
