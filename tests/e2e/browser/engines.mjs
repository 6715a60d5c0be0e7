// SPDX-License-Identifier: MIT
// The two browser engines behind one face: start, open a page, call a function in it.

import { firefoxPath, startFirefox } from './firefox.mjs';
import { browserPath, startChromium, trust } from './support.mjs';

async function chromiumEngine(backend) {
    const browser = await startChromium(...trust(backend, { quic: true }));
    return {
        name: 'Chromium',
        version: browser.version(),
        async open(url) {
            const context = await browser.newContext();
            const page = await context.newPage();
            await page.goto(url);
            return {
                call: (name, ...args) =>
                    page.evaluate(([name, args]) => globalThis[name](...args), [name, args]),
                close: () => context.close(),
            };
        },
        close: () => browser.close(),
    };
}

const ENGINES = {
    chromium: { start: chromiumEngine, path: browserPath, title: 'Chromium' },
    firefox: { start: startFirefox, path: firefoxPath, title: 'Firefox ESR' },
};

/** Ends the process with 77 where the engine that a test is to run in is missing. */
export function needEngine(name) {
    const engine = ENGINES[name];
    if (!engine.path()) {
        console.log(`skipped: no ${engine.title} on this machine`);
        process.exit(77);
    }
}

/** The engine; it trusts the certificate of `backend` ({ spki, port }). */
export const startEngine = (name, backend) => ENGINES[name].start(backend);
