#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each case of the suites about nodes passes on the lab that it is for, and fails there when something
# is wrong. docs/suites.rst has the table.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
emulator=$(emulators | head -n 1)
[ -n "$emulator" ] || skip_all "qemu-system-x86_64 is not there"
make_wrapper "$emulator"

# ---- numa -----------------------------------------------------------------------------------------

fails node_added numa/every_node_is_online memory-only-cpu-only 'node 3 is online and nobody asked for it'
fails core_moved numa/cpus_belong_to_their_nodes 2socket-smt-hugepages 'node 0 has the CPUs 0-1, asked were 0-3'
fails distance_off_by_one numa/distances_are_as_asked 4cell-asymmetric 'from node 1 to node 0 it is 26'
fails more_memory numa/memory_is_within_the_kernels_reserve memory-attributes 'node 1 has .* KiB; asked were 524288'
fault numa/bound_memory_is_on_its_node 4cell-asymmetric 'page 31, bound to node 0, is on node 1'
fault numa/preferred_memory_is_on_its_node 4cell-asymmetric 'page 31, preferring node 0, is on node 1'
fault numa/first_touch_is_local 4cell-asymmetric 'page 31, first touched on node 0, is on node 1'
fault numa/interleaved_memory_is_on_all_nodes 4cell-asymmetric 'of 4 pages a node, node [0-3] got [35]'
done_testing
