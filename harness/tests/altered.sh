# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC1091
# Sourced by the tests that alter a machine behind hostbed's back (altered-emulator does it).
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"

out=$tap_dir/out
err=$tap_dir/err
# One file for all alterations, so that hostbed gets to know the emulator only once.
wrapper=$tap_dir/emulator
make_wrapper() { # EMULATOR
    itself=$1
    # shellcheck disable=SC2016 # it is for the wrapper to expand
    printf '#!/bin/sh\nexec python3 "%s" "$(cat "%s")" "%s" "$@"\n' \
        "$source_dir/harness/tests/altered-emulator" "$tap_dir/alteration" "$1" >"$wrapper"
    chmod +x "$wrapper"
}

# ---- cases of suites: each is shown to be able to fail, and alone ----------------------------------

# The host of the lab that they are about.
host=l1
# Further options, as "--isolate case", with which the cases start from the suite's states.
run_options=()
# run_suite ALTERATION SUITE LAB
run_suite() {
    echo "$1" >"$tap_dir/alteration"
    hostbed test --accel tcg --quiet --even-if-different --emulator "$wrapper" "$2" "$source_dir/topologies/$3.xml" \
        >"$out" 2>"$err"
    status=$?
}

# run_unaltered SUITE LAB: in a clone of a host that is kept here. Nothing of the machine differs, so that one host will
# do for all that is tried on a lab.
run_unaltered() {
    [ -n "${store-}" ] || own_cache cache
    hostbed test --keep --accel tcg --quiet "${run_options[@]}" --emulator "$itself" "$source_dir/topologies/$2.xml" \
        -s "$host/$1/*" >"$out" 2>"$err"
    status=$?
}

# passes SUITE LAB CASE…: without a fault these cases of the suite pass there, so none is skipped
passes() {
    local suite=$1 lab=$2
    shift 2
    run_unaltered "$suite" "$lab"
    is "$suite passes on $lab" "$status $(grep '^not ok' "$out" | grep -v '# SKIP')" "0 "
    none_skipped "and skips none of the cases that $lab is for" "$out" "$err" "${@/#/$lab/$host/$suite/}"
}

# only_fails SUITE/CASE LAB HOW [SENTENCE]: exactly this case of the suite failed, and says so. (Of the manifest, whose
# check comes before, other facts may have failed: vm-alter.sh is about those.)
only_fails() {
    local failed
    failed=$(sed -n "/# SKIP/d; s|^not ok [0-9]* - $2/$host/||p" "$out" | grep -v '^manifest/')
    if [ "$status" = 1 ] && [ "$failed" = "$1" ]; then
        ok "$1 on $2 fails, and no other, by $3"
    else
        printf 'status %s; these fail: %s\n' "$status" "$failed" >"$tap_dir/others"
        not_ok "$1 on $2 fails, and no other, by $3" "$tap_dir/others" "$out" "$err"
    fi
    [ -z "${4-}" ] || has "$1 says why" "$out" "^# *.*$4"
}

# fails ALTERATION SUITE/CASE LAB [SENTENCE]: of a machine that differs
fails() {
    run_suite "$1" "${2%/*}" "$3"
    only_fails "$2" "$3" "${1#fault=}" "${@:4}"
}

# fault SUITE/CASE LAB [SENTENCE]: most faults are the suite's own
fault() {
    HOSTBED_FAULT=${1#*/} run_unaltered "${1%/*}" "$2"
    only_fails "$1" "$2" "${1#*/}" "${@:3}"
}

# shellcheck disable=SC1091
. "$source_dir/harness/tests/demands.sh"
# Who only wants to know what is demanded needs none.
command -v python3 >/dev/null || skip_all "python3 is not there, which alters the machines (package: python3)"
