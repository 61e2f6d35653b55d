#!/usr/bin/env bats
# evstore-restore: what survived, into a store, any number of times, in any order.
# RESTORE_DOCUMENT_GB=1 makes the large document 1 GB instead of 60 MB.
# valgrind: WK-0|members in any order|own counters|conflict is kept|within 10 minutes
# shellcheck disable=SC2002,SC2030,SC2031 # pipes are wanted; each test is its own shell
load helper

setup() {
    private_store
    # "CMD | restore" sets $status and $out here, not in a subshell.
    shopt -s lastpipe
}

teardown() {
    local fd
    for fd in "${feed_fd-}" "${rej_fd-}" "${gate_fd-}"; do
        [ -z "$fd" ] || eval "exec $fd>&-"
    done
    [ -z "${mounted-}" ] || umount -l "$mounted"
    stop_background
}

# restore ARG...: run_split; and whatever comes of it, the sums hold in the
# result and in each row of the log.
restore() {
    run_split evstore-restore "$@"
    sums_hold "$OUT" || return
    [ ! -s "$LIFEBOAT_DB" ] || { evstore-restore --list >.log && sums_hold .log; }
}

sums_hold() {
    jq -es 'all(.[]; .events_received ==
        .events_inserted + .events_already_present + .events_rejected
        and .conflicts <= .events_rejected)' "$1" >.sums || show_run "the sums do not hold in $1"
}

# is FILTER: true of the JSON on stdin. Not jq -e, to which nothing is as good.
is() {
    local json
    json=$(cat)
    [ "$(jq "$1" <<<"$json")" = true ] || {
        printf 'wanted: %s\nin: %s\n' "$1" "$json" >&2
        return 1
    }
}

# has FILTER: true of the result of the last run.
has() {
    is "$1" <"$OUT" || show_run 'in this run'
}

assert_err() {
    [ "$errout" = "$1" ] || show_run "wanted on stderr, and nothing else: $1"
}

# row SESSION FILTER: true of the session's row in the log.
row() {
    evstore-restore --status "$1" | is "$2"
}

row_is() {
    row "$1" ".status == \"$2\""
}

digest() {
    evstore-export -d "${1:-$LIFEBOAT_DB}" --digest
}

# digest_of FILE...: that of a store filled with nothing but these.
digest_of() {
    rm -f .of*
    evstore-restore -q -d .of "$@" 2>.of.err || :
    digest .of
}

# has_events N: so many are in the store by now.
has_events() {
    [ -e "$LIFEBOAT_DB" ] && [ "$(evstore-export | wc -l)" -eq "$1" ]
}

no_store() {
    local f
    for f in "$LIFEBOAT_DB"*; do
        case $f in *-gate | *-restore | *-source-* | *\*) ;; *)
            echo "there is a $f" >&2
            return 1
            ;;
        esac
    done
}

# refused ARG...: 65, the reason given, and no store; cheap enough for loops.
refused() {
    status=0
    evstore-restore "$@" >"$OUT" 2>"$ERR" || status=$?
    [ "$status" -eq 65 ] && [[ $(<"$OUT") == '{"status":"FAILED",'* ]] && [ -s "$ERR" ] && no_store
}

# feed NAME ARG...: a restore in the background that reads what is written to
# $feed_fd, line by line.
feed() {
    local name=$1
    shift
    mkfifo "$name.in"
    background "$name" evstore-restore "$@" "$name.in"
    exec {feed_fd}>"$name.in"
}

# stuck NAME ARG...: a restore in the background, $restorer, that stops in the
# middle of file "paused", which has a line for --rejects that no pipe can take;
# unstick lets it go on.
stuck() {
    local name=$1
    shift
    mkfifo rej
    exec {rej_fd}<>rej
    mkevents 100 >ev
    { head -n 50 ev && head -c 1000000 /dev/zero | tr '\0' x && echo && tail -n 50 ev; } >paused
    background "$name" evstore-restore --rejects rej "$@" paused
    restorer=$pid
    wait_until 10 test -e "$LIFEBOAT_DB-building"
}

unstick() {
    background drain cat "/dev/fd/$rej_fd"
}

# ended PID: its status in $status
ended() {
    status=0
    wait "$1" || status=$?
}

hold_gate() {
    exec {gate_fd}>>"$LIFEBOAT_DB-gate"
    flock "$gate_fd"
}

# /proc/locks leaves out who waits for a process that is gone in a namespace of
# processes; the kernel's function for it shows there as well.
waits_at_gate() {
    grep -qE -- "-> FLOCK .* $1 " /proc/locks || grep -q 'lock_inode_wait' "/proc/$1/wchan"
}

event() { # ID PAYLOAD [MORE]
    printf '{"event_id":"%s","entity_type":"case","entity_id":"E-1","actor_id":"u","ts_device":1768000000000,"event_type":"T","payload":%s%s}\n' \
        "$1" "$2" "${3-}"
}

small_disk() { # SIZE
    [ "$(id -u)" -eq 0 ] || skip "mounting a small file system wants root"
    mkdir disk
    mount -t tmpfs -o "size=$1" none disk 2>/dev/null || skip "no mounting here"
    mounted=$PWD/disk
    export LIFEBOAT_DB=$PWD/disk/lifeboat.db
}

whole() {
    [ "$(sqlite3 "$LIFEBOAT_DB" 'PRAGMA integrity_check')" = ok ]
}

# --- the document's own tests ---------------------------------------------

@test "WK-01: an empty store exports events_count 0" {
    evstore-append </dev/null
    run_split evstore-export --document
    assert_status 0
    assert_err ''
    has '.events_count == 0 and .events == []'
}

@test "WK-02: a store with events exports all of them, whole" {
    mkevents 20 >ev
    restore -q ev
    assert_status 0
    run_split evstore-export --document
    assert_status 0
    has '.events_count == 20 and (.events | length) == 20'
    jq -S 'del(.hlc)' ev >want
    jq -S '.events[] | del(.hlc, .ts_server, .synced, .acknowledged, .created_at, .seq)' "$OUT" >got
    diff <(jq -cS . want | sort) <(jq -cS . got | sort)
}

@test "WK-03: restoring no events is COMPLETED with nothing inserted" {
    restore --document <<<'{"restore_session_id":"test-001","source_device_id":"test","events":[],"events_count":0}'
    assert_status 0
    assert_err 'evstore-restore: 0 received: 0 stored, 0 already present, 0 rejected (0 in conflict): COMPLETED'
    has '.status == "COMPLETED" and .events_inserted == 0 and .events_received == 0'
    has '.restore_session_id == "test-001"'
}

@test "WK-04: restoring N new events is COMPLETED with N inserted" {
    mkevents 30 >ev
    restore --session wk-04 ev
    assert_status 0
    assert_err 'evstore-restore: 30 received: 30 stored, 0 already present, 0 rejected (0 in conflict): COMPLETED'
    has '.status == "COMPLETED" and .events_inserted == 30 and .events_received == 30'
    has '.projections_rebuilt | sort == ["case","chart"]'
    has '.digest == "'"$(digest)"'"'
    row wk-04 '.status == "COMPLETED" and .events_inserted == 30 and .parts == 1'
}

