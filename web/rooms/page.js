// SPDX-License-Identifier: MIT
// A room with all that a room has: people with their devices, messages with what was said
// before, to all or to one, cursors, and a connection that can be broken and comes back.

import { RoomClient } from './client.js';

const EVENTS_MAX = 300;
const MESSAGES_MAX = 500;
const CURSOR_EVERY = 40;
const NAMES = ['Ada', 'Emmy', 'Grace', 'Hedy', 'Ida', 'Karen', 'Lise', 'Mary', 'Noor', 'Sofia'];
const COLOURS = ['#c2255c', '#862e9c', '#4263eb', '#0b7285', '#2b7a3d', '#b5540a', '#a61e4d'];

const $ = (name) => document.querySelector(`[data-testid="${name}"]`);
const query = new URLSearchParams(location.search);

const me = {
    id: (query.get('id') || crypto.randomUUID().slice(0, 8)).slice(0, 60),
    name: (query.get('name') || NAMES[Math.floor(Math.random() * NAMES.length)]).slice(0, 24),
};
const roomName = (query.get('room') || 'rooms').slice(0, 60);
const device = /Mobi/.test(navigator.userAgent) ? 'phone' : 'computer';

/** A user has one colour, the same for everybody. */
function colourOf(user) {
    let sum = 0;
    for (const letter of user) {
        sum = (sum * 31 + letter.codePointAt(0)) >>> 0;
    }
    return COLOURS[sum % COLOURS.length];
}

async function where() {
    const secure = location.protocol === 'https:';
    const addresses = { hashes: [] };
    const response = await fetch('../config.json', { cache: 'no-store' });
    const config = response.ok ? await response.json() : {};
    const port = config.port ?? (location.port || (secure ? 443 : 8443));
    if (config.certificate_sha256) {
        const pairs = config.certificate_sha256.match(/../g);
        addresses.hashes.push(new Uint8Array(pairs.map((pair) => parseInt(pair, 16))));
    }
    if (query.get('transport') !== 'websocket') {
        addresses.webtransport = `https://${location.hostname}:${port}/v1`;
    }
    if (query.get('transport') !== 'webtransport') {
        addresses.websocket = `${secure ? 'wss' : 'ws'}://${location.host}/v1`;
    }
    return addresses;
}

const client = new RoomClient({
    room: roomName, id: me.id, state: { name: me.name, device }, where, history: 30,
});

function element(name, className, words) {
    const made = document.createElement(name);
    made.className = className;
    if (words !== undefined) {
        made.textContent = words;
    }
    return made;
}

// --- events ---

function say(what, mood = '') {
    const now = new Date().toISOString();
    const line = document.createElement('li');
    const time = element('time', '', now.slice(11, 23));
    time.dateTime = now;
    line.append(time, element('span', mood, what));
    const log = $('log');
    log.append(line);
    while (log.childElementCount > EVENTS_MAX) {
        log.firstElementChild.remove();
    }
    log.scrollTop = log.scrollHeight;
}

const STATUS = {
    connecting: 'Connecting', away: 'Broken off', waiting: 'Trying again', closed: 'Closed',
};
const TRANSPORTS = { webtransport: 'WebTransport', websocket: 'WebSocket' };

client.onstatus = ({ state, reason, transport }) => {
    const words = state === 'open' ? TRANSPORTS[transport] : STATUS[state];
    $('state').dataset.state = state;
    $('state-text').textContent = words;
    const here = state === 'open' || state === 'connecting';
    $('break').textContent = here ? 'Break the connection' : 'Come back';
    $('wave').disabled = $('older').disabled = state !== 'open';
    say(`${state === 'open' ? `In the room, over ${words}, as session ${client.sid}` : words}` +
        `${reason ? `: ${reason}` : ''}`, state === 'open' ? 'good' : '');
    drawPeople();
    drawShared();
};

// --- people ---

