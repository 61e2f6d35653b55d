#!/usr/bin/env bats
# scripts/lifeboat-backup and scripts/lifeboat-restore-latest: folders, a real sshd, rclone,
# age; what is made, what is kept, and what comes back.

# plain

load helper
load sshd

setup() {
    private_store
    mkdir fake one two conf
    export LIFEBOAT_CONFIG=$PWD/conf LIFEBOAT_KEY=$PWD/conf/token.key LIFEBOAT_BACKUP_TARGETS=$PWD/one
    export LIFEBOAT_NOW=1768000000000
    mkevents 20 | evstore-restore -q
}

hours() { export LIFEBOAT_NOW=$((1768000000000 + $1 * 3600000)); }
more() { mkevents 5 "$1" | evstore-restore -q; }
names() { find "${1:-one}" -mindepth 1 -maxdepth 1 -name '2*' -printf '%f\n' | sort; }
newest() { names "${1:-one}" | tail -n 1; }
total() { names "${1:-one}" | wc -l; }
manifest() { cat "${1:-one}/$(newest "${1:-one}")/manifest.json"; }
status_of() { cat status/backup.json; }
digest() { evstore-export --digest "$@"; }
box_of() { zstd -qdc "one/$(newest)/box.tar.zst"; }
# On its way to the new backup something happens to what is written.
writes() {
    printf '#!/bin/sh\ncase $(readlink /proc/$$/fd/1) in */.part-*) ;; *) exec /bin/cat "$@" ;; esac\n%s\n' "$1" >fake/cat
    chmod +x fake/cat
    PATH=$PWD/fake:$PATH
}
flip() { # FILE: a bit in the middle
    local at=$(($(stat -c %s "$1") / 2)) was
    was=$(od -An -tu1 -j "$at" -N 1 "$1")
    printf %b "\\x$(printf %x $((was ^ 4)))" | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}

# reseal DIR FILTER: what the manifest says is changed by FILTER, and sealed anew.
reseal() {
    local head
    head=$(jq -c "del(.sha256) | $2" "$1/manifest.json")
    head=${head%\}}
    printf '%s,"sha256":"%s"}\n' "$head" "$(printf %s "$head" | sha256sum | cut -c 1-64)" >"$1/manifest.json"
}

# refit DIR: the sums of the manifest are those of the events that are there.
refit() {
    local f=$1/events.jsonl.zst
    reseal "$1" ".files[0] |= (.sha256 = \"$(sha256sum <"$f" | cut -c 1-64)\" | .bytes = $(stat -c %s "$f"))"
}

@test "whole first, then what is new; the chain comes back with the digest" {
    run_split lifeboat-backup hourly
    assert_status 0 'hourly: 20 events'
    manifest | jq_true '.from == "start" and .on == null and .total == 20 and .kind == "hourly"'
    more b
    hours 1
    run_split lifeboat-backup hourly
    assert_status 0 'on 20260109T230640Z-hourly'
    manifest | jq_true '.count == 5 and .total == 25 and .on == "20260109T230640Z-hourly"'
    [ "$(manifest | jq -r .digest)" = "$(digest)" ]
    [ "$(stat -c %a "one/$(newest)/events.jsonl.zst" "one/$(newest)")" = "$(printf '600\n700')" ]
    run_split lifeboat-restore-latest -d new.db
    assert_status 0
    [ "$(digest -d new.db)" = "$(digest)" ]
    jq_true --arg d "$(digest)" '.digest == $d and .events == 25 and (.chain | length) == 2 and .skipped == []' <<<"$out"
    # By hand, as the page says.
    for n in $(names); do
        zstd -qdc "one/$n/events.jsonl.zst" | evstore-restore -q -d hand.db --require-seal --keep-flags
    done
    [ "$(digest -d hand.db)" = "$(digest)" ]
}

@test "a daily builds on no hourly, a weekly and a monthly on nothing" {
    lifeboat-backup -q weekly
    hours 1 && lifeboat-backup -q hourly
    hours 2 && lifeboat-backup -q daily
    manifest | jq_true '.on | endswith("weekly")'
    hours 3 && lifeboat-backup -q monthly
    manifest | jq_true '.on == null'
    hours 4 && lifeboat-backup -q hourly
    manifest | jq_true '.on | endswith("monthly")'
}

@test "one target that fails does not stop the others, and is told of" {
    run_split lifeboat-backup --target "$PWD/none" --target "$PWD/two" hourly
    assert_status 66 'none: no such folder'
    [ "$(total two)" -eq 1 ]
    status_of | jq_true '.ok == false and (.targets | map(.ok)) == [false, true] and (.why | contains("no such folder"))'
    hours 1
    run_split lifeboat-backup --target "$PWD/one" --target "$PWD/two" hourly
    assert_status 0
    status_of | jq_true '.ok and .why == null and .events == 20 and .oldest_restorable == 1768000000000
        and .last_ok.hourly == 1768003600000 and (.targets | all(.ok))'
    [ "$(stat -c %a status status/backup.json)" = "$(printf '755\n644')" ]
}

@test "a store that is not there is an error that backup.json tells of" {
    run_split lifeboat-backup -d "$PWD/none.db" hourly
    assert_status 66
    status_of | jq_true '.ok == false and (.why | length > 0)'
    [ "$(total)" -eq 0 ]
}

