# The shipped reducers, with jq alone: they are wrapped here as evstore-project wraps them.
# shellcheck disable=SC2030,SC2031 # each test is its own shell
load helper

# fold TYPE: events on stdin, all of one entity, to its state.
fold() {
    jq -c -n "def reducer(\$event): $(cat "$top/lib/projectors/$1.jq")
; reduce inputs as \$e (null; reducer(\$e))"
}

# event TYPE PAYLOAD [MEMBERS]: one event of a row that ascends by a second each.
event() {
    n=$((${n:-0} + 1))
    jq -cn --arg type "$1" --argjson payload "$2" --argjson more "${3:-{\}}" --argjson n "$n" '
        {event_id: "e\($n)", entity_type: "t", entity_id: "x", actor_id: "U1", device_id: "d1",
         ts_device: (1000 * $n), hlc: "00000000000\($n % 10).0000", event_type: $type,
         schema_version: "1.0", payload: $payload} + $more'
}

# is FILTER: true of $state
is() {
    jq_true "$1" <<<"$state" || {
        printf 'not so: %s\nin %s\n' "$1" "$state" >&2
        return 1
    }
}

@test "the recorded surgical case folds to its end" {
    state=$(jq -c 'select(.entity_type == "anesthesia_case")' "$top/tests/data/surgery.jsonl" |
        fold anesthesia_case)
    is '.status == "closed" and .case.destination == "PACU-1" and .case.asa == 3'
    is '.vitals.count == 19 and .vitals.last.values.spo2 == 98'
    is '.vitals.signs.sbp.min == 88 and .vitals.signs.sbp.max == 148'
    is '.medications.rocuronium | .count == 2 and .totals.mg == 50'
    is '.fluids.in_total_ml == 1280 and .fluids.out_total_ml == 570'
    is '.infusions.remifentanil | .running == false and .set.rate == 0.14'
    is '.staff.U003.present == false and .staff.U002.present'
    is '.milestones | keys == ["closure","extubation","incision","induction","intubation",
        "preoxygenation"]'
    is '.other | keys == ["ALARM_RAISED","IMPLANT_RECORDED"]'
    is '([.event_counts[]] | add) == 53'
}

