# anesthesia_case: one surgical case under anaesthesia, from its events.
#
# Input is the state (null at first), $event the event; the one output is the new state. No payload
# is an error: one that is not an object counts as {"value": ...}. jq's numbers are doubles.
#
# Events, by what they do (any other type goes to "other", nothing is swallowed):
#   CASE_*       CASE_CREATED OPENED UPDATED STARTED COMPLETED CLOSED CANCELLED REOPENED,
#                STATUS_CHANGED: payload merged (RFC 7396) into .case, the type sets .status
#                (CASE_UPDATED and STATUS_CHANGED: payload.status does, if it is a string)
#   VITAL_RECORDED VITALS_RECORDED VITAL_SIGN_RECORDED    one sample: sbp dbp hr spo2 etco2 temp ...
#   MEDICATION_GIVEN MEDICATION_ADMINISTERED DRUG_GIVEN   drug, dose, unit
#   INFUSION_STARTED INFUSION_CHANGED INFUSION_STOPPED    drug, rate, unit
#   FLUID_GIVEN BLOOD_GIVEN BLOOD_TRANSFUSED, and out: BLOOD_LOSS_RECORDED URINE_OUTPUT_RECORDED
#                                                         fluid or product, volume_ml
#   STAFF_ASSIGNED STAFF_JOINED STAFF_LEFT                staff_id, name, role
#   MILESTONE_RECORDED                                    milestone: induction, incision ...
#   NOTE_ADDED                                            text
#
# State (a member is there once an event has made it):
#   status       created | open | in_progress | completed | closed | cancelled
#   case         what the CASE_* payloads say, merged
#   started_ts, closed_ts                    ts_device of the (latest) start, of the end
#   vitals       {count, last: sample, signs: {hr: {last, ts, min, max, count}, ...}, recent: [20]}
#                a sample is {ts, hlc, device_id, values: payload}; signs are its numbers
#   medications  {DRUG: {count, totals: {UNIT: sum}, last: {ts, hlc, actor_id, given: payload}}}
#   infusions    {DRUG: {running, since_ts, ts, set: payloads merged}}
#   fluids       {in_ml: {NAME: sum}, out_ml: {NAME: sum}, in_total_ml, out_total_ml}
#   staff        {ID: {present, since_ts, left_ts, as: payloads merged}}
#   milestones   {NAME: {ts, hlc, actor_id, count, detail: payload}}
#   notes        {count, recent: [20 of {ts, hlc, actor_id, note: payload}]}
#   other        {EVENT_TYPE: {count, ts, hlc, data: payloads merged}}
#   event_counts {EVENT_TYPE: n};   last {event_id, event_type, ts, hlc}
# The lists keep the newest 20; "count" says how many there were, the events have them all.

def merge($p):
  if ($p | type) == "object" then
    reduce ($p | keys_unsorted[]) as $k
      (if type == "object" then . else {} end;
       if $p[$k] == null then del(.[$k]) else .[$k] = (.[$k] | merge($p[$k])) end)
  else $p end;
def number: if type == "number" then . else null end;
def name(names): first((names | select(type == "string" and . != "")), null);

($event.payload | if type == "object" then . else {value: .} end) as $p
| ($event.event_type | tostring) as $type
| $event.ts_device as $ts
| {ts: $ts, hlc: $event.hlc, actor_id: $event.actor_id} as $mark

