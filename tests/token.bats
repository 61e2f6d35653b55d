#!/usr/bin/env bats
# lifeboat-token: keys, tokens, pairing codes.
# valgrind: key makes|claims come out|printed page|six digits|two keys
# shellcheck disable=SC2002 # pipes are wanted

load helper

setup() {
    private_store
    export LIFEBOAT_KEY=$BATS_TEST_TMPDIR/token.key
}

teardown() {
    [ -z "${feed-}" ] || exec {feed}>&-
    stop_background
}

kid() { lifeboat-token key -q | jq -r "select(.state == \"$1\").kid"; }
secret() { awk '{ print $2; exit }' "$LIFEBOAT_KEY"; }
issue() { lifeboat-token -q issue --user ana --role dr "$@"; }

# python CODE [ARG...]: an implementation of its own, of nothing but RFC 7515 and 7519;
# key and token are its words for the current secret and for making one.
python() {
    local code=$1
    shift
    python3 -c "
import base64, hashlib, hmac, json, sys, time
def b64(b): return base64.urlsafe_b64encode(b).rstrip(b'=')
def raw(t): return base64.urlsafe_b64decode(t + '=' * (-len(t) % 4))
def sign(text, key, how='sha256'): return hmac.new(key, text, how).digest()
def token(claims, key, how='sha256', **header):
    head = {'alg': 'HS256', 'typ': 'JWT', **header}
    text = b64(json.dumps(head).encode()) + b'.' + b64(json.dumps(claims).encode())
    return (text + b'.' + b64(sign(text, key, how))).decode()
key = bytes.fromhex(open('$LIFEBOAT_KEY').readline().split()[1])
now = int(time.time())
claims = {'user_id': 'py', 'role': 'admin', 'exp': now + 60}
$code" "$@"
}

make_shim() {
    [ -z "$checker" ] || skip 'the shim is for plain builds'
    "${CC:-cc}" -std=c11 -D_GNU_SOURCE -O2 -fPIC -shared -o mishap.so \
        "$top/tests/tools-preload/mishap.c" -ldl
}

# refused WHY: by check, of the token on standard input.
refused() {
    run_split lifeboat-token check
    assert_status 1 "standard input: refused: $1" && [ ! -s "$OUT" ]
}

# --- the key ------------------------------------------------------------------------

@test "key makes a file that nobody else reads, once, and never prints the secret" {
    run_split lifeboat-token key
    assert_status 0 'now print it for the safe'
    [ "$(stat -c %a token.key)" = 600 ]
    grep -qxE '[0-9a-f]{8} [0-9a-f]{64} [0-9]{13}' token.key
    jq_true '.state == "current" and .age_days == 0 and (.kid | length) == 8' "$OUT"
    cp token.key before
    cp "$OUT" first
    run_split lifeboat-token key
    assert_status 0
    [ -z "$errout" ]
    cmp "$OUT" first
    cmp token.key before
    [ "$(cat first)" = "${out//$(secret)/}" ]
    [ "$(ls -A token.key*)" = token.key ]
}

@test "two makers at once make one key" {
    for i in {1..12}; do background "maker$i" lifeboat-token key; done
    for p in "${background_pids[@]}"; do wait "$p"; done
    cat maker*.out | jq -r .kid | sort | uniq -c >kids
    [ "$(awk '{ print $1 }' kids)" = 12 ]
    [ "$(cat maker*.err | grep -c 'made key')" -eq 1 ]
}

@test "umask and a setting of the environment change neither mode nor place" {
    (umask 0 && lifeboat-token -q key >/dev/null)
    [ "$(stat -c %a token.key)" = 600 ]
    (umask 777 && lifeboat-token -q -k other.key key >/dev/null)
    [ "$(stat -c %a other.key)" = 600 ]
    run_split lifeboat-token -k no/where.key key
    assert_status 73 'unable to open the folder of no/where.key'
}

