#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Results while a run goes on, clones that run at the same time, and what is left when somebody ends them.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?run this by make check-vm}/harness/tests/tap.sh"

lab="$source_dir/topologies/smallest.xml"

# until_seen FILE PATTERN PID: a line of FILE matches before PID ends
until_seen() {
    until grep -Eqs -- "$2" "$1"; do
        kill -0 "$3" 2>/dev/null || { grep -Eqs -- "$2" "$1"; return; }
        sleep 0.1
    done
}

cat >"$tap_dir/slow" <<'SCRIPT'
#!/bin/sh
printf '1..4\nok 1 - first\nnot ok 2 - second\n# it is wrong\n'
echo why >&2
sleep 2
echo 'ok 3 - third'
sleep 1000
SCRIPT
chmod +x "$tap_dir/slow"
"$build_dir/run" hostbed test --accel tcg --junit "$tap_dir/r.xml" --json "$tap_dir/r.json" "$lab" \
    --suite "$tap_dir/slow" >"$tap_dir/tap" 2>"$tap_dir/err" &
pid=$!
until_seen "$tap_dir/tap" '^ok .*/slow/third$' $pid && ok "a result is told while its suite runs" ||
    not_ok "a result is told while its suite runs" "$tap_dir/tap" "$tap_dir/err"
kill -INT $pid
wait $pid
is "an interrupt ends the suite" $? 130
has "TAP has what passed before" "$tap_dir/tap" '^ok .*/slow/first$'
has "and what failed" "$tap_dir/tap" '^not ok .*/slow/second$'
has "with what was said of it" "$tap_dir/tap" '^#.* it is wrong$'
has "also on standard error" "$tap_dir/tap" '^#  *why$'
is "each once" "$(grep -c '/slow/' "$tap_dir/tap")" 3
has "and no plan" "$tap_dir/tap" '^Bail out!'
has "JUnit has them, too" "$tap_dir/r.xml" '<testcase .*name="third"'
has "and JSON" "$tap_dir/r.json" '"case" : "third"'
has "which is not complete" "$tap_dir/r.json" '"complete" : false'

# ---- clones at the same time: one that waits for ever ends only when it is ended

command -v pgrep >/dev/null || bail "pgrep is not there"
export TMPDIR="$tap_dir/tmp"
mkdir "$TMPDIR"
# Emulators are ours by the environment that they were given.
ours() {
    pgrep -f -- "-name guest=smallest/" | while read -r pid; do
        tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | grep -qx "TMPDIR=$TMPDIR" && echo "$pid"
    done
}
none_left() {
    for _ in $(seq 600); do [ -z "$(ours)" ] && break; sleep 0.1; done
    is "$1: no emulator is left" "$(ours)" ""
}

cat >"$tap_dir/waits" <<'SCRIPT'
#!/bin/sh
printf '1..2\nok 1 - began\n'
sleep 100000
SCRIPT
cat >"$tap_dir/late" <<'SCRIPT'
#!/bin/sh
sleep 3
echo ok 1 - late
echo 1..1
SCRIPT
printf '#!/bin/sh\necho 1..1\necho ok 1 - early\n' >"$tap_dir/early"
chmod +x "$tap_dir/waits" "$tap_dir/late" "$tap_dir/early"

hostbed test --accel tcg -j 2 --log-dir "$tap_dir/logs" --json "$tap_dir/r.json" "$lab" \
    --suite "$tap_dir/late" --suite "$tap_dir/early" --suite "$tap_dir/early" >"$tap_dir/tap" 2>"$tap_dir/err"
is "suites run in clones at the same time" $? 0
is "reports have them as they were asked for" "$(sed -n 's/^ *"suite" : "\([le].*\)",$/\1/p' "$tap_dir/r.json" | paste -sd' ')" \
    "late early early[2]"
is "each clone has its logs" "$(find "$tap_dir/logs" -name '*.tap' | sed 's|.*/clone|clone|' | sort | paste -sd' ')" \
    "clone-1/late.tap clone-2/early.tap clone-3/early[2].tap"
hostbed test --accel tcg -j 2 --isolate case --json "$tap_dir/r.json" "$lab" 'numa/*_node' >"$tap_dir/tap" 2>"$tap_dir/err"
is "so do cases" $? 0
is "each once, in order" "$(sed -n 's/^ *"case" : "\(.*_its_node\)",$/\1/p' "$tap_dir/r.json" | paste -sd' ')" \
    "bound_memory_is_on_its_node preferred_memory_is_on_its_node"

# The first one makes the host, the others find it.
own_cache cache
# Starts a run and waits until both suites run: RUN, WORKER, UNITS.
start_both() {
    "$build_dir/run" hostbed test --accel tcg -j 2 --keep --json "$tap_dir/r.json" "$lab" \
        --suite "$tap_dir/waits" --suite "$tap_dir/waits" --suite "$tap_dir/early" >"$tap_dir/tap" 2>"$tap_dir/err" &
    RUN=$!
    until_seen "$tap_dir/tap" '/waits/began$' $RUN && until_seen "$tap_dir/tap" '/waits\[2\]/began$' $RUN ||
        bail "two suites did not begin"
    WORKER=$(pgrep -P "$RUN")
    UNITS=$(pgrep -P "$WORKER")
    is "$1: two clones run" "$(echo "$UNITS" | wc -l) $(ours | wc -l)" "2 2"
}

start_both "an interrupt"
kill -INT "$RUN"
wait "$RUN"
is "an interrupt has its status" $? 130
none_left "an interrupt"
is "and leaves what both had said" "$(grep -c '"case" : "began"' "$tap_dir/r.json")" 2

start_both "kill -9"
kill -KILL "$RUN"
wait "$RUN" 2>/dev/null
none_left "kill -9"

start_both "a killed worker"
kill -KILL "$WORKER"
wait "$RUN"
is "a worker that is killed has its status" $? 8
none_left "a killed worker"

start_both "a killed clone's worker"
kill -KILL "${UNITS%%[!0-9]*}"
until_seen "$tap_dir/tap" '/early/early$' $RUN && ok "a clone's worker that is killed costs its suite only" ||
    not_ok "a clone's worker that is killed costs its suite only" "$tap_dir/tap"
has "which says so" "$tap_dir/tap" '^not ok .*/waits(\[2\])?/\[worker\]$'
kill -INT "$RUN"
wait "$RUN"
none_left "a killed clone's worker"
is "and no file" "$(find "$TMPDIR" "$XDG_RUNTIME_DIR" -type f | wc -l)" 0

done_testing
