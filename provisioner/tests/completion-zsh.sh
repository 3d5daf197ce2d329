#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Completion in zsh: what a user gets for a half typed line in a real zsh, at a terminal of its own.
. "${HOSTBED_SOURCE_DIR:?run this by make check}/harness/tests/tap.sh"
command -v zsh >/dev/null || skip_all "there is no zsh"
zsh -fc 'zmodload zsh/zpty' 2>/dev/null || skip_all "zsh has no module zsh/zpty"

mkdir -p "$tap_dir/here/sub" "$tap_dir/bin"
cd "$tap_dir/here" || bail "no folder of its own"
touch lab.xml other.txt kernel.deb 'with space.xml'
printf '#!/bin/sh\nexec "%s" hostbed "$@"\n' "$build_dir/run" >"$tap_dir/bin/hostbed"
cat >"$tap_dir/bin/listing" <<'X'
#!/bin/sh
echo 'pair/one   up  2026-11-22 06:30:00  12 MiB  hostbed exec one'
echo 'pair/other up  2026-11-22 06:30:00  12 MiB  hostbed exec other'
X
chmod +x "$tap_dir/bin/hostbed" "$tap_dir/bin/listing"

# The shell in which somebody types. Each match that its completion adds is printed with "match:" before it, and "end:"
# when that is done; compadd itself fills an array for that, so that what is printed is what zsh would offer.
cat >"$tap_dir/typed" <<'X'
PROMPT= RPS1= LISTMAX=0
unset zle_bracketed_paste
autoload -Uz compinit && compinit -D -u
compdef _hostbed hostbed listing
compadd() {
    local -a hits
    local hit
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
        builtin compadd "$@"
        return
    fi
    builtin compadd -A hits "$@"
    for hit in "${(@)hits}"; do print -r -- "match:$hit"; done
    builtin compadd "$@"
}
finish() { print -r -- end:; exit }
print-all() {
    local -a comppostfuncs=(finish)
    zle complete-word
    finish
}
zle -N print-all
zle -C complete-word .complete-word _main_complete
bindkey '^I' print-all
print -r -- ready:
X

# The one at the other end of the terminal: types LINE and a tab, and prints the matches.
cat >"$tap_dir/typist" <<'X'
zmodload zsh/zpty
typed=$1 line=$2
export TERM=dumb COMPLETIONS=$3
zpty shell zsh -f -i
zpty -w shell "fpath=(\$COMPLETIONS \$fpath); . ${(q)typed}"
zpty -r -m shell text '*ready:*' || exit 1
zpty -w -n shell "$line"$'\t'
zpty -r -m shell text '*end:*' || { print -r -- "no end: $text"; exit 1 }
print -r -- "$text" | tr -d '\r' | sed -n 's/^.*match:\(.*\)$/\1/p' | LC_ALL=C sort -u
X

# completed LINE: what is offered at its end
completed() {
    PATH="$tap_dir/bin:$PATH" timeout 60 zsh -f "$tap_dir/typist" "$tap_dir/typed" "$1" "$source_dir/provisioner/completions" 2>&1
}
# offers NAME EXPECTED LINE
offers() { is "$1" "$(completed "$3" | paste -sd" ")" "$2"; }

offers "commands" "check" "hostbed ch"
offers "topics of help" "limits link list" "hostbed help li"
offers "labs and folders" 'lab.xml sub with\ space.xml' "hostbed show "
offers "only what begins so" "lab.xml" "hostbed test la"
offers "forms" "svg" "hostbed show -f s"
offers "forms behind =" "manifest" "hostbed show --format=m"
offers "accelerators" "auto kvm tcg" "hostbed run --accel "
offers "suites" "pci" "hostbed test --select p"
offers "cases of a suite" "groups_are_translated groups_have_their_members" "hostbed test --select iommu/gr"
offers "hosts of the lab" "compute0 compute1" "hostbed up $source_dir/topologies/two-hosts.xml "
offers "options" "--jobs --json --junit" "hostbed test --j"
offers "options of a command of a command" "--size --ssh-key" "hostbed image build --s"
offers "packages" "kernel.deb sub" "hostbed image kernel "
offers "what to do with templates" "export" "hostbed template e"
offers "nothing behind --" "" "hostbed run lab.xml -- l"
offers "labs to take down" "pair" "listing down "
offers "what becomes of power" "off on" "listing power one o"
offers "and of a link" "down loss=0 loss=5% up" "listing link one nic0 "
offers "hosts to be in" "one other pair/one pair/other" "listing exec "

# What the program names is offered, and nothing else.
is "all commands" "$(completed "hostbed " | paste -sd" ")" \
    "$(hostbed --help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' | LC_ALL=C sort | paste -sd" ")"
for command in run up log "image build" "template" "template key"; do
    # shellcheck disable=SC2086  # "image build" are two words
    is "all options of $command" "$(completed "hostbed $command -" | paste -sd" ")" \
        "$(hostbed $command --help | grep -Eo '^  (-[a-z], )?--[a-z0-9-]+' | grep -Eo -e '--?[a-z0-9-]+' | LC_ALL=C sort | paste -sd" ")"
done
done_testing
