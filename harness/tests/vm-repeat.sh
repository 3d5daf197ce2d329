#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# All suites on the labs that were made for them, ten times in a row and without a second try: no case passes now and
# fails then. A start that had to be repeated counts, since there is none.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?run this by make soak}/harness/tests/tap.sh"

repeat=${HOSTBED_SOAK_REPEAT:-10}
# shellcheck disable=SC2154 # from tap.sh
labs() { # EMULATOR-VERSION
    printf '%s\n' berrange-2017 4cell-asymmetric memory-attributes memory-only-cpu-only 2socket-smt-hugepages vfio \
        merged-groups iommu-intel-options hotplug nested nested-linux
    case $1 in 7.*) ;; *) printf '%s\n' igb-vfs nested-igb ;; esac
}

while read -r emulator; do
    version=$(emulator_version "$emulator")
    while read -r lab; do
        hostbed test -q --no-retry --accel tcg --emulator "$emulator" --repeat "$repeat" --json "$tap_dir/json" \
            --log-dir "$tap_dir/logs" "$source_dir/topologies/$lab.xml" >"$tap_dir/tap" 2>"$tap_dir/err"
        status=$?
        grep '^not ok' "$tap_dir/tap" >"$tap_dir/bad"
        if [ $status = 0 ] && ! grep -q '^# flaky' "$tap_dir/tap"; then
            ok "$lab with QEMU $version passes $repeat times"
        else
            not_ok "$lab with QEMU $version passes $repeat times" "$tap_dir/bad" "$tap_dir/err"
        fi
        rm -rf "$tap_dir/logs"
    done < <(labs "$version")
done < <(emulators)
done_testing
