#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The suites on recorded hosts: they pass with what the host was, and fail with what it was not.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"

recorded="$source_dir/vmtests/recorded"
observe="$build_dir/vmtests/hostbed-observe"
suites="numa numa-moves numa-cpus pci iommu hugepages dma sriov aer disk hotplug memory nested network outage migration libvirt"

# suite NAME TREE MANIFEST
suite() {
    HOSTBED_ROOT="$tap_dir/$2" HOSTBED_MANIFEST="$3" CMOCKA_MESSAGE_OUTPUT=TAP \
        "$build_dir/vmtests/suites/$1" >"$tap_dir/out" 2>"$tap_dir/err"
}

for file in "$recorded"/*.tree; do
    tree=$(basename "$file" .tree)
    mkdir "$tap_dir/$tree"
    "$observe" --unpack "$tap_dir/$tree" <"$file" || bail "$file cannot be unpacked"
    for name in $suites; do
        if suite "$name" "$tree" "$recorded/$tree.observation"; then
            ok "$name passes on $tree"
        else
            not_ok "$name passes on $tree" "$tap_dir/out" "$tap_dir/err"
        fi
    done
done

# What can be selected before there is a host is what the programs then report.
hostbed test --list | grep -vFx 'manifest/*' >"$tap_dir/listed"
for name in $suites; do
    suite "$name" berrange-2017 "$recorded/berrange-2017.observation"
    is "$name is listed with its cases" "$(sed -n "s|^$name/||p" "$tap_dir/listed")" \
        "$(sed -nE 's/^(not )?ok [0-9]+ (- |# SKIP )?//p' "$tap_dir/out")"
done

# reported: the cases of the last run
reported() { sed -nE 's/^ok [0-9]+ - //p' "$tap_dir/out" | paste -sd' '; }
HOSTBED_CASES="links_are_up functions_are_on_their_node" suite pci berrange-2017 "$recorded/berrange-2017.observation"
is "a suite runs the cases that are meant, in its own order" "$(reported)" "functions_are_on_their_node links_are_up"
HOSTBED_CASE=links_are_up suite pci berrange-2017 "$recorded/berrange-2017.observation"
is "or one" "$(reported)" links_are_up
HOSTBED_CASES=links suite pci berrange-2017 "$recorded/berrange-2017.observation"
is "and none by a part of its name" "$(reported)" ""

# failing: the cases that failed in the last run; of a fault it is to be one
failing() { sed -nE '/# SKIP/d; s/^not ok [0-9]+ - //p' "$tap_dir/out"; }

# refuses SUITE/CASE WHAT SED-EXPRESSION SENTENCE: the article's machine ($machine, another) is not the one
# of an altered manifest, and exactly this case fails and says so itself, on standard output
machine=berrange-2017
refuses() {
    sed -e "$3" "$recorded/$machine.observation" | LC_ALL=C sort >"$tap_dir/manifest"
    if cmp -s "$tap_dir/manifest" "$recorded/$machine.observation"; then
        not_ok "$1 refuses $2: the manifest was not altered"
        return
    fi
    suite "${1%/*}" "$machine" "$tap_dir/manifest"
    is "exactly $1 refuses $2" "$(failing)" "${1#*/}"
    has "$1 says of $2: $4" "$tap_dir/out" "^# $4"
    echo "fails $1 $machine recorded" >>"$tap_dir/demands"
}

refuses numa/distances_are_as_asked "another distance" 's/^node 0 distance 1 20/node 0 distance 1 21/' \
    'from node 0 to node 1 it is 20, asked was 21'
refuses numa/cpus_belong_to_their_nodes "CPUs on another node" 's/^node 1 cpus 4-5/node 1 cpus 4/' \
    'node 1 has the CPUs 4-5, asked were 4$'
refuses numa/memory_is_within_the_kernels_reserve "another size" 's/^node 2 memory 2000/node 2 memory 2200/' \
    'node 2 has [0-9]+ KiB; asked were 2252800'
refuses pci/functions_are_below_their_port "another parent" 's/^pci 0000:df:00.0 parent .*/pci 0000:df:00.0 parent 0000:dc:01.0/' \
    '0000:df:00.0 is below 0000:dc:02.0, asked was 0000:dc:01.0'
refuses pci/functions_are_on_their_node "another node" 's/^pci 0000:df:00.0 node 2/pci 0000:df:00.0 node 1/' \
    '0000:df:00.0 is on node 2, asked was 1'
refuses pci/functions_have_their_driver "another driver" 's/^pci 0000:df:00.0 driver e1000e/pci 0000:df:00.0 driver igb/' \
    '0000:df:00.0 is driven by e1000e, asked was igb'
refuses pci/every_function_is_there "a function that is missing" \
    '/^pci 0000:df:00.0 /{p; s/0000:df:00.0/0000:e0:00.0/; /^pci [^ ]* mac /d}' \
    '0000:e0:00.0 is not there'
