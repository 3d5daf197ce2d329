#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The options of the Intel IOMMU, each combination in a host of its own: its registers show them, the kernel
# makes of them what it should, and so do users of VFIO.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"

make_lab() { # INTREMAP CACHING-MODE AW-BITS IOTLB WORDS-OF-THE-KERNEL [MORE ATTRIBUTES]
    cat >"$tap_dir/options.xml" <<XML
<lab xmlns="urn:hostbed:lab:1" name="options">
  <host name="l1">
    <kernel cmdline="${5:-quiet}"/>
    <iommu model="intel" intremap="$1" caching-mode="$2" aw-bits="$3" iotlb="$4" ${6-}/>
    <cell cpus="0" memory="512 MiB"><expander><port><nic/></port></expander></cell>
    <cell cpus="1" memory="512 MiB"><expander><port><nic model="virtio"/></port></expander></cell>
  </host>
</lab>
XML
}

# Of the cases that depend on the options, those that must not be skipped with them.
cases_for() { # INTREMAP WORDS-OF-THE-KERNEL
    echo iommu/interrupts_are_remapped_as_asked vfio/addresses_end_at_the_asked_width
    [ "$1" = on ] && echo vfio/msix_is_delivered_by_vector || echo vfio/interrupts_that_are_not_remapped_are_refused
    case $2 in
    *strict*) echo iommu/domains_are_of_the_kind_asked_for iommu/groups_are_translated ;;
    *passthrough*) echo iommu/domains_are_of_the_kind_asked_for ;;
    *) echo iommu/groups_are_translated ;;
    esac
}

# try EMULATOR INTREMAP CACHING-MODE AW-BITS IOTLB WORDS
try() {
    local emulator=$1 name skipped=
    shift
    name="intremap $1, caching mode $2, $3 bits, device IOTLB $4, kernel '$5' on $(emulator_version "$emulator")"
    make_lab "$@"
    hostbed test --accel tcg --emulator "$emulator" --log-dir "$tap_dir/log" "$tap_dir/options.xml" manifest iommu \
        vfio/addresses_end_at_the_asked_width vfio/interrupts_that_are_not_remapped_are_refused \
        vfio/msix_is_delivered_by_vector >"$tap_dir/out" 2>"$tap_dir/err"
    local status=$?
    for case in $(cases_for "$1" "$5"); do
        grep -q "^ok [0-9]* - options/l1/$case\$" "$tap_dir/out" || skipped="$skipped $case"
    done
    if [ $status = 0 ] && [ -z "$skipped" ]; then
        ok "$name"
    else
        { grep -v '^ok .*/manifest/' "$tap_dir/out"; echo "status $status, not passed:$skipped"; } >"$tap_dir/bad"
        not_ok "$name" "$tap_dir/bad" "$tap_dir/err"
    fi
    rm -rf "$tap_dir/log"
}

# Interrupts with x2APIC ids need an emulator that has x2APICs; one that does not is refused beforehand.
try_eim() { # EMULATOR
    local what
    what="EIM on $(emulator_version "$1")"
    make_lab on off 48 off quiet 'eim="on"'
    hostbed test --accel tcg --emulator "$1" --log-dir "$tap_dir/log" "$tap_dir/options.xml" manifest iommu \
        >"$tap_dir/out" 2>"$tap_dir/err"
    local status=$?
    if [ $status = 3 ] &&
        grep -q 'unsupported: .*options.xml:4: eim="on" needs KVM with this emulator' "$tap_dir/out"; then
        ok "$what is refused by name before a host is started"
    elif [ $status = 0 ] && hostbed show -f manifest --emulator "$1" "$tap_dir/options.xml" | grep -qx 'iommu eim' &&
        grep -q '^ok .*/manifest/iommu$' "$tap_dir/out"; then
        ok "$what is in the unit's registers"
    else
        echo "status $status" >>"$tap_dir/err"
        not_ok "$what" "$tap_dir/out" "$tap_dir/err"
    fi
    rm -rf "$tap_dir/log"
}

last=$(emulators | tail -n 1)
[ -n "$last" ] || skip_all "qemu-system-x86_64 is not there"
kernels=("" "iommu.strict=1" "iommu.strict=0" "iommu.passthrough=1")
number=0
for intremap in on off; do for caching in on off; do for width in 39 48; do for iotlb in on off; do
    # With either value of each option comes each kind of domain.
    kernel=${kernels[(number + number / 4) % 4]}
    try "$last" $intremap $caching $width $iotlb "$kernel"
    # Older emulators: half of them, with either value of each pair of options.
    if [ $(((number ^ number / 2 ^ number / 4 ^ number / 8) % 2)) = 0 ]; then
        for emulator in $(emulators | sed '$d'); do try "$emulator" $intremap $caching $width $iotlb "$kernel"; done
    fi
    number=$((number + 1))
done; done; done; done
for emulator in $(emulators); do try_eim "$emulator"; done
done_testing
