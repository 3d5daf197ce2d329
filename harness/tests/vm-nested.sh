#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The suite nested: it passes on the lab that is made for it, on every emulator here, and each of its cases
# fails where something is wrong. docs/suites.rst has the table.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
emulator=$(emulators | tail -n 1)
[ -n "$emulator" ] || skip_all "qemu-system-x86_64 is not there"

for candidate in $(emulators); do
    make_wrapper "$candidate"
    passes nested nested kvm_runs_guest_code
done

make_wrapper "$emulator"
fault nested/kvm_runs_guest_code nested 'the guest left its CPU for the reason 8 before it was done'
done_testing
