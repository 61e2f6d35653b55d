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

# Each file of the tree that is for users, and where it belongs: by kinds, with no help
# of scripts/layout.
belongs() {
    (
        cd "$top" || exit
        for f in "$build"/bin/*; do
            f=${f##*/}
            case $f in *.cgi) echo "bin/$f lib/cgi-bin/$f" ;; *) echo "bin/$f bin/$f" ;; esac
        done
        for f in man/*; do echo "$f share/man/man${f##*.}/${f##*/}"; done
        for f in lib/config/* scripts/notify.d/* lib/projectors/*; do echo "$f share/lifeboat/${f#*/}"; done |
            sed 's| share/lifeboat/config/| share/lifeboat/|'
        for f in lib/hub/*.sql; do [ ! -e "$f" ] || echo "$f share/lifeboat/${f#lib/}"; done
        find lib/page -type f | sed 's|lib/\(.*\)|& share/lifeboat/\1|'
        for f in systemd/*.service systemd/*.timer; do echo "$f lib/systemd/system/${f##*/}"; done
        echo systemd/lifeboat.sysusers lib/sysusers.d/lifeboat.conf
        echo systemd/lifeboat.tmpfiles lib/tmpfiles.d/lifeboat.conf
        echo systemd/lifeboat.preset lib/systemd/system-preset/90-lifeboat.preset
        for f in scripts/*; do
            [ -f "$f" ] || continue
            case ${f##*/} in
            # What builds, checks and tries out this tree.
            bare-root | bootstrap | check | completions | deb | layout | lint | page-version | walkaway) ;;
            *) if [ -e "man/${f##*/}.1" ]; then echo "$f bin/${f##*/}"; else echo "$f share/lifeboat/${f##*/}"; fi ;;
            esac
        done
    ) | sed "s|^bin/|${build#"$top"/}/bin/|"
}

@test "make install puts each file of the tree where it belongs, and nothing else" {
    belongs >wanted
    [ "$(wc -l <wanted)" -gt 100 ]
    while read -r from to; do
        cmp "$top/$from" "dest/usr/local/$to"
        if [ -x "$top/$from" ]; then [ -x "dest/usr/local/$to" ]; else [ ! -x "dest/usr/local/$to" ]; fi
    done <wanted
    installed | grep -v completion | grep -v /zsh/ | diff <(sed 's|.* |./usr/local/|' wanted | sort) -
}

@test "completions are where bash and zsh look for them" {
    while read -r c; do
        [ "$(readlink -f "dest/usr/local/share/bash-completion/completions/$c")" = \
            "$PWD/dest/usr/local/share/bash-completion/completions/lifeboat" ]
    done <"$build/completions/names"
    (cd dest/usr/local/share/bash-completion/completions && find . -type l) | cut -c 3- | sort | diff <(sort "$build/completions/names") -
    cmp "$build/completions/lifeboat" dest/usr/local/share/bash-completion/completions/lifeboat
    cmp "$build/completions/_lifeboat" dest/usr/local/share/zsh/site-functions/_lifeboat
    make -s -C "$top" -o all BUILD="${build##*/}" DESTDIR="$PWD/other" PREFIX=/usr install
    [ -e other/usr/share/zsh/vendor-completions/_lifeboat ]
}

