#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every lab that ships is booted on every emulator here and is the machine that was asked for.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"
# shellcheck disable=SC1091
. "$source_dir/harness/tests/demands.sh"

# What a machine like this cannot do, by name. Anything else that is unsupported is a failure.
may_be_unsupported() { # LAB EMULATOR-VERSION
    case "$1 $2" in
    "igb 7."* | "igb-vfs 7."* | "nested-igb 7."* | "device-only-cell 7."*) return 0 ;; # the device came later
    "efi "*) [ ! -e /usr/share/OVMF ] && [ ! -e /usr/share/edk2 ] ;; # a package of its own
    "uplink "*) [ ! -x "$build_dir/harness/hostbed-uplink" ] ;; # libslirp
    "iommu-virtio "*) return 0 ;;                   # the kernel may lack CONFIG_VIRTIO_IOMMU
    *) return 1 ;;
    esac
}

# LAB: cases that have to pass there, and not to be skipped; docs/suites.rst has the tables.
demanded() {
    case $1 in
    berrange-2017)
        echo pci/{every_function_is_there,no_other_function_is_there,functions_are_of_their_kind} \
            pci/{functions_are_below_their_port,functions_are_on_their_node,functions_are_near_to_their_cpus} \
            pci/{functions_have_their_driver,links_are_up} \
            iommu/{remapping_is_active,interrupts_are_remapped_as_asked,every_function_is_in_a_group} \
            iommu/{groups_have_their_members,groups_are_translated,the_interrupt_window_is_reserved}
        ;;
    smallest) echo pci/configuration_space_is_readable ;;
    memory-only-cpu-only) echo numa/every_node_is_online ;;
    2socket-smt-hugepages) echo numa/cpus_belong_to_their_nodes ;;
    memory-attributes) echo numa/memory_is_within_the_kernels_reserve ;;
    4cell-asymmetric)
        echo numa/{distances_are_as_asked,bound_memory_is_on_its_node,preferred_memory_is_on_its_node} \
            numa/{first_touch_is_local,interleaved_memory_is_on_all_nodes}
        ;;
    esac
}
demanded_suites() { # LAB: as options, a word a line
    printf -- '-s\n%s\n' manifest
    demanded "$1" | tr ' ' '\n' | sed -n 's|/.*||p' | sort -u | sed 's/^/-s\n/'
}
if [ -n "${HOSTBED_DEMANDS-}" ]; then
    for lab in "$source_dir"/topologies/*.xml; do
        name=$(basename "$lab" .xml)
        for case in $(demanded "$name"); do passes "${case%/*}" "$name" "${case#*/}"; done
    done
    exit 0
fi

# Those that did not pass, of the last run of LAB
missing() {
    local case
    for case in $(demanded "$1"); do
        grep -qx "ok [0-9]* - $1/[^/]*/$case" "$tap_dir/out" || echo "$case was to pass, and did not"
    done
}

# With the first emulator the suites of what every host has: the others have scripts and labs of their own. With the
# second, which make soak tries as long, the labs that are there for a case, or that the first one cannot be.
selection=(-s manifest -s pci -s iommu -s 'numa*' -s hugepages)
impossible=' '
for emulator in $(emulators); do
    version=$(emulator_version "$emulator")
    for lab in "$source_dir"/topologies/*.xml; do
        name=$(basename "$lab" .xml)
        grep -q '<image' "$lab" && continue # minutes to prepare: vm-os.sh
        if [ "$emulator" != "$(emulators | head -n 1)" ]; then
            [ -n "$(demanded "$name")" ] || [[ $impossible == *" $name "* ]] || continue
            mapfile -t selection < <(demanded_suites "$name")
        fi
        hostbed test --accel tcg --emulator "$emulator" "${selection[@]}" \
            --log-dir "$tap_dir/$name" "$lab" >"$tap_dir/out" 2>"$tap_dir/err"
        status=$?
        passed=$(grep -c '^ok ' "$tap_dir/out")
        missing "$name" >"$tap_dir/missing"
        if [ $status = 0 ] && [ "$passed" -gt 0 ] && [ ! -s "$tap_dir/missing" ]; then
            ok "$name on $version: $passed results"
        elif [ $status = 3 ] && may_be_unsupported "$name" "$version"; then
            why=$(sed -n 's/^# unsupported: //p' "$tap_dir/out" | head -n 1)
            skip "$name on $version" "$why"
            impossible+="$name "
        else
            grep -v '^ok ' "$tap_dir/out" | cat - "$tap_dir/missing" >"$tap_dir/bad"
            echo "status $status" >>"$tap_dir/bad"
            not_ok "$name on $version" "$tap_dir/bad" "$tap_dir/err"
        fi
        rm -rf "${tap_dir:?}/$name"
    done
done
done_testing
