#!/usr/bin/env bats
# The outbox of syncq: send, flush, and what the other side sees of it.
# valgrind: queued|batch body|given up|bad destination|answer that|JSON that

load helper

# Whole, the last two tests try some hundred places each.
[ -n "${SMALL-}" ] || export BATS_TEST_TIMEOUT=600

setup() {
    private_store
    export LIFEBOAT_CONFIG=$BATS_TEST_TMPDIR/config NO_PROXY=127.0.0.1
    mkdir -p "$LIFEBOAT_CONFIG/destinations.d" there wrapped
    # Every start of curl leaves a line, with all of its arguments.
    cat >wrapped/curl <<END
#!/bin/sh
echo "\$*" >>"$PWD/curls"
exec $(command -v curl) "\$@"
END
    chmod +x wrapped/curl
    PATH=$PWD/wrapped:$PATH
    : >curls
}

# --- helpers ----------------------------------------------------------------------

serve() { # [PORT]
    rm -f there/port
    background httpd python3 "$top/tests/httpd.py" there "$@"
    httpd=$pid
    wait_until 10 test -s there/port
    port=$(cat there/port)
}

# A port that nobody listens on.
dead_port() {
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
}

dest() { # NAME [MORE MEMBERS] [PATH]
    printf '{"url":"http://127.0.0.1:%s%s"%s}\n' "$port" "${3-/api}" "${2:+,$2}" \
        >"$LIFEBOAT_CONFIG/destinations.d/$1.json"
}

sql() { sqlite3 -cmd '.timeout 10000' "$LIFEBOAT_DB" "$1"; }
payloads() { seq "${1-1}" "${2-$1}" | sed 's/.*/{"n":&}/'; }
script() { printf '%s\n' "$@" >there/script; }
seen() { jq -r "${1-.body}" there/log; }
requests() { if [ -e there/log ]; then wc -l <there/log; else echo 0; fi; }
received() { [ "$(requests)" -ge "$1" ]; }
state() { sql "SELECT status, attempts, retry_count FROM job_queue WHERE id = $1"; }
# The waits of refused items, or of the destination, are over.
time_passes() { sql "UPDATE job_queue SET wake_ms = 0 WHERE wake_ms IS NOT NULL;
    UPDATE queue_state SET wake_ms = 0 WHERE wake_ms IS NOT NULL"; }
resume() { sql "UPDATE queue_state SET paused = 0"; }
is_gone() { ! kill -0 "$1" 2>/dev/null; }

# flush_gives STATUS SENT FAILED REMAINING [TEXT]
flush_gives() {
    run_split syncq flush cloud
    assert_status "$1" "${5-}" || return
    assert_out "{\"destination\":\"cloud\",\"sent\":$2,\"failed\":$3,\"remaining\":$4}"
}

# --- sending ----------------------------------------------------------------------

@test "what is queued is acknowledged, sent at once, and comes as it was" {
    serve
    dest cloud
    run_split syncq send cloud <<<' {"a": "ü\u00e9", "n": 1.50, "big": 9007199254740993} '
    assert_status 0 'syncq: cloud: 1 received: 1 queued, 0 there already, 0 rejected; 1 sent, 0 failed, 0 remain'
    key=$(jq -r 'select(.queued) | .op_id' <<<"$out")
    uuidv7 -p "$key" >/dev/null
    [ "$(seen)" = '{"a":"ü\u00e9","n":1.50,"big":9007199254740993}' ]
    jq_true --arg key "$key" '.method == "POST" and .path == "/api" and (.headers |
        .["idempotency-key"] == $key and .["content-type"] == "application/json" and
        (has("authorization") or has("expect") | not))' there/log
    [ "$(state 1)" = 'completed|1|0' ]
    [ "$(cat curls)" = '-q --fail-early -K -' ]
}

@test "it is queued, and the run is good, whatever the network does" {
    dead_port
    dest cloud
    payloads 1 3 >in
    run_split syncq send cloud in
    assert_status 0 '3 queued, 0 there already, 0 rejected; 0 sent, 0 failed, 3 remain'
    [ "$(jq -s 'map(select(.queued)) | length' <<<"$out")" = 3 ]
    run_split syncq send -q cloud in
    assert_status 0
    [ -z "$out$errout" ]
}

@test "bad lines are named and set aside, the others sent" {
    serve
    dest cloud
    printf '%s\n' '{"n":1}' '{"n":' '' '"@/etc/passwd"' 'null' >in
    run_split syncq send --rejects bad cloud in
    assert_status 1 'syncq: in:2: byte 13: '
    [[ $errout == *'4 received: 3 queued, 0 there already, 1 rejected; 3 sent'* ]]
    [ "$(cat bad)" = '{"n":' ]
    [ "$(seen)" = $'{"n":1}\n"@/etc/passwd"\nnull' ]
}

@test "first in, first out; a batch is one curl on one connection" {
    serve
    dest cloud
    payloads 1 205 | syncq send -q --later cloud
    [ "$(requests)" = 0 ]
    flush_gives 0 205 0 0
    [ "$(seen)" = "$(payloads 1 205)" ]
    [ "$(wc -l <curls)" -eq 11 ]
    [ "$(seen .connection | uniq -c | awk '{print $1}' | sort | uniq -c | xargs)" = '10 20 1 5' ]
    [ "$(seen '.headers["idempotency-key"]' | sort -u | wc -l)" = 205 ]
}

