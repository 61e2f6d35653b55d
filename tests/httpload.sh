#!/usr/bin/env bash
# httpload.sh: 64 clients at full speed on the HTTP front under lighttpd, for
# HTTPLOAD_SECONDS (60; 8 with SMALL set), with a mix of reads and writes (httpload.py),
# half of them on connections that they keep. Every request is answered, and with no 5xx
# but a 503 that says when to come back; what was acknowledged is there, once, and nothing
# else; lighttpd needs no more memory at the end than at first; nothing is left behind.
# Prints TAP; the figures, as JSON in comments, are reported, not judged.
#
# HTTPLOAD_DIR  where the store is (/var/tmp): a disk, for the figures to mean something
set -uo pipefail
cd "$(dirname "$0")/.." || exit
top=$PWD
bin=${LIFEBOAT_BIN:-$top/build/bin}
seconds=${HTTPLOAD_SECONDS:-$([ -n "${SMALL-}" ] && echo 8 || echo 60)}
for v in $(compgen -e LIFEBOAT_); do unset "$v"; done
export PATH=$bin:$PATH LC_ALL=C.UTF-8 LIFEBOAT_ENV=/dev/null

work=$(mktemp -d "${HTTPLOAD_DIR:-/var/tmp}/lifeboat-httpload.XXXXXX") || exit 73
started=()
leave() {
    [ ${#started[@]} -eq 0 ] || kill "${started[@]}" 2>/dev/null
    wait
    rm -rf "$work"
}
trap leave EXIT
mkdir "$work/tmp"
cd "$work" || exit
export TMPDIR=$work/tmp LIFEBOAT_DB=$work/box.db
BATS_TEST_DIRNAME=$top/tests
# shellcheck source=tests/helper.bash
source "$top/tests/helper.bash"
# shellcheck source=tests/verdict.bash
source "$top/tests/verdict.bash"

ids() { grep -o '^{"event_id":"[^"]*"' | cut -d '"' -f 4; }
answers() { grep -qs '^http' said.url; }
at_work() { pgrep -P "$lighttpd" || pgrep -f "^evstore-[a-z]* .*$work"; }
idle() { ! at_work >/dev/null; }
memory() { # kB: of its own, not what it shares with all
    awk '/^RssAnon/ { print $2 }' "/proc/$lighttpd/status"
}

start() {
    lifeboat-token -q -k key key >/dev/null || exit 70
    HTTP_TOKEN=$(lifeboat-token -q -k key issue --user load --role admin) || exit 70
    export HTTP_TOKEN
    evstore-append -q --id first --type T --entity load/0 --actor A 0 || exit 70
    LIFEBOAT_BIN=$bin SERVE_LOGS=$work/logs "$top/scripts/serve" -k key >said.url 2>serve.err &
    started=($!)
    wait_until 20 answers || exit 69
    read -r url <said.url
    lighttpd=$(pgrep -P "${started[0]}" -x lighttpd)
}

# Its memory, while the clients are at it: a line every 100 ms.
sample() {
    while [ ! -e over ]; do
        memory
        read -rt 0.1 <> <(:)
    done >samples
}

load() {
    local port=${url%/}
    sample &
    python3 "$top/tests/httpload.py" "${port##*:}" "$seconds" 64 >figures 2>said ||
        finding "httpload.py: $(tail -n 3 said)"
    : >over
    wait $!
    echo "# $(<figures)"
}

judge_answers() {
    sort wrong | uniq -c | sort -rn | head -n 10 >>found
    [ "$(wc -l <acks)" -ge 100 ] || finding "only $(wc -l <acks) events"
    verdict "every request of 64 clients is answered as it should be, for $seconds s"
}

judge_store() {
    local sound
    wait_until 20 idle || finding "left behind: $(at_work | tr '\n' ' ')"
    [ -z "$(find tmp -path '*upload/*')" ] || finding "left behind: $(find tmp -path '*upload/*')"
    grep -E 'died with signal (4|6|7|8|11)$' logs/lighttpd.log | head -n 3 >>found
    verdict 'nobody crashed, and no process and no body is left behind'
    sound=$(sqlite3 box.db 'PRAGMA integrity_check' 2>&1)
    [ "$sound" = ok ] || finding "integrity_check: $(head -n 2 <<<"$sound")"
    evstore-export --order seq | ids | sort >there
    { echo first && cat acks; } | sort >wanted
    { echo first && cat sent; } | sort >may
    {
        comm -23 wanted there | head -n 3 | sed 's/^/lost: /'
        uniq -d there | head -n 3 | sed 's/^/twice: /'
        comm -13 may there | head -n 3 | sed 's/^/never sent: /'
    } >>found
    evstore-verify -q >verified || finding "verify: $(<verified)"
    verdict "$(wc -l <acks) acknowledged events are there, each once, and none that was not sent"
}

# Once all clients are there, in the second quarter, and at the end.
judge_memory() {
    awk '{ m[NR] = $1 }
        function most(from, to,    i, best) {
            for (i = int(from); i <= to; i++) if (m[i] > best) best = m[i]
            return best
        }
        END {
            early = most(NR / 4, NR / 2)
            late = most(NR * 3 / 4, NR)
            printf "%d kB early, %d kB late, of %d samples\n", early, late, NR
            exit !(NR > 20 && late <= early + 1024)
        }' samples >memory.said || finding "$(<memory.said)"
    verdict "lighttpd's memory is flat: $(<memory.said)"
}

echo "# on $(stat -f -c %T .), $(nproc) cores, load $(cut -d ' ' -f 1 /proc/loadavg)"
start
load
judge_answers
judge_store
judge_memory
conclude
