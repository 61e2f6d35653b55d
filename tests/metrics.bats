#!/usr/bin/env bats
# lifeboat-metrics, what it counts of the log of requests, its history, and alerts.yml.
# valgrind: status folder|counted once|a line a day

load helper

setup() {
    private_store
    export LIFEBOAT_HTTP_LOG=$PWD/requests.log LIFEBOAT_MIRROR_DIR=$PWD/mirror
    now=1795378096925
}

metric() { sed -n "s|^lifeboat_$1 ||p" metrics; }
metrics() { lifeboat-metrics "$@" >metrics; }
status_file() { mkdir -p status && cat >"status/$1.json"; }

# N requests, each with an id of its own.
requests() { # N [TAG]
    awk -v n="$1" -v tag="${2:-r}" 'BEGIN { for (i = 1; i <= n; i++)
        printf "{\"ts\":\"2026-10-05T%02d:00:00.000Z\",\"method\":\"GET\",\"route\":\"/api/events\",\"status\":%d,\"ms\":%d,\"bytes\":10,\"principal\":\"\",\"role\":\"\",\"correlation_id\":\"%s-%d\"}\n", i % 24, i % 10 ? 200 : 500, i % 100, tag, i }'
}
counted() { awk '/^lifeboat_http_requests_total/ { n += $2 } END { print n + 0 }' metrics; }

# A store with something of everything, and all status files.
everything() {
    mkevents 30 | evstore-restore -q
    seq 3 | syncq enqueue -q jobs
    syncq dequeue jobs | syncq complete -q
    syncq dequeue jobs | syncq fail -q --dead
    kvcache set -q -n ns a b
    status_file backup <<<'{"ts":1795378000000,"ok":true,"why":null,"events":30,"bytes":4000,"ms":1500,"last_ok":{"hourly":1795378000000,"daily":1795370000000},"oldest_restorable":1790000000000,"targets":[{"target":"/b\"\\\n","ok":true,"why":null,"last_ok":1795378000000},{"target":"ssh:h:/x","ok":false,"last_ok":1795300000000}]}'
    status_file drill <<<'{"ts":1795300000000,"ok":false,"backup_at":1795299000000,"rto_ms":61500,"rpo_ms":900000,"last_ok":1794000000000}'
    status_file follow-box-2 <<<'{"ts":1795378096000,"connected":true,"behind":3,"lag_ms":42}'
    status_file heard-main <<<'{"ts":1795378096000,"heard_at":1795378090000,"gone":false}'
    status_file hub <<<'{"ts":1795378096000,"ok":false,"status":69,"sent":0,"new":0,"conflicts":2,"last_ok":1795378000000}'
    status_file maintain <<<'{"ts":1795300000000,"ok":true,"ms":71,"unknown":{"to":["us"]}}'
    status_file report <<<'{"ts":1795300000000,"kind":"quarterly","growth_bytes_a_day":12345,"days_until_full":null}'
    requests 50 >requests.log
    mkdir -p mirror
    printf '{"ts":"2026-11-22T02:00:00Z","day":"2026-11-22","zone":"UTC","result":"%s"}\n' NG OK >mirror/mirror_status.log
}

@test "the store, its queue and its cache" {
    metrics
    [ "$(metric up)" = 0 ]
    everything
    metrics
    [ "$(metric up) $(metric events) $(metric conflicts)" = '1 30 0' ]
    [ "$(metric 'restores{status="COMPLETED"}')" = 1 ]
    [ "$(metric last_restore_age_seconds)" -lt 600 ]
    [ "$(metric 'queue_ready{queue="jobs"}') $(metric 'queue_dead_letters{queue="jobs"}') $(metric 'queue_ended_well_1h{queue="jobs"}')" = '1 1 1' ]
    [[ $(metric 'queue_wait_p99_seconds{queue="jobs"}') =~ ^[0-9]+\.[0-9]{3}$ ]]
    [ "$(metric 'cache_entries{namespace="ns"}') $(metric 'cache_bytes{namespace="ns"}') $(metric cache_sets_total)" = '1 2 1' ]
    [ "$(metric store_bytes)" -ge "$(stat -c %s "$LIFEBOAT_DB")" ]
    [ "$(metric disk_size_bytes)" -gt "$(metric disk_free_bytes)" ]
}

