#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hosts that another user's libvirt starts, or another machine's: its emulators can read nothing of the user's.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?run this by make check-vm}/harness/tests/tap.sh"
. "$source_dir/harness/tests/system-libvirtd.sh"
in_namespaces "$source_dir/harness/tests/vm-domain-system.sh"
make_user
start_system_libvirtd

lab="$source_dir/topologies/smallest.xml"
domain=smallest-l1 pool=/var/lib/libvirt/hostbed
out="$tap_dir/out" err="$tap_dir/err"
hostbed() { as_user "$build_dir/run" hostbed "$@"; }
run() { hostbed run --no-retry --accel tcg --connect "$@"; }
other_lab() { sed "s/name=\"smallest\"/name=\"$1\"/" "$lab" >"$tap_dir/$1.xml"; }
volumes() { virsh vol-list "${1-hostbed}" | awk '{print $1}' | sort; }
volume_of() { virsh dumpxml $domain | sed -n "s|.*<$1>\(.*\)</$1>.*|\1|p"; }

# ---- the machine's own libvirt
head -c 3000000 /dev/urandom >"$tap_dir/random"
run qemu:///system "$lab" -- sh -c 'sha256sum; echo hello >&2; exit 5' <"$tap_dir/random" >"$out" 2>"$err"
is "a command has its streams and its status" "$? $(cut -d' ' -f1 "$out") $(cat "$err")" "5 $(sha256sum <"$tap_dir/random" | cut -d' ' -f1) hello"
is "and its domain is gone when hostbed is" "$(virsh list --all --name)" ""
is "what it booted is kept, under the digests of it" "$(volumes)" "$(sha256sum $pool/* | sed 's/ .*//; s/^/hostbed-/' | sort)"
is "a kernel and an initramfs" "$(volumes | wc -l)" 2
first=$(volumes)
is "which are nobody else's to read" "$(stat -c %a $pool/* | sort -u)" 600

# ---- hosts that stay, by the address of a machine
remote=qemu+tcp://127.0.0.1/system
hostbed up --accel tcg --connect $remote "$lab" >"$out" 2>"$err"
is "a host comes up" "$? $(virsh domstate $domain)" "0 running"
is "whose emulator is another user's" "$(stat -c %u "/proc/$(cat /run/libvirt/qemu/$domain.pid)")" $emulators
is "who cannot read what hostbed's user has" "$(setpriv --reuid $emulators --clear-groups ls "$XDG_CACHE_HOME" 2>&1 | grep -c denied)" 1
kernel=$(volume_of kernel) initrd=$(volume_of initrd)
is "it boots from volumes" "$(dirname "$kernel") $(dirname "$initrd")" "$pool $pool"
is "the host answers" "$(hostbed exec l1 -- echo well 2>&1)" well
hostbed verify l1 >"$out" 2>"$err"
is "and is the machine that was asked for" $? 0
as_user "$build_dir/run" hostbed show --connect $remote $domain 2>"$err" >"$tap_dir/lab"
is "libvirt has its lab" "$? $(cmp "$tap_dir/lab" "$lab" 2>&1)" "0 "
other_lab second
run qemu:///system "$tap_dir/second.xml" -- true >"$out" 2>"$err"
is "another one boots meanwhile, from what is there" "$? $(volumes | wc -l)" "0 3"
hostbed down --all >"$out" 2>"$err"
is "it goes down, and no domain is left" "$? $(virsh list --all --name)" "0 "
hostbed test --accel tcg --connect $remote "$lab" manifest >"$out" 2>"$err"
is "it is tested" "$? $(grep -c '^not ok' "$out")" "0 0"

