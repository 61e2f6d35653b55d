#!/usr/bin/env bash
# crash.sh [SEED [SCENARIO...]]: ends the commands with kill -9: at random instants,
# just before each call that changes a file, and in the middle of each write; one
# process, one of several at work on a store, either side of a live standby. Then it
# looks at what is left. Whatever the instant: the store is sound; what was
# acknowledged is in it; nothing is in it that was not sent; a rerun converges to the
# same digest and to the projections of a store that was never hurt. Besides, a
# reader is stopped at each of its locks while another makes the store. It shows what
# the death of a process does, not what the loss of power does. Prints TAP.
#
# CRASH_ROUNDS  kills at random instants (1000; 80 with SMALL set). Only those count
#               that came before the end of the run.
# SMALL         a few of the calls, not each
# LIFEBOAT_BIN  the commands (build/bin)
set -uo pipefail
rounds=${CRASH_ROUNDS:-$([ -n "${SMALL-}" ] && echo 80 || echo 1000)}
seed=${1:-$((($(date +%s) ^ $$) % 32768))}
RANDOM=$seed

# shellcheck source=tests/campaign.bash
source "$(dirname "$0")/campaign.bash"

landed=0 # kills in all

killed() { # STATUS
    [ "$1" -eq 137 ] && landed=$((landed + 1))
}

# $any: a number from 1 to N. (A subshell would always get the same one.)
any_of() { any=$(((RANDOM * 32768 + RANDOM) % $1 + 1)); }

# $after: at most so many microseconds, as timeout(1) wants them
some_time() {
    any_of "$1"
    printf -v after '%d.%06d' $((any / 1000000)) $((any % 1000000))
}

# How long a run takes that nobody kills, in microseconds.
took() {
    local begun=${EPOCHREALTIME/./}
    "$@" || find_fault "status $?, and nobody killed it: $(tail -n 1 err)"
    echo $((${EPOCHREALTIME/./} - begun))
}

# --- at random instants -------------------------------------------------------------

at_random() { # SCENARIO KILLS
    local name=$1 whole hits=0 tries=0
    "${name}_start"
    at="$name, not killed"
    whole=$(took "${name}_run")
    "${name}_judge"
    while [ "$hits" -lt "$2" ] && [ "$tries" -lt $((20 * $2)) ]; do
        tries=$((tries + 1))
        some_time "$whole"
        at="$name, killed after $after s"
        "${name}_start"
        "${name}_run" timeout --foreground -s KILL "$after" 2>/dev/null
        killed $? || continue
        hits=$((hits + 1))
        "${name}_judge"
    done
    [ "$hits" -eq "$2" ] || find_fault "only $hits of $tries runs could be killed"
    verdict "$name: $hits kills at random instants"
}

# --- at each call ---------------------------------------------------------------------

# Rising until the run survives; with SMALL set about SAMPLE of them, evenly.
at_each_call() { # SCENARIO CALLS WHAT SAMPLE [HURRY]
    local name=$1 n=1 step=1 hits=0
    at="$name, counting"
    hurry=${5-}
    "${name}_start"
    count_calls "$2" "${name}_run"
    if [ "$status" -ne 0 ] || [ "$total" -eq 0 ]; then
        find_fault "status $status, $total calls seen: $(tail -n 1 err)"
    fi
    if [ -n "${SMALL-}" ]; then
        step=$(((total + $4 - 1) / $4))
        any_of "$step"
        n=$any
    fi
    while [ "$n" -le $((total + step + 100)) ]; do
        at="$name, $3 at call $n"
        "${name}_start"
        "${name}_run" with_mishap "$2:$n:$3" 2>/dev/null
        status=$?
        "${name}_judge"
        killed "$status" || break
        hits=$((hits + 1))
        n=$((n + step))
    done
    [ "$status" -eq 0 ] || find_fault "status $status, and nobody killed it: $(tail -n 1 err)"
    [ "$hits" -gt 0 ] || find_fault 'none was killed'
    verdict "$name: $3 at $hits of $total calls${5:+, in a hurry}"
}

# --- one of several -------------------------------------------------------------------
# Two append, one restores, one projects, all into one store at the same time; one of
# them is killed, and the others must not mind.

members=4
crowd_member() { # WHICH CMD...
    case $1 in
    0) "${@:2}" evstore-append -d s "part2-$size" ;;
    1) "${@:2}" evstore-append -d s "part3-$size" ;;
    2) "${@:2}" evstore-restore -d s --session s "more-$size" ;;
    3) "${@:2}" evstore-project -d s ;;
    esac
}

