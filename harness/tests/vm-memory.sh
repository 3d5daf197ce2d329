#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Memory that is plugged into hosts while they are up, with both emulators and both firmwares.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"

out=$tap_dir/out
err=$tap_dir/err
trap 'hostbed down --all >/dev/null 2>&1; rm -rf "$tap_dir"' EXIT
change() { hostbed "$@" >"$out" 2>"$err"; }
node_mib() { hostbed exec l1 -- sh -c "sed -n 's/.*$2: *\\([0-9]*\\) kB/\\1/p' /sys/devices/system/node/node$1/meminfo" | awk '{print int($1 / 1024)}'; }
is_as_asked() {
    change verify l1
    is "$1" "$? $(grep -c '^not ok' "$out")" "0 0"
}

change check "$source_dir/topologies/memory-slots.xml"
has "what slots may take is told apart" "$out" "needs 7[0-9.]* MiB of memory, and for its slots up to 1.5 GiB more"
change up --accel tcg "$source_dir/topologies/memory-slots.xml"
is "a host with slots comes up" $? 0
before=$(node_mib 1 MemTotal)

# ---- what the host gives back by itself
node=$(node_mib 0 MemTotal)
change plug l1 memory size="128 MiB" id=left
hostbed exec l1 -- sh -c 'for each in /sys/bus/acpi/devices/PNP0C80:*; do echo 1 >"$each/eject"; done' 2>"$err"
for _ in {1..300}; do [ "$(node_mib 0 MemTotal)" != "$node" ] || break; done # the host does it when it likes
change plug l1 memory size="128 MiB" id=left
is "memory that the host gave back by itself is plugged again" "$?" 0
is_as_asked "and is there"
change unplug l1 left
is "and leaves again" "$? $(cat "$out")" "0 l1: left is out"

# ---- plug
change plug l1 memory size="256 MiB" cell=1
is "memory comes into a cell" "$? $(cat "$out" "$err")" "0 l1: memory0 is in cell1, 256 MiB on node 1"
is "its node has so much more" "$(($(node_mib 1 MemTotal) - before))" 256
is_as_asked "and the host is what it is to be now"
change plug l1 memory size=256MiB id=memory0
is "it is there already" "$? $(cat "$out")" "0 l1: memory0 is already in cell1, 256 MiB on node 1"
name="a program that is bound to the node has more than was there"
bound=
command -v numactl >/dev/null && bound="numactl --membind=1"
hostbed exec l1 -- sh -c "mount -o remount,size=400m /dev/shm && $bound dd if=/dev/urandom of=/dev/shm/data bs=1M count=300" 2>"$err"
is "memory is written to" $? 0
if [ "$bound" ]; then is "$name" "$(($(node_mib 1 MemUsed) > before))" 1; else skip "$name" "numactl is not installed"; fi

# ---- what does not fit
refuses() { # STATUS SENTENCE WORD…
    local status=$1 sentence=$2
    shift 2
    change "$@"
    is "${*:3} is refused" "$? $(cat "$err")" "$status hostbed: $sentence"
}
refuses 2 "the host has memory of that name already, of another size or in another cell: memory0" plug l1 memory size=128MiB id=memory0
refuses 2 "the host has memory of that name already: memory0" plug l1 nic id=memory0
refuses 2 "100 MiB is no multiple of 128 MiB, the blocks in which Linux takes memory on this host" plug l1 memory size=100MiB
refuses 2 "2 GiB more is too much: the host grows to 2 GiB, of which 1280 MiB are left" plug l1 memory size=2GiB
refuses 2 "the host has no cell 'cell2'; did you mean cell0?" plug l1 memory size=1GiB cell=cell2
refuses 2 "memory is in a cell and behind no port: say cell=1" plug --expander 32 l1 memory size=1GiB
change plug l1 memory size=128MiB cell=cell0 id=more
is "more comes into another cell" "$? $(cat "$out")" "0 l1: more is in cell0, 128 MiB on node 0"
refuses 2 "no slot for memory is free: all that the host has (2) are taken" plug l1 memory size=128MiB
refuses 2 "the id 'hostbed-agent' is taken by the machine itself; choose another" plug l1 memory size=128MiB id=hostbed-agent
refuses 2 "more is memory, which leaves only when the host gives it back; leave --surprise and --untold out" unplug --surprise l1 more
refuses 2 "the host has no device 'memory9'; did you mean memory0?" unplug l1 memory9
refuses 2 "the host has no device 'xyzzyx'; there are cell0.expander0.port0.nic0, memory0, more" unplug --surprise l1 xyzzyx
change save l1 late
is "a host that has grown is not saved" $? 3
is_as_asked "it is as it was"

