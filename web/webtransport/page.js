// SPDX-License-Identifier: MIT
// WebTransport by hand: a session to any server, datagrams, streams of both kinds, and what
// becomes of them. Without a server of one's own it asks this page's for its /echo.

import { Flow, why } from './flows.js';
import { RoundTrips, amount, parseHash, parseList, randomBytes, show } from './wire.js';

const EVENTS_MAX = 500;
const FLOWS_MAX = 200;
const MEASURE_EVERY = 100;
const STATS_EVERY = 1000;

const $ = (name) => document.querySelector(`[data-testid="${name}"]`);
const text = new TextEncoder();

let session = null; // what is connected, or wants to be

// --- events ---

function say(what, mood = '') {
    const line = document.createElement('li');
    const time = document.createElement('time');
    const now = new Date();
    time.dateTime = now.toISOString();
    time.textContent = now.toISOString().slice(11, 23);
    const words = document.createElement('span');
    words.className = mood;
    words.textContent = what;
    line.append(time, words);
    const log = $('log');
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 30;
    log.append(line);
    while (log.childElementCount > EVENTS_MAX) {
        log.firstElementChild.remove();
    }
    if (atEnd) {
        log.scrollTop = log.scrollHeight;
    }
}

function showState(state, words) {
    $('state').dataset.state = state;
    $('state-text').textContent = words;
    const open = state === 'open';
    for (const name of ['close', 'datagram-send', 'datagram-random', 'stream-open']) {
        $(name).disabled = !open;
    }
    $('connect').disabled = open || state === 'connecting';
}

// --- statistics ---

const ms = (value) => (value === undefined || value === null || !Number.isFinite(value)
    ? '–' : `${value.toFixed(value < 10 ? 2 : 1)} ms`);

function drawNumbers() {
    const { trips, count, stats } = session ?? {};
    const rows = [
        ['Datagrams sent', count?.datagramsOut ?? 0],
        ['Datagrams received', count?.datagramsIn ?? 0],
        ['Datagrams back', trips?.sent ? `${Math.round((100 * trips.back) / trips.sent)} %` : '–'],
        ['Round trip', ms(trips?.back ? trips.last : undefined)],
        ['Least round trip', ms(trips?.least)],
        ['Mean round trip', ms(trips?.back ? trips.sum / trips.back : undefined)],
        ['Streams opened', count?.opened ?? 0],
        ['Streams incoming', count?.incoming ?? 0],
        ['Bytes sent', amount(count?.out ?? 0)],
        ['Bytes received', amount(count?.in ?? 0)],
    ];
    if (stats) {
        rows.push(
            ['QUIC smoothed RTT', ms(stats.smoothedRtt)],
            ['QUIC least RTT', ms(stats.minRtt)],
            ['Packets sent', stats.packetsSent],
            ['Packets lost', stats.packetsLost],
            ['Datagrams expired', stats.datagrams?.expiredOutgoing],
            ['Datagrams dropped', stats.datagrams?.droppedIncoming],
        );
    }
    const list = $('numbers');
    const known = rows.filter(([, value]) => value !== undefined && value !== null);
    list.replaceChildren(...known.map(([name, value]) => {
        const row = document.createElement('div');
        const term = document.createElement('dt');
        const number = document.createElement('dd');
        term.textContent = name;
        number.textContent = typeof value === 'number' ? value.toLocaleString('en') : value;
        row.append(term, number);
        return row;
    }));
}

let drawing = false;
function numbersChanged() {
    if (!drawing) {
        drawing = true;
        requestAnimationFrame(() => {
            drawing = false;
            drawNumbers();
        });
    }
}

async function readStats(mine) {
    if (typeof mine.transport.getStats !== 'function') {
        $('no-stats').hidden = false;
        return;
    }
    $('no-stats').hidden = true;
    while (mine.open) {
        try {
            mine.stats = await mine.transport.getStats();
        } catch {
            return; // it has ended meanwhile
        }
        numbersChanged();
        await new Promise((resolve) => setTimeout(resolve, STATS_EVERY));
    }
}

