#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hosts that are changed while they are up, and compared with their manifests.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"

out=$tap_dir/out
err=$tap_dir/err
trap 'hostbed down --all >/dev/null 2>&1; rm -rf "$tap_dir"' EXIT

hostbed up --accel tcg "$source_dir/topologies/hotplug.xml" >"$out" 2>"$err"
is "a lab with empty ports comes up" $? 0

# ---- verify
hostbed verify l1 >"$out" 2>"$err"
is "it is the host that was asked for" "$? $(grep -c '^not ok' "$out")" "0 0"
has "and each part was looked at" "$out" "^ok [0-9]* - hotplug/l1/manifest/pci 0000:22:00.0"
has "and counted" "$err" "^hostbed: 18 passed, 0 failed, 0 skipped"
hostbed exec l1 -- sh -c 'echo 0000:22:00.0 >/sys/bus/pci/devices/0000:22:00.0/driver/unbind'
hostbed verify --json - --junit "$tap_dir/junit" l1 >"$out" 2>"$err"
is "a host that was altered is another" $? 1
has "as JSON says" "$out" "asked 'pci 0000:22:00.0 driver e1000e', found nothing"
has "and JUnit" "$tap_dir/junit" 'failures="1"'
hostbed exec l1 -- sh -c 'echo 0000:22:00.0 >/sys/bus/pci/drivers/e1000e/bind'
for i in 1 2 3 4; do hostbed verify l1 >"$tap_dir/verify.$i" 2>&1 & done
wait
is "four compare at once" "$(grep -c '^hostbed: 18 passed' "$tap_dir"/verify.? | cut -d: -f2 | paste -sd" ")" "1 1 1 1"
hostbed verify l2 2>"$err"
is "a host that there is not" $? 2
has "is told" "$err" "no host 'l2' is up"

# ---- plug
change() { hostbed "$@" >"$out" 2>"$err"; }
change plug l1 nic
is "a NIC comes into the first free port" "$? $(cat "$out")" \
    "0 l1: cell0.expander0.port0.nic0 is in cell0.expander0.port0, at 0000:21:00.0 on node 0"
is "the host sees it" "$(hostbed exec l1 -- cat /sys/bus/pci/devices/0000:21:00.0/numa_node)" 0
change plug --expander 64 l1 nic model=virtio id=spare mac=52:54:00:aa:bb:01
is "one goes where it is sent to" "$? $(cat "$out")" "0 l1: spare is in cell1.expander0.port0, at 0000:41:00.0 on node 1"
is "with its driver" "$(hostbed exec l1 -- sh -c 'basename $(readlink /sys/bus/pci/devices/0000:41:00.0/driver)')" virtio-pci
is "and its MAC" "$(hostbed exec l1 -- sh -c 'cat /sys/bus/pci/devices/0000:41:00.0/virtio*/net/*/address')" 52:54:00:aa:bb:01
change plug --expander 64 l1 nic model=virtio id=spare
is "it is there already" "$? $(grep -c 'is already in' "$out")" "0 1"
for where in "--expander cell0.expander0" "--port expander0.port0"; do
    # shellcheck disable=SC2086
    change plug $where l1 nic model=virtio id=spare
    is "but not there: ${where% *}" $? 2
    has "as is told" "$err" "spare is in cell1.expander0.port0 .bus 64. already, and not where the ${where#--} says"
