#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each case of the suite migration fails, and no other, when something is wrong. docs/suites.rst has the table.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
[ -n "$(emulators)" ] || skip_all "qemu-system-x86_64 is not there"
emulator=$(command -v qemu-system-x86_64)
[ -n "$emulator" ] || skip_all "the machine has no qemu-system-x86_64 to put into hosts"

make_wrapper "$emulator"
host=compute0
fault migration/a_guest_goes_on_in_the_other_host migration "page 0 of the guest's memory is not what it wrote in turn"
fault migration/a_guest_that_moved_is_gone_where_it_was migration 'the guest runs in both hosts'
fault migration/a_guest_moves_to_a_host_that_has_one migration "page 0 of the guest's memory is not what it wrote in turn"
fault migration/a_cancelled_move_leaves_the_guest migration 'the migration is completed, asked was cancelled'
fault migration/a_destination_that_dies_leaves_the_guest migration 'the migration is completed, asked was failed'
fault migration/memory_follows_a_guest_that_went_ahead migration 'the guest asked for 0 pages after it had gone ahead'
fault migration/a_guest_moves_by_tls migration 'the migration is failed: .*, asked was completed'
fault migration/tls_and_no_tls_are_not_joined migration 'the migration is completed, asked was failed'
fault migration/a_guest_with_a_nic_is_not_moved migration 'the emulator does what it was to refuse'
fault migration/a_guest_changes_its_nic_for_the_other_hosts migration 'the emulator refuses; .*VFIO'
done_testing
