// SPDX-License-Identifier: MIT
// One session in one room with all that the extension of docs/protocol.md gives it, but for
// requests, moving, tokens and observers: a joiner is told what was said before, messages go to all
// or to some, and after a break the session goes on where it was.
//
//     const client = new RoomClient({ room, id, state, where, history: 20 });
//     client.onstatus = ({ state, reason, transport }) => ...
//                          'connecting', 'open', 'away' (broken by hand), 'waiting', 'closed'
//     client.onmembers = () => ...           `members` has changed
//     client.onmember = (what, member) => ... 'came', 'state', 'left', 'stale', 'back'
//     client.onmessage = (message) => ...    { event, data, sid, user, q, at, direct, past }
//     client.onsent = (number, fate) => ...  { q }, { error } or { unknown: true }
//     client.onback = ({ resumed, sent }) => ...    so many that had waited were sent
//     client.ongap = ({ from, to }) => ...   gone for good; without `from`: all that was
//     client.onshared = (key, lock) => ...   one of `values` or `locks`; no key: many of them
//     client.connect();
//
// Upwards every RELIABLE message is kept until the backend has read it: what a transport
// acknowledges may still be lost with the connection. Downwards `#had` is the last place that
// was had of each priority; what is not greater is there already.

import { decode, encode } from '../msgpack.js';
import { openLink } from '../links.js';

const HELLO_WITHIN = 5000;
const BACKOFF_FIRST = 250;
const BACKOFF_MAX = 15_000;
const HELD_MAX = 2000; // messages that came before the snapshot
const KEPT_MAX = 1000; // own messages that nobody is known to have read
const VALUES_MAX = 1000; // LATEST values whose version is remembered
const REPEATS = [120, 400]; // a LATEST value is sent again, lest its datagram be lost
const BROKEN = 3000; // a close code that means "I come back"

const CHANGES = ['came', 'state', 'left', 'stale', 'back'];
const CLASSES = { reliable: undefined, unreliable: 1, latest: 2 };

export class RoomClient {
    onstatus = () => {};
    onmembers = () => {};
    onmember = () => {};
    onmessage = () => {};
    onsent = () => {};
    onback = () => {};
    ongap = () => {};
    onshared = () => {};

    members = new Map(); // the others: session id -> { sid, user, state, at, stale }
    values = new Map(); // key -> { value, version, user }
    locks = new Map();  // key -> { sid, user, version }: who has it
    status = 'closed';
    sid = 0;

    #link = null;
    #attempt = 0;
    #failures = 0;
    #timers = new Set();
    #heard = 0;
    #silence = 15_000;
    #after = 0;

    #seat = null;  // of the session: { epoch, token }, once it is in the room
    #next = null;  // what this connection is without the session before it
    #order = null; // of the room's order: its epoch
    #had = [0, 0, 0];
    #stage = 'off'; // 'hello', 'resuming', 'joining', 'in'
    #settled = false; // the snapshot is complete
    #place = 0; // of the snapshot
    #fresh = new Map();
    #held = [];
    #seatHeld = false; // the answer to a resume named our room
    #back = null;

    #numbers = 0;
    #sent = 0;  // RELIABLE messages in this session, all connections
    #kept = []; // { index, number, bytes }: index 0: not sent yet
    #asked = new Map(); // questions that wait for their answer
    #shares = null;     // pages of `values` that are not complete
    #sharedAt = 0;      // the place of the last change of a value or a lock
    #leases = new Map(); // own locks, and those waited for: key -> { lease, until }
    #version = 0;
    #values = new Map(); // versions of others' LATEST values
    #mine = new Map();   // own ones: what to say again after a break

    constructor({ room, id, state, where, history = 20 }) {
        Object.assign(this, { room, id, state, where, history });
    }

    // --- connecting ---

