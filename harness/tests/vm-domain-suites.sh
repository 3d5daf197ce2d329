#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# All suites pass in hosts that libvirt starts, as they do in others. An emulator of libvirt's has a thread for each CPU, with
# which QEMU's plain emulation ends now and then (docs/facts.rst), so that a host is started again.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?run this by make check-vm-long}/harness/tests/tap.sh"
. "$source_dir/harness/tests/libvirtd.sh"

# Of root's cache: the image for suite libvirt, and the emulator that has igb. Others have a cache of their own.
bring() {
    [ "$(id -u)" = 0 ] || return 0
    ! has_image_of "$source_dir/topologies/berrange-2017-libvirt.xml" || cp -a "$shared_cache/images" "$tap_dir/cache/hostbed/"
    [ -z "${HOSTBED_SECOND_EMULATOR-}" ] ||
        cp -r "$(dirname "$(readlink -f "$HOSTBED_SECOND_EMULATOR")")" "$tap_dir/theirs/emulator"
}
for_libvirt "$source_dir/harness/tests/vm-domain-suites.sh" bring
start_libvirtd
with_igb=$(emulators | tail -n 1)
[ ! -e "${TMPDIR-}/emulator" ] || with_igb=$TMPDIR/emulator/qemu-system-x86_64

# all_pass LAB SUITE [OPTION…]: what is skipped there is skipped without libvirt, too; only igb no emulator may have
all_pass() {
    local lab=$1 suite=$2 status passed
    shift 2
    hostbed test --accel tcg --connect "$uri" --retry 3 "$@" --log-dir "$tap_dir/logs" -s "$suite" "$source_dir/topologies/$lab.xml" \
        >"$tap_dir/out" 2>"$tap_dir/err"
    status=$?
    passed=$(grep -c "^ok [0-9]* - $lab/[^/]*/$suite/[^#]*$" "$tap_dir/out")
    if [ $status = 0 ] && [ "$passed" -gt 0 ]; then
        ok "suite $suite on $lab: $passed results"
    elif [ $status = 3 ] && [ "$lab" = igb-vfs ]; then
        skip "suite $suite on $lab" "$(sed -n 's/^# unsupported: //p' "$tap_dir/out" | head -n 1)"
    else
        echo "status $status" >>"$tap_dir/err"
        not_ok "suite $suite on $lab" "$tap_dir/out" "$tap_dir/err"
    fi
}

all_pass 4cell-asymmetric numa
all_pass 4cell-asymmetric numa-moves
all_pass 4cell-asymmetric numa-cpus
all_pass berrange-2017 pci
all_pass berrange-2017 iommu
all_pass 2socket-smt-hugepages hugepages
all_pass vfio vfio
all_pass berrange-2017 dma
all_pass igb-vfs sriov --emulator "$with_igb"
all_pass berrange-2017 aer
all_pass hotplug disk
all_pass hotplug hotplug
all_pass memory-slots memory
all_pass nested nested
all_pass two-computes network
all_pass two-computes outage
all_pass migration migration
# There, or made now.
if has_image_of "$source_dir/topologies/berrange-2017-libvirt.xml"; then
    all_pass berrange-2017-libvirt libvirt
else
    skip "suite libvirt on berrange-2017-libvirt" "$why"
fi
is "no domain is left" "$(virsh list --all --name)" ""

# A suite that is in none of these lines is not known to pass.
hostbed test --list "$source_dir"/topologies/{4cell-asymmetric,berrange-2017,vfio,migration,memory-slots}.xml 2>/dev/null |
    sed -n 's|^[^/]*/[^/]*/\([a-z-]*\)/.*|\1|p' | sort -u >"$tap_dir/all"
sed -n 's/^ *all_pass [^ ]* \([a-z-]*\).*/\1/p' "$source_dir/harness/tests/vm-domain-suites.sh" | sort -u >"$tap_dir/tried"
is "each suite was tried" "$(grep -vxF -f "$tap_dir/tried" "$tap_dir/all" | grep -vx manifest)" ""
done_testing
