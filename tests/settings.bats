# lifeboat-settings: what holds, and where it was said.
# valgrind: .

load helper

# What lifeboat-settings says of one: VALUE|WHERE
of() { lifeboat-settings --json | jq -r --arg k "LIFEBOAT_$1" '.[$k] | "\(.value)|\(.from)"'; }

@test "the environment goes before the file, the file before what is usual; the last line of two holds" {
    printf '# ours\nLIFEBOAT_SITE=one\n\nLIFEBOAT_HUB="a b"\nLIFEBOAT_SITE=two\nPATH=/nowhere\n' >"$LIFEBOAT_ENV"
    [ "$(of SITE)" = "two|$LIFEBOAT_ENV:5" ]
    [ "$(of HUB)" = "a b|$LIFEBOAT_ENV:4" ]
    [ "$(of MIRROR_DIR)" = '/var/lib/mirror|as usual' ]
    [ "$(of LED)" = 'null|not set' ]
    export LIFEBOAT_SITE=three
    [ "$(of SITE)" = 'three|the environment' ]
    [ "$(of DB)" = "$PWD/lifeboat.db|the environment" ]
    # An empty text is no value, and hides that of the file.
    export LIFEBOAT_SITE='' LIFEBOAT_HUB=''
    [ "$(of SITE)" = 'main|as usual' ]
    [ "$(of HUB)" = 'null|not set' ]
}

@test "what it prints is what the commands go by" {
    unset LIFEBOAT_DB LIFEBOAT_WAIT
    printf "export LIFEBOAT_DB='%s/of the file.db'\r\nLIFEBOAT_SITE=clinic\n" "$PWD" >"$LIFEBOAT_ENV"
    mkevents 3 | evstore-restore -q
    [ -e "$(lifeboat-settings LIFEBOAT_DB)" ]
    [ "$(evstore-export --document --limit 0 | jq -r .site_id)" = "$(lifeboat-settings SITE)" ]
}

@test "values only, a line each; 1 if one has none" {
    run_split lifeboat-settings SITE LIFEBOAT_WAIT
    assert_status 0
    assert_out $'main\n10'
    run_split lifeboat-settings HUB SITE
    assert_status 1
    assert_out $'\nmain'
    run_split lifeboat-settings SIET
    assert_status 64 'SIET: no such setting'
    assert_out ''
}

@test "assignments: what a shell takes, whatever the value" {
    for v in "a b" "it's" "''" '$(touch harm)`touch harm`' 'a"b\c' '*' $'zwei\tW\303\266rter' '-n'; do
        printf 'LIFEBOAT_HUB=%s\n' "$v" >"$LIFEBOAT_ENV"
        wanted=$v
        [ "$v" != "''" ] || wanted=''
        got=$(eval "$(lifeboat-settings --sh)" && printf %s "${LIFEBOAT_HUB-}")
        [ "$got" = "$wanted" ]
        # One that is unset, or only usual, too.
        [ "$(dash -c 'eval "$(lifeboat-settings --sh)" && printf %s "${LIFEBOAT_LED-none} $LIFEBOAT_SITE"')" = 'none main' ]
    done
    [ ! -e harm ]
    export LIFEBOAT_HUB=$'two\nlines'
    [ "$(eval "$(lifeboat-settings --sh)" && printf %s "$LIFEBOAT_HUB")" = $'two\nlines' ]
}

@test "the table has each setting, and which line of which file said it" {
    echo 'LIFEBOAT_SITE=clinic' >"$LIFEBOAT_ENV"
    run_split lifeboat-settings
    assert_status 0
    [ "$(wc -l <"$OUT")" -eq "$(lifeboat-settings --json | jq length)" ]
    grep -qE "^LIFEBOAT_SITE +clinic +$LIFEBOAT_ENV:1\$" "$OUT"
    grep -qE '^LIFEBOAT_LED +- +not set$' "$OUT"
    # Each has its place in lifeboat(7), in this order.
    sed -n '/^\.Sh ENVIRONMENT/,/^\.Sh FILES/p' "$top/man/lifeboat.7" | sed -n 's/^\.It Ev //p' | tr -d ' ' | tr , '\n' >page
    cut -d ' ' -f 1 "$OUT" | sort | diff <(sort page) -
}

