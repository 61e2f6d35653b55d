#!/usr/bin/env bats
# The HTTP front, asked by curl through lighttpd. Tokens and pairing: token.bats; the
# stream of events: stream.bats.
# valgrind: WK-0[1245]|one event|many events|settings|scan is|trash lists|same key, same answer|metrics

load helper
load http

setup() {
    private_store
    export LIFEBOAT_CONFIG=$PWD/conf NO_PROXY='*' LIFEBOAT_MIRROR_LOG=$PWD/mirror.log LIFEBOAT_MIRROR_DIR=$PWD/mirror
    mkdir conf mirror
}

teardown() {
    local status=0
    end_cgis || status=1
    stop_background && return "$status"
}

event() { # ENTITY [TYPE] [ACTOR] [MORE MEMBERS]
    printf '{"entity_type":"note","entity_id":"%s","event_type":"%s","actor_id":"%s","payload":{"a":1}}\n' \
        "$1" "${2-NOTED}" "${3-u1}" | if [ $# -gt 3 ]; then jq -c ". + $4"; else cat; fi
}

# --- the documents' own examples ------------------------------------------------

@test "the recovery document's curl examples answer as it says" {
    serve
    curl -sS "$url/api/dr/export" | jq . >body
    has '.events == [] and .events_count == 0'
    curl -sS -X POST "$url/api/dr/restore" \
        -H "Content-Type: application/json" \
        -d '{"restore_session_id":"test-001","source_device_id":"test","events":[],"events_count":0}' >body
    has '.status == "COMPLETED" and .restore_session_id == "test-001" and .events_inserted == 0'
    curl -sS "$url/api/dr/health" >body
    has '.status == "healthy"'
}

example='{
    "restore_session_id": "019beaab-ac13-7000-8000-000000000001",
    "source_device_id": "iPad-Nurse-001",
    "source_device_name": "護理師 iPad",
    "events": [
        {
            "event_id": "019beaab-ac13-7001-8000-000000000001",
            "entity_type": "anesthesia_case",
            "entity_id": "ANES-2026-0001",
            "actor_id": "U001",
            "event_type": "VITAL_RECORDED",
            "ts_device": 1737907200000,
            "hlc": "019beaabac13.0001",
            "payload": {"sbp": 120, "dbp": 80, "hr": 72}
        }
    ],
    "events_count": 1
}'

@test "the restore and export of the document have its fields" {
    serve
    asks 200 POST /api/dr/restore -d "$example"
    has 'del(.attempt, .dry_run, .conflicts, .ahead_of_clock, .projections_failed, .store_conflicts, .digest) ==
        {status: "COMPLETED", restore_session_id: "019beaab-ac13-7000-8000-000000000001",
        events_received: 1, events_inserted: 1, events_already_present: 0, events_rejected: 0,
        projections_rebuilt: ["anesthesia_case"], message: "Restore completed successfully"}'
    has '.attempt == 1 and .conflicts == 0 and .ahead_of_clock == 0 and .projections_failed == [] and
        .store_conflicts == 0 and (.digest | test("^lifeboat1 1 [0-9a-f]{32}$"))'
    asks 200 GET /api/dr/export
    has '(keys == ["device_id", "events", "events_count", "export_id", "exported_at", "has_more", "next_cursor", "site_id"]) and
        .events_count == 1 and .site_id == "main" and (.device_id | length > 4) and .has_more == false and
        (.export_id | test("^[0-9a-f]{8}-[0-9a-f]{4}-7")) and .exported_at > 1737907200000 and
        (.next_cursor | test("^[0-9a-f]{16}:1:[0-9a-f]{8}$"))'
    has --argjson sent "$example" '.events[0] | contains($sent.events[0])'
    # Each event stands on a line of its own, as the log has it.
    [ "$(sed -n 2p body)" = "$(evstore-export --full)" ]
}

@test "health tells who this is, stats what there is" {
    serve
    asks 200 GET /api/health
    has '. == {status: "degraded", version, site_id: "main", device_id: null, store_id: null}'
    [ ! -e "$LIFEBOAT_DB" ]
    mkevents 50 | evstore-restore -q
    asks 200 GET /api/health
    has --arg id "$(sql "SELECT value FROM meta WHERE key = 'store_id'")" \
        '. == {status: "healthy", version, site_id: "main", device_id, store_id: $id} and (.device_id | length > 4)'
    device=$(jq -r .device_id body)
    asks 200 GET /api/dr/export
    has --arg device "$device" '.device_id == $device'
}

# --- walkaway ---------------------------------------------------------------------

@test "WK-01 the export of an empty box has no events" {
    serve
    asks 200 GET /api/dr/export
    has '.events_count == 0 and .events == [] and .has_more == false and .next_cursor == "start"'
    [ ! -e "$LIFEBOAT_DB" ]
    document s </dev/null | evstore-restore -q --document
    asks 200 GET /api/dr/export
    has '.events_count == 0 and .events == [] and .has_more == false'
}

@test "WK-02 the export of a filled box has all of it" {
    mkevents 200 | evstore-restore -q
    serve
    asks 200 GET /api/dr/export
    has '.events_count == 200 and (.events | length == 200)'
    sed -n '2,201s/,$//; 2,201p' body >lines
    evstore-export --full --order seq | cmp - lines
}

@test "WK-03 a restore of no events is COMPLETED" {
    serve
    document s </dev/null >doc
    asks 200 POST /api/dr/restore -d @doc
    has '.status == "COMPLETED" and .events_inserted == 0'
}

@test "WK-04 a restore of new events inserts them" {
    serve
    mkevents 120 >ev
    document s <ev >doc
    asks 200 POST /api/dr/restore -d @doc
    has '.status == "COMPLETED" and .events_inserted == 120 and .events_received == 120 and
        (.projections_rebuilt | sort) == ["case", "chart"]'
    LIFEBOAT_DB=$PWD/other.db evstore-restore -q ev
    has --arg digest "$(LIFEBOAT_DB=$PWD/other.db evstore-export --digest)" '.digest == $digest'
    [ "$(evstore-export --digest)" = "$(LIFEBOAT_DB=$PWD/other.db evstore-export --digest)" ]
    [ "$(evstore-export | sha256sum)" = "$(LIFEBOAT_DB=$PWD/other.db evstore-export | sha256sum)" ]
}

@test "WK-05 the same restore again finds everything there" {
    serve
    mkevents 40 | document s >doc
    asks 200 POST /api/dr/restore -d @doc
    digest=$(jq -r .digest body)
    for s in s other; do
        jq --arg s "$s" '.restore_session_id = $s' doc >again
        asks 200 POST /api/dr/restore -d @again
        has --arg digest "$digest" '.status == "COMPLETED" and .events_already_present == 40 and
            .events_inserted == 0 and .digest == $digest'
    done
}

@test "WK-06 while one restore is between its parts, another gets 409" {
    serve
    mkevents 20 >ev
    head -n 10 ev | document one '"more": true' >part
    document two <ev >other
    tail -n 10 ev | document one '"more": false' >rest
    asks 200 POST /api/dr/restore -d @part
    has '.status == "IN_PROGRESS" and .events_inserted == 10 and .projections_rebuilt == []'
    asks 200 GET /api/dr/health
    has '.restore_in_progress and .last_restore.restore_session_id == "one"'
    asks 409 POST /api/dr/restore -d @other
    problem /problems/restore-running 'session one of ipad is restoring in parts'
    has '.restore_session_id == "one"'
    [ "$(header Retry-After)" -ge 1 ]
    [ "$(evstore-export | wc -l)" -eq 10 ]
    asks 200 POST /api/dr/restore -d @rest
    has '.status == "COMPLETED" and .events_inserted == 20 and .attempt == 1'
    asks 200 GET /api/dr/health
    has '.restore_in_progress == false and .last_restore.status == "COMPLETED"'
    asks 200 POST /api/dr/restore -d @other
    has '.events_already_present == 20'
}

@test "WK-06 of two restores at once one gets 409" {
    serve
    document s </dev/null | evstore-restore -q --document
    mkevents 3000 >ev
    document one <ev >doc.1
    document two <ev >doc.2
    hold_gate
    for n in 1 2; do
        background "c$n" curl -sS -o "body.$n" -w '%{http_code}\n' -d "@doc.$n" "$url/api/dr/restore"
        racers[n]=$pid
    done
    wait_until 20 grep -qxs 409 c1.out c2.out
    ! grep -qx 200 c1.out c2.out || false
    release_gate
    wait "${racers[@]}"
    [ "$(sort c1.out c2.out | paste -sd' ')" = '200 409' ]
    jq_true -s 'map(.status) | contains(["COMPLETED"]) and contains([409])' body.1 body.2
    [ "$(evstore-export | wc -l)" -eq 3000 ]
}

# --- the licence ------------------------------------------------------------------

licence() { printf '%s' "$1" >conf/licence.json; }

# What TRIAL or BASIC_MODE leave alone, expired or not, and closed or not.
recovers_under() {
    for more in '' ',"expires_at":"2026-01-02T00:00:00Z"' \
        ',"expires_at":"2026-01-02T00:00:00Z","closed":["TRIAL","BASIC_MODE","FULL","EXPIRED"]'; do
        licence "{\"state\":\"$1\"$more}"
        asks 200 GET /api/dr/health
        has --arg state "$1" --argjson expired "$([ -z "$more" ] && echo false || echo true)" \
            '.licence.state == $state and .licence.expired == $expired and
            .licence.expires_at == (if $expired then 1767312000000 else null end) and
            .licence.writes_closed == $expired'
        "$2"
    done
}
exports() {
    asks 200 GET /api/dr/export
    has '.events_count == 5'
    asks 200 GET /api/dr/export/entity/case/E-1
    asks 200 GET /api/dr/stats
}
restores() {
    asks 200 POST /api/dr/restore -d @doc
    has '.status == "COMPLETED" and .events_received == 5'
    asks 200 GET /api/dr/restore/s/status
}

licensed() { # STATE exports|restores
    serve
    printf '%s\n' '{"entity_type":"case","entity_id":"E-1","event_type":"T","actor_id":"a","ts_device":1768000000000,"event_id":"one","payload":{}}' >ev
    mkevents 4 >>ev
    document s <ev >doc
    [ "$2" = restores ] || evstore-restore -q ev
    recovers_under "$1" "$2"
}

@test "L-DR-01 export under TRIAL" { licensed TRIAL exports; }
@test "L-DR-02 export under BASIC_MODE" { licensed BASIC_MODE exports; }
@test "L-DR-03 restore under TRIAL" { licensed TRIAL restores; }
@test "L-DR-04 restore under BASIC_MODE" { licensed BASIC_MODE restores; }

writes='/api/events /api/v1/scans /api/cloud/data_sync/settings/u1 /api/cloud/data_sync/history/u1
    /api/cloud/commands /api/cloud/commands/1/rating /api/nodes/n/restore'

closed() { # CODE of every ordinary write
    local path
    for path in $writes; do
        asks "$1" POST "$path" -d '{"n":1'
        [ "$1" != 403 ] || problem /problems/licence 'reading, export and restore go on'
    done
    ask DELETE /api/nodes/n/purge
    [ "$code" = "${2-$1}" ]
}

@test "an expired licence closes ordinary writes, and only those" {
    event n | evstore-append -q
    serve
    asks 200 GET /api/dr/health
    has '.licence == {state: "FULL", expires_at: null, expired: false, writes_closed: false}'
    licence '{"state":"TRIAL","expires_at":"2026-01-02T00:00:00Z"}'
    closed 403
    [ "$(evstore-export | wc -l)" -eq 1 ]
    for path in /api/events /api/trash /api/cloud/commands /api/cloud/data_sync/history/u1 /api/health /metrics; do
        asks 200 GET "$path"
    done
    licence '{"state":"TRIAL","expires_at":"2999-01-02T00:00:00Z"}'
    asks 201 POST /api/events -d "$(event n)"
    licence '{"state":"EXPIRED"}'
    asks 403 POST /api/events -d "$(event n)"
    problem /problems/licence 'EXPIRED'
}

@test "which states of the licence close writes can be said" {
    serve
    licence '{"state":"BASIC_MODE","closed":["BASIC_MODE","TRIAL"]}'
    asks 403 POST /api/events -d "$(event n)"
    problem /problems/licence BASIC_MODE
    [ ! -e "$LIFEBOAT_DB" ]
    licence '{"state":"TRIAL","closed":["BASIC_MODE"]}'
    asks 201 POST /api/events -d "$(event n)"
    licence '{"state":"TRIAL","closed":[],"expires_at":"2026-01-02T00:00:00Z"}'
    asks 201 POST /api/events -d "$(event n)"
    licence '{"state":"GOLD"}'
    asks 500 POST /api/events -d "$(event n)"
    [ "$(evstore-export | wc -l)" -eq 2 ]
}