crowd_run() { # VICTIM CMD...
    local pids=() i prefix
    fresh "base-$size"
    for ((i = 0; i < members; i++)); do
        prefix=("${@:2}")
        [ "$i" = "$1" ] || prefix=()
        crowd_member "$i" "${prefix[@]}" >"out-$i" 2>"err-$i" &
        pids+=($!)
    done
    ended=()
    for i in "${pids[@]}"; do
        wait "$i"
        ended+=($?)
    done
}

crowd_judge() { # VICTIM
    local i
    for ((i = 0; i < members; i++)); do
        [ "$i" = "$1" ] || [ "${ended[i]}" -eq 0 ] ||
            find_fault "number $i: status ${ended[i]}: $(tail -n 1 "err-$i")"
    done
    {
        whole_lines out-0
        whole_lines out-1
        ! grep -qF '"status":"COMPLETED"' out-2 || cat "more-$size"
    } | ids | uniq >acks
    judge
    for ((i = 0; i < members; i++)); do rerun crowd_member "$i"; done
    judge_log
    same
    projected
}

crowd() { # KILLS
    local hits=0 tries=0 whole victim
    at='crowd, nobody killed'
    whole=$(took crowd_run none)
    crowd_run none
    crowd_judge none
    while [ "$hits" -lt "$1" ] && [ "$tries" -lt $((20 * $1)) ]; do
        victim=$((tries++ % members))
        some_time "$whole"
        at="crowd, number $victim killed after $after s"
        crowd_run "$victim" timeout --foreground -s KILL "$after"
        killed "${ended[victim]}" || continue
        hits=$((hits + 1))
        crowd_judge "$victim"
    done
    [ "$hits" -eq "$1" ] || find_fault "only $hits of $tries runs could be killed"
    verdict "crowd: $hits kills of one of $members at random instants"
}

# --- a live standby -------------------------------------------------------------------
# evstore-export --follow | evstore-restore --follow, and a writer that goes on
# appending to the source. The sender, the receiver, or both are killed; who is left
# has to end by himself. Started again, they go on from the stored cursor.

lines_a_round=40 rounds_a_pair=25

pair_begin() { # a new source, its writer, and a standby to come
    local n=$((lines_a_round * rounds_a_pair))
    [ -e lines ] || mkevents "$n" pair >lines
    fresh
    rm -f feed answers
    mkfifo feed answers
    cp "base-$size" hub
    fed=0
    evstore-append -d hub <feed >answers 2>err-writer &
    writer=$!
    exec {feed}>feed {answers}<answers
}

pair_end() {
    exec {feed}>&- {answers}<&-
    wait "$writer" || find_fault "writer: status $?: $(tail -n 1 err-writer)"
}

# The next lines, each when the one before is acknowledged.
feed_some() {
    local line
    mapfile -s "$fed" -n "$lines_a_round" -t some <lines
    fed=$((fed + lines_a_round))
    { cat "sent-$size-base"; head -n "$fed" lines | ids; } >"sent-$size"
    for line in "${some[@]}"; do
        printf '%s\n' "$line" >&"$feed"
        read -r -t 10 -u "$answers" || find_fault 'the writer does not answer'
    done &
    feeder=$!
}

pair_start() {
    local both in out cursor
    cursor=$(evstore-restore -d s --cursor-of hub) || find_fault "cursor: $cursor"
    rm -f between
    mkfifo between
    # shellcheck disable=SC2094 # opened both ways, so that neither waits for the other
    exec {both}<>between {in}<between {out}>between {both}>&-
    LD_PRELOAD=$mishap evstore-restore -q -d s --follow --source hub \
        <&"$in" 2>err-receiver {in}<&- {out}>&- {feed}>&- {answers}<&- &
    receiver=$!
    LD_PRELOAD=$mishap evstore-export -d hub --full --follow --after "$cursor" \
        >&"$out" 2>err-sender {in}<&- {out}>&- {feed}>&- {answers}<&- &
    sender=$!
    exec {in}<&- {out}>&-
}

# pair_ended SENDER RECEIVER: their statuses, as patterns
pair_ended() {
    local status
    wait "$sender"
    status=$?
    [[ $status =~ ^($1)$ ]] || find_fault "sender: status $status: $(tail -n 1 err-sender)"
    wait "$receiver"
    status=$?
    [[ $status =~ ^($2)$ ]] || find_fault "receiver: status $status: $(tail -n 1 err-receiver)"
}

pair_kill() { # VICTIM
    case $1 in
    sender)
        kill -9 "$sender"
        pair_ended 137 '0|75'
        ;;
    receiver)
        kill -9 "$receiver"
        pair_ended 141 137
        ;;
    both)
        kill -9 "$sender" "$receiver"
        pair_ended 137 137
        landed=$((landed + 1))
        ;;
    esac 2>/dev/null
    landed=$((landed + 1))
}

