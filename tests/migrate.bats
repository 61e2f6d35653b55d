#!/usr/bin/env bats
# A store of version 1 or 2 (tests/data/store-v1.sql, -v2.sql) is read as it is and
# brought up to this version by the first that writes, whole or not at all.
# valgrind: migrates

load helper

digest='lifeboat1 40 99e2a06af44f2ee0bc0562a94f2635c5'

setup() {
    private_store
    of_version 1
}

of_version() {
    rm -f "$LIFEBOAT_DB"*
    sqlite3 "$LIFEBOAT_DB" <"$top/tests/data/store-v$1.sql" >/dev/null
}

version() { sqlite3 -readonly "$LIFEBOAT_DB" 'PRAGMA user_version'; }

# schema FILE: what is in it, in whatever order it was made.
schema() { sqlite3 "$1" "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2"; }

@test "the first writer migrates it: the tables of this version, the events as they were" {
    mkevents 2 new | evstore-append -q
    [ "$(version)" = 3 ]
    LIFEBOAT_DB=fresh.db evstore-append -q --type T --entity a/1 --actor a '{}'
    schema "$LIFEBOAT_DB" >migrated
    schema fresh.db >fresh
    diff migrated fresh
    grep -q job_queue fresh
    sqlite3 "$LIFEBOAT_DB" "DELETE FROM events WHERE event_id LIKE 'new%'"
    run_split evstore-export --digest
    assert_out "$digest"
    [ "$(sqlite3 "$LIFEBOAT_DB" "SELECT value FROM meta WHERE key = 'device_id'")" = box-4f77bf2d ]
    run_split evstore-verify
    assert_status 0
}

@test "a reader takes it as it is" {
    run_split evstore-export --digest
    assert_status 0
    assert_out "$digest"
    run_split evstore-export --entity case/E-0
    assert_status 0
    run_split evstore-verify
    assert_status 0
    [ "$(version)" = 1 ]
}

@test "a restore of what it has migrates it too" {
    mkevents 40 evt >same
    run_split evstore-restore same
    [ "$(version)" = 3 ]
    run_split evstore-export --digest
    assert_out "$digest"
}

@test "eight writers at once migrate it once, and none fails" {
    for i in 1 2 3 4 5 6 7 8; do
        background "w$i" evstore-append -q --id "w$i" --type T --entity a/1 --actor a '{}'
        pids[i]=$pid
    done
    for i in 1 2 3 4 5 6 7 8; do wait "${pids[i]}"; done
    [ "$(version)" = 3 ]
    [ "$(sqlite3 "$LIFEBOAT_DB" "SELECT count(*) FROM events WHERE event_id LIKE 'w_'")" = 8 ]
    [ "$(sqlite3 "$LIFEBOAT_DB" 'PRAGMA integrity_check')" = ok ]
}

@test "one of version 2 has the same tables afterwards, and what was in it" {
    of_version 2
    kept='.dump job_queue% django_cache cache_namespace idempotency% events meta'
    sqlite3 "$LIFEBOAT_DB" "$kept" >before
    kvcache -q set new 1
    kvcache -q delete new
    [ "$(version)" = 3 ]
    sqlite3 "$LIFEBOAT_DB" "$kept" | diff before -
    kvcache -d fresh.db -q set a 1
    schema "$LIFEBOAT_DB" | diff - <(schema fresh.db)
    # What came afterwards is told.
    [ "$(sqlite3 "$LIFEBOAT_DB" 'SELECT cache_key FROM cache_change')" = new ]
}

@test "readers take one of version 2 as it is" {
    of_version 2
    for what in 'evstore-export --digest' 'evstore-verify' 'kvcache get text' 'kvcache stats' \
        'syncq stats' 'syncq list --all' 'syncq show 1'; do
        # shellcheck disable=SC2086
        run_split $what
        assert_status 0
    done
    jq_true '[.result, .status] == ["sent", "completed"]' < <(syncq show --json 1)
    run_split kvcache get text
    assert_out 'a value'
    run_split kvcache get -n static room
    assert_out '{"n":1}'
    [ "$(version)" = 2 ]
}

# killed_at_each VERSION TABLES: how many tables the later versions brought it has then.
killed_at_each() {
    of_version "$1"
    cp "$LIFEBOAT_DB" old.db
    survived=
    for ((n = 1; n < 200; n++)); do
        rm -f "$LIFEBOAT_DB"*
        cp old.db "$LIFEBOAT_DB"
        status=0
        MISHAP=change:$n:kill LD_PRELOAD=$PWD/mishap.so \
            evstore-append -q --id after --type T --entity a/1 --actor a '{}' 2>err || status=$?
        v=$(sqlite3 "$LIFEBOAT_DB" 'PRAGMA user_version')
        tables=$(sqlite3 "$LIFEBOAT_DB" "SELECT count(*) FROM sqlite_schema
            WHERE name IN ('job_queue', 'django_cache', 'cache_change')")
        [ "$v.$tables" = "$1.$2" ] || [ "$v.$tables" = 3.3 ]
        [ "$(sqlite3 "$LIFEBOAT_DB" 'PRAGMA integrity_check')" = ok ]
        if [ "$status" -eq 0 ]; then
            survived=$n
            break
        fi
        [ "$status" -eq 137 ]
    done
    [ "$survived" -gt 8 ]
    evstore-append -q --id after --type T --entity a/1 --actor a '{}'
}

@test "killed at each of its writes, it is of one version or the other, and goes on" {
    [ -z "$checker" ] || skip 'the shim is for plain builds'
    "${CC:-cc}" -std=c11 -D_GNU_SOURCE -O2 -fPIC -shared -o mishap.so \
        "$top/tests/tools-preload/mishap.c" -ldl
    killed_at_each 1 0
    killed_at_each 2 2
}
