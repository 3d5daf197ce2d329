#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hosts that are clones of a template: the same host for everybody, and yet each one's own.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?run this by make check-vm}/harness/tests/tap.sh"

lab="$source_dir/topologies/berrange-2017.xml"

# What a suite must not find of the one before, and what makes it another host.
cat >"$tap_dir/first" <<'SCRIPT'
#!/bin/sh
echo 1..1
echo "# random $(od -An -N16 -tx1 /dev/urandom | tr -d ' ')"
echo "# clock $(date +%s)"
# In a clone the kernel is told by an interrupt, which comes when it comes.
[ -z "$IS_CLONE" ] || for _ in $(seq 600); do dmesg | grep -q 'virtual machine fork' && break; sleep 0.1; done
echo "# forks $(dmesg | grep -c 'crng reseeded due to virtual machine fork')"
if mkdir /tmp/mark 2>/dev/null && echo 7 >/proc/sys/vm/swappiness; then echo "ok 1 - untouched"
else echo "not ok 1 - untouched"; fi
SCRIPT
chmod +x "$tap_dir/first"
cp "$tap_dir/first" "$tap_dir/second"
cp "$tap_dir/first" "$tap_dir/third"
# So that the clocks of those after it, were they not set, would be behind: by more than is let pass below.
cp "$tap_dir/first" "$tap_dir/takes-long"
echo 'sleep 4' >>"$tap_dir/takes-long"

# said WORD: what each suite said of it
said() { sed -n "s/^# $1 //p" "$logs"/*/clone-*/*.tap; }
nonces() { cat "$logs"/*/agent.log "$logs"/*/clone-*/agent.log | grep -o 'nonce=[0-9a-f]*'; }

clones_are_whole() { # EMULATOR
    local version tap wrong=
    version=$(emulator_version "$1")
    logs="$tap_dir/logs-$version"
    hostbed test --accel tcg --emulator "$1" --check-clones --jobs 1 --log-dir "$logs" --json "$tap_dir/json" "$lab" \
        --env IS_CLONE=yes --suite "$tap_dir/takes-long" --suite "$tap_dir/second" --suite "$tap_dir/third" >"$tap_dir/tap" 2>"$tap_dir/err"
    is "suites find the host as it was at first, with QEMU $version" $? 0
    has "it is said how the template was made" "$tap_dir/json" '"template" : "frozen in [0-9.]+ s"'
    is "each suite had a clone" "$(ls -d "$logs"/*/clone-* | wc -l)" 3
    is "whose observation is the first host's, byte for byte" "$(cat "$logs"/*/observation "$logs"/*/clone-*/observation |
        cmp - <(for _ in 1 2 3 4; do cat "$logs"/berrange-2017-l1/observation; done) && echo same)" same
    is "they are one host that was not booted again" "$(nonces | sort -u | wc -l)" 1
    is "they do not repeat each other's random numbers" "$(said random | sort -u | wc -l)" 3
    is "whose kernels drew them anew by themselves, once" "$(said forks | sort | uniq -c | xargs)" "3 1"
    # The file "command" is written when the clone is spawned.
    for tap in "$logs"/*/clone-*/*.tap; do
        awk -v clock="$(sed -n 's/^# clock //p' "$tap")" -v spawned="$(stat -c %Y "${tap%/*}/command")" \
            'BEGIN { exit !(clock >= spawned - 2 && clock <= spawned + 100) }' || wrong="$wrong $tap"
    done
    is "their clocks are right" "$wrong" ""
}

while read -r emulator; do
    clones_are_whole "$emulator"
done < <(emulators)

# A clone wakes up in silence: on its networks there is nothing that its guest did not send.
sed 's|<host|<network id="wire"/><host|; s|<nic/>|<nic network="wire"/>|' "$source_dir/topologies/smallest.xml" \
    >"$tap_dir/wired.xml"
while read -r emulator; do
    logs="$tap_dir/wired-$(emulator_version "$emulator")"
    hostbed test --accel tcg --emulator "$emulator" --capture --log-dir "$logs" "$tap_dir/wired.xml" \
        --suite 'sleep 2' --suite 'sleep 2' >"$tap_dir/tap" 2>"$tap_dir/err"
    is "clones are captured" "$? $(find "$logs" -path '*/clone-*' -name wire.pcap | wc -l)" "0 2"
    is "and send nothing by themselves" "$(find "$logs" -name wire.pcap -size +24c)" ""
done < <(emulators)

has "emulators take large pages" "$(ls "$logs"/*/clone-1/events.log)" \
    'environment: .* GLIBC_TUNABLES=glibc\.malloc\.hugetlb=1( |$)'

# Each case on a host of its own, and one host for all.
hostbed test --accel tcg --isolate case --log-dir "$tap_dir/cases" "$lab" 'numa/*_node*' >"$tap_dir/tap" 2>"$tap_dir/err"
is "cases run on hosts of their own" $? 0
is "as many as there are cases" "$(ls -d "$tap_dir"/cases/*/clone-* | wc -l)" "$(grep -c '^ok' "$tap_dir/tap")"
hostbed test --accel tcg --isolate none --log-dir "$tap_dir/none" "$lab" \
    --suite "$tap_dir/first" --suite "$tap_dir/second" >"$tap_dir/tap" 2>"$tap_dir/err"
is "who asks for no isolation gets none" $? 1
has "and a suite finds what another left" "$tap_dir/tap" '^not ok .*second/untouched'
hostbed test --accel tcg --cold --isolate suite --log-dir "$tap_dir/cold" "$lab" \
    --suite "$tap_dir/first" --suite "$tap_dir/second" >"$tap_dir/tap" 2>"$tap_dir/err"
is "without templates isolation costs a start" $? 0
is "of which there are two" "$(find "$tap_dir/cold" -name command | wc -l)" 2

# What suites start from is made once, processes included.
cat >"$tap_dir/prepares" <<'SCRIPT'
#!/bin/sh
echo once >>/tmp/prepared
setsid sleep 100000 </dev/null >/dev/null 2>&1 &
echo $! >/tmp/sleeper
SCRIPT
cat >"$tap_dir/prepared" <<'SCRIPT'
#!/bin/sh
[ "$(cat /tmp/prepared)" = once ] && kill -0 "$(cat /tmp/sleeper)" && kill "$(cat /tmp/sleeper)"
SCRIPT
chmod +x "$tap_dir/prepares" "$tap_dir/prepared"
hostbed test --accel tcg --prepare "$tap_dir/prepares" --log-dir "$tap_dir/prepare" "$lab" \
    --suite "$tap_dir/prepared" --suite "$tap_dir/prepared again" >"$tap_dir/tap" 2>"$tap_dir/err"
is "suites start from what was prepared" $? 0
is "each of them in a clone" "$(find "$tap_dir/prepare" -path '*/clone-*/command' | wc -l)" 2
printf '#!/bin/sh\necho "there is no flux\nnor a part" >&2\nexit 3\n' >"$tap_dir/prepares"
hostbed test --accel tcg --prepare "$tap_dir/prepares" "$source_dir/topologies/smallest.xml" \
    --suite "$tap_dir/prepared" >"$tap_dir/tap" 2>"$tap_dir/err"
is "a host that cannot be prepared is a failure" $? 1
has "that says why" "$tap_dir/tap" "which was to prepare the host, ended with status 3; it said last: there is no flux . nor a part;"

# A host that is kept is kept as it was checked; what is prepared in a clone of it is frozen, and kept, again.
cat >"$tap_dir/prepares" <<'SCRIPT'
#!/bin/sh
[ ! -e /tmp/prepared ] && [ ! -e /tmp/mark ] && echo once >/tmp/prepared && modprobe vfio-pci
SCRIPT
cat >"$tap_dir/prepared" <<'SCRIPT'
#!/bin/sh
[ "$(cat /tmp/prepared)" = once ] && [ -e /sys/bus/pci/drivers/vfio-pci ] && mkdir /tmp/mark
SCRIPT
chmod +x "$tap_dir/prepares" "$tap_dir/prepared"
stacked() ( # LOGS
    own_cache kept
    hostbed test --accel tcg --keep --check-clones --prepare "$tap_dir/prepares" --log-dir "$1" \
        "$source_dir/topologies/smallest.xml" --module vfio-pci --suite "$tap_dir/prepared" --suite "$tap_dir/prepared again" \
        >"$tap_dir/tap" 2>"$tap_dir/err"
)
stacked "$tap_dir/stacked"
is "a kept host is prepared in a clone" $? 0
has "and frozen and kept again" "$tap_dir/err" 'frozen in .*, kept as [0-9a-f]*; prepared in [0-9.]* s, kept as [0-9a-f]*$'
stacked "$tap_dir/again"
is "the one that was kept is as it was" $? 0
has "and so is what was prepared" "$tap_dir/err" 'kept since .*; prepared, kept since 20[^ ]* as [0-9a-f]*$'
is "all are one host each time" "$(cat "$tap_dir"/stacked/*/agent.log "$tap_dir"/{stacked,again}/*/{prepared-1,clone-*}/agent.log |
    grep -o 'nonce=[0-9a-f]*' | sort -u | wc -l)" 1

