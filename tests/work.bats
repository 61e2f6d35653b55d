#!/usr/bin/env bats
# syncq work: a command for each job, and nothing of it outlives its time.
# valgrind: payload|what its exit says|TERM to the worker

load helper

setup() {
    private_store
    mkdir t
}

# put N [OPTIONS]: jobs of queue q with payloads {"n":1} to N.
put() {
    local n=$1
    shift
    for ((i = 1; i <= n; i++)); do echo "{\"n\":$i}"; done | syncq enqueue -q "$@" q
}

sql() { sqlite3 -cmd '.timeout 5000' "$LIFEBOAT_DB" "$@"; }
# is COLUMN VALUE [ID]: of job ID, or 1.
is() {
    local got
    got=$(sql "SELECT $1 FROM job_queue WHERE id = ${3:-1}")
    [ "$got" = "$2" ] || {
        echo "$1 is '$got', not '$2'" >&2
        return 1
    }
}
has_status() { is status "$1" "${2:-1}" 2>/dev/null; }
dead() { ! kill -0 "$1" 2>/dev/null; }
# alive_in_t COUNT: so many of the processes whose pids are in t/ are there.
alive_in_t() {
    local f n=0
    for f in t/*; do [ -s "$f" ] && kill -0 "$(cat "$f")" 2>/dev/null && n=$((n + 1)); done
    [ "$n" -eq "$1" ]
}

@test "a handler has the payload on its standard input and the job in its environment" {
    echo '{"to": "ana", "n": 1.50}' | syncq enqueue -q --type mail q
    run_split syncq work q --drain -- sh -c 'cat >t/in; env >t/env; ls /proc/self/fd >t/fds'
    assert_status 0 'q: 1 completed, 0 failed, 0 given back'
    [ "$(cat t/in)" = '{"to":"ana","n":1.50}' ]
    grep -qx SYNCQ_ID=1 t/env
    grep -qx SYNCQ_ATTEMPT=1 t/env
    grep -qx SYNCQ_TYPE=mail t/env
    grep -qx SYNCQ_QUEUE=q t/env
    grep -qx "LIFEBOAT_DB=$LIFEBOAT_DB" t/env
    grep -qx "IDEMPOTENCY_KEY=$(sql 'SELECT idempotency_key FROM job_queue')" t/env
    grep -Eqx 'SYNCQ_TOKEN=[0-9a-f]{32}' t/env
    # its three streams, and the one ls reads the folder by
    [ "$checker" = valgrind ] || [ "$(wc -l <t/fds)" -eq 4 ]
}

@test "what it prints is the result: JSON as it is, all else as a string, at most 64 KiB" {
    put 4
    run_split syncq work q --drain -- sh -c 'case $SYNCQ_ID in
        1) printf "{\"sum\": 1.50}\n\n" ;;
        2) echo plain text ;;
        3) : ;;
        4) for i in 1 2 3 4 5 6 7 8 9 10; do printf %09000d 1; done ;;
    esac'
    assert_status 0 'job 4: it printed more than 65536 bytes: the rest was dropped'
    is result '{"sum":1.50}'
    is result '"plain text"' 2
    is 'result IS NULL' 1 3
    # The first 64 KiB: 7 times 9000 bytes and 2536 of the next.
    [ "$(sql 'SELECT result FROM job_queue WHERE id = 4' | tr -dc 1 | wc -c)" -eq 7 ]
    is 'length(result)' 65538 4
    is "count(*) FILTER (WHERE status = 'completed')" 1 4
}

@test "what its exit says: 0 is done, 64, 65 and 100 are dead at once, anything else is retried" {
    put 5
    run_split syncq work q --drain -- sh -c 'echo "no: $SYNCQ_ID" >&2
        case $SYNCQ_ID in 1) exit 0 ;; 2) exit 64 ;; 3) exit 65 ;; 4) exit 100 ;; 5) exit 1 ;; esac'
    assert_status 0 'q: 1 completed, 4 failed, 0 given back'
    is status completed
    for i in 2 3 4; do
        is status failed $i
        is retry_count 0 $i
    done
    is error_message 'exit status 65: no: 3' 3
    [ "$(sql 'SELECT group_concat(original_job_id) FROM job_queue_dead_letter')" = 2,3,4 ]
    is status pending 5
    is retry_count 1 5
    is 'json_extract(errors_json, "$[0].error")' 'exit status 1: no: 5' 5
    # its stderr has passed through
    assert_status 0 'no: 4'
}

@test "a retry waits half of 5 s at least, then it is the second attempt" {
    put 1
    syncq work -q q --drain -- sh -c 'exit 3'
    is 'scheduled_at - started_at BETWEEN 2500 AND 8000' 1
    background w syncq work q -- sh -c 'echo "$SYNCQ_ATTEMPT" >t/attempt'
    wait_until 10 has_status completed
    [ "$(cat t/attempt)" = 2 ]
    is attempts 2
    is retry_count 1
}

@test "a retry too many and the job is given up" {
    put 1 --max-retries 1
    for _ in 1 2; do
        sql 'UPDATE job_queue SET wake_ms = NULL, wake_boot_id = NULL' # the wait is over
        run_split syncq work q --drain -- false
        assert_status 0
    done
    is status failed
    is attempts 2
    [ "$(sql 'SELECT failure_count FROM job_queue_dead_letter')" = 2 ]
    run_split syncq work q --once -- true
    assert_status 1
}

@test "a command that is not there is the operator's mistake: the job is unharmed, the worker stops" {
    put 2
    for c in no-such-command-anywhere "$PWD" 'exit78'; do
        printf '#!/bin/sh\nexit 78\n' >exit78
        chmod +x exit78
        [ "$c" != exit78 ] || c=./exit78
        run_split syncq work q -- "$c"
        assert_status 78 'job 1: '
        is status pending
        is attempts 0
        is retry_count 0
        is 'wake_ms IS NULL' 1
    done
    run_split syncq work q --drain -- true
    assert_status 0 '2 completed'
}

@test "a signal counts towards a limit of three, not towards the retries" {
    put 1 --max-retries 0
    for n in 1 2 3; do
        sql 'UPDATE job_queue SET wake_ms = NULL, wake_boot_id = NULL'
        run_split syncq work q --drain -- sh -c 'kill -SEGV $$'
        assert_status 0 'job 1: ended by signal 11'
        is crash_count $n
        is retry_count 0
        [ $n = 3 ] || is status pending
    done
    is status failed
    [ "$(sql 'SELECT count(*) FROM job_queue_dead_letter')" = 1 ]
}

@test "at the timeout the handler and all that came of it are gone before the job is out again" {
    put 3 --timeout 1
    # one that ignores TERM, one in the background, one in a session of its own
    run_split syncq work q -j 3 --drain -- bash -c 'case $SYNCQ_ID in
        1) trap "" TERM; echo $$ >t/1; while :; do read -t 60 <> <(:); done ;;
        2) (trap "" TERM; echo $BASHPID >t/2; while :; do read -t 60 <> <(:); done) & wait ;;
        3) setsid bash -c "trap \"\" TERM; echo \$\$ >t/3; while :; do read -t 60 <> <(:); done" & wait ;;
    esac'
    assert_status 0 '0 completed, 3 failed'
    alive_in_t 0
    [ "$(ls t)" = "$(printf '1\n2\n3')" ]
    for i in 1 2 3; do
        is status pending $i
        is error_message 'timed out after 1 s' $i
        is retry_count 1 $i
    done
}

@test "a handler that extends its lease has that time, and no more" {
    put 2 --timeout 2
    run_split syncq work q -j 2 --drain -- sh -c '
        if [ $SYNCQ_ID = 1 ]; then syncq extend -q 1 --token $SYNCQ_TOKEN --by 4; fi
        began=$(date +%s%3N); while [ $(($(date +%s%3N) - began)) -lt 3000 ]; do :; done
        while :; do :; done'
    assert_status 0 'job 2: timed out after 2 s'
    assert_status 0 'job 1: timed out after 4 s'
    is retry_count 1
    is 'scheduled_at - started_at BETWEEN 4000 + 2500 AND 9000 + 3000' 1
    is 'scheduled_at - started_at BETWEEN 2000 + 2500 AND 7000 + 1000' 1 2
}

@test "a destination is no queue of jobs" {
    mkdir -p etc/destinations.d
    echo '{"url":"http://127.0.0.1:1/"}' >etc/destinations.d/cloud.json
    export LIFEBOAT_CONFIG=$PWD/etc
    for c in enqueue dequeue work; do
        more=()
        [ "$c" != work ] || more=(true)
        run_split syncq "$c" cloud "${more[@]}" </dev/null
        assert_status 64 'cloud: a destination: its items go by send and flush'
    done
    for use in 'dequeue mirror-send.primary' 'work mirror-send.mirror -- true' 'enqueue mirror-send.primary'; do
        # shellcheck disable=SC2086
        run_split syncq $use </dev/null
        assert_status 64 'an outbox of mirror-send: its items go by that'
    done
}

@test "what a handler leaves behind is ended with it, and the job is done" {
    put 1
    run_split syncq work q --drain -- bash -c \
        'echo $(setsid sh -c "trap \"\" TERM; echo \$\$; exec >&-; while :; do sleep 60; done" &) >t/left'
    assert_status 0 '1 completed'
    alive_in_t 0
    [ -s t/left ]
}

@test "the worker is killed: its handlers end, and only then another has the job, without waiting for the lease" {
    put 1 --timeout 600
    background first syncq work q -- bash -c 'setsid bash -c "trap \"\" TERM
        exec 9>t/lock; flock -n 9 || echo two at once >>overlap
        echo \$\$ >t/pid; while :; do read -t 60 <> <(:); done" & wait'
    wait_until 10 test -s t/pid
    background second syncq work q -- sh -c 'exec 9>t/lock; flock -n 9 || echo two at once >>overlap; echo second'
    kill -9 "${background_pids[0]}"
    # the crash, its backoff, the second attempt
    wait_until 30 has_status completed
    [ ! -e overlap ]
    dead "$(cat t/pid)"
    is crash_count 1
    is attempts 2
    is 'json_extract(errors_json, "$[0].error")' 'its worker is gone'
}

@test "a supervisor is killed: what it watched over is ended, the worker goes on" {
    put 2
    background w syncq work q -- bash -c '[ $SYNCQ_ID = 2 ] || [ $SYNCQ_ATTEMPT = 2 ] || {
        setsid sleep 600 & echo $! >t/pid; echo $PPID >t/super; wait; }'
    wait_until 10 test -s t/super
    super=$(cat t/super)
    rm t/super
    kill -9 "$super"
    wait_until 10 has_status completed 2
    alive_in_t 0
    is 'json_extract(errors_json, "$[0].error")' 'its supervisor was killed'
    is crash_count 1
}

@test "a supervisor that was killed while it had nothing to do costs no job anything" {
    put 1
    background w syncq work q -- sh -c 'echo "$PPID" >>t/super'
    wait_until 10 has_status completed
    kill -9 "$(cat t/super)"
    put 1
    wait_until 10 has_status completed 2
    is crash_count 0 2
    [ "$(sort -u t/super | wc -l)" -eq 2 ]
}

@test "when it has to give up, what several handlers do ends within one grace" {
    put 3
    background w syncq work q -j 3 --grace 0 -- bash -c 'trap "" TERM; echo $$ >t/$SYNCQ_ID
        while :; do read -t 60 <> <(:); done'
    worker=$pid
    wait_until 10 alive_in_t 3
    began=$SECONDS
    kill -TERM "$worker"
    wait "$worker" || :
    alive_in_t 0
    [ $((SECONDS - began)) -lt 10 ]
}

@test "a worker that was stopped past its lease records nothing when it goes on" {
    put 1
    mkfifo go
    background w syncq work q --once -- sh -c 'echo >t/begun; read x <go; echo mine'
    worker=$pid
    wait_until 10 test -s t/begun
    kill -STOP "$worker"
    echo >go
    sql 'UPDATE job_queue SET wake_ms = 1' # as if it had been stopped for so long
    run_split syncq dequeue q
    assert_status 1 'nothing is ready' # it waits for its retry
    is crash_count 1
    sql 'UPDATE job_queue SET wake_ms = NULL, wake_boot_id = NULL'
    run_split syncq dequeue q
    assert_status 0
    kill -CONT "$worker"
    wait "$worker"
    grep -q 'job 1: its lease was over when it ended: nothing was recorded' w.err
    is status running
    is 'result IS NULL' 1
    is "lease_token = '$(jq -r .token <<<"$out")'" 1
}

@test "TERM to the worker: it claims no more, and what runs has its grace" {
    put 2
    mkfifo go
    background w syncq work q -- sh -c 'echo >t/begun; read x <go; echo "$x"'
    worker=$pid
    wait_until 10 test -s t/begun
    kill -TERM "$worker"
    wait_until 10 grep -q 'stopping: 1 running, 25 s to end' w.err
    echo '"done"' >go
    status=0
    wait "$worker" || status=$?
    [ "$status" -eq 143 ]
    is result '"done"'
    is status pending 2
    is attempts 0 2
}

@test "after the grace the handlers are ended and their jobs given back unharmed" {
    put 1
    background w syncq work q --grace 0 -- sh -c 'echo $$ >t/pid; sleep 600'
    worker=$pid
    wait_until 10 test -s t/pid
    kill -INT "$worker"
    status=0
    wait "$worker" || status=$?
    [ "$status" -eq 130 ]
    grep -q '0 completed, 0 failed, 1 given back' w.err
    alive_in_t 0
    is status pending
    is attempts 0
    is crash_count 0
    is 'wake_ms IS NULL' 1
}

@test "-j 4: four at the same time, and not five" {
    put 6
    background w syncq work q -j 4 --drain -- bash -c 'echo $$ >t/$SYNCQ_ID
        until [ -e go ]; do read -t 0.02 <> <(:); done'
    worker=$pid
    wait_until 10 alive_in_t 4
    [ "$(sql "SELECT count(*) FROM job_queue WHERE status = 'running'")" = 4 ]
    : >go
    wait "$worker"
    [ "$(find t -type f | wc -l)" -eq 6 ]
}

@test "--once ends after one job, and with 1 when there is none" {
    run_split syncq work q --once -- true
    assert_status 1
    put 2
    run_split syncq work q --once -j 4 -- true
    assert_status 0 '1 completed'
    is status pending 2
}

@test "an idle worker takes a new job at once, and costs nothing until then" {
    background w syncq work q -- true
    worker=$pid
    wait_until 10 test -s "$LIFEBOAT_DB-work" -o -e "$LIFEBOAT_DB-work"
    asleep() { [ "$(awk '{print $3}' "/proc/$worker/stat")" = S ]; }
    wait_until 10 asleep
    before=$(awk '{print $14 + $15}' "/proc/$worker/stat")
    for _ in {1..100}; do nap; done
    [ "$(($(awk '{print $14 + $15}' "/proc/$worker/stat") - before))" -le 1 ]
    put 1
    wait_until 5 has_status completed
    is 'started_at - created_at < 2000' 1
}

@test "a job for later is taken when its time has come" {
    put 1 --at $(($(date +%s%3N) + 1500))
    background w syncq work q -- true
    wait_until 10 has_status completed
    is 'started_at >= scheduled_at' 1
    is 'started_at - scheduled_at < 1500' 1
}

@test "the wall clock set back and forth: no lease ends early, none lives for ever" {
    [ -z "$checker" ] || skip 'the shim is for plain builds'
    "${CC:-cc}" -std=c11 -D_GNU_SOURCE -O2 -fPIC -shared -o clock.so \
        "$top/tests/tools-preload/wallclock.c" -ldl
    jumps() { LD_PRELOAD=$PWD/clock.so "$@"; }
    [ "$(jumps date +%Y)" != "$(date +%Y)" ]
    mkfifo go
    jumps put 3 --timeout 60
    # One is held by hand, one by a worker; others look for work all the time.
    run_split jumps syncq dequeue --quiet q
    held=$out
    background w env LD_PRELOAD="$PWD/clock.so" syncq work q -j 1 -- sh -c 'echo >t/begun; read x <go'
    wait_until 10 test -s t/begun
    background other env LD_PRELOAD="$PWD/clock.so" syncq work q -- sh -c 'echo $SYNCQ_ID >>t/other; test $SYNCQ_ATTEMPT = 2'
    # The third fails once; its retry comes in its time, however often it is looked for.
    wait_until 10 is retry_count 1 3
    for _ in {1..20}; do
        run_split jumps syncq dequeue q
        assert_status 1
    done
    is status running
    is status running 2
    wait_until 10 has_status completed 3
    [ "$(cat t/other)" = "$(printf '3\n3')" ]
    is attempts 2 3
    echo >go
    wait_until 10 has_status completed 2
    is attempts 1 2
    run_split jumps syncq complete <<<"$held"
    assert_status 0 '1 completed'
    kill "${background_pids[0]}"
    wait "${background_pids[0]}" || :
    # And one that has ended has ended.
    jumps put 1 --timeout 1
    jumps syncq pause -q q
    jumps syncq resume -q q
    wait_until 10 has_status completed 4
}

@test "a lease that is over is over, wherever the wall clock stands" {
    [ -z "$checker" ] || skip 'the shim is for plain builds'
    "${CC:-cc}" -std=c11 -D_GNU_SOURCE -O2 -fPIC -shared -o clock.so \
        "$top/tests/tools-preload/wallclock.c" -ldl
    export LD_PRELOAD=$PWD/clock.so
    put 1 --timeout 1
    run_split syncq dequeue q
    held=$out
    given_back() {
        run_split syncq dequeue q
        [ "$(sql 'SELECT crash_count FROM job_queue')" = 1 ]
    }
    wait_until 10 given_back
    run_split syncq complete <<<"$held"
    assert_status 75 'the lease of this token is over'
}

@test "--type takes only these" {
    put 1 --type a
    put 1 --type b
    put 1 --type c
    run_split syncq work q --drain --type a --type c -- true
    assert_status 0 '2 completed'
    is status pending 2
}

@test "a store that was replaced ends the worker with 76" {
    put 1
    mkfifo go
    background w syncq work q -- sh -c 'echo >t/begun; read x <go'
    worker=$pid
    wait_until 10 test -s t/begun
    mkdir away
    mv "$LIFEBOAT_DB" away
    echo >go
    status=0
    wait "$worker" || status=$?
    [ "$status" -eq 76 ]
    grep -q 'replaced or removed' w.err
}

@test "what is not there is not passed on: no command is a usage error" {
    run_split syncq work q
    assert_status 64 'an operand is missing'
}
