#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# hostbed run up to the start of a host, hostbed template, and what is said of options that were mistyped. No guest
# code runs.
. "${HOSTBED_SOURCE_DIR:?run this by make check}/harness/tests/tap.sh"

lab="$source_dir/topologies/smallest.xml"
# refused NAME STATUS PATTERN ARGUMENT…: one sentence says what is wrong
refused() {
    local name=$1 status=$2 pattern=$3
    shift 3
    hostbed "$@" >"$tap_dir/out" 2>"$tap_dir/err"
    is "$name: status $status" $? "$status"
    is "$name: one sentence" "$(wc -l <"$tap_dir/err")" 1
    has "$name: the right one" "$tap_dir/err" "$pattern"
}

# ---- options

refused "a mistyped option" 2 "no option --tiemout; did you mean --timeout\?" run --tiemout 5 "$lab" -- true
refused "with its value" 2 "no option --tiemout; did you mean --timeout\?" run --tiemout=5 "$lab" -- true
refused "one that is like no other" 2 "no option --frobnicate; 'hostbed check --help'" check --frobnicate "$lab"
refused "one behind an option's value" 2 "no option --tyt; did you mean --tty\?" run --env --tty --tyt "$lab" -- true
refused "a short option that is none" 2 "there is no option -g" show -g "$lab"
refused "no seconds" 2 "^hostbed: --timeout takes seconds, such as 90; 'abc' is none$" run --timeout abc "$lab" -- true
refused "seconds and more" 2 "^hostbed: --deadline takes seconds, such as 90; '5x' is none$" test --deadline=5x "$lab"
refused "no number" 2 "^hostbed: --jobs takes a whole number, such as 4; 'many' is none$" test -jmany "$lab"
refused "nor one that is too large" 2 "^hostbed: --repeat takes a whole number" test --repeat 99999999999 "$lab"
refused "no value" 2 "[^ ]*--timeout .*--help" run --timeout

# ---- templates: names of folders are enough to be known by

export XDG_CACHE_HOME="$tap_dir/cache"
store="$XDG_CACHE_HOME/hostbed/templates"
rest=$(printf '0%.0s' {1..59})
mkdir -p "$store"/{aaaa1,aaaa2,bbbb1}"$rest"
# left: the first digits of those that there are
left() { find "$store" -mindepth 1 -printf '%f\n' | cut -c1-5 | sort | paste -sd' '; }
refused "a key of a digit" 2 "'b' is too short for a key; give at least its first 4 digits" template rm b
refused "an empty key" 2 "the first argument is empty" template rm ''
refused "a key that means two" 2 "the keys of 2 templates begin with 'aaaa'" template rm bbbb aaaa
refused "a key that means none" 2 "there is no template 'cccc'" template rm bbbb cccc
is "nothing was removed for those" "$(left)" "aaaa1 aaaa2 bbbb1"
hostbed template rm bbbb1 bbbb "aaaa1$rest" >"$tap_dir/out" 2>"$tap_dir/err"
is "whole and cut keys are removed, one of them named twice" "$? $(left)" "0 aaaa2"
is "and it is told which" "$(cat "$tap_dir/out")" "removed bbbb10000000
removed aaaa10000000"
hostbed template list >"$tap_dir/out"
has "what is damaged is in the list" "$tap_dir/out" '^aaaa20000000 .* damaged: its file template.json cannot be opened'
hostbed template list --json >"$tap_dir/out"
has "and in what programs read" "$tap_dir/out" '"trouble" : "its file template.json cannot be opened'
refused "it is not exported" 2 "the template aaaa20000000 cannot be used: its file template.json" template export aaaa2
mkdir "$store/.new-left"
hostbed template prune >"$tap_dir/out"
is "prune says what went, and for what" "$? $(cat "$tap_dir/out")" "0 removed what a killed process had left
removed aaaa20000000  damaged: its file template.json cannot be opened: No such file or directory
2 removed"
is "what was left half made went at once" "$(ls -A "$store")" ""

# Each command has options of its own, and no others.
refused "an option of another command" 2 "no option --max; 'hostbed template list --help'" template list --max=1GiB
refused "another" 2 "no option --all" template prune --all
refused "an option of who starts hosts" 2 "no option --accel" template list --accel kvm
refused "keys and all of them" 2 "^hostbed: --all and 'abcd': one of them$" template rm --all abcd
refused "a key for one command" 2 "--suite is test's" template key --warm --suite true "$lab"
refused "a command without --warm" 2 "a command \('true'\) is run's" template key "$lab" -- true
refused "no lab" 2 "takes LAB" template key --warm -- true
refused "a suite that is not there" 2 "there is no program './nosuch'" template key --suite ./nosuch "$lab"
refused "a folder for an archive" 2 "^hostbed: $tap_dir is a folder, and no archive$" template import "$tap_dir"
hostbed template rm --help >"$tap_dir/out"
has "each has help of its own" "$tap_dir/out" 'hostbed template rm .*KEY'

# Nobody else may put a host into the store.
chmod 0777 "$store"
for command in "list" "rm --all" "prune" "export aaaa" "import $tap_dir/out"; do
    # shellcheck disable=SC2086 # several words
    refused "a store that others may write to: $command" 8 "'$store' may be written to by other users" template $command
done
rmdir "$store" && touch "$store"
refused "a file for a store" 8 "'$store' is no folder" template list
rm "$store"
refused "a mistyped word" 2 "no 'hostbed template lits'; did you mean list\?" template lits
export HOSTBED_TEMPLATES_MAX=much
refused "a maximum that is no size" 2 "HOSTBED_TEMPLATES_MAX 'much' is not a size" template list --json
unset XDG_CACHE_HOME HOSTBED_TEMPLATES_MAX

# ---- commands and logs

cd "$tap_dir" || exit 99
refused "a program that is not there" 127 "^hostbed: there is no program './nosuch' on this machine" \
    run --log-dir "$tap_dir/logs" "$lab" -- ./nosuch
refused "nor in a folder" 127 "there is no program 'cache/nosuch'" run "$lab" -- cache/nosuch
if hostbed check "$lab" >/dev/null 2>&1 && hostbed image kernel >/dev/null 2>&1; then
    refused "--with is refused" 2 "there is no program './nosuch'" run --log-dir "$tap_dir/logs" --with ./nosuch "$lab" -- true
    refused "and where nobody asked for logs" 2 "there is no program './nosuch'" run --with ./nosuch "$lab" -- true
    printf 'a\0b' >"$tap_dir/data"
    chmod +x "$tap_dir/data"
    refused "data" 2 "is no program: neither ELF nor a script" run "$lab" -- ./data
    is "no logs are left of hosts that were not started" "$(find "$tap_dir/logs" "$XDG_STATE_HOME" -mindepth 1 -path '*logs/*')" ""
    refused "a host that does not come up" 2 "data is not a kernel for x86-64" up --kernel ./data "$lab"
    is "no folder without a file is left of one that stays" "$(find "$XDG_STATE_HOME" -type d -empty)" ""
else
    skip "no logs are left of hosts that were not started" "no emulator to ask, or no kernel"
    skip "no folder without a file is left of one that stays" "no emulator to ask, or no kernel"
fi
done_testing
