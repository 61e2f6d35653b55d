# shellcheck shell=bash
# campaign: what crash.sh and faults.sh share: the shim, the material, the
# scenarios (each a command at work on a store), and the judgement of what is
# left afterwards. Sourced; leaves the caller in a folder that goes with it.

cd "$(dirname "$0")/.." || exit
top=$PWD
bin=${LIFEBOAT_BIN:-$top/build/bin}
build=${LIFEBOAT_BUILD:-$(dirname "$bin")}
for v in $(compgen -e LIFEBOAT_); do unset "$v"; done
export PATH=$bin:$PATH LC_ALL=C.UTF-8 LIFEBOAT_ENV=/dev/null LIFEBOAT_WAIT=10
killat=$build/tools/killat.so
mkdir -p "$build/tools"
"${CC:-cc}" -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -fPIC -shared -o "$killat" \
    tests/tools-preload/killat.c -ldl || exit 70

# Memory will do: what is never synced is lost with the power, not with a process.
work=$(mktemp -d -p /dev/shm 2>/dev/null) || work=$(mktemp -d) || exit 73
trap 'rm -rf "$work"' EXIT
cd "$work" || exit
BATS_TEST_DIRNAME=$top/tests
# shellcheck source=tests/helper.bash
source "$top/tests/helper.bash"

tests=0 bad=0
verdict() { # NAME: of what was done since the last one; findings in "found"
    tests=$((tests + 1))
    if [ -s found ]; then
        bad=$((bad + 1))
        echo "not ok $tests - $1"
        sed 's/^/# /' found | head -n 20
    else
        echo "ok $tests - $1"
    fi
    : >found
}
find_fault() { echo "$at: $*" >>found; }

# --- what every scenario is judged by --------------------------------------------

# Of events in canonical form, and of the material; jq would take most of the time.
ids() { grep -o '"event_id":"[^"]*"' | cut -d '"' -f 4 | sort; }

# judge DB SENT ACKNOWLEDGED: the store after a kill. SENT and ACKNOWLEDGED are
# files with sorted ids.
judge() {
    [ -s "$1" ] || {
        [ ! -s "$3" ] || find_fault "acknowledged, and there is no store"
        : >there
        return
    }
    sqlite3 "$1" 'PRAGMA integrity_check' >sound 2>&1
    [ "$(<sound)" = ok ] || find_fault "integrity_check: $(head -n 2 sound)"
    # A store whose making was cut short has no tables yet.
    sqlite3 "$1" 'SELECT event_id FROM events' 2>/dev/null | sort >there
    [ -z "$(comm -23 "$3" there)" ] || find_fault "lost: $(comm -23 "$3" there | head -n 3)"
    [ -z "$(comm -13 "$2" there)" ] || find_fault "not sent: $(comm -13 "$2" there | head -n 3)"
}

# same DB DIGEST: after the rerun
same() {
    [ "$(evstore-export -d "$1" --digest 2>&1)" = "$2" ] ||
        find_fault "the rerun gives $(evstore-export -d "$1" --digest 2>&1), wanted $2"
}

# The log of a store agrees with itself, and no row reads IN_PROGRESS.
judge_log() {
    [ -e "$1" ] || return 0
    evstore-restore -d "$1" --list >log 2>&1 || find_fault "--list: $(<log)"
    ! grep -F '"kind":"restore"' log | grep -qF '"status":"IN_PROGRESS"' || find_fault "log: $(<log)"
    sqlite3 "$1" 'SELECT * FROM restore_log WHERE events_received <>
        events_inserted + events_already_present + events_rejected' >odd 2>&1
    [ ! -s odd ] || find_fault "log: $(<odd)"
}

# What of a file is whole lines.
whole_lines() { # FILE
    if [ -n "$(tail -c 1 "$1")" ]; then head -n -1 "$1"; else cat "$1"; fi
}

# --- the scenarios -----------------------------------------------------------------
# Each is a set of functions: NAME_start prepares the folder, NAME_run is what gets
# killed (its arguments stand before the command), NAME_judge looks at what is left
# and runs it again.

