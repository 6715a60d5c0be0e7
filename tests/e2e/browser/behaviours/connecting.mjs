// SPDX-License-Identifier: MIT
// How sessions begin: what is asked for, answered, refused and forbidden.

import { first, text } from './page.mjs';

async function requestHeaders(t, options) {
    const session = await t.connect('echo-request-headers', options);
    return JSON.parse(await text(await first(session.incomingUnidirectionalStreams)));
}

const refused = (status) =>
    [`status ${status} refuses`, 'server', async (t) =>
        t.failed(t.open(`custom-response?:status=${status}`))];

// What a page cannot ask for together with hashes.
const UNTRUSTED = { Firefox: 'over QUIC it heeds no exception for a certificate' };

const needsAnswer = ['WebTransport.responseHeaders'];

export const connecting = [{
    file: 'connect',
    behaviours: [
        ['status 200 accepts', 'server', (t) => t.connect('custom-response?:status=200')],
        ['status 204 accepts', 'server', (t) => t.connect('custom-response?:status=204')],
        refused(301), refused(401), refused(404),
        ['a path that is not there refuses', 'server', (t) => t.failed(t.open('not-there'))],
        ['what the request says', 'server', async (t) => {
            const headers = await requestHeaders(t);
            const url = new URL(t.base);
            t.equal(
                [':scheme', ':method', ':authority', ':path', ':protocol', 'origin'].map(
                    (name) => headers[name]),
                ['https', 'CONNECT', url.host, `${url.pathname}/echo-request-headers`,
                    'webtransport', location.origin], 'the headers');
        }],
        ['a cookie is neither kept nor sent', 'server', async (t) => {
            await t.connect('custom-response?set-cookie=foo%3Dbar');
            t.equal((await requestHeaders(t)).cookie, undefined, 'the cookie');
        }],
    ],
}, {
    file: 'headers',
    behaviours: [
        ['responseHeaders is null before the answer', 'browser', async (t) => {
            const session = t.open('echo');
            t.equal(session.responseHeaders, null, 'it');
            await session.ready;
            t.ok(session.responseHeaders instanceof Headers, 'its class then');
        }, needsAnswer],
        ["responseHeaders has the server's", 'server', async (t) => {
            const session = await t.connect('custom-response?x-test-header=hello&x-other=world');
            t.equal(['x-test-header', 'x-other'].map((name) => session.responseHeaders.get(name)),
                ['hello', 'world'], 'they');
        }, needsAnswer],
        ['headers that an answer adds disturb nothing', 'server', (t) =>
            t.connect('custom-response?x-test-header=hello&x-other=world')],
        ['set-cookie is not shown', 'browser', async (t) => {
            const session = await t.connect('custom-response?set-cookie=probe%3D1');
            t.ok(!session.responseHeaders.has('set-cookie'), 'it');
        }, needsAnswer],
        ['wt-protocol is not shown', 'browser', async (t) => {
            const session = await t.connect('subprotocol', { protocols: ['first.v1'] });
            t.ok(!session.responseHeaders.has('wt-protocol'), 'it');
        }, needsAnswer],
        ['a Cookie in the option headers is not sent', 'browser', async (t) => {
            const headers = await requestHeaders(t, { headers: { Cookie: 'probe=1' } });
            t.equal(headers.cookie, undefined, 'the cookie');
        }, needsAnswer],
        ...['wt-available-protocols', 'WT-Available-Protocols', 'Wt-AVAILABLE-protocols'].map(
            (name) => [`${name} in the option headers is refused`, 'browser', async (t) =>
                t.throws('TypeError', () => t.open('echo', { headers: { [name]: 'x' } }), name),
            needsAnswer]),
        ['the option headers may be a list of pairs', 'browser', async (t) => {
            t.open('echo', { headers: [['x-foo', 'bar'], ['x-baz', 'qux']] });
        }, needsAnswer],
        ['a name may be there twice', 'browser', async (t) => {
            t.open('echo', { headers: [['x-twice', 'one'], ['x-twice', 'two']] });
        }, needsAnswer],
        ['a pair of one element is refused', 'browser', async (t) =>
            t.throws('TypeError', () => t.open('echo', { headers: [['alone']] }), 'alone'),
        needsAnswer],
        ['the option headers reaches the server, in lower case', 'server', async (t) => {
            const headers = await requestHeaders(t, { headers: { 'X-Client-Header': 'sent' } });
            t.equal(headers['x-client-header'], 'sent', 'the header');
        }, needsAnswer],
    ],
}, {
    file: 'constructor',
    behaviours: [
        ...[null, '', 'no-scheme', 'http://example.invalid/', 'quic-transport://example.invalid/',
            'https:///', 'https://localhost/#part',
            'https://localhost:999999/'].map((url) =>
            [`the URL "${url}" is refused`, 'browser', async (t) =>
                t.throws('SyntaxError', () => new WebTransport(url), url)]),
        ...[[''], ['\u8aa4'], ['test', 'test'], ['a'.repeat(513)], ['a\rb']].map((protocols) =>
            [`the protocols ${JSON.stringify(protocols).slice(0, 20)} are refused`, 'browser',
                async (t) => t.throws('SyntaxError', () => t.open('echo', { protocols }),
                    'these'), ['WebTransport.protocol']]),
        ...[{ requireUnreliable: true }, { congestionControl: 'default' },
            { congestionControl: 'throughput' }, { congestionControl: 'low-latency' },
            { protocols: ['a', 'b', 'c'] }].map((options) =>
            [`a session with ${JSON.stringify(options)}`, 'server', (t) =>
                t.connect('echo', options)]),
        ['the server picks one of the protocols', 'server', async (t) => {
            const session = await t.connect('subprotocol?pick=1', {
                protocols: ['first.v1', 'second.v2'],
            });
            t.equal(session.protocol, 'second.v2', 'which');
        }, ['WebTransport.protocol']],
        ...[{ allowPooling: true }, { allowPooling: true, requireUnreliable: true },
            { allowPooling: true, requireUnreliable: true, congestionControl: 'low-latency' },
            { protocols: ['a'] }].map((options) =>
            [`a session with ${JSON.stringify(options)}, its certificate trusted`, 'server',
                (t) => t.connect('echo', { serverCertificateHashes: undefined, ...options }),
                [], UNTRUSTED]),
        ['allowPooling together with hashes is refused', 'browser', async (t) =>
            t.throws('NotSupportedError', () => t.open('echo', { allowPooling: true }), 'both')],
        ['port 0 fails', 'browser', async (t) =>
            t.failed(Object.assign(new WebTransport('https://localhost:0/')))],
    ],
}, {
    file: 'constructor-sharedarraybuffer',
    behaviours: [
        ['a SharedArrayBuffer', (shared) => shared], ['a view of one', (shared) =>
            new Uint8Array(shared)],
    ].map(([what, of]) => [`${what} is refused as a hash`, 'browser', async (t) => {
        const { buffer } = new WebAssembly.Memory({ shared: true, initial: 1, maximum: 1 });
        t.throws('TypeError', () => t.open('echo', {
            serverCertificateHashes: [{ algorithm: 'sha-256', value: of(buffer) }],
        }), what);
    }]),
}, {
    file: 'server-certificate-hashes',
    behaviours: [
        ['another hash fails', 'server', async (t) => {
            const session = t.open('echo', {
                serverCertificateHashes: [{ algorithm: 'sha-256', value: new Uint8Array(32) }],
            });
            const error = await t.rejects(session.ready, 'ready');
            t.ok(error instanceof WebTransportError, 'the class of the error');
            await t.rejects(session.closed, 'closed');
        }],
    ],
}, {
    file: 'csp',
    places: ['page'],
    behaviours: [
        ["connect-src 'none' forbids, the address allows", 'browser', async (t) => {
            const answers = [];
            for (const policy of ["'none'", new URL(t.base).origin]) {
                const frame = document.createElement('iframe');
                frame.srcdoc = '<meta http-equiv="Content-Security-Policy" content="' +
                    `connect-src ${policy}"><script>var there = true</scr` + 'ipt>';
                const loaded = new Promise((resolve) => { frame.onload = resolve; });
                document.body.append(frame);
                await loaded;
                const session = new frame.contentWindow.WebTransport(t.url('echo'), {
                    serverCertificateHashes: [{ algorithm: 'sha-256', value: t.hash }],
                });
                session.closed.catch(() => {});
                answers.push(await session.ready.then(() => 'open', (error) => error.name));
                session.close();
                frame.remove();
            }
            t.equal(answers, ['WebTransportError', 'open'], 'what came of it');
        }],
    ],
}, {
    file: 'in-removed-iframe',
    places: ['page'],
    behaviours: [
        ['streams of a session whose frame is gone', 'browser', async (t) => {
            const frame = document.createElement('iframe');
            document.body.append(frame);
            const session = new frame.contentWindow.WebTransport(t.url('echo'));
            session.ready.catch(() => {});
            session.closed.catch(() => {});
            frame.remove();
            t.equal(typeof session.incomingBidirectionalStreams, 'object', 'their type');
        }],
    ],
}];
