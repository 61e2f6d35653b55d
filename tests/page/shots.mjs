// shots.mjs FOLDER: pictures of the page in each of its states, 390 and 1280 pixels
// wide, light and dark, to be looked at. No test.

import { Standin, browser, device, isState, makeEvents, setToken, upToDate, wake } from './browser.mjs';

const folder = process.argv[2];
const NEW = { store_id: 'b'.repeat(16), device_id: 'pi-7c21', key: 'second' };
const TYPES = ['VITALS', 'DRUG_GIVEN', 'CASE_OPENED', 'NOTE_ADDED'];
const WHO = ['Ana Sousa', 'Ben Okafor', '林 美玲'];

const story = (n, site) => makeEvents(n, { site, now: Date.now(), age: n * 1700 }).map((line, i) => line
    .replace('VITALS', TYPES[i % 4]).replace('"actor_id":"ana"', `"actor_id":"ana","actor_name":"${WHO[i % 3]}"`));

const days = (results) => results.split('').map((r, i) => ({
    day: new Date(Date.UTC(2026, 10, 9 + i)).toISOString().slice(0, 10),
    result: { o: 'OK', n: 'NG', e: 'ERROR', '-': 'NONE' }[r],
}));
const busy = {
    per_minute: Array.from({ length: 60 }, (_, i) => Math.round(20 + 14 * Math.sin(i / 5) + (i * 7919 % 13))),
    extra: {
        backup: { ok: true, kind: 'hourly', last_ok: { hourly: Date.now() - 1_260_000, daily: Date.now() - 50_000_000 } },
        drill: { ok: true, ts: Date.now() - 200_000_000, events: 48_211, rto_ms: 3100, rpo_ms: 0 },
        mirror: { enabled: true, streak: 5, target: 14, days: days('--oonooeeooooo') },
        queue: {
            pending: 14, running: 1, failed: 2, dead_letters: 0, destinations: [
                { name: 'cloud', pending: 14, failed: 0, paused: false, reason: null, last_success_at: Date.now() - 340_000 },
                { name: 'insurer', pending: 0, failed: 2, paused: false, reason: null, last_success_at: Date.now() - 86_400_000 },
                { name: 'laboratory', pending: 3, failed: 0, paused: true, reason: 'it answers 401', last_success_at: null },
                { name: 'archive', pending: 0, failed: 0, paused: false, reason: null, last_success_at: Date.now() - 4000 }],
        },
    },
};
const problems = {
    per_minute: busy.per_minute,
    extra: { ...busy.extra, status: 'degraded', problems: ['The disk is nearly full: 212 MB are free.', 'The projections of type vital are stale: their reducer failed.'] },
};

const host = await Standin.start();

async function pairedPage(context, lines, own = {}) {
    await host.control('host', own);
    await host.set(busy);
    await host.control('events', lines.join('\n'));
    const page = await context.newPage();
    await page.goto(host.url);
    await setToken(page, await host.token('dr', 90 * 86_400));
    await wake(page);
    await upToDate(page);
    await page.locator('#live', { hasText: 'Live' }).waitFor();
    return page;
}

async function replace(page, own, more = {}) {
    const jwt = await host.token('dr', 90 * 86_400);
    await host.control('host', { ...own, key: 'first' });
    await host.set({ per_minute: Array(60).fill(0), ...more });
    await setToken(page, jwt);
    await wake(page);
}

