#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each case of the suite vfio fails, and no other, when something is wrong. docs/suites.rst has the table.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
emulator=$(emulators | tail -n 1)
[ -n "$emulator" ] || skip_all "qemu-system-x86_64 is not there"

make_wrapper "$emulator"
fault vfio/function_is_bound_and_given_back vfio 'went from vfio-pci to vfio-pci, asked was e1000e'
fault vfio/group_is_viable_beside_bridges vfio 'the group of the NIC cannot be opened'
fault vfio/group_with_a_function_of_the_host_is_refused vfio 'is viable, and the host has'
fault vfio/group_is_opened_once vfio 'opening the group again: it was not refused'
fault vfio/interrupts_that_are_not_remapped_are_refused iommu-intel-options 'without remapping: it was not refused'
fault vfio/container_is_of_type1 vfio 'a container without a group takes a type'
fault vfio/page_sizes_are_the_units vfio '4 KiB is not one of them'
fault vfio/interrupt_window_takes_no_mapping vfio 'has reserved addresses, 0xfee00000'
fails narrow_addresses vfio/addresses_end_at_the_asked_width smallest 'the last page of 48 bits'
fault vfio/overlapping_mappings_are_refused vfio 'the same pages again: it was not refused'
fault vfio/misaligned_mappings_are_refused vfio 'an address within a page: it was not refused'
fault vfio/mappings_are_unmapped_whole vfio 'the first of four pages: it was not refused'
fault vfio/mappings_are_counted vfio 'takes 3 more mappings, asked were 4'
fault vfio/locked_memory_is_limited vfio 'one page more than may be locked: it was not refused'
fault vfio/regions_are_the_bars vfio 'region [0-9] has .* bytes, BAR [0-9] was asked with'
fault vfio/registers_are_mapped_and_read vfio 'STATUS is .* when mapped and .* when read'
fault vfio/configuration_is_read_and_written_through vfio 'was cleared through VFIO, and the host sees it set'
fault vfio/base_addresses_are_not_the_users vfio 'BAR 0 was moved'
fault vfio/intx_is_delivered vfio 'INTx does not arrive'
fault vfio/intx_is_masked vfio 'an INTx that is masked arrives'
fault vfio/msi_is_delivered vfio 'MSI does not arrive'
fault vfio/msix_is_delivered_by_vector vfio 'an MSI-X does not arrive'
fault vfio/msix_vector_is_masked vfio 'an MSI-X that is masked arrives'
fault vfio/interrupt_moves_to_another_cpu vfio 'was moved to CPU 1, and came there 0 times'
fault vfio/function_reset_restores_registers vfio 'after the reset the register 00170 is 00005aa5'
fault vfio/hot_reset_names_the_functions_of_the_bus vfio 'does not name'
fault vfio/hot_reset_needs_all_groups vfio 'a hot reset without a group: it was not refused'
fault vfio/hot_reset_hits_each_function_of_a_device vfio 'after the hot reset the register 00170 is 00005aa5'

# Those of iommufd, with a kernel that has it.
if [ -n "${HOSTBED_SECOND_KERNEL-}${HOSTBED_DEMANDS-}" ]; then
    export HOSTBED_KERNEL=$HOSTBED_SECOND_KERNEL
    fault vfio/iommufd_leaves_out_the_interrupt_window vfio 'has reserved addresses, 0xfee00000'
    fault vfio/iommufd_ends_at_the_asked_width vfio 'the page after 38 bits takes a mapping'
    fault vfio/iommufd_refuses_overlaps vfio 'the same pages again: it was not refused'
    fault vfio/iommufd_refuses_misaligned_mappings vfio 'an address within a page: it was not refused'
    fault vfio/iommufd_delivers_intx vfio 'INTx does not arrive'
    fault vfio/iommufd_delivers_msix vfio 'an MSI-X does not arrive'
    fault vfio/iommufd_resets_the_function vfio 'after the reset the register 00170 is 00005aa5'
else
    skip 'the cases of iommufd can fail' 'there is no kernel with iommufd (build-aux/second-kernel)'
fi
done_testing
