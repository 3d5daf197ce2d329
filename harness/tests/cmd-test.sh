#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# hostbed test up to the start of a host: what is meant by its arguments, what is refused and with
# which status. No guest code runs.
. "${HOSTBED_SOURCE_DIR:?run this by make check}/harness/tests/tap.sh"

labs="$source_dir/topologies"
hostbed doctor >/dev/null 2>&1
hostbed test --list "$labs/smallest.xml" >"$tap_dir/probe" 2>&1 || skip_all "no emulator to ask"

# status NAME EXPECTED ARGUMENT…
status() {
    local name=$1 expected=$2
    shift 2
    hostbed test "$@" >"$tap_dir/out" 2>"$tap_dir/err"
    is "$name: status $expected" $? "$expected"
}

status "no lab" 2 numa
has "no lab is said" "$tap_dir/err" "no lab to test"
status "no such lab" 2 nosuch.xml
status "a lab with faults" 2 "$labs/refused/counts-multiply.xml"
status "a mistyped suite" 2 nuna "$labs/smallest.xml"
has "what is meant is guessed" "$tap_dir/err" "did you mean numa\?"
status "no such suite" 2 gnome "$labs/smallest.xml"
has "the suites are named" "$tap_dir/err" "manifest, numa, .*hugepages"
status "no such case" 2 numa/first_tuch_is_local "$labs/smallest.xml"
has "the nearest case is named" "$tap_dir/err" "did you mean numa/first_touch_is_local\?"
is "and no host was started to find out" "$(cat "$tap_dir/out")" ""
status "a part of a case's name" 2 numa/preferred "$labs/smallest.xml"
has "the case that has it is named" "$tap_dir/err" "did you mean numa/preferred_memory_is_on_its_node\?"
status "one of two that means nothing" 2 numa 'pci/x*' "$labs/smallest.xml"
has "it is named" "$tap_dir/err" "'pci/x\*' selects no case"
status "nothing selected" 2 nolab/l1/numa/links_are_up "$labs/smallest.xml"
has "the way to the names is told" "$tap_dir/err" "test --list"
status "no shard" 2 --shard 3/2 "$labs/smallest.xml"
status "an empty shard" 2 --shard 99/99 "$labs/smallest.xml"
has "an empty shard is counted" "$tap_dir/err" "there are only [0-9]+ suites"
status "a short option with its value in the same word" 2 -j0 --list "$labs/smallest.xml"
has "is what it would be in two" "$tap_dir/err" "jobs"
hostbed show -fmanifest "$labs/smallest.xml" >"$tap_dir/joined"
hostbed show -f manifest "$labs/smallest.xml" >"$tap_dir/apart"
is "-fFORM is -f FORM" "$(cat "$tap_dir/joined")" "$(cat "$tap_dir/apart")"
if [ -d /dev/shm ] && shm=$(mktemp -d /dev/shm/hostbed-XXXXXX); then
    sed 's#<cell#<kernel path="no-kernel"/><cell#' "$labs/smallest.xml" >"$shm/lab.xml"
    hostbed run --accel tcg "$shm/lab.xml" -- true 2>"$tap_dir/err"
    has "a kernel beside a lab in /dev/shm is looked for there" "$tap_dir/err" "$shm/no-kernel"
    hostbed run --accel tcg /dev/stdin -- true <"$shm/lab.xml" 2>"$tap_dir/err"
    has "beside standard input it is looked for here" "$tap_dir/err" " no-kernel"
    rm -r "$shm"
else
    skip "a kernel beside a lab in /dev/shm is looked for there" "there is no /dev/shm"
