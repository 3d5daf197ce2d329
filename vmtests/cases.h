/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The cases of each suite, in the order in which they run. The suite's program is made of
 * this list, and the harness knows from it what can be selected before there is a host.
 * A case here that is not written does not compile, nor, with -Werror, one that is
 * written and not here.
 */
#pragma once

/* clang-format off */
#define NUMA_CASES(CASE) \
    CASE(every_node_is_online) \
    CASE(cpus_belong_to_their_nodes) \
    CASE(distances_are_as_asked) \
    CASE(memory_is_within_the_kernels_reserve) \
    CASE(bound_memory_is_on_its_node) \
    CASE(preferred_memory_is_on_its_node) \
    CASE(first_touch_is_local) \
    CASE(interleaved_memory_is_on_all_nodes)

#define NUMA_MOVES_CASES(CASE) \
    CASE(a_bound_task_allocates_on_its_node) \
    CASE(a_preferring_task_allocates_on_its_node) \
    CASE(an_interleaving_task_takes_turns) \
    CASE(a_local_policy_follows_the_cpu) \
    CASE(a_policy_of_memory_outranks_the_tasks) \
    CASE(memory_cannot_be_bound_where_there_is_none) \
    CASE(pages_move_on_request) \
    CASE(a_tasks_memory_moves_as_a_whole) \
    CASE(a_new_binding_moves_pages) \
    CASE(pages_move_to_and_from_memory_without_cpus) \
    CASE(balancing_brings_pages_to_their_task)

#define NUMA_CPUS_CASES(CASE) \
    CASE(tasks_run_where_they_are_told) \
    /* Before CPUs go offline: without remapping an interrupt returns when it next comes. */ \
    CASE(interrupts_start_near_to_their_device) \
    CASE(offline_cpus_leave_their_node) \
    CASE(offline_cpus_send_their_tasks_away) \
    CASE(interrupts_go_where_they_are_told)

#define PCI_CASES(CASE) \
    CASE(every_function_is_there) \
    CASE(no_other_function_is_there) \
    CASE(functions_are_of_their_kind) \
    CASE(functions_are_below_their_port) \
    CASE(functions_are_on_their_node) \
    CASE(functions_are_near_to_their_cpus) \
    CASE(functions_have_their_driver) \
    CASE(links_are_up) \
    CASE(configuration_space_is_readable)

#define IOMMU_CASES(CASE) \
    CASE(remapping_is_active) \
    CASE(interrupts_are_remapped_as_asked) \
    CASE(every_function_is_in_a_group) \
    CASE(groups_have_their_members) \
    CASE(groups_are_translated) \
    CASE(domains_are_of_the_kind_asked_for) \
    CASE(the_interrupt_window_is_reserved)

#define HUGEPAGES_CASES(CASE) \
    CASE(pools_are_as_asked) \
    CASE(pools_are_free_at_start) \
    CASE(pages_come_from_their_node) \
    CASE(pages_have_their_size) \
    CASE(pools_are_resized_on_their_node) \
    CASE(pages_in_use_are_not_taken_away) \
    CASE(pages_move_to_another_pool)

#define VFIO_CASES(CASE) \
    CASE(function_is_bound_and_given_back) \
    CASE(group_is_viable_beside_bridges) \
    CASE(group_with_a_function_of_the_host_is_refused) \
    CASE(group_is_opened_once) \
    CASE(interrupts_that_are_not_remapped_are_refused) \
    CASE(container_is_of_type1) \
    CASE(page_sizes_are_the_units) \
    CASE(interrupt_window_takes_no_mapping) \
    CASE(addresses_end_at_the_asked_width) \
    CASE(overlapping_mappings_are_refused) \
    CASE(misaligned_mappings_are_refused) \
    CASE(mappings_are_unmapped_whole) \
    CASE(mappings_are_counted) \
    CASE(locked_memory_is_limited) \
    CASE(regions_are_the_bars) \
    CASE(registers_are_mapped_and_read) \
    CASE(configuration_is_read_and_written_through) \
    CASE(base_addresses_are_not_the_users) \
    CASE(intx_is_delivered) \
    CASE(intx_is_masked) \
    CASE(msi_is_delivered) \
    CASE(msix_is_delivered_by_vector) \
    CASE(msix_vector_is_masked) \
    CASE(interrupt_moves_to_another_cpu) \
    CASE(function_reset_restores_registers) \
    CASE(hot_reset_names_the_functions_of_the_bus) \
    CASE(hot_reset_needs_all_groups) \
    CASE(hot_reset_hits_each_function_of_a_device) \
    CASE(iommufd_leaves_out_the_interrupt_window) \
    CASE(iommufd_ends_at_the_asked_width) \
    CASE(iommufd_refuses_overlaps) \
    CASE(iommufd_refuses_misaligned_mappings) \
    CASE(iommufd_delivers_intx) \
    CASE(iommufd_delivers_msix) \
    CASE(iommufd_resets_the_function)

