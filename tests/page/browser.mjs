// What the tests in a browser share: Chromium, a stand-in host, and a watch over each
// page: no request to another origin, nothing against the Content-Security-Policy,
// no error on the console but those of requests that fail.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { until } from './tap.mjs';

const { chromium } = createRequire(import.meta.url)(process.env.PLAYWRIGHT_CORE);
export const PAGE = fileURLToPath(new URL('../../lib/page', import.meta.url));
/** A name that is no secure context, though it leads to the same machine. */
export const INSECURE = 'box.test';

export const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', `--host-resolver-rules=MAP ${INSECURE} 127.0.0.1`],
});

const faults = [];

/** A device: a context of its own, all its pages watched. */
export async function device(options = {}) {
    const context = await browser.newContext({ acceptDownloads: true, locale: 'en-GB', ...options });
    context.on('console', (m) => {
        if (m.type() === 'error' && !/^Failed to load resource: /.test(m.text())) faults.push(m.text());
    });
    context.on('weberror', (e) => faults.push(String(e.error().stack)));
    let origin;
    context.on('request', (r) => {
        const url = new URL(r.url());
        if (url.protocol === 'blob:') return;
        origin ??= url.origin;
        if (url.origin !== origin) faults.push(`a request to ${url.origin}`);
    });
    await context.addInitScript(() => {
        addEventListener('securitypolicyviolation', (e) => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`));
    });
    return context;
}

/** What went wrong on any page since the last time. */
export function noFaults() {
    assert.deepEqual(faults.splice(0), []);
}

/** Starts a program that prints its URL first, and ends when its stdin does. */
export async function start(program, args, options = {}) {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], ...options });
    const lines = createInterface({ input: child.stdout });
    const url = await new Promise((resolve, reject) => {
        lines.on('line', (line) => {
            const found = line.match(/https?:\/\/[^\s]+/);
            if (found) resolve(found[0].replace(/\/*$/, '/'));
        });
        child.on('exit', (status) => reject(new Error(`${program} ended with status ${status}`)));
        child.on('error', reject);
    });
    return { url, child };
}

/** The stand-in host. */
export class Standin {
    static async start(folder = PAGE) {
        const it = new Standin();
        Object.assign(it, await start('python3', ['-B', fileURLToPath(new URL('standin.py', import.meta.url)), folder]));
        return it;
    }

    async control(what, body) {
        const answer = await fetch(`${this.url}_/${what}`, body === undefined ? {} : {
            method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body),
        });
        return answer.json();
    }

    set(what) { return this.control('set', what); }

    token(role = 'dr', exp = 3600) { return this.control(`token?role=${role}&exp=${exp}`); }

    /** How often was this asked for? */
    async asked(method, path) {
        return (await this.control('log')).filter(([m, p]) => m === method && p.startsWith(path)).length;
    }

    end() { this.child.stdin.end(); }
}

/** Runs work(), and if it fails tells what the page showed then. */
export async function telling(page, work) {
    try {
        return await work();
    } catch (e) {
        const text = await page.locator('body').innerText({ timeout: 1000 }).catch(() => 'nothing');
        e.stack += `\nThe page showed:\n${text.replace(/\n+/g, '\n').slice(0, 1500)}`;
        throw e;
    }
}

// ---- what a page holds

/** All that the page keeps, read from outside of its own code. */
export function kept(page) {
    return page.evaluate(() => new Promise((resolve, reject) => {
        const open = indexedDB.open('lifeboat');
        open.onerror = () => reject(open.error);
        open.onsuccess = () => {
            const tx = open.result.transaction(['events', 'meta']);
            const events = tx.objectStore('events').getAll();
            const meta = tx.objectStore('meta').getAll();
            const names = tx.objectStore('meta').getAllKeys();
            tx.oncomplete = () => {
                open.result.close();
                resolve({
                    rows: events.result,
                    meta: Object.fromEntries(names.result.map((n, i) => [n, meta.result[i]])),
                });
            };
        };
    }));
}

export const count = async (page) => (await kept(page)).rows.length;

/** Gives the page a token, without pairing. */
export function setToken(page, jwt) {
    return page.evaluate((value) => new Promise((resolve) => {
        const open = indexedDB.open('lifeboat');
        open.onsuccess = () => {
            const tx = open.result.transaction(['meta'], 'readwrite');
            tx.objectStore('meta').put(value, 'token');
            tx.oncomplete = () => { open.result.close(); resolve(); };
        };
    }), jwt);
}

/** The page looks again now, as when the network comes back. */
export const wake = (page) => page.evaluate(() => { dispatchEvent(new Event('online')); });

export const connection = (page) => page.locator('#connection').innerText();
export const isState = (page, text) => until(async () => (await connection(page)) === text, `the page says ${text}`);
export const upToDate = (page) => page.locator('#device-state', { hasText: 'Up to date' }).waitFor();

// ---- events

const sha256 = (text) => createHash('sha256').update(text).digest('hex');
const NOW = Date.UTC(2026, 10, 20, 12);

/** n event lines, each with `noise` bytes that cannot be compressed, with numbers and escapes that JSON.parse would change; the first
    `age` ms before a fixed day, one each second from then on. */
export function makeEvents(n, { site = 'main', prefix = 'e', age = n * 1000, now = NOW, noise = 0 } = {}) {
    return Array.from({ length: n }, (_, i) => {
        const ts = now - age + i * 1000;
        return `{"event_id":"${prefix}-${String(i).padStart(6, '0')}","site_id":"${site}","entity_type":"vital",` +
            `"entity_id":"case-${i % 7}","actor_id":"ana","device_id":"ipad-2","ts_device":${ts},` +
            `"hlc":"${ts.toString(16).padStart(12, '0')}.0000","event_type":"VITALS","schema_version":"1.0",` +
            '"payload":{"big":9007199254740993,"one":1.0,"exp":1E2,"text":"\\u00e9 é \\/ 心電図","seq":7},"newer":[1.50]' +
            `${noise ? `,"noise":"${randomBytes(noise).toString('base64')}"` : ''}}`;
    });
}

const OWN = /(?:,"(?:ts_server|synced|acknowledged|created_at|seq)":(?:"[^"]*"|\d+))+\}$/;

/** { count, sha256 } of lines as the stand-in's digest has it. */
export function digest(lines) {
    const sorted = lines.map((line) => line.replace(OWN, '}')).sort();
    return { count: sorted.length, sha256: sha256(sorted.map((line) => `${line}\n`).join('')) };
}

export { sha256 };
