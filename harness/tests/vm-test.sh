#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# hostbed test on a real host: reports, a host that is not the one asked for, and ends of all
# kinds, after which nothing may be left.
. "${HOSTBED_SOURCE_DIR:?run this by make check-vm}/harness/tests/tap.sh"

lab="$source_dir/topologies/smallest.xml"
logs="$tap_dir/logs"

hostbed test --accel tcg --log-dir "$logs" --junit "$tap_dir/r.xml" --json "$tap_dir/r.json" \
    "$lab" >"$tap_dir/tap" 2>"$tap_dir/err"
is "the smallest lab passes" $? 0
has "the check is in it" "$tap_dir/tap" '^ok [0-9]+ - smallest/[^/]+/manifest/node 0$'
has "so is a suite" "$tap_dir/tap" '^ok [0-9]+ - smallest/[^/]+/numa/'
has "a need that is not met skips" "$tap_dir/tap" '^ok .*hugepages/\[suite\] # SKIP no cell'
has "the plan is there" "$tap_dir/tap" '^1\.\.[1-9]'
xmllint --noout "$tap_dir/r.xml" && ok "the JUnit report is XML" || not_ok "the JUnit report is XML"
has "the JSON report is complete" "$tap_dir/r.json" '"complete" : true'
for file in command console.log manifest observation manifest.diff numa.tap; do
    [ -n "$(find "$logs" -name "$file")" ] && ok "$file is in the logs" || not_ok "$file is in the logs"
done

sed 's/memory="[^"]*"/memory="384 MiB"/' "$lab" >"$tap_dir/other.xml"
hostbed test --accel tcg --started-as "$tap_dir/other.xml" manifest numa "$lab" >"$tap_dir/tap" 2>&1
is "another machine fails" $? 1
has "no suite runs in it" "$tap_dir/tap" '^ok .*numa/\[suite\] # SKIP the host is not the machine that was asked for'
is "in one subject only" "$(grep -c '^not ok' "$tap_dir/tap")" 1
has "that is named, with both values" "$tap_dir/tap" "asked 'node 0 memory .*', found 'node 0 memory 384 MiB'"
hostbed test --accel tcg --started-as "$tap_dir/other.xml" --even-if-different numa "$lab" >"$tap_dir/tap" 2>&1
is "where they are to run all the same it still fails" $? 1
has "and suites tell what they find" "$tap_dir/tap" '^ok .*numa/every_node_is_online'

hostbed test --accel tcg --module no-such-module "$lab" >"$tap_dir/tap" 2>"$tap_dir/err"
is "a module that the kernel does not have is unsupported" $? 3
has "and is named" "$tap_dir/tap" 'has no module no-such-module'

# An emulator that breaks only the first machine: one function more than was asked for.
emulator=$(emulators | head -n 1)
# shellcheck disable=SC2016 # it is for the wrapper to expand
printf '#!/bin/sh\ncase " $* " in *" -kernel "*) [ -e "%s" ] || { : >"%s"; exec "%s" "$@" %s; } ;; esac\nexec "%s" "$@"\n' \
    "$tap_dir/broken" "$tap_dir/broken" "$emulator" "-device virtio-rng-pci,addr=1c.0" "$emulator" >"$tap_dir/wrapper"
chmod +x "$tap_dir/wrapper"
hostbed test --accel tcg --emulator "$tap_dir/wrapper" --retry 1 --log-dir "$tap_dir/retry" \
    manifest "$lab" >"$tap_dir/tap" 2>&1
is "what only the first host had is no failure" $? 0
has "but flaky" "$tap_dir/tap" '^# flaky: passed only when tried again; first it failed: .*0000:00:1c.0'
[ -e "$(echo "$tap_dir"/retry/*/start-2/observation)" ] && ok "both hosts left logs" || not_ok "both hosts left logs"

