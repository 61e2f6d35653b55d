#!/usr/bin/env bats
# A live standby: evstore-export --follow into evstore-restore --follow, over a
# pipe that breaks, and a hub that is lost, replaced or rolled back under it.
# valgrind: cut within a line|keeps its cursor|acknowledge|heartbeat|silence
# shellcheck disable=SC2030,SC2031 # each test is its own shell
load helper

setup() {
    private_store
    hub=$PWD/hub standby=$PWD/standby
    unset LIFEBOAT_DB
    shopt -s lastpipe
    mkfifo pipe
}

append() { # N TAG
    mkevents "$@" | evstore-append -q -d "$hub"
}

cursor() { evstore-restore -d "$standby" --cursor-of hub; }
count() { evstore-export -d "$1" | wc -l; }
has_events() { [ -e "$1" ] && [ "$(count "$1")" -eq "$2" ]; }
digest() { evstore-export -d "$1" --digest; }
equal() { [ "$(digest "$hub")" = "$(digest "$standby")" ]; }

# is FILTER: true of the JSON on stdin. Not jq -e, to which nothing is as good.
is() { [ "$(jq "$1")" = true ]; }

# The two sides of the pipe; $tx and $rx are their pids.
send() { exec evstore-export -d "$hub" --follow --full --after "$1" >pipe; }
receive() { exec evstore-restore -q -d "$standby" --follow --source hub <pipe; }
connect() {
    background tx send "$(cursor)"
    tx=$pid
    background rx receive
    rx=$pid
}

ended() {
    status=0
    wait "$1" || status=$?
}

# Everything the standby's cursor speaks of is in the standby.
covered() {
    local at
    at=$(cursor)
    [ "$at" != start ] || return 0
    at=${at#*:}
    evstore-export -d "$hub" --limit "${at%%:*}" | jq -r .event_id | sort >.sent
    evstore-export -d "$standby" | jq -r .event_id | sort >.there
    [ -z "$(comm -23 .sent .there)" ] || { comm -23 .sent .there | head >&2 && return 1; }
}

@test "an unknown source's cursor is start, with a store and without" {
    run_split evstore-restore -d "$standby" --cursor-of hub
    assert_status 0
    assert_out start
    [ ! -e "$standby" ]
    evstore-append -d "$standby" </dev/null
    run_split evstore-restore -d "$standby" --cursor-of hub
    assert_status 0
    assert_out start
}

@test "the standby takes what there is, then each event within 2 seconds" {
    append 20
    connect
    wait_until 10 has_events "$standby" 20
    for n in 21 22 23; do
        append 1 "more$n"
        wait_until 2 has_events "$standby" "$n"
    done
    wait_until 2 equal
    kill -TERM "$tx"
    ended "$tx"
    [ "$status" -eq 143 ]
    ended "$rx"
    [ "$status" -eq 0 ]
    [ ! -s "$BATS_TEST_TMPDIR/rx.err" ]
    evstore-restore -d "$standby" --list >log
    is '.kind == "follow" and .source_device_id == "hub" and .status == "COMPLETED"
        and .events_received == 23 and .events_inserted == 23' <log
    [ "$(sqlite3 "$standby" 'SELECT name, events FROM sources')" = 'hub|23' ]
}

@test "the receiver keeps its cursor, so that nothing is sent twice" {
    append 20
    connect
    wait_until 10 equal
    wait_until 10 covered
    kill -9 "$tx"
    ended "$rx"
    before=$(cursor)
    [[ $before =~ ^[0-9a-f]{16}:20:[0-9a-f]{8}$ ]]
    append 5 more
    connect
    wait_until 10 equal
    kill -TERM "$tx"
    ended "$rx"
    evstore-restore -d "$standby" --list | tail -n 1 | is '.events_received == 5 and .events_inserted == 5'
    [ "$(cursor | cut -d : -f 2)" -eq 25 ]
}

@test "under load, the pipe killed 20 times, each side in turn: the same events at the end" {
    load_hub() {
        local i
        for ((i = 0; i < 1000; i++)); do
            [ ! -e "$BATS_TEST_TMPDIR/enough" ] || return 0
            append 20 "load$i" || return
        done
    }
    background load load_hub
    loader=$pid
    wait_until 10 test -s "$hub"
    for ((n = 0; n < 20; n++)); do
        before=$(cursor)
        went_on() { [ "$(cursor)" != "$before" ]; }
        connect
        wait_until 20 went_on
        if ((n % 2)); then
            kill -9 "$tx"
            ended "$rx"
            [ "$status" -eq 0 ] || [ "$status" -eq 75 ]
        else
            kill -9 "$rx"
            ended "$tx"
            [ "$status" -eq 141 ]
        fi
        covered
    done
    touch enough
    ended "$loader"
    [ "$status" -eq 0 ]
    connect
    wait_until 20 equal
    kill -TERM "$tx"
    ended "$rx"
    [ "$status" -eq 0 ]
    cmp <(evstore-export -d "$hub") <(evstore-export -d "$standby")
    [ "$(sqlite3 "$standby" 'PRAGMA integrity_check')" = ok ]
    # Nothing was refused on the way: a cut line is not a bad one.
    evstore-restore -d "$standby" --list | jq -s . | is 'all(.[]; .events_rejected == 0
        and .events_received == .events_inserted + .events_already_present)'
}

