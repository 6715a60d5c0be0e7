// SPDX-License-Identifier: MIT
// Whole messages over the browser's own WebTransport or WebSocket.
//
// Both are opened with a promise for a link, which has
//   kind                        'webtransport' or 'websocket'
//   send(bytes, how)            how: 'control', 'room' (reliable, in order) or 'datagram'
//   close(code, reason)
//   listen(onmessage, onclosed) onmessage(bytes) for each message from the first on;
//                               onclosed({ final, reason }) once, last

// What a close code means, as in docs/protocol.md: these and those from 4000 on are final.
const FINAL = [1000, 1002, 1003, 1009];
const isFinal = (code) => FINAL.includes(code) || code >= 4000;

/** What came before anybody listened waits. */
class Link {
    #waiting = [];
    onmessage = (bytes) => this.#waiting.push(bytes);
    onclosed = (end) => {
        this.end = end;
    };

    listen(onmessage, onclosed) {
        this.onmessage = onmessage;
        this.onclosed = onclosed;
        this.#waiting.splice(0).forEach(onmessage);
        if (this.end) {
            onclosed(this.end);
        }
    }
}

// --- WebTransport: one stream for control, one for the room, datagrams for the rest ---

const VARINT_WIDTH = [1, 2, 4, 8];

/** A length in front of a message, as QUIC writes whole numbers (RFC 9000 16). */
export function frame(message) {
    const size = message.length;
    const width = size < 64 ? 1 : size < 16384 ? 2 : 4;
    const bytes = new Uint8Array(width + size);
    const view = new DataView(bytes.buffer);
    if (width === 1) {
        view.setUint8(0, size);
    } else if (width === 2) {
        view.setUint16(0, 0x4000 | size);
    } else {
        view.setUint32(0, 0x80000000 + size);
    }
    bytes.set(message, width);
    return bytes;
}

/** Takes a stream's pieces as they come, gives the messages that are whole. */
export class Deframer {
    #kept = new Uint8Array(0);

    push(piece) {
        const bytes = new Uint8Array(this.#kept.length + piece.length);
        bytes.set(this.#kept);
        bytes.set(piece, this.#kept.length);
        const messages = [];
        let at = 0;
        for (;;) {
            const width = at < bytes.length ? VARINT_WIDTH[bytes[at] >> 6] : Infinity;
            if (at + width > bytes.length) {
                break;
            }
            let size = bytes[at] & 63;
            for (let i = 1; i < width; i++) {
                size = size * 256 + bytes[at + i];
            }
            if (size > 16 * 1024 * 1024) {
                throw new RangeError('a message that is too big');
            }
            if (at + width + size > bytes.length) {
                break;
            }
            messages.push(bytes.slice(at + width, at + width + size));
            at += width + size;
        }
        this.#kept = bytes.slice(at);
        return messages;
    }
}

class WebTransportLink extends Link {
    kind = 'webtransport';

    static async open(url, hashes, signal) {
        const options = { congestionControl: 'low-latency' };
        if (hashes.length > 0) {
            options.serverCertificateHashes = hashes.map((value) => ({
                algorithm: 'sha-256', value,
            }));
        }
        const link = new WebTransportLink();
        link.session = new WebTransport(url, options);
        signal.addEventListener('abort', () => link.session.close());
        link.session.closed.catch(() => {}); // `ready` rejects with the same
        await link.session.ready;
        const control = await link.session.createBidirectionalStream();
        const { datagrams } = link.session;
        link.control = control.writable.getWriter();
        link.datagrams = (datagrams.createWritable?.() ?? datagrams.writable).getWriter();
        link.#readStream(control.readable);
        link.#readStreams();
        link.#readDatagrams(datagrams.readable);
        link.#watch();
        return link;
    }

    async #each(readable, take) {
        const reader = readable.getReader();
        try {
            for (;;) {
                const { value, done } = await reader.read();
                if (done) {
                    return;
                }
                take(value);
            }
        } catch (error) {
            if (error instanceof RangeError || error instanceof TypeError) {
                this.close(1002, error.message);
            } // else the stream or the session has ended: `closed` tells
        }
    }

    #readStream(readable) {
        const deframer = new Deframer();
        this.#each(readable, (piece) => {
            deframer.push(piece).forEach((message) => this.onmessage(message));
        });
    }

    #readStreams() {
        this.#each(this.session.incomingUnidirectionalStreams, (stream) => {
            this.#readStream(stream);
        });
    }

    #readDatagrams(readable) {
        this.#each(readable, (datagram) => this.onmessage(datagram));
    }

    async #watch() {
        let end = { final: false, reason: 'connection lost' };
        try {
            const { closeCode = 0, reason = '' } = await this.session.closed;
            end = { final: isFinal(closeCode), reason };
        } catch (error) {
            end.reason = error.message;
        }
        this.onclosed(end);
    }

    async #sendToRoom(bytes) {
        this.room ??= this.session.createUnidirectionalStream()
            .then((stream) => stream.getWriter());
        await (await this.room).write(bytes);
    }

    send(bytes, how) {
        const ignore = () => {}; // a write that fails: `closed` tells
        const fits = bytes.length <= this.session.datagrams.maxDatagramSize;
        if (how === 'datagram' && fits) {
            if (this.datagrams.desiredSize > 0) {
                this.datagrams.write(bytes).catch(ignore);
            } // else: it would wait behind older ones, and a newer one comes soon
        } else if (how === 'control') {
            this.control.write(frame(bytes)).catch(ignore);
        } else {
            this.#sendToRoom(frame(bytes)).catch(ignore);
        }
    }

    close(closeCode, reason) {
        try {
            this.session.close({ closeCode, reason });
        } catch {
            // it is closed already
        }
    }
}

