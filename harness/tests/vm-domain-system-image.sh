#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hosts of an image that another user's libvirt starts: the image is sent there once, and of what hosts write nothing is left.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?run this by make check-vm}/harness/tests/tap.sh"
. "$source_dir/harness/tests/system-libvirtd.sh"
. "$source_dir/harness/tests/tiny-root.sh"
in_namespaces "$source_dir/harness/tests/vm-domain-system-image.sh"
labs="$tap_dir/labs"
needs_images made
bootable_labs "$labs" one two
make_user "$XDG_CACHE_HOME/hostbed/images"
start_system_libvirtd

lab="$labs/one.xml" other="$labs/two.xml" pool=/var/lib/libvirt/hostbed
out="$tap_dir/out" err="$tap_dir/err"
hostbed() { as_user "$build_dir/run" hostbed "$@"; }
run() { hostbed run --no-retry --accel tcg --connect "$@"; }
up() { hostbed up --accel tcg --connect "$@" >"$out" 2>"$err"; }
disks() { find $pool -name 'hostbed-disk-*'; }

run qemu:///system "$source_dir/topologies/smallest.xml" -- true >"$out" 2>"$err" ||
    skip_all "this libvirt starts no host in namespaces: $(tail -n 1 "$err")"

# ---- a command
echo word | run qemu:///system "$lab" -- sh -c 'cat >/word; sync; cat /word; grep " / " /proc/mounts >&2; exit 5' >"$out" 2>"$err"
is "a command has its streams, its status and the image's disk" "$? $(cat "$out" "$err")" "5 word
/dev/vda / ext4 rw,relatime 0 0"
is "its domain is gone when hostbed is, and so is what it wrote" "$(virsh list --all --name)$(disks)" ""
base=$pool/hostbed-$(sha256sum <"$(newest_image)/disk.qcow2" | cut -d' ' -f1)
is "the image is kept there, as it was" "$(sha256sum <"$base")" "$(sha256sum <"$(newest_image)/disk.qcow2")"
is "and is nobody else's to read" "$(stat -c %a "$base")" 600

# ---- hosts that stay, by the address of a machine
remote=qemu+tcp://127.0.0.1/system
inode=$(stat -c %i "$base")
up $remote "$lab"
is "a host comes up" "$? $(virsh domstate one-l1)" "0 running"
up qemu:///system "$other"
is "another one of the same image comes up meanwhile" "$? $(virsh domstate two-l1)" "0 running"
for name in one two; do hostbed exec $name/l1 -- sh -c "echo $name >/word; sync"; done
is "each has a disk of its own" "$(hostbed exec one/l1 -- cat /word) $(hostbed exec two/l1 -- cat /word)" "one two"
is "which has no name" "$(disks)" ""
is "and the image is sent once" "$(stat -c %i "$base") $(sha256sum <"$base")" "$inode $(sha256sum <"$(newest_image)/disk.qcow2")"
hostbed verify one/l1 >"$out" 2>"$err"
is "it is the machine that was asked for" $? 0
for action in off reset button; do
    hostbed power one/l1 $action >"$out" 2>"$err"
    is "its power stays, as its disk would go with it ($action)" "$? $(cut -d, -f1 "$err")" \
        "3 hostbed: the disk of l1 is where libvirt at $remote is"
done
is "and so does the host" "$(hostbed exec one/l1 -- cat /word)" one
kill -9 "$(hostbed list --json | sed -n '/"lab" : "two"/,/"pid"/s/^ *"pid" : \([0-9]*\).*/\1/p' | head -n 1)"
for _ in $(seq 400); do virsh domid two-l1 >/dev/null 2>&1 || break; done
is "the supervisor of one is killed, and the domain is gone" "$(virsh list --name)" one-l1
hostbed down --all >"$out" 2>"$err"
is "all go down, and nothing is left" "$? $(virsh list --all --name)$(disks)" "0 "

# ---- suites, and what was left
left=$pool/hostbed-disk-6ba7b810-9dad-41d1-80b4-00c04fd430c8 starting=$pool/hostbed-disk-6ba7b811-9dad-41d1-80b4-00c04fd430c8
touch -d '2 hours ago' "$left"
touch "$starting"
virsh pool-refresh hostbed
hostbed test --accel tcg --connect $remote "$lab" manifest pci >"$out" 2>"$err"
is "it is tested, and suites pass in it" "$? $(grep -c '^not ok' "$out")" "0 0"
is "what somebody left who was killed is gone, and what may be about to start is there" "$(disks)" "$starting"
done_testing
