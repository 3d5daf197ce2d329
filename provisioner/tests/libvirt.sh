#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the expected domain XML is to libvirt: valid by its schema, and started (paused, by libvirt's
# driver embedded in virsh, so without a daemon) with the same devices in the same places as the
# expected arguments have.
. "${HOSTBED_SOURCE_DIR:?run this by make check}/harness/tests/tap.sh"

expected="$source_dir/topologies/expected"
schema=/usr/share/libvirt/schemas/domain.rng
started_labs="berrange-2017 memory-attributes switch-4dev"

check_schema() {
    local file name
    for file in "$expected"/*/*.libvirt.xml; do
        name=${file#"$expected/"}
        if xmllint --noout --relaxng "$schema" "$file" 2>"$tap_dir/xmllint"; then
            ok "$name is valid"
        else
            not_ok "$name is valid" "$tap_dir/xmllint"
        fi
    done
}

# The domain's type follows the accelerator, and so do the kernel's words of emulation and
# system management mode; nothing else does.
check_types() {
    local accel lab="$source_dir/topologies/berrange-2017.xml"
    hostbed show -f libvirt --accel tcg "$lab" >"$tap_dir/tcg.xml" 2>"$tap_dir/err" ||
        { skip "the domain's type follows the accelerator" "no emulator to ask"; return; }
    is "--accel tcg is type qemu" "$(grep -c '<domain .*type="qemu"' "$tap_dir/tcg.xml")" 1
    hostbed show -f libvirt --accel kvm "$lab" >"$tap_dir/kvm.xml"
    is "--accel kvm is type kvm, also where there is none" "$(grep -c '<domain .*type="kvm"' "$tap_dir/kvm.xml")" 1
    is "--accel tcg has the words of emulation" "$(grep -c '<hostbed:cmdline>lpj=' "$tap_dir/tcg.xml")" 1
    sed 's/<hostbed:cmdline>lpj=[0-9]* /<hostbed:cmdline>/; s/type="qemu"/type="kvm"/; /<smm state="off"\/>/d' "$tap_dir/tcg.xml" >"$tap_dir/same.xml"
    is "all else is the same" "$(diff "$tap_dir/kvm.xml" "$tap_dir/same.xml" | grep -c '^[<>]')" 0
    is "emulation has no system management mode" "$(grep -c '<smm state="off"/>' "$tap_dir/tcg.xml")" 1
    is "KVM has what libvirt gives it" "$(grep -c '<smm' "$tap_dir/kvm.xml")" 0
    hostbed show -f libvirt --accel tcg "$source_dir/topologies/efi.xml" >"$tap_dir/efi.xml"
    is "EFI keeps it" "$(grep -c '<smm' "$tap_dir/efi.xml")" 0
    accel=kvm
    hostbed doctor --json | grep -A5 '"name" : "kvm"' | grep -q '"state" : "ok"' || accel=tcg
    hostbed show -f libvirt "$lab" >"$tap_dir/auto.xml"
    is "without --accel it is what works here" "$(cat "$tap_dir/auto.xml")" "$(cat "$tap_dir/$accel.xml")"
    hostbed show -f libvirt --accel warp "$lab" >"$tap_dir/out" 2>"$tap_dir/err"
    is "there is no other" $? 2
    [ ! -e "$schema" ] || ! command -v xmllint >/dev/null ||
        is "type qemu is valid" "$(xmllint --noout --relaxng "$schema" "$tap_dir/tcg.xml" 2>&1 | tail -n 1)" "$tap_dir/tcg.xml validates"
}

# DRIVER ID ADDRESS of each device that libvirt was given a name for; the name is turned back
# into the lab's id (see alias_of() in emit-libvirt.c).
devices_of_qtree() {
    tr -d '\r' <"$1" | awk '
        / dev: / { driver = $2; sub(",", "", driver); id = $4; gsub("\"", "", id) }
        / addr = / && sub("^ua-", "", id) {
            gsub("--", "\001", id); gsub("_", ".", id); gsub("-u", "_", id); gsub("\001", "-", id)
            print driver, id, $3
            id = ""
        }' | sort
}

devices_of_args() {
    sed -n 's/^-device .{"driver":"\([^"]*\)","id":"\([^"]*\)","bus":"[^"]*","addr":"\([^"]*\)".*/\1 \2 \3/p' "$1" | sort
}

# What an embedded libvirt needs to know to leave the machine alone.
make_root() {
    mkdir -p "$tap_dir/root/etc"
    cat >"$tap_dir/root/etc/qemu.conf" <<END
stdio_handler = "file"
security_driver = "none"
user = "$(id -un)"
group = "$(id -gn)"
namespaces = []
cgroup_controllers = []
remember_owner = 0
END
}

check_start() {
    local lab=$1 name="$1-l1"
    # Plain emulation is there on every machine.
    sed 's/<domain \(.*\) type="kvm"/<domain \1 type="qemu"/' "$expected/qemu-7.2/$lab.libvirt.xml" >"$tap_dir/$lab.xml"
    timeout 60 virsh -q -c "$uri" "create $tap_dir/$lab.xml --paused;
        qemu-monitor-command $name --hmp info qtree; destroy $name" >"$tap_dir/out" 2>"$tap_dir/err"
    devices_of_qtree "$tap_dir/out" >"$tap_dir/found"
    devices_of_args "$expected/qemu-7.2/$lab.args" >"$tap_dir/asked"
    if [ -s "$tap_dir/asked" ] && diff "$tap_dir/asked" "$tap_dir/found" >"$tap_dir/diff"; then
        ok "libvirt starts $lab with each device in its place"
    else
        not_ok "libvirt starts $lab with each device in its place" "$tap_dir/diff" "$tap_dir/err"
    fi
}

why_not_start() {
    command -v virsh >/dev/null || { echo "virsh is not here"; return; }
    timeout 20 virsh -q -c "$uri" version >"$tap_dir/out" 2>&1 ||
        echo "virsh cannot start anything by itself: $(tail -n 1 "$tap_dir/out")"
}

if [ -e "$schema" ] && command -v xmllint >/dev/null; then
    check_schema
else
    skip "domain XML is valid" "libvirt's schema or xmllint is not here"
fi
check_types
make_root
uri="qemu:///embed?root=$tap_dir/root"
reason=$(why_not_start)
for lab in $started_labs; do
    if [ -z "$reason" ]; then check_start "$lab"; else
        skip "libvirt starts $lab with each device in its place" "$reason"
    fi
done
done_testing
