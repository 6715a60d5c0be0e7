// SPDX-License-Identifier: MIT
// What the API tells of a session, and its attributes.

import { bytes, pause } from './page.mjs';

const needsStats = ['WebTransport.getStats'];
const needsKeys = ['WebTransport.exportKeyingMaterial'];

function plausible(t, stats) {
    for (const name of ['minRtt', 'smoothedRtt']) {
        t.ok(stats[name] > 0 && stats[name] < 5000, `${name} ${stats[name]}`);
    }
}

const encode = (words) => new TextEncoder().encode(words);

const keys = async (session, label, ...context) => Array.from(
    await session.exportKeyingMaterial(encode(label), ...context.filter(Boolean).map(encode)));

const OUT_OF_RANGE = [-1, 65_536, Infinity, -Infinity, NaN];

const hint = (name) => [
    [`${name} is null at first, or when null is asked for`, 'browser', async (t) => {
        for (const options of [{}, { [name]: null }]) {
            t.equal((await t.connect('echo', options))[name], null, 'it');
        }
    }, [`WebTransport.${name}`]],
    [`${name} out of range is refused by the constructor`, 'browser', async (t) => {
        for (const value of OUT_OF_RANGE) {
            t.throws('TypeError', () => t.open('echo', { [name]: value }), String(value));
        }
    }, [`WebTransport.${name}`]],
    [`${name} out of range changes nothing`, 'browser', async (t) => {
        const session = await t.connect('echo', { [name]: 42 });
        for (const value of OUT_OF_RANGE) {
            t.throws('TypeError', () => { session[name] = value; }, String(value));
            t.equal(session[name], 42, 'then');
        }
    }, [`WebTransport.${name}`]],
    [`${name} can be read and set`, 'browser', async (t) => {
        const session = await t.connect('echo', { [name]: 99 });
        t.equal(session[name], 99, 'from the constructor');
        for (const value of [0, 65_535, null]) {
            session[name] = value;
            t.equal(session[name], value, 'set');
        }
    }, [`WebTransport.${name}`]],
];

