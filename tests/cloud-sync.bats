#!/usr/bin/env bats
# scripts/cloud-sync: against a scripted cloud, and against lifeboat.cgi. What its outbox
# promises by itself is tested in outbox.bats; here, what the documents promise of the sync.

# plain

load helper

token=secret-token.of-the.edge

setup() {
    private_store
    export LIFEBOAT_CONFIG=$PWD/config NO_PROXY=127.0.0.1 TMPDIR=$PWD/tmp
    mkdir config there wrapped tmp
    # Every start of these leaves a line, with all of its arguments.
    for c in curl syncq jq kvcache; do
        printf '#!/bin/sh\necho "%s $*" >>%s/argv\nexec %s "$@"\n' \
            "$c" "$PWD" "$(command -v $c)" >wrapped/$c
        chmod +x wrapped/$c
    done
    PATH=$PWD/wrapped:$PATH
    : >argv
}

# No run leaves a file behind, nor tells the token.
teardown() {
    stop_background || return
    [ -z "$(ls tmp)" ] || { ls -R tmp && return 1; }
    if grep -rqF -- "$token" argv .out .err lifeboat.db*; then return 1; fi
}

# --- helpers ----------------------------------------------------------------------

serve() { # [PORT]
    rm -f there/port
    background httpd python3 "$top/tests/httpd.py" there "$@"
    httpd=$pid
    wait_until 10 test -s there/port
    port=$(cat there/port)
}

unserve() {
    kill "$httpd"
    wait "$httpd" || :
}

# A port that nobody listens on.
dead_port() {
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
}

configure() { # [MORE MEMBERS]
    printf '{"api_url":"http://127.0.0.1:%s/api/cloud","edge_id":"edge-001","jwt_token":"%s"%s}\n' \
        "$port" "$token" "${1:+,$1}" >config/cloud-sync.json
    chmod 600 config/cloud-sync.json
}

sql() { sqlite3 -cmd '.timeout 10000' "$LIFEBOAT_DB" "$1"; }
script() { printf '%s\n' "$@" >there/script; }
seen() { jq -r "${1-.body}" there/log; }
requests() { if [ -e there/log ]; then wc -l <there/log; else echo 0; fi; }
received() { [ "$(requests)" -ge "$1" ]; }
# The waits of refused items, and of the destination, are over.
time_passes() { sql "UPDATE job_queue SET wake_ms = 0 WHERE wake_ms IS NOT NULL;
    UPDATE queue_state SET wake_ms = 0 WHERE wake_ms IS NOT NULL"; }
waiting() { sql "SELECT count(*) FROM job_queue WHERE status = 'pending'"; }

# settings USER N: a run for the settings {"n":N}.
settings() { run_split cloud-sync settings "$1" <<<"{\"n\":$2}"; }
# What came of settings and history, in the order in which it came.
order() { seen '"\(.path | split("/") | last):\(.body | fromjson | .settings.n // "history")"' | xargs; }

queued() {
    assert_status 0 && jq_true '.queued and (.op_id | length == 36)' "$OUT"
}

flush_gives() { # STATUS SENT FAILED REMAINING [TEXT]
    run_split cloud-sync flush
    assert_status "$1" "${5-}" || return
    assert_out "{\"sent\":$2,\"failed\":$3,\"remaining\":$4}"
}

records() { # FIRST LAST [CREATED_AT]
    seq "$1" "$2" | jq -c --arg at "${3-}" '{command_id: "cmd-\(.)", trace_id: "trace-\(.)",
        robot_id: "robot-1", command_type: "robot.action", status: "succeeded"}
        + if $at == "" then {} else {created_at: $at} end'
}

# --- settings ---------------------------------------------------------------------

@test "settings go out at once, as the document has them, and the cloud's answer comes back" {
    serve
    configure
    script '200 = {"success": true, "message": "Settings synced", "updated_at": "2026-01-01T00:00:00Z"}'
    run_split cloud-sync settings user-123 <<<'{"theme": "dark", "language": "zh-TW", "名": 1.5}'
    assert_status 0
    assert_out '{"success":true,"message":"Settings synced","updated_at":"2026-01-01T00:00:00Z"}'
    [ -z "$errout" ]
    [ "$(seen .headers.authorization)" = "Bearer $token" ]
    jq_true '.method == "POST" and .path == "/api/cloud/data_sync/settings/user-123" and
        .headers["content-type"] == "application/json" and
        (.headers | has("idempotency-key")) and (.body | fromjson) ==
            {settings: {theme: "dark", language: "zh-TW", "名": 1.5}, edge_id: "edge-001"}' there/log
}

@test "offline they are queued, and go out in the order in which they came" {
    dead_port
    configure '"sync_history":true'
    settings ana 1 && queued
    op=$(jq -r .op_id "$OUT")
    settings ben 2 && queued
    run_split cloud-sync history ana < <(records 1 2)
    queued
    settings ana 3 && queued
    [[ $(head -n 1 "$ERR") != *received* ]]
    flush_gives 69 0 0 4 'left alone for another'
    serve "$port"
    run_split cloud-sync flush --now
    assert_status 0
    assert_out '{"sent":4,"failed":0,"remaining":0}'
    [ "$(order)" = 'ana:1 ben:2 ana:history ana:3' ]
    [ "$(seen '.headers["idempotency-key"]' | head -n 1)" = "$op" ]
}