const names = new Map([[me.id, me.name]]); // what users called themselves last
const text = (value) => (typeof value === 'string' && value ? value.slice(0, 40) : '');
const nameOf = (user) => names.get(user) ?? (user || 'the backend');

function drawPeople() {
    const users = new Map();
    const own = { sid: client.sid, user: client.id, stale: client.status !== 'open', own: true };
    for (const one of [own, ...client.members.values()]) {
        if (text(one.state?.name)) {
            names.set(one.user, text(one.state.name));
        }
        users.set(one.user, [...(users.get(one.user) ?? []), one]);
    }
    $('people').replaceChildren(...[...users].map(([user, devices]) => {
        const row = document.createElement('li');
        const name = nameOf(user);
        const avatar = element('span', 'avatar', name.slice(0, 1).toUpperCase());
        avatar.ariaHidden = 'true';
        row.style.setProperty('--colour', colourOf(user));
        row.dataset.testid = 'person';
        row.dataset.user = user;
        row.classList.toggle('stale', devices.every(({ stale }) => stale));
        const list = element('ul', 'devices');
        list.ariaLabel = `Devices of ${name}`;
        list.append(...devices.map((one) => {
            const what = one.own ? 'this one' : text(one.state.device) || 'program';
            const item = element('li', one.stale ? 'stale' : '',
                `${what}${one.stale ? ', away' : ''}`);
            item.title = `session ${one.sid}`;
            item.dataset.testid = 'device-of';
            return item;
        }));
        const words = document.createElement('div');
        words.append(element('span', 'label', user === client.id ? `${name} (you)` : name), list);
        row.append(avatar, words);
        return row;
    }));
    const to = $('to');
    const chosen = to.value;
    to.replaceChildren(new Option('everybody', ''), ...[...users.keys()]
        .filter((user) => user !== client.id).map((user) => new Option(nameOf(user), user)));
    if (chosen && !users.has(chosen)) { // not to everybody what was meant for one
        to.append(new Option(`${nameOf(chosen)} (gone)`, chosen));
    }
    to.value = chosen;
    drawPointers();
}

const WORDS = {
    came: 'is there', left: 'has left', stale: 'broke off: the seat is kept', back: 'is back',
};

client.onmembers = drawPeople;
client.onmember = (what, one) => {
    if (text(one.state.name)) {
        names.set(one.user, text(one.state.name));
    }
    if (what === 'left') {
        pointers.delete(one.sid);
    }
    if (WORDS[what]) {
        say(`${nameOf(one.user)} ${WORDS[what]}`);
    }
};

// --- messages ---

const lines = new Map(); // place -> its line
const unanswered = new Map(); // number -> its line

function lineOf({ user, data, to, direct, past, at }) {
    const line = element('li', past ? 'past' : '');
    const note = direct ? ' to you' : to ? ` to ${nameOf(to)}` : '';
    line.dataset.testid = 'message';
    line.style.setProperty('--colour', colourOf(user));
    line.append(element('b', '', `${nameOf(user)}${note}`), ` ${data.text.slice(0, 500)} `,
        element('small', '', new Date(at).toLocaleTimeString()));
    return line;
}

/** A line goes where its place in the room's order is; what waits for one stands at the end. */
function put(line, place) {
    const list = $('messages');
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    if (place === undefined) {
        list.append(line);
    } else if (lines.has(place)) {
        line.remove();
        return;
    } else {
        lines.set(place, line);
        line.remove();
        line.dataset.place = place;
        const next = [...list.children].find(({ dataset }) =>
            dataset.waits || Number(dataset.place) > Number(place));
        list.insertBefore(line, next ?? null);
    }
    while (list.childElementCount > MESSAGES_MAX) {
        const first = list.firstElementChild;
        lines.delete(Number(first.dataset.place));
        first.remove();
    }
    if (atEnd) {
        list.scrollTop = list.scrollHeight;
    }
}

