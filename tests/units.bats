#!/usr/bin/env bats
# The units of upkeep as they are written: who runs when, who waits for whom, who is told.
# That systemd takes them, and that they are hardened, is in install.bats.

# plain

load helper

setup() {
    private_store
    cd "$top/systemd" || return
}

# The jobs that read or write the whole store, in the order in which they go when several
# begin at once. Instances of a template count for themselves.
whole=(lifeboat-maintain lifeboat-backup@hourly lifeboat-backup@daily lifeboat-backup@weekly
    lifeboat-backup@monthly lifeboat-verify lifeboat-drill)

unit_file() { # NAME: of a template for an instance
    [[ $1 == *@* ]] && echo "${1%%@*}@.service" || echo "$1.service"
}
after() { sed -n 's/^After=//p' "$(unit_file "$1")" | tr ' ' '\n'; }

@test "jobs on the whole store: each pair begins in order, and the lock keeps them apart" {
    pairs=0
    for ((i = 0; i < ${#whole[@]}; i++)); do
        [ -e "$(unit_file "${whole[i]}")" ] || continue
        # Where one runs already, After= holds back no other: the lock does.
        grep -qE '^ExecStart=/usr/bin/flock --timeout 7200 --conflict-exit-code 75 /var/lib/lifeboat ' "$(unit_file "${whole[i]}")" ||
            { echo "${whole[i]} takes no lock"; false; }
        grep -qE '^TimeoutStartSec=[3-9]h$' "$(unit_file "${whole[i]}")"
        for ((j = i + 1; j < ${#whole[@]}; j++)); do
            [ -e "$(unit_file "${whole[j]}")" ] || continue
            # Instances of one template have the lock alone.
            [ "$(unit_file "${whole[i]}")" != "$(unit_file "${whole[j]}")" ] || continue
            after "${whole[j]}" | grep -qxF "${whole[i]}.service" || { echo "${whole[j]} is not after ${whole[i]}"; false; }
            ! after "${whole[i]}" | grep -qxF "${whole[j]}.service" || { echo "${whole[i]} and ${whole[j]}: a cycle"; false; }
            pairs=$((pairs + 1))
        done
    done
    [ "$pairs" -gt 0 ]
    # The reports come last, and read no store.
    for w in "${whole[@]}"; do after lifeboat-report@monthly | grep -qxF "$w.service"; done
}

@test "whoever else has to do with the whole store is in that table" {
    for u in *.service; do
        grep -qE '^(ExecStart=| ).*(evstore-maintain|evstore-verify|lifeboat-backup|lifeboat-drill)' "$u" || continue
        for w in "${whole[@]}"; do [ "$(unit_file "$w")" != "$u" ] || continue 2; done
        echo "$u: not in the table"
        false
    done
}

@test "the lock is one: who has it keeps the others out, until he ends" {
    mkfifo "$BATS_TEST_TMPDIR/hold"
    lock=$(sed -n 's|^ExecStart=\(/usr/bin/flock --timeout\) 7200 \(.*\) /var/lib/lifeboat .*|\1 0 \2|p' lifeboat-maintain.service)
    background holder sh -c "exec $lock $BATS_TEST_TMPDIR sh -c 'echo held; read -r x <$BATS_TEST_TMPDIR/hold'"
    holder=$pid
    wait_until 10 grep -qx held "$BATS_TEST_TMPDIR/holder.out"
    # shellcheck disable=SC2086
    run_split $lock "$BATS_TEST_TMPDIR" true
    assert_status 75
    echo >"$BATS_TEST_TMPDIR/hold"
    wait "$holder"
    # shellcheck disable=SC2086
    $lock "$BATS_TEST_TMPDIR" true
}

# The moments of a timer from the first of January 2027, a Friday, on.
moments() { # TIMER N
    systemd-analyze calendar --iterations="$2" --base-time='2027-01-01 00:00:00 UTC' "$(sed -n 's/^OnCalendar=//p' "$1.timer")" |
        sed -nE 's/.*(Next elapse|Iteration #[0-9]+|Iter\. #[0-9]+): (.*)/\2/p' | sed -E 's/ UTC$//' | paste -sd ,
}

@test "the timers go when the schedule says" {
    [ "$(moments lifeboat-cache 2)" = 'Fri 2027-01-01 00:05:00,Fri 2027-01-01 00:10:00' ]
    [ "$(moments lifeboat-queue 2)" = 'Fri 2027-01-01 02:00:00,Sat 2027-01-02 02:00:00' ]
    [ "$(moments lifeboat-maintain 2)" = 'Sun 2027-01-03 03:00:00,Sun 2027-01-10 03:00:00' ]
    [ "$(moments lifeboat-flush 2)" = 'Fri 2027-01-01 00:01:00,Fri 2027-01-01 00:02:00' ]
    [ "$(moments lifeboat-metrics 2)" = 'Fri 2027-01-01 00:00:30,Fri 2027-01-01 00:01:30' ]
    [ "$(moments lifeboat-report-monthly 2)" = 'Fri 2027-01-01 07:00:00,Mon 2027-02-01 07:00:00' ]
    [ "$(moments lifeboat-report-quarterly 3)" = 'Fri 2027-01-01 07:30:00,Thu 2027-04-01 07:30:00,Thu 2027-07-01 07:30:00' ]
    [ "$(moments lifeboat-backup-hourly 2)" = 'Fri 2027-01-01 00:17:00,Fri 2027-01-01 01:17:00' ]
    [ "$(moments lifeboat-backup-daily 2)" = 'Fri 2027-01-01 03:00:00,Sat 2027-01-02 03:00:00' ]
    [ "$(moments lifeboat-backup-weekly 2)" = 'Sun 2027-01-03 04:00:00,Sun 2027-01-10 04:00:00' ]
    [ "$(moments lifeboat-backup-monthly 3)" = 'Sun 2027-01-31 23:30:00,Sun 2027-02-28 23:30:00,Wed 2027-03-31 23:30:00' ]
    [ "$(moments lifeboat-drill 2)" = 'Sun 2027-01-03 06:00:00,Sun 2027-01-10 06:00:00' ]
    [ "$(moments lifeboat-follow-watch 2)" = 'Fri 2027-01-01 00:01:00,Fri 2027-01-01 00:02:00' ]
    for kind in hourly daily weekly monthly; do grep -qx "Unit=lifeboat-backup@$kind.service" "lifeboat-backup-$kind.timer"; done
    for kind in monthly quarterly; do grep -qx "Unit=lifeboat-report@$kind.service" "lifeboat-report-$kind.timer"; done
    for t in *.timer; do
        u=$(sed -n 's/^Unit=//p' "$t")
        u=${u:-${t%.timer}.service}
        [ -e "$(unit_file "${u%.service}")" ] || { echo "$t starts nothing"; false; }
    done
}

@test "a failure is told, now and then; jobs have an end" {
    for u in *.service; do
        [ "$u" != lifeboat-notify@.service ] || continue
        grep -qx 'OnFailure=lifeboat-notify@%n.service' "$u" || { echo "$u: nobody is told"; false; }
        ! grep -qx 'Type=oneshot' "$u" || grep -qx 'TimeoutStartSec=[1-9].*' "$u"
    done
    grep -qx 'StartLimitIntervalSec=1h' lifeboat-notify@.service
    grep -qx 'StartLimitBurst=3' lifeboat-notify@.service
}

@test "whoever may take a lease knows the boot by its id, which ProcSubset=pid would hide" {
    for u in *.service; do
        grep -qE '^(ExecStart=| ).*(syncq|kvcache|cloud-sync|mirror-send|lighttpd -D|evstore-restore)' "$u" || continue
        ! grep -qx 'ProcSubset=pid' "$u" || { echo "$u"; false; }
        found=1
    done
    [ "$found" = 1 ]
}

@test "the worker: its handler by name, time to end, no restart after the operator's mistakes" {
    u=lifeboat-work@.service
    grep -qx 'ExecStart=/usr/local/bin/syncq work %i -- /etc/lifeboat/workers/%i' "$u"
    grep -qx 'AssertFileIsExecutable=/etc/lifeboat/workers/%i' "$u"
    grep -qx 'KillMode=mixed' "$u"
    [ "$(sed -n 's/^TimeoutStopSec=//p' "$u")" -gt 30 ]
    grep -qx 'Restart=on-failure' "$u"
    [[ " $(sed -n 's/^RestartPreventExitStatus=//p' "$u") " == *' 78 '* ]]
    # As that unit does it: TERM is a good end, an operator's mistake is 78.
    cd "$BATS_TEST_TMPDIR"
    echo 1 | syncq enqueue -q mail
    run_split syncq work mail -- "$PWD/no-such-program"
    assert_status 78
    mkfifo go
    printf '#!/bin/sh\necho begun\nread -r x <go\necho ended >ended\n' >handler
    chmod +x handler
    background worker syncq work mail -- ./handler
    worker=$pid
    wait_until 10 sh -c 'syncq stats mail | grep -q "\"running\":1"'
    kill -TERM "$worker"
    echo >go
    status=0
    wait "$worker" || status=$?
    [ "$status" -eq "$(sed -n 's/^SuccessExitStatus=//p' "$top/systemd/$u")" ]
    [ -e ended ]
}

# As from a timer: nothing of ours in the environment but where the settings are.
@test "scripts find their settings in the file, where the environment has none" {
    cd "$BATS_TEST_TMPDIR"
    mkdir one
    printf 'LIFEBOAT_DB=%s\nLIFEBOAT_BACKUP_TARGETS="%s"\n' "$PWD/lifeboat.db" "$PWD/one" >settings
    from_file() { env -i PATH="$PATH" HOME="$PWD" LIFEBOAT_ENV="$PWD/settings" "$@"; }
    mkevents 5 | from_file evstore-append -q
    from_file lifeboat-backup -q hourly
    [ "$(find one -name manifest.json | wc -l)" = 1 ]
    from_file lifeboat-drill | jq_true '.ok and .events == 5'
    from_file lifeboat-follow --watch
    from_file lifeboat-report -n monthly >report
    grep -q . report
    # No variable at all, as a unit has it.
    run_split env -i PATH="$PATH" bash -euo pipefail -c '. "$1/settings.bash"; settings_read; echo read' x "$top/scripts"
    assert_status 0
    assert_out read
}

@test "the metrics are made without a store too, or nobody would hear that it is gone" {
    grep -qF -- '--output /run/lifeboat/lifeboat.prom' lifeboat-metrics.service
    [ "$(grep -cE '^(Condition|Assert).*lifeboat\.db' lifeboat-metrics.service)" -eq 0 ]
    # What the unit runs, on a box whose store was there a minute ago.
    export LIFEBOAT_STATUS_DIR=$BATS_TEST_TMPDIR/status LIFEBOAT_HTTP_LOG=$BATS_TEST_TMPDIR/none
    mkevents 1 | evstore-append -q
    lifeboat-metrics --history --output "$BATS_TEST_TMPDIR/x.prom"
    grep -qx 'lifeboat_up 1' "$BATS_TEST_TMPDIR/x.prom"
    rm "$LIFEBOAT_DB"
    lifeboat-metrics --history --output "$BATS_TEST_TMPDIR/x.prom"
    grep -qx 'lifeboat_up 0' "$BATS_TEST_TMPDIR/x.prom"
}

@test "the front ends when it cannot be, and is told; a comparison that nobody configured is passed over" {
    grep -qx 'AssertFileIsExecutable=/usr/sbin/lighttpd' lifeboat-http.service
    # The limit is one that its starts can come to.
    [ "$(sed -n 's/^StartLimitIntervalSec=\(.*\)min$/\1/p' lifeboat-http.service)" -eq 10 ]
    [ $(($(sed -n 's/^StartLimitBurst=//p' lifeboat-http.service) * $(sed -n 's/^RestartSec=//p' lifeboat-http.service))) -lt 300 ]
    condition=$(sed -n "s|^ExecCondition=/bin/sh -c '\(.*\)'$|\1|p" mirror-compare.service | sed 's/\$\$/$/g')
    [ -n "$condition" ]
    export LIFEBOAT_CONFIG=$BATS_TEST_TMPDIR/config
    run_split sh -c "$condition"
    assert_status 254
    mkdir "$LIFEBOAT_CONFIG"
    echo '{}' >"$LIFEBOAT_CONFIG/mirror-compare.json"
    run_split sh -c "$condition"
    assert_status 0
    LIFEBOAT_NONE=1 run_split sh -c "$condition"
    assert_status 255 LIFEBOAT_NONE
}
