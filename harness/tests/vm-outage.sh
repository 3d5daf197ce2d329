#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A neighbour hangs, panics or loses its power: each case of suite outage passes, on each emulator, and fails when that does
# not happen. docs/suites.rst has the table.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
[ -n "$(emulators)" ] || skip_all "qemu-system-x86_64 is not there"

host=compute0
lab=two-computes
for emulator in $(emulators); do
    make_wrapper "$emulator"
    passes outage $lab a_host_that_hangs_answers_when_it_goes_on a_host_that_panics_falls_silent \
        a_host_that_loses_power_takes_no_leave
done
fault outage/a_host_that_hangs_answers_when_it_goes_on $lab 'compute1[a-z.]* was to be silent, and answers'
fault outage/a_host_that_panics_falls_silent $lab 'compute1[a-z.]* was to be silent, and answers'
fault outage/a_host_that_loses_power_takes_no_leave $lab 'compute1[a-z.]* was to be silent, and answers'

# Without templates the hosts are started again, whatever was asked to serve all; what comes after finds them whole.
hostbed test --accel tcg --quiet --cold --isolate=none "$source_dir/topologies/$lab.xml" -s 'compute0/outage/*power*' \
    -s 'compute0/network/hosts_answer*' -s 'compute0/outage/*hangs*' >"$out" 2>"$err"
is "other suites find the neighbour again" "$? $(sed -n 's|^ok [0-9]* - .*/\([a-z]*/[a-z_]*\)$|\1|p' "$out" | grep -v '^manifest' | LC_ALL=C sort | paste -sd' ')" \
    "0 network/hosts_answer_on_each_network outage/a_host_that_hangs_answers_when_it_goes_on outage/a_host_that_loses_power_takes_no_leave"
done_testing
