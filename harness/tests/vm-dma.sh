#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each case of the suite dma passes on every emulator here. (vm-dma-faults.sh shows that it can fail.)
# docs/suites.rst has the table.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
[ -n "$(emulators)" ] || skip_all "qemu-system-x86_64 is not there"

everywhere="frames_go_by_io_addresses mappings_of_4_kib_are_reached memory_of_each_node_is_reached
    frames_are_counted_by_the_nic unmapped_memory_is_not_written unmapped_memory_is_not_read
    blocked_writes_are_reported blocked_reads_are_reported read_only_memory_is_not_written
    containers_do_not_share_memory mappings_change_under_traffic"
for emulator in $(emulators); do
    make_wrapper "$emulator"
    # shellcheck disable=SC2086  # the names are words
    passes dma berrange-2017 $everywhere
    # shellcheck disable=SC2086
    passes dma 2socket-smt-hugepages $everywhere mappings_of_2_mib_are_reached mappings_of_1_gib_are_reached \
        frames_are_counted_outside blocked_content_does_not_leave
done
done_testing
