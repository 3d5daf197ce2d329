#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hosts of an image that libvirt starts: the machine that was asked for, with a disk of its own each, of which nothing is left.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?run this by make check-vm}/harness/tests/tap.sh"
. "$source_dir/harness/tests/libvirtd.sh"
. "$source_dir/harness/tests/tiny-root.sh"

# Made once, by whoever starts the test.
make_image() {
    [ -z "${HOSTBED_TEST_IMAGE-}" ] || return 0
    export HOSTBED_TEST_IMAGE="$tap_dir/theirs"
    needs_images made
    bootable_labs "$HOSTBED_TEST_IMAGE" one two
    mkdir -p "$tap_dir/cache/hostbed"
    cp -a "$XDG_CACHE_HOME/hostbed/images" "$tap_dir/cache/hostbed/"
}
for_libvirt "$source_dir/harness/tests/vm-domain-image.sh" make_image
start_libvirtd

lab="$HOSTBED_TEST_IMAGE/one.xml" other="$HOSTBED_TEST_IMAGE/two.xml"
out="$tap_dir/out" err="$tap_dir/err"
image=$(newest_image)
before=$(sha256sum "$image/disk.qcow2" "$image/kernel" "$image/initrd")
left() { find "$XDG_CACHE_HOME/hostbed/overlays" "$XDG_CONFIG_HOME/libvirt/qemu/nvram" -type f 2>/dev/null; }
run() { hostbed run --accel tcg --connect "$uri" "$@"; }
up() { hostbed up --accel tcg --connect "$uri" "$@" >"$out" 2>"$err"; }

# ---- a command
echo word | run "$lab" -- sh -c 'cat >/word; sync; cat /word; grep " / " /proc/mounts >&2; exit 5' >"$out" 2>"$err"
is "a command has its streams, its status and the image's disk" "$? $(cat "$out" "$err")" "5 word
/dev/vda / ext4 rw,relatime 0 0"
is "its domain is gone when hostbed is, and so is what it wrote" "$(virsh list --all --name)$(left)" ""
run "$lab" -- cat /word >"$out" 2>"$err"
is "the next one has the image as it was" "$? $(cat "$err")" "1 cat: can't open '/word': No such file or directory"
hostbed test --accel tcg --connect "$uri" "$lab" manifest pci numa >"$out" 2>"$err"
is "it is the machine that was asked for, and suites pass in it" "$? $(grep -c '^not ok' "$out")" "0 0"
has "its disk, too" "$out" '^ok .*/manifest/pci 0000:00:1c.0$'
has "and of the suites of the image" "$out" '^ok .*/pci/'

# ---- hosts that stay
up "$lab"
is "a host comes up" "$? $(virsh domstate one-l1)" "0 running"
virsh dumpxml one-l1 >"$tap_dir/xml"
is "its disk is one of libvirt's, based on the image and nothing else" \
    "$(xmllint --xpath 'concat(count(//disk), count(//disk//backingStore), " ", //disk/alias/@name, " ", count(//disk/backingStore/backingStore/*))' "$tap_dir/xml")" \
    "12 ua-hostbed--disk 0"
up "$other"
is "another one of the same image comes up meanwhile" "$? $(virsh domstate two-l1)" "0 running"
for name in one two; do hostbed exec $name/l1 -- sh -c "echo $name >/word; sync"; done
is "each has a disk of its own" "$(hostbed exec one/l1 -- cat /word) $(hostbed exec two/l1 -- cat /word)" "one two"
is "which has no name" "$(left)" ""
hostbed power one/l1 off >"$out" 2>"$err" && hostbed power one/l1 on >"$out" 2>"$err"
is "a disk outlives its power" "$? $(hostbed exec one/l1 -- cat /word)" "0 one"
kill -9 "$(hostbed list --json | sed -n '/"lab" : "two"/,/"pid"/s/^ *"pid" : \([0-9]*\).*/\1/p' | head -n 1)"
gone_in_time two-l1
is "the supervisor of one is killed, and the domain is gone" "$? $(virsh list --name)" "0 one-l1"
hostbed down --all >"$out" 2>"$err"
is "all go down, and nothing is left" "$? $(virsh list --all --name)$(left)" "0 "

# ---- ends
# shellcheck disable=SC2034 # read by its number
coproc HOST { exec "$build_dir/run" hostbed run --no-retry --accel tcg --connect "$uri" "$lab" -- sh -c 'echo up; exec cat' 2>"$err"; }
pid=$HOST_PID from=${HOST[0]}
read -r -u "$from" word || cat "$err"
command=$(find "$XDG_STATE_HOME/hostbed/logs" -path '*one-l1*' -name command | sort | tail -n 1)
cp "$command" "$(dirname "$command")/domain.xml" "$tap_dir"
kill -INT "$pid"
kill -INT "$pid"
wait "$pid"
is "who presses Ctrl-C twice ends the host" "$word $?" "up 130"
gone_in_time one-l1
is "and nothing is left" "$? $(virsh list --all --name)$(left)" "0 "
has "its logs name the files as they are by hand" "$tap_dir/domain.xml" "<source file=\"$image/disk.qcow2\"/>"
has "of which the host's own is made" "$tap_dir/command" "^qemu-img create -q -f qcow2 -F qcow2 -b $image/disk.qcow2 .*/by-hand.qcow2 "

is "the image is as it was" "$(sha256sum "$image/disk.qcow2" "$image/kernel" "$image/initrd")" "$before"
done_testing
