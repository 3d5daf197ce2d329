#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each case of the suite libvirt fails where something is wrong. docs/suites.rst has the table.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
emulator=$(command -v qemu-system-x86_64)
[ -n "$emulator" ] || skip_all "qemu-system-x86_64 is not there"
make_wrapper "$emulator"
lab=$source_dir/topologies/berrange-2017-libvirt.xml

[ -n "${HOSTBED_DEMANDS-}" ] || needs_image_of "$lab"

fault libvirt/devices_hang_as_asked berrange-2017-libvirt 'asked was pci_0000_00_00_0'
fault libvirt/nics_are_described berrange-2017-libvirt "asked was \"pci_0000_b4_00_0 0x8086 0x10d3 '7' e1000e\""
fault libvirt/capabilities_have_every_node berrange-2017-libvirt 'libvirt has 3 nodes, asked were 4'
fault libvirt/the_host_validates berrange-2017-libvirt 'virt-host-validate: .*PASS'
fault libvirt/a_guest_gets_a_function_and_gives_it_back berrange-2017-libvirt '0000:df:00.0 was assigned, which has 52:54:00:7e:6e:e8'
done_testing