@test "a clock in 1970 does not end a licence" {
    licence '{"state":"TRIAL","expires_at":"1970-01-01T00:00:01Z"}'
    LIFEBOAT_NOW=5000 serve
    asks 200 GET /api/dr/health
    has '.licence.expired == false'
    asks 201 POST /api/events -d "$(event n)"
    serve_end
    serve
    asks 403 POST /api/events -d "$(event n)"
}

# --- restore ----------------------------------------------------------------------

@test "a session in parts sums up; its status can be asked for" {
    serve
    mkevents 30 >ev
    asks 404 GET /api/dr/restore/s/status
    head -n 12 ev | document s '"more": true, "source_device_name": "Nurse 1"' >p1
    sed -n 8,20p ev | document s '"more": true' >p2
    tail -n 10 ev | document s >p3
    asks 200 POST /api/dr/restore -d @p1
    asks 200 GET /api/dr/restore/s/status
    has '.status == "IN_PROGRESS" and .events_received == 12 and .completed_at == null and .parts == 1 and
        .source_device_id == "ipad" and .source_device_name == "Nurse 1" and .restore_session_id == "s" and
        .events_inserted == 12 and .events_already_present == 0 and .events_rejected == 0 and .started_at != null'
    asks 200 POST /api/dr/restore -d @p2
    has '.status == "IN_PROGRESS" and .events_received == 25 and .events_inserted == 20 and .events_already_present == 5'
    asks 200 POST /api/dr/restore -d @p3
    has '.status == "COMPLETED" and .events_received == 35 and .events_inserted == 30 and
        .events_already_present == 5 and .attempt == 1 and (.projections_rebuilt | sort) == ["case", "chart"]'
    asks 200 GET /api/dr/restore/s/status
    has '.status == "COMPLETED" and .parts == 3 and .completed_at != null and .events_received == 35'
    asks 404 GET /api/dr/restore/other/status
    asks 404 GET '/api/dr/restore/a%2Fb/status'
}

@test "a session that is left for 10 minutes gives way, and may come again" {
    serve
    mkevents 20 >ev
    head -n 10 ev | document one '"more": true' >part
    tail -n 10 ev | document two >other
    document one <ev >whole
    asks 200 POST /api/dr/restore -d @part
    shift_lease() { flock "$LIFEBOAT_DB-gate" sqlite3 "$LIFEBOAT_DB" "UPDATE restore_log SET seen_boot_ms = seen_boot_ms - $1"; }
    shift_lease 570000
    asks 409 POST /api/dr/restore -d @other
    shift_lease 31000
    asks 200 GET /api/dr/health
    has '.restore_in_progress == false and .last_restore.status == "INTERRUPTED"'
    asks 200 GET /api/dr/restore/one/status
    has '.status == "INTERRUPTED"'
    asks 200 POST /api/dr/restore -d @other
    has '.status == "COMPLETED" and .events_inserted == 10'
    asks 200 POST /api/dr/restore -d @whole
    has '.status == "COMPLETED" and .attempt == 2 and .events_already_present == 20'
}

@test "a restore that is killed on the way is finished by the next one" {
    serve
    document s </dev/null | evstore-restore -q --document
    mkevents 500 >ev
    document one <ev >doc
    hold_gate
    background client curl -sS -o killed -w '%{http_code}\n' -d @doc "$url/api/dr/restore"
    client=$pid
    wait_until 20 is_locked restore
    restorer=$(fuser_of "$LIFEBOAT_DB-restore")
    kill -9 "$restorer"
    wait "$client"
    [ "$(cat client.out)" = 503 ]
    jq_true '.status == 503' killed
    release_gate
    asks 200 POST /api/dr/restore -d @doc
    has '.status == "COMPLETED" and .events_received == 500'
    [ "$(evstore-export | wc -l)" -eq 500 ]
}

# Who has this file open? (fuser(1) is not everywhere.)
fuser_of() { find /proc/[0-9]*/fd -lname "$1" 2>/dev/null | cut -d / -f 3 | head -n 1; }

post_text() { # PATH BODY-FILE [CONTENT-LENGTH]: the bytes of a request
    printf 'POST %s HTTP/1.1\r\nHost: localhost:%s\r\nContent-Type: application/json\r\nContent-Length: %s\r\n\r\n' \
        "$1" "$port" "${3-$(wc -c <"$2")}"
    cat "$2"
}

@test "what was sent whole is finished, though the client hangs up" {
    serve
    document s </dev/null | evstore-restore -q --document
    mkevents 200 | document one >doc
    event n >sent
    post_text /api/dr/restore doc >restore
    post_text /api/events sent >post
    hold_gate
    mkfifo go.1 go.2
    background r1 raw restore go.1
    background r2 raw post go.2
    wait_until 20 is_locked restore
    # The restore's own command has the settings of its front, and so is counted too.
    all_run() { [ "$(cgis | wc -l)" -eq 3 ]; }
    wait_until 20 all_run
    echo >go.1
    echo >go.2
    # The server has seen that nobody is there any more.
    unconnected() { [ "$(awk -v p="$(printf ':%04X' "$port")" 'index($2, p) && $4 != "0A" && $4 != "06"' /proc/net/tcp | wc -l)" -eq 0 ]; }
    wait_until 20 unconnected
    release_gate
    wait_until 20 no_cgi
    asks 200 GET /api/dr/restore/one/status
    has '.status == "COMPLETED" and .events_inserted == 200 and .attempt == 1'
    [ "$(evstore-export | wc -l)" -eq 201 ]
    jq_true -s 'map(select(.method == "POST") | [.route, .status]) | sort == [["/api/dr/restore", 200], ["/api/events", 201]]' logs/requests.log
}

@test "a body that is cut short does nothing" {
    serve
    mkevents 20 | document one >doc
    post_text /api/dr/restore doc $(($(wc -c <doc) + 1)) >request
    raw request >answer
    post_text /api/events doc 100000 >request
    raw request >answer
    asks 404 GET /api/dr/restore/one/status
    [ ! -e "$LIFEBOAT_DB" ]
    # Not even the front was asked, but for the question above and those of serve.
    jq_true -s 'map(select(.method == "POST")) == []' logs/requests.log
}

@test "a server that hands on less than it says is found out" {
    event n >sent
    size=$(wc -c <sent)
    cgi() { # SIZE, the body on stdin
        env -i "PATH=$PATH" "LIFEBOAT_DB=$LIFEBOAT_DB" "LIFEBOAT_ENV=$LIFEBOAT_ENV" "LIFEBOAT_KEY=$PWD/none.key" \
            GATEWAY_INTERFACE=CGI/1.1 REQUEST_METHOD=POST REQUEST_URI=/api/events "CONTENT_LENGTH=$1" \
            REMOTE_ADDR=127.0.0.1 HTTP_HOST=localhost "$bin/lifeboat.cgi" 2>cgi.log | head -n 1 | tr -d '\r'
    }
    [ "$(cgi $((size + 1)) <sent)" = 'Status: 400 Bad Request' ]
    # shellcheck disable=SC2002
    [ "$(cat sent | cgi $((size + 1)))" = 'Status: 400 Bad Request' ]
    [ ! -e "$LIFEBOAT_DB" ]
    [ "$(cgi "$size" <sent)" = 'Status: 201 Created' ]
    # shellcheck disable=SC2002
    [ "$(cat sent | cgi "$size")" = 'Status: 201 Created' ]
    [ "$(evstore-export | wc -l)" -eq 2 ]
}

@test "what is refused in a restore is told, and the rest taken: PARTIAL is 200" {
    serve
    mkevents 5 >ev
    printf '%s\n' '{"a":1}' >>ev
    sed -n 1p ev | jq -c '.payload.n = 99' >other
    cat other >>ev
    document s <ev >doc
    asks 200 POST /api/dr/restore -d @doc
    has '.status == "PARTIAL" and .events_received == 7 and .events_inserted == 5 and .events_rejected == 2 and
        .conflicts == 1 and .store_conflicts == 1'
    asks 200 GET /api/dr/restore/s/status
    has '.status == "PARTIAL" and .events_rejected == 2'
    asks 200 GET /api/dr/stats
    has '.conflicts == 1 and .conflicts_by_type == {case: 1} and .restores_by_status == {PARTIAL: 1}'
}

@test "a document that is none is 400, one that contradicts itself 422, and nothing is stored" {
    serve
    mkevents 3 | document s >doc
    for body in '{"events":[' '{"events":[]}x' '[]' 'x' "$(head -c -3 doc)" '{"events":{},"events_count":0}'; do
        asks 400 POST /api/dr/restore -d "$body"
    done
    for change in '.events_count = 4' '.events_count = -3' 'del(.events_count)' 'del(.events)' \
        '.restore_session_id = "a/b"'; do
        jq -c "$change" doc >bad
        asks 422 POST /api/dr/restore -d @bad
        has '.detail | startswith("events") or startswith("restore_session_id")'
    done
    asks 400 POST /api/dr/restore -d ''
    asks 400 POST '/api/dr/restore?session=1' -d @doc
    asks 415 POST /api/dr/restore -d @doc -H 'Content-Type: text/plain'
    [ "$(evstore-export | wc -l)" -eq 0 ]
}

# --- export -----------------------------------------------------------------------

@test "an export is cut to what was asked for" {
    mkevents 60 | evstore-restore -q
    serve
    for q in 'entity_type=case' 'since_ts=1768000000300' 'entity_type=chart&since_ts=1768000000300' 'since_ts=1768000000590'; do
        asks 200 GET "/api/dr/export?$q"
        has --arg type "$(sed -n 's/.*entity_type=\([a-z]*\).*/\1/p' <<<"$q")" \
            --argjson since "$(sed -n 's/.*since_ts=\([0-9]*\).*/\1/p' <<<"$q" | grep . || echo 0)" \
            --slurpfile all <(evstore-export --order seq) \
            '[.events[].event_id] == [$all[] | select(($type == "" or .entity_type == $type) and .ts_device > $since) | .event_id] and
            .events_count == (.events | length) and .has_more == false'
    done
    asks 200 GET '/api/dr/export?limit=10'
    has '.events_count == 10 and .has_more'
    asks 200 GET '/api/dr/export?limit=60'
    has '.events_count == 60 and .has_more == false'
    asks 200 GET '/api/dr/export?limit=0'
    has '.events_count == 0 and .has_more'
    asks 200 GET '/api/dr/export?entity_type=none'
    has '.events_count == 0'
    for q in limit= limit=-1 limit=x limit=1e3 'limit=%2B1' limit=1000001 since_ts=1.5 since_ts=-1 format=xml after=x x=1 'limit=1&limit=2'; do
        asks 400 GET "/api/dr/export?$q"
    done
}

@test "by its cursors an export is read whole, and once, while more comes in" {
    event first | evstore-append -q
    serve
    writer() { for n in {1..15}; do for m in {1..10}; do event "$n.$m"; done | evstore-append -q; done; }
    writer_ends() { ! kill -0 "$writer" 2>/dev/null; }
    background writer writer
    writer=$pid
    after=start more=true pages=0
    while [ "$more" = true ] || ! writer_ends; do
        asks 200 GET "/api/dr/export?limit=17&after=$after"
        has '.events_count == (.events | length) and .events_count <= 17'
        jq -r '.events[].event_id' body >>ids
        after=$(jq -r .next_cursor body) more=$(jq .has_more body)
        pages=$((pages + 1))
        [ "$pages" -lt 100 ]
    done
    asks 200 GET "/api/dr/export?limit=1000&after=$after"
    jq -r '.events[].event_id' body >>ids
    [ "$pages" -ge 9 ]
    evstore-export --order seq | jq -r .event_id | cmp - ids
}

