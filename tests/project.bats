# evstore-project: events folded into the current state of each entity.
#
# PROJECT_SEEDS  how many random histories (4)      PROJECT_BIG  100,000 events, not 5,000
#
# valgrind: RFC 7396|a purge is final|goes on from
# shellcheck disable=SC2030,SC2031 # each test is its own shell
# shellcheck disable=SC2016 # what is $x in jq stays $x
load helper

setup() {
    private_store
    mkdir projectors jq-in-front
    export LIFEBOAT_PROJECTORS=$BATS_TEST_TMPDIR/projectors
    JQ=$(command -v jq)
    export JQ JQ_RUNS=$BATS_TEST_TMPDIR/jq-runs
    : >"$JQ_RUNS"
    # A jq that notes each run, can be held up by a fifo and can show its input.
    cat >jq-in-front/jq <<'END'
#!/bin/sh
echo "$$" >>"$JQ_RUNS"
[ -z "${JQ_HOLD-}" ] || read -r _ <"$JQ_HOLD"
[ -z "${JQ_INPUT-}" ] || { tee "$JQ_INPUT" | "$JQ" "$@"; exit; }
exec "$JQ" "$@"
END
    chmod +x jq-in-front/jq
}

teardown() {
    stop_background
    [ ! -d "$BATS_TEST_TMPDIR/disk" ] || ! mountpoint -q "$BATS_TEST_TMPDIR/disk" ||
        umount "$BATS_TEST_TMPDIR/disk"
}

with_counted_jq() { PATH=$BATS_TEST_TMPDIR/jq-in-front:$PATH "$@"; }
jq_runs() { wc -l <"$JQ_RUNS"; }
jq_has_run() { [ "$(jq_runs)" -ge "$1" ]; }

# event ID TYPE/ENTITY MS [PAYLOAD [EVENT_TYPE]]
event() {
    printf '{"event_id":"%s","entity_type":"%s","entity_id":"%s","actor_id":"u","event_type":"%s",' \
        "$1" "${2%/*}" "${2##*/}" "${5:-CHANGED}"
    printf '"ts_device":%s,"payload":%s}\n' $((1768000000000 + $3)) "${4:-{\}}"
}
put() { event "$@" | evstore-append -q; }
rows() { evstore-project -q "$@" 2>rows.err; }

# state TYPE/ID: its state, as written
state() { rows --get "$1" | sed 's/.*"state"://; s/}$//'; }

# Everything there is, purged entities aside.
everything() {
    local t
    for t in "$@"; do rows --list "$t" --deleted || return; done
    rows --trash
}

# Order tells: a sum that is doubled by every event, the last five, the last payload.
ordered='(. // {n: 0, sum: 0, ids: []}) | .n += 1 | .sum = (.sum * 2 + ($event.payload | objects.v // 1)) % 65521
    | .ids = (.ids + [$event.event_id])[-5:] | .last = $event.payload | .type = $event.event_type'

# --- the default fold -------------------------------------------------------

@test "events fold in (hlc, event_id) order, whatever order they arrive in" {
    local first='' order
    for order in 'a b c d' 'd c b a' 'c a d b' 'b d a c'; do
        rm -f lifeboat.db*
        for id in $order; do
            case $id in
            a) put a case/1 10 '{"x":1,"by":{"a":1}}' ;;
            b) put b case/1 20 '{"x":2,"y":2,"by":{"b":1}}' ;;
            c) put c case/1 20 '{"x":3,"by":{"a":null}}' ;; # a tie: the id decides
            d) put d case/1 30 '{"y":null,"z":[1,null]}' ;;
            esac
        done
        run_split evstore-project --get case/1
        assert_status 0
        [ -n "$first" ] || first=$out
        assert_out "$first"
    done
    [ "$first" = '{"entity_type":"case","entity_id":"1","version":4,"deleted":0,"first_event_id":"a","last_event_id":"d","hlc":"019ba503101e.0000","state":{"x":3,"by":{"b":1},"z":[1,null]}}' ]
}

@test "RFC 7396: payloads merge, null removes, what is no object becomes value" {
    put a case/1 1 '{"n":1.50,"big":12345678901234567890123,"o":{"p":1,"q":{"r":2}}}'
    put b case/1 2 '{"o":{"p":null,"q":{"s":null,"t":1E2}},"\u00e9":"\u00e9"}'
    put c case/1 3 '[1,null]'
    put d case/2 4 '"text"'
    put e case/2 5 'null'
    [ "$(state case/1)" = '{"n":1.50,"big":12345678901234567890123,"o":{"q":{"r":2,"t":1E2}},"é":"\u00e9","value":[1,null]}' ]
    [ "$(state case/2)" = '{}' ]
}

