#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# hostbed image fetch, against a web server on loopback that misbehaves in every way that a path of it is named for.
. "${HOSTBED_SOURCE_DIR:?run this by make check}/harness/tests/tap.sh"

[ -x "$build_dir/provisioner/hostbed-fetch" ] || skip_all "hostbed was built without libcurl"
command -v python3 >/dev/null || skip_all "python3 is not installed"
cd "$tap_dir" || bail "no folder of its own"
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY no_proxy NO_PROXY
export XDG_CACHE_HOME="$tap_dir/cache"
store="$XDG_CACHE_HOME/hostbed"

head -c 300000 /dev/urandom >content
sha256=$(sha256sum content | cut -d' ' -f1)
sha512=$(sha512sum content | cut -d' ' -f1)
size=300000

# serve NAME [CERTIFICATE KEY]: a server, whose port is then in $port; it ends with us, by its standard input
serve() {
    mkfifo "$1.in" "$1.out"
    python3 "$source_dir/provisioner/tests/fetch-server.py" content "$1.log" . "${@:2}" <"$1.in" >"$1.out" 2>"$1.err" &
    # shellcheck disable=SC2034 # open as long as we live
    exec {hold}>"$1.in"
    read -r -t 60 port <"$1.out" || bail "the server does not start: $(cat "$1.err")"
}
serve plain
plain=$port
url="http://127.0.0.1:$plain"

forget() { rm -rf "$store"; : >plain.log; }
# fetch ARGUMENT…: into out and err
fetch() { hostbed image fetch "$@" >out 2>err; }
# gets NAME ARGUMENT…: it is fetched, and is what it must be
gets() {
    if fetch "${@:2}" && cmp -s content "$(cat out)"; then ok "$1"; else not_ok "$1" out err; fi
}
# fails NAME STATUS PATTERN ARGUMENT…: one sentence, and nothing is left that could be taken for it
fails() {
    local status
    fetch "${@:4}"
    status=$?
    if [ $status = "$2" ] && [ "$(grep -c '^hostbed: ' err)" -ge 1 ] && tail -n 1 err | grep -Eq -- "$3" && [ ! -s out ] &&
        [ -z "$(ls "$store/downloads" 2>/dev/null)" ]; then
        ok "$1"
    else
        { echo "status $status"; cat err; } >told
        not_ok "$1" told out
    fi
}
requests() { grep -c . plain.log; }

# ---- what goes well

gets "a file with its SHA-256" --sha256 "$sha256" "$url/good/disk.qcow2"
is "it is named by its content" "$(cat out)" "$store/downloads/sha256-$sha256"
is "nothing else is left" "$(ls "$store/downloads-partial" | wc -l)" 0
gets "again, from the cache" --sha256 "$sha256" "$url/good/disk.qcow2"
is "without asking anybody" "$(requests)" 1
gets "from elsewhere: what it is counts" --sha256 "${sha256^^}" "$url/missing"
gets "by its other digest" --sha512 "$sha512" "$url/missing"
is "none of these asked anybody" "$(requests)" 1
gets "offline, by its digest" --offline --sha512 "$sha512" "$url/missing"
gets "offline, by its address" --offline --sha256 "$sha256" "$url/good/disk.qcow2"
fetch --json --sha256 "$sha256" "$url/good/disk.qcow2"
is "for programs" "$(tr -d ' \n' <out)" "{\"path\":\"$store/downloads/sha256-$sha256\",\"sha256\":\"$sha256\",\"bytes\":$size,\"cached\":true}"
echo damaged >>"$store/downloads/sha256-$sha256"
gets "what was written to is fetched anew" --sha256 "$sha256" "$url/good/disk.qcow2"
is "by asking again" "$(requests)" 2
forget
gets "where a redirection leads" --sha512 "$sha512" "$url/lead-on"
forget
gets "by way of the machine's own files" --sha256 "$sha256" "file://$tap_dir/content"
is "a file needs no digest" "$(forget; fetch "file://$tap_dir/content"; cat out)" "$store/downloads/sha256-$sha256"
has "but its digest is told" err "next time: --sha256 $sha256"
forget
http_proxy="$url" gets "through a proxy of the environment" --sha256 "$sha256" "http://nowhere.invalid/good"
has "and through it only" plain.log '^proxied /good'

# ---- what was begun is gone on with

for name in cut-once changed no-ranges changed-and-denied no-range-now; do
    forget
    gets "$name" --sha256 "$sha256" "$url/$name"