@test "WK-05: restoring the same again inserts nothing" {
    mkevents 30 >ev
    restore -q ev
    before=$(digest)
    for i in 1 2 3; do
        restore ev
        assert_status 0
        assert_err 'evstore-restore: 30 received: 0 stored, 30 already present, 0 rejected (0 in conflict): COMPLETED'
        has '.events_already_present == 30 and .events_inserted == 0'
        [ "$(digest)" = "$before" ]
    done
    restore <ev
    has '.events_already_present == 30 and .events_inserted == 0'
}

@test "WK-06: the second of two restores at a time gets 75, then its turn" {
    mkevents 4 >ev
    feed first --session one
    head -n 2 ev >&"$feed_fd"
    wait_until 10 has_events 2
    restore --session two ev
    assert_status 75
    assert_err "evstore-restore: $LIFEBOAT_DB: another one is running ($LIFEBOAT_DB-restore is locked): try again later"
    assert_out ''
    row one '.status == "IN_PROGRESS" and .events_inserted == 2'
    tail -n 2 ev >&"$feed_fd"
    exec {feed_fd}>&-
    ended "$pid"
    [ "$status" -eq 0 ]
    row one '.status == "COMPLETED" and .events_inserted == 4'
    restore --session two ev
    assert_status 0
    has '.events_already_present == 4'
}

# --- union, order ----------------------------------------------------------

@test "several operands give their union" {
    mkevents 30 >ev
    head -n 20 ev >a
    tail -n 20 ev >b
    restore a b
    assert_status 0
    has '.events_received == 40 and .events_inserted == 30 and .events_already_present == 10'
    [ "$(digest)" = "$(digest_of ev)" ]
    restore -d other - <b
    restore -d other a -- b
    [ "$(digest other)" = "$(digest)" ]
}

