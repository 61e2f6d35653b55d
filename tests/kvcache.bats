#!/usr/bin/env bats
# kvcache: values with a time to live, and commands that are run once for a key.
# valgrind: exactly as they were set|told to who watches|JSON lines that come back|bad lines|ends first|are deleted|is shown again|other fingerprint|is passed on
# shellcheck disable=SC2002,SC2094 # pipes are wanted; cmp only reads

load helper

teardown() {
    [ -z "${feed-}" ] || exec {feed}>&-
    [ -z "${mounted-}" ] || umount -l "$mounted"
    stop_background
}

cell() { sqlite3 "$LIFEBOAT_DB" "$1"; }

# is_stored N: so many values are there, expired or not.
is_stored() { [ "$(cell 'SELECT count(*) FROM django_cache')" = "$1" ]; }

# stat FILTER: true of the statistics.
stat_is() { kvcache stats | jq_true "$1"; }


# keys_of NS: the keys there are, in order
keys_of() { cell "SELECT cache_key FROM django_cache WHERE namespace = '$1' ORDER BY 1" | paste -sd ' '; }

# over TABLE WHERE: these have no time left, by the clock of this boot.
over() { cell "UPDATE $1 SET expires_boot_ms = 1 WHERE $2"; }

# in_other_boot TABLE WHERE: these were stored before the box was started.
in_other_boot() {
    cell "UPDATE $1 SET expires_boot_id = '00000000-0000-0000-0000-000000000000' WHERE $2"
}

# Of the default time to live some seconds may be over.
a_day() { sed -i 's/"ttl":86[34][0-9][0-9]}/"ttl":86400}/' "$OUT"; }

make_shim() {
    [ -z "$checker" ] || skip 'the shim is for plain builds'
    "${CC:-cc}" -std=c11 -D_GNU_SOURCE -O2 -fPIC -shared -o mishap.so \
        "$top/tests/tools-preload/mishap.c" -ldl
}

# --- values -------------------------------------------------------------------------

@test "values come back exactly as they were set" {
    kvcache -q set json '{"b": 1.0,  "a":[1e3]}'
    kvcache -q set text 'two words'
    kvcache -q set empty ''
    printf '\0\1\377\n\n' >bytes
    kvcache -q set bytes <bytes
    printf 'no line end' | kvcache -q set short
    run_split kvcache get json
    assert_status 0
    printf '%s' '{"b": 1.0,  "a":[1e3]}' | cmp - "$OUT"
    run_split kvcache get text
    printf 'two words' | cmp - "$OUT"
    run_split kvcache get empty
    assert_status 0
    [ ! -s "$OUT" ]
    run_split kvcache get bytes
    cmp bytes "$OUT"
    run_split kvcache get short
    assert_out 'no line end'
    kvcache -q set text other
    run_split kvcache get text
    assert_out other
}

@test "set says what it did, and -q says nothing" {
    run_split kvcache set a 1
    assert_status 0
    [ "$errout" = 'kvcache: 1 received: 1 set, 0 rejected; 0 evicted' ]
    [ ! -s "$OUT" ]
    run_split kvcache set -q a 2
    [ -z "$errout" ]
}

@test "a key that is not there: nothing is printed, and 1" {
    kvcache -q set a 1
    run_split kvcache get b
    assert_status 1
    [ -z "$out$errout" ]
    run_split kvcache get -n other a
    assert_status 1
    run_split kvcache -d nowhere.db get a
    assert_status 66 'nowhere.db: no such store'
}

@test "several keys, or --json: JSON lines that come back into another store as they were" {
    kvcache -q set json '{"b": 1.0,
        "a":[1e3]}'
    kvcache -q set text $'two "words"\n'
    kvcache -q set string '"a string"'
    kvcache -q set -n deep number 7 --ttl 900
    printf '\0\377' | kvcache -q set bytes
    run_split kvcache get json text none string bytes
    assert_status 1
    a_day
    [ "$(jq -c .key "$OUT" | paste -sd ' ')" = '"json" "text" "string" "bytes"' ]
    assert_line '{"key":"json","value":{"b":1.0,"a":[1e3]},"ttl":86400}'
    assert_line '{"key":"text","value":"two \"words\"\n","is_json":false,"ttl":86400}'
    assert_line '{"key":"string","value":"a string","ttl":86400}'
    assert_line '{"key":"bytes","value_base64":"AP8=","ttl":86400}'
    cp "$OUT" lines
    run_split kvcache get --json -n deep number
    assert_status 0
    jq_true '.key == "number" and .namespace == "deep" and .value == 7 and .ttl <= 900 and .ttl > 800' "$OUT"
    cat "$OUT" >>lines
    run_split kvcache -d other.db set <lines
    assert_status 0 '5 received: 5 set, 0 rejected'
    for k in text string bytes; do
        kvcache get "$k" >here
        kvcache -d other.db get "$k" | cmp - here
    done
    [ "$(kvcache -d other.db get -n deep number)" = 7 ]
}

@test "keys from standard input: as they are, as JSON strings, in objects" {
    for k in a 'b c' d; do kvcache -q set "$k" "\"$k\""; done
    kvcache -q set -n n e '"e"'
    printf '%s\n' a '  b c ' '"d"' '' '{"namespace":"n","key":"e","more":[1]}' gone '"bad' >keys
    run_split kvcache get --rejects odd <keys
    assert_status 1 'standard input:7: byte '
    [ "$(jq -r .value "$OUT" | paste -sd,)" = 'a,b c,d,e' ]
    [ "$(cat odd)" = '"bad' ]
}

@test "get answers each line before it waits for the next" {
    kvcache -q set a 1
    mkfifo ask
    background answer sh -c 'exec kvcache get <ask'
    exec {feed}>ask
    echo a >&"$feed"
    wait_until 5 grep -q '"key":"a"' answer.out
    exec {feed}>&-
    feed=
    wait "$pid"
}

