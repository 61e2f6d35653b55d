#!/usr/bin/env bats
# Twenty simulated days of comparing, by the table that the unit test of the streak has
# as well: tests/data/streak.txt says what its letters mean.

bats_require_minimum_version 1.5.0
load helper

setup() {
    private_store
    export LIFEBOAT_CONFIG=$PWD/conf LIFEBOAT_MIRROR_DIR=$PWD/status
    mkdir conf status
    row='{"tag_id":"T","order_id":"O","location":"A","updated_at":"2025-02-20T10:00:00Z"}'
}

teardown() { stop_background; }

configure() { # VERSION
    jq -n --arg v "column$1" --arg gap "$gap" '{old_cmd: "cat old", new_cmd: "cat new", zone: "Asia/Tokyo", ignore: [$v]}
        + if $gap == "" then {} else {gap: $gap} end' >conf/mirror-compare.json
}

# 02:00 in Tokyo on a day of this number; the minutes make runs of a day follow another.
at() { export LIFEBOAT_NOW=$(((20000 + $1) * 86400000 - 7 * 3600000 + ++runs * 1000)); }

compare() { # WANTED-STATUS
    local status=0
    at $((day + skew))
    mirror-compare -q >/dev/null 2>err || status=$?
    [ "$status" -eq "$1" ] || { cat err && return 1; }
}

note() {
    at $((day + skew))
    printf '{"ts":"%s","day":"%s","zone":"Asia/Tokyo","result":"%s"}\n' "$(date -u -d "@$((LIFEBOAT_NOW / 1000))" +%FT%TZ)" \
        "$(TZ=Asia/Tokyo date -d "@$((LIFEBOAT_NOW / 1000))" +%F)" "$1" >>status/mirror_status.log
}

# What happens on a day, letter by letter.
live() {
    local what=$1
    while [ -n "$what" ]; do
        case $what in
        O*) echo "$row" | tee old >new && compare 0 ;;
        N*) echo "$row" >old && echo "${row/\"A\"/\"B\"}" >new && compare 1 ;;
        E*) rm -f old && compare 69 ;;
        +*) note ENABLED ;;
        -*) note DISABLED ;;
        c*) configure $((++version)) ;;
        \?*) echo '{"ts":' >>status/mirror_status.log ;;
        '<'*) what=${what#?} skew=$((skew - ${what%"${what#?}"})) ;;
        '>'*) what=${what#?} skew=$((skew + ${what%"${what#?}"})) ;;
        '~'*) cp "past.$((day - 2))" status/mirror_status.log ;;
        .*) ;;
        *) return 1 ;;
        esac || return
        what=${what#?}
    done
}

# twenty DAYS...: the streak at the end of each, as it is counted and as it is shown.
twenty() {
    local got=()
    rm -rf status
    mkdir status
    gap='' version=0 skew=0 runs=0
    [ "$1" != h ] || { gap=hold && shift; }
    configure 0
    for ((day = 0; $#; day++)); do
        live "$1" || return
        shift
        [ ! -e status/mirror_status.log ] || cp status/mirror_status.log "past.$day"
        at $((day + skew))
        got+=("$(mirror-compare -q --recompute)")
        [ "$(cat status/ok_counter)" = "${got[-1]}" ]
    done
    echo "${got[*]}"
}

@test "the streak over twenty days is what the table says" {
    n=0
    while IFS='|' read -r name days counts; do
        [[ $name != '#'* ]] && [ -n "$counts" ] || continue
        set -f
        # shellcheck disable=SC2086
        out=$(twenty $days)
        set +f
        counts=${counts# }
        [ "$out" = "$counts" ] || { printf '%s\n got %s\nwant%s\n' "$name" "$out" "$counts" && false; }
        n=$((n + 1))
    done <"$BATS_TEST_DIRNAME/data/streak.txt"
    [ "$n" -ge 22 ]
}

@test "the counter follows each run without being asked" {
    gap='' version=0 skew=0 runs=0 day=0
    configure 0
    for day in {0..13}; do
        live O
        [ "$(cat status/ok_counter)" -eq $((day + 1)) ]
    done
    day=14
    live N
    [ "$(cat status/ok_counter)" -eq 0 ]
    # A counter that somebody wrote is not believed.
    echo 13 >status/ok_counter
    day=15
    live O
    [ "$(cat status/ok_counter)" -eq 1 ]
}
