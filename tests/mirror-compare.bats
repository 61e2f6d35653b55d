#!/usr/bin/env bats
# mirror-compare: what differs is said, what does not is not; trouble is never OK.
# valgrind: classes|spellings|tolerance|--sorted says|cut windows|in flight|a difference is noted

load helper

setup() {
    private_store
    export LIFEBOAT_CONFIG=$PWD/conf LIFEBOAT_MIRROR_DIR=$PWD/status TMPDIR=$PWD
    mkdir conf status
    unset key
}

teardown() { stop_background; }

# sides OLD NEW: their lines.
sides() {
    printf '%s\n' "$1" >old
    printf '%s\n' "$2" >new
}

# compare [OPTION...]: old with new, by k unless $key says otherwise.
compare() { run_split mirror-compare --key "${key-k}" "$@" old new; }

# summary FILTER: of the last line.
summary() { tail -n 1 "$OUT" | jq -c "$1"; }

# counted NAME=N...: these counts of the summary, and no other difference.
counted() {
    local want=${*:-} got
    got=$(summary '. as $s | ["missing","extra","changed","duplicate","bad","pending","edge"][]
        | select($s[.] > 0) | "\(.)=\($s[.])"' | tr -d '"' | paste -sd ' ')
    [ "$got" = "$want" ] || show_run "counted $got, wanted $want"
}

# same [OPTION...], differ [OPTION...]
same() {
    compare "$@"
    assert_status 0 && counted
}
differ() {
    compare "$@"
    assert_status 1
}

# rows FROM TO [SET]: records of which each is a second newer than the one before.
rows() {
    jq -nc --argjson from "$1" --argjson to "$2" "range(\$from; \$to + 1) | {tag_id: \"T\(.)\", order_id: \"O\",
        location: \"A\", updated_at: (1740000000 + . | todate)} | ${3:-.}"
}

configure() { # JQ-OBJECT
    jq -n "{old_cmd: \"cat old\", new_cmd: \"cat new\", zone: \"UTC\"} + ($1)" >conf/mirror-compare.json
}
run_noted() { run_split mirror-compare "$@"; }
ledger() { jq -rs "$1" status/mirror_status.log; }

gone() { ! kill -0 "$1" 2>/dev/null; }

# --- records -----------------------------------------------------------------------------

@test "the same records in another order are the same" {
    sides $'{"k":1,"v":"a"}\n{"k":2,"v":"b"}' $'{"k":2,"v":"b"}\n{"k":1,"v":"a"}'
    compare
    assert_status 0 'mirror-compare: 2 and 2 records: 2 equal, no difference: OK'
    [ "$(summary '[.result, .old, .new, .equal]')" = '["OK",2,2,2]' ]
    [ "$(wc -l <"$OUT")" -eq 1 ]
    compare -q
    [ ! -s "$ERR" ]
}

@test "all classes of differences, each with what it is" {
    sides $'{"k":1,"v":"a","w":null}\n{"k":2}\n{"k":3}\n{"k":3}\n{"k":"odd}' \
        $'{"k":1,"v":"b"}\n{"k":3}\n\n{"k":4,"x":[1, 2]}'
    differ
    counted missing=1 extra=1 changed=1 duplicate=1 bad=1
    [ "$(summary '[.result, .old, .new, .equal]')" = '["NG",5,3,1]' ]
    assert_status 1 '5 and 3 records: 1 equal, 1 missing, 1 extra, 1 changed, 1 duplicate, 1 bad: NG'
    jq -c 'del(.ts) | select(.class)' "$OUT" >got
    diff got - <<'END'
{"class":"changed","key":{"k":1},"fields":[{"field":"v","old":"a","new":"b"},{"field":"w","old":null}],"old_line":1,"new_line":1}
{"class":"missing","key":{"k":2},"old":{"k":2},"old_line":2}
{"class":"duplicate","key":{"k":3},"side":"old","lines":[3,4]}
{"class":"bad","side":"old","line":5,"offset":54,"why":"a string that does not end"}
{"class":"extra","key":{"k":4},"new":{"k":4,"x":[1,2]},"new_line":4}
END
    jq_true -s 'map(select(.class) | .ts | test("^20..-..-..T..:..:..\\....Z$")) | all' "$OUT"
}

@test "spellings of one value are the same: order, white space, numbers, escapes" {
    sides '{"k":1,"n":1.50,"s":"é/","o":{"a":1,"b":[2,3]},"z":0,"t":true}' \
        '{ "t":true, "o" : {"b":[2.0,3e0],"a":1}, "s":"\u00e9\/", "n":15e-1, "z":-0.0, "k":1.0 }'
    same
    sides '{"k":9007199254740993}' '{"k":9007199254740992}'
    differ
    counted missing=1 extra=1
    sides '{"k":1,"n":9007199254740993}' '{"k":1,"n":9007199254740992}'
    differ
    counted changed=1
    sides '{"k":1,"n":0.1}' '{"k":1,"n":0.1000000000000000055511151231257827}'
    differ
    sides '{"k":1,"n":123456789012345678901234567890}' '{"k":1,"n":1.2345678901234567890123456789e29}'
    same
    sides '{"k":1,"a":[1,2]}' '{"k":1,"a":[2,1]}'
    differ
    counted changed=1
}

@test "keys are of a type: 1 is 1.0 is 1e0, and \"1\" is another" {
    sides $'{"k":1}\n{"k":"1"}' $'{"k":"1"}\n{"k":1e0}'
    same
    sides '{"k":1}' '{"k":"1"}'
    differ
    counted missing=1 extra=1
    sides '{"k":true}' '{"k":"true"}'
    differ
    counted missing=1 extra=1
    sides '{"k":[1,{"a":2}]}' '{"k":[1.0,{"a":2e0}]}'
    same
}

@test "null, absent and empty are three things, in keys and in values" {
    key=k,l
    sides $'{"k":1,"l":null}\n{"k":1}\n{"k":1,"l":""}' $'{"k":1,"l":""}\n{"k":1,"l":null}\n{"k":1}'
    same
    [ "$(summary .equal)" = 3 ]
    key=k
    sides $'{"k":1,"v":null}\n{"k":2,"v":""}\n{"k":3}' $'{"k":1,"v":""}\n{"k":2}\n{"k":3,"v":null}'
    differ
    counted changed=3
    [ "$(jq -c 'select(.class) | .fields[0] | [has("old"), has("new"), .old, .new]' "$OUT" | paste -sd ' ')" = \
        '[true,true,null,""] [true,false,"",null] [false,true,null,null]' ]
}

@test "the parts of a key have an order: a,b is not b,a" {
    key=a,b
    sides '{"a":"x","b":"y"}' '{"a":"y","b":"x"}'
    differ
    counted missing=1 extra=1
    # And nothing runs over from one into the other.
    sides '{"a":"xy","b":""}' '{"a":"x","b":"y"}'
    differ
    counted missing=1 extra=1
    [ "$(jq -c 'select(.class == "missing").key' "$OUT")" = '{"a":"xy","b":""}' ]
    sides '{"b":"y","a":"x"}' '{"a":"x","b":"y"}'
    same
}

@test "what is no record is bad: no object, no key, a member twice, too long" {
    sides $'{"k":1}\n[1]\n"k"\n{"v":1}\n{"k":1,"v":1,"v":1}\n{"k":2,"\\u006b":2}\n{"k":1} x\n{"k":"\x01"}' '{"k":1}'
    differ
    counted bad=7
    [ "$(jq -r 'select(.class == "bad") | "\(.line): \(.why)"' "$OUT")" = '2: not an object
3: not an object
4: it has no member of the key
5: "v" is there twice
6: "\u006b" is there twice
7: something behind the value
8: a control character in a string' ]
    [ "$(jq -c 'select(.line == 5).offset' "$OUT")" = 37 ]
    sides $'{"k":1}\n{"k":2,"v":"123456789"}' '{"k":1}'
    differ --max-line 20
    counted bad=1
    assert_line "$(grep -o '.*"why":"longer than 20 bytes (--max-line)"}' "$OUT")"
}

@test "blank lines, CRLF, a byte order mark and a last line without LF are accepted" {
    printf '\xef\xbb\xbf{"k":1}\r\n\r\n{"k":2,"v":1}\r\n' >old
    printf '{"k":2,"v":2}\n   \n{"k":1}' >new
    differ
    counted changed=1
    [ "$(jq -c 'select(.class) | [.old_line, .new_line]' "$OUT")" = '[3,1]' ]
    printf '\xef\xbb\xbf{"k":3,"v":1}\r\n' >old
    differ
    [ "$(jq -c 'select(.class == "missing") | .old' "$OUT")" = '{"k":3,"v":1}' ]
}

@test "--fields and --ignore say what is compared" {
    sides '{"k":1,"a":1,"b":1,"c":1}' '{"k":1,"a":1,"b":2,"c":2}'
    differ
    [ "$(jq -c 'select(.class) | [.fields[].field]' "$OUT")" = '["b","c"]' ]
    same --fields a
    differ --fields a,b
    [ "$(jq -c 'select(.class) | [.fields[].field]' "$OUT")" = '["b"]' ]
    same --ignore b,c
    differ --ignore b
    same --fields a,b --ignore b
    same --ignore b,c,nosuch
}

@test "a member that was named has to be in some record: a slip must not make all equal" {
    local slip
    sides '{"k":1,"a":1,"updated_at":1}' '{"k":1,"a":2,"updated_at":1}'
    for slip in '--fields nosuch' '--fields a,nosuch' '--tol nosuch=abs:1' '--ts nosuch' '--key k,nosuch'; do
        # shellcheck disable=SC2086
        compare $slip
        assert_status 65 'nosuch: no record of either side has this member'
        # shellcheck disable=SC2086
        compare --sorted $slip
        assert_status 65 'nosuch: no record of either side has this member'
    done
    # One record of one side will do.
    echo '{"k":2,"nosuch":1}' >>new
    differ --fields nosuch
    counted extra=1
    # Defaults were not named.
    sides '{"tag_id":1}' '{"tag_id":1}'
    run_split mirror-compare old new
    assert_status 0
}

@test "one instant in all its spellings, and --ts names the member" {
    local ts
    for ts in '"2025-02-20T19:15:03+09:00"' '"2025-02-20 10:15:03+00"' 1740046503 1740046503000 \
        17400465030e-1 '"1740046503"' 1740046503.000; do
        sides '{"k":1,"other":1,"updated_at":"2025-02-20T10:15:03Z"}' "{\"k\":1,\"other\":1,\"updated_at\":$ts}"
        same
        differ --ts other
        counted changed=1
    done
    sides '{"k":1,"updated_at":"2025-02-20T10:15:03Z"}' '{"k":1,"updated_at":"2025-02-20T10:15:03.001Z"}'
    differ
    sides '{"k":1,"at":1740046503}' '{"k":1,"at":1740046503000}'
    differ
    same --ts at
    sides '{"k":1,"updated_at":"soon"}' '{"k":1,"updated_at":"soon"}'
    same
    sides '{"k":1,"updated_at":"soon"}' '{"k":1,"updated_at":"later"}'
    differ
}

@test "tolerance of time stamps" {
    sides '{"k":1,"updated_at":"2025-02-20T10:15:03Z"}' '{"k":1,"updated_at":"2025-02-20 10:15:05+00"}'
    differ
    same --ts-tol 2
    same --ts-tol 1m
    differ --ts-tol 1
    # Only of what is an instant, and of nothing else.
    sides '{"k":1,"updated_at":null}' '{"k":1,"updated_at":"2025-02-20 10:15:05+00"}'
    differ --ts-tol 1h
    sides '{"k":1,"updated_at":1,"v":1}' '{"k":1,"updated_at":2,"v":2}'
    differ --ts-tol 1h
    [ "$(jq -c 'select(.class) | [.fields[].field]' "$OUT")" = '["v"]' ]
}

@test "tolerance of numbers, as decimals and never through a double" {
    sides '{"k":1,"n":0.1}' '{"k":1,"n":0.3}'
    differ
    same --tol n=abs:0.2
    differ --tol n=abs:0.1999999999999999999999
    same --tol n=rel:0.67
    differ --tol n=rel:0.66
    same --tol n=abs:2e-1
    sides '{"k":1,"n":9007199254740993}' '{"k":1,"n":9007199254740992}'
    differ --tol n=abs:0.5
    same --tol n=abs:1
    # Of numbers only, and only of this member.
    sides '{"k":1,"n":"1"}' '{"k":1,"n":2}'
    differ --tol n=abs:5
    sides '{"k":1,"n":1}' '{"k":1}'
    differ --tol n=abs:5
    sides '{"k":1}' '{"k":1,"n":1}'
    differ --tol n=abs:5
    sides '{"k":1,"n":1,"m":1}' '{"k":1,"n":2,"m":2}'
    differ --tol n=abs:5
    [ "$(jq -c 'select(.class) | [.fields[].field]' "$OUT")" = '["m"]' ]
    same --tol n=abs:5 --tol m=rel:0.5
}

@test "duplicates: always NG; equal copies are compared once, others are not" {
    sides $'{"k":1,"v":1}\n{"k":1,"v":1}\n{"k":1,"v":1}' '{"k":1,"v":1}'
    differ
    counted duplicate=1
    [ "$(summary .equal)" = 1 ]
    [ "$(jq -c 'select(.class) | [.side, .lines]' "$OUT")" = '["old",[1,2,3]]' ]
    sides '{"k":1,"v":1}' $'{"k":1,"v":2}\n{"k":1,"v":2.0}'
    differ
    counted changed=1 duplicate=1
    sides '{"k":1,"v":1}' $'{"k":1,"v":1}\n{"k":1,"v":2}'
    differ
    counted duplicate=1
    [ "$(summary .equal)" = 0 ]
    # On both sides, and on one alone.
    sides $'{"k":1}\n{"k":1}\n{"k":2}\n{"k":2}' $'{"k":1}\n{"k":1}'
    differ
    counted missing=1 duplicate=3
    [ "$(jq -c 'select(.class == "duplicate") | [.key.k, .side, .lines]' "$OUT" | paste -sd ' ')" = \
        '[1,"old",[1,2]] [2,"old",[3,4]] [1,"new",[1,2]]' ]
    sides "$(yes '{"k":1}' | head -n 300)" '{"k":1}'
    differ
    [ "$(jq -c 'select(.class) | .lines | [length, .[99]]' "$OUT")" = '[100,100]' ]
}

@test "--max-diffs shows the first in the order of their lines, and counts all" {
    rows 1 50 >old
    rows 26 75 >new
    run_split mirror-compare --max-diffs 3 old new
    assert_status 1
    counted missing=25 extra=25
    [ "$(jq -c 'select(.class).old_line' "$OUT" | paste -sd ' ')" = '1 2 3' ]
    run_split mirror-compare --max-diffs 0 old new
    [ "$(wc -l <"$OUT")" -eq 51 ]
    run_split mirror-compare old new
    [ "$(wc -l <"$OUT")" -eq 51 ]
    [ "$(jq -c 'select(.class == "extra").new_line' "$OUT" | paste -sd ' ')" = "$(seq 26 50 | paste -sd ' ')" ]
}

# --- sources -------------------------------------------------------------------------------

@test "sides are files, pipes, standard input, or commands" {
    sides $'{"k":1,"v":1}\n{"k":2}' $'{"k":2}\n{"k":1,"v":2}'
    run_split sh -c 'cat new | mirror-compare --key k old -'
    assert_status 1
    counted changed=1
    mkfifo pipe
    cat old >pipe &
    run_split mirror-compare --key k pipe new
    assert_status 1
    counted changed=1
    run_split mirror-compare --key k --old-cmd 'cat old' --new-cmd 'sort <new | cat'
    assert_status 1
    counted changed=1
    run_split mirror-compare --key k --new-cmd 'cat old' new
    assert_status 1
    [ "$(jq -c 'select(.class).fields' "$OUT")" = '[{"field":"v","old":2,"new":1}]' ]
    run_split mirror-compare --key k --old-cmd 'cat old' new
    [ "$(jq -c 'select(.class).fields' "$OUT")" = '[{"field":"v","old":1,"new":2}]' ]
}

@test "wrong use is refused" {
    sides '{"k":1}' '{"k":1}'
    for args in 'old' 'old new more' '- -' '--old-cmd cat old new' '--key a,,b old new' '--key a,a old new' \
        '--tol n old new' '--tol n=1 old new' '--tol n=abs:-1 old new' '--tol n=abs:x old new' '--tol =abs:1 old new' \
        '--lag soon old new' '--limit -1 old new' '--memory 3 old new' '--gap no old new' '--zone Nowhere/None old new' \
        '--timeout 0 old new' '--nosuch' '--max-diffs x old new' '--ts-tol 1ms old new'; do
        # shellcheck disable=SC2086
        run_split mirror-compare $args
        assert_status 64 || { echo "$args" && return 1; }
        [ ! -s "$OUT" ]
    done
    run_split mirror-compare nosuch new
    assert_status 66 'unable to open nosuch'
    run_split mirror-compare . new
    assert_status 66 'it is a folder'
    run_split mirror-compare
    assert_status 78 'conf/mirror-compare.json'
}

@test "a command that fails, dies or hangs is trouble, with what it says" {
    sides '{"k":1}' '{"k":1}'
    run_split mirror-compare --key k --old-cmd 'cat old; echo "no such host" >&2; echo more >&2; exit 2' new
    assert_status 69 'mirror-compare: the old side: cat: exit status 2: no such host'
    [ "$(summary '[.result, .why]')" = '["ERROR","the old side: cat: exit status 2: no such host"]' ]
    run_split mirror-compare --key k --new-cmd 'kill -9 $$' old
    assert_status 69 'the new side: kill: ended by signal 9'
    run_split mirror-compare --key k --timeout 1 --new-cmd 'cat old; sleep 60 & sleep 60' old
    assert_status 69 'the new side: cat: ended, for it took longer than 1 s'
    run_split mirror-compare --key k --old-cmd 'PASSWORD=secret /usr/bin/nosuch -x' new
    assert_status 69 'the old side: nosuch: exit status 127'
    ! grep secret "$OUT" || return 1
    # A failing side ends the other.
    run_split mirror-compare --key k --old-cmd 'echo $$ >pid; exec sleep 60' --new-cmd 'until [ -s pid ]; do :; done; exit 3'
    assert_status 69 'the new side: until: exit status 3'
    wait_until 5 gone "$(cat pid)"
}

@test "half a line, or nothing, is trouble and never OK" {
    sides '{"k":1}' '{"k":1}'
    for half in '{"k":1}\n{"k"' '{"k":1}\n{"k":2' '{"k":1}\nnul' '{"k":1}\n{"k":"a\\u00'; do
        run_split mirror-compare --key k --old-cmd "printf '$half'" new
        assert_status 65 'the old side:2: the last line is cut'
        # shellcheck disable=SC2059
        printf "$half" >cut.jsonl
        run_split mirror-compare --key k old cut.jsonl
        assert_status 65 'cut.jsonl:2: the last line is cut'
    done
    run_split mirror-compare --key k --old-cmd 'printf "{\"k\":1}"' new
    assert_status 0
    : >empty
    printf '\n\n' >blank
    run_split mirror-compare --key k empty blank
    assert_status 65 'both sides are empty'
    run_split mirror-compare --key k old empty
    assert_status 65 'empty: an empty result, while the other side has 1 records'
    run_split mirror-compare --key k --old-cmd true new
    assert_status 65 'the old side: an empty result'
    run_split mirror-compare --key k --sorted empty new
    assert_status 65 'empty: an empty result'
    run_split mirror-compare --key k --sorted --lag 1h empty blank
    assert_status 65 'both sides are empty'
}

@test "a side that changes while it is compared is trouble" {
    "${CC:-cc}" -std=c11 -D_GNU_SOURCE -O2 -fPIC -shared -o mishap.so "$top/tests/tools-preload/mishap.c" -ldl
    seq -f '{"k":%.0f,"v":1}' 100000 999999 | head -n 60000 >old
    seq -f '{"k":%.0f,"v":1}' 100001 999999 | head -n 60000 >new
    for change in 2 x '"'; do
        for more in '' '--lag 1h'; do
            # Stopped before it writes the first entries out: the first line has been read.
            sed -i '1s/.*/{"k":100000,"v":1}/' old
            # shellcheck disable=SC2086
            background slow env MISHAP=write:1:stop LD_PRELOAD="$PWD/mishap.so" "$bin/mirror-compare" --key k --memory 1M $more old new
            wait_until 10 stopped_or_gone "$pid"
            printf %s "$change" | dd of=old bs=1 seek=16 conv=notrunc 2>/dev/null
            kill -CONT "$pid"
            status=0
            wait "$pid" || status=$?
            [ "$status" -eq 75 ]
            grep -q 'mirror-compare: old: changed while it was compared' slow.err
        done
    done
}

# --- sorted ----------------------------------------------------------------------------------

@test "--sorted says what the other way says" {
    rows 1 300 'select(.tag_id | test("7") | not) | if .tag_id == "T33" then .location = "B" else . end' | sort >old
    rows 1 300 'select(.tag_id | test("99") | not), (if .tag_id == "T41" then . else empty end)' | sort >new
    printf '{"tag_id":\n' >>new
    run_split mirror-compare --max-diffs 0 old new
    assert_status 1
    jq -c 'del(.ts, .ms)' "$OUT" >hashed
    run_split mirror-compare --max-diffs 0 --sorted old new
    assert_status 1
    jq -c 'del(.ts, .ms)' "$OUT" >sorted
    diff hashed sorted
    [ "$(wc -l <sorted)" -gt 50 ]
    for more in '--lag 20' '--limit 200' '--ignore location --tol x=abs:1' '--lag 10 --limit 100'; do
        # shellcheck disable=SC2086
        run_split mirror-compare --max-diffs 0 $more old new
        jq -c 'del(.ts, .ms)' "$OUT" >hashed
        # shellcheck disable=SC2086
        run_split mirror-compare --max-diffs 0 --sorted $more old new
        jq -c 'del(.ts, .ms)' "$OUT" | diff hashed -
    done
}

@test "the order of --sorted: absent, null, false, true, numbers by value, strings by bytes" {
    key=k,l
    cat >old <<'END'
{"l":1}
{"k":null}
{"k":false}
{"k":true}
{"k":-10}
{"k":-2.5}
{"k":-0.0}
{"k":0.1}
{"k":9}
{"k":10,"l":"a"}
{"k":10.0,"l":"b"}
{"k":1e1,"l":"ba"}
{"k":123456789012345678901234567890}
{"k":""}
{"k":"10"}
{"k":"9"}
{"k":"Z"}
{"k":"a\u0041"}
{"k":"aB"}
{"k":"é"}
END
    cp old new
    same --sorted
    [ "$(summary .equal)" = 20 ]
    for ((n = 1; n < 20; n++)); do
        sed "$n{h;d};$((n + 1)){G}" old >new
        compare --sorted
        assert_status 65 "new:$((n + 1)): is out of order: its key is below that of the record before (--sorted)"
    done
    sides '{"k":[1]}' '{"k":1}'
    compare --sorted
    assert_status 65 'old:1: an array or object in a key has no order (--sorted)'
    sides '{"k":1}' $'{"k":0}\n{"k":1e99999}'
    compare --sorted
    assert_status 65 'new:2: a number of such size has no order here (--sorted)'
}

# --- windows and lag ---------------------------------------------------------------------------

@test "cut windows: 5 extra new rows in 1,000 make no false difference" {
    export LIFEBOAT_NOW=1740000001000
    rows 1 1000 | shuf >old
    rows 6 1005 | shuf >new
    run_split mirror-compare --limit 1000 --lag 1m old new
    assert_status 0 '1000 and 1000 records: 995 equal, 5 pending, 5 edge: OK'
    run_split mirror-compare --limit 1000 old new
    assert_status 1
    counted extra=5 edge=5
    [ "$(jq -r 'select(.class == "edge").old.tag_id' "$OUT" | sort | paste -sd ' ')" = 'T1 T2 T3 T4 T5' ]
    # Without the limit they were missing.
    run_split mirror-compare old new
    counted missing=5 extra=5
    # A real hole in the window is one.
    sed -i '/"T500"/d' new
    rows 5 5 >>new
    run_split mirror-compare --limit 1000 --lag 1m old new
    assert_status 1
    counted missing=1 pending=5 edge=4
}

@test "a side that is not cut cannot excuse what it lacks" {
    rows 1 10 >old
    rows 6 10 >new
    run_split mirror-compare --limit 10 old new
    assert_status 1
    counted missing=5
    run_split mirror-compare --limit 10 --lag 1 old new
    counted missing=5
    # More than the limit was not cut by it.
    rows 6 17 >new
    run_split mirror-compare --limit 10 old new
    counted missing=5 extra=7
    run_split mirror-compare --limit 12 old new
    counted extra=7 edge=5
    run_split mirror-compare --limit 0 old new
    counted missing=5 extra=7
}

@test "ties at the end of a window are edge, and what has no time is not" {
    rows 1 5 '.updated_at = "2025-02-20T10:00:00Z"' >old
    rows 3 7 '.updated_at = "2025-02-20 10:00:00+00"' >new
    run_split mirror-compare --limit 5 old new
    assert_status 0
    counted edge=4
    # One side that is whole would have had them.
    rows 3 6 '.updated_at = "2025-02-20 10:00:00+00"' >new
    run_split mirror-compare --limit 5 old new
    assert_status 1
    counted missing=2 edge=1
    rows 1 5 'del(.updated_at)' >old
    rows 3 7 'if .tag_id == "T7" then del(.updated_at) else . end' >new
    run_split mirror-compare --limit 5 --ignore updated_at old new
    assert_status 1
    counted missing=2 extra=2
}

@test "in flight: newer than the lag, by this box's clock or the newest record if that is later" {
    rows 1 20 >old
    rows 1 18 'if .tag_id == "T16" then .location = "B" elif .tag_id == "T11" then .location = "B" else . end' >new
    sed -i '/"T16"/s/21:20:16/21:20:15/' new
    export LIFEBOAT_NOW
    # The last scan was hours ago: it has had its time.
    LIFEBOAT_NOW=1740030000000
    run_split mirror-compare --lag 6 old new
    counted missing=2 changed=2
    for LIFEBOAT_NOW in 1740000020000 1740000003000 1000; do
        run_split mirror-compare --lag 6 old new
        assert_status 1 '20 and 18 records: 16 equal, 1 changed, 3 pending: NG'
        [ "$(jq -r 'select(.class == "changed").key.tag_id' "$OUT")" = T11 ]
        [ "$(jq -c 'select(.class == "pending") | [has("fields"), has("old"), has("new")]' "$OUT" | sort | uniq -c | tr -s ' ')" = \
            ' 2 [false,true,false]
 1 [true,false,false]' ]
    done
    # T14 is 6 s behind T20: not newer.
    sed -i '/"T14"/d' new
    run_split mirror-compare --lag 6 old new
    counted missing=1 changed=1 pending=3
    run_split mirror-compare --lag 7 old new
    counted changed=1 pending=4
    run_split mirror-compare old new
    counted missing=3 changed=2
    # Of two versions the newer one counts, on whichever side it is.
    rows 19 19 '.tag_id = "late"' >old
    rows 1 1 '.tag_id = "late"' >new
    run_split mirror-compare --lag 6 old new
    counted pending=1
    run_split mirror-compare --lag 6 new old
    counted pending=1
}

@test "what was in flight and has not moved by the next run is NG" {
    export LIFEBOAT_NOW=1740000001000
    configure '{lag: "5m"}'
    rows 1 20 >old
    rows 1 18 >new
    run_noted
    assert_status 0 '2 pending: OK, streak 1 of 14'
    [ "$(wc -l <status/pending)" -eq 2 ]
    run_noted
    assert_status 1 '2 missing: NG, streak 0 of 14'
    # It stays NG, also where time stands still.
    run_noted
    assert_status 1 '2 missing'
    # Arrived: nothing is pending any more.
    rows 1 20 >new
    run_noted
    assert_status 0 '20 equal, no difference: OK'
    [ ! -e status/pending ]
    rows 1 21 >old
    run_noted
    assert_status 0 '1 pending'
}

@test "a record in flight at two runs is fine where the mirror has moved meanwhile" {
    export LIFEBOAT_NOW=1740000001000
    configure '{lag: "5m"}'
    version() { rows "$1" "$1" '.tag_id = "hot" | .n = .updated_at'; }
    version 100 >old
    version 99 >new
    run_noted
    assert_status 0 '1 pending'
    # The version of then has arrived, another is under way.
    version 200 >old
    version 100 >new
    run_noted
    assert_status 0 '1 pending'
    version 300 >old
    version 150 >new
    run_noted
    assert_status 1 '1 changed'
    # What was there at that run has not arrived by the next.
    version 400 >old
    version 250 >new
    run_noted
    assert_status 1 '1 changed'
    # The new side may be the one that is ahead.
    version 410 >old
    version 420 >new
    run_noted
    assert_status 0 '1 pending'
}

@test "a time that is not compared still says what is in flight and in the window" {
    export LIFEBOAT_NOW=1740000001000
    rows 1 10 >old
    rows 3 12 '.updated_at |= (fromdate + 3 | todate)' >new
    for how in '--ignore updated_at' '--fields location'; do
        # shellcheck disable=SC2086
        run_split mirror-compare $how --limit 10 --lag 1 old new
        assert_status 1
        counted extra=1 pending=1 edge=2
        [ "$(summary .equal)" = 8 ]
    done
}

@test "what was in flight and has left the window is not forgotten" {
    local now=1740000000
    row() { printf '{"tag_id":"%s","order_id":"O","v":%s,"updated_at":%s}\n' "$1" "$2" "$3"; }
    configure '{lag: "5m", limit: 3}'
    export LIFEBOAT_NOW=${now}000
    { row 1 1 $((now - 600)) && row 2 2 $((now - 500)) && row 3 10 $((now - 100)); } >old
    { row 0 0 $((now - 3000)) && row 1 1 $((now - 600)) && row 2 2 $((now - 500)) && row 3 5 $((now - 1200)); } >new
    run_noted
    assert_status 0 '2 equal, 1 pending, 1 edge: OK'
    # Three later ones take its place in the old side's window; the new side still has the old version.
    export LIFEBOAT_NOW=$((now + 86400))000
    for i in 4 5 6; do row $i $i $((now + 80000 + i)); done | tee old >>new
    run_noted
    assert_status 1 '1 extra'
    [ "$(jq -r 'select(.class == "extra").key.tag_id' "$OUT")" = 3 ]
    # It is so until it has come.
    run_noted
    assert_status 1 '1 extra'
    sed -i "s/^.*\"3\".*/$(row 3 10 $((now - 100)))/" new
    run_noted
    assert_status 0 '3 equal, 4 edge: OK'
}

@test "in flight, the tolerance of time stamps holds as well" {
    local now=1740000000
    row() { printf '{"tag_id":"T","order_id":"O","v":%s,"updated_at":%s}\n' "$1" "$2"; }
    configure '{lag: "5m", ts_tol: "1s"}'
    export LIFEBOAT_NOW=${now}000
    row 10 $now.4 >old
    row 9 $((now - 900)) >new
    run_noted
    assert_status 0 '1 pending'
    row 11 $((now + 60)) >old
    row 10 $now >new
    run_noted
    assert_status 0 '1 pending'
}

@test "a member that is there twice is named in whole characters" {
    local name
    name=$(printf 'é%.0s' {1..50})
    sides '{"k":1}' "{\"k\":1,\"$name\":1,\"$name\":2}"
    differ
    iconv -f UTF-8 -t UTF-8 "$OUT" >/dev/null
    counted missing=1 bad=1
}

@test "a time of many digits is an instant" {
    sides '{"k":1,"updated_at":1740046503.12345678901234567890}' '{"k":1,"updated_at":"1740046503.123456"}'
    same
    same --sorted
    same --ts-tol 1s
}

@test "two values of one moment are not on their way" {
    export LIFEBOAT_NOW=1740000001000
    configure '{lag: "5m"}'
    rows 1 20 >old
    rows 1 20 'if .tag_id == "T20" then .location = "B" else . end' >new
    run_noted
    assert_status 1 '19 equal, 1 changed: NG'
}

@test "without a status folder nothing is remembered" {
    export LIFEBOAT_NOW=1740000001000
    rows 1 20 >old
    rows 1 18 >new
    for _ in 1 2; do
        run_split mirror-compare --lag 5m old new
        assert_status 0 '2 pending: OK'
    done
    [ -z "$(ls status)" ]
}

# --- the status folder ---------------------------------------------------------------------------

@test "a difference is noted: the ledger, its details, the counter" {
    configure '{max_diffs: 2}'
    rows 1 5 >old
    cp old new
    run_noted
    assert_status 0 'mirror-compare: 5 and 5 records: 5 equal, no difference: OK, streak 1 of 14'
    [ "$(cat status/ok_counter)" = 1 ]
    [ ! -e status/mirror_diff.log ]
    rows 3 5 'if .tag_id == "T5" then .location = null else . end' >new
    run_noted
    assert_status 1 '2 missing, 1 changed: NG, streak 0 of 14'
    [ "$(cat status/ok_counter)" = 0 ]
    [ "$(ledger 'map([.result, .old, .new, .equal, .missing, .extra, .changed, .duplicate, .bad, .pending, .edge]) | tostring')" = \
        '[["OK",5,5,5,0,0,0,0,0,0,0],["NG",5,3,2,2,0,1,0,0,0,0]]' ]
    jq_true -s 'map((.ts | test("^20..-")) and (.day | test("^....-..-..$")) and .zone == "UTC" and (.ms >= 0)
        and (.config | test("^[0-9a-f]{16}$"))) | all' status/mirror_status.log
    [ "$(ledger 'map(.config) | unique | length')" = 1 ]
    # The lines are those of stdout, and stdout ends with what the ledger got.
    diff <(head -n -1 "$OUT") status/mirror_diff.log
    [ "$(wc -l <status/mirror_diff.log)" -eq 2 ]
    diff <(tail -n 1 "$OUT" | jq -S .) <(tail -n 1 status/mirror_status.log | jq -S 'del(.ts, .day, .zone)')
    [ "$(stat -c %a status/mirror_status.log status/mirror_diff.log status/ok_counter | sort -u)" = 644 ]
}

@test "pending and edge are shown, and are no lines of mirror_diff.log" {
    export LIFEBOAT_NOW=1740000001000
    configure '{lag: "3s", limit: 10}'
    rows 1 10 >old
    rows 3 12 'if .tag_id == "T5" then .location = "B" else . end' >new
    run_noted
    assert_status 1
    counted changed=1 pending=2 edge=2
    [ "$(jq -r .class status/mirror_diff.log)" = changed ]
    [ "$(jq -r 'select(.class).class' "$OUT" | paste -sd ' ')" = 'changed edge edge pending pending' ]
}

@test "trouble is noted as ERROR, with its reason" {
    configure '{old_cmd: "echo FATAL: password authentication failed >&2; exit 2"}'
    rows 1 2 >new
    run_noted
    assert_status 69 'the old side: echo: exit status 2: FATAL: password authentication failed'
    [ "$(ledger '.[] | [.result, .why] | join(" ")')" = \
        'ERROR the old side: echo: exit status 2: FATAL: password authentication failed' ]
    [ "$(cat status/ok_counter)" = 0 ]
    : >old
    : >new
    configure '{}'
    run_noted
    assert_status 65
    [ "$(ledger '.[1] | [.result, .why] | join(" ")')" = 'ERROR both sides are empty: nothing was compared' ]
    # What is no UTF-8 becomes fit for JSON.
    configure '{new_cmd: "printf \"\\377\\\"x\\n\" >&2; exit 1"}'
    run_noted
    assert_status 69
    [ "$(ledger '.[2].why')" = $'the new side: printf: exit status 1: \ufffd"x' ]
}

@test "nothing of a password is taken for the name of a program" {
    for cmd in 'PGPASSWORD="a secret c" false' "PGPASSWORD='a secret c' false" 'PGPASSWORD=a\ secret\ c false' 'A=1 PGPASSWORD=$(echo "a secret c") false'; do
        run_split mirror-compare --old-cmd "$cmd" --new-cmd 'echo {}' --status-dir status
        assert_status 69
        cat status/* "$OUT" "$ERR" >said
        [ "$(grep -cF secret said)" = 0 ]
    done
}

@test "--recompute compares nothing: no sides, and not unnoted" {
    for more in 'old new' --no-record '--old-cmd true' 'old'; do
        # shellcheck disable=SC2086
        run_split mirror-compare --recompute $more
        assert_status 64
    done
}

@test "a zone is one, and no folder or list of them" {
    sides '{"k":1}' '{"k":1}'
    for zone in Asia leapseconds tzdata.zi Nowhere ''; do
        compare --zone "$zone"
        assert_status 64 'there is none of this name'
    done
}

@test "one run at a time: a second one ends with 75 and changes nothing" {
    configure '{old_cmd: "echo > ready; until [ -e go ]; do :; done; cat new"}'
    rows 1 2 >new
    background first mirror-compare
    wait_until 10 test -e ready
    run_noted
    assert_status 75 'another run has not ended yet'
    [ ! -e status/mirror_status.log ]
    run_noted --recompute
    assert_status 75
    touch go
    wait "$pid"
    [ "$(ledger 'map(.result) | join(" ")')" = OK ]
}

@test "TERM ends the commands, and leaves no line" {
    configure '{old_cmd: "sleep 60 & echo $! >pid; wait", new_cmd: "cat new"}'
    rows 1 2 >new
    background run mirror-compare
    wait_until 10 test -s pid
    kill -TERM "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 143 ]
    wait_until 5 gone "$(cat pid)"
    [ ! -e status/mirror_status.log ]
}

@test "sides on the command line are noted only where asked to" {
    rows 1 2 | tee old >new
    configure '{}'
    run_split mirror-compare old new
    assert_status 0
    [ -z "$(ls status)" ]
    run_split mirror-compare --status-dir status old new
    assert_status 0 'streak 1 of 14'
    [ "$(ledger length)" = 1 ]
    run_split mirror-compare --no-record --status-dir status old new
    run_noted --no-record
    assert_status 0
    [ "$(ledger length)" = 1 ]
    mkdir elsewhere
    run_noted --status-dir elsewhere
    [ "$(ledger length)" = 1 ]
    [ "$(jq -r .result elsewhere/mirror_status.log)" = OK ]
    run_noted --status-dir nosuch
    assert_status 73 'nosuch'
}

@test "what bears on the result changes the configuration's digest, the rest does not" {
    rows 1 2 '.at = .updated_at | .n = 1' | tee old >new
    configure '{}'
    run_noted
    for more in '{key: "tag_id"}' '{ts: "at"}' '{fields: ["location"]}' '{ignore: "x"}' '{tol: {n: "abs:1"}}' '{tol: {n: "rel:1"}}' \
        '{ts_tol: 1}' '{lag: 1}' '{limit: 7}' '{zone: "Asia/Tokyo"}' '{old_cmd: "cat ./old"}'; do
        configure "$more"
        run_noted
        assert_status 0
    done
    [ "$(ledger 'map(.config) | unique | length')" = 12 ]
    for more in '{max_diffs: 1}' '{memory: "1M"}' '{timeout: 5}' '{status_dir: "status"}' '{gap: "hold"}'; do
        configure "$more"
        run_noted
        assert_status 0
        [ "$(ledger '.[-1].config == .[0].config')" = true ]
    done
    [ "$(ledger '.[-1].gap')" = hold ]
    [ "$(ledger '[.[] | select(.zone == "Asia/Tokyo")] | length')" = 1 ]
}

@test "the configuration file: its defaults, its members, its faults" {
    # The document's: tag_id,order_id; updated_at; 1000.
    configure '{}'
    rows 1 1000 >old
    rows 2 1001 >new
    run_noted
    assert_status 1
    counted extra=1 edge=1
    configure '{limit: 0, key: ["tag_id"], ignore: ["order_id"], sorted: false}'
    rows 1 2 '.order_id = 7' >new
    rows 1 2 >old
    run_noted
    assert_status 0
    rm conf/mirror-compare.json
    jq -n '{old: "old", new: "new"}' >other.json
    run_split mirror-compare --config other.json
    assert_status 1
    counted missing=2 extra=2
    run_split mirror-compare --config nosuch.json
    assert_status 78 'nosuch.json'
    # Its rules for sides that are named.
    jq -n '{key: "tag_id", ignore: "order_id"}' >rules.json
    run_split mirror-compare --config rules.json old new
    assert_status 0
    run_split mirror-compare --config rules.json
    assert_status 78 'rules.json: wants either old or old_cmd'
    run_split mirror-compare --config rules.json --ignore location old new
    assert_status 1
    for bad in '{"old":"a","old_cmd":"b"}' '{"nosuch":1}' '{"key":""}' '{"key":[1]}' '{"limit":-1}' '{"lag":"soon"}' '{"tol":{"n":"1"}}' \
        '{"tol":[]}' '{"memory":"1K"}' '{"gap":"maybe"}' '{"sorted":1}' '{"zone":"No/Where"}' '{"key":["a","a"]}' '{"limit":1,"limit":2}' '[]' '{'; do
        echo "$bad" >bad.json
        run_split mirror-compare --config bad.json
        assert_status 78 || { echo "$bad" && return 1; }
    done
    printf '{\n"old":"a",\n"nosuch":1}' >bad.json
    run_split mirror-compare --config bad.json
    assert_status 78 'bad.json:3: nosuch: no such member'
}

@test "--recompute derives the counter from the ledger" {
    configure '{}'
    rows 1 2 | tee old >new
    for day in 0 1 2; do
        LIFEBOAT_NOW=$(((20000 + day) * 86400000)) run_noted
        assert_status 0
    done
    echo 99 >status/ok_counter
    LIFEBOAT_NOW=$((20002 * 86400000 + 5)) run_noted --recompute
    assert_status 0
    assert_out 3
    [ "$(cat status/ok_counter)" = 3 ]
    [ "$(ledger length)" = 3 ]
    # It needs no sides, nor a file that names them.
    rm conf/mirror-compare.json old new
    LIFEBOAT_NOW=$((20003 * 86400000 + 5)) run_noted --recompute
    assert_out 3
    LIFEBOAT_NOW=$((20004 * 86400000 + 5)) run_noted --recompute
    assert_out 0
}

@test "what cannot be noted is trouble: no diff log, no ledger" {
    configure '{}'
    rows 1 2 >old
    rows 1 1 >new
    mkdir status/mirror_diff.log
    run_noted
    assert_status 73 'status/mirror_diff.log'
    [ "$(ledger 'map(.result) | join(" ")')" = ERROR ]
    rmdir status/mirror_diff.log
    rm status/mirror_status.log
    mkdir status/mirror_status.log
    run_noted
    assert_status 74 'status/mirror_status.log: Is a directory'
    [ "$(summary .result)" = '"ERROR"' ]
}

@test "stdout that fails is a failed run, and the result is noted all the same" {
    configure '{}'
    rows 1 2 >old
    rows 1 1 >new
    run_split sh -c 'mirror-compare >/dev/full'
    assert_status 74 'unable to write to standard output'
    [ "$(ledger 'map(.result) | join(" ")')" = NG ]
    [ "$(wc -l <status/mirror_diff.log)" -eq 1 ]
}

@test "a diff log that a power cut tore is ended first" {
    configure '{}'
    rows 1 2 >old
    rows 1 1 >new
    printf '{"ts":"2025' >status/mirror_diff.log
    run_noted
    assert_status 1
    [ "$(sed -n 2p status/mirror_diff.log | jq -r .class)" = missing ]
}

# --- size ----------------------------------------------------------------------------------------------

@test "beyond the memory allowed it spills, and says the same" {
    awk 'BEGIN { for (i = 0; i < 60000; i++) printf "{\"k\":%d,\"v\":%d}\n", i, i % 7 }' >old
    awk 'BEGIN { for (i = 59999; i > 0; i--) printf "{\"k\":%d,\"v\":%d}\n", i, i % 500 ? i % 7 : -1 }' >new
    sed -n '5p;900p' new >again
    cat again >>new
    compare --max-diffs 0
    assert_status 1
    counted missing=1 changed=119 duplicate=2
    jq -c 'del(.ts, .ms)' "$OUT" >whole
    compare --max-diffs 0 --memory 1M
    jq -c 'del(.ts, .ms)' "$OUT" | diff whole -
    # No name is left behind.
    [ "$(find . -name '.lifeboat*' | wc -l)" -eq 0 ]
    TMPDIR=/nonexistent run_split mirror-compare --key k --memory 1M old new
    assert_status 73 'unable to make a temporary file'
    # Where nothing goes beyond, none is needed.
    TMPDIR=/nonexistent run_split mirror-compare --key k old old
    assert_status 0
}

@test "help, version, and options that all commands have" {
    run_split mirror-compare --help
    assert_status 0
    [[ $out == *'--old-cmd'* ]]
    run_split mirror-compare -V
    assert_status 0
}