@test "an event that arrives late is folded where it belongs, not at the end" {
    put a case/1 10 '{"x":1}'
    put c case/1 30 '{"x":3}'
    [ "$(state case/1)" = '{"x":3}' ]
    put b case/1 20 '{"x":2,"only":"b"}'
    [ "$(state case/1)" = '{"x":3,"only":"b"}' ]
    rows --get case/1 >late
    jq_true '.version == 3 and .first_event_id == "a" and .last_event_id == "c"' late
    put 0 case/1 5 '{"first":true}'
    rows --get case/1 | jq_true '.version == 4 and .first_event_id == "0" and .state.x == 3'
}

@test "a payload with very many members is folded in a moment" {
    jq -cn '[range(200000) | {key: "name-\(.)", value: .}] | from_entries' |
        evstore-append -q --type SET --entity case/1 --actor u -
    put later case/1 999999999999 '{"name-7":null,"name-199999":"x"}'
    run_split timeout 20 evstore-project --get case/1
    assert_status 0
    jq_true '.state | length == 199999 and .["name-199999"] == "x"' "$OUT"
}

# history SEED: some 150 events of 3 types, a third of them late, trash among them.
history_of() {
    awk -v seed="$1" 'function below(n) { r = (r * 16807) % 2147483647; return int(r / 7) % n }
    function value() { return values[1 + below(8)] }
    BEGIN {
        r = seed * 7919 + 1
        split("null 1 2.50 \"s\" [1,{}] true -0 \"é\"", values, " ")
        for (i = 0; i < 20; i++) below(2)
        split("plain other tally", types, " ")
        split("NODE_SOFT_DELETED NODE_RESTORED node.trashed node.restored node.purged " \
              "NODE_PERMANENTLY_DELETED", trash, " ")
        for (i = 1; i <= 150; i++) {
            type = "CHANGED"
            k = below(100)
            if (k < 20) type = trash[1 + below(4)]
            else if (k < 21) type = trash[5 + below(2)]
            ms = 10 * i - (below(3) ? 0 : below(900))
            printf "{\"event_id\":\"e%d-%03d\",\"entity_type\":\"%s\",\"entity_id\":\"%d\",", seed, i,
                types[1 + below(3)], below(4)
            printf "\"actor_id\":\"u\",\"event_type\":\"%s\",\"ts_device\":%.0f,", type, 1768000000000 + ms
            if (below(12) == 0) printf "\"payload\":%s}\n", value()
            else printf "\"payload\":{\"v\":%d,\"%s\":%s,\"o\":{\"%s\":%s}}}\n", below(99),
                substr("abc", 1 + below(3), 1), value(), substr("abc", 1 + below(3), 1), value()
        }
    }'
}

@test "random histories: catching up now and then gives what a rebuild gives, byte for byte" {
    local seed line n
    printf '%s\n' "$ordered" >projectors/tally.jq
    for ((seed = 1; seed <= ${PROJECT_SEEDS:-4}; seed++)); do
        echo "seed $seed" >&2
        RANDOM=$seed
        history_of "$seed" >history
        rm -f lifeboat.db* whole.db*
        : >part
        while read -r line; do
            printf '%s\n' "$line" >>part
            if ((RANDOM % 20 == 0)); then
                evstore-append -q part
                : >part
                n=$((RANDOM % 4))
                [ $n -eq 0 ] || evstore-project -q
                [ $n -ne 2 ] || rows --list tally >/dev/null # one type alone runs ahead
            fi
        done <history
        evstore-append -q part
        everything plain other tally >caught-up
        evstore-project -q --rebuild
        everything plain other tally >rebuilt
        cmp caught-up rebuilt
        sort -t: -k3 -r history | evstore-append -q -d whole.db
        LIFEBOAT_DB=whole.db everything plain other tally >whole
        cmp caught-up whole
        [ "$(wc -l <whole)" -ge 9 ]
    done
}

# --- trash --------------------------------------------------------------------

@test "trash: each of the six events does its work, for any type, and merges nothing" {
    printf '%s\n' "$ordered" >projectors/tally.jq
    for type in case tally; do
        put "$type-1" "$type/x" 1 '{"v":1}'
        before=$(state "$type/x")
        n=1
        for pair in NODE_SOFT_DELETED/NODE_RESTORED node.trashed/node.restored; do
            put "$type-$((++n))" "$type/x" $n '{"v":9}' "${pair%/*}"
            [ -z "$(rows --list $type)" ]
            rows --list $type --deleted | jq_true '.deleted == 1'
            rows --get $type/x | jq_true '.deleted == 1'
            [ "$(rows --trash)" = "$(rows --get $type/x)" ]
            [ "$(rows --trash $type)" = "$(rows --get $type/x)" ]
            [ -z "$(rows --trash elsewhere)" ]
            put "$type-$((++n))" "$type/x" $n '{"v":9}' "${pair#*/}"
            rows --list $type | jq_true '.deleted == 0'
            [ -z "$(rows --trash)" ]
            [ "$(state $type/x)" = "$before" ]
        done
        rows --get $type/x | jq_true '.version == 5'
        for purge in NODE_PERMANENTLY_DELETED node.purged; do
            put "$type-$purge" "$type/$purge" 1 '{"v":1}'
            put "$type-$purge-2" "$type/$purge" 2 '{}' $purge
            run_split evstore-project --get $type/$purge
            assert_status 1 "$type/$purge: no such entity"
            assert_out ''
        done
        [ "$(rows --list $type --deleted)" = "$(rows --get $type/x)" ]
    done
}

