#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The check sees: for each kind of fact of docs/manifest.rst a machine is started that differs from its
# manifest in this (altered-emulator makes the difference, behind hostbed's back), and exactly the
# facts that are then wrong fail.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
emulator=$(emulators | head -n 1)
[ -n "$emulator" ] || skip_all "qemu-system-x86_64 is not there"

# start ALTERATION LAB: leaves what differs in $tap_dir/found, as diff would write it
start() {
    echo "$1" >"$tap_dir/alteration"
    rm -rf "$tap_dir/log"
    hostbed test --accel tcg --quiet --emulator "$wrapper" --log-dir "$tap_dir/log" manifest \
        "$source_dir/topologies/$2.xml" >"$out" 2>"$err"
    status=$?
    manifest=$tap_dir/log/$2-l1/manifest
    observation=$tap_dir/log/$2-l1/observation
    {
        LC_ALL=C comm -23 "$manifest" "$observation" | sed 's/^/-/'
        LC_ALL=C comm -13 "$manifest" "$observation" | sed 's/^/+/'
    } >"$tap_dir/found" 2>>"$err"
}

# "-LINE *" stands for each line of the manifest that begins so, and all of them have to be missing.
# "+LINE *" stands for lines that begin so, one at least, as the manifest cannot say which.
expand() {
    local line fact
    while IFS= read -r line; do
        case $line in
        -*'*')
            while IFS= read -r fact; do
                # shellcheck disable=SC2053 # a pattern
                if [[ -$fact == $line ]]; then printf -- '-%s\n' "$fact"; fi
            done <"$manifest"
            ;;
        +*'*')
            grep -F -- "${line%'*'}" "$tap_dir/found" || printf '%s\n' "$line"
            ;;
        *) printf '%s\n' "$line" ;;
        esac
    done
}

# What the report calls the facts that differ: a CPU, a node, a function, the groups, the IOMMU.
subjects() {
    sed -E 's/^[-+]//; s/^(pci|node) ([^ ]*) .*/\1 \2/; s/^cpus? .*/cpus/; s/^group .*/groups/; s/^iommu .*/iommu/' |
        LC_ALL=C sort -u
}

# alter ALTERATION LAB <what must differ
alter() {
    start "$1" "$2"
    expand | LC_ALL=C sort >"$tap_dir/expected"
    LC_ALL=C sort -o "$tap_dir/found" "$tap_dir/found"
    if [ $status = 1 ] && [ -s "$tap_dir/expected" ] &&
        diff -u "$tap_dir/expected" "$tap_dir/found" >"$tap_dir/difference"; then
        ok "$1: exactly $(wc -l <"$tap_dir/expected") lines of $2 differ"
    else
        echo "status $status" >>"$tap_dir/difference"
        not_ok "$1: exactly what was expected of $2 differs" "$tap_dir/difference" "$err"
    fi
    sed -n "s|^not ok [0-9]* - $2/l1/manifest/||p" "$out" | LC_ALL=C sort >"$tap_dir/failed"
    subjects <"$tap_dir/expected" >"$tap_dir/subjects"
    if diff -u "$tap_dir/subjects" "$tap_dir/failed" >"$tap_dir/difference" &&
        sed -E 's/^-(.*)/asked '"'\1'"'/; s/^\+(.*)/found .*'"'\1'"'/' "$tap_dir/expected" >"$tap_dir/told" &&
        ! (while IFS= read -r line; do grep -q -- "^#.*$line" "$out" || echo "$line"; done <"$tap_dir/told") |
        grep . >>"$tap_dir/difference"; then
        ok "$1: exactly these fail, and each line is named"
    else
        not_ok "$1: exactly these fail, and each line is named" "$tap_dir/difference"
    fi
}

# each FACT OLD NEW SUBJECT…: that fact of each subject, which the host has otherwise
each() {
    local fact=$1 old=$2 new=$3 subject
    shift 3
    for subject; do printf -- '-%s\n+%s\n' "$subject $fact $old" "$subject $fact $new"; done
}

make_wrapper "$emulator"

# Without an alteration the same way leads to no difference.
start nothing smallest
is "a machine that was not altered passes" "$status" 0
is "and has no line that differs" "$(cat "$tap_dir/found" "$err")" ""

# ---- CPUs and nodes -------------------------------------------------------------------------------

