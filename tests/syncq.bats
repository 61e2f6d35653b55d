#!/usr/bin/env bats
# syncq: jobs put in, given out, ended, looked at and looked after. The worker
# and the outbox have files of their own.
# valgrind: FIFO|bad lines are named|on a terminal show|stats give|watch tells changes|row anew|job that owes

load helper

year=31536000000
now=1768000000000 # a wall clock for tests that set one

db() { sqlite3 -cmd '.timeout 5000' "$LIFEBOAT_DB" "$@"; }

# put QUEUE N [OPTIONS]: N jobs; their payloads are 1 to N.
put() {
    local queue=$1 n=$2
    shift 2
    seq "$n" | syncq -q enqueue "$queue" "$@"
}

# take [OPTIONS]: takes a job of q; its line in "job", id in $id, token in $token.
take() {
    syncq -q dequeue q "$@" >job || return
    id=$(jq .id job)
    token=$(jq -r .token job)
}

payloads() { jq -c .payload "$@" | paste -sd ' '; }
# Payloads of all that can be taken, one by one.
drain() { while syncq -q dequeue q "$@"; do :; done | payloads; }
column() { db "SELECT $1 FROM job_queue WHERE id = ${2-1}"; }
count() { db "SELECT count(*) FROM job_queue ${1+WHERE $1}"; }
# Their ids: of jobs for which this is true, of those with a dead letter.
ids() { db "SELECT id FROM job_queue WHERE $1 ORDER BY id" | paste -sd ' '; }
dead_ids() { db 'SELECT original_job_id FROM job_queue_dead_letter ORDER BY 1' | paste -sd ' '; }
letters() { db 'SELECT count(*) FROM job_queue_dead_letter'; }
# What holds a job back has just ended, by the clock that counts.
due() { db "UPDATE job_queue SET wake_ms = 0 WHERE id = ${1-1}"; }
# The clock that never jumps, to 10 ms.
boot_ms() {
    local up
    read -r up _ </proc/uptime
    echo "${up/./}0"
}
# Everything that has ended goes, whenever that was.
prune_all() { LIFEBOAT_NOW=$((now * 2)) syncq -q prune --older 0 "$@"; }

# A whole row, to see that nothing was changed.
row() { db "SELECT * FROM job_queue WHERE id = ${1-1}"; }

# queues JSON: the configuration.
queues() {
    mkdir -p conf
    printf '%s\n' "$1" >conf/queues.json
    export LIFEBOAT_CONFIG=$PWD/conf
}

# without_reader CMD...: with a standard output that nobody reads; the status in $status.
without_reader() {
    mkfifo left
    exec 7<>left
    exec 8>left
    exec 7<&-
    status=0
    env --default-signal=PIPE "$@" >&8 2>"$ERR" || status=$?
    exec 8>&-
    rm left
}

on_terminal() { # CMD: what a terminal of 100 columns shows, without CR
    script -qec "stty cols 100; $1" /dev/null </dev/null | tr -d '\r'
}

# --- enqueue ----------------------------------------------------------------

