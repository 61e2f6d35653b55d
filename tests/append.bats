#!/usr/bin/env bats
# evstore-append: what happens here is stored once, durably, and shown.
# valgrind: canonical form|every kind of line|from options|published twice|conflict is kept

load helper

# A wall clock that no build of this program is younger than.
now=3000000000000
day=86400000

setup() {
    private_store
    export LIFEBOAT_NOW=$now LIFEBOAT_DEVICE=box
}

# there ID [MS [ENTITY [MEMBERS]]]: an event that happened elsewhere.
there() {
    printf '{"event_id":"%s","entity_type":"case","entity_id":"%s","actor_id":"n","ts_device":%s,"event_type":"T","payload":{}%s}\n' \
        "$1" "${3-1}" "${2-$now}" "${4-}"
}

# here [ENTITY [MEMBERS]]: one that happens here and now.
here() {
    printf '{"entity_type":"case","entity_id":"%s","actor_id":"n","event_type":"T","payload":{}%s}\n' \
        "${1-1}" "${2-}"
}

hlc_of() { printf '%012x.%04x' "$1" "${2-0}"; }

# member NAME: of the last line of $OUT.
member() { tail -n 1 "$OUT" | jq -r ".$1"; }

count_is() {
    local n
    n=$(sqlite3 "$LIFEBOAT_DB" 'select count(*) from events')
    [ "$n" -eq "$1" ] || {
        echo "there are $n events, not $1" >&2
        return 1
    }
}

summary() { printf 'evstore-append: %s received: %s stored, %s already present, %s rejected (%s in conflict)' "$@"; }

only_summary() { [ "$errout" = "$(summary "$@")" ] || show_run "wanted only the summary $*"; }

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

# --- streams -----------------------------------------------------------------

@test "an event is stored and comes out in canonical form" {
    printf '%s\n' '{ "x": [1.0], "payload": {"b": 1.50, "a":"\u00e9", "b":2}, "event_type":"\u0054",
        "actor_id":"n", "ts_device": 1.768e12, "entity_id":"1", "entity_type":"case",
        "event_id":"e1", "seq":9, "synced":1 }' | tr '\n' ' ' >in
    run_split evstore-append in
    assert_status 0
    assert_out '{"event_id":"e1","site_id":"main","entity_type":"case","entity_id":"1","actor_id":"n","ts_device":1768000000000,"hlc":"019ba5031000.0000","event_type":"T","schema_version":"1.0","payload":{"b":1.50,"a":"\u00e9","b":2},"x":[1.0]}'
    only_summary 1 1 0 0 0
}

@test "every kind of line: BOM, CRLF, blank lines, no newline at the end" {
    {
        printf '\xef\xbb\xbf'
        there e1
        printf '\r\n  \t\n\n'
        there e2 | sed 's/$/\r/'
        printf '%s' "$(there e3)"
    } >in
    run_split evstore-append in
    assert_status 0
    [ "$(jq -r .event_id "$OUT" | tr '\n' ' ')" = 'e1 e2 e3 ' ]
    only_summary 3 3 0 0 0
}

@test "stdin, operands and - are read, in their order" {
    there e1 >a
    there e3 >b
    run_split evstore-append a - b < <(there e2)
    assert_status 0
    [ "$(jq -r .event_id "$OUT" | tr '\n' ' ')" = 'e1 e2 e3 ' ]
    run_split evstore-append < <(there e4)
    assert_status 0
    [ "$(member event_id)" = e4 ]
}

@test "no input at all is no error" {
    run_split evstore-append </dev/null
    assert_status 0
    assert_out ''
    only_summary 0 0 0 0 0
}

@test "a missing operand is 66, and what came before it is stored" {
    there e1 >a
    run_split evstore-append a nowhere
    assert_status 66 'evstore-append: unable to open nowhere: '
    [ "$(member event_id)" = e1 ]
    count_is 1
}

@test "bad lines are named with file, line, byte and reason, counted, and the rest is stored" {
    {
        there e1
        echo 'hello'
        there e2
        echo '{"event_id":"e3","event_id":"e3"}'
        printf '{"a":"\xff"}\n'
        there e4 | sed 's/"entity_id":"1",//'
        there 'e 5'
        there e6
    } >in
    run_split evstore-append in
    assert_status 1
    [ "$(jq -r .event_id "$OUT" | tr '\n' ' ')" = 'e1 e2 e6 ' ]
    b=$(there e1 | wc -c)
    grep -qxF "evstore-append: in:2: byte $b: not an object" "$ERR"
    grep -qxF "evstore-append: in:4: byte $((2 * b + 6 + 17)): event_id: is there twice" "$ERR"
    grep -qxF "evstore-append: in:5: byte $((2 * b + 6 + 34 + 6)): invalid UTF-8" "$ERR"
    grep -q '^evstore-append: in:6: byte [0-9]*: entity_id: missing$' "$ERR"
    grep -q '^evstore-append: in:7: byte [0-9]*: event_id: wants 1 to 128' "$ERR"
    [ "$(tail -n 1 "$ERR")" = "$(summary 8 3 0 5 0)" ]
}

@test "a bad line of standard input is named so" {
    run_split evstore-append <<<'x'
    assert_status 1 'evstore-append: standard input:1: byte 0: not an object'
}

