#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The suite vfio passes on the article's machine and on labs made for it, on every emulator here.
# (vm-vfio-faults.sh shows that its cases can fail.) docs/suites.rst has the table.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
[ -n "$(emulators)" ] || skip_all "qemu-system-x86_64 is not there"

everywhere="function_is_bound_and_given_back group_is_viable_beside_bridges group_is_opened_once
    container_is_of_type1 page_sizes_are_the_units interrupt_window_takes_no_mapping
    overlapping_mappings_are_refused misaligned_mappings_are_refused mappings_are_unmapped_whole
    mappings_are_counted locked_memory_is_limited regions_are_the_bars registers_are_mapped_and_read
    configuration_is_read_and_written_through base_addresses_are_not_the_users msi_is_delivered
    msix_is_delivered_by_vector msix_vector_is_masked interrupt_moves_to_another_cpu
    function_reset_restores_registers hot_reset_names_the_functions_of_the_bus hot_reset_needs_all_groups"
for candidate in $(emulators); do
    make_wrapper "$candidate"
    # shellcheck disable=SC2086 # words
    {
        passes vfio berrange-2017 $everywhere addresses_end_at_the_asked_width
        passes vfio vfio $everywhere addresses_end_at_the_asked_width intx_is_delivered intx_is_masked \
            group_with_a_function_of_the_host_is_refused hot_reset_hits_each_function_of_a_device
        passes vfio merged-groups $everywhere group_with_a_function_of_the_host_is_refused
        passes vfio iommu-intel-options $everywhere interrupts_that_are_not_remapped_are_refused
        passes vfio iommu-amd $everywhere interrupts_that_are_not_remapped_are_refused
    }
done
done_testing
