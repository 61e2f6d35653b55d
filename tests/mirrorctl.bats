#!/usr/bin/env bats
# mirrorctl: the mirror on and off through a real sshd, how it stands, its logs.
# systemctl is a stand-in here that notes its calls.
# valgrind: five lines|enabling changes|each line is averaged|kept for 30 days

load helper
load sshd

setup() {
    private_store
    mkdir status logs there stand-ins
    # Says what its file says, and notes how it was called.
    cat >stand-ins/systemctl <<'EOF'
#!/bin/sh
echo "$*" >>"${0%/*}/../systemctl.log"
test "$1" != is-enabled || exit 1
grep -qsx "$1" "${0%/*}/../systemctl.fails" || exit 0
sed 1d "${0%/*}/../systemctl.fails" >&2
exit 1
EOF
    chmod +x stand-ins/*
    : >systemctl.log
    export PATH=$PWD/stand-ins:$PATH
    export LIFEBOAT_CONFIG=$PWD/etc NOTIFIED=$PWD/notified
    mkdir -p etc/notify.d
    cat >etc/notify.d/note <<'EOF'
#!/bin/sh
{ echo "$*" && cat; } >>"$NOTIFIED"
EOF
    chmod 755 etc/notify.d/note
}

teardown() {
    local m
    stop_background
    for m in "${mounted[@]}"; do umount "$m"; done
    rm -rf "${elsewhere[@]}"
}
mounted=() elsewhere=()

# small_disk FOLDER SIZE: a file system of its own.
small_disk() {
    mount -t tmpfs -o "size=$2" lifeboat-test "$1" 2>/dev/null || skip 'no file system can be mounted here'
    mounted+=("$PWD/$1")
}

# The program that a stand-in stands for.
real() { type -aP "$1" | grep -v /stand-ins/ | head -n 1; }

mirrorctl() { command mirrorctl -c config.json "$@"; }

# A mirror that answers, a handheld, its sshd.
everything() {
    background httpd python3 "$top/tests/httpd.py" there
    wait_until 30 test -s there/port
    endpoint=http://127.0.0.1:$(cat there/port)/api/v1/scans
    handheld
    sshd_start
    mirrorctl_json
}

untouched() {
    cmp before.json handheld/config.json
    [ "$(ls -A handheld)" = config.json ]
}

not_begun() {
    untouched
    [ ! -e status/mirror_status.log ]
    ! grep -q '^enable' systemctl.log
}

# run MODE RESULT...: lines of a ledger, TS:RESULT each.
ledger() {
    local x
    for x; do
        printf '{"ts":"%s","day":"%s","zone":"Asia/Tokyo","result":"%s","config":"0123456789abcdef"%s}\n' \
            "${x%%=*}" "$(TZ=Asia/Tokyo date -d "${x%%=*}" +%F)" "${x#*=}" \
            "$([ "${x#*=}" != NG ] || echo ',"missing":1,"changed":1')"
    done >status/mirror_status.log
}

now() { LIFEBOAT_NOW=$(date -d "$1" +%s%3N) && export LIFEBOAT_NOW; }

requests() { # TIME RESPONSE PRIMARY
    printf '{"timestamp":"%s","device_id":"HANDHELD-01","payload":{"lot":"L"},"response_ms":%s,"status":200%s}\n' \
        "$1" "$2" "${3:+,\"primary_ms\":$3}"
}

# --- the document's test plan, 9.4 ----------------------------------------------------

@test "9.4: status takes its values from the configuration file, and fails without one" {
    ledger 2025-02-19T17:00:00Z=OK
    now 2025-02-20T01:00:00Z
    run_split mirrorctl status --local
    assert_status 78 "mirrorctl: config.json: no such file"
    assert_out ''
    mirrorctl_json
    run_split mirrorctl status --local
    assert_status 0
    assert_line 'OK Streak     : 1 day (target 14)'
    mirrorctl_json status_dir="\"$PWD/elsewhere\""
    run_split mirrorctl status --local
    assert_line 'OK Streak     : 0 days (target 14)'
}

@test "9.4: ssh fails: a time limit" {
    # Accepts, and says nothing.
    background silent python3 -c 'import socket, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
print(s.getsockname()[1], flush=True); time.sleep(100)'
    wait_until 30 test -s silent.out
    handheld
    ssh_port=$(cat silent.out)
    sshd_keys
    knows host_key.pub
    mirrorctl_json timeout=2
    began=$SECONDS
    run_split mirrorctl enable
    assert_status 69 "mirrorctl: 127.0.0.1: not reached: no answer in time; is it on, charged, and in this network?"
    [ $((SECONDS - began)) -le 20 ]
    not_begun
    # Without ours, ssh's own.
    mirrorctl_json
    run_split mirrorctl status
    assert_status 0
    [[ $(head -n 1 "$OUT") == 'Mirror Mode   : unknown (handheld not reached: 127.0.0.1: not reached: no answer in time'* ]]
}

@test "9.4: ssh fails: a key that is not accepted" {
    everything
    mirrorctl_json identity_file="\"$PWD/other_id\""
    run_split mirrorctl enable
    assert_status 77 "it does not accept our key; put the public key of $PWD/other_id into"
    not_begun
    run_split mirrorctl status
    assert_status 0
    [[ $out == 'Mirror Mode   : unknown (handheld not reached: '*'does not accept our key'* ]]
    jq_true -s 'map(.step == "read the handheld" and .status == 77) | all' <(grep '^{' notified)
}

@test "9.4: after enable the handheld has mirror_mode true" {
    everything
    run_split mirrorctl enable
    assert_status 0 "enabled: $(id -un)@127.0.0.1:$PWD/handheld/config.json has mirror_mode true"
    jq_true .mirror_mode handheld/config.json
    run_split mirrorctl status
    assert_line 'Mirror Mode   : enabled'
}

@test "9.4: after enable the timer is enabled and started" {
    everything
    run_split mirrorctl enable
    grep -x 'enable --now mirror-compare.timer' systemctl.log
}

@test "9.4: after disable the count and the configuration have stopped" {
    everything
    ledger 2025-02-17T17:00:00Z=ENABLED 2025-02-18T17:00:00Z=OK 2025-02-19T17:00:00Z=OK
    handheld "$(sed 's/false/true/' handheld/config.json)"
    now 2025-02-20T01:00:00Z
    requests 2025-02-20T00:00:00Z 100 >logs/mirror_requests.log
    run_split mirrorctl disable
    assert_status 0 'disabled:'
    jq_true '.mirror_mode == false' handheld/config.json
    grep -x 'disable --now mirror-compare.timer' systemctl.log
    jq_true -s '.[-1].result == "DISABLED" and .[-1].zone == "Asia/Tokyo"' status/mirror_status.log
    [ "$(cat status/ok_counter)" = 2 ]
    # What is compared from now on does not count.
    ledger 2025-02-17T17:00:00Z=ENABLED 2025-02-18T17:00:00Z=OK 2025-02-19T17:00:00Z=OK \
        2025-02-20T01:00:00Z=DISABLED 2025-02-20T17:00:00Z=NG
    now 2025-02-25T01:00:00Z
    run_split mirrorctl status
    assert_line 'Mirror Mode   : disabled'
    assert_line 'OK Streak     : 2 days (target 14)'
    [ -s logs/mirror_requests.log-20250220T010000Z.gz ]
    [ ! -s logs/mirror_requests.log ]
}

@test "9.4: enable while the new server is down says so" {
    handheld
    sshd_start
    mirrorctl_json
    run_split mirrorctl enable
    assert_status 69 'mirrorctl: http://127.0.0.1:1/api/v1/scans does not answer: nobody listens there'
    not_begun
    grep -q 'enable ask the endpoint: failed (69): ' logs/mirrorctl.log
}

@test "9.4: rotate compresses a large log and deletes the old ones" {
    mirrorctl_json
    now 2025-02-20T02:00:00Z
    awk 'BEGIN { for (i = 0; i < 400000; i++) print "{\"timestamp\":\"2025-02-19T10:15:03Z\",\"n\":" i ",\"payload\":{\"lot\":\"LOT-" i % 97 "\"}}" }' \
        >logs/mirror_requests.log
    cp logs/mirror_requests.log whole
    : >logs/mirror_requests.log-20250120T015959Z.gz
    : >logs/mirror_requests.log-20250121T020001Z.gz
    run_split mirrorctl rotate
    assert_status 0 'mirror_requests.log: 1 deleted, older than 30 days'
    [ ! -e logs/mirror_requests.log-20250120T015959Z.gz ]
    [ -e logs/mirror_requests.log-20250121T020001Z.gz ]
    gzip -dc logs/mirror_requests.log-20250220T020000Z.gz | cmp - whole
    [ "$(stat -c %s logs/mirror_requests.log-20250220T020000Z.gz)" -lt $(($(stat -c %s whole) / 5)) ]
    [ "$(stat -c %s logs/mirror_requests.log)" = 0 ]
    left=(logs/*)
    [ ${#left[@]} = 4 ]
}

# --- what a push changes, and what not --------------------------------------------------

@test "enabling changes the bytes of that value and no other, and disabling those again" {
    everything
    handheld '{"mirror_endpoint" : "'"$endpoint"'",  "z": 1.0e0, "mirror_mode"	:false,
"note":"caf\u00e9 \/ 9007199254740993", "inner": {"mirror_mode": false}}'
    run_split mirrorctl enable
    assert_status 0
    sed 's/:false,/:true,/' before.json | cmp - handheld/config.json
    [ "$(ls -A handheld)" = config.json ]
    run_split mirrorctl disable
    assert_status 0
    untouched
}

@test "a mode that is not there is put last; --remove-endpoint takes the endpoint away" {
    everything
    handheld "$(printf '{\n  "mirror_endpoint": "%s",\n  "a": [1]\n}\n.' "$endpoint")"
    truncate -s -1 handheld/config.json
    run_split mirrorctl enable
    assert_status 0
    printf '{\n  "mirror_endpoint": "%s",\n  "a": [1],\n  "mirror_mode": true\n}\n' "$endpoint" |
        cmp - handheld/config.json
    run_split mirrorctl disable --remove-endpoint
    assert_status 0 'has mirror_mode false and no mirror_endpoint'
    printf '{\n  "a": [1],\n  "mirror_mode": false\n}\n' | cmp - handheld/config.json
    run_split mirrorctl enable
    assert_status 78 'has no mirror_endpoint; add the new server'
}

@test "mode and owner stay, a link stays a link" {
    everything
    chmod 640 handheld/config.json
    [ "$(id -u)" -ne 0 ] || chown 1234:4321 handheld/config.json
    ln -s config.json handheld/link.json
    mirrorctl_json config_path="\"$PWD/handheld/link.json\""
    owner=$(stat -c %u:%g:%a handheld/config.json)
    run_split mirrorctl enable
    assert_status 0
    jq_true .mirror_mode handheld/config.json
    [ -L handheld/link.json ]
    [ "$(stat -c %u:%g:%a handheld/config.json)" = "$owner" ]
}

@test "a user who may not write there, or would make the file his own" {
    [ "$(id -u)" -eq 0 ] || skip 'only root can be another user'
    everything
    # Where others may look: the test's own folder is closed to them.
    elsewhere=("$(mktemp -d -p /dev/shm)")
    chmod 755 "${elsewhere[0]}"
    cp handheld/config.json "${elsewhere[0]}"
    cat >stand-ins/ssh <<'EOF'
#!/bin/sh
for command; do :; done
cd / && exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c "$command"
EOF
    chmod +x stand-ins/ssh
    mirrorctl_json config_path="\"${elsewhere[0]}/config.json\""
    run_split mirrorctl enable
    assert_status 77 "${elsewhere[0]}/: nobody may not write there"
    chmod 777 "${elsewhere[0]}"
    run_split mirrorctl enable
    assert_status 77 "${elsewhere[0]}/config.json: nobody may not keep its owner and mode"
    cmp before.json "${elsewhere[0]}/config.json"
    [ "$(ls -A "${elsewhere[0]}")" = config.json ]
    chmod 600 "${elsewhere[0]}/config.json"
    run_split mirrorctl enable
    assert_status 77 "${elsewhere[0]}/config.json: nobody may not read it"
    chown 65534:65534 "${elsewhere[0]}/config.json"
    run_split mirrorctl enable
    assert_status 0
    [ "$(stat -c %u:%a "${elsewhere[0]}/config.json")" = 65534:600 ]
}

@test "a path is a path, whatever is in it" {
    everything
    mkdir "$PWD/it's \$(touch pwned); \"x\" -n"
    cp handheld/config.json "it's \$(touch pwned); \"x\" -n/config.json"
    mirrorctl_json config_path="\"$PWD/it's \$(touch pwned); \\\"x\\\" -n/config.json\""
    run_split mirrorctl enable
    assert_status 0
    jq_true .mirror_mode "it's \$(touch pwned); \"x\" -n/config.json"
    [ ! -e pwned ]
    [ ! -e ~/pwned ]
}

@test "what a login shell prints is not taken for the configuration" {
    everything
    # shellcheck disable=SC2016
    echo 'ForceCommand echo "Welcome"; echo "{}"; eval "$SSH_ORIGINAL_COMMAND"' >>sshd_config
    kill "$pid"
    wait_until 5 stopped_or_gone "$pid"
    background sshd "$(sshd_program)" -D -e -f "$PWD/sshd_config"
    wait_until 30 listens_or_ended
    run_split mirrorctl enable
    assert_status 0
    sed '/mirror_mode/s/false/true/' before.json | cmp - handheld/config.json
}

@test "no shell there: said, and nothing is done" {
    everything
    echo 'ForceCommand echo This account is not available' >>sshd_config
    kill "$pid"
    wait_until 5 stopped_or_gone "$pid"
    background sshd "$(sshd_program)" -D -e -f "$PWD/sshd_config"
    wait_until 30 listens_or_ended
    run_split mirrorctl enable
    assert_status 76 'the answer is not whole; does'
    not_begun
}

# --- a handheld that cannot be reached, or is not the right one ----------------------------

@test "a port where nobody listens" {
    handheld
    sshd_keys
    ssh_port=1
    knows host_key.pub
    mirrorctl_json
    run_split mirrorctl enable
    assert_status 69 'it is there, but no sshd listens at this port'
    not_begun
}

@test "a name nobody knows" {
    handheld
    sshd_keys
    mirrorctl_json pi_zero_host='"handheld.invalid"' known_hosts_file=
    run_split mirrorctl enable
    assert_status 69 'handheld.invalid: not reached: its name is not known here'
    not_begun
}

@test "another host key, and one that is not known" {
    everything
    knows other_host_key.pub
    run_split mirrorctl enable
    assert_status 76 '127.0.0.1: its host key is not the one we know'
    not_begun
    : >known_hosts
    run_split mirrorctl enable
    assert_status 76 '127.0.0.1: its host key is not known here'
    not_begun
    [ ! -s known_hosts ]
}

@test "a handheld whose disk is full keeps its configuration" {
    mkdir handheld
    small_disk handheld 64k
    everything
    dd if=/dev/zero of=handheld/fill bs=1k 2>/dev/null || :
    cp before.json expected
    run_split mirrorctl enable
    assert_status 74 'No space left on device (left as it was; is its disk full?)'
    cmp expected handheld/config.json
    [ "$(find handheld -type f | sort | paste -sd ' ')" = 'handheld/config.json handheld/fill' ]
    [ ! -e status/mirror_status.log ]
    # What is only read is not written to either.
    mount -o remount,ro handheld
    run_split mirrorctl enable
    assert_status 77 'may not write there'
    cmp expected handheld/config.json
    [ ! -s systemctl.log ]
}

@test "a configuration that is not there, no JSON, or has the member twice" {
    everything
    mirrorctl_json config_path="\"$PWD/handheld/none.json\""
    run_split mirrorctl enable
    assert_status 66 'none.json: no such file'
    mirrorctl_json
    handheld '{"mirror_mode": false,'
    run_split mirrorctl enable
    assert_status 65 'config.json: line 1: a member without a name in quotes; mend it there'
    untouched
    handheld $'{"mirror_endpoint":"'"$endpoint"$'",\n"mirror_mode":false,\n"mirror_mode":true}'
    run_split mirrorctl enable
    assert_status 65 'config.json: line 3: the member is there twice'
    untouched
    run_split mirrorctl disable
    assert_status 65
    untouched
    grep -x 'disable --now mirror-compare.timer' systemctl.log
}

# --- a connection that breaks ----------------------------------------------------------------

# ssh NUMBER SCRIPT: at the call of that number ssh is what SCRIPT does, which finds
# the real one's call in "$@".
ssh_at() {
    cat >stand-ins/ssh <<EOF
#!/bin/bash
n=\$((\$(cat "$PWD/calls" 2>/dev/null) + 1))
echo \$n >"$PWD/calls"
set -- $(real ssh) "\$@"
case \$n in
$(for _ in $(seq $(($# / 2))); do
        printf '%s) %s ;;\n' "$1" "$2"
        shift 2
    done)
*) exec "\$@" ;;
esac
EOF
    chmod +x stand-ins/ssh
}

@test "somebody else changes it meanwhile: nothing is written" {
    everything
    ssh_at 2 'echo >>'"$PWD"'/handheld/config.json; exec "$@"'
    run_split mirrorctl enable
    assert_status 75 'somebody changed it meanwhile; left as it is, try again'
    echo >>before.json
    not_begun
}

@test "what does not arrive whole does not count" {
    everything
    ssh_at 2 'head -c 100 | "$@"; exit'
    run_split mirrorctl enable
    assert_status 74 'it did not arrive whole (left as it was'
    not_begun
}

@test "the answer is lost: the handheld is asked how it stands" {
    everything
    ssh_at 2 '"$@" >/dev/null; exit 255'
    run_split mirrorctl enable
    assert_status 0
    jq_true .mirror_mode handheld/config.json
    mirrorctl disable
    rm calls
    cp handheld/config.json before.json
    ssh_at 2 'exit 255'
    run_split mirrorctl enable
    assert_status 69 '127.0.0.1: not reached'
    cmp before.json handheld/config.json
}

@test "the answer is lost, and the handheld with it: what may have been done is undone" {
    everything
    ssh_at 2 '"$@" >/dev/null; exit 255' 3 'exit 255'
    run_split mirrorctl enable
    assert_status 69 'whether it has been changed is not known'
    [[ $errout == *"undone: "* ]]
    not_begun
    rm calls
    ssh_at 2 '"$@" >/dev/null; exit 255' 3 'exit 255' 4 'exit 255'
    run_split mirrorctl enable
    assert_status 69 'NOT UNDONE: the handheld may go on mirroring. Set "mirror_mode": false in'
    jq_true .mirror_mode handheld/config.json
}

@test "what is on its way there is cut off there: no part of it is left" {
    everything
    ssh_at 2 'head -c 100 | timeout -s KILL 2 "$@"; exit 255'
    run_split mirrorctl enable
    assert_status 69
    # What a kill leaves there, the next push takes away.
    cp handheld/config.json handheld/config.json.mirrorctl.AbCdEf
    run_split mirrorctl enable
    assert_status 0
    [ "$(ls -A handheld)" = config.json ]
}

# --- the endpoint -----------------------------------------------------------------------------

@test "an endpoint is asked, and what it answers is judged" {
    everything
    for answer in 200 201 400 401 403 405 422; do
        echo "$answer" >there/script
        run_split mirrorctl enable
        assert_status 0
    done
    handheld
    rm status/mirror_status.log
    : >systemctl.log
    while IFS='|' read -r answer text; do
        echo "$answer" >there/script
        run_split mirrorctl enable
        assert_status 69 "$text"
        not_begun
    done <<'EOF'
404|answers 404: it answers, but has nothing at this path
500|answers 500: it is broken or overloaded
503|answers 503: it is broken or overloaded
302 Location: http://127.0.0.1:1/|answers 302: it sends elsewhere
close|does not answer: it hung up without an answer
hang|does not answer: no answer within 10 s
EOF
}

@test "an endpoint nobody knows, or that is none" {
    endpoint=http://user:geheim@mirror.invalid/api
    handheld
    sshd_start
    mirrorctl_json
    run_split mirrorctl enable
    assert_status 69 'http://mirror.invalid/api does not answer: its name is not known here'
    not_begun
    run_split grep -r geheim logs notified
    assert_status 1
    endpoint='-K/etc/passwd'
    handheld
    run_split mirrorctl enable
    assert_status 78 'mirror_endpoint: -K/etc/passwd: wants a URL with http:// or https://'
    not_begun
}

# --- a step that fails undoes the earlier ones ----------------------------------------------------

@test "a timer that cannot be enabled: the handheld and the ledger are as they were" {
    everything
    printf '%s\n' enable 'Failed to enable unit: Unit file mirror-compare.timer does not exist.' >systemctl.fails
    run_split mirrorctl enable
    assert_status 69 'does not exist.; are the units installed'
    [[ $errout == *"undone: "* ]]
    untouched
    jq_true -s 'map(.result) == ["ENABLED", "DISABLED"]' status/mirror_status.log
    jq_true -s '.[0].status == 69 and .[0].command == "enable" and .[0].step == "timer"' <(grep '^{' notified)
    grep -x mirrorctl-failed notified
    grep -q '^[-0-9T:.]*Z enable timer: failed (69): systemctl enable mirror-compare.timer: ' logs/mirrorctl.log
    grep -q 'enable undo: handheld: ok' logs/mirrorctl.log
    printf '%s\n' enable 'Failed to enable unit: Access denied' >systemctl.fails
    run_split mirrorctl enable
    assert_status 77 'run it as root'
    untouched
}

@test "an undoing that fails is said with what is to be done by hand" {
    everything
    printf '%s\n' enable 'Failed.' >systemctl.fails
    ssh_at 3 'exit 255'
    run_split mirrorctl enable
    assert_status 69 'NOT UNDONE: the handheld may go on mirroring. Set "mirror_mode": false in'
    jq_true .mirror_mode handheld/config.json
    grep -q 'enable undo: handheld: failed (69)' logs/mirrorctl.log
}

@test "what somebody else changed before the undoing stays" {
    everything
    printf '%s\n' enable 'Failed.' >systemctl.fails
    ssh_at 3 'sed -i s/3000/4000/ '"$PWD"'/handheld/config.json; exec "$@"'
    run_split mirrorctl enable
    assert_status 69
    sed s/3000/4000/ before.json | cmp - handheld/config.json
}

@test "a systemctl that hangs has a limit" {
    everything
    mirrorctl_json timeout=5
    printf '#!/bin/sh\nexec sleep 100\n' >stand-ins/systemctl
    run_split mirrorctl enable
    assert_status 69 'systemctl is-enabled mirror-compare.timer: not done within 5 s'
    untouched
}

@test "no systemctl at all" {
    everything
    rm stand-ins/systemctl
    mkdir few
    for c in ssh curl sh sha256sum gzip; do ln -s "$(command -v $c)" few/; done
    run_split env "PATH=$PWD/few" "$bin/mirrorctl" -c config.json enable
    assert_status 69 'unable to run systemctl'
    untouched
}

# with_lock FILE CMD...: while somebody else has the lock on it.
with_lock() {
    background holder python3 -c 'import fcntl, sys, time
f = open(sys.argv[1], "a"); fcntl.lockf(f, fcntl.LOCK_EX, 1, 0); print(1, flush=True); time.sleep(100)' "$1"
    wait_until 30 test -s holder.out
    shift
    run_split "$@"
    kill "$pid"
}

@test "while a comparison is at work the ledger is left alone" {
    everything
    mirrorctl_json timeout=5
    with_lock status/mirror_status.log-lock mirrorctl enable
    assert_status 75 'a comparison is at work; try again when it has ended'
    not_begun
}

@test "one at a time" {
    everything
    mirrorctl_json timeout=1
    with_lock status/mirrorctl-lock mirrorctl enable
    assert_status 75 'another mirrorctl is at work'
    not_begun
}

# Ctrl-C goes to ssh as well.
@test "interrupted in the midst of it, it undoes what was begun" {
    everything
    ssh_at 2 '"$@"; kill -INT $PPID; exit 0'
    printf '%s\n' enable 'Failed.' >systemctl.fails
    run_split mirrorctl enable
    assert_status 69 'undone: '
    untouched
    jq_true -s 'map(.result) == ["ENABLED", "DISABLED"]' status/mirror_status.log
}

@test "ssh is ended by a signal when the change is made already: it is found out" {
    local signal
    everything
    for signal in INT TERM KILL; do
        rm -rf calls status/*
        cp before.json handheld/config.json
        ssh_at 2 '"$@" >/dev/null; kill -'"$signal"' $$'
        run_split mirrorctl enable
        assert_status 0
        [ "$(jq .mirror_mode handheld/config.json)" = true ]
    done
}

# The push goes on there behind a lost connection; $@: calls of ssh that fail besides.
late_push() {
    everything
    ssh_at 2 'cat >late.in; mkfifo late
        ("$@" <late; touch over) >late.out 2>&1 &
        (head -c 9 late.in; until [ -e go ]; do sleep 0.05; done; tail -c +10 late.in) >late 2>/dev/null &
        until ls handheld/config.json.mirrorctl.* >/dev/null 2>&1; do sleep 0.05; done
        exit 255' "$@"
    run_split mirrorctl enable
    assert_status 69
    touch go
    wait_until 20 test -e over
    not_begun
}

@test "a push that outlives its connection changes nothing any more" {
    late_push
}

@test "nor where only the undo gets through again" {
    late_push 3 'exit 255'
}

@test "a counter that cannot be written: the ledger does not go on saying ENABLED" {
    everything
    mkdir -p status/ok_counter/x
    run_split mirrorctl enable
    assert_status 73 'ok_counter'
    untouched
    [ "$(jq -rs '.[-1].result' status/mirror_status.log)" = DISABLED ]
}

@test "what ssh says in another coding is told all the same" {
    everything
    ssh_at 1 'printf "kaputt \377\376\n" >&2; exit 255'
    run_split mirrorctl enable
    assert_status 69 'kaputt'
    grep -x mirrorctl-failed notified
    jq_true -s '.[0].error | contains("kaputt \ufffd")' <(grep '^{' notified)
}

# --- disable -----------------------------------------------------------------------------------

@test "disable without the handheld stops all that is here, and says what is left to do" {
    everything
    run_split mirrorctl enable
    assert_status 0
    stop_background
    requests 2025-02-20T00:00:00Z 100 >logs/mirror_requests.log
    run_split mirrorctl disable
    assert_status 69 'the handheld goes on as it is: run this again when it is reached, or set "mirror_mode": false in'
    grep -x 'disable --now mirror-compare.timer' systemctl.log
    jq_true -s '.[-1].result == "DISABLED"' status/mirror_status.log
    compgen -G 'logs/mirror_requests.log-*.gz'
}

@test "disabled twice is noted once" {
    everything
    mirrorctl enable
    mirrorctl disable
    run_split mirrorctl disable
    assert_status 0
    jq_true -s 'map(.result) == ["ENABLED", "DISABLED"]' status/mirror_status.log
}

# --- secrets ------------------------------------------------------------------------------------

@test "nothing of the handheld's configuration is on a command line or in a log" {
    endpoint=http://user:geheim@127.0.0.1:1/x
    everything
    handheld "$(sed "s|http://127|http://user:geheim@127|; s/3000,/3000, \"token\": \"tok-geheim\",/" handheld/config.json)"
    for c in ssh curl; do
        printf '#!/bin/sh\nprintf "%%s\\n" "$@" >>"%s/argv"\nexec %s "$@"\n' "$PWD" "$(real "$c")" >stand-ins/$c
        chmod +x stand-ins/$c
    done
    run_split mirrorctl enable
    assert_status 0
    run_split mirrorctl disable
    assert_status 0
    grep -q BatchMode=yes argv
    run_split grep -r geheim argv logs status
    assert_status 1
}

# --- its own configuration -------------------------------------------------------------------------

@test "a configuration that is wrong is refused with its line" {
    while IFS='|' read -r pair text; do
        mirrorctl_json "$pair"
        run_split mirrorctl status --local
        assert_status 78 "$text"
    done <<'EOF'
pi_zero_host=|config.json: pi_zero_host: is missing
ssh_user=|config.json: ssh_user: is missing
config_path=|config.json: config_path: is missing
pi_zero_host="-oProxyCommand=x"|pi_zero_host: wants a host's name or address, which does not begin with -
pi_zero_host="a b"|pi_zero_host: wants a host
ssh_user="-l"|ssh_user: wants a user's name
config_path="etc/x"|config_path: wants a path that begins with /
config_path="/a\nb"|config_path: wants a path without control characters
timer="mirror-compare"|timer: wants the name of a timer unit
timer="--now.timer"|timer: wants the name of a timer unit
identity_file="/a%h"|identity_file: wants a path without
ssh_port=0|ssh_port: wants a whole number from 1 to 65535
timeout="0s"|timeout: wants one second to one hour
pi_zero=1|config.json:1: pi_zero: no such setting
pi_zero_host=3|pi_zero_host: wants a string
EOF
    printf '{"pi_zero_host": "h",\n' >config.json
    run_split mirrorctl enable
    assert_status 78 'config.json:2: '
    grep -q '"step":"configuration","status":78' notified
}

@test "the document's configuration is enough" {
    cat >config.json <<'EOF'
{
  "pi_zero_host": "onsite-handheld.local",
  "ssh_user": "pi",
  "config_path": "/etc/onsitelogistics/config.json",
  "status_dir": "/var/lib/mirror"
}
EOF
    run_split mirrorctl status --local
    assert_status 0
    [ "$(wc -l <"$OUT")" = 5 ]
}

@test "usage" {
    mirrorctl_json
    for args in '' toggle 'status extra' 'enable --local' 'rotate --json' 'status --keep 1d' 'enable --remove-endpoint'; do
        # shellcheck disable=SC2086
        run_split mirrorctl $args
        assert_status 64
    done
}

# --- status --------------------------------------------------------------------------------------

@test "five lines, as the document has them" {
    everything
    handheld "$(sed 's/"mirror_mode": false/"mirror_mode": true/' handheld/config.json)"
    ledger 2025-02-15T16:00:00Z=ENABLED 2025-02-15T17:00:00Z=OK 2025-02-16T17:00:00Z=NG 2025-02-17T17:00:00Z=OK \
        2025-02-18T17:00:00Z=OK 2025-02-19T17:00:00Z=OK
    {
        requests 2025-02-19T01:00:00Z 100 100
        requests 2025-02-20T00:00:00Z 120 100
        requests 2025-02-20T00:30:00Z 140 120
    } >logs/mirror_requests.log
    now 2025-02-20T01:30:00Z
    run_split mirrorctl status
    assert_status 0
    assert_out 'Mirror Mode   : enabled
OK Streak     : 3 days (target 14)
Last Compare  : 2025-02-20 02:00 JST (OK)
Last Diff     : 2025-02-17 02:00 JST (2 records)
Avg Latency   : primary 110 ms / mirror 130 ms (24h)'
    [ -z "$errout" ]
    run_split mirrorctl status --json
    jq_true '[.mirror_mode, .switched, .streak, .target, .last_compare, .last_result, .last_why, .last_diff, .last_diff_records]
        == [true, "ENABLED", 3, 14, "2025-02-19T17:00:00.000Z", "OK", null, "2025-02-16T17:00:00.000Z", 2]' "$OUT"
    jq_true '(.switched_at | startswith("2025-02-1") and endswith(":00.000Z"))' "$OUT"
    jq_true '.latency == {primary_ms: 110, mirror_ms: 130, samples: 2}' "$OUT"
    jq_true '(.days | length) == 14 and .days[0] == {day: "2025-02-07", result: "NONE"}
        and (.days[-5:] | map(.result)) == ["OK", "NG", "OK", "OK", "OK"] and .days[-1].day == "2025-02-20"' "$OUT"
}

@test "before anything happened" {
    mirrorctl_json
    run_split mirrorctl status --local
    assert_status 0
    assert_out 'Mirror Mode   : unknown (never enabled or disabled here)
OK Streak     : 0 days (target 14)
Last Compare  : never
Last Diff     : never
Avg Latency   : none (24h)'
    run_split mirrorctl status --local --json
    jq_true '[.mirror_mode, .switched, .switched_at, .last_compare, .last_result, .last_diff, .latency.primary_ms, .latency.samples]
        == [null, null, null, null, null, null, null, 0]' "$OUT"
}

@test "an error is shown with its reason, and what does not fit is said" {
    everything
    ledger 2025-02-19T16:00:00Z=ENABLED
    echo '{"ts":"2025-02-19T17:00:00Z","day":"2025-02-20","zone":"Asia/Tokyo","result":"ERROR","why":"psql: \"no\""}' >>status/mirror_status.log
    now 2025-02-20T01:30:00Z
    run_split mirrorctl status
    assert_status 0 'mirror_mode is not true in'
    assert_line 'Mirror Mode   : disabled'
    assert_line 'Last Compare  : 2025-02-20 02:00 JST (ERROR)'
    run_split mirrorctl status --json --local
    jq_true '.last_why == "psql: \"no\"" and .last_result == "ERROR" and .mirror_mode' "$OUT"
    echo '{"torn' >>status/mirror_status.log
    run_split mirrorctl status --local
    assert_status 0 'mirror_status.log: line 3 cannot be read (1 in all)'
    run_split sh -c 'command mirrorctl -c config.json status --local >/dev/full'
    assert_status 74
}

@test "each line is averaged once, wherever it is" {
    mirrorctl_json
    now 2025-02-20T12:00:00Z
    requests 2025-02-20T01:00:00Z 100 10 | gzip >logs/mirror_requests.log-20250220T020000Z.gz
    requests 2025-02-20T01:00:00Z 1 1 | gzip >logs/mirror_requests.log-20250219T020000Z.gz
    requests 2025-02-20T03:00:00Z 200 20 >logs/mirror_requests.log-20250220T040000Z
    gzip -k <logs/mirror_requests.log-20250220T040000Z >logs/mirror_requests.log-20250220T040000Z.gz
    { requests 2025-02-20T05:00:00Z 300 30 && requests 2025-02-18T05:00:00Z 1 1 && echo '{"timestamp":"2025' &&
        echo '{"timestamp":"2025-02-20T05:00:00Z"}' && requests 2025-02-20T06:00:00Z '"x"' && echo &&
        printf '%s' '{"timestamp":"2025-02-20T0'; } >logs/mirror_requests.log
    run_split mirrorctl status --local
    assert_status 0 '4 lines of the mirror log cannot be read; they do not count'
    assert_line 'Avg Latency   : primary 20 ms / mirror 200 ms (24h)'
    # Set aside, and not replaced yet.
    ln logs/mirror_requests.log logs/mirror_requests.log-20250220T110000Z
    run_split mirrorctl status --local --json
    jq_true '.latency.samples == 3' "$OUT"
    # An older handheld does not say what the primary took.
    rm logs/*.gz logs/*Z
    requests 2025-02-20T05:00:00Z 300 >logs/mirror_requests.log
    run_split mirrorctl status --local
    assert_line 'Avg Latency   : primary - / mirror 300 ms (24h)'
    echo nonsense >logs/mirror_requests.log-20250220T110000Z.gz
    run_split mirrorctl status --local
    assert_status 0 'gzip: exit status 1'
}

@test "of a log of weeks only the end is read" {
    export OUT ERR
    mirrorctl_json
    now 2025-02-20T12:00:00Z
    awk 'BEGIN {
        for (i = 0; i < 60000; i++)
            printf "{\"timestamp\":\"2025-02-%02dT%02d:%02d:00Z\",\"device_id\":\"H\",\"payload\":{},\"response_ms\":%d,\"status\":200}\n",
                1 + i / 3000, i / 125 % 24, i % 60, i < 54000 ? 9999 : 50 }' >logs/mirror_requests.log
    # What a shell has read is what its children have.
    read_bytes=$(sh -c 'mirrorctl -c config.json status --local --json >"$OUT" 2>"$ERR"
        sed -n "s/rchar: //p" "/proc/$$/io"')
    jq_true '.latency.mirror_ms == 50 and .latency.samples > 2500' "$OUT"
    [ "$read_bytes" -lt $(($(stat -c %s logs/mirror_requests.log) / 2)) ]
}

# --- rotate -----------------------------------------------------------------------------------------

rotated() { (cd logs && echo mirror_requests.log*); }

@test "an empty log and one that is not there are left alone" {
    mirrorctl_json
    run_split mirrorctl rotate
    assert_status 0
    : >logs/mirror_requests.log
    run_split mirrorctl rotate
    assert_status 0
    [ "$(rotated)" = mirror_requests.log ]
}

@test "mode and owner of a log go with it, both ways" {
    mirrorctl_json
    now 2025-02-20T02:00:00Z
    echo 1 >logs/mirror_requests.log
    echo 2 >status/mirror_diff.log
    chmod 640 logs/mirror_requests.log
    [ "$(id -u)" -ne 0 ] || chown 1234:4321 logs/mirror_requests.log
    owner=$(stat -c %u:%g:%a logs/mirror_requests.log)
    mirrorctl rotate
    [ "$(stat -c %u:%g:%a logs/mirror_requests.log)" = "$owner" ]
    [ "$(stat -c %u:%g:%a logs/mirror_requests.log-20250220T020000Z.gz)" = "$owner" ]
    [ "$(gzip -dc status/mirror_diff.log-20250220T020000Z.gz)" = 2 ]
    # Again in the same second: the name is another.
    echo 3 >logs/mirror_requests.log
    mirrorctl rotate
    [ "$(gzip -dc logs/mirror_requests.log-20250220T020001Z.gz)" = 3 ]
}

@test "kept for 30 days, or as long as is said; only what is rotate's own goes" {
    mirrorctl_json
    now 2025-02-20T02:00:00Z
    others='mirror_requests.log-2024 mirror_requests.log-20240101T000000Z.gz.bak mirror_requests.log.1.gz
        mirror_requests.logx-20240101T000000Z.gz mirror_requests.log-20240101T000000Z.zst
        mirror_requests.log-20241301T000000Z.gz'
    for f in $others mirror_requests.log-20990101T000000Z.gz mirror_requests.log-20240101T000000Z.gz \
        mirror_requests.log-20240102T000000Z mirror_requests.log-20250219T000000Z.gz; do
        : >"logs/$f"
    done
    run_split mirrorctl rotate
    assert_status 0 '2 deleted'
    for f in $others mirror_requests.log-20990101T000000Z.gz mirror_requests.log-20250219T000000Z.gz; do
        [ -e "logs/$f" ]
    done
    run_split mirrorctl rotate --keep 1d
    assert_status 0 '1 deleted, older than 1 days'
    [ ! -e logs/mirror_requests.log-20250219T000000Z.gz ]
    # A clock that stands in 1970 deletes nothing.
    : >logs/mirror_requests.log-20250219T000000Z.gz
    LIFEBOAT_NOW=86400000000 run_split mirrorctl rotate
    [ -e logs/mirror_requests.log-20250219T000000Z.gz ]
}

@test "one who holds the log open loses nothing" {
    mirrorctl_json
    now 2025-02-20T02:00:00Z
    echo before >logs/mirror_requests.log
    exec 9>>logs/mirror_requests.log
    run_split mirrorctl rotate
    assert_status 0 'a process has it open; it is set aside, and compressed the next time'
    echo meanwhile >&9
    echo new >>logs/mirror_requests.log
    exec 9>&-
    now 2025-02-20T02:00:01Z
    run_split mirrorctl rotate
    assert_status 0
    [ "$(gzip -dc logs/mirror_requests.log-20250220T020000Z.gz | paste -sd ' ')" = 'before meanwhile' ]
    [ "$(gzip -dc logs/mirror_requests.log-20250220T020001Z.gz)" = new ]
    [ "$(rotated)" = 'mirror_requests.log mirror_requests.log-20250220T020000Z.gz mirror_requests.log-20250220T020001Z.gz' ]
}

@test "what reads the log does not matter" {
    mirrorctl_json
    echo 1 >logs/mirror_requests.log
    exec 9<logs/mirror_requests.log
    run_split mirrorctl rotate
    exec 9<&-
    assert_status 0 'compressed'
}

@test "a disk that is full: the log is there, uncompressed, and the next time it goes on" {
    small_disk logs 1m
    mirrorctl_json
    now 2025-02-20T02:00:00Z
    head -c 300000 /dev/urandom | base64 >logs/mirror_requests.log
    cp logs/mirror_requests.log whole
    dd if=/dev/zero of=logs/fill bs=1k 2>/dev/null || :
    run_split mirrorctl rotate
    assert_status 74 'No space left on device'
    cmp logs/mirror_requests.log-20250220T020000Z whole
    [ ! -e logs/mirror_requests.log-20250220T020000Z.gz ]
    [ ! -e logs/mirror_requests.log-20250220T020000Z.gz.tmp ]
    rm logs/fill
    run_split mirrorctl rotate
    assert_status 0
    gzip -dc logs/mirror_requests.log-20250220T020000Z.gz | cmp - whole
    [ ! -e logs/mirror_requests.log-20250220T020000Z ]
}

@test "a gzip that lies is found out" {
    mirrorctl_json
    now 2025-02-20T02:00:00Z
    seq 1000 >logs/mirror_requests.log
    cp logs/mirror_requests.log whole
    # Makes a good file, of something else.
    cat >stand-ins/gzip <<EOF
#!/bin/sh
case \$1 in
-kf) head -n 10 "\$5" | $(real gzip) -c >"\$5.gz.tmp" ;;
*) exec $(real gzip) "\$@" ;;
esac
EOF
    chmod +x stand-ins/gzip
    run_split mirrorctl rotate
    assert_status 74 'it is not as long as what was compressed'
    cmp logs/mirror_requests.log-20250220T020000Z whole
    # Or a bad one.
    sed -i 's/-kf) .*/-kf) seq 9 >"$5.gz.tmp" ;;/' stand-ins/gzip
    run_split mirrorctl rotate
    assert_status 74 'not in gzip format'
    cmp logs/mirror_requests.log-20250220T020000Z whole
    rm stand-ins/gzip
    mirrorctl rotate
    gzip -dc logs/mirror_requests.log-20250220T020000Z.gz | cmp - whole
}

@test "a log that is a link is left alone; the other one is rotated all the same" {
    mirrorctl_json
    echo precious >elsewhere
    ln -s "$PWD/elsewhere" logs/mirror_requests.log
    echo 2 >status/mirror_diff.log
    run_split mirrorctl rotate
    assert_status 74 'not a plain file; it is left alone'
    [ -L logs/mirror_requests.log ]
    [ "$(cat elsewhere)" = precious ]
    compgen -G 'status/mirror_diff.log-*.gz'
}

@test "two rotate at once: one after the other" {
    mirrorctl_json
    seq 200000 >logs/mirror_requests.log
    background one "$bin/mirrorctl" -c config.json rotate
    one=$pid
    background two "$bin/mirrorctl" -c config.json rotate
    wait "$one" && wait "$pid"
    gzip -dc logs/mirror_requests.log-*.gz | cmp - <(seq 200000)
}
