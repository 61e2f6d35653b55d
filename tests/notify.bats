#!/usr/bin/env bats
# lifeboat-notify and its hooks, mirror-watch, and what logrotate.conf does to writers.
# valgrind: in order of name|as one JSON object|is no event

load helper

setup() {
    private_store
    export LIFEBOAT_CONFIG=$PWD/config NO_PROXY=127.0.0.1
    mkdir -p config/notify.d there wrapped
    chmod 755 config config/notify.d
    PATH=$PWD/wrapped:$PATH
}

# --- helpers ----------------------------------------------------------------------

# hook NAME [MODE] <SCRIPT: one of the site's own.
hook() {
    { echo '#!/bin/sh' && cat; } >"config/notify.d/$1"
    chmod "${2:-755}" "config/notify.d/$1"
}

# A program that only notes its arguments.
stand_in() {
    printf '#!/bin/sh\nprintf "%%s\\n" "$*" >>%s/%s.args\n' "$PWD" "$1" >"wrapped/$1"
    chmod +x "wrapped/$1"
    : >"$1.args"
}

shipped() { cp "$top/scripts/notify.d/$1" config/notify.d/; }

serve() {
    background httpd python3 "$top/tests/httpd.py" there
    wait_until 10 test -s there/port
    port=$(cat there/port)
}

webhook_url() { # PATH
    printf 'http://127.0.0.1:%s%s\n' "$port" "$1" >config/webhook.url
    chmod 600 config/webhook.url
}

# --- the runner -------------------------------------------------------------------

@test "hooks run in order of name, with the event as argument" {
    for h in b 10 a 9; do echo "echo $h \"\$1\" \"\$#\" >>ran" | hook "$h"; done
    run_split lifeboat-notify mirror-ng '{}'
    assert_status 0
    [ "$(cat ran)" = '10 mirror-ng 1
9 mirror-ng 1
a mirror-ng 1
b mirror-ng 1' ]
}

@test "what the caller says comes as one JSON object with event, ts and host" {
    echo 'cat >got' | hook one
    LIFEBOAT_NOW=1740000000000 lifeboat-notify mirror-ng '{ "days" : 3,
        "text":"\u00e9\n", "event":"other", "n":9007199254740993 }'
    [ "$(wc -l <got)" -eq 1 ]
    grep -qF '"n":9007199254740993' got
    jq_true --arg host "$(uname -n)" '. == {event: "mirror-ng", ts: "2025-02-19T21:20:00.000Z",
        host: $host, days: 3, text: "é\n", n: 9007199254740992}' got
    # On standard input as well; a time of the caller's is the better one.
    echo '{"ts":"T","host":"H"}' | lifeboat-notify mirror-ng
    [ "$(cat got)" = '{"event":"mirror-ng","ts":"T","host":"H"}' ]
    lifeboat-notify mirror-ng </dev/null
    jq_true 'keys == ["event", "host", "ts"]' got
    lifeboat-notify -m 'unit=a\x2db.service' -m 'text=two = "three"' mirror-ng </dev/null
    jq_true '.unit == "a\\x2db.service" and .text == "two = \"three\""' got
    lifeboat-notify -m b=2 mirror-ng ' {"a":1 } '
    jq_true '.a == 1 and .b == "2"' got
    # No JSON reader refuses it: half a character is none.
    lifeboat-notify mirror-ng '{"\ud800":"\udfff"}'
    grep -qF '"\ufffd":"\ufffd"' got
}

@test "each hook reads all of it, whatever the one before did" {
    echo 'head -c 5 >/dev/null' | hook a
    echo 'exit 0' | hook b
    echo 'cat >got' | hook c
    lifeboat-notify mirror-ng '{"a":1}'
    jq_true '.a == 1' got
}