fi
is "check counts memory with plain spaces" "$(LC_ALL=C hostbed check "$labs/smallest.xml" | LC_ALL=C grep -c '[^ -~]')" 0
status "no accelerator" 2 --accel warp "$labs/smallest.xml"
for command in "check $labs/smallest.xml" "show $labs/smallest.xml" doctor "run $labs/smallest.xml -- true"; do
    # shellcheck disable=SC2086  # a command and its lab
    hostbed ${command%% *} --accel warp ${command#"${command%% *}"} >"$tap_dir/out" 2>"$tap_dir/err"
    is "${command%% *} knows no accelerator warp either" $? 2
    is "and says it in the same words" "$(cat "$tap_dir/err")" "hostbed: --accel warp: there are auto, kvm and tcg"
done
hostbed doctor --accel kvm >"$tap_dir/out"
is "doctor --accel kvm does not emulate" "$(grep -c "hosts run under emulation" "$tap_dir/out")" 0
hostbed doctor --accel tcg >"$tap_dir/out"
has "doctor --accel tcg leaves KVM alone" "$tap_dir/out" "kvm +not tried: emulation was asked for"

# What is empty or means nothing is told in one sentence. refused NAME PATTERN ARGUMENT…
refused() {
    local name=$1 pattern=$2
    shift 2
    hostbed "$@" >"$tap_dir/out" 2>"$tap_dir/err"
    is "$name: status 2" $? 2
    is "$name: one sentence" "$(wc -l <"$tap_dir/err")" 1
    has "$name: the right one" "$tap_dir/err" "$pattern"
}
refused "no jobs" "--jobs 0: 1 or more" test -j 0 "$labs/smallest.xml"
refused "clones without a template" "--cold makes no clones for --check-clones" test --cold --check-clones "$labs/smallest.xml"
refused "an empty report" "--junit is empty" test --junit '' "$labs/smallest.xml"
refused "an empty emulator" "--emulator is empty" check --emulator '' "$labs/smallest.xml"
refused "an empty program" "--with is empty" run --with '' "$labs/smallest.xml" -- true
refused "an empty lab" "first argument is empty" run '' -- true
refused "an empty command" "command's name is empty" run "$labs/smallest.xml" -- ''
refused "a variable without a name" "--env '=x' names no variable" run --env =x "$labs/smallest.xml" -- true
refused "an empty variable" "--env '' names no variable" run --env '' "$labs/smallest.xml" -- true

# No output overwrites what is read, or another output.
cp "$labs/smallest.xml" "$tap_dir/mine.xml"
ln "$tap_dir/mine.xml" "$tap_dir/linked.xml"
ln -s "$tap_dir" "$tap_dir/there"
refused "a report in place of the lab" "--junit .*mine.xml would overwrite the lab .*linked.xml" \
    test --junit "$tap_dir/mine.xml" "$tap_dir/linked.xml"
refused "a list in place of the lab" "would overwrite the lab" test --list --json "$tap_dir/mine.xml" "$tap_dir/mine.xml"
refused "show in place of the lab" "--output .* would overwrite the lab" show -o "$tap_dir/mine.xml" "$tap_dir/mine.xml"
refused "two reports in a new file" "--junit and --json would both write" \
    test --junit "$tap_dir/new" --json "$tap_dir/there/new" "$labs/smallest.xml"
is "the lab is as it was" "$(cat "$tap_dir/mine.xml")" "$(cat "$labs/smallest.xml")"
is "and nothing was written" "$(ls "$tap_dir/new" 2>/dev/null)" ""
for two in "--junit - --json -" "--html - --json -" "--junit - --html -"; do
    # shellcheck disable=SC2086 # words
    status "two reports on one stream: $two" 2 $two "$labs/smallest.xml"
done
refused "two reports in one file" "--json and --html would both write" \
    test --json "$tap_dir/new" --html "$tap_dir/new" "$labs/smallest.xml"
status "a report that cannot be written" 8 --junit /nonexistent/r.xml "$labs/smallest.xml"
is "nothing was started for it" "$(cat "$tap_dir/out")" ""

hostbed test --list numa 'p*/links*' "$labs/smallest.xml" "$labs/two-hosts.xml" >"$tap_dir/list"
has "cases are listed" "$tap_dir/list" '^smallest/[^/]+/numa/first_touch_is_local$'
is "others are not" "$(grep -c -e hugepages -e every_function "$tap_dir/list")" 0
is "each host has its own" "$(grep -c '/pci/links_are_up$' "$tap_dir/list")" 3
hostbed test --list manifest "$labs/smallest.xml" >"$tap_dir/list"
has "the check's cases are the lab's" "$tap_dir/list" '^smallest/[^/]+/manifest/pci 0000:[0-9a-f:.]+$'
is "what is listed can be selected" \
    "$(sed 's/.*/--select=&/' "$tap_dir/list" | { mapfile -t o; hostbed test --list "${o[@]}" "$labs/smallest.xml"; })" \
    "$(cat "$tap_dir/list")"
hostbed test --list >"$tap_dir/list"
has "without a lab: what every host has" "$tap_dir/list" '^hugepages/pools_are_as_asked$'
is "and the check, whose cases are the lab's" "$(grep -Fc 'manifest/' "$tap_dir/list") $(grep -Fxc 'manifest/*' "$tap_dir/list")" "1 1"
hostbed test --list --suite 'true a' --suite true "$labs/smallest.xml" >"$tap_dir/list"
is "programs of --suite are listed" "$(grep -v '/manifest/' "$tap_dir/list" | paste -sd' ')" 'smallest/l1/true/* smallest/l1/true[2]/*'
has "behind the check" "$tap_dir/list" '^smallest/l1/manifest/node 0$'
is "also without a lab" "$(hostbed test --list --suite true | paste -sd' ')" 'manifest/* true/*'
hostbed test --list --json - iommu hugepages "$labs/smallest.xml" >"$tap_dir/list"
has "the list as JSON has the case" "$tap_dir/list" '"case" : "pools_are_free_at_start"'
has "and why it will be skipped" "$tap_dir/list" '"skip" : "no cell of the lab has huge pages'
is "and how many there are" "$(sed -n 's/.*"total" : //p' "$tap_dir/list")" "$(grep -c '"case"' "$tap_dir/list"),"
hostbed test --list --json "$tap_dir/list.json" iommu hugepages "$labs/smallest.xml" >/dev/null
is "and can go to a file" "$(cat "$tap_dir/list.json")" "$(cat "$tap_dir/list")"

all=$(hostbed test --list --repeat 3 "$labs/smallest.xml" | sort)
parts=$(for k in 1 2 3 4; do hostbed test --list --shard $k/4 --repeat 3 "$labs/smallest.xml"; done | sort)
is "shards are a partition" "$parts" "$all"
is "repeated runs have names of their own" "$(echo "$all" | uniq -d)" ""
is "and all of them run everything" "$(echo "$all" | sed 's,^[^/]*/,,' | sort | uniq -c | awk '$1 != 3')" ""

sed 's/memory="[^"]*"/memory="4000 GiB"/' "$labs/smallest.xml" >"$tap_dir/big.xml"
status "more memory than there is" 8 --junit "$tap_dir/big.junit" "$tap_dir/big.xml"
has "both numbers are told" "$tap_dir/out" "needs 40[0-9]+ MiB of memory; [0-9]+ MiB may be used"
has "the report says so too" "$tap_dir/big.junit" '<error type="infrastructure"'
has "and when" "$tap_dir/big.junit" "<testsuite .*timestamp=\"$(date -u +%Y)-"
sed 's/memory="[^"]*"/memory="4000 GiB"/' "$labs/two-hosts.xml" >"$tap_dir/two.xml"
status "two hosts with more memory than there is" 8 --json "$tap_dir/two.json" numa "$tap_dir/two.xml"
is "each of them is refused" "$(grep -oE 'compute[01]/host/start' "$tap_dir/out" | paste -sd" ")" \
    "compute0/host/start compute1/host/start"
status "one of two hosts" 8 compute1/numa/first_touch_is_local "$tap_dir/two.xml"
is "the other is left alone" "$(grep -c compute0 "$tap_dir/out")" 0
hostbed run "$tap_dir/big.xml" -- true 2>"$tap_dir/err"
is "run refuses it too" $? 8
has "run tells both numbers" "$tap_dir/err" "needs 40[0-9]+ MiB of memory; [0-9]+ MiB may be used"
# Less than what needs KVM, which check would say first.
sed 's/memory="[^"]*"/memory="970 GiB"/' "$labs/smallest.xml" >"$tap_dir/large.xml"
hostbed check "$tap_dir/large.xml" >"$tap_dir/out" 2>"$tap_dir/err"
is "check finds the lab sound" $? 0
has "check warns of the machine" "$tap_dir/err" "large.xml:[0-9]+: warning: host .* cannot run here now.* \[room\]"

sed "s,<nic/>,<device model=\"no-such-device\"/>," "$labs/smallest.xml" >"$tap_dir/unknown.xml"
sed 's/<port/<port count="8"/' "$tap_dir/unknown.xml" >"$tap_dir/copies.xml"
hostbed check "$tap_dir/copies.xml" >"$tap_dir/out" 2>"$tap_dir/err"
is "what is true of eight copies is told once" "$? $(grep -c no-such-device "$tap_dir/err")" "3 1"
has "with their number" "$tap_dir/err" '\(and 7 more like it from this line\) \[device\]$'
hostbed check --json "$tap_dir/copies.xml" "$labs/smallest.xml" >"$tap_dir/out" 2>"$tap_dir/err"
is "as JSON the findings have the same status" "$? $(cat "$tap_dir/err")" "3 "
tr -d ' \n' <"$tap_dir/out" >"$tap_dir/json"
has "they are by lab" "$tap_dir/json" '^\{"labs":\[\{"file":"[^"]*copies.xml","status":3,"findings":\[\{"level":"unsupported","check":"device","message":"[^"]*no-such-device[^"]*","file":"[^"]*copies.xml","line":[0-9]+,"more":7\}\]\},'
has "with what a sound one needs" "$tap_dir/json" '"file":"[^"]*smallest.xml","status":0,"hosts":1,"cpus":1,"memory_bytes":[0-9]+,"findings":\['
cp "$tap_dir/copies.xml" "$tap_dir/"$'no-utf-8-\xff.xml'
hostbed check --json "$tap_dir/"$'no-utf-8-\xff.xml' "$tap_dir/"$'none-\xff.xml' >"$tap_dir/out" 2>"$tap_dir/err"
iconv -f UTF-8 -t UTF-8 "$tap_dir/out" >"$tap_dir/json"
is "and it is UTF-8 whatever files are called" "$? $(grep -c '"labs"' "$tap_dir/json")" "0 1"

status "a device that the emulator has not" 3 "$tap_dir/unknown.xml"
has "it is named, and why" "$tap_dir/out" '^# unsupported: .*no-such-device'
is "and is said once" "$(grep -c no-such-device "$tap_dir/out")" 1
is "and is called nothing else" "$(grep -c infrastructure "$tap_dir/out")" 0
status "the same in reports" 3 -q --json "$tap_dir/r.json" --junit "$tap_dir/r.xml" --html "$tap_dir/r.html" "$tap_dir/unknown.xml"
has "and on a page" "$tap_dir/r.html" "<h1>0 passed, 1 failed, 0 skipped</h1>"
status "which can go to standard output" 3 -q --html - "$tap_dir/unknown.xml"
has "alone" "$tap_dir/out" "^<!DOCTYPE html>$"
has "JSON has the outcome" "$tap_dir/r.json" '"outcome" : "unsupported"'
has "JUnit has the outcome" "$tap_dir/r.xml" '<error type="unsupported"'
is "and neither has another" "$(cat "$tap_dir/r.json" "$tap_dir/r.xml" | grep -c infrastructure)" 0
status "a list of it" 3 --list "$tap_dir/unknown.xml"
is "has no case" "$(cat "$tap_dir/out")" ""
status "a list of it and of another" 3 --list numa "$tap_dir/unknown.xml" "$labs/smallest.xml"
has "has the other's" "$tap_dir/out" '^smallest/[^/]+/numa/'
if hostbed image kernel >/dev/null 2>&1; then
    status "a module that no kernel has" 3 --accel tcg --module no-such-module --log-dir "$tap_dir/logs" \
        --json "$tap_dir/r.json" "$labs/smallest.xml"
    has "it is unsupported too" "$tap_dir/out" '^# unsupported: .*no-such-module'
else
    skip "a module that no kernel has" "there is no kernel"
    status "a host without a kernel" 8 --accel tcg --log-dir "$tap_dir/logs" --json "$tap_dir/r.json" \
        "$labs/smallest.xml"
fi
is "no logs are told of a host that was not started" "$(grep -c 'logs of' "$tap_dir/err")" 0
is "nor in the report" "$(grep -c log_dir "$tap_dir/r.json")" 0
is "and none are made" "$(ls "$tap_dir/logs")" ""
status "a skip that is none" 1 --no-skip hugepages --log-dir "$tap_dir/logs" "$labs/smallest.xml"
is "makes no logs either" "$(grep -c 'logs of' "$tap_dir/err") $(ls "$tap_dir/logs")" "0 "

# A lab that comes once: workers read what was kept of it, in whatever way /proc calls us there.
(cat "$labs/smallest.xml") | hostbed test --quiet hugepages - >"$tap_dir/out" 2>&1
has "a lab from a pipe" "$tap_dir/out" 'hugepages/\[suite\] # SKIP no cell'
if unshare --pid --fork true 2>/dev/null; then
    (cat "$labs/smallest.xml") | unshare --pid --fork "$build_dir/run" hostbed test --quiet hugepages - >"$tap_dir/out" 2>&1
    has "also where /proc is another PID namespace's" "$tap_dir/out" 'hugepages/\[suite\] # SKIP no cell'
fi
mkfifo "$tap_dir/once.xml"
cat "$labs/smallest.xml" >"$tap_dir/once.xml" &
timeout 100 "$build_dir/run" hostbed test --quiet hugepages "$tap_dir/once.xml" >"$tap_dir/out" 2>&1
has "and from one that has a name" "$tap_dir/out" 'hugepages/\[suite\] # SKIP no cell'
cp "$labs/smallest.xml" "$tap_dir/gone.xml"
exec 8<"$tap_dir/gone.xml"
rm "$tap_dir/gone.xml"
echo nonsense >"$tap_dir/gone.xml (deleted)"
hostbed test --quiet hugepages /dev/stdin <&8 >"$tap_dir/out" 2>&1
has "a file without a name is not taken for another that is called as it" "$tap_dir/out" 'hugepages/\[suite\] # SKIP no cell'
exec 8<&-
for i in $(seq 40); do
    mkfifo "$tap_dir/lab$i"
    cat "$labs/smallest.xml" >"$tap_dir/lab$i" &
done
(ulimit -n 30 && hostbed test --list numa "$tap_dir"/lab? "$tap_dir"/lab??) >"$tap_dir/out" 2>"$tap_dir/err"
is "a list keeps none of the labs that it reads" $? 0
is "of which it has all" "$(grep -c /every_node_is_online "$tap_dir/out")" 40
if command -v python3 >/dev/null; then
    python3 -c 'import socket, subprocess, sys
ours, theirs = socket.socketpair()
theirs.sendall(open(sys.argv[2], "rb").read())
theirs.close()
for name in "/dev/stdin", "-":
    subprocess.run([sys.argv[1], "hostbed", "check", name], stdin=ours)' \
        "$build_dir/run" "$labs/smallest.xml" >"$tap_dir/out" 2>"$tap_dir/err"
    has "a socket cannot be opened" "$tap_dir/err" "^/dev/stdin: error: .*this is a socket; '-' reads from standard input"
    has "but read" "$tap_dir/out" '^-: ok'
fi

hostbed doctor --emulator /nonexistent/qemu >"$tap_dir/out"
is "an emulator that is missing is no other's business" "$(grep -c '^[a-z]* *emulator ' "$tap_dir/out")" 1

for part in emulator kernel; do
    hostbed run --accel tcg "--$part" /nonexistent/it "$labs/smallest.xml" -- true >"$tap_dir/out" 2>"$tap_dir/err"
    is "a missing $part is no fault of the command line" $? 8
    is "and one sentence" "$(grep -c '^hostbed: .*/nonexistent/it' "$tap_dir/err")" 1
done

"$source_dir/quickstart" --help >"$tap_dir/out" 2>"$tap_dir/err"
is "quickstart has help" "$? $(grep -c '^ *./quickstart' "$tap_dir/out")" "0 3"
"$source_dir/quickstart" chekc >"$tap_dir/out" 2>"$tap_dir/err"
is "and does nothing for another word" "$? $(cat "$tap_dir/out")" "2 "

# As root a rename would put /dev/null away as well.
mkfifo "$tap_dir/fifo"
cat "$tap_dir/fifo" >"$tap_dir/shown" &
hostbed show -o "$tap_dir/fifo" "$labs/smallest.xml"
wait $!
is "show -o leaves a FIFO what it is" "$(stat -c %F "$tap_dir/fifo")" fifo
has "and writes into it" "$tap_dir/shown" "host l1"

# A lab whose name begins with a dash, and one on standard input.
cp "$labs/smallest.xml" "$tap_dir/-x.xml"
for command in check show "test --list"; do
    # shellcheck disable=SC2086  # a command and its option
    (cd "$tap_dir" && hostbed $command -- -x.xml) >"$tap_dir/out" 2>"$tap_dir/err"
    is "$command takes a lab behind --" $? 0
    # shellcheck disable=SC2086
    hostbed $command - <"$labs/smallest.xml" >"$tap_dir/stdin.out" 2>"$tap_dir/err"
    is "$command takes a lab on standard input" $? 0
done
is "and finds it the same" "$(cat "$tap_dir/stdin.out")" "$(cat "$tap_dir/out")"
# The process that runs the lab must find it, too: it gets as far as the missing kernel.
for lab in - -x.xml; do
    (cd "$tap_dir" && hostbed test -q --accel tcg --kernel /nonexistent/kernel -- "$lab") \
        <"$labs/smallest.xml" >"$tap_dir/out" 2>"$tap_dir/err"
    has "a worker reads the lab $lab" "$tap_dir/out" "^# .*/nonexistent/kernel"
done
# Other names of standard input, and of pipes, at the same time.
hostbed test -q --accel tcg --kernel /nonexistent/kernel --repeat 2 /dev/stdin \
    <"$labs/smallest.xml" >"$tap_dir/out" 2>"$tap_dir/err"
is "workers read the lab /dev/stdin" "$(grep -c '^# .*/nonexistent/kernel' "$tap_dir/out")" 2
# shellcheck disable=SC2002  # a pipe is what is tried
cat "$labs/smallest.xml" | hostbed test -q --accel tcg --kernel /nonexistent/kernel \
    /dev/stdin <(cat "$labs/two-hosts.xml") <(cat "$labs/14nic.xml") >"$tap_dir/out" 2>"$tap_dir/err"
is "and those of several pipes" "$(grep -c '^# .*/nonexistent/kernel' "$tap_dir/out")" 4
hostbed test -q --accel tcg --kernel /nonexistent/kernel /dev/stdin \
    < <(cat "$labs/refused/counts-multiply.xml") >"$tap_dir/out" 2>"$tap_dir/err"
is "a lab with faults in a pipe: status 2" $? 2
has "and they have their lines" "$tap_dir/err" "^/dev/stdin:[0-9]+: error"
for command in check show "run --kernel /nonexistent/kernel"; do
    # shellcheck disable=SC2086  # a command and its option
    hostbed $command <(cat "$labs/smallest.xml") ${command:+$([ "${command%% *}" != run ] || echo -- true)} \
        >"$tap_dir/out" 2>"$tap_dir/err"
    status=$?
    is "${command%% *} takes a lab from a pipe" "$status $(grep -c 'cannot be read' "$tap_dir/err")" \
        "$([ "${command%% *}" = run ] && echo 8 || echo 0) 0"
done
# A kernel is meant from where we are, as in a lab on standard input.
sed 's,<cell,<kernel path="no-kernel"/><cell,' "$labs/smallest.xml" >"$tap_dir/kernel.xml"
hostbed run <(cat "$tap_dir/kernel.xml") -- true 2>"$tap_dir/err"
has "a pipe is in no folder" "$tap_dir/err" " no-kernel"
# What plain emulation cannot have is told alike, with its line, before anything is started.
cat >"$tap_dir/host-cpu.xml" <<'EOF'
<lab xmlns="urn:hostbed:lab:1" name="host-cpu">
  <host>
    <cpu model="host"/>
    <cell cpus="0" memory="256 MiB"/>
  </host>
</lab>
EOF
for command in "check --accel tcg" "show --accel tcg" "show --accel tcg -f qemu"; do
    # shellcheck disable=SC2086  # a command and its options
    hostbed $command "$tap_dir/host-cpu.xml" >"$tap_dir/out" 2>"$tap_dir/err"
    is "$command refuses what needs KVM" $? 3
    has "and tells the line and the way out" "$tap_dir/err" \
        "host-cpu.xml:3: unsupported: .*use KVM, or another model"
done

hostbed run "$labs/smallest.xml" git log -- file >"$tap_dir/out" 2>"$tap_dir/err"
is "run with -- behind the command: status 2" $? 2
has "it is told where -- belongs" "$tap_dir/err" "put '--' before the command"
hostbed run --kernel /nonexistent/kernel -- - -- true <"$labs/smallest.xml" 2>"$tap_dir/err"
has "run takes a lab behind a -- of its own" "$tap_dir/err" "/nonexistent/kernel"

for number in nan inf -1 1e300; do
    status "a deadline of $number" 2 --deadline "$number" "$labs/smallest.xml"
    hostbed run --timeout "$number" "$labs/smallest.xml" -- true 2>"$tap_dir/err"
    is "a timeout of $number" $? 2
    is "a sentence for it" "$(wc -l <"$tap_dir/err")" 1
done
status "no repetition" 2 --repeat 0 "$labs/smallest.xml"
# Seconds of processor time: the machine may be busy, and sanitizers take four times as many.
last=$(ulimit -t 60; hostbed test --list --repeat 50000 --shard 1/2 numa/first_touch_is_local "$labs/smallest.xml" | tail -n 1)
is "many repetitions take no time of their own" "$last" "smallest[run=25000]/l1/numa/first_touch_is_local"

# Output that finds no room is not all well.
if [ -w /dev/full ]; then
    for command in doctor "check $labs/smallest.xml" "show $labs/smallest.xml" \
        "show -f svg $labs/128cell-2cpu.xml" "test --list $labs/smallest.xml" --help; do
        # shellcheck disable=SC2086
        hostbed $command >/dev/full 2>"$tap_dir/err"
        is "${command/"$labs/"/} to a full disk: status 8" $? 8
        is "and a sentence" "$(grep -c 'standard output cannot be written' "$tap_dir/err")" 1
    done
fi

# Without one of the three streams no file of ours is taken for it.
timeout 60 "$build_dir/run" hostbed check - <&- >"$tap_dir/out" 2>"$tap_dir/err"
is "a lab on standard input that is closed: status 2" $? 2
has "and a sentence" "$tap_dir/err" "the file is empty"
for command in --help doctor "check $labs/smallest.xml" "show $labs/smallest.xml" "test --list $labs/smallest.xml" \
    "test -q --accel tcg --kernel /nonexistent/kernel $labs/smallest.xml"; do
    # shellcheck disable=SC2086
    hostbed $command >&- 2>"$tap_dir/err"
    is "${command//"$labs/"/} to no standard output: status 8" $? 8
    # Of what is longer than a buffer only the last part tells why.
    is "and a sentence" \
        "$(grep -cE 'standard output (cannot be written|is not whole): (Bad file|a part of it)' "$tap_dir/err")" 1
done
hostbed test --accel tcg --kernel /nonexistent/kernel "$labs/smallest.xml" 2>&- >"$tap_dir/out"
is "test without standard error: status 8" $? 8
has "has its results" "$tap_dir/out" "^# .*/nonexistent/kernel"
is "and nothing else in them" "$(grep -c "^hostbed:" "$tap_dir/out")" 0

hostbed run "$labs/smallest.xml" lspci -tv >"$tap_dir/out" 2>"$tap_dir/err"
is "run without -- before options: status 2" $? 2
has "the way out is named" "$tap_dir/err" "put '--' before the command"
done_testing
