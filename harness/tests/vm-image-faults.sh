#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What goes wrong while an image is made is one sentence; the base is as it was, and nothing is left.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?run this by make check-vm}/harness/tests/tap.sh"
# shellcheck source=harness/tests/tiny-root.sh
. "$source_dir/harness/tests/tiny-root.sh"
needs_images
images="$XDG_CACHE_HOME/hostbed/images"
left() { find "$images" "$XDG_CACHE_HOME/hostbed/bases" -mindepth 1 2>/dev/null; }

# Whatever was started for a folder of this test has its path on its command line, or in its environment.
running() {
    local file
    for file in /proc/[0-9]*/cmdline; do
        tr '\0' ' ' <"$file" | grep -E 'guestfs|qemu|supermin' | grep -F "$tap_dir"
    done 2>/dev/null
}

# refused NAME STATUS PATTERN FROM…
refused() {
    local name=$1 status=$2 pattern=$3
    shift 3
    local before
    before=$(sha256sum "${@: -1}" 2>/dev/null)
    hostbed image build --accel tcg "$@" >"$tap_dir/out" 2>"$tap_dir/err"
    is "$name is refused" $? "$status"
    grep '^hostbed: /\|^hostbed: there' "$tap_dir/err" >"$tap_dir/said"
    has "with the reason" "$tap_dir/said" "$pattern"
    is "in one sentence" "$(wc -l <"$tap_dir/said")" 1
    is "and is as it was" "$(sha256sum "${@: -1}" 2>/dev/null)" "$before"
    is "nothing is left of it" "$(left)$(running)" ""
}

# ---- what is refused before anything opens it
tiny_root "$tap_dir/root"
tiny_disk "$tap_dir/disk.qcow2" "$tap_dir/root"
cp "$tap_dir/disk.qcow2" "$tap_dir/damaged.qcow2"
# its first table, whose place is at byte 40 of the header
table=$(od -An -tu1 -j40 -N8 "$tap_dir/damaged.qcow2" | awk '{ for (i = 1; i <= 8; i++) n = n * 256 + $i; print n }')
printf '\377\377\377\377\377\377\377\377' | dd of="$tap_dir/damaged.qcow2" bs=1 seek="$table" conv=notrunc status=none
refused "a damaged qcow2 file" 2 'damaged' "$tap_dir/damaged.qcow2"
head -c 300000 "$tap_dir/disk.qcow2" >"$tap_dir/cut.qcow2"
refused "one that was cut" 2 'damaged' "$tap_dir/cut.qcow2"
qemu-img create -q -f qcow2 -b /etc/shadow -F raw "$tap_dir/backed.qcow2" 1M
refused "one with another file behind it" 2 'another file' "$tap_dir/backed.qcow2"

# ---- what only the appliance sees
truncate -s 1M "$tap_dir/empty.raw"
refused "a disk without a system" 2 'has no operating system' "$tap_dir/empty.raw"
tiny_root "$tap_dir/other" plan9
tar -C "$tap_dir/other" -cf "$tap_dir/other.tar" .
refused "a system that is not known" 3 'does not know \(Tiny plan9 12\)' "$tap_dir/other.tar"
ln -s loop "$tap_dir/root/loop"
tar -C "$tap_dir/root" -cf "$tap_dir/loop.tar" .
cat >"$tap_dir/loop.xml" <<'XML'
<lab xmlns="urn:hostbed:lab:1" name="loop">
  <host name="l1">
    <image from="./loop.tar" size="256 MiB"><write path="/loop/file">words</write></image>
    <cell cpus="0" memory="256 MiB"/>
  </host>
</lab>
XML
refused "a step through a link that leads to itself" 2 '/loop/file cannot be in the image: too many links' "$tap_dir/loop.xml"
rm "$tap_dir/root/loop"
mkdir "$tap_dir/blob"
head -c 1000000 /dev/urandom >"$tap_dir/blob/blob"
tar -C "$tap_dir/blob" -c . | head -c 500000 | gzip >"$tap_dir/short.tar.gz"
refused "a tarball that was cut" 8 'tar' "$tap_dir/short.tar.gz"
# A file with holes, which takes nothing in the image.
cp -a "$tap_dir/root" "$tap_dir/holes"
truncate -s 6G "$tap_dir/holes/boot/vmlinuz-6.1.0-10-amd64"
tar -C "$tap_dir/holes" -Scf "$tap_dir/holes.tar" .
refused "a kernel that would fill this machine's disk" 2 'vmlinuz-6.1.0-10-amd64 6442450944 bytes' "$tap_dir/holes.tar"
# A file system that lies about where its folders are.
qemu-img convert -f qcow2 -O raw "$tap_dir/disk.qcow2" "$tap_dir/mad.raw"
debugfs -w -R 'set_inode_field /lib/modules block[0] 4' "$tap_dir/mad.raw?offset=1048576" 2>/dev/null
debugfs -w -R 'set_inode_field /boot block[0] 99999999' "$tap_dir/mad.raw?offset=1048576" 2>/dev/null
hostbed image build --accel tcg "$tap_dir/mad.raw" >"$tap_dir/out" 2>"$tap_dir/err"
is "a file system that is damaged is refused" "$(($? > 1))" 1
is "nothing is left of it, either" "$(left)$(running)" ""

# ---- what must not be waited for, or believed
cp -a "$tap_dir/root" "$tap_dir/pipes"
for pipe in etc/fstab lib/modules/6.1.0-10-amd64/modules.dep; do
    rm "$tap_dir/pipes/$pipe"
    mkfifo "$tap_dir/pipes/$pipe"
