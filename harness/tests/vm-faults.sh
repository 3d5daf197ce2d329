#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A host that fails says how, in one sentence and with its own exit status, and nothing is left running.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"

lab=$source_dir/topologies/smallest.xml
out=$tap_dir/out
err=$tap_dir/err
run() { hostbed run --accel tcg --log-dir "$tap_dir/logs" "$@" >"$out" 2>"$err"; }
one_sentence() { # NAME PATTERN
    has "$1" "$err" "^hostbed: .*$2"
}

run --log-dir "$tap_dir/panic" "$lab" -- sh -c 'echo c >/proc/sysrq-trigger'
is "a panic has its status" $? 5
one_sentence "and is called one" panic
has "and the emulator told it" "$(echo "$tap_dir"/panic/*/events.log)" 'event GUEST_PANICKED'

run "$lab" -- sh -c 'echo b >/proc/sysrq-trigger; sleep 60'
is "a reset has its status" $? 5
one_sentence "and is called one" reset

run "$lab" -- sh -c 'echo o >/proc/sysrq-trigger; sleep 60'
status=$?
if [ $status != 0 ]; then ok "a host that powers off in the middle is no success"; else not_ok "a host that powers off in the middle is no success" "$err"; fi
one_sentence "and is said to have powered off" 'power'

run --timeout 3 "$lab" -- sleep 600
is "a command that takes too long has its status" $? 4
one_sentence "and the limit is named" '3'

HOSTBED_EMULATOR=/no/such/emulator run "$lab" -- true
is "an emulator that is missing" $? 8
one_sentence "is named" '/no/such/emulator'

for fake in /bin/true /bin/cat; do
    run --emulator $fake "$lab" -- true
    status=$?
    if [ $status = 7 ] || [ $status = 8 ]; then ok "an emulator that is none ($fake) has its status"; else
        not_ok "an emulator that is none ($fake) has its status, not $status" "$err"; fi
    one_sentence "and is named" "$fake"
done

run --kernel /no/such/kernel "$lab" -- true
is "a kernel that is missing is as an emulator that is missing" $? 8
one_sentence "is named" '/no/such/kernel'

head -c 100000 /dev/urandom >"$tap_dir/noise"
run --kernel "$tap_dir/noise" "$lab" -- true
is "a kernel that is none is a wrong command line" $? 2
one_sentence "is named" 'noise'

run "$tap_dir/no-such-lab.xml" -- true
is "a lab that is missing is a wrong command line" $? 2

if [ -e /dev/kvm ]; then
    hostbed run --accel kvm "$lab" -- true >"$out" 2>"$err"
    status=$?
    if [ $status = 0 ] || [ $status = 3 ]; then ok "--accel kvm works or refuses ($status)"; else
        not_ok "--accel kvm works or refuses, not $status" "$err"; fi
else
    hostbed run --accel kvm "$lab" -- true >"$out" 2>"$err"
    is "--accel kvm refuses without /dev/kvm" $? 3
fi

# A folder for the logs on a full disk.
if [ "$(id -u)" = 0 ] && mkdir "$tap_dir/full" && mount -t tmpfs -o size=64k none "$tap_dir/full" 2>/dev/null; then
    head -c 65536 /dev/zero >"$tap_dir/full/fill" 2>/dev/null
    mkdir -p "$tap_dir/full/logs" 2>/dev/null
    run --log-dir "$tap_dir/full/logs" "$lab" -- true
    status=$?
    if [ $status = 0 ] || [ $status = 8 ]; then ok "a full disk is survived or named ($status)"; else
        not_ok "a full disk is survived or named, not $status" "$err"; fi
    umount "$tap_dir/full"
else
    skip "a full disk is survived or named" "no tmpfs can be mounted here"
fi

# An emulator has nothing of ours in its command line or environment; the logs know its process.
mapfile -t emulators_started < <(grep -rhoE 'process [0-9]+' --include=events.log "$tap_dir" | grep -oE '[0-9]+$' | sort -u)
is "the logs tell the emulators' processes" "$((${#emulators_started[@]} >= 4))" 1
for pid in "${emulators_started[@]}"; do
    if grep -qs qemu "/proc/$pid/comm"; then echo "$pid is $(tr '\0' ' ' <"/proc/$pid/cmdline")"; fi
done >"$tap_dir/left"
pgrep -af "$tap_dir" >>"$tap_dir/left"
is "nothing is left running" "$(cat "$tap_dir/left")" ""
done_testing
