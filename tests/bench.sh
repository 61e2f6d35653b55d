#!/usr/bin/env bash
# bench: each command beside the least SQLite needs for the same work (the floor,
# tests/tools/floor.c and oneshot.c) and beside what one would use instead; then what
# lifeboat promises, and what came out. Medians of BENCH_RUNS runs (5) over
# BENCH_EVENTS events (100,000), in Markdown. The commands of a section take turns, so
# that what else the machine does falls on all of them.
# Slow peers run BENCH_PEER_RUNS times (1 above 500,000 events, else BENCH_RUNS); those
# that are not installed (sqlite-utils, python3, jq) are left out.
# Figures are reported, not judged: this machine's, on this day.
set -euo pipefail
# shellcheck source=tests/measure.bash
source "$(dirname "$0")/measure.bash"
runs=${BENCH_RUNS:-5} events=${BENCH_EVENTS:-100000}
peer_runs=${BENCH_PEER_RUNS:-$((events > 500000 ? 1 : runs))}

append_more() { evstore-append -q -d full.db "more.$(printf %03d "$i")"; } # of this round

filled() { [ "$(sqlite3 run.db 'SELECT count(*) FROM events')" -ge "$events" ]; }

# --- the material --------------------------------------------------------------------
# full.db has it all, projected, as it is after a restore.

entities=$((events / 20 + 1)) more=1000
benchevents $((events + more * runs)) "$entities" >all.jsonl
head -n "$events" all.jsonl >events.jsonl
tail -n +$((events + 1)) all.jsonl | split -l "$more" -d -a 3 - more.
rm all.jsonl
awk 'NR % 1000 == 0 { sub(/"payload":\{/, "&\"changed\":1,") } 1' events.jsonl >changed.jsonl
evstore-append -q -d full.db events.jsonl
evstore-export -d full.db --full --seal >sealed.jsonl
evstore-project -q -d full.db
benchevents 8 8 16776000 >large.jsonl
evstore-append -q -d large.db large.jsonl
evstore-export -d large.db --full --seal >large-sealed.jsonl

# --- peers -----------------------------------------------------------------------------

cat >jq.sh <<'END'
jq -r "[.event_id, .entity_type, .entity_id, .actor_id, .ts_device, .hlc, .event_type,
    (.payload | tojson)] | @csv" events.jsonl >x.csv
sqlite3 run.db 'CREATE TABLE events(event_id TEXT PRIMARY KEY, entity_type, entity_id, actor_id,
    ts_device INTEGER, hlc, event_type, payload)' '.mode csv' '.import x.csv events'
END
cat >shell.sql <<'END'
CREATE TABLE events(event_id TEXT PRIMARY KEY, entity_type, entity_id, actor_id,
    ts_device INTEGER, hlc, event_type, payload);
CREATE TEMP TABLE raw(j TEXT);
.mode ascii
.separator "\037" "\n"
.import events.jsonl raw
INSERT INTO events SELECT j->>'event_id', j->>'entity_type', j->>'entity_id', j->>'actor_id',
    j->>'ts_device', j->>'hlc', j->>'event_type', j->'payload' FROM raw;
END
cat >indexed.sh <<'END'
sqlite-utils insert run.db events events.jsonl --nl --pk event_id
sqlite-utils create-index run.db events entity_type entity_id hlc
sqlite-utils create-index run.db events event_type
sqlite-utils create-index run.db events ts_device
sqlite-utils create-index run.db events hlc event_id
END

# --- the table -------------------------------------------------------------------------

restore='evstore-restore -q --require-seal'

section "ingest of $events events" filled
row floor 'floor: bind and insert' "$blank" 'floor insert run.db events.jsonl'
row append 'evstore-append -q, no store yet' "$blank" 'measured evstore-append -q events.jsonl'
row into 'evstore-append -q, into a store' "$begun" 'measured evstore-append -q events.jsonl'
row pipe 'evstore-append -q, from a pipe' "$blank" 'cat events.jsonl | measured evstore-append -q'
row restore 'evstore-restore --require-seal, no store yet, projected' "$blank" \
    "measured $restore sealed.jsonl"