@test "a payload a line goes in, and what was put in comes out" {
    printf '{ "a" : 1 }\n[1.0,"\\u00e9"]\n"text"\nnull\n' >in
    run_split syncq enqueue q in
    assert_status 0 'syncq: q: 4 received: 4 put in, 0 there already, 0 rejected'
    jq_true -s 'map(.id) == [1, 2, 3, 4] and all(.queue_name == "q") and
        (map(.idempotency_key) | unique | length) == 4' "$OUT"
    [ "$(db 'SELECT payload FROM job_queue ORDER BY id')" = '{"a":1}
[1.0,"\u00e9"]
"text"
null' ]
    run_split syncq -q enqueue q in
    assert_status 0
    assert_out ''
    [ "$errout" = '' ]
}

@test "blank lines, CRLF, a BOM and a last line without LF are taken" {
    printf '\xef\xbb\xbf1\r\n\n  \r\n2' | syncq -q enqueue q
    [ "$(drain)" = '1 2' ]
}

@test "bad lines are named, counted and kept, and stop nothing" {
    printf '{"a":1}\n\n{"a":}\n\xff\n2\n' >in
    run_split syncq enqueue q --rejects odd in
    assert_status 1 'q: 4 received: 2 put in, 0 there already, 2 rejected'
    assert_status 1 'syncq: in:3: byte 14: '
    assert_status 1 'syncq: in:4: byte 16: '
    printf '{"a":}\n\xff\n' | cmp - odd
    [ "$(drain)" = '{"a":1} 2' ]
}

@test "a line that is too long is refused, and the others go in" {
    printf '1\n"%050d"\n2\n' 0 >in
    run_split syncq enqueue q --max-line 20 in
    assert_status 1 'in:2: byte 2: longer than 20 bytes (--max-line)'
    [ "$(drain)" = '1 2' ]
}

@test "options go into the job; else queues.json says, else the documents" {
    put q 1
    [ "$(column 'priority, max_retries, timeout_seconds, job_type IS NULL')" = '5|3|300|1' ]
    put q 1 --type mail --priority 9 --max-retries 0 --timeout 7
    [ "$(column 'job_type, priority, max_retries, timeout_seconds' 2)" = 'mail|9|0|7' ]
    put notification_queue 1
    [ "$(column 'priority, max_retries, timeout_seconds' 3)" = '8|5|10' ]
    queues '{"default":{"priority":1,"max_retries":7},"q":{"timeout_seconds":9}}'
    put q 1
    [ "$(column 'priority, max_retries, timeout_seconds' 4)" = '1|7|9' ]
    put other 1
    [ "$(column 'priority, max_retries, timeout_seconds' 5)" = '1|7|300' ]
}

@test "the shipped queues are the documents'" {
    for want in 'email_queue 5|3|30' 'report_queue 3|2|300' 'export_queue 3|2|600' \
        'notification_queue 8|5|10' 'maintenance_queue 1|1|3600'; do
        put "${want% *}" 1
        [ "$(db "SELECT priority, max_retries, timeout_seconds FROM job_queue
            WHERE queue_name = '${want% *}'")" = "${want#* }" ]
    done
}

@test "one job with a unique key at a time, while it waits and while it runs" {
    run_split syncq enqueue q --unique nightly <<<1
    key=$(jq -r .idempotency_key "$OUT")
    run_split syncq enqueue q --unique nightly <<<2
    assert_status 0 '0 put in, 1 there already'
    jq_true --arg key "$key" '.id == 1 and .duplicate and .idempotency_key == $key' "$OUT"
    syncq -q enqueue other --unique nightly <<<3
    take
    run_split syncq enqueue q --unique nightly <<<4
    jq_true '.id == 1 and .duplicate' "$OUT"
    syncq -q complete "$id" --token "$token"
    run_split syncq enqueue q --unique nightly <<<5
    jq_true '.duplicate == null' "$OUT"
    [ "$(count)" -eq 3 ]
    take
    syncq -q fail "$id" --token "$token" --dead
    put q 1 --unique nightly
    [ "$(count)" -eq 4 ]
}

@test "a full queue refuses loudly, and keeps what it has acknowledged" {
    queues '{"q":{"max_pending":3}}'
    run_split syncq enqueue q < <(seq 5)
    assert_status 75 'syncq: standard input:4: q is full: 3 jobs wait'
    [ "$(jq -s length "$OUT")" -eq 3 ]
    [ "$(count)" -eq 3 ]
    run_split syncq enqueue q <<<6
    assert_status 75
    put other 4
    # What waits for its time waits as well; what runs does not.
    take
    put q 1 --at 2100-01-01T00:00:00Z
    run_split syncq enqueue q <<<6
    assert_status 75
}

@test "mistakes in queues.json are named with file and line" {
    while IFS='|' read -r json why; do
        queues "$json"
        run_split syncq enqueue q <<<1
        assert_status 78 "conf/queues.json:$why"
        [ ! -e "$LIFEBOAT_DB" ]
    done <<'END'
{"q":{"prioriti":1}}|1: prioriti: no such setting of a queue
{"other":{"priority":"high"}}|1: priority: wants a whole number from 0 to 1000
{"q":{"priority":1001}}|1: priority: wants
{"q":{"max_retries":-1}}|1: max_retries: wants
{"q":{"timeout_seconds":0}}|1: timeout_seconds: wants
{"q":{"max_pending":1.5}}|1: max_pending: wants
{"q":{"keep":"a week"}}|1: keep: wants seconds, or a span
{"q":7}|1: q: wants an object
{"q":{"priority":1,"priority":2}}|1: "priority": is there twice
{"q":{},"q":{}}|1: "q": is there twice
[]|1: 
{"q":{}|2: 
END
    queues '{"a":{},
 "q":{"keep":"7 d"}}'
    run_split syncq enqueue q <<<1
    assert_status 78 'conf/queues.json:2: keep: wants'
    # Without a file of the site's own the shipped one holds.
    rm conf/queues.json
    put email_queue 1
    [ "$(column timeout_seconds)" -eq 30 ]
}

@test "names of queues, numbers and texts have their limits" {
    for bad in '' .q 'a b' 'a/b' "$(printf %0101d 0)" é; do
        run_split syncq enqueue "$bad" <<<1
        assert_status 64 "not a queue's name"
    done
    put "$(printf %0100d 0)" 1
    for bad in --priority=1001 --priority=-1 --max-retries=1001 --timeout=0 --timeout=604801 \
        --at=tomorrow --type= --unique= "--type=$(printf %0256d 0)" $'--type=\xff' $'--unique=\xff'; do
        run_split syncq enqueue q "$bad" <<<1
        assert_status 64
    done
    run_split syncq dequeue q -n 0
    assert_status 64
    run_split syncq enqueue q --type a --type b <<<1
    assert_status 64 'a job has one --type'
}

@test "what is acknowledged is in the store, line by line" {
    mkfifo pipe
    background enqueue sh -c 'exec syncq enqueue q <pipe'
    exec 9>pipe
    echo 1 >&9
    wait_until 10 grep -q '"id":1' enqueue.out
    [ "$(count)" -eq 1 ]
    echo 2 >&9
    wait_until 10 grep -q '"id":2' enqueue.out
    exec 9>&-
    wait "$pid"
}

@test "a full standard output is 74, and a reader that has left ends it by SIGPIPE" {
    status=0
    syncq enqueue q >/dev/full 2>"$ERR" <<<1 || status=$?
    [ "$status" -eq 74 ]
    without_reader syncq enqueue q <<<2
    [ "$status" -eq 141 ]
    for what in 'list q' 'show 1' stats 'watch --after 0'; do
        status=0
        # shellcheck disable=SC2086
        timeout 10 syncq $what >/dev/full 2>"$ERR" || status=$?
        [ "$status" -eq 74 ]
        # shellcheck disable=SC2086
        without_reader syncq $what
        [ "$status" -eq 141 ]
    done
}

# --- dequeue ----------------------------------------------------------------

@test "FIFO within a priority, higher priority first" {
    echo 1 | syncq -q enqueue q
    echo 2 | syncq -q enqueue q --priority 9
    echo 3 | syncq -q enqueue q
    echo 4 | syncq -q enqueue q --priority 9
    echo 5 | syncq -q enqueue q --priority 0
    echo 6 | syncq -q enqueue other --priority 99
    [ "$(drain)" = '2 4 1 3 5' ]
}

@test "dequeue prints the job with its lease; nothing ready is 1" {
    echo '{"a":[1]}' | syncq -q enqueue q --type mail --priority 7 --timeout 9
    run_split syncq dequeue q
    assert_status 0
    jq_true '.id == 1 and (.token | test("^[0-9a-f]{32}$")) and .queue_name == "q" and
        .job_type == "mail" and .priority == 7 and .attempt == 1 and .timeout_seconds == 9 and
        (.created_at | type) == "number" and (.idempotency_key | length) == 36 and
        .payload == {"a": [1]}' "$OUT"
    [ "$(column "status, attempts, started_at >= created_at")" = 'running|1|1' ]
    run_split syncq dequeue q
    assert_status 1 'syncq: q: nothing is ready'
    assert_out ''
    run_split syncq dequeue never
    assert_status 1
    rm "$LIFEBOAT_DB"*
    run_split syncq dequeue q
    assert_status 66
}

@test "-n takes several at once, as many as there are" {
    put q 5
    [ "$(syncq -q dequeue q -n 3 | payloads)" = '1 2 3' ]
    [ "$(syncq -q dequeue q -n 3 | payloads)" = '4 5' ]
}

@test "--type takes these only, by priority and age among all of them" {
    echo 1 | syncq -q enqueue q --type a
    echo 2 | syncq -q enqueue q --type b
    echo 3 | syncq -q enqueue q
    echo 4 | syncq -q enqueue q --type c --priority 9
    echo 5 | syncq -q enqueue q --type b --priority 6
    echo 6 | syncq -q enqueue q --type a
    [ "$(drain --type a --type b)" = '5 1 2 6' ]
    [ "$(drain --type none)" = '' ]
    [ "$(drain)" = '4 3' ]
}

@test "--at goes by the wall clock, whatever it is set to" {
    LIFEBOAT_NOW=$now put q 1 --at $((now + 1000))
    LIFEBOAT_NOW=$now run_split syncq dequeue q
    assert_status 1
    LIFEBOAT_NOW=$((now - year)) run_split syncq dequeue q
    assert_status 1
    LIFEBOAT_NOW=$((now + 999)) run_split syncq dequeue q
    assert_status 1
    LIFEBOAT_NOW=$((now + 1000)) run_split syncq dequeue q
    assert_status 0
    LIFEBOAT_NOW=$now put q 1 --at 2026-01-01T00:00:00Z
    LIFEBOAT_NOW=$now take
}

@test "eight at once never get the same job, and get all of them" {
    put q 1000
    for i in 1 2 3 4 5 6 7 8; do
        background "w$i" sh -c 'while syncq -q dequeue q -n 7; do :; done'
        pids[i]=$pid
    done
    for i in 1 2 3 4 5 6 7 8; do wait "${pids[i]}" || :; done
    cat w?.out | jq .payload | sort -n | cmp - <(seq 1000)
    [ "$(count 'attempts = 1')" -eq 1000 ]
}

@test "what could not be printed is given back as if it had not been taken" {
    put q 3
    without_reader syncq dequeue q -n 2
    [ "$status" -eq 141 ]
    status=0
    syncq dequeue q >/dev/full 2>"$ERR" || status=$?
    [ "$status" -eq 74 ]
    [ "$(count "status = 'pending' AND wake_ms IS NULL AND attempts = 0 AND crash_count = 0")" -eq 3 ]
    [ "$(drain)" = '1 2 3' ]
}

# --- leases -----------------------------------------------------------------

@test "a stale token gets 75 and changes nothing" {
    put q 1
    take
    old=$token
    syncq -q fail 1 --token "$token" --release
    for what in complete fail extend; do
        row >before
        run_split syncq "$what" 1 --token "$old"
        assert_status 75 'job 1: the lease of this token is over: nothing was changed'
        row | cmp - before
    done
    take
    [ "$token" != "$old" ]
    row >before
    for what in complete fail 'fail --dead' 'fail --release' extend; do
        # shellcheck disable=SC2086
        run_split syncq $what 1 --token "$old"
        assert_status 75
    done
    run_split syncq complete 2 --token "$token"
    assert_status 75
    row | cmp - before
    run_split syncq complete 1 --token "$token"
    assert_status 0 'syncq: 1 completed, 0 too late, 0 rejected'
    row >before
    run_split syncq complete 1 --token "$token"
    assert_status 75
    row | cmp - before
}

@test "at its end the lease passes on, and its token is worth nothing" {
    put q 1 --timeout 1
    take
    gone() {
        syncq dequeue q >taken 2>&1 || :
        [ "$(column status)" = pending ]
    }
    wait_until 5 gone
    [ "$(column 'crash_count, retry_count, attempts, lease_token IS NULL, wake_ms > 0')" = '1|0|1|1|1' ]
    jq_true '.[0].error == "its lease ended before it was done"' <(column errors_json)
    run_split syncq complete 1 --token "$token"
    assert_status 75
    # The end alone is enough, before anybody else has asked for the job.
    due
    take
    due
    run_split syncq complete 1 --token "$token"
    assert_status 75
}

@test "extend makes it longer, by the job's timeout or by a span, and never shorter" {
    put q 1 --timeout 100
    take
    before=$(column wake_ms)
    run_split syncq extend 1 --token "$token" --by 1h
    assert_status 0 '1 extended'
    [ "$(column "wake_ms - $before BETWEEN 3400000 AND 3600000")" -eq 1 ]
    long=$(column wake_ms)
    syncq -q extend 1 --token "$token"
    [ "$(column wake_ms)" -eq "$long" ]
    db "UPDATE job_queue SET wake_ms = $before - 50000"
    syncq -q extend 1 --token "$token"
    [ "$(column "wake_ms - $before BETWEEN 0 AND 60000")" -eq 1 ]
}

@test "a lease neither ends early nor lives for ever when the wall clock jumps" {
    LIFEBOAT_NOW=$now put q 1 --timeout 1
    LIFEBOAT_NOW=$now take
    LIFEBOAT_NOW=$((now + year)) run_split syncq extend 1 --token "$token" --by 3
    assert_status 0
    LIFEBOAT_NOW=$((now + year)) run_split syncq dequeue q
    assert_status 1
    [ "$(column status)" = running ]
    gone() {
        LIFEBOAT_NOW=1 syncq dequeue q >taken 2>&1 || :
        [ "$(column status)" = pending ]
    }
    wait_until 10 gone
}

@test "leases of another boot are given back unharmed, and at once" {
    for boot in 00000000-0000-0000-0000-000000000000 ffffffff-ffff-ffff-ffff-ffffffffffff; do
        put q 1 --timeout 1000
        take
        db "UPDATE job_queue SET wake_boot_id = '$boot', wake_ms = 1 << 60 WHERE id = $id"
        run_split syncq extend "$id" --token "$token"
        assert_status 75
        first=$id
        take
        [ "$id" = "$first" ]
        jq_true '.attempt == 1' job
        [ "$(column 'crash_count, retry_count, errors_json IS NULL' "$id")" = '0|0|1' ]
        syncq -q complete "$id" --token "$token"
    done
}

@test "a worker's jobs come back when it has let go of its byte, not before" {
    put q 1
    take
    db 'UPDATE job_queue SET lease_holder = 7'
    : >>"$LIFEBOAT_DB-work"
    background holder python3 -c '
import fcntl, sys, time
f = open(sys.argv[1], "r+")
fcntl.lockf(f, fcntl.LOCK_EX, 1, 7)
print("held", flush=True)
time.sleep(60)' "$LIFEBOAT_DB-work"
    wait_until 10 grep -q held holder.out
    run_split syncq dequeue q
    assert_status 1
    [ "$(column status)" = running ]
    kill "$pid"
    wait "$pid" || :
    run_split syncq dequeue q
    assert_status 1
    [ "$(column 'status, crash_count, lease_holder IS NULL')" = 'pending|1|1' ]
    jq_true '.[0].error == "its worker is gone"' <(column errors_json)
}

# --- complete, fail ---------------------------------------------------------

@test "complete keeps the result: JSON as it is, all else as a string" {
    put q 5
    while IFS='|' read -r given kept; do
        take
        syncq -q complete "$id" --token "$token" --result "$given"
        [ "$(column result "$id")" = "$kept" ]
    done <<'END'
{"sent": 1}|{"sent":1}
plain words|"plain words"
|""
END
    take
    run_split syncq complete "$id" --token "$token" --result $'\xff'
    assert_status 64 'not valid UTF-8'
    syncq -q complete "$id" --token "$token" --result $'[1,\n2]'
    [ "$(column result "$id")" = '[1,2]' ]
    take
    syncq -q complete "$id" --token "$token"
    [ "$(column 'result IS NULL, status, completed_at >= started_at, lease_token IS NULL' "$id")" = '1|completed|1|1' ]
}

@test "what dequeue printed names the jobs that are done; a line can say more" {
    put q 4
    syncq -q dequeue q -n 4 >four
    jq -c 'select(.id < 3) + {result: {n: .payload}, error: "not looked at"}' four >ended
    run_split syncq complete <ended
    assert_status 0 '2 completed, 0 too late, 0 rejected'
    [ "$(column result 2)" = '{"n":2}' ]
    jq -c 'if .id == 3 then . + {error: "no such user", dead: true} elif .id == 4 then . else empty end' four >failed
    run_split syncq fail --error 'of all' <failed
    assert_status 0 '2 failed'
    [ "$(column 'status, error_message' 3)" = 'failed|no such user' ]
    [ "$(column 'status, error_message' 4)" = 'pending|of all' ]
    run_split syncq complete <four
    assert_status 75 '0 completed, 4 too late'
}

@test "bad lines of complete are named, and the others are done" {
    put q 1
    take
    {
        echo '{"id":1}'
        echo '{"token":"x"}'
        echo '{"id":"1","token":"x"}'
        echo '{"id":0,"token":"x"}'
        echo '{"id":1,"token":7}'
        echo 'nonsense'
        cat job
    } >in
    run_split syncq complete --rejects odd <in
    assert_status 1 '1 completed, 0 too late, 6 rejected'
    assert_status 1 'standard input:1: byte 0: token: missing'
    assert_status 1 'standard input:2: byte 9: id: missing'
    assert_status 1 "standard input:3: byte 29: id: wants a job's number"
    assert_status 1 'token: wants a string'
    head -6 in | cmp - odd
    [ "$(column status)" = completed ]
}

@test "what failed is retried later: half of the backoff, and some of the other half" {
    put q 1 --max-retries 20
    d=5000
    for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
        take
        [ "$(jq .attempt job)" -eq "$n" ]
        before=$(boot_ms)
        syncq -q fail 1 --token "$token" --error "failure $n"
        after=$(boot_ms)
        [ "$(column "status, retry_count, crash_count, attempts, error_message")" = "pending|$n|0|$n|failure $n" ]
        [ "$(column "wake_ms BETWEEN $before + $d / 2 AND $after + 10 + $d")" -eq 1 ]
        [ "$(column "scheduled_at - unixepoch() * 1000 BETWEEN $d / 2 - 10000 AND $d + 10000")" -eq 1 ]
        run_split syncq dequeue q
        assert_status 1
        due
        d=$((d * 2 < 3600000 ? d * 2 : 3600000))
    done
    # Ten of them are kept, the newest.
    jq_true 'map(.attempt) == [range(3; 13)] and .[9].error == "failure 12"' <(column errors_json)
}

@test "a retry waits by the boot clock, wherever the wall clock goes" {
    LIFEBOAT_NOW=$now put q 1
    LIFEBOAT_NOW=$now take
    LIFEBOAT_NOW=$now syncq -q fail 1 --token "$token"
    LIFEBOAT_NOW=$((now + year)) run_split syncq dequeue q
    assert_status 1
    due
    LIFEBOAT_NOW=1 run_split syncq dequeue q
    assert_status 0
}

@test "after max_retries it is dead: as many tries as retries, and one" {
    put q 1 --max-retries 2
    for n in 1 2 3; do
        [ "$(letters)" -eq 0 ]
        take
        syncq -q fail 1 --token "$token" --error "failure $n"
        due
    done
    [ "$(column 'status, retry_count, attempts, completed_at >= started_at')" = 'failed|2|3|1' ]
    db 'UPDATE job_queue SET wake_ms = NULL'
    run_split syncq dequeue q
    assert_status 1
    [ "$(db 'SELECT original_job_id, queue_name, failure_count, error_message, payload FROM job_queue_dead_letter')" = '1|q|3|failure 3|1' ]
    put q 1 --max-retries 0
    take
    syncq -q fail 2 --token "$token"
    [ "$(column 'status, error_message' 2)" = 'failed|it failed' ]
}

@test "--dead gives up at once" {
    put q 1
    take
    syncq -q fail 1 --token "$token" --dead --error 'no such address'
    [ "$(column 'status, retry_count, attempts')" = 'failed|0|1' ]
    [ "$(letters)" -eq 1 ]
}

@test "--release leaves no trace in the counts" {
    put q 1
    take
    syncq -q fail 1 --token "$token" --release --error 'not now'
    [ "$(column 'status, retry_count, crash_count, attempts, wake_ms IS NULL, errors_json IS NULL, lease_token IS NULL')" = 'pending|0|0|0|1|1|1' ]
    take
    jq_true '.attempt == 1' job
}

@test "three crashes and it is dead, however many retries it has left" {
    put q 1 --max-retries 100
    for n in 1 2 3; do
        [ "$(letters)" -eq 0 ]
        take
        due
        run_split syncq dequeue q
        assert_status 1
        [ "$(column 'crash_count, retry_count')" = "$n|0" ]
        [ "$n" -eq 3 ] || due
    done
    [ "$(column status)" = failed ]
    [ "$(db 'SELECT failure_count FROM job_queue_dead_letter')" -eq 3 ]
}

@test "an error of any bytes and any length is kept as text" {
    put q 2
    take
    syncq -q fail 1 --token "$token" --error $'a\xffb\e[31m'
    [ "$(column error_message)" = $'a\xef\xbf\xbdb\e[31m' ]
    take
    syncq -q fail 2 --token "$token" --error "$(printf 'é%.0s' {1..600})"
    [ "$(column 'length(CAST(error_message AS BLOB))' 2)" -eq 1000 ]
    jq_true -s 'map(select(.id == 1))[0].errors[0].error == "a\ufffdb\u001b[31m"' <(syncq list q)
}

# --- what means nothing -----------------------------------------------------

@test "options that mean nothing for a command are usage errors" {
    put q 1
    while read -r line; do
        # shellcheck disable=SC2086
        run_split syncq $line
        assert_status 64
    done <<'END'
dequeue q --priority 1
dequeue q --rejects x
dequeue
dequeue q q
enqueue
enqueue q --token x
enqueue q -n 2
complete 1 --token x --error y
complete 1 --token x --dead
fail 1 --token x --result 1
fail 1 --token x --dead --release
extend 1 --token x --dead
complete 1
complete x --token y
complete --token y
complete 0 --token y
list q --after 1
list --status lost
list q other
stats --all
stats a/b
show
show 1 2
show 1 --status failed
watch --json
watch --after -1
pause
pause q other
pause q --older 1d
resume q --reason x
dead
dead letters
dead list --all
dead list --status failed
dead requeue
dead requeue --older 1d 1
dead requeue x
dead requeue --all q other
dead purge
dead purge --all q
dead purge --older 1d q other
prune q other
prune --all
load --status failed
nothing
END
    run_split syncq
    assert_status 64 'a command is missing'
    [ "$(column status)" = pending ]
}

# --- list, show -------------------------------------------------------------

@test "list prints rows as JSON, all but the completed ones" {
    echo '{"a":1}' | syncq -q enqueue q --type mail --unique u
    put q 3
    put other 1
    take
    syncq -q complete "$id" --token "$token" --result '{"ok":true}'
    take
    syncq -q fail "$id" --token "$token" --dead --error why
    take
    run_split syncq list
    assert_status 0
    jq_true -s 'map([.id, .status]) == [[2, "failed"], [3, "running"], [4, "pending"], [5, "pending"]]' "$OUT"
    jq_true -s '.[0].errors[0] == {"attempt": 1, "at": .[0].completed_at, "error": "why"} and
        .[0].dead_letter and .[0].error_message == "why" and .[0].payload == 1' "$OUT"
    jq_true -s --arg token "$token" '.[1].lease_token == $token and .[1].dead_letter == null' "$OUT"
    [ "$(syncq list q --all | jq .id | paste -sd ' ')" = '1 2 3 4' ]
    syncq list --all | jq -c 'select(.id == 1)' >first
    jq_true '.payload == {"a": 1} and .result == {"ok": true} and .owed == false and
        .unique_key == "u" and .job_type == "mail" and .attempts == 1' first
    # Every column that is not NULL is there, whatever the state.
    syncq list --all | jq -c 'del(.dead_letter) | keys' >listed
    db -json 'SELECT * FROM job_queue ORDER BY id' | jq -c '.[] |
        with_entries(select(.value != null) | .key |= sub("_json$"; "")) | keys' | cmp - listed
    [ "$(syncq list --status failed | jq .id)" -eq 2 ]
    [ "$(syncq list --status completed | jq .id)" -eq 1 ]
    [ "$(syncq list --all --type mail --type none | jq .id)" -eq 1 ]
    [ "$(syncq list --limit 2 | jq .id | paste -sd ' ')" = '2 3' ]
    [ "$(syncq list q --limit 0)" = '' ]
    [ "$(syncq list none)" = '' ]
}

@test "a payload that others wrote with line ends in it stays one line" {
    put q 1
    db "UPDATE job_queue SET payload = '{' || char(10) || ' \"a\" : 1 }'"
    [ "$(syncq list | wc -l)" -eq 1 ]
    [ "$(syncq show 1 | jq -c .payload)" = '{"a":1}' ]
}

@test "large payloads come out whole, and memory does not add up" {
    for _ in 1 2 3 4 5 6; do
        printf '"%0*d"\n' 15000000 0 | syncq -q enqueue q
    done
    [ "$(syncq list | wc -c)" -gt 90000000 ]
    [ -n "$checker" ] || [ "$( (ulimit -v 120000 && syncq list) | wc -c)" -gt 90000000 ]
}

@test "show takes an id, an idempotency key, or a dead letter without its row" {
    run_split syncq enqueue q <<<'{"a":1}'
    key=$(jq -r .idempotency_key "$OUT")
    put a 1
    put z 1
    for what in 1 "$key"; do
        run_split syncq show "$what"
        assert_status 0
        jq_true '.id == 1 and .payload == {"a": 1}' "$OUT"
    done
    for what in 9 01 1x no-such-key ''; do
        run_split syncq show "$what"
        assert_status 1 "$what: no job has this id or idempotency key"
        assert_out ''
    done
    take
    syncq -q fail 1 --token "$token" --dead
    put a 1
    prune_all
    [ "$(count 'id = 1')" -eq 0 ]
    for what in 1 "$key"; do
        run_split syncq show "$what"
        assert_status 0
        jq_true '.id == 1 and .status == "failed" and .dead_letter and .payload == {"a": 1}' "$OUT"
    done
    # A key that looks like a number is found when no job has the number.
    db "UPDATE job_queue SET idempotency_key = '77' WHERE id = 2"
    [ "$(syncq show 77 | jq .id)" -eq 2 ]
}

@test "on a terminal list aligns columns and cuts payloads to its width" {
    echo '{"text":"手術の記録手術の記録手術の記録手術の記録手術の記録手術の記録"}' | syncq -q enqueue q --type mail
    printf '"\\u001b[31m\x7f%s"\n' "$(printf %0200d 0)" | syncq -q enqueue a-queue-with-a-very-long-name
    put q 1 --at 2100-01-01T00:00:00Z
    on_terminal 'syncq list' >seen
    head -1 seen | grep -Eq '^ +ID  QUEUE +TYPE +STATE +AGE  TRIES  PAYLOAD$'
    grep -Eq '^ +1  q +mail +ready +[0-9]+ s +0  \{"text":"手術.*…$' seen
    grep -Eq '^ +2  a-queue-with-a-ve…  - ' seen
    grep -Eq '^ +3  q .* in [0-9]+ y ' seen
    if grep -q $'\x1b\|\x7f' seen; then false; fi
    python3 - <<'END'
import unicodedata
for line in open("seen", encoding="utf-8"):
    line = line.rstrip("\n")
    w = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)
    assert w <= 100, (w, line)
    assert not line.endswith("…") or w >= 99, (w, line)
END
    on_terminal 'syncq list q' >seen
    if grep -q QUEUE seen; then false; fi
    on_terminal 'LC_ALL=C syncq list' >seen
    grep -Eq '^ +1 .*\{"text":"\\u624b.*>$' seen
    on_terminal 'syncq list --json' | jq_true -s 'length == 3'
    on_terminal 'syncq list none' >seen
    [ ! -s seen ]
}