function show(message) {
    if (message.event === 'chat' && typeof message.data?.text === 'string') {
        if (message.past && text(message.data.name) && !names.has(message.user)) {
            names.set(message.user, text(message.data.name));
        }
        put(lineOf(message), message.q);
    }
}

client.onmessage = (message) => {
    if (message.event === 'cursor') {
        const { x, y } = message.data ?? {};
        if (x >= 0 && x <= 1 && y >= 0 && y <= 1) {
            pointers.set(message.sid, { x, y });
            drawPointers();
        }
    } else if (message.event === 'wave') {
        say(`${nameOf(message.user)} waves`);
    } else {
        show(message);
    }
};

client.onsent = (number, { q, error, unknown }) => {
    const line = unanswered.get(number);
    if (!line) {
        return;
    }
    unanswered.delete(number);
    delete line.dataset.waits;
    line.dataset.sent = q !== undefined ? 'yes' : 'no';
    if (q === undefined) {
        line.lastElementChild.textContent = unknown ? 'may not have arrived' : `refused: ${error}`;
        line.lastElementChild.className = 'missing';
    } else {
        line.lastElementChild.textContent = new Date().toLocaleTimeString();
        put(line, q);
    }
};

$('form').addEventListener('submit', (event) => {
    event.preventDefault();
    const { to, text: field } = event.target.elements;
    const data = { text: field.value, name: me.name };
    try {
        const how = to.value ? { to: [to.value] } : {};
        const line = lineOf({ user: client.id, data, to: to.value, at: Date.now() });
        const number = client.send('chat', data, how);
        line.lastElementChild.textContent = client.status === 'open' ? 'sending' : 'waits';
        line.dataset.waits = 'yes';
        unanswered.set(number, line);
        put(line);
        field.value = '';
    } catch (error) {
        say(error.message, 'bad');
    }
});

let oldest; // the place before which is asked next
$('older').addEventListener('click', async () => {
    $('older').disabled = true;
    try {
        const before = oldest ?? (lines.size > 0 ? Math.min(...lines.keys()) : undefined);
        const answer = await client.ask(before);
        answer.messages.forEach((message) => show(message));
        oldest = answer.before ?? oldest;
        say(answer.before === undefined
            ? 'Nothing older is kept (option history-messages)' : 'There is more');
    } catch (error) {
        say(error.message, 'bad');
    }
    $('older').disabled = client.status !== 'open';
});

// --- a counter and a lock ---

const CONFLICT = -108;
const TRIES = 20;
const told = new Set(); // who waits to be told what is shared

function drawShared() {
    const open = client.status === 'open';
    const count = client.values.get('count')?.value;
    const holder = client.locks.get('lock');
    const mine = client.holds('lock');
    $('count').textContent = Number.isSafeInteger(count) ? count : 0;
    $('less').disabled = $('more').disabled = $('lock').disabled = !open;
    $('lock').textContent = mine ? 'Unlock' : client.wants('lock') ? 'Do not wait' : 'Lock';
    $('lock-text').textContent = !open ? 'Away: who has the lock is not known.'
        : mine ? 'You have the lock.'
            : holder?.sid === client.sid ? 'The lock is coming to you.'
                : holder ? `${nameOf(holder.user)} has the lock` +
                    `${client.wants('lock') ? '; you are in line.' : '.'}`
                    : 'Nobody has the lock.';
}

client.onshared = (key, lock) => {
    if (key === 'lock' && lock) {
        drawShared();
        say($('lock-text').textContent);
    }
    drawShared();
    told.forEach((go) => go());
    told.clear();
};

