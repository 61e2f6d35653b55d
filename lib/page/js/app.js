// The page: what is known is gathered here and shown by the views.

import { Problem, claims, drHealth, recent, stats, token } from './api.js';
import { books, newestLines, removeBook } from './book.js';
import { $, fill, h, state } from './dom.js';
import { changed, device, engine, kick, start } from './engine.js';
import { getMeta, setMeta } from './idb.js';
import { fileOf } from './save.js';
import { follow } from './stream.js';
import { events, range } from './text.js';
import { showDevice } from './views/device.js';
import { SHOWN, showEvents } from './views/events.js';
import { showHost } from './views/host.js';
import { showMirror } from './views/mirror.js';
import { makeNotices } from './views/notices.js';
import { Pairing } from './views/pairing.js';
import { showQueue } from './views/queue.js';
import { worker } from './worker.js';

const LOOK_MS = 15_000; // a new host is noticed after this long

const known = { // of the host; `at` is when it said so
    health: null, stats: null, at: null, events: [], from: null, live: null, loading: true,
};
const here = { book: null, all: {}, token: null, storage: null, worker: 'unknown' };
const pairing = new Pairing();
let stream = null;
let looking = false;
let lookAgain = false;
let ticks = 0;

const pairAgain = () => {
    pairing.asked = true;
    render();
    pairing.focus();
};
const showNotices = makeNotices({ pairing, agree: () => worker.agree(), pairAgain });

// ---- showing

const CONNECTION = {
    start: ['busy', 'Connecting'], offline: ['off', 'Offline'], auth: ['warn', 'Not paired'], error: ['bad', 'Error'],
    ask: ['warn', 'Another site'], left: ['none', 'Left alone'], empty: ['warn', 'No store'], restore: ['busy', 'Restoring'],
};

function render() {
    const host = engine.host;
    const live = engine.step !== 'offline' && engine.step !== 'start';
    const site = (live && host?.site_id) || known.health?.site_id || Object.keys(here.all)[0];
    // Which host's figures are shown: those of the store that answers, or the last known.
    const same = known.health && (!live || known.health.store_id === host?.store_id);
    const health = live ? { ...host, ...(same ? known.health : {}), status: (same ? known.health : host)?.status } : known.health;

    here.book = here.all[site] ?? null;
    $('site').textContent = site ? `Site ${site}` : '';
    document.title = site ? `Lifeboat: ${site}` : 'Lifeboat';
    const degraded = health?.status && health.status !== 'healthy';
    const [mark, text] = CONNECTION[engine.step] ?? (degraded ? ['warn', 'Degraded'] : ['ok', 'Healthy']);
    state($('connection'), mark, text);
    $('version').textContent = health?.version ? `Version ${health.version}.` : '';

    const lastSeen = Math.max(known.at ?? 0, engine.at ?? 0) || null;
    showNotices({ engine, book: here.book, token: here.token, lastSeen, worker: here.worker });
    const shown = same || !live;
    // Without a token, what is known grows old though the host answers.
    const fresh = live && !(engine.step === 'auth' && same);
    showHost({ health, stats: shown ? known.stats : null, at: known.at, live: fresh });
    showDevice({ engine, book: here.book, token: here.token, storage: here.storage, secure: isSecureContext, worker: here.worker });
    showQueue(shown ? known.health?.queue : null);
    showMirror(shown ? known.health?.mirror : null, shown && known.health && 'mirror' in known.health);
    const loading = known.loading && !['auth', 'offline'].includes(engine.step);
    showEvents({ ...known, loading, live: live ? known.live : null, from: live || known.from !== 'host' ? known.from : 'device' });
    showBooks(site);
    document.body.classList.add('ready');
}

function showBooks(site) {
    const others = Object.values(here.all).filter((b) => b.site !== site && b.count);
    $('books').hidden = !others.length;
    fill($('books-list'), others.map((b) => h('li', {},
        h('p', {}, h('strong', {}, b.site), ` ${events(b.count)}, ${range(b.oldest, b.newest)}`),
        h('p', { class: 'actions' },
            h('button', { type: 'button', onclick: () => save(b) }, 'Save as a file'),
            h('button', { type: 'button', onclick: () => remove(b) }, 'Delete')))));
}

// ---- gathering

async function readDevice() {
    here.all = await books();
    here.token = claims((await token.get()) ?? '');
    here.storage = navigator.storage?.estimate
        ? { ...await navigator.storage.estimate(), persisted: await navigator.storage.persisted() } : null;
}

// The last known state, for when the host is gone. An older page's tab may write it too.
const remember = () => setMeta('last', { health: known.health, stats: known.stats, at: known.at });

async function readHost() {
    if (document.visibilityState === 'hidden') return;
    if (looking) {
        lookAgain = true;
        return;
    }
    looking = true;
    try {
        const health = await drHealth();
        if (health.store_id !== engine.host?.store_id || engine.step === 'offline') kick();
        if (health.store_id !== known.health?.store_id) known.events = [];
        Object.assign(known, { health, at: Date.now() });
        known.stats = health.store_id === null ? null : await stats();
        await remember();
        if (!stream) readEvents();
        else if (known.live === 'lost') await readRecent();
    } catch (e) {
        // It is the engine that finds out what is wrong, or that the host is back.
        const answered = e instanceof Problem;
        if (answered ? engine.step !== 'auth' : engine.step !== 'offline') kick();
    } finally {
        known.loading = false;
        looking = false;
    }
    render();
    if (lookAgain) {
        lookAgain = false;
        readHost();
    }
}

