// Pairing: a six-digit code that the host's console shows, or a token pasted.

import { Problem, claims, pair, token } from '../api.js';
import { changed, device } from '../engine.js';
import { fill, h, icon } from '../dom.js';
import { events, moment, plural, sentence } from '../text.js';

const WHY = {
    none: 'This device is not paired with the host yet.',
    refused: 'The host does not know this device’s token. It may be a new host, or its key was changed.',
    forbidden: 'This device’s token does not allow backups: it takes one of role dr or admin.',
    asked: 'A new token takes the place of the one that this device has.',
};

export class Pairing {
    #code = h('input', {
        id: 'code', inputmode: 'numeric', autocomplete: 'one-time-code', pattern: '[0-9 ]{6,7}', maxlength: '7',
        required: true, size: '7', 'aria-describedby': 'code-help code-error', spellcheck: 'false',
    });
    #paste = h('textarea', { id: 'paste', rows: '3', spellcheck: 'false', autocomplete: 'off', 'aria-describedby': 'code-error' });
    #error = h('p', { id: 'code-error', class: 'error', role: 'alert' });
    #why = h('p');
    #title = h('h2', { id: 'pairing-title' });
    #send = h('button', { class: 'primary' }, 'Pair');
    #cancel = h('button', { type: 'button', hidden: true, onclick: () => this.close() }, 'Not now');
    element = h('section', { class: 'notice', id: 'pairing', 'aria-labelledby': 'pairing-title' },
        this.#title, this.#why,
        h('form', { onsubmit: (e) => this.#pairByCode(e) },
            h('label', { for: 'code' }, 'Six-digit code'),
            h('p', { class: 'row' }, this.#code, this.#send, this.#cancel),
            h('p', { id: 'code-help', class: 'hint' }, 'On the host, ', h('code', {}, 'lifeboat-token pair'),
                ' shows one. It is good for ten minutes and five tries.')),
        this.#error,
        h('details', {}, h('summary', {}, 'I have a token'),
            h('form', { onsubmit: (e) => this.#pairByToken(e) },
                h('label', { for: 'paste' }, 'Token'),
                this.#paste,
                h('p', { class: 'actions' }, h('button', {}, 'Use this token')))));

    asked = false; // by a person, though the token may be good

    close() {
        this.asked = false;
        changed();
    }

    update(engine, jwt) {
        const auth = engine.step === 'auth' ? engine.auth : 'asked';
        const waiting = engine.record && !engine.record.result ? engine.record.total - engine.record.sent : 0;
        this.#title.textContent = auth === 'expired' ? 'The token has expired' : waiting ? 'A new host: pair this device' : 'Pair this device';
        let why = WHY[auth];
        if (auth === 'expired') why = `This device’s token was valid until ${moment(jwt?.exp * 1000)}. Pair again to go on.`;
        if (waiting) why += ` ${events(waiting)} on this device wait to be restored to it.`;
        fill(this.#why, ['none', 'asked'].includes(auth) ? null : icon('warn'), h('span', {}, why));
        this.#cancel.hidden = auth !== 'asked';
    }

    focus() {
        this.#code.focus();
    }

    #say(text) {
        fill(this.#error, text ? [icon('bad'), h('span', {}, text)] : []);
        this.#code.toggleAttribute('aria-invalid', Boolean(text));
    }

    async #pairByCode(e) {
        e.preventDefault();
        const code = this.#code.value.replace(/\s/g, '');
        if (!/^[0-9]{6}$/.test(code)) return this.#say('The code has six digits.');
        this.#send.disabled = true;
        this.#say('');
        try {
            const answer = await pair(code, (await device()).name);
            await this.#use(answer.token);
        } catch (problem) {
            this.#say(pairError(problem));
            this.#code.select();
            this.#code.focus();
        } finally {
            this.#send.disabled = false;
        }
        return undefined;
    }

    async #pairByToken(e) {
        e.preventDefault();
        const jwt = this.#paste.value.trim();
        const said = claims(jwt);
        if (!said || jwt.split('.').length !== 3) return this.#say('This is not a token: it has three parts with dots between them.');
        if (said.exp * 1000 < Date.now()) return this.#say(`This token was valid until ${moment(said.exp * 1000)}.`);
        return this.#use(jwt);
    }

    async #use(jwt) {
        await token.set(jwt);
        this.#code.value = this.#paste.value = '';
        this.#say('');
        this.asked = false;
        changed();
    }
}

function pairError(e) {
    if (!(e instanceof Problem)) return `${sentence(e.message)} Try again.`;
    if (e.status === 403) {
        const tries = e.members.tries_left;
        if (tries === 0) return 'That code is wrong, and it was the last try. Let the host show a new one.';
        return `That code is wrong.${typeof tries === 'number' ? ` ${plural(tries, 'try is', 'tries are')} left.` : ''}`;
    }
    if (e.status === 410) return 'The host shows no code now, or its time is over. Let it show a new one.';
    return `The host answered: ${e.message}`;
}
