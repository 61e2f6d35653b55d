#!/usr/bin/env bats
# make install and uninstall, and the units as systemd reads them.

# plain

load helper

setup() {
    private_store
    # What is built is installed as it is, whatever flags it was built with.
    make -s -C "$top" -o all BUILD="${build##*/}" DESTDIR="$PWD/dest" install
}

installed() {
    (cd dest && find . -type f -o -type l | sort)
}

@test "make install puts commands, pages, reducers, scripts and units below DESTDIR" {
    for c in "$build"/bin/*; do
        case $c in
        *.cgi) cmp "$c" "dest/usr/local/lib/cgi-bin/${c##*/}" ;;
        *) cmp "$c" "dest/usr/local/bin/${c##*/}" ;;
        esac
    done
    for s in cloud-sync mirror-watch table-to-events $(cd "$top/scripts" && echo lifeboat-*); do
        cmp "$top/scripts/$s" "dest/usr/local/bin/$s"
        [ -x "dest/usr/local/bin/$s" ]
    done
    for h in journal led webhook; do
        cmp "$top/scripts/notify.d/$h" "dest/usr/local/share/lifeboat/notify.d/$h"
        [ -x "dest/usr/local/share/lifeboat/notify.d/$h" ]
    done
    for s in logrotate.conf alerts.yml $(cd "$top/scripts" && echo *.bash); do
        cmp "$top/scripts/$s" "dest/usr/local/share/lifeboat/$s"
    done
    dest/usr/local/bin/lifeboat-restore-latest --version
    for p in "$top"/man/*; do
        cmp "$p" "dest/usr/local/share/man/man${p##*.}/${p##*/}"
    done
    for p in "$top"/lib/projectors/*.jq; do
        cmp "$p" "dest/usr/local/share/lifeboat/projectors/${p##*/}"
    done
    for c in "$top"/lib/config/*.json; do
        cmp "$c" "dest/usr/local/share/lifeboat/${c##*/}"
    done
    diff -r "$top/lib/page" dest/usr/local/share/lifeboat/page
    cmp "$top/scripts/lighttpd.conf" dest/usr/local/share/lifeboat/lighttpd.conf
    for s in dpkg-events serve; do
        [ -x "dest/usr/local/share/lifeboat/$s" ]
    done
    for u in "$top"/systemd/*; do
        cmp "$u" "dest/usr/local/lib/systemd/system/${u##*/}"
    done
    [ "$(installed | grep -vc '^./usr/local/')" -eq 0 ]
}

@test "another PREFIX is in the paths of the units" {
    make -s -C "$top" -o all BUILD="${build##*/}" DESTDIR="$PWD/other" PREFIX=/usr install
    grep -x 'ExecStart=/usr/bin/kvcache -q purge' other/usr/lib/systemd/system/lifeboat-cache.service
    run_split grep -rI /usr/local other/usr/lib other/usr/share/lifeboat
    assert_status 1
}

@test "what is installed serves: the page, the front, by a command of its own" {
    command -v lighttpd || [ -x /usr/sbin/lighttpd ] || skip 'lighttpd is not installed'
    unset LIFEBOAT_BIN
    background serve dest/usr/local/share/lifeboat/serve -d "$LIFEBOAT_DB"
    wait_until 10 grep -qs '^http' serve.out
    url=$(cat serve.out)
    curl -sf "$url" | grep -q '<title>'
    curl -sf "${url}api/health" | jq_true '.site_id == "main"'
    curl -sf -d '{"restore_session_id":"s","source_device_id":"d","events":[],"events_count":0}' \
        "${url}api/dr/restore" | jq_true '.status == "COMPLETED"'
}

@test "make uninstall takes back what make install brought, and nothing else" {
    touch dest/usr/local/bin/other dest/usr/local/share/lifeboat/projectors/mine.jq
    make -s -C "$top" -o all BUILD="${build##*/}" DESTDIR="$PWD/dest" uninstall
    [ "$(installed)" = './usr/local/bin/other
./usr/local/share/lifeboat/projectors/mine.jq' ]
}

# The units with their paths turned to where they are installed here.
units() {
    mkdir units
    for u in dest/usr/local/lib/systemd/system/*; do
        sed "s|/usr/local/|$PWD/dest/usr/local/|" "$u" >"units/${u##*/}"
    done
}

@test "systemd finds no fault in the units" {
    units
    for u in units/*; do
        run_split systemd-analyze verify --man=no "./$u"
        assert_status 0
        [ -z "$errout" ] || show_run "wanted no remark on $u"
    done
}

@test "the services are hardened: exposure of 2.0 at most" {
    for u in "$top"/systemd/*.service; do
        run_split systemd-analyze security --offline=yes --threshold=20 "$u"
        assert_status 0
    done
}

@test "the units of the mirror: an answer is no failure, a failure is told, and time is limited" {
    for u in mirror-compare mirror-watch mirror-rotate; do
        grep -x 'OnFailure=lifeboat-notify@%n.service' "$top/systemd/$u.service"
        grep -x 'TimeoutStartSec=[1-9].*' "$top/systemd/$u.service"
    done
    for u in mirror-compare mirror-watch; do
        grep -x 'SuccessExitStatus=1' "$top/systemd/$u.service"
        grep -x 'After=network-online.target' "$top/systemd/$u.service"
    done
    # Nobody is told that nobody could be told.
    run_split grep ^OnFailure= "$top/systemd/lifeboat-notify@.service"
    assert_status 1
    grep -x 'OnCalendar=\*-\*-\* 02:00:00 UTC' "$top/systemd/mirror-compare.timer"
}

@test "the timers name their zone and make up for a night the box was off" {
    for t in "$top"/systemd/*.timer; do
        grep -x 'Persistent=true' "$t"
        spec=$(sed -n 's/^OnCalendar=//p' "$t")
        [[ $spec == *UTC ]]
        systemd-analyze calendar "$spec"
    done
}