done
change plug l1 nvme id=spare
is "another of its name is none" $? 2
has "and told so" "$err" "the host has a nic of that name already: spare"
change plug --expander cell1.expander0 l1 nic
is "a full expander takes none" $? 2
has "and which ports are free is told" "$err" "the expander cell1.expander0 has no free port; free: expander0.port0 .bus 96."
change plug l1 nvme id=disk "size=64 MiB"
is "a disk comes" $? 0
is "with its size" "$(hostbed exec l1 -- sh -c 'cat /sys/block/nvme0n1/size; test -b /dev/nvme0n1 || echo none')" 131072
# Its node comes late, which the host is played.
hostbed exec l1 -- mount -t tmpfs none /dev
change plug l1 nvme id=disk
is "one without a node is told of" $? 4
has "by what is missing" "$err" "disk is in, and its driver has made no disk of it in 30 s$"
hostbed plug l1 nvme id=disk >"$out" 2>&1 &
until ! kill -0 $! 2>/dev/null || hostbed exec l1 -- sh -c 'ps | grep -q "[s]h -c cd /sys/bus/pci"'; do :; done
is "and waited for again" "$(cat "$out")" ""
hostbed exec l1 -- umount /dev
wait $!
is "until it comes" "$? $(cat "$out")" "0 l1: disk is already in expander0.port0, at 0000:61:00.0 on no node"
hostbed verify l1 >"$out" 2>"$err"
is "the host is what it is to be now" "$? $(grep -c '^ok' "$out")" "0 21"
change plug l1 nic
is "a full host takes none" $? 2
has "and is told so" "$err" "the host has no free port"

# ---- unplug
change unplug l1 disk
is "the disk leaves" "$? $(cat "$out")" "0 l1: disk is out"
change unplug l1 disk
is "and is out already" "$? $(cat "$out")" "0 l1: disk is out already"
for i in 1 2; do
    "$build_dir/run" hostbed unplug l1 41:00.0 >"$tap_dir/unplug.$i" 2>&1 &
    "$build_dir/run" hostbed plug --port expander0.port0 l1 nic id=late >"$tap_dir/plug.$i" 2>&1 &
done
wait
is "two that do the same do it once" "$(sort "$tap_dir"/plug.? | cut -d, -f1)" \
    "l1: late is already in expander0.port0
l1: late is in expander0.port0"
is "and one finds it done" "$(sort "$tap_dir"/unplug.? | cut -d";" -f1)" \
    "hostbed: the host has no device '41:00.0'
l1: spare is out"
change unplug l1 cell0.expander0.port1.nic0
is "what was there from the start leaves, too" $? 0
hostbed exec l1 -- sh -c '[ ! -e /sys/bus/pci/devices/0000:22:00.0 ]'
is "and is gone" $? 0
hostbed exec l1 -- sh -c 'echo 1 >/sys/bus/pci/devices/0000:21:00.0/remove'
hostbed verify l1 >"$out" 2>"$err"
is "what the host lost by itself is missed" $? 1
has "by its name" "$out" "^not ok .*pci 0000:21:00.0"
change unplug l1 cell0.expander0.port0.nic0
is "until it is taken out" $? 0
change plug --port cell0.expander0.port1 l1 nic id=cell0.expander0.port1.nic0
is "and comes back" $? 0

# ---- unplug by surprise
change plug --expander 64 l1 nvme id=disk "size=64 MiB"
hostbed exec l1 -- sh -c 'while [ ! -b /dev/nvme0n1 ]; do :; done; dmesg | wc -l >/tmp/lines
    dd if=/dev/nvme0n1 of=/dev/null bs=4k iflag=direct >/tmp/read 2>&1; echo $? >/tmp/status' >/dev/null &
while ! hostbed exec l1 -- pidof dd >/dev/null && kill -0 $!; do :; done
change unplug --surprise l1 disk
is "a disk is torn out while it is read" "$? $(cat "$out")" "0 l1: disk is out"
wait $!
is "whose reader learns of it" "$(hostbed exec l1 -- cat /tmp/status)" 1
hostbed exec l1 -- sh -c 'dmesg | tail -n +$(($(cat /tmp/lines) + 1))' >"$out" # emptied, the log would tell no BARs any more
has "nobody asked the host" "$out" "pciehp: Slot.[0-9]+.: Card not present"
is "nor pressed a button" "$(grep -c button "$out")" 0
change unplug --surprise l1 disk
is "it is out already" "$? $(cat "$out")" "0 l1: disk is out already"
change plug --expander 64 l1 nvme id=disk "size=32 MiB"
is "another one of its name comes into its port" "$? $(cat "$out")" "0 l1: disk is in cell1.expander0.port0, at 0000:41:00.0 on node 1"
change unplug --untold l1 disk
has "one leaves of which the host is not told" "$out" "^l1: disk is out, and nobody told the host; 'hostbed unplug l1 disk' does$"
is "which still has it" "$(hostbed exec l1 -- sh -c 'cat /sys/bus/pci/devices/0000:41:00.0/class; od -An -tx1 -N2 /sys/bus/pci/devices/0000:41:00.0/config')" "0x010802
 ff ff"
