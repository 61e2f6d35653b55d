// What waits to be sent, destination by destination.

import { $, fill, h, icon, term } from '../dom.js';
import { ago, count, plural } from '../text.js';

export function showQueue(queue) {
    const destinations = queue?.destinations ?? [];
    const empty = !queue ? 'Not known yet.' : destinations.length ? '' : 'This host sends nothing to anywhere.';
    $('queue-empty').hidden = !empty;
    $('queue-empty').textContent = empty;
    $('queue-figures').hidden = !queue;
    if (queue) {
        fill($('queue-figures'),
            term('Waiting', count(queue.pending)),
            term('Running', count(queue.running)),
            term('Failed', count(queue.failed + queue.dead_letters)));
    }
    fill($('queue-list'), destinations.map(destination));
}

function destination(d) {
    let mark = 'ok';
    let text = 'all sent';
    if (d.paused) [mark, text] = ['warn', `paused${d.reason ? `: ${d.reason}` : ''}`];
    else if (d.failed) [mark, text] = ['bad', `${plural(d.failed, 'item')} failed`];
    else if (d.pending) [mark, text] = ['busy', `${plural(d.pending, 'item')} waiting`];
    if (d.paused && d.pending) text += `; ${plural(d.pending, 'item')} waiting`;
    return h('li', {}, icon(mark),
        h('div', {},
            h('strong', {}, d.name), ` ${text}`,
            h('p', { class: 'hint' }, d.last_success_at ? `Last sent ${ago(d.last_success_at)}` : 'Nothing sent yet')));
}
