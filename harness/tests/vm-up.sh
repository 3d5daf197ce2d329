#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hosts to live with: up, list, exec, console, log, qmp, down.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"

lab=$source_dir/topologies/smallest.xml
out=$tap_dir/out
err=$tap_dir/err
up() { hostbed up --accel tcg "$@" >"$out" 2>"$err"; }
trap 'hostbed down --all >/dev/null 2>&1; rm -rf "$tap_dir"' EXIT
# pids of the emulators that run for labs of this test
emulators_of() { hostbed list --json | sed -n 's/^ *"pid" : \([0-9]*\).*/\1/p' | while read -r pid; do
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = hostbed-supervi ] || echo "$pid"; done; }

hostbed list >"$out" 2>"$err"
is "nothing is up at first" "$? $(cat "$out")" "0 "
has "and how to change that is told" "$err" "hostbed up LAB"

up "$tap_dir/nowhere.xml"
is "a lab that is not there is no lab" "$? $(cat "$err")" "2 $tap_dir/nowhere.xml: error: the lab cannot be read: No such file or directory [file]"
up "$tap_dir"
has "nor is a folder" "$err" "error: the lab cannot be read: this is a folder; name a file in it"

up "$source_dir/topologies/two-hosts.xml"
is "a lab of two hosts comes up" $? 0
has "and how to get in is told" "$out" "hostbed exec compute1 -- COMMAND"
hostbed list >"$out" 2>"$err"
is "both are listed" "$(grep -c '^two-hosts/compute[01] *up  .* MiB  hostbed exec compute' "$out")" 2
hostbed list --json >"$tap_dir/list.json"
is "as JSON, too" "$(grep -c '"state" : "up"' "$tap_dir/list.json")" 2
is "with what they take" "$(grep -c '"memory_bytes" : [1-9]' "$tap_dir/list.json")" 2
up "$source_dir/topologies/two-hosts.xml"
is "who brings up what is up is told so" "$? $(head -n 1 "$out")" "0 two-hosts is up already"
up "$source_dir/topologies/two-hosts.xml" compute7
is "a host that there is not" $? 2
has "is none of the lab's" "$err" "it has: compute0, compute1"

# ---- names
hostbed exec two-hosts/compute0 -- hostname >"$out" 2>"$err"
is "a host has its lab's name, too" "$(cat "$out")" compute0
hostbed exec two-hosts -- true 2>"$err"
is "a lab of two is no host" $? 2
has "and an example is given" "$err" "name one of them, as in two-hosts/compute0"
hostbed exec compute2 -- true 2>"$err"
is "an unknown host" $? 2
has "is probably a mistake" "$err" "did you mean compute"
sed 's/name="two-hosts"/name="twins"/' "$source_dir/topologies/two-hosts.xml" >"$tap_dir/twins.xml"
up "$tap_dir/twins.xml" compute1
is "one host of a lab comes up alone" "$? $(hostbed list | grep -c '^twins/')" "0 1"
hostbed exec compute1 -- true 2>"$err"
is "a name of two hosts" $? 2
has "may be each" "$err" "may be each of twins/compute1, two-hosts/compute1"
up "$tap_dir/twins.xml"
is "the rest of a lab comes up later" "$? $(hostbed list | grep -c '^twins/')" "0 2"
sed -i 's/1 GiB/768 MiB/' "$tap_dir/twins.xml"
up "$tap_dir/twins.xml"
is "a lab that was changed" $? 2
has "is another" "$err" "'hostbed down twins' takes it down"
hostbed down "$tap_dir/twins.xml" >"$out"
is "a lab goes down by its file" "$? $(cat "$out")" "0 twins is down"
hostbed down compute0 2>"$err"
is "a host does not go down alone" $? 2
has "its lab does" "$err" "hostbed down two-hosts"

# ---- commands
hostbed exec compute0 -- sh -c 'echo out; echo err >&2; exit 3' >"$out" 2>"$err"
is "the exit status is the command's" "$? $(cat "$out") $(cat "$err")" "3 out err"
hostbed exec compute0 -- sh -c 'kill -9 $$'
is "and the signal that ended it" $? 137
hostbed exec compute0 -- no-such-program 2>"$err"
is "a command that is not there gives 127" $? 127
head -c 3000000 /dev/urandom >"$tap_dir/random"
hostbed exec compute0 -- cat <"$tap_dir/random" | cmp - "$tap_dir/random" 2>"$err"
is "three million random bytes go in and come back" "${PIPESTATUS[*]}" "0 0"
hostbed exec compute0 -- yes | head -n 1 >"$out"
is "a reader that goes away ends the command" "$(cat "$out")" y
GREETING=hello hostbed exec --env GREETING --chdir /tmp compute0 -- sh -c 'echo $GREETING $PWD' >"$out"
is "variables and the folder are as asked" "$(cat "$out")" "hello /tmp"
for i in 1 2 3 4 5; do
    (printf '%s\n' "$i" | hostbed exec compute1 -- sh -c 'read -r i; head -c 200000 /dev/zero; exit $i' | wc -c
        echo "${PIPESTATUS[1]}") >"$tap_dir/several.$i" &
