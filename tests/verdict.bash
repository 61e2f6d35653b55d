# shellcheck shell=bash
# verdict: TAP for scripts that collect findings. Sourced in the folder of the run.
#
# finding WHY...     something is not as it should be; also by lines added to "found"
# verdict NAME       one result: ok if nothing was found since the last one
# conclude           the plan; fails if anything did, or nothing was judged

tests=0 bad=0
: >found
finding() { echo "$*" >>found; }

verdict() {
    tests=$((tests + 1))
    if [ -s found ]; then
        bad=$((bad + 1))
        echo "not ok $tests - $1"
        sed 's/^/# /' found | head -n 20
    else
        echo "ok $tests - $1"
    fi
    : >found
}

conclude() {
    echo "1..$tests"
    [ "$bad" -eq 0 ] && [ "$tests" -gt 0 ]
}