fresh() { # from folder base-N
    rm -f s s-* hub hub-* acks out err pipe*
    [ $# -eq 0 ] || cp "$1" s
    : >acks
}

append_start() { fresh "base-$size"; }
append_run() { "$@" evstore-append -d s "more-$size" >out 2>err; }
append_judge() {
    whole_lines out | ids >acks
    judge s "sent-$size" acks
    evstore-append -q -d s "more-$size" 2>err || find_fault "rerun: $(tail -n 1 err)"
    same s "$(<"digest-$size")"
}

# Events that happen here: their ids are given, their times are not.
local_start() { fresh "base-$size"; }
local_run() { "$@" evstore-append -d s "local-$size" >out 2>err; }
local_judge() {
    whole_lines out | ids >acks
    judge s "sent-$size" acks
    whole_lines out >acked
    evstore-append -d s "local-$size" >again 2>err || find_fault "rerun: $(tail -n 1 err)"
    # What was acknowledged is what is there, to the byte.
    ! grep -vxFf again acked >odd || find_fault "acknowledged otherwise: $(head -n 1 odd)"
    [ "$(ids <again)" = "$(ids <"local-$size")" ] || find_fault 'the rerun does not have all'
}

restore_result() { # all that a printed result says is there is there
    if grep -qF '"status":"COMPLETED"' out; then ids <"more-$size" >acks; fi
}

in_place_start() { fresh "base-$size"; }
in_place_run() { "$@" evstore-restore -d s --session s "more-$size" >out 2>err; }
in_place_judge() {
    restore_result
    judge s "sent-$size" acks
    judge_log s
    evstore-restore -q -d s --session s "more-$size" 2>err || find_fault "rerun: $(tail -n 1 err)"
    judge_log s
    same s "$(<"digest-$size")"
    projected
}

aside_start() { fresh; }
aside_run() { "$@" evstore-restore -d s --session s "base-$size.jsonl" "more-$size" >out 2>err; }
aside_judge() {
    restore_result
    judge s "sent-$size" acks
    judge_log s
    if [ -e s ]; then
        cmp -s there "sent-$size" || find_fault "built aside, but not whole: $(wc -l <there) events"
    fi
    evstore-restore -q -d s --session s "base-$size.jsonl" "more-$size" 2>err ||
        find_fault "rerun: $(tail -n 1 err)"
    [ ! -e s-building ] || find_fault 's-building is left'
    same s "$(<"digest-$size")"
    projected
}

# The projections are those of a store that nobody ever killed.
projected() {
    { evstore-project -d s --list case && evstore-project -d s --list chart; } >projected 2>err
    cmp -s projected "projected-$size" || find_fault "projections differ: $(tail -n 1 err)"
}

project_start() { fresh "full-$size"; }
project_run() { "$@" evstore-project -d s >out 2>err; }
project_judge() {
    judge s "sent-$size" "sent-$size"
    evstore-project -q -d s >out 2>err || find_fault "rerun: $(tail -n 1 err)"
    same s "$(<"digest-$size")"
    projected
}

ack_start() { fresh "full-$size"; }
ack_run() { "$@" evstore-ack -d s <"sent-$size" >out 2>err; }
ack_judge() {
    judge s "sent-$size" "sent-$size"
    whole_lines out | ids >acks 2>/dev/null
    evstore-ack -q -d s <"sent-$size" 2>err || find_fault "rerun: $(tail -n 1 err)"
    [ -z "$(evstore-export -d s --unsynced 2>&1)" ] || find_fault 'not all are synced'
    same s "$(<"digest-$size")"
}

# The receiving side is killed; what its cursor speaks of must be there.
standby_start() {
    fresh
    cp "full-$size" hub
}
standby_pipe() {
    evstore-export -d hub --full --seal --order seq --after "$(evstore-restore -d s --cursor-of hub)" |
        evstore-restore -q -d s --follow --source hub 2>err
}
standby_run() {
    "$@" evstore-restore -d s --follow --source hub <"stream-$size" >out 2>err
}
standby_judge() {
    local seq=0 cursor
    if [ -e s ]; then
        cursor=$(evstore-restore -d s --cursor-of hub 2>&1)
        if [ "$cursor" != start ]; then
            seq=${cursor#*:}
            seq=${seq%%:*}
        fi
    fi
    sqlite3 hub "SELECT event_id FROM events WHERE seq <= ${seq//[!0-9]/}" | sort >acks
    judge s "sent-$size" acks
    [ ! -s acks ] || judge_log s
    standby_pipe || find_fault "rerun: $(tail -n 1 err)"
    same s "$(<"digest-$size")"
}
# --- material ------------------------------------------------------------------------

# All events in two waves, a cursor behind each, as under --follow.
stream() { # SIZE
    local n=$(($1 / 2)) cursor='s/.*"to":"\([^"]*\)".*/{"lifeboat_cursor":"\1"}/'
    evstore-export -d "full-$1" --full --limit "$n" --seal | sed "\$$cursor"
    evstore-export -d "full-$1" --full --order seq --seal | tail -n +$((n + 1)) | sed "\$$cursor"
}

material() { # SIZE
    local size=$1
    mkevents "$((size / 5 + 1))" base >"base-$size.jsonl"
    mkevents "$size" more >"more-$size"
    jq -c 'del(.ts_device, .causation_id)' "more-$size" >"local-$size"
    evstore-append -q -d "base-$size" "base-$size.jsonl" || return
    evstore-append -q -d "full-$size" "base-$size.jsonl" "more-$size" || return
    cat "base-$size.jsonl" "more-$size" | ids >"sent-$size"
    evstore-export -d "full-$size" --digest >"digest-$size" || return
    stream "$size" >"stream-$size"
    cp "full-$size" projecting
    evstore-project -q -d projecting || return
    { evstore-project -d projecting --list case && evstore-project -d projecting --list chart; } >"projected-$size"
    [ ! -e "base-$size-wal" ] && [ ! -e "full-$size-wal" ]
}

prepare() {
    at=material
    size=2000
    for n in 2000 8 150; do
        material "$n" || {
            echo 'not ok 1 - material'
            exit 1
        }
    done
}

conclude() {
    echo "1..$tests"
    [ "$bad" -eq 0 ]
}
