#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hosts that the boot loader of their image starts, by BIOS and by EFI: the kernel gets what the lab asks for from the loader's
# own menu, and the host is the machine that was asked for.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?run this by make check-vm-long}/harness/tests/tap.sh"
# shellcheck source=harness/tests/debian-tree.sh
. "$source_dir/harness/tests/debian-tree.sh"
needs_mmdebstrap
PATH=$PATH:/usr/sbin:/sbin
for program in sfdisk mkfs.vfat mmd mcopy; do
    command -v "$program" >/dev/null || skip_all "this machine has no $program"
done
[ "$(id -u)" = 0 ] || skip_all "only root can make a disk of a tree that mmdebstrap has mounted"
out=$tap_dir/out
err=$tap_dir/err

lab_of() {
    cat <<XML
<lab xmlns="urn:hostbed:lab:1" name="loader-$1">
  <host name="l1">
    <image from="./debian.qcow2" boot="loader"/>
    <firmware type="$1"/>
    <iommu model="intel"/>
    <cell cpus="0-1" memory="1 GiB">
      <hugepages size="2 MiB" count="4"/>
      <expander><port><nic model="e1000e"/></port></expander>
    </cell>
    <cell cpus="2-3" memory="512 MiB"/>
  </host>
</lab>
XML
}

debian_disk "$tap_dir/debian.qcow2" sysvinit-core
before=$(sha256sum <"$tap_dir/debian.qcow2")
for firmware in bios efi; do
    lab=$tap_dir/$firmware.xml
    lab_of "$firmware" >"$lab"
    hostbed run --accel tcg "$lab" -- sh -c 'cat /proc/cmdline; [ -d /sys/firmware/efi ] && echo by efi; cat /proc/sys/vm/nr_hugepages
        hostname; ls /sys/class/iommu; exit 3' >"$out" 2>"$err"
    is "the status is the command's, by $firmware" $? 3
    [ -s "$out" ] || sed 's/^/# /' "$err"
    has "the loader gave the kernel its words, behind its own, by $firmware" "$out" \
        '^BOOT_IMAGE=/boot/vmlinuz-.* root=LABEL=root ro quiet intel_iommu=on console=tty0 console=ttyS0 .*hostbed\.hugepages='
    is "and the host is what the lab says, by $firmware" "$(sed 1d "$out" | tr '\n' ' ')" \
        "$([ "$firmware" = bios ] || echo 'by efi ')4 l1 dmar0 "
    hostbed test --accel tcg -s manifest -s pci -s iommu -s hugepages "$lab" >"$out" 2>"$err"
    is "the host is the machine that was asked for, by $firmware" "$? $(grep -c '^not ok' "$out")" "0 0"
    hostbed image rm "$(hostbed image list | sed -n 's/ .*debian.qcow2.*//p' | head -n 1)" >/dev/null 2>&1
done
is "the disk is as it was" "$(sha256sum <"$tap_dir/debian.qcow2")" "$before"
done_testing
