#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each case of suite hotplug passes on the lab that it is for. (vm-hotplug-faults.sh shows that it can fail.)
# docs/suites.rst has the table.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
[ -n "$(emulators)" ] || skip_all "qemu-system-x86_64 is not there"
# A slot takes five seconds to let go, in which no processor is busy: so the emulators are tried side by side, and judged then.
# those EMULATOR: where its results are
those() {
    name=$tap_dir/$(emulator_version "$1")
    out=$name.out
    err=$name.err
}
try() { # EMULATOR
    itself=$1
    those "$1"
    run_unaltered hotplug hotplug
    echo "$status" >"$name.status"
}
[ -n "${HOSTBED_DEMANDS-}" ] || own_cache cache
for emulator in $(emulators); do
    [ -n "${HOSTBED_DEMANDS-}" ] || try "$emulator" &
done
wait
run_unaltered() { status=$(cat "$name.status"); }
for emulator in $(emulators); do
    those "$emulator"
    passes hotplug hotplug a_plugged_function_is_at_its_address a_plugged_function_is_on_its_node \
        a_plugged_function_is_in_its_group a_plugged_function_is_used_through_vfio a_function_is_asked_back \
        an_unplugged_function_is_gone the_host_powers_the_slot_off a_torn_out_function_is_gone \
        cycles_leave_nothing_behind
done

# What was plugged leaves marks on its neighbours; the suites after it get another host.
hostbed test --accel tcg --emulator "$emulator" "$source_dir/topologies/hotplug.xml" \
    hotplug/a_plugged_function_is_at_its_address dma/frames_go_by_io_addresses nested/guest_drives_its_function \
    >"$out" 2>"$err"
is "a suite after it finds a host as at its start" "$? $(grep -c '^not ok' "$out")" "0 0"
for case in hotplug/a_plugged_function_is_at_its_address dma/frames_go_by_io_addresses; do
    has "$case has run there" "$out" "^ok [0-9]+ - hotplug/l1/$case\$"
done
done_testing
