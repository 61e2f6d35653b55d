#!/usr/bin/env bats
# mirror-send: each record to the primary, then to the mirror.
# valgrind: same bytes|tried at once|not wanted by the primary|read again|says what waits

load helper

setup() {
    private_store
    export NO_PROXY=127.0.0.1
    mkdir there
    config=$PWD/config.json
    more=''
}
teardown() { stop_background; }

# --- helpers ----------------------------------------------------------------------

# Both servers are one: requests to /p and to /m.
serve() { # [PORT]
    rm -f there/port
    background httpd python3 "$top/tests/httpd.py" there "$@"
    httpd=$pid
    wait_until 10 test -s there/port
    port=$(cat there/port)
}
dead_port() {
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
}

# conf [MODE] [MORE MEMBERS]: put in place as mirrorctl does it.
conf() {
    printf '{"primary_endpoint":"http://127.0.0.1:%s/p","mirror_endpoint":"http://127.0.0.1:%s/m",
"mirror_mode":%s,"timeout_ms":%s,"retry":{"max_attempts":%s,"backoff_ms":20}%s}\n' \
        "$port" "${mirror_port-$port}" "${1-true}" "${timeout-5000}" "${attempts-3}" "${2:+,$2}" >"$config.new"
    mv "$config.new" "$config"
}

