#!/usr/bin/env bats
# lib/http/stream: what is new in a store as server-sent events, through
# tests/tools/streamer: streamer DB TOPICS ID ACTOR HEARTBEAT_MS PATIENCE_MS.
# shellcheck disable=SC2094 # cmp only reads

load helper

db() { sqlite3 "$LIFEBOAT_DB" "$1"; }
export streamer=$build/tools/streamer

append() { # ID [ACTOR [PAYLOAD]]
    evstore-append -q --id "$1" --type T --entity case/1 --actor "${2-me}" "${3-{\}}"
}

# stream NAME [TOPICS [ID [ACTOR [HEARTBEAT_MS [PATIENCE_MS]]]]]: one that has greeted.
stream() {
    local name=$1
    shift
    background "$name" "$streamer" "$LIFEBOAT_DB" "$@"
    wait_until 10 grep -qs '^id: ' "$name.out"
}

ends_with() { # STATUS: of the process in $pid
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq "$1" ]
}

# messages FILE: as a reader takes them, a line each: EVENT ID DATA. What is cut off at
# the end is none; an id alone is one of the event "-". What is no part of one is BAD.
messages() {
    { cat "$1" && printf '#end'; } | awk '
        /#end$/ { exit }
        function got() {
            if (data != "" || id != "") print (data == "" ? "-" : event) " " id " " data
            event = "message"
            data = id = ""
        }
        BEGIN { event = "message" }
        /\r/ { print "BAD CR"; next }
        FNR == 1 && $0 != "retry: 3000" { print "BAD begin " $0 }
        FNR == 1 || /^: $/ { next }
        /^$/ { got(); next }
        /^id: [0-9a-f]+:[0-9]+:[0-9a-f]+~j[0-9]+~c[0-9]+$/ && id == "" { id = $2; next }
        /^event: (event|job|cache|reset)$/ { event = $2; next }
        /^data: / && data == "" { data = substr($0, 7); next }
        { print "BAD " $0 }'
}
of() { messages "$2" | sed -n "s/^$1 [^ ]* //p"; }  # EVENT FILE: its data
last_id() { messages "$1" | awk 'NF > 1 { id = $2 } END { print id }'; }
greeting() { sed -n 's/^id: //p' "$1" | head -n 1; }

has() { [ "$(messages "$2" | grep -c "^$1 ")" -ge "$3" ]; }       # EVENT FILE N
beats() { [ "$(grep -c '^: $' "$1")" -ge "$2" ]; }                # FILE N

# --- what is told ---------------------------------------------------------------------

@test "an event is there within a second of its commit, as evstore-export --full has it" {
    append first
    stream s
    for i in $(seq 20); do
        append "e$i"
        committed=${EPOCHREALTIME/./}
        until grep -q "\"e$i\"" s.out; do :; done
        [ $((${EPOCHREALTIME/./} - committed)) -lt 1000000 ]
    done
    of event s.out | cmp - <(evstore-export --full --order seq | tail -n 20)
    [ "$(head -n 1 s.out)" = 'retry: 3000' ]
    [ "$(messages s.out | grep -c BAD)" = 0 ]
    [ "$(messages s.out | head -n 1)" = "- $(greeting s.out) " ]
    kill "$pid"
    ends_with 0
    [ ! -s s.err ]
}

@test "each id is the place of its message: from there it goes on with all that came later" {
    append e1
    stream s events,jobs,cache
    append e2
    syncq enqueue -q q <<<1
    kvcache -q set a 1
    kvcache -q set a 2
    append e3
    wait_until 10 has event s.out 2
    messages s.out >all
    [ "$(cut -d ' ' -f 1 all | paste -sd ' ')" = '- event job cache event' ]
    # What came while nobody looked comes topic by topic.
    contents() { cut -d ' ' -f 1,3- "$1" | sort; }
    while read -r _ id _; do
        rm -f again.out
        stream again events,jobs,cache "$id"
        awk -v id="$id" 'on; $2 == id { on = 1 }' all >rest
        same() {
            messages again.out | tail -n +2 >got
            cmp -s <(contents got) <(contents rest)
        }
        wait_until 10 same
        [ "$(greeting again.out)" = "$id" ]
        kill "$pid"
    done <all
}