@test "trash: a purge is final, whatever comes later; the history stays" {
    put a case/1 10 '{"x":1}'
    put b case/1 20 '{}' node.purged
    run_split evstore-project --get case/1
    assert_status 1
    put c case/1 30 '{"x":3}'
    put d case/1 40 '{}' node.restored
    put e case/1 5 '{"x":0}' # late, before the purge
    run_split evstore-project --get case/1
    assert_status 1 'case/1: no such entity'
    [ -z "$(rows --list case --deleted)" ]
    [ -z "$(rows --trash)" ]
    evstore-project -q --rebuild
    run_split evstore-project --get case/1
    assert_status 1
    [ "$(evstore-export --entity case/1 | wc -l)" -eq 5 ]
}

@test "trash: a deletion that arrives after its restoration is folded before it" {
    put a case/1 10 '{"x":1}'
    put c case/1 30 '{}' node.restored
    put b case/1 20 '{}' node.trashed
    rows --get case/1 | jq_true '.deleted == 0 and .version == 3'
}

# --- asking -------------------------------------------------------------------

@test "an entity or type that nobody knows: get says 1, list says nothing" {
    put a case/1 1 '{"x":1}'
    run_split evstore-project --get case/2
    assert_status 1 'evstore-project: case/2: no such entity'
    run_split evstore-project --get chart/1
    assert_status 1
    run_split evstore-project --list chart
    assert_status 0
    assert_out ''
    run_split evstore-project --get case
    assert_status 64 'wants TYPE/ID'
    run_split evstore-project --deleted
    assert_status 64
}

@test "the states alone, as they were folded" {
    put a case/1 1 '{"n":10000000000000000000001,"s":"{\"state\":1}"}'
    put b case/2 2
    put c case/3 3 '{"x":1}'
    put d case/3 4 '{}' node.trashed
    for what in '--list case' '--list case --deleted' '--trash' '--get case/1'; do
        # shellcheck disable=SC2086
        rows $what | sed 's/.*,"state":\({.*\)}$/\1/' >want
        # shellcheck disable=SC2086
        rows $what --state | cmp - want
        [ -s want ]
    done
    [ "$(rows --list case --state | sed -n 1p)" = '{"n":10000000000000000000001,"s":"{\"state\":1}"}' ]
    for what in '' --rebuild --status; do
        # shellcheck disable=SC2086
        run_split evstore-project $what --state
        assert_status 64 '--state goes with'
    done
}

@test "a rebuild knows a state that was patched from one that is a patch of no members" {
    event e1 t/a 1768000000001 '{"gone":null,"n":3}' | evstore-append -q
    event e2 t/a 1768000000002 '{}' | evstore-append -q
    event e3 t/b 1768000000003 '{}' | evstore-append -q
    event e4 t/b 1768000000004 '{}' | evstore-append -q
    evstore-project -q --rebuild
    [ "$(evstore-project --get t/a | jq -c .state)" = '{"n":3}' ]
    [ "$(evstore-project --get t/b | jq -c .state)" = '{}' ]
    [ "$(evstore-verify | jq -r .verdict)" = ok ]
}

@test "a projection names its last event, however long that one's id is" {
    i=0
    for n in 1 36 40 41 128 60 40; do
        id=$((++i))$(printf '%0127d' 0)
        event "${id:0:n}" t/e $((1768000000000 + i)) | evstore-append -q
        evstore-project -q --rebuild
        [ "$(evstore-project --get t/e | jq -r .last_event_id)" = "${id:0:n}" ]
    done
    [ "$(evstore-verify | jq -r .verdict)" = ok ]
}

@test "an entity id may have slashes" {
    put a 'case/x' 1 '{"x":1}'
    event b 'case/y' 2 '{"y":1}' | sed 's|"y","actor|"a/b/c","actor|' | evstore-append -q
    [ "$(state case/a/b/c)" = '{"y":1}' ]
}

@test "reading catches up first, and only what is asked for" {
    put a case/1 1 '{"x":1}'
    put b chart/1 1 '{"x":1}'
    run_split evstore-project --list case
    assert_status 0
    [ "$(wc -l <"$OUT")" -eq 1 ]
    run_split evstore-project --status
    assert_out '{"entity_type":"case","watermark":2,"program":"","status":"ok","projections":1,"message":null}'
    put c case/1 2 '{"x":2}'
    [ "$(state case/1)" = '{"x":2}' ]
    put d chart/1 2 '{"x":3}'
    [ "$(state chart/1)" = '{"x":3}' ]
}

