// The page in Chromium against a host that misbehaves (standin.py).

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
    INSECURE, PAGE, Standin, browser, connection, count, device, digest, isState, kept, makeEvents, noFaults, setToken,
    sha256, telling, upToDate, wake,
} from './browser.mjs';
import { runAll, test, until } from './tap.mjs';

const host = await Standin.start();
const NEW = { store_id: 'b'.repeat(16), device_id: 'pi-0002', key: 'second' };

// Before the first page writes anything: the browser remembers for a while what room there was.
async function limit(context, quotaSize) {
    context.cdp = await context.newCDPSession(await context.newPage());
    await context.cdp.send('Storage.overrideQuotaForOrigin', { origin: new URL(host.url).origin, quotaSize });
}

/** A test with its own host and device: run({ page, context, open, since }); a long
    one is not of the small run. */
function scene(name, run, { long, own = {}, options = {}, url = () => host.url, init, quota } = {}) {
    if (long && process.env.SMALL) return;
    test(name, async () => {
        await host.control('host', own);
        const before = (await host.control('log')).length;
        const context = await device(options);
        if (init) await context.addInitScript(init);
        if (quota) await limit(context, quota);
        const since = async () => (await host.control('log')).slice(before);
        const open = async () => {
            const page = await context.newPage();
            page.setDefaultTimeout(30_000);
            await page.goto(url());
            return page;
        };
        try {
            const page = await open();
            await telling(page, () => run({ context, open, page, since }));
            noFaults();
        } finally {
            await context.close();
            await host.control('cut-streams', '');
            try { noFaults(); } catch { /* told above, or of a test that failed */ }
        }
    });
}

/** The page is paired, and has backed up these lines. */
async function paired(page, lines) {
    if (lines?.length) await host.control('events', lines.join('\n'));
    await page.locator('#code').waitFor();
    await setToken(page, await host.token());
    await wake(page);
    await upToDate(page);
    if (lines) assert.equal(await count(page), lines.length);
}

const known = async (page, site = 'main') => (await kept(page)).meta[`book/${site}`]?.known?.store_id;

/** A blank box answers in place of the old one, and has paired the page. */
async function replaced(page, own = NEW, jwt) {
    await host.control('host', own);
    await setToken(page, jwt ?? await host.token());
}

scene('pairs by code; a wrong one leaves four tries, and the last one ends it', async ({ page }) => {
    await page.getByLabel('Six-digit code').fill('000000');
    await page.keyboard.press('Enter');
    await page.getByText('4 tries are left').waitFor();
    assert.equal(await page.locator('#code').evaluate((e) => e === document.activeElement), true);
    await page.getByLabel('Six-digit code').fill('123 456');
    await page.getByRole('button', { name: 'Pair', exact: true }).click();
    await upToDate(page);
    assert.equal((await kept(page)).meta.token.split('.').length, 3);
    await host.set({ tries: 1 });
    await page.getByText('Name and pairing').click();
    await page.getByRole('button', { name: 'Pair again' }).click();
    for (const text of ['it was the last try', 'shows no code now']) {
        await page.getByLabel('Six-digit code').fill('111111');
        await page.keyboard.press('Enter');
        await page.getByText(text).waitFor();
    }
});

scene('takes a pasted token, and no other text', async ({ page }) => {
    await page.getByText('I have a token').click();
    await page.getByLabel('Token').fill('hello');
    await page.getByRole('button', { name: 'Use this token' }).click();
    await page.getByText('This is not a token').waitFor();
    await page.getByLabel('Token').fill(await host.token('dr', -60));
    await page.getByRole('button', { name: 'Use this token' }).click();
    await page.getByText('This token was valid until').waitFor();
    await page.getByLabel('Token').fill(await host.token());
    await page.getByRole('button', { name: 'Use this token' }).click();
    await upToDate(page);
});

scene('a host without a key asks for no token', async ({ page }) => {
    await upToDate(page);
    assert.equal(await page.locator('#pairing').count(), 0);
}, { own: { key: '' } });

const MANY = process.env.SMALL ? 3_000 : 10_000;
const lines = makeEvents(10_000).slice(0, MANY);
const inWords = MANY.toLocaleString('en');

