// SPDX-License-Identifier: MIT
// MessagePack, as much of it as yomo messages use: null, booleans, numbers, strings, bytes
// (Uint8Array), arrays and maps with string keys (plain objects). Whole numbers that a
// double cannot hold are BigInts, in both directions.

const utf8 = new TextEncoder();
const text = new TextDecoder('utf-8', { fatal: true });
const DEPTH_MAX = 32;

class Writer {
    bytes = new Uint8Array(256);
    view = new DataView(this.bytes.buffer);
    size = 0;

    room(extra) {
        if (this.size + extra <= this.bytes.length) {
            return;
        }
        const larger = new Uint8Array((this.size + extra) * 2);
        larger.set(this.bytes.subarray(0, this.size));
        this.bytes = larger;
        this.view = new DataView(larger.buffer);
    }

    // One byte, and behind it `width` bytes written by the DataView's method `set`.
    head(byte, set = null, width = 0, value = 0) {
        this.room(1 + width);
        this.bytes[this.size] = byte;
        if (set) {
            this.view[set](this.size + 1, value);
        }
        this.size += 1 + width;
    }

    append(bytes) {
        this.room(bytes.length);
        this.bytes.set(bytes, this.size);
        this.size += bytes.length;
    }

    whole(value) {
        if (value >= 0) {
            if (value < 0x80) {
                this.head(Number(value));
            } else if (value <= 0xff) {
                this.head(0xcc, 'setUint8', 1, Number(value));
            } else if (value <= 0xffff) {
                this.head(0xcd, 'setUint16', 2, Number(value));
            } else if (value <= 0xffffffff) {
                this.head(0xce, 'setUint32', 4, Number(value));
            } else {
                this.head(0xcf, 'setBigUint64', 8, BigInt(value));
            }
        } else if (value >= -32) {
            this.head(Number(value) & 0xff);
        } else if (value >= -0x80) {
            this.head(0xd0, 'setInt8', 1, Number(value));
        } else if (value >= -0x8000) {
            this.head(0xd1, 'setInt16', 2, Number(value));
        } else if (value >= -0x80000000) {
            this.head(0xd2, 'setInt32', 4, Number(value));
        } else {
            this.head(0xd3, 'setBigInt64', 8, BigInt(value));
        }
    }

    string(value) {
        const bytes = utf8.encode(value);
        if (bytes.length < 32) {
            this.head(0xa0 | bytes.length);
        } else if (bytes.length <= 0xff) {
            this.head(0xd9, 'setUint8', 1, bytes.length);
        } else if (bytes.length <= 0xffff) {
            this.head(0xda, 'setUint16', 2, bytes.length);
        } else {
            this.head(0xdb, 'setUint32', 4, bytes.length);
        }
        this.append(bytes);
    }

    binary(bytes) {
        if (bytes.length <= 0xff) {
            this.head(0xc4, 'setUint8', 1, bytes.length);
        } else if (bytes.length <= 0xffff) {
            this.head(0xc5, 'setUint16', 2, bytes.length);
        } else {
            this.head(0xc6, 'setUint32', 4, bytes.length);
        }
        this.append(bytes);
    }

    count(count, short, medium, long) {
        if (count < 16) {
            this.head(short | count);
        } else if (count <= 0xffff) {
            this.head(medium, 'setUint16', 2, count);
        } else {
            this.head(long, 'setUint32', 4, count);
        }
    }

    any(value) {
        if (value === null || value === undefined) {
            this.head(0xc0);
        } else if (typeof value === 'boolean') {
            this.head(value ? 0xc3 : 0xc2);
        } else if (typeof value === 'bigint' || Number.isSafeInteger(value)) {
            this.whole(value);
        } else if (typeof value === 'number') {
            this.head(0xcb, 'setFloat64', 8, value);
        } else if (typeof value === 'string') {
            this.string(value);
        } else if (value instanceof Uint8Array) {
            this.binary(value);
        } else if (Array.isArray(value)) {
            this.count(value.length, 0x90, 0xdc, 0xdd);
            value.forEach((item) => this.any(item));
        } else {
            const entries = Object.entries(value).filter(([, item]) => item !== undefined);
            this.count(entries.length, 0x80, 0xde, 0xdf);
            for (const [key, item] of entries) {
                this.string(key);
                this.any(item);
            }
        }
    }
}