@test "ten thousand items drain with at most one curl for each batch" {
    [ -z "$checker" ] || skip 'it counts ten thousand: the plain run has it'
    serve
    dest cloud
    n=${SMALL:+2000}
    n=${n:-10000}
    payloads 1 "$n" | syncq send -q --later cloud
    flush_gives 0 "$n" 0 0
    cmp <(seen) <(payloads 1 "$n")
    [ "$(wc -l <curls)" -eq $((n / 20)) ]
}

@test "large bodies, and payloads that look like curl's options" {
    serve
    dest cloud '"headers":{"X-File":"@/etc/passwd","X-Quote":"a \"b\" \\c","X-Empty":""}'
    for c in a b c; do head -c 1100000 /dev/zero | tr '\0' "$c" | sed 's/.*/"&"/' && echo; done >in
    printf '%s\n' '"@/etc/passwd"' '"-K x\" = \\\\ next\n"' >>in
    run_split syncq send cloud in
    assert_status 0 '5 sent'
    cmp <(seen) in
    jq_true -s 'map(.headers) | all(.["x-file"] == "@/etc/passwd" and .["x-quote"] == "a \"b\" \\c" and
        .["x-empty"] == "" and (has("expect") | not))' there/log
}

@test "nothing waits to be sent, nothing is started" {
    dead_port
    dest cloud
    syncq send -q cloud </dev/null
    flush_gives 0 0 0 0
    [ ! -s curls ]
}

@test "a pipe that trickles is durable and sent line by line, also while the network hangs" {
    serve
    dest cloud
    script 200 hang
    mkfifo pipe
    background send sh -c 'exec syncq send cloud <pipe'
    exec 9>pipe
    echo '{"n":1}' >&9
    wait_until 10 received 1
    wait_until 5 eval '[ "$(state 1)" = "completed|1|0" ]'
    echo '{"n":2}' >&9
    wait_until 10 received 2
    echo '{"n":3}' >&9
    wait_until 5 eval '[ "$(grep -c queued.:true send.out)" = 3 ]'
    exec 9>&-
    kill -TERM "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 143 ]
    [ "$(state 2) $(state 3)" = 'pending|0|0 pending|0|0' ]
}

@test "who waits longer goes first: nothing new is tried while older items wait" {
    serve
    dest cloud
    syncq send -q --later cloud <<<1
    run_split syncq send cloud <<<2
    assert_status 0 '0 sent, 0 failed, 2 remain'
    [ "$(requests)" = 0 ]
    flush_gives 0 2 0 0
    [ "$(seen | xargs)" = '1 2' ]
}

@test "what comes in while another process sends is not forgotten" {
    serve
    dest cloud
    script wait
    echo 1 >one
    background first syncq send cloud one
    first=$pid
    wait_until 10 received 1
    # The lock is taken; whoever has it sends this one as well.
    run_split syncq send cloud <<<2
    assert_status 0 '0 sent, 0 failed, 2 remain'
    touch there/go
    wait "$first"
    grep -q '2 sent, 0 failed, 0 remain' first.err
    [ "$(seen | xargs)" = '1 2' ]
}

@test "nor what comes in when that process has looked for the last time" {
    serve
    # The lock is held while on_success runs, after the last look.
    dest cloud '"on_success":["sh","-c","cat >>told; mkdir late && echo 2 | syncq send -q cloud; :"]'
    syncq send -q --later cloud <<<1
    flush_gives 0 2 0 0
    [ "$(seen | xargs) $(xargs <told)" = '1 2 1 2' ]
}

@test "one process at a time sends to a destination: the other gives 75" {
    serve
    dest cloud
    script wait
    syncq send -q --later cloud <<<1
    background flush syncq flush cloud
    wait_until 10 received 1
    flush_gives 75 0 0 1 'cloud: another process is sending there'
    touch there/go
    wait "$pid"
    [ "$(cat flush.out)" = '{"destination":"cloud","sent":1,"failed":0,"remaining":0}' ]
    [ "$(requests)" = 1 ]
}

@test "a full outbox refuses new work loudly and keeps what it has" {
    dead_port
    dest cloud '"max_pending":3'
    payloads 1 5 >in
    run_split syncq send --later cloud in
    assert_status 75 'in:4: cloud is full: 3 items wait (max_pending): this line and what comes after it was not queued'
    [ "$(grep -c '"queued":true' "$OUT")" = 3 ]
    [ "$(sql 'SELECT payload FROM job_queue ORDER BY id')" = "$(payloads 1 3)" ]
}

# --- what the endpoint does -------------------------------------------------------

@test "two hundred attempts against a dead endpoint fail no item" {
    [ "$checker" != valgrind ] || skip 'too slow under valgrind: the others have it'
    dead_port
    dest cloud
    payloads 1 3 | syncq send -q --later cloud
    for ((i = 0; i < 200; i++)); do
        if syncq flush -q --now cloud >/dev/null; then return 1; fi
    done
    [ "$(sql "SELECT endpoint_failures FROM queue_state")" = 200 ]
    [ "$(sql "SELECT DISTINCT status, attempts, retry_count FROM job_queue")" = 'pending|0|0' ]
    [ "$(wc -l <curls)" -eq 200 ]
    # And a week later it is there.
    serve "$port"
    time_passes
    flush_gives 0 3 0 0
    [ "$(sql "SELECT endpoint_failures, wake_ms IS NULL FROM queue_state")" = '0|1' ]
}