@test "topics: only what was asked for, and what was not stays where it was" {
    append e1
    stream jobs jobs
    from=$(greeting jobs.out)
    stream cache cache
    stream events
    append e2
    syncq enqueue -q q <<<'{"secret":1}'
    kvcache -q set a 1
    kvcache -q set a 2
    kvcache -q clear -n ''
    kvcache -q set a 1
    kvcache -q clear --all
    wait_until 10 has event events.out 1
    wait_until 10 has job jobs.out 1
    wait_until 10 has cache cache.out 3
    [ "$(messages events.out | grep -vc '^- ')" = 1 ]
    of job jobs.out | jq_true '.status == "pending" and .queue_name == "q" and (has("payload") or has("result") | not)'
    [ "$(of cache cache.out | paste -sd ' ')" = '{"namespace":"","key":"a"} {"namespace":"","key":null} {"namespace":null,"key":null}' ]
    [ "$(last_id jobs.out)" = "${from%~j0~c0}~j1~c0" ]
    # With that id the others come now.
    stream again events,jobs,cache "$(last_id jobs.out)"
    wait_until 10 has cache again.out 3
    [ "$(messages again.out | cut -d ' ' -f 1 | paste -sd ' ')" = '- event cache cache cache' ]
}

@test "a job that runs and ends is told at each of its states" {
    append e1
    stream s jobs
    syncq enqueue -q q <<<1
    wait_until 10 has job s.out 1
    eval "$(syncq dequeue q | jq -r '"id=\(.id) token=\(.token)"')"
    wait_until 10 has job s.out 2
    syncq -q complete "$id" --token "$token" --result '"large"'
    wait_until 10 has job s.out 3
    [ "$(of job s.out | jq -r .status | paste -sd ' ')" = 'pending running completed' ]
}

@test "of an actor only his own; where others come between, the id goes on alone" {
    append e1
    stream s events '' me 50
    append e2 other
    append e3 me
    append e4 other
    moved() { [[ "$(last_id s.out)" == *:4:* ]]; }
    wait_until 10 moved
    [ "$(of event s.out | jq -r .event_id)" = e3 ]
    id=$(last_id s.out)
    append e5 me
    wait_until 10 has event s.out 2
    stream again events "$id" me
    wait_until 10 has event again.out 1
    [ "$(of event again.out | jq -r .event_id)" = e5 ]
    # Many of others', more than a wave, pass without being kept.
    mkevents 5000 other | evstore-append -q
    append e6 me
    wait_until 10 has event again.out 2
    [ "$(of event again.out | jq -r .event_id | paste -sd ' ')" = 'e5 e6' ]
}

@test "a payload of 3 MB comes whole, on one line" {
    append e1
    stream s
    head -c 3000000 /dev/zero | tr '\0' x | jq -R '{text: .}' |
        evstore-append -q --id large --type T --entity a/1 --actor me -
    append after
    wait_until 20 has event s.out 2
    of event s.out | cmp - <(evstore-export --full --order seq | tail -n 2)
}

@test "line ends that another program put into the tables end no message" {
    append e1
    stream s
    append e2
    db "UPDATE events SET event_id = 'e3', payload_json = json_object('a', 1) WHERE seq = 0;
        INSERT INTO events SELECT 3, 'e3', digest, site_id, entity_type, entity_id, entity_version, actor_id,
            actor_name, actor_role, device_id, ts_device, ts_server, hlc, event_type, schema_version,
            correlation_id, causation_id, synced, acknowledged, created_at,
            '{' || char(13) || char(10) || '\"a\":1,' || char(10) || char(10) || '\"data\":\"x\"' || char(13) || '}',
            NULL FROM events WHERE seq = 2"
    append e4
    wait_until 10 has event s.out 3
    [ "$(messages s.out | grep -c BAD)" = 0 ]
    of event s.out | sed -n 2p | jq_true '.event_id == "e3" and .payload == {"a": 1, "data": "x"}'
    [ "$(of event s.out | jq -r .event_id | paste -sd ' ')" = 'e2 e3 e4' ]
}

# --- coming again ---------------------------------------------------------------------

writer() { # TAG COUNT
    for ((i = 1; i <= $2; i++)); do
        printf '{"event_id":"%s-%d","entity_type":"w","entity_id":"%s","actor_id":"a","event_type":"T","payload":{"n":%d}}\n' "$1" "$i" "$1" "$i"
    done | evstore-append -q
}

# part_of LAST: some of the stream, to the file part; its reader leaves, or it is killed.
part_of() {
    local bytes=$((1 + RANDOM % 12000))
    if ((RANDOM % 2)); then
        "$streamer" "$LIFEBOAT_DB" events,jobs,cache "$1" | head -c "$bytes" >part
        return
    fi
    background killed sh -c 'exec "$streamer" "$LIFEBOAT_DB" events,jobs,cache "$0" >pipe' "$1"
    exec 9<pipe
    head -c "$bytes" <&9 >part
    kill -9 "$pid"
    exec 9<&-
    wait "$pid" 2>/dev/null || :
}

