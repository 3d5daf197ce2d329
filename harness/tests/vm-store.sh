#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Templates that are kept between runs: the second one starts no host, and what is wrong is made anew.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?run this by make check-vm}/harness/tests/tap.sh"

lab="$source_dir/topologies/berrange-2017.xml"
small="$source_dir/topologies/smallest.xml"
entries() { find "$store" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l; }
# starts DIR: how many hosts whose logs are there were started, and are no clones
starts() { find "$1" -name command -exec grep -L -e '-incoming' {} + | wc -l; }
# nonces DIR: those of the hosts that spoke, each once; a host that is started has one of its own
nonces() { find "$1" -name agent.log -exec cat {} + | grep -o 'nonce=[0-9a-f]*' | sort -u | paste -sd+; }

# key_of_nonce "nonce=NUMBER STARTS": that of the template whose host has it; times of use may be the same
key_of_nonce() {
    local number=${1%% *}
    number=${number#nonce=}
    [ -n "$number" ] || return 0
    grep -l "\"nonce\" : \"$number\"" "$store"/*/template.json | sed 's|/template.json$||; s|.*/||'
}

# test_twice EMULATOR
test_twice() {
    local version
    version=$(emulator_version "$1")
    logs="$tap_dir/test-$version"
    hostbed test --keep --accel tcg --emulator "$1" --log-dir "$logs" "$lab" numa >"$tap_dir/tap" 2>"$tap_dir/err"
    is "suites pass where a template is made, with QEMU $version" $? 0
    has "it is told that it is kept" "$tap_dir/err" 'berrange-2017/l1: frozen in [0-9.]+ s, kept as [0-9a-f]{12}$'
    is "one host was started" "$(starts "$logs")" 1
    hostbed test --keep --accel tcg --emulator "$1" --log-dir "$logs" --json "$tap_dir/json" "$lab" manifest pci iommu \
        >"$tap_dir/tap" 2>"$tap_dir/err"
    is "and other suites pass where it is found" $? 0
    is "no host was started for them" "$(starts "$logs")" 1
    is "they ran in the host that was, and in no other" "$(nonces "$logs" | tr + '\n' | wc -l)" 1
    is "each in a clone of its own" "$(ls -d "$logs"/*/clone-* | wc -l)" 3
    has "it is told since when it is kept" "$tap_dir/json" '"template" : "kept since 20[^"]* as [0-9a-f]{12}"'
    has "the check is of this run" "$tap_dir/tap" '^ok 1 - berrange-2017/l1/manifest/'
    hostbed template key --accel tcg --emulator "$1" "$lab" >"$tap_dir/key"
    hostbed template list --json >"$tap_dir/list"
    has "its key is known beforehand" "$tap_dir/list" "\"key\" : \"$(cut -d' ' -f1 "$tap_dir/key")\""
}

# warm NAME ARGUMENT…: status, nonce of the host, and how many were started for it
warm() {
    local name=$1
    shift
    hostbed run --warm --accel tcg --log-dir "$tap_dir/warm-$name" "$@" "$small" -- \
        cat /proc/sys/kernel/random/uuid </dev/null >"$tap_dir/out-$name" 2>"$tap_dir/err-$name"
    echo "$? $(nonces "$tap_dir/warm-$name") $(starts "$tap_dir/warm-$name")"
}

# run_twice EMULATOR
run_twice() {
    local version first second
    version=$(emulator_version "$1")
    first=$(warm "first-$version" -v --emulator "$1")
    second=$(warm "second-$version" -v --emulator "$1")
    is "a command runs where a template is made, with QEMU $version" "${first%% *} ${first##* }" "0 1"
    is "and then in a clone of the same start" "$second" "${first% *} 0"
    has "the first is told that it is made" "$tap_dir/err-first-$version" 'of smallest/l1: made now, and kept as [0-9a-f]{12}$'
    is "what is done for it is told once" "$(grep -c 'building the image' "$tap_dir/err-first-$version")" 1
    has "the second that it is found" "$tap_dir/err-second-$version" 'of smallest/l1: kept since 20[^ ]* as [0-9a-f]{12}$'
    is "with other random numbers" "$(cat "$tap_dir/out-first-$version" "$tap_dir/out-second-$version" | sort -u | wc -l)" 2
}

own_cache here
while read -r emulator; do
    test_twice "$emulator"
    run_twice "$emulator"
done < <(emulators)

# What is kept is called as `template key` says, whatever is in the host.
printf '#!/bin/sh\nexit 0\n' >"$tap_dir/suite"
chmod +x "$tap_dir/suite"
cp "$tap_dir/suite" "$tap_dir/prepares"
# kept_as NAME: the keys of what is kept; nothing is then
kept_as() {
    ls "$store"
    hostbed template rm --all >"$tap_dir/removed"
}
own_cache keys
same_key() { # NAME ARGUMENT…
    local name=$1 key
    shift
    key=$(hostbed template key --accel tcg "$@" "$small" | cut -d' ' -f1 | sort)
    hostbed test --keep --accel tcg "$@" "$small" >"$tap_dir/tap" 2>"$tap_dir/err"
    is "$name has the key that is told" "$? $(kept_as)" "0 $key"
}
same_key "a suite of somebody else" --suite "$tap_dir/suite"
same_key "each layer of one with much in its host" --suite "$tap_dir/suite" --prepare "$tap_dir/prepares" \
    --prepare 'touch /tmp/it' --env A=b --bind nic \
    --with sort --copy "$tap_dir/suite:/opt/it" --module nvme --chdir /opt
key=$(hostbed template key --warm --accel tcg --bind nic --copy "$tap_dir/suite:/opt/it" "$small" -- "$tap_dir/suite" | cut -d' ' -f1)
hostbed run --warm --accel tcg --bind nic --copy "$tap_dir/suite:/opt/it" "$small" -- "$tap_dir/suite" 2>"$tap_dir/err"
is "so has a command of this machine" "$? $(kept_as)" "0 $key"
key=$(hostbed template key --warm --accel tcg "$small" | cut -d' ' -f1)
hostbed run --warm --accel tcg "$small" -- true 2>"$tap_dir/err"
is "and one of the host's, which need not be named" "$? $(kept_as)" "0 $key"

# What will never be kept has none. No guest runs for that.
sed 's|<nic/>|<nvme/>|' "$small" >"$tap_dir/nvme.xml"
sed 's|</host>|<qemu><arg value="-device"/><arg value="pci-testdev,addr=1c.0"/></qemu></host>|' "$small" >"$tap_dir/raw.xml"
hostbed template key --accel tcg "$tap_dir/nvme.xml" "$tap_dir/raw.xml" "$small" >"$tap_dir/out" 2>"$tap_dir/err"
is "hosts that cannot be frozen have no key, and others do" "$? $(wc -l <"$tap_dir/out")" "3 1"
has "the emulator says why" "$tap_dir/err" 'smallest/l1: it cannot be frozen: .*nvme'
has "and so do arguments that are not known" "$tap_dir/err" "smallest/l1: it cannot be frozen: .* raw argument '-device'"
sed 's|</host>|<qemu><arg value="-rtc"/><arg value="base=utc"/></qemu></host>|' "$small" >"$tap_dir/rtc.xml"
hostbed test --keep --accel tcg "$tap_dir/rtc.xml" numa >"$tap_dir/tap" 2>"$tap_dir/err"
is "a raw argument that is known is no obstacle" "$? $(kept_as)" "0 $(hostbed template key --accel tcg "$tap_dir/rtc.xml" | cut -d' ' -f1)"
hostbed run --warm -v --accel tcg "$tap_dir/nvme.xml" -- true 2>"$tap_dir/err"
is "what cannot be frozen serves a command" $? 0
is "which is told why before the host is up" "$(grep -n -m1 -e 'not kept: it cannot be frozen: .*nvme' -e 'waiting for the host' "$tap_dir/err" |
    grep -c 'not kept')" 1