@test "what was written and reads back as something else gets no name" {
    writes '/bin/cat; printf x'
    run_split lifeboat-backup hourly
    assert_status 74 'events.jsonl.zst reads back as something else'
    [ "$(total)" -eq 0 ]
    rm fake/cat
    run_split lifeboat-backup hourly
    assert_status 0
    [ -z "$(find one -name '.part-*')" ]
}

@test "a disk that fills up: 74, and nothing of it has a name" {
    writes 'head -c 100; echo "cat: write error: No space left on device" >&2; exit 1'
    run_split lifeboat-backup hourly
    assert_status 74 'No space left on device'
    [ "$(total)" -eq 0 ]
}

@test "a run that is killed leaves no name, and the next one clears up" {
    writes "touch $PWD/writing; exec sleep 60"
    background killed setsid lifeboat-backup hourly
    wait_until 10 test -e writing
    kill -9 -- "-$(ps -o pgid= -p "$pid" | tr -d ' ')"
    wait "$pid" 2>/dev/null || :
    [ "$(total)" -eq 0 ]
    [ -n "$(find one -name '.part-*')" ]
    mkdir one/.gone-x
    rm fake/cat
    run_split lifeboat-backup hourly
    assert_status 0
    [ "$(find one -mindepth 1 -maxdepth 1 -name '.[pg]*' | wc -l)" -eq 0 ]
}

@test "two at once: the second one gets 75, or waits" {
    background holder flock -F one/.lock tail -f /dev/null
    held() { ! flock -n one/.lock true; }
    wait_until 5 held
    run_split lifeboat-backup hourly
    assert_status 75 'another backup into it is running'
    background waiting lifeboat-backup --wait 60 hourly
    waiting=$pid
    kill "${background_pids[0]}"
    wait "$waiting"
    [ "$(total)" -eq 1 ]
}

@test "a damaged one is told of once with 1, does not count, and nothing builds on it" {
    lifeboat-backup -q weekly
    more b
    hours 1 && lifeboat-backup -q hourly
    flip "one/$(newest)/events.jsonl.zst"
    hours 2
    run_split lifeboat-backup hourly
    assert_status 1 'hourly: events.jsonl.zst is not what was written'
    manifest | jq_true '.on | endswith("weekly")'
    status_of | jq_true '.ok and (.why | contains("damaged"))'
    hours 3
    run_split lifeboat-backup hourly
    assert_status 0 'left alone, not counted'
    [ "$(total)" -eq 4 ]
    run_split lifeboat-backup --list
    assert_status 0
    [ "$(grep -c ' BAD: ' "$OUT")" -eq 1 ]
    [ "$(grep -c ' good$' "$OUT")" -eq 3 ]
}

@test "rot that stat does not show is found: at once where it is built on, else in a week" {
    rot() {
        local f before
        f=one/$(newest)/events.jsonl.zst
        before=$(stat -c %.9Y:%.9Z:%i "$f")
        flip "$f"
        sed -i "s/$before/$(stat -c %.9Y:%.9Z:%i "$f")/" one/.verified
    }
    lifeboat-backup -q weekly
    rot
    hours 1
    run_split lifeboat-backup hourly
    assert_status 1 'weekly: events.jsonl.zst is not what was written'
    hours 2 && lifeboat-backup -q weekly
    rot
    hours 24 && run_split lifeboat-backup weekly
    assert_status 0
    hours 171 && run_split lifeboat-backup weekly
    assert_status 1 "$(names | sed -n 3p): events.jsonl.zst is not what was written"
}

@test "pruning: the newest seven dailies, and what they build on" {
    for d in 0 1 2 3 4 5 6 7 8 9; do
        hours $((d * 24)) && lifeboat-backup -q daily
    done
    # All of them hang on the first one.
    [ "$(total)" -eq 10 ]
    hours 240 && lifeboat-backup -q weekly
    for d in 11 12 13 14 15 16; do
        hours $((d * 24)) && lifeboat-backup -q daily
    done
    [ "$(names | grep -c daily)" -eq 16 ]
    hours $((17 * 24)) && lifeboat-backup -q daily
    [ "$(names | grep -c daily)" -eq 7 ]
    [ "$(names | grep -c weekly)" -eq 1 ]
    hours $((30 * 24)) && lifeboat-backup -q hourly
    [ "$(names | grep -c daily)" -eq 7 ]
}

@test "pruning: bad ones do not push good ones out, and are not removed" {
    for w in 0 1 2 3; do
        hours $((w * 168)) && lifeboat-backup -q weekly
    done
    for n in $(names | tail -n 2); do flip "one/$n/events.jsonl.zst"; done
    hours $((4 * 168))
    run_split lifeboat-backup weekly
    assert_status 1
    [ "$(total)" -eq 5 ]
    hours $((5 * 168)) && lifeboat-backup -q weekly
    [ "$(total)" -eq 6 ]
    hours $((6 * 168)) && lifeboat-backup -q weekly
    # Four good ones, and the two bad ones.
    [ "$(total)" -eq 6 ]
}

@test "pruning: those from the future neither count nor go, whatever the clock does" {
    for w in 0 1 2; do
        hours $((w * 168)) && lifeboat-backup -q weekly
    done
    for w in 500 501 502 503 504; do
        hours $((w * 168)) && lifeboat-backup -q weekly
    done
    # The clock that was wrong took no more than its due.
    [ "$(total)" -eq 4 ]
    hours $((3 * 168)) && lifeboat-backup -q weekly
    hours $((4 * 168)) && lifeboat-backup -q weekly
    [ "$(total)" -eq 6 ]
    more b
    hours $((4 * 168 + 1)) && lifeboat-backup -q hourly
    run_split lifeboat-restore-latest --dry-run
    assert_status 0
    jq_true '.events == 25' <<<"$out"
}

