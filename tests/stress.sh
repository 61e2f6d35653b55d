#!/usr/bin/env bash
# stress.sh: eight writers at full speed on one store, for STRESS_SECONDS in all
# (30; 8 with SMALL set): first alone, then in company of a follower, two exporters
# and a restore, with checkpoints a hundred times as often as usual; with an event
# at a time, then with all that their pipes hold. Afterwards nothing is lost or there
# twice, the store is sound, and whoever read along has seen nothing else. Prints
# TAP; the figures, as JSON in comments, are reported, not judged, but for one: alone
# and with an event at a time all writers get on alike, which is the gate's doing.
#
# STRESS_DIR    where the store is (/var/tmp): a disk, for the figures to mean something
# LIFEBOAT_BIN  the commands (build/bin)
set -uo pipefail
cd "$(dirname "$0")/.." || exit
top=$PWD
bin=${LIFEBOAT_BIN:-$top/build/bin}
build=${LIFEBOAT_BUILD:-$(dirname "$bin")}
seconds=${STRESS_SECONDS:-$([ -n "${SMALL-}" ] && echo 8 || echo 30)}
for v in $(compgen -e LIFEBOAT_); do unset "$v"; done
export PATH=$bin:$build/tools:$PATH LC_ALL=C.UTF-8 LIFEBOAT_ENV=/dev/null
shim=$build/tools/checkpoint.so
"${CC:-cc}" -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -fPIC -shared -o "$shim" \
    tests/tools-preload/checkpoint.c -ldl -lsqlite3 || exit 70

