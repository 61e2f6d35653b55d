#!/usr/bin/env bash
# operations.sh: a box looks after itself for a day, is destroyed, and comes back; as TAP.
# Minimal Debian 12s in containers, lifeboat installed from its .deb: a box and, by ssh
# over a link between the two, its standby. Each timer's service is started at its hours,
# with the clock of that hour (LIFEBOAT_NOW); then the box is killed and its disk removed,
# the standby takes its place, and a third box comes back from the backups alone. What it
# needs: tests/container.bash, and dpkg-dev.
#
#   SMALL=1              services of every minute or hour run every six hours, not hourly
#   OPERATIONS_JOURNAL   a folder that gets the journals, to look into
set -uo pipefail

top=$(cd "$(dirname "$0")/.." && pwd) || exit
exec </dev/null
step=3600
[ -z "${SMALL-}" ] || step=$((6 * 3600))

work=$(mktemp -d /var/tmp/lifeboat-operations.XXXXXX) || exit 73
leave() {
    trap - EXIT
    container_leave
    rm -rf --one-file-system "$work"
}
cd "$work" || exit
BATS_TEST_DIRNAME=$top/tests
# shellcheck source=tests/helper.bash
. "$top/tests/helper.bash"
# shellcheck source=tests/verdict.bash
. "$top/tests/verdict.bash"
# shellcheck source=tests/container.bash
. "$top/tests/container.bash"
trap leave EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

skip() {
    echo "ok - operations: a day, and the recovery of a box, on booted Debians # SKIP $why"
    exit 0
}
container_can "$work/box" || skip
command -v dpkg-shlibdeps >/dev/null || {
    why='there is no dpkg-dev to make the package with'
    skip
}
deb=$top/$(make -s -C "$top" deb 2>log) || {
    echo 'not ok 1 - make deb'
    sed 's/^/# /' log
    exit 1
}

# --- boxes --------------------------------------------------------------------------

