#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Root file systems with the layout of several distributions, a few files each: they are told apart, under names that the
# database has, and kernel, initramfs and services are where each has them.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?run this by make check-vm-long}/harness/tests/tap.sh"
# shellcheck source=harness/tests/tiny-root.sh
. "$source_dir/harness/tests/tiny-root.sh"
needs_images

# a_root ID VERSION RELEASE KERNEL INITRAMFS: of a system with that kernel, files of which have these paths
a_root() {
    local root="$tap_dir/$1"
    mkdir -p "$root"/{bin,boot,etc,lib,opt,root,run,sbin,tmp,usr/lib,usr/share,var} "$root/lib/modules/$3"
    printf 'NAME="A system"\nID=%s\nVERSION_ID="%s"\nPRETTY_NAME="Tiny %s"\n' "$1" "$2" "$1" >"$root/etc/os-release"
    echo kernel >"$root$4"
    echo initramfs >"$root$5"
    echo 'kernel/drivers/block/virtio_blk.ko:' >"$root/lib/modules/$3/modules.dep"
}
with_systemd() {
    mkdir -p "$tap_dir/$1/usr/lib/systemd" "$tap_dir/$1/etc/systemd/system"
    : >"$tap_dir/$1/usr/lib/systemd/systemd"
    ln -s ../usr/lib/systemd/systemd "$tap_dir/$1/sbin/init"
}
# is_prepared ID OS RELEASE SERVICE PATTERN: and SERVICE, a link, leads where PATTERN says
is_prepared() {
    tar -C "$tap_dir/$1" --owner=0 --group=0 -cf "$tap_dir/$1.tar" .
    hostbed image build --accel tcg --size '256 MiB' "$tap_dir/$1.tar" >"$tap_dir/out" 2>"$tap_dir/err"
    is "an image is made of $1" "$? $(sed 's/^\([0-9a-f]*\)  .*\.tar  //' "$tap_dir/out")" "0 Tiny $1  $3"
    [ -s "$tap_dir/out" ] || sed 's/^/# /' "$tap_dir/err"
    has "its system has its name" "$(newest_image)/image.json" "\"os\" : \"$2\""
    is "its kernel and its initramfs are taken out" "$(cat "$(newest_image)/kernel" "$(newest_image)/initrd")" "kernel
initramfs"
    raw_disk
    in_image 0 "stat $4" >"$tap_dir/stat"
    has "the agent is a service of $1" "$tap_dir/stat" "dest: \"$5\""
    [ ! -x "$build_dir/osdb/hostbed-osinfo" ] || hostbed os "$2" >"$tap_dir/known" 2>&1 ||
        not_ok "the database has $2" "$tap_dir/known"
}
systemd=/etc/systemd/system/multi-user.target.wants/hostbed-agent.service

a_root ubuntu 24.04 6.8.0-31-generic /boot/vmlinuz-6.8.0-31-generic /boot/initrd.img-6.8.0-31-generic
with_systemd ubuntu
is_prepared ubuntu ubuntu24.04 6.8.0-31-generic $systemd ../hostbed-agent.service

release=6.14.0-63.fc42.x86_64
a_root fedora 42 $release /lib/modules/$release/vmlinuz /boot/initramfs-$release.img
with_systemd fedora
is_prepared fedora fedora42 $release $systemd ../hostbed-agent.service
in_image 0 'cat /etc/dracut.conf.d/hostbed.conf' >"$tap_dir/dracut"
has "dracut will have what a host needs" "$tap_dir/dracut" 'add_drivers\+=" vfio .* virtio_blk "'

a_root centos 9 5.14.0-503.el9.x86_64 /boot/vmlinuz-5.14.0-503.el9.x86_64 /boot/initramfs-5.14.0-503.el9.x86_64.img
with_systemd centos
is_prepared centos centos-stream9 5.14.0-503.el9.x86_64 $systemd ../hostbed-agent.service

# Of busybox, with OpenRC; files of its kernel have the flavour's name.
a_root alpine 3.22.1 6.12.38-0-lts /boot/vmlinuz-lts /boot/initramfs-lts
mkdir -p "$tap_dir/alpine/etc/init.d" "$tap_dir/alpine/etc/runlevels/default"
: >"$tap_dir/alpine/sbin/openrc-run"
: >"$tap_dir/alpine/bin/busybox"
ln -s /bin/busybox "$tap_dir/alpine/sbin/init"
printf '::sysinit:/sbin/openrc sysinit\ntty1::respawn:/sbin/getty 38400 tty1\nttyS0::respawn:/sbin/getty -L 0 ttyS0 vt100\n' \
    >"$tap_dir/alpine/etc/inittab"
ln -s /etc/init.d/agetty "$tap_dir/alpine/etc/runlevels/default/agetty.ttyS0"
is_prepared alpine alpinelinux3.22 6.12.38-0-lts /etc/runlevels/default/hostbed-agent /etc/init.d/hostbed-agent
in_image 0 'cat /etc/init.d/hostbed-agent' | head -n 1 >"$tap_dir/script"
has "which OpenRC runs" "$tap_dir/script" '^#!/sbin/openrc-run$'
in_image 0 'cat /etc/inittab' >"$tap_dir/inittab"
is "no login is offered where the kernel speaks, and others are" "$(grep -v '^#' "$tap_dir/inittab")" \
    '::sysinit:/sbin/openrc sysinit
tty1::respawn:/sbin/getty 38400 tty1'
in_image 0 'ls /etc/runlevels/default' >"$tap_dir/ls"
is "nor by a service" "$(grep -c 'agetty.ttyS0' "$tap_dir/ls")" 0

# What is started tells, not what is there as well.
a_root debian 12 6.1.0-9-amd64 /boot/vmlinuz-6.1.0-9-amd64 /boot/initrd.img-6.1.0-9-amd64
mkdir -p "$tap_dir/debian/lib/systemd" "$tap_dir/debian/etc/init.d" "$tap_dir/debian/etc/rc2.d"
: >"$tap_dir/debian/lib/systemd/systemd"
echo sysvinit >"$tap_dir/debian/sbin/init"
printf 'TARGETS = first last\nINTERACTIVE =\nlast: first\n' >"$tap_dir/debian/etc/init.d/.depend.start"
is_prepared debian debian12 6.1.0-9-amd64 /etc/rc2.d/S99hostbed-agent ../init.d/hostbed-agent
in_image 0 'cat /etc/init.d/.depend.start' >"$tap_dir/list"
is "insserv's list has the agent last" "$(cat "$tap_dir/list")" 'TARGETS = first last hostbed-agent
INTERACTIVE =
last: first
hostbed-agent: first last'
done_testing