newest_is_here() {
    local cursor
    cursor=$(evstore-restore -d s --cursor-of hub)
    cursor=${cursor#*:}
    [ "${cursor%%:*}" = "$newest" ]
}

# By themselves, to the end of what the writer has appended.
pair_goes_on() {
    pair_start
    wait "$feeder"
    newest=$(sqlite3 hub 'SELECT max(seq) FROM events')
    wait_until 10 newest_is_here 2>/dev/null || find_fault "they do not get to event $newest"
    kill "$sender"
    pair_ended 143 0
    [ "$(evstore-export -d s --digest)" = "$(evstore-export -d hub --digest)" ] ||
        find_fault 'they differ when all is received'
}

pair() { # KILLS
    local victims=(sender receiver both) i
    size=pair
    cp base-8 base-pair
    ids <base-8.jsonl >sent-pair-base
    nap
    for ((i = 0; i < $1; i++)); do
        [ $((i % rounds_a_pair)) -ne 0 ] || pair_begin
        some_time 80000
        at="pair, ${victims[i % 3]} killed after $after s, event $fed"
        feed_some
        pair_start
        read -rt "$after" -u "$nap_fd"
        pair_kill "${victims[i % 3]}"
        [ ! -s s ] || acks_of_cursor
        judge
        pair_goes_on
        if [ $(((i + 1) % rounds_a_pair)) -eq 0 ] || [ $((i + 1)) -eq "$1" ]; then pair_end; fi
    done
    verdict "pair: $1 kills of sender, receiver or both at random instants"
}

# --- onlookers ------------------------------------------------------------------------
# Nobody dies here: a reader is stopped before each of its locks while another makes the
# store out of an empty file. It sees none or all of it.

onlooker() {
    local n=0 made=0 reader status
    size=8
    until [ "$n" -gt 200 ]; do
        n=$((n + 1))
        at="onlooker, stopped at lock $n"
        fresh
        : >s
        : >mark
        MISHAP=lock:$n:stop MISHAP_MARK=$work/mark LD_PRELOAD=$mishap \
            evstore-restore -d s --cursor-of hub >out 2>err &
        reader=$!
        wait_until 10 stopped_or_gone "$reader" || find_fault 'it neither stops nor ends'
        happened || break
        # Where the reader holds a lock, nobody can.
        LIFEBOAT_WAIT=0 evstore-append -q -d s base-8.jsonl 2>again && made=$((made + 1))
        kill -CONT "$reader"
        wait "$reader"
        status=$?
        [ "$status $(<out)" = '0 start' ] || find_fault "status $status: $(<err)"
    done 2>/dev/null
    wait "$reader"
    [ "$made" -gt 0 ] || find_fault 'the store was never made meanwhile'
    verdict "onlooker: a store made $made times, at $((n - 1)) instants of a reader"
}

# ----------------------------------------------------------------------------------------

random=(append create load local single in_place aside document sealed parts keep_flags
    project rebuild reduce ack send recv standby
    enqueue put_first dequeue complete give_up cached cleared once noted posted posted_once posted_back
    mirrored maintained)
several=(crowd pair)
each=("${random[@]}" sender work flush)
onlookers=(onlooker)
if [ $# -gt 1 ]; then
    random=() several=() each=() onlookers=()
    for name in "${@:2}"; do
        case $name in
        crowd | pair) several+=("$name") ;;
        onlooker) onlookers=(onlooker) ;;
        sender | work | flush) each+=("$name") ;;
        *) random+=("$name") each+=("$name") ;;
        esac
    done
fi

echo "# seed $seed (tests/crash.sh $seed), $rounds kills at random instants"
prepare 8 150 2000
ways=$((${#random[@]} + ${#several[@]})) n=0
for name in "${random[@]}" "${several[@]}"; do
    n=$((n + 1))
    share=$((rounds * n / ways - rounds * (n - 1) / ways))
    size=2000
    case $name in
    crowd | pair) "$name" "$share" ;;
    *) at_random "$name" "$share" ;;
    esac
done
for name in "${each[@]}"; do
    case $name in
    # Transactions as small as the limits of time can make them.
    standby) size=150 at_each_call standby change kill 8 hurry ;;
    sender) size=2000 at_each_call sender change kill 6 ;;
    *) size=8 at_each_call "$name" change kill 8 ;;
    esac
done
for name in "${each[@]}"; do
    size=8
    [ "$name" != sender ] || size=2000
    at_each_call "$name" write tear 4
done
for name in "${onlookers[@]}"; do "$name"; done
echo "# $landed kills landed"
conclude