@test "a key that others may read, that is no file, or another's, is not used" {
    issue >token 2>/dev/null || lifeboat-token -q key >/dev/null
    issue >token
    for mode in 640 604 620 700 4600; do
        chmod "$mode" token.key
        run_split lifeboat-token check <token
        assert_status 77 "mode 0${mode}"$'\n' || assert_status 77 "mode $(printf %04d "$mode"):"
        run_split issue
        assert_status 77
        run_split lifeboat-token key
        assert_status 77
        run_split lifeboat-token pair
        assert_status 77
    done
    chmod 400 token.key
    run_split lifeboat-token check <token
    assert_status 0
    chmod 600 token.key
    mv token.key real
    ln -s real token.key
    run_split lifeboat-token check <token
    assert_status 77 'a symbolic link'
    rm token.key
    mkfifo token.key
    chmod 600 token.key
    run_split timeout -s KILL 20 lifeboat-token check <token
    assert_status 77 'not a regular file'
    rm token.key
    mkdir -m 600 token.key
    run_split lifeboat-token check <token
    assert_status 77
}

@test "a key of another user is not used, one of the store's owner is, and root gives it to him" {
    [ "$(id -u)" -eq 0 ] || skip 'it gives files to others: root runs it'
    mkdir store
    export LIFEBOAT_DB=$PWD/store/s.db
    chown 4242:4243 store
    lifeboat-token -q key >/dev/null
    [ "$(stat -c %u:%g token.key)" = 4242:4243 ]
    run_split lifeboat-token key --rotate
    assert_status 0
    [ "$(stat -c %u:%g:%a token.key)" = 4242:4243:600 ]
    chown 4244 token.key
    run_split lifeboat-token key
    assert_status 77 'belongs to user 4244'
    chown 0 token.key
    run_split lifeboat-token key
    assert_status 0
}

@test "a file that is no file of keys is 78, and is left as it is" {
    lifeboat-token -q key >/dev/null
    cp -p token.key good
    s=$(secret) k=$(kid current)
    while IFS= read -r line; do
        printf '%b' "$line" >token.key
        cp token.key bad
        run_split lifeboat-token key --rotate
        assert_status 78 token.key
        cmp token.key bad
        run_split lifeboat-token key
        assert_status 78 token.key
    done <<EOF

\n
$k $s 1
$k $s\n
$k ${s^^} 1\n
$k ${s%?} 1\n
00000000 $s 1\n
$k $s -1\n
$k $s 1 2\n
$k $s 1\n$k $s 1 2\n
$k $s 1\n$k $s 1\n
$k $s 1\n\n
$k  $s 1\n
$k $s 1 \n
$k $s 1\0\n
$k $s 1\n$(printf 'x%.0s' {1..2000})
EOF
    cp -p good token.key
    [ "$(kid current)" = "$k" ]
}

@test "rotate: two keys are good, the former one until its time" {
    lifeboat-token -q key >/dev/null
    issue >first
    one=$(kid current)
    run_split lifeboat-token key --rotate --keep 2d
    assert_status 0 "tokens of key $one are good until"
    [ "$(kid former)" = "$one" ]
    [ "$(stat -c %a token.key)" = 600 ]
    issue >second
    run_split lifeboat-token check <first
    assert_status 0
    run_split lifeboat-token check <second
    assert_status 0
    later=$((($(date +%s) + 2 * 86400 + 60) * 1000))
    LIFEBOAT_NOW=$later refused 'its key is retired' <first
    LIFEBOAT_NOW=$later run_split lifeboat-token check <second
    assert_status 0
    LIFEBOAT_NOW=$later run_split lifeboat-token key
    jq_true -s 'map(.state) == ["current", "retired"]' "$OUT"
    lifeboat-token -q key --rotate --keep 0 >/dev/null
    refused 'unknown key' <first
    refused 'its key is retired' <second
    [ "$(wc -l <token.key)" -eq 2 ]
    rm token.key
    run_split lifeboat-token key --rotate
    assert_status 66 'no such key'
    [ ! -e token.key ]
}

@test "many rotate at once: each of them makes its key, and the file is whole" {
    lifeboat-token -q key >/dev/null
    for i in {1..12}; do background "r$i" lifeboat-token key --rotate; done
    for p in "${background_pids[@]}"; do wait "$p"; done
    [ "$(cat r*.out | jq -r 'select(.state == "current").kid' | sort -u | wc -l)" -eq 12 ]
    lifeboat-token key | jq_true -s 'length == 2'
    [ "$(echo token.key*)" = token.key ]
}

