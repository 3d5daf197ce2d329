#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The four sizes of disk images that qemu-img has made, against what qemu-img and the file system say.
. "${HOSTBED_SOURCE_DIR:?run this by make check}/harness/tests/tap.sh"

command -v qemu-img >/dev/null || skip_all "qemu-img is not installed"
cd "$tap_dir" || bail "no folder of its own"

# size NAME FILE: one of the four, in bytes
size() { hostbed image info --json "$2" 2>"$tap_dir/err" | sed -n "s/^  \"$1\" : \([0-9]*\),*$/\1/p"; }
# measured WORD ARGUMENT…: what qemu-img measure says: fully-allocated, bitmaps
measured() { qemu-img measure --output=json -O qcow2 "${@:2}" 2>"$tap_dir/err" | sed -n "s/^ *\"$1\": \([0-9]*\),*$/\1/p"; }

# is_measured NAME FILE OPTIONS WHAT…: the commitment of FILE is as measured, of WHAT (--size N, or a file), or
# what is there already, where the file system's blocks are larger than all of it
is_measured() {
    local asked is_there
    asked=$(measured fully-allocated -o "$3" "${@:4}")
    is_there=$(($(stat -c %b "$2") * 512))
    [ "${asked:-0}" -ge "$is_there" ] || asked=$is_there
    is "$1" "$(size commitment "$2") bytes" "$asked bytes"
}

# ---- the table of "Defining storage: capacity, length, allocation, commitment" (2017): a disk of 40 GB
# in the article's own units: what ls -h and du -h make of them, which round up

article() { # NAME CAPACITY LENGTH ALLOCATION COMMITMENT FILE
    local found='' word
    for word in capacity length allocation commitment; do
        found+="$(numfmt --to=iec --round=up --format=%.3f "$(size $word "$6")" |
            awk '{ unit = substr($0, length); n = $0 + 0; up = (n == int(n)) ? n : int(n) + 1
                   tenth = n * 10; tenth = (tenth == int(tenth)) ? tenth : int(tenth) + 1
                   print ((unit ~ /[0-9]/) ? n : (n < 10 ? tenth / 10 : up) unit "B") }') "
    done
    is "the article's $1" "$found" "$2 $3 $4 $5 "
}
truncate -s 40G raw
qemu-img create -q -f qcow2 plain 40G
qemu-img create -q -f qcow2 -o preallocation=metadata metadata 40G
article "raw (sparse)" 40GB 40GB 0 40GB raw
article "qcow2 (grow on demand)" 40GB 193KB 196KB 41GB plain
if [ "$(stat -c %b metadata)" -lt 100000 ]; then
    article "qcow2 (prealloc metadata)" 40GB 41GB 6.5MB 41GB metadata
else
    skip "the article's qcow2 (prealloc metadata)" "this file system makes no holes"
fi
# Those that are there as a whole, at a size that a test may write: the relations are the table's.
truncate -s 4M full.raw
if fallocate -l 4M full.raw 2>"$tap_dir/err" && qemu-img create -q -f qcow2 -o preallocation=falloc full 64M 2>"$tap_dir/err"; then
    is "raw (prealloc): all are the same" "$(for word in capacity length allocation commitment; do size $word full.raw; done | sort -u | wc -l)" 1
    is "qcow2 (prealloc all): length and commitment are the same" "$(size length full)" "$(size commitment full)"
    is "qcow2 (prealloc all): the allocation is what du says" "$(size allocation full)" "$(($(stat -c %b full) * 512))"
    [ "$(size allocation full)" -ge $((64 << 20)) ] && ok "qcow2 (prealloc all): it is all there" || not_ok "qcow2 (prealloc all): it is all there"
else
    skip "those that are there as a whole" "this file system does not preallocate"
fi
rm -f full full.raw

# ---- what qemu-img calls fully allocated

for options in cluster_size=512 cluster_size=4k cluster_size=64k cluster_size=2M compat=0.10 \
    compat=0.10,cluster_size=512 refcount_bits=1 refcount_bits=64,cluster_size=4k lazy_refcounts=on \
    compat=1.1,extended_l2=on,cluster_size=128k compression_type=zstd; do
    for bytes in 1000448 68719476736; do
        rm -f disk
        # a disk of 64 GiB is more than the smallest clusters have tables for
        case $options/$bytes in *=512/68719476736) bytes=8589934592 ;; esac
        if qemu-img create -q -f qcow2 -o "$options" disk $bytes 2>"$tap_dir/err"; then
            is_measured "$options, $bytes bytes" disk "$options" --size $bytes
        else
            skip "$options, $bytes bytes" "qemu-img cannot make it"
        fi
    done
done

# Written: the commitment stays, and what is there now comes near to it.
rm -f disk
qemu-img create -q -f qcow2 disk 8M
qemu-io -f qcow2 -c 'write -P 1 0 8M' disk >/dev/null
is_measured "all is written" disk compat=1.1 --size 8M
[ "$(size allocation disk)" -le "$(size commitment disk)" ] && ok "and no more than that is taken" || not_ok "and no more than that is taken"
qemu-img create -q -f qcow2 -b plain -F qcow2 overlay
is_measured "an overlay" overlay compat=1.1 --size 40G
is "an overlay's backing file is told" "$(hostbed image info overlay | sed -n 's/^  backing file: //p')" "plain (qcow2)"

