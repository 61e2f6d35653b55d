# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # at, size and others are the caller's
# campaign: what crash.sh and faults.sh share: the shim, the material, the
# scenarios (each a command at work on a store), and the judgement of what is
# left afterwards. Sourced; leaves the caller in a folder that goes with it.

cd "$(dirname "$0")/.." || exit
top=$PWD
bin=${LIFEBOAT_BIN:-$top/build/bin}
build=${LIFEBOAT_BUILD:-$(dirname "$bin")}
for v in $(compgen -e LIFEBOAT_); do unset "$v"; done
export PATH=$bin:$PATH LC_ALL=C.UTF-8 LIFEBOAT_ENV=/dev/null LIFEBOAT_WAIT=10
mishap=$build/tools/mishap.so
mkdir -p "$build/tools"
"${CC:-cc}" -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -fPIC -shared -o "$mishap" \
    tests/tools-preload/mishap.c -ldl || exit 70

# Memory will do: what is never synced is lost with the power, not with a process.
work=$(mktemp -d -p /dev/shm 2>/dev/null) || work=$(mktemp -d) || exit 73
trap 'rm -rf "$work"' EXIT
cd "$work" || exit
mkdir look
BATS_TEST_DIRNAME=$top/tests
# shellcheck source=tests/helper.bash
source "$top/tests/helper.bash"

# shellcheck source=tests/verdict.bash
source "$top/tests/verdict.bash"
find_fault() { finding "$at: $*"; }

# slurp NAME FILE: the file into the variable, without a process.
slurp() { IFS= read -rd '' "$1" <"$2" || :; }

# --- which calls --------------------------------------------------------------------
# A scenario's run is given the command to put before its own; this is it.

with_mishap() { # CALLS:N:WHAT[:on] CMD...
    local what=$1
    shift
    : >mark
    env MISHAP="$what" MISHAP_MARK="$work/mark" ${hurry:+MISHAP_HURRY=1} LD_PRELOAD="$mishap" "$@"
}
hurry=
happened() { [ -s mark ]; }

# How many such calls the scenario's run makes when all goes well: in $total.
count_calls() { # CALLS RUN...
    "${@:2}" with_mishap "$1:0:5" 2>/dev/null
    status=$?
    slurp total mark
    total=${total:-0}
}

# --- what every scenario is judged by --------------------------------------------

# Of events in canonical form, and of the material; jq would take most of the time.
ids() { grep -o '"event_id":"[^"]*"' | cut -d '"' -f 4 | sort; }

# What of a file is whole lines.
whole_lines() { # FILE
    if [ -n "$(tail -c 1 "$1")" ]; then head -n -1 "$1"; else cat "$1"; fi
}

# look_into SQL...: the store as it was left, -wal, hot journal and all. A copy:
# mending it is for the command that is run next, not for the one that looks.
look_into() {
    local -a files=(s)
    local f
    for f in s-wal s-journal; do
        if [ -s "$f" ]; then files+=("$f"); else : >"look/$f"; fi
    done
    cp -t look "${files[@]}"
    sqlite3 look/s "$@" 2>/dev/null
}