@test "cut off or killed at any byte, twenty times, while three write: nothing is lost or twice" {
    append e0
    stream s events,jobs,cache
    last=$(greeting s.out)
    kill "$pid"
    kvcache -q set k 0
    syncq enqueue -q jobs < <(seq 50)
    writers=()
    for w in a b c; do
        background "$w" writer "$w" 333
        writers+=("$pid")
    done
    background caching sh -c 'for i in $(seq 40); do kvcache -q set k "$i"; done'
    writers+=("$pid")
    mkfifo pipe
    seed=${SEED:-$$}
    echo "SEED=$seed"
    RANDOM=$seed
    : >got
    for i in $(seq 20); do
        part_of "$last"
        messages part | grep -v '^- ' >>got || :
        new=$(last_id part)
        last=${new:-$last}
    done
    for p in "${writers[@]}"; do wait "$p"; done
    append end
    stream s events,jobs,cache "$last"
    wait_until 20 grep -q '"event_id":"end"' s.out
    newest=$(db 'SELECT max(change) FROM cache_change')
    wait_until 20 grep -q "^id: .*~j50~c$newest\$" s.out
    messages s.out | grep -v '^- ' >>got
    [ "$(grep -c BAD got)" = 0 ]
    sed -n 's/^event [^ ]* //p' got | cmp - <(evstore-export --full --order seq | tail -n +2)
    [ "$(grep -c '^event ' got)" = 1000 ]
    sed -n 's/^job [^ ]* //p' got | jq .change | cmp - <(seq 50)
    [ "$newest" = 40 ]
    sed -n 's/^cache [^ ]*~c\([0-9]*\) .*/\1/p' got | cmp - <(seq 40)
}

# --- ids that do not fit --------------------------------------------------------------

# is_reset NAME: it began with one that names this store, and goes on with what is new.
is_reset() {
    [ "$(messages "$1.out" | head -n 1)" = "reset $(greeting "$1.out") {\"store_id\":\"$(db "SELECT value FROM meta WHERE key = 'store_id'")\"}" ] || return
    append "after-$1"
    wait_until 10 has event "$1.out" 1
    [ "$(of event "$1.out" | jq -r .event_id)" = "after-$1" ]
}

@test "an id of another store: reset, and then what is new" {
    append e1
    LIFEBOAT_DB=other.db append e1
    LIFEBOAT_DB=other.db stream other
    stream s events "$(greeting other.out)"
    is_reset s
}

@test "an id beyond what is there, in any of its parts: reset" {
    append e1
    stream s
    id=$(greeting s.out)
    kill "$pid"
    n=0
    for bad in "${id/:1:/:2:}" "${id%~*~*}~j1~c0" "${id%~*~*}~j0~c1" "${id/:1:????????/:1:00000000}"; do
        n=$((n + 1))
        [ "$bad" != "$id" ]
        stream "s$n" events "$bad"
        is_reset "s$n"
        kill "$pid"
    done
}

@test "garbage for an id: reset, and nothing of it comes back" {
    append e1
    stream s
    id=$(greeting s.out)
    kill "$pid"
    n=0
    for bad in x start 0 "$id " " $id" "$id~" "${id^^}" "$id"$'\r\nevent: evil\r\n' $'\n\n' $'\xff\xfe' \
        "$(printf '%0100000d' 0)" "$id$(printf '%0100d' 1)" "../../etc/passwd%00" '~j0~c0' '<script>'; do
        n=$((n + 1))
        stream "s$n" events "$bad"
        messages "s$n.out" | head -n 1 | grep -q '^reset '
        [ "$(messages "s$n.out" | grep -c BAD)" = 0 ]
        [ "$(wc -c <"s$n.out")" -lt 300 ]
        kill "$pid"
        ends_with 0
    done
    stream s events "$bad"
    is_reset s
}

@test "what the ring of invalidations has let go: all of it is invalid" {
    kvcache -q set a 1
    stream s cache
    id=$(greeting s.out)
    kill "$pid"
    db 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
        INSERT INTO cache_change(change, namespace, cache_key, changed_at) SELECT i + 1, 0, i, 1 FROM n'
    stream s cache "$id"
    wait_until 10 has cache s.out 1
    kvcache -q set a 2
    wait_until 10 has cache s.out 2
    [ "$(messages s.out | tail -n +2 | cut -d ' ' -f 1,3 | paste -sd ' ')" = 'cache {"all":true} cache {"namespace":"","key":"a"}' ]
    [[ "$(last_id s.out)" == *~c10002 ]]
    # The one before the oldest there is has seen all that was let go.
    stream again cache "${id%~c0}~c1"
    wait_until 10 has cache again.out 10001
    [ "$(of cache again.out | grep -c all)" = 0 ]
}

