#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Images are prepared by libguestfs: what was asked for is in them, where it was asked for, and bases stay as they are.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?run this by make check-vm}/harness/tests/tap.sh"
# shellcheck source=harness/tests/tiny-root.sh
. "$source_dir/harness/tests/tiny-root.sh"
needs_images
build() { hostbed image build --accel tcg "$@"; }

# ---- a tarball, whose links lead elsewhere, and a lab's steps
root="$tap_dir/root"
outside="$tap_dir/outside"
mkdir "$outside"
tiny_root "$root"
ln -s "$outside" "$root/var/lib"                        # of this machine, and of the appliance
ln -s /../../../../../../../../run "$root/var/run"      # above all
ln -s "$outside/secret" "$root/usr/lib/hostbed"
ln -s /opt "$root/srv"
mkdir "$root/opt/tree"
ln -s "$outside" "$root/opt/tree/absolute"
ln -s ../../../../../../../../run "$root/opt/tree/above"
ln -s chain2 "$root/opt/tree/chain"
ln -s ../../../../var/lib/chained "$root/opt/tree/chain2" # which leads to a link, and nothing is there
ln -s /etc/hosts "$root/opt/tree/file"
# What a program may do that is not root's, as ping: xattr(7), capabilities(7)
: >"$root/bin/ping"
capable=$(python3 -c 'import os, sys
os.setxattr(sys.argv[1], "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))' \
    "$root/bin/ping" 2>&1)
tar -C "$root" --xattrs --xattrs-include='*' --owner=0 --group=0 -cJf "$tap_dir/root.tar.xz" .
mkdir -p "$tap_dir/lab/tree/deep"
echo "from the lab's folder" >"$tap_dir/lab/tree/deep/file"
chmod 750 "$tap_dir/lab/tree/deep/file"
for folder in absolute above chain; do
    mkdir -p "$tap_dir/lab/tree/$folder/below"
    echo "in $folder" >"$tap_dir/lab/tree/$folder/below/in-$folder"
done
mkdir -m 711 "$tap_dir/lab/tree/absolute/private"
echo "a file" >"$tap_dir/lab/tree/file"
ln -s /etc/own "$tap_dir/lab/tree/own"
echo 'ssh-ed25519 AAAAtest someone' >"$tap_dir/lab/key.pub"
cat >"$tap_dir/lab/lab.xml" <<'XML'
<lab xmlns="urn:hostbed:lab:1" name="tiny">
  <host name="l1">
    <image from="../root.tar.xz" size="256 MiB">
      <copy from="tree" to="/srv/tree"/>
      <write path="/var/lib/made/by-lab" mode="0640">words</write>
      <write path="/srv/tree/own/later">words behind a link that was copied</write>
      <link path="/var/run/link" to="/etc/hostname"/>
      <first-boot>touch /done</first-boot>
      <ssh-key path="key.pub"/>
    </image>
    <cell cpus="0" memory="256 MiB"/>
  </host>
</lab>
XML
before=$(sha256sum <"$tap_dir/root.tar.xz")
# What it is of may be a link from elsewhere into /tmp, of which who makes images as root has another.
elsewhere=$(mktemp -d /var/tmp/hostbed-test.XXXXXX)
trap 'rm -rf "$tap_dir" "$elsewhere"' EXIT
ln -s "$tap_dir/root.tar.xz" "$elsewhere/root.tar.xz"
sed -i "s|\.\./root.tar.xz|$elsewhere/root.tar.xz|" "$tap_dir/lab/lab.xml"
mkdir "$tap_dir/tmp"
# Which says that it was started where who has a /tmp of its own sees it.
printf '#!/bin/sh\n: >"%s/started"\nexec qemu-system-x86_64 "$@"\n' "$elsewhere" >"$tap_dir/emulator"
chmod +x "$tap_dir/emulator"
LIBGUESTFS_HV="$tap_dir/emulator" TMPDIR="$tap_dir/tmp" build "$tap_dir/lab/lab.xml" >"$tap_dir/out" 2>"$tap_dir/err"
is "an image is made of a tarball" $? 0
has "it is inspected" "$tap_dir/out" '^[0-9a-f]{12}  .*root.tar.xz  Tiny debian 12  6.1.0-10-amd64$'
is "LIBGUESTFS_HV is what starts the appliance" "$(ls "$elsewhere/started")" "$elsewhere/started"
is "libguestfs has no word about a TMPDIR in /tmp" "$(grep -c TMPDIR "$tap_dir/err")" 0
is "the tarball is as it was" "$(sha256sum <"$tap_dir/root.tar.xz")" "$before"
ln "$tap_dir/root.tar.xz" "$tap_dir/same"
build "$tap_dir/root.tar.xz" -o "$tap_dir/same" 2>"$tap_dir/err"
is "what an image is made from is not written to" "$? $(sha256sum <"$tap_dir/root.tar.xz")" "2 $before"
has "whatever name it has" "$tap_dir/err" "--output .*/same would overwrite the base .*root.tar.xz; name another file"
build "$tap_dir/lab/lab.xml" -o "$tap_dir/same" 2>"$tap_dir/err"
is "nor where a lab names it" "$? $(sha256sum <"$tap_dir/root.tar.xz")" "2 $before"
lab_before=$(sha256sum <"$tap_dir/lab/lab.xml")
build "$tap_dir/lab/lab.xml" -o "$tap_dir/lab/lab.xml" 2>"$tap_dir/err"
is "nor is the lab" "$? $(sha256sum <"$tap_dir/lab/lab.xml")" "2 $lab_before"
has "which is told" "$tap_dir/err" "--output .*/lab.xml would overwrite the lab "
image=$(newest_image)
has "its system is known to libosinfo" "$image/image.json" '"os" : "debian12"'
is "its newest kernel is taken out" "$(cat "$image/kernel" "$image/initrd")" "kernel 6.1.0-10-amd64
initramfs 6.1.0-10-amd64"
has "with the list of its modules" "$image/modules/modules.dep" virtio_blk
is "nobody may write to it" "$(find "$image" -type f -perm /222 -path '*disk*')" ""

raw_disk
in_image 0 'dump -p /opt/tree/deep/file '"$tap_dir/file"
is "what is copied through a link is where that leads to in the image" "$(cat "$tap_dir/file")" "from the lab's folder"
in_image 0 'stat /opt/tree/deep/file' >"$tap_dir/stat"
has "with its mode, and root's" "$tap_dir/stat" 'Mode:  0750'
has "and root's" "$tap_dir/stat" 'User: +0 +Group: +0'
in_image 0 "cat $outside/below/in-absolute" >"$tap_dir/words"
has "so is what lies deeper, through an absolute link" "$tap_dir/words" '^in absolute$'
in_image 0 'cat /run/below/in-above' >"$tap_dir/words"
has "one that leads above all" "$tap_dir/words" '^in above$'
in_image 0 "cat $outside/chained/below/in-chain" >"$tap_dir/words"
has "and one that leads to others" "$tap_dir/words" '^in chain$'
in_image 0 "stat $outside/private" >"$tap_dir/stat"
has "folders have their modes" "$tap_dir/stat" 'Type: directory +Mode:  0711'
in_image 0 'stat /opt/tree/absolute' >"$tap_dir/stat"
has "and links stay" "$tap_dir/stat" "dest: \"$outside\""
in_image 0 'cat /opt/tree/file' >"$tap_dir/words"
has "a file takes the place of a link" "$tap_dir/words" '^a file$'
in_image 0 'cat /etc/hosts' >"$tap_dir/words"
has "and not of what that led to" "$tap_dir/words" '^127.0.0.1 localhost$'
in_image 0 'cat /etc/own/later' >"$tap_dir/words"
has "what is copied first is there for what comes later" "$tap_dir/words" '^words behind a link'
in_image 0 "cat $outside/made/by-lab" >"$tap_dir/words"
has "a link to a folder of this machine means one of the image" "$tap_dir/words" '^words'
is "and nothing is written there" "$(ls -A "$outside")" ""
in_image 0 'stat /run/link' >"$tap_dir/stat"
has "none leads above the image's root" "$tap_dir/stat" 'Fast link dest: "/etc/hostname"'
in_image 0 "stat $outside/secret/hostbed-agent" >"$tap_dir/stat"
has "the agent is in it" "$tap_dir/stat" 'Type: regular +Mode:  0755'
in_image 0 'stat /etc/systemd/system/multi-user.target.wants/hostbed-agent.service' >"$tap_dir/stat"
has "as a service" "$tap_dir/stat" 'dest: "../hostbed-agent.service"'
in_image 0 "cat $outside/secret/vmtests/numa" >"$tap_dir/start"
has "suites are in it" "$tap_dir/start" 'exec /usr/lib/hostbed/lib/ld-.* /usr/lib/hostbed/suites/numa'
in_image 0 "cat $outside/secret/first-boot" >"$tap_dir/first"
has "and the script of its first boot" "$tap_dir/first" '^touch /done'
in_image 0 'cat /root/.ssh/authorized_keys' >"$tap_dir/keys"
has "and the key" "$tap_dir/keys" '^ssh-ed25519 AAAAtest someone$'
in_image 0 'cat /etc/fstab' >"$tap_dir/fstab"
has "its root is named as the kernel is told" "$tap_dir/fstab" "^$(sed -n 's/.*root=\(UUID=[^ "]*\).*/\1/p' "$image/image.json") / ext4"
if [ -z "$capable" ]; then
    in_image 0 'ea_list /bin/ping' >"$tap_dir/ea"
    has "capabilities are those of the tarball" "$tap_dir/ea" 'security.capability \(20\)'
