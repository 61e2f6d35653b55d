#!/usr/bin/env bats
# scripts/backup.

# valgrind: restores to the same digest

load helper

setup() {
    private_store
    mkdir fake backups
    PATH=$PWD/fake:$PATH
    mkevents 20 | evstore-append -q
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
