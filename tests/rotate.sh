#!/usr/bin/env bash
# rotate.sh [SEED]: mirrorctl rotate while four writers write LINES lines in all
# (1,000,000; 50,000 with SMALL set), each opening the log for its line, and one of
# them now and then keeping it open; every other rotation is ended with kill -9 at a
# random instant. Then each line is there, once. Besides, rotate and enable are ended
# just before each call that changes a file or opens one, and get an error from it:
# whatever the instant, no line is lost or counted twice, the handheld has its old
# configuration or the new one, and the next run ends what was begun. Prints TAP.
#
# SMALL         a few of the calls, not each; but for rotate and kill -9
# LIFEBOAT_BIN  the commands (build/bin)
set -uo pipefail
lines=${LINES_COUNT:-$([ -n "${SMALL-}" ] && echo 50000 || echo 1000000)}
seed=${1:-$((($(date +%s) ^ $$) % 32768))}
RANDOM=$seed

cd "$(dirname "$0")/.." || exit
top=$PWD
bin=${LIFEBOAT_BIN:-$top/build/bin}
build=${LIFEBOAT_BUILD:-$(dirname "$bin")}
for v in $(compgen -e LIFEBOAT_); do unset "$v"; done
mishap=$build/tools/mishap.so
mkdir -p "$build/tools"
"${CC:-cc}" -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -fPIC -shared -o "$mishap.$$" \
    tests/tools-preload/mishap.c -ldl && mv "$mishap.$$" "$mishap" || exit 70

work=$(mktemp -d -p /dev/shm 2>/dev/null) || work=$(mktemp -d) || exit 73
writers=()
leave() {
    [ ${#writers[@]} -eq 0 ] || kill "${writers[@]}" 2>/dev/null
    wait
    rm -rf "$work"
}
trap leave EXIT
cd "$work" || exit
mkdir stand-ins
export PATH=$work/stand-ins:$bin:$PATH LC_ALL=C.UTF-8 TZ=UTC LIFEBOAT_ENV=/dev/null

# shellcheck source=tests/verdict.bash
source "$top/tests/verdict.bash"
at=
find_fault() { finding "$at: $*"; }

cat >config.json <<EOF
{"pi_zero_host": "handheld", "ssh_user": "pi", "config_path": "$work/handheld/config.json",
 "status_dir": "$work/status", "logs_dir": "$work/logs"}
EOF
control() { "${pre[@]}" mirrorctl -c config.json "$@"; }
pre=()

# All lines that are there, of the log and of what was set aside.
all_lines() {
    local f
    for f in logs/mirror_requests.log*; do
        case $f in
        *.gz) gzip -dc "$f" || find_fault "$f is torn" ;;
        *) cat "$f" ;;
        esac
    done
}

# --- writers -----------------------------------------------------------------------------

writer='
import os, sys
path, part, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
fd = -1
for i in range(count):
    if fd < 0:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    os.write(fd, b"%d\n" % (part * count + i))
    # The first one keeps the log open for a thousand lines, now and then.
    if part or i // 1000 % 3 or i % 1000 == 999:
        os.close(fd)
        fd = -1
'

some_are_left() {
    local p
    for p in "${writers[@]}"; do
        ! kill -0 "$p" 2>/dev/null || return 0
    done
    return 1
}

rotate_meanwhile() {
    local rounds=0 status us
    while some_are_left; do
        status=0
        rounds=$((rounds + 1))
        if [ $((rounds % 2)) = 0 ]; then
            us=$((RANDOM % 15000))
            # In a shell of its own, which says to nobody that it was killed.
            (timeout -s KILL "0.$(printf %06d "$us")" mirrorctl -q -c config.json rotate --keep 7d 2>err || exit) 2>/dev/null || status=$?
        else
            control -q rotate --keep 7d 2>err || status=$?
        fi
        case $status in 0 | 137 | 124) ;; *) find_fault "rotate: status $status: $(head -n 1 err)" ;; esac
    done
    echo "# seed $seed: $rounds rotations"
}

at='writers'
mkdir status logs
: >logs/mirror_requests.log
for part in 0 1 2 3; do
    python3 -c "$writer" logs/mirror_requests.log "$part" $((lines / 4)) &
    writers+=($!)
done
rotate_meanwhile
wait "${writers[@]}" || find_fault 'a writer failed'
writers=()
control -q rotate || find_fault 'the last rotation failed'
all_lines | sort -n >there
seq 0 $((lines - 1)) | cmp -s - there ||
    find_fault "$(wc -l <there) lines, $(sort -nu there | wc -l) of them different, of $lines"
odd=$(find logs -name 'mirror_requests.log-*' ! -name '*Z.gz')
[ -z "$odd" ] || find_fault "left behind: $odd"
verdict "$lines lines of four writers are there, each once, however often the log was rotated"

# --- each call -----------------------------------------------------------------------------

with_mishap() { # CALLS:N:WHAT
    : >mark
    pre=(env "MISHAP=$1" "MISHAP_MARK=$work/mark" "LD_PRELOAD=$mishap")
}
without() { pre=(); }

line_of() { printf '{"timestamp":"2025-02-20T01:00:00Z","device_id":"H","payload":{},"response_ms":%d,"status":200}\n' "$1"; }
for i in $(seq 300); do line_of "$i"; done >material
export LIFEBOAT_NOW=1740016800000 # 2025-02-20T02:00:00Z

