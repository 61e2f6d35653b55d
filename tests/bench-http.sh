#!/usr/bin/env bash
# bench-http: the HTTP front under lighttpd beside CGI programs that do the least there
# is (tests/tools/hellocgi.c, peercgi.c) under the same lighttpd, and beside what one would
# write instead: a CGI in python3, and FastAPI under uvicorn where python3 has them. Medians
# of BENCH_RUNS runs (5; of the CGI in python3 BENCH_PEER_RUNS, 1) of BENCH_REQUESTS
# requests (400), and of a restore of BENCH_EVENTS events (100,000), in Markdown. The rows
# of a section take turns. "cpu" is of the server and all that it ran, "peak MB" of the
# server alone. Figures are reported, not judged: this machine's, on this day.
set -euo pipefail
# shellcheck source=tests/measure.bash
source "$(dirname "$0")/measure.bash"
runs=${BENCH_RUNS:-5} events=${BENCH_EVENTS:-100000} requests=${BENCH_REQUESTS:-400}
peer_runs=${BENCH_PEER_RUNS:-1}

# --- the material --------------------------------------------------------------------

document() { # FILE SESSION: its events as the body of a restore
    printf '{"restore_session_id":"%s","source_device_id":"ipad","events":[\n' "$2"
    sed '$!s/$/,/' "$1"
    printf '],"events_count":%d,"more":false}\n' "$(wc -l <"$1")"
}
benchevents "$events" $((events / 20 + 1)) >events.jsonl
document events.jsonl bench >restore.json
event='{"entity_type":"case","entity_id":"E-1","actor_id":"a","event_type":"NOTE","payload":{"n":1}}'
printf '%s' "$event" >event.json
filled() { [ "$(sqlite3 run.db 'SELECT count(*) FROM events')" -ge "$events" ]; }

# --- servers -------------------------------------------------------------------------

