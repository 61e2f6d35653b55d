// What needs attention, above everything else. Each notice is made once and then
// only changed, so that it keeps its focus and is not read out again.

import { NO_HOST } from '../api.js';
import { confirmSeen, choose, dismissRestored, kick } from '../engine.js';
import { $, fill, h, icon } from '../dom.js';
import { ago, count, day, events, moment, plural, sentence, span } from '../text.js';

const heading = (name, text) => [icon(name), h('span', {}, text)];

class Notice {
    constructor(id, mark, title, ...rest) {
        this.title = h('h2', { id: `${id}-title` }, ...heading(mark, title));
        this.text = h('p');
        this.element = h('section', { class: 'notice', id, 'aria-labelledby': `${id}-title` }, this.title, this.text, rest);
    }

    say(mark, title, ...text) {
        fill(this.title, heading(mark, title));
        fill(this.text, text);
    }
}

const button = (text, onclick, kind = '') => h('button', { type: 'button', onclick, class: kind }, text);

class Offline extends Notice {
    constructor() {
        super('offline', 'off', 'The host does not answer', h('p', { class: 'actions' }, button('Try now', kick)));
    }

    wanted({ engine }) { return engine.step === 'offline'; }

    update({ engine, book, lastSeen }) {
        const kept = book?.count ? ` ${events(book.count)} are safe on this device.` : '';
        const other = engine.error === NO_HOST ? 'What answers here is no host' : 'The host does not answer';
        this.say('off', navigator.onLine ? other : 'This device is offline',
            `${lastSeen ? `It was last heard ${ago(lastSeen)}; what you see is from then.` : 'It has not been heard yet.'}${kept} `,
            'This page tries again by itself.');
    }
}

class Restoring extends Notice {
    #bar = h('progress', { max: '1', 'aria-labelledby': 'restoring-title' });
    #now = button('Try now', kick);
    #heard = h('p', { class: 'heard', role: 'status' });

