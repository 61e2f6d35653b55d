# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # at, size and others are the caller's
# campaign-mirror: the scenarios of mirror-compare. Sourced by campaign.bash.

# --- a comparison is noted ---------------------------------------------------------------
# Three days were the same, on the fourth something differs and something is in flight.
# The ledger has all of the run's line or nothing; where it has it, it has the differences.

noted_at=1768000600000

noted_cmd() { # MS CMD...
    LIFEBOAT_NOW=$1 "${@:2}" mirror-compare --config "mirror-$size.json"
}
noted_start() {
    fresh
    rm -rf status
    cp -r "status-$size" status
}
noted_run() {
    local status=0
    noted_cmd "$noted_at" "$@" >out 2>err || status=$?
    # It has to say that they differ.
    case $status in 0) return 70 ;; 1) return 0 ;; *) return "$status" ;; esac
}

without_ms() { sed -E 's/,"ms":[0-9]+//' "$@"; }

# The lines of the ledger that the run has added, and half of one, which counts as none.
noted_lines() { whole_lines status/mirror_status.log | without_ms | tail -n +4; }
torn_line() { [ -z "$(tail -c 1 status/mirror_status.log)" ] || tail -n 1 status/mirror_status.log; }

noted_judge() {
    local line torn
    torn=$(torn_line)
    [[ $(<"noted-line-$size") == "${torn%%,\"ms\":*}"* ]] || find_fault "half a line of something else: $torn"
    cmp -s <(head -n 3 status/mirror_status.log) "status-$size/mirror_status.log" ||
        find_fault 'earlier lines of the ledger are touched'
    line=$(noted_lines)
    case $line in
    "$(<"noted-line-$size")")
        complete=1
        cmp -s status/mirror_diff.log "noted-diff-$size" || find_fault 'noted, but its differences are not'
        cmp -s status/pending "noted-pending-$size" || find_fault 'noted, but not what is in flight'
        ;;
    '') complete= ;;
    *$'\n'*) find_fault "noted twice: $line" ;;
    *'"result":"ERROR"'*) jq -e . <<<"$line" >/dev/null || find_fault "noted: $line" ;;
    *) find_fault "noted: $line" ;;
    esac
    [[ $(<status/ok_counter) == [03] ]] || find_fault "ok_counter: $(<status/ok_counter)"
    [ ! -e status/mirror_diff.log ] ||
        cmp -s -n "$(stat -c %s status/mirror_diff.log)" status/mirror_diff.log "noted-diff-$size" ||
        find_fault "differences: $(tail -n 1 status/mirror_diff.log)"
    noted_again "$torn"
}

# The next run says the same; only what was noted as in flight is so no longer.
noted_again() { # TORN
    local before='"pending":1,' got
    [ -z "$complete" ] || before='"pending":0,'
    noted_cmd $((noted_at + 1000)) >again 2>err-again
    [ $? -eq 1 ] || find_fault "rerun: $(tail -n 1 err-again)"
    got=$(tail -n 1 again)
    [[ $got == *'"result":"NG"'*"$before"* ]] || find_fault "the rerun says $got"
    [ "$(<status/ok_counter)" = 0 ] || find_fault "the counter after the rerun: $(<status/ok_counter)"
    grep -vxF -- "${1:-none}" status/mirror_status.log | jq -e . >/dev/null || find_fault 'the ledger cannot be read'
    tail -n "$(($(wc -l <again) - 1 - $(grep -c '"class":"pending"' again)))" status/mirror_diff.log |
        cmp -s - <(grep '"class"' again | grep -v '"class":"pending"') || find_fault 'the rerun notes other differences'
}

mirror_material() { # SIZE
    local size=$1 day
    seq "$1" | awk -v last="$1" -v at=$((noted_at / 1000)) '{
        printf "{\"tag_id\":\"T%d\",\"order_id\":\"O\",\"qty\":%d,\"updated_at\":%d}\n", $1, $1 % 7, at - 100 * (last - $1)
    }' >"mirror-old-$1"
    # The newest is on its way; every fourth differs.
    awk 'NR % 4 == 2 { sub(/"qty":/, "&1") } { if (NR > 1) print before; before = $0 }' "mirror-old-$1" >"mirror-new-$1"
    jq -n --arg n "$1" '{old: "mirror-old-\($n)", new: "mirror-new-\($n)", zone: "UTC", limit: 0, lag: "1m",
        status_dir: "status"}' >"mirror-$1.json"
    mkdir "status-$1"
    jq '.status_dir = "status-\($n)" | .new = .old' --arg n "$1" "mirror-$1.json" >same.json
    for day in 3 2 1; do
        LIFEBOAT_NOW=$((noted_at - day * 86400000)) mirror-compare --config same.json || return
    done
    without_ms -i "status-$1/mirror_status.log"
    # As it is where nothing is in its way.
    sed -i "s/\"config\":\"[^\"]*\"/\"config\":\"$(mirror-compare --config "mirror-$1.json" --no-record | tail -n 1 |
        jq -r .config)\"/" "status-$1/mirror_status.log"
    noted_start
    noted_run env || return
    noted_lines >"noted-line-$1"
    cp status/mirror_diff.log "noted-diff-$1"
    cp status/pending "noted-pending-$1"
}
