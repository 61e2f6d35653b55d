// The service worker: keeps the page itself on this device, so that it opens when
// the host is gone. Nothing below /api is ever kept or answered here.
//
// SHELL is the checksum of the files below; scripts/page-version writes it. Another
// checksum is another version: the browser fetches it, the page tells, and it takes
// over when a person agrees.

const SHELL = '19dd753ff211361a';
const FILES = [
    '/icons/lifeboat-192.png',
    '/icons/lifeboat-512.png',
    '/icons/lifeboat.svg',
    '/',
    '/js/api.js',
    '/js/app.js',
    '/js/backup.js',
    '/js/book.js',
    '/js/dom.js',
    '/js/engine.js',
    '/js/idb.js',
    '/js/lines.js',
    '/js/parts.js',
    '/js/restore.js',
    '/js/save.js',
    '/js/sha256.js',
    '/js/stream.js',
    '/js/text.js',
    '/js/turn.js',
    '/js/views/device.js',
    '/js/views/events.js',
    '/js/views/host.js',
    '/js/views/mirror.js',
    '/js/views/notices.js',
    '/js/views/pairing.js',
    '/js/views/queue.js',
    '/js/worker.js',
    '/manifest.webmanifest',
    '/style.css',
];
const NAME = `shell-${SHELL}`;

self.addEventListener('install', (event) => {
    event.waitUntil(caches.open(NAME).then((cache) =>
        cache.addAll(FILES.map((file) => new Request(file, { cache: 'reload' })))));
});

self.addEventListener('activate', (event) => {
    event.waitUntil((async () => {
        for (const name of await caches.keys()) {
            if (name.startsWith('shell-') && name !== NAME) await caches.delete(name);
        }
        await self.clients.claim();
    })());
});

self.addEventListener('message', (event) => {
    if (event.data === 'take over') self.skipWaiting();
});

self.addEventListener('fetch', (event) => {
    const url = new URL(event.request.url);
    if (event.request.method !== 'GET' || url.origin !== self.location.origin) return;
    const path = url.pathname === '/index.html' ? '/' : url.pathname;
    if (!FILES.includes(path)) return;
    event.respondWith(caches.open(NAME)
        .then((cache) => cache.match(path))
        .then((kept) => kept ?? fetch(event.request)));
});
