# shellcheck shell=bash disable=SC2016,SC2154 # jq's variables, helper's
# http: the front under lighttpd, for tests that ask it as a client does.
#
#   load helper
#   load http
#
# serve [OPTIONS]           scripts/serve on a free port: $url; logs in ./logs; its pid
#                           in $server
# serve_end                 ends it, and waits until it is gone
# make_key                  a token key for the next serve, in $LIFEBOAT_KEY
# as USER ROLE | as nobody  whose token the next requests carry
# ask METHOD PATH [CURL OPTIONS]    $code; the answer in ./body, its head in ./head
# asks CODE METHOD PATH [CURL OPTIONS]   the status is CODE, and the answer well formed
# has [OPTIONS] FILTER      jq_true of ./body
# header NAME, header_is NAME VALUE   of the answer's head
# problem TYPE [TEXT]       the answer is a problem of this type, TEXT in its detail
# hold_gate, release_gate   nobody writes to the store between them
# raw FILE [FIFO]           sends the bytes; hangs up when something is in the FIFO
# requests                  how many the log has
# end_cgis                  none is left that is still at a request

serve() {
    export SERVE_LOGS=$PWD/logs
    # The front under test: private_store has taken the setting away.
    background serve env "LIFEBOAT_BIN=$bin" "$top/scripts/serve" "$@"
    server=$pid
    wait_until 30 serve_speaks || { cat serve.err; return 1; }
    url=$(cat serve.out)
    url=${url%/}
    port=${url##*:}
}
serve_speaks() { grep -q '^http://' serve.out || ! kill -0 "$server"; }

# Requests to this test's store that are not over, when all have been answered long ago.
cgis() {
    grep -lzsxF "LIFEBOAT_DB=$LIFEBOAT_DB" /proc/[0-9]*/environ | xargs -r grep -lzsx 'GATEWAY_INTERFACE=.*' |
        cut -d / -f 3
}
no_cgi() { [ -z "$(cgis)" ]; }
end_cgis() {
    local p
    wait_until 10 no_cgi && return
    for p in $(cgis); do
        tr '\0' '\n' <"/proc/$p/environ" | grep -E '^(REQUEST_METHOD|REQUEST_URI)=' >&2
        kill -9 "$p"
    done
    return 1
}

serve_end() {
    kill "$server"
    wait "$server" || :
}

make_key() {
    export LIFEBOAT_KEY=$PWD/token.key
    lifeboat-token -q key
}

auth=()
as() {
    auth=()
    [ "$1" = nobody ] || auth=(-H "Authorization: Bearer $(lifeboat-token -q issue --user "$1" --role "$2")")
}

ask() {
    local method=(-X "$1")
    [ "$1" != HEAD ] || method=(-I)
    : >body
    code=$(curl -sS -g --path-as-is --max-time 60 "${method[@]}" "${auth[@]}" -D head -o body \
        -w '%{http_code}' "${@:3}" "$url$2")
}

show_answer() {
    printf '%s\n%s: ' "$*" "$code" >&2
    head -c 4000 body >&2
    return 1
}

asks() {
    local wanted=$1
    shift
    ask "$@"
    [ "$code" = "$wanted" ] || show_answer "wanted $wanted of: $*" || return
    [ "$1" = HEAD ] || check_answer
}

# What every answer has, and every problem.
check_answer() {
    header_is Cache-Control no-store && header_is X-Content-Type-Options nosniff &&
        ! header_is X-Correlation-ID '' || show_answer 'headers are missing' || return
    [ "$code" -ge 400 ] || return 0
    header_is Content-Type application/problem+json || show_answer 'not a problem' || return
    find_header X-Correlation-ID
    [[ $(<body) == '{"type":"'*'","title":"'*'","status":'$code',"detail":"'*'","correlation_id":"'$value'"}' ]] ||
        [[ $(<body) == '{"type":"'*'","title":"'*'","status":'$code',"detail":"'*'","'*',"correlation_id":"'$value'"}' ]] ||
        show_answer 'not as problems are' || return
    case $code in
    401) header_is WWW-Authenticate Bearer ;;
    503) ! header_is Retry-After '' ;;
    esac || show_answer 'a header is missing'
}

# Without a process: each answer is asked for several.
find_header() {
    local line
    value=
    while IFS= read -r line; do
        [[ ${line,,} != "${1,,}: "* ]] || value=${line#*: }
    done <./head
    value=${value%$'\r'}
}
header() { find_header "$1" && echo "$value"; }
header_is() { find_header "$1" && [ "$value" = "$2" ]; }
has() { jq_true "$@" body || show_answer "wanted: $*"; }
problem() { has --arg type "$1" --arg text "${2-}" '.type == $type and (.detail | contains($text))'; }
sql() { sqlite3 -cmd '.timeout 10000' "$LIFEBOAT_DB" "$1"; }
requests() { wc -l <logs/requests.log; }

hold_gate() {
    rm -f gate.fifo
    mkfifo gate.fifo
    background gate bash -c 'exec 9>>"$1-gate" && flock 9 && echo held && read -r _ <gate.fifo' - "$LIFEBOAT_DB"
    gate=$pid
    wait_until 10 grep -q held gate.out
}
release_gate() {
    echo >gate.fifo
    wait "$gate"
}

raw() {
    python3 -c '
import socket, struct, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20)
s.sendall(open(sys.argv[2], "rb").read())
if len(sys.argv) > 3:
    open(sys.argv[3]).readline()
    # A reset: the server sees that nobody is there any more.
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
else:
    s.shutdown(socket.SHUT_WR)
    while True:
        got = s.recv(65536)
        if not got:
            break
        sys.stdout.buffer.write(got)
s.close()' "$port" "$@"
}

# Does anybody hold the lock FILE-$1 of the store? (These are not seen by flock(1).)
is_locked() { grep -q "OFDLCK.*:$(stat -c %i "$LIFEBOAT_DB-$1") " /proc/locks; }

# A restore document of the lines on stdin, as they are: SESSION [MORE MEMBERS].
document() {
    local lines
    mapfile -t lines
    printf '{"restore_session_id":"%s","source_device_id":"ipad","events":[' "$1"
    printf '%s\n' "${lines[@]}" | paste -sd,
    printf '],"events_count":%d%s}' "${#lines[@]}" "${2:+,$2}"
}
