// SPDX-License-Identifier: MIT
// One stream of a session, with what it carried either way. It knows no page: whoever made
// it hears `changed(flow)` and `say(text, mood)`.

import { Trace, show } from './wire.js';

const CHUNK = 65536; // handed to the browser at once; the next when it has taken that

/** What a stream is broken off with. Chromium still has the constructor of an older draft. */
function streamError(code, message) {
    try {
        return new WebTransportError(message, { source: 'stream', streamErrorCode: code });
    } catch { // it takes no text
        return new WebTransportError({ streamErrorCode: code, message });
    }
}

/** What `error` says about its code, for a person. */
export function why(error) {
    const code = error?.streamErrorCode;
    return code === null || code === undefined ? error?.message ?? String(error) : `code ${code}`;
}

export class Flow {
    sent = new Trace();
    got = new Trace();
    sending = 'none'; // 'open', 'finished', 'reset', 'stopped' or 'none'
    hearing = 'none';
    busy = false; // something is being sent

    /** `stream` is what the browser gave: of both ways, or of one. */
    constructor(number, kind, ours, stream, owner) {
        this.number = number;
        this.kind = kind;
        this.ours = ours;
        this.owner = owner;
        const writable = stream.writable ?? (ours ? stream : null);
        const readable = stream.readable ?? (ours ? null : stream);
        if (writable) {
            this.sending = 'open';
            this.writer = writable.getWriter();
            this.#watch();
        }
        if (readable) {
            this.hearing = 'open';
            this.reader = readable.getReader();
            this.#hear();
        }
    }

    get name() {
        const whose = this.ours ? '' : 'incoming ';
        return `${whose}${this.kind === 'bidi' ? 'bidirectional' : 'unidirectional'} stream ` +
            `${this.number}`;
    }

    get done() {
        return this.sending !== 'open' && this.hearing !== 'open';
    }

    #say(text, mood) {
        this.owner.say(`${this.name}: ${text}`, mood);
        this.owner.changed(this);
    }

    async #watch() {
        try {
            await this.writer.closed;
        } catch (error) {
            if (this.sending === 'open') {
                this.sending = 'stopped';
                this.#say(`the peer reads no more (${why(error)})`, 'bad');
            }
        }
    }

    async #hear() {
        let first = true;
        try {
            for (;;) {
                const { value, done } = await this.reader.read();
                if (done) {
                    break;
                }
                this.got.add(value);
                this.owner.heard(value.length);
                if (first) {
                    this.#say(`received ${show(value)}`);
                    first = false;
                }
                this.owner.changed(this);
            }
        } catch (error) {
            if (this.hearing === 'open') {
                this.hearing = 'reset';
                this.#say(`the peer broke it off (${why(error)})`, 'bad');
            }
            return;
        }
        if (this.hearing === 'open') {
            this.hearing = 'finished';
            const twin = this.owner.twin(this);
            const same = twin && twin.sent.equals(this.got) ? ', the same that was sent' : '';
            this.#say(`ended after ${this.got.size.toLocaleString('en')} bytes${same}`, 'good');
        }
    }

    /** Send all that `source` (a ReadableStream) gives, then FIN if wanted. */
    async send(source, finish) {
        const reader = source.getReader();
        this.busy = true;
        this.owner.changed(this);
        try {
            for (;;) {
                const { value, done } = await reader.read();
                if (done) {
                    break;
                }
                for (let at = 0; at < value.length; at += CHUNK) {
                    const part = value.subarray(at, at + CHUNK);
                    await this.writer.ready;
                    this.sent.add(part); // before it may come back
                    await this.writer.write(part);
                    this.owner.gone(part.length);
                    this.owner.changed(this);
                }
            }
            this.#say(`sent ${this.sent.size.toLocaleString('en')} bytes so far`);
            if (finish) {
                await this.finish();
            }
        } catch (error) {
            if (this.sending === 'open') {
                this.#say(`could not be sent (${why(error)})`, 'bad');
            }
            reader.cancel().catch(() => {});
        } finally {
            this.busy = false;
            this.owner.changed(this);
        }
    }

    async finish() {
        this.sending = 'finished';
        this.#say('finished (FIN)');
        try {
            await this.writer.close();
        } catch (error) {
            this.sending = 'stopped';
            this.#say(`could not be finished (${why(error)})`, 'bad');
        }
    }

    reset(code) {
        this.sending = 'reset';
        this.#say(`reset with code ${code}`);
        this.writer.abort(streamError(code, 'reset by hand')).catch(() => {});
    }

    stop(code) {
        this.hearing = 'stopped';
        this.#say(`read no more, code ${code}`);
        this.reader.cancel(streamError(code, 'stopped by hand')).catch(() => {});
    }
}
