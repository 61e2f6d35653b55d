# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # what the caller sets, and what it reads
# shellcheck disable=SC2016 # what stands in single quotes is for jq and sh
# shellcheck disable=SC2086 # the words of $files; keys hold no blanks
# shellcheck disable=SC2015 # A && B || C: C is for both, and meant so
# targets: what lifeboat-backup and lifeboat-restore-latest know of backups: the places
# they lie in, their manifests, how one builds on another, and whether they are whole.
# Sourced, after settings.bash; $work is a folder that goes with the run.
#
# A target is /FOLDER, ssh:HOST:/FOLDER or rclone:REMOTE:FOLDER. A backup is known by its
# key, NUMBER/NAME: the number of its target, and its name there.

declare -a targets=()
# Of each backup, by its key. why: empty, or what is wrong with it. An absent value is "-".
# flaw: what is wrong with its box alone, where $events_alone is set.
declare -A kind site created from to count total digest on replaces encrypted serial files why flaw stamp
# What was found of chains, by key: yes or no.
declare -A restorable
declare -a keys=() chain=()
identity='' limit=''

readonly name_form='^[0-9]{8}T[0-9]{6}Z-(hourly|daily|weekly|monthly)$'

# --- a place -------------------------------------------------------------------------

targets_check() {
    local t
    local -A seen
    [ ${#targets[@]} -gt 0 ] || die 78 'LIFEBOAT_BACKUP_TARGETS: names no target'
    for t in "${targets[@]}"; do
        [[ $t =~ ^(ssh:[A-Za-z0-9_][A-Za-z0-9._@-]*:)?/[^[:cntrl:]]*$ ]] ||
            [[ $t =~ ^rclone:[A-Za-z0-9_][A-Za-z0-9._@+-]*:[^[:cntrl:]]*$ ]] ||
            die 64 "$t: no target: wants /FOLDER, ssh:HOST:/FOLDER or rclone:REMOTE:FOLDER"
        [ -z "${seen[$t]-}" ] || die 64 "$t: is there twice"
        seen[$t]=1
        case $t in
        ssh:*) command -v ssh >/dev/null || die 69 "$t: ssh is not installed" ;;
        rclone:*) command -v rclone >/dev/null || die 69 "$t: rclone is not installed" ;;
        esac
    done
}

# What is done where the backups are, by a plain sh there. Nothing is a backup before
# "keep" has renamed it, and nothing that is being removed is one still. A manifest that
# cannot be read (tar ends with 2) takes no other one away. A file is read from the disk,
# not from memory that remembers what was written.
readonly over_there='
set -eu
umask 077
folder=$1 what=$2
shift 2
cd -- "$folder" || exit 66
case $what in
hold)
    exec 9>>.lock
    flock -w "$1" 9 || exit 75
    echo held
    while [ -n "$(timeout 60 head -n 1)" ]; do :; done
    ;;
