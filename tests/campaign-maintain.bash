# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # at, size and others are the caller's
# campaign-maintain: the scenario of evstore-maintain. Sourced by campaign.bash.

# A store of which much is unused.
maintain_material() { # SIZE
    cp "full-$1" "roomy-$1"
    head -c 200000 /dev/urandom | base64 | kvcache -q -d "roomy-$1" set large &&
        kvcache -q -d "roomy-$1" clear
}

# maintained: written anew, as every time it is asked for
maintained_start() {
    fresh "roomy-$size"
    rm -rf status
}
maintained_cmd() { "$@" evstore-maintain -d s --vacuum always; }
maintained_run() { maintained_cmd "$@" >out 2>err; }
maintained_judge() {
    local noted=status/maintain.json
    # Whatever happens, no event comes or goes.
    cp "sent-$size" acks
    judge
    [ ! -e "$noted" ] || [[ $(<"$noted") == '{"ts":'*'}' ]] || find_fault "noted: $(<"$noted")"
    rerun maintained_cmd
    same
    [ "$(sqlite3 s 'PRAGMA freelist_count' 2>&1)" = 0 ] || find_fault 'the rerun leaves room unused'
    [ ! -s s-wal ] || find_fault 'the rerun leaves a -wal'
    cmp -s again "$noted" || find_fault "the rerun noted: $(cat "$noted")"
}