@test "a catch-up with nothing new writes nothing" {
    put a case/1 1 '{"x":1}'
    run_split evstore-project
    assert_status 0 'evstore-project: 1 projections written: "case"'
    sum=$(sha256sum lifeboat.db)
    run_split evstore-project
    assert_status 0
    [ -z "$errout" ]
    [ "$(sha256sum lifeboat.db)" = "$sum" ]
}

# --- reducers -----------------------------------------------------------------

@test "a reducer in LIFEBOAT_PROJECTORS folds its type, the others fold by default" {
    echo '(. // 0) + $event.payload.v' >projectors/sum.jq
    for i in 1 2 3; do
        put "s$i" sum/a "$i" "{\"v\":$i}"
        put "c$i" case/a "$i" "{\"v\":$i}"
    done
    [ "$(state sum/a)" = 6 ]
    [ "$(state case/a)" = '{"v":3}' ]
    rows --status | jq -se '.[0].program == "" and (.[1].program | test("^[0-9a-f]{32}$"))'
}

@test "one jq process folds all events of a type" {
    n=5000
    [ -z "${PROJECT_BIG-}" ] || n=100000
    printf '%s\n' "$ordered" >projectors/tally.jq
    awk -v n=$n 'BEGIN { for (i = 0; i < n; i++) printf "{\"event_id\":\"e%d\"," \
        "\"entity_type\":\"tally\",\"entity_id\":\"%d\",\"actor_id\":\"u\",\"event_type\":\"A\"," \
        "\"ts_device\":%.0f,\"payload\":{\"v\":%d}}\n", i, i % 20 ? i : 0, 1768000000000 + i, i % 7 }' |
        evstore-append -q
    with_counted_jq run_split evstore-project
    assert_status 0
    [ "$(jq_runs)" -eq 1 ]
    [ "$(rows --list tally | wc -l)" -eq $((n - n / 20 + 1)) ]
    rows --get tally/0 | jq_true --argjson n $n '.version == $n / 20 and .state.n == $n / 20'
}

@test "a history that is too long for one line to jq is folded in order all the same" {
    printf '%s\n' "$ordered" >projectors/tally.jq
    # 500 events are a piece: exactly one, one more, and many; and pieces cut by size.
    for n in 499 500 501 1000 2600; do
        awk -v n=$n 'BEGIN { for (i = 1; i <= n; i++) printf "{\"event_id\":\"e%d-%05d\"," \
            "\"entity_type\":\"tally\",\"entity_id\":\"%d\",\"actor_id\":\"u\",\"event_type\":\"A\"," \
            "\"ts_device\":%.0f,\"payload\":{\"v\":%d}}\n", n, i, n, 1768000000000 + i, i % 7 }'
    done >events
    text=$(printf '%0100000d' 0)
    for i in 1 2 3 4 5 6 7 8; do event "w$i" tally/wide "$i" "{\"v\":$i,\"text\":\"$text\"}"; done >>events
    shuf --random-source=<(yes) events | evstore-append -q
    rows --list tally >folded
    [ "$(wc -l <folded)" -eq 6 ]
    jq -se 'map(select(.entity_id != "wide")) | all(.state.n == .version and
        .version == (.entity_id | tonumber))' folded
    # What jq makes of one history in one go.
    evstore-export --entity tally/2600 | jq -c -n "def reducer(\$event): $ordered
; reduce inputs as \$e (null; reducer(\$e))" >want
    [ "$(state tally/2600)" = "$(cat want)" ]
    jq_true 'select(.entity_id == "wide").state | .n == 8 and .last.v == 8 and .ids[0] == "w4"' folded
}

@test "a reducer goes on from the state it gave, and starts anew where an event came late" {
    printf '%s\n' "$ordered" >projectors/tally.jq
    for i in 1 2 3; do put "e$i" tally/a "${i}0" "{\"v\":$i}"; done
    put b1 tally/b 10 '{"v":1}'
    with_counted_jq evstore-project -q
    put e4 tally/a 40 '{"v":4}'
    JQ_INPUT=$PWD/input with_counted_jq evstore-project -q
    # [goes on, the state, is complete, one event]; entity b is not bothered
    jq -se 'length == 1 and (.[0] | length == 4 and .[1].n == 3 and .[3].event_id == "e4")' input
    put e0 tally/a 5 '{"v":5}'
    JQ_INPUT=$PWD/input with_counted_jq evstore-project -q
    jq -se 'length == 1 and (.[0] | length == 8 and .[1] == null)' input
    [ "$(jq_runs)" -eq 3 ]
    rows --get tally/a | jq_true '.state.n == 5 and .state.ids == ["e0","e1","e2","e3","e4"]'
}

