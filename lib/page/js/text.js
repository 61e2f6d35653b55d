// Numbers, times and sizes as a person reads them, in the device's own language area.

const number = new Intl.NumberFormat();
const when = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const dayOnly = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: 'short', day: 'numeric', month: 'short', timeZone: 'UTC' });

/** What the code calls a reason, as the beginning of a sentence. */
export const sentence = (text) => `${text.slice(0, 1).toUpperCase()}${text.slice(1).replace(/\.$/, '')}.`;

export const count = (n) => number.format(n);
export const plural = (n, one, many = `${one}s`) => `${number.format(n)} ${n === 1 ? one : many}`;
export const events = (n) => plural(n, 'event');
const valid = (ms) => typeof ms === 'number' && Math.abs(ms) < 8.64e15;
export const time = (ms) => (valid(ms) ? when.format(ms) : 'unknown');
export const day = (ms) => (valid(ms) ? dayOnly.format(ms) : 'unknown');
export const isoDay = (text) => weekday.format(new Date(`${text}T00:00:00Z`));

export const range = (from, to) => (day(from) === day(to) ? day(from) : `${day(from)} to ${day(to)}`);

/** A time of day if it was today, else date and time. */
export function moment(ms) {
    if (!valid(ms)) return 'unknown';
    return new Date(ms).toDateString() === new Date().toDateString() ? clock.format(ms) : when.format(ms);
}

const UNITS = [[86_400_000, 'day'], [3_600_000, 'hour'], [60_000, 'minute'], [1000, 'second']];

export function span(ms) {
    const [unit, name] = UNITS.find(([u]) => ms >= u * 1.5) ?? UNITS.at(-1);
    return plural(Math.max(1, Math.round(ms / unit)), name);
}

export function ago(ms) {
    const age = Date.now() - ms;
    if (age < -60_000) return `${span(-age)} ahead of this device’s clock`;
    return age < 10_000 ? 'just now' : `${span(age)} ago`;
}

export function size(bytes) {
    const steps = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
    let n = bytes;
    let i = 0;
    while (n >= 1000 && i < steps.length - 1) { n /= 1000; i++; }
    return new Intl.NumberFormat(undefined, {
        style: 'unit', unit: steps[i], unitDisplay: i ? 'short' : 'long', maximumFractionDigits: n < 10 && i ? 1 : 0,
    }).format(n);
}
