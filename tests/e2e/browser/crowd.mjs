// SPDX-License-Identifier: MIT
// A member that speaks presencejs over a plain WebSocket, without a browser around it: some
// hundred of them fit into one process. Like the pages of backends that leave presence to
// their clients, it answers whatever it hears of another with its own state.

import { createHash, randomBytes } from 'node:crypto';
import { createConnection } from 'node:net';

import { decode, encode } from '@msgpack/msgpack';

import { within } from './support.mjs';

const BINARY = 2;
const CLOSE = 8;

export class Member {
    #socket;
    #rest = Buffer.alloc(0);
    #open = false;
    #in;
    #told = () => {};
    heard = new Map(); // `op id`: how often

    constructor(port, room, id) {
        this.room = room;
        this.id = id;
        this.state = { id, name: id };
        const key = randomBytes(16).toString('base64');
        const accept = createHash('sha1')
            .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
        this.joined = new Promise((resolve, reject) => {
            this.#in = resolve;
            this.#socket = createConnection({ port, host: 'localhost' });
            this.#socket.on('error', reject);
            this.#socket.on('close', () => reject(new Error(`${id} is gone`)));
        });
        this.joined.catch(() => {}); // who waits for it is told
        this.#socket.on('data', (bytes) => this.#take(bytes, accept));
        this.#socket.write(`GET /v1?id=${id}&publickey=demo HTTP/1.1\r\n` +
            `Host: localhost:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
            `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`);
    }

    #take(bytes, accept) {
        this.#rest = Buffer.concat([this.#rest, bytes]);
        if (!this.#open) {
            const end = this.#rest.indexOf('\r\n\r\n');
            if (end < 0) {
                return;
            }
            const head = this.#rest.subarray(0, end).toString();
            if (!head.startsWith('HTTP/1.1 101') || !head.includes(accept)) {
                this.#socket.destroy(new Error(head));
                return;
            }
            this.#open = true;
            this.#rest = this.#rest.subarray(end + 4);
            this.#say('channel_join', this.state);
        }
        while (this.#frame()) {
            // the next one
        }
    }

    /** One whole frame off the front. */
    #frame() {
        const [first, short] = this.#rest;
        if (this.#rest.length < 2) {
            return false;
        }
        const wide = short === 126 ? 2 : short === 127 ? 8 : 0;
        if (this.#rest.length < 2 + wide) {
            return false;
        }
        const size = wide === 0 ? short : Number(`0x${this.#rest.subarray(2, 2 + wide).toString('hex')}`);
        const end = 2 + wide + size;
        if (this.#rest.length < end) {
            return false;
        }
        const payload = this.#rest.subarray(2 + wide, end);
        this.#rest = this.#rest.subarray(end);
        if ((first & 15) === BINARY) {
            this.#hear(decode(payload));
        }
        return true;
    }

    #hear({ op, c, p }) {
        if (c !== this.room) {
            return;
        }
        if (op === 'channel_join') {
            this.#say('peer_online');
            this.#say('peer_state', this.state);
            this.#in();
            return;
        }
        const what = `${op} ${p}`;
        this.heard.set(what, (this.heard.get(what) ?? 0) + 1);
        this.#told();
        if (op === 'peer_online' || op === 'peer_state') {
            this.#say('peer_state', this.state);
        }
    }

    #say(op, state) {
        this.#send(BINARY, encode({
            t: 'control', op, c: this.room, ...(state && { pl: encode(state) }),
        }));
    }

    #send(opcode, payload) {
        const mask = randomBytes(4);
        const head = payload.length < 126 ? Buffer.from([0x80 | opcode, 0x80 | payload.length])
            : Buffer.from([0x80 | opcode, 0x80 | 126, payload.length >> 8, payload.length & 255]);
        this.#socket.write(Buffer.concat(
            [head, mask, payload.map((byte, i) => byte ^ mask[i & 3])]));
    }

    /** What it has heard is as `test` says. */
    until(test) {
        const done = new Promise((resolve) => {
            this.#told = () => test(this.heard) && resolve();
        });
        this.#told();
        return within(done, `what ${this.id} should hear`);
    }

    /** It says that it goes, ... */
    leave() {
        this.#say('peer_offline');
        this.#send(CLOSE, Buffer.from([3, 232]));
        this.#socket.end();
    }

    /** ... or it is just gone. */
    vanish() {
        this.#socket.resetAndDestroy();
    }
}
