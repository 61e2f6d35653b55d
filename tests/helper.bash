# shellcheck shell=bash
# helper: what every bats file loads. Each test gets its own store, settings
# and folder, the commands of the build under test first in PATH, and nothing
# from the caller's environment that a command would listen to.
#
#   load helper
#
#   setup()    { private_store; }        # these two are the default ones;
#   teardown() { stop_background; }      # a file with its own calls them
#
# run_split CMD...        $status, $out, $errout; the bytes in $OUT and $ERR
# assert_status N [TEXT]  of the last run_split; TEXT must be on stderr
# assert_line TEXT        a whole line of $out      assert_out TEXT   all of it
# jq_true [OPTIONS] FILTER [FILE]   the filter gives true, and nothing else
# wait_until SECONDS CMD...   until CMD succeeds; fails when it never does
# background NAME CMD...  pid in $pid, output in $BATS_TEST_TMPDIR/NAME.out, .err;
#                         "wait $pid", never a bare wait: bats has children too;
#                         a FIFO it opens itself (sh -c 'exec CMD <fifo'), else
#                         the test waits for the other end before it has begun
# mkevents N [TAG]        N event lines, always the same for the same arguments
#
# A file with a line "# valgrind: REGEX" has its tests so named run under
# valgrind too; one with a line "# plain" is left out of the sanitizer run.
# $checker is asan, valgrind or empty.

top=$(cd "${BATS_TEST_DIRNAME:-.}/.." && pwd)
bin=${LIFEBOAT_BIN:-$top/build/bin}
build=${LIFEBOAT_BUILD:-$top/build}
checker=${LIFEBOAT_CHECKER-}
export top bin build checker

private_store() {
    local v
    for v in $(compgen -e LIFEBOAT_); do unset "$v"; done
    export PATH=$bin:$top/scripts:$PATH LC_ALL=C.UTF-8 TZ=UTC
    export LIFEBOAT_DB=$BATS_TEST_TMPDIR/lifeboat.db
    export LIFEBOAT_ENV=$BATS_TEST_TMPDIR/lifeboat.env
    export LIFEBOAT_WAIT=10
    : >"$LIFEBOAT_ENV"
    OUT=$BATS_TEST_TMPDIR/.out
    ERR=$BATS_TEST_TMPDIR/.err
    cd "$BATS_TEST_TMPDIR" || return
}

setup() { private_store; }
teardown() { stop_background; }

# shellcheck disable=SC2034 # for the tests
run_split() {
    status=0
    "$@" >"$OUT" 2>"$ERR" || status=$?
    # NUL bytes cannot live in a variable; the files have them.
    out=$(tr -d '\0' <"$OUT")
    errout=$(tr -d '\0' <"$ERR")
}

show_run() {
    printf '%s\nstatus %s, stdout:\n%s\nstderr:\n%s\n' "$1" "$status" \
        "$(head -c 4000 "$OUT")" "$(head -c 4000 "$ERR")" >&2
    return 1
}

assert_status() {
    [ "$status" -eq "$1" ] || show_run "wanted status $1" || return
    [ $# -lt 2 ] || [[ $errout == *"$2"* ]] || show_run "wanted on stderr: $2"
}

assert_line() {
    grep -qxF -- "$1" "$OUT" || show_run "wanted the line: $1"
}

assert_out() {
    [ "$out" = "$1" ] || show_run "wanted: $1"
}

# A pause of 20 ms that starts no process.
nap() {
    [ -n "${nap_fd-}" ] || exec {nap_fd}<> <(:)
    read -rt 0.02 -u "$nap_fd" || :
}

wait_until() {
    local end=$((SECONDS + $1 + 1))
    shift
    until "$@"; do
        if [ "$SECONDS" -ge "$end" ]; then
            echo "waited in vain for: $*" >&2
            return 1
        fi
        nap
    done
}

# A process is stopped or has ended. Its file may go between a look and its reading.
stopped_or_gone() {
    local line
    { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 0
    [[ $line == *') '[TZ]' '* ]]
}

background() {
    local name=$1
    shift
    (
        export STARTED_BY=$BATS_TEST_TMPDIR
        # bats waits for everyone who holds its descriptor 3, or a copy of it.
        tap=$(readlink "/proc/$BASHPID/fd/3")
        for fd in "/proc/$BASHPID/fd"/*; do
            [ "$(readlink "$fd")" != "$tap" ] || eval "exec ${fd##*/}>&-"
        done
        if [ "$(type -t "$1")" = file ]; then exec "$@"; else "$@"; fi
    ) >"$BATS_TEST_TMPDIR/$name.out" 2>"$BATS_TEST_TMPDIR/$name.err" &
    pid=$!
    background_pids+=("$pid")
}
background_pids=()

# What background started and is still there, children too.
started_here() {
    grep -lzsxF "STARTED_BY=$BATS_TEST_TMPDIR" /proc/[0-9]*/environ | cut -d / -f 3
}
none_left() { [ -z "$(started_here)" ]; }

# Ends what background started. Its children have to follow by themselves.
stop_background() {
    local p
    [ ${#background_pids[@]} -gt 0 ] || return 0
    for p in "${background_pids[@]}"; do kill "$p" 2>/dev/null || :; done
    background_pids=()
    wait_until 5 none_left 2>/dev/null && return
    for p in $(started_here); do
        echo "left behind: $(tr '\0' ' ' <"/proc/$p/cmdline")" >&2
        kill -9 "$p" 2>/dev/null || :
    done
    return 1
}

# Times ascend by 10 ms, but every fifth event is up to 4 s late; 7 entities of
# 2 types, 3 devices, some with cause and correlation, some in other scripts.
mkevents() {
    awk -v n="$1" -v tag="${2:-evt}" 'BEGIN {
        split("INTRAOP VITALS_ADDED DRUG_GIVEN NOTE_WRITTEN", types, " ")
        split("plain 手術 données Ωμέγα", words, " ")
        r = 42
        for (i = 1; i <= n; i++) {
            r = (r * 16807) % 2147483647
            ms = 10 * i - (i % 5 == 0 ? r % 4000 : 0)
            printf "{\"event_id\":\"%s_%07d\",\"site_id\":\"main\",", tag, i
            printf "\"entity_type\":\"%s\",\"entity_id\":\"E-%d\",", i % 2 ? "case" : "chart", r % 7
            printf "\"actor_id\":\"nurse-%d\",\"device_id\":\"ipad-%d\",", r % 4, r % 3
            # mawk ends %d at 2^31.
            printf "\"ts_device\":%.0f,", 1768000000000 + ms
            printf "\"event_type\":\"%s\",\"schema_version\":\"1.0\",", types[r % 4 + 1]
            if (i % 3 == 0)
                printf "\"correlation_id\":\"c-%d\",\"causation_id\":\"%s_%07d\",", i / 9, tag, i - 1
            printf "\"payload\":{\"n\":%d,\"text\":\"%s\",\"hr\":%d.50}}\n", i, words[r % 4 + 1], 60 + r % 40
        }
    }'
}

# jq_true [OPTIONS] FILTER [FILE]: the filter gives true, once. (jq -e of 1.6
# is content with no input at all.)
jq_true() {
    local got
    got=$(jq "$@") || return
    if [ "$got" != true ]; then
        printf 'wanted true of jq %s, got: %s\n' "$*" "$got" >&2
        return 1
    fi
}
