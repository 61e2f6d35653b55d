#!/usr/bin/env bats
# evstore-verify: ok is said of what is whole, and of nothing else.
# valgrind: a store that is whole|an id or a clock|and is no fault|sealed file that|bad line

load helper

silent() {
    [ ! -s "$ERR" ] || show_run "wanted nothing on stderr"
}

# verdict MEMBER: of the last line of $OUT.
verdict() { tail -n 1 "$OUT" | jq -r ".$1"; }

# assert_verdict WORD STATUS [TEXT]: the last run said and did so.
assert_verdict() {
    assert_status "$2" "${3-}" || return
    [ "$(verdict verdict)" = "$1" ] || show_run "wanted the verdict $1"
}

sql() { sqlite3 "$LIFEBOAT_DB" "$@"; }

# assert_bad WHERE WHY: exactly this is wrong.
assert_bad() {
    assert_verdict bad 1 "evstore-verify: $LIFEBOAT_DB: $1: $2" || return
    [ "$(verdict problem_count)" -eq 1 ] || show_run "wanted one problem" || return
    [ "$(verdict 'problems[0].where')" = "$1" ] || show_run "wanted where: $1" || return
    [[ $(verdict 'problems[0].why') == "$2"* ]] || show_run "wanted why: $2"
}

@test "a store that is whole is ok, and the digest is that of the export" {
    mkevents 50 | evstore-append -q
    run_split evstore-verify
    assert_verdict ok 0 "evstore-verify: $LIFEBOAT_DB: ok: 50 events, 0 problems"
    [ "$(wc -l <"$OUT")" -eq 1 ]
    [ "$(verdict events)" -eq 50 ]
    [ "$(verdict digest)" = "$(evstore-export --digest)" ]
    [ "$(verdict checked)" = store ]
    [ "$(verdict name)" = "$LIFEBOAT_DB" ]
    run_split evstore-verify -q
    assert_verdict ok 0
    silent
}

@test "an empty store is ok" {
    hlc send
    run_split evstore-verify
    assert_verdict ok 0
    [ "$(verdict digest)" = 'lifeboat1 0 00000000000000000000000000000000' ]
}

@test "everything an event can hold is ok" {
    printf '%s\n' '{"entity_type":"a","entity_id":"b","event_type":"T","actor_id":"x","payload":null}' \
        '{"event_id":"e","ts_device":0,"entity_type":"é\\\u0001","entity_id":"\ud800","event_type":"T","actor_id":"x","payload":{"b":1.0e+2,"a":[ ],"a":9007199254740993},"z":1 ,"new":{"x":[]},"":2,"synced":1,"entity_version":-3}' |
        evstore-append -q
    run_split evstore-verify
    assert_verdict ok 0
}

@test "every kind of damage to an event is named" {
    mkevents 9 evt >in
    # What is done to event 5, and what is said of it.
    while IFS='|' read -r change why; do
        rm -f "$LIFEBOAT_DB"*
        evstore-append -q in
        sql "UPDATE events SET $change WHERE event_id = 'evt_0000005'"
        run_split evstore-verify
        assert_bad 'event evt_0000005' "$why"
    done <<'END'
payload_json = '{"n":6}'|its digest is
payload_json = '{"n":5'|its payload or its unknown members are not JSON
payload_json = '{"n":5,"text":"plain","hr":"x"}'|its digest is
payload_json = replace(payload_json, ',', ', ')|not in canonical form
entity_id = 'E-9'|its digest is
actor_name = 'X'|its digest is
ts_device = ts_device + 1|its digest is
hlc = '019ba5030285.0001'|its digest is
schema_version = NULL|its digest is
extra_json = '{"x":1}'|its digest is
extra_json = '[]'|its payload or its unknown members are not JSON
digest = x'00112233445566778899aabbccddeeff'|its digest is 00112233445566778899aabbccddeeff, that of its content
digest = x'00'|its digest has not 16 bytes
ts_server = -1|its line would be refused: byte
END
}

