# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154,SC2016 # complete, size and others are campaign.bash's
# campaign-queue: the scenarios of syncq for crash.sh and faults.sh, in the form of
# campaign.bash, which sources this. The payloads of a queue are the numbers from 1.

in_queue() { sqlite3 s "$1" 2>&1; }

# judge_queue: the store is sound; a job that has failed has its dead letter, no other
# has one; only a running one has a lease. $complete: every payload is there.
judge_queue() {
    local there='' odd
    complete=
    [ -s s ] || return 0
    there=$(look_into 'PRAGMA integrity_check')
    [ "$there" = ok ] || find_fault "integrity_check: ${there:0:200}"
    # A store whose making was cut short has no tables yet.
    there=$(look_into 'SELECT payload FROM job_queue ORDER BY id') || return 0
    odd=$(look_into "SELECT id FROM job_queue WHERE
        (status = 'failed') <> (id IN (SELECT original_job_id FROM job_queue_dead_letter)) OR
        (status = 'running') <> (lease_token IS NOT NULL) OR
        (status IN ('completed', 'failed')) <> (completed_at IS NOT NULL)")
    [ -z "$odd" ] || find_fault "jobs neither one nor the other: ${odd//$'\n'/ }"
    [ "$there" != "$(seq "$size")" ] || complete=1
}

# --- enqueue: what is put in is a beginning of what was sent, with all that was told --

enqueue_cmd() { "$@" syncq enqueue -d s q - < <(seq "$size"); }
enqueue_start() { fresh "base-$size"; }
enqueue_run() { enqueue_cmd "$@" >out 2>err; }
enqueue_judge() {
    local n told
    judge_queue
    n=0
    [ ! -s s ] || n=$(look_into 'SELECT count(*) FROM job_queue')
    [ ! -s s ] || [ "$(look_into 'SELECT payload FROM job_queue ORDER BY id')" = "$(seq "${n:-0}")" ] ||
        find_fault 'not a beginning of what was sent'
    told=$(whole_lines out | sed -n 's/.*"idempotency_key":"\([^"]*\)".*/\1/p' | sort)
    [ -z "$told" ] || [ -z "$([ ! -s s ] || look_into 'SELECT idempotency_key FROM job_queue ORDER BY 1' |
        comm -13 - <(echo "$told"))" ] || find_fault 'a job was told, and is not there'
    rerun syncq enqueue -q -d s q - < <(seq $((${n:-0} + 1)) "$size")
    [ "$(in_queue 'SELECT payload FROM job_queue ORDER BY id')" = "$(seq "$size")" ] ||
        find_fault 'the rest does not complete it'
}

# put_first: the same where there is no store yet
put_first_start() { fresh; }
put_first_run() { enqueue_run "$@"; }
put_first_judge() { enqueue_judge; }

# --- dequeue: a job is told with the token it is held by, or goes back -----------------

dequeue_start() { fresh "jobs-$size"; }
dequeue_run() { "$@" syncq dequeue -d s -n "$size" q >out 2>err; }
dequeue_judge() {
    local told held
    judge_queue
    told=$(whole_lines out | sed -n 's/.*"token":"\([^"]*\)".*/\1/p' | sort)
    held=$(look_into "SELECT lease_token FROM job_queue WHERE status = 'running' ORDER BY 1")
    [ -z "$told" ] || [ -z "$(comm -23 <(echo "$told") <(echo "$held"))" ] ||
        find_fault 'a token was told that holds nothing'
    # Their leases end, a thousand at a time are taken back, and all can be had again.
    in_queue "UPDATE job_queue SET wake_ms = 1 WHERE status = 'running'" >/dev/null
    for _ in 1 2 3; do syncq dequeue -q -d s --type none q; done 2>/dev/null
    in_queue "UPDATE job_queue SET wake_ms = NULL, wake_boot_id = NULL WHERE status = 'pending'" >/dev/null
    rerun syncq dequeue -q -d s -n "$size" q
    [ "$(in_queue "SELECT count(*) FROM job_queue WHERE status = 'running'")" = "$size" ] ||
        find_fault 'not all can be had again'
}

# --- complete and fail: each job is in one state or the other --------------------------

complete_cmd() { "$@" syncq complete -d s <"tokens-$size"; }
complete_start() { fresh "held-$size"; }
complete_run() { complete_cmd "$@" >out 2>err; }
ended() { # STATE: all are in it after a rerun, for which some come too late
    "${@:2}" >again 2>err-again
    case $? in 0 | 75) ;; *) find_fault "rerun: $(tail -n 1 err-again)" ;; esac
    [ "$(in_queue "SELECT count(*) FROM job_queue WHERE status = '$1'")" = "$size" ] ||
        find_fault "not all are $1 after the rerun"
    judge_queue
}
all_in() { # STATE, if the run said so
    [ "${status-}" != 0 ] ||
        [ "$(look_into "SELECT count(*) FROM job_queue WHERE status = '$1'")" = "$size" ] ||
        find_fault "status 0, but not all are $1"
}
complete_judge() {
    judge_queue
    all_in completed
    ended completed complete_cmd
}

