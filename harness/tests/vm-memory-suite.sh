#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each case of suite memory passes on the lab that it is for, with each emulator, and fails when something is wrong.
# docs/suites.rst has the table.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
for emulator in $(emulators); do
    itself=$emulator
    passes memory memory-slots plugged_memory_joins_its_node what_lies_in_unplugged_memory_moves
    fault memory/plugged_memory_joins_its_node memory-slots 'node 0 has 0 MiB more, and 128 were plugged into it'
    fault memory/what_lies_in_unplugged_memory_moves memory-slots 'byte 4096 of what lay in hostbed-plugged-0 is another'
done
# What was plugged is gone, but the suites after it get another host all the same.
hostbed test --accel tcg "$source_dir/topologies/memory-slots.xml" memory numa >"$out" 2>"$err"
is "a suite after it finds a host as at its start" "$? $(grep -c '^not ok' "$out")" "0 0"
has "which was started for it" "$out" '^ok [0-9]+ - memory-slots/l1/numa/every_node_is_online$'
# Where each case has a host of its own, that is a clone.
run_options=(--isolate case)
passes memory memory-slots plugged_memory_joins_its_node what_lies_in_unplugged_memory_moves
done_testing