#define DMA_CASES(CASE) \
    CASE(frames_go_by_io_addresses) \
    CASE(mappings_of_4_kib_are_reached) \
    CASE(mappings_of_2_mib_are_reached) \
    CASE(mappings_of_1_gib_are_reached) \
    CASE(memory_of_each_node_is_reached) \
    CASE(frames_are_counted_by_the_nic) \
    CASE(frames_are_counted_outside) \
    CASE(blocked_content_does_not_leave) \
    CASE(unmapped_memory_is_not_written) \
    CASE(unmapped_memory_is_not_read) \
    CASE(blocked_writes_are_reported) \
    CASE(blocked_reads_are_reported) \
    CASE(read_only_memory_is_not_written) \
    CASE(containers_do_not_share_memory) \
    CASE(mappings_change_under_traffic)

#define SRIOV_CASES(CASE) \
    CASE(functions_are_as_many_as_asked) \
    CASE(functions_are_at_their_addresses) \
    CASE(functions_are_on_their_node) \
    CASE(functions_are_in_their_groups) \
    CASE(impossible_numbers_are_refused) \
    CASE(functions_go_and_come_back) \
    CASE(address_set_through_the_physical_function) \
    CASE(drivers_take_functions_side_by_side) \
    CASE(frames_pass_between_functions)

#define AER_CASES(CASE) \
    CASE(corrected_errors_are_counted) \
    CASE(drivers_recover_from_nonfatal_errors) \
    CASE(fatal_errors_reset_the_link) \
    CASE(users_of_vfio_are_told)

#define DISK_CASES(CASE) \
    CASE(reads_of_a_bad_sector_fail) \
    CASE(writes_fail_and_reads_do_not) \
    CASE(flushes_that_fail_are_told) \
    CASE(a_disk_that_is_mended_works) \
    CASE(a_suspended_write_ends_when_resumed) \
    CASE(a_suspended_read_brings_its_data_later)

#define HOTPLUG_CASES(CASE) \
    CASE(a_plugged_function_is_at_its_address) \
    CASE(a_plugged_function_is_on_its_node) \
    CASE(a_plugged_function_is_in_its_group) \
    CASE(a_plugged_function_is_used_through_vfio) \
    CASE(a_function_is_asked_back) \
    CASE(an_unplugged_function_is_gone) \
    CASE(the_host_powers_the_slot_off) \
    CASE(a_torn_out_function_is_gone) \
    CASE(cycles_leave_nothing_behind)

#define MEMORY_CASES(CASE) \
    CASE(plugged_memory_joins_its_node) \
    CASE(what_lies_in_unplugged_memory_moves)

#define NESTED_CASES(CASE) \
    CASE(kvm_runs_guest_code) \
    CASE(guest_drives_its_function) \
    CASE(function_of_a_killed_guest_is_the_hosts_again) \
    CASE(guest_memory_is_huge_pages_of_the_nics_node) \
    CASE(frames_pass_between_guests) \
    CASE(function_is_plugged_into_a_running_guest) \
    CASE(linux_drives_its_function) \
    CASE(frames_pass_between_linux_and_the_host) \
    CASE(linux_takes_a_plugged_function) \
    CASE(linux_drives_a_virtual_function)

#define NETWORK_CASES(CASE) \
    CASE(hosts_are_found_by_name) \
    CASE(hosts_answer_on_each_network) \
    CASE(connections_carry_data) \
    CASE(networks_do_not_mix) \
    CASE(a_link_goes_down_and_comes_back) \
    CASE(frames_are_lost_as_asked) \
    CASE(nobody_else_is_heard) \
    CASE(connections_outlive_the_checkpoint) \
    CASE(connections_outlive_a_lost_link)

#define OUTAGE_CASES(CASE) \
    CASE(a_host_that_hangs_answers_when_it_goes_on) \
    CASE(a_host_that_panics_falls_silent) \
    CASE(a_host_that_loses_power_takes_no_leave)

#define MIGRATION_CASES(CASE) \
    CASE(a_guest_goes_on_in_the_other_host) \
    CASE(a_guest_that_moved_is_gone_where_it_was) \
    CASE(a_guest_moves_to_a_host_that_has_one) \
    CASE(a_cancelled_move_leaves_the_guest) \
    CASE(a_destination_that_dies_leaves_the_guest) \
    CASE(memory_follows_a_guest_that_went_ahead) \
    CASE(a_guest_moves_by_tls) \
    CASE(tls_and_no_tls_are_not_joined) \
    CASE(a_guest_with_a_nic_is_not_moved) \
    CASE(a_guest_changes_its_nic_for_the_other_hosts)

#define LIBVIRT_CASES(CASE) \
    CASE(devices_hang_as_asked) \
    CASE(nics_are_described) \
    CASE(capabilities_have_every_node) \
    CASE(the_host_validates) \
    CASE(a_guest_gets_a_function_and_gives_it_back)
/* clang-format on */
