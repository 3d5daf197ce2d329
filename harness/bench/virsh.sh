#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# virsh.sh LAB COUNT [OPTION…]: starts LAB's host by libvirt with the kernel and the initramfs that hostbed takes, saves
# it, and prints how many milliseconds each of COUNT virsh restores took. Runs a libvirtd of its own, in a mount
# namespace of its own: unshare --mount --propagation private bash virsh.sh …
set -eu
build_dir=${HOSTBED_BUILD_DIR:?run this by make bench}
lab=$1 count=$2
shift 2
dir=$(mktemp -d)
libvirtd=''
end() {
    [ -z "$libvirtd" ] || kill "$libvirtd"
    rm -rf "$dir"
}
trap end EXIT

# What libvirt has on this machine is left alone.
for place in /run /var/lib/libvirt /var/log/libvirt /var/cache/libvirt; do
    [ ! -d $place ] || mount -t tmpfs tmpfs $place
done
mkdir -p /run/lock "$dir/etc"
mount --bind "$dir/etc" /etc/libvirt
cat >/etc/libvirt/qemu.conf <<END
stdio_handler = "file"
security_driver = "none"
user = "root"
group = "root"
namespaces = []
cgroup_controllers = []
remember_owner = 0
END
libvirtd -d -p /run/libvirtd.pid
libvirtd=$(cat /run/libvirtd.pid)

# virsh sees the words, and libvirt opens the files of this kernel.
hostbed() { "$build_dir/hostbed" "$1" --accel tcg "${@:2}"; }
hostbed run "$@" --log-dir "$dir/log" "$lab" -- true >&2
words=$(sed -n '/# as it was/ { n; p }' "$(find "$dir/log" -name command)")
file_of() { sed "s/.* -$1 \([^ ]*\) .*/\1/" <<<"$words"; }
hostbed show "$@" -f libvirt "$lab" >"$dir/shown.xml"
line=$(sed -n 's|.*<hostbed:cmdline>\(.*\)</hostbed:cmdline>.*|\1|p' "$dir/shown.xml")
boot="<kernel>$(file_of kernel)</kernel><initrd>$(file_of initrd)</initrd><cmdline>$line</cmdline>"
sed "s|</type>|&$boot|" "$dir/shown.xml" >"$dir/domain.xml"
virsh -q create "$dir/domain.xml" >&2
name=$(virsh list --name | head -n 1)
socket=$(virsh dumpxml "$name" | sed -n "s/.*mode='bind' path='\([^']*\)'.*/\1/p")
# It is up when its agent speaks.
python3 -c 'import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); sys.exit(not s.recv(1))' "$socket"
virsh -q save "$name" "$dir/saved" >&2
now_us() { local t=${EPOCHREALTIME/[.,]/}; echo "$t"; }
for ((i = 0; i < count; i++)); do
    start=$(now_us)
    virsh -q restore "$dir/saved" >&2
    echo $((($(now_us) - start) / 1000))
    virsh -q destroy "$name" >&2
done