scene(`backs up ${inWords} events byte for byte; a blank host gets all of them`, async ({ page, since }) => {
    await paired(page, lines);
    const before = await host.control('digest');
    assert.deepEqual(before, digest(lines));
    assert.deepEqual(digest((await kept(page)).rows.map((r) => r.line)), before);
    await host.control('host', NEW);
    await wake(page);
    await page.getByText(`${inWords} events on this device wait to be restored`).waitFor();
    assert.equal(await known(page), 'a'.repeat(16));
    await page.getByLabel('Six-digit code').fill('123456');
    await page.keyboard.press('Enter');
    await page.getByText('The host is restored').waitFor();
    assert.deepEqual(await host.control('digest'), before);
    await upToDate(page);
    assert.equal(await known(page), NEW.store_id);
    assert.equal((await since()).filter(([m, p, s]) => m === 'POST' && p === '/api/dr/restore' && s === 200).length, MANY / 500);
    assert.equal(await count(page), MANY);
});

scene('goes on from its cursor, and a cut answer is not kept', async ({ page, since }) => {
    await paired(page, lines.slice(0, 10));
    await host.control('events', lines.slice(10, 12).join('\n'));
    await host.set({ cut: 2 });
    await page.getByRole('button', { name: 'Back up now' }).click();
    await until(async () => (await count(page)) === 12, 'two more are kept');
    assert.deepEqual(digest((await kept(page)).rows.map((r) => r.line)), digest(lines.slice(0, 12)));
    const asked = (await since()).filter(([, p]) => p.includes('format=jsonl')).map(([, p]) => new URL(p, host.url).searchParams.get('after'));
    assert.equal(asked.filter((a) => a === 'start').length, 2); // 401, and the first
    assert.equal(asked.filter((a) => a.startsWith(`${'a'.repeat(16)}:10:`)).length, 3);
    await host.set({ cut: 3 });
    await host.control('events', lines.slice(12, 13).join('\n'));
    await page.getByRole('button', { name: 'Back up now' }).click();
    await page.getByText('The backup does not go on').waitFor();
    assert.equal(await count(page), 12);
    await page.getByRole('button', { name: 'Try again' }).click();
    await until(async () => (await count(page)) === 13, 'it is kept after all');
});

scene('offline: says so, opens again from what it keeps, with the age of what it shows', async ({ page, context }) => {
    await paired(page, lines.slice(0, 30));
    await page.evaluate(() => navigator.serviceWorker.ready);
    await page.getByText('The page also opens when the host is gone').waitFor();
    await host.set({ dead: true });
    await wake(page);
    await isState(page, 'Offline');
    await page.reload();
    await isState(page, 'Offline');
    await page.getByText('30 events are safe on this device').waitFor();
    await page.getByText('As it was').waitFor();
    await page.getByText('From the backup on this device').waitFor();
    assert.equal(await page.locator('#events-list li').count(), 12);
    await page.getByRole('button', { name: 'Show 30' }).click();
    assert.equal(await page.locator('#events-list li').count(), 30);
    assert.equal(await page.locator('#host-figures dd').first().innerText(), '30');
    await context.setOffline(true);
    await page.reload();
    await page.getByText('This device is offline').waitFor();
    await host.set({ dead: false });
    await context.setOffline(false);
    await isState(page, 'Healthy');
    await host.set({ dead: true });
    await wake(page);
    await isState(page, 'Offline');
    const tries = await host.asked('GET', '/api/health');
    await page.getByRole('button', { name: 'Try now' }).click();
    await until(async () => (await host.asked('GET', '/api/health')) > tries, 'it tries', 3000);
    assert.equal((await page.evaluate(async () => {
        const found = [];
        for (const name of await caches.keys()) for (const r of await (await caches.open(name)).keys()) found.push(r.url);
        return found.filter((u) => new URL(u).pathname.startsWith('/api'));
    })).length, 0);
});

