# advanced_command: a command that users share. What was shared last replaces what was there;
# of each user the last rating counts.
#
# Input is the state (null at first), $event the event; the one output is the new state. No
# payload is an error. jq's numbers are doubles.
#
# Events:
#   COMMAND_SHARED    the payload is the command: name, category, description, content ...
#   COMMAND_RATED     payload.rating, by the actor
#   any other type goes to "other", nothing is swallowed
#
# State: command (the payload), author, updated_at (ts_device, Unix ms)
#        ratings {ACTOR: number}, rating: their mean, or that of the command while nobody rated
#        other {EVENT_TYPE: {count, ts}}

def object: if type == "object" then . else {} end;
def mean: if length == 0 then null else add / length end;

(. // {}) as $s
| ($event.payload | object) as $p
| ($event.event_type // "") as $type
| (if $type == "COMMAND_SHARED" then
     $s + {command: $p, author: $event.actor_id, updated_at: $event.ts_device}
   elif $type == "COMMAND_RATED" and ($p.rating | type) == "number" then
     $s + {ratings: (($s.ratings // {}) + {(($event.actor_id // "")): $p.rating})}
   else
     $s * {other: {($type): {count: (($s.other[$type].count // 0) + 1),
                         ts: $event.ts_device}}}
   end)
| .rating = (([(.ratings // {})[]] | mean) // .command.rating)