ms() { mirror-send -c "$config" --log log "$@"; }
sql() { sqlite3 -cmd '.timeout 10000' "$LIFEBOAT_DB" "$1"; }
scans() { seq "${1-1}" "${2-$1}" | sed 's/.*/{"device_id":"HANDHELD-01","n":&}/'; }
rules() { printf '%s\t%s\n' "$@" >there/rules; }
seen() { # PATH [FILTER]: what came there
    [ ! -e there/log ] || jq -r "select(.path == \"$1\") | ${2-.body}" there/log
}
numbers() { seen "$1" '.body | fromjson | .n' | xargs; }
came() { [ "$(seen "$1" | wc -l)" -ge "$2" ]; }
logged() { [ -e log ] && [ "$(jq -r "select($1) | .key" log | wc -l)" -ge "$2" ]; }
forget() { # all that was, but for the server
    rm -rf log "$LIFEBOAT_DB"*
    : >there/log
}
waiting() { sql "SELECT count(*) FROM job_queue WHERE queue_name = 'mirror-send.$1' AND status = 'pending'"; }
waits() { [ "$(waiting "$1")" = "$2" ]; }
time_passes() { sql "UPDATE job_queue SET wake_ms = 0 WHERE wake_ms IS NOT NULL;
    UPDATE queue_state SET wake_ms = 0 WHERE wake_ms IS NOT NULL"; }
# However slow this machine is.
time_stands() { sql "UPDATE queue_state SET wake_ms = wake_ms + 600000 WHERE wake_ms IS NOT NULL"; }
flush_gives() { # STATUS PRIMARY MIRROR: sent,failed,remaining
    run_split ms --flush "${@:4}"
    assert_status "$1"
    [ "$(jq -r '"\(.sent),\(.failed),\(.remaining)"' <<<"$out" | xargs)" = "$2 $3" ] || show_run "wanted: $2 $3"
}

# A mirror-send that reads what is written to descriptor 9.
start_stream() {
    rm -f pipe
    mkfifo pipe
    background stream sh -c 'exec mirror-send -c "$0" --log log "$@" <pipe' "$config" "$@"
    stream=$pid
    exec 9>pipe
}
legs_of() { # PID: the two processes it has started, in their order
    # shellcheck disable=SC2207 # numbers
    legs=($(cat "/proc/$1/task/$1/children"))
    [ ${#legs[@]} = 2 ]
}
end_stream() { # STATUS
    exec 9>&-
    status=0
    wait "$stream" || status=$?
    [ "$status" -eq "$1" ] || { cat stream.err >&2; return 1; }
}

# --- both legs --------------------------------------------------------------------

@test "the same bytes under the same key, to the primary, then to the mirror" {
    serve
    conf
    script='200 X-Served-By: window-a'
    rules /p "$script"
    run_split ms <<<' {"device_id": "H", "n": 1.50, "t": "ü\u00e9", "big": 9007199254740993} '
    assert_status 0 'mirror-send: 1 received: 1 queued, 0 rejected; primary: 1 sent, 0 failed, 0 remain; mirror: 1 sent, 0 failed, 0 remain'
    key=$(jq -r 'select(.queued).op_id' <<<"$out")
    uuidv7 -p "$key" >/dev/null
    [ "$(jq -r .path there/log | xargs)" = '/p /m' ]
    jq_true -s --arg key "$key" 'all(.method == "POST" and .headers["idempotency-key"] == $key and
        .headers["content-type"] == "application/json" and
        .body == "{\"device_id\":\"H\",\"n\":1.50,\"t\":\"ü\\u00e9\",\"big\":9007199254740993}")' there/log
    # The mirror is told how long the primary took; the primary is told nothing.
    ms=$(jq -r 'select(.leg == "primary").ms' log)
    [ "$(seen /m '.headers["x-primary-response-ms"]')" = "$ms" ]
    [ "$(seen /p '.headers | has("x-primary-response-ms")')" = false ]
    # A line for each leg.
    jq_true -s --arg key "$key" 'map(.leg) == ["primary", "mirror"] and all(.key == $key and
        .attempt == 1 and .status == 200 and .result == "sent" and (.ms | type == "number") and
        .queue_ms >= .ms and (.ts | test("^20..-..-..T..:..:..\\....Z$")) and (has("error") | not))' log
}

@test "milliseconds are those of the request" {
    serve
    conf
    rules /p wait
    start_stream
    scans 1 >&9
    wait_until 10 came /p 1
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do nap; done
    touch there/go
    wait_until 10 came /m 1
    end_stream 0
    ms=$(jq -r 'select(.leg == "primary").ms' log)
    [ "$ms" -ge 290 ]
    [ "$(seen /m '.headers["x-primary-response-ms"]')" = "$ms" ]
}

@test "a scan is durable and sent as it comes, not when the input ends" {
    serve
    conf
    rules /p hang
    start_stream
    for i in 1 2 3; do
        scans $i >&9
        wait_until 10 eval '[ "$(grep -c queued stream.out)" = '$i' ]'
        waits primary $i
    done
    wait_until 10 came /p 1
    kill -TERM "$stream"
    end_stream 143
    [ "$(waiting primary) $(numbers /m)" = '3 ' ]
}

@test "a mirror that hangs keeps no record from the primary" {
    serve
    timeout=60000 conf
    rules /m hang
    start_stream
    for i in $(seq 20); do
        scans "$i" >&9
        wait_until 10 came /p "$i"
    done
    wait_until 10 came /m 1
    [ "$(numbers /p)" = "$(seq -s ' ' 20)" ]
    # It is the first one's turn there, still.
    [ "$(numbers /m)" = 1 ]
    kill "$stream"
    end_stream 143
    : >there/rules
    flush_gives 0 0,0,0 20,0,0 --now
    [ "$(numbers /m)" = "1 $(seq -s ' ' 20)" ]
}

@test "nor does a mirror that is not there, refuses, or is set up wrongly" {
    serve
    for action in close 503 422 401 '302 Location: /'; do
        forget
        attempts=1 conf
        rules /m "$action"
        run_split ms <<<"$(scans 1 5)"
        # The primary has all: what the mirror does is "not all is sent", no more.
        assert_status 1 'primary: 5 sent, 0 failed, 0 remain; mirror: 0 sent, 0 failed, 5 remain'
        [ "$(numbers /p)" = '1 2 3 4 5' ]
        # By itself its status is told.
        case $action in close | 503) wanted=69 ;; 422) wanted=1 ;; *) wanted=77 ;; esac
        run_split ms --flush --leg mirror
        assert_status "$wanted"
    done
}