/** Compare and set: who is told that somebody else was first counts on from there. */
async function add(step) {
    try {
        for (let i = 0; i < TRIES; i++) {
            const { value, version = 0 } = client.values.get('count') ?? {};
            const count = Number.isSafeInteger(value) ? value : 0;
            try {
                await client.set('count', count + step, version);
                return;
            } catch (error) {
                if (error.code !== CONFLICT) {
                    throw error;
                }
                say('Somebody else was first: the counter is tried again');
                if ((client.values.get('count')?.version ?? 0) === version) {
                    await new Promise((go) => told.add(go)); // it is on its way
                }
            }
        }
        say('The counter is too busy', 'bad');
    } catch (error) {
        say(`The counter: ${error.message}`, 'bad');
    }
}

$('less').addEventListener('click', () => add(-1));
$('more').addEventListener('click', () => add(1));
$('lock').addEventListener('click', async () => {
    try {
        await (client.wants('lock') ? client.unlock('lock') : client.lock('lock'));
    } catch (error) {
        say(`The lock: ${error.message}`, 'bad');
    }
    drawShared();
});

// --- cursors ---

const pointers = new Map(); // session -> where
let drawing = false;

function drawPointers() {
    if (drawing) {
        return;
    }
    drawing = true;
    requestAnimationFrame(() => {
        drawing = false;
        $('pad').replaceChildren(...[...pointers].flatMap(([sid, { x, y }]) => {
            const one = client.members.get(sid);
            if (!one) {
                return []; // it overtook the news of who it is
            }
            const pointer = element('span', `pointer${one.stale ? ' stale' : ''}`,
                nameOf(one.user));
            pointer.dataset.testid = 'pointer';
            pointer.style.left = `${x * 100}%`;
            pointer.style.top = `${y * 100}%`;
            pointer.style.setProperty('--colour', colourOf(one.user));
            return [pointer];
        }));
    });
}

const mine = { x: .5, y: .5 };
let movedAt = 0;
let telling;

function moveTo(x, y) {
    mine.x = Math.min(Math.max(x, 0), 1);
    mine.y = Math.min(Math.max(y, 0), 1);
    telling ??= setTimeout(() => {
        telling = undefined;
        movedAt = performance.now();
        client.send('cursor', mine, { kind: 'latest' });
    }, Math.max(0, CURSOR_EVERY - (performance.now() - movedAt)));
}

$('pad').addEventListener('pointermove', (event) => {
    const box = $('pad').getBoundingClientRect();
    moveTo((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
});

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
$('pad').addEventListener('keydown', (event) => {
    const [x, y] = ARROWS[event.key] ?? [];
    if (x !== undefined) {
        event.preventDefault();
        moveTo(mine.x + x * .05, mine.y + y * .05);
    }
});

// --- the connection ---

$('break').addEventListener('click', () => {
    if (client.status === 'open' || client.status === 'connecting') {
        client.breakOff();
    } else {
        client.connect();
    }
});
$('wave').addEventListener('click', () => {
    client.send('wave', {}, { kind: 'unreliable' });
    say('You wave, unreliably');
});

client.onback = ({ resumed, sent }) => {
    say(resumed
        ? `Resumed: the same seat; ${sent} of your messages had waited`
        : 'The seat was gone: joined anew, and told what was said since', resumed ? 'good' : '');
};
client.ongap = ({ from, to }) => {
    const what = from === undefined ? 'The room has begun anew: what was missed is not known'
        : `Not kept any more: what was said from place ${from} to ${to}`;
    const line = element('li', 'missing', what);
    line.dataset.testid = 'gap';
    if (from === undefined) { // places of another order mean nothing now
        lines.clear();
        oldest = undefined;
        for (const old of $('messages').children) {
            delete old.dataset.place;
        }
    }
    put(line);
    say(what, 'bad');
};

const link = (fields) => `?${new URLSearchParams({
    room: roomName, ...(query.has('transport') && { transport: query.get('transport') }), ...fields,
})}`;
$('room').textContent = roomName;
$('other').href = link({});
$('device').href = link({ id: me.id, name: me.name });

window.addEventListener('pagehide', () => client.close());
window.addEventListener('pageshow', (event) => event.persisted && client.connect());
drawPeople();
client.connect();