@test "on a terminal show names what there is, ages as words, bytes harmless" {
    echo '{"a":"é"}' | syncq -q enqueue q --type mail
    take
    syncq -q fail 1 --token "$token" --dead --error $'bad\e[31m'
    db "UPDATE job_queue SET created_at = created_at - 7200000 - 1000"
    on_terminal 'syncq show 1' >seen
    grep -Fqx 'id                1' seen
    grep -Fqx 'state             failed' seen
    grep -Eq '^put in +20..-..-..T..:..:..\....Z \(2 h ago\)$' seen
    grep -Fqx 'error             bad\u001b[31m' seen
    grep -Eq '^  attempt 1 .* ago\)$' seen
    grep -Fqx 'payload           {"a":"é"}' seen
    on_terminal 'syncq show --json 1' | jq_true '.id == 1'
}

# --- stats ------------------------------------------------------------------

@test "stats count by state, tell ages, and know what is due" {
    export LIFEBOAT_NOW=$now
    put q 5
    LIFEBOAT_NOW=$((now - 5000)) put q 1 --at $((now + 1000))
    LIFEBOAT_NOW=$((now - 9000)) put old 2
    LIFEBOAT_NOW=$((now - 9000)) put later 1 --at $((now + 1000))
    take
    take
    syncq -q fail "$id" --token "$token" --dead
    take
    syncq -q complete "$id" --token "$token"
    take
    syncq -q fail "$id" --token "$token"
    run_split syncq stats
    assert_status 0
    jq_true -s 'map(.queue_name) == ["later", "old", "q"]' "$OUT"
    jq_true -s '.[2].depth == {"ready": 1, "scheduled": 2, "running": 1, "completed": 1,
        "failed": 1, "dead_letters": 1, "owed": 0}' "$OUT"
    jq_true -s '.[1].oldest_ms == 9000 and .[1].depth.ready == 2 and .[0].oldest_ms == null' "$OUT"
    run_split syncq stats q none
    jq_true -s 'map(.queue_name) == ["q", "none"] and .[1].depth.ready == 0 and
        .[1].oldest_ms == null and .[1].failure_rate == null and .[1].wait_ms.p50 == null' "$OUT"
    # What has come due is ready, before anybody has asked for it.
    LIFEBOAT_NOW=$((now + 1000)) run_split syncq stats q later
    jq_true -s 'map(.depth.ready) == [2, 1] and map(.depth.scheduled) == [1, 0] and
        .[1].oldest_ms == 10000' "$OUT"
    db "UPDATE job_queue SET wake_boot_id = '00000000-0000-0000-0000-000000000000' WHERE wake_boot_id <> 'wall' AND status = 'pending'"
    run_split syncq stats q
    jq_true '.depth.ready == 2 and .depth.scheduled == 1' "$OUT"
    # A clock set back makes nothing younger than new, a clock that was not set
    # makes nothing older than this program.
    LIFEBOAT_NOW=$((now - year)) run_split syncq stats old
    jq_true '.oldest_ms == 0' "$OUT"
    db 'UPDATE job_queue SET created_at = 5000'
    run_split syncq stats old
    jq_true ".oldest_ms == $now - 1767225600000" "$OUT"
}

