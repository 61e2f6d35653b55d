# mirror-compare between real ends: PostgreSQL's part_locations, read by psql, is the old
# side; what the store folds of the same scans is the new one.
# shellcheck disable=SC2016,SC2154,SC2030,SC2031 # jq's variables, the helpers', each test's own
load helper
load http
load postgres

setup_file() { postgres_start; }
teardown_file() { postgres_end; }

setup() {
    private_store
    export LIFEBOAT_CONFIG=$PWD/conf LIFEBOAT_MIRROR_LOG=$PWD/mirror.log NO_PROXY='*'
    mkdir conf status
    pg 'DROP TABLE IF EXISTS part_locations;
        CREATE TABLE part_locations (tag_id text NOT NULL, order_id text NOT NULL, location text, lot text,
            qty numeric, updated_at timestamptz NOT NULL)'
}
teardown() {
    stop_background
    [ ! -e logs ] || end_cgis
}

columns='tag_id, order_id, location, lot, qty, updated_at'
rows="select row_to_json(t) from (select $columns from part_locations order by updated_at desc limit 1000) t"
psql='psql -XAtq -v ON_ERROR_STOP=1'
old="$psql -c '$rows'"
row='.state | {tag_id, order_id, location, lot, qty: .last.qty, updated_at}'
# What the store has, each row of it or some of them.
projected() { echo "bash -o pipefail -c 'evstore-project --list scan | jq -sc \"$1 | $row\"'"; }
new=$(projected '.[]')

# N scans, a second apart, the last one SECONDS ago (3600): events for the store, rows for the table.
scans() {
    local now
    now=$(($(date +%s) - ${2:-3600}))
    awk -v n="$1" -v now="$now" 'BEGIN {
        for (i = 1; i <= n; i++)
            printf "%d\tT%04d\tO%d\tSHELF-%02d\tLOT-%d\t%d.%d0\t%.0f\n", i, i, i % 7, i % 40, i % 90, i % 12, i % 10, now - n + i
    }' >scans
    scan_events <scans | evstore-append -q
    scan_rows <scans | pg 'COPY part_locations FROM STDIN'
}
scan_rows() { awk -F '\t' -v OFS='\t' '{ print $2, $3, $4, $5, $6, strftime("%Y-%m-%d %H:%M:%S+00", $7, 1) }'; }
scan_events() {
    awk -F '\t' '{
        printf "{\"event_id\":\"s-%s\",\"entity_type\":\"scan\",\"entity_id\":\"%s:%s\",\"event_type\":\"SCAN_RECORDED\",", $1 "-" $7, $2, $3
        printf "\"actor_id\":\"H1\",\"device_id\":\"H1\",\"ts_device\":%s000,\"payload\":{\"tag_id\":\"%s\",\"order_id\":\"%s\",", $7, $2, $3
        printf "\"location\":\"%s\",\"lot\":\"%s\",\"qty\":%s}}\n", $4, $5, $6
    }'
}

compare() { # [OPTIONS]: $old with $new, recorded
    run_split mirror-compare --key tag_id,order_id --ts updated_at --limit 1000 --status-dir status \
        --old-cmd "$old" --new-cmd "$new" "$@"
}
# The members of the summary that are not 0 or are named: "equal=50 missing=1".
counts() {
    local said
    said=$(tail -n 1 "$OUT" | jq -r '[to_entries[] | select(.key | IN("equal", "missing", "extra", "changed",
        "duplicate", "bad", "pending", "edge")) | select(.value != 0) | "\(.key)=\(.value)"] | join(" ")')
    [ "$said" = "$1" ] || show_run "wanted: $1, got: $said"
}
ledger() { [ "$(jq -r .result status/mirror_status.log | paste -sd ' ')" = "$1" ] || { cat status/mirror_status.log && false; }; }
why() { jq -r 'select(.result == "ERROR").why' status/mirror_status.log | tail -n 1; }
# Trouble, for a reason that is told here and in the ledger; never a difference, never OK.
trouble() { # TEXT
    [ "$status" -ge 2 ] || show_run 'wanted trouble' || return
    [[ $errout == *"$1"* ]] || show_run "wanted on stderr: $1" || return
    jq_true -s --arg why "$1" 'length == 1 and .[0].result == "ERROR" and (.[0].why | contains($why))' "$OUT" || return
    ledger ERROR
    [[ $(why) == *"$1"* ]]
}
diff_log() { jq -c 'del(.ts)' status/mirror_diff.log; }
sessions() { pg "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"; }
no_sessions() { [ "$(sessions)" -eq 0 ]; }