@test "an id or a clock that is none is named, even where the digest fits" {
    mkevents 3 evt | evstore-append -q
    sql "UPDATE events SET event_id = 'a b' WHERE seq = 2"
    run_split evstore-verify
    assert_verdict bad 1 'event a b: event_id: wants 1 to 128'
    sql "UPDATE events SET event_id = 'evt_0000002', hlc = 'X' WHERE seq = 2"
    run_split evstore-verify
    assert_verdict bad 1 'event evt_0000002: hlc: not an HLC'
}

@test "a control line that nobody knows is bad, sealed or not" {
    mkevents 3 evt | evstore-append -q
    { evstore-export && echo '{"lifeboat_later":1}'; } >file
    run_split evstore-verify file
    assert_verdict bad 1 'file:4: byte 876: a control line that is neither a seal nor a cursor'
    [ "$(verdict bad_lines)" -eq 1 ]
}

@test "a schema that is another is damage, not a fault of the program" {
    mkevents 3 evt | evstore-append -q
    sql 'ALTER TABLE events RENAME TO other'
    run_split evstore-export
    assert_status 65 "$LIFEBOAT_DB"
    run_split evstore-append -q --type T --entity a/1 --actor me 1
    assert_status 65 "$LIFEBOAT_DB"
}

@test "damaged pages are named" {
    mkevents 2000 | evstore-append -q
    sql 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
    page=$(sql "SELECT rootpage FROM sqlite_schema WHERE name = 'idx_events_hlc'")
    dd if=/dev/zero of="$LIFEBOAT_DB" bs=4096 seek=$((page - 1)) count=1 conv=notrunc status=none
    run_split evstore-verify
    assert_verdict bad 1 "$LIFEBOAT_DB: database: "
}

@test "an index that lost a row is named" {
    mkevents 9 | evstore-append -q
    sql "PRAGMA writable_schema = 1" "UPDATE sqlite_schema SET sql = 'CREATE INDEX idx_events_type ON events(event_type) WHERE seq > 1' WHERE name = 'idx_events_type'"
    sql "INSERT INTO events SELECT 99, 'x' || event_id, digest, site_id, entity_type, entity_id, entity_version, actor_id, actor_name, actor_role, device_id, ts_device, ts_server, hlc, event_type, schema_version, correlation_id, causation_id, synced, acknowledged, created_at, payload_json, extra_json FROM events WHERE seq = 1"
    sql "PRAGMA writable_schema = 1" "UPDATE sqlite_schema SET sql = 'CREATE INDEX idx_events_type ON events(entity_id)' WHERE name = 'idx_events_type'"
    run_split evstore-verify
    assert_verdict bad 1 'database: row 1 missing from index idx_events_type'
}

@test "conflicts are counted and are no fault" {
    mkevents 5 evt | evstore-append -q
    mkevents 5 evt | sed 's/"n":/"m":/' | evstore-append -q 2>/dev/null || :
    run_split evstore-verify
    assert_verdict ok 0
    [ "$(verdict conflicts)" -eq 5 ]
}

@test "a conflict that is none, or is damaged, is named" {
    mkevents 2 evt | evstore-append -q
    mkevents 2 evt | sed 's/"n":/"m":/' | evstore-append -q 2>/dev/null || :
    cp "$LIFEBOAT_DB" whole
    while IFS='|' read -r change why; do
        rm -f "$LIFEBOAT_DB"*
        cp whole "$LIFEBOAT_DB"
        sql "UPDATE conflicts SET $change WHERE event_id = 'evt_0000001'"
        run_split evstore-verify
        assert_verdict bad 1 "$why"
    done <<'END'
event_json = '{'|conflict evt_0000001: its line is no event: byte 1: 
event_json = replace(event_json, '"m":1', '"m":7')|conflict evt_0000001: its digest is not that of its line
event_json = replace(event_json, 'evt_0000001', 'evt_0000002')|conflict evt_0000001: its line is an event of another id
event_id = 'gone'|conflict gone: there is no event of this id
digest = (SELECT digest FROM events WHERE seq = 1)|conflict evt_0000001: the same as the event of this id
END
}

