#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Results while a run goes on, and what is left of it when somebody ends it.
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

done_testing
