#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# hostbed run is transparent: streams, status, signals; and it leaves nothing behind.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"

lab=$source_dir/topologies/smallest.xml
out=$tap_dir/out
err=$tap_dir/err
run() { hostbed run --accel tcg "$@"; }

run "$lab" -- sh -c 'echo out; echo err >&2; exit 3' >"$out" 2>"$err"
is "the exit status is the command's" $? 3
is "standard output is the command's" "$(cat "$out")" out
is "standard error is the command's" "$(cat "$err")" err

run "$lab" -- no-such-program >"$out" 2>"$err"
is "a command that is not there gives 127, as in a shell" $? 127

run "$lab" -- sh -c 'kill -9 $$' >"$out" 2>"$err"
is "a command that a signal ends gives 128 and its number" $? 137

head -c 3000000 /dev/urandom >"$tap_dir/random"
run "$lab" -- cat <"$tap_dir/random" >"$out" 2>"$err"
is "three million random bytes go in and come back: status" $? 0
if cmp -s "$tap_dir/random" "$out"; then ok "and are the same"; else not_ok "and are the same" "$err"; fi

run "$lab" -- head -c 200000000 /dev/zero 2>"$err" | wc -c >"$out"
is "a flood of 200 MB comes through whole" "$(cat "$out")" 200000000

run "$lab" -- yes 2>"$err" | head -n 1 >"$out"
is "a reader that goes away ends the command" "$(cat "$out")" y

run "$lab" -- echo lost >&- 2>"$err"
is "a closed standard output: status 8" $? 8
is "and a sentence" "$(grep -c '^hostbed: ' "$err")" 1
printf 'echo $GREETING\n' >"$tap_dir/greet"
run --env GREETING=hello "$lab" -- "$tap_dir/greet" >"$out" 2>"$err"
is "--env reaches the command, a script without #!" "$(cat "$out")" hello

if command -v lspci >/dev/null; then
    run "$lab" -- lspci -k >"$out" 2>"$err"
    is "lspci -k complains of nothing" "$? $(cat "$err")" "0 "
    has "and names the drivers" "$out" "Kernel driver in use: e1000e"
else
    skip "lspci -k complains of nothing" "lspci is not there"
fi

# An argument with everything that a shell or a parser could trip over.
odd=$'a b\tc,"\'\\$(x)\n%s=;\xc3\xa4'
run "$lab" -- printf %s "$odd" >"$out" 2>"$err"
is "arguments arrive as they are" "$(cat "$out")" "$odd"

# What passes on a network: a question of ARP, from 192.0.2.2 about 192.0.2.1.
sed 's|<host|<network id="wire"/><host|; s|<nic/>|<nic network="wire"/>|' "$lab" >"$tap_dir/wired.xml"
run --timeout 300 --capture "$tap_dir/wired.xml" -- sh -c 'ip addr add 192.0.2.2/24 dev eth0; ip link set eth0 up
    until grep -q 1 /sys/class/net/eth0/carrier; do sleep 0.1; done
    arping -c 1 -I eth0 192.0.2.1; true' >"$out" 2>"$err"
is "what a network carries is captured" $? 0
capture=$(sed -n 's/^hostbed: captured: //p' "$err")
od -An -v -tx1 "$capture" | tr -d ' \n' >"$tap_dir/hex"
has "to a file as tools read it" "$tap_dir/hex" '^d4c3b2a102000400'
has "and the frame is there" "$tap_dir/hex" 'ffffffffffff.{12}08060001080006040001.{12}c0000202.{12}c0000201'
is "once for each time that it was sent" "$(grep -oE 'c0000202.{12}c0000201' "$tap_dir/hex" | wc -l)" "$(grep -c '^Sent 1 probe' "$out")"
run --capture "$lab" -- true >"$out" 2>"$err"
is "where there is no network nothing is captured" "$? $(grep -c 'no NIC of the host .l1. is on a network' "$err")" "2 1"

# Ctrl-C belongs to the command.
run --timeout 120 "$lab" -- sh -c 'trap "echo caught; exit 9" INT; echo ready; while :; do sleep 1; done' >"$out" 2>"$err" &
pid=$!
for _ in $(seq 300); do grep -q ready "$out" && break; sleep 0.2; done
kill -INT "$(pgrep -P "$pid" -f 'hostbed run' | head -n 1 || true)" 2>/dev/null || kill -INT "$pid"
wait "$pid"
is "SIGINT reaches the command, whose status it then is" $? 9
is "and the command could answer" "$(tail -n 1 "$out")" caught