@test "an endpoint that fails is left alone, ever longer, but for --now" {
    dead_port
    dest cloud
    syncq send -q --later cloud <<<1
    flush_gives 69 0 0 1 'cloud: not reached, is tried again later: Failed to connect to 127.0.0.1 port'
    flush_gives 69 0 0 1 'cloud: left alone for another '
    [ "$(wc -l <curls)" = 1 ]
    run_split syncq flush --now cloud
    assert_status 69 'not reached'
    [ "$(wc -l <curls)" = 2 ]
    run_split syncq send cloud <<<2
    assert_status 0
    [ "$(wc -l <curls)" = 2 ]
    # The delay after the second failure: 5 to 10 s.
    now=$(awk '{printf "%d", $1 * 1000}' /proc/uptime)
    left=$(($(sql 'SELECT wake_ms FROM queue_state') - now))
    [ "$left" -gt 3000 ]
    [ "$left" -le 10000 ]
}

@test "after a reboot nobody is left alone for another boot's clock" {
    serve
    dest cloud '"max_retries":3'
    script 503
    syncq send -q cloud <<<1
    script 422
    sql "UPDATE queue_state SET wake_boot_id = 'another', wake_ms = 9223372036854775807"
    flush_gives 1 0 0 1
    sql "UPDATE job_queue SET wake_boot_id = 'another', wake_ms = 9223372036854775807"
    flush_gives 0 1 0 0
}

