#!/usr/bin/env bash
# system.sh: the mirror on a real systemd, as TAP. A minimal Debian 12 is booted in a
# container, lifeboat installed into it by make install; in it are the new server, under
# lighttpd, and a handheld, reached over ssh. What it needs: tests/container.bash.
#
#   BUILD            what is installed (build)
#   SYSTEM_JOURNAL   a file that gets the container's journal, to look into
set -uo pipefail

top=$(cd "$(dirname "$0")/.." && pwd) || exit
exec </dev/null

work=$(mktemp -d /var/tmp/lifeboat-system.XXXXXX) || exit 73
root=$work/root
leave() {
    trap - EXIT
    container_leave
    rm -rf --one-file-system "$work"
}
cd "$work" || exit
# shellcheck source=tests/verdict.bash
. "$top/tests/verdict.bash"
# shellcheck source=tests/container.bash
. "$top/tests/container.bash"
trap leave EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

skip() {
    echo "ok - system: units, timers and notifications on a booted Debian (tests/mirrorctl.bats has a stand-in) # SKIP $why"
    exit 0
}
container_can "$root" || skip

make -s -C "$top" -o all BUILD="${BUILD:-build}" DESTDIR="$root" install || exit

# Before it boots: users, keys, and who is who.
prepare() {
    set -e
    systemd-sysusers lifeboat.conf
    useradd -m -s /bin/sh pi
    # Nothing of Debian's own that would want the network, or our port.
    systemctl -q mask lighttpd.service apt-daily.timer apt-daily-upgrade.timer
    printf '127.0.0.1 localhost onsite-handheld.local\n' >/etc/hosts
    echo lifeboat-box >/etc/hostname
    ln -sf /usr/share/zoneinfo/Asia/Tokyo /etc/localtime
    echo Asia/Tokyo >/etc/timezone
    : >/etc/default/locale
    adduser --quiet pi lifeboat
    install -d -o pi -g lifeboat -m 2750 /etc/onsitelogistics
    install -d -m 700 /root/.ssh
    install -d -o pi -g pi -m 700 /home/pi/.ssh
    ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
    install -o pi -g pi -m 600 /root/.ssh/id_ed25519.pub /home/pi/.ssh/authorized_keys
    sed 's/^/onsite-handheld.local /' /etc/ssh/ssh_host_ed25519_key.pub >/root/.ssh/known_hosts
    # As the runbook says.
    install -d /etc/lifeboat/notify.d /etc/mirrorctl /srv/rpi-server
    install -d -o lifeboat -g lifeboat /srv/rpi-server/logs /var/lib/mirror
    install -o lifeboat -g lifeboat -m 640 /dev/null /srv/rpi-server/logs/mirrorctl.log
    cp /usr/local/share/lifeboat/lighttpd.conf /etc/lifeboat/
    ln -s /usr/local/share/lifeboat/notify.d/* /etc/lifeboat/notify.d/
    echo 'LIFEBOAT_LED=/sys/devices/platform/leds/leds/ACT' >/etc/lifeboat/lifeboat.env
    systemctl -q enable lifeboat-http.service mirror-watch.timer mirror-rotate.timer
}
{
    declare -f prepare
    echo prepare
} | chroot "$root" bash >log 2>&1 || {
    cat log
    exit 70
}
# The three configurations are those of the runbook, but for who is asked, and for what
# has just arrived counting at once.
runbook old_cmd | jq '.old_cmd = "cat /srv/old.jsonl" | .lag = 0' >"$root/etc/lifeboat/mirror-compare.json"
runbook pi_zero_host >"$root/etc/mirrorctl/config.json"
runbook mirror_mode | jq -c '.mirror_endpoint = "http://127.0.0.1:8080/api/v1/scans"' >handheld.json
install -m 640 handheld.json "$root/etc/onsitelogistics/config.json"
chroot "$root" chown pi:lifeboat /etc/onsitelogistics/config.json

# --- the container ----------------------------------------------------------------

# What the hook journal wrote. (Not by -t: after a cursor that would pass over the first.)
told() { since "$1" | grep -F ' lifeboat['; }
ledger() { within jq -rc "${1-.result}" /var/lib/mirror/mirror_status.log; }
handheld() { within jq -c "$1" /etc/onsitelogistics/config.json; }

container_boot box "$root" || {
    [ $? -eq 2 ] || skip
    echo 'not ok 1 - the container boots'
    tail -n 40 console-box | sed 's/^/# /'
    exit 1
}
want 0 systemctl --failed --no-legend --plain
[ ! -s out ] || finding "failed at boot: $(cat out)"
want 0 curl -sf --retry 30 --retry-all-errors --retry-delay 1 http://127.0.0.1:8080/api/health
began=$(mark)
verdict 'Debian boots with the toolkit installed, and nothing fails'

# A light, where /sys has those of a Raspberry Pi.
within mount -t tmpfs tmpfs /sys/devices/platform
within mkdir -p /sys/devices/platform/leds/leds/ACT /sys/devices/platform/elsewhere
light=/sys/devices/platform/leds/leds/ACT
within sh -c "cd $light && echo '[none] timer' >trigger && echo 0 >brightness && echo 1 >max_brightness"

# The same scans on both sides.
for i in 1 2 3; do
    want 0 curl -sf -H 'Content-Type: application/json' -d \
        "{\"tag_id\":\"T$i\",\"order_id\":\"O$i\",\"location\":\"SHELF-0$i\",\"device_id\":\"HANDHELD-01\"}" \
        http://127.0.0.1:8080/api/v1/scans
done
want 0 runuser -u lifeboat -- sh -c "$(jq -r .new_cmd "$root/etc/lifeboat/mirror-compare.json")"
cp out "$root/srv/old.jsonl"
[ "$(jq -r .location out | sort | paste -sd ' ')" = 'SHELF-01 SHELF-02 SHELF-03' ] || finding "projection: $(cat out)"
want 0 test -s /srv/rpi-server/logs/mirror_requests.log
verdict 'scans arrive in the store and in the log of the mirror'

# --- start ------------------------------------------------------------------------

want 0 mirrorctl enable
[ "$(handheld .mirror_mode)" = true ] || finding "the handheld: $(handheld .)"
[ "$(handheld 'del(.mirror_mode)')" = "$(jq -c 'del(.mirror_mode)' handheld.json)" ] ||
    finding "more than mirror_mode was changed: $(handheld .)"
want 0 systemctl list-timers --no-legend
has out 'mirror-compare.timer +mirror-compare.service' 'list-timers'
has out '11:00:00 JST .*mirror-compare' 'two o clock UTC'
for t in mirror-watch mirror-rotate; do has out "$t.timer" 'list-timers'; done
want 0 systemctl is-enabled mirror-compare.timer
[ "$(ledger | tail -n 1)" = ENABLED ] || finding "the ledger: $(ledger .)"
verdict 'mirrorctl enable: the handheld mirrors, the timer runs, a new epoch begins'

# What the handheld cannot send waits, and the timer's unit tries again, with the
# configuration as mirrorctl has left it.
echo '{"tag_id":"T1","order_id":"O1","location":"SHELF-01"}' >"$root/scan.jsonl"
within runuser -u lifeboat -- mirror-send -q /scan.jsonl >out 2>&1
want 0 systemctl start mirror-send.service
want 1 runuser -u lifeboat -- mirror-send --status
has out '"leg":"primary".*"waiting":1' 'what waits'
want 0 jq -ce 'select(.status != 200)' /var/log/lifeboat/mirror-send.log
[ "$(within stat -c %U /var/log/lifeboat/mirror-send.log)" = lifeboat ] || finding 'the log is not of lifeboat'
verdict 'mirror-send.service reads what mirrorctl wrote, tries, and leaves what is not sent'

want 0 systemctl start mirror-compare.service
[ "$(ledger | tail -n 1)" = OK ] || finding "the ledger: $(ledger .)"
[ "$(ledger .equal | tail -n 1)" = 3 ] || finding "equal records: $(ledger .)"
for f in mirror_status.log ok_counter; do # the first line was root's
    [ "$(within stat -c '%U %a' "/var/lib/mirror/$f")" = 'lifeboat 644' ] ||
        finding "$f: $(within stat -c '%U %a' "/var/lib/mirror/$f")"
done
[ "$(within cat /var/lib/mirror/ok_counter)" = 1 ] || finding 'ok_counter is not 1'
[ "$(within stat -c '%U %a' /var/lib/lifeboat)" = 'lifeboat 750' ] || finding 'the folder of the store was opened'
verdict 'a run of mirror-compare.service is in the ledger, written by its user'

want 0 mirrorctl status
cp out five
[ "$(wc -l <five)" -eq 5 ] || finding "not five lines: $(cat five)"
has five '^Mirror Mode   : enabled$' status
has five '^OK Streak     : 1 days? \(target 14\)$' status
has five '^Last Compare  : [0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2} JST \(OK\)$' status
has five '^Last Diff     : ' status
has five '^Avg Latency   : ' status
verdict 'mirrorctl status prints the five lines of the document'

# --- watch ------------------------------------------------------------------------

at=$(mark)
want 0 systemctl start mirror-watch.service
told "$at" >log
has log 'mirror-ok: equal, OK streak 1 of 14' 'the journal'
verdict 'the watch says that all is well'

# What a hook of theirs may write of the system is the light, and that alone.
cat >"$root/etc/lifeboat/notify.d/probe" <<'END'
#!/bin/sh
for f in "$LIFEBOAT_LED/probe" /sys/devices/platform/elsewhere/probe /etc/probe /srv/probe /var/lib/mirror/probe /root/probe; do
    ! touch "$f" 2>/dev/null || echo "probe wrote $f" >&2
done
[ "$1" != unit-failed ] || echo "probe read $(jq -c '[.unit, .result, (.status | tonumber > 1)]')" >&2
END
chmod 755 "$root/etc/lifeboat/notify.d/probe"
# wrote LOG
wrote() { grep -o 'probe wrote .*' "$1" | paste -sd ' '; }

# One part is elsewhere; a webhook that nobody answers must not keep the others from it.
sed -i 's/SHELF-03/SHELF-09/' "$root/srv/old.jsonl"
install -m 600 /dev/stdin "$root/etc/lifeboat/webhook.url" <<<'http://127.0.0.1:1/services/T0/SECRET'
want 0 systemctl start mirror-compare.service
[ "$(ledger | tail -n 1)" = NG ] || finding "the ledger: $(ledger .)"
[ "$(within cat /var/lib/mirror/ok_counter)" = 0 ] || finding 'ok_counter is not 0'
within jq -ce 'select(.class == "changed" and .key == {tag_id: "T3", order_id: "O3"}
    and .fields == [{field: "location", old: "SHELF-09", new: "SHELF-03"}])' \
    /var/lib/mirror/mirror_diff.log >/dev/null || finding "mirror_diff.log: $(cat "$root/var/lib/mirror/mirror_diff.log")"
# (The kernel would list the timer whatever was chosen before.)
within sh -c "echo '[none] timer' >$light/trigger"
at=$(mark)
want 0 systemctl start mirror-watch.service
since "$at" >log
has log 'lifeboat\[[0-9]+\]: mirror-ng: NG for 1 day: 1 record differs' 'the journal'
has log 'notify.d/webhook: exit status 69' 'the webhook'
! grep -q SECRET log || finding 'the URL of the webhook is in the journal'
[ "$(within cat $light/trigger)" = timer ] || finding 'the light does not blink'
[ "$(wrote log)" = "probe wrote $light/probe" ] || finding "mirror-watch.service: $(wrote log)"
verdict 'NG is in ledger and details, told in the journal, and the light blinks'

# --- failure ----------------------------------------------------------------------

failing() { within systemctl show -p ActiveState --value "lifeboat-notify@mirror-compare.service.service" | grep -qx inactive &&
    told "$at" | grep -q unit-failed; }
rm "$root/etc/lifeboat/webhook.url"
mv "$root/srv/old.jsonl" "$root/srv/gone.jsonl"
at=$(mark)
want 1 systemctl start mirror-compare.service
until_ 30 failing || finding 'nobody was told of the failed unit'
told "$at" >log
has log 'unit-failed: mirror-compare.service failed: journalctl -u mirror-compare.service$' 'the journal'
[ "$(ledger | tail -n 1)" = ERROR ] || finding "the ledger: $(ledger .)"
[ "$(within cat $light/trigger $light/brightness | paste -sd ' ')" = 'none 1' ] || finding 'the light does not burn'
want 0 systemctl reset-failed mirror-compare.service
since "$at" | grep -F " lifeboat-notify[" >log
[ "$(wrote log)" = "probe wrote $light/probe" ] || finding "lifeboat-notify@.service: $(wrote log)"
has log 'probe read \["mirror-compare.service","exit-code",true\]' 'what systemd says'
at=$(mark)
want 0 systemctl start mirror-watch.service
told "$at" >log
has log 'mirror-error: the last comparison failed: .*old' 'the journal'
mv "$root/srv/gone.jsonl" "$root/srv/old.jsonl"
verdict 'a comparison that cannot be made: ERROR, OnFailure= and the watch tell of it'

# --- rotation ---------------------------------------------------------------------

logs=/srv/rpi-server/logs
lines() { within sh -c "zcat -f $logs/mirror_requests.log $logs/mirror_requests.log-* 2>/dev/null | wc -l"; }
before=$(lines)
[ "$before" -gt 0 ] || finding 'the log of the mirror is empty'
mode=$(within stat -c '%U %G %a' "$logs/mirror_requests.log")
want 0 systemctl start mirror-rotate.service
[ "$(within stat -c '%U %G %a' "$logs/mirror_requests.log")" = "$mode" ] ||
    finding 'no log in the place of the one that was rotated'
want 0 sh -c "ls $logs/mirror_requests.log-* /var/lib/mirror/mirror_diff.log-*"
[ "$(ledger | wc -l)" -gt 3 ] || finding 'the ledger was rotated'
want 0 curl -sf -H 'Content-Type: application/json' -d '{"tag_id":"T1","order_id":"O1","location":"SHELF-01"}' \
    http://127.0.0.1:8080/api/v1/scans
[ "$(lines)" -eq $((before + 1)) ] || finding "lines: $(lines) after $before and one more"
within stat -c '%U' "$logs/mirror_requests.log" | grep -qx lifeboat || finding 'the new log is not of lifeboat'
verdict 'the nightly rotation of the mirror'\''s logs, and the front that writes them goes on'

cp "$root/usr/local/share/lifeboat/logrotate.conf" "$root/etc/logrotate.d/lifeboat"
want 0 logrotate -f /etc/logrotate.d/lifeboat
[ ! -s out ] || finding "logrotate: $(cat out)"
want 0 sh -c "ls $logs/mirrorctl.log.1 /var/log/lifeboat/requests.log.1"
want 0 mirrorctl status
verdict 'logrotate.conf as installed, on the folders as the units make them'

# --- stop -------------------------------------------------------------------------

want 0 mirrorctl disable
[ "$(handheld .mirror_mode)" = false ] || finding "the handheld: $(handheld .)"
want 0 systemctl list-timers --no-legend --all
! grep -q mirror-compare out || finding "the timer is still there: $(grep mirror-compare out)"
want 1 systemctl is-enabled mirror-compare.timer
[ "$(ledger | tail -n 1)" = DISABLED ] || finding "the ledger: $(ledger .)"
want 0 mirrorctl status
has out '^Mirror Mode   : disabled$' status
at=$(mark)
want 0 systemctl start mirror-watch.service
told "$at" >log
[ ! -s log ] || finding "the watch of a mirror that is off: $(cat log)"
verdict 'mirrorctl disable: the handheld sends to the old server only, nothing runs, nobody is bothered'

want 0 systemctl stop ssh.service ssh.socket
want 69 mirrorctl enable
has out 'onsite-handheld' 'who is not reached'
want 1 systemctl is-enabled mirror-compare.timer
verdict 'a handheld that is not reached: nothing is switched on'

want 0 systemctl --failed --no-legend --plain
[ ! -s out ] || finding "failed: $(cat out)"
# What is wrong and was not provoked: the two runs without the old side, and the last step.
since "$began" -o cat -p err | grep -vE 'unit-failed: mirror-compare|mirror-error: the last|Failed to start mirror-compare|mirrorctl|onsite-handheld' >log
[ ! -s log ] || finding "errors in the journal: $(cat log)"
verdict 'no unit has failed, no error in the journal but those provoked'
[ -z "${SYSTEM_JOURNAL-}" ] || within journalctl -q -o short-precise >"$SYSTEM_JOURNAL"
conclude