@test "pruning: those from the future push nothing out" {
    for w in 0 1 2; do
        hours $((w * 168)) && lifeboat-backup -q weekly
    done
    for w in 500 501; do
        hours $((w * 168)) && lifeboat-backup -q weekly
    done
    oldest=$(names | head -n 1)
    for w in 7 8; do
        hours $((w * 168)) && lifeboat-backup -q weekly
    done
    # Two of the future, and four that are not.
    [ "$(total)" -eq 6 ]
    [ "$(names | head -n 1)" = "$oldest" ]
}

@test "a store that was replaced is backed up whole; what it lacks comes back too" {
    more b
    lifeboat-backup -q hourly
    all=$(digest)
    rm lifeboat.db*
    mkevents 3 new | evstore-restore -q
    hours 1
    run_split lifeboat-backup hourly
    assert_status 0 'both will be restored'
    manifest | jq_true '.from == "start" and .total == 3 and (.replaces | endswith("hourly"))'
    hours 2 && lifeboat-backup -q hourly
    run_split lifeboat-restore-latest -d both.db
    assert_status 0
    [[ $(digest -d both.db) == 'lifeboat1 28 '* ]]
    # Once it has all of it, it stands alone again.
    lifeboat-restore-latest -q >/dev/null
    hours 3 && lifeboat-backup -q weekly
    manifest | jq_true '.total == 28 and .replaces == null'
    [ "$all" != "$(digest)" ]
}

@test "a store that was rolled back builds on nothing; what was lost comes back too" {
    lifeboat-backup -q weekly
    cp lifeboat.db snapshot.db
    more b
    hours 1 && lifeboat-backup -q hourly
    rm lifeboat.db*
    cp snapshot.db lifeboat.db
    hours 2
    run_split lifeboat-backup hourly
    assert_status 0 'both will be restored'
    manifest | jq_true '.from == "start" and .total == 20 and .replaces == "20260110T000640Z-hourly"'
    run_split lifeboat-restore-latest -d new.db
    assert_status 0
    [[ $(digest -d new.db) == 'lifeboat1 25 '* ]]
}

@test "a store that was rolled back and has grown again has lost something all the same" {
    lifeboat-backup -q weekly
    cp lifeboat.db snapshot.db
    more b
    hours 1 && lifeboat-backup -q hourly
    rm lifeboat.db*
    cp snapshot.db lifeboat.db
    more c && more d
    hours 2
    run_split lifeboat-backup hourly
    assert_status 0 'this store lacks 5 events that 20260110T000640Z-hourly has: both will be restored'
    run_split lifeboat-restore-latest -d new.db
    assert_status 0
    [[ $(digest -d new.db) == 'lifeboat1 35 '* ]]
    # Whatever is made later.
    for kind in daily hourly weekly hourly; do
        hours $((++h + 2)) && lifeboat-backup -q "$kind"
        run_split lifeboat-restore-latest -d "new$h.db"
        assert_status 0
        [[ $(digest -d "new$h.db") == 'lifeboat1 35 '* ]]
    done
    manifest | jq_true '.from != "start"'
}