# ended N WAIT RUN [STATUS RETRIES END]: N jobs that waited and ran so long, in SQL.
ended() {
    db "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
        INSERT INTO job_queue(queue_name, idempotency_key, change, payload, status, retry_count,
            created_at, scheduled_at, started_at, completed_at)
        SELECT 'q', 'k' || random(), 0, 1, '${4-completed}', ${5-0}, 0,
            ${6-$now} - ($3) - ($2), ${6-$now} - ($3), ${6-$now} FROM n"
}

@test "stats give wait and run times and rates of what ended lately" {
    export LIFEBOAT_NOW=$now
    put q 1
    ended 100 i i*2
    run_split syncq stats q
    jq_true '.wait_ms == {"n": 100, "p50": 50, "p95": 95, "p99": 99} and
        .run_ms == {"n": 100, "p50": 100, "p95": 190, "p99": 198} and
        .failure_rate == 0 and .retry_rate == 0 and .ended_completed == 100' "$OUT"
    ended 100 1 123456 failed 1
    run_split syncq stats q
    jq_true '.failure_rate == 0.5 and .retry_rate == 0.5 and .ended_failed == 100 and
        .run_ms.p99 == 123456' "$OUT"
    # Longer ones to a hundredth.
    ended 300 0 i*10007
    run_split syncq stats q
    jq_true '(.run_ms.p95 / (10007 * 275) - 1 | fabs) < 0.01' "$OUT"
    ended 1000 7 7 completed 0 $((now - 3600000))
    run_split syncq stats q
    jq_true '.ended_completed == 1400' "$OUT"
    run_split syncq stats q --since 59m
    jq_true '.ended_completed == 400 and .since_ms == 3540000' "$OUT"
    run_split syncq stats q --since 0
    jq_true '.ended_completed == 0 and .failure_rate == null' "$OUT"
}