@test "a hook that fails is named, and does not stop the next" {
    echo 'exit 3' | hook a
    echo 'kill -9 $$' | hook b
    printf 'no script' >config/notify.d/c
    chmod 755 config/notify.d/c
    printf '#!/nowhere/sh\n' >config/notify.d/d
    chmod 755 config/notify.d/d
    ln -s nowhere config/notify.d/e
    echo 'echo last >>ran; echo said; echo complained >&2' | hook f
    run_split lifeboat-notify mirror-ng '{}'
    assert_status 1 "lifeboat-notify: $PWD/config/notify.d/a: exit status 3"
    assert_status 1 "/b: ended by signal 9"
    assert_status 1 "unable to run $PWD/config/notify.d/c: Exec format error"
    assert_status 1 "unable to run $PWD/config/notify.d/d: No such file"
    assert_status 1 "unable to run $PWD/config/notify.d/e: No such file"
    assert_status 1 'complained'
    assert_status 1 'said'
    [ "$(cat ran)" = last ]
    [ -z "$out" ]
}

@test "a hook that hangs is ended with all it started, and the next one runs" {
    cat <<'END' | hook a
trap '' TERM
setsid sh -c 'trap "" TERM; echo $$ >>pids; exec sleep 1000' &
(trap - TERM; echo $$ >>pids; exec sleep 1000)
echo survived >>pids
exec sleep 1000
END
    echo 'echo next >>ran' | hook b
    began=$SECONDS
    run_split lifeboat-notify --timeout 1 mirror-ng '{}'
    assert_status 1 "/a: not done after 1 s: it was ended"
    [ $((SECONDS - began)) -lt 15 ]
    [ "$(cat ran)" = next ]
    [ "$(wc -l <pids)" -ge 2 ]
    while read -r p; do
        if [ "$p" != survived ] && kill -0 "$p"; then return 1; fi
    done <pids
}

@test "ten seconds each where nothing else is said" {
    echo 'exec sleep 1000' | hook a
    began=$(date +%s%N)
    run_split lifeboat-notify mirror-ng '{}'
    ms=$((($(date +%s%N) - began) / 1000000))
    assert_status 1 'not done after 10 s'
    [ "$ms" -ge 10000 ]
    [ "$ms" -lt 16000 ]
}

@test "asked to stop it ends the hook and goes" {
    echo 'echo $$ >pid.part; mv pid.part pid; exec sleep 1000' | hook a
    echo 'echo next >>ran' | hook b
    background notify lifeboat-notify mirror-ng '{}'
    wait_until 10 test -s pid
    kill "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 143 ]
    [ ! -e ran ]
    run_split kill -0 "$(cat pid)"
    assert_status 1
}

@test "what is hidden, a copy, not executable or no file is passed over" {
    for h in .hidden copy~ a.dpkg-old b.dpkg-new c.dpkg-dist; do echo 'echo bad >>ran' | hook "$h"; done
    echo 'echo bad >>ran' | hook README 644
    mkdir config/notify.d/folder
    echo 'echo good >>ran' | hook z
    run_split lifeboat-notify mirror-ng '{}'
    assert_status 0
    [ -z "$errout" ]
    [ "$(cat ran)" = good ]
}

@test "a hook that others may write is refused with words, the others run" {
    echo 'echo group >>ran' | hook a 775
    echo 'echo other >>ran' | hook b 757
    echo 'echo good >>ran' | hook c
    run_split lifeboat-notify mirror-ng '{}'
    assert_status 1 "$PWD/config/notify.d/a: others may write to it (chmod go-w): it is not run"
    assert_status 1 'notify.d/b: others may write to it'
    [ "$(cat ran)" = good ]
    # Who may write to the folder may put a hook there.
    chmod 777 config/notify.d
    run_split lifeboat-notify mirror-ng '{}'
    assert_status 78 'notify.d: others may write to it (chmod go-w): nothing in it is run'
    [ "$(cat ran)" = good ]
}

@test "a hook of another user is refused" {
    [ "$(id -u)" -eq 0 ] || skip 'only root can give a file away'
    echo 'echo bad >>ran' | hook a
    chown 65534 config/notify.d/a
    run_split lifeboat-notify mirror-ng '{}'
    assert_status 1 'it belongs to another user'
    [ ! -e ran ]
}

