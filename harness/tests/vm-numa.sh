#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each case of the suites about nodes and their memory passes on the lab that it is for; of suite numa, vm-labs.sh sees to
# that. docs/suites.rst has the table, and vm-numa-faults.sh makes them fail.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
emulator=$(emulators | head -n 1)
[ -n "$emulator" ] || skip_all "qemu-system-x86_64 is not there"
make_wrapper "$emulator"

# ---- numa-moves -----------------------------------------------------------------------------------

passes numa-moves memory-only-cpu-only memory_cannot_be_bound_where_there_is_none \
    pages_move_to_and_from_memory_without_cpus
passes numa-moves 4cell-asymmetric a_bound_task_allocates_on_its_node a_preferring_task_allocates_on_its_node \
    an_interleaving_task_takes_turns a_local_policy_follows_the_cpu a_policy_of_memory_outranks_the_tasks \
    pages_move_on_request a_tasks_memory_moves_as_a_whole a_new_binding_moves_pages \
    balancing_brings_pages_to_their_task

# What the kernel does not let be seen or set is no failure of the machine.
run_suite kernel_word=debugfs=off numa-moves 4cell-asymmetric
is "without debugfs balancing is not tried" "$status" 0
has "but skipped" "$out" '/balancing_brings_pages_to_their_task # SKIP'
has "with the reason" "$out" 'balancing cannot be hurried: there is no /sys/kernel/debug/sched'

# ---- numa-cpus ------------------------------------------------------------------------------------

passes numa-cpus memory-attributes tasks_run_where_they_are_told offline_cpus_leave_their_node \
    offline_cpus_send_their_tasks_away interrupts_start_near_to_their_device interrupts_go_where_they_are_told

# This NIC is up, so its interrupts have to be brought back with their CPU, the only one of its node, and may not be
# sent elsewhere before they are: the suite finds them there when it runs again in the same host. Linux 6.12 takes longer
# to let go of them.
cat >"$tap_dir/late.xml" <<'EOF'
<lab xmlns="urn:hostbed:lab:1" name="late">
  <network id="n"/>
  <host name="h">
    <iommu model="intel"/>
    <cell cpus="0-1" memory="320 MiB"/>
    <cell cpus="2" memory="256 MiB"><expander><port><nic network="n"/></port></expander></cell>
  </host>
  <host name="peer"><cell cpus="0" memory="256 MiB"/><nic network="n"/></host>
</lab>
EOF
suite=$build_dir/vmtests/suites/numa-cpus
cat >"$tap_dir/again" <<EOF
#!/bin/sh
for i in 1 2 3 4 5; do
    $suite >/first 2>&1 || { cat /first; exit 1; }
done
exec $suite
EOF
chmod +x "$tap_dir/again"
for kernel in '' ${HOSTBED_SECOND_KERNEL:+"$HOSTBED_SECOND_KERNEL"}; do
    HOSTBED_KERNEL=$kernel hostbed test --accel tcg --quiet --emulator "$emulator" --with "$suite" \
        --suite "$tap_dir/again" "$tap_dir/late.xml" >"$out" 2>"$err"
    is "what numa-cpus did to a host it undoes${kernel:+, with the second kernel}" \
        "$? $(grep '^ok .*/h/again/' "$out" | grep -vc SKIP) $(grep '^not ok' "$out")" '0 5 '
done
[ -n "${HOSTBED_SECOND_KERNEL-}" ] || skip "what it undoes with the second kernel" "there is none (build-aux/second-kernel)"

# ---- hugepages ------------------------------------------------------------------------------------

passes hugepages 2socket-smt-hugepages pools_are_as_asked pools_are_free_at_start pages_come_from_their_node \
    pages_have_their_size pools_are_resized_on_their_node pages_in_use_are_not_taken_away pages_move_to_another_pool
done_testing
