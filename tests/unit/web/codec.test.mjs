// SPDX-License-Identifier: MIT
// The demo's codec and framing against the bytes of docs/protocol.md.

import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';

// A browser knows a module by the tag that loads it, node by a package.json beside it.
const folder = mkdtempSync(join(tmpdir(), 'yomo-web-'));
after(() => rmSync(folder, { recursive: true }));
cpSync(new URL('../../../web', import.meta.url), folder, { recursive: true });
writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
const load = (name) => import(pathToFileURL(join(folder, name)));
const { Deframer, frame } = await load('links.js');
const { decode, encode } = await load('msgpack.js');

const page = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8');

/** The fenced blocks of hexadecimal digits, with what stands behind `hex`. */
const blocks = [...page.matchAll(/^```hex (.*)\n([^`]*)```/gm)].map(([, info, digits]) => ({
    name: /name=(\S+)/.exec(info)[1],
    kind: /kind=(\S+)/.exec(info)?.[1] ?? 'message',
    bytes: Uint8Array.from(digits.match(/[0-9a-f]{2}/g), (pair) => parseInt(pair, 16)),
}));

const hex = (bytes) => Buffer.from(bytes).toString('hex');

test('there are examples of all kinds', () => {
    for (const kind of ['message', 'frame', 'malformed']) {
        assert.ok(blocks.some((block) => block.kind === kind), kind);
    }
});

for (const { name, kind, bytes } of blocks) {
    if (kind === 'message' || kind.startsWith('payload')) {
        test(`${name} is read and written as the same bytes`, () => {
            assert.equal(hex(encode(decode(bytes))), hex(bytes));
        });
    }
    if (kind === 'message') {
        test(`${name} cut short is not read`, () => {
            for (let size = 0; size < bytes.length; size++) {
                assert.throws(() => decode(bytes.subarray(0, size)));
            }
        });
    }
    if (kind === 'frame') {
        test(`${name} is taken apart whatever pieces it comes in`, () => {
            const whole = new Deframer().push(bytes);
            assert.equal(hex(frame(whole[0])), hex(bytes));
            const deframer = new Deframer();
            const messages = [...bytes, ...bytes].flatMap((byte) =>
                deframer.push(Uint8Array.of(byte)));
            assert.deepEqual(messages, [whole[0], whole[0]]);
        });
    }
}

test('numbers of every width come back', () => {
    const numbers = [0, 1, 127, 128, 255, 256, 65535, 65536, 2 ** 32 - 1, 2 ** 32,
        Number.MAX_SAFE_INTEGER, 2n ** 64n - 1n, -1, -32, -33, -128, -32769, -(2 ** 31),
        -(2 ** 31) - 1, Number.MIN_SAFE_INTEGER, 0.5, -1.25, 1e300];
    for (const number of numbers) {
        assert.equal(decode(encode(number)), number);
    }
});

test('texts, bytes, arrays and maps of every size come back', () => {
    for (const size of [0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536]) {
        assert.equal(decode(encode('x'.repeat(size))).length, size);
        assert.equal(decode(encode(new Uint8Array(size))).length, size);
        assert.equal(decode(encode(new Array(size).fill(null))).length, size);
    }
    const map = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`key ${i}`, i]));
    assert.deepEqual({ ...decode(encode(map)) }, map);
});

test('what is undefined is left out', () => {
    assert.deepEqual({ ...decode(encode({ a: 1, b: undefined })) }, { a: 1 });
});

test('a key named __proto__ is a key', () => {
    const map = decode(Uint8Array.of(0x81, 0xa9, ...Buffer.from('__proto__'), 1));
    assert.equal(Object.getPrototypeOf(map), null);
    assert.deepEqual(Object.keys(map), ['__proto__']);
});

test('nesting has an end', () => {
    assert.throws(() => decode(new Uint8Array(1000).fill(0x91)), RangeError);
});

test('what stands behind the value is not passed over', () => {
    assert.throws(() => decode(Uint8Array.of(0xc0, 0xc0)), RangeError);
});

test('frames have lengths of one, two and four bytes', () => {
    for (const [size, head] of [[0, 1], [63, 1], [64, 2], [16383, 2], [16384, 4], [70000, 4]]) {
        const bytes = frame(new Uint8Array(size));
        assert.equal(bytes.length, head + size);
        assert.equal(new Deframer().push(bytes)[0].length, size);
    }
});

test('a frame that is too big is refused before it is there', () => {
    assert.throws(() => new Deframer().push(Uint8Array.of(0xbf, 0xff, 0xff, 0xff)), RangeError);
});
