// Backing up: what the host has and this device has not yet, in pages by cursor.

import { exported } from './api.js';
import { beginFill, prune, putPage } from './book.js';
import { BadSeal, openSealed } from './lines.js';

const PAGE = 2000;
const LARGE = 8_000_000; // bytes; pages larger than this are asked for in smaller ones
const TRIES = 3;

/** The newest 30 days do not fit on this device. */
export class NoRoom extends Error {
    constructor() {
        super('there is no room on this device');
    }
}

const isQuota = (e) => e?.name === 'QuotaExceededError';

async function keep(site, page, fill) {
    try {
        return await putPage(site, page.lines, page.to, fill);
    } catch (e) {
        if (!isQuota(e)) throw e;
    }
    try {
        if (!await prune(site, page.lines)) throw new NoRoom();
        return await putPage(site, page.lines, page.to, fill);
    } catch (e) {
        throw isQuota(e) ? new NoRoom() : e;
    }
}

async function read(after, limit) {
    for (let n = 1; ; n++) {
        const bytes = await exported(after, limit);
        try {
            return { ...await openSealed(bytes), bytes: bytes.length };
        } catch (e) {
            if (!(e instanceof BadSeal) || n === TRIES) throw e;
        }
    }
}

/** Reads all that is new, telling report(events read). A cursor that does not fit
    the store is the host's answer 409 of type /problems/cursor. */
export async function backUp(host, book, { report, mine }) {
    let { fill } = book;
    let cursor = book.cursor?.startsWith(`${host.store_id}:`) ? book.cursor : null;
    let limit = PAGE;
    let count = 0;

    if (!cursor) {
        await beginFill(book.site);
        fill++;
    }
    for (;;) {
        const page = await read(cursor ?? 'start', limit);
        if (!await mine()) return count;
        await keep(book.site, page, fill);
        cursor = page.to;
        count += page.count;
        report(count);
        if (page.count < limit) return count;
        if (page.bytes > LARGE) limit = Math.max(50, Math.floor(limit / 2));
    }
}
