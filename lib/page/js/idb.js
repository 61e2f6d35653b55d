// IndexedDB with promises, and the two object stores of the page:
//   events  the backup: { site, id, variant, time, bytes, fill, line }
//   meta    everything else, by name

let database;

function open() {
    return new Promise((resolve, reject) => {
        const request = indexedDB.open('lifeboat', 1);
        request.onupgradeneeded = () => {
            const events = request.result.createObjectStore('events', { keyPath: ['site', 'id', 'variant'] });
            events.createIndex('time', ['site', 'time']);
            request.result.createObjectStore('meta');
        };
        request.onsuccess = () => {
            const db = request.result;
            db.onclose = () => { database = undefined; };
            db.onversionchange = () => { db.close(); database = undefined; };
            resolve(db);
        };
        request.onerror = () => reject(request.error);
        request.onblocked = () => reject(new Error('another tab holds the backup open in an older form'));
    });
}

/** Runs work(transaction) in one transaction over all stores named, and answers
    what it answered (or its promise) once the transaction is committed. Nothing
    else may be awaited inside. */
export async function transact(stores, mode, work) {
    database ??= open();
    let db;
    try {
        db = await database;
    } catch (e) {
        database = undefined;
        throw e;
    }
    return new Promise((resolve, reject) => {
        const tx = db.transaction(stores, mode);
        let answer;
        let failure;
        const fail = (e) => {
            // When the browser ends the transaction, requests hear of that before the reason is known.
            if (e?.name !== 'AbortError') failure ??= e;
            try {
                tx.abort();
            } catch {
                // It had ended by itself.
            }
        };
        tx.oncomplete = () => Promise.resolve(answer).then(resolve, reject);
        tx.onabort = () => reject(failure ?? tx.error ?? new DOMException('the transaction was aborted', 'AbortError'));
        try {
            answer = work(tx, fail);
            Promise.resolve(answer).catch(fail);
        } catch (e) {
            fail(e);
        }
    });
}

/** The promise of a request's result. */
export function done(request) {
    return new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
    });
}

export function getMeta(name) {
    return transact(['meta'], 'readonly', (tx) => done(tx.objectStore('meta').get(name)));
}

export function setMeta(name, value) {
    return transact(['meta'], 'readwrite', (tx) => {
        const meta = tx.objectStore('meta');
        return done(value === undefined ? meta.delete(name) : meta.put(value, name));
    });
}