@test "--rejects gets the refused lines untouched, behind what is there" {
    {
        printf ' { bad\t\r\n'
        there e1
        printf '{"a":"\xff\xc0"}\n'
        printf '{"n":"\\ud800", "\x01":1}\n'
        printf 'no newline'
    } >in
    there e1 >first
    grep -vaF e1 in >want
    run_split evstore-append --rejects rejects in
    assert_status 1
    head -c "$(wc -c <want)" rejects | cmp want -
    run_split evstore-append --rejects rejects first <<<''
    assert_status 0
    run_split evstore-append --rejects rejects <<<'[1]'
    assert_status 1
    [ "$(tail -n 1 rejects)" = '[1]' ]
    [ "$(tail -n 2 rejects | head -n 1)" = 'no newline' ]
}

@test "--rejects that cannot be made is 73, that cannot be written 74" {
    run_split evstore-append --rejects nowhere/x <<<'x'
    assert_status 73 'unable to open nowhere/x'
    [ ! -e "$LIFEBOAT_DB" ]
    run_split evstore-append --rejects /dev/full <<<'x'
    assert_status 74 'unable to write /dev/full'
}

@test "--max-line: at the limit is taken, beyond it is refused and set aside whole" {
    there e1 >in
    n=$(($(wc -c <in) - 1))
    there e22 >>in
    head -c 300000 /dev/zero | tr '\0' 'x' >>in
    echo >>in
    there e3 >>in
    run_split evstore-append --max-line "$n" --rejects rejects in
    assert_status 1 "in:2: byte $((n + 1)): longer than $n bytes (--max-line)"
    assert_status 1 "in:3: byte $((2 * n + 3)): longer than $n bytes (--max-line)"
    [ "$(jq -r .event_id "$OUT" | tr '\n' ' ')" = 'e1 e3 ' ]
    [ "$(tail -n 1 "$ERR")" = "$(summary 4 2 0 2 0)" ]
    sed -n 2,3p in | cmp - rejects
}

