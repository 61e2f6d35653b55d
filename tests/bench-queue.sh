#!/usr/bin/env bash
# bench-queue: syncq beside the least SQLite needs for the same work (the floor,
# tests/tools/queuefloor.c) and beside what one would use instead. Medians of
# BENCH_RUNS runs (5) over BENCH_JOBS jobs (100,000), in Markdown; what is promised of
# a queue of 1,000,000 is tried with BENCH_MANY (1,000,000). The commands of a section
# take turns. Peers that are not installed (nq, tsp) are left out. Figures are
# reported, not judged: this machine's, on this day.
set -euo pipefail
# shellcheck source=tests/measure.bash
source "$(dirname "$0")/measure.bash"
runs=${BENCH_RUNS:-5} jobs=${BENCH_JOBS:-100000} many=${BENCH_MANY:-1000000}
peer_runs=$runs
export LIFEBOAT_CONFIG=$dir

payload='{"to":"ana@example.org","subject":"hello","n":123456}'
payloads() { awk -v n="$1" -v line="$payload" 'BEGIN { while (n-- > 0) print line }'; }
payloads "$jobs" >jobs.jsonl
payloads 1 >job.jsonl
empty='rm -f run.db run.db-* && syncq enqueue -q q </dev/null'
full='rm -f run.db run.db-* && cp full.db run.db'
eval "$empty" && syncq enqueue -q q jobs.jsonl && mv run.db full.db

in_queue() { # STATUS: so many jobs
    sqlite3 run.db "SELECT count(*) FROM job_queue WHERE status = '$1'"
}
all_pending() { [ "$(in_queue pending)" -eq "$jobs" ]; }
all_completed() { [ "$(in_queue completed)" -eq "$jobs" ]; }

section "$jobs jobs put in" all_pending
row put_floor 'floor: bind and insert' "$empty" "queuefloor put run.db $jobs"
row put 'syncq enqueue -q' "$empty" 'measured syncq enqueue -q q jobs.jsonl'
row put_pipe 'syncq enqueue -q, from a pipe' "$empty" 'cat jobs.jsonl | measured syncq enqueue -q q'
measure

section "$jobs jobs claimed and completed, 100 at a time" all_completed
row turn_floor 'floor: select, update' "$full" "queuefloor turn run.db $jobs"
row turn 'the same through the queue' "$full" "queuefloor ours run.db $jobs"
measure

section '100 jobs put in, one process each'
row one_floor 'floor: open, gate, insert, commit' "$empty" 'measured -n 100 queuefloor one run.db'
row one 'syncq enqueue -q' "$empty" 'measured -n 100 syncq enqueue -q q job.jsonl'
row true '/bin/true' : 'measured -n 100 /bin/true'
if command -v nq >/dev/null; then
    # nq starts what it is given at once; here it only has to queue it.
    row nq 'nq' 'rm -rf nq && mkdir nq' 'NQDIR=nq measured -n 100 nq -q true'
fi
if command -v tsp >/dev/null; then
    row tsp 'tsp' "TS_SOCKET=$dir/tsp tsp -K; rm -f tsp" \
        "TS_SOCKET=$dir/tsp TMPDIR=$dir measured -n 100 tsp true"
fi
measure

thousand='rm -f run.db run.db-* && payloads 1000 | syncq enqueue -q q'
section '1000 jobs worked off'
row spawn 'floor: /bin/true, 1000 times' : 'measured -n 1000 /bin/true'
row work 'syncq work -j 1 -- /bin/true' "$thousand" 'measured syncq work -q q --drain -- /bin/true'
row work2 'syncq work -j 2 -- /bin/true' "$thousand" \
    'measured syncq work -q q -j 2 --drain -- /bin/true'
measure

# --- several workers -------------------------------------------------------------------

eval "$thousand"
for i in 1 2 3 4; do syncq work q --drain -- /bin/true 2>"said.$i" & done
wait
shares=$(sed -n 's/.*: \([0-9]*\) completed.*/\1/p' said.? | sort -n | paste -sd ' ')
read -r least _ _ most <<<"$shares"

# --- a long queue ------------------------------------------------------------------------

claims() { # NAME STORE
    local p50 p99 max
    cp "$2" run.db
    read -r p50 p99 max < <(queuefloor claims run.db 1000)
    printf '| claim one, complete the one before: %s | %s | %s | %s | |\n' "$1" "$p50" "$p99" "$max" |
        tee -a waits >&2
}
eval "$thousand" && mv run.db thousand.db
eval "$empty"
payloads "$many" | measured syncq enqueue -q q >million.put
mv run.db million.db
for ((i = 0; i < runs; i++)); do
    claims 'of 1000' thousand.db
    claims "of $many" million.db
done
cp million.db run.db
measured syncq dequeue -q q >million.dequeue

p99_of() { # NAME
    grep -F ": $1 |" waits | cut -d '|' -f 4 | sort -n | sed -n "$(((runs + 1) / 2))p"
}

rate=$(awk -v n="$jobs" -v s="${wall[put]}" 'BEGIN { printf "%.0f", n / s }')
promise 'jobs put in, a second, or speed beside the floor'"'s" '>= 100000, or >= 0.85' \
    "$rate, $(beside wall put_floor put)"
promise "claim and complete 100 at a time: speed beside the floor's" '>= 0.85' \
    "$(beside wall turn_floor turn)"
promise 'one job put in, one process: beside the floor, wall and cpu' '<= 1.3' \
    "$(beside wall one one_floor), $(beside cpu one one_floor)"
promise 'one job put in, one process: beside /bin/true, nq, tsp' '' \
    "$(beside wall one true), $(beside wall one nq), $(beside wall one tsp)"
promise 'syncq work -j 1 -- /bin/true: rate beside spawning it' '>= 0.7' "$(beside wall spawn work)"
promise 'four workers: jobs of the least beside those of the most' '>= 0.5' \
    "$(ratio "$least" "$most")"
promise "claim in a queue of $many: p99 beside that of 1000" '<= 2' \
    "$(ratio "$(p99_of "of $many")" "$(p99_of 'of 1000')")"
promise "peak memory, $many jobs put in; one taken out, MB" 'flat' \
    "$(cut -d ' ' -f 3 million.put); $(cut -d ' ' -f 3 million.dequeue)"

printf '%s, medians of %d\n\n' "$(machine)" "$runs"
tables