sed 's|</host>|<qemu><arg value="-device"/><arg value="virtio-rng-pci,addr=1c.0"/></qemu></host>|' "$lab" >"$tap_dir/raw.xml"
hostbed test --accel tcg pci "$tap_dir/raw.xml" >"$tap_dir/tap" 2>&1
is "a device by raw arguments fails no suite" $? 0
has "its case is unchecked" "$tap_dir/tap" \
    '/pci/no_other_function_is_there # SKIP unchecked, raw emulator arguments may disturb it: 0000:00:1c.0'

hostbed test --accel tcg -q --deadline 2 numa "$lab" >"$tap_dir/tap" 2>&1
is "the deadline ends the run" $? 4

# hosts JSON: of which hosts the results are, in order
hosts() { sed -n 's/^ *"host" : "\(.*\)",$/\1/p' "$1" | uniq | paste -sd" "; }
two="$source_dir/topologies/two-hosts.xml"
hostbed test --accel tcg -v -j 2 --json "$tap_dir/r.json" manifest "$two" >"$tap_dir/tap" 2>"$tap_dir/err"
is "two hosts pass" $? 0
is "their results are host by host" "$(hosts "$tap_dir/r.json")" "compute0 compute1"
began=$(grep -n 'compute[01]: starting the host' "$tap_dir/err" | tail -n 1)
ended=$(grep -n 'compute[01]: manifest' "$tap_dir/err" | head -n 1)
is "both are started before one is compared" "$((${began%%:*} < ${ended%%:*}))" 1
hostbed test --accel tcg -v -j 1 manifest "$two" >"$tap_dir/tap" 2>"$tap_dir/err"
is "one after the other pass too" $? 0
began=$(grep -n 'compute1: starting the host' "$tap_dir/err")
ended=$(grep -n 'compute0: manifest' "$tap_dir/err")
is "with -j 1 the second waits for the first" "$((${began%%:*} > ${ended%%:*}))" 1

# Starts a run and waits until its emulator is there: RUN, WORKER, EMULATOR.
start_run() {
    rm -f "$tap_dir/r.xml"
    "$build_dir/run" hostbed test --accel tcg -q --junit "$tap_dir/r.xml" "$lab" >"$tap_dir/tap" 2>&1 &
    RUN=$!
    for _ in $(seq 300); do
        WORKER=$(pgrep -P "$RUN") && EMULATOR=$(pgrep -P "$WORKER" qemu) && return 0
        sleep 0.1
    done
    bail "no emulator was started"
}

# gone PID: it ends within ten seconds
gone() {
    for _ in $(seq 100); do
        case $(ps -o stat= -p "$1" 2>/dev/null) in "" | Z*) return 0 ;; esac
        sleep 0.1
    done
    return 1
}

none_left() {
    if gone "$WORKER" && gone "$EMULATOR"; then ok "$1: nothing is left"; else not_ok "$1: nothing is left"; fi
}

start_run
kill -INT "$RUN"
wait "$RUN"
is "an interrupt has its status" $? 130
has "an interrupted run has no plan" "$tap_dir/tap" '^Bail out!'
has "and its report is no pass" "$tap_dir/r.xml" '<error '
none_left "an interrupt"

start_run
kill -KILL "$RUN"
wait "$RUN" 2>/dev/null
none_left "kill -9"
xmllint --noout "$tap_dir/r.xml" && ok "the report is whole" || not_ok "the report is whole"
has "and is no pass" "$tap_dir/r.xml" '<error '
has "and is of now" "$tap_dir/r.xml" "timestamp=\"$(date -u +%Y)-"

start_run
kill -KILL "$WORKER"
wait "$RUN"
is "a worker that is killed has its status" $? 8
none_left "a killed worker"

start_run
kill -KILL "$EMULATOR"
wait "$RUN"
is "an emulator that is killed has its status" $? 7
has "and its outcome" "$tap_dir/tap" '^# emulator-died'
done_testing
