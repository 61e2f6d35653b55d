# shellcheck shell=bash
# settings: what scripts need of lifeboat(7)'s settings, time and status folder. Sourced.
#
#   settings_read          each LIFEBOAT_ that has a value, said or usual, becomes a variable
#                          of the script; the commands read the settings by themselves
#   now_ms                 the wall clock, or LIFEBOAT_NOW
#   status_folder          makes that folder if there is none, root for whoever has the one it
#                          is in
#   status_put NAME JSON   replaces NAME.json there: whoever reads it sees the old one or
#                          the new one, whole
#   complain, die STATUS   a message PROG: ..., and the end of the run with it

prog=${0##*/}

complain() { printf '%s: %s\n' "$prog" "$*" >&2; }
die() {
    local status=$1
    shift
    complain "$@"
    exit "$status"
}

settings_read() {
    local said
    said=$(lifeboat-settings --sh) || exit
    eval "$said"
}

now_ms() { printf '%s\n' "${LIFEBOAT_NOW:-$((${EPOCHREALTIME/[.,]/} / 1000))}"; }

status_folder() {
    local folder=$LIFEBOAT_STATUS_DIR
    [ ! -d "$folder" ] || return 0
    (umask 022 && mkdir -p "$folder") || return
    [ "$EUID" -ne 0 ] || chown -h --reference="$folder/.." "$folder"
}

status_put() {
    local folder aside
    folder=$LIFEBOAT_STATUS_DIR
    status_folder && aside=$(mktemp "$folder/.$1.XXXXXX") || return
    if printf '%s\n' "$2" >"$aside" && chmod 644 "$aside" && sync "$aside" &&
        mv "$aside" "$folder/$1.json"; then
        return 0
    fi
    rm -f "$aside"
    return 74
}
