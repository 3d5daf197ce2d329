#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The article to its end: in its machine, with a distribution, libvirt sees what was asked for and gives a function to a
# guest. From nothing but packages, in one command. vm-libvirt-faults.sh makes its cases fail.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
emulator=$(command -v qemu-system-x86_64)
[ -n "$emulator" ] || skip_all "qemu-system-x86_64 is not there"
make_wrapper "$emulator"
lab=$source_dir/topologies/berrange-2017-libvirt.xml

[ -n "${HOSTBED_DEMANDS-}" ] || needs_image_of "$lab"

passes libvirt berrange-2017-libvirt devices_hang_as_asked nics_are_described capabilities_have_every_node \
    the_host_validates a_guest_gets_a_function_and_gives_it_back

# Who lives with such a host logs in to it by ssh, over no network, and copies files.
if command -v ssh scp >/dev/null; then
    export XDG_RUNTIME_DIR=$tap_dir/up
    mkdir -m 700 "$XDG_RUNTIME_DIR"
    hostbed up --accel tcg "$lab" >"$out" 2>"$err" || cat "$err"
    hostbed ssh l1 -- 'id -un; hostname; exit 5' >"$out" 2>"$err" </dev/null
    is "ssh logs in, and has the command's status" "$? $(paste -sd' ' "$out")" "5 root l1"
    is "and says nothing else" "$(cat "$err")" ""
    hostbed ssh-config >"$tap_dir/config"
    head -c 3000000 /dev/urandom >"$tap_dir/random"
    scp -q -F "$tap_dir/config" "$tap_dir/random" l1:/root/there >"$out" 2>&1 &&
        scp -q -F "$tap_dir/config" l1:there "$tap_dir/back" >>"$out" 2>&1
    has "files go there and back" <(cmp "$tap_dir/random" "$tap_dir/back" 2>&1 && echo same) '^same$'
    # One who has other keys is not let in.
    ssh-keygen -q -t ed25519 -N '' -f "$tap_dir/other"
    sed "s|IdentityFile .*|IdentityFile $tap_dir/other|" "$tap_dir/config" >"$tap_dir/wrong"
    ssh -F "$tap_dir/wrong" l1 true >"$out" 2>&1
    is "only with the lab's keys" "$?" 255
    has "which is said" "$out" 'Permission denied'
    hostbed exec l1 -- sh -c 'pgrep -fc "sshd.*[ ]-i "' >"$out" 2>"$err"
    is "no server is left when nobody is logged in" "$(cat "$out")" 0
    # What is saved of a host has its disk in it.
    hostbed exec l1 -- sh -c 'sync; echo 3 >/proc/sys/vm/drop_caches'
    hostbed save l1 before >"$out" 2>"$err"
    is "it is saved" "$?" 0
    hostbed exec l1 -- sh -c 'rm /root/there; sync; echo gone >/root/gone; sync'
    hostbed restore l1 before >"$out" 2>"$err"
    is "and is what it was" "$? $(cat "$out" "$err")" "0 l1 is what it was when it was saved as before"
    has "with what was on its disk" <(hostbed exec l1 -- sh -c 'echo 3 >/proc/sys/vm/drop_caches; sha256sum /root/there; ls /root/gone') \
        "^$(sha256sum <"$tap_dir/random" | cut -d" " -f1)"
    ssh -F "$tap_dir/config" l1 true >"$out" 2>&1
    is "and ssh logs in" $? 0
    # A disk outlives its host's power.
    hostbed power l1 button >"$out" 2>"$err"
    is "it heeds its power button" "$? $(cat "$out")" "0 l1 has switched itself off"
    hostbed power l1 on >"$out" 2>"$err"
    is "and comes back" "$? $(cat "$out")" "0 l1 is on"
    has "with what was on its disk" <(hostbed exec l1 -- sha256sum /root/there) "^$(sha256sum <"$tap_dir/random" | cut -d" " -f1)"
    folder=$XDG_RUNTIME_DIR/hostbed/berrange-2017-libvirt
    hostbed down berrange-2017-libvirt >"$out" 2>&1
    is "the keys are gone with the lab" "$([ -e "$folder" ] || echo gone)" gone
else
    skip "ssh logs in" "this machine has no ssh"
fi
done_testing