@test "a restore whose counters do not add up is named" {
    hlc send
    sql "INSERT INTO restore_log(restore_session_id, source_device_id, events_received, events_inserted, events_rejected, status) VALUES('s', 'd', 5, 3, 1, 'COMPLETED')"
    run_split evstore-verify
    assert_bad 'restore s' 'attempt 1: its counters do not add up'
    sql "UPDATE restore_log SET events_already_present = 1, status = 'DONE'"
    run_split evstore-verify
    assert_bad 'restore s' 'attempt 1: it has no status there is'
    sql "UPDATE restore_log SET status = 'PARTIAL'"
    run_split evstore-verify
    assert_verdict ok 0
}

@test "a source's cursor that is none is named" {
    hlc send
    sql "INSERT INTO sources(name, cursor, updated_at) VALUES('a', 'start', 0), ('b', '0123456789abcdef:5:01234567', 0)"
    run_split evstore-verify
    assert_verdict ok 0
    sql "UPDATE sources SET cursor = '5' WHERE name = 'b'"
    run_split evstore-verify
    assert_bad 'source b' 'its cursor is not one'
}

@test "a clock that is none is named; one that is behind is a warning" {
    mkevents 5 | evstore-append -q
    sql "UPDATE meta SET value = '000000000000.0000' WHERE key = 'hlc'"
    run_split evstore-verify
    assert_verdict ok 0 "$LIFEBOAT_DB: clock: warning: it reads 000000000000.0000, the newest event 019b"
    sql "UPDATE meta SET value = 'x' WHERE key = 'hlc'"
    run_split evstore-verify
    assert_bad clock 'the one in the meta table is not an HLC'
}

@test "an event from far ahead does not put the clock behind" {
    printf '{"event_id":"%s","entity_type":"a","entity_id":"b","event_type":"T","actor_id":"x","ts_device":%s,"payload":1}\n' \
        near 3000000000000 far 3000999999999 >in
    export LIFEBOAT_NOW=3000000000000
    # A blank store would believe it.
    head -n 1 in | evstore-append -q
    tail -n 1 in | evstore-append -q 2>/dev/null
    [ "$(hlc now)" = 02ba7def3000.0000 ]
    run_split evstore-verify -q
    assert_verdict ok 0
    silent
}

@test "projections are compared with a fresh fold" {
    mkevents 50 | evstore-append -q
    evstore-project -q
    run_split evstore-verify
    assert_verdict ok 0
    sql "UPDATE projections SET state_json = '{\"n\":0}' WHERE entity_type = 'case' AND entity_id = 'E-1'"
    run_split evstore-verify
    assert_bad projection 'case/E-1: '
}

@test "problems beyond the first 20 are counted and named, but not listed" {
    mkevents 30 | evstore-append -q
    sql "UPDATE events SET payload_json = '0'"
    run_split evstore-verify
    assert_verdict bad 1 ': bad: 30 events, 30 problems'
    [ "$(verdict problem_count)" -eq 30 ]
    [ "$(verdict 'problems | length')" -eq 20 ]
    [ "$(grep -c 'its digest is' "$ERR")" -eq 30 ]
}

@test "no store, or one that is locked, is inconclusive; a file that is none is bad" {
    run_split evstore-verify
    assert_verdict inconclusive 2 "$LIFEBOAT_DB: no such store"
    [ "$(verdict digest)" = null ]
    [[ $(verdict message) == *'no such store' ]]
    [ ! -e "$LIFEBOAT_DB" ]
    seq 5000 >text
    run_split evstore-verify -d text
    assert_verdict bad 1 'file is not a database'
    sqlite3 other.db 'CREATE TABLE t(x)'
    run_split evstore-verify -d other.db
    assert_verdict bad 1 'other.db: database: a SQLite database, but not a lifeboat store'
    hlc send
    sql 'DROP TABLE restore_log'
    run_split evstore-verify
    assert_verdict bad 1 'no such table: restore_log'
    sql 'DROP TABLE meta'
    run_split evstore-verify
    assert_verdict bad 1 'no such table: meta'
}