@test "an export as lines is what the other commands read" {
    mkevents 25 | evstore-restore -q
    serve
    asks 200 GET '/api/dr/export?format=jsonl'
    header_is Content-Type application/jsonl
    evstore-export --full --seal --limit 10000 >want
    cmp want body
    evstore-restore -q -d copy.db --require-seal body
    [ "$(evstore-export --digest)" = "$(evstore-export -d copy.db --digest)" ]
    evstore-verify body
    cp body whole
    head -n 10 whole >body
    run_split evstore-restore -q -d other.db --require-seal body
    assert_status 65
    asks 200 GET /api/dr/export -H 'Accept: application/jsonl'
    cmp whole body
    asks 200 GET '/api/dr/export?format=json' -H 'Accept: application/jsonl'
    has '.events_count == 25'
    # In pages, until one is short.
    after=start count=10
    while [ "$count" -eq 10 ]; do
        asks 200 GET "/api/dr/export?format=jsonl&limit=10&after=$after"
        evstore-restore -q -d paged.db --require-seal body
        tail -n 1 body >seal
        after=$(jq -r .lifeboat_end.to seal) count=$(jq .lifeboat_end.count seal)
    done
    [ "$count" -eq 5 ]
    [ "$(evstore-export --digest)" = "$(evstore-export -d paged.db --digest)" ]
}

@test "an empty box has a sealed export too" {
    serve
    asks 200 GET '/api/dr/export?format=jsonl'
    evstore-restore -q -d copy.db --require-seal body
    [ "$(evstore-export -d copy.db | wc -l)" -eq 0 ]
    asks 200 GET '/api/dr/export?after=start'
    asks 404 GET /api/dr/export/entity/case/E-1
    [ ! -e "$LIFEBOAT_DB" ]
}

@test "a cursor of another store is 409, and says to begin anew" {
    mkevents 5 | evstore-restore -q
    mkevents 5 | evstore-restore -q -d other.db
    serve
    cursor=$(evstore-export -d other.db --seal | tail -n 1 | jq -r .lifeboat_end.to)
    for format in json jsonl; do
        asks 409 GET "/api/dr/export?format=$format&after=$cursor"
        problem /problems/cursor 'of another store'
    done
    own=$(evstore-export --seal | tail -n 1 | jq -r .lifeboat_end.to)
    asks 409 GET "/api/dr/export?after=${own%:*}:00000000"
    problem /problems/cursor
    asks 200 GET "/api/dr/export?after=$own"
    has '.events_count == 0'
    asks 200 GET '/api/dr/export?after=start'
    has '.events_count == 5'
}

@test "the export of one entity, whatever its id is made of" {
    serve
    for id in plain 'a/b' '../x' 'with space' '手術 é' 'per%cent' 'a+b' 'q?x=1' '#1'; do
        asks 201 POST /api/events -d "$(event "$id")"
        asks 200 GET "/api/dr/export/entity/note/$(jq -rn --arg id "$id" '$id | @uri')"
        has --arg id "$id" '.events_count == 1 and .events[0].entity_id == $id'
    done
    asks 200 GET '/api/dr/export/entity/note/a%2Fb?format=jsonl'
    evstore-restore -q -d copy.db --require-seal body
    for path in note/none other/plain note plain 'note/a/b' 'note/' '/plain'; do
        ask GET "/api/dr/export/entity/$path"
        [ "$code" = 404 ] || [ "$code:$path" = 400:/plain ]
    done
}

# --- events -----------------------------------------------------------------------

@test "one event: 201 with what was stored, 200 if it was there, 409 in conflict" {
    serve
    asks 201 POST /api/events -d "$(event n NOTED u1 '{"event_id":"evt_123"}')"
    has '.event_id == "evt_123" and .entity_id == "n" and .actor_id == "u1" and .payload == {a: 1} and .ts_device > 1768000000000 and (.hlc | test("^[0-9a-f]{12}\\."))'
    [ "$(cat body)" = "$(evstore-export)" ]
    cp body first
    asks 200 POST /api/events -d "$(event n NOTED u1 '{"event_id":"evt_123"}')"
    cmp first body
    asks 200 POST /api/events -d @first
    asks 409 POST /api/events -d "$(event n NOTED u1 '{"event_id":"evt_123","payload":{"a":2}}')"
    problem /problems/conflict 'event evt_123: its id is taken by other content'
    [ "$(evstore-export | wc -l) $(evstore-export --conflicts | wc -l)" = '1 1' ]
    for body in '{"a":1}' '"text"' 7 "$(event n NOTED u1 '{"actor_id":null}')" "$(event n NOTED u1 '{"event_id":"a b"}')"; do
        asks 422 POST /api/events -d "$body"
    done
    for body in '' '{' '{"a":1}}' "{'a':1}" '[1,]' NaN; do
        asks 400 POST /api/events -d "$body"
    done
    asks 415 POST /api/events -d "$(event n)" -H 'Content-Type: text/plain'
    [ "$(evstore-export | wc -l)" -eq 1 ]
}

many='.received == 5 and .stored == 2 and .already_present == 1 and .rejected == 2 and .conflicts == 1 and
    .event_ids == ["a", "a", "b"] and (.errors | map(.index)) == [1, 3] and
    (.errors[0].reason | contains("missing")) and (.errors[1].reason | contains("other content"))'

@test "many events, as lines, as an array, as a document, have one answer" {
    for n in 1 2; do event n NOTED u1 '{"event_id":"a"}'; done >lines
    sed -i '1a {"a":1}' lines
    event n NOTED u1 '{"event_id":"a","payload":7}' >>lines
    event n NOTED u1 '{"event_id":"b"}' >>lines
    serve
    for form in jsonl array document; do
        type=application/json
        case $form in
        jsonl) cp lines sent; type=application/jsonl ;;
        array) jq -s . lines >sent ;;
        document) jq -cs '{events: .}' lines >sent ;;
        esac
        rm -f "$LIFEBOAT_DB"*
        asks 200 POST /api/events -H "Content-Type: $type" --data-binary @sent
        has "$many"
        [ "$(evstore-export | jq -r .event_id | paste -sd' ')" = 'a b' ]
    done
    # A line that is no JSON does not stop the others; in an array nothing is left to trust.
    printf '%s\n' '{bad' '' "$(event n NOTED u1 '{"event_id":"c"}')" >sent
    asks 200 POST /api/events -H 'Content-Type: application/x-ndjson' --data-binary @sent
    has '.received == 2 and .stored == 1 and .errors[0].index == 0 and .event_ids == ["c"]'
    asks 400 POST /api/events -d "[$(event n NOTED u1 '{"event_id":"d"}'),"
    asks 200 POST /api/events -d '[]'
    has '.received == 0'
    # An event may have a member of that name.
    asks 201 POST /api/events -d "$(event n NOTED u1 '{"event_id":"e","events":[1]}')"
    has '.events == [1]'
    [ "$(evstore-export | jq -r .event_id | paste -sd' ')" = 'a b c e' ]
}

@test "many events: 1500 at once, of which the answer names no ids" {
    serve
    mkevents 1500 >ev
    asks 200 POST /api/events -H 'Content-Type: application/jsonl' --data-binary @ev
    has '.received == 1500 and .stored == 1500 and (has("event_ids") | not)'
    jq -s . ev >array
    asks 200 POST /api/events -d @array
    has '.already_present == 1500 and .stored == 0'
}

@test "events are found by what they have, newest first if asked" {
    mkevents 90 | evstore-restore -q
    evstore-export --order seq >all
    serve
    for f in entity_type=case event_type=INTRAOP actor_id=nurse-2 correlation_id=c-3 'entity_type=case&entity_id=E-1' \
        'entity_type=case&actor_id=nurse-1&event_type=VITALS_ADDED'; do
        asks 200 GET "/api/events?limit=90&$f"
        has --slurpfile all all --arg f "$f" '($f | split("&") | map(split("=") | {(.[0]): .[1]}) | add) as $want |
            [.events[].event_id] == [$all[] | select(contains($want)) | .event_id] and (.events | length > 0)'
    done
    asks 200 GET '/api/events?since_ts=1768000000100&until_ts=1768000000300&limit=90'
    has --slurpfile all all '[.events[].event_id] == [$all[] | select(.ts_device > 1768000000100 and .ts_device <= 1768000000300) | .event_id]'
    asks 200 GET '/api/events?order=desc&limit=5'
    has --slurpfile all all '[.events[].event_id] == ([$all[].event_id] | reverse | .[:5]) and .has_more'
    asks 200 GET '/api/events?order=asc&limit=5'
    has --slurpfile all all '[.events[].event_id] == [$all[:5][].event_id] and .has_more'
    asks 200 GET "/api/events?limit=1000&after=$(jq -r .next_cursor body)"
    has --slurpfile all all '[.events[].event_id] == [$all[5:][].event_id]'
    asks 200 GET /api/events
    has '.events_count == 90 and .events[0].seq == 1 and (.events[0] | has("ts_server"))'
    for q in order=up entity_id=E-1 'order=desc&after=start' limit=x since_ts=x 'entity_type=a%2Fb&entity_id=1' topics=x; do
        asks 400 GET "/api/events?$q"
    done
}

@test "a user sends and sees what he did himself; a device sees its own" {
    make_key
    serve
    as u1 user
    asks 201 POST /api/events -d "$(event n NOTED u1)"
    asks 403 POST /api/events -d "$(event n NOTED u2)"
    asks 200 POST /api/events -d "[$(event n NOTED u2),$(event n NOTED u1)]"
    has '.stored == 1 and .rejected == 1 and .errors == [{index: 0, reason: "actor_id: is not yours"}]'
    as d1 device
    asks 201 POST /api/events -d "$(event n NOTED u2)"
    asks 201 POST /api/events -d "$(event n NOTED d1)"
    for who in 'u1 user' 'd1 device'; do
        # shellcheck disable=SC2086
        as $who
        asks 200 GET /api/events
        has --arg who "${who% *}" '.events_count > 0 and all(.events[]; .actor_id == $who)'
        asks 200 GET "/api/events?actor_id=${who% *}&order=desc"
        has --arg who "${who% *}" '.events_count > 0 and all(.events[]; .actor_id == $who)'
        asks 403 GET '/api/events?actor_id=u2'
        asks 403 HEAD '/api/events/stream?topics=jobs'
    done
    for who in 'x dr' 'x admin'; do
        # shellcheck disable=SC2086
        as $who
        asks 200 GET /api/events
        has '.events_count == 4'
        asks 200 GET '/api/events?actor_id=u2'
        has '.events_count == 1'
    done
}

@test "what has a resource of its own does not come in as a bare event" {
    make_key
    serve
    as u2 user
    asks 200 POST /api/cloud/data_sync/settings/u2 -d '{"settings":{"theme":"dark"}}'
    asks 201 POST /api/cloud/commands -d '{"name":"go","content":1}'
    id=$(jq .command_id body)
    asks 201 POST /api/events -d "$(event mine NOTED u2)"
    asks 201 POST /api/events -d "$(event mine NODE_SOFT_DELETED u2)"
    evstore-export >before
    for who in 'u1 user' 'd1 device'; do
        # shellcheck disable=SC2086
        as $who
        for e in "$(event u2 SETTINGS_SYNCED u1 '{"entity_type":"user_settings","payload":{"settings":{"theme":"light"}}}')" \
            "$(event u2 COMMAND_EXECUTED u1 '{"entity_type":"command_history","payload":{"command_id":"c"}}')" \
            "$(event "$id" COMMAND_SHARED u1 '{"entity_type":"advanced_command","payload":{"name":"go","content":"rm"}}')"; do
            asks 403 POST /api/events -d "$e"
            asks 200 POST /api/events -d "[$e]"
            has '.rejected == 1 and .stored == 0'
        done
    done
    as u1 user
    for type in NODE_RESTORED node.restored NODE_PERMANENTLY_DELETED node.purged; do
        asks 403 POST /api/events -d "$(event mine $type u1)"
    done
    evstore-export | cmp - before
}

# --- scans ------------------------------------------------------------------------