@test "shuffled, duplicated and split parts give the same digest and the same bytes" {
    mkevents 300 >ev
    restore -q ev
    for seed in 1 2 3 4 5; do
        rm -rf parts other*
        mkdir parts
        { cat ev && head -n 100 ev; } | shuf --random-source=<(yes "$seed") |
            split -n "r/$((seed + 1))" - parts/
        for p in parts/*; do LIFEBOAT_DB=$PWD/other restore -q "$p"; done
        [ "$(digest other)" = "$(digest)" ]
        cmp <(evstore-export) <(evstore-export -d other)
    done
}

@test "a part cut off in the middle gives its whole lines, and is PARTIAL" {
    mkevents 10 >ev
    head -c -20 ev >piece
    restore piece
    assert_status 1 'piece:10: byte '
    has '.status == "PARTIAL" and .events_inserted == 9 and .events_rejected == 1'
    restore ev
    assert_status 0
    has '.events_inserted == 1'
    [ "$(digest)" = "$(digest_of ev)" ]
}

@test "an event without ts_device is refused, with the reason" {
    { mkevents 1 && echo '{"event_id":"x","entity_type":"t","entity_id":"e","actor_id":"a","event_type":"T","payload":1}' && mkevents 2; } >ev
    restore --rejects bad --session s ev
    assert_status 1
    [ "$(head -n 1 <<<"$errout")" = "evstore-restore: ev:2: byte $(head -n 1 ev | wc -c): ts_device: missing (events that happen here go to evstore-append)" ]
    has '.status == "PARTIAL" and .message == "1 events rejected (0 in conflict)"'
    has '.events_received == 4 and .events_inserted == 2 and .events_already_present == 1 and .events_rejected == 1'
    cmp bad <(sed -n 2p ev)
    row s '.status == "PARTIAL" and .events_rejected == 1 and .message == "1 events rejected (0 in conflict)"'
}

# --- conflicts ---------------------------------------------------------------

@test "a conflict is kept, counted, named with both digests, and PARTIAL" {
    event e1 '{"a":1}' | restore -q
    event e1 '{"a":2}' >other
    restore --session s other
    assert_status 1
    grep -qE '^evstore-restore: other:1: byte 0: event e1: its id is taken by other content \(stored [0-9a-f]{32}, this [0-9a-f]{32}\); kept as a conflict$' "$ERR"
    has '.status == "PARTIAL" and .conflicts == 1 and .events_rejected == 1 and .store_conflicts == 1'
    [ "$(evstore-export --conflicts | jq -c .payload)" = '{"a":2}' ]
    [ "$(evstore-export | jq -c .payload)" = '{"a":1}' ]
    row s '.conflicts == 1'
    # Known by now, and reported again; not kept twice.
    restore other
    assert_status 1
    has '.conflicts == 1 and .store_conflicts == 1'
    # What agrees is no conflict, and says how many there are.
    event e1 '{"a":1}' | restore
    assert_status 0
    has '.conflicts == 0 and .store_conflicts == 1'
}

@test "the set of variants does not depend on the order of their arrival" {
    event e1 1 >a
    event e1 2 >b
    event e1 3 >c
    n=0
    for order in 'a b c' 'a c b' 'b a c' 'b c a' 'c a b' 'c b a' 'c c b a b'; do
        db=$PWD/store$((n += 1))
        # shellcheck disable=SC2086
        LIFEBOAT_DB=$db restore -q $order
        assert_status 1
        { evstore-export -d "$db" && evstore-export -d "$db" --conflicts; } | sort >"set$n"
        [ "$(wc -l <"set$n")" -eq 3 ]
        cmp set1 "set$n"
    done
    # One of them first, the rest by way of another store's conflicts.
    evstore-export -d store1 --conflicts >others
    LIFEBOAT_DB=$PWD/last restore -q others a
    { evstore-export -d last && evstore-export -d last --conflicts; } | sort | cmp set1
}

# --- what the store makes of it --------------------------------------------

@test "ts_server merges to the earliest, in any order" {
    n=0
    for order in '500 300 400' '300 500 400' '400 500 300' '400 300 500'; do
        db=$PWD/store$((n += 1))
        for ts in $order; do
            event e1 1 ",\"ts_server\":$ts" | LIFEBOAT_DB=$db restore -q
            assert_status 0
        done
        [ "$(evstore-export -d "$db" --full | jq .ts_server)" -eq 300 ]
    done
    # One that names none has been seen here now, and takes the earlier one later.
    event e1 1 | restore -q
    [ "$(evstore-export --full | jq .ts_server)" -gt 300 ]
    event e1 1 ',"ts_server":500' | restore -q
    [ "$(evstore-export --full | jq .ts_server)" -eq 500 ]
}

@test "synced and acknowledged start at 0; --keep-flags takes them over, and only up" {
    flags() { evstore-export --full | jq -c '[.synced, .acknowledged]'; }
    event e1 1 ',"synced":1,"acknowledged":1' >both
    event e1 1 ',"synced":1,"acknowledged":0' >one
    event e1 1 >none
    restore -q both
    [ "$(flags)" = '[0,0]' ]
    restore -q both
    [ "$(flags)" = '[0,0]' ]
    restore -q --keep-flags one
    [ "$(flags)" = '[1,0]' ]
    # Another one that knows only the other: both hold.
    event e1 1 ',"synced":0,"acknowledged":1' | restore -q --keep-flags
    [ "$(flags)" = '[1,1]' ]
    restore -q --keep-flags none
    [ "$(flags)" = '[1,1]' ]
    LIFEBOAT_DB=$PWD/new
    restore -q --keep-flags both
    [ "$(flags)" = '[1,1]' ]
}

@test "--dry-run counts and changes nothing" {
    mkevents 20 >ev
    head -n 10 ev | restore -q
    event evt_0000001 '"other"' >conflict
    { cat ev && echo nonsense && tail -n 5 ev; } >all
    evstore-export --full >full
    before=$(sha256sum <"$LIFEBOAT_DB") proof=$(digest)
    restore --dry-run --session s all conflict
    assert_status 1 'all:21: byte '
    has '.status == "PARTIAL" and .dry_run and .events_received == 27 and .events_inserted == 10'
    has '.events_already_present == 15 and .events_rejected == 2 and .conflicts == 1'
    has '.digest == "'"$proof"'"'
    restore --dry-run --session s - <ev
    assert_status 0
    has '.events_inserted == 10 and .message == "Dry run: nothing was changed"'
    [ "$(sha256sum <"$LIFEBOAT_DB")" = "$before" ]
    cmp full <(evstore-export --full)
    [ "$(evstore-export --conflicts)" = '' ]
    run_split evstore-restore --status s
    assert_status 66
    [ "$(evstore-restore --list | wc -l)" -eq 1 ]
}

@test "--dry-run without a store leaves none, from a file or a pipe" {
    mkevents 20 >ev
    restore --dry-run ev
    assert_status 0
    has '.dry_run and .events_inserted == 20'
    no_store
    cat ev ev | restore --dry-run
    assert_status 0
    has '.dry_run and .events_inserted == 20 and .events_already_present == 20'
    no_store
}

# --- seals -------------------------------------------------------------------

sealed() { # FILE N: a sealed export of N events
    mkevents "$2" "${3-}" >.ev
    evstore-restore -q -d .src .ev
    evstore-export -d .src --seal >"$1"
    rm -f .src*
}

@test "--require-seal: a sealed file is restored, from a file or a pipe" {
    sealed f 20
    restore --require-seal f
    assert_status 0
    has '.events_inserted == 20 and .status == "COMPLETED"'
    cat f | restore --require-seal
    assert_status 0
    has '.events_already_present == 20'
    cat f | LIFEBOAT_DB=$PWD/new restore --require-seal - f
    assert_status 0
    has '.events_inserted == 20 and .events_already_present == 20'
}

@test "--require-seal: a file cut at any byte is refused, and nothing of it stored" {
    sealed f 2
    size=$(wc -c <f)
    for ((n = 0; n < size - 1; n += ${checker:+13} + 1)); do
        head -c "$n" f >piece
        refused --require-seal piece || show_run "cut at byte $n: wanted 65" || return
        [[ $(tail -n 1 "$ERR") == "evstore-restore: piece: "*"; nothing was restored" ]] || show_run "byte $n"
    done
    # Without its very last line feed the seal is still whole, and so are the events.
    head -c -1 f >piece
    restore --require-seal piece
    assert_status 0
    has '.events_inserted == 2'
}

@test "--require-seal: the cut is refused from a pipe too, which is spooled first" {
    sealed f 50
    for lines in 0 1 50; do
        head -n "$lines" f | restore --require-seal
        assert_status 65
        assert_err 'evstore-restore: standard input: there is no seal: the end is missing, or it was made without --seal; nothing was restored'
        has '.status == "FAILED" and .events_received == 0'
        no_store
    done
    mkevents 1 x | restore -q
    head -n 50 f | restore --require-seal --session s
    assert_status 65
    row s '.status == "FAILED" and .events_received == 0 and .attempt == 1'
    has_events 1
    head -n 50 f | restore --require-seal --session s
    row s '.status == "FAILED" and .attempt == 2'
}

@test "--require-seal: each changed byte of an event is noticed" {
    sealed f 2
    size=$(head -n 2 f | wc -c)
    for ((n = 0; n < size; n += ${checker:+20} + 3)); do
        { head -c "$n" f && tail -c +$((n + 1)) f | head -c 1 | tr '\000-\377' '\001-\377\000' &&
            tail -c +$((n + 2)) f; } >flipped
        refused --require-seal flipped || show_run "changed at byte $n: wanted 65" || return
    done
}

@test "--require-seal: two joined, one converted to CRLF, one without a seal, and lines behind it" {
    sealed a 3
    sealed b 3 other
    cat a b >joined
    sed 's/$/\r/' a >crlf
    mkevents 3 >bare
    { cat a && mkevents 1; } >behind
    sed '$s/"count":3/"count":2/' a >count
    for f in 'joined: there is more than one seal: several exports joined in one file' \
        'crlf: the lines are not those that were sealed (sha256 differs)' \
        'bare: there is no seal: the end is missing, or it was made without --seal' \
        'behind: there is something behind the seal' \
        'count: the seal speaks of 2 events, but there are 3'; do
        restore --require-seal "${f%%:*}"
        assert_status 65
        assert_err "evstore-restore: $f; nothing was restored"
        no_store
    done
}

@test "--require-seal: one bad operand of several, and nothing of any is stored" {
    sealed a 3
    sealed b 3 other
    head -n 3 b >bad
    for order in 'a bad' 'bad a' 'a b bad'; do
        # shellcheck disable=SC2086
        restore --require-seal $order
        assert_status 65 'bad: there is no seal'
        no_store
    done
    restore --require-seal a b
    assert_status 0
    has '.events_inserted == 6'
}

@test "--require-seal: a file that changes between its two readings is refused" {
    sealed f 3
    mkevents 1 here | restore -q
    hold_gate
    background r evstore-restore --require-seal --session s f
    wait_until 10 waits_at_gate "$pid"
    mkevents 1 foreign >>f
    flock -u "$gate_fd"
    ended "$pid"
    [ "$status" -eq 65 ]
    [ "$(cat r.err)" = 'evstore-restore: f: changed while it was read' ]
    row_is s FAILED
}

@test "a broken seal that was not required: the events go in, PARTIAL, and it is said" {
    sealed f 3
    sed '2s/"hr":/"hr": /' f >changed
    restore --session s changed
    assert_status 1
    assert_err "evstore-restore: changed: the lines are not those that were sealed (sha256 differs)
evstore-restore: 3 received: 3 stored, 0 already present, 0 rejected (0 in conflict): PARTIAL"
    has '.status == "PARTIAL" and .events_inserted == 3'
    has '.message == "0 events rejected (0 in conflict); a seal does not match"'
    row_is s PARTIAL
}

@test "sealed files joined are fine where no seal is required" {
    sealed a 3
    sealed b 3 other
    cat a b >joined
    restore joined
    assert_status 0
    has '.status == "COMPLETED" and .events_inserted == 6 and .events_received == 6'
}

# --- documents ---------------------------------------------------------------

doc() { restore --document "$@"; }

@test "--document: the example of the disaster-recovery document, verbatim" {
    cat >body <<'END'
{
    "restore_session_id": "019beaab-ac13-7000-8000-000000000001",
    "source_device_id": "iPad-Nurse-001",
    "source_device_name": "護理師 iPad",
    "events": [
        {
            "event_id": "019beaab-ac13-7001-8000-000000000001",
            "entity_type": "anesthesia_case",
            "entity_id": "ANES-2026-0001",
            "actor_id": "U001",
            "event_type": "VITAL_RECORDED",
            "ts_device": 1737907200000,
            "hlc": "019beaabac13.0001",
            "payload": {"sbp": 120, "dbp": 80, "hr": 72}
        }
    ],
    "events_count": 1
}
END
    doc body
    assert_status 0
    has '{status, restore_session_id, events_received, events_inserted, events_already_present,
          events_rejected, projections_rebuilt, message} == {
        "status": "COMPLETED",
        "restore_session_id": "019beaab-ac13-7000-8000-000000000001",
        "events_received": 1,
        "events_inserted": 1,
        "events_already_present": 0,
        "events_rejected": 0,
        "projections_rebuilt": ["anesthesia_case"],
        "message": "Restore completed successfully"}'
    row 019beaab-ac13-7000-8000-000000000001 '.source_device_id == "iPad-Nurse-001" and .source_device_name == "護理師 iPad"'
    [ "$(evstore-export)" = '{"event_id":"019beaab-ac13-7001-8000-000000000001","site_id":"main","entity_type":"anesthesia_case","entity_id":"ANES-2026-0001","actor_id":"U001","ts_device":1737907200000,"hlc":"019beaabac13.0001","event_type":"VITAL_RECORDED","schema_version":"1.0","payload":{"sbp":120,"dbp":80,"hr":72}}' ]
}

@test "--document: members in any order, unknown ones passed over, options win over it" {
    e=$(event e1 1)
    doc <<<"{\"events_count\":1,\"x\":{\"events\":[1,2]},\"events\":[$e],\"more\":false,\"restore_session_id\":\"s1\",\"y\":[[[\"]\"]]],\"source_device_id\":\"d\"}"
    assert_status 0
    has '.restore_session_id == "s1" and .events_inserted == 1'
    doc --session s2 --source-device D --source-name N <<<"{\"source_device_id\":\"d\",\"source_device_name\":null,\"events\":[$e],\"restore_session_id\":\"s1\",\"events_count\":1}"
    assert_status 0
    row s2 '.source_device_id == "D" and .source_device_name == "N"'
    row s1 '.attempt == 1 and .source_device_name == null'
}

@test "--document: what is wrong with the body as a whole is 65, and nothing is stored" {
    e=$(event e1 1)
    n=0
    while IFS='|' read -r body why; do
        [ -n "$body" ] || continue
        printf '%s' "$body" >body
        doc body
        assert_status 65
        assert_err "evstore-restore: body: $why"
        has '.status == "FAILED" and .events_received == 0'
        no_store
        n=$((n + 1))
    done <<END
{"events":[$e],"events_count":2}|events_count says 2, but there are 1 events
{"events":[$e,$e],"events_count":1}|events_count says 1, but there are 2 events
{"events":[$e],"events_count":-1}|events_count says -1, but there are 1 events
{"events":[$e]}|events_count: missing
{"events_count":0}|events: missing
{"events":[$e],"events_count":1.5}|byte $((${#e} + 28)): events_count: wants an integer
{"events":[$e],"events_count":1,"events_count":1}|byte $((${#e} + 45)): events_count: is there twice
{"events":[$e],"events":[],"events_count":1}|byte $((${#e} + 22)): events: is there twice
{"events":{},"events_count":0}|byte 10: events: wants an array
{"events":[$e],"events_count":1} x|byte $((${#e} + 31)): something behind the document
{"events":[$e],"events_count":1}{}|byte $((${#e} + 30)): something behind the document
{"events":[$e],"events_count":1|byte $((${#e} + 29)): the body ends too early
{"events":[$e|byte $((${#e} + 11)): the body ends too early
{"events":[$e $e],"events_count":2}|byte $((${#e} + 12)): neither a comma nor a closing bracket
{"events":[],"events_count":0,"restore_session_id":"a/b"}|restore_session_id: wants 1 to 64 of A-Z a-z 0-9 . _ -
[]|byte 0: not an object
END
    [ "$n" -eq 16 ]
    doc </dev/null
    assert_status 65
    assert_err 'evstore-restore: standard input: byte 0: the body ends too early'
}

@test "--document: a body cut at any byte is refused, and nothing of it stored" {
    e=$(event e1 '{"a":[1,{"b":"]}\""}]}')
    body="{\"events\":[$e, $e],\"events_count\":2}"
    for ((n = 0; n < ${#body}; n += ${checker:+13} + 1)); do
        printf '%s' "${body:0:n}" >piece
        refused --document piece || show_run "cut at byte $n: wanted 65" || return
    done
    printf '%s' "$body" | doc
    assert_status 0
    has '.events_received == 2 and .events_inserted == 1 and .events_already_present == 1'
}

@test "--document: a failed attempt is in the log under the body's session" {
    mkevents 1 x | restore -q
    doc <<<'{"restore_session_id":"s","events":[],"events_count":1}'
    assert_status 65
    has '.restore_session_id == "s" and .status == "FAILED"'
    row s '.status == "FAILED" and .message == "standard input: events_count says 1, but there are 0 events"'
}

@test "--document: brackets, braces and escapes within strings are not taken for the document's" {
    cat >payloads <<'END'
"]}\\"
"\"]},{\\\"["
{"]":"}","{\"":["[\\\\\"",{}]}
"\\\\\\\""
["\u005d\u007d\u0022",[[[[]]]],{"a":{"b":{"c":"}}}"}}}]
END
    n=0
    while read -r p; do event "e$((n += 1))" "$p"; done <payloads >ev
    jq -cs '{events: ., events_count: length}' ev | doc
    assert_status 0
    has '.events_inserted == 5'
    cmp <(jq -c .payload ev) <(evstore-export | jq -c .payload)
    { printf '{"events":[' && paste -sd, ev && printf '],"events_count":5}'; } | doc
    assert_status 0
    has '.events_already_present == 5'
}

@test "--document: pretty-printed, CRLF, a byte order mark: the same events" {
    mkevents 10 >ev
    restore -q ev
    jq -s '{events: ., events_count: length}' ev >pretty
    doc pretty
    assert_status 0
    has '.events_already_present == 10'
    { printf '\357\273\277' && sed 's/$/\r/' pretty; } | LIFEBOAT_DB=$PWD/new doc
    assert_status 0
    has '.events_inserted == 10'
    [ "$(digest new)" = "$(digest)" ]
}

@test "--document: a bad event among good ones is rejected alone, by its number" {
    doc --rejects bad <<<"{\"events\":[$(event e1 1),17,{\"lifeboat_end\":{}},
        {\"event_id\":1},$(event e2 2)],\"events_count\":5}"
    assert_status 1
    has '.status == "PARTIAL" and .events_received == 5 and .events_inserted == 2 and .events_rejected == 3'
    grep -qxF 'evstore-restore: standard input:3: byte 0: lifeboat_: such names are reserved' "$ERR"
    grep -q '^evstore-restore: standard input:2: byte 0: ' "$ERR"
    [ "$(cat bad)" = '17
{"lifeboat_end":{}}
{"event_id":1}' ]
}

@test "--document: what the export gives as a document can be restored" {
    mkevents 50 | restore -q
    evstore-export --document >body
    LIFEBOAT_DB=$PWD/new doc body
    assert_status 0
    has '.events_inserted == 50'
    [ "$(digest new)" = "$(digest)" ]
    doc body
    has '.events_already_present == 50'
}

@test "--document: parts with more, session and source from the body" {
    part() { jq -cs --argjson more "$1" '{restore_session_id: "s", source_device_id: "ipad", events: ., events_count: length, more: $more}'; }
    mkevents 30 >ev
    head -n 10 ev | part true | doc
    assert_status 0
    has '.status == "IN_PROGRESS" and .events_received == 10 and .message == "Part restored; waiting for more"'
    sed -n 6,20p ev | part true | doc
    has '.status == "IN_PROGRESS" and .events_received == 25 and .events_inserted == 20 and .events_already_present == 5 and .attempt == 1'
    tail -n 10 ev | part false | doc
    assert_status 0
    has '.status == "COMPLETED" and .events_received == 35 and .events_inserted == 30 and .attempt == 1'
    row s '.source_device_id == "ipad" and .parts == 3 and .status == "COMPLETED"'
}

@test "--document: a large body takes bounded memory" {
    [ -z "$checker" ] || skip "a checker takes memory of its own"
    mb=60
    [ -z "${RESTORE_DOCUMENT_GB-}" ] || mb=$((1024 * RESTORE_DOCUMENT_GB))
    awk -v n="$((mb * 1000))" 'BEGIN {
        text = sprintf("%0800d", 0)
        printf "{\"events\":["
        for (i = 1; i <= n; i++) {
            printf "%s{\"event_id\":\"e%07d\",\"entity_type\":\"t\",", (i > 1 ? "," : ""), i
            printf "\"entity_id\":\"%d\",\"actor_id\":\"a\",\"ts_device\":%.0f,", i % 100, 1768000000000 + i
            printf "\"event_type\":\"T\",\"payload\":{\"text\":\"%s\"}}", text
        }
        printf "],\"events_count\":%d}", n
    }' >body
    bounded() { (ulimit -v 200000 && exec "$@"); }
    run_split bounded evstore-restore --document body
    assert_status 0
    has ".events_inserted == $((mb * 1000)) and .status == \"COMPLETED\""
}

# --- sessions ------------------------------------------------------------------

@test "a session run again is a new attempt with its own counters" {
    mkevents 10 >ev
    restore -q --session s --source-device ipad --source-name 'Nurse 1' ev
    row s '.attempt == 1 and .events_inserted == 10 and .source_device_name == "Nurse 1"'
    restore --session s ev
    has '.attempt == 2 and .events_inserted == 0 and .events_already_present == 10'
    row s '.attempt == 2 and .events_already_present == 10 and .source_device_id == "unknown"'
    [ "$(evstore-restore --list | jq -c '[.attempt, .events_inserted]' | paste -sd' ')" = '[1,10] [2,0]' ]
}

@test "between parts the session keeps its lease: another gets 75, the same goes on" {
    mkevents 30 >ev
    head -n 10 ev | restore --session s --more --source-device ipad-1
    assert_status 0
    has '.status == "IN_PROGRESS"'
    row s '.status == "IN_PROGRESS" and .completed_at == null and .parts == 1'
    restore --session other ev
    assert_status 75
    assert_err "evstore-restore: $LIFEBOAT_DB: session s of ipad-1 is restoring in parts; its lease ends 10 minutes after its last part: try again later"
    restore ev
    assert_status 75
    has_events 10
    sed -n 11,20p ev | restore --session s --more
    assert_status 0
    has '.events_received == 20 and .events_inserted == 20 and .attempt == 1'
    restore --session s ev
    assert_status 0
    has '.status == "COMPLETED" and .events_received == 50 and .events_inserted == 30 and .events_already_present == 20 and .attempt == 1'
    row s '.status == "COMPLETED" and .parts == 3 and .completed_at != null'
    restore --session other ev
    assert_status 0
}

lease_test() { # SQL: what is set makes the lease end
    mkevents 10 >ev
    restore -q --session s --more ev
    flock "$LIFEBOAT_DB-gate" sqlite3 "$LIFEBOAT_DB" "UPDATE restore_log SET $1"
    row_is s INTERRUPTED
    restore --session other ev
    assert_status 0
    row s '.status == "INTERRUPTED" and .completed_at != null'
    restore --session s ev
    has '.attempt == 2 and .status == "COMPLETED" and .events_received == 10'
}

@test "a lease ends 10 minutes after the last sign of life" {
    lease_test 'seen_boot_ms = seen_boot_ms - 601000'
}

@test "a lease ends with a reboot" {
    lease_test "seen_boot_id = 'another'"
}

@test "a lease lives within 10 minutes, and the clock on the wall does not matter" {
    mkevents 10 >ev
    restore -q --session s --more ev
    flock "$LIFEBOAT_DB-gate" sqlite3 "$LIFEBOAT_DB" "UPDATE restore_log SET
        seen_boot_ms = seen_boot_ms - 570000, started_at = '1999-01-01 00:00:00'"
    row_is s IN_PROGRESS
    LIFEBOAT_NOW=4000000000000 restore --session other ev
    assert_status 75
}

@test "--status of an unknown session is 66; --list of a new store is empty" {
    evstore-append </dev/null
    run_split evstore-restore --status nobody
    assert_status 66
    assert_err 'evstore-restore: nobody: no such session in the restore log'
    assert_out ''
    run_split evstore-restore --list
    assert_status 0
    assert_out ''
    rm "$LIFEBOAT_DB"
    run_split evstore-restore --status nobody
    assert_status 66
    assert_err "evstore-restore: $LIFEBOAT_DB: no such store"
}

@test "who asks for the status never takes a restore's turn" {
    mkevents 1 >ev
    restore -q ev
    rm "$LIFEBOAT_DB-restore"
    evstore-restore --list
    [ ! -e "$LIFEBOAT_DB-restore" ]
    ask() { while :; do evstore-restore --list >/dev/null || return; done; }
    background ask1 ask
    background ask2 ask
    for ((i = 0; i < 50; i++)); do
        run_split evstore-restore -q ev
        assert_status 0
    done
}

@test "wrong operands and options are usage errors" {
    for args in '--more' '--session a/b' '--follow' '--source x' '--list --status x' '--follow --source a/b' \
        '--document --require-seal' '--document a b' '--list x' '--cursor-of x y' '--status s --dry-run' '--nonsense'; do
        # shellcheck disable=SC2086
        restore $args </dev/null
        assert_status 64 'try evstore-restore --help'
        no_store
    done
    restore missing
    assert_status 66
    assert_err 'evstore-restore: unable to open missing: No such file or directory'
    no_store
}

# --- ended in the middle ---------------------------------------------------------

@test "killed in the middle: the row reads INTERRUPTED, and a rerun converges" {
    mkevents 40 >ev
    feed r --session s
    head -n 25 ev >&"$feed_fd"
    wait_until 10 has_events 25
    row s '.status == "IN_PROGRESS" and .events_inserted == 25'
    kill -9 "$pid"
    ended "$pid"
    row s '.status == "INTERRUPTED" and .events_inserted == 25'
    [ "$(evstore-restore --list | jq -r .status)" = INTERRUPTED ]
    [ "$(digest)" = "$(digest_of <(head -n 25 ev))" ]
    restore --session s ev
    assert_status 0
    has '.attempt == 2 and .events_inserted == 15 and .events_already_present == 25'
    [ "$(evstore-restore --list | jq -r .status | paste -sd' ')" = 'INTERRUPTED COMPLETED' ]
    [ "$(digest)" = "$(digest_of ev)" ]
}

@test "TERM in the middle: 143, the row INTERRUPTED, and a rerun completes" {
    mkevents 40 >ev
    for signal in TERM INT; do
        feed "r$signal" --session "$signal"
        head -n 25 ev >&"$feed_fd"
        # A line in two pieces: what came of it is not an event, and not lost count of.
        sed -n 26p ev | head -c 50 >&"$feed_fd"
        wait_until 10 row "$signal" '.events_received == 25'
        kill "-$signal" "$pid"
        ended "$pid"
        exec {feed_fd}>&-
        [ "$status" -eq $((128 + $(kill -l "$signal"))) ]
        is '.status == "INTERRUPTED" and .events_received == 25' <"r$signal.out"
        grep -q '25 received: .* INTERRUPTED$' "r$signal.err"
        row "$signal" '.status == "INTERRUPTED" and .events_received == 25 and .completed_at != null'
    done
    restore --session TERM ev
    assert_status 0
    has '.attempt == 2 and .status == "COMPLETED"'
    [ "$(digest)" = "$(digest_of ev)" ]
}

@test "TERM while a document or a sealed pipe is being read: 143, and nothing is stored" {
    for how in --document --require-seal; do
        feed "r$how" "$how"
        printf '{"events":[' >&"$feed_fd"
        reads() { [ "$(readlink "/proc/$pid/fd/"* | grep -c "r$how.in")" -ge 1 ] && ! grep -q 'State:.*R' "/proc/$pid/status"; }
        wait_until 10 reads
        kill -TERM "$pid"
        ended "$pid"
        exec {feed_fd}>&-
        [ "$status" -eq 143 ]
        [ "$(cat "r$how.err")" = "evstore-restore: r$how.in: stopped while it was read$([ "$how" = --document ] || echo '; nothing was restored')" ]
        no_store
    done
}

# --- a store that does not exist yet --------------------------------------------

leftover_test() { # SUFFIX
    mkevents 5 >ev
    echo precious >"$LIFEBOAT_DB$1"
    for how in file pipe; do
        if [ "$how" = file ]; then restore ev; else cat ev | restore; fi
        assert_status 73
        assert_err "evstore-restore: $LIFEBOAT_DB$1: left behind by a store that is gone; move it away (it may hold that store's last events), then run this again"
        [ "$(cat "$LIFEBOAT_DB$1")" = precious ]
        [ ! -e "$LIFEBOAT_DB" ]
        [ ! -e "$LIFEBOAT_DB-building" ]
    done
    mv "$LIFEBOAT_DB$1" elsewhere
    restore ev
    assert_status 0
}

@test "a -wal left beside a missing store is 73 and named" {
    leftover_test -wal
}

@test "a -journal left beside a missing store is 73 and named" {
    leftover_test -journal
}

@test "a -wal that appears while the store is built aside is 73, and nothing is put there" {
    stuck r
    echo precious >"$LIFEBOAT_DB-wal"
    unstick
    ended "$restorer"
    [ "$status" -eq 73 ]
    grep -qF "$LIFEBOAT_DB-wal: left behind by a store that is gone" r.err
    [ ! -e "$LIFEBOAT_DB" ]
    [ ! -e "$LIFEBOAT_DB-building" ]
    is '.status == "FAILED" and .events_inserted == 0 and .digest == ""' <r.out
}

@test "another store that appears while one is built aside stays, 76" {
    mkevents 3 x | LIFEBOAT_DB=$PWD/other restore -q
    stuck r --session s
    mv other "$LIFEBOAT_DB"
    unstick
    ended "$restorer"
    [ "$status" -eq 76 ]
    grep -qxF "evstore-restore: $LIFEBOAT_DB: another store appeared here meanwhile" r.err
    [ ! -e "$LIFEBOAT_DB-building" ]
    # It says what is so: nothing was stored, and in which store it says so.
    is '.status == "FAILED" and .events_inserted == 0 and .events_received == 0' <r.out
    [ "$(jq -r .digest r.out)" = "$(digest)" ]
    row s '.status == "FAILED" and .events_received == 0'
    has_events 3
    restore --session s ev
    assert_status 0
    has_events 103
}

@test "who wants to write while a store is built aside waits for it, and writes into it" {
    stuck r
    mkevents 2 local >two
    background a evstore-append two
    appender=$pid
    wait_until 10 waits_at_gate "$appender"
    unstick
    ended "$restorer"
    [ "$status" -eq 1 ]
    ended "$appender"
    [ "$status" -eq 0 ]
    has_events 102
}

@test "killed while building aside: no store, and a rerun replaces what is left" {
    stuck r
    kill -9 "$restorer"
    ended "$restorer"
    [ ! -e "$LIFEBOAT_DB" ]
    [ -e "$LIFEBOAT_DB-building" ]
    run_split evstore-export
    assert_status 66
    restore ev
    assert_status 0
    has '.events_inserted == 100'
    [ ! -e "$LIFEBOAT_DB-building" ]
    whole
    [ "$(digest)" = "$(digest_of ev)" ]
    # Whatever it may have been.
    rm "$LIFEBOAT_DB"
    echo garbage | tee "$LIFEBOAT_DB-building" >"$LIFEBOAT_DB-building-journal"
    restore ev
    assert_status 0
    whole
}

@test "TERM while building aside: 143; what is there by then is a store, and the rerun completes" {
    stuck r --session s
    kill -TERM "$restorer"
    unstick
    ended "$restorer"
    [ "$status" -eq 143 ]
    [ ! -e "$LIFEBOAT_DB-building" ]
    is '.status == "INTERRUPTED"' <r.out
    row_is s INTERRUPTED
    whole
    restore --session s ev
    assert_status 0
    [ "$(digest)" = "$(digest_of ev)" ]
}

@test "a store built aside has every index and setting of an ordinary one" {
    mkevents 10 >ev
    restore -q ev
    cat ev | LIFEBOAT_DB=$PWD/piped restore -q
    for db in "$LIFEBOAT_DB" piped; do
        sqlite3 "$db" 'SELECT type, name, sql FROM sqlite_schema ORDER BY type, name;
            PRAGMA journal_mode; PRAGMA user_version; PRAGMA application_id; PRAGMA page_size;' >"schema.${db##*/}"
    done
    cmp schema.lifeboat.db schema.piped
    grep -qx wal schema.piped
    [ "$(stat -c %a "$LIFEBOAT_DB")" = "$(stat -c %a piped)" ]
}

