// SPDX-License-Identifier: MIT
// Datagrams, and how many of them may wait.

import { pause, write } from './page.mjs';

const writerOf = (session) =>
    (session.datagrams.writable ?? session.datagrams.createWritable()).getWriter();

const encode = (words) => new TextEncoder().encode(words);
const decode = (data) => new TextDecoder().decode(data);

/** Write `data` again and again until `done`: a datagram may be lost. */
async function writeUntil(writer, data, done) {
    let over = false;
    const end = done.finally(() => { over = true; });
    while (!over) {
        await Promise.race([writer.write(data()), end]);
        await Promise.race([pause(20), end]);
    }
    return end;
}

async function echoes(t, session) {
    const writer = writerOf(session);
    const reader = session.datagrams.readable.getReader();
    let counter = 0;
    const came = (async () => {
        const seen = [];
        while (seen.length < 5) {
            seen.push(Number(decode((await reader.read()).value)));
        }
        return seen;
    })();
    const seen = await writeUntil(writer, () => encode(String(counter++)), came);
    t.ok(seen.every((number) => number < counter), 'only what was sent');
    t.equal(new Set(seen).size, 5, 'none twice');
}

async function maximum(t, writer, session) {
    const size = session.datagrams.maxDatagramSize;
    const reader = session.datagrams.readable.getReader();
    const { value } = await writeUntil(writer, () => new Uint8Array(size), reader.read());
    t.equal(JSON.parse(decode(value)).length, size, 'the length there');
}

function attribute(name, defaults, smallest) {
    return async (t) => {
        const { datagrams } = await t.connect('echo');
        t.ok(defaults(datagrams[name]), `its first value ${datagrams[name]}`);
        datagrams[name] = 5;
        t.equal(datagrams[name], 5, 'set');
        for (const bad of [-1, NaN]) {
            t.throws('RangeError', () => { datagrams[name] = bad; }, String(bad));
        }
        datagrams[name] = 0;
        t.ok(Object.is(datagrams[name], smallest), `0 becomes ${datagrams[name]}`);
    };
}

const needsWritable = ['WebTransportDatagramDuplexStream.createWritable'];
const needsGroup = ['WebTransport.createSendGroup'];

