// The little that the views need of the document.

const SVG = 'http://www.w3.org/2000/svg';

export const $ = (id) => document.getElementById(id);

/** An element: h('p', { class: 'x', onclick: f }, 'text', child, null…). */
export function h(name, attributes = {}, ...children) {
    const e = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        if (key.startsWith('on')) e.addEventListener(key.slice(2), value);
        else if (value === true) e.setAttribute(key, '');
        else if (value !== false && value != null) e.setAttribute(key, value);
    }
    e.append(...children.flat().filter((c) => c != null && c !== false));
    return e;
}

/** One of the symbols ok, warn, bad, off, busy, none; the words beside it say what it means. */
export function icon(name) {
    const svg = document.createElementNS(SVG, 'svg');
    const use = document.createElementNS(SVG, 'use');
    svg.setAttribute('class', `icon ${name}`);
    svg.setAttribute('aria-hidden', 'true');
    use.setAttribute('href', `#i-${name}`);
    svg.append(use);
    return svg;
}

export function svg(name, attributes) {
    const e = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
    return e;
}

/** Puts children in place of what is there, unless nothing would change: what has
    not changed is not read out again, and keeps its focus. */
export function fill(parent, ...children) {
    const next = h('div', {}, ...children);
    if (parent.innerHTML !== next.innerHTML) parent.replaceChildren(...next.childNodes);
}

export function state(parent, name, text) {
    fill(parent, icon(name), h('span', {}, text));
}

export const term = (name, ...value) => h('div', {}, h('dt', {}, name), h('dd', {}, ...value));
