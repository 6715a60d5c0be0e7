// SPDX-License-Identifier: MIT
// The page /webtransport in Chromium against /echo, by its buttons and fields: datagrams,
// streams of both kinds, big ones, broken off ones, and the end of a session. What the page
// does not do (many streams at once, a reader that is slow) is done in it by hand.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import {
    DEADLINE, artefact, browserPath, startBackend, startChromium, within,
} from './support.mjs';

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

async function open(context = {}) {
    const window = await browser.newContext({
        viewport: { width: 1200, height: 900 },
        ...context,
    });
    const page = await window.newPage();
    page.errors = [];
    page.on('pageerror', (error) => page.errors.push(String(error)));
    await page.goto(`http://localhost:${backend.http_port}/webtransport`);
    await page.locator(`${id('log')} li`).filter({ hasText: 'ready' }).waitFor();
    return page;
}

async function connect(page) {
    await page.locator(id('connect')).click();
    await page.locator(`${id('state')}[data-state="open"]`).waitFor();
}

/** An event of the page's log that has `text` in it. */
async function seen(page, text) {
    const event = page.locator(`${id('log')} li`).filter({ hasText: text }).first();
    try {
        await event.waitFor({ timeout: DEADLINE });
    } catch {
        const log = await page.locator(id('log')).innerText();
        throw new Error(`not seen: ${text}; but:\n${log}`);
    }
}

async function number(page, name) {
    const row = page.locator(`${id('numbers')} div`)
        .filter({ has: page.locator('dt', { hasText: new RegExp(`^${name}$`) }) });
    return (await row.first().locator('dd').textContent()).trim();
}

async function metric(name) {
    const answer = await fetch(`http://localhost:${backend.http_port}/metrics`);
    const line = (await answer.text()).split('\n').find((row) => row.startsWith(`${name} `));
    return Number(line?.slice(name.length + 1));
}

async function until(what, holds) {
    await within((async () => {
        while (!await holds()) {
            await new Promise((resolve) => setTimeout(resolve, 20));
        }
    })(), what);
}

test('by hand: datagrams, streams of both kinds, statistics, the end', async () => {
    const page = await open();
    assert.match(await page.locator(id('url')).inputValue(), /^https:\/\/localhost:\d+\/echo$/);
    assert.match(await page.locator(id('hash')).inputValue(), /^([0-9a-f]{2}:){31}[0-9a-f]{2}$/);
    await connect(page);

    await page.locator(id('datagram-text')).fill('Is anybody there?');
    await page.locator(id('datagram-text')).press('Enter');
    await seen(page, 'datagram received: “Is anybody there?”, back after');
    await page.locator(id('datagram-random')).click();
    await seen(page, 'datagram received: 1,000 bytes');
    await until('round trips', async () => /ms/.test(await number(page, 'Round trip')));
    assert.equal(await number(page, 'Datagrams sent'), '2');

    await page.locator(id('stream-open')).click(); // text, bidirectional, with FIN
    await seen(page, 'received “Hello, stream”');
    await seen(page, 'ended after 13 bytes, the same that was sent');

    await page.locator(id('kind-uni')).check();
    await page.locator(id('what-random')).check();
    await page.locator(id('stream-size')).fill('1000000');
    await page.locator(id('stream-open')).click();
    await seen(page, 'incoming unidirectional stream 3: ended after 1,000,000 bytes, the same');

    await page.locator(id('kind-bidi')).check();
    await page.locator(id('stream-file')).setInputFiles({
        name: 'cat.bin', mimeType: 'application/octet-stream',
        buffer: Buffer.alloc(1_000_000, 'libyomo'),
    });
    assert.ok(await page.locator(id('what-file')).isChecked());
    await page.locator(id('stream-finish')).uncheck();
    await page.locator(id('stream-open')).click();
    const file = page.locator(id('flow')).filter({ hasText: 'Bidirectional stream 4' });
    await file.getByText('received 1000.0 kB').waitFor();
    await file.getByRole('button', { name: /^Finish/ }).click();
    await seen(page, 'stream 4: ended after 1,000,000 bytes, the same that was sent');

    await page.screenshot({ path: artefact('webtransport-light.png') });
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.screenshot({ path: artefact('webtransport-dark.png') });
    await page.setViewportSize({ width: 400, height: 800 });
    await page.screenshot({ path: artefact('webtransport-narrow.png'), fullPage: true });
    const sideways = await page.evaluate(
        () => document.documentElement.scrollWidth - innerWidth);
    assert.ok(sideways <= 0, `the narrow page is ${sideways} pixels too wide`);

    await page.locator(id('close-code')).fill('4242');
    await page.locator(id('close-reason')).fill('enough');
    assert.equal(await metric('yomo_echo_connections{transport="webtransport"}'), 1);
    await page.locator(id('close')).click();
    await seen(page, 'closed with code 4242: enough');
    await until('the server to know', async () =>
        await metric('yomo_echo_connections{transport="webtransport"}') === 0);
    assert.deepEqual(page.errors, []);
    await page.context().close();
});