@test "a store that another program keeps locked is inconclusive" {
    mkevents 5 | evstore-append -q
    mkfifo pipe
    background locker sh -c 'sqlite3 "$LIFEBOAT_DB" <pipe'
    exec 9>pipe
    echo 'PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; SELECT "locked";' >&9
    wait_until 5 grep -q locked locker.out
    LIFEBOAT_WAIT=0 run_split evstore-verify
    assert_verdict inconclusive 2 'database is locked'
    exec 9>&-
}

@test "it needs no gate and changes nothing" {
    mkevents 5 | evstore-append -q
    before=$(sha256sum "$LIFEBOAT_DB")
    LIFEBOAT_WAIT=0 run_split flock "$LIFEBOAT_DB-gate" evstore-verify
    assert_verdict ok 0
    [ "$(sha256sum "$LIFEBOAT_DB")" = "$before" ]
}

@test "a sealed file that is whole is ok, from a file and from a pipe" {
    mkevents 50 | evstore-append -q
    evstore-export --seal >sealed
    run_split evstore-verify sealed
    assert_verdict ok 0 'evstore-verify: sealed: ok: 50 events, 0 problems'
    [ "$(verdict seal)" = whole ]
    [ "$(verdict checked)" = file ]
    [ "$(verdict digest)" = "$(evstore-export --digest)" ]
    run_split sh -c 'evstore-verify - <sealed'
    assert_verdict ok 0
    [ "$(verdict name)" = 'standard input' ]
    evstore-export --seal --full >sealed
    run_split evstore-verify sealed
    assert_verdict ok 0
    [ "$(verdict digest)" = "$(evstore-export --digest)" ]
}

@test "an unsealed file without fault is inconclusive, with the digest it would give" {
    mkevents 50 >in
    run_split evstore-verify in
    assert_verdict inconclusive 2 'in: no seal: nobody can see whether its end is missing'
    [ "$(verdict seal)" = none ]
    evstore-append -q in
    [ "$(verdict digest)" = "$(evstore-export --digest)" ]
    run_split evstore-verify /dev/null
    assert_verdict inconclusive 2
}

@test "a sealed file cut at any byte is never ok" {
    [ "$checker" != valgrind ] || skip 'too slow here'
    mkevents 2 | evstore-append -q
    evstore-export --seal >sealed
    size=$(wc -c <sealed)
    step=3
    [ -z "$checker" ] || step=11
    for ((n = 0; n < size - 1; n += step)); do
        status=0
        head -c "$n" sealed | evstore-verify -q - >"$OUT" 2>"$ERR" || status=$?
        [ "$status" -eq 1 ] || [ "$status" -eq 2 ] || show_run "cut at $n"
    done
    # Only the LF of the seal itself may be missing.
    run_split sh -c "head -c $((size - 1)) sealed | evstore-verify -"
    assert_verdict ok 0
}

@test "a line missing, added, swapped or changed behind a seal is bad" {
    mkevents 9 | evstore-append -q
    evstore-export --seal >sealed
    sed 3d sealed >a
    sed 3p sealed >b
    sed '3{h;d};4G' sealed >c
    sed '3s/"n":/"n": /' sealed >d
    sed 's/$/\r/' sealed >e
    cat sealed sealed >f
    { cat sealed && head -n 1 sealed; } >g
    sed '$s/"count":9/"count":"9"/' sealed >h
    for f in a b c d e f g h; do
        run_split evstore-verify $f
        assert_verdict bad 1 "evstore-verify: $f"
        [ "$(verdict seal)" = broken ]
    done
    run_split evstore-verify a
    assert_status 1 'a:9: byte '
    [[ $errout == *'the seal speaks of 9 events, but there are 8'* ]]
    run_split evstore-verify g
    assert_status 1 'g: seal: there is something behind the seal'
}