# --- equal, and not ---------------------------------------------------------------

@test "as the runbook has it: the projection as it stands, and only the named members" {
    scans 30
    new='evstore-project --list scan --state'
    compare --fields location,updated_at
    assert_status 0 '30 equal'
    pg "update part_locations set location = 'SHELF-99' where tag_id = 'T0007'"
    compare --fields location,updated_at
    assert_status 1 '29 equal, 1 changed'
}

@test "the same scans on both ends are equal" {
    scans 50
    compare
    assert_status 0
    counts equal=50
    ledger OK
    [ ! -s status/mirror_diff.log ]
}

@test "as the configuration says, every night" {
    scans 500
    jq -n --arg old "$old" --arg new "$new" --arg dir "$PWD/status" '{old_cmd: $old, new_cmd: $new, status_dir: $dir,
        fields: "location,lot,updated_at", ts_tol: "1s", lag: "5m", zone: "Asia/Tokyo"}' >conf/mirror-compare.json
    pg "UPDATE part_locations SET updated_at = updated_at + interval '0.9 s', qty = qty + 1"
    run_split mirror-compare
    assert_status 0
    counts equal=500
    pg "UPDATE part_locations SET location = 'GONE' WHERE tag_id = 'T0003'"
    run_split mirror-compare
    assert_status 1
    counts 'equal=499 changed=1'
    ledger 'OK NG'
    [ "$(<status/ok_counter)" = 0 ]
}

@test "a row that changed, one that is missing, one extra, one twice" {
    scans 50
    pg "UPDATE part_locations SET location = 'GONE' WHERE tag_id = 'T0003'"
    compare
    assert_status 1
    counts 'equal=49 changed=1'
    jq_true 'select(.class == "changed") | .key == {tag_id: "T0003", order_id: "O3"} and
        .fields == [{field: "location", old: "GONE", new: "SHELF-03"}]' "$OUT"
    pg "DELETE FROM part_locations WHERE tag_id = 'T0004'"
    compare
    assert_status 1
    counts 'equal=48 extra=1 changed=1'
    jq_true 'select(.class == "extra") | .key == {tag_id: "T0004", order_id: "O4"} and .new.location == "SHELF-04"' "$OUT"
    pg "INSERT INTO part_locations VALUES ('T9', 'O9', 'A', 'L', 1, now() - interval '2 hours')"
    compare
    assert_status 1
    counts 'equal=48 missing=1 extra=1 changed=1'
    jq_true 'select(.class == "missing") | .key == {tag_id: "T9", order_id: "O9"} and .old.lot == "L"' "$OUT"
    pg "INSERT INTO part_locations SELECT * FROM part_locations WHERE tag_id = 'T0005'"
    compare
    assert_status 1
    jq_true 'select(.class == "duplicate") | .key == {tag_id: "T0005", order_id: "O5"} and .side == "old" and
        (.lines | length == 2)' "$OUT"
    jq_true 'select(.class == null) | .missing == 1 and .extra == 1 and .changed == 1 and .duplicate == 1' "$OUT"
    ledger 'NG NG NG NG'
    [ "$(diff_log | jq -r .class | sort | uniq -c | xargs)" = '4 changed 1 duplicate 3 extra 2 missing' ]
}

@test "a scan in flight is pending, and no difference if it arrives" {
    scans 20
    pg "INSERT INTO part_locations VALUES ('T77', 'O0', 'SHELF-1', 'L', 1.5, to_timestamp($(date +%s) - 1))"
    compare --lag 600
    assert_status 0
    counts 'equal=20 pending=1'
    ledger OK
    [ ! -s status/mirror_diff.log ]
    at=$(pg "SELECT extract(epoch FROM updated_at)::bigint FROM part_locations WHERE tag_id = 'T77'")
    printf '77\tT77\tO0\tSHELF-1\tL\t1.5\t%s\n' "$at" | scan_events | evstore-append -q
    compare --lag 600
    assert_status 0
    counts equal=21
}

@test "a scan that is in flight for two runs is missing" {
    scans 20
    pg "INSERT INTO part_locations VALUES ('T77', 'O0', 'SHELF-1', 'L', 1.5, now())"
    compare --lag 600
    assert_status 0
    counts 'equal=20 pending=1'
    compare --lag 600
    assert_status 1
    counts 'equal=20 missing=1'
    ledger 'OK NG'
    jq_true '.class == "missing" and .key.tag_id == "T77"' status/mirror_diff.log
}