else
    skip "capabilities are those of the tarball" "no file can have any here: ${capable##*: }"
fi
in_image 0 'stat /etc/systemd/system/serial-getty@ttyS0.service' >"$tap_dir/stat"
has "no login is offered where the kernel speaks" "$tap_dir/stat" 'dest: "/dev/null"'
in_image 0 'ls /etc/libvirt/qemu/networks/autostart' >"$tap_dir/ls"
is "libvirt's network does not start" "$(grep -c default.xml "$tap_dir/ls")" 0
in_image 0 'cat /etc/selinux/config' >"$tap_dir/selinux"
has "SELinux only warns" "$tap_dir/selinux" '^SELINUX=permissive$'
e2fsck -fn "$tap_dir/image.raw" >"$tap_dir/fsck" 2>&1
is "its file system is whole" $? 0

build "$tap_dir/lab/lab.xml" >"$tap_dir/again" 2>"$tap_dir/err"
is "it is found the next time" "$(cat "$tap_dir/again")" "$(cat "$tap_dir/out")"
is "and nothing is done for it" "$(cat "$tap_dir/err")" ""

# ---- a disk, which grows
tiny_root "$tap_dir/root2"
printf ' SELINUX= Enforcing\nSELINUXTYPE=targeted\n' >"$tap_dir/root2/etc/selinux/config"
tiny_disk "$tap_dir/disk.qcow2" "$tap_dir/root2"
before=$(sha256sum <"$tap_dir/disk.qcow2")
build --size '256 MiB' -o "$tap_dir/copy.qcow2" "$tap_dir/disk.qcow2" >"$tap_dir/out" 2>"$tap_dir/err"
is "an image is made of a disk" $? 0
is "the disk is as it was" "$(sha256sum <"$tap_dir/disk.qcow2")" "$before"
is "the image's is copied when asked" "$(sha256sum <"$tap_dir/copy.qcow2")" "$(sha256sum <"$(newest_image)/disk.qcow2")"
has "it has a boot loader" "$(newest_image)/image.json" '"loader" : true'
if has_terminal; then
    TERM=xterm LC_ALL=C script -qec "$build_dir/run hostbed image build --accel tcg --size '256 MiB' -o $tap_dir/copy.qcow2 $tap_dir/disk.qcow2" \
        /dev/null </dev/null >"$tap_dir/terminal"
    has "what takes long is told on a terminal" "$tap_dir/terminal" 'hostbed: copying the disk to copy\.qcow2'
    is "and stays only if it took long" "$(grep -Ec ' [01] s' "$tap_dir/terminal")" 0
