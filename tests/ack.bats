#!/usr/bin/env bats
# evstore-ack: what the other side has is marked, and nothing else.
# valgrind: every way to name|bad lines|unknown ids

load helper

setup() {
    private_store
    mkevents 9 evt | evstore-append -q
}

# flags ID: synced and acknowledged.
flags() {
    sqlite3 "$LIFEBOAT_DB" "SELECT synced || acknowledged FROM events WHERE event_id = '$1'"
}

# marked N: so many events are synced, and so many acknowledged.
marked() {
    local n
    n=$(sqlite3 "$LIFEBOAT_DB" 'SELECT sum(synced) || "," || sum(acknowledged) FROM events')
    [ "$n" = "$1,${2-$1}" ] || {
        echo "marked: $n, not $1,${2-$1}" >&2
        return 1
    }
}

@test "every way to name an event marks it" {
    printf '%s\n' evt_0000001 '"evt_0000002"' '{"event_id":"evt_0000003","n":[1]}' \
        ' { "n" : 1 , "event_id" : "evt_0000004" } ' '"evt\u005f0000005"' \
        '{"event\u005fid":"evt\u005f0000006"}' '	evt_0000007 ' >in
    run_split evstore-ack in
    assert_status 0 'evstore-ack: 7 received: 7 marked, 0 rejected'
    assert_out ''
    marked 7
    [ "$(flags evt_0000008)" = 00 ]
}

@test "standard input is read, by itself and as -" {
    run_split sh -c 'echo evt_0000001 | evstore-ack'
    assert_status 0 '1 received: 1 marked'
    echo evt_0000002 >in
    run_split sh -c 'echo evt_0000003 | evstore-ack in -'
    assert_status 0 '2 received: 2 marked'
    marked 3
}

@test "--synced marks as synced only" {
    run_split sh -c 'echo evt_0000001 | evstore-ack --synced'
    assert_status 0
    [ "$(flags evt_0000001)" = 10 ]
    run_split sh -c 'echo evt_0000001 | evstore-ack'
    [ "$(flags evt_0000001)" = 11 ]
    run_split sh -c 'echo evt_0000001 | evstore-ack --synced'
    [ "$(flags evt_0000001)" = 11 ]
}

@test "marking twice is as good as once" {
    for _ in 1 2; do
        run_split sh -c 'echo evt_0000001 | evstore-ack'
        assert_status 0 '1 received: 1 marked, 0 rejected'
    done
    printf 'evt_0000002\nevt_0000002\n' >in
    run_split evstore-ack in
    assert_status 0 '2 received: 2 marked, 0 rejected'
    marked 2
}

@test "a sealed export can be given back as it is" {
    evstore-export --unsynced --seal >in
    run_split evstore-ack in
    assert_status 0 '9 received: 9 marked, 0 rejected'
    marked 9
    run_split evstore-export --unsynced
    assert_out ''
}

@test "blank lines, CRLF, a BOM and a last line without LF are taken" {
    printf '\xef\xbb\xbfevt_0000001\r\n\n  \r\nevt_0000002' >in
    run_split evstore-ack in
    assert_status 0 '2 received: 2 marked'
    marked 2
}

@test "unknown ids are named and set aside, the others marked" {
    printf '%s\n' evt_0000001 nobody '{"event_id":"none"}' evt_0000002 null >in
    run_split evstore-ack --rejects out in
    assert_status 1 'evstore-ack: in:2: byte 12: event nobody: not in this store'
    [[ $errout == *'in:3: byte 19: event none: not in this store'* ]]
    [[ $errout == *'5 received: 2 marked, 3 rejected'* ]]
    [ "$(cat out)" = "$(sed -n '2p;3p;5p' in)" ]
    marked 2
}

