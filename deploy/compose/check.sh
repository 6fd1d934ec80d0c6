#!/bin/sh
# Checks this folder without starting anything: check.sh PATH_TO_HAROMBE
set -eu

here=$(cd "$(dirname "$0")" && pwd)
harombe=${1:?usage: check.sh PATH_TO_HAROMBE}
"$harombe" --config "$here/harombe.toml" config check
sh -n "$here/setup.sh"
sh -n "$here/try.sh"
python3 -I -c "import ast, sys; ast.parse(open(sys.argv[1]).read())" "$here/roles.py"
if docker compose version >/dev/null 2>&1; then
    docker compose -f "$here/compose.yaml" --profile setup config --quiet
elif command -v docker-compose >/dev/null; then
    docker-compose -f "$here/compose.yaml" config --quiet
else
    echo "compose: neither docker compose nor docker-compose is here; compose.yaml was not checked" >&2
fi
