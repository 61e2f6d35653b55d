# shellcheck shell=bash
# shellcheck disable=SC2034 # $why is the caller's
# container: a minimal Debian 12, and boxes of it booted in containers, for the tests that
# need systemd or dpkg. Sourced in the folder of the run, which is not below /tmp (that may
# be small, or mounted without devices), after verdict.bash; the last of it is
# container_leave.
#
# Needs root, systemd-nspawn (the package systemd-container), and, the first time,
# debootstrap and Debian, which is kept as a tar:
#   CONTAINER_TAR  that tar (~/.cache/lifeboat/debian-CHECKSUM.tar, by what is in it)
#   MIRROR         where it is from (http://deb.debian.org/debian)
#
# debian ROOT             unpacks it; else 1, and $why
# container_can ROOT      whether it can run as a container; else 1, and $why
# container_boot NAME ROOT   boots it, and it is the one within is about; else 1: no systemd
#                         comes up here ($why), 2: it is ours that keeps it from being up
# container_kill NAME     as lightning does; the root is left
# container_link NAME ADDRESS NAME ADDRESS   a cable between two (iproute2)
# container_use NAME      within is about this one
# within COMMAND...       runs it there, by root, as from a shell of its own
# want STATUS COMMAND...  within, else a finding; its output is in "out"
# has FILE REGEX WHAT     else a finding
# mark; since MARK [JOURNALCTL-OPTION...]   what the journal has got since then
# runbook MEMBER          the configuration with that member, from lifeboat-mirror(7)
# until_ SECONDS COMMAND...   until it succeeds; 1: it never did, or the box is down

container_packages=systemd,systemd-sysv,dbus,openssh-server,openssh-client,adduser,age,ca-certificates,curl
container_packages+=,iproute2,jq,gzip,libjwt0,libuuid1,libxxhash0,libsqlite3-0,lighttpd,logrotate,procps,sqlite3
container_packages+=,tzdata,zstd
container_tar=${CONTAINER_TAR:-$HOME/.cache/lifeboat/debian-$(cksum <<<"$container_packages" | cut -d ' ' -f 1).tar}
declare -A container_nspawn=() container_init=() container_root=()
box=

debian() {
    if [ ! -f "$container_tar" ]; then
        mkdir -p "$(dirname "$container_tar")"
        command -v debootstrap >/dev/null || {
            why='there is no debootstrap to make a Debian with'
            return 1
        }
        debootstrap --variant=minbase --include="$container_packages" bookworm "$1" \
            "${MIRROR:-http://deb.debian.org/debian}" >log 2>&1 || {
            why="Debian is not there: $(tail -n 1 log)"
            rm -rf --one-file-system "$1"
            return 1
        }
        rm -f "$1"/var/cache/apt/archives/*.deb
        # Two tests may be making it at the same time.
        tar -C "$1" -cf "$container_tar.$$" . && mv "$container_tar.$$" "$container_tar"
        rm -rf --one-file-system "$1"
    fi
    mkdir "$1"
    tar -C "$1" -xpf "$container_tar" && return
    why="$container_tar: cannot be unpacked"
    return 1
}

container_can() {
    why=
    if [ "$(id -u)" -ne 0 ]; then
        why='a container needs root'
    elif ! command -v systemd-nspawn >/dev/null; then
        why='there is no systemd-nspawn'
    elif [ ! -e /sys/fs/cgroup/cgroup.procs ] && [ ! -d /sys/fs/cgroup/systemd ]; then
        why='there are no control groups here'
    elif debian "$1" && ! systemd-nspawn -q -D "$1" --private-network --register=no --keep-unit true >log 2>&1; then
        why="no container can run here: $(tail -n 1 log)"
    fi
    [ -z "$why" ]
}

# Each box has control groups of its own: two systemds in one would end each other's services.
container_groups() {
    sed -n 's|^0::|unified |p; s|^[0-9]*:name=systemd:|systemd |p' /proc/self/cgroup | while read -r kind path; do
        local base=/sys/fs/cgroup
        [ -e "$base/cgroup.procs" ] || base+=/$kind
        [ ! -e "$base/cgroup.procs" ] || echo "$base${path%/}/lifeboat-$$-$1"
    done
}

container_started() {
    container_init[$1]=$(pgrep -P "${container_nspawn[$1]}") || return
    within systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded'
}

container_boot() {
    local group
    box=$1
    container_root[$1]=$2
    (
        while read -r group; do
            mkdir -p "$group" && echo "$BASHPID" >"$group/cgroup.procs" || exit
        done < <(container_groups "$1")
        exec systemd-nspawn -q -D "$2" --machine="lifeboat-$$-$1" --private-network --register=no --keep-unit \
            --console=pipe --timezone=off --resolv-conf=off -b
    ) >"console-$1" 2>&1 &
    container_nspawn[$1]=$!
    # A systemd that says anything has been started.
    until_ 90 container_started "$1" && return
    [ -n "${container_init[$1]-}" ] && within systemctl is-system-running 2>/dev/null | grep -q . && return 2
    why="no systemd comes up in a container here: $(tail -n 1 "console-$1")"
    return 1
}

container_kill() {
    [ -z "${container_init[$1]-}" ] || kill -KILL "${container_init[$1]}"
    container_end "$1"
}

# nspawn asks for an orderly end.
container_end() {
    local group
    kill "${container_nspawn[$1]}" 2>/dev/null
    wait "${container_nspawn[$1]}" 2>/dev/null
    unset "container_nspawn[$1]" "container_init[$1]"
    container_groups "$1" | while read -r group; do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
    done
}

container_leave() {
    local name
    for name in "${!container_nspawn[@]}"; do container_end "$name"; done
}

container_link() {
    nsenter -t "${container_init[$1]}" -n ip link add name cable type veth \
        peer name cable netns "${container_init[$3]}" || return
    for box in "$1" "$3"; do
        within ip address add "$2/24" dev cable && within ip link set cable up || return
        shift 2
    done
}

container_use() { box=$1; }

within() {
    nsenter -t "${container_init[$box]}" -m -u -i -n -p -C -r -w env -i HOME=/root LC_ALL=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

until_() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] && kill -0 "${container_nspawn[$box]}" 2>/dev/null || return 1
        read -rt 0.2 <> <(:) || :
    done
}

want() {
    local wanted=$1 status=0
    shift
    within "$@" >out 2>&1 || status=$?
    [ "$status" -eq "$wanted" ] || finding "$* : status $status, wanted $wanted: $(head -c 2000 out)"
}

has() { grep -qE -- "$2" "$1" || finding "$3: no line like $2 in: $(head -c 2000 "$1")"; }

mark() { within journalctl -q -n 0 --show-cursor | sed -n 's/^-- cursor: //p'; }
since() { within journalctl -q --sync && within journalctl -q -o short --after-cursor="$1" "${@:2}"; }

runbook() {
    # shellcheck disable=SC2154 # $top is the caller's
    sed -n '/^{$/,/^}$/p' "$top/man/lifeboat-mirror.7" | sed 's/\\e/\\/g' | jq "select(has(\"$1\"))"
}