@test "what the status folder says, to the second" {
    everything
    LIFEBOAT_NOW=$now metrics
    while read -r wanted; do
        grep -qxF "lifeboat_$wanted" metrics || { echo "wanted: $wanted"; grep -v '^#' metrics; false; }
    done <<'END'
backup_ok 1
backup_age_seconds{kind="hourly"} 96
backup_age_seconds{kind="daily"} 8096
backup_oldest_restorable_age_seconds 5378096
backup_bytes 4000
backup_events 30
backup_duration_seconds 1.500
backup_target_ok{target="/b\"\\\n"} 1
backup_target_ok{target="ssh:h:/x"} 0
backup_target_age_seconds{target="/b\"\\\n"} 96
backup_target_age_seconds{target="ssh:h:/x"} 78096
drill_ok 0
drill_age_seconds 78096
drill_ok_age_seconds 1378096
drill_backup_age_seconds 79096
drill_rto_seconds 61.500
drill_rpo_seconds 900.000
follow_connected{host="box-2"} 1
follow_age_seconds{host="box-2"} 0
follow_behind_events{host="box-2"} 3
follow_lag_seconds{host="box-2"} 0.042
heard_age_seconds{source="main"} 6
heard_gone{source="main"} 0
hub_ok 0
hub_age_seconds 96
hub_conflicts 2
maintain_ok 1
maintain_age_seconds 78096
maintain_duration_seconds 0.071
growth_bytes_per_day 12345
mirror_streak_days 0
END
    [ "$(grep -c days_until_full metrics)" -eq 0 ]
    [ "$(grep -c '^lifeboat_status_unreadable{file=".*"} 0$' metrics)" -eq 7 ]
    rm -r status
    metrics
    [ "$(grep -cE '^lifeboat_(backup|drill|follow|heard|hub|maintain|status|growth)' metrics)" -eq 0 ]
}

@test "a file of the status folder that is broken is said to be, and the others are read" {
    everything
    for broken in '' '{"ok":' '[]' 'null' '{"ok":true}{"ok":true}' $'{"ok":true,"x":"\xff"}'; do
        printf '%s' "$broken" >status/drill.json
        metrics
        [ "$(metric 'status_unreadable{file="drill.json"}')" = 1 ]
        [ "$(metric 'status_unreadable{file="backup.json"}') $(metric backup_ok)" = '0 1' ]
        [ "$(grep -c drill_ metrics)" -eq 0 ]
    done
    # Of another shape than agreed: what can be told is.
    for odd in '{}' '{"ok":1,"last_ok":"x","targets":{"a":1},"bytes":1.5}' '{"last_ok":[1],"targets":[1,{"target":2},{"target":"t"}]}'; do
        printf '%s' "$odd" >status/backup.json
        metrics
        [ "$(metric 'status_unreadable{file="backup.json"}') $(grep -c '^lifeboat_backup' metrics)" = '0 0' ]
    done
    rm status/drill.json
    mkdir status/drill.json
    metrics
    [ "$(metric 'status_unreadable{file="drill.json"}')" = 1 ]
}

@test "each request is counted once, over rotations too, and sums only grow" {
    mkevents 1 | evstore-append -q
    : >requests.log
    metrics
    [ "$(counted)" -eq 0 ]
    requests 100 a >>requests.log
    metrics
    [ "$(counted) $(metric 'http_requests_total{route="/api/events",method="GET",code="5xx"}')" = '100 10' ]
    [ "$(metric 'http_request_duration_seconds_count{route="/api/events",method="GET"}')" -eq 100 ]
    [ "$(metric 'http_request_duration_seconds_bucket{route="/api/events",method="GET",le="0.005"}')" -eq 6 ]
    [ "$(metric 'http_request_duration_seconds_bucket{route="/api/events",method="GET",le="+Inf"}')" -eq 100 ]
    requests 7 b >>requests.log
    mv requests.log requests.log.1
    requests 5 c >requests.log
    requests 3 d >>requests.log.1
    for again in 1 2; do metrics; [ "$(counted)" -eq 115 ]; done
    # As logrotate.conf does it.
    sed "s|/var/log/lifeboat/requests.log|$PWD/requests.log|; /mirror-send.log/d; /^ *su /d; /mirrorctl.log/,\$d" "$top/scripts/logrotate.conf" >rotate.conf
    for i in 1 2 3; do
        logrotate -f -s "$PWD/rotate.state" rotate.conf
        requests 10 "e$i" >>requests.log
        metrics
        [ "$(counted)" -eq $((115 + 10 * i)) ]
    done
}

