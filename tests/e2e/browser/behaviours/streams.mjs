// SPDX-License-Identifier: MIT
// What streams carry.

import { bytes, first, pattern, pause, same, text, write } from './page.mjs';

async function readInto(reader, size) {
    let buffer = new ArrayBuffer(size);
    for (let at = 0; at < size;) {
        const { value, done } = await reader.read(new Uint8Array(buffer, at, size - at));
        buffer = value.buffer;
        if (done) {
            break;
        }
        at += value.byteLength;
    }
    return new Uint8Array(buffer);
}

async function inHalves(t, readable, sent) {
    const reader = readable.getReader({ mode: 'byob' });
    const half = sent.length / 2;
    for (const at of [0, half]) {
        t.ok(same(await readInto(reader, half), sent.subarray(at, at + half)), 'a half');
    }
}

async function hello(t, stream) {
    const [came] = await Promise.all([
        text(stream.readable), write(stream.writable, 'Hello World'),
    ]);
    t.equal(came, 'Hello World', 'what came back');
}

async function helloUni(t, session) {
    await write(await session.createUnidirectionalStream(), 'Hello World');
    t.equal(await text(await first(session.incomingUnidirectionalStreams)), 'Hello World',
        'what came back');
}

async function echoOf(session, data) {
    const stream = await session.createBidirectionalStream();
    await write(stream.writable, data);
    return stream.readable;
}

async function many(t, type, incoming) {
    const session = await t.connect(`server-create-multiple-streams?type=${type}&count=5`);
    const reader = session[incoming].getReader();
    const texts = [];
    for (let i = 0; i < 5; i++) {
        const { value } = await reader.read();
        texts.push(await text(value.readable ?? value));
    }
    t.equal(texts.sort(), [0, 1, 2, 3, 4].map((i) => `stream${i}`), 'what came');
}

export const streams = [{
    file: 'streams-echo',
    behaviours: [
        ['a bidirectional stream', 'server', async (t) => {
            const session = await t.connect('echo');
            await hello(t, await session.createBidirectionalStream());
        }],
        ['a bidirectional stream, without waiting for ready', 'server', async (t) =>
            hello(t, await t.open('echo').createBidirectionalStream())],
        ["the server's bidirectional stream", 'server', async (t) => {
            const session = await t.connect('echo');
            await hello(t, await first(session.incomingBidirectionalStreams));
        }],
        ['a unidirectional stream', 'server', async (t) =>
            helloUni(t, await t.connect('echo'))],
        ['a unidirectional stream, without waiting for ready', 'server', async (t) =>
            helloUni(t, t.open('echo'))],
        ['BYOB reads of a bidirectional stream', 'server', async (t) => {
            const session = await t.connect('echo');
            const stream = await first(session.incomingBidirectionalStreams);
            await write(stream.writable, pattern(256));
            await inHalves(t, stream.readable, pattern(256));
        }],
        ['BYOB reads of a unidirectional stream', 'server', async (t) => {
            const session = await t.connect('echo');
            await write(await session.createUnidirectionalStream(), pattern(256));
            await inHalves(t, await first(session.incomingUnidirectionalStreams), pattern(256));
        }],
        ['large chunks on a bidirectional stream', 'server', async (t) => {
            const session = await t.connect('echo');
            const stream = await session.createBidirectionalStream();
            const writer = stream.writable.getWriter();
            const chunk = new Uint8Array(16_384);
            const [came] = await Promise.all([
                bytes(stream.readable), writer.write(chunk), writer.write(chunk),
                writer.write(chunk), writer.close(),
            ]);
            t.equal(came.length, 3 * chunk.length, 'how much came back');
        }],
        ['large chunks on a unidirectional stream', 'server', async (t) => {
            const session = await t.connect('echo');
            const writer = (await session.createUnidirectionalStream()).getWriter();
            const chunk = new Uint8Array(16_384);
            await Promise.all([
                writer.write(chunk), writer.write(chunk), writer.write(chunk), writer.close(),
            ]);
            const came = await bytes(await first(session.incomingUnidirectionalStreams));
            t.equal(came.length, 3 * chunk.length, 'how much came back');
        }],
        ['a stream that ends without a byte', 'server', async (t) => {
            const session = await t.connect('echo');
            const stream = await session.createBidirectionalStream();
            stream.writable.close();
            t.equal((await bytes(stream.readable)).length, 0, 'how much came back');
        }],
    ],
}, {
    file: 'echo-large-bidirectional-streams',
    behaviours: [
        ['1 MiB, five times', 'server', async (t) => {
            const session = await t.connect('echo');
            for (let i = 0; i < 5; i++) {
                const stream = await session.createBidirectionalStream();
                const [came] = await Promise.all([
                    bytes(stream.readable), write(stream.writable, new Uint8Array(1 << 20)),
                ]);
                t.equal(came.length, 1 << 20, 'how much came back');
            }
        }],
        ['1 MiB that is read only after it was written', 'server', async (t) => {
            const session = await t.connect('echo');
            for (let i = 0; i < 5; i++) {
                const stream = await session.createBidirectionalStream();
                await write(stream.writable, new Uint8Array(1 << 20));
                t.equal((await bytes(stream.readable)).length, 1 << 20, 'how much came back');
            }
        }],
    ],
}, {
    file: 'incoming-multiple-streams',
    behaviours: [
        ['five unidirectional streams of the server', 'server', (t) =>
            many(t, 'unidi', 'incomingUnidirectionalStreams')],
        ['five bidirectional streams of the server', 'server', (t) =>
            many(t, 'bidi', 'incomingBidirectionalStreams')],
    ],
}, {
    file: 'receive-stream-pull',
    behaviours: [
        ['bytes that came before the first read are kept', 'server', async (t) => {
            const readable = await echoOf(await t.connect('echo'), pattern(64));
            await pause(100);
            t.ok(same(await bytes(readable), pattern(64)), 'the bytes');
        }],
        ['a BYOB read smaller than what came keeps the rest', 'server', async (t) => {
            const readable = await echoOf(await t.connect('echo'), pattern(64));
            const reader = readable.getReader({ mode: 'byob' });
            for (const byte of pattern(64)) {
                const { value, done } = await reader.read(new Uint8Array(1));
                t.equal([done, value[0]], [false, byte], 'a byte');
            }
            const { value, done } = await reader.read(new Uint8Array(1));
            t.equal([done, value.byteLength], [true, 0], 'the end');
            await reader.closed;
        }],
        ['a read waits for bytes that have not come yet', 'server', async (t) => {
            const session = await t.connect('echo');
            const stream = await session.createBidirectionalStream();
            const reader = stream.readable.getReader();
            const read = reader.read();
            const writer = stream.writable.getWriter();
            await writer.write(pattern(8));
            t.ok((await read).value.byteLength > 0, 'the first bytes');
            await writer.close();
            for (;;) {
                const { done } = await reader.read();
                if (done) {
                    break;
                }
            }
        }],
    ],
}, {
    file: 'token-count', // a handler that their pages about workers use
    behaviours: [
        ['a token is counted over sessions', 'server', async (t) => {
            const token = t.token();
            for (const count of ['1', '2', '3']) {
                const session = await t.connect('token-count');
                const stream = await session.createBidirectionalStream();
                await stream.writable.getWriter().write(new TextEncoder().encode(token));
                const reader = stream.readable.getReader();
                t.equal(new TextDecoder().decode((await reader.read()).value), count, 'the count');
                session.close();
            }
        }],
    ],
}];
