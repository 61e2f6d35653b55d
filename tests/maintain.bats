#!/usr/bin/env bats
# evstore-maintain: statistics, an empty -wal, and the file written anew where it is worth it.
# valgrind: one JSON object|written anew when
# shellcheck disable=SC2094 # written, then read

load helper

teardown() {
    [ -z "${reader-}" ] || exec {reader}>&-
    [ -z "${mounted-}" ] || umount -l "$mounted"
    stop_background
}

cell() { sqlite3 "$LIFEBOAT_DB" "$1"; }
# It has the gate's file open, and so the store.
waits_at_gate() { find "/proc/$1/fd" -lname '*/lifeboat.db-gate' 2>/dev/null | grep -q .; }

digest() { evstore-export --digest; }
result() { jq_true "$1" "$OUT"; }
noted() { jq_true "$1" status/maintain.json; }

filled() { mkevents "${1:-50}" | evstore-append -q; }

# So many MiB of the store get unused.
make_room() {
    head -c $(($1 * 1048576 / 4)) /dev/zero >block
    for i in 1 2 3 4; do kvcache -q set "k$i" <block; done
    kvcache -q clear
    rm block
    [ "$(cell 'PRAGMA freelist_count')" -gt $(($1 * 250)) ]
}

@test "it prints one JSON object, keeps it as maintain.json, and changes no event" {
    filled
    before=$(digest)
    LIFEBOAT_NOW=1795378096925 run_split evstore-maintain
    assert_status 0 'bytes, '
    [ "$(wc -l <"$OUT")" -eq 1 ]
    result '.ts == 1795378096925 and .ok and .why == null and (.vacuumed | not) and .vacuum == "not worth it"'
    result '.checkpointed and .wal_bytes == 0 and .free_bytes == 0 and .ms >= 0'
    result ".bytes == $(stat -c %s "$LIFEBOAT_DB") and .bytes == .bytes_before or .bytes > .bytes_before"
    cmp "$OUT" status/maintain.json
    [ "$(digest)" = "$before" ]
    run_split evstore-maintain -q
    assert_status 0
    [ -z "$out$errout" ]
}

@test "the file is written anew when more than a quarter and more than 16 MiB are unused" {
    filled
    before=$(digest)
    make_room 12
    run_split evstore-maintain
    result '(.vacuumed | not) and .free_bytes > 12000000'
    make_room 20
    was=$(stat -c %s "$LIFEBOAT_DB")
    run_split evstore-maintain
    assert_status 0 'written anew'
    result ".vacuumed and .vacuum == \"done\" and .free_bytes == 0 and .bytes_before >= $was and .bytes < 2000000"
    [ "$(stat -c %s "$LIFEBOAT_DB")" -lt 2000000 ]
    [ "$(digest)" = "$before" ]
    evstore-verify -q
}

@test "--vacuum never and always are obeyed" {
    filled
    make_room 20
    run_split evstore-maintain --vacuum never
    assert_status 0
    result '(.vacuumed | not) and .vacuum == "not asked for" and .free_bytes > 20000000'
    for i in 1 2; do
        run_split evstore-maintain --vacuum always
        assert_status 0
        result '.vacuumed and .free_bytes == 0'
    done
}

@test "it gives up before others wait too long, and nothing was changed" {
    filled 3000
    make_room 20
    was=$(stat -c %s "$LIFEBOAT_DB")
    before=$(digest)
    LIFEBOAT_WAIT=0 run_split evstore-maintain
    assert_status 0 'not written anew: others would have to wait too long'
    result '.ok and (.vacuumed | not) and .vacuum == "takes too long" and .free_bytes > 20000000'
    [ "$(stat -c %s "$LIFEBOAT_DB")" -ge "$was" ]
    [ "$(digest)" = "$before" ]
    [ "$(cell 'PRAGMA integrity_check')" = ok ]
    LIFEBOAT_WAIT=0 run_split evstore-maintain --vacuum always
    assert_status 0
    result '.vacuumed'
}

@test "without room on the disk the file stays as it is, and always says so with 74" {
    [ "$(id -u)" -eq 0 ] || skip 'a small disk needs root'
    mkdir disk
    mount -t tmpfs -o size=150m tmpfs disk || skip 'no file system can be mounted here'
    mounted=$PWD/disk
    export LIFEBOAT_DB=$PWD/disk/lifeboat.db
    filled
    make_room 20
    head -c $(($(stat -f -c '%a * %S' disk) - 300000)) /dev/zero >disk/full
    was=$(stat -c %s "$LIFEBOAT_DB")
    before=$(digest)
    run_split evstore-maintain
    assert_status 0 'not written anew: that wants'
    result '.ok and (.vacuumed | not) and .vacuum == "no room"'
    run_split evstore-maintain --vacuum always
    assert_status 74 'no room on the disk for VACUUM'
    jq_true '.ok == false and (.why | contains("no room"))' disk/status/maintain.json
    [ "$(stat -c %s "$LIFEBOAT_DB")" -eq "$was" ]
    rm disk/full
    evstore-maintain -q --vacuum always
    [ "$(digest)" = "$before" ]
}