@test "a reducer that fails: its type is stale, old rows stay, the others go on" {
    echo 'if $event.payload.v == "bad" then error("no such value") else $event.payload.v end' \
        >projectors/picky.jq
    put p1 picky/a 1 '{"v":1}'
    put c1 case/a 1 '{"v":1}'
    evstore-project -q
    put p2 picky/a 2 '{"v":2}'
    put p3 picky/b 3 '{"v":"bad"}'
    put c2 case/a 2 '{"v":2}'
    with_counted_jq run_split evstore-project
    assert_status 1 'projection of picky failed, its old rows are kept: jq: '
    [[ $errout == *'no such value'* ]]
    rows --status | jq -se '.[0].status == "ok" and .[1].status == "failed" and
        (.[1].message | contains("no such value")) and .[1].watermark == 2'
    [ "$(jq_runs)" -eq 1 ]
    # Not tried again while nothing has changed, but reported each time.
    for ask in --catch-up '--list picky' '--get picky/a' --trash; do
        # shellcheck disable=SC2086
        with_counted_jq run_split evstore-project $ask
        assert_status 1 'projection of picky failed'
    done
    [ "$(jq_runs)" -eq 1 ]
    run_split evstore-project --get picky/a
    [[ $out == *'"state":1}' ]]
    run_split evstore-project --get case/a
    assert_status 0
    [[ $out == *'"state":{"v":2}}' ]]
    # Other data: tried again, once.
    put p4 picky/c 4 '{"v":4}'
    with_counted_jq run_split evstore-project
    assert_status 1
    with_counted_jq run_split evstore-project
    assert_status 1
    [ "$(jq_runs)" -eq 2 ]
    # Another program: tried again, from the beginning.
    echo '$event.payload.v' >projectors/picky.jq
    with_counted_jq run_split evstore-project
    assert_status 0 '"picky"'
    [ "$(jq_runs)" -eq 3 ]
    rows --list picky | jq -se 'map(.state) == [2,"bad",4]'
    rows --status | jq -se 'all(.status == "ok" and .message == null)'
}

@test "a reducer that fails is reported by a restore: PARTIAL, all events there" {
    echo 'error("never")' >projectors/picky.jq
    { event p1 picky/a 1 && event c1 case/a 1 '{"x":1}'; } >events
    run_split evstore-restore events
    assert_status 1 'projection of picky failed'
    jq_true '.status == "PARTIAL" and .events_inserted == 2 and .projections_failed == ["picky"]
        and .projections_rebuilt == ["case"]' "$OUT"
}

@test "a reducer that fails in each way there is: syntax, import, halt, silence, a signal" {
    put a picky/a 1 '{"v":1}'
    for program in '. +' 'import "x" as x; .' 'halt' 'input' 'error("No more inputs")' '$nosuch' \
        '"\($event)" | error' 'null | halt_error(7)'; do
        printf '%s\n' "$program" >projectors/picky.jq
        run_split timeout 20 evstore-project
        assert_status 1 'projection of picky failed, its old rows are kept: '
        rows --status | jq_true '.status == "failed" and (.message | length > 5)'
    done
    printf '#!/bin/sh\nkill -9 $$\n' >jq-in-front/jq
    echo 1 >projectors/picky.jq
    with_counted_jq run_split evstore-project
    assert_status 1 'ended by signal 9'
    printf '#!/bin/sh\ncat >/dev/null; echo "{"\n' >jq-in-front/jq
    echo 2 >projectors/picky.jq
    with_counted_jq run_split evstore-project
    assert_status 1 'something that is not a state'
}

@test "a reducer that says more than once what the state is: the last word counts" {
    echo '$event.payload.v, "last"' >projectors/twice.jq
    put a twice/a 1 '{"v":1}'
    [ "$(state twice/a)" = '"last"' ]
}

@test "another program: the type is folded anew; no program: by default again" {
    echo '(. // 0) + 1' >projectors/count.jq
    for i in 1 2 3; do put "e$i" count/a "$i" '{"x":1}'; done
    [ "$(state count/a)" = 3 ]
    echo '(. // 0) + 100' >projectors/count.jq
    [ "$(state count/a)" = 300 ]
    rm projectors/count.jq
    [ "$(state count/a)" = '{"x":1}' ]
    echo '(. // 0) + 1 # with a comment at its end' >projectors/count.jq
    truncate -s -1 projectors/count.jq
    [ "$(state count/a)" = 3 ]
}

@test "jq is missing: said so, nothing else is kept from folding, made up for later" {
    [ "$checker" != valgrind ] || skip 'it judges the child that could not become jq'
    echo '(. // 0) + 1' >projectors/count.jq
    put a count/a 1
    put b case/a 1 '{"x":1}'
    mkdir no-jq
    for c in cat head tr; do ln -s "$(command -v $c)" no-jq; done
    PATH=$PWD/no-jq run_split "$bin/evstore-project"
    assert_status 1 'projection of count failed, its old rows are kept: unable to run jq'
    rows --get case/a >/dev/null
    [ "$(state count/a)" = 1 ]
    put c count/a 2
    put d case/a 2 '{"x":2}'
    PATH=$PWD/no-jq run_split "$bin/evstore-project" --list count
    assert_status 1 'unable to run jq'
    PATH=$PWD/no-jq run_split "$bin/evstore-project"
    assert_status 1
    [ "$(state count/a)" = 2 ]
    [ "$(state case/a)" = '{"x":2}' ]
}

