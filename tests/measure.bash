# shellcheck shell=bash
# measure: what bench.sh and growth.sh share. Sourced; leaves the caller in a folder
# of its own on a disk, BENCH_DIR or /var/tmp, that goes with it. What is measured is
# a command line that prints "wall cpu mb", as tests/tools/measured and floor do.

top=$(cd "$(dirname "$0")/.." && pwd)
for v in $(compgen -e LIFEBOAT_); do unset "$v"; done
export PATH=$top/build/bin:$top/build/tools:$PATH LC_ALL=C LIFEBOAT_ENV=/dev/null
dir=$(realpath "$(mktemp -d "${BENCH_DIR:-/var/tmp}/lifeboat-bench.XXXXXX")")
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit
export LIFEBOAT_DB=$dir/run.db

# Nothing there; and a store with an event, for one that is there is not built aside.
# shellcheck disable=SC2034
blank='rm -f run.db run.db-*' begun='rm -f run.db run.db-* &&
    evstore-append -q --type T --entity a/1 --actor me 1'

# once FILE PREPARE COMMAND: adds a line to FILE. What PREPARE wrote goes to disk
# before, so that COMMAND does not wait for it.
once() {
    if ! { eval "$2" && sync -f . && eval "$3" >>"$1"; } 2>said; then
        printf '%s\n' "$3" >&2
        tail said >&2
        exit 70
    fi
}

# median FILE COLUMN
median() {
    awk -v c="$2" '{ print $c }' "$1" | sort -n |
        awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

machine() {
    printf '%s cores, %s, SQLite %s' "$(nproc)" \
        "$(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo)" \
        "$(sqlite3 --version | cut -d' ' -f1)"
}
