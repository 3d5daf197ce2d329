#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Static probes of a host that is started, and of a clone: seen by a debugger, in order, with what their arguments say.
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"
grep -q '^#define HAVE_PROBES' "$build_dir/config.h" || skip_all "built without <sys/sdt.h>"
command -v gdb >/dev/null || skip_all "there is no gdb"
gdb -q -batch -ex run --args true 2>&1 | grep -q 'exited normally' || skip_all "gdb may watch no process here"
lab=$source_dir/topologies/smallest.xml

{
    printf 'set breakpoint pending on\nset debuginfod enabled off\n'
    for probe in emulator_spawned emulator_greeted agent_hello boot_ended clone_spawned clone_answered emulator_ended; do
        cat <<X
break -probe-stap hostbed:$probe
commands
silent
printf "$probe %s/%s %d\n", (char *)\$_probe_arg0, (char *)\$_probe_arg1, (int)\$_probe_arg2
continue
end
X
    done
    echo run
} >"$tap_dir/watch"

# watched ARGUMENT…: the probes that fire in hostbed run, a line each, and its emulators' processes as A, B, … in order
watched() {
    "$build_dir/run" gdb -q -batch -x "$tap_dir/watch" --args "$build_dir/hostbed" run --no-retry --accel tcg "$@" >"$tap_dir/gdb" 2>&1
    grep -E '^[a-z_]+ [^ ]+/[^ ]+ [0-9]+$' "$tap_dir/gdb" |
        awk '{ if (!($3 in name)) name[$3] = sprintf("%c", 65 + count++); print $1, $2, name[$3] }' | paste -sd";"
}
is "a host that is started" "$(watched "$lab" -- true)" "emulator_spawned smallest/l1 A;emulator_greeted smallest/l1 A;agent_hello \
smallest/l1 A;boot_ended smallest/l1 A;emulator_ended smallest/l1 A"
own_cache clones
hostbed run --warm --accel tcg "$lab" -- true
is "a clone" "$(watched --warm "$lab" -- true)" "emulator_spawned smallest/l1 A;emulator_greeted smallest/l1 A;clone_spawned smallest/l1 \
A;clone_answered smallest/l1 A;emulator_ended smallest/l1 A"
done_testing
