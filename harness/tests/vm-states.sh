#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# States that suites start from: reached once, frozen on top of the host as it was checked, which stays as it was.
# (vm-nested.sh has those with guests inside.)
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?run this by make check-vm}/harness/tests/tap.sh"

lab="$source_dir/topologies/nested-linux.xml"

starts_from_states() { # EMULATOR
    local version
    version=$(emulator_version "$1")
    logs="$tap_dir/logs-$version"
    hostbed test --accel tcg --emulator "$1" --isolate case --check-clones --no-skip --log-dir "$logs" --json "$tap_dir/json" "$lab" \
        'vfio/function_is_bound*' 'vfio/group_is_viable*' 'vfio/msi*_is_delivered*' 'vfio/regions_*' \
        'nested/kvm_runs*' >"$tap_dir/tap" 2>"$tap_dir/err"
    is "cases pass from a state, with QEMU $version" "$? $(grep -c "^ok " "$tap_dir/tap")" "0 6"
    is "it was reached once" "$(find "$logs" -name 'state-*' -printf '%f\n')" state-bound
    has "which is told" "$tap_dir/json" '"template" : "frozen in [0-9.]+ s; the state .bound. was reached in [0-9.]+ s"'
    is "each case had a clone" "$(find "$logs" -name 'clone-*' | wc -l)" 6
    is "three of them are of the state" "$(cat "$logs"/*/clone-*/observation |
        grep -c '^pci 0000:21:00.0 driver vfio-pci')" 3
    is "whose observation is the same, byte for byte" "$(for n in 3 4 5; do cmp "$logs"/*/clone-$n/observation \
        "$logs"/*/state-bound/observation 2>&1; done)" ""
    is "the others are the host as it was checked" "$(for n in 1 2 6; do cmp "$logs"/*/clone-$n/observation \
        "$logs"/nested-linux-l1/observation 2>&1; done)" ""
    is "and all one host that was not booted again" "$(cat "$logs"/*/agent.log "$logs"/*/*/agent.log |
        grep -o 'nonce=[0-9a-f]*' | sort -u | wc -l)" 1
}

while read -r emulator; do
    starts_from_states "$emulator"
done < <(emulators)

done_testing
