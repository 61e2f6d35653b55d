// SHA-256 (FIPS 180-4), for where crypto.subtle is missing (a page that is no
// secure context) and for what is hashed piece by piece.

const K = new Uint32Array(64);
const START = new Uint32Array(8);

// The constants are the first 32 bits of the fractional parts of roots of primes.
for (let n = 2, found = 0; found < 64; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false;
    if (!prime) continue;
    const fraction = (x) => Math.floor((x - Math.floor(x)) * 2 ** 32);
    if (found < 8) START[found] = fraction(Math.sqrt(n));
    K[found++] = fraction(Math.cbrt(n));
}

export class Sha256 {
    #h = START.slice();
    #block = new Uint8Array(64);
    #filled = 0;
    #bytes = 0;
    #w = new Uint32Array(64);

    /** Takes bytes (Uint8Array) in; may be called any number of times. */
    update(bytes) {
        this.#bytes += bytes.length;
        for (let at = 0; at < bytes.length;) {
            const n = Math.min(64 - this.#filled, bytes.length - at);
            this.#block.set(bytes.subarray(at, at + n), this.#filled);
            this.#filled += n;
            at += n;
            if (this.#filled === 64) this.#digestBlock();
        }
        return this;
    }

    /** The hash of all that was taken in, 64 hex digits. Nothing may follow. */
    hex() {
        const bits = this.#bytes * 8;
        const tail = new Uint8Array((this.#filled < 56 ? 64 : 128) - this.#filled);
        const end = new DataView(tail.buffer);
        tail[0] = 0x80;
        end.setUint32(tail.length - 8, Math.floor(bits / 2 ** 32));
        end.setUint32(tail.length - 4, bits % 2 ** 32);
        this.update(tail);
        return Array.from(this.#h, (x) => x.toString(16).padStart(8, '0')).join('');
    }

    #digestBlock() {
        const w = this.#w;
        const block = new DataView(this.#block.buffer);
        const turn = (x, n) => (x >>> n) | (x << (32 - n));

        for (let i = 0; i < 16; i++) w[i] = block.getUint32(i * 4);
        for (let i = 16; i < 64; i++) {
            const s0 = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ (w[i - 15] >>> 3);
            const s1 = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ (w[i - 2] >>> 10);
            w[i] = w[i - 16] + s0 + w[i - 7] + s1;
        }
        let [a, b, c, d, e, f, g, h] = this.#h;
        for (let i = 0; i < 64; i++) {
            const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
            const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
            const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
            const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
            [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
        }
        [a, b, c, d, e, f, g, h].forEach((x, i) => { this.#h[i] += x; });
        this.#filled = 0;
    }
}

/** The SHA-256 of bytes, by the browser where it may. */
export async function sha256(bytes) {
    if (!globalThis.crypto?.subtle) return new Sha256().update(bytes).hex();
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    return Array.from(digest, (x) => x.toString(16).padStart(2, '0')).join('');
}
