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
        ['the option headers reaches the server, in lower case', 'server', async (t) => {
            const headers = await requestHeaders(t, { headers: { 'X-Client-Header': 'sent' } });
            t.equal(headers['x-client-header'], 'sent', 'the header');
        }, needsAnswer],
    ],
}, {
    file: 'constructor',
    behaviours: [
        ...['', 'no-scheme', 'http://example.invalid/', 'https:///', 'https://localhost/#part',
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
        ['port 0 fails', 'browser', async (t) =>
            t.failed(Object.assign(new WebTransport('https://localhost:0/')))],
    ],
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