@test "a rotation that is killed or fails anywhere leaves the key before, or the new one, whole" {
    make_shim
    lifeboat-token -q key >/dev/null
    issue >token
    cp -p token.key before
    for what in change:kill change:tear change:28 change:5 sync:5 sync:kill open:13; do
        for ((n = 1; ; n++)); do
            rm -f mark token.key.new
            cp -p before token.key
            status=0
            MISHAP=${what%:*}:$n:${what#*:} MISHAP_MARK=$PWD/mark LD_PRELOAD=$PWD/mishap.so \
                lifeboat-token -q key --rotate >"$OUT" 2>"$ERR" || status=$?
            [ -s mark ] || break
            [[ $what == *:tear ]] || [ "$status" -ne 0 ]
            [[ $what == *kill || $what == *tear ]] || [ ! -e token.key.new ]
            run_split lifeboat-token check <token
            assert_status 0
            lifeboat-token -q key --rotate >/dev/null
            [ "$(echo token.key*)" = token.key ]
        done
        [ "$n" -gt 1 ] || [[ $what == open:* ]]
        [ "$status" -eq 0 ]
    done
}

# --- paper --------------------------------------------------------------------------

@test "a printed page brings the key back, and is what an independent reader makes of it" {
    export LIFEBOAT_SITE=BORP-DNO-01
    lifeboat-token -q key >/dev/null
    issue >token
    run_split lifeboat-token key --paper
    assert_status 0
    cp "$OUT" page
    grep -q 'site BORP-DNO-01' page
    grep -q "key id  $(kid current)" page
    grep -q 'key --import' page
    [ "$(awk '{ print length }' page | sort -n | tail -n 1)" -le 80 ]
    python '
alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
got = b""
for line in open(sys.argv[1]):
    words = line.split()
    if words and words[0] in ("1:", "2:", "3:", "4:"):
        n = 0
        for c in "".join(words[1:]): n = n * 32 + alphabet.index(c)
        b = n.to_bytes(10, "big")
        assert sign(words[0][:1].encode() + b[:8], b"lifeboat paper")[:2] == b[8:]
        got += b[:8]
assert got == key' page
    mv token.key old
    run_split lifeboat-token key --import <page
    assert_status 0 "key $(cut -c 1-8 old) is in"
    [ "$(secret)" = "$(awk '{ print $2 }' old)" ]
    [ "$(stat -c %a token.key)" = 600 ]
    run_split lifeboat-token check <token
    assert_status 0
    rm token.key
    sed -n 's/^ *[1-4]:  //p' page | tr '[:upper:]' '[:lower:]' | tr -d ' \n' | tr 01 ol >typed
    run_split lifeboat-token key --import <typed
    assert_status 0
    [ "$(secret)" = "$(awk '{ print $2 }' old)" ]
    run_split lifeboat-token key --import <typed
    assert_status 0 'already'
}

@test "what was mistyped is named by its line, and nothing is written" {
    lifeboat-token -q key >/dev/null
    lifeboat-token key --paper >page
    rm token.key
    for i in 1 2 3 4; do
        sed -E "s/^( *$i:  ....) (.)(.)/\1 \3\2/" page >wrong
        cmp -s page wrong && sed -E "s/^( *$i:  )..../\1ZZZZ/" page >wrong
        run_split lifeboat-token key --import <wrong
        assert_status 65 "line $i: mistyped"
        [ ! -e token.key ]
        grep -v "^ *$i:" page >wrong
        run_split lifeboat-token key --import <wrong
        assert_status 65 "line $i: missing"
    done
    run_split lifeboat-token key --import </dev/null
    assert_status 65 'no key in it'
    head -c 100000 /dev/zero | tr '\0' a >long
    run_split lifeboat-token key --import <long
    assert_status 65 'longer than'
}

@test "two keys: another one is not written over, but --replace puts it before" {
    lifeboat-token -q -k a.key key >/dev/null
    lifeboat-token -k a.key key --paper >page
    lifeboat-token -q key >/dev/null
    issue >token
    cp -p token.key before
    run_split lifeboat-token key --import <page
    assert_status 73 'has another key'
    cmp token.key before
    one=$(kid current)
    run_split lifeboat-token key --import --replace <page
    assert_status 0 "tokens of key $one are good until"
    [ "$(secret)" = "$(awk '{ print $2 }' a.key)" ]
    [ "$(kid former)" = "$one" ]
    run_split lifeboat-token check <token
    assert_status 0
}

# --- tokens -------------------------------------------------------------------------

@test "claims come out of a token as they went in" {
    lifeboat-token -q key >/dev/null
    for role in user device dr admin; do
        run_split lifeboat-token issue --user "a_B-9" --role "$role" --ttl 1h
        assert_status 0 "a_B-9, role $role"
        [[ $out =~ ^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}$ ]]
        printf '%s' "$out" >token
        run_split lifeboat-token check <token
        assert_status 0
        jq_true ".user_id == \"a_B-9\" and .role == \"$role\" and .exp - .iat == 3600" "$OUT"
    done
    lifeboat-token -q issue --user x --role user | lifeboat-token check |
        jq_true '.exp - .iat == 90 * 86400'
}