own_cache here

# What --prepare makes is kept, layer upon layer; what is changed is made anew, and what is above.
for word in one two three; do
    printf '#!/bin/sh\necho %s >>/tmp/past\n' "$word" >"$tap_dir/adds-$word"
done
printf '#!/bin/sh\n[ "$(paste -sd+ /tmp/past)" = "$1" ] && mkdir /tmp/mark\n' >"$tap_dir/has-past"
chmod +x "$tap_dir"/{adds-one,adds-two,adds-three,has-past}
# layered NAME PAST ARGUMENT…: status, how many hosts were started, and which layers were prepared
layered() {
    local name=$1 past=$2
    shift 2
    hostbed test --keep --check-clones --accel tcg --log-dir "$tap_dir/$name" --prepare "$tap_dir/adds-one" \
        --prepare "$tap_dir/adds-two" "$@" --suite "$tap_dir/has-past $past" --suite "$tap_dir/has-past '$past'" \
        "$small" >"$tap_dir/tap-$name" 2>"$tap_dir/err-$name"
    echo "$? $(starts "$tap_dir/$name") $(find "$tap_dir/$name" -name prepare.log | sed 's|/prepare.log$||; s|.*/||' | sort | paste -sd+)"
}
own_cache layers
is "each layer is prepared once" "$(layered first one+two)" "0 1 prepared-1+prepared-2"
has "and kept" "$tap_dir/err-first" 'layer 1 of 2 prepared in [0-9.]* s, kept as .*; layer 2 of 2 prepared in [0-9.]* s, kept as [0-9a-f]{12}$'
is "and no more" "$(layered second one+two)" "0 0 "
has "the topmost is taken" "$tap_dir/err-second" 'kept since .*; layer 2 of 2 prepared, kept since 20[^;]* as [0-9a-f]{12}$'
is "all are one host" "$(nonces "$tap_dir/first")" "$(nonces "$tap_dir/second")"
is "a layer more stands on those that are there" "$(layered third one+two+three --prepare "$tap_dir/adds-three")" "0 0 prepared-3"
sed -i s/two/zwei/ "$tap_dir/adds-two"
is "one that is changed is prepared anew, and what is above" "$(layered changed one+zwei+three --prepare "$tap_dir/adds-three")" \
    "0 0 prepared-2+prepared-3"