@test "with mirror_mode false it is the primary alone, and nothing is queued for the mirror" {
    serve
    conf false
    run_split ms <<<"$(scans 1 3)"
    assert_status 0 'primary: 3 sent'
    conf true
    flush_gives 0 0,0,0 0,0,0
    [ "$(numbers /p), $(numbers /m)" = '1 2 3, ' ]
    [ "$(sql "SELECT count(*) FROM job_queue WHERE queue_name = 'mirror-send.mirror'")" = 0 ]
}

@test "without a mirror_endpoint, or with nothing but the primary, it works as well" {
    serve
    printf '{"primary_endpoint":"http://127.0.0.1:%s/p"}' "$port" >"$config"
    run_split ms <<<"$(scans 1)"
    assert_status 0
    [ "$(numbers /p)" = 1 ]
}

@test "what waits for the mirror stays when it is turned off, and goes when it is on again" {
    serve
    conf
    rules /m 503
    run_split ms <<<"$(scans 1 3)"
    assert_status 1
    conf false
    : >there/rules
    : >there/log
    time_passes
    flush_gives 0 0,0,0 0,0,3
    [ -z "$(numbers /m)" ]
    conf true
    flush_gives 0 0,0,0 3,0,0
    [ "$(numbers /m)" = '1 2 3' ]
}

@test "what was not wanted by the primary never gets to the mirror" {
    serve
    conf
    rules '"n":2' '422 = {"error":"no such station"}'
    run_split ms <<<"$(scans 1 3)"
    assert_status 1 'mirror-send.primary: item 2: refused, is tried again: HTTP 422: {"error":"no such station"}'
    for _ in 1 2 3; do
        time_passes
        run_split ms --flush
    done
    assert_status 1 'given up: HTTP 422'
    [ "$(numbers /p), $(numbers /m)" = '1 2 2 2 2 3, 1 3' ]
    jq_true -s 'map(select(.leg == "primary" and .status == 422)) |
        map(.attempt) == [1, 2, 3, 4] and map(.result) == ["waits", "waits", "waits", "given up"] and
        all(.error == "HTTP 422: {\"error\":\"no such station\"}")' log
    # It is kept, and can be brought back.
    rm there/rules
    syncq dead requeue -q "$(syncq dead list --json | jq .id)"
    flush_gives 0 1,0,0 1,0,0
    [ "$(numbers /m)" = '1 3 2' ]
}

@test "each device's scans go in order, and wait for no other device's" {
    serve
    conf
    rules '"n":2,' 422
    for i in 1 2 3; do
        printf '{"n":%d,"device_id":"A"}\n{"n":%d,"device_id":"B"}\n' $i $((i * 10))
    done >in
    sed -i 's/"n":20,/"n":2,/' in
    printf '%s\n' '{"n":7}' '{"n":8,"device_id":5}' '{"n":9,"device_id":"a\nb"}' >>in
    run_split ms in
    # A's second and B's second are refused: their lanes wait, those without a name do not.
    assert_status 1
    [ "$(numbers /p)" = '1 10 2 2 7 8 9' ]
    [ "$(sql "SELECT lane, count(*) FROM job_queue WHERE queue_name = 'mirror-send.primary' GROUP BY 1" | xargs)" = '|3 A|3 B|3' ]
    rm there/rules
    time_passes
    flush_gives 0 4,0,0 4,0,0
    [ "$(seen /m | jq -r 'select(.device_id == "A").n' | xargs)" = '1 2 3' ]
}

# --- attempts ---------------------------------------------------------------------

