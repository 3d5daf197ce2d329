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
refused "an empty key" 2 "'' is too short" template rm ''
refused "a key that means two" 2 "the keys of 2 templates begin with 'aaaa'" template rm bbbb aaaa
refused "a key that means none" 2 "there is no template 'cccc'" template rm bbbb cccc
is "nothing was removed for those" "$(left)" "aaaa1 aaaa2 bbbb1"
hostbed template rm bbbb1 bbbb "aaaa1$rest" >"$tap_dir/out" 2>"$tap_dir/err"
is "whole and cut keys are removed, one of them named twice" "$? $(left)" "0 aaaa2"
refused "a mistyped word" 2 "no 'hostbed template lits'; did you mean list\?" template lits
export HOSTBED_TEMPLATES_MAX=much
refused "a maximum that is no size" 2 "HOSTBED_TEMPLATES_MAX 'much' is not a size" template list --json
unset XDG_CACHE_HOME HOSTBED_TEMPLATES_MAX

# ---- commands and logs

cd "$tap_dir" || exit 99
refused "a program that is not there" 127 "^hostbed: there is no program './nosuch' on this machine" \
    run --log-dir "$tap_dir/logs" "$lab" -- ./nosuch
refused "nor in a folder" 127 "there is no program 'cache/nosuch'" run "$lab" -- cache/nosuch
if hostbed check "$lab" >/dev/null 2>&1; then
    refused "--with is refused" 2 "there is no program './nosuch'" run --log-dir "$tap_dir/logs" --with ./nosuch "$lab" -- true
    refused "and where nobody asked for logs" 2 "there is no program './nosuch'" run --with ./nosuch "$lab" -- true
    printf 'a\0b' >"$tap_dir/data"
    chmod +x "$tap_dir/data"
    refused "data" 2 "is no program: neither ELF nor a script" run "$lab" -- ./data
    is "no logs are left of hosts that were not started" "$(find "$tap_dir/logs" "$XDG_STATE_HOME" -mindepth 1 -path '*logs/*')" ""
else
    skip "no logs are left of hosts that were not started" "no emulator to ask"
fi
done_testing
