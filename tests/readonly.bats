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
    assert_status 77 "$LIFEBOAT_DB: unable to open the store: Read-only file system: the disk is mounted read-only: see dmesg and lifeboat-recovery(7), THE DISK IS READ-ONLY"
    assert_out ''
    grep -qx '^[.]Sh THE DISK IS READ-ONLY' "$top/man/lifeboat-recovery.7"
}

@test "a store that was in use when the disk became read-only can be read, and says why it is not written" {
    background holder evstore-export --follow
    wait_until 5 test -s holder.out
    evstore-append -q --type T --entity a/1 --actor me 1
    evstore-export --digest >before
    # What a box whose power was cut finds.
    for f in '' -wal -shm; do cp "disk/lifeboat.db$f" "disk/cut.db$f"; done
    kill "$pid"
    wait "$pid" || :
    mount -o remount,ro disk
    LIFEBOAT_DB=$PWD/disk/cut.db
    same_as_before
    run_split evstore-append --type T --entity a/1 --actor me 1
    assert_status 77 "$LIFEBOAT_DB-gate: Read-only file system: the disk is mounted read-only: see dmesg"
    run_split evstore-restore "$top/tests/data/surgery.jsonl"
    assert_status 77 "$LIFEBOAT_DB-restore: Read-only file system: the disk is mounted read-only: see dmesg"
}

@test "files that are another's are 77, and whose they have to be is said" {
    # Root without its powers is a user like any other.
    as_user() { run_split setpriv --bounding-set=-all --inh-caps=-all "$@"; }
    refused() {
        as_user evstore-append --type T --entity a/1 --actor me 1
        assert_status 77 "$1"
        [[ $errout == *': Permission denied: made by root? it has to belong to the user of the service: see lifeboat-recovery(7), PERMISSION DENIED' ]]
        as_user evstore-export --digest
        assert_status 0
        cmp "$OUT" before
    }
    chmod 755 disk
    chown 65534 disk/lifeboat.db-gate
    refused "the gate $LIFEBOAT_DB-gate"
    rm disk/lifeboat.db-gate
    chown 65534 disk/lifeboat.db
    refused "$LIFEBOAT_DB: unable to write"
    rm disk/lifeboat.db-*
    chown 0 disk/*
    chown 65534 disk
    refused "$LIFEBOAT_DB: unable to open the store"
    grep -qx '^[.]Sh PERMISSION DENIED' "$top/man/lifeboat-recovery.7"
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
    assert_status 77 'disk/copy.db: unable to open the store: Read-only file system'
    # By the book: both, to where it can be written.
    cp disk/copy.db disk/copy.db-wal .
    evstore-export -d copy.db --order seq | tail -n 1 | jq_true '.event_type == "T"'
}
