# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154
# Sourced by the tests of images: a root file system of a few files, which is inspected as a distribution's is and
# starts nothing, and disks with it; so an image is made in the time that the appliance takes.

# needs_images [FOLDER]: of the user's cache
needs_images() {
    local program
    [ -x "$build_dir/provisioner/hostbed-guestfs" ] || skip_all "this hostbed was built without libguestfs"
    [ -d /lib/modules ] || skip_all "this machine has no folder /lib/modules, without which libguestfs makes no appliance"
    for program in mke2fs debugfs qemu-img sfdisk; do
        PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || skip_all "this machine has no $program"
    done
    PATH=$PATH:/usr/sbin:/sbin
    own_cache "${1-cache}"
    # What is made here is nobody else's.
    rm -f "$XDG_CACHE_HOME/hostbed/images" "$XDG_CACHE_HOME/hostbed/downloads"
    mkdir -p "$XDG_CACHE_HOME/hostbed/images"
    # The appliance, which is the costly part, is the machine's.
    mkdir -p "$shared_cache/appliance"
    ln -sfn "$shared_cache/appliance" "$XDG_CACHE_HOME/hostbed/appliance"
}

# tiny_root FOLDER [ID]
tiny_root() {
    local root=$1 folder
    for folder in bin boot/grub etc/default etc/systemd/system etc/libvirt/qemu/networks/autostart etc/selinux \
        lib/systemd lib/modules/6.1.0-9-amd64 lib/modules/6.1.0-10-amd64 opt root run usr/share usr/lib usr/bin var tmp; do
        mkdir -p "$root/$folder"
    done
    printf 'ID=%s\nNAME="Tiny"\nVERSION_ID="12"\nPRETTY_NAME="Tiny %s 12"\n' "${2-debian}" "${2-debian}" >"$root/etc/os-release"
    [ "${2-debian}" != debian ] || echo 12.5 >"$root/etc/debian_version"
    echo '127.0.0.1 localhost' >"$root/etc/hosts"
    echo '/dev/sda1 / ext4 defaults 0 1' >"$root/etc/fstab"
    : >"$root/lib/systemd/systemd"
    for release in 6.1.0-9-amd64 6.1.0-10-amd64; do
        echo "kernel $release" >"$root/boot/vmlinuz-$release"
        echo "initramfs $release" >"$root/boot/initrd.img-$release"
        echo 'kernel/drivers/block/virtio_blk.ko:' >"$root/lib/modules/$release/modules.dep"
    done
    echo '<network/>' >"$root/etc/libvirt/qemu/networks/autostart/default.xml"
    printf '# a comment\nSELINUX=enforcing\n' >"$root/etc/selinux/config"
    printf 'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="quiet"\n' >"$root/etc/default/grub"
    printf 'set timeout=5\nmenuentry "Tiny" {\n\tlinux\t/boot/vmlinuz root=/dev/sda1 ro\n\tinitrd /boot/initrd.img\n}\n' \
        >"$root/boot/grub/grub.cfg"
}

# tiny_disk FILE.qcow2 ROOT: one GPT partition, from 1 MiB on, of a disk of 64 MiB
tiny_disk() {
    local raw=$1.raw
    truncate -s 64M "$raw"
    printf 'label: gpt\nstart=2048, size=122880, type=linux\n' | sfdisk -q "$raw" &&
        mke2fs -q -F -t ext4 -d "$2" -E offset=1048576 "$raw" 60M && qemu-img convert -f raw -O qcow2 "$raw" "$1"
}

# The folder of the newest image.
newest_image() { hostbed image list --json | sed -n 's/^ *"folder" : "\(.*\)",\{0,1\}$/\1/p' | head -n 1; }

# in_image OFFSET COMMAND…: debugfs(8) on its disk, which nothing starts or mounts for
raw_disk() { qemu-img convert -f qcow2 -O raw "$(newest_image)/disk.qcow2" "$tap_dir/image.raw"; }
in_image() { debugfs -R "$2" "$tap_dir/image.raw?offset=$1" 2>/dev/null; }

# bootable_root FOLDER: the same with a kernel, an initramfs that has what its disk needs, and an init that starts hostbed's agent
# and nothing else; kernel and modules are those of the micro image.
bootable_root() {
    local root=$1 booted="$tap_dir/bootable" version kernel initrd tool
    hostbed run --accel tcg --log-dir "$booted" --module virtio_blk --module ext4 --module crc32c_generic "$source_dir/topologies/smallest.xml" -- \
        uname -r >"$tap_dir/release" || return
    version=$(cat "$tap_dir/release")
    kernel=$(sed -n 's/^ *-kernel \(.*\) \\$/\1/p' "$booted"/*/command)
    initrd=$(sed -n 's/^ *-initrd \(.*\) \\$/\1/p' "$booted"/*/command)
    tiny_root "$root"
    rm -r "$root"/boot/*-6.1.0-* "$root"/lib/modules/6.1.0-*
    mkdir -p "$root/lib/modules/$version" "$root/proc" "$root/sys" "$root/dev" "$booted/initrd"
    : >"$root/lib/modules/$version/modules.dep"
    cp "$kernel" "$root/boot/vmlinuz-$version"
    cp "$(command -v busybox)" "$root/bin/busybox"
    for tool in sh cat ls mount sync sha256sum; do ln -s busybox "$root/bin/$tool"; done
    cat >"$root/lib/systemd/systemd" <<'INIT'
#!/bin/sh
mount -t proc none /proc
mount -t sysfs none /sys
mount -t tmpfs none /run
mount -t tmpfs none /tmp
exec /usr/lib/hostbed/hostbed-agent --service
INIT
    cat >"$booted/initrd/init" <<'INIT'
#!/bin/sh
mount -t proc none /proc
mount -t devtmpfs none /dev
modprobe -a virtio_pci virtio_blk crc32c_generic ext4 virtio_console
until [ -b /dev/vda ]; do usleep 10000; done
mount -t ext4 /dev/vda /mnt
mount --move /dev /mnt/dev
umount /proc
exec switch_root /mnt /lib/systemd/systemd
INIT
    chmod 755 "$root/lib/systemd/systemd" "$booted/initrd/init"
    (cat "$initrd" && cd "$booted/initrd" && echo init | cpio -o -H newc --quiet) >"$root/boot/initrd.img-$version"
    rm -r "$booted"
}

bootable_lab() { # NAME
    cat <<LAB
<lab xmlns="urn:hostbed:lab:1" name="$1">
  <host name="l1">
    <image from="./root.tar" size="512 MiB"/>
    <iommu model="intel"/>
    <cell cpus="0" memory="320 MiB"><expander><port/></expander></cell>
    <cell memory="192 MiB"/>
  </host>
</lab>
LAB
}

# bootable_labs FOLDER NAME…: labs of hosts with such an image, which is in the user's cache then
bootable_labs() {
    local folder=$1 name
    shift
    mkdir -p "$folder"
    bootable_root "$tap_dir/root" || bail "no root file system"
    tar -C "$tap_dir/root" --owner=0 --group=0 -cf "$folder/root.tar" .
    rm -r "$tap_dir/root"
    for name; do bootable_lab "$name" >"$folder/$name.xml"; done
    hostbed image build --accel tcg "$folder/$1.xml" >"$tap_dir/image" 2>&1 || bail "no image: $(tail -n 1 "$tap_dir/image")"
}
