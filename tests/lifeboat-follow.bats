#!/usr/bin/env bats
# lifeboat-follow: a standby kept with an ssh that stays on this machine, and with a real
# one; the alarm on the standby, and its promotion.

# plain

load helper
load sshd

setup() {
    private_store
    mkdir fake here there config
    PATH=$PWD/fake:$PATH
    LIFEBOAT_DB=$PWD/here/lifeboat.db
    export LIFEBOAT_CONFIG=$PWD/config
    far=$PWD/there/lifeboat.db
    state=here/status/follow-box2.json
    # ssh OPTIONS... HOST CMD...: runs CMD on the store of the standby. With a file
    # "fails" it ends with the status in it, with "hangs" it says nothing.
    cat >fake/ssh <<'END'
#!/bin/sh
cd "$(dirname "$0")/.." || exit
echo "$$ $*" >>ssh.log
[ ! -e hangs ] || exec tail -f /dev/null
[ ! -e fails ] || { echo 'ssh: box2: no route to host' >&2 && exit "$(cat fails)"; }
while :; do
    case $1 in
    -o) shift 2 ;;
    -*) shift ;;
    *) break ;;
    esac
done
shift
LIFEBOAT_DB=$PWD/there/lifeboat.db
exec sh -c "exec $*"
END
    chmod +x fake/ssh
    mkevents 20 | evstore-append -q
}

# --- helpers ----------------------------------------------------------------------

