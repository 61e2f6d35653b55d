// Requests to the host, which is whoever answers at this page's own address.

import { getMeta, setMeta } from './idb.js';

/** The message of Unreachable when somebody else answers. */
export const NO_HOST = 'what answers here is not a lifeboat host';

/** Nobody answered, or somebody who is no lifeboat host. */
export class Unreachable extends Error {}

/** The host answered with an error (RFC 9457). */
export class Problem extends Error {
    constructor(status, members, retryAfter) {
        super(members.detail || members.title || `the host answered ${status}`);
        this.status = status;
        this.type = members.type;
        this.members = members;
        this.retryAfter = retryAfter; // ms, or null
    }
}

export const token = {
    get: () => getMeta('token'),
    set: (value) => setMeta('token', value),
};

/** What a token says of itself; it is the host that judges it. */
export function claims(jwt) {
    try {
        const part = jwt.split('.')[1].replace(/-/g, '+').replace(/_/g, '/');
        const bytes = Uint8Array.from(atob(part), (c) => c.charCodeAt(0));
        return JSON.parse(new TextDecoder().decode(bytes));
    } catch {
        return null;
    }
}

async function problem(response) {
    let members = {};
    try {
        members = await response.json();
    } catch {
        // Whoever stands in front of the host may answer in HTML.
    }
    const seconds = Number(response.headers.get('Retry-After') ?? NaN);
    return new Problem(response.status, members ?? {}, Number.isFinite(seconds) ? seconds * 1000 : null);
}

/** A response that is good, or an exception. `read` takes what is wanted from it,
    within `timeout` ms in all (0: no limit). */
export async function ask(path, read, { timeout = 30_000, auth = true, signal, headers = {}, ...init } = {}) {
    const jwt = auth ? await token.get() : null;
    const stop = new AbortController();
    const timer = timeout && setTimeout(() => stop.abort(), timeout);
    signal?.addEventListener('abort', () => stop.abort());
    try {
        const response = await fetch(path, {
            ...init,
            headers: { ...headers, ...(jwt ? { Authorization: `Bearer ${jwt}` } : {}) },
            signal: stop.signal,
            cache: 'no-store',
            credentials: 'omit',
            redirect: 'error',
        });
        if (!response.ok) throw await problem(response);
        return await read(response);
    } catch (e) {
        if (e instanceof Problem || e instanceof SyntaxError) throw e;
        throw new Unreachable(stop.signal.aborted ? 'the host did not answer in time' : 'the host cannot be reached');
    } finally {
        clearTimeout(timer);
    }
}

const json = (response) => response.json();
const post = (path, body, options) => ask(path, json, {
    method: 'POST', body, headers: { 'Content-Type': 'application/json' }, ...options,
});

/** Who is the host? Needs no token. */
export async function health() {
    let answer;
    try {
        answer = await ask('/api/health', json, { auth: false, timeout: 10_000 });
    } catch (e) {
        if (e instanceof SyntaxError) answer = null;
        else throw e;
    }
    if (typeof answer?.site_id !== 'string' || typeof answer.status !== 'string') {
        throw new Unreachable(NO_HOST);
    }
    return answer;
}

export const drHealth = () => ask('/api/dr/health', json);
export const stats = () => ask('/api/dr/stats', json);
export const recent = (n) => ask(`/api/events?order=desc&limit=${n}`, json);
export const exported = (after, limit) => ask(
    `/api/dr/export?format=jsonl&after=${encodeURIComponent(after)}&limit=${limit}`,
    async (r) => new Uint8Array(await r.arrayBuffer()), { timeout: 120_000 });
export const restorePart = (body) => post('/api/dr/restore', body, { timeout: 120_000 });
export const pair = (code, name) => post('/api/dr/pair', JSON.stringify({ code, device_name: name }), { auth: false });