# --- trouble ---------------------------------------------------------------------

@test "the store is replaced while a restore runs: 76, and the newcomer is untouched" {
    mkevents 10 >ev
    mkevents 3 x | LIFEBOAT_DB=$PWD/other restore -q
    before=$(digest other)
    feed r --session s
    head -n 5 ev >&"$feed_fd"
    wait_until 10 has_events 5
    rm -f "$LIFEBOAT_DB-wal" "$LIFEBOAT_DB-shm"
    mv other "$LIFEBOAT_DB"
    tail -n 5 ev >&"$feed_fd"
    exec {feed_fd}>&-
    ended "$pid"
    [ "$status" -eq 76 ]
    [ "$(cat r.err)" = "evstore-restore: $LIFEBOAT_DB: replaced or removed while it was open; nothing of the last batch was kept: run this again" ]
    [ "$(digest)" = "$before" ]
    whole
    restore ev
    has_events 13
}

@test "while somebody holds the gate each way to restore waits, then gives 75" {
    mkevents 5 >ev
    export LIFEBOAT_WAIT=1
    busy="evstore-restore: the store is busy: no turn at $LIFEBOAT_DB-gate within 1 seconds (see LIFEBOAT_WAIT)"
    hold_gate
    for how in missing existing; do
        if [ "$how" = existing ]; then
            flock -u "$gate_fd"
            mkevents 1 x | restore -q
            flock "$gate_fd"
        fi
        restore ev
        assert_status 75
        assert_err "$busy"
        cat ev | restore
        assert_status 75
        assert_err "$busy"
        run_split evstore-restore --follow --source hub <ev
        assert_status 75
        assert_err "$busy"
    done
    flock -u "$gate_fd"
    has_events 1
    [ "$(evstore-restore --list | wc -l)" -eq 1 ]
    restore ev
    assert_status 0
}

