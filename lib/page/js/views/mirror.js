// The mirror: how the last days matched.

import { $, fill, h, icon } from '../dom.js';
import { isoDay, plural } from '../text.js';

const MARK = { OK: 'ok', NG: 'bad', ERROR: 'warn', NONE: 'none' };
const WORD = { OK: 'the same', NG: 'different', ERROR: 'not compared, an error', NONE: 'no result' };

export function showMirror(mirror, known) {
    $('mirror-key').hidden = $('mirror-days').hidden = !mirror;
    if (!mirror) {
        $('mirror-text').textContent = known ? 'No mirror is set up on this host.' : 'Not known yet.';
        $('mirror-text').className = 'empty';
        fill($('mirror-days'));
        return;
    }
    const reached = mirror.streak >= mirror.target;
    const matched = `matched ${plural(mirror.streak, 'day')} running`;
    $('mirror-text').className = 'state';
    fill($('mirror-text'), icon(reached ? 'ok' : mirror.enabled ? 'busy' : 'none'), h('span', {}, reached
        ? `The mirror ${matched}: it can be trusted.`
        : mirror.enabled ? `The mirror ${matched} of ${mirror.target} that are needed.`
            : `The mirror is turned off. It had ${matched} of ${mirror.target} that are needed.`));
    fill($('mirror-days'), mirror.days.map(({ day, result }) => h('li', { class: MARK[result] ?? 'none', title: `${isoDay(day)}: ${WORD[result] ?? result}` },
        icon(MARK[result] ?? 'none'),
        h('span', { class: 'number', 'aria-hidden': 'true' }, String(Number(day.slice(8)))),
        h('span', { class: 'heard' }, `${isoDay(day)}: ${WORD[result] ?? result}`))));
    const there = new Set(mirror.days.map((d) => d.result));
    fill($('mirror-key'), Object.keys(MARK).filter((r) => there.has(r))
        .map((r) => h('span', {}, icon(MARK[r]), WORD[r])));
}
