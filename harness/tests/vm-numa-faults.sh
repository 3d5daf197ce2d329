#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each case of the suites about nodes and their memory fails, and no other, when something is wrong. docs/suites.rst has the
# table.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
emulator=$(emulators | head -n 1)
[ -n "$emulator" ] || skip_all "qemu-system-x86_64 is not there"
make_wrapper "$emulator"

fails node_added numa/every_node_is_online memory-only-cpu-only 'node 3 is online and nobody asked for it'
fails core_moved numa/cpus_belong_to_their_nodes 2socket-smt-hugepages 'node 0 has the CPUs 0-1, asked were 0-3'
fails distance_off_by_one numa/distances_are_as_asked 4cell-asymmetric 'from node 1 to node 0 it is 26'
fails more_memory numa/memory_is_within_the_kernels_reserve memory-attributes 'node 1 has .* KiB; asked were 524288'
fault numa/bound_memory_is_on_its_node 4cell-asymmetric 'page 31, bound to node 0, is on node 1'
fault numa/preferred_memory_is_on_its_node 4cell-asymmetric 'page 31, preferring node 0, is on node 1'
fault numa/first_touch_is_local 4cell-asymmetric 'page 31, first touched on node 0, is on node 1'
fault numa/interleaved_memory_is_on_all_nodes 4cell-asymmetric 'of 4 pages a node, node [0-3] got [35]'
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
fault numa-cpus/tasks_run_where_they_are_told memory-attributes 'a task that is to be on CPU 0 is on CPU 1'
fault numa-cpus/offline_cpus_leave_their_node memory-attributes 'CPU 1 is online; online are 0-1'
fault numa-cpus/offline_cpus_send_their_tasks_away memory-attributes 'a task is still on CPU 1, which went offline'
fails nodes_swapped numa-cpus/interrupts_start_near_to_their_device memory-attributes \
    'interrupt [0-9]* of 0000:21:00.0 is of node 1, its device was to be of 0'
fault numa-cpus/interrupts_go_where_they_are_told memory-attributes 'no interrupt of 0000:21:00.0 came to CPU 1'
fails one_page_less hugepages/pools_are_as_asked 2socket-smt-hugepages 'node 0 has 63 pages of 2048kB, asked were 64'
fault hugepages/pools_are_free_at_start 2socket-smt-hugepages '63 of node 0.s 64 pages of 2048kB are free'
fault hugepages/pages_come_from_their_node 2socket-smt-hugepages 'a page of [0-9]*kB bound to node 0 is on node 1'
fault hugepages/pages_have_their_size 2socket-smt-hugepages 'on node 0 is mapped with pages of 4kB'
fault hugepages/pools_are_resized_on_their_node 2socket-smt-hugepages 'was resized, and others changed with it'
fault hugepages/pages_in_use_are_not_taken_away 2socket-smt-hugepages 'nr_hugepages of 2048kB are 3 when some are in use'
fault hugepages/pages_move_to_another_pool 2socket-smt-hugepages 'page 0 of 2048kB, moved to node 1, is on node 0'
done_testing
