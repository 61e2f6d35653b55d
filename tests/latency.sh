#!/usr/bin/env bash
# latency.sh: how long a running evstore-export --follow needs from commit to line,
# over LATENCY_EVENTS appends one by one (1,000), and the processor time that it
# uses while nothing happens, in LATENCY_IDLE seconds (10). Prints one line of JSON;
# tests/tools/followlag.c says what its members are. Exit 1: an event did not come.
#
# LATENCY_DIR   where the store is (/var/tmp)
# LIFEBOAT_BIN  the commands (build/bin)
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${LIFEBOAT_BIN:-$PWD/build/bin}
for v in $(compgen -e LIFEBOAT_); do unset "$v"; done
export PATH=$bin:${LIFEBOAT_BUILD:-$(dirname "$bin")}/tools:$PATH LC_ALL=C LIFEBOAT_ENV=/dev/null
dir=$(mktemp -d "${LATENCY_DIR:-/var/tmp}/lifeboat-latency.XXXXXX")
trap 'rm -rf "$dir"' EXIT

# The first event, so that there is a store to follow.
evstore-append -q -d "$dir/s" --type T --entity a/1 --actor A 0
followlag "$dir/s" "${LATENCY_EVENTS:-1000}" "${LATENCY_IDLE:-10}" 2>"$dir/said" || {
    cat "$dir/said" >&2
    exit 1
}
