# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034
# Sourced by tests with real hosts. With HOSTBED_DEMANDS in the environment they start none: they print what they
# demand of the cases of suites, which vmtests/tests/suites.sh compares with the guide:
#
#     passes SUITE/CASE LAB               it has to pass there, and not to be skipped
#     fails SUITE/CASE LAB ALTERATION     it has to fail there, and no other of its suite
if [ -n "${HOSTBED_DEMANDS-}" ]; then
    passes() {
        local suite=$1 lab=$2
        shift 2
        printf "passes $suite/%s $lab\n" "$@"
    }
    fails() { echo "fails $2 $3 $1"; }
    fault() { fails "fault=${1#*/}" "$@"; }
    set +u
    # All else is silent, and there is whatever is asked for.
    emulators() { echo emulator; }
    emulator_version() { echo 10.0; }
    command() { if [ "$1" = -v ]; then echo "$2"; else builtin command "$@"; fi; }
    nothing() { :; }
    for word in hostbed make_wrapper run_suite ok not_ok skip skip_all is has done_testing; do
        eval "$word() { nothing; }"
    done
fi