@test "a stream cut within a line is 75, and its rest is not counted as rejected" {
    append 3
    evstore-export -d "$hub" --order seq >ev
    { head -n 2 ev && sed -n 3p ev | head -c 60; } |
        run_split evstore-restore -d "$standby" --follow --source hub --session s
    assert_status 75
    [ "$errout" = 'evstore-restore: standard input: the stream was cut within a line; go on from --cursor-of' ]
    has_events "$standby" 2
    evstore-restore -d "$standby" --status s |
        is '.events_received == 2 and .events_inserted == 2 and .events_rejected == 0'
    [ "$(cursor)" = start ]
}

@test "a control line that this version does not know ends a stream with 76" {
    append 3
    evstore-export -d "$hub" --order seq --seal >sealed
    { head -n 2 sealed && echo '{"lifeboat_later":1}' && sed -n 3p sealed; } |
        run_split evstore-restore -d "$standby" --follow --source hub
    assert_status 76 'standard input: line 3: a control line that is neither a seal nor a cursor: is the sender newer?'
    # What stood behind it is not taken, for nobody knows what was said of it.
    evstore-export -d "$standby" >there
    [ "$(comm -13 <(head -n 2 sealed | sort) <(sort there))" = '' ]
    [ "$(cursor)" = start ]
}

@test "a cursor is stored only with what stands before it" {
    append 3
    evstore-export -d "$hub" --order seq --seal >sealed
    to=$(tail -n 1 sealed | jq -r .lifeboat_end.to)
    exec {fd}<>pipe
    background rx receive
    head -n 3 sealed >&"$fd"
    wait_until 10 has_events "$standby" 3
    [ "$(cursor)" = start ]
    printf '{"lifeboat_cursor":"%s"}\n' "$to" >&"$fd"
    reached() { [ "$(cursor)" = "$to" ]; }
    wait_until 10 reached
    kill -TERM "$pid"
    ended "$pid"
    exec {fd}>&-
    [ "$status" -eq 143 ]
    [ "$(evstore-restore -d "$standby" --list | jq -r .status)" = INTERRUPTED ]
    [ "$(sqlite3 "$standby" 'SELECT events FROM sources')" -eq 3 ]
}

@test "what the standby refuses is counted, and the stream goes on behind it" {
    append 3
    mkevents 1 | sed 's/"payload":.*/"payload":"other"}/' | evstore-restore -q -d "$standby"
    connect
    wait_until 10 has_events "$standby" 3
    kill -TERM "$tx"
    ended "$rx"
    [ "$status" -eq 1 ]
    evstore-restore -d "$standby" --list | tail -n 1 | is '.status == "PARTIAL"
        and .events_received == 3 and .events_inserted == 2 and .conflicts == 1 and .events_rejected == 1'
    [ "$(cursor | cut -d : -f 2)" -eq 3 ]
    [ "$(evstore-export -d "$standby" --conflicts | wc -l)" -eq 1 ]
}

@test "one receiver for a source: a second one gets 75, one for another source its turn" {
    append 3
    connect
    wait_until 10 equal
    run_split evstore-restore -d "$standby" --follow --source hub </dev/null
    assert_status 75
    [ "$errout" = "evstore-restore: $standby: another one is running ($standby-source-hub is locked): try again later" ]
    mkevents 2 x | run_split evstore-restore -q -d "$standby" --follow --source other
    assert_status 0
    has_events "$standby" 5
    append 1 more
    wait_until 10 has_events "$standby" 6
}

@test "an ordinary restore into the standby works meanwhile" {
    append 3
    connect
    wait_until 10 equal
    mkevents 10 x | run_split evstore-restore -d "$standby"
    assert_status 0
    has_events "$standby" 13
    append 1 more
    wait_until 10 has_events "$standby" 14
    # Between the parts of a session too.
    mkevents 2 y | run_split evstore-restore -d "$standby" --session s --more
    assert_status 0
    append 1 evenmore
    wait_until 10 has_events "$standby" 17
    [ "$(evstore-restore -d "$standby" --status s | jq -r .status)" = IN_PROGRESS ]
}

