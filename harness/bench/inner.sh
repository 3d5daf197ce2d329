# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# What the benchmark compares the suite nested with: the same guest inside, started by hand. It runs in a host of
# nested-linux, by busybox, and ends when the first frame of the guest has come to the other NIC.
set -e
given=0000:21:00.0 kept=0000:41:00.0
devices=/sys/bus/pci/devices
inner=/usr/lib/hostbed/inner

modprobe -q kvm_amd || modprobe -q kvm_intel
modprobe vfio_iommu_type1
modprobe vfio-pci
name=$(ls $devices/$kept/net)
ip link set "$name" up
echo vfio-pci >$devices/$given/driver_override
echo $given >$devices/$given/driver/unbind
echo $given >/sys/bus/pci/drivers_probe
qemu-system-x86_64 -nodefaults -no-user-config -display none -accel kvm -cpu host -machine pc,hpet=off -m 128 -no-reboot \
    -L $inner -kernel $inner/kernel -initrd $inner/initramfs \
    -append "loglevel=1 8250.nr_uarts=0 panic=-1 pci=noearly no_timer_check mitigations=off cryptomgr.notests noxsave" \
    -device vfio-pci,host=$given,rombar=0 -serial file:/tmp/said &
until [ "$(cat "/sys/class/net/$name/statistics/rx_packets")" -gt 0 ]; do
    kill -0 $!
    usleep 10000
done
