#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each case of suite aer passes with each emulator, and fails when something is wrong. docs/suites.rst has the table.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
for emulator in $(emulators); do
    make_wrapper "$emulator"
    passes aer berrange-2017 corrected_errors_are_counted drivers_recover_from_nonfatal_errors fatal_errors_reset_the_link \
        users_of_vfio_are_told
done
fault aer/corrected_errors_are_counted berrange-2017 '0000:b5:00.0 has counted 0 errors .BadTLP.'
fault aer/drivers_recover_from_nonfatal_errors berrange-2017 '0000:b5:00.0 has counted 0 errors .CmpltTO.'
fault aer/fatal_errors_reset_the_link berrange-2017 'the link of 0000:b5:00.0 was not reset'
fault aer/users_of_vfio_are_told berrange-2017 'who holds 0000:b5:00.0 by VFIO is not told'
done_testing