@test "clocks that jumped make no time negative, and none of 50 years" {
    export LIFEBOAT_NOW=$now
    put q 1
    ended 10 -5000 -7000
    run_split syncq stats q
    jq_true '.wait_ms == {"n": 10, "p50": 0, "p95": 0, "p99": 0} and .run_ms.p99 == 0' "$OUT"
    ended 10 "$now-5000" 10
    run_split syncq stats q
    jq_true '.wait_ms.n == 10 and .wait_ms.p99 == 0 and .run_ms == {"n": 20, "p50": 0, "p95": 10, "p99": 10}' "$OUT"
    # Ended in what is now the future: lately.
    ended 5 1 1 completed 0 $((now + year))
    run_split syncq stats q --since 1
    jq_true '.ended_completed == 25' "$OUT"
}

@test "stats tell a pause and how a destination's endpoint fares" {
    put q 1
    syncq -q pause q --reason 'its "endpoint" moved'
    jq_true '.paused and .reason == "its \"endpoint\" moved" and .endpoint == {"failures": 0,
        "retry_in_ms": 0, "error": null, "last_success_at": null}' <(syncq stats q)
    db "UPDATE queue_state SET endpoint_failures = 3, error_message = 'refused', wake_boot_id = 'wall',
        wake_ms = $now + 4000, last_success_at = 77"
    jq_true '.endpoint == {"failures": 3, "retry_in_ms": 4000, "error": "refused",
        "last_success_at": 77}' <(LIFEBOAT_NOW=$now syncq stats q)
    syncq -q resume q
    jq_true '(.paused | not) and .reason == null and .endpoint.failures == 0 and .endpoint.retry_in_ms == 0' <(syncq stats q)
}

