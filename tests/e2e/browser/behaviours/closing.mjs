// SPDX-License-Identifier: MIT
// How sessions end, and how streams do.

import { first, streamError, write } from './page.mjs';

const ended = (close_info) => ({ abruptly: false, close_info });

const openUni = (session) => session.createUnidirectionalStream();
const openBidi = async (session) => (await session.createBidirectionalStream()).writable;
const takeBidi = async (session) =>
    (await first(session.incomingBidirectionalStreams)).writable;

/** Something is done with a stream, and the server notes how it ended. */
function noted(open, act, want) {
    return async (t) => {
        const token = t.token();
        const session = await t.connect(`client-close?token=${token}`);
        await act(await open(session), t);
        t.equal(await t.note(token, 'stream-close-info'), want, 'noted');
    };
}

// Without RESET_STREAM_AT nobody can tell whose stream it was then.
const OVERTAKES = {
    Firefox: 'sometimes: its RESET_STREAM leaves no time for the first bytes of the stream',
};

// Of sixty four or so; on the wire they are as the others: CLOSE with FIN, its own FIN, and
// the connection lives on for a tenth of a second.
const LOSES_THE_CLOSE = {
    Chromium: 'sometimes: with a stream in use it may take the end that it was told, and has ' +
        'answered, for a lost connection',
};

const finish = (writable) => { writable.close(); };
const abort = (code) => (writable) => writable.abort(streamError(code));
const reset = (code) => ({ source: 'reset', code });

async function closeThenAbort(writable, t) {
    const writer = writable.getWriter();
    const error = streamError(134);
    await writer.write(new Uint8Array(64 * 1024));
    const promises = [writer.close(), writer.closed, writer.abort(error)];
    for (const promise of promises) {
        t.ok((await t.rejects(promise, 'close, closed or abort')) === error, 'the error');
    }
}

/** Does it settle before another session has been opened from beginning to end? */
async function settles(promise, t) {
    let settled = false;
    const note = () => { settled = true; };
    promise.then(note, note);
    await t.connect('echo');
    return settled;
}