look)
    set -- [0-9]*T[0-9]*Z-*
    if [ -e "$1" ]; then
        stat -c "%n %s %.9Y %.9Z %i" -- "$@" [0-9]*T[0-9]*Z-*/* 2>/dev/null || :
        for n; do [ -r "$n" ] && [ -x "$n" ] || printf "%s/! 0 0 0 0\n" "$n"; done
        echo
        for n; do [ ! -f "$n/manifest.json" ] || printf "%s\n" "$n/manifest.json"; done |
            tar -chf - -T - || [ "$?" -le 2 ]
    fi
    ;;
begin)
    rm -rf -- .part-* .gone-*
    mkdir -- ".part-$1"
    ;;
put)
    cat >"$1"
    sync -- "$1"
    ;;
get) exec cat -- "$1" ;;
sums)
    for f; do dd if="$f" iflag=nocache count=0 2>/dev/null || :; done
    exec sha256sum -- "$@"
    ;;
keep)
    if [ -e "$1" ]; then
        echo "$1: is there already" >&2
        exit 73
    fi
    sync -- ".part-$1"
    mv -- ".part-$1" "$1"
    sync -- .
    stat -c "%n %s %.9Y %.9Z %i" -- "$1"/*
    ;;
drop)
    for n; do mv -- "$n" ".gone-$n"; done
    sync -- .
    for n; do rm -rf -- ".gone-$n"; done
    ;;
note)
    cat >.verified.new
    mv -- .verified.new .verified
    ;;
recall) [ ! -e .verified ] || exec cat .verified ;;
esac'

quoted() {
    local a
    for a; do printf "'%s' " "${a//\'/\'\\\'\'}"; done
}

far() {
    local host=$1
    shift
    ${limit:+timeout -k 5 "$limit"} ssh -T -o BatchMode=yes -o ConnectTimeout=5 -o ConnectionAttempts=1 \
        -o StrictHostKeyChecking=yes -o ServerAliveInterval=5 -o ServerAliveCountMax=2 \
        "$host" "$(quoted sh -c "$over_there" sh "$@")"
}

cloud() { ${limit:+timeout -k 5 "$limit"} rclone --contimeout 10s --timeout 60s --retries 1 --low-level-retries 3 "$@"; }

# The same with rclone. What is there may know no folders and no renaming of one: the
# manifest goes last, and comes last; without it nothing is a backup.
over_rclone() {
    local place=$1 what=$2 n
    shift 2
    case $what in
    look)
        cloud lsjson -R --files-only --no-mimetype "$place" >"$work/lsjson" || return
        jq -r '[.[].Path | select(endswith("/manifest.json")) | rtrimstr("/manifest.json")] as $there
            | .[] | (.Path | split("/")) as $p | select(($p | length) == 2 and ($p[0] | IN($there[])))
            | "\(.Path) \(.Size) \(.ModTime)"' "$work/lsjson" || return
        echo
        rm -rf "$work/manifests"
        mkdir "$work/manifests"
        cloud copy --include '/[0-9]*/manifest.json' "$place" "$work/manifests" || return
        tar -cf - -C "$work/manifests" .
        ;;
    begin)
        cloud lsf --dirs-only "$place" | grep -E '^\.(part|gone)-' >"$work/left" || :
        while IFS= read -r n; do
            cloud purge "$place/${n%/}" || return
        done <"$work/left"
        ;;
    put) cloud rcat "$place/$1" ;;
    get) cloud cat "$place/$1" ;;
    sums)
        for n; do
            cloud cat "$place/$n" | sha256sum | sed "s|-\$|$n|" || return
        done
        ;;
    keep)
        ! cloud cat "$place/$1/manifest.json" 2>/dev/null | grep -q . || {
            complain "$1: is there already"
            return 73
        }
        cloud move --exclude manifest.json "$place/.part-$1" "$place/$1" &&
            cloud moveto "$place/.part-$1/manifest.json" "$place/$1/manifest.json"
        cloud purge "$place/.part-$1" 2>/dev/null || :
        cloud cat "$place/$1/manifest.json" >/dev/null &&
            cloud lsjson -R --files-only --no-mimetype "$place" | jq -r --arg n "$1/" \
                '.[] | select(.Path | startswith($n)) | "\(.Path) \(.Size) \(.ModTime)"'
        ;;
    drop)
        for n; do
            cloud moveto "$place/$n/manifest.json" "$place/.gone-$n/manifest.json" &&
                cloud purge "$place/$n" && cloud purge "$place/.gone-$n" || return
        done
        ;;
    note) cloud rcat "$place/.verified" ;;
    recall) cloud cat "$place/.verified" 2>/dev/null || : ;;
    esac
}

