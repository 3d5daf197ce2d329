#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# hostbed help: commands and topics, and what is probably meant.
. "${HOSTBED_SOURCE_DIR:?run this by make check}/harness/tests/tap.sh"
out=$tap_dir/out
err=$tap_dir/err

hostbed help >"$out"
is "help lists" $? 0
has "commands" "$out" "^  up  *start hosts"
has "and topics" "$out" "^  exit-status  *what"
hostbed --help | cmp -s - "$out"
is "--help is the same" $? 0
mapfile -t topics < <(sed -n '/^Topics:/,/^$/s/^  \([a-z-]*\)  *.*/\1/p' "$out")
is "there are a dozen topics at least" "$((${#topics[@]} >= 12))" 1
mapfile -t commands < <(sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\)  *.*/\1/p' "$out")
for command in "${commands[@]}"; do
    hostbed "$command" --help >"$tap_dir/own" 2>&1
    is "help of $command is its --help" "$(hostbed help "$command" 2>&1 | cmp - "$tap_dir/own" && wc -l <"$tap_dir/own" | grep -c '^[0-9]*[0-9]$')" 1
done
# a topic's text is its document's, without a mark of the language left
for topic in "${topics[@]}"; do
    hostbed help "$topic" >"$out" 2>"$err"
    is "help tells of $topic" "$? $(($(wc -w <"$out") > 50))" "0 1"
    grep -nE '(^|[ (])(``|\*\*)[^ ]|^ *\.\. [a-z]|`_' "$out" | grep -v '^[0-9]*:    ' >"$tap_dir/marks"
    is "in plain words" "$(wc -l <"$tap_dir/marks")" 0
    is "in lines that fit, but for what stands as it is" \
        "$(sed '/^===.* ===/,/^$/d; /^   /d' "$out" | LC_ALL=C.UTF-8 awk 'length > 80 && gsub(/ /, " ") > 1' | wc -l)" 0
done
hostbed help exit-status >"$out"
has "of statuses" "$out" "the host hung"
hostbed help exit status | cmp -s - "$out"
is "two words are one name" $? 0
hostbed help Lab Language >"$out"
has "whatever the case" "$out" "The lab language"
hostbed help operating-systems | cmp -s - <(hostbed help images)
is "a document is known by its name" $? 0
hostbed help nic >"$out"
has "an element of the language is a topic" "$out" "^<nic>"
has "with its attributes" "$out" "model"
is "and nothing of the next" "$(grep -c '^<nvme>' "$out")" 0
hostbed help vfio >"$out"
has "so is a suite" "$out" "^vfio"
hostbed help image build >"$out"
has "a command of a command has help" "$out" "ssh-key"

for word in enviroment:environment tset:test exit-statsu:exit-status hugepage:hugepages; do
    hostbed help "${word%:*}" >"$out" 2>"$err"
    is "'${word%:*}' is none" $? 2
    has "but perhaps ${word#*:}" "$err" "did you mean ${word#*:}?"
done
hostbed help xyzzyx >"$out" 2>"$err"
has "what is like nothing" "$err" "no command or topic 'xyzzyx'; 'hostbed help' lists them"
hostbed dwon 2>"$err"
has "a mistyped command" "$err" "did you mean down?"
hostbed networks 2>"$err"
has "a topic that is no command" "$err" "'hostbed help networks' tells of it"

# for a person: styled, and by the pager
if has_terminal; then
    script -qec "env -u NO_COLOR PAGER=cat TERM=xterm $build_dir/run hostbed help logs" /dev/null </dev/null >"$out" 2>&1
    has "on a terminal titles are strong" "$out" "$(printf '\033')\\[1mLOGS"
    script -qec "env PAGER='sed s/LOGS/PAGED/' TERM=xterm $build_dir/run hostbed help logs" /dev/null </dev/null >"$out" 2>&1
    has "and the pager has it" "$out" "PAGED"
    script -qec "env PAGER=true TERM=xterm $build_dir/run hostbed help suites" /dev/null </dev/null >"$out" 2>&1
    is "one that is left early is no failure" "$? $(wc -c <"$out")" "0 0"
    script -qec "env PAGER=nosuch TERM=xterm $build_dir/run hostbed help logs" /dev/null </dev/null >"$out" 2>&1
    has "without it the text is there all the same" "$out" "LOGS"
else
    skip "a terminal" "$why"
fi
done_testing