@test "what a restored store lacks is not forgotten when it has grown by as much" {
    lifeboat-backup -q weekly
    more b
    hours 1 && lifeboat-backup -q hourly
    rm lifeboat.db*
    zstd -qdc one/*weekly/events.jsonl.zst | evstore-restore -q --require-seal --keep-flags
    hours 2
    run_split lifeboat-backup hourly
    assert_status 0 "this store has 20 events, and $(names | sed -n 2p) has 25"
    more c && more d
    for kind in weekly hourly daily; do
        hours $((++h + 2))
        run_split lifeboat-backup "$kind"
        assert_status 0
        run_split lifeboat-restore-latest -d "new$h.db"
        assert_status 0
        [[ $(digest -d "new$h.db") == 'lifeboat1 35 '* ]]
    done
    # Once it has them, that is over.
    lifeboat-restore-latest -q >/dev/null
    hours 9
    run_split lifeboat-backup weekly
    assert_status 0
    manifest | jq_true '.replaces == null and .total == 35'
}

@test "encrypted, nobody here can open it: what lifeboat-restore-latest brought back is known to be here" {
    command -v age >/dev/null || skip 'age is not installed'
    age-keygen -o id.age 2>/dev/null
    age-keygen -y id.age >recipients
    export LIFEBOAT_BACKUP_RECIPIENTS=$PWD/recipients
    lifeboat-backup -q weekly
    cp lifeboat.db snapshot.db
    more b
    hours 1 && lifeboat-backup -q hourly
    # Rolled back: it cannot be looked into, so it is named, over and over.
    rm lifeboat.db* && cp snapshot.db lifeboat.db
    more c && more d
    for h in 2 3; do
        hours $h
        run_split lifeboat-backup weekly
        assert_status 0 'was rolled back'
        manifest | jq_true '.replaces | endswith("T000640Z-hourly")'
    done
    # Brought back, by whom has the identity.
    run_split lifeboat-restore-latest --identity id.age
    assert_status 0
    jq_true --arg at "$(manifest | jq -r .to)" '[.[][]] | any(. == $at)' status/restored.json
    hours 4
    run_split lifeboat-backup weekly
    assert_status 0
    manifest | jq_true '.replaces == null and .total == 35'
}

@test "--as-it-is: what only older ones have does not come back any more" {
    lifeboat-backup -q weekly
    more wrong
    hours 1 && lifeboat-backup -q hourly
    lifeboat-restore-latest -q -d then.db --at "$(names | head -n 1)" >/dev/null
    rm lifeboat.db* && mv then.db lifeboat.db
    rm -f then.db*
    hours 2
    run_split lifeboat-backup hourly
    assert_status 0 'both will be restored (lifeboat-backup(1): --as-it-is)'
    hours 3
    run_split lifeboat-backup --as-it-is hourly
    assert_status 0
    manifest | jq_true '.from == "start" and .replaces == null and .total == 20'
    for kind in hourly daily weekly monthly; do
        hours $((++h + 3))
        run_split lifeboat-backup "$kind"
        assert_status 0
        [[ $errout != *'both will be restored'* ]]
        run_split lifeboat-restore-latest -d "new$h.db"
        assert_status 0
        [[ $(digest -d "new$h.db") == 'lifeboat1 20 '* ]]
    done
    run_split lifeboat-backup --as-it-is --list
    assert_status 64
}

@test "two sites in one folder: neither builds on, counts, removes or restores the other's" {
    for w in 0 1; do hours $((w * 168)) && lifeboat-backup -q weekly; done
    export LIFEBOAT_DB=$PWD/shop.db LIFEBOAT_SITE=shop
    mkevents 90 shop | evstore-restore -q
    hours 169 && lifeboat-backup -q weekly
    lifeboat-backup --list | grep -c 'good (of site main)' | grep -x 2
    for w in 2 3 4 5 6 7 8; do
        hours $((w * 168 + 1))
        run_split lifeboat-backup weekly
        assert_status 0
        [[ $errout != *'both will'* ]]
        manifest | jq_true '.site_id == "shop" and .replaces == null'
    done
    [ "$(cat one/*/manifest.json | jq -r .site_id | sort | uniq -c | tr -s ' \n' ' ')" = ' 2 main 4 shop ' ]
    unset LIFEBOAT_SITE
    # A blank box that was not told: which one?
    run_split lifeboat-restore-latest -d any.db
    assert_status 64 'there are backups of several sites, main, shop: --site SITE'
    [ ! -e any.db ]
    run_split lifeboat-restore-latest -d shop2.db --site shop
    assert_status 0 'this is site shop: before anything is stored, set LIFEBOAT_SITE=shop (it is main here)'
    [ "$(digest -d shop2.db)" = "$(digest)" ]
    LIFEBOAT_SITE=main run_split lifeboat-restore-latest -d main2.db
    assert_status 0
    [[ $(digest -d main2.db) == 'lifeboat1 20 '* ]]
    LIFEBOAT_SITE=clinic run_split lifeboat-restore-latest -d none.db
    assert_status 66 'no backup of site clinic in'
    # A drill asks for its own.
    LIFEBOAT_SITE=shop run_split lifeboat-drill
    assert_status 0
    # A store that was given another name goes on with its own.
    LIFEBOAT_SITE=shop-2 run_split lifeboat-backup hourly
    assert_status 0 "on $(names | tail -n 1)"
    LIFEBOAT_SITE=shop-2 run_split lifeboat-restore-latest -d renamed.db
    assert_status 0
    [ "$(digest -d renamed.db)" = "$(digest)" ]
}

@test "restore: a store that is damaged is named, and no backup is blamed for it" {
    more b
    lifeboat-backup -q weekly
    sqlite3 lifeboat.db 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
    cp lifeboat.db whole.db
    size=$(stat -c %s whole.db)
    for how in 'head -c 4096 /dev/urandom | dd of=lifeboat.db conv=notrunc status=none' \
        "truncate -s $((size / 2)) lifeboat.db" 'echo "this is no store" >lifeboat.db' \
        "head -c 3000 /dev/urandom | dd of=lifeboat.db bs=1 seek=$((size / 2)) conv=notrunc status=none"; do
        rm lifeboat.db*
        cp whole.db lifeboat.db
        eval "$how"
        run_split lifeboat-restore-latest -q
        [ "$status" -eq 65 ] || show_run "$how"
        [[ $errout == *"$PWD/lifeboat.db: it is damaged: "*'THE STORE IS CORRUPT'* ]] || show_run "$how"
        [[ $errout != *weekly* ]] || show_run "$how"
    done
    # A backup of one that is damaged further on leads to the same section.
    rm lifeboat.db* && cp whole.db lifeboat.db
    cat >fake/evstore-export <<END
#!/bin/sh
case " \$* " in *" --full "*) echo 'evstore-export: lifeboat.db: database disk image is malformed' >&2; exit 65 ;; esac
exec $(type -P evstore-export) "\$@"
END
    chmod +x fake/evstore-export
    PATH=$PWD/fake:$PATH run_split lifeboat-backup weekly
    assert_status 65 'the store cannot be read: lifeboat-recovery(7), THE STORE IS CORRUPT: '
}

@test "restore: the events of a backup whose box is damaged or gone come back, and that is said" {
    lifeboat-backup -q weekly
    more b
    hours 1 && lifeboat-backup -q hourly
    for how in rm flip 'truncate -s -1'; do
        cp -r one kept
        $how "one/$(newest)/box.tar.zst"
        for dry in '' --dry-run; do
            run_split lifeboat-restore-latest -d "new$dry.db" ${dry:+"$dry"}
            assert_status 1 "$(newest)/box.tar.zst: passed over: "
            jq_true '.events == 25 and (.skipped | length == 1)' <<<"$out"
        done
        [ "$(digest -d new.db)" = "$(digest)" ]
        rm -r new.db* one && mv kept one
    done
}

