#!/usr/bin/env bats
# evstore-export: the store as lines, whole, in part, proved, or as it grows.
# valgrind: canonical order|filters|sealed export counts|document has|digest is of the values

load helper

now=3000000000000

setup() {
    private_store
    export LIFEBOAT_NOW=$now LIFEBOAT_DEVICE=box
}

# there ID [MS [MEMBERS]]: an event that happened elsewhere.
there() {
    printf '{"event_id":"%s","entity_type":"case","entity_id":"1","actor_id":"n","ts_device":%s,"event_type":"T","payload":{}%s}\n' \
        "$1" "${2-$now}" "${3-}"
}

put() { "$@" | evstore-append -q; }

ids() { jq -r '.event_id // empty' "${1-$OUT}" | tr '\n' ' '; }

# same_as JQ [OPTION...]: the last run printed, of all events, those that JQ selects, in order.
same_as() {
    evstore-export "${@:2}" | jq -c "select($1) | .event_id" >want
    jq -c .event_id "$OUT" | cmp want - || show_run "wanted the events that $1"
    [ -s want ]
}

store_id() { sqlite3 "$LIFEBOAT_DB" "select value from meta where key = 'store_id'"; }

cursor_at() {
    printf '%s:%s:%s' "$(store_id)" "$1" \
        "$(sqlite3 "$LIFEBOAT_DB" "select lower(substr(hex(digest),1,8)) from events where seq = $1")"
}

# ends_with STATUS: the process in $pid, within 10 seconds.
ended() { ! kill -0 "$pid" 2>/dev/null; }
ends_with() {
    wait_until 10 ended || return
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq "$1" ] || {
        echo "ended with $status, not $1" >&2
        return 1
    }
}

# --- order and form ----------------------------------------------------------

@test "canonical order: by hlc, then by event_id" {
    put there b 20
    put there c 10
    put there a 20
    put there d 5 ',"hlc":"00000000000a.0001"'
    put there B 20
    run_split evstore-export
    assert_status 0
    [ "$(ids)" = 'c d B a b ' ]
    [ -z "$errout" ]
    run_split evstore-export --order seq
    [ "$(ids)" = 'b c a d B ' ]
    run_split evstore-export --order hlc --after start --limit 3
    [ "$(ids)" = 'c a b ' ]
}

@test "members stand in canonical order, absent ones are left out" {
    printf '%s\n' '{"zz":1,"payload":[],"causation_id":"k","é":2,"correlation_id":"c","schema_version":"2","event_type":"T","hlc":"000000000005.0000","ts_device":5,"device_id":"d","actor_role":"r","actor_name":"n","actor_id":"a","entity_version":3,"entity_id":"i","entity_type":"t","site_id":"s","event_id":"e","A":0,"ts_server":77}' |
        evstore-append -q
    run_split evstore-export
    assert_out '{"event_id":"e","site_id":"s","entity_type":"t","entity_id":"i","entity_version":3,"actor_id":"a","actor_name":"n","actor_role":"r","device_id":"d","ts_device":5,"hlc":"000000000005.0000","event_type":"T","schema_version":"2","correlation_id":"c","causation_id":"k","payload":[],"A":0,"zz":1,"é":2}'
    run_split evstore-export --full
    [[ $out == *',"é":2,"ts_server":77,"synced":0,"acknowledged":0,"created_at":"'????-??-??' '??:??:??'","seq":1}' ]]
    put there f
    run_split evstore-export --entity case/1
    [ "$(jq -c keys_unsorted "$OUT")" = '["event_id","site_id","entity_type","entity_id","actor_id","ts_device","hlc","event_type","schema_version","payload"]' ]
}

@test "an empty store exports nothing, and proves it" {
    evstore-append </dev/null 2>/dev/null
    run_split evstore-export
    assert_status 0
    assert_out ''
    run_split evstore-export --digest
    assert_out 'lifeboat1 0 00000000000000000000000000000000'
}

@test "no store: 66, and none is made" {
    run_split evstore-export
    assert_status 66 "$LIFEBOAT_DB"
    [ ! -e "$LIFEBOAT_DB" ]
    : >empty.db
    run_split evstore-export -d empty.db
    assert_status 66 empty.db
    sqlite3 other.db 'create table t(x)'
    run_split evstore-export -d other.db
    assert_status 65 other.db
}

