#!/bin/sh
# Installs what the tests and checks need and the machine lacks. Run again, it does nothing.
set -eu

need() {
    if ! command -v "$1" >/dev/null 2>&1; then
        echo "setup: $1 is missing; install Debian's package $2" >&2
        exit 1
    fi
}

here="$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)"
tools="${XDG_CACHE_HOME:-$HOME/.cache}/harombe/tools"
# Python looks for modules in the directory that it is started in first: in this one nobody else puts any.
mkdir -p "$tools"
cd "$tools"
tools="$PWD"

need cargo "cargo, or Rust by rustup"
need cc gcc
need python3 python3
python3 -m pip --version >/dev/null 2>&1 || { echo "setup: pip is missing; install Debian's package python3-pip" >&2; exit 1; }

if ! [ -x "$tools/buf/bin/buf" ]; then
    echo "setup: installing buf"
    python3 -m pip install --quiet --disable-pip-version-check --no-warn-script-location --root-user-action=ignore \
        --target "$tools/buf" 'buf-bin>=1.50,<2'
fi

# What the tests of the public door call it with: real clients, unmodified.
if ! [ -f "$tools/clients/.complete-1" ]; then
    echo "setup: installing clients (openai, grpcio, openapi-spec-validator)"
    python3 -m pip install --quiet --disable-pip-version-check --no-warn-script-location --root-user-action=ignore \
        --upgrade --target "$tools/clients" \
        'openai==3.54.0' 'grpcio==1.85.1' 'grpcio-tools==1.85.1' 'protobuf==7.36.2' 'openapi-spec-validator==0.9.0'
    touch "$tools/clients/.complete-1"
fi
need curl curl
need node nodejs

# The store of secrets is tested against a real server that speaks Vault's API.
"$here/openbao.sh"

# Memory is tested with the real model.
"$here/models.sh"