@test "a reader that stays is in the way of the -wal, not of the run" {
    filled
    mkfifo feed
    background reader sh -c 'exec sqlite3 "$LIFEBOAT_DB" <feed'
    exec {reader}>feed
    printf 'BEGIN; SELECT count(*) FROM events;\n' >&"$reader"
    wait_until 10 grep -qx 50 reader.out
    mkevents 60 more | evstore-append -q
    run_split evstore-maintain
    assert_status 0
    result '.ok and (.checkpointed | not) and .wal_bytes > 0'
    printf 'COMMIT; SELECT 0;\n' >&"$reader"
    wait_until 10 grep -qx 0 reader.out
    run_split evstore-maintain
    result '.checkpointed and .wal_bytes == 0'
}

@test "statistics are kept of what only grows, never of queue and cache" {
    filled 200
    seq 100 | syncq enqueue -q jobs
    kvcache -q set a b
    evstore-project -q
    evstore-maintain -q
    [ "$(cell 'SELECT DISTINCT tbl FROM sqlite_stat1 ORDER BY 1')" = 'events
projections' ]
    evstore-verify -q
}

@test "who has the gate is waited for, and what came of it is noted" {
    filled
    mkfifo hold
    background holder sh -c 'exec flock "$LIFEBOAT_DB-gate" sh -c "echo held; read -r x <hold"'
    wait_until 10 grep -qx held holder.out
    LIFEBOAT_WAIT=0 run_split evstore-maintain
    assert_status 75 'the store is busy'
    [ -z "$out" ]
    noted '.ok == false and .vacuumed == false and (.why | contains("the store is busy"))'
    background maintain evstore-maintain
    maintain=$pid
    wait_until 10 waits_at_gate "$maintain"
    echo >hold
    wait "$maintain"
    noted '.ok'
}

@test "others write meanwhile, and lose nothing" {
    mkevents 400 a >a
    mkevents 400 b >b
    filled 20
    for w in a b; do background "$w" sh -c "while read -r l; do printf '%s\n' \"\$l\" | evstore-append; done <$w"; pids+=("$pid"); done
    runs=0
    while kill -0 "${pids[0]}" 2>/dev/null && [ "$runs" -lt 30 ]; do
        evstore-maintain -q --vacuum always
        runs=$((runs + 1))
    done
    for p in "${pids[@]}"; do wait "$p"; done
    [ "$runs" -gt 3 ]
    { mkevents 20; cat a b; } | LIFEBOAT_DB=$PWD/other.db evstore-append -q
    [ "$(digest)" = "$(LIFEBOAT_DB=$PWD/other.db evstore-export --digest)" ]
    [ "$(cat a.out b.out | wc -l)" -eq 800 ]
    evstore-verify -q
}

@test "a store that was replaced meanwhile is left alone" {
    filled
    mkfifo hold
    background holder sh -c 'exec flock "$LIFEBOAT_DB-gate" sh -c "echo held; read -r x <hold"'
    wait_until 10 grep -qx held holder.out
    background maintain evstore-maintain --vacuum always
    maintain=$pid
    # It waits at the turnstile, so the store is open.
    wait_until 10 waits_at_gate "$maintain"
    sqlite3 "$LIFEBOAT_DB" ".backup copy"
    cp copy new
    mv new "$LIFEBOAT_DB"
    echo >hold
    status=0
    wait "$maintain" || status=$?
    [ "$status" -eq 76 ]
    grep -q 'replaced or removed' maintain.err
    cmp copy "$LIFEBOAT_DB"
}

@test "the status folder is for everybody to read, wherever it is" {
    filled
    umask 077
    evstore-maintain -q
    [ "$(stat -c %a status) $(stat -c %a status/maintain.json)" = '755 644' ]
    [ "$(ls status)" = maintain.json ]
    LIFEBOAT_STATUS_DIR=$PWD/elsewhere evstore-maintain -q
    [ "$(ls elsewhere)" = maintain.json ]
    : >file
    LIFEBOAT_STATUS_DIR=$PWD/file/x run_split evstore-maintain
    assert_status 73 'unable to make the folder'
    result .ok
}

@test "without a store nothing is made, and wrong words are refused" {
    run_split evstore-maintain
    assert_status 66 'no such store'
    [ "$(ls)" = lifeboat.env ]
    filled
    for words in '--vacuum sometimes' '--vacuum=' 'operand' '--nothing'; do
        # shellcheck disable=SC2086
        run_split evstore-maintain $words
        assert_status 64
    done
    [ ! -e status ]
    run_split evstore-maintain --vacuum sometimes
    assert_status 64 'wants auto, always or never'
}
