#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What libosinfo says of real systems, with the machine's database, with another, and with none.
. "${HOSTBED_SOURCE_DIR:?run this by make check}/harness/tests/tap.sh"

[ -x "$build_dir/osdb/hostbed-osinfo" ] || skip_all "built without libosinfo (package: libosinfo-1.0-dev)"
own_cache cache

# A machine's database that knows an old Debian 12, a system of its own, and one derived from Debian 12.
mkdir -p "$tap_dir/system/os/debian.org" "$tap_dir/system/os/a.example"
export OSINFO_SYSTEM_DIR="$tap_dir/system" OSINFO_LOCAL_DIR="$tap_dir/none" OSINFO_USER_DIR="$tap_dir/none"
cat >"$OSINFO_SYSTEM_DIR/os/debian.org/debian-12.xml" <<'END'
<libosinfo version="0.0.1">
  <os id="http://debian.org/debian/12">
    <short-id>debian12</short-id>
    <name>Debian as it once was</name>
    <vendor>Debian</vendor>
    <resources arch="all"><minimum><ram>5</ram></minimum></resources>
    <image arch="x86_64" format="raw"><url>https://old.example/debian.raw</url></image>
    <image arch="aarch64" format="raw"><url>https://old.example/arm.raw</url></image>
    <image arch="x86_64" format="raw"><url>https://old.example/second.raw</url></image>
    <image arch="x86_64" format="raw"><url>https://old.example/third.raw</url></image>
  </os>
</libosinfo>
END
cat >"$OSINFO_SYSTEM_DIR/os/a.example/a-1.xml" <<'END'
<libosinfo version="0.0.1">
  <os id="http://a.example/a/1">
    <short-id>a1</short-id>
    <name>A 1</name>
    <vendor>A</vendor>
    <derives-from id="http://debian.org/debian/12"/>
    <devices><device id="http://pcisig.com/pci/8086/10d3" supported="false"/></devices>
    <firmware arch="x86_64" type="bios" supported="false"/>
  </os>
</libosinfo>
END

hostbed os debian12 >"$tap_dir/out" 2>"$tap_dir/err"
is "Debian 12 is known" "$? $(head -n 1 "$tap_dir/out")" "0 Debian 12"
has "by the project's own database, which is laid over the machine's" "$tap_dir/out" '^  needs +1 GiB of memory, 1 CPU, 10 GiB of storage$'
is "its images come first" "$(sed -nE 's,^  image .*/([^/ ]*) .*,\1,p' "$tap_dir/out" | head -n 2 | paste -sd' ')" \
    "debian-12-generic-amd64.qcow2 debian-12-genericcloud-amd64.qcow2"
is "and none of another architecture" "$(grep -c 'arm\.raw' "$tap_dir/out")" 0
has "its drivers are known" "$tap_dir/out" '^  drivers .*igb \(8086:10c9\).*e1000e \(8086:10d3\)'
has "and what it has none for" "$tap_dir/out" '^  none for .*virtio1.0-iommu \(1af4:1057\)'

hostbed os http://a.example/a/1 >"$tap_dir/out" 2>"$tap_dir/err"
is "a system of the machine's database is known" "$? $(head -n 1 "$tap_dir/out")" "0 A 1"
has "with what it inherits" "$tap_dir/out" '^  drivers .*igb \(8086:10c9\)'
has "but for what it says it lacks" "$tap_dir/out" '^  none for .*e1000e \(8086:10d3\)'
has "firmware too" "$tap_dir/out" '^  not by +BIOS$'

hostbed os debain12 >"$tap_dir/out" 2>"$tap_dir/err"
is "a mistyped name has the nearest" "$? $(cat "$tap_dir/out" "$tap_dir/err")" \
    "2 hostbed: no operating system is called debain12; did you mean debian12 or debian13?"
