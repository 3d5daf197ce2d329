#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Guests inside move from host to host, on every emulator here. vm-migration-faults.sh makes the cases of the suite fail;
# docs/suites.rst has the table.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
[ -n "$(emulators)" ] || skip_all "qemu-system-x86_64 is not there"
command -v qemu-system-x86_64 >/dev/null || skip_all "the machine has no qemu-system-x86_64 to put into hosts"

host=compute0
for emulator in $(emulators); do
    make_wrapper "$emulator"
    passes migration migration a_guest_goes_on_in_the_other_host a_guest_that_moved_is_gone_where_it_was \
        a_guest_moves_to_a_host_that_has_one \
        a_cancelled_move_leaves_the_guest a_destination_that_dies_leaves_the_guest memory_follows_a_guest_that_went_ahead \
        a_guest_moves_by_tls tls_and_no_tls_are_not_joined a_guest_with_a_nic_is_not_moved \
        a_guest_changes_its_nic_for_the_other_hosts
done
done_testing