@test "the status folder is beside the store unless another is named" {
    [ "$(lifeboat-settings STATUS_DIR)" = "$PWD/status" ]
    [ "$(LIFEBOAT_DB=x.db lifeboat-settings STATUS_DIR)" = status ]
    [ "$(LIFEBOAT_STATUS_DIR=/x/ lifeboat-settings STATUS_DIR)" = /x/ ]
    [ "$(eval "$(lifeboat-settings --sh)" && echo "$LIFEBOAT_STATUS_DIR")" = "$PWD/status" ]
}

@test "a unit's condition: a store, one that was backed up, or neither; trouble is none of these" {
    run_split lifeboat-settings --store
    assert_status 254
    run_split lifeboat-settings --ever
    assert_status 254
    mkdir status && echo '{}' >status/backup.json
    run_split lifeboat-settings --store
    assert_status 254
    run_split lifeboat-settings --ever
    assert_status 0
    rm status/backup.json
    mkevents 1 | evstore-restore -q
    for o in --store --ever; do
        run_split lifeboat-settings $o
        assert_status 0
        assert_out ''
        LIFEBOAT_SIET=x run_split lifeboat-settings $o
        assert_status 255 'no such setting: LIFEBOAT_SIET'
        LIFEBOAT_ENV=none run_split lifeboat-settings $o
        assert_status 255 'unable to read the settings none'
        LIFEBOAT_DB=lifeboat.db/x run_split lifeboat-settings $o
        assert_status 254
        run_split lifeboat-settings $o x
        assert_status 255
    done
}

@test "a folder that is closed to us is trouble, not a store that is not there" {
    [ "$(id -u)" -eq 0 ] || skip 'needs root'
    # Where another user comes to as well, the command too.
    dir=$(mktemp -d /var/tmp/lifeboat-closed.XXXXXX)
    chmod 755 "$dir"
    cp "$build/bin/lifeboat-settings" "$dir"
    mkdir -m 700 "$dir/closed"
    : >"$dir/closed/x.db"
    LIFEBOAT_ENV=/dev/null LIFEBOAT_DB=$dir/closed/x.db run_split \
        setpriv --reuid=65534 --regid=65534 --clear-groups "$dir/lifeboat-settings" --store
    rm -r "$dir"
    assert_status 255 'unable to look at'
}

@test "usage, faulty settings, a full output" {
    run_split lifeboat-settings --json --sh
    assert_status 64 'one of --json'
    run_split lifeboat-settings --json SITE
    assert_status 64 'no operand'
    run_split lifeboat-settings --nonsense
    assert_status 64
    run_split sh -c 'lifeboat-settings >/dev/full'
    assert_status 74
    echo 'LIFEBOAT_SIET=x' >"$LIFEBOAT_ENV"
    run_split lifeboat-settings
    assert_status 78 "$LIFEBOAT_ENV:1: no such setting: LIFEBOAT_SIET"
}

@test "settings.bash: the status folder that root makes is for whoever has the one it is in" {
    [ "$(id -u)" -eq 0 ] || skip 'only root can do that'
    mkdir theirs
    chown 65534:65534 theirs
    export LIFEBOAT_DB=$PWD/theirs/lifeboat.db
    lifeboat-follow --watch
    [ "$(stat -c '%u:%g %a' theirs/status)" = '65534:65534 755' ]
    rmdir theirs/status
    bash -euc '. "$1/settings.bash"; settings_read; status_put x "{}"' x "$top/scripts"
    [ "$(stat -c '%u:%g %a' theirs/status)" = '65534:65534 755' ]
    [ "$(cat theirs/status/x.json)" = '{}' ]
    # One that is there stays as it is.
    chown 4242 theirs/status
    bash -euc '. "$1/settings.bash"; settings_read; status_put x "{}"' x "$top/scripts"
    [ "$(stat -c %u theirs/status)" = 4242 ]
}
