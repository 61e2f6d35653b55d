# table-to-events: a table that was there before becomes events, from SQLite and from PostgreSQL.
# plain

load helper
load postgres

setup_file() { postgres_start; }
teardown_file() { postgres_end; }

setup() {
    private_store
    socket="postgresql:///postgres?host=$PGHOST&port=$PGPORT&user=keeper"
    shipped=$top/lib/config/anesthesia-events.json
    mapping '{}'
}

# The mapping of table t, with these changes.
mapping() {
    jq -n --argjson more "$1" '{table: "t", key: ["id"], members: {entity_id: "id", ts_device: "at"},
        constants: {entity_type: "thing", actor_id: "importer", event_type: "ROW"}} * $more' >map.json
}
from_sqlite() { run_split table-to-events -q -m map.json --sqlite a.db "$@"; }
from_postgres() { run_split table-to-events -q -m map.json --postgres "$socket" "$@"; }
# What the line of one row has.
of_row() { jq -c "select(.entity_id == \"$1\") | $2" "$OUT"; }

# The table of the document's system, as its migration makes it.
anesthesia_events='CREATE TABLE anesthesia_events (
    id TEXT PRIMARY KEY, case_id TEXT NOT NULL, event_type TEXT NOT NULL, clinical_time DATETIME NOT NULL,
    recorded_at DATETIME DEFAULT CURRENT_TIMESTAMP, payload TEXT NOT NULL, actor_id TEXT NOT NULL, device_id TEXT,
    idempotency_key TEXT UNIQUE, is_correction INTEGER DEFAULT 0, corrects_event_id TEXT, correction_reason TEXT,
    sync_status TEXT DEFAULT "LOCAL");'
some_anesthesia_events() { # FROM TO
    local i
    for ((i = $1; i <= $2; i++)); do
        printf "INSERT INTO anesthesia_events (id, case_id, event_type, clinical_time, recorded_at, payload, actor_id)
            VALUES ('019beaab-0000-7000-8000-%012d', 'ANES-%d', 'VITAL_ADDED', '2026-01-26T09:%02d:00', '2026-01-26 01:%02d:02',
            '{\"hr\":%d,\n \"big\":9007199254740993,\"r\":1.50}', 'U001');\n" "$i" $((i % 3)) "$i" "$i" $((60 + i))
    done
}

@test "the shipped mapping takes anesthesia_events, once, on a timer, and again: nothing double" {
    { echo "$anesthesia_events" && some_anesthesia_events 1 20; } | sqlite3 a.db
    run_split table-to-events -m "$shipped" --sqlite a.db --state at -- evstore-restore -q
    assert_status 0 'anesthesia_events: 20 rows, 0 of them no events; the last one: 2026-01-26 01:20:02'
    [ "$(cat at)" = '2026-01-26 01:20:02' ]
    digest=$(evstore-export --digest)
    [[ $digest == 'lifeboat1 20 '* ]]
    evstore-export --limit 1 >one
    grep -F '"payload":{"hr":61,"big":9007199254740993,"r":1.50}' one
    jq_true '.event_id == "019beaab-0000-7000-8000-000000000001" and .entity_type == "anesthesia_case" and .entity_id == "ANES-1"
        and .ts_device == 1769389262000 and .row.clinical_time == "2026-01-26T09:01:00" and (.row | has("sync_status") | not)' one
    # All of them again, those of the last instant again: nothing new.
    table-to-events -q -m "$shipped" --sqlite a.db -- evstore-restore -q
    table-to-events -q -m "$shipped" --sqlite a.db --state at -- evstore-restore -q
    [ "$(evstore-export --digest)" = "$digest" ]
    # What the table does with its own flag is no change.
    { echo "UPDATE anesthesia_events SET sync_status = 'SYNCED';" && some_anesthesia_events 21 30; } | sqlite3 a.db
    run_split table-to-events -m "$shipped" --sqlite a.db --state at -- evstore-restore -q
    assert_status 0 '11 rows, 0 of them no events'
    [[ $(evstore-export --digest) == 'lifeboat1 30 '* ]]
}

