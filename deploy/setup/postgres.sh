#!/bin/sh
# Has a Postgres server of our own ready for tests and for `make cluster`: installs Debian's when there is none, makes a
# database cluster once, and starts it when it does not run. Prints nothing when there is nothing to do.
#
# It listens on a unix socket only, in a directory that nobody else can enter, so it needs no password. Postgres refuses
# to run as root: then it runs as the user `postgres`, which cannot reach root's home, so the files are in /var/tmp.
# The url of the server is written to ~/.cache/harombe/postgres/url. `--stop` stops the server.
set -eu

say() { echo "postgres: $*"; }
fail() { echo "postgres: $*" >&2; exit 1; }

newest_bin() {
    for bin in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5 -rn); do
        if [ -x "$bin/initdb" ] && [ -x "$bin/pg_ctl" ]; then echo "$bin"; return; fi
    done
    command -v initdb >/dev/null && command -v pg_ctl >/dev/null && dirname "$(command -v pg_ctl)" || true
}

install_postgres() {
    command -v apt-get >/dev/null || fail "no Postgres here; install its server (initdb, pg_ctl) and run this again"
    [ "$(id -u)" = 0 ] || fail "no Postgres here; run \`apt-get install postgresql\` as root"
    say "installing Debian's postgresql"
    log=$(mktemp)
    # the package would make and start a server of the system's own, which nobody asked for
    quiet=/etc/postgresql-common/createcluster.d/harombe-setup.conf
    mkdir -p "${quiet%/*}"
    echo "create_main_cluster = false" >"$quiet"
    trap 'rm -f "$quiet" "$log"' EXIT
    install_it() {
        DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install --no-install-recommends -y postgresql >"$log" 2>&1
    }
    # package lists may be absent or too old on a new machine
    if ! install_it; then
        apt-get -qq update >"$log" 2>&1 || true
        install_it || { tail -n 20 "$log" >&2; fail "apt could not install postgresql"; }
    fi
    rm -f "$quiet" "$log"
    trap - EXIT
}

bin=$(newest_bin)
if [ -z "$bin" ]; then
    install_postgres
    bin=$(newest_bin)
    [ -n "$bin" ] || fail "the package postgresql brought no initdb"
fi

base=/var/tmp/harombe-postgres-$(id -u)
data=$base/data
if [ "$(id -u)" = 0 ]; then
    id postgres >/dev/null 2>&1 || fail "there is no user postgres to run the server; make one"
    user=postgres
    as() { runuser -u postgres -- "$@"; }
else
    user=$(id -un)
    as() { "$@"; }
fi
running() { as "$bin/pg_ctl" -D "$data" status >/dev/null 2>&1; }

if [ "${1:-}" = --stop ]; then
    if [ -d "$data" ] && running; then as "$bin/pg_ctl" -D "$data" -m fast -w stop >/dev/null; fi
    exit 0
fi
[ $# = 0 ] || { echo "usage: $0 [--stop]" >&2; exit 2; }

# /var/tmp belongs to everybody: what is there under our name must be ours
if [ -e "$base" ] || [ -L "$base" ]; then
    [ -d "$base" ] && [ ! -L "$base" ] && [ "$(stat -c %U "$base")" = "$user" ] ||
        fail "$base is not a directory of the user $user; remove it"
else
    mkdir -m 0700 "$base"
    [ "$(id -u)" != 0 ] || chown postgres: "$base"
fi
# two at once would make the same files
exec 9>"${TMPDIR:-/tmp}/harombe-postgres-$(id -u).lock"
flock 9

if ! [ -f "$base/made" ]; then
    say "making a database cluster in $data"
    rm -rf "$data"
    as mkdir -m 0700 -p "$base/run"
    as "$bin/initdb" -D "$data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 >/dev/null
    as tee -a "$data/postgresql.conf" >/dev/null <<CONF
listen_addresses = ''
unix_socket_directories = '$base/run'
max_connections = 300
shared_buffers = 64MB
fsync = on
synchronous_commit = on
CONF
    as touch "$base/made"
fi
if ! running; then
    # 9 is our lock: the server shall not keep it
    as "$bin/pg_ctl" -D "$data" -l "$base/log" -w -t 60 start >/dev/null 9>&- ||
        { as tail -n 20 "$base/log" >&2; fail "the server does not start"; }
    say "started in $data"
fi

marker=${XDG_CACHE_HOME:-$HOME/.cache}/harombe/postgres
mkdir -p "$marker"
url="postgres://postgres@localhost/postgres?host=$base/run"
if [ "$(cat "$marker/url" 2>/dev/null || true)" != "$url" ]; then
    echo "$url" >"$marker/.url.$$"
    mv -f "$marker/.url.$$" "$marker/url"
fi

# what tests left behind that were killed, once it is a day old
as "$bin/psql" -X -q -t -A -h "$base/run" -U postgres -d postgres <<'SQL' >/dev/null
SELECT format('DROP DATABASE IF EXISTS %I WITH (FORCE)', datname) FROM pg_database
WHERE datname ~ '^harombe_test_[0-9]+_' AND split_part(datname, '_', 3)::bigint < extract(epoch FROM now()) - 86400
\gexec
SQL
