#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What happens to labs that are up when something or somebody is killed, restarts, is full, hostile, or done twice at
# once: list explains it, down clears it, nothing is left.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"

lab=$source_dir/topologies/smallest.xml
out=$tap_dir/out
err=$tap_dir/err
live=$XDG_RUNTIME_DIR/hostbed
own_cache faults
up() { hostbed up --accel tcg --warm "$@" >"$out" 2>"$err"; }
trap 'hostbed down --all >/dev/null 2>&1; rm -rf "$tap_dir"' EXIT
# pid FIRST|LAST [LAB]: of the supervisor of the lab, and of its emulator
pid() { grep -o '"pid" : [0-9]*' "$live/${2-smallest}/state.json" | sed 's/.* //' | "$1" -n 1; }
# gone PID: waits for the end of a process that is not ours
gone() { timeout 30 tail --pid="$1" -f /dev/null; }
clean() { is "$1" "$(ls "$live")" lock; }

# ---- the supervisor is killed
up "$lab"
is "a host is up" $? 0
emulator=$(pid tail)
kill -KILL "$(pid head)"
gone "$emulator"
is "an emulator dies with its supervisor" $? 0
hostbed list >"$out"
has "list says what became of it" "$out" "smallest/l1 *dead .*its supervisor was killed; 'hostbed down smallest' clears it"
is "as it does to programs" "$(hostbed list --json | grep -c '"state" : "dead"')" 1
hostbed exec l1 -- true 2>"$err"
is "a dead host runs nothing" $? 1
has "and that is explained" "$err" "is dead: its supervisor was killed"
hostbed log l1 >"$out"
has "its logs are still there" "$out" "HELLO"
hostbed down smallest >"$out"
is "down clears it" "$? $(cat "$out")" "0 smallest was dead (its supervisor was killed), and is cleared"
clean "and nothing is left"

# ---- a supervisor that hangs
up "$lab"
kill -STOP "$(pid head)"
hostbed list >"$out"
has "one that hangs is listed" "$out" "smallest/l1"
supervisor=$(pid head)
emulator=$(pid tail)
hostbed down smallest >"$out" 2>"$err"
is "and goes down" $? 0
has "by force" "$err" "did not answer, and is killed"
gone "$emulator"
is "with its emulator" $? 0
clean "and nothing is left of it"

# ---- up over what is dead; the machine restarts
up "$lab"
emulator=$(pid tail)
kill -KILL "$(pid head)"
gone "$emulator"
sed -i 's/"boot" : "[^"]*"/"boot" : "another"/' "$live/smallest/state.json"
hostbed list >"$out"
has "a lab from before a restart is said to be that" "$out" "the machine was restarted"
up "$lab"
is "up brings a dead lab up again" $? 0
is "and it answers" "$(hostbed exec l1 -- echo here)" here

# ---- the emulator is killed
mkfifo "$tap_dir/runs"
"$build_dir/run" hostbed exec l1 -- sh -c 'echo runs; exec sleep 600' >"$tap_dir/runs" 2>"$err" &
command=$!
read -r -t 60 <"$tap_dir/runs"
kill -KILL "$(pid tail)"
wait $command
is "a command in a host whose emulator is killed has the status of that" $? 7
has "with what is known of it" "$err" "the host 'l1' is not up any more: .*signal 9"
hostbed list >"$out"
has "list says so, too" "$out" "smallest/l1 *failed .*signal 9.*starts it again"
up "$lab"
is "up starts the host again" "$? $(hostbed exec l1 -- echo again)" "0 again"
hostbed exec l1 -- sh -c 'echo c >/proc/sysrq-trigger' 2>"$err"
is "a command whose host panics has the status of that" $? 5
has "and a panic is called one" "$err" "panic"
hostbed list --json >"$out"
is "list --json has it, too" "$(sed -n 's/.*"status" : \([0-9]*\).*/\1/p' "$out")" 5
has "with the reason alone" "$out" '"reason" : ".*panic[^;]*"'
has "and the logs beside it" "$out" '"logs" : "/.*/l1'
is "and nothing that is not documented" "$(grep -c '"digest"\|"boot"' "$out")" 0
hostbed down smallest >/dev/null
clean "and the lab goes down"

# ---- hosts that end by themselves: list, and whoever asks them for something, says how
# ends NAME COMMAND REASON: what the host is told, by its shell, and what is said then
ends() {
    up "$lab"
    hostbed exec l1 -- sh -c "$2" >/dev/null 2>&1
    until hostbed list | grep -q '^smallest/l1 *failed '; do :; done
    hostbed list >"$out"
    has "a host that $1 is listed as failed, with how, and what helps" "$out" "^smallest/l1 *failed .*  the host$3.*; 'hostbed up .*' starts it again"
    hostbed exec l1 -- true 2>"$err"
    is "who runs something in it" $? 1
    has "is told so, too" "$err" "the host 'l1' is not up any more: the host$3"
}
ends "panics" 'echo c >/proc/sysrq-trigger' "'s kernel panicked: Kernel panic - not syncing: sysrq triggered crash"
ends "switches itself off" 'poweroff -f; sleep 600' " powered itself off; the console said last: .*Power down"
ends "resets itself" 'reboot -f; sleep 600' " reset itself; the console said last: .*Restarting system"
up "$lab"
hostbed exec l1 -- sh -c 'echo 1 >/proc/sys/kernel/unknown_nmi_panic'
hostbed nmi l1 >/dev/null
until hostbed list | grep -q '^smallest/l1 *failed '; do :; done
has "one that panics by an NMI, too" <(hostbed list) "^smallest/l1 *failed .* the host's kernel panicked"
hostbed down smallest >"$out"
is "down clears it" "$? $(cat "$out")" "0 smallest is down"
clean "with nothing left of any of them"