hostbed os debian >"$tap_dir/out" 2>"$tap_dir/err"
is "one that was begun goes on with the newest" "$? $(cat "$tap_dir/out" "$tap_dir/err")" \
    "2 hostbed: no operating system is called debian; did you mean debian13, debian12 or debiantrixie?"
hostbed os ubuntu-lts-latest >"$tap_dir/out" 2>&1
is "the LTS is that of 2026" "$(head -n 1 "$tap_dir/out")" "Ubuntu 26.04 LTS"
hostbed os hostbed >"$tap_dir/out" 2>&1
is "the micro image is a system" "$(head -n 1 "$tap_dir/out")" "hostbed (micro image)"

hostbed os >"$tap_dir/list" 2>&1
is "a list has all of them" "$(grep -cE '^(a1|alpinelinux3\.2[0-2]|centos-stream(9|10)|debian1[23]|fedora4[1-3]|hostbed|ubuntu2[246]\.04) ' "$tap_dir/list") $(wc -l <"$tap_dir/list")" "15 15"
is "and says for which there is an image" "$(sed -n '/(image)$/!s/ .*//p' "$tap_dir/list" | paste -sd' ')" "a1 hostbed"
{
    echo '<lab xmlns="urn:hostbed:lab:1" name="all">'
    sed 's,^\([^ ]*\) .*,<host os="\1"><cell cpus="0-1" memory="8 GiB"/></host>,' "$tap_dir/list"
    echo '</lab>'
} >"$tap_dir/all.xml"
hostbed check "$tap_dir/all.xml" >"$tap_dir/out" 2>"$tap_dir/err"
is "each can be named in a lab" "$? $(grep -c ' ok, 15 hosts' "$tap_dir/out")" "0 1"
is "and 8 GiB are enough for it" "$(grep -E '\[os(-needs)?\]$' "$tap_dir/err")" ""

rm -r "$OSINFO_SYSTEM_DIR"
hostbed os centos-stream10 >"$tap_dir/out" 2>&1
is "without a database of the machine there is the project's own" "$? $(head -n 1 "$tap_dir/out")" "0 CentOS Stream 10"
HOSTBED_OSDB_DIR="$tap_dir/none" hostbed os debian12 >"$tap_dir/out" 2>"$tap_dir/err"
is "which is missed" "$?" 8
has "in a sentence" "$tap_dir/err" "^hostbed: the database $tap_dir/none cannot be read: .*HOSTBED_OSDB_DIR$"

mkdir -p "$tap_dir/broken/os/a.example"
echo '<libosinfo version="0.0.1"><os id="http://a.example/a/1">' >"$tap_dir/broken/os/a.example/a-1.xml"
OSINFO_USER_DIR="$tap_dir/broken" hostbed os debian12 >"$tap_dir/out" 2>"$tap_dir/err"
is "a database that is broken is an error" "$?" 8
has "in a sentence, too" "$tap_dir/err" "^hostbed: libosinfo's database cannot be read: "

# Two systems that derive from one another: libosinfo 1.10 calls itself until it dies of it.
mkdir -p "$tap_dir/circle/os/a.example"
for pair in "1 2" "2 1"; do
    read -r one other <<<"$pair"
    cat >"$tap_dir/circle/os/a.example/a-$one.xml" <<END
<libosinfo version="0.0.1">
  <os id="http://a.example/a/$one">
    <short-id>a$one</short-id><name>A $one</name><vendor>A</vendor>
    <derives-from id="http://a.example/a/$other"/>
  </os>
</libosinfo>
END
done
cat >"$tap_dir/lab.xml" <<'END'
<lab xmlns="urn:hostbed:lab:1" name="circle"><host os="a1"><cell cpus="0" memory="128 MiB"/></host></lab>
END
OSINFO_USER_DIR="$tap_dir/circle" hostbed check "$tap_dir/lab.xml" >"$tap_dir/out" 2>"$tap_dir/err"
is "a database that libosinfo dies of leaves a lab as it is" "$? $(grep -c ': ok, 1 host' "$tap_dir/out")" "0 1"
done_testing
