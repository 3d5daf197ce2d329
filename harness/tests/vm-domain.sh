#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hosts that libvirt starts: as others to those who use them, and nothing is left of them, whoever dies.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?run this by make check-vm}/harness/tests/tap.sh"
. "$source_dir/harness/tests/libvirtd.sh"
for_libvirt "$source_dir/harness/tests/vm-domain.sh"
start_libvirtd

lab="$source_dir/topologies/smallest.xml"
domain=smallest-l1
out="$tap_dir/out" err="$tap_dir/err"
run() { hostbed run --accel tcg --connect "$uri" "$@"; }

# One that waits for a line of its input; it is up when this returns, and its hostbed is $pid.
start_host() {
    # shellcheck disable=SC2034 # read by its number
    coproc HOST { exec "$build_dir/run" hostbed run --no-retry --accel tcg --connect "$uri" "$@" \
        -- sh -c 'echo up; read line; echo "$line"' 2>"$err"; }
    pid=$HOST_PID to=${HOST[1]} from=${HOST[0]}
    read -r -u "$from" word || cat "$err"
}

# ---- a command
head -c 3000000 /dev/urandom >"$tap_dir/random"
run "$lab" -- sh -c 'sha256sum; echo hello >&2; exit 5' <"$tap_dir/random" >"$out" 2>"$err"
is "a command has its streams and its status" "$? $(cut -d' ' -f1 "$out") $(cat "$err")" "5 $(sha256sum <"$tap_dir/random" | cut -d' ' -f1) hello"
is "and its domain is gone when hostbed is" "$(virsh list --all --name)" ""

# ---- what libvirt has of it
start_host "$lab"
is "the domain is libvirt's while its host is up" "$word $(virsh domstate $domain)" "up running"
virsh dumpxml $domain >"$tap_dir/xml"
# The SATA controller is the machine's, whoever starts it.
is "libvirt adds no device of its own" \
    "$(xmllint --xpath '//devices/*[not(self::emulator)]/@model | //devices/controller/@type' "$tap_dir/xml" | tr -d '\n')" \
    ' type="pci" model="pcie-root" type="pci" model="pcie-expander-bus" type="pci" model="pcie-root-port" type="virtio-serial" type="usb" model="none" type="sata" model="none" model="isa" model="intel"'
hostbed show --connect "$uri" $domain >"$tap_dir/lab" 2>"$tap_dir/second"
is "and keeps the lab, byte for byte" "$? $(cmp "$tap_dir/lab" "$lab" 2>&1)" "0 "
hostbed show --connect "$uri" -o "$tap_dir/lab.xml" $domain && hostbed show "$tap_dir/lab.xml" >"$tap_dir/tree" 2>&1
is "which is shown as any" "$? $(hostbed show "$lab" | cmp - "$tap_dir/tree" 2>&1)" "0 "
hostbed show --connect "$uri" nobody >"$out" 2>"$tap_dir/second"
is "a domain that is not there is a mistake" $? 2
has "with libvirt's words" "$tap_dir/second" "^hostbed: libvirt at $uri: .*nobody"
run "$lab" -- true >"$out" 2>"$tap_dir/second"
is "a second one of the name is refused" $? 8
has "with libvirt's words" "$tap_dir/second" "^hostbed: libvirt does not start the domain: .*$domain.* already exists"
echo ended >&"$to"
read -r -u "$from" word
wait "$pid"
is "which does not disturb the first" "$? $word" "0 ended"

# ---- ends
start_host "$lab"
kill -9 "$pid"
wait "$pid" 2>/dev/null
gone_in_time $domain
is "hostbed is killed, and the domain is gone" $? 0

start_host "$lab"
virsh destroy $domain >/dev/null
wait "$pid"
is "somebody destroys the domain" $? 7
has "which is said" "$err" "^hostbed: domain $domain was destroyed; logs: "

run "$lab" -- sh -c 'echo c >/proc/sysrq-trigger; sleep 1000' >"$out" 2>"$err"
is "a panic is one" $? 5
has "with the kernel's words" "$err" 'panicked: .*sysrq triggered crash'
is "after which no domain is left" "$(virsh list --all --name)" ""