# LUKS: its header comes on top. qemu-img measures the machine first, which fails on a busy one, and says so.
luks=encrypt.format=luks,encrypt.key-secret=secret,encrypt.iter-time=10
# patiently COMMAND…: again, as long as that is why it fails
patiently() {
    local i
    for ((i = 0; i < 100; i++)); do
        "$@" 2>"$tap_dir/err" && return
        grep -q 'CPU usage' "$tap_dir/err" || return
    done
    return 1
}
luks_disk() { qemu-img "$1" "${@:2}" --object secret,id=secret,data=x -o $luks; }
if patiently luks_disk create -q -f qcow2 crypt 64M && patiently luks_disk measure --size 64M --output=json -O qcow2 >luks.json; then
    is "LUKS" "$(size commitment crypt)" "$(sed -n 's/^ *"fully-allocated": \([0-9]*\),*$/\1/p' luks.json)"
else
    skip "LUKS" "qemu-img cannot make it: $(tail -n 1 "$tap_dir/err")"
fi
if qemu-img bitmap --add disk first 2>"$tap_dir/err" && qemu-img bitmap --add -g 512 disk second; then
    is "bitmaps" "$(size commitment disk)" "$(($(measured fully-allocated -f qcow2 disk) + $(measured bitmaps -f qcow2 disk)))"
else
    skip "bitmaps" "qemu-img cannot make them"
fi

# ---- what qemu-img does not say: the worst case is made, and the file takes no more

worst() { # NAME FILE: the sizes behind it
    local is_there most=$2
    is_there=$(($(stat -c %b "$2") * 512))
    [ "$is_there" -le "$commitment" ] && ok "$1: no more is taken than was said" || not_ok "$1: $is_there of $most, $commitment were said"
}
rm -f disk
qemu-img create -q -f qcow2 disk 8M
qemu-io -f qcow2 -c 'write -P 1 0 8M' disk >/dev/null
for name in first second; do
    qemu-img snapshot -c $name disk
    qemu-io -f qcow2 -c 'write -P 2 0 4M' disk >/dev/null
done
commitment=$(size commitment disk)
qemu-io -f qcow2 -c 'write -P 3 0 8M' disk >/dev/null
worst "snapshots" disk
is "once all is written the commitment of snapshots stays" "$(size commitment disk)" "$commitment"
is "snapshots are counted" "$(hostbed image info --json disk | sed -n 's/.*"snapshots" : \([0-9]*\).*/\1/p')" 2

# Each cluster a little smaller once it is compressed, so that most lie in two of the file's.
for ((i = 0; i < 64; i++)); do head -c 60000 /dev/urandom; head -c 5536 /dev/zero; done >semi
qemu-img convert -q -c -O qcow2 semi packed
commitment=$(size commitment packed)
for ((at = 0; at < 4096; at += 128)); do printf 'write -P 3 %dk 64k\n' $at; done | qemu-io -f qcow2 packed >/dev/null
worst "compressed, every other cluster written again" packed
[ "$(size length packed)" -gt "$(measured fully-allocated --size 4M)" ] && ok "and that is more than qemu-img measures" || not_ok "and that is more than qemu-img measures"

qemu-img create -q -f qcow2 -o data_file=outside disk2 8M
[ "$(size commitment disk2)" -lt 1000000 ] && ok "what is in a data file is not in this one" || not_ok "what is in a data file is not in this one"
is "the data file is told" "$(hostbed image info disk2 | sed -n 's/^  what the guest writes is in: //p')" outside

# ---- on a terminal

if [ "$(LC_ALL=C.UTF-8 locale charmap 2>/dev/null)" != UTF-8 ]; then
    skip "on a terminal" "this machine has no UTF-8"
elif has_terminal; then
    terminal() { TERM=xterm LC_ALL=C.UTF-8 script -qec "$build_dir/run hostbed image info metadata" /dev/null </dev/null >"$tap_dir/out"; }
    terminal
    has "the capacity is a bar, and a little less than all" "$tap_dir/out" '^  capacity    █{39}·  '
    has "so is the allocation, and more than nothing" "$tap_dir/out" '^  allocation  █+·+  '
    is "NO_COLOR is heeded" "$(grep -c "$(printf '\033')" "$tap_dir/out")" 0
    NO_COLOR='' terminal
    is "without it there is colour" "$(grep -c "$(printf '\033')" "$tap_dir/out")" 4
else
    skip "on a terminal" "$why"
fi
hostbed image info metadata >"$tap_dir/out"
is "elsewhere there are no bars" "$(grep -c '█' "$tap_dir/out")" 0

# ---- files that are none

hostbed image info nowhere >"$tap_dir/out" 2>"$tap_dir/err"
is "what is not there: status" $? 2
has "what is not there" "$tap_dir/err" '^hostbed: nowhere cannot be read: '
hostbed image info . >"$tap_dir/out" 2>"$tap_dir/err"
has "a folder" "$tap_dir/err" '^hostbed: \. is neither a file nor a block device$'
mkfifo fifo
hostbed image info fifo >"$tap_dir/out" 2>"$tap_dir/err"
has "nobody waits for who writes to a FIFO" "$tap_dir/err" '^hostbed: fifo is neither'
head -c 200000 metadata >short
hostbed image info short >"$tap_dir/out" 2>"$tap_dir/err"
is "a file that was cut: status" $? 2
has "a file that was cut" "$tap_dir/err" '^hostbed: short is damaged: '
hostbed image info --format vmdk raw >"$tap_dir/out" 2>"$tap_dir/err"
is "there are two formats" $? 2
: >empty
is "an empty file is raw" "$(size capacity empty)$(size commitment empty)" 00
done_testing