done
release=$(printf '9\033[31m')
mkdir "$tap_dir/pipes/lib/modules/$release"
echo "kernel" >"$tap_dir/pipes/boot/vmlinuz-$release"
tar -C "$tap_dir/pipes" -cf "$tap_dir/pipes.tar" .
timeout 300 "$build_dir/run" hostbed image build --accel tcg "$tap_dir/pipes.tar" >"$tap_dir/out" 2>"$tap_dir/err"
is "pipes in place of files are not read" $? 0
has "nor is a folder a kernel's whose name none can have" "$tap_dir/out" '  6.1.0-10-amd64$'
hostbed image rm --all

# ---- what the command line asks for
hostbed image build --accel tcg --size '100 TiB' "$tap_dir/root" >"$tap_dir/out" 2>"$tap_dir/err"
is "a disk that no host can have is refused" $? 2
has "by its size" "$tap_dir/err" "^hostbed: --size '100 TiB' is not"
{
    echo '<lab xmlns="urn:hostbed:lab:1" name="two">'
    for host in l1 l2; do
        echo "<host name='$host'><image from='./root'/><cell cpus='0' memory='256 MiB'/></host>"
    done
    echo '</lab>'
} >"$tap_dir/two.xml"
hostbed image build --accel tcg -o "$tap_dir/o.qcow2" "$tap_dir/two.xml" >"$tap_dir/out" 2>"$tap_dir/err"
is "one file for the images of two hosts is refused" $? 2
has "with how many there are" "$tap_dir/err" '^hostbed: -o names one file, and 2 hosts'

# ---- killed
sockets() { find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'libguestfs*' | sort; }
before=$(sockets)
"$build_dir/run" hostbed image build --accel tcg "$tap_dir/disk.qcow2" >"$tap_dir/out" 2>"$tap_dir/err" &
for _ in $(seq 600); do
    [ -z "$(running | grep qemu-system)" ] || break
    sleep 0.1
done
is "an appliance is up" "$(running | grep -c '[q]emu-system.*disk.qcow2')" 1
# the shell of ./run became hostbed itself
kill -9 $!
wait $! 2>/dev/null
for _ in $(seq 600); do
    [ -n "$(running)" ] || break
    sleep 0.1
done
is "when hostbed is killed, the appliance ends" "$(running)" ""
is "nor does anything stay in /tmp" "$(sockets)" "$before"
is "what it left is no image" "$(hostbed image list)" ""

# ---- no kernel
mkdir "$tap_dir/bare"
if ls /boot/vmlinu* /lib/modules/*/vmlinu* >/dev/null 2>&1; then
    skip "without a kernel no package is fetched" "this machine has one, which is taken"
else
    XDG_CACHE_HOME="$tap_dir/bare" hostbed image build --accel tcg debian12 >"$tap_dir/out" 2>"$tap_dir/err"
    is "without a kernel no package is fetched" "$? $(wc -l <"$tap_dir/err")" "8 1"
    has "and it is said where kernels come from" "$tap_dir/err" "appliance needs a kernel: .*hostbed image kernel"
fi

# ---- no room
if [ "$(id -u)" = 0 ] && mkdir "$tap_dir/small" && mount -t tmpfs -o size=24m tmpfs "$tap_dir/small" 2>/dev/null; then
    trap 'umount "$tap_dir/small"; rm -rf "$tap_dir"' EXIT
    mkdir -p "$tap_dir/small/hostbed"
    for kind in "$XDG_CACHE_HOME"/hostbed/*; do
        [ "${kind##*/}" = images ] || ln -s "$(readlink -f "$kind")" "$tap_dir/small/hostbed/"
    done
    head -c 60000000 /dev/urandom >"$tap_dir/root/opt/large"
    tar -C "$tap_dir/root" -cf "$tap_dir/large.tar" .
    XDG_CACHE_HOME="$tap_dir/small" hostbed image build --accel tcg "$tap_dir/large.tar" >"$tap_dir/out" 2>"$tap_dir/err"
    is "without room there is no image" $? 8
    has "which is said at once, and how much it takes" "$tap_dir/err" \
        "no room for the image in $tap_dir/small/.*: it takes 57(\\.[0-9])? MiB at least, and 2[0-9.]+ MiB are free"
    is "before anything is done" "$(wc -l <"$tap_dir/err")" 1
    # Nobody knows how much this is.
    head -c 60000000 /dev/zero >"$tap_dir/root/opt/large"
    tar -C "$tap_dir/root" -czf "$tap_dir/large.tar.gz" .
    XDG_CACHE_HOME="$tap_dir/small" hostbed image build --accel tcg "$tap_dir/large.tar.gz" >"$tap_dir/out" 2>"$tap_dir/err"
    is "nor where that shows later" $? 8
    has "which is said" "$tap_dir/err" '(no room left|No space left)'
    is "nothing is left of that, either" "$(find "$tap_dir/small/hostbed/images" -mindepth 1)$(running)" ""
else
    skip "without room there is no image" "a small file system needs root"
fi

# ---- and then
hostbed image build --accel tcg "$tap_dir/disk.qcow2" >"$tap_dir/out" 2>"$tap_dir/err"
is "the next one is made" $? 0
is "and what a killed one left is gone" "$(find "$images" -mindepth 1 -maxdepth 1 | wc -l)" 1
done_testing