# --- another store --------------------------------------------------------------------

@test "the store is replaced: reset, and it ends; with the old id the new one is told" {
    append e1
    LIFEBOAT_DB=other.db append x1
    stream s
    append e2
    wait_until 10 has event s.out 1
    mv other.db "$LIFEBOAT_DB"
    rm -f "$LIFEBOAT_DB"-wal "$LIFEBOAT_DB"-shm
    ends_with 0
    [ "$(tail -n 3 s.out)" = $'event: reset\ndata: {"store_id":null}' ]
    [ "$(messages s.out | grep -c BAD)" = 0 ]
    stream again events "$(last_id s.out)"
    is_reset again
}

@test "the store is removed, or put back to an older state: the same" {
    append e1
    stream s
    rm "$LIFEBOAT_DB"*
    ends_with 0
    [ "$(of reset s.out)" = '{"store_id":null}' ]
    append e1
    append e2
    stream s
    db 'DELETE FROM events WHERE seq = 2'
    touch "$LIFEBOAT_DB-gate"
    ends_with 0
    [ "$(of reset s.out)" = '{"store_id":null}' ]
}

@test "a store of version 1 or 2, and one that is migrated meanwhile" {
    for v in 1 2; do
        rm -f "$LIFEBOAT_DB"*
        sqlite3 "$LIFEBOAT_DB" <"$top/tests/data/store-v$v.sql" >/dev/null
        stream "s$v" events,jobs,cache
        [ "$(db 'PRAGMA user_version')" = "$v" ]
        kvcache -q set text new
        kvcache -q set text newer
        syncq enqueue -q q <<<1
        append e1
        wait_until 10 has event "s$v.out" 1
        wait_until 10 has job "s$v.out" 1
        wait_until 10 has cache "s$v.out" "$v" # of version 2 there was a value
        stream again events,jobs,cache "$(greeting "s$v.out")"
        wait_until 10 has cache again.out "$v"
        [ "$(messages again.out | grep -c '^event ')" = 1 ]
        [ "$(of reset again.out)" = '' ]
    done
}

# --- readers --------------------------------------------------------------------------

@test "a reader who hangs up: the process is gone, though nothing is new" {
    append e1
    mkfifo pipe
    background s sh -c 'exec "$streamer" "$LIFEBOAT_DB" >pipe'
    exec 9<pipe
    read -r line <&9
    [ "$line" = 'retry: 3000' ]
    wait_until 10 grep -qs inotify "/proc/$pid/fdinfo/"*
    hung=${EPOCHREALTIME/./}
    exec 9<&-
    ends_with 0
    [ $((${EPOCHREALTIME/./} - hung)) -lt 2000000 ]
    [ ! -s s.err ]
    none_left
}

@test "one who hangs up while he is written to: the same" {
    mkevents 3000 | evstore-append -q
    id=$(db "SELECT value FROM meta WHERE key = 'store_id'"):0:00000000~j0~c0
    mkfifo pipe
    background s sh -c 'exec "$streamer" "$LIFEBOAT_DB" events "$0" >pipe' "$id"
    exec 9<pipe
    read -r _ <&9
    # In poll or ppoll, by its number on x86, ARM and ARM64.
    stuck() { grep -q '^State:.S' "/proc/$pid/status" && grep -qE '^(7|73|271|336) ' "/proc/$pid/syscall"; }
    wait_until 10 stuck
    exec 9<&-
    ends_with 0
}

@test "a socket that is closed: the same" {
    append e1
    python3 - "$streamer" "$LIFEBOAT_DB" <<'END'
import socket, subprocess, sys
ours, theirs = socket.socketpair()
child = subprocess.Popen(sys.argv[1:], stdout=theirs)
theirs.close()
assert ours.recv(100).startswith(b"retry: 3000\n")
ours.close()
assert child.wait(10) == 0
END
}