test('by hand: reset and stop, each with its code', async () => {
    const page = await open();
    await connect(page);
    await page.locator(id('stream-finish')).uncheck();
    await page.locator(id('stream-open')).click();
    await seen(page, 'received “Hello, stream”');
    await page.locator(id('stream-code')).fill('77');
    const first = page.locator(id('flow')).filter({ hasText: 'Bidirectional stream 1' });
    await first.getByRole('button', { name: /^Reset/ }).click();
    await seen(page, 'stream 1: the peer broke it off (code 77)');

    // Whether Chromium tells the code of a stop is a race of its own between two messages
    // inside it: it always knows that nobody reads any more. tests/e2e/echo.c has the codes.
    await page.locator(id('stream-open')).click();
    await seen(page, 'stream 2: received “Hello, stream”');
    const second = page.locator(id('flow')).filter({ hasText: 'Bidirectional stream 2' });
    await second.getByRole('button', { name: /^Stop/ }).click();
    await seen(page, 'bidirectional stream 2: the peer reads no more');

    await page.locator(id('kind-uni')).check();
    await page.locator(id('stream-open')).click();
    await seen(page, 'incoming unidirectional stream 4: received “Hello, stream”');
    await page.locator(id('stream-code')).fill('255');
    const third = page.locator(id('flow')).filter({ hasText: 'Unidirectional stream 3' });
    await third.getByRole('button', { name: /^Reset/ }).click();
    await seen(page, 'stream 4: the peer broke it off (code 255)');

    await page.locator(id('stream-open')).click();
    await seen(page, 'incoming unidirectional stream 6: received “Hello, stream”');
    await page.locator(id('stream-code')).fill('78');
    const fourth = page.locator(id('flow')).filter({ hasText: 'Incoming unidirectional stream 6' });
    await fourth.getByRole('button', { name: /^Stop/ }).click();
    await seen(page, /unidirectional stream 5: the peer reads no more \((code 78|The stream .*)\)/);
    await until('no stream to be left', async () => await metric('yomo_echo_streams') === 0);
    assert.deepEqual(page.errors, []);
    await page.context().close();
});

test('what cannot be connected is said', async () => {
    const page = await open();
    await page.locator(id('hash')).fill('not a hash');
    await page.locator(id('connect')).click();
    await seen(page, 'not connected: a SHA-256 has 64');
    await page.locator(id('hash')).fill(Buffer.alloc(32, 7).toString('base64'));
    await page.locator(id('connect')).click();
    await page.locator(`${id('state')}[data-state="failed"]`).waitFor();
    await seen(page, 'not connected: Opening handshake failed');
    assert.ok(await page.locator(id('connect')).isEnabled());
    assert.deepEqual(page.errors, []);
    await page.context().close();
});

test('the demo leads here, and a keyboard is enough', async () => {
    const page = await (await browser.newContext()).newPage();
    await page.goto(`http://localhost:${backend.http_port}/`);
    await page.locator(id('by-hand')).click();
    await seen(page, 'ready');
    await page.locator(id('url')).focus();
    await page.keyboard.press('Enter');
    await page.locator(`${id('state')}[data-state="open"]`).waitFor();
    await page.locator(id('close-reason')).focus();
    await page.keyboard.type('bye');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await seen(page, 'closed with code 0: bye');
    const nameless = await page.evaluate(() => [...document.querySelectorAll(
        'input, textarea, select, button')].filter((control) => !(control.ariaLabel ||
        control.labels?.length || control.textContent.trim())).length);
    assert.equal(nameless, 0, 'every control has a name');
    await page.context().close();
});

test('many streams at once, and one that is read slowly', async () => {
    const page = await open();
    const result = await within(page.evaluate(async () => {
        const config = await (await fetch('../config.json')).json();
        const hash = Uint8Array.from(
            config.certificate_sha256.match(/../g), (pair) => parseInt(pair, 16));
        const session = new WebTransport(`https://localhost:${config.port}/echo`, {
            serverCertificateHashes: [{ algorithm: 'sha-256', value: hash }],
        });
        await session.ready;
        const bytesOf = async (readable) => new Uint8Array(
            await new Response(readable).arrayBuffer());

        // One that nobody reads yet, with more than the server holds.
        const slow = await session.createBidirectionalStream();
        const slowWriter = slow.writable.getWriter();
        const much = new Uint8Array(3_000_000).map((_, i) => i * 7);
        const slowDone = slowWriter.write(much).then(() => slowWriter.close());

        // Two hundred beside it, of both kinds, forty at once: Chromium refuses to open
        // more than the server allows (100) rather than to wait.
        const incoming = session.incomingUnidirectionalStreams.getReader();
        const back = [];
        const taken = (async () => {
            for (let i = 0; i < 100; i++) {
                back.push(bytesOf((await incoming.read()).value));
            }
        })();
        let next = 0;
        let good = 0;
        const work = Array.from({ length: 40 }, async () => {
            while (next < 200) {
                const i = next++;
                const bytes = new Uint8Array(100 * i).fill(i);
                if (i % 2) {
                    const writer = (await session.createUnidirectionalStream()).getWriter();
                    await writer.write(bytes);
                    await writer.close();
                    continue;
                }
                const stream = await session.createBidirectionalStream();
                const writer = stream.writable.getWriter();
                const heard = bytesOf(stream.readable);
                await writer.write(bytes);
                await writer.close();
                const got = await heard;
                good += got.length === bytes.length && got.every((byte) => byte === i);
            }
        });
        await Promise.all(work);
        await taken;
        const sizes = (await Promise.all(back)).map((bytes) => bytes.length)
            .sort((a, b) => a - b);
        const late = await bytesOf(slow.readable);
        await slowDone;
        session.close();
        return {
            good, uni: sizes.length, sum: sizes.reduce((a, b) => a + b, 0),
            late: late.length, same: late.every((byte, i) => byte === ((i * 7) & 255)),
        };
    }), 'the streams', 60_000);
    assert.deepEqual(result, {
        good: 100, uni: 100, sum: 100 * 100 * 100, late: 3_000_000, same: true,
    });
    await page.context().close();
});