@test "bad lines are named with their place and reason, and the others set" {
    printf '%s\n' '{"key":"a","value":1}' '{"key":"b"}' '' 'nonsense' '{"key":"c","value":1,"tll":5}' \
        '{"key":"d","value":{"e":2}}' "{\"key\":\"e\",\"value\":\"$(printf %0200d 0)\"}" \
        '{"key":"f","value":1,"ttl":0}' >in
    run_split kvcache set --rejects odd --max-line 190 <in
    assert_status 1 'kvcache: standard input:2: byte 22: value: missing'
    [[ $errout == *'standard input:4: byte 35: '* ]]
    [[ $errout == *'standard input:5: byte 65: no such member: wants key, namespace'* ]]
    [[ $errout == *'standard input:7: byte '*': longer than 190 bytes (--max-line)'* ]]
    [[ $errout == *'standard input:8: byte '*': ttl: wants whole seconds'* ]]
    [[ $errout == *'7 received: 2 set, 5 rejected; 0 evicted'* ]]
    [ "$(cat odd)" = "$(sed -n '2p;4p;5p;7p;8p' in)" ]
    [ "$(keys_of '')" = 'a d' ]
}

@test "a pipe that trickles is durable line by line" {
    mkfifo pipe
    background set sh -c 'exec kvcache set <pipe'
    exec {feed}>pipe
    echo '{"key":"a","value":1}' >&"$feed"
    wait_until 5 eval '[ "$(kvcache get a 2>/dev/null)" = 1 ]'
    echo '{"key":"b","value":2}' >&"$feed"
    wait_until 5 eval '[ "$(kvcache get b)" = 2 ]'
    kill "$pid"
    exec {feed}>&-
    feed=
    wait "$pid" || [ $? -eq 143 ]
    [[ $(<set.err) == *'2 received: 2 set'* ]]
}

@test "many lines at once, in several transactions" {
    seq 25000 | sed 's/.*/{"key":"k&","value":{"n":&},"namespace":"many"}/' >in
    run_split kvcache set <in
    assert_status 0 '25000 received: 25000 set, 0 rejected'
    [ "$(cell 'SELECT entries || "," || size FROM cache_namespace')" = \
        "$(cell 'SELECT count(*) || "," || sum(length(cache_key) + length(value)) FROM django_cache')" ]
    seq 25000 | sed 's/^/k/' >keys
    kvcache get -n many <keys >got
    [ "$(wc -l <got)" -eq 25000 ]
    run_split kvcache delete -n many <keys
    assert_status 0 '25000 received: 25000 deleted, 0 not there, 0 rejected'
    is_stored 0
}

@test "keys: 1 to 255 bytes of UTF-8 without control characters" {
    long=$(printf %0255d 0)
    kvcache -q set "$long" 1
    kvcache -q set '手術 é' 2
    [ "$(kvcache get "$long")$(kvcache get '手術 é')" = 12 ]
    for k in "${long}0" '' $'a\tb' $'a\xff' $'\x7f'; do
        run_split kvcache set "$k" 1
        assert_status 64 'not a key: wants 1 to 255 bytes'
        run_split kvcache get "$k"
        assert_status 64
        run_split kvcache delete "$k"
        assert_status 64
        run_split kvcache run "$k" -- touch ran
        assert_status 125
    done
    [ ! -e ran ]
    run_split kvcache get -n $'\n' a
    assert_status 64 '--namespace: not a namespace'
}

@test "values of 16 MiB are taken, longer ones refused" {
    head -c 16777216 /dev/zero >large
    kvcache -q set large <large
    kvcache get large | cmp - large
    echo >>large
    run_split kvcache set larger <large
    assert_status 65 'larger: value: longer than 16 MiB'
    run_split kvcache get larger
    assert_status 1
    { printf '{"key":"l","value_base64":"'; base64 -w0 large; echo '"}'; } >line
    run_split kvcache set --max-line 30000000 <line
    assert_status 1 'value: longer than 16 MiB'
}

@test "--json takes nothing but JSON, --text anything for bytes" {
    run_split kvcache set --json a '{"b":}'
    assert_status 65 'a: byte 5: '
    kvcache -q set --json a '[1]'
    kvcache -q set --text b '[1]'
    run_split kvcache get a b
    a_day
    assert_line '{"key":"a","value":[1],"ttl":86400}'
    assert_line '{"key":"b","value":"[1]","is_json":false,"ttl":86400}'
    run_split kvcache set --json --text a 1
    assert_status 64
}

# --- time to live -------------------------------------------------------------------

@test "a value is gone when its time is over" {
    kvcache -q set --ttl 1 a 1
    [ "$(kvcache get a)" = 1 ]
    wait_until 3 eval '! kvcache get a'
    is_stored 1 # a reader leaves it to others
    kvcache -q set a 2
    [ "$(kvcache get a)" = 2 ]
    for t in 0 -1 x 3651d; do
        run_split kvcache set --ttl "$t" b 1
        assert_status 64 '--ttl: '
    done
}

@test "the wall clock set back and forth makes nothing expire early or live on" {
    for now in 1000 1768000000000 99000000000000; do
        LIFEBOAT_NOW=$now kvcache -q set --ttl 60 "at$now" 1
        LIFEBOAT_NOW=$now kvcache -q run --ttl 60 "at$now" -- echo "ran at $now"
    done
    for now in 0 1768000000000 99999000000000; do
        for k in at1000 at1768000000000 at99000000000000; do
            [ "$(LIFEBOAT_NOW=$now kvcache get "$k")" = 1 ]
            [ "$(LIFEBOAT_NOW=$now kvcache run "$k" -- false)" = "ran at ${k#at}" ]
        done
        LIFEBOAT_NOW=$now kvcache -q purge
    done
    is_stored 3
    over django_cache 1
    over idempotency_cache 1
    for now in 0 1768000000000; do
        run_split env LIFEBOAT_NOW=$now kvcache get at1768000000000
        assert_status 1
    done
    LIFEBOAT_NOW=0 kvcache -q purge
    is_stored 0
    [ "$(cell 'SELECT count(*) FROM idempotency_cache')" = 0 ]
}

@test "after a reboot the wall clock counts" {
    export LIFEBOAT_NOW=1768000000000
    kvcache -q set --ttl 60 a 1
    kvcache -q run --ttl 60 a -- echo one
    in_other_boot django_cache 1
    in_other_boot idempotency_cache 1
    [ "$(LIFEBOAT_NOW=1768000059999 kvcache get a)" = 1 ]
    [ "$(LIFEBOAT_NOW=1768000059999 kvcache run a -- echo two)" = one ]
    run_split env LIFEBOAT_NOW=1768000060000 kvcache get a
    assert_status 1
    LIFEBOAT_NOW=1768000060000 kvcache stats | jq_true '.expired == 1 and .results_expired == 1'
    [ "$(LIFEBOAT_NOW=1768000060000 kvcache run a -- echo two)" = two ]
}

# --- policies ------------------------------------------------------------------------

