#!/usr/bin/env bats
# The completions, as an interactive bash and zsh give them when TAB is pressed.

# plain

load helper

setup() {
    private_store
    touch events.db events.jsonl
    files=$build/completions
}

# asked SHELL LINE...: what is shown for each, in "shown".
asked() {
    local path=$files/lifeboat
    [ "$1" = bash ] || path=$files/_lifeboat
    command -v "$1" || skip "$1 is not installed"
    printf '%s\n' "${@:2}" | python3 "$top/tests/complete.py" "$1" "$path" >shown
}
# of LINE: the words that were shown for it, without what zsh says of them.
of() {
    awk -v line="$1" '$0 == "" { getline; on = $0 == line } NR == 1 { on = $0 == line } on' shown |
        sed 's/ -- .*//; s/^@> .*//' | tr -s ' ' '\n' | sed 's/=$//' | sort -u
}
options() { "$1" --help 2>&1 | grep -oE '(^ +-[A-Za-z0-9]\b|--[a-z][a-z0-9-]*)' | tr -d ' ' | sort -u; }

every_option() {
    local -a names lines
    mapfile -t names <"$files/names"
    lines=("${names[@]/%/ -}")
    asked "$1" "${lines[@]}"
    for name in "${names[@]}"; do
        options "$name" >wanted
        [ -s wanted ]
        of "$name -" >got
        # Only options are exact: zsh leaves the head of a line of words in the list.
        comm -23 wanted got >missing
        grep -xE -- '-[A-Za-z0-9]|--[a-z].*' got | comm -13 wanted - >'more'
        if [ -s missing ] || [ -s more ]; then
            echo "$1: $name: missing: $(paste -sd ' ' missing), more: $(paste -sd ' ' more)"
            return 1
        fi
    done
}

# What is there for a line: exactly these words, beside the line itself.
gives() {
    of "$1" | grep -vxFf <(tr ' ' '\n' <<<"$1") >got || :
    tr ' ' '\n' <<<"$2" | sort | diff - got
}

words() {
    asked "$1" 'syncq ' 'kvcache ' 'hlc ' 'lifeboat-token ' 'mirrorctl ' 'cloud-sync ' 'syncq dead ' \
        'cloud-sync commands ' 'syncq -q -d x dead ' 'hlc --db=x ' 'evstore-export --order ' \
        'syncq list --status ' 'lifeboat-token issue --role '
    gives 'syncq ' 'complete dead dequeue enqueue extend fail flush list load pause prune resume send show stats watch work'
    gives 'kvcache ' 'clear delete get purge run set stats watch'
    gives 'hlc ' 'compare now parse recv send sort'
    gives 'lifeboat-token ' 'check issue key pair'
    gives 'mirrorctl ' 'disable enable rotate status'
    gives 'cloud-sync ' 'auto commands flush history restore-settings settings stats'
    gives 'syncq dead ' 'list purge requeue'
    gives 'cloud-sync commands ' 'browse download upload'
    gives 'syncq -q -d x dead ' 'list purge requeue'
    gives 'hlc --db=x ' 'compare now parse recv send sort'
    gives 'evstore-export --order ' 'hlc seq'
    gives 'syncq list --status ' 'completed failed pending running'
    gives 'lifeboat-token issue --role ' 'admin device dr user'
}

whole() {
    asked "$1" 'evstore-export --progress j' 'evstore-append -d events.d' 'evstore-verify --db=events.d' \
        'evstore-restore events.j' 'kvcache pur'
    for line in 'evstore-export --progress json' 'evstore-append -d events.db' 'evstore-verify --db=events.db' \
        'evstore-restore events.jsonl' 'kvcache purge'; do
        grep -F "$line " shown
    done
}

@test "every command of the toolkit and every script with a page is completed" {
    for c in "$build"/bin/*; do
        case $c in *.cgi) ;; *) grep -x "${c##*/}" "$files/names" ;; esac
    done
    for p in "$top"/man/*.1; do
        p=$(basename "$p" .1)
        [ ! -e "$top/scripts/$p" ] || grep -x "$p" "$files/names"
    done
}

@test "bash: each option that --help names is completed, and nothing else" { every_option bash; }
@test "zsh: each option that --help names is completed, and nothing else" { every_option zsh; }
@test "bash: sub-commands, those of two words, and words that an option takes" { words bash; }
@test "zsh: sub-commands, those of two words, and words that an option takes" { words zsh; }
@test "bash: a word that is begun becomes whole, a file's name too" { whole bash; }
@test "zsh: a word that is begun becomes whole, a file's name too" { whole zsh; }