@test "a full standard output is 74" {
    mkevents 5 >ev
    for args in ev '--dry-run ev' '--list' '--cursor-of x' '--help' '--version'; do
        status=0
        # shellcheck disable=SC2086
        evstore-restore $args >/dev/full 2>"$ERR" || status=$?
        [ "$status" -eq 74 ]
        grep -qxF 'evstore-restore: unable to write to standard output: No space left on device' "$ERR"
    done
    restore ev
    assert_status 0
    has '.events_already_present == 5'
}

@test "a full disk while building aside is 74, named, and leaves no store" {
    mkevents 5000 >ev
    small_disk 1m
    restore ev
    assert_status 74 "$LIFEBOAT_DB"
    [[ $errout == *full* || $errout == *'No space left'* ]]
    [ ! -e "$LIFEBOAT_DB" ]
    [ ! -e "$LIFEBOAT_DB-building" ]
    has '.status == "FAILED" and .events_inserted == 0'
    mount -o remount,size=60m disk
    restore ev
    assert_status 0
    whole
    [ "$(digest)" = "$(digest_of ev)" ]
}

@test "a full disk in a store is 74, named; what was acknowledged is there, a rerun converges" {
    mkevents 5000 >ev
    small_disk 1m
    head -n 100 ev | restore -q
    assert_status 0
    cat ev | restore --session s
    assert_status 74 "$LIFEBOAT_DB"
    [[ $errout == *full* || $errout == *'No space left'* ]]
    has '.status == "FAILED"'
    whole
    evstore-export >got
    [ "$(wc -l <got)" -ge 100 ]
    # Nothing but what was sent.
    [ "$(jq -r .event_id got ev | sort | uniq -c | awk '$1 == 1' | wc -l)" -eq $((5000 - $(wc -l <got))) ]
    mount -o remount,size=60m disk
    restore --session s ev
    assert_status 0
    whole
    [ "$(digest)" = "$(digest_of ev)" ]
}