@test "the policies of the documents" {
    for p in query:300 statistics:3600 static:86400 session:1800; do
        kvcache -q set --policy "${p%:*}" "$p" 1
        kvcache get --json "$p" | jq_true ".ttl <= ${p#*:} and .ttl > ${p#*:} - 60"
    done
    kvcache -q set --policy query --ttl 10 a 1
    kvcache get --json a | jq_true '.ttl <= 10'
    run_split kvcache set --policy nothing a 1
    assert_status 64 '--policy: nothing: there is none of this name in '
}

@test "the site's own policies; what is wrong in them is named" {
    mkdir conf
    export LIFEBOAT_CONFIG=$PWD/conf
    printf '%s\n' '{ "max_size": "1K",' '"policies": { "p":' \
        '{ "ttl": 40, "namespace": "ns", "max_size": 100 }, "q": { "ttl": "2m" } } }' >conf/cache.json
    kvcache -q set --policy p a 1
    kvcache get --policy p --json a | jq_true '.ttl <= 40 and .namespace == "ns"'
    run_split kvcache set --policy p b "$(printf %0100d 0)"
    assert_status 65 'b: value: larger than the namespace may hold, 100 bytes'
    run_split kvcache set --policy q b "$(printf %01024d 0)"
    assert_status 65 'larger than the namespace may hold, 1024 bytes'
    kvcache -q set --policy p -n other c 1
    [ "$(kvcache get -n other c)" = 1 ]
    for bad in '{"policies":{"p":{"tll":1}}}' '{"policies":{"p":{"ttl":"0"}}}' '{"max_size":"1KB"}' \
        '{"policies":{"p":1}}' '{"more":1}' '{"policies":{},"policies":{}}' '{"policies":{"p":{"ttl":1}' \
        '{"policies":{"p":{"namespace":"\n"}}}'; do
        echo "$bad" >conf/cache.json
        run_split kvcache set a 1
        assert_status 78 'conf/cache.json:'
    done
    # Without a file of the site's own the shipped one holds.
    rm conf/cache.json
    kvcache -q set --policy query a 1
    run_split kvcache set --policy p a 1
    assert_status 64 'p: there is none of this name in'
}

# --- room ----------------------------------------------------------------------------

@test "a namespace that is full loses what ends first" {
    v=$(printf %098d 0) # 100 bytes with its key
    kvcache -q set -n n k3 "$v" --ttl 3000
    kvcache -q set -n n k1 "$v" --ttl 1000
    kvcache -q set -n n k2 "$v" --ttl 2000
    kvcache -q set k0 "$v" --ttl 100
    run_split kvcache set -n n --max-size 300 k4 "$v" --ttl 500
    assert_status 0 '1 set, 0 rejected; 1 evicted'
    [ "$(keys_of n)" = 'k2 k3 k4' ]
    # What is set anew counts only once, and is never its own victim.
    run_split kvcache set -n n --max-size 300 k4 "$v" --ttl 400
    assert_status 0 '; 0 evicted'
    run_split kvcache set -n n --max-size 300 k3 "$v$v" --ttl 200
    assert_status 0 '; 1 evicted'
    [ "$(keys_of n)" = 'k2 k3' ]
    run_split kvcache set -n n --max-size 200 k3 "$v" --ttl 200
    assert_status 0 '; 0 evicted'
    run_split kvcache set -n n --max-size 199 k3 "$v" --ttl 200
    assert_status 0 '; 1 evicted'
    [ "$(keys_of n)" = k3 ]
    [ "$(keys_of '')" = k0 ]
    stat_is '.evictions == 3 and .size == 200 and .entries == 2'
    kvcache stats | jq_true '.namespaces == [{namespace: "", entries: 1, size: 100, expired: 0},
        {namespace: "n", entries: 1, size: 100, expired: 0}]'
}

@test "what other boots left goes by how long it has got by the wall clock" {
    export LIFEBOAT_NOW=1768000000000
    v=$(printf %098d 0)
    for k in a1:1000 b2:2000 a3:3000 b4:4000; do kvcache -q set "${k%:*}" "$v" --ttl "${k#*:}"; done
    in_other_boot django_cache "cache_key LIKE 'b%'"
    for want in 'a3 b2 b4 n1' 'a3 b4 n1 n2' 'b4 n1 n2 n3' 'n1 n2 n3 n4'; do
        kvcache -q set --max-size 400 "n$((++n))" "$v" --ttl 1d
        [ "$(keys_of '')" = "$want" ]
    done
}

@test "a value larger than its namespace may be is refused, and nothing goes for it" {
    kvcache -q set a 1
    run_split kvcache set --max-size 10 b 1234567890
    assert_status 65 'b: value: larger than the namespace may hold, 10 bytes (--max-size)'
    [ "$(keys_of '')" = a ]
    printf '%s\n' '{"key":"c","value":1}' '{"key":"d","value":"1234567890"}' >in
    run_split kvcache set --max-size 10 --rejects odd <in
    assert_status 1 'standard input:2: byte 22: value: larger than the namespace may hold'
    [ "$(keys_of '')" = 'a c' ]
    [ "$(cat odd)" = "$(sed -n 2p in)" ]
    for s in 0 x 1KB -5; do
        run_split kvcache set --max-size "$s" a 1
        assert_status 64 '--max-size'
    done
}

@test "many lines into a small namespace: the last to end are left" {
    seq -w 999 | sed 's/\(0*\)\(.*\)/{"key":"k\1\2","value":"123456","ttl":1\1\2}/' >in
    run_split kvcache set --max-size 120 <in
    assert_status 0 '999 set, 0 rejected; 989 evicted'
    [ "$(keys_of '')" = "$(seq -s ' ' -f 'k%.0f' 990 999)" ]
    [ "$(cell 'SELECT size FROM cache_namespace')" = 120 ]
}

# --- deleting ------------------------------------------------------------------------

@test "values and results are deleted, together or one of them" {
    for k in a b c; do
        kvcache -q set "$k" 1
        kvcache run "$k" -- echo "$k" >/dev/null
    done
    run_split kvcache delete a none
    assert_status 1 '2 received: 1 deleted, 1 not there, 0 rejected'
    run_split kvcache delete --values b
    assert_status 0
    run_split kvcache delete --results c
    assert_status 0
    [ "$(keys_of '')" = c ]
    [ "$(cell 'SELECT key FROM idempotency_cache')" = b ]
    [ "$(cell 'SELECT count(*) FROM idempotency_result')" = 1 ]
    run_split kvcache delete --values b
    assert_status 1
    run_split kvcache delete --values --results b
    assert_status 64
    printf '%s\n' b '{"key":"c"}' '"' >in
    run_split kvcache delete <in
    assert_status 1 '3 received: 2 deleted, 0 not there, 1 rejected'
    stat_is '.entries == 0 and .results == 0 and .deletes == 6'
}

