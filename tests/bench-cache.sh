# shellcheck shell=bash
# shellcheck disable=SC2154 # of bench.sh, which sources this behind its other tables
# bench-cache: kvcache beside the least SQLite needs for the same (tests/tools/readshot
# and oneshot), and beside what one would write instead.

sized=1000
seq "$sized" | sed 's/.*/{"key":"key-&","value":{"n":&,"text":"the value of a key"}}/' >cache.jsonl
rm -f cache.db cache.db-*
kvcache -q -d cache.db set <cache.jsonl
kvcache -d cache.db run result -- seq 100 >/dev/null
cat >get.py <<'END'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
row = db.execute("SELECT value FROM django_cache WHERE namespace = '' AND cache_key = ?",
                 (sys.argv[2],)).fetchone()
sys.stdout.write(row[0].decode())
END
cat >diskcache.py <<'END'
import sys, diskcache
sys.stdout.write(diskcache.Cache("diskcached").get(sys.argv[1]))
END
has_diskcache() {
    python3 -c 'import diskcache; diskcache.Cache("diskcached").set("key-500", "the value of a key")' 2>/dev/null
}

section '100 look-ups of a value, one process each'
row readshot 'floor: open, find, print' : 'measured -n 100 readshot cache.db key-500'
row get 'kvcache get' : 'measured -n 100 kvcache -d cache.db get key-500'
row true_get '/bin/true' : 'measured -n 100 /bin/true'
peer sqlite3 shell_get 'sqlite3 shell' : \
    "measured -n 100 sqlite3 cache.db \"SELECT value FROM django_cache WHERE cache_key = 'key-500'\""
peer python3 python_get 'python3, sqlite3' : 'measured -n 100 python3 get.py cache.db key-500'
if has_diskcache; then
    peer python3 diskcache_get 'python3, diskcache' : 'measured -n 100 python3 diskcache.py key-500'
fi
measure

section '100 durable values, one process each'
row oneshot_set 'floor: open, gate, insert, commit' "$begun" 'measured -n 100 oneshot run.db'
row set 'kvcache set' "$begun" 'measured -n 100 kvcache -q set key-1 1'
row true_set '/bin/true' : 'measured -n 100 /bin/true'
measure

section '100 recorded commands, one process each'
row bare '/bin/true itself' : 'measured -n 100 /bin/true'
row replay 'kvcache run, replayed' : 'measured -n 100 kvcache -d cache.db run result -- /bin/true'
row flight 'kvcache run, not kept' "$begun" \
    'measured -n 100 kvcache -q run k --keep 1 -- /bin/true'
measure

section "$sized values of a pipe"
row lines 'kvcache set' 'rm -f run.db run.db-*' 'measured sh -c "kvcache -q set <cache.jsonl"'
row keys 'kvcache get' : 'measured sh -c "kvcache -d cache.db get <cache.jsonl"'
measure

promise 'look-up, one process: beside the floor, wall and cpu' '<= 1.3' \
    "$(beside wall get readshot), $(beside cpu get readshot)"
promise 'look-up, one process: beside /bin/true; python3 beside it' '' \
    "$(beside cpu get true_get), $(beside cpu python_get get)"
promise 'durable value, one process: beside the floor, wall and cpu' '<= 1.3' \
    "$(beside wall set oneshot_set), $(beside cpu set oneshot_set)"
promise 'replay, one process: beside a look-up of the floor, wall and cpu' '' \
    "$(beside wall replay readshot), $(beside cpu replay readshot)"
