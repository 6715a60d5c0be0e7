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

const hint = (name) =>
    [`${name} can be read and set`, 'browser', async (t) => {
        const session = await t.connect('echo', { [name]: 99 });
        t.equal(session[name], 99, 'from the constructor');
        session[name] = 65_535;
        t.equal(session[name], 65_535, 'set');
        t.throws('TypeError', () => { session[name] = 65_536; }, 'out of range');
    }, [`WebTransport.${name}`]];

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
            const keys = async (label) => Array.from(
                await session.exportKeyingMaterial(new TextEncoder().encode(label)));
            const [one, again, other] = [
                await keys('EXPORTER-one'), await keys('EXPORTER-one'),
                await keys('EXPORTER-other'),
            ];
            t.equal(one, again, 'the same label');
            t.ok(String(one) !== String(other), 'another label');
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
    ],
}, {
    file: 'anticipated-concurrent-incoming-streams',
    behaviours: [
        hint('anticipatedConcurrentIncomingUnidirectionalStreams'),
        hint('anticipatedConcurrentIncomingBidirectionalStreams'),
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
    ],
}, {
    file: 'historical',
    behaviours: ['writable', 'incomingHighWaterMark', 'outgoingHighWaterMark'].map((name) =>
        [`datagrams.${name} is gone`, 'browser', async (t) => {
            t.ok(!(name in WebTransportDatagramDuplexStream.prototype), 'it');
        }]),
}];
