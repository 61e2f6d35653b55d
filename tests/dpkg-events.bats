# dpkg-events: the adapter from dpkg's log to events.
# shellcheck disable=SC2030,SC2031 # each test is its own shell
load helper

setup() {
    private_store
    export TZ=UTC
    mkdir log
}

# The log of one package from its install to its purge.
write_log() {
    cat >whole <<'LOG'
2025-01-02 03:04:05 startup archives unpack
2025-01-02 03:04:05 install jq:amd64 <none> 1.6-2
2025-01-02 03:04:05 status half-installed jq:amd64 1.6-2
2025-01-02 03:04:05 status unpacked jq:amd64 1.6-2
2025-01-02 03:04:06 startup packages configure
2025-01-02 03:04:06 configure jq:amd64 1.6-2 <none>
2025-01-02 03:04:06 conffile /etc/a file with spaces install
2025-01-02 03:04:06 status unpacked jq:amd64 1.6-2
2025-01-02 03:04:06 status half-configured jq:amd64 1.6-2
2025-01-02 03:04:06 status installed jq:amd64 1.6-2
2025-02-01 00:00:00 upgrade jq:amd64 1.6-2 1.6-2.1
2025-02-01 00:00:00 status half-configured jq:amd64 1.6-2
2025-02-01 00:00:00 status installed jq:amd64 1.6-2.1
2025-02-01 00:00:00 trigproc man-db:amd64 2.11.2-2 <none>
2025-03-01 00:00:00 remove jq:amd64 1.6-2.1 <none>
2025-03-01 00:00:00 status config-files jq:amd64 1.6-2.1
2025-03-01 00:00:00 purge jq:amd64 1.6-2.1 <none>
2025-03-01 00:00:00 status not-installed jq:amd64 <none>
LOG
}

events() {
    run_split dpkg-events -q "$@"
    assert_status 0
}

# The times of what was printed last, in UTC.
times() {
    jq -r '.ts_device / 1000 | todate | .[:-1] | sub("T"; " ")' "$OUT"
}

# The default fold of what was printed last: entity, version, state.
fold() {
    jq -rn 'reduce inputs as $e ({};
        .[$e.entity_id] = reduce ($e.payload | to_entries[]) as $p (.[$e.entity_id];
            if $p.value == null then del(.[$p.key]) else .[$p.key] = $p.value end))
        | to_entries[] | "\(.key) \(.value.version) \(.value.state)"' "$OUT"
}

@test "a log becomes events in its order, with ascending clocks and the line's own time" {
    write_log && cp whole log/dpkg.log
    run_split dpkg-events --log-dir log
    assert_status 0 '15 events from 1 file; 2 startup and 1 conffile lines passed over, 0 bad'
    [ "$(jq -s length "$OUT")" -eq 15 ]
    [ "$(head -n 1 "$OUT" | jq -c 'del(.event_id)')" = "$(tr -d '\n' <<'EVENT'
{"entity_type":"package","entity_id":"jq:amd64","actor_id":"dpkg","ts_device":1735787045000,
"hlc":"019424f86088.0000","event_type":"PACKAGE_INSTALL",
"payload":{"action":"install","old_version":null,"new_version":"1.6-2"}}
EVENT
    )" ]
    jq -r .hlc "$OUT" | sort -cu
    [ "$(jq -r '.event_type[8:] | ascii_downcase' "$OUT" | paste -sd' ')" = "$(
        awk '$3 != "startup" && $3 != "conffile" { print $3 }' whole | paste -sd' '
    )" ]
}

@test "ids fit the event format and are all different" {
    write_log && cp whole log/dpkg.log
    events --log-dir log
    [ "$(jq -r .event_id "$OUT" | grep -cxE '[A-Za-z0-9._:-]{1,128}')" -eq 15 ]
    [ -z "$(jq -r .event_id "$OUT" | sort | uniq -d)" ]
}

