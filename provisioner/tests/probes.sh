#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Static probes: those that docs/probes.rst lists are in the program, with these arguments, and no others; and they fire.
. "${HOSTBED_SOURCE_DIR:?run this by make check}/harness/tests/tap.sh"
grep -q '^#define HAVE_PROBES' "$build_dir/config.h" || skip_all "built without <sys/sdt.h>"
command -v readelf >/dev/null || skip_all "there is no readelf"
program=$build_dir/hostbed

# As in the notes: a text is an unsigned 8 bytes, an int 4 and an int64 8, both signed.
sed -n '/list-table/,$p' "$source_dir/docs/probes.rst" | sed -n '/^   \* - ``/{s/^   \* - ``\(.*\)``$/\1/;h;n;s/^     - //;H;g;s/\n/: /p}' |
    while IFS=': ' read -r name arguments; do
        sizes=
        IFS=,
        for argument in $arguments; do
            argument=${argument# }
            case $argument in text\ *) sizes="$sizes 8" ;; int64\ *) sizes="$sizes -8" ;; int\ *) sizes="$sizes -4" ;; *) sizes="$sizes ?" ;; esac
        done
        echo "$name$sizes"
    done | LC_ALL=C sort >"$tap_dir/documented"
is "probes are documented" "$(($(wc -l <"$tap_dir/documented") > 9))" 1
LC_ALL=C readelf -n "$program" 2>/dev/null |
    sed -n '/Provider: hostbed/{n;s/^ *Name: //;h;n;n;s/^ *Arguments: //;s/@[^ ]*//g;H;g;s/\n/ /p}' | LC_ALL=C sort >"$tap_dir/noted"
# the compiler may repeat one, where it repeats the code around it
sort -u "$tap_dir/noted" | diff - "$tap_dir/documented" >"$tap_dir/diff"
is "the program has those, with these arguments, and no others" $? 0
[ ! -s "$tap_dir/diff" ] || sed 's/^/# /' "$tap_dir/diff"

# ---- watched by a debugger, as any user may
if ! command -v gdb >/dev/null; then
    skip "they fire" "there is no gdb"
elif ! gdb -q -batch -ex run --args true 2>&1 | grep -q 'exited normally'; then
    skip "they fire" "gdb may watch no process here"
else
    gdb -q -batch -ex 'set breakpoint pending on' -ex 'set debuginfod enabled off' \
        -ex 'break -probe-stap hostbed:lab_parsed' -ex 'break -probe-stap hostbed:lab_planned' -ex run \
        -ex 'printf "parsed %s %d\n", (char *)$_probe_arg0, (int)$_probe_arg1' -ex continue \
        -ex 'printf "planned %s %s %ld\n", (char *)$_probe_arg0, (char *)$_probe_arg1, (long)$_probe_arg2' -ex continue \
        -ex 'printf "planned %s %s %ld\n", (char *)$_probe_arg0, (char *)$_probe_arg1, (long)$_probe_arg2' -ex continue \
        --args "$program" show -f manifest --host compute1 "$source_dir/topologies/two-hosts.xml" >"$tap_dir/gdb" 2>&1
    has "a lab that is read is seen" "$tap_dir/gdb" "^parsed .*/two-hosts.xml 2$"
    has "and its hosts that are planned" "$tap_dir/gdb" "^planned two-hosts compute0 [0-9]{9,}$"
    has "each of them" "$tap_dir/gdb" "^planned two-hosts compute1 [0-9]{9,}$"
fi
done_testing
