#!/usr/bin/env bash
# fuzz.sh [TARGET...]: libFuzzer, ASan and UBSan on each target of tests/fuzz, two at
# a time: first the saved corpus tests/fuzz/TARGET alone, then on from there for
# FUZZ_SECONDS (600; 60 with SMALL set) into build-fuzz/TARGET. A finding is kept
# there and named. Prints TAP.
#
#   FUZZ_MERGE=1   afterwards each corpus becomes what is least to cover the same
set -uo pipefail
cd "$(dirname "$0")/.." || exit
seconds=${FUZZ_SECONDS:-$([ -n "${SMALL-}" ] && echo 60 || echo 600)}
flags='-std=c11 -D_GNU_SOURCE -Ilib -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all'
make -s -j2 CC=clang BUILD=build-fuzz CFLAGS='-O1 -g -fsanitize=fuzzer-no-link' \
    SAN='-fsanitize=address,undefined -fno-sanitize-recover=all' build-fuzz/liblifeboat.a || exit 70
# The judge is not what is to be covered.
# shellcheck disable=SC2086
clang $flags -c -o build-fuzz/value.o tests/fuzz/value.c || exit 70

[ $# -gt 0 ] || set -- event doc text line canon merge config kvline jwt request edit record

# fuzz TARGET: its verdicts, without numbers, to build-fuzz/TARGET.tap
fuzz() {
    local program=build-fuzz/fuzz_$1 found=build-fuzz/$1 saved=tests/fuzz/$1
    local -a options=(-max_len=4096 -timeout=30 "-artifact_prefix=$found-")
    mkdir -p "$found"
    # shellcheck disable=SC2086
    clang $flags -fsanitize=fuzzer -o "$program" "tests/fuzz/fuzz_$1.c" build-fuzz/value.o \
        build-fuzz/liblifeboat.a -lsqlite3 -luuid -lxxhash -lcrypto >"$found.log" 2>&1 &&
        "$program" "${options[@]}" "$saved"/* >"$found.log" 2>&1
    verdict $? "$1: $(find "$saved" -type f | wc -l) saved inputs" "$found.log" || return
    "$program" "${options[@]}" -max_total_time="$seconds" -print_final_stats=1 "$found" "$saved" \
        >"$found.log" 2>&1
    verdict $? "$1: $(figures "$found.log")" "$found.log" || return
    [ -z "${FUZZ_MERGE-}" ] || renew "$1"
}

figures() { # LOG
    awk -v seconds="$seconds" '
        /executed_units/ { n = $2 }
        / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
        sub(/^stat::[a-z]+: /, "") { more = "; " $0 } # what the target itself says
        END { printf "%d inputs in %d s, %d edges%s", n, seconds, edges, more }' "$1"
}

verdict() { # STATUS NAME LOG
    if [ "$1" -eq 0 ]; then
        echo "ok - fuzz $2"
    else
        echo "not ok - fuzz $2"
        grep -B 4 -A 14 -m 1 '^==.*ERROR' "$3" | cut -c -2000 | sed 's/^/# /' # what it says, and where
        tail -n 8 "$3" | sed 's/^/# /'                                      # the input
    fi
    return "$1"
}

# The inputs with names of their own stay; the others become the few that cover,
# with these, each edge that is covered now.
renew() { # TARGET
    local saved=tests/fuzz/$1 new=build-fuzz/$1-new f
    rm -rf "$new"
    mkdir "$new"
    for f in "$saved"/*; do
        [[ ${f##*/} =~ ^[0-9a-f]{40}$ ]] || cp "$f" "$new"
    done
    "build-fuzz/fuzz_$1" -merge=1 -use_counters=0 -max_len=1024 "$new" "$saved" "build-fuzz/$1" \
        >"$new.log" 2>&1 && rm -rf "$saved" && mv "$new" "$saved"
}

started=0
for target; do
    fuzz "$target" >"build-fuzz/$target.tap" 2>&1 &
    started=$((started + 1))
    [ "$started" -lt 2 ] || wait -n
done
wait

n=0 bad=0
for target; do
    while IFS= read -r line; do
        case $line in
        'ok - '* | 'not ok - '*)
            n=$((n + 1))
            [[ $line == ok* ]] || bad=$((bad + 1))
            line=${line/ - / $n - }
            ;;
        esac
        printf '%s\n' "$line"
    done <"build-fuzz/$target.tap"
done
echo "1..$n"
[ "$bad" -eq 0 ] && [ "$n" -eq $((2 * started)) ]