# The emulator ends with us, whatever ends us. (What the last one said is not to be taken for this one's.)
: >"$out"
"$build_dir/run" hostbed run --accel tcg "$lab" -- sh -c 'echo ready; sleep 600' >"$out" 2>"$err" &
pid=$!
for _ in $(seq 300); do grep -q ready "$out" && break; sleep 0.2; done
emulator=$(pgrep -P "$pid" | head -n 1)
kill -KILL "$pid"
wait "$pid" 2>/dev/null
for _ in $(seq 50); do kill -0 "$emulator" 2>/dev/null || break; sleep 0.1; done
if [ -n "$emulator" ] && ! kill -0 "$emulator" 2>/dev/null; then
    ok "after kill -9 no emulator is left"
else
    not_ok "after kill -9 no emulator is left (process ${emulator:-not found})"
fi

for program in numactl lspci; do
    command -v $program >/dev/null || { skip "$program of this machine runs inside" "$program is not installed"; continue; }
    run "$lab" -- $program --version >"$out" 2>"$err"
    status=$?
    [ $program = numactl ] && { run "$lab" -- numactl --hardware >"$out" 2>"$err"; status=$?; }
    is "$program of this machine runs inside" $status 0
done

run "$lab" -- hostname >"$out" 2>"$err"
is "the host has the name that it has in the lab" "$(cat "$out")" "$(sed -n 's/.*<host name="\([^"]*\)".*/\1/p' "$lab")"

# Linux finds the last root bus first, and drivers start side by side.
cat >"$tap_dir/names.xml" <<'END'
<lab xmlns="urn:hostbed:lab:1" name="names">
  <host>
    <iommu model="intel"/>
    <cell cpus="0-1" memory="512 MiB"><expander><port count="2"><nic/></port></expander></cell>
    <expander><port><nic/></port><port><nic model="virtio"/></port></expander>
    <nic model="virtio"/>
  </host>
</lab>
END
# shellcheck disable=SC2016  # for the shell inside
run "$tap_dir/names.xml" -- sh -c 'cd /sys/class/net && for i in 0 1 2 3 4; do readlink -f eth$i; done' >"$out" 2>"$err"
sed -E 's,.*/([0-9a-f]{4}:[0-9a-f:.]+)/.*,\1,' "$out" >"$tap_dir/addresses"
if [ "$(grep -c . "$tap_dir/addresses")" = 5 ] && sort -C "$tap_dir/addresses"; then
    ok "network interfaces are named in the order of their addresses"
else
    not_ok "network interfaces are named in the order of their addresses" "$out" "$err"
fi

# A function is handed to VFIO, with the modules that are at hand.
# shellcheck disable=SC2016  # for the shell inside
hand_over='modprobe vfio-pci && cd /sys/bus/pci/devices/0000:21:00.0 && echo vfio-pci >driver_override &&
    echo 0000:21:00.0 >driver/unbind && echo 0000:21:00.0 >/sys/bus/pci/drivers_probe &&
    basename "$(readlink driver)" && ls /sys/module/vfio_iommu_type1 >/dev/null &&
    test -c /dev/vfio/"$(basename "$(readlink iommu_group)")" && echo ready'
run "$lab" -- sh -c "$hand_over" >"$out" 2>"$err"
is "modprobe vfio-pci, and a function is VFIO's" "$(paste -sd' ' "$out")" "vfio-pci ready"

run --module vfio-pci --module dummy "$lab" -- ls -d /sys/module/vfio_pci /sys/module/vfio_iommu_type1 \
    /sys/class/net/dummy0 >"$out" 2>"$err"
is "--module loads modules with what they need" $? 0
run --module no-such-module "$lab" -- true >"$out" 2>"$err"
is "a module that the kernel does not have is unsupported" $? 3
has "and named with the kernel's release" "$err" '^hostbed: the kernel [0-9.]+.* has no module no-such-module'

run --with perl "$lab" -- perl -e 'print 6*7' >"$out" 2>"$err"
is "--with brings a program with its libraries" "$(cat "$out")" 42
# The firmware is the machine's, not the emulator's: each of them starts it.
for each in $(emulators); do
    name="EFI starts the host on $(emulator_version "$each")"
    run --emulator "$each" "$source_dir/topologies/efi.xml" -- cat /sys/firmware/efi/fw_platform_size >"$out" 2>"$err"
    status=$?
    if [ $status = 3 ] && [ ! -e /usr/share/OVMF ] && [ ! -e /usr/share/edk2 ]; then
        has "without EFI firmware its package is named" "$err" "install ovmf"
        skip "$name" "there is no EFI firmware (package: ovmf)"
    else
        is "$name" "$status $(cat "$out")" "0 64"
    fi
done
done_testing
