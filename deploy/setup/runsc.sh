#!/bin/sh
# Installs a gVisor `runsc` that Harombe can use: one that knows the `systrap` platform.
#
# Debian bookworm's build (2022) knows only `ptrace`, so the binary is taken from the trixie package.
# The package is fetched through apt, so its signature is checked against Debian's own keys, but with a
# sources file and state directory that exist only for this script: the system's suite stays as it is,
# and nothing is registered with dpkg. runsc is one static binary, so unpacking it is installing it.
set -eu

dest=/usr/local/lib/harombe/bin
suite=trixie
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

usage() {
    echo "usage: $0 [--dest DIR]   (default DIR: $dest)"
}

say() { echo "runsc: $*"; }
fail() { echo "runsc: $*" >&2; exit 1; }

while [ $# -gt 0 ]; do
    case "$1" in
        --dest) [ $# -ge 2 ] || { usage >&2; exit 2; }; dest=$2; shift 2 ;;
        --dest=*) dest=${1#--dest=}; shift ;;
        -h|--help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done

# `runsc flags` names the platforms a build knows. Some builds print it to stderr.
knows_systrap() {
    [ -x "$1" ] && [ ! -d "$1" ] && "$1" flags 2>&1 | grep -q systrap
}

if knows_systrap "$dest/runsc"; then
    say "$dest/runsc knows systrap; nothing to do"
    exit 0
fi
if [ "$dest" = /usr/local/lib/harombe/bin ]; then
    found=$(command -v runsc || true)
    if [ -n "$found" ] && knows_systrap "$found"; then
        say "$found knows systrap; nothing to do"
        exit 0
    fi
fi

[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || fail "only Linux on x86-64 is supported"
command -v apt-get >/dev/null || fail "apt-get not found; put a runsc that knows systrap at $dest/runsc yourself"
command -v dpkg-deb >/dev/null || fail "dpkg-deb not found; put a runsc that knows systrap at $dest/runsc yourself"
[ -r "$keyring" ] || fail "$keyring not found; install the package debian-archive-keyring"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/parts" "$work/unpacked"
: >"$work/state/status"
# apt drops to the user _apt for downloads, which must be able to reach its directories.
chmod 0755 "$work"
if id _apt >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    chown -R _apt "$work/cache/archives/partial" "$work/state/lists/partial"
fi

private_apt() {
    apt-get -q \
        -o Dir::Etc::sourcelist="$work/harombe.sources" \
        -o Dir::Etc::sourceparts="$work/parts" \
        -o Dir::Etc::preferences="$work/none" \
        -o Dir::Etc::preferencesparts="$work/parts" \
        -o Dir::State="$work/state" \
        -o Dir::State::lists="$work/state/lists" \
        -o Dir::State::status="$work/state/status" \
        -o Dir::Cache="$work/cache" \
        -o Dir::Cache::archives="$work/cache/archives" \
        -o APT::Architecture=amd64 \
        -o APT::Architectures=amd64 \
        -o APT::Get::List-Cleanup=false \
        -o Acquire::Languages=none \
        "$@"
}

# Every mirror this machine already uses for its own release is a candidate; apt's signature check
# below tells Debian's archive from a third party's that happens to use the same suite name.
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[ -n "$codename" ] || fail "/etc/os-release names no release; put a runsc that knows systrap at $dest/runsc yourself"
debian_mirrors() {
    apt-get "$@" indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk -v codename="$codename" '($1 == codename || $1 == "stable") && $2 == "main" && !seen[$3]++ { print $3 }'
}
mirrors=$(debian_mirrors)
if [ -z "$mirrors" ]; then
    # A machine that never ran `apt-get update` knows no targets: read its sources into a place of our own. A third party's
    # source that cannot be reached does not matter here.
    say "reading this machine's apt sources"
    mkdir -p "$work/own/partial"
    chmod 0755 "$work/own"
    chown _apt "$work/own/partial" 2>/dev/null || true
    apt-get -qq -o Dir::State::lists="$work/own" update >"$work/log" 2>&1 || true
    mirrors=$(debian_mirrors -o Dir::State::lists="$work/own")
fi
[ -n "$mirrors" ] || fail "no Debian mirror among this machine's apt sources"

fetched=no
for mirror in $mirrors; do
    cat >"$work/harombe.sources" <<SOURCES
Types: deb
URIs: $mirror
Suites: $suite
Components: main
Signed-By: $keyring
SOURCES
    # `update` exits 0 when an index could not be had, so only the download proves that it worked.
    if private_apt update >"$work/log" 2>&1 &&
        (cd "$work" && private_apt download runsc >>"$work/log" 2>&1); then
        fetched=yes
        break
    fi
done
if [ "$fetched" = no ]; then
    tail -n 20 "$work/log" >&2
    fail "could not fetch the package runsc of Debian $suite from this machine's mirrors"
fi

dpkg-deb -x "$work"/runsc_*.deb "$work/unpacked"
knows_systrap "$work/unpacked/usr/bin/runsc" || fail "the runsc of Debian $suite does not know systrap"

mkdir -p "$dest"
# Written beside and renamed, so that a broker starting now never meets half a file.
install -m 0755 "$work/unpacked/usr/bin/runsc" "$dest/.runsc.$$"
mv -f "$dest/.runsc.$$" "$dest/runsc"
say "installed $dest/runsc: $("$dest/runsc" --version | head -n 1)"
