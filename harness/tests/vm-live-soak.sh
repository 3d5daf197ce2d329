#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A day with labs that are up, in fast motion: a hundred of them at once, and random commands from two terminals, with
# kill -9 among them. None hangs or crashes, and nothing is left (make soak).
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?run this by make soak}/harness/tests/tap.sh"

labs=${HOSTBED_SOAK_LABS:-100} commands=${HOSTBED_SOAK_COMMANDS:-500} seed=${HOSTBED_SOAK_SEED:-$$}

command -v pgrep >/dev/null || bail "pgrep is not there"
export TMPDIR="$tap_dir/tmp"
mkdir "$TMPDIR"
own_cache cache
trap 'hostbed down --all >/dev/null 2>&1; rm -rf "$tap_dir"' EXIT
# All that were started here have our folder in their environment.
ours() {
    local pid
    for pid in $(pgrep -f 'qemu-system|hostbed-supervisor|hostbed-uplink'); do
        tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | grep -qx "TMPDIR=$TMPDIR" && echo "$pid"
    done
}
nothing_is_left() { # AFTER
    for _ in $(seq 300); do [ -z "$(ours)" ] && break; sleep 0.1; done
    is "no process is left after $1" "$(ours)" ""
    is "and no file" "$(find "$TMPDIR" "$XDG_RUNTIME_DIR" -type f ! -name lock)" ""
    is "and nothing is listed" "$(hostbed list 2>&1)" "no lab is up; 'hostbed up LAB' brings one up"
}

# ---- many at once
up=0
for ((i = 0; i < labs; i++)); do
    hostbed up --warm --accel tcg --name "lab$i" "$source_dir/topologies/smallest.xml" >"$tap_dir/up" 2>&1 || break
    up=$((up + 1))
done
is "$labs labs are up at once" "$up $(hostbed list | grep -c ' up ')" "$labs $labs"
answers=0
for ((i = 0; i < up; i++)); do [ "$(hostbed exec "lab$i/l1" -- echo well 2>&1)" = well ] && answers=$((answers + 1)); done
is "each of them answers" "$answers" "$labs"
hostbed down --all >"$tap_dir/down" 2>&1
is "they go down" $? 0
nothing_is_left "them"

# ---- a day
cat >"$tap_dir/day.xml" <<'LAB'
<lab xmlns="urn:hostbed:lab:1" name="day">
  <network id="wire"/>
  <host name="h+" count="2">
    <iommu model="intel"/>
    <cell cpus="0" memory="256 MiB">
      <expander>
        <port><nic mac="52:54:00:da:00:01+" network="wire"/></port>
        <port hotplug="on"/>
      </expander>
    </cell>
  </host>
</lab>
LAB
some_pid() { # of a supervisor or an emulator
    hostbed list --json 2>/dev/null | grep -o '"pid" : [0-9]*' | grep -o '[0-9]*$' | shuf -n 1 --random-source=<(yes "$RANDOM")
}
one_command() { # LOG: a random one, its words before it and its status after it in the log
    local host=h$((RANDOM % 2)) words=() status limit=200 pid
    case $((RANDOM % 32)) in
    0 | 1 | 2 | 3 | 4) words=(up --warm --accel tcg "$tap_dir/day.xml") ;;
    5) words=(up --accel tcg "$tap_dir/day.xml" "$host") ;;
    6) words=(down day) ;;
    7) words=(list --json) ;;
    8 | 9) words=(exec "$host" -- true) ;;
    10) words=(exec "$host" -- sleep 100) limit=2 ;;
    11) words=(pause "$host") ;;
    12 | 13) words=(resume "$host") ;;
    14) words=(power "$host" off) ;;
    15 | 16) words=(power "$host" on) ;;
    17) words=(reset "$host") ;;
    18) words=(nmi "$host") ;;
    19 | 20) words=(save "$host" "state$((RANDOM % 2))") ;;
    21 | 22) words=(restore "$host" "state$((RANDOM % 2))") ;;
    23) words=(plug "$host" nic id=plugged) ;;
    24) words=(unplug "$host" plugged) ;;
    31) words=(unplug "$(shuf -n 1 -e -- --surprise --untold --random-source=<(yes "$RANDOM"))" "$host" plugged) ;;
    25) words=(link "$host" 0000:21:00.0 "$(shuf -n 1 -e up down loss=10% loss=0 --random-source=<(yes "$RANDOM"))") ;;
    26) words=(save --remove "$host" "state$((RANDOM % 2))") ;;
    27) words=(qmp "$host" query-status) ;;
    28) words=(verify "$host") ;;
    29) words=(log "$host") ;;
    30)
        pid=$(some_pid)
        [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null
        printf 'kill -9 %s\n' "${pid:-nobody}" >>"$1"
        return
        ;;
    esac
    printf '%s %s: ' "$(date +%T)" "${words[*]}" >>"$1"
    timeout --foreground -k 20 $limit "$build_dir/run" hostbed "${words[@]}" >"$1.out" 2>&1
    status=$?
    printf '%s %s\n' $status "$(tail -n 1 "$1.out" | cut -c1-150)" >>"$1"
    grep -E 'CRITICAL|Assertion|Sanitizer' "$1.out" >>"$1.bad"
    case "$limit $status" in
    "2 124" | "2 143") ;;
    *\ 124 | *\ 13[4-9] | *\ 143) printf '%s: %s\n' "${words[*]}" $status >>"$1.bad" ;;
    esac
}
terminal() { # LOG SEED COUNT
    RANDOM=$2
    for ((i = 0; i < $3; i++)); do one_command "$1"; done
}
echo "# HOSTBED_SOAK_SEED=$seed"
terminal "$tap_dir/first" $seed $((commands / 2)) &
first=$!
terminal "$tap_dir/second" $((seed + 1)) $((commands / 2)) &
wait $first $!
: >>"$tap_dir/first.bad" && : >>"$tap_dir/second.bad"
is "$commands random commands came to their ends" "$(cat "$tap_dir"/first "$tap_dir"/second | wc -l)" $((commands / 2 * 2))
for terminal in first second; do
    if [ -s "$tap_dir/$terminal.bad" ]; then
        not_ok "none of the $terminal terminal hung or crashed" "$tap_dir/$terminal.bad" "$tap_dir/$terminal"
    else
        ok "none of the $terminal terminal hung or crashed"
    fi
done
for done_well in "up --warm" "exec h" "power h" "save h" "restore h" "plug h" "link h" "verify h"; do
    has "some of '${done_well}' did what they were asked for" <(cat "$tap_dir/first" "$tap_dir/second") " $done_well.*: 0 "
done
hostbed up --accel tcg "$tap_dir/day.xml" >"$tap_dir/up" 2>&1 || hostbed down day >/dev/null 2>&1
hostbed down day >"$tap_dir/down" 2>&1
hostbed up --warm --accel tcg "$tap_dir/day.xml" >"$tap_dir/up" 2>&1
is "the lab comes up as ever" "$? $(hostbed exec h1 -- ping -c 1 -w 20 h0 2>&1 | grep -c '1 packets received')" "0 1"
hostbed down --all >"$tap_dir/down" 2>&1
is "and goes down" $? 0
nothing_is_left "all of that"
[ -z "${HOSTBED_SOAK_LOG:-}" ] || cat "$tap_dir/first" "$tap_dir/second" >"$HOSTBED_SOAK_LOG"
done_testing