done
forget
gets "what was cut is asked for from there on, if it is still the same" --sha256 "$sha256" "$url/cut-once/again"
has "(Range and If-Range)" plain.log "^direct /cut-once/again bytes=$((size / 2))- \"one\""
forget
gets "a line that tears all the time" --sha256 "$sha256" "$url/tear"
is "is no reason to begin again" "$(grep -c ' - -$' plain.log)" 1
forget
gets "a server that is busy for a moment" --sha256 "$sha256" "$url/busy-once"
forget
fails "a server that sends the wrong part" 8 'was asked for what follows byte 150000, and sends what follows byte 5$' --sha256 "$sha256" "$url/wrong-range"
forget
mkdir -p "$store/downloads-partial"
key=$(printf '%s ' "$sha256" | sha256sum | cut -d' ' -f1)
cp content "$store/downloads-partial/$key"
gets "a part that is whole already" --sha256 "$sha256" "$url/good"
forget
mkdir -p "$store/downloads-partial"
head -c 1000 /dev/zero >"$store/downloads-partial/$key"
gets "a part of something else is thrown away" --sha256 "$sha256" "$url/good"

# ---- lists of checksums

printf 'Hash: SHA256\n\n# disk.qcow2: 300000 bytes\nSHA256 (disk.qcow2) = %s\nSHA256 (other) = %064d\n' "$sha256" 0 >list
forget
gets "a list as Fedora's" --checksums "file://$tap_dir/list" "$url/good/disk.qcow2"
gets "a list is asked, the file is there" --checksums "file://$tap_dir/list" "$url/missing/disk.qcow2"
printf '%s *./images/disk.qcow2\n%064d  other\n' "$sha512" 0 >list
forget
gets "a list as Debian's" --checksums "file://$tap_dir/list" "$url/good/disk.qcow2"
forget
fails "a list without the file" 8 'list has no SHA-256 or SHA-512 of .else.$' --checksums "file://$tap_dir/list" "$url/good/else"
printf '%s  disk.qcow2\n%064d  disk.qcow2\n' "$sha256" 0 >list
fails "a list that contradicts itself" 8 "contradicts itself about 'disk.qcow2'" --checksums "file://$tap_dir/list" "$url/good/disk.qcow2"
head -c 5000000 /dev/zero >list
fails "a list without end" 8 'larger .* than it may be|does not end' --checksums "file://$tap_dir/list" "$url/good/disk.qcow2"
fails "a list that anybody may change" 2 'use https' --checksums "$url/list" "$url/good/disk.qcow2"

# ---- what goes wrong

forget
fails "what is not there" 8 '/missing cannot be had: the server answers 404$' --sha256 "$sha256" "$url/missing"
fails "what is something else" 8 "/other is not what it must be: its sha256 is [0-9a-f]{64} and not $sha256$" --sha256 "$sha256" "$url/other"
is "nothing of it stays" "$(find "$store/downloads-partial" -type f | wc -l)" 0
fails "what was cut, silently" 8 'is not what it must be' --sha256 "$sha256" "$url/truncated"
fails "what is longer than the server says" 8 'is not what it must be' --sha256 "$sha256" "$url/longer"
fails "what is cut each time" 8 'was cut after 0 bytes$' --sha256 "$sha256" "$url/cut-always"
is "after a few tries" "$(grep -c /cut-always plain.log)" 3
fails "what is too large, by the server's words" 8 'is larger \(1125899906842624 bytes\) than it may be' --sha256 "$sha256" "$url/too-large"
fails "what has no end" 8 'does not end: it may have 1048576 bytes at most$' --max '1 MiB' --sha256 "$sha256" "$url/endless"
fails "headers without end" 8 'sends headers without end|cannot be fetched' --sha256 "$sha256" "$url/endless-headers"
fails "a header without end" 8 'sends headers without end|cannot be fetched' --sha256 "$sha256" "$url/endless-header"
fails "what is no HTTP" 8 'cannot be fetched' --sha256 "$sha256" "$url/garbage"
fails "no answer" 8 'cannot be fetched' --sha256 "$sha256" "$url/silence"
fails "a server that falls silent" 8 'has sent next to nothing for 1 s$' --stall 1 --sha256 "$sha256" "$url/stall"
fails "a redirection in a circle" 8 'cannot be fetched: Maximum' --sha256 "$sha256" "$url/lead-round"
fails "a redirection to a file of ours" 8 'leads to where nobody asked to go' --sha256 "$sha256" "$url/lead-to-file"
fails "a redirection to something else" 8 'leads to where nobody asked to go' --sha256 "$sha256" "$url/lead-to-ftp"
fails "nobody there" 8 'cannot be fetched' --sha256 "$sha256" "http://127.0.0.1:1/x"
fails "no such place" 8 'nowhere.invalid/x cannot be fetched' --sha256 "$sha256" "http://nowhere.invalid/x"
fails "a password is not told" 8 '^hostbed: http://127.0.0.1:[0-9]*/missing cannot' --sha256 "$sha256" "http://me:secret@127.0.0.1:$plain/missing"
fails "HTTP without a digest" 2 'use https, or say what it must be' "$url/good"
fails "another scheme" 2 'is no address that can be fetched' --sha256 "$sha256" "ftp://127.0.0.1/x"
fails "a digest that is none" 2 'is not a digest of sha256, which has 64' --sha256 abc "$url/good"
fails "two digests" 2 'give one of them' --sha256 "$sha256" --sha512 "$sha512" "$url/good"
fails "offline, and not there" 8 'is not in the cache' --offline --sha256 "$sha256" "$url/good"
fails "no address" 2 'takes a URL' --sha256 "$sha256"
forget
gets "odd words of a server do no harm" --sha256 "$sha256" "$url/odd-words"
is "nor reach the terminal" "$(grep -c "$(printf '\033')" err)" 0
forget
gets "what came encoded, but is what it must be" --sha256 "$sha256" "$url/encoded"