@test "many who count at once count each request once" {
    mkevents 1 | evstore-append -q
    requests 20 first >requests.log
    pids=()
    for i in 1 2 3 4 5 6; do
        background "m$i" lifeboat-metrics
        pids+=("$pid")
        requests 20 "w$i" >>requests.log
    done
    for p in "${pids[@]}"; do wait "$p"; done
    metrics
    [ "$(counted)" -eq 140 ]
}

@test "while another counts, what he has kept so far is told, and nothing is kept over it" {
    mkevents 1 | evstore-append -q
    requests 20 a >requests.log
    metrics
    mkfifo hold
    background holder python3 -c '
import fcntl
f = open("status/requests.json-lock", "r+")
fcntl.lockf(f, fcntl.LOCK_EX)
print("held", flush=True)
open("hold").read()'
    holder=$pid
    wait_until 10 grep -qx held holder.out
    requests 20 b >>requests.log
    cp status/requests.json before
    metrics
    [ "$(counted)" -eq 20 ]
    cmp before status/requests.json
    echo >hold
    wait "$holder"
    metrics
    [ "$(counted)" -eq 40 ]
}

@test "sums that are damaged begin anew" {
    mkevents 1 | evstore-append -q
    requests 20 >requests.log
    metrics
    echo '["lifeboat_requests",1,' >status/requests.json
    metrics
    [ "$(counted)" -eq 20 ]
    jq -e . status/requests.json >/dev/null
}

@test "--output replaces the file as a whole, for everybody to read" {
    mkevents 1 | evstore-append -q
    umask 077
    mkdir out
    lifeboat-metrics -o out/x.prom >stdout
    [ ! -s stdout ]
    [ "$(stat -c %a out/x.prom)" = 644 ]
    was=$(stat -c %i out/x.prom)
    lifeboat-metrics -o out/x.prom
    [ "$(stat -c %i out/x.prom)" != "$was" ]
    [ "$(ls -A out)" = x.prom ]
    run_split lifeboat-metrics -o nowhere/x.prom
    assert_status 73 'nowhere/x.prom'
    # What it cannot say it does not say: the old file stays.
    echo 'no store' >broken.db
    run_split lifeboat-metrics -d broken.db -o out/x.prom
    assert_status 65
    grep -qx 'lifeboat_up 1' out/x.prom
}

@test "--history notes a line a day, and what was done in the day before" {
    # A box whose clock is behind the program's build notes nothing.
    now=4004453296000
    LIFEBOAT_NOW=$now everything
    export LIFEBOAT_BACKUP_TARGETS="$PWD/backups ssh:h:/x"
    mkdir -p backups/a
    head -c 5000 /dev/zero >backups/a/events
    day=86400000
    note() { LIFEBOAT_NOW=$1 lifeboat-metrics --history >/dev/null; }
    note "$now"
    note "$((now + 60000))"
    [ "$(wc -l <status/history.jsonl)" -eq 1 ]
    jq_true '.day == "2096-11-22" and .events == 30 and .store_bytes > 0 and .disk_free_bytes > 0 and .backup_bytes == 5000
        and .backup_on_store_disk and (.events_by_type | add) == 30 and .queues.jobs.badly == 1 and (has("before") | not)' status/history.jsonl
    # Two good hourlies, a failed one, a drill; each is seen by several looks.
    for at in 1 2; do
        status_file backup <<<"{\"ts\":$((now + at)),\"ok\":true,\"last_ok\":{\"hourly\":$((now + at))}}"
        note "$((now + 70000))"
        note "$((now + 80000))"
    done
    status_file backup <<<"{\"ts\":$((now + 3)),\"ok\":false,\"last_ok\":{\"hourly\":$((now + 2))}}"
    status_file drill <<<"{\"ts\":$((now + 3)),\"ok\":true,\"last_ok\":$((now + 3))}"
    note "$((now + 90000))"
    note "$((now + day))"
    tail -n 1 status/history.jsonl | jq_true '.day == "2096-11-23" and .before == {day: "2096-11-22", hourly: 2, daily: 0,
        weekly: 0, monthly: 0, drill: 1, backup_failed: 1, drill_failed: 0}'
    # A line that the loss of power cut, and a clock that is plainly wrong.
    printf '{"day":"2096-11-24","ts' >>status/history.jsonl
    note 1000000
    note "$((now + 3 * day))"
    [ "$(grep -c '' status/history.jsonl)" -eq 4 ]
    tail -n 1 status/history.jsonl | jq_true '.day == "2096-11-25"'
}