// --- WebSocket: everything in one row ---

class WebSocketLink extends Link {
    kind = 'websocket';

    static open(url, signal) {
        const link = new WebSocketLink();
        const socket = new WebSocket(url);
        link.socket = socket;
        socket.binaryType = 'arraybuffer';
        signal.addEventListener('abort', () => socket.close());
        socket.onmessage = ({ data }) => {
            if (data instanceof ArrayBuffer) {
                link.onmessage(new Uint8Array(data));
            }
        };
        return new Promise((resolve, reject) => {
            socket.onopen = () => resolve(link);
            socket.onclose = ({ code, reason }) => {
                const end = { final: isFinal(code), reason: reason || 'connection lost' };
                reject(Object.assign(new Error(end.reason), end));
                link.onclosed(end);
            };
        });
    }

    send(bytes) {
        if (this.socket.readyState === WebSocket.OPEN) {
            this.socket.send(bytes);
        }
    }

    close(code, reason) {
        this.socket.close(code === 1000 || code >= 3000 ? code : 1000, reason);
    }
}

// --- which one ---

const WEBSOCKET_AFTER = 2000; // a page has time: better WebTransport than soon

/**
 * The first of both that opens. `where` is { webtransport, websocket, hashes }; what has no
 * URL is not tried. WebSocket starts when WebTransport has failed, or takes too long.
 */
export async function openLink(where) {
    const quick = new AbortController();
    const slow = new AbortController();
    const first = where.webtransport && typeof WebTransport !== 'undefined'
        ? WebTransportLink.open(where.webtransport, where.hashes, quick.signal)
        : Promise.reject(new Error('no WebTransport'));
    if (!where.websocket) {
        return first;
    }
    const failed = new Promise((resolve) => first.catch(resolve));
    const late = new Promise((resolve) => setTimeout(resolve, WEBSOCKET_AFTER));
    const second = Promise.race([failed, late]).then(() => {
        if (slow.signal.aborted) {
            throw new Error('not needed');
        }
        return WebSocketLink.open(where.websocket, slow.signal);
    });
    try {
        const link = await Promise.any([first, second]);
        (link.kind === 'websocket' ? quick : slow).abort();
        return link;
    } catch (error) { // both: the second one's reason is the one that was left
        throw error.errors?.[1] ?? error;
    } finally {
        second.catch(() => {});
    }
}
