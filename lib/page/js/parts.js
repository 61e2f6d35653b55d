// A restore is sent in parts of one session. Their bodies are put together as
// text, around lines that stay as they are.

export const LIMITS = { events: 500, bytes: 1_000_000 };

/** How many of rows (each with its `bytes`) make the next part: as many as both
    limits allow, at least one. */
export function cut(rows, limits = LIMITS) {
    let bytes = 0;
    for (let n = 0; n < rows.length; n++) {
        bytes += rows[n].bytes + 2; // a comma and a line's end
        if (n === limits.events || (n > 0 && bytes > limits.bytes)) return n;
    }
    return rows.length;
}

/** The body of POST /api/dr/restore. */
export function body({ session, device, name, lines, more }) {
    return `{"restore_session_id":${JSON.stringify(session)},` +
        `"source_device_id":${JSON.stringify(device)},"source_device_name":${JSON.stringify(name)},` +
        `"more":${more},"events":[\n${lines.join(',\n')}\n],"events_count":${lines.length}}`;
}

/** A new UUID of version 7, which also where there is no crypto.randomUUID. */
export function uuidv7(now = Date.now()) {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    new DataView(bytes.buffer).setUint16(0, Math.floor(now / 2 ** 32));
    new DataView(bytes.buffer).setUint32(2, now % 2 ** 32);
    bytes[6] = (bytes[6] & 0x0f) | 0x70;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = Array.from(bytes, (x) => x.toString(16).padStart(2, '0')).join('');
    return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5');
}
