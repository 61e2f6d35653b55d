#!/usr/bin/env bash
# faults.sh [SEED [SCENARIO...]]: lets the calls of every command fail, one after the
# other: writes, reads, syncs, opens, maps and looks with an error, short reads and
# writes, interrupted calls, memory that is not to be had, stderr that takes nothing.
# Whatever fails: the store is sound; what was acknowledged is in it; nothing is in it
# that was not sent; a run that says 0 has done and printed all of it; any other says
# why, with a status of the table; a rerun without faults converges to the same digest
# and projections. Prints TAP.
#
# FAULTS_EVERY   each call, also beyond the first few hundred of a run
# SMALL          a few of the calls, here and there
# LIFEBOAT_BIN   the commands (build/bin)
set -uo pipefail
seed=${1:-$((($(date +%s) ^ $$) % 32768))}
RANDOM=$seed

# shellcheck source=tests/campaign.bash
source "$(dirname "$0")/campaign.bash"

# The same output at every time; and settings of which none may get lost.
export LIFEBOAT_ENV=$work/settings
printf 'LIFEBOAT_DEVICE=box-1\nLIFEBOAT_NOW=1768000600000\n' >settings

# --- commands that only read ----------------------------------------------------------
# With input-NAME on stdin, if there is one.

declare -A reads=(
    [export]='evstore-export -d s'
    [export_seq]='evstore-export -d s --order seq --limit 200'
    [export_seal]='evstore-export -d s --full --seal'
    [export_digest]='evstore-export -d s --digest'
    [export_document]='evstore-export -d s --document'
    [export_conflicts]='evstore-export -d s --conflicts --seal'
    [verify]='evstore-verify -d s'
    [verify_file]='evstore-verify sealed-300'
    [trace]='evstore-trace -d s --event more_0000003'
    [trace_dot]='evstore-trace -d s --correlation c-33 --dot'
    [log]='evstore-restore -d s --list'
    [cursor]='evstore-restore -d s --cursor-of hub'
    [status]='evstore-project -d s --status'
    [now]='hlc -d s now'
    [sort]='hlc sort'
    [ids]='uuidv7 -n 3000'
    [ids_parsed]='uuidv7 -p'
    [value]='kvcache -d s get large'
    [cache_stats]='kvcache -d s stats'
    [replay]='kvcache run -d s kept -- false'
)

start() { # SCENARIO
    if [ -n "${reads[$1]-}" ]; then fresh "read-$size"; else "$1_start"; fi
}

run() { # SCENARIO CMD...
    local -a words
    if [ -z "${reads[$1]-}" ]; then
        "$1_run" "${@:2}"
    else
        read -ra words <<<"${reads[$1]}"
        "${@:2}" "${words[@]}" <"input-$1" >out 2>err
    fi
}

# What was printed, without what is new each time: in $printed.
take_printed() { # SCENARIO
    local uuid='????????-????-7???-????-????????????'
    slurp printed out 2>/dev/null || printed=
    case $1 in
    export_document) printed=${printed/\"export_id\":\"$uuid\",/} ;;
    enqueue | put_first | dequeue)
        printed=$(sed -E 's/"(token|idempotency_key)":"[0-9a-f-]*"/\1/g' out 2>/dev/null)
        ;;
    mirrored) printed=$(sed -E 's/"op_id":"[0-9a-f-]*"/op_id/' out 2>/dev/null) ;;
    maintained) printed=$(sed -E 's/"(vacuum_)?ms":[0-9]+/\1ms/g' out 2>/dev/null) ;;
    ids) [ "$(grep -cxE '[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}' out)" != 3000 ] ||
        ! sort -uc out || printed='3000, ascending' ;;
    noted) printed=$(without_ms out 2>/dev/null) ;;
    posted*) printed=$(sed -E 's/^X-Correlation-ID: .*//' out 2>/dev/null) ;;
    # A type whose reducer cannot be looked for at first comes after the others.
    in_place | aside | document | sealed | keep_flags | standby)
        printed=${printed/'["case","chart"]'/'["chart","case"]'}
        ;;
    # Where the C library has no memory for a locale it says that there is none.
    trace)
        printed=${printed//├──/|--} printed=${printed//└──/\`--}
        printed=${printed//│/|} printed=${printed//◀/<--}
        ;;
    esac
}

# A reader has nothing to mend: it prints, and does not print anything else.
judge_reader() { # SCENARIO
    [ "$status" -ne 0 ] || return 0
    case $1 in
    ids) ;;
    verify*) [ -z "$printed" ] || [[ $printed == '{"verdict":"inconclusive"'* ]] ||
        find_fault "a verdict: ${printed:0:200}" ;;
    *) [[ $wanted == "$printed"* ]] || find_fault "printed: ${printed:0:300}" ;;
    esac
}

