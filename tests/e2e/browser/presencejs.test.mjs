// SPDX-License-Identifier: MIT
// The sentence that libyomo was begun for: an unmodified @yomo/presence page over
// WebTransport, another over WebSocket, and C programs over both sit in one room and hear
// each other.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Member } from './crowd.mjs';
import { browserPath, startBackend, startChromium, startPages, trust, within } from './support.mjs';

const NEW = '/node_modules/@yomo/presence/dist/index.js';
const OLD = '/node_modules/presence-2.2.0/dist/index.mjs';

if (!browserPath()) {
    console.log('skipped: no Chromium on this machine');
    process.exit(77);
}

const SECRET = '0123456789abcdefghijklmnopqrstuvwxyz';

let backend, pages, quicBrowser, tcpBrowser, folder;

before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'yomo-secret-'));
    writeFileSync(join(folder, 'secret'), SECRET, { mode: 0o600 });
    backend = await startBackend('--workers', process.env.YOMO_WORKERS ?? '1',
        '--admin-port', '0', '--admin-token-file', join(folder, 'secret'));
    pages = await startPages();
    quicBrowser = await startChromium(...trust(backend, { quic: true }));
    // Without the forced origin, Chromium refuses a certificate that no public root signed
    // over QUIC, and presencejs moves down to WebSocket: what happens where UDP is blocked.
    tcpBrowser = await startChromium(...trust(backend, { quic: false }));
});

after(async () => {
    await quicBrowser?.close();
    await tcpBrowser?.close();
    await pages?.stop();
    rmSync(folder, { recursive: true, force: true });
    assert.equal(await backend?.stop(), 0);
});

async function open(browser, room, id, { library = NEW, script } = {}) {
    const context = await browser.newContext();
    const page = await context.newPage();
    if (script) {
        await page.addInitScript(script);
    }
    page.on('pageerror', (error) => console.log(`page ${id}: ${error}`));
    const query = new URLSearchParams({ package: library, url: backend.url, id, room, name: id });
    await page.goto(`${pages.origin}/presencejs.html?${query}`);
    await page.waitForFunction(() => window.page?.joined);
    return page;
}

const broadcast = (page, event, data) =>
    page.evaluate(([event, data]) => window.page.channel.broadcast(event, data), [event, data]);

const heard = (page, event, data, from) =>
    page.waitForFunction(
        ([event, data, from]) =>
            window.page.messages.some(
                (message) => JSON.stringify(message) === JSON.stringify([event, data, from]),
            ),
        [event, data, from],
        { timeout: 20_000 },
    );

/** The page's list of peers is exactly `ids`. */
const sees = (page, ids) =>
    page.waitForFunction(
        (ids) => {
            const now = window.page.peers.map((peer) => peer.id).sort();
            return JSON.stringify(now) === JSON.stringify(ids);
        },
        [...ids].sort(),
        { timeout: 20_000 },
    );

