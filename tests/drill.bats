#!/usr/bin/env bats
# lifeboat-drill: backups are restored beside the store, measured, and told of when they
# would not bring it back.
# valgrind: back whole
load helper

setup() {
    private_store
    mkdir fake here config backups
    PATH=$PWD/fake:$PATH
    LIFEBOAT_DB=$PWD/here/lifeboat.db
    export LIFEBOAT_CONFIG=$PWD/config LIFEBOAT_BACKUP_TARGETS=$PWD/backups
    drill_json=here/status/drill.json scratch=$LIFEBOAT_DB-drill
    mkdir config/notify.d
    chmod 755 config config/notify.d
    printf '#!/bin/sh\njq -c "[.event, .why]" >>%s/told\n' "$PWD" >config/notify.d/note
    chmod 755 config/notify.d/note
    : >told
    mkevents 20 | evstore-append -q
}

# Minutes after a time of which nothing else here knows.
base=$(date -d "$(date +%F\ %H:%M)" +%s000)
back_up() { # MINUTE KIND
    LIFEBOAT_NOW=$((base + $1 * 60000)) lifeboat-backup -q "$2"
}
newest() { printf '%s\n' backups/2*/events.jsonl.zst | tail -n 1; }
damage() { truncate -s -10 "$1"; }
drill() { run_split lifeboat-drill "$@"; }
stand_in() { # PROGRAM <SCRIPT
    { echo '#!/bin/sh' && cat; } >"fake/$1"
    chmod +x "fake/$1"
}

# failed STATUS WHY: said, kept, told once; and nothing is left of it.
failed() {
    assert_status "$1" "lifeboat-drill: $2"
    cmp "$OUT" "$drill_json"
    jq_true --arg why "$2" '.ok == false and (.why | startswith($why))' "$drill_json"
    [ "$(wc -l <told)" -eq 1 ]
    jq_true --arg why "$2" '.[0] == "drill-failed" and (.[1] | startswith($why))' told
    [ ! -e "$scratch" ]
}

@test "a backup that brings the store back whole is ok, and nobody is told" {
    back_up 0 daily
    mkevents 5 late | evstore-append -q
    back_up 60 hourly
    drill
    assert_status 0 'lifeboat-drill: ok: 25 events back in '
    cmp "$OUT" "$drill_json"
    jq_true --arg d "$(evstore-export --digest)" --argjson at $((base + 3600000)) '.ok and .why == null
        and .events == 25 and .digest == $d and .rpo_ms == 0 and .rto_ms > 0 and .rto_ms < 60000
        and .backup_at == $at and .last_ok == .ts
        and (.chain | length == 2 and (.[0] | endswith("-daily")) and (.[1] | endswith("-hourly")))' "$drill_json"
    [ "$(stat -c %a "$drill_json")" = 644 ]
    [ ! -s told ]
    [ ! -e "$scratch" ]
    drill -q
    [ -z "$errout" ]
}

@test "what would be lost is told by the oldest event that no backup has" {
    back_up 0 daily
    echo '{"entity_type":"a","entity_id":"1","event_type":"T","actor_id":"A","payload":1}' | evstore-append -q
    mkevents 5 late | evstore-append -q
    came=$(evstore-export --full --order newest --limit 6 | jq .ts_server | tail -n 1)
    LIFEBOAT_NOW=$((came + 3600000)) drill
    assert_status 0
    jq_true '.ok and .events == 20 and .rpo_ms == 3600000' "$drill_json"
}

