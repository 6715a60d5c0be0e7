// SPDX-License-Identifier: MIT
// The demo: everybody's cursor, what they say, who is here, and how this page is connected.
//
// Three kinds of message, which any other program may send too:
//   "cursor"  latest    { x, y, say?, away? }   x and y from 0 to 1 of the window; `say` is
//                                               what is being typed
//   "chat"    reliable  "text"
//   state               { name, color }
// ?room=, ?name= and ?transport=webtransport|websocket choose what they say.

import { Room } from './yomo.js';

const COLOURS = ['#c2410c', '#b42318', '#a21caf', '#7e22ce', '#4338ca', '#1d4ed8',
    '#0369a1', '#0f766e', '#15803d', '#4d7c0f', '#a16207', '#be185d'];
const FIRST = ['Amber', 'Bold', 'Calm', 'Clever', 'Coral', 'Gentle', 'Ivory', 'Jolly',
    'Lucky', 'Mellow', 'Misty', 'Quick', 'Quiet', 'Sunny', 'Swift', 'Witty'];
const SECOND = ['Badger', 'Crane', 'Dolphin', 'Falcon', 'Fox', 'Heron', 'Ibex', 'Koala',
    'Lynx', 'Marten', 'Otter', 'Owl', 'Panda', 'Raven', 'Seal', 'Wren'];

const SEND_EVERY = 33;   // ms between two positions of ours
const SMOOTH = 65;       // ms in which a cursor covers most of the way to where it is
const AWAY_AFTER = 20_000;
const SPOKEN_FOR = 5000; // how long a bubble stays after Enter
const LOG_FOR = 12_000;
const LOG_LINES = 5;
const AVATARS = 6;
const NAME_MAX = 24;
const SAY_MAX = 140;

const query = new URLSearchParams(location.search);
const $ = (selector) => document.querySelector(selector);
const still = matchMedia('(prefers-reduced-motion: reduce)');

function any(list) {
    return list[Math.floor(Math.random() * list.length)];
}

function short(text, length) {
    const letters = [...String(text)];
    return letters.length > length ? `${letters.slice(0, length - 1).join('')}…` : text;
}

/** The same colour for the same person on every screen. */
function colourOf(peer) {
    if (/^#[0-9a-f]{6}$/i.test(peer.state.color ?? '')) {
        return peer.state.color;
    }
    let hash = 0;
    for (const letter of peer.id) {
        hash = (hash * 31 + letter.codePointAt(0)) >>> 0;
    }
    return COLOURS[hash % COLOURS.length];
}

function nameOf(peer) {
    const { name } = peer.state;
    return short((typeof name === 'string' && name.trim()) || peer.id || 'somebody', NAME_MAX);
}

function initialsOf(name) {
    const words = name.split(/\s+/).filter(Boolean);
    const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0] ?? '?'];
    return letters.map((word) => [...word][0].toUpperCase()).join('');
}

// --- who this is ---

// A page that is loaded again is the same person; a second window is another one. So what
// there is to know lies in the session only between the two loads.
function whoAmI() {
    const kept = sessionStorage.getItem('me');
    sessionStorage.removeItem('me');
    const fresh = {
        id: crypto.randomUUID?.() ?? `page-${Math.random().toString(36).slice(2)}`,
        name: `${any(FIRST)} ${any(SECOND)}`,
        color: any(COLOURS),
    };
    let me = fresh;
    try {
        me = { ...fresh, ...JSON.parse(kept) };
    } catch {
        // nothing was kept, or not by us
    }
    return { ...me, name: query.get('name') ?? me.name };
}

const me = whoAmI();
let wanted = query.get('transport') ?? 'auto';

/** Where the backend is: in development the page is told so by the one that serves it. */
async function where() {
    const secure = location.protocol === 'https:';
    const addresses = { hashes: [] };
    const response = await fetch('config.json', { cache: 'no-store' });
    const config = response.ok ? await response.json() : {};
    const port = config.port ?? (location.port || (secure ? 443 : 8443));
    if (config.certificate_sha256) {
        const pairs = config.certificate_sha256.match(/../g);
        addresses.hashes.push(new Uint8Array(pairs.map((pair) => parseInt(pair, 16))));
    }
    if (wanted !== 'websocket') {
        addresses.webtransport = `https://${location.hostname}:${port}/v1`;
    }
    if (wanted !== 'webtransport') {
        addresses.websocket = `${secure ? 'wss' : 'ws'}://${location.host}/v1`;
    }
    return addresses;
}