# --- watch ------------------------------------------------------------------

# watching NAME [ARGUMENTS]: a syncq watch that has begun to look.
watching() {
    local name=$1
    shift
    background "$name" syncq watch "$@"
    wait_until 10 looking
}
looking() { grep -qs inotify "/proc/$pid/fdinfo/"*; }

ends_with() { # STATUS: of the process in $pid
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq "$1" ]
}

@test "watch tells changes as they are committed, and goes on from a number" {
    put q 1
    watching watch q --after 1
    put other 1
    put q 1
    wait_until 10 grep -q '"id":3' watch.out
    take
    wait_until 10 grep -q '"status":"running"' watch.out
    syncq -q complete "$id" --token "$token" --result '"done"'
    wait_until 10 grep -q '"status":"completed"' watch.out
    kill "$pid"
    ends_with 143
    jq_true -s 'map([.id, .status]) == [[3, "pending"], [1, "running"], [1, "completed"]] and
        (map(.change) | . == sort) and all(.payload == null)' watch.out
    last=$(jq -s '.[0].change' watch.out)
    background again syncq watch --after "$last"
    wait_until 10 grep -q '"status":"completed"' again.out
    kill "$pid"
    ends_with 143
    # Of each row the newest state.
    jq_true -s 'map([.id, .status]) == [[1, "completed"]]' again.out
}

@test "watch begins with what comes next, and sleeps until then" {
    put q 3
    watching watch
    # It sleeps once it has looked.
    asleep() { grep -q '^State:.S' "/proc/$pid/status" && [ "$(cut -d ' ' -f 1 "/proc/$pid/syscall")" != 0 ]; }
    wait_until 10 asleep
    used=$(cut -d ' ' -f 14,15 "/proc/$pid/stat")
    put q 1
    wait_until 10 grep -q '"id":4' watch.out
    [ "$(jq -s 'map(.id)' -c watch.out)" = '[4]' ]
    # shellcheck disable=SC2046,SC2086
    set -- $used $(cut -d ' ' -f 14,15 "/proc/$pid/stat")
    [ $(($3 + $4 - $1 - $2)) -lt 50 ]
}

@test "watch dies of SIGPIPE when its reader leaves, though nothing changes" {
    put q 1
    mkfifo pipe
    background watch sh -c 'exec env --default-signal=PIPE syncq watch >pipe'
    exec 9<pipe
    wait_until 10 looking
    exec 9<&-
    ends_with 141
}

@test "watch tells every row in order when there are many" {
    put q 20000
    background watch syncq watch --after 0
    wait_until 20 grep -q '"id":20000,' watch.out
    kill "$pid"
    ends_with 143
    jq .id watch.out | cmp - <(seq 20000)
}

@test "a number of another store, or a store that was replaced, is 76" {
    put q 1
    run_split timeout 10 syncq watch --after 99
    assert_status 76 'change 99 is not of this store, whose last is 1'
    watching watch
    LIFEBOAT_DB=other.db put q 1
    mv other.db "$LIFEBOAT_DB"
    ends_with 76
}

