#!/usr/bin/env bash
# crash.sh [SEED [SCENARIO...]]: ends the commands with kill -9, at random instants and just
# before each call that changes a file, and looks at what is left. Whatever the
# instant: the store is sound; what was acknowledged is in it; nothing is in it
# that was not sent; a rerun converges to the same digest. It shows what the death
# of a process does, not what the loss of power does. Prints TAP.
#
# CRASH_ROUNDS  kills at random instants (60; 18 with SMALL set)
# LIFEBOAT_BIN  the commands (build/bin)
set -uo pipefail
rounds=${CRASH_ROUNDS:-$([ -n "${SMALL-}" ] && echo 18 || echo 60)}
seed=${1:-$((($(date +%s) ^ $$) % 32768))}
RANDOM=$seed

# shellcheck source=tests/campaign.bash
source "$(dirname "$0")/campaign.bash"

# --- at random instants -------------------------------------------------------------

# How long a run takes that nobody kills, in microseconds.
took() {
    local begun=${EPOCHREALTIME/./}
    "$@"
    echo $((${EPOCHREALTIME/./} - begun))
}

at_random() { # SCENARIO ROUNDS
    local name=$1 whole killed=0 i us
    "${name}_start"
    at="$name, not killed"
    whole=$(took "${name}_run")
    "${name}_judge"
    for ((i = 0; i < $2; i++)); do
        us=$(((RANDOM * 32768 + RANDOM) % (whole + whole / 10) + 1))
        at="$name, killed after $us us"
        "${name}_start"
        "${name}_run" timeout --foreground -s KILL "$(printf '%d.%06d' $((us / 1000000)) $((us % 1000000)))" 2>/dev/null
        [ $? -ne 137 ] || killed=$((killed + 1))
        "${name}_judge"
    done
    verdict "$name: $killed kills at random instants in $2 rounds"
}

# --- before each call that changes a file --------------------------------------------

at_each_call() { # SCENARIO [ENVIRONMENT]
    local name=$1 n=0 status=137
    while [ "$status" -eq 137 ]; do
        n=$((n + 1))
        at="$name, killed before change $n"
        "${name}_start"
        "${name}_run" env "${@:2}" KILLAT="$n" LD_PRELOAD="$killat" 2>/dev/null
        status=$?
        if [ "$n" -gt 2000 ]; then
            find_fault 'it never survives'
            break
        fi
        "${name}_judge"
    done
    [ "$status" -eq 0 ] || find_fault "status $status, and nobody killed it: $(tail -n 1 err)"
    [ "$n" -gt 3 ] || find_fault "only $n changes seen: is the shim at work?"
    verdict "$name: killed before each of its $((n - 1)) changes of a file${2:+, in a hurry}"
}

: >found
echo "# seed $seed (tests/crash.sh $seed), $rounds kills at random"
prepare
if [ $# -gt 1 ]; then shift; else set -- append local in_place aside project ack standby; fi
each=$(((rounds + $# - 1) / $#))
for name; do at_random "$name" "$each"; done
for name; do
    if [ "$name" = standby ]; then
        # Transactions as small as the limits of time can make them.
        size=150
        at_each_call standby KILLAT_HURRY=1
    else
        size=8
        at_each_call "$name"
    fi
done
conclude
