#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What leads out of a lab's networks, and what does not; ports of the machine that lead into them. The machine is a network
# namespace of its own here, and "outside" another one, so that nothing of the real network takes part.
# shellcheck disable=SC1091
if [ "${UPLINK_NAMESPACE-}" != 1 ]; then
    unshare -rnm true 2>/dev/null || { echo "1..0 # SKIP this machine lets nobody have namespaces"; exit 0; }
    UPLINK_NAMESPACE=1 exec unshare -rnm --propagation private "$0" "$@"
fi
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"
[ -x "$build_dir/harness/hostbed-uplink" ] || skip_all "this hostbed was built without libslirp"
command -v ip >/dev/null && command -v python3 >/dev/null || skip_all "ip and python3 are needed"
out=$tap_dir/out
err=$tap_dir/err
cd "$tap_dir" || exit
children=()
trap 'hostbed down --all >/dev/null 2>&1; kill "${children[@]}" 2>/dev/null; wait; rm -rf "$tap_dir"' EXIT

# ---- the machine, and what is outside
mkfifo ready
peer() { python3 "$source_dir/harness/tests/uplink-peer.py" "$@" >ready & children+=($!); read -r _ <ready; }
ip link set lo up
ip link add v0 type veth peer name v1
ip address add 198.51.100.1/24 dev v0
ip address add 2001:db8::1/64 dev v0 nodad
ip link set v0 up
unshare -n sh -c 'echo there >ready; read -r _ <go; ip link set lo up; ip address add 198.51.100.2/24 dev v1
    ip address add 2001:db8::2/64 dev v1 nodad; ip link set v1 up
    exec python3 "$0" outside=198.51.100.2,80 outside6=2001:db8::2,80 dns=198.51.100.2,53,198.51.100.2 >ready' \
    "$source_dir/harness/tests/uplink-peer.py" & children+=($!)
mkfifo go
read -r _ <ready
ip link set v1 netns "${children[0]}"
echo go >go
read -r _ <ready
peer named=127.0.0.1,8001 unnamed=127.0.0.1,8002 loopback=127.8.0.1,8002 proxy=::1,3128 public=198.51.100.1,8003 public6=2001:db8::1,8003
echo "nameserver 198.51.100.2" >resolv.conf
mount --bind resolv.conf "$(readlink -f /etc/resolv.conf)"

cat >lab.xml <<'X'
<lab xmlns="urn:hostbed:lab:1" name="led">
  <network id="close">
    <uplink><service port="5432" to="127.0.0.1:8001"/><service port="3128" to="[::1]:3128"/></uplink>
    <forward host="inner" port="80" to="127.0.0.1:8080"/>
  </network>
  <network id="wide"><uplink nat="on"><service port="80" to="127.0.0.1:8001"/></uplink></network>
  <network id="alone"/>
  <host name="inner"><cell cpus="0" memory="256 MiB"/><nic network="close"/><nic network="alone"/></host>
  <host name="outer"><cell cpus="0" memory="256 MiB"/><nic network="wide"/><nic network="alone"/></host>
</lab>
X
hostbed up --accel tcg lab.xml >"$out" 2>"$err" || cat "$err"
has "the lab comes up" "$out" "^led is up"
# What a host runs (busybox's wget there does not: it wants services by name): ask ADDRESS PORT [PATH] >ANSWER
ask='ask() { printf "GET %s HTTP/1.0\r\n\r\n" "${3-/}" | nc -w 20 "$1" "$2"; }'
# get HOST ADDRESS PORT: what is there, else the status
get() { hostbed exec --timeout 60 "$1" -- sh -c "$ask; ask $2 $3 >/tmp/got && tail -n 1 /tmp/got || echo status \$?" 2>"$err"; }
# refused NAME HOST ADDRESS PORT: at once, and not after a time-out
refused() {
    local begin=$SECONDS
    is "$1" "$(get "$2" "$3" "$4")" "status 1"
    is "... which is told at once" "$((SECONDS - begin < 15))" 1
}