@test "numbers of changes ascend, whatever is pruned" {
    put q 3
    take
    syncq -q complete "$id" --token "$token"
    take
    syncq -q complete "$id" --token "$token"
    last=$(db 'SELECT max(change) FROM job_queue')
    watching watch --after "$last"
    prune_all
    [ "$(ids "status = 'completed'")" = 2 ]
    take
    wait_until 10 grep -q '"status":"running"' watch.out
    [ "$(column change "$id")" -gt "$last" ]
    prune_all
    [ "$(count "status = 'completed'")" -eq 0 ]
}

# --- pause, resume ----------------------------------------------------------

@test "a paused queue takes jobs and gives none out, until it is resumed" {
    put q 1
    put other 1
    run_split syncq pause q --reason 'the printer is broken'
    assert_status 0 'q: paused'
    put q 1
    run_split syncq dequeue q
    assert_status 1 'q: paused: the printer is broken'
    [ "$(syncq -q dequeue other | payloads)" = 1 ]
    run_split syncq resume q
    assert_status 0 'q: goes on'
    [ "$(drain)" = '1 1' ]
    run_split syncq resume q
    assert_status 0 'q: was not paused'
    syncq -q pause q
    run_split syncq dequeue q
    assert_status 1 'q: paused'
    run_split syncq pause q --reason $'\xff'
    assert_status 64
}

@test "what is running when a queue is paused can still be ended" {
    put q 1
    take
    syncq -q pause q
    run_split syncq complete 1 --token "$token"
    assert_status 0
}

# --- dead letters -----------------------------------------------------------

# die QUEUE N [OPTIONS]: N jobs that died.
die() {
    put "$@" --max-retries 4
    syncq -q dequeue "$1" -n "$2" | jq -c '. + {error: "died", dead: true}' | syncq -q fail
}

@test "dead list shows what was given up, in the form of a job" {
    put other 1
    die q 2 --type mail --priority 7
    syncq -q dequeue other | jq -c '. + {dead: true}' | syncq -q fail
    put q 1
    run_split syncq dead list
    assert_status 0
    # In the order in which they died.
    jq_true -s 'map([.id, .queue_name]) == [[2, "q"], [3, "q"], [1, "other"]] and
        all(.status == "failed" and .dead_letter) and .[1].payload == 2 and .[0].job_type == "mail" and
        .[0].attempts == 1 and .[0].error_message == "died" and .[0].errors[0].error == "died" and
        .[0].completed_at >= .[0].created_at' "$OUT"
    [ "$(syncq dead list q | jq .id | paste -sd ' ')" = '2 3' ]
    [ "$(syncq dead list --type mail --limit 1 | jq .id)" -eq 2 ]
    on_terminal 'syncq dead list other' | grep -Eq '^ +1  - +failed '
}

@test "requeue makes the job pending again: old id, counts 0, history kept" {
    die q 3 --type mail
    db 'UPDATE job_queue SET retry_count = 2, crash_count = 1'
    change=$(db 'SELECT max(change) FROM job_queue')
    run_split syncq dead requeue 2 3 9
    assert_status 1 '2 requeued, 1 without a dead letter'
    assert_status 1 'job 9: has no dead letter'
    [ "$(letters)" -eq 1 ]
    [ "$(column "status, retry_count, crash_count, attempts, completed_at IS NULL, error_message,
        change > $change" 2)" = 'pending|0|0|1|1|died|1' ]
    [ "$(db 'SELECT count(DISTINCT change) = count(*) FROM job_queue')" -eq 1 ]
    take
    [ "$id" -eq 2 ]
    jq_true '.attempt == 2' job
    syncq -q fail 2 --token "$token" --dead --error again
    jq_true 'map(.error) == ["died", "again"]' <(column errors_json 2)
    [ "$(letters)" -eq 2 ]
}

@test "requeue makes a row anew that was pruned, with the same id" {
    echo '{"a":1}' | syncq -q enqueue q --type mail --priority 8 --timeout 9 --max-retries 2 --unique u
    key=$(column idempotency_key)
    made=$(column created_at)
    take
    syncq -q fail 1 --token "$token" --dead --error died
    put other 1
    prune_all
    [ "$(count)" -eq 1 ]
    run_split syncq dead requeue 1
    assert_status 0 '1 requeued'
    [ "$(column 'id, queue_name, job_type, priority, status, unique_key, max_retries, timeout_seconds, attempts, retry_count, payload')" = '1|q|mail|8|pending|u|2|9|1|0|{"a":1}' ]
    [ "$(column 'idempotency_key, created_at')" = "$key|$made" ]
    jq_true '.[0].error == "died"' <(column errors_json)
    [ "$(letters)" -eq 0 ]
    take
    [ "$id" -eq 1 ]
    put q 1
    [ "$(db 'SELECT max(id) FROM job_queue')" -eq 3 ]
}

@test "requeue --all takes one queue's, and leaves who lost the unique key" {
    die q 1 --unique u
    die q 2
    die other 1
    put q 1 --unique u
    run_split syncq dead requeue --all q
    assert_status 1 'job 1: its unique key is taken by job 5: left dead'
    assert_status 1 '2 requeued, 0 without a dead letter, 1 kept for their unique key'
    [ "$(dead_ids)" = '1 4' ]
    [ "$(column status)" = failed ]
    # The same when its row was pruned.
    prune_all
    run_split syncq dead requeue 1
    assert_status 1 'taken by job 5'
    [ "$(letters)" -eq 2 ]
}

@test "requeue --all and purge --older go through many" {
    die q 2500
    run_split syncq dead requeue --all q
    assert_status 0 '2500 requeued'
    [ "$(letters)" -eq 0 ]
    syncq -q dequeue q -n 2500 | jq -c '. + {dead: true}' | syncq -q fail
    LIFEBOAT_NOW=$((now * 2)) run_split syncq dead purge --older 0
    assert_status 0 '2500 purged'
    [ "$(letters)" -eq 0 ]
    [ "$(count "status = 'failed'")" -eq 2500 ]
}

@test "purge forgets by id, or by age and queue; the failed row stays" {
    LIFEBOAT_NOW=$((now - 100000)) die q 2
    LIFEBOAT_NOW=$((now - 100000)) die other 1
    export LIFEBOAT_NOW=$now
    die q 1
    run_split syncq dead purge --older 90s q
    assert_status 0 '2 purged'
    [ "$(dead_ids)" = '3 4' ]
    run_split syncq dead purge 4 1
    assert_status 1 '1 purged, 1 without a dead letter'
    [ "$(count "status = 'failed'")" -eq 4 ]
    jq_true '.dead_letter == false' <(syncq show 1)
    run_split syncq dead requeue 1
    assert_status 1 'job 1: has no dead letter'
}

# --- prune ------------------------------------------------------------------