@test "the hub replaced by a blank store: the exporter says so, 76, and again when resumed" {
    append 5
    connect
    wait_until 10 equal
    wait_until 10 covered
    at=$(cursor)
    rm -f "$hub" "$hub"-wal "$hub"-shm
    append 2 new
    ended "$tx"
    [ "$status" -eq 76 ]
    [ "$(cat tx.err)" = "evstore-export: $hub: replaced or removed while it was followed" ]
    ended "$rx"
    [ "$status" -eq 0 ]
    run_split evstore-export -d "$hub" --follow --after "$at"
    assert_status 76
    [[ $errout == "evstore-export: cursor $at: of another store; this one is "*': its box was replaced or the cursor is of another source: go on with "start"' ]]
    assert_out ''
    # Nothing that came after was taken for the old hub's.
    has_events "$standby" 5
    # What it says is what helps.
    background tx send start
    background rx receive
    wait_until 10 has_events "$standby" 7
}

rolled_back_test() { # FUNCTION that puts the older copy "old" in the hub's place
    append 5
    sqlite3 "$hub" ".backup '$PWD/old'"
    append 5 later
    connect
    wait_until 10 equal
    wait_until 10 covered
    at=$(cursor)
    "$1"
    append 1 again
    ended "$tx"
    [ "$status" -eq 76 ]
    [[ $(cat tx.err) == "evstore-export: "$2 ]] || { cat tx.err >&2 && return 1; }
    ended "$rx"
    has_events "$standby" 10
    run_split evstore-export -d "$hub" --follow --after "$at"
    assert_status 76
    [ "$errout" = "evstore-export: cursor $at: beyond the end of this store: it was rolled back to an older copy: go on with \"start\"" ]
    append 5 andagain
    run_split evstore-export -d "$hub" --follow --after "$at"
    assert_status 76
    [[ $errout == "evstore-export: cursor $at: event 10 is another one here ("*'): the store was rolled back and written anew: go on with "start"' ]]
    assert_out ''
}

@test "the hub rolled back to an older copy, another file: 76" {
    copy_back() { rm -f "$hub-wal" "$hub-shm" && mv old "$hub"; }
    rolled_back_test copy_back "*: replaced or removed while it was followed"
}

@test "the hub rolled back to an older copy, in the same file: 76" {
    restore_back() { flock "$hub-gate" sqlite3 "$hub" ".restore '$PWD/old'"; }
    rolled_back_test restore_back "cursor *: beyond the end of this store: it was rolled back to an older copy: go on with \"start\""
}

@test "the standby replaced under its receiver: 76, and the new one takes all from start" {
    append 5
    connect
    wait_until 10 equal
    rm -f "$standby" "$standby"-wal "$standby"-shm
    evstore-append -d "$standby" </dev/null
    append 1 more
    ended "$rx"
    [ "$status" -eq 76 ]
    grep -qxF "evstore-restore: $standby: replaced or removed while it was open; nothing of the last batch was kept: run this again" rx.err
    has_events "$standby" 0
    append 1 evenmore
    ended "$tx"
    [ "$status" -eq 141 ]
    [ "$(cursor)" = start ]
    connect
    wait_until 10 equal
}

# The lines of FILE are so many, each that of CURSOR.
acknowledged() { [ "$(tail -n 1 "$1")" = "{\"lifeboat_cursor\":\"$2\"}" ]; }
seq_of() { cut -d : -f 2; }

@test "--acks acknowledges a cursor when it is stored, not before, and repeats it when asked" {
    append 3
    evstore-export -d "$hub" --order seq --seal >sealed
    to=$(tail -n 1 sealed | jq -r .lifeboat_end.to)
    exec {fd}<>pipe
    background rx sh -c 'exec evstore-restore -q -d "$0" --follow --acks --source hub <pipe' "$standby"
    head -n 3 sealed >&"$fd"
    wait_until 10 has_events "$standby" 3
    [ ! -s rx.out ]
    printf '{"lifeboat_cursor":"%s"}\n' "$to" >&"$fd"
    wait_until 10 acknowledged rx.out "$to"
    [ "$(cursor)" = "$to" ]
    # What is stored already is no reason to write, but to answer.
    sqlite3 "$standby" "UPDATE sources SET updated_at = 1"
    printf '{"lifeboat_cursor":"%s"}\n' "$to" >&"$fd"
    answered_twice() { [ "$(grep -cF "$to" rx.out)" -eq 2 ]; }
    wait_until 10 answered_twice
    [ "$(sqlite3 "$standby" 'SELECT updated_at FROM sources')" -eq 1 ]
    kill -TERM "$pid"
    ended "$pid"
    exec {fd}>&-
    [ "$status" -eq 143 ]
}