hostbed template list >"$tap_dir/list"
is "all are listed" "$(grep -o 'prepared [0-9]$' "$tap_dir/list" | sort | paste -sd+)" "prepared 1+prepared 2+prepared 2+prepared 3+prepared 3"
printf '#!/bin/sh\necho "there is no flux" >&2\nexit 3\n' >"$tap_dir/adds-three"
is "a layer that fails is a failure" "$(layered fails none --prepare "$tap_dir/adds-three")" "1 0 prepared-3"
has "which names it" "$tap_dir/tap-fails" "three', which was to prepare the host \(layer 3 of 3\), ended with status 3; it said last: there is no flux"
top=$(sed -n 's/.*layer 2 of 2 prepared, kept since .* as \([0-9a-f]*\)$/\1/p' "$tap_dir/err-second")
chmod +w "$store/$top"*/state
echo x >>"$(echo "$store/$top"*/state)"
sed -i s/zwei/two/ "$tap_dir/adds-two"
is "one that is damaged is made anew" "$(layered damaged one+two)" "0 0 prepared-2"
has "which is told" "$tap_dir/err-damaged" 'layer 2 of 2 prepared, thrown away: .*; layer 1 of 2 prepared, kept since .*; layer 2 of 2 prepared in'
own_cache here

# To another machine.
here=$(warm here)
key=$(key_of_nonce "${here#* }")
is "its template is found by its host's nonce" "${#key}" 64
hostbed template export "${key:0:12}" >"$tap_dir/archive"
is "a template is exported" $? 0
is "without what is empty" "$(($(stat -c %s "$tap_dir/archive") < 100000000))" 1
own_cache there
is "it is imported elsewhere" "$(hostbed template import "$tap_dir/archive" 2>&1)" "$key"
is "where it lives" "$(warm there)" "$here"

# Clones leave it as it was, down to the last byte.
hostbed template export "$key" -o "$tap_dir/after" && cmp "$tap_dir/archive" "$tap_dir/after"
is "clones have changed nothing" $? 0
hostbed template export "$key" -o /dev/full 2>"$tap_dir/err"
is "where there is no room it is not exported" $? 8
has "which is told, and where" "$tap_dir/err" '/dev/full: the archive cannot be written: No space left on device'