# ---- several places

forget
gets "the first place that has it" --sha256 "$sha256" "$url/missing" "$url/other" "$url/good"
has "each that has not is told" err '/missing cannot be had: the server answers 404; trying the next'
forget
fails "none of them" 8 'none of 2 places has it; the last: ' --sha256 "$sha256" "$url/missing" "$url/truncated"
forget
gets "a place goes on where another stopped" --sha256 "$sha256" "$url/cut/x" "$url/good"
has "with no word of the other's names" plain.log "^direct /good bytes=$((size / 2))- -"

# ---- several users

until_in() { local i; for ((i = 0; i < 600; i++)); do grep -qs "$2" "$1" && return; sleep 0.1; done; not_ok "waited for '$2'" "$1"; }
# until_part: half of the file has come
until_part() { local i; for ((i = 0; i < 600; i++)); do [ -z "$(find "$store/downloads-partial" -size +146k 2>/dev/null)" ] || return; sleep 0.1; done; not_ok "waited for a part"; }
forget
hostbed image fetch --sha256 "$sha256" "$url/wait" >out1 2>err1 & first=$!
until_part
hostbed image fetch --sha256 "$sha256" "$url/wait" >out2 2>err2 & second=$!
until_in err2 'waiting for another hostbed'
ok "the second waits, and says so"
touch go
wait $first && wait $second && ok "both have it" || not_ok "both have it" err1 err2
is "it was fetched once" "$(requests) $(cat out1)" "1 $(cat out2)"
rm go

# servants: how many of ours run
servants() { pgrep -fc "^$build_dir/provisioner/hostbed-fetch\$"; }
until_none() { local i; for ((i = 0; i < 600; i++)); do [ "$(servants)" != 0 ] || return 0; sleep 0.1; done; return 1; }
for signal in KILL INT; do
    status=130
    [ $signal = INT ] || status=137
    forget
    # A job in the background ignores SIGINT, and so would its child; and it is hostbed itself that is ended.
    HOSTBED_LIBEXEC_DIR="$build_dir/provisioner" env --default-signal=INT "$build_dir/hostbed" \
        image fetch --sha256 "$sha256" "$url/wait" >out 2>err & running=$!
    until_part
    kill -$signal $running
    wait $running 2>>err
    is "SIG$signal: status" $? $status
    until_none && ok "SIG$signal: nothing is left running" || not_ok "SIG$signal: nothing is left running"
    gets "what had come then is not fetched again" --sha256 "$sha256" "$url/wait"
    has "(Range)" plain.log "^direct /wait bytes=$((size / 2))-"
done

# ---- on a terminal

