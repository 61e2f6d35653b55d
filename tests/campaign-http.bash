# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # at, size and others are the caller's
# campaign-http: the scenarios of lifeboat.cgi, run as a web server runs it. Sourced by
# campaign.bash.

# ask METHOD PATH TYPE BODY KEY CMD...: the answer in out; the status as a command
# that failed so would end.
ask() {
    local -x GATEWAY_INTERFACE=CGI/1.1 REQUEST_METHOD=$1 REQUEST_URI=$2 CONTENT_TYPE=$3
    local -x CONTENT_LENGTH HTTP_IDEMPOTENCY_KEY=$5 REMOTE_ADDR=127.0.0.1 HTTP_HOST=localhost
    local -x LIFEBOAT_DB=$work/s LIFEBOAT_KEY=$work/no.key LIFEBOAT_HTTP_LOG=/dev/null
    local body=$4 status=0
    CONTENT_LENGTH=$(stat -c %s "$body")
    [ -n "$5" ] || unset HTTP_IDEMPOTENCY_KEY
    "${@:6}" lifeboat.cgi <"$body" >out 2>err || status=$?
    [ "$status" -eq 0 ] || return "$status"
    case $(head -c 11 out) in
    '') return 74 ;; # the answer itself could not be written
    'Status: 200' | 'Status: 201') return 0 ;;
    'Status: 507') return 74 ;;
    'Status: 503') return 75 ;;
    'Status: 409') return 1 ;;
    *) return 70 ;;
    esac
}
said() { head -c 11 out | grep -qE '^Status: 20[01]'; }

# A rerun may have to wait for what the one that was killed left behind.
ask_again() { # as ask
    local tries
    for tries in {1..250}; do
        "$@" 2>/dev/null && break
        nap
    done
    said || find_fault "rerun: $(head -c 300 out) $(tail -n 1 err)"
}

# posted: many events, as lines
posted_cmd() { ask POST /api/events application/jsonl "more-$size" '' "$@"; }
posted_start() { fresh "base-$size"; }
posted_run() { posted_cmd "$@"; }
posted_judge() {
    ! said || ids <"more-$size" >acks
    judge
    ask_again posted_cmd
    same
}

# posted_once: one that has its id from its key; it is there once, whatever came between,
# and no other answer is given for it than the first
posted_once_cmd() { ask POST /api/events application/json one k-1 "$@"; }
posted_once_start() {
    fresh "full-$size"
    echo '{"entity_type":"case","entity_id":"K","actor_id":"u","event_type":"KEYED","payload":{"n":1}}' >one
    rm -f first
}
posted_once_run() { posted_once_cmd "$@"; }
keyed="SELECT count(*) FROM events WHERE event_type = 'KEYED'"
posted_once_judge() {
    local n
    n=$(look_into "$keyed")
    [ "$n" = 0 ] || [ "$n" = 1 ] || find_fault "it is there $n times"
    if said; then
        [ "$n" = 1 ] || find_fault 'acknowledged, and lost'
        # One that was torn is no answer to be given again.
        ! tail -n 1 out | jq -e . >/dev/null 2>&1 || tail -n 1 out >first
    fi
    [ "$(look_into 'PRAGMA integrity_check')" = ok ] || find_fault 'the store is not sound'
    ask_again posted_once_cmd
    [ "$(sqlite3 s "$keyed" 2>&1)" = 1 ] || find_fault 'after the rerun it is not there once'
    [ ! -e first ] || [ "$(tail -n 1 out)" = "$(<first)" ] || find_fault 'another answer the second time'
    complete=1
}

# posted_back: a restore, by a command of its own
posted_back_cmd() { ask POST /api/dr/restore application/json "document-$size" '' "$@"; }
posted_back_start() { fresh "base-$size"; }
posted_back_run() { posted_back_cmd "$@"; }
# What it started goes on without it: what was sent whole is finished.
restoring() { pgrep -f -- "^evstore-restore .* -d $work/s\$" >/dev/null; }
posted_back_judge() {
    while restoring; do nap; done
    ! grep -qsF '"status":"COMPLETED"' out || ids <"more-$size" >acks
    judge
    ask_again posted_back_cmd
    judge_log
    same
}
