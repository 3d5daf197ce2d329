#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The observation says what others say of the same host in the same run: lspci, lstopo, and the tables
# that its firmware gave to the kernel, decoded by iasl.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"
command -v python3 >/dev/null || skip_all "python3 is not there, which compares (package: python3)"
agree=$source_dir/harness/tests/agree
err=$tap_dir/err

with=(--with "$build_dir/vmtests/hostbed-observe")
lspci=$(command -v lspci)
[ -z "$lspci" ] || with+=(--with "$lspci")
lstopo=$(command -v lstopo-no-graphics)
[ -z "$lstopo" ] || with+=(--with "$lstopo")

# What runs in the host. What it finds comes out as an archive.
# shellcheck disable=SC2016 # it is for the host to expand
in_host='set -e
mkdir /tmp/facts
cd /tmp/facts
hostbed-observe >observation
if command -v lspci >/dev/null; then
    lspci -D -n -vvk >lspci 2>/dev/null
    lspci -D -n -PP >lspci-paths
fi
if command -v lstopo-no-graphics >/dev/null; then lstopo-no-graphics --of xml --whole-io - >lstopo.xml; fi
for table in APIC SRAT SLIT HMAT MCFG DMAR; do
    if [ -e /sys/firmware/acpi/tables/$table ]; then cat /sys/firmware/acpi/tables/$table >$table; fi
done
tar cf - *'

# witness NAME LAB PACKAGE: "" for the package when the witness is there
witness() {
    if [ -n "$3" ]; then
        skip "$1 agrees with the observation of $2" "$1 is not there (package: $3)"
    elif "$agree" "$1" "$facts" >"$tap_dir/differences" 2>"$err"; then
        ok "$1 agrees with the observation of $2: $(cat "$err")"
    else
        not_ok "$1 agrees with the observation of $2" "$tap_dir/differences" "$err"
    fi
}

# doubt NAME SED-SCRIPT LINE: the witness contradicts an observation that is wrong there, and only there
doubt() {
    [ -e "$facts/$1.seen" ] || return 0
    cp "$facts/observation" "$facts/true"
    sed "$2" "$facts/true" >"$facts/observation"
    "$agree" "$1" "$facts" >"$tap_dir/differences" 2>"$err"
    is "$1 contradicts '$3'" "$(grep '^only observed' "$tap_dir/differences")" "only observed: $3"
    mv "$facts/true" "$facts/observation"
}

for lab in berrange-2017 2socket-smt-hugepages memory-attributes 4cell-asymmetric; do
    facts=$tap_dir/$lab
    mkdir "$facts"
    if ! hostbed run --accel tcg "${with[@]}" "$source_dir/topologies/$lab.xml" -- sh -c "$in_host" \
        >"$tap_dir/archive" 2>"$err" || ! tar -C "$facts" -xf "$tap_dir/archive" 2>>"$err"; then
        not_ok "$lab tells what it is" "$err"
        continue
    fi
    no_lspci=pciutils no_lstopo=hwloc-nox no_acpi=acpica-tools
    if [ -n "$lspci" ]; then no_lspci='' && touch "$facts/lspci.seen"; fi
    if [ -n "$lstopo" ]; then no_lstopo='' && touch "$facts/lstopo.seen"; fi
    if command -v iasl >/dev/null; then no_acpi='' && touch "$facts/acpi.seen"; fi
    (cd "$facts" && for table in APIC SRAT SLIT HMAT MCFG DMAR; do
        if [ -e "$table" ] && [ -z "$no_acpi" ]; then iasl -d "$table" >/dev/null 2>&1; fi
    done)
    witness lspci "$lab" "$no_lspci"
    witness lstopo "$lab" "$no_lstopo"
    witness acpi "$lab" "$no_acpi"
done

# Agreement means something only from witnesses that can disagree.
doubt lspci 's/^\(pci 0000:21:00.0 bar 3 mem32\) 16384$/\1 8192/' 'pci 0000:21:00.0 bar 3 mem32 8192'
doubt lspci 's/^\(pci 0000:41:00.0 node\) 1$/\1 2/' 'pci 0000:41:00.0 node 2'
doubt lspci 's/^\(pci 0000:41:00.0 parent\) .*/\1 root/' 'pci 0000:41:00.0 parent root'
doubt lstopo 's/^\(node 1 distance 0\) 25$/\1 26/' 'node 1 distance 0 26'
doubt lstopo 's/^\(pci 0000:41:00.0 local-cpus\) 1$/\1 0/' 'pci 0000:41:00.0 local-cpus 0'
doubt acpi 's/^\(node 1 distance 0\) 25$/\1 26/' 'node 1 distance 0 26'
doubt acpi 's/^\(node 2 memory\) 512 MiB$/\1 511 MiB/' 'node 2 memory 511 MiB'
doubt acpi 's/^iommu aw-bits 48$/iommu aw-bits 39/' 'iommu aw-bits 39'
facts=$tap_dir/memory-attributes
doubt acpi 's/^\(node 1 access0 initiators\) 1$/\1 0/' 'node 1 access0 initiators 0'
doubt acpi 's/^\(node 0 access0 read-latency\) 5$/\1 10/' 'node 0 access0 read-latency 10'
doubt acpi 's/^\(node 1 access0 write-bandwidth\) 204800$/\1 102400/' 'node 1 access0 write-bandwidth 102400'
doubt acpi 's/^\(node 0 memory-cache 1 .* policy\) 0$/\1 1/' \
    'node 0 memory-cache 1 size 67108864 line 64 indexing 0 policy 1'
done_testing