test('four kinds of members sit in one room and hear each other', async (t) => {
    const room = 'four';
    const overQuic = await open(quicBrowser, room, 'wt-page');
    const overTcp = await open(tcpBrowser, room, 'ws-page');
    const nativeQuic = backend.run('sub', backend.url, room, '--presence', '--id', 'wt-native',
        '--transport', 'webtransport');
    const nativeTcp = backend.run('sub', backend.url, room, '--presence', '--id', 'ws-native',
        '--transport', 'websocket');
    try {
        assert.equal((await nativeQuic.record('joined', (r) => r.type === 'joined')).transport,
            'webtransport');
        assert.equal((await nativeTcp.record('joined', (r) => r.type === 'joined')).transport,
            'websocket');

        await t.test('everybody sees everybody else, with their states', async () => {
            const all = ['wt-page', 'ws-page', 'wt-native', 'ws-native'];
            await sees(overQuic, all.filter((id) => id !== 'wt-page'));
            await sees(overTcp, all.filter((id) => id !== 'ws-page'));
            for (const native of [nativeQuic, nativeTcp]) {
                for (const id of ['wt-page', 'ws-page']) {
                    const seen = await native.record(
                        `${id} with its state`,
                        (r) => ['join', 'state'].includes(r.type) && r.from === id &&
                            r.state.name === id,
                    );
                    assert.equal(seen.state.id, id);
                }
            }
            const states = await overTcp.evaluate(() => window.page.peers);
            assert.equal(states.find((peer) => peer.id === 'wt-page').name, 'wt-page');
        });

        await t.test('what a page over WebTransport says, the three others hear', async () => {
            await broadcast(overQuic, 'cursor', { x: 1, y: 2 });
            await heard(overTcp, 'cursor', { x: 1, y: 2 }, 'wt-page');
            for (const native of [nativeQuic, nativeTcp]) {
                await native.record('the cursor', (r) => r.type === 'message' &&
                    r.event === 'cursor' && r.from === 'wt-page' && r.data.x === 1);
            }
        });

        await t.test('what a page over WebSocket says, the three others hear', async () => {
            await broadcast(overTcp, 'chat', 'grüß dich 👋');
            await heard(overQuic, 'chat', 'grüß dich 👋', 'ws-page');
            for (const native of [nativeQuic, nativeTcp]) {
                await native.record('the greeting', (r) => r.type === 'message' &&
                    r.from === 'ws-page' && r.data === 'grüß dich 👋');
            }
        });

        for (const transport of ['webtransport', 'websocket']) {
            await t.test(`what a C program over ${transport} says, all hear`, async () => {
                const data = { via: transport };
                const pub = backend.run('pub', backend.url, room, 'chat', JSON.stringify(data),
                    '--id', `pub-${transport}`, '--transport', transport);
                assert.equal(await within(pub.exited, 'pub to end'), 0, pub.log.join('\n'));
                await heard(overQuic, 'chat', data, `pub-${transport}`);
                await heard(overTcp, 'chat', data, `pub-${transport}`);
                for (const native of [nativeQuic, nativeTcp]) {
                    await native.record('the message', (r) => r.type === 'message' &&
                        r.from === `pub-${transport}` && r.data.via === transport);
                }
            });
        }

        await t.test('nobody hears an echo of what it said itself', async () => {
            const own = (page, id) => page.evaluate(
                (id) => window.page.messages.filter(([, , from]) => from === id).length, id);
            assert.equal(await own(overQuic, 'wt-page'), 0);
            assert.equal(await own(overTcp, 'ws-page'), 0);
        });

        await t.test('a page that is closed is gone for all, and so is a C program', async () => {
            await overTcp.context().close();
            await nativeQuic.record('the leave', (r) => r.type === 'leave' && r.from === 'ws-page');
            await nativeTcp.record('the leave', (r) => r.type === 'leave' && r.from === 'ws-page');
            await nativeTcp.stop();
            await nativeQuic.record('the leave', (r) => r.type === 'leave' &&
                r.from === 'ws-native');
            await sees(overQuic, ['wt-native']);
        });

        await t.test('a page whose browser is killed is gone as well', async () => {
            const doomed = await startChromium(...trust(backend, { quic: true }));
            await open(doomed, room, 'doomed');
            await nativeQuic.record('doomed', (r) => r.type === 'join' && r.from === 'doomed');
            await doomed.close();
            await nativeQuic.record('the leave of doomed', (r) => r.type === 'leave' &&
                r.from === 'doomed');
        });
    } finally {
        await nativeQuic.stop();
        await nativeTcp.stop();
        await overQuic.context().close();
    }
});

test('a page whose state names another id leaves no ghost', async () => {
    // presencejs keys members by the id inside the state; the connection has another one.
    const room = 'ghosts';
    const watcher = await open(tcpBrowser, room, 'watcher');
    const other = await open(quicBrowser, room, 'connection-id');
    await sees(watcher, ['connection-id']);
    const state = backend.run('sub', backend.url, room, '--id', 'native-id', '--presence');
    await state.record('joined', (r) => r.type === 'joined');
    await sees(watcher, ['connection-id', 'native-id']);
    await state.stop();
    await other.context().close();
    await sees(watcher, []);
    await watcher.context().close();
});

test('pages of the older release share presence and talk to C programs', async () => {
    const room = 'old';
    const old = await open(quicBrowser, room, 'old-page', { library: OLD });
    const native = backend.run('sub', backend.url, room, '--presence', '--id', 'native');
    try {
        await native.record('joined', (r) => r.type === 'joined');
        await native.record('the old page', (r) => ['join', 'state'].includes(r.type) &&
            r.from === 'old-page');
        await sees(old, ['native']);
        await broadcast(old, 'cursor', { x: 7 });
        const message = await native.record('its cursor', (r) => r.type === 'message' &&
            r.from === 'old-page');
        assert.deepEqual(message.data, { x: 7 });
    } finally {
        await native.stop();
        await old.context().close();
    }
});

test('a storm of joins leaves pages with a true list, and answers are not relayed', async () => {
    const room = 'storm';
    const CROWD = 100;
    const overQuic = await open(quicBrowser, room, 'wt-page');
    const crowd = [];
    const come = (count) => {
        for (; count > 0; count--) {
            crowd.push(new Member(backend.http_port, room, `raw-${crowd.length}`));
        }
        return Promise.all(crowd.map((member) => member.joined));
    };
    come(CROWD / 2);
    const overTcp = await open(tcpBrowser, room, 'ws-page'); // in the midst of it
    await within(come(CROWD / 2), 'all to be in');
    const ids = () => crowd.map((member) => member.id);
    await sees(overQuic, ['ws-page', ...ids()]);
    await sees(overTcp, ['wt-page', ...ids()]);

    const others = ['wt-page', 'ws-page', ...ids().slice(1)];
    const [first] = crowd;
    for (const [index, member] of crowd.splice(CROWD / 2).entries()) {
        if (index % 2 === 0) {
            member.leave();
        } else {
            member.vanish();
        }
    }
    await sees(overQuic, ['ws-page', ...ids()]);
    await sees(overTcp, ['wt-page', ...ids()]);
    // One who was there from early on has heard of each of the others once, though all of
    // them have answered all others, and of those who left.
    await first.until((heard) => heard.size === others.length + CROWD / 2);
    for (const id of others) {
        assert.equal(first.heard.get(`peer_state ${id}`), 1, id);
    }
    for (const page of [overQuic, overTcp]) {
        assert.ok(await page.evaluate(() => window.page.peersLog.every(
            (list) => new Set(list).size === list.length)));
        await page.context().close();
    }
    crowd.forEach((member) => member.vanish());
});