@test "a reducer that is there but cannot be read does not turn into the default fold" {
    echo '(. // 0) + 1' >projectors/count.jq
    put a count/a 1 '{"x":1}'
    put b case/a 1 '{"x":1}'
    [ "$(state count/a)" = 1 ]
    put c count/a 2 '{"x":1}'
    rm projectors/count.jq
    mkdir projectors/count.jq
    run_split evstore-project
    assert_status 1 'projection of count failed, its old rows are kept: unable to read'
    run_split evstore-project --get count/a
    assert_status 1
    [[ $out == *'"state":1}' ]]
    [ "$(state case/a)" = '{"x":1}' ]
    rmdir projectors/count.jq
    echo '(. // 0) + 1' >projectors/count.jq
    [ "$(state count/a)" = 2 ]
    head -c 110000 /dev/zero | tr '\0' ' ' >>projectors/count.jq
    run_split evstore-project
    assert_status 1 'count.jq: longer than'
}

@test "a reducer that this user may not read is no default fold either" {
    echo '(. // 0) + 1' >projectors/count.jq
    put a count/a 1 '{"x":1}'
    [ "$(state count/a)" = 1 ]
    put b count/a 2 '{"x":1}'
    chmod 0 projectors/count.jq
    run_split held_back evstore-project
    assert_status 1 'unable to read'
    chmod 644 projectors/count.jq
    [ "$(state count/a)" = 2 ]
}

@test "a type's name never leads out of the folder" {
    mkdir projectors/a
    for f in evil.jq projectors/a/evil.jq projectors/.evil.jq projectors/...jq projectors/.jq; do
        echo '"EVIL"' >$f
    done
    n=0
    for type in ../evil /evil a/evil .evil .. . ./evil projectors/../../evil \
        "$BATS_TEST_TMPDIR/evil" "$(printf '%01000d' 0)"; do
        n=$((n + 1))
        event "e$n" X/a 1 '{"x":1}' | sed "s|\"X\"|\"$type\"|" | evstore-append -q
        run_split evstore-project --list "$type"
        assert_status 0
        [[ $out == *'"state":{"x":1}}' ]]
    done
    echo '"dotted"' >projectors/a.b..c.jq
    put dotted a.b..c/1 1 '{"x":1}'
    [ "$(state a.b..c/1)" = '"dotted"' ]
}

# --- where it cannot write ----------------------------------------------------

# As someone whom file modes hold back: root without its capabilities.
held_back() {
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --bounding-set=-all --inh-caps=-all "$@"
    else
        "$@"
    fi
}

# Events that are not folded yet, and what they fold to in ./want.
unfolded() {
    echo '(. // 0) + 1' >projectors/count.jq
    put a case/1 1 '{"x":1}'
    put b count/1 2
    evstore-project -q
    put c case/1 3 '{"y":2}'
    put d case/2 4 '{"z":3}' node.trashed
    put e count/1 5
    put f fresh/1 6 '{"v":[1]}' NODE_SOFT_DELETED
    evstore-export --full | evstore-restore -q -d aside.db
    LIFEBOAT_DB=aside.db everything case count fresh >want
}

# Each question gets the answer that a store at rest gives.
answers_from_memory() {
    local t
    for t in '--list case' '--list count --deleted' '--list fresh --deleted' '--trash' '--trash case' \
        '--get count/1' '--get case/2'; do
        # shellcheck disable=SC2086
        LIFEBOAT_DB=aside.db evstore-project $t >wanted
        # shellcheck disable=SC2086
        run_split "$@" evstore-project $t
        assert_status 0 'answering from memory'
        cmp wanted "$OUT"
    done
    run_split "$@" evstore-project --get case/none
    assert_status 1 'answering from memory'
}

@test "a store that may only be read: the same answers, from memory" {
    mkdir box
    export LIFEBOAT_DB=$PWD/box/lifeboat.db
    unfolded
    # While another has it open, -wal and -shm are there to be read.
    background follower evstore-export --follow
    wait_until 10 grep -q lifeboat_cursor follower.out
    chmod 444 box/lifeboat.db*
    chmod 555 box
    answers_from_memory held_back
    run_split held_back evstore-project --catch-up
    [ "$status" -ne 0 ]
    chmod 755 box
}

@test "a full disk: the same answers, from memory, and a catch-up that says 74" {
    [ "$(id -u)" -eq 0 ] || skip 'mounting needs root'
    mkdir disk
    mount -t tmpfs -o size=1m tmpfs disk 2>/dev/null || skip 'mounting is not allowed here'
    export LIFEBOAT_DB=$PWD/disk/lifeboat.db
    unfolded
    background follower evstore-export --follow
    wait_until 10 grep -q lifeboat_cursor follower.out
    put g fresh/2 7 '{"v":[2]}'
    evstore-export | evstore-restore -q -d aside.db
    cat /dev/zero >disk/fill 2>/dev/null || :
    answers_from_memory env
    run_split evstore-project
    assert_status 74
    rm disk/fill
    run_split evstore-project
    assert_status 0
    everything case count fresh >got
    LIFEBOAT_DB=aside.db everything case count fresh >want
    cmp want got
}

