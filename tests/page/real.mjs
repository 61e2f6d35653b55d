// The page in Chromium, the real host under lighttpd: a box is lost, a blank one comes
// up at the same address, and the page gives it back what it had.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { browser, count, device, isState, kept, makeEvents, noFaults, sha256, start, telling, upToDate, wake } from './browser.mjs';
import { runAll, test, until } from './tap.mjs';

const BIN = process.env.LIFEBOAT_BIN;
const SERVE = fileURLToPath(new URL('../../scripts/serve', import.meta.url));
const EVENTS = process.env.SMALL ? 2_500 : 10_000;
const work = await mkdtemp(join(tmpdir(), 'page-'));

// The commands refuse settings that they do not know; LIFEBOAT_BIN is serve's.
const settings = (box, more = {}) => {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('LIFEBOAT_')));
    return { ...env, LIFEBOAT_DB: box.store, LIFEBOAT_KEY: box.key, LIFEBOAT_DEVICE: box.device, LIFEBOAT_SITE: box.site, LIFEBOAT_MIRROR_DIR: box.mirror, ...more };
};

function run(box, command, args = [], input = '') {
    const ran = spawnSync(join(BIN, command), args, { env: settings(box), input, encoding: 'utf8', maxBuffer: 1 << 30 });
    assert.equal(ran.status, 0, `${command}: ${ran.stderr}`);
    return ran.stdout;
}

const freePort = () => new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
        const { port } = server.address();
        server.close(() => resolve(port));
    });
});

const port = await freePort();
const boxes = [];

/** A box of its own folder, with a key of its own unless key is false. */
async function box(name, { key = true, site = 'main' } = {}) {
    const folder = join(work, `${name}-`);
    const made = await mkdtemp(folder);
    const it = { store: join(made, 'lifeboat.db'), key: join(made, 'token.key'), mirror: made, device: name, site };
    if (key) run(it, 'lifeboat-token', ['-q', 'key']);
    boxes.push(it);
    return it;
}

/** It answers, at the one address that all of them have. */
async function up(it) {
    Object.assign(it, await start(SERVE, ['-p', String(port), '-d', it.store, '-k', it.key],
        { env: settings(it, { LIFEBOAT_BIN: BIN }), stdio: ['ignore', 'pipe', 'ignore'] }));
    return it;
}

async function down(it) {
    if (!it.child || it.child.exitCode !== null) return;
    const gone = once(it.child, 'exit');
    it.child.kill('SIGTERM');
    await gone;
}

/** What the box's console shows: { code, end() }. */
async function pairing(it) {
    const child = spawn(join(BIN, 'lifeboat-token'), ['pair'], { env: settings(it), stdio: ['ignore', 'pipe', 'pipe'] });
    const code = await new Promise((resolve, reject) => {
        for (const stream of [child.stdout, child.stderr]) {
            createInterface({ input: stream }).on('line', (line) => {
                const found = line.match(/(?<![0-9])([0-9]{3})[ -]?([0-9]{3})(?![0-9])/);
                if (found) resolve(found[1] + found[2]);
            });
        }
        child.on('exit', () => reject(new Error('lifeboat-token pair showed no code')));
    });
    return { code, end: () => child.kill('SIGTERM') };
}

async function pair(page, it) {
    const { code, end } = await pairing(it);
    await page.getByLabel('Six-digit code').fill(code);
    await page.keyboard.press('Enter');
    await page.locator('#pairing').waitFor({ state: 'detached' });
    end();
}

const exported = (it) => sha256(run(it, 'evstore-export'));
const knownStore = async (page) => (await kept(page)).meta['book/main'].known?.store_id;

async function withPage(options, work_) {
    const context = await device(options);
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    try {
        await page.goto(`http://127.0.0.1:${port}/`);
        await telling(page, () => work_(page, context));
        noFaults();
    } finally {
        await context.close();
        for (const it of boxes) await down(it);
    }
}

test('a host without a key, on loopback: no token is asked for', async () => {
    const it = await up(await box('pi-loop', { key: false }));
    run(it, 'evstore-append', ['-q'], makeEvents(3).join('\n'));
    await withPage({}, async (page) => {
        await upToDate(page);
        assert.equal(await count(page), 3);
        await page.locator('#live', { hasText: 'Live' }).waitFor();
        run(it, 'evstore-append', ['-q', '--type', 'SEEN_LIVE', '--entity', 'task/7', '--actor', 'ana', '{"a":1}']);
        await page.getByText('SEEN_LIVE').waitFor();
    });
});

test('how the mirror did on each of the last 14 days', async () => {
    const it = await up(await box('pi-mirror', { key: false }));
    const shows = async (page, text, days, more = []) => {
        const at = (ago) => new Date(Date.now() - ago * 86_400_000).toISOString();
        const note = (ago, result, config = ',"config":"0123456789abcdef"') => `{"ts":"${at(ago)}","day":"${at(ago).slice(0, 10)}","zone":"UTC","result":"${result}"${config}}\n`;
        await writeFile(join(it.mirror, 'mirror_status.log'), days.map((result, i) => note(days.length - 1 - i, result)).join('')
            + more.map((result) => note(0, result, '')).join(''));
        await page.reload();
        await page.locator('#mirror-text', { hasText: text }).waitFor(); // after what it kept
    };
    run(it, 'evstore-append', ['-q'], makeEvents(1).join('\n'));
    await withPage({}, async (page) => {
        await page.getByText('No mirror is set up on this host.').waitFor();
        await shows(page, 'matched 2 days running of 14 that are needed', ['OK', 'NG', 'ERROR', 'OK', 'OK']);
        assert.deepEqual((await page.locator('#mirror-days .heard').allInnerTexts()).slice(9).map((t) => t.split(': ')[1]),
            ['the same', 'different', 'not compared, an error', 'the same', 'the same']);
        assert.equal(await page.locator('#mirror-days li').count(), 14);
        await shows(page, 'matched 14 days running: it can be trusted', Array(14).fill('OK'));
        await shows(page, 'turned off. It had matched 1 day running of 14', ['OK'], ['DISABLED']);
    });
});