export const datagrams = [{
    file: 'datagrams',
    behaviours: [
        ['they are echoed', 'server', async (t) => echoes(t, await t.connect('echo'))],
        ['they may be sent before it is ready', 'server', async (t) => echoes(t, t.open('echo'))],
        ['BYOB reads', 'browser', async (t) => {
            const session = await t.connect('echo');
            const reader = session.datagrams.readable.getReader({ mode: 'byob' });
            const { value } = await writeUntil(writerOf(session), () => encode('x'),
                reader.read(new Uint8Array(10)));
            t.equal(decode(value), 'x', 'what came');
        }],
        ['a BYOB buffer that is too small is an error', 'browser', async (t) => {
            const session = await t.connect('echo');
            const reader = session.datagrams.readable.getReader({ mode: 'byob' });
            const error = await t.rejects(
                writeUntil(writerOf(session), () => new Uint8Array(10),
                    reader.read(new Uint8Array(1))), 'the read');
            t.equal(error.name, 'RangeError', 'its name');
        }],
        ['one of the largest size arrives whole', 'server', async (t) => {
            const session = await t.connect('echo_datagram_length');
            await maximum(t, writerOf(session), session);
        }],
        ['one over the largest size is not sent', 'browser', async (t) => {
            const session = await t.connect('echo_datagram_length');
            const writer = writerOf(session);
            const reader = session.datagrams.readable.getReader();
            const read = reader.read();
            for (;;) {
                const size = session.datagrams.maxDatagramSize;
                await writer.write(new Uint8Array(size + 1)).catch(() => {});
                if (await Promise.race([read.then(() => false), pause(500).then(() => true)])) {
                    return;
                }
                t.ok(session.datagrams.maxDatagramSize > size, 'the path takes no more now');
            }
        }],
        ['outgoingHighWaterMark holds writers back', 'browser', async (t) => {
            const session = await t.connect('echo');
            session.datagrams.outgoingHighWaterMark = 5;
            const writer = writerOf(session);
            t.equal(writer.desiredSize, 5, 'room at first');
            for (let i = 0; i < 5; i++) {
                writer.write(encode(String(i)));
            }
            t.equal(writer.desiredSize, 0, 'room after five');
            await writer.ready;
        }, ['WebTransportDatagramDuplexStream.outgoingHighWaterMark']],
        ['no more wait to be read than incomingHighWaterMark', 'browser', async (t) => {
            const session = await t.connect('echo');
            session.datagrams.incomingHighWaterMark = 5;
            const writer = writerOf(session);
            for (let i = 0; i < 50; i++) {
                await writer.write(encode(String(i)));
            }
            await pause(300);
            const reader = session.datagrams.readable.getReader();
            let waiting = 0;
            while (await Promise.race([reader.read().then(() => true), pause(50)])) {
                waiting++;
            }
            t.ok(waiting <= 5, `${waiting} waited`);
        }, ['WebTransportDatagramDuplexStream.incomingHighWaterMark']],
        ...['incoming', 'outgoing'].flatMap((way) => [
            [`${way}MaxAge can be read and set`, 'browser',
                attribute(`${way}MaxAge`, (value) => value === Infinity || value === null,
                    Infinity),
                [`WebTransportDatagramDuplexStream.${way}MaxAge`]],
            [`${way}HighWaterMark can be read and set`, 'browser',
                attribute(`${way}HighWaterMark`, (value) => value >= 1, 1),
                [`WebTransportDatagramDuplexStream.${way}HighWaterMark`]],
        ]),
    ],
}, {
    file: 'datagram-bad-chunk',
    behaviours: [
        ['what is not bytes is refused', 'browser', async (t) => {
            const session = await t.connect('echo');
            const writable = session.datagrams.writable ?? session.datagrams.createWritable();
            t.equal((await t.rejects(writable.getWriter().write('foo'), 'a text')).name,
                'TypeError', 'its name');
        }],
        ['and what is written after it too', 'browser', async (t) => {
            const session = await t.connect('echo');
            const writer = writerOf(session);
            const errors = [await t.rejects(writer.write('foo'), 'a text'),
                await t.rejects(writer.write(new Uint8Array(0)), 'bytes after it')];
            t.equal(errors.map(({ name }) => name), ['TypeError', 'TypeError'], 'their names');
        }],
    ],
}, {
    file: 'datagram-cancel-crash',
    places: ['page'],
    behaviours: [
        ['cancel() in a frame that is gone', 'browser', async () => {
            const frame = document.createElement('iframe');
            document.body.append(frame);
            const session = new frame.contentWindow.WebTransport('https://example.invalid/');
            session.ready.catch(() => {});
            session.closed.catch(() => {});
            frame.remove();
            session.datagrams.readable.cancel().catch(() => {});
        }],
    ],
}, {
    file: 'datagrams-writable',
    behaviours: [
        ['createWritable() gives a writable with sendOrder and sendGroup', 'browser',
            async (t) => {
                const session = await t.connect('echo');
                const writable = session.datagrams.createWritable({ sendOrder: 42 });
                t.equal([writable.sendOrder, writable.sendGroup], [42, null], 'they');
                writable.sendOrder = -50;
                t.equal(writable.sendOrder, -50, 'set');
            }, needsWritable],
        ['it is a WebTransportDatagramsWritable and a WritableStream', 'browser', async (t) => {
            const writable = (await t.connect('echo')).datagrams.createWritable();
            t.ok(writable instanceof WebTransportDatagramsWritable, 'its class');
            t.ok(writable instanceof WritableStream, 'the class above it');
        }, needsWritable],
        ['sendOrder is 0 and sendGroup null at first', 'browser', async (t) => {
            const writable = (await t.connect('echo')).datagrams.createWritable();
            t.equal([writable.sendOrder, writable.sendGroup], [0, null], 'they');
        }, needsWritable],
        ['sendGroup can be set, and taken away', 'browser', async (t) => {
            const session = await t.connect('echo');
            const group = session.createSendGroup();
            const writable = session.datagrams.createWritable({ sendGroup: group });
            t.ok(writable.sendGroup === group, 'from the option');
            writable.sendGroup = null;
            t.equal(writable.sendGroup, null, 'taken away');
            writable.sendGroup = group;
            t.ok(writable.sendGroup === group, 'set');
        }, [...needsWritable, ...needsGroup]],
        ['a group of another session is refused', 'browser', async (t) => {
            const [one, other] = await Promise.all([t.connect('echo'), t.connect('echo')]);
            const sendGroup = one.createSendGroup();
            t.throws('InvalidStateError', () => other.datagrams.createWritable({ sendGroup }),
                'another session');
        }, [...needsWritable, ...needsGroup]],
        ['several of them, each with its order', 'browser', async (t) => {
            const { datagrams: all } = await t.connect('echo');
            const two = [10, 20].map((sendOrder) => all.createWritable({ sendOrder }));
            t.ok(two[0] !== two[1], 'two of them');
            t.equal(two.map(({ sendOrder }) => sendOrder), [10, 20], 'their orders');
        }, needsWritable],
        ['several datagrams written at once are echoed', 'server', async (t) => {
            const session = await t.connect('echo');
            const writer = session.datagrams.createWritable({ sendOrder: 5 }).getWriter();
            const reader = session.datagrams.readable.getReader();
            const missing = new Set(['one', 'two', 'three']);
            while (missing.size > 0) {
                for (const words of missing) {
                    writer.write(encode(words)).catch(() => {});
                }
                const late = pause(100);
                while (missing.size > 0) {
                    const came = await Promise.race([reader.read(), late]);
                    if (!came) {
                        break;
                    }
                    missing.delete(decode(came.value));
                }
            }
        }, needsWritable],
        ['its writer is ready at once', 'browser', async (t) => {
            const writer = (await t.connect('echo')).datagrams.createWritable().getWriter();
            await writer.ready;
            t.ok(writer.desiredSize > 0, `room ${writer.desiredSize}`);
        }, needsWritable],
        ['what is written there is echoed', 'server', async (t) => {
            const session = await t.connect('echo');
            const reader = session.datagrams.readable.getReader();
            const writer = session.datagrams.createWritable().getWriter();
            const { value } = await writeUntil(writer, () => encode('test message'),
                reader.read());
            t.equal(decode(value), 'test message', 'what came');
        }, needsWritable],
        ['one of the largest size written there arrives whole', 'server', async (t) => {
            const session = await t.connect('echo_datagram_length');
            await maximum(t, session.datagrams.createWritable().getWriter(), session);
        }, needsWritable],
        ['a closed session gives no writable', 'browser', async (t) => {
            const session = await t.connect('echo');
            session.close();
            await session.closed;
            t.throws('InvalidStateError', () => session.datagrams.createWritable(), 'closed');
        }, needsWritable],
        ['the stream of datagrams stays beside streams', 'server', async (t) => {
            const session = await t.connect('echo');
            await Promise.all([
                echoes(t, session),
                (async () => {
                    await write(await session.createUnidirectionalStream(), 'beside');
                })(),
            ]);
        }],
    ],
}];
