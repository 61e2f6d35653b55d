#!/usr/bin/env bats
# hlc: one clock for a site, whatever its wall clocks say.
# valgrind: send ticks|parse prints|compare says|in the order of

load helper

# A wall clock that no build of this program is younger than.
now=3000000000000
day=86400000

setup() {
    private_store
    export LIFEBOAT_NOW=$now LIFEBOAT_DEVICE=box
}

hlc_of() { printf '%012x.%04x' "$1" "${2-0}"; }

# set_clock HLC: of the store, which is made.
set_clock() {
    hlc send >/dev/null && sqlite3 "$LIFEBOAT_DB" "UPDATE meta SET value = '$1' WHERE key = 'hlc'"
}

# A store that has an event is not blank.
one_event() {
    evstore-append -q --type T --entity case/1 --actor n 1
}

silent() {
    [ ! -s "$ERR" ] || show_run "wanted nothing on stderr"
}

# lines FILE N...: these lines of the file, in this order.
lines() {
    local n
    for n in "${@:2}"; do sed -n "${n}p" "$1"; done
}

# ev HLC ID [MEMBERS]
ev() { printf '{"hlc":"%s","event_id":"%s"%s}\n' "$1" "$2" "${3-}"; }

@test "send ticks: the wall clock first, then the counter" {
    run_split hlc send
    assert_status 0
    silent
    assert_out "$(hlc_of $now)"
    run_split hlc send
    assert_out "$(hlc_of $now 1)"
    LIFEBOAT_NOW=$((now + 5)) run_split hlc send
    assert_out "$(hlc_of $((now + 5)))"
}

@test "a wall clock that goes back does not take the clock along" {
    hlc send
    LIFEBOAT_NOW=5 run_split hlc send
    assert_status 0
    assert_out "$(hlc_of $now 1)"
}

@test "a full counter moves the millisecond on" {
    set_clock "$(hlc_of $now 65535)"
    run_split hlc send
    assert_status 0
    assert_out "$(hlc_of $((now + 1)))"
}

@test "now prints the clock and does not move it" {
    hlc send
    run_split hlc now
    assert_status 0
    silent
    assert_out "$(hlc_of $now)"
    run_split hlc now
    assert_out "$(hlc_of $now)"
}

@test "now makes no store" {
    run_split hlc now
    assert_status 66 "$LIFEBOAT_DB: no such store"
    [ ! -e "$LIFEBOAT_DB" ]
}

@test "-d names the store, before the command and behind it" {
    hlc -d a.db send
    run_split hlc now --db a.db
    assert_status 0
    assert_out "$(hlc_of $now)"
    [ ! -e "$LIFEBOAT_DB" ]
}

@test "recv goes past the message and past itself" {
    run_split hlc recv "$(hlc_of $((now + 10)) 7)"
    assert_status 0
    silent
    assert_out "$(hlc_of $((now + 10)) 8)"
    run_split hlc recv "$(hlc_of $((now + 10)) 3)"
    assert_out "$(hlc_of $((now + 10)) 9)"
    run_split hlc recv "$(hlc_of 12 3)"
    assert_out "$(hlc_of $((now + 10)) 10)"
}

@test "recv does not follow a message from far ahead" {
    one_event
    far=$(hlc_of $((now + day + 1)))
    run_split hlc recv "$far"
    assert_status 0 "hlc: $far: warning: far ahead of the clock here; not followed (see --adopt-clock)"
    assert_out "$(hlc_of $now 1)"
}

@test "just a day ahead is not far" {
    one_event
    run_split hlc recv "$(hlc_of $((now + day)))"
    assert_status 0
    silent
    assert_out "$(hlc_of $((now + day)) 1)"
}

@test "--max-drift says what is far" {
    one_event
    run_split hlc recv --max-drift 10s "$(hlc_of $((now + 10001)))"
    assert_status 0 'not followed'
    run_split hlc recv --max-drift 2d "$(hlc_of $((now + 2 * day)))"
    assert_status 0
    silent
}

@test "a clock that is ahead itself measures the distance from there" {
    one_event
    set_clock "$(hlc_of $((now + day)))"
    run_split hlc recv "$(hlc_of $((now + 2 * day)))"
    assert_status 0
    silent
    assert_out "$(hlc_of $((now + 2 * day)) 1)"
}

@test "--adopt-clock follows, and says so" {
    one_event
    run_split hlc recv --adopt-clock "$(hlc_of $((now + 9 * day)))"
    assert_status 0 'warning: far ahead of the clock here; followed'
    assert_out "$(hlc_of $((now + 9 * day)) 1)"
}

@test "a store without events follows" {
    run_split hlc recv "$(hlc_of $((now + 9 * day)))"
    assert_status 0 'followed'
    assert_out "$(hlc_of $((now + 9 * day)) 1)"
}

