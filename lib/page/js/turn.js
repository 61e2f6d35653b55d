// Of all tabs of this page one does the backing up and restoring. Which one, is
// settled by a lock where the browser has locks (in secure contexts), else by a
// lease in IndexedDB.

import { done, setMeta, transact } from './idb.js';

const RENEW_MS = 2000;
const LEASE_MS = 8000;
const me = Array.from(crypto.getRandomValues(new Uint8Array(8)), (x) => x.toString(16)).join('');

function takeLease() {
    return transact(['meta'], 'readwrite', async (tx) => {
        const meta = tx.objectStore('meta');
        const lease = await done(meta.get('lease'));
        const now = Date.now();
        // One that ends far ahead is from before the clock was set back.
        const held = lease && lease.owner !== me && lease.until > now && lease.until < now + 2 * LEASE_MS;
        if (!held) meta.put({ owner: me, until: now + LEASE_MS }, 'lease');
        return !held;
    });
}

/** Calls change(true) when the turn is this tab's, change(false) when it has lost it. */
export function waitForTurn(change) {
    if (navigator.locks) {
        navigator.locks.request('lifeboat', () => {
            change(true);
            return new Promise(() => {}); // until the tab is closed
        });
        return;
    }
    let mine = false;
    const look = async () => {
        const now = await takeLease().catch(() => false);
        if (now !== mine) {
            mine = now;
            change(mine);
        }
    };
    look();
    setInterval(look, RENEW_MS);
    addEventListener('pagehide', () => { if (mine) setMeta('lease', undefined); });
}

/** Is it still this tab's turn? A tab that slept may have lost it. */
export const stillMyTurn = () => (navigator.locks ? Promise.resolve(true) : takeLease().catch(() => false));