/** The bytes of `value`. Members that are undefined are left out. */
export function encode(value) {
    const writer = new Writer();
    writer.any(value);
    return writer.bytes.slice(0, writer.size);
}

class Reader {
    at = 0;

    constructor(bytes) {
        this.bytes = bytes;
        this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }

    // DataView throws a RangeError past the end, and so does `take`.
    number(get, width) {
        const value = this.view[get](this.at);
        this.at += width;
        return value;
    }

    big(get) {
        const value = this.number(get, 8);
        const number = Number(value);
        return Number.isSafeInteger(number) ? number : value;
    }

    take(size) {
        if (size > this.bytes.length - this.at) {
            throw new RangeError('MessagePack ends too early');
        }
        this.at += size;
        return this.bytes.subarray(this.at - size, this.at);
    }

    string(size) {
        return text.decode(this.take(size));
    }

    array(count, depth) {
        const items = [];
        for (let i = 0; i < count; i++) {
            items.push(this.any(depth));
        }
        return items;
    }

    map(count, depth) {
        const map = Object.create(null); // so that no key has a meaning of its own
        for (let i = 0; i < count; i++) {
            map[String(this.any(depth))] = this.any(depth);
        }
        return map;
    }

    any(depth = 0) {
        if (depth > DEPTH_MAX) {
            throw new RangeError('MessagePack is nested too deep');
        }
        const byte = this.number('getUint8', 1);
        if (byte < 0x80) return byte;
        if (byte < 0x90) return this.map(byte & 15, depth + 1);
        if (byte < 0xa0) return this.array(byte & 15, depth + 1);
        if (byte < 0xc0) return this.string(byte & 31);
        if (byte >= 0xe0) return byte - 0x100;
        switch (byte) {
            case 0xc0: return null;
            case 0xc2: return false;
            case 0xc3: return true;
            case 0xc4: return this.take(this.number('getUint8', 1)).slice();
            case 0xc5: return this.take(this.number('getUint16', 2)).slice();
            case 0xc6: return this.take(this.number('getUint32', 4)).slice();
            case 0xca: return this.number('getFloat32', 4);
            case 0xcb: return this.number('getFloat64', 8);
            case 0xcc: return this.number('getUint8', 1);
            case 0xcd: return this.number('getUint16', 2);
            case 0xce: return this.number('getUint32', 4);
            case 0xcf: return this.big('getBigUint64');
            case 0xd0: return this.number('getInt8', 1);
            case 0xd1: return this.number('getInt16', 2);
            case 0xd2: return this.number('getInt32', 4);
            case 0xd3: return this.big('getBigInt64');
            case 0xd9: return this.string(this.number('getUint8', 1));
            case 0xda: return this.string(this.number('getUint16', 2));
            case 0xdb: return this.string(this.number('getUint32', 4));
            case 0xdc: return this.array(this.number('getUint16', 2), depth + 1);
            case 0xdd: return this.array(this.number('getUint32', 4), depth + 1);
            case 0xde: return this.map(this.number('getUint16', 2), depth + 1);
            case 0xdf: return this.map(this.number('getUint32', 4), depth + 1);
            default: throw new RangeError('MessagePack of a kind that is not used here');
        }
    }
}

/** The one value that `bytes` hold. Throws a RangeError or TypeError otherwise. */
export function decode(bytes) {
    const reader = new Reader(bytes);
    const value = reader.any();
    if (reader.at !== bytes.length) {
        throw new RangeError('there is more behind the MessagePack value');
    }
    return value;
}
