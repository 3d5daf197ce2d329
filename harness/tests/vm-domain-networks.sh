#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Networks that join hosts which libvirt starts: they carry what they carry without it, the hosts see nothing of the way
# that their frames take, and one host's end is no other's.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?run this by make check-vm}/harness/tests/tap.sh"
. "$source_dir/harness/tests/libvirtd.sh"
for_libvirt "$source_dir/harness/tests/vm-domain-networks.sh"
start_libvirtd

out="$tap_dir/out" err="$tap_dir/err" lab="$tap_dir/pair.xml"
# One CPU each: see vm-domain.sh. NICs by libvirt's words and by two models, without an IOMMU, behind which virtio's may stop
# for good with QEMU 10.0.13 (docs/facts.rst).
cat >"$lab" <<'LAB'
<lab xmlns="urn:hostbed:lab:1" name="pair">
  <network id="fabric"/>
  <network id="storage" ipv4="192.168.7.0/24"/>
  <host name="left">
    <cell cpus="0" memory="320 MiB">
      <expander><port><nic network="fabric"/></port><port><nic model="virtio" network="storage"/></port></expander>
    </cell>
  </host>
  <host name="right">
    <cell cpus="0" memory="256 MiB">
      <expander><port><nic id="e" network="fabric"/></port><port><nic model="virtio" network="storage"/></port><port id="spare"/></expander>
    </cell>
  </host>
</lab>
LAB
in_host() { hostbed exec --timeout 60 "$@" 2>"$err"; }
# received FROM [OF [WITHIN]]: how many answers to so many questions, in seconds
received() { in_host left -- ping -c "${2-1}" -i 0.05 -w "${3-20}" "$1" | sed -n 's/.* \([0-9]*\) packets received.*/\1/p'; }

# ---- hosts that stay
hostbed up --accel tcg --connect "$uri" "$lab" >"$out" 2>"$err" || cat "$err"
is "two hosts come up" "$? $(virsh list --name | sort | paste -sd' ')" "0 pair-left pair-right"
is "they know each other on each network" "$(received right) $(received right.storage)" "1 1"
is "and see nothing of the way that their frames take" "$(in_host left -- ls /sys/class/virtio-ports)" vport0p1
hostbed verify left >"$out" 2>"$err"
is "they are the machines that were asked for" $? 0
# Both ways at the same time. The nc of a host ends when its peer has no more to say, and says so itself when its input ends.
for host in left right; do hostbed exec $host -- sh -c 'mkfifo /tmp/never; dd if=/dev/urandom of=/tmp/sent bs=65536 count=48 2>/dev/null; sha256sum </tmp/sent' >"$tap_dir/$host"; done
# shellcheck disable=SC2034 # read by its number
coproc RIGHT { exec "$build_dir/run" hostbed exec --timeout 120 right -- sh -c \
    'nc -l -p 5001 <>/tmp/never >/tmp/came & nc -l -p 5002 </tmp/sent >/dev/null & echo there; wait; sha256sum </tmp/came' 2>"$err"; }
pid=$RIGHT_PID from=${RIGHT[0]} came=nothing
read -r -u "$from" _ || true
hostbed exec --timeout 120 left -- sh -c 'nc right 5001 </tmp/sent & nc right.storage 5002 <>/tmp/never | sha256sum; wait' >"$out" 2>"$err"
read -r -u "$from" came || true
wait "$pid"
is "what they send each other comes whole" "$came $(cat "$out")" "$(cat "$tap_dir/left" "$tap_dir/right" | paste -sd' ')"

# ---- links
hostbed link right e down >"$out" 2>"$err"
is "a link goes down" "$? $(received right 2 3) $(received right.storage)" "0 0 1"
hostbed link right e up >"$out" 2>"$err"
is "and comes back" "$? $(received right)" "0 1"
hostbed link right e loss=50% >"$out" 2>"$err"
some=$(received right 40)
is "one loses frames as asked" "$((some > 0 && some < 40))" 1
hostbed link right e loss=0% >"$out" 2>"$err"
is "until it loses no more" "$(received right 20)" 20