@test "clear empties one namespace, --all every one" {
    seq 1200 | sed 's/.*/{"key":"&","value":1,"namespace":"n"}/' | kvcache -q set
    kvcache -q set a 1
    kvcache run -n n r -- echo r >/dev/null
    kvcache run r -- echo r >/dev/null
    run_split kvcache clear --values -n n
    assert_status 0 '1200 values and 0 results deleted'
    run_split kvcache clear -n n
    assert_status 0 '0 values and 1 results deleted'
    stat_is '.entries == 1 and .results == 1'
    run_split kvcache clear --all --results
    assert_status 0 '0 values and 1 results deleted'
    run_split kvcache clear --all
    assert_status 0 '1 values and 0 results deleted'
    run_split kvcache clear --all -n n
    assert_status 64
    run_split kvcache clear n
    assert_status 64 'n: no operand is wanted'
}

@test "purge deletes what has expired, of both caches, and nothing else" {
    for k in a b c; do
        kvcache -q set "$k" 1
        kvcache run "$k" -- echo 1 >/dev/null
    done
    seq 1200 | sed 's/.*/{"key":"&","value":1,"namespace":"n"}/' | kvcache -q set
    over django_cache "cache_key <> 'a' AND cache_key <> 'c'"
    over idempotency_cache "key = 'a'"
    in_other_boot django_cache "cache_key = 'c'"
    cell "UPDATE django_cache SET expires_at = 5 WHERE cache_key = 'c'"
    stat_is '.expired == 1202 and .results_expired == 1'
    run_split kvcache purge
    assert_status 0 '1202 values and 1 results deleted'
    [ "$(keys_of '')$(keys_of n)" = a ]
    [ "$(cell "SELECT group_concat(key) FROM idempotency_cache")" = b,c ]
    [ "$(cell 'SELECT count(*) FROM idempotency_result')" = 2 ]
    stat_is '.expired == 0 and .purged == 1203'
}

# --- counting ------------------------------------------------------------------------

@test "hits, misses and the others are counted, fifty at once as well" {
    kvcache -q set a 1
    for i in $(seq 50); do
        background "g$i" kvcache get a
        pids[i]=$pid
    done
    for i in $(seq 50); do wait "${pids[i]}"; done
    for _ in 1 2 3; do kvcache get b || :; done
    kvcache get a b c >/dev/null || :
    kvcache run r -- true
    kvcache run r -- true
    kvcache -q delete a
    stat_is '[.hits, .misses, .sets, .deletes, .runs, .replays] == [51, 5, 1, 1, 1, 1]'
    stat_is '.hit_rate == 0.9107'
    kvcache -d new.db -q set a 1
    kvcache -d new.db stats | jq_true '.hit_rate == null and .hits == 0'
}

@test "counting never fails a get" {
    kvcache -q set a 1
    echo short >"$LIFEBOAT_DB-cache"
    [ "$(kvcache get a)" = 1 ]
    stat_is '.hits == 1'
    rm "$LIFEBOAT_DB-cache"
    mkdir "$LIFEBOAT_DB-cache"
    [ "$(kvcache get a)" = 1 ]
    stat_is '.hits == 0'
}

# at_each_stop KIND DONE CMD...: CMD is stopped before each of its calls of KIND, and
# when DONE has been done, goes on. Output in stop.out.
at_each_stop() {
    local kind=$1 do=$2 n
    shift 2
    for ((n = 1; n < 200; n++)); do
        : >mark
        background stop env MISHAP="$kind:$n:stop" MISHAP_MARK="$PWD/mark" LD_PRELOAD="$PWD/mishap.so" "$@"
        wait_until 5 stopped_or_gone "$pid"
        [ -s mark ] || return 0
        "$do"
    done
}

go_on() { kill -CONT "$pid" && wait "$pid"; }