@test "time to recover is measured from the start of the restore to the end of the check" {
    back_up 0 daily
    real=$(command -v lifeboat-restore-latest) verify=$(command -v evstore-verify)
    printf 'read -r _ <%s/gate1\nexec %s "$@"\n' "$PWD" "$real" | stand_in lifeboat-restore-latest
    printf '%s "$@" || exit\ncat %s/gate2\n' "$verify" "$PWD" | stand_in evstore-verify
    mkfifo gate1 gate2
    background run lifeboat-drill
    # The folder's lock is taken just before the clock starts.
    wait_until 10 test -d "$scratch"
    began=${EPOCHREALTIME/./}
    waited() { [ $((${EPOCHREALTIME/./} - began)) -gt "$1" ]; }
    wait_until 5 waited 700000
    echo >gate1
    exec {fd}>gate2
    began=${EPOCHREALTIME/./}
    wait_until 5 waited 700000
    exec {fd}>&-
    wait "$pid"
    jq_true '.ok and .rto_ms >= 1200' "$drill_json"
}

@test "the store itself is not touched" {
    back_up 0 daily
    mkevents 5 late | evstore-append -q
    everything() { sqlite3 "$LIFEBOAT_DB" .dump | sha256sum && sha256sum <"$LIFEBOAT_DB" && ls here; }
    before=$(everything)
    drill
    assert_status 0
    mkdir -p here/status
    [ "$(everything | grep -v '^status$')" = "$(grep -v '^status$' <<<"$before")" ]
    [ -z "$(evstore-restore --list)" ]
}

@test "no backup: 66" {
    drill
    failed 66 'no backup in '
    jq_true '.events == null and .rpo_ms == null and .chain == [] and (has("last_ok") | not)' "$drill_json"
}

@test "no target that can be reached: 69" {
    rmdir backups
    drill
    failed 69 "$PWD/backups: "
}

@test "the only backup is damaged: 65; the last good drill stays known" {
    back_up 0 daily
    drill
    ok_at=$(jq .ts "$drill_json")
    damage "$(newest)"
    rm -f backups/.verified
    drill
    failed 65 'none of them can be restored'
    jq_true --argjson at "$ok_at" '.last_ok == $at' "$drill_json"
}

@test "the newest one is damaged: an older one came back, and that is a failure" {
    back_up 0 daily
    mkevents 5 late | evstore-append -q
    back_up 60 hourly
    damage "$(newest)"
    rm -f backups/.verified
    drill
    failed 1 'newer backups had to be passed over: '
    jq_true '.events == 20 and .rto_ms > 0 and .rpo_ms > 0 and (.chain | length == 1)' "$drill_json"
}

@test "the digest differs: 1" {
    back_up 0 daily
    sqlite3 "$LIFEBOAT_DB" 'PRAGMA foreign_keys = 0; DELETE FROM events WHERE seq = 7'
    drill
    failed 1 'the digest differs: restored lifeboat1 20 '
    grep -q 'the store had lifeboat1 19 ' told
}

@test "what comes back is not whole: 1" {
    back_up 0 daily
    printf 'echo "%s"; exit 1\n' 'evstore-verify: lifeboat.db: digest: differs' | stand_in evstore-verify
    drill
    failed 1 'what was restored is not whole: evstore-verify: lifeboat.db: digest: differs'
    jq_true '.rto_ms == null' "$drill_json"
}

@test "no room for a scratch store: 74, and nothing is restored" {
    back_up 0 daily
    printf 'echo Avail; echo 1000000\n' | stand_in df
    printf 'touch %s/ran\n' "$PWD" | stand_in lifeboat-restore-latest
    drill
    failed 74 'no room for a scratch store: 0 MiB are free beside '
    [ ! -e ran ]
}

@test "the store is gone: 66" {
    back_up 0 daily
    rm here/lifeboat.db*
    drill
    failed 66 "$LIFEBOAT_DB: the store is gone"
    [ ! -e "$LIFEBOAT_DB" ]
}

@test "the store was replaced after the backup: 76" {
    back_up 0 daily
    rm here/lifeboat.db*
    mkevents 20 | evstore-append -q
    drill
    failed 76 'the store is not the one that was backed up: cursor '
}

