#!/bin/sh
# Runs buf from the tools folder that test.sh fills.
set -eu
tools="${XDG_CACHE_HOME:-$HOME/.cache}/harombe/tools/buf"
exec env PYTHONPATH="$tools" "$tools/bin/buf" "$@"
