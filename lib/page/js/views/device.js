// The backup that this device holds, and what this browser lets it do.

import { $, fill, h, icon, state, term } from '../dom.js';
import { ago, count, day, events, moment, range, sentence, size } from '../text.js';

/** view: { engine, book | null, token claims | null, storage: { persisted, usage, quota } | null, secure, worker } */
export function showDevice({ engine, book, token, storage, secure, worker }) {
    fill($('device-figures'),
        term('Events kept', count(book?.count ?? 0)),
        term('Last backup', book?.at ? ago(book.at) : 'never'));
    showState(engine, book);
    left(engine, book);
    $('backup-now').disabled = !['idle', 'partial', 'offline', 'error', 'empty'].includes(engine.step);
    $('save-file').disabled = !book?.count;
    fill($('device-facts'),
        book?.count ? term('Events of', range(book.oldest, book.newest)) : null,
        book?.at ? term('Last read', moment(book.at)) : null,
        book?.count && book.known ? term('Known host', book.known.device_id ?? book.known.store_id) : null,
        storage?.usage ? term('Space', `${size(storage.usage)} of ${size(storage.quota)}`) : null);
    fill($('device-notes'), notes(engine, storage, secure, worker).map((text) => h('li', {}, text)));
    fill($('token-text'), tokenText(token));
    $('forget').disabled = !token;
}

function showState(engine, book) {
    const where = $('device-state');
    if (engine.full) return state(where, 'bad', 'The backup does not go on: there is no room.');
    switch (engine.step) {
    case 'start': return state(where, 'busy', 'Looking for the host…');
    case 'backup':
        return state(where, 'busy', engine.backup?.count ? `Backing up: ${events(engine.backup.count)} read…` : 'Looking for new events…');
    case 'restore': return state(where, 'busy', 'Restoring the host comes first.');
    case 'idle':
    case 'partial': return state(where, 'ok', 'Up to date. It looks for new events every 5 minutes.');
    case 'empty': return state(where, 'none', 'The host has no store yet: there is nothing to back up.');
    case 'ask':
    case 'left': return state(where, 'none', 'This host is not backed up on this device.');
    case 'auth': return state(where, 'warn', 'Paused until this device is paired.');
    case 'error': return state(where, 'bad', `The last try failed. ${sentence(engine.error)}`);
    default: return state(where, 'off', book?.count ? 'Safe on this device. It goes on when the host answers.' : 'It begins when the host answers.');
    }
}

function left(engine, book) {
    const out = book?.left_out;
    $('device-left').hidden = !out;
    if (out) {
        fill($('device-left'), icon('warn'), h('span', {},
            `Short of space, it keeps the newest 30 days: ${events(out.count)} from before ${day(out.until)} ${
                out.count === 1 ? 'is' : 'are'} left out.`));
    }
}

function notes(engine, storage, secure, worker) {
    const found = [];
    if (!secure) {
        found.push('This address is not a secure one (https), so the browser does not let the page open without the host, ' +
            'and may delete the backup when space is short. Save it as a file now and then.');
    } else {
        if (storage && !storage.persisted) found.push('The browser may delete this backup when space is short. Installing the page (Add to Home Screen) prevents that.');
        if (worker === 'none') found.push('The browser does not let the page open without the host.');
        if (worker === 'ready') found.push('The page also opens when the host is gone.');
    }
    if (!engine.mine) found.push('Another tab of this page does the backing up.');
    return found;
}

function tokenText(token) {
    if (!token) return 'No token: the host is asked without one.';
    const until = token.exp ? `valid until ${moment(token.exp * 1000)}` : 'without an end';
    return `Paired as ${token.user_id ?? 'unknown'} (${token.role ?? 'no role'}), ${until}.`;
}