# judge: the store s is sound; what is acknowledged (the ids in the file acks,
# sorted) is there; nothing is there but what was sent. $complete: all of it is.
judge() {
    local there='' odd
    complete=
    if [ -s s ]; then
        there=$(look_into 'PRAGMA integrity_check' 'SELECT event_id FROM events ORDER BY 1')
        [[ $there == ok* ]] || find_fault "integrity_check: ${there:0:200}"
        # A store whose making was cut short has no tables yet.
        there=${there#ok}
        there=${there#$'\n'}
    fi
    if [ "$there" = "$(<"sent-$size")" ]; then
        complete=1
    elif [ -n "$there" ]; then
        odd=$(comm -13 "sent-$size" - <<<"$there")
        [ -z "$odd" ] || find_fault "not sent: $(head -n 3 <<<"$odd")"
    fi
    if [ -s acks ]; then
        odd=$(comm -23 acks - <<<"$there")
        [ -z "$odd" ] || find_fault "acknowledged, and lost: $(head -n 3 <<<"$odd")"
    fi
}

# rerun CMD...: nothing is in its way now.
rerun() {
    "$@" >again 2>err-again || find_fault "rerun: status $?: $(tail -n 1 err-again)"
}

# The store s after the rerun: the same events as in one never hurt.
same() {
    local got
    got=$(evstore-export -d s --digest 2>&1)
    [ "$got" = "$(<"digest-$size")" ] || find_fault "the rerun gives $got"
}

rows='SELECT entity_type, entity_id, state_json, version, deleted, first_event_id, last_event_id,
    hlc FROM projections ORDER BY 1, 2'

# The same projections, row by row. KIND: projected, or reduced
projected() { # [KIND]
    local got
    got=$(sqlite3 s "$rows" 2>&1)
    [ "$got" = "$(<"${1:-projected}-$size")" ] || find_fault "projections differ: ${got:0:200}"
}

# The log of the store s agrees with itself, and no row of a dead restore reads
# IN_PROGRESS.
judge_log() {
    local odd
    [ -s s ] || return 0
    evstore-restore -d s --list >log 2>&1 || find_fault "--list: $(<log)"
    ! grep -F '"kind":"restore"' log | grep -qF '"status":"IN_PROGRESS"' || find_fault "log: $(<log)"
    odd=$(sqlite3 s 'SELECT * FROM restore_log WHERE events_received <>
        events_inserted + events_already_present + events_rejected' 2>&1)
    [ -z "$odd" ] || find_fault "log: $odd"
}

# --- the scenarios -----------------------------------------------------------------
# Each is a set of functions: NAME_start prepares the folder, NAME_run is what gets
# hurt (its arguments stand before the command; stdout in out, stderr in err),
# NAME_judge looks at what is left and runs it again.

fresh() { # [STORE]: a clean folder, with this store as s
    rm -f s s-* hub hub-* out err rejects
    [ $# -eq 0 ] || cp "$1" s
    : >acks
}

# Of a command that prints what it has stored.
told_ids() {
    if [ -s out ]; then whole_lines out | ids >acks; fi
}

# Of a restore: all, if its result says so.
told_result() { # FILE
    if grep -qsF '"status":"COMPLETED"' out; then ids <"$1" >acks; fi
}

# append, from a pipe
append_start() { fresh "base-$size"; }
append_run() { "$@" evstore-append -d s < <(cat "more-$size") >out 2>err; }
append_judge() {
    told_ids
    judge
    rerun evstore-append -q -d s "more-$size"
    same
}

# create: the same, where there is no store yet
create_start() { fresh; }
create_run() { "$@" evstore-append -d s "base-$size.jsonl" "more-$size" >out 2>err; }
create_judge() {
    told_ids
    judge
    rerun evstore-append -q -d s "base-$size.jsonl" "more-$size"
    same
}

# load: the same from files and quietly: built aside
load_cmd() { "$@" evstore-append -q -d s "base-$size.jsonl" "more-$size"; }
load_start() { fresh; }
load_run() {
    load_cmd "$@" >out 2>err || return
    cp "sent-$size" acks
}
load_judge() {
    judge
    [ ! -e s ] || [ -n "$complete" ] || find_fault 'built aside, but not whole'
    rerun load_cmd
    [ ! -e s-building ] || find_fault 's-building is left'
    same
}

# leftover: the -wal of a store that is gone; over it none may be made
leftover_start() {
    fresh
    echo 'the last events' >s-wal
}
leftover_run() { create_run "$@"; }
leftover_judge() {
    [ ! -s s ] || find_fault 'a store was made over the -wal of another'
    [ "$(cat s-wal)" = 'the last events' ] || find_fault 'the -wal is touched'
    rm -f s-wal
    rerun evstore-append -q -d s "base-$size.jsonl" "more-$size"
    same
}

# local: events that happen here: their ids are given, their times are not
local_start() { fresh "base-$size"; }
local_run() { "$@" evstore-append -d s "local-$size" >out 2>err; }
local_judge() {
    local odd
    told_ids
    judge
    rerun evstore-append -d s "local-$size"
    # What was acknowledged is what is there, to the byte.
    if [ -s acks ]; then
        odd=$(whole_lines out | grep -vxFf again)
        [ -z "$odd" ] || find_fault "acknowledged otherwise: ${odd%%$'\n'*}"
    fi
    [ "$(ids <again)" = "$(ids <"local-$size")" ] || find_fault 'the rerun does not have all'
}

# single: one event from options, its payload from stdin
single_cmd() {
    "$@" evstore-append -d s --type NOTE --entity case/E-1 --actor ana --id more_0000001 - <payload
}
single_start() { fresh "base-$size"; }
single_run() { single_cmd "$@" >out 2>err; }
single_judge() {
    told_ids
    judge
    rerun single_cmd
    [ ! -s acks ] || cmp -s out again || find_fault "acknowledged otherwise: $(<out)"
    [ "$(evstore-export -d s --type NOTE)" = "$(<again)" ] || find_fault 'the rerun does not have it'
}

# rejected: a bad line and a conflict among what is known already
rejected_cmd() { "$@" evstore-append -d s --rejects rejects <"bad-$size"; }
rejected_start() { fresh "full-$size"; }
rejected_run() { rejected_cmd "$@" >out 2>err; }
rejected_judge() {
    judge
    rm -f rejects
    rejected_cmd >again 2>&1
    [ $? -eq 1 ] || find_fault "rerun: $(tail -n 1 again)"
    same
    [ "$(evstore-export -d s --conflicts | wc -l)" -eq 1 ] || find_fault 'the conflict is not kept'
    cmp -s rejects "rejects-$size" || find_fault "rejects: $(<rejects)"
}

in_place_cmd() { "$@" evstore-restore -d s --session s "more-$size"; }
in_place_start() { fresh "base-$size"; }
in_place_run() { in_place_cmd "$@" >out 2>err; }
in_place_judge() {
    told_result "more-$size"
    judge
    judge_log
    rerun in_place_cmd
    judge_log
    same
    projected
}

aside_cmd() { "$@" evstore-restore -d s --session s "base-$size.jsonl" "more-$size"; }
aside_start() { fresh; }
aside_run() { aside_cmd "$@" >out 2>err; }
aside_judge() {
    told_result "sealed-$size"
    judge
    judge_log
    [ ! -e s ] || [ -n "$complete" ] || find_fault 'built aside, but not whole'
    rerun aside_cmd
    [ ! -e s-building ] || find_fault 's-building is left'
    same
    projected
}

# document: the API's body, spooled
document_cmd() { "$@" evstore-restore -d s --document <"document-$size"; }
document_start() { fresh "base-$size"; }
document_run() { document_cmd "$@" >out 2>err; }
document_judge() {
    told_result "more-$size"
    judge
    judge_log
    rerun document_cmd
    same
    projected
}

# sealed: from a pipe, spooled
sealed_cmd() { "$@" evstore-restore -d s --session s --require-seal < <(cat "sealed-$size"); }
sealed_start() { fresh; }
sealed_run() { sealed_cmd "$@" >out 2>err; }
sealed_judge() {
    told_result "sealed-$size"
    judge
    judge_log
    rerun sealed_cmd
    same
    projected
}

# parts: the second of three parts of a session
part() { # N COMMAND...
    local n=$1 more=(--more)
    [ "$n" -lt 3 ] || more=()
    "${@:2}" evstore-restore -d s --session s "${more[@]}" "part$n-$size"
}
parts_start() {
    fresh
    part 1 >/dev/null 2>&1
}
parts_run() { part 2 "$@" >out 2>err; }
parts_judge() {
    ids <"part1-$size" >acks
    if grep -qsF 'waiting for more' out; then cat "part1-$size" "part2-$size" | ids >acks; fi
    judge
    rerun part 2
    rerun part 3
    judge_log
    same
    projected
}

# keep_flags: this box's own backup
keep_flags_cmd() { "$@" evstore-restore -d s --session s --keep-flags "flagged-$size"; }
keep_flags_start() { fresh "base-$size"; }
keep_flags_run() { keep_flags_cmd "$@" >out 2>err; }
keep_flags_judge() {
    local odd
    told_result "flagged-$size"
    judge
    odd=$(look_into "SELECT event_id FROM events WHERE synced <> acknowledged
        OR synced AND event_id NOT GLOB 'more_*'")
    [ -z "$odd" ] || find_fault "flags that are not the backup's: $odd"
    rerun keep_flags_cmd
    same
    [ "$(sqlite3 s 'SELECT count(*) FROM events WHERE synced AND acknowledged' 2>&1)" = "$size" ] ||
        find_fault "the flags are not all the backup's"
}

project_start() { fresh "full-$size"; }
project_run() { "$@" evstore-project -d s >out 2>err; }
project_judge() {
    judge
    rerun evstore-project -d s
    projected
}

# rebuild: over rows that are wrong
rebuild_start() { fresh "wrong-$size"; }
rebuild_run() { "$@" evstore-project -d s --rebuild >out 2>err; }
rebuild_judge() {
    judge
    rerun evstore-project -d s --rebuild
    projected
}

# reduce: one of the types has a jq program
reduce_cmd() { LIFEBOAT_PROJECTORS=$work/projectors "$@" evstore-project -d s; }
reduce_start() { fresh "full-$size"; }
reduce_run() { reduce_cmd "$@" >out 2>err; }
reduce_judge() {
    judge
    rerun reduce_cmd
    projected reduced
}

# listing: reads a projection, and catches up first
listing_start() { fresh "full-$size"; }
listing_run() { "$@" evstore-project -d s --list case >out 2>err; }
listing_judge() {
    judge
    rerun evstore-project -d s
    projected
}

ack_start() { fresh "full-$size"; }
ack_run() { "$@" evstore-ack -d s <"sent-$size" >out 2>err; }
ack_judge() {
    judge
    rerun evstore-ack -d s "sent-$size"
    [ "$(sqlite3 s 'SELECT count(*) FROM events WHERE NOT (synced AND acknowledged)' 2>&1)" = 0 ] ||
        find_fault 'not all are marked'
}

# send, recv: the clock never goes back behind a reading that was printed, though the
# wall clock stands still.
tick() { LIFEBOAT_NOW=1768000600000 "$@"; }
tick_judge() { # COMMAND...
    judge
    rerun tick "$@"
    [[ $(<again) > $(<out) ]] || find_fault "$(<again) after $(<out)"
}
send_start() { fresh "full-$size"; }
send_run() { tick "$@" hlc -d s send >out 2>err; }
send_judge() { tick_judge hlc -d s send; }
recv_start() { fresh "full-$size"; }
recv_run() { tick "$@" hlc -d s recv 019bf792ffff.0007 >out 2>err; }
recv_judge() { tick_judge hlc -d s recv 019bf792ffff.0007; }

# standby: the receiving side; what its cursor speaks of must be there.
acks_of_cursor() {
    local cursor
    cursor=$(look_into 'SELECT cursor FROM sources')
    cursor=${cursor#*:}
    cursor=${cursor%%:*}
    sqlite3 hub "SELECT event_id FROM events WHERE seq <= ${cursor:-0} ORDER BY 1" >acks
}
catch_up() {
    local cursor
    cursor=$(evstore-restore -d s --cursor-of hub) || return
    evstore-export -d hub --full --seal --order seq --after "$cursor" |
        evstore-restore -q -d s --follow --source hub
}
standby_start() {
    fresh
    cp "full-$size" hub
}
standby_run() {
    "$@" evstore-restore -d s --follow --source hub --session s <"stream-$size" >out 2>err
}
standby_judge() {
    [ ! -s s ] || acks_of_cursor
    judge
    rerun catch_up
    judge_log
    same
}

# sender: the other side; its reader leaves when it has had all.
sender_start() { standby_start; }
followed() { # how many lines there are: all events, and a cursor behind each wave of 1000
    local events
    events=$(wc -l <"sent-$size")
    echo $((events + (events + 999) / 1000))
}
sender_run() {
    "$@" evstore-export -d hub --full --follow --after start 2>err |
        head -n "$(followed)" |
        evstore-restore -q -d s --follow --source hub 2>err-receiver
    local -a ended=("${PIPESTATUS[@]}")
    # A line that was cut is not taken, and said to be cut.
    [ "${ended[2]}" -eq 0 ] || [ "${ended[2]}" -eq 75 ] ||
        find_fault "receiver: status ${ended[2]}: $(tail -n 1 err-receiver)"
    [ "${ended[0]}" -ne 141 ] || return 0
    return "${ended[0]}"
}
sender_judge() { standby_judge; }

# shellcheck source=tests/campaign-queue.bash
source "$top/tests/campaign-queue.bash"
# shellcheck source=tests/campaign-mirror.bash
source "$top/tests/campaign-mirror.bash"
# shellcheck source=tests/campaign-cache.bash
source "$top/tests/campaign-cache.bash"
# shellcheck source=tests/campaign-mirrorsend.bash
source "$top/tests/campaign-mirrorsend.bash"
# shellcheck source=tests/campaign-http.bash
source "$top/tests/campaign-http.bash"
# shellcheck source=tests/campaign-maintain.bash
source "$top/tests/campaign-maintain.bash"

# --- material ------------------------------------------------------------------------

# All events in two waves, a cursor behind each, as under --follow.
stream() { # SIZE
    local n=$(($1 / 2)) cursor='s/.*"to":"\([^"]*\)".*/{"lifeboat_cursor":"\1"}/'
    evstore-export -d "full-$1" --full --limit "$n" --seal | sed "\$$cursor"
    evstore-export -d "full-$1" --full --order seq --seal | tail -n +$((n + 1)) | sed "\$$cursor"
}

document() { # SIZE
    printf '{"restore_session_id":"s","source_device_id":"ipad-1","events":[\n'
    paste -sd , "more-$1"
    printf '],"events_count":%d}\n' "$1"
}

# A line that is none, and an event whose id is taken, among known ones.
bad_lines() { # SIZE
    head -n 1 "more-$1"
    echo '{"event_id":"more_0000002","payload":'
    sed -n '3s/"n":3/"n":4/p' "more-$1"
    tail -n 1 "more-$1"
}

project_all() { # STORE OUT
    evstore-project -q -d "$1" && sqlite3 "$1" "$rows" >"$2"
}

stores() { # SIZE: full and flagged, and what they fold into
    evstore-append -q -d "full-$1" "base-$1.jsonl" "more-$1" || return
    evstore-export -d "full-$1" --digest >"digest-$1"
    cp "full-$1" flagged && ids <"more-$1" | evstore-ack -q -d flagged || return
    evstore-export -d flagged --full >"flagged-$1"
    cp "full-$1" reduced
    LIFEBOAT_PROJECTORS=$work/projectors project_all reduced "reduced-$1" || return
    cp "full-$1" "wrong-$1"
    project_all "wrong-$1" "projected-$1" || return
    sqlite3 "wrong-$1" "UPDATE projections SET state_json = '{}', version = 1;
        INSERT INTO projections SELECT entity_type, 'stray', state_json, 1, 0, first_event_id,
            last_event_id, hlc, 0 FROM projections LIMIT 1"
}

material() { # SIZE
    mkevents "$(($1 / 5 + 1))" base >"base-$1.jsonl"
    mkevents "$1" more >"more-$1"
    sed -E 's/"(ts_device|causation_id)":[^,]*,//g' "more-$1" >"local-$1"
    cat "base-$1.jsonl" "more-$1" >all
    ids <all >"sent-$1"
    split -n l/3 --numeric-suffixes=1 -a 1 --additional-suffix="-$1" all part
    evstore-append -q -d "base-$1" "base-$1.jsonl" && stores "$1" || return
    document "$1" >"document-$1"
    bad_lines "$1" >"bad-$1"
    sed -n '2,3p' "bad-$1" >"rejects-$1"
    evstore-export -d "full-$1" --full --seal >"sealed-$1"
    stream "$1" >"stream-$1"
    material_of_queue "$1" || return
    cache_material "$1" || return
    mirror_material "$1" || return
    maintain_material "$1" || return
    rm all flagged reduced
    [ -z "$(compgen -G '*-wal')" ]
}

prepare() { # SIZE...
    local n
    mkdir projectors
    # shellcheck disable=SC2016 # a variable of jq's
    echo '(. // {n: 0}) | .n += 1 | .last = $event.event_id' >projectors/chart.jq
    echo '{"what":"count","due":"noon"}' >payload
    for n; do
        material "$n" >log 2>&1 || {
            echo "not ok 1 - material of $n events"
            sed 's/^/# /' log
            exit 1
        }
    done
}