@test "a row that was changed is a conflict; with a revision it is a new event" {
    sqlite3 a.db 'CREATE TABLE t (id INTEGER PRIMARY KEY, at, v, rev); INSERT INTO t VALUES (1, 1768000000, 10, 1)'
    table-to-events -q -m map.json --sqlite a.db -- evstore-restore -q
    sqlite3 a.db 'UPDATE t SET v = 11, rev = 2'
    run_split table-to-events -m map.json --sqlite a.db --state at -- evstore-restore -q
    assert_status 1 'kept as a conflict'
    assert_status 1 'the same rows will come again'
    [ ! -e at ]
    [ "$(evstore-export | jq -c .payload.v)" = 10 ]
    mapping '{"revision": "rev"}'
    table-to-events -q -m map.json --sqlite a.db -- evstore-restore -q -d new.db
    sqlite3 a.db 'UPDATE t SET v = 12, rev = 3'
    table-to-events -q -m map.json --sqlite a.db -- evstore-restore -q -d new.db
    [ "$(evstore-export -d new.db | jq -r .event_id)" = $'main.t:1:2\nmain.t:1:3' ]
}

values_sqlite="CREATE TABLE t (id TEXT, at, i INTEGER, r REAL, b BLOB, txt TEXT);
    INSERT INTO t VALUES ('a', 1768000000, 9007199254740993, 0.1, x'ffd800', 'tab' || char(9) || 'nl' || char(10) || 'q\" \\ 手術' || char(1114111)),
        ('b', 1768000000, -9223372036854775808, 1e300, NULL, '9.999999999999999999'),
        ('c', 1768000000, NULL, 0.1 + 0.2, x'', ''),
        ('d', 1768000000, 7, 9e999, x'00', '[1, not JSON]')"
values_postgres="DROP TABLE IF EXISTS t; CREATE TABLE t (id text, at bigint, i numeric, r double precision, b bytea, txt text);
    INSERT INTO t VALUES ('a', 1768000000, 9007199254740993, 0.1, '\\xffd800', 'tab' || chr(9) || 'nl' || chr(10) || 'q\" \\ 手術' || chr(1114111)),
        ('b', 1768000000, -9223372036854775808, 1e300, NULL, '9.999999999999999999'),
        ('c', 1768000000, NULL, 0.1::float8 + 0.2, '', ''),
        ('d', 1768000000, 7, 'Infinity', '\\x00', '[1, not JSON]')"
same_values() {
    assert_status 0
    grep -qF '{"i":9007199254740993,"r":0.1,"b":{"hex":"ffd800"},"txt":"tab\tnl\nq\" \\ 手術'$'\U10FFFF''"}' "$OUT"
    grep -qE '\{"i":-9223372036854775808,"r":1(\.0)?e\+300,"b":null,"txt":"9.999999999999999999"\}' "$OUT"
    grep -qF '{"i":null,"r":0.30000000000000004,"b":{"hex":""},"txt":""}' "$OUT"
    grep -qE '\{"i":7,"r":"Inf(inity)?","b":\{"hex":"00"\},"txt":"\[1, not JSON\]"\}' "$OUT"
    evstore-restore -q "$OUT"
}
@test "values come through as they are: big integers, reals, bytes, text of any kind, from SQLite" {
    sqlite3 a.db "$values_sqlite"
    from_sqlite
    same_values
}
@test "values come through as they are: big integers, reals, bytes, text of any kind, from PostgreSQL" {
    pg "$values_postgres"
    from_postgres
    same_values
}

@test "both databases give the same events" {
    sqlite3 a.db "$values_sqlite; DELETE FROM t WHERE id = 'd'"
    pg "$values_postgres; DELETE FROM t WHERE id = 'd'"
    table-to-events -q -m map.json --sqlite a.db -- evstore-restore -q
    table-to-events -q -m map.json --postgres "$socket" -- evstore-restore -q -d pg.db
    [ "$(evstore-export --digest)" = "$(evstore-export --digest -d pg.db)" ]
}

