#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hosts that are up are saved, and are again what they were.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"

out=$tap_dir/out
err=$tap_dir/err
two=$source_dir/topologies/two-hosts.xml
trap 'hostbed down --all >/dev/null 2>&1; umount "$tap_dir/warm/hostbed/states" 2>/dev/null; rm -rf "$tap_dir"' EXIT
change() { hostbed "$@" >"$out" 2>"$err"; }
on() { hostbed exec "$@"; }

hostbed up --accel tcg "$two" compute0 >"$out" 2>"$err"
is "a host comes up" $? 0
change save compute0
is "nothing is saved" "$? $(cat "$out")" "0 "
change save compute0 alone
hostbed up --accel tcg "$two" >"$out" 2>"$err"
is "another joins it" "$? $(hostbed list | wc -l)" "0 2"
change restore compute0 alone
on compute0 -- ping -c 1 -w 20 compute1 >"$out" 2>&1
is "which is known in a state from before" $? 0

# ---- save
on compute0 -- sh -c 'echo before >/tmp/file; (while :; do echo . >>/tmp/turns; sleep 0.1; done) </dev/null >/dev/null 2>&1 &'
boot=$(on compute0 -- cat /proc/sys/kernel/random/boot_id)
change save compute0 first
is "a host is saved" "$?" 0
has "which says how large that is" "$out" "^compute0 is saved as first: [0-9.]* MiB$"
has "it goes on" <(hostbed list) "^two-hosts/compute0  *up "
turns=$(on compute0 -- sh -c 'wc -l </tmp/turns')
is "with what runs in it" "$(on compute0 -- sh -c "while [ \$(wc -l </tmp/turns) -le $turns ]; do :; done; cat /tmp/file")" before
change save compute0 first
is "a name is taken once" "$? $(cat "$err")" \
    "2 hostbed: a state of compute0 is saved as first already; 'hostbed save --remove compute0 first' throws it away"
for name in "" "a/b" -x "$(printf 'x%.0s' {1..65})"; do
    hostbed save -- compute0 "$name" 2>"$err" >"$out"
    is "'${name:0:5}' is no name" "$? $(cut -c1-35 "$err")" "2 hostbed: a saved state is called by"
done
"$build_dir/run" hostbed exec compute0 -- sh -c 'echo; exec sleep 600' >"$tap_dir/runs" 2>&1 &
runs=$!
until [ -s "$tap_dir/runs" ] || ! kill -0 $runs; do :; done
change save compute0 second
is "not while a command runs there" "$? $(cut -d, -f1 "$err")" \
    "1 hostbed: a command of 'hostbed exec' or a login by 'hostbed ssh' is under way in it"

# ---- restore
on compute0 -- sh -c 'echo after >/tmp/file; echo other >/tmp/other'
now=$(date +%s)
change restore compute0 first
is "it is restored" "$? $(cat "$out" "$err")" "0 compute0 is what it was when it was saved as first"
wait $runs
has "what ran by exec is ended" <(echo $?; cat "$tap_dir/runs") '^7$'
has "and told why" "$tap_dir/runs" "the host was reset or restored while the command ran"
is "it is what it was" "$(on compute0 -- sh -c 'cat /tmp/file; ls /tmp/other 2>/dev/null; cat /proc/sys/kernel/random/boot_id')" \
    "before
$boot"
turns=$(on compute0 -- sh -c 'wc -l </tmp/turns')
is "what ran runs" "$(on compute0 -- sh -c "while [ \$(wc -l </tmp/turns) -le $turns ]; do :; done; echo on")" on
is "its clock is right" "$(($(on compute0 -- date +%s) >= now))" 1
hostbed verify compute0 >"$out" 2>&1
is "and it is what was asked for" $? 0
on compute1 -- ping -c 1 -w 20 compute0 >"$out" 2>&1
is "others reach it" $? 0
on compute0 -- ping -c 1 -w 20 compute1 >"$out" 2>&1
is "and it them" $? 0
seeds=$(on compute0 -- sh -c 'head -c 16 /dev/urandom | md5sum')
change restore compute0 first
is "a state is returned to again" "$?" 0
is "with other random numbers" "$([ "$(on compute0 -- sh -c 'head -c 16 /dev/urandom | md5sum')" != "$seeds" ] && echo other)" other
change save compute0 second
is "what was restored is saved" $? 0
change save --json compute0
has "states are listed" "$out" '"name" : "first"'
is "and nothing else is said" "$(cat "$err")" ""
has "all of them" "$out" '"name" : "second"'
change save --remove compute0 alone

# ---- who looks on
seen() { # FILE PATTERN PID: until it is there, or nobody writes it any more
    until grep -q "$2" "$1" || ! kill -0 "$3" 2>/dev/null; do :; done
    grep -c "$2" "$1"
}
"$build_dir/run" hostbed log -f compute0 >"$tap_dir/log" 2>&1 &
log=$!
"$build_dir/run" hostbed console -r compute0 >"$tap_dir/console" 2>&1 </dev/null &
console=$!
is "the logs are followed" "$(seen "$tap_dir/log" "agent said HELLO" $log)" 1
on compute0 -- sh -c 'echo console-before >/dev/console'
is "and the console" "$(seen "$tap_dir/console" console-before $console)" 1
change restore compute0 first
on compute0 -- sh -c 'echo console-after >/dev/console'
is "the console stays" "$(seen "$tap_dir/console" console-after $console)" 1
is "the logs go on" "$(seen "$tap_dir/log" "console  *console-after" $log)" 1

