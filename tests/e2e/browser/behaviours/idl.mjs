// SPDX-License-Identifier: MIT
// The interfaces themselves, member by member, as the W3C's draft of July 2026 has them:
// what Web IDL makes of each is checked on the prototype, and the type of each attribute on
// an object that is in use.

import { streamError } from './page.mjs';

/** Interface: [what it stands on, arguments of its constructor (null: none), members].
 *  A member is [name, type] for a read-only attribute, [name, type, 'set'] for one that
 *  can be set, [name, 'static', type], and [name, 'call', arguments, promise?]. */
const INTERFACES = {
    WebTransport: [null, 1, [
        ['getStats', 'call', 0, 'promise'], ['exportKeyingMaterial', 'call', 3, 'promise'],
        ['ready', 'Promise'], ['reliability', 'string'], ['congestionControl', 'string'],
        ['anticipatedConcurrentIncomingUnidirectionalStreams', 'number?', 'set'],
        ['anticipatedConcurrentIncomingBidirectionalStreams', 'number?', 'set'],
        ['responseHeaders', 'Headers?'], ['protocol', 'string'], ['closed', 'Promise'],
        ['draining', 'Promise'], ['close', 'call', 0],
        ['datagrams', 'WebTransportDatagramDuplexStream'],
        ['createBidirectionalStream', 'call', 0, 'promise'],
        ['incomingBidirectionalStreams', 'ReadableStream'],
        ['createUnidirectionalStream', 'call', 0, 'promise'],
        ['incomingUnidirectionalStreams', 'ReadableStream'], ['createSendGroup', 'call', 0],
        ['supportsReliableOnly', 'static', 'boolean'],
    ]],
    WebTransportDatagramDuplexStream: [null, null, [
        ['createWritable', 'call', 0], ['readable', 'ReadableStream'],
        ['maxDatagramSize', 'number'], ['incomingMaxAge', 'number?', 'set'],
        ['outgoingMaxAge', 'number?', 'set'],
        ['incomingMaxBufferedDatagrams', 'number', 'set'],
        ['outgoingMaxBufferedDatagrams', 'number', 'set'],
    ]],
    WebTransportDatagramsWritable: ['WritableStream', null, [
        ['sendGroup', 'WebTransportSendGroup?', 'set'], ['sendOrder', 'number', 'set'],
    ]],
    WebTransportBidirectionalStream: [null, null, [
        ['readable', 'WebTransportReceiveStream'], ['writable', 'WebTransportSendStream'],
    ]],
    WebTransportSendStream: ['WritableStream', null, [
        ['sendGroup', 'WebTransportSendGroup?', 'set'], ['sendOrder', 'number', 'set'],
        ['getStats', 'call', 0, 'promise'], ['getWriter', 'call', 0],
    ]],
    WebTransportSendGroup: [null, null, [['getStats', 'call', 0, 'promise']]],
    WebTransportReceiveStream: ['ReadableStream', null, [['getStats', 'call', 0, 'promise']]],
    WebTransportWriter: ['WritableStreamDefaultWriter', null, [
        ['atomicWrite', 'call', 0, 'promise'], ['commit', 'call', 0],
    ]],
    WebTransportError: ['DOMException', 0, [
        ['source', 'string'], ['streamErrorCode', 'number?'],
    ]],
};

/** What is known not to hold, and why. */
const KNOWN = {
    'WebTransportBidirectionalStream.readable': { Chromium: 'they are plain streams' },
    'WebTransportBidirectionalStream.writable': { Chromium: 'they are plain streams' },
    'WebTransportSendStream.sendOrder': {
        Firefox: 'it is null at first, as in earlier drafts',
    },
    'WebTransportSendStream.getWriter': { Firefox: "it is WritableStream's own" },
};

/** An object of each interface, in use; all of them of one session. */
const OBJECTS = {
    WebTransport: (t) => t.lasting('echo'),
    WebTransportDatagramDuplexStream: async (t) => (await t.lasting('echo')).datagrams,
    WebTransportDatagramsWritable: async (t) =>
        (await t.lasting('echo')).datagrams.createWritable(),
    WebTransportBidirectionalStream: async (t) =>
        (await t.lasting('echo')).createBidirectionalStream(),
    WebTransportSendStream: async (t) => (await t.lasting('echo')).createUnidirectionalStream(),
    WebTransportSendGroup: async (t) => (await t.lasting('echo')).createSendGroup(),
    WebTransportReceiveStream: async (t) =>
        (await (await t.lasting('echo')).createBidirectionalStream()).readable,
    WebTransportWriter: async (t) =>
        (await (await t.lasting('echo')).createUnidirectionalStream()).getWriter(),
    WebTransportError: () => streamError(7),
};