    async connect() {
        const attempt = ++this.#attempt;
        this.#drop(1000);
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

    /** As if the network had gone: the others see that this member is stale. */
    breakOff() {
        this.#attempt++;
        this.#drop(BROKEN);
        this.#setStatus('away');
    }

    /** Leave for good. */
    close(reason = '') {
        this.#attempt++;
        this.#drop(1000);
        this.#forgetSession();
        this.#leases.clear();
        this.members.clear();
        this.onmembers();
        this.#setStatus('closed', reason);
    }

    get transport() {
        return this.#link?.kind ?? null;
    }

    /** Own messages that the backend is not known to have read. */
    get waiting() {
        return this.#kept.length;
    }

    #identified(where) {
        const query = `yomo=1&id=${encodeURIComponent(this.id)}&publickey=demo`;
        const add = (url) => url && `${url}?${query}`;
        return {
            ...where, webtransport: add(where.webtransport), websocket: add(where.websocket),
        };
    }

    #later(milliseconds, act) {
        const timer = setTimeout(() => {
            this.#timers.delete(timer);
            act();
        }, milliseconds);
        this.#timers.add(timer);
        return timer;
    }

    #open(link) {
        this.#link = link;
        this.#stage = 'hello';
        this.#settled = false;
        this.#seatHeld = false;
        this.#held = [];
        this.#fresh = new Map();
        this.#shares = null;
        this.#heard = performance.now();
        this.#after = 0;
        this.#later(HELLO_WITHIN, () => {
            if (this.#stage === 'hello') {
                this.#lost({ final: true, reason: 'this backend does not know the extension' });
            }
        });
        link.listen((bytes) => link === this.#link && this.#take(bytes), (end) => {
            if (link === this.#link) {
                this.#lost(end);
            }
        });
    }

    #drop(code) {
        const link = this.#link;
        this.#link = null;
        this.#stage = 'off';
        this.#timers.forEach(clearTimeout);
        this.#timers.clear();
        this.#asked.forEach(({ reject }) => reject(new Error('the connection broke')));
        this.#asked.clear();
        link?.close(code, code === BROKEN ? 'broken by hand' : 'leaving');
    }

    #lost({ final, reason }) {
        const after = this.#after;
        if (final) {
            this.close(reason);
            return;
        }
        this.#drop(BROKEN);
        this.#setStatus('waiting', reason);
        // Full jitter: a crowd that was cut off together does not come back together.
        const most = Math.min(BACKOFF_MAX, BACKOFF_FIRST * 2 ** this.#failures++);
        this.#later(after + Math.random() * most, () => this.connect());
    }

    #setStatus(state, reason = '') {
        this.status = state;
        this.onstatus({ state, reason, transport: this.transport });
    }

    #watch() {
        this.#later(this.#silence / 3, () => {
            if (performance.now() - this.#heard > this.#silence) {
                this.#lost({ final: false, reason: 'nothing was heard for too long' });
                return;
            }
            if (this.#stage === 'in') { // while it resumes it says nothing
                this.#control({ op: 'ping', ts: Math.floor(performance.now()) + 1 });
            }
            this.#watch();
        });
    }

    // --- going out ---

    #control(fields) {
        this.#link.send(encode({ t: 'control', ...fields }), 'control');
    }

    /**
     * Say `data` (JSON) to the others. `how`: { kind: 'reliable', 'unreliable' or 'latest';
     * key: of a latest value; to: an array of session ids and user ids; me: also to oneself }.
     * Returns the number by which `onsent` names a reliable message, 0 for others. Those wait
     * while the connection is away; throws when too many do.
     */
    send(event, data, { kind = 'reliable', key, to, me } = {}) {
        const message = {
            t: 'data', c: this.room, d: CLASSES[kind], k: key, to, me: me || undefined,
            pl: encode({ event, data: JSON.stringify(data) }),
        };
        if (kind !== 'reliable') {
            if (kind === 'latest') {
                message.v = ++this.#version;
                this.#mine.set(`${event} ${key ?? ''}`, message);
            }
            this.#sendLoose(message);
            return 0;
        }
        if (this.#kept.length >= KEPT_MAX) {
            throw new Error('too much waits to be sent');
        }
        message.n = ++this.#numbers;
        const kept = { index: 0, number: message.n, bytes: encode(message) };
        this.#kept.push(kept);
        this.#sendKept();
        return message.n;
    }

    #sendLoose(message) {
        if (this.#stage !== 'in') {
            return;
        }
        const bytes = encode(message);
        this.#link.send(bytes, 'datagram');
        if (message.d === CLASSES.latest) {
            const name = `${decode(message.pl).event} ${message.k ?? ''}`;
            REPEATS.forEach((wait) => this.#later(wait, () => {
                if (this.#mine.get(name) === message && this.#stage === 'in') {
                    this.#link.send(bytes, 'datagram');
                }
            }));
        }
    }

    #sendKept() {
        if (this.#stage !== 'in') {
            return;
        }
        for (const kept of this.#kept) {
            if (kept.index === 0) {
                kept.index = ++this.#sent;
                this.#link.send(kept.bytes, 'room');
            }
        }
    }

    /** The backend has read the first `count` RELIABLE messages of this session. */
    #read(count) {
        this.#kept = this.#kept.filter(({ index }) => index === 0 || index > count);
    }

    /** Promises the answer to a message on control. */
    #ask(fields) {
        return new Promise((resolve, reject) => {
            if (this.#stage !== 'in') {
                reject(new Error('not connected'));
                return;
            }
            const number = ++this.#numbers;
            this.#asked.set(number, { messages: [], resolve, reject });
            this.#control({ c: this.room, n: number, ...fields });
        });
    }

    /** What was said before the place `before` (absent: the newest), as an array and, if
     *  there is more, the place to ask for next. They are not told by `onmessage`. */
    ask(before, max = 50) {
        return this.#ask({ op: 'history', q: before, max });
    }

    // --- what the room shares ---

    /** Make the value `key` another; with `version` only if it has that one (0: if there is
     *  none). Promises the new version; an error with `code` CONFLICT has that which is there. */
    set(key, value, version) {
        const pl = encode({ event: '', data: JSON.stringify(value) });
        return this.#ask({ op: 'value', k: key, pl, v: version });
    }

    /** Have the lock `key`, or wait in line for it, until `unlock` or until it is lost. The
     *  lease is begun anew while this client can do so. */
    lock(key, lease = 15_000) {
        this.#leases.set(key, { lease, until: 0 });
        return this.#lease(key);
    }

    unlock(key) {
        this.#leases.delete(key);
        return this.#ask({ op: 'unlock', k: key });
    }

    /** It is this session's now: as the backend told, and by the clock here. */
    holds(key) {
        return this.#stage === 'in' && this.locks.get(key)?.sid === this.sid &&
            performance.now() < (this.#leases.get(key)?.until ?? 0);
    }

    wants(key) {
        return this.#leases.has(key);
    }

    async #lease(key) {
        const mine = this.#leases.get(key);
        const since = performance.now(); // the backend's lease begins later than this
        try {
            const place = await this.#ask({ op: 'lock', k: key, ts: mine.lease, wt: true });
            if (place === undefined || this.#leases.get(key) !== mine) {
                return; // in line; or given back meanwhile
            }
            mine.until = since + mine.lease;
            this.onshared(key, true);
            clearTimeout(mine.timer);
            mine.timer = this.#later(mine.lease / 3, () => {
                if (this.#leases.get(key) === mine) {
                    this.#lease(key);
                }
            });
        } catch (error) {
            if (error.code !== undefined && this.#leases.get(key) === mine) {
                this.#leases.delete(key); // refused; after a break it is asked for again
                this.onshared(key, true);
                throw error;
            }
        }
    }

    #askForLocks() {
        for (const key of this.#leases.keys()) {
            this.#lease(key).catch(() => {}); // `onshared` told
        }
    }

    #share({ m = [], more, q }) {
        this.#shares ??= { values: new Map(), locks: new Map() };
        for (const entry of m) {
            this.#put(this.#shares, { ...entry, q: entry.v }, entry.lk);
        }
        if (more) {
            return;
        }
        this.values = this.#shares.values;
        this.locks = this.#shares.locks;
        this.#shares = null;
        this.#sharedAt = q ?? this.#sharedAt;
        for (const [key, mine] of this.#leases) {
            if (this.locks.get(key)?.sid !== this.sid) { // lost while away: asked for anew
                mine.until = 0;
            }
        }
        this.onshared();
    }

    #put({ values, locks }, { k, pl, sid, p, q }, lock) {
        const said = pl instanceof Uint8Array ? payload(pl) : null;
        if (lock && sid !== undefined) {
            locks.set(k, { sid, user: p, version: q });
        } else if (lock) {
            locks.delete(k);
        } else if (said) {
            values.set(k, { value: said.data, version: q, user: p });
        } else {
            values.delete(k);
        }
    }

    #sharedChange(message, lock) {
        const { k, sid, q } = message;
        if (q <= this.#sharedAt) {
            return;
        }
        this.#sharedAt = q;
        this.#put(this, message, lock);
        const mine = lock ? this.#leases.get(k) : undefined;
        if (mine && sid === this.sid && mine.until === 0) {
            this.#lease(k).catch(() => {}); // it came to us: the lease counts from now
        } else if (mine && sid !== this.sid && mine.until > 0) {
            clearTimeout(mine.timer);
            this.#leases.delete(k); // lost
        }
        this.onshared(k, lock);
    }

    // --- coming in ---

    #take(bytes) {
        let message;
        this.#heard = performance.now();
        try {
            message = decode(bytes);
        } catch {
            return; // one that is broken is passed over
        }
        if (!message || typeof message !== 'object' ||
            (message.c !== undefined && message.c !== this.room)) {
            return;
        }
        if (this.#waits(message)) {
            if (this.#held.length < HELD_MAX) {
                this.#held.push(message);
            } else {
                this.#lost({ final: false, reason: 'too much came before the snapshot' });
            }
            return;
        }
        this.#judge(message);
    }

    /** Of the room's stream, and the snapshot is not complete. */
    #waits({ t, op, q }) {
        return !this.#settled && (t === 'data' || (op === 'values' && q !== undefined) || [
            'value', 'lock',
            'peer_online', 'peer_state', 'peer_offline', 'peer_stale', 'peer_back', 'changes',
            'gap', 'history'].includes(op));
    }

    #judge(message) {
        if (message.t === 'data') {
            this.#data(message);
            return;
        }
        switch (message.op) {
        case 'hello': this.#hello(message); break;
        case 'channel_join': this.#joined(message); break;
        case 'resumed': this.#resumed(message); break;
        case 'snapshot': this.#snapshot(message); break;
        case 'peer_online': this.#change(0, { ...message, at: message.ts }); break;
        case 'peer_state': this.#change(1, { ...message, at: message.ts }); break;
        case 'peer_offline': this.#change(2, message); break;
        case 'peer_stale': this.#change(3, message); break;
        case 'peer_back': this.#change(4, message); break;
        case 'changes':
            (message.m ?? []).forEach((entry) => this.#change(entry.o ?? 0, entry));
            break;
        case 'history': this.#past(message); break;
        case 'values': this.#share(message); break;
        case 'value': this.#sharedChange(message, false); break;
        case 'lock': this.#sharedChange(message, true); break;
        case 'gap': this.ongap({ from: message.from, to: message.q }); break;
        case 'ack': this.#ack(message); break;
        case 'error': this.#error(message); break;
        case 'ping': this.#control({ op: 'pong', ts: message.ts }); break;
        case 'goaway': // it cannot start anew before all have gone
            this.#after = Math.min(Number(message.ts ?? 0), 60_000);
            this.#lost({ final: false, reason: 'the backend ends' });
            break;
        case 'channel_leave': this.close(message.msg || 'put out of the room'); break;
        default: // a later version's
        }
    }

    // --- sessions ---

    #hello({ sid, epoch, tok, lim = {}, p }) {
        if (this.#stage !== 'hello') {
            return;
        }
        this.id = p || this.id;
        this.#silence = Math.max(1000, Number(lim.silence ?? 15_000));
        this.#next = { sid, epoch, token: tok, grace: Number(lim.grace ?? 0) };
        this.#watch();
        if (this.#seat?.token && this.#seat.epoch === epoch) {
            const [q, qu, qb] = this.#had;
            this.#stage = 'resuming';
            this.#control({
                op: 'resume', c: this.room, q,
                qu: qu === q ? undefined : qu, qb: qb === q ? undefined : qb,
            });
            this.#control({ op: 'resume', tok: this.#seat.token });
        } else {
            this.#join();
        }
    }

    #forgetSession() {
        this.#seat = null;
        this.#sent = 0;
        const unknown = this.#kept.filter(({ index }) => index > 0);
        this.#kept = this.#kept.filter(({ index }) => index === 0);
        unknown.forEach(({ number }) => this.onsent(number, { unknown: true }));
    }

    /** A new member. What the session before had sent and nobody confirmed is not repeated:
     *  it may have arrived. What only waited is sent. */
    #join() {
        const again = this.#order !== null;
        this.#forgetSession();
        this.sid = this.#next.sid;
        this.#stage = 'joining';
        this.#settled = false;
        this.#fresh = new Map();
        this.#back = again ? { resumed: false, sent: this.#kept.length } : null;
        const [q, qu, qb] = this.#had;
        this.#control({
            op: 'channel_join', c: this.room, pl: encode({ id: this.id, ...this.state }),
            hist: this.history || undefined,
            ...(again && {
                epoch: this.#order, since: q,
                qu: qu === q ? undefined : qu, qb: qb === q ? undefined : qb,
            }),
        });
    }

    #joined({ q = 0, epoch }) {
        if (this.#stage !== 'joining') {
            return;
        }
        const { epoch: server, token, grace } = this.#next;
        this.#seat = { epoch: server, token: grace > 0 ? token : undefined };
        this.#order = epoch ?? null;
        this.#had = [q, q, q];
        this.#values.clear();
        this.#sharedAt = q;
        this.values = new Map();
        this.locks = new Map();
        this.#leases.forEach((mine) => Object.assign(mine, { until: 0 }));
        this.#in();
    }

    #resumed({ c, n = 0, sid, tok, code }) {
        if (this.#stage !== 'resuming') {
            return;
        }
        if (c !== undefined) {
            this.#seatHeld = true;
            this.#read(n);
            return;
        }
        if (code !== undefined) {
            this.#join();
            return;
        }
        this.sid = sid;
        this.#next = { ...this.#next, sid, token: tok };
        if (!this.#seatHeld) { // the session is there, its seat here is not
            this.#join();
            return;
        }
        this.#seat = { ...this.#seat, token: tok };
        this.#back = { resumed: true, sent: this.#kept.length };
        this.#kept.filter(({ index }) => index > 0)
            .forEach(({ bytes }) => this.#link.send(bytes, 'room'));
        this.#in();
    }

    #in() {
        this.#stage = 'in';
        this.#sendKept();
        this.#mine.forEach((message) => this.#sendLoose(message));
        this.#opened();
    }

    /** It is open when it may speak and knows who is there, whichever comes last. */
    #opened() {
        if (this.#stage !== 'in' || !this.#settled) {
            return;
        }
        this.#failures = 0;
        this.#setStatus('open');
        if (this.#back) {
            this.onback(this.#back);
            this.#back = null;
        }
        this.#askForLocks();
        const place = this.#place;
        for (const message of this.#held.splice(0)) {
            const told = message.t === 'data' ||
                ['gap', 'history', 'values', 'value', 'lock'].includes(message.op);
            if (told || !(message.q <= place)) {
                this.#judge(message);
            }
        }
    }

    // --- who is there ---

    #snapshot({ m = [], more, q = 0 }) {
        for (const { sid, p, pl, at, st } of m) {
            if (sid !== this.sid) { // after a break one's own seat is among them
                this.#fresh.set(sid, member(sid, p, pl, at, st));
            }
        }
        if (more) {
            return;
        }
        const before = this.members;
        this.members = this.#fresh;
        this.#fresh = new Map();
        this.#place = q;
        this.#settled = true;
        for (const [sid, old] of before) {
            if (!this.members.has(sid)) {
                this.onmember('left', old);
            }
        }
        for (const [sid, one] of this.members) {
            if (!before.has(sid)) {
                this.onmember('came', one);
            }
        }
        this.onmembers();
        this.#opened();
    }

    #change(what, { sid, p, pl, at }) {
        const old = this.members.get(sid);
        const name = CHANGES[what];
        if (sid === this.sid || sid === undefined || !name || (what > 1 && !old)) {
            return;
        }
        let one = old;
        if (what === 2) {
            this.members.delete(sid);
            for (const value of this.#values.keys()) {
                if (value.startsWith(`${sid} `)) {
                    this.#values.delete(value);
                }
            }
        } else if (what > 2) {
            one.stale = what === 3;
        } else {
            one = member(sid, p, pl, at, old?.stale);
            this.members.set(sid, one);
        }
        this.onmember(name === 'came' && old ? 'state' : name, one);
        this.onmembers();
    }

    // --- what is said ---

    #data({ d = 0, sid = 0, p = '', q, pr = 0, pl, v, k = '', dm, re }) {
        if (re !== undefined || !(pl instanceof Uint8Array)) {
            return; // a reply: nothing is asked here
        }
        const said = payload(pl);
        if (!said) {
            return;
        }
        if (d === 0 && q !== undefined) {
            if (q <= this.#had[pr]) {
                return;
            }
            this.#had[pr] = q;
        } else if (d === CLASSES.latest && v !== undefined) {
            const name = `${sid} ${said.event} ${k}`;
            if (v <= (this.#values.get(name) ?? 0)) {
                return;
            }
            this.#values.delete(name); // the one that was silent for longest is first
            this.#values.set(name, v);
            if (this.#values.size > VALUES_MAX) {
                this.#values.delete(this.#values.keys().next().value);
            }
        }
        this.onmessage({
            ...said, sid, user: p, q, at: Date.now(), direct: dm ?? false, past: false,
        });
    }

    #past({ n, m = [], more, q }) {
        const messages = [];
        for (const { q: place, sid = 0, p = '', pl, at, pr = 0 } of m) {
            const said = pl instanceof Uint8Array ? payload(pl) : null;
            if (n === undefined && place > this.#had[pr]) {
                this.#had[pr] = place;
            }
            if (said) {
                messages.push({
                    ...said, sid, user: p, q: place, at: Number(at), direct: false, past: true,
                });
            }
        }
        if (n === undefined) {
            messages.forEach((message) => this.onmessage(message));
            return;
        }
        const asked = this.#asked.get(n);
        asked?.messages.push(...messages);
        if (asked && !more) {
            this.#asked.delete(n);
            asked.resolve({ messages: asked.messages, before: q });
        }
    }

    #ack({ n, q, rd }) {
        if (rd !== undefined) {
            this.#read(rd);
        }
        const asked = this.#asked.get(n);
        if (asked) {
            this.#asked.delete(n);
            asked.resolve(q);
        } else if (n !== undefined) {
            this.#answered(n, { q });
        }
    }

    #error({ n, code, msg, v = 0 }) {
        const error = msg || `error ${code}`;
        if (n === undefined) {
            if (this.#stage === 'joining') {
                this.close(error);
            }
            return;
        }
        const asked = this.#asked.get(n);
        if (asked) {
            this.#asked.delete(n);
            asked.reject(Object.assign(new Error(error), { code, version: v }));
        } else {
            this.#answered(n, { error });
        }
    }

    /** An answer to one says that all before it were read; their own answers may still come. */
    #answered(number, fate) {
        const kept = this.#kept.find((one) => one.number === number);
        if (kept?.index > 0) {
            this.#read(kept.index);
        }
        this.onsent(number, fate);
    }
}

function member(sid, user, pl, at, stale = false) {
    let state = {};
    try {
        state = pl ? decode(pl) : {};
    } catch {
        // a state of kinds that are not used here
    }
    return { sid, user, state, at: Number(at ?? 0), stale };
}

/** The event and its value; null for what is not JSON text. */
function payload(pl) {
    try {
        const { event, data } = decode(pl);
        return { event, data: typeof data === 'string' ? JSON.parse(data) : data };
    } catch {
        return null;
    }
}
