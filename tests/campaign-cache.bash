# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # at, size and others are the caller's
# campaign-cache: the scenarios of kvcache. Sourced by campaign.bash.

# --- values --------------------------------------------------------------------------

values='SELECT cache_key || char(9) || value FROM django_cache ORDER BY 1'
totals="SELECT count(*) || ',' || total(length(CAST(cache_key AS BLOB)) + length(value)) FROM django_cache
    WHERE namespace = ''"

# What is there was sent, adds up, and is all of it where set said 0.
judge_values() { # ACKNOWLEDGED
    local odd
    look_into "$values" >there
    odd=$(comm -23 there "values-$size")
    [ -z "$odd" ] || find_fault "values not sent: $(head -n 3 <<<"$odd")"
    [ -z "$1" ] || cmp -s there "values-$size" || find_fault 'values acknowledged, and lost'
    odd=$(look_into "SELECT entries || ',' || (size + 0.0) FROM cache_namespace")
    [ "${odd:-0,0.0}" = "$(look_into "$totals")" ] || find_fault "the namespace adds up to $odd"
}

# cached: many lines
cached_start() { fresh "full-$size"; }
cached_run() {
    rm -f stored
    "$@" kvcache set -q -d s <"cache-$size" >out 2>err && : >stored
}
cached_judge() {
    judge
    judge_values "$([ ! -e stored ] || echo all)"
    rerun kvcache set -q -d s <"cache-$size"
    judge_values all
}

# cleared: and away with them
cleared_start() {
    fresh "full-$size"
    kvcache set -q -d s <"cache-$size"
}
cleared_run() { "$@" kvcache clear -q -d s >out 2>err; }
cleared_judge() {
    judge
    judge_values ''
    rerun kvcache clear -q -d s
    [ "$(sqlite3 s 'SELECT count(*) FROM django_cache' 2>&1)" = 0 ] || find_fault 'not all are gone'
}

# --- results --------------------------------------------------------------------------

# once: a command, which notes that it was run, and whether an earlier one still is
once_cmd() {
    # shellcheck disable=SC2016
    "$@" kvcache run -q -d s key -- sh -c 'for p in $(cat pids); do
            ! kill -0 "$p" 2>/dev/null || echo "$p" >>overlaps; done
        echo $$ >>pids; cat "$0"' "output-$size"
}
once_start() {
    fresh "full-$size"
    rm -f overlaps
    : >pids
}
once_run() { once_cmd "$@" >out 2>err; }
once_judge() {
    local before recorded
    judge
    cmp -s -n "$(stat -c %s out)" out "output-$size" || find_fault 'it shows another output'
    recorded=$(look_into "SELECT status FROM idempotency_cache WHERE key = 'key' AND status = 'done'")
    [ ! -s out ] || [ -n "$recorded" ] || find_fault 'shown, and not committed'
    before=$(wc -l <pids)
    rerun once_cmd
    cmp -s again "output-$size" || find_fault 'the rerun shows another output'
    [ ! -e overlaps ] || find_fault 'two of one key at a time'
    [ -z "$recorded" ] || [ "$(wc -l <pids)" -eq "$before" ] || find_fault 'recorded, and run again'
    [ "$(wc -l <pids)" -le 2 ] || find_fault "run $(wc -l <pids) times"
    rerun once_cmd
    # Parts of a run that could not even be forgotten are purge's.
    rerun kvcache purge -q -d s
    [ "$(sqlite3 s 'SELECT count(DISTINCT id) FROM idempotency_result' 2>&1)" = 1 ] ||
        find_fault 'parts are left of a run that is gone'
}

cache_material() { # SIZE
    seq -f 'k%05.0f' "$1" | sed 's/.*/{"key":"&","value":{"of":"&"}}/' >"cache-$1"
    sed -E 's/.*"key":"([^"]*)","value":(.*)\}$/\1\t\2/' "cache-$1" >"values-$1"
    # More than one part, and nothing that comes twice.
    seq -f '%.0f of the output' 65000 >"output-$1"
}
