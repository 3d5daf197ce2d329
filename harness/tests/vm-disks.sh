#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each case of suite disk passes with each emulator, and fails when something is wrong. docs/suites.rst has the table.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
for emulator in $(emulators); do
    make_wrapper "$emulator"
    passes disk switch-4dev reads_of_a_bad_sector_fail writes_fail_and_reads_do_not flushes_that_fail_are_told \
        a_disk_that_is_mended_works a_suspended_write_ends_when_resumed a_suspended_read_brings_its_data_later
done
fault disk/reads_of_a_bad_sector_fail switch-4dev 'a read of 0000:.* that is to fail has succeeded'
fault disk/writes_fail_and_reads_do_not switch-4dev 'a read of 0000:.* that has nothing to do with it fails'
fault disk/flushes_that_fail_are_told switch-4dev 'a flush of 0000:.* that is to fail has succeeded'
fault disk/a_disk_that_is_mended_works switch-4dev 'a write afterwards of 0000:.* fails'
fault disk/a_suspended_write_ends_when_resumed switch-4dev 'a write of 0000:.* that is to stand still has ended'
fault disk/a_suspended_read_brings_its_data_later switch-4dev 'has not brought all its data'
done_testing