alter cpu_missing memory-attributes < <(
    printf '%s\n' '-cpus 0-1' '+cpus 0' '-cpu 1 *' '-node 1 cpus 1' '+node 1 cpus none'
    each local-cpus 0-1 0 'pci 0000:'{00:00.0,00:02.0,00:03.0,00:1d.0,00:1f.0,00:1f.2,00:1f.3}
    each local-cpus 1 none 'pci 0000:'{40:00.0,41:00.0}
)

alter cores_for_threads 2socket-smt-hugepages < <(
    for cpu in {0..7}; do each thread-siblings "$((cpu & ~1))-$((cpu | 1))" "$cpu" "cpu $cpu"; done
)

alter one_socket memory-attributes <<'END'
-cpu 0 package-siblings 0
+cpu 0 package-siblings 0-1
-cpu 1 package-siblings 1
+cpu 1 package-siblings 0-1
END

alter core_moved 2socket-smt-hugepages < <(
    printf '%s\n' '-node 0 cpus 0-3' '+node 0 cpus 0-1' '-node 1 cpus 4-7' '+node 1 cpus 2-7'
    each local-cpus 0-3 0-1 'pci 0000:'{20:00.0,20:01.0,21:00.0,22:00.0}
    each local-cpus 4-7 2-7 'pci 0000:'{40:00.0,40:01.0,41:00.0,42:00.0}
)

alter more_memory memory-attributes <<'END'
-node 1 memory 512 MiB
+node 1 memory 544 MiB
END

alter distance_off_by_one 4cell-asymmetric <<'END'
-node 1 distance 0 25
+node 1 distance 0 26
END

alter huge_pages_elsewhere 2socket-smt-hugepages <<'END'
-node 0 hugepages 2048kB 64
+node 0 hugepages 2048kB 63
-node 1 hugepages 1048576kB 1
END

# ---- what the firmware says of memory -------------------------------------------------------------

alter memory_slower memory-attributes <<'END'
-node 0 access0 read-latency 5
+node 0 access0 read-latency 6
-node 0 access0 write-bandwidth 204800
+node 0 access0 write-bandwidth 205824
-node 1 access0 read-bandwidth 204800
+node 1 access0 read-bandwidth 206848
-node 1 access0 write-latency 5
+node 1 access0 write-latency 7
END

alter another_initiator memory-attributes <<'END'
-node 0 cpus 0
+node 0 cpus 0-1
-node 1 cpus 1
+node 1 cpus none
-node 1 access0 *
+node 1 access0 initiators 0
+node 1 access0 read-bandwidth 102400
+node 1 access0 read-latency 10
+node 1 access0 write-bandwidth 102400
+node 1 access0 write-latency 10
-pci 0000:20:00.0 local-cpus 0
+pci 0000:20:00.0 local-cpus 0-1
-pci 0000:21:00.0 local-cpus 0
+pci 0000:21:00.0 local-cpus 0-1
-pci 0000:40:00.0 local-cpus 1
+pci 0000:40:00.0 local-cpus none
-pci 0000:41:00.0 local-cpus 1
+pci 0000:41:00.0 local-cpus none
END

alter another_cache memory-attributes <<'END'
-node 0 memory-cache 1 size 67108864 line 64 indexing 0 policy 0
+node 0 memory-cache 1 size 33554432 line 128 indexing 1 policy 1
END

# ---- PCI ------------------------------------------------------------------------------------------

alter port_moved smallest <<'END'
-group 0000:20:00.0
+group 0000:20:04.0
-pci 0000:20:00.0 *
+pci 0000:20:04.0 bar 0 mem32 4096
+pci 0000:20:04.0 class 060400
+pci 0000:20:04.0 driver pcieport
+pci 0000:20:04.0 id 1b36:000c
+pci 0000:20:04.0 local-cpus 0
+pci 0000:20:04.0 node 0
+pci 0000:20:04.0 parent root
-pci 0000:21:00.0 parent 0000:20:00.0
+pci 0000:21:00.0 parent 0000:20:04.0
END

alter port_dropped memory-attributes <<'END'
-group 0000:40:00.0
-group 0000:41:00.0
-pci 0000:40:00.0 *
-pci 0000:41:00.0 *
END

alter nic_added smallest <<'END'
+group 0000:00:1c.0
+pci 0000:00:1c.0 *
END