@test "usage: what is wrong is said, with 64" {
    put there e1
    local -a wrong=(--nonsense operand '--order up' '--entity case' '--entity /1' '--entity case/'
        '--limit -1' '--limit x' '--since-ts yesterday' '--until-ts 1.5' '--seal --document'
        '--seal --follow' '--seal --digest' '--document --follow' '--follow --limit 5' '--follow --up-to start'
        '--follow --order hlc' '--conflicts --full' '--conflicts --type T' '--conflicts --digest'
        '--progress loud')
    for w in "${wrong[@]}"; do
        # shellcheck disable=SC2086
        run_split evstore-export $w
        assert_status 64 'evstore-export'
        assert_out ''
    done
    run_split evstore-export --help
    assert_status 0
    [[ $out == 'usage: evstore-export '* ]]
}

# --- filters -----------------------------------------------------------------

@test "filters: entity type, entity, type, actor, correlation" {
    put mkevents 120
    run_split evstore-export --entity-type chart
    same_as '.entity_type == "chart"'
    run_split evstore-export --entity case/E-3
    same_as '.entity_type == "case" and .entity_id == "E-3"'
    run_split evstore-export --type VITALS_ADDED
    same_as '.event_type == "VITALS_ADDED"'
    run_split evstore-export --actor nurse-2
    same_as '.actor_id == "nurse-2"'
    run_split evstore-export --correlation c-3
    same_as '.correlation_id == "c-3"'
    run_split evstore-export --entity-type case --actor nurse-1 --order seq
    same_as '.entity_type == "case" and .actor_id == "nurse-1"' --order seq
    run_split evstore-export --entity-type nothing
    assert_status 0
    assert_out ''
}

@test "filters are not patterns and not SQL" {
    put there e1
    for x in '%' "' or 1=1 --" 'cas_' 'CASE'; do
        run_split evstore-export --entity-type "$x"
        assert_status 0
        assert_out ''
    done
    put there e2 5 ',"correlation_id":"a/b '"'"'c"'
    run_split evstore-export --correlation "a/b 'c"
    [ "$(ids)" = 'e2 ' ]
}

@test "filters: since is later than, until not later than, in ms or as a date" {
    for t in 1000 1001 1002 1003; do put there "e$t" $t; done
    run_split evstore-export --since-ts 1001
    [ "$(ids)" = 'e1002 e1003 ' ]
    run_split evstore-export --until-ts 1001
    [ "$(ids)" = 'e1000 e1001 ' ]
    run_split evstore-export --since-ts 1000 --until-ts 1970-01-01T00:00:01.002Z
    [ "$(ids)" = 'e1001 e1002 ' ]
    run_split evstore-export --since-ts 1970-01-01T01:00:01.001+01:00
    [ "$(ids)" = 'e1002 e1003 ' ]
    run_split evstore-export --since-ts -1
    [ "$(ids | wc -w)" -eq 4 ]
}

@test "filters: --unsynced leaves out what is marked" {
    put mkevents 4
    sqlite3 "$LIFEBOAT_DB" "update events set synced = 1 where event_id in ('evt_0000002', 'evt_0000003')"
    run_split evstore-export --unsynced
    [ "$(ids)" = 'evt_0000001 evt_0000004 ' ]
    run_split evstore-export --full
    [ "$(jq -c .synced "$OUT" | tr '\n' ' ')" = '0 1 1 0 ' ]
}

@test "--limit takes the first in commit order" {
    put there late 9
    put there early 1
    put there later 10
    run_split evstore-export --limit 2
    [ "$(ids)" = 'late early ' ]
    run_split evstore-export --limit 2 --order hlc
    [ "$(ids)" = 'early late ' ]
    run_split evstore-export --limit 0
    assert_status 0
    assert_out ''
    run_split evstore-export --limit 99
    [ "$(ids)" = 'late early later ' ]
}

# --- the proof ---------------------------------------------------------------

