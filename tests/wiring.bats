#!/usr/bin/env bats
# scripts/backup, and scripts/standby with an ssh that stays on this machine.

# valgrind: is soon there|restores to the same digest

load helper

setup() {
    private_store
    mkdir fake backups
    PATH=$PWD/fake:$PATH
    # ssh OPTIONS... HOST CMD...: runs CMD on the store of the standby.
    cat >fake/ssh <<'END'
#!/bin/sh
echo "$$ $*" >>ssh.log
while :; do
    case $1 in
    -o) shift 2 ;;
    -*) shift ;;
    *) break ;;
    esac
done
shift
LIFEBOAT_DB=far.db
exec sh -c "exec $*"
END
    chmod +x fake/ssh
    mkevents 20 | evstore-append -q
}

far_digest() { evstore-export -d far.db --digest 2>/dev/null; }
same() { [ "$(far_digest)" = "$(evstore-export --digest)" ]; }
# The process that ssh became for the command whose line matches.
ssh_pid() { sed -n "s/ .*$1.*//p" ssh.log | tail -n 1; }

@test "standby: what is committed here is soon there" {
    background live standby box2
    wait_until 10 same
    mkevents 30 late | evstore-append -q
    wait_until 10 same
    grep -q 'goes on from start' live.err
}

@test "standby: a new start goes on from the cursor the standby keeps" {
    background live standby box2 here
    wait_until 10 same
    stop_background
    mkevents 30 late | evstore-append -q
    cursor=$(evstore-restore -d far.db --cursor-of here)
    background again standby box2 here
    wait_until 10 same
    grep -qF "box2 goes on from $cursor" again.err
    [ "$cursor" != start ]
}

@test "standby: it ends when the connection does, with no event to notice it by" {
    background live standby box2
    wait_until 10 same
    kill "$(ssh_pid --follow)"
    status=0
    wait "$pid" || status=$?
    [ "$status" -ne 0 ]
}

@test "standby: a cursor that does not fit ends it with 76" {
    background live standby box2 here
    wait_until 10 same
    stop_background
    rm lifeboat.db*
    mkevents 5 | evstore-append -q
    run_split standby box2 here
    assert_status 76 'evstore-export:'
}

@test "standby: ssh asks nothing, trusts no strange host and notices a dead line" {
    background live standby box2
    wait_until 10 same
    for o in BatchMode=yes StrictHostKeyChecking=yes ServerAliveInterval=5 ConnectTimeout=5; do
        [ "$(grep -cF -- "-o $o" ssh.log)" -eq 2 ]
    done
}

@test "standby: a host that is an option or holds a command is refused" {
    for host in -oProxyCommand=x 'box;reboot' "box \$(reboot)" ''; do
        run_split standby "$host"
        assert_status 64
    done
    run_split standby box2 ''
    assert_status 64
    run_split standby box2 'name;reboot'
    assert_status 64
    [ ! -e ssh.log ]
}

# The newest finished backup.
newest() { printf '%s\n' backups/lifeboat-*.jsonl | tail -n 1; }
count() { find backups -name 'lifeboat-*' | wc -l; }

@test "backup: the file is sealed, verifies and restores to the same digest" {
    run_split backup backups
    assert_status 0
    evstore-verify "$(newest)"
    evstore-restore -d other.db --require-seal "$(newest)"
    [ "$(evstore-export -d other.db --digest)" = "$(evstore-export --digest)" ]
    [ "$(stat -c %a "$(newest)")" = 600 ]
}

@test "backup: an export that fails leaves no file and its status" {
    run_split env LIFEBOAT_DB="$PWD/nowhere/lifeboat.db" backup backups
    [ "$status" -ne 0 ]
    [ "$(count)" -eq 0 ]
    [ ! -e backups/.part ]
}

@test "backup: what does not verify never gets its name, and nothing old goes" {
    cp /dev/null backups/lifeboat-20200101T000000Z.jsonl
    printf '#!/bin/sh\nexit 1\n' >fake/evstore-verify
    chmod +x fake/evstore-verify
    run_split backup backups 1
    assert_status 1
    [ "$(ls backups)" = lifeboat-20200101T000000Z.jsonl ]
}

@test "backup: the newest that verify are kept, older ones go" {
    backup backups
    for y in 2020 2021 2022; do
        cp "$(newest)" "backups/lifeboat-${y}0101T000000Z.jsonl"
    done
    rm "$(newest)"
    run_split backup backups 2
    assert_status 0 'removed backups/lifeboat-20210101T000000Z.jsonl'
    [ "$(count)" -eq 2 ]
    [ -e backups/lifeboat-20220101T000000Z.jsonl ]
}

@test "backup: one that has gone bad is named, kept, and does not count" {
    backup backups
    for y in 2020 2021 2022; do
        cp "$(newest)" "backups/lifeboat-${y}0101T000000Z.jsonl"
    done
    rm "$(newest)"
    truncate -s -100 backups/lifeboat-20220101T000000Z.jsonl
    run_split backup backups 2
    assert_status 65 'backups/lifeboat-20220101T000000Z.jsonl: does not verify'
    [ -e backups/lifeboat-20220101T000000Z.jsonl ]
    [ -e backups/lifeboat-20210101T000000Z.jsonl ]
    [ ! -e backups/lifeboat-20200101T000000Z.jsonl ]
}

@test "backup: one from the future neither counts nor goes" {
    backup backups
    cp "$(newest)" backups/lifeboat-20200101T000000Z.jsonl
    mv "$(newest)" backups/lifeboat-29990101T000000Z.jsonl
    run_split backup backups 2
    assert_status 0 'lifeboat-29990101T000000Z.jsonl: its time is still to come'
    [ "$(count)" -eq 3 ]
}

@test "backup: a second one waits for nobody, it says so" {
    background holder flock -F backups/.lock tail -f /dev/null
    held() { ! flock -n backups/.lock true; }
    wait_until 5 held
    run_split backup backups
    assert_status 75 'another backup into backups is running'
}

@test "backup: a number that is none is refused" {
    for n in 0 x -1 ''; do
        run_split backup backups "$n"
        assert_status 64
    done
}