# start UNIT: 0 if its conditions passed it over. (What systemctl show says of them is gone
# when nobody refers to the unit any more.)
start() {
    local from
    from=$(mark)
    want 0 systemctl start "$1"
    since "$from" -o cat -u "$1" | grep -qE "unmet condition|'exec-condition'"
}
# A Debian as it is before lifeboat is installed.
prepare() {
    [ -d "$1" ] || debian "$1" || exit
    # Nothing of Debian's own that would want the network, or our port.
    chroot "$1" systemctl -q mask lighttpd.service apt-daily.timer apt-daily-upgrade.timer
    printf '127.0.0.1 localhost\n10.254.0.1 box\n10.254.0.2 standby\n' >"$1/etc/hosts"
    basename "$1" >"$1/etc/hostname"
    # A day passes in a minute.
    install -D -m 644 /dev/stdin "$1/etc/systemd/system.conf.d/day.conf" <<<$'[Manager]\nDefaultStartLimitBurst=100000'
    cp "$deb" "$1/lifeboat.deb"
}
up() {
    container_boot "$1" "$work/$1" && return
    [ $? -eq 2 ] || skip
    echo "not ok $((tests + 1)) - $1 boots"
    tail -n 40 "console-$1" | sed 's/^/# /'
    exit 1
}
# As the user who owns the store, at the hour it is there.
as() { within env LIFEBOAT_NOW="$now" runuser -u lifeboat -- "$@"; }
digest() { as evstore-export --digest 2>/dev/null; }
# later MINUTES
later() {
    now=$((now + $1 * 60000))
    within systemctl set-environment "LIFEBOAT_NOW=$now"
}
answers() { within curl -sf http://127.0.0.1:8080/api/health; }
failed() {
    want 0 systemctl --failed --no-legend --plain
    [ ! -s out ] || finding "failed: $(cat out)"
}
units() { within dpkg -L lifeboat | sed -n "s|^/usr/lib/systemd/system/\\(.*\\.$1\\)$|\\1|p" | sort; }

prepare "$work/box"
prepare "$work/standby"
up box
up standby
container_link box 10.254.0.1 standby 10.254.0.2

# It is Sunday, after all of this was built; jobs for other days come behind it.
day=$(($(date +%s) / 86400 + 1))
while [ $(((day + 4) % 7)) -ne 0 ]; do day=$((day + 1)); done # the first one was a Thursday
day=$((day * 86400)) now=${day}000

for b in box standby; do
    container_use $b
    began=$(mark)
    want 0 dpkg -i /lifeboat.deb
    within sh -c 'systemctl --no-legend --plain list-unit-files --state=enabled "lifeboat-*" | cut -d " " -f 1' >enabled
    units timer | grep '^lifeboat-' | grep -vx lifeboat-cloud-sync.timer | diff - enabled >out || finding "enabled: $(cat out)"
    within sh -c 'xargs systemctl is-active' <enabled >out || finding "not active: $(paste enabled out | grep -vw active)"
    for folder in 'lifeboat 750 /var/lib/lifeboat' 'lifeboat 750 /var/lib/lifeboat-backup' 'root 755 /etc/lifeboat'; do
        [ "$(within stat -c '%U %a %n' "${folder##* }")" = "$folder" ] || finding "not $folder"
    done
    failed
done
verdict 'the package installs on a running box: user, folders, and the timers that need nothing but a store'

container_use box
at=$(mark)
for unit in $(units service | grep -v @); do
    [ "$unit" != lifeboat-http.service ] || continue # it is there to be started
    want 0 systemctl start "$unit"
done
since "$at" | grep -F ' lifeboat[' >log && finding "somebody was told: $(cat log)"
want 1 test -e /var/lib/lifeboat/lifeboat.db
failed
verdict 'where there is no store yet no unit fails, and nobody is told of it'

# --- a site -------------------------------------------------------------------------

for b in box standby; do
    container_use $b
    want 0 sed -i 's/^#\(LIFEBOAT_SITE=\).*/\1BORP-DNO-01/' /etc/lifeboat/lifeboat.env
    # From here on it is this script that runs what timers run.
    within sh -c 'systemctl stop "lifeboat-*.timer"'
done
container_use box
want 0 install -d -o lifeboat -g lifeboat -m 700 /var/lib/lifeboat/.ssh
want 0 runuser -u lifeboat -- ssh-keygen -q -t ed25519 -N '' -f /var/lib/lifeboat/.ssh/id_ed25519
install -d -m 700 "$work/standby/var/lib/lifeboat/.ssh"
cp "$work/box/var/lib/lifeboat/.ssh/id_ed25519.pub" "$work/standby/var/lib/lifeboat/.ssh/authorized_keys"
chroot "$work/standby" chown -R lifeboat:lifeboat /var/lib/lifeboat/.ssh
sed 's/^/standby /' "$work/standby/etc/ssh/ssh_host_ed25519_key.pub" >"$work/box/var/lib/lifeboat/.ssh/known_hosts"
want 0 chown lifeboat: /var/lib/lifeboat/.ssh/known_hosts

# This is in the safe.
want 0 sh -c 'lifeboat-token -q key && chown lifeboat: /etc/lifeboat/token.key'
within runuser -u lifeboat -- lifeboat-token key --paper >safe || finding 'no key for the safe'
# (The front's clock is the real one.)
token=$(within runuser -u lifeboat -- lifeboat-token -q issue --user nurse --role dr)
mkevents 4000 | as evstore-append -q >/dev/null || finding 'the first events'
for i in {1..40}; do echo "{\"n\":$i}"; done | as syncq enqueue letters -q >/dev/null || finding 'the first jobs'
as kvcache set -q --ttl 1s greeting '"hello"' || finding 'the cache'
# The mirror, as in the runbook; both sides have the same.
install -d "$work/box/etc/mirrorctl"
runbook old_cmd | jq '.old_cmd = "cat /srv/scans.jsonl" | .new_cmd = .old_cmd' >"$work/box/etc/lifeboat/mirror-compare.json"
runbook pi_zero_host >"$work/box/etc/mirrorctl/config.json"
echo '{"tag_id":"T1","order_id":"O1","location":"SHELF-01","updated_at":"2026-01-26T09:30:00Z"}' >"$work/box/srv/scans.jsonl"
want 0 install -d -o lifeboat -g lifeboat -m 2750 /srv/rpi-server/logs
want 0 systemctl enable -q --now lifeboat-http.service
until_ 30 answers || finding 'the front does not answer'
want 0 systemctl enable -q --now lifeboat-follow@standby.service
same() { [ "$(digest)" = "$(container_use standby && digest)" ]; }
until_ 60 same || finding "the box has $(digest), the standby $(container_use standby && digest)"
verdict 'a site: events, jobs, a key, the front, and the standby has it all'

# --- the day ------------------------------------------------------------------------

# Each timer's service at its hours of this day, else when it comes next: SECONDS SERVICE.
for timer in $(units timer); do
    spec=$(within systemctl show -p TimersCalendar --value "$timer" | sed -n 's/.*OnCalendar=\(.*\) ; next_elapse.*/\1/p')
    service=$(within systemctl show -p Triggers --value "$timer")
    within systemd-analyze calendar --iterations=1500 --base-time="@$((day - 1))" "$spec" |
        sed -n 's/^ *\(Next elapse\|Iter. #[0-9]*\): //p' | date -uf - +%s |
        awk -v end=$((day + 86400)) -v step=$step -v service="$service" '
            NR > 1 && ($1 >= end || $1 < last + step) { next }
            { print $1, service; last = $1 }' >one
    [ -s one ] || finding "$timer: $spec: has no hour"
    cat one
done | sort -n >plan

began=$(mark)
: >ran
while read -r at service <&3; do
    now=${at}000
    later 0
    # What people do meanwhile.
    mkevents 5 "t$at" | as evstore-append -q >/dev/null || finding "events at $at"
    as kvcache set -q --ttl 10m "k$at" 1 || finding "the cache at $at"
    if start "$service"; then echo "$service passed"; else echo "$service ran"; fi >>ran
done 3<plan
[ -s plan ] || finding 'there is no plan'
[ "$(wc -l <ran)" -eq "$(wc -l <plan)" ] || finding 'not all of the plan was carried out'
echo "# $(wc -l <plan) starts of $(cut -d ' ' -f 2 plan | sort -u | wc -l) services, $(grep -c ran ran) ran"
failed
verdict 'a day: each timer'\''s service was started at its hours, and succeeded'

grep 'passed$' ran | sort -u | grep -vE '^(mirror-send|lifeboat-cloud-sync).service ' >out
[ ! -s out ] || finding "passed over: $(cat out)"
since "$began" -p warning >log
[ ! -s log ] || finding "in the journal: $(head -n 20 log)"
since "$began" | grep -E 'unit-failed|Main process exited' >log && finding "failed, though it may: $(cat log)"
as kvcache stats >out
jq_true '.purged >= 1 and .expired == 0' out 2>>found || finding "the cache was not cleaned: $(cat out)"
verdict 'nothing was passed over but what is not configured; the journal has no error and no warning'

# --- one at a time ------------------------------------------------------------------

# What reads or rewrites the whole store does so with a lock on the store's folder. After=
# alone would not do: it holds back the later one of two, whichever began first, only if
# both are named in it, and that would be a cycle. (Reports read what the others noted.)
grep -oE '[^ ]*lifeboat-(backup|maintain|verify|drill)[^ ]*' plan | sort -u >whole
mkfifo release
# hold: the lock, until let_go.
hold() {
    within flock /var/lib/lifeboat sh -c 'echo held && read -r _' <>release >held &
    holder=$!
    until_ 10 grep -q held held || finding 'the lock cannot be taken'
    inode=$(within stat -c %i /var/lib/lifeboat)
}
let_go() {
    echo go >release
    wait "$holder"
}
waits() { within cat /proc/locks | grep -qE "^[0-9]+: -> FLOCK .*:$inode "; }
ended() { [ "$(within systemctl show -p Job --value "$job")" = '' ]; }
waits_or_ended() { waits || ended; }
while read -r job <&3; do
    hold
    within systemctl start --no-block "$job"
    until_ 30 waits_or_ended || finding "$job: neither waits nor ends"
    waits || finding "$job does not wait for the lock of the store's folder"
    let_go
    # Until it has ended.
    want 0 systemctl start "$job"
    later 1
done 3<whole
echo "# $(paste -sd ' ' whole)"
[ "$(wc -l <whole)" -ge 2 ] || finding 'fewer than two such jobs'
verdict 'no two jobs of the whole store run at once: each waits for the one that is at it'

# --- destroyed ----------------------------------------------------------------------

# The last hourly backup, and what came after it, which only the standby has.
want 0 systemctl start lifeboat-backup@hourly.service
backed_up=$(digest)
backed_at=$now
later 59
mkevents 50 late | as evstore-append -q >/dev/null
until_ 60 same || finding 'the standby is behind'
had=$(digest)
[ "$had" != "$backed_up" ] || finding 'nothing came after the backup'
within tar -C /var/lib -cf - lifeboat-backup >backups.tar
[ -z "${OPERATIONS_JOURNAL-}" ] || within journalctl -q -o short-precise >"$OPERATIONS_JOURNAL/box"
container_kill box
rm -rf --one-file-system "$work/box"
verdict 'lightning: the box is gone, with its disk'

# shows WHAT SINCE LOST: against what the document wants.
shows() {
    local ms=$(($(date +%s%3N) - $2))
    printf '# %s: RTO %d.%03d s (of 2 h), RPO %d min (of 1 h)\n' "$1" $((ms / 1000)) $((ms % 1000)) "$3"
    [ "$ms" -lt 7200000 ] || finding 'that took too long'
    [ "$3" -lt 60 ] || finding 'too much was lost'
}

container_use standby
start=$(date +%s%3N)
want 0 env LIFEBOAT_NOW="$now" runuser -u lifeboat -- lifeboat-follow --promote box
want 0 systemctl enable -q --now lifeboat-http.service
until_ 60 answers || finding 'the front of the standby does not answer'
shows 'from the standby alone' "$start" 0
[ "$(digest)" = "$had" ] || finding "the standby has $(digest), the box had $had"
want 0 runuser -u lifeboat -- evstore-verify -q
failed
[ -z "${OPERATIONS_JOURNAL-}" ] || within journalctl -q -o short-precise >"$OPERATIONS_JOURNAL/standby"
container_kill standby
verdict 'the standby takes its place: the same digest, not one event is missing'

start=$(date +%s%3N)
prepare "$work/phoenix"
up phoenix
want 0 dpkg -i /lifeboat.deb
within sh -c 'systemctl stop "lifeboat-*.timer"'
within tar -C /var/lib -xpf - <backups.tar
want 0 env LIFEBOAT_NOW="$now" runuser -u lifeboat -- lifeboat-restore-latest --box /tmp/old
cp out restored.json
within sh -c 'cp -r /tmp/old/config/lifeboat/. /etc/lifeboat/ && lifeboat-token -q key --import && chown lifeboat: /etc/lifeboat/token.key' \
    <safe >out 2>&1 || finding "the configuration and the key: $(cat out)"
want 0 systemctl enable -q --now lifeboat-http.service
until_ 60 answers || finding 'the front does not answer'
shows 'from backups alone, Debian unpacked and the package installed' "$start" $(((now - backed_at) / 60000))
[ "$(digest)" = "$backed_up" ] || finding "it has $(digest), the box had $backed_up when it was backed up: $(cat restored.json)"
answers >out
jq_true '.site_id == "BORP-DNO-01"' out || finding "health: $(cat out)"
within curl -s -w '%{http_code}\n' -H "Authorization: Bearer $token" http://127.0.0.1:8080/api/dr/health >out
has out '200$' 'a token of before'
want 0 runuser -u lifeboat -- evstore-verify -q
failed
[ -z "${OPERATIONS_JOURNAL-}" ] || within journalctl -q -o short-precise >"$OPERATIONS_JOURNAL/phoenix"
verdict 'a blank box comes back from the backups alone: the digest of the last one, site, tokens and all'

# --- the package again --------------------------------------------------------------

main() { within systemctl show -p MainPID --value "$1"; }
# A check is at work meanwhile.
hold
within systemctl start --no-block lifeboat-verify.service
until_ 10 waits || finding 'the check does not wait'
front=$(main lifeboat-http.service) check=$(main lifeboat-verify.service)
want 0 dpkg -i /lifeboat.deb
until_ 60 answers || finding 'the front does not answer'
[ "$(main lifeboat-http.service)" != "$front" ] || finding 'the front was not restarted'
[ "$(main lifeboat-verify.service)" = "$check" ] || finding 'the check was stopped'
within sh -c 'systemctl is-active "lifeboat-*.timer"' <enabled >out || finding "timers: $(cat out)"
let_go
want 0 systemctl start lifeboat-verify.service
failed
verdict 'an upgrade restarts the front and starts the timers, and lets a job end that is at work'

# lighttpd opens its logs anew when they were put away.
logs() { within sh -c "readlink /proc/$(main lifeboat-http.service)/fd/*" | grep /var/log/lifeboat/ | sort -u; }
want 0 logrotate -f /etc/logrotate.d/lifeboat
[ ! -s out ] || finding "logrotate: $(cat out)"
want 0 test -s /var/log/lifeboat/lighttpd.log.1
until_ 10 within test -s /var/log/lifeboat/lighttpd.log
[ "$(logs)" = /var/log/lifeboat/lighttpd.log ] || [ "$(logs | paste -sd ' ')" = '/var/log/lifeboat/cgi.log /var/log/lifeboat/lighttpd.log' ] ||
    finding "the front writes to $(logs)"
verdict 'logrotate.conf: the front goes on in new logs'

install -D -m 755 /dev/stdin "$work/phoenix/etc/lifeboat/workers/letters" <<<$'#!/bin/sh\ncat'
want 0 systemctl enable -q --now lifeboat-work@letters.service
want 0 systemctl start lifeboat-metrics.service
want 0 test -e /run/lifeboat/lifeboat.prom
want 0 dpkg -r lifeboat
want 1 test -e /run/lifeboat
within sh -c 'systemctl list-units --no-legend --plain --state=active "lifeboat-*"' >out
[ ! -s out ] || finding "still runs: $(cat out)"
[ "$(within stat -c %U /var/lib/lifeboat/lifeboat.db)" = lifeboat ] || finding 'the store is gone'
failed
verdict 'removed: all of it has stopped, and the data is there'

want 0 dpkg -i /lifeboat.deb
until_ 60 answers || finding 'the front does not answer'
want 0 systemctl is-active lifeboat-http.service lifeboat-work@letters.service lifeboat-drill.timer
want 3 systemctl is-active lifeboat-cloud-sync.timer mirror-send.timer mirror-compare.timer
failed
verdict 'installed again: what was switched on runs, servers and instances too, and nothing else'

# --- as the manual has it -----------------------------------------------------------

# typed AFTER TO: the lines that lifeboat(7) has one type, from one line of it to another,
# after # by root, after $ by lifeboat.
typed() {
    sed -n "/$1/,/$2/p" "$top/man/lifeboat.7" | sed -n '/^\.Bd/,/^\.Ed/p' | grep -v '^\.' |
        sed 's/\\e/\\/g; s|/usr/local|/usr|g; s/^\$ exit$/END/; s/^# su - lifeboat$/su - lifeboat -s \/bin\/bash <<\\END/; s/^[#$] //'
}
want 0 touch /etc/lifeboat/purge-data
want 0 dpkg -P lifeboat
within sh -c 'find /etc /run /var ! -path "/var/lib/dpkg/*" ! -path "/var/log/*" -name "*lifeboat*"; systemctl list-units --no-legend --plain "lifeboat-*"' |
    grep -vE '/(tmp|log)/' >out
[ ! -s out ] || finding "left: $(cat out)"
want 0 systemctl unset-environment LIFEBOAT_NOW
want 0 dpkg -i /lifeboat.deb
typed '^.Sh FIRST' '^.Sh PIPE' | sed 's/| lpr/>paper/' >steps
[ "$(wc -l <steps)" -ge 10 ] || finding "the first steps: $(cat steps)"
want 0 bash -euc "$(cat steps)"
has out '"text":"it works"' 'the first event'
has out 'lifeboat-drill: ok: 1 events back' 'the drill'
has out 'lifeboat-verify.timer' 'the timers'
want 0 grep -q BORP-DNO-01 paper
[ "$(within stat -c %U /etc/lifeboat/token.key)" = lifeboat ] || finding 'the key is not for the front'
failed
verdict 'purged with its data nothing is left; the first steps of lifeboat(7), as they are typed'

want 0 install -d -o lifeboat -g lifeboat /srv/lifeboat
within sh -c 'echo LIFEBOAT_DB=/srv/lifeboat/lifeboat.db >>/etc/lifeboat/lifeboat.env'
# By root, and yet for the services.
want 0 evstore-append --type NOTE_ADDED --entity note/1 --actor ana '{}'
began=$(mark)
want 1 systemctl start lifeboat-metrics.service
since "$began" -o cat -u lifeboat-metrics >log
has log 'unable to make the folder /srv/lifeboat/status.*ReadWritePaths=.*lifeboat\(7\), LIFEBOAT_DB' 'what is to be done'
within systemctl reset-failed
typed '^.It Ev LIFEBOAT_DB$' '^.It Ev LIFEBOAT_SITE$' >steps
want 0 bash -euc "$(cat steps)"
for unit in $(units service | grep -v @) lifeboat-backup@hourly.service lifeboat-report@monthly.service; do
    [ "$unit" != lifeboat-http.service ] || continue
    want 0 systemctl start "$unit"
done
want 0 test -s /srv/lifeboat/status/drill.json -a -s /srv/lifeboat/status/maintain.json
want 1 test -e /var/lib/lifeboat/status/maintain.json
failed
verdict 'a store in another folder: who says what is missing, and what lifeboat(7) says of it'
conclude
