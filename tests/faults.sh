#!/usr/bin/env bash
# faults.sh [SCENARIO...]: lets each call that changes a file fail, one after the
# other, with EIO and with ENOSPC, once and from then on, and looks at what is
# left: the store is sound; what was acknowledged is in it; nothing is in it that
# was not sent; the status is one of the table; the message names the cause; a
# rerun without faults converges to the same digest. Prints TAP.
#
# SMALL          ENOSPC from then on and EIO once only
# LIFEBOAT_BIN   the commands (build/bin)
set -uo pipefail

# shellcheck source=tests/campaign.bash
source "$(dirname "$0")/campaign.bash"

# What a failed run may say: the cause in the system's or in SQLite's words.
cause='Input/output error|disk I/O error|No space left on device|disk is full|unable to'

judge_failure() { # STATUS ON
    case $1 in
    0 | 1 | 73 | 74 | 75) ;;
    *) find_fault "status $1: $(tail -n 1 err)" ;;
    esac
    # Where all later calls fail, the message fails as well.
    [ "$1" -eq 0 ] || [ -n "$2" ] || [ ! -s err ] || grep -qE "$cause" err ||
        find_fault "the message names no cause: $(tail -n 1 err)"
}

at_each_call() { # SCENARIO ERRNO [ON]
    local name=$1 n=0 status
    while [ "$n" -lt 2000 ]; do
        n=$((n + 1))
        at="$name, errno $2 ${3:+from }at change $n"
        rm -f mark
        "${name}_start"
        "${name}_run" env KILLAT="$n" KILLAT_ERRNO="$2" ${3:+KILLAT_ON=1} KILLAT_MARK="$PWD/mark" \
            LD_PRELOAD="$killat" 2>/dev/null
        status=$?
        [ -e mark ] || break
        judge_failure "$status" "${3-}"
        "${name}_judge"
    done
    [ "$n" -lt 2000 ] || find_fault 'it never gets through'
    [ "$status" -eq 0 ] || find_fault "status $status, and nothing failed: $(tail -n 1 err)"
    [ "$n" -gt 3 ] || find_fault "only $n changes seen: is the shim at work?"
    verdict "$name: errno $2 at each of its $((n - 1)) changes of a file${3:+, and from then on}"
}

: >found
prepare
[ $# -gt 0 ] || set -- append local in_place aside project ack
# shellcheck disable=SC2034 # the scenarios use it
size=8
for name; do
    at_each_call "$name" 5
    at_each_call "$name" 28 on
    [ -n "${SMALL-}" ] || {
        at_each_call "$name" 5 on
        at_each_call "$name" 28
    }
done
conclude
