#!/usr/bin/env bash
# page.sh [NAME...]: the page, as TAP: its modules by node; all of it in Chromium,
# against a stand-in host that misbehaves, and against the real one under lighttpd.
# NAME: unit, nasty or real; else all.
#
# SMALL            fewer events, and only the most telling of the stand-in's cases
# LIFEBOAT_BIN     the commands (build/bin)
# CHROMIUM         the browser (/usr/bin/chromium)
# PLAYWRIGHT_CORE  the folder of playwright-core; else it is fetched by npm, once,
#                  into build/npm
set -uo pipefail

playwright=1.56.0
top=$(cd "$(dirname "$0")/.." && pwd) || exit
export LIFEBOAT_BIN=${LIFEBOAT_BIN:-$top/build/bin}
export CHROMIUM=${CHROMIUM:-/usr/bin/chromium}
[ $# -gt 0 ] || set -- unit nasty real
exec </dev/null

work=$(mktemp -d) || exit 73
trap 'rm -rf "$work"' EXIT
mkdir "$work/tmp"
export TMPDIR=$work/tmp

skip() {
    echo "ok - page: $1 # SKIP $2"
}

# Node takes the modules for such where a package.json says so; the page needs none.
export PAGE_MODULES=$work/modules
cp -r "$top/lib/page/js" "$PAGE_MODULES"
echo '{"type":"module"}' >"$PAGE_MODULES/package.json"

# Why there can be no browser; nothing if there can.
no_browser() {
    local npm=$top/build/npm
    if [ ! -x "$CHROMIUM" ]; then
        echo "there is no $CHROMIUM"
    elif [ -n "${PLAYWRIGHT_CORE-}" ]; then
        return
    elif [ ! -d "$npm/node_modules/playwright-core" ] && ! command -v npm >/dev/null; then
        echo 'there is no npm to fetch playwright-core with'
    elif [ ! -d "$npm/node_modules/playwright-core" ] &&
        ! timeout 60 npm install --prefix "$npm" --no-save --no-audit --no-fund --silent \
            "playwright-core@$playwright" >"$work/npm.log" 2>&1; then
        echo 'playwright-core could not be fetched'
    fi
}

if ! command -v node >/dev/null; then
    skip "$*" 'there is no node'
    exit 0
fi
declare -A running
begin() {
    node "$top/tests/page/$1.mjs" >"$work/$1.tap" 2>&1 &
    running[$1]=$!
}
status=0
why=$(no_browser)
export PLAYWRIGHT_CORE=${PLAYWRIGHT_CORE:-$top/build/npm/node_modules/playwright-core}
for part; do
    if [ "$part" = unit ]; then
        begin unit
    elif [ -n "$why" ]; then
        skip "$part" "$why"
    elif [ "$part" = real ] && { [ ! -x "$LIFEBOAT_BIN/lifeboat.cgi" ] || ! PATH=$PATH:/usr/sbin command -v lighttpd >/dev/null; }; then
        skip real 'there is no lifeboat.cgi, or no lighttpd'
    else
        begin "$part"
    fi
done
# All at once, told one after the other.
for part in "${!running[@]}"; do
    wait "${running[$part]}" || status=1
    cat "$work/$part.tap"
done
exit "$status"
