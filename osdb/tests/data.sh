#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The project's own database of operating systems, looked at with libosinfo's own tools: it is valid, it
# can be exported and imported as theirs is, and all of it is installed.
. "${HOSTBED_SOURCE_DIR:?run this by make check}/harness/tests/tap.sh"

data="$source_dir/osdb/data"
schema=/usr/share/osinfo/schema/osinfo.rng

(cd "$source_dir" && find osdb/data -name '*.xml' | LC_ALL=C sort) >"$tap_dir/files"
sed -n 's/^\t\(osdb\/data\/.*\.xml\) \\$/\1/p' "$source_dir/Makefile.am" | LC_ALL=C sort >"$tap_dir/installed"
is "all files are installed, and no other" "$(cat "$tap_dir/installed")" "$(cat "$tap_dir/files")"

# file_of ID: where libosinfo wants what has this id, below os/ or device/; it ignores files elsewhere
file_of() {
    local rest=${1#http://} vendor
    vendor=${rest%%/*}
    rest=${rest#*/}
    echo "$vendor/${rest//\//-}"
}
misplaced=
while IFS= read -r file; do
    id=$(sed -nE 's/^ *<(os|device) id="([^"]*)">$/\2/p' "$source_dir/$file" | head -n 1)
    place=${file#osdb/data/*/}
    place=${place%.d/hostbed.xml}
    [ "${place%.xml}" = "$(file_of "$id")" ] || misplaced+=" $file"
done <"$tap_dir/files"
is "each is where its id is looked for" "$misplaced" ""

if ! command -v osinfo-db-validate >/dev/null || [ ! -r "$schema" ]; then
    skip "the schema, and libosinfo's tools" "osinfo-db-validate is not there (packages: osinfo-db-tools, osinfo-db)"
    done_testing
    exit 0
fi

# With a copy, since the tools look for the schema in the folder too.
mkdir "$tap_dir/own"
cp -r "$data/." "$tap_dir/own"
osinfo-db-validate --dir "$tap_dir/own" >"$tap_dir/out" 2>&1
is "it is valid" "$? $(cat "$tap_dir/out")" "0 "

mkdir -p "$tap_dir/wrong/os/debian.org"
sed 's,<version>,<verzion>,; s,</version>,</verzion>,' "$data/os/debian.org/debian-12.xml" >"$tap_dir/wrong/os/debian.org/debian-12.xml"
osinfo-db-validate --dir "$tap_dir/wrong" >"$tap_dir/out" 2>&1
is "and what is not would be refused" "$?" 1

osinfo-db-export --dir "$tap_dir/own" "$tap_dir/own.tar.xz" >"$tap_dir/out" 2>&1
is "it is exported" "$?" 0
osinfo-db-import --dir "$tap_dir/imported" "$tap_dir/own.tar.xz" >"$tap_dir/out" 2>&1
is "and imported" "$?" 0
(cd "$tap_dir/imported" && find . -name '*.xml' -printf 'osdb/data/%P\n' | LC_ALL=C sort) >"$tap_dir/came"
is "whole" "$(cat "$tap_dir/came")" "$(cat "$tap_dir/files")"
done_testing