@test "what waits survives a reboot, and that the settings are sent by another process" {
    dead_port
    configure
    for i in 1 2 3; do settings ana $i && queued; done
    # The clock of the boot in which it was put off means nothing now.
    sql "UPDATE queue_state SET wake_boot_id = 'another', wake_ms = 9223372036854775807"
    serve "$port"
    flush_gives 0 3 0 0
    [ "$(order)" = 'ana:1 ana:2 ana:3' ]
}

@test "killed while the cloud thinks: the request came, the answer did not; it comes again, with its key" {
    serve
    configure
    script hang
    echo '{"n":1}' >in
    background edge sh -c 'exec cloud-sync settings ana <in'
    edge=$pid
    wait_until 10 received 1
    for p in $(started_here); do
        [ "$p" = "$httpd" ] || kill -9 "$p" 2>/dev/null || :
    done
    wait "$edge" || :
    rm -rf tmp/*
    [ "$(waiting)" = 1 ]
    flush_gives 0 1 0 0
    [ "$(order)" = 'ana:1 ana:1' ]
    [ "$(seen '.headers["idempotency-key"]' | sort -u | wc -l)" = 1 ]
}

@test "no answer, a cut one, none in time, a busy cloud: queued, and sent again with the same key" {
    for action in close cut hang 503; do
        rm -rf there/* lifeboat.db*
        serve
        configure '"timeout_ms":700'
        # Curl itself tries a connection once more that breaks without an answer.
        script "$action" "$action"
        settings ana 1 && queued
        [ "$action" != hang ] || jq_true '.endpoint.error | contains("timed out after 7")' <<<"$(cloud-sync stats)"
        : >there/script
        time_passes
        flush_gives 0 1 0 0
        [ "$(order | tr ' ' '\n' | sort -u)" = ana:1 ]
        [ "$(requests)" -ge 2 ]
        [ "$(seen '.headers["idempotency-key"]' | sort -u | wc -l)" = 1 ]
        unserve
    done
}

@test "later settings of a user never overtake earlier ones; those of others do not wait for them" {
    serve
    configure
    for code in 500 409 422; do
        rm -f lifeboat.db*
        : >there/log
        script $code
        settings ana 1 && queued
        [[ $errout == "cloud-sync: waits: HTTP $code"* ]]
        settings ana 2 && queued
        settings ben 3
        jq_true .success "$OUT"
        time_passes
        flush_gives 0 2 0 0
        [ "$(order)" = 'ana:1 ben:3 ana:1 ana:2' ]
    done
}

@test "a batch is 20 items, or batch_size" {
    dead_port
    configure
    seq 40 | jq -c '{name: "\(.)", content: 1}' >in
    cloud-sync commands upload <in >/dev/null
    serve "$port"
    for size in 20:2 7:6; do
        cp lifeboat.db again.db
        configure
        [ "$size" = 20:2 ] || configure "\"batch_size\":${size%:*}"
        time_passes
        : >argv
        : >there/log
        run_split cloud-sync -d again.db flush --now
        assert_out '{"sent":40,"failed":0,"remaining":0}'
        cmp <(seen '.body | fromjson | .name') <(seq 40)
        [ "$(grep -c '^curl' argv)" = "${size#*:}" ]
        rm again.db*
    done
}

@test "a refused item is tried again max_retry_count times, then FAILED, kept, and in nobody's way" {
    serve
    configure '"max_retry_count":2'
    script '422 = no such theme x3'
    settings ana 1 && queued
    settings ana 2 && queued
    time_passes
    flush_gives 1 0 0 2
    time_passes
    flush_gives 1 1 1 0 'given up: HTTP 422: no such theme'
    [ "$(order)" = 'ana:1 ana:1 ana:1 ana:2' ]
    [ "$(sql 'SELECT status FROM job_queue' | xargs)" = 'failed completed' ]
    jq_true '.payload.settings == {n: 1}' <<<"$(syncq dead list --json cloud-sync)"
}

@test "given up at once, it is said at once" {
    serve
    configure '"max_retry_count":0'
    script '400 = no'
    settings ana 1
    assert_status 1 'given up'
    jq_true '.success == false and .error == "HTTP 400: no" and (.op_id | length == 36)' "$OUT"
    script '200 = {"success":false,"error":"no"}'
    settings ana 2
    assert_status 1
    jq_true '.success == false and (.error | contains("\"no\""))' "$OUT"
}

@test "a week offline fails nothing" {
    dead_port
    configure '"max_retry_count":0'
    settings ana 1 && queued
    for ((i = 0; i < 5; i++)); do
        run_split cloud-sync flush --now
        assert_status 69 'not reached'
        assert_out '{"sent":0,"failed":0,"remaining":1}'
    done
    serve "$port"
    time_passes
    flush_gives 0 1 0 0
}

@test "401, a wrong address, a redirect, a portal's page: nothing more is sent until somebody looked" {
    serve
    configure
    n=0
    for action in '401 = expired' 404 '302 Location: http://login/' '200 = <html>Your room number?' '200 =  '; do
        script "$action"
        settings ana $((++n)) && queued
        [[ $errout == *"paused: HTTP ${action:0:3}"*'syncq resume cloud-sync'* ]]
        settings ben $((++n)) && queued
        [[ $errout == "cloud-sync: waits: paused: HTTP ${action:0:3}"* ]]
        flush_gives 77 0 0 2 paused
        [ "$(requests)" = 1 ]
        : >there/log
        syncq resume -q cloud-sync
        flush_gives 0 2 0 0
        [ "$(order)" = "ana:$((n - 1)) ben:$n" ]
        : >there/log
    done
}

@test "many at the same time lose nothing and send nothing twice" {
    serve
    configure
    pids=()
    for i in 1 2 3 4; do
        echo "{\"n\":$i}" >"in$i"
        background "run$i" sh -c "exec cloud-sync settings user-$i <in$i"
        pids+=("$pid")
    done
    wait "${pids[@]}"
    cloud-sync flush || :
    [ "$(order | tr ' ' '\n' | sort | xargs)" = 'user-1:1 user-2:2 user-3:3 user-4:4' ]
    [ "$(waiting)" = 0 ]
}

@test "older items go first: what comes meanwhile waits its turn" {
    dead_port
    configure
    settings ana 1 && queued
    serve "$port"
    time_passes
    settings ana 2 && queued
    [[ $errout == 'cloud-sync: waits: '* ]]
    [ "$(requests)" = 0 ]
    flush_gives 0 2 0 0
    [ "$(order)" = 'ana:1 ana:2' ]
}

@test "what is no JSON object, or would not come through whole, is refused before it is queued" {
    dead_port
    configure
    for bad in '' '[1]' '"a"' '{"a":1} {"b":2}' '{"a":' '{"id":9007199254740993}' '{"x":[nan]}' $'{"a":"\xff"}'; do
        run_split cloud-sync settings ana <<<"$bad"
        assert_status 65 'cloud-sync: standard input: '
    done
    [ ! -e lifeboat.db ]
    run_split cloud-sync settings ana <<<'{"id":9007199254740991,"x":-1.5e300}'
    queued
    [ "$(sql 'SELECT payload FROM job_queue' | jq -c .settings.id)" = 9007199254740991 ]
}

@test "a user's id is looked at before anything else" {
    serve
    configure '"sync_history":true'
    for user in '' . .. a.b a/b '../etc' 'a b' 'ü' "a'" $'a\nb' "$(printf 'a%.0s' {1..65})"; do
        run_split cloud-sync settings -- "$user" <<<'{}'
        assert_status 64 'user: wants 1 to 64 of A-Z a-z 0-9 _ -'
    done
    for c in history restore-settings; do
        run_split cloud-sync "$c" ../etc <<<'{}'
        assert_status 64 'user: wants 1 to 64 of A-Z a-z 0-9 _ -'
    done
    [ ! -e lifeboat.db ]
    [ "$(requests)" = 0 ]
    settings "$(printf 'a%.0s' {1..64})" 1
    jq_true .success "$OUT"
    run_split cloud-sync settings -- -a_Z9 <<<'{}'
    jq_true .success "$OUT"
}

@test "restore-settings prints what was backed up" {
    serve
    configure
    script '200 = {"success":true,"data":{"user_id":"ana","settings":{"theme":"dark"},"edge_id":"e","updated_at":"2026-01-01T00:00:00Z"}}'
    run_split cloud-sync restore-settings ana
    assert_status 0
    assert_out '{"theme":"dark"}'
    [ "$(seen .headers.authorization)" = "Bearer $token" ]
    jq_true '.method == "GET" and .path == "/api/cloud/data_sync/settings/ana"' there/log
    [ "$(grep -c '^curl -q -K -$' argv)" = 1 ]
}

@test "no backup: 1, and the defaults are to be used" {
    serve
    configure
    script '404 Content-Type: application/problem+json = {"status":404,"title":"Not Found"}'
    run_split cloud-sync restore-settings ana
    assert_status 1 'ana: there is no backup in the cloud: use the defaults'
    assert_out ''
}

@test "settings that wait here are newer than the cloud's" {
    dead_port
    configure
    settings ana 1 && queued
    settings ana 2 && queued
    settings ben 3 && queued
    run_split cloud-sync restore-settings ana
    assert_status 0 'these settings wait here to be sent'
    assert_out '{"n":2}'
    [ "$(grep -c '^curl' argv)" = 1 ]
    run_split cloud-sync restore-settings eve
    assert_status 69 'not reached'
    assert_out ''
}

@test "what is not the cloud's answer is not taken for one" {
    serve
    configure '"timeout_ms":700'
    gives() { # STATUS ACTION
        script "$2"
        run_split cloud-sync restore-settings ana
        assert_status "$1" 'cloud-sync: '
        assert_out ''
    }
    gives 76 '200 = <html>Your room number?'
    gives 76 '200 = {"success":true}'
    gives 76 '200 = {"success":true,"data":{"user_id":"ben","settings":{}}}'
    gives 76 '200 = {"success":true,"data":{"user_id":"ana","settings":[]}}'
    gives 76 '302 Location: http://127.0.0.1/'
    gives 76 '404 = <html>Not here'
    gives 76 endless
    gives 76 400
    gives 77 '401 = {"detail":"expired"}'
    [[ $errout == *'HTTP 401: expired' ]]
    gives 77 403
    gives 69 503
    gives 69 500
    gives 69 close
    gives 69 hang
    gives 69 drip
    gives 69 cut
    unserve
    run_split cloud-sync restore-settings ana
    assert_status 69 'not reached'
}

@test "an answer that repeats the token is not shown, nor kept" {
    serve
    configure '"max_retry_count":0'
    script "403 = {\"detail\":\"bad $token\"}"
    run_split cloud-sync restore-settings ana
    assert_status 77 'repeats the token'
    script "200 = {\"success\":true,\"token\":\"$token\"}"
    settings ana 1
    assert_out '{"success":true}'
    script "200 = no JSON: $token"
    settings ana 2 && queued
}

# --- history ----------------------------------------------------------------------

@test "history is off until somebody turns it on; so can be the settings, or all of it" {
    serve
    configure
    run_split cloud-sync history ana <<<"$(records 1 1)"
    assert_status 78 'cloud-sync.json: sync_history is false: nothing is sent'
    configure '"sync_settings":false'
    settings ana 1
    assert_status 78 'sync_settings is false'
    run_split cloud-sync restore-settings ana
    assert_status 78 'sync_settings is false'
    configure '"enabled":false,"sync_history":true'
    for c in 'settings ana' 'history ana' 'restore-settings ana' 'commands upload' 'commands browse' flush; do
        read -ra words <<<"$c"
        run_split cloud-sync "${words[@]}" <<<'{}'
        assert_status 78 'enabled is false'
    done
    run_split cloud-sync auto
    assert_status 0 'enabled is false'
    [ "$(requests)" = 0 ]
    [ ! -e lifeboat.db ]
}

@test "history: a request as the document has it, and the cloud's counts" {
    serve
    configure '"sync_history":true'
    script '200 = {"success":true,"synced_count":1,"total":42}'
    now=$(date -u +%FT%TZ)
    run_split cloud-sync history user-123 <<<"$(records 1 2 "$now")"
    assert_status 0 'history of user-123: 2 received, 0 older than 90 days, 0 rejected; 2 in 1 requests, 0 of them wait'
    assert_out '{"success":true,"synced_count":1,"total":42}'
    jq_true --arg now "$now" '.path == "/api/cloud/data_sync/history/user-123" and (.body | fromjson |
        .edge_id == "edge-001" and (.records | length == 2 and .[0] == {command_id: "cmd-1",
            trace_id: "trace-1", robot_id: "robot-1", command_type: "robot.action",
            status: "succeeded", created_at: $now}))' there/log
}

@test "records older than local_history_days stay here" {
    serve
    configure '"sync_history":true'
    export LIFEBOAT_NOW
    LIFEBOAT_NOW=$(date -d 2026-04-01T00:00:00Z +%s000)
    cat >in <<'END'
{"command_id":"old","created_at":"2025-12-31T23:59:59Z"}
{"command_id":"edge","created_at":"2026-01-01T00:00:00Z"}
{"command_id":"east-old","created_at":"2026-01-01T07:59:59+08:00"}
{"command_id":"east","created_at":"2026-01-01T08:00:00.123456+08:00"}
{"command_id":"west","created_at":"2025-12-31T21:30:00-0230"}
{"command_id":"python","created_at":"2026-01-01 00:00:01.5"}
{"command_id":"ms-old","created_at":1767225599999}
{"command_id":"ms","created_at":1767225600000}
{"command_id":"none"}
{"command_id":"null","created_at":null}
END
    run_split cloud-sync history ana <in
    assert_status 0 '10 received, 3 older than 90 days, 0 rejected'
    [ "$(seen '.body | fromjson | .records[].command_id' | xargs)" = 'edge east west python ms none null' ]
    : >there/log
    configure '"sync_history":true,"local_history_days":91'
    cloud-sync -q history ana <in >/dev/null
    [ "$(seen '.body | fromjson | .records | length')" = 10 ]
}

@test "much of it goes in several requests, in order; their counts are added up" {
    serve
    configure '"sync_history":true'
    script '200 = {"success":true,"synced_count":200,"total":200}' \
        '200 = {"success":true,"synced_count":150,"total":350}' \
        '200 = {"success":true,"synced_count":50,"total":400}'
    run_split cloud-sync history ana < <(records 1 450)
    assert_out '{"success":true,"synced_count":400,"total":400}'
    [ "$(seen '.body | fromjson | .records | length' | xargs)" = '200 200 50' ]
    cmp <(seen '.body | fromjson | .records[].command_id') <(seq -f cmd-%.0f 450)
}

@test "the network goes in the middle of it: the rest is queued, and nothing is missing" {
    serve
    configure '"sync_history":true'
    script '200 = {"success":true,"synced_count":200,"total":200}' 503
    records 1 450 >in
    run_split cloud-sync history ana <in
    assert_status 0 '450 in 3 requests, 2 of them wait'
    jq_true '.queued and .synced_count == 200' "$OUT"
    # It is the last one that is named: once it has gone, all have.
    [ "$(jq -r .op_id "$OUT")" = "$(sql 'SELECT idempotency_key FROM job_queue WHERE id = 3')" ]
    time_passes
    flush_gives 0 2 0 0
    cmp <(seen 'select(.action != "503").body | fromjson | .records[].command_id') <(seq -f cmd-%.0f 450)
}

@test "records that are none are named and set aside, the others sent" {
    serve
    configure '"sync_history":true'
    {
        records 1 1
        printf '%s\n' '{"command_id":' '' '[1]' '{"command_id":7}' '{"command_id":"a","created_at":"yesterday"}' \
            '{"command_id":"b","robot_id":9007199254740993}' $'{"command_id":"\xff"}'
        records 2 2
    } >in
    run_split cloud-sync history --rejects bad ana <in
    assert_status 1 '8 received, 0 older than 90 days, 6 rejected; 2 in 1 requests'
    for why in '2: not JSON' '4: not an object' '5: command_id: wants a string' '6: created_at: wants a time' \
        '7: a number beyond 2^53' '8: not valid UTF-8'; do
        [[ $errout == *"cloud-sync: standard input:$why"* ]]
    done
    cmp bad <(sed -n '2p;4,8p' in)
    [ "$(seen '.body | fromjson | .records[].command_id' | xargs)" = 'cmd-1 cmd-2' ]
}

@test "records may come as an array; none at all is no request" {
    serve
    configure '"sync_history":true'
    run_split cloud-sync history ana < <(records 1 3 | jq -s .)
    jq_true .success "$OUT"
    [ "$(seen '.body | fromjson | .records | length')" = 3 ]
    for none in '' '[]'; do
        run_split cloud-sync history ana <<<"$none"
        assert_status 0
        assert_out '{"success":true,"synced_count":0}'
    done
    run_split cloud-sync history ana <<<'[{"command_id":"a"}'
    assert_status 65 'standard input: '
    [ "$(requests)" = 1 ]
}

# --- commands ---------------------------------------------------------------------

@test "approved commands are uploaded, others refused" {
    serve
    configure
    cat >in <<'END'
{"name":"patrol","category":"patrol","description":"round","content":{"steps":[1,2]},"approved":true}
{"name":"draft","content":1,"status":"pending"}
{"name":"not yet","content":1,"approved":false}
{"name":"dance","content":["turn"],"status":"approved"}
{"content":1}
{"name":"empty"}
END
    run_split cloud-sync commands upload --rejects bad <in
    assert_status 1 'standard input:2: not approved'
    assert_out '{"uploaded":2,"queued":0,"failed":0,"rejected":4}'
    [ "$(seen '[.path, (.body | fromjson | .name, .edge_id)] | join(" ")')" = \
        '/api/cloud/commands patrol edge-001
/api/cloud/commands dance edge-001' ]
    cmp bad <(sed -n '2,3p;5,6p' in)
}

@test "commands wait too, and one that the cloud does not want is said" {
    serve
    configure '"max_retry_count":0'
    script 200 '400 = no' 503
    for n in a b c d; do echo "{\"name\":\"$n\",\"content\":1}"; done >in
    run_split cloud-sync commands upload <in
    assert_status 1 'HTTP 400: no'
    assert_out '{"uploaded":1,"queued":2,"failed":1,"rejected":0,"success":false}'
    time_passes
    flush_gives 0 2 0 0
}

@test "browse asks by category, rating and number, and prints a command a line" {
    serve
    configure
    list='{"success":true,"data":{"commands":[{"command_id":3,"name":"a"},{"command_id":4,"name":"b"}],"total":2}}'
    script "200 = $list" "200 = $list" '200 = {"success":true,"data":{"commands":[],"total":0}}' \
        '200 = {"success":true,"data":{}}'
    run_split cloud-sync commands browse --category 'a&b=巡' --min-rating 4.0 --limit=20
    assert_status 0
    assert_out '{"command_id":3,"name":"a"}
{"command_id":4,"name":"b"}'
    [ "$(seen .path)" = '/api/cloud/commands?category=a%26b%3D%E5%B7%A1&min_rating=4.0&limit=20' ]
    : >there/log
    cloud-sync commands browse >/dev/null
    [ "$(seen .path)" = /api/cloud/commands ]
    run_split cloud-sync commands browse
    assert_status 0
    assert_out ''
    run_split cloud-sync commands browse
    assert_status 76 'not a list of commands'
    for o in --limit=0 --limit=x --min-rating=-1 --min-rating=x; do
        run_split cloud-sync commands browse "$o"
        assert_status 64 "${o%=*}: wants"
    done
}

@test "download prints one; 1 when there is none" {
    serve
    configure
    script '200 = {"success":true,"data":{"command_id":123,"name":"a","content":{"x":1}}}' \
        '404 = {"status":404}' '200 = {"success":true,"data":[]}'
    run_split cloud-sync commands download 123
    assert_status 0
    assert_out '{"command_id":123,"name":"a","content":{"x":1}}'
    [ "$(seen .path)" = /api/cloud/commands/123 ]
    run_split cloud-sync commands download 124
    assert_status 1 'command 124: the cloud has none of this ID'
    run_split cloud-sync commands download 125
    assert_status 76
    run_split cloud-sync commands download ../settings
    assert_status 64 'not the ID of a command'
}

@test "auto uploads nothing until auto_sync says so, but sends what waits" {
    dead_port
    configure '"approved_commands":["cat","approved.jsonl"]'
    echo '{"name":"a","content":1}' >approved.jsonl
    settings ana 1 && queued
    serve "$port"
    time_passes
    run_split cloud-sync auto
    assert_status 0
    assert_out '{"sent":1,"failed":0,"remaining":0}'
    [ "$(order)" = ana:1 ]
}

@test "auto uploads what is new or changed, and nothing twice" {
    serve
    configure '"auto_sync":true,"approved_commands":["cat","approved.jsonl"]'
    gives() { # CONTENT... : what auto sends when these are approved
        : >there/log
        printf '{"name":"a","content":%s}\n' "$1" >approved.jsonl
        run_split cloud-sync auto
        assert_status 0
        [ "$(requests)" = "$2" ]
    }
    gives 1 1
    gives 1 0
    gives 2 1
    [ "$(seen '.body | fromjson | .content')" = 2 ]
    gives 1 1
    [ "$(seen '.body | fromjson | .content')" = 1 ]
    echo '{"name":"b","content":1}' >>approved.jsonl
    : >there/log
    cloud-sync auto
    [ "$(seen '.body | fromjson | .name')" = b ]
}

@test "auto: what it cannot upload does not keep it from sending what waits" {
    serve
    configure '"auto_sync":true,"approved_commands":["sh","-c","echo {}; exit 3"]'
    sql 'SELECT 1' >/dev/null
    script 503
    settings ana 1 && queued
    time_passes
    run_split cloud-sync auto
    assert_status 69 'approved_commands: exit status 3: nothing was uploaded'
    assert_out '{"sent":1,"failed":0,"remaining":0}'
    configure '"auto_sync":true,"approved_commands":["echo","{}"]'
    run_split cloud-sync auto
    assert_status 1 'standard input:1: name: wants a string'
}

@test "auto forgets what was sent longer ago than local_history_days, and nothing else" {
    serve
    configure '"max_retry_count":0'
    script 200 400 200 503
    for i in 1 2 3 4; do settings "user-$i" $i; done
    sql "UPDATE job_queue SET completed_at = completed_at - 91 * 86400000 WHERE id < 3"
    rm there/script && echo 503 >there/script
    run_split cloud-sync auto
    [ "$(sql 'SELECT id, status FROM job_queue' | xargs)" = '3|completed 4|pending' ]
    # What the cloud refused stays, whole, until somebody purges it.
    jq_true '.payload.settings == {n: 2}' <<<"$(syncq dead list --json cloud-sync)"
}

# --- the rest ---------------------------------------------------------------------

@test "stats and flush tell how it stands" {
    dead_port
    configure
    settings ana 1 && queued
    run_split cloud-sync stats
    assert_status 0
    jq_true '.queue_name == "cloud-sync" and .depth.ready == 1 and .endpoint.failures == 1' "$OUT"
    serve "$port"
    run_split cloud-sync -q flush --now
    assert_out '{"sent":1,"failed":0,"remaining":0}'
    jq_true '.depth.ready == 0 and .depth.completed == 1 and .endpoint.failures == 0' \
        <<<"$(cloud-sync stats)"
}

@test "a token is read from a file of its own too; from none that others may use" {
    serve
    configure
    jq 'del(.jwt_token) + {token_file: "cloud.token"}' config/cloud-sync.json >new
    cat new >config/cloud-sync.json
    printf '%s\r\n' "$token" >config/cloud.token
    chmod 644 config/cloud-sync.json
    for mode in 640 604; do
        chmod $mode config/cloud.token
        settings ana 1
        assert_status 78 'config/cloud.token: others may use it: chmod 600'
    done
    chmod 600 config/cloud.token
    settings ana 1
    jq_true .success "$OUT"
    [ "$(seen .headers.authorization)" = "Bearer $token" ]
    run_split cloud-sync restore-settings ana
    [ "$(seen .headers.authorization | sort -u)" = "Bearer $token" ]
    printf 'a b' >config/cloud.token
    settings ana 2
    assert_status 78 'config/cloud.token: not a token'
    rm config/cloud.token
    settings ana 2
    assert_status 78 'config/cloud.token: no such file'
    configure
    chmod 640 config/cloud-sync.json
    settings ana 2
    assert_status 78 'config/cloud-sync.json: others may use it: chmod 600'
    [ "$(requests)" = 2 ]
}

@test "without a token there is no Authorization; a token's quotes come through" {
    serve
    configure
    jq 'del(.jwt_token)' config/cloud-sync.json >new
    cat new >config/cloud-sync.json
    settings ana 1
    cloud-sync restore-settings ana || :
    [ "$(seen .headers.authorization | sort -u)" = null ]
    jq '.jwt_token = "a\"b\\c\\nd"' new >config/cloud-sync.json
    settings ana 2
    cloud-sync restore-settings ana || :
    [ "$(seen .headers.authorization | tail -n 2 | sort -u)" = 'Bearer a"b\c\nd' ]
}

@test "a mistake in the configuration is named, with its line" {
    refused() { # TEXT WHY
        printf '%s' "$1" >config/cloud-sync.json
        chmod 600 config/cloud-sync.json
        run_split cloud-sync flush
        assert_status 78 "cloud-sync: $LIFEBOAT_CONFIG/cloud-sync.json$2"
    }
    run_split cloud-sync flush
    assert_status 78 'config/cloud-sync.json: not there'
    refused '' ':1: wants one object'
    refused '{"a":' ': not JSON: '
    refused '[]' ':1: wants one object'
    refused '{}' ':1: api_url: missing'
    ok='"api_url":"https://c.example/api","edge_id":"e"'
    refused "{$ok,
\"enabled\":true,
\"sync_histroy\":true}" ':3: sync_histroy: no such setting'
    refused "{$ok,
\"enabled\":true,
\"enabled\":false}" ':3: enabled: is there twice'
    refused "{$ok,
\"sync_history\":\"yes\"}" ':2: sync_history: wants true or false'
    refused "{$ok,
\"local_history_days\":0}" ':2: local_history_days: wants a whole number, 1 to 36500'
    refused "{$ok,\"batch_size\":501}" ':1: batch_size: wants'
    refused "{$ok,\"max_retry_count\":1.5}" ':1: max_retry_count: wants'
    refused "{$ok,\"timeout_ms\":0}" ':1: timeout_ms: wants'
    refused "{$ok,\"jwt_token\":\"a b\"}" ':1: jwt_token: wants printable ASCII'
    refused "{$ok,\"jwt_token\":\"a\",\"token_file\":\"b\"}" ':1: token_file: there is jwt_token'
    refused "{$ok,\"auto_sync\":true}" ':1: auto_sync: wants approved_commands'
    refused "{$ok,\"approved_commands\":\"ls\"}" ':1: approved_commands: wants a command'
    for url in ftp://c.example/ https:///api https://me:pw@c.example/ 'https://c.example/?a=1' \
        'https://c.example/{lane}' 'https://c.example/a b' 'https://c.example/\"'; do
        refused "{\"edge_id\":\"e\",\"api_url\":\"$url\"}" ':1: api_url: wants http:// or https://'
    done
}

@test "the example that is shipped has the document's values and is right" {
    cp "$top/lib/config/cloud-sync.json" config/
    echo "$token" >config/cloud.token
    chmod 600 config/cloud.token
    run_split cloud-sync stats
    [[ $errout != *cloud-sync.json* ]]
    jq_true '.enabled == true and .api_url == "https://cloud.example.com/api/cloud" and
        .edge_id == "edge-001" and .sync_settings == true and .sync_history == false and
        .local_history_days == 90 and .auto_sync == false' config/cloud-sync.json
}

@test "the folder of the configuration may be named in lifeboat.env" {
    serve
    configure
    mv config elsewhere
    printf 'LIFEBOAT_CONFIG="%s"\n' "$PWD/elsewhere" >"$LIFEBOAT_ENV"
    unset LIFEBOAT_CONFIG
    settings ana 1
    jq_true .success "$OUT"
}

@test "what cannot be stored is not sent either, and nothing printed as though it were kept" {
    serve
    configure
    run_split cloud-sync --rejects nowhere/bad commands upload <<<'{}'
    assert_status 73 nowhere/bad
    run_split cloud-sync -d nowhere/lifeboat.db settings ana <<<'{}'
    assert_status 73 nowhere/lifeboat.db
    assert_out ''
    [ "$(requests)" = 0 ]
}

@test "wrong use is 64, and the page lists every option" {
    for args in '' help settings 'settings a b' 'commands' 'commands steal' 'commands download' 'flush x' \
        '--nonsense flush' 'flush --limit 3' 'stats --now' 'settings a --rejects x' 'flush --rejects'; do
        read -ra words <<<"$args"
        run_split cloud-sync "${words[@]}"
        assert_status 64 cloud-sync:
    done
    run_split cloud-sync --help
    assert_status 0
    grep -oE -- '--[a-z-]+' "$OUT" | sort -u >in_help
    sed -n '/^\.It /s/Fl -/--/gp' "$top/man/cloud-sync.1" | grep -oE -- '--[a-z-]+' | sort -u >in_page
    cmp in_help in_page
    [ "$(cloud-sync --version)" = "$(syncq --version | sed s/syncq/cloud-sync/)" ]
}

# --- against lifeboat.cgi ---------------------------------------------------------

cloud() { # [MORE MEMBERS]; it asks for tokens if $key is set
    [ -x "$top/scripts/serve" ] || skip 'there is no scripts/serve'
    [ "${port-}" ] || dead_port
    background cloud env ${key:+"LIFEBOAT_KEY=$key"} "$top/scripts/serve" -p "$port" -d "$PWD/cloud.db"
    cloud=$pid
    wait_until 20 curl -sf -o /dev/null "http://127.0.0.1:$port/api/health"
    printf '{"api_url":"http://127.0.0.1:%s/api/cloud","edge_id":"edge-001","sync_history":true%s}\n' \
        "$port" "${1:+,$1}" >config/cloud-sync.json
}

uncloud() {
    kill "$cloud"
    wait "$cloud" || :
}

@test "lifeboat.cgi: settings are backed up, and come back" {
    cloud
    run_split cloud-sync restore-settings user-123
    assert_status 1 'use the defaults'
    run_split cloud-sync settings user-123 <<<'{"theme":"dark","名":[1.5,null]}'
    assert_status 0
    jq_true '.success and .message == "Settings synced" and (.updated_at | fromdate > 0)' "$OUT"
    run_split cloud-sync settings user-123 <<<'{"theme":"light"}'
    run_split cloud-sync restore-settings user-123
    assert_out '{"theme":"light"}'
}

@test "lifeboat.cgi: history is counted once, however often it comes" {
    cloud
    run_split cloud-sync history user-123 < <(records 1 250)
    assert_out '{"success":true,"synced_count":250,"total":250}'
    run_split cloud-sync history user-123 < <(records 200 260)
    assert_out '{"success":true,"synced_count":10,"total":260}'
}

@test "lifeboat.cgi: a day without the cloud, and the last settings are the ones that stay" {
    cloud
    uncloud
    for i in 1 2 3; do settings user-123 $i && queued; done
    run_split cloud-sync history user-123 < <(records 1 30)
    queued
    cloud
    run_split cloud-sync flush --now
    assert_status 0
    assert_out '{"sent":4,"failed":0,"remaining":0}'
    run_split cloud-sync restore-settings user-123
    assert_out '{"n":3}'
    run_split cloud-sync history user-123 <<<"$(records 30 30)"
    assert_out '{"success":true,"synced_count":0,"total":30}'
}

@test "lifeboat.cgi: an answer that was lost makes nothing twice" {
    cloud
    settings user-123 1
    jq_true .success "$OUT"
    # As if the edge had died before it could note the answer.
    sql "UPDATE job_queue SET status = 'pending', completed_at = NULL, result = NULL"
    flush_gives 0 1 0 0
    [ "$(evstore-export -d cloud.db | wc -l)" = 1 ]
}

@test "lifeboat.cgi: commands are shared, found by rating, and fetched" {
    cloud
    printf '%s\n' '{"name":"round","category":"patrol","description":"d","content":{"steps":[1]},"rating":4.5}' \
        '{"name":"dance","category":"fun","content":1,"rating":3}' >in
    run_split cloud-sync commands upload <in
    assert_out '{"uploaded":2,"queued":0,"failed":0,"rejected":0}'
    run_split cloud-sync commands browse --category patrol --min-rating 4.0 --limit 20
    assert_status 0
    [ "$(jq -r .name "$OUT")" = round ]
    run_split cloud-sync commands download "$(jq .command_id "$OUT")"
    jq_true '.name == "round" and .content == {steps: [1]}' "$OUT"
    run_split cloud-sync commands download 999999
    assert_status 1 'the cloud has none of this ID'
}

@test "lifeboat.cgi: without a token nothing goes, with one what its user may do" {
    key=$PWD/cloud.key
    [ ! -x "$top/scripts/serve" ] || lifeboat-token -q -k "$key" key
    cloud
    settings ana 1 && queued
    [[ $errout == *'paused: HTTP 401'* ]]
    run_split cloud-sync restore-settings eve
    assert_status 77 'HTTP 401'

    lifeboat-token -q -k "$key" issue --user ana --role user >config/cloud.token
    chmod 600 config/cloud.token
    jq '. + {token_file: "cloud.token", max_retry_count: 0}' config/cloud-sync.json >new
    mv new config/cloud-sync.json
    syncq resume -q cloud-sync
    flush_gives 0 1 0 0
    run_split cloud-sync restore-settings ana
    assert_out '{"n":1}'
    settings ben 2
    assert_status 1 'given up: HTTP 403'
    run_split cloud-sync restore-settings ben
    assert_status 77 'HTTP 403'
}
