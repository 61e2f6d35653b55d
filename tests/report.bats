#!/usr/bin/env bats
# lifeboat-report: the month and the quarter before, from logs and history that are given.

# plain
# shellcheck disable=SC2094 # written, then read

load helper

setup() {
    private_store
    export LIFEBOAT_HTTP_LOG=$PWD/requests.log LIFEBOAT_CONFIG=$PWD/config LIFEBOAT_SITE=clinic
    mkdir -p config/notify.d status
    at 2026-11-01T07:00:00Z
}

at() { export LIFEBOAT_NOW=$(($(date -u -d "$1" +%s) * 1000)); }

request() { # TS METHOD ROUTE STATUS MS
    printf '{"ts":"%s","method":"%s","route":"%s","status":%d,"ms":%d,"bytes":1,"principal":"","role":"","correlation_id":"c-%s"}\n' "$1" "$2" "$3" "$4" "$5" "$5"
}

# history FIRST DAYS: every day the store grows by 1 MB and the backups, on its disk, by 2;
# the disk fills by 4, in the second of each two weeks by 8.
history() {
    local first
    first=$(date -u -d "$1" +%s)
    awk -v first="$first" -v days="$2" 'BEGIN {
        free = 10000000000
        for (i = 0; i < days; i++) {
            t = first + 86400 * i
            printf "{\"day\":\"%s\",\"ts\":%.0f000,\"events\":%d,\"store_bytes\":%d,\"disk_free_bytes\":%.0f,\"disk_size_bytes\":64000000000,", strftime("%Y-%m-%d", t, 1), t, 100 * i, 50000000 + 1000000 * i, free
            printf "\"backup_bytes\":%d,\"backup_free_bytes\":%.0f,\"backup_on_store_disk\":true,\"events_by_type\":{\"case\":%d,\"scan\":%d},", 2000000 * i, free, 70 * i, 30 * i
            printf "\"queues\":{\"mail\":{\"well\":10,\"badly\":%d,\"retried\":2,\"wait_p95_ms\":%d,\"run_p95_ms\":7}},", i == 5, i
            printf "\"before\":{\"day\":\"%s\",\"hourly\":%d,\"daily\":1,\"weekly\":%d,\"monthly\":0,\"drill\":0,\"backup_failed\":%d,\"drill_failed\":0}}\n", strftime("%Y-%m-%d", t - 86400, 1), i == 3 ? 20 : 24, strftime("%w", t - 86400, 1) == 0, i == 3
            free -= int(i / 7) % 2 ? 8000000 : 4000000
        }
    }' >status/history.jsonl
}
has_line() { grep -qxF -- "$1" "$OUT" || { echo "wanted: $1" >&2; cat "$OUT" >&2; return 1; }; }

@test "monthly: requests, times, the slowest, the busiest hours, of that month alone" {
    {
        request 2026-09-30T23:59:59.999Z GET /api/events 500 9999
        for i in $(seq 1 100); do request "2026-10-05T$((10 + i % 2)):00:00.000Z" GET /api/events 200 "$i"; done
        request 2026-10-07T01:00:00.000Z POST /api/v1/scans 503 700
        request 2026-10-07T01:00:01.000Z GET '' 404 0
        request 2026-10-07T01:00:02.000Z GET /api/events/stream 200 3600000
        request 2026-11-01T00:00:00.000Z GET /api/events 500 9999
        echo 'no line'
    } >all
    # In the log, in what was put away, and in what was packed.
    head -n 40 all | gzip >requests.log.2.gz
    sed -n 41,80p all >requests.log.1
    tail -n +81 all >requests.log
    run_split lifeboat-report -n monthly
    assert_status 0
    [ -z "$errout" ]
    grep -qx 'lifeboat: performance in 2026-10 (days of UTC), site clinic, .*' "$OUT"
    has_line '  103: 2xx 101, 4xx 1, 5xx 1, 0.971 % of them 5xx'
    has_line '  counted from 2026-10-05T10:00:00.000Z to 2026-10-07T01:00:02.000Z, as far as logs are kept'
    grep -qE '^  all but streams +102 +50 +96 +100 +700 +1$' "$OUT"
    grep -qE '^  GET /api/events +100 +50 +95 +99 +100 +0$' "$OUT"
    grep -qE '^  GET \(none\) +1 +0 +0 +0 +0 +0$' "$OUT"
    grep -qE '^  GET /api/events/stream +1  \(as long as its reader stays\)$' "$OUT"
    [ "$(grep -A5 'the slowest:' "$OUT" | awk 'NR > 1 { print $1 }' | paste -sd ' ')" = '700 100 99 98 97' ]
    has_line '     700 ms  2026-10-07T01:00:00.000Z  POST /api/v1/scans 503  c-700'
    [ "$(grep -A3 'busiest hours:' "$OUT" | awk 'NR > 1 { print $1, $2 }' | paste -sd ,)" = '2026-10-05T10:00 50,2026-10-05T11:00 50,2026-10-07T01:00 3' ]
}

@test "monthly: queues, and backups done and missed in the days that were noted" {
    history 2026-10-02 31
    run_split lifeboat-report -n monthly
    assert_status 0
    has_line '  none in the logs'
    # 2026-10-02 to 11-01 are of the days 2026-10-01 to 10-31.
    grep -qE '^  mail +310 +1 +62 +30 +7$' "$OUT"
    has_line '  hourly     740   of 744, 4 missed'
    has_line '  daily      31    of 31'
    has_line '  weekly     4     of 4'
    has_line '  monthly    0     of 1, 1 missed'
    has_line '  drill      0     of 4, 4 missed'
    has_line '  failed: 1 backups, 0 drills'
    sed -i 10,19d status/history.jsonl
    run_split lifeboat-report -n monthly
    has_line '  of 10 days nothing is known: the box was off, or nobody noted it'
    has_line '  daily      21    of 21'
}

