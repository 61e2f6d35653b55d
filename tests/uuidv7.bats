#!/usr/bin/env bats
# uuidv7: version-7 UUIDs are made in order and told apart from all others.
# valgrind: prints one|A.6|bad lines

load helper

a6=017f22e2-79b0-7cc3-98c4-dc0c0c07398f
a6_json='{"uuid":"017f22e2-79b0-7cc3-98c4-dc0c0c07398f","unix_ms":1645557742000,"time":"2022-02-22T19:22:22.000Z"}'
version_7='^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'

silent() {
    [ ! -s "$ERR" ] || show_run "wanted nothing on stderr"
}

# The run ended well, with N lines that are UUIDs of version 7, and no others.
assert_ids() {
    assert_status 0 && silent || return
    [ "$(wc -l <"$OUT")" -eq "$1" ] || show_run "wanted $1 lines" || return
    [ "$(grep -cE "$version_7" "$OUT")" -eq "$1" ] || show_run "wanted $1 UUIDs"
}

@test "without options it prints one UUID of now" {
    before=$(date +%s%3N)
    run_split uuidv7
    after=$(date +%s%3N)
    assert_ids 1
    ms=$((16#${out:0:8}${out:9:4}))
    [ "$before" -le "$ms" ]
    [ "$ms" -le "$after" ]
}

@test "-n prints as many as it says" {
    run_split uuidv7 -n 3
    assert_ids 3
    run_split uuidv7 --count=1000
    assert_ids 1000
}

@test "-n 0 prints nothing and is content" {
    run_split uuidv7 -n 0
    assert_ids 0
}

@test "a million UUIDs strictly ascend" {
    run_split uuidv7 -n 1000000
    assert_ids 1000000
    LC_ALL=C sort -cu "$OUT"
}

@test "a hundred thousand UUIDs of one millisecond ascend and stay in it" {
    run_split uuidv7 -n 100000 -t 1645557742000
    assert_ids 100000
    LC_ALL=C sort -cu "$OUT"
    [ "$(cut -c 1-13 "$OUT" | uniq)" = 017f22e2-79b0 ]
}

@test "two runs at the same time of -t print different UUIDs" {
    uuidv7 -t 1645557742000 -n 1000 >a
    uuidv7 -t 1645557742000 -n 1000 >b
    [ "$(sort -u a b | wc -l)" -eq 2000 ]
}

@test "-t takes the edges of the range" {
    run_split uuidv7 -t 0
    assert_ids 1
    [[ $out == 00000000-0000-7* ]]
    run_split uuidv7 --time 281474976710655
    assert_ids 1
    [[ $out == ffffffff-ffff-7* ]]
}

@test "-t refuses what no UUID can hold" {
    for ms in -1 281474976710656 99999999999999999999 '' abc 5x 1.5 2022-02-22T19:22:22Z; do
        run_split uuidv7 -t "$ms"
        assert_status 64 "uuidv7: -t: $ms: wants a number from 0 to 281474976710655"
        assert_out ''
    done
}

@test "-n refuses what is no count" {
    for n in -1 99999999999999999999 '' many 5x; do
        run_split uuidv7 -n "$n"
        assert_status 64 "uuidv7: -n: $n: wants a number from 0 to 9223372036854775807"
        assert_out ''
    done
}

@test "options that do not go together are wrong usage" {
    run_split uuidv7 -p -n 3
    assert_status 64 'uuidv7: -p takes neither -n nor -t'
    run_split uuidv7 -t 5 -p "$a6"
    assert_status 64 'uuidv7: -p takes neither -n nor -t'
    assert_out ''
    run_split uuidv7 "$a6"
    assert_status 64 "uuidv7: $a6: operands are for -p"
    run_split uuidv7 --frobnicate
    assert_status 64 frobnicate
    assert_out ''
}

@test "LIFEBOAT_NOW is the time it takes for now" {
    LIFEBOAT_NOW=1645557742000 run_split uuidv7 -n 5
    assert_ids 5
    [ "$(cut -c 1-13 "$OUT" | uniq)" = 017f22e2-79b0 ]
}

@test "a setting nobody knows is an error" {
    LIFEBOAT_NWO=1 run_split uuidv7
    assert_status 78 LIFEBOAT_NWO
    assert_out ''
}

@test "-p tells the time in RFC 9562's A.6" {
    run_split uuidv7 -p "$a6"
    assert_status 0
    silent
    assert_out "$a6_json"
    jq_true '.unix_ms == 1645557742000' "$OUT"
}

@test "-p takes upper case and answers in lower case" {
    run_split uuidv7 --parse 017F22E2-79B0-7CC3-98C4-DC0C0C07398F
    assert_status 0
    assert_out "$a6_json"
}

@test "-p knows the least and the greatest UUID" {
    run_split uuidv7 -p 00000000-0000-7000-8000-000000000000 ffffffff-ffff-7fff-bfff-ffffffffffff
    assert_status 0
    assert_out '{"uuid":"00000000-0000-7000-8000-000000000000","unix_ms":0,"time":"1970-01-01T00:00:00.000Z"}
{"uuid":"ffffffff-ffff-7fff-bfff-ffffffffffff","unix_ms":281474976710655,"time":"10889-08-02T05:31:50.655Z"}'
}

@test "-p reads back what was made, in the same order" {
    uuidv7 -n 5000 >ids
    run_split uuidv7 -p <ids
    assert_status 0
    silent
    jq -r .uuid "$OUT" | cmp - ids
}

@test "-p refuses bad operands, each with its reason, and prints the others" {
    run_split uuidv7 -p 919108f7-52d1-4320-9bac-f847db4148a8 "$a6" "{$a6}" "urn:uuid:$a6" \
        00000000-0000-0000-0000-000000000000 017f22e2-79b0-7cc3-c8c4-dc0c0c07398f ''
    assert_status 1
    assert_out "$a6_json"
    [ "$errout" = "uuidv7: 919108f7-52d1-4320-9bac-f847db4148a8: version 4, not 7
uuidv7: {$a6}: not a UUID
uuidv7: urn:uuid:$a6: not a UUID
uuidv7: 00000000-0000-0000-0000-000000000000: the nil UUID, not version 7
uuidv7: 017f22e2-79b0-7cc3-c8c4-dc0c0c07398f: the variant is not that of RFC 9562
uuidv7: : not a UUID" ] || show_run 'wanted six reasons'
}

@test "-p names the bad lines of standard input and goes on" {
    printf '%s\n' nonsense "$a6" '' c232ab00-9414-11ec-b3c8-9f6bdeced846 "$a6" " $a6" >ids
    run_split uuidv7 -p <ids
    assert_status 1
    assert_out "$a6_json
$a6_json"
    [ "$errout" = "uuidv7: -:1: nonsense: not a UUID
uuidv7: -:4: c232ab00-9414-11ec-b3c8-9f6bdeced846: version 1, not 7
uuidv7: -:6:  $a6: not a UUID" ] || show_run 'wanted three reasons'
}

@test "-p takes a byte order mark, CRLF, blank lines and a last line without an end" {
    printf '\xef\xbb\xbf%s\r\n\r\n\n%s' "$a6" "$a6" >ids
    run_split uuidv7 -p <ids
    assert_status 0
    silent
    assert_out "$a6_json
$a6_json"
}

@test "-p survives an endless line, NUL and control bytes" {
    {
        head -c 3000000 /dev/zero | tr '\0' x
        printf '\n%s\n\033[2J\001\000\377\n' "$a6"
        head -c 100000 /dev/zero | tr '\0' y
    } >ids
    run_split uuidv7 -p <ids
    assert_status 1
    assert_out "$a6_json"
    xs=$(printf 'x%.0s' {1..64})
    [ "$errout" = "uuidv7: -:1: $xs...: not a UUID
uuidv7: -:3: ?[2J???: not a UUID
uuidv7: -:4: ${xs//x/y}...: not a UUID" ] || show_run 'wanted three reasons'
}

@test "-p of empty input prints nothing and is content" {
    run_split uuidv7 -p </dev/null
    assert_status 0
    silent
    assert_out ''
}

@test "-p takes - among its operands for standard input" {
    run_split uuidv7 -p "$a6" - <<<"$a6"
    assert_status 0
    assert_out "$a6_json
$a6_json"
}

@test "-p answers each line of a trickle at once" {
    mkfifo pipe
    background answers sh -c 'exec uuidv7 -p <pipe'
    exec {feed}>pipe
    echo "$a6" >&"$feed"
    wait_until 5 grep -qF "$a6_json" answers.out
    exec {feed}>&-
    wait "$pid"
}

@test "-p of an input that cannot be read fails" {
    run_split uuidv7 -p <.
    assert_status 74 'uuidv7: unable to read standard input: '
    assert_out ''
}

@test "a full disk behind standard output is an error" {
    for args in '' '-n 100000' "-p $a6" --help --version; do
        status=0
        # shellcheck disable=SC2086 # words
        uuidv7 $args >/dev/full 2>"$ERR" || status=$?
        errout=$(<"$ERR")
        assert_status 74 'uuidv7: unable to write to standard output: No space left on device'
    done
}

@test "a closed standard output is an error" {
    [ "$checker" != valgrind ] || skip 'its log takes the place of the output'
    status=0
    uuidv7 >&- 2>"$ERR" || status=$?
    errout=$(<"$ERR")
    assert_status 74 'uuidv7: unable to write to standard output: '
}

@test "a reader that leaves ends it by SIGPIPE, without a word" {
    set -o pipefail
    status=0
    uuidv7 -n 100000000 2>"$ERR" | head -n 1 >first || status=$?
    [[ $(<first) =~ $version_7 ]]
    [ "$status" -eq 141 ]
    [ ! -s "$ERR" ]
}

@test "TERM and INT end a long run with 128 and the signal" {
    for signal in TERM INT; do
        background "$signal" uuidv7 -n 9000000000000000000
        wait_until 5 test -s "$signal.out"
        kill -s "$signal" "$pid"
        status=0
        wait "$pid" || status=$?
        : >"$signal.out"
        [ "$status" -eq $((128 + $(kill -l "$signal"))) ]
    done
}

@test "--help names the options and --version the version" {
    run_split uuidv7 --help
    assert_status 0
    silent
    for option in -n -t -p -h -V; do
        grep -qe "^ *$option, --" "$OUT"
    done
    run_split uuidv7 -V
    assert_status 0
    [[ $out =~ ^uuidv7\ \(lifeboat\)\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
}