test('a large message between WebSocket pages arrives, one over the limit hurts nobody',
    async () => {
        const room = 'large';
        const sender = await open(tcpBrowser, room, 'sender');
        const receiver = await open(tcpBrowser, room, 'receiver');
        const overQuic = await open(quicBrowser, room, 'datagrams');
        const large = 'x'.repeat(30_000);
        await broadcast(sender, 'big', large);
        await heard(receiver, 'big', large, 'sender');
        // presencejs over WebTransport has datagrams only: too big for it, and the next
        // message still comes.
        await broadcast(overQuic, 'big', 'y'.repeat(1100));
        await broadcast(sender, 'chat', 'still here');
        await heard(receiver, 'chat', 'still here', 'sender');
        await heard(overQuic, 'chat', 'still here', 'sender');
        await broadcast(overQuic, 'chat', 'me too');
        await heard(receiver, 'chat', 'me too', 'datagrams');
        for (const page of [sender, receiver, overQuic]) {
            await page.context().close();
        }
    });

test('bytes from a C program reach a page as its codec gives them', async () => {
    const room = 'bytes';
    const page = await open(quicBrowser, room, 'page');
    const say = backend.program(process.env.YOMO_SAY_BYTES, backend.url, room, 'bytes', '0001ff');
    assert.equal(await within(say.exited, 'the sender to end'), 0, say.log.join('\n'));
    await page.waitForFunction(() => window.page.messages.some(([event]) => event === 'bytes'));
    const bytes = await page.evaluate(() => Array.from(window.page.messages[0][1]));
    assert.deepEqual(bytes, [0, 1, 255]);
    // Nothing in the page's read loop broke: the next message still comes.
    const pub = backend.run('pub', backend.url, room, 'chat', '"after"', '--id', 'native');
    assert.equal(await within(pub.exited, 'pub to end'), 0, pub.log.join('\n'));
    await heard(page, 'chat', 'after', 'native');
    await page.context().close();
});

/** Runs in the page: how each of its connections ends, as the browser tells the package. */
function watchEnds() {
    window.ends = [];
    const { WebSocket: Socket, WebTransport: Transport } = window;
    window.WebSocket = class extends Socket {
        constructor(...args) {
            super(...args);
            this.addEventListener('close', ({ code, reason }) =>
                window.ends.push(['websocket', code, reason]));
        }
    };
    if (Transport) {
        window.WebTransport = class extends Transport {
            constructor(...args) {
                super(...args);
                this.closed.then(
                    ({ closeCode, reason }) =>
                        window.ends.push(['webtransport', closeCode, reason]),
                    () => {}); // for the package a reason to come again
            }
        };
    }
}

const admin = async (call, body) => {
    const answer = await fetch(`http://127.0.0.1:${backend.admin_port}/admin/v1/${call}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${SECRET}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
    });
    assert.equal(answer.status, 200, await answer.clone().text());
    return answer.json();
};

test('a page that is put out, or whose room is closed, is told so that it stays away', async () => {
    for (const [kind, browser] of [['webtransport', quicBrowser], ['websocket', tcpBrowser]]) {
        for (const [call, body] of [
            ['kick', { id: `${kind}-kick`, reason: 'be nice' }],
            ['ban', { id: `${kind}-ban`, seconds: 60, room: `${kind}-ban`, reason: 'be nice' }],
            ['close', { room: `${kind}-close`, reason: 'be nice' }],
        ]) {
            const name = `${kind}-${call}`;
            const page = await open(browser, name, name, { script: watchEnds });
            const other = await open(browser, name, `${name}-other`);
            await sees(other, [name]);
            const { kicked } = await admin(call, body);
            assert.equal(kicked, call === 'close' ? 2 : 1);
            // A WebSocket code from 4000 on, a clean close of WebTransport: the package takes
            // both for final, and everything else for a reason to come again.
            await page.waitForFunction(
                (end) => JSON.stringify(window.ends.at(-1)) === JSON.stringify(end),
                [kind, 4410, 'be nice'], { timeout: 20_000 });
            if (call !== 'close') {
                await sees(other, []);
            }
            await page.context().close();
            await other.context().close();
        }
    }
});