@test "a wall clock older than the program follows" {
    LIFEBOAT_NOW=1000 one_event
    LIFEBOAT_NOW=1000 run_split hlc recv "$(hlc_of $now)"
    assert_status 0 'followed'
    assert_out "$(hlc_of $now 1)"
}

@test "the end of the range is refused and the clock stays" {
    hlc send
    run_split hlc recv ffffffffffff.ffff
    assert_status 65 'hlc: the clock cannot go past the end of its range'
    assert_out ''
    run_split hlc now
    assert_out "$(hlc_of $now)"
}

@test "events and hlc share the clock" {
    hlc recv "$(hlc_of $((now + 99)))"
    run_split evstore-append -q --type T --entity case/1 --actor n 1
    run_split evstore-export
    [[ $out == *"\"hlc\":\"$(hlc_of $((now + 99)) 2)\""* ]]
}

@test "a reading that is none is refused before the store is made" {
    run_split hlc recv 019BEAABAC13.0001
    assert_status 65 'hlc: 019BEAABAC13.0001: not an HLC'
    [ ! -e "$LIFEBOAT_DB" ]
}

@test "a clock in the store that is none is named" {
    set_clock nonsense
    for c in now send; do
        run_split hlc $c
        assert_status 65 "$LIFEBOAT_DB: the clock in its meta table is not one"
        assert_out ''
    done
}

@test "send and recv wait at the gate, then give 75" {
    hlc send
    for c in send "recv $(hlc_of $now)"; do
        # shellcheck disable=SC2086
        LIFEBOAT_WAIT=1 run_split flock "$LIFEBOAT_DB-gate" hlc $c
        assert_status 75 'the store is busy'
        assert_out ''
    done
    run_split hlc now
    assert_out "$(hlc_of $now)"
}

@test "a tick that cannot be printed is a failed run" {
    run_split sh -c 'hlc send >/dev/full'
    assert_status 74 'hlc: unable to write to standard output: No space left on device'
}

@test "parse prints what a reading means" {
    run_split hlc parse 017f22e279b0.0003 000000000000.0000 ffffffffffff.ffff
    assert_status 0
    silent
    assert_out '{"hlc":"017f22e279b0.0003","unix_ms":1645557742000,"counter":3,"time":"2022-02-22T19:22:22.000Z"}
{"hlc":"000000000000.0000","unix_ms":0,"counter":0,"time":"1970-01-01T00:00:00.000Z"}
{"hlc":"ffffffffffff.ffff","unix_ms":281474976710655,"counter":65535,"time":"10889-08-02T05:31:50.655Z"}'
}

@test "parse names what is none and goes on" {
    run_split hlc parse 017f22e279b0 x 017f22e279b0.0003
    assert_status 1 'hlc: 017f22e279b0: not an HLC'
    [[ $errout == *'hlc: x: not an HLC'* ]]
    [ "$(wc -l <"$OUT")" -eq 1 ]
}

@test "compare says which one is before" {
    run_split hlc compare 019beaabac13.0000 019beaabac13.0001
    assert_status 1
    silent
    assert_out '<'
    run_split hlc compare 019beaabac14.0000 019beaabac13.ffff
    assert_status 1
    silent
    assert_out '>'
    run_split hlc compare 019beaabac13.0001 019beaabac13.0001
    assert_status 0
    silent
    assert_out '='
}

@test "compare gives 2 for what it cannot compare" {
    for pair in 'x 019beaabac13.0001' '019beaabac13.0001 x'; do
        # shellcheck disable=SC2086
        run_split hlc compare $pair
        assert_status 2 'hlc: x: not an HLC'
        assert_out ''
    done
}

@test "lines are sorted in the order of (hlc, event_id)" {
    ev "$(hlc_of 5)" b >in
    ev "$(hlc_of 5)" a >>in
    ev "$(hlc_of 4 9)" z >>in
    ev "$(hlc_of 5 1)" B >>in
    ev "$(hlc_of 5)" A >>in
    run_split hlc sort in
    assert_status 0
    silent
    assert_out "$(lines in 3 5 2 1 4)"
    run_split sh -c 'cat in | hlc sort'
    assert_out "$(lines in 3 5 2 1 4)"
    run_split sh -c 'head -n 2 in | hlc sort - in'
    [ "$(wc -l <"$OUT")" -eq 7 ]
}

@test "the sort is stable" {
    for i in 3 1 2 9 0; do ev "$(hlc_of 5)" a ",\"n\":$i"; done >in
    run_split hlc sort in
    assert_status 0
    assert_out "$(cat in)"
}

@test "it is the order of an export" {
    mkevents 500 | evstore-append -q
    evstore-export >want
    sort -R want >mixed
    run_split hlc sort mixed
    assert_status 0
    cmp want "$OUT"
}

@test "without an hlc the device's time counts" {
    printf '%s\n' '{"timestamp":"1970-01-01T00:00:00.007Z"}' '{"ts_device":6,"hlc":null}' \
        '{"timestamp":8}' "$(ev "$(hlc_of 7 1)" a)" >in
    run_split hlc sort in
    assert_status 0
    silent
    assert_out "$(lines in 2 1 4 3)"
}