@test "without hooks, and without a folder of them, there is nobody to tell" {
    run_split lifeboat-notify mirror-ng '{}'
    assert_status 0
    rmdir config/notify.d
    run_split lifeboat-notify mirror-ng '{}'
    assert_status 0
    [ -z "$out$errout" ]
    touch config/notify.d
    run_split lifeboat-notify mirror-ng '{}'
    assert_status 78 'notify.d'
}

@test "what is no event and what is no object is refused before a hook runs" {
    echo 'echo bad >>ran' | hook a
    for e in '' Mirror mirror_ng ../x 9a "$(printf 'a%.0s' {1..65})"; do
        run_split lifeboat-notify "$e" '{}'
        assert_status 64 'an event is named by'
    done
    for j in '[1]' '{"a":1' '{}x' '{"a":nul}' 'text'; do
        run_split lifeboat-notify mirror-ng "$j"
        assert_status 65 'the JSON of the event: byte'
        run_split lifeboat-notify -m a=b mirror-ng "$j"
        assert_status 65 'the JSON of the event'
    done
    run_split lifeboat-notify
    assert_status 64 'wants an EVENT'
    run_split lifeboat-notify a '{}' c
    assert_status 64 'wants an EVENT'
    run_split lifeboat-notify -m =b a
    assert_status 64 'wants NAME=TEXT'
    run_split lifeboat-notify --timeout 0 a
    assert_status 64 'wants one second to a day'
    [ ! -e ran ]
}

@test "a hook knows the settings, those of lifeboat.env too" {
    echo 'echo "$LIFEBOAT_CONFIG $LIFEBOAT_LED" >got' | hook a
    unset LIFEBOAT_CONFIG
    printf 'LIFEBOAT_CONFIG=%s/config\nLIFEBOAT_LED=/sys/class/leds/ACT\n' "$PWD" >lifeboat.env
    lifeboat-notify mirror-ng '{}'
    [ "$(cat got)" = "$PWD/config /sys/class/leds/ACT" ]
}

# --- the shipped hooks ------------------------------------------------------------

