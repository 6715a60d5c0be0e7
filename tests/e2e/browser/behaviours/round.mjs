// SPDX-License-Identifier: MIT
// The whole round, which every browser with the API must go.

import { bytes, first, pattern, pause, same, streamError, text, write } from './page.mjs';

const DATAGRAMS = 10;

async function datagramsComeBack(t) {
    const session = await t.connect('echo');
    const writer = (session.datagrams.writable ?? session.datagrams.createWritable()).getWriter();
    const reader = session.datagrams.readable.getReader();
    const missing = new Set(Array.from({ length: DATAGRAMS }, (_, i) => `datagram ${i}`));
    (async () => {
        for (;;) {
            const { value, done } = await reader.read();
            if (done) {
                return;
            }
            missing.delete(new TextDecoder().decode(value));
        }
    })().catch(() => {});
    while (missing.size > 0) { // what was lost is sent again
        for (const data of missing) {
            await writer.write(new TextEncoder().encode(data));
        }
        await pause(50);
    }
}

async function bidirectional(t) {
    const session = await t.connect('echo');
    const stream = await session.createBidirectionalStream();
    const sent = pattern(204_800);
    const [came] = await Promise.all([bytes(stream.readable), write(stream.writable, sent)]);
    t.ok(same(came, sent), 'the bytes that came back');
}

async function unidirectional(t) {
    const session = await t.connect('echo');
    const sent = pattern(204_800);
    const [came] = await Promise.all([
        first(session.incomingUnidirectionalStreams).then(bytes),
        session.createUnidirectionalStream().then((stream) => write(stream, sent)),
    ]);
    t.ok(same(came, sent), 'the bytes that came back');
}

async function serverBidirectional(t) {
    const session = await t.connect('echo');
    const stream = await first(session.incomingBidirectionalStreams);
    const sent = pattern(204_800);
    const [came] = await Promise.all([bytes(stream.readable), write(stream.writable, sent)]);
    t.ok(same(came, sent), 'the bytes that came back');
}

const OPEN = {
    'a unidirectional stream': (session) => session.createUnidirectionalStream(),
    'a bidirectional stream': async (session) =>
        (await session.createBidirectionalStream()).writable,
    "the server's bidirectional stream": async (session) =>
        (await first(session.incomingBidirectionalStreams)).writable,
};

function resets(open, code) {
    return async (t) => {
        const token = t.token();
        const session = await t.connect(`client-close?token=${token}`);
        const writable = await open(session);
        const writer = writable.getWriter();
        await writer.write(new Uint8Array([1]));
        await t.note(token, 'stream-open-info');
        writer.abort(streamError(code)).catch(() => {});
        t.equal(await t.note(token, 'stream-close-info'), { source: 'reset', code }, 'noted');
    };
}

function stops(open, code) {
    return async (t) => {
        const token = t.token();
        const session = await t.connect(`client-close?token=${token}`);
        const stream = await open(session);
        await stream.writable.getWriter().write(new Uint8Array([1]));
        await t.note(token, 'stream-open-info');
        stream.readable.cancel(streamError(code)).catch(() => {});
        t.equal(await t.note(token, 'stream-stop-info'), { code }, 'noted');
    };
}

function serverStops(code) {
    return async (t) => {
        const session = await t.connect(`abort-stream-from-server?wt=${code}`);
        const writer = (await session.createUnidirectionalStream()).getWriter();
        await writer.write(new Uint8Array([1]));
        const error = await t.rejects(writer.closed, 'closed');
        t.ok(error instanceof WebTransportError, 'the class of the error');
        t.equal([error.source, error.streamErrorCode], ['stream', code], 'the error');
    };
}

function serverResets(code) {
    return async (t) => {
        const session = await t.connect(`abort-stream-from-server?wt=${code}`);
        const stream = await session.createBidirectionalStream();
        await stream.writable.getWriter().write(new Uint8Array([1]));
        const error = await t.rejects(stream.readable.getReader().closed, 'closed');
        t.ok(error instanceof WebTransportError, 'the class of the error');
        t.equal([error.source, error.streamErrorCode], ['stream', code], 'the error');
    };
}

async function closes(t) {
    const token = t.token();
    const session = await t.connect(`client-close?token=${token}`);
    session.close({ closeCode: 4_294_967_295, reason: 'done, thank you: \u00e9' });
    t.equal(await t.note(token, 'session-close-info'), {
        abruptly: false,
        close_info: { code: 4_294_967_295, reason: 'done, thank you: \u00e9' },
    }, 'noted');
}

async function serverCloses(t) {
    const session = t.open('server-close?code=4294967295&reason=enough%3A%20%C3%A9');
    const { closeCode, reason } = await session.closed;
    t.equal([closeCode, reason], [4_294_967_295, 'enough: \u00e9'], 'how it closed');
}

/** A connection that is closed right behind the session must not hide how that ended. */
async function serverClosesOften(t) {
    for (let code = 1; code <= 30; code++) {
        const { closeCode } = await t.open(`server-close?code=${code}`).closed;
        t.equal(closeCode, code, 'the code');
    }
}

async function manyAtOnce(t) {
    const session = await t.connect('echo');
    const texts = Array.from({ length: 50 }, (_, i) => `stream ${i}`);
    const echoes = await Promise.all(texts.map(async (words) => {
        const stream = await session.createBidirectionalStream();
        const [came] = await Promise.all([text(stream.readable), write(stream.writable, words)]);
        return came;
    }));
    t.equal(echoes, texts, 'what came back');
}

const CODES = [0, 7, 29, 30, 255];

const NO_STOPS = { Firefox: 'cancel() sends no STOP_SENDING' };

export const round = [{
    file: 'round',
    places: ['page'],
    behaviours: [
        ['datagrams come back', 'server', datagramsComeBack],
        ['a bidirectional stream comes back', 'server', bidirectional],
        ['a unidirectional stream comes back on one of the server', 'server', unidirectional],
        ['a bidirectional stream of the server carries both ways', 'server',
            serverBidirectional],
        ['fifty streams at once', 'server', manyAtOnce],
        ...Object.entries(OPEN).flatMap(([name, open]) =>
            CODES.map((code) =>
                [`the page resets ${name}, code ${code}`, 'server', resets(open, code)])),
        ...CODES.map((code) => [`the page stops its own stream, code ${code}`, 'server',
            stops((session) => session.createBidirectionalStream(), code), [], NO_STOPS]),
        ...CODES.map((code) => [`the page stops the server's stream, code ${code}`, 'server',
            stops((session) => first(session.incomingBidirectionalStreams), code), [],
            NO_STOPS]),
        ...CODES.map((code) =>
            [`the server stops a stream, code ${code}`, 'server', serverStops(code)]),
        ...CODES.map((code) =>
            [`the server resets a stream, code ${code}`, 'server', serverResets(code)]),
        ['the page closes with code and reason', 'server', closes],
        ['the server closes with code and reason', 'server', serverCloses],
        ['the server closes thirty sessions at once, each with its code', 'server',
            serverClosesOften],
    ],
}];
