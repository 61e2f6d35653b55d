# scan: where each part is (part_locations), from the scans of its tag. One entity is one part of one
# order: its key is tag_id and order_id, or lot where there is no order.
#
# Input is the state (null at first), $event the event; the one output is the new state. Events
# come in (hlc, event_id) order, so the last one folded is the latest, whenever it arrived. No
# payload is an error. jq's numbers are doubles.
#
# Events:
#   any whose payload has a "location": SCAN_RECORDED, PART_SCANNED, PART_MOVED ...
#                the part is there now; a location of null says it is nowhere (taken out)
#   SCAN_RECORDED PART_SCANNED without a location: seen, but not moved
#   any other type goes to "other", nothing is swallowed
#
# State, a flat row that can be compared with another system's table:
#   tag_id, order_id, lot    the key, as the scans spelled it (null: not said)
#   location, station        the latest; null if none was said
#   previous_location, moved_at    where it was before its latest move, and when that was
#   updated_at, hlc, device_id, actor_id, event_id    of the latest scan (ts_device, Unix ms)
#   scans, moves             how many; the first location is no move
#   last                     the latest scan's payload, whole
#   others       {KEY: row}  scans in this entity that name another tag, order or lot
#   other        {EVENT_TYPE: {count, ts, hlc, data: payloads merged (RFC 7396)}}

def merge($p):
  if ($p | type) == "object" then
    reduce ($p | keys_unsorted[]) as $k
      (if type == "object" then . else {} end;
       if $p[$k] == null then del(.[$k]) else .[$k] = (.[$k] | merge($p[$k])) end)
  else $p end;
# An absent member, null and "" all say nothing.
def said: if . == "" then null else . end;

($event.payload | if type == "object" then . else {value: .} end) as $p
| ($event.event_type | tostring) as $type
| ($p.tag_id | said) as $tag
| ($p.order_id | said) as $order
| ($p.lot | said) as $lot

| def empty_row:
    {tag_id: null, order_id: null, lot: null, location: null, station: null,
     previous_location: null, moved_at: null, scans: 0, moves: 0};
  # What a scan does not name cannot differ; the lot counts only where no order tells.
  def differs($mine; $theirs): $mine != null and $theirs != null and $mine != $theirs;
  def mine:
    (differs(.tag_id; $tag) or differs(.order_id; $order)
     or ((.order_id == null or $order == null) and differs(.lot; $lot))) | not;
  def scanned:
    (if $p | has("location") then $p.location | said else .location end) as $to
    | (.scans > 0 and $to != .location) as $moved
    | . + {
        tag_id: ($tag // .tag_id), order_id: ($order // .order_id), lot: ($lot // .lot),
        location: $to,
        station: (if $p | has("station") then $p.station | said else .station end),
        updated_at: $event.ts_device, hlc: $event.hlc, device_id: $event.device_id,
        actor_id: $event.actor_id, event_id: $event.event_id,
        scans: (.scans + 1),
        last: $p
      }
      + if $moved
        then {previous_location: .location, moved_at: $event.ts_device, moves: (.moves + 1)}
        else {} end;

  if type == "object" then . else empty_row end
| if ($p | has("location")) or $type == "SCAN_RECORDED" or $type == "PART_SCANNED" then
    if mine then scanned else
      ([$tag, $order, if $order == null then $lot else empty end] | tojson) as $key
      | .others[$key] = (.others[$key] // empty_row | scanned)
    end
  else
    .other[$type] = (.other[$type] | {
      count: ((.count // 0) + 1), ts: $event.ts_device, hlc: $event.hlc, data: (.data | merge($p))
    })
  end