const lines = story(2500);
const STATES = {
    loading: async (context) => {
        await host.control('host', { key: '' });
        const page = await context.newPage();
        await page.route('**/api/**', () => {});
        await page.goto(host.url);
        await page.waitForTimeout(300);
        return page;
    },
    pairing: async (context) => {
        await host.control('host', {});
        const page = await context.newPage();
        await page.goto(host.url);
        await page.locator('#code').fill('111111');
        await page.keyboard.press('Enter');
        await page.getByText('4 tries are left').waitFor();
        return page;
    },
    normal: (context) => pairedPage(context, lines),
    settings: async (context) => {
        const page = await pairedPage(context, lines.slice(0, 40));
        await page.getByText('Name and pairing').click();
        return page;
    },
    empty: async (context) => {
        await host.control('host', { key: '' });
        const page = await context.newPage();
        await page.goto(host.url);
        await upToDate(page);
        await page.locator('#live', { hasText: 'Live' }).waitFor();
        return page;
    },
    'no-store': async (context) => {
        await host.control('host', { key: '', store_id: null });
        const page = await context.newPage();
        await page.goto(host.url);
        await isState(page, 'No store');
        return page;
    },
    degraded: async (context) => {
        const page = await pairedPage(context, lines);
        await host.set(problems);
        await wake(page);
        await isState(page, 'Degraded');
        return page;
    },
    offline: async (context) => {
        const page = await pairedPage(context, lines);
        await page.evaluate(() => navigator.serviceWorker.ready);
        await host.set({ dead: true });
        await page.reload();
        await isState(page, 'Offline');
        return page;
    },
    restoring: async (context) => {
        const page = await pairedPage(context, lines);
        await replace(page, NEW, { delay: 1.5 });
        await page.getByText('1,000 of 2,500').waitFor();
        return page;
    },
    waiting: async (context) => {
        const page = await pairedPage(context, lines);
        await replace(page, NEW, { busy: 9 });
        await page.getByText('Another device is restoring').waitFor();
        return page;
    },
    restored: async (context) => {
        const page = await pairedPage(context, lines);
        await replace(page, NEW);
        await page.getByText('The host is restored').waitFor();
        await upToDate(page);
        return page;
    },
    refused: async (context) => {
        const page = await pairedPage(context, lines);
        await replace(page, NEW, { refuse: 'e-00001' });
        await page.getByText('were refused').waitFor();
        await upToDate(page);
        return page;
    },
    'other-site': async (context) => {
        const page = await pairedPage(context, lines);
        await replace(page, { ...NEW, site_id: 'annex' });
        await page.getByText('Nothing happens until you choose').waitFor();
        return page;
    },
    both: async (context) => {
        const page = await pairedPage(context, lines);
        await replace(page, { ...NEW, site_id: 'annex' });
        await page.getByRole('button', { name: 'keep both' }).click();
        await upToDate(page);
        return page;
    },
    left: async (context) => {
        const page = await pairedPage(context, lines);
        await replace(page, { ...NEW, site_id: 'annex' });
        await page.getByRole('button', { name: 'Leave it alone' }).click();
        await page.getByText('This host is left alone').waitFor();
        return page;
    },
    expired: async (context) => {
        const page = await pairedPage(context, lines);
        await setToken(page, await host.token('dr', -60));
        await wake(page);
        await page.getByText('The token has expired').waitFor();
        return page;
    },
    'new-host': async (context) => {
        const page = await pairedPage(context, lines);
        await host.control('host', NEW);
        await wake(page);
        await page.getByText('wait to be restored').waitFor();
        return page;
    },
    error: async (context) => {
        const page = await pairedPage(context, lines);
        await host.set({ cut: 9 });
        await host.control('events', makeEvents(3, { prefix: 'z' }).join('\n'));
        await page.getByRole('button', { name: 'Back up now' }).click();
        await page.getByText('The backup does not go on').waitFor();
        return page;
    },
};

const chosen = process.argv.slice(3);
for (const [name, make] of Object.entries(STATES)) {
    if (chosen.length && !chosen.includes(name)) continue;
    const context = await device({ viewport: { width: 1280, height: 800 } });
    try {
        const page = await make(context);
        for (const colorScheme of ['light', 'dark']) {
            await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
            for (const width of [1280, 390]) {
                await page.setViewportSize({ width, height: 800 });
                await page.screenshot({ path: `${folder}/${name}-${width}-${colorScheme}.png`, fullPage: true });
            }
        }
    } catch (e) {
        console.error(`${name}: ${e.message}`);
    }
    await context.close();
    await host.control('cut-streams', '');
}
host.end();
await browser.close();
process.exit(0);
