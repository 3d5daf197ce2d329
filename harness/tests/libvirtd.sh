# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154
# Sourced by tests after tap.sh: a libvirt of their own, that of one user's session, which knows of nobody else's domains.
# libvirtd of root's is the machine's, so root becomes somebody else for these tests.

# for_libvirt SCRIPT [COMMAND]: what the test cannot do without, or skips; COMMAND is started by then; and root comes back in
# SCRIPT as nobody, with a copy of the kernels, which nobody else may read, and in $TMPDIR what COMMAND put into $tap_dir/theirs.
for_libvirt() {
    local tool nobody=65534
    for tool in libvirtd virsh qemu-system-x86_64 setpriv; do
        command -v $tool >/dev/null || skip_all "$tool is not there"
    done
    [ -x "$build_dir/provisioner/hostbed-domain" ] || skip_all "hostbed was built without libvirt"
    if [ "$(id -u)" != 0 ]; then
        [ $# = 1 ] || "$2"
        return
    fi
    setpriv --reuid $nobody --regid $nobody --clear-groups test -r "$1" -a -x "$build_dir/run" 2>/dev/null ||
        skip_all "root has no libvirt of its own, and others cannot read $source_dir and $build_dir"
    mkdir -p "$tap_dir/cache/hostbed" "$tap_dir/home" "$tap_dir/theirs"
    [ $# = 1 ] || "$2"
    for kind in kernels modules packages; do
        [ ! -e "$shared_cache/$kind" ] || cp -r --reflink=auto "$shared_cache/$kind" "$tap_dir/cache/hostbed/"
    done
    # Who opens a channel of libvirt's locks it there; where no init has made the folder there is none.
    [ -d /var/lock ] || install -d -m 1777 "$(readlink -m /var/lock)"
    chmod 755 "$tap_dir"
    chown -R $nobody:$nobody "$tap_dir/cache" "$tap_dir/home" "$tap_dir/theirs"
    cd /
    env HOME="$tap_dir/home" XDG_CACHE_HOME="$tap_dir/cache" TMPDIR="$tap_dir/theirs" \
        setpriv --reuid $nobody --regid $nobody --clear-groups --inh-caps=-all bash "$1"
    exit
}

# The daemon ends with the test, whoever started it: libvirt's library does where there is none.
end_libvirtd() {
    local pid
    pid=$(cat "$XDG_RUNTIME_DIR/libvirt/libvirtd.pid" 2>/dev/null) || return 0
    kill "${1--TERM}" "$pid" 2>/dev/null
    tail --pid="$pid" -f /dev/null
}

start_libvirtd() {
    # In the one or, from libvirt 10 on, in the other it has the sockets of agents, whose paths may have 107 bytes.
    XDG_CONFIG_HOME=$(mktemp -d /tmp/hb.XXXXXX)
    XDG_RUNTIME_DIR=$XDG_CONFIG_HOME
    export XDG_CONFIG_HOME
    mkdir -p "$XDG_CONFIG_HOME/libvirt"
    echo 'stdio_handler = "file"' >"$XDG_CONFIG_HOME/libvirt/qemu.conf"
    trap 'end_libvirtd; rm -rf "$XDG_CONFIG_HOME" "$tap_dir"' EXIT
    libvirtd -d >"$tap_dir/libvirtd" 2>&1 || skip_all "libvirtd does not start: $(tail -n 1 "$tap_dir/libvirtd")"
    uri=qemu:///session
    virsh -q -c $uri version >"$tap_dir/libvirtd" 2>&1 || skip_all "libvirtd does not answer: $(tail -n 1 "$tap_dir/libvirtd")"
}
virsh() { command virsh -q -c "$uri" "$@"; }
# Each question takes its time, so that this does not spin.
gone_in_time() { # DOMAIN
    local turns=400
    while virsh domid "$1" >/dev/null 2>&1; do
        [ $((turns -= 1)) -gt 0 ] || return 1
    done
}
