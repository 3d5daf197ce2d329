#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Disks of hosts that are up: requests that fail, and such that stand still, also when the host ends meanwhile.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"

out=$tap_dir/out
err=$tap_dir/err
disk=cell0.expander0.port0.nvme0
trap 'hostbed down --all >/dev/null 2>&1; rm -rf "$tap_dir"' EXIT
cat >"$tap_dir/disks.xml" <<'X'
<lab xmlns="urn:hostbed:lab:1" name="disks">
  <host name="l1">
    <cell cpus="0" memory="512 MiB"><expander><port><nvme size="64 MiB"/></port></expander></cell>
  </host>
</lab>
X
up() { hostbed up --accel tcg "$@" "$tap_dir/disks.xml" >"$out" 2>"$err"; }
change() { hostbed disk "$@" >"$out" 2>"$err"; }
# in_host COMMAND: its output
in_host() { hostbed exec --timeout 60 l1 -- sh -c "$1" 2>/dev/null; }
# begin_write: one that is under way afterwards, and says in /tmp/written when it has ended
begin_write() {
    in_host 'rm -f /tmp/written; (dd if=/dev/zero of=/dev/nvme0n1 bs=4096 count=1 oflag=direct; echo "$?" >/tmp/written) >/dev/null 2>&1 &
        until [ "$(cat /sys/class/nvme/nvme0/nvme0*n1/inflight | tr -s " ")" = " 0 1" ]; do :; done'
}

# ---- what fails, with every emulator
try() {
    up --emulator "$1"
    is "$2: a host with a disk comes up" $? 0
    change l1
    hostbed save l1 now >"$out" 2>"$err"
    is "$2: no state of it can be written" "$? $(cat "$err")" \
        "3 hostbed: l1 cannot be saved: it has a device (nvme) of which this emulator cannot write down the state"
    change l1
    is "$2: it is told of" "$? $(tr -s ' ' <"$out")" "0 $disk 0000:21:00.0 64 MiB no faults"
    change l1 $disk error=read sector=8
    is "$2: reads of a sector are to fail" "$? $(cat "$out")" "0 l1: the disk $disk has error=read sector=8"
    change l1 21:00.0 error=read sector=8
    has "$2: twice is once" "$out" "has error=read sector=8 already"
    is "$2: they do, and others do not" "$(in_host 'for sector in 7 8 9; do
        dd if=/dev/nvme0n1 of=/dev/null bs=512 skip=$sector count=1 iflag=direct && echo read || echo failed; done' | paste -sd" ")" \
        "read failed read"
    in_host dmesg >"$tap_dir/dmesg"
    has "$2: the host's kernel tells of it" "$tap_dir/dmesg" "critical medium error, dev nvme.*, sector 8 "
    is "$2: writes of it do not fail" \
        "$(in_host 'dd if=/dev/zero of=/dev/nvme0n1 bs=512 seek=8 count=1 oflag=direct && echo written')" written
    change l1 $disk error=off
    is "$2: it is well again" "$? $(in_host 'dd if=/dev/nvme0n1 bs=512 skip=8 count=1 iflag=direct | wc -c')" "0 512"

    change l1 $disk suspend=write
    begin_write
    is "$2: a write stands still" "$(in_host 'ls /tmp/written; dd if=/dev/nvme0n1 bs=512 count=1 iflag=direct | wc -c')" 512
    change l1 $disk resume
    is "$2: until it is to go on" "$? $(in_host 'until [ -s /tmp/written ]; do :; done; cat /tmp/written')" "0 0"
    for point in read written flush; do
        change l1 $disk suspend=$point
        is "$2: others at $point" "$? $(cat "$out")" "0 l1: the disk $disk has suspend=$point"
        change l1 $disk resume
    done

    # ---- what the emulator cannot do meanwhile, and how the host ends
    change l1 $disk suspend=write
    begin_write
    for what in "pause l1" "save l1 then" "disk l1 $disk error=read"; do
        # shellcheck disable=SC2086 # several words
        hostbed $what 2>"$err"
        is "$2: no ${what%% *} meanwhile" "$? $(grep -c "'hostbed disk l1 $disk resume' has it go on" "$err")" "1 1"
    done
    hostbed power l1 off >"$out"
    is "$2: its power can be cut" "$? $(cat "$out")" "0 l1 is off"
    hostbed power l1 on >/dev/null
    is "$2: after which nothing stands still" "$(hostbed disk l1 | grep -c 'no faults')" 1
    change l1 $disk suspend=write
    begin_write
    # Its controller waits for the write, and the emulator for both.
    hostbed exec --timeout 10 l1 -- sh -c 'echo 1 >/sys/class/nvme/nvme0/reset_controller' >/dev/null 2>&1
    is "$2: who resets its controller has the whole host stand still" $? 6
    hostbed down disks >"$out"
    is "$2: the lab goes down" "$? $(cat "$out")" "0 disks is down"
}
while read -r emulator <&3; do try "$emulator" "$(emulator_version "$emulator")"; done 3< <(emulators)