work=$(mktemp -d "${STRESS_DIR:-/var/tmp}/lifeboat-stress.XXXXXX") || exit 73
company=()
leave() {
    [ ${#company[@]} -eq 0 ] || kill "${company[@]}" 2>/dev/null
    wait
    rm -rf "$work"
}
trap leave EXIT
cd "$work" || exit
BATS_TEST_DIRNAME=$top/tests
# shellcheck source=tests/helper.bash
source "$top/tests/helper.bash"

# shellcheck source=tests/verdict.bash
source "$top/tests/verdict.bash"

parts=5
ids() { grep -o '^{"event_id":"[^"]*"' | cut -d '"' -f 4; }

# --- the company ---------------------------------------------------------------------
# Each goes on until the file "over" is there, and ends its round.

# What was exported in commit order begins with all of the last time.
export_by_seq() {
    local rounds=0
    : >seq.last
    until [ -e over ]; do
        evstore-export -d s --order seq --seal >seq.now || finding "export: status $?"
        sealed seq.now
        head -n -1 seq.now >seq.events
        cmp -s -n "$(stat -c %s seq.last)" seq.last seq.events ||
            finding 'an export in commit order does not go on from the last one'
        mv seq.events seq.last
        rounds=$((rounds + 1))
    done
    echo "$rounds" >seq.rounds
}

# What was exported by clocks is all up to some commit: seq has no gaps.
export_by_hlc() {
    local rounds=0
    until [ -e over ]; do
        evstore-export -d s --full --seal >hlc.now || finding "export: status $?"
        sealed hlc.now
        head -n -1 hlc.now | grep -o '"seq":[0-9]*}$' | tr -dc '0-9\n' | sort -n >hlc.seqs
        cmp -s hlc.seqs <(seq "$(wc -l <hlc.seqs)") || finding 'an export by clocks has gaps'
        rounds=$((rounds + 1))
    done
    echo "$rounds" >hlc.rounds
}

sealed() { # FILE
    local sum
    sum=$(head -n -1 "$1" | sha256sum)
    tail -n 1 "$1" | grep -qF "\"sha256\":\"${sum%% *}\"" || finding "the seal of $1 does not fit"
}

# Parts, over and over: new at first, then already there.
restores() {
    local rounds=0
    until [ -e over ] && [ "$rounds" -ge "$parts" ]; do
        evstore-restore -q -d s --session "part-$rounds" "part.$((rounds % parts))" >restore.out ||
            finding "restore: status $?"
        rounds=$((rounds + 1))
    done
    echo "$rounds" >restore.rounds
}

# --- a run ---------------------------------------------------------------------------

begin() {
    rm -f s s-* over acks
    mkevents 2000 part >material
    split -n "r/$parts" -d -a 1 material part.
    # The first event, so that all find a store.
    evstore-append -q -d s --id first --type T --entity stress/0 --actor A 0
}

write() { # COUNT SECONDS one|many
    writers s "$1" "$2" "$3" w 3>figures >acks 2>said || finding "writers: $(head -n 3 said)"
    cat figures
}

judge() { # MATERIAL: what else must be there
    local sound
    sound=$(sqlite3 s 'PRAGMA integrity_check' 2>&1)
    [ "$sound" = ok ] || finding "integrity_check: $(head -n 2 <<<"$sound")"
    evstore-export -d s --order seq >all
    ids <all | sort >there
    { echo first; cat acks; ids <"$1"; } | sort >wanted
    cmp -s wanted there || {
        finding "lost: $(comm -23 wanted there | head -n 3)"
        finding "not acknowledged, or twice: $(comm -13 wanted there | head -n 3)"
    }
    evstore-verify -q -d s >verified || finding "verify: $(<verified)"
}

# The follower has it all, once, in the order of the commits, and a store made of
# that is the same store.
judge_follower() {
    followed() { [ "$(grep -c '^{"event_id"' followed.jsonl)" -ge "$(wc -l <all)" ]; }
    wait_until 30 followed 2>/dev/null || finding 'the follower does not have all'
    kill "$follower"
    wait "$follower"
    grep -v '^{"lifeboat_cursor"' followed.jsonl | cmp -s - all || finding 'the follower has it otherwise'
    rm -f elsewhere elsewhere-*
    evstore-restore -q -d elsewhere followed.jsonl >/dev/null || finding "elsewhere: status $?"
    [ "$(evstore-export -d elsewhere --digest)" = "$(evstore-export -d s --digest)" ] ||
        finding 'another digest elsewhere'
}

alone() { # SECONDS one|many
    local writing spread
    begin
    writing=$(write 8 "$1" "$2")
    echo "# alone: $writing"
    judge /dev/null
    spread=${writing##*\"spread\":}
    # Some 0.05 with the gate, more than 1 without.
    if [ "$2" = one ] && awk -v s="${spread%\}}" 'BEGIN { exit s + 0 < 0.6 }'; then
        finding "some are starved: $spread"
    fi
    verdict "8 writers, $2 at a time: $(wc -l <acks) events, each there once"
}

in_company() { # SECONDS one|many
    local writing
    begin
    export LD_PRELOAD=$shim
    evstore-export -d s --follow >followed.jsonl &
    follower=$!
    export_by_seq &
    company=("$follower" $!)
    export_by_hlc &
    company+=($!)
    restores &
    company+=($!)
    writing=$(write 8 "$1" "$2")
    unset LD_PRELOAD
    : >over
    wait "${company[@]:1}"
    echo "# in company: $writing"
    judge material
    judge_follower
    company=()
    cmp -s -n "$(stat -c %s seq.last)" seq.last all || finding 'an export has what the store has not'
    [ "$(($(<seq.rounds) * $(<hlc.rounds)))" -gt 0 ] || finding 'nothing was exported meanwhile'
    verdict "8 writers, $2 at a time, in company: $(wc -l <acks) events, a follower, $(<seq.rounds) and $(<hlc.rounds) exports, $(<restore.rounds) restores"
}

# Is the shim at work? Else the log grows to a thousand pages before it is emptied.
shimmed() {
    local size
    begin
    # A reader, so that the last writer does not tidy the log away.
    evstore-export -d s --follow >/dev/null &
    company=($!)
    LD_PRELOAD=$shim write 1 .4 one >/dev/null
    size=$(stat -c %s s-wal)
    kill "${company[0]}"
    wait "${company[0]}"
    company=()
    [ "$(wc -l <acks)" -ge 20 ] || finding "only $(wc -l <acks) events"
    # A thousand pages are 4 MB; a reader at work may keep some more than ten.
    [ "$size" -lt 1500000 ] || finding "the log has $size bytes"
    verdict 'checkpoints come every 10 pages'
}

echo "# on $(stat -f -c %T .), $(nproc) cores, load $(cut -d ' ' -f 1 /proc/loadavg)"
share() { awk -v s="$seconds" -v n="$1" 'BEGIN { print s * n }'; }
shimmed
alone "$(share .2)" one
alone "$(share .1)" many
in_company "$(share .4)" one
in_company "$(share .3)" many
conclude
