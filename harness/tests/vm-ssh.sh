#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hosts with a distribution that a network joins: they have addresses and names there, and let each other in by ssh.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"
out=$tap_dir/out
err=$tap_dir/err
trap 'hostbed down --all >/dev/null 2>&1; rm -rf "$tap_dir"' EXIT

cat >"$tap_dir/lab.xml" <<'X'
<lab xmlns="urn:hostbed:lab:1" name="pair">
  <network id="lan"/>
  <host name="left"><image from="debian12-libvirt"/><cell cpus="0" memory="512 MiB"/><nic network="lan"/></host>
  <host name="right"><image from="debian12-libvirt"/><cell cpus="0" memory="512 MiB"/><nic network="lan" model="virtio"/></host>
  <host name="micro"><cell cpus="0" memory="256 MiB"/><nic network="lan"/></host>
</lab>
X
# The image that vm-libvirt.sh has, too.
needs_image_of "$tap_dir/lab.xml"
in_host() { hostbed exec --timeout 120 "$@" >"$out" 2>"$err"; }

hostbed up --accel tcg "$tap_dir/lab.xml" >"$out" 2>"$err" || cat "$err"
has "the lab comes up" "$out" "^pair is up"
in_host left -- sh -c 'getent ahosts right.lan | cut -d" " -f1 | sort -u | paste -sd" "'
is "a distribution knows the others' addresses" "$(cat "$out")" "10.100.0.2 fd00:6862::2"
in_host left -- sh -c 'ip -brief address show dev eth0 | tr -s " " | cut -d" " -f2-4'
is "and has its own" "$(cat "$out")" "UP 10.100.0.1/24 fd00:6862::1/64"

in_host left -- ssh -o BatchMode=yes right 'hostname; exit 5'
is "root logs in by name, without a password or a question" "$? $(cat "$out")" "5 right"
is "and nothing else is said" "$(cat "$err")" ""
in_host right -- ssh -o BatchMode=yes left.lan hostname
is "the other way round, too" "$? $(cat "$out")" "0 left"
in_host left -- ssh -o BatchMode=yes fd00:6862::2 hostname
is "and by IPv6" "$? $(cat "$out")" "0 right"
in_host left -- scp -B -q /etc/os-release right:/root/there
is "files go there" "$? $(hostbed exec right -- grep -c ^ID=debian /root/there)" "0 1"
in_host left -- sh -c 'mkdir /root/other; HOME=/root/other ssh -F none -o BatchMode=yes right true'
is "who has another key is not let in" $? 255
has "by the server" "$err" "Permission denied"
in_host micro -- test -e /root/.ssh
is "the micro image has no keys, for it has no ssh" $? 1

# One that is started again has another key of its own, and what is its user's is as it was.
in_host left -- sh -c 'printf "Host elsewhere\n    User me" >>/root/.ssh/config; cat /root/.ssh/config'
before=$(grep -c "hostbed:" "$out")
hostbed exec right -- poweroff -f >/dev/null 2>&1
until hostbed list | grep -q 'pair/right .* failed '; do :; done
hostbed up --accel tcg "$tap_dir/lab.xml" >"$out" 2>"$err" || cat "$err"
in_host right -- ssh -o BatchMode=yes left hostname
is "a host that was started again is let in" "$? $(cat "$out")" "0 left"
in_host left -- cat /root/.ssh/config
is "what another has written is left alone" "$before $(grep -c "hostbed:" "$out") $(grep -c '^    User me$' "$out")" "2 2 1"
hostbed down pair >/dev/null
done_testing