# Scenarios that end with another status than 0 when all goes well.
declare -A refusals=([rejected]=1 [leftover]=73)

# The settings are read by stdio, where the shim has no hand in it.
unreadable_settings() {
    local got
    at='settings that cannot be read'
    got=$(LIFEBOAT_ENV=$work uuidv7 2>&1)
    status=$?
    [[ "$status $got" == '78 '*'Is a directory' ]] || find_fault "status $status: $got"
    verdict "$at"
}

# --- faults -------------------------------------------------------------------------------

# CALLS:WHAT, the statuses a run may end with, and what its message must name.
faults=(
    'memory:12|75|out of memory|Cannot allocate memory|temporary database file'
    'change:5|73 74|Input/output error|disk I/O error'
    'change:28|73 74|No space left on device|disk is full|disk I/O error'
    'sync:5|73 74|Input/output error|disk I/O error'
    'read:5|73 74|Input/output error|disk I/O error'
    # SQLite then tries to open it for reading only.
    'open:24|66 69 73 74 75 77 78|Too many open files|unable to open|readonly database'
    'look:5|66 73 74 76|Input/output error|disk I/O error|replaced or removed|unable to open'
    'map:12|74 75|Cannot allocate memory|out of memory'
    'write:half'
    'read:half'
    'slow:4'
    'told:5'
    'told:4'
    'told:half'
)

judge_failure() { # SCENARIO STATUSES CAUSE
    case $1 in
    # Of these a verdict other than ok; the events are in, the projections are not.
    verify*) set -- "$1" "$2 2" "$3" ;;
    in_place | aside | document | sealed | keep_flags | standby | project | reduce | listing | rebuild)
        ! grep -q 'projection' err || set -- "$1" "$2 1" "$3" ;;
    # What its leg of the mirror meets is "not all is sent".
    mirrored) set -- "$1" "$2 1 69 70 75" "$3" ;;
    # What an HTTP client is told of it: 503 or 507. A key may be in flight for a while.
    posted*) set -- "$1" "$2 70 74 75" "$3" ;;
    # The command itself, or who watches over it, may be what fails.
    once) set -- "$1" '125 126' "$3|supervisor|unable to run" ;;
    replay) set -- "$1" 125 "$3" ;;
    esac
    [[ " $2 " == *" $status "* ]] || find_fault "status $status: $(tail -n 1 err)"
    if [ ! -s err ]; then
        find_fault "status $status, and nothing on stderr"
    elif [ -n "$3" ]; then
        grep -qE "$3" err || find_fault "status $status, and no cause: $(tail -n 1 err)"
    fi
}