@test "a scan is an event, a place, and a line of the mirror's log" {
    serve
    asks 200 POST /api/v1/scans -H 'X-Correlation-ID: scan-1' \
        -d '{"station":"A","location":"SHELF-03","lot":"LOT-123","device_id":"HANDHELD-01"}'
    has '.status == "ok" and .entity_id == "LOT-123" and keys == ["entity_id", "event_id", "status"]'
    evstore-export >event
    jq_true --slurpfile answer body '.event_id == $answer[0].event_id and .entity_type == "scan" and
        .event_type == "SCAN_RECORDED" and .entity_id == "LOT-123" and .actor_id == "HANDHELD-01" and
        .device_id == "HANDHELD-01" and .correlation_id == "scan-1" and
        .payload == {station: "A", location: "SHELF-03", lot: "LOT-123", device_id: "HANDHELD-01"}' event
    jq_true '(keys == ["device_id", "payload", "response_ms", "status", "timestamp"]) and .status == 200 and
        .device_id == "HANDHELD-01" and .payload.location == "SHELF-03" and .response_ms >= 0 and
        (.timestamp | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$"))' mirror.log
    # The payload is the one that was sent, member by member in its order.
    grep -qF '"payload":{"station":"A","location":"SHELF-03","lot":"LOT-123","device_id":"HANDHELD-01"},"response_ms":' mirror.log
}

@test "a scan belongs to its tag and order, or lot, and the last one says where it is" {
    serve
    ids() { asks 200 POST /api/v1/scans -d "$1" && [ "$(jq -r .entity_id body)" = "$2" ]; }
    ids '{"tag_id":"T1","order_id":"O1","lot":"L","location":"A"}' T1:O1
    ids '{"tag_id":"T1","order_id":"O1","location":"B"}' T1:O1
    ids '{"tag_id":"T1","lot":"L","location":"A"}' T1:L
    ids '{"lot":"L","location":"A"}' L
    ids '{"tag_id":7,"order_id":12345678901234567890,"location":"A"}' 7:12345678901234567890
    ids '{"tag_id":"a:b","order_id":"c%d","location":"A"}' a%3Ab:c%25d
    ids '{"tag_id":"T2","order_id":null,"lot":null,"location":"A"}' T2
    evstore-project --list scan >places
    jq_true -s 'length == 6 and (map(select(.entity_id == "T1:O1")) | .[0].state.location == "B")' places
    for body in '{"station":"A"}' '{"tag_id":"'"$(printf '%01025d' 0)"'"}'; do
        ask POST /api/v1/scans -d "$body"
        [ "$code" = 422 ] || [ "$code" = 400 ]
    done
    for body in '[]' '{"tag_id":{}}' '{"tag_id":""}' '{' '{"tag_id":"a","tag_id":"b"}'; do
        asks 400 POST /api/v1/scans -d "$body"
    done
    [ "$(evstore-export | wc -l) $(wc -l <mirror.log)" = '7 7' ]
}

@test "a device's scans are its own, whatever it says" {
    make_key
    serve
    as HANDHELD-07 device
    asks 200 POST /api/v1/scans -d '{"tag_id":"T","device_id":"HANDHELD-01"}'
    [ "$(evstore-export | jq -r '.actor_id + .device_id')" = HANDHELD-07HANDHELD-07 ]
    [ "$(jq -r .device_id mirror.log)" = HANDHELD-07 ]
}

@test "a scan is kept though its log cannot be written" {
    export LIFEBOAT_MIRROR_LOG=$PWD/none/mirror.log
    serve
    asks 200 POST /api/v1/scans -d '{"tag_id":"T"}'
    grep -qF "unable to open $LIFEBOAT_MIRROR_LOG" logs/cgi.log
    serve_end
    export LIFEBOAT_MIRROR_LOG=/dev/full
    serve
    asks 200 POST /api/v1/scans -d '{"tag_id":"T"}'
    grep -qF 'unable to write to /dev/full' logs/cgi.log
    [ "$(evstore-export | wc -l)" -eq 2 ]
}

@test "what the other server needed is in the log where the sender says it" {
    serve
    for ms in 110 0 -1 soon 1e3 12345678901 ''; do
        asks 200 POST /api/v1/scans -d '{"tag_id":"T"}' -H "X-Primary-Response-Ms: $ms"
    done
    jq_true -s 'map(.primary_ms) == [110, 0, null, null, null, null, null]' mirror.log
    jq_true -s '.[0] | keys == ["device_id", "payload", "primary_ms", "response_ms", "status", "timestamp"]' mirror.log
    jq_true -s '.[2] | has("primary_ms") | not' mirror.log
}

@test "20 scans at once are 20 lines" {
    document s </dev/null | evstore-restore -q --document
    serve
    hold_gate
    one_scan() { curl -sS -o "scan.$1" -d "{\"tag_id\":\"T$1\",\"text\":\"$(printf '%03000d' "$1")\"}" "$url/api/v1/scans"; }
    clients=()
    for n in {1..20}; do
        background "scan$n" one_scan "$n"
        clients+=("$pid")
    done
    all_wait() { [ "$(cgis | wc -l)" -eq 20 ]; }
    wait_until 30 all_wait
    release_gate
    wait "${clients[@]}"
    jq_true -s 'length == 20 and all(.[]; .status == "ok")' scan.{1..20}
    jq_true -s '(map(.payload.tag_id) | unique | length == 20) and
        all(.[].payload; "T\(.text | tonumber)" == .tag_id and (.text | length == 3000))' mirror.log
    [ "$(wc -l <mirror.log)" -eq 20 ]
    [ "$(evstore-export | wc -l)" -eq 20 ]
}

# --- cloud ------------------------------------------------------------------------

@test "settings are replaced, and come back as they were sent" {
    serve
    asks 404 GET /api/cloud/data_sync/settings/user-123
    [ ! -e "$LIFEBOAT_DB" ]
    asks 200 POST /api/cloud/data_sync/settings/user-123 -d '{
  "settings": {
    "theme": "dark",
    "language": "zh-TW",
    "notification_enabled": true
  },
  "edge_id": "edge-001"
}'
    has '.success and .message == "Settings synced" and (keys == ["message", "success", "updated_at"]) and
        (.updated_at | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"))'
    at=$(jq -r .updated_at body)
    asks 200 GET /api/cloud/data_sync/settings/user-123
    has --arg at "$at" '. == {success: true, data: {user_id: "user-123", edge_id: "edge-001", updated_at: $at,
        settings: {theme: "dark", language: "zh-TW", notification_enabled: true}}}'
    asks 200 POST /api/cloud/data_sync/settings/user-123 -d '{"settings":{"n":1.50,"big":12345678901234567890}}'
    asks 200 GET /api/cloud/data_sync/settings/user-123
    grep -qF '"settings":{"n":1.50,"big":12345678901234567890},"edge_id":null' body
    asks 404 GET /api/cloud/data_sync/settings/user-124
    for body in '{}' '{"settings":[]}' '{"settings":null}' '{"settings":{},"edge_id":7}' '[]' '{"settings":{}' ''; do
        asks 400 POST /api/cloud/data_sync/settings/user-123 -d "$body"
    done
    [ "$(evstore-export | jq -c '[.entity_type, .entity_id, .event_type]' | uniq -c | tr -s ' ')" = \
        ' 2 ["user_settings","user-123","SETTINGS_SYNCED"]' ]
}

@test "history is kept once per command, and read in pages" {
    serve
    asks 200 GET '/api/cloud/data_sync/history/user-123?limit=100&offset=0'
    has '. == {success: true, data: {records: [], total: 0}}'
    records='{
  "records": [
    {
      "command_id": "cmd-001",
      "trace_id": "trace-abc",
      "robot_id": "robot-1",
      "command_type": "robot.action",
      "status": "succeeded",
      "created_at": "2026-01-01T00:00:00Z"
    }
  ],
  "edge_id": "edge-001"
}'
    asks 200 POST /api/cloud/data_sync/history/user-123 -d "$records"
    has '. == {success: true, synced_count: 1, total: 1}'
    asks 200 POST /api/cloud/data_sync/history/user-123 -d "$records"
    has '. == {success: true, synced_count: 0, total: 1}'
    asks 200 GET '/api/cloud/data_sync/history/user-123?limit=100&offset=0'
    has --argjson sent "$records" '. == {success: true, data: {records: $sent.records, total: 1}}'
    evstore-export >event
    jq_true '.correlation_id == "trace-abc" and .device_id == "edge-001" and .ts_device == 1767225600000' event
    jq -nc '{records: [range(1; 42) | {command_id: "cmd-\(.)", n: .}], edge_id: "edge-001"}' >many
    asks 200 POST /api/cloud/data_sync/history/user-123 -d @many
    has '.synced_count == 41 and .total == 42'
    jq -nc '{records: [{command_id: "cmd-1"}, {command_id: "new"}, {command_id: "new"}]}' >again
    asks 200 POST /api/cloud/data_sync/history/user-123 -d @again
    has '.synced_count == 1 and .total == 43'
    for offset in 0 10 20 30 40; do
        asks 200 GET "/api/cloud/data_sync/history/user-123?limit=10&offset=$offset"
        has '.data.total == 43'
        jq -r '.data.records[].command_id' body >>seen
    done
    [ "$(wc -l <seen) $(sort -u seen | wc -l)" = '43 43' ]
    # Another user's command of the same id is another one.
    asks 200 POST /api/cloud/data_sync/history/user-124 -d "$records"
    has '.synced_count == 1 and .total == 1'
    # One bad record, and none is taken.
    for record in '{}' '{"command_id":[]}' 7; do
        asks 422 POST /api/cloud/data_sync/history/user-124 -d "{\"records\":[{\"command_id\":\"x\"},$record]}"
    done
    for body in '{}' '{"records":{}}' '{"records":[' ; do
        asks 400 POST /api/cloud/data_sync/history/user-124 -d "$body"
    done
    [ "$(evstore-export | wc -l)" -eq 44 ]
}

@test "commands are shared, found by category, rating and number, and fetched whole" {
    serve
    asks 200 GET /api/cloud/commands
    has '. == {success: true, data: {commands: [], total: 0}}'
    share() { asks "${2-201}" POST /api/cloud/commands -d "$1" && jq .command_id body; }
    first=$(share '{"name":"round","category":"patrol","description":"a round","content":{"steps":[1,2]},"rating":4.5,"edge_id":"edge-001"}')
    has '.success and (.command_id | type == "number") and (keys == ["command_id", "success", "updated_at"])'
    second=$(share '{"name":"dock","category":"patrol","content":"go home","rating":3}')
    third=$(share '{"name":"clean","category":"home","content":[]}')
    asks 200 GET '/api/cloud/commands?category=patrol&min_rating=4.0&limit=20'
    has --argjson id "$first" '.data.total == 1 and (.data.commands[0] | del(.updated_at)) ==
        {command_id: $id, name: "round", category: "patrol", description: "a round", rating: 4.5, ratings: 0, author: "local"}'
    asks 200 GET /api/cloud/commands
    has --argjson ids "[$first,$second,$third]" '.data.total == 3 and [.data.commands[].command_id] == $ids and
        .data.commands[2].rating == null'
    asks 200 GET '/api/cloud/commands?limit=1&offset=1'
    has --argjson id "$second" '.data.total == 3 and [.data.commands[].command_id] == [$id]'
    asks 200 GET "/api/cloud/commands/$first"
    has --argjson id "$first" '.success and .data.command_id == $id and .data.content == {steps: [1, 2]} and .data.edge_id == "edge-001"'
    # The same again replaces it; its ratings stay.
    asks 200 POST "/api/cloud/commands/$first/rating" -d '{"rating":2}'
    has '. == {success: true, rating: 2, ratings: 1}'
    asks 200 POST "/api/cloud/commands/$first/rating" -d '{"rating":1}'
    has '.rating == 1 and .ratings == 1'
    [ "$(share '{"name":"round","category":"home","content":"new"}')" = "$first" ]
    asks 200 GET "/api/cloud/commands/$first"
    has '.data.content == "new" and .data.category == "home" and .data.rating == 1'
    [ "$(share '{"name":"round","local_id":7,"content":"of another id"}')" != "$first" ]
    for rating in 0.9 5.1 0 1e999 -1; do
        asks 422 POST "/api/cloud/commands/$first/rating" -d "{\"rating\":$rating}"
        asks 422 POST /api/cloud/commands -d "{\"name\":\"n\",\"content\":1,\"rating\":$rating}"
    done
    for body in '{}' '{"name":"n"}' '{"content":1}' '{"name":7,"content":1}' '{"name":"n","content":1,"rating":"5"}'; do
        asks 400 POST /api/cloud/commands -d "$body"
    done
    for id in 1 x -1 "0$first" "$first "; do
        asks 404 GET "/api/cloud/commands/$(jq -rn --arg id "$id" '$id | @uri')"
    done
    asks 404 POST /api/cloud/commands/1/rating -d '{"rating":3}'
    asks 400 GET '/api/cloud/commands?min_rating=x'
}

