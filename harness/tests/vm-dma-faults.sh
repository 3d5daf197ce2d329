#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each case of the suite dma fails, and no other, when something is wrong. docs/suites.rst has the table.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
[ -n "$(emulators)" ] || skip_all "qemu-system-x86_64 is not there"

make_wrapper "$(emulators | tail -n 1)"
lab=2socket-smt-hugepages
elsewhere='is not in the memory that is mapped there'
fault dma/frames_go_by_io_addresses $lab "$elsewhere"
fault dma/mappings_of_4_kib_are_reached $lab "a mapping of 4 KiB: .* $elsewhere"
fault dma/mappings_of_2_mib_are_reached $lab "a mapping of 2048 KiB: .* $elsewhere"
fault dma/mappings_of_1_gib_are_reached $lab "a mapping of 1048576 KiB: .* $elsewhere"
fault dma/memory_of_each_node_is_reached $lab 'bound to node 0, is on node 1'
fault dma/frames_are_counted_by_the_nic $lab 'counts [0-9]+ frames in TPT; there were [0-9]+'
fault dma/frames_are_counted_outside $lab 'sent: outside, [0-9]+ frames were counted on wire; there were [0-9]+'
fault dma/blocked_content_does_not_leave $lab 'blocked: outside, 1 frames were counted on wire with something in them'
fault dma/unmapped_memory_is_not_written $lab 'changed byte [0-9]+ of memory that was unmapped'
fault dma/unmapped_memory_is_not_read $lab 'read byte [0-9]+ of memory that was unmapped'
fault dma/blocked_writes_are_reported $lab "the kernel's log has no fault; blocked was a write of 0x[0-9a-f]+ by 0000:21:00.0"
fault dma/blocked_reads_are_reported $lab "the kernel's log has no fault; blocked was a read of 0x[0-9a-f]+ by 0000:21:00.0"
fault dma/read_only_memory_is_not_written $lab 'changed byte [0-9]+ of memory that it may only read'
fault dma/containers_do_not_share_memory $lab '0000:41:00.0 changed byte [0-9]+ of memory of another container'
fault dma/mappings_change_under_traffic $lab "a mapping that came under traffic: .* $elsewhere"
done_testing
