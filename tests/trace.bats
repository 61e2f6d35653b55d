#!/usr/bin/env bats
# evstore-trace: what caused what, even where that makes no sense.
# valgrind: under the event that caused it|cycle|DOT

load helper

# ev ID MS [CAUSE [CORRELATION [TYPE]]]: at MS ms after 1970; - for none.
ev() {
    local more=
    [ "${3:--}" = - ] || more=",\"causation_id\":\"$3\""
    [ "${4:--}" = - ] || more="$more,\"correlation_id\":\"$4\""
    printf '{"event_id":"%s","entity_type":"case","entity_id":"1","actor_id":"n","ts_device":%s,"event_type":"%s","payload":{}%s}\n' \
        "$1" "$2" "${5-T}" "$more"
}

# at ID MS: the line of such an event.
at() { printf 'T case/1 %s 1970-01-01T00:00:00.%03dZ n' "$1" "$2"; }

store() { evstore-append -q; }

family() {
    { ev a 1 - c && ev b 5 a c && ev d 2 a c && ev e 3 d && ev f 4 e c; } | store
}

silent() {
    [ ! -s "$ERR" ] || show_run "wanted nothing on stderr"
}

# chain N: of so many events, each caused by the one before.
chain() {
    awk -v n="$1" 'BEGIN {
        for (i = 1; i <= n; i++)
            printf "{\"event_id\":\"k%06d\",\"entity_type\":\"case\",\"entity_id\":\"1\",\"actor_id\":\"n\",\"ts_device\":%d,\"event_type\":\"T\",\"correlation_id\":\"k\",%s\"payload\":1}\n",
                i, i, (i > 1 ? sprintf("\"causation_id\":\"k%06d\",", i - 1) : "")
    }'
}

@test "an event stands under the event that caused it, siblings in the order of their clocks" {
    family
    run_split evstore-trace --correlation c
    assert_status 0
    silent
    assert_out "$(at a 1)
├── $(at d 2)
│   └── $(at e 3)
│       └── $(at f 4)
└── $(at b 5)"
}

@test "--event prints the whole tree and marks the event" {
    family
    run_split evstore-trace --event e
    assert_status 0
    silent
    assert_out "$(at a 1)
├── $(at d 2)
│   └── $(at e 3) ◀
│       └── $(at f 4)
└── $(at b 5)"
}

@test "--event leaves out what has nothing to do with it" {
    family
    { ev x 9 - c && ev y 9 x c; } | store
    run_split evstore-trace --event b
    [[ $out != *' x '* ]]
    run_split evstore-trace --event y
    assert_out "$(at x 9)
└── $(at y 9) ◀"
}

