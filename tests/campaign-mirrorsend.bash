# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154,SC2016 # complete, size and others are campaign.bash's
# campaign-mirrorsend: the scenario of mirror-send for crash.sh and faults.sh, in the form
# of campaign.bash, which sources this. The records are the numbers from 1; both servers
# are one tests/httpd.py, which is there for the whole campaign.

serve_mirrored() {
    mkdir -p servers
    python3 "$top/tests/httpd.py" servers >/dev/null 2>&1 &
    servers=$!
    trap 'kill "$servers" ${server:+"$server"} 2>/dev/null; rm -rf "$work"' EXIT
    wait_until 10 test -s servers/port || return
    printf '{"primary_endpoint":"http://127.0.0.1:%s/p","mirror_endpoint":"http://127.0.0.1:%s/m",
        "mirror_mode":true,"retry":{"max_attempts":2,"backoff_ms":1}}\n' \
        "$(<servers/port)" "$(<servers/port)" >mirrored.json
}
records() { seq "${1-1}" "$size" | sed 's/.*/{"n":&}/'; }
mirrored_cmd() { MISHAP_FAMILY=1 "$@" mirror-send -c "$work/mirrored.json" -d s; }
mirrored_again() { mirror-send -c "$work/mirrored.json" -d s --now "$@"; }
# Its legs end with it, but not in the same instant.
still_mirroring() { pgrep -f -- "^mirror-send -c $work/" >/dev/null; }
mirrored_start() {
    [ -n "${servers-}" ] || serve_mirrored || find_fault 'no server'
    fresh "base-$size"
    : >servers/log
}
# One of its processes is hurt; if that was not the first, it says so at its end.
mirrored_run() {
    local status=0
    mirrored_cmd "$@" < <(records) >out 2>err || status=$?
    [ "$status" -ne 70 ] || ! grep -q 'was ended by signal 9' err || return 137
    return "$status"
}

arrived() { # PATH: record and key of each request
    jq -r --arg path "$1" 'select(.path == $path) | "\(.body) \(.headers["idempotency-key"])"' servers/log | sort
}
of_leg() { # LEG [STATUS]: record and key of its items
    look_into "SELECT payload || ' ' || idempotency_key FROM job_queue
        WHERE queue_name = 'mirror-send.$1' AND status LIKE '${2-%}'" | sort
}
none_waits() { mirrored_again --flush >again 2>err-again; }

mirrored_judge() {
    local there='' odd n leg
    local -A is
    complete=
    while still_mirroring; do nap; done
    if [ -s s ]; then
        there=$(look_into 'PRAGMA integrity_check')
        [ "$there" = ok ] || find_fault "integrity_check: ${there:0:200}"
        there=$(look_into "SELECT payload FROM job_queue WHERE queue_name = 'mirror-send.primary' ORDER BY id")
    fi
    n=$(grep -c . <<<"$there")
    [ "$there" = "$(records | head -n "$n")" ] || find_fault 'not a beginning of what came in'
    for leg in primary mirror; do
        is[$leg]=$(of_leg "$leg") is[$leg-sent]=$(of_leg "$leg" completed)
    done
    odd=$(whole_lines out | sed -n 's/.*"op_id":"\([^"]*\)".*/\1/p' | sort |
        comm -23 - <(cut -d ' ' -f 2 <<<"${is[primary]}" | sort))
    [ -z "$odd" ] || find_fault "told, and not there: ${odd%%$'\n'*}"
    odd=$(comm -23 <(echo "${is[mirror]}") <(echo "${is[primary-sent]}"))
    [ -z "$odd" ] || find_fault "for the mirror, and not sent to the primary: ${odd%%$'\n'*}"
    for leg in primary mirror; do
        odd=$(comm -23 <(echo "${is[$leg-sent]}") <(echo; arrived "/${leg:0:1}" | uniq))
        [ -z "$odd" ] || find_fault "$leg: sent, and never received: ${odd%%$'\n'*}"
    done
    [ -z "$(look_into "SELECT id FROM job_queue WHERE retry_count > 0 OR status = 'failed'")" ] ||
        find_fault 'a record has paid for a fault of ours'
    [ "$n" -ne "$size" ] || [ "$(wc -l <<<"${is[mirror-sent]}")" -ne "$size" ] || complete=1
    rerun mirrored_again -q < <(records $((n + 1)))
    none_waits || find_fault "rerun: $(tail -n 1 err-again)"
    [ "$(arrived /p | uniq | cut -d ' ' -f 1 | sort)" = "$(records | sort)" ] ||
        find_fault 'the primary does not have each record under one key'
    [ "$(arrived /p | uniq)" = "$(arrived /m | uniq)" ] || find_fault 'the mirror does not have the same'
}