@test "a full disk under a spooled body is 74, and says where it was to be" {
    small_disk 1m
    { printf '{"events":[' && mkevents 5000 | paste -sd, && printf '],"events_count":5000}'; } >body
    doc body
    assert_status 74
    [[ $errout == "evstore-restore: unable to write a temporary file"*": No space left on device" ]]
    no_store
    [ "$(df --output=used disk | tail -n 1)" -lt 100 ]
}

# packed: of the sealed export in "lines", what people have at hand instead.
packed() {
    zstd -qc lines >lines.zst
    gzip -c lines >lines.gz
    age-keygen -o key 2>/dev/null
    age -r "$(age-keygen -y key)" <lines >lines.age
    age -a -r "$(age-keygen -y key)" <lines >lines.asc
    mkevents 3 | evstore-append -q -d other.db
}

@test "a file that is still packed or encrypted, or a store, is refused in one line that says how it is had" {
    mkevents 200 | evstore-append -q -d made.db
    evstore-export -d made.db --full --seal >lines
    packed
    mkevents 3 >good
    how=('zst:packed by zstd:zstd -dc' 'gz:packed by gzip:gzip -dc' 'age:encrypted by age:age -d -i IDENTITY'
        'asc:encrypted by age:age -d -i IDENTITY')
    for h in "${how[@]}"; do
        IFS=: read -r f what cmd <<<"$h"
        for o in '' --require-seal --document; do
            restore ${o:+"$o"} "lines.$f"
            assert_status 65
            assert_err "evstore-restore: lines.$f: it is $what, not lines of events: $cmd lines.$f | evstore-restore"
            has '.status == "FAILED" and .events_received == 0'
        done
        for o in '' --require-seal; do
            cat "lines.$f" | restore ${o:+"$o"}
            assert_status 65
            assert_err "evstore-restore: standard input: it is $what, not lines of events: $cmd FILE | evstore-restore"
        done
    done
    # Another operand is not taken in either.
    restore good other.db
    assert_status 65
    assert_err "evstore-restore: other.db: it is a SQLite database, such as a store, not lines of events: evstore-export --full -d other.db | evstore-restore"
    [ "$(evstore-export | wc -l)" -eq 0 ]
    # The lines that were said.
    zstd -dc lines.zst | evstore-restore -q --require-seal
    age -d -i key lines.age | evstore-restore -q --require-seal
    evstore-export --full -d other.db | evstore-restore -q
    [ "$(evstore-export | wc -l)" -eq 200 ]
}

