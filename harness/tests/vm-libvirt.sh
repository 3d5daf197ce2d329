#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The article to its end: in its machine, with a distribution, libvirt sees what was asked for and gives a function to a
# guest. From nothing but packages, in one command. vm-libvirt-faults.sh makes its cases fail.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
emulator=$(command -v qemu-system-x86_64)
[ -n "$emulator" ] || skip_all "qemu-system-x86_64 is not there"
make_wrapper "$emulator"
lab=$source_dir/topologies/berrange-2017-libvirt.xml

[ -n "${HOSTBED_DEMANDS-}" ] || needs_image_of "$lab"

passes libvirt berrange-2017-libvirt devices_hang_as_asked nics_are_described capabilities_have_every_node \
    the_host_validates a_guest_gets_a_function_and_gives_it_back
done_testing