@test "who counts has a lock while he does" {
    make_shim
    kvcache -q set a 1
    locked=0
    is_it_locked() {
        # Only the last of its writes is to that file.
        if readlink "/proc/$pid/fd"/* | grep -q -- -cache; then
            python3 -c 'import fcntl, os, struct, sys
fcntl.fcntl(os.open(sys.argv[1], os.O_RDWR), fcntl.F_OFD_SETLK,
            struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0))' "$LIFEBOAT_DB-cache" 2>err && return 1
            grep -q BlockingIOError err
            locked=$((locked + 1))
        fi
        go_on
    }
    at_each_stop write is_it_locked kvcache get a
    [ "$locked" -eq 1 ]
}

@test "get only reads: it waits for no writer, and syncs nothing" {
    kvcache -q set a 1
    run_split flock "$LIFEBOAT_DB-gate" env LIFEBOAT_WAIT=0 kvcache get a
    assert_status 0
    assert_out 1
    run_split flock "$LIFEBOAT_DB-gate" env LIFEBOAT_WAIT=0 kvcache set a 2
    assert_status 75
    make_shim
    MISHAP=sync:1:kill LD_PRELOAD=$PWD/mishap.so kvcache get a b || [ $? -eq 1 ]
}

@test "a store of version 1 has no values, and no statistics" {
    sqlite3 "$LIFEBOAT_DB" <"$top/tests/data/store-v1.sql" >/dev/null
    run_split kvcache get a
    assert_status 1
    [ -z "$errout" ]
    stat_is '.entries == 0 and .results == 0 and .misses == 1'
    [ "$(cell 'PRAGMA user_version')" = 1 ]
}

@test "used wrongly: 64" {
    for args in '' nothing 'set a b c' 'stats x' 'purge x' 'get --bad a' 'clear --values --results'; do
        # shellcheck disable=SC2086
        run_split kvcache $args
        assert_status 64 'try kvcache --help'
    done
    run_split kvcache -d "$LIFEBOAT_DB" -q set a 1
    assert_status 0
    run_split kvcache set -- --odd 1
    assert_status 0
    run_split kvcache get -- --odd
    assert_out 1
}

@test "/dev/full, and a reader that has left" {
    kvcache -q set a 1
    run_split sh -c 'kvcache get a >/dev/full'
    assert_status 74 'standard output: No space left'
    run_split sh -c 'kvcache stats >/dev/full'
    assert_status 74
    head -c 3000000 /dev/zero | kvcache -q set big
    set +o pipefail
    kvcache get big | head -c 1 >/dev/null
    [ "${PIPESTATUS[0]}" -eq 141 ]
    run_split sh -c 'kvcache run a -- echo one >/dev/full'
    assert_status 125 'standard output: No space left'
    [ "$(kvcache run a -- echo two)" = one ]
}

@test "a full disk: nothing is half stored, and it says so" {
    [ "$(id -u)" -eq 0 ] || skip 'mounting needs root'
    mkdir disk
    mount -t tmpfs -o size=3m tmpfs disk 2>/dev/null || skip 'mounting is not allowed here'
    mounted=$PWD/disk
    export LIFEBOAT_DB=$mounted/s
    kvcache -q set a 1
    head -c 4000000 /dev/zero >large
    run_split kvcache set b <large
    assert_status 74 'full'
    run_split kvcache get b
    assert_status 1
    run_split kvcache run r -- sh -c 'echo ran >>ran; head -c 1500000 /dev/zero'
    assert_status 125 'full'
    [ ! -s "$OUT" ]
    [ "$(kvcache get a)" = 1 ]
    run_split kvcache run r -- sh -c 'echo ran >>ran; echo short'
    assert_status 0
    [ "$(wc -l <ran)" -eq 2 ]
    [ "$(kvcache run r -- false)" = short ]
    [ "$(cell 'PRAGMA integrity_check')" = ok ]
}

# --- watch ---------------------------------------------------------------------------

# told [OPTIONS]: what watch --after 0 has to tell of what was, as NAMESPACE/KEY; * is all of it.
told() {
    local newest
    newest=$(cell 'SELECT max(change) FROM cache_change')
    rm -f told.out # of the watch before
    background told kvcache watch --after 0 "$@"
    wait_until 10 grep -qs "\"change\":$newest," told.out
    kill "$pid"
    wait "$pid" || [ $? -eq 143 ]
    jq -r 'if .all then "all" else "\(.namespace // "*")/\(.key // "*")" end' told.out | paste -sd ' '
}

is_watching() { grep -qs inotify "/proc/$pid/fdinfo/"*; }

watch_ends_with() { # STATUS
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq "$1" ]
}

@test "what is replaced, deleted, cleared or evicted is told to who watches; nothing else is" {
    kvcache -q set a 1
    kvcache -q set -n n a 1
    background watch kvcache watch
    wait_until 10 is_watching
    kvcache -q set b 1                    # new
    kvcache -q set a 2                    # replaced
    kvcache -q delete a b none || [ $? -eq 1 ]
    kvcache -q set a 3                    # new again
    over django_cache "namespace = '' AND cache_key = 'a'"
    kvcache -q set a 4                    # in place of one that had ended
    over django_cache "namespace = '' AND cache_key = 'a'"
    kvcache -q delete a || [ $? -eq 1 ]   # had ended
    kvcache -q set gone 1
    over django_cache "cache_key = 'gone'"
    kvcache -q purge                      # its end was known
    kvcache -q set -n full --max-size 8 --ttl 1m k1 aa
    kvcache -q set -n full --max-size 8 --ttl 1h k2 bb
    kvcache -q set -n full --max-size 8 --ttl 1h k3 cc # k1 has to go
    over django_cache "cache_key = 'k2'"
    kvcache -q set -n full --max-size 8 --ttl 1h k4 dd # k2 has ended
    kvcache -q run result -- true
    kvcache -q clear --results            # no value
    kvcache -q clear -n nobody            # nothing there
    kvcache -q clear -n n
    kvcache -q set 'é "x"' 1
    kvcache -q clear --all
    wait_until 10 grep -q '"namespace":null' watch.out
    kill "$pid"
    watch_ends_with 143
    [ "$(jq -c '[.namespace, .key]' watch.out | paste -sd ' ')" = '["","a"] ["","a"] ["","b"] ["full","k1"] ["n",null] [null,null]' ]
    jq_true -s 'map(.change) == [1, 2, 3, 4, 5, 6] and all(.changed_at > 1700000000000)' watch.out
    [ "$(told)" = '/a /a /b full/k1 n/* */*' ]
    [ "$(told -n full)" = 'full/k1 */*' ]
}

@test "what a batch changes is told when it is committed, as lines say it" {
    seq 300 | sed 's/.*/{"key":"k&","value":1}/' >lines
    kvcache -q set <lines
    [ "$(cell 'SELECT count(*) FROM cache_change')" = 0 ]
    kvcache -q set <lines
    seq 300 | sed 's/^/k/' | kvcache -q delete
    told >was
    [ "$(cat was)" = "$({ seq 300; seq 300; } | sed 's/^/\/k/' | paste -sd ' ')" ]
}

@test "a clear of thousands is told after each of its parts, and is one row" {
    seq 1700 | sed 's/.*/{"key":"k&","namespace":"n","value":1}/' | kvcache -q set
    kvcache -q set other 1
    cell "CREATE TABLE seen(change); CREATE TRIGGER seen AFTER INSERT ON cache_change
        BEGIN INSERT INTO seen VALUES(new.change); END"
    kvcache -q clear -n n
    [ "$(cell 'SELECT count(*) FROM seen')" = 4 ]
    [ "$(cell 'SELECT count(*), max(change), namespace, cache_key IS NULL FROM cache_change')" = '1|4|n|1' ]
    # One that came to an end is left alone by the next.
    kvcache -q set -n n a 1
    kvcache -q clear -n n
    [ "$(told)" = 'n/* n/*' ]
    # A gap that it left is nothing that was let go.
    kvcache -q clear -n ''
    [ "$(told)" = 'n/* n/* /*' ]
}

@test "ten thousand are kept; who comes from further back is told that all is invalid" {
    kvcache -q set a 1
    kvcache -q set a 2
    cell 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10237)
        INSERT INTO cache_change(namespace, cache_key, changed_at) SELECT 0, i, 1 FROM n'
    kvcache -q set a 3 # change 10239
    [ "$(cell 'SELECT count(*), min(change) FROM cache_change')" = '10239|1' ]
    kvcache -q set b 1
    kvcache -q set b 2
    [ "$(cell 'SELECT count(*), max(change) FROM cache_change')" = '10000|10240' ]
    [ "$(told --after 240 | wc -w)" = 10000 ]
    [ "$(head -n 1 told.out | jq .change)" = 241 ]
    [ "$(told --after 239)" = all ]
    [ "$(told --after 0 -n other)" = all ]
    [ "$(cat told.out)" = '{"change":10240,"all":true}' ]
}