row walkaway 'walkaway: the same, and evstore-verify' "$blank" \
    "measured sh -c '$restore sealed.jsonl && evstore-verify -q'"
peer python3 python 'python3, json and sqlite3' "$blank" \
    "measured python3 '$top/tests/bench.py' run.db events.jsonl"
peer sqlite3 shell 'sqlite3 shell, .import and ->>' "$blank" \
    'measured sh -c "sqlite3 run.db <shell.sql"'
peer jq jq 'jq to CSV, .import' "$blank" 'measured sh jq.sh'
peer sqlite-utils utils 'sqlite-utils insert' "$blank" \
    'measured sqlite-utils insert run.db events events.jsonl --nl --pk event_id'
peer sqlite-utils indexed 'the same, and four of our indexes' "$blank" 'measured sh indexed.sh'
measure

section 'the same events again'
row parse 'floor: parse and digest' : 'floor parse events.jsonl'
row again 'evstore-restore, all present' : 'measured evstore-restore -q -d full.db events.jsonl'
row resealed 'evstore-restore --require-seal, a backup of it' : \
    "measured $restore -d full.db sealed.jsonl"
row changed 'evstore-restore, one in a thousand changed' : \
    'measured sh -c "evstore-restore -q -d full.db changed.jsonl 2>/dev/null; test \$? = 1"'
measure

section 'reading them all'
row read 'floor: read every row' : 'floor read full.db'
row seq 'evstore-export --order seq' : 'measured evstore-export -d full.db --order seq'
row export 'evstore-export' : 'measured evstore-export -d full.db'
row sealed 'evstore-export --full --seal' : 'measured evstore-export -d full.db --full --seal'
row digest 'evstore-export --digest' : 'measured evstore-export -d full.db --digest'
row verify 'evstore-verify' : 'measured evstore-verify -q -d full.db'
row json 'sqlite3 -json' : 'measured sqlite3 -json full.db "SELECT * FROM events"'
peer sqlite-utils rows 'sqlite-utils rows --nl' : 'measured sqlite-utils rows full.db events --nl'
measure

section "current state of $entities entities"
row rewritten 'evstore-export' : 'measured evstore-export -d full.db'
row project 'evstore-project --rebuild' : 'measured evstore-project -q -d full.db --rebuild'
row catchup "evstore-project after $more new events" \
    append_more 'measured evstore-project -q -d full.db'
measure

section '8 events of 16 MB'
row large_floor 'floor: bind and insert' "$blank" 'floor insert run.db large.jsonl'
row large_append 'evstore-append -q, no store yet' "$blank" \
    'measured evstore-append -q large.jsonl'
row large_into 'evstore-append -q, into a store' "$begun" \
    'measured evstore-append -q large.jsonl'
row large_restore 'evstore-restore --require-seal, no store yet' "$blank" \
    "measured $restore large-sealed.jsonl"
row large_export 'evstore-export' : 'measured evstore-export -d large.db'
row large_sealed 'evstore-export --full --seal' : \
    'measured evstore-export -d large.db --full --seal'
measure

section '100 durable events, one process each'
row oneshot 'floor: open, gate, insert, commit' "$begun" 'measured -n 100 oneshot run.db'
row one 'evstore-append -q, options' "$begun" \
    'measured -n 100 evstore-append -q --type T --entity a/1 --actor me 1'
row send 'hlc send' "$begun" 'measured -n 100 hlc send'
row true '/bin/true' : 'measured -n 100 /bin/true'
measure

section '1,000,000 ids'
row libuuid 'libuuid: random, unparse' : 'floor uuid 1000000'
row uuidv7 'uuidv7 -n 1000000' : 'measured uuidv7 -n 1000000'
measure

# shellcheck source=tests/bench-cache.sh
source "$top/tests/bench-cache.sh"

# --- waits -------------------------------------------------------------------------------

field() { sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p" "${2-figures}"; } # NAME [FILE]
waits() { # NAME WHAT REST
    printf '| %s | %s | %s | %s | %s |\n' "$1" "$(field "$2_p50_ms")" "$(field "$2_p99_ms")" \
        "$(field "$2_max_ms")" "$3" | tee -a waits >&2
}

writing() { # one|many WHAT
    eval "$begun"
    writers run.db 8 "${BENCH_SECONDS:-15}" "$1" w 3>"figures.$1" >acknowledged 2>said
    cp "figures.$1" figures
    waits "8 writers, $2" wait "$(wc -l <acknowledged) events, spread $(field spread);
        no writer longer than $(field still_max_ms) ms without an acknowledgement"
}
writing one 'one event at a time'
writing many 'pipes kept full'
LATENCY_DIR=$dir LATENCY_EVENTS=500 LATENCY_IDLE=${BENCH_SECONDS:-15} \
    "$top/tests/latency.sh" >figures
cp figures figures.follow
waits 'evstore-export --follow: commit to line' lag \
    "idle: $(field idle_cpu_ms) ms of processor in $(field idle_s) s"

# --- what is promised ----------------------------------------------------------------------

promise "ingest, no store yet: speed beside the floor's" '>= 0.85' "$(beside wall floor append)"
promise "ingest into a store: speed beside the floor's" '>= 0.85' "$(beside wall floor into)"
promise 'ingest: processor time of sqlite-utils insert' '>= 4.5 times' "$(beside cpu utils append)"
promise "restore, no store yet: processor time beside the floor's" '<= 0.75' \
    "$(beside cpu restore floor)"
promise 'the same events again: beside parsing alone' '<= 2.5' "$(beside cpu again parse)"
promise 'export in seq order: beside reading the rows' '<= 1.4' "$(beside cpu seq read)"
promise 'export: time of sqlite-utils rows, in the same order' '>= 10 times' \
    "$(beside wall rows seq), in the clock's $(beside wall rows export)"
promise 'export: time of sqlite3 -json, in the same order' '>= 3 times' \
    "$(beside wall json seq), in the clock's $(beside wall json export)"
promise '--digest: beside the export' '<= 0.5' "$(beside wall digest export)"
promise 'peak memory of an export, MB' '< 8' \
    "$(peak seq export digest), sealed $(peak sealed), 16 MB events $(peak large_export large_sealed)"
promise 'peak memory of an ingest, MB' '< 80' \
    "$(peak append into pipe), 16 MB events $(peak large_append large_into)"
promise 'peak memory of a restore, MB' '< 80' \
    "$(peak restore again resealed), 16 MB events $(peak large_restore)"
promise 'durable append, one process: beside the floor, wall and cpu' '<= 1.3' \
    "$(beside wall one oneshot), $(beside cpu one oneshot)"
promise 'durable append, one process: beside /bin/true' '' "$(beside cpu one true)"
promise 'hlc send, one process: beside the floor, wall and cpu' '<= 1.3' \
    "$(beside wall send oneshot), $(beside cpu send oneshot)"
promise '8 writers, one event at a time: p99 in ms, spread' '< 10, < 0.1' \
    "$(field wait_p99_ms figures.one), $(field spread figures.one)"
promise '8 writers, pipes kept full: longest without an acknowledgement, ms' '< 500' \
    "$(field still_max_ms figures.many)"
promise '--follow: commit to line, p99 in ms; idle, ms of processor' '< 20, 0' \
    "$(field lag_p99_ms figures.follow), $(field idle_cpu_ms figures.follow)"
promise 'uuidv7: time of libuuid' '>= 40 times' "$(beside cpu libuuid uuidv7)"
promise 'folding all: time beside exporting them' '<= 2' "$(beside wall project rewritten)"
promise "catching up with $more events, ms" '<= 50' \
    "$(awk -v s="${wall[catchup]}" 'BEGIN { print 1000 * s }')"
promise 'walkaway, onto a blank box, projected and verified: beside the floor' '<= 2' \
    "$(beside wall walkaway floor) ($(printf %.1f "${wall[walkaway]}") s)"

printf '%s, medians of %d; python3, sqlite3 .import, jq and sqlite-utils: of %d\n\n' \
    "$(machine)" "$runs" "$peer_runs"
tables