@test "a history that cannot be noted is told, silences no metric, and what it was to say comes later" {
    # A box whose clock is behind the program's build notes nothing.
    now=4004453296000
    LIFEBOAT_NOW=$now everything
    day=86400000
    note() { LIFEBOAT_NOW=$1 lifeboat-metrics --history -o x.prom; }
    note "$now"
    status_file backup <<<"{\"ts\":$((now + 1)),\"ok\":true,\"last_ok\":{\"hourly\":$((now + 1))}}"
    note "$((now + 60000))"
    mv status/history.jsonl aside
    mkdir status/history.jsonl
    rm x.prom
    run_split note "$((now + day))"
    assert_status 74 'history.jsonl'
    grep -qx 'lifeboat_up 1' x.prom
    rmdir status/history.jsonl
    mv aside status/history.jsonl
    note "$((now + day + 60000))"
    tail -n 1 status/history.jsonl | jq_true '.day == "2096-11-23" and .before.day == "2096-11-22" and .before.hourly == 1'
    note "$((now + 2 * day))"
    tail -n 1 status/history.jsonl | jq_true '.before.day == "2096-11-23" and .before.hourly == 0'
}

@test "a status folder that a unit may not write to: what to do is said" {
    mkdir ro
    unshare --mount mount -t tmpfs -o ro none ro || skip 'nothing can be mounted here'
    mkevents 1 | evstore-append -q
    in_ro() { # FOLDER
        LIFEBOAT_STATUS_DIR=$PWD/$1 unshare --mount sh -c 'mount -t tmpfs -o ro none ro && exec lifeboat-metrics --history'
    }
    for folder in ro ro/status; do
        run_split in_ro "$folder"
        assert_status 77 'Read-only file system'
        assert_status 77 '(a service wants ReadWritePaths= for it: lifeboat(7), LIFEBOAT_DB)'
        assert_line 'lifeboat_up 1'
    done
}

@test "the history is bounded" {
    mkevents 1 | evstore-append -q
    mkdir status
    awk 'BEGIN { for (i = 1; i <= 1100; i++) printf "{\"day\":\"x-%d\",\"ts\":%d}\n", i, i }' >status/history.jsonl
    lifeboat-metrics --history >/dev/null
    [ "$(wc -l <status/history.jsonl)" -eq 1100 ]
    [ "$(head -n 1 status/history.jsonl)" = '{"day":"x-2","ts":2}' ]
}

@test "promtool finds no fault in the metrics" {
    command -v promtool || skip 'there is no promtool'
    everything
    metrics
    # The mirror's streak is a number of days, not a span of time.
    grep -vE 'lifeboat_mirror_(streak|target)_days' metrics >checked
    run_split promtool check metrics <checked
    assert_status 0
    [ -z "$out$errout" ]
}

@test "alerts.yml: promtool finds no fault, each rule tells what it is for, and none on a box that is well" {
    command -v promtool || skip 'there is no promtool'
    cp "$top/scripts/alerts.yml" "$top"/tests/data/alerts-*.yml .
    promtool check rules alerts.yml
    promtool test rules alerts-test.yml
    promtool test rules alerts-never-test.yml
}

@test "alerts.yml names only metrics that there are, and the page names each of them" {
    everything
    metrics
    sed -n 's/^# TYPE lifeboat_\([a-z0-9_]*\) .*/\1/p' metrics | sort >there
    # These are there at other times.
    printf '%s\n' days_until_full hlc_ahead_seconds >>there
    grep -oE 'lifeboat_[a-z0-9_]+' "$top/scripts/alerts.yml" | sed -E 's/^lifeboat_//; s/_bucket$//' |
        grep -vxE 'lifeboat|' | sort -u >named
    while read -r m; do grep -qx "$m" there || { echo "no such metric: $m"; false; }; done <named
    while read -r m; do grep -qE "^\.It Li $m( |$)" "$top/man/lifeboat-metrics.1" || { echo "not in the page: $m"; false; }; done <there
}
