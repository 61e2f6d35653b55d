#!/usr/bin/env bash
# bench-mirror-send.sh: does the mirror cost the primary time? Records come one by one; the
# primary takes BENCH_PRIMARY ms (20) for each. The runs take turns: without a mirror, with
# a quick one, with one that takes 2 s, with one that is not there. Of each record it counts
# how long after it was read it was with the primary (the log's queue_ms at "sent"), of each
# run the median, of each kind of run the median of BENCH_RUNS (7) of BENCH_RECORDS (60).
# Besides, the start of a process and the memory of all. In Markdown; figures are reported,
# not judged: this machine's, on this day.
set -euo pipefail
# shellcheck source=tests/measure.bash
source "$(dirname "$0")/measure.bash"
runs=${BENCH_RUNS:-7} records=${BENCH_RECORDS:-60} slow=${BENCH_PRIMARY:-20}
export NO_PROXY=127.0.0.1

started=()
leave() {
    [ ${#started[@]} -eq 0 ] || kill "${started[@]}" 2>/dev/null || :
    wait || :
    rm -rf "$dir"
}
trap leave EXIT
await() { until "$@"; do read -rt 0.02 <> <(:) || :; done; }

# Servers that answer after so many ms, each a process of its own.
serve() { # NAME MS
    mkdir "$1"
    python3 "$top/tests/httpd.py" "$1" &
    started+=($!)
    await test -s "$1/port"
    mkdir "$1-way"
    python3 "$top/tests/waypoint.py" "$1-way" "$(<"$1/port")" &
    started+=($!)
    echo "late $2" >"$1-way/fate"
    await test -s "$1-way/port"
}
serve primary "$slow"
serve quick 1
serve late 2000
echo 9 >nobody

config() { # MIRROR'S PORT, or nothing
    printf '{"primary_endpoint":"http://127.0.0.1:%s/p",%s"mirror_mode":%s,"timeout_ms":3000}\n' \
        "$(<primary-way/port)" "${1:+\"mirror_endpoint\":\"http://127.0.0.1:$1/m\",}" \
        "$([ -n "${1-}" ] && echo true || echo false)"
}
config >without.json
config "$(<quick-way/port)" >quick.json
config "$(<late-way/port)" >late.json
config 9 >gone.json

sent() { [ -e log ] && [ "$(grep -c '"leg":"primary".*"sent"' log)" -ge "$1" ]; }
run() { # KIND: its median to the file KIND, the memory of each process to memory
    local pid i
    rm -rf log run.db*
    rm -f pipe
    mkfifo pipe
    mirror-send -q -c "$1.json" -d run.db --log log <pipe 2>/dev/null &
    pid=$!
    exec 9>pipe
    for ((i = 1; i <= records; i++)); do
        printf '{"device_id":"HANDHELD-01","payload":{"station":"A","location":"SHELF-03","lot":"LOT-%d"}}\n' "$i" >&9
        await sent "$i"
    done
    for i in "$pid" $(cat "/proc/$pid/task/$pid/children"); do
        awk '/^VmHWM/ { print $2 }' "/proc/$i/status"
    done | sort -n | tail -n 1 >>memory
    exec 9>&-
    kill "$pid"
    wait "$pid" || :
    jq -r 'select(.leg == "primary" and .result == "sent").queue_ms' log | sort -n |
        awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }' >>"$1.ms"
}
kinds=(without quick late gone)
for ((r = 0; r < runs; r++)); do
    for kind in "${kinds[@]}"; do run "$kind"; done
    echo "# round $((r + 1)): $(tail -qn 1 without.ms quick.ms late.ms gone.ms | xargs)" >&2
done

rm -f run.db*
printf '{"n":1}\n' >one
measured -n 50 mirror-send --version >start
measured -n 50 /bin/true >true
measured -n 20 mirror-send -q -c without.json -d run.db one >single
measured -n 20 curl -s -o /dev/null -d '{"n":1}' "http://127.0.0.1:$(<primary-way/port)/p" >curl.row

printf '%s, medians of %d runs of %d records, a primary of %d ms\n\n' "$(machine)" "$runs" "$records" "$slow"
echo '| read, and with the primary, ms | median | beside no mirror |'
echo '|---|--:|--:|'
for kind in "${kinds[@]}"; do
    printf '| mirror: %s | %s | %s |\n' "$kind" "$(median "$kind.ms" 1)" \
        "$(ratio "$(median "$kind.ms" 1)" "$(median without.ms 1)")"
done
echo
echo '| | |'
echo '|---|--:|'
printf '| largest process, MB | %s |\n' "$(sort -n memory | tail -n 1 | awk '{ printf "%.1f", $1 / 1024 }')"
printf '| curl, MB | %s |\n' "$(cut -d " " -f 3 curl.row)"
ms() { awk -v n="$2" '{ printf "%.1f", 1000 * $1 / n }' "$1"; }
printf '| start, ms (/bin/true) | %s (%s) |\n' "$(ms start 50)" "$(ms true 50)"
printf '| one record, all of it, ms (curl alone) | %s (%s) |\n' "$(ms single 20)" "$(ms curl.row 20)"