# ---- a supervisor that is killed meanwhile
up
change l1 $disk suspend=write
begin_write
state=$XDG_RUNTIME_DIR/hostbed/disks/state.json
supervisor=$(grep -o '"pid" : [0-9]*' "$state" | sed 's/.* //' | head -n 1)
emulator=$(grep -o '"pid" : [0-9]*' "$state" | sed 's/.* //' | tail -n 1)
kill -KILL "$supervisor"
timeout 30 tail --pid="$emulator" -f /dev/null
is "an emulator dies with its supervisor" $? 0
hostbed down disks >"$out"
is "and nothing is left" "$? $(ls "$XDG_RUNTIME_DIR/hostbed")" "0 lock"

# ---- what is refused
up
for words in "error=" "error=some" "suspend=never" "sector=1" "once=on" "error=off once=on" "error=read suspend=write" "resume sector=1" \
    "error=read sector=-1" "error=read sector=131072" "error=flush sector=1" "stop" "error=read error=write" "error=read sector=1 sector=2" "resume resume"; do
    # shellcheck disable=SC2086 # several words
    hostbed disk l1 $disk $words 2>/dev/null
    echo $?
done >"$out"
is "what is no fault is refused" "$(sort -u "$out")" 2
change l1 $disk error=read error=write
has "also one that is said twice" "$err" "'error=write': say that once"
change l1 $disk error=off sector=8
is "and why is one sentence" "$(cat "$err")" "hostbed: error=off ends all errors of the disk; leave sector and once out"
change l1 $disk resume suspend=read
is "each time" "$(cat "$err")" "hostbed: error, suspend and resume: one of them at a time"
change l1 cell0 resume
is "what is no disk, too" "$? $(grep -c "no disk of l1 is called 'cell0'; there are $disk" "$err")" "2 1"
wrong() { # SENTENCE WORD…
    local sentence=$1
    shift
    change l1 $disk "$@"
    is "what is wrong with $* is said" "$? $(cat "$err")" "2 hostbed: $sentence"
}
wrong "no requests are called 'raed'; did you mean read?" error=raed
wrong "no requests are called 'some'; there are read, write, flush, all, off" error=some
wrong "requests do not stand still at 'never'; there are read, write, written, flush" suspend=never
wrong "'x' is no number of a sector, of which the first is 0" error=read sector=x
wrong "'yes' is neither once=on nor once=off" error=read once=yes
wrong "'eror=read' is nothing that a disk does; did you mean error=?" eror=read
change l1 $disk error=read
change l1 $disk resume
is "where nothing stands still nothing goes on" "$? $(cat "$out")" "0 l1: nothing of the disk $disk stands still"
change --json l1 $disk error=read
is "a change is told to programs, too" "$? $(grep -c '"already" : true\|"on" : "read"' "$out")" "0 2"
hostbed disk --help >"$out"
has "help has all words" "$out" 'error=REQUESTS \[sector=NUMBER\] \[once=on\]|error=off|suspend=POINT|resume'
change --json l1
has "disks are told for programs" "$out" '"bytes" : 67108864'
done_testing