hostbed verify l1 >"$out" 2>"$err"
has "as verify tells" "$out" "^not ok .*pci 0000:41:00.0"
change plug --expander 64 l1 nvme id=other
is "into its port nothing comes" $? 2
has "and why not" "$err" "the host still has disk, which has left the port at 0000:40:00.0"
change unplug l1 late
is "elsewhere a NIC leaves, and all else is as it was" "$? $(cat "$out")" "0 l1: late is out"
change plug --expander 32 l1 nic id=first
is "and one comes" "$?" 0
change plug l1 nic id=late
is "past the port that the host takes for full" "$? $(cat "$out")" \
    "0 l1: late is in expander0.port0, at 0000:61:00.0 on no node"
change unplug l1 first
change plug --expander 32 l1 nvme id=disk
is "nor anything of its name anywhere" "$? $(grep -c 'the host still has disk' "$err")" "2 1"
change plug l1 memory size=128MiB id=disk
is "not even memory" "$? $(grep -c 'the host still has disk' "$err")" "2 1"
change unplug l1 disk
is "it is told" "$? $(cat "$out")" "0 l1: disk is out"
change plug --expander 64 l1 nic id=other
is "and the port is free" $? 0
change unplug --untold l1 other
hostbed exec l1 -- sh -c 'for slot in /sys/bus/pci/slots/*; do
    [ "$(cat $slot/address)" != 0000:41:00 ] || echo 0 >$slot/power; done'
change plug --expander 64 l1 nic id=other
is "also when the host has found out by itself" $? 0
change unplug --surprise l1 other
is "a NIC is torn out" "$? $(cat "$out")" "0 l1: other is out"

# ---- pause, resume, nmi
change pause l1
is "a host is paused" "$? $(cat "$out")" "0 l1 is paused"
has "and listed so" <(hostbed list) "^hotplug/l1  *paused .* hostbed resume l1"
has "the emulator says so, too" <(hostbed qmp l1 query-status) '"status" : "paused"'
change pause l1
is "it is paused already" "$? $(cat "$out")" "0 l1 is paused already"
for command in "exec l1 -- true" "verify l1" "plug l1 nic" "nmi l1"; do
    # shellcheck disable=SC2086
    change $command
    is "no ${command%% *} meanwhile" "$? $(cat "$err")" "1 hostbed: the host 'l1' is paused; 'hostbed resume l1' has it go on"
done
change resume l1
is "it goes on" "$? $(cat "$out") $(hostbed exec l1 -- echo there)" "0 l1 goes on there"
hostbed qmp l1 stop >/dev/null
has "one that the emulator was asked to stop is paused, too" <(hostbed list) "^hotplug/l1  *paused"
change resume l1
change nmi l1
is "an NMI comes" "$? $(cat "$out")" "0 l1 got an NMI"
while ! hostbed exec l1 -- dmesg | grep -q "NMI received for unknown reason"; do :; done
is "which the host survives" "$(hostbed exec l1 -- echo there)" there

# ---- links
carrier() { hostbed exec l1 -- sh -c 'cat /sys/bus/pci/devices/0000:41:00.0/virtio*/net/*/carrier'; }
change plug --expander 64 l1 nic model=virtio id=cable
hostbed exec l1 -- sh -c 'ip link set "$(ls /sys/bus/pci/devices/0000:41:00.0/virtio*/net)" up'
has "NICs are told with their links" <(hostbed link l1) "^cable  *0000:41:00.0  up"
change link l1 cable down
is "a cable is pulled" "$? $(cat "$out" "$err")" "0 l1: the link of cable is down"
is "which the host sees" "$(carrier)" 0
change link l1 41:00.0 down
is "it is out already" "$? $(cat "$out")" "0 l1: the link of cable is down already"
has "and told so" <(hostbed link l1) "^cable  *0000:41:00.0  down"
hostbed exec l1 -- sh -c 'ip link set "$(ls /sys/bus/pci/devices/0000:41:00.0/virtio*/net)" down'
change link l1 cable up
is "of an interface that is down nobody looks" "$? $(cat "$out" "$err")" "0 l1: the link of cable is up"
change link l1 cable loss=10%
is "what is on no network between hosts loses nothing" $? 3
change link l1 expander0.port0 down
is "a port has no link" $? 2
change link l1 cable
is "nor is half a request one" $? 2

