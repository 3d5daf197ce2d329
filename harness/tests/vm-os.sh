#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A host that runs a distribution is the machine that was asked for, and commands and suites work in it as in the
# micro image. The image is built once, by hostbed itself, and kept with the other costly files.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"

lab=$source_dir/topologies/debian12.xml
out=$tap_dir/out
err=$tap_dir/err

needs_image_of "$lab"

open_overlays() { find "${XDG_CACHE_HOME:-$HOME/.cache}/hostbed/overlays" -mindepth 1 2>/dev/null | wc -l; }

for emulator in $(emulators); do
    version=$(emulator_version "$emulator")
    run() { hostbed run --accel tcg --emulator "$emulator" "$@"; }

    run "$lab" -- sh -c 'hostname; systemctl is-system-running; . /etc/os-release; echo $ID
        touch /written && ls /written; ls -d /sys/class/net/eth0 /sys/class/net/eth1; exit 3' >"$out" 2>"$err"
    is "the status is the command's, on $version" $? 3
    is "it ran in the distribution, whole, with a disk of its own, on $version" "$(tr '\n' ' ' <"$out")" \
        "l1 running debian /written /sys/class/net/eth0 /sys/class/net/eth1 "
    is "and left no file behind, on $version" "$(open_overlays)" 0

    # What was written before is gone. Functions are given to VFIO by the system's own modules.
    run --bind nic "$lab" -- sh -c 'ls /written; ls -l "/sys/bus/pci/devices/$HOSTBED_BIND_1_ADDRESS/driver"' \
        >"$out" 2>"$err"
    has "a start has nothing of the one before, on $version" "$err" "cannot access '/written'"
    has "a function is bound to vfio-pci, on $version" "$out" 'drivers/vfio-pci$'

    # Where the disk is full that is told, and not that something hangs.
    full=$tap_dir/full
    # shellcheck disable=SC2016
    fill='mount -t tmpfs -o size=64m none "$0" && exec "$@"'
    mkdir -p "$full" "${XDG_CACHE_HOME:-$HOME/.cache}/hostbed/overlays"
    if unshare -rm mount -t tmpfs none "$full" 2>"$err"; then
        unshare -rm sh -c "$fill" "${XDG_CACHE_HOME:-$HOME/.cache}/hostbed/overlays" "$build_dir/run" hostbed run --no-retry \
            --accel tcg --emulator "$emulator" "$lab" -- sh -c 'dd if=/dev/urandom of=/big bs=1M count=256; sync' >"$out" 2>"$err"
        is "a disk that is full ends the host, on $version" $? 8
        has "with a sentence that says so, on $version" "$err" 'there is no space left in .* for what it writes to its disk'
    else
        skip "a disk that is full, on $version" "no file systems can be mounted here"
    fi

    hostbed test --accel tcg --emulator "$emulator" -s manifest -s pci -s iommu -s 'numa*' -s hugepages \
        "$lab" >"$out" 2>"$err"
    is "the host is the machine that was asked for, and suites pass in it, on $version" \
        "$? $(grep -c '^not ok' "$out")" "0 0"
    is "in clones of one that was started, on $version" "$(grep -c 'is no clone of a template' "$err")" 0

    # Its disk fails where it is told to, and the host goes on.
    direct() { hostbed exec l1 -- dd "$@" bs=4096 count=1 2>&1 | grep -c 'Input/output error'; }
    hostbed up --accel tcg --emulator "$emulator" --name failing "$lab" >"$out" 2>"$err"
    block=$(hostbed exec l1 -- sh -c 'dd if=/dev/urandom of=/data bs=4096 count=1 conv=fsync 2>/dev/null
        filefrag -v /data' | sed -n 's/^ *0: *0\.\. *0: *\([0-9]*\)\.\..*/\1/p')
    sector=$((${block:-0} * 8))
    hostbed disk l1 hostbed-disk error=read "sector=$sector" >"$out" 2>>"$err"
    is "reads of its disk are to fail, on $version" "$? $(cat "$out")" "0 l1: the disk hostbed-disk has error=read sector=$sector"
    is "and do, where they are to, on $version" \
        "$(direct if=/data of=/dev/null iflag=direct) $(direct if=/etc/hostname of=/dev/null iflag=direct)" "1 0"
    hostbed disk l1 hostbed-disk error=off >"$out" 2>"$err"
    hostbed disk l1 hostbed-disk error=write "sector=$sector" >"$out" 2>"$err"
    write() { direct if=/dev/zero of=/data oflag=direct conv=notrunc; }
    is "so do writes, on $version" "$(write) $(direct if=/data of=/dev/null iflag=direct)" "1 0"
    hostbed disk l1 hostbed-disk error=off >"$out" 2>"$err"
    is "until it is mended, on $version" "$? $(write)" "0 0"
    hostbed verify l1 >"$out" 2>"$err"
    is "the host is what it was, on $version" $? 0
    hostbed down failing >"$out" 2>"$err"

    # What is kept between runs has what the host had written, and nothing of what commands have written since.
    warm() {
        XDG_CACHE_HOME=$tap_dir/warm run --warm -v "$lab" -- sh -c \
            'cat /proc/sys/kernel/random/boot_id; ls /written 2>&1; touch /written' >"$out" 2>"$err"
    }
    (own_cache warm)
    [ -e "$tap_dir/warm/hostbed/bases" ] || ln -s "$shared_cache/bases" "$tap_dir/warm/hostbed/bases"
    warm
    is "a host is kept, on $version" "$? $(grep -c 'template of .* made now, and kept' "$err")" "0 1"
    first=$(cat "$out")
    warm
    is "and found, on $version" "$? $(grep -c 'template of .* kept since' "$err")" "0 1"
    is "it is the one that was started before, without what was done in it, on $version" "$(cat "$out")" "$first"
    rm -rf "$tap_dir/warm/hostbed/templates"
done

# ---- nobody removes what a host is started from, in a cache that may lose it
emulator=$(emulators | head -n 1)
[ -n "$emulator" ] || { done_testing; exit; }
key=$(cut -d' ' -f1 "$tap_dir/image")
own_cache own
rm "$XDG_CACHE_HOME/hostbed/images"
mkdir "$XDG_CACHE_HOME/hostbed/images"
cp -a "$shared_cache/images/$key"* "$XDG_CACHE_HOME/hostbed/images/"
mkfifo "$tap_dir/in" "$tap_dir/up"
hostbed run --accel tcg --emulator "$emulator" "$lab" -- sh -c 'echo up; cat' <"$tap_dir/in" >"$tap_dir/up" 2>"$err" &
exec 3>"$tap_dir/in" 4<"$tap_dir/up"
read -r -u 4 line || bail "no host comes up: $(tail -n 1 "$err")"
hostbed image rm "$key" >"$out" 2>&1
is "an image that a host runs from is not removed" "$? $(cat "$out")" "8 hostbed: the image $key is in use; end the hosts that run from it"
hostbed image rm debian12 >"$out" 2>&1
is "nor by what it was made from" "$? $(hostbed image list | grep -c "^$key")" "8 1"
exec 3>&- 4<&-
wait $!
is "the host ends as if nothing had been" "$? $line" "0 up"
hostbed image rm "$key" >"$out" 2>&1
is "then it is removed" "$? $(hostbed image list)" "0 "

# A script of the lab's that fails is told of, by systemd's service, too.
cat >"$tap_dir/failing.xml" <<'XML'
<lab xmlns="urn:hostbed:lab:1" name="failing">
  <host name="l1">
    <image from="debian12"><first-boot>exit 3</first-boot></image>
    <cell cpus="0-1" memory="1 GiB"/>
  </host>
</lab>
XML
hostbed run --accel tcg "$tap_dir/failing.xml" -- true >"$out" 2>"$err"
is "a host whose script fails is there all the same" $? 0
has "and the failure is told" "$err" 'warning: in the host: the script of <first-boot> ended with status 3'
done_testing
