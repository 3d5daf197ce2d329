#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Who waits at a terminal is told what for. What takes so long here goes on when the test has seen that.
. "${HOSTBED_SOURCE_DIR:?run this by make check}/harness/tests/tap.sh"
has_terminal || skip_all "$why"
real=$(command -v qemu-system-x86_64 || command -v qemu-kvm) || skip_all "there is no emulator"
lab=$source_dir/topologies/smallest.xml
export XDG_CACHE_HOME=$tap_dir/cache

# An emulator that answers when it is allowed to.
mkfifo "$tap_dir/go"
printf '#!/bin/sh\n[ -e "%s" ] || { read -r _ <"%s"; : >"%s"; }\nexec "%s" "$@"\n' \
    "$tap_dir/gone" "$tap_dir/go" "$tap_dir/gone" "$real" >"$tap_dir/slow"
chmod +x "$tap_dir/slow"

# watched PATTERN ARGUMENT…: runs hostbed at a terminal, whose screen is $tap_dir/screen, until it shows that; then lets the
# emulator go on, and gives hostbed's status
watched() {
    local pattern=$1 pid
    shift
    rm -f "$tap_dir/gone"
    : >"$tap_dir/screen"
    TERM=xterm script -qefc "$build_dir/run hostbed $*" "$tap_dir/screen" </dev/null >/dev/null 2>&1 &
    pid=$!
    until grep -q "$pattern" "$tap_dir/screen" || ! kill -0 $pid 2>/dev/null; do sleep 0.1; done
    echo go >"$tap_dir/go"
    wait $pid
}
# what is left on the screen when lines that were written over are gone
left() { sed 's/\r$//; s/.*\r\x1b\[K//' "$tap_dir/screen" | grep -v '^Script '; }

for command in "check $lab" doctor; do
    case $command in check*) what="asking the emulator what it can do" ;; *) what="trying what this machine can do" ;; esac
    rm -rf "$XDG_CACHE_HOME"
    watched "hostbed: $what, [0-9]* s" "$command" --accel tcg --emulator "$tap_dir/slow"
    has "${command%% *} says what it waits for" "$tap_dir/screen" "hostbed: $what, [2-9] s"
    left >"$tap_dir/left"
    is "and nothing of that is left" "$(grep -c "$what" "$tap_dir/left")" 0
    is "but what it has to say" "$(($(wc -l <"$tap_dir/left") > 0))" 1
done
rm -rf "$XDG_CACHE_HOME" "$tap_dir/gone"
(echo go >"$tap_dir/go") &
"$build_dir/run" hostbed check --emulator "$tap_dir/slow" "$lab" >"$tap_dir/out" 2>&1
is "who is no terminal is told nothing" "$(grep -c asking "$tap_dir/out")" 0
wait
done_testing
