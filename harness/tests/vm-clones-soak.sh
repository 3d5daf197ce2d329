#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Clones by the thousand, and hostbed killed at any moment: none fails, and nothing is left or grows.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?run this by make soak}/harness/tests/tap.sh"

lab="$source_dir/topologies/smallest.xml"
clones=${HOSTBED_SOAK_CLONES:-1000} kills=${HOSTBED_SOAK_KILLS:-200} 

command -v pgrep >/dev/null || bail "pgrep is not there"
export TMPDIR="$tap_dir/tmp"
mkdir "$TMPDIR"
files_left() { find "$TMPDIR" "$XDG_RUNTIME_DIR" "$XDG_STATE_HOME" -type f | wc -l; }
# Emulators are ours by the environment that they were given.
ours() {
    pgrep -f -- "-name guest=smallest/" | while read -r pid; do
        tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | grep -qx "TMPDIR=$TMPDIR" && echo "$pid"
    done
}

# sample PID FILE: descriptors and KiB of memory of a process and its worker, once a second until it ends
sample() {
    local worker
    while kill -0 "$1" 2>/dev/null; do
        worker=$(pgrep -P "$1" | head -n 1)
        [ -z "$worker" ] || echo "$(find "/proc/$worker/fd" 2>/dev/null | wc -l) $(awk '/VmRSS/ { print $2 }' "/proc/$worker/status" 2>/dev/null)" >>"$2"
        sleep 1
    done
}

suites=()
for ((i = 0; i < clones; i++)); do suites+=(--suite "true $i"); done
"$build_dir/run" hostbed test --accel tcg -j 1 --isolate suite --log-dir "$tap_dir/logs" "$lab" "${suites[@]}" >"$tap_dir/tap" 2>"$tap_dir/err" &
pid=$!
sample $pid "$tap_dir/samples" &
wait $pid
is "$clones clones in a row live and answer" $? 0
wait
is "each suite had one" "$(find "$tap_dir/logs" -name 'clone-*' | wc -l)" "$clones"
rm -rf "$tap_dir/logs"
# What is made once is there after a tenth; PER CLONE is what may be lost of each of the rest.
grows() { # COLUMN PER-CLONE
    awk -v c="$1" -v allowed="$2" -v clones="$clones" '{ v[NR] = $c }
        END { if (NR < 20) { print "only " NR " samples"; exit }
            first = v[int(NR / 10) + 1]; last = v[NR - 1]
            if (last > first + allowed * clones) print first " to " last; else print "no" }' "$tap_dir/samples"
}
is "descriptors do not grow" "$(grows 1 0.01)" no
is "memory does not grow by a KiB for each" "$(grows 2 1)" no

seen=no
for ((i = 0; i < kills; i++)); do
    "$build_dir/run" hostbed test --accel tcg -j 2 --isolate suite --log-dir "$tap_dir/logs" "$lab" "${suites[@]}" >/dev/null 2>&1 &
    pid=$!
    # Some while it boots, most while there are clones.
    sleep "$((i % 8)).$((RANDOM % 1000))"
    [ -z "$(ours)" ] || seen=yes
    kill -KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
    rm -rf "$tap_dir/logs"
done
for _ in $(seq 300); do [ -z "$(ours)" ] && break; sleep 0.1; done
is "emulators were killed" $seen yes
is "no emulator is left of $kills that were killed" "$(ours)" ""
is "and no file" "$(files_left)" 0
done_testing
