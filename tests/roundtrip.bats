#!/usr/bin/env bats
# Round trips: what goes out comes in the same, in any parts and any order.
# ROUNDTRIP=100000 makes it that many random events instead of 2000.

load helper

count=${ROUNDTRIP:-2000}

setup() {
    private_store
    export LIFEBOAT_NOW=3000000000000
    "$build/tools/genevents" "$count" 7 >in
    evstore-append -q in
    evstore-export >one
}

same() {
    evstore-export -d "$1" | cmp one -
    [ "$(evstore-export -d "$1" --digest)" = "$(evstore-export --digest)" ]
}

@test "all random events are taken, each with its payload as it was" {
    [ "$(wc -l <one)" -eq "$count" ]
    evstore-export --digest | grep -q "^lifeboat1 $count "
    [ "$(evstore-export --conflicts | wc -l)" -eq 0 ]
    # The generator is worth its name.
    [ "$(awk '{ if (length > n) n = length } END { print n }' one)" -gt 1000000 ]
    grep -cq '"wild":true' one
    grep -cq '"keys":true' one
    grep -cq '"lone":true' one
    grep -qE '[0-9]{40}' one
    grep -qE '\\u[dD][89a-fA-F]' one
    grep -qF '\u0000' one
}

@test "export | append | export is byte-identical" {
    evstore-export | evstore-append -q -d other.db
    same other.db
    evstore-export --full --seal | evstore-append -q -d full.db
    same full.db
}

@test "export | restore | export is byte-identical" {
    evstore-export --full --seal | evstore-restore -q -d other.db
    same other.db
    evstore-export --document | evstore-restore -q -d document.db --document
    same document.db
    evstore-export --order seq | evstore-restore -q -d seq.db
    same seq.db
}

@test "parts in any order, some of them twice, give the same" {
    for seed in 1 2 3; do
        mkdir "$seed"
        shuf --random-source=<(yes "$seed") one >shuffled
        split -n l/4 shuffled "$seed/part"
        set -- "$seed"/part*
        head -n "$((count / 10))" one >"$seed/again"
        evstore-restore -q -d "$seed.db" "$4" "$2" "$seed/again"
        evstore-restore -q -d "$seed.db" "$1" "$2" "$3" "$1" "$4"
        same "$seed.db"
        evstore-append -q -d "a$seed.db" "$3" "$1" "$4" "$3" "$2"
        same "a$seed.db"
    done
}

@test "a copy that jq has rewritten: what it changed is in conflict, all else the same" {
    evstore-export --digest >before
    # jq 1.6 cannot read a surrogate on its own.
    grep -vF '"lone":true' one | jq -c . >copy
    run_split evstore-append -q copy
    assert_status 1
    evstore-export --digest | cmp before -
    evstore-export | cmp one -
    evstore-export --conflicts | jq -r .event_id | sort >conflicts
    jq -r 'select(.wild) | .event_id' copy | sort >wild
    jq -r 'select(.keys) | .event_id' copy | sort >keys
    # jq 1.7 and later leave long numbers alone; repeated keys no jq keeps.
    [ -s conflicts ]
    [ -z "$(comm -23 conflicts wild)" ]
    [ -z "$(comm -13 conflicts keys)" ]
    # The rest was rewritten too, but no value of it: it makes the same store.
    grep -vF '"wild":true' one >tame_one
    grep -vF '"wild":true' copy >tame
    evstore-append -q -d tame_one.db tame_one
    evstore-append -q -d tame.db tame
    [ "$(evstore-export -d tame.db --digest)" = "$(evstore-export -d tame_one.db --digest)" ]
    run cmp -s tame tame_one
    [ "$status" -eq 1 ]
}

@test "the proof is the same worked out event by event" {
    # Two halves in two stores: their digests are of the halves, not of the whole.
    head -n $((count / 2)) one | evstore-append -q -d a.db
    tail -n +$((count / 2 + 1)) one | evstore-append -q -d b.db
    whole=$(evstore-export --digest)
    [ "$(evstore-export -d a.db --digest)" != "$whole" ]
    evstore-export -d b.db | evstore-append -q -d a.db
    [ "$(evstore-export -d a.db --digest)" = "$whole" ]
}
