#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Programs that nobody here wrote, as docs/programs/ tells a reader to run them: the very commands of the pages, which
# find what the pages show, and what they say of the host is what its lab asks for.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"
command -v python3 >/dev/null || skip_all "python3 is not there, which reads the pages (package: python3)"
page=$source_dir/harness/tests/page.py
PATH=$PATH:/usr/sbin

# What a reader has at hand: hostbed in PATH, the labs that ship.
mkdir "$tap_dir/bin"
printf '#!/bin/sh\ncommand=$1\nshift\nexec "%s/run" hostbed "$command" --accel tcg "$@"\n' "$build_dir" >"$tap_dir/bin/hostbed"
chmod +x "$tap_dir/bin/hostbed"
PATH=$tap_dir/bin:$PATH

# open_page NAME: a folder of its own with what the page has.
open_page() {
    mkdir -p "$tap_dir/$1"
    cd "$tap_dir/$1" || bail "no folder for $1"
    ln -sfn "$source_dir/topologies" topologies
    "$page" take "$source_dir/docs/programs/$1.rst" . || bail "the page $1 cannot be read"
    chmod +x ./*.sh 2>/dev/null
}
# command N: becomes the page's Nth command
command_of_page() { eval "exec $(cat "$1.command")"; }
# follow NAME N: runs it to its end; what it says is in ./found
follow() {
    (command_of_page "$2") </dev/null >found 2>&1
    local status=$?
    [ $status = 0 ] || not_ok "$1 ends well, not with $status" found
    [ $status = 0 ]
}
# shows NAME N WORD…: ./found has what the page shows
shows() {
    local name=$1 shown=$2.shown
    shift 2
    if "$page" compare "$shown" found "$@" >difference; then ok "$name says what its page shows"; else
        not_ok "$name says what its page shows" difference found
    fi
}
manifest() { hostbed show -f manifest "$1"; }
nics() { # of a manifest: ADDRESS NODE
    awk '$1 == "pci" && $3 == "node" { node[$2] = $4 }
         $1 == "pci" && $3 == "driver" && $4 == "e1000e" { nic[$2] }
         END { for (each in nic) print each, node[each] }' | sort
}

# ---- dpdk-testpmd

received() { # FRAMES: both ports have received as many
    awk -v frames="$1" '/RX-packets/ && $2 >= frames { n++ } END { exit n < 2 }' found
}
# by_hand: the first command of the page, ended by Ctrl-C after some seconds of statistics. Sets $status.
by_hand() {
    local pid seconds=0
    (command_of_page 1) </dev/null >found 2>&1 &
    pid=$!
    until received 10000 || ! kill -0 $pid 2>/dev/null || [ $seconds -ge 300 ]; do
        sleep 1
        seconds=$((seconds + 1))
    done
    kill -INT $pid 2>/dev/null
    wait $pid
    status=$?
}
sockets() { # of what testpmd says: ADDRESS SOCKET
    sed -nE 's/.*Probe PCI driver: .* device: ([0-9a-f:.]+) \(socket ([0-9]+)\).*/\1 \2/p' "$1" | sort
}
lcores() { # CPU SOCKET of those that forward
    sed -nE 's/.*Logical Core ([0-9]+) \(socket ([0-9]+)\).*/\1 \2/p' "$1" | sort | paste -sd,
}
lost() { # FILE: frames that one port sent and the other did not receive; nothing without statistics
    awk '/Forward statistics for port/ { port = $6 }
         /Accumulated/ { exit }
         port != "" && /RX-packets/ { received[1 - port] = $2; dropped += $4 }
         port != "" && /TX-packets/ { sent[port] = $2; dropped += $4 }
         END { if (sent[0] > 0 && sent[1] > 0) print sent[0] - received[0] + sent[1] - received[1] + dropped }' "$1"
}