@test "two values of one moment are a difference, be they ever so new" {
    scans 20 0
    pg "UPDATE part_locations SET lot = 'other' WHERE tag_id = 'T0020'"
    compare --lag 600
    assert_status 1
    counts 'equal=19 changed=1'
}

@test "a part that moved is pending until the other side has moved too" {
    scans 20
    pg "UPDATE part_locations SET location = 'NEW', updated_at = date_trunc('second', now()) WHERE tag_id = 'T0007'"
    compare --lag 600
    assert_status 0
    counts 'equal=19 pending=1'
    compare --lag 600
    assert_status 1
    counts 'equal=19 changed=1'
    at=$(pg "SELECT extract(epoch FROM updated_at)::bigint FROM part_locations WHERE tag_id = 'T0007'")
    awk -F '\t' -v OFS='\t' -v at="$at" '$1 == 7 { $4 = "NEW"; $7 = at; print }' scans | scan_events | evstore-append -q
    compare --lag 600
    assert_status 0
    counts equal=20
}

@test "clocks that differ are a difference, but for --ts-tol" {
    scans 20
    pg "UPDATE part_locations SET updated_at = updated_at + interval '1.5 s'"
    compare
    assert_status 1
    counts changed=20
    jq_true -s 'map(select(.class == "changed").fields | length == 1 and .[0].field == "updated_at") | all' "$OUT"
    compare --ts-tol 1
    assert_status 1
    counts changed=20
    compare --ts-tol 2
    assert_status 0
    counts equal=20
}

@test "rows behind the window of 1,000 are no difference" {
    scans 1000
    # Five more parts, which only the new side has: what they push out of its window is nobody's loss.
    awk -v OFS='\t' -v now="$(date +%s)" 'BEGIN { for (i = 1; i <= 5; i++) print "x" i, "X" i, "O1", "A", "L", 1, now - 100 + i }' |
        tee more | scan_events | evstore-append -q
    new=$(projected 'sort_by(-.state.updated_at)[:1000][]')
    compare
    assert_status 1
    counts 'equal=995 extra=5 edge=5'
    compare --lag 600 --no-record
    assert_status 0
    counts 'equal=995 pending=5 edge=5'
    # The old side has them too: the same window.
    scan_rows <"more" | pg 'COPY part_locations FROM STDIN'
    compare
    assert_status 0
    counts equal=1000
    # All of the new side: what is older than the old side's window is edge.
    new=$(projected '.[]')
    compare
    assert_status 0
    counts 'equal=1000 edge=5'
}

@test "sides that gave more than 1,000 rows have no window: what was lost is missing" {
    scans 1200
    old="$psql -c 'select row_to_json(t) from (select $columns from part_locations) t'"
    compare
    assert_status 0
    counts equal=1200
    new=$(projected 'sort_by(.state.updated_at)[100:][]')
    compare
    assert_status 1
    counts 'equal=1100 missing=100'
}

@test "what handhelds post is what the old server has, but for its clock" {
    serve
    for n in {1..5}; do
        asks 200 POST /api/v1/scans -d '{"tag_id":"T'"$n"'","order_id":"O1","location":"棚-'"$n"'","lot":"L","qty":2.50}'
        pg "INSERT INTO part_locations VALUES ('T$n', 'O1', '棚-$n', 'L', 2.50, now())"
    done
    compare --ts-tol 60
    assert_status 0
    counts equal=5
    asks 200 POST /api/v1/scans -d '{"tag_id":"T3","order_id":"O1","location":"moved","lot":"L","qty":2.50}'
    compare --ts-tol 60
    assert_status 1
    counts 'equal=4 changed=1'
}

# --- values as PostgreSQL writes them -----------------------------------------------