@test "no answer, a cut or a late one: sent again, with the same key" {
    for action in close cut reset hang drip; do
        rm -rf there/* "$LIFEBOAT_DB"*
        serve
        dest cloud '"timeout_ms":700'
        # A connection that dies before an answer begins may have been too old:
        # then curl itself tries once more, on a new one.
        script 200 "$action" "$action"
        payloads 1 3 | syncq send -q --later cloud
        flush_gives 69 1 0 2
        [ "$(state 2)" = 'pending|0|0' ]
        : >there/script
        time_passes
        flush_gives 0 2 0 0
        [ "$(seen | uniq | xargs)" = '{n:1} {n:2} {n:3}' ]
        [ "$(requests)" -ge 4 ]
        [ "$(seen '.headers["idempotency-key"]' | uniq | wc -l)" = 3 ]
        kill "$httpd"
    done
}

@test "408, 425, 429, 502, 503, 504 are the endpoint's trouble" {
    serve
    dest cloud
    syncq send -q --later cloud <<<1
    for code in 408 425 429 502 503 504; do
        script "$code = busy"
        time_passes
        flush_gives 69 0 0 1 "cloud: not reached, is tried again later: HTTP $code: busy"
    done
    [ "$(state 1)" = 'pending|0|0' ]
    [ "$(sql 'SELECT endpoint_failures, error_message FROM queue_state')" = '6|HTTP 504: busy' ]
}

@test "Retry-After is kept to: seconds, a date by the server's clock, not for ever" {
    waits() { # HEADERS LEAST MOST
        rm -f "$LIFEBOAT_DB"*
        script "503 $1"
        syncq send -q cloud <<<1
        now=$(awk '{printf "%d", $1 * 1000}' /proc/uptime)
        left=$(($(sql 'SELECT wake_ms FROM queue_state') - now))
        # The file tells hundredths of a second.
        [ "$left" -gt "$2" ] && [ "$left" -le $(($3 + 10)) ] || {
            echo "$1: $left ms" >&2
            return 1
        }
    }
    serve
    dest cloud
    waits 'Retry-After: 77' 60000 77000
    waits 'Retry-After: Fri, 31 Dec 1999 23:59:59 GMT|Date: Fri, 31 Dec 1999 23:58:59 GMT' 40000 60000
    waits 'Retry-After: 999999999999999999999' 86000000 86400000
    waits 'Retry-After: soon' 2000 5000
    waits 'Retry-After: 0' 2000 5000
}

@test "401, 407, 404, 405 and any redirect pause the destination, and say so" {
    serve
    dest cloud
    payloads 1 3 | syncq send -q --later cloud
    n=0
    for answer in 401 407 404 405 '301 Location: /x' '302 Location: http://127.0.0.1/' \
        '303 Location: /' '307 Location: /' '308 Location: /'; do
        script "$answer"
        flush_gives 77 0 0 3 "syncq: cloud: paused: HTTP ${answer%% *}"
        [[ $errout == *'syncq resume cloud)'* ]]
        # Nothing behind it was sent, and nothing is as long as it is paused.
        [ "$(requests)" -eq $((++n)) ]
        flush_gives 77 0 0 3 "cloud: paused: HTTP ${answer%% *}"
        run_split syncq flush --now cloud
        assert_status 77
        [ "$(requests)" -eq "$n" ]
        resume
    done
    [ "$(sql 'SELECT DISTINCT status, attempts, retry_count FROM job_queue')" = 'pending|0|0' ]
    flush_gives 0 3 0 0
}

@test "send says nothing twice of a destination that is paused" {
    serve
    dest cloud
    script 401
    run_split syncq send cloud <<<1
    assert_status 0 'cloud: paused: HTTP 401'
    run_split syncq send cloud <<<2
    assert_status 0 '0 sent, 0 failed, 2 remain'
    [[ $errout != *paused* ]]
    [ "$(requests)" = 1 ]
}

# --- refused items ----------------------------------------------------------------

@test "a refused item is tried again, then given up and kept; the next goes on" {
    serve
    dest cloud '"max_retries":2'
    printf '"bad"\t422 = {"error":"no such field"}\n' >there/rules
    printf '%s\n' '{"n":1}' '{"bad":2}' '{"n":3}' | syncq send -q --later cloud
    flush_gives 1 1 0 2 'cloud: item 2: refused, is tried again: HTTP 422: {"error":"no such field"}'
    flush_gives 1 0 0 2
    [ "$(requests)" = 2 ]
    time_passes
    flush_gives 1 0 0 2
    time_passes
    flush_gives 1 1 1 0 'syncq: cloud: item 2: given up: HTTP 422: {"error":"no such field"}'
    [ "$(seen | xargs)" = '{n:1} {bad:2} {bad:2} {bad:2} {n:3}' ]
    [ "$(state 2)" = 'failed|3|2' ]
    [ "$(sql "SELECT original_job_id, queue_name, payload, failure_count, error_message
        FROM job_queue_dead_letter")" = '2|cloud|{"bad":2}|3|HTTP 422: {"error":"no such field"}' ]
    sql 'SELECT errors_json FROM job_queue WHERE id = 2' | jq_true 'map(.attempt) == [1, 2, 3]'
    flush_gives 0 0 0 0
}

@test "500 and other 4xx are refusals; the endpoint is alive all the same" {
    serve
    dest cloud '"max_retries":9'
    syncq send -q --later cloud <<<1
    n=0
    for code in 400 403 409 413 422 500 501; do
        script "$code"
        time_passes
        flush_gives 1 0 0 1
        [ "$(state 1)" = "pending|$((++n))|$n" ]
    done
    [ "$(sql 'SELECT endpoint_failures FROM queue_state')" = 0 ]
}

@test "lanes keep their order, and only the lane of a refused item waits" {
    serve
    dest cloud '"max_retries":1'
    printf '"bad"\t422\n' >there/rules
    for i in 1 2 3 4 5 6 7 8 9; do
        for lane in a b c; do
            if [ "$lane$i" = b4 ]; then echo '{"lane":"b","bad":4}'; else echo "{\"lane\":\"$lane\",\"n\":$i}"; fi
        done
    done | syncq send -q --later --lane-from lane cloud
    payloads 1 3 | syncq send -q --later cloud
    lane() { seen .body | jq -r "select(.lane == \"$1\") | .n // \"x\"" | xargs; }
    flush_gives 1 24 0 6
    [ "$(lane a), $(lane c), $(lane b)" = '1 2 3 4 5 6 7 8 9, 1 2 3 4 5 6 7 8 9, 1 2 3 x' ]
    [ "$(seen .body | jq -c 'select(has("lane") | not) | .n' | xargs)" = '1 2 3' ]
    time_passes
    flush_gives 1 5 1 0
    [ "$(lane b)" = '1 2 3 x x 5 6 7 8 9' ]
}

@test "items without a lane are one lane; those of lanes pass them when they wait" {
    serve
    dest cloud
    script 422
    payloads 1 2 | syncq send -q --later cloud
    payloads 3 4 | syncq send -q --later --lane x cloud
    flush_gives 1 2 0 2
    [ "$(seen | xargs)" = '{n:1} {n:3} {n:4}' ]
    time_passes
    flush_gives 0 2 0 0
    [ "$(seen | xargs)" = '{n:1} {n:3} {n:4} {n:1} {n:2}' ]
}

@test "an answer without end is cut off, and costs no memory" {
    serve
    dest cloud '"timeout_ms":1000'
    script endless
    syncq send -q --later cloud <<<1
    [ -n "$checker" ] || ulimit -v 400000
    flush_gives 1 0 0 1 'HTTP 422: the beginning of much'
}

# --- bodies and URLs --------------------------------------------------------------

@test "a batch body: all items of the batch in one request, with one key" {
    serve
    dest cloud '"batch":4,"body":{"records":"$items","edge_id":"edge-001"}'
    payloads 1 9 | syncq send -q --later cloud
    script 200 503
    flush_gives 69 4 0 5
    time_passes
    flush_gives 0 5 0 0
    [ "$(seen '.body | fromjson | .edge_id + " " + (.records | map(.n) | join(","))')" = \
        $'edge-001 1,2,3,4\nedge-001 5,6,7,8\nedge-001 5,6,7,8\nedge-001 9' ]
    mapfile -t keys < <(seen '.headers["idempotency-key"]')
    [ "${keys[1]}" = "${keys[2]}" ]
    [ "${keys[0]}" != "${keys[1]}" ]
    # Of one item it is that item's own.
    [ "${keys[3]}" = "$(sql 'SELECT idempotency_key FROM job_queue WHERE id = 9')" ]
    [ "$(sql 'SELECT DISTINCT status, attempts FROM job_queue')" = 'completed|1' ]
}

@test "a refused batch body is taken apart: only what is not wanted is given up" {
    serve
    dest cloud '"max_retries":1,"body":"$items"'
    printf '"bad"\t400\n' >there/rules
    printf '%s\n' 1 2 '{"bad":3}' 4 | syncq send -q --later cloud
    flush_gives 1 0 0 4
    time_passes
    flush_gives 1 3 1 0
    [ "$(seen | xargs)" = '[1,2,{bad:3},4] [1] [2] [{bad:3}] [4]' ]
}

@test "one payload within a template, and the lane in the URL" {
    serve
    dest cloud '"method":"PUT","body":{"settings":"$item","edge_id":"e"}' '/settings/{lane}?v=1'
    run_split syncq send cloud <<<'{"theme":"dark"}'
    assert_status 1 'lane: missing: the destination'\''s url is by {lane}'
    syncq send -q --lane 'user/../ü 1%' cloud <<<'{"theme":"dark"}'
    jq_true '.method == "PUT" and .path == "/settings/user%2F..%2F%C3%BC%201%25?v=1" and
        .body == "{\"settings\":{\"theme\":\"dark\"},\"edge_id\":\"e\"}"' there/log
    run_split syncq send --lane .. cloud <<<1
    assert_status 64 'lane: . and .. name no URL'
}

@test "a lane may be a path: its slashes stay, and each part names something" {
    serve
    dest cloud '' '/api/{+lane}?v=1'
    run_split syncq send cloud <<<1
    assert_status 1 'lane: missing: the destination'\''s url is by {+lane}'
    syncq send -q --lane 'settings/user-1?ü%' cloud <<<1
    [ "$(seen .path)" = '/api/settings/user-1%3F%C3%BC%25?v=1' ]
    for lane in . .. / a/ /a a//b a/../b a/.; do
        run_split syncq send --lane "$lane" cloud <<<1
        assert_status 64 'lane: wants parts that are not empty, . or .. between its slashes'
    done
    [ "$(requests)" = 1 ]
}

@test "an answer that has to be JSON is kept as the item's result" {
    serve
    dest cloud '"answer":"json"'
    script '200 = {"updated_at" : "2026-01-01", "n": 9007199254740993}' '201 =  [1, 2] '
    payloads 1 2 | syncq send -q cloud
    [ "$(syncq show --json 1 | jq -c '[.status, .result.updated_at]')" = '["completed","2026-01-01"]' ]
    [ "$(sql 'SELECT result FROM job_queue')" = $'{"updated_at":"2026-01-01","n":9007199254740993}\n[1,2]' ]
    # Of a batch body each item has it; without the setting none has.
    dest cloud '"answer":"json","body":"$items"'
    payloads 3 4 | syncq send -q cloud
    dest cloud
    payloads 5 | syncq send -q cloud
    [ "$(sql 'SELECT result FROM job_queue WHERE id > 2' | xargs)" = '{success:true} {success:true}' ]
    # A refusal need not be JSON.
    dest cloud '"answer":"json","max_retries":0'
    script '422 = <no>'
    payloads 6 | syncq send -q cloud || :
    [ "$(sql 'SELECT status, result IS NULL FROM job_queue WHERE id = 6')" = 'failed|1' ]
}

@test "a 2xx without the JSON that it should have comes from somebody else" {
    serve
    dest cloud '"answer":"json"'
    n=0
    for body in '<html>Your room number?' '{"a":1' '{"a":1}}' ' ' "$(printf '"%070000d"' 0)"; do
        script "200 = $body"
        n=$((n + 1))
        run_split syncq send cloud <<<$n
        assert_status 0 'cloud: paused: HTTP 200, but the answer is no JSON'
        [ "$(state $n)" = 'pending|0|0' ]
        resume
        flush_gives 0 1 0 0
    done
    # At the limit of 64 KiB it is one.
    script "200 = $(printf '"%065534d"' 0)"
    syncq send -q cloud <<<7
    [ "$(sql 'SELECT length(result) FROM job_queue ORDER BY id DESC LIMIT 1')" = 65536 ]
    printf '%s' '{"url":"http://a/","answer":"xml"}' >"$LIFEBOAT_CONFIG/destinations.d/bad.json"
    run_split syncq send bad <<<1
    assert_status 78 'answer: wants "json"'
}

@test "an answer that repeats a secret is not kept" {
    serve
    echo s3cret-token >"$LIFEBOAT_CONFIG/t"
    chmod 600 "$LIFEBOAT_CONFIG/t"
    dest cloud '"answer":"json","token_file":"t"'
    script '200 = {"token":"s3cret-token"}' '200 = not JSON: s3cret-token'
    payloads 1 2 | syncq send -q cloud
    [ "$(sql 'SELECT status, result FROM job_queue' | xargs)" = 'completed| pending|' ]
    run_split grep -rF s3cret-token "$LIFEBOAT_DB"
    assert_status 1
}

@test "what waits behind a refused item keeps nobody else from being tried at once" {
    serve
    dest cloud
    for lane in 'a b' ''; do
        rm -f "$LIFEBOAT_DB"*
        script 422
        syncq send -q ${lane:+--lane a} cloud <<<1
        syncq send -q ${lane:+--lane a} cloud <<<2
        run_split syncq send --lane b cloud <<<3
        assert_status 0 '1 sent, 0 failed, 2 remain'
    done
}

@test "a batch body never mixes lanes that have different URLs" {
    serve
    dest cloud '"body":{"records":"$items"}' '/history/{lane}'
    printf '%s\n' '{"u":"a","n":1}' '{"u":"a","n":2}' '{"u":"b","n":3}' '{"u":"a","n":4}' |
        syncq send -q --later --lane-from u cloud
    flush_gives 0 4 0 0
    [ "$(seen '.path + " " + (.body | fromjson | .records | map(.n) | join(","))')" = \
        $'/history/a 1,2\n/history/b 3\n/history/a 4' ]
}

# --- secrets ----------------------------------------------------------------------

@test "the token is sent, read anew each time, and nowhere else to be seen" {
    serve
    dest cloud '"token_file":"token","headers":{"X-Api-Key":"sesame-opens-it"},"max_retries":0'
    echo 'tok-SECRET-1' >config/token
    chmod 600 config/token
    script '500 = you sent Bearer tok-SECRET-1' '500 = you sent sesame-opens-it'
    run_split syncq send cloud <<<1
    [[ $errout == *'given up: HTTP 500: (the answer repeats what is secret)'* ]]
    syncq send -q cloud <<<2 2>>"$ERR"
    echo 'tok-SECRET-2' >config/token
    syncq send -q cloud <<<3 2>>"$ERR"
    [ "$(seen .headers.authorization | xargs)" = \
        'Bearer tok-SECRET-1 Bearer tok-SECRET-1 Bearer tok-SECRET-2' ]
    if cat "$ERR" "$OUT" curls "$LIFEBOAT_DB"* | grep -aE 'SECRET|sesame'; then return 1; fi
}

@test "a token that others may read, or that is none, is not sent" {
    serve
    dest cloud '"token_file":"token"'
    syncq send -q --later cloud <<<1
    run_split syncq flush cloud
    assert_status 78 "unable to open $LIFEBOAT_CONFIG/token: No such file"
    echo secret >config/token
    chmod 640 config/token
    run_split syncq flush cloud
    assert_status 78 'config/token: others may use it: chmod 600'
    chmod 600 config/token
    printf 'two\nlines\n' >config/token
    run_split syncq flush cloud
    assert_status 78 'not a token'
    [[ $errout != *lines* ]]
    [ "$(requests)" = 0 ]
}

@test "what is wrong at this end costs no attempt and is not the endpoint's trouble" {
    serve
    dest cloud '"ca_file":"none.pem"' '/x'
    sed -i 's/http:/https:/' config/destinations.d/cloud.json
    syncq send -q --later cloud <<<1
    run_split syncq flush cloud
    assert_status 78 'syncq: curl: exit status 77'
    [ "$(state 1) $(sql 'SELECT count(*) FROM queue_state')" = 'pending|0|0 0' ]
    mkdir empty
    run_split env PATH="$PWD/empty" "$bin/syncq" flush cloud
    assert_status 69 'unable to run curl'
    printf '#!/bin/sh\nexit 2\n' >empty/curl
    chmod +x empty/curl
    PATH=$PWD/empty:$PATH run_split syncq flush cloud
    assert_status 69 'curl: exit status 2 before the first request'
    [ "$(state 1)" = 'pending|0|0' ]
}

@test "what speaks no TLS is an endpoint that is not reached" {
    serve
    dest cloud
    sed -i 's/http:/https:/' config/destinations.d/cloud.json
    syncq send -q --later cloud <<<1
    flush_gives 69 0 0 1
}

# --- the destination file ---------------------------------------------------------

@test "a bad destination file is an error with its line" {
    file=$LIFEBOAT_CONFIG/destinations.d/cloud.json
    bad() { # CONTENT TEXT
        printf '%b' "$1" >"$file"
        run_split syncq send cloud <<<1
        assert_status 78 "$2" || return
        [[ $errout == *"$file:"* ]] || show_run 'without its file'
    }
    u='"url":"http://h/"'
    bad '{}' 'url: missing'
    bad "{$u,\n\"urls\":1}" ':2: urls: no such setting of a destination'
    bad "{$u,$u}" '"url": is there twice'
    bad '{"url":"ftp://h/"}' 'url: wants http:// or https://'
    bad '{"url":"http:///x"}' 'url: wants http:// or https://'
    bad '{"url":"http://user:word@h/"}' 'url: wants no user or password in it'
    bad '{"url":"http://h/{user}"}' 'url: wants characters of a URL'
    bad '{"url":"http://{lane}/"}' 'url: wants {lane} behind the host only'
    bad '{"url":"http://h/a b"}' 'url: wants characters of a URL'
    bad "{$u,\"method\":\"GET\"}" 'method: wants POST, PUT or PATCH'
    bad "{$u,\"batch\":0}" 'batch: wants a whole number from 1 to 500'
    bad "{$u,\"headers\":[]}" 'headers: wants an object'
    bad "{$u,\"headers\":{\"A b\":\"c\"}}" "headers: A b: not a header's name"
    bad "{$u,\"headers\":{\"A\":\"b\\\\r\\\\nC: d\"}}" 'headers: A: wants plain text'
    bad "{$u,\"headers\":{\"idempotency-key\":\"x\"}}" 'idempotency-key: is not for you to set'
    bad "{$u,\"headers\":{\"Authorization\":\"x\"},\"token_file\":\"t\"}" 'token_file: there is an Authorization header'
    bad "{$u,\"body\":{\"a\":1}}" 'body: wants "$items", or an object with a member'
    bad "{$u,\"body\":{\"a\":\"\$item\",\"b\":\"\$items\"}}" 'body: wants "$item" or "$items" once'
    bad "{$u,\"on_success\":\"true\"}" 'on_success: wants a command: an array'
    bad "{$u,\"on_success\":[]}" 'on_success: wants a command'
    bad "{$u,\"on_success\":[\"a\",1]}" 'on_success: wants a command'
    [ ! -e "$LIFEBOAT_DB" ]
}

@test "no such destination, no store, a name that is none" {
    run_split syncq send none <<<1
    assert_status 66 "none: no such destination: $LIFEBOAT_CONFIG/destinations.d/none.json is not there"
    run_split syncq send ../x <<<1
    assert_status 64
    dead_port
    dest cloud
    run_split syncq flush cloud
    assert_status 66
    [ ! -e "$LIFEBOAT_DB" ]
}

@test "flush without operands serves every destination; the worst gives the status" {
    serve
    dest a
    dest b '' /b
    printf '/b\t401\n' >there/rules
    syncq send -q --later a <<<1
    syncq send -q --later b <<<2
    echo '{' >"$LIFEBOAT_CONFIG/destinations.d/c.json"
    run_split syncq flush
    assert_status 78 'destinations.d/c.json:'
    assert_out '{"destination":"a","sent":1,"failed":0,"remaining":0}
{"destination":"b","sent":0,"failed":0,"remaining":1}'
    rm "$LIFEBOAT_CONFIG/destinations.d/c.json"
    run_split syncq flush
    assert_status 77
    touch "$LIFEBOAT_CONFIG/destinations.d/a b.json"
    run_split syncq flush
    assert_status 78 'destinations.d/a b.json: not a destination'
}

# --- ends of processes ------------------------------------------------------------

@test "killed between the answer and its commit: one batch is sent again, with the same keys" {
    serve
    dest cloud
    payloads 1 50 | syncq send -q --later cloud
    script '200 x20' wait
    background flush syncq flush cloud
    wait_until 10 received 21
    # The second batch is answered; its commit meets a gate that is closed.
    exec 8>"$LIFEBOAT_DB-gate"
    flock 8
    touch there/go
    wait_until 10 received 40
    wait_until 10 no_curl_of "$pid"
    kill -9 "$pid"
    wait "$pid" || :
    flock -u 8
    [ "$(sql "SELECT count(*) FROM job_queue WHERE status = 'completed'")" = 20 ]
    flush_gives 0 30 0 0
    [ "$(seen | uniq | wc -l)" -le 71 ]
    cmp <(payloads 1 50) <(seen | sort -t: -k2n -u)
    cmp <(payloads 1 20; payloads 21 40; payloads 21 50) <(seen)
    [ "$(seen '.headers["idempotency-key"]' | sort -u | wc -l)" = 50 ]
}
no_curl_of() { [ -z "$(cat "/proc/$1/task/$1/children")" ]; }

@test "with the flusher its curl is gone, and the way is free" {
    serve
    dest cloud
    script hang
    syncq send -q --later cloud <<<1
    background flush syncq flush cloud
    wait_until 10 received 1
    curl=$(tr -d ' ' <"/proc/$pid/task/$pid/children")
    [ "$(cat "/proc/$curl/comm")" = curl ]
    kill -9 "$pid"
    wait_until 5 is_gone "$curl"
    flush_gives 0 1 0 0
    [ "$(seen '.headers["idempotency-key"]' | uniq | wc -l)" = 1 ]
}

@test "as long as a curl is there nobody else sends" {
    serve
    dest cloud
    script wait
    syncq send -q --later cloud <<<1
    background flush syncq flush cloud
    wait_until 10 received 1
    curl=$(tr -d ' ' <"/proc/$pid/task/$pid/children")
    for fd in "/proc/$curl/fd"/*; do readlink "$fd"; done | grep -q 'send-cloud$'
    touch there/go
    wait "$pid"
}

@test "TERM ends the batch, keeps what was answered, and gives 143" {
    serve
    dest cloud
    script '200 x3' hang
    payloads 1 9 | syncq send -q --later cloud
    background flush syncq flush cloud
    wait_until 10 received 4
    kill -TERM "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 143 ]
    [ "$(cat flush.out)" = '{"destination":"cloud","sent":3,"failed":0,"remaining":6}' ]
    flush_gives 0 6 0 0
    [ "$(seen | xargs)" = "$(payloads 1 4 | xargs) $(payloads 4 9 | xargs)" ]
}

# --- keys of the caller's ---------------------------------------------------------

@test "with --key-from the same thing is queued once, whatever has become of it" {
    serve
    dest cloud '"max_retries":0'
    printf '"bad"\t422\n' >there/rules
    printf '%s\n' '{"event_id":"e-1"}' '{"event_id":"e-2","bad":1}' '{"event_id":"e-3","v":1.0}' >in
    syncq send -q --later --key-from event_id cloud in
    run_split syncq send --key-from event_id cloud in
    assert_status 0 '3 received: 0 queued, 3 there already, 0 rejected; 0 sent, 0 failed, 3 remain'
    assert_line '{"queued":false,"op_id":"e-1","status":"pending"}'
    flush_gives 1 2 1 0
    [ "$(seen '.headers["idempotency-key"]' | xargs)" = 'e-1 e-2 e-3' ]
    sed -i 's/1.0/1.00/' in
    cat in in >twice
    echo '{"event_id":4}' >>twice
    run_split syncq send --key-from event_id cloud twice
    assert_status 0 '7 received: 1 queued, 6 there already'
    assert_line '{"queued":false,"op_id":"e-1","status":"completed"}'
    assert_line '{"queued":false,"op_id":"e-2","status":"failed"}'
    assert_line '{"queued":true,"op_id":"4"}'
    [ "$(requests)" = 4 ]
}

@test "a key that stands for something else, or is none, is refused" {
    serve
    dest cloud
    printf '%s\n' '{"id":"a","v":1}' '{"id":"a","v":2}' '{"v":3}' '{"id":"a b"}' '{"id":""}' \
        '{"id":"c","id":"c"}' '{"id":null}' '[]' '{"id":"d","v":4}' >in
    run_split syncq send --rejects bad --key-from id cloud in
    assert_status 1 'in:2: byte 17: another payload was sent or queued under this key'
    [[ $errout == *'in:3: byte 34: the member of --key-from is missing'* ]]
    [[ $errout == *'in:4: '*'key: wants 1 to 128 of'* ]]
    [[ $errout == *'in:5: '*'key: wants 1 to 128 of'* ]]
    [[ $errout == *'in:6: '*'is there twice'* ]]
    [[ $errout == *'in:7: '*'wants a string or a number'* ]]
    [[ $errout == *'in:8: '*'not an object'* ]]
    [ "$(sort bad)" = "$(sed '1d;9d' in | sort)" ]
    [ "$(seen)" = "$(sed -n '1p;9p' in)" ]
}

# --- on_success -------------------------------------------------------------------

@test "on_success gets what was sent, in order, once, and knows the store" {
    serve
    dest cloud '"on_success":["sh","-c","cat >>told; echo \"$SYNCQ_DESTINATION $LIFEBOAT_DB\" >>env"]'
    script '200 x30' 503
    payloads 1 40 | syncq send -q --later cloud
    flush_gives 69 30 0 10
    cmp told <(payloads 1 30)
    time_passes
    (unset LIFEBOAT_DB && syncq flush -q -d "$BATS_TEST_TMPDIR/lifeboat.db" cloud >/dev/null)
    cmp told <(payloads 1 40)
    [ "$(sort -u env)" = "cloud $LIFEBOAT_DB" ]
    [ "$(sql 'SELECT sum(owed) FROM job_queue')" = 0 ]
}

@test "on_success that fails is owed, said, and run first the next time" {
    serve
    dest cloud '"on_success":["sh","-c","cat >>told; test -e good || { echo why >&2; exit 3; }"]'
    payloads 1 2 | syncq send -q --later cloud
    flush_gives 75 2 0 0 'syncq: cloud: on_success: sh: exit status 3: why (what it was to be told stays owed)'
    [ "$(sql 'SELECT sum(owed) FROM job_queue')" = 2 ]
    touch good
    syncq send -q --later cloud <<<'{"n":3}'
    printf '.\thang\n' >there/rules
    background flush syncq flush cloud
    wait_until 10 received 3
    [ "$(sql 'SELECT sum(owed) FROM job_queue')" = 0 ]
    cmp told <(payloads 1 2; payloads 1 2)
}

@test "what is owed is paid also when the destination is paused" {
    serve
    dest cloud '"on_success":["sh","-c","cat >/dev/null; test -e good"]'
    syncq send -q cloud <<<1 2>err
    grep -q 'on_success' err
    touch good
    sql "INSERT INTO queue_state(queue_name, paused, reason, changed_at) VALUES('cloud', 1, 'x', 0)
        ON CONFLICT DO UPDATE SET paused = 1"
    run_split syncq flush cloud
    assert_status 77
    [ "$(sql 'SELECT sum(owed) FROM job_queue')" = 0 ]
}

# The recipe of the page: events count as acknowledged when the other side has them.
ship() { evstore-export --unsynced | syncq send -q --key-from event_id cloud; }
unacknowledged() { sql 'SELECT count(*) FROM events WHERE acknowledged = 0'; }

@test "events are acknowledged when the other side has them, and queued once until then" {
    dead_port
    dest cloud '"on_success":["evstore-ack","-q"]'
    mkevents 30 | evstore-append -q
    ship
    ship
    [ "$(unacknowledged) $(sql 'SELECT count(*) FROM job_queue')" = '30 30' ]
    serve "$port"
    script '200 x25' 500
    time_passes
    flush_gives 1 25 0 5
    [ "$(unacknowledged)" = 5 ]
    ship
    time_passes
    flush_gives 0 5 0 0
    [ "$(unacknowledged)" = 0 ]
    [ "$(evstore-export --unsynced)" = '' ]
    [ "$(seen '.body | fromjson | .event_id' | sort -u | wc -l)" = 30 ]
    [ "$(requests)" = 31 ]
}

# mishaps WHAT: at each change of a file in turn this happens to send, then to
# flush; in between and at last a run goes well.
mishaps() {
    [ -z "$checker" ] || skip 'the shim goes before the sanitizers'
    "${CC:-cc}" -std=c11 -D_GNU_SOURCE -O2 -fPIC -shared -o mishap.so \
        "$top/tests/tools-preload/mishap.c" -ldl
    serve
    dest cloud '"batch":3,"on_success":["evstore-ack","-q"]'
    mkevents 10 | evstore-append -q
    cp "$LIFEBOAT_DB" clean
    evstore-export --unsynced >events
    hits=0
    for ((n = 1; n < 300; n += 1${SMALL:+ + 6})); do
        rm -f "$LIFEBOAT_DB"* mark
        : >there/log
        cp clean "$LIFEBOAT_DB"
        status=0
        MISHAP=change:$n:$1 LD_PRELOAD=$PWD/mishap.so \
            syncq send --later --key-from event_id cloud events >acks 2>err || status=$?
        [ "$status" -ne 0 ] || [ "$(sql 'SELECT count(*) FROM job_queue')" = 10 ]
        jq -r .op_id acks | sort >acknowledged
        sql 'SELECT idempotency_key FROM job_queue' | sort >known
        [ -z "$(comm -23 acknowledged known)" ]
        syncq send -q --later --key-from event_id cloud events
        [ "$(sql 'SELECT count(*) FROM job_queue')" = 10 ]
        status=0
        MISHAP=change:$n:$1 MISHAP_MARK=$PWD/mark LD_PRELOAD=$PWD/mishap.so \
            syncq flush -q cloud >flushed 2>err || status=$?
        [ "$status" -ne 0 ] || [ "$(unacknowledged)" = 0 ]
        [ "$(sql 'PRAGMA integrity_check')" = ok ]
        # Acknowledged is only what was received.
        sql 'SELECT event_id FROM events WHERE acknowledged = 1' | sort >acknowledged
        seen '.body | fromjson | .event_id' | sort -u >known
        [ -z "$(comm -23 acknowledged known)" ]
        run_split syncq flush cloud
        assert_status 0
        [ "$(jq .remaining <<<"$out") $(unacknowledged)" = '0 0' ]
        [ "$(seen '.body | fromjson | .event_id' | sort -u | wc -l)" = 10 ]
        [ "$(requests)" -le 13 ]
        [ -s mark ] || break
        hits=$((hits + 1))
    done
    echo "$hits places, the last $n"
    [ "$hits" -ge 5 ]
}

@test "a full disk in the middle: nothing is lost, nothing acknowledged that was not received" {
    mishaps 28:on
}

@test "killed at any change of a file: nothing is lost, at most one batch comes twice" {
    mishaps kill
}
