// Tests one after the other, as TAP; each has two minutes.

const tests = [];

export const test = (name, run) => tests.push({ name, run });

/** Waits until probe() answers something true, and answers that. */
export async function until(probe, what, ms = 30_000) {
    const end = Date.now() + ms;
    for (;;) {
        const found = await probe();
        if (found) return found;
        if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
        await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
}

/** Runs those whose names hold one of the operands of the program, or all. */
export async function runAll(file) {
    const wanted = process.argv.slice(2);
    const chosen = tests.filter((t) => !wanted.length || wanted.some((w) => t.name.includes(w)));
    let failed = 0;
    for (const { name, run } of chosen) {
        let timer;
        const began = Date.now();
        try {
            await Promise.race([run(), new Promise((_, reject) => {
                timer = setTimeout(() => reject(new Error('it ran longer than two minutes')), 120_000);
            })]);
            console.log(`ok - ${file}: ${name}`);
            if (process.env.TIMES) console.log(`# ${Date.now() - began} ms`);
        } catch (e) {
            failed++;
            console.log(`not ok - ${file}: ${name}\n${String(e.stack).replace(/^/gm, '#   ')}`);
        }
        clearTimeout(timer);
    }
    console.log(`1..${chosen.length}`);
    return failed ? 1 : 0;
}
