# lifeboat-hub: sites push to a real PostgreSQL and have their events back from it.
load helper
load postgres

setup_file() { postgres_start; }
teardown_file() { postgres_end; }

setup() {
    private_store
    export LIFEBOAT_HUB="postgresql:///postgres?host=$PGHOST&port=$PGPORT&user=keeper"
    pg 'SET client_min_messages = warning; DROP TABLE IF EXISTS lifeboat_hub, lifeboat_events, lifeboat_conflicts, lifeboat_cursors, lifeboat_sites, lifeboat_staging'
    lifeboat-hub init -q
}

as() { echo "postgresql:///postgres?host=$PGHOST&port=$PGPORT&user=$1"; } # ROLE
proof() { evstore-export --digest "$@"; }
events_there() { pg "SELECT count(*) FROM lifeboat_events WHERE site_id = '${1:-main}'"; }
# A stand-in NAME, in front of the real one, that does this.
stand_in() {
    mkdir -p stand-ins
    printf '#!/usr/bin/env bash\nreal=%q\n%s\n' "$(type -P "$1")" "$2" >"stand-ins/$1"
    chmod +x "stand-ins/$1"
    PATH=$PWD/stand-ins:$PATH
}

@test "what is pushed comes back into a blank store, whatever it is, and the digest is the same" {
    "$build/tools/genevents" 3000 | evstore-restore -q
    run_split lifeboat-hub push --part 700
    assert_status 0 'main: 3000 events sent, 3000 new to the hub, 0 in conflict'
    [ "$(events_there)" -eq 3000 ]
    lifeboat-hub pull -q | evstore-restore -q --require-seal -d new.db
    [ "$(proof -d new.db)" = "$(proof)" ]
    # The lines are those that the site has, to the byte.
    lifeboat-hub pull -q >pulled
    diff <(head -n -1 pulled) <(evstore-export --full)
    # The extract, where it can be read, is what the line says.
    pg "SELECT event_id || '|' || entity_id || '|' || ts_device || '|' || hlc FROM lifeboat_events
        WHERE line !~ '\\\\u' ORDER BY hlc, event_id" >extract
    head -n -1 pulled | grep -v '\\u' | jq -r '"\(.event_id)|\(.entity_id)|\(.ts_device)|\(.hlc)"' | diff extract -
    [ "$(wc -l <extract)" -gt 500 ]
}

@test "a push sends what is new, and nothing twice" {
    mkevents 50 | evstore-restore -q
    lifeboat-hub push -q
    run_split lifeboat-hub push
    assert_status 0 'main: 0 events sent'
    mkevents 10 late | evstore-restore -q
    run_split lifeboat-hub push
    assert_status 0 'main: 10 events sent, 10 new to the hub'
    run_split lifeboat-hub push --from-start
    assert_status 0 'main: 60 events sent, 0 new to the hub, 0 in conflict'
    [ "$(events_there)" -eq 60 ]
}

@test "each push is noted: when, what came of it, and when one went well" {
    mkevents 5 | evstore-restore -q
    LIFEBOAT_NOW=1795378000000 lifeboat-hub push -q
    jq_true '. == {ts: 1795378000000, ok: true, status: 0, sent: 5, new: 5, conflicts: 0, last_ok: 1795378000000}' status/hub.json
    LIFEBOAT_NOW=1795378096000 run_split lifeboat-hub push --hub postgresql://127.0.0.1:1/x
    assert_status 69
    jq_true '. == {ts: 1795378096000, ok: false, status: 69, sent: 0, new: 0, conflicts: 0, last_ok: 1795378000000}' status/hub.json
    lifeboat-metrics | grep -x 'lifeboat_hub_ok 0'
    # Nothing else is a push.
    rm status/hub.json
    lifeboat-hub status >/dev/null
    lifeboat-hub pull -q >/dev/null
    [ ! -e status/hub.json ]
}

