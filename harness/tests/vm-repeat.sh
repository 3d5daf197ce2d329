#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# All suites on labs that were made for them, ten times in a row, without a second try and each time in a host started
# anew: no case passes now and fails then. A start that had to be repeated counts, since there is none.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?run this by make soak}/harness/tests/tap.sh"
[ -n "$(emulators)" ] || skip_all "qemu-system-x86_64 is not there"

repeat=${HOSTBED_SOAK_REPEAT:-10}
# A lab, and the suites for whose sake it is there; so no case is skipped everywhere.
labs() { # EMULATOR-VERSION
    cat <<'LABS'
berrange-2017 pci iommu numa vfio
4cell-asymmetric numa numa-moves
memory-only-cpu-only numa numa-moves
memory-attributes numa numa-cpus
2socket-smt-hugepages numa-cpus hugepages dma
vfio vfio
iommu-intel-options iommu vfio
hotplug hotplug
nested nested
nested-linux nested
LABS
    case $1 in 7.*) ;; *) printf '%s\n' 'igb-vfs sriov' 'nested-igb nested' ;; esac
}

# repeated NAME LAB ARGUMENT…: the suites pass so many times
repeated() {
    local status
    hostbed test -q --no-retry --accel tcg --repeat "$repeat" --log-dir "$tap_dir/logs" \
        "$source_dir/topologies/$2.xml" manifest "${@:3}" >"$tap_dir/tap" 2>"$tap_dir/err"
    status=$?
    grep -A 8 '^not ok' "$tap_dir/tap" | head -n 60 >"$tap_dir/bad"
    if [ $status = 0 ] && [ "$(grep -c 'manifest/groups$' "$tap_dir/tap")" = "$repeat" ] &&
        ! grep -q '^# flaky' "$tap_dir/tap"; then
        ok "$1 passes $repeat times"
    else
        not_ok "$1 passes $repeat times" "$tap_dir/bad" "$tap_dir/err"
    fi
    rm -rf "$tap_dir/logs"
}

for emulator in $(emulators); do
    version=$(emulator_version "$emulator")
    while read -r lab suites; do
        # shellcheck disable=SC2086 # words
        repeated "$lab with QEMU $version" "$lab" --emulator "$emulator" $suites
    done < <(labs "$version")
    [ -n "${HOSTBED_SECOND_KERNEL-}" ] || continue
    # iommufd, and virtio's IOMMU
    for lab in vfio iommu-virtio; do
        repeated "$lab with QEMU $version and the second kernel" "$lab" --emulator "$emulator" \
            --kernel "$HOSTBED_SECOND_KERNEL" vfio
    done
done
[ -n "${HOSTBED_SECOND_KERNEL-}" ] || skip "suites with the second kernel" "there is none (build-aux/second-kernel)"
done_testing
