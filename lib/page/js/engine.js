// What this device does by itself: it asks who the host is, restores a new one,
// backs up a known one. One tab does so; the others show what it tells them.

import { Problem, Unreachable, claims, health, token } from './api.js';
import { NoRoom, backUp } from './backup.js';
import { books, changeBook } from './book.js';
import { getMeta, setMeta } from './idb.js';
import { HostChanged, begin, restore, seen } from './restore.js';
import { stillMyTurn, waitForTurn } from './turn.js';

const EVERY = 5 * 60_000;
const SOON = 5000;
const LATEST = 60_000;

/** What the views show of it. `step` is what is being done:
      start, idle, offline, auth, ask, left, empty, backup, restore, partial, error
    and the other members are what there is to say about it. */
export const engine = {
    step: 'start', mine: false, host: null, at: null, error: null, auth: null,
    backup: null, restore: null, record: null, restored: null, others: [], full: false,
};

const channel = new BroadcastChannel('lifeboat');
let tell = () => {};
let kicked = null; // wakes whoever waits
let running = false;
let again = false;
let failures = 0;

function set(change) {
    Object.assign(engine, change);
    tell();
    if (engine.mine) channel.postMessage({ engine: { ...engine, mine: false } });
}

function sleep(ms) {
    return new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        kicked = () => { clearTimeout(timer); resolve(); };
    }).finally(() => { kicked = null; });
}

const tools = {
    mine: async () => engine.mine && stillMyTurn(),
    pause: sleep,
    report: (state) => set({ step: 'restore', restore: { next: null, why: null, left: null, ...state } }),
};

/** Looks again, now, whoever's turn it is. */
export function kick() {
    if (!engine.mine) return channel.postMessage({ kick: true });
    if (kicked) kicked();
    else if (running) again = true;
    else run();
    return undefined;
}

async function run() {
    running = true;
    do {
        again = false;
        const wait = engine.mine ? await cycle() : null;
        if (!engine.mine) break;
        if (!again) await sleep(wait);
    } while (engine.mine);
    running = false;
}

const sameStore = (a, b) => a.site_id === b.site_id && a.store_id === b.store_id;

// One look at the host, and all that follows from it. How long until the next.
async function cycle() {
    try {
        const host = await health();
        set({ host, at: Date.now() });
        const wait = await follow(host);
        failures = 0;
        return wait;
    } catch (e) {
        return failed(e);
    }
}

function failed(e) {
    if (e instanceof HostChanged) return 0;
    failures++;
    const soon = Math.min(LATEST, SOON * 2 ** (failures - 1));
    if (e instanceof Unreachable) {
        set({ step: 'offline', error: e.message });
        return soon;
    }
    if (e instanceof NoRoom) {
        failures = 0;
        set({ step: 'idle', full: true });
        return EVERY;
    }
    if (e instanceof Problem && (e.status === 401 || e.status === 403)) {
        return authFailed(e);
    }
    if (!(e instanceof Problem)) console.warn(e);
    set({ step: 'error', error: e.message });
    return e.retryAfter ?? soon;
}

async function authFailed(e) {
    const jwt = await token.get();
    const exp = claims(jwt ?? '')?.exp;
    let auth = 'refused';
    if (!jwt) auth = 'none';
    else if (e.status === 403) auth = 'forbidden';
    else if (exp * 1000 < Date.now()) auth = 'expired';
    failures = 0;
    set({ step: 'auth', auth, error: e.message });
    return EVERY;
}

async function follow(host) {
    const all = await books();
    const record = await getMeta('restore');
    const choice = (await getMeta('choices'))?.[`${host.site_id} ${host.store_id}`];
    const book = all[host.site_id];
    const others = Object.values(all).filter((b) => b.site !== host.site_id && b.count);

    set({ record: record ?? null, restored: await getMeta('restored') ?? null, others });
    if (record && sameStore(record.to, host)) {
        if (!record.result) return carryOn(record);
        return keepUp(host, book);
    }
    if (record && !record.result && record.to.site_id === host.site_id && record.from !== host.site_id) {
        // Of another site, a person said: restore into this one. It was replaced again.
        return carryOn(await begin(record.from, host));
    }
    if (!book && others.length && choice !== 'both') {
        set({ step: choice === 'leave' ? 'left' : 'ask' });
        return EVERY;
    }
    if (host.store_id === null && !book?.count) {
        set({ step: 'empty' });
        return LATEST;
    }
    if (book?.count && book.known?.store_id !== host.store_id) return carryOn(await begin(host.site_id, host));
    if (!book || book.known?.store_id !== host.store_id || book.known?.device_id !== host.device_id) {
        await changeBook(host.site_id, () => ({ known: { store_id: host.store_id, device_id: host.device_id } }));
    }
    return keepUp(host, (await books())[host.site_id]);
}

async function carryOn(record) {
    set({ record });
    tools.report({ sent: record.sent, total: record.total, from: record.from, to: record.to });
    const end = await restore(record, await device(), tools);
    if (end) set({ restored: await getMeta('restored') ?? null, restore: null, record: await getMeta('restore') ?? null });
    return 0;
}

async function keepUp(host, book) {
    set({ step: 'backup', backup: { count: 0 }, auth: null });
    try {
        await backUp(host, book ?? { site: host.site_id, fill: 0, cursor: null }, {
            mine: tools.mine, report: (count) => set({ backup: { count } }),
        });
    } catch (e) {
        // The same store, but not what it was: put back to an older copy, or emptied.
        if (e instanceof Problem && e.status === 409 && e.type === '/problems/cursor' && book?.cursor) {
            if (book.count) return carryOn(await begin(host.site_id, host));
            await changeBook(host.site_id, () => ({ cursor: null }));
            return 0;
        }
        throw e;
    }
    const record = await getMeta('restore');
    set({ step: record?.result ? 'partial' : 'idle', error: null, full: false, backup: null, record: record ?? null });
    return EVERY;
}

/** Who this device is to hosts: { id, name }. */
export async function device() {
    const had = await getMeta('device');
    if (had) return had;
    const id = Array.from(crypto.getRandomValues(new Uint8Array(4)), (x) => x.toString(16).padStart(2, '0')).join('');
    const made = { id: `tablet-${id}`, name: `Tablet ${id.slice(0, 4)}` };
    await setMeta('device', made);
    return made;
}

/** What was refused has been seen: the host is known from now on. */
export async function confirmSeen() {
    const record = await getMeta('restore');
    if (record?.result) await seen(record);
    changed();
}

export async function dismissRestored() {
    await setMeta('restored', undefined);
    changed();
}

/** A person's answer about a host of another site: leave, both, or the site whose
    book is to be restored into it. */
export async function choose(host, answer, from) {
    const choices = (await getMeta('choices')) ?? {};
    const name = `${host.site_id} ${host.store_id}`;
    await setMeta('choices', { ...choices, [name]: answer === 'restore' ? 'both' : answer });
    if (answer === 'restore') await begin(from, host);
    changed();
}

/** Something that the engine reads was changed, in whichever tab. */
export function changed() {
    channel.postMessage({ changed: true });
    kick();
    tell();
}

/** Begins; notify() is called whenever `engine` has changed. */
export function start(notify) {
    tell = notify;
    channel.onmessage = ({ data }) => {
        if (data.kick && engine.mine) kick();
        if (data.hello && engine.mine) set({});
        if (data.engine && !engine.mine) {
            Object.assign(engine, data.engine);
            notify();
        }
        if (data.changed) notify(true);
    };
    channel.postMessage({ hello: true });
    waitForTurn((mine) => {
        set({ mine });
        if (mine && !running) run();
    });
}