"$build_dir/run" hostbed restore compute0 first >"$tap_dir/restore" 2>&1 &
restores=$!
until hostbed list | grep -q '^two-hosts/compute0 .* starting ' || ! kill -0 $restores 2>/dev/null; do :; done
is "who asks for one that is restored waits" "$(on compute0 -- cat /tmp/file 2>&1)" before
wait $restores

# ---- whatever became of it
on compute0 -- poweroff -f >/dev/null 2>&1
wait $console
has "the console ends when the host does" "$tap_dir/console" "the host 'compute0' is not up any more"
until hostbed list | grep -q '^two-hosts/compute0 .* failed '; do :; done
change save compute0 third
is "one that has ended is not saved" $? 1
change restore compute0 second
is "but restored" "$? $(on compute0 -- cat /tmp/file)" "0 before"
change power compute0 off
change restore compute0 first
is "and one without power" "$? $(on compute0 -- cat /tmp/file)" "0 before"
change pause compute0
change save compute0 third
is "one that stands still is not saved" "$? $(cat "$err")" "1 hostbed: the host 'compute0' is paused; 'hostbed resume compute0' has it go on"
change restore compute0 first
has "but restored, and runs" <(echo "$?"; hostbed list) "^two-hosts/compute0  *up "
change power compute0 reset
is "a reset is one" "$? $(on compute0 -- sh -c 'ls /tmp/file' 2>&1)" "0 ls: /tmp/file: No such file or directory"
nic=$(hostbed link compute0 | awk '$4 ~ /^[a-z]/ { print $1; exit }')
change link compute0 "$nic" down
change save compute0 unplugged
change link compute0 "$nic" up
change restore compute0 unplugged
has "a cable is out as it was" <(echo $?; hostbed link compute0) "^$nic  *[0-9a-f:.]*  down"
on compute0 -- ping -c 1 -w 2 compute1 >"$out" 2>&1
has "and no frame passes" "$out" "100% packet loss"

# ---- several at once
pids=
for i in 1 2 3; do
    "$build_dir/run" hostbed save compute1 "at-once-$i" >"$tap_dir/save.$i" 2>&1 &
    pids="$pids $!"
    "$build_dir/run" hostbed exec compute1 -- echo "ran $i" >"$tap_dir/ran.$i" 2>&1 &
    pids="$pids $!"
done
# shellcheck disable=SC2086
wait $pids
is "who comes while it stands still waits" "$(cat "$tap_dir"/ran.? | paste -sd" ")" "ran 1 ran 2 ran 3"
is "and all are saved" "$(hostbed save compute1 | wc -l) $(grep -l "is saved as at-once" "$tap_dir"/save.? | wc -l)" "3 3"
change save --remove compute1 at-once-2
is "a state is thrown away" "$? $(cat "$out") $(hostbed save compute1 | wc -l)" "0 compute1: the state at-once-2 is removed 2"
change restore compute1 at-once-2
is "and is no more" "$?" 2
has "which are is told" "$err" "there is: at-once-[13], at-once-[13]$"

# ---- faults
change save --json compute1 x
is "half a request is none" $? 2
change restore compute1
is "nor is the other half" $? 2
change save nobody x
is "nor a host that there is not" $? 2
folder=${XDG_CACHE_HOME:-$HOME/.cache}/hostbed/states
is "no state has a name" "$(find "$folder" -type f | wc -l)" 0
hostbed down --all >/dev/null
is "the lab goes down" $? 0
wait $log
is "and whoever follows its logs is done" $? 0

# ---- what a state cannot hold; and one that shares its memory
own_cache warm
hostbed up --warm --accel tcg "$source_dir/topologies/hotplug.xml" >"$out" 2>&1
hostbed down --all >/dev/null
hostbed up --warm --accel tcg "$source_dir/topologies/hotplug.xml" >"$out" 2>&1
is "a clone comes up" $? 0
on l1 -- sh -c 'echo before >/tmp/file'
change save l1 clean
is "it is saved, too" $? 0
change plug l1 nic
change save l1 more
is "not with what was plugged" "$? $(cut -d, -f1 "$err")" "3 hostbed: devices or memory came to l1 or left it since it was started"
on l1 -- sh -c 'echo after >/tmp/file'
change restore l1 clean
is "what was plugged is out then" "$? $(cat "$out" "$err") $(on l1 -- cat /tmp/file)" "0 l1 is what it was when it was saved as clean before"
change plug l1 nic
is "and comes again" $? 0

# ---- no room
hostbed reset l1 >/dev/null
folder=$XDG_CACHE_HOME/hostbed/states
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=16m none "$folder" 2>/dev/null; then
    change save l1 large
    is "a full disk has no state" "$(cat "$err")" \
        "hostbed: to $folder the emulator cannot write the host's state: Unable to write to file: No space left on device"
    is "and the host goes on" "$(on l1 -- echo on)" on
    umount "$folder"
    change save l1 large
    is "until there is room" $? 0
else
    skip "a full disk has no state" "no tmpfs can be mounted here"
fi
done_testing