@test "a store that is damaged where only its projections are read is 65, and says what to do" {
    mkevents 300 >ev
    restore -q ev
    page=$(sqlite3 "$LIFEBOAT_DB" 'PRAGMA wal_checkpoint(TRUNCATE)' "SELECT rootpage FROM sqlite_schema WHERE name = 'projectors'" | tail -n 1)
    dd if=/dev/urandom of="$LIFEBOAT_DB" bs=4096 seek=$((page - 1)) count=1 conv=notrunc status=none
    run_split evstore-restore ev
    assert_status 65 "evstore-restore: $LIFEBOAT_DB: unable to "
    [[ $errout == *': database disk image is malformed: see lifeboat-recovery(7), THE STORE IS CORRUPT' ]]
    has '.status == "FAILED" and .events_already_present == 300 and (.message | contains("malformed"))'
    evstore-restore --list | tail -n 1 | is '.status == "FAILED"'
    # A stream ends in the same way.
    run_split evstore-restore --follow --source a <ev
    assert_status 65 'THE STORE IS CORRUPT'
    grep -qx '^[.]Sh THE STORE IS CORRUPT' "$top/man/lifeboat-recovery.7"
}

@test "a folder that cannot be written is 77, and says which file" {
    mkevents 5 >ev
    small_disk 1m
    mount -o remount,ro disk
    restore ev
    assert_status 77
    assert_err "evstore-restore: unable to open $LIFEBOAT_DB-restore: Read-only file system: the disk is mounted read-only: see dmesg and lifeboat-recovery(7), THE DISK IS READ-ONLY"
    assert_out ''
}

@test "no folder for the store is 73" {
    mkevents 5 >ev
    LIFEBOAT_DB=$PWD/none/lifeboat.db
    restore ev
    assert_status 73
    assert_err "evstore-restore: unable to open $LIFEBOAT_DB-restore (is there such a folder?): No such file or directory"
}