@test "the digest is of the values, whatever the order and spelling" {
    mkevents 300 >in
    evstore-append -q in
    run_split evstore-export --digest
    assert_status 0
    [[ $out =~ ^lifeboat1\ 300\ [0-9a-f]{32}$ ]]
    digest=$out
    evstore-export >lines
    shuf --random-source=<(yes) lines | evstore-append -q -d shuffled.db
    { cat lines; tac in; cat lines; } | evstore-append -q -d twice.db
    jq -c '{payload, x: null} + . | del(.x)' lines | evstore-append -q -d jq.db
    jq -acS . lines | evstore-append -q -d ascii.db
    for d in shuffled twice jq ascii; do
        run_split evstore-export -d "$d.db" --digest
        assert_out "$digest"
    done
    # Where nobody spelt anything anew the bytes agree too.
    for d in shuffled twice; do evstore-export -d "$d.db" | cmp lines -; done
    # jq wrote 60.50 as 60.5: the same value in other bytes.
    evstore-export -d jq.db >lines_jq
    run cmp -s lines lines_jq
    [ "$status" -eq 1 ]
}

@test "the digest changes with any event and any value" {
    put mkevents 20
    run_split evstore-export --digest
    all=$out
    run_split evstore-export --digest --entity-type case
    [ "$out" != "$all" ]
    [[ $out == 'lifeboat1 10 '* ]]
    evstore-export | sed 's/"hr":60/"hr":61/; t; s/"n":7,/"n":8,/' | evstore-append -q -d other.db
    run_split evstore-export -d other.db --digest
    [[ $out == 'lifeboat1 20 '* ]]
    [ "$out" != "$all" ]
}

@test "values that a middleman changed come up as conflicts, and are kept" {
    there e1 5 ',"n":9007199254740993,"m":1.0' | evstore-append -q
    there e2 6 ',"n":1' | evstore-append -q
    evstore-export >lines
    # As JSON.parse and JSON.stringify would.
    sed 's/9007199254740993/9007199254740992/; s/"m":1\.0/"m":1/' lines >stringified
    evstore-export --digest >before
    status=0
    evstore-append -q stringified 2>/dev/null || status=$?
    [ "$status" -eq 1 ]
    evstore-export --digest | cmp before -
    [ "$(evstore-export --conflicts | jq -r .event_id)" = e1 ]
    evstore-export --conflicts | grep -q 9007199254740992
}

@test "the digest of a known event never changes" {
    printf '%s\n' '{"event_id":"e1","site_id":"s","ts_device":1768000000000,"hlc":"019ba5000000.0000","schema_version":"1.0","entity_type":"a","entity_id":"1","event_type":"T","actor_id":"m","payload":{"a":1,"b":"é"},"x":[1]}' | evstore-append -q
    run_split evstore-export --digest
    assert_out 'lifeboat1 1 94a27d65c5f7d4edace40296562bd038'
}

@test "--conflicts prints the variants, which are events" {
    for i in 3 1 2; do there e1 "$i"; done | evstore-append -q 2>/dev/null || :
    there e0 7 | evstore-append -q
    there e0 8 | evstore-append -q 2>/dev/null || :
    run_split evstore-export --conflicts
    assert_status 0
    [ "$(ids)" = 'e0 e1 e1 ' ]
    [ "$(jq .ts_device "$OUT" | tr '\n' ' ')" = '8 1 2 ' ]
    cp "$OUT" lines
    evstore-append -q -d other.db < <(sed 1,2d lines)
    evstore-export -d other.db | cmp - <(sed 1,2d lines)
    run_split evstore-export --conflicts --seal
    [ "$(tail -n 1 "$OUT" | jq .lifeboat_end.count)" -eq 3 ]
    [ "$(tail -n 1 "$OUT" | jq -r .lifeboat_end.sha256)" = "$(sha256sum <lines | cut -d ' ' -f 1)" ]
}

# --- seal and cursors --------------------------------------------------------

@test "a sealed export counts, hashes and says from where to where" {
    put mkevents 30
    evstore-export >lines
    run_split evstore-export --seal
    assert_status 0
    head -n 30 "$OUT" | cmp lines -
    [ "$(tail -n 1 "$OUT")" = '{"lifeboat_end":{"count":30,"sha256":"'"$(sha256sum <lines | cut -d ' ' -f 1)"'","from":"start","to":"'"$(cursor_at 30)"'"}}' ]
    run_split evstore-export --seal --full --after "$(cursor_at 10)" --limit 5
    [ "$(tail -n 1 "$OUT" | jq -c '.lifeboat_end | [.count, .from, .to]')" = '[5,"'"$(cursor_at 10)"'","'"$(cursor_at 15)"'"]' ]
    [ "$(head -n -1 "$OUT" | sha256sum | cut -d ' ' -f 1)" = "$(tail -n 1 "$OUT" | jq -r .lifeboat_end.sha256)" ]
}