@test "a copy that was re-spelled is no conflict; another value is, is kept, told each time, and can be had" {
    echo '{"event_id":"e1","entity_type":"a","entity_id":"1","actor_id":"q","ts_device":1,"event_type":"T","payload":{"n":1.0}}' | evstore-restore -q
    lifeboat-hub push -q
    echo '{"payload":{"n":1},"event_id":"e1","entity_type":"a","entity_id":"1","actor_id":"q","ts_device":1,"event_type":"T"}' | evstore-restore -q -d two.db
    run_split lifeboat-hub push --from-start -d two.db
    assert_status 0 '0 new to the hub, 0 in conflict'
    echo '{"event_id":"e1","entity_type":"a","entity_id":"1","actor_id":"q","ts_device":1,"event_type":"T","payload":{"n":2}}' | evstore-restore -q -d three.db
    evstore-export --copy -d three.db | cut -f 1 >digest
    for _ in 1 2; do
        run_split lifeboat-hub push --from-start -d three.db
        assert_status 1 "event e1: the hub has other content under its id (there "
        assert_status 1 "here $(cat digest))"
        assert_status 1 '0 new to the hub, 1 in conflict'
    done
    lifeboat-hub pull -q | grep -F '"payload":{"n":1.0}'
    [ "$(lifeboat-hub pull -q --conflicts | evstore-restore -q --require-seal -d variants.db; evstore-export -d variants.db | jq -c .payload)" = '{"n":2}' ]
    lifeboat-hub status --json | jq_true '.[0] | .events == 1 and .conflicts == 1'
}

@test "a store that was replaced, and one that was rolled back: 76, and what to do" {
    mkevents 30 | evstore-restore -q
    lifeboat-hub push -q
    mkevents 5 other | evstore-restore -q -d new.db
    run_split lifeboat-hub push -d new.db
    assert_status 76 'was the box replaced? Bring back what it lacks: lifeboat-hub pull | evstore-restore --require-seal; then: lifeboat-hub push --from-start'
    lifeboat-hub pull -q | evstore-restore -q --require-seal -d new.db
    lifeboat-hub push -q --from-start -d new.db
    [ "$(events_there)" -eq 35 ]
    # From now on by itself.
    mkevents 5 more | evstore-restore -q -d new.db
    run_split lifeboat-hub push -d new.db
    assert_status 0 '5 events sent, 5 new'
    # An old copy of the file is put back.
    sqlite3 new.db '.backup old.db'
    mkevents 5 lost | evstore-restore -q -d new.db
    lifeboat-hub push -q -d new.db
    run_split lifeboat-hub push -d old.db
    assert_status 76 'this store was rolled back to an older copy'
    [ "$(events_there)" -eq 45 ]
    lifeboat-hub pull -q | evstore-restore -q --require-seal -d old.db
    run_split lifeboat-hub push --from-start -d old.db
    assert_status 0
    [[ $(proof -d old.db) == 'lifeboat1 45 '* ]]
}

