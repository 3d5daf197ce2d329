#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# hostbed run around somebody else's command: functions bound for it, and what it is told.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"

labs=$source_dir/topologies
lab=$labs/smallest.xml
out=$tap_dir/out
err=$tap_dir/err
run() { hostbed run --accel tcg "$@"; }

# ---- --bind

# shellcheck disable=SC2016  # for the shell inside
run --bind nic "$lab" -- sh -c 'for i; do echo "$i"; done
    set | grep ^HOSTBED | tr -d "'\''"
    basename "$(readlink /sys/bus/pci/devices/$HOSTBED_BIND_1_ADDRESS/driver)"
    basename "$(readlink /sys/bus/pci/devices/$HOSTBED_BIND_1_ADDRESS/iommu_group)"
    test -c /dev/vfio/$HOSTBED_BIND_1_GROUP && echo group; cat $HOSTBED_FUNCTIONS' \
    - 'x{bind:1.address},{bind:1.group}x' '{bind:addresses} {other} {bind:1.interface}' >"$out" 2>"$err"
is "a command finds a NIC bound to vfio-pci" $? 0
group=$(sed -n 's/^HOSTBED_BIND_1_GROUP=//p' "$out")
has "its address is in the environment" "$out" '^HOSTBED_BIND_1_ADDRESS=0000:21:00.0$'
has "its node is" "$out" '^HOSTBED_BIND_1_NODE=0$'
has "its interface's name is" "$out" '^HOSTBED_BIND_1_INTERFACE=eth0$'
has "its driver is vfio-pci" "$out" '^vfio-pci$'
has "the group's number is the kernel's" "$out" "^${group:-none}$"
has "the group can be opened" "$out" '^group$'
has "arguments have it in place of their place-holders" "$out" "^x0000:21:00.0,${group}x$"
has "other braces are left alone" "$out" '^0000:21:00.0 \{other\} eth0$'
has "all functions are listed" "$out" '^0000:21:00.0 node=0 interface=eth0 id=cell0.expander0.port0.nic0 cell=cell0 model=e1000e$'

# shellcheck disable=SC2016
run --bind 21:00.0 "$labs/merged-groups.xml" -- sh -c 'echo $HOSTBED_BIND_COUNT; for i in 21 22 41; do
    basename "$(readlink /sys/bus/pci/devices/0000:$i:00.0/driver)"; done
    ls /sys/bus/pci/devices/0000:41:00.0/net; sed -n "s/^0000:41:00.0 .*interface=\([a-z0-9]*\).*/\1/p" $HOSTBED_FUNCTIONS' \
    >"$out" 2>"$err"
is "what shares a group is bound with it, and nothing else" "$(head -n 4 "$out" | paste -sd' ')" "1 vfio-pci vfio-pci e1000e"
is "an interface has the name that was foretold" "$(tail -n +5 "$out" | paste -sd' ')" "eth2 eth2"

# refused NAME STATUS PATTERN ARGUMENT…: before anything is started
refused() {
    local name=$1 status=$2 pattern=$3
    shift 3
    run --log-dir "$tap_dir/logs" "$@" >"$out" 2>"$err"
    is "$name: status $status" $? "$status"
    has "$name: said" "$err" "$pattern"
    # the emulator's command line, written when it starts
    [ -z "$(find "$tap_dir/logs" -name command 2>/dev/null)" ] || not_ok "$name: a host was started"
}
refused "more NICs than there are" 2 "^hostbed: --bind nic:2: there is 1: 0000:21:00.0" --bind nic:2 "$lab" -- true
refused "no selector" 2 "is no WHAT" --bind nic: "$lab" -- true
refused "a place-holder for nothing" 2 "N from 1 to 1" --bind nic "$lab" -- echo '{bind:2.address}'
refused "a place-holder without --bind" 2 "no --bind was given" "$lab" -- echo '{bind:1.address}'

# ---- the program, what it needs, where it starts

mkdir -p "$tap_dir/tree/data"
printf '#!/bin/sh\npwd; cat data/words; readlink link; test -x tool && ./tool; echo "$@"\n' >"$tap_dir/tree/check"
echo words >"$tap_dir/tree/data/words"
ln -s data/words "$tap_dir/tree/link"
cp "$(command -v perl)" "$tap_dir/tree/tool"
chmod +x "$tap_dir/tree/check"