// --- streams ---

const WORDS = { open: 'open', finished: 'finished', reset: 'reset', stopped: 'stopped' };

const code = (name) => Math.min(Math.max(Math.trunc(Number($(name).value)) || 0, 0), 4294967295);

function deed(words, label, act) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = words;
    button.setAttribute('aria-label', label);
    button.onclick = act;
    return button;
}

function drawFlow(flow) {
    const item = flow.item;
    const ways = [];
    if (flow.sending !== 'none') {
        ways.push(`sent ${amount(flow.sent.size)}, ${WORDS[flow.sending]}`);
    }
    if (flow.hearing !== 'none') {
        ways.push(`received ${amount(flow.got.size)}, ${WORDS[flow.hearing]}`);
    }
    item.way.textContent = ways.join(' · ');
    item.row.classList.toggle('done', flow.done);
    item.send.hidden = item.finish.hidden = item.reset.hidden = flow.sending !== 'open';
    item.send.disabled = item.finish.disabled = flow.busy;
    item.stop.hidden = flow.hearing !== 'open';
}

function addFlow(flow) {
    const row = document.createElement('li');
    const name = document.createElement('span');
    const way = document.createElement('span');
    const deeds = document.createElement('div');
    row.className = 'flow';
    row.dataset.testid = 'flow';
    row.dataset.kind = `${flow.ours ? 'own' : 'incoming'}-${flow.kind}`;
    name.className = 'name';
    name.textContent = flow.name.charAt(0).toUpperCase() + flow.name.slice(1);
    way.className = 'way';
    deeds.className = 'deeds';
    flow.item = {
        row,
        way,
        send: deed('Send', `Send more on ${flow.name}`, () => flow.send(source().stream(), false)),
        finish: deed('Finish', `Finish ${flow.name}`, () => flow.finish()),
        reset: deed('Reset', `Reset ${flow.name}`, () => flow.reset(code('stream-code'))),
        stop: deed('Stop', `Stop reading ${flow.name}`, () => flow.stop(code('stream-code'))),
    };
    deeds.append(flow.item.send, flow.item.finish, flow.item.reset, flow.item.stop);
    row.append(name, deeds, way);
    const list = $('flows');
    list.prepend(row);
    while (list.childElementCount > FLOWS_MAX) {
        list.lastElementChild.remove();
    }
    $('no-streams').hidden = true;
    drawFlow(flow);
}

/** What the form says is to be sent, as a Blob. */
function source() {
    const form = $('streams').elements;
    switch (form.what.value) {
    case 'random':
        return new Blob([randomBytes(Math.max(0, Math.trunc(Number(form.size.value)) || 0))]);
    case 'file':
        return form.file.files[0] ?? new Blob();
    default:
        return new Blob([form.text.value]);
    }
}

/** The owner of `mine`'s streams: what they tell, and which of them are one another's echo. */
function ownerOf(mine) {
    return {
        say,
        changed(flow) {
            if (flow.item) {
                drawFlow(flow);
            }
            numbersChanged();
        },
        gone(size) {
            mine.count.out += size;
        },
        heard(size) {
            mine.count.in += size;
        },
        twin: (flow) => (flow.ours ? flow : mine.flows.find(
            (other) => other.ours && other.kind === 'uni' && other.sent.equals(flow.got))),
    };
}

function keepFlow(mine, kind, ours, stream) {
    const flow = new Flow(++mine.numbers, kind, ours, stream, mine.owner);
    mine.flows.unshift(flow);
    mine.flows.length = Math.min(mine.flows.length, FLOWS_MAX);
    mine.count[ours ? 'opened' : 'incoming']++;
    addFlow(flow);
    numbersChanged();
    return flow;
}