@test "each user has one say in a command's rating" {
    make_key
    serve
    as u1 user
    asks 201 POST /api/cloud/commands -d '{"name":"round","content":1,"rating":5}'
    id=$(jq .command_id body)
    for n in 2 3 4; do
        as "u$n" user
        asks 200 POST "/api/cloud/commands/$id/rating" -d "{\"rating\":$n}"
    done
    has '. == {success: true, rating: 3, ratings: 3}'
    asks 201 POST /api/cloud/commands -d '{"name":"round","content":2}'
    [ "$(jq .command_id body)" != "$id" ]
    asks 200 GET "/api/cloud/commands/$id"
    has '.data.author == "u1" and .data.content == 1'
}

@test "what came from elsewhere as a command, and is none, does not spoil the list" {
    serve
    asks 201 POST /api/cloud/commands -d '{"name":"good","content":1,"rating":4}'
    id=$(jq .command_id body)
    n=0
    for change in '.entity_id = "x,1"' '.entity_id = "01"' '.payload = 7' '.payload.name = null' 'del(.payload.content)' \
        '.payload.rating = "4,\"x\":1"' '.payload.rating = 1e999' '.payload.category = 7'; do
        n=$((n + 1))
        event "$n" COMMAND_SHARED u1 '{"entity_type":"advanced_command","ts_device":1768000000000,"payload":{"name":"n","content":1}}' |
            jq -c --arg id "odd$n" ".event_id = \$id | $change" | sed 's/1.797[0-9]*e+308/1e999/'
    done >odd
    event "$id" COMMAND_RATED u1 '{"entity_type":"advanced_command","ts_device":1768000000000,"event_id":"odd","payload":{"rating":"9"}}' >>odd
    evstore-restore -q odd
    asks 200 GET '/api/cloud/commands?limit=100'
    has --argjson id "$id" '[.data.commands[] | select(.rating != null) | .command_id] == [$id] and (.data.commands | length == 4)'
    asks 200 GET "/api/cloud/commands/$id"
    has '.data.rating == 4 and .data.ratings == 0'
    asks 404 GET /api/cloud/commands/5
}

# --- the trash ----------------------------------------------------------------------

@test "the trash lists what was thrown away, and gives it back" {
    serve
    asks 200 GET /api/trash
    has '. == {items: [], total: 0}'
    asks 404 DELETE /api/nodes/n1/purge
    for n in n1 n2 'n/3 é'; do
        asks 201 POST /api/events -d "$(event "$n")"
        [ "$n" = n2 ] || asks 201 POST /api/events -d "$(event "$n" NODE_SOFT_DELETED u7 '{"payload":{}}')"
    done
    asks 200 GET /api/trash
    has '.total == 2 and ([.items[].entity_id] | sort) == ["n/3 é", "n1"] and
        all(.items[]; .entity_type == "note" and .state == {a: 1} and .deleted_by == "u7" and .deleted_at > 1768000000000)'
    asks 200 GET '/api/trash?limit=1&offset=1'
    has '.total == 2 and (.items | length == 1)'
    asks 409 POST /api/nodes/n2/restore -d ''
    asks 409 DELETE /api/nodes/n2/purge
    asks 200 POST '/api/nodes/n%2F3%20%C3%A9/restore' -d ''
    has '.status == "restored" and .entity_type == "note" and .entity_id == "n/3 é" and (.event_id | length == 36)'
    evstore-export | tail -n 1 >event
    jq_true --slurpfile answer body '.event_id == $answer[0].event_id and .event_type == "NODE_RESTORED"' event
    asks 409 POST '/api/nodes/n%2F3%20%C3%A9/restore' -d ''
    asks 200 GET /api/trash
    has '[.items[].entity_id] == ["n1"]'
    asks 404 POST /api/nodes/none/restore -d ''
    asks 404 POST '/api/nodes/n1/restore?entity_type=other' -d ''
    asks 200 POST '/api/nodes/n1/restore?entity_type=note' -d '{}'
}

@test "a purge ends the projection, and not the history" {
    serve
    asks 201 POST /api/events -d "$(event n1)"
    asks 201 POST /api/events -d "$(event n1 NODE_SOFT_DELETED)"
    asks 200 DELETE /api/nodes/n1/purge
    has '.status == "purged" and .entity_id == "n1"'
    asks 200 GET /api/trash
    has '.total == 0'
    asks 404 DELETE /api/nodes/n1/purge
    asks 404 POST /api/nodes/n1/restore -d ''
    asks 200 GET /api/dr/export/entity/note/n1
    has '[.events[].event_type] == ["NOTED", "NODE_SOFT_DELETED", "NODE_PERMANENTLY_DELETED"]'
    # An id that two types have.
    asks 201 POST /api/events -d "$(event n2)"
    asks 201 POST /api/events -d "$(event n2 NODE_SOFT_DELETED u1 '{"entity_type":"chart"}')"
    asks 409 DELETE /api/nodes/n2/purge
    problem about:blank entity_type
    asks 200 DELETE '/api/nodes/n2/purge?entity_type=chart'
    has '.entity_type == "chart"'
}

@test "a user sees and empties a trash of his own" {
    make_key
    serve
    for u in u1 u2; do
        as $u user
        asks 201 POST /api/events -d "$(event "of-$u" NOTED $u)"
        asks 201 POST /api/events -d "$(event "of-$u" NODE_SOFT_DELETED $u)"
    done
    asks 200 GET /api/trash
    has '.total == 1 and [.items[].entity_id] == ["of-u2"]'
    asks 403 POST /api/nodes/of-u1/restore -d ''
    asks 403 DELETE /api/nodes/of-u1/purge
    as boss admin
    asks 200 GET /api/trash
    has '.total == 2'
    as u1 user
    asks 200 POST /api/nodes/of-u1/restore -d ''
    as boss admin
    asks 200 DELETE /api/nodes/of-u2/purge
    [ "$(evstore-export | jq -r 'select(.event_type | test("RESTORED|PERMANENTLY")) | .actor_id' | paste -sd' ')" = 'u1 boss' ]
}

# --- idempotency ------------------------------------------------------------------

again() { # METHOD PATH KEY [CURL OPTIONS]: asked twice, it is done once
    asks "$1" "$2" "$3" -H "Idempotency-Key: $4" "${@:5}"
    header_is Idempotent-Replayed ''
    cp body first
    evstore-export >before
    asks "$1" "$2" "$3" -H "X-Idempotency-Key: $4" "${@:5}"
    header_is Idempotent-Replayed true
    cmp first body
    evstore-export | cmp - before
}

@test "the same key, same answer: the document's example" {
    serve
    for n in 1 2; do
        asks 201 POST /api/events -H "X-Idempotency-Key: user123_create_study_20260112_143000" \
            -H "Content-Type: application/json" \
            -d '{"entity_type":"study","entity_id":"study_abc","event_type":"STUDY_CREATED","actor_id":"user123","payload":{"title": "My Study"}}'
        cp body "answer.$n"
    done
    header_is Idempotent-Replayed true
    cmp answer.1 answer.2
    [ "$(evstore-export | wc -l)" -eq 1 ]
    asks 422 POST /api/events -H 'Idempotency-Key: user123_create_study_20260112_143000' -d "$(event n)"
    problem /problems/key-reused
    [ "$(evstore-export | wc -l)" -eq 1 ]
    jq_true -s 'map(.replayed) == [null, null, true, null] and map(.status)[1:] == [201, 201, 422]' logs/requests.log
}

@test "L-DR: a licence file that is damaged closes no recovery, and is told" {
    mkdir config
    export LIFEBOAT_CONFIG=$PWD/config
    echo '{"state":"GOLD"}' >config/licence.json
    serve
    asks 200 POST /api/dr/restore -H 'Idempotency-Key: k' \
        -d '{"restore_session_id":"s","source_device_id":"d","events":[],"events_count":0}'
    asks 200 GET /api/dr/export
    asks 200 GET /api/dr/health
    jq_true '.status == "degraded" and (.problems[0] | contains("licence.json:1: state"))' body
    asks 500 POST /api/events -d "$(event n)"
}

# Noted, which takes some seconds: a file that has just changed could change again.
noted() { ask GET /api/health && [ -s "$LIFEBOAT_DB-identity" ]; }
id_of() { sqlite3 "$1" "SELECT value FROM meta WHERE key = 'store_id'"; }
is_told() { # STORE: it is this one
    asks 200 GET /api/health
    jq_true --arg id "$(id_of "$1")" '.store_id == $id and .status == "healthy"' body
}

@test "who is there is known without opening the store, and never of another one" {
    evstore-append -q <<<"$(event n)"
    serve
    is_told "$LIFEBOAT_DB"
    # Not of a file that could change again without stat telling.
    [ -e "$LIFEBOAT_DB-identity" ] && [ $(($(date +%s) - $(stat -c %Y "$LIFEBOAT_DB"))) -lt 4 ] && return 1
    wait_until 15 noted
    is_told "$LIFEBOAT_DB"
    # What is noted is what is told: the store is not asked.
    sed -i 's/[^ ]*$/from-the-note/' "$LIFEBOAT_DB-identity"
    asks 200 GET /api/health
    jq_true '.device_id == "from-the-note"' body
    GATEWAY_INTERFACE=CGI/1.1 REQUEST_METHOD=GET REQUEST_URI=/api/health REMOTE_ADDR=127.0.0.1 \
        HTTP_HOST=localhost LIFEBOAT_KEY=$PWD/no.key LIFEBOAT_DEVICE=renamed "$bin/lifeboat.cgi" 2>log >answer
    tail -n 1 answer | jq_true '.device_id == "renamed"'
    # Another store in its place, by cp over it and by mv.
    for how in cp mv; do
        evstore-append -q -d "other-$how" <<<"$(event n)"
        "$how" "other-$how" "$LIFEBOAT_DB"
        is_told "$LIFEBOAT_DB"
        jq_true '.device_id != "from-the-note"' body
    done
    wait_until 15 eval 'noted && ! grep -q from-the-note "$LIFEBOAT_DB-identity"'
    for text in '' damaged "$(cut -d ' ' -f 1-7 "$LIFEBOAT_DB-identity")"; do
        printf '%s' "$text" >"$LIFEBOAT_DB-identity"
        is_told "$LIFEBOAT_DB"
    done
    rm "$LIFEBOAT_DB"
    asks 200 GET /api/health
    jq_true '.status == "degraded" and .store_id == null' body
}

@test "other parameters under a key are another request" {
    serve
    for type in shelf room; do
        asks 201 POST /api/events -d "{\"entity_type\":\"$type\",\"entity_id\":\"n\",\"actor_id\":\"u\",\"event_type\":\"NODE_SOFT_DELETED\",\"payload\":{}}"
    done
    asks 200 POST '/api/nodes/n/restore?entity_type=shelf' -H 'Idempotency-Key: k' -d ''
    asks 200 POST '/api/nodes/n/restore?entity_type=shelf' -H 'Idempotency-Key: k' -d ''
    header_is Idempotent-Replayed true
    asks 422 POST '/api/nodes/n/restore?entity_type=room' -H 'Idempotency-Key: k' -d ''
    asks 200 GET /api/trash
    jq_true '[.items[].entity_type] == ["room"]' body
}

@test "every writing method has its answer again under its key" {
    serve
    again 200 POST /api/v1/scans k1 -d '{"tag_id":"T"}'
    [ "$(wc -l <mirror.log)" -eq 1 ]
    again 200 POST /api/cloud/data_sync/settings/u1 k1 -d '{"settings":{}}'
    again 200 POST /api/cloud/data_sync/history/u1 k1 -d '{"records":[{"command_id":1}]}'
    again 201 POST /api/cloud/commands k1 -d '{"name":"n","content":1}'
    again 200 POST /api/events k2 -d "[$(event a),$(event b)]"
    again 200 POST /api/events k3 -H 'Content-Type: application/jsonl' --data-binary "$(event a)"
    mkevents 5 | document s >doc
    again 200 POST /api/dr/restore k1 -d @doc
    asks 201 POST /api/events -d "$(event a NODE_SOFT_DELETED)"
    again 200 POST /api/nodes/a/restore k1 -d ''
    asks 201 POST /api/events -d "$(event a NODE_SOFT_DELETED)"
    again 200 DELETE /api/nodes/a/purge k1
    # One method and path's key is not another's.
    asks 201 POST /api/events -H 'Idempotency-Key: k1' -d "$(event c)"
    header_is Idempotent-Replayed ''
}