# ---- twice at once
up "$lab"
hostbed down smallest >/dev/null
for i in 1 2 3; do "$build_dir/run" hostbed up --accel tcg --warm "$lab" >"$tap_dir/up.$i" 2>&1 & done
wait
is "of three that bring a lab up at once" "$(grep -hc '^smallest is up' "$tap_dir"/up.* | paste -sd" ")" "1 1 1"
is "all have the same" "$(hostbed list | wc -l)" 1
for i in 1 2 3; do "$build_dir/run" hostbed down smallest >"$tap_dir/down.$i" 2>&1; echo $? >>"$tap_dir/down.$i" & done
wait
is "three that take it down at once are all content" "$(tail -qn 1 "$tap_dir"/down.* | paste -sd" ")" "0 0 0"
clean "and nothing is left of it"
for i in 1 2 3 4; do
    "$build_dir/run" hostbed up --accel tcg --warm "$lab" >/dev/null 2>&1 &
    "$build_dir/run" hostbed down smallest >/dev/null 2>&1 &
done
wait
hostbed down smallest >/dev/null 2>"$err"
is "ups and downs mixed end" $? 0
clean "with nothing left"

# ---- down during up, and an up that is given up
# up_slowly: a cold host, until its kernel runs; $up waits for it
up_slowly() {
    : >"$err"
    "$build_dir/run" hostbed up --accel tcg -v "$source_dir/topologies/berrange-2017.xml" >"$out" 2>"$err" &
    up=$!
    until grep -q "waiting for the host" "$err" || ! kill -0 $up; do sleep 0.1; done
}
up_slowly
hostbed list >"$tap_dir/listed"
hostbed down berrange-2017 >/dev/null
is "down ends a lab that comes up" $? 0
wait $up
is "who waited for it is interrupted" $? 130
has "and told" "$err" "went down while it came up"
has "meanwhile it was listed" "$tap_dir/listed" "^berrange-2017/l1 *starting"
clean "nothing is left"
up_slowly
supervisor=$(pid head berrange-2017)
kill -KILL $up
wait $up 2>/dev/null
gone "$supervisor"
is "a start that nobody waits for any more ends" $? 0
clean "and leaves nothing"

up_slowly
kill -INT $up
wait $up
is "a start that is interrupted" "$? $(tail -n 1 "$err")" "130 hostbed: interrupted"
is "has ended when that is said" "$(hostbed list 2>/dev/null)" ""
clean "and leaves nothing, either"

# ---- folders that cannot be used
if [ "$(id -u)" = 0 ] && mkdir "$tap_dir/full" && mount -t tmpfs -o size=64k none "$tap_dir/full" 2>/dev/null; then
    mkdir -m 700 "$tap_dir/full/hostbed"
    head -c 65536 /dev/zero >"$tap_dir/full/fill" 2>/dev/null
    XDG_RUNTIME_DIR=$tap_dir/full up "$lab"
    is "a full runtime folder: status 8" $? 8
    has "and a sentence" "$err" "^hostbed: .*No space left on device"
    rm "$tap_dir/full/fill"
    is "nothing is up then" "$(XDG_RUNTIME_DIR=$tap_dir/full hostbed list 2>/dev/null)" ""
    XDG_RUNTIME_DIR=$tap_dir/full up "$lab"
    head -c 65536 /dev/zero >"$tap_dir/full/fill" 2>/dev/null
    XDG_RUNTIME_DIR=$tap_dir/full hostbed down smallest >"$out" 2>"$err"
    is "what is up goes down when it is full" $? 0
    is "and leaves nothing" "$(ls "$tap_dir/full/hostbed")" lock
    umount "$tap_dir/full"
else
    skip "a full runtime folder: status 8" "no tmpfs can be mounted here"
fi
if [ -d "/run/user/$(id -u)" ]; then
    skip "a folder in /tmp that is another's is refused" "/run/user/$(id -u) is there"
else
    mkdir "$tap_dir/tmp"
    ln -s /etc "$tap_dir/tmp/hostbed-run-$(id -u)"
    (unset XDG_RUNTIME_DIR; TMPDIR=$tap_dir/tmp up "$lab")
    is "a link in /tmp in the place of our folder: status 8" $? 8
    has "and a sentence" "$err" "^hostbed: .*it is no folder; remove it"
    (unset XDG_RUNTIME_DIR; TMPDIR=$tap_dir/tmp hostbed list 2>"$err")
    is "list says so, too" $? 8
    rm "$tap_dir/tmp/hostbed-run-$(id -u)"
    (unset XDG_RUNTIME_DIR; export TMPDIR=$tap_dir/tmp; up "$lab" && hostbed exec l1 -- true && hostbed down smallest >/dev/null)
    is "without one, it is made there" "$? $(stat -c %a "$tap_dir/tmp/hostbed-run-$(id -u)")" "0 700"
fi
is "no supervisor is left" "$(pgrep -cf "^hostbed-supervisor (smallest|berrange-2017)")" 0
done_testing
