// SPDX-License-Identifier: MIT
// What the browser tests of WebTransport call in the page, which has workers of all kinds
// run the same (worker.mjs).

import { groups } from './groups.mjs';

const DEADLINE = 15_000;
const DEADLINE_KNOWN = 1_000; // where it is known that it does not hold

const TOGETHER = 4; // behaviours under way at once in a worker

const LASTING = new Map(); // sessions by URL

class Failure extends Error {}

/** What a behaviour stands on. It lives as long as that one behaviour. */
class Try {
    constructor(base, hash) {
        this.base = base;
        this.hash = hash;
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

    /** A session that all who ask for it share, and that is there as long as the page. */
    async lasting(handler) {
        const url = this.url(handler);
        if (!LASTING.has(url)) {
            LASTING.set(url, new Try(this.base, this.hash).open(handler));
        }
        await LASTING.get(url).ready;
        return LASTING.get(url);
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
        return !globalThis[type] || (member && !(member in globalThis[type].prototype
            || member in globalThis[type]));
    });
}

globalThis.listBehaviours = () =>
    groups.flatMap(({ file, places, behaviours }) =>
        behaviours.map(([title, duty, , , known]) => ({ file, title, places, duty, known })));

/** The fault of `engine` that is known, in a place ('page', 'dedicated', ...). */
const faultOf = (known, engine, place) => known?.[`${engine} ${place}`] ?? known?.[engine];

/** One behaviour: { lacks } or { ok, why }, and the fault that is known of the engine. */
globalThis.runBehaviour = async ({ engine, place, base, hash }, file, title) => {
    const [, , run, needs = [], known = {}] = groups
        .flatMap((group) => (group.file === file ? group.behaviours : []))
        .find((behaviour) => behaviour[0] === title);
    const missing = lacks(needs);
    const fault = faultOf(known, engine, place);
    if (missing) {
        return { lacks: missing };
    }
    const t = new Try(base, Uint8Array.from(hash.match(/../g), (byte) => parseInt(byte, 16)));
    try {
        await Promise.race([
            run(t),
            pause(fault ? DEADLINE_KNOWN : DEADLINE).then(() => {
                throw new Failure('it did not happen in time');
            }),
        ]);
        return { ok: true, known: fault };
    } catch (error) {
        return { ok: false, known: fault, why: `${error.name}: ${error.message}` };
    } finally {
        t.end();
    }
};

/** All of `list`, several at a time; what does not hold in company is tried again alone. */
export async function runAll(where, list) {
    const outcomes = [];
    const one = async (i) => {
        outcomes[i] = await globalThis.runBehaviour(where, list[i].file, list[i].title);
    };
    let next = 0;
    await Promise.all(Array.from({ length: TOGETHER }, async () => {
        while (next < list.length) {
            await one(next++);
        }
    }));
    for (const i of outcomes.keys()) {
        const fails = () => !(outcomes[i].ok || outcomes[i].lacks || outcomes[i].known);
        for (let again = 0; again < 2 && fails(); again++) {
            await one(i);
        }
    }
    return outcomes;
}

/** How a worker of each kind begins: what can be posted to. */
const START = {
    dedicated: () => new Worker('worker.mjs', { type: 'module' }),
    shared: () => new SharedWorker('worker.mjs', { type: 'module' }).port,
    service: async () => {
        const registration = await navigator.serviceWorker.register('worker.mjs',
            { type: 'module', scope: 'nowhere/' });
        const worker = registration.installing ?? registration.waiting ?? registration.active;
        while (worker.state !== 'activated') {
            await new Promise((resolve) => { worker.onstatechange = resolve; });
        }
        return worker;
    },
};

/** The same as runAll, in a worker of the kind that `where.place` names. */
globalThis.runInWorker = async (where, list) => {
    const worker = await START[where.place]();
    const { port1, port2 } = new MessageChannel();
    const answer = new Promise((resolve) => { port1.onmessage = resolve; });
    worker.postMessage({ where, list }, [port2]);
    const { data } = await answer;
    if (data.error) {
        throw new Error(data.error);
    }
    return data.outcomes;
};