    constructor() {
        super('restoring', 'busy', 'Restoring the host');
        this.element.append(this.#bar, this.#heard, h('p', { class: 'actions' }, this.#now));
    }

    wanted({ engine }) { return engine.step === 'restore' && engine.restore; }

    update({ engine }) {
        const { sent, total, left, why, next, to, from } = engine.restore;
        const share = total ? sent / total : 0;
        const percent = `${Math.floor(share * 100)} %`;
        const name = to.device_id ? `“${to.device_id}”` : 'a blank box';
        let text = `${count(sent)} of ${events(total)}, ${percent}`;
        if (why === 'turn') text += '. Another device is restoring first; this one waits for its turn';
        else if (why) text += `. It waits: ${why}`;
        else if (left) text += `, about ${span(left)} left`;
        if (next) text += `, and tries again in ${span(Math.max(1000, next - Date.now()))}`;
        this.#bar.value = share;
        this.#now.parentNode.hidden = !why;
        this.say(why ? 'warn' : 'busy', why === 'turn' ? 'Waiting to restore the host' : 'Restoring the host',
            `A host that lacks this device’s backup answers here: ${name}${from === to.site_id ? '' : `, of site “${to.site_id}”`}. ${text}.`);
        const said = why ? `Waiting, ${percent} restored` : `Restoring, ${Math.floor(share * 10) * 10} %`;
        if (this.#heard.textContent !== said) this.#heard.textContent = said;
    }
}

class Partial extends Notice {
    #list = h('ul');

    constructor() {
        super('partial', 'warn', 'Restored, but not all of it');
        this.element.append(this.#list, h('p', { class: 'actions' }, button('I have seen this', confirmSeen, 'primary')));
    }

    wanted({ engine }) { return engine.record?.result && ['partial', 'backup', 'idle'].includes(engine.step); }

    update({ engine }) {
        const r = engine.record.result;
        const refused = r.rejected - r.conflicts - r.aside.length;
        const failed = Array.isArray(r.failed) ? r.failed.length : r.failed;
        this.say('warn', r.rejected ? `Restored, but ${events(r.rejected)} ${r.rejected === 1 ? 'was' : 'were'} refused` : 'Restored, but not all of it',
            `Of ${events(r.received + r.aside.length)} the host took ${count(r.inserted)} and had ${count(r.present)}. Nothing was deleted on this device.`);
        fill(this.#list,
            r.conflicts ? h('li', {}, `${events(r.conflicts)}: the host has another version of the same id. It keeps both; `,
                h('code', {}, 'evstore-export --conflicts'), ' shows them there.') : null,
            refused > 0 ? h('li', {}, `${events(refused)}: the host did not accept what is in them.`) : null,
            r.aside.length ? h('li', {}, `${events(r.aside.length)}: the host could not read the request. Ids: ${r.aside.slice(0, 5).join(', ')}${r.aside.length > 5 ? '…' : ''}`) : null,
            failed ? h('li', {}, `${plural(failed, 'projection')} could not be rebuilt on the host.`) : null,
            r.message ? h('li', {}, `The host says: ${r.message}`) : null);
    }
}

class Restored extends Notice {
    constructor() {
        super('restored', 'ok', 'The host is restored', h('p', { class: 'actions' }, button('Close', dismissRestored)));
    }

    wanted({ engine }) { return engine.restored?.status === 'COMPLETED' && !['restore', 'auth'].includes(engine.step); }

    update({ engine }) {
        const r = engine.restored;
        this.say('ok', 'The host is restored',
            `${moment(r.at)}: ${events(r.received)} were sent. The host took ${count(r.inserted)} and had ${count(r.present)}.`);
    }
}

// A host of another site: nothing is done before a person has said what.
class OtherSite extends Notice {
    #choices = h('div', { class: 'choices' });

    constructor() {
        super('other-site', 'warn', 'Another site answers here');
        this.element.append(this.#choices);
    }

    wanted({ engine }) { return ['ask', 'left'].includes(engine.step); }

    update({ engine }) {
        const { host, others } = engine;
        const left = engine.step === 'left';
        const answer = (what, from) => () => choose(engine.host, what, from);
        this.say(left ? 'none' : 'warn', left ? 'This host is left alone' : 'Another site answers here',
            `The host ${host.device_id ? `“${host.device_id}”` : ''} belongs to site “${host.site_id}”. This device holds the backup of ${
                others.map((b) => `“${b.site}” (${events(b.count)})`).join(' and ')}. `,
            left ? 'Nothing is sent to it or read from it for the backup.' : 'Nothing happens until you choose.');
        const choice = (text, help, what, from) => h('div', {},
            button(text, answer(what, from)), h('p', { class: 'hint' }, help));
        fill(this.#choices,
            choice('It is a different site: keep both', 'This device also backs up this host, apart from the other backup. Nothing is sent to it.', 'both'),
            left ? null : choice('Leave it alone', 'Nothing is sent to it, and it is not backed up.', 'leave'),
            others.map((b) => choice(`Restore “${b.site}” into it`,
                `The ${events(b.count)} of “${b.site}” are sent to this host. This cannot be taken back.`, 'restore', b.site)));
    }
}

class NoRoom extends Notice {
    constructor() {
        super('no-room', 'bad', 'No room for the backup', h('p', { class: 'actions' }, button('Try again', kick)));
    }

    wanted({ engine }) { return engine.full; }

    update({ book }) {
        this.say('bad', 'No room for the backup',
            `Not even the newest 30 days fit on this device. What is kept stays: ${events(book?.count ?? 0)}${
                book?.count ? ` from ${day(book.oldest)} to ${day(book.newest)}` : ''}. Make room, or save the backup as a file.`);
    }
}

class Failed extends Notice {
    constructor() {
        super('failed', 'bad', 'Something went wrong', h('p', { class: 'actions' }, button('Try again', kick)));
    }

    wanted({ engine }) { return engine.step === 'error'; }

    update({ engine }) {
        this.say('bad', engine.record && !engine.record.result ? 'The restore does not go on' : 'The backup does not go on',
            `${sentence(engine.error)} What is on this device is safe; it tries again by itself.`);
    }
}

class Expiring extends Notice {
    constructor(pairing) {
        super('expiring', 'warn', 'The token ends soon', h('p', { class: 'actions' }, button('Pair again', pairing)));
    }

    wanted({ token, engine }) {
        return engine.step !== 'auth' && token?.exp && token.exp * 1000 - Date.now() < 7 * 86_400_000;
    }

    update({ token }) {
        this.say('warn', 'This device’s token ends soon', `It is valid until ${moment(token.exp * 1000)}. Without one nothing is backed up.`);
    }
}

class Update extends Notice {
    constructor(agree) {
        super('update', 'none', 'A new version of this page', h('p', { class: 'actions' }, button('Reload', agree, 'primary')));
    }

    wanted({ worker }) { return worker === 'waiting'; }

    update() {
        this.say('none', 'A new version of this page is here', 'It takes the place of this one when the page is loaded again.');
    }
}

/** The notices, the most pressing first. pairing: the Pairing; agree: what takes
    the new version; pairAgain: shows the pairing. */
export function makeNotices({ pairing, agree, pairAgain }) {
    pairing.wanted = ({ engine }) => engine.step === 'auth' || pairing.asked;
    const all = [pairing, new OtherSite(), new Restoring(), new Partial(), new NoRoom(), new Failed(),
        new Offline(), new Restored(), new Expiring(pairAgain), new Update(agree)];
    return (view) => {
        const where = $('notices');
        let before = where.firstChild;
        for (const notice of all) {
            if (!notice.wanted(view)) {
                if (notice.element === before) before = before.nextSibling;
                notice.element.remove();
                continue;
            }
            if (notice === pairing) notice.update(view.engine, view.token);
            else notice.update(view);
            if (notice.element === before) before = before.nextSibling;
            else where.insertBefore(notice.element, before);
        }
    };
}