start_host "$lab"
kill -9 "$(cat "$XDG_RUNTIME_DIR/libvirt/libvirtd.pid")"
wait "$pid"
is "libvirt is killed under a host" $? 8
is "which is said, and the next libvirt has ended the domain" "$(cat "$err")" \
    "hostbed: the connection to libvirt at $uri was lost: it has ended; logs: $(find "$XDG_STATE_HOME/hostbed/logs" -name '*smallest-l1*' | sort | tail -n 1)"
is "so that it has none" "$(virsh list --all --name)" ""

# ---- tests
hostbed test --accel tcg --connect "$uri" --log-dir "$tap_dir/logs" "$source_dir/topologies/berrange-2017.xml" manifest iommu \
    >"$tap_dir/tap" 2>"$err"
is "the article's machine is the one that was asked for" "$? $(grep -c '^not ok' "$tap_dir/tap")" "0 0"
is "with each of its NICs" "$(grep -cE '^ok .*/manifest/pci 0000:(b[567]|c[9ab]|d[def]):00\.0$' "$tap_dir/tap")" 9
has "and its groups" "$tap_dir/tap" '^ok .*/iommu/groups_have_their_members$'
has "that it is no clone is told" "$err" 'berrange-2017/l1 is no clone of a template: libvirt starts it \(--connect\)$'
is "no domain is left" "$(virsh list --all --name)" ""
hostbed test --accel tcg --connect "$uri" "$source_dir/topologies/hotplug.xml" hotplug/a_plugged_function_is_on_its_node \
    hotplug/an_unplugged_function_is_gone >"$out" 2>"$err"
is "functions are plugged and unplugged, whatever libvirt calls them" "$? $(grep -c '^ok .*/hotplug/' "$out")" "0 2"
hostbed test --accel tcg --connect "$uri" --keep "$lab" manifest >"$out" 2>"$err"
is "no template is kept" "$? $(cat "$err")" \
    "2 hostbed: no template can be made of hosts that libvirt starts (--connect), so there is nothing to --keep or to clone"
hostbed test --accel tcg --connect "$uri" "$source_dir/topologies/memory-only-cpu-only.xml" >"$out" 2>"$err"
is "what libvirt has no words for is unsupported" $? 3
has "and a failure that says why" "$out" '^# unsupported: libvirt gives every cell a memory backend'

# ---- what cannot be
run --warm "$lab" -- true >"$out" 2>"$err"
is "no template is made of it" "$? $(cat "$err")" \
    "2 hostbed: --warm needs a template, and none can be made of a host that libvirt starts (--connect)"
run "$source_dir/topologies/memory-only-cpu-only.xml" -- true >"$out" 2>"$err"
is "what libvirt has no words for is refused" "$?" 3
has "as it is by show" "$err" "libvirt gives every cell a memory backend"
run --host compute0 "$source_dir/topologies/two-hosts.xml" -- true >"$out" 2>"$err"
is "a host whose network joins it with others runs without them" $? 0
for address in nothing:///here 'qemu+unix:///session?socket=/nothing/here'; do
    hostbed run --accel tcg --connect "$address" "$lab" -- true >"$out" 2>"$err"
    is "there is no libvirt at $address" "$? $(wc -l <"$err")" "8 1"
    hostbed show --connect "$address" $domain >"$out" 2>"$tap_dir/second"
    is "nor for show" "$? $(sed 's/sock-ro/sock/' "$tap_dir/second")" "8 $(sed 's/; logs: .*//' "$err")"
    has "which is said" "$err" "^hostbed: libvirt at $(printf '%s' "$address" | sed 's/[?+]/\\&/g') cannot be reached: ."
done
hostbed run --accel tcg --connect test:///default "$lab" -- true >"$out" 2>"$err"
is "one that is not QEMU's is refused" $? 3
has "with what would be right" "$err" "^hostbed: libvirt at test:///default starts no emulators .* such as qemu:///session"
done_testing