scene('a new version of the page is told, and taken when a person agrees', async ({ open }) => {
    const folder = await mkdtemp(join(tmpdir(), 'page-'));
    let other;
    try {
        await cp(PAGE, folder, { recursive: true });
        other = await Standin.start(folder);
        await other.set({ key: '' });
        const context = await device();
        const page = await context.newPage();
        await page.goto(other.url);
        await page.getByText('The page also opens when the host is gone').waitFor();
        await writeFile(join(folder, 'style.css'), `${await readFile(join(folder, 'style.css'), 'utf8')}\nfooter { color: rgb(1, 2, 3); }\n`);
        const sw = await readFile(join(folder, 'sw.js'), 'utf8');
        await writeFile(join(folder, 'sw.js'), sw.replace(/SHELL = '.*'/, 'SHELL = \'another\''));
        await page.evaluate(async () => (await navigator.serviceWorker.getRegistration()).update());
        await page.getByRole('button', { name: 'Reload' }).waitFor();
        const colour = () => page.locator('footer').evaluate((e) => getComputedStyle(e).color);
        await page.reload();
        assert.notEqual(await colour(), 'rgb(1, 2, 3)'); // not before
        await page.getByRole('button', { name: 'Reload' }).click();
        await until(async () => (await colour().catch(() => '')) === 'rgb(1, 2, 3)', 'the new style is there');
        assert.deepEqual(await page.evaluate(() => caches.keys()), ['shell-another']);
        await context.close();
    } finally {
        other?.end();
        await rm(folder, { recursive: true });
    }
});

scene('an empty store of the same id is no new host; one put back to an older copy is restored', async ({ page, since }) => {
    await paired(page, []);
    await wake(page);
    await upToDate(page);
    await host.control('events', lines.slice(0, 600).join('\n'));
    await page.getByRole('button', { name: 'Back up now' }).click();
    await until(async () => (await count(page)) === 600, 'they are kept');
    const posts = async () => (await since()).filter(([m, p]) => m === 'POST' && p === '/api/dr/restore').length;
    assert.equal(await posts(), 0);
    await replaced(page, {}); // the same store_id, without its events
    await wake(page);
    await page.getByText('The host is restored').waitFor();
    await upToDate(page);
    assert.deepEqual(await host.control('digest'), digest(lines.slice(0, 600)));
    assert.equal(await posts(), 2);
    await wake(page);
    await upToDate(page);
    assert.equal(await posts(), 2);
});

scene('a blank box without a store is restored, and known by the store it made', async ({ page, since }) => {
    await paired(page, lines.slice(0, 700));
    await replaced(page, { store_id: null, device_id: null });
    await wake(page);
    await page.getByText('The host is restored').waitFor();
    await upToDate(page);
    assert.equal(await known(page), 'f'.repeat(16));
    const parts = (await since()).filter(([m, p, s]) => m === 'POST' && p === '/api/dr/restore' && s === 200);
    assert.equal(parts.length, 2); // and not all once more
    assert.deepEqual(await host.control('digest'), digest(lines.slice(0, 700)));
});

scene('a host that dies in the middle of a restore: it goes on', async ({ page, since }) => {
    await paired(page, lines.slice(0, 2600));
    await replaced(page);
    await host.set({ die_after: 3 });
    await wake(page);
    await page.getByText('Waiting, 38 % restored').waitFor();
    assert.equal(await known(page), 'a'.repeat(16));
    await host.set({ dead: false, die_after: -1 });
    await page.getByText('The host is restored').waitFor();
    assert.deepEqual(await host.control('digest'), digest(lines.slice(0, 2600)));
    const parts = (await since()).filter(([m, p]) => m === 'POST' && p === '/api/dr/restore');
    assert.equal(parts.filter(([, , status]) => status === 200).length, 6); // the third once more
});

