// SPDX-License-Identifier: MIT
// One member of one room, in the extension dialect of docs/protocol.md: connects, joins,
// comes back after a break, and tells what happens.
//
//     const room = new Room({ name: 'demo', id, state, where });
//     room.onstatus = ({ state, transport, reason }) => ...   'connecting', 'open',
//                                                              'waiting', 'closed'
//     room.onpeer = (change, peer) => ...          'join', 'state', 'leave'
//     room.onmessage = (event, data, sender) => ...
//     room.onrtt = (milliseconds) => ...
//     room.connect();

import { decode, encode } from './msgpack.js';
import { openLink } from './links.js';

const PING_EVERY = 4000; // well within the silence after which a server gives up
const SILENCE = 15_000;
const BACKOFF_FIRST = 250;
const BACKOFF_MAX = 30_000;
const RTTS = 5;
const GONE_KEPT = 16;
const HELD_MAX = 1000;
const EARLY = 500; // how long a message waits to be told who its sender is
const REPEATS = [120, 400]; // a latest value is sent again, lest the last datagram be lost

const utf8 = new TextEncoder();

export class Room {
    onstatus = () => {};
    onpeer = () => {};
    onmessage = () => {};
    onrtt = () => {};

    peers = new Map(); // session -> { session, id, state }
    status = 'idle';
    rtt = 0;

    #link = null;
    #joined = false;
    #held = []; // what overtook the snapshot
    #early = new Map(); // session -> messages that overtook the news of their sender
    #sequence = 0n;
    #gone = new Map(); // who has left: what they said last may still be on its way
    #fresh = null; // members of a snapshot that is not complete
    #version = 0;
    #repeats = new Map();
    #failures = 0;
    #attempt = 0; // counts connections, so that a late one is known as late
    #retry;
    #heard = 0; // when anything came last
    #pinged = 0;
    #rtts = [];

    constructor({ name, id, state, where }) {
        this.name = name;
        this.id = id;
        this.state = state;
        this.where = where; // () => Promise of { webtransport, websocket, hashes }
    }

    // --- connecting, and coming back ---

    async connect() {
        const attempt = ++this.#attempt;
        clearTimeout(this.#retry);
        this.#dropLink('again');
        this.#setStatus('connecting');
        try {
            const link = await openLink(this.#identified(await this.where()));
            if (attempt !== this.#attempt) {
                link.close(1000, 'not needed');
                return;
            }
            this.#open(link);
        } catch (error) {
            if (attempt === this.#attempt) {
                this.#lost({ final: error.final ?? false, reason: error.message });
            }
        }
    }

    close() {
        this.#attempt++;
        clearTimeout(this.#retry);
        this.#dropLink('leaving');
        this.#forgetPeers();
        this.#setStatus('closed');
    }

    #identified(where) {
        const query = `yomo=1&id=${encodeURIComponent(this.id)}&publickey=demo`;
        const add = (url) => url && `${url}${url.includes('?') ? '&' : '?'}${query}`;
        return {
            ...where,
            webtransport: add(where.webtransport),
            websocket: add(where.websocket),
        };
    }

    #open(link) {
        this.#link = link;
        this.#joined = false;
        this.#held = [];
        this.#fresh = new Map();
        this.rtt = 0;
        this.#rtts = [];
        this.#heard = performance.now();
        link.listen(
            (bytes) => this.#take(link, bytes),
            (end) => {
                if (link === this.#link) {
                    this.#lost(end);
                }
            },
        );
        this.#control({ op: 'channel_join', c: this.name, pl: encode(this.#fullState()) });
        this.#ping(performance.now());
    }

    #dropLink(reason) {
        const link = this.#link;
        this.#link = null;
        this.#joined = false;
        this.#repeats.forEach(clearTimeout);
        this.#repeats.clear();
        link?.close(1000, reason);
    }

    #lost({ final, reason, after }) {
        this.#dropLink('lost');
        if (final) {
            this.#forgetPeers();
            this.#setStatus('closed', reason);
            return;
        }
        // Full jitter: a crowd that was cut off together does not come back together.
        const most = Math.min(BACKOFF_MAX, BACKOFF_FIRST * 2 ** this.#failures++);
        const wait = (after ?? 0) + Math.random() * most;
        this.#setStatus('waiting', reason);
        this.#retry = setTimeout(() => this.connect(), wait);
    }