@test "a key is in flight while its request is answered: 409" {
    event first | evstore-append -q
    serve
    hold_gate
    background client curl -sS -o first -w '%{http_code}\n' -H 'Idempotency-Key: k' -d "$(event n)" "$url/api/events"
    client=$pid
    wait_until 20 is_locked run
    asks 409 POST /api/events -H 'Idempotency-Key: k' -d "$(event n)"
    problem /problems/in-flight
    [ "$(header Retry-After)" -ge 1 ]
    release_gate
    wait "$client"
    [ "$(cat client.out)" = 201 ]
    asks 201 POST /api/events -H 'Idempotency-Key: k' -d "$(event n)"
    header_is Idempotent-Replayed true
    cmp first body
}

@test "another principal with the same key is another request" {
    make_key
    serve
    for who in u1 u2; do
        as $who user
        again 201 POST /api/events k -d "$(event n NOTED $who)"
    done
    [ "$(evstore-export | jq -r .event_id | sort -u | wc -l)" -eq 2 ]
    # Who may no longer do it does not see what was answered then either.
    as nobody
    asks 401 POST /api/events -H 'Idempotency-Key: k' -d "$(event n NOTED u1)"
    as u1 dr
    asks 403 POST /api/events -H 'Idempotency-Key: k' -d "$(event n NOTED u1)"
}

@test "what failed is not recorded: the key may be used again" {
    serve
    asks 422 POST /api/events -H 'Idempotency-Key: k' -d '{"a":1}'
    asks 400 POST /api/events -H 'Idempotency-Key: k' -d '{'
    asks 404 DELETE /api/nodes/n/purge -H 'Idempotency-Key: k'
    asks 201 POST /api/events -d "$(event n NODE_SOFT_DELETED)"
    asks 200 DELETE /api/nodes/n/purge -H 'Idempotency-Key: k'
    again 201 POST /api/events k -d "$(event n)"
    [ "$(evstore-export | wc -l)" -eq 3 ]
}

@test "after the loss of the box the same key makes no second event" {
    serve
    asks 201 POST /api/events -H 'Idempotency-Key: k' -H 'X-Correlation-ID: one' -d "$(event n)"
    asks 200 POST /api/events -H 'Idempotency-Key: many' -d "[$(event a),$(event a)]"
    asks 200 POST /api/v1/scans -H 'Idempotency-Key: k' -d '{"tag_id":"T"}'
    asks 200 POST /api/cloud/data_sync/settings/u1 -H 'Idempotency-Key: k' -d '{"settings":{}}'
    evstore-export >kept
    [ "$(wc -l <kept)" -eq 5 ]
    rm "$LIFEBOAT_DB"*
    evstore-restore -q kept
    digest=$(evstore-export --digest)
    asks 200 POST /api/events -H 'Idempotency-Key: k' -H 'X-Correlation-ID: two' -d "$(event n)"
    has '.entity_id == "n" and .correlation_id == "one"'
    asks 200 POST /api/events -H 'Idempotency-Key: many' -d "[$(event a),$(event a)]"
    has '.already_present == 2'
    asks 200 POST /api/v1/scans -H 'Idempotency-Key: k' -d '{"tag_id":"T"}'
    asks 200 POST /api/cloud/data_sync/settings/u1 -H 'Idempotency-Key: k' -d '{"settings":{}}'
    [ "$(evstore-export --digest)" = "$digest" ]
}

@test "automatic keys are for the paths that are configured" {
    echo '{"automatic_keys":["/api/v1/scans"]}' >conf/http.json
    serve
    for n in 1 2; do
        asks 200 POST /api/v1/scans -d '{"tag_id":"T"}'
    done
    header_is Idempotent-Replayed true
    asks 200 POST /api/v1/scans -d '{"tag_id":"T2"}'
    header_is Idempotent-Replayed ''
    asks 200 POST /api/v1/scans -H 'Idempotency-Key: own' -d '{"tag_id":"T"}'
    header_is Idempotent-Replayed ''
    [ "$(evstore-export | wc -l)" -eq 3 ]
    for n in 1 2; do asks 201 POST /api/events -d "$(event n)"; done
    [ "$(evstore-export | wc -l)" -eq 5 ]
    for bad in '{"automatic_keys":["/api/dr/restore"]}' '{"automatic_keys":["/studies"]}' '{"automatic":[]}' '{'; do
        echo "$bad" >conf/http.json
        asks 500 POST /api/v1/scans -d '{"tag_id":"T3"}'
    done
}

@test "a key has 1 to 255 bytes, and holds for 24 hours" {
    serve
    key=$(printf '%0255d' 0)
    again 201 POST /api/events "$key" -d "$(event n)"
    asks 400 POST /api/events -H "Idempotency-Key: ${key}0" -d "$(event n)"
    asks 400 POST /api/events -H 'Idempotency-Key: a' -H 'X-Idempotency-Key: b' -d "$(event n)"
    [ "$(evstore-export | wc -l)" -eq 1 ]
    left=$(sql "SELECT expires_at - unixepoch() * 1000 FROM idempotency_cache WHERE namespace = 'http'")
    [ "$left" -gt 86300000 ] && [ "$left" -le 86402000 ]
    # A minute before, and a minute after it is over.
    flock "$LIFEBOAT_DB-gate" sqlite3 "$LIFEBOAT_DB" "UPDATE idempotency_cache SET expires_boot_ms = expires_boot_ms - 86340000"
    asks 201 POST /api/events -H "Idempotency-Key: $key" -d "$(event n)"
    header_is Idempotent-Replayed true
    flock "$LIFEBOAT_DB-gate" sqlite3 "$LIFEBOAT_DB" "UPDATE idempotency_cache SET expires_boot_ms = expires_boot_ms - 120000"
    asks 200 POST /api/events -H "Idempotency-Key: $key" -d "$(event n)"
    header_is Idempotent-Replayed ''
    # The event's own id does not end.
    [ "$(evstore-export | wc -l)" -eq 1 ]
}

# --- correlation --------------------------------------------------------------------

@test "a correlation id or a trace goes into what is written, and comes back" {
    serve
    trace='traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    last() { evstore-export --order seq | tail -n 1 | jq -r .correlation_id; }
    asks 201 POST /api/events -d "$(event n)" -H 'X-Correlation-ID: req_001'
    [ "$(header X-Correlation-ID) $(last)" = 'req_001 req_001' ]
    asks 201 POST /api/events -d "$(event n)" -H "$trace"
    [ "$(header X-Correlation-ID) $(last)" = '4bf92f3577b34da6a3ce929d0e0e4736 4bf92f3577b34da6a3ce929d0e0e4736' ]
    asks 201 POST /api/events -d "$(event n)" -H "$trace" -H 'X-Correlation-ID: req_002'
    [ "$(header X-Correlation-ID) $(last)" = 'req_002 req_002' ]
    asks 201 POST /api/events -d "$(event n NOTED u1 '{"correlation_id":"own"}')" -H 'X-Correlation-ID: req_003'
    [ "$(last)" = own ]
    for bad in 01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 \
        00-00000000000000000000000000000000-00f067aa0ba902b7-01 \
        00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01 00-4bf92f-00f067aa0ba902b7-01 nonsense; do
        asks 201 POST /api/events -d "$(event n)" -H "traceparent: $bad"
        [ "$(last)" = null ]
        [[ $(header X-Correlation-ID) =~ ^[0-9a-f]{8}-[0-9a-f]{4}-7 ]]
    done
    evstore-export >before
    for bad in 'a b' 'a/b' '<x>' "$(printf '%0129d' 0)"; do
        asks 400 POST /api/events -d "$(event n)" -H "X-Correlation-ID: $bad"
        ! grep -qF "X-Correlation-ID: $bad" head || false
    done
    evstore-export | cmp - before
    asks 404 GET /api/none -H 'X-Correlation-ID: req_004'
    has '.correlation_id == "req_004"'
    tail -n 1 logs/requests.log >line
    jq_true '.correlation_id == "req_004"' line
}

# --- who may ------------------------------------------------------------------------

# METHOD PATH, then the status for: nobody, user u1, device, dr, admin; and the body.
who_may='
GET /api/health 200 200 200 200 200
GET /metrics 401 403 403 200 200
GET /api/dr/health 401 403 403 200 200
GET /api/dr/stats 401 403 403 200 200
GET /api/dr/export 401 403 403 200 200
GET /api/dr/export/entity/note/n 401 403 403 200 200
POST /api/dr/restore 401 403 403 200 200 {"events":[],"events_count":0}
GET /api/dr/restore/s/status 401 403 403 404 404
POST /api/dr/pair 410 410 410 410 410 {"code":"123456"}
GET /api/events 401 200 200 200 200
HEAD /api/events/stream 401 200 200 200 200
POST /api/events 401 422 422 403 422 {}
POST /api/v1/scans 401 403 422 403 422 {}
GET /api/cloud/data_sync/settings/u1 401 404 403 403 404
GET /api/cloud/data_sync/settings/u2 401 403 403 403 404
POST /api/cloud/data_sync/settings/u1 401 400 403 403 400 {}
POST /api/cloud/data_sync/settings/u2 401 403 403 403 400 {}
GET /api/cloud/data_sync/history/u1 401 200 403 403 200
GET /api/cloud/data_sync/history/u2 401 403 403 403 200
POST /api/cloud/data_sync/history/u1 401 400 403 403 400 {}
POST /api/cloud/data_sync/history/u2 401 403 403 403 400 {}
GET /api/cloud/data_sync/settings/u.1 401 400 403 403 400
GET /api/cloud/data_sync/settings/%2e%2e%2fu1 404 404 404 404 404
POST /api/cloud/commands 401 400 400 403 400 {}
GET /api/cloud/commands 401 200 200 403 200
GET /api/cloud/commands/1 401 404 404 403 404
POST /api/cloud/commands/1/rating 401 404 403 403 404 {"rating":3}
GET /api/trash 401 200 403 403 200
POST /api/nodes/none/restore 401 404 403 403 404
DELETE /api/nodes/none/purge 401 404 403 403 404
POST /api/nodes/n/restore 401 403 403 403 409
DELETE /api/nodes/n/purge 401 403 403 403 409
GET /api/none 404 404 404 404 404
PUT /api/events 405 405 405 405 405 {}
'

@test "each resource is for the roles it is for" {
    event n NOTED u9 '{"event_id":"n"}' | evstore-append -q
    make_key
    serve
    n=2
    for who in nobody 'u1 user' 'd1 device' 'r1 dr' 'a1 admin'; do
        # shellcheck disable=SC2086
        as $who
        n=$((n + 1))
        while read -r method path codes; do
            [ -n "$method" ] || continue
            read -r -a column <<<"$method $path $codes"
            data=()
            [ "$method" = GET ] || [ "$method" = HEAD ] || data=(-d "${column[*]:7}")
            asks "${column[n - 1]}" "$method" "$path" "${data[@]}" || { echo "as $who" >&2; return 1; }
        done <<<"$who_may"
    done
    [ "$(evstore-export | jq -r .event_id)" = n ]
}

@test "without a key this machine may do all, and nobody else anything" {
    event n | evstore-append -q
    serve
    asks 200 GET /api/dr/export
    asks 201 POST /api/events -d "$(event n)" -H "Origin: $url" -H 'Sec-Fetch-Site: same-origin'
    asks 200 GET /api/health -H "Host: localhost:$port"
    asks 200 GET /api/health -H "Host: [::1]:$port"
    asks 200 GET /api/health -H 'Sec-Fetch-Site: none'
    asks 410 POST /api/dr/pair -d '{"code":"123456"}'
    evstore-export >before
    for header in 'Host: example.org' "Host: localhost.example.org:$port" "Host: 192.168.1.7:$port" 'X-Forwarded-For: 10.0.0.1' \
        'Forwarded: for=10.0.0.1' 'Via: 1.1 proxy' 'X-Real-IP: 10.0.0.1' 'X-Forwarded-Host: example.org' 'Origin: http://example.org' \
        'Origin: null' "Origin: http://127.0.0.1:1" 'Sec-Fetch-Site: cross-site' 'Sec-Fetch-Site: same-site'; do
        asks 401 POST /api/events -d "$(event n)" -H "$header"
        problem /problems/no-key
        asks 401 POST /api/dr/restore -d '{"events":[],"events_count":0}' -H "$header"
        asks 401 GET /api/health -H "$header"
        asks 401 POST /api/dr/pair -d '{"code":"123456"}' -H "$header"
    done
    evstore-export | cmp - before
    [ "$(evstore-restore --list | wc -l)" -eq 0 ]
}