refuses pci/no_other_function_is_there "a function that nobody asked for" '/^pci 0000:df:00.0 /d' \
    '0000:df:00.0 is there and nobody asked for it'
refuses iommu/groups_have_their_members "another group" 's/^group 0000:dc:02.0 0000:df:00.0/group 0000:dc:02.0 0000:de:00.0/' \
    '0000:de:00.0 is not in the group of 0000:dc:02.0'
refuses iommu/groups_have_their_members "a group less" '/^group 0000:dc:02.0/d' \
    'the host has [0-9]+ IOMMU groups, asked were [0-9]+'
refuses iommu/interrupts_are_remapped_as_asked "interrupts that are not remapped" '/^iommu intremap/d' \
    'interrupt remapping is on, asked was off'
refuses hugepages/pools_are_as_asked "another count" 's/^node 0 hugepages 2048kB 4/node 0 hugepages 2048kB 5/' \
    'node 0 has 4 pages of 2048kB, asked were 5'

machine=igb-vfs
refuses sriov/functions_are_as_many_as_asked "a virtual function less" '/^pci 0000:21:11.4 /d' \
    '0000:21:00.0 has 7 virtual functions and shows 7, asked were 6'
refuses sriov/functions_are_at_their_addresses "another address" 's/^pci 0000:41:10.2 /pci 0000:41:10.4 /' \
    'virtual function 1 of 0000:41:00.0 is at 0000:41:10.2, asked was 0000:41:10.4'
refuses sriov/functions_are_on_their_node "another node" 's/^pci 0000:21:10.2 node 0/pci 0000:21:10.2 node 1/' \
    '0000:21:10.2 is on node 0, asked was 1'
refuses sriov/functions_are_in_their_groups "another group" 's/^group 0000:21:10.4/& 0000:21:10.6/; /^group 0000:21:10.6/d' \
    '0000:21:10.6 is not in the group of 0000:21:10.4'

# spoilt SUITE/CASE SENTENCE COMMAND…: exactly this case fails on the article's host, and says so, where
# a command changed the host's tree
spoilt() {
    cp -a "$tap_dir/berrange-2017" "$tap_dir/spoilt"
    (cd "$tap_dir/spoilt" && "${@:3}") || bail "$1: the tree cannot be changed"
    suite "${1%/*}" spoilt "$recorded/berrange-2017.observation"
    is "exactly $1 fails on a spoilt host" "$(failing)" "${1#*/}"
    echo "fails $1 berrange-2017 recorded" >>"$tap_dir/demands"
    has "$1 says: $2" "$tap_dir/out" "^# $2"
    rm -r "$tap_dir/spoilt"
}
nic=sys/devices/pci0000:dc/0000:dc:02.0/0000:df:00.0
spoilt pci/functions_are_of_their_kind '0000:df:00.0 is 8086:100e, asked was 8086:10d3' sed -i s/10d3/100e/ $nic/device
spoilt pci/functions_are_near_to_their_cpus 'CPUs 4-5 are near to 0000:df:00.0, asked were 6-7' \
    sed -i s/6-7/4-5/ $nic/local_cpulist
spoilt pci/links_are_up 'the link of 0000:df:00.0 runs at .*, x0 of' sed -i s/1/0/ $nic/current_link_width
spoilt iommu/remapping_is_active "the kernel's log has no line with: DMAR: Intel" sed -i '/for Directed I/d' proc/kmsg.txt
spoilt iommu/every_function_is_in_a_group '0000:00:1e.0 is in no IOMMU group' mkdir sys/bus/pci/devices/0000:00:1e.0
spoilt iommu/groups_are_translated 'group 6 has the domain type blocked' sed -i s/DMA.*/blocked/ sys/kernel/iommu_groups/6/type
spoilt iommu/domains_are_of_the_kind_asked_for 'group [0-9]+ has the domain type DMA, asked was identity' \
    sed -i 's/$/ iommu=pt/' proc/cmdline
spoilt iommu/the_interrupt_window_is_reserved 'group 6 does not reserve' sed -i d sys/kernel/iommu_groups/6/reserved_regions

# The guide says of each case what it proves, and of no other.
awk '/^=+$/ { suite = previous } { previous = $0 } /^   \* - [a-z0-9_]+$/ { print suite "/" $3 }' \
    "$source_dir/docs/suites.rst" | LC_ALL=C sort >"$tap_dir/told"
LC_ALL=C sort "$tap_dir/listed" | diff - "$tap_dir/told" >"$tap_dir/difference"
if [ -s "$tap_dir/told" ] && [ ! -s "$tap_dir/difference" ]; then
    ok "docs/suites.rst has each case, once"
else
    not_ok "docs/suites.rst has each case, once" "$tap_dir/difference"
