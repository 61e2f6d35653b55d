# shellcheck shell=bash
# settings: what scripts need of lifeboat(7)'s settings, time and status folder. Sourced.
#
#   settings_read          LIFEBOAT_* of the settings file become variables of the script,
#                          unless the environment has them; the commands read it themselves
#   now_ms                 the wall clock, or LIFEBOAT_NOW
#   store_path             the store
#   status_folder          where periodic jobs say what they found
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

# Reads as lib/cli/settings.c does; a name that nobody knows is refused by the commands.
settings_read() {
    local file=${LIFEBOAT_ENV:-/etc/lifeboat/lifeboat.env} line name value inherited
    inherited=" $({ compgen -e LIFEBOAT_ || :; } | tr '\n' ' ')"
    if [ ! -e "$file" ]; then
        [ -z "${LIFEBOAT_ENV-}" ] || die 78 "unable to read the settings $file: not there"
        return 0
    fi
    [ -r "$file" ] || die 78 "unable to read the settings $file: not permitted"
    while IFS= read -r line || [ -n "$line" ]; do
        line=${line#"${line%%[![:blank:]]*}"}
        line=${line#export }
        [[ $line =~ ^(LIFEBOAT_[A-Z_]+)=(.*)$ ]] || continue
        name=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
        value=${value%"${value##*[![:space:]]}"}
        case $value in '"'*'"' | "'"*"'") [ ${#value} -lt 2 ] || value=${value:1:-1} ;; esac
        # What the environment says, an empty text too, goes before the file; of two lines
        # the last one counts.
        [[ $inherited == *" $name "* ]] || printf -v "$name" '%s' "$value"
    done <"$file"
}

now_ms() {
    local now=${LIFEBOAT_NOW:-$((${EPOCHREALTIME/[.,]/} / 1000))}
    case $now in *[!0-9]*) die 78 "LIFEBOAT_NOW: $now: wants milliseconds since 1970" ;; esac
    printf '%s\n' "$now"
}

store_path() { printf '%s\n' "${LIFEBOAT_DB:-/var/lib/lifeboat/lifeboat.db}"; }

status_folder() {
    local store
    store=$(store_path)
    [[ $store == */* ]] || store=./$store
    printf '%s\n' "${LIFEBOAT_STATUS_DIR:-${store%/*}/status}"
}

status_put() {
    local folder aside
    folder=$(status_folder)
    (umask 022 && mkdir -p "$folder") && aside=$(mktemp "$folder/.$1.XXXXXX") || return
    if printf '%s\n' "$2" >"$aside" && chmod 644 "$aside" && sync "$aside" &&
        mv "$aside" "$folder/$1.json"; then
        return 0
    fi
    rm -f "$aside"
    return 74
}