@test "the gate is held: catch-up and rebuild give 75, reading answers from memory" {
    unfolded
    exec 8>>lifeboat.db-gate
    flock 8
    export LIFEBOAT_WAIT=1
    for mode in --catch-up --rebuild '--rebuild case'; do
        # shellcheck disable=SC2086
        run_split evstore-project $mode 8>&-
        assert_status 75 'the store is busy'
    done
    run_split evstore-project --list case --deleted 8>&-
    assert_status 0 'answering from memory'
    LIFEBOAT_DB=aside.db rows --list case --deleted | cmp - "$OUT"
    exec 8>&-
    everything case count fresh | cmp want -
}

# --- others, and the end ------------------------------------------------------

# Two catch-ups with different snapshots; NAME is let go on by NAME.fifo.
held_catch_up() {
    mkfifo "$1.fifo"
    runs=$(jq_runs)
    JQ_HOLD=$PWD/$1.fifo with_counted_jq background "$1" evstore-project
    wait_until 10 jq_has_run $((runs + 1))
}
let_go() {
    echo >"$1.fifo"
    wait "$2"
}

@test "two catch-ups at once: whoever is second throws nothing away and loses nothing" {
    for order in 'first second' 'second first'; do
        rm -rf lifeboat.db* ./*.fifo
        printf '%s\n' "$ordered" >projectors/tally.jq
        put a tally/1 1 '{"v":1}'
        put b case/1 1 '{"v":1}'
        evstore-project -q
        put c tally/1 2 '{"v":2}'
        put d tally/2 2 '{"v":2}'
        held_catch_up first
        declare -A held=([first]=$pid)
        put e tally/1 3 '{"v":3}'
        put f case/1 3 '{"v":3}'
        held_catch_up second
        held[second]=$pid
        for one in $order; do let_go "$one" "${held[$one]}"; done
        # Whoever is first decides how far it is folded now.
        want=4
        [ "$order" = 'first second' ] || want=6
        rows --status | jq_true --argjson want $want 'select(.entity_type == "tally").watermark == $want'
        evstore-project -q
        everything tally case >got
        evstore-project -q --rebuild
        everything tally case >want
        cmp want got
        jq -se '.[0].state.n == 3' got
    done
}

@test "a rebuild beside a catch-up: the end is the same" {
    printf '%s\n' "$ordered" >projectors/tally.jq
    put a tally/1 1 '{"v":1}'
    evstore-project -q
    put b tally/1 2 '{"v":2}'
    held_catch_up first
    pid_first=$pid
    put c tally/1 3 '{"v":3}'
    evstore-project -q --rebuild
    let_go first "$pid_first"
    [ "$(rows --get tally/1 | jq .version)" -eq 3 ]
    put d tally/1 4 '{"v":4}'
    everything tally >got
    evstore-project -q --rebuild
    everything tally >want
    cmp want got
}

is_rebuilding() {
    ! kill -0 "$pid" 2>/dev/null ||
        [ "$(sqlite3 -readonly lifeboat.db "SELECT count(*) FROM projectors WHERE status = 'rebuilding'")" = 1 ]
}

@test "killed while it writes what a new reducer gave, then run again: as if nothing had happened" {
    n=8000
    [ -z "$checker" ] || n=5000
    awk -v n=$n 'BEGIN { for (i = 0; i < n; i++) printf "{\"event_id\":\"e%d\"," \
        "\"entity_type\":\"case\",\"entity_id\":\"%d\",\"actor_id\":\"u\",\"event_type\":\"A\"," \
        "\"ts_device\":%.0f,\"payload\":{\"v\":%d}}\n", i, i, 1768000000000 + i, i }' | evstore-append -q
    interrupted=0
    for ((round = 1; interrupted < 2 && round <= 40; round++)); do
        echo "{round: $round, n: ((.n // 0) + 1), v: \$event.payload.v}" >projectors/case.jq
        background "round$round" evstore-project
        wait_until 30 is_rebuilding
        kill -9 "$pid" 2>/dev/null || :
        wait "$pid" || :
        interrupted=$((interrupted + $(sqlite3 -readonly lifeboat.db \
            "SELECT count(*) FROM projectors WHERE status = 'rebuilding'")))
        put "more$round" case/7 $((90000 + round)) "{\"v\":-$round}"
        rows --list case | jq -se --argjson round $round 'all(.state.round == $round)'
    done
    last=$((round - 1))
    echo "interrupted $interrupted times of $last" >&2
    [ "$interrupted" -eq 2 ]
    rows --list case >got
    jq -se --argjson n $n --argjson last $last 'length == $n and all(.state.round == $last)
        and map(select(.entity_id == "7").state.n) == [$last + 1]' got
    evstore-project -q --rebuild
    rows --list case | cmp got -
    [ "$(sqlite3 -readonly lifeboat.db 'PRAGMA integrity_check')" = ok ]
}

@test "asked to stop while a reducer runs: it stops at once, and nothing is written" {
    printf '%s\n' "$ordered" >projectors/tally.jq
    put a tally/1 1 '{"v":1}'
    held_catch_up first
    kill -TERM "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 143 ]
    [ -z "$(rows --status)" ]
    [ "$(rows --get tally/1 | jq .version)" -eq 1 ]
}

@test "a store that is replaced under a catch-up: 76" {
    printf '%s\n' "$ordered" >projectors/tally.jq
    put a tally/1 1 '{"v":1}'
    held_catch_up first
    cp lifeboat.db other.db
    mv other.db lifeboat.db
    status=0
    let_go first "$pid" || status=$?
    [ "$status" -eq 76 ]
    grep -q 'replaced or removed' first.err
}

@test "standard output that cannot be written to: 74; a reader that leaves: SIGPIPE" {
    put a case/1 1 '{"x":1}'
    for ask in '--list case' '--get case/1' --status; do
        status=0
        # shellcheck disable=SC2086
        evstore-project $ask >/dev/full 2>err || status=$?
        [ $status -eq 74 ]
        grep -q 'standard output' err
    done
    awk 'BEGIN { for (i = 0; i < 20000; i++) printf "{\"event_id\":\"x%d\",\"entity_type\":\"case\"," \
        "\"entity_id\":\"x%d\",\"actor_id\":\"u\",\"event_type\":\"A\",\"ts_device\":1,\"payload\":{}}\n", i, i }' |
        evstore-append -q
    evstore-project -q
    { status=0; evstore-project --list case 3>&- || echo $? >left; } | head -n 1 >/dev/null
    [ "$(cat left)" -eq 141 ]
}

# --- the reducers that are shipped --------------------------------------------

@test "the recorded surgical case, restored, folds by its own reducer" {
    export LIFEBOAT_PROJECTORS=$top/lib/projectors
    run_split evstore-restore "$top/tests/data/surgery.jsonl"
    assert_status 0
    jq_true '.projections_failed == [] and (.projections_rebuilt | index("anesthesia_case"))' "$OUT"
    run_split evstore-project --get anesthesia_case/ANES-2026-0001
    assert_status 0
    jq_true '.version == 53 and .deleted == 0 and .state.status == "closed" and .state.vitals.count == 19
        and .state.case.destination == "PACU-1"' "$OUT"
    cp "$OUT" whole
    # The same in halves, the later one first.
    rm lifeboat.db*
    tail -n 31 "$top/tests/data/surgery.jsonl" | evstore-restore -q
    head -n 31 "$top/tests/data/surgery.jsonl" | evstore-restore -q
    evstore-project --get anesthesia_case/ANES-2026-0001 | cmp whole -
}

@test "scans, restored in any order, fold to where each part is" {
    export LIFEBOAT_PROJECTORS=$top/lib/projectors
    {
        event s1 scan/T1:O1 10 '{"tag_id":"T1","order_id":"O1","location":"SHELF-01"}' SCAN_RECORDED
        event s2 scan/T1:O1 20 '{"tag_id":"T1","order_id":"O1","location":"SHELF-02"}' SCAN_RECORDED
        event s3 scan/T1:O1 30 '{"tag_id":"T1","order_id":"O1","location":"SHELF-03"}' SCAN_RECORDED
        event s4 scan/LOT-9 15 '{"lot":"LOT-9","location":"DOCK"}' SCAN_RECORDED
    } >scans
    for order in '1 2 3 4' '3 1 4 2'; do
        rm -f lifeboat.db*
        for n in $order; do sed -n "${n}p" scans | evstore-restore -q; done
        run_split evstore-project --list scan
        assert_status 0
        jq -se 'map([.entity_id, .state.location, .state.previous_location, .state.scans]) ==
            [["LOT-9","DOCK",null,1], ["T1:O1","SHELF-03","SHELF-02",3]]' "$OUT"
    done
}

@test "a lone surrogate, which jq does not read, reaches a reducer as U+FFFD" {
    mkdir jq
    echo '$event.payload.a' >jq/t.jq
    export LIFEBOAT_PROJECTORS=$PWD/jq
    evstore-append -q --type T --entity t/1 --actor m '{"a":"\ud83dx \ud83d\ude00 \\ud83d \ude00"}'
    run_split evstore-project --get t/1
    assert_status 0
    [ "$(jq -r .state <"$OUT")" = $'\ufffdx \U1f600 \\ud83d \ufffd' ]
    [ "$(evstore-export | grep -c 'ud83dx')" = 1 ]
}
