# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154
# Sourced by the tests of images: root file systems of Debian 12, made of this machine's package sources by mmdebstrap.

needs_mmdebstrap() {
    [ -x "$build_dir/provisioner/hostbed-guestfs" ] || skip_all "this hostbed was built without libguestfs"
    command -v mmdebstrap >/dev/null || skip_all "this machine has no mmdebstrap"
}

# This machine's own sources of the release, else none, which mmdebstrap takes for deb.debian.org.
debian_sources() {
    apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
        sed -n 's|^\([^ ]*\) \(bookworm[a-z-]*\) main$|deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] \1 \2 main|p'
}

# debian_tree FILE PACKAGE…: with a kernel and an initramfs that has what a host's disk needs and no more
debian_tree() {
    local tree=$1 sources=()
    shift
    mapfile -t sources < <(debian_sources)
    # shellcheck disable=SC2016 # $1 is mmdebstrap's
    mmdebstrap --variant=apt --aptopt='Acquire::Languages "none"' --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/lib/modules/*/kernel/drivers/gpu/*' \
        --dpkgopt='path-exclude=/lib/modules/*/kernel/drivers/media/*' --dpkgopt='path-exclude=/lib/modules/*/kernel/sound/*' \
        --dpkgopt='path-exclude=/lib/modules/*/kernel/drivers/net/wireless/*' \
        --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"
            printf "MODULES=list\nCOMPRESS=gzip\n" >"$1/etc/initramfs-tools/conf.d/list"
            printf "virtio_pci\nvirtio_blk\next4\n" >"$1/usr/share/initramfs-tools/modules.d/disk"' \
        --include=linux-image-amd64,initramfs-tools,busybox-static,udev,kmod,iproute2,procps \
        "${@/#/--include=}" --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/archives/*.deb' \
        --customize-hook="${debian_tree_hook:-true}" bookworm "$tree" "${sources[@]}" >"$tap_dir/mmdebstrap" 2>&1 && return
    grep -q 'Temporary failure resolving\|Could not connect\|Failed to fetch' "$tap_dir/mmdebstrap" &&
        skip_all "no packages of Debian can be had: $(grep -m 1 '^E:' "$tap_dir/mmdebstrap")"
    sed 's/^/# /' "$tap_dir/mmdebstrap"
    bail "mmdebstrap makes no tree"
}

# little N: its 8 bytes, as they lie on a PC's disk
little() {
    local n=$1 _
    for _ in 1 2 3 4 5 6 7 8; do printf '%b' "\\x$(printf %02x $((n % 256)))"; n=$((n / 256)); done
}

# debian_disk FILE.qcow2 PACKAGE…: a disk of three partitions that GRUB starts, by BIOS (its core is in the first) and by EFI
# (in the second), with the file system of such a tree in the third
debian_disk() {
    local disk=$1 raw=$1.raw grub="$tap_dir/grub" config
    shift
    local core=2048 efi=4096 root=36864 size=$((1536 * 2048)) # in sectors
    mkdir "$grub"
    config='set timeout=5\nmenuentry "Debian" {\n\tlinux\t/boot/vmlinuz-%s root=LABEL=root ro quiet\n\tinitrd\t/boot/initrd.img-%s\n}\n'
    truncate -s $((size * 512)) "$raw"
    printf 'label: gpt\nstart=%s, size=2048, type=21686148-6449-6E6F-744E-656564454649\nstart=%s, size=32768, type=uefi\nstart=%s, type=linux\n' \
        $core $efi $root | sfdisk -q "$raw"
    # Within mmdebstrap files have their owners, and in the tree there is GRUB. What is mounted in the tree is not to be in it.
    # shellcheck disable=SC2016 # $1 is mmdebstrap's
    debian_tree_hook='set -e
        mkdir -p "$1/boot/grub";         release=$(ls "$1/lib/modules")
        printf '"'$config'"' "$release" "$release" >"$1/boot/grub/grub.cfg"
        printf "LABEL=root / ext4 rw 0 0\n" >"$1/etc/fstab"
        chroot "$1" grub-mkimage -O i386-pc -o /tmp/core.img -p "(hd0,gpt3)/boot/grub" biosdisk part_gpt ext2 normal linux
        chroot "$1" grub-mkimage -O x86_64-efi -o /tmp/grub.efi -p "(hd0,gpt3)/boot/grub" part_gpt ext2 normal linux
        mv "$1/tmp/core.img" "$1/tmp/grub.efi" "'$grub'/"
        cp "$1/usr/lib/grub/i386-pc/boot.img" "'$grub'/"
        cp -r "$1/usr/lib/grub/i386-pc" "$1/usr/lib/grub/x86_64-efi" "$1/boot/grub/"
        mkdir "$1.plain"; mount --bind "$1" "$1.plain"
        mke2fs -q -F -t ext4 -L root -d "$1.plain" -E offset='$((root * 512))' "'$raw'" '$(((size - root - 2048) / 2))'k
        umount "$1.plain"; rmdir "$1.plain"' \
        debian_tree /dev/null grub-pc-bin grub-efi-amd64-bin grub2-common "$@"
    # What grub-bios-setup does: the first sector knows where the core begins, which knows where it goes on.
    dd if="$grub/boot.img" of="$raw" bs=440 count=1 conv=notrunc status=none
    little $core | dd of="$raw" bs=1 seek=92 conv=notrunc status=none
    dd if="$grub/core.img" of="$raw" bs=512 seek=$core conv=notrunc status=none
    little $((core + 1)) | dd of="$raw" bs=1 seek=$((core * 512 + 500)) conv=notrunc status=none
    truncate -s 16M "$grub/efi.img"
    mkfs.vfat "$grub/efi.img" >/dev/null
    mmd -i "$grub/efi.img" ::/EFI ::/EFI/BOOT
    mcopy -i "$grub/efi.img" "$grub/grub.efi" ::/EFI/BOOT/BOOTX64.EFI
    dd if="$grub/efi.img" of="$raw" bs=512 seek=$efi conv=notrunc status=none
    qemu-img convert -f raw -O qcow2 "$raw" "$disk"
    rm -rf "$raw" "$grub"
}
