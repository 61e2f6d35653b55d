// The modules of the page that need no browser.

import assert from 'node:assert/strict';
import { createHash, webcrypto } from 'node:crypto';
import { runAll, test } from './tap.mjs';

globalThis.crypto ??= webcrypto;
// Where node takes them for modules: a copy with a package.json beside it.
const load = (name) => import(`${process.env.PAGE_MODULES}/${name}.js`);
const { Sha256, sha256 } = await load('sha256');
const { core, eventId, eventTime, member, openSealed } = await load('lines');
const { body, cut, uuidv7 } = await load('parts');
const { Messages } = await load('stream');

const bytes = (text) => new TextEncoder().encode(text);
const hash = (data) => createHash('sha256').update(data).digest('hex');

test('sha256: the vectors of FIPS 180-4', () => {
    const vectors = {
        '': 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
        abc: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
        abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq:
            '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
    };
    for (const [text, wanted] of Object.entries(vectors)) {
        assert.equal(new Sha256().update(bytes(text)).hex(), wanted);
    }
    const million = new Sha256();
    for (let i = 0; i < 1000; i++) million.update(bytes('a'.repeat(1000)));
    assert.equal(million.hex(), 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0');
});

test('sha256: every length up to 200, cut in two anywhere, as node has it', async () => {
    const data = Uint8Array.from({ length: 200 }, (_, i) => (i * 37) & 255);
    for (let n = 0; n <= 200; n++) {
        const part = data.subarray(0, n);
        const at = (n * 7) % (n + 1);
        assert.equal(new Sha256().update(part.subarray(0, at)).update(part.subarray(at)).hex(), hash(part));
        assert.equal(await sha256(part), hash(part));
    }
});

if (!process.env.SMALL) test('sha256: the number of bits beyond 2^32', () => {
    const h = new Sha256();
    const node = createHash('sha256');
    const block = new Uint8Array(1 << 20);
    for (let i = 0; i < 513; i++) {
        h.update(block);
        node.update(block);
    }
    assert.equal(h.hex(), node.digest('hex'));
});

const EVENT = '{"event_id":"e-1","site_id":"main","payload":{"event_id":"x","a":[1.0,{"b":"}]\\""}],"seq":5},' +
    '"ts_device":1795352246697,"zz":"ts_device"';
const TAIL = ',"ts_server":1,"synced":0,"acknowledged":1,"created_at":"2026-11-22 12:57:26","seq":9}';

test('lines: the own members of a line are found, not those inside', () => {
    const line = EVENT + TAIL;
    assert.equal(eventId(line), 'e-1');
    assert.equal(eventTime(line), 1795352246697);
    assert.equal(member(line, 'a'), undefined);
    assert.equal(member(line, 'seq'), '9');
    assert.equal(eventId('{ "payload" : {"event_id":"no"} , "event_\\u0069d" : "yes" }'), 'yes');
    assert.equal(eventTime('{"event_id":"a"}'), 0);
    for (const bad of ['', '[]', '{"event_id":7}', '{"event_id":"a b"}', '{"event_id":""}', '{"payload":{', '{"event_id":"a', '{"a":1}']) {
        assert.throws(() => eventId(bad), SyntaxError, bad);
    }
});

test('lines: the core is the line without what a store adds, and nothing else', () => {
    assert.equal(core(EVENT + TAIL), `${EVENT}}`);
    assert.equal(core(`${EVENT}}`), `${EVENT}}`);
    const inside = '{"event_id":"a","payload":{"x":1,"seq":5}}';
    assert.equal(core(inside), inside);
    const quoted = '{"event_id":"a","payload":"\\",\\"seq\\":5}"}';
    assert.equal(core(quoted), quoted);
});

const seal = (text, more = {}) => `${text}{"lifeboat_end":${JSON.stringify({
    count: text.split('\n').length - 1, sha256: hash(text), from: 'start', to: 's:1:0', ...more })}}\n`;

test('lines: a sealed answer is opened, and each line is as it was', async () => {
    const text = '{"a":9007199254740993,"b":1.0,"c":"\\u00e9 é \u2028"}\n\ufeff{}\n';
    assert.deepEqual(await openSealed(bytes(seal(text))), { lines: text.slice(0, -1).split('\n'), count: 2, to: 's:1:0' });
    assert.deepEqual((await openSealed(bytes(seal('')))).lines, []);
});

test('lines: one that is cut anywhere, or changed in any byte, is refused', async () => {
    const whole = bytes(seal('{"event_id":"a"}\n{"event_id":"b"}\n'));
    for (let n = 0; n < whole.length - 1; n++) await assert.rejects(openSealed(whole.subarray(0, n)), { message: /^the answer/ });
    const end = whole.lastIndexOf(10, whole.length - 2);
    for (let n = 0; n <= end; n++) {
        const changed = whole.slice();
        changed[n] ^= 1;
        await assert.rejects(openSealed(changed));
    }
    await assert.rejects(openSealed(bytes(seal('{}\n', { count: 2 }))), { message: /seal says 2/ });
});

test('parts: at most 500 events, at most 1 MB, at least one', () => {
    const rows = (n, size) => Array.from({ length: n }, () => ({ bytes: size }));
    assert.equal(cut([]), 0);
    assert.equal(cut(rows(500, 100)), 500);
    assert.equal(cut(rows(501, 100)), 500);
    assert.equal(cut(rows(501, 10_000 - 2)), 100);
    assert.equal(cut(rows(3, 5_000_000)), 1);
    assert.equal(cut([{ bytes: 10 }, { bytes: 2_000_000 }, { bytes: 10 }]), 1);
});

test('parts: the body holds the lines as they are', () => {
    const lines = ['{"a":9007199254740993,"b":1.0}', '{"c":"\\u00e9"}'];
    const text = body({ session: 's', device: 'd', name: 'a "name"', lines, more: true });
    for (const line of lines) assert.ok(text.includes(line));
    const parsed = JSON.parse(text);
    assert.deepEqual([parsed.events_count, parsed.more, parsed.source_device_name, parsed.events.length], [2, true, 'a "name"', 2]);
    assert.deepEqual(JSON.parse(body({ session: 's', device: 'd', name: 'n', lines: [], more: false })).events, []);
});

test('parts: a session id is a UUID of version 7 of its time', () => {
    const id = uuidv7(1645557742000);
    assert.match(id, /^017f22e2-79b0-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.notEqual(uuidv7(1), uuidv7(1));
});

test('stream: messages come whole, however the text is cut', () => {
    const text = ': hello\nretry: 3000\n\nid: 7\nevent: event\ndata: {"a":1}\n\ndata: x\r\ndata: y\r\nid\r\n\r\nevent: none\n\n';
    for (let size = 1; size < text.length; size++) {
        const messages = new Messages();
        const found = [];
        for (let at = 0; at < text.length; at += size) found.push(...messages.feed(text.slice(at, at + size)));
        assert.deepEqual(found, [{ event: 'event', data: '{"a":1}', id: '7' }, { event: 'message', data: 'x\ny', id: '' }], `cut every ${size}`);
        assert.equal(messages.retry, 3000);
    }
});

process.exit(await runAll('unit'));