@test "each bad line is named with its place" {
    mkevents 2 >in
    printf '%s\n' '{"event_id":"x"' '{"event_id":"y","entity_type":"a","entity_id":"b","event_type":"T","actor_id":"x","payload":1}' \
        '{"lifeboat_cursor":5}' '{"lifeboat_later":1}' '{"lifeboat_later":' "$(printf '%0600d' 0)" >>in
    run_split evstore-verify --max-line 500 in
    assert_verdict bad 1 'evstore-verify: in:3: byte '
    [[ $errout == *'in:4: byte '*': ts_device: missing'* ]]
    [[ $errout == *'in:5: byte '*': the cursor is malformed'* ]]
    [[ $errout == *'in:6: byte '*': a control line that is neither a seal nor a cursor'* ]]
    [[ $errout == *'in:7: byte '* ]]
    [[ $errout == *'in:8: byte '*': longer than 500 bytes (--max-line)'* ]]
    [ "$(verdict bad_lines)" -eq 5 ]
    [ "$(verdict events)" -eq 2 ]
    [ "$(verdict 'problems[0].line')" -eq 3 ]
    [ "$(verdict 'problems[0].byte')" -eq $(($(head -n 3 in | wc -c) - 1)) ]
}

@test "the same event again is fine; the same id with other content is counted" {
    mkevents 5 evt >in
    mkevents 5 evt | sed 's/"n":3/"n":4/; s/"hr":\(..\).50/"hr":\1.5/' >>in
    run_split evstore-verify in
    assert_verdict inconclusive 2 'in:8: warning: event evt_0000003: its id came before with other content'
    [ "$(verdict events)" -eq 5 ]
    [ "$(verdict duplicates)" -eq 4 ]
    [ "$(verdict conflicts)" -eq 1 ]
    [ "$(verdict problem_count)" -eq 0 ]
}

@test "a file that is still packed, or a store, is inconclusive, in one line that says how it is had" {
    mkevents 200 | evstore-append -q
    evstore-export --full --seal >lines
    gzip -c lines >lines.gz
    run_split evstore-verify -q lines.gz
    assert_status 2
    [ "$errout" = 'evstore-verify: lines.gz: it is packed by gzip, not lines of events: gzip -dc lines.gz | evstore-verify' ]
    jq_true '.verdict == "inconclusive" and .bad_lines == 0 and .digest == null' "$OUT"
    gzip -dc lines.gz | evstore-verify -q -
    run_split evstore-verify -q "$LIFEBOAT_DB"
    assert_status 2 'it is a SQLite database, such as a store'
}

@test "a sealed export of conflicts may hold an id twice" {
    mkevents 3 evt | evstore-append -q
    for i in 7 8; do
        mkevents 3 evt | sed "s/\"n\":/\"n\":$i/" | evstore-append -q 2>/dev/null || :
    done
    evstore-export --conflicts --seal >sealed
    run_split evstore-verify sealed
    assert_verdict ok 0
    [ "$(verdict conflicts)" -eq 3 ]
}

@test "several files have a verdict each, and the worst is the status" {
    mkevents 3 | evstore-append -q
    evstore-export --seal >good
    mkevents 3 >unsure
    echo nope >bad
    run_split evstore-verify good good
    assert_status 0
    run_split evstore-verify unsure good
    assert_status 2
    run_split evstore-verify good unsure none bad good
    assert_status 1 'unable to open none: No such file or directory'
    [ "$(jq -r .verdict "$OUT" | paste -sd ' ')" = 'ok inconclusive inconclusive bad ok' ]
    run_split evstore-verify good none
    assert_verdict inconclusive 2
    [ "$(verdict digest)" = null ]
}

@test "a file that cannot be read is inconclusive" {
    mkdir folder
    run_split evstore-verify folder
    assert_verdict inconclusive 2 'unable to read folder: Is a directory'
}

@test "TERM ends it without a verdict" {
    mkfifo pipe
    background verify evstore-verify pipe
    exec 9>pipe
    mkevents 1 >&9
    kill -TERM "$pid"
    status=0
    wait "$pid" || status=$?
    exec 9>&-
    [ "$status" -eq 143 ]
    [ ! -s verify.out ]
}

@test "a full disk is 74, the wrong use 64" {
    hlc send
    run_split sh -c 'evstore-verify >/dev/full'
    assert_status 74 'unable to write to standard output'
    run_split evstore-verify --frob
    assert_status 64 'try evstore-verify --help'
}