alter another_id 2socket-smt-hugepages <<'END'
-pci 0000:22:00.0 id 1b36:0010
+pci 0000:22:00.0 id 8086:5845
END

alter another_class smallest <<'END'
-pci 0000:00:1d.0 class 078000
+pci 0000:00:1d.0 class 038000
END

alter another_model smallest <<'END'
-pci 0000:21:00.0 bar 1 mem32 131072
+pci 0000:21:00.0 bar 1 io 64
-pci 0000:21:00.0 bar 2 io 32
-pci 0000:21:00.0 bar 3 mem32 16384
-pci 0000:21:00.0 driver e1000e
-pci 0000:21:00.0 id 8086:10d3
+pci 0000:21:00.0 id 8086:100e
-pci 0000:21:00.0 mac 52:54:00:96:75:96
END

alter expander_on_no_node smallest <<'END'
-pci 0000:20:00.0 node 0
+pci 0000:20:00.0 node -1
-pci 0000:21:00.0 node 0
+pci 0000:21:00.0 node -1
END

alter nodes_swapped memory-attributes < <(
    each local-cpus 0 1 'pci 0000:'{20:00.0,21:00.0}
    each node 0 1 'pci 0000:'{20:00.0,21:00.0}
    each local-cpus 1 0 'pci 0000:'{40:00.0,41:00.0}
    each node 1 0 'pci 0000:'{40:00.0,41:00.0}
)

# The first expander's NIC would be on the bus that the second now owns. It is gone, and the second's
# port is in its place.
alter buses_overlap memory-attributes <<'END'
-group 0000:40:00.0
-group 0000:41:00.0
+group 0000:22:00.0
-pci 0000:21:00.0 *
+pci 0000:21:00.0 *
-pci 0000:40:00.0 *
-pci 0000:41:00.0 *
+pci 0000:22:00.0 *
END

alter larger_bar smallest <<'END'
-pci 0000:00:1d.0 bar 1 mem32 4096
+pci 0000:00:1d.0 bar 1 mem32 8192
END

alter bar_without_room smallest <<'END'
-pci 0000:21:00.0 bar 2 io 32
+pci 0000:21:00.0 bar 2 io 32 unassigned
END

alter no_port_services smallest <<'END'
-pci 0000:20:00.0 driver pcieport
END

alter another_mac smallest <<'END'
-pci 0000:21:00.0 mac 52:54:00:96:75:96
+pci 0000:21:00.0 mac 52:54:00:ff:ff:02
END

# ---- the IOMMU ------------------------------------------------------------------------------------

alter no_acs smallest <<'END'
-group 0000:20:00.0
-group 0000:21:00.0
+group 0000:20:00.0 0000:21:00.0
END

alter no_iommu smallest <<'END'
-group *
-iommu *
END

alter amd_iommu smallest <<'END'
-iommu aw-bits 48
-iommu dma-drain
-iommu intremap
-iommu model intel
+iommu model amd
-iommu pass-through
+pci 0000:00:01.0 *
END

alter no_interrupt_remapping smallest <<'END'
-iommu intremap
END

alter other_capabilities smallest <<'END'
-iommu aw-bits 48
+iommu aw-bits 39
+iommu caching-mode
+iommu device-iotlb
-iommu dma-drain
-iommu pass-through
+iommu snoop-control
END

alter scalable smallest <<'END'
+iommu scalable
END

# Older emulators refuse extended interrupt mode without KVM.
has_eim() {
    echo quit | "$1" -machine q35,kernel-irqchip=split -accel tcg -nodefaults -display none -S \
        -monitor stdio -device intel-iommu,intremap=on,eim=on >/dev/null 2>&1
}
for candidate in $(emulators) ''; do
    if [ -n "$candidate" ] && has_eim "$candidate"; then break; fi
done
if [ -n "$candidate" ]; then
    make_wrapper "$candidate"
    alter extended_interrupts smallest <<'END'
+iommu eim
END
else
    skip "extended_interrupts" "no emulator here has eim=on without KVM"
fi

# What only a running host shows, its suite must notice itself.
make_wrapper "$emulator"
fault pci/configuration_space_is_readable smallest 'the configuration space of 0000:00:00.0 says .*, asked was 8086:29c0'
done_testing