@test "with a key a token decides, from wherever it comes" {
    make_key
    serve
    as a1 admin
    asks 201 POST /api/events -d "$(event n)" -H 'X-Forwarded-For: 10.0.0.1' -H 'Host: lifeboat.example.org'
    token=${auth[1]}
    auth=()
    for bad in 'Authorization: Bearer ' "${token}x" "${token%?}" 'Authorization: Basic YTpi' 'Authorization: Bearer a.b.c'; do
        asks 401 POST /api/events -d "$(event n)" -H "$bad"
    done
    asks 201 POST /api/events -d "$(event n)" -H "${token/Bearer/bearer}"
    [ "$(evstore-export | wc -l)" -eq 2 ]
}

# --- the log, and the odds and ends of HTTP -----------------------------------------

@test "each request is one line of the log, without what is in it" {
    make_key
    serve
    from=$(requests)
    as u1 user
    asks 201 POST '/api/events' -d "$(event secret-entity NOTED u1)" -H 'Idempotency-Key: secret-key' -H 'X-Correlation-ID: c1'
    asks 403 GET /api/cloud/data_sync/settings/secret-user -H 'X-Correlation-ID: c2'
    asks 404 GET '/api/secret-path?q=secret-query' -H 'X-Correlation-ID: c3'
    asks 405 PATCH /api/trash -H 'X-Correlation-ID: c4'
    as r1 dr
    asks 200 GET '/api/dr/export/entity/note/secret-entity' -H 'X-Correlation-ID: c5'
    size=$(wc -c <body)
    as nobody
    asks 410 POST /api/dr/pair -d '{"code":"123456","device_name":"secret-tablet"}' -H 'X-Correlation-ID: c6'
    asks 401 GET /api/dr/stats -H 'Authorization: Bearer secret.token.x' -H 'X-Correlation-ID: c7'
    asks 200 HEAD /api/health -H 'X-Correlation-ID: c8'
    tail -n "+$((from + 1))" logs/requests.log >log
    jq -c '[.correlation_id, .method, .route, .status, .principal, .role]' log >got
    cat >want <<'END'
["c1","POST","/api/events",201,"u1","user"]
["c2","GET","/api/cloud/data_sync/settings/{user}",403,"u1","user"]
["c3","GET","",404,"",""]
["c4","PATCH","",405,"",""]
["c5","GET","/api/dr/export/entity/{type*}/{id*}",200,"r1","dr"]
["c6","POST","/api/dr/pair",410,"",""]
["c7","GET","/api/dr/stats",401,"",""]
["c8","HEAD","/api/health",200,"",""]
END
    diff want got
    jq_true -s --argjson size "$size" 'all(.[]; (keys - ["bytes", "correlation_id", "method", "ms", "principal", "role", "route", "status", "ts"]) == []
        and .ms >= 0 and .ms < 60000) and .[4].bytes == $size and .[7].bytes == 0 and .[0].bytes > 100' log
    ! grep -E 'secret|123456|eyJ' log logs/cgi.log logs/lighttpd.log || false
}

@test "HEAD has a GET's head; what is not there is 404, what it does not take 405" {
    event n | evstore-append -q
    serve
    for path in /api/health /api/dr/health /api/dr/stats /api/dr/export /api/events /metrics /api/trash /api/cloud/commands; do
        asks 200 GET "$path"
        type=$(header Content-Type) length=$(header Content-Length)
        asks 200 HEAD "$path"
        header_is Content-Type "$type"
        [ ! -s body ] || grep -q '^HTTP' body
        header_is Content-Length '' || header_is Content-Length "$length" || [[ $path =~ ^(/api/dr/health|/metrics)$ ]]
    done
    while read -r method path allow; do
        asks 405 "$method" "$path" -d ''
        header_is Allow "$allow"
    done <<'END'
PUT /api/events GET, HEAD, POST
POST /api/health GET, HEAD
DELETE /api/dr/restore POST
PATCH /api/nodes/n/purge DELETE
OPTIONS /api/cloud/commands GET, HEAD, POST
END
    for path in /api/ /api/none /api/health/ /api/dr /api/events/stream/x /api/dr/restore/status /api/cloud/data_sync/settings; do
        asks 404 GET "$path"
    done
    for path in '/api/health?x=1' '/api/health?=' '/metrics?a' '/api/trash?limit=1&limit=1' '/api/events?limit=%zz' '/api/trash?limit=%00'; do
        ask GET "$path"
        [ "$code" = 400 ]
    done
    asks 200 GET '/api/health?'
    # No part of an answer: it is whole.
    asks 200 GET /api/health -r 0-9
    has '.status == "healthy"'
}

@test "the front itself is never sent as a file" {
    [ "$checker" != valgrind ] || skip "valgrind runs it through a script: the others have it"
    mkdir here
    cp "$bin"/* here/
    bin=$PWD/here serve
    asks 200 GET /api/health
    chmod -x here/lifeboat.cgi
    for path in /api/health /metrics /api/none; do
        ask GET "$path"
        [ "$code" = 500 ]
        ! grep -q GNU body || false
    done
    rm here/lifeboat.cgi
    ask GET /api/health
    [ "$code" -ge 400 ]
}

# --- what there is to watch -------------------------------------------------------------

# The text format of Prometheus, strictly: HELP, TYPE, then the samples of that name.
strict='
    function bad(why) { print "line " NR ": " why ": " $0; broken = 1 }
    /^# HELP / { if (seen[$3]++) bad("named twice"); name = $3; typed = 0; if (NF < 4) bad("no help"); next }
    /^# TYPE / { if ($3 != name || typed++) bad("TYPE without its HELP"); if ($4 !~ /^(gauge|counter|histogram)$/ || NF != 4) bad("type")
        if (($4 == "counter") != ($3 ~ /_total$/)) bad("the name of a counter"); next }
    /^#/ || /^$/ { bad("nothing of the kind"); next }
    {
        if (!match($0, /^[a-z_][a-z0-9_]*/) || index(substr($0, 1, RLENGTH), name) != 1 || !typed) bad("not of the metric above")
        if ($0 !~ /^[a-z_][a-z0-9_]*(\{[a-z_]+="([^"\\]|\\["\\n])*"(,[a-z_]+="([^"\\]|\\["\\n])*")*\})? -?[0-9]+(\.[0-9]+)?$/) bad("no sample")
        key = $0; sub(/ [^ ]*$/, "", key)
        if (sample[key]++) bad("twice")
    }
    END { exit broken }'

metric() { sed -n "s/^lifeboat_$1 //p" body; }

@test "metrics are Prometheus's, and count right" {
    serve
    asks 200 GET /metrics
    awk "$strict" body
    [ "$(metric up)" = 0 ]
    [ ! -e "$LIFEBOAT_DB" ]
    mkevents 30 >ev
    evstore-restore -q ev
    sed -n 1p ev | jq -c '.payload.n = 99' | evstore-restore -q || [ $? -eq 1 ]
    head -n 4 ev | jq -r .event_id | evstore-ack -q
    printf '%s\n' 1 2 3 | syncq enqueue jobs -q
    syncq dequeue jobs >job
    echo 1 | kvcache set a -q
    kvcache get a
    asks 200 GET /metrics
    header_is Content-Type 'text/plain; version=0.0.4'
    awk "$strict" body
    if command -v promtool >found; then promtool check metrics <./body; fi
    # The first request is in the log by now.
    [ "$(sed -n 's|^lifeboat_http_requests_total{route="/metrics",method="GET",code="2xx"} ||p' body)" = 1 ]
    [ "$(metric up) $(metric events) $(metric conflicts) $(metric events_unsynced)" = "1 30 1 $(sql 'SELECT count(*) FROM events WHERE synced = 0')" ]
    [ "$(metric events_unsynced)" -eq 26 ]
    [ "$(metric 'restores{status="COMPLETED"}') $(metric 'restores{status="PARTIAL"}')" = '1 1' ]
    [ "$(metric 'queue_ready{queue="jobs"}') $(metric 'queue_running{queue="jobs"}')" = '2 1' ]
    [ "$(metric cache_sets_total) $(metric cache_hits_total)" = '1 1' ]
    [ "$(metric store_bytes)" -ge "$(stat -c %s "$LIFEBOAT_DB")" ]
    [ "$(metric last_event_age_seconds)" -lt 600 ]
}

@test "health and statistics are what the store has" {
    serve
    asks 200 GET /api/dr/stats
    cp body empty
    mkevents 80 >ev
    evstore-restore -q ev
    sed -n 1,3p ev | jq -c '.payload.n = 99' | evstore-restore -q || [ $? -eq 1 ]
    head -n 5 ev | jq -r .event_id | evstore-ack -q
    asks 200 GET /api/dr/stats
    jq_true -s '(.[0] | keys) == (.[1] | keys) and .[0].events_count == 0 and .[0].oldest_ts == null' empty body
    groups() { sql "SELECT json_group_object(k, n) FROM (SELECT $1 AS k, count($2) AS n FROM $3 GROUP BY 1)"; }
    has --argjson e "$(groups entity_type '*' events)" --argjson d "$(groups entity_type 'DISTINCT entity_id' events)" \
        --argjson min "$(sql 'SELECT min(ts_device) FROM events')" --argjson max "$(sql 'SELECT max(ts_device) FROM events')" \
        '.events_count == 80 and .events_by_type == $e and .entities_by_type == $d and .conflicts == 3 and
        (.conflicts_by_type | add) == 3 and .oldest_ts == $min and .newest_ts == $max and .unsynced == 75 and
        .restores_by_status == {COMPLETED: 1, PARTIAL: 1} and .bytes > 4096 and
        (.per_minute | length == 60 and add == 80 and .[59] + .[58] == 80)'
    asks 200 GET /api/dr/health
    has --argjson last "$(sql "SELECT strftime('%s', created_at) * 1000 FROM events ORDER BY seq DESC LIMIT 1")" \
        '.status == "healthy" and .problems == [] and .events_count == 80 and .conflicts == 3 and .last_event_at == $last and
        .restore_in_progress == false and .last_restore.status == "PARTIAL" and .hlc_ahead_ms == 0 and .mirror == null and
        .queue == {pending: 0, running: 0, failed: 0, dead_letters: 0, destinations: []} and .bytes > 4096 and .free_bytes > 0 and
        .version and .site_id == "main" and .store_id and .device_id'
    # One that was written here long ago, and comes back last, is not of this hour.
    event old NOTED u1 '{"event_id":"old","ts_device":1768000000000,"ts_server":1768000000000}' | evstore-restore -q
    asks 200 GET /api/dr/stats
    has '.events_count == 81 and (.per_minute | add == 80)'
}

@test "health is degraded, and says by what" {
    mkdir conf/destinations.d
    echo '{"url":"http://127.0.0.1:1/api"}' >conf/destinations.d/cloud.json
    serve
    asks 200 GET /api/dr/health
    has '.status == "degraded" and (.problems | length == 1) and .store_id == null and .events_count == 0 and .last_event_at == null and .queue == null'
    event n | evstore-append -q
    asks 200 GET /api/dr/health
    has '.status == "healthy" and .queue.destinations == [{name: "cloud", pending: 0, failed: 0, paused: false, reason: null, last_success_at: null}]'
    syncq pause cloud -q
    printf '%s\n' '{"n":1}' | syncq send cloud -q || :
    asks 200 GET /api/dr/health
    has '.status == "degraded" and .problems == ["a destination is paused"] and .queue.destinations[0].paused and .queue.destinations[0].pending == 1 and .queue.pending == 1'
    syncq resume cloud -q
    event ahead NOTED u1 "{\"ts_device\":$(($(date +%s%3N) + 200000000)),\"event_id\":\"x\"}" | evstore-restore -q --adopt-clock
    asks 200 GET /api/dr/health
    has '.status == "degraded" and (.problems | length == 1 and (.[0] | contains("clock"))) and .hlc_ahead_ms > 190000000'
    # A store that cannot be read is told to nobody but who may know.
    for f in "$LIFEBOAT_DB"*; do rm "$f"; done
    head -c 8192 /dev/urandom >"$LIFEBOAT_DB"
    asks 200 GET /api/health
    has '.status == "degraded" and .store_id == null'
    asks 500 GET /api/dr/health
    asks 500 GET /api/dr/export
    asks 500 POST /api/events -d "$(event n)"
    asks 500 POST /api/dr/restore -d '{"events":[],"events_count":0}'
}

# ledger DAYS-AGO RESULT [MORE MEMBERS]
ledger() {
    local when=$(($(date +%s) - $1 * 86400))
    printf '{"ts":"%s","day":"%s","zone":"UTC","result":"%s"%s}\n' "$(date -u -d "@$when" +%FT%TZ)" \
        "$(date -u -d "@$when" +%F)" "$2" "${3-}" >>mirror/mirror_status.log
}

