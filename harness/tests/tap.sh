# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Sourced by the tests that are shell scripts: they print TAP and work in a folder of their own.
set -u
tap_count=0
tap_dir=$(mktemp -d "${TMPDIR:-/tmp}/hostbed-test.XXXXXX")
trap 'rm -rf "$tap_dir"' EXIT
# shellcheck disable=SC2034  # for those who source this
source_dir=${HOSTBED_SOURCE_DIR:?run this by make check or make check-vm}
build_dir=${HOSTBED_BUILD_DIR:?run this by make check or make check-vm}
# The tests neither see nor leave anything in the user's folders; the costly cache is shared.
export XDG_STATE_HOME="$tap_dir/state" XDG_RUNTIME_DIR="$tap_dir/run" NO_COLOR=1
mkdir -p "$XDG_STATE_HOME" "$XDG_RUNTIME_DIR"

# own_cache FOLDER: a user's cache without templates, which will be in $store; kernels and the like are the machine's
shared_cache=${XDG_CACHE_HOME:-$HOME/.cache}/hostbed
own_cache() {
    local kind
    export XDG_CACHE_HOME="$tap_dir/$1"
    mkdir -p "$XDG_CACHE_HOME/hostbed"
    # shellcheck disable=SC2034 # for those who source this
    store="$XDG_CACHE_HOME/hostbed/templates"
    for kind in kernels modules packages emulators initramfs digests images downloads; do
        mkdir -p "$shared_cache/$kind"
        [ -e "$XDG_CACHE_HOME/hostbed/$kind" ] || ln -s "$shared_cache/$kind" "$XDG_CACHE_HOME/hostbed/$kind"
    done
}

# A host that has to be started twice is a failure here, unless a test is about that.
hostbed() {
    local command=${1-}
    case "$command $*" in
    *' --retry '* | *' --no-retry '*) ;;
    run\ * | test\ *) set -- "$command" --no-retry "${@:2}" ;;
    esac
    "$build_dir/run" hostbed "$@"
}

ok() { tap_count=$((tap_count + 1)); echo "ok $tap_count - $1"; }
not_ok() {
    tap_count=$((tap_count + 1))
    echo "not ok $tap_count - $1"
    shift
    for file in "$@"; do [ -f "$file" ] && tail -n 60 "$file" | sed 's/^/# /'; done
    return 0
}
skip() { tap_count=$((tap_count + 1)); echo "ok $tap_count - $1 # SKIP $2"; }
skip_all() { echo "1..0 # SKIP $1"; exit 0; }
bail() { echo "Bail out! $1"; exit 99; }
done_testing() { echo "1..$tap_count"; }

# may_be EMULATOR LAB: the emulator can make the lab's hosts; else $why says what it lacks. Any other finding ends the test.
may_be() {
    hostbed check --emulator "$1" "$2" >"$tap_dir/check" 2>&1
    local status=$?
    why=$(grep -m 1 'unsupported: ' "$tap_dir/check")
    why=${why#*unsupported: }
    [ $status = 0 ] || [ $status = 3 ] || bail "$2: $(tail -n 1 "$tap_dir/check")"
    return $status
}

# has_image_of LAB: the image of its host is there from now on; else $why says what this machine lacks to make it, be it a
# mirror. What else goes wrong is a failure.
has_image_of() {
    "$build_dir/run" hostbed image build "$1" >"$tap_dir/image" 2>"$tap_dir/image.err" && return
    why="no image of $(basename "$1" .xml): $(tail -n 1 "$tap_dir/image.err")"
    grep -Eq "cannot be installed|was built without|quickstart images" "$tap_dir/image.err" || bail "$why"
    return 1
}
needs_image_of() { has_image_of "$1" || skip_all "$why"; }

# has_terminal: script(1) gives a program a terminal here; else $why says why not
has_terminal() {
    why="script(1) is not there"
    command -v script >/dev/null || return
    why="script(1) gets no terminal here: $(LC_ALL=C script -qec true /dev/null </dev/null 2>&1)"
}

# is NAME FOUND ASKED
is() {
    if [ "$2" = "$3" ]; then ok "$1"; else
        printf 'found: %s\nasked: %s\n' "$2" "$3" >"$tap_dir/is"
        not_ok "$1" "$tap_dir/is"
    fi
}
# has NAME FILE PATTERN: a line of the file matches the extended regular expression
has() {
    if grep -Eq -- "$3" "$2"; then ok "$1"; else
        { echo "no line matches: $3"; tail -n 30 "$2"; } >"$tap_dir/has"
        not_ok "$1" "$tap_dir/has"
    fi
}
# none_skipped NAME REPORT ERRORS LAB/HOST/SUITE/CASE…: each of these cases passed in that report of hostbed test
none_skipped() {
    printf '%s\n' "${@:4}" | LC_ALL=C sort >"$tap_dir/asked"
    sed -n '/# SKIP/d; s|^ok [0-9]* - ||p' "$2" | LC_ALL=C sort | LC_ALL=C comm -23 "$tap_dir/asked" - >"$tap_dir/missing"
    if [ -s "$tap_dir/missing" ]; then
        not_ok "$1" "$tap_dir/missing" "$2" "$3"
    else
        ok "$1"
    fi
}

# The emulators to test with: the machine's own, and the one that check-all unpacked beside it.
emulators() {
    command -v qemu-system-x86_64 || true
    [ -z "${HOSTBED_SECOND_EMULATOR-}" ] || echo "$HOSTBED_SECOND_EMULATOR"
}
# The first that can be the hosts of LAB, or nothing.
emulator_of() {
    local each
    for each in $(emulators); do
        ! hostbed check --emulator "$each" "$1" >/dev/null 2>&1 || { echo "$each"; return; }
    done
}
emulator_version() { "$1" --version | sed -n 's/^QEMU emulator version \([0-9]*\.[0-9]*\).*/\1/p'; }