# ---- volumes
initrd=$pool/$(grep -v "$(basename "$kernel")" <<<"$first")
size=$(stat -c %s "$kernel") inode=$(stat -c %i "$kernel") before=$(stat -c %Y "$initrd")
printf x | dd of="$kernel" bs=1 seek=$((size - 1)) conv=notrunc status=none
changed=$(sha256sum <"$kernel")
touch -d '40 days ago' "$initrd"
run qemu:///system "$lab" -- sh -c true >"$out" 2>"$err"
is "what is there is not sent again" "$? $(sha256sum <"$kernel")" "0 $changed"
is "but known to be in use" "$(($(stat -c %Y "$initrd") >= before))" 1
truncate -s 0 "$kernel"
truncate -s "$size" "$kernel"
run qemu:///system "$lab" -- true >"$out" 2>"$err"
is "what was sent in part is sent as a whole" "$? hostbed-$(sha256sum <"$kernel" | cut -d' ' -f1) $(stat -c %i "$kernel")" "0 $(basename "$kernel") $inode"
old=$pool/hostbed-$(printf %064d 0) foreign=$pool/somebody
touch -d '40 days ago' "$old" "$foreign"
virsh pool-refresh hostbed
for volume in $(volumes); do [ "$pool/$volume" = "$old" ] || [ "$pool/$volume" = "$foreign" ] || virsh vol-delete --pool hostbed "$volume"; done
is "the pool has only what nobody used for long" "$(volumes | wc -l)" 2
run qemu:///system "$lab" -- echo one >"$tap_dir/one" 2>&1 &
run $remote "$tap_dir/second.xml" -- echo two >"$tap_dir/two" 2>&1
wait
is "two that send the same at the same time both start" "$(cat "$tap_dir/one" "$tap_dir/two")" "one
two"
is "after which it is there as it was" "$(volumes | grep hostbed-)" "$(sha256sum $pool/hostbed-* | sed 's/ .*//; s/^/hostbed-/' | sort)"
is "what was hostbed's and not used for long is gone" "$([ -e "$old" ] || echo gone) $([ -e "$foreign" ] && echo there)" "gone there"
virsh pool-destroy hostbed
mkdir -m 711 /run/pool
virsh pool-create-as default dir --target /run/pool
run qemu:///system "$lab" -- true >"$out" 2>"$err"
is "the pool that libvirt has is used where there is one" "$? $(volumes default | wc -l) $(virsh pool-list --all --name | tr -d " ")" "0 2 default"

# ---- networks that join hosts, and lead out: frames come and go by the connection
leads_in=
[ ! -x "$build_dir/harness/hostbed-uplink" ] || leads_in='<forward host="left" port="80" to="127.0.0.1:8080"/>'
cat >"$tap_dir/led.xml" <<LAB
<lab xmlns="urn:hostbed:lab:1" name="led">
  <network id="fabric">$leads_in</network>
  <host name="left"><cell cpus="0" memory="256 MiB"/><nic network="fabric"/></host>
  <host name="right"><cell cpus="0" memory="256 MiB"/><nic model="virtio" network="fabric"/></host>
</lab>
LAB
hostbed up --accel tcg --connect $remote "$tap_dir/led.xml" >"$out" 2>"$err" || cat "$err"
is "hosts that a network joins come up" "$? $(virsh list --name | sort | paste -sd' ')" "0 led-left led-right"
hostbed exec left -- sh -c 'mkdir -p /www; echo inside >/www/index.html; httpd -h /www -p 80' 2>"$err"
is "one finds the other by name" "$(hostbed exec right -- sh -c 'printf "GET / HTTP/1.0\r\n\r\n" | nc -w 20 left 80 | tail -n 1' 2>&1)" inside
if [ -n "$leads_in" ]; then
    exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET / HTTP/1.0\r\n\r\n' >&3
    is "a port of the user's machine leads into it" "$(tail -n 1 <&3)" inside
    exec 3>&-
fi
hostbed down --all >"$out" 2>"$err"
is "no domain is left" "$? $(virsh list --all --name)" "0 "

# ---- ends, and what cannot be
hostbed up --accel tcg --connect qemu:///system "$lab" >"$out" 2>"$err"
kill -9 "$(hostbed list --json | sed -n 's/^ *"pid" : \([0-9]*\).*/\1/p')"
for _ in $(seq 400); do virsh domid $domain >/dev/null 2>&1 || break; done
is "the supervisor is killed, and no domain is left" "$(virsh list --all --name)" ""
hostbed down --all >"$out" 2>"$err"
# On the user's machine only.
only_here() {
    mount -t tmpfs none /run/emulators && printf '#!/bin/sh\nexec qemu-system-x86_64 "$@"\n' >/run/emulators/own &&
        chmod 755 /run/emulators/own && run qemu:///system --emulator /run/emulators/own "$lab" -- true
}
mkdir /run/emulators
export -f only_here run hostbed as_user
export lab nobody build_dir
unshare --mount bash -c only_here >"$out" 2>"$err"
is "an emulator that libvirt has not is refused" $? 3
has "with what would be right" "$err" "^hostbed: libvirt at qemu:///system: no emulator /run/emulators/own there makes a pc-q35-.* --emulator names one that both machines have"
done_testing