@test "an empty sealed export is sealed too" {
    evstore-append </dev/null 2>/dev/null
    run_split evstore-export --seal
    assert_out '{"lifeboat_end":{"count":0,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","from":"start","to":"'"$(store_id)"':0:00000000"}}'
}

@test "--order newest goes backwards through the commits; a document says whether there is more" {
    put there late 9
    put there early 1
    put there later 10
    run_split evstore-export --order newest
    [ "$(ids)" = 'later early late ' ]
    run_split evstore-export --order newest --limit 2
    [ "$(ids)" = 'later early ' ]
    for n in 0 1 2 3 4; do
        run_split evstore-export --order newest --limit "$n" --document
        jq_true --argjson n "$n" --arg to "$(cursor_at 3)" \
            '.events_count == ([$n, 3] | min) and .has_more == ($n < 3) and .next_cursor == $to' "$OUT"
    done
    for w in '--after start' --seal --follow; do
        # shellcheck disable=SC2086
        run_split evstore-export --order newest $w
        assert_status 64
    done
}

@test "chains of --limit and --after give the whole, whatever comes in between" {
    put mkevents 50
    cursor=start
    : >chain
    for i in $(seq 40); do
        evstore-export --seal --after "$cursor" --limit 7 >part
        head -n -1 part >>chain
        cursor=$(tail -n 1 part | jq -r .lifeboat_end.to)
        [ "$i" -ne 3 ] || put mkevents 20 more
        [ "$(wc -l <part)" -gt 1 ] || break
    done
    [ "$i" -eq 11 ]
    evstore-export --order seq | cmp chain -
    sort chain | cmp - <(evstore-export | sort)
    [ "$cursor" = "$(cursor_at 70)" ]
}

@test "a chain with a filter skips nothing and does not look twice" {
    put mkevents 40
    cursor=start
    : >chain
    for _ in 1 2 3 4 5; do
        evstore-export --entity-type case --seal --after "$cursor" --limit 4 >part
        head -n -1 part >>chain
        cursor=$(tail -n 1 part | jq -r .lifeboat_end.to)
    done
    [ "$(wc -l <chain)" -eq 20 ]
    evstore-export --entity-type case --order seq | cmp chain -
    # Event 40 is of another type: the cursor is behind it all the same.
    [ "$cursor" = "$(cursor_at 40)" ]
}

@test "incremental reading goes by commit order: a late arrival is not missed" {
    put there new 5000
    cursor=$(evstore-export --seal | tail -n 1 | jq -r .lifeboat_end.to)
    put there late 1000
    run_split evstore-export --after "$cursor"
    [ "$(ids)" = 'late ' ]
}

@test "a cursor of another store is 76 and says so" {
    put there e1
    evstore-append -q -d other.db < <(there e1)
    run_split evstore-export -d other.db --after "$(cursor_at 1)"
    assert_status 76 'of another store'
    assert_out ''
    run_split evstore-export -d other.db --follow --after "$(cursor_at 1)"
    assert_status 76
}

@test "--up-to ends at a cursor: the store as it was then" {
    put mkevents 20
    before=$(evstore-export --digest)
    end=$(cursor_at 20)
    evstore-export --full >lines
    put mkevents 10 later
    run_split evstore-export --digest --up-to "$end"
    assert_out "$before"
    evstore-export --full --up-to "$end" | cmp lines -
    run_split evstore-export --after "$(cursor_at 5)" --up-to "$end" --seal
    [ "$(tail -n 1 "$OUT" | jq -c '.lifeboat_end | [.count, .to]')" = '[15,"'"$end"'"]' ]
    run_split evstore-export --up-to "$end" --limit 7 --document
    jq_true --arg to "$(cursor_at 7)" '.events_count == 7 and .has_more and .next_cursor == $to' "$OUT"
    run_split evstore-export --after "$(cursor_at 13)" --up-to "$end" --limit 7 --document
    jq_true --arg to "$end" '.events_count == 7 and (.has_more | not) and .next_cursor == $to' "$OUT"
    run_split evstore-export --up-to "$end" --order newest --limit 1
    [ "$(ids)" = "$(tail -n 1 <(evstore-export --order seq --up-to "$end") | jq -r .event_id) " ]
    run_split evstore-export --up-to "$(store_id):0:00000000"
    assert_out ''
    run_split evstore-export --up-to start --digest
    assert_out "lifeboat1 0 $(printf '%032d' 0)"
    run_split evstore-export --after "$end" --up-to "$(cursor_at 5)"
    assert_status 64 'is before'
    evstore-append -q -d other.db < <(there e1)
    run_split evstore-export -d other.db --up-to "$end"
    assert_status 76 'of another store'
}

