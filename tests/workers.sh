#!/usr/bin/env bash
# workers.sh: eight producers and eight workers on one queue, JOBS_COUNT jobs
# (10,000; 800 with SMALL set). First in peace: each job is done exactly once. Then
# while workers and handlers are killed with -9 at random: none is lost, none is
# ever in two hands at once, and none is done again but for a kill. Prints TAP.
#
# WORKERS_DIR   where the store is (/dev/shm): memory, for what is tried is the order
#               of things, not the disk
# LIFEBOAT_BIN  the commands (build/bin)
set -uo pipefail
cd "$(dirname "$0")/.." || exit
top=$PWD
bin=${LIFEBOAT_BIN:-$top/build/bin}
count=${JOBS_COUNT:-$([ -n "${SMALL-}" ] && echo 800 || echo 10000)}
for v in $(compgen -e LIFEBOAT_); do unset "$v"; done
export PATH=$bin:$PATH LC_ALL=C.UTF-8 LIFEBOAT_ENV=/dev/null LIFEBOAT_WAIT=60

work=$(mktemp -d "${WORKERS_DIR:-/dev/shm}/lifeboat-workers.XXXXXX") || exit 73
workers=()
leave() {
    [ ${#workers[@]} -eq 0 ] || kill "${workers[@]}" 2>/dev/null
    wait
    rm -rf "$work"
}
trap leave EXIT
cd "$work" || exit
export LIFEBOAT_DB=$work/s
BATS_TEST_DIRNAME=$top/tests
# shellcheck source=tests/helper.bash
source "$top/tests/helper.bash"

# shellcheck source=tests/verdict.bash
source "$top/tests/verdict.bash"
sql() { sqlite3 -cmd '.timeout 60000' "$LIFEBOAT_DB" "$@"; }

# The numbers are the payloads. Who has a job holds a lock that dies with him, and signs when he is done. Some go
# on in the background, in a session of their own, and ignore TERM.
cat >handler <<'EOF'
#!/bin/sh
exec 9>"locks/$SYNCQ_ID"
flock -n 9 || echo "job $SYNCQ_ID: in two hands at once" >>found
if [ $((SYNCQ_ID % 50)) -eq 0 ]; then
    (trap '' TERM HUP; exec setsid sleep 600) &
fi
read -r n
echo "$n" >>signed
EOF
chmod +x handler

produce() { # PART: an eighth of the numbers from 1, in ten pieces
    local size=$((count / 80)) i
    for ((i = 0; i < 10; i++)); do
        seq $((($1 * 10 + i) * size + 1)) $((($1 * 10 + i + 1) * size)) |
            syncq enqueue -q q || finding "enqueue: status $?"
    done
}

begin() { # SLOTS: of each worker
    local i
    slots=$1
    rm -rf s s-* locks signed errors
    mkdir locks
    : >signed
    : >errors
    for i in {0..7}; do produce "$i" & done
    for i in {0..7}; do start_worker "$i"; done
}

start_worker() {
    syncq work -q -j "$slots" q -- ./handler 2>>errors &
    workers[$1]=$!
}

over() {
    [ "$(sql "SELECT count(*) FROM job_queue WHERE status IN ('completed', 'failed')" 2>/dev/null)" = "$count" ]
}

stop_workers() {
    kill "${workers[@]}" 2>/dev/null
    wait "${workers[@]}" 2>/dev/null
    workers=()
}

judge() { # REPEATS: that may be
    local again
    seq "$count" | sort >all
    sort signed | uniq >finished
    again=$(($(wc -l <signed) - $(wc -l <finished)))
    sql "SELECT payload FROM job_queue WHERE status = 'completed'" | sort >completed
    sql "SELECT payload FROM job_queue_dead_letter" | sort >given_up
    sort completed given_up | comm -3 - all | while read -r n; do
        finding "job $n: is not there, or there twice"
    done
    comm -23 completed finished | while read -r n; do
        finding "job $n: completed, but nobody has done it"
    done
    [ "$(sql 'PRAGMA integrity_check')" = ok ] || finding 'integrity_check'
    [ "$again" -le "$1" ] || finding "$again done again, $1 at most"
    figures="$(wc -l <finished) done, $again of them again, $(wc -l <given_up) given up"
}

peace() {
    begin 1
    wait_until 600 over || finding 'not all jobs ended'
    stop_workers
    judge 0
    cmp -s finished all || finding 'not all jobs were done'
    [ ! -s errors ] || sed 's/^/a worker said: /' errors >>found
    verdict "$count jobs, 8 producers, 8 workers: each exactly once"
}

# A handler or one of its like: any process whose grandparent is a worker.
random_handler() {
    local w=${workers[RANDOM % 8]} s
    s=$(pgrep -P "$w" | shuf -n 1) && pgrep -P "$s" | shuf -n 1
}

mayhem() {
    local kills=0 victim i
    begin 2
    until over; do
        nap
        i=$((RANDOM % 8))
        case $((RANDOM % 4)) in
        0)
            kill -9 "${workers[i]}" 2>/dev/null && kills=$((kills + 1))
            wait "${workers[i]}" 2>/dev/null
            start_worker "$i"
            ;;
        *)
            victim=$(random_handler) && kill -9 "$victim" 2>/dev/null && kills=$((kills + 1))
            ;;
        esac
        [ "$kills" -lt $((count / 40)) ] || break
    done
    echo "# $kills kills"
    wait_until 600 over || finding 'not all jobs ended'
    stop_workers
    judge $((kills * slots))
    verdict "$count jobs while $kills workers and handlers are killed: $figures"
}

peace
mayhem
conclude