@test "another PREFIX is in the paths of units, pages and examples" {
    make -s -C "$top" -o all BUILD="${build##*/}" DESTDIR="$PWD/other" PREFIX='/opt/a&b' install
    grep -E '^(ExecStart=| ).*/opt/a&b/bin/evstore-verify$' 'other/opt/a&b/lib/systemd/system/lifeboat-verify.service'
    run_split grep -aF /usr/local/bin 'other/opt/a&b/lib/cgi-bin/lifeboat.cgi'
    assert_status 1
    grep -rI /usr/local 'other/opt/a&b/lib/systemd' 'other/opt/a&b/share/lifeboat' 'other/opt/a&b/share/man' >left || :
    [ ! -s left ] || { cat left && false; }
    [ -x 'other/opt/a&b/bin/cloud-sync' ]
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
    # Beside it, of the user: also where only we have folders.
    theirs='bin/other lib/systemd/system/lifeboat-mine.service share/lifeboat/page/mine.html
        share/lifeboat/projectors/mine.jq share/man/man1/mine.1 share/zsh/site-functions/_mine'
    for f in $theirs; do touch "dest/usr/local/$f"; done
    make -s -C "$top" -o all BUILD="${build##*/}" DESTDIR="$PWD/dest" uninstall
    for f in $theirs; do echo "./usr/local/$f"; done | sort | diff - <(installed)
    for f in $theirs; do rm "dest/usr/local/$f"; done
    make -s -C "$top" -o all BUILD="${build##*/}" DESTDIR="$PWD/dest" install
    make -s -C "$top" -o all BUILD="${build##*/}" DESTDIR="$PWD/dest" uninstall
    [ -z "$(installed)" ]
    [ ! -e dest/usr/local/share/lifeboat ]
    [ -d dest/usr/local/bin ]
}

@test "make uninstall builds nothing, and of a PREFIX of its own it leaves no folder" {
    make -s -C "$top" -o all BUILD="${build##*/}" DESTDIR="$PWD/other" PREFIX=/opt/lb install
    [ -d other/opt/lb/share/man/man1 ]
    touch other/opt/lb/share/mine
    make -s -C "$top" BUILD="$PWD/none" DESTDIR="$PWD/other" PREFIX=/opt/lb uninstall
    [ ! -e none/bin ]
    [ "$(cd other/opt && find . | sort | paste -sd ' ')" = '. ./lb ./lb/share ./lb/share/mine' ]
    rm other/opt/lb/share/mine
    # Again, where most of it is gone.
    mkdir other/opt/lb/bin
    for again in 1 2; do
        make -s -C "$top" BUILD="$PWD/none" DESTDIR="$PWD/other" PREFIX=/opt/lb uninstall
    done
    [ "$(ls -A other)" = opt ]
    [ -z "$(find other/opt -name share -o -name bin)" ]
}

@test "sysusers and tmpfiles make the user and his folders" {
    command -v systemd-sysusers || skip 'systemd is not installed'
    [ "$(id -u)" -eq 0 ] || skip 'making users needs root'
    mkdir -p dest/etc
    systemd-sysusers --root="$PWD/dest" "$PWD/dest/usr/local/lib/sysusers.d/lifeboat.conf"
    grep -E '^lifeboat:.*:/var/lib/lifeboat:/bin/sh$' dest/etc/passwd
    systemd-tmpfiles --root="$PWD/dest" --create "$PWD/dest/usr/local/lib/tmpfiles.d/lifeboat.conf"
    [ "$(stat -c %a dest/var/lib/lifeboat dest/var/lib/lifeboat-backup dest/var/log/lifeboat | paste -sd ' ')" = '750 750 750' ]
    [ "$(stat -c %u dest/var/lib/lifeboat)" = "$(sed -n 's/^lifeboat:[^:]*:\([0-9]*\):.*/\1/p' dest/etc/passwd)" ]
}

@test "the lines for that in the runbook find what make install put" {
    command -v systemd-sysusers || skip 'systemd is not installed'
    [ "$(id -u)" -eq 0 ] || skip 'making users needs root'
    mkdir -p dest/etc
    sed -n 's/^# \(systemd-[a-z]*\) /\1 --root="$PWD"\/dest /p' "$top/man/lifeboat-recovery.7" >book
    [ "$(wc -l <book)" -eq 2 ]
    sh -e book
    grep '^lifeboat:' dest/etc/passwd
    [ -d dest/var/lib/lifeboat ]
    # The same in the README.
    grep -qF 'sudo systemd-sysusers lifeboat.conf && sudo systemd-tmpfiles --create lifeboat.conf' "$top/README.md"
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
