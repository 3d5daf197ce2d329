# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154
# Sourced by tests after tap.sh: a libvirt of root's, whose emulators are somebody else's, in namespaces of its own, so that
# the machine's is not seen and nothing outlives the test. hostbed is a third one's: nobody's.
emulators=65533 nobody=65534
# What libvirt keeps of its own.
libvirt_folders=(/run /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt)

# in_namespaces SCRIPT: what the test cannot do without, or skips; and SCRIPT comes back in namespaces.
in_namespaces() {
    local tool folder why
    [ -z "${HOSTBED_TEST_NAMESPACES-}" ] || return 0
    for tool in libvirtd virsh qemu-system-x86_64 setpriv unshare ip; do
        command -v $tool >/dev/null || skip_all "$tool is not there"
    done
    [ -x "$build_dir/provisioner/hostbed-domain" ] || skip_all "hostbed was built without libvirt"
    [ "$(id -u)" = 0 ] || skip_all "a libvirt whose emulators are another user's is root's"
    for folder in "${libvirt_folders[@]}"; do
        [ -d "$folder" ] || skip_all "$folder, which would be covered, is not there"
    done
    setpriv --reuid $nobody --regid $nobody --clear-groups test -r "$1" -a -x "$build_dir/run" 2>/dev/null ||
        skip_all "others cannot read $source_dir and $build_dir"
    why=$(unshare --mount --net --pid --fork --kill-child --mount-proc true 2>&1) || skip_all "no namespaces: $why"
    chmod 755 "$tap_dir"
    HOSTBED_TEST_NAMESPACES=1 TMPDIR="$tap_dir" unshare --mount --net --pid --fork --kill-child --mount-proc bash "$1"
    exit
}

# make_user [FOLDER]: nobody's folders, which nobody else may read, with a copy of the kernels, and of FOLDER, that has images.
make_user() {
    local kind
    mkdir -p "$tap_dir/home" "$tap_dir/cache/hostbed"
    for kind in kernels modules packages; do
        [ ! -e "$shared_cache/$kind" ] || cp -r --reflink=auto "$shared_cache/$kind" "$tap_dir/cache/hostbed/"
    done
    [ $# = 0 ] || cp -a "$1" "$tap_dir/cache/hostbed/"
    chmod 755 "$tap_dir"
    chmod 700 "$tap_dir/home" "$tap_dir/cache" "$XDG_RUNTIME_DIR" "$XDG_STATE_HOME"
    chown -R $nobody:$nobody "$tap_dir/home" "$tap_dir/cache" "$XDG_RUNTIME_DIR" "$XDG_STATE_HOME"
    export HOME="$tap_dir/home" XDG_CACHE_HOME="$tap_dir/cache"
    cd /
}
as_user() { setpriv --reuid $nobody --regid $nobody --clear-groups --inh-caps=-all "$@"; }

start_system_libvirtd() {
    local folder
    for folder in "${libvirt_folders[@]}"; do
        mount -t tmpfs -o mode=755 none "$folder" || bail "$folder cannot be covered"
    done
    mkdir -m 1777 /run/lock
    ip link set lo up
    printf '%s\n' 'unix_sock_rw_perms = "0777"' 'auth_unix_rw = "none"' 'auth_unix_ro = "none"' \
        'listen_tls = 0' 'listen_tcp = 1' 'listen_addr = "127.0.0.1"' 'auth_tcp = "none"' >/etc/libvirt/libvirtd.conf
    # A /dev of libvirt's making for each emulator has no terminals where /dev itself is of another root than the test's (chroot).
    printf '%s\n' 'stdio_handler = "file"' 'cgroup_controllers = [ ]' 'namespaces = [ ]' "user = \"+$emulators\"" "group = \"+$emulators\"" \
        >/etc/libvirt/qemu.conf
    libvirtd -d -l >"$tap_dir/libvirtd" 2>&1 || skip_all "libvirtd does not start: $(tail -n 1 "$tap_dir/libvirtd")"
    virsh version >"$tap_dir/libvirtd" 2>&1 || skip_all "libvirtd does not answer: $(tail -n 1 "$tap_dir/libvirtd")"
}
virsh() { command virsh -q -c qemu:///system "$@"; }
