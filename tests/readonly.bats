#!/usr/bin/env bats
# Stores that cannot be written: read-only media, and a disk that is full.
# plain
load helper

setup() {
    private_store
    [ "$(id -u)" -eq 0 ] || skip 'mounting a file system needs root'
    mkdir disk
    mount -t tmpfs -o size=3m tmpfs disk || skip 'no file system can be mounted here'
    export LIFEBOAT_DB=$PWD/disk/lifeboat.db
    evstore-restore -q "$top/tests/data/surgery.jsonl"
    # One event that the projections have not seen.
    evstore-append -q --type EQUIPMENT_CHECKED --entity equipment/DEFIB-01 --actor U001 '{"battery_pct":5}'
    evstore-export --digest >before
}

teardown() {
    stop_background
    umount disk 2>/dev/null || :
}

same_as_before() {
    evstore-export --digest | cmp before -
    run_split evstore-verify
    assert_status 0
    run_split evstore-project --get equipment/DEFIB-01
    assert_status 0 'answering from memory'
    [ "$(jq .state.battery_pct <"$OUT")" = 5 ]
}

@test "a store on read-only media can be exported, verified and projected" {
    mount -o remount,ro disk
    same_as_before
    run_split evstore-append --type T --entity a/1 --actor me 1
    [ "$status" -eq 73 ] || [ "$status" -eq 77 ]
    [ -n "$errout" ]
}

@test "a store on a full disk can be exported, verified and projected, and takes events once there is room" {
    cat /dev/zero >disk/fill 2>/dev/null || :
    same_as_before
    run_split evstore-append --type T --entity a/1 --actor me 1
    assert_status 74 'No space left on device'
    assert_out ''
    rm disk/fill
    evstore-export --digest | cmp before -
    evstore-append -q --type T --entity a/1 --actor me 1
}

@test "a log that is waiting is not passed over on read-only media" {
    background holder evstore-export --follow
    wait_until 5 test -s holder.out
    evstore-append -q --type T --entity a/1 --actor me 1
    [ -s disk/lifeboat.db-wal ]
    cp disk/lifeboat.db disk/copy.db
    cp disk/lifeboat.db-wal disk/copy.db-wal
    kill "$pid"
    wait "$pid" || :
    mount -o remount,ro disk
    run_split evstore-export -d disk/copy.db --digest
    [ "$status" -ne 0 ]
    [ -n "$errout" ]
}
