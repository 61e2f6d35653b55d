#!/usr/bin/env bash
# bench-mirror: mirror-compare beside what one would write instead, over the same two files
# (tests/tools/genscans.c): BENCH_ROWS rows against as many (1,000,000), each side shuffled
# in its own way, 1 in 100 different. Medians of BENCH_RUNS runs (5), slow peers
# BENCH_PEER_RUNS (1), in turns, in Markdown. Each has to find the same rows, by class and
# key, or nothing is printed. Peers that are not installed (python3, sqlite3, sqldiff of
# sqlite3-tools, mlr of miller) are left out. With BENCH_LARGE=1 also 20 million rows in
# 256 MB, which takes 6 GB of disk and some minutes.
# Figures are reported, not judged: this machine's, on this day.
set -euo pipefail
# shellcheck source=tests/measure.bash
source "$(dirname "$0")/measure.bash"
runs=${BENCH_RUNS:-5} rows=${BENCH_ROWS:-1000000}
peer_runs=${BENCH_PEER_RUNS:-$((rows > 500000 ? 1 : runs))}

# --- the material --------------------------------------------------------------------

genscans "$rows" old >old.jsonl
genscans "$rows" new >new.jsonl
genscans "$rows" respelt >respelt.jsonl
genscans "$rows" old sorted >old.sorted
genscans "$rows" new sorted >new.sorted
genscans "$rows" respelt sorted >respelt.sorted

# --- peers: each leaves what it found in a file "found", as it has it --------------------

cat >join.py <<'END'
import json
old, new = ({(r["tag_id"], r["order_id"]): r for r in map(json.loads, open(f))} for f in ("old.jsonl", "new.jsonl"))
with open("found", "w") as out:
    for key, r in old.items():
        other = new.get(key)
        if other != r:
            print("changed" if other else "missing", *key, file=out)
    for key in new.keys() - old.keys():
        print("extra", *key, file=out)
END

# A table of lines with a primary key, made from SIDE.jsonl.
import() { # SCHEMA SIDE
    cat <<END
CREATE TABLE $1.$2(tag_id TEXT, order_id TEXT, location, qty, lot, updated_at, PRIMARY KEY(tag_id, order_id)) WITHOUT ROWID;
CREATE TEMP TABLE raw_$2(j TEXT);
.mode ascii
.separator "\037" "\n"
.import $2.jsonl raw_$2
INSERT INTO $1.$2 SELECT j->>'tag_id', j->>'order_id', j->>'location', j->>'qty', j->>'lot', j->>'updated_at' FROM raw_$2;
DROP TABLE raw_$2;
END
}
{
    echo 'PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE;'
    import main old
    import main new
    cat <<'END'
.mode list
.separator " "
.output found
SELECT CASE WHEN n.tag_id IS NULL THEN 'missing' ELSE 'changed' END, o.tag_id, o.order_id
    FROM old o LEFT JOIN new n USING (tag_id, order_id)
    WHERE (o.location, o.qty, o.lot, o.updated_at) IS NOT (n.location, n.qty, n.lot, n.updated_at);
SELECT 'extra', tag_id, order_id FROM new n
    WHERE NOT EXISTS (SELECT 1 FROM old o WHERE o.tag_id = n.tag_id AND o.order_id = n.order_id);
END
} >join.sql
for side in old new; do
    {
        echo 'PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE;'
        import main $side
        [ $side = old ] || echo 'ALTER TABLE new RENAME TO old;'
    } >$side.sql
done
cat >sqldiff.sh <<'END'
sqlite3 old.db <old.sql >said && sqlite3 new.db <new.sql >said
sqldiff --primarykey --table old old.db new.db >found
END
cat >comm.sh <<'END'
LC_ALL=C sort old.jsonl >old.lines
LC_ALL=C sort new.jsonl >new.lines
LC_ALL=C comm -3 old.lines new.lines >found
END
cat >mlr.sh <<'END'
mlr --ijsonl --ojsonl put '$side = "new"' then join --lp old_ --rp new_ --ul --ur -j tag_id,order_id \
    -f old.jsonl then put -q '
    if (is_present($old_location)) {
        if ($old_location != $new_location || $old_qty != $new_qty || $old_lot != $new_lot ||
            $old_updated_at != $new_updated_at) {
            print "changed ".$tag_id." ".$order_id
        }
    } else {
        print (is_present($side) ? "extra " : "missing ").$tag_id." ".$order_id
    }' new.jsonl >found