# Damaged: what its mark shows, and what only its end does.
chmod u+w "$store/$key/state"
printf x | dd of="$store/$key/state" conv=notrunc status=none
damaged=$(warm damaged)
is "one that was written to is made anew" "${damaged%% *} ${damaged##* }" "0 1"
has "which is told" "$tap_dir/err-damaged" 'thrown away, and made anew: its file state was written to'
is "and it is whole" "$(warm repaired)" "${damaged% *} 0"
chmod u+w "$store/$key/state"
mark=$(stat -c %Y "$store/$key/state")
size=$(stat -c %s "$store/$key/state")
head -c "$size" /dev/urandom >"$store/$key/state"
touch -d "@$mark" "$store/$key/state"
chmod 0400 "$store/$key/state"
broken=$(warm broken)
is "one that does not live is made anew" "${broken%% *} ${broken##* }" "0 1"
has "which is told, too" "$tap_dir/err-broken" 'thrown away, and made anew'
is "and nothing else is there" "$(entries)" 1

# What answers, and is another host than it is said to be.
chmod u+w "$store"/*/template.json
for about in "$store"/*/template.json; do
    mark=$(stat -c %Y "$about")
    sed -i 's/"nonce" : "./"nonce" : "x/' "$about"
    touch -d "@$mark" "$about"
done
other=$(warm other)
is "one that is another host is made anew" "${other%% *} ${other##* }" "0 1"
has "which is told as well" "$tap_dir/err-other" 'made anew: the clone is not the host that was frozen'

# The same for suites.
hostbed test --keep --accel tcg "$small" numa >"$tap_dir/tap" 2>"$tap_dir/err"
key=$(hostbed template key --accel tcg "$small" | cut -d' ' -f1)
chmod u+w "$store/$key/state"
mark=$(stat -c %Y "$store/$key/state")
head -c "$(stat -c %s "$store/$key/state")" /dev/zero >"$store/$key/state"
touch -d "@$mark" "$store/$key/state"
chmod 0400 "$store/$key/state"
hostbed test --keep --accel tcg --log-dir "$tap_dir/again" "$small" numa >"$tap_dir/tap" 2>"$tap_dir/err"
is "suites pass where it does not live" $? 0
has "it is told that it was made anew" "$tap_dir/err" 'kept as [0-9a-f]{12}; thrown away was the one before: '
is "of one host that was started" "$(starts "$tap_dir/again")" 1
is "the list tells which command each is for" "$(hostbed template list | awk '{ print $5 }' | sort | paste -sd' ')" "run test"

# Two that make the same.
hostbed template rm --all
warm one >"$tap_dir/one" &
other=$(warm two)
wait $!
is "two make the same at once" "$(cut -c1 "$tap_dir/one") ${other%% *}" "0 0"
is "and there is one" "$(entries)" 1
is "which lives" "$(warm three | cut -c1)$(starts "$tap_dir/warm-three")" 00

# kill_its_maker ARGUMENT…: hostbed ARGUMENT…, killed while it keeps; once more if this script slept while it was.
# Status, and how many folders it left.
kill_its_maker() {
    local killed='' pid
    for _ in 1 2 3 4 5; do
        hostbed template rm --all >/dev/null
        "$build_dir/run" hostbed "$@" >/dev/null 2>&1 &
        pid=$!
        until compgen -G "$store/.new-*" >/dev/null || ! kill -0 $pid 2>/dev/null; do sleep 0.02; done
        kill -KILL $pid 2>/dev/null
        wait $pid 2>/dev/null
        killed="$? $(find "$store" -mindepth 1 -maxdepth 1 -name '.new-*' | wc -l)"
        [ "$killed" != "137 1" ] || break
    done
    echo "$killed"
}

is "it is killed while it makes one" "$(kill_its_maker run --warm --accel tcg "$small" -- true)" "137 1"
hostbed template prune >/dev/null
is "what a killed one left goes" "$(find "$store" -name '.new-*' | wc -l)" 0
killed=$(warm killed)
is "and does no harm" "${killed%% *}" 0
hostbed template rm "$(hostbed template list | cut -c1-12)"
is "the last one is removed" "$(entries)" 0

