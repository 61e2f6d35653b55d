// Server-sent events by fetch, for EventSource cannot send Authorization.

import { Problem, ask } from './api.js';

const QUIET = 45_000; // the host sends a heartbeat every 5 s

/** Turns the text of a stream, as it comes, into its messages { event, data, id }. */
export class Messages {
    #rest = '';
    #data = [];
    #event = '';
    id = '';
    retry = null;

    feed(text) {
        const found = [];
        const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
        this.#rest = lines.pop();
        for (const line of lines) this.#take(line, found);
        return found;
    }

    #take(line, found) {
        if (line === '') {
            if (this.#data.length) found.push({ event: this.#event || 'message', data: this.#data.join('\n'), id: this.id });
            this.#data = [];
            this.#event = '';
            return;
        }
        const colon = line.indexOf(':');
        if (colon === 0) return;
        const field = colon < 0 ? line : line.slice(0, colon);
        const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
        if (field === 'data') this.#data.push(value);
        else if (field === 'event') this.#event = value;
        else if (field === 'id' && !value.includes('\0')) this.id = value;
        else if (field === 'retry' && /^\d+$/.test(value)) this.retry = Number(value);
    }
}

/** Follows the host's events until stop() of what it answers: onMessage for each,
    onState('open' | 'lost'). A connection that breaks is made again, from the last
    id on, after a pause that grows. */
export function follow({ onMessage, onState }) {
    let stopped = false;
    let abort = new AbortController();
    let last = '';
    let wake = () => {};

    async function once() {
        const messages = new Messages();
        messages.id = last;
        abort = new AbortController();
        let quiet;
        const heard = () => {
            clearTimeout(quiet);
            quiet = setTimeout(() => abort.abort(), QUIET);
        };
        heard();
        try {
            await ask('/api/events/stream', async (response) => {
                onState('open');
                const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
                for (;;) {
                    const { value, done } = await reader.read();
                    if (done) return;
                    heard();
                    for (const m of messages.feed(value)) onMessage(m);
                    last = messages.id;
                }
            }, { timeout: 0, signal: abort.signal, headers: last ? { 'Last-Event-ID': last } : {} });
        } finally {
            clearTimeout(quiet);
            last = messages.id;
        }
        return messages.retry;
    }

    (async () => {
        for (let failures = 0; !stopped;) {
            const began = Date.now();
            try {
                await once();
            } catch (e) {
                // Who may not read need not try often.
                if (e instanceof Problem && (e.status === 401 || e.status === 403)) failures = 6;
            }
            if (stopped) return;
            onState('lost');
            failures = Date.now() - began > QUIET ? 1 : failures + 1;
            const wait = Math.min(60_000, 1000 * 2 ** (failures - 1)) * (0.75 + Math.random() / 2);
            await new Promise((resolve) => {
                wake = resolve;
                setTimeout(resolve, wait);
            });
        }
    })();
    return {
        stop() { stopped = true; abort.abort(); wake(); },
        retry() { wake(); },
    };
}