// What comes by both ways is told apart by its id.
async function readRecent() {
    add((await recent(SHOWN).catch(() => ({ events: [] }))).events.reverse());
}

function readEvents() {
    stream ??= follow({
        onMessage: (m) => {
            if (m.event === 'event') add([JSON.parse(m.data)]);
            if (m.event === 'reset') kick();
        },
        onState: async (state) => {
            known.live = state === 'open' ? 'live' : 'lost';
            if (state === 'open') {
                await readRecent(); // what came before the stream was open
            }
            render();
        },
    });
}

// Of events that come in numbers, not each is drawn by itself.
let drawing = false;

function add(more) {
    if (known.from !== 'host') Object.assign(known, { events: [], from: 'host' });
    const ids = new Set(known.events.map((e) => e.event_id));
    for (const e of more) if (!ids.has(e.event_id)) known.events.unshift(e);
    known.events.length = Math.min(known.events.length, SHOWN);
    if (drawing) return;
    drawing = true;
    setTimeout(() => { drawing = false; render(); }, 100);
}

function endStream() {
    stream?.stop();
    stream = null;
    known.live = null;
}

// ---- what a person does

async function save(book) {
    const say = (text) => { $('save-text').textContent = text; };
    try {
        const { blob, count } = await fileOf(book.site, (n) => say(`${events(n)} put together…`));
        const link = h('a', {
            href: URL.createObjectURL(blob),
            download: `lifeboat-${book.site.replace(/[^A-Za-z0-9._-]/g, '_')}-${new Date().toISOString().slice(0, 10)}.jsonl`,
        });
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
        say(`Saved ${events(count)}, of ${range(book.oldest, book.newest)}. evstore-restore --require-seal takes the file.`);
    } catch (e) {
        say(`The file could not be made: ${e.message}`);
    }
}

async function remove(book) {
    if (!confirm(`Delete the backup of site “${book.site}” (${events(book.count)}) from this device?`)) return;
    await removeBook(book.site);
    await refresh();
}

async function forget() {
    if (!confirm('Forget this device’s token? The backup stays, but does not go on until the device is paired again.')) return;
    await token.set(undefined);
    endStream();
    changed();
}

async function rename(e) {
    e.preventDefault();
    const name = $('device-name').value.trim();
    if (name) await setMeta('device', { ...await device(), name });
    $('settings').open = false;
}

function listen() {
    $('backup-now').addEventListener('click', kick);
    $('save-file').addEventListener('click', () => here.book && save(here.book));
    $('events-all').addEventListener('click', ({ target }) => {
        target.setAttribute('aria-expanded', String(target.getAttribute('aria-expanded') !== 'true'));
        render();
    });
    $('pair-again').addEventListener('click', pairAgain);
    $('forget').addEventListener('click', forget);
    $('name-form').addEventListener('submit', rename);
    addEventListener('online', wake);
    addEventListener('offline', kick);
    document.addEventListener('visibilitychange', () => {
        if (document.visibilityState === 'visible') wake();
        else endStream();
    });
}

function wake() {
    kick();
    stream?.retry();
    readHost();
}

// ---- beginning

let refreshing = false;
let refreshAgain = false;

// Asked for while it reads: what was read first may be old by now.
async function refresh() {
    refreshAgain = true;
    if (refreshing) return;
    refreshing = true;
    try {
        while (refreshAgain) {
            refreshAgain = false;
            await readDevice();
        }
    } finally {
        refreshing = false;
    }
    render();
}

let step = '';

function engineChanged() {
    render();
    if (engine.step === step && engine.step !== 'backup') return;
    if (engine.step === 'auth') endStream();
    // Steps after which there is more to be known.
    if (engine.step !== step && ['idle', 'partial', 'left', 'ask', 'empty'].includes(engine.step)) readHost();
    if (step === 'restore') readRecent();
    step = engine.step;
    refresh();
}

async function begin() {
    listen();
    // Asked once: some browsers ask the person.
    if (navigator.storage?.persist && !await getMeta('asked')) {
        setMeta('asked', true);
        navigator.storage.persist().then(refresh);
    }
    const last = await getMeta('last');
    if (last) Object.assign(known, last);
    await readDevice();
    const site = known.health?.site_id ?? Object.keys(here.all)[0];
    if (site && here.all[site]) Object.assign(known, {
        events: (await newestLines(site, SHOWN)).map((line) => JSON.parse(line)), from: 'device',
    });
    $('device-name').value = (await device()).name;
    render();
    worker.begin((state) => { here.worker = state; render(); });
    start(engineChanged);
    setInterval(readHost, LOOK_MS);
    setInterval(() => { if (engine.restore?.next || ++ticks % 10 === 0) render(); }, 1000);
}

begin().catch((e) => {
    fill($('notices'), h('section', { class: 'notice' }, h('h2', {}, 'This browser does not let the page keep data'),
        h('p', {}, `${e.message}. Private windows often do not; the backup needs an ordinary one.`)));
    console.error(e);
});