@test "values in PostgreSQL's spelling are those values" {
    cat >values.sql <<'SQL'
SET TimeZone = 'Asia/Tokyo';
SELECT row_to_json(t) FROM (VALUES
    ('num', 3.10::numeric), ('int', 100), ('neg', -0.50), ('zero', 0.000),
    ('big', 9007199254740993), ('huge', 123456789012345678901234567890.5)) t(id, v);
SELECT row_to_json(t) FROM (SELECT 'double' AS id, 0.1::float8 + 0.2::float8 AS v) t;
SELECT row_to_json(t) FROM (SELECT 'exp' AS id, 1e300::float8 AS v) t;
SELECT row_to_json(t) FROM (SELECT 'bigint' AS id, 9223372036854775807::bigint AS v) t;
SELECT row_to_json(t) FROM (SELECT 'bool' AS id, true AS v) t;
SELECT row_to_json(t) FROM (SELECT 'text' AS id, E'é棚\t"\\\u0001/' AS v) t;
SELECT row_to_json(t) FROM (SELECT 'null' AS id, NULL AS v) t;
SELECT row_to_json(t) FROM (SELECT 'array' AS id, ARRAY[1, 2.50] AS v) t;
SELECT row_to_json(t) FROM (SELECT 'jsonb' AS id, '{"b": 1.0, "a": [true, null]}'::jsonb AS v) t;
SELECT row_to_json(t) FROM (SELECT 'at' AS id, 1 AS v, '2025-02-20 19:15:03.5+09'::timestamptz AS at) t;
SELECT row_to_json(t) FROM (SELECT 'text at' AS id, 1 AS v, '2025-02-20 10:15:03.123456+00'::timestamptz::text AS at) t;
SELECT row_to_json(t) FROM (SELECT 'epoch' AS id, 1 AS v, extract(epoch FROM '2025-02-20 10:15:03.25Z'::timestamptz) AS at) t;
SQL
    cat >values <<'END'
{"id":"num","v":3.1}
{"id":"int","v":1.00e2}
{"id":"neg","v":-5e-1}
{"id":"zero","v":-0}
{"id":"big","v":9007199254740993}
{"id":"huge","v":1234567890123456789012345678905e-1}
{"id":"double","v":0.30000000000000004}
{"id":"exp","v":1E+300}
{"id":"bigint","v":9223372036854775807.0}
{"id":"bool","v":true}
{"id":"text","v":"\u00e9\u68da\u0009\u0022\u005c\u0001\/"}
{"id":"null","v":null}
{"id":"array","v":[1.0,2.5]}
{"v":{"a":[true,null],"b":1},"id":"jsonb"}
{"at":"2025-02-20T10:15:03.500Z","id":"at","v":1}
{"at":1740046503123456,"id":"text at","v":1}
{"at":1740046503250,"id":"epoch","v":1}
END
    values() { run_split mirror-compare --key id --ts at --old-cmd "$psql -f values.sql" --new-cmd 'cat values' "$@"; }
    values
    assert_status 0
    counts equal=17
    # A neighbour of each is another value.
    sed -e '/"num"/s/3.1/3.11/' -e '/"big"/s/993/992/' -e '/"huge"/s/05e-1/04e-1/' -e '/"bigint"/s/807.0/806/' \
        -e '/"double"/s/0.3.*4/0.3/' -e '/"bool"/s/true/"true"/' -e '/"null"/s/,"v":null//' -e '/"zero"/s/-0/""/' \
        -e '/"text"/s/u0001/u0002/' -e '/"array"/s/1.0,2.5/2.5,1.0/' -e '/"at","v"/s/500Z/501Z/' \
        -e '/"text at"/s/123456/123457/' -e '/"epoch"/s/250/251/' -i values
    values
    assert_status 1
    counts 'equal=4 changed=13'
    # That is what differs, as each side wrote it.
    jq_true 'select(.key.id == "null") | .fields == [{field: "v", old: null}]' "$OUT"
    grep -F '"field":"v","old":9007199254740993,"new":9007199254740992' "$OUT"
    values --tol v=abs:1 --ts-tol 1
    assert_status 1
    counts 'equal=12 changed=5'
}

# --- in the order of the key ---------------------------------------------------------

@test "what PostgreSQL and SQLite put in order is in order for --sorted" {
    cat >texts <<'TEXTS'
(NULL, 'a'), ('', NULL), ('', ''), ('a', '1'), ('B', '1'), ('é', '1'), ('e', '1'), ('Z', '2'), ('a', '10'), ('a', '9'),
('￮', '1'), ('🔧', '1'), ('棚', '1'), ('a b', '1'), ('a', NULL), ('A', '1'), ('ab', '0'), (NULL, NULL), ('~', '1')
TEXTS
    printf '%b' "$(<texts)" >values
    pg "DROP TABLE IF EXISTS texts; CREATE TABLE texts (tag_id text, order_id text); INSERT INTO texts VALUES $(<values)"
    sqlite3 texts.db "CREATE TABLE texts (tag_id TEXT, order_id TEXT); INSERT INTO texts VALUES $(<values)"
    ordered() { # COLLATION
        old="$psql -c 'select row_to_json(t) from (select * from texts order by tag_id collate \"$1\" nulls first,
            order_id collate \"$1\" nulls first) t'"
        new="sqlite3 texts.db \"select json_object('tag_id', tag_id, 'order_id', order_id) from texts order by tag_id, order_id\""
        run_split mirror-compare --sorted --old-cmd "$old" --new-cmd "$new"
    }
    ordered C
    assert_status 0
    counts equal=19
    ordered en-x-icu
    assert_status 65 'is out of order'
}