# at TARGET WHAT [OPERAND...]: $limit is how many seconds it may take.
at() {
    local t=$1
    shift
    case $t in
    /*) sh -c "$over_there" sh "$t" "$@" ;;
    ssh:*)
        t=${t#ssh:}
        far "${t%%:*}" "${t#*:}" "$@"
        ;;
    rclone:*) over_rclone "${t#rclone:}" "$@" ;;
    esac
}

# --- what is there -------------------------------------------------------------------

# A manifest is one line that ends with the SHA-256 of all before it.
seal_manifest() { printf '%s,"sha256":"%s"}\n' "$1" "$(printf %s "$1" | sha256sum | cut -c 1-64)"; }

# What stands before the seal goes to $work/heads, the seal to $sealed.
split_manifest() { # FILE NAME
    local text LC_ALL=C
    [ -f "$1" ] && [ ! -L "$1" ] && IFS= read -r -d '' -n 65536 text <"$1" || :
    [[ ${#text} -eq ${sizes[$2/manifest.json]-0} && $text =~ ^(.*),\"sha256\":\"([0-9a-f]{64})\"\}$'\n'$ ]] || return
    printf %s "${BASH_REMATCH[1]}" >"$work/heads/$2"
    sealed[$2]=${BASH_REMATCH[2]}
}

readonly manifest_row='
    [.name, .kind, .site_id, .created, .from, .to, .count, .total, .digest, .on, .replaces, .encrypted, .serial,
        ([.files[] | .name, .bytes, .sha256] | join(" "))]
    | map(if . == null then "-" else tostring end) | join("\t")'
# A target may be in other hands: what is reckoned with has to be a number, and what makes
# a line or a path a word.
readonly manifest_filter='
    def number: type == "number" and . >= 0 and . < 1e15 and . == floor;
    (input_filename | split("/")[-1]) as $name
    | fromjson? | select(.lifeboat_backup == 1 and .name == $name and .kind == ($name | split("-")[1])
        and (.site_id | type == "string" and . != "")
        and all(.created, .count, .total, .serial, .files[].bytes; number)
        and all(.files[].name; test("^[a-z.]+$")) and all(.. | strings; test("[[:cntrl:]]") | not)) | '$manifest_row

# catalog NUMBER: adds the backups of a target to $keys, in the order of their names, and
# says what is wrong with their manifests and with the sizes of their files.
catalog() {
    local number=$1 status=0 line name f rest sum size
    local t=${targets[$1]}
    local -A sealed=() sizes=()
    rm -rf "$work/there" "$work/heads"
    mkdir "$work/there" "$work/heads"
    [[ $t != /* ]] || [ -d "$t" ] || {
        echo 'no such folder (is the disk mounted?)' >"$work/said"
        return 66
    }
    limit=300 at "$t" look >"$work/look" 2>"$work/said" </dev/null || status=$?
    [ "$status" -eq 0 ] || return "$status"
    while IFS= read -r line && [ -n "$line" ]; do
        read -r f size rest <<<"$line"
        name=${f%%/*}
        [[ $name =~ $name_form ]] || continue
        if [ "$name" = "$f" ] || [ -z "${why[$number/$name]+there}" ]; then
            keys+=("$number/$name")
            why[$number/$name]='the manifest is missing'
            stamp[$number/$name]=-
            created[$number/$name]=- serial[$number/$name]=-1
            kind[$number/$name]=${name#*-}
        fi
        [ "$name" = "$f" ] || take_file "$number/$name" "$line"
        case $f in
        "$name/manifest.json") why[$number/$name]='the manifest cannot be read' ;;
        "$name/!") why[$number/$name]='not for us to read (chown -R its folder to the user that makes backups)' ;;
        esac
    done <"$work/look"
    unpack_manifests || return 74
    for f in "$work/there"/*/manifest.json; do
        [ -e "$f" ] || continue
        name=${f%/*}
        name=${name##*/}
        [ -n "${why[$number/$name]+there}" ] || continue
        why[$number/$name]='the manifest is damaged'
        split_manifest "$f" "$name" || continue
    done
    (cd "$work/heads" && printf '%s\0' ./* | xargs -0 sha256sum) >"$work/sums" 2>/dev/null || :
    while read -r sum f; do
        if [ "${sealed[${f#./}]}" = "$sum" ]; then
            printf '}\n' >>"$work/heads/$f"
        else
            rm "$work/heads/$f"
        fi
    done <"$work/sums"
    find "$work/heads" -type f -exec jq -Rr "$manifest_filter" {} + >"$work/tsv"
    while IFS=$'\t' read -r name line; do
        take_manifest "$number/$name" "$line"
    done <"$work/tsv"
}

# take_file KEY LINE: what "look" and "keep" say of a file.
take_file() {
    local f size rest
    read -r f size rest <<<"$2"
    sizes[$f]=$size
    stamp[$1]+="${f#*/}:$size:${rest// /:};"
}

# The list of "look" ends with an empty line; what follows is a tar.
unpack_manifests() {
    local line
    {
        while IFS= read -r line; do
            [ -n "$line" ] || break
        done
        cat >"$work/look.tar"
    } <"$work/look"
    [ ! -s "$work/look.tar" ] || tar -xf "$work/look.tar" -C "$work/there" 2>>"$work/said"
}

# blame KEY FILE WHY
blame() {
    if [ -n "${events_alone-}" ] && [[ $2 == box.* ]]; then flaw[$1]=$3; else why[$1]=$3; fi
}

take_manifest() { # KEY LINE
    local key=$1 name bytes sum
    IFS=$'\t' read -r kind[$key] site[$key] created[$key] from[$key] to[$key] count[$key] total[$key] digest[$key] \
        on[$key] replaces[$key] encrypted[$key] serial[$key] files[$key] <<<"$2"
    why[$key]='' flaw[$key]=''
    set -- ${files[$key]}
    while [ $# -gt 0 ]; do
        name=$1 bytes=$2 sum=$3
        shift 3
        if [ -z "${sizes[${key#*/}/$name]-}" ]; then
            blame "$key" "$name" "$name is missing"
        elif [ "${sizes[${key#*/}/$name]}" != "$bytes" ]; then
            blame "$key" "$name" "$name has ${sizes[${key#*/}/$name]} bytes, not $bytes"
        fi
        [[ $sum =~ ^[0-9a-f]{64}$ ]] || why[$key]='the manifest is damaged'
    done
}

# Files of a backup that hold events, and the box: their names.
events_of() { printf '%s\n' "${files[$1]}" | grep -oE 'events\.jsonl\.zst(\.age)?' || :; }
box_of() { printf '%s\n' "${files[$1]}" | grep -oE 'box\.tar\.zst(\.age)?' || :; }

# prove NUMBER NAME...: reads the files of backups whose manifest is whole, compares them
# with it, and says in why what is wrong. Fails where the target does.
prove() {
    local number=$1 key name status=0 sum f line
    local -A found=()
    local -a paths=()
    shift
    for name; do
        set -- ${files[$number/$name]}
        while [ $# -gt 0 ]; do
            paths+=("$name/$1")
            shift 3
        done
    done
    [ ${#paths[@]} -gt 0 ] || return 0
    at "${targets[$number]}" sums "${paths[@]}" >"$work/sums" 2>"$work/said" </dev/null || status=$?
    case $status in 0 | 1) ;; *) return "$status" ;; esac
    while read -r sum f; do found[$f]=$sum; done <"$work/sums"
    for f in "${paths[@]}"; do
        key=$number/${f%%/*}
        line=" ${files[$key]} "
        if [ -z "${found[$f]-}" ]; then
            blame "$key" "${f#*/}" "${f#*/} cannot be read: $(grep -F -- "$f" "$work/said" | head -n 1 | sed 's/.*: //')"
        elif [[ $line != *" ${f#*/} "*" ${found[$f]} "* ]]; then
            blame "$key" "${f#*/}" "${f#*/} is not what was written: its SHA-256 differs"
        fi
        [ -z "${why[$key]}" ] || restorable=()
    done
}

# --- chains --------------------------------------------------------------------------

# find_bases KEY: sets $bases to what it can build on: of the name it says, in the same
# target, and ending with the cursor that KEY begins with; where $anywhere is set any that
# ends with it.
find_bases() {
    local key=$1 k
    local named=${key%%/*}/${on[$1]}
    bases=()
    [ -z "${why[$named]+there}" ] || [ "${to[$named]-}" != "${from[$key]}" ] || bases=("$named")
    [ -n "${anywhere-}" ] || return 0
    for k in "${keys[@]}"; do
        [ "$k" = "$named" ] || [ "${to[$k]-}" != "${from[$key]}" ] || bases+=("$k")
    done
}

# can_restore KEY: whether it and all that it needs is there, and nothing known to be wrong.
can_restore() {
    local key=$1 k
    local -a bases
    [ -z "${restorable[$key]-}" ] || {
        [ "${restorable[$key]}" = yes ]
        return
    }
    restorable[$key]=no
    [ -z "${why[$key]-gone}" ] || return 1
    if [ "${from[$key]}" != start ]; then
        find_bases "$key"
        for k in "${bases[@]}"; do
            ! can_restore "$k" || break
            k=
        done
        [ -n "${k-}" ] || return 1
    fi
    restorable[$key]=yes
}

# add_chain KEY: adds to $chain what KEY needs, oldest first, then KEY, which can be restored.
add_chain() {
    local key=$1 k
    local -a bases
    [[ " ${chain[*]} " != *" $key "* ]] || return 0
    if [ "${from[$key]}" != start ]; then
        find_bases "$key"
        for k in "${bases[@]}"; do
            ! can_restore "$k" || break
        done
        add_chain "$k"
    elif [ "${replaces[$key]}" != - ] && can_restore "${key%%/*}/${replaces[$key]}"; then
        # This store had less than an older one: what it lacked is brought back too.
        add_chain "${key%%/*}/${replaces[$key]}"
    fi
    chain+=("$key")
}

# The newest first. Backups are numbered as they are made: a clock may be wrong.
newest_first() {
    local key
    for key; do printf '%s %s %s\n' "${serial[$key]}" "${created[$key]/#-/0}" "$key"; done |
        sort -k 1,1nr -k 2,2nr -s | cut -d ' ' -f 3
}

# --- what is inside ------------------------------------------------------------------

# open_pack NAME: what was packed, from standard input.
open_pack() {
    case $1 in
    *.age) age -d -i "$identity" | zstd -qdc ;;
    *) zstd -qdc ;;
    esac
}

# inside NAME [FROM TO COUNT DIGEST]: whether the packed events on standard input are all
# there, every line an event and the seal whole; and if these are given, whether they are
# those that the manifest tells of. Says why not, on standard output. The verdict is in
# $work/verdict then, the last line in $work/end.
inside() {
    local name=$1 status=0 found last
    [ -p "$work/last" ] || mkfifo "$work/last"
    tail -n 1 "$work/last" >"$work/end" &
    last=$!
    open_pack "$name" 2>"$work/open.said" | tee "$work/last" | evstore-verify -q - >"$work/verdict" 2>/dev/null ||
        status=1
    wait "$last"
    if [ -s "$work/open.said" ]; then
        echo "$name cannot be opened: $(head -n 1 "$work/open.said")"
        return 1
    fi
    [ "$status" -ne 0 ] || found=$(told_by_end "${@:2}") || status=1
    [ "$status" -eq 0 ] || [ -n "${found-}" ] || found=$(jq -r '
        "the events are \(.verdict), the seal is \(.seal)" + (.problems[0].why // .message | if . then ": \(.)" else "" end)
        ' "$work/verdict" 2>/dev/null) || :
    [ "$status" -eq 0 ] || printf '%s' "${found:-the events cannot be read}"
    return "$status"
}

# The last line and the verdict, as evstore-export and evstore-verify write them, against
# FROM TO COUNT DIGEST.
told_by_end() {
    read_end || return
    if [ $# -gt 0 ]; then
        if [ "$end_from/$end_to/$end_count" != "$1/$2/$3" ]; then
            echo 'the events are not those of the manifest'
            return 1
        elif [ "$1" = start ] && [ "$end_digest" != "$4" ]; then
            echo 'the events have another digest than the manifest'
            return 1
        fi
    fi
}
read_end() {
    local line
    IFS= read -r line <"$work/end" || return
    [[ $line =~ ^\{\"lifeboat_end\":\{\"count\":([0-9]+),\"sha256\":\"[0-9a-f]{64}\",\"from\":\"([^\"]+)\",\"to\":\"([^\"]+)\"\}\}$ ]] ||
        return
    end_count=${BASH_REMATCH[1]} end_from=${BASH_REMATCH[2]} end_to=${BASH_REMATCH[3]}
    IFS= read -r line <"$work/verdict" || return
    [[ $line =~ ^\{\"verdict\":\"ok\",.*\"seal\":\"whole\",\"digest\":\"(lifeboat1\ [0-9]+\ [0-9a-f]+)\" ]] || return
    end_digest=${BASH_REMATCH[1]}
}

# box_inside NAME: the same of the box.
box_inside() {
    if ! open_pack "$1" 2>"$work/open.said" | tar -tf - >/dev/null 2>>"$work/open.said"; then
        printf '%s' "$1 cannot be opened: $(head -n 1 "$work/open.said")"
        return 1
    fi
}

# contents KEY: reads events and box of a backup whose files are what was written, and says
# in why what is wrong with them.
contents() {
    local key=$1 name said t=${targets[${1%%/*}]}
    name=$(events_of "$key")
    why[$key]=$(at "$t" get "${key#*/}/$name" 2>/dev/null </dev/null |
        inside "$name" "${from[$key]}" "${to[$key]}" "${count[$key]}" "${digest[$key]}") || :
    name=$(box_of "$key")
    if [ -z "${why[$key]}${flaw[$key]}" ]; then
        said=$(at "$t" get "${key#*/}/$name" 2>/dev/null </dev/null | box_inside "$name") || :
        [ -z "$said" ] || blame "$key" "$name" "$said"
    fi
    [ -z "${why[$key]}" ] || restorable=()
}

# opened KEY FILE: what was packed there; $work/opened.said has what went wrong.
opened() {
    at "${targets[${1%%/*}]}" get "${1#*/}/$2" 2>"$work/opened.said" </dev/null | open_pack "$2" 2>>"$work/opened.said"
}

# A folder for what is at work, with room in it: $work.
work_folder() {
    work=$(mktemp -d) || exit 73
    head -c 65536 /dev/zero 2>/dev/null >"$work/room" || {
        rm -rf "$work"
        die 74 "${TMPDIR:-/tmp}: no room for what is at work: TMPDIR names another folder"
    }
    rm "$work/room"
}
