// SPDX-License-Identifier: MIT
// The behaviours in a worker, whatever its kind: it is told which, by a message with a port
// for the answer.

import { runAll } from './page.mjs';

async function answer({ where, list }, port) {
    try {
        port.postMessage({ outcomes: await runAll(where, list) });
    } catch (error) {
        port.postMessage({ error: String(error) });
    }
}

function onMessage(event) {
    const done = answer(event.data, event.ports[0]);
    event.waitUntil?.(done); // a service worker lives as long
}

globalThis.onmessage = onMessage;
globalThis.onconnect = (event) => { event.ports[0].onmessage = onMessage; };