@test "a store that was rolled back differs, and what is to be done is said; as it is, it does not" {
    back_up 0 weekly
    cp here/lifeboat.db snapshot.db
    mkevents 5 late | evstore-append -q
    back_up 60 hourly
    rm here/lifeboat.db* && cp snapshot.db here/lifeboat.db
    back_up 120 hourly 2>/dev/null
    drill
    failed 1 'the digest differs: '
    [[ $errout == *': what it lacks came with '*'-hourly; if it is to lack that: lifeboat-backup --as-it-is weekly'* ]]
    LIFEBOAT_NOW=$((base + 180 * 60000)) lifeboat-backup -q --as-it-is weekly
    drill
    assert_status 0 'lifeboat-drill: ok: 20 events back in '
}

@test "the store cannot be read: that is said, not that it is another one" {
    back_up 0 daily
    stand_in evstore-export <<END
case " \$* " in *" --up-to "*) echo 'evstore-export: x.db: file is not a database' >&2; exit 65 ;; esac
exec $(type -P evstore-export) "\$@"
END
    drill
    failed 65 'the store cannot be read: x.db: file is not a database: lifeboat-recovery(7), THE STORE IS CORRUPT'
}

@test "a hook that is not content changes nothing; when nobody could be told, that is said" {
    printf '#!/bin/sh\nexit 1\n' >config/notify.d/note
    drill
    assert_status 66
    chmod 757 config/notify.d
    drill
    assert_status 75 'nobody was told'
    [ "$(jq .ok "$drill_json")" = false ]
}

# A run that restores for ever, its pid in $pid.
endless() {
    back_up 0 daily
    printf 'echo big >%s/lifeboat.db; echo there >%s/up; exec tail -f /dev/null\n' "$scratch" "$PWD" |
        stand_in lifeboat-restore-latest
    background run lifeboat-drill
    wait_until 10 test -s up
}

@test "what a run that was killed left is removed by the next one" {
    endless
    kill -9 "$pid"
    wait "$pid" || :
    rm fake/lifeboat-restore-latest
    [ -s "$scratch/lifeboat.db" ]
    # What it started may keep the folder for as long as it lives.
    run_split lifeboat-drill
    assert_status 75 'another drill is running'
    for p in $(started_here); do kill -9 "$p"; done
    wait_until 5 none_left
    drill
    assert_status 0
    [ ! -e "$scratch" ]
    [ ! -s told ]
}

@test "two at once: the second one says so and leaves the first alone" {
    endless
    drill
    assert_status 75 "another drill is running ($scratch is locked)"
    [ -s "$scratch/lifeboat.db" ]
    [ ! -s told ]
    [ ! -e "$drill_json" ]
}

@test "asked to stop, it leaves nothing behind" {
    endless
    kill "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 143 ]
    none_left
    [ ! -e "$scratch" ]
    [ ! -e "$drill_json" ]
    [ ! -s told ]
}

@test "a link in the scratch store's place is not followed" {
    back_up 0 daily
    mkdir precious
    touch precious/file
    ln -s "$PWD/precious" "$scratch"
    drill
    assert_status 73 'a link'
    [ -e precious/file ]
    [ "$(wc -l <told)" -eq 1 ]
}

@test "what nobody thought of is told, too" {
    back_up 0 daily
    real=$(command -v evstore-export)
    printf 'case "$*" in *-drill/*) exit 74 ;; esac\nexec %s "$@"\n' "$real" | stand_in evstore-export
    drill
    failed 74 'it ended with exit status 74'
}

@test "what is misused is refused before anything is done" {
    for o in --target --nonsense operand; do
        drill $o
        assert_status 64
    done
    drill --target relative/folder
    assert_status 64
    [ ! -e "$drill_json" ]
    [ ! -s told ]
    drill --help
    assert_status 0
    drill -V
    assert_status 0
    [[ $out == lifeboat-drill' '* ]]
}

@test "the store of -d goes before that of the settings" {
    back_up 0 daily
    db=$LIFEBOAT_DB
    unset LIFEBOAT_DB
    printf 'LIFEBOAT_DB=%s\n' "$PWD/none.db" >"$LIFEBOAT_ENV"
    drill -d "$db"
    assert_status 0 'ok: 20 events back'
    [ ! -s told ]
}