# ---- named ports
is "a host reaches the port of the machine that its network names" "$(get inner uplink 5432)" named
is "by the network's name, too" "$(get inner uplink.close 5432)" named
is "and one that is IPv6 on the machine" "$(get inner uplink.close 3128)" proxy
hostbed exec inner -- sh -c "$ask; ask uplink 5432 /big | tail -c 3000000 | sha256sum" >"$out" 2>"$err"
python3 -c 'import sys; sys.stdout.buffer.write(bytes(i * 7 % 251 for i in range(3_000_000)))' | sha256sum >sum
is "three million bytes come whole" "$(cat "$out")" "$(cat sum)"
hostbed exec inner -- sh -c "$ask; for i in 1 2 3 4 5 6 7 8; do ask uplink 5432 & done; wait" >"$out" 2>"$err"
is "several connections at once" "$(grep -c "^named" "$out")" 8
refused "no other port of the machine" inner uplink 8002
refused "not even by its own number" inner uplink 8001
refused "nor at the gateway's address" inner 10.100.0.254 8002
hostbed exec inner -- sh -c 'ip route add default via 10.100.0.254' 2>"$err"
for place in "198.51.100.2 80" "198.51.100.1 8003" "127.0.0.1 8002" "10.100.0.253 53"; do
    is "nothing else by way of the gateway: $place" "$(get inner "${place% *}" "${place#* }")" "status 1"
done
hostbed exec inner -- sh -c 'ip -6 route add default via fd00:6862::fffe' 2>"$err"
is "nor by IPv6" "$(get inner 2001:db8::2 80)" "status 1"
# What a hostile host sends need not be what its kernel would: loopback addresses on the wire.
hostbed exec inner -- sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet; ip route add 127.8.0.0/16 via 10.100.0.254
    ip route del local 127.0.0.0/8 table local' 2>"$err"
is "nor by a loopback address on the wire" "$(get inner 127.8.0.1 8002)" "status 1"
is "the others of the lab are reached as ever" \
    "$(hostbed exec inner -- ping -c 1 -w 20 outer 2>&1 | grep -c '1 packets received')" 1

# ---- all that is outside, and not the machine
is "a host of a network with nat reaches what is outside" "$(get outer 198.51.100.2 80)" outside
is "by name" "$(get outer somewhere.example 80)" outside
is "and by IPv6" "$(get outer 2001:db8::2 80)" outside6
is "and what its network names" "$(get outer uplink 80)" named
for place in "10.100.1.254 8002" "198.51.100.1 8003" "2001:db8::1 8003" "fd00:6862:1::fffe 8002" "10.100.1.252 8002" \
    "10.100.1.253 8002" "127.0.0.1 8002" "0.0.0.0 8002"; do
    is "but not the machine: $place" "$(get outer "${place% *}" "${place#* }")" "status 1"
done
hostbed exec outer -- sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet; ip route add 127.8.0.0/16 via 10.100.1.254
    ip route del local 127.0.0.0/8 table local' 2>"$err"
is "nor by a loopback address on the wire" "$(get outer 127.8.0.1 8002)" "status 1"
is "nor the other network's hosts" "$(get outer 10.100.0.1 80)" "status 1"

# ---- ports of the machine that lead into the lab
hostbed exec inner -- sh -c 'mkdir -p /www; echo inside >/www/index.html; httpd -h /www -p 80' 2>"$err"
fetch() { python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=30).read().decode().strip())' "$1" 2>&1 | tail -n 1; }
is "a port of the machine is a host's" "$(fetch http://127.0.0.1:8080/)" inside
has "of its loopback only" <(fetch http://198.51.100.1:8080/) "refused"
hostbed list >"$out"
has "which is listed" "$out" "led/inner .*127.0.0.1:8080 is its port 80"
is "for programs, too" "$(hostbed list --json | grep -c '"to" : "127.0.0.1:8080"')" 1
sed 's/name="led"/name="second"/' lab.xml >second.xml
hostbed up --accel tcg second.xml >"$out" 2>"$err"
is "a port that is taken" $? 8
has "is told, with the line" "$err" "second.xml:4: 127.0.0.1:8080 is taken already on this machine; take another port"
is "and nothing of that lab stays up" "$(hostbed list | grep -c second/)" 0
hostbed up --accel tcg lab.xml >"$out" 2>&1
is "who is up is not disturbed" "$(fetch http://127.0.0.1:8080/)" inside

# ---- nobody else was asked
for name in unnamed loopback public public6; do is "nobody has reached '$name'" "$(cat "$name.log" 2>/dev/null)" ""; done
is "what was asked comes from the machine's loopback alone" "$(cut -d' ' -f1 named.log | sort -u)" 127.0.0.1

# ---- the end
pgrep -f "$build_dir/harness/[h]ostbed-uplink" >uplinks
is "there is a process for each uplink" "$(wc -l <uplinks)" 2
kill -KILL "$(hostbed list --json | sed -n 's/^      "pid" : \([0-9]*\).*/\1/p' | head -n 1)"
while pgrep -f "$build_dir/harness/[h]ostbed-uplink" >/dev/null; do :; done
ok "they end with the supervisor, when that is killed"
hostbed down led >/dev/null 2>&1
is "the port is free again" "$(fetch http://127.0.0.1:8080/ | grep -c refused)" 1
is "nothing is left in the folder for passing files" "$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'hostbed-uplink.*' | wc -l)" 0

# ---- the other commands
is "hostbed run has it, too" \
    "$(hostbed run --accel tcg --host outer lab.xml -- sh -c "$ask; ask 198.51.100.2 80 | tail -n 1" 2>"$err")" outside
hostbed test --accel tcg --quiet lab.xml -s 'outer/pci/*' >"$out" 2>"$err"
is "and suites pass there, in hosts that are started for each" "$?" 0
done_testing
