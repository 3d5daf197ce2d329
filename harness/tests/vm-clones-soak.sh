#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Clones by the thousand, and hostbed killed at any moment: none fails, and nothing is left or grows.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?run this by make soak}/harness/tests/tap.sh"

lab="$source_dir/topologies/smallest.xml"
clones=${HOSTBED_SOAK_CLONES:-1000} kills=${HOSTBED_SOAK_KILLS:-200} batch=250

# What is this machine's and must be as it was.
files_left() { find /dev/shm "$XDG_RUNTIME_DIR" "${TMPDIR:-/tmp}" -maxdepth 1 -newer "$tap_dir/begin" ! -path "$tap_dir*" 2>/dev/null | wc -l; }
ours() { pgrep -f -- "-name guest=smallest/" | while read -r pid; do tr '\0' ' ' <"/proc/$pid/environ" 2>/dev/null | grep -q "TMPDIR=$tap_dir " && echo "$pid"; done; }
export TMPDIR="$tap_dir"
touch "$tap_dir/begin"

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
for ((i = 0; i < batch; i++)); do suites+=(--suite "true $i"); done
failed=0
for ((done = 0; done < clones; done += batch)); do
    "$build_dir/run" hostbed test --accel tcg --isolate suite --log-dir "$tap_dir/logs" "$lab" "${suites[@]}" >"$tap_dir/tap" 2>"$tap_dir/err" &
    pid=$!
    sample $pid "$tap_dir/samples" &
    wait $pid || failed=$((failed + 1))
    wait
    [ "$(ls -d "$tap_dir"/logs/*/clone-* | wc -l)" = $batch ] || failed=$((failed + 1))
    rm -rf "$tap_dir/logs"
done
is "$clones clones in a row live and answer" "$failed" 0
# The first tenth is for what is made once.
grows() { # COLUMN ALLOWED
    awk -v c="$1" -v allowed="$2" '{ v[NR] = $c } END { n = int(NR / 10) + 1; first = last = 0
        for (i = n; i < 2 * n; i++) if (v[i] > first) first = v[i]
        for (i = NR - n; i <= NR; i++) if (v[i] > last) last = v[i]
        print last > first + allowed ? first " to " last : "no" }' "$tap_dir/samples"
}
is "descriptors do not grow" "$(grows 1 8)" no
is "memory does not grow" "$(grows 2 16384)" no

for ((i = 0; i < kills; i++)); do
    "$build_dir/run" hostbed test --accel tcg --isolate suite --log-dir "$tap_dir/logs" "$lab" "${suites[@]}" >/dev/null 2>&1 &
    pid=$!
    # Some while it boots, most while there are clones.
    sleep "$((i % 8)).$((RANDOM % 1000))"
    kill -KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
    rm -rf "$tap_dir/logs"
done
for _ in $(seq 300); do [ -z "$(ours)" ] && break; sleep 0.1; done
is "no emulator is left of $kills that were killed" "$(ours)" ""
is "and no file" "$(files_left)" 0
done_testing
