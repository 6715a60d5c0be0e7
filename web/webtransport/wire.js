// SPDX-License-Identifier: MIT
// Small things about bytes that the page needs and that need no page.

/** A SHA-256 in hexadecimal, with or without colons or blanks, or in base64: its 32 bytes. */
export function parseHash(text) {
    const bare = text.replace(/[\s:]/g, '');
    if (/^[0-9a-f]{64}$/i.test(bare)) {
        return Uint8Array.from(bare.match(/../g), (pair) => parseInt(pair, 16));
    }
    const base64 = bare.replaceAll('-', '+').replaceAll('_', '/');
    if (/^[0-9a-z+/]{43}=?$/i.test(base64)) {
        return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    }
    throw new TypeError('a SHA-256 has 64 hexadecimal digits, or 44 letters in base64');
}

/** "a, b" as it is offered: ['a', 'b']. */
export function parseList(text) {
    return text.split(',').map((part) => part.trim()).filter(Boolean);
}

/** What has gone by, so that two ways can be compared without keeping them: FNV-1a. */
export class Trace {
    size = 0;
    #hash = 0x811c9dc5;

    add(bytes) {
        let hash = this.#hash;
        for (const byte of bytes) {
            hash = Math.imul(hash ^ byte, 0x01000193);
        }
        this.#hash = hash >>> 0;
        this.size += bytes.length;
    }

    equals(other) {
        return this.size === other.size && this.#hash === other.#hash;
    }
}

/** Any number of random bytes; browsers give 65,536 at once. */
export function randomBytes(size) {
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; at += 65536) {
        crypto.getRandomValues(bytes.subarray(at, at + 65536));
    }
    return bytes;
}

/** The bytes as text where they are one, for a person to read; else their number. */
export function show(bytes, most = 80) {
    const count = `${bytes.length.toLocaleString('en')} byte${bytes.length === 1 ? '' : 's'}`;
    if (bytes.length === 0 || bytes.length > most) {
        return count;
    }
    try {
        const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
        return /\p{Cc}/u.test(text) ? count : `“${text}”`;
    } catch {
        return count;
    }
}

/** 1,234 / 56.7 k / 8.9 M, with its unit behind it. */
export function amount(size) {
    if (size < 10_000) {
        return `${size.toLocaleString('en')} B`;
    }
    return size < 10_000_000 ? `${(size / 1e3).toFixed(1)} kB` : `${(size / 1e6).toFixed(1)} MB`;
}

/** Round trips of datagrams: what was sent is remembered by its bytes until it is back. */
export class RoundTrips {
    #flying = new Map(); // bytes as text -> when each of them was sent
    #most;
    sent = 0;
    back = 0;
    last = 0;
    least = Infinity;
    sum = 0;

    constructor(most = 1000) {
        this.#most = most;
    }

    static #key(bytes) {
        return String.fromCharCode(...bytes.subarray(0, 64)) + bytes.length;
    }

    leave(bytes, now) {
        const key = RoundTrips.#key(bytes);
        this.sent++;
        this.#flying.set(key, [...(this.#flying.get(key) ?? []), now]);
        if (this.#flying.size > this.#most) { // the oldest is lost
            this.#flying.delete(this.#flying.keys().next().value);
        }
    }

    /** How long it was away; undefined if it is none of ours. */
    arrive(bytes, now) {
        const key = RoundTrips.#key(bytes);
        const times = this.#flying.get(key);
        if (!times) {
            return undefined;
        }
        const time = now - times.shift();
        if (times.length === 0) {
            this.#flying.delete(key);
        }
        this.back++;
        this.last = time;
        this.least = Math.min(this.least, time);
        this.sum += time;
        return time;
    }
}