@test "another database, garbage, a newer store: refused, untouched" {
    mkevents 5 >ev
    sqlite3 "$LIFEBOAT_DB" 'CREATE TABLE t(x)'
    before=$(sha256sum <"$LIFEBOAT_DB")
    run_split evstore-restore ev
    assert_status 65
    assert_err "evstore-restore: $LIFEBOAT_DB: a SQLite database, but not a lifeboat store"
    [ "$(sha256sum <"$LIFEBOAT_DB")" = "$before" ]
    head -c 5000 /dev/urandom >"$LIFEBOAT_DB"
    before=$(sha256sum <"$LIFEBOAT_DB")
    run_split evstore-restore ev
    assert_status 65
    [ "$(sha256sum <"$LIFEBOAT_DB")" = "$before" ]
    rm "$LIFEBOAT_DB"
    restore -q ev
    sqlite3 "$LIFEBOAT_DB" 'PRAGMA user_version = 99'
    before=$(sha256sum <"$LIFEBOAT_DB")
    run_split evstore-restore ev
    assert_status 78 "$LIFEBOAT_DB: a store of version 99"
    [ "$(sha256sum <"$LIFEBOAT_DB")" = "$before" ]
}

# --- clocks ---------------------------------------------------------------------

# That of an event that happens here, at $now.
local_hlc() {
    LIFEBOAT_NOW=$now evstore-append --type T --entity "local/$RANDOM$RANDOM" --actor a '{}' 2>.local.err | jq -r .hlc
}

# shifted MS [TAG]: 10 events, the first at MS
shifted() {
    mkevents 10 "${2:-evt}" | jq -c --argjson at "$1" '.ts_device += $at - 1768000000010'
}

@test "clock: a box at 1970 with a blank store goes on after what it restored" {
    now=1000
    mkevents 20 >ev
    LIFEBOAT_NOW=$now restore ev
    assert_status 0
    newest=$(evstore-export | tail -n 1 | jq -r .hlc)
    first=$(local_hlc) second=$(local_hlc)
    [[ $first > $newest && $second > $first ]]
    # Into a store that is not blank too: this clock is plainly wrong.
    shifted 1900000000000 later | LIFEBOAT_NOW=$now restore
    assert_status 0
    has '.ahead_of_clock == 1'
    [[ $(local_hlc) > "$(evstore-export | jq -r 'select(.entity_type != "local").hlc' | tail -n 1)" ]]
}

@test "clock: a box two days late with a blank store goes on after what it restored" {
    now=$(date +%s%3N)
    shifted $((now + 2 * 86400000)) >ev
    LIFEBOAT_NOW=$now restore ev
    assert_status 0
    has '.ahead_of_clock == 1 and .events_inserted == 10'
    [ "$(evstore-restore --list | jq .ahead_of_clock)" -eq 1 ]
    last=$(evstore-export | tail -n 1 | jq -r .hlc)
    for i in 1 2 3; do
        next=$(local_hlc)
        [[ $next > $last ]]
        [ "${next%.*}" = "${last%.*}" ]
        last=$next
    done
}

@test "clock: one event from 2099 is stored, counted, warned about, and moves no clock" {
    now=$(date +%s%3N)
    shifted $((now - 1000)) | LIFEBOAT_NOW=$now restore -q
    event future 1 | sed 's/1768000000000/4070908800000/' >ev
    LIFEBOAT_NOW=$now restore ev
    assert_status 0
    assert_err "evstore-restore: ev:1: warning: its clock is far ahead of this store's
evstore-restore: 1 received: 1 stored, 0 already present, 0 rejected (0 in conflict): COMPLETED"
    has '.ahead_of_clock == 1 and .events_inserted == 1'
    # Only what is stored counts, and is warned about.
    LIFEBOAT_NOW=$now restore ev
    has '.ahead_of_clock == 0 and .events_already_present == 1'
    [[ $errout != *warning* ]]
    hlc=$(local_hlc)
    [ $((16#${hlc%.*})) -eq "$now" ]
    # A day ahead is still believed; how much is, can be said.
    event soon 1 | sed "s/1768000000000/$((now + 80000000))/" >ev
    LIFEBOAT_NOW=$now restore --max-drift 1h ev
    has '.ahead_of_clock == 1'
    hlc=$(local_hlc)
    [ $((16#${hlc%.*})) -eq "$now" ]
    event sooner 1 | sed "s/1768000000000/$((now + 80000000))/" >ev
    LIFEBOAT_NOW=$now restore ev
    has '.ahead_of_clock == 0'
    hlc=$(local_hlc)
    [ $((16#${hlc%.*})) -eq $((now + 80000000)) ]
}

@test "clock: --adopt-clock believes it" {
    now=$(date +%s%3N)
    shifted $((now - 1000)) | LIFEBOAT_NOW=$now restore -q
    event future 1 | sed 's/1768000000000/4070908800000/' >ev
    LIFEBOAT_NOW=$now restore --adopt-clock ev
    assert_status 0
    has '.ahead_of_clock == 1'
    hlc=$(local_hlc)
    [ $((16#${hlc%.*})) -eq 4070908800000 ]
}

# --- memory ------------------------------------------------------------------

@test "LIFEBOAT_MEMORY=small: the same store in less than 16 MB, blank or not" {
    local from
    "$build/tools/benchevents" 40000 15000 >ev
    "$build/tools/measured" evstore-restore -q -d large.db ev >large.mb
    head -n 1 ev | sed 's/"event_id":"/&x/' >one
    for from in /dev/null one; do
        rm -f small.db*
        [ "$from" = /dev/null ] || evstore-append -q -d small.db "$from"
        LIFEBOAT_MEMORY=small "$build/tools/measured" evstore-restore -q -d small.db ev >small.mb
        [ "$(sqlite3 small.db "SELECT count(*) FROM events WHERE event_id NOT LIKE 'x%'")" = 40000 ]
        if [ -z "$checker" ]; then
            # More is taken where more may be: else this would show nothing.
            awk '$3 > 30' large.mb | grep -q .
            awk '$3 < 16' small.mb | grep -q .
        fi
        evstore-verify -q -d small.db | jq_true '.verdict == "ok"'
    done
    rm small.db*
    LIFEBOAT_MEMORY=small evstore-restore -q -d small.db ev >out
    [ "$(evstore-export -d small.db --digest)" = "$(evstore-export -d large.db --digest)" ]
    sql='SELECT entity_id, state_json, version FROM projections ORDER BY 1'
    cmp <(sqlite3 small.db "$sql") <(sqlite3 large.db "$sql")
    LIFEBOAT_MEMORY=tiny restore ev
    assert_status 78 'LIFEBOAT_MEMORY: tiny: wants small or large'
}

@test "a copy that VACUUM INTO made gets its write-ahead log back from the first that writes" {
    mkevents 5 | evstore-restore -q
    for command in 'evstore-restore -q' 'evstore-append -q'; do
        rm -f copy.db*
        sqlite3 lifeboat.db "VACUUM INTO 'copy.db'"
        [ "$(sqlite3 copy.db 'PRAGMA journal_mode')" = delete ]
        mkevents 5 more >more.jsonl
        # shellcheck disable=SC2086 # its words
        run_split $command -d copy.db more.jsonl
        assert_status 0
        [[ $errout != *projections* ]]
        [ "$(sqlite3 copy.db 'PRAGMA journal_mode')" = wal ]
        [[ $(evstore-export -d copy.db --digest) == 'lifeboat1 10 '* ]]
    done
}