@test "a store rolled back to an older copy is 76 and says so" {
    put mkevents 10
    sqlite3 "$LIFEBOAT_DB" '.backup old.db'
    put mkevents 20
    cursor=$(cursor_at 20)
    rm "$LIFEBOAT_DB"*
    cp old.db "$LIFEBOAT_DB"
    run_split evstore-export --after "$cursor"
    assert_status 76 'rolled back'
    assert_out ''
    # Written anew up to the same seq, it is another event.
    put mkevents 30 other
    run_split evstore-export --after "$cursor"
    assert_status 76 'event 20 is another one here'
    # A cursor of what the copy has still fits.
    run_split evstore-export --after "$(cursor_at 10)"
    assert_status 0
    [ "$(wc -l <"$OUT")" -eq 30 ]
}

@test "what is no cursor is 64" {
    put there e1
    good=$(cursor_at 1)
    for c in '' x 0 "${good%?}" "${good}0" "${good/:1:/::}" "${good/:1:/:-1:}" "$(store_id)" START; do
        run_split evstore-export --after "$c"
        assert_status 64
        assert_out ''
    done
    run_split evstore-export --after "$good"
    assert_status 0
}

# --- the document ------------------------------------------------------------

@test "the document has the API's members and every event in full" {
    export LIFEBOAT_SITE='a "site"'
    put mkevents 7
    run_split evstore-export --document
    assert_status 0
    jq_true --arg c "$(cursor_at 7)" '
        (.export_id | test("^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")) and
        .exported_at == 3000000000000 and .site_id == "a \"site\"" and .device_id == "box" and
        .events_count == 7 and (.events | length) == 7 and .has_more == false and
        .next_cursor == $c' "$OUT"
    jq -c '.events[]' "$OUT" | cmp - <(evstore-export --full | jq -c .)
    [ "$(jq -s length "$OUT")" -eq 1 ]
}

@test "an empty document is one too" {
    evstore-append </dev/null 2>/dev/null
    run_split evstore-export --document
    jq_true '.events == [] and .events_count == 0 and .has_more == false and (.next_cursor | endswith(":0:00000000"))' "$OUT"
}

@test "documents in pages: has_more and next_cursor" {
    put mkevents 10
    cursor=start
    : >chain
    for page in 1 2 3 4; do
        run_split evstore-export --document --after "$cursor" --limit 3
        jq -r '.events[].event_id' "$OUT" >>chain
        cursor=$(jq -r .next_cursor "$OUT")
        [ "$(jq .has_more "$OUT")" = "$([ $page -lt 4 ] && echo true || echo false)" ]
    done
    evstore-export --order seq | jq -r .event_id | cmp chain -
    run_split evstore-export --document --limit 10
    [ "$(jq .has_more "$OUT")" = false ]
    run_split evstore-export --document --limit 0
    jq_true '.has_more == true and .events_count == 0' "$OUT"
    # More, but not of this type.
    run_split evstore-export --document --limit 5 --entity-type case
    [ "$(jq .has_more "$OUT")" = false ]
}

# --- following ---------------------------------------------------------------

lines_are() { [ "$(grep -c event_id follow.out)" -eq "$1" ]; }

@test "--follow: what is there, then what comes, each with its cursor" {
    put mkevents 3
    background follow evstore-export --follow
    wait_until 10 lines_are 3
    put there e4
    wait_until 10 lines_are 4
    wait_until 10 grep -qF "{\"lifeboat_cursor\":\"$(cursor_at 4)\"}" follow.out
    grep -v lifeboat_cursor follow.out | cmp - <(evstore-export --order seq)
    # Sleeping costs nothing: no busy polling.
    read -ra before <"/proc/$pid/stat"
    sleep 0.5
    read -ra after <"/proc/$pid/stat"
    [ $((after[13] + after[14] - before[13] - before[14])) -le 2 ]
}

