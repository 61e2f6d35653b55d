// The service worker's side in the page, where the browser allows one.

let told = () => {};
let registration = null;
let agreed = false;

const EVERY = 3_600_000;

function look() {
    if (registration.waiting && navigator.serviceWorker.controller) told('waiting');
    else if (registration.active) told('ready');
}

export const worker = {
    /** tell('none' | 'ready' | 'waiting'): none is possible here; the page is kept;
        a new version waits for agree(). */
    async begin(tell) {
        told = tell;
        if (!navigator.serviceWorker) return tell('none');
        try {
            registration = await navigator.serviceWorker.register('/sw.js', { updateViaCache: 'none' });
        } catch {
            // The host is gone, or its certificate is not trusted: what was kept goes on.
            registration = await navigator.serviceWorker.getRegistration();
            if (!registration) return tell('none');
        }
        registration.addEventListener('updatefound', () => {
            registration.installing?.addEventListener('statechange', look);
        });
        navigator.serviceWorker.addEventListener('controllerchange', () => {
            if (agreed) location.reload();
            else look();
        });
        setInterval(() => registration.update().catch(() => {}), EVERY);
        navigator.serviceWorker.ready.then(look);
        return look();
    },

    agree() {
        agreed = true;
        registration?.waiting?.postMessage('take over');
    },
};