@test "where the locale has no UTF-8, ASCII draws it" {
    family
    ev g 6 a c '手術' | store
    LC_ALL=C run_split evstore-trace --event d
    assert_status 0
    assert_out "$(at a 1)
|-- $(at d 2) <--
|   \`-- $(at e 3)
|       \`-- $(at f 4)
|-- $(at b 5)
\`-- \\u624b\\u8853 case/1 g 1970-01-01T00:00:00.006Z n"
}

@test "a correlation may be a forest, in the order of clocks" {
    { ev b 2 - c && ev a 1 - c && ev b2 3 b c && ev other 2 - d; } | store
    run_split evstore-trace --correlation c
    assert_out "$(at a 1)
$(at b 2)
└── $(at b2 3)"
}

@test "causes outside of the correlation are shown above it" {
    { ev top 1 && ev mid 2 top other && ev low 3 mid c && ev aside 3 mid other; } | store
    run_split evstore-trace --correlation c
    assert_out "$(at top 1)
└── $(at mid 2)
    └── $(at low 3)"
}

@test "a cause that is not here is a node, with all that it caused" {
    { ev a 1 - c && ev b 2 gone c && ev d 3 gone c; } | store
    run_split evstore-trace --correlation c
    assert_status 0
    assert_out "$(at a 1)
? gone (not in this store)
├── $(at b 2)
└── $(at d 3)"
    run_split evstore-trace --event d
    assert_out "? gone (not in this store)
├── $(at b 2)
└── $(at d 3) ◀"
}

@test "a cycle is cut at its earliest event and shown" {
    { ev r1 1 r3 c && ev r2 2 r1 c && ev r3 3 r2 c && ev r4 4 r2 && ev r5 5 r3; } | store
    tree="$(at r1 1)
└── $(at r2 2)
    ├── $(at r3 3)
    │   ├── $(at r5 5)
    │   └── ^ r1 (cycle)
    └── $(at r4 4)"
    for e in r1 r2 r3 r4 r5; do
        run_split evstore-trace --event $e
        assert_status 0
        silent
        [ "$(sed 's/ ◀//' "$OUT")" = "$tree" ]
        [ "$(grep -c ' ◀' "$OUT")" -eq 1 ]
        grep -q " $e .* ◀" "$OUT"
    done
    run_split evstore-trace --correlation c
    [ "$(grep -c cycle "$OUT")" -eq 1 ]
    assert_line "$(at r1 1)"
}

@test "an event that says it caused itself is a cycle of one" {
    ev s 1 s c | store
    for by in '--event s' '--correlation c'; do
        # shellcheck disable=SC2086
        run_split evstore-trace $by
        assert_status 0
        [ "$(sed 's/ ◀//' "$OUT")" = "$(at s 1)
└── ^ s (cycle)" ]
    done
}

@test "a tail that leads into a cycle ends" {
    { ev a 1 b && ev b 2 a && ev t1 3 b c && ev t2 4 t1 c; } | store
    run_split evstore-trace --correlation c
    assert_out "$(at a 1)
└── $(at b 2)
    ├── $(at t1 3)
    │   └── $(at t2 4)
    └── ^ a (cycle)"
}

@test "a chain of 100,000 is drawn flat below depth 32, quickly" {
    [ "$checker" != valgrind ] || skip 'too slow here'
    chain 100000 | store
    SECONDS=0
    run_split evstore-trace --correlation k
    assert_status 0
    [ "$(wc -l <"$OUT")" -eq 100000 ]
    [ "$(wc -c <"$OUT")" -lt 25000000 ]
    [[ $(sed -n 33p "$OUT") == *'└── T case/1 k000033 '* ]]
    [[ $(sed -n 34p "$OUT") == *' [33] T case/1 k000034 '* ]]
    [[ $(tail -n 1 "$OUT") == *' [99999] T case/1 k100000 '* ]]
    run_split evstore-trace --event k050000
    assert_status 0
    [ "$(wc -l <"$OUT")" -eq 100000 ]
    [ -n "$checker" ] || [ "$SECONDS" -lt 20 ]
}

@test "a ring of 30,000 ends, and so does a fan of 30,000" {
    [ "$checker" != valgrind ] || skip 'too slow here'
    chain 30000 | sed '1s/"payload"/"causation_id":"k030000","payload"/' | store
    run_split evstore-trace --event k012345
    assert_status 0
    [ "$(wc -l <"$OUT")" -eq 30001 ]
    [[ $(tail -n 1 "$OUT") == *'[30000] ^ k000001 (cycle)' ]]
    chain 30000 | sed 's/k0/f0/g; s/"causation_id":"[^"]*"/"causation_id":"f000001"/' | store
    run_split evstore-trace --event f000001
    assert_status 0
    [ "$(grep -c '^├── ' "$OUT")" -eq 29998 ]
}

@test "what could steer a terminal is shown as an escape" {
    printf '%s\n' '{"event_id":"x","entity_type":"a\u001b[2Jb","entity_id":"\u202Ec\u0085\\d","actor_id":"é\u2028","ts_device":1,"event_type":"T\n\u007f","causation_id":"gone\r","payload":1}' | store
    run_split evstore-trace --event x
    assert_status 0
    assert_out '? gone\u000d (not in this store)
└── T\u000a\u007f a\u001b[2Jb/\u202ec\u0085\\d x 1970-01-01T00:00:00.001Z é\u2028 ◀'
    LC_ALL=C run_split evstore-trace --event x
    [[ $out == *' \u00e9\u2028 <--' ]]
    LC_ALL=C run_split grep -c '[^ -~]' "$OUT"
    assert_out 0
}

@test "--dot writes DOT, quotes and backslashes escaped" {
    # shellcheck disable=SC1003 # a backslash it is
    { ev a 1 'go\"ne\\' && ev b 2 a c 'T\\N\"'; } | store
    run_split evstore-trace --dot --event b
    assert_status 0
    silent
    assert_out 'digraph trace {
    node [shape=box];
    n0 [label="T\\\\N\" case/1\nb\n1970-01-01T00:00:00.002Z n", style=bold];
    n1 -> n0;
    n1 [label="T case/1\na\n1970-01-01T00:00:00.001Z n"];
    n2 -> n1;
    n2 [label="? go\"ne\\\\ (not in this store)", style=dashed];
}'
}

@test "--dot draws a cycle as one" {
    { ev a 1 b && ev b 2 a; } | store
    LC_ALL=C run_split evstore-trace --dot --event a
    assert_status 0
    assert_line '    n0 -> n1;'
    assert_line '    n1 -> n0 [style=dashed, constraint=false, label="cycle"];'
}

@test "what is not there is said, with 1" {
    family
    run_split evstore-trace --event nobody
    assert_status 1 'evstore-trace: event nobody: not in this store'
    assert_out ''
    run_split evstore-trace --correlation nothing
    assert_status 1 'evstore-trace: correlation nothing: no event has it'
    assert_out ''
}

@test "it reads while somebody writes, and changes nothing" {
    family
    before=$(sha256sum "$LIFEBOAT_DB")
    LIFEBOAT_WAIT=0 run_split flock "$LIFEBOAT_DB-gate" evstore-trace --event a
    assert_status 0
    [ "$(sha256sum "$LIFEBOAT_DB")" = "$before" ]
}

@test "no store is 66, the wrong use 64, a full disk 74" {
    run_split evstore-trace -d none.db --event a
    assert_status 66 'none.db: no such store'
    for wrong in '' '--event a --correlation b' '--event a b' '--dot' '--frob'; do
        # shellcheck disable=SC2086
        run_split evstore-trace $wrong
        assert_status 64 'try evstore-trace --help'
        assert_out ''
    done
    family
    run_split sh -c 'evstore-trace --event a >/dev/full'
    assert_status 74 'unable to write to standard output'
}
