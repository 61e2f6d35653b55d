#!/usr/bin/env bats
# What no honest client sends (tests/hostile.py), to real lighttpd and the CGI: each
# gets the right status and changes nothing; no process and no file is left; nothing
# secret is in a log, an argv, another program's environment or a core file.

# shellcheck disable=SC2030,SC2031,SC2154 # each test has its own; of helper
load helper

setup() {
    private_store
    # Their own folders, so that whatever is left there is seen.
    mkdir box logs spool
    export LIFEBOAT_DB=$BATS_TEST_TMPDIR/box/lifeboat.db LIFEBOAT_WAIT=5
    key=$BATS_TEST_TMPDIR/token.key
    lifeboat-token -q -k "$key" key >/dev/null
    HOSTILE_TOKEN=$(lifeboat-token -q -k "$key" issue --user root1 --role admin)
    HOSTILE_USER=$(lifeboat-token -q -k "$key" issue --user u1 --role user)
    export HOSTILE_TOKEN HOSTILE_USER HOSTILE_KEY=$key
    mkevents 50 | evstore-restore -q >/dev/null
}

# serve [OPTION...]: scripts/serve with limits that a test can wait for. $url, $port.
serve() {
    mkdir -p tree/scripts
    ln -s "$top/lib" tree/lib
    cp "$top/scripts/serve" tree/scripts/
    sed -e 's/^\(server.max-read-idle *=\).*/\1 2/' -e 's/^\(server.max-write-idle *=\).*/\1 3/' \
        -e 's/^\(server.max-keep-alive-idle *=\).*/\1 1/' \
        -e 's/^\(server.max-request-size *=\).*/\1 32768/' \
        "$top/scripts/lighttpd.conf" >tree/scripts/lighttpd.conf
    TMPDIR=$PWD/spool SERVE_LOGS=$PWD/logs LIFEBOAT_BIN=${commands:-$bin} \
        background serve tree/scripts/serve "$@"
    wait_until 20 grep -q '^http' serve.out || {
        cat serve.err
        return 1
    }
    read -r url <serve.out
    port=${url%/} port=${port##*:}
    lighttpd=$(pgrep -P "$pid" -x lighttpd)
}

# What was started for requests, and runs: lighttpd's children and theirs.
at_work() { pgrep -P "$lighttpd" || pgrep -f "^(lifeboat.cgi|evstore-[a-z]*) .*$BATS_TEST_TMPDIR"; }
idle() { ! at_work >/dev/null; }

something_spooled() { [ -n "$(find spool -path '*upload/*')" ]; }
nothing_spooled() { [ -z "$(find spool -path '*upload/*')" ]; }

# All that the store says, but for the record of restores that were refused; and what
# lies beside it and in the folder for bodies.
state() {
    evstore-export --digest
    sqlite3 -readonly "$LIFEBOAT_DB" .dump | grep -v '^INSERT INTO restore_log .*FAILED' | sha256sum
    find box spool -type f ! -name 'lighttpd.*' ! -name 'start.log' ! -name answer -printf '%p\n' | sort
}

# hostile GROUP: each case of it has the status it should have, and nothing else.
hostile() {
    local before
    wait_until 10 idle
    before=$(state)
    python3 "$top/tests/hostile.py" "$port" "$1"
    wait_until 10 idle
    diff <(echo "$before") <(state)
    nobody_crashed
}

# One that crashes once it has answered answers well.
nobody_crashed() { ! grep -E 'died with signal (4|6|7|8|11)$' logs/lighttpd.log; }

api() { curl -sS --max-time 20 -H "Authorization: Bearer $HOSTILE_TOKEN" "$@"; }

@test "paths that lead elsewhere, are no text, or are too long" {
    serve -k "$key"
    hostile paths
}

@test "parameters twice, unknown, of another kind, and such as look like options" {
    serve -k "$key"
    hostile queries
}

@test "things that are not there" {
    serve -k "$key"
    hostile absent
}

@test "headers twice, folded, too long, not text; ids that would split an answer" {
    serve -k "$key"
    hostile headers
}

@test "methods, targets and versions that are none" {
    serve -k "$key"
    hostile targets
}

@test "bodies whose length is a matter of opinion, cut ones and 10 GB" {
    serve -k "$key"
    hostile framing
}

@test "who is slow is not waited for" {
    serve -k "$key"
    hostile slow
}

@test "bodies that are none: deep, cut, not UTF-8, twice, of another kind" {
    serve -k "$key"
    hostile bodies
}

@test "what is unusual but right is taken, each once and byte for byte" {
    serve -k "$key"
    python3 "$top/tests/hostile.py" "$port" fair
    wait_until 10 idle
    [ "$(evstore-export --entity-type fair | wc -l)" -eq 15 ]
    nothing_spooled
    nobody_crashed
}

@test "tokens: alg none, other algs and secrets, expired, to come, maimed" {
    serve -k "$key"
    hostile tokens
}

@test "good tokens of those who may not" {
    serve -k "$key"
    hostile roles
}

@test "tokens of a key that was retired" {
    local old=$HOSTILE_TOKEN
    serve -k "$key"
    lifeboat-token -q -k "$key" key --rotate --keep 30d >/dev/null
    [ "$(api -o /dev/null -w '%{http_code}' "${url}api/dr/health")" = 200 ]
    # Two rotations on, it is neither of the two that are good.
    lifeboat-token -q -k "$key" key --rotate --keep 30d >/dev/null
    [ "$(api -o answer -w '%{http_code}' "${url}api/dr/health")" = 401 ]
    HOSTILE_TOKEN=$(lifeboat-token -q -k "$key" issue --user root1 --role admin)
    [ "$(api -o /dev/null -w '%{http_code}' "${url}api/dr/health")" = 200 ]
    [ "$old" != "$HOSTILE_TOKEN" ]
}

@test "without a key: who was forwarded, came by another name or from another page stays out" {
    serve
    hostile loopback
}

@test "a client that stops reading, and one that leaves: nothing stays behind" {
    mkevents 30000 big | evstore-restore -q >/dev/null
    serve -k "$key"
    # It asks for 10 MB and looks at none of it.
    background stall python3 -c 'import socket, sys, time
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"GET /api/dr/export?limit=30000 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
          + sys.argv[2].encode() + b"\r\n\r\n")
time.sleep(60)' "$port" "$HOSTILE_TOKEN"
    # lighttpd takes all of it from the CGI, which is soon gone, and keeps it in a file.
    wait_until 5 something_spooled
    wait_until 15 idle
    for _ in 1 2 3; do
        run_split api --limit-rate 1k --max-time 0.3 -o /dev/null "${url}api/dr/export?limit=30000"
        assert_status 28
    done
    wait_until 10 idle
    # What is still to be sent waits in a file, until the client's time is over.
    wait_until 15 nothing_spooled
    [ "$(api "${url}api/dr/export?limit=30000" | jq .events_count)" -eq 30000 ]
}