@test "it is tried at once max_attempts times, then by the outbox's rules" {
    serve
    conf
    rules /p 503
    run_split ms <<<"$(scans 1 2)"
    assert_status 69 'mirror-send.primary: not reached, is tried again later: HTTP 503'
    [ "$(numbers /p)" = '1 1 1' ]
    [ "$(grep -c 'not reached' "$ERR")" = 1 ]
    [ "$(sql 'SELECT endpoint_failures FROM queue_state')" = 1 ]
    time_stands
    # It is left alone now, but for --now; and one that is known to fail is tried once.
    flush_gives 69 0,0,2 0,0,0
    [ "$(numbers /p)" = '1 1 1' ]
    flush_gives 69 0,0,2 0,0,0 --now
    [ "$(numbers /p)" = '1 1 1 1' ]
    time_passes
    flush_gives 69 0,0,2 0,0,0
    [ "$(numbers /p)" = '1 1 1 1 1' ]
    : >there/rules
    time_passes
    flush_gives 0 2,0,0 2,0,0
    # One record, one key, and its attempts are counted on over all these runs.
    [ "$(seen /p '.headers["idempotency-key"]' | uniq -c | awk '{print $1}' | xargs)" = '6 1' ]
    jq_true -s 'map(select(.leg == "primary")) | map(.attempt) == [1, 2, 3, 4, 5, 6, 1] and
        map(.status) == [503, 503, 503, 503, 503, 200, 200] and .[0].error == "HTTP 503: {\"success\":true}" and
        .[0].result == "waits"' log
}

@test "an answer that comes in time at the second or third try is all that is needed" {
    serve
    for first in 503 500 409 close hang; do
        timeout=400 conf
        [ "$first" != hang ] || timeout=300
        printf '%s\n' "$first" "$first" >there/script
        forget
        run_split ms -q <<<"$(scans 1)"
        assert_status 0
        [ "$(jq -r 'select(.leg == "primary") | .attempt' log | xargs)" = '1 2 3' ]
        # What had arrived at a try that nobody answered comes again under its key.
        [ "$(seen /p '.headers["idempotency-key"]' | sort -u | wc -l)" = 1 ]
        [ "$(sql "SELECT coalesce(sum(endpoint_failures), 0) FROM queue_state")" = 0 ]
    done
}

@test "backoff_ms stands between attempts; a server that asks for more is heeded" {
    serve
    printf '{"primary_endpoint":"http://127.0.0.1:%s/p","mirror_mode":false,
        "retry":{"max_attempts":2,"backoff_ms":700}}' "$port" >"$config"
    echo 503 >there/script
    begun=${EPOCHREALTIME/./}
    ms -q <<<"$(scans 1)"
    [ $((${EPOCHREALTIME/./} - begun)) -ge 700000 ]
    : >there/log
    echo '503 Retry-After: 60' >there/script
    run_split ms -q <<<"$(scans 2)"
    assert_status 69
    [ "$(numbers /p)" = 2 ]
}

@test "the mirror's attempts are its own" {
    serve
    attempts=2 conf
    rules /m 503
    run_split ms <<<"$(scans 1)"
    assert_status 1
    [ "$(numbers /p), $(numbers /m)" = '1, 1 1' ]
    : >there/rules
    time_passes
    flush_gives 0 0,0,0 1,0,0
    jq_true -s 'map(select(.leg == "mirror").attempt) == [1, 2, 3]' log
    # And the milliseconds of the primary are not forgotten over that.
    [ "$(seen /m '.headers["x-primary-response-ms"]' | sort -u)" = "$(jq -r 'select(.leg == "primary").ms' log)" ]
}

@test "a long-lived one goes on by itself when the server is back" {
    dead_port
    attempts=1 conf
    start_stream
    scans 1 3 >&9
    wait_until 10 logged '.leg == "primary"' 1
    serve "$port" 9>&-
    # 2.5 to 5 s after the first failure, and nothing has to come in for it.
    wait_until 20 came /m 3
    end_stream 0
    [ "$(numbers /p), $(numbers /m)" = '1 2 3, 1 2 3' ]
}

# --- the configuration ------------------------------------------------------------

