#!/usr/bin/env bats
# The Debian package: what is in it, and what it does to the Debian it comes to (in a
# folder, by chroot). On a booted one: tests/operations.sh.

# plain

load helper

setup_file() {
    command -v dpkg-shlibdeps || return 0
    SOURCE_DATE_EPOCH=$(git -C "$top" log -1 --format=%ct 2>/dev/null || echo 1767225600)
    export SOURCE_DATE_EPOCH
    deb=$top/$("$top/scripts/deb" 2>"$BATS_FILE_TMPDIR/log") || {
        cat "$BATS_FILE_TMPDIR/log"
        return 1
    }
    export deb
}

setup() {
    private_store
    [ -n "${deb-}" ] || skip 'dpkg-dev is not installed'
    # Not below /tmp, which may be mounted without devices.
    work=$(mktemp -d /var/tmp/lifeboat-deb.XXXXXX)
    root=$work/root
}

teardown() { [ -z "${work-}" ] || rm -rf --one-file-system "$work"; }

@test "lintian has nothing to say" {
    command -v lintian || skip 'lintian is not installed'
    run_split lintian --allow-root --fail-on error,warning "$deb"
    assert_status 0
    assert_out ''
}

@test "the same tree gives the same bytes, elsewhere, later, and for another user" {
    mkdir "$work/elsewhere"
    (cd "$top" && tar --exclude='./build*' --exclude=./.git -cf - .) | tar -C "$work/elsewhere" -xf -
    find "$work" -exec touch -hcd 2030-01-01 {} +
    (umask 077 && cd "$work/elsewhere" && TZ=Asia/Tokyo LC_ALL=C.UTF-8 HOME=/ scripts/deb out) >name
    cmp "$deb" "$work/elsewhere/$(cat name)"
}

@test "the package is all that make install puts under /usr, and what is Debian's" {
    make -s -C "$top" -o all BUILD="${build##*/}" PREFIX=/usr DESTDIR="$PWD/dest" install
    (cd dest && find . ! -type d) | sed 's|\(/man/.*\)|\1.gz|' | sort >installed
    dpkg-deb -c "$deb" | awk '$1 !~ /^d/ { print $6 }' | sort >packed
    comm -23 installed packed >missing
    comm -13 installed packed | diff - <(printf './%s\n' etc/lifeboat/lifeboat.env etc/lifeboat/lighttpd.conf \
        etc/logrotate.d/lifeboat usr/share/doc/lifeboat/{README.Debian,changelog.gz,copyright})
    [ ! -s missing ] || show missing
    # Nobody's programs are found by chance, nothing is writable by others.
    dpkg-deb -c "$deb" | awk '$2 != "root/root" || substr($1, 6, 1) == "w" || substr($1, 9, 1) == "w"' >loose
    [ "$(grep -vc '^l' loose)" -eq 0 ]
}

@test "every library that a program is linked with or loads is depended on" {
    dpkg-deb -f "$deb" Depends >depends
    for p in libc6 libsqlite3-0 libuuid1 libxxhash0; do grep -E "(^|, )$p \(>= [0-9]" depends; done
    # By dlopen, which dpkg-shlibdeps cannot see.
    grep -ohE 'dlopen\("[^"]*' "$top"/lib/*/*.c | sort -u | grep -c . | grep -x 1
    grep -F libjwt0 depends
    # A server that Debian starts at once, on port 80, comes with nobody who did not ask for it.
    dpkg-deb -f "$deb" Recommends >recommends
    run_split grep -F lighttpd recommends
    assert_status 1
    dpkg-deb -f "$deb" Suggests | grep -F 'lighttpd (>= 1.4.69)'
}

@test "the timers that are switched on wait for a store and need no configuration" {
    dpkg-deb -x "$deb" "$work/x"
    dpkg-deb -e "$deb" "$work/e"
    enabled=$(sed -n "s/^enabled='\(.*\)'/\1/p" "$work/e/postinst")
    [ "$(wc -w <<<"$enabled")" -ge 2 ]
    cd "$work/x/usr/lib/systemd/system"
    for t in $enabled; do
        s=$(sed -n 's/^Unit=//p' "$t")
        s=${s:-${t%.timer}.service}
        [ -e "$s" ] || s=${s%%@*}@.service
        # Its metrics say that there is none.
        [ "$t" != lifeboat-metrics.timer ] || continue
        grep -E '^(ExecCondition=/usr/bin/lifeboat-settings --(store|ever)|ConditionPathExistsGlob=/var/lib/lifeboat/.*)$' "$s" || {
            echo "$t: $s has no condition"
            false
        }
    done
    # All of ours but the one that needs a configuration, and nobody else's.
    printf '%s\n' lifeboat-*.timer | grep -vx lifeboat-cloud-sync.timer | diff - <(tr ' ' '\n' <<<"$enabled" | sort)
}

@test "no unit and no page names a place that the package does not use" {
    dpkg-deb -x "$deb" "$work/x"
    run_split grep -rIl /usr/local "$work/x/usr/lib/systemd" "$work/x/usr/share/lifeboat" "$work/x/etc"
    assert_status 1
    run_split sh -c "zcat '$work'/x/usr/share/man/man*/*.gz | grep /usr/local"
    assert_status 1
}