@test "a token that others can check, and tokens that others made" {
    lifeboat-token -q key >/dev/null
    issue >token
    python '
head, body, sum = open("token").read().strip().split(".")
assert json.loads(raw(head)) == {"alg": "HS256", "typ": "JWT", "kid": sys.argv[1]}
assert hmac.compare_digest(raw(sum), sign((head + "." + body).encode(), key))
assert json.loads(raw(body))["user_id"] == "ana"' "$(kid current)"
    python 'print(token(claims, key))' >theirs
    run_split lifeboat-token check <theirs
    assert_status 0
    jq_true '.user_id == "py" and .role == "admin"' "$OUT"
    python 'print(token(claims, key, kid=sys.argv[1]))' "$(kid current)" | lifeboat-token check
    python 'print(token({**claims, "exp": now - 1}, key))' | refused expired
    python 'print(token({**claims, "nbf": now + 300}, key))' | refused 'not valid yet'
    python 'print(token(claims, b"x" * 32))' | refused 'wrong signature'
    python 'print(token(claims, b""))' | refused 'wrong signature'
    python 'print(token(claims, key, kid="deadbeef"))' | refused 'unknown key'
    python 'print(token(claims, key, "sha512", alg="HS512"))' | refused 'not signed with HS256'
    python 'print(token(claims, key, "sha384", alg="HS384"))' | refused 'not signed with HS256'
    python 'print(token(claims, key, alg="RS256"))' | refused 'not signed with HS256'
    python 'print(token(claims, key, alg="none"))' | refused 'not signed with HS256'
    python 'print(token(claims, key, alg="none").rsplit(".", 1)[0] + ".")' | refused 'not a token'
    python 'print(token({**claims, "user_id": "../admin"}, key))' | refused user_id
    python 'print("Bearer " + token(claims, key))' | refused 'not a token'
    python 'print(token(claims, key) + "=")' | refused 'not a token'
    python 'print(token({**claims, "x": "y" * 5000}, key))' | refused 'longer than 4096 bytes'
    printf '' | refused 'not a token'
}

@test "a clock that stands in 1970 locks nobody out; one that goes right judges" {
    lifeboat-token -q key >/dev/null
    export LIFEBOAT_NOW=86400000
    run_split issue --ttl 1h
    assert_status 0
    printf '%s\n' "$out" >token
    run_split lifeboat-token issue --user a --role dr
    assert_status 0 'the clock of this box is wrong'
    run_split lifeboat-token check <token
    assert_status 0
    python 'print(token({**claims, "iat": now, "nbf": now}, key))' >ahead
    run_split lifeboat-token check <ahead
    assert_status 0
    python 'print(token({**claims, "exp": 1000000}, key))' | refused expired
    unset LIFEBOAT_NOW
    issue --ttl 1h >token
    export LIFEBOAT_NOW=$((($(date +%s) + 3601) * 1000))
    refused expired <token
    run_split lifeboat-token issue --user a --role dr
    assert_status 0
    [[ $errout != *wrong* ]]
}