@test "the configuration is read again when it changes; one that is wrong is not taken" {
    serve
    conf false
    start_stream
    scans 1 >&9
    wait_until 10 came /p 1
    conf true
    scans 2 >&9
    wait_until 10 came /m 1
    grep -qF "$config: read again: mirror_mode is true" stream.err
    # Half of it: what was read before stays.
    head -c 60 "$config" >half
    mv half "$config"
    scans 3 >&9
    wait_until 10 came /m 2
    wait_until 10 grep -qF '(what was read before stays in force)' stream.err
    conf false
    scans 4 >&9
    wait_until 10 came /p 4
    rm "$config"
    scans 5 >&9
    wait_until 10 came /p 5
    wait_until 10 grep -qF 'config.json: not there (what was read before stays in force)' stream.err
    end_stream 0
    [ "$(numbers /p), $(numbers /m)" = '1 2 3 4 5, 2 3' ]
    # Each is said once, by one of the two.
    [ "$(grep -c 'stays in force' stream.err) $(grep -c 'read again' stream.err)" = '2 2' ]
}

@test "turned on, the mirror gets at once what waits, though nothing new is scanned" {
    serve
    conf
    rules /m 503
    attempts=1 ms -q <<<"$(scans 1 2)" || :
    conf false
    rm there/rules
    time_passes
    start_stream
    scans 3 >&9
    wait_until 10 came /p 3
    conf true
    wait_until 15 eval '[ "$(waiting mirror)" = 0 ]'
    end_stream 0
}

@test "another primary_endpoint is used from the next record on" {
    serve
    conf
    start_stream
    scans 1 >&9
    wait_until 10 came /m 1
    sed 's|/p"|/other"|' "$config" >new
    mv new "$config"
    scans 2 >&9
    wait_until 10 came /other 1
    end_stream 0
    [ "$(numbers /p) $(numbers /other)" = '1 2' ]
}

@test "a leg that was paused goes on when its configuration or token changes" {
    serve
    conf true '"token_file":"token"'
    echo tok-1 >token
    chmod 600 token
    rules /p '401 = no'
    run_split ms <<<"$(scans 1)"
    assert_status 77 'mirror-send.primary: paused: HTTP 401: no'
    rules /p 200
    flush_gives 77 0,0,1 0,0,0
    # A pause of a person's is not for us to end.
    syncq pause -q --reason 'stocktaking' mirror-send.mirror
    echo tok-2 >token
    run_split ms --flush
    assert_status 1
    [ "$(seen /p .headers.authorization | xargs)" = 'Bearer tok-1 Bearer tok-2' ]
    [ "$(waiting primary) $(waiting mirror)" = '0 1' ]
    syncq resume -q mirror-send.mirror
    flush_gives 0 0,0,0 1,0,0
}

@test "the mirror may want another token; none is to be seen anywhere" {
    serve
    conf true '"token_file":"a","mirror_token_file":"b"'
    echo SECRET-a >a
    echo SECRET-b >b
    chmod 600 a b
    run_split ms <<<"$(scans 1)"
    assert_status 0
    [ "$(seen /p .headers.authorization), $(seen /m .headers.authorization)" = 'Bearer SECRET-a, Bearer SECRET-b' ]
    if cat "$OUT" "$ERR" log "$LIFEBOAT_DB"* | grep -a SECRET; then return 1; fi
    # One that others may read is not sent, and says so; the scan waits.
    chmod 640 a
    run_split ms <<<"$(scans 2)"
    assert_status 78 'a: others may use it: chmod 600'
    [ "$(waiting primary)" = 1 ]
    chmod 600 a
    conf true '"token_file":"a"'
    flush_gives 0 1,0,0 1,0,0
    [ "$(seen /m .headers.authorization | tail -n 1)" = 'Bearer SECRET-a' ]
}

