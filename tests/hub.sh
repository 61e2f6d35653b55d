#!/usr/bin/env bash
# hub.sh: three sites push EVENTS events each (100,000; 3,000 with SMALL set) to a real
# PostgreSQL primary that streams to a standby. In mid-push the primary, the whole process
# group of it, is ended with kill -9, and the standby promoted, which lacks the last
# commits. The sites push again, to the same names. Then the hub has each event once, its
# cursors are those of the sites, and blank sites that pull have the digests of the lost
# ones. Prints TAP.
#
# LIFEBOAT_BIN  the commands (build/bin)
set -uo pipefail
events=${EVENTS:-$([ -n "${SMALL-}" ] && echo 3000 || echo 100000)}
part=$((events / 12))

cd "$(dirname "$0")/.." || exit
export BATS_TEST_DIRNAME=$PWD/tests
# shellcheck source=tests/helper.bash
source tests/helper.bash
# shellcheck source=tests/postgres.bash
source tests/postgres.bash
work=$(mktemp -d -p /var/tmp lifeboat-hub.XXXXXX) || exit 73
BATS_TEST_TMPDIR=$work private_store
pushing=() standby=
leave() {
    local p
    for p in "${pushing[@]}"; do kill "$p" 2>/dev/null; done
    [ -z "$standby" ] || { kill -INT "$standby" 2>/dev/null && wait "$standby"; }
    postgres_end 2>/dev/null
    rm -rf "${second:-$work}" "$work"
}
trap leave EXIT
# shellcheck source=tests/verdict.bash
source "$top/tests/verdict.bash"
ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# --- a primary, a standby, three sites -------------------------------------------------

postgres_start || exit 70
primary_port=$PGPORT
second=$(mktemp -d /tmp/lifeboat-postgres.XXXXXX)
[ "$(id -u)" -ne 0 ] || chown postgres: "$second"
chmod 711 "$second"
printf 'host replication all 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 trust\n' >"$work/hba"
sed -i '/^host/d' "$postgres_home/data/pg_hba.conf" && cat "$work/hba" >>"$postgres_home/data/pg_hba.conf"
pg 'SELECT pg_reload_conf()' >/dev/null
(cd / && as_postgres "$(postgres_bin pg_basebackup)" -h 127.0.0.1 -p "$PGPORT" -U keeper -R -X stream -c fast \
    -D "$second/data") >"$work/said" 2>&1 </dev/null || { cat "$work/said" && exit 70; }
standby_up() { psql -h "$second" -p "$standby_port" -Xqc '' 2>/dev/null || ! kill -0 "$standby" 2>/dev/null; }
for standby_port in $(shuf -n 20 -i 20000-32000); do
    (cd / && as_postgres "$(postgres_bin postgres)" -D "$second/data" -k "$second" -p "$standby_port" \
        -c listen_addresses=127.0.0.1 -c fsync=off -c shared_buffers=16MB -c max_connections=20 -c jit=off \
        </dev/null >"$work/standby.said" 2>&1) &
    standby=$!
    wait_until 30 standby_up || exit 70
    ! kill -0 "$standby" 2>/dev/null || break
done
export LIFEBOAT_HUB="postgresql://keeper@127.0.0.1:$primary_port,127.0.0.1:$standby_port/postgres?target_session_attrs=read-write"
lifeboat-hub init -q || exit 70

for s in a b c; do
    mkevents "$events" "$s" | LIFEBOAT_SITE=$s evstore-restore -q -d "$s.db" || exit 70
    evstore-export -d "$s.db" --digest >"$s.digest"
done
push() { LIFEBOAT_SITE=$1 lifeboat-hub push --part "$part" -d "$1.db"; }

# --- the primary dies ------------------------------------------------------------------

began=$(ms)
for s in a b c; do
    push "$s" >"$s.out" 2>"$s.err" &
    pushing+=($!)
done
some_there() { [ "$(pg 'SELECT count(*) FROM lifeboat_events' 2>/dev/null || echo 0)" -ge "$1" ]; }
wait_until 300 some_there $((events / 2)) || finding 'the pushes do not get on'
# What is committed from here on, the standby never hears of.
kill -STOP "$(pg 'SELECT pid FROM pg_stat_replication')" || finding 'there is no standby'
wait_until 300 some_there "$events" || finding 'the pushes do not get on'
there=$(pg 'SELECT count(*) FROM lifeboat_events')
# Those that serve sessions end when their postmaster is gone, but not at once.
mapfile -t served < <(ps -o pid= --ppid "$postgres")
kill -9 "$postgres" "${served[@]}" 2>/dev/null
wait "$postgres" 2>/dev/null
postgres=
for i in 0 1 2; do
    status=0
    wait "${pushing[i]}" || status=$?
    [ "$status" -eq 69 ] || finding "the push that lost its hub ended with $status: $(cat {a,b,c}.err)"
done
pushing=()
[ "$there" -lt $((3 * events)) ] || finding 'all had been pushed before the primary died'
verdict "the primary is killed in mid-push, with $there of $((3 * events)) events there: each push ends with 69"

status=0
push a >a.out 2>a.err || status=$?
[ "$status" -eq 69 ] || finding "without a primary a push ended with $status: $(cat a.err)"
verdict 'a standby that is not promoted takes nothing: 69'

# --- the standby takes over ---------------------------------------------------------------

export PGHOST=$second PGPORT=$standby_port
[ "$(pg 'SELECT pg_promote()')" = t ] || finding 'the standby is not promoted'
left=$(pg 'SELECT count(*) FROM lifeboat_events')
counted=$(pg 'SELECT coalesce(sum(sent), 0) FROM lifeboat_cursors')
[ "$left" -lt "$there" ] || finding "no commit was lost: this proves too little"
[ "$left" -eq "$counted" ] || finding "$left events there, but the cursors speak of $counted"
for s in a b c; do
    push "$s" >"$s.out" 2>"$s.err" &
    pushing+=($!)
done
for i in 0 1 2; do wait "${pushing[i]}" || finding "a resumed push ended with $?: $(cat {a,b,c}.err)"; done
pushing=()
ended=$(ms)
for s in a b c; do
    n=$(pg "SELECT count(*) || ' ' || count(DISTINCT event_id) FROM lifeboat_events WHERE site_id = '$s'")
    [ "$n" = "$events $events" ] || finding "$s: has $n events there, not $events"
    new=$(sed -n 's/.*sent, \([0-9]*\) new.*/\1/p' "$s.err") sent=$(sed -n 's/.*: \([0-9]*\) events sent.*/\1/p' "$s.err")
    [ "$new" = "$sent" ] || finding "$s: sent $sent again, of which only $new were lost"
done
[ "$(pg 'SELECT count(*) FROM lifeboat_conflicts')" -eq 0 ] || finding 'there are conflicts'
verdict "the pushes resume on the promoted standby, which had $left of the $there: nothing lost, nothing double ($((ended - began)) ms in all)"

# --- a blank site ---------------------------------------------------------------------------

began=$(ms)
for s in a b c; do
    LIFEBOAT_SITE=$s lifeboat-hub pull -q | LIFEBOAT_SITE=$s evstore-restore -q --require-seal -d "new-$s.db" ||
        finding "$s: is not pulled back"
    [ "$(evstore-export --digest -d "new-$s.db")" = "$(cat "$s.digest")" ] || finding "$s: another digest"
done
ended=$(ms)
verdict "blank sites pull themselves back, digests equal ($((ended - began)) ms for $((3 * events)) events)"
conclude
