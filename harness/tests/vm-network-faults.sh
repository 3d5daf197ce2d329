#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each case of the suite network fails, and no other, when something is wrong. docs/suites.rst has the table.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
[ -n "$(emulators)" ] || skip_all "qemu-system-x86_64 is not there"

make_wrapper "$(emulators | tail -n 1)"
host=compute0
lab=two-computes
fault network/hosts_are_found_by_name $lab 'compute1.tenants is found at 10.100.0.2, asked was 192.0.2.1'
fault network/hosts_answer_on_each_network $lab 'compute1.tenants does not answer at 10.100.0.2'
fault network/connections_carry_data $lab 'compute1.tenants gives back other data than it got'
fault network/networks_do_not_mix $lab 'a frame that was sent on another came to compute1 on tenants'
fault network/a_link_goes_down_and_comes_back $lab 'compute1.tenants answers over eth[0-9]*, whose link is down'
fault network/frames_are_lost_as_asked $lab 'of 600 frames on tenants, 600 came to compute1; about 420 were to'
fault network/nobody_else_is_heard $lab "'heard [0-9a-f]* compute1 tenants tenants' came on tenants"
fault network/connections_outlive_the_checkpoint $lab 'the connections that were kept are of no use any more'
fault network/connections_outlive_a_lost_link $lab 'the connections that were kept are of no use any more'
done_testing