@test "each setting there is stands in lifeboat.env" {
    lifeboat-settings | sed 's/^LIFEBOAT_\([A-Z_]*\) .*/\1/' >known
    [ "$(wc -l <known)" -ge 19 ]
    while read -r k; do
        case $k in ENV | NOW) continue ;; esac # of the environment alone
        grep -q "^#LIFEBOAT_$k=" "$top/scripts/lifeboat.env" || {
            echo "$k is not there"
            false
        }
    done <known
}

show() { cat "$1" && false; }

# --- a Debian -----------------------------------------------------------------------

debian_here() {
    # shellcheck source=/dev/null
    . "$top/tests/container.bash"
    [ "$(id -u)" -eq 0 ] || skip 'a chroot needs root'
    unshare --mount true 2>/dev/null || skip 'no mounts of its own can be had here'
    debian "$root" || skip "$why"
    cp "$deb" "$root/lifeboat.deb"
    inside dpkg -i /lifeboat.deb
}
# inside COMMAND...: mounts end with it. No daemon is started, as there is none to start it.
inside() {
    unshare --mount sh -euc 'mount -t proc proc "$0/proc"
        exec chroot "$0" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"' "$root" "$@" </dev/null
}
# older VERSION: the same package as that version.
older() {
    dpkg-deb -R "$root/lifeboat.deb" "$work/older"
    sed -i "s/^Version: .*/Version: $1/" "$work/older/DEBIAN/control"
    "${@:2}"
    dpkg-deb -b "$work/older" "$root/older.deb"
}
files() { (cd "$root" && find etc usr var/lib ! -path 'var/lib/dpkg/*' ! -path 'var/lib/systemd/*' -ls | awk '{ print $3, $5, $6, $11, $12, $13 }' | sort -k 4); }

