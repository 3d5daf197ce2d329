#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every lab that ships is booted on every emulator here and is the machine that was asked for.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"

# What a machine like this cannot do, by name. Anything else that is unsupported is a failure.
may_be_unsupported() { # LAB EMULATOR-VERSION
    case "$1 $2" in
    "igb 7."* | "igb-vfs 7."* | "device-only-cell 7."*) return 0 ;; # the device came later
    "efi "*) [ ! -e /usr/share/OVMF ] && [ ! -e /usr/share/edk2 ] ;; # a package of its own
    "iommu-virtio "*) return 0 ;;                   # the kernel may lack CONFIG_VIRTIO_IOMMU
    *) return 1 ;;
    esac
}

for emulator in $(emulators); do
    version=$(emulator_version "$emulator")
    for lab in "$source_dir"/topologies/*.xml; do
        name=$(basename "$lab" .xml)
        # All suites but vfio, dma, nested and hotplug, which take long and have scripts and labs of their own.
        hostbed test --accel tcg --emulator "$emulator" -s '[!vdnh]*' -s 'numa*' -s hugepages \
            --log-dir "$tap_dir/$name" "$lab" >"$tap_dir/out" 2>"$tap_dir/err"
        status=$?
        passed=$(grep -c '^ok ' "$tap_dir/out")
        if [ $status = 0 ] && [ "$passed" -gt 0 ]; then
            ok "$name on $version: $passed results"
        elif [ $status = 3 ] && may_be_unsupported "$name" "$version"; then
            why=$(sed -n 's/^# unsupported: //p' "$tap_dir/out" | head -n 1)
            skip "$name on $version" "$why"
        else
            grep -v '^ok ' "$tap_dir/out" >"$tap_dir/bad"
            echo "status $status" >>"$tap_dir/bad"
            not_ok "$name on $version" "$tap_dir/bad" "$tap_dir/err"
        fi
        rm -rf "${tap_dir:?}/$name"
    done
done
done_testing
