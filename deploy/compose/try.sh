#!/bin/sh
# Starts these containers in a directory and a project of their own, runs the demo's job against them, verifies the log, looks
# whether everything drains, and removes it all: try.sh PATH_TO_HAROMBE. The images `harombe` and `postgres` have to be there.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
harombe=$(realpath "${1:?usage: try.sh PATH_TO_HAROMBE}")
work=$(mktemp -d)
export COMPOSE_PROJECT_NAME="harombe-try-$$"
port=${HAROMBE_TRY_PORT:-17400}

cp "$here/compose.yaml" "$here/setup.sh" "$here/roles.py" "$here/harombe.toml" "$here/../demo/model.toml" "$work/"
printf '\n[runtime.agents.default]\nmodel = "scripted:/etc/harombe/model.toml"\n' >>"$work/harombe.toml"
cat >"$work/compose.override.yaml" <<YAML
services:
  runtime:
    volumes: [./model.toml:/etc/harombe/model.toml:ro]
YAML
sed -i "s/127.0.0.1:7400:7400/127.0.0.1:$port:7400/" "$work/compose.yaml"
cd "$work"
trap 'docker compose --profile setup down -v >/dev/null 2>&1; rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

docker compose run --rm setup
docker compose up -d --wait
docker compose cp gateway:/data/admin.key admin.key
chmod 600 admin.key

client() { "$harombe" --server "https://localhost:$port" --ca state/public/cert.pem "$@"; }
# The first key counts once audit has recorded it.
tries=0
until client --key-file admin.key keys list >/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 60 ] || exit 1
    sleep 1
done
umask 077
client --key-file admin.key keys create try --role user --role approver --role auditor --allow-self >try.key
client --key-file try.key demo --yes | tee demo.out
# What the code printed, in a sandbox.
grep -q 'north  *1270  *103,407.52' demo.out
docker compose exec -T audit harombe --data /data --config /etc/harombe/harombe.toml audit verify

# A role opens its own schema, and nothing without its password.
psql() { docker compose exec -T -e PGPASSWORD="$(cat "state/postgres/$1/password")" postgres psql -w -qAt -h /var/run/postgresql -U "harombe_$1" harombe -c "$2"; }
[ "$(psql gateway 'SELECT count(*) > 0 FROM harombe_gateway.keys')" = t ]
if psql gateway 'SELECT count(*) FROM harombe_hitl.approvals' 2>refused; then
    echo "try: gateway's role reads what is hitl's" >&2
    exit 1
fi
grep -q 'permission denied for schema' refused

docker compose stop
for container in $(docker compose ps -aq); do
    code=$(docker inspect -f '{{.State.ExitCode}}' "$container")
    [ "$code" = 0 ] || { docker inspect -f '{{.Name}} ended with {{.State.ExitCode}}' "$container" >&2; exit 1; }
done
echo "try: everything started, did its work, and ended in order"