run "$lab" -- "$tap_dir/tree/tool" -e 'print "ran @ARGV\n"; exit 5' a b >"$out" 2>"$err"
is "a program of the machine goes in by itself" "$? $(cat "$out")" "5 ran a b"
(cd "$tap_dir/tree" && run --copy . --chdir . "$lab" -- ./check one two </dev/null) >"$out" 2>"$err"
is "a working tree goes in, and the command starts in it" "$(paste -sd' ' "$out")" "$tap_dir/tree words data/words one two"
run --copy "$tap_dir/tree:/srv/t" --chdir /made/here "$lab" -- sh -c 'pwd; cat /srv/t/data/words' >"$out" 2>"$err"
is "it can have another place" "$(paste -sd' ' "$out")" "/made/here words"

truncate -s 400M "$tap_dir/large"
refused "more than the host has room for" 2 "takes 40[0-9] MiB, and its memory has room for 230: copy less" --copy "$tap_dir/large" "$lab" -- true
refused "what is not there" 2 "^hostbed: cannot copy /no/such into the host: No such file" --copy /no/such "$lab" -- true

# ---- --out

# shellcheck disable=SC2016
run --out "$tap_dir/results/new" "$lab" -- sh -c 'cd $HOSTBED_OUT && mkdir -p a/b && echo one >a/b/c && echo two >d &&
    head -c 5000000 /dev/zero >zeros && ln -s /etc/passwd link && mknod null c 1 3 && mkfifo fifo &&
    touch "$(printf "x\033[2Jy")" && exit 7' >"$out" 2>"$err"
is "results come back from a command that fails, with its status" $? 7
is "with their folders" "$(cat "$tap_dir/results/new/a/b/c" "$tap_dir/results/new/d" | paste -sd' ')" "one two"
is "and whole" "$(wc -c <"$tap_dir/results/new/zeros")" 5000000
is "links, devices, pipes and names that deceive stay there" "$(cd "$tap_dir/results/new" && find . -type f -o ! -type d | sort | paste -sd' ')" \
    "./a/b/c ./d ./zeros"
has "and are counted" "$err" '^hostbed: warning: 4 of the results were left out'

# shellcheck disable=SC2016
run --out "$tap_dir/results" "$lab" -- sh -c 'echo kept >$HOSTBED_OUT/kept; kill -SEGV $$' >"$out" 2>"$err"
is "a command that crashes: status" $? 139
is "a command that crashes: its results" "$(cat "$tap_dir/results/kept")" kept
has "a command that crashes: its core dump is named" "$err" "^hostbed: core dump: $tap_dir/results/core\\.sh\\.[0-9]+$"
core=$(echo "$tap_dir"/results/core.sh.*)
is "a command that crashes: it is one" "$(head -c 4 "$core" | tail -c 3)" ELF

# shellcheck disable=SC2016
run --out "$tap_dir/late" --timeout 40 "$lab" -- sh -c 'echo kept >$HOSTBED_OUT/kept; exec sleep 600' >"$out" 2>"$err"
is "results come back at the end of the time" "$? $(cat "$tap_dir/late/kept")" "4 kept"

# Nobody but root could do it in the host; but there the command is root.
# shellcheck disable=SC2016
run --out "$tap_dir/box/inner" "$lab" -- sh -c 'rm /init; {
    echo "#!/bin/sh"; echo "printf \"f\\\\0\\\\007\\\\0\\\\0\\\\0\\\\0\\\\0\\\\004\\\\0\\\\0\\\\0\\\\0\\\\0\\\\0\\\\0../evilXXXX\""
    echo "printf \"e\\\\0\\\\0\\\\0\\\\0\\\\0\\\\0\\\\0\\\\0\\\\0\\\\0\\\\0\\\\0\\\\0\\\\0\\\\0\""; } >/init; chmod +x /init' >"$out" 2>"$err"
is "a hostile host ends well" $? 0
is "its results stay in their folder" "$(cd "$tap_dir/box" && find . | paste -sd' ')" ". ./inner"
has "and what it tried is told" "$err" "^hostbed: warning: 1 of the results were left out.*'\.\./evil'$"
run --out "$tap_dir/box" "$lab" -- sh -c 'rm /init; ln -s bin/busybox /init' >"$out" 2>"$err"
is "results that are none make a status of 0 another" $? 1
has "and it is told why" "$err" "^hostbed: the results"
touch "$tap_dir/file"
refused "a folder for results that is none" 8 "$tap_dir/file" --out "$tap_dir/file" "$lab" -- true

# A kernel without the IOMMU that the plan counts on.
sed 's,<iommu model="intel"/>,&<kernel cmdline="intel_iommu=off"/>,' "$lab" >"$tap_dir/off.xml"
run --bind nic "$tap_dir/off.xml" -- echo started >"$out" 2>"$err"
is "a function that vfio-pci does not take: status 8" $? 8
has "a function that vfio-pci does not take: said" "$err" \
    '^hostbed: functions cannot be bound to vfio-pci: 0000:21:00.0: '
is "and the command was not started" "$(cat "$out")" ""
done_testing
