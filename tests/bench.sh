#!/usr/bin/env bash
# bench: each command beside the least SQLite needs for the same work (the
# floor, tests/tools/floor.c) and beside what one would use instead. Medians of
# BENCH_RUNS runs (5) over BENCH_EVENTS events (100,000), as a Markdown table.
# Peers that are not installed (python3, sqlite-utils, jq) are left out.
# Figures are reported, not judged: this machine's, on this day.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
export PATH=$top/build/bin:$top/build/tools:$PATH LC_ALL=C
runs=${BENCH_RUNS:-5} events=${BENCH_EVENTS:-100000}
dir=$(mktemp -d "${BENCH_DIR:-/var/tmp}/lifeboat-bench.XXXXXX")
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export LIFEBOAT_ENV=/dev/null LIFEBOAT_DB=$dir/run.db
TIMEFORMAT='%R %U %S'

median() { sort -n | awk '{ v[NR] = $1 } END { printf "%.3f", v[int((NR + 1) / 2)] }'; }

# measure NAME PREPARE COMMAND: the medians go to $wall and $cpu. A command of
# the floor prints its own "wall cpu" of the part that counts.
measure() {
    local i t
    : >walls
    : >cpus
    for ((i = 0; i < runs; i++)); do
        eval "$2"
        if [[ $3 == floor\ * ]]; then
            t=$(eval "$3")
            echo "${t% *}" >>walls
            echo "${t#* }" >>cpus
        else
            t=$({ time eval "$3" >/dev/null 2>&1; } 2>&1)
            echo "$t" | awk '{ print $1 >> "walls"; print $2 + $3 >> "cpus" }'
        fi
    done
    wall=$(median <walls) cpu=$(median <cpus)
    printf '%-34s %8s s wall %8s s cpu\n' "$1" "$wall" "$cpu" >&2
}

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0) printf "%.2f", a / b; else printf "-" }'; }

# row NAME BASE PREPARE COMMAND: a line of the table; BASE is "NAME WALL CPU".
row() {
    measure "$1" "$3" "$4"
    local base_wall base_cpu
    read -r base_wall base_cpu <<<"$2"
    printf '| %s | %s | %s | %s | %s |\n' "$1" "$wall" "$cpu" "$(ratio "$wall" "$base_wall")" \
        "$(ratio "$cpu" "$base_cpu")" >>table
}

section() { printf '| **%s** | | | | |\n' "$1" >>table; }
base() { measure "$1" "$2" "$3" && floor="$wall $cpu" &&
    printf '| %s | %s | %s | 1 | 1 |\n' "$1" "$wall" "$cpu" >>table; }

indexed_by_sqlite_utils() {
    local c
    sqlite-utils insert run.db events events.jsonl --nl --pk event_id
    for c in 'entity_type entity_id hlc' event_type ts_device 'hlc event_id'; do
        # shellcheck disable=SC2086
        sqlite-utils create-index run.db events $c
    done
}

benchevents "$events" >events.jsonl
evstore-append -q -d full.db events.jsonl
evstore-export -d full.db --full --seal >sealed.jsonl
blank='rm -f run.db run.db-*'
copy='rm -f run.db run.db-*; sqlite3 full.db "VACUUM INTO '"'run.db'"'" && sqlite3 run.db "PRAGMA journal_mode=WAL" >/dev/null'

# A store that is there is not built aside.
begun="$blank; evstore-append -q --type T --entity a/1 --actor me 1"

section "ingest of $events events"
base 'floor: bind and insert' "$blank" 'floor insert run.db events.jsonl'
row 'evstore-append -q, new store' "$floor" "$blank" 'evstore-append -q events.jsonl'
row 'evstore-append -q, into a store' "$floor" "$begun" 'evstore-append -q events.jsonl'
row 'evstore-append -q, from a pipe' "$floor" "$blank" 'cat events.jsonl | evstore-append -q'
row 'evstore-restore --require-seal, blank' "$floor" "$blank" \
    'evstore-restore -q --require-seal sealed.jsonl'
if command -v python3 >/dev/null; then
    row 'python3 json and sqlite3' "$floor" "$blank" "python3 '$top/tests/bench.py' run.db events.jsonl"
fi
if command -v jq >/dev/null; then
    row 'jq to CSV, sqlite3 .import' "$floor" "$blank" \
        'jq -r "[.event_id,.entity_type,.entity_id,.actor_id,.ts_device,.hlc,.event_type,(.payload|tojson)]|@csv" events.jsonl >x.csv && sqlite3 run.db ".mode csv" ".import x.csv events"'
fi
if command -v sqlite-utils >/dev/null; then
    row 'sqlite-utils insert --nl' "$floor" "$blank" \
        'sqlite-utils insert run.db events events.jsonl --nl --pk event_id'
    row 'the same, and four of our indexes' "$floor" "$blank" indexed_by_sqlite_utils
fi

section 'the same events again'
base 'floor: parse and digest' : 'floor parse events.jsonl'
row 'evstore-restore, all present' "$floor" "$copy" 'evstore-restore -q events.jsonl'

section 'reading them all'
base 'floor: read every row' : 'floor read full.db'
row 'evstore-export --order seq' "$floor" : 'evstore-export -d full.db --order seq'
row 'evstore-export' "$floor" : 'evstore-export -d full.db'
row 'evstore-export --digest' "$floor" : 'evstore-export -d full.db --digest'
row 'sqlite3 -json' "$floor" : 'sqlite3 -json full.db "SELECT * FROM events"'
row 'evstore-project --rebuild' "$floor" "$copy" 'evstore-project -q --rebuild'
row 'evstore-verify' "$floor" : 'evstore-verify -d full.db'

section '100 durable events, one process each'
base 'floor: open, gate, insert, commit' "$blank" 'floor spawn 100 floor oneshot run.db'
row 'evstore-append -q, options' "$floor" "$blank" \
    'floor spawn 100 evstore-append -q --type T --entity a/1 --actor me 1'
row '/bin/true' "$floor" : 'floor spawn 100 /bin/true'

section '1,000,000 ids'
base 'libuuid: random, unparse' : 'floor uuid 1000000'
row 'uuidv7 -n 1000000' "$floor" : 'uuidv7 -n 1000000'

printf '%s, %s, SQLite %s, medians of %d\n\n' "$(nproc) cores" \
    "$(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo)" \
    "$(sqlite3 --version | cut -d' ' -f1)" "$runs"
echo '| | wall s | cpu s | wall ratio | cpu ratio |'
echo '|---|--:|--:|--:|--:|'
cat table