@test "the usual longest line is 16 MiB" {
    head=$(there e1 | sed 's/{}}$/"/')
    {
        printf '%s' "$head"
        head -c $((16777216 - ${#head} - 2)) /dev/zero | tr '\0' x
        printf '"}\n'
    } >in
    [ "$(wc -c <in)" -eq 16777217 ]
    run_split evstore-append -q in
    assert_status 0
    sed -i 's/x"}/xx"}/' in
    run_split evstore-append -q in
    assert_status 1 'longer than 16777216 bytes'
}

@test "control lines of an export are passed over, others are refused" {
    evstore-append -q < <(there e1)
    evstore-export --seal >sealed
    {
        cat sealed
        echo '{"lifeboat_cursor":"start"}'
    } >in
    run_split evstore-append in
    assert_status 0
    only_summary 1 0 1 0 0
    {
        echo '{"lifeboat_end":{"count":1'
        echo '{"lifeboat_x":1}'
        there e2 | sed 's/^{/{"lifeboat_y":1,/'
        there e3 '' '' ',"lifeboat_z":1'
    } >in
    run_split evstore-append --rejects rejects in
    assert_status 1
    [ "$(wc -l <rejects)" -eq 4 ]
}

@test "-q prints nothing, --progress=json speaks to programs" {
    [ "$checker" != valgrind ] || skip 'too slow here'
    run_split evstore-append -q < <(there e1)
    assert_status 0
    assert_out ''
    [ -z "$errout" ]
    run_split evstore-append --progress json < <(
        there e2
        sleep 1.4
        there e3
    )
    assert_status 0
    grep '^{"progress":"events","count":2,' "$ERR" | jq_true '.bytes > 0 and .elapsed_ms >= 1000'
}

@test "usage: what is wrong is said, with 64" {
    local -a wrong=(--nonsense '--max-line 0' '--max-line x' '--expect-version -1' '--max-drift 5x'
        '--progress loud' '--type T {}' '--type T --entity a/1 {}' '--type T --entity a --actor m {}'
        '--type T --entity /1 --actor m {}' '--type T --entity a/ --actor m {}'
        '--type T --entity a/1 --actor m' '--type T --entity a/1 --actor m {} {}'
        '--type T --entity a/1 --actor m --id a/b {}')
    for w in "${wrong[@]}"; do
        # shellcheck disable=SC2086
        run_split evstore-append $w </dev/null
        assert_status 64 'evstore-append'
        assert_out ''
    done
    run_split evstore-append --type T --entity a/1 --actor '' 1
    assert_status 64 'actor_id: empty'
    run_split evstore-append --type T --entity $'a/\xff' --actor m 1
    assert_status 64 'entity_id: not valid UTF-8'
    run_split evstore-append --type T --entity a/1 --actor "$(printf %1025d 0)" 1
    assert_status 64 'actor_id: longer than 1024 bytes'
    [ ! -e "$LIFEBOAT_DB" ] || count_is 0
}

@test "--help and --version" {
    run_split evstore-append --help
    assert_status 0
    [[ $out == 'usage: evstore-append '* ]]
    run_split evstore-append -V
    assert_status 0
    [[ $out == 'evstore-append (lifeboat) '* ]]
}

# --- one event from options --------------------------------------------------

@test "one event from options" {
    run_split evstore-append --type T --entity a/1/2 --actor m --id e1 --actor-name 'Ωμ "x"' \
        --actor-role r --correlation c --causation k --schema-version 2 ' {"a": 1.0}'
    assert_status 0
    assert_out '{"event_id":"e1","site_id":"main","entity_type":"a","entity_id":"1/2","actor_id":"m","actor_name":"Ωμ \"x\"","actor_role":"r","device_id":"box","ts_device":'$now',"hlc":"'"$(hlc_of $now)"'","event_type":"T","schema_version":"2","correlation_id":"c","causation_id":"k","payload":{"a":1.0}}'
    only_summary 1 1 0 0 0
}

@test "from options: - reads the payload from stdin, lines and all" {
    run_split evstore-append --type T --entity a/1 --actor m - < <(printf '{\n"a":\n"b"}\n')
    assert_status 0
    [ "$(member payload.a)" = b ]
    [ "$(wc -l <"$OUT")" -eq 1 ]
}

@test "from options: a payload of any kind, a bad one is 65 with its byte" {
    for p in null true 5 '"x"' '[]' '{}' -1e400; do
        run_split evstore-append --type T --entity a/1 --actor m -- "$p"
        assert_status 0
        [[ $out == *",\"payload\":$p}" ]]
    done
    for p in '' nul 01 '{"a":1,}' '[1' $'"\t"' $'"\xff"' '1 2'; do
        run_split evstore-append --type T --entity a/1 --actor m -- "$p"
        assert_status 65 'PAYLOAD: byte '
        assert_out ''
    done
    run_split evstore-append --type T --entity a/1 --actor m - < <(printf '"a\0b"')
    assert_status 65 'PAYLOAD: byte 2: a control character in a string'
    count_is 7
}

@test "from options: a conflict is 1, and leaves no line in --rejects" {
    evstore-append -q --type T --entity a/1 --actor m --id e1 1
    run_split evstore-append --rejects rejects --type T --entity a/1 --actor m --id e1 2
    assert_status 1 'event e1: its id is taken by other content'
    assert_out ''
    [ ! -s rejects ]
}

# --- who fills in what -------------------------------------------------------

@test "an event without ts_device gets id, time, clock and device, and nothing else" {
    run_split evstore-append < <(here)
    assert_status 0
    [[ $(member event_id) =~ ^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$ ]]
    [ "$(jq -c 'del(.event_id)' "$OUT")" = '{"site_id":"main","entity_type":"case","entity_id":"1","actor_id":"n","device_id":"box","ts_device":'$now',"hlc":"'"$(hlc_of $now)"'","event_type":"T","schema_version":"1.0","payload":{}}' ]
    run_split evstore-append < <(here 1 ',"event_id":"mine","device_id":"ipad","site_id":"s","schema_version":"9"')
    [ "$(member event_id)" = mine ]
    [ "$(member device_id)" = ipad ]
    [ "$(member site_id)" = s ]
    [ "$(member schema_version)" = 9 ]
    [ "$(member hlc)" = "$(hlc_of $now 1)" ]
}

@test "an event with ts_device gets only what is the same on every store" {
    run_split evstore-append < <(there e1 255 1 ',"causation_id":"e0"')
    assert_status 0
    assert_out '{"event_id":"e1","site_id":"main","entity_type":"case","entity_id":"1","actor_id":"n","ts_device":255,"hlc":"0000000000ff.0000","event_type":"T","schema_version":"1.0","causation_id":"e0","payload":{}}'
    run_split evstore-append < <(there e2 255 1 ',"hlc":"000000000001.0007"')
    [ "$(member hlc)" = 000000000001.0007 ]
}

@test "two stores of other names and clocks store the same bytes" {
    mkevents 200 | sed 's/"device_id":"ipad-1",//; s/"schema_version":"1.0",//' >in
    LIFEBOAT_DEVICE=a LIFEBOAT_NOW=$now evstore-append -q -d a.db in
    LIFEBOAT_DEVICE=b LIFEBOAT_NOW=1000 evstore-append -q -d b.db in
    evstore-export -d a.db >a
    evstore-export -d b.db | cmp a -
}

@test "site_id comes from LIFEBOAT_SITE, which must be fit for one" {
    LIFEBOAT_SITE=BORP-01 run_split evstore-append < <(there e1)
    assert_status 0
    [ "$(member site_id)" = BORP-01 ]
    LIFEBOAT_SITE=$'a\xff' run_split evstore-append < <(there e2)
    assert_status 78 LIFEBOAT_SITE
    LIFEBOAT_DEVICE=$(printf %1025d 0) run_split evstore-append < <(here)
    assert_status 78 LIFEBOAT_DEVICE
    count_is 1
}

@test "without LIFEBOAT_DEVICE the store's own name is taken, another for each store" {
    unset LIFEBOAT_DEVICE
    evstore-append < <(here) >a
    evstore-append < <(here) >>a
    evstore-append -d b.db < <(here) >b
    [ "$(jq -r .device_id a | sort -u | wc -l)" -eq 1 ]
    [[ $(jq -r .device_id b) =~ -[0-9a-f]{8}$ ]]
    [ "$(jq -r .device_id a | head -n 1)" != "$(jq -r .device_id b)" ]
}

@test "correlation_id is inherited from the cause, here and now" {
    evstore-append -q < <(
        there e1 1 1 ',"correlation_id":"c1"'
        there e2 2
    )
    run_split evstore-append < <(here 1 ',"causation_id":"e1"')
    [ "$(member correlation_id)" = c1 ]
    run_split evstore-append < <(here 1 ',"causation_id":"e1","correlation_id":"own"')
    [ "$(member correlation_id)" = own ]
    run_split evstore-append < <(here 1 ',"causation_id":"e2"')
    [ "$(member correlation_id)" = null ]
    run_split evstore-append < <(here 1 ',"causation_id":"unknown"')
    assert_status 0
    [ "$(member correlation_id)" = null ]
    # A cause of the same batch counts.
    run_split evstore-append < <(
        here 1 ',"event_id":"k1","correlation_id":"c9"'
        here 1 ',"event_id":"k2","causation_id":"k1"'
        here 1 ',"event_id":"k3","causation_id":"k2"'
    )
    [ "$(jq -r .correlation_id "$OUT" | tr '\n' ' ')" = 'c9 c9 c9 ' ]
}

@test "correlation_id is never inherited by an event with ts_device" {
    evstore-append -q < <(there e1 1 1 ',"correlation_id":"c1"')
    run_split evstore-append < <(there e2 2 1 ',"causation_id":"e1"')
    [ "$(member correlation_id)" = null ]
}

@test "ts_server is this store's time, the earliest that is heard of stays" {
    evstore-append -q < <(there e1)
    [ "$(evstore-export --full | jq .ts_server)" = "$now" ]
    for s in 500 400 600; do evstore-append -q < <(there e1 $now 1 ",\"ts_server\":$s"); done
    [ "$(evstore-export --full | jq -c '[.ts_server,.synced,.acknowledged,.seq]')" = '[400,0,0,1]' ]
}

# --- the same id -------------------------------------------------------------

@test "published twice, an event comes out twice, byte for byte" {
    here 1 ',"event_id":"evt_123","x":[1.0]' >in
    evstore-append in >one
    LIFEBOAT_NOW=$((now + 5000)) LIFEBOAT_DEVICE=other LIFEBOAT_SITE=main run_split evstore-append in
    assert_status 0
    cmp one "$OUT"
    only_summary 1 0 1 0 0
    count_is 1
    # What came out is the same event too.
    evstore-append one | cmp one -
    run_split evstore-append --type T --entity case/1 --actor n --id evt_123 '{ }'
    assert_status 0
    cmp one "$OUT"
}

@test "a newcomer without ts_device is compared by the members it has" {
    here 1 ',"event_id":"e1","x":1,"actor_name":"N"' | evstore-append -q
    for same in '' ',"x":1.0' ',"actor_name":"N"' ',"device_id":"box"' ',"schema_version":"1.0"'; do
        run_split evstore-append < <(here 1 ",\"event_id\":\"e1\"$same")
        assert_status 0
    done
    for other in ',"x":2' ',"actor_name":"M"' ',"device_id":"ipad"' ',"y":1' ',"entity_version":1'; do
        run_split evstore-append < <(here 1 ",\"event_id\":\"e1\"$other")
        assert_status 1 'event e1: its id is taken by other content'
    done
    run_split evstore-append < <(here 2 ',"event_id":"e1"')
    assert_status 1
    # One with ts_device is compared whole.
    run_split evstore-append < <(there e1 $now)
    assert_status 1
}

@test "a copy that was spelt otherwise is the same event" {
    printf '%s\n' '{"event_id":"e1","entity_type":"c","entity_id":"é","actor_id":"n","ts_device":5,"event_type":"T","payload":{"a":1.0,"b":[1e2,"\u00e9"]},"x":-0}' >in
    printf '%s\n' '{"x":0,"payload":{"b":[100,"é"],"a":1},"ts_device":5,"event_type":"T","actor_id":"n","entity_id":"\u00e9","entity_type":"c","event_id":"e1"}' >copy
    evstore-append in >one
    run_split evstore-append copy
    assert_status 0
    cmp one "$OUT"
    only_summary 1 0 1 0 0
}

@test "a conflict is kept, reported with both digests, and ends with 1" {
    there e1 >first
    there e1 $now 2 >variant
    evstore-append first >one
    run_split evstore-append variant
    assert_status 1
    assert_out ''
    [[ $errout =~ 'variant:1: byte 0: event e1: its id is taken by other content (stored '[0-9a-f]{32}', this '[0-9a-f]{32}'); kept as a conflict' ]]
    d=$(sqlite3 "$LIFEBOAT_DB" 'select lower(hex(digest)) from events')
    v=$(sqlite3 "$LIFEBOAT_DB" 'select lower(hex(digest)) from conflicts')
    [[ $errout == *"(stored $d, this $v)"* ]]
    [ "$d" != "$v" ]
    evstore-export | cmp one -
    [ "$(evstore-export --conflicts | jq -r .entity_id)" = 2 ]
    # Once more: still told, kept once.
    run_split evstore-append --rejects rejects variant
    assert_status 1
    cmp variant rejects
    [ "$(evstore-export --conflicts | wc -l)" -eq 1 ]
}

@test "one digit of a large number makes a conflict" {
    there e1 5 1 ',"n":9007199254740993' | evstore-append -q
    run_split evstore-append < <(there e1 5 1 ',"n":9007199254740992')
    assert_status 1 'kept as a conflict'
    evstore-export | grep -F '"n":9007199254740993'
    evstore-export --conflicts | grep -F '"n":9007199254740992'
}

@test "the set of variants does not depend on the order of arrival" {
    n=0
    for order in '1 2 3' '1 3 2' '2 1 3' '2 3 1' '3 1 2' '3 2 1'; do
        for i in $order $order; do there e1 5 "$i"; done >in
        run_split evstore-append -d "$n.db" in
        assert_status 1
        [ "$(tail -n 1 "$ERR")" = "$(summary 6 1 1 4 4)" ]
        { evstore-export -d "$n.db" && evstore-export -d "$n.db" --conflicts; } | sort >"$n.all"
        [ "$(wc -l <"$n.all")" -eq 3 ]
        cmp 0.all "$n.all"
        n=$((n + 1))
    done
}

@test "--expect-version: right is stored with its number, wrong is refused" {
    run_split evstore-append --expect-version 0 < <(here 1)
    assert_status 0
    [ "$(member entity_version)" = 1 ]
    run_split evstore-append --expect-version 0 --rejects rejects < <(here 1)
    assert_status 1 'standard input:1: byte 0: expected version 0 of case/1, but it has 1'
    here 1 | cmp - rejects
    run_split evstore-append --expect-version 1 --type T --entity case/1 --actor n --id e2 '{}'
    assert_status 0
    [ "$(member entity_version)" = 2 ]
    # Twice is once, whatever is expected by then.
    run_split evstore-append --expect-version 1 --type T --entity case/1 --actor n --id e2 '{}'
    assert_status 0
    count_is 2
    run_split evstore-append --expect-version 0 < <(here 2)
    assert_status 0
    run_split evstore-append --expect-version 2 < <(here 1 ',"entity_version":7')
    [ "$(member entity_version)" = 7 ]
    # Nothing is invented for an event from elsewhere.
    run_split evstore-append --expect-version 3 < <(there e9)
    assert_status 0
    [ "$(member entity_version)" = null ]
    run_split evstore-append --expect-version 3 < <(there e9)
    assert_status 0
    run_split evstore-append --expect-version 3 < <(there e10)
    assert_status 1 'but it has 4'
}

# --- clocks ------------------------------------------------------------------

@test "the clock ticks: ms and counter" {
    run_split evstore-append < <(
        here
        here
        here
    )
    [ "$(jq -r .hlc "$OUT" | tr '\n' ' ')" = "$(hlc_of $now) $(hlc_of $now 1) $(hlc_of $now 2) " ]
    LIFEBOAT_NOW=$((now - 1)) run_split evstore-append < <(here)
    [ "$(member hlc)" = "$(hlc_of $now 3)" ]
    [ "$(member ts_device)" = $((now - 1)) ]
    LIFEBOAT_NOW=$((now + 1)) run_split evstore-append < <(here)
    [ "$(member hlc)" = "$(hlc_of $((now + 1)))" ]
}

@test "an event from elsewhere moves the clock" {
    evstore-append -q < <(here)
    run_split evstore-append < <(
        there e1 $((now + 1000)) 2
        here 3
    )
    assert_status 0
    [ "$(member hlc)" = "$(hlc_of $((now + 1000)) 1)" ]
    only_summary 2 2 0 0 0
}

@test "a counter at ffff moves the ms on" {
    evstore-append -q < <(there e1 $now 2 ",\"hlc\":\"$(hlc_of $now 65535)\"")
    run_split evstore-append < <(here)
    [ "$(member hlc)" = "$(hlc_of $((now + 1)))" ]
    [ "$(member ts_device)" = $now ]
}

@test "a box in 1970 believes its first events" {
    export LIFEBOAT_NOW=1000
    evstore-append -q < <(here)
    run_split evstore-append < <(
        there e1 $now 2
        here 3
    )
    assert_status 0 'warning: its clock is far ahead'
    [ "$(member hlc)" = "$(hlc_of $now 1)" ]
    [ "$(member ts_device)" = 1000 ]
}

@test "a blank box two days late believes its first events" {
    run_split evstore-append < <(
        there e1 $((now + 2 * day)) 2
        here 3
    )
    assert_status 0
    [ "$(member hlc)" = "$(hlc_of $((now + 2 * day)) 1)" ]
}

@test "an event from 2099 is stored, warned of, and does not drag the clock along" {
    evstore-append -q < <(here)
    there far $((now + 30000 * day)) 2 >in
    here 3 >>in
    run_split evstore-append in
    assert_status 0 'evstore-append: in:1: warning: its clock is far ahead'
    [ "$(member hlc)" = "$(hlc_of $now 1)" ]
    grep -qxF "$(summary 2 2 0 0 0)" "$ERR"
    grep -qx "evstore-append: 1 with clocks far ahead of this store's" "$ERR"
    # --adopt-clock believes it.
    there far2 $((now + 30000 * day + 5)) 2 | evstore-append -q --adopt-clock
    run_split evstore-append < <(here 3)
    [ "$(member hlc)" = "$(hlc_of $((now + 30000 * day + 5)) 1)" ]
}

@test "--max-drift says how far ahead is far" {
    evstore-append -q < <(here)
    run_split evstore-append < <(there e1 $((now + day)) 2)
    [[ $errout != *warning* ]]
    run_split evstore-append --max-drift 1h < <(there e2 $((now + day + 3600001)) 2)
    assert_status 0 warning
    run_split evstore-append --max-drift 2h < <(there e3 $((now + day + 3600001)) 2)
    [[ $errout != *warning* ]]
    run_split evstore-append --max-drift 0 < <(there e4 $((now + day + 3600002)) 2)
    assert_status 0 warning
}

@test "an entity that is ahead of the clock is not mute: its successor, for this event only" {
    evstore-append -q < <(here)
    far=$((now + 30000 * day))
    evstore-append -q < <(there far $far 2)
    run_split evstore-append < <(here 2)
    assert_status 0 'warning: the clock here is behind'
    [ "$(member hlc)" = "$(hlc_of $far 1)" ]
    [ "$(member ts_device)" = $now ]
    run_split evstore-append < <(here 3)
    [[ $errout != *warning* ]]
    [ "$(member hlc)" = "$(hlc_of $now 2)" ]
    run_split evstore-append < <(here 2)
    [ "$(member hlc)" = "$(hlc_of $far 2)" ]
}

@test "the end of all clocks: the entity's last reading refuses, others go on" {
    evstore-append -q < <(here)
    evstore-append -q < <(there far 281474976710655 2 ',"hlc":"ffffffffffff.ffff"')
    run_split evstore-append < <(
        here 2
        here 3
    )
    assert_status 1 'the clock of this entity has reached its end'
    [ "$(wc -l <"$OUT")" -eq 1 ]
    [ "$(member entity_id)" = 3 ]
}

# --- settings ----------------------------------------------------------------

@test "the settings file is read, the environment goes before it, an option before both" {
    cat >"$LIFEBOAT_ENV" <<-END
		# a comment
		LIFEBOAT_SITE="site of file"

		export LIFEBOAT_DEVICE='d'
		LIFEBOAT_DB=$BATS_TEST_TMPDIR/file.db
		OTHER=ignored
	END
    unset LIFEBOAT_DB LIFEBOAT_DEVICE
    run_split evstore-append < <(here)
    assert_status 0
    [ "$(member site_id)" = 'site of file' ]
    [ "$(member device_id)" = d ]
    [ -e file.db ]
    LIFEBOAT_SITE=env LIFEBOAT_DB=env.db run_split evstore-append < <(here)
    [ "$(member site_id)" = env ]
    [ -e env.db ]
    LIFEBOAT_DB=env2.db run_split evstore-append -d option.db < <(here)
    [ -e option.db ]
    [ ! -e env2.db ]
}

@test "an unknown LIFEBOAT_ key is 78 with file and line, or with its name" {
    printf 'LIFEBOAT_SITE=a\nLIFEBOAT_SIET=b\n' >"$LIFEBOAT_ENV"
    run_split evstore-append < <(here)
    assert_status 78 "$LIFEBOAT_ENV:2: no such setting: LIFEBOAT_SIET"
    echo nonsense >"$LIFEBOAT_ENV"
    run_split evstore-append < <(here)
    assert_status 78 "$LIFEBOAT_ENV:1: not KEY=value"
    : >"$LIFEBOAT_ENV"
    LIFEBOAT_TYPO=1 run_split evstore-append < <(here)
    assert_status 78 'no such setting: LIFEBOAT_TYPO'
    LIFEBOAT_ENV=$BATS_TEST_TMPDIR/none run_split evstore-append < <(here)
    assert_status 78 'unable to read the settings'
    [ ! -e "$LIFEBOAT_DB" ]
}

# --- durability --------------------------------------------------------------

# feed: a pipe to a background appender on descriptor 9.
feed() {
    mkfifo pipe
    background append evstore-append "$@" pipe
    exec 9>pipe
}

@test "a pipe that trickles is durable and shown line by line" {
    feed
    for i in 1 2 3; do
        there "e$i" >&9
        wait_until 10 grep -q "\"e$i\"" append.out
        count_is "$i"
    done
    exec 9>&-
    wait "$pid"
}

@test "a line that is not complete is not stored before its end comes" {
    feed
    printf '%s' "$(there e1)" >&9
    there e2 | sed 's/^/\n/' >&9
    wait_until 10 grep -q '"e2"' append.out
    printf '%s' "$(there e3)" >&9
    nap
    count_is 2
    exec 9>&-
    wait "$pid"
    count_is 3
}

@test "TERM stops between two events: 143, the summary, and all that was shown is there" {
    feed
    there e1 >&9
    wait_until 10 grep -q '"e1"' append.out
    kill -TERM "$pid"
    ends_with 143
    exec 9>&-
    [ "$(cat append.err)" = "$(summary 1 1 0 0 0)" ]
    count_is 1
}

@test "INT is 130" {
    # A shell has its children in the background ignore INT; env undoes that.
    mkfifo pipe
    background append env --default-signal=INT evstore-append pipe
    exec 9>pipe
    there e1 >&9
    wait_until 10 grep -q '"e1"' append.out
    kill -INT "$pid"
    ends_with 130
    exec 9>&-
    [ "$(cat append.err)" = "$(summary 1 1 0 0 0)" ]
}

@test "killed with -9: the store is whole and has all that was shown" {
    mkevents 30000 >in
    background append evstore-append in
    wait_until 20 test -s append.out
    kill -9 "$pid"
    wait "$pid" || :
    [ "$(sqlite3 "$LIFEBOAT_DB" 'pragma integrity_check')" = ok ]
    sqlite3 "$LIFEBOAT_DB" 'select event_id from events' | sort >there
    sed -n 's/^{"event_id":"\([^"]*\)".*}$/\1/p' append.out | sort | comm -23 - there >lost
    [ ! -s lost ]
    run_split evstore-append -q in
    assert_status 0
    count_is 30000
}

@test "a full stdout is 74, and nothing was shown that is not stored" {
    there e1 >in
    status=0
    evstore-append in >/dev/full 2>"$ERR" || status=$?
    [ "$status" -eq 74 ]
    grep -q 'unable to write to standard output: No space left' "$ERR"
    count_is 1
    # With nothing to print a full stdout is no failure.
    evstore-append -q in >/dev/full
}

@test "a reader that leaves early: SIGPIPE, not a word, and what it has seen is there" {
    mkevents 5000 >in
    status=$(
        set +o pipefail
        { evstore-append in 2>"$ERR"; echo $? >status; } | head -n 1 >seen
        cat status
    )
    [ "$status" -eq 141 ]
    [ ! -s "$ERR" ]
    evstore-export | grep -qxFf seen
    [ "$(sqlite3 "$LIFEBOAT_DB" 'pragma integrity_check')" = ok ]
}

@test "a reader of stderr that has left changes nothing" {
    { echo x; there e1; } >in
    status=0
    evstore-append in 2> >(:) >out || status=$?
    [ "$status" -eq 1 ]
    grep -q '"e1"' out
}

# --- the store and its gate --------------------------------------------------

# hold_gate SECONDS: in one process, which has it when this returns.
hold_gate() {
    background holder bash -c 'exec 9>>"$0" && flock 9 && exec sleep "$1"' "$LIFEBOAT_DB-gate" "$1"
    # shellcheck disable=SC2016
    wait_until 5 bash -c '! flock -n "$LIFEBOAT_DB-gate" true'
}

@test "while another holds the gate it waits, then gives 75" {
    evstore-append -q < <(there e1)
    hold_gate 60
    before=$SECONDS
    LIFEBOAT_WAIT=1 run_split evstore-append < <(there e2)
    assert_status 75 'the store is busy: no turn at '
    [ $((SECONDS - before)) -ge 1 ]
    assert_out ''
    count_is 1
    # Of ten attempts without waiting not one waits.
    before=${EPOCHREALTIME/./}
    for _ in {1..10}; do
        LIFEBOAT_WAIT=0 run_split evstore-append --type T --entity a/1 --actor n 1
        assert_status 75
    done
    [ -n "$checker" ] || [ $((${EPOCHREALTIME/./} - before)) -lt 5000000 ]
}

@test "a gate that opens in time is waited for" {
    evstore-append -q < <(there e1)
    hold_gate 0.5
    run_split evstore-append < <(there e2)
    assert_status 0
    count_is 2
}

@test "a store is not made while another holds the gate" {
    hold_gate 60
    LIFEBOAT_WAIT=0 run_split evstore-append < <(there e1)
    assert_status 75
    [ ! -e "$LIFEBOAT_DB" ]
}

@test "a -wal or -journal beside a missing store is 73, and named" {
    evstore-append -q < <(there e1)
    for s in wal journal; do
        echo rubbish >"new.db-$s"
        run_split evstore-append -d new.db < <(there e1)
        assert_status 73 "new.db-$s: left behind"
        [ ! -e new.db ]
        [ "$(cat "new.db-$s")" = rubbish ]
        rm "new.db-$s"
    done
    run_split evstore-append -d new.db < <(there e1)
    assert_status 0
}

@test "a store replaced under a running appender is 76, and nothing is acknowledged" {
    feed
    there e1 >&9
    wait_until 10 grep -q '"e1"' append.out
    evstore-append -q -d other.db < <(there x1)
    mv other.db "$LIFEBOAT_DB"
    there e2 >&9
    exec 9>&-
    ends_with 76
    grep -q 'replaced or removed' append.err
    [ "$(grep -c '"e2"' append.out)" -eq 0 ]
}

@test "a store removed under a running appender is 76, and nothing is acknowledged" {
    feed
    there e1 >&9
    wait_until 10 grep -q '"e1"' append.out
    rm "$LIFEBOAT_DB"
    there e2 >&9
    exec 9>&-
    ends_with 76
    [ "$(grep -c '"e2"' append.out)" -eq 0 ]
}

@test "a store of a newer program is 78 and left untouched" {
    evstore-append -q < <(there e1)
    sqlite3 "$LIFEBOAT_DB" 'pragma user_version = 99; pragma wal_checkpoint(truncate)' >/dev/null
    sha256sum "$LIFEBOAT_DB" >sum
    run_split evstore-append < <(there e2)
    assert_status 78 'a store of version 99; this program knows version'
    run_split evstore-export
    assert_status 78
    sha256sum -c --quiet sum
}

@test "what is no store is 65 and left untouched" {
    sqlite3 other.db 'create table t(x); insert into t values(1)'
    echo 'not a database at all, but a text that is long enough to be one' >text
    for f in other.db text; do
        sha256sum "$f" >sum
        run_split evstore-append -d "$f" < <(there e1)
        assert_status 65 "$f"
        sha256sum -c --quiet sum
    done
}

@test "a file that is still packed is refused in one line, and nothing of it is stored" {
    mkevents 200 >lines
    gzip -c lines >lines.gz
    run_split evstore-append lines.gz
    assert_status 65
    [ "$errout" = 'evstore-append: lines.gz: it is packed by gzip, not lines of events: gzip -dc lines.gz | evstore-append' ]
    run_split evstore-append -q --rejects refused <lines.gz
    assert_status 65 'standard input: it is packed by gzip, not lines of events: gzip -dc FILE | evstore-append'
    [ ! -s refused ]
    count_is 0
}

@test "an empty file becomes a store, a folder that is missing is 73" {
    : >empty.db
    run_split evstore-append -d empty.db < <(there e1)
    assert_status 0
    run_split evstore-append -d nowhere/x.db < <(there e1)
    assert_status 73 'nowhere/x.db'
}

@test "eight writers at once lose nothing" {
    for i in 1 2 3 4 5 6 7 8; do
        mkevents 200 "w$i" >"in$i"
        background "w$i" evstore-append "in$i"
    done
    for p in "${background_pids[@]}"; do wait "$p"; done
    count_is 1600
    cat w?.out | sort | cmp - <(evstore-export | sort)
    [ "$(sqlite3 "$LIFEBOAT_DB" 'pragma integrity_check')" = ok ]
}

@test "a number setting that is none is 78, and named" {
    LIFEBOAT_WAIT=abc run_split evstore-append </dev/null
    assert_status 78 'LIFEBOAT_WAIT: abc: wants a number'
    LIFEBOAT_NOW=x run_split evstore-append </dev/null
    assert_status 78 'LIFEBOAT_NOW: x: wants a number'
}

@test "a store's clock that was ahead is put back by the book; its entity goes on" {
    here | LIFEBOAT_NOW=3976000000000 evstore-append -q
    [ "$(hlc parse "$(hlc now)" | jq .unix_ms)" -eq 3976000000000 ]
    evstore-append -q --type T --entity other/1 --actor me 1
    evstore-export | tail -n 1 | jq_true '.entity_type == "other" and .hlc > "039d"'
    # The lines of lifeboat-recovery(7), THE CLOCK IS WRONG.
    sed -n '/^\$ now=/,/^\$ hlc parse/p' "$top/man/lifeboat-recovery.7" | sed 's/\\e$/\\/; s/^\$ //; /^hlc parse/d' |
        sed "s|/var/lib/lifeboat/lifeboat.db|$LIFEBOAT_DB|" >book
    grep -q 'UPDATE meta' book
    sh -e book
    run_split evstore-append --type T --entity other/2 --actor me 1
    assert_status 0
    jq_true '.hlc < "039d"' "$OUT"
    run_split evstore-append --type T --entity other/1 --actor me 2
    assert_status 0 "took the next time after its newest event"
    jq_true '.hlc > "039d"' "$OUT"
    evstore-verify -q
}

# Without it the services could not write to a store that was begun by hand.
@test "what root makes in the folder of another user is that user's: the store, and all beside it" {
    [ "$(id -u)" -eq 0 ] || skip 'only root can do that'
    # Where other users come to as well, settings and commands too.
    dir=$(mktemp -d /var/tmp/lifeboat-made.XXXXXX)
    cp "$bin/evstore-append" "$bin/kvcache" "$dir"
    chmod 755 "$dir"
    cd "$dir"
    export LIFEBOAT_ENV=/dev/null
    as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$dir/$1" "${@:2}"; }
    for first in append restore; do
        mkdir $first
        chown 65534:65534 $first
        export LIFEBOAT_DB=$PWD/$first/lifeboat.db
        # While it is open: with what SQLite has beside it.
        mkfifo $first.in
        background $first sh -c "exec evstore-$first -q <$first.in"
        exec 9>$first.in
        mkevents 5 >&9
        # (What restore builds aside is not there before the input ends.)
        [ $first = restore ] || wait_until 10 test -s $first/lifeboat.db-wal
        find $first ! -uid 65534 >roots
        exec 9>&-
        wait "$pid"
        echo 1 | syncq enqueue -q jobs
        kvcache set -q a b
        kvcache run k -- true
        find $first ! -uid 65534 >>roots
        [ ! -s roots ] || { cat roots && false; }
        # The service can go on.
        mkevents 7 later | as_nobody evstore-append -q
        [ "$(evstore-export | wc -l)" -eq 12 ]
        as_nobody kvcache get a
    done
    # As the umask has it, as before; and what is root's stays root's.
    mkdir mine
    LIFEBOAT_DB=$PWD/mine/a.db evstore-append -q --type T --entity a/1 --actor x '{}'
    [ "$(stat -c '%u %a' mine/a.db)" = '0 644' ]
    chown 65534 mine
    (umask 077 && LIFEBOAT_DB=$PWD/mine/b.db evstore-append -q --type T --entity a/1 --actor x '{}')
    [ "$(stat -c '%u %a' mine/b.db)" = '65534 600' ]
    cd / && rm -rf "$dir"
}
