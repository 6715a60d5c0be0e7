// SPDX-License-Identifier: MIT
// What the browser tests of WebTransport call in the page: one behaviour at a time.

import { groups } from './groups.mjs';

const DEADLINE = 15_000;
const DEADLINE_KNOWN = 1_000; // where it is known that it does not hold

class Failure extends Error {}

/** What a behaviour stands on. It lives as long as that one behaviour. */
class Try {
    constructor(base, hash) {
        this.base = base;
        this.hash = Uint8Array.from(hash.match(/../g), (byte) => parseInt(byte, 16));
        this.sessions = [];
    }

    url(handler) {
        return `${this.base}/${handler}`;
    }

    /** A WebTransport object that trusts the server; it is closed at the end. */
    open(handler, options = {}) {
        const session = new WebTransport(this.url(handler), {
            serverCertificateHashes: [{ algorithm: 'sha-256', value: this.hash }],
            ...options,
        });
        session.ready.catch(() => {});
        session.closed.catch(() => {});
        session.draining?.catch(() => {});
        this.sessions.push(session);
        return session;
    }

    async connect(handler, options) {
        const session = this.open(handler, options);
        await session.ready;
        return session;
    }

    token() {
        return crypto.randomUUID();
    }

    /** What the server noted under a token, as soon as it has what is asked for. */
    async note(token, key) {
        const seen = {};
        for (;;) {
            const session = await this.connect(`query?token=${token}`);
            const stream = await first(session.incomingUnidirectionalStreams);
            Object.assign(seen, JSON.parse(await text(stream)));
            session.close();
            if (key in seen) {
                return seen[key];
            }
            await pause(50);
        }
    }

    ok(holds, what) {
        if (!holds) {
            throw new Failure(what);
        }
    }

    equal(got, want, what) {
        const [a, b] = [got, want].map((value) => JSON.stringify(value));
        if (a !== b) {
            throw new Failure(`${what}: ${a}, not ${b}`);
        }
    }

    /** The error that a promise is rejected with. */
    async rejects(promise, what) {
        try {
            await promise;
        } catch (error) {
            return error;
        }
        throw new Failure(`not rejected: ${what}`);
    }

    throws(name, run, what) {
        try {
            run();
        } catch (error) {
            this.equal(error.name, name, `the error's name, ${what}`);
            return;
        }
        throw new Failure(`did not throw: ${what}`);
    }

    /** A session that failed: both promises, with the same error. */
    async failed(session) {
        const error = await this.rejects(session.ready, 'ready');
        this.ok((await this.rejects(session.closed, 'closed')) === error, 'the same error twice');
        this.ok(error instanceof WebTransportError, 'the class of the error');
        this.equal(error.source, 'session', 'source');
        this.equal(error.streamErrorCode, null, 'streamErrorCode');
    }

    end() {
        for (const session of this.sessions) {
            try {
                session.close();
            } catch {
                // It failed before it was open.
            }
        }
    }
}

export const pause = (milliseconds) =>
    new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The first thing that comes from a stream of things. */
export async function first(stream) {
    const reader = stream.getReader();
    const { value } = await reader.read();
    reader.releaseLock();
    return value;
}

/** All bytes of a stream, until its end. */
export async function bytes(stream) {
    return new Uint8Array(await new Response(stream).arrayBuffer());
}

export const text = async (stream) => new TextDecoder().decode(await bytes(stream));

/** Write all and finish. */
export async function write(writable, data) {
    const writer = writable.getWriter();
    const content = typeof data === 'string' ? new TextEncoder().encode(data) : data;
    await Promise.all([writer.write(content), writer.close()]);
}

/** A stream's error with a code; engines differ in how it is constructed. */
export function streamError(code) {
    try {
        return new WebTransportError({ streamErrorCode: code });
    } catch {
        return new WebTransportError('', { streamErrorCode: code });
    }
}

export const pattern = (size) => Uint8Array.from({ length: size }, (_, i) => (i * 31) >> 3);

export const same = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** What this browser lacks of what a behaviour needs: `Class.member`, or nothing. */
function lacks(needs) {
    return needs.find((name) => {
        const [type, member] = name.split('.');
        return !globalThis[type] || (member && !(member in globalThis[type].prototype));
    });
}

globalThis.listBehaviours = () =>
    groups.flatMap(({ file, behaviours }) =>
        behaviours.map(([title, duty, , , known]) => ({ file, title, duty, known })));

globalThis.runBehaviour = async (engine, file, title, base, hash) => {
    const [, , run, needs = [], known = {}] = groups
        .find((group) => group.file === file)
        .behaviours.find((behaviour) => behaviour[0] === title);
    const missing = lacks(needs);
    if (missing) {
        return { lacks: missing };
    }
    const t = new Try(base, hash);
    try {
        await Promise.race([
            run(t),
            pause(known[engine] ? DEADLINE_KNOWN : DEADLINE).then(() => {
                throw new Failure('it did not happen in time');
            }),
        ]);
        return { ok: true };
    } catch (error) {
        return { ok: false, why: `${error.name}: ${error.message}` };
    } finally {
        t.end();
    }
};
