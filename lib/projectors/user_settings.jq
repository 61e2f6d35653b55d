# user_settings: the backup of a user's settings. What was saved last replaces what was there.
#
# Input is the state (null at first), $event the event; the one output is the new state. No
# payload is an error. jq's numbers are doubles.
#
# Events:
#   SETTINGS_SYNCED   payload.settings are the settings, payload.edge_id says where from
#   any other type goes to "other", nothing is swallowed
#
# State: settings, edge_id, updated_at (ts_device, Unix ms), syncs: how often
#        other {EVENT_TYPE: {count, ts}}

def object: if type == "object" then . else {} end;

(. // {}) as $s
| ($event.payload | object) as $p
| ($event.event_type // "") as $type
| if $type == "SETTINGS_SYNCED" then
    $s + {settings: ($p.settings | object), edge_id: $p.edge_id, updated_at: $event.ts_device,
          syncs: (($s.syncs // 0) + 1)}
  else
    $s * {other: {($type): {count: (($s.other[$type].count // 0) + 1),
                        ts: $event.ts_device}}}
  end
