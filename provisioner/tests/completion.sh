#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Completion in bash: what a user gets for a half typed line, and that no option is forgotten.
. "${HOSTBED_SOURCE_DIR:?run this by make check}/harness/tests/tap.sh"

mkdir -p "$tap_dir/here/sub"
cd "$tap_dir/here" || bail "no folder of its own"
touch lab.xml other.txt kernel.deb 'with space.xml'

mkdir "$tap_dir/bin"
printf '#!/bin/sh\nexec "%s" hostbed "$@"\n' "$build_dir/run" >"$tap_dir/bin/hostbed"
chmod +x "$tap_dir/bin/hostbed"

# completed WORD…: what a fresh shell offers for a line of these words, the last half typed
completed() {
    # shellcheck disable=SC2016  # for the inner shell
    PATH="$tap_dir/bin:$PATH" bash --norc -c '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _hostbed_complete
        printf "%s\n" "${COMPREPLY[@]}" | LC_ALL=C sort | paste -sd" "' \
        "$source_dir/provisioner/completions/hostbed" "$@"
}
# offers NAME EXPECTED WORD…
offers() { is "$1" "$(completed "${@:3}" 2>&1)" "$2"; }

offers "commands" "check" hostbed ch
offers "commands for help, and topics" "limits link list" hostbed help "li"
offers "labs and folders" "lab.xml sub with space.xml" hostbed show ""
offers "only what begins so" "lab.xml" hostbed test la
offers "forms" "svg" hostbed show -f s
offers "forms behind =" "manifest" hostbed show --format = m
offers "accelerators" "auto kvm tcg" hostbed run --accel ""
offers "all of them behind =" "auto kvm tcg" hostbed check --accel =
offers "suites" "pci" hostbed test --select p
offers "all suites" "$({ echo manifest; hostbed test --list; } | sed 's,/.*,,' | LC_ALL=C sort -u | paste -sd" ")" hostbed test --select ""
offers "cases of a suite" "iommu/groups_are_translated iommu/groups_have_their_members" \
    hostbed test --select iommu/gr
offers "suites beside labs" "manifest memory migration" hostbed test lab.xml m
offers "and their cases" "iommu/groups_are_translated" hostbed test lab.xml iommu/groups_are_t
offers "hosts of the lab" "compute0 compute1" hostbed show "$source_dir/topologies/two-hosts.xml" --host ""
offers "hosts behind =" "compute1" hostbed run "$source_dir/topologies/two-hosts.xml" --host = compute1
offers "operating systems" "$(hostbed os 2>/dev/null | cut -d" " -f1 | grep ^debian1 | LC_ALL=C sort | paste -sd" ")" \
    hostbed os debian1
offers "no hosts without a lab" "" hostbed show --host ""
offers "options" "--jobs --json --junit" hostbed test --j
offers "nor does check's" "lab.xml" hostbed check --json lab
offers "doctor's --json takes no file" "--emulator" hostbed doctor --json --e
offers "packages" "kernel.deb sub" hostbed image kernel ""
offers "what to do with templates" "export" hostbed template e
offers "labs to have a key" "lab.xml" hostbed template key l
offers "archives of templates" "kernel.deb" hostbed template import k
offers "a lab to bring up" "lab.xml" hostbed up l
offers "its hosts" "compute0 compute1" hostbed up "$source_dir/topologies/two-hosts.xml" ""
cat >"$tap_dir/listing" <<'X'
#!/bin/sh
echo 'pair/one   up  2026-11-22 06:30:00  12 MiB  hostbed exec one'
echo 'pair/other up  2026-11-22 06:30:00  12 MiB  hostbed exec other'
X
chmod +x "$tap_dir/listing"
offers "labs to take down" "pair" "$tap_dir/listing" down ""
offers "hosts to be in" "one other pair/one pair/other" "$tap_dir/listing" exec ""
offers "and by their labs" "pair/other" "$tap_dir/listing" log pair/ot
offers "hosts to be verified" "one other pair/one pair/other" "$tap_dir/listing" verify ""
offers "hosts to be changed" "one other pair/one pair/other" "$tap_dir/listing" plug ""
offers "what is plugged" "nic nvme" hostbed plug one n
cat >"$tap_dir/disks" <<'X'
#!/bin/sh
echo 'cell0.nvme0                       0000:21:00.0      64 MiB  no faults'
echo 'cell1.nvme0                       0000:41:00.0      64 MiB  no faults'
X
chmod +x "$tap_dir/disks"
offers "disks, by name and address" "0000:21:00.0 0000:41:00.0 cell0.nvme0 cell1.nvme0" "$tap_dir/disks" disk one ""
offers "the rest of a name" "cell1.nvme0" "$tap_dir/disks" disk one cell1
offers "and of an address, which bash divides" "41:00.0" "$tap_dir/disks" disk one 0000 : 4
offers "at each colon" "21:00.0 41:00.0" "$tap_dir/disks" disk one 0000 :
offers "and what is done to it" "error=read" "$tap_dir/disks" disk one 0000 : 21 : 00.0 error=r
offers "to NICs, too" "up" "$tap_dir/disks" link one 0000 : 21 : 00.0 u
offers "nothing behind --" "" hostbed run lab.xml -- l
offers "nothing for a number" "" hostbed test --repeat ""
offers "nothing for no command" "" hostbed nosuch l

# Every option and command that the program names is offered, and no other.
is "all commands" "$(completed hostbed "" | tr ' ' '\n' | grep -vx -e '-.*' -e help)" \
    "$(hostbed --help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' | LC_ALL=C sort)"
for command in doctor check show run test up down list exec verify plug unplug pause resume reset power link disk nmi console log qmp os image template; do
    hostbed "$command" --help | grep -Eo '^  (-[a-z], )?--[a-z-]+' | grep -Eo -e '--?[a-z-]+' |
        LC_ALL=C sort >"$tap_dir/asked"
    is "all options of $command" "$(completed hostbed "$command" - | tr ' ' '\n')" "$(cat "$tap_dir/asked")"
done
for group in image template; do
    is "all commands of $group" "$(completed hostbed $group "" | tr ' ' '\n')" \
        "$(hostbed $group --help | sed -n '/^Commands:/,$s/^  \([a-z]*\) .*/\1/p' | LC_ALL=C sort)"
    for command in $(completed hostbed $group ""); do
        hostbed $group "$command" --help | grep -Eo '^  (-[a-z], )?--[a-z0-9-]+' | grep -Eo -e '--?[a-z0-9-]+' |
            LC_ALL=C sort >"$tap_dir/asked"
        is "all options of $group $command" "$(completed hostbed $group "$command" - | tr ' ' '\n')" "$(cat "$tap_dir/asked")"
    done
done
done_testing