export const closing = [{
    file: 'close',
    behaviours: [
        ['close() without arguments: 0 and no reason at both ends', 'server', async (t) => {
            const token = t.token();
            const session = await t.connect(`client-close?token=${token}`);
            session.close();
            const { closeCode, reason } = await session.closed;
            t.equal([closeCode, reason], [0, ''], 'here');
            t.equal(await t.note(token, 'session-close-info'), ended({ code: 0, reason: '' }),
                'there');
        }],
        ['close() before it is ready', 'browser', async (t) => {
            const session = t.open('echo');
            session.close();
            await t.rejects(session.ready, 'ready');
        }],
        ['close() before it is ready: one WebTransportError for both promises', 'browser',
            async (t) => {
                const session = t.open('echo');
                session.close();
                await t.failed(session);
            }],
        ['code and reason at both ends', 'server', async (t) => {
            const token = t.token();
            const session = await t.connect(`client-close?token=${token}`);
            session.close({ closeCode: 99, reason: 'reason X' });
            const { closeCode, reason } = await session.closed;
            t.equal([closeCode, reason], [99, 'reason X'], 'here');
            t.equal(await t.note(token, 'session-close-info'),
                ended({ code: 99, reason: 'reason X' }), 'there');
        }],
        ['a reason over 1,024 bytes arrives cut between characters', 'server', async (t) => {
            const token = t.token();
            const session = await t.connect(`client-close?token=${token}`);
            const long = '\u3042\u3044\u3046\u3048\u304a'.repeat(1000); // 3 bytes each
            session.close({ closeCode: 11, reason: long });
            await session.closed;
            t.equal(await t.note(token, 'session-close-info'),
                ended({ code: 11, reason: long.slice(0, 341) }), 'there');
        }],
        ['the page keeps the whole of a reason that was cut', 'browser', async (t) => {
            const session = await t.connect('echo');
            const long = 'x'.repeat(2000);
            session.close({ closeCode: 11, reason: long });
            t.equal((await session.closed).reason.length, 2000, 'its length');
        }],
        ['the server ends the connection without a word', 'server', async (t) => {
            await t.rejects(t.open('server-connection-close?now').closed, 'closed');
        }],
        ['it ends so under open streams, and all fail with the same error', 'browser',
            async (t) => {
                const session = t.open('server-connection-close');
                const stream = await first(session.incomingBidirectionalStreams);
                const writer = stream.writable.getWriter();
                const reader = stream.readable.getReader();
                writer.write(new Uint8Array([65])).catch(() => {});
                const error = await t.rejects(session.closed, 'closed');
                t.ok(error instanceof WebTransportError, 'the class of the error');
                t.equal([error.source, error.streamErrorCode], ['session', null], 'the error');
                for (const [closed, what] of [[writer.closed, 'the writer'],
                    [reader.closed, 'the reader']]) {
                    t.ok(await t.rejects(closed, what) === error, `the error of ${what}`);
                }
            }],
        ['the server closes without code and reason', 'server', async (t) => {
            const { closeCode, reason } = await t.open('server-close').closed;
            t.equal([closeCode, reason], [0, ''], 'here');
        }],
        ['the server closes with code and reason', 'server', async (t) => {
            const { closeCode, reason } = await t.open('server-close?code=32&reason=abc').closed;
            t.equal([closeCode, reason], [32, 'abc'], 'here');
        }],
        ['the server closes after it has read', 'server', async (t) => {
            const session = t.open('server-read-then-close');
            const { writable } = await first(session.incomingBidirectionalStreams);
            writable.getWriter().write(new Uint8Array([65])).catch(() => {});
            const { closeCode, reason } = await session.closed;
            t.equal([closeCode, reason], [0, ''], 'here');
        }, [], LOSES_THE_CLOSE],
        ['a unidirectional stream may be opened before it is ready', 'server', async (t) => {
            const session = t.open('echo');
            await session.createUnidirectionalStream();
            await session.ready;
        }],
        ['a bidirectional stream may be opened before it is ready', 'server', async (t) => {
            const session = t.open('echo');
            await session.createBidirectionalStream();
            await session.ready;
        }],
        ['a unidirectional stream is not opened where the server closes at once', 'browser',
            async (t) => {
                const session = t.open('server-close');
                await session.closed;
                const error = await t.rejects(session.createUnidirectionalStream(), 'opening');
                t.equal(error.name, 'InvalidStateError', 'its name');
            }],
        ['a bidirectional stream is not opened where the server closes at once', 'browser',
            async (t) => {
                const session = t.open('server-close');
                await session.closed;
                const error = await t.rejects(session.createBidirectionalStream(), 'opening');
                t.equal(error.name, 'InvalidStateError', 'its name');
            }],
    ],
}, {
    file: 'streams-close',
    behaviours: [
        ['the page finishes its bidirectional stream', 'server',
            noted(openBidi, finish, { source: 'FIN' })],
        ["the page finishes the server's bidirectional stream", 'server',
            noted(takeBidi, finish, { source: 'FIN' })],
        ['the page finishes a unidirectional stream', 'server',
            noted(openUni, finish, { source: 'FIN' })],
        ['abort() of its bidirectional stream', 'server', noted(openBidi, abort(139), reset(139)),
            [], OVERTAKES],
        ["abort() of the server's bidirectional stream", 'server',
            noted(takeBidi, abort(52), reset(52))],
        ['abort() of a unidirectional stream', 'server', noted(openUni, abort(95), reset(95)),
            [], OVERTAKES],
        ['abort() after close() wins', 'browser', noted(openUni, closeThenAbort, reset(134))],
        ['abort() without an error is code 0', 'server',
            noted(openUni, (writable) => writable.abort(), reset(0)), [], OVERTAKES],
        ['STOP_SENDING of the server, code 0', 'server', async (t) => {
            const session = await t.connect('abort-stream-from-server?wt=0');
            const writer = (await session.createUnidirectionalStream()).getWriter();
            await writer.write(new Uint8Array([64]));
            const error = await t.rejects(writer.closed, 'closed');
            t.equal([error.source, error.streamErrorCode], ['stream', 0], 'the error');
        }],
        ['RESET_STREAM of the server, code 4,294,967,295', 'server', async (t) => {
            const session = await t.connect('abort-stream-from-server?wt=4294967295');
            const stream = await session.createBidirectionalStream();
            await stream.writable.getWriter().write(new Uint8Array([64]));
            const error = await t.rejects(stream.readable.getReader().closed, 'closed');
            t.equal([error.source, error.streamErrorCode], ['stream', 4_294_967_295],
                'the error');
        }, [], { Firefox: 'codes over 255 become 0' }],
    ],
}, {
    file: 'bidirectional-cancel-crash',
    behaviours: [
        ['a read that waits ends when the stream is reset', 'server', async (t) => {
            const session = await t.connect('abort-stream-from-server?wt=127');
            const stream = await session.createBidirectionalStream();
            const reader = stream.readable.getReader();
            const read = reader.read();
            await stream.writable.getWriter().write(new Uint8Array([64]));
            await t.rejects(read, 'the read');
            t.equal((await t.rejects(reader.closed, 'closed')).streamErrorCode, 127, 'the code');
        }, [], { Firefox: 'the error of a read that waits has no code' }],
    ],
}, {
    file: 'draining',
    behaviours: [
        ['draining is one promise, and waits', 'browser', async (t) => {
            const session = await t.connect('echo');
            t.ok(session.draining === session.draining, 'the same promise');
            t.ok(!await settles(session.draining, t), 'it waits');
        }, ['WebTransport.draining']],
        ['draining is there before it is ready', 'browser', async (t) => {
            t.ok(t.open('echo').draining instanceof Promise, 'its class');
        }, ['WebTransport.draining']],
        ['the server drains: draining settles, closed does not', 'server', async (t) => {
            const session = await t.connect('server-drain?drain');
            t.equal(await session.draining, undefined, 'its value');
            t.ok(!await settles(session.closed, t), 'closed');
        }, ['WebTransport.draining']],
        ['a drain that the browser does not know changes nothing', 'server', async (t) => {
            const session = await t.connect('server-drain?drain');
            await write(await session.createUnidirectionalStream(), 'A');
            await write((await session.createBidirectionalStream()).writable, 'B');
        }],
        ['streams can be opened and used after draining', 'server', async (t) => {
            const session = await t.connect('server-drain?drain');
            await session.draining;
            await write(await session.createUnidirectionalStream(), 'A');
            await write((await session.createBidirectionalStream()).writable, 'B');
        }, ['WebTransport.draining']],
        ['close without a drain leaves draining waiting', 'browser', async (t) => {
            const session = await t.connect('echo');
            session.close();
            await session.closed;
            t.ok(!await settles(session.draining, t), 'it waits');
        }, ['WebTransport.draining']],
    ],
}];