@test "what is wrong in the configuration is said with its line; what is another program's is not" {
    bad() { # CONTENT TEXT
        printf '%b' "$1" >"$config"
        run_split ms <<<"$(scans 1)"
        assert_status 78 "$config:$2" || return
    }
    p='"primary_endpoint":"http://h/"'
    bad '{}' '1: primary_endpoint: missing'
    bad "{$p,\n\"mirror_mode\":true}" '1: mirror_endpoint: missing, and mirror_mode is true'
    bad "{$p,\"mirror_mode\":true,\"mirror_endpoint\":\"http://h/\"}" "1: mirror_endpoint: is the primary's"
    bad "{$p,\n\"mirror_mode\":\"yes\"}" '2: mirror_mode: wants true or false'
    bad "{$p,\n\n\"timeout_ms\":0}" '3: timeout_ms: wants a whole number from 1'
    bad "{$p,\"retry\":3}" '1: retry: wants an object'
    bad "{$p,\"retry\":{\"max_attempts\":0}}" '1: max_attempts: wants a whole number from 1'
    bad "{$p,\"retry\":{\"attempts\":1}}" '1: retry: attempts: no such setting'
    bad "{$p,$p}" '1: "primary_endpoint": is there twice'
    bad '{"primary_endpoint":"window-a:8501/api"}' '1: primary_endpoint: wants http://'
    bad '{"primary_endpoint":"http://u:p@h/"}' '1: primary_endpoint: wants no user or password'
    bad '{"primary_endpoint":"http://h/{lane}"}' '1: primary_endpoint: wants characters of a URL'
    bad "{$p" '1: '
    # One slip from a name of ours:
    for name in timout_ms timeout_mss tiemout_ms timeoutMs mirror-mode mirrorMode retyr Retry tokenfile; do
        bad "{$p,\n\"$name\":1}" "2: $name: no such setting: is it "
    done
    [ ! -e "$LIFEBOAT_DB" ]
    serve
    conf true '"scanner":{"port":"/dev/ttyUSB0"},"retries":5,"entry":"A","timeout":9,"ui":null'
    run_split ms -q <<<"$(scans 1)"
    assert_status 0
    run_split mirror-send -c none.json
    assert_status 78 'none.json: not there'
}

# --- input ------------------------------------------------------------------------

@test "what is no scan is named and set aside, the others sent" {
    serve
    conf
    printf '%s\n' '{"n":1}' '{"n":' '[1]' '' '7' '{"n":2}' >in
    head -c 3000 /dev/zero | tr '\0' x >>in
    run_split ms --rejects bad --max-line 2000 in
    assert_status 1 'mirror-send: in:2: byte 13: '
    [[ $errout == *'in:3: byte 14: not an object'* && $errout == *'in:7: '*'longer than 2000 bytes'* ]]
    [[ $errout == *'6 received: 2 queued, 4 rejected; primary: 2 sent'* ]]
    [ "$(head -n 3 bad | xargs)" = '{n: [1] 7' ]
    [ "$(numbers /p), $(numbers /m)" = '1 2, 1 2' ]
}

@test "a flood takes little memory, in each of the processes, and starts few curls" {
    [ -z "$checker" ] || skip 'memory and speed are those of the plain build'
    serve
    conf
    start_stream -q
    n=3000
    scans 1 $n | sed 's/}/,"payload":{"station":"A","location":"SHELF-03","lot":"LOT-123"}}/' >&9
    wait_until 60 logged '.leg == "mirror"' $n
    legs_of "$stream"
    for p in "$stream" "${legs[@]}"; do
        kb=$(awk '/^VmHWM/ { print $2 }' "/proc/$p/status")
        echo "$p: $kb KB"
        [ "$kb" -lt 8192 ]
    done
    end_stream 0
    cmp <(seen /p .body) <(seen /m .body)
    [ "$(seen /p '.connection' | sort -u | wc -l)" -lt $((n / 10)) ]
}

# --- what waits -------------------------------------------------------------------

@test "--status says what waits, and sends nothing" {
    serve
    attempts=1 conf
    rules /m 503
    run_split ms <<<"$(scans 1 3)"
    time_stands
    run_split mirror-send -c "$config" --status
    assert_status 1
    jq_true -s 'map(.leg) == ["primary", "mirror"] and (.[0] | .waiting == 0 and .on and
        (.endpoint | endswith("/p")) and .last_sent_at > 1e12) and (.[1] | .waiting == 3 and .failed == 0 and
        .oldest_ms >= 0 and .error == "HTTP 503: {\"success\":true}" and .left_alone_ms > 0)' "$OUT"
    [ "$(numbers /m)" = 1 ]
    syncq pause --reason x mirror-send.mirror
    conf false
    run_split mirror-send -c "$config" --status --leg mirror
    jq_true '.leg == "mirror" and .on == false and .paused == "x"' "$OUT"
    run_split mirror-send -c "$config" -d none --status
    assert_status 66
}

