#!/usr/bin/env bash
# bench-hub: lifeboat-hub beside the least that moves the same rows, psql's \copy: from a
# file into a table of the same columns and indexes, and from that table into a file. A
# PostgreSQL of its own on a disk, a site of BENCH_EVENTS events (300,000). Medians of
# BENCH_RUNS rounds (5), in turns, in Markdown. The cpu is that of the clients, not the
# server's. Figures are reported, not judged: this machine's, on this day.
set -euo pipefail
# shellcheck source=tests/measure.bash
source "$(dirname "$0")/measure.bash"
# shellcheck source=tests/helper.bash
BATS_TEST_DIRNAME=$top/tests source "$top/tests/helper.bash"
# shellcheck source=tests/postgres.bash
source "$top/tests/postgres.bash"
runs=${BENCH_RUNS:-5} events=${BENCH_EVENTS:-300000}
export peer_runs=$runs PATH=$top/scripts:$PATH

# The server's user does not reach a folder of ours, but one that is its own.
trap '[ -z "${postgres_home-}" ] || postgres_end; rm -rf "$dir"' EXIT
postgres_start
export LIFEBOAT_HUB="postgresql:///postgres?host=$PGHOST&port=$PGPORT&user=keeper"
lifeboat-hub init -q

genevents "$events" | evstore-restore -q
store=$(evstore-export --digest)
empty='pg "TRUNCATE lifeboat_events, lifeboat_cursors"'
in_hub() { [ "$(pg 'SELECT count(*) FROM lifeboat_events')" -eq "$events" ]; }

eval "$empty" && lifeboat-hub push -q
pg "\\copy lifeboat_events TO 'rows'"
columns='site_id, event_id, digest, event_site_id, entity_type, entity_id, entity_version, actor_id, actor_name,
    actor_role, device_id, ts_device, ts_server, hlc, event_type, schema_version, correlation_id, causation_id, line'
pg "\\copy (SELECT ${columns//$'\n'/} FROM lifeboat_events) TO 'rows'"

section "$events events sent" in_hub
row copy_in 'psql, \copy FROM a file' "$empty" \
    "measured psql -Xq -c \"\\copy lifeboat_events (${columns//$'\n'/}) FROM 'rows'\""
row push 'lifeboat-hub push' "$empty" 'measured lifeboat-hub push -q'
row push_whole 'lifeboat-hub push, in one part' "$empty" 'measured lifeboat-hub push -q --part 9999999'
row again 'lifeboat-hub push --from-start, all known' : 'measured lifeboat-hub push -q --from-start'
measure

pg 'VACUUM ANALYZE lifeboat_events' # as the server would by itself
pulled() { [ "$(wc -l <got)" -ge "$events" ]; }
section "$events events fetched" pulled
row copy_out 'psql, \copy TO a file' 'rm -f got' \
    "measured psql -Xq -c \"\\copy (SELECT ${columns//$'\n'/} FROM lifeboat_events) TO 'got'\""
row pull 'lifeboat-hub pull, sealed' 'rm -f got' 'measured sh -c "exec lifeboat-hub pull -q >got"'
measure

back() { [ "$(evstore-export --digest)" = "$store" ]; }
section "$events events back in a blank store" back
row back_file 'evstore-restore, from a file' "$blank" 'measured evstore-restore -q --require-seal got'
row back_pull 'lifeboat-hub pull | evstore-restore' "$blank" \
    'measured sh -c "lifeboat-hub pull -q | evstore-restore -q --require-seal"'
measure

rate() { awk -v n="$events" -v s="${wall[$1]}" 'BEGIN { printf "%.0f", n / s }'; }
promise "push: rate beside \\copy's" '>= 0.60' "$(beside wall copy_in push) ($(rate push) events a second)"
promise "pull: rate beside \\copy's" '>= 0.60' "$(beside wall copy_out pull) ($(rate pull) events a second)"

printf '%s, PostgreSQL %s (fsync off), medians of %d, %d MB of lines\n\n' "$(machine)" \
    "$(pg 'SHOW server_version' | cut -d ' ' -f 1)" "$runs" $(($(stat -c %s got) >> 20))
tables