servers=()
leave() {
    [ ${#servers[@]} -eq 0 ] || kill "${servers[@]}" 2>/dev/null || :
    wait
    rm -rf "$dir"
}
trap leave EXIT

cat >python.cgi <<'END'
#!/usr/bin/python3
import json, os, sqlite3, sys
db = sqlite3.connect(os.environ["PEER_DB"])
if os.environ["REQUEST_METHOD"] == "POST":
    body = json.loads(sys.stdin.read(int(os.environ["CONTENT_LENGTH"])))
    db.execute("PRAGMA synchronous = FULL")
    db.execute("INSERT INTO t(body) VALUES (?)", (json.dumps(body),))
    db.commit()
    text = "{}"
else:
    text = json.dumps(db.execute("SELECT body FROM t ORDER BY id DESC LIMIT 1").fetchone())
print(f"Status: 200\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}", end="")
END
chmod +x python.cgi
cat >fast.py <<'END'
import json, os, sqlite3
from fastapi import FastAPI, Request
app = FastAPI()
db = sqlite3.connect(os.environ["PEER_DB"], check_same_thread=False)
db.execute("PRAGMA synchronous = FULL")
@app.get("/health")
async def health():
    return {"status": "healthy"}
@app.get("/events")
async def read():
    return db.execute("SELECT body FROM t ORDER BY id DESC LIMIT 1").fetchone()
@app.post("/events")
async def write(request: Request):
    db.execute("INSERT INTO t(body) VALUES (?)", (json.dumps(await request.json()),))
    db.commit()
    return {}
END

# scripts/serve, from a tree of its own: its lighttpd has the peers as well.
mkdir -p tree/scripts peers logs
cp "$top/scripts/serve" tree/scripts/
ln -s "$top/lib" tree/lib
cp "$top/build/tools/hellocgi" peers/hello
cp "$top/build/tools/peercgi" peers/peer
cp python.cgi peers/python
{
    cat "$top/scripts/lighttpd.conf"
    cat <<END
\$HTTP["url"] =^ "/peers/" {
    alias.url = ( "/peers/" => "$dir/peers/" )
    cgi.assign = ( "" => "" )
    setenv.add-environment = ( "LIFEBOAT_DB" => "$dir/run.db", "PEER_DB" => "$dir/peer.db" )
}
server.max-keep-alive-requests = 1000000
END
} >tree/scripts/lighttpd.conf
sqlite3 peer.db 'PRAGMA journal_mode = WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT);
    INSERT INTO t(body) VALUES ('"'$event'"')' >/dev/null
export PEER_DB=$dir/peer.db

eval "$begun"
evstore-restore -q --document restore.json >/dev/null
mv run.db full.db
LIFEBOAT_BIN=$top/build/bin SERVE_LOGS=$dir/logs tree/scripts/serve -d "$dir/run.db" \
    >said.url 2>serve.err &
servers+=($!)
until grep -qs '^http' said.url; do
    kill -0 "${servers[0]}" || { cat serve.err >&2 && exit 69; }
    read -rt 0.05 <> <(:) || :
done
read -r url <said.url
port=${url%/} port=${port##*:} pid=$(pgrep -P "${servers[0]}" -x lighttpd)

fast=
if python3 -c 'import fastapi, uvicorn' 2>/dev/null; then
    fast=$((port + 1))
    python3 -m uvicorn --log-level error --port "$fast" fast:app >fast.log 2>&1 &
    servers+=($!)
    until curl -fs -o fast.answer "http://127.0.0.1:$fast/health"; do
        kill -0 "${servers[1]}" || { cat fast.log >&2 && exit 69; }
        read -rt 0.05 <> <(:) || :
    done
fi

get() { echo "httpbench $port $pid $requests 2 GET $1 </dev/null"; }
post() { echo "httpbench $port $pid $requests 2 POST $1 'Content-Type: application/json' <event.json"; }
quick() { # KEY METHOD TARGET: of the server that stays
    [ -z "$fast" ] || row "$1" 'FastAPI, uvicorn: one process that stays' : \
        "httpbench $fast ${servers[1]} $requests 2 $2 $3 'Content-Type: application/json' <${4-/dev/null}"
}

# --- the table -----------------------------------------------------------------------

refill='rm -f run.db run.db-* && cp full.db run.db'

# Who the store is gets noted once its file has not changed for some seconds.
settle() {
    until [ -s run.db-identity ]; do
        curl -fs -o settle.answer "http://127.0.0.1:$port/api/health"
        read -rt 0.2 <> <(:) || :
    done
}

section "$requests times who is there, store of $events events"
row hello 'hello world, CGI in C' "$refill" "$(get /peers/hello)"
row sqlite 'open SQLite, read a row, CGI in C' "$refill" "$(get /peers/peer/read)"
row health 'GET /api/health' "$refill; settle" "$(get /api/health)"
row health_new 'GET /api/health of a store that has just changed' "$refill" "$(get /api/health)"
row pythonic 'open SQLite, read a row, CGI in python3' : "$(get /peers/python)" "$peer_runs"
quick fast_health GET /health
measure

section "$requests times the newest event"
row read_sqlite 'open SQLite, read a row, CGI in C' "$refill" "$(get /peers/peer/read)"
row read 'GET /api/events?limit=1' "$refill" "$(get '/api/events?limit=1')"
row read_python 'CGI in python3' : "$(get /peers/python)" "$peer_runs"
quick fast_read GET /events
measure

section "$requests durable events"
row write_sqlite 'open SQLite, insert, commit, CGI in C' : "$(post /peers/peer/write)"
row write 'POST /api/events' "$refill" "$(post /api/events)"
row write_python 'CGI in python3' : "$(post /peers/python)" "$peer_runs"
quick fast_write POST /events event.json
measure

section "restore of $events events, no store yet" filled
row restore 'evstore-restore --document' "$blank" 'measured evstore-restore -q --document restore.json'
row post 'POST /api/dr/restore' "$blank" \
    "httpbench $port $pid 1 1 POST /api/dr/restore 'Content-Type: application/json' <restore.json"
row restore_into 'evstore-restore --document, into a store' "$begun" \
    'measured evstore-restore -q --document restore.json'
row post_into 'POST /api/dr/restore, into a store' "$begun" \
    "httpbench $port $pid 1 1 POST /api/dr/restore 'Content-Type: application/json' <restore.json"
measure

# --- a body of 200 MB ------------------------------------------------------------------

# The most memory that each program had, of those that run for lighttpd.
watch_peaks() {
    local p name peak
    declare -A most
    until [ -e over ]; do
        for p in "$pid" $(pgrep -P "$pid" || :) $(pgrep -f "^evstore-restore .*$dir" || :); do
            read -r name <"/proc/$p/comm" || continue
            peak=$(awk '/^VmHWM/ { print $2 }' "/proc/$p/status") || continue
            [ "${most[$name]:-0}" -ge "${peak:-0}" ] || most[$name]=$peak
        done
    done 2>/dev/null
    for name in "${!most[@]}"; do echo "$name ${most[$name]}"; done | sort >peaks
}

memory() { # ROW PREPARE
    rm -f over
    eval "$2"
    watch_peaks &
    httpbench "$port" "$pid" 1 1 POST /api/dr/restore 'Content-Type: application/json' <large.json >large.run
    : >over
    wait $!
    promise "$1: peak MB of each process" '< 16' \
        "$(awk '{ printf "%s%s %.1f", (NR > 1 ? ", " : ""), $1, $2 / 1024 }' peaks), in $(cut -d ' ' -f 1 large.run) s"
}
benchevents 230000 11500 >large.jsonl
document large.jsonl large >large.json
size=$(($(stat -c %s large.json) / 1000000))
memory "a body of $size MB, no store yet" "$blank"
memory "a body of $size MB, into a store" "$begun"

# --- what is promised --------------------------------------------------------------------

promise 'GET /api/health: requests a second beside hello world; by processor time' '>= 0.80' \
    "$(beside wall hello health), $(beside cpu hello health)"
promise 'the same, of a store that has just changed' '' \
    "$(beside wall hello health_new), $(beside cpu hello health_new)"
promise 'that one beside a C CGI that opens SQLite; by processor time' '' \
    "$(beside wall sqlite health_new), $(beside cpu sqlite health_new)"
promise 'GET /api/events?limit=1: beside a C CGI that opens SQLite; by processor time' '' \
    "$(beside wall read_sqlite read), $(beside cpu read_sqlite read)"
promise 'POST /api/events: beside a C CGI with SQLite; by processor time' '' \
    "$(beside wall write_sqlite write), $(beside cpu write_sqlite write)"
promise 'GET /api/events?limit=1: beside a CGI in python3; FastAPI' '' \
    "$(beside wall read_python read), $(beside wall fast_read read)"
promise 'POST /api/events: beside a CGI in python3; FastAPI' '' \
    "$(beside wall write_python write), $(beside wall fast_write write)"
promise 'restore over HTTP: speed beside evstore-restore; into a store' '>= 0.70' \
    "$(beside wall restore post), $(beside wall restore_into post_into)"

printf '%s, medians of %d; CGI in python3: of %d\n\n' "$(machine)" "$runs" "$peer_runs"
tables