# ---- power
start=$(hostbed exec l1 -- cat /proc/sys/kernel/random/boot_id)
change reset l1
is "a host is reset" "$? $(cat "$out")" "0 l1 was reset, and is up"
hostbed exec l1 -- cat /proc/sys/kernel/random/boot_id >"$out"
has "and has started anew" <(grep -vc "$start" "$out") '^1$'
hostbed verify l1 >"$out" 2>"$err"
is "as the lab is written" "$? $(grep -c '^ok' "$out")" "0 18"
change power l1 button
is "nothing in the micro image heeds a button" $? 3
change power l1 off
is "its power is cut" "$? $(cat "$out")" "0 l1 is off"
has "which is listed" <(hostbed list) "^hotplug/l1  *off .* hostbed power l1 on"
change power l1 off
is "it is off already" "$? $(cat "$out")" "0 l1 is off already"
for command in "exec l1 -- true" "verify l1" "link l1" "pause l1" "power l1 button"; do
    # shellcheck disable=SC2086
    change $command
    is "no ${command%% l1*} meanwhile" "$? $(cat "$err")" "1 hostbed: the host 'l1' is off; 'hostbed power l1 on' starts it"
done
for i in 1 2; do "$build_dir/run" hostbed power l1 on >"$tap_dir/on.$i" 2>&1 & done
wait
has "two who switch it on have one host" <(sort "$tap_dir"/on.? | paste -sd" ") "^l1 is on l1 is on already$"
change power l1 sideways
is "what power cannot do" $? 2
"$build_dir/run" hostbed exec l1 -- sleep 600 >"$tap_dir/cut" 2>&1 &
runs=$!
while ! hostbed exec l1 -- pidof sleep >/dev/null && kill -0 $runs; do :; done
change power l1 off
wait $runs
has "what ran there is ended" <(echo $?) '^[1-9]'
hostbed up --accel tcg "$source_dir/topologies/hotplug.xml" >"$out" 2>"$err"
is "up switches on, too" "$? $(hostbed exec l1 -- echo there)" "0 there"

# ---- a new start
pid=$(hostbed list --json | sed -n 's/^ *"pid" : \([0-9]*\).*/\1/p' | tail -n 1)
kill -KILL "$pid" # the emulator's; the first is the supervisor's
while ! hostbed list | grep -q failed; do :; done
hostbed up --accel tcg "$source_dir/topologies/hotplug.xml" >"$out" 2>"$err"
is "a host that is started again" $? 0
hostbed verify l1 >"$out" 2>"$err"
is "is as the lab is written" "$? $(grep -c '^ok' "$out")" "0 18"

hostbed down hotplug >/dev/null
is "the lab goes down" $? 0

# ---- networks that join hosts
cat >"$tap_dir/joined.xml" <<'LAB'
<lab xmlns="urn:hostbed:lab:1" name="joined">
  <network id="fabric"/>
  <network id="inner"/>
  <host name="left">
    <cell cpus="0" memory="256 MiB">
      <expander><port id="first"><nic id="nic" model="virtio" network="fabric"/></port><port id="second"/></expander>
    </cell>
  </host>
  <host name="right">
    <cell cpus="0" memory="256 MiB">
      <expander><port><nic model="virtio" network="fabric"/></port><port><nic model="virtio" network="inner"/></port></expander>
    </cell>
  </host>