scene('a host that dies in the middle of a restore: another blank one gets all', async ({ page, since }) => {
    await paired(page, lines.slice(0, 1600));
    await replaced(page);
    await host.set({ die_after: 2 });
    await wake(page);
    await page.getByText('Waiting, 31 % restored').waitFor();
    const { session } = (await kept(page)).meta.restore;
    const before = (await since()).length;
    await replaced(page, { ...NEW, store_id: 'c'.repeat(16), device_id: 'pi-0003' });
    await page.getByText('The host is restored').waitFor();
    await upToDate(page);
    assert.deepEqual(await host.control('digest'), digest(lines.slice(0, 1600)));
    assert.equal(await known(page), 'c'.repeat(16));
    assert.notEqual((await kept(page)).meta.restored.session, session);
    const parts = (await since()).slice(before).filter(([m, p, s]) => m === 'POST' && p === '/api/dr/restore' && s === 200);
    assert.equal(parts.length, 4); // none of the old session came to the new host
});

scene('a page that is loaded again in the middle of a restore goes on where it was', async ({ page, since }) => {
    await paired(page, lines.slice(0, 2600));
    await replaced(page);
    await host.set({ delay: 0.4 });
    await wake(page);
    await until(async () => (await kept(page)).meta.restore?.sent >= 1000, '1000 are sent');
    const { session } = (await kept(page)).meta.restore;
    await page.reload();
    await host.set({ delay: 0 });
    await page.getByText('The host is restored').waitFor();
    assert.deepEqual(await host.control('digest'), digest(lines.slice(0, 2600)));
    assert.equal((await kept(page)).meta.restored.session, session);
    const parts = (await since()).filter(([m, p]) => m === 'POST' && p === '/api/dr/restore');
    assert.ok(parts.length <= 7, `${parts.length} parts`);
});

scene('a host that lost count of the session gets all of it once more', async ({ page, since }) => {
    await paired(page, lines.slice(0, 1200));
    await replaced(page);
    await host.set({ forget: 2 });
    await wake(page);
    await page.getByText('The host is restored').waitFor();
    assert.deepEqual(await host.control('digest'), digest(lines.slice(0, 1200)));
    assert.equal((await since()).filter(([m, p, s]) => m === 'POST' && p === '/api/dr/restore' && s === 200).length, 6);
    assert.equal((await kept(page)).meta.restored.present, 1200);
});

scene('busy, overloaded: it waits its turn', async ({ page }) => {
    await paired(page, lines.slice(0, 600));
    await replaced(page);
    await host.set({ busy: 1, overloaded: 1 });
    await wake(page);
    await page.getByText('Another device is restoring first').waitFor();
    await page.getByText('The host is restored').waitFor();
    assert.deepEqual(await host.control('digest'), digest(lines.slice(0, 600)));
});

scene('two tablets restore at once: the host gets what either has', async ({ page }) => {
    const other = await device();
    try {
        await paired(page, lines.slice(0, 2000));
        await host.control('host', {});
        await host.control('events', lines.slice(1500, 3500).join('\n'));
        const page2 = await other.newPage();
        await page2.goto(host.url);
        await page2.locator('#code').waitFor();
        await setToken(page2, await host.token());
        await wake(page2);
        await upToDate(page2);
        await host.control('host', { ...NEW, delay: 0.15 });
        for (const p of [page, page2]) await setToken(p, await host.token());
        await Promise.all([wake(page), wake(page2)]);
        await Promise.all([page, page2].map((p) => p.getByText('The host is restored').waitFor()));
        assert.deepEqual(await host.control('digest'), digest(lines.slice(0, 3500)));
        const refused = (await host.control('log')).filter(([m, p, s]) => m === 'POST' && p === '/api/dr/restore' && s === 409);
        assert.ok(refused.length > 0);
        await page.getByRole('button', { name: 'Back up now' }).click();
        await until(async () => (await count(page)) === 3500, 'the first tablet has both');
    } finally {
        await other.close();
    }
}, { long: true }); // tests/page/real.mjs has it too