@test "restore: --at takes the name of a backup, and all of a second that is named" {
    export LIFEBOAT_NOW=1768000000700
    lifeboat-backup -q weekly
    more b
    LIFEBOAT_NOW=1768000002300 lifeboat-backup -q hourly
    for at in 20260109T230640Z-weekly 20260109T230640Z '2026-01-09 23:06:40 UTC' '2026-01-09T23:06:41Z' 1768000000700; do
        run_split lifeboat-restore-latest -d new.db --at "$at"
        assert_status 0 '20 events, as of 2026-01-09 23:06:40 UTC'
        jq_true '.events == 20' <<<"$out"
        rm new.db*
    done
    run_split lifeboat-restore-latest -d new.db --at '2026-01-09 23:06:40.500 UTC'
    assert_status 66 'none is as old as 2026-01-09 23:06:40 UTC; the oldest is 20260109T230640Z-weekly'
    run_split lifeboat-restore-latest -d new.db --at '2020-01-01'
    assert_status 66 'the oldest is 20260109T230640Z-weekly'
    for at in 1768000000 yesterdayish 20260109T2306Z; do
        run_split lifeboat-restore-latest -d new.db --at "$at"
        assert_status 64 "--at: $at: wants"
    done
    # A store that has more keeps it, and is not what it was then.
    run_split lifeboat-restore-latest --at 20260109T230640Z-weekly
    assert_status 1 'had more than that, and keeps it: for the state of that time name a file that is not there'
    [[ $(digest) == 'lifeboat1 25 '* ]]
}

@test "messages that lead on: the wrong folder, no folder, no room to work in" {
    lifeboat-backup -q weekly
    run_split lifeboat-restore-latest --target "$PWD/one/$(newest)"
    assert_status 66 "the target is the folder that it is in: $PWD/one"
    run_split lifeboat-restore-latest --target "$PWD/none"
    assert_status 69 "$PWD/none: passed over: unable to see what is there: no such folder (is the disk mounted?)"
    mkdir tmp
    mount -t tmpfs -o size=64k none tmp 2>/dev/null || skip 'mounts are not permitted'
    head -c 60000 /dev/zero >tmp/x || :
    for cmd in 'lifeboat-backup hourly' 'lifeboat-backup --list' 'lifeboat-restore-latest -d x.db'; do
        # shellcheck disable=SC2086 # its words
        TMPDIR=$PWD/tmp run_split $cmd
        [ "$status" -eq 74 ] && [[ $errout == *"$PWD/tmp: no room for what is at work: TMPDIR"* ]] || {
            umount tmp
            show_run "$cmd"
        }
    done
    umount tmp
}

@test "root goes on as the user whose store it is; what others closed is said to be closed" {
    [ "$(id -u)" -eq 0 ] || skip 'needs root'
    # The tree of the tests may be closed to others; this one is not.
    dir=$(mktemp -d /var/tmp/lifeboat-owner.XXXXXX)
    chmod 755 "$dir"
    cp -r "$top/scripts" "$dir/scripts" && cp -r "$bin" "$dir/bin" && chmod -R a+rX "$dir"
    mkdir "$dir/lib" "$dir/to"
    cp lifeboat.db "$dir/lib/lifeboat.db"
    chown -R nobody "$dir/lib" "$dir/to"
    cd "$dir"
    export LIFEBOAT_DB=$dir/lib/lifeboat.db LIFEBOAT_BACKUP_TARGETS=$dir/to LIFEBOAT_ENV='' PATH=$dir/bin:$dir/scripts:$PATH
    unset LIFEBOAT_ENV LIFEBOAT_CONFIG LIFEBOAT_KEY
    TMPDIR=/tmp run_split lifeboat-backup weekly
    said=$(find "$dir/lib" "$dir/to" ! -user nobody)
    first=$status$errout
    chown -R root "$dir"/to/2* && chmod 700 "$dir"/to/2*
    TMPDIR=/tmp run_split lifeboat-backup --list
    cd /
    rm -rf "$dir"
    [[ $first == 0*'goes on as nobody, whose store it is'* ]] || { echo "$first" && false; }
    [ -z "$said" ] || { echo "$said" && false; }
    assert_status 0
    [[ $out == *'BAD: not for us to read (chown -R its folder'* ]] || show_run list
}

@test "conflicts, queue and configuration come back; the key only where it is encrypted" {
    mkevents 1 | sed 's/"n":1/"n":2/' | evstore-restore -q || [ $? -eq 1 ]
    [ "$(evstore-export --conflicts | wc -l)" -eq 1 ]
    echo '{"a":1}' | syncq enqueue -q jobs
    echo s3cret >conf/token.key
    mkdir conf/destinations.d
    echo '{"token":"t0ken"}' >conf/destinations.d/far.json
    chmod 640 conf/destinations.d/far.json
    run_split lifeboat-backup hourly
    assert_status 0 'token.key is in no backup'
    [ "$(box_of | tar -t | grep -c token.key)" -eq 0 ]
    [ "$(cat one/*/manifest.json | grep -c 's3cret\|t0ken\|far.json')" -eq 0 ]
    run_split lifeboat-restore-latest -d new.db --box box
    assert_status 0
    [ "$(evstore-export -d new.db --conflicts)" = "$(evstore-export --conflicts)" ]
    [ "$(stat -c %a box/config/lifeboat/destinations.d/far.json)" = 640 ]
    LIFEBOAT_DB=new.db syncq load -q box/queue.jsonl
    [ "$(LIFEBOAT_DB=new.db syncq list --json --all | jq -c .payload)" = '{"a":1}' ]
}