@test "watch begins with what comes next, goes on by number, and sleeps until then" {
    kvcache -q set a 1
    kvcache -q set a 2
    background watch kvcache watch
    wait_until 10 is_watching
    asleep() { grep -q '^State:.S' "/proc/$pid/status" && [ "$(cut -d ' ' -f 1 "/proc/$pid/syscall")" != 0 ]; }
    wait_until 10 asleep
    used=$(cut -d ' ' -f 14,15 "/proc/$pid/stat")
    kvcache -q set a 3
    wait_until 10 grep -q '"change":2,' watch.out
    # shellcheck disable=SC2046,SC2086
    set -- $used $(cut -d ' ' -f 14,15 "/proc/$pid/stat")
    [ $(($3 + $4 - $1 - $2)) -lt 50 ]
    kill "$pid"
    watch_ends_with 143
    jq_true -s 'map(.change) == [2]' watch.out
    run_split timeout 10 kvcache watch --after 3
    assert_status 76 'change 3 is not of this store, whose last is 2'
    run_split kvcache watch --after -1
    assert_status 64
    run_split kvcache watch key
    assert_status 64 'no operand is wanted'
}

@test "watch of a store of version 2 goes on when a writer has migrated it" {
    sqlite3 "$LIFEBOAT_DB" <"$top/tests/data/store-v2.sql" >/dev/null
    background watch kvcache watch
    wait_until 10 is_watching
    kvcache -q set text new
    wait_until 10 grep -q '"key":"text"' watch.out
    [ "$(cell 'PRAGMA user_version')" = 3 ]
}

@test "watch: a reader that leaves, a full disk, a store that is replaced" {
    kvcache -q set a 1
    mkfifo pipe
    background watch sh -c 'exec env --default-signal=PIPE kvcache watch >pipe'
    exec 9<pipe
    wait_until 10 is_watching
    exec 9<&-
    watch_ends_with 141
    kvcache -q set a 2
    run_split sh -c 'kvcache watch --after 0 >/dev/full'
    assert_status 74 'standard output: No space left'
    background watch kvcache watch
    wait_until 10 is_watching
    kvcache -d other.db -q set a 1
    mv other.db "$LIFEBOAT_DB"
    watch_ends_with 76
    grep -q 'replaced or removed while it was watched' watch.err
}

# --- run -----------------------------------------------------------------------------

# A command that says in "ran" that it was run.
noted='echo "$IDEMPOTENCY_KEY" >>ran;'

@test "what a command printed is shown again, with its status, and the command not run" {
    echo in | kvcache run k -- sh -c "$noted"' cat; printf "\0\377"; echo odd >&2' >first 2>err
    [ "$(cat err)" = odd ]
    printf 'in\n\0\377' | cmp - first
    (
        run_split kvcache run k -- sh -c "$noted"' echo other'
        assert_status 0
        [ -z "$errout" ]
        cmp first "$OUT"
        [ "$(cat)" = left ]
    ) <<<left
    [ "$(cat ran)" = k ]
    kvcache run -n other k -- sh -c "$noted"
    [ "$(wc -l <ran)" -eq 2 ]
    kvcache run silent -- sh -c "$noted"
    run_split kvcache run silent -- sh -c "$noted echo x"
    assert_status 0
    [ ! -s "$OUT" ]
}

@test "a status that is not kept is passed on, and nothing recorded" {
    for _ in 1 2; do
        run_split kvcache run k -- sh -c "$noted"' echo failed; exit 7'
        assert_status 7
        assert_out failed
    done
    [ "$(wc -l <ran)" -eq 2 ]
    [ "$(cell 'SELECT count(*) FROM idempotency_cache')" = 0 ]
    run_split kvcache run k --keep 0,5-8 -- sh -c "$noted"' echo kept; exit 7'
    assert_status 7
    run_split kvcache run k -- sh -c "$noted"
    assert_status 7
    assert_out kept
    [ "$(wc -l <ran)" -eq 3 ]
    run_split kvcache run sig --keep all -- sh -c 'kill -9 $$'
    assert_status 137
    run_split kvcache run sig -- true
    assert_status 137
    run_split kvcache run k --keep 0-300 -- true
    assert_status 125 '--keep: 0-300: wants statuses'
}

@test "a command that cannot be run: 127 or 126, never recorded" {
    for _ in 1 2; do
        run_split kvcache run --keep all k -- nonesuch
        assert_status 127 'unable to run nonesuch: No such file'
        run_split kvcache run --keep all k -- "$PWD"
        assert_status 126 'unable to run '
    done
    run_split kvcache run k -- echo now
    assert_out now
}

@test "its own failures are 125" {
    for args in '-- true' 'k' 'k --' 'k l -- true' 'k --bad -- true' 'k --ttl x -- true' \
        '-d nowhere/s k -- true' 'k --fingerprint nowhere -- true' 'k --policy nothing -- true'; do
        # shellcheck disable=SC2086
        run_split kvcache run $args
        assert_status 125
        [ -n "$errout" ]
    done
    run_split env LIFEBOAT_ODD=1 kvcache run k -- true
    assert_status 125 'no such setting'
    run_split kvcache -d "$LIFEBOAT_DB" run k --bad -- true
    assert_status 125
    run_split kvcache -d "$LIFEBOAT_DB" run k -- sh -c 'exit 64'
    assert_status 64
}

@test "a key that is used with another fingerprint: 123" {
    echo one >one
    echo two >two
    run_split kvcache run k --fingerprint one -- sh -c "$noted echo 1"
    assert_out 1
    run_split kvcache run k --fingerprint two -- sh -c "$noted echo 2"
    assert_status 123 'k: the key is in use with another fingerprint'
    [ ! -s "$OUT" ]
    [ "$(kvcache run k --fingerprint - -- cat <one)" = 1 ]
    run_split sh -c 'kvcache run k --fingerprint - -- cat <two'
    assert_status 123
    # Who names none does not ask.
    [ "$(kvcache run k -- cat)" = 1 ]
    [ "$(cell 'SELECT fingerprint FROM idempotency_cache')" = "$(sha256sum <one | cut -d ' ' -f 1)" ]
    kvcache run bare -- echo 3 >/dev/null
    run_split kvcache run bare --fingerprint one -- true
    assert_status 123
    over idempotency_cache "key = 'k'"
    run_split kvcache run k --fingerprint two -- sh -c "$noted echo 2"
    assert_out 2
    [ "$(wc -l <ran)" -eq 2 ]
    [ "$(echo whole | kvcache run in --fingerprint - -- cat)" = whole ]
}

