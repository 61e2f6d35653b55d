#!/usr/bin/env bats
# Two sites that both write and each keep the other's standby: what one has, the other gets,
# once; an id under which they wrote different things is the same conflict on both.
# plain

load helper

setup() {
    private_store
    mkdir fake north south
    PATH=$PWD/fake:$PATH
    # ssh OPTIONS... HOST CMD...: the host is a folder here.
    cat >fake/ssh <<END
#!/bin/sh
while :; do case \$1 in -o) shift 2 ;; -*) shift ;; *) break ;; esac; done
LIFEBOAT_DB=$PWD/\$1/lifeboat.db
shift
exec sh -c "exec \$*"
END
    chmod +x fake/ssh
    unset LIFEBOAT_DB
}

at() { # SITE CMD...: there, as that site
    LIFEBOAT_DB=$PWD/$1/lifeboat.db LIFEBOAT_SITE=$1 "${@:2}"
}
# N events of a site's own.
write() { # SITE N
    for ((i = 0; i < $2; i++)); do
        printf '{"entity_type":"case","entity_id":"%s-%d","event_type":"NOTE_WRITTEN","actor_id":"A","payload":%d}\n' "$1" $((i % 3)) "$i"
    done | at "$1" evstore-append -q
}
follow() { background "$1" env LIFEBOAT_DB="$PWD/$1/lifeboat.db" LIFEBOAT_SITE="$1" lifeboat-follow --retry-max 0.1 "$2" "$1"; }
digest() { at "$1" evstore-export --digest; }
count() { digest "$1" | cut -d ' ' -f 2; }
equal() { [ "$(digest north)" = "$(digest south)" ] && { [ $# -eq 0 ] || [ "$(count north)" -eq "$1" ]; }; }
# All that was ever written under any id, whichever came first.
variants() { { at "$1" evstore-export && at "$1" evstore-export --conflicts; } | jq -cS 'del(.ts_server, .seq, .created_at, .synced, .acknowledged)' | sort; }
same_variants() { [ "$(variants north)" = "$(variants south)" ]; }
# Neither has anything new for the other.
quiet() {
    local a b
    a=$(at south evstore-restore --cursor-of north | cut -d : -f 2)
    b=$(at north evstore-restore --cursor-of south | cut -d : -f 2)
    [ "$a" = "$(count north)" ] && [ "$b" = "$(count south)" ]
}

@test "two sites that write and follow each other meet, and then are silent" {
    write north 20
    write south 30
    follow north south
    follow south north
    wait_until 20 equal 50
    for _ in 1 2 3; do
        write north 7 &
        write south 5
        wait $!
    done
    wait_until 20 equal 86
    # What came from there went back once, and was known.
    wait_until 20 quiet
    stop_background
    for s in north south; do
        at "$s" evstore-verify -q
        # Of what came, the other's own was new; the rest was its own, which came back.
        at "$s" evstore-restore --list | jq_true -s --arg s "$s" --argjson own '{"north": 45, "south": 41}' '
            all(.[]; .events_rejected == 0) and (map(.events_inserted) | add) == $own[$s]'
    done
    # Each event is of the site that wrote it, on both.
    for s in north south; do
        [ "$(at "$s" evstore-export | jq -r .site_id | sort | uniq -c | tr -s ' ' | paste -sd ,)" = ' 41 north, 45 south' ]
    done
}

@test "one site cut off for a while, and killed, meets the other again" {
    follow north south
    follow south north
    write north 10
    write south 10
    wait_until 20 equal 20
    mv fake/ssh fake/cut-off
    for p in $(started_here); do
        ! tr '\0' ' ' <"/proc/$p/cmdline" | grep -q '^evstore-restore' || kill -9 "$p"
    done
    write north 15
    write south 25
    [ "$(count north)" -eq 35 ]
    [ "$(count south)" -eq 45 ]
    mv fake/cut-off fake/ssh
    wait_until 20 equal 60
}

@test "an id under which both wrote is the same conflict on both" {
    for s in north south; do
        printf '{"event_id":"evt_1","entity_type":"case","entity_id":"1","event_type":"T","actor_id":"%s","ts_device":1768000000000,"payload":1}\n' $s |
            at $s evstore-append -q
        write $s 5
    done
    follow north south
    follow south north
    # Ten of their own and the first of the two: which one that is, each says for itself.
    both() { [ "$(count north)" -eq 11 ] && [ "$(count south)" -eq 11 ] && same_variants; }
    wait_until 20 both
    wait_until 20 quiet
    for s in north south; do
        [ "$(at $s evstore-export | jq -r 'select(.event_id == "evt_1") | .actor_id')" = $s ]
        [ "$(at $s evstore-export --conflicts | wc -l)" -eq 1 ]
    done
    run equal
    [ "$status" -eq 1 ]
    # Both know of it, and it comes no more often however long they talk.
    write north 5
    write south 5
    more() { [ "$(count north)" -eq 21 ] && [ "$(count south)" -eq 21 ]; }
    wait_until 20 more
    stop_background
    same_variants
    [ "$(at north evstore-export --conflicts | wc -l)" -eq 1 ]
}

@test "the same by files that are carried to and fro" {
    write north 20
    write south 30
    for _ in 1 2; do
        at north evstore-export --full --seal >from-north.jsonl
        at south evstore-restore -q --require-seal from-north.jsonl
        at south evstore-export --full --seal >from-south.jsonl
        at north evstore-restore -q --require-seal from-south.jsonl
        equal 50
    done
    # Only what is new, from the cursor that the last one ended with.
    to=$(tail -n 1 from-north.jsonl | jq -r .lifeboat_end.to)
    write north 3
    at north evstore-export --full --seal --after "$to" >more.jsonl
    at south evstore-restore -q --require-seal more.jsonl
    equal 53
}