# --- trouble -------------------------------------------------------------------------

@test "a backend that ends half way is trouble, though what came is equal" {
    scans 900
    # 1,000 rows, of which psql prints those of whole fetches: all that the new side has.
    pg "INSERT INTO part_locations SELECT 'U' || i, 'O', 'A', 'L', 1, now() - interval '2 hours' FROM generate_series(1, 100) i"
    cat >dies.sql <<'SQL'
select row_to_json(t) from (select *, case when tag_id = 'U50' then pg_terminate_backend(pg_backend_pid()) end as x
    from part_locations order by updated_at desc) t;
SQL
    for fetch in 100 0; do
        rm -rf status && mkdir status
        old="$psql -v FETCH_COUNT=$fetch -f dies.sql"
        compare --ignore x
        trouble 'terminating connection due to administrator command'
    done
}

@test "a psql that is killed is trouble" {
    scans 10
    old="$psql -c '$rows'; kill -9 \$\$"
    compare
    trouble 'signal 9'
}

@test "a wrong password, a table that is not there, a server that is not, no psql" {
    scans 10
    sure() { # COMMAND TEXT
        rm -rf status && mkdir status
        old=$1
        compare
        trouble "$2"
    }
    sure "PGPASSWORD=wrong $psql -h 127.0.0.1 -c '$rows'" 'password authentication failed for user "keeper"'
    sure "$psql -c 'select row_to_json(t) from part_places t'" 'relation "part_places" does not exist'
    sure "PGHOST=$PWD $psql -c '$rows'" 'connection to server'
    sure "no-such-$psql -c '$rows'" 'exit status 127'
    # And with the right password, over the same way.
    rm -rf status && mkdir status
    old="PGPASSWORD=rescue $psql -h 127.0.0.1 -c '$rows'"
    compare
    assert_status 0
    ledger OK
}

@test "the new side's failure is trouble too: no store, a projection that is stale" {
    scans 10
    LIFEBOAT_DB=nowhere.db compare
    trouble 'nowhere.db: no such store'
    rm -rf status && mkdir status projectors
    compare
    assert_status 0
    rm -rf status && mkdir status
    echo 'error("out of order")' >projectors/scan.jq
    LIFEBOAT_PROJECTORS=$PWD/projectors compare
    trouble 'projection of scan failed'
}

@test "an empty side is trouble, be the other empty too or not" {
    scans 10
    pg 'DELETE FROM part_locations'
    compare
    trouble 'the old side: an empty result'
    rm -rf status && mkdir status
    new=:
    compare
    trouble empty
}

# Somebody has the table until the descriptor $lock is closed.
lock_table() {
    mkfifo locked
    background locker bash -c 'exec psql -Xq <locked'
    exec {lock}>locked
    printf 'BEGIN; LOCK part_locations;\n\\! echo locked\n' >&"$lock"
    wait_until 10 grep -q locked locker.out
}
waiting() { [ "$(pg "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")" -eq "$1" ]; }

@test "a psql that hangs is ended, and leaves nobody behind" {
    scans 10
    lock_table
    compare --timeout 1
    trouble 'took longer than 1 s'
    # The server notices that its client has gone when it has the lock.
    exec {lock}>&-
    wait_until 10 no_sessions
}

@test "a run that is ended ends its psql, and records nothing" {
    scans 10
    lock_table
    background comparing mirror-compare --key tag_id,order_id --ts updated_at --status-dir status --old-cmd "$old" --new-cmd "$new"
    wait_until 10 waiting 1
    kill "$pid"
    rc=0
    wait "$pid" || rc=$?
    [ "$rc" -eq 143 ]
    [ -z "$(grep -lzsxF "STARTED_BY=$BATS_TEST_TMPDIR" /proc/[0-9]*/environ | xargs -r grep -lzsx -- "$old")" ]
    exec {lock}>&-
    wait_until 10 no_sessions
    [ ! -s status/mirror_status.log ]
}