@test "installed: user and folders, what is switched on, and commands that work" {
    debian_here
    [ "$(inside getent passwd lifeboat | cut -d : -f 6,7)" = /var/lib/lifeboat:/bin/sh ]
    # There is no password that would let anybody in.
    inside getent shadow lifeboat | cut -d : -f 2 | grep '^!'
    for f in 'lifeboat lifeboat 750 /var/lib/lifeboat' 'lifeboat lifeboat 750 /var/lib/lifeboat-backup' \
        'lifeboat lifeboat 750 /var/log/lifeboat' 'root root 755 /etc/lifeboat/notify.d'; do
        [ "$(inside stat -c '%U %G %a %n' "${f##* }")" = "$f" ]
    done
    # (Links of another root.)
    [ -L "$root/etc/systemd/system/timers.target.wants/lifeboat-verify.timer" ]
    [ ! -L "$root/etc/systemd/system/multi-user.target.wants/lifeboat-http.service" ]
    [ ! -L "$root/etc/systemd/system/timers.target.wants/lifeboat-cloud-sync.timer" ]
    mkevents 20 >"$root/events.jsonl"
    inside runuser -u lifeboat -- evstore-append -q /events.jsonl
    inside runuser -u lifeboat -- evstore-verify -q
    # All that is needed is there: what make install would miss is missed here.
    inside sh -c 'for f in /usr/bin/evstore-verify /usr/bin/mirror-compare /usr/lib/cgi-bin/lifeboat.cgi; do ldd $f; done' >libraries
    run_split grep 'not found' libraries
    assert_status 1
    inside dpkg --audit >audit
    [ ! -s audit ]
}

# As the first boot of an image does it, whose machine-id is not set yet.
@test "where systemd decides for all units, what is on is what the package switches on" {
    debian_here
    on() { inside systemctl --no-legend list-unit-files --state=enabled 'lifeboat-*' 'mirror-*' | cut -d ' ' -f 1 | sort; }
    on >wanted
    [ "$(wc -l <wanted)" -ge 10 ]
    inside systemctl enable -q mirror-send.timer lifeboat-http.service
    inside systemctl disable -q lifeboat-verify.timer
    inside systemctl preset-all
    on | diff wanted -
}

@test "an upgrade keeps what the administrator changed and switched off" {
    debian_here
    inside dpkg -P lifeboat
    older 0.0.9 sh -c "echo '# a line of before' >>$work/older/etc/lifeboat/lifeboat.env"
    inside dpkg -i /older.deb
    echo LIFEBOAT_SITE=BORP-DNO-01 >>"$root/etc/lifeboat/lifeboat.env"
    echo '{}' >"$root/etc/lifeboat/http.json"
    inside systemctl disable lifeboat-verify.timer
    [ -L "$root/etc/lifeboat/notify.d/journal" ]
    rm "$root/etc/lifeboat/notify.d/journal"
    echo 1 >"$root/var/lib/lifeboat/lifeboat.db"
    inside dpkg --force-confold -i /lifeboat.deb
    [ "$(inside dpkg-query -W -f '${Version}' lifeboat)" = "$(dpkg-deb -f "$deb" Version)" ]
    grep -x LIFEBOAT_SITE=BORP-DNO-01 "$root/etc/lifeboat/lifeboat.env"
    [ -e "$root/etc/lifeboat/lifeboat.env.dpkg-dist" ]
    [ -e "$root/etc/lifeboat/http.json" ]
    [ ! -L "$root/etc/systemd/system/timers.target.wants/lifeboat-verify.timer" ]
    [ ! -L "$root/etc/lifeboat/notify.d/journal" ]
    [ "$(cat "$root/var/lib/lifeboat/lifeboat.db")" = 1 ]
}

@test "removed and purged: the data stays, and of the package nothing" {
    debian_here
    inside dpkg -P lifeboat
    files >before # with the user, the folders
    inside dpkg -i /lifeboat.deb
    echo 1 >"$root/var/lib/lifeboat/lifeboat.db"
    echo 1 >"$root/var/lib/lifeboat-backup/one"
    echo 1 >"$root/etc/lifeboat/token.key"
    # What the administrator switched on; what timers leave; the last metrics; his own unit.
    inside systemctl enable -q lifeboat-http.service lifeboat-work@q1.service lifeboat-follow@box2.service
    touch "$root/etc/systemd/system/lifeboat-mine@.service"
    ln -s ../lifeboat-mine@.service "$root/etc/systemd/system/multi-user.target.wants/lifeboat-mine@1.service"
    install -D -m 644 /dev/null "$root/var/lib/systemd/timers/stamp-lifeboat-verify.timer"
    install -D -m 644 /dev/null "$root/run/lifeboat/lifeboat.prom"
    echo LIFEBOAT_SITE=BORP-DNO-01 >>"$root/etc/lifeboat/lifeboat.env"
    inside dpkg -r lifeboat
    [ ! -e "$root/run/lifeboat" ]
    [ -e "$root/etc/lifeboat/lifeboat.env" ]
    [ -L "$root/etc/systemd/system/multi-user.target.wants/lifeboat-work@q1.service" ]
    find "$root/usr" -name '*lifeboat*' >left
    [ ! -s left ] || show left
    inside dpkg -P lifeboat
    cat "$root/var/lib/lifeboat/lifeboat.db" "$root/var/lib/lifeboat-backup/one" "$root/etc/lifeboat/token.key"
    rm "$root/var/lib/lifeboat/lifeboat.db" "$root/var/lib/lifeboat-backup/one"
    rm -r "$root/etc/lifeboat"
    grep -x LIFEBOAT_SITE=BORP-DNO-01 "$root/var/backups/lifeboat.env"
    [ -e "$root/etc/systemd/system/multi-user.target.wants/lifeboat-mine@1.service" ]
    rm "$root/etc/systemd/system/multi-user.target.wants/lifeboat-mine@1.service" "$root/etc/systemd/system/lifeboat-mine@.service"
    files | diff before -
    find "$root/etc/systemd" "$root/var/lib/systemd" -name '*lifeboat*' -o -name 'mirror-*' >left
    [ ! -s left ] || show left
}

@test "purged with /etc/lifeboat/purge-data: the data goes, but not another disk's" {
    debian_here
    echo 1 >"$root/var/lib/lifeboat/lifeboat.db"
    echo 1 >"$root/var/lib/lifeboat-backup/one"
    echo 1 >"$root/etc/lifeboat/token.key"
    touch "$root/etc/lifeboat/purge-data"
    echo LIFEBOAT_SITE=BORP-DNO-01 >>"$root/etc/lifeboat/lifeboat.env"
    inside dpkg -r lifeboat
    [ -e "$root/var/lib/lifeboat/lifeboat.db" ]
    inside sh -euc 'mount -t tmpfs tmpfs /var/lib/lifeboat-backup
        echo 1 >/var/lib/lifeboat-backup/disk
        dpkg -P lifeboat
        cat /var/lib/lifeboat-backup/disk' >log 2>&1
    grep -F '/var/lib/lifeboat-backup: another disk is mounted there' log
    grep -x 1 log
    for f in /var/lib/lifeboat /var/lib/mirror /var/log/lifeboat /etc/lifeboat /var/backups/lifeboat.env; do [ ! -e "$root$f" ]; done
    [ -e "$root/var/lib/lifeboat-backup/one" ] # beneath it
}