@test "what is wrong on the command line is 64; without a key it is 66" {
    while IFS= read -r words; do
        read -ra argv <<<"$words"
        run_split lifeboat-token "${argv[@]}"
        assert_status 64 || return
        [ ! -e token.key ]
    done <<'EOF'

make
key now
key --paper --rotate
key --import --rotate
key --replace
key --user a
issue
issue --user a
issue --role dr
issue --user a.b --role dr
issue --user a --role root
issue --user a --role dr --ttl 0
issue --user a --role dr --ttl 4000d
issue --user a --role dr --keep 1d
check eyJhbGciOiJIUzI1NiJ9
check --user a
pair --ttl-code 2h
pair --ttl-code 0
pair --token-ttl x
pair --ttl 1d
--nonsense
EOF
    run_split lifeboat-token issue --user "$(printf 'x%.0s' {1..65})" --role dr
    assert_status 64
    run_split issue
    assert_status 66 'no such key'
    run_split lifeboat-token check </dev/null
    assert_status 66 'no such key'
    run_split lifeboat-token key --paper
    assert_status 66 'no such key'
    LIFEBOAT_KEYS=x run_split lifeboat-token key
    assert_status 78 'no such setting'
}

@test "without libjwt: 69 for what needs it, and no code is shown; what is bad stays bad" {
    lifeboat-token -q key >/dev/null
    issue >token
    mkdir empty
    : >empty/libjwt.so.0
    export LD_LIBRARY_PATH=$PWD/empty
    run_split issue
    assert_status 69 libjwt
    run_split lifeboat-token check <token
    assert_status 69 libjwt
    run_split lifeboat-token pair
    assert_status 69 libjwt
    [ ! -s "$OUT" ]
    [ ! -e "$LIFEBOAT_DB-pairing" ]
    refused 'wrong signature' < <(sed 's/.$/A/; s/AA$/BA/' token)
    run_split lifeboat-token key
    assert_status 0
    echo 'int nothing;' | "${CC:-cc}" -x c -shared -o empty/libjwt.so.0 -
    run_split lifeboat-token check <token
    assert_status 69 'libjwt.so.0 has no jwt_new'
}

