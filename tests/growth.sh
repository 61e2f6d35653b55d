#!/usr/bin/env bash
# growth: how the cost of an event grows with their number. Medians of GROWTH_RUNS runs
# (3; 1 above a million) for each of GROWTH_EVENTS (10,000 to 5 million), as two
# Markdown tables: processor time and peak memory. GROWTH_TSV
# (doc/growth.tsv) gets all figures, and the SVG beside it is drawn of them by
# tests/growth.py. Five million events want 30 GB in BENCH_DIR.
set -euo pipefail
tsv=$(realpath -m "${GROWTH_TSV:-$(dirname "$0")/../doc/growth.tsv}")
# shellcheck source=tests/measure.bash
source "$(dirname "$0")/measure.bash"
sizes=${GROWTH_EVENTS:-10000 100000 1000000 5000000}

# did OPERATION PREPARE COMMAND
did() {
    local i
    rm -f runs
    for ((i = 0; i < runs; i++)); do once runs "$2" "$3"; done
    printf '%s\t%d\t%s\t%s\t%s\n' "$1" "$events" "$(median runs 1)" "$(median runs 2)" \
        "$(median runs 3)" | tee -a tsv >&2
}

# Each part leaves what the next one needs, and nothing else: the copies are large.
grow() { # at $events
    benchevents "$events" >events.jsonl
    did 'floor: insert' "$blank" 'floor insert run.db events.jsonl'
    did 'append, into a store' "$begun" 'measured evstore-append -q events.jsonl'
    did 'append, no store yet' "$blank" 'measured evstore-append -q events.jsonl'
    evstore-export --full --seal >sealed.jsonl
    rm events.jsonl
    did 'restore, no store yet' "$blank" 'measured evstore-restore -q --require-seal sealed.jsonl'
    did 'restore, the same again' : 'measured evstore-restore -q --require-seal sealed.jsonl'
    rm sealed.jsonl
    did 'export' : 'measured evstore-export'
    did 'export --digest' : 'measured evstore-export --digest'
    did 'project --rebuild' : 'measured evstore-project -q --rebuild'
    did 'verify' : 'measured evstore-verify -q'
    eval "$blank"
}

table() { # time|memory TITLE
    awk -F '\t' -v kind="$1" -v title="$2" '
        !($1 in known) { known[$1]; operation[++operations] = $1 }
        !($2 in known) { known[$2]; size[++sizes] = $2 }
        kind == "time" { cell[$1, $2] = sprintf("%.2f s, %.1f µs", $4, $4 / $2 * 1e6) }
        kind == "memory" { cell[$1, $2] = sprintf("%.1f MB", $5) }
        END {
            head = "| " title " |"
            rule = "|---|"
            for (i = 1; i <= sizes; i++) {
                head = head " " size[i] " |"
                rule = rule "--:|"
            }
            print head "\n" rule
            for (o = 1; o <= operations; o++) {
                line = "| " operation[o] " |"
                for (i = 1; i <= sizes; i++) line = line " " cell[operation[o], size[i]] " |"
                print line
            }
        }' tsv
}

for events in $sizes; do
    runs=${GROWTH_RUNS:-$((events > 1000000 ? 1 : 3))}
    grow
done
printf '%s\n\n' "$(machine)"
table time 'processor time, in all and an event'
echo
table memory 'peak memory'
mkdir -p "${tsv%/*}"
{
    printf 'operation\tevents\twall_s\tcpu_s\tpeak_mb\n'
    cat tsv
} >"$tsv"
python3 "$top/tests/growth.py" "$tsv" >"${tsv%.tsv}.svg"
