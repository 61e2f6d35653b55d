# shellcheck shell=bash
# shellcheck disable=SC2154 # runs and peer_runs are the caller's
# measure: what bench.sh, bench-queue.sh and growth.sh share. Sourced; leaves the caller in a folder
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

# --- tables ----------------------------------------------------------------------------
# Medians of $runs rounds; slow peers of $peer_runs. The caller sets both.

declare -A name prepare command times wall cpu mb
section() { title=$1 check=${2:-:} keys=(); } # CHECK: that a row did what it should

# row KEY NAME PREPARE COMMAND [RUNS]: the first one of a section is its base.
row() {
    keys+=("$1")
    name[$1]=$2 prepare[$1]=$3 command[$1]=$4 times[$1]=${5:-$runs}
}
peer() { # PROGRAM, then as row
    if command -v "$1" >/dev/null; then row "${@:2}" "$peer_runs"; fi
}

ratio() { # A B: "-" where one is missing
    awk -v a="${1:-0}" -v b="${2:-0}" 'BEGIN {
        if (a > 0 && b > 0) printf "%.2f", a / b; else printf "-"
    }'
}

# Runs the rows of the section, round by round, and adds them to the table.
measure() {
    local i k base=${keys[0]}
    for ((i = 0; i < runs; i++)); do
        for k in "${keys[@]}"; do
            ((i < times[$k])) || continue
            once "$k.runs" "${prepare[$k]}" "${command[$k]}"
            $check || { echo "bench: ${name[$k]}: not what was to be done" >&2 && exit 70; }
        done
    done
    printf '| **%s** | | | | | |\n' "$title" >>table
    for k in "${keys[@]}"; do
        wall[$k]=$(median "$k.runs" 1) cpu[$k]=$(median "$k.runs" 2) mb[$k]=$(median "$k.runs" 3)
        printf '| %s | %.3f | %.3f | %.1f | %s | %s |\n' "${name[$k]}" "${wall[$k]}" "${cpu[$k]}" \
            "${mb[$k]}" "$(ratio "${wall[$k]}" "${wall[$base]}")" \
            "$(ratio "${cpu[$k]}" "${cpu[$base]}")" | tee -a table >&2
    done
}

promise() { printf '| %s | %s | %s |\n' "$@" >>promises; } # WHAT GOAL FIGURE
beside() { # wall|cpu KEY BASE
    local -n of=$1
    ratio "${of[$2]-}" "${of[$3]-}"
}
peak() { # KEY...
    local k
    for k; do echo "${mb[$k]}"; done | sort -n | tail -n 1
}


# What was measured, waited and promised, as Markdown.
tables() {
    echo '| | wall s | cpu s | peak MB | wall ratio | cpu ratio |'
    echo '|---|--:|--:|--:|--:|--:|'
    cat table
    if [ -e waits ]; then
        printf '\n| waits, ms | p50 | p99 | max | |\n|---|--:|--:|--:|---|\n'
        cat waits
    fi
    printf '\n| promised | | here |\n|---|--:|--:|\n'
    cat promises
}
