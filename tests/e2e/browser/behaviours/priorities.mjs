// SPDX-License-Identifier: MIT
// sendOrder and sendGroup.

import { text, write } from './page.mjs';

const needsOrder = ['WebTransportSendStream.sendOrder'];
const needsGroup = ['WebTransport.createSendGroup'];

async function withOptions(t, options) {
    const session = await t.connect('echo');
    const stream = await session.createBidirectionalStream(options(session));
    const [came] = await Promise.all([text(stream.readable), write(stream.writable, 'Hello')]);
    t.equal(came, 'Hello', 'what came back');
    return stream.writable;
}

export const priorities = [{
    file: 'sendorder',
    behaviours: [
        ['a stream with sendOrder carries both ways', 'server', async (t) => {
            const writable = await withOptions(t, () => ({ sendOrder: 3 }));
            t.equal(writable.sendOrder, 3, 'sendOrder');
        }, needsOrder],
        ['sendOrder can be set later', 'browser', async (t) => {
            const session = await t.connect('echo');
            const { writable } = await session.createBidirectionalStream({ sendOrder: 3 });
            writable.sendOrder = 5;
            t.equal(writable.sendOrder, 5, 'set');
        }, needsOrder],
        ['sendOrder begins as null and can go back to it', 'browser', async (t) => {
            const session = await t.connect('echo');
            const { writable } = await session.createBidirectionalStream();
            t.equal(writable.sendOrder, null, 'at first');
            writable.sendOrder = 4;
            writable.sendOrder = null;
            t.equal(writable.sendOrder, null, 'again');
        }, needsOrder],
        ['what was written with a higher sendOrder arrives first', 'browser', async (t) => {
            const token = t.token();
            const session = await t.connect(`sendorder?token=${token}`);
            const low = await session.createUnidirectionalStream({ sendOrder: 1 });
            const high = await session.createUnidirectionalStream({ sendOrder: 2 });
            await Promise.all([
                write(low, new Uint8Array(2_000_000).fill(1)),
                write(high, new Uint8Array(200_000).fill(2)),
            ]);
            const order = await t.note(token, 'order');
            t.ok(order.lastIndexOf(2) < order.lastIndexOf(1), 'the low one ends last');
        }, needsOrder],
    ],
}, {
    file: 'sendgroup',
    behaviours: [
        ['a stream of a group carries both ways', 'server', async (t) => {
            const writable = await withOptions(t, (session) => ({
                sendGroup: session.createSendGroup(), sendOrder: 5,
            }));
            t.equal(writable.sendOrder, 5, 'sendOrder');
        }, needsGroup],
        ['createSendGroup() gives a WebTransportSendGroup, each time another', 'browser',
            async (t) => {
                const session = await t.connect('echo');
                const groups = [session.createSendGroup(), session.createSendGroup()];
                t.ok(groups.every((group) => group instanceof WebTransportSendGroup), 'class');
                t.ok(groups[0] !== groups[1], 'two of them');
            }, needsGroup],
        ['unidirectional streams of two groups', 'server', async (t) => {
            const session = await t.connect('echo');
            for (const sendOrder of [7, 8]) {
                const sendGroup = session.createSendGroup();
                const stream = await session.createUnidirectionalStream({ sendGroup, sendOrder });
                t.ok(stream.sendGroup === sendGroup, 'its group');
                t.equal(stream.sendOrder, sendOrder, 'its order');
                await write(stream, `of order ${sendOrder}`);
            }
        }, needsGroup],
        ['several streams of one group', 'server', async (t) => {
            const session = await t.connect('echo');
            const sendGroup = session.createSendGroup();
            await Promise.all([
                session.createUnidirectionalStream({ sendGroup }),
                session.createUnidirectionalStream({ sendGroup }),
                session.createBidirectionalStream({ sendGroup }).then((both) => both.writable),
            ].map(async (stream) => write(await stream, 'together')));
        }, needsGroup],
        ['sendGroup can be set later, and taken away', 'browser', async (t) => {
            const session = await t.connect('echo');
            const groups = [session.createSendGroup(), session.createSendGroup()];
            const stream = await session.createUnidirectionalStream({ sendGroup: groups[0] });
            for (const group of [groups[1], groups[0], null]) {
                stream.sendGroup = group;
                t.ok(stream.sendGroup === group, 'it');
            }
        }, needsGroup],
        ['a group of another session is refused', 'browser', async (t) => {
            const [one, other] = await Promise.all([t.connect('echo'), t.connect('echo')]);
            const stream = await one.createUnidirectionalStream();
            t.throws('InvalidStateError', () => { stream.sendGroup = other.createSendGroup(); },
                'another session');
        }, needsGroup],
        ['a closed session makes no group', 'browser', async (t) => {
            const session = await t.connect('echo');
            session.close();
            await session.closed;
            t.throws('InvalidStateError', () => session.createSendGroup(), 'closed');
        }, needsGroup],
    ],
}];