const room = new Room({
    name: query.get('room') || 'demo',
    id: me.id,
    state: { name: me.name, color: me.color },
    where,
});

// --- the others' cursors ---

const people = new Map(); // session -> what is on the screen of it

function element(tag, className, text) {
    const node = document.createElement(tag);
    node.className = className;
    if (text !== undefined) {
        node.textContent = text;
    }
    return node;
}

const ARROW = '<svg viewBox="0 0 26 26"><path d="M2.5 2.5 L21 10.4 L12.6 12.9 L9.6 21.2 Z"' +
    ' stroke-linejoin="round"/></svg>';

class Person {
    constructor(peer) {
        this.avatar = element('li', 'avatar');
        this.avatar.dataset.testid = 'avatar';
        this.cursor = element('div', 'cursor');
        this.cursor.dataset.testid = 'cursor';
        this.cursor.innerHTML = ARROW;
        this.tag = element('div', 'tag');
        this.label = element('span', 'label');
        this.words = element('span', 'words');
        this.tag.append(this.label, this.words);
        this.cursor.append(this.tag);
        this.placed = false;
        this.say = '';
        this.update(peer);
    }

    update(peer) {
        this.peer = peer;
        this.name = nameOf(peer);
        for (const node of [this.avatar, this.cursor]) {
            node.style.setProperty('--colour', colourOf(peer));
            node.dataset.id = peer.id;
        }
        this.label.textContent = this.name;
        this.avatar.textContent = initialsOf(this.name);
        this.avatar.title = this.name;
        this.avatar.setAttribute('aria-label', this.name);
    }

    moveTo({ x, y, say, away }, now) {
        this.goal = { x, y };
        this.moved = now;
        this.away = away === true;
        if (!this.placed) { // the first place is not travelled to
            this.placed = true;
            this.at = { x, y };
            $('.cursors').append(this.cursor);
        }
        this.speak(typeof say === 'string' ? say : '', now);
    }

    // What was said stays a while after its author has stopped typing.
    speak(words, now) {
        if (words) {
            this.say = words;
            this.silentAt = Infinity;
        } else if (this.silentAt === Infinity) {
            this.silentAt = now;
        }
    }

    said(words, now) {
        this.say = words;
        this.silentAt = now + SPOKEN_FOR;
    }

    draw(now, step) {
        if (now >= this.silentAt) {
            this.say = '';
            this.silentAt = undefined;
        }
        const idle = this.away || now - this.moved > AWAY_AFTER;
        this.avatar.classList.toggle('away', this.placed && idle);
        if (!this.placed) {
            return;
        }
        this.cursor.classList.toggle('away', idle && !this.say);
        this.tag.classList.toggle('speaking', this.say !== '');
        if (this.words.textContent !== this.say) {
            this.words.textContent = this.say;
        }
        const part = still.matches ? 1 : 1 - Math.exp(-step / SMOOTH);
        this.at.x += (this.goal.x - this.at.x) * part;
        this.at.y += (this.goal.y - this.at.y) * part;
        const x = this.at.x * innerWidth;
        const y = this.at.y * innerHeight;
        this.tag.classList.toggle('left', x > innerWidth - (this.say ? 300 : 160));
        this.tag.classList.toggle('up', y > innerHeight - 70);
        this.cursor.style.transform = `translate(${x}px, ${y}px)`;
    }

    remove() {
        this.avatar.remove();
        this.cursor.remove();
    }
}

let drawn = performance.now();

function draw(now) {
    const step = now - drawn;
    drawn = now;
    people.forEach((person) => person.draw(now, step));
    requestAnimationFrame(draw);
}

