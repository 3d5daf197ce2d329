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

# ---- numa-moves -----------------------------------------------------------------------------------

passes numa-moves memory-only-cpu-only memory_cannot_be_bound_where_there_is_none \
    pages_move_to_and_from_memory_without_cpus
passes numa-moves 4cell-asymmetric a_bound_task_allocates_on_its_node a_preferring_task_allocates_on_its_node \
    an_interleaving_task_takes_turns a_local_policy_follows_the_cpu a_policy_of_memory_outranks_the_tasks \
    pages_move_on_request a_tasks_memory_moves_as_a_whole a_new_binding_moves_pages \
    balancing_brings_pages_to_their_task
fault numa-moves/a_bound_task_allocates_on_its_node 4cell-asymmetric 'page 31, of a task bound to node 0, is on node 1'
fault numa-moves/a_preferring_task_allocates_on_its_node 4cell-asymmetric \
    'page 31, of a task that prefers node 0, is on node 1'
fault numa-moves/an_interleaving_task_takes_turns 4cell-asymmetric 'pages 0 and 1 of a task that interleaves are on node'
fault numa-moves/a_local_policy_follows_the_cpu 4cell-asymmetric 'page 31, local to node 0, is on node 1'
fault numa-moves/a_policy_of_memory_outranks_the_tasks 4cell-asymmetric \
    'page 31, in a task bound elsewhere, bound to node 0, is on node 1'
fails memory_added numa-moves/memory_cannot_be_bound_where_there_is_none memory-only-cpu-only \
    'memory can be bound to node 0, which was to have none'
fault numa-moves/pages_move_on_request 4cell-asymmetric 'page 0, moved to node 1, is on node 2'
fault numa-moves/a_tasks_memory_moves_as_a_whole 4cell-asymmetric 'page 0, of a task that moved to node 1, is on node 2'
fault numa-moves/a_new_binding_moves_pages 4cell-asymmetric 'page 0, bound anew to node 1, is on node 2'
fault numa-moves/pages_move_to_and_from_memory_without_cpus memory-only-cpu-only 'page 0, moved to node 2, is on node 1'
fault numa-moves/balancing_brings_pages_to_their_task 4cell-asymmetric \
    'memory on node 0 did not come to the task on node 1'
done_testing