done
wait
is "several commands run in one host at once" "$(cat "$tap_dir"/several.* | paste -sd" ")" \
    "200000 1 200000 2 200000 3 200000 4 200000 5"
mkfifo "$tap_dir/began"
"$build_dir/run" hostbed exec compute0 -- sh -c 'trap "echo caught; exit 7" INT; echo; while :; do sleep 0.1; done' >"$tap_dir/began" &
pid=$!
exec 3<"$tap_dir/began"
read -r _ <&3
kill -INT $pid
is "a signal is the command's" "$(head -n 1 <&3)" caught
wait $pid
is "who answers as it likes" $? 7
"$build_dir/run" hostbed exec compute0 -- sh -c 'echo; exec sleep 4242' >"$tap_dir/began" &
pid=$!
exec 3<"$tap_dir/began"
read -r _ <&3
kill -KILL $pid
wait $pid 2>/dev/null
exec 3<&-
is "a command whose caller is killed is killed" \
    "$(hostbed exec --timeout 20 compute0 -- sh -c 'while ps | grep -q "[s]leep 4242"; do :; done; echo gone')" gone
hostbed exec --timeout 1 compute0 -- sleep 60 2>"$err"
is "a command that takes too long has its status" $? 4
script -qec "stty rows 33 cols 77; $build_dir/run hostbed exec -t compute0 -- sh -c 'stty size </dev/tty; tty'" /dev/null \
    </dev/null >"$out" 2>&1
if grep -q "cannot\|failed" "$out" && ! grep -q 77 "$out"; then
    skip "a terminal has its size" "script(1) gets none here"
else
    has "a terminal has its size" "$out" "33 77"
fi

# ---- console, log, qmp
hostbed exec compute0 -- sh -c 'echo before the console >/dev/ttyS0'
("$build_dir/run" hostbed console -r compute0 </dev/null >"$tap_dir/console" 2>"$err" & echo $! >"$tap_dir/pid"
    wait) &
while [ "$(hostbed exec compute0 -- sh -c 'echo on the console >/dev/ttyS0'; grep -c 'on the console' "$tap_dir/console")" = 0 ]; do :; done
kill -INT "$(cat "$tap_dir/pid")"
wait
has "the console shows what was" "$tap_dir/console" "before the console"
has "and what is" "$tap_dir/console" "on the console"
hostbed exec compute0 -- sh -c 'stty -echo </dev/ttyS0; echo ready; head -n 1 </dev/ttyS0' >"$tap_dir/began" &
exec 3<"$tap_dir/began"
read -r _ <&3
{ echo "typed"; sleep 600 & echo $! >"$tap_dir/sleeper"; wait; } | hostbed console compute0 >/dev/null 2>&1 &
read -r line <&3
is "what is typed at the console arrives" "$line" typed
kill "$(cat "$tap_dir/sleeper")"
exec 3<&-
hostbed log compute0 >"$out" 2>"$err"
is "the logs are one" $? 0
for who in host agent qmp console; do has "with what the $who said" "$out" "^[0-9:.]* $who "; done
cut -c1-12 "$out" | sort -c 2>"$err"
is "in order of time" $? 0
has "with the command" "$out" " host  *command: .*qemu.* -nodefaults"
has "and the environment" "$out" " host  *environment: LC_ALL=C PATH="
hostbed log --json compute0 >"$tap_dir/log.json" 2>"$err"
is "and for programs" "$(python3 - "$tap_dir/log.json" <<'X'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
times = [line["monotonic"] for line in lines]
assert times == sorted(times) and {line["host"] for line in lines} == {"two-hosts/compute0"}
asked = {line["id"] for line in lines if line["from"] == "qmp" and line["direction"] == "to"}
answered = {line["id"] for line in lines if line["from"] == "qmp" and line["direction"] == "from"}
hello = next(i for i, line in enumerate(lines) if "said HELLO" in line.get("text", ""))
typed = next(i for i, line in enumerate(lines) if "before the console" in line.get("text", "") and line["from"] == "console")
assert asked and asked <= answered and hello < typed
print("in order")
X
)" "in order"
("$build_dir/run" hostbed log -f --trace-qmp compute0 </dev/null >"$tap_dir/trace" 2>"$err" & echo $! >"$tap_dir/pid"
    wait) &