# in_flight KEY: its command has begun.
in_flight() { [ "$(cell "SELECT status FROM idempotency_cache WHERE key = '$1'" 2>/dev/null)" = running ]; }

# hold KEY [OPTION...]: a flight that lasts as long as the file "held" is there.
hold() {
    touch held
    background flight kvcache run "$@" -- sh -c 'echo began >>ran
        while [ -e held ]; do sleep 0.02; done; echo landed'
    wait_until 5 grep -qs began ran
}

@test "another fingerprint is refused at once while the key is in flight" {
    echo one >one
    echo two >two
    hold k --fingerprint one
    run_split timeout 5 kvcache run k --fingerprint two -- true
    assert_status 123
    rm held
    wait "$pid"
    [ "$(cat flight.out)" = landed ]
}

@test "and when it begins while another waits" {
    echo one >one
    kvcache -q run other -- true
    # All bytes of the lock are taken, by nobody who says what for.
    mkfifo until
    background locks python3 -c 'import fcntl, os, struct, sys
fcntl.fcntl(os.open(sys.argv[1], os.O_RDWR), fcntl.F_OFD_SETLK,
            struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
print("locked", flush=True)
open("until").read()' "$LIFEBOAT_DB-run"
    exec {feed}>until
    wait_until 5 grep -q locked locks.out
    background waits kvcache run k --fingerprint one -- true
    wait_until 5 eval 'ls -l /proc/$pid/fd 2>/dev/null | grep -q -- -run'
    cell "INSERT INTO idempotency_cache SELECT 99, namespace, 'k', 'two', 'running', NULL, NULL, NULL,
        created_at, expires_at, expires_boot_id, expires_boot_ms FROM idempotency_cache"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 123 ]
}

@test "one in flight: the others wait no longer than --wait, then 124" {
    hold k
    run_split kvcache run --wait 0 k -- true
    assert_status 124 'k: still in flight after 0 ms (--wait)'
    run_split kvcache run --wait 1 k -- true
    assert_status 124
    background waits kvcache run k -- sh -c "$noted"
    rm held
    wait "$pid"
    [ "$(cat waits.out)" = landed ]
    [ "$(wc -l <ran)" -eq 1 ]
}

@test "what is in flight is not deleted" {
    hold k
    kvcache -q set k 1
    run_split kvcache delete k
    assert_status 75 'k: in flight: its result is not deleted'
    [ "$(keys_of '')" = '' ]
    run_split kvcache clear
    assert_status 0 '0 values and 0 results deleted, 1 results in flight'
    over idempotency_cache 1
    run_split kvcache purge
    assert_status 0 '0 values and 0 results deleted, 1 results in flight'
    stat_is '.running == 1 and .results == 0'
    rm held
    wait "$pid"
    run_split kvcache delete k
    assert_status 0
}

@test "an automatic key is made of the command and of standard input" {
    [ "$(echo a | kvcache run --auto -- sh -c "$noted cat")" = a ]
    [ "$(echo a | kvcache run --auto -- sh -c "$noted cat")" = a ]
    [ "$(wc -l <ran)" -eq 1 ]
    grep -qxE 'auto:[0-9a-f]{32}' ran
    [ "$(echo b | kvcache run --auto -- sh -c "$noted cat")" = b ]
    [ "$(echo a | kvcache run --auto -- sh -c "$noted cat" x)" = a ]
    [ "$(echo a | kvcache run --auto -- sh -c "$noted cat" '' x)" = a ]
    [ "$(sort -u ran | wc -l)" -eq 4 ]
    [ "$(echo a | kvcache run --auto -- echo one)$(echo a | kvcache run --auto -- echo two)" = onetwo ]
    # The end of the words is not to be mistaken for input, nor input for words.
    [ "$(printf 'b\0' | kvcache run --auto -- echo a)" = a ]
    [ "$(kvcache run --auto -- echo a b </dev/null)" = 'a b' ]
    echo a | kvcache run --auto nightly -- sh -c "$noted cat" >/dev/null
    [ "$(tail -n 1 ran)" = "nightly:$(head -n 1 ran)" ]
    head -c 3000000 /dev/urandom >large
    kvcache run --auto -- cat <large | cmp - large
    kvcache run --auto --fingerprint - -- cat - <large | cmp - large
}

all_hold_run() {
    local p
    for p; do
        readlink "/proc/$p/fd"/* 2>/dev/null | grep -q -- '-run$' || return
    done
}

@test "fifty at once with one key: one execution, fifty identical outputs and statuses" {
    # It lasts until all fifty have the file of locks open.
    for i in $(seq 50); do
        background "r$i" kvcache run k --keep all -- \
            sh -c "$noted"' while [ ! -e go ]; do sleep 0.02; done; date +%N; exit 5'
        pids[i]=$pid
    done
    wait_until 20 all_hold_run "${pids[@]}"
    touch go
    for i in $(seq 50); do
        status=0
        wait "${pids[i]}" || status=$?
        [ "$status" -eq 5 ]
        cmp r1.out "r$i.out"
        [ ! -s "r$i.err" ]
    done
    [ -s r1.out ]
    [ "$(cat ran)" = k ]
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# One that outlives TERM, in a session of its own, and notes the overlap with another.
stubborn='for p in $(cat pids 2>/dev/null); do ! kill -0 $p 2>/dev/null || echo overlap >>overlaps; done
    setsid sh -c "trap \"\" TERM; echo \$\$ >>pids; while :; do sleep 0.02; done" &
    trap "" TERM
    echo $$ >>pids; echo began >>ran; [ "$(wc -l <ran)" -eq 1 ] || exit 0
    while :; do sleep 0.02; done'

@test "an owner is killed: its key is taken over once, and only when its command is gone" {
    background owner kvcache run k -- sh -c "$stubborn"
    owner=$pid
    wait_until 5 eval '[ "$(cat pids 2>/dev/null | wc -l)" -eq 2 ]'
    mapfile -t theirs <pids
    kill -9 "$owner"
    for i in 1 2 3; do
        background "next$i" kvcache run k -- sh -c "$stubborn"
        next[i]=$pid
    done
    for i in 1 2 3; do wait "${next[i]}"; done
    for p in "${theirs[@]}"; do gone "$p"; done
    [ ! -e overlaps ]
    [ "$(wc -l <ran)" -eq 2 ]
    [ "$(cat next?.err | grep -c 'who ran it was killed before its result was recorded; it is run again')" -eq 1 ]
}

@test "with --no-takeover the key of a dead owner is refused, until it is deleted" {
    echo one >one
    echo two >two
    hold k --fingerprint one
    kill -9 "$pid"
    run_split kvcache run k --fingerprint two -- touch other
    assert_status 123
    run_split kvcache run k --no-takeover -- touch other
    assert_status 125 'it is not run again (--no-takeover)'
    stat_is '.running == 1'
    [ ! -e other ]
    run_split kvcache delete k
    assert_status 0
    kvcache run k --no-takeover -- touch other
    [ -e other ]
}

@test "purge leaves what tells of a dead owner until its time is over; clear does not" {
    hold k
    kill -9 "$pid"
    wait_until 5 eval '[ "$(kvcache purge 2>&1)" = "kvcache: 0 values and 0 results deleted, 0 results in flight" ]'
    stat_is '.running == 1'
    over idempotency_cache 1
    wait_until 5 eval 'kvcache purge 2>&1 | grep -q "1 results deleted"'
    : >ran
    hold k
    kill -9 "$pid"
    wait_until 5 eval 'kvcache clear 2>&1 | grep -q "1 results deleted"'
    stat_is '.running == 0'
}

@test "TERM ends the command; nothing is recorded, and the key is free" {
    for sig in TERM:143 INT:130; do
        : >ran
        touch held
        background flight env --default-signal=INT kvcache run k -- sh -c 'echo $$ >>ran
            while [ -e held ]; do sleep 0.02; done; echo landed'
        wait_until 5 [ -s ran ]
        kill "-${sig%:*}" "$pid"
        status=0
        wait "$pid" || status=$?
        [ "$status" -eq "${sig#*:}" ]
        gone "$(cat ran)"
        [ ! -s flight.out ]
        [ "$(cell 'SELECT count(*) FROM idempotency_cache')" = 0 ]
    done
    [ "$(kvcache run --wait 0 --no-takeover k -- echo again)" = again ]
}

@test "TERM ends a wait" {
    hold k
    first=$pid
    background waits kvcache run k -- true
    wait_until 5 eval 'ls -l /proc/$pid/fd 2>/dev/null | grep -q -- -run'
    kill "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 143 ]
    rm held
    wait "$first"
}

@test "what a command leaves behind is ended before the result is recorded" {
    run_split kvcache run k -- sh -c 'setsid sleep 60 >/dev/null 2>&1 & echo $! >left; echo ended'
    assert_status 0 'left processes behind'
    assert_out ended
    gone "$(cat left)"
}

@test "an output of 100 MB is replayed whole, in little memory" {
    head -c 100000000 /dev/urandom >large
    "$build/tools/measured" kvcache run big -- cat large >first
    kvcache run big -- false | cmp - large
    "$build/tools/measured" kvcache run big -- false >again
    [ -n "$checker" ] || awk '{ if ($3 > 16) { print "MB: " $3; exit 1 } }' first again
    [ "$(cell 'SELECT count(*) || "," || max(length(result)) FROM idempotency_result')" = 96,1048576 ]
    # The reader that comes late sees all of it as well, though it is deleted meanwhile.
    mkfifo slow
    background late sh -c 'exec kvcache run big -- false >slow'
    exec {feed}<slow
    head -c 1000 <&"$feed" >got
    kvcache -q delete big
    [ "$(cell 'SELECT count(*) FROM idempotency_result')" = 0 ]
    cat <&"$feed" >>got
    wait "$pid"
    cmp got large
}

@test "a replay during which the result is deleted: the whole of it, or a new run" {
    make_shim
    head -c 2500000 /dev/urandom >large
    kvcache run k -- cat large >/dev/null
    # While another has the store open there are few locks that keep all others out.
    mkfifo ask
    background other sh -c 'exec kvcache get <ask'
    exec {feed}>ask
    wait_until 5 eval 'ls -l /proc/$pid/fd | grep -q -- -shm'
    old=0 new=0
    delete_it() {
        LIFEBOAT_WAIT=0 timeout -s KILL 0.5 kvcache delete -q k 2>/dev/null || :
        go_on
        if cmp -s stop.out large; then
            old=$((old + 1))
        else
            [ "$(tr -d '\0' <stop.out)" = new ]
            new=$((new + 1))
        fi
        kvcache delete -q k || :
        kvcache run k -- cat large >/dev/null
    }
    at_each_stop lock delete_it kvcache run k -- echo new
    [ "$old" -gt 0 ]
    [ "$new" -gt 0 ]
}

@test "an output that is damaged is refused whole" {
    head -c 3000000 /dev/urandom >large
    for damage in 'UPDATE idempotency_result SET result = zeroblob(1048576) WHERE part = 1' \
        'UPDATE idempotency_result SET result = substr(result, 2) WHERE part = 2' \
        'DELETE FROM idempotency_result WHERE part = 1' 'DELETE FROM idempotency_result' \
        'UPDATE idempotency_result SET part = 9 WHERE part = 0' \
        'UPDATE idempotency_cache SET exit_status = 1' 'UPDATE idempotency_cache SET digest = NULL' \
        "INSERT INTO idempotency_result SELECT id, 7, 'more' FROM idempotency_cache"; do
        kvcache run big -- cat large >/dev/null
        cell "$damage"
        run_split kvcache run big -- echo new
        assert_status 125 'the recorded output is damaged'
        [ ! -s "$OUT" ]
        kvcache -q delete big
    done
}

@test "parts that a killed owner left are swept away" {
    kvcache run k -- echo one >/dev/null
    cell "UPDATE idempotency_cache SET status = 'running'"
    cell "INSERT INTO idempotency_result SELECT id, 1, 'x' FROM idempotency_cache"
    run_split kvcache run k -- echo two
    assert_status 0 'it is run again'
    assert_out two
    [ "$(cell 'SELECT count(*) FROM idempotency_result')" = 1 ]
    # Whoever was killed while he swept left these.
    seq 40 | sed "s/.*/INSERT INTO idempotency_result VALUES(77, &, 'x');/" | sqlite3 "$LIFEBOAT_DB"
    kvcache -q purge
    [ "$(cell 'SELECT count(*) FROM idempotency_result')" = 1 ]
}