| def other:
    .other[$type] |= {
      count: ((.count // 0) + 1), ts: $ts, hlc: $event.hlc, data: (.data | merge($p))
    };
  def case($status):
    .case = (.case | merge($p))
    | if $status != null then .status = $status else . end;
  def sign($n):
    if . == null then {last: $n, ts: $ts, min: $n, max: $n, count: 1} else
      {last: $n, ts: $ts, min: (if $n < .min then $n else .min end),
       max: (if $n > .max then $n else .max end), count: (.count + 1)}
    end;
  def vitals:
    {ts: $ts, hlc: $event.hlc, device_id: $event.device_id, values: $p} as $sample
    | .vitals = (.vitals | {
        count: ((.count // 0) + 1),
        last: $sample,
        signs: (reduce ($p | keys_unsorted[] | select($p[.] | type == "number")) as $k
                  (.signs // {}; setpath([$k]; .[$k] | sign($p[$k])))),
        recent: ((.recent // []) + [$sample])[-20:]
      });
  def medication:
    name($p.drug, $p.medication, $p.name, $p.code) as $drug
    | ($p.dose | number) as $dose
    | (name($p.unit, $p.dose_unit) // "no unit") as $unit
    | if $drug == null then other else
        .medications[$drug] |= {
          count: ((.count // 0) + 1),
          totals: ((.totals // {}) | if $dose == null then . else .[$unit] += $dose end),
          last: ($mark + {given: $p})
        }
      end;
  def infusion($running):
    name($p.drug, $p.medication, $p.name, $p.code) as $drug
    | if $drug == null then other else
        .infusions[$drug] |= {
          running: $running,
          since_ts: (if .running == $running then .since_ts else $ts end),
          ts: $ts,
          set: (.set | merge($p))
        }
      end;
  def fluid($way):
    (name($p.fluid, $p.product, $p.name) // $type) as $name
    | (first(($p.volume_ml, $p.volume, $p.ml) | number | values) // null) as $ml
    | if $ml == null then other else
        .fluids[$way + "_ml"][$name] += $ml | .fluids[$way + "_total_ml"] += $ml
      end;
  def staff($present):
    name($p.staff_id, $p.user_id, $p.id, $p.name, $event.actor_id) as $who
    | if $who == null then other else
        .staff[$who] |= (
          {present: $present,
           since_ts: (if $present and .present != true then $ts else .since_ts end),
           left_ts: (if $present then null else $ts end),
           as: (.as | merge($p))}
          | del(.[(keys_unsorted[]) as $k | select(.[$k] == null) | $k]))
      end;
  def milestone:
    name($p.milestone, $p.name, $p.type) as $name
    | if $name == null then other else
        .milestones[$name] |= ($mark + {count: ((.count // 0) + 1), detail: $p})
      end;
  def note:
    .notes |= {count: ((.count // 0) + 1), recent: ((.recent // []) + [$mark + {note: $p}])[-20:]};

  if type == "object" then . else {status: "created"} end
| if $type == "VITAL_RECORDED" or $type == "VITALS_RECORDED" or $type == "VITAL_SIGN_RECORDED"
  then vitals
  elif $type == "MEDICATION_GIVEN" or $type == "MEDICATION_ADMINISTERED" or $type == "DRUG_GIVEN"
  then medication
  elif $type == "INFUSION_STARTED" or $type == "INFUSION_CHANGED" then infusion(true)
  elif $type == "INFUSION_STOPPED" then infusion(false)
  elif $type == "FLUID_GIVEN" or $type == "BLOOD_GIVEN" or $type == "BLOOD_TRANSFUSED"
  then fluid("in")
  elif $type == "BLOOD_LOSS_RECORDED" or $type == "URINE_OUTPUT_RECORDED" then fluid("out")
  elif $type == "STAFF_ASSIGNED" or $type == "STAFF_JOINED" then staff(true)
  elif $type == "STAFF_LEFT" then staff(false)
  elif $type == "MILESTONE_RECORDED" then milestone
  elif $type == "NOTE_ADDED" then note
  elif $type == "CASE_CREATED" then case("created")
  elif $type == "CASE_OPENED" then case("open")
  elif $type == "CASE_STARTED" then case("in_progress") | .started_ts = $ts
  elif $type == "CASE_COMPLETED" then case("completed") | .closed_ts = $ts
  elif $type == "CASE_CLOSED" then case("closed") | .closed_ts = $ts
  elif $type == "CASE_CANCELLED" then case("cancelled") | .closed_ts = $ts
  elif $type == "CASE_REOPENED" then case("in_progress") | del(.closed_ts)
  elif $type == "CASE_UPDATED" or $type == "STATUS_CHANGED" then case(name($p.status))
  else other end
| .event_counts[$type] = .event_counts[$type] + 1
| .last = {event_id: $event.event_id, event_type: $type, ts: $ts, hlc: $event.hlc}
