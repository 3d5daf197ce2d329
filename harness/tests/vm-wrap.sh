#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# hostbed run around somebody else's command: functions bound for it, and what it is told.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"

labs=$source_dir/topologies
lab=$labs/smallest.xml
out=$tap_dir/out
err=$tap_dir/err
run() { hostbed run --accel tcg "$@"; }

# ---- --bind

# shellcheck disable=SC2016  # for the shell inside
run --bind nic "$lab" -- sh -c 'for i; do echo "$i"; done
    set | grep ^HOSTBED | tr -d "'\''"
    basename "$(readlink /sys/bus/pci/devices/$HOSTBED_BIND_1_ADDRESS/driver)"
    basename "$(readlink /sys/bus/pci/devices/$HOSTBED_BIND_1_ADDRESS/iommu_group)"
    test -c /dev/vfio/$HOSTBED_BIND_1_GROUP && echo group; cat $HOSTBED_FUNCTIONS' \
    - 'x{bind:1.address},{bind:1.group}x' '{bind:addresses} {other} {bind:1.interface}' >"$out" 2>"$err"
is "a command finds a NIC bound to vfio-pci" $? 0
group=$(sed -n 's/^HOSTBED_BIND_1_GROUP=//p' "$out")
has "its address is in the environment" "$out" '^HOSTBED_BIND_1_ADDRESS=0000:21:00.0$'
has "its node is" "$out" '^HOSTBED_BIND_1_NODE=0$'
has "its interface's name is" "$out" '^HOSTBED_BIND_1_INTERFACE=eth0$'
has "its driver is vfio-pci" "$out" '^vfio-pci$'
has "the group's number is the kernel's" "$out" "^${group:-none}$"
has "the group can be opened" "$out" '^group$'
has "arguments have it in place of their place-holders" "$out" "^x0000:21:00.0,${group}x$"
has "other braces are left alone" "$out" '^0000:21:00.0 \{other\} eth0$'
has "all functions are listed" "$out" '^0000:21:00.0 node=0 interface=eth0 id=cell0.expander0.port0.nic0 cell=cell0 model=e1000e$'

# shellcheck disable=SC2016
run --bind 21:00.0 "$labs/merged-groups.xml" -- sh -c 'echo $HOSTBED_BIND_COUNT; for i in 21 22 41; do
    basename "$(readlink /sys/bus/pci/devices/0000:$i:00.0/driver)"; done' >"$out" 2>"$err"
is "what shares a group is bound with it, and nothing else" "$(paste -sd' ' "$out")" "1 vfio-pci vfio-pci e1000e"

# refused NAME STATUS PATTERN ARGUMENT…: before anything is started
refused() {
    local name=$1 status=$2 pattern=$3
    shift 3
    run --log-dir "$tap_dir/logs" "$@" >"$out" 2>"$err"
    is "$name: status $status" $? "$status"
    has "$name: said" "$err" "$pattern"
    [ ! -d "$tap_dir/logs" ] || not_ok "$name: a host was started"
}
refused "more NICs than there are" 2 "^hostbed: --bind nic:2: there is 1: 0000:21:00.0" --bind nic:2 "$lab" -- true
refused "no selector" 2 "is no WHAT" --bind nic: "$lab" -- true
refused "a place-holder for nothing" 2 "N from 1 to 1" --bind nic "$lab" -- echo '{bind:2.address}'
refused "a place-holder without --bind" 2 "no --bind was given" "$lab" -- echo '{bind:1.address}'

# A kernel without the IOMMU that the plan counts on.
sed 's,<iommu model="intel"/>,&<kernel cmdline="intel_iommu=off"/>,' "$lab" >"$tap_dir/off.xml"
run --bind nic "$tap_dir/off.xml" -- echo started >"$out" 2>"$err"
is "a function that vfio-pci does not take: status 8" $? 8
has "a function that vfio-pci does not take: said" "$err" \
    '^hostbed: functions cannot be bound to vfio-pci: 0000:21:00.0: '
is "and the command was not started" "$(cat "$out")" ""
done_testing