@test "journal: one line in the system's log, by the event's weight" {
    stand_in logger
    shipped journal
    lifeboat-notify mirror-ok '{"text":"fine"}'
    lifeboat-notify mirror-ready '{"text":"14"}'
    lifeboat-notify mirror-ng '{"text":"NG for 2 days\nuser.emerg -- forged"}'
    lifeboat-notify mirror-missed '{"text":"none"}'
    lifeboat-notify mirror-error '{"text":"psql"}'
    lifeboat-notify mirrorctl-failed '{"why":"ssh"}'
    [ "$(cat logger.args)" = '-t lifeboat -p user.notice -- mirror-ok: fine
-t lifeboat -p user.notice -- mirror-ready: 14
-t lifeboat -p user.warning -- mirror-ng: NG for 2 days user.emerg -- forged
-t lifeboat -p user.warning -- mirror-missed: none
-t lifeboat -p user.err -- mirror-error: psql
-t lifeboat -p user.err -- mirrorctl-failed: {"why":"ssh"}' ]
}

# The light as the kernel shows it, in a folder that stands in for that of /sys.
light() {
    mkdir -p led
    echo 255 >led/max_brightness
    echo 0 >led/brightness
    [ -z "$1" ] || echo "$1" >led/trigger
    export LIFEBOAT_LED=$PWD/led
    shipped led
}

@test "led: blinks while the servers differ, burns on failure, goes out when all is well" {
    light '[none] timer heartbeat'
    lifeboat-notify mirror-ng '{}'
    [ "$(cat led/trigger led/delay_on led/delay_off)" = 'timer
200
800' ]
    for e in mirror-error mirror-missed mirrorctl-failed unit-failed; do
        echo timer >led/trigger
        echo 0 >led/brightness
        lifeboat-notify "$e" '{}'
        [ "$(cat led/trigger led/brightness)" = 'none
255' ]
    done
    for e in mirror-ok mirror-ready; do
        echo timer >led/trigger
        echo 255 >led/brightness
        lifeboat-notify "$e" '{}'
        [ "$(cat led/trigger led/brightness)" = 'none
0' ]
    done
    # Of an event it does not know it says nothing.
    echo 77 >led/brightness
    lifeboat-notify something-else '{}'
    [ "$(cat led/brightness)" = 77 ]
}

@test "led: without a timer it burns; without the setting it does nothing" {
    light '[none] heartbeat'
    lifeboat-notify mirror-ng '{}'
    [ "$(cat led/brightness)" = 255 ]
    rm led/trigger
    echo 0 >led/brightness
    lifeboat-notify mirror-ng '{}'
    [ "$(cat led/brightness)" = 255 ]
    [ ! -e led/trigger ]
    LIFEBOAT_LED=$PWD/nowhere run_split lifeboat-notify mirror-ng '{}'
    assert_status 1 'nowhere: there is no such light (LIFEBOAT_LED)'
    unset LIFEBOAT_LED
    run_split lifeboat-notify mirror-ng '{}'
    assert_status 0
    [ -z "$errout" ]
}

@test "webhook: posts the text as Slack takes it, and the URL is in no process list" {
    serve
    webhook_url /services/T0/SECRET
    shipped webhook
    cat >wrapped/curl <<END
#!/bin/sh
echo "\$*" >>$PWD/curl.args
exec $(command -v curl) "\$@"
END
    chmod +x wrapped/curl
    run_split lifeboat-notify mirror-ng '{"host":"box","text":"a \"b\" \\ é 🚣 @x\n\u0007 %s"}'
    assert_status 0
    jq_true '.method == "POST" and .path == "/services/T0/SECRET"
        and .headers["content-type"] == "application/json"
        and (.body | fromjson) == {text: "box: mirror-ng: a \"b\" \\ é 🚣 @x\n\u0007 %s"}' there/log
    run_split grep -F -e SECRET -e '🚣' curl.args
    assert_status 1
}

@test "webhook: that all is well is posted only when it was not before" {
    serve
    webhook_url /hook
    shipped webhook
    lifeboat-notify mirror-ok '{"text":"fine","recovered":false}'
    lifeboat-notify mirror-ok '{"text":"again","recovered":true}'
    [ "$(jq -r '.body | fromjson.text' there/log)" = "$(uname -n): mirror-ok: again" ]
}

@test "webhook: an answer that is no success, and none at all, are failures with words" {
    serve
    webhook_url /hook
    shipped webhook
    for code in 302 403 500; do
        echo "$code" >there/script
        run_split lifeboat-notify mirror-ng '{"text":"x"}'
        assert_status 1 "the other side answered with status $code"
    done
    stop_background
    run_split lifeboat-notify mirror-ng '{"text":"x"}'
    assert_status 1 'curl: exit status 7'
    [[ $errout != */hook* ]]
}

@test "webhook: a side that does not answer takes less than a hook may" {
    serve
    webhook_url /hook
    shipped webhook
    echo hang >there/script
    run_split lifeboat-notify mirror-ng '{"text":"x"}'
    assert_status 1 'curl: exit status 28'
}

@test "webhook: no file, nothing; a file for others' eyes, or with no URL, is refused" {
    serve
    shipped webhook
    run_split lifeboat-notify mirror-ng '{"text":"x"}'
    assert_status 0
    webhook_url /hook
    chmod 644 config/webhook.url
    run_split lifeboat-notify mirror-ng '{"text":"x"}'
    assert_status 1 'webhook.url: others may use it: chmod 640'
    chmod 640 config/webhook.url
    for url in 'file:///etc/passwd' 'http://a"b' "http://127.0.0.1:$port/ -o x" 'ftp://x' ''; do
        printf '%s\n' "$url" >config/webhook.url
        run_split lifeboat-notify mirror-ng '{"text":"x"}'
        assert_status 1 'webhook.url: wants'
    done
    [ ! -s there/log ]
}

# --- mirror-watch -----------------------------------------------------------------

# status FILTER: what mirrorctl says, from a sound fifth day on.
status() {
    jq -nc --argjson now "$(date +%s)" '
        def days($list): $list | split(" ") | map({day: "x", result: .});
        def at($hours): $now - ($hours * 3600 | floor) | todate;
        {mirror_mode: true, streak: 5, target: 14, last_compare: at(6), last_result: "OK",
            last_why: null, last_diff: null, last_diff_records: 2, latency: null,
            days: days("NONE NONE NONE NONE NONE NONE NONE NONE NG OK OK OK OK OK")}
        | '"$1" >status.json
    cat >wrapped/mirrorctl <<END
#!/bin/sh
echo "\$*" >>$PWD/mirrorctl.args
cat $PWD/status.json
END
    chmod +x wrapped/mirrorctl
    echo 'jq -c . >>told' | hook a
    rm -f told
}
told() { jq -rs "[.[] | ${1-.event}] | join(\" \")" told 2>/dev/null; }

@test "watch: all is well is told, and is no reason to be alarmed" {
    status .
    run_split mirror-watch
    assert_status 0
    [ "$(told)" = mirror-ok ]
    [ "$(told .recovered)" = false ]
    [ "$(cat mirrorctl.args)" = 'status --json' ]
    status '.days = days("NG NG OK")'
    run_split mirror-watch
    assert_status 0
    [ "$(told .recovered)" = true ]
    status '.days = days("NG NG NONE") | .days[1].result = "ERROR" | .days[2].result = "OK"'
    mirror-watch
    [ "$(told .recovered)" = true ]
}

@test "watch: NG is told with the number of days it has lasted" {
    status '.streak = 0 | .last_result = "NG" | .days = days("OK OK NG NG NG")'
    run_split mirror-watch
    assert_status 1 'mirror-watch: mirror-ng: NG for 3 days: 2 records differ, OK streak 0 of 14'
    [ "$(told '.event, .days, .records, .streak')" = 'mirror-ng 3 2 0' ]
    # Today has had no run yet.
    status '.streak = 0 | .last_result = "NG" | .last_compare = at(23) | .days = days("OK NG NONE")'
    run_split mirror-watch
    assert_status 1 'NG for 1 day:'
    [ "$(told)" = mirror-ng ]
    # NG and then OK on one day is NG.
    status '.streak = 0 | .days = days("OK OK NG")'
    run_split mirror-watch
    assert_status 1
    [ "$(told)" = mirror-ng ]
    status '.streak = 0 | .last_result = "NG" | .last_diff_records = 1 | .days = days("NG NG")'
    run_split mirror-watch
    assert_status 1 'NG for 2 days: 1 record differs'
}

@test "watch: a failed comparison is told with its reason" {
    status '.streak = 0 | .last_result = "ERROR" | .last_why = "psql: exit status 2" | .days = days("OK ERROR")'
    run_split mirror-watch
    assert_status 1 'mirror-error: the last comparison failed: psql: exit status 2'
    [ "$(told '.event, .why')" = 'mirror-error psql: exit status 2' ]
    # The gravest comes last.
    status '.streak = 0 | .last_result = "ERROR" | .last_why = "x" | .days = days("OK NG NG")'
    run_split mirror-watch
    assert_status 1
    [ "$(told)" = 'mirror-error mirror-ng' ]
}

@test "watch: more than a day without a comparison is told" {
    status '.last_compare = at(25.5)'
    run_split mirror-watch
    assert_status 0
    status '.last_compare = at(30.5) | .days = days("OK OK NONE")'
    run_split mirror-watch
    assert_status 1 'mirror-missed: no comparison for more than a day, the last one: 20'
    [ "$(told)" = mirror-missed ]
    status '.last_compare = null | .last_result = null | .streak = 0 | .days = days("NONE NONE")'
    run_split mirror-watch
    assert_status 1 'no comparison for more than a day, the last one: never'
    [ "$(told)" = mirror-missed ]
    # Who has just been enabled need not have been compared, however long ago the last was.
    status '.switched = "ENABLED" | .switched_at = at(3) | .last_compare = at(500)'
    run_split mirror-watch
    assert_status 0
    [ "$(told)" = mirror-ok ]
    status '.switched = "ENABLED" | .switched_at = at(30) | .last_compare = null | .last_result = null'
    run_split mirror-watch
    assert_status 1 'the last one: never'
    # With milliseconds, and from a clock that stood wrong.
    status '.last_compare = (at(-48) | sub("Z"; ".123Z"))'
    run_split mirror-watch
    assert_status 1 'is still to come: look at the clock'
}

@test "watch: the fourteenth day is told" {
    status '.streak = 13'
    mirror-watch
    [ "$(told)" = mirror-ok ]
    status '.streak = 14'
    run_split mirror-watch
    assert_status 1 'mirror-ready: equal for 14 days: the new server may take over'
    [ "$(told '.event, .streak')" = 'mirror-ready 14' ]
    status '.streak = 15'
    run_split mirror-watch
    assert_status 1 'equal for 15 days'
}

@test "watch: a mirror that is off says nothing, however things stand" {
    status '.mirror_mode = false | .streak = 0 | .last_result = "NG" | .last_compare = at(500) | .days = days("NG NG")'
    run_split mirror-watch
    assert_status 0
    [ -z "$out$errout" ]
    [ ! -e told ]
    # Disabled here, or never enabled, whatever the handheld says or does not say.
    for s in null '"DISABLED"'; do
        for mode in null true false; do
            status ".mirror_mode = $mode | .switched = $s | .last_result = \"ERROR\" | .days = days(\"NG NG\")"
            run_split mirror-watch
            assert_status 0
            [ ! -e told ]
        done
    done
    # Off on the handheld alone is another matter.
    status '.mirror_mode = false | .switched = "ENABLED"'
    run_split mirror-watch
    assert_status 1 'mirrorctl-failed: the mirror was enabled here, but the handheld does not mirror'
}

@test "watch: a handheld that is not reached is told, unless nobody was to ask it" {
    status '.mirror_mode = null'
    run_split mirror-watch -c mine.json
    assert_status 1 'mirrorctl-failed: the handheld is not reached'
    [ "$(told)" = mirrorctl-failed ]
    status '.mirror_mode = null'
    run_split mirror-watch --local
    assert_status 0
    [ "$(told)" = mirror-ok ]
    [ "$(cat mirrorctl.args)" = 'status --json -c mine.json
status --json --local' ]
}

@test "watch: that mirrorctl fails, or talks nonsense, is told as well" {
    status .
    printf '#!/bin/sh\necho "mirrorctl: no such file" >&2\nexit 78\n' >wrapped/mirrorctl
    run_split mirror-watch
    assert_status 1 'mirrorctl: no such file'
    [ "$(told '.event, .status')" = 'mirrorctl-failed 78' ]
    for nonsense in '' '{' '[]' '{}' '{"mirror_mode":true,"days":[]}' '{"mirror_mode":true,"streak":0,"target":14}' \
        '{"mirror_mode":true,"streak":0,"target":14,"days":[],"last_compare":"yesterday"}'; do
        status .
        printf '%s' "$nonsense" >status.json
        run_split mirror-watch
        assert_status 1
        [ "$(told)" = mirrorctl-failed ] || show_run "wanted mirrorctl-failed of: $nonsense"
    done
}

@test "watch: a failing hook changes nothing; no lifeboat-notify is 69" {
    status '.streak = 14'
    echo 'exit 1' | hook 0
    run_split mirror-watch
    assert_status 1 'notify.d/0: exit status 1'
    [ "$(told)" = mirror-ready ]
    chmod 777 config/notify.d
    run_split mirror-watch
    assert_status 69 'nobody was told of mirror-ready'
    chmod 755 config/notify.d
    run_split mirror-watch --nonsense
    assert_status 64
}

# --- logrotate.conf ---------------------------------------------------------------

@test "logrotate: no line is lost, and the logs of others are left alone" {
    logrotate=$(PATH=$PATH:/usr/sbin command -v logrotate) || skip 'logrotate is not installed'
    mkdir -p var/log/lifeboat srv/rpi-server/logs var/lib/mirror
    sed -e "s|^/|$PWD/|" -e "s/lifeboat lifeboat/$(id -un) $(id -gn)/" "$top/scripts/logrotate.conf" >conf
    run_split grep -E '^[^#]*(mirror_status|mirror_requests|mirror_diff|ok_counter|/var/lib/mirror)' conf
    assert_status 1
    mine='var/log/lifeboat/requests.log var/log/lifeboat/mirror-send.log srv/rpi-server/logs/mirrorctl.log'
    other='srv/rpi-server/logs/mirror_requests.log var/lib/mirror/mirror_status.log var/lib/mirror/mirror_diff.log'
    # Opened for each line, as all of ours are.
    write() {
        local n=0 f
        until [ -e stop ]; do
            for f in $mine $other; do echo "$1 $n" >>"$f"; done
            n=$((n + 1))
        done
        echo "$n" >"count.$1"
    }
    export mine other
    export -f write
    for w in 1 2 3; do background "writer$w" bash -c "write $w"; done
    written() { for f in $mine; do [ -s "$f" ] || return; done; }
    for _ in {1..12}; do
        wait_until 10 written
        "$logrotate" -f -s "$PWD/state" conf
    done
    touch stop
    wait_until 20 test -s count.1 -a -s count.2 -a -s count.3
    wanted=$(cat count.? | awk '{ n += $1 } END { print n }')
    [ "$wanted" -gt 100 ]
    for f in $mine; do
        [ -e "$f.1" ]
        [ -e "$f.2.gz" ]
        # The day after the last line there may be no new file yet; and where both
        # logrotate and a writer make it, logrotate puts the writer's aside.
        compgen -G "$f*" | xargs zcat -f >all
        [ "$(wc -l <all)" -eq "$wanted" ]
        [ "$(sort -u all | wc -l)" -eq "$wanted" ]
        [[ $f == */mirrorctl.log ]] || [ -z "$(compgen -G "$f-*")" ]
    done
    for f in $other; do
        [ "$(wc -l <"$f")" -eq "$wanted" ]
        [ "$(compgen -G "$f*")" = "$f" ]
    done
}

# That the service is told is in operations.sh; here a systemctl of our own tells it.
@test "logrotate: the logs that lighttpd keeps open are opened anew, and nothing goes on into the old ones" {
    logrotate=$(PATH=$PATH:/usr/sbin command -v logrotate) || skip 'logrotate is not installed'
    PATH=$PATH:/usr/sbin command -v lighttpd || skip 'lighttpd is not installed'
    mkdir -p var/log/lifeboat stubs
    log=$PWD/var/log/lifeboat
    # The CGI says on standard error that it cannot write this one.
    SERVE_LOGS=$log LIFEBOAT_HTTP_LOG=$PWD/none/requests.log background serve env "LIFEBOAT_BIN=$bin" "$top/scripts/serve"
    front=$pid
    wait_until 30 grep -q '^http://' serve.out
    printf '#!/bin/sh\necho "$*" >>%s\nkill -HUP $(pgrep -P %s lighttpd)\n' "$PWD/told" "$front" >stubs/systemctl
    chmod +x stubs/systemctl
    sed -e "s|^/|$PWD/|" -e "s/lifeboat lifeboat/$(id -un) $(id -gn)/" "$top/scripts/logrotate.conf" >conf
    for n in 1 2 3; do
        PATH=$PWD/stubs:$PATH "$logrotate" -f -s "$PWD/state" conf
        wait_until 10 test -e "$log/lighttpd.log" -a -e "$log/cgi.log"
        [ -e "$log/lighttpd.log.1" ]
        [ "$(wc -l <told)" -eq "$n" ]
        before=$(wc -l <"$log/cgi.log.1")
        curl -s -o answer "$(cat serve.out)api/health"
        wait_until 10 grep -q 'requests.log' "$log/cgi.log"
        [ "$(wc -l <"$log/cgi.log.1")" -eq "$before" ]
    done
    [ -e "$log/lighttpd.log.2.gz" ]
    grep -qx 'kill --kill-who=main --signal=HUP lifeboat-http.service' told
}
