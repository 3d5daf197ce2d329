#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The agent outlives its peers: whoever opens its port again gets a new conversation with it.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"
command -v python3 >/dev/null || skip_all "python3 is not there, which plays the harness (package: python3)"

# Kernel and image of a run, in a machine whose port is a server.
hostbed run --accel tcg --log-dir "$tap_dir/log" "$source_dir/topologies/smallest.xml" -- sh -c : \
    >"$tap_dir/out" 2>"$tap_dir/err" || bail "$(cat "$tap_dir/err")"
command=$(find "$tap_dir/log" -name command)
word() { sed -n "s/^ *$1 \([^ ]*\).*/\1/p" "$command" | head -n 1; }
emulator=$(emulators | head -n 1)
"$emulator" -M q35 -accel tcg -cpu max -m 512 -nodefaults -display none -no-reboot \
    -kernel "$(word -kernel)" -initrd "$(word -initrd)" -append "console=ttyS0 panic=-1 no_timer_check" \
    -serial "file:$tap_dir/console" -device virtio-serial -device virtserialport,chardev=agent,name=org.hostbed.agent.1 \
    -chardev "socket,id=agent,path=$tap_dir/agent,server=on,wait=off" 2>"$tap_dir/err" &
pid=$!
for _ in $(seq 300); do
    [ ! -S "$tap_dir/agent" ] || break
    sleep 0.1
done
# QEMU 10.0 does, see docs/facts.rst.
case $(emulator_version "$emulator") in 1[0-9].*) defect=full-ports-stay-shut ;; *) defect= ;; esac
# shellcheck disable=SC2086 # none, or one
python3 "$source_dir/harness/tests/peer.py" "$tap_dir/agent" "$tap_dir/console" $defect
status=$?
kill $pid
wait $pid 2>/dev/null
[ $status = 0 ] || bail "the played harness ended with status $status"