else
    skip "what takes long is told on a terminal" "$why"
fi
raw_disk
is "it has the size that was asked for" "$(stat -c %s "$tap_dir/image.raw")" 268435456
in_image 1048576 stats >"$tap_dir/stats"
has "and so has its file system" "$tap_dir/stats" '^Block count: +(26[01]|6[45])[0-9]{3}$'
is "its partitions are sound" "$(sfdisk -V "$tap_dir/image.raw" 2>&1 | grep -c 'No errors detected')" 1
in_image 1048576 'cat /boot/grub/grub.cfg' >"$tap_dir/grub"
has "its boot loader gives the kernel its words" "$tap_dir/grub" 'root=/dev/sda1 ro intel_iommu=on console=tty0 console=ttyS0$'
has "and does not wait" "$tap_dir/grub" '^set timeout=0$'
in_image 1048576 'cat /etc/default/grub' >"$tap_dir/grub"
has "and so will one that the system makes" "$tap_dir/grub" '^GRUB_CMDLINE_LINUX="\$GRUB_CMDLINE_LINUX intel_iommu=on'

in_image 1048576 'cat /etc/selinux/config' | head -n 1 >"$tap_dir/selinux"
has "SELinux only warns, whatever its line looks like and wherever it stands" "$tap_dir/selinux" '^SELINUX=permissive$'