/** Two tabs: one does it, the other shows it and takes over. */
async function twoTabs({ page, open, since }) {
    await paired(page, lines.slice(0, 100));
    const second = await open();
    await second.getByText('Another tab of this page does the backing up').waitFor();
    await upToDate(second);
    const { lease } = (await kept(page)).meta;
    if (lease) {
        await until(async () => (await kept(page)).meta.lease.until > lease.until + 3000, 'the lease is renewed twice');
        assert.equal((await kept(page)).meta.lease.owner, lease.owner);
    }
    await second.getByText('Another tab of this page does the backing up').waitFor({ timeout: 1000 });
    const exports = async () => (await since()).filter(([, p]) => p.includes('format=jsonl')).length;
    const before = await exports();
    await host.control('events', lines.slice(100, 150).join('\n'));
    await second.getByRole('button', { name: 'Back up now' }).click();
    await until(async () => (await count(second)) === 150, 'the first tab has done it');
    await second.locator('#device-figures dd', { hasText: '150' }).waitFor();
    assert.equal(await exports(), before + 1);
    await replaced(second);
    await host.set({ delay: 0.5 });
    await wake(second);
    await second.locator('#restoring').waitFor();
    await page.close();
    await second.getByText('The host is restored').waitFor();
    await upToDate(second);
    assert.deepEqual(await host.control('digest'), digest(lines.slice(0, 150)));
    assert.equal(await second.getByText('Another tab of this page').count(), 0);
}

scene('two tabs: one does it, the other shows it, and takes over when it is closed', twoTabs);

// A browser that takes its time to say what room there is.
const SLOW = `if (navigator.storage) {
    const estimate = navigator.storage.estimate.bind(navigator.storage);
    navigator.storage.estimate = () => new Promise((resolve) => { setTimeout(() => resolve(estimate()), 1500); });
}`;

scene('a backup that ends while the page still reads what was there before is shown', async ({ page }) => {
    await paired(page, lines.slice(0, 100));
    await page.locator('#device-figures dd', { hasText: '100' }).waitFor();
    await host.control('events', lines.slice(100, 150).join('\n'));
    await page.getByRole('button', { name: 'Back up now' }).click();
    await page.locator('#device-figures dd', { hasText: '150' }).waitFor({ timeout: 10_000 });
}, { init: SLOW });

const insecure = { url: () => host.url.replace('127.0.0.1', INSECURE) };

scene('no secure context: two tabs share by a lease', async (s) => {
    assert.equal(await s.page.evaluate(() => [isSecureContext, Boolean(navigator.locks), Boolean(crypto.subtle)].join()), 'false,false,false');
    await twoTabs(s);
}, { ...insecure, long: true });

scene('no secure context: says what that means; the file it saves is whole', async ({ page }) => {
    await paired(page, lines.slice(0, 2500));
    await page.getByText('This address is not a secure one').waitFor();
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save as a file' }).click()]);
    await page.getByText('Saved 2,500 events').waitFor();
    const file = await download.path();
    const text = await readFile(file, 'utf8');
    const at = text.lastIndexOf('\n', text.length - 2) + 1;
    assert.deepEqual(JSON.parse(text.slice(at)).lifeboat_end, { count: 2500, sha256: sha256(text.slice(0, at)) });
    assert.deepEqual(digest(text.slice(0, at - 1).split('\n')), digest(lines.slice(0, 2500)));
    if (process.env.LIFEBOAT_BIN) {
        const folder = await mkdtemp(join(tmpdir(), 'page-'));
        const ran = spawnSync(join(process.env.LIFEBOAT_BIN, 'evstore-restore'),
            ['-d', join(folder, 'x.db'), '--require-seal', file], { encoding: 'utf8', env: {} });
        await rm(folder, { recursive: true });
        assert.equal(ran.status, 0, ran.stderr);
        assert.equal(JSON.parse(ran.stdout).events_inserted, 2500);
    }
}, insecure);

const DAY = 86_400_000;
// A device with room for `room` lines: put() throws as browsers do.
const little = (room) => `{
    const put = IDBObjectStore.prototype.put;
    IDBObjectStore.prototype.put = function (value, ...key) {
        const request = put.call(this, value, ...key);
        if (this.name !== 'events') return request;
        const many = this.count();
        many.onsuccess = () => {
            if (many.result > ${room} && !this.transaction.told) {
                this.transaction.told = true;
                Object.defineProperty(this.transaction, 'error', { value: new DOMException('no room', 'QuotaExceededError') });
                this.transaction.abort();
            }
        };
        return request;
    };
}`;