export const behaviours = [{
    file: 'stats',
    behaviours: [
        ['round-trip times of an open session', 'server', async (t) => {
            const session = await t.connect('echo');
            plausible(t, await session.getStats());
        }, needsStats, { Firefox: 'getStats() is not implemented' }],
        ['statistics after it was closed', 'browser', async (t) => {
            const session = await t.connect('echo');
            session.close();
            plausible(t, await session.getStats());
        }, needsStats],
        ['statistics asked for right before it is closed', 'browser', async (t) => {
            const session = await t.connect('echo');
            const stats = session.getStats();
            session.close();
            plausible(t, await stats);
        }, needsStats],
        ['two requests, one after the other', 'browser', async (t) => {
            const session = await t.connect('echo');
            plausible(t, await session.getStats());
            plausible(t, await session.getStats());
        }, needsStats],
        ['no datagram was lost before one was sent', 'browser', async (t) => {
            const { datagrams } = await (await t.connect('echo')).getStats();
            t.equal(['expiredOutgoing', 'droppedIncoming', 'lostOutgoing'].map(
                (name) => datagrams[name]), [0, 0, 0], 'the counts');
        }, needsStats],
        ['statistics asked for before it is ready', 'browser', async (t) => {
            plausible(t, await t.open('echo').getStats());
        }, needsStats],
        ['two requests at once', 'browser', async (t) => {
            const session = await t.connect('echo');
            const [one, two] = await Promise.all([session.getStats(), session.getStats()]);
            plausible(t, one);
            plausible(t, two);
        }, needsStats],
        ['a session that failed has none', 'browser', async (t) => {
            const session = new WebTransport('https://webtransport.invalid/');
            session.ready.catch(() => {});
            session.closed.catch(() => {});
            t.equal((await t.rejects(session.getStats(), 'getStats')).name, 'InvalidStateError',
                'its name');
        }, needsStats],
        ['datagrams that were dropped on arrival are counted', 'browser', async (t) => {
            const session = await t.connect('echo');
            session.datagrams.incomingHighWaterMark = 4;
            const writer = session.datagrams.writable.getWriter();
            for (let i = 0; i < 64; i++) {
                await writer.write(new Uint8Array([i]));
            }
            for (let i = 0; i < 40; i++) {
                await pause(50);
                if ((await session.getStats()).datagrams.droppedIncoming > 0) {
                    return;
                }
            }
            t.ok(false, 'none was');
        }, [...needsStats, 'WebTransportDatagramDuplexStream.writable']],
    ],
}, {
    file: 'export-keying-material',
    behaviours: [
        ['a label gives keys, another label others', 'browser', async (t) => {
            const session = await t.connect('echo');
            const [one, again, other] = [
                await keys(session, 'EXPORTER-one'), await keys(session, 'EXPORTER-one'),
                await keys(session, 'EXPORTER-other'),
            ];
            t.equal(one, again, 'the same label');
            t.ok(String(one) !== String(other), 'another label');
        }, needsKeys],
        ['a context gives other keys', 'browser', async (t) => {
            const session = await t.connect('echo');
            const [one, other] = [await keys(session, 'EXPORTER-a', 'one'),
                await keys(session, 'EXPORTER-a', 'other')];
            t.ok(one.length > 0 && one.length === other.length, 'their size');
            t.ok(String(one) !== String(other), 'another context');
        }, needsKeys],
        ['another session has other keys', 'browser', async (t) => {
            const [one, other] = await Promise.all([t.connect('echo'), t.connect('echo')]);
            t.ok(String(await keys(one, 'EXPORTER-a')) !== String(await keys(other, 'EXPORTER-a')),
                'another session');
        }, needsKeys],
        ['a closed session gives none', 'browser', async (t) => {
            const session = await t.connect('echo');
            session.close();
            await session.closed;
            t.equal((await t.rejects(keys(session, 'EXPORTER-a'), 'it')).name,
                'InvalidStateError', 'its name');
        }, needsKeys],
        ['an ArrayBuffer is as good as a view', 'browser', async (t) => {
            const session = await t.connect('echo');
            const label = encode('EXPORTER-a');
            t.equal(Array.from(await session.exportKeyingMaterial(label.buffer)),
                await keys(session, 'EXPORTER-a'), 'the keys');
        }, needsKeys],
        ['a label of 198 bytes and a context of 200', 'browser', async (t) => {
            const session = await t.connect('echo');
            for (const [label, context] of [['a'.repeat(198)], ['EXPORTER-a', 'b'.repeat(200)]]) {
                t.ok((await keys(session, label, context)).length > 0, 'keys');
            }
        }, needsKeys],
        ['a label or a context over 255 bytes is refused', 'browser', async (t) => {
            const session = await t.connect('echo');
            for (const [label, context] of [['a'.repeat(256)], ['EXPORTER-a', 'b'.repeat(256)]]) {
                t.equal((await t.rejects(keys(session, label, context), 'it')).name,
                    'RangeError', 'its name');
            }
        }, needsKeys],
    ],
}, {
    file: 'reliability',
    behaviours: [
        ['pending, then supports-unreliable', 'browser', async (t) => {
            const session = t.open('echo');
            t.equal(session.reliability, 'pending', 'at first');
            await session.ready;
            t.equal(session.reliability, 'supports-unreliable', 'when ready');
        }, ['WebTransport.reliability']],
    ],
}, {
    file: 'congestion-control',
    behaviours: [
        ['the attribute says what was asked for, or default', 'browser', async (t) => {
            for (const congestionControl of ['default', 'throughput', 'low-latency']) {
                const session = await t.connect('echo', { congestionControl });
                t.ok([congestionControl, 'default'].includes(session.congestionControl), 'it');
            }
        }, ['WebTransport.congestionControl']],
        ['the attribute is default where nothing was asked for', 'browser', async (t) => {
            t.equal((await t.connect('echo')).congestionControl, 'default', 'it');
        }, ['WebTransport.congestionControl']],
    ],
}, {
    file: 'anticipated-concurrent-incoming-streams',
    behaviours: [
        ...hint('anticipatedConcurrentIncomingUnidirectionalStreams'),
        ...hint('anticipatedConcurrentIncomingBidirectionalStreams'),
    ],
}, {
    file: 'sendstream-bad-chunk',
    behaviours: [
        ['what is not bytes is refused', 'browser', async (t) => {
            const session = await t.connect('echo');
            const { readable, writable } = await session.createBidirectionalStream();
            t.equal((await t.rejects(writable.getWriter().write('foo'), 'a text')).name,
                'TypeError', 'its name');
            bytes(readable).catch(() => {});
        }],
        ['and what is written after it too', 'browser', async (t) => {
            const session = await t.connect('echo');
            const writer = (await session.createUnidirectionalStream()).getWriter();
            const errors = [await t.rejects(writer.write('foo'), 'a text'),
                await t.rejects(writer.write(new Uint8Array(0)), 'bytes after it')];
            t.equal(errors.map(({ name }) => name), ['TypeError', 'TypeError'], 'their names');
        }],
    ],
}, {
    file: 'historical',
    behaviours: ['writable', 'incomingHighWaterMark', 'outgoingHighWaterMark'].map((name) =>
        [`datagrams.${name} is gone`, 'browser', async (t) => {
            t.ok(!(name in WebTransportDatagramDuplexStream.prototype), 'it');
        }]),
}];