function isOf(value, type) {
    const name = type.replace('?', '');
    if (value === null) {
        return type.endsWith('?');
    }
    return typeof value === name || (name in globalThis && value instanceof globalThis[name]);
}

/** The flags of a property, as Web IDL wants them. */
function flags(t, object, name, want) {
    const property = Object.getOwnPropertyDescriptor(object, name);
    t.ok(property, `${String(name)} is not the object's own`);
    const has = ['writable', 'enumerable', 'configurable'].filter((flag) => property[flag]);
    t.equal(has, want, `the flags of ${String(name)}`);
    return property;
}

function interfaceObject(name, parent, length) {
    return async (t) => {
        const type = flags(t, globalThis, name, ['writable', 'configurable']).value;
        t.equal([typeof type, type.name], ['function', name], 'the interface object');
        flags(t, type, 'prototype', []);
        t.ok(flags(t, type.prototype, 'constructor', ['writable', 'configurable']).value === type,
            'the constructor of its prototype');
        t.equal(flags(t, type.prototype, Symbol.toStringTag, ['configurable']).value, name,
            'its tag');
        t.ok(Object.getPrototypeOf(type) === (globalThis[parent] ?? Function.prototype),
            'the interface above it');
        t.ok(Object.getPrototypeOf(type.prototype)
            === (globalThis[parent] ?? Object).prototype, 'the prototype above it');
        t.equal(type.length, length ?? 0, 'arguments of its constructor');
        t.throws('TypeError', () => type(), 'a call without new');
        if (length === null) {
            t.throws('TypeError', () => new type(), 'new');
        }
    };
}

async function refusesOthers(t, run, promise) {
    if (promise) {
        const given = run();
        t.ok(given instanceof Promise, 'a promise');
        t.equal((await t.rejects(given, 'another this')).name, 'TypeError', 'its error');
    } else {
        t.throws('TypeError', run, 'another this');
    }
}

function attribute(name, member, type, settable) {
    return async (t) => {
        const { get, set } = flags(t, globalThis[name].prototype, member,
            ['enumerable', 'configurable']);
        t.equal([get?.name, get?.length], [`get ${member}`, 0], 'its getter');
        t.equal([set?.name, set?.length], settable ? [`set ${member}`, 1] : [null, null],
            'its setter');
        await refusesOthers(t, () => get.call({}), type === 'Promise');
        const value = (await OBJECTS[name](t))[member];
        value?.catch?.(() => {});
        t.ok(isOf(value, type), `${String(value)} is not ${type}`);
    };
}

function call(name, member, length, promise) {
    return async (t) => {
        const { value } = flags(t, globalThis[name].prototype, member,
            ['writable', 'enumerable', 'configurable']);
        t.equal([typeof value, value.name, value.length], ['function', member, length], 'it');
        await refusesOthers(t, () => value.call({}, ...Array(length).fill(new Uint8Array(1))),
            promise);
        t.equal(typeof (await OBJECTS[name](t))[member], 'function', 'its type');
    };
}

function fixed(name, member, type) {
    return async (t) => {
        const { get, set } = flags(t, globalThis[name], member, ['enumerable', 'configurable']);
        t.ok(get && !set, 'a getter alone');
        t.ok(isOf(globalThis[name][member], type), `not ${type}`);
    };
}

function described(name, [member, type, ...more]) {
    if (type === 'call') {
        const [length, promise] = more;
        return [`${name}: ${member}()`, 'browser', call(name, member, length, promise),
            [`${name}.${member}`], KNOWN[`${name}.${member}`]];
    }
    if (type === 'static') {
        return [`${name}: static ${member}`, 'browser', fixed(name, member, more[0]),
            [`${name}.${member}`]];
    }
    return [`${name}: ${member}`, 'browser', attribute(name, member, type, more[0]),
        [`${name}.${member}`], KNOWN[`${name}.${member}`]];
}

export const idl = [{
    file: 'idlharness',
    behaviours: Object.entries(INTERFACES).flatMap(([name, [parent, length, members]]) => [
        [`${name}: the interface itself`, 'browser', interfaceObject(name, parent, length),
            [name]],
        ...members.map((member) => described(name, member)),
    ]),
}];
