#!/usr/bin/env bash
# dualsend.sh [SEED]: mirror-send to two real servers, lifeboat.cgi under lighttpd, each
# behind a waypoint that does what networks do. Whatever that is: in the end both have the
# same set of scans, each of them once, and all of them. Prints TAP.
#
#   a slow primary; a mirror that is gone for a day of scans; answers that are lost though
#   the request arrived; connections that are cut; any process killed at any time; a
#   mirror that hangs, and keeps no scan from the primary
#
# SMALL         fewer scans
# LIFEBOAT_BIN  the commands (build/bin)
set -uo pipefail
cd "$(dirname "$0")/.." || exit
top=$PWD
seed=${1:-$((($(date +%s) ^ $$) % 32768))}
RANDOM=$seed
bin=${LIFEBOAT_BIN:-$top/build/bin}
some=${SMALL:+100} day=${SMALL:+600} kills=${SMALL:+12}
some=${some:-500} day=${day:-10000} kills=${kills:-150}
for v in $(compgen -e LIFEBOAT_); do unset "$v"; done
export PATH=$bin:$PATH LC_ALL=C.UTF-8 LIFEBOAT_ENV=/dev/null NO_PROXY=127.0.0.1

work=$(mktemp -d) || exit 73
started=()
leave() {
    [ ${#started[@]} -eq 0 ] || kill "${started[@]}" 2>/dev/null
    wait
    rm -rf "$work"
}
trap leave EXIT
cd "$work" || exit
BATS_TEST_DIRNAME=$top/tests
# shellcheck source=tests/helper.bash
source "$top/tests/helper.bash"
# shellcheck source=tests/verdict.bash
source "$top/tests/verdict.bash"
find_fault() { finding "$at: $*"; }

# --- two servers -------------------------------------------------------------------------

declare -A server
speaks() { grep -q '^http://' "$1/out"; }
start_server() { # SIDE [PORT]
    mkdir -p "$1"
    LIFEBOAT_BIN=$bin SERVE_LOGS=$work/$1 LIFEBOAT_MIRROR_LOG=$work/$1/mirror.log "$top/scripts/serve" -d "$work/$1/db" \
        ${2:+-p "$2"} >"$1/out" 2>"$1/err" &
    server[$1]=$!
    started+=($!)
    wait_until 30 speaks "$1" || {
        sed 's/^/# /' "$1/err"
        exit 69
    }
}
start_side() { # SIDE
    local port
    start_server "$1"
    port=$(sed 's|.*:||; s|/||' "$1/out")
    echo "$port" >"$1/server-port"
    python3 "$top/tests/waypoint.py" "$work/$1" "$port" 2>"$1/waypoint.err" &
    started+=($!)
    wait_until 10 test -s "$1/port"
}
end_server() { # SIDE
    kill "${server[$1]}"
    wait "${server[$1]}"
}
fate() { # SIDE WORDS
    echo "$2" >"$1/fate.new"
    mv "$1/fate.new" "$1/fate"
}

# --- scans ------------------------------------------------------------------------------

# The next N; $last is the number of the last one made.
last=0
scans() { # N
    seq $((last + 1)) $((last + $1)) | sed 's/.*/{"device_id":"HANDHELD-01","tag_id":"T-&","order_id":"O-1","station":"A","n":&}/'
}
configure() { # TIMEOUT_MS
    printf '{"primary_endpoint":"http://127.0.0.1:%s/api/v1/scans",
        "mirror_endpoint":"http://127.0.0.1:%s/api/v1/scans","mirror_mode":true,
        "timeout_ms":%d,"retry":{"max_attempts":3,"backoff_ms":20}}\n' \
        "$(<old/port)" "$(<new/port)" "$1" >"$work/config.json"
}
sender=(mirror-send -q -c "$work/config.json" -d handheld --log log)
send() { "${sender[@]}" "$@"; }
sends() { pgrep -f -- "^mirror-send .*$work/" >/dev/null; }
sends_no_more() { ! sends; }

has() { evstore-export -d "$1/db" | jq -c '[.entity_id, .payload]' | sort; }
wanted() { seq "$last" | jq -c '["T-\(.):O-1", {device_id: "HANDHELD-01", tag_id: "T-\(.)", order_id: "O-1", station: "A", n: .}]' | sort; }

# Flushes until nothing waits; then looks.
agree() { # NAME
    local tries=0
    while ! send --flush --now >flushed 2>err; do
        tries=$((tries + 1))
        [ "$tries" -lt 60 ] || { find_fault "something still waits: $(tail -n 1 err) $(xargs <flushed) $(tail -n 1 log)" && break; }
    done
    wanted >all
    for side in old new; do
        has $side >got
        cmp -s all got || find_fault "$side: $(wc -l <got) scans for $last; $(diff all got | sed -n 2p)"
        [ -z "$(evstore-export -d "$side/db" --conflicts)" ] || find_fault "$side: conflicts"
    done
    verdict "$1"
}

# --- what happens -----------------------------------------------------------------------

start_side old
start_side new
configure 5000
echo "# seed $seed (tests/dualsend.sh $seed)"

at='all is well'
scans "$some" | send || find_fault "status $?"
last=$((last + some))
agree "$some scans to both"
# The mirror's own log has what the primary took for each. (The CGI of this tree writes it
# once it knows the header; the header itself is tested where it is sent.)
[ "$(wc -l <new/mirror.log)" -ge "$some" ] || finding "mirror.log: $(wc -l <new/mirror.log) lines"
verdict "a line in the mirror's log for each"

at='slow primary'
fate old 'late 40'
scans 50 | send || find_fault "status $?"
last=$((last + 50))
fate old pass
agree '50 scans to a slow primary'

at='mirror gone'
end_server new
scans "$day" | send
[ $? -eq 1 ] || find_fault 'a mirror that is gone should give status 1'
last=$((last + day))
waiting=$(sqlite3 handheld "SELECT count(*) FROM job_queue WHERE queue_name = 'mirror-send.mirror' AND status = 'pending'")
[ "$waiting" -eq "$day" ] || find_fault "$waiting of $day wait for the mirror"
has old >got
wanted | cmp -s - got || find_fault 'the primary has not all'
start_server new "$(<new/server-port)"
agree "$day scans while the mirror is gone"

at='answers lost'
configure 300
fate old 'swallow 15'
fate new 'swallow 15'
scans "$some" | send
last=$((last + some))
for _ in 1 2 3 4 5; do send --flush --now >flushed 2>err; done
fate old pass
fate new pass
agree "$some scans whose answers are lost, one in seven"
# They had arrived: the servers have answered again what they had answered.
for side in old new; do
    n=$(wc -l <"$side/requests.log")
    [ "$n" -gt "$last" ] || finding "$side: $n requests for $last scans: nothing was sent twice"
done
verdict 'such requests were sent again, and stored once'

at='cut'
configure 5000
fate old 'lose 30'
fate new 'lose 30'
scans "$some" | send
last=$((last + some))
for _ in 1 2 3 4 5; do send --flush --now >flushed 2>err; done
fate old pass
fate new pass
agree "$some scans over connections that are cut, one in three"

# Scans come in one by one; at some time one of the three processes is killed. What was not
# stored then is scanned again.
at='killed'
configure 1000
fate old 'swallow 2'
fate new 'late 5'
stored() { sqlite3 handheld "SELECT coalesce(max(payload ->> 'n'), $last) FROM job_queue"; }
hits=0
for ((i = 0; i < kills; i++)); do
    scans 30 | while read -r line; do
        printf '%s\n' "$line" 2>/dev/null || break
        read -rt 0.004 <> <(:) || :
    done | send >/dev/null 2>err &
    read -rt "0.0$((RANDOM % 10))$((RANDOM % 10))" <> <(:)
    mapfile -t pids < <(pgrep -f -- "^mirror-send .*$work/")
    if [ ${#pids[@]} -gt 0 ]; then
        kill -9 "${pids[RANDOM % ${#pids[@]}]}" 2>/dev/null && hits=$((hits + 1))
    fi
    wait $!
    wait_until 20 sends_no_more || find_fault 'a leg outlives its parent'
    last=$(stored)
done
fate old pass
fate new pass
[ "$hits" -ge $((kills / 2)) ] || find_fault "only $hits of $kills were killed"
agree "$hits kills while scans come in, $last scans in all"

# The primary's share of the time, with a mirror that takes 2 s for each.
at='hanging mirror'
configure 5000
fate old 'late 20'
fate new 'late 2000'
n=15 begun=${EPOCHREALTIME/./}
mkfifo pipe
"${sender[@]}" --log slow <pipe >/dev/null 2>err &
pid=$!
exec 9>pipe
scans $n >&9
primary_has() { [ -e slow ] && [ "$(jq -r 'select(.leg == "primary" and .result == "sent").key' slow | wc -l)" -ge "$1" ]; }
wait_until 30 primary_has $n || find_fault 'the primary does not get them'
took=$(((${EPOCHREALTIME/./} - begun) / 1000))
exec 9>&-
kill "$pid"
wait "$pid"
last=$((last + n))
echo "# $n scans were with the primary after $took ms, the mirror taking 2000 ms for each"
[ "$took" -lt 6000 ] || find_fault "$took ms"
fate old pass
fate new pass
agree 'a mirror that hangs keeps no scan from the primary'
conclude
