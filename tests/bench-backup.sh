#!/usr/bin/env bash
# bench-backup: lifeboat-backup and lifeboat-restore-latest beside evstore-export alone,
# sqlite3's .backup, and restic and borg where they are installed. Medians of BENCH_RUNS
# runs (3) over BENCH_EVENTS events (1,000,000), in Markdown. The commands of a section
# take turns. Figures are reported, not judged: this machine's, on this day.
set -euo pipefail
# shellcheck source=tests/measure.bash
source "$(dirname "$0")/measure.bash"
runs=${BENCH_RUNS:-3} events=${BENCH_EVENTS:-1000000}
peer_runs=$runs
export PATH=$top/scripts:$PATH LIFEBOAT_CONFIG=$dir/conf RESTIC_PASSWORD=x BORG_PASSPHRASE=x
export BORG_BASE_DIR=$dir RESTIC_CACHE_DIR=$dir/cache LIFEBOAT_BACKUP_TARGETS=$dir/target
# shellcheck source=tests/helper.bash
mkevents() { :; } && source <(sed -n '/^mkevents()/,/^}/p' "$top/tests/helper.bash")

mkevents "$events" | evstore-restore -q
mkevents 100 new >new.jsonl
clear='rm -rf target repo out.db out.db-* copy.db export.zst && mkdir target'

section "$events events backed up whole"
row export 'evstore-export --full --seal | zstd' "$clear" \
    'measured sh -c "evstore-export -q --full --seal | zstd -qc >export.zst"'
row whole 'lifeboat-backup weekly, read back' "$clear" 'measured lifeboat-backup -q weekly'
row sqlite "sqlite3 .backup (not compressed)" "$clear" "measured sqlite3 run.db '.backup copy.db'"
peer restic restic 'restic, of such a copy' "$clear && sqlite3 run.db '.backup copy.db' && restic -q init -r repo" \
    'measured restic -q -r repo backup copy.db'
peer borg borg 'borg -C zstd, of such a copy' "$clear && sqlite3 run.db '.backup copy.db' && borg init -e repokey repo" \
    'measured borg create -C zstd,3 repo::one copy.db'
measure

eval "$clear" && lifeboat-backup -q weekly
section 'what there is: read, proved, restored'
row verify 'lifeboat-backup --verify' : 'measured lifeboat-backup -q --verify'
row file 'evstore-verify, of the export alone' : \
    'measured sh -c "zstd -qdc target/*/events.jsonl.zst | evstore-verify -q - >/dev/null"'
row back 'lifeboat-restore-latest, a blank store' 'rm -f out.db*' \
    'measured lifeboat-restore-latest -q -d out.db 2>said.back | tail -n 1'
row raw 'evstore-restore, of the export alone' 'rm -f out.db*' \
    'measured sh -c "zstd -qdc target/*/events.jsonl.zst | evstore-restore -q --require-seal --keep-flags -d out.db"'
measure

evstore-restore -q new.jsonl
section 'an hour later, 100 events on'
row hourly 'lifeboat-backup hourly' 'rm -rf target/*hourly' 'measured lifeboat-backup -q hourly'
measure

promise 'a whole backup, read back, beside the export alone' '' "$(beside wall whole export)"
promise 'restore, beside evstore-restore alone' '' "$(beside wall back raw)"
promise 'a million and one: peak memory of backup and restore, MB' 'flat' "$(peak whole back hourly)"

printf '%s, medians of %d\n\n' "$(machine)" "$runs"
tables
