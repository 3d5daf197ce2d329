#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What ./quickstart tells of its steps, on a machine where every program that it starts is played.
. "${HOSTBED_SOURCE_DIR:?run this by make check}/harness/tests/tap.sh"

tree="$tap_dir/tree"
mkdir -p "$tree/build-aux" "$tap_dir/bin"
cp "$source_dir/quickstart" "$tree"
cp "$source_dir/build-aux/install-packages" "$source_dir/build-aux/dependencies" "$tree/build-aux"
# played FILE COMMANDS: a program that says how it was called, and does this
played() { printf '#!/bin/sh\necho "%s $*" >>"%s/called"\n%s\n' "${1##*/}" "$tap_dir" "$2" >"$1" && chmod +x "$1"; }
for program in autoreconf make apt-get sudo; do played "$tap_dir/bin/$program" 'echo words of its own'; done
# Everything is there but make, which is there once apt-get was asked for it.
# shellcheck disable=SC2016 # for the program to expand
played "$tap_dir/bin/dpkg-query" 'for package; do :; done
[ "$package" = make ] && ! grep -q "apt-get install" "'"$tap_dir"'/called" || printf installed'
played "$tap_dir/bin/id" 'echo 0'
played "$tree/configure" 'printf "#!/bin/sh\necho \"reconfigured \$*\" >>'"$tap_dir"'/called\n" >config.status; chmod +x config.status'
played "$tree/build-aux/fetch-kernel" ''
played "$tree/build-aux/check-all" 'exit 5'
mkdir -p "$tree/build"
played "$tree/build/run" 'exit 3'
# quickstart ARGUMENT…: its words are in the files out and err
quickstart() { PATH="$tap_dir/bin:$PATH" "$tree/quickstart" "$@" >"$tap_dir/out" 2>"$tap_dir/err" </dev/null; }

quickstart
is "its status is that of the test" $? 3
is "each step is a line of its own" "$(grep -c '^quickstart: ' "$tap_dir/err")" 6
has "what is missing is named" "$tap_dir/err" '^quickstart: these packages are missing: make$'
has "that it takes time is told before it does" "$tap_dir/err" 'installing .*minutes'
has "of the build, too" "$tap_dir/err" 'building .*minute'
has "the last line leads on" "$tap_dir/err" '^README.md goes on'
has "after a command that can be typed as it stands" "$tap_dir/err" '^    ./build/run hostbed show topologies/berrange-2017.xml'
is "apt is silent where nobody looks" "$(grep -c 'words of its own' "$tap_dir/out" "$tap_dir/err" | cut -d: -f2 | paste -sd+)" "0+0"
is "the machine is tested" "$(grep -c '^run hostbed test ../topologies/berrange-2017.xml$' "$tap_dir/called")" 1

quickstart check
is "with check its status is that of all tests" $? 5
is "and nothing is installed again" "$(grep -c 'apt-get install' "$tap_dir/called")" 1
quickstart chekc
is "another word is refused" "$? $(cat "$tap_dir/err")" "2 usage: ./quickstart [images|check]"

quickstart images
is "with images nothing is tested" "$? $(grep -c '^run hostbed test' "$tap_dir/called")" "0 1"
has "libraries that came are found" "$tap_dir/called" '^reconfigured --recheck'
has "and what comes next is told" "$tap_dir/err" './build/run hostbed image --help$'
done_testing