@test "one who reads nothing: little memory, no view of the store, and he is left in the end" {
    head -c 100000 /dev/zero | tr '\0' x >large
    awk '{ for (i = 1; i <= 300; i++) printf "{\"event_id\":\"e%d\",\"entity_type\":\"a\",\"entity_id\":\"1\",\"actor_id\":\"a\",\"event_type\":\"T\",\"payload\":\"%s\"}\n", i, $0 }' large |
        evstore-append -q
    id=$(db "SELECT value FROM meta WHERE key = 'store_id'"):0:00000000~j0~c0
    mkfifo pipe
    background s sh -c 'exec "$streamer" "$LIFEBOAT_DB" events "$0" "" "" 1500 >pipe' "$id"
    exec 9<pipe
    full() { grep -qE '^(7|73|271|336) ' "/proc/$pid/syscall"; }
    wait_until 10 full
    [ -n "$checker" ] || [ "$(awk '/VmHWM/ { print $2 }' "/proc/$pid/status")" -lt 16000 ]
    # It could not be emptied while a reader stands in it.
    append after
    [ "$(flock "$LIFEBOAT_DB-gate" sqlite3 "$LIFEBOAT_DB" 'PRAGMA wal_checkpoint(TRUNCATE)')" = '0|0|0' ]
    ends_with 0
    [ ! -s s.err ]
    cat <&9 >part
    [ "$(messages part | grep -c BAD)" = 0 ]
}

@test "one who reads slowly gets everything, whatever is written meanwhile" {
    mkevents 3000 | evstore-append -q
    id=$(db "SELECT value FROM meta WHERE key = 'store_id'"):0:00000000~j0~c0
    mkfifo pipe
    background s sh -c 'exec "$streamer" "$LIFEBOAT_DB" events "$0" "" "" 20000 >pipe' "$id"
    background slow sh -c 'while dd bs=20000 count=1 status=none; do [ -s end ] && exit; done <pipe'
    mkevents 2000 more | evstore-append -q
    append end
    wait_until 20 grep -q '"event_id":"end"' slow.out
    of event slow.out | cmp - <(evstore-export --full --order seq)
    echo 1 >end
}

@test "heartbeats come when nothing else does" {
    append e1
    stream s events '' '' 40
    wait_until 10 beats s.out 5
    [ "$(sed -n '5,8p' s.out)" = $': \n\n: ' ]
    append e2
    wait_until 10 has event s.out 1
    wait_until 10 beats s.out 8
    [ "$(messages s.out | grep -c BAD)" = 0 ]
    stream quiet events
    append e3
    wait_until 10 has event quiet.out 1
    beats quiet.out 1 && return 1
    # With the ordinary 15 s it has had no time for one, and sleeps.
    kill "$pid"
    ends_with 0
}

@test "commits that are none of his keep no heartbeat from him" {
    append e1
    stream s jobs '' '' 300
    mkfifo tick
    background busy sh -c 'while read -r i; do
        echo "{\"event_id\":\"b$i\",\"entity_type\":\"a\",\"entity_id\":\"1\",\"actor_id\":\"a\",\"event_type\":\"T\",\"payload\":{}}"
    done <tick | evstore-append'
    exec 9>tick
    # Some two seconds without a gap of 300 ms between them.
    for i in $(seq 100); do
        echo "$i" >&9
        nap
    done
    beats s.out 3
    exec 9>&-
    [ "$(messages s.out | grep -c '^event ')" = 0 ]
}

@test "TERM, INT and HUP end it at once" {
    append e1
    for signal in TERM INT HUP; do
        background "$signal" env --default-signal=INT,HUP "$streamer" "$LIFEBOAT_DB"
        wait_until 10 grep -qs '^id: ' "$signal.out"
        kill -"$signal" "$pid"
        ends_with 0
    done
}

begun_or_gone() { grep -qs '^id: ' "$1" || ! kill -0 "$2" 2>/dev/null; }

@test "where no inotify instance is to be had, it looks itself" {
    [ -z "$checker" ] || skip 'a sanitizer wants descriptors of its own'
    append e1
    # As many descriptors as it takes to have the store open, and none for inotify.
    for n in {4..12}; do
        background s prlimit --nofile="$n" "$streamer" "$LIFEBOAT_DB"
        wait_until 10 begun_or_gone s.out "$pid"
        readlink "/proc/$pid/fd/"* 2>/dev/null | grep -q -e '-shm$' && break
        kill "$pid" 2>/dev/null || :
    done
    grep -qs inotify "/proc/$pid/fdinfo/"* && return 1
    append e2
    wait_until 10 has event s.out 1
    kill "$pid"
    ends_with 0
}

@test "a store that cannot be read is its failure" {
    run_split "$streamer" none.db
    assert_status 66 'no such store'
    append e1
    stream s jobs
    db 'DROP TABLE job_queue'
    touch "$LIFEBOAT_DB-gate"
    ends_with 70
    grep -q 'no such table: job_queue' s.err
}