@test "health says how the mirror does, by its ledger" {
    serve
    event n | evstore-append -q
    mirror() { asks 200 GET /api/dr/health && has "$@"; }
    mirror '.mirror == null'
    asks 200 GET /metrics
    [ "$(grep -c mirror body)" = 0 ]
    ledger 20 OK ',"config":"0123456789abcdef"'
    ledger 4 NG ',"config":"0123456789abcdef","missing":2'
    ledger 3 ERROR ',"config":"0123456789abcdef","why":"no way"'
    for ago in 2 1 0; do ledger "$ago" OK ',"config":"0123456789abcdef"'; done
    asks 200 GET /metrics
    [ "$(metric mirror_streak_days) $(metric mirror_target_days) $(metric mirror_enabled)" = '3 14 1' ]
    awk -v ng="$(metric mirror_ng_age_seconds)" -v ok="$(metric mirror_ok_age_seconds)" -v run="$(metric mirror_compare_age_seconds)" \
        'BEGIN { exit !(ng >= 4 * 86400 && ng < 4 * 86400 + 60 && ok < 60 && run < 60) }'
    awk "$strict" body
    mirror --arg today "$(date -u +%F)" '.problems == [] and (.mirror | .enabled and .streak == 3 and .target == 14 and
        .last_result == "OK" and .last_at > 1.7e12 and (.days | length == 14) and .days[13].day == $today and
        (.days | map(.result)[8:] == ["NONE", "NG", "ERROR", "OK", "OK", "OK"]) and
        (.days[:9] | all(.result == "NONE")))'
    ledger 0 DISABLED
    mirror '.mirror.enabled == false and .mirror.streak == 3 and .mirror.last_result == "OK"'
    ledger 0 ENABLED
    mirror '.mirror.enabled and .mirror.streak == 0'
    echo '{"ts":' >>mirror/mirror_status.log
    mirror '.status == "degraded" and (.problems | length == 1 and (.[0] | contains("line 9 of its ledger")))'
    rm mirror/mirror_status.log
    mkdir mirror/mirror_status.log
    mirror '.mirror == null and .status == "degraded" and (.problems[0] | contains("mirror_status.log"))'
}

@test "health says when it was backed up and drilled last, and what is wrong with that" {
    serve
    event n | evstore-append -q
    upkeep() { asks 200 GET /api/dr/health && has "$@"; }
    upkeep '.status == "healthy" and .backup == null and .drill == null'
    mkdir status
    now=$(date +%s%3N) hour=3600000
    backup() { # HOURS-AGO [MORE MEMBERS]
        printf '{"ts": %d, "kind":"hourly","ok":true,"last_ok":{"daily":%d,"hourly":%d}%s}\n' "$now" \
            $((now - 20 * hour)) $((now - $1 * hour)) "${2-}" >status/backup.json
    }
    backup 2
    echo '{"ts":'"$now"',"ok":true,"why":null,"events":1,"rto_ms":900,"rpo_ms":0}' >status/drill.json
    upkeep --argjson now "$now" '.status == "healthy" and .problems == [] and .backup.last_ok.daily == $now - 72000000 and
        .backup.kind == "hourly" and .drill == {ts: $now, ok: true, why: null, events: 1, rto_ms: 900, rpo_ms: 0}'
    [ "$(wc -l <body)" = 1 ]
    # The hourly ones have stopped; the newest of all counts.
    backup 4
    upkeep '.status == "degraded" and .problems == ["the newest backup is 4 hours old"]'
    printf '{"ok":true,"last_ok":{"daily":%d}}' $((now - 29 * hour)) >status/backup.json
    upkeep '.problems == []'
    printf '{"ok":true,"last_ok":{"daily":%d}}' $((now - 31 * hour)) >status/backup.json
    upkeep '.problems == ["the newest backup is 31 hours old"]'
    printf '{"ok":true,"last_ok":{"daily":%d,"weekly":%d}}' $((now - 31 * hour)) $((now - hour)) >status/backup.json
    upkeep '.problems == []'
    echo '{"ok":false,"why":"ssh:box2: \u00e9teint\u0000","last_ok":{}}' >status/backup.json
    echo '{"ts":'$((now - 240 * hour))',"ok":true}' >status/drill.json
    upkeep '.problems == ["the last backup failed: ssh:box2: éteint\ufffd", "the last drill was 10 days ago"]'
    jq -nc '{ok: false, why: ("é" * 400)}' >status/backup.json
    echo '{"ts":1,"ok":false}' >status/drill.json
    upkeep '.problems | .[0] == "the last backup failed: " + ("é" * 120) and .[1] == "the last drill failed"'
    echo '{"ok":' >status/backup.json
    echo '[]' >status/drill.json
    upkeep '.backup == null and .drill == null and
        (.problems | length == 2 and (.[0] | startswith("the last backup: ")) and (.[1] | contains("not an object")))'
    rm status/*
    mkdir status/backup.json
    upkeep '.backup == null and (.problems | length == 1 and (.[0] | contains("backup.json")))'
}

# --- the stream, through the server ----------------------------------------------------

# listen NAME TARGET [curl's options]: what comes goes to NAME.out, until it is ended.
listen() {
    background "$1" curl -sSN --max-time 100 "${auth[@]}" "${@:3}" "$url$2"
    wait_until 15 grep -qs '^id: ' "$1.out"
}
# The last listener, and with the server what waits for a listener that is gone.
hang_up() {
    kill "$pid"
    serve_end
}
told_of() { grep -c "^event: $1" "$2.out"; }           # TOPIC NAME
has_told() { [ "$(told_of "$1" "$2")" -ge "$3" ]; }    # TOPIC NAME N
last_id() { sed -n 's/^id: //p' "$1.out" | tail -n 1; } # NAME
ids_told() { sed -n 's/^data: //p' "$1.out" | jq -r '.event_id // empty'; }

@test "stream: events, jobs and the cache's are told as they come; it is no file to be kept" {
    serve
    asks 201 POST /api/events -d "$(event n)"
    listen all '/api/events/stream?topics=events,jobs,cache' -D head
    header_is Content-Type text/event-stream
    header_is Cache-Control no-store
    asks 201 POST /api/events -d "$(event n)"
    echo '{}' | syncq enqueue -q q
    kvcache -q set k 1
    kvcache -q set k 2
    wait_until 10 has_told event all 1
    wait_until 10 has_told job all 1
    wait_until 10 has_told cache all 1
    [ "$(told_of event all)" -eq 1 ]
    hang_up
}

@test "stream: a reader who comes again with the last id misses nothing and sees nothing twice" {
    serve
    asks 201 POST /api/events -d "$(event n)"
    listen r0 /api/events/stream
    for round in 1 2 3 4; do
        asks 201 POST /api/events -d "$(event n)"
        kill "$pid"
        wait "$pid" || :
        last=$(last_id "r$((round - 1))")
        for _ in 1 2; do asks 201 POST /api/events -d "$(event n)"; done
        # By header, as a browser does it, or in the address.
        if [ $((round % 2)) -eq 0 ]; then
            listen "r$round" /api/events/stream -H "Last-Event-ID: $last"
        else
            listen "r$round" "/api/events/stream?last_event_id=$last"
        fi
        wait_until 10 eval '[ "$(cat r?.out | grep -c "^event: event")" -ge $((3 * round)) ]'
    done
    cat r[0-4].out >all.out
    [ "$(ids_told all)" = "$(evstore-export --order seq | jq -r .event_id | tail -n +2)" ]
    hang_up
}

@test "stream: an id of another store is told so; garbage is no harm" {
    serve
    asks 201 POST /api/events -d "$(event n)"
    for id in deadbeefdeadbeef:1:00000000~j0~c0 x ':' "$(printf 'a%.0s' {1..4000})"; do
        listen other /api/events/stream -H "Last-Event-ID: $id"
        wait_until 10 has_told reset other 1
        rm other.out
        kill "$pid"
    done
    asks 400 GET '/api/events/stream?topics=weather'
    serve_end
}

@test "stream: one who hangs up leaves no process behind; it is in the log" {
    serve
    asks 201 POST /api/events -d "$(event n)"
    listen gone /api/events/stream
    [ -n "$(cgis)" ]
    kill -9 "$pid"
    # What comes next finds nobody there.
    no_one() { evstore-append -q <<<"$(event n)" && no_cgi; }
    wait_until 20 no_one
    jq_true -s 'map(select(.route == "/api/events/stream")) | length == 1 and .[0].status == 200 and
        .[0].bytes >= 60' logs/requests.log
}

@test "stream: a user hears of his own events, and of nothing else" {
    make_key
    serve
    as u admin
    asks 201 POST /api/events -d "$(event n)"
    as ana user
    listen mine /api/events/stream
    as u admin
    asks 201 POST /api/events -d '{"entity_type":"n","entity_id":"1","actor_id":"ben","event_type":"X","payload":{}}'
    asks 201 POST /api/events -d '{"entity_type":"n","entity_id":"1","actor_id":"ana","event_type":"Y","payload":{}}'
    wait_until 10 has_told event mine 1
    [ "$(sed -n 's/^data: //p' mine.out | jq -r .event_type)" = Y ]
    as ana user
    asks 403 GET '/api/events/stream?topics=events,cache'
    hang_up
}

# --- others at the store ------------------------------------------------------------

# Run as the server does, in a hurry: every look at the clock finds that others have been
# kept waiting long enough. How often what it wrote was synced.
syncs_of() { # PATH TYPE BODY
    local length
    length=$(stat -c %s "$3")
    : >mark
    GATEWAY_INTERFACE=CGI/1.1 REQUEST_METHOD=POST REQUEST_URI=$1 CONTENT_TYPE=$2 REMOTE_ADDR=127.0.0.1 \
        HTTP_HOST=localhost CONTENT_LENGTH=$length LIFEBOAT_KEY=$PWD/no.key \
        MISHAP=sync:0:5 MISHAP_HURRY=1 MISHAP_MARK=$PWD/mark LD_PRELOAD=$PWD/mishap.so \
        "$bin/lifeboat.cgi" <"$3" 2>log >answer
    grep -q '^Status: 200' answer
    cat mark
}

@test "many of one request do not keep others waiting for the store" {
    [ -z "$checker" ] || skip 'the shim is for plain builds'
    "${CC:-cc}" -std=c11 -D_GNU_SOURCE -O2 -fPIC -shared -o mishap.so "$top/tests/tools-preload/mishap.c" -ldl
    evstore-append -q <<<"$(event n)"
    mkevents 40 a >lines
    mkevents 40 b | jq -cs . >array
    jq -nc '{records: [range(40) | {command_id: "c\(.)"}]}' >records
    [ "$(syncs_of /api/events application/jsonl lines)" -ge 40 ]
    [ "$(syncs_of /api/events application/json array)" -ge 40 ]
    [ "$(syncs_of /api/cloud/data_sync/history/u application/json records)" -ge 40 ]
    [ "$(evstore-export | wc -l)" -eq 121 ]
}

# --- memory ------------------------------------------------------------------------

@test "a restore takes less than 16 MB, the evstore-restore that does it and all" {
    "$build/tools/benchevents" 30000 9000 | sed '$!s/$/,/' >lines
    {
        printf '{"restore_session_id":"s","source_device_id":"d","events":[\n'
        cat lines
        echo '],"events_count":30000}'
    } >document
    export GATEWAY_INTERFACE=CGI/1.1 REQUEST_METHOD=POST REQUEST_URI=/api/dr/restore \
        CONTENT_TYPE=application/json REMOTE_ADDR=127.0.0.1 HTTP_HOST=localhost CONTENT_LENGTH
    CONTENT_LENGTH=$(stat -c %s document)
    "$build/tools/measured" lifeboat.cgi <document >small.mb
    [ "$(sqlite3 "$LIFEBOAT_DB" 'SELECT count(*) FROM events')" = 30000 ]
    rm "$LIFEBOAT_DB"*
    LIFEBOAT_MEMORY=large "$build/tools/measured" lifeboat.cgi <document >more.mb
    [ "$(sqlite3 "$LIFEBOAT_DB" 'SELECT count(*) FROM events')" = 30000 ]
    [ -n "$checker" ] || awk '{ mb[NR] = $3 } END { exit !(mb[1] < 16 && mb[2] > 30) }' small.mb more.mb
}