</lab>
LAB
hostbed up --accel tcg "$tap_dir/joined.xml" >"$out" 2>"$err"
is "two hosts come up" $? 0
# Of the function $1, which nobody configured, and from the other host.
reached() {
    hostbed exec left -- sh -c "cd /sys/bus/pci/devices/$1/; while ! set -- virtio*/net/* || [ ! -e \$1 ]; do :; done
        ip addr add 192.0.2.1/24 dev \${1##*/}; ip link set \${1##*/} up" &&
        hostbed exec right -- ping -c 3 -i 0.2 -w 20 192.0.2.1 | sed -n 's/.* \([0-9]*\) packets received.*/\1/p'
}
hostbed exec right -- ip addr add 192.0.2.2/24 dev eth0
change plug left nic model=virtio id=late network=fabric
is "a NIC comes to a network that joins hosts" "$? $(cat "$out")" "0 left: late is in second, at 0000:22:00.0 on node 0"
is "and others reach it" "$(reached 0000:22:00.0)" 3
change link left late loss=100%
is "it loses frames as asked" "$? $(hostbed exec right -- ping -c 3 -i 0.2 -w 2 192.0.2.1 | grep -c 'bytes from')" "0 0"
change unplug left late
is "it goes" "$? $(cat "$out")" "0 left: late is out"
change plug left nic model=virtio id=late network=fabric
is "and comes again, losing nothing" "$? $(reached 0000:22:00.0)" "0 3"
change unplug left nic
is "so does one of the lab" "$? $(cat "$out")" "0 left: nic is out"
change plug left nic model=virtio id=nic network=fabric
is "and it comes again" "$? $(hostbed exec left -- ip addr del 192.0.2.1/24 dev eth1) $(reached 0000:21:00.0)" "0  3"
change plug right nic network=inner
is "a port must be free" "$? $(cat "$err")" \
    "2 hostbed: the host has no free port: a port is free that has no device and whose hotplug is not off"
change unplug left late
change plug left nic network=inner
is "what leads nowhere cannot begin to" "$? $(cat "$err")" \
    "3 hostbed: the network inner joined no hosts when they came up; write the <nic> into the lab, or choose another network"
change plug left nic model=virtio id=late network=fabric
change reset left
is "a host that is reset has the NICs of its lab" "$? $(hostbed link left --json 2>/dev/null | grep -c late) $(hostbed link left | cut -d' ' -f1)" "0 0 nic"
is "and reaches the other by its name" "$(hostbed exec left -- ping -c 1 -w 20 right | grep -c 'bytes from')" 1
hostbed verify left >"$out" 2>"$err"
is "and is as the lab is written" $? 0
supervisor_fds() { find "/proc/$(hostbed list --json | sed -n 's/^      "pid" : \([0-9]*\).*/\1/p' | head -n 1)/fd" -mindepth 1 | wc -l; }
before=$(supervisor_fds)
change unplug left nic
change plug left nic model=virtio id=nic network=inner
change unplug left nic
change plug left nic model=virtio id=late network=fabric
change reset left
is "nothing of what came is left behind" "$(supervisor_fds)" "$before"
mac=$(hostbed exec right -- cat /sys/class/net/eth0/address)
change plug left nic model=virtio mac="$mac"
has "a MAC that another host chose is its own" "$err" "^hostbed: $mac is the MAC of .* of right already; choose another, or leave it out$"
change plug left nic network=fabrik
has "a network that is mistyped is guessed" "$err" "there is no network 'fabrik'; did you mean fabric\\?$"
change unplug left first
is "a port is no device" "$? $(cat "$err")" "2 hostbed: first is a port, and no device; in it is nic"
change plug left nic id=$'\xff'
is "what is not UTF-8 is told" "$? $(cat "$err")" "2 hostbed: a word of the command is not UTF-8, in which a host is asked"
hostbed ssh-config left >"$out" 2>"$err"
is "a host is no lab" "$? $(cat "$err")" "2 hostbed: 'left' is a host, and this takes labs: hostbed ssh-config joined"
hostbed down joined >/dev/null
is "they go down" $? 0
done_testing