scene('short of space: keeps the newest 30 days and says what it left out', async ({ page }) => {
    const now = Date.now();
    const old = makeEvents(2400, { prefix: 'a', now: now - 100 * DAY });
    const recent = makeEvents(2000, { prefix: 'b', now });
    await host.control('events', [...old, ...recent].join('\n'));
    await paired(page);
    await page.getByText('it keeps the newest 30 days: 2,400 events from before').waitFor();
    assert.deepEqual(digest((await kept(page)).rows.map((r) => r.line)), digest(recent));
}, { init: little(2500) });

scene('too short for even that: says so and deletes nothing more', async ({ page }) => {
    await host.control('events', makeEvents(5000, { now: Date.now() }).join('\n'));
    await page.locator('#code').waitFor();
    await setToken(page, await host.token());
    await wake(page);
    await page.getByText('No room for the backup').waitFor();
    assert.equal(await count(page), 2000);
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('No room for the backup').waitFor();
    assert.equal(await count(page), 2000);
}, { init: little(3000) });

scene('the browser’s own quota: full is said, what is kept stays', async ({ page, context }) => {
    await host.control('events', makeEvents(10_000, { now: Date.now(), noise: 400 }).join('\n'));
    await page.locator('#code').waitFor();
    await setToken(page, await host.token());
    await wake(page);
    await page.getByText('No room for the backup').waitFor();
    const { rows, meta } = await kept(page);
    const cursor = meta['book/main'].cursor;
    assert.equal(Number(cursor?.split(':')[1] ?? 0), rows.length); // lines and cursor are of one transaction
    await context.cdp.detach();
    await page.getByRole('button', { name: 'Try again' }).click();
    await until(async () => (await count(page)) === 10_000, 'it went on');
}, { quota: 8_000_000, long: true });

scene('refused events: the host is known only once a person has seen them', async ({ page }) => {
    await paired(page, lines.slice(0, 700));
    await replaced(page, { ...NEW, refuse: 'e-00001' });
    await host.control('events', lines[3].replace('"ana"', '"eve"')); // the same id, other content
    await wake(page);
    await page.getByText('Restored, but 11 events were refused').waitFor();
    await upToDate(page);
    assert.equal(await known(page), 'a'.repeat(16));
    await page.reload();
    await page.getByText('1 event: the host has another version of the same id').waitFor();
    await upToDate(page);
    assert.equal(await known(page), 'a'.repeat(16));
    await page.getByRole('button', { name: 'I have seen this' }).click();
    await until(async () => (await known(page)) === NEW.store_id, 'the host is known');
    await upToDate(page);
    assert.equal(await page.locator('#partial').count(), 0);
    const four = (await kept(page)).rows.filter((r) => r.id === 'e-000003');
    assert.deepEqual(four.map((r) => [r.variant, /"eve"/.test(r.line)]), [[0, true], [1, false]]); // neither is lost
});

scene('an event that the host cannot read does not hold up the others', async ({ page }) => {
    await paired(page, lines.slice(0, 520));
    await replaced(page, { ...NEW, choke: 'e-000519' });
    await wake(page);
    await page.getByText('Ids: e-000519').waitFor();
    assert.deepEqual(await host.control('digest'), digest(lines.slice(0, 519)));
});

scene('another site: nothing happens before a person has chosen; left alone', async ({ page, since }) => {
    await paired(page, lines.slice(0, 50));
    await replaced(page, { ...NEW, site_id: 'annex' });
    await wake(page);
    await page.getByText('Nothing happens until you choose').waitFor();
    const touched = async () => (await since()).filter(([m, p, s]) => s === 200 && (p.includes('/restore') || p.includes('format=jsonl')));
    const before = await touched();
    await page.getByRole('button', { name: 'Leave it alone' }).click();
    await page.getByText('This host is left alone').waitFor();
    await page.reload();
    await page.getByText('This host is left alone').waitFor();
    assert.deepEqual(await touched(), before); // which request, if any
    assert.equal(await count(page), 50);
});