# ---- all of /tmp, of which who makes images as root has another one otherwise: one of few files, that nobody else sees
of_tmp() {
    local own=(unshare --mount) place
    [ "$(id -u)" = 0 ] || own=(unshare --map-root-user --mount)
    why=$("${own[@]}" true 2>&1) || return
    for place in "$build_dir" "$source_dir" "$(realpath "$shared_cache")"; do
        why="what is tried is in /tmp itself: $place"
        case "$place/" in /tmp/*) return 1 ;; esac
    done
    mkdir -p "$elsewhere/tmp/below" "$elsewhere/cache/hostbed"
    echo "in /tmp" >"$elsewhere/tmp/below/file"
    ln -s "$shared_cache/appliance" "$elsewhere/cache/hostbed/appliance"
    ln -s /tmp "$elsewhere/link"
    tiny_root "$elsewhere/root"
    sed -e 's|<image .*|<image from="./root" size="256 MiB">|' -e 's|<copy .*|<copy from="link" to="/srv/tmp"/>|' -e '/<ssh-key/d' \
        "$tap_dir/lab/lab.xml" >"$elsewhere/lab.xml"
    # shellcheck disable=SC2016 # of the shell that is started
    TMPDIR=/tmp XDG_CACHE_HOME="$elsewhere/cache" XDG_STATE_HOME="$elsewhere" XDG_RUNTIME_DIR="$elsewhere" \
        "${own[@]}" sh -c 'mount --bind "$0" /tmp && exec "$@"' "$elsewhere/tmp" \
        "$build_dir/run" hostbed image build --accel tcg "$elsewhere/lab.xml" >"$elsewhere/out" 2>"$tap_dir/err"
    made=$?
}
name="all of /tmp is copied where a lab says so"
if of_tmp; then
    is "an image can have a copy of /tmp" $made 0
    image=$(XDG_CACHE_HOME="$elsewhere/cache" newest_image)
    qemu-img convert -f qcow2 -O raw "$image/disk.qcow2" "$tap_dir/image.raw"
    in_image 0 'cat /srv/tmp/below/file' >"$tap_dir/words"
    has "$name" "$tap_dir/words" '^in /tmp$'
else
    skip "$name" "$why"
fi

# ---- what is there
hostbed image list >"$tap_dir/list"
is "both are listed" "$(wc -l <"$tap_dir/list")" 2
key=$(cut -c-12 "$tap_dir/out")
hostbed image rm "$key" >"$tap_dir/removed"
has "one can be removed, which is said" "$tap_dir/removed" "^removed $key  /"
hostbed image list >"$tap_dir/list"
is "and only this one is" "$(wc -l <"$tap_dir/list")" 1
path=$(sed 's/.*  \(\/[^ ]*\)  .*/\1/' "$tap_dir/list")
(cd / && ! hostbed image rm "./$(basename "$path")") >"$tap_dir/removed" 2>&1
is "a file is not another one of the same name" "$? $(hostbed image list | wc -l)" "0 1"
(cd "$(dirname "$path")" && hostbed image rm "./$(basename "$path")") >"$tap_dir/removed"
is "what it was made from is its name, from wherever it is told" "$? $(hostbed image list | wc -l)" "0 0"
is "nothing is left of the making" "$(find "$XDG_CACHE_HOME/hostbed/images" "$XDG_CACHE_HOME/hostbed/appliance/" -maxdepth 1 -name '.new-*')" ""
done_testing