@test "prune removes what ended longer ago than keep, and nothing that owes" {
    queues '{"q":{"keep":"1h"},"kept":{"keep":"3h"}}'
    export LIFEBOAT_NOW=$((now - 7200000))
    for queue in q kept other; do
        die $queue 1
        put $queue 2
        syncq -q dequeue $queue -n 2 | syncq -q complete
        put $queue 1
    done
    db "UPDATE job_queue SET owed = 1 WHERE id = 3"
    LIFEBOAT_NOW=$now
    run_split syncq prune
    assert_status 0 'q: 2 removed'
    assert_status 0 'syncq: 2 removed'
    [ "$(ids "queue_name = 'q'")" = '3 4' ]
    [ "$(letters)" -eq 3 ]
    run_split syncq prune kept --older 2h
    assert_status 0 'syncq: 0 removed'
    run_split syncq prune kept --older 119m
    assert_status 0 'syncq: 3 removed'
    # Where nothing is said, 7 days.
    LIFEBOAT_NOW=$((now - 7200000 + 604800000))
    run_split syncq prune other
    assert_status 0 'syncq: 0 removed'
    # A clock that was not set removes nothing.
    LIFEBOAT_NOW=1000
    run_split syncq prune --older 0
    assert_status 0 'syncq: 0 removed'
    LIFEBOAT_NOW=$((now - 7200000 + 604800001))
    run_split syncq prune other
    assert_status 0 'syncq: 3 removed'
}

@test "prune goes in short transactions, past rows that owe" {
    put q 3500
    syncq -q dequeue q -n 3500 | syncq -q complete
    db 'UPDATE job_queue SET owed = 1 WHERE id <= 1200'
    put q 1
    syncq -q dequeue q >taken
    prune_all
    [ "$(db 'SELECT count(*), max(id) FROM job_queue')" = '1201|3501' ]
}

# --- load -------------------------------------------------------------------

# One job of each kind: 1 completed, 2 failed and its dead letter purged, 3
# running, 4 retrying, 5 due one day, 6 and 7 ready, 8 given up, 9 the same and
# its row gone.
one_of_each() {
    echo '{"a":"é"}' | syncq -q enqueue q --type mail --priority 7 --max-retries 4 --timeout 9 --unique u
    put q 3 --priority 6
    take
    syncq -q complete 1 --token "$token" --result '{"r":1}'
    take
    syncq -q fail 2 --token "$token" --dead --error died
    syncq -q dead purge 2
    take
    take
    syncq -q fail 4 --token "$token" --error later
    put q 1 --at 2100-01-01T00:00:00Z
    put q 1 --unique w --type mail
    put q 1
    die other 2
    db "UPDATE job_queue SET lane = 'l' WHERE id = 6"
    db "DELETE FROM job_queue WHERE id = 9"
}

@test "what list --json --all printed is taken back, once" {
    one_of_each
    syncq list --json --all >backup
    jq_true -s 'map(.id) == [1, 2, 3, 4, 5, 6, 7, 8, 9]' backup
    export LIFEBOAT_DB=new.db
    run_split syncq load backup
    assert_status 0 '9 received: 9 taken back, 0 there already, 0 rejected'
    syncq list --json --all >copy
    same='[.queue_name, .job_type, .lane, .priority, .max_retries, .timeout_seconds, .unique_key,
        .idempotency_key, .created_at, .retry_count // 0, .crash_count // 0, .payload, .result,
        .errors, .error_message, .dead_letter, .owed]'
    diff <(jq -c "$same" backup) <(jq -c "$same" copy)
    # What ran or waited for another try is ready; what waits for its time still does.
    jq_true -s 'map(.status) == ["completed", "failed", "pending", "pending", "pending", "pending",
        "pending", "failed", "failed"]' copy
    [ "$(ids "status = 'pending' AND wake_ms IS NULL")" = '3 4 6 7' ]
    [ "$(column 'wake_boot_id, wake_ms' 5)" = 'wall|4102444800000' ]
    [ "$(column 'attempts, lease_token IS NULL, lease_holder IS NULL' 3)" = '0|1|1' ]
    [ "$(column 'attempts, retry_count' 4)" = '1|1' ]
    [ "$(letters)" -eq 2 ]
    [ "$(db 'SELECT count(DISTINCT change) = 9 FROM job_queue')" -eq 1 ]
    run_split syncq load <backup
    assert_status 0 '0 taken back, 9 there already'
    [ "$(count)" -eq 9 ]
    # Once more where one was pruned and only its dead letter is left.
    put q 1 --type last
    prune_all other
    [ "$(count "queue_name = 'other'")" -eq 0 ]
    run_split syncq load backup
    assert_status 0 '0 taken back, 9 there already'
    # In the order of the old ids.
    [ "$(drain)" = '2 3 1 1 1' ]
}

@test "a job that owes is taken back owing, and a unique key stays unique" {
    put q 1 --unique u
    take
    syncq -q complete 1 --token "$token"
    db 'UPDATE job_queue SET owed = 1'
    put q 1 --unique u
    syncq list --json --all >backup
    LIFEBOAT_DB=new.db
    put q 1 --unique u
    run_split syncq load backup
    assert_status 0 '1 taken back, 1 there already'
    [ "$(count owed=1)" -eq 1 ]
    [ "$(count "status = 'pending'")" -eq 1 ]
}

@test "bad lines of load are named with their member, and the others taken" {
    good='"queue_name":"q","idempotency_key":"k","payload":1'
    {
        echo "{$good,\"status\":\"lost\"}"
        echo '{"queue_name":"a b","idempotency_key":"k","payload":1}'
        echo '{"queue_name":"q","payload":1}'
        echo '{"queue_name":"q","idempotency_key":"k"}'
        echo "{$good,\"priority\":1.5}"
        echo "{$good,\"priority\":1001}"
        echo "{$good,\"status\":\"failed\"}"
        echo "{$good,\"errors\":{}}"
        echo "{$good,\"owed\":1}"
        echo "{$good,\"job_type\":\"\"}"
        echo "{$good,"
        echo "{$good,\"from\":\"a later version\",\"lane\":null}"
    } >in
    run_split syncq load --rejects odd in
    assert_status 1 '12 received: 1 taken back, 0 there already, 11 rejected'
    head -11 in | cmp - odd
    for why in 'in:1: byte 0: status: wants' "in:2: byte 69: queue_name: not a queue's name" \
        'idempotency_key: missing' 'payload: missing' 'in:5: byte 259: priority: not a number' 'in:6: ' 'completed_at: missing' \
        'errors: wants an array' 'owed: wants true or false' 'job_type: empty or too long'; do
        assert_status 1 "$why"
    done
    [ "$(column 'priority, max_retries, status')" = '5|3|pending' ]
}

# --- the store --------------------------------------------------------------

@test "a store of version 1 is brought up to date by whoever looks first" {
    sqlite3 "$LIFEBOAT_DB" <"$top/tests/data/store-v1.sql" >/dev/null
    run_split syncq stats
    assert_status 0
    assert_out ''
    [ "$(db 'PRAGMA user_version')" -eq 3 ]
}

@test "other writers that keep the gate make it 75, and nothing is changed" {
    put q 1
    background holder flock -F "$LIFEBOAT_DB-gate" sh -c 'echo held; exec sleep 60'
    wait_until 10 grep -q held holder.out
    for what in 'enqueue q' 'dequeue q' 'pause q' 'dead requeue 1' prune; do
        # shellcheck disable=SC2086
        LIFEBOAT_WAIT=0 run_split syncq $what <<<2
        assert_status 75 'the store is busy'
    done
    run_split syncq list
    assert_status 0
    jq_true '.status == "pending"' "$OUT"
}