# ---- unplug
hostbed exec l1 -- truncate -s 150M /dev/shm/data
sum=$(hostbed exec l1 -- md5sum /dev/shm/data)
change unplug l1 memory0
is "memory leaves" "$? $(cat "$out" "$err")" "0 l1: memory0 is out"
is "its node has what it had" "$(node_mib 1 MemTotal)" "$before"
is "what lay in it is still there" "$(hostbed exec l1 -- md5sum /dev/shm/data)" "$sum"
change unplug l1 memory0
is "it is out already" "$? $(cat "$out")" "0 l1: memory0 is out already"
is_as_asked "the host is what it is to be again"

# ---- what is kept: memory that the kernel itself uses
hostbed exec l1 -- sh -c '
    cd /sys/devices/system/memory && block=$(basename "$(ls -d ../node/node0/memory[0-9]* | sort -V | tail -n 1)")
    echo offline >"$block/state" && echo online_kernel >"$block/state" && mkdir /tmp/many && cd /tmp/many &&
    taskset 1 sh -c "i=0; while [ \$i -lt 3000 ]; do : >\$i; i=\$((i + 1)); done"'
is "the kernel of the host takes some for itself" $? 0
for _ in 1 2; do
    change unplug l1 more
    is "the host keeps it" $? 4
    has "and says why" "$err" "^hostbed: the host keeps more: something in it cannot be moved away; "
done
is "each time it was asked" "$(hostbed log --trace-qmp l1 | grep -c '"execute":"device_del","arguments":{"id":"more"}')" 2
is_as_asked "it stays a part of the host"

# ---- a new start
change reset l1
is "a host that is started again" "$? $(node_mib 1 MemTotal)" "0 $before"
is_as_asked "is as the lab is written"
change save l1 small
change plug l1 memory size=256MiB cell=1
change restore l1 small
is "a host that is restored is as large as it was" "$? $(node_mib 1 MemTotal)" "0 $before"
is_as_asked "and that is right"
change plug l1 memory size=256MiB
is "and has its slots" "$? $(cat "$out")" "0 l1: memory0 is in cell0, 256 MiB on node 0"
hostbed qmp l1 object-add '{"qom-type": "memory-backend-ram", "id": "strange-backend", "size": 134217728}' >"$out"
hostbed qmp l1 device_add '{"driver": "pc-dimm", "id": "strange", "memdev": "strange-backend"}' >"$out"
refuses 2 "the emulator has a device 'strange' already, which is none of the lab's; choose another id" \
    plug l1 memory size=128MiB id=strange
change down memory-slots

# ---- other hosts
sed 's|<iommu model="intel"/>|<firmware type="efi"/><iommu model="amd"/>|; s|<cell cpus="1" memory="256 MiB"/>|<cell cpus="1"/>|' \
    "$source_dir/topologies/memory-slots.xml" >"$tap_dir/other.xml"
grows() { # NAME OPTION…
    local name=$1
    shift
    change up --accel tcg "$@" "$tap_dir/other.xml"
    is "$name comes up" $? 0
    change plug l1 memory size=256MiB cell=1
    is "memory comes to a cell that has none" "$? $(cat "$out" "$err")" "0 l1: memory0 is in cell1, 256 MiB on node 1"
    change unplug l1 memory0
    is "and leaves" "$? $(cat "$out" "$err")" "0 l1: memory0 is out"
    change down memory-slots
}
if [ -e /usr/share/OVMF ] || [ -e /usr/share/edk2 ]; then
    grows "a host with EFI and an AMD IOMMU"
else
    skip "a host with EFI" "there is no EFI firmware (package: ovmf)"
fi
sed -i 's|<firmware type="efi"/>||' "$tap_dir/other.xml"
if [ -n "${HOSTBED_SECOND_EMULATOR-}" ]; then
    grows "one of the second emulator" --emulator "$HOSTBED_SECOND_EMULATOR"
else
    skip "the second emulator" "there is none"
fi
sed -i 's|model="amd"|model="intel"|' "$tap_dir/other.xml"
grows "a clone of a template" --warm
done_testing