# SPELLING  Unix ms; those without a zone are Taipei's
times="2026-01-26 09:30:00	1769391000000
2026-01-26T09:30:00	1769391000000
2026/01/26 09:30	1769391000000
2026-01-26 09:30:00.250	1769391000250
2026-01-26 09:30:00,250	1769391000250
2026-01-26T01:30:00Z	1769391000000
2026-01-26 01:30:00 UTC	1769391000000
2026-01-25T20:30:00-05:00	1769391000000
2026-01-26 07:00:00.5+0530	1769391000500
2026-01-26 02:30:00+01	1769391000000
2026-01-26	1769356800000
1769391000	1769391000000
1769391000.25	1769391000250
1769391000250	1769391000250
1769391000250000	1769391000250
1769391000250000000	1769391000250"
many_times() { # how the database makes the table
    local n=0 text _
    echo 'CREATE TABLE t (id integer, at text);'
    while IFS=$'\t' read -r text _; do echo "INSERT INTO t VALUES ($((++n)), '$text');"; done <<<"$times"
}
same_times() {
    assert_status 0
    diff <(cut -f 2 <<<"$times") <(jq -s 'sort_by(.entity_id | tonumber)[].ts_device' "$OUT")
}
@test "time has many spellings, and a zone, from SQLite" {
    mapping '{"zone": "Asia/Taipei"}'
    many_times | sqlite3 a.db
    from_sqlite
    same_times
    # A zone with summer time.
    mapping '{"zone": "Europe/Berlin"}'
    sqlite3 a.db "DELETE FROM t; INSERT INTO t VALUES (1, '2026-01-26 09:30:00'), (2, '2026-07-26 09:30:00')"
    from_sqlite
    [ "$(jq .ts_device "$OUT")" = $'1769416200000\n1785051000000' ]
}
@test "time has many spellings, and a zone, from PostgreSQL; its own types too" {
    mapping '{"zone": "Asia/Taipei"}'
    { echo 'DROP TABLE IF EXISTS t;' && many_times; } | psql -Xqv ON_ERROR_STOP=1
    from_postgres
    same_times
    pg "DROP TABLE t; CREATE TABLE t (id int, at timestamptz, there timestamp, payload jsonb);
        INSERT INTO t VALUES (1, '2026-01-26 01:30:00.1234Z', '2026-01-26 09:30', '{\"a\": 1.50, \"n\": 12345678901234567890}')"
    mapping '{"zone": "Asia/Taipei", "members": {"payload": "payload"}}'
    from_postgres
    assert_status 0
    grep -qF '"ts_device":1769391000123,"payload":{"a": 1.50, "n": 12345678901234567890},"row":{"there":"2026-01-26T09:30:00"}' "$OUT"
    mapping '{"zone": "Asia/Taipei", "members": {"ts_device": "there"}}'
    from_postgres
    [ "$(jq .ts_device "$OUT")" = 1769391000000 ]
}

@test "ids: the row's own where it is fit, else of site, table and key; no two rows share one" {
    sqlite3 a.db "CREATE TABLE t (id TEXT, k TEXT, at); INSERT INTO t VALUES ('evt_1', 'x', 1), ('a:b', 'c', 1), ('a', 'b:c', 1),
        ('a/b', 'c', 1), ('.612f62', 'c', 1), ('', 'c', 1)"
    mapping '{"key": ["id", "k"], "members": {"entity_id": "k"}}'
    LIFEBOAT_SITE=north from_sqlite
    assert_status 0
    [ "$(jq -r .event_id "$OUT" | sort -u | wc -l)" -eq 6 ]
    jq -r .event_id "$OUT" | grep -qxF north.t:evt_1:x
    mapping '{"own_ids": true, "members": {"entity_id": "k"}}'
    from_sqlite
    jq -r .event_id "$OUT" | sort >ids
    diff ids - <<<$'.612f62\na\na:b\nevt_1\nmain.t:.\nmain.t:.612f62'
    evstore-restore -q "$OUT"
}

@test "a row that cannot be an event is named and counted, and stops no other one" {
    sqlite3 a.db "CREATE TABLE t (id, at, who); INSERT INTO t VALUES (1, 'yesterday', 'me'), (2, NULL, 'me'), (3, 1768000000, NULL),
        (NULL, 1768000000, 'me'), (4, 1768000000, 'me'), (5, 1768000000, CAST(x'41ff' AS TEXT))"
    mapping '{"members": {"actor_id": "who"}}'
    from_sqlite
    assert_status 78 'actor_id: both in members and in constants'
    jq 'del(.constants.actor_id)' map.json >own.json && mv own.json map.json
    from_sqlite
    assert_status 1 't: row 1: at: no time: yesterday'
    assert_status 1 't: row 2: at: no time: NULL'
    assert_status 1 't: row 3: who: NULL or empty'
    assert_status 1 't: row NULL: id: NULL'
    cp "$OUT" lines
    run_split evstore-restore lines
    assert_status 1 '2 received: 1 stored'
}

