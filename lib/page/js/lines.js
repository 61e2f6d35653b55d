// Event lines are opaque text: what is stored and sent are the bytes that came,
// for JSON.parse and JSON.stringify change numbers (9007199254740993, 1.0). Here
// is the little that is read out of them, without changing them.

import { sha256 } from './sha256.js';

const WHITE = /[ \t\r\n]*/y;
const STRING = /"(?:[^"\\]|\\.)*"/y;
const SCALAR = /[^\s,\]}]+/y;

function skip(pattern, line, at) {
    pattern.lastIndex = at;
    if (!pattern.test(line)) throw new SyntaxError(`no event line: byte ${at}`);
    return pattern.lastIndex;
}

// Where the value that begins at `at` ends.
function valueEnd(line, at) {
    if (line[at] === '"') return skip(STRING, line, at);
    if (line[at] !== '{' && line[at] !== '[') return skip(SCALAR, line, at);
    let depth = 0;
    for (;;) {
        const c = line[at];
        if (c === undefined) throw new SyntaxError('no event line: it ends too early');
        if (c === '"') {
            at = skip(STRING, line, at);
            continue;
        }
        if (c === '{' || c === '[') depth++;
        else if ((c === '}' || c === ']') && --depth === 0) return at + 1;
        at++;
    }
}

/** The text of the value of the line's own member `name`; undefined if it has none. */
export function member(line, name) {
    let at = skip(WHITE, line, 0);
    if (line[at] !== '{') throw new SyntaxError('no event line: not an object');
    at = skip(WHITE, line, at + 1);
    while (line[at] === '"') {
        const keyEnd = skip(STRING, line, at);
        const key = line.slice(at, keyEnd);
        at = skip(WHITE, line, keyEnd);
        if (line[at] !== ':') throw new SyntaxError(`no event line: byte ${at}`);
        at = skip(WHITE, line, at + 1);
        const end = valueEnd(line, at);
        if (JSON.parse(key) === name) return line.slice(at, end);
        at = skip(WHITE, line, end);
        if (line[at] !== ',') break;
        at = skip(WHITE, line, at + 1);
    }
    return undefined;
}

/** The line's event_id. */
export function eventId(line) {
    const id = member(line, 'event_id');
    if (id === undefined || !/^"[A-Za-z0-9._:-]{1,128}"$/.test(id)) {
        throw new SyntaxError('an event line without an event_id');
    }
    return id.slice(1, -1);
}

/** The line's ts_device in Unix ms; 0 if it has none. */
export function eventTime(line) {
    const ts = Number(member(line, 'ts_device'));
    return Number.isFinite(ts) ? ts : 0;
}

// What the store adds about its own copy stands last, and says nothing of the event.
const OWN = ['ts_server', 'synced', 'acknowledged', 'created_at', 'seq'];
const TAIL = new RegExp(`${OWN.map((n) => `(?:,"${n}":(?:"[^"\\\\]*"|[^",{}\\[\\]]+))?`).join('')}\\}$`);

/** The line without what each store adds of its own: equal on every copy of an event. */
export function core(line) {
    return line.replace(TAIL, '}');
}

export class BadSeal extends Error {}

/** Splits a sealed answer (bytes) into its event lines, and proves it whole:
    { lines, count, to }. Throws BadSeal if it is cut, or not what was sealed. */
export async function openSealed(bytes) {
    const LF = 10;
    let end = bytes.length;
    if (end && bytes[end - 1] === LF) end--;
    const at = end ? bytes.lastIndexOf(LF, end - 1) + 1 : 0;
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    let seal;
    try {
        seal = JSON.parse(text.decode(bytes.subarray(at, end))).lifeboat_end;
    } catch {
        seal = null;
    }
    if (!seal || typeof seal.sha256 !== 'string' || typeof seal.to !== 'string') {
        throw new BadSeal('the answer was cut: its seal is missing');
    }
    const body = bytes.subarray(0, at);
    const lines = at ? text.decode(body).slice(0, -1).split('\n') : [];
    if (lines.length !== seal.count) {
        throw new BadSeal(`the answer has ${lines.length} events, its seal says ${seal.count}`);
    }
    if (await sha256(body) !== seal.sha256) {
        throw new BadSeal('the answer was changed on its way: its checksum differs');
    }
    return { lines, count: seal.count, to: seal.to };
}