# What cannot be frozen.
sed 's|<nic/>|<nvme/>|' "$source_dir/topologies/smallest.xml" >"$tap_dir/nvme.xml"
hostbed test --accel tcg --log-dir "$tap_dir/nvme" "$tap_dir/nvme.xml" numa pci >"$tap_dir/tap" 2>"$tap_dir/err"
is "a host whose state cannot be written serves all suites itself" $? 0
has "and the emulator's reason is told" "$tap_dir/err" 'is no clone of a template: it cannot be frozen: .*nvme'
is "before a suite has run, and in the summary" "$(grep -c 'cannot be frozen' "$tap_dir/err")" 2
is "it was started once" "$(find "$tap_dir/nvme" -name command | wc -l)" 1

# Whatever dies: nothing is left.
cat >"$tap_dir/waits" <<'SCRIPT'
#!/bin/sh
echo 1..1
sleep 1000
SCRIPT
chmod +x "$tap_dir/waits"
"$build_dir/run" hostbed test --accel tcg --log-dir "$tap_dir/killed" "$lab" \
    --suite "$tap_dir/first" --suite "$tap_dir/waits" >"$tap_dir/tap" 2>"$tap_dir/err" &
pid=$!
until grep -qs '^1\.\.1' "$tap_dir"/killed/*/clone-2/waits.tap || ! kill -0 $pid 2>/dev/null; do sleep 0.2; done
clone=$(sed -n 's/.* as process \([0-9]*\)$/\1/p' "$tap_dir"/killed/*/clone-2/command)
kill -0 "$clone" && ok "a clone runs" || not_ok "a clone runs" "$tap_dir/err"
kill -KILL $pid
for _ in $(seq 300); do kill -0 "$clone" 2>/dev/null || break; sleep 0.1; done
kill -0 "$clone" 2>/dev/null && not_ok "it ends with hostbed" || ok "it ends with hostbed"

done_testing
