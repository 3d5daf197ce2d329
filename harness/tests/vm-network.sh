#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hosts that networks join, on each emulator: started together, frozen at one instant, cloned together; several copies
# of the lab at the same time, which do not hear each other. Each case of suite network passes. docs/suites.rst has the
# table; vm-network-faults.sh makes them fail.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/altered.sh"
[ -n "$(emulators)" ] || skip_all "qemu-system-x86_64 is not there"

host=compute0
lab="$source_dir/topologies/two-computes.xml"
for emulator in $(emulators); do
    make_wrapper "$emulator"
    passes network two-computes hosts_are_found_by_name hosts_answer_on_each_network connections_carry_data \
        networks_do_not_mix a_link_goes_down_and_comes_back frames_are_lost_as_asked nobody_else_is_heard \
        connections_outlive_the_checkpoint connections_outlive_a_lost_link

    # Each case in a copy of the lab, three copies at a time, from either host.
    hostbed test --accel tcg --quiet --emulator "$emulator" --jobs 3 --isolate=case --json "$tap_dir/json" \
        --log-dir "$tap_dir/logs" --capture "$lab" network >"$out" 2>"$err"
    is "copies of the lab pass at the same time ($emulator)" "$? $(grep -c '^ok' "$out")" "0 18"
    has "they are clones" "$tap_dir/json" '"template" : "frozen in'
    is "the connections were made once for the host, and are in a clone" \
        "$(find "$tap_dir/logs" -path '*compute0*' -path '*/state-connected/state.log' | wc -l)" 1
    find "$tap_dir/logs" -path '*compute0*' -path '*/compute1/events.log' >"$tap_dir/peers"
    find "$tap_dir/logs" -path '*compute0*' -name storage.pcap -size +0 >"$tap_dir/frames"
    is "each copy has its peer's logs, and the frames of its networks" \
        "$(wc -l <"$tap_dir/peers") $(($(wc -l <"$tap_dir/peers") >= 9))" "$(wc -l <"$tap_dir/frames") 1"
    rm -r "$tap_dir/logs"
done

# An igb's virtual functions are on its network, too, and have addresses there; virtio's NICs tell of their carriers with
# each emulator. (They join the hosts of no lab that is shipped: they may stop behind intel-iommu with QEMU 10.0.13,
# docs/facts.rst.)
cat >"$tap_dir/igb.xml" <<'END'
<lab xmlns="urn:hostbed:lab:1" name="igbs">
  <network id="fabric"/>
  <host name="compute+" count="2">
    <iommu model="intel"/>
    <cell cpus="0" memory="448 MiB">
      <expander><port bus-reserve="2"><nic model="igb" network="fabric" vfs="1"/></port></expander>
    </cell>
  </host>
</lab>
END
cat >"$tap_dir/virtio.xml" <<'END'
<lab xmlns="urn:hostbed:lab:1" name="virtios">
  <network id="fabric"/>
  <host name="compute+" count="2">
    <cell cpus="0" memory="256 MiB">
      <expander><port><nic model="virtio" network="fabric"/></port></expander>
    </cell>
  </host>
</lab>
END
for emulator in $(emulators); do
    for model in igb virtio; do
        name="hosts pass whose NICs are ${model}s ($emulator)"
        may_be "$emulator" "$tap_dir/$model.xml" || { skip "$name" "$why"; continue; }
        hostbed test --accel tcg --quiet --emulator "$emulator" "$tap_dir/$model.xml" -s 'compute0/network/*' >"$out" 2>"$err"
        is "$name" "$? $(grep -c '^ok' "$out")" "0 9"
    done
done

# One that does not come up is named, whichever is tested.
cat >"$tap_dir/lab.xml" <<'END'
<lab xmlns="urn:hostbed:lab:1" name="broken">
  <network id="fabric"/>
  <host name="compute0"><cell cpus="0" memory="256 MiB"/><nic network="fabric"/></host>
  <host name="broken">
    <kernel cmdline="rdinit=/nothing init=/nothing"/>
    <cell cpus="0" memory="256 MiB"/>
    <nic network="fabric"/>
  </host>
</lab>
END
hostbed test --accel tcg --quiet --no-retry "$tap_dir/lab.xml" -s 'compute0/pci/*' >"$out" 2>"$err"
has "a peer that does not come up is named" "$out" "host 'broken': "
done_testing