@test "age: encrypted, the key is with it, and nothing is readable without the identity" {
    command -v age >/dev/null || skip 'age is not installed'
    age-keygen -o id.age 2>/dev/null
    age-keygen -y id.age >to.age
    echo s3cret >conf/token.key
    chmod 600 conf/token.key
    export LIFEBOAT_BACKUP_RECIPIENTS=$PWD/to.age
    run_split lifeboat-backup hourly
    assert_status 0
    [ "$(cd "one/$(newest)" && echo *)" = 'box.tar.zst.age events.jsonl.zst.age manifest.json' ]
    head -n 1 "one/$(newest)/box.tar.zst.age" | grep -qa age-encryption
    # With the identity at hand it is opened again while it is written.
    more b
    hours 1
    run_split lifeboat-backup --identity id.age hourly
    assert_status 0
    run_split lifeboat-restore-latest -d new.db
    assert_status 65 'encrypted: --identity FILE'
    [ ! -e new.db ]
    run_split lifeboat-restore-latest -d new.db --identity id.age --box box
    assert_status 0
    [ "$(digest -d new.db)" = "$(digest)" ]
    [ "$(cat box/token.key)" = s3cret ]
    [ "$(stat -c %a box/token.key)" = 600 ]
    run_split lifeboat-backup --verify
    assert_status 0 'were read, not opened'
    run_split lifeboat-backup --verify --identity id.age
    assert_status 0
    age-keygen -o other.age 2>/dev/null
    hours 2
    run_split lifeboat-backup --identity other.age hourly
    assert_status 74 'cannot be opened'
    [ "$(total)" -eq 2 ]
}

@test "age that fails, or has nobody to encrypt for: an error, and nothing in plain" {
    export LIFEBOAT_BACKUP_RECIPIENTS=$PWD/to.age
    run_split lifeboat-backup hourly
    assert_status 78 'to.age: no recipients there'
    echo 'no recipient' >to.age
    printf '#!/bin/sh\nprintf "age: error: malformed recipient\\\\nage: report it at https://x\\\\n" >&2\nexit 1\n' >fake/age
    chmod +x fake/age
    PATH=$PWD/fake:$PATH
    run_split lifeboat-backup hourly
    assert_status 78 'age failed, and nothing goes there in plain: age: error: malformed recipient'
    [ "$(total)" -eq 0 ]
    status_of | jq_true '.ok == false'
    [ "$(grep -rla evt_ one | wc -l)" -eq 0 ]
}

