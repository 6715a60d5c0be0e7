// SPDX-License-Identifier: MIT
// The demo page in two windows, over the browser's own WebTransport and over WebSocket:
// cursors, the chat line, avatars, the transport and its round-trip time. Pictures of it
// are kept among the artefacts.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { artefact, browserPath, startBackend, startChromium } from './support.mjs';

if (!browserPath()) {
    console.log('skipped: no Chromium on this machine');
    process.exit(77);
}

let backend, browser;

before(async () => {
    backend = await startBackend('--workers', process.env.YOMO_WORKERS ?? '1');
    browser = await startChromium(); // the page pins the certificate: no flag is needed
});

after(async () => {
    await browser?.close();
    assert.equal(await backend?.stop(), 0);
});

const id = (name) => `[data-testid="${name}"]`;

async function open(name, room, extra = {}, context = {}) {
    const window = await browser.newContext({
        viewport: { width: 1000, height: 640 },
        ...context,
    });
    const page = await window.newPage();
    page.errors = [];
    page.on('pageerror', (error) => page.errors.push(String(error)));
    const query = new URLSearchParams({ name, room, ...extra });
    await page.goto(`http://localhost:${backend.http_port}/?${query}`);
    await page.locator(`${id('transport')}[data-state="open"]`).waitFor();
    return page;
}

async function playInTwoWindows(room, kind, extra = {}) {
    const ada = await open('Ada Lovelace', room, extra);
    const bob = await open('Bob Kahn', room, extra, { colorScheme: 'dark' });
    try {
        for (const page of [ada, bob]) {
            assert.equal((await page.locator(id('kind')).textContent()).trim(), kind);
            await page.waitForFunction(
                () => /\d/.test(document.querySelector('[data-testid="rtt"]').textContent));
        }

        // Who is here.
        await ada.locator(id('avatar')).first().waitFor();
        await bob.locator(id('avatar')).first().waitFor();

        // Live cursors, with names.
        await ada.mouse.move(200, 200);
        await ada.mouse.move(400, 300, { steps: 8 });
        await bob.mouse.move(700, 420, { steps: 8 });
        await bob.locator(id('cursor')).filter({ hasText: 'Ada Lovelace' }).waitFor();
        await ada.locator(id('cursor')).filter({ hasText: 'Bob Kahn' }).waitFor();
        await bob.waitForFunction(() => {
            const cursor = document.querySelector('[data-testid="cursor"]');
            const box = cursor.getBoundingClientRect();
            return Math.abs(box.left - 400) < 40 && Math.abs(box.top - 300) < 40;
        });

        // The chat line on `/`: seen while it is typed, and in the log after Enter.
        await ada.keyboard.press('/');
        await ada.locator(id('say')).waitFor();
        await ada.keyboard.type('Shall we meet here?');
        await bob.locator(id('cursor')).filter({ hasText: 'Shall we meet here?' }).waitFor();
        await ada.screenshot({ path: artefact(`demo-${room}-ada.png`) });
        await bob.screenshot({ path: artefact(`demo-${room}-bob.png`) });
        await ada.keyboard.press('Enter');
        await bob.locator(id('line')).filter({ hasText: 'Shall we meet here?' }).waitFor();

        // A C program in the same room is another one who is here.
        const native = backend.run('sub', backend.url, room, '--presence', '--id', 'c-program');
        await native.record('joined', (r) => r.type === 'joined');
        await native.record('Ada', (r) => r.type === 'join' && r.state.name === 'Ada Lovelace');
        await ada.waitForFunction(
            () => document.querySelectorAll('[data-testid="avatar"]').length === 2);
        await bob.mouse.move(710, 430, { steps: 4 });
        await native.record('a cursor', (r) => r.type === 'message' && r.event === 'cursor');
        await native.stop();

        // Gone is gone.
        await bob.context().close();
        await ada.waitForFunction(
            () => document.querySelectorAll('[data-testid="avatar"]').length === 0 &&
                document.querySelectorAll('[data-testid="cursor"]').length === 0);
        assert.deepEqual(ada.errors, []);
    } finally {
        await ada.context().close();
        await bob.context().close();
    }
}

test('two windows meet over WebTransport', () => playInTwoWindows('quic', 'WebTransport'));

test('two windows meet over WebSocket', () =>
    playInTwoWindows('tcp', 'WebSocket', { transport: 'websocket' }));

test('a browser without WebTransport falls back to WebSocket by itself', async () => {
    const context = await browser.newContext();
    await context.addInitScript(() => delete globalThis.WebTransport);
    const page = await context.newPage();
    await page.goto(`http://localhost:${backend.http_port}/?room=fallback`);
    await page.locator(`${id('transport')}[data-state="open"]`).waitFor();
    assert.equal((await page.locator(id('kind')).textContent()).trim(), 'WebSocket');
    await context.close();
});

test('a page comes back by itself after the backend was restarted', async () => {
    const own = await startBackend();
    const port = String(own.port);
    const httpPort = String(own.http_port);
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`http://localhost:${own.http_port}/?room=back`);
    await page.locator(`${id('transport')}[data-state="open"]`).waitFor();
    await own.serve.stop();
    await page.locator(`${id('transport')}:not([data-state="open"])`).waitFor();
    const again = own.run('serve', '--port', port, '--http-port', httpPort);
    await again.logLine('listening ');
    await page.locator(`${id('transport')}[data-state="open"]`).waitFor();
    await context.close();
    assert.equal(await again.stop(), 0);
    await own.stop();
});
