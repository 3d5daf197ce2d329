#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hosts whose services sysvinit or OpenRC starts: commands run in them when all else is up, after the lab's script, which
# runs once. Their images are made of tarballs, as mmdebstrap makes them.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?run this by make check-vm-long}/harness/tests/tap.sh"
# shellcheck source=harness/tests/debian-tree.sh
. "$source_dir/harness/tests/debian-tree.sh"
needs_mmdebstrap
out=$tap_dir/out
err=$tap_dir/err

# What else is started takes its time, and is waited for; the service is started anew by hand.
lab_of() {
    cat <<XML
<lab xmlns="urn:hostbed:lab:1" name="$1">
  <host name="l1">
    <image from="./$1.tar" size="2 GiB">
      <write path="/etc/rc.local" mode="0755">
        #!/bin/sh
        sleep 2
        echo rc.local >>/order
      </write>
      <first-boot>
        echo first-boot said this
        echo first-boot \$(pgrep -fc -- 'hostbed-agent --service') >>/order
        false
        echo never >>/order
      </first-boot>
    </image>
    <iommu model="intel"/>
    <cell cpus="0-1" memory="1 GiB"><hugepages size="2 MiB" count="4"/></cell>
    <nic model="e1000e"/>
  </host>
</lab>
XML
}

# works NAME WORD: the word is one of OpenRC's or of sysvinit's state
works() {
    local name=$1 lab=$tap_dir/$1.xml
    lab_of "$name" >"$lab"
    hostbed run --accel tcg --bind nic "$lab" -- sh -c "hostname; cat /proc/1/comm /proc/sys/vm/nr_hugepages
        ulimit -n; $2
        ls -l /sys/bus/pci/devices/\$HOSTBED_BIND_1_ADDRESS/driver | sed 's/.*\\///'
        /etc/init.d/hostbed-agent start >/dev/null 2>&1; cat /order; exit 3" >"$out" 2>"$err"
    is "the status is the command's, with $name" $? 3
    [ -s "$out" ] || sed "s/^/# /" "$err"
    has "it is told that the lab's script failed, with $name" "$err" \
        'warning: in the host: the script of <first-boot> ended with status 1'
    is "it ran with all that the lab says, after all else and the lab's script, which ran once, with $name" \
        "$(tr '\n' ' ' <"$out")" "l1 init 4 524288 $3 vfio-pci rc.local first-boot 0 "
    hostbed test --accel tcg -s manifest -s pci -s hugepages "$lab" >"$out" 2>"$err"
    is "the host is the machine that was asked for, with $name" "$? $(grep -c '^not ok' "$out")" "0 0"
    is "in clones of one that was started, with $name" "$(grep -c 'is no clone of a template' "$err")" 0
    hostbed image rm "$tap_dir/$name.tar" "$tap_dir/./$name.tar" >/dev/null 2>&1
}

debian_tree "$tap_dir/sysvinit.tar" sysvinit-core
works sysvinit runlevel 'N 2'
debian_tree "$tap_dir/openrc.tar" openrc sysvinit-core
works openrc 'rc-status -r' default
done_testing