async function openStream() {
    const form = $('streams').elements;
    const kind = form.kind.value;
    const mine = session;
    const bytes = source();
    const finish = form.finish.checked;
    try {
        const stream = kind === 'bidi'
            ? await mine.transport.createBidirectionalStream()
            : await mine.transport.createUnidirectionalStream();
        const flow = keepFlow(mine, kind, true, stream);
        say(`${flow.name}: opened`);
        await flow.send(bytes.stream(), finish);
    } catch (error) {
        say(`no stream could be opened: ${why(error)}`, 'bad');
    }
}

async function takeStreams(mine, kind, streams) {
    const reader = streams.getReader();
    try {
        for (;;) {
            const { value, done } = await reader.read();
            if (done) {
                return;
            }
            const flow = keepFlow(mine, kind, false, value);
            say(`${flow.name}: the peer opened it`);
        }
    } catch {
        // the session has ended: `closed` tells
    }
}

// --- datagrams ---

async function sendDatagram(bytes, quiet = false) {
    const mine = session;
    if (bytes.length > mine.transport.datagrams.maxDatagramSize) {
        say(`a datagram of ${bytes.length} bytes is too big: at most ` +
            `${mine.transport.datagrams.maxDatagramSize} go now`, 'bad');
        return;
    }
    try {
        mine.trips.leave(bytes, performance.now());
        mine.count.datagramsOut++;
        mine.count.out += bytes.length;
        await mine.datagrams.write(bytes);
        if (!quiet) {
            say(`datagram sent: ${show(bytes)}`);
        }
    } catch (error) {
        say(`a datagram could not be sent: ${why(error)}`, 'bad');
    }
    numbersChanged();
}

async function takeDatagrams(mine) {
    const reader = mine.transport.datagrams.readable.getReader();
    try {
        for (;;) {
            const { value, done } = await reader.read();
            if (done) {
                return;
            }
            const time = mine.trips.arrive(value, performance.now());
            mine.count.datagramsIn++;
            mine.count.in += value.length;
            if (!mine.measuring) {
                const after = time === undefined ? '' : `, back after ${ms(time)}`;
                say(`datagram received: ${show(value)}${after}`);
            }
            numbersChanged();
        }
    } catch {
        // the session has ended
    }
}

async function measure(mine) {
    mine.measuring = true;
    say(`one datagram each ${MEASURE_EVERY} ms, not told one by one`);
    for (let n = 0; mine.open && $('measure').checked; n++) {
        sendDatagram(text.encode(`measure ${n} ${performance.now()}`), true);
        await new Promise((resolve) => setTimeout(resolve, MEASURE_EVERY));
    }
    mine.measuring = false;
    const { trips } = mine;
    say(`${trips.back} of ${trips.sent} datagrams came back, in ` +
        `${ms(trips.back ? trips.sum / trips.back : undefined)} on average`);
}

// --- the session ---

function options() {
    const form = $('connection').elements;
    const wanted = {};
    if (form.hash.value.trim()) {
        wanted.serverCertificateHashes = [
            { algorithm: 'sha-256', value: parseHash(form.hash.value) },
        ];
    }
    const protocols = parseList(form.protocols.value);
    if (protocols.length > 0) {
        wanted.protocols = protocols;
    }
    if (form.congestion.value !== 'default') {
        wanted.congestionControl = form.congestion.value;
    }
    return wanted;
}

