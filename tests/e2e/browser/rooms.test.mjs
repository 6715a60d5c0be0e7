// SPDX-License-Identifier: MIT
// The page /rooms in Chromium: two people in one room see each other, speak to all and to one,
// and one whose connection breaks has everything when it is back, once and in order.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { DEADLINE, artefact, browserPath, startBackend, startChromium } from './support.mjs';

if (!browserPath()) {
    console.log('skipped: no Chromium on this machine');
    process.exit(77);
}

let backend, browser;

before(async () => {
    backend = await startBackend('--workers', process.env.YOMO_WORKERS ?? '1',
        '--history-messages', '100');
    browser = await startChromium(); // the page pins the certificate: no flag is needed
});

after(async () => {
    await browser?.close();
    assert.equal(await backend?.stop(), 0);
});

const id = (name) => `[data-testid="${name}"]`;

async function open(fields, context = {}) {
    const window = await browser.newContext({
        viewport: { width: 1100, height: 900 }, ...context,
    });
    const page = await window.newPage();
    page.setDefaultTimeout(DEADLINE);
    page.errors = [];
    page.elsewhere = [];
    page.on('pageerror', (error) => page.errors.push(String(error)));
    page.on('request', (request) => {
        if (new URL(request.url()).hostname !== 'localhost') {
            page.elsewhere.push(request.url());
        }
    });
    await page.goto(`http://localhost:${backend.http_port}/rooms?${new URLSearchParams(fields)}`);
    await page.locator(`${id('state')}[data-state="open"]`).waitFor();
    return page;
}

async function send(page, words, to = '') {
    await page.locator(id('to')).selectOption(to);
    await page.locator(id('text')).fill(words);
    await page.locator(id('text')).press('Enter');
}

const message = (page, words) => page.locator(id('message')).filter({ hasText: words });
const event = (page, words) => page.locator(`${id('log')} li`).filter({ hasText: words }).first();
const person = (page, user) => page.locator(`${id('person')}[data-user="${user}"]`);

/** Of the messages that have a place, the words that begin with `start`, from top to bottom. */
const said = (page, start) => page.locator(id('message')).evaluateAll(
    (lines, word) => lines.map((line) => line.childNodes[1].textContent.trim())
        .filter((words) => words.startsWith(word)), start);

const three = (name) => [1, 2, 3].map((i) => `${name} ${i}`);

/** Bob breaks off; what both say meanwhile arrives once and in order when he is back. */
async function breakAndComeBack(ada, bob) {
    const devices = await person(bob, 'bob').locator(id('device-of')).count();
    await bob.locator(id('break')).click();
    await person(ada, 'bob').filter({ hasText: 'away' }).waitFor();
    await Promise.all([ada, bob].map(async (page) => {
        for (const words of three(page === ada ? 'ada' : 'bob')) {
            await send(page, words);
        }
    }));
    await bob.locator(id('break')).click();
    await event(bob, 'Resumed: the same seat; 3 of your messages had waited').waitFor();
    await event(ada, 'Bob is back').waitFor();
    await message(bob, 'ada 3').waitFor();
    await message(ada, 'bob 3').waitFor();
    await bob.waitForFunction(() => !document.querySelector('[data-waits]'));
    for (const page of [ada, bob]) {
        // What Bob said has its place behind what was said while he was away.
        assert.deepEqual(await said(page, ''), [
            'said before', ...(devices > 1 ? ['for Bob alone', 'for all of Bob'] : []),
            ...three('ada'), ...three('bob'),
        ]);
        assert.equal(await page.locator(id('gap')).count(), 0);
        assert.equal(await person(page, 'bob').locator(id('device-of')).count(), devices);
    }
}

async function meet(room, kind, extra = {}) {
    const ada = await open({ room, id: 'ada', name: 'Ada', ...extra });
    assert.equal(await ada.locator(id('state-text')).textContent(), kind);
    await send(ada, 'said before');
    await ada.locator(`${id('message')}[data-sent="yes"]`).waitFor();

    // Who comes later has what was said before, and both see each other.
    const bob = await open({ room, id: 'bob', name: 'Bob', ...extra }, { colorScheme: 'dark' });
    await message(bob, 'said before').waitFor();
    await person(bob, 'ada').waitFor();
    await person(ada, 'bob').waitFor();
    return [ada, bob];
}

async function leave(...pages) {
    for (const page of pages) {
        assert.deepEqual(page.errors, []);
        assert.deepEqual(page.elsewhere, []);
        await page.context().close();
    }
}

test('two people, three devices, over WebTransport, and a break', async () => {
    const room = 'quic';
    const [ada, bob] = await meet(room, 'WebTransport');

    // What is for Bob alone is nobody's history: not even that of his phone, which comes later.
    await send(ada, 'for Bob alone', 'bob');
    await message(bob, 'for Bob alone').filter({ hasText: 'to you' }).waitFor();
    const phone = await open({ room, id: 'bob', name: 'Bob' },
        { viewport: { width: 400, height: 800 } });
    await person(ada, 'bob').locator(id('device-of')).nth(1).waitFor();
    assert.equal(await person(ada, 'bob').count(), 1);
    assert.ok(await phone.evaluate(
        () => document.documentElement.scrollWidth <= window.innerWidth));

    await message(phone, 'said before').waitFor();

    // To one: all of Bob's devices. A cursor.
    await send(ada, 'for all of Bob', 'bob');
    await message(bob, 'for all of Bob').waitFor();
    await message(phone, 'for all of Bob').waitFor();
    assert.equal(await message(phone, 'for Bob alone').count(), 0);
    await ada.locator(id('to')).selectOption('');
    await ada.locator(id('pad')).hover({ position: { x: 60, y: 60 } });
    await bob.locator(id('pointer')).filter({ hasText: 'Ada' }).waitFor();

    // A counter that both change at once, and a lock that goes to who waits for it.
    await Promise.all([ada, bob, ada, bob].map((page) => page.locator(id('more')).click()));
    await Promise.all([ada, bob, phone].map((page) => page.waitForFunction(
        () => document.querySelector('[data-testid="count"]').textContent === '4')));
    const lock = (page, words) => page.locator(id('lock-text')).filter({ hasText: words })
        .waitFor();
    await ada.locator(id('lock')).click();
    await lock(ada, 'You have the lock');
    await bob.locator(id('lock')).click();
    await lock(bob, 'Ada has the lock; you are in line');
    await ada.locator(id('lock')).click();
    await lock(bob, 'You have the lock');
    await lock(ada, 'Bob has the lock');

    await breakAndComeBack(ada, bob);
    await lock(bob, 'You have the lock'); // a seat that is kept keeps its locks
    await bob.screenshot({ path: artefact('rooms-bob.png'), fullPage: true });
    await leave(phone, bob, ada);
});

test('two people over WebSocket, and a break', async () => {
    const [ada, bob] = await meet('tcp', 'WebSocket', { transport: 'websocket' });
    await breakAndComeBack(ada, bob);
    await leave(bob, ada);
});

test('a page goes when the backend ends, and comes back to the next', async () => {
    const fields = { room: 'end', id: 'ada', name: 'Ada', transport: 'websocket' };
    const page = await open(fields);
    assert.equal(await backend.stop(), 0);
    await event(page, 'the backend ends').waitFor(); // it went by itself
    backend = await startBackend('--workers', process.env.YOMO_WORKERS ?? '1',
        '--port', `${backend.port}`, '--http-port', `${backend.http_port}`);
    await page.locator(`${id('state')}[data-state="open"]`).waitFor();
    assert.deepEqual(page.errors, []);
    await page.context().close();
});