@test "the state moves only when the command is done, and an unusable row does not take it along" {
    sqlite3 a.db "CREATE TABLE t (id INTEGER PRIMARY KEY, at); INSERT INTO t VALUES (1, 1768000000), (2, 1768000001)"
    mapping '{"since": "id"}'
    run_split table-to-events -m map.json --sqlite a.db --state at -- sh -c 'cat >/dev/null; exit 74'
    assert_status 74 'sh ended with 74: the same rows will come again'
    [ ! -e at ]
    table-to-events -q -m map.json --sqlite a.db --state at -- evstore-restore -q
    [ "$(cat at)" = 2 ]
    # 10 is more than 9 here: the column has numbers.
    sqlite3 a.db "INSERT INTO t VALUES (9, 1768000002), (10, 1768000003), (11, 'never')"
    run_split table-to-events -m map.json --sqlite a.db --state at -- evstore-restore -q
    assert_status 1 '4 rows, 1 of them no events; the last one: 10'
    [ "$(cat at)" = 10 ]
    [[ $(evstore-export --digest) == 'lifeboat1 4 '* ]]
    from_sqlite --after 9
    [ "$(jq -r .entity_id "$OUT" | xargs)" = '9 10' ]
    [ -z "$(find . -name 'at.*')" ]
}

@test "numbers are taken up again in SQLite, whatever type the column has, to their last digit" {
    mapping '{"since":"at"}'
    for type in '' REAL NUMERIC BLOB; do
        rm -f a.db at new.db
        sqlite3 a.db "CREATE TABLE t (id TEXT, at $type); INSERT INTO t VALUES ('a', 1700000000.1234567), ('b', 1700000001.1234567)"
        from_sqlite --state at -- evstore-restore -q -d new.db
        assert_status 0
        sqlite3 a.db "INSERT INTO t VALUES ('same', 1700000001.1234567), ('next', 1700000002)"
        from_sqlite --state at -- evstore-restore -q -d new.db
        assert_status 0
        [[ $(evstore-export --digest -d new.db) == 'lifeboat1 4 '* ]] || show_run "a column of type '$type'"
        run_split table-to-events -m map.json --sqlite a.db --state at -- evstore-restore -q -d new.db
        assert_status 0 ' 1 rows,'
    done
}

@test "what it is not: a mapping, a table, a database" {
    sqlite3 a.db 'CREATE TABLE t (id, at)'
    try() { # STATUS TEXT CHANGES
        mapping "$3"
        from_sqlite
        assert_status "$1" "$2"
    }
    try 0 '' '{}'
    try 78 'since: wants a text' '{"since": 7}'
    try 78 'where: no such setting' '{"where": "1"}'
    try 78 'colour: the table has no such column' '{"members": {"actor_name": "colour"}}'
    try 78 'color: no member of an event' '{"members": {"color": "id"}}'
    try 78 'zone: Mars/Base: no such time zone' '{"zone": "Mars/Base"}'
    try 78 'constants: wants an object' '{"constants": null}'
    mapping '{}'
    jq 'del(.constants.actor_id)' map.json >less.json
    run_split table-to-events -m less.json --sqlite a.db
    assert_status 78 'actor_id: neither in members nor in constants'
    try 66 "t'; DROP TABLE t: no such table" '{"table": "t'"'"'; DROP TABLE t"}'
    echo '{"table": "t"}' >map.json
    from_sqlite
    assert_status 78 'missing'
    echo '{' >map.json
    from_sqlite
    assert_status 78 'not one JSON object'
    mapping '{}'
    run_split table-to-events -m map.json --sqlite none.db
    assert_status 66 'none.db: no such file'
    seq 1000 >no.db
    run_split table-to-events -m map.json --sqlite no.db
    assert_status 65 'not a database'
    run_split table-to-events -m map.json --postgres 'postgresql://me:secret@127.0.0.1/x'
    assert_status 78 'there is a password in it'
    [[ $errout != *secret@* ]]
    run_split table-to-events -m map.json --postgres 'postgresql://127.0.0.1:1/x'
    assert_status 69 'not reached'
    run_split table-to-events -m map.json --postgres "postgresql://keeper@127.0.0.1:$PGPORT/postgres"
    assert_status 77 'no password supplied'
    for wrong in '-m map.json' '-m map.json --sqlite a.db --state s' '-m map.json --sqlite a.db --postgres x' '--sqlite a.db' 'x'; do
        # shellcheck disable=SC2086
        run_split table-to-events $wrong
        assert_status 64
    done
    run_split sh -c 'table-to-events -m map.json --sqlite a.db >/dev/full'
    assert_status 0
    sqlite3 a.db 'INSERT INTO t VALUES (1, 1)'
    run_split sh -c 'table-to-events -m map.json --sqlite a.db >/dev/full'
    [ "$status" -ne 0 ]
}