test('when the host was backed up and drilled last, and what is wrong with that', async () => {
    const it = await up(await box('pi-upkeep', { key: false }));
    const folder = join(dirname(it.store), 'status');
    const note = (name, what) => writeFile(join(folder, `${name}.json`), JSON.stringify(what));
    const now = Date.now();
    run(it, 'evstore-append', ['-q'], makeEvents(1).join('\n'));
    await mkdir(folder);
    await withPage({}, async (page) => {
        await page.getByText('pi-upkeep').first().waitFor();
        assert.equal(await page.getByText('Backed up').count(), 0);
        await note('backup', { ok: true, last_ok: { daily: now - 30 * 3600_000, hourly: now - 7200_000 } });
        await note('drill', { ok: true, ts: now - 3 * 86_400_000, events: 1, rto_ms: 3000 });
        await page.reload();
        await page.locator('#host-facts', { hasText: '2 hours ago, hourly' }).waitFor();
        await page.locator('#host-facts', { hasText: '3 days ago: 1 event back in 3 seconds, the same' }).waitFor();
        await note('drill', { ok: false, ts: now - 60_000, why: 'the digests differ' });
        await page.reload();
        await page.locator('#host-problems', { hasText: 'the last drill failed: the digests differ' }).waitFor();
    });
});

test(`the box is lost; the page gives ${EVENTS} events to a blank one, byte for byte`, async () => {
    const first = await up(await box('pi-first'));
    run(first, 'evstore-append', ['-q'], makeEvents(EVENTS).join('\n'));
    const before = exported(first);
    await withPage({}, async (page) => {
        await pair(page, first);
        await upToDate(page);
        assert.equal(await count(page), EVENTS);
        await down(first);
        await wake(page);
        await isState(page, 'Offline');
        const second = await up(await box('pi-second'));
        await page.getByText('wait to be restored').waitFor(); // it looks by itself
        assert.notEqual(await knownStore(page), null);
        await pair(page, second);
        await page.getByText('The host is restored').waitFor();
        await upToDate(page);
        assert.equal(exported(second), before);
        assert.equal(run(second, 'evstore-export', ['--digest']), run(first, 'evstore-export', ['--digest']));
        const { store_id: store, device_id: name } = await (await fetch(`http://127.0.0.1:${port}/api/health`)).json();
        assert.deepEqual([await knownStore(page), name], [store, 'pi-second']);
    });
});

test('two tablets restore one blank box at once', async () => {
    const first = await up(await box('pi-a'));
    const all = makeEvents(2400);
    const other = await device();
    try {
        await withPage({}, async (page) => {
            run(first, 'evstore-append', ['-q'], all.join('\n'));
            const before = exported(first);
            const page2 = await other.newPage();
            page2.setDefaultTimeout(30_000);
            await page2.goto(`http://127.0.0.1:${port}/`);
            for (const p of [page, page2]) {
                await pair(p, first);
                await upToDate(p);
            }
            await down(first);
            const second = await up(await box('pi-b'));
            await Promise.all([wake(page), wake(page2)]);
            for (const p of [page, page2]) await p.getByText('wait to be restored').waitFor();
            for (const p of [page, page2]) await pair(p, second);
            for (const p of [page, page2]) await p.getByText('The host is restored').waitFor();
            assert.equal(exported(second), before);
            assert.match(run(second, 'evstore-verify', ['-q']), /"verdict":"ok"/);
        });
    } finally {
        await other.close();
    }
});

test('a box that dies in the middle of a restore and comes back gets the rest', async () => {
    const first = await up(await box('pi-c'));
    run(first, 'evstore-append', ['-q'], makeEvents(6000).join('\n'));
    const before = exported(first);
    await withPage({}, async (page) => {
        await pair(page, first);
        await upToDate(page);
        await down(first);
        const second = await up(await box('pi-d'));
        await wake(page);
        await page.getByText('wait to be restored').waitFor();
        let parts = 0; // the third part's answer finds nobody
        await page.route('**/api/dr/restore', async (route) => {
            if (++parts === 3) {
                await down(second);
                await page.unroute('**/api/dr/restore');
            }
            await route.continue().catch(() => {});
        });
        await pair(page, second);
        await page.getByText(/Waiting, [0-9]+ % restored/).waitFor();
        await up(second);
        await page.getByText('The host is restored').waitFor();
        assert.equal(exported(second), before);
    });
});

test('a box of another site is left alone until a person says what to do', async () => {
    const first = await up(await box('pi-e'));
    run(first, 'evstore-append', ['-q'], makeEvents(20).join('\n'));
    await withPage({}, async (page) => {
        await pair(page, first);
        await upToDate(page);
        await down(first);
        const other = await up(await box('pi-f', { site: 'annex' }));
        run(other, 'evstore-append', ['-q', '--type', 'T', '--entity', 'a/1', '--actor', 'x', '{}']);
        await wake(page);
        await page.getByText('Nothing happens until you choose').waitFor();
        await page.getByRole('button', { name: 'keep both' }).click();
        await pair(page, other);
        await until(async () => (await count(page)) === 21, 'both are kept');
        assert.match(run(other, 'evstore-export', ['--digest']), /^lifeboat1 1 /);
    });
});

const status = await runAll('real');
await browser.close();
await rm(work, { recursive: true });
process.exit(status);