@test "lines keep their bytes; endings become LF, blank and control lines go" {
    printf '\xef\xbb\xbf{ "hlc" : "%s","a":1.50,\t"a":"\\u00e9" }\r\n\n{"lifeboat_end":{}}\n{"h\\u006cc":"%s"}' \
        "$(hlc_of 5)" "$(hlc_of 4)" >in
    run_split hlc sort in
    assert_status 0
    silent
    assert_out "{\"h\\u006cc\":\"$(hlc_of 4)\"}
{ \"hlc\" : \"$(hlc_of 5)\",\"a\":1.50,	\"a\":\"\\u00e9\" }"
}

@test "a line that cannot be placed is named, set aside, and the others are sorted" {
    printf '%s\n' '{"hlc":"x"}' "$(ev "$(hlc_of 5)" b)" '{"a":1}' 'nope' '{"hlc":3}' \
        "$(ev "$(hlc_of 5)" 'b d')" "{\"hlc\":\"$(hlc_of 5)\",\"hlc\":\"$(hlc_of 5)\"}" \
        '{"ts_device":-1}' '[]' "$(ev "$(hlc_of 4)" a)" '{"ts_device":1' >in
    run_split hlc sort --rejects out in
    assert_status 1 'hlc: in:1: byte 1: hlc: not an HLC'
    [[ $errout == *'in:3: byte '*': hlc: missing, and ts_device as well'* ]]
    [[ $errout == *'in:7: byte '*': a member that is there twice'* ]]
    [[ $errout == *"in:11: byte $(($(wc -c <in) - 1)): the text ends inside an object"* ]]
    assert_out "$(lines in 10 2)"
    [ "$(cat out)" = "$(sed '2d;10d' in)" ]
}

@test "a line that is too long is refused whole" {
    { ev "$(hlc_of 5)" b && ev "$(hlc_of 5)" a ",\"x\":\"$(printf '%0300d' 1)\"" && ev "$(hlc_of 4)" c; } >in
    run_split hlc sort --max-line 200 --rejects out in
    assert_status 1 'in:2: byte 43: longer than 200 bytes (--max-line)'
    assert_out "$(lines in 3 1)"
    [ "$(cat out)" = "$(sed -n 2p in)" ]
}

@test "more than sort(1) keeps in memory goes through temporary files" {
    [ -z "$checker" ] || skip 'too slow here'
    mkevents 300000 | tac >in
    mkdir temp
    TMPDIR=$BATS_TEST_TMPDIR/temp run_split hlc sort in
    assert_status 0
    [ "$(wc -l <"$OUT")" -eq 300000 ]
    run_split hlc sort "$OUT"
    assert_status 0
    [ -z "$(ls temp)" ]
}

@test "no room for temporary files is an I/O error" {
    [ -z "$checker" ] || skip 'too slow here'
    mkevents 300000 >in
    TMPDIR=$BATS_TEST_TMPDIR/none run_split hlc sort in
    assert_status 74 'hlc: sort: exit status 2: sort: cannot create temporary file'
    assert_out ''
}

@test "a missing file is named and nothing is printed" {
    ev "$(hlc_of 5)" b >in
    run_split hlc sort in none
    assert_status 66 'hlc: unable to open none: No such file or directory'
    assert_out ''
}

@test "a sort whose reader leaves dies of SIGPIPE; a full disk is 74" {
    mkevents 20000 >in
    run_split bash -c 'hlc sort in | head -n 1 >/dev/null; exit ${PIPESTATUS[0]}'
    assert_status 141
    run_split sh -c 'hlc sort in >/dev/full'
    assert_status 74 'unable to write to standard output'
}

@test "TERM ends a sort that waits for input" {
    mkfifo pipe
    background sorting hlc sort pipe
    exec 9>pipe
    ev "$(hlc_of 5)" b >&9
    wait_until 5 pgrep -P "$pid" sort >/dev/null
    kill -TERM "$pid"
    status=0
    wait "$pid" || status=$?
    exec 9>&-
    [ "$status" -eq 143 ]
    [ ! -s sorting.out ]
}

@test "the wrong use is 64" {
    for wrong in '' frob 'send 1' recv 'recv a b' 'now x' parse 'compare a' 'compare a b c' \
        '--adopt-clock send' '--rejects r now' '--max-line 5 parse x' '--max-drift 5 sort' --frob; do
        # shellcheck disable=SC2086
        run_split hlc $wrong
        assert_status 64 'hlc: try hlc --help'
        assert_out ''
    done
}

@test "--help names every command, --version the version" {
    run_split hlc --help
    assert_status 0
    for c in send recv now parse compare sort; do [[ $out == *" $c"* ]]; done
    run_split hlc -V
    assert_status 0
    [[ $out == 'hlc (lifeboat) '* ]]
}