follower=$!
hostbed qmp compute0 query-uuid >"$out"
until grep -q '"direction":"from".*UUID' "$tap_dir/trace"; do :; done
kill -INT "$(cat "$tap_dir/pid")"
wait $follower
is "what is asked can be followed" "$(sed -n 's/.*"direction":"to","id":\([0-9]*\),.*query-uuid.*/\1/p' "$tap_dir/trace")" \
    "$(sed -n 's/.*"direction":"from","id":\([0-9]*\),.*UUID.*/\1/p' "$tap_dir/trace")"
hostbed qmp compute0 query-pcy >"$out" 2>"$err"
is "one that it does not have is told" "$? $(cat "$err")" "3 hostbed: the emulator has no command 'query-pcy'; did you mean query-pci?"
hostbed qmp compute0 query-status >"$out" 2>"$err"
is "the emulator answers" $? 0
has "in JSON" "$out" '"status" : "running"'
hostbed qmp compute0 qom-get '{"path":"/machine","property":"type"}' >"$out" 2>"$err"
has "with arguments, too" "$out" '^"pc-.*-machine"$'
hostbed qmp compute0 query-qmp-schema 2>"$err" | head -n 1 >"$out"
is "who has seen enough of an answer leaves it" "$(cat "$out" "$err")" "["
hostbed qmp compute0 no-such-command 2>"$err"
is "what it does not know it refuses" $? 3
hostbed qmp compute0 quit 2>"$err"
is "it is not ended behind hostbed's back" $? 2
has "but by hostbed" "$err" "'hostbed down' ends hosts"

hostbed qmp compute0 object-add '{"qom-type":"secret","id":"s0","data":"XYZZY"}' >"$out"
is "a secret is kept" "$? $(hostbed log compute0 | grep -c XYZZY)" "0 0"
hostbed log --trace-qmp compute0 >"$out"
has "and that it was given is told" "$out" '"data":"[(]secret[)]"'

# ---- the end
emulators_of >"$tap_dir/emulators"
is "two emulators run" "$(wc -l <"$tap_dir/emulators")" 2
hostbed down two-hosts >"$out" 2>"$err"
is "the lab goes down" "$? $(cat "$out")" "0 two-hosts is down"
alive=0
while read -r pid; do [ ! -d "/proc/$pid" ] || alive=$((alive + 1)); done <"$tap_dir/emulators"
is "its emulators are gone" $alive 0
is "and all that was known of it" "$(ls "$XDG_RUNTIME_DIR/hostbed")" lock
hostbed down two-hosts >"$out" 2>"$err"
is "twice is as good as once" "$? $(cat "$out")" "0 no lab 'two-hosts' is up; nothing is to be done"