there() { LIFEBOAT_DB=$far "$@"; }
far_digest() { there evstore-export --digest 2>/dev/null; }
same() { [ "$(far_digest)" = "$(evstore-export --digest)" ]; }
# The process that ssh became for the command whose line matches.
ssh_pid() { sed -n "s/ .*$1.*//p" ssh.log | tail -n 1; }
says() { jq -e "$1" "$state" >/dev/null 2>&1; }
ended() {
    status=0
    wait "$1" || status=$?
}
# The script with other constants: NAME=VALUE...
with() {
    local -a edits=()
    local c
    mkdir -p quick
    for c; do
        grep -q "${c%%=*}=[0-9]" "$top/scripts/lifeboat-follow"
        edits+=(-e "s/${c%%=*}=[0-9]*/$c/")
    done
    sed "${edits[@]}" "$top/scripts/lifeboat-follow" >quick/lifeboat-follow
    cp "$top"/scripts/*.bash quick/
    chmod +x quick/lifeboat-follow
    PATH=$PWD/quick:$PATH
}
follow() {
    background live lifeboat-follow --retry-max 0.1 "$@"
    live=$pid
}

# --- the sending side -------------------------------------------------------------

@test "what is committed here is soon there, and the status says so" {
    follow box2
    wait_until 10 same
    mkevents 30 late | evstore-append -q
    wait_until 10 same
    grep -q 'box2 goes on from start' live.err
    wait_until 10 says '.connected and .why == null'
    jq_true '(.ts - .since) >= 0 and .behind >= 0 and .lag_ms >= 0 and (.cursor | test("^[0-9a-f]{16}:[0-9]+:[0-9a-f]{8}$"))' "$state"
    [ "$(stat -c %a "$state")" = 644 ]
    [ "$(stat -c %a here/status)" = 755 ]
}

@test "a new start goes on from the cursor that the standby keeps" {
    follow box2 here
    wait_until 10 same
    stop_background
    mkevents 30 late | evstore-append -q
    cursor=$(there evstore-restore --cursor-of here)
    follow box2 here
    wait_until 10 same
    grep -qF "box2 goes on from $cursor" live.err
    [ "$cursor" != start ]
}

@test "a connection that breaks is made anew, idle or not, and the status says why it broke" {
    follow box2 here
    wait_until 10 says .connected
    echo 255 >fails
    kill "$(ssh_pid --follow)"
    wait_until 10 says '.connected == false'
    wait_until 10 says '.why == "ssh: box2: no route to host"'
    mkevents 5 late | evstore-append -q
    rm fails
    wait_until 10 same
    wait_until 10 says '.connected and .why == null'
    # The far end, and this one.
    kill -9 "$(pgrep -P "$(ssh_pid --follow)" || ssh_pid --follow)"
    wait_until 10 says '.connected == false'
    wait_until 10 says .connected
    kill -9 "$(pgrep -f "evstore-export --follow --full --heartbeat 15" -P "$(pgrep -P "$live" | head -n 1)")"
    mkevents 5 later | evstore-append -q
    wait_until 10 same
    kill -0 "$live"
}

@test "lag is how long the oldest event waits that the standby does not have" {
    with look_s=1
    follow box2 here
    wait_until 10 same
    wait_until 10 says '.connected and .behind == 0 and .lag_ms == 0 and (.cursor | split(":")[1] == "20")'
    echo 255 >fails
    kill "$(ssh_pid --follow)"
    # One that happens here: its ts_server is this store's time.
    echo '{"entity_type":"a","entity_id":"1","event_type":"T","actor_id":"A","payload":1}' | evstore-append -q
    mkevents 4 late | evstore-append -q
    came=$(evstore-export --full --order seq --after "$(jq -r .cursor "$state")" --limit 1 | jq .ts_server)
    wait_until 10 says '.behind == 5'
    jq_true --argjson came "$came" '.lag_ms == .ts - $came' "$state"
    first=$(jq .lag_ms "$state")
    # It grows while nothing comes through, also for one who starts anew.
    wait_until 10 says ".lag_ms >= $first + 1000"
    kill "$live"
    ended "$live"
    follow box2 here
    wait_until 10 says ".behind == 5 and .lag_ms > $first + 1000"
    rm fails
    wait_until 10 says '.connected and .behind == 0 and .lag_ms == 0'
}

@test "an event that another store had first waits here since it came here" {
    with look_s=1
    follow box2 here
    wait_until 10 says .connected
    echo 255 >fails
    kill "$(ssh_pid --follow)"
    mkevents 1 old | sed 's/}$/,"ts_server":1700000000000}/' | evstore-restore -q
    wait_until 10 says '.behind == 1'
    jq_true '.lag_ms < 60000' "$state"
}

@test "pauses double from a second, half of each left to chance, up to the longest" {
    echo 255 >fails
    background live lifeboat-follow --retry-max 3 box2
    pauses() { [ "$(grep -c 'again in' live.err)" -ge 4 ]; }
    wait_until 15 pauses
    sed -n 's/.*again in \(.*\) s/\1/p' live.err | awk '
        { d = NR == 1 ? 1 : NR == 2 ? 2 : 3; if ($1 < d / 2 || $1 > d) { print NR, $1; exit 1 } }'
}

@test "after a connection that held the first pause is a second's again" {
    with held_s=1
    echo 255 >fails
    background live lifeboat-follow --retry-max 4 box2
    third() { [ "$(grep -c 'again in' live.err)" -eq "$1" ]; }
    wait_until 15 third 2
    rm fails
    wait_until 15 says .connected
    # It held as long as is asked for, by the clock that it is told by.
    since=$EPOCHSECONDS
    held() { [ "$EPOCHSECONDS" -gt $((since + 1)) ]; }
    wait_until 10 held
    echo 255 >fails
    kill "$(ssh_pid --follow)"
    wait_until 10 third 3
    [ "$(sed -n 's/.*again in \(.*\)\.[0-9]* s/\1/p' live.err | tail -n 1)" -le 1 ]
    # One that did not hold is one more failure.
    wait_until 10 third 4
    sed -n 's/.*again in \(.*\) s/\1/p' live.err | tail -n 1 | awk '{ exit !($1 >= 1) }'
}

@test "what no new attempt will cure ends it with its status; anything else does not" {
    for n in 64 76 77 78; do
        echo $n >fails
        run_split lifeboat-follow box2
        assert_status "$n" "lifeboat-follow: box2: exit status $n: somebody has to look"
        says '.connected == false and .why == "ssh: box2: no route to host"'
    done
    for n in 1 65 69 74 75 126 127 255; do
        : >ssh.log
        echo $n >fails
        follow box2
        twice() { [ "$(wc -l <ssh.log)" -ge 2 ]; }
        wait_until 10 twice
        stop_background
    done
}

@test "a cursor that does not fit ends it with 76: the box was replaced" {
    follow box2 here
    wait_until 10 same
    rm here/lifeboat.db*
    mkevents 5 | evstore-append -q
    ended "$live"
    [ "$status" -eq 76 ]
    run_split lifeboat-follow box2 here
    assert_status 76 'evstore-export: cursor '
    jq_true '.connected == false and (.why | test("of another store")) and .behind == null' "$state"
    [ "$(there evstore-export | wc -l)" -eq 20 ]
}

@test "TERM ends it promptly: connected, waiting, connecting, and on a dead line" {
    stops() {
        local began=${EPOCHREALTIME/./}
        kill "$live"
        ended "$live"
        [ "$status" -eq 143 ]
        [ $((${EPOCHREALTIME/./} - began)) -lt 4000000 ]
        says '.connected == false and .why == "stopped"'
        wait_until 5 none_left
    }
    follow box2 here
    wait_until 10 says .connected
    mkevents 500 late | evstore-append -q
    stops
    # What was sent before is through: what is there is a beginning of what is here.
    there evstore-export --order seq | cmp -n "$(there evstore-export | wc -c)" - <(evstore-export --order seq)
    follow box2 here
    wait_until 10 says .connected
    kill -STOP "$(ssh_pid --follow)"
    stops
    touch hangs
    : >ssh.log
    follow box2 here
    wait_until 10 test -s ssh.log
    stops
    rm hangs
    echo 255 >fails
    background live lifeboat-follow box2 here
    live=$pid
    wait_until 10 grep -q 'again in' live.err
    stops
}

@test "killed with -9, it leaves nobody behind that keeps its place for long" {
    follow box2 here
    wait_until 10 says .connected
    kill -9 "$live"
    ended "$live"
    mkevents 5 late | evstore-append -q
    follow box2 here
    mkevents 5 later | evstore-append -q
    wait_until 20 same
    wait_until 20 says .connected
}

@test "a status that cannot be written is said, and the standby is kept all the same" {
    printf '#!/bin/sh\necho "sync: no space" >&2\nexit 1\n' >fake/sync
    chmod +x fake/sync
    follow box2 here
    wait_until 10 same
    wait_until 10 grep -q 'cannot be written' live.err
    kill -0 "$live"
    [ ! -e "$state" ]
}

@test "ssh asks nothing, trusts no strange host and notices a dead line" {
    follow box2
    wait_until 10 same
    for o in BatchMode=yes StrictHostKeyChecking=yes ServerAliveInterval=5 ConnectTimeout=5; do
        [ "$(grep -cF -- "-o $o" ssh.log)" -eq 2 ]
    done
}

@test "a host that is an option or holds a command is refused" {
    for host in -oProxyCommand=x 'box;reboot' "box \$(reboot)" '' a/b; do
        run_split lifeboat-follow -- "$host"
        assert_status 64
    done
    for name in '' 'name;reboot' -x a/b; do
        run_split lifeboat-follow -- box2 "$name"
        assert_status 64
        run_split lifeboat-follow --promote "$name"
        assert_status 64
    done
    run_split lifeboat-follow
    assert_status 64 'wants a HOST'
    run_split lifeboat-follow --retry-max soon box2
    assert_status 64 'wants seconds'
    [ ! -e ssh.log ]
}

@test "--help and -V" {
    run_split lifeboat-follow --help
    assert_status 0
    [[ $out == usage:* ]]
    run_split lifeboat-follow -V
    assert_status 0
    [[ $out == lifeboat-follow' '* ]]
}

# --- over a real ssh --------------------------------------------------------------

plain_settings=$(declare -f sshd_settings)
eval "plain_${plain_settings}"
sshd_settings() {
    plain_sshd_settings
    echo "SetEnv LIFEBOAT_DB=$far LIFEBOAT_ENV=$LIFEBOAT_ENV PATH=$PATH STARTED_BY=$BATS_TEST_TMPDIR"
}

@test "over a real sshd: it connects, is cut off, and comes back" {
    sshd_start
    real=$(PATH=${PATH#"$PWD/fake:"} command -v ssh)
    cat >ssh_config <<END
Host box2
    HostName 127.0.0.1
    Port $ssh_port
    User $(id -un)
    IdentityFile $PWD/id
    UserKnownHostsFile $PWD/known_hosts
END
    printf '#!/bin/sh\nexec %s -F %s/ssh_config "$@"\n' "$real" "$PWD" >fake/ssh
    follow box2 here
    wait_until 20 same
    wait_until 10 says .connected
    # The client here; then the session on the other side.
    for who in 'ssh .* box2 evstore-restore' "evstore-restore -q --follow --acks .* here"; do
        victim=$(for p in $(started_here); do
            ! tr '\0' ' ' <"/proc/$p/cmdline" | grep -q "^[^ ]*$who" || echo "$p"
        done | head -n 1)
        since=$(jq .since "$state")
        kill -9 "$victim"
        wait_until 10 says ".since > $since"
        mkevents 5 "after-$victim" | evstore-append -q
        wait_until 20 same
    done
    # A strange host's key is not taken.
    stop_background
    knows other_host_key.pub
    run_split timeout 10 lifeboat-follow --retry-max 0.1 box2 here
    assert_status 124 'again in'
    [ "$(jq -r .connected "$state")" = false ]
}

# --- the alarm --------------------------------------------------------------------

base=1790000000000

# hooks [STATUS]: notes what is told.
hooks() {
    mkdir -p config/notify.d
    chmod 755 config config/notify.d
    # shellcheck disable=SC2016
    printf '#!/bin/sh\njq -c "{event, source, text}" >>%s/told\nexit %s\n' "$PWD" "${1:-0}" >config/notify.d/note
    chmod 755 config/notify.d/note
    : >>told
}

# look MINUTE [STATUS]: as the timer does, on the standby.
look() {
    run_split env LIFEBOAT_DB="$far" LIFEBOAT_NOW=$((base + $1 * 60000)) lifeboat-follow --watch
    assert_status "${2:-0}"
}
# Something comes from a source.
hear() { touch -d "@$((RANDOM * 1000 + SRANDOM % 1000)).5" "$far-heard-${1:-box1}"; }
told() { [ "$(jq -r '"\(.event) \(.source)"' told)" = "$1" ]; }
heard_json=there/status/heard-box1.json

@test "silence of 5 minutes is told, once; that it is over, once" {
    hooks
    hear
    for m in 0 1 2 3 4; do look $m; done
    told ''
    jq_true '.gone == false and .silent_ms == 240000' "$heard_json"
    look 5 1
    told 'follow-gone box1'
    [[ $errout == 'lifeboat-follow: follow-gone: nothing was heard from box1 for 5 minutes; the last time at '* ]]
    jq_true --argjson now $((base + 300000)) '.gone and .since == $now and .ts == $now
        and .heard_at % 1000 == 500' "$heard_json"
    for m in 6 7 8 500 501; do look $m 1; done
    told 'follow-gone box1'
    jq_true --argjson now $((base + 300000)) '.gone and .since == $now' "$heard_json"
    hear
    look 502
    [ "$errout" = 'lifeboat-follow: follow-back: box1 is heard again' ]
    look 503
    told $'follow-gone box1\nfollow-back box1'
    jq_true '.gone == false' "$heard_json"
}

@test "who is heard every few minutes is not gone" {
    hooks
    for m in 0 4 5 8 12 13 17; do
        hear
        for k in 0 1 2 3; do look $((m + k)); done
    done
    told ''
}

@test "a night in which the standby was off is no silence of the other" {
    hooks
    hear
    for m in 0 1 2 3 4; do look $m; done
    look 600
    told ''
    for m in 601 602 603 604; do look $m; done
    told ''
    look 605 1
    told 'follow-gone box1'
    # Nor does a reboot make it tell again.
    look 900 1
    look 901 1
    told 'follow-gone box1'
}

@test "a clock that jumps hides no silence and makes none" {
    hooks
    hear
    look 0
    look 1
    look 500000
    look 500001
    hear
    look 500002
    told ''
    # Back by a year.
    for m in 3 4 5 6 7; do look $m; done
    told ''
    look 8 1
    told 'follow-gone box1'
    hear
    look -3
    told $'follow-gone box1\nfollow-back box1'
}

@test "a look counts for a minute and a quarter at most" {
    hooks
    hear
    for m in 0 2 4 6; do look $m; done
    jq_true '.silent_ms == 225000' "$heard_json"
    look 8 1
    told 'follow-gone box1'
}

@test "when nobody could be told, it is told at the next look" {
    hooks
    hear
    for m in 0 1 2 3 4; do look $m; done
    chmod 757 config/notify.d
    look 5 69
    [[ $errout == *'nobody was told of follow-gone'* ]]
    jq_true '.gone == false' "$heard_json"
    chmod 755 config/notify.d
    look 6 1
    told 'follow-gone box1'
    # A hook that was not content did run.
    hooks 1
    hear
    look 7
    told $'follow-gone box1\nfollow-back box1'
    look 8
    told $'follow-gone box1\nfollow-back box1'
}

@test "each source has its own silence; one that was taken away has none" {
    hooks
    hear box1
    hear box-3
    for m in 0 1 2 3 4; do
        look $m
        hear box-3
    done
    look 5 1
    told 'follow-gone box1'
    rm "$far-heard-box1"
    look 6
    [ ! -e "$heard_json" ]
    [ -e there/status/heard-box-3.json ]
    told 'follow-gone box1'
}

@test "a look that finds its notes spoilt begins anew; two at once are one" {
    hooks
    hear
    for m in 0 1 2 3 4; do look $m; done
    for spoilt in 'not json' '[]' '{"ts":1}' ''; do
        printf '%s' "$spoilt" >"$heard_json"
        look 5
        jq_true '.gone == false and .silent_ms == 0' "$heard_json"
    done
    background holder flock -F there/status tail -f /dev/null
    held() { ! flock -n there/status true; }
    wait_until 5 held
    look 6 75
}

@test "a standby that hears nobody has nothing to look at" {
    look 0
    [ -z "$out$errout" ]
}

@test "what arrives is heard: a heartbeat too, and the alarm knows it" {
    hooks
    with heartbeat=1
    follow box2 box1
    wait_until 10 same
    wait_until 10 says .connected
    look 0
    mark=$(jq .mark "$heard_json")
    beaten() { look "${1:-1}" && [ "$(jq .mark "$heard_json")" != "$mark" ]; }
    wait_until 10 beaten
    stop_background
    # What came after that look was heard by the next one, if something did.
    for m in 2 3 4 5; do look $m; done
    [ "$(jq .silent_ms "$heard_json")" -eq 300000 ] || look 6 "$(($(jq .silent_ms "$heard_json") >= 240000))"
    look 7 1
    told 'follow-gone box1'
    follow box2 box1
    back() { look 8 && told $'follow-gone box1\nfollow-back box1'; }
    wait_until 10 back
}

# --- promotion --------------------------------------------------------------------

@test "the standby takes its place; the old box cannot go on as if nothing had happened" {
    follow box2 box1
    wait_until 10 same
    wait_until 10 says .connected
    # Not while it lives.
    run_split env LIFEBOAT_DB="$far" lifeboat-follow --promote box1
    assert_status 75 'lifeboat-follow: box1: is connected: it lives.'
    stop_background
    # The old box had something more, and the new one goes on.
    mkevents 3 unsent | evstore-append -q
    run_split env LIFEBOAT_DB="$far" lifeboat-follow --promote box1
    assert_status 0
    jq_true --arg d "$(far_digest)" '.source == "box1" and .events == 20 and .digest == $d
        and (.received_up_to | test("^[0-9a-f]{16}:20:"))' "$OUT"
    [ ! -e "$far-heard-box1" ]
    mkevents 4 new | there evstore-append -q
    run_split lifeboat-follow box2 box1
    assert_status 76 'its box was replaced'
    # Nobody waits for it: the alarm would never end.
    [ ! -e "$far-heard-box1" ]
    run_split env LIFEBOAT_DB="$far" lifeboat-follow --watch
    assert_status 0
    [ "$(there evstore-export | wc -l)" -eq 24 ]
    # By the book: what it had goes over once, then it becomes the standby of the new one.
    evstore-export --full | there evstore-restore -q
    sed -i 's|/there/|/here/|' fake/ssh
    background back env LIFEBOAT_DB="$far" lifeboat-follow box1 box2
    wait_until 10 same
    [ "$(evstore-export | wc -l)" -eq 27 ]
    # Again does no harm.
    run_split env LIFEBOAT_DB="$far" lifeboat-follow --promote box1
    assert_status 0 'has taken its place already'
}

@test "a place that nobody had cannot be taken" {
    run_split env LIFEBOAT_DB="$far" lifeboat-follow --promote box1
    assert_status 66 "$far: no such store"
    [[ $errout != *'nothing was ever'* ]]
    [ ! -e "$far" ]
    there evstore-append -q </dev/null
    run_split env LIFEBOAT_DB="$far" lifeboat-follow --promote box1
    assert_status 66 'lifeboat-follow: box1: nothing was ever received from it'
}