@test "--drop-mirror gives up what waits for the mirror, and keeps it" {
    serve
    attempts=1 conf
    printf '%s\n' '200 x2' '422' >there/script
    rules /m 503
    ms -q <<<"$(scans 1 3)" || :
    time_passes
    run_split mirror-send -c "$config" --drop-mirror
    assert_status 0
    [[ $errout == *' given up' ]]
    [ "$(waiting mirror)" = 0 ]
    rm there/rules
    : >there/log
    time_passes
    run_split ms --flush
    [ "$(seen /m | wc -l)" -le 1 ]
    [ "$(sql "SELECT count(*) FROM job_queue WHERE status = 'failed' AND queue_name = 'mirror-send.mirror'")" -ge 2 ]
    syncq dead requeue -q --all mirror-send.mirror
    run_split ms --flush --now
    assert_status 0
    [ "$(seen /m '.body | fromjson | .n' | sort | xargs)" = '1 2 3' ]
}

@test "--leg primary waits for no mirror; a flush sends that leg later" {
    serve
    conf
    rules /m hang
    run_split ms --leg primary <<<"$(scans 1)"
    assert_status 0 'primary: 1 sent'
    [ "$(numbers /p), $(numbers /m)" = '1, ' ]
    rm there/rules
    run_split ms --flush --leg mirror
    assert_out '{"leg":"mirror","sent":1,"failed":0,"remaining":0}'
}

@test "one process at a time works on a leg; what it leaves another finds" {
    serve
    conf
    rules /p wait
    start_stream
    scans 1 >&9
    wait_until 10 came /p 1
    run_split ms <<<"$(scans 2)"
    assert_status 75 '1 queued'
    touch there/go
    wait_until 10 came /m 2
    end_stream 0
    [ "$(numbers /p), $(numbers /m)" = '1 2, 1 2' ]
}

@test "what was sent long ago is forgotten" {
    serve
    conf
    ms -q <<<"$(scans 1 3)"
    sql "UPDATE job_queue SET completed_at = completed_at - 8 * 86400000 WHERE idempotency_key < 'g'"
    ms -q <<<"$(scans 4)"
    [ "$(sql "SELECT count(*) FROM job_queue WHERE payload LIKE '%:4}'")" = 2 ]
    [ "$(sql 'SELECT count(*) FROM job_queue')" -le 3 ]
}

@test "a log that cannot be written is said, and changes nothing" {
    serve
    conf
    run_split mirror-send -c "$config" --log none/log <<<"$(scans 1)"
    assert_status 0 'unable to write to none/log: No such file or directory'
    # Whoever rotates it finds the next line in a new file.
    ms -q <<<"$(scans 2)"
    mv log log-1
    ms -q <<<"$(scans 3)"
    [ "$(wc -l <log-1) $(wc -l <log)" = '2 2' ]
}

# --- ends of processes ------------------------------------------------------------

@test "TERM ends what is in hand, keeps the rest, and gives 143" {
    serve
    conf
    printf '%s\n' '200 x2' >there/script
    rules /p hang
    start_stream
    scans 1 9 >&9
    wait_until 10 came /p 2
    kill -TERM "$stream"
    end_stream 143
    [ "$(($(seen /p | sort -u | wc -l) >= 2))" = 1 ]
    rm there/rules
    flush_gives 0 "$(waiting primary),0,0" "$((9 - $(jq -r 'select(.leg == "mirror" and .result == "sent") | .key' log | wc -l))),0,0"
    [ "$(seen /m '.body | fromjson | .n' | sort -u | wc -l)" = 9 ]
    [ "$(seen /p '.headers["idempotency-key"] + .body' | sort -u | wc -l)" = 9 ]
}

