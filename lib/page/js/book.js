// The backup on this device: one book for each site, its lines in `events`, and
// what is known of it in meta 'book/SITE':
//   { site, known: { store_id, device_id } | null, cursor, at, fill, left_out: { count, until } | null }
// `known` is the host that is known to hold all of it, `cursor` where reading goes
// on (it names its store), `fill` the number of times that a store was begun to be read.

import { done, transact } from './idb.js';
import { core, eventId, eventTime } from './lines.js';

const KEEP_MS = 30 * 24 * 3600 * 1000;
const whole = (site) => IDBKeyRange.bound([site], [site, []]);
const encoder = new TextEncoder();

/** All books, { SITE: book }, each with its count, oldest and newest. */
export function books() {
    return transact(['meta', 'events'], 'readonly', async (tx) => {
        const meta = tx.objectStore('meta');
        const found = await done(meta.getAll(IDBKeyRange.bound('book/', 'book0', false, true)));
        const events = tx.objectStore('events');
        const ends = (site, way) => done(events.index('time').openKeyCursor(whole(site), way))
            .then((c) => (c ? c.key[1] : null));
        const all = {};
        await Promise.all(found.map(async (book) => {
            const [count, oldest, newest] = await Promise.all([
                done(events.count(whole(book.site))), ends(book.site, 'next'), ends(book.site, 'prev')]);
            all[book.site] = { ...book, count, oldest, newest };
        }));
        return all;
    });
}

// Changes a book inside a transaction; without one, with a new one.
function changeIn(tx, site, change) {
    const meta = tx.objectStore('meta');
    return done(meta.get(`book/${site}`)).then((book) => {
        const old = book ?? { site, known: null, cursor: null, at: null, fill: 0, left_out: null };
        return done(meta.put({ ...old, ...change(old) }, `book/${site}`));
    });
}

export function changeBook(site, change) {
    return transact(['meta'], 'readwrite', (tx) => changeIn(tx, site, change));
}

/** Stores lines and the cursor behind them in one transaction; a line's older copy
    gives way, but never an event of the same id and other content: it is kept beside.
    Lines from before `left_out.until` are left out, and counted. */
export function putPage(site, lines, cursor, fill) {
    const rows = lines.map((line) => ({
        site, id: eventId(line), variant: 0, time: eventTime(line), bytes: encoder.encode(line).length, fill, line,
    }));
    return transact(['meta', 'events'], 'readwrite', (tx, fail) => {
        const events = tx.objectStore('events');
        const attempt = (work) => {
            try {
                work();
            } catch (e) {
                fail(e); // put() throws at once where the space is known to be gone
            }
        };
        const put = (row) => attempt(() => {
            const request = events.put(row);
            request.onerror = () => fail(request.error);
        });
        const putBeside = (row, old) => {
            const all = events.getAll(IDBKeyRange.bound([row.site, row.id], [row.site, row.id, []]));
            all.onsuccess = () => {
                const content = core(old.line);
                if (!all.result.some((r) => r.variant && core(r.line) === content)) {
                    put({ ...old, variant: all.result.at(-1).variant + 1 });
                }
                put(row);
            };
        };
        return changeIn(tx, site, (book) => {
            const until = book.left_out?.until ?? -Infinity;
            let left = 0;
            for (const row of rows) {
                if (row.time < until) {
                    left++;
                    continue;
                }
                const had = events.get([site, row.id, 0]);
                had.onsuccess = () => {
                    if (had.result && core(had.result.line) !== core(row.line)) putBeside(row, had.result);
                    else put(row);
                };
            }
            const more = left ? { left_out: { ...book.left_out, count: book.left_out.count + left } } : {};
            return { cursor, at: Date.now(), ...more };
        });
    });
}

/** Begins to read a store from its beginning: the lines stay, what is left out is
    counted anew. */
export function beginFill(site) {
    return changeBook(site, (book) => ({
        cursor: null, fill: book.fill + 1, left_out: book.left_out && { ...book.left_out, count: 0 },
    }));
}

/** Makes room: keeps the newest 30 days of what is here and of `coming` (lines).
    False if nothing was older. A clock that is wrong, this device's or that of one
    event, does not make all the rest old. */
export function prune(site, coming, now = Date.now()) {
    const times = coming.map(eventTime);
    return transact(['meta', 'events'], 'readwrite', async (tx) => {
        const events = tx.objectStore('events');
        const index = events.index('time');
        const last = await done(index.openKeyCursor(whole(site), 'prev'));
        const newest = times.reduce((a, b) => Math.max(a, b), last ? last.key[1] : 0);
        const until = Math.min(now, newest) - KEEP_MS;
        const old = IDBKeyRange.bound([site], [site, until], false, true);
        const went = await done(index.count(old));
        if (!went && !times.some((t) => t < until)) return false;
        const { fill } = await done(tx.objectStore('meta').get(`book/${site}`));
        const counted = await new Promise((resolve, reject) => {
            const walk = index.openCursor(old);
            let n = 0;
            walk.onerror = () => reject(walk.error);
            walk.onsuccess = () => {
                const at = walk.result;
                if (!at) return resolve(n);
                if (at.value.fill === fill) n++; // others count when they are read again
                at.delete();
                at.continue();
            };
        });
        return changeIn(tx, site, (book) => ({
            left_out: {
                count: (book.left_out?.count ?? 0) + counted,
                until: Math.max(until, book.left_out?.until ?? until),
            },
        })).then(() => true);
    });
}

/** Up to n rows of the book behind the key `after` (null: from its beginning). */
export function rowsAfter(site, after, n) {
    const range = after ? IDBKeyRange.bound(after, [site, []], true) : whole(site);
    return transact(['events'], 'readonly', (tx) => done(tx.objectStore('events').getAll(range, n)));
}

/** The newest n lines of the book. */
export function newestLines(site, n) {
    return transact(['events'], 'readonly', (tx) => new Promise((resolve, reject) => {
        const lines = [];
        const walk = tx.objectStore('events').index('time').openCursor(whole(site), 'prev');
        walk.onerror = () => reject(walk.error);
        walk.onsuccess = () => {
            if (!walk.result || lines.length === n) return resolve(lines);
            lines.push(walk.result.value.line);
            walk.result.continue();
        };
    }));
}

export function removeBook(site) {
    return transact(['meta', 'events'], 'readwrite', (tx) => {
        tx.objectStore('events').delete(whole(site));
        tx.objectStore('meta').delete(`book/${site}`);
    });
}

/** The end of a restore, in one transaction: what is known of the host, the session
    (undefined: it is done with) and what this device remembers of it. */
export function endRestore(site, change, record, outcome) {
    return transact(['meta'], 'readwrite', (tx) => {
        const meta = tx.objectStore('meta');
        if (record) meta.put(record, 'restore');
        else meta.delete('restore');
        if (outcome) meta.put(outcome, 'restored');
        return changeIn(tx, site, () => change);
    });
}
