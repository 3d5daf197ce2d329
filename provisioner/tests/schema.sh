#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What editors and people validate labs with agrees with the program: jing and xmllint accept the labs
# that ship, and refuse by topologies/lab.rng exactly those of topologies/refused/ whose .err says so.
. "${HOSTBED_SOURCE_DIR:?run this by make check}/harness/tests/tap.sh"

labs="$source_dir/topologies"
schema="$labs/lab.rng"
cd "$tap_dir" || bail "no folder of its own"

# refused_for CHECK…: the refused labs of which the program says that a check found something
refused_for() { grep -lE "\[($1)\]\$" "$labs"/refused/*.err | sed 's/err$/xml/'; }
names() { sed 's,.*/,,' | LC_ALL=C sort -u; }

refused_for 'schema|xml' >not-by-schema
refused_for xml >no-xml
printf '%s\n' "$labs"/refused/*.xml >refused
grep -vxFf no-xml refused >well-formed

# xmllint says of each file that it validates or fails to.
with_xmllint() {
    xmllint --nonet --noout --relaxng "$schema" "$labs"/*.xml >out 2>&1
    is "xmllint accepts the labs that ship" "$?" 0
    while IFS= read -r file; do
        xmllint --nonet --noout --relaxng "$schema" "$file" >out 2>&1 || echo "$file"
    done <refused >found
    is "xmllint refuses what the program refuses by the schema" "$(names <found)" "$(names <not-by-schema)"
}

# jing starts a Java machine, so that it gets all files at once; one that is no XML would end it.
with_jing() {
    jing "$schema" "$labs"/*.xml >out 2>jing.err
    is "jing accepts the labs that ship" "$? $(cat out)" "0 "
    mapfile -t files <well-formed
    jing "$schema" "${files[@]}" >out 2>jing.err
    sed -nE 's/^([^:]*\.xml):[0-9]+:[0-9]+: .*/\1/p' out >found
    grep -vxFf no-xml not-by-schema >expected
    is "jing refuses what the program refuses by the schema" "$(names <found)" "$(names <expected)"
    is "and tells no more than that" "$(grep -vE '\.xml:[0-9]+:[0-9]+: error: ' out)" ""
}

is "there are labs to try" "$(($(wc -l <not-by-schema) > 15 && $(wc -l <well-formed) > 30))" 1
for validator in xmllint jing; do
    if command -v "$validator" >/dev/null; then
        "with_$validator"
    else
        skip "the labs by $validator" "$validator is not there (package: ${validator/xmllint/libxml2-utils})"
    fi
done
done_testing