# A log, one that was left by an earlier run, one that is packed, one that is old.
rotate_start() {
    local log=logs/mirror_requests.log
    rm -rf logs status
    mkdir logs status
    sed -n 1,100p material | gzip >"$log-20250219T120000Z.gz"
    sed -n 101,200p material >"$log-20250219T130000Z"
    sed -n 201,300p material >"$log"
    : >"$log-20240101T000000Z.gz"
}
rotate_run() { control -q rotate >out 2>err; }
rotate_judge() { # STATUS
    local got
    got=$(without && control status --local --json 2>err | grep -o '"mirror_ms":[0-9]*,"samples":[0-9]*')
    [ "$got" = '"mirror_ms":151,"samples":300' ] || find_fault "status shows $got"
    [ -f logs/mirror_requests.log ] || find_fault 'the log has gone'
}
rotate_end() {
    all_lines | sort >there
    sort material | cmp -s - there || find_fault "$(wc -l <there) lines in the end"
    [ "$(find logs -name 'mirror_requests.log*' | wc -l)" = 4 ] || find_fault "in the end: $(echo logs/*)"
    [ ! -s logs/mirror_requests.log ] || find_fault 'the log is not empty'
}

# Locally, what ssh would run there; a mirror that answers.
cat >stand-ins/ssh <<'EOF'
#!/bin/sh
for command; do :; done
exec sh -c "$command"
EOF
cat >stand-ins/curl <<'EOF'
#!/bin/sh
cat >/dev/null
echo 405
EOF
# shellcheck disable=SC2016 # its own $1
printf '#!/bin/sh\n[ "$1" != is-enabled ]\n' >stand-ins/systemctl
chmod +x stand-ins/*

enable_start() {
    rm -rf logs status handheld
    mkdir logs status handheld
    echo '{"mirror_endpoint": "http://mirror/", "mirror_mode": false, "n": 1}' | tee handheld/config.json >old
    sed s/false/true/ old >new
}
enable_run() { control -q enable >out 2>err; }
enable_judge() { # STATUS
    cmp -s handheld/config.json old || cmp -s handheld/config.json new || find_fault 'the handheld has something else'
    [ "$(ls -A handheld)" = config.json ] || find_fault "in its folder: $(echo handheld/*)"
    if [ "$1" -eq 0 ]; then cmp -s handheld/config.json new || find_fault 'enabled, it says'; fi
    # A run that could say that it failed has taken back what it did.
    if [ "$1" -ne 0 ] && [ "$1" -ne 137 ] && ! grep -q 'NOT UNDONE' err; then
        cmp -s handheld/config.json old || find_fault 'it is not undone'
    fi
}
enable_end() {
    cmp -s handheld/config.json new || find_fault 'in the end: not enabled'
    [ "$(<status/ok_counter)" = 0 ] || find_fault 'in the end: the counter'
    control status --local 2>err | grep -qx 'Mirror Mode   : enabled' || find_fault 'in the end: the ledger'
    [ ! -s err ] || find_fault "in the end: $(<err)"
}

disable_start() {
    enable_start
    sed -n 1,50p material >logs/mirror_requests.log
    control -q enable 2>err || find_fault 'cannot be enabled'
}
disable_run() { control -q disable >out 2>err; }
disable_judge() {
    cmp -s handheld/config.json old || cmp -s handheld/config.json new || find_fault 'the handheld has something else'
    if [ "$1" -eq 0 ]; then cmp -s handheld/config.json old || find_fault 'disabled, it says'; fi
}
disable_end() {
    cmp -s handheld/config.json old || find_fault 'in the end: not disabled'
    control status --local 2>err | grep -qx 'Mirror Mode   : disabled' || find_fault 'in the end: the ledger'
    all_lines | sort >there
    sed -n 1,50p material | sort | cmp -s - there || find_fault 'in the end: the lines'
}

# hurt SCENARIO CALLS WHAT STATUSES: at each call, or at some.
hurt() {
    local n total status happened=0 step=1
    "$1_start"
    with_mishap "$2:0:5"
    "$1_run"
    without
    total=$(<mark)
    [ "${total:-0}" -gt 0 ] || find_fault "$1 makes no such calls"
    # Between which two calls it dies is what rotate is about: there each of them.
    [ -z "${SMALL-}" ] || [ "$1 $3" = 'rotate kill' ] || step=$((total / 8 + 1))
    for ((n = 1; n <= total; n += step)); do
        at="$1, $2 $n of $total: $3"
        "$1_start"
        with_mishap "$2:$n:$3"
        status=0
        "$1_run" || status=$?
        without
        [ ! -s mark ] || happened=$((happened + 1))
        [[ " $4 " == *" $status "* ]] || find_fault "status $status: $(head -n 1 err)"
        "$1_judge" "$status"
        "$1_run" || find_fault "the rerun: status $?: $(head -n 1 err)"
        "$1_end"
    done
    [ "$happened" -gt 0 ] || find_fault "$1: nothing ever happened"
    verdict "$1, hurt at $happened of its calls ($2:$3)"
}

for s in rotate enable disable; do
    hurt "$s" change kill '0 137'
    hurt "$s" open kill '137'
    hurt "$s" change 5 '0 73 74'
    hurt "$s" change 28 '0 73 74'
    hurt "$s" open 24 '0 66 69 73 74 75 77 78'
    hurt "$s" memory 12 '0 69 73 74 75'
done
conclude