function showAvatars() {
    const list = $('.avatars');
    const shown = [...people.values()].slice(0, AVATARS).map((person) => person.avatar);
    const hidden = people.size - shown.length;
    if (hidden > 0) {
        const more = element('li', 'avatar more', `+${hidden}`);
        more.setAttribute('aria-label', `and ${hidden} more`);
        shown.push(more);
    }
    // Only what is not there yet is put there, or everything would arrive again.
    [...list.children].forEach((node) => shown.includes(node) || node.remove());
    shown.forEach((node, index) => {
        if (list.children[index] !== node) {
            list.insertBefore(node, list.children[index] ?? null);
        }
    });
    const hint = $('.hint');
    hint.classList.toggle('company', people.size > 0);
    hint.classList.toggle('quiet', people.size > 0 && talked);
}

let talked = false; // the hint has done its work

// --- what was said ---

function log(name, colour, words) {
    const line = element('li', '');
    line.dataset.testid = 'line';
    const author = element('b', '', name);
    author.style.setProperty('--colour', colour);
    line.append(author, words);
    const list = $('.log');
    list.append(line);
    while (list.children.length > LOG_LINES) {
        list.firstChild.remove();
    }
    setTimeout(() => {
        line.classList.add('old');
        setTimeout(() => line.remove(), 900);
    }, LOG_FOR);
}

// --- this page's own cursor and words ---

const pointer = { x: 0.5, y: 0.5, known: false, away: false, say: '' };
let sentAt = 0;
let sendTimer;

function sendPointer() {
    clearTimeout(sendTimer);
    sendTimer = undefined;
    sentAt = performance.now();
    const round = (number) => Math.round(number * 10_000) / 10_000;
    room.sendLatest('cursor', {
        x: round(pointer.x),
        y: round(pointer.y),
        say: pointer.say || undefined,
        away: pointer.away || undefined,
    });
}

/** At most every SEND_EVERY, and the last one always. */
function pointerChanged() {
    if (!pointer.known || sendTimer !== undefined) {
        return;
    }
    const wait = sentAt + SEND_EVERY - performance.now();
    if (wait <= 0) {
        sendPointer();
    } else {
        sendTimer = setTimeout(sendPointer, wait);
    }
}

addEventListener('pointermove', (event) => {
    const clamp = (number) => Math.min(1, Math.max(0, number));
    Object.assign(pointer, {
        x: clamp(event.clientX / innerWidth), y: clamp(event.clientY / innerHeight),
        known: true, away: false,
    });
    pointerChanged();
    placeBubble();
});
addEventListener('pointerdown', (event) => {
    if (event.pointerType === 'touch') {
        dispatchEvent(new PointerEvent('pointermove', event));
    }
});
document.documentElement.addEventListener('pointerleave', () => {
    pointer.away = true;
    pointerChanged();
});

const bubble = $('.bubble');
const say = $('.say');

function placeBubble() {
    if (bubble.hidden) {
        return;
    }
    const { offsetWidth, offsetHeight } = bubble;
    const x = Math.min(pointer.x * innerWidth + 14, innerWidth - offsetWidth - 8);
    const y = Math.min(pointer.y * innerHeight + 18, innerHeight - offsetHeight - 8);
    bubble.style.transform = `translate(${Math.max(8, x)}px, ${Math.max(8, y)}px)`;
}

function openBubble() {
    bubble.hidden = false;
    talked = true;
    showAvatars();
    pointer.known = true;
    placeBubble();
    say.focus();
}

function closeBubble() {
    bubble.hidden = true;
    say.value = '';
    pointer.say = '';
    pointerChanged();
}

function speak() {
    const words = say.value.trim();
    if (words) {
        room.send('chat', words);
        log(me.name, me.color, words);
    }
    closeBubble();
}

say.addEventListener('input', () => {
    pointer.say = short(say.value, SAY_MAX);
    pointerChanged();
    placeBubble(); // it may have grown
});
say.addEventListener('blur', () => {
    if (!say.value) {
        closeBubble();
    }
});
bubble.addEventListener('submit', (event) => {
    event.preventDefault();
    speak();
});
$('.talk').addEventListener('click', openBubble);
addEventListener('keydown', (event) => {
    if (event.isComposing) {
        return;
    }
    if (event.key === 'Escape' && !bubble.hidden) {
        closeBubble();
    } else if (event.key === '/' && bubble.hidden && document.activeElement !== $('.name')) {
        event.preventDefault();
        openBubble();
    }
});

