// The host: health, counts, the rate of the last hour.

import { $, fill, h, icon, svg, term } from '../dom.js';
import { ago, count, day, moment, plural, range, size, span } from '../text.js';

const LICENCE = { TRIAL: 'Trial', BASIC_MODE: 'Basic mode', FULL: 'Full' };

/** view: { health (of /api/dr/health or only /api/health) | null, stats | null, at, live } */
export function showHost({ health, stats, at, live }) {
    const old = health && !live;
    $('host-age').hidden = !old;
    if (old) fill($('host-age'), icon('off'), h('span', {}, `As it was ${ago(at)}, ${moment(at)}`));
    $('host').classList.toggle('old', Boolean(old));
    problems(health, live);
    const n = (value) => (typeof value === 'number' ? count(value) : '–');
    fill($('host-figures'),
        term('Events', n(health?.events_count)),
        term('Conflicts', n(health?.conflicts)),
        term('Last event', health?.last_event_at ? ago(health.last_event_at) : '–'));
    facts(health, stats);
    rate(stats?.per_minute, live);
}

function problems(health, live) {
    const found = [...(health?.problems ?? [])];
    if (health && health.store_id === null) found.push('There is no store on this host yet.');
    if (health?.status && health.status !== 'healthy' && !found.length) found.push(`The host calls itself ${health.status}.`);
    if (health?.hlc_ahead_ms > 60_000) found.push(`Its event clock is ${span(health.hlc_ahead_ms)} ahead of its wall clock.`);
    if (health?.licence?.expired) found.push('Its licence has expired. Backup and restore go on.');
    else if (health?.licence?.writes_closed) found.push('Its licence closes ordinary writing. Backup and restore go on.');
    fill($('host-problems'), found.map((text) => h('li', {}, icon('warn'), h('span', {}, text))));
    $('host-problems').hidden = !found.length;
    $('host').classList.toggle('degraded', Boolean(live && found.length));
}

function facts(health, stats) {
    if (!health) {
        fill($('host-facts'));
        return;
    }
    const last = health.last_restore;
    const licence = health.licence;
    const { backup, drill } = health;
    const newest = Object.entries(backup?.last_ok ?? {}).sort((a, b) => b[1] - a[1])[0];
    fill($('host-facts'),
        term('Name', health.device_id ?? 'none yet'),
        term('Store', h('code', {}, health.store_id ?? 'none yet')),
        typeof health.bytes === 'number' && term('Size', size(health.bytes),
            typeof health.free_bytes === 'number' ? `, ${size(health.free_bytes)} free` : ''),
        stats?.oldest_ts ? term('Events of', range(stats.oldest_ts, stats.newest_ts)) : null,
        licence && term('Licence', LICENCE[licence.state] ?? licence.state,
            licence.expires_at ? `, ${licence.expired ? 'ended' : 'until'} ${day(licence.expires_at)}` : ''),
        health.restore_in_progress ? term('Restore', 'one is under way') :
            last && term('Last restore', `${last.status.toLowerCase().replace('_', ' ')}, ${
                plural(last.events_received, 'event')} from ${last.source_device_name || last.source_device_id || 'an unnamed device'}`),
        backup && term('Backed up', newest ? `${ago(newest[1])}, ${newest[0]}` : 'none that was good'),
        drill && term('Drill', drill.ok
            ? `${ago(drill.ts)}: ${plural(drill.events, 'event')} back in ${span(drill.rto_ms)}, the same`
            : `${ago(drill.ts)}: failed`),
        term('Version', health.version));
}

function rate(minutes, live) {
    $('rate').hidden = !minutes;
    if (!minutes) return;
    const most = Math.max(...minutes);
    const total = minutes.reduce((a, b) => a + b, 0);
    const hour = live ? 'in the last hour' : 'in the hour before that';
    $('rate-text').textContent = total
        ? `${plural(total, 'event')} ${hour}, at most ${count(most)} a minute` : `No events ${hour}`;
    $('rate').classList.toggle('none', !total);
    const step = 240 / (minutes.length - 1);
    const y = (n) => 46 - (most ? n / most * 42 : 0);
    const points = minutes.map((n, i) => `${(i * step).toFixed(1)},${y(n).toFixed(1)}`).join(' ');
    fill($('rate-line'),
        svg('polygon', { points: `0,47 ${points} 240,47` }),
        svg('polyline', { points }));
}