@test "bad lines are named with their place and reason" {
    printf '%s\n' 'two words' '"open' '{}' '{"event_id":7}' '{"event_id":"a","event_id":"b"}' \
        '{"event_id":"a"' '""' 'é' '"a b"' evt_0000001 "$(printf '%0200d' 0)" >in
    run_split evstore-ack --rejects out --max-line 190 in
    assert_status 1 'in:1: byte 0: not an event_id: wants 1 to 128 of A-Z a-z 0-9 . _ : -'
    [[ $errout == *'in:2: byte 10: a string that does not end'* ]]
    [[ $errout == *'in:3: byte '*': event_id: missing'* ]]
    [[ $errout == *'in:4: byte 20: event_id: wants a string'* ]]
    [[ $errout == *'in:5: byte '*': event_id: is there twice'* ]]
    [[ $errout == *'in:6: byte '*': the text ends inside an object'* ]]
    [[ $errout == *'in:11: byte '*': longer than 190 bytes (--max-line)'* ]]
    [[ $errout == *'11 received: 1 marked, 10 rejected'* ]]
    [ "$(cat out)" = "$(sed 10d in)" ]
    marked 1
}

@test "a pipe that trickles is durable line by line" {
    mkfifo pipe
    background ack evstore-ack pipe
    exec 9>pipe
    echo evt_0000001 >&9
    wait_until 5 eval '[ "$(flags evt_0000001)" = 11 ]'
    echo evt_0000002 >&9
    wait_until 5 eval '[ "$(flags evt_0000002)" = 11 ]'
    exec 9>&-
    wait "$pid"
    [ "$(cat ack.err)" = 'evstore-ack: 2 received: 2 marked, 0 rejected' ]
}

@test "TERM ends it between two batches, with the summary" {
    mkfifo pipe
    background ack evstore-ack pipe
    exec 9>pipe
    echo evt_0000001 >&9
    wait_until 5 eval '[ "$(flags evt_0000001)" = 11 ]'
    kill -TERM "$pid"
    status=0
    wait "$pid" || status=$?
    exec 9>&-
    [ "$status" -eq 143 ]
    [ "$(cat ack.err)" = 'evstore-ack: 1 received: 1 marked, 0 rejected' ]
}

@test "a flood is marked whole" {
    [ "$checker" != valgrind ] || skip 'too slow here'
    mkevents 25000 flood | evstore-append -q
    run_split sh -c 'evstore-export | evstore-ack'
    assert_status 0 '25009 received: 25009 marked, 0 rejected'
    marked 25009
}

@test "it waits at the gate, then gives 75 and has marked nothing" {
    echo evt_0000001 >in
    LIFEBOAT_WAIT=1 run_split flock "$LIFEBOAT_DB-gate" evstore-ack in
    assert_status 75 'the store is busy'
    marked 0
}

@test "a store that is replaced meanwhile is 76" {
    mkfifo pipe
    background ack evstore-ack pipe
    exec 9>pipe
    echo evt_0000001 >&9
    wait_until 5 eval '[ "$(flags evt_0000001)" = 11 ]'
    mkevents 9 evt | evstore-append -q -d other.db
    mv other.db "$LIFEBOAT_DB"
    echo evt_0000002 >&9
    exec 9>&-
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 76 ]
    grep -q 'replaced or removed while it was open' ack.err
}

@test "no store, no file, no room for rejects: each has its status" {
    run_split evstore-ack -d none.db /dev/null
    assert_status 66 'none.db: no such store'
    [ ! -e none.db ]
    run_split evstore-ack none
    assert_status 66 'unable to open none'
    run_split evstore-ack --rejects none/out /dev/null
    assert_status 73 'unable to open none/out'
    echo nobody >in
    run_split evstore-ack --rejects /dev/full in
    assert_status 74 'unable to write /dev/full'
}

@test "-q is silent but for what is wrong" {
    printf 'evt_0000001\nnobody\n' >in
    run_split evstore-ack -q in
    assert_status 1
    [ "$errout" = 'evstore-ack: in:2: byte 12: event nobody: not in this store' ]
}

@test "marks do not touch the proof" {
    before=$(evstore-export --digest)
    evstore-export | evstore-ack -q
    [ "$(evstore-export --digest)" = "$before" ]
}
