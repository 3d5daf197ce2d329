#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# hostbed run as the prefix by which automake, meson, CTest and cargo start tests: docs/wrapper.rst.
# shellcheck disable=SC1091
. "${HOSTBED_SOURCE_DIR:?}/harness/tests/tap.sh"

prefix="$build_dir/run hostbed run --accel tcg $source_dir/topologies/smallest.xml --bind nic --"
log=$tap_dir/log

# One that passes if it is in the host and finds its function, one that fails, one that skips; as scripts and as programs.
cat >"$tap_dir/test.c" <<'END'
#include <stdlib.h>
#include <unistd.h>
int main(void)
{
    const char *group = getenv("HOSTBED_BIND_1_GROUP");
    return STATUS + (!group || access("/dev/vfio/vfio", F_OK) != 0);
}
END
make_tests() { # FOLDER
    local each
    for each in passes:0 fails:1 skips:77; do
        cc -DSTATUS=${each#*:} -o "$1/${each%:*}" "$tap_dir/test.c" || bail "no test program could be made"
    done
}

# ---- automake: programs by their names, relative ones

mkdir "$tap_dir/automake"
cd "$tap_dir/automake" || bail "no folder of its own"
printf 'AC_INIT([wrapped],[1])\nAM_INIT_AUTOMAKE([foreign])\nAC_CONFIG_FILES([Makefile])\nAC_OUTPUT\n' >configure.ac
printf 'TESTS = passes fails skips\n' >Makefile.am
make_tests .
if ! { autoreconf -fi && ./configure; } >"$log" 2>&1; then
    not_ok "automake: a project can be made" "$log"
fi
env -u MAKEFLAGS -u MAKELEVEL make check LOG_COMPILER="$prefix" >"$log" 2>&1
has "automake: a test passes in the host" "$log" '^PASS: passes$'
has "automake: one that fails fails" "$log" '^FAIL: fails$'
has "automake: 77 is a skip" "$log" '^SKIP: skips$'

# ---- meson

name="meson: tests pass, fail and skip in the host"
mkdir "$tap_dir/meson"
cd "$tap_dir/meson" || bail "no folder of its own"
cat >meson.build <<'END'
project('wrapped', 'c')
foreach name, status : {'passes': 0, 'fails': 1, 'skips': 77}
  test(name, executable(name, 'test.c', c_args: '-DSTATUS=@0@'.format(status)), timeout: 120)
endforeach
END
cp "$tap_dir/test.c" .
if command -v meson >/dev/null; then
    meson setup build >"$log" 2>&1
    meson test -C build --wrapper "$prefix" >"$log" 2>&1
    grep -Eo '(passes|fails|skips) +[A-Z]+' "$log" | sed 's/  */ /' | LC_ALL=C sort | paste -sd' ' >"$tap_dir/found"
    is "$name" "$(cat "$tap_dir/found")" "fails FAIL passes OK skips SKIP"
else
    skip "$name" "meson is not installed"
fi

# ---- CTest: targets by their absolute paths

name="CTest: tests pass, fail and skip in the host"
mkdir "$tap_dir/ctest"
cd "$tap_dir/ctest" || bail "no folder of its own"
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.13)
project(wrapped C)
enable_testing()
foreach(each passes:0 fails:1 skips:77)
  string(REPLACE ":" ";" each ${each})
  list(GET each 0 name)
  list(GET each 1 status)
  add_executable(${name} test.c)
  target_compile_definitions(${name} PRIVATE STATUS=${status})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77)
endforeach()
END
cp "$tap_dir/test.c" .
if command -v cmake >/dev/null && command -v ctest >/dev/null; then
    { cmake -B build -DCMAKE_CROSSCOMPILING_EMULATOR="${prefix// /;}" && cmake --build build; } >"$log" 2>&1
    (cd build && ctest) >"$log" 2>&1
    sed -nE 's/.*: (passes|fails|skips) \.+ *\**(Passed|Failed|Skipped).*/\1 \2/p' "$log" | LC_ALL=C sort |
        paste -sd' ' >"$tap_dir/found"
    is "$name" "$(cat "$tap_dir/found")" "fails Failed passes Passed skips Skipped"
    [ "$(cat "$tap_dir/found")" ] || sed 's/^/# /' "$log"
else
    skip "$name" "CMake is not installed"
fi

# ---- cargo: a program with many tests

name="cargo: tests pass and fail in the host"
mkdir -p "$tap_dir/cargo/src"
cd "$tap_dir/cargo" || bail "no folder of its own"
printf '[package]\nname = "wrapped"\nversion = "0.1.0"\nedition = "2021"\n[lib]\ndoctest = false\n' >Cargo.toml
cat >src/lib.rs <<'END'
#[test]
fn passes() { assert!(std::path::Path::new("/dev/vfio").join(std::env::var("HOSTBED_BIND_1_GROUP").unwrap()).exists()); }
#[test]
fn fails() { assert_eq!(std::env::var("HOSTBED_BIND_COUNT").unwrap(), "2"); }
END
if command -v cargo >/dev/null && cargo --version >/dev/null 2>&1; then
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="$prefix" cargo test --offline >"$log" 2>&1
    sed -nE 's/^test (passes|fails) \.\.\. (ok|FAILED).*/\1 \2/p' "$log" | LC_ALL=C sort | paste -sd' ' >"$tap_dir/found"
    is "$name" "$(cat "$tap_dir/found")" "fails FAILED passes ok"
else
    skip "$name" "cargo is not installed"
fi
cd / || exit
done_testing
