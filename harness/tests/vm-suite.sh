#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# hostbed test --suite: other people's programs as suites, whatever they print.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"

lab=$source_dir/topologies/smallest.xml
out=$tap_dir/out
err=$tap_dir/err
cd "$tap_dir" || bail "no folder of its own"
script() { printf '#!/bin/sh\n%s\n' "$2" >"$1" && chmod +x "$1"; }
# One that only shells know to run.
bare_script() { printf '%s\n' "$2" >"$1" && chmod +x "$1"; }

# shellcheck disable=SC2016  # for the shells inside
{
    script tap 'echo 1..2; echo "ok 1 - bound to $(basename $(readlink /sys/bus/pci/devices/$1/driver))"; echo "not ok 2 - b"; exit 1'
    script ktap 'echo "KTAP version 1"; echo 1..1; echo "    KTAP version 1"; echo "    1..1"; echo "    ok 1 inner"; echo "ok 1 outer"'
    bare_script plain 'echo some words; test -s "$HOSTBED_MANIFEST" && test "$GREETING" = hello && pwd && echo kept >$HOSTBED_OUT/kept'
    script fails 'echo why; exit 3'
    script crashes 'kill -SEGV $$'
    script skips 'echo "# no such device"; exit 77'
    script unfinished 'echo 1..3; echo ok 1 - a'
    script late 'sleep 600'
    script hangs 'echo 1..3; echo ok 1 - one; echo "# about to hang"; sleep 600; echo ok 2 - two; echo ok 3 - three'
    script steady 'echo 1..3; for i in 1 2 3; do sleep 2; echo ok $i - $i; done'
}
mkdir sub && script sub/plain 'test ! -e $HOSTBED_OUT/kept'

run_suites() { hostbed test --accel tcg --quiet --json report.json "$@" >"$out" 2>"$err"; }
run_suites --suite './tap {bind:1.address}' --suite ./ktap --suite ./plain --suite "$tap_dir/sub/plain" --suite ./fails \
    --suite ./crashes --suite ./skips --suite ./unfinished --suite ./late --suite-timeout 20 --suite 'numactl --hardware' \
    --suite no-such-program --bind nic --env GREETING=hello --chdir /made --out results "$lab"
is "failures among them make the status 1 or more" $(($? > 0)) 1
# result NAME EXPECTED: the outcome of a case in the report
result() {
    is "$1 is $2" "$(python3 -c 'import json, sys
for lab in json.load(open("report.json"))["labs"]:
    for case in lab["results"]:
        if sys.argv[1] == case["suite"] + "/" + case["case"]: print(case["outcome"])' "$1")" "$2"
}
result "tap/bound to vfio-pci" pass
result "tap/b" fail
result "ktap/outer" pass
result "plain/[program]" pass
result "plain[2]/[program]" pass
result "fails/[program]" fail
result "crashes/[program]" fail
result "skips/[suite]" skip
result "unfinished/a" pass
result "unfinished/[test protocol]" fail
result "late/[program]" timeout
result "numactl/[program]" pass
result "no-such-program/[program]" fail
is "the check of the host comes first" "$(grep -m 1 -c '^ok 1 - smallest/l1/manifest/' "$out")" 1
is "no suite of ours is run" "$(grep -Ec 'smallest/l1/(numa|pci|iommu)/' "$out")" 0
is "results come back, those of a suite to its own folder" "$(cat results/smallest-l1/plain/kept)" kept
is "and core dumps" "$(find results/smallest-l1/crashes -name 'core.*' | wc -l)" 1

# Each case has its time, and the machine's slowness is its own.
run_suites --isolate none --suite ./steady --suite ./hangs --suite ./fails --case-timeout 5 --suite-timeout 500 --log-dir logs "$lab"
is "a case that hangs has its status" $? 4
result "steady/3" pass
result "hangs/one" pass
result "hangs/[case 2]" timeout
result "fails/[program]" fail
has "it is said how long it was allowed, and why" "$out" \
    '^# timeout: took longer than [0-9.]+ s \(the machine was measured [0-9.]+ times slower than the reference.*; logs: logs/smallest-l1'
has "and what it printed last" "$out" '^# .*about to hang'
is "the next one gets another host" "$(find logs -name start-2 | wc -l)" 1

hostbed test --accel tcg --json - --suite ./fails "$lab" >"$out" 2>"$err"
has "where a report has the place of the results, the error stream says what failed" "$err" '^hostbed: smallest/l1/fails/.*: fail: '
run_suites --suite ./skips --no-skip "$lab"
is "--no-skip makes a skip a failure" $? 1

# ---- before anything is started
# refused NAME PATTERN ARGUMENT…
refused() {
    local name=$1 pattern=$2
    shift 2
    hostbed test --accel tcg "$@" >"$out" 2>"$err"
    is "$name: status 2" $? 2
    has "$name: said" "$err" "$pattern"
    is "$name: nothing was started" "$(cat "$out")" ""
}
refused "--bind without --suite" "^hostbed: --bind is for programs of --suite" --bind nic "$lab"
refused "no command" "is no command" --suite '' "$lab"
refused "a program that is not there" "there is no program './nope' on this machine" --suite ./nope "$lab"
refused "nor one that prepares" "there is no program './nope' on this machine" --prepare ./nope numa "$lab"
refused "quotes that do not end" "is no command" --suite "a 'b" "$lab"
refused "a selection with --suite" "nothing is selected" --suite true numa "$lab"
refused "functions that the lab has not" "smallest.xml: --bind nic:2: there is 1" --suite true --bind nic:2 "$lab"
refused "a place-holder for nothing" "no --bind was given" --suite 'echo {bind:1.address}' "$lab"
refused "no time for a case" "--case-timeout takes seconds" --case-timeout=-1 "$lab"
refused "no time" "--suite-timeout takes seconds" --suite true --suite-timeout 0 "$lab"
done_testing
