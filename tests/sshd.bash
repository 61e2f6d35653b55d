# shellcheck shell=bash
# shellcheck disable=SC2154 # BATS_TEST_TMPDIR is bats's
# sshd: a real sshd on loopback, whose keys and configuration are in the test's
# folder, and a handheld's configuration behind it. Loaded after helper; what it
# starts is ended by stop_background.
#
#   sshd_start              on $ssh_port, its log in sshd.err; skips where there is none
#   handheld [TEXT]         writes handheld/config.json: the document's, or TEXT
#   mirrorctl_json [NAME=JSON...]   writes config.json for mirrorctl

sshd_program() {
    command -v sshd || { [ -x /usr/sbin/sshd ] && echo /usr/sbin/sshd; }
}

sshd_keys() {
    local k
    for k in host_key id other_id other_host_key; do
        [ -e "$k" ] || ssh-keygen -q -t ed25519 -N '' -C test -f "$k" </dev/null
    done
    cp id.pub authorized_keys
}

sshd_settings() {
    cat <<EOF
Port $ssh_port
ListenAddress 127.0.0.1
HostKey $PWD/host_key
AuthorizedKeysFile $PWD/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
LogLevel VERBOSE
EOF
}

# knows KEY.pub: what known_hosts says of the handheld.
knows() { sed "s/^/[127.0.0.1]:$ssh_port /" "$1" >known_hosts; }

listens_or_ended() { grep -qs 'Server listening' sshd.err || ! kill -0 "$pid" 2>/dev/null; }

sshd_start() {
    local program
    program=$(sshd_program) || skip 'openssh-server is not installed'
    # Where sshd, as root, locks up the part of it that nobody may touch.
    [ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
    sshd_keys
    for _ in 1 2 3 4 5 6 7 8; do
        ssh_port=$((20000 + RANDOM % 12000))
        sshd_settings >sshd_config
        background sshd "$program" -D -e -f "$PWD/sshd_config"
        wait_until 30 listens_or_ended
        ! grep -q 'Server listening' sshd.err || break
    done
    grep -q 'Server listening' sshd.err
    knows host_key.pub
}

handheld() {
    mkdir -p handheld
    if [ $# -gt 0 ]; then
        printf %s "$1" >handheld/config.json
    else
        cat >handheld/config.json <<EOF
{
  "primary_endpoint": "http://window-a.local:8501/api/v1/scans",
  "mirror_endpoint": "${endpoint:-http://127.0.0.1:1/api/v1/scans}",
  "mirror_mode": false,
  "timeout_ms": 3000,
  "retry": {
    "max_attempts": 3,
    "backoff_ms": 500
  }
}
EOF
    fi
    cp handheld/config.json before.json
}

# NAME=JSON, later ones in place of earlier ones; NAME= leaves it out.
mirrorctl_json() {
    local pair
    local -A members=([pi_zero_host]='"127.0.0.1"' [ssh_user]="\"$(id -un)\""
        [config_path]="\"$PWD/handheld/config.json\"" [status_dir]="\"$PWD/status\""
        [logs_dir]="\"$PWD/logs\"" [ssh_port]=${ssh_port:-1}
        [identity_file]="\"$PWD/id\"" [known_hosts_file]="\"$PWD/known_hosts\"")
    for pair; do members[${pair%%=*}]=${pair#*=}; done
    for pair in "${!members[@]}"; do
        [ -z "${members[$pair]}" ] || printf '"%s": %s\n' "$pair" "${members[$pair]}"
    done | paste -sd , | sed 's/.*/{&}/' >config.json
}
