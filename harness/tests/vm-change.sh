#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hosts that are changed while they are up, and compared with their manifests.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"

out=$tap_dir/out
err=$tap_dir/err
trap 'hostbed down --all >/dev/null 2>&1; rm -rf "$tap_dir"' EXIT

hostbed up --accel tcg "$source_dir/topologies/hotplug.xml" >"$out" 2>"$err"
is "a lab with empty ports comes up" $? 0

# ---- verify
hostbed verify l1 >"$out" 2>"$err"
is "it is the host that was asked for" "$? $(grep -c '^not ok' "$out")" "0 0"
has "and each part was looked at" "$out" "^ok [0-9]* - hotplug/l1/manifest/pci 0000:22:00.0"
has "and counted" "$err" "^hostbed: 18 passed, 0 failed, 0 skipped"
hostbed exec l1 -- sh -c 'echo 0000:22:00.0 >/sys/bus/pci/devices/0000:22:00.0/driver/unbind'
hostbed verify --json - --junit "$tap_dir/junit" l1 >"$out" 2>"$err"
is "a host that was altered is another" $? 1
has "as JSON says" "$out" "asked 'pci 0000:22:00.0 driver e1000e', found nothing"
has "and JUnit" "$tap_dir/junit" 'failures="1"'
hostbed exec l1 -- sh -c 'echo 0000:22:00.0 >/sys/bus/pci/drivers/e1000e/bind'
for i in 1 2 3 4; do hostbed verify l1 >"$tap_dir/verify.$i" 2>&1 & done
wait
is "four compare at once" "$(grep -c '^hostbed: 18 passed' "$tap_dir"/verify.? | cut -d: -f2 | paste -sd" ")" "1 1 1 1"
hostbed verify l2 2>"$err"
is "a host that there is not" $? 2
has "is told" "$err" "no host 'l2' is up"

hostbed down hotplug >/dev/null
is "the lab goes down" $? 0
done_testing
