#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# make bench: what hostbed costs, as ratios in one run on one machine. Absolute times are indicative.
# Peers are measured where they are installed. Runs are interleaved, so that a slow minute hits both sides.
set -u
source_dir=${HOSTBED_SOURCE_DIR:?run this by make bench}
build_dir=${HOSTBED_BUILD_DIR:?run this by make bench}
runs=${BENCH_RUNS:-10}
lab=$source_dir/topologies/berrange-2017.xml
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export XDG_STATE_HOME=$dir/state NO_COLOR=1

hostbed() { "$build_dir/hostbed" "$@"; }
export HOSTBED_LIBEXEC_DIR=$build_dir/vmtests HOSTBED_DATA_DIR=$source_dir/topologies

now_us() { local t=${EPOCHREALTIME/[.,]/}; echo "$t"; }
milliseconds() { # FILE COMMAND…: appends how long the command took
    local file=$1 start end
    shift
    start=$(now_us)
    "$@" >/dev/null 2>"$dir/err" </dev/null || { echo "failed: $*" >&2; tail -n 3 "$dir/err" >&2; return 1; }
    end=$(now_us)
    awk "BEGIN { print ($end - $start) / 1000 }" >>"$file"
}
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
row() { printf '%-58s %10s %10s   %s\n' "$1" "$2" "$3" "$4"; }
ratio() { # NAME FILE-A FILE-B BOUND
    [ -s "$2" ] && [ -s "$3" ] || { row "$1" - - "not measured"; return; }
    local a b
    a=$(median "$2") b=$(median "$3")
    row "$1" "$a" "$b" "$(awk "BEGIN { printf \"%.3f  (%s)\", $a / $b, \"$4\" }")"
}

hostbed run --accel tcg --log-dir "$dir/log" "$lab" -- true || exit 1
log=$(dirname "$(find "$dir/log" -name command | head -n 1)")
# The kernel of that run, as it was found: a line is its release, two spaces, its path.
bzimage=$(hostbed image kernel 2>/dev/null | sed -n '1s/^[^ ]*  \(.*\)  (.*/\1/p')

row "median of $runs, milliseconds" "hostbed" "peer" "ratio"
for _ in $(seq "$runs"); do
    milliseconds "$dir/run" hostbed run --accel tcg "$lab" -- true
    "$build_dir/harness/bench/bare" "$log" >>"$dir/bare" 2>"$dir/err"
    [ -z "$bzimage" ] || "$build_dir/harness/bench/bare" "$log" --kernel "$bzimage" >>"$dir/bzimage" 2>"$dir/err"
done
ratio "article's lab to true's exit: the emulator alone" "$dir/run" "$dir/bare" "at most 1.05"
ratio "article's lab to true's exit: booted from the bzImage" "$dir/run" "$dir/bzimage" "at most 0.65"

for largest in 112nic-packed 128cell-2cpu; do
    for _ in $(seq "$runs"); do
        milliseconds "$dir/check-$largest" hostbed check "$source_dir/topologies/$largest.xml"
        milliseconds "$dir/show-$largest" hostbed show "$source_dir/topologies/$largest.xml"
        command -v virt-install >/dev/null && milliseconds "$dir/virt-install" virt-install --print-xml \
            --name x --memory 512 --vcpus 2 --disk none --import --osinfo detect=off,require=off --connect test:///default
    done
    ratio "check $largest: virt-install --print-xml" "$dir/check-$largest" "$dir/virt-install" "at most 0.1, and 20 ms"
    ratio "show $largest: virt-install --print-xml" "$dir/show-$largest" "$dir/virt-install" "at most 0.1, and 20 ms"
done

if command -v guestfish >/dev/null; then
    for _ in 1 2 3; do
        LIBGUESTFS_BACKEND=direct LIBGUESTFS_BACKEND_SETTINGS=force_tcg milliseconds "$dir/guestfish" guestfish -a /dev/null run
    done
    ratio "run LAB -- true: guestfish -a /dev/null run" "$dir/run" "$dir/guestfish" "less than 1"
else
    row "run LAB -- true: guestfish -a /dev/null run" - - "guestfish is not installed"
fi
if command -v vng >/dev/null && [ -n "$bzimage" ]; then
    for _ in 1 2 3; do
        milliseconds "$dir/vng" vng --run "$bzimage" --disable-kvm --force-9p --disable-microvm --cpus 4 -- true
    done
    ratio "run LAB -- true: virtme-ng runs true" "$dir/run" "$dir/vng" "at most 0.25"
else
    row "run LAB -- true: virtme-ng runs true" - - "virtme-ng is not installed"
fi

# The largest single process would be the emulator, so hostbed's own peak is read while it waits.
"$build_dir/hostbed" run --accel tcg "$lab" -- sh -c 'echo ready; sleep 5' >"$dir/ready" 2>/dev/null &
pid=$!
until grep -q ready "$dir/ready" || ! kill -0 $pid 2>/dev/null; do read -rt 0.1 <> <(:) || :; done
row "peak memory of hostbed itself, KiB" "$(awk '/VmHWM/ { print $2 }' /proc/$pid/status)" 32768 "at most"
wait $pid