if has_terminal; then
    forget
    TERM=xterm LC_ALL=C script -qec "$build_dir/run hostbed image fetch --sha256 $sha256 $url/wait/disk" /dev/null </dev/null >terminal & running=$!
    until_in terminal '50 %'
    touch go
    wait $running
    has "how far it is is drawn" terminal 'fetching disk  ##########\.{10}  50 %  146 KiB of 293 KiB'
    has "how long it took stays" terminal 'hostbed: fetching disk  [0-9]+ s'
    rm go
else
    skip "on a terminal" "$why"
fi

# ---- a full disk

# shellcheck disable=SC2016 # for the inner shell
if unshare -rm mount -t tmpfs -o size=200k none /mnt 2>/dev/null; then
    unshare -rm sh -c 'mount -t tmpfs -o size=200k none /mnt && XDG_CACHE_HOME=/mnt "$@" 2>err; echo $? >status; exit 0' sh \
        "$build_dir/run" hostbed image fetch --sha256 "$sha256" "$url/good" >out
    is "a full disk: status" "$(cat status)" 8
    has "a full disk" err '^hostbed: cannot write .*: No space left on device'
else
    skip "a full disk" "no file system of its own can be mounted here"
fi

# ---- ids of systems

if [ -x "$build_dir/osdb/hostbed-osinfo" ]; then
    forget
    fails "an id means the image of a system" 8 "/debian-12-generic-amd64.qcow2' is not in the cache" --offline debian12
    fails "one that there is not" 2 'debian12' --offline debain12

    # Of a vendor who lists no checksums.
    export OSINFO_USER_DIR="$tap_dir/osinfo"
    mkdir -p "$OSINFO_USER_DIR/os/hostbed.invalid"
    cat >"$OSINFO_USER_DIR/os/hostbed.invalid/listless-1.xml" <<XML
<libosinfo version="0.0.1"><os id="http://hostbed.invalid/listless/1"><short-id>listless1</short-id>
<name>Listless</name><version>1</version><vendor>Test</vendor><family>linux</family><distro>listless</distro>
<image arch="x86_64" format="raw"><url>file://$tap_dir/there</url></image></os></libosinfo>
XML
    cat >lab.xml <<'XML'
<lab xmlns="urn:hostbed:lab:1" name="listless"><host name="l1" os="listless1"><image/><cell cpus="0" memory="256 MiB"/></host></lab>
XML
    cp content there
    # Refused as soon as it is known of what an image would be made.
    builds_of_lab() { hostbed image build --accel tcg --ssh-key none lab.xml >out 2>err; }
    forget
    builds_of_lab
    has "the image of a system is fetched" err '^hostbed: fetching there$'
    rm there
    builds_of_lab
    has "and is used from then on, though nobody could have it" err '^hostbed: there as it was fetched before: its vendor lists no checksums$'
    unset OSINFO_USER_DIR
else
    skip "ids of systems" "hostbed was built without libosinfo"
fi

# ---- TLS

if command -v openssl >/dev/null && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 \
    -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem 2>openssl.err; then
    serve tls cert.pem key.pem
    forget
    fails "a certificate that nobody has signed" 8 '^hostbed: https:.*cannot be fetched: .*certificate' --sha256 "$sha256" "https://127.0.0.1:$port/good"
    gets "unless its signer is trusted" --cacert cert.pem "https://127.0.0.1:$port/good"
    gets "offline, by its address" --offline "https://127.0.0.1:$port/good"
    printf '%s  disk.qcow2\n' "$sha256" >list
    forget
    gets "with the vendor's list" --cacert cert.pem --checksums "https://127.0.0.1:$port/list" "https://127.0.0.1:$port/good/disk.qcow2"
    forget
    fails "https does not lead to http" 8 'leads to where nobody asked to go' --cacert cert.pem "https://127.0.0.1:$port/lead-to-plain"
    fails "what came encoded, and nothing says what it must be" 8 'came encoded by gzip, which nobody asked for' --cacert cert.pem "https://127.0.0.1:$port/encoded"
    fails "the certificate of another" 8 'cannot be fetched' --cacert cert.pem "https://localhost:$port/good"
    fetch --cacert cert.pem "https://127.0.0.1:$port/empty" && [ -f "$(cat out)" ] && [ ! -s "$(cat out)" ] && ok "an empty file" || not_ok "an empty file" err
    forget
    fails "a part of which nothing is known is not gone on with" 8 'was asked for what' --cacert cert.pem "https://127.0.0.1:$port/wrong-range"
else
    skip "TLS" "openssl is not installed, or makes no certificate"
fi
done_testing