@test "quarterly: growth, days until the disk is full, and its spread" {
    history 2026-07-01 93
    run_split lifeboat-report -n quarterly
    assert_status 0
    [ -z "$errout" ]
    grep -qx 'lifeboat: capacity, 2026-07-01 to 2026-09-30 (days of UTC), site clinic, .*' "$OUT"
    has_line '  noted on 93 days, 2026-07-01 to 2026-10-01'
    has_line '  store     142 MB, 9200 events; it grew by 1 MB a day (by the week: 1 MB to 1 MB)'
    has_line '  backups   184 MB; they grew by 2 MB a day (by the week: 2 MB to 2 MB)'
    # 7 weeks of 4 MB a day, 6 of 8, and one more day of 8: 93 days, 92 steps.
    has_line '  disk      9.46 GB free of 64 GB; with all that is on it, it filled by 5.87 MB a day (by the week: 4 MB to 8 MB)'
    has_line '  Full in about 1611 days: 1182 days if every week were as its worst one, 2365 days if as its best.'
    grep -qE '^  case +6440 +70$' "$OUT"
    [ ! -e status/report.json ]
}

@test "quarterly: what cannot be told is not told" {
    run_split lifeboat-report -n quarterly
    assert_status 0
    has_line '  nothing was noted in this time: lifeboat-metrics --history, once a day'
    history 2026-09-30 1
    run_split lifeboat-report -n quarterly
    assert_status 0
    grep -q 'too few days were noted to tell how it grows' "$OUT"
    has_line '  When it is full cannot be told: it does not fill, or too few days were noted.'
    history 2026-09-25 5
    run_split lifeboat-report -n quarterly
    grep -q 'Full in about .* (with less than two weeks to tell by, a guess)' "$OUT"
}

@test "lines of the history that are damaged, double, or of a time to come do no harm" {
    history 2026-07-01 93
    sed -i '/^{"day":"2026-09-15"/d' status/history.jsonl
    lifeboat-report -n quarterly >wanted
    {
        echo '{"day":"2026-08-01","ts'
        echo 'null'
        echo '[1]'
        echo '{"day":"2026-08-02","ts":"x"}'
        sed -n 5p status/history.jsonl
        sed -n 5p status/history.jsonl | sed 's/"day":"[^"]*","ts":[0-9]*/"day":"2026-09-15","ts":4102444800000/'
    } >>status/history.jsonl
    run_split lifeboat-report -n quarterly
    assert_status 0
    diff "$OUT" wanted
}

@test "the month and the quarter before, over the end of a year" {
    at 2027-01-01T07:00:00Z
    run_split lifeboat-report -n monthly
    grep -q 'performance in 2026-12 ' "$OUT"
    run_split lifeboat-report -n quarterly
    grep -q 'capacity, 2026-10-01 to 2026-12-31 ' "$OUT"
    at 2027-03-31T23:59:59Z
    run_split lifeboat-report -n monthly
    grep -q 'performance in 2027-02 ' "$OUT"
    run_split lifeboat-report -n quarterly
    grep -q 'capacity, 2026-10-01 to 2026-12-31 ' "$OUT"
}

@test "the report is told by the hooks, its sum is kept" {
    history 2026-07-01 93
    printf '#!/bin/sh\nexec cat >%s/"$1".got\n' "$PWD" >config/notify.d/one
    chmod 755 config config/notify.d config/notify.d/one
    run_split lifeboat-report quarterly
    assert_status 0
    jq_true --rawfile shown "$OUT" '.report == $shown and .kind == "quarterly" and .days_until_full == 1611
        and .text == "capacity since 2026-07-01: 3 MB more a day, full in about 1611 days"' report-quarterly.got
    jq_true '. == {ts: '"$LIFEBOAT_NOW"', kind: "quarterly", growth_bytes_a_day: 3000000, days_until_full: 1611}' status/report.json
    [ "$(stat -c %a status/report.json)" = 644 ]
    request 2026-10-07T01:00:00.000Z POST /api/v1/scans 503 700 >requests.log
    run_split lifeboat-report monthly
    assert_status 0
    jq_true '.text == "2026-10: 1 requests, 100.000 % failed, p95 700 ms"' report-monthly.got
    jq_true '.kind == "monthly"' status/report.json
}

@test "a hook that fails is said; that nobody could be told is status 69" {
    printf '#!/bin/sh\nexit 3\n' >config/notify.d/one
    chmod 755 config config/notify.d config/notify.d/one
    run_split lifeboat-report monthly
    assert_status 0 one
    mkdir none
    printf '#!/bin/sh\nexit 78\n' >none/lifeboat-notify
    chmod +x none/lifeboat-notify
    PATH=$PWD/none:$PATH run_split lifeboat-report monthly
    assert_status 69 'nobody was told'
    grep -q 'performance in' "$OUT"
    : >file
    LIFEBOAT_STATUS_DIR=$PWD/file run_split lifeboat-report monthly
    assert_status 74 'unable to keep report.json'
}

@test "what it does not know it refuses" {
    for words in '' daily 'monthly quarterly' '-x monthly' '-d'; do
        # shellcheck disable=SC2086
        run_split lifeboat-report $words
        assert_status 64
    done
    lifeboat-report --help | grep -q '^usage: lifeboat-report'
    [ "$(lifeboat-report -V)" = "$(lifeboat-metrics -V | sed s/metrics/report/)" ]
}