@test "a part that was cut stores nothing, and moves nothing" {
    mkevents 100 | evstore-restore -q
    for how in 'head -n 50' 'head -n 100' 'sed 7d' 'sed 7p' "sed '\$p'"; do
        stand_in evstore-export 'case " $* " in *" --copy "*) "$real" "$@" | '"$how"';; *) exec "$real" "$@";; esac'
        run_split lifeboat-hub push
        [ "$status" -eq 74 ] || [[ $errout == *'the hub refused: 23505'* ]] || show_run "$how"
        [ "$(pg 'SELECT count(*) FROM lifeboat_events')" -eq 0 ]
        [ "$(pg 'SELECT count(*) FROM lifeboat_cursors')" -eq 0 ]
        rm -r stand-ins
        PATH=${PATH#*/stand-ins:}
    done
    # One whose export fails is not sent at all.
    stand_in evstore-export 'case " $* " in *" --copy "*) "$real" "$@" | head -n 50; exit 74;; *) exec "$real" "$@";; esac'
    run_split lifeboat-hub push
    assert_status 74
    [ "$(pg 'SELECT count(*) FROM lifeboat_events')" -eq 0 ]
}

@test "two pushes of a store at once: one waits, is told to try again, and nothing is double" {
    mkevents 40 | evstore-restore -q
    # The first one's cursor is locked by somebody else; both have read it before.
    lifeboat-hub push -q
    mkevents 40 more | evstore-restore -q
    background lock psql -Xqc "BEGIN; SELECT 1 FROM lifeboat_cursors FOR UPDATE; SELECT pg_sleep(60)"
    locker=$pid
    held() { [ "$(pg "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)' AND pid <> pg_backend_pid()")" -eq 1 ]; }
    wait_until 10 held
    background one lifeboat-hub push
    one=$pid
    background two lifeboat-hub push
    two=$pid
    both_wait() { [ "$(pg "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lifeboat-hub' AND wait_event_type = 'Lock'")" -eq 2 ]; }
    wait_until 20 both_wait
    pg "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)' AND pid <> pg_backend_pid()" >/dev/null
    wait "$locker" || :
    a=0 b=0
    wait "$one" || a=$?
    wait "$two" || b=$?
    [ "$((a + b))" -eq 75 ] || { cat one.err two.err >&2 && false; }
    cat one.err two.err | grep -q 'main: another push of this store is at work: try again later'
    [ "$(events_there)" -eq 80 ]
    run_split lifeboat-hub push
    assert_status 0 'main: 0 events sent'
}

@test "while the hub merges one part it has the next one already; the counts are of all parts" {
    mkevents 95 | evstore-restore -q
    background lock psql -Xqc "BEGIN; LOCK TABLE lifeboat_events IN SHARE MODE; SELECT pg_sleep(60)"
    held() { [ "$(pg "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)' AND pid <> pg_backend_pid()")" -eq 1 ]; }
    wait_until 10 held
    background push lifeboat-hub push --part 10
    pushing=$pid
    # One waits to merge, the other, its rows staged, for its turn.
    both_wait() { [ "$(pg "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lifeboat-hub' AND wait_event_type = 'Lock'")" -eq 2 ]; }
    wait_until 20 both_wait
    pg "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)' AND pid <> pg_backend_pid()" >/dev/null
    wait "$pushing"
    grep -qx 'lifeboat-hub: main: 95 events sent, 95 new to the hub, 0 in conflict' push.err
    [ "$(events_there)" -eq 95 ]
    [ "$(pg 'SELECT sent FROM lifeboat_cursors')" -eq 95 ]
}

@test "a part that fails ends the push: those before it are there, of those behind it nothing, said once" {
    mkevents 60 | evstore-restore -q
    pg "CREATE FUNCTION pg_temp_refuse() RETURNS trigger LANGUAGE plpgsql AS
        \$\$ BEGIN IF NEW.event_id = '$(evstore-export --after start | sed -n 35p | jq -r .event_id)' THEN RAISE 'not this one'; END IF; RETURN NEW; END \$\$;
        CREATE TRIGGER refuse BEFORE INSERT ON lifeboat_events FOR EACH ROW EXECUTE FUNCTION pg_temp_refuse()"
    run_split lifeboat-hub push --part 10
    assert_status 76 'the hub refused: P0001: not this one'
    [ "$(grep -c . <<<"$errout")" -eq 1 ]
    [ "$(events_there)" -eq 30 ]
    [ "$(pg 'SELECT sent FROM lifeboat_cursors')" -eq 30 ]
    pg 'DROP TRIGGER refuse ON lifeboat_events; DROP FUNCTION pg_temp_refuse'
    run_split lifeboat-hub push --part 10
    assert_status 0 'main: 30 events sent, 30 new to the hub'
}

@test "a part that cannot be read ends the push with what is wrong; those before it are there" {
    mkevents 60 | evstore-restore -q
    stand_in evstore-export 'case " $* " in *" --copy "*) n=$(($(cat n 2>/dev/null || echo 0) + 1)); echo $n >n
        [ $n -ne 4 ] || { echo "evstore-export: lifeboat.db: disk I/O error" >&2; exit 74; };; esac
        exec "$real" "$@"'
    run_split lifeboat-hub push --part 10
    assert_status 74 'disk I/O error'
    [ "$(events_there)" -eq 30 ]
    run_split lifeboat-hub push --part 10
    assert_status 0 'main: 30 events sent, 30 new to the hub'
}

@test "a pull that is cut, by either end, has no seal, and a blank store stays blank" {
    mkevents 3000 | evstore-restore -q
    lifeboat-hub push -q
    # The server ends the session half way: the reader takes nothing until then.
    mkfifo slow
    background pull sh -c 'exec lifeboat-hub pull >slow'
    exec {reader}<slow
    busy() { [ "$(pg "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lifeboat-hub' AND query LIKE 'COPY%'")" -eq 1 ]; }
    wait_until 10 busy
    pg "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lifeboat-hub'" >/dev/null
    cat <&"$reader" >'cut'
    exec {reader}<&-
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 69 ]
    grep -q 'the hub went away' pull.err
    [ "$(grep -c lifeboat_end cut)" -eq 0 ]
    run_split evstore-restore -q --require-seal -d new.db cut
    assert_status 65
    [ ! -e new.db ]
    # The reader leaves; a disk is full.
    run_split bash -c 'lifeboat-hub pull | head -n 1; exit "${PIPESTATUS[0]}"'
    assert_status 141
    run_split bash -c 'lifeboat-hub pull >/dev/full'
    assert_status 74 'this is no whole copy'
}

@test "each site its own rows: under row-level security a role neither sees nor adds another's, nor ends it" {
    lifeboat-hub init -q --rls --role north=N --role south=S --auditor inspector
    for s in N S; do
        mkevents 20 "$s" | LIFEBOAT_SITE=$s evstore-restore -q -d "$s.db"
    done
    LIFEBOAT_SITE=N LIFEBOAT_HUB=$(as north) lifeboat-hub push -q -d N.db
    LIFEBOAT_SITE=S LIFEBOAT_HUB=$(as south) lifeboat-hub push -q -d S.db
    # Under another's name.
    mkevents 5 bad | LIFEBOAT_SITE=N evstore-restore -q -d bad.db
    LIFEBOAT_SITE=N LIFEBOAT_HUB=$(as south) run_split lifeboat-hub push -d bad.db
    assert_status 77 'row-level security'
    [ "$(events_there N)" -eq 20 ]
    # Another's are not there.
    LIFEBOAT_SITE=N LIFEBOAT_HUB=$(as south) run_split lifeboat-hub pull
    assert_status 66 'N: the hub has nothing of this site'
    [ -z "$out" ]
    for t in lifeboat_events lifeboat_cursors lifeboat_sites lifeboat_conflicts; do
        [ "$(PGUSER=south pg "SELECT count(*) FROM $t WHERE site_id <> 'S'")" -eq 0 ]
    done
    [ "$(PGUSER=south pg 'SELECT count(*) FROM lifeboat_events')" -eq 20 ]
    [ "$(PGUSER=south pg "UPDATE lifeboat_cursors SET cursor = 'x' WHERE site_id = 'N' RETURNING 1" | wc -l)" -eq 0 ]
    for sql in 'ALTER TABLE lifeboat_events DISABLE ROW LEVEL SECURITY' 'DROP POLICY lifeboat_own ON lifeboat_events' \
        'DELETE FROM lifeboat_events' "UPDATE lifeboat_events SET line = 'x'" 'TRUNCATE lifeboat_events' 'DROP TABLE lifeboat_events' \
        "INSERT INTO lifeboat_sites VALUES ('south', 'N')" "UPDATE lifeboat_sites SET site_id = 'N'" \
        "INSERT INTO lifeboat_cursors (site_id, store_id, cursor) VALUES ('N', 'x', 'start')" \
        "UPDATE lifeboat_cursors SET site_id = 'N'" 'SET ROLE keeper' 'SET ROLE north' 'SET SESSION AUTHORIZATION north' \
        "INSERT INTO lifeboat_conflicts (site_id, event_id, digest, hlc, line, store_id) VALUES ('N', 'a', 'b', 'c', '{}', 'd')" \
        'GRANT lifeboat_auditor TO south' 'ALTER ROLE south BYPASSRLS' 'CREATE POLICY mine ON lifeboat_events USING (true)'; do
        run_split env PGUSER=south psql -XAtqv ON_ERROR_STOP=1 -c "$sql"
        [ "$status" -ne 0 ] || show_run "$sql"
    done
    # Who is set to be the group is nobody's site.
    [ "$(PGUSER=south pg 'SET ROLE lifeboat_site; SELECT count(*) FROM lifeboat_events')" -eq 0 ]
    # Auditors read all, and that is all.
    [ "$(PGUSER=inspector pg 'SELECT count(*) FROM lifeboat_events')" -eq 40 ]
    [ "$(PGUSER=inspector pg 'SELECT count(*) FROM lifeboat_cursors')" -eq 2 ]
    LIFEBOAT_HUB=$(as inspector) lifeboat-hub status --json | jq_true 'map(.events) == [20, 20]'
    LIFEBOAT_SITE=N LIFEBOAT_HUB=$(as inspector) run_split lifeboat-hub push --from-start -d bad.db
    assert_status 77
    # A site that comes back as itself.
    LIFEBOAT_SITE=N LIFEBOAT_HUB=$(as north) lifeboat-hub pull -q | evstore-restore -q --require-seal -d back.db
    [ "$(proof -d back.db)" = "$(proof -d N.db)" ]
    # Nobody who is above it becomes a site.
    run_split lifeboat-hub init --rls --role keeper=N
    assert_status 78 'keeper: a superuser, or above row-level security'
    pg 'CREATE ROLE helper LOGIN IN ROLE keeper'
    run_split lifeboat-hub init --rls --role helper=N
    assert_status 78 'helper: a superuser, or above row-level security'
    pg 'CREATE ROLE dba LOGIN CREATEROLE; GRANT CREATE ON SCHEMA public TO dba'
    pg 'ALTER TABLE lifeboat_events OWNER TO dba'
    run_split lifeboat-hub init --rls --role dba=N
    assert_status 78 'dba: a superuser, or above row-level security'
}

@test "a role is of a site or an auditor, never both; made so again it is told nothing" {
    mkevents 3 | LIFEBOAT_SITE=N evstore-restore -q
    LIFEBOAT_SITE=N lifeboat-hub push -q
    lifeboat-hub init -q --rls --auditor changing
    [ "$(PGUSER=changing pg 'SELECT count(*) FROM lifeboat_events')" -eq 3 ]
    run_split lifeboat-hub init -q --rls --role changing=S
    assert_status 0
    [ "$(PGUSER=changing pg 'SELECT count(*) FROM lifeboat_events')" -eq 0 ]
    run_split lifeboat-hub init -q --rls --role changing=S
    assert_status 0
    [ -z "$errout" ]
    lifeboat-hub init -q --rls --auditor changing
    [ "$(PGUSER=changing pg 'SELECT count(*) FROM lifeboat_events')" -eq 3 ]
    [ "$(pg "SELECT count(*) FROM lifeboat_sites WHERE role = 'changing'")" -eq 0 ]
    LIFEBOAT_SITE=S LIFEBOAT_HUB=$(as changing) run_split lifeboat-hub push
    assert_status 77
    run_split lifeboat-hub init --rls --auditor changing=S
    assert_status 64 'wants ROLE'
}

@test "a hub whose dialect has no temporary tables and no quotes: the same results" {
    "$build/tools/genevents" 500 | evstore-restore -q
    pg "UPDATE lifeboat_hub SET dialect = 'cockroachdb'"
    lifeboat-hub init -q
    lifeboat-hub push -q --part 200
    [ "$(pg 'SELECT count(*) FROM lifeboat_staging')" -eq 0 ]
    lifeboat-hub pull -q | evstore-restore -q --require-seal -d new.db
    [ "$(proof -d new.db)" = "$(proof)" ]
}

@test "status: what each site has, how far this one is behind, for people and for programs" {
    mkevents 12 | evstore-restore -q
    lifeboat-hub push -q
    mkevents 3 more | evstore-restore -q
    lifeboat-hub status --json | jq_true 'length == 1 and (.[0] | .site_id == "main" and .events == 12 and .behind == 3
        and (.store_id as $s | .cursor | startswith($s)) and (now * 1000 - .pushed_at | fabs < 3e5))'
    run_split lifeboat-hub status
    assert_status 0
    grep -qE '^main +12 +0 +3 +[0-9T:-]+Z +[0-9a-f]{16}$' "$OUT"
    # Where there is no store.
    run_split lifeboat-hub status -d none.db
    assert_status 0
    grep -qE '^main +12 +0 +- ' "$OUT"
}

@test "a hub that is not reached, lets nobody in, has no tables, goes away, only reads" {
    mkevents 5 | evstore-restore -q
    try() { # STATUS TEXT HUB
        LIFEBOAT_HUB=$3 run_split lifeboat-hub push
        assert_status "$1" "$2"
    }
    try 69 'the hub is not reached' postgresql://127.0.0.1:1/x
    try 77 'the hub does not let us in' "postgresql://keeper@127.0.0.1:$PGPORT/postgres"
    echo "127.0.0.1:$PGPORT:*:keeper:wrong-one" >pass && chmod 600 pass
    PGPASSFILE=$PWD/pass try 77 'password authentication failed' "postgresql://keeper@127.0.0.1:$PGPORT/postgres"
    [[ $errout != *wrong-one* ]]
    echo "127.0.0.1:$PGPORT:*:keeper:rescue" >pass
    PGPASSFILE=$PWD/pass try 0 '' "postgresql://keeper@127.0.0.1:$PGPORT/postgres"
    try 78 'has not these tables' "$(as keeper | sed s/postgres?/template1?/)"
    try 78 'definition of service "nowhere" not found' nowhere
    try 78 'not set' ''
    try 78 'there is a password in it' 'postgresql://me:secret@127.0.0.1/x'
    [[ $errout != *secret* ]]
    try 78 'there is a password in it' 'postgresql://127.0.0.1/x?user=me&password=secret'
    try 78 'neither the name of a service' 'host=a password=secret'
    printf '[clinic]\nhost=%s\nport=%s\nuser=keeper\ndbname=postgres\n' "$PGHOST" "$PGPORT" >services
    PGSERVICEFILE=$PWD/services try 0 '' clinic
    # From the settings file.
    printf 'LIFEBOAT_HUB="clinic"\n' >"$LIFEBOAT_ENV"
    (unset LIFEBOAT_HUB && PGSERVICEFILE=$PWD/services lifeboat-hub push -q)
    pg 'ALTER ROLE keeper SET default_transaction_read_only = on'
    try 69 'a standby that only reads' "$(as keeper)"
    PGOPTIONS='-c default_transaction_read_only=off' pg 'ALTER ROLE keeper RESET default_transaction_read_only'
    try 0 '' "$(as keeper)"
    pg 'UPDATE lifeboat_hub SET version = 2'
    try 78 'version 2' "$(as keeper)"
    for wrong in '' pish 'push x' 'push --rls' 'pull --part 3' 'push --part 0' 'init --role a=b' 'init --rls --role a' 'push --what'; do
        # shellcheck disable=SC2086
        run_split lifeboat-hub $wrong
        assert_status 64
    done
}

@test "evstore-export --copy: rows as COPY reads them, and with what it does not go" {
    printf '%s\n' '{"event_id":"e1","entity_type":"a","entity_id":"x\ty\\z","actor_id":"q\ud800w","ts_device":1700000000000,"event_type":"T","payload":["\n\\"]}' |
        evstore-restore -q
    run_split evstore-export --copy --seal
    assert_status 0
    [ "$(head -n 1 "$OUT" | cut -f 2-8)" = $'e1\tmain\ta\tx\\ty\\\\z\t\\N\tq\uFFFDw\t\\N' ]
    [ "$(head -n 1 "$OUT" | cut -f 18 | sed 's/\\\\/\\/g')" = "$(evstore-export)" ]
    [ "$(tail -n 1 "$OUT" | cut -f 1-17 | tr -d '\t')" = "$(printf '\\N%.0s' {1..17})" ]
    tail -n 1 "$OUT" | cut -f 18 | jq_true --arg sum "$(head -n 1 "$OUT" | sha256sum | cut -d ' ' -f 1)" '.lifeboat_end | .count == 1 and .sha256 == $sum'
    for o in --document --follow --digest --conflicts; do
        run_split evstore-export --copy "$o"
        assert_status 64
    done
}