@test "the recorded case is in canonical form and order, ids agree with their time" {
    jq_true -n '[inputs] | (map([.hlc, .event_id]) | . == sort)
        and (map(.event_id) | length == (unique | length))' "$top/tests/data/surgery.jsonl"
    jq_true -n '["event_id","site_id","entity_type","entity_id","actor_id","actor_name",
            "actor_role","device_id","ts_device","hlc","event_type","schema_version",
            "correlation_id","causation_id","payload"] as $order
        | [inputs | keys_unsorted | . == ($order - ($order - .))] | all' \
        "$top/tests/data/surgery.jsonl"
    jq -r '"\(.event_id) \(.ts_device)"' "$top/tests/data/surgery.jsonl" | while read -r id ts; do
        hex=${id%%-*} rest=${id#*-}
        [ $((16#$hex${rest%%-*})) -eq "$ts" ] || exit 1
        [[ $id =~ ^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$ ]] || exit 1
    done
}

@test "a cause in the recorded case comes before its effect" {
    jq_true -n 'reduce inputs as $e ({seen: {}, ok: true};
            (if $e.causation_id then .ok = .ok and .seen[$e.causation_id] else . end)
            | .seen[$e.event_id] = true) | .ok' "$top/tests/data/surgery.jsonl"
}

@test "case: status follows the events, payloads merge, null removes" {
    state=$({
        event CASE_CREATED '{"room":"OR-1","patient":{"age":67,"mrn":"P1"}}'
        event CASE_STARTED '{"room":null,"patient":{"age":68}}'
        event CASE_CLOSED null
        event CASE_REOPENED '{}'
        event STATUS_CHANGED '{"status":"paused"}'
        event CASE_UPDATED '{"status":7}'
    } | fold anesthesia_case)
    is '.status == "paused" and .started_ts == 2000 and (has("closed_ts") | not)'
    is '.case == {"patient":{"age":68,"mrn":"P1"},"status":7}'
}

@test "vitals: the newest twenty samples are kept, count and extremes are of all" {
    state=$(jq -cn 'range(100000) | {event_id: "e\(.)", event_type: "VITAL_RECORDED",
        ts_device: ., hlc: "h", actor_id: "U1", payload: {hr: (40 + . % 100), note: "x"}}' |
        fold anesthesia_case)
    is '.vitals.count == 100000 and (.vitals.recent | length) == 20'
    is '.vitals.recent[19] == .vitals.last and .vitals.last.ts == 99999'
    is '.vitals.signs == {"hr":{"last":139,"ts":99999,"min":40,"max":139,"count":100000}}'
}

@test "an event the case reducer cannot use is listed, not swallowed" {
    state=$({
        event MEDICATION_GIVEN '{"dose":5}'
        event FLUID_GIVEN '{"fluid":"NS","volume_ml":"500"}'
        event MILESTONE_RECORDED '[1]'
        event LIGHT_DIMMED '"half"'
        event LIGHT_DIMMED '{"to":{"pct":50}}'
    } | fold anesthesia_case)
    is '.other | keys == ["FLUID_GIVEN","LIGHT_DIMMED","MEDICATION_GIVEN","MILESTONE_RECORDED"]'
    is '.other.FLUID_GIVEN.data.volume_ml == "500"'
    is '.other.LIGHT_DIMMED | .count == 2 and .data == {"value":"half","to":{"pct":50}}'
    is '.event_counts.LIGHT_DIMMED == 2'
}

@test "no payload, and no missing member, is an error to a reducer, whatever the event" {
    local types payloads
    types=$(grep -hoE '\b[A-Z]+(_[A-Z]+)+\b' "$top"/lib/projectors/*.jq | sort -u; echo X '' null)
    payloads='[null, true, 0, -1e308, "", "x", [], [null], [[]], {}, {"value":null},
        {"drug":"a"}, {"drug":"a","dose":"1","unit":7}, {"drug":"a","dose":1}, {"drug":{}},
        {"name":"n","volume_ml":1e308}, {"milestone":"m","hr":1}, {"staff_id":"s"},
        {"staff_id":[],"status":[]}, {"status":"s","hr":{"a":{"b":null}}}, {"hr":"x"}, {"hr":{"a":1}},
        {"location":null}, {"location":{"a":[1]}}, {"tag_id":1,"order_id":[],"location":2},
        {"tag_id":"t","lot":{}}, {"tag_id":false,"lot":"","location":""}]'
    for type in anesthesia_case scan user_settings advanced_command; do
        for bare in false true; do
            jq -cn --argjson p "$payloads" --arg types "$types" --argjson bare $bare '
                ($p, ($p | reverse))[] as $payload | ($types / "\n")[] as $type
                | if $bare then {event_type: $type, payload: $payload}
                  else {event_id: "e", event_type: $type, ts_device: 1, hlc: "h",
                        actor_id: "U", payload: $payload} end' >events
            echo '{}' >>events
            state=$(fold $type <events)
            is 'type == "object"'
        done
    done
}

@test "part: latest and previous location, scans and moves, in the order of the fold" {
    state=$({
        event SCAN_RECORDED '{"tag_id":"T1","order_id":"O1","location":"SHELF-01","station":"A"}'
        event SCAN_RECORDED '{"tag_id":"T1","order_id":"O1","location":"SHELF-01"}'
        event PART_MOVED '{"tag_id":"T1","order_id":"O1","location":"SHELF-02","station":"B"}'
        event PART_SCANNED '{"tag_id":"T1","order_id":"O1"}'
    } | fold scan)
    is '.tag_id == "T1" and .order_id == "O1" and .lot == null'
    is '.location == "SHELF-02" and .previous_location == "SHELF-01" and .station == "B"'
    is '.scans == 4 and .moves == 1 and .moved_at == 3000 and .updated_at == 4000'
    is '.event_id == "e4" and .device_id == "d1" and (has("others") | not)'
}

@test "part: a lot is the key where there is no order" {
    state=$({
        event SCAN_RECORDED '{"station":"A","location":"SHELF-03","lot":"LOT-123"}'
        event SCAN_RECORDED '{"station":"A","location":"SHELF-04","lot":"LOT-123"}'
        event SCAN_RECORDED '{"station":"A","location":"SHELF-09","lot":"LOT-124"}'
    } | fold scan)
    is '.lot == "LOT-123" and .location == "SHELF-04" and .moves == 1'
    is '[.others[]] | length == 1 and .[0].lot == "LOT-124" and .[0].location == "SHELF-09"'
}

@test "part: another tag or order in the same entity keeps a row of its own" {
    state=$({
        event SCAN_RECORDED '{"tag_id":"T1","order_id":"O1","location":"A"}'
        event SCAN_RECORDED '{"tag_id":"T1","order_id":"O2","location":"B"}'
        event SCAN_RECORDED '{"tag_id":"T2","order_id":"O1","location":"C"}'
        event SCAN_RECORDED '{"tag_id":"T2","order_id":"O1","location":"D"}'
        event SCAN_RECORDED '{"tag_id":1,"order_id":"O1","location":"E"}'
    } | fold scan)
    is '.location == "A" and .scans == 1 and (.others | length) == 3'
    is '.others["[\"T2\",\"O1\"]"] | .location == "D" and .previous_location == "C"'
}

@test "part: taken out, put back, and what is no scan" {
    state=$({
        event SCAN_RECORDED '{"tag_id":"T1","location":"A"}'
        event PART_MOVED '{"tag_id":"T1","location":null}'
        event QUALITY_CHECKED '{"ok":true}'
    } | fold scan)
    is '.location == null and .previous_location == "A" and .moves == 1 and .scans == 2'
    is '.other.QUALITY_CHECKED.data == {"ok":true}'
}

@test "settings: what was saved last replaces what was there" {
    state=$({
        event SETTINGS_SYNCED '{"settings":{"theme":"dark","size":3},"edge_id":"edge-1"}'
        event SETTINGS_SYNCED '{"settings":{"language":"zh-TW"},"edge_id":"edge-2"}'
        event NOTE_ADDED '{"text":"?"}'
    } | fold user_settings)
    is '.settings == {"language":"zh-TW"} and .edge_id == "edge-2" and .syncs == 2
        and .other.NOTE_ADDED.count == 1'
}

@test "command: shared again it is replaced, its ratings stay; of each user the last counts" {
    state=$({
        event COMMAND_SHARED '{"name":"patrol","content":{"a":1},"rating":2}'
        event COMMAND_SHARED '{"name":"patrol","content":{"b":2},"rating":2}'
    } | fold advanced_command)
    is '.command.content == {"b":2} and .rating == 2'
    state=$({
        event COMMAND_SHARED '{"name":"patrol","content":1}'
        event COMMAND_RATED '{"rating":1}'
        event COMMAND_RATED '{"rating":5}'
        event COMMAND_SHARED '{"name":"patrol","content":2}'
    } | fold advanced_command)
    is '.rating == 5 and (.ratings | length) == 1 and .command.content == 2'
}