@test "the fold ends with the version and state dpkg recorded" {
    write_log
    head -n 13 whole >log/dpkg.log
    events --log-dir log
    [ "$(fold)" = 'jq:amd64 1.6-2.1 installed' ]
    cp whole log/dpkg.log
    events --log-dir log
    [ "$(fold)" = "jq:amd64 null not-installed
man-db:amd64 2.11.2-2 null" ]
}

@test "rotation and packing change no byte" {
    write_log
    cp whole log/dpkg.log
    events --log-dir log
    cp "$OUT" before
    # A second's lines may be parted by the rotation, and 10 comes before 9.
    head -n 3 whole | gzip >log/dpkg.log.10.gz
    sed -n 4,9p whole | gzip >log/dpkg.log.9.gz
    sed -n 10,12p whole >log/dpkg.log.1
    sed -n '13,$p' whole >log/dpkg.log
    events --log-dir log
    cmp before "$OUT"
}

@test "logs rotated by date are read oldest first" {
    write_log
    head -n 9 whole | gzip >log/dpkg.log-20250103.gz
    sed -n 10,12p whole >log/dpkg.log-20250201
    sed -n '13,$p' whole >log/dpkg.log
    events --log-dir log
    cp "$OUT" parts
    events whole
    cmp parts "$OUT"
}

@test "operands are read oldest first whatever their order, and - is stdin" {
    write_log
    events whole
    cp "$OUT" before
    head -n 10 whole | gzip >old.gz
    sed -n '11,$p' whole >new
    events new old.gz
    cmp before "$OUT"
    events - old.gz <new
    cmp before "$OUT"
    events <(cat new) <(cat old.gz)
    cmp before "$OUT"
}

@test "a log being packed just now is read once" {
    write_log
    cp whole log/dpkg.log
    head -n 5 whole >log/dpkg.log.1
    sed -i 1,5d log/dpkg.log
    gzip -k log/dpkg.log.1
    events --log-dir log
    [ "$(jq -s length "$OUT")" -eq 15 ]
}

@test "identical lines in one second are events of their own, and stay so" {
    for _ in 1 2 3; do
        echo '2025-01-02 03:04:05 status triggers-pending libc-bin:amd64 2.36-9'
    done >log/dpkg.log
    events --log-dir log
    [ "$(jq -r .event_id "$OUT" | sort -u | wc -l)" -eq 3 ]
    cp "$OUT" before
    head -n 1 log/dpkg.log >log/dpkg.log.1
    sed -i 1d log/dpkg.log
    events --log-dir log
    cmp before "$OUT"
}

@test "another machine's line at the same place in the same second has another id" {
    echo '2025-01-02 03:04:05 status installed jq:amd64 1.6' >a
    echo '2025-01-02 03:04:05 status installed jq:amd64 1.7' >b
    events a
    one=$(jq -r .event_id "$OUT")
    events b
    [ "$one" != "$(jq -r .event_id "$OUT")" ]
    events --device box-2 a
    [ "$one" != "$(jq -r .event_id "$OUT")" ]
    [ "$(jq -r .device_id "$OUT")" = box-2 ]
}

@test "a package written without its architecture is taken as it is" {
    echo '2009-01-02 03:04:05 status installed dpkg 1.14.29' >log/dpkg.log
    events --log-dir log
    [ "$(fold)" = 'dpkg 1.14.29 installed' ]
}

@test "quotes and backslashes come out as JSON" {
    printf '%s\n' '2025-01-02 03:04:05 status installed a"b\c:all 1.0\"~+x' >log/dpkg.log
    events --log-dir log
    [ "$(jq -r .entity_id "$OUT")" = 'a"b\c:all' ]
    [ "$(jq -r .payload.version "$OUT")" = '1.0\"~+x' ]
}

@test "bad lines are named with file and line, left out, and the rest goes on" {
    printf '%s\n' \
        '2025-01-02 03:04:05 status installed jq:amd64 1.6' \
        '' \
        '2025-13-02 03:04:05 status installed jq:amd64 1.7' \
        '2025-02-29 03:04:05 status installed jq:amd64 1.7' \
        '2025-01-02 03:04:06 status installed' \
        '2025-01-02 03:04:06 frobnicate jq:amd64 1 2' \
        $'2025-01-02 03:04:06 status installed j\001q:amd64 1.6' \
        '2025-01-02 03:04:06 status installed jq:amd64 1.é' \
        $'2025-01-02 03:04:07 status installed jq:amd64 1.8\r' >log/dpkg.log
    printf '\0\0\0\0' | dd of=log/dpkg.log bs=1 seek=140 conv=notrunc status=none
    run_split dpkg-events --log-dir log
    assert_status 1 '2 events from 1 file; 0 startup and 0 conffile lines passed over, 6 bad'
    for n in 3 4 5 6 7 8; do [[ $errout == *"dpkg-events: log/dpkg.log:$n: "* ]]; done
    [ "$(fold)" = 'jq:amd64 1.8 installed' ]
}

@test "a last line without its end is not believed" {
    printf '%s\n%s' '2025-01-02 03:04:05 status installed jq:amd64 1.6' \
        '2025-01-02 03:04:06 status installed jq:amd64 1.' >log/dpkg.log
    run_split dpkg-events --log-dir log
    assert_status 1 'log/dpkg.log:2: no line end'
    [ "$(fold)" = 'jq:amd64 1.6 installed' ]
}

@test "a damaged gz file stops the run before anything is printed" {
    write_log
    cp whole log/dpkg.log
    gzip <whole | head -c 100 >log/dpkg.log.1.gz
    run_split dpkg-events --log-dir log
    assert_status 65 'log/dpkg.log.1.gz: damaged'
    assert_out ''
}

@test "no log is 66, an unknown option 64, a full disk 74" {
    run_split dpkg-events --log-dir log
    assert_status 66 'no dpkg.log there'
    run_split dpkg-events nowhere
    assert_status 66 nowhere
    run_split dpkg-events --frob
    assert_status 64 --frob
    write_log
    status=0
    dpkg-events whole >/dev/full 2>err || status=$?
    [ "$status" -eq 74 ]
}

@test "an empty log is no event and no error" {
    : >log/dpkg.log
    events --log-dir log
    assert_out ''
}

@test "other files beside the logs are named, not read" {
    write_log
    cp whole log/dpkg.log
    cp whole log/dpkg.log.bak
    run_split dpkg-events --log-dir log
    assert_status 0 'log/dpkg.log.bak: not a log of dpkg'
    [ "$(jq -s length "$OUT")" -eq 15 ]
}

@test "local time becomes UTC by the zone's summer time" {
    export TZ=CET-1CEST,M3.5.0,M10.5.0/3
    printf '%s\n' '2025-01-15 12:00:00 status installed a:all 1' \
        '2025-07-15 12:00:00 status installed a:all 2' >log/dpkg.log
    events --log-dir log
    [ "$(times)" = "2025-01-15 11:00:00
2025-07-15 10:00:00" ]
}

@test "the hour that comes twice is told apart by the order of the lines" {
    export TZ=CET-1CEST,M3.5.0,M10.5.0/3
    printf '2025-10-26 %s status installed a:all 1\n' \
        01:59:59 02:00:00 02:59:59 02:00:00 02:59:59 03:00:00 >log/dpkg.log
    events --log-dir log
    [ "$(times | cut -c12- | paste -sd' ')" = \
        '23:59:59 00:00:00 00:59:59 01:00:00 01:59:59 02:00:00' ]
    [ "$(jq -r .event_id "$OUT" | sort -u | wc -l)" -eq 6 ]
}

@test "the hour that never was is read as the time before the change" {
    export TZ=CET-1CEST,M3.5.0,M10.5.0/3
    printf '2025-03-30 %s status installed a:all 1\n' 01:59:59 02:30:00 03:00:00 >log/dpkg.log
    events --log-dir log
    [ "$(times | cut -c12- | paste -sd' ')" = '00:59:59 01:30:00 01:00:00' ]
    jq -r .hlc "$OUT" | sort -cu
}

@test "a clock set back leaves the events in log order" {
    printf '2025-01-02 %s status installed a:all %s\n' \
        12:00:00 1 11:00:00 2 11:30:00 3 >log/dpkg.log
    events --log-dir log
    jq -r .hlc "$OUT" | sort -cu
    [ "$(times | cut -c12- | paste -sd' ')" = '12:00:00 11:00:00 11:30:00' ]
    [ "$(fold)" = 'a:all 3 installed' ]
}

@test "more lines of one second than the counter holds keep their order" {
    awk 'BEGIN { for (i = 1; i <= 70000; i++)
        print "2025-01-02 03:04:05 status installed a:all " i }' >log/dpkg.log
    events --log-dir log
    jq -r .hlc "$OUT" | sort -cu
    [ "$(jq -r .payload.version "$OUT" | tail -n 1)" = 70000 ]
    [ "$(fold)" = 'a:all 70000 installed' ]
}

@test "appending the log a second time adds nothing, and after it grew only what is new" {
    write_log
    head -n 13 whole >log/dpkg.log
    dpkg-events -q --log-dir log | evstore-append -q
    dpkg-events -q --log-dir log >again
    run_split evstore-append again
    assert_status 0 '10 already present'
    mv log/dpkg.log log/dpkg.log.1
    sed -n '14,$p' whole >log/dpkg.log
    dpkg-events -q --log-dir log >grown
    run_split evstore-append grown
    assert_status 0 '10 already present'
    [ "$(evstore-export --digest | cut -d' ' -f2)" -eq 15 ]
}