END

# --- what was found, as lines "class tag order" --------------------------------------------

of_objects() { sed -n 's/.*"class": *"\([a-z]*\)".*/\1 &/p' found | sed -E 's/^([a-z]+) .*"tag_id": *"([^"]*)", *"order_id": *"([^"]*)".*/\1 \2 \3/'; }
of_lines() {
    awk -F '"' '{ k = $4 " " $8; if (/^\t/) new[k]; else old[k] } END {
        for (k in old) print (k in new ? "changed " : "missing ") k
        for (k in new) if (!(k in old)) print "extra " k }' found
}
of_statements() {
    awk -F "'" '/^DELETE/ { print "missing", $2, $4 } /^INSERT/ { print "extra", $2, $4 }
        /^UPDATE/ { sub(/.* WHERE /, ""); print "changed", $2, $4 }' found
}
of_text() { cat found; }
declare -A as=([python]=text [join]=text [mlr]=text [sqldiff]=statements [comm]=lines)
# shellcheck disable=SC2031 # k: the row that measure has just run
found() {
    [ -e found ] || return
    "of_${as[$k]:-objects}" | LC_ALL=C sort >found.now
    rm found
    [ -e right ] || cp found.now right
    [ "$(cut -d ' ' -f 1 right | uniq -c | xargs)" = "$((rows / 200)) changed $((rows / 400)) extra $((rows / 400)) missing" ] &&
        cmp found.now right
}

# --- the tables ------------------------------------------------------------------------------

compare='mirror-compare --key tag_id,order_id --ts updated_at --max-diffs 100000000'
differs() { echo "measured sh -c \"$compare $* >found; test \\\$? = 1\""; }

section "$rows against $rows rows, 1 in 100 different" found
row hash 'mirror-compare' : "$(differs old.jsonl new.jsonl)"
row spill 'mirror-compare --memory 16M' : "$(differs --memory 16M old.jsonl new.jsonl)"
row sorted 'mirror-compare --sorted, sources in order' : "$(differs --sorted old.sorted new.sorted)"
row respelt 'mirror-compare, numbers and times spelled in another way' : "$(differs old.jsonl respelt.jsonl)"
row comm 'sort, comm: the same bytes only' 'rm -f *.lines' 'measured sh comm.sh'
peer python3 python 'python3: json, dicts' : 'measured python3 join.py'
peer sqlite3 join 'sqlite3: .import, ->>, LEFT JOIN' 'rm -f join.db' 'measured sh -c "sqlite3 join.db <join.sql >said"'
peer sqldiff sqldiff 'sqlite3: .import, ->>; sqldiff' 'rm -f old.db new.db' 'measured sh sqldiff.sh'
peer mlr mlr 'mlr join' : 'measured sh mlr.sh'
measure

bytes_a_key() { awk -v mb="$1" -v n="$rows" 'BEGIN { printf "%.0f", mb * 1048576 / n }'; }
promise "processor time of python3's dicts" '>= 10 times' "$(beside cpu python hash)"
promise "processor time of SQLite's join" '>= 10 times' "$(beside cpu join hash)"
promise 'processor time of sqldiff, of sort and comm, of mlr' '' \
    "$(beside cpu sqldiff hash), $(beside cpu comm hash), $(beside cpu mlr hash) times"
promise 'memory, bytes a key that both sides have' '<= 120' "$(bytes_a_key "${mb[hash]}")"
promise '--sorted: peak MB' '<= 16' "${mb[sorted]}"

if [ -n "${BENCH_LARGE-}" ]; then
    large=20000000
    rm -f ./*.jsonl ./*.sorted ./*.lines ./*.db right
    genscans $large old >old.jsonl
    genscans $large new >new.jsonl
    rows=$large runs=1
    section '20,000,000 against 20,000,000 rows' found
    row large 'mirror-compare --memory 192M' : "$(differs --memory 192M old.jsonl new.jsonl)"
    measure
    promise '20,000,000 rows: peak MB' '<= 256' "${mb[large]}"
fi

printf '%s, medians of %d; python3, sqlite3, sqldiff and mlr: of %d\n\n' "$(machine)" "${BENCH_RUNS:-5}" "$peer_runs"
tables