// --- this page's name ---

function showMe() {
    document.documentElement.style.setProperty('--mine', me.color);
    const avatar = $('.me .avatar');
    avatar.style.setProperty('--colour', me.color);
    avatar.textContent = initialsOf(me.name);
}

const nameField = $('.name');
nameField.value = me.name;
nameField.addEventListener('change', () => {
    me.name = nameField.value.trim() || me.name;
    nameField.value = me.name;
    showMe();
    room.setState({ name: me.name, color: me.color });
});
nameField.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') {
        nameField.blur();
    }
});

// --- how it is connected ---

const KINDS = { webtransport: 'WebTransport', websocket: 'WebSocket' };
const STATES = {
    connecting: 'Connecting', waiting: 'Reconnecting', closed: 'Disconnected', idle: '',
};

function showStatus({ state, transport, reason }) {
    const button = $('.transport');
    button.dataset.state = state;
    $('.kind').textContent = KINDS[transport] ?? STATES[state];
    $('.rtt').textContent = '';
    showRtt(room.rtt);
    button.title = state === 'open'
        ? `Click to use ${transport === 'websocket' ? 'WebTransport' : 'WebSocket'}`
        : reason;
}

function showRtt(milliseconds) {
    if (room.status === 'open' && milliseconds > 0) {
        $('.rtt').textContent = milliseconds < 10 ? `${milliseconds.toFixed(1)} ms`
            : `${Math.round(milliseconds)} ms`;
    }
}

$('.transport').addEventListener('click', () => {
    if (room.status === 'open') {
        wanted = room.transport === 'websocket' ? 'auto' : 'websocket';
    }
    room.connect();
});

// --- the room ---

room.onstatus = (status) => {
    showStatus(status);
    if (status.state === 'open') {
        sentAt = 0;
        pointerChanged();
    }
};
room.onrtt = showRtt;

room.onpeer = (change, peer) => {
    const known = people.get(peer.session);
    if (change === 'leave') {
        known?.remove();
        people.delete(peer.session);
    } else if (known) {
        known.update(peer);
    } else {
        people.set(peer.session, new Person(peer));
        // Who came knows no cursor yet; not all of us need to tell at the same moment.
        setTimeout(pointerChanged, Math.random() * 200);
    }
    showAvatars();
};

const isPart = (number) => typeof number === 'number' && number >= 0 && number <= 1;

room.onmessage = (event, data, sender) => {
    const person = people.get(sender.session);
    const now = performance.now();
    if (event === 'cursor' && person && isPart(data?.x) && isPart(data?.y)) {
        person.moveTo({ ...data, say: data.say && short(data.say, SAY_MAX) }, now);
    } else if (event === 'chat') {
        const words = typeof data === 'string' ? data : data?.text;
        if (typeof words === 'string' && words) {
            log(nameOf(sender), colourOf(sender), short(words, 500));
            person?.said(short(words, SAY_MAX), now);
        }
    }
};

function keepMe() {
    sessionStorage.setItem('me', JSON.stringify(me));
}

addEventListener('pagehide', () => {
    keepMe();
    room.close();
});
addEventListener('pageshow', (event) => {
    if (event.persisted) { // back from the browser's history, as if it had never gone
        sessionStorage.removeItem('me');
        room.connect();
    }
});
addEventListener('online', () => {
    if (room.status === 'waiting') {
        room.connect();
    }
});

new Worker('ticker.js').onmessage = () => room.tick();

$('.room').textContent = room.name;
$('[data-testid="second"]').href = location.href;
showMe();
requestAnimationFrame(draw);

/** For tests and for the curious: what this page knows. */
window.yomoDemo = {
    me,
    room,
    get status() {
        return room.status;
    },
    get transport() {
        return room.transport;
    },
    get rtt() {
        return room.rtt;
    },
    get peers() {
        return [...people.values()].map(({ peer, name, goal, say: words, away }) => ({
            session: peer.session, id: peer.id, name, cursor: goal ?? null, say: words, away,
        }));
    },
};

room.connect();