give_up_cmd() { "$@" syncq fail --dead --error 'no use' -d s <"tokens-$size"; }
give_up_start() { fresh "held-$size"; }
give_up_run() { give_up_cmd "$@" >out 2>err; }
give_up_judge() {
    judge_queue
    all_in failed
    ended failed give_up_cmd
}

# --- work: what is completed was done, and one job at most is done again ----------------

work_cmd() { "$@" syncq work -d s q --drain -- ./sign; }
work_start() {
    fresh "jobs-$size"
    : >signed
}
work_run() { work_cmd "$@" >out 2>err; }
work_judge() {
    local tries=0
    judge_queue
    # Its last handler may still be at its end; the worker is not waited for by anybody.
    until [ "$(in_queue "SELECT count(*) FROM job_queue WHERE status = 'completed'")" = "$size" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || break
        in_queue "UPDATE job_queue SET wake_ms = NULL, wake_boot_id = NULL WHERE status = 'pending'" >/dev/null
        syncq work -q -d s q --drain -- ./sign >again 2>err-again || find_fault "rerun: $(tail -n 1 err-again)"
        [ "$tries" -lt 2 ] || nap
    done
    [ "$tries" -lt 200 ] || find_fault 'the rerun does not end them'
    [ "$(sort -n signed | uniq)" = "$(seq "$size")" ] || find_fault 'completed, but not all were done'
    [ "$(wc -l <signed)" -le $((size + 1)) ] || find_fault "$(wc -l <signed) done for $size"
    judge_queue
}

# --- flush: what is sent was received; what was received is sent again at most once ----
# The other side is tests/httpd.py, which is there for the whole campaign.

serve_flush() {
    mkdir -p server etc/destinations.d
    python3 "$top/tests/httpd.py" server >/dev/null 2>&1 &
    server=$!
    trap 'kill "$server"; rm -rf "$work"' EXIT
    wait_until 10 test -s server/port || return
    printf '{"url":"http://127.0.0.1:%s/","batch":4}\n' "$(<server/port)" >etc/destinations.d/cloud.json
}
flush_cmd() { # COMMAND... before it; or --now
    local now=
    [ "${1-}" != --now ] || { now=--now; shift; }
    LIFEBOAT_CONFIG=$work/etc "$@" syncq flush ${now:+"$now"} -d s cloud
}
flush_start() {
    [ -n "${server-}" ] || serve_flush || find_fault 'no server'
    if [ ! -e "outbox-$size" ]; then
        cp "base-$size" "outbox-$size"
        seq "$size" | LIFEBOAT_CONFIG=$work/etc syncq send -q --later -d "outbox-$size" cloud
    fi
    fresh "outbox-$size"
    : >server/log
}
flush_run() { flush_cmd "$@" >out 2>err; }
received() { jq -r '[.body, .headers["idempotency-key"]] | join(" ")' server/log | sort; }
nothing_left() { flush_cmd --now >again 2>err-again && grep -qF '"remaining":0' again; }
flush_judge() {
    local odd
    judge_queue
    odd=$(look_into "SELECT payload || ' ' || idempotency_key FROM job_queue
        WHERE status = 'completed'" | sort | comm -23 - <(received | uniq))
    [ -z "$odd" ] || find_fault "sent, and never received: ${odd%%$'\n'*}"
    [ -z "$(look_into "SELECT id FROM job_queue WHERE retry_count > 0 OR status = 'failed'")" ] ||
        find_fault 'an item has paid for a fault of ours'
    # A curl that outlives its flusher holds the lock until it ends.
    wait_until 10 nothing_left 2>/dev/null || find_fault "rerun: $(tail -n 1 err-again)"
    [ "$(received | uniq)" = "$(in_queue "SELECT payload || ' ' || idempotency_key FROM job_queue" | sort)" ] ||
        find_fault 'not all was received, or not under its key'
    [ "$(received | wc -l)" -le $((size + 4)) ] || find_fault 'more than a batch was sent again'
    judge_queue
}

# --- material ---------------------------------------------------------------------------

material_of_queue() { # SIZE: jobs, and jobs that are held
    cp "base-$1" "jobs-$1" && seq "$1" | syncq enqueue -q -d "jobs-$1" q || return
    cp "jobs-$1" "held-$1"
    syncq dequeue -q -d "held-$1" -n "$1" q >"tokens-$1" || return
    printf '#!/bin/sh\nread -r n; echo $n >>signed\n' >sign
    chmod +x sign
}
