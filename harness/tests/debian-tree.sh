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