fi

# ---- every case is required on a lab, and is shown to be able to fail --------------------------------

# What the tests with real hosts demand, a line each: "passes SUITE/CASE LAB", "fails SUITE/CASE LAB ALTERATION".
for script in $(grep -l 'demands.sh\|altered.sh' "$source_dir"/harness/tests/vm-*.sh); do
    HOSTBED_DEMANDS=1 bash "$script" >>"$tap_dir/demands" 2>"$tap_dir/err" || bail "$script does not say what it demands"
done

# What the guide says: "SUITE/CASE", its labs and its fault, with tabs between them. What stands in brackets is for people.
awk 'function end_row() {
        if (name ~ /^[a-z0-9_]+$/) print suite "/" name "\t" text[3] "\t" text[4]
        name = text[3] = text[4] = ""
    }
    /^=+$/ { suite = previous }
    { previous = $0 }
    /^   \* - / { end_row(); name = $3; column = 1; next }
    /^     / { if (sub(/^     - /, "")) column++; sub(/^ +/, ""); text[column] = text[column] (text[column] ? " " : "") $0; next }
    { end_row() }
    END { end_row() }' "$source_dir/docs/suites.rst" | sed -E 's/ \([^)]*\)//g' >"$tap_dir/guide"
awk -F'\t' '{ print $1 }' "$tap_dir/guide" | LC_ALL=C sort | diff - "$tap_dir/told" >"$tap_dir/difference"
is "the guide's tables can be read" "$(cat "$tap_dir/difference")" ""

demanded() { grep -Eqx -- "$1" "$tap_dir/demands"; }
# The matrix of options has labs of its own, and vm-options.sh says which case each is for.
is_of_matrix() { [ "$2" = "those of the matrix below" ] && grep -q "$1" "$source_dir/harness/tests/vm-options.sh"; }

# is_required CASE LABS: on each of them
is_required() {
    local lab
    is_of_matrix "$1" "$2" && return
    for lab in ${2//,/}; do
        demanded "passes $1 $lab" || { echo "$1 is not required on $lab" >>"$tap_dir/holes"; }
    done
}
# has_fault CASE LABS FAULT: of its kind, on one of them, or on the one that it names itself ("…, on smallest")
has_fault() {
    local words
    case $3 in
    machine:*) words=${3#machine: } words=${words%%,*} ;;
    inside:*) words=fault=${1#*/} ;;
    *) words=recorded ;;
    esac
    local labs=${2//, /|}
    case $3 in *', on '*) labs=${3##*, on } ;; esac
    case $labs in those*) labs='.*' ;; esac
    demanded "fails $1 ($labs) $words" || echo "$1 is not made to fail on $2 by: $3" >>"$tap_dir/holes"
}
: >"$tap_dir/holes"
while IFS=$'\t' read -r case labs fault; do
    is_required "$case" "$labs"
    has_fault "$case" "$labs" "$fault"
done <"$tap_dir/guide"
if [ -s "$tap_dir/holes" ]; then
    not_ok "each case is required where docs/suites.rst says, and its fault makes it fail" "$tap_dir/holes"
else
    ok "each case is required where docs/suites.rst says, and its fault makes it fail"
fi
# And nothing is demanded of cases that are not there.
awk '{ print $2 }' "$tap_dir/demands" | LC_ALL=C sort -u | LC_ALL=C comm -23 - "$tap_dir/told" >"$tap_dir/difference"
is "what is demanded is there" "$(cat "$tap_dir/difference")" ""

# How often the case was skipped, in the words of cmocka 1.1.5 ("not ok") or of later ones.
skipped() { grep -cE "^(not )?ok [0-9]+ (- $1 )?# SKIP( $1)?\$" "$tap_dir/out"; }
# Raw emulator arguments may add or change what the manifest knows nothing of.
sed '/^pci 0000:df:00.0 /d' "$recorded/berrange-2017.observation" >"$tap_dir/manifest"
suite pci berrange-2017 "$tap_dir/manifest"
is "in a host that is not tainted it is a failure" $? 1
HOSTBED_TAINTED=1 suite pci berrange-2017 "$tap_dir/manifest"
is "in a tainted host it is no failure" $? 0
has "but unchecked" "$tap_dir/out" \
    '^unchecked, raw emulator arguments may disturb it: 0000:df:00.0 is there and nobody asked for it'
is "and no pass" "$(skipped no_other_function_is_there)" 1
sed 's/^group 0000:dc:02.0 0000:df:00.0/group 0000:dc:02.0/' "$recorded/berrange-2017.observation" >"$tap_dir/manifest"
HOSTBED_TAINTED=1 suite iommu berrange-2017 "$tap_dir/manifest"
is "nor is a group with one more" "$? $(skipped groups_have_their_members)" "0 1"
done_testing