@test "--acks notes by the time of a file when the sender was heard, from its first cursor on" {
    append 1
    exec {fd}<>pipe
    background rx sh -c 'exec evstore-restore -q -d "$0" --follow --acks --source hub <pipe' "$standby"
    evstore-export -d "$hub" --order seq >&"$fd"
    wait_until 10 has_events "$standby" 1
    # A part of a wave is no sign that its end came.
    [ ! -e "$standby-heard-hub" ]
    to=$(evstore-export -d "$hub" --seal | tail -n 1 | jq -r .lifeboat_end.to)
    printf '{"lifeboat_cursor":"%s"}\n' "$to" >&"$fd"
    wait_until 10 test -e "$standby-heard-hub"
    wait_until 10 acknowledged rx.out "$to"
    touch -d @1000 "$standby-heard-hub"
    mkevents 2 | tail -n 1 >&"$fd"
    wait_until 10 has_events "$standby" 2
    [ "$(stat -c %Y "$standby-heard-hub")" -eq 1000 ]
    printf '{"lifeboat_cursor":"%s"}\n' "$to" >&"$fd"
    heard() { [ "$(stat -c %Y "$standby-heard-hub")" -gt 1000 ]; }
    wait_until 10 heard
    stop_background
    exec {fd}>&-
}

@test "a sender that says nothing is not one that was heard" {
    run_split evstore-restore -q -d "$standby" --follow --acks --source hub </dev/null
    assert_status 0
    [ -e "$standby-source-hub" ]
    [ ! -e "$standby-heard-hub" ]
}

@test "who does not ask for acknowledgements gets none, and no file" {
    append 3
    connect
    wait_until 10 covered
    wait_until 10 equal
    kill -TERM "$tx"
    ended "$rx"
    [ ! -s rx.out ]
    [ ! -e "$standby-heard-hub" ]
}

@test "--heartbeat: the cursor at once, and again while nothing is said" {
    append 2
    background tx evstore-export -d "$hub" --follow --heartbeat 1 --after start
    five() { [ "$(grep -c lifeboat_cursor tx.out)" -ge 4 ]; }
    wait_until 10 five
    [ "$(head -n 1 tx.out | jq -r .lifeboat_cursor | seq_of)" -eq 2 ] ||
        [ "$(head -n 1 tx.out | jq -r .event_id)" = evt_0000001 ]
    [ "$(grep -c event_id tx.out)" -eq 2 ]
    [ "$(tail -n 1 tx.out | jq -r .lifeboat_cursor | seq_of)" -eq 2 ]
    # Events go out as they are committed, whatever the heartbeat.
    append 1 more
    six() { grep -q more_0000001 tx.out; }
    wait_until 2 six
    # The cursor of a blank store is one to go on from, too.
    background blank sh -c 'evstore-append -q -d blank.db </dev/null && exec evstore-export -d blank.db --follow --heartbeat 60'
    wait_until 10 test -s blank.out
    evstore-export -d blank.db --after "$(jq -r .lifeboat_cursor blank.out)"
}

@test "--silence: a sender that says nothing is given up, and its place is free" {
    append 1
    exec {fd}<>pipe
    background rx sh -c 'exec evstore-restore -q -d "$0" --follow --acks --silence 1 --source hub <pipe' "$standby"
    ended "$pid"
    [ "$status" -eq 75 ]
    grep -qxF 'evstore-restore: standard input: nothing came for 1 s' rx.err
    exec {fd}>&-
    connect
    wait_until 10 has_events "$standby" 1
    stop_background
    # One whose heart beats is not.
    background tx sh -c 'exec evstore-export -d "$0" --follow --full --heartbeat 1 --after start >pipe' "$hub"
    background beat sh -c 'exec evstore-restore -q -d "$0" --follow --acks --silence 3 --source other <pipe' "$standby"
    beats() { [ "$(wc -l <beat.out)" -ge 5 ]; }
    wait_until 15 beats
    [ ! -s beat.err ]
}

@test "options of a live stream without one are refused" {
    run_split evstore-export --heartbeat 5
    assert_status 64 '--heartbeat goes with --follow'
    run_split evstore-restore --acks
    assert_status 64 '--acks goes with --follow'
    run_split evstore-restore --silence 5
    assert_status 64 '--silence goes with --follow'
}
