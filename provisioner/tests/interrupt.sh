#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Signals while an emulator is asked that never answers: a script that starts a program and waits.
. "${HOSTBED_SOURCE_DIR:?run this by make check}/harness/tests/tap.sh"

lab="$source_dir/topologies/smallest.xml"
export XDG_CACHE_HOME="$tap_dir/cache"
cat >"$tap_dir/mute" <<'END'
#!/bin/sh
[ "$1" != --version ] || exit 0
sleep 600 &
echo $$ >"$0.group"
wait
END
chmod +x "$tap_dir/mute"

# One that does not even tell its version is given up after one wait, not two. It is asked while all else is tried.
printf '#!/bin/sh\nsleep 600\n' >"$tap_dir/dumb"
chmod +x "$tap_dir/dumb"
begin_dumb=$(date +%s)
{
    hostbed check --emulator "$tap_dir/dumb" "$lab" >"$tap_dir/dumb.out" 2>"$tap_dir/dumb.err"
    status=$?
    : >"$tap_dir/dumb.end"
    exit $status
} &
asking=$!

# How many processes of the group run; zombies wait for init, not for us.
running() {
    cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' | awk -v group="$1" '$3 == group && $1 != "Z"' | wc -l
}
# Until the last of the group is gone, for five seconds; those that stay are counted.
left() {
    for _ in $(seq 100); do
        [ "$(running "$1")" != 0 ] || break
        sleep 0.05
    done
    running "$1"
}
# start ARGUMENT…: hostbed, until it waits for the emulator; its number is in $pid
start() {
    rm -f "$tap_dir/mute.group"
    # Under nohup SIGHUP is ignored, and a shell's background has no SIGINT.
    env --default-signal=HUP,INT,TERM "$build_dir/run" hostbed "$@" >"$tap_dir/out" 2>"$tap_dir/err" &
    pid=$!
    for _ in $(seq 200); do
        [ ! -s "$tap_dir/mute.group" ] || break
        sleep 0.05
    done
    group=$(cat "$tap_dir/mute.group")
    for _ in $(seq 200); do
        [ "$(running "$group")" != 3 ] || break
        sleep 0.05
    done
}
# interrupted NAME SIGNAL ARGUMENT…
interrupted() {
    local name=$1 signal=$2 begin
    shift 2
    start "$@"
    begin=$SECONDS
    kill "-$signal" "$pid"
    wait "$pid" 2>/dev/null
    is "$name: SIG$signal gives status 130" $? 130
    is "$name: at once" $((SECONDS - begin < 60)) 1
    is "$name: with a sentence" "$(grep -c '^hostbed: interrupted' "$tap_dir/err")" 1
    is "$name: nothing runs any more" "$(left "$group")" 0
}

interrupted check INT check --emulator "$tap_dir/mute" "$lab"
interrupted show TERM show --emulator "$tap_dir/mute" "$lab"
interrupted doctor INT doctor --emulator "$tap_dir/mute"
interrupted run HUP run --emulator "$tap_dir/mute" "$lab" -- true
interrupted test TERM test --emulator "$tap_dir/mute" "$lab"

start check --emulator "$tap_dir/mute" "$lab"
is "a script, its program and their guardian run" "$(running "$group")" 3
kill -KILL "$pid"
wait "$pid" 2>/dev/null
is "after kill -9 nothing runs any more" "$(left "$group")" 0

begin=$SECONDS
hostbed run --timeout 0.5 --emulator "$tap_dir/mute" "$lab" -- true 2>"$tap_dir/err"
is "run --timeout counts while the emulator is asked" $? 4
is "and ends it at once" $((SECONDS - begin < 60)) 1
has "and says so" "$tap_dir/err" "not up within the 0.5 s of --timeout"

if hostbed check "$lab" >"$tap_dir/probe" 2>&1; then
    # Who opens a FIFO for writing waits until somebody reads it: then hostbed does.
    mkfifo "$tap_dir/lab"
    env --default-signal=HUP,INT,TERM "$build_dir/run" hostbed test "$tap_dir/lab" >"$tap_dir/out" 2>"$tap_dir/err" &
    pid=$!
    exec 9>"$tap_dir/lab"
    kill -TERM $pid
    wait $pid 2>/dev/null
    is "a signal ends the wait for a lab" $? 130
    has "with a sentence" "$tap_dir/err" '^hostbed: interrupted while the labs were read'
    exec 9>&-
    env --default-signal=HUP,INT,TERM "$build_dir/run" hostbed run "$tap_dir/lab" -- true >"$tap_dir/out" 2>"$tap_dir/err" &
    pid=$!
    exec 9>"$tap_dir/lab"
    kill -TERM $pid
    wait $pid 2>/dev/null
    is "run: it does too" $? 130
    is "run: one sentence says so" "$(cat "$tap_dir/err")" "hostbed: interrupted while the lab was read"
    exec 9>&-
    hostbed test --deadline 0.5 "$tap_dir/lab" 2>"$tap_dir/err"
    is "test --deadline counts while a lab is read" $? 4
    has "and says so" "$tap_dir/err" "^hostbed: the 0.5 s of --deadline passed .*: the labs were not read"
    hostbed test --deadline 0.5 --emulator "$tap_dir/mute" "$lab" 2>"$tap_dir/err"
    is "and while the emulator is asked" $? 4
    has "and says so" "$tap_dir/err" "passed .*: the emulator did not answer"
else
    skip "signals and --deadline while a lab is read" "no emulator to ask, which comes before the labs"
fi

# A package that would take an hour: small ones of its members are 20000 times 16 MiB of nothing.
if command -v python3 >/dev/null; then
    python3 - "$tap_dir/long.deb" <<'END'
import bz2, sys, tarfile
member = tarfile.TarInfo("./usr/share/doc/zeros")
member.size = 16 << 20
data = (bz2.compress(member.tobuf()) + bz2.compress(bytes(member.size))) * 20000
with open(sys.argv[1], "wb") as deb:
    deb.write(b"!<arch>\n")
    for name, content in (b"debian-binary", b"2.0\n"), (b"data.tar.bz2", data):
        deb.write(b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name, 0, 0, 0, b"100644", len(content)))
        deb.write(content + b"\n" * (len(content) % 2))
END
    env --default-signal=HUP,INT,TERM "$build_dir/run" hostbed image kernel "$tap_dir/long.deb" \
        >"$tap_dir/out" 2>"$tap_dir/err" &
    pid=$!
    packages=$XDG_CACHE_HOME/hostbed/packages
    for _ in $(seq 600); do # it is made when signals are already watched
        [ -z "$(ls -A "$packages" 2>/dev/null)" ] || break
        sleep 0.05
    done
    kill -TERM $pid
    wait $pid 2>/dev/null
    is "a signal ends the unpacking of a kernel" $? 130
    has "with a sentence" "$tap_dir/err" '^hostbed: interrupted while .*long.deb was unpacked'
    is "and nothing is left of it" "$(ls -A "$packages")" ""
fi

wait "$asking"
is "an emulator that says nothing: status 8" $? 8
has "and a sentence with the time" "$tap_dir/dumb.err" "--version did not end in 10 s"
is "that is true" $(($(stat -c %Y "$tap_dir/dumb.end") - begin_dumb < 19)) 1
done_testing