@test "zstd that is not there is named" {
    mkdir all
    ln -s /usr/bin/* /bin/* all/ 2>/dev/null || :
    rm all/zstd
    run_split env PATH="$bin:$top/scripts:$PWD/all" lifeboat-backup hourly
    assert_status 69 'zstd is not installed'
}

@test "ssh: into a folder on another box, through a real sshd" {
    sshd_start
    cat >fake/ssh <<END
#!/bin/sh
exec /usr/bin/ssh -F /dev/null -p $ssh_port -i $PWD/id -o IdentitiesOnly=yes -o UserKnownHostsFile=$PWD/known_hosts "\$@"
END
    chmod +x fake/ssh
    PATH=$PWD/fake:$PATH
    far=ssh:$(id -un)@127.0.0.1:$PWD/two
    run_split lifeboat-backup --target "$far" hourly
    assert_status 0 '20 events'
    more b
    hours 1
    run_split lifeboat-backup --target "$far" --target "$PWD/one" hourly
    assert_status 0
    [ "$(total two)" -eq 2 ]
    [ "$(manifest two | jq .count)" -eq 5 ]
    rm -r one/2*
    run_split lifeboat-restore-latest -d new.db --target "$PWD/one" --target "$far"
    assert_status 0
    [ "$(digest -d new.db)" = "$(digest)" ]
    # Held here, it is held for those over there, and let go at the end.
    background holder flock -F two/.lock tail -f /dev/null
    held() { ! flock -n two/.lock true; }
    wait_until 5 held
    run_split lifeboat-backup --target "$far" hourly
    assert_status 75 'another backup into it is running'
}

@test "ssh that is not reached, or does not answer: 69, and the others are made" {
    printf '#!/bin/sh\necho "ssh: connect to host far port 22: Connection refused" >&2\nexit 255\n' >fake/ssh
    chmod +x fake/ssh
    PATH=$PWD/fake:$PATH
    run_split lifeboat-backup --target ssh:far:/backup --target "$PWD/one" hourly
    assert_status 69 'Connection refused'
    [ "$(total)" -eq 1 ]
    # Takes the lock, then hangs.
    printf '#!/bin/sh\ncase "$*" in *" '"'hold'"' "*) echo held; exec cat >/dev/null ;; esac\nexec sleep 1000\n' >fake/ssh
    printf '#!/bin/sh\nshift 3\nexec /usr/bin/timeout -k 1 1 "$@"\n' >fake/timeout
    chmod +x fake/timeout
    run_split lifeboat-backup --target ssh:far:/backup --target "$PWD/two" hourly
    assert_status 69 'no answer in time'
    [ "$(total two)" -eq 1 ]
    run_split lifeboat-restore-latest --dry-run --target ssh:far:/backup --target "$PWD/two"
    assert_status 1 'unable to see what is there'
    [ "$(jq -r '.chain | length' <<<"$out")" -eq 1 ]
}

@test "rclone: into a remote" {
    command -v rclone >/dev/null || skip 'rclone is not installed'
    export RCLONE_CONFIG=$PWD/rclone.conf
    printf '[far]\ntype = local\n' >rclone.conf
    far=rclone:far:$PWD/two
    run_split lifeboat-backup --target "$far" hourly
    assert_status 0
    [ "$(stat -c %a status status/backup.json)" = "$(printf '755\n644')" ]
    more b
    hours 1
    run_split lifeboat-backup --target "$far" hourly
    assert_status 0 'on 20260109T230640Z-hourly'
    [ "$(total two)" -eq 2 ]
    [ -z "$(find two -name '.part-*')" ]
    run_split lifeboat-backup --target "$far" --verify
    assert_status 0
    run_split lifeboat-restore-latest -d new.db --target "$far"
    assert_status 0
    [ "$(digest -d new.db)" = "$(digest)" ]
    flip "two/$(newest two)/events.jsonl.zst"
    run_split lifeboat-backup --target "$far" --verify
    assert_status 1
}

@test "verify: the words for each, and names" {
    lifeboat-backup -q weekly
    hours 1 && lifeboat-backup -q daily
    hours 2 && lifeboat-backup -q hourly
    run_split lifeboat-backup --verify
    assert_status 0
    [ "$(grep -c ': ok$' "$OUT")" -eq 3 ]
    flip "one/$(names | sed -n 2p)/box.tar.zst"
    run_split lifeboat-backup --verify --json
    assert_status 1
    [ "$(jq -r .verdict <<<"$out" | paste -sd ' ')" = 'ok bad cut' ]
    run_split lifeboat-backup --verify "$(names | head -n 1)"
    assert_status 0
    run_split lifeboat-backup --verify "$(newest)"
    assert_status 1
    run_split lifeboat-backup --verify 20200101T000000Z-daily
    assert_status 66 'no such backup'
}

@test "restore: --at, nothing there, nothing usable, a store that has events" {
    run_split lifeboat-restore-latest -d new.db
    assert_status 66 "no backup in $PWD/one"
    lifeboat-backup -q hourly
    more b
    hours 1 && lifeboat-backup -q hourly
    run_split lifeboat-restore-latest -d then.db --at '2026-01-09T23:30:00Z'
    assert_status 0
    [[ $(digest -d then.db) == 'lifeboat1 20 '* ]]
    mkevents 2 own | evstore-restore -q -d other.db
    run_split lifeboat-restore-latest -d other.db
    assert_status 0
    jq_true '.events == 27' <<<"$out"
    for n in $(names); do flip "one/$n/manifest.json"; done
    run_split lifeboat-restore-latest -d new.db
    assert_status 65 'none of them can be restored'
    [ ! -e new.db ]
}

@test "restore: a chain may go through two targets" {
    export LIFEBOAT_BACKUP_TARGETS="$PWD/one $PWD/two"
    for h in 0 1 2 3; do
        hours "$h" && more "h$h" && lifeboat-backup -q hourly
    done
    rm -r "one/$(names | sed -n 2p)"
    flip "two/$(names two | sed -n 3p)/events.jsonl.zst"
    run_split lifeboat-restore-latest -d new.db
    assert_status 0
    [ "$(digest -d new.db)" = "$(digest)" ]
}

@test "restore: what only the seal can tell is passed over, and nothing of it is stored" {
    lifeboat-backup -q weekly
    more b
    hours 1 && lifeboat-backup -q hourly
    dir=one/$(newest)
    # As if memory had been bad before it was packed: all sums fit.
    zstd -qdc "$dir/events.jsonl.zst" | sed 's/"hr":60/"hr":61/; s/"n":5/"n":6/' | zstd -qc >new.zst
    [ "$(sha256sum <new.zst)" != "$(sha256sum <"$dir/events.jsonl.zst")" ]
    mv new.zst "$dir/events.jsonl.zst"
    refit "$dir"
    run_split lifeboat-restore-latest -d new.db
    assert_status 1 'passed over'
    [[ $(digest -d new.db) == 'lifeboat1 20 '* ]]
    jq_true '.skipped | length == 1' <<<"$out"
    run_split lifeboat-backup --verify
    assert_status 1
    grep -q 'hourly: bad: the events are bad, the seal is broken' "$OUT"
}

@test "restore: whole events, but of another backup, are passed over" {
    lifeboat-backup -q weekly
    more b
    hours 1 && lifeboat-backup -q hourly
    there=$(newest)
    more c
    hours 2 && lifeboat-backup -q hourly
    cp "one/$there/events.jsonl.zst" "one/$(newest)/"
    refit "one/$(newest)"
    run_split lifeboat-restore-latest -d new.db
    assert_status 1 "$(newest): passed over: events.jsonl.zst: the events are not those of the manifest"
    jq_true --arg there "$there" '.chain[-1] == $there and .events == 25' <<<"$out"
}

@test "settings come from the file, and the environment goes before it" {
    unset LIFEBOAT_BACKUP_TARGETS
    printf 'LIFEBOAT_BACKUP_TARGETS="%s %s"\nLIFEBOAT_STATUS_DIR=%s\n' "$PWD/one" "$PWD/two" "$PWD/said" >"$LIFEBOAT_ENV"
    run_split lifeboat-backup hourly
    assert_status 0
    [ "$(total one) $(total two)" = '1 1' ]
    [ -e said/backup.json ]
    hours 1
    run_split env LIFEBOAT_BACKUP_TARGETS="$PWD/two" lifeboat-backup hourly
    assert_status 0
    [ "$(total one) $(total two)" = '1 2' ]
    echo LIFEBOAT_BACKUP_TARGET=x >>"$LIFEBOAT_ENV"
    run_split lifeboat-backup hourly
    assert_status 78 'no such setting: LIFEBOAT_BACKUP_TARGET'
}

@test "wrong use is 64" {
    for a in '' yearly 'hourly daily' --nonsense '--list x' '--wait x hourly' '--target relative hourly' \
        '--target ssh:-oProxyCommand=x:/f hourly' '--target' '--json hourly'; do
        # shellcheck disable=SC2086
        run_split lifeboat-backup $a
        assert_status 64
    done
    for a in x --nonsense '--at never'; do
        # shellcheck disable=SC2086
        run_split lifeboat-restore-latest $a
        assert_status 64
    done
}

@test "a manifest whose numbers are none is damaged, and nothing in it is run" {
    lifeboat-backup -q weekly
    hours 1 && lifeboat-backup -q hourly
    for f in serial created total count 'files[0].bytes'; do
        cp -r one saved
        reseal "one/$(newest)" ".$f = \"PPID[\$(touch\${IFS}$PWD/run)]\""
        run_split lifeboat-backup --list
        grep -q 'BAD: the manifest is damaged' "$OUT"
        hours 2
        run_split lifeboat-backup hourly
        assert_status 1 'the manifest is damaged'
        run_split lifeboat-restore-latest -d "new.$f"
        [ ! -e run ]
        rm -r one && mv saved one
    done
}

@test "which is newer is told over all targets, when one is blank and the status is lost" {
    export LIFEBOAT_BACKUP_TARGETS="$PWD/one $PWD/two"
    for h in 0 1 2; do hours "$h" && lifeboat-backup -q --target "$PWD/two" hourly; done
    rm -r status
    hours 3 && lifeboat-backup -q hourly
    more b
    hours 4
    mv two away
    run_split lifeboat-backup hourly
    assert_status 66
    mv away two
    run_split lifeboat-restore-latest -d new.db
    assert_status 0
    [ "$(digest -d new.db)" = "$(digest)" ]
}

@test "verify: what could not be looked at is not called good" {
    lifeboat-backup -q weekly
    printf '#!/bin/sh\nexit 137\n' >fake/evstore-verify
    chmod +x fake/evstore-verify
    PATH=$PWD/fake:$PATH run_split lifeboat-backup --verify
    assert_status 1
    grep -q 'weekly: bad: the events cannot be read' "$OUT"
    PATH=$PWD/fake:$PATH run_split lifeboat-restore-latest --dry-run
    assert_status 65 'the events cannot be read'
}

@test "a manifest that cannot be read takes no other backup away" {
    lifeboat-backup -q weekly
    hours 1 && lifeboat-backup -q hourly
    real=$(command -v tar)
    # As tar ends where a disk does not give one of its files.
    printf '#!/bin/sh\ncase $* in *-chf*) ;; *) exec %s "$@" ;; esac\ngrep -v hourly | %s "$@"\necho "tar: manifest.json: Cannot open: Input/output error" >&2\nexit 2\n' \
        "$real" "$real" >fake/tar
    chmod +x fake/tar
    PATH=$PWD/fake:$PATH run_split lifeboat-restore-latest -d new.db
    assert_status 1 'passed over'
    [ "$(digest -d new.db)" = "$(digest)" ]
}

@test "restore: a box that cannot be opened is told of by the status" {
    lifeboat-backup -q weekly
    printf '#!/bin/sh\ncase $2 in */box.tar.zst) exit 1 ;; *) exec /bin/cat "$@" ;; esac\n' >fake/cat
    chmod +x fake/cat
    PATH=$PWD/fake:$PATH run_split lifeboat-restore-latest -d new.db --box box
    assert_status 1 'box.tar.zst'
    [ "$(digest -d new.db)" = "$(digest)" ]
    jq_true '.skipped | length == 1' <<<"$out"
}

@test "restore: that what a store lacked is gone as well is told of" {
    more b
    lifeboat-backup -q weekly
    rm lifeboat.db*
    mkevents 3 new | evstore-restore -q
    hours 1
    run_split lifeboat-backup hourly
    assert_status 0 'both will be restored'
    flip one/*-weekly/events.jsonl.zst
    run_split lifeboat-restore-latest -d new.db
    assert_status 1 '-weekly: passed over'
    jq_true '.events == 3 and (.skipped | length == 1)' <<<"$out"
    rm -r one/*-weekly
    run_split lifeboat-restore-latest -d new2.db
    assert_status 1 '-weekly: passed over'
}

@test "a folder of a backup with nothing in it is told of once" {
    lifeboat-backup -q weekly
    mkdir one/20200101T000000Z-hourly
    hours 1
    run_split lifeboat-backup hourly
    assert_status 1 '20200101T000000Z-hourly: the manifest is missing'
    hours 2
    run_split lifeboat-backup hourly
    assert_status 0
}