@test "--follow: an event is there within 50 ms of its commit" {
    [ -z "$checker" ] || skip "too slow under a checker"
    put there e0
    background follow evstore-export --follow
    wait_until 10 lines_are 1
    best=1000
    for i in 1 2 3 4 5 6 7 8 9; do
        there "e$i" | evstore-append -q
        began=$(date +%s%N)
        until grep -q "\"e$i\"" follow.out; do :; done
        ms=$((($(date +%s%N) - began) / 1000000))
        [ "$ms" -ge "$best" ] || best=$ms
    done
    [ "$best" -lt 50 ]
}

@test "--follow: a writer that stays open is seen at each commit" {
    put there e0
    mkfifo pipe
    background follow evstore-export --follow
    wait_until 10 lines_are 1
    background append evstore-append -q pipe
    exec 9>pipe
    for i in 1 2 3; do
        there "e$i" >&9
        wait_until 10 lines_are $((i + 1))
    done
    exec 9>&-
}

@test "--follow goes on by cursor: killed and resumed, nothing is lost or twice" {
    put mkevents 20
    cursor=start
    : >got
    for i in 1 2 3 4 5; do
        background follow evstore-export --follow --after "$cursor"
        put mkevents 30 "r$i"
        wait_until 10 grep -q 'lifeboat_cursor' follow.out
        kill -9 "$pid"
        wait "$pid" 2>/dev/null || :
        # What stands before the last whole cursor line was received.
        awk '/^\{"lifeboat_cursor":.*\}$/ { printf "%s", held; held = ""; next } { held = held $0 "\n" }' \
            follow.out >>got
        cursor=$(grep -o '^{"lifeboat_cursor":"[^"]*"}$' follow.out | tail -n 1 | jq -r .lifeboat_cursor)
    done
    evstore-export --after "$cursor" >>got
    evstore-export --order seq | cmp - got
}

@test "--follow with a filter and --full prints only those" {
    put mkevents 4
    background follow evstore-export --follow --entity-type case --full
    wait_until 10 lines_are 2
    put mkevents 6
    wait_until 10 lines_are 3
    [ "$(grep event_id follow.out | jq -c '[.entity_type, .seq]' | tr '\n' ' ')" = '["case",1] ["case",3] ["case",5] ' ]
}

@test "--follow: a store replaced under it is 76 and said" {
    put there e1
    background follow evstore-export --follow
    wait_until 10 lines_are 1
    evstore-append -q -d other.db < <(there x1)
    mv other.db "$LIFEBOAT_DB"
    ends_with 76
    grep -q 'replaced or removed while it was followed' follow.err
}

@test "--follow: a store removed under it is 76" {
    put there e1
    background follow evstore-export --follow
    wait_until 10 lines_are 1
    rm "$LIFEBOAT_DB"
    ends_with 76
}

@test "--follow: a store rolled back in its place is 76" {
    put mkevents 5
    sqlite3 "$LIFEBOAT_DB" '.backup old.db'
    put mkevents 9
    background follow evstore-export --follow
    wait_until 10 lines_are 9
    sqlite3 "$LIFEBOAT_DB" '.restore old.db'
    touch "$LIFEBOAT_DB-gate"
    ends_with 76
    grep -q 'rolled back' follow.err
}

@test "--follow: TERM is 143, after whole lines" {
    put there e1
    background follow evstore-export --follow
    wait_until 10 lines_are 1
    kill -TERM "$pid"
    ends_with 143
    [ "$(tail -n 1 follow.out)" = "{\"lifeboat_cursor\":\"$(cursor_at 1)\"}" ]
}

@test "--follow: a reader that leaves ends it, though nothing happens" {
    put there e1
    mkfifo pipe
    background follow bash -c 'evstore-export --follow >pipe; exit $?'
    head -n 1 pipe >seen
    ends_with 141
    grep -q '"e1"' seen
    [ ! -s follow.err ]
}

@test "--follow does not hold writers up while its reader sleeps" {
    put mkevents 3000
    mkfifo pipe
    background follow bash -c 'evstore-export --follow >pipe'
    exec 8<pipe
    read -r _ <&8
    LIFEBOAT_WAIT=2 run_split evstore-append -q < <(mkevents 3000 more)
    assert_status 0
    [ "$(sqlite3 "$LIFEBOAT_DB" 'pragma wal_checkpoint(truncate)')" = '0|0|0' ]
    exec 8<&-
}

