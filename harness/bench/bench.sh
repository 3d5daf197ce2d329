#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# make bench: what hostbed costs, as ratios in one run on one machine. Absolute times are indicative.
# Peers are measured where they are installed, with each emulator: the first one that hostbed would take, and
# HOSTBED_SECOND_EMULATOR where that is given. Runs are interleaved, so that a slow minute hits both sides.
set -u
source_dir=${HOSTBED_SOURCE_DIR:?run this by make bench}
build_dir=${HOSTBED_BUILD_DIR:?run this by make bench}
runs=${BENCH_RUNS:-10}
lab=$source_dir/topologies/berrange-2017.xml
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export XDG_STATE_HOME=$dir/state NO_COLOR=1

hostbed() { "$build_dir/hostbed" "$@"; }
export HOSTBED_LIBEXEC_DIR=$build_dir/vmtests:$build_dir/provisioner:$build_dir/osdb:$build_dir/harness HOSTBED_DATA_DIR=$source_dir/topologies

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

# The kernel that runs are made with, as it was found: a line is its release, two spaces, its path.
bzimage=$(hostbed image kernel 2>/dev/null | sed -n '1s/^[^ ]*  \(.*\)  (.*/\1/p')

# How the peers are told which emulator to take, so that each row compares programs and not emulators.
guestfish_runs() { # EMULATOR
    LIBGUESTFS_BACKEND=direct LIBGUESTFS_BACKEND_SETTINGS=force_tcg LIBGUESTFS_HV=$1 guestfish -a /dev/null run
}
vng_runs() { # EMULATOR
    vng --run "$bzimage" --qemu "$1" --disable-kvm --force-9p --disable-microvm --cpus 4 -- true
}

compare_boots() { # EMULATOR
    local emulator=$1 at
    at=$(mktemp -d "$dir/boots.XXXXXX")
    hostbed run --accel tcg --emulator "$emulator" --log-dir "$at/log" "$lab" -- true || return 1
    local log
    log=$(dirname "$(find "$at/log" -name command | head -n 1)")
    for _ in $(seq "$runs"); do
        milliseconds "$at/run" hostbed run --accel tcg --emulator "$emulator" "$lab" -- true
        "$build_dir/harness/bench/bare" "$log" >>"$at/bare" 2>>"$at/err"
        [ -z "$bzimage" ] || "$build_dir/harness/bench/bare" "$log" --kernel "$bzimage" >>"$at/bzimage" 2>>"$at/err"
    done
    for _ in 1 2 3; do
        ! command -v guestfish >/dev/null || milliseconds "$at/guestfish" guestfish_runs "$emulator"
        ! command -v vng >/dev/null || [ -z "$bzimage" ] || milliseconds "$at/vng" vng_runs "$emulator"
    done
    ratio "$version: run LAB -- true: the emulator alone" "$at/run" "$at/bare" "at most 1.05"
    ratio "$version: run LAB -- true: it, from the bzImage" "$at/run" "$at/bzimage" "at most 0.65"
    ratio "$version: run LAB -- true: guestfish -a /dev/null run" "$at/run" "$at/guestfish" "less than 1"
    ratio "$version: run LAB -- true: virtme-ng runs true" "$at/run" "$at/vng" "at most 0.25"
}