# ---- what comes and goes
hostbed link right e loss=10% >"$out" 2>"$err"
hostbed unplug right e >"$out" 2>"$err"
is "a NIC leaves" "$? $(received right 2 3)" "0 0"
hostbed plug right nic id=e network=storage >"$out" 2>"$err"
is "its name is for no other network" "$? $(cat "$err")" \
    "2 hostbed: the emulator has still what led the NIC e, which left, to the network fabric; choose another id"
hostbed plug right nic id=e network=fabric >"$out" 2>"$err"
is "and comes back, losing nothing" "$? $(hostbed link right | grep -c loses)" "0 0"
address=$(sed -n 's/.* at \([0-9a-f:.]*\) .*/\1/p' "$out")
in_host right -- sh -c "cd /sys/bus/pci/devices/$address/net; ip addr add 192.0.2.2/24 dev *; ip link set * up; until [ \"\$(cat */carrier)\" = 1 ]; do :; done"
in_host left -- ip addr add 192.0.2.1/24 dev eth0
is "to where it was" "$(($(received 192.0.2.2 100) > 0))" 1
hostbed plug right nic network=fabric >"$out" 2>"$err"
is "a new one does not" "$? $(cat "$err")" \
    "3 hostbed: the network fabric joins hosts, and libvirt (--connect) gives a host what leads to others only at its start; write the <nic> into the lab, or choose another network"

# ---- ends
hostbed power right off >"$out" 2>"$err"
is "one host has no power, and the other goes on" "$? $(virsh list --name) $(received right 2 3)" "0 pair-left 0"
hostbed power right on >"$out" 2>"$err"
is "with power it is there again" "$? $(received right) $(received right.storage)" "0 1 1"
virsh destroy pair-right
for _ in $(seq 100); do hostbed list >"$out"; grep -q ' failed ' "$out" && break; sleep 0.1; done
is "somebody destroys one, which is not the other's end" "$(grep -c '^pair/right  *failed ' "$out") $(in_host left -- echo well)" "1 well"
kill -9 "$(hostbed list --json | sed -n 's/^      "pid" : \([0-9]*\).*/\1/p' | head -n 1)"
gone_in_time pair-left
is "their supervisor is killed, and no domain is left" "$? $(virsh list --all --name)" "0 "
hostbed down pair >"$out" 2>"$err"
is "nor anything else" "$? $(hostbed list 2>/dev/null)" "0 "

# ---- tests
hostbed test --accel tcg --connect "$uri" --capture --log-dir "$tap_dir/logs" "$lab" left/network/connections_carry_data \
    left/network/networks_do_not_mix left/network/a_link_goes_down_and_comes_back >"$out" 2>"$err"
is "cases of suite network pass" "$? $(grep -c '^ok .*/network/' "$out")" "0 3"
is "whose frames are captured" "$(find "$tap_dir/logs" -name fabric.pcap -size +1 | wc -l) $(find "$tap_dir/logs" -name storage.pcap -size +1 | wc -l)" "1 1"
is "and no domain is left" "$(virsh list --all --name)" ""

# ---- networks within a host, which the emulator captures
cat >"$tap_dir/own.xml" <<'LAB'
<lab xmlns="urn:hostbed:lab:1" name="own">
  <network id="inner"/>
  <host name="l1">
    <iommu model="intel"/>
    <cell cpus="0" memory="512 MiB">
      <expander><port><nic network="inner"/></port><port><nic network="inner"/></port></expander>
    </cell>
  </host>
</lab>
LAB
hostbed test --accel tcg --connect "$uri" "$tap_dir/own.xml" dma >"$out" 2>"$err"
is "suite dma, which has its frames counted, passes" "$? $(grep -c '^not ok' "$out")" "0 0"
socket="qemu+unix:///session?socket=$XDG_RUNTIME_DIR/libvirt/libvirt-sock"
hostbed run --accel tcg --connect "$socket" --capture "$tap_dir/own.xml" -- true >"$out" 2>"$err"
is "another's emulator cannot write them" "$?" 3
has "which is said" "$err" "own.xml:3: libvirt cannot start this host: what passes on network 'inner', which does not leave it, can be captured by your own libvirt only"
done_testing