    #setStatus(state, reason = '') {
        this.status = state;
        this.onstatus({ state, reason, transport: this.transport });
    }

    get transport() {
        return this.#joined ? this.#link.kind : null;
    }

    /** To be called every few seconds, by whatever is not slowed down in the background. */
    tick() {
        if (!this.#link) {
            return;
        }
        const now = performance.now();
        if (now - this.#heard > SILENCE) {
            this.#lost({ final: false, reason: 'nothing was heard for too long' });
        } else if (now - this.#pinged >= PING_EVERY) {
            this.#ping(now);
        }
    }

    // `ts` is a whole number that comes back as it is: microseconds, for us.
    #ping(now) {
        this.#pinged = now;
        this.#control({ op: 'ping', ts: Math.round(now * 1000) + 1 });
    }

    // --- sending ---

    #send(message, how) {
        this.#link?.send(encode(message), how);
    }

    #control(message) {
        this.#send({ t: 'control', ...message }, 'control');
    }

    #fullState() {
        return { id: this.id, ...this.state };
    }

    setState(state) {
        this.state = state;
        if (this.#joined) {
            const state = { op: 'peer_state', c: this.name, pl: encode(this.#fullState()) };
            this.#send({ t: 'control', ...state }, 'room');
        }
    }

    // On the wire `data` is JSON in a string.
    #content(event, data) {
        return encode({ event, data: JSON.stringify(data) });
    }

    /** Every message, in order. */
    send(event, data) {
        if (this.#joined) {
            this.#send({ t: 'data', c: this.name, pl: this.#content(event, data) }, 'room');
        }
    }

    /** Only the newest of each event matters: a datagram, and again while none follows. */
    sendLatest(event, data) {
        if (!this.#joined) {
            return;
        }
        const message = {
            t: 'data', c: this.name, pl: this.#content(event, data), d: 2, v: ++this.#version,
        };
        const bytes = encode(message);
        const link = this.#link;
        link.send(bytes, 'datagram');
        if (link.kind === 'webtransport') {
            this.#repeat(event, link, bytes, 0);
        }
    }

    #repeat(event, link, bytes, round) {
        clearTimeout(this.#repeats.get(event));
        if (round === REPEATS.length) {
            return;
        }
        this.#repeats.set(event, setTimeout(() => {
            link.send(bytes, 'datagram');
            this.#repeat(event, link, bytes, round + 1);
        }, REPEATS[round]));
    }

    // --- receiving ---

    #take(link, bytes) {
        if (link !== this.#link) {
            return;
        }
        this.#heard = performance.now();
        let message;
        try {
            message = decode(bytes);
        } catch {
            return; // not for us
        }
        if (message?.t === 'data') {
            this.#takeData(message);
        } else if (message?.t === 'control') {
            this.#takeControl(message);
        }
    }

    #takeControl(message) {
        switch (message.op) {
            case 'pong':
                this.#takeRtt(performance.now() - Number(message.ts) / 1000);
                break;
            case 'ping':
                this.#control({ op: 'pong', ts: message.ts });
                break;
            case 'goaway':
                this.#lost({
                    final: false,
                    reason: 'the server is going away',
                    after: Math.min(Number(message.ts ?? 0), BACKOFF_MAX),
                });
                break;
            case 'error':
                this.#takeError(message);
                break;
            case 'channel_leave':
                if (message.c === this.name && this.#link) {
                    this.#lost({ final: true, reason: message.msg || 'put out of the room' });
                }
                break;
            default:
                if (message.c === this.name) {
                    this.#takeRoom(message);
                }
        }
    }

    // The least of a few: a page that was busy for a moment is no slow network.
    #takeRtt(milliseconds) {
        this.#rtts = [...this.#rtts, Math.max(0, milliseconds)].slice(-RTTS);
        this.rtt = Math.min(...this.#rtts);
        this.onrtt(this.rtt);
    }

    #takeError(message) {
        if (message.c === this.name && !message.n && !this.#joined) {
            this.#lost({ final: true, reason: message.msg || 'the room does not let us in' });
        }
    }

    #takeRoom(message) {
        if (message.op === 'channel_join') {
            this.#sequence = BigInt(message.q ?? 0);
        } else if (message.op === 'snapshot') {
            this.#takeSnapshot(message);
        } else if (!this.#joined) {
            this.#hold(message);
        } else if (this.#isNews(message)) {
            this.#takeChange(message);
        }
    }

    #hold(message) {
        if (this.#held.length < HELD_MAX) {
            this.#held.push(message);
        }
    }

    // What is not after the snapshot is in it.
    #isNews(message) {
        return message.q === undefined || BigInt(message.q) > this.#sequence;
    }

    #readState(payload) {
        try {
            const state = payload ? decode(payload) : {};
            return state && typeof state === 'object' ? state : {};
        } catch {
            return {};
        }
    }

    #takeSnapshot(message) {
        for (const member of message.m ?? []) {
            const session = String(member.sid);
            this.#fresh.set(session, {
                session, id: member.p, state: this.#readState(member.pl),
            });
        }
        if (message.more) {
            return;
        }
        this.#joined = true;
        this.#failures = 0;
        this.#becomes(this.#fresh);
        this.#setStatus('open');
        this.#held.splice(0).forEach((held) => {
            if (held.t === 'data') {
                this.#takeData(held);
            } else {
                this.#takeRoom(held);
            }
        });
    }

    /** After a break only the differences are told. */
    #becomes(fresh) {
        for (const peer of [...this.peers.values()]) {
            if (!fresh.has(peer.session)) {
                this.#leave(peer.session);
            }
        }
        fresh.forEach((peer) => this.#enter(peer));
    }

    #enter(peer) {
        const known = this.peers.get(peer.session);
        peer.versions = known?.versions;
        this.peers.set(peer.session, peer);
        this.onpeer(known ? 'state' : 'join', peer);
        this.#takeEarly(peer.session);
    }

    #leave(session) {
        const peer = this.peers.get(session);
        if (this.peers.delete(session)) {
            this.#gone.set(session, peer);
            if (this.#gone.size > GONE_KEPT) {
                this.#gone.delete(this.#gone.keys().next().value);
            }
            this.onpeer('leave', peer);
        }
    }

    #forgetPeers() {
        this.#becomes(new Map());
    }

    #takeChange(message) {
        const session = String(message.sid);
        if (message.op === 'peer_offline') {
            this.#leave(session);
        } else if (message.op === 'peer_online' || message.op === 'peer_state') {
            this.#enter({ session, id: message.p, state: this.#readState(message.pl) });
        }
    }

    #takeData(message) {
        if (message.c !== this.name || !message.pl) {
            return;
        }
        if (!this.#joined) {
            if (message.d !== 1) {
                this.#hold(message);
            }
        } else if (this.#isNews(message)) {
            this.#deliver(message, String(message.sid));
        }
    }

    #deliver(message, session) {
        const sender = this.peers.get(session) ?? this.#gone.get(session);
        if (!sender && message.sid && !message.d && !message.late) {
            this.#keepEarly(message, session);
            return;
        }
        this.#tell(message, sender ?? { session, id: message.p ?? '', state: {} });
    }

    #keepEarly(message, session) {
        const waiting = this.#early.get(session) ?? [];
        if (this.#early.size < GONE_KEPT && waiting.length < HELD_MAX) {
            this.#early.set(session, [...waiting, message]);
            setTimeout(() => this.#takeEarly(session), EARLY);
        }
    }

    #takeEarly(session) {
        const waiting = this.#early.get(session) ?? [];
        this.#early.delete(session);
        waiting.forEach((message) => this.#deliver({ ...message, late: true }, session));
    }

    #tell(message, sender) {
        let event, data;
        try {
            const content = decode(message.pl);
            event = content.event;
            data = typeof content.data === 'string' ? JSON.parse(content.data) : content.data;
        } catch {
            return; // anybody may send anything
        }
        if (message.d !== 2 || this.#isNewest(sender, event, message)) {
            this.onmessage(event, data, sender);
        }
    }

    // Datagrams overtake each other; the server keeps no order between them either.
    #isNewest(sender, event, message) {
        sender.versions ??= new Map();
        const name = `${event} ${message.k ?? ''}`;
        const version = BigInt(message.v ?? 0);
        if (version !== 0n && version <= (sender.versions.get(name) ?? 0n)) {
            return false;
        }
        sender.versions.set(name, version);
        return true;
    }
}

/** Bytes that `text` takes in UTF-8. */
export function bytesOf(text) {
    return utf8.encode(text).length;
}