# ---- QMP from the beginning
up --trace-qmp --name traced "$lab"
is "a lab comes up with a trace" $? 0
has "of the first word" "$err" '^{"time":[0-9.]*,"host":"traced/l1","emulator":[0-9]*,"direction":"from","id":null,"message":{"QMP":'
hostbed down traced >/dev/null
up --trace-qmp="$tap_dir/traced" --name traced "$lab"
is "or one in a file" "$? $(grep -c '"id":1,"message"' "$tap_dir/traced")" "0 2"
hostbed down traced >/dev/null
hostbed run --accel tcg --trace-qmp="$tap_dir/traced" --log-dir "$tap_dir/kept" "$lab" -- true 2>"$err"
is "run writes one" "$? $(grep -c '"host":"smallest/l1".*"id":1,"message"' "$tap_dir/traced")" "0 2"
hostbed log "$tap_dir"/kept/* >"$out"
has "logs that are kept are read, too" "$out" " agent .*HELLO"
hostbed test --accel tcg --trace-qmp="$tap_dir/traced" "$lab" numa pci >"$out" 2>"$err"
is "and test, of the host and of its clones" \
    "$? $(grep -o '"emulator":[0-9]*' "$tap_dir/traced" | sort -u | wc -l)" "0 3"

# ---- networks
up "$source_dir/topologies/two-computes.xml"
is "a lab whose networks join its hosts comes up" $? 0
hostbed exec compute0 -- ping -c 1 -w 20 compute1 >"$out" 2>&1
is "and they reach each other by name" $? 0
nic=cell0.expander0.port0.nic0
hostbed link compute1 $nic loss=100% >"$out" 2>"$err"
is "a link loses all frames" "$? $(cat "$out")" "0 compute1: the link of $nic loses 100%"
hostbed link compute1 $nic loss=100 >"$out" 2>"$err"
is "which it does then" "$? $(cat "$out")" "0 compute1: the link of $nic loses 100% already"
hostbed exec compute0 -- ping -c 3 -w 4 compute1 >"$out" 2>&1
has "on the way there" "$out" " 0 packets received"
hostbed exec compute1 -- ping -c 3 -w 4 compute0 >"$out" 2>&1
has "and from there" "$out" " 0 packets received"
hostbed exec compute0 -- ping -c 1 -w 20 compute1.storage >"$out" 2>&1
is "that of another NIC does not" $? 0
has "which is told" <(hostbed link compute1) "^$nic .* up  *tenants, loses 100%"
hostbed link compute1 $nic loss=0.0 >"$out" 2>"$err"
hostbed exec compute0 -- ping -c 1 -w 20 compute1 >"$out" 2>&1
is "until it loses nothing any more" "$? $(hostbed link compute1 | grep -c loses)" "0 0"
for loss in loss=100.1 loss=1000 loss=-1 loss= loss=1.25 loss; do hostbed link compute1 $nic $loss 2>/dev/null; echo "$?"; done >"$out"
is "what is no percentage is refused" "$(sort -u "$out")" 2
kill -KILL "$(emulators_of | tail -n 1)"
until hostbed list | grep -q ' failed '; do :; done
up "$source_dir/topologies/two-computes.xml"
is "one that was killed is started again" $? 0
hostbed exec compute0 -- ping -c 1 -w 20 compute1 >"$out" 2>&1
is "and is back on the network" $? 0
hostbed down two-computes >/dev/null

# ---- clones
own_cache warm
up --warm "$lab"
is "a host comes up, and its template is kept" $? 0
hostbed down smallest >/dev/null
up --warm "$lab"
is "a clone comes up" $? 0
is "and answers" "$(hostbed exec l1 -- echo here)" here
up --warm --name other "$lab"
is "another beside it by another name" "$? $(hostbed exec other -- echo there)" "0 there"
hostbed down --all >"$out"
is "all go down at once" "$? $(wc -l <"$out")" "0 2"

# ---- clones of hosts that networks join
two=$source_dir/topologies/two-computes.xml
up --warm -v "$two"
is "a lab whose networks join its hosts comes up, and its template is kept" $? 0
has "as one" "$err" "template of two-computes/compute0: made now, and kept as"
hostbed exec compute1 -- ping -c 1 -w 20 compute0 >"$out" 2>&1
is "its hosts reach each other" $? 0
up --warm -v --name copy "$two"
kept=$(hostbed list --json | sed -n 's/^ *"logs" *: *"\(.*\)".*/\1/p' |
    while read -r logs; do ls "$logs"; done | grep -cx 'manifest\|observation')
is "what each of them was compared by is among its logs" "$kept" 8
has "a copy of it comes up of clones" "$err" "template of two-computes/compute0: kept since"
is "which have each its name" "$(hostbed exec copy/compute0 -- hostname) $(hostbed exec copy/compute1 -- hostname)" \
    "compute0 compute1"
hostbed exec copy/compute0 -- ping -c 1 -w 20 compute1 >"$out" 2>&1
is "and reach each other" $? 0
hostbed exec two-computes/compute1 -- ip link set eth0 down
hostbed exec two-computes/compute1 -- ip link set eth1 down
hostbed exec copy/compute0 -- ping -c 1 -w 20 compute1 >"$out" 2>&1
is "but nobody of the other copy" $? 0
hostbed verify copy/compute1 >"$out" 2>&1
is "they are what was asked for" $? 0
hostbed exec copy/compute1 -- poweroff -f >/dev/null 2>&1
until hostbed list | grep -q 'copy/compute1 .* failed '; do :; done
has "the drivers of a clone reset its NICs" <(hostbed list) '^copy/compute1 .* the host powered itself off'
up --warm -v --name copy "$two"
has "one that ended is started by itself" "$err" "no template, since hosts run that networks join it with"
hostbed exec copy/compute1 -- ping -c 1 -w 20 compute0 >"$out" 2>&1
is "and is back on their networks" $? 0
hostbed down --all >/dev/null

# ---- a host that is not the one that was asked for
cat >"$tap_dir/tainted.xml" <<'X'
<lab xmlns="urn:hostbed:lab:1" name="tainted"><host name="l1" ><cell cpus="0" memory="512 MiB"/></host></lab>
X
up "$tap_dir/tainted.xml"
is "a lab without devices comes up" $? 0
hostbed down tainted >/dev/null
done_testing