testpmd() { # VERSION
    by_hand
    is "dpdk-testpmd on $1 forwards until it is told to stop, and ends well" "$status" 0
    shows "dpdk-testpmd on $1" 1 '^[A-Z_]+:' '(packets|missed|bytes|total|pps|bps): *\d+'
    manifest pair.xml >manifest
    is "dpdk-testpmd on $1: its sockets are the lab's nodes" "$(sockets found)" "$(nics <manifest)"
    # CPUs 0 and 1 are node 0's, 2 and 3 node 1's
    is "dpdk-testpmd on $1: it forwards on a CPU of each node" "$(lcores found)" "1 0,3 1"
    is "dpdk-testpmd on $1: what one port sent the other received" "$(lost found)" 0
}

if ! command -v dpdk-testpmd >/dev/null; then
    skip "dpdk-testpmd forwards frames between two nodes" "dpdk-testpmd is not there (package: dpdk-dev)"
elif [ ! -d /usr/lib/x86_64-linux-gnu/dpdk ]; then
    skip "dpdk-testpmd forwards frames between two nodes" "DPDK's drivers are in another folder than the page says"
else
    open_page dpdk-testpmd
    for emulator in $(emulators); do
        export HOSTBED_EMULATOR=$emulator
        testpmd "$(emulator_version "$emulator")"
    done
    unset HOSTBED_EMULATOR
    # The judges above can say no.
    is "another socket would be noticed" "$(sed 's/41:00.0 (socket 1)/41:00.0 (socket 0)/' found >altered; sockets altered | tail -n 1)" \
        "0000:41:00.0 0"
    is "a lost frame would be noticed" "$(awk '/Forward statistics for port 1/ { late = 1 }
        late && /RX-packets/ && !done { $2--; done = 1 } { print }' found >altered; lost altered)" 1
    if follow "dpdk-testpmd as a test" 2; then shows "dpdk-testpmd as a test" 2 '\d+ (frames )?(sent|received)'; fi
fi

# ---- numademo

numademo=${HOSTBED_NUMADEMO:-$(command -v numademo)}
if [ -z "$numademo" ]; then
    skip "numademo says what its page shows" "numademo is not there (docs/programs/numademo.rst)"
else
    open_page numademo
    cp "$numademo" .
    if follow numademo 1; then
        shows numademo 1 'Avg .*'
        manifest topologies/4cell-asymmetric.xml >manifest
        is "numademo: the nodes that it allocates on are the cells with memory" \
            "$(sed -nE 's/^memory on node ([0-9]+) .*/\1/p' found | sort -u | paste -sd' ')" \
            "$(awk '$1 == "node" && $3 == "memory" && $4 > 0 { print $2 }' manifest | sort -u | paste -sd' ')"
    fi
fi

# ---- stress-ng

if ! command -v stress-ng >/dev/null; then
    skip "stress-ng says what its page shows" "stress-ng is not there (package: stress-ng)"
else
    open_page stress-ng
    if follow stress-ng 1; then
        shows stress-ng 1 '\[\d+\]' 'in [\d.]+ ?s.*' 'pgmigrate_(success|fail) \d+' 'maximum \d+ memory NUMA nodes.*'
        is "stress-ng: it knows all cells with memory" "$(sed -nE 's/.*system has ([0-9]+) of .*/\1/p' found)" \
            "$(manifest topologies/4cell-asymmetric.xml | grep -Ec '^node [0-9]+ memory [1-9]')"
        is "stress-ng: the kernel has moved its pages" "$(awk '/pgmigrate_success/ { print ($2 > 1000) }' found)" 1
    fi
fi

# ---- lstopo

if ! command -v lstopo-no-graphics >/dev/null; then
    skip "lstopo says what its page shows" "lstopo-no-graphics is not there (package: hwloc-nox)"
else
    open_page lstopo
    if follow lstopo 1; then
        shows lstopo 1 '[\d.]+[KMG]i?B'
        manifest topologies/berrange-2017.xml >manifest
        # a NIC is below the node that stands above it
        is "lstopo: each NIC is on the node of its cell" "$(awk '
            /NUMANode/ && match($0, /\(P#[0-9]+/) { node = substr($0, RSTART + 3, RLENGTH - 3) }
            /PCI .*Ethernet/ { print "0000:" $2, node }' found | sort)" "$(nics <manifest)"
    fi
fi
cd / || exit
done_testing
