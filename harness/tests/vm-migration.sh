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
    passes migration migration a_guest_goes_on_in_the_other_host a_guest_that_moved_is_gone_where_it_was
done
done_testing
