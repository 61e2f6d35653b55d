// Restoring: a host that lacks what this device holds gets all of it, in parts of
// one session. Any part may be sent again: the host knows ids.
//
// meta 'restore', the session under way, outlives a reload:
//   { session, from (site of the book), to: { site_id, store_id, device_id },
//     after (key of the last row sent), sent, total, began, aside: [ids], result }
// With a result it is over, and waits for a person to see what was refused.

import { NO_HOST, Problem, Unreachable, health, restorePart } from './api.js';
import { books, endRestore, rowsAfter } from './book.js';
import { setMeta } from './idb.js';
import { LIMITS, body, cut, uuidv7 } from './parts.js';

/** Another store answers now: what was begun for the old one is void. */
export class HostChanged extends Error {}

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 60_000;
const TURN_WAIT = 3000;
const FULL_WAIT = 60_000;
const TIMES = 3; // all is sent, without a pause between them

/** A session, not begun, that brings the book of site `from` to the host. */
export function session(from, host, total) {
    const { site_id, store_id, device_id } = host;
    return {
        session: uuidv7(), from, to: { site_id, store_id, device_id }, total,
        after: null, sent: 0, began: Date.now(), aside: [], again: 0, result: null,
    };
}

// Is the host the one that the session is for? A blank box has no store, and so no
// name, before the first part made one.
async function sameHost(record) {
    const host = await health();
    const fresh = record.to.store_id === null;
    if (host.site_id !== record.to.site_id || (host.store_id !== record.to.store_id && !fresh)) {
        throw new HostChanged('another host answers now');
    }
    if (fresh && host.store_id !== null) {
        record.to = { site_id: host.site_id, store_id: host.store_id, device_id: host.device_id };
    }
}

// What to do after a part failed: how long to wait and why, or null: it is final.
function pauseAfter(e, tries) {
    const jitter = (ms) => ms * (1 + Math.random() / 2);
    const backoff = jitter(Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (tries - 1)));
    if (e instanceof Unreachable) return { wait: backoff, why: e.message };
    if (!(e instanceof Problem)) return null;
    const asked = e.retryAfter;
    if (e.status === 409) return { wait: jitter(asked ?? TURN_WAIT), why: 'turn' };
    if (e.status === 507) return { wait: jitter(asked ?? FULL_WAIT), why: 'the host’s disk is full' };
    if (e.status === 429 || e.status >= 500) return { wait: asked ? jitter(asked) : backoff, why: e.message };
    return null;
}

const tooMuch = (e) => e instanceof Problem && [400, 413, 422].includes(e.status);

// Sends the part, again and again until the host has answered it.
async function deliver(part, record, { report, pause, mine }) {
    for (let tries = 1; ; tries++) {
        if (!await mine()) return null;
        try {
            if (tries > 1) await sameHost(record);
            const answer = await restorePart(part);
            if (typeof answer?.status !== 'string') throw new Unreachable(NO_HOST);
            return answer;
        } catch (e) {
            const next = pauseAfter(e, tries);
            if (!next) throw e;
            report({ ...progress(record), why: next.why, next: Date.now() + next.wait });
            await pause(next.wait);
        }
    }
}

const progress = (record) => ({ sent: record.sent, total: record.total, from: record.from, to: record.to });

/** Carries the session on to its end. The answer: 'done', 'partial', or null if it
    is another tab's turn now. */
export async function restore(record, device, tools) {
    const began = { at: Date.now(), sent: record.sent };
    let limits = LIMITS;
    for (;;) {
        const rows = await rowsAfter(record.from, record.after, limits.events + 1);
        const n = cut(rows, limits);
        const part = rows.slice(0, n);
        const more = n < rows.length;
        const spent = Date.now() - began.at;
        const done = record.sent - began.sent;
        tools.report({ ...progress(record), left: done ? spent / done * (record.total - record.sent) : null });
        const text = body({
            session: record.session, device: device.id, name: device.name, lines: part.map((r) => r.line), more,
        });
        let answer = null;
        try {
            answer = await deliver(text, record, tools);
            if (!answer) return null;
            limits = LIMITS;
        } catch (e) {
            if (!tooMuch(e) || !n) throw e;
            if (n > 1) { // one event that the host cannot read must not hold up the others
                limits = { events: Math.ceil(n / 2), bytes: LIMITS.bytes };
                continue;
            }
            record.aside.push(part[0].id);
            if (!more) {
                record.after = [part[0].site, part[0].id, part[0].variant];
                await setMeta('restore', record);
                continue; // an empty last part ends the session
            }
        }
        if (part.length) record.after = [part.at(-1).site, part.at(-1).id, part.at(-1).variant];
        if (answer) record.sent += part.length;
        if (record.to.store_id === null) await sameHost(record).catch((e) => { if (e instanceof HostChanged) throw e; });
        if (answer && !more) return finish(record, answer);
        await setMeta('restore', record);
    }
}

async function finish(record, answer) {
    // The host counts what came in this session without a break. Was there one,
    // then only all of it once more proves that nothing is missing.
    const ended = ['COMPLETED', 'PARTIAL'].includes(answer.status);
    if (!ended || answer.events_received < record.sent) {
        const again = record.again + 1;
        await setMeta('restore', { ...session(record.from, record.to, record.total), again });
        if (ended && again % TIMES) return 'again';
        throw new Error(ended ? `the host counted ${answer.events_received} of ${record.sent} events`
            : answer.message || `the host ended the restore as ${answer.status}`);
    }
    const result = {
        at: Date.now(), session: record.session, from: record.from, status: answer.status,
        received: answer.events_received, inserted: answer.events_inserted,
        present: answer.events_already_present, rejected: answer.events_rejected + record.aside.length,
        conflicts: answer.conflicts ?? 0, failed: answer.projections_failed ?? [], aside: record.aside,
        message: answer.message ?? '',
    };
    if (answer.status === 'COMPLETED' && !record.aside.length) {
        await endRestore(record.to.site_id, { known: known(record), cursor: null }, undefined, result);
        return 'done';
    }
    await endRestore(record.to.site_id, { cursor: null }, { ...record, result });
    return 'partial';
}

const known = ({ to }) => ({ store_id: to.store_id, device_id: to.device_id });

/** A person has seen what was refused: now the host is known. */
export async function seen(record) {
    await endRestore(record.to.site_id, { known: known(record) }, undefined, record.result);
}

/** The session to begin or to go on with, for a book. */
export async function begin(from, host) {
    const count = (await books())[from]?.count ?? 0;
    const record = session(from, host, count);
    await setMeta('restore', record);
    return record;
}