# Each suite gets a clone of a host that was started first; both are timed from spawn to the agent's first word.
compare_clones() { # EMULATOR
    local at suites=()
    at=$(mktemp -d "$dir/clones.XXXXXX")
    for ((i = 0; i < runs; i++)); do suites+=(--suite "true $i"); done
    for _ in 1 2 3; do
        hostbed test -q -j 1 --accel tcg --emulator "$1" --log-dir "$at/log" "$lab" "${suites[@]}" >/dev/null 2>"$dir/err" ||
            { tail -n 3 "$dir/err" >&2; return 1; }
        said_hello "$at"/log/*/events.log >>"$at/start"
        said_hello "$at"/log/*/clone-*/events.log >>"$at/clone"
        "$build_dir/harness/bench/bare-clone" "$at"/log/* "$at"/log/*/clone-1 "$runs" >>"$at/bare" 2>>"$dir/err" ||
            tail -n 3 "$dir/err" >&2
        rm -rf "$at/log"
    done
    ratio "$version: a clone, spawn to first answer: its start" "$at/clone" "$at/start" "at most 0.067, and 300 ms"
    ratio "$version: a clone: the emulator alone restores it" "$at/clone" "$at/bare" "at most 1.15"
    compare_virsh "$1"
}
# libvirt restores the same machine, and nothing has answered yet when virsh ends.
compare_virsh() { # EMULATOR
    if command -v libvirtd >/dev/null && command -v virsh >/dev/null && [ "$(id -u)" = 0 ]; then
        unshare --mount --propagation private bash "$source_dir/harness/bench/virsh.sh" "$lab" 3 --emulator "$1" \
            >"$at/virsh" 2>"$dir/err" || tail -n 3 "$dir/err" >&2
    fi
    ratio "$version: a clone: virsh restore" "$at/clone" "$at/virsh" "at most 0.333"
}
# What a host is given, and does not use, costs its clones nothing.
compare_sizes() { # EMULATOR
    local at size suites=()
    at=$(mktemp -d "$dir/sizes.XXXXXX")
    for ((i = 0; i < runs; i++)); do suites+=(--suite "true $i"); done
    for size in 2 64; do
        sed "s/memory=\"[^\"]*\"/memory=\"$size GiB\"/" "$source_dir/topologies/smallest.xml" >"$at/$size.xml"
        HOSTBED_MEMORY='256 GiB' hostbed test -q -j 1 --accel tcg --emulator "$1" --log-dir "$at/log" "$at/$size.xml" \
            "${suites[@]}" >/dev/null 2>"$dir/err" || { tail -n 3 "$dir/err" >&2; return 1; }
        said_hello "$at"/log/*/clone-*/events.log >"$at/$size"
        rm -rf "$at/log"
    done
    ratio "$version: a clone with 64 GiB: with 2 GiB" "$at/64" "$at/2" "about 1"
}
# What the eighth of eight clones takes of the machine's memory, its share of what they have in common, to what a host by
# itself takes.
compare_memory() { # EMULATOR
    local at suites=() pid
    at=$(mktemp -d "$dir/memory.XXXXXX")
    "$build_dir/hostbed" run --accel tcg --emulator "$1" --log-dir "$at/cold" "$lab" -- sleep 600 >/dev/null 2>"$dir/err" &
    pid=$!
    await_hosts $pid 1 "$at/cold" && share_of "$(find "$at/cold" -name events.log)" >"$at/host"
    end_run $pid
    for ((i = 0; i < 8; i++)); do suites+=(--suite "sleep 60$i"); done
    HOSTBED_MEMORY='256 GiB' "$build_dir/hostbed" test -q -j 8 --accel tcg --emulator "$1" --log-dir "$at/log" "$lab" "${suites[@]}" >/dev/null 2>"$dir/err" &
    pid=$!
    await_hosts $pid 9 "$at/log" && share_of "$(find "$at/log" -path '*/clone-*/events.log' | sort -V | tail -n 1)" >"$at/clone"
    end_run $pid
    ratio "$version: memory of the 8th clone, KiB: of a host" "$at/clone" "$at/host" "at most 0.15"
}
await_hosts() { # PID COUNT FOLDER: until so many hosts have answered there
    until [ "$(cat "$3"/*/events.log "$3"/*/clone-*/events.log 2>/dev/null | grep -c 'said HELLO')" -ge "$2" ]; do
        kill -0 "$1" 2>/dev/null || { tail -n 3 "$dir/err" >&2; return 1; }
        read -rt 0.1 <> <(:) || :
    done
}
end_run() { kill "$1" 2>/dev/null; wait "$1" 2>/dev/null; }
share_of() { # EVENTS: proportional set size of its emulator, in KiB
    awk '/^Pss:/ { print $2 }' "/proc/$(sed -n 's/.* as process \([0-9]*\)$/\1/p' "$1")/smaps_rollup"
}
own_templates() { # FOLDER: a cache with no templates but ours; kernels are the user's
    local each
    mkdir -p "$1/hostbed"
    for each in "${XDG_CACHE_HOME:-$HOME/.cache}"/hostbed/*; do
        [ "${each##*/}" = templates ] || ln -s "$each" "$1/hostbed/"
    done
}
# Fifty cases that get a host each, two at a time, with a template that is kept: the whole of the command.
compare_jobs() { # EMULATOR
    local at suites=() each
    at=$(mktemp -d "$dir/jobs.XXXXXX")
    for ((i = 0; i < 50; i++)); do suites+=(--suite "true $i"); done
    own_templates "$at/cache"
    fifty() { XDG_CACHE_HOME=$at/cache hostbed test -q --accel tcg --emulator "$1" --keep "${@:2}" "$lab" "${suites[@]}"; }
    fifty "$1" -j 2 >/dev/null 2>"$dir/err" || { tail -n 3 "$dir/err" >&2; return 1; }
    for _ in 1 2 3; do
        for each in 1 2; do milliseconds "$at/$each" fifty "$1" -j $each || return 1; done
    done
    row "$version: 50 cases, a host each, a minute: -j 2, -j 1" "$(cases_a_minute "$at/2")" "$(cases_a_minute "$at/1")" \
        "at least 250 with two"
    rm -rf "$at/cache"
}
cases_a_minute() { awk "BEGIN { printf \"%.0f\", 50 * 60000 / $(median "$1") }"; }
# A host that stays, until the first command in it has ended; and what is listed of a hundred.
compare_lives() { # EMULATOR
    local at
    at=$(mktemp -d "$dir/lives.XXXXXX")
    own_templates "$at/cache"
    local -x XDG_CACHE_HOME=$at/cache XDG_RUNTIME_DIR=$at
    to_shell() { hostbed up --accel tcg --emulator "$@" "$lab" && hostbed exec l1 -- true; }
    to_shell "$1" --warm >/dev/null 2>"$dir/err" || { tail -n 3 "$dir/err" >&2; return 1; }
    for _ in 1 2 3 4 5; do
        hostbed down --all >/dev/null 2>&1
        milliseconds "$at/warm" to_shell "$1" --warm
        hostbed down --all >/dev/null 2>&1
        milliseconds "$at/cold" to_shell "$1"
        milliseconds "$at/run" hostbed run --accel tcg --emulator "$1" "$lab" -- true
    done
    hostbed down --all >/dev/null 2>&1
    ratio "$version: up, to a command's end: run" "$at/cold" "$at/run" "about 1"
    ratio "$version: up --warm, to a command's end: up" "$at/warm" "$at/cold" "at most 500 ms"
    for i in {1..100}; do
        hostbed up --warm --accel tcg --emulator "$1" --name "lab$i" "$source_dir/topologies/smallest.xml" >/dev/null 2>"$dir/err" ||
            { tail -n 3 "$dir/err" >&2; break; }
    done
    [ "$(hostbed list | wc -l)" != 100 ] || for _ in $(seq "$runs"); do
        milliseconds "$at/list" hostbed list
        milliseconds "$at/json" hostbed list --json
    done
    hostbed down --all >/dev/null 2>&1
    ratio "$version: list of a hundred labs: as JSON" "$at/list" "$at/json" "at most 50 ms"
}
# A guest inside with an assigned NIC, from nothing to its first frame: a suite's case, and a script in the bare emulator's
# host, of the same image.
compare_inner() { # EMULATOR
    local at log case=nested/frames_pass_between_linux_and_the_host
    at=$(mktemp -d "$dir/inner.XXXXXX")
    # By itself: a suite is run whole otherwise.
    inner_case() { hostbed test -q --no-skip --no-retry --cold --isolate case --accel tcg --emulator "$1" "$inner_lab" -s "$case" "${@:2}"; }
    inner_case "$1" --log-dir "$at/log" >"$at/out" 2>&1 || { tail -n 3 "$at/out" >&2; return; }
    log=$(dirname "$(find "$at/log" -name command | head -n 1)")
    for _ in 1 2 3; do
        milliseconds "$at/case" inner_case "$1"
        "$build_dir/harness/bench/bare" "$log" --run "$source_dir/harness/bench/inner.sh" >>"$at/bare" 2>>"$at/err" ||
            tail -n 3 "$at/err" >&2
    done
    ratio "$version: a guest inside, its first frame: by hand" "$at/case" "$at/bare" "at most 1.25"
}
# A fresh host with a guest inside and its assigned NIC, from its spawn to the guest's first frame, which the case waits for: a
# clone of the state, and a host that comes so far by itself.
frame_case=frames_pass_between_linux_and_the_host
host_and_case() { # JSON EVENTS: milliseconds until the agent's first word, and of the case
    local hello case_us
    hello=$(said_hello "$2")
    case_us=$(grep -A 4 "\"$frame_case\"" "$1" | sed -n 's/.*"duration_us" : \([0-9]*\).*/\1/p')
    awk "BEGIN { print $hello + $case_us / 1000 }"
}
compare_states() { # EMULATOR
    local at
    at=$(mktemp -d "$dir/states.XXXXXX")
    frames() { hostbed test -q --no-skip --no-retry --accel tcg --emulator "$1" --json "$at/json" --log-dir "$at/log" "$inner_lab" "${@:2}"; }
    for _ in 1 2 3; do
        frames "$1" --cold --isolate case -s "nested/$frame_case" >"$at/out" 2>&1 || { tail -n 3 "$at/out" >&2; return; }
        host_and_case "$at/json" "$at"/log/*/events.log >>"$at/cold"
        rm -rf "$at/log"
        # The state is not reached for one case alone; its clone is the last.
        frames "$1" --isolate case -s nested/linux_drives_its_function -s "nested/$frame_case" >"$at/out" 2>&1 ||
            { tail -n 3 "$at/out" >&2; return; }
        host_and_case "$at/json" "$(find "$at/log" -path '*/clone-*/events.log' | sort -V | tail -n 1)" >>"$at/clone"
        rm -rf "$at/log"
    done
    ratio "$version: a clone with a guest inside, its first frame: cold" "$at/clone" "$at/cold" "at most 0.02, and 400 ms"
}
# What a program and all below it have of the machine's memory now, in MiB: each page shared by several counts in parts.
memory_below() { # PID
    ps -e -o pid=,ppid= | awk -v top="$1" '{ above[$1] = $2 }
        END { for (pid in above) { at = pid; while (at > 1 && at != top) at = above[at]; if (at == top) print "/proc/" pid "/smaps_rollup" } }' |
        xargs cat 2>/dev/null | awk '/^Pss:/ { sum += $2 } END { print sum / 1024 }'
}
# Two hosts, each with a guest inside that works, of which one moves to the other host.
compare_moves() { # EMULATOR
    local at pid
    at=$(mktemp -d "$dir/moves.XXXXXX")
    "$build_dir/hostbed" test -q --no-skip --accel tcg --emulator "$1" --json "$at/json" "$source_dir/topologies/migration.xml" \
        -s migration/a_guest_moves_to_a_host_that_has_one >"$at/out" 2>&1 &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        memory_below "$pid" >>"$at/memory"
        sleep 0.3
    done
    wait "$pid" || { tail -n 3 "$at/out" >&2; return; }
    row "$version: MiB, two hosts with guests, one of which moves" "$(sort -n "$at/memory" | tail -n 1)" - "at most 6144"
}
# One step: the same files into the same root, by hostbed (which also inspects, and takes the kernel out), by one start
# of libguestfs alone, and by virt-customize.
compare_image() { # EMULATOR
    local at
    at=$(mktemp -d "$dir/image.XXXXXX")
    local -x LIBGUESTFS_BACKEND=direct LIBGUESTFS_BACKEND_SETTINGS=force_tcg LIBGUESTFS_HV=$1
    # shellcheck source=harness/tests/tiny-root.sh
    . "$source_dir/harness/tests/tiny-root.sh"
    tiny_root "$at/root"
    # The peers' kernel where this machine has none of its own: the same one, as its package has it.
    if ! compgen -G '/boot/vmlinuz-*' >/dev/null && [ -n "$bzimage" ]; then
        local -x SUPERMIN_KERNEL=$bzimage SUPERMIN_KERNEL_VERSION=${bzimage##*/vmlinuz-}
        local -x SUPERMIN_MODULES=${bzimage%/boot/*}/lib/modules/$SUPERMIN_KERNEL_VERSION
    fi
    if [ -x "$build_dir/provisioner/hostbed-guestfs" ] && command -v guestfish >/dev/null &&
        PATH=$PATH:/usr/sbin:/sbin tiny_disk "$at/disk.qcow2" "$at/root" 2>"$dir/err"; then
        cp -r "$build_dir/vmtests/suites" "$at/files"
        printf '<lab xmlns="urn:hostbed:lab:1" name="image"><host name="l1"><image from="disk.qcow2"><copy from="files" to="/opt/files"/></image><cell cpus="0" memory="256 MiB"/></host></lab>' |
            sed 's|"disk.qcow2"|"./disk.qcow2"|' >"$at/lab.xml"
        for _ in once 1 2 3 4 5; do
            hostbed image rm --all
            milliseconds "$at/hostbed" hostbed image build --accel tcg --emulator "$1" "$at/lab.xml"
            cp "$at/disk.qcow2" "$at/bare.qcow2"
            milliseconds "$at/bare" guestfish -a "$at/bare.qcow2" -i copy-in "$at/files" /opt
            cp "$at/disk.qcow2" "$at/customized.qcow2"
            ! command -v virt-customize >/dev/null ||
                milliseconds "$at/customize" virt-customize -q -a "$at/customized.qcow2" --copy-in "$at/files:/opt"
        done
        # The first time each makes an appliance.
        sed -i 1d "$at/hostbed" "$at/bare" "$at/customize"
    fi
    ratio "$version: an image step: guestfish -i copy-in" "$at/hostbed" "$at/bare" "at most 1.1"
    ratio "$version: an image step: virt-customize --copy-in" "$at/hostbed" "$at/customize" "less than 1"
}
inner_lab=$source_dir/topologies/nested-linux.xml
said_hello() { sed -n 's/.* said HELLO after \([0-9]*\)\.\([0-9]*\) s$/\1\2/p' "$@" | sed 's/^0*\([0-9]\)/\1/'; }

# BENCH_ONLY="clones jobs": those rows alone.
asked() { [ -z "${BENCH_ONLY:-}" ] || [[ " $BENCH_ONLY " == *" $1 "* ]]; }
compare_with() { # WHAT EMULATOR
    version=$("$2" --version | sed -n '1s/.*version \([0-9.]*\).*/\1/p') # in the rows' names
    "compare_$1" "$2"
}
compare() { # WHAT: with each emulator
    asked "$1" || return 0
    compare_with "$1" "${HOSTBED_EMULATOR:-$(command -v qemu-system-x86_64)}" &&
        { [ -z "${HOSTBED_SECOND_EMULATOR:-}" ] || [ "$1" = sizes ] || [ "$1" = lives ] || compare_with "$1" "$HOSTBED_SECOND_EMULATOR"; }
}

row "median of $runs, milliseconds" "hostbed" "peer" "ratio"
compare boots || exit 1
compare clones || exit 1
compare sizes || exit 1
compare memory
compare jobs || exit 1
compare lives || exit 1
compare inner
compare states
compare moves
XDG_CACHE_HOME=${BENCH_CACHE:-$dir/cache} compare image
[ -z "${BENCH_ONLY:-}" ] || exit 0

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

# The largest single process would be the emulator, so hostbed's own peak is read while it waits.
"$build_dir/hostbed" run --accel tcg "$lab" -- sh -c 'echo ready; sleep 5' >"$dir/ready" 2>/dev/null &
pid=$!
until grep -q ready "$dir/ready" || ! kill -0 $pid 2>/dev/null; do read -rt 0.1 <> <(:) || :; done
row "peak memory of hostbed itself, KiB" "$(awk '/VmHWM/ { print $2 }' /proc/$pid/status)" 32768 "at most"
wait $pid