# A lab of two hosts is one entry, which is found as a whole.
two="$source_dir/topologies/two-computes.xml"
# of_two NAME [SUITE]: of compute0, with compute1 as its peer: status, how many cases passed, how many hosts were started
of_two() {
    hostbed test --keep --accel tcg --log-dir "$tap_dir/two-$1" "$two" -s "compute0/${2-numa}/*" >"$tap_dir/out-$1" 2>"$tap_dir/err-$1"
    echo "$? $(grep -c '^ok' "$tap_dir/out-$1") $(starts "$tap_dir/two-$1")"
}
# write_unseen FILE: other bytes, of which its mark tells nothing
write_unseen() {
    local mark
    mark=$(stat -c %Y "$1")
    chmod u+w "$1"
    head -c "$(stat -c %s "$1")" /dev/urandom >"$tap_dir/noise"
    cat "$tap_dir/noise" >"$1"
    touch -d "@$mark" "$1"
    chmod 0400 "$1"
}

own_cache two
is "two hosts that networks join are started" "$(of_two made network)" "0 9 2"
has "and kept" "$tap_dir/err-made" 'two-computes/compute0: frozen in [0-9.]+ s, kept as [0-9a-f]{12}$'
is "then none is started, and all that is about the networks passes" "$(of_two found network)" "0 9 0"
has "in clones of what was found" "$tap_dir/err-found" 'two-computes/compute0: kept since 20[^ ]* as [0-9a-f]{12}$'
hostbed template key --accel tcg "$two" >"$tap_dir/key"
key=$(sed -n 's| *two-computes/compute0$||p' "$tap_dir/key")
is "they are one entry, whose key is known beforehand" "$(ls "$store")" "$key"
is "it is another one that has the other host first" "$(cut -d' ' -f1 "$tap_dir/key" | sort -u | wc -l)" 2
hostbed template list >"$tap_dir/list"
has "the list names both" "$tap_dir/list" 'two-computes/compute0 .*  with compute1$'
hostbed template export "$key" -o "$tap_dir/archive"
own_cache two-there
is "both are imported elsewhere" "$(hostbed template import "$tap_dir/archive" 2>&1)" "$key"
is "where they live" "$(of_two there network)" "0 9 0"

# A part that is damaged is the whole's damage.
passed=$(of_two undamaged)
write_unseen "$store/$key/networks"
is "where the networks were written to both hosts are started" "$(of_two networks)" "${passed% *} 2"
has "which is told" "$tap_dir/err-networks" 'kept as [0-9a-f]{12}; thrown away was the one before: its file networks is damaged'
write_unseen "$store/$key/peer-1-state"
is "so are they where one does not live" "$(of_two peer)" "${passed% *} 2"
has "which is told by its name" "$tap_dir/err-peer" "thrown away was the one before: host 'compute1': "
truncate -s 4096 "$store/$key/peer-1-memory-0"
is "and where its memory was cut" "$(of_two memory)" "${passed% *} 2"
has "which is told, too" "$tap_dir/err-memory" 'thrown away was the one before: its file peer-1-memory-0 has another size'
is "each time it is made anew, as a whole" "$(of_two repaired) $(entries)" "${passed% *} 0 1"

# Several makers, of which one is killed.
is "it is killed while it makes one of two hosts" "$(kill_its_maker test --keep --accel tcg "$two" -s 'compute0/numa/*')" "137 1"
is "of which nothing is found" "$(hostbed template list)" ""
of_two one >"$tap_dir/one" &
other=$(of_two other)
wait $!
is "two make the same of two hosts at once" "$(cut -d' ' -f1-2 "$tap_dir/one") ${other% *}" "${passed% *} ${passed% *}"
hostbed template prune >/dev/null
is "and there is one" "$(ls -A "$store")" "$key"
hostbed template rm "${key:0:12}"
is "which is removed as a whole" "$(entries)" 0

# What cannot be kept is used all the same.
sed 's|</host>|<qemu><arg value="-fw_cfg"/><arg value="name=opt/org.hostbed/x,file=/etc/hostname"/></qemu></host>|' \
    "$small" >"$tap_dir/named.xml"
hostbed run --warm --accel tcg "$tap_dir/named.xml" -- true 2>"$tap_dir/err"
is "a host with raw arguments serves a command" $? 0
has "but is not kept" "$tap_dir/err" 'not kept: it cannot be frozen: .* raw argument .-fw_cfg.'
is "indeed" "$(entries)" 0

done_testing
