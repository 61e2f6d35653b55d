#!/usr/bin/env bash
# fuzz.sh [TARGET...]: libFuzzer, ASan and UBSan on each target of tests/fuzz for
# FUZZ_SECONDS (600; 10 with SMALL set), from the saved corpus tests/fuzz/TARGET and
# on to build-fuzz/TARGET. A finding is kept there and named. Prints TAP.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
seconds=${FUZZ_SECONDS:-$([ -n "${SMALL-}" ] && echo 10 || echo 600)}
flags='-fsanitize=address,undefined -fno-sanitize-recover=all'
make -s -j2 CC=clang BUILD=build-fuzz CFLAGS='-O1 -g -fsanitize=fuzzer-no-link' SAN="$flags" \
    build-fuzz/liblifeboat.a || exit 70

[ $# -gt 0 ] || set -- event text doc
n=0 bad=0
for target; do
    n=$((n + 1))
    found=build-fuzz/$target
    mkdir -p "$found"
    # shellcheck disable=SC2086
    if clang -std=c11 -D_GNU_SOURCE -Ilib -g -O1 $flags -fsanitize=fuzzer -o "build-fuzz/fuzz_$target" \
        "tests/fuzz/fuzz_$target.c" build-fuzz/liblifeboat.a -lsqlite3 -luuid -lxxhash -lcrypto &&
        "build-fuzz/fuzz_$target" -max_total_time="$seconds" -max_len=4096 -timeout=10 \
            -artifact_prefix="$found-" -print_final_stats=1 "$found" "tests/fuzz/$target" \
            >"$found.log" 2>&1; then
        echo "ok $n - fuzz $target: $(awk '/executed_units/ { print $2 }' "$found.log") inputs in $seconds s"
    else
        bad=$((bad + 1))
        echo "not ok $n - fuzz $target"
        tail -n 30 "$found.log" | sed 's/^/# /'
    fi
done
echo "1..$n"
[ "$bad" -eq 0 ]