# nowhere -F|-E TEXT: in no log, and in nothing that a command was given.
nowhere() {
    if grep -rl "$1" -- "$2" logs seen serve.err spool; then return 1; fi
}

@test "no secret in a log, an argv, another's environment or a core file" {
    local code token secret c
    # Each command leaves what it was given, and goes on as itself.
    commands=$PWD/commands
    mkdir "$commands" seen
    for c in "$bin"/*; do
        cat >"$commands/${c##*/}" <<END
#!/bin/sh
{ tr '\\0' '\\n' </proc/\$\$/cmdline; env; echo "core \$(ulimit -Hc)"; } >$PWD/seen/${c##*/}.\$\$
exec $c "\$@"
END
        chmod +x "$commands/${c##*/}"
    done
    cp "$bin/lifeboat.cgi" "$commands/lifeboat.cgi.new"
    mv "$commands/lifeboat.cgi.new" "$commands/lifeboat.cgi"
    export LIFEBOAT_HTTP_LOG=$PWD/logs/requests.log
    serve -k "$key"
    background pair lifeboat-token -k "$key" pair
    wait_until 10 grep -qE '[0-9]{3} ?[0-9]{3}' pair.out
    code=$(grep -oE '[0-9]{3} ?[0-9]{3}' pair.out | head -n 1 | tr -d ' ')
    token=$(curl -sS -d "{\"code\":\"$code\",\"device_name\":\"t\"}" "${url}api/dr/pair" | jq -r .token)
    [ "${#token}" -gt 50 ]
    HOSTILE_TOKEN=$token
    api -o /dev/null -H 'Cookie: other=secret-cookie' "${url}api/dr/export?after=start"
    api -o /dev/null "${url}api/dr/export/entity/case/E-1"
    api -o /dev/null "${url}api/dr/export?after=none"
    api -o /dev/null -d '{"restore_session_id":"s","events":[],"events_count":0}' "${url}api/dr/restore"
    api -o /dev/null -d '{' "${url}api/dr/restore"
    api -o /dev/null -H 'Idempotency-Key: secret-key' -d '{' "${url}api/events"
    wait_until 10 idle
    ls seen/evstore-export.* seen/evstore-restore.* >/dev/null
    # The CGI gives its children what it took for itself: nobody leaves a core file.
    [ "$(cat seen/* | grep '^core ' | sort -u)" = 'core 0' ]
    secret=$(cut -d ' ' -f 2 "$key" | head -n 1)
    for c in "$token" "${token##*.}" "$secret" secret-cookie; do
        nowhere -F "$c"
    done
    nowhere -E "(^|[^0-9])$code([^0-9]|\$)"
    # And the log says what was asked, one object a line, of these members alone.
    jq_true -s 'map(keys - ["ts","method","route","status","ms","bytes","principal","role",
        "correlation_id","replayed"] == []) | all' logs/requests.log
    jq_true -s 'map(select(.route == "/api/dr/export" and .status == 200)) | length == 1' logs/requests.log
}