# What libjwt and libcrypto are denied makes them crash now and then: nothing that would
# let anybody in, and not ours to mend.
@test "whatever fails, no bad token is good and none that is made is bad" {
    make_shim
    lifeboat-token -q key >/dev/null
    issue >token
    python 'print(token({**claims, "exp": now - 1}, key))' >bad
    export MISHAP_MARK=$PWD/mark
    for what in memory:12 read:5 read:half open:24; do
        for ((n = 1; ; n += n < 60 ? 1 : 83)); do
            rm -f mark
            export MISHAP=${what%:*}:$n:${what#*:}
            status=0
            LD_PRELOAD=$PWD/mishap.so lifeboat-token check <bad >"$OUT" 2>"$ERR" || status=$?
            [ "$status" -ne 0 ]
            [ ! -s "$OUT" ]
            status=0
            LD_PRELOAD=$PWD/mishap.so lifeboat-token check <token >"$OUT" 2>"$ERR" || status=$?
            [ "$status" -eq 0 ] || [ "$status" -ge 69 ] || grep -q 'not understood' "$ERR"
            status=0
            LD_PRELOAD=$PWD/mishap.so lifeboat-token -q issue --user a --role dr >made \
                2>"$ERR" || status=$?
            unset MISHAP
            [ "$status" -ne 0 ] || lifeboat-token check <made >/dev/null
            [ "$status" -eq 0 ] || [ ! -s made ]
            [ -s mark ] || break
        done
        [ "$n" -gt 2 ]
    done
}

# --- pairing ------------------------------------------------------------------------

# pair [OPTION...]: in the background, until its code can be seen: $code, $pid
pair() {
    background "${console:=console}" lifeboat-token pair "$@"
    wait_until 10 shows_code
    code=$(sed -n 's/^code \(...\) \(...\)$/\1\2/p' "$console.out")
    [[ $code =~ ^[0-9]{6}$ ]]
}
shows_code() { grep -qE '^code [0-9]{3} [0-9]{3}$' "$console.out"; }

# tablet CODE...: tries them
tablet() { "$build/tools/pairtry" "$LIFEBOAT_DB" "$LIFEBOAT_KEY" "iPad 7" "$@"; }

# wrong_codes N: so many that are not $code
wrong_codes() {
    local i
    for ((i = 1; i <= $1; i++)); do printf '%06d\n' $(((10#$code + i * 7) % 1000000)); done
}

ended() { # STATUS TEXT: how the console ended
    local status=0
    wait "$pid" || status=$?
    [ "$status" -eq "$1" ] || { echo "console: $status: $(cat "$console.err")" >&2 && return 1; }
    grep -qF -- "$2" "$console.err"
}

@test "six digits, and a tablet is paired: once" {
    pair --token-ttl 3d
    grep -q 'made key' console.err
    [ "$(stat -c %a "$LIFEBOAT_DB-pairing")" = 600 ]
    run_split grep -F "$code" "$LIFEBOAT_DB-pairing"
    assert_status 1
    read -r result token < <(tablet "${code:0:3} ${code:3}")
    [ "$result" = yes ]
    ended 0 'paired: iPad 7 is paired-'
    printf '%s' "$token" | lifeboat-token check >claims
    jq_true '.role == "dr" and .exp - .iat == 3 * 86400' claims
    grep -qF "$(jq -r .user_id claims)" console.err
    [ "$(tablet "$code")" = 'gone ' ]
}

# read_big CODE FILE: the digits that are drawn there are those of CODE.
read_big() {
    python3 - "$1" "$2" <<'EOF'
import sys
lines = [l.rstrip("\n") for l in open(sys.argv[2]) if "##" in l]
font = ["###|#.#|#.#|#.#|###", ".#.|##.|.#.|.#.|###", "###|..#|###|#..|###", "###|..#|###|..#|###",
        "#.#|#.#|###|..#|..#", "###|#..|###|..#|###", "###|#..|###|#.#|###", "###|..#|..#|..#|..#",
        "###|#.#|###|#.#|###", "###|#.#|###|..#|###"]
got, at = "", 3
for i in range(6):
    at += 7 if i == 3 else 2
    rows = []
    for l in lines:
        cell = l.ljust(80)[at:at + 6]
        rows.append("".join("#" if cell[2 * k] == "#" else "." for k in range(3)))
    got += str(font.index("|".join(rows)))
    at += 6
assert got == sys.argv[1], got
EOF
}

@test "the code is drawn in big digits, and -q shows nothing but the code" {
    seen=
    for ((i = 0; i < 60; i++)); do
        console=big$i
        pair
        [ "$(grep -c '##' "$console.out")" -eq 5 ]
        read_big "$code" "$console.out"
        kill "$pid"
        ended 143 revoked
        seen=$(fold -w 1 <<<"$seen$code" | sort -u | tr -d '\n')
        [ "$seen" != 0123456789 ] || break
    done
    [ "$seen" = 0123456789 ]
    console=quiet
    pair -q
    [ "$(cat quiet.out)" = "code ${code:0:3} ${code:3}" ]
}

@test "what a tablet calls itself steers no terminal" {
    pair
    "$build/tools/pairtry" "$LIFEBOAT_DB" "$LIFEBOAT_KEY" $'\e[2Jx\nlifeboat-token: paired: y' "$code" >/dev/null
    ended 0 '\x1b[2Jx' || ended 0 '\u001b[2Jx' || cat console.err
    run_split grep -c $'\e' console.err
    assert_status 1
    [ "$(grep -c 'paired' console.err)" -eq 1 ]
}

@test "five wrong codes end it, each is told, and then the right one is too late" {
    pair
    mapfile -t wrong < <(wrong_codes 6)
    [ "$(tablet "${wrong[0]}")" = 'wrong 4' ]
    wait_until 5 grep -q 'a wrong code was tried; 4 tries left' console.err
    # What is no code costs nothing.
    [ "$(tablet '' 12345 1234567 12345x '１２３４５６' | sort -u)" = 'wrong 4' ]
    [ "$(tablet "${wrong[@]:1:4}" | tail -n 1)" = 'wrong 0' ]
    [ "$(tablet "$code")" = 'gone ' ]
    ended 1 'wrong ones were tried 5 times'
    console=again
    pair
    [ "$(tablet "${wrong[@]:0:4}" | tail -n 1)" = 'wrong 1' ]
    read -r result _ < <(tablet "$code")
    [ "$result" = yes ]
    ended 0 paired
}

@test "a hundred that guess at once have five tries in all" {
    pair
    wrong_codes 100 >codes
    "$(command -v xargs)" -P 100 -n 1 "$build/tools/pairtry" "$LIFEBOAT_DB" "$LIFEBOAT_KEY" x <codes |
        sort | uniq -c | awk '{ $1 = $1; print }' >counts
    [ "$(cat counts)" = '95 gone
1 wrong 0
1 wrong 1
1 wrong 2
1 wrong 3
1 wrong 4' ]
    ended 1 'wrong ones were tried 5 times'
}

@test "who tries while another is being judged waits, or is told to come again" {
    pair
    console_pid=$pid
    mkfifo go
    background holder sh -c 'exec python3 -c "
import fcntl, sys
f = open(sys.argv[1], \"r+\")
fcntl.lockf(f, fcntl.LOCK_EX, 1, 0)
print(\"held\", flush=True)
sys.stdin.read()" "$1" <go' sh "$LIFEBOAT_DB-pairing"
    exec {feed}>go
    wait_until 10 grep -q held holder.out
    cp "$LIFEBOAT_DB-pairing" before
    [[ $(tablet 000000) == 'error 75 '*'others have it in use' ]]
    cmp before "$LIFEBOAT_DB-pairing"
    exec {feed}>&-
    wait "$pid"
    mapfile -t wrong < <(wrong_codes 1)
    [ "$(tablet "${wrong[0]}")" = 'wrong 4' ]
    kill -0 "$console_pid"
}

@test "of twenty that have the right code one is paired" {
    pair
    for i in {1..20}; do echo "$code"; done |
        xargs -P 20 -n 1 "$build/tools/pairtry" "$LIFEBOAT_DB" "$LIFEBOAT_KEY" x |
        awk '{ print $1 }' | sort | uniq -c | awk '{ $1 = $1; print }' >counts
    [ "$(cat counts)" = '19 gone
1 yes' ]
    ended 0 paired
}

@test "a try is counted on disk before it is answered" {
    make_shim
    pair
    mapfile -t wrong < <(wrong_codes 6)
    export MISHAP_MARK=$PWD/mark
    # Killed when the count was written, and not synced: it counts all the same.
    status=0
    MISHAP=sync:1:kill LD_PRELOAD=$PWD/mishap.so tablet "${wrong[0]}" >answer || status=$?
    [ "$status" -eq 137 ]
    [ ! -s answer ]
    [ "$(tablet 0)" = 'wrong 4' ]
    # One that cannot be counted is not answered.
    MISHAP=sync:1:5 LD_PRELOAD=$PWD/mishap.so tablet "$code" >answer
    [[ $(cat answer) == 'error 74 '* ]]
    kill "$pid"
    wait "$pid" || :
    # Nor with a full disk.
    console=full
    pair
    MISHAP=write:1:28 LD_PRELOAD=$PWD/mishap.so tablet "${wrong[0]}" >answer
    [[ $(cat answer) == 'error 74 '* ]]
}

@test "the code is over when its time is" {
    pair --ttl-code 1s
    ended 1 'no tablet came in time'
    [ "$(tablet "$code")" = 'gone ' ]
}

@test "a deadline that has passed counts though its console still shows the code" {
    pair --ttl-code 1s
    kill -STOP "$pid"
    is_gone() { [ "$(tablet 0)" = 'gone ' ]; }
    wait_until 5 is_gone
    [ "$(tablet "$code")" = 'gone ' ]
    kill -CONT "$pid"
    ended 1 'no tablet came in time'
}

@test "no jump of the wall clock ends it or makes it longer" {
    pair --ttl-code 1m
    read -r result _ < <(LIFEBOAT_NOW=1 tablet 0)
    [ "$result" = wrong ]
    export LIFEBOAT_NOW=$((($(date +%s) + 999999) * 1000))
    read -r result _ < <(tablet 0)
    [ "$result" = wrong ]
}

@test "TERM, INT and a kill end it; who left no word is told by his lock" {
    for signal in TERM INT KILL; do
        console=$signal
        pair
        [ "$(tablet 0)" = 'wrong 5' ]
        kill "-$signal" "$pid"
        status=0
        wait "$pid" || status=$?
        [ "$status" -eq $((128 + $(kill -l "$signal"))) ]
        [ "$(tablet "$code")" = 'gone ' ]
    done
    grep -q 'the code is revoked' TERM.err
}

@test "another boot ends it" {
    unshare -m true 2>/dev/null || skip 'it puts another boot id in place by a mount: where that is allowed it runs'
    pair
    [ "$(tablet 0)" = 'wrong 5' ]
    echo 00000000-0000-0000-0000-000000000000 >boot_id
    # shellcheck disable=SC2016
    got=$(unshare -m sh -c 'mount --bind boot_id /proc/sys/kernel/random/boot_id && exec "$@"' sh \
        "$build/tools/pairtry" "$LIFEBOAT_DB" "$LIFEBOAT_KEY" x "$code")
    [ "$got" = 'gone ' ]
    read -r result _ < <(tablet "$code")
    [ "$result" = yes ]
}

@test "another pairing takes the place of the one before" {
    pair
    first=$pid one=$code
    console=second
    pair
    [ "$one" = "$code" ] || [ "$(tablet "$one")" = 'wrong 4' ]
    second=$pid
    pid=$first console=console
    ended 1 'another one was shown'
    # The first one that has ended has not ended the second.
    pid=$second console=second
    read -r result _ < <(tablet "$code")
    [ "$result" = yes ]
    ended 0 paired
}

@test "a rotation leaves it alone, another key ends it" {
    pair
    lifeboat-token -q key --rotate >/dev/null
    [ "$(tablet 0)" = 'wrong 5' ]
    read -r result token < <(tablet "$code")
    [ "$result" = yes ]
    printf '%s' "$token" | lifeboat-token check >/dev/null
    console=other
    pair
    rm token.key
    lifeboat-token -q key >/dev/null
    [ "$(tablet "$code")" = 'gone ' ]
}

@test "where there is no pairing nothing is made; a file that others may write is not believed" {
    lifeboat-token -q key >/dev/null
    [ "$(tablet 123456)" = 'gone ' ]
    [ "$(echo "$LIFEBOAT_DB"*)" = "$LIFEBOAT_DB*" ]
    pair
    chmod 660 "$LIFEBOAT_DB-pairing"
    [[ $(tablet "$code") == 'error 77 '* ]]
    chmod 600 "$LIFEBOAT_DB-pairing"
    cp "$LIFEBOAT_DB-pairing" saved
    for damage in 's/open 5/open 9/' 's/./X/' '1d' 's/ 31536000000 / 99999999999 /'; do
        sed "$damage" saved >"$LIFEBOAT_DB-pairing"
        cmp -s saved "$LIFEBOAT_DB-pairing" && return 1
        [ "$(tablet "$code")" = 'gone ' ]
    done
}

@test "a console that cannot show the code, or a folder that is not there" {
    lifeboat-token -q key >/dev/null
    run_split sh -c 'lifeboat-token pair >/dev/full'
    assert_status 74
    [ "$(tablet 000000)" = 'gone ' ]
    run_split lifeboat-token -d no/where.db pair
    assert_status 73 'no/where.db-pairing'
}

@test "root's pairing belongs to whoever the store belongs to" {
    [ "$(id -u)" -eq 0 ] || skip 'it gives files to others: root runs it'
    mkdir store
    chown 4242:4243 store
    export LIFEBOAT_DB=$PWD/store/s.db
    pair
    [ "$(stat -c %u:%g:%a "$LIFEBOAT_DB-pairing")" = 4242:4243:600 ]
}

# --- secrets ------------------------------------------------------------------------

@test "no core file, no argument and no environment has the secret or the code" {
    [ -z "$checker" ] || skip 'a checker traces, or has a core of its own: the plain run has it'
    case $(cat /proc/sys/kernel/core_pattern) in core) ;; *) skip 'cores go elsewhere' ;; esac
    ulimit -c unlimited || skip 'no cores here'
    background control tail -f /dev/null
    wait_until 5 grep -qx tail "/proc/$pid/comm"
    kill -ABRT "$pid"
    wait "$pid" || :
    compgen -G 'core*' >/dev/null || skip 'no cores here'
    rm core*
    pair
    run_split grep -aqE "$code|$(secret)" "/proc/$pid/cmdline" "/proc/$pid/environ" console.err
    assert_status 1
    grep -q '^Max core file size *0 *0 ' "/proc/$pid/limits"
    # Where somebody may raise the limit it does not help him.
    prlimit --pid "$pid" --core=unlimited:unlimited || :
    kill -ABRT "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 134 ]
    [ -z "$(compgen -G 'core*')" ]
}
