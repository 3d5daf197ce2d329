#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A hundred cycles of plugging in one host, which leave nothing behind (make soak).
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"
lab=$tap_dir/hotplug.xml
sed 's|<iommu model="intel"/>|<kernel cmdline="hostbed.cycles=100"/>&|' "$source_dir/topologies/hotplug.xml" >"$lab"
for emulator in $(emulators); do
    if hostbed test --accel tcg --quiet --emulator "$emulator" --log-dir "$tap_dir/logs" "$lab" hotplug \
        >"$tap_dir/out" 2>"$tap_dir/err"; then
        ok "a hundred cycles leave nothing behind ($emulator)"
    else
        not_ok "a hundred cycles leave nothing behind ($emulator)" "$tap_dir/out" "$tap_dir/err"
    fi
    has "and there were so many" "$(find "$tap_dir/logs" -name hotplug.tap)" '^# 102 cycles of 3 functions at a time: '
done
done_testing
