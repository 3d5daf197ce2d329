#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What this machine's own kernel may not have: iommufd and virtio's IOMMU, with the kernel that check-all unpacked
# beside it; and what only a later kernel does with AMD's. docs/suites.rst has the table.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"
# shellcheck disable=SC1091
. "$source_dir/harness/tests/demands.sh"
[ -n "$(emulators)" ] || skip_all "qemu-system-x86_64 is not there"
[ -n "${HOSTBED_SECOND_KERNEL-}" ] || skip_all "there is no kernel with iommufd (build-aux/second-kernel)"

# What these cases need every lab here has.
mappings="interrupt_window_takes_no_mapping overlapping_mappings_are_refused misaligned_mappings_are_refused
    mappings_are_counted msi_is_delivered msix_is_delivered_by_vector function_reset_restores_registers"
iommufd="iommufd_leaves_out_the_interrupt_window iommufd_refuses_overlaps iommufd_refuses_misaligned_mappings
    iommufd_delivers_msix iommufd_resets_the_function"
groups="every_function_is_in_a_group groups_have_their_members groups_are_translated the_interrupt_window_is_reserved
    remapping_is_active"
frames="frames_go_by_io_addresses mappings_of_4_kib_are_reached memory_of_each_node_is_reached
    frames_are_counted_by_the_nic unmapped_memory_is_not_written unmapped_memory_is_not_read
    read_only_memory_is_not_written containers_do_not_share_memory mappings_change_under_traffic"
reports="blocked_writes_are_reported blocked_reads_are_reported"

# cases SUITE CASE…: as they are named
cases() { printf "$1/%s\n" "${@:2}"; }

# all_pass EMULATOR LAB-FILE SUITE/CASE…: the suites of these cases pass in one host, and none of the cases is skipped
all_pass() {
    local lab name suites case
    lab=$(basename "$2" .xml)
    if [ -n "${HOSTBED_DEMANDS-}" ]; then
        for case in "${@:3}"; do passes "${case%/*}" "$lab" "${case#*/}"; done
        return
    fi
    mapfile -t suites < <(printf '%s\n' "${@:3}" | cut -d / -f 1 | uniq)
    name="${suites[*]} on $lab, $(emulator_version "$1")"
    hostbed test --accel tcg --quiet --emulator "$1" --kernel "$HOSTBED_SECOND_KERNEL" "$2" manifest "${suites[@]}" \
        >"$tap_dir/out" 2>"$tap_dir/err"
    is "$name: passes" "$? $(grep '^not ok' "$tap_dir/out")" "0 "
    shift 2
    none_skipped "$name: skips none of its cases" "$tap_dir/out" "$tap_dir/err" "${@/#/$lab/l1/}"
}

amd=$source_dir/topologies/iommu-amd.xml
remapped=$tap_dir/iommu-amd-intremap.xml
sed 's|<iommu model="amd"/>|<iommu model="amd" intremap="on"/>|; s|name="iommu-amd"|name="iommu-amd-intremap"|' "$amd" >"$remapped"
last=$(emulators | tail -n 1)
# shellcheck disable=SC2046,SC2086 # words
for emulator in $(emulators); do
    # What does not depend on the emulator is tried on one.
    [ "$emulator" = "$last" ] && more=$(cases dma $frames $reports) || more=
    all_pass "$emulator" "$source_dir/topologies/vfio.xml" $(cases vfio $mappings intx_is_delivered $iommufd \
        iommufd_ends_at_the_asked_width iommufd_delivers_intx)
    all_pass "$emulator" "$source_dir/topologies/iommu-virtio.xml" pci/every_function_is_there \
        $(cases iommu $groups) $(cases vfio $mappings $iommufd) $more
done
# shellcheck disable=SC2046,SC2086 # words
{
    all_pass "$last" "$amd" $(cases iommu $groups) $(cases dma $frames)
    all_pass "$last" "$remapped" $(cases iommu $groups) $(cases vfio $mappings $iommufd)
}
done_testing