@test "killed, its legs end with it, and what was told is there" {
    serve
    conf
    rules /p hang
    start_stream
    scans 1 3 >&9
    wait_until 10 came /p 1
    wait_until 10 eval '[ "$(grep -c queued stream.out)" = 3 ]'
    kill -9 "$stream"
    wait "$stream" || :
    exec 9>&-
    wait_until 10 eval '! pgrep -f -- "^mirror-send -c $config" >/dev/null'
    rm there/rules
    flush_gives 0 3,0,0 3,0,0
    [ "$(numbers /m)" = '1 2 3' ]
}

@test "a primary leg that was killed is noticed: nothing that was read is lost" {
    serve
    conf
    start_stream
    scans 1 >&9
    wait_until 10 came /m 1
    legs_of "$stream"
    kill -9 "${legs[0]}"
    wait_until 10 stopped_or_gone "${legs[0]}"
    scans 2 >&9
    end_stream 70
    grep -q 'the process that sends to the primary was ended by signal 9' stream.err
    flush_gives 0 1,0,0 1,0,0
}

@test "a configuration that changes in the midst of a run is obeyed from the next batch on" {
    serve
    conf
    scans 1 60 | ms -q --leg primary
    waits mirror 60
    rules '/m' wait
    background flush mirror-send -c "$config" -q --flush
    wait_until 10 came /m 1
    jq '.mirror_mode = false' "$config" >anew
    mv anew "$config"
    touch there/go
    wait "$pid"
    n=$(waiting mirror)
    [ "$n" -ge 20 ]
    [ "$n" -lt 60 ]
    [ "$(seen /m | wc -l)" -eq $((60 - n)) ]
    # So is another address.
    jq '.mirror_mode = true | .mirror_endpoint |= sub("/m$"; "/other")' "$config" >anew
    mv anew "$config"
    flush_gives 0 0,0,0 "$n,0,0"
    [ "$(seen /other | wc -l)" -eq "$n" ]
}

@test "a mirror leg that was killed keeps nothing from the primary" {
    serve
    conf
    start_stream
    scans 1 >&9
    wait_until 10 came /m 1
    legs_of "$stream"
    kill -9 "${legs[1]}"
    wait_until 10 stopped_or_gone "${legs[1]}"
    scans 2 2 >&9
    wait_until 10 came /p 2
    wait_until 10 grep -q 'wants to be started again' stream.err
    scans 3 3 >&9
    wait_until 10 came /p 3
    end_stream 70
    [ "$(grep -c 'wants to be started again' stream.err)" = 1 ]
    grep -q 'the process that sends to the mirror was ended by signal 9' stream.err
    flush_gives 0 0,0,0 2,0,0
}

@test "who has left stdout: what was read is sent all the same" {
    serve
    conf
    status=0
    scans 1 3 | ms 2>err | : || status=$?
    wait_until 10 eval '! pgrep -f -- "^mirror-send -c $config" >/dev/null'
    run_split ms --flush
    assert_status 0
    n=$(sql "SELECT count(*) FROM job_queue WHERE queue_name = 'mirror-send.primary'")
    [ "$(seen /m | wc -l)" = "$n" ]
}

@test "no output can be written: 74, and the scan is not lost" {
    serve
    conf
    run_split sh -c 'exec mirror-send -c "$0" --log log >/dev/full' "$config" <<<"$(scans 1)"
    [ "$status" -eq 74 ]
    wait_until 10 eval '! pgrep -f -- "^mirror-send -c $config" >/dev/null'
    run_split ms --flush
    assert_status 0
    [ "$(numbers /m)" = 1 ]
}

@test "used wrongly" {
    serve
    conf
    for args in '--flush in' '--status in' '--flush --status' '--leg both' '--leg mirror' '--nothing'; do
        # shellcheck disable=SC2086 # words
        run_split ms $args
        assert_status 64
    done
    run_split ms none.jsonl
    assert_status 66
    [ "$(numbers /p)" = '' ]
}
