# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034 # for jq, and for those who source this
# waiting: since when an event waits to be elsewhere too. Sourced.
#
#   $came    for jq: "came", of an event as evstore-export --full prints it, is when it was
#            stored here, in Unix ms. That is ts_server; but what another store had first
#            has that one's, and then created_at, which is of this one, in seconds.

readonly came='
def came: (.created_at | strptime("%Y-%m-%d %H:%M:%S") | mktime * 1000) as $s
    | if .ts_server != null and .ts_server >= $s and .ts_server < $s + 1000 then .ts_server else $s end;'