async function connect() {
    const url = $('url').value.trim();
    let transport;
    try {
        transport = new WebTransport(url, options());
    } catch (error) {
        showState('failed', 'Not connected');
        say(`not connected: ${error.message}`, 'bad');
        return;
    }
    const mine = {
        transport,
        open: false,
        numbers: 0,
        flows: [],
        trips: new RoundTrips(),
        count: { datagramsOut: 0, datagramsIn: 0, opened: 0, incoming: 0, out: 0, in: 0 },
    };
    session = mine;
    mine.owner = ownerOf(mine);
    $('flows').replaceChildren();
    $('no-streams').hidden = false;
    showState('connecting', 'Connecting');
    say(`connecting to ${url}`);
    const begun = performance.now();
    const ended = transport.closed.then(
        ({ closeCode, reason }) => ({ closeCode, reason }), (error) => ({ error }));
    try {
        await transport.ready;
        mine.open = true;
        mine.datagrams = (transport.datagrams.createWritable?.() ??
            transport.datagrams.writable).getWriter();
        showState('open', 'Connected');
        const protocol = transport.protocol ? `, subprotocol “${transport.protocol}”` : '';
        say(`connected after ${ms(performance.now() - begun)}${protocol}; datagrams of up to ` +
            `${transport.datagrams.maxDatagramSize} bytes`, 'good');
        takeDatagrams(mine);
        takeStreams(mine, 'bidi', transport.incomingBidirectionalStreams);
        takeStreams(mine, 'uni', transport.incomingUnidirectionalStreams);
        readStats(mine);
        transport.draining?.then(() => say('the peer would like to end it soon'), () => {});
        if ($('measure').checked) {
            measure(mine);
        }
    } catch {
        // `closed` says the same
    }
    const { closeCode = 0, reason = '', error } = await ended;
    const wasOpen = mine.open;
    mine.open = false;
    if (error) {
        showState('failed', wasOpen ? 'Connection lost' : 'Not connected');
        say(`${wasOpen ? 'connection lost' : 'not connected'}: ${error.message}`, 'bad');
    } else {
        showState('closed', 'Closed');
        say(`closed with code ${closeCode}${reason ? `: ${reason}` : ''}`);
    }
    numbersChanged();
}

function close() {
    try {
        session.transport.close({
            closeCode: code('close-code'), reason: $('close-reason').value,
        });
    } catch (error) {
        say(`not closed: ${error.message}`, 'bad');
    }
}

// --- the page ---

function onSubmit(name, act) {
    $(name).addEventListener('submit', (event) => {
        event.preventDefault();
        act();
    });
}

/** This page's own server, as far as it says where it is (in development it does). */
async function fillIn() {
    const query = new URLSearchParams(location.search);
    const field = $('connection').elements;
    field.url.value = query.get('url') ?? 'https://localhost:8443/echo';
    field.hash.value = query.get('hash') ?? '';
    if (query.has('url')) {
        return;
    }
    try {
        const answer = await fetch('../config.json');
        if (answer.ok) {
            const config = await answer.json();
            field.url.value = `https://${location.hostname}:${config.port}/echo`;
            field.hash.value = config.certificate_sha256.replace(/(..)(?=.)/g, '$1:');
        }
    } catch {
        // whoever serves this page is not our backend
    }
}

onSubmit('connection', connect);
onSubmit('datagrams', () => sendDatagram(text.encode($('datagram-text').value)));
onSubmit('streams', openStream);
$('close').onclick = close;
$('datagram-random').onclick = () => {
    const size = Math.max(1, Math.trunc(Number($('datagram-size').value)) || 1);
    sendDatagram(randomBytes(size));
};
$('measure').onchange = () => {
    if ($('measure').checked && session?.open && !session.measuring) {
        measure(session);
    }
};
$('stream-file').onchange = () => {
    $('what-file').checked = true;
};
$('log-clear').onclick = () => $('log').replaceChildren();
$('log-copy').onclick = () => navigator.clipboard.writeText(
    [...$('log').children].map((line) => [...line.children]
        .map((part) => part.textContent).join('  ')).join('\n'));

drawNumbers();
await fillIn();
if (typeof WebTransport === 'undefined') {
    showState('failed', 'No WebTransport here');
    $('connect').disabled = true;
    say('this browser has no WebTransport, or this page is not a secure context', 'bad');
} else {
    showState('closed', 'Not connected');
    say('ready');
}
