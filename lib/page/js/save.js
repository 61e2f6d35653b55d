// The backup as a file, sealed, so that evstore-restore --require-seal takes it.

import { rowsAfter } from './book.js';
import { Sha256 } from './sha256.js';

const AT_ONCE = 1000;

/** Puts the file together, telling report(count) how far it is. { blob, count }. */
export async function fileOf(site, report) {
    const hash = new Sha256();
    const encoder = new TextEncoder();
    const pieces = [];
    let count = 0;
    let after = null;
    for (;;) {
        const rows = await rowsAfter(site, after, AT_ONCE);
        if (!rows.length) break;
        const last = rows.at(-1);
        const piece = encoder.encode(rows.map((r) => `${r.line}\n`).join(''));
        hash.update(piece);
        pieces.push(new Blob([piece])); // the browser may keep it on disk
        count += rows.length;
        after = [last.site, last.id, last.variant];
        report(count);
    }
    pieces.push(`{"lifeboat_end":{"count":${count},"sha256":"${hash.hex()}"}}\n`);
    return { blob: new Blob(pieces, { type: 'application/jsonl' }), count };
}