# --- a failing stdout --------------------------------------------------------

@test "a full stdout is 74, in every form" {
    put mkevents 5
    for form in '' --seal --digest --document --conflicts '--after start' --follow --help --version; do
        [ "$form" != --conflicts ] || evstore-append -q < <(mkevents 5 | sed 's/"n"/"m"/') 2>/dev/null || :
        status=0
        # shellcheck disable=SC2086
        timeout 10 evstore-export $form >/dev/full 2>"$ERR" || status=$?
        [ "$status" -eq 74 ] || { echo "$form: $status"; false; }
        grep -q 'unable to write to standard output: No space left' "$ERR"
    done
}

@test "a reader that leaves early: SIGPIPE, and not a word" {
    put mkevents 5000
    for form in '' --document --seal; do
        { status=0; evstore-export $form 2>"$ERR" || status=$?; echo $status >status; } | head -n 1 >seen
        [ "$(cat status)" -eq 141 ]
        [ ! -s "$ERR" ]
        [ -s seen ]
    done
}

@test "an export is one view: what comes meanwhile is not in it" {
    put mkevents 5000
    mkfifo pipe
    background export bash -c 'evstore-export --seal >pipe'
    exec 8<pipe
    read -r _ <&8
    put mkevents 100 more
    # The cursor must not claim what was not printed.
    [ "$(tail -n 1 <&8 | jq -c '.lifeboat_end | [.count, .to]')" = "[5000,\"$(cursor_at 5000)\"]" ]
    exec 8<&-
}

@test "reading needs no gate" {
    put there e1
    background holder bash -c 'exec 9>>"$0" && flock 9 && exec sleep 60' "$LIFEBOAT_DB-gate"
    # shellcheck disable=SC2016
    wait_until 5 bash -c '! flock -n "$LIFEBOAT_DB-gate" true'
    LIFEBOAT_WAIT=0 run_split evstore-export
    assert_status 0
    [ "$(ids)" = 'e1 ' ]
}

# Two events with payloads that are handed out in pieces, among small ones.
put_long() {
    mkevents 3 >lines
    for id in long1 long2; do
        printf '{"event_id":"%s","entity_type":"scan","entity_id":"S","actor_id":"a","event_type":"T",' "$id"
        printf '"hlc":"019bf7920a0%s.0000","ts_device":1768000000000,"payload":"' "${id#long}"
        head -c "${1-4000000}" /dev/zero | tr '\0' "${id#long}"
        printf 'end\\n","zz":"%s"}\n' "$id"
    done >>lines
    mkevents 3 more >>lines
    evstore-append <lines >stored
}

@test "long payloads are whole in every form" {
    put_long
    evstore-export --order seq | cmp - stored
    sort stored >sorted
    evstore-export | sort | cmp - sorted
    evstore-export --limit 4 --order hlc | sort | cmp - <(head -n 4 stored | sort)
    evstore-export --entity-type scan --order seq | cmp - <(grep '"scan"' stored)
    evstore-export --full --seal >sealed
    evstore-verify -q sealed
    evstore-restore -q --require-seal -d other.db sealed
    [ "$(evstore-export -d other.db --digest)" = "$(evstore-export --digest)" ]
    evstore-export --document >document
    jq_true '(.events | length) == 8 and ([.events[] | select(.entity_type == "scan") |
        .payload | (length == 4000004) and endswith("end\n")] == [true, true])' document
    evstore-export --order seq --follow --after start >followed &
    pid=$!
    wait_until 20 eval '[ "$(grep -vc lifeboat_cursor followed)" -eq 8 ]'
    kill $pid
    grep -v lifeboat_cursor followed | cmp - stored
}

@test "a payload of 16 MB does not take as much memory to be exported" {
    [ -z "$checker" ] || skip "a checker has its own memory"
    put_long 16000000
    (
        ulimit -v 24000
        evstore-export --order seq | cmp - stored
        evstore-export --document >document
        evstore-export --full --seal >sealed
    )
    evstore-verify -q sealed
    tail -c 100 document | grep -q '"events_count":8'
}
