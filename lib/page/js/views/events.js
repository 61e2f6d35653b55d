// The newest events, live. They are for showing only; what is kept are their lines.

import { $, fill, h, state } from '../dom.js';
import { moment } from '../text.js';

export const SHOWN = 50;
const FIRST = 12;

/** view: { events (newest first), from: 'host' | 'device' | null, live: 'live' | 'lost' | null, loading } */
export function showEvents({ events, from, live, loading }) {
    const list = $('events-list');
    if (from === 'host' && live === 'live') state($('live'), 'ok', 'Live');
    else if (from === 'host' && !live) state($('live'), 'off', 'As they were when the host was last heard');
    else if (from === 'host') state($('live'), 'busy', 'Not live now: looked up every 15 seconds');
    else if (from === 'device') state($('live'), 'off', 'From the backup on this device');
    else fill($('live'));
    const all = $('events-all').getAttribute('aria-expanded') === 'true';
    fill(list, events.slice(0, all ? SHOWN : FIRST).map(row));
    $('events-all').hidden = events.length <= FIRST;
    $('events-all').textContent = all ? 'Show fewer' : `Show ${events.length}`;
    const none = !events.length;
    $('events-empty').hidden = !none;
    list.hidden = none;
    if (none) {
        $('events-empty').textContent = loading ? 'Asking the host…'
            : from ? 'Nothing has happened here yet. What does, shows here at once.'
                : 'They show once this device is paired.';
    }
}

function row(e) {
    const time = new Date(e.ts_device);
    return h('li', {},
        h('time', { datetime: Number.isNaN(time.getTime()) ? null : time.toISOString() }, moment(e.ts_device)),
        h('span', { class: 'what' }, h('strong', {}, e.event_type),
            h('span', { class: 'entity' }, `${e.entity_type}/${e.entity_id}`)),
        h('span', { class: 'who' }, e.actor_name || e.actor_id));
}