scene('another site: both are kept, apart', async ({ page }) => {
    await paired(page, lines.slice(0, 50));
    await replaced(page, { ...NEW, site_id: 'annex' });
    await host.control('events', makeEvents(20, { site: 'annex', prefix: 'x' }).join('\n'));
    await wake(page);
    await page.getByRole('button', { name: 'keep both' }).click();
    await upToDate(page);
    const { rows } = await kept(page);
    assert.deepEqual(['main', 'annex'].map((s) => rows.filter((r) => r.site === s).length), [50, 20]);
    await page.getByText(/main 50 events/).waitFor();
    assert.equal((await host.control('digest')).count, 20);
    await replaced(page, { store_id: 'd'.repeat(16) }); // the first site, on a blank box
    await wake(page);
    await page.getByText('The host is restored').waitFor();
    assert.deepEqual(await host.control('digest'), digest(lines.slice(0, 50)));
});

scene('another site: restored into it, when a person says so', async ({ page }) => {
    await paired(page, lines.slice(0, 50));
    await replaced(page, { ...NEW, site_id: 'annex' });
    await wake(page);
    await page.getByRole('button', { name: 'Restore “main” into it' }).click();
    await page.getByText('The host is restored').waitFor();
    await upToDate(page);
    assert.deepEqual(await host.control('digest'), digest(lines.slice(0, 50)));
    assert.equal(await known(page, 'annex'), NEW.store_id);
});

scene('an expired token, a token without the right: each is said, and a new one mends it', async ({ page }) => {
    await paired(page, lines.slice(0, 5));
    await setToken(page, await host.token('dr', -60));
    await wake(page);
    await page.getByText('The token has expired').waitFor();
    await setToken(page, await host.token('user'));
    await wake(page);
    await page.getByText('does not allow backups').waitFor();
    await page.getByLabel('Six-digit code').fill('123456');
    await page.keyboard.press('Enter');
    await upToDate(page);
    assert.equal(await page.locator('#pairing').count(), 0);
});

scene('events show live, also after the stream was cut, which is taken up where it was', async ({ page, since }) => {
    await paired(page, lines.slice(0, 3));
    await page.locator('#live', { hasText: 'Live' }).waitFor();
    const push = (id, n) => host.control('push', `id: ${id}\nevent: event\ndata: ${lines[n].replace('VITALS', `TYPE_${n}`)}\n\n`);
    await push('here:1', 7);
    await page.getByText('TYPE_7').waitFor();
    assert.equal(await page.locator('#events-list li').count(), 4);
    const streams = async () => (await since()).filter(([, p]) => p.startsWith('/api/events/stream')).length;
    const before = await streams();
    const asked = page.waitForRequest((r) => r.url().includes('/api/events/stream'));
    await host.control('cut-streams', '');
    assert.equal((await (await asked).allHeaders())['last-event-id'], 'here:1');
    await until(async () => (await streams()) > before, 'the stream is taken up');
    await page.locator('#live', { hasText: 'Live' }).waitFor();
    await push('here:2', 8);
    await page.getByText('TYPE_8').waitFor();
});

scene('degraded: what is wrong is said', async ({ page }) => {
    await paired(page, lines.slice(0, 3));
    await host.set({ extra: { status: 'degraded', problems: ['The disk is nearly full.'] } });
    await wake(page);
    await isState(page, 'Degraded');
    await page.getByText('The disk is nearly full.').waitFor();
});

scene('by keyboard and by ear: skip link, names, order, focus in sight, no overflow at 390 px', async ({ page }) => {
    await page.locator('#code').waitFor();
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the content');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'code');
    assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none');
    await page.keyboard.type('123456');
    await page.keyboard.press('Enter');
    await upToDate(page);
    for (const role of ['button', 'textbox', 'img', 'progressbar', 'link']) {
        for (const e of await page.getByRole(role).all()) {
            const name = await e.evaluate((x) => x.textContent.trim() || x.ariaLabel || x.labels?.[0]?.textContent || x.getAttribute('alt'));
            assert.ok(name, `a ${role} without a name`);
        }
    }
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${wide} px too wide`);
}, { options: { viewport: { width: 390, height: 844 } } });

const status = await runAll('nasty');
host.end();
await browser.close();
process.exit(status);