judge_run() { # SCENARIO CALLS:WHAT STATUSES CAUSE
    take_printed "$1"
    if [ "$status" -ne "$wanted_status" ]; then
        judge_failure "$1" "$3" "$4"
    elif [ "$printed" != "$wanted" ]; then
        find_fault "status $status, but printed: ${printed:0:300}"
    fi
    [ "$2" != told:4 ] && [ "$2" != told:half ] || [ "$(<err)" = "$wanted_err" ] ||
        find_fault "on stderr: $(<err)"
    if [ -n "${reads[$1]-}" ]; then
        judge_reader "$1"
    else
        complete=
        "$1_judge"
        [ "$status" -ne "$wanted_status" ] || [ "$complete" = "$wanted_complete" ] ||
            find_fault "status $status, but not all events are there"
    fi
}

# The next call to hurt: each of the first 300, then ever fewer.
next() { # N TOTAL SAMPLE
    local step=1
    if [ -n "${SMALL-}" ]; then
        step=$((1 + $2 * (50 + RANDOM % 100) / 100 / $3))
    elif [ -z "${FAULTS_EVERY-}" ] && [ "$1" -gt 300 ]; then
        step=$(($1 / 30))
    fi
    n=$(($1 + step))
}

hurt() { # SCENARIO CALLS:WHAT ON SAMPLE STATUSES CAUSE
    local n=0
    while next "$n" "$total" "$4" && [ "$n" -le $((total + 100)) ]; do
        at="$1, $2${3:+ and on} at call $n"
        start "$1"
        run "$1" with_mishap "${2%:*}:$n:${2#*:}${3:+:on}" 2>/dev/null
        status=$?
        happened || break
        done=$((done + 1))
        judge_run "$1" "$2" "$5" "$6"
    done
}

# All goes well: what the others are compared with.
undisturbed() { # SCENARIO
    at="$1, undisturbed"
    start "$1"
    run "$1" 2>/dev/null
    wanted_status=$?
    take_printed "$1"
    wanted=$printed wanted_err=$(<err) complete=
    [ -n "${reads[$1]-}" ] || "$1_judge"
    wanted_complete=$complete
    [ "$wanted_status" -eq "${refusals[$1]-0}" ] || find_fault "status $wanted_status: $wanted_err"
}

at_each_call() { # SCENARIO
    local f what sample=2 done=0 statuses cause
    undisturbed "$1"
    for f in "${faults[@]}"; do
        IFS='|' read -r what statuses cause <<<"$f"
        start "$1"
        count_calls "${what%:*}" run "$1"
        [ "$total" -gt 0 ] || continue
        [ "$what" != memory:12 ] || sample=5
        if [ -z "${SMALL-}" ]; then
            hurt "$1" "$what" '' 0 "$statuses" "$cause"
            hurt "$1" "$what" on 0 "$statuses" "$cause"
        else
            hurt "$1" "$what" "$([ $((RANDOM % 2)) -eq 0 ] || echo on)" "$sample" "$statuses" "$cause"
        fi
    done
    all=$((all + done))
    verdict "$1: $done runs with a fault"
}

all=0
writes=(append create load leftover local single rejected in_place aside document sealed parts keep_flags
    standby sender project rebuild reduce listing ack send recv
    enqueue put_first dequeue complete give_up work flush cached cleared once noted
    posted posted_once posted_back mirrored maintained)
if [ $# -gt 1 ]; then set -- "${@:2}"; else set -- "${writes[@]}" "${!reads[@]}"; fi

echo "# seed $seed (tests/faults.sh $seed)"
prepare 30 300
for name in "${!reads[@]}"; do : >"input-$name"; done
cp more-300 input-sort
uuidv7 -n 2000 >input-ids_parsed
# A store with something to tell about everything.
cp full-300 read-300
evstore-restore -q -d read-300 --follow --source hub <stream-300
evstore-append -q -d read-300 bad-300 2>/dev/null
head -c 300000 /dev/urandom | base64 | kvcache -q -d read-300 set large
kvcache run -d read-300 kept -- seq 40000 >/dev/null
cp read-300 untouched

unreadable_settings
for name; do
    if [ -n "${reads[$name]-}" ]; then size=300; else size=30; fi
    at_each_call "$name"
done
echo "# $all runs with a fault"
conclude
